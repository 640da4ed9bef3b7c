//! Which kinds of failure are worth another try, and how long to wait before it.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::error::{Error, Kind, Result};

/// The first wait; each further one doubles.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

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
        | Kind::Refused
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

/// The wait before try `attempt` (1 = the first retry): doubling, with up to half of it taken off at random so that
/// readers that failed together do not come back together.
pub fn backoff(attempt: u32) -> Duration {
    let full = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))).min(LONGEST_WAIT);
    full.mul_f64(1.0 - rand::random::<f64>() / 2.0)
}

/// How often something is tried again, and what ends the waiting.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// Further tries after the first.
    pub retries: u32,
    pub cancel: CancellationToken,
}

impl RetryPolicy {
    /// Repeats what failed for a passing reason. `retries` counts how often.
    pub async fn retry<R, F>(&self, what: &str, retries: &mut u32, mut act: impl FnMut() -> F) -> Result<R>
    where
        F: Future<Output = Result<R>>,
    {
        let mut attempt = 0;
        loop {
            match act().await {
                Ok(done) => return Ok(done),
                Err(error) => {
                    attempt += 1;
                    self.wait(what, attempt, error).await?;
                    *retries += 1;
                }
            }
        }
    }

    /// Waits before try `attempt + 1`, or gives the error back where another try is not worth it.
    pub async fn wait(&self, what: &str, attempt: u32, error: Error) -> Result<()> {
        if attempt > self.retries || !worth_retrying(error.kind) {
            return Err(error);
        }
        tracing::warn!(what, attempt, error = error.chain(), "trying again");
        tokio::select! {
            () = tokio::time::sleep(backoff(attempt)) => Ok(()),
            () = self.cancel.cancelled() => Err(Error::cancelled()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        for attempt in 1..40 {
            let wait = backoff(attempt);
            assert!(wait <= LONGEST_WAIT && wait >= FIRST_WAIT / 2, "{attempt}: {wait:?}");
        }
        assert!(backoff(5) > backoff(1));
    }

    #[test]
    fn data_errors_are_never_retried() {
        assert!(!worth_retrying(Kind::Data));
        assert!(worth_retrying(Kind::Transient));
    }
}
