//! Database snapshots of the source: the run's own, and those that runs which crashed left there.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::id::is_run_id;
use crate::config::TargetConfig;
use crate::connect::retry::RetryPolicy;
use crate::model::error::{Error, Result};
use crate::model::facts::SourceFacts;
use crate::rows::digest::hash_bytes;
use crate::sources::Source;

/// Names of database snapshots that runs make start with this.
const PREFIX: &str = "stopgap_";

/// How long the run's own may take to be dropped, an interruption or not: it grows with every change at the source.
const RELEASE_TIMEOUT: Duration = Duration::from_mins(1);

/// A job's database snapshots.
pub struct Snapshots<'a, S: Source> {
    source: &'a S,
    prefix: String,
    policy: RetryPolicy,
}

impl<'a, S: Source> Snapshots<'a, S> {
    /// `target`: where the job writes. The lease that keeps runs apart is there: the snapshots of a job of the same name that
    /// writes elsewhere may be in use.
    pub fn new(source: &'a S, job: &str, target: &TargetConfig, policy: RetryPolicy) -> Self {
        let place = format!("{}:{}/{}", target.host.to_lowercase(), target.port, target.database);
        let target = hash_bytes(place.as_bytes()) as u32;
        Self { source, prefix: format!("{PREFIX}{job}_{target:08x}_"), policy }
    }

    /// Drops what earlier runs of the job left, whatever this one reads from; says what it did and what it could not.
    pub async fn clean(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let look = || self.source.snapshots(&self.prefix);
        match self.policy.retry("looking for database snapshots", &mut 0, look).await {
            // The job "erp" has nothing to do with the snapshots of the job "erp_eu".
            Ok(names) => {
                for name in names.iter().filter(|name| is_run_id(&name[self.prefix.len()..])) {
                    notes.push(match self.drop_with_retries(name, &self.policy).await {
                        Ok(()) => format!("dropped a database snapshot that an earlier run left behind: {name}"),
                        Err(error) => not_dropped(name, &error.chain()),
                    });
                }
            }
            // A source that has no such thing has none of the job's either.
            Err(error) => tracing::warn!(error = error.chain(), "could not look for database snapshots"),
        }
        notes
    }

    /// Makes the run's own and returns its name. It may take minutes: an interruption does not wait for it.
    pub async fn make(&self, run_id: &str, facts: &SourceFacts) -> Result<String> {
        let name = format!("{}{run_id}", self.prefix);
        let made = tokio::select! {
            biased;
            () = self.policy.cancel.cancelled() => Err(Error::cancelled()),
            made = self.create_with_retries(&name, facts) => made,
        };
        // It may have been made although nobody heard of it.
        if made.is_err()
            && let Some(left) = self.drop_own(&name).await
        {
            tracing::warn!("{left}");
        }
        made.map(|()| name)
    }

    async fn create_with_retries(&self, name: &str, facts: &SourceFacts) -> Result<()> {
        let mut attempt = 0;
        loop {
            let Err(error) = self.source.create_snapshot(name, facts).await else { return Ok(()) };
            attempt += 1;
            self.policy.wait("database snapshot", attempt, error).await?;
            self.drop_with_retries(name, &self.policy).await?;
        }
    }

    /// Drops the run's own, also after an interruption; says so where it could not.
    pub async fn drop_own(&self, name: &str) -> Option<String> {
        let policy = RetryPolicy { cancel: CancellationToken::new(), ..self.policy.clone() };
        match tokio::time::timeout(RELEASE_TIMEOUT, self.drop_with_retries(name, &policy)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(not_dropped(name, &error.chain())),
            Err(_) => Some(not_dropped(name, &format!("no answer in {} s", RELEASE_TIMEOUT.as_secs()))),
        }
    }

    async fn drop_with_retries(&self, name: &str, policy: &RetryPolicy) -> Result<()> {
        let what = format!("dropping the database snapshot {name}");
        policy.retry(&what, &mut 0, || self.source.drop_snapshot(name)).await
    }
}

fn not_dropped(name: &str, why: &str) -> String {
    format!("the database snapshot {name} could not be dropped; the job's next run tries again: {why}")
}
