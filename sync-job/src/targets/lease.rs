//! What the leases of all targets have in common: how a lost lease is reacquired.

use std::future::Future;

use crate::connect::retry;
use crate::model::error::{Error, Kind, Result, Side};

/// How often reacquiring is tried; the waits between add up to a minute and a half.
const ATTEMPTS: u32 = 10;

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
    pub async fn reacquire<F>(&mut self, reason: Error, acquire: impl Fn() -> F) -> Result<()>
    where
        F: Future<Output = Result<Acquired<C>>>,
    {
        tracing::warn!(error = reason.chain(), "the lease was lost");
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match acquire().await {
                Ok(Acquired::Ours(session)) => {
                    tracing::info!("the lease was reacquired");
                    self.session = session;
                    return Ok(());
                }
                Ok(Acquired::Others(id, words)) if id.is_some_and(|id| id != self.session.id) => {
                    self.lost = true;
                    return Err(lost().with_source(words));
                }
                Ok(Acquired::Others(_, words)) => lost().with_source(words),
                Err(error) => error,
            };
            if attempt == ATTEMPTS {
                return Err(lost().with_source(error.whole()));
            }
            tracing::warn!(attempt, error = error.chain(), "the lease cannot be reacquired yet");
            tokio::time::sleep(retry::backoff(attempt)).await;
        }
    }
}

fn lost() -> Error {
    Error::new(Side::Target, Kind::Conflict, "the lease that keeps other runs of this job out was lost")
}
