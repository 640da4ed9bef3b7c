//! What a target remembers of a job's last run, so that the next one can continue it should it have died.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::schema::TableName;
use crate::rows::digest::TableDigest;
use crate::rows::encode::LossCounts;

/// Counts up with each change of what is remembered. Of another format nothing is believed.
pub const FORMAT: u32 = 1;

/// A run that has begun and, as far as is known, has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRun {
    pub format: u32,
    pub run_id: String,
    /// Where it reads from: host, port and database.
    pub source: String,
    /// When the first of the runs that continue one another began.
    pub begun: DateTime<Utc>,
    /// The run whose view of the source is read from, where one is.
    pub view_run: String,
}

/// A table that such a run copied, proved and swapped in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedTable {
    pub format: u32,
    pub schema: String,
    pub name: String,
    /// Of the plan by which it was copied; see [`crate::plan::fingerprint`].
    pub fingerprint: String,
    pub digest: TableDigest,
    /// Bytes in the target's bulk format.
    pub bytes: u64,
    pub view_run: String,
    pub at: DateTime<Utc>,
}

impl CopiedTable {
    pub fn target(&self) -> TableName {
        TableName::new(&self.schema, &self.name)
    }
}

/// What is there of the last run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastRun {
    /// It ended, or there was none, or what it left was lost.
    Ended,
    /// It has not ended, and left these tables.
    Open(OpenRun, Vec<CopiedTable>),
    /// This program did not write it, in words.
    Unreadable(String),
}

/// What a chunk came to, as the commit log has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRecord {
    pub digest: TableDigest,
    pub bytes: u64,
    pub losses: LossCounts,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::encode::Loss;

    #[test]
    fn what_is_remembered_comes_back_as_it_was() {
        let mut losses = LossCounts::new(2);
        losses.count(1, Loss::OffsetDropped, u64::MAX);
        let digest = TableDigest { rows: u64::MAX, sum: i128::from(i64::MIN) * 1_000_000 };
        let chunk = ChunkRecord { digest, bytes: 7, losses };
        let text = serde_json::to_string(&chunk).unwrap();
        assert_eq!(serde_json::from_str::<ChunkRecord>(&text).unwrap(), chunk, "{text}");
    }
}
