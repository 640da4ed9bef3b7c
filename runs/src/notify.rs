//! How people hear of a run once, whoever tells them: claim the notification, publish it, write down what became of it.

use std::future::Future;

use chrono::Utc;

use crate::cloud::chain;
use crate::notice::PublishError;
use crate::record::{Notification, Sent, Speaker};
use crate::store::{Claim, Store};

/// What became of a notification.
#[derive(Debug)]
pub enum Notified {
    Published,
    /// Nobody wants one, which is written down, so that nobody else sends one.
    Unwanted,
    /// Somebody else has notified people, or is about to.
    BySomebodyElse(Notification),
    Failed(PublishError),
}

/// Notifies people of a run, unless somebody else has or does. `publish` sends the message and gives its id; nothing where none is
/// wanted.
///
/// Delivery is at least once: without records (`store`), or where they cannot be reached, it is better to notify twice than never.
pub async fn once<P>(store: Option<&Store>, by: Speaker, job: &str, run_id: &str, publish: Option<P>) -> Notified
where
    P: Future<Output = Result<String, PublishError>>,
{
    if let Some(store) = store {
        match store.claim(job, run_id, by).await {
            Ok(Claim::Ours) => {}
            Ok(Claim::Taken(other)) => return Notified::BySomebodyElse(other),
            Err(error) => {
                let error = chain(&error);
                tracing::error!(job, run_id, error, "the notification could not be claimed; publishing all the same");
            }
        }
    }
    let (state, detail, notified) = match publish {
        None => (Sent::Unwanted, None, Notified::Unwanted),
        Some(publish) => match publish.await {
            Ok(id) => (Sent::Published, Some(id), Notified::Published),
            Err(error) => (Sent::Failed, Some(error.to_string()), Notified::Failed(error)),
        },
    };
    if let Some(store) = store {
        let outcome = Notification { state, by: by.name().to_owned(), at: Utc::now(), detail };
        if let Err(error) = store.settle(job, run_id, &outcome).await {
            let error = chain(&error);
            tracing::error!(job, run_id, error, "what became of the notification could not be written down");
        }
    }
    notified
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    async fn notify(store: Option<&Store>, by: Speaker, sent: &AtomicU32, fails: bool) -> Notified {
        let publish = async {
            sent.fetch_add(1, Ordering::Relaxed);
            let error = || PublishError { topic: "t".to_owned(), reason: "throttled".to_owned() };
            if fails { Err(error()) } else { Ok("id".to_owned()) }
        };
        once(store, by, "erp", "a", Some(publish)).await
    }

    #[tokio::test]
    async fn people_hear_of_a_run_once_and_the_launcher_steps_in_where_the_job_could_not() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap(), None).unwrap();
        let sent = AtomicU32::new(0);
        assert!(matches!(notify(Some(&store), Speaker::Job, &sent, true).await, Notified::Failed(_)));
        let failed = store.notification("erp", "a").await.unwrap().unwrap();
        assert_eq!((failed.state, failed.by.as_str()), (Sent::Failed, "sync-job"));
        assert!(matches!(notify(Some(&store), Speaker::Job, &sent, false).await, Notified::BySomebodyElse(_)));
        assert!(matches!(notify(Some(&store), Speaker::Launcher, &sent, false).await, Notified::Published));
        assert!(matches!(notify(Some(&store), Speaker::Launcher, &sent, false).await, Notified::BySomebodyElse(_)));
        let published = store.notification("erp", "a").await.unwrap().unwrap();
        assert_eq!((published.state, published.detail.as_deref()), (Sent::Published, Some("id")));
        assert_eq!(sent.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn that_nobody_wants_one_is_written_down_for_the_launcher() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap(), None).unwrap();
        let none = None::<std::future::Ready<Result<String, PublishError>>>;
        assert!(matches!(once(Some(&store), Speaker::Job, "erp", "a", none).await, Notified::Unwanted));
        let sent = AtomicU32::new(0);
        assert!(matches!(notify(Some(&store), Speaker::Launcher, &sent, false).await, Notified::BySomebodyElse(_)));
        assert_eq!(sent.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn where_records_cannot_be_reached_people_are_notified_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().to_str().unwrap(), None).unwrap();
        std::fs::create_dir_all(directory.path().join("runs/erp")).unwrap();
        std::fs::write(directory.path().join("runs/erp/a"), "a file where a directory should be").unwrap();
        let sent = AtomicU32::new(0);
        assert!(matches!(notify(Some(&store), Speaker::Job, &sent, false).await, Notified::Published));
        assert!(matches!(notify(None, Speaker::Job, &sent, false).await, Notified::Published));
        assert_eq!(sent.load(Ordering::Relaxed), 2);
    }
}
