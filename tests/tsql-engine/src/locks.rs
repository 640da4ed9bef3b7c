//! Who is changing what: the rows that open transactions hold, and those who wait for them.
//!
//! Not as SQL Server has it: there are locks of changed rows and keys only, all of them exclusive and held to the end of the transaction.
//! Readers neither take nor wait for them, so a read under READ COMMITTED sees committed rows as under READ_COMMITTED_SNAPSHOT.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::error;
use crate::value::SqlError;

/// How often a waiting session looks whether its client has cancelled.
const LOOK: Duration = Duration::from_millis(20);

/// What of a table is held.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Row {
    /// The row with SQLite's number.
    Number(i64),
    /// A key of a unique index: the index's id and the key's bytes.
    Key(i64, Vec<u8>),
}

/// A row or a key of a table in a database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lock {
    pub database: i64,
    pub table: String,
    pub row: Row,
}

/// Who holds a lock, and whether the row or key will be gone when its transaction commits.
#[derive(Debug, Clone, Copy)]
struct Hold {
    spid: u16,
    gone: bool,
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<Lock, Hold>,
    /// How often each session has let go of its locks.
    ended: HashMap<u16, u64>,
    /// Whom each waiting session waits for.
    waiting: HashMap<u16, u16>,
}

/// The locks of a server.
#[derive(Debug, Default)]
pub struct Locks {
    state: Mutex<State>,
    released: Condvar,
}

impl Locks {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state whole, so that behind a poisoned lock is, too.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session that stands in the way of these locks.
    pub fn holder(&self, spid: u16, wanted: &[(Lock, bool)]) -> Option<u16> {
        let state = self.state();
        wanted.iter().find_map(|(lock, _)| state.held.get(lock).map(|hold| hold.spid).filter(|other| *other != spid))
    }

    /// Takes locks that nobody else has; each with whether its row or key will be gone.
    pub fn take(&self, spid: u16, wanted: Vec<(Lock, bool)>) {
        self.state().held.extend(wanted.into_iter().map(|(lock, gone)| (lock, Hold { spid, gone })));
    }

    /// Whether another session holds anything.
    pub fn others(&self, spid: u16) -> bool {
        self.state().held.values().any(|hold| hold.spid != spid)
    }

    /// Another session that holds rows of a table; with `gone`, rows that are about to go.
    pub fn in_table(&self, spid: u16, database: i64, table: &str, gone: bool) -> Option<u16> {
        let state = self.state();
        let other = |(lock, hold): (&Lock, &Hold)| {
            let found = hold.spid != spid && lock.database == database && lock.table == table && (hold.gone || !gone);
            found.then_some(hold.spid)
        };
        state.held.iter().find_map(other)
    }

    /// Lets go of everything that a session holds.
    pub fn release(&self, spid: u16) {
        let mut state = self.state();
        state.held.retain(|_, hold| hold.spid != spid);
        *state.ended.entry(spid).or_default() += 1;
        drop(state);
        self.released.notify_all();
    }

    /// Waits until another session has let go: 1222 after `limit`, 1205 where that session waits for this one, and the error of a
    /// cancelled statement where the client no longer wants it.
    pub fn wait(
        &self,
        spid: u16,
        holder: u16,
        limit: Option<Duration>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), SqlError> {
        let mut state = self.state();
        let mut next = Some(holder);
        while let Some(other) = next {
            if other == spid {
                return Err(victim(spid));
            }
            next = state.waiting.get(&other).copied();
        }
        let seen = state.ended.get(&holder).copied();
        let start = Instant::now();
        state.waiting.insert(spid, holder);
        let holds = |state: &State| {
            state.ended.get(&holder).copied() == seen && state.held.values().any(|hold| hold.spid == holder)
        };
        let mut result = Ok(());
        while holds(&state) {
            if limit.is_some_and(|limit| start.elapsed() >= limit) {
                result = Err(timed_out());
                break;
            }
            if cancelled() {
                result = Err(crate::error::cancelled());
                break;
            }
            let left = limit.map_or(LOOK, |limit| LOOK.min(limit.saturating_sub(start.elapsed())));
            state = self.released.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.waiting.remove(&spid);
        result
    }
}

/// 1222.
pub fn timed_out() -> SqlError {
    SqlError { state: 51, ..error(1222, "Lock request time out period exceeded.") }
}

/// 1205.
pub fn victim(spid: u16) -> SqlError {
    SqlError {
        number: 1205,
        state: 51,
        class: 13,
        message: format!(
            "Transaction (Process ID {spid}) was deadlocked on lock resources with another process and has been chosen as the \
             deadlock victim. Rerun the transaction."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: i64) -> Lock {
        Lock { database: 5, table: "dbo.t".to_owned(), row: Row::Number(number) }
    }

    #[test]
    fn a_row_has_one_holder_until_it_is_released() {
        let locks = Locks::default();
        locks.take(51, vec![(row(1), false), (row(2), true)]);
        assert_eq!(locks.holder(52, &[(row(3), false), (row(1), false)]), Some(51));
        assert_eq!(locks.holder(51, &[(row(1), false)]), None, "its own");
        assert_eq!(locks.in_table(52, 5, "dbo.t", true), Some(51));
        assert_eq!(locks.in_table(52, 6, "dbo.t", false), None, "another database");
        locks.release(51);
        assert_eq!(locks.holder(52, &[(row(1), false)]), None);
    }

    #[test]
    fn a_wait_ends_in_time() {
        let locks = Locks::default();
        locks.take(51, vec![(row(1), false)]);
        let limit = Some(Duration::from_millis(30));
        assert_eq!(locks.wait(52, 51, limit, &|| false).unwrap_err().number, 1222);
        assert_eq!(locks.wait(52, 51, None, &|| true).unwrap_err().number, crate::error::CANCELLED);
        assert_eq!(locks.wait(51, 51, None, &|| false).unwrap_err().number, 1205);
    }
}
