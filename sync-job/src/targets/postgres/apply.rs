//! Changed rows into a table that stays, in one transaction with what is remembered of it.

use sqlx::postgres::PgConnection;

use super::connect::{change, close, execute, only_row};
use super::in_place::{Merge, merge_rows, sequences};
use super::quote::{identifier, list, qualified};
use super::settings::THEIRS;
use super::{Postgres, digest_where, sql, state, witness};
use crate::model::error::{Error, Result};
use crate::model::schema::TableName;
use crate::model::state::TableState;
use crate::plan::TablePlan;
use crate::targets::apply::{self, Applied, ChangeSet, ChangedRows, GoneRows, Measured, ProvenRange, Transaction};
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
    apply::run(Applying { connection, target }, changes).await
}

struct Applying<'a> {
    connection: PgConnection,
    target: &'a Postgres,
}

impl Transaction for Applying<'_> {
    async fn lock_state(&mut self, table: &TableName) -> Result<Option<TableState>> {
        state::lock(self.target, &mut self.connection, table).await
    }

    async fn change(
        &mut self,
        table: &TablePlan,
        rows: &ChangedRows<'_>,
        range: Option<&ProvenRange>,
    ) -> Result<Measured> {
        let mut measured = rows_into(&mut self.connection, table, rows).await?;
        if let Some(range) = range {
            let condition = condition(table, &range.scope, identifier, witness::literal);
            measured.range = Some(digest_where(&mut self.connection, table, &condition).await?);
        }
        Ok(measured)
    }

    async fn write_state(&mut self, table: &TableName, state: &TableState) -> Result<()> {
        state::write(self.target, &mut self.connection, table, state).await
    }

    async fn commit(&mut self) -> Result<()> {
        // Triggers may wait for the COMMIT.
        execute(&mut self.connection, THEIRS).await?;
        execute(&mut self.connection, "COMMIT").await
    }

    async fn close(self) {
        close(self.connection).await;
    }

    async fn resolve(self, table: &TableName, written: &TableState, lost: Error) -> Result<()> {
        drop(self.connection);
        state::resolve(self.target, table, written, lost).await
    }
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
                format!("stopgap_keys.{name} OPERATOR(pg_catalog.=) {own}.{name}")
            });
            let same = same.collect::<Vec<_>>().join(" AND ");
            format!("NOT EXISTS (SELECT FROM {} AS stopgap_keys WHERE {same})", qualified(&staging.name))
        }
    }
}

/// The condition of rows whose key is in a staging table. It is also part of statements that other people's code answers to with a
/// `search_path` of its own, so the operator is named in full.
fn under_keys(keys: &TablePlan, staging: &TableName) -> String {
    let names: Vec<&String> = keys.columns.iter().map(|column| &column.target).collect();
    match names.as_slice() {
        [name] => format!(
            "{} OPERATOR(pg_catalog.=) ANY (SELECT stopgap_keys.{} FROM {} AS stopgap_keys)",
            identifier(name),
            identifier(name),
            qualified(staging)
        ),
        _ => format!(
            "ROW({}) OPERATOR(pg_catalog.=) ANY (SELECT {} FROM {} AS stopgap_keys)",
            list(names.iter().copied()),
            names.iter().map(|name| format!("stopgap_keys.{}", identifier(name))).collect::<Vec<_>>().join(", "),
            qualified(staging)
        ),
    }
}
