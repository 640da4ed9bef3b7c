//! The commit log of a staging table; see [`crate::targets::chunk_log`].

use sqlx::postgres::PgConnection;

use super::connect::{change, close, execute, execute_hidden, only_row, rows};
use super::quote::{identifier, literal, qualified};
use super::{Postgres, lease, publications, runs};
use crate::model::error::{Error, Result};
use crate::model::run_state::ChunkRecord;
use crate::model::schema::TableName;
use crate::targets::chunk_log::{self, Entry, log};
use crate::targets::{LeftLoad, Staging};

/// When the server was started that the staging table was made on: one that is not written to the log of changes is emptied by a crash.
const SERVER: &str = "server";
const STARTED: &str = "pg_postmaster_start_time()::text";

/// The statement that makes a staging table's log.
pub(super) fn create(staging: &TableName) -> String {
    format!("CREATE TABLE {} (entry text PRIMARY KEY, value text NOT NULL)", qualified(&log(staging)))
}

/// Within the transaction of a chunk, before COMMIT.
pub(super) async fn write_chunk(
    target: &Postgres,
    connection: &mut PgConnection,
    staging: &TableName,
    number: usize,
    record: &ChunkRecord,
) -> Result<Entry> {
    let entry = Entry::of_chunk(qualified(&log(staging)), number, record)?;
    write(target, connection, entry).await
}

/// Within the transaction of a swap, before COMMIT.
pub(super) async fn write_swap(target: &Postgres, connection: &mut PgConnection, staging: &TableName) -> Result<Entry> {
    let entry = Entry::of_swap(qualified(&log(staging)), &target.run_id);
    write(target, connection, entry).await
}

async fn write(target: &Postgres, connection: &mut PgConnection, entry: Entry) -> Result<Entry> {
    runs::refuse_superseded(target, connection).await?;
    execute(connection, &entry.insert(literal)).await?;
    Ok(entry)
}

/// What became of the transaction that wrote the entry.
pub(super) async fn resolve(target: &Postgres, entry: &Entry, lost: Error) -> Result<()> {
    chunk_log::resolve(entry, lost, target.config.outage, async || {
        let mut connection = target.connect().await?;
        execute(&mut connection, "BEGIN; SET LOCAL lock_timeout = '30s'").await?;
        let insert = format!("{} ON CONFLICT DO NOTHING RETURNING 1 AS is_new", entry.insert(literal));
        let written = rows(&mut connection, &insert).await;
        // Closed without COMMIT: nothing of it stays.
        close(connection).await;
        Ok(!written?.is_empty())
    })
    .await
}

pub(super) async fn write_plan(target: &Postgres, staging: &TableName, plan: &str) -> Result<()> {
    let statement = format!(
        "INSERT INTO {} (entry, value) VALUES ({}, {}), ({}, {STARTED}) ON CONFLICT DO NOTHING",
        qualified(&log(staging)),
        literal(chunk_log::PLAN),
        literal(plan),
        literal(SERVER)
    );
    let mut connection = target.connect().await?;
    // The bounds of chunks are values of rows.
    let shown = format!("INSERT INTO {} (entry, value) VALUES (…)", qualified(&log(staging)));
    let result = execute_hidden(&mut connection, &shown, &statement).await;
    close(connection).await;
    result
}

/// Staging tables that were left with the plan of their load, but for those that a restart of the server may have emptied.
pub(super) async fn left(target: &Postgres) -> Result<Vec<LeftLoad>> {
    let mut connection = target.connect().await?;
    let query = format!(
        "SELECT n.nspname::text AS schema_name, c.relname::text AS table_name, s.relpersistence = 'u' AS is_unlogged \
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         JOIN pg_class AS s ON s.relnamespace = c.relnamespace AND s.relname || 'c' = c.relname AND s.relkind = 'r' \
         WHERE c.relkind = 'r' AND starts_with(c.relname, {}) AND NOT starts_with(c.relname, {}) \
         AND starts_with(coalesce(obj_description(c.oid, 'pg_class'), ''), {}) ORDER BY 1, 2",
        literal(&target.prefix()),
        literal(&target.own_prefix()),
        literal(&lease::comment_of_job(target)),
    );
    let mut found = Vec::new();
    for row in rows(&mut connection, &query).await? {
        let name = TableName::new(row.text("schema_name")?, row.text("table_name")?);
        let is_unlogged = row.flag("is_unlogged")?;
        let log = qualified(&name);
        let query = format!(
            "SELECT p.value AS plan, s.value = {STARTED} AS is_same FROM {log} AS p JOIN {log} AS s ON s.entry = {} WHERE p.entry = {}",
            literal(SERVER),
            literal(chunk_log::PLAN)
        );
        // One of an earlier version has no such columns; a dead run's session may hold a lock until the server notices.
        execute(&mut connection, "SET lock_timeout = '30s'").await?;
        let Ok(plans) = rows(&mut connection, &query).await else { continue };
        let (Some(plan), Some(staging)) = (plans.first(), chunk_log::of_log(&name)) else { continue };
        if plan.flag("is_same")? || !is_unlogged {
            found.push(LeftLoad { staging, plan: plan.text("plan")? });
        }
    }
    close(connection).await;
    Ok(found)
}

/// Renames a staging table and its log, which waits for what an earlier run has under way on them.
pub(super) async fn adopt(target: &Postgres, left: &Staging, staging: &Staging) -> Result<Vec<(usize, ChunkRecord)>> {
    let mut connection = target.connect().await?;
    let to_log = qualified(&log(&staging.name));
    let rename = |from: &TableName, to: &TableName| {
        format!("ALTER TABLE {} RENAME TO {}", qualified(from), identifier(&to.name))
    };
    let find = format!("SELECT to_regclass({}) IS NOT NULL AS is_done", literal(&to_log));
    // A try whose reply was lost may have done it.
    if !only_row(&mut connection, &find).await?.flag("is_done")? {
        let both = [rename(&left.name, &staging.name), rename(&log(&left.name), &log(&staging.name))];
        execute(&mut connection, "BEGIN; SET LOCAL lock_timeout = '30s'").await?;
        change(&mut connection, &both.join("; ")).await?;
        // A publication may be newer than they are.
        publications::hide(&mut connection, &staging.name).await?;
        publications::hide(&mut connection, &log(&staging.name)).await?;
        execute(&mut connection, "COMMIT").await?;
    }
    let found = rows(&mut connection, &format!("SELECT entry, value FROM {to_log}")).await?;
    close(connection).await;
    let entries = found.iter().map(|row| Ok((row.text("entry")?, row.text("value")?))).collect::<Result<Vec<_>>>()?;
    chunk_log::chunks(entries)
}
