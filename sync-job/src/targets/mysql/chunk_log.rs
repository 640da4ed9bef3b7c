//! The commit log of a staging table; see [`crate::targets::chunk_log`].

use mysql_async::Conn;

use super::connect::{close, execute, execute_hidden, only_row, rows};
use super::quote::{literal, qualified};
use super::{MySql, inspect, runs};
use crate::model::error::{Error, Result};
use crate::model::run_state::ChunkRecord;
use crate::model::schema::TableName;
use crate::targets::chunk_log::{self, Entry, log};
use crate::targets::{LeftLoad, Staging};

/// The statement that makes a staging table's log.
pub(super) fn create(staging: &TableName) -> String {
    format!(
        "CREATE TABLE {} (entry varchar(64) NOT NULL PRIMARY KEY, value longtext NOT NULL) ENGINE = InnoDB \
         DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        qualified(&log(staging))
    )
}

/// Within the transaction of a chunk, before COMMIT.
pub(super) async fn write_chunk(
    target: &MySql,
    connection: &mut Conn,
    staging: &TableName,
    number: usize,
    record: &ChunkRecord,
) -> Result<Entry> {
    let entry = Entry::of_chunk(qualified(&log(staging)), number, record)?;
    write(target, connection, entry).await
}

/// Within the transaction of a swap, before COMMIT.
pub(super) async fn write_swap(target: &MySql, connection: &mut Conn, staging: &TableName) -> Result<Entry> {
    let entry = Entry::of_swap(qualified(&log(staging)), &target.run_id);
    write(target, connection, entry).await
}

async fn write(target: &MySql, connection: &mut Conn, entry: Entry) -> Result<Entry> {
    runs::refuse_superseded(target, connection).await?;
    execute(connection, &entry.insert(literal)).await?;
    Ok(entry)
}

/// What became of the transaction that wrote the entry.
pub(super) async fn resolve(target: &MySql, entry: &Entry, lost: Error) -> Result<()> {
    chunk_log::resolve(entry, lost, target.config.outage, async || {
        let mut connection = target.connect().await?;
        execute(&mut connection, "START TRANSACTION").await?;
        // A row that is not changed is one that was there (MySQL 8.0 Reference Manual, 15.2.7.2).
        execute(&mut connection, &format!("{} ON DUPLICATE KEY UPDATE entry = entry", entry.insert(literal))).await?;
        let written: u64 = only_row(&mut connection, "SELECT ROW_COUNT()").await?;
        // Closed without COMMIT: nothing of it stays.
        close(connection).await;
        Ok(written == 1)
    })
    .await
}

pub(super) async fn write_plan(target: &MySql, staging: &TableName, plan: &str) -> Result<()> {
    let log = qualified(&log(staging));
    let entry = Entry { log, name: chunk_log::PLAN.to_owned(), value: plan.to_owned() };
    let mut connection = target.connect().await?;
    // The bounds of chunks are values of rows.
    let shown = format!("INSERT INTO {} (entry, value) VALUES (…)", entry.log);
    let insert = format!("{} ON DUPLICATE KEY UPDATE entry = entry", entry.insert(literal));
    let result = execute_hidden(&mut connection, &shown, &insert).await;
    close(connection).await;
    result
}

/// Staging tables that were left with the plan of their load.
pub(super) async fn left(target: &MySql) -> Result<Vec<LeftLoad>> {
    let mut connection = target.connect().await?;
    let names = target.leftovers(&mut connection).await?;
    let mut found = Vec::new();
    for name in &names {
        let Some(staging) = chunk_log::of_log(name).filter(|staging| names.contains(&staging.name)) else { continue };
        let query = format!("SELECT value FROM {} WHERE entry = {}", qualified(name), literal(chunk_log::PLAN));
        // One of an earlier version has no such columns.
        let Ok(plans) = rows::<String>(&mut connection, &query).await else { continue };
        found.extend(plans.into_iter().next().map(|plan| LeftLoad { staging, plan }));
    }
    close(connection).await;
    Ok(found)
}

/// Renames a staging table and its log, which waits for what an earlier run has under way on them.
pub(super) async fn adopt(target: &MySql, left: &Staging, staging: &Staging) -> Result<Vec<(usize, ChunkRecord)>> {
    let mut connection = target.connect().await?;
    let to_log = log(&staging.name);
    // A try whose reply was lost may have done it.
    if !inspect::present(&mut connection, std::slice::from_ref(&to_log)).await?.contains(&to_log) {
        let rename = format!(
            "RENAME TABLE {} TO {}, {} TO {}",
            qualified(&left.name),
            qualified(&staging.name),
            qualified(&log(&left.name)),
            qualified(&to_log)
        );
        execute(&mut connection, &rename).await?;
    }
    let query = format!("SELECT entry, value FROM {}", qualified(&to_log));
    let found = rows::<(String, String)>(&mut connection, &query).await?;
    close(connection).await;
    chunk_log::chunks(found)
}
