//! What is remembered between runs, in a table of the target. It is made by the first run that needs it.

use mysql_async::Conn;

use super::MySql;
use super::connect::{close, execute, rows};
use super::quote::{literal, qualified};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::TableName;
use crate::model::state::{Remembered, TableState};
use crate::targets::state_row::{self, COLUMNS, FORMAT, StateSql};

pub(super) fn table(target: &MySql) -> TableName {
    TableName::new(target.config.state.as_deref().unwrap_or(&target.config.database), state_row::TABLE)
}

fn sql(target: &MySql) -> StateSql {
    StateSql {
        table: qualified(&table(target)),
        job: literal(&target.job),
        run: literal(&target.run_id),
        selected: selected(),
        literal,
        moment: |microseconds| microseconds.to_owned(),
    }
}

fn selected() -> String {
    COLUMNS.map(|name| format!("CAST({name} AS CHAR)")).join(", ")
}

fn state(texts: &[Option<String>]) -> Result<TableState> {
    let lacking = || Error::new(Side::Target, Kind::Internal, format!("a row of {} lacks a value", state_row::TABLE));
    let texts: Option<Vec<String>> = texts.iter().cloned().collect();
    state_row::read(texts.ok_or_else(lacking)?.try_into().map_err(|_| lacking())?)
}

pub(super) async fn exists(connection: &mut Conn, table: &TableName) -> Result<bool> {
    let query = format!(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = {} AND table_name = {}",
        literal(&table.schema),
        literal(&table.name)
    );
    Ok(!rows::<i64>(connection, &query).await?.is_empty())
}

pub(super) async fn recall(target: &MySql) -> Result<Remembered> {
    let mut connection = target.connect().await?;
    let own = table(target);
    let mut found = Remembered::default();
    if exists(&mut connection, &own).await? {
        let query = format!(
            "SELECT target_schema, target_table, job, {} FROM {} WHERE format = {FORMAT} AND version IS NOT NULL",
            selected(),
            qualified(&own)
        );
        for row in rows::<Vec<Option<String>>>(&mut connection, &query).await? {
            if let [Some(schema), Some(name), Some(job), rest @ ..] = row.as_slice() {
                let name = TableName::new(schema, name);
                if *job == target.job {
                    found.own.insert(name, state(rest)?);
                } else {
                    found.by_others.insert(name);
                }
            }
        }
    }
    close(connection).await;
    Ok(found)
}

pub(super) async fn forget(target: &MySql, name: &TableName) -> Result<()> {
    let own = table(target);
    let (table, job, run) = (qualified(&own), literal(&target.job), literal(&target.run_id));
    target
        .run(&[
            format!(
                "CREATE TABLE IF NOT EXISTS {table} (target_schema varchar(64) NOT NULL, target_table varchar(64) NOT NULL, \
                 job varchar(64) NOT NULL, run_id varchar(255) NOT NULL, format smallint NOT NULL, version bigint, history text, \
                 fingerprint varchar(64), digest_rows bigint, applied bigint, digest_sum decimal(40, 0), full_at bigint, \
                 PRIMARY KEY (target_schema, target_table)) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
            ),
            format!(
                "INSERT INTO {table} (target_schema, target_table, job, run_id, format) VALUES ({}, {}, {job}, {run}, {FORMAT}) \
                 ON DUPLICATE KEY UPDATE job = {job}, run_id = {run}, format = {FORMAT}, version = NULL",
                literal(&name.schema),
                literal(&name.name)
            ),
        ])
        .await
}

pub(super) async fn remember(target: &MySql, name: &TableName, state: &TableState) -> Result<()> {
    let mut connection = target.connect().await?;
    let sql = sql(target);
    let (table, set, own) = (&sql.table, sql.assignments(state), sql.own(name));
    execute(&mut connection, &format!("UPDATE {table} SET {set} WHERE {own}")).await?;
    // Rows that an UPDATE does not change count as none.
    let query = format!("SELECT 1 FROM {table} WHERE {own} AND version IS NOT NULL");
    let done = rows::<i64>(&mut connection, &query).await;
    close(connection).await;
    if done?.is_empty() {
        return Err(state_row::taken_over(name));
    }
    Ok(())
}

/// Within a transaction: what is remembered now. Nobody else can change it before the transaction ends.
pub(super) async fn lock(target: &MySql, connection: &mut Conn, name: &TableName) -> Result<Option<TableState>> {
    let query = sql(target).lock(name);
    rows::<Vec<Option<String>>>(connection, &query).await?.first().map(|row| state(row)).transpose()
}

/// Within the same transaction.
pub(super) async fn write(target: &MySql, connection: &mut Conn, name: &TableName, state: &TableState) -> Result<()> {
    execute(connection, &sql(target).write(name, state)).await
}

/// As [`state_row::resolve`].
pub(super) async fn resolve(target: &MySql, name: &TableName, written: &TableState, lost: Error) -> Result<()> {
    state_row::resolve(name, written, lost, target.config.outage, async || {
        let mut connection = target.connect().await?;
        execute(&mut connection, "START TRANSACTION").await?;
        let found = lock(target, &mut connection, name).await;
        close(connection).await;
        found
    })
    .await
}
