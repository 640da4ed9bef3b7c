//! What is remembered of a job's last run; see [`crate::targets::run_row`].

use std::sync::atomic::Ordering;

use sqlx::postgres::PgConnection;

use super::connect::{change, close, execute, rows};
use super::quote::{literal, qualified};
use super::{Postgres, make_schema, permissions, publications, state};
use crate::model::error::Result;
use crate::model::run_state::{CopiedTable, LastRun, OpenRun};
use crate::model::schema::TableName;
use crate::targets::run_row::{self, COPIED, RUNS, RunSql};

fn sql(target: &Postgres) -> RunSql {
    let [runs, copied] = tables(target);
    RunSql {
        runs: qualified(&runs),
        copied: qualified(&copied),
        job: literal(&target.job),
        // The tables are in the database that the job writes to.
        place: literal(""),
        run: literal(&target.run_id),
        literal,
        share: "FOR SHARE",
    }
}

fn tables(target: &Postgres) -> [TableName; 2] {
    let schema = state::table(target).schema;
    [RUNS, COPIED].map(|name| TableName::new(&schema, name))
}

/// What keeps this login from it, with the remedy.
pub(super) async fn refused(target: &Postgres) -> Result<Option<(String, String)>> {
    let mut connection = target.connect().await?;
    let schema = state::table(target).schema;
    let mut found = permissions::missing_in_schema(&mut connection, &schema).await?;
    for table in tables(target) {
        if found.is_none() {
            found = permissions::without_rights(&mut connection, &table, "SELECT, INSERT, UPDATE, DELETE").await?;
        }
    }
    close(connection).await;
    Ok(found)
}

pub(super) async fn last(target: &Postgres) -> Result<LastRun> {
    let mut connection = target.connect().await?;
    let mut is_there = true;
    for table in tables(target) {
        is_there &= state::is_readable(&mut connection, &table).await?;
    }
    let found = if is_there { read(&mut connection, &sql(target)).await } else { Ok(LastRun::Ended) };
    close(connection).await;
    found
}

async fn read(connection: &mut PgConnection, sql: &RunSql) -> Result<LastRun> {
    let found = rows(connection, &sql.last()).await?;
    let Some(run) = found.first() else { return Ok(LastRun::Ended) };
    let run: Option<String> = run.value("details")?;
    let copied = rows(connection, &sql.all_copied()).await?;
    let copied = copied.iter().map(|row| row.text("details")).collect::<Result<Vec<_>>>()?;
    Ok(run_row::read(run.as_deref(), &copied))
}

pub(super) async fn begin(target: &Postgres, run: &OpenRun, continues: bool) -> Result<()> {
    let mut connection = target.connect().await?;
    make(target, &mut connection).await?;
    let sql = sql(target);
    execute(&mut connection, "BEGIN; SET LOCAL lock_timeout = '30s'").await?;
    let is_there = !rows(&mut connection, &sql.lock()).await?.is_empty();
    for statement in sql.begin(is_there, run, continues)? {
        execute(&mut connection, &statement).await?;
    }
    execute(&mut connection, "COMMIT").await?;
    close(connection).await;
    target.is_remembered.store(true, Ordering::Relaxed);
    Ok(())
}

/// Two jobs may make them at once: whoever is second finds them.
async fn make(target: &Postgres, connection: &mut PgConnection) -> Result<()> {
    let [runs, copied] = tables(target);
    let columns = [
        (&runs, "job text NOT NULL, place text NOT NULL, run_id text NOT NULL, details text, PRIMARY KEY (job, place)"),
        (
            &copied,
            "job text NOT NULL, place text NOT NULL, target_schema text NOT NULL, target_table text NOT NULL, details text NOT NULL, \
             PRIMARY KEY (job, place, target_schema, target_table)",
        ),
    ];
    for (table, columns) in columns {
        if !state::exists(connection, table).await? {
            make_schema(connection, &table.schema).await?;
            let create = format!("CREATE TABLE IF NOT EXISTS {} ({columns})", qualified(table));
            match change(connection, &create).await {
                Err(_) if state::exists(connection, table).await? => {}
                result => result?,
            }
        }
        // No subscriber has such a table. What a crash empties so is only what the next run would have saved.
        publications::hide(connection, table).await?;
    }
    Ok(())
}

pub(super) async fn end(target: &Postgres, only_own: bool) -> Result<()> {
    if only_own && !target.is_remembered.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut connection = target.connect().await?;
    let mut is_there = true;
    for table in tables(target) {
        is_there &= state::exists(&mut connection, &table).await?;
    }
    let [end, forget] = sql(target).end(only_own);
    let result =
        if is_there { execute(&mut connection, &format!("BEGIN; {end}; {forget}; COMMIT")).await } else { Ok(()) };
    close(connection).await;
    result
}

pub(super) async fn note(target: &Postgres, copied: &[CopiedTable]) -> Result<()> {
    if !target.is_remembered.load(Ordering::Relaxed) {
        return Ok(());
    }
    let sql = sql(target);
    let statements =
        copied.iter().map(|table| sql.note(table).map(|both| both.join("; "))).collect::<Result<Vec<_>>>()?;
    target.run(&format!("BEGIN; {}; COMMIT", statements.join("; "))).await
}

/// Within a transaction that is about to be committed: an error where another run has begun since. None can begin before this one has
/// ended.
pub(super) async fn refuse_superseded(target: &Postgres, connection: &mut PgConnection) -> Result<()> {
    if !target.is_remembered.load(Ordering::Relaxed) {
        return Ok(());
    }
    let found = rows(connection, &sql(target).current()).await?;
    let current = found.first().map(|row| row.text("run_id")).transpose()?;
    run_row::refuse_superseded(&target.job, &target.run_id, current.as_deref())
}
