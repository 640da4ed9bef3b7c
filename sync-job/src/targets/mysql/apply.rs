//! Changed rows into a table that stays, in one transaction with what is remembered of it. No statement in it commits implicitly.

use mysql_async::Conn;

use super::connect::{OUR_TIME_ZONE, close, execute, only_row};
use super::in_place::{Merge, refuse_orphans};
use super::preserved::texts;
use super::quote::{identifier, list, qualified};
use super::{MySql, digest, sql, state, witness};
use crate::model::error::{Error, Kind, Result};
use crate::model::schema::TableName;
use crate::model::state::TableState;
use crate::plan::TablePlan;
use crate::targets::apply::{self, Applied, ChangeSet, ChangedRows, GoneRows, Measured, ProvenRange, Transaction};
use crate::targets::ranges::condition;

pub(super) async fn apply(target: &MySql, changes: &ChangeSet<'_>) -> Result<Applied> {
    let mut connection = target.connect().await?;
    execute(&mut connection, "START TRANSACTION").await?;
    apply::run(Applying { connection, target }, changes).await
}

struct Applying<'a> {
    connection: Conn,
    target: &'a MySql,
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
        let (connection, name) = (&mut self.connection, &table.target);
        let mut measured = rows_into(connection, table, rows).await?;
        if let Some(range) = range {
            let condition = condition(table, &range.scope, identifier, witness::literal);
            let digest = sql::digest(table, name, &texts(connection, name).await?);
            measured.range = Some(digest::part(connection, &digest, name, &format!("{condition} FOR UPDATE")).await?);
        }
        Ok(measured)
    }

    async fn write_state(&mut self, table: &TableName, state: &TableState) -> Result<()> {
        state::write(self.target, &mut self.connection, table, state).await
    }

    async fn commit(&mut self) -> Result<()> {
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

/// What is measured is locked: a plain read would see the rows of the transaction's beginning, and others may have written since.
async fn rows_into(connection: &mut Conn, table: &TablePlan, rows: &ChangedRows<'_>) -> Result<Measured> {
    let changed = &rows.changed.name;
    let (of_changed, of_gone) = (under_keys(rows.keys, changed), is_gone(table, rows));
    let digest = sql::digest(table, &table.target, &texts(connection, &table.target).await?);
    let measure = async |connection: &mut Conn, condition: &str| {
        digest::part(connection, &digest, &table.target, &format!("{condition} FOR UPDATE")).await
    };
    let before_changed = measure(connection, &of_changed).await?;
    let before_gone = measure(connection, &of_gone).await?;
    let own = qualified(&table.target);
    // What triggers write down as now is the server's time.
    execute(connection, "SET SESSION time_zone = @@GLOBAL.time_zone").await?;
    if let Some(delete) = delete_gone(table, rows) {
        execute(connection, &delete).await?;
    }
    if let Some(merge) = Merge::of(connection, table, changed).await? {
        merge_rows(connection, table, &merge).await?;
    }
    execute(connection, &format!("SET SESSION {OUR_TIME_ZONE}")).await?;
    let applied = measure(connection, &of_changed).await?;
    let left = only_row(connection, &format!("SELECT COUNT(*) FROM {own} WHERE {of_gone} FOR UPDATE")).await?;
    Ok(Measured { changed: before_changed, gone: before_gone, applied, left, range: None })
}

/// In the form of several tables, which the manual advises: of one table a subquery would be asked for each row (MySQL 8.0 Reference Manual, 15.2.2
/// "DELETE Statement").
fn delete_gone(table: &TablePlan, rows: &ChangedRows<'_>) -> Option<String> {
    let own = qualified(&table.target);
    let same = rows.keys.columns.iter().map(|column| {
        let name = identifier(&column.target);
        format!("stopgap_keys.{name} = stopgap_own.{name}")
    });
    let same = same.collect::<Vec<_>>().join(" AND ");
    let absent = rows.keys.columns.first().map(|column| identifier(&column.target))?;
    let (join, staging, condition) = match rows.gone? {
        GoneRows::Keys(staging) => ("JOIN", staging, String::new()),
        GoneRows::Unless(staging) => ("LEFT JOIN", staging, format!(" WHERE stopgap_keys.{absent} IS NULL")),
    };
    let staging = qualified(&staging.name);
    Some(format!("DELETE stopgap_own FROM {own} AS stopgap_own {join} {staging} AS stopgap_keys ON {same}{condition}"))
}

/// Touches the rows that differ and no others.
async fn merge_rows(connection: &mut Conn, table: &TablePlan, merge: &Merge) -> Result<()> {
    if let Some(update) = &merge.update_changed {
        match execute(connection, update).await {
            // Rows that exchange a value of a second unique key collide half way: they have to leave together and come back, and rows
            // that refer to them are checked when all is done. The failed statement has left nothing.
            Err(error) if error.kind == Kind::Data => {
                execute(connection, "SET SESSION foreign_key_checks = 0").await?;
                execute(connection, &merge.delete_changed).await?;
                execute(connection, &merge.insert_missing).await?;
                execute(connection, "SET SESSION foreign_key_checks = 1").await?;
                return refuse_orphans(connection, &table.target, &[]).await;
            }
            result => result?,
        }
    }
    execute(connection, &merge.insert_missing).await
}

pub(super) async fn count_present(
    target: &MySql,
    table: &TablePlan,
    keys: &TablePlan,
    staging: &TableName,
) -> Result<u64> {
    let mut connection = target.connect().await?;
    let (own, condition) = (qualified(&table.target), under_keys(keys, staging));
    let counted = only_row(&mut connection, &format!("SELECT COUNT(*) FROM {own} WHERE {condition}")).await?;
    close(connection).await;
    Ok(counted)
}

/// The condition of rows that are gone.
fn is_gone(table: &TablePlan, rows: &ChangedRows<'_>) -> String {
    match rows.gone {
        None => "FALSE".to_owned(),
        Some(GoneRows::Keys(staging)) => under_keys(rows.keys, &staging.name),
        Some(GoneRows::Unless(staging)) => {
            let own = qualified(&table.target);
            let same = rows.keys.columns.iter().map(|column| {
                let name = identifier(&column.target);
                format!("stopgap_keys.{name} = {own}.{name}")
            });
            let same = same.collect::<Vec<_>>().join(" AND ");
            format!("NOT EXISTS (SELECT 1 FROM {} AS stopgap_keys WHERE {same})", qualified(&staging.name))
        }
    }
}

/// The condition of rows whose key is in a staging table.
fn under_keys(keys: &TablePlan, staging: &TableName) -> String {
    let names = list(keys.columns.iter().map(|column| &column.target));
    let staged: Vec<String> =
        keys.columns.iter().map(|column| format!("stopgap_keys.{}", identifier(&column.target))).collect();
    format!("({names}) IN (SELECT {} FROM {} AS stopgap_keys)", staged.join(", "), qualified(staging))
}
