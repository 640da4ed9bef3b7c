//! Who may do what only one may: tell people of a run, start an instance of a job.

use chrono::{DateTime, TimeDelta, Utc};
use object_store::{PutMode, UpdateVersion};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Result, Store, StoreError, run_key};
use crate::record::{Launch, Notification, Sent};

/// A launcher that claimed and is not heard of for so long has died: it is given less time to run.
const LAUNCHER_PATIENCE: TimeDelta = TimeDelta::minutes(5);
/// EC2 may take so long to list an instance that it has started ("Eventual consistency in the Amazon EC2 API").
const LAUNCH_PATIENCE: TimeDelta = TimeDelta::minutes(2);

/// Whether the caller is the one.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim<T> {
    Ours,
    Taken(T),
}

impl Store {
    /// Asks to be the one that tells people of a run. The launcher, which speaks when the instance is gone, takes over
    /// (`take_over`) from a job that claimed and did not publish, and from a launcher that has died.
    pub async fn claim(&self, job: &str, run_id: &str, by: &str, take_over: bool) -> Result<Claim<Notification>> {
        let own = Notification { state: Sent::Claimed, by: by.to_owned(), at: Utc::now(), detail: None };
        let is_free = |found: &Notification| {
            let at_it = found.state == Sent::Claimed && found.by == by && is_recent(found.at, LAUNCHER_PATIENCE);
            take_over && !found.state.is_final() && !at_it
        };
        self.take(&run_key(job, run_id, "notification.json"), &own, is_free).await
    }

    /// Writes down what became of the claim.
    pub async fn settle(&self, job: &str, run_id: &str, outcome: &Notification) -> Result<()> {
        self.put(&run_key(job, run_id, "notification.json"), outcome, PutMode::Overwrite).await
    }

    /// Asks to be the one that starts an instance of a job now. A run that was started a moment ago is in the way, unless it is
    /// the one that has `ended`.
    pub async fn claim_launch(&self, job: &str, run_id: &str, ended: Option<&str>) -> Result<Claim<Launch>> {
        let own = Launch { run_id: run_id.to_owned(), at: Utc::now() };
        let is_over = |found: &Launch| Some(found.run_id.as_str()) == ended || !is_recent(found.at, LAUNCH_PATIENCE);
        self.take(&launch_key(job), &own, |found| found.run_id == run_id || is_over(found)).await
    }

    /// Nothing was started: another run need not wait.
    pub async fn release_launch(&self, job: &str) -> Result<()> {
        let long_ago = Launch { run_id: String::new(), at: DateTime::UNIX_EPOCH };
        self.put(&launch_key(job), &long_ago, PutMode::Overwrite).await
    }

    /// Writes `own` where nothing is, or over what `is_free`; of several that ask at once one is given it.
    async fn take<T: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        own: &T,
        is_free: impl Fn(&T) -> bool,
    ) -> Result<Claim<T>> {
        match self.put(key, own, PutMode::Create).await {
            Ok(()) => return Ok(Claim::Ours),
            Err(StoreError::Access { source: object_store::Error::AlreadyExists { .. }, .. }) => {}
            Err(error) => return Err(error),
        }
        // What is gone by now was there a moment ago: whoever is at it may have it.
        let Some((found, version)) = self.get_version::<T>(key).await? else { return self.put_over(key, own).await };
        if !is_free(&found) {
            return Ok(Claim::Taken(found));
        }
        match self.replace(key, own, version).await {
            Err(StoreError::Access { source: object_store::Error::Precondition { .. }, .. }) => {
                let winner = self.get::<T>(key).await?;
                Ok(Claim::Taken(winner.unwrap_or(found)))
            }
            other => other.map(|()| Claim::Ours),
        }
    }

    async fn put_over<T: Serialize>(&self, key: &str, own: &T) -> Result<Claim<T>> {
        self.put(key, own, PutMode::Overwrite).await.map(|()| Claim::Ours)
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

fn is_recent(at: DateTime<Utc>, patience: TimeDelta) -> bool {
    Utc::now() - at < patience
}

fn launch_key(job: &str) -> String {
    format!("runs/{job}/launch.json")
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
        assert_eq!(store.claim("erp", "a", "sync-job", false).await.unwrap(), Claim::Ours);
        assert!(matches!(store.claim("erp", "a", "sync-job", false).await.unwrap(), Claim::Taken(_)));
        assert_eq!(store.claim("erp", "a", "launcher", true).await.unwrap(), Claim::Ours);
        let published = sent(Sent::Published, "launcher", 0);
        store.settle("erp", "a", &published).await.unwrap();
        assert_eq!(store.claim("erp", "a", "launcher", true).await.unwrap(), Claim::Taken(published));
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
            let claim = store.claim("erp", "a", "launcher", true).await.unwrap();
            assert_eq!(claim == Claim::Ours, free, "{earlier:?}");
        }
    }

    #[tokio::test]
    async fn one_instance_at_a_time_is_started() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap(), None).unwrap();
        assert_eq!(store.claim_launch("erp", "a", None).await.unwrap(), Claim::Ours);
        assert_eq!(store.claim_launch("erp", "a", None).await.unwrap(), Claim::Ours, "a retry of the same run");
        assert!(
            matches!(store.claim_launch("erp", "b", None).await.unwrap(), Claim::Taken(Launch { run_id, .. }) if run_id == "a")
        );
        assert_eq!(store.claim_launch("erp", "b", Some("a")).await.unwrap(), Claim::Ours);
        assert!(matches!(store.claim_launch("erp", "c", Some("a")).await.unwrap(), Claim::Taken(_)), "a is no news");
        store.release_launch("erp").await.unwrap();
        assert_eq!(store.claim_launch("erp", "c", None).await.unwrap(), Claim::Ours);
    }
}
