//! What became of a transaction whose COMMIT got no reply.

use std::future::Future;
use std::time::Duration;

use crate::connect::retry;
use crate::model::error::{Error, Kind, Result, Side};

/// What the server knows of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitState {
    Committed,
    RolledBack,
}

/// Asks the server until it knows: nothing if the transaction was committed, `lost` if it was rolled back. `transaction`: in words.
/// `away`: how long the server may be.
///
/// # Errors
///
/// `lost`, or `CommitUnknown` where the server does not tell.
pub async fn resolve_commit<F>(transaction: &str, lost: Error, away: Duration, ask: impl Fn() -> F) -> Result<()>
where
    F: Future<Output = Result<CommitState>>,
{
    // The COMMIT itself was the first try.
    let policy = retry::of_any(away, |_| {});
    let settled = async || match ask().await {
        Ok(CommitState::Committed) => Ok(true),
        Ok(CommitState::RolledBack) => Ok(false),
        // Also where the old session is at it still, or has not noticed yet that nobody is there.
        Err(error) => {
            tracing::debug!(error = error.chain(), "the target does not tell what became of {transaction}");
            Err(())
        }
    };
    match policy.retry_after((), transaction, &mut 0, settled).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(lost),
        Err(()) => {
            let message = format!("whether {transaction} was committed could not be found out");
            Err(Error::new(Side::Target, Kind::CommitUnknown, message).with_source(lost))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// `None`: the server cannot be reached.
    async fn resolved(states: &[Option<CommitState>]) -> Option<Kind> {
        let lost = Error::new(Side::Target, Kind::Connection, "the reply to COMMIT was lost");
        let asked = AtomicUsize::new(0);
        let none = || Error::new(Side::Target, Kind::Connection, "no connection");
        let ask = async || states.get(asked.fetch_add(1, Ordering::Relaxed)).copied().flatten().ok_or_else(none);
        let result = resolve_commit("a transaction", lost, Duration::ZERO, ask).await;
        result.err().map(|error| error.kind)
    }

    #[tokio::test]
    async fn the_server_is_asked_until_it_knows() {
        assert_eq!(resolved(&[Some(CommitState::Committed)]).await, None);
        assert_eq!(resolved(&[None, Some(CommitState::Committed)]).await, None);
        assert_eq!(resolved(&[None, Some(CommitState::RolledBack)]).await, Some(Kind::Connection));
    }
}
