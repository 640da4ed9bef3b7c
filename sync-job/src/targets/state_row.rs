//! How a table's state is kept in a row, on all targets.

use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::commit::{self, CommitState};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::position::Position;
use crate::model::schema::TableName;
use crate::model::state::TableState;
use crate::rows::digest::TableDigest;

/// The name of the table of states.
pub(super) const TABLE: &str = "stopgap_tables";
/// Counts up with each change of what a row means. Rows of another format count as none: the table is copied whole.
pub(super) const FORMAT: u8 = 1;

/// A row's columns as text, in this order.
pub(super) const COLUMNS: [&str; 7] =
    ["version", "history", "fingerprint", "digest_rows", "digest_sum", "applied", "full_at"];

/// Understands a row.
pub(super) fn read(columns: [String; 7]) -> Result<TableState> {
    let [version, history, fingerprint, rows, sum, applied, full_at] = columns;
    Ok(TableState {
        position: Position { version: number(&version)?, history },
        fingerprint,
        digest: TableDigest { rows: number(&rows)?, sum: number(&sum)? },
        applied: number(&applied)?,
        full_at: DateTime::<Utc>::from_timestamp_micros(number(&full_at)?).ok_or_else(|| unreadable(&full_at))?,
    })
}

/// The values of a row, in the order of [`COLUMNS`].
fn write(state: &TableState) -> [String; 7] {
    [
        state.position.version.to_string(),
        state.position.history.clone(),
        state.fingerprint.clone(),
        state.digest.rows.to_string(),
        state.digest.sum.to_string(),
        state.applied.to_string(),
        state.full_at.timestamp_micros().to_string(),
    ]
}

/// The statements that are alike on all targets, but for literals and moments.
pub(super) struct StateSql {
    /// The table of states, quoted.
    pub table: String,
    /// The job and the run, as literals.
    pub job: String,
    pub run: String,
    /// [`COLUMNS`], each as text.
    pub selected: String,
    pub literal: fn(&str) -> String,
    /// A moment of so many microseconds since 1970.
    pub moment: fn(&str) -> String,
}

impl StateSql {
    /// The condition of a table's row.
    pub fn key(&self, table: &TableName) -> String {
        let literal = self.literal;
        format!("target_schema = {} AND target_table = {}", literal(&table.schema), literal(&table.name))
    }

    /// The condition of a row that this run has forgotten, and nobody else since.
    pub fn own(&self, table: &TableName) -> String {
        format!("{} AND job = {} AND run_id = {}", self.key(table), self.job, self.run)
    }

    /// `SET` of an UPDATE that writes a state down.
    pub fn assignments(&self, state: &TableState) -> String {
        let values = write(state);
        let set = COLUMNS.iter().zip(&values).map(|(name, value)| match *name {
            "history" | "fingerprint" => format!("{name} = {}", (self.literal)(value)),
            "full_at" => format!("{name} = {}", (self.moment)(value)),
            name => format!("{name} = {value}"),
        });
        set.collect::<Vec<_>>().join(", ")
    }

    /// Reads a state, and keeps everybody else from changing it until the transaction ends.
    pub fn lock(&self, table: &TableName) -> String {
        format!(
            "SELECT {} FROM {} WHERE {} AND job = {} AND format = {FORMAT} AND version IS NOT NULL FOR UPDATE",
            self.selected,
            self.table,
            self.key(table),
            self.job
        )
    }

    /// Writes a state down in the same transaction.
    pub fn write(&self, table: &TableName, state: &TableState) -> String {
        let (set, key) = (self.assignments(state), self.key(table));
        format!("UPDATE {} SET {set}, run_id = {} WHERE {key}", self.table, self.run)
    }
}

/// Where [`StateSql::own`] finds no row any more.
pub(super) fn taken_over(table: &TableName) -> Error {
    let message = format!("{table}: another run has taken the table over since it was swapped");
    Error::new(Side::Target, Kind::Conflict, message)
}

/// Whether a transaction that wrote this state down was committed, where the reply to its COMMIT was lost: `lost` if not. `lock` reads the
/// state over a new connection, and waits for a transaction that still has it.
pub(super) async fn resolve<F>(
    table: &TableName,
    written: &TableState,
    lost: Error,
    away: Duration,
    lock: impl Fn() -> F,
) -> Result<()>
where
    F: Future<Output = Result<Option<TableState>>>,
{
    commit::resolve_commit(&format!("the transaction that changed {table}"), lost, away, async || {
        let is_written = lock().await?.as_ref() == Some(written);
        Ok(if is_written { CommitState::Committed } else { CommitState::RolledBack })
    })
    .await
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N> {
    text.parse().map_err(|_| unreadable(text))
}

fn unreadable(text: &str) -> Error {
    let message = format!("the table {TABLE} holds {text:?}, which this program did not write");
    Error::new(Side::Target, Kind::Internal, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_as_it_was() {
        let state = TableState {
            position: Position { version: 0, history: "fork 'a', \"b\"\\".into() },
            fingerprint: "f".into(),
            digest: TableDigest { rows: u64::MAX, sum: i128::from(i64::MIN) * 1_000_000 },
            applied: 3,
            full_at: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
        };
        assert_eq!(read(write(&state)).unwrap(), state);
    }
}
