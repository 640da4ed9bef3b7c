//! Whether a server is there: what a failed connection means depends on those before it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::model::error::{Error, Kind, Result};

/// Failures further apart belong to two outages: waits for a server that is away are a quarter of a minute at most, and so is
/// `connect_timeout` unless the job file says more.
const ONE_OUTAGE: Duration = Duration::from_mins(1);

/// What a run's connections to one server came to so far. All parts of a run share it.
#[derive(Debug)]
pub struct Reach {
    /// How long the server may be away.
    outage: Duration,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Databases to which a connection was opened.
    reached: BTreeSet<String>,
    away: Option<Away>,
}

#[derive(Debug, Clone, Copy)]
struct Away {
    since: Instant,
    last_failure: Instant,
}

impl Reach {
    pub fn new(outage: Duration) -> Self {
        Self { outage, seen: Mutex::default() }
    }

    /// What opening a connection to `database` came to, seen together with the run's other connections:
    ///
    /// - A host or a database that was there a moment ago is not misspelt: it is away.
    /// - A server that has been away for too long is [given up](Error::is_given_up): the tables that come next do not wait once more.
    pub fn judge<T>(&self, database: &str, opened: Result<T>) -> Result<T> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.is_ok() {
            seen.away = None;
            seen.reached.insert(database.to_owned());
        }
        opened.map_err(|error| {
            let kind = match error.kind {
                Kind::UnknownHost if !seen.reached.is_empty() => Kind::Connection,
                Kind::UnknownDatabase if seen.reached.contains(database) => Kind::Transient,
                kind => kind,
            };
            let is_away = matches!(kind, Kind::Connection | Kind::Transient);
            let is_given_up = is_away && seen.failed(Instant::now()) > self.outage;
            Error { kind, is_given_up, ..error }
        })
    }
}

impl Seen {
    /// How long the server has been away by now.
    fn failed(&mut self, now: Instant) -> Duration {
        let before = self.away.filter(|away| now.duration_since(away.last_failure) < ONE_OUTAGE);
        let since = before.map_or(now, |away| away.since);
        self.away = Some(Away { since, last_failure: now });
        now.duration_since(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Side;

    fn failed(reach: &Reach, kind: Kind) -> (Kind, bool) {
        let error = reach.judge::<()>("d", Err(Error::new(Side::Target, kind, "no"))).unwrap_err();
        (error.kind, error.is_given_up)
    }

    #[test]
    fn what_was_reached_once_is_away_and_not_misspelt() {
        let reach = Reach::new(Duration::from_mins(1));
        for kind in [Kind::UnknownHost, Kind::UnknownDatabase] {
            assert_eq!(failed(&reach, kind), (kind, false));
        }
        reach.judge("other", Ok(())).unwrap();
        assert_eq!(failed(&reach, Kind::UnknownHost), (Kind::Connection, false));
        assert_eq!(failed(&reach, Kind::UnknownDatabase), (Kind::UnknownDatabase, false));
        reach.judge("d", Ok(())).unwrap();
        assert_eq!(failed(&reach, Kind::UnknownDatabase), (Kind::Transient, false));
        assert_eq!(failed(&reach, Kind::Login), (Kind::Login, false));
    }

    #[test]
    fn a_server_is_given_up_once_for_all_tables() {
        let reach = Reach::new(Duration::ZERO);
        assert_eq!(failed(&reach, Kind::Connection), (Kind::Connection, false));
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(failed(&reach, Kind::Transient), (Kind::Transient, true));
        assert_eq!(failed(&reach, Kind::Tls), (Kind::Tls, false));
        reach.judge("d", Ok(())).unwrap();
        assert_eq!(failed(&reach, Kind::Connection), (Kind::Connection, false));
    }

    #[test]
    fn failures_far_apart_are_two_outages() {
        let mut seen = Seen::default();
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(seen.failed(begin), Duration::ZERO);
        assert_eq!(seen.failed(after(50)), Duration::from_secs(50));
        assert_eq!(seen.failed(after(100)), Duration::from_secs(100));
        assert_eq!(seen.failed(after(170)), Duration::ZERO);
    }
}
