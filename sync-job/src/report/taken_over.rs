//! What a run took over from one that died.

use serde::Serialize;

use super::TableReport;
use crate::model::human::{bytes, counted};

/// The part of a table that this run did not read: it is among the table's rows and bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TakenOver {
    /// How many chunks, and of how many; nothing where the table was before readers already.
    pub chunks: Option<[usize; 2]>,
    pub rows: u64,
    pub bytes: u64,
}

impl TakenOver {
    fn line(&self) -> String {
        let (rows, size) = (counted(self.rows, "row", "rows"), bytes(self.bytes));
        match self.chunks {
            Some([chunks, of]) => format!("{chunks} of {of} chunks, {rows}, {size}, proven again with the rest"),
            None => format!("all of it, {rows}, {size}: proven again, and not read again"),
        }
    }
}

/// A line for each table of which something was taken over.
pub fn lines(tables: &[TableReport]) -> Vec<String> {
    let line = |table: &TableReport| Some(format!("{}: {}", table.target, table.taken_over.as_ref()?.line()));
    tables.iter().filter_map(line).collect()
}
