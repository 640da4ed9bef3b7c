//! The source's catalog, from `sys.*` views that every SQL Server since 2012, Azure SQL and Babelfish have.
//!
//! Types are told by name: the numbers differ between products. What only newer versions have, or what may be forbidden, is
//! asked for in statements of its own, and its absence is reported, not fatal. What is shown of a table must be complete: it
//! is compared with what the catalog lists without joins, and what is lacking refuses the table.

use std::time::Duration;

use tiberius::Row;

use super::connect::{Connection, rows};
use crate::model::error::{Error, Result};
use crate::model::facts::Catalog;

mod build;
mod facts;
mod fields;
mod listed;
mod queries;

pub(super) use fields::Fields;
pub(super) use queries::MEMORY_OPTIMIZED;

/// One of the queries, with an error that says what was looked for instead of how.
async fn part(connection: &mut Connection, what: &str, sql: &str, timeout: Duration) -> Result<Vec<Row>> {
    rows(connection, sql, timeout).await.map_err(|error| {
        let message = format!("the {what} could not be read from the source's catalog");
        let cause = error.source.map_or_else(|| error.message.to_string(), |cause| cause.to_string());
        Error::new(error.side, error.kind, message).with_source(cause)
    })
}

/// Reads the whole catalog over one connection.
pub async fn read(connection: &mut Connection, timeout: Duration) -> Result<Catalog> {
    let mut tables = read_tables(connection, timeout).await?;
    if tables.found.iter().any(|table| !table.lacking.is_empty()) {
        // Somebody may have changed a table between two of the queries.
        tables = read_tables(connection, timeout).await?;
    }
    let mut missing = facts::read(connection, timeout, &mut tables).await?;
    let unreadable = facts::unreadable(connection, timeout, &mut missing).await?;
    let unreadable = unreadable.into_iter().filter_map(|id| Some(tables.table(id)?.name.clone())).collect();
    Ok(Catalog { tables: tables.found, missing, unreadable })
}

/// The tables with columns, indexes and foreign keys, and what each lacks of them.
async fn read_tables(connection: &mut Connection, timeout: Duration) -> Result<build::Tables> {
    type Add = fn(&mut build::Tables, &Fields<'_>) -> Result<()>;
    let parts: [(&str, &str, Add); 4] = [
        ("tables", queries::TABLES, build::Tables::add_table),
        ("columns", queries::COLUMNS, build::Tables::add_column),
        ("indexes", queries::INDEXES, build::Tables::add_index_column),
        ("foreign keys", queries::FOREIGN_KEYS, build::Tables::add_foreign_key_column),
    ];
    let mut tables = build::Tables::default();
    for (what, sql, add) in parts {
        for row in part(connection, what, sql, timeout).await? {
            add(&mut tables, &Fields::new(what, &row))?;
        }
    }
    let mut answers: [Vec<Row>; listed::QUERIES.len()] = Default::default();
    for (answer, (what, sql)) in answers.iter_mut().zip(listed::QUERIES) {
        *answer = part(connection, what, sql, timeout).await?;
    }
    listed::Inventory::new(&answers)?.compare(&mut tables);
    Ok(tables)
}
