//! Consistent views of the source: the run's own, and those that runs which crashed left there.

use std::time::Duration;

use super::id::is_run_id;
use crate::config::TargetConfig;
use crate::connect::retry::RetryPolicy;
use crate::model::error::{Error, Result};
use crate::rows::digest::hash_bytes;
use crate::sources::Source;

/// Names of views that runs open start with this.
const PREFIX: &str = "stopgap_";

/// How long the run's own may take to be closed, an interruption or not: it grows with every change at the source.
const RELEASE_TIMEOUT: Duration = Duration::from_mins(1);

/// A job's views.
pub struct Views<'a, S: Source> {
    source: &'a S,
    prefix: String,
    policy: RetryPolicy,
}

impl<'a, S: Source> Views<'a, S> {
    /// `target`: where the job writes. The lease that keeps runs apart is there: the views of a job of the same name that
    /// writes elsewhere may be in use.
    pub fn new(source: &'a S, job: &str, target: &TargetConfig, policy: RetryPolicy) -> Self {
        let place = format!("{}:{}/{}", target.host.to_lowercase(), target.port, target.database);
        let target = hash_bytes(place.as_bytes()) as u32;
        Self { source, prefix: format!("{PREFIX}{job}_{target:08x}_"), policy }
    }

    /// The view of a run.
    pub fn name_of(&self, run_id: &str) -> String {
        format!("{}{run_id}", self.prefix)
    }

    /// Whether the view of an earlier run can be read from.
    pub async fn is_there(&self, run_id: &str) -> bool {
        let name = self.name_of(run_id);
        let found = self.policy.retry("looking for a view", &mut 0, || self.source.views(&name)).await;
        found.is_ok_and(|names| names.contains(&name))
    }

    /// Closes what earlier runs of the job left, whatever this one reads from, but for the view of one run; says what it did and what it
    /// could not.
    pub async fn clean(&self, kept_run: &str) -> Vec<String> {
        let kept = self.name_of(kept_run);
        let mut notes = Vec::new();
        let look = || self.source.views(&self.prefix);
        let what = format!("looking for {}s", S::VIEW);
        match self.policy.retry(&what, &mut 0, look).await {
            // The job "erp" has nothing to do with the views of the job "erp_eu".
            Ok(names) => {
                let is_left = |name: &&String| is_run_id(&name[self.prefix.len()..]) && **name != kept;
                for name in names.iter().filter(is_left) {
                    notes.push(match self.close_with_retries(name, &self.policy).await {
                        Ok(()) => format!("dropped a {} that an earlier run left behind: {name}", S::VIEW),
                        Err(error) => Self::not_dropped(name, &error.chain()),
                    });
                }
            }
            // A source that has no such thing has none of the job's either.
            Err(error) => tracing::warn!(error = error.chain(), "could not look for {}s", S::VIEW),
        }
        notes
    }

    /// Opens the run's own and returns its name. It may take minutes: an interruption does not wait for it.
    pub async fn open(&self, run_id: &str, facts: &S::Facts) -> Result<String> {
        let name = self.name_of(run_id);
        let made = tokio::select! {
            biased;
            () = self.policy.cancelled() => Err(Error::cancelled()),
            made = self.open_with_retries(&name, facts) => made,
        };
        // It may be open although nobody heard of it.
        if made.is_err()
            && let Some(left) = self.close_own(&name).await
        {
            tracing::warn!("{left}");
        }
        made.map(|()| name)
    }

    async fn open_with_retries(&self, name: &str, facts: &S::Facts) -> Result<()> {
        let mut is_retry = false;
        let open = || {
            let is_retry = std::mem::replace(&mut is_retry, true);
            async move {
                // What a try without an answer opened is in the way of the next.
                if is_retry && let Err(error) = self.close_with_retries(name, &self.policy).await {
                    return Ok(Err(error));
                }
                self.source.open_view(name, facts).await.map(Ok)
            }
        };
        self.policy.retry(S::VIEW, &mut 0, open).await?
    }

    /// Closes the run's own, also after an interruption; says so where it could not.
    pub async fn close_own(&self, name: &str) -> Option<String> {
        let policy = RetryPolicy { cancel: None, ..self.policy.clone() };
        match tokio::time::timeout(RELEASE_TIMEOUT, self.close_with_retries(name, &policy)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Self::not_dropped(name, &error.chain())),
            Err(_) => Some(Self::not_dropped(name, &format!("no answer in {} s", RELEASE_TIMEOUT.as_secs()))),
        }
    }

    async fn close_with_retries(&self, name: &str, policy: &RetryPolicy) -> Result<()> {
        let what = format!("dropping the {} {name}", S::VIEW);
        policy.retry(&what, &mut 0, || self.source.close_view(name)).await
    }

    fn not_dropped(name: &str, why: &str) -> String {
        format!("the {} {name} could not be dropped; the job's next run tries again: {why}", S::VIEW)
    }
}
