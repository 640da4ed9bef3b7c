//! The one way from a row to values: a column that is missing, NULL where it may not be, or of another type than expected is an
//! error that names it and its query.

use std::ops::Deref;
use std::sync::Arc;

use sqlx::postgres::{PgRow, Postgres};
use sqlx::{ColumnIndex, Decode, Row as _, Type};

use crate::model::error::{Error, Kind, Result, Side};

/// A row, with the query that it answers.
pub struct Answer {
    row: PgRow,
    query: Arc<str>,
}

impl Answer {
    /// All of a query's rows.
    pub fn all(rows: Vec<PgRow>, query: &str) -> Vec<Self> {
        let query: Arc<str> = query.into();
        rows.into_iter().map(|row| Self { row, query: query.clone() }).collect()
    }

    /// The value of a column, by its name or its number.
    pub fn value<'r, T, I>(&'r self, column: I) -> Result<T>
    where
        T: Decode<'r, Postgres> + Type<Postgres>,
        I: ColumnIndex<PgRow> + std::fmt::Display,
    {
        let failed = |error: sqlx::Error| {
            let message =
                format!("column {column} of the answer to {:?} is not what it should be", shorten(&self.query));
            // The driver's text names types, and never the value.
            Error::new(Side::Target, Kind::Statement, message).with_source(error.to_string())
        };
        #[expect(clippy::disallowed_methods, reason = "the place that the others are sent to")]
        self.row.try_get(&column).map_err(failed)
    }
}

/// The types that most columns have; NULL is an error. Where it may be NULL a caller asks for a `value::<Option<_>, _>`.
impl Answer {
    pub fn flag(&self, column: &str) -> Result<bool> {
        self.value(column)
    }

    pub fn text(&self, column: &str) -> Result<String> {
        self.value(column)
    }

    /// The one row of a query that always has one.
    pub fn only(rows: Vec<Self>, query: &str) -> Result<Self> {
        let none = || Error::new(Side::Target, Kind::Internal, format!("no row came back for {:?}", shorten(query)));
        rows.into_iter().next().ok_or_else(none)
    }
}

/// Where the whole row is looked at.
impl Deref for Answer {
    type Target = PgRow;

    fn deref(&self) -> &PgRow {
        &self.row
    }
}

/// The beginning of a statement, for a message.
pub(super) fn shorten(sql: &str) -> String {
    sql.chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::{PgConnectOptions, PgSslMode};
    use sqlx::{ConnectOptions as _, Executor as _};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const BOOL: i32 = 16;
    const TEXT: i32 = 25;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = i32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    /// RowDescription and DataRow of one row, in text ("Message Formats", PostgreSQL documentation).
    fn row(columns: &[(&str, i32, Option<&str>)]) -> Vec<u8> {
        let count = i16::try_from(columns.len()).unwrap().to_be_bytes();
        let (mut names, mut values) = (count.to_vec(), count.to_vec());
        for (name, oid, value) in columns {
            names.extend(name.bytes().chain([0; 7]));
            names.extend(oid.to_be_bytes().into_iter().chain([0xFF; 6]).chain([0; 2]));
            let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            values.extend(length.to_be_bytes().into_iter().chain(value.unwrap_or_default().bytes()));
        }
        [message(b'T', &names), message(b'D', &values)].concat()
    }

    /// A row as the driver has it: a server that knows one answer gives it.
    async fn answer(columns: &[(&str, i32, Option<&str>)]) -> Answer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ready = message(b'Z', b"I");
        let reply = [row(columns), message(b'C', b"SELECT 1\0"), ready.clone()].concat();
        let server = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut sent = [0; 1024];
            for reply in [[message(b'R', &[0; 4]), ready].concat(), reply] {
                assert!(client.read(&mut sent).await.unwrap() > 0);
                client.write_all(&reply).await.unwrap();
            }
        });
        let options = PgConnectOptions::new().host("127.0.0.1").port(port).username("job").ssl_mode(PgSslMode::Disable);
        let mut connection = options.connect().await.unwrap();
        let found = connection.fetch_all(sqlx::raw_sql("SELECT of a catalog")).await.unwrap();
        server.await.unwrap();
        Answer::only(Answer::all(found, "SELECT of a catalog"), "SELECT of a catalog").unwrap()
    }

    fn is_named<T: std::fmt::Debug>(result: Result<T>, column: &str) {
        let error = result.unwrap_err();
        assert_eq!((error.side, error.kind), (Side::Target, Kind::Statement));
        let text = error.chain();
        assert!(text.contains(column) && text.contains("SELECT of a catalog"), "{text}");
    }

    #[tokio::test]
    async fn a_column_that_is_missing_null_or_of_another_type_is_an_error_that_names_it() {
        let row = answer(&[("owned", BOOL, None), ("name", TEXT, None), ("kind", TEXT, Some("r"))]).await;
        is_named(row.flag("owned"), "owned");
        is_named(row.text("name"), "name");
        is_named(row.flag("not_owned"), "not_owned");
        is_named(row.text("nam"), "nam");
        is_named(row.flag("kind"), "kind");
        assert_eq!(row.text("kind").unwrap(), "r");
        assert_eq!(row.value::<Option<bool>, _>("owned").unwrap(), None);
        assert_eq!(row.value::<Option<String>, _>("name").unwrap(), None);
    }

    #[test]
    fn an_answer_without_a_row_is_an_error_that_names_its_query() {
        let error = Answer::only(Vec::new(), "SELECT 1 FROM nothing").err().unwrap();
        assert!(error.message.to_string().contains("SELECT 1 FROM nothing"));
    }
}
