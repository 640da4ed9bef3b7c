//! What a SQL Server says of an error, with the values of rows in it told from its words.
//!
//! By number, as "Database Engine events and errors" writes them; the session asks for English.

use super::transient::is_transient;
use crate::model::error::Kind;
use crate::rows::message::{Message, between, numbers_hidden, of_unknown};

/// RAISERROR and THROW begin here: words of somebody's own.
const FIRST_OF_USERS: u32 = 50_000;

/// The server's message of the error `number`.
#[expect(clippy::match_same_arms, reason = "arms are told apart by what they mean, not by what they give")]
pub fn message(number: u32, text: &str) -> Message {
    match number {
        FIRST_OF_USERS.. => Message::default().value(text),
        // An error within a CLR routine or type, in its own words.
        6522 | 6533 | 6549 => Message::default().value(text),
        // Conversion failed when converting the varchar value '…' to data type int.
        245 => between(text, " value ", " to data type "),
        // The conversion of the varchar value '…' overflowed an int column.
        244 | 248 => between(text, " value ", " overflowed "),
        // Arithmetic overflow error for data type tinyint, value = 300.
        220 | 232 => numbers_hidden(text),
        // … The duplicate key value is (…).
        1505 | 2601 | 2627 => after(text, "key value is "),
        // … in table 't', column 'c'. Truncated value: '…'.
        2628 => after(text, "Truncated value: "),
        number if names_objects(number) => text.into(),
        _ => of_unknown(text, |_| false),
    }
}

/// The kind of the error `number`, whatever its text.
pub fn kind(number: u32) -> Kind {
    match number {
        // Cannot open the database that the login asks for, or its default one.
        4060 | 4064 => Kind::UnknownDatabase,
        // Login failed; password expired; login from an untrusted domain.
        18452 | 18456 | 18470 | 18486..=18488 => Kind::Login,
        // Permission denied on object, column, database, server.
        229 | 230 | 262 | 297 | 300 | 916 | 15247 => Kind::Permission,
        1222 => Kind::LockTimeout,
        number if is_transient(number) => Kind::Transient,
        9002 | 1105 | 1101 => Kind::StorageFull,
        // A value of a view's expression or a filter that cannot be converted, overflows, or is divided by zero.
        220 | 232 | 235 | 241 | 242 | 244 | 245 | 248 | 517 | 535 | 2628 | 8114 | 8115 | 8134 | 8152 | 8169 => {
            Kind::Data
        }
        _ => Kind::Statement,
    }
}

/// Hides what follows; where it is not there, as of what is unknown.
fn after(text: &str, words: &str) -> Message {
    match text.find(words) {
        Some(at) => Message::from(&text[..at + words.len()]).value(&text[at + words.len()..]),
        None => of_unknown(text, |_| false),
    }
}

/// Messages that hold names, types and the beginnings of statements, and no values of rows.
fn names_objects(number: u32) -> bool {
    match kind(number) {
        Kind::Login
        | Kind::UnknownDatabase
        | Kind::Permission
        | Kind::LockTimeout
        | Kind::Transient
        | Kind::StorageFull => true,
        _ => matches!(
            number,
            // Syntax, objects, columns, types, collations, functions.
            102..=214 | 243 | 257 | 260 | 306 | 334 | 402 | 403 | 446..=468 | 911 | 1001..=1099 | 4104 | 4121 | 4902
            // Conversions that name types alone; NULL, foreign keys, text that would be cut.
            | 235 | 241 | 242 | 515 | 517 | 529 | 535 | 547 | 8114..=8116 | 8134 | 8152 | 8169
            // XML: a line and a character.
            | 9400..=9459
            // Databases and their state; snapshots.
            | 3701..=3709 | 3906 | 3952..=3957 | 3996 | 5105 | 5123 | 5133 | 7420
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_hidden_and_names_stay() {
        for (number, text, expected) in [
            (
                245,
                "Conversion failed when converting the varchar value 'Alice' to data type int.",
                "Conversion failed when converting the varchar value [hidden] to data type int.",
            ),
            (
                248,
                "The conversion of the varchar value '9999999999' overflowed an int column.",
                "The conversion of the varchar value [hidden] overflowed an int column.",
            ),
            (
                220,
                "Arithmetic overflow error for data type tinyint, value = 300.",
                "Arithmetic overflow error for data type tinyint, value = [hidden]",
            ),
            (
                2627,
                "Violation of PRIMARY KEY constraint 'PK'. Cannot insert duplicate key in object 'dbo.t'. The duplicate key value is \
                 (Alice).",
                "Violation of PRIMARY KEY constraint 'PK'. Cannot insert duplicate key in object 'dbo.t'. The duplicate key value is \
                 [hidden]",
            ),
            (
                2628,
                "String or binary data would be truncated in table 'dbo.t', column 'c'. Truncated value: 'Alice'.",
                "String or binary data would be truncated in table 'dbo.t', column 'c'. Truncated value: [hidden]",
            ),
            (8114, "Error converting data type nvarchar to int.", "Error converting data type nvarchar to int."),
            (208, "Invalid object name 'dbo.people'.", "Invalid object name 'dbo.people'."),
            (50_001, "Alice is not wanted", "[hidden]"),
            (13_999, "a new message about 'Alice'", "a new message about [hidden]"),
        ] {
            let told = message(number, text);
            assert_eq!(told.to_string(), expected);
            assert_eq!(told.with_values(), text);
        }
    }

    #[test]
    fn deadlock_victims_are_transient_and_missing_objects_are_not() {
        assert_eq!(kind(1205), Kind::Transient);
        assert_eq!(kind(40613), Kind::Transient);
        assert_eq!(kind(208), Kind::Statement);
        assert_eq!(kind(18456), Kind::Login);
        assert_eq!(kind(229), Kind::Permission);
    }
}
