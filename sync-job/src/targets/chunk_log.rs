//! The commit log of a staging table, the same on all targets: a table beside it, in which each transaction that changes the staging table, or
//! swaps it, writes a row of its own.
//!
//! It tells two things: whether a transaction was committed whose COMMIT got no reply, and which chunks a run that died has loaded.

use std::future::Future;
use std::time::Duration;

use super::Staging;
use super::commit::{self, CommitState};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::run_state::ChunkRecord;
use crate::model::schema::TableName;
use crate::rows::digest::hash_bytes;

/// How its load is cut into chunks. What a run that died left is loaded to its end by this alone.
pub(super) const PLAN: &str = "plan";
const CHUNK: &str = "chunk ";

/// The log of a staging table.
pub(super) fn log(staging: &TableName) -> TableName {
    TableName::new(&staging.schema, format!("{}c", staging.name))
}

/// The staging table of a log, by its name.
pub(super) fn of_log(log: &TableName) -> Option<Staging> {
    let name = log.name.strip_suffix('c')?;
    Some(Staging { name: TableName::new(&log.schema, name) })
}

/// A row of a log.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The log, quoted.
    pub log: String,
    pub name: String,
    pub value: String,
}

impl Entry {
    pub fn of_chunk(log: String, number: usize, record: &ChunkRecord) -> Result<Self> {
        let unwritten = |error| Error::new(Side::Job, Kind::Internal, "a chunk's record").with_source(error);
        let value = serde_json::to_string(record).map_err(unwritten)?;
        Ok(Self { log, name: format!("{CHUNK}{number}"), value })
    }

    /// Of the transaction that puts the rows before readers. A run may take over the staging table of one that died after it.
    pub fn of_swap(log: String, run_id: &str) -> Self {
        Self { log, name: format!("swap {:016x}", hash_bytes(run_id.as_bytes())), value: run_id.to_owned() }
    }

    /// The statement that writes it. Within a transaction that is at it still, or was committed, it waits, or finds a duplicate.
    pub fn insert(&self, literal: fn(&str) -> String) -> String {
        format!("INSERT INTO {} (entry, value) VALUES ({}, {})", self.log, literal(&self.name), literal(&self.value))
    }
}

/// The chunks in a log's rows.
pub(super) fn chunks(rows: Vec<(String, String)>) -> Result<Vec<(usize, ChunkRecord)>> {
    let of_chunk = rows.into_iter().filter_map(|(entry, value)| {
        let number = entry.strip_prefix(CHUNK)?;
        let unreadable =
            || Error::new(Side::Target, Kind::Internal, format!("the commit log has an entry {entry:?} of {value:?}"));
        let read = || Some((number.parse().ok()?, serde_json::from_str(&value).ok()?));
        Some(read().ok_or_else(unreadable))
    });
    of_chunk.collect()
}

/// What became of a transaction that wrote an entry, and whose COMMIT got no reply: `lost` if it was rolled back. `is_new`: whether the entry
/// could be written once more, over another connection, by a transaction that was rolled back then; it waits for the other one's end.
pub(super) async fn resolve<F>(entry: &Entry, lost: Error, away: Duration, is_new: impl Fn() -> F) -> Result<()>
where
    F: Future<Output = Result<bool>>,
{
    commit::resolve_commit(&format!("the transaction of {:?} in {}", entry.name, entry.log), lost, away, async || {
        Ok(if is_new().await? { CommitState::RolledBack } else { CommitState::Committed })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_its_staging_tables_name() {
        let staging = TableName::new("s", "stopgap_1_2_3");
        assert_eq!(of_log(&log(&staging)).unwrap().name, staging);
    }

    #[test]
    fn chunks_are_told_from_other_entries() {
        let rows = |entry: &str, value: &str| chunks(vec![(entry.to_owned(), value.to_owned())]);
        assert!(rows(PLAN, "{}").unwrap().is_empty());
        let record = r#"{"digest": {"rows": 2, "sum": -3}, "bytes": 4, "losses": []}"#;
        assert_eq!(rows("chunk 5", record).unwrap()[0].0, 5);
        assert_eq!(rows("chunk 5", "{}").unwrap_err().kind, Kind::Internal, "nothing is believed of a garbled log");
    }
}
