//! What is remembered between runs, in a table of the target. It is made by the first run that needs it.

use sqlx::postgres::PgConnection;

use super::connect::{close, execute, only_row, rows};
use super::quote::{literal, qualified};
use super::row::Answer;
use super::{Postgres, make_schema};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::TableName;
use crate::model::state::{Remembered, TableState};
use crate::targets::state_row::{self, COLUMNS, FORMAT, StateSql};

/// The schema, where the job file names none.
/// No login's name is likely to be this one: PostgreSQL looks first into a schema with the name of the login (`search_path` is `"$user", public`), and
/// whatever the login `stopgap` made without a schema would land in a schema of that name.
const SCHEMA: &str = "stopgap_state";

pub(super) fn table(target: &Postgres) -> TableName {
    TableName::new(target.config.state.as_deref().unwrap_or(SCHEMA), state_row::TABLE)
}

fn sql(target: &Postgres) -> StateSql {
    StateSql {
        table: qualified(&table(target)),
        job: literal(&target.job),
        run: literal(&target.run_id),
        selected: selected(),
        literal,
        moment: |microseconds| format!("to_timestamp(0) + {microseconds} * interval '1 microsecond'"),
    }
}

/// The columns as texts; moments in microseconds since 1970.
fn selected() -> String {
    COLUMNS
        .map(|name| match name {
            "full_at" => "(extract(epoch FROM full_at) * 1000000)::int8::text AS full_at".to_owned(),
            name => format!("{name}::text AS {name}"),
        })
        .join(", ")
}

fn state(row: &Answer) -> Result<TableState> {
    let texts = COLUMNS.iter().map(|name| row.text(name)).collect::<Result<Vec<_>>>()?;
    let texts = texts.try_into().map_err(|_| Error::new(Side::Target, Kind::Internal, "a state lacks a column"))?;
    state_row::read(texts)
}

/// `to_regclass` would be refused where the login may not use the schema.
pub(super) async fn exists(connection: &mut PgConnection, table: &TableName) -> Result<bool> {
    is_there(connection, table, "").await
}

pub(super) async fn is_readable(connection: &mut PgConnection, table: &TableName) -> Result<bool> {
    is_there(connection, table, " AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')")
        .await
}

async fn is_there(connection: &mut PgConnection, table: &TableName, privileges: &str) -> Result<bool> {
    let query = format!(
        "SELECT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relname = {}{privileges}) AS there",
        literal(&table.schema),
        literal(&table.name)
    );
    only_row(connection, &query).await?.flag("there")
}

pub(super) async fn recall(target: &Postgres) -> Result<Remembered> {
    let mut connection = target.connect().await?;
    let own = table(target);
    let mut found = Remembered::default();
    if is_readable(&mut connection, &own).await? {
        let query = format!(
            "SELECT target_schema, target_table, job = {} AS own, {} FROM {} WHERE format = {FORMAT} AND version IS NOT NULL",
            literal(&target.job),
            selected(),
            qualified(&own)
        );
        for row in rows(&mut connection, &query).await? {
            let name = TableName::new(row.text("target_schema")?, row.text("target_table")?);
            if row.flag("own")? {
                found.own.insert(name, state(&row)?);
            } else {
                found.by_others.insert(name);
            }
        }
    }
    close(connection).await;
    Ok(found)
}

pub(super) async fn forget(target: &Postgres, name: &TableName) -> Result<()> {
    let mut connection = target.connect().await?;
    let own = table(target);
    if !exists(&mut connection, &own).await? {
        make(&mut connection, &own).await?;
    }
    let (table, job, run) = (qualified(&own), literal(&target.job), literal(&target.run_id));
    let statement = format!(
        "INSERT INTO {table} (target_schema, target_table, job, run_id, format) VALUES ({}, {}, {job}, {run}, {FORMAT}) \
         ON CONFLICT (target_schema, target_table) DO UPDATE SET job = {job}, run_id = {run}, format = {FORMAT}, version = NULL",
        literal(&name.schema),
        literal(&name.name)
    );
    let result = execute(&mut connection, &statement).await;
    close(connection).await;
    result
}

/// Two jobs may make it at once: whoever is second finds it.
async fn make(connection: &mut PgConnection, own: &TableName) -> Result<()> {
    make_schema(connection, &own.schema).await?;
    let statement = format!(
        "CREATE TABLE IF NOT EXISTS {} (target_schema text NOT NULL, target_table text NOT NULL, job text NOT NULL, \
         run_id text NOT NULL, format smallint NOT NULL, version bigint, history text, fingerprint text, applied bigint, digest_rows bigint, \
         digest_sum numeric(40, 0), full_at timestamptz, PRIMARY KEY (target_schema, target_table))",
        qualified(own)
    );
    match execute(connection, &statement).await {
        Err(_) if exists(connection, own).await? => Ok(()),
        result => result,
    }
}

pub(super) async fn remember(target: &Postgres, name: &TableName, state: &TableState) -> Result<()> {
    let mut connection = target.connect().await?;
    let sql = sql(target);
    let (set, own) = (sql.assignments(state), sql.own(name));
    let query = format!("UPDATE {} SET {set} WHERE {own} RETURNING 1 AS done", sql.table);
    let done = rows(&mut connection, &query).await;
    close(connection).await;
    if done?.is_empty() {
        return Err(state_row::taken_over(name));
    }
    Ok(())
}

/// Within a transaction: what is remembered now. Nobody else can change it before the transaction ends.
pub(super) async fn lock(
    target: &Postgres,
    connection: &mut PgConnection,
    name: &TableName,
) -> Result<Option<TableState>> {
    let query = sql(target).lock(name);
    rows(connection, &query).await?.first().map(state).transpose()
}

/// Within the same transaction.
pub(super) async fn write(
    target: &Postgres,
    connection: &mut PgConnection,
    name: &TableName,
    state: &TableState,
) -> Result<()> {
    execute(connection, &sql(target).write(name, state)).await
}

/// As [`state_row::resolve`].
pub(super) async fn resolve(target: &Postgres, name: &TableName, written: &TableState, lost: Error) -> Result<()> {
    state_row::resolve(name, written, lost, target.config.outage, async || {
        let mut connection = target.connect().await?;
        execute(&mut connection, "BEGIN").await?;
        let found = lock(target, &mut connection, name).await;
        close(connection).await;
        found
    })
    .await
}
