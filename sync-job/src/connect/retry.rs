//! Which kinds of failure are worth another try, and the retry policies of everything that talks to a database.
//!
//! | what is retried | policy | tries | after which failures | ends early |
//! |---|---|---|---|---|
//! | plan, lease, clean-up, chunks, digests, the witness, indexes, database snapshots | [`of_job`] | 1 + `retries` of the job file | [`worth_retrying`] | interruption |
//! | a swap | [`until`] | as many as begin within `swap_wait` | [`worth_retrying`] | – |
//! | what became of a COMMIT or a RENAME without a reply | [`of_any`] | 10 | all | – |
//! | a lost lease | [`of_any`] | 10 | all, unless another run has it | – |
//! | dropping a staging table | [`of_any`] | 3 | all but silence | – |
//!
//! All of them wait 200 ms before the first retry, twice as long before each further one, at most 30 s, with up to half of it
//! taken off at random. Outside of this program, with policies of their own: the claim to a notification or a launch
//! (`runs/src/store/claim.rs`: 5 tries, 100 ms apart) and the launcher's request for an instance
//! (`launcher-fn/src/instances.rs`: 7 tries, from 500 ms on).

use std::time::Duration;

pub use stopgap_retry::Deadline;
use stopgap_retry::{Backoff, Cancel, Limit};
use tokio_util::sync::CancellationToken;

use crate::model::error::{Error, Kind};

/// How something that talks to a database is tried again.
pub type RetryPolicy = stopgap_retry::RetryPolicy<Error>;
/// A failure that is about to be retried.
pub type Waiting<'a> = stopgap_retry::Waiting<'a, Error>;

const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(30), jitter: 0.5 };

/// `retries` more tries of what failed for a passing reason; an interruption ends the waiting.
pub fn of_job(retries: u32, cancel: CancellationToken) -> RetryPolicy {
    RetryPolicy {
        limit: Limit::Retries(retries),
        backoff: BACKOFF,
        is_passing: |error| worth_retrying(error.kind),
        cancel: Some(Cancel { token: cancel, error: Error::cancelled }),
        say: |waiting| {
            tracing::warn!(what = waiting.what, attempt = waiting.retry, error = waiting.error.chain(), "trying again");
        },
    }
}

/// More tries until `deadline` of what failed for a passing reason.
pub fn until(deadline: Deadline, say: fn(&Waiting<'_>)) -> RetryPolicy {
    RetryPolicy {
        limit: Limit::Until(deadline),
        backoff: BACKOFF,
        is_passing: |error| worth_retrying(error.kind),
        cancel: None,
        say,
    }
}

/// `retries` more tries, whatever failed: it must be done, or found out, if it can be.
pub fn of_any<E>(retries: u32, say: fn(&stopgap_retry::Waiting<'_, E>)) -> stopgap_retry::RetryPolicy<E> {
    stopgap_retry::RetryPolicy {
        limit: Limit::Retries(retries),
        backoff: BACKOFF,
        is_passing: |_| true,
        cancel: None,
        say,
    }
}

/// Whether trying the same again may help. Narrow by default, and exhaustive on purpose.
pub fn worth_retrying(kind: Kind) -> bool {
    match kind {
        Kind::Connection | Kind::Timeout | Kind::Transient | Kind::LockTimeout => true,
        Kind::Tls
        | Kind::Login
        | Kind::Permission
        | Kind::Data
        | Kind::ForeignKeyViolation
        | Kind::StorageFull
        | Kind::Mismatch
        | Kind::PrecheckFailed
        | Kind::LeaseHeld
        | Kind::ShrinkGuard
        | Kind::GroupFailed
        | Kind::NotComparable
        | Kind::Conflict
        | Kind::Configuration
        | Kind::Cancelled
        | Kind::CommitUnknown
        | Kind::Statement
        | Kind::Internal => false,
    }
}

/// Whether a COMMIT that failed so may have been carried out all the same.
pub fn is_reply_lost(kind: Kind) -> bool {
    matches!(kind, Kind::Connection | Kind::Timeout | Kind::Transient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_errors_are_never_retried() {
        assert!(!worth_retrying(Kind::Data));
        assert!(worth_retrying(Kind::Transient));
    }
}
