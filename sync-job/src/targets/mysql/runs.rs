//! What is remembered of a job's last run; see [`crate::targets::run_row`].

use std::sync::atomic::Ordering;

use mysql_async::Conn;

use super::connect::{close, execute, row, rows};
use super::quote::{literal, qualified};
use super::{MySql, permissions, state};
use crate::model::error::Result;
use crate::model::run_state::{CopiedTable, LastRun, OpenRun};
use crate::model::schema::TableName;
use crate::targets::run_row::{self, COPIED, RUNS, RunSql};

fn sql(target: &MySql) -> RunSql {
    let [runs, copied] = tables(target);
    RunSql {
        runs: qualified(&runs),
        copied: qualified(&copied),
        job: literal(&target.job),
        // Jobs of one name may write to several databases and remember in the same.
        place: literal(&target.config.database),
        run: literal(&target.run_id),
        literal,
        share: "LOCK IN SHARE MODE",
    }
}

fn tables(target: &MySql) -> [TableName; 2] {
    let database = state::table(target).schema;
    [RUNS, COPIED].map(|name| TableName::new(&database, name))
}

/// What keeps this login from it, with the remedy.
pub(super) async fn refused(target: &MySql) -> Result<Option<(String, String)>> {
    let mut connection = target.connect().await?;
    let found = permissions::missing(&mut connection, &[], Some(&state::table(target).schema)).await?;
    close(connection).await;
    Ok(found.into_iter().next())
}

async fn are_there(target: &MySql, connection: &mut Conn) -> Result<bool> {
    for table in tables(target) {
        if !state::exists(connection, &table).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) async fn last(target: &MySql) -> Result<LastRun> {
    let mut connection = target.connect().await?;
    let is_there = are_there(target, &mut connection).await?;
    let found = if is_there { read(&mut connection, &sql(target)).await? } else { LastRun::Ended };
    close(connection).await;
    Ok(found)
}

async fn read(connection: &mut Conn, sql: &RunSql) -> Result<LastRun> {
    let Some(run) = row::<Option<String>>(connection, &sql.last()).await? else { return Ok(LastRun::Ended) };
    let copied = rows::<String>(connection, &sql.all_copied()).await?;
    Ok(run_row::read(run.as_deref(), &copied))
}

pub(super) async fn begin(target: &MySql, run: &OpenRun, continues: bool) -> Result<()> {
    let mut connection = target.connect().await?;
    make(target, &mut connection).await?;
    let sql = sql(target);
    execute(&mut connection, "START TRANSACTION").await?;
    let is_there = row::<String>(&mut connection, &sql.lock()).await?.is_some();
    for statement in sql.begin(is_there, run, continues)? {
        execute(&mut connection, &statement).await?;
    }
    execute(&mut connection, "COMMIT").await?;
    close(connection).await;
    target.is_remembered.store(true, Ordering::Relaxed);
    Ok(())
}

async fn make(target: &MySql, connection: &mut Conn) -> Result<()> {
    let [runs, copied] = tables(target);
    let columns = [
        (&runs, "run_id varchar(255) NOT NULL, details longtext, PRIMARY KEY (job, place)"),
        (
            &copied,
            "target_schema varchar(64) NOT NULL, target_table varchar(64) NOT NULL, details longtext NOT NULL, \
             PRIMARY KEY (job, place, target_schema, target_table)",
        ),
    ];
    for (table, columns) in columns {
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {} (job varchar(64) NOT NULL, place varchar(64) NOT NULL, {columns}) ENGINE = InnoDB \
             DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            qualified(table)
        );
        execute(connection, &create).await?;
    }
    Ok(())
}

pub(super) async fn end(target: &MySql, only_own: bool) -> Result<()> {
    if only_own && !target.is_remembered.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut connection = target.connect().await?;
    if are_there(target, &mut connection).await? {
        let [end, forget] = sql(target).end(only_own);
        for statement in ["START TRANSACTION", &end, &forget, "COMMIT"] {
            execute(&mut connection, statement).await?;
        }
    }
    close(connection).await;
    Ok(())
}

pub(super) async fn note(target: &MySql, copied: &[CopiedTable]) -> Result<()> {
    if !target.is_remembered.load(Ordering::Relaxed) {
        return Ok(());
    }
    let sql = sql(target);
    let mut statements = vec!["START TRANSACTION".to_owned()];
    for table in copied {
        statements.extend(sql.note(table)?);
    }
    statements.push("COMMIT".to_owned());
    target.run(&statements).await
}

/// Within a transaction that is about to be committed: an error where another run has begun since. None can begin before this one has
/// ended.
pub(super) async fn refuse_superseded(target: &MySql, connection: &mut Conn) -> Result<()> {
    if !target.is_remembered.load(Ordering::Relaxed) {
        return Ok(());
    }
    let current = row::<String>(connection, &sql(target).current()).await?;
    run_row::refuse_superseded(&target.job, &target.run_id, current.as_deref())
}
