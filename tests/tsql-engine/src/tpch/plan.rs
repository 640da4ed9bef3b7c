//! What a query asks for, in the terms that the generator can answer.

use super::keys::Key;
use super::schema::Table;
use super::segment::Segment;
use crate::value::{Column, Value};

/// A query that the generator answers.
#[derive(Debug)]
pub(super) struct Plan {
    pub table: Table,
    pub segments: Vec<Segment>,
    pub columns: Vec<Column>,
    pub wanted: Wanted,
}

#[derive(Debug)]
pub(super) enum Wanted {
    /// Rows, at most `limit` of them.
    Rows { items: Vec<Item>, limit: u64 },
    /// One row of aggregates.
    Aggregates(Vec<Aggregate>),
    /// Every `step`-th key; `items` are places within the key.
    Sample { items: Vec<usize>, step: u64 },
}

/// One cell of a result row: a column, perhaps cast.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    /// Place in the table.
    pub column: usize,
    pub cast: Cast,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cast {
    None,
    /// To varbinary: the code page's bytes, cut at the length.
    Binary {
        limit: usize,
    },
    /// To a decimal of `scale`, which `factor` scales up to.
    Decimal {
        factor: i128,
        scale: u8,
    },
}

impl Cast {
    #[inline]
    pub fn apply(self, value: Value<'_>) -> Value<'_> {
        match (self, value) {
            (Cast::Binary { limit }, Value::VarChar(std::borrow::Cow::Borrowed(bytes))) => {
                Value::Binary(bytes[..bytes.len().min(limit)].into())
            }
            (Cast::Decimal { factor, scale }, value) => {
                let value = match value {
                    Value::Decimal { value, .. } => value,
                    Value::BigInt(value) => value.into(),
                    Value::Int(value) => value.into(),
                    // Planning admits numbers only.
                    other => return other,
                };
                Value::Decimal { value: value * factor, scale }
            }
            (_, value) => value,
        }
    }
}

/// An aggregate over the rows' keys; columns count within the key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aggregate {
    Min(usize),
    Max(usize),
    Count,
    CountBig,
}

/// A cell of the primary key, typed as its column.
pub(super) fn key_cell(table: Table, key: Key, at: usize) -> Value<'static> {
    match (table, at) {
        (Table::LineItem, 1) => Value::Int(key[1] as i32),
        _ => Value::BigInt(key[at]),
    }
}
