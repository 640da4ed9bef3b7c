//! What became of a table whose changes are followed.

use serde::Serialize;

use crate::model::human::count;
use crate::plan::why_full::WhyFull;
use crate::report::{TableOutcome, TableReport};

/// How much of a table was copied, and what that proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangesReport {
    /// Why the table was copied whole; nothing where its changes were applied.
    pub why_full: Option<WhyFull>,
    /// The version up to which the last run had copied; nothing in a whole copy.
    pub from_version: Option<i64>,
    /// The version up to which this run copied; nothing where the source did not tell.
    pub to_version: Option<i64>,
    /// Rows that the target did not have.
    pub inserted: u64,
    /// Changed rows that the target had; those whose values are the same were not written.
    pub present: u64,
    pub deleted: u64,
    /// How many ranges of the table were compared, and of how many; nothing where none was.
    pub proven_ranges: Option<[usize; 2]>,
}

impl ChangesReport {
    /// Of a table that is copied whole.
    pub fn whole(why: WhyFull) -> Self {
        Self {
            why_full: Some(why),
            from_version: None,
            to_version: None,
            inserted: 0,
            present: 0,
            deleted: 0,
            proven_ranges: None,
        }
    }

    fn line(&self) -> String {
        let to = self.to_version.map_or_else(|| "an unknown version".to_owned(), |version| version.to_string());
        let (Some(from), None) = (self.from_version, self.why_full) else {
            let why = self.why_full.map(|why| why.to_string()).unwrap_or_default();
            return format!("copied whole, up to version {to}: {why}");
        };
        if self.inserted + self.present + self.deleted == 0 {
            return format!("no changes from version {from} to {to}");
        }
        let proven = match self.proven_ranges {
            Some([_, 1]) => "every row is proven".to_owned(),
            Some([ranges, of]) => format!("the applied rows are proven, and {ranges} of {of} ranges of the table"),
            None => "the applied rows are proven, the others were not looked at".to_owned(),
        };
        format!(
            "versions {from} to {to}: {} rows new, {} changed, {} gone; {proven}",
            count(self.inserted),
            count(self.present),
            count(self.deleted)
        )
    }
}

/// A line for each table whose changes are followed.
pub fn lines(tables: &[TableReport]) -> Vec<String> {
    let done = tables.iter().filter(|table| table.outcome == TableOutcome::Copied);
    done.filter_map(|table| Some(format!("{}: {}", table.target, table.changes.as_ref()?.line()))).collect()
}
