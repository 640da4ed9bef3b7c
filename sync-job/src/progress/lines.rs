//! Plain lines: one at each step, and one every ten seconds while a table loads, so that a long one is never silent.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Progress, Stage};
use crate::report::human;

const INTERVAL: Duration = Duration::from_secs(10);

struct Table {
    expected: Option<u64>,
    rows: u64,
    started: Instant,
    said: Instant,
}

pub struct Lines {
    tables: Mutex<HashMap<String, Table>>,
}

impl Lines {
    pub fn new() -> Self {
        Self { tables: Mutex::new(HashMap::new()) }
    }

    fn with(&self, table: &str, act: impl FnOnce(&mut Table)) {
        // A panic elsewhere does not make the counts wrong.
        if let Some(table) = self.tables.lock().unwrap_or_else(PoisonError::into_inner).get_mut(table) {
            act(table);
        }
    }
}

impl Progress for Lines {
    fn table_started(&self, table: &str, rows: Option<u64>) {
        let expected = rows.map(|rows| format!(", about {} rows", human::count(rows))).unwrap_or_default();
        eprintln!("{table}: loading{expected}");
        let now = Instant::now();
        let entry = Table { expected: rows, rows: 0, started: now, said: now };
        self.tables.lock().unwrap_or_else(PoisonError::into_inner).insert(table.to_owned(), entry);
    }

    fn rows(&self, table: &str, rows: u64, _bytes: u64) {
        self.with(table, |entry| {
            entry.rows += rows;
            if entry.said.elapsed() < INTERVAL {
                return;
            }
            entry.said = Instant::now();
            let rate = entry.rows as f64 / entry.started.elapsed().as_secs_f64();
            let share = entry.expected.filter(|expected| *expected > 0).map(|expected| {
                format!(" ({}%)", (entry.rows.saturating_mul(100) / expected).min(100))
            });
            eprintln!(
                "{table}: {} rows{}, {}/s",
                human::count(entry.rows),
                share.unwrap_or_default(),
                human::short_count(rate as u64)
            );
        });
    }

    fn undo(&self, table: &str, rows: u64, _bytes: u64) {
        self.with(table, |entry| entry.rows = entry.rows.saturating_sub(rows));
    }

    fn stage(&self, table: &str, stage: Stage) {
        if stage != Stage::Load {
            eprintln!("{table}: {}", stage.name());
        }
    }

    fn table_done(&self, table: &str, outcome: &str) {
        eprintln!("{table}: {outcome}");
    }

    fn finished(&self) {}
}
