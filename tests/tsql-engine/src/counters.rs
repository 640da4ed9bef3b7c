//! What a database counts outside of transactions: rowversions and identities. A rollback does not give numbers back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The rowversion before the first, as in a database that is new.
const FIRST: i64 = 2000;

#[derive(Debug)]
struct State {
    rowversion: i64,
    /// The lowest rowversion that each session's open transaction has used.
    active: HashMap<u16, i64>,
    /// The last value of each table's identity that was given out.
    identities: HashMap<i64, i64>,
}

/// The counters of one database.
#[derive(Debug)]
pub struct Counters(Mutex<State>);

impl Default for Counters {
    fn default() -> Self {
        Self::from(FIRST)
    }
}

impl Counters {
    /// Counters of a database whose last rowversion is this one.
    pub fn from(rowversion: i64) -> Self {
        Self(Mutex::new(State { rowversion, active: HashMap::new(), identities: HashMap::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state whole, so that behind a poisoned lock is, too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next rowversion, which is active until the session's transaction has ended.
    pub fn next_rowversion(&self, spid: u16) -> i64 {
        let mut state = self.state();
        state.rowversion += 1;
        let next = state.rowversion;
        state.active.entry(spid).or_insert(next);
        next
    }

    /// The last rowversion that was used (`@@DBTS`).
    pub fn last_rowversion(&self) -> i64 {
        self.state().rowversion
    }

    /// The lowest rowversion of a transaction that is still open, or the next one (`MIN_ACTIVE_ROWVERSION`).
    pub fn lowest_active(&self) -> i64 {
        let state = self.state();
        state.active.values().min().copied().unwrap_or(state.rowversion + 1)
    }

    /// The session's transaction has ended, and its rows can be seen or are gone.
    pub fn ended(&self, spid: u16) {
        self.state().active.remove(&spid);
    }

    /// The next identity of a table, whose last is `last` if none was given out yet.
    pub fn next_identity(&self, table: i64, last: i64, step: i64) -> i64 {
        let mut state = self.state();
        let value = state.identities.entry(table).or_insert(last);
        *value += step;
        *value
    }

    /// A value of a table's identity that was given by hand.
    pub fn raise_identity(&self, table: i64, last: i64) {
        self.state().identities.insert(table, last);
    }

    /// Identities of a table go on from what its rows and its definition say.
    pub fn forget_identity(&self, table: i64) {
        self.state().identities.remove(&table);
    }

    /// The database is what it was when its last rowversion was this one.
    pub fn restore(&self, rowversion: i64) {
        let mut state = self.state();
        state.rowversion = rowversion;
        state.identities.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_active_rowversion_waits_for_its_transaction() {
        let counters = Counters::default();
        assert_eq!(counters.lowest_active(), FIRST + 1);
        let (first, second) = (counters.next_rowversion(51), counters.next_rowversion(52));
        assert_eq!((counters.next_rowversion(51), counters.lowest_active()), (FIRST + 3, first));
        counters.ended(51);
        assert_eq!(counters.lowest_active(), second);
        counters.ended(52);
        assert_eq!(counters.lowest_active(), counters.last_rowversion() + 1);
    }
}
