//! How a table's state is kept in a row, on all targets.

use chrono::{DateTime, Utc};

use crate::model::error::{Error, Kind, Result, Side};
use crate::model::position::Position;
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
pub(super) fn write(state: &TableState) -> [String; 7] {
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
