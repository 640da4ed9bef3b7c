//! Changed rows into tables that stay, in one transaction with what is remembered of them. No statement in it commits implicitly.

use mysql_async::Conn;

use super::connect::{OUR_TIME_ZONE, close, execute, only_row, rows as query_rows};
use super::in_place::{Merge, refuse_orphans};
use super::preserved::texts;
use super::quote::{identifier, list, literal, qualified};
use super::{MySql, digest, sql, state, witness};
use crate::model::error::{Error, Kind, Result};
use crate::model::schema::TableName;
use crate::model::state::TableState;
use crate::plan::TablePlan;
use crate::rows::digest::TableDigest;
use crate::targets::apply::{
    self, After, Applied, Attempt, ChangeSet, ChangedRows, GoneRows, ProvenRange, Transaction, parents_first,
};
use crate::targets::ranges::condition;

pub(super) async fn apply(target: &MySql, sets: &[ChangeSet<'_>]) -> Result<Vec<Applied>> {
    let mut connection = target.connect().await?;
    // Whole seconds, at least one.
    let timeout = target.config.lock_timeout.as_secs().max(1);
    let limits = format!("SET SESSION lock_wait_timeout = {timeout}, innodb_lock_wait_timeout = {timeout}");
    execute(&mut connection, &limits).await?;
    execute(&mut connection, "START TRANSACTION").await?;
    apply::run(Applying { connection, target, unchecked: Vec::new() }, sets).await
}

struct Applying<'a> {
    connection: Conn,
    target: &'a MySql,
    /// Tables that were changed without a look at foreign keys.
    unchecked: Vec<TableName>,
}

impl Applying<'_> {
    /// What is measured is locked: a plain read would see the rows of the transaction's beginning, and others may have written since.
    async fn measure(&mut self, table: &TablePlan, condition: &str) -> Result<TableDigest> {
        let digest = sql::digest(table, &table.target, &texts(&mut self.connection, &table.target).await?);
        digest::part(&mut self.connection, &digest, &table.target, &format!("{condition} FOR UPDATE")).await
    }

    /// Rows that refer to one another within a statement, or exchange a value of a second unique key, are in each other's way half way through: InnoDB
    /// looks at each row as it goes (MySQL 8.0 Reference Manual, 15.1.20.5 "FOREIGN KEY Constraints"). They go together, and
    /// [`Transaction::after`] looks at the references of all of them.
    async fn unchecked(&mut self, table: &TablePlan, statements: &[&str]) -> Result<()> {
        execute(&mut self.connection, "SET SESSION foreign_key_checks = 0").await?;
        for statement in statements {
            execute(&mut self.connection, statement).await?;
        }
        execute(&mut self.connection, "SET SESSION foreign_key_checks = 1").await?;
        if !self.unchecked.contains(&table.target) {
            self.unchecked.push(table.target.clone());
        }
        Ok(())
    }

    /// What triggers write down as now is the server's time.
    async fn in_their_time(&mut self) -> Result<()> {
        execute(&mut self.connection, "SET SESSION time_zone = @@GLOBAL.time_zone").await
    }

    async fn in_our_time(&mut self) -> Result<()> {
        execute(&mut self.connection, &format!("SET SESSION {OUR_TIME_ZONE}")).await
    }
}

