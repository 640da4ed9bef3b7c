//! Which kinds of failure are worth another try, and the retry policies of everything that talks to a database.
//!
//! | what is retried | policy | tries | a side that is away | ends early |
//! |---|---|---|---|---|
//! | lease, clean-up, chunks, digests, the witness, indexes, database snapshots, the plan of a run | [`of_job`] | 1 + `retries` of the job file | `outage` | interruption |
//! | the plan of `check` and `plan` | [`of_command`] | 1 + `retries` | `outage`, at most 15 s | interruption |
//! | a swap | [`until`] | as many as begin within `swap_wait` | `outage` | – |
//! | what became of a COMMIT or a RENAME without a reply; a lost lease, unless another run has it | [`of_any`] | as many as begin within `outage`, at least 90 s | the same | – |
//! | the instance's metadata at boot | [`of_any`] | as many as begin within 90 s | – | – |
//! | dropping a staging table | [`of_job`] | 3, silence apart | `outage` | – |
//!
//! A side is away when it cannot be reached or says that it is just not able to ([`Kind::Connection`], [`Kind::Transient`]): waits of 1 s,
//! then twice as long each, at most 15 s, for as long as `outage` says. Whoever finds it back for a while and loses it again does so
//! as often as the column "tries" says. After other failures that pass the waits are 200 ms, then twice as long each, at most 30 s. Up to
//! half of each wait is taken off at random.
//!
//! Outside of this program, with policies of their own: the claim to a notification or a launch (`runs/src/store/claim.rs`: 5 tries,
//! 100 ms apart) and the launcher's request for an instance (`launcher-fn/src/instances.rs`: 7 tries, from 500 ms on).

use std::time::Duration;

pub use stopgap_retry::Deadline;
use stopgap_retry::{Backoff, Cancel, Limit, Outage, Prospect};
use tokio_util::sync::CancellationToken;

use crate::model::error::{Error, Kind};

/// How something that talks to a database is tried again.
pub type RetryPolicy = stopgap_retry::RetryPolicy<Error>;
/// A failure that is about to be retried.
pub type Waiting<'a> = stopgap_retry::Waiting<'a, Error>;

const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(30), jitter: 0.5 };
/// A failover takes half a minute to a minute, and whoever comes back is asked gently.
const OUTAGE_BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(15), jitter: 0.5 };
/// Somebody stands by and waits for what a command says.
pub const COMMAND_OUTAGE: Duration = Duration::from_secs(15);

/// The server's own session may take a minute to notice that nobody is there.
const LEAST_OUTAGE: Duration = Duration::from_secs(90);
/// Longer than the longest wait for a host that does not answer.
const NO_OUTAGE: Duration = Duration::from_secs(30);

fn outage(longest: Duration) -> Outage {
    Outage { longest, backoff: OUTAGE_BACKOFF, no_outage: NO_OUTAGE }
}

/// `retries` more tries of what failed for a passing reason, and for as long as a server may be `away`; an interruption ends the waiting.
pub fn of_job(retries: u32, away: Duration, cancel: CancellationToken) -> RetryPolicy {
    RetryPolicy {
        limit: Limit::Retries(retries),
        backoff: BACKOFF,
        outage: Some(outage(away)),
        prospect,
        cancel: Some(Cancel { token: cancel, error: Error::cancelled }),
        say: |waiting| {
            let (what, attempt, error) = (waiting.what, waiting.retry, waiting.error.chain());
            let seconds = waiting.wait.as_secs_f64();
            if let (Some(away), Kind::Connection) = (waiting.away, waiting.error.kind) {
                let (side, away) = (waiting.error.side, away.as_secs());
                tracing::warn!(
                    what,
                    attempt,
                    error,
                    "waiting for the {side}, which has been away for {away} s; trying again in {seconds:.1} s"
                );
            } else {
                tracing::warn!(what, attempt, error, "trying again in {seconds:.1} s");
            }
        },
    }
}

/// As [`of_job`], for somebody who stands by.
pub fn of_command(retries: u32, away: Duration) -> RetryPolicy {
    RetryPolicy { cancel: None, ..of_job(retries, away.min(COMMAND_OUTAGE), CancellationToken::new()) }
}

/// More tries until `deadline` of what failed for a passing reason. `away`: how long a server may be.
pub fn until(deadline: Deadline, away: Duration, say: fn(&Waiting<'_>)) -> RetryPolicy {
    RetryPolicy {
        limit: Limit::Until(deadline),
        backoff: BACKOFF,
        outage: Some(outage(away)),
        prospect,
        cancel: None,
        say,
    }
}

/// More tries for as long as a server may be `away`, whatever failed: it must be done, or found out, if it can be.
pub fn of_any<E>(away: Duration, say: fn(&stopgap_retry::Waiting<'_, E>)) -> stopgap_retry::RetryPolicy<E> {
    stopgap_retry::RetryPolicy {
        limit: Limit::Until(Deadline::after(away.max(LEAST_OUTAGE))),
        backoff: BACKOFF,
        outage: None,
        prospect: |_| Prospect::Open,
        cancel: None,
        say,
    }
}

fn prospect(error: &Error) -> Prospect {
    match error.kind {
        Kind::Connection | Kind::Transient if error.is_given_up => Prospect::Hopeless,
        Kind::Connection | Kind::Transient => Prospect::Away,
        kind if worth_retrying(kind) => Prospect::Open,
        _ => Prospect::Hopeless,
    }
}

/// Whether trying the same again may help. Narrow by default, and exhaustive on purpose.
pub fn worth_retrying(kind: Kind) -> bool {
    match kind {
        Kind::Connection | Kind::Timeout | Kind::Transient | Kind::LockTimeout => true,
        Kind::Tls
        | Kind::UnknownHost
        | Kind::Login
        | Kind::UnknownDatabase
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
