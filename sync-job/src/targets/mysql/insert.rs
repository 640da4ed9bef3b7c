//! The way into the staging table where the server forbids LOAD DATA LOCAL INFILE: prepared INSERTs of many rows.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Params, Value};

use super::connect::classify;
use super::quote;
use super::sql;
use crate::model::error::Result;
use crate::model::schema::TableName;
use crate::plan::TablePlan;

/// Parameters of one statement; the protocol's limit is 65,535.
const MOST_PARAMETERS: usize = 20_000;
/// Bytes of one statement, well below the smallest default of `max_allowed_packet` (4 MB before 8.0, 16 MB on MariaDB, 64 MB).
/// A single larger row goes alone.
const MOST_BYTES: usize = 2 << 20;

/// Inserts rows that were encoded for LOAD DATA.
pub(super) struct Inserter {
    table: String,
    columns: usize,
    list: String,
    /// The statement for full batches is prepared once.
    rows_a_batch: usize,
}

impl Inserter {
    pub fn new(table: &TablePlan, staging: &TableName) -> Self {
        let columns = table.columns.len();
        Self {
            table: quote::qualified(staging),
            columns,
            list: sql::columns(table),
            rows_a_batch: (MOST_PARAMETERS / columns.max(1)).clamp(1, 500),
        }
    }

    /// Inserts the rows of a buffer, which holds whole rows.
    pub async fn insert(&self, connection: &mut Conn, buffer: &[u8], what: &TableName) -> Result<()> {
        let mut values = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        for line in Lines(buffer) {
            if rows == self.rows_a_batch || (rows > 0 && bytes + line.len() > MOST_BYTES) {
                self.send(connection, std::mem::take(&mut values), rows, what).await?;
                (rows, bytes) = (0, 0);
            }
            values.extend(line.split(|&byte| byte == b'\t').map(value));
            rows += 1;
            bytes += line.len();
        }
        if rows > 0 {
            self.send(connection, values, rows, what).await?;
        }
        Ok(())
    }

    async fn send(&self, connection: &mut Conn, values: Vec<Value>, rows: usize, what: &TableName) -> Result<()> {
        let row = format!("({})", vec!["?"; self.columns].join(", "));
        let statement = format!("INSERT INTO {} ({}) VALUES {}", self.table, self.list, vec![row; rows].join(", "));
        let sent = async {
            let prepared = connection.prep(statement).await?;
            connection.exec_drop(&prepared, Params::Positional(values)).await?;
            connection.close(prepared).await
        };
        sent.await.map_err(|error| classify(error, format!("loading {what} failed")))
    }
}

/// Lines of the text format; a line feed within a value is escaped.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == b'\n')?;
        let (line, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Some(line)
    }
}

/// A field of the text format without its escapes.
fn value(field: &[u8]) -> Value {
    if field == b"\\N" {
        return Value::NULL;
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut escaped = false;
    for &byte in field {
        match (escaped, byte) {
            (false, b'\\') => escaped = true,
            (false, byte) => bytes.push(byte),
            (true, letter) => {
                escaped = false;
                bytes.push(match letter {
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'0' => 0,
                    other => other,
                });
            }
        }
    }
    Value::Bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_what_was_encoded() {
        let lines: Vec<&[u8]> = Lines(b"1\ta\\tb\\n\\\\N\\0\n\\N\t\n").collect();
        let fields: Vec<Vec<Value>> =
            lines.iter().map(|line| line.split(|&byte| byte == b'\t').map(value).collect()).collect();
        assert_eq!(fields[0], [Value::from("1"), Value::Bytes(b"a\tb\n\\N\0".to_vec())]);
        assert_eq!(fields[1], [Value::NULL, Value::from("")]);
    }
}
