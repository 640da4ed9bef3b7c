//! What the leases of all targets have in common: how one that was lost is taken again.

use std::future::Future;

use crate::connect::retry;
use crate::model::error::{Error, Kind, Result, Side};

/// How often a lost lease is asked for; the waits between add up to a minute and a half.
const TAKES: u32 = 10;

/// The connection that holds the lock.
pub struct Session<C> {
    pub connection: C,
    /// The server's number of it.
    pub id: u64,
}

/// What asking for the lock came to.
pub enum Taken<C> {
    Ours(Session<C>),
    /// Another connection has it: its number, where it can be seen, and more of it in words.
    Others(Option<u64>, String),
}

/// A lease, held or lost.
pub struct Hold<C> {
    pub session: Session<C>,
    /// Another run has or had it: nothing of this run may be put before readers any more.
    lost: bool,
}

impl<C> Hold<C> {
    pub fn new(session: Session<C>) -> Self {
        Self { session, lost: false }
    }

    /// An error once it is lost for good.
    pub fn is_kept(&self) -> Result<()> {
        if self.lost { Err(lost()) } else { Ok(()) }
    }

    /// Takes it again after `reason`. The server may take a while to come back, or to notice that the old connection is gone.
    pub async fn take_again<F>(&mut self, reason: Error, take: impl Fn() -> F) -> Result<()>
    where
        F: Future<Output = Result<Taken<C>>>,
    {
        tracing::warn!(error = reason.chain(), "the lease was lost");
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match take().await {
                Ok(Taken::Ours(session)) => {
                    tracing::info!("the lease was taken again");
                    self.session = session;
                    return Ok(());
                }
                Ok(Taken::Others(id, words)) if id.is_some_and(|id| id != self.session.id) => {
                    self.lost = true;
                    return Err(lost().with_source(words));
                }
                Ok(Taken::Others(_, words)) => lost().with_source(words),
                Err(error) => error,
            };
            if attempt == TAKES {
                return Err(lost().with_source(error.whole()));
            }
            tracing::warn!(attempt, error = error.chain(), "the lease cannot be taken again yet");
            tokio::time::sleep(retry::backoff(attempt)).await;
        }
    }
}

fn lost() -> Error {
    Error::new(Side::Target, Kind::Conflict, "the lease that keeps other runs of this job out was lost")
}
