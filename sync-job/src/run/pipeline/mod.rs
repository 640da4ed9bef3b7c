//! Concurrency, retries, memory and cancellation: joins a source and a target, and knows the SQL of neither.

use std::sync::Arc;

use tokio::sync::{Mutex, Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::config::Limits;
use crate::connect::retry::{self, RetryPolicy};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::facts::Abilities;
use crate::model::state::Remembered;
use crate::plan::TablePlan;
use crate::proof::witness::Turn;
use crate::report::progress::Progress;
use crate::sources::Source;
use crate::targets::Target;

mod changes;
mod chunks;
mod compare;
mod copied;
mod differences;
mod mend;
mod named_rows;
mod newer;
mod remember;
mod router;
mod sink;
mod staging;
mod swap_groups;
mod table;
pub mod taken_over;
mod witness;

pub use compare::{Verification, compare_all};
pub use swap_groups::copy_all;
use taken_over::Resume;

/// What all tables of a run share.
pub struct Context<S: Source, T: Target> {
    pub source: Arc<S>,
    pub target: Arc<T>,
    pub limits: Limits,
    pub progress: Arc<dyn Progress>,
    pub cancel: CancellationToken,
    pub policy: RetryPolicy,
    /// The view to read from, where the run opened one.
    pub view: Option<String>,
    /// What the source can be asked for, and which share of a large table this run asks about.
    pub abilities: Abilities,
    pub turn: Turn,
    /// What earlier runs left of tables whose changes are followed.
    pub remembered: Remembered,
    /// What a run that died left of tables that are copied whole.
    pub resume: Resume<S::Unit>,
    /// One permit for each connection to the source that may read at the same time.
    readers: Semaphore,
    /// One permit for each table under way.
    tables: Semaphore,
    memory: sink::Memory,
    /// Connections that have finished a chunk and can read another.
    idle: Mutex<Vec<S::Reader>>,
    /// Each time the target is found silent.
    target_is_silent: Notify,
}

/// What was found out before the tables are looked at.
pub struct Known<U> {
    pub abilities: Abilities,
    pub turn: Turn,
    pub remembered: Remembered,
    pub resume: Resume<U>,
}

impl<S: Source, T: Target> Context<S, T> {
    pub fn new(
        source: Arc<S>,
        target: Arc<T>,
        limits: Limits,
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
        view: Option<String>,
        Known { abilities, turn, remembered, resume }: Known<S::Unit>,
    ) -> Self {
        let readers = Semaphore::new(limits.readers);
        let tables = Semaphore::new(limits.tables);
        let policy = retry::of_job(limits.retries, limits.outage, cancel.clone());
        let memory = sink::Memory::new(limits.memory, limits.readers);
        let idle = Mutex::new(Vec::new());
        let target_is_silent = Notify::new();
        Self {
            source,
            target,
            limits,
            progress,
            cancel,
            policy,
            view,
            abilities,
            turn,
            remembered,
            resume,
            readers,
            tables,
            memory,
            idle,
            target_is_silent,
        }
    }

    /// Whether something is remembered of the table, or is about to be.
    fn is_remembered(&self, table: &TablePlan) -> bool {
        let Remembered { own, by_others } = &self.remembered;
        table.mode.follows_changes() || own.contains_key(&table.target) || by_others.contains(&table.target)
    }

    /// The lease's heartbeat got no answer: what waits for the target over other connections waits for nothing.
    pub fn target_is_silent(&self) {
        self.target_is_silent.notify_waiters();
    }

    /// Work on the target that may take long without a sign, and that may be done again. A network may drop what is sent without telling
    /// either side.
    async fn while_target_answers<R>(&self, work: impl Future<Output = Result<R>>) -> Result<R> {
        tokio::select! {
            result = work => result,
            () = self.target_is_silent.notified() => {
                let seconds = self.limits.stall_timeout.as_secs();
                let message = format!("the target did not answer the lease's heartbeat for {seconds} s");
                Err(Error::new(Side::Target, Kind::Connection, message))
            }
        }
    }

    async fn take_reader(&self) -> Result<S::Reader> {
        let idle = self.idle.lock().await.pop();
        match idle {
            Some(reader) => Ok(reader),
            None => self.source.reader(self.view.as_deref()).await,
        }
    }

    /// Only readers whose last statement was read to its end come back.
    async fn give_back(&self, reader: S::Reader) {
        self.idle.lock().await.push(reader);
    }

    /// What broke one connection (a failover, a firewall) has most likely broken those that wait, too: a try that finds
    /// them dead one after the other would be none.
    async fn after(&self, error: &Error) {
        if error.side == Side::Source && matches!(error.kind, Kind::Connection | Kind::Timeout) {
            self.idle.lock().await.clear();
        }
    }
}

/// A place among those that may read, or among those that may load, at the same time.
async fn permit(semaphore: &Semaphore) -> Result<tokio::sync::SemaphorePermit<'_>> {
    semaphore.acquire().await.map_err(|_| Error::cancelled())
}
