//! Facts whose absence must not stop a run: an older version lacks the view, or the login may not see it.

use std::time::Duration;

use tiberius::Row;

use super::build::Tables;
use super::fields::Fields;
use super::queries;
use crate::connect::retry::worth_retrying;
use crate::model::error::{Kind, Result};
use crate::model::facts::{Absence, Fact, MissingFact};
use crate::model::schema::{Identity, SourceKind, SourceTable};
use crate::sources::sqlserver::connect::{Connection, rows_if_known};
use crate::sources::sqlserver::field::Field;

type Apply = fn(&mut Tables, &Fields<'_>) -> Result<()>;

/// Each fact's name, its query, and what a row of it says.
const FACTS: [(Fact, &str, Apply); 8] = [
    (Fact::IdentitySeeds, queries::IDENTITIES, identity),
    (Fact::MaskedColumns, queries::MASKED, masked),
    (Fact::EncryptedColumns, queries::ENCRYPTED, encrypted),
    (Fact::HiddenColumns, queries::HIDDEN, hidden),
    (Fact::GraphColumns, queries::GRAPH, internal),
    (Fact::TemporalTables, queries::TEMPORAL, temporal),
    (Fact::RowLevelSecurity, queries::ROW_LEVEL_SECURITY, row_level_security),
    (Fact::MemoryOptimizedTables, queries::MEMORY_OPTIMIZED, memory_optimized),
];

/// Reads all of them; those that could not be read are returned.
pub async fn read(connection: &mut Connection, timeout: Duration, tables: &mut Tables) -> Result<Vec<MissingFact>> {
    let mut missing = Vec::new();
    for (what, sql, apply) in FACTS {
        for row in optional(connection, what, sql, timeout, &mut missing).await?.iter().flatten() {
            apply(tables, &Fields::new(what.name(), row))?;
        }
    }
    spread_masks(&mut tables.found);
    read_masks(&mut tables.found);
    let mut found = optional(connection, Fact::TableSizes, queries::SIZES, timeout, &mut missing).await?;
    if found.is_none() {
        found = optional(connection, Fact::RowCounts, queries::ROW_COUNTS, timeout, &mut missing).await?;
    }
    for row in found.iter().flatten() {
        size(tables, &Fields::new(Fact::TableSizes.name(), row))?;
    }
    Ok(missing)
}

/// One of them. What only failed to come now must not pass for an absence: masked columns would be copied as they look.
async fn optional(
    connection: &mut Connection,
    what: Fact,
    sql: &str,
    timeout: Duration,
    missing: &mut Vec<MissingFact>,
) -> Result<Option<Vec<Row>>> {
    match rows_if_known(connection, sql, timeout).await? {
        Ok(found) => Ok(Some(found)),
        Err((_, error)) if worth_retrying(error.kind) => Err(error),
        Err((cause, error)) => {
            missing.push(MissingFact { what, why: error.chain(), cause });
            Ok(None)
        }
    }
}

/// The last, since it may take too long: the server looks at each column of what the login may not read. Ids of tables.
pub async fn unreadable(
    connection: &mut Connection,
    timeout: Duration,
    missing: &mut Vec<MissingFact>,
) -> Result<Vec<i64>> {
    const WHAT: Fact = Fact::Permissions;
    match optional(connection, WHAT, queries::UNREADABLE, timeout, missing).await {
        Ok(found) => found.iter().flatten().map(|row| Fields::new(WHAT.name(), row).int("object_id")).collect(),
        Err(error) if error.kind == Kind::Timeout => {
            missing.push(MissingFact { what: WHAT, why: error.chain(), cause: Absence::Unseen });
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn column_id(fields: &Fields<'_>) -> Result<(i64, i64)> {
    Ok((fields.int("object_id")?, fields.int("column_id")?))
}

fn identity(tables: &mut Tables, fields: &Fields<'_>) -> Result<()> {
    let values = (fields.optional_whole("seed_value")?, fields.optional_whole("increment_value")?);
    if let (Some(column), (Some(seed), Some(increment))) = (tables.column(column_id(fields)?), values) {
        column.identity = Some(Identity { seed, increment });
    }
    Ok(())
}

/// The narrowest answer that the server has decides; where it has none the column may be masked.
fn masked(tables: &mut Tables, fields: &Fields<'_>) -> Result<()> {
    let mut may_see = None;
    for name in ["of_column", "of_table", "of_database"] {
        may_see = may_see.or(fields.optional_int(name)?);
    }
    if let Some(column) = tables.column(column_id(fields)?) {
        column.masked = may_see != Some(1);
    }
    Ok(())
}

/// "Dynamic data masking": a computed column that depends on a masked column, and a view over one, show masked values. Neither is listed
/// in `sys.masked_columns`, and what they depend on is text.
fn spread_masks(tables: &mut [SourceTable]) {
    let is_masked = |table: &SourceTable| table.columns.iter().any(|column| column.masked);
    let first = tables.iter().find_map(|table| {
        let column = table.columns.iter().find(|column| column.masked)?;
        Some(format!("{}.{}", table.name, column.name))
    });
    for table in tables {
        if is_masked(table) {
            table.columns.iter_mut().filter(|column| column.computed).for_each(|column| column.masked = true);
        }
        table.may_show_masks = first.clone().filter(|_| table.kind == SourceKind::View);
    }
}

/// An expression over a masked column shows the mask of the expression's own type: its text is read by its name alone.
fn read_masks(tables: &mut [SourceTable]) {
    for table in tables {
        for column in table.columns.iter_mut().filter(|column| column.masked || table.may_show_masks.is_some()) {
            let own = &mut column.column_type.read;
            if let Some(read) = Field::through_driver(own) {
                *own = read;
            }
        }
    }
}

fn encrypted(tables: &mut Tables, fields: &Fields<'_>) -> Result<()> {
    if let Some(column) = tables.column(column_id(fields)?) {
        column.encrypted = true;
    }
    Ok(())
}

fn hidden(tables: &mut Tables, fields: &Fields<'_>) -> Result<()> {
    if let Some(column) = tables.column(column_id(fields)?) {
        column.hidden = true;
    }
    Ok(())
}

fn internal(tables: &mut Tables, fields: &Fields<'_>) -> Result<()> {
    if let Some(column) = tables.column(column_id(fields)?) {
        column.internal = true;
    }
    Ok(())
}

fn temporal(tables: &mut Tables, fields: &Fields<'_>) -> Result<()> {
    let kind = fields.text("temporal_type_desc")?;
    if let Some(table) = tables.table(fields.int("object_id")?) {
        table.temporal = Some(kind);
    }
    Ok(())
}

fn row_level_security(tables: &mut Tables, fields: &Fields<'_>) -> Result<()> {
    if let Some(table) = tables.table(fields.int("object_id")?) {
        table.row_level_security = true;
    }
    Ok(())
}

/// SQL Server keeps them out of SNAPSHOT transactions (error 41332), but a statement of its own sees one state of such a table
/// ("Transactions with Memory-Optimized Tables" in its documentation).
fn memory_optimized(tables: &mut Tables, fields: &Fields<'_>) -> Result<()> {
    if let Some(table) = tables.table(fields.int("object_id")?) {
        table.outside_transactions = true;
    }
    Ok(())
}

/// A size that makes no sense is none: it only decides how many chunks there are.
fn size(tables: &mut Tables, fields: &Fields<'_>) -> Result<()> {
    let count = |name| Ok(fields.optional_int(name)?.and_then(|value| u64::try_from(value).ok()));
    let (rows, bytes) = (count("row_count")?, count("bytes")?);
    // A view is not among them, unless it is indexed: then its rows are those of its index.
    if let Some(table) = tables.table(fields.int("object_id")?)
        && table.kind == SourceKind::Table
    {
        (table.rows, table.bytes) = (rows, bytes);
    }
    Ok(())
}
