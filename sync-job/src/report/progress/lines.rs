//! Plain lines: one at each step, and one every ten seconds for each table under way, so that a long load or index is never
//! silent, not even while no rows arrive.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Progress, Stage};
use crate::model::human;

const INTERVAL: Duration = Duration::from_secs(10);

struct Table {
    expected: Option<u64>,
    rows: u64,
    stage: Stage,
    /// When the stage began.
    since: Instant,
}

impl Table {
    /// `1,200,000 rows (30%), 96 k/s, loading for 12.5s`.
    fn describe(&self) -> String {
        let spent = self.since.elapsed().as_secs_f64();
        let stage = format!("{} for {}", self.stage.name(), human::seconds(spent));
        if !self.stage.counts_rows() {
            return stage;
        }
        let share = self
            .expected
            .filter(|expected| *expected > 0)
            .map(|expected| format!(" ({}%)", (self.rows.saturating_mul(100) / expected).min(100)))
            .unwrap_or_default();
        let rate = human::short_count((self.rows as f64 / spent.max(0.001)) as u64);
        format!("{} rows{share}, {rate}/s, {stage}", human::count(self.rows))
    }
}

struct State {
    tables: BTreeMap<String, Table>,
    out: Box<dyn Write + Send>,
    finished: bool,
}

impl State {
    fn say(&mut self, table: &str, what: &str) {
        // Progress that nobody can read is no reason to stop.
        let _ = writeln!(self.out, "{table}: {what}");
    }
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere does not make the counts wrong.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says where each table is, every `interval`, until all is finished.
    fn tick(&self, interval: Duration) {
        let mut state = self.lock();
        let mut next = Instant::now() + interval;
        while !state.finished {
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let lines: Vec<_> = state.tables.iter().map(|(name, table)| (name.clone(), table.describe())).collect();
                for (name, what) in lines {
                    state.say(&name, &what);
                }
                next = Instant::now() + interval;
            } else {
                state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

/// See the module.
pub struct Lines {
    shared: Arc<Shared>,
    ticker: Mutex<Option<JoinHandle<()>>>,
}

impl Lines {
    /// Lines on standard error.
    pub fn new() -> Self {
        Self::to(Box::new(std::io::stderr()), INTERVAL)
    }

    fn to(out: Box<dyn Write + Send>, interval: Duration) -> Self {
        let state = State { tables: BTreeMap::new(), out, finished: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new() });
        let ticking = shared.clone();
        // A thread of its own: it must speak while every task waits. Without one the steps are still said.
        let ticker = std::thread::Builder::new().name("progress".to_owned()).spawn(move || ticking.tick(interval)).ok();
        Self { shared, ticker: Mutex::new(ticker) }
    }
}

impl Progress for Lines {
    fn table_started(&self, table: &str, stage: Stage, rows: Option<u64>) {
        let mut state = self.shared.lock();
        let expected = rows.map(|rows| format!(", about {} rows", human::count(rows))).unwrap_or_default();
        state.say(table, &format!("{}{expected}", stage.name()));
        let entry = Table { expected: rows, rows: 0, stage, since: Instant::now() };
        state.tables.insert(table.to_owned(), entry);
    }

    fn rows(&self, table: &str, rows: u64, _bytes: u64) {
        if let Some(entry) = self.shared.lock().tables.get_mut(table) {
            entry.rows += rows;
        }
    }

    fn undo(&self, table: &str, rows: u64, _bytes: u64) {
        if let Some(entry) = self.shared.lock().tables.get_mut(table) {
            entry.rows = entry.rows.saturating_sub(rows);
        }
    }

    fn stage(&self, table: &str, stage: Stage) {
        let mut all = self.shared.lock();
        let said = all.tables.get(table).is_some_and(|entry| entry.stage == stage);
        if let Some(entry) = all.tables.get_mut(table).filter(|_| !said) {
            (entry.stage, entry.since) = (stage, Instant::now());
        }
        if !said {
            all.say(table, stage.name());
        }
    }

    fn table_done(&self, table: &str, outcome: &str) {
        let mut state = self.shared.lock();
        state.tables.remove(table);
        state.say(table, outcome);
    }

    fn finished(&self) {
        self.shared.lock().finished = true;
        self.shared.wake.notify_all();
        let ticker = self.ticker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ticker) = ticker {
            // It can only have panicked, and then there is nothing left to stop.
            let _ = ticker.join();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.finished();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn each_step_has_a_line() {
        let kept = Kept::default();
        let lines = Lines::to(Box::new(kept.clone()), Duration::from_hours(1));
        lines.table_started("public.a", Stage::Load, Some(1200));
        lines.stage("public.a", Stage::Load);
        lines.rows("public.a", 1200, 0);
        lines.stage("public.a", Stage::Verify);
        lines.stage("public.a", Stage::Swap);
        lines.table_done("public.a", "verified and swapped in");
        lines.finished();
        assert_eq!(
            kept.text(),
            "public.a: loading, about 1,200 rows\npublic.a: verifying and indexing\npublic.a: swapping\n\
             public.a: verified and swapped in\n"
        );
    }

    #[test]
    fn a_table_that_brings_no_rows_is_not_silent() {
        let kept = Kept::default();
        let lines = Lines::to(Box::new(kept.clone()), Duration::from_millis(5));
        lines.table_started("public.a", Stage::Load, Some(400));
        lines.rows("public.a", 300, 0);
        lines.undo("public.a", 200, 0);
        let limit = Instant::now() + Duration::from_secs(10);
        while !kept.text().contains("public.a: 100 rows (25%)") {
            assert!(Instant::now() < limit, "nothing was said: {}", kept.text());
            std::thread::sleep(Duration::from_millis(1));
        }
        lines.finished();
        let said = kept.text();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(kept.text(), said, "silent after the end");
    }
}
