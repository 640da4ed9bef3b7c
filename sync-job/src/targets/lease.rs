//! What the leases of all targets have in common: how a lost lease is reacquired.

use std::future::Future;
use std::time::Duration;

use crate::connect::retry;
use crate::model::error::{Error, Kind, Result, Side};

/// Asking for a lock of one's own takes no time: longer than any server is busy.
const SILENCE: Duration = Duration::from_mins(2);

/// The connection that holds the lock.
pub struct Session<C> {
    pub connection: C,
    /// The server's number of it.
    pub id: u64,
}

/// What asking for the lock came to.
pub enum Acquired<C> {
    Ours(Session<C>),
    /// Another connection has it: its number, where it can be seen, and more of it in words.
    Others(Option<u64>, String),
}

/// A lease, held or lost.
pub struct LeaseState<C> {
    pub session: Session<C>,
    /// Another run has or had it: nothing of this run may be put before readers any more.
    lost: bool,
}

impl<C> LeaseState<C> {
    pub fn new(session: Session<C>) -> Self {
        Self { session, lost: false }
    }

    /// An error once it is lost for good.
    pub fn check(&self) -> Result<()> {
        if self.lost { Err(lost()) } else { Ok(()) }
    }

    /// Reacquires it after `reason`. The server may take a while to come back, or to notice that the old connection is gone.
    /// `away`: how long it may be.
    pub async fn reacquire<F>(&mut self, reason: Error, away: Duration, acquire: impl Fn() -> F) -> Result<()>
    where
        F: Future<Output = Result<Acquired<C>>>,
    {
        tracing::warn!(error = reason.chain(), "the lease was lost");
        let own = self.session.id;
        let ask = async || match acquire().await? {
            Acquired::Ours(session) => Ok(Ok(session)),
            Acquired::Others(id, words) if id.is_some_and(|id| id != own) => Ok(Err(words)),
            Acquired::Others(_, words) => Err(lost().with_source(words)),
        };
        let policy = retry::of_any(away, |waiting: &retry::Waiting<'_>| {
            let error = waiting.error.chain();
            tracing::warn!(attempt = waiting.retry, error, "the lease cannot be reacquired yet");
        });
        match policy.retry("lease", &mut 0, ask).await {
            Ok(Ok(session)) => {
                tracing::info!("the lease was reacquired");
                self.session = session;
                Ok(())
            }
            Ok(Err(words)) => {
                self.lost = true;
                Err(lost().with_source(words))
            }
            Err(error) => Err(lost().with_source(error.whole())),
        }
    }
}

/// Whether the lock is still held, as the server says over its own connection; a connection over which it says nothing is as good as lost.
pub async fn answered(holds: impl Future<Output = Result<bool>>) -> Result<bool> {
    tokio::time::timeout(SILENCE, holds).await.unwrap_or_else(|_| {
        let message = format!("no answer in {} s", SILENCE.as_secs());
        Err(Error::new(Side::Target, Kind::Connection, message))
    })
}

fn lost() -> Error {
    Error::new(Side::Target, Kind::Conflict, "the lease that keeps other runs of this job out was lost")
}
