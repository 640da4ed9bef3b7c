//! Changed rows into a table that stays, in one transaction with what is remembered of it.

use sqlx::postgres::PgConnection;

use super::connect::{change, close, execute, only_row};
use super::in_place::{Merge, merge_rows, sequences};
use super::quote::{identifier, list, qualified};
use super::{Postgres, digest_where, sql, state, witness};
use crate::connect::retry;
use crate::model::error::Result;
use crate::model::schema::TableName;
use crate::model::state::TableState;
use crate::plan::TablePlan;
use crate::targets::apply::{self, Applied, ChangeSet, ChangedRows, GoneRows, Measured};
use crate::targets::ranges::condition;

pub(super) async fn apply(target: &Postgres, changes: &ChangeSet<'_>) -> Result<Applied> {
    let mut connection = target.connect().await?;
    if let Some(rows) = &changes.rows {
        // Nobody else does it for them, and without it the server takes each of them for large.
        let staging = std::iter::once(rows.changed).chain(rows.gone.as_ref().map(GoneRows::staging));
        for staging in staging {
            execute(&mut connection, &format!("ANALYZE {}", qualified(&staging.name))).await?;
        }
    }
    let lock_timeout = target.config.lock_timeout.as_millis();
    execute(&mut connection, &format!("BEGIN; SET LOCAL lock_timeout = {lock_timeout}")).await?;
    // Dropping the connection rolls back.
    let (applied, written) = transaction(target, &mut connection, changes).await?;
    match execute(&mut connection, "COMMIT").await {
        Err(lost) if retry::is_reply_lost(lost.kind) => {
            drop(connection);
            state::resolve(target, &changes.table.target, &written, lost).await?;
        }
        result => {
            result?;
            close(connection).await;
        }
    }
    Ok(applied)
}

async fn transaction(
    target: &Postgres,
    connection: &mut PgConnection,
    changes: &ChangeSet<'_>,
) -> Result<(Applied, TableState)> {
    let (table, name) = (changes.table, &changes.table.target);
    let found = state::lock(target, connection, name).await?;
    apply::refuse_moved(changes, found.as_ref())?;
    let measured = match &changes.rows {
        Some(rows) => {
            let mut measured = rows_into(connection, table, rows).await?;
            if let Some(range) = &changes.range {
                let condition = condition(table, &range.scope, identifier, witness::literal);
                measured.range = Some(digest_where(connection, table, &condition).await?);
            }
            Some(measured)
        }
        None => None,
    };
    let applied = apply::prove(changes, measured)?;
    let written = apply::written(changes, &applied);
    state::write(target, connection, name, &written).await?;
    Ok((applied, written))
}

/// Others may read meanwhile, and not write: what is measured before is what is replaced.
async fn rows_into(connection: &mut PgConnection, table: &TablePlan, rows: &ChangedRows<'_>) -> Result<Measured> {
    let changed = &rows.changed.name;
    let own = sql::only(&table.target);
    execute(connection, &format!("LOCK TABLE {own} IN SHARE ROW EXCLUSIVE MODE")).await?;
    let (of_changed, of_gone) = (under_keys(rows.keys, changed), is_gone(table, rows));
    let before_changed = digest_where(connection, table, &of_changed).await?;
    let before_gone = digest_where(connection, table, &of_gone).await?;
    change(connection, &format!("DELETE FROM {own} WHERE {of_gone}")).await?;
    if let Some(merge) = Merge::of(table, changed) {
        merge_rows(connection, table, &merge).await?;
    }
    for statement in sequences(table, &qualified(&table.target)) {
        execute(connection, &statement).await?;
    }
    let applied = digest_where(connection, table, &of_changed).await?;
    let left = only_row(connection, &format!("SELECT count(*)::int8 AS rows FROM {own} WHERE {of_gone}")).await?;
    let left = left.value::<i64, _>("rows")? as u64;
    Ok(Measured { changed: before_changed, gone: before_gone, applied, left, range: None })
}

pub(super) async fn count_present(
    target: &Postgres,
    table: &TablePlan,
    keys: &TablePlan,
    staging: &TableName,
) -> Result<u64> {
    let mut connection = target.connect().await?;
    execute(&mut connection, &format!("ANALYZE {}", qualified(staging))).await?;
    let (own, condition) = (sql::only(&table.target), under_keys(keys, staging));
    let counted =
        only_row(&mut connection, &format!("SELECT count(*)::int8 AS rows FROM {own} WHERE {condition}")).await?;
    close(connection).await;
    Ok(counted.value::<i64, _>("rows")? as u64)
}

/// The condition of rows that are gone.
fn is_gone(table: &TablePlan, rows: &ChangedRows<'_>) -> String {
    match rows.gone {
        None => "FALSE".to_owned(),
        Some(GoneRows::Keys(staging)) => under_keys(rows.keys, &staging.name),
        Some(GoneRows::Unless(staging)) => {
            let own = identifier(&table.target.name);
            let same = rows.keys.columns.iter().map(|column| {
                let name = identifier(&column.target);
                format!("s.{name} OPERATOR(pg_catalog.=) {own}.{name}")
            });
            let same = same.collect::<Vec<_>>().join(" AND ");
            format!("NOT EXISTS (SELECT FROM {} AS s WHERE {same})", qualified(&staging.name))
        }
    }
}

/// The condition of rows whose key is in a staging table. It is also part of statements that other people's code answers to with a
/// `search_path` of its own, so the operator is named in full.
fn under_keys(keys: &TablePlan, staging: &TableName) -> String {
    let names: Vec<&String> = keys.columns.iter().map(|column| &column.target).collect();
    match names.as_slice() {
        [name] => format!(
            "{} OPERATOR(pg_catalog.=) ANY (SELECT s.{} FROM {} AS s)",
            identifier(name),
            identifier(name),
            qualified(staging)
        ),
        _ => format!(
            "ROW({}) OPERATOR(pg_catalog.=) ANY (SELECT {} FROM {} AS s)",
            list(names.iter().copied()),
            names.iter().map(|name| format!("s.{}", identifier(name))).collect::<Vec<_>>().join(", "),
            qualified(staging)
        ),
    }
}
