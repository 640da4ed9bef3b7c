//! The one way from a row to values: a column that is missing or of another type than expected is an error that names it and its
//! query.

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

/// Of what is only there, or true, for some rows.
impl Answer {
    /// Whether a column is true: NULL is not.
    pub fn flag(&self, column: &str) -> Result<bool> {
        Ok(self.value::<Option<bool>, _>(column)? == Some(true))
    }

    /// A column that is a text, or empty where it is NULL.
    pub fn text(&self, column: &str) -> Result<String> {
        Ok(self.value::<Option<String>, _>(column)?.unwrap_or_default())
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
