//! What became of a table whose changes are followed.

use serde::Serialize;

use crate::model::human::{bytes, counted};
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
    /// Where all rows of both sides were compared, and only those written that differ.
    pub compared: Option<ComparedReport>,
}

/// What a comparison of a whole table took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ComparedReport {
    /// Rows of the source.
    pub rows: u64,
    /// Read from the source, those that were read twice included, in the target's bulk format.
    pub bytes_read: u64,
    /// Sent to the target.
    pub bytes_sent: u64,
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
            compared: None,
        }
    }

    /// Of a table whose rows were all compared.
    pub fn compared(compared: ComparedReport, [inserted, present, deleted]: [u64; 3]) -> Self {
        Self {
            why_full: None,
            from_version: None,
            to_version: None,
            inserted,
            present,
            deleted,
            proven_ranges: Some([1, 1]),
            compared: Some(compared),
        }
    }

    fn line(&self) -> String {
        let rows = |rows: u64| counted(rows, "row", "rows");
        let (new, changed, gone) = (rows(self.inserted), rows(self.present), rows(self.deleted));
        if let Some(compared) = &self.compared {
            let (all, read, sent) = (rows(compared.rows), bytes(compared.bytes_read), bytes(compared.bytes_sent));
            return format!(
                "{all} compared, {read} read and {sent} sent: {new} new, {changed} changed, {gone} gone; every row is proven"
            );
        }
        let to = self.to_version.map(|version| format!(" to version {version}")).unwrap_or_default();
        let (Some(from), None) = (self.from_version, self.why_full) else {
            let why = self.why_full.map(|why| why.to_string()).unwrap_or_default();
            return format!("copied whole{}: {why}", to.replace(" to ", ", up to "));
        };
        let proven = match self.proven_ranges {
            Some([_, 1]) => "; every row is proven".to_owned(),
            Some([ranges, of]) => format!("; proven: the applied rows, and {ranges} of {of} ranges of the table"),
            None => "; proven: the applied rows alone".to_owned(),
        };
        if self.inserted + self.present + self.deleted == 0 {
            let proven = if self.proven_ranges.is_some() { proven } else { String::new() };
            return format!("no changes since version {from}{proven}");
        }
        format!("from version {from}{to}: {new} new, {changed} changed, {gone} gone{proven}")
    }
}

/// A line for each table whose changes are followed.
pub fn lines(tables: &[TableReport]) -> Vec<String> {
    let done = tables.iter().filter(|table| table.outcome == TableOutcome::Copied);
    done.filter_map(|table| Some(format!("{}: {}", table.target, table.changes.as_ref()?.line()))).collect()
}
