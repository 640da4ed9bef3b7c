//! What is remembered between two runs of a table whose changes are followed.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::position::Position;
use super::schema::TableName;
use crate::rows::digest::TableDigest;

/// All that is remembered on a target.
#[derive(Debug, Default)]
pub struct Remembered {
    /// By this job.
    pub own: HashMap<TableName, TableState>,
    /// Tables of which another job remembers something: once this one swaps them, that is true no more.
    pub by_others: HashSet<TableName>,
}

/// It is kept on the target, and changes in the transaction that changes the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableState {
    /// Changes up to here are in the table.
    pub position: Position,
    /// Of the plan by which the rows were copied; see [`crate::plan::incremental::fingerprint`].
    pub fingerprint: String,
    /// What the whole table's digest is, if nobody else writes to it.
    pub digest: TableDigest,
    /// How often changes were applied since. It decides which range is proven next.
    pub applied: u64,
    /// When the whole table was last copied and proven.
    pub full_at: DateTime<Utc>,
}
