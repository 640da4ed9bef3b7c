//! How a run shows that it is under way: bars on a terminal, plain lines otherwise, or nothing.

use std::sync::Arc;

use indicatif::MultiProgress;

mod bars;
mod lines;

/// Where a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Load,
    Verify,
    Swap,
    /// Of `sync-job verify`, which loads nothing.
    Read,
    Compare,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Stage::Load => "loading",
            Stage::Verify => "verifying and indexing",
            Stage::Swap => "swapping",
            Stage::Read => "reading",
            Stage::Compare => "comparing",
        }
    }

    /// Whether its rows are counted as they come.
    fn counts_rows(self) -> bool {
        matches!(self, Stage::Load | Stage::Read)
    }
}

/// Told what happens. Cheap: [`Progress::rows`] is called for every buffer.
pub trait Progress: Send + Sync {
    fn table_started(&self, table: &str, stage: Stage, rows: Option<u64>);
    fn rows(&self, table: &str, rows: u64, bytes: u64);
    /// Rows of a chunk that will be read again.
    fn undo(&self, table: &str, rows: u64, bytes: u64);
    fn stage(&self, table: &str, stage: Stage);
    fn table_done(&self, table: &str, outcome: &str);
    fn finished(&self);
}

/// Says nothing.
pub struct Silent;

impl Progress for Silent {
    fn table_started(&self, _: &str, _: Stage, _: Option<u64>) {}
    fn rows(&self, _: &str, _: u64, _: u64) {}
    fn undo(&self, _: &str, _: u64, _: u64) {}
    fn stage(&self, _: &str, _: Stage) {}
    fn table_done(&self, _: &str, _: &str) {}
    fn finished(&self) {}
}

/// How progress is shown, decided once so that log lines know about the bars.
#[derive(Clone)]
pub enum Display {
    /// Standard error is a terminal.
    Bars(MultiProgress),
    Lines,
    Silent,
}

impl Display {
    /// Bars if standard error is a terminal, lines if not, nothing if `quiet`.
    pub fn choose(quiet: bool) -> Self {
        if quiet {
            Display::Silent
        } else if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            Display::Bars(MultiProgress::new())
        } else {
            Display::Lines
        }
    }

    pub fn start(&self) -> Arc<dyn Progress> {
        match self {
            Display::Bars(all) => Arc::new(bars::Bars::new(all.clone())),
            Display::Lines => Arc::new(lines::Lines::new()),
            Display::Silent => Arc::new(Silent),
        }
    }
}
