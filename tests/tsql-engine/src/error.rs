//! Makes errors as SQL Server numbers them, and carries them through SQLite's error text.

use crate::value::SqlError;

/// Marks an error text that [`encode`] made, so that SQLite's own messages are never taken for one.
const MARK: char = '\u{1}';

/// A statement that the client cancelled; no client is told this number.
pub const CANCELLED: u32 = 40_005;

/// How a statement ends that the client cancelled.
pub fn cancelled() -> SqlError {
    error(CANCELLED, "simulator: the client cancelled the statement")
}

/// An error of class 16, state 1, as most errors of statements are, or what "Database Engine events and errors" and its pages show of it.
pub fn error(number: u32, message: impl Into<String>) -> SqlError {
    let (class, state) = match number {
        2601 | 2627 => (14, 1),
        547 => (16, 0),
        220 | 515 | 8115 => (16, 2),
        _ => (16, 1),
    };
    SqlError { number, state, class, message: message.into() }
}

/// Errors of values and constraints that end a change and nothing else, unless XACT_ABORT says otherwise. Message 3621 follows them.
const ENDS_CHANGE: [u32; 9] = [220, 515, 547, 1505, 2601, 2627, 2628, 8115, 8152];

/// Whether a change that failed with this error is said to have been terminated.
pub fn ends_change(failure: &SqlError) -> bool {
    ENDS_CHANGE.contains(&failure.number)
}

/// A statement or expression outside the subset: named, never guessed at.
pub fn unsupported(what: &str) -> SqlError {
    let short: String = what.chars().take(300).collect();
    error(40_000, format!("simulator: statement not supported: {short}"))
}

/// 102, with the text near which the parser gave up.
pub fn syntax(detail: &str) -> SqlError {
    SqlError { number: 102, state: 1, class: 15, message: format!("Incorrect syntax near '{detail}'.") }
}

/// The error as text that survives a trip through SQLite (`RAISE`, failed functions).
pub fn encode(error: &SqlError) -> String {
    format!("{MARK}{}|{}|{}|{}{MARK}", error.number, error.class, error.state, error.message)
}

/// The error inside a SQLite message, if [`encode`] put one there.
pub fn decode(text: &str) -> Option<SqlError> {
    let inner = text.split(MARK).nth(1)?;
    let mut parts = inner.splitn(4, '|');
    Some(SqlError {
        number: parts.next()?.parse().ok()?,
        class: parts.next()?.parse().ok()?,
        state: parts.next()?.parse().ok()?,
        message: parts.next()?.to_owned(),
    })
}

impl From<rusqlite::Error> for SqlError {
    fn from(source: rusqlite::Error) -> Self {
        let text = source.to_string();
        if let Some(found) = decode(&text) {
            return found;
        }
        if let rusqlite::Error::SqliteFailure(code, _) = &source {
            if code.code == rusqlite::ErrorCode::OperationInterrupted {
                return cancelled();
            }
            match code.extended_code {
                rusqlite::ffi::SQLITE_BUSY_SNAPSHOT => {
                    return error(3960, "Snapshot isolation transaction aborted due to update conflict.");
                }
                _ if code.code == rusqlite::ErrorCode::DatabaseBusy
                    || code.code == rusqlite::ErrorCode::DatabaseLocked =>
                {
                    return SqlError {
                        number: 1222,
                        state: 51,
                        class: 16,
                        message: "Lock request time out period exceeded.".to_owned(),
                    };
                }
                _ => {}
            }
        }
        if let Some(rest) = text.split("UNIQUE constraint failed: ").nth(1) {
            return error(2601, rest.to_owned());
        }
        if let Some(rest) = text.split("CHECK constraint failed: ").nth(1) {
            return error(
                547,
                format!("The INSERT or UPDATE statement conflicted with the CHECK constraint \"{rest}\"."),
            );
        }
        if text.contains("integer overflow") {
            return error(8115, "Arithmetic overflow error converting expression to data type int.");
        }
        error(40_001, format!("simulator: {text}"))
    }
}
