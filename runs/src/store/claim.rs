//! Who may do what only one may: tell people of a run, start an instance of a job.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use object_store::{PutMode, UpdateVersion};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stopgap_retry::{Backoff, Limit, Prospect, RetryPolicy};

use super::{Result, Store, StoreError, head_key, run_key};
use crate::record::{Head, Launch, Notification, Sent, Speaker};

/// A launcher that claimed and is not heard of for so long has died: it is given less time to run.
const LAUNCHER_CLAIM_AGE: TimeDelta = TimeDelta::minutes(5);
/// EC2 may take a while to list an instance that it has started ("Eventual consistency in the Amazon EC2 API"), and that comes
/// after the slowest of the launcher's attempts, each of which claims anew.
const LAUNCH_CLAIM_AGE: TimeDelta = TimeDelta::minutes(4);
/// A claim that others change at this very moment is tried again; every other failure comes back as what the try gave.
const RETRY: RetryPolicy<StoreError> = RetryPolicy {
    limit: Limit::Retries(4),
    backoff: Backoff::every(Duration::from_millis(100)),
    outage: None,
    prospect: |_| Prospect::Open,
    cancel: None,
    say: |waiting| tracing::debug!(key = waiting.what, attempt = waiting.retry, "another claims it at the same moment"),
};

/// Whether the caller is the one.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim<T> {
    Ours,
    Taken(T),
}

impl Store {
    /// Asks to be the one that tells people of a run.
    pub(crate) async fn claim(&self, job: &str, run_id: &str, by: Speaker) -> Result<Claim<Notification>> {
        let name = by.name();
        let own = Notification { state: Sent::Claimed, by: name.to_owned(), at: Utc::now(), detail: None };
        let is_free = |found: &Notification| {
            let at_it = found.state == Sent::Claimed && found.by == name && is_recent(found.at, LAUNCHER_CLAIM_AGE);
            by == Speaker::Launcher && !found.state.is_final() && !at_it
        };
        self.take(&run_key(job, run_id, "notification.json"), &own, is_free).await
    }

    /// Writes down what became of the claim, in the run's head, too: whoever looks for runs of which nobody was told reads heads.
    pub(crate) async fn settle(&self, job: &str, run_id: &str, outcome: &Notification) -> Result<()> {
        self.put(&run_key(job, run_id, "notification.json"), outcome, PutMode::Overwrite).await?;
        let key = head_key(job, run_id);
        let head = match self.get(&key).await? {
            Some(head) => Some(head),
            None => self.head(job, run_id).await?,
        };
        let Some(head) = head else { return Ok(()) };
        self.put(&key, &Head { notification: Some(outcome.clone()), ..head }, PutMode::Overwrite).await
    }

    /// Asks to be the one that starts an instance of a job in its environment now, or still. A run that was started a moment
    /// ago is in the way, unless it is the one that has `ended`.
    pub async fn claim_launch(
        &self,
        job: &str,
        environment: &str,
        run_id: &str,
        ended: Option<&str>,
    ) -> Result<Claim<Launch>> {
        let own = Launch { run_id: run_id.to_owned(), at: Utc::now() };
        let is_over = |found: &Launch| Some(found.run_id.as_str()) == ended || !is_recent(found.at, LAUNCH_CLAIM_AGE);
        self.take(&launch_key(job, environment), &own, |found| found.run_id == run_id || is_over(found)).await
    }

    /// Nothing was started: another run need not wait.
    pub async fn release_launch(&self, job: &str, environment: &str, run_id: &str) -> Result<()> {
        let key = launch_key(job, environment);
        let Some((found, version)) = self.get_version::<Launch>(&key).await? else { return Ok(()) };
        if found.run_id != run_id {
            return Ok(());
        }
        let long_ago = Launch { run_id: String::new(), at: DateTime::UNIX_EPOCH };
        match self.replace(&key, &long_ago, version).await {
            // Somebody has claimed it meanwhile.
            Err(StoreError::Access { source: object_store::Error::Precondition { .. }, .. }) => Ok(()),
            other => other,
        }
    }

    /// Writes `own` where nothing is, or over what `is_free`; of several that ask at once one is given it. What is found may be
    /// `own`: the answer to writing it was lost, and the client tried again.
    async fn take<T: Serialize + DeserializeOwned + PartialEq>(
        &self,
        key: &str,
        own: &T,
        is_free: impl Fn(&T) -> bool,
    ) -> Result<Claim<T>> {
        let take = async || {
            let refused = match self.put(key, own, PutMode::Create).await {
                Err(error @ StoreError::Access { source: object_store::Error::AlreadyExists { .. }, .. }) => error,
                other => return Ok(other.map(|()| Claim::Ours)),
            };
            let (found, version) = match self.get_version::<T>(key).await {
                Ok(Some(found)) => found,
                Ok(None) => return Err(refused),
                Err(error) => return Ok(Err(error)),
            };
            if found == *own {
                return Ok(Ok(Claim::Ours));
            }
            if !is_free(&found) {
                return Ok(Ok(Claim::Taken(found)));
            }
            match self.replace(key, own, version).await {
                Err(StoreError::Access { source: object_store::Error::Precondition { .. }, .. }) => Err(refused),
                other => Ok(other.map(|()| Claim::Ours)),
            }
        };
        RETRY.retry(key, &mut 0, take).await?
    }

