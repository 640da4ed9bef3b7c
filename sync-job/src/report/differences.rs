//! Which rows of both sides differ, by their keys.

use serde::Serialize;

use crate::model::code::plain_coded;
use crate::model::human::counted;
use crate::report::TableReport;
use crate::rows::message::Message;

plain_coded! {
    /// How a row of one side differs from what the other side has under its key.
    pub enum Difference {
        /// Both sides have the key, with other values.
        Differs = "differs",
        /// The target lacks it.
        Missing = "missing",
        /// Only the target has it.
        Extra = "extra",
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DifferingKey {
    pub what: Difference,
    /// `id = 4711`. Its values are hidden unless somebody asks for them.
    pub key: Message,
    /// The source changed it after the version up to which the target was copied.
    pub newer_at_source: bool,
}

/// All rows that differ, and some of their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DifferencesReport {
    pub differing: u64,
    pub missing: u64,
    pub extra: u64,
    /// How many of all these the source changed after the version up to which the target was copied; nothing where that is not known.
    pub newer_at_source: Option<u64>,
    pub keys: Vec<DifferingKey>,
    /// Whether the target holds what the source has now.
    pub repaired: bool,
}

impl DifferencesReport {
    pub fn total(&self) -> u64 {
        self.differing + self.missing + self.extra
    }

    pub fn count(&mut self, what: Difference, rows: u64) {
        match what {
            Difference::Differs => self.differing += rows,
            Difference::Missing => self.missing += rows,
            Difference::Extra => self.extra += rows,
        }
    }

    fn line(&self) -> String {
        let rows = counted(self.total(), "row differs", "rows differ");
        let newer = self.newer_at_source.filter(|newer| *newer > 0);
        let newer = newer.map(|newer| format!(", {newer} of them newer at the source")).unwrap_or_default();
        let repaired = if self.repaired { "; repaired and proven" } else { "" };
        format!(
            "{rows}: {} with other values, {} missing, {} extra{newer}{repaired}",
            self.differing, self.missing, self.extra
        )
    }
}

/// A line for each table, and for each key.
pub fn lines(tables: &[TableReport]) -> Vec<String> {
    let mut lines = Vec::new();
    for table in tables {
        let Some(differences) = table.differences.as_ref().filter(|differences| differences.total() > 0) else {
            continue;
        };
        lines.push(format!("{}: {}", table.target, differences.line()));
        lines.extend(differences.keys.iter().map(|key| {
            let newer = if key.newer_at_source { " (newer at the source)" } else { "" };
            format!("{}: {} {}{newer}", table.target, key.what, key.key)
        }));
        let unnamed = differences.total().saturating_sub(differences.keys.len() as u64);
        if unnamed > 0 && !differences.keys.is_empty() {
            lines.push(format!("{}: … and {unnamed} more; `sync-job verify --limit` names them", table.target));
        }
    }
    lines
}
