//! What Change Tracking tells of a table (Microsoft, "Work with Change Tracking"). All of it is asked in the SNAPSHOT transaction in
//! which the rows are read, so that versions and rows are of one moment.

use std::time::Duration;

use super::catalog::Fields;
use super::connect::{Connection, results, rows};
use super::quote::{identifier, literal, qualified};
use super::select::read_of;
use crate::config::Mode;
use crate::model::error::Result;
use crate::model::position::{Position, Tracking};
use crate::plan::TablePlan;
use crate::rows::chunk::Chunk;

/// What a reader is asked for at once.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Unit {
    /// The rows of a key range.
    Rows(Chunk),
    /// The rows that were inserted or changed after this version and are there.
    Changed(i64),
    /// The keys of rows that were there after this version, or right then, and are not.
    Gone(i64),
    /// The rows whose rowversion is this or a later one.
    Versions(i64),
}

/// A restored database has the objects of its backup, ids and dates included. Its recovery fork tells it from what it was; the view of forks is
/// missing on Azure SQL, where a restore makes a database anew, with its own date of creation ("sys.databases").
fn life_of_database() -> String {
    const FORKS: &str = "sys.database_recovery_status";
    format!(
        "SELECT CONVERT(nvarchar(30), create_date, 126) AS born FROM sys.databases WHERE database_id = DB_ID(); \
         IF OBJECT_ID({}) IS NOT NULL SELECT CAST(recovery_fork_guid AS nvarchar(36)) AS fork FROM {FORKS} WHERE database_id = DB_ID()",
        literal(FORKS)
    )
}

/// `CHANGE_TRACKING_MIN_VALID_VERSION` is NULL where the table is not tracked, and where the login lacks VIEW CHANGE TRACKING.
fn question(table: &TablePlan) -> String {
    format!(
        "SELECT CHANGE_TRACKING_CURRENT_VERSION() AS version, CHANGE_TRACKING_MIN_VALID_VERSION(o.object_id) AS complete_since, \
         CAST(o.object_id AS bigint) AS object_id, CONVERT(nvarchar(30), o.create_date, 126) AS created, \
         t.begin_version AS begin_version FROM sys.objects AS o \
         LEFT JOIN sys.change_tracking_tables AS t ON t.object_id = o.object_id WHERE o.object_id = OBJECT_ID({}); {}",
        literal(&qualified(&table.source)),
        life_of_database(),
    )
}

/// Nothing where the table's changes are not tracked, or not shown to this login.
pub(super) async fn tracking(
    connection: &mut Connection,
    table: &TablePlan,
    timeout: Duration,
) -> Result<Option<Tracking>> {
    let answers = results(connection, &question(table), timeout).await?;
    let Some(row) = answers.first().and_then(|rows| rows.first()) else { return Ok(None) };
    let row = Fields::new("state of Change Tracking", row);
    let (Some(version), Some(complete_since)) = (row.optional_int("version")?, row.optional_int("complete_since")?)
    else {
        return Ok(None);
    };
    let begins = row.optional_int("begin_version")?;
    let shown = begins.map_or_else(|| "unknown".to_owned(), |version| version.to_string());
    let history = format!("{}, tracked since {shown}", life(&row, &answers)?);
    Ok(Some(Tracking { now: Position { version, history }, complete_since, begins }))
}

/// By what a database and an object are known again. The date of a database is each server's own, and another one after a failover, so the fork comes
/// first. `answers`: those of [`life_of_database`] behind the first.
fn life(object: &Fields<'_>, answers: &[Vec<tiberius::Row>]) -> Result<String> {
    let text = |index: usize, name: &str| {
        let row = answers.get(index).and_then(|rows| rows.first()).map(|row| Fields::new("life of the database", row));
        row.map(|row| row.optional_text(name)).transpose().map(Option::flatten)
    };
    let database = match (text(2, "fork")?, text(1, "born")?) {
        (Some(fork), _) => format!("recovery fork {fork}"),
        (None, born) => format!("database of {}", born.as_deref().unwrap_or("unknown date")),
    };
    Ok(format!("{database}, object {} of {}", object.int("object_id")?, object.text("created")?))
}

/// Every rowversion below it belongs to a transaction that has ended ("MIN_ACTIVE_ROWVERSION").
pub(super) async fn ceiling(connection: &mut Connection, timeout: Duration) -> Result<i64> {
    const QUESTION: &str = "SELECT CAST(MIN_ACTIVE_ROWVERSION() AS bigint) AS ceiling";
    let found = rows(connection, QUESTION, timeout).await?;
    found.first().map_or(Ok(0), |row| Fields::new("lowest active rowversion", row).int("ceiling"))
}