    /// Writes over the version that was read, and over no other. A directory knows no versions.
    async fn replace(&self, key: &str, value: &impl Serialize, version: UpdateVersion) -> Result<()> {
        match self.put(key, value, PutMode::Update(version)).await {
            Err(StoreError::Access { source: object_store::Error::NotImplemented { .. }, .. }) => {
                self.put(key, value, PutMode::Overwrite).await
            }
            other => other,
        }
    }
}

fn is_recent(at: DateTime<Utc>, age: TimeDelta) -> bool {
    Utc::now() - at < age
}

fn launch_key(job: &str, environment: &str) -> String {
    format!("runs/{job}/launch-{environment}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(state: Sent, by: &str, minutes_ago: i64) -> Notification {
        Notification { state, by: by.into(), at: Utc::now() - TimeDelta::minutes(minutes_ago), detail: None }
    }

    #[tokio::test]
    async fn one_tells_and_the_launcher_takes_over_from_one_that_could_not() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap(), None).unwrap();
        assert_eq!(store.claim("erp", "a", Speaker::Job).await.unwrap(), Claim::Ours);
        assert!(matches!(store.claim("erp", "a", Speaker::Job).await.unwrap(), Claim::Taken(_)));
        assert_eq!(store.claim("erp", "a", Speaker::Launcher).await.unwrap(), Claim::Ours);
        let published = sent(Sent::Published, "launcher", 0);
        store.settle("erp", "a", &published).await.unwrap();
        assert_eq!(store.claim("erp", "a", Speaker::Launcher).await.unwrap(), Claim::Taken(published));
    }

    #[tokio::test]
    async fn of_two_launchers_the_first_tells_unless_it_has_died() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap(), None).unwrap();
        for (earlier, free) in [
            (sent(Sent::Claimed, "launcher", 1), false),
            (sent(Sent::Claimed, "launcher", 6), true),
            (sent(Sent::Failed, "launcher", 0), true),
            (sent(Sent::Unwanted, "sync-job", 600), false),
        ] {
            store.settle("erp", "a", &earlier).await.unwrap();
            let claim = store.claim("erp", "a", Speaker::Launcher).await.unwrap();
            assert_eq!(claim == Claim::Ours, free, "{earlier:?}");
        }
    }

    #[tokio::test]
    async fn one_instance_at_a_time_is_started() {
        let store = Store::in_memory();
        let claim = async |run_id: &str, ended| store.claim_launch("erp", "dev", run_id, ended).await.unwrap();
        assert_eq!(claim("a", None).await, Claim::Ours);
        assert_eq!(claim("a", None).await, Claim::Ours, "a retry of the same run");
        assert!(matches!(claim("b", None).await, Claim::Taken(Launch { run_id, .. }) if run_id == "a"));
        assert_eq!(store.claim_launch("erp", "prod", "b", None).await.unwrap(), Claim::Ours, "another environment");
        assert_eq!(claim("b", Some("a")).await, Claim::Ours);
        assert!(matches!(claim("c", Some("a")).await, Claim::Taken(_)), "a is no news");
        store.release_launch("erp", "dev", "a").await.unwrap();
        assert!(matches!(claim("c", None).await, Claim::Taken(_)), "what is b's only b gives back");
        store.release_launch("erp", "dev", "b").await.unwrap();
        assert_eq!(claim("c", None).await, Claim::Ours);
        let old = Launch { run_id: "c".into(), at: Utc::now() - TimeDelta::minutes(5) };
        store.put(&launch_key("erp", "dev"), &old, PutMode::Overwrite).await.unwrap();
        assert_eq!(claim("d", None).await, Claim::Ours);
    }

    #[tokio::test]
    async fn a_claim_whose_answer_was_lost_is_ours() {
        let store = Store::in_memory();
        let own = Launch { run_id: "a".into(), at: Utc::now() };
        for _ in 0..2 {
            assert_eq!(store.take("key", &own, |_| false).await.unwrap(), Claim::Ours);
        }
    }

    #[tokio::test]
    async fn of_many_at_once_one_is_given_it() {
        let store = Store::in_memory();
        let old = Launch { run_id: "old".into(), at: Utc::now() };
        store.put("key", &old, PutMode::Create).await.unwrap();
        let (_, version) = store.get_version::<Launch>("key").await.unwrap().unwrap();
        let newer = Launch { run_id: "newer".into(), at: Utc::now() };
        store.put("key", &newer, PutMode::Overwrite).await.unwrap();
        assert!(store.replace("key", &old, version).await.is_err(), "only what was read is written over");
        let claims = (0..20).map(|number| {
            let (store, own) = (store.clone(), Launch { run_id: number.to_string(), at: Utc::now() });
            tokio::spawn(async move { store.take("key", &own, |found| found.run_id == "newer").await.unwrap() })
        });
        let mut ours = 0;
        for claim in claims.collect::<Vec<_>>() {
            ours += i32::from(claim.await.unwrap() == Claim::Ours);
        }
        assert_eq!(ours, 1);
    }
}
