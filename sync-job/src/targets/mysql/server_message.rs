//! What a MySQL or MariaDB server says of an error, with the values of rows in it told from its words.
//!
//! By number, as "Server Error Message Reference" (MySQL 8.0) and "MariaDB Error Code Reference" write them; the session asks for
//! English.

use crate::model::error::Kind;
use crate::rows::message::{Message, between, numbers_hidden, of_unknown};

/// The SQLSTATE of what a trigger or a routine signals in words of its own ("SIGNAL Statement").
const SIGNALLED: &str = "45000";

/// What passes by itself, and why. Numbers up to 1880 are both servers'; then MariaDB's to 2000 and from 4000 on, MySQL's from 3000 on.
const TRANSIENT: &[(&str, &[u16])] = &[
    ("the server stops, is offline, or has not started all of its parts", &[1053, 3032, 3168]),
    ("a writer that became a reader", &[1290, 1792, 1836]),
    ("no room for another connection, thread or transaction", &[1040, 1041, 1135, 1203, 1226, 1637]),
    ("memory", &[1037]),
    ("the session was killed, by an administrator or a failover", &[1927, 3169]),
    ("a deadlock, no room for another lock, a wait that gave way", &[1206, 1213, 1614, 1689, 3058]),
    // 1020: MariaDB from 11.6 on, under innodb_snapshot_isolation.
    ("a transaction that conflicts with another, or with a table's new definition", &[1020, 1180, 1412, 3101]),
];

/// A key, a row, or a column of a key that is longer than this server's pages take: `ER_TOO_LONG_KEY`, `ER_TOO_BIG_ROWSIZE`,
/// `ER_INDEX_COLUMN_TOO_LONG`.
pub const TOO_LONG: [u16; 3] = [1071, 1118, 1709];

/// The server's message of the error or warning `number`.
pub fn message(number: u16, state: &str, text: &str) -> Message {
    match number {
        _ if state == SIGNALLED => Message::default().value(text),
        1643..=1646 => Message::default().value(text),
        // Duplicate entry '…' for key 't.k'.
        1062 | 1586 => between(text, "Duplicate entry ", " for key "),
        // Incorrect integer value: '…' for column 'c' at row 1; also of what a function takes.
        1292 | 1366 => between(text, " value: ", " for column "),
        1411 => between(text, " value: ", " for function "),
        // Table has no partition for value …
        1526 => text.find(" value ").map_or_else(
            || Message::default().value(text),
            |at| Message::from(&text[..at]).words(" value ").value(&text[at + " value ".len()..]),
        ),
        // Longitude and latitude.
        3616 | 3617 => numbers_hidden(text),
        number if names_objects(number) => text.into(),
        _ => of_unknown(text, |_| false),
    }
}

/// The kind of the error `number`, whatever its text.
#[expect(clippy::match_same_arms, reason = "arms are told apart by what they mean, not by what they give")]
pub fn kind(number: u16) -> Kind {
    match number {
        number if TRANSIENT.iter().any(|(_, numbers)| numbers.contains(&number)) => Kind::Transient,
        // Lock wait timeout, also for metadata locks; NOWAIT.
        1205 | 3572 => Kind::LockTimeout,
        // Disk full, table full, temporary file.
        1021 | 1114 | 3 | 28 => Kind::StorageFull,
        // Access denied to a database, table, column or privilege.
        1044 | 1142 | 1143 | 1227 | 1370 | 1410 | 3118 => Kind::Permission,
        1049 => Kind::UnknownDatabase,
        // Access denied for the user, host not allowed, expired password, not supported authentication.
        1045 | 1130 | 1698 | 1820 | 1862 | 1251 | 3159 => Kind::Login,
        1317 | 3024 | 1969 => Kind::Timeout,
        // Duplicate key, NULL in a NOT NULL column, out of range, too long, wrong value, invalid JSON, wrong characters; what is no
        // geometry here, has no known SRID, or lies beyond the globe.
        1416 | 3037 | 3548 | 3616 | 3617 => Kind::Data,
        1062 | 1048 | 1264 | 1265 | 1292 | 1366 | 1406 | 1411 | 3140 | 1300 | 1451 | 1452 | 1586 | 3819 | 4025 => {
            Kind::Data
        }
        // A value larger than max_allowed_packet: no connection is better than another.
        1153 | 1301 | 2020 => Kind::Data,
        1152..=1161 | 2000..=2061 => Kind::Connection,
        _ => Kind::Statement,
    }
}