/// As [`tracking`], for a table whose rows have a rowversion. They tell of changes as long as the table is the same.
pub(super) async fn versions(
    connection: &mut Connection,
    table: &TablePlan,
    ceiling: i64,
    timeout: Duration,
) -> Result<Option<Tracking>> {
    let question = format!(
        "SELECT CAST(object_id AS bigint) AS object_id, CONVERT(nvarchar(30), create_date, 126) AS created FROM sys.objects \
         WHERE object_id = OBJECT_ID({}); {}",
        literal(&qualified(&table.source)),
        life_of_database()
    );
    let answers = results(connection, &question, timeout).await?;
    let Some(row) = answers.first().and_then(|rows| rows.first()) else { return Ok(None) };
    let history = life(&Fields::new("state of the table", row), &answers)?;
    Ok(Some(Tracking { now: Position { version: ceiling, history }, complete_since: 0, begins: None }))
}

/// The SELECT of rows by their rowversion, without an upper bound: what is there is there, and comes again next time if it is above
/// the ceiling.
pub fn since_version(table: &TablePlan, since: i64) -> String {
    let reads: Vec<String> = table.columns.iter().map(read_of).collect();
    format!("SELECT {} FROM {} WHERE {}", reads.join(", "), qualified(&table.source), is_since(table, since))
}

fn is_since(table: &TablePlan, since: i64) -> String {
    let column = table.version_column.as_deref().unwrap_or_default();
    format!("{} >= 0x{since:016x}", identifier(column))
}

/// The SELECT that reads a unit of changes. The table is joined as the documentation does; the filter stands inside, where its names can
/// mean nothing but the table's columns, so that a row that leaves the filter counts as gone.
pub fn changed(table: &TablePlan, since: i64) -> String {
    let reads: Vec<String> = table.columns.iter().map(read_of).collect();
    let names = columns(table, "t");
    format!(
        "SELECT {} FROM (SELECT {names} FROM {} AS ct INNER JOIN {} AS t ON {}) AS t",
        reads.join(", "),
        changes(table, since),
        joined(table),
        same_key(table),
    )
}

/// As [`changed`], for a plan of [keys](crate::plan::incremental::keys). A row is gone where the join finds none: the operation's letter
/// does not tell, since a key may have been deleted and inserted again.
pub fn gone(table: &TablePlan, since: i64) -> String {
    let reads: Vec<String> = table.columns.iter().map(read_of).collect();
    let absent =
        table.row_key.first().map_or_else(|| "1 = 0".to_owned(), |key| format!("t.{} IS NULL", identifier(key)));
    format!(
        "SELECT {} FROM (SELECT {} FROM {} AS ct LEFT OUTER JOIN {} AS t ON {} WHERE {absent}) AS t",
        reads.join(", "),
        columns(table, "ct"),
        changes(table, since),
        joined(table),
        same_key(table),
    )
}

/// Returns a row where there is any change.
pub fn first(table: &TablePlan, since: i64) -> String {
    if table.mode == Mode::RowVersion {
        return format!("SELECT TOP (1) 1 AS found FROM {} WHERE {}", qualified(&table.source), is_since(table, since));
    }
    format!("SELECT TOP (1) 1 AS found FROM {} AS ct", changes(table, since))
}

fn changes(table: &TablePlan, since: i64) -> String {
    format!("CHANGETABLE(CHANGES {}, {since})", qualified(&table.source))
}

/// The table, or what its filter lets through, with every column that is needed outside.
fn joined(table: &TablePlan) -> String {
    let Some(filter) = &table.filter else { return qualified(&table.source) };
    let mut names: Vec<&str> = table.columns.iter().map(|column| column.source.as_str()).collect();
    names.extend(table.row_key.iter().map(String::as_str));
    names.sort_unstable();
    names.dedup();
    let names: Vec<String> = names.into_iter().map(identifier).collect();
    format!("(SELECT {} FROM {} WHERE ({filter}))", names.join(", "), qualified(&table.source))
}

/// Each source column once: a companion reads the same one.
fn columns(table: &TablePlan, alias: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    for column in &table.columns {
        let name = format!("{alias}.{}", identifier(&column.source));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn same_key(table: &TablePlan) -> String {
    let equal = |name: &String| format!("t.{} = ct.{}", identifier(name), identifier(name));
    table.row_key.iter().map(equal).collect::<Vec<_>>().join(" AND ")
}
