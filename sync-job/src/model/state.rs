//! What is remembered between two runs of a table whose changes are followed.

use chrono::{DateTime, Utc};

use super::position::Position;
use crate::rows::digest::TableDigest;

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