impl Transaction for Applying<'_> {
    async fn lock_state(&mut self, table: &TableName) -> Result<Option<TableState>> {
        state::lock(self.target, &mut self.connection, table).await
    }

    async fn begin_changes(&mut self, tables: &[&TablePlan]) -> Result<Vec<usize>> {
        Ok(parents_first(tables.len(), &foreign_keys(&mut self.connection, tables).await?))
    }

    async fn before(&mut self, table: &TablePlan, rows: &ChangedRows<'_>) -> Result<[TableDigest; 2]> {
        let changed = self.measure(table, &under_keys(rows.keys, &rows.changed.name)).await?;
        let gone = match is_gone(table, rows) {
            Some(gone) => self.measure(table, &gone).await?,
            None => TableDigest::default(),
        };
        Ok([changed, gone])
    }

    async fn delete_gone(&mut self, table: &TablePlan, rows: &ChangedRows<'_>, attempt: Attempt) -> Result<bool> {
        let Some(delete) = delete_gone(table, rows) else { return Ok(true) };
        self.in_their_time().await?;
        let is_deleted = match execute(&mut self.connection, &delete).await {
            // The failed statement has left nothing.
            Err(error) if error.kind == Kind::Data && attempt == Attempt::First => false,
            Err(error) if error.kind == Kind::Data => {
                self.unchecked(table, &[&delete]).await?;
                true
            }
            result => result.map(|()| true)?,
        };
        self.in_our_time().await?;
        Ok(is_deleted)
    }

    /// Touches the rows that differ and no others.
    async fn merge(&mut self, table: &TablePlan, rows: &ChangedRows<'_>) -> Result<()> {
        let Some(merge) = Merge::of(&mut self.connection, table, &rows.changed.name).await? else { return Ok(()) };
        self.in_their_time().await?;
        let updated = match &merge.update_changed {
            Some(update) => execute(&mut self.connection, update).await,
            None => Ok(()),
        };
        match updated {
            Err(error) if error.kind == Kind::Data => {
                self.unchecked(table, &[&merge.delete_changed, &merge.insert_missing]).await?;
            }
            result => {
                result?;
                match execute(&mut self.connection, &merge.insert_missing).await {
                    Err(error) if error.kind == Kind::Data => self.unchecked(table, &[&merge.insert_missing]).await?,
                    result => result?,
                }
            }
        }
        self.in_our_time().await
    }

    async fn after(&mut self, table: &TablePlan, rows: &ChangedRows<'_>, range: Option<&ProvenRange>) -> Result<After> {
        if self.unchecked.contains(&table.target) {
            refuse_orphans(&mut self.connection, &table.target, &[]).await?;
        }
        let applied = self.measure(table, &under_keys(rows.keys, &rows.changed.name)).await?;
        let left = match is_gone(table, rows) {
            Some(gone) => {
                let own = qualified(&table.target);
                let count = format!("SELECT COUNT(*) FROM {own} WHERE {gone} FOR UPDATE");
                only_row(&mut self.connection, &count).await?
            }
            None => 0,
        };
        let range = match range {
            Some(range) => {
                Some(self.measure(table, &condition(table, &range.scope, identifier, witness::literal)).await?)
            }
            None => None,
        };
        Ok(After { applied, left, range })
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

/// Foreign keys among the tables that are there: child and parent, each by its place.
async fn foreign_keys(connection: &mut Conn, tables: &[&TablePlan]) -> Result<Vec<(usize, usize)>> {
    if tables.len() < 2 {
        return Ok(Vec::new());
    }
    let pair = |name: &TableName| format!("({}, {})", literal(&name.schema), literal(&name.name));
    let names: Vec<String> = tables.iter().map(|table| pair(&table.target)).collect();
    let query = format!(
        "SELECT DISTINCT table_schema, table_name, referenced_table_schema, referenced_table_name \
         FROM information_schema.key_column_usage WHERE referenced_table_name IS NOT NULL AND (table_schema, table_name) IN ({})",
        names.join(", ")
    );
    let found: Vec<(String, String, String, String)> = query_rows(connection, &query).await?;
    let place = |schema: &str, name: &str| {
        tables.iter().position(|table| table.target.schema == schema && table.target.name == name)
    };
    let keys = found.iter().filter_map(|(schema, name, parents, parent)| {
        Some((place(schema, name)?, place(parents, parent)?)).filter(|(child, parent)| child != parent)
    });
    Ok(keys.collect())
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

/// The condition of rows that are gone; nothing where there are none.
fn is_gone(table: &TablePlan, rows: &ChangedRows<'_>) -> Option<String> {
    Some(match rows.gone? {
        GoneRows::Keys(staging) => under_keys(rows.keys, &staging.name),
        GoneRows::Unless(staging) => {
            let own = qualified(&table.target);
            let same = rows.keys.columns.iter().map(|column| {
                let name = identifier(&column.target);
                format!("stopgap_keys.{name} = {own}.{name}")
            });
            let same = same.collect::<Vec<_>>().join(" AND ");
            format!("NOT EXISTS (SELECT 1 FROM {} AS stopgap_keys WHERE {same})", qualified(&staging.name))
        }
    })
}

/// The condition of rows whose key is in a staging table.
fn under_keys(keys: &TablePlan, staging: &TableName) -> String {
    let names = list(keys.columns.iter().map(|column| &column.target));
    let staged: Vec<String> =
        keys.columns.iter().map(|column| format!("stopgap_keys.{}", identifier(&column.target))).collect();
    format!("({names}) IN (SELECT {} FROM {} AS stopgap_keys)", staged.join(", "), qualified(staging))
}
