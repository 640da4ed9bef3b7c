//! Changed rows into tables that stay, in one transaction with what is remembered of them.

use sqlx::postgres::PgConnection;

use super::connect::{change, close, execute, only_row};
use super::in_place::{Merge, attempt, foreign_keys, merge_rows, sequences};
use super::quote::{identifier, list, qualified};
use super::settings::THEIRS;
use super::{Postgres, digest_where, sql, state, witness};
use crate::model::error::{Error, Result};
use crate::model::schema::TableName;
use crate::model::state::TableState;
use crate::plan::TablePlan;
use crate::rows::digest::TableDigest;
use crate::targets::apply::{
    self, After, Applied, Attempt, ChangeSet, ChangedRows, GoneRows, ProvenRange, Transaction, parents_first,
};
use crate::targets::ranges::condition;

pub(super) async fn apply(target: &Postgres, sets: &[ChangeSet<'_>]) -> Result<Vec<Applied>> {
    let mut connection = target.connect().await?;
    // Nobody else does it for them, and without it the server takes each of them for large.
    for rows in sets.iter().filter_map(|set| set.rows.as_ref()) {
        analyze(&mut connection, &rows.changed.name).await?;
        if let Some(gone) = &rows.gone {
            analyze(&mut connection, &gone.staging().name).await?;
        }
    }
    let lock_timeout = target.config.lock_timeout.as_millis();
    execute(&mut connection, &format!("BEGIN; SET LOCAL lock_timeout = {lock_timeout}")).await?;
    apply::run(Applying { connection, target }, sets).await
}

struct Applying<'a> {
    connection: PgConnection,
    target: &'a Postgres,
}

impl Transaction for Applying<'_> {
    async fn lock_state(&mut self, table: &TableName) -> Result<Option<TableState>> {
        state::lock(self.target, &mut self.connection, table).await
    }

    /// Others may read meanwhile, and not write: what is measured before is what is replaced.
    async fn begin_changes(&mut self, tables: &[&TablePlan]) -> Result<Vec<usize>> {
        let order = parents_first(tables.len(), &foreign_keys(&mut self.connection, tables).await?);
        for table in order.iter().filter_map(|place| tables.get(*place)) {
            let lock = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", sql::only(&table.target));
            execute(&mut self.connection, &lock).await?;
        }
        Ok(order)
    }

    async fn before(&mut self, table: &TablePlan, rows: &ChangedRows<'_>) -> Result<[TableDigest; 2]> {
        let changed = digest_where(&mut self.connection, table, &under_keys(rows.keys, &rows.changed.name)).await?;
        let gone = match is_gone(table, rows) {
            Some(gone) => digest_where(&mut self.connection, table, &gone).await?,
            None => TableDigest::default(),
        };
        Ok([changed, gone])
    }

    async fn delete_gone(&mut self, table: &TablePlan, rows: &ChangedRows<'_>, at: Attempt) -> Result<bool> {
        let Some(gone) = is_gone(table, rows) else { return Ok(true) };
        let delete = format!("DELETE FROM {} WHERE {gone}", sql::only(&table.target));
        match at {
            Attempt::First => Ok(attempt(&mut self.connection, &delete).await?.is_none()),
            Attempt::Last => change(&mut self.connection, &delete).await.map(|()| true),
        }
    }

    async fn merge(&mut self, table: &TablePlan, rows: &ChangedRows<'_>) -> Result<()> {
        if let Some(merge) = Merge::of(table, &rows.changed.name) {
            merge_rows(&mut self.connection, table, &merge).await?;
        }
        for statement in sequences(table, &qualified(&table.target)) {
            execute(&mut self.connection, &statement).await?;
        }
        Ok(())
    }

    async fn after(&mut self, table: &TablePlan, rows: &ChangedRows<'_>, range: Option<&ProvenRange>) -> Result<After> {
        let connection = &mut self.connection;
        let applied = digest_where(connection, table, &under_keys(rows.keys, &rows.changed.name)).await?;
        let left = match is_gone(table, rows) {
            Some(gone) => count(connection, table, &gone).await?,
            None => 0,
        };
        let range = match range {
            Some(range) => {
                let condition = condition(table, &range.scope, identifier, witness::literal);
                Some(digest_where(connection, table, &condition).await?)
            }
            None => None,
        };
        Ok(After { applied, left, range })
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

async fn analyze(connection: &mut PgConnection, staging: &TableName) -> Result<()> {
    execute(connection, &format!("ANALYZE {}", qualified(staging))).await
}

async fn count(connection: &mut PgConnection, table: &TablePlan, condition: &str) -> Result<u64> {
    let query = format!("SELECT count(*)::int8 AS rows FROM {} WHERE {condition}", sql::only(&table.target));
    Ok(only_row(connection, &query).await?.value::<i64, _>("rows")? as u64)
}

pub(super) async fn count_present(
    target: &Postgres,
    table: &TablePlan,
    keys: &TablePlan,
    staging: &TableName,
) -> Result<u64> {
    let mut connection = target.connect().await?;
    analyze(&mut connection, staging).await?;
    let present = count(&mut connection, table, &under_keys(keys, staging)).await?;
    close(connection).await;
    Ok(present)
}

/// The condition of rows that are gone; nothing where there are none.
fn is_gone(table: &TablePlan, rows: &ChangedRows<'_>) -> Option<String> {
    Some(match rows.gone? {
        GoneRows::Keys(staging) => under_keys(rows.keys, &staging.name),
        GoneRows::Unless(staging) => {
            let own = identifier(&table.target.name);
            let same = rows.keys.columns.iter().map(|column| {
                let name = identifier(&column.target);
                format!("stopgap_keys.{name} OPERATOR(pg_catalog.=) {own}.{name}")
            });
            let same = same.collect::<Vec<_>>().join(" AND ");
            format!("NOT EXISTS (SELECT FROM {} AS stopgap_keys WHERE {same})", qualified(&staging.name))
        }
    })
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
