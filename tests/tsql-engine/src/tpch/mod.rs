//! TPC-H tables that are generated while they are read, so that a benchmark's source costs neither disk nor loading.
//!
//! Rows that an UPDATE has changed are kept, and stand for the generator's (`overlay`); rows are neither inserted nor deleted.
//!
//! [`direct`] answers the reads that the job sends (ranges of the primary key, extremes, counts, every n-th key) straight from
//! the generator; for other queries [`materialize`] makes a temporary copy that the engine reads.

mod aggregates;
mod answer;
mod cells;
mod keys;
mod overlay;
mod parse;
mod plan;
mod scan;
mod schema;
mod segment;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use sqlparser::ast::Query;

use crate::bind::quote;
use crate::catalog;
use crate::env::Env;
use crate::instance::Instance;
use crate::session::Session;
use crate::value::{Flow, Output, SqlError, Value};
use overlay::Overlay;
pub use overlay::take_over;
use schema::Table;

/// Defines the eight tables in a database. `scale` is TPC-H's scale factor (1 is about 6 million line items); from 0.01 up all
/// primary keys are unique, below, the specification's formula gives some parts the same supplier twice.
pub fn attach(instance: &Arc<Instance>, database: &str, scale: f64) -> Result<(), SqlError> {
    let script: Vec<String> = Table::ALL.into_iter().map(Table::create).collect();
    instance.run_script(database, &script.join("\n")).map_err(|failure| failure.error)?;
    let session = Session::internal(Arc::clone(instance), database)?;
    let names: Vec<String> = Table::ALL.into_iter().map(|table| format!("'{}'", table.name())).collect();
    session.connection.execute(
        &format!(
            "UPDATE \"$objects\" SET tpch = ?1 WHERE type = 'U' AND schema_id = 1 AND name IN ({})",
            names.join(",")
        ),
        [scale],
    )?;
    Ok(())
}

/// Rows of a table at a scale factor, exactly.
pub fn row_count(name: &str, scale: f64) -> u64 {
    Table::find(name).map_or(0, |table| keys::count(table, scale))
}

/// Runs a plain SELECT of one TPC-H table; `None` where the query is anything else, and nothing has been handed out then.
///
/// Answered are, over `[dbo].table [AS a] [WITH (…)] [WHERE …]` with comparisons of primary key columns and integers, `IS NULL`,
/// AND and OR: columns and their casts to varbinary(n) and decimal(p,s), TOP (n), ORDER BY the primary key; MIN and MAX of key
/// columns, COUNT(*), COUNT_BIG(*); every n-th key by ROW_NUMBER; and aggregates of any expression, under any condition.
pub fn direct(session: &Session, query: &Query, out: &mut dyn Output) -> Result<Option<(u64, Flow)>, SqlError> {
    if session.settings.row_limit > 0 || session.settings.format_only {
        return Ok(None);
    }
    let Some(plan) = parse::plan(query) else {
        return Ok(aggregates::direct(session, query, out)?.map(|flow| (1, flow)));
    };
    let Some(scale) = scale(session, plan.table)? else { return Ok(None) };
    let overlay = Overlay::of(&session.connection, plan.table, &plan.segments)?;
    let sent = answer::answer(&plan, scale, &overlay, out)?;
    Ok(Some(sent.map_or((0, Flow::Stop), |rows| (rows, Flow::Continue))))
}

/// The scale at which the session's database generates the table, if it does. A plan goes by the name alone.
fn scale(session: &Session, table: Table) -> Result<Option<f64>, SqlError> {
    let Some(found) = catalog::find(&session.connection, "dbo", table.name())? else { return Ok(None) };
    if found.tpch.is_some() {
        session.env().may_select(&found)?;
    }
    Ok(found.tpch)
}

/// A temporary copy, for queries that the generator cannot answer itself; made once a session.
pub fn materialize(env: &Env<'_>, table: &catalog::Table, scale: f64) -> Result<String, SqlError> {
    let name = format!("copy of {}{}.{}", table.place.at, table.schema, table.name);
    let copy = format!("temp.{}", quote(&name));
    let names: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
    let exists: i64 =
        env.connection
            .query_row("SELECT count(*) FROM temp.sqlite_schema WHERE name = ?1", [name], |row| row.get(0))?;
    let Some(generated) = Table::find(&table.name) else { return Ok(copy) };
    if exists == 0 {
        fill(env, table, generated, scale, &copy, &names)?;
    }
    overlay::over(env.connection, generated, &copy, &names)
}

/// Makes a copy of all rows of the generator.
fn fill(
    env: &Env<'_>,
    table: &catalog::Table,
    generated: Table,
    scale: f64,
    copy: &str,
    names: &[String],
) -> Result<(), SqlError> {
    env.connection.execute_batch(&format!("CREATE TABLE {copy}({})", names.join(",")))?;
    let marks = vec!["?"; names.len()].join(",");
    let mut insert = env.connection.prepare(&format!("INSERT INTO {copy} VALUES ({marks})"))?;
    let mut failed = None;
    answer::each(generated, scale, &mut |row: &[Value<'_>]| {
        let cells = row.iter().zip(&table.columns).map(|(value, column)| crate::codec::store(value, &column.sql_type));
        match insert.execute(rusqlite::params_from_iter(cells)) {
            Ok(_) => Flow::Continue,
            Err(error) => {
                failed = Some(error);
                Flow::Stop
            }
        }
    });
    let Some(error) = failed else { return Ok(()) };
    // The client may have cancelled: half a copy would pass for the whole the next time.
    drop(insert);
    env.connection.execute_batch(&format!("DROP TABLE {copy}"))?;
    Err(error.into())
}
