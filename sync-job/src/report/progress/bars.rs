//! One bar a table under way.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::{Progress, Stage};
use crate::model::human;

pub struct Bars {
    all: MultiProgress,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    /// Bars below the log lines that are written through `all`'s `suspend`.
    pub fn new(all: MultiProgress) -> Self {
        Self { all, bars: Mutex::new(HashMap::new()) }
    }

    fn with(&self, table: &str, act: impl FnOnce(&ProgressBar)) {
        // A panic elsewhere does not make the bars wrong.
        if let Some(bar) = self.bars.lock().unwrap_or_else(PoisonError::into_inner).get(table) {
            act(bar);
        }
    }
}

impl Progress for Bars {
    fn table_started(&self, table: &str, stage: Stage, rows: Option<u64>) {
        let template = if rows.is_some() {
            "{prefix:24!} [{bar:24}] {human_pos}/{human_len} rows {rate} {msg}"
        } else {
            "{prefix:24!} {spinner} {human_pos} rows {rate} {msg}"
        };
        let bar = rows.map_or_else(ProgressBar::no_length, ProgressBar::new);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
                // What cannot be shown is no reason to stop.
                let _ = write!(out, "{}/s", human::short_count(state.per_sec() as u64));
            }));
        }
        bar.set_prefix(table.to_owned());
        bar.set_message(stage.name());
        let bar = self.all.add(bar);
        self.bars.lock().unwrap_or_else(PoisonError::into_inner).insert(table.to_owned(), bar);
    }

    fn rows(&self, table: &str, rows: u64, _bytes: u64) {
        self.with(table, |bar| bar.inc(rows));
    }

    fn undo(&self, table: &str, rows: u64, _bytes: u64) {
        self.with(table, |bar| bar.set_position(bar.position().saturating_sub(rows)));
    }

    fn stage(&self, table: &str, stage: Stage) {
        self.with(table, |bar| bar.set_message(stage.name()));
    }

    fn table_done(&self, table: &str, outcome: &str) {
        self.with(table, |bar| bar.finish_with_message(outcome.to_owned()));
    }

    fn finished(&self) {
        // The report says all that the bars did.
        let _ = self.all.clear();
    }
}