/// Messages that hold names, places and the beginnings of statements, and no values of rows.
fn names_objects(number: u16) -> bool {
    match kind(number) {
        Kind::Permission
        | Kind::Login
        | Kind::UnknownDatabase
        | Kind::Transient
        | Kind::LockTimeout
        | Kind::StorageFull
        | Kind::Connection
        | Kind::Timeout => true,
        _ => matches!(
            number,
            // NULL, range, length, JSON's own reason, foreign keys, checks, geometry.
            1048 | 1264 | 1265 | 1406 | 3140 | 1451 | 1452 | 3819 | 4025 | 1416 | 3037 | 3548 | 1153 | 1301 | 139
            // Databases, tables, columns, keys and their limits.
            | 1005..=1010 | 1046 | 1049..=1052 | 1054 | 1059..=1061 | 1064 | 1068..=1075 | 1089 | 1091 | 1101 | 1103 | 1109 | 1112
            | 1113 | 1118 | 1120 | 1146 | 1170 | 1171 | 1193 | 1215 | 1217 | 1231 | 1238 | 1273 | 1286 | 1347 | 1412 | 1813..=1835
            | 1846 | 3730 | 3734 | 3780
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_hidden_and_names_stay() {
        for (number, text, expected) in [
            (1062, "Duplicate entry 'Alice' for key 'people.name'", "Duplicate entry [hidden] for key 'people.name'"),
            (
                1366,
                "Incorrect integer value: 'Alice' for column 'age' at row 3",
                "Incorrect integer value: [hidden] for column 'age' at row 3",
            ),
            (
                1366,
                "Incorrect string value: '\\xF0Alice' for column `erp`.`people`.`name` at row 3",
                "Incorrect string value: [hidden] for column `erp`.`people`.`name` at row 3",
            ),
            (
                1292,
                "Incorrect datetime value: 'Alice' for column 'born' at row 1",
                "Incorrect datetime value: [hidden] for column 'born' at row 1",
            ),
            (1292, "Truncated incorrect DOUBLE value: 'Alice'", "Truncated incorrect DOUBLE value: [hidden]"),
            (1300, "Invalid utf8mb4 character string: 'Alice'", "Invalid utf8mb4 character string: [hidden]"),
            (
                1411,
                "Incorrect date value: 'Alice' for function str_to_date",
                "Incorrect date value: [hidden] for function str_to_date",
            ),
            (1526, "Table has no partition for value Alice", "Table has no partition for value [hidden]"),
            (1644, "Alice is not wanted", "[hidden]"),
            (1264, "Out of range value for column 'age' at row 2", "Out of range value for column 'age' at row 2"),
            (1406, "Data too long for column 'name' at row 7", "Data too long for column 'name' at row 7"),
            (1146, "Table 'erp.people' doesn't exist", "Table 'erp.people' doesn't exist"),
            (1045, "Access denied for user 'stopgap'@'host'", "Access denied for user 'stopgap'@'host'"),
            (
                3616,
                "Longitude 181.5 is out of range in function x.",
                "Longitude [hidden] is out of range in function x.",
            ),
            (4999, "a new message about 'Alice'", "a new message about [hidden]"),
        ] {
            let told = message(number, "HY000", text);
            assert_eq!(told.to_string(), expected);
            assert_eq!(told.with_values(), text);
        }
        assert_eq!(message(1234, SIGNALLED, "Alice is not wanted").to_string(), "[hidden]");
    }
}
