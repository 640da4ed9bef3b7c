//! INSERT, UPDATE and DELETE.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::functions::FunctionFlags;
use rusqlite::params;
use sqlparser::ast::{
    Delete, Expr, FromTable, Insert, Query, SetExpr, Statement, TableFactor, TableObject, TableWithJoins, Values, With,
};

use crate::bind::{Binder, Bound, BoundQuery, Scope, quote, text_literal};
use crate::catalog::{Table, TableColumn};
use crate::counters::Counters;
use crate::error::{error, unsupported};
use crate::expr::parts;
use crate::session::Session;
use crate::value::{SqlError, SqlType, Value};

/// Runs one change; the number of rows it touched.
pub fn run(session: &mut Session, change: &Statement, with: Option<&With>) -> Result<u64, SqlError> {
    if let Statement::Update(update) = change {
        crate::update::take_over(session, update, with)?;
    }
    session.change(|session| match change {
        Statement::Insert(insert) => insert_rows(session, insert),
        Statement::Update(update) => crate::update::run(session, update, with),
        Statement::Delete(delete) => delete_rows(session, delete, with),
        other => Err(unsupported(&other.to_string())),
    })
}

/// The table that a change names, in whichever database.
pub fn find(session: &Session, names: &[String]) -> Result<Table, SqlError> {
    let table =
        session.env().table(names)?.ok_or_else(|| error(208, format!("Invalid object name '{}'.", names.join("."))))?;
    let elsewhere = (!table.place.at.is_empty()).then(|| session.instance.database(&table.place.database)).flatten();
    if elsewhere.is_some_and(|database| database.source.is_some()) {
        return Err(crate::env::read_only(&table.place.database));
    }
    if table.view.is_some() {
        return Err(unsupported(&format!("a change of {}", names.join("."))));
    }
    Ok(table)
}

/// The same where rows of the table can come and go: those of a generated one can only change.
pub fn find_stored(session: &Session, names: &[String]) -> Result<Table, SqlError> {
    let table = find(session, names)?;
    if table.tpch.is_some() {
        return Err(unsupported(&format!("rows that come or go in the generated table {}", names.join("."))));
    }
    Ok(table)
}

/// Failures of SQLite's unique indexes in SQL Server's words.
pub fn duplicate(session: &Session, table: &Table, failure: rusqlite::Error) -> SqlError {
    let found = SqlError::from(failure);
    if found.number != 2601 {
        return found;
    }
    let text = found.message;
    let at = &table.place.at;
    let object = format!("{}.{}", table.schema, table.name);
    let columns: Vec<&str> = text.split(", ").filter_map(|part| part.strip_prefix(&format!("{object}."))).collect();
    let named = text.split('/').nth(1).map(|name| name.trim_end_matches('\'').to_owned()).or_else(|| {
        session
            .connection
            .query_row(
                &format!("SELECT i.name FROM {at}\"$indexes\" i WHERE i.object_id = ?1 AND i.is_unique AND
                 (SELECT group_concat(c.name, ', ') FROM (SELECT column_id FROM {at}\"$index_columns\" k WHERE k.object_id = i.object_id AND k.index_id = i.index_id AND NOT k.included ORDER BY k.key_ordinal) k
                  JOIN {at}\"$columns\" c ON c.object_id = ?1 AND c.column_id = k.column_id) = ?2"),
                params![table.id, columns.join(", ")],
                |row| row.get(0),
            )
            .ok()
    });
    let name = named.unwrap_or_default();
    let kind: Option<String> = session
        .connection
        .query_row(
            &format!("SELECT type FROM {at}\"$objects\" WHERE parent = ?1 AND name = ?2"),
            params![table.id, name],
            |row| row.get(0),
        )
        .ok();
    match kind.as_deref() {
        Some("PK") => error(
            2627,
            format!("Violation of PRIMARY KEY constraint '{name}'. Cannot insert duplicate key in object '{object}'."),
        ),
        Some("UQ") => error(
            2627,
            format!("Violation of UNIQUE KEY constraint '{name}'. Cannot insert duplicate key in object '{object}'."),
        ),
        _ => error(2601, format!("Cannot insert duplicate key row in object '{object}' with unique index '{name}'.")),
    }
}

/// An expression as a column takes it: converted, and refused where it is NULL and may not be.
pub fn fitted(
    binder: &Binder<'_>,
    table: &Table,
    column: &TableColumn,
    bound: Bound,
    verb: &str,
) -> Result<String, SqlError> {
    let database = if table.place.at.is_empty() { binder.env.database } else { &table.place.database };
    let place = format!("table '{database}.{}.{}', column '{}'", table.schema, table.name, column.name);
    let nullable = bound.nullable;
    let sql = if bound.sql_type == column.sql_type && bound.constant.is_none() {
        bound.sql
    } else if matches!(bound.constant, Some(Value::Null)) {
        "NULL".to_owned()
    } else {
        binder.call("assign", &place, &[binder.datetime_as(bound, &column.sql_type)?], column.sql_type.clone())?.sql
    };
    if column.nullable || !nullable {
        return Ok(sql);
    }
    let message = format!(
        "Cannot insert the value NULL into column '{}', table '{database}.{}.{}'; column does not allow nulls. {verb} fails.",
        column.name, table.schema, table.name
    );
    Ok(format!("need({sql}, {})", text_literal(&message)))
}

/// Refuses columns whose values only the server makes.
pub fn changeable(table: &Table, column: &TableColumn, verb: &str) -> Result<(), SqlError> {
    let name = &column.name;
    if column.computed.is_some() {
        return Err(error(
            271,
            format!(
                "The column \"{name}\" cannot be modified because it is either a computed column or is the result of a UNION operator."
            ),
        ));
    }
    if matches!(column.sql_type, SqlType::RowVersion) {
        return Err(match verb {
            "update" => error(272, "Cannot update a timestamp column."),
            _ => error(
                273,
                "Cannot insert an explicit value into a timestamp column. Use INSERT with a column list to exclude the timestamp column, or insert a DEFAULT into the timestamp column.",
            ),
        });
    }
    if column.generated > 0 {
        let full = format!("{}.{}", table.schema, table.name);
        return Err(match verb {
            "update" => error(13537, format!("Cannot update GENERATED ALWAYS columns in table '{full}'.")),
            _ => error(
                13536,
                format!(
                    "Cannot insert an explicit value into a GENERATED ALWAYS column in table '{full}'. Use INSERT with a column list to exclude the GENERATED ALWAYS column, or insert a DEFAULT into GENERATED ALWAYS column."
                ),
            ),
        });
    }
    Ok(())
}

fn insert_rows(session: &mut Session, insert: &Insert) -> Result<u64, SqlError> {
    crate::unsupported::insert(insert)?;
    let TableObject::TableName(name) = &insert.table else { return Err(unsupported("INSERT into no table")) };
    let table = find_stored(session, &parts(name))?;
    let given: Vec<&TableColumn> = if insert.columns.is_empty() {
        let explicit = keeps_identity(session, &table);
        let own = |column: &&TableColumn| {
            column.computed.is_none()
                && column.generated == 0
                && column.graph == 0
                && (explicit || !column.identity)
                && !matches!(column.sql_type, SqlType::RowVersion)
        };
        table.columns.iter().filter(own).collect()
    } else {
        let columns: Result<Vec<&TableColumn>, SqlError> =
            insert.columns.iter().map(|column| table.column(&parts(column).pop().unwrap_or_default())).collect();
        columns?
    };
    if given.iter().any(|column| column.identity) && !keeps_identity(session, &table) {
        return Err(error(
            544,
            format!(
                "Cannot insert explicit value for identity column in table '{}' when IDENTITY_INSERT is set to OFF.",
                table.name
            ),
        ));
    }
    let Some(query) = &insert.source else { return Err(unsupported("INSERT … DEFAULT VALUES")) };
    let rows = match query.body.as_ref() {
        SetExpr::Values(values) if query.with.is_none() => Rows::Bound(bound_rows(session, values, &given)?),
        _ => Rows::Query(query),
    };
    store_rows(session, &table, &given, rows)
}

/// Whether SET IDENTITY_INSERT is ON for the table; the setting is about the session's own database.
fn keeps_identity(session: &Session, table: &Table) -> bool {
    table.place.at.is_empty() && session.settings.identity_insert == Some(table.id)
}

fn bound_rows(session: &Session, values: &Values, given: &[&TableColumn]) -> Result<Vec<Vec<Bound>>, SqlError> {
    let env = session.env();
    let binder = Binder::new(&env);
    let empty = Scope { sources: &[], outer: None };
    let mut rows = Vec::new();
    for row in &values.rows {
        if row.content.len() != given.len() {
            return Err(error(
                110,
                "There are fewer columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.",
            ));
        }
        let mut cells = Vec::new();
        for (expr, column) in row.content.iter().zip(given) {
            let default = matches!(expr, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"));
            cells.push(if default { default_of(&binder, column)? } else { binder.value(expr, &empty)? });
        }
        rows.push(cells);
    }
    Ok(rows)
}

/// Where the rows of an INSERT come from.
pub enum Rows<'q> {
    Bound(Vec<Vec<Bound>>),
    Query(&'q Query),
}

/// Stores rows of the given columns; the others get what the table has for them.
pub fn store_rows(
    session: &mut Session,
    table: &Table,
    given: &[&TableColumn],
    rows: Rows<'_>,
) -> Result<u64, SqlError> {
    crate::temporal::refuse_change(table, "insert")?;
    for column in given {
        changeable(table, column, "insert")?;
    }
    let counter = Arc::new(AtomicI64::new(0));
    let (sql, counted) = {
        let env = session.env();
        let binder = Binder::new(&env);
        let Others { mut names, values: mut extra, counted } = other_columns(session, &binder, table, given, &counter)?;
        let stored = format!("{}.{}", table.schema, table.name);
        if crate::tracking::number_column(&session.connection, &stored)?.is_none() {
            let columns = table.columns.iter().map(|column| column.name.as_str());
            names.push(crate::writes::row_number(columns).to_owned());
            extra.push("next_row()".to_owned());
        }
        let all: Vec<String> = given.iter().map(|column| quote(&column.name)).chain(names).collect();
        let source = match rows {
            Rows::Bound(rows) => listed(&binder, table, given, rows, &extra)?,
            Rows::Query(query) => selected(&binder, table, given, query, &extra)?,
        };
        (format!("INSERT INTO {}({}) {source}", table.stored(), all.join(",")), counted)
    };
    let count = session.connection.execute(&sql, []).map_err(|failure| duplicate(session, table, failure))? as u64;
    let (at, stored) = (&table.place.at, table.stored());
    if let (Some(column), true) = (counted, count > 0) {
        let last = counter.load(Ordering::Relaxed);
        session.connection.execute(
            &format!("UPDATE {at}\"$columns\" SET last_value = ?3 WHERE object_id = ?1 AND column_id = ?2"),
            params![table.id, column, last],
        )?;
        session.settings.identity = Some(last);
        if at.is_empty() {
            session.writes.identities.insert((table.id, column), last);
        }
    } else if let Some(column) = given.iter().find(|column| column.identity) {
        let greatest = format!("(SELECT max({}) FROM {stored})", quote(&column.name));
        session.connection.execute(
            &format!("UPDATE {at}\"$columns\" SET last_value = max(coalesce(last_value, 0), {greatest}) WHERE object_id = ?1 AND column_id = ?2 AND typeof({greatest}) = 'integer'"),
            params![table.id, column.id],
        )?;
        keep_identity(session, table, column.id)?;
    }
    Ok(count)
}

/// The identity goes on from the last value that the table has now.
fn keep_identity(session: &mut Session, table: &Table, column: i64) -> Result<(), SqlError> {
    let at = &table.place.at;
    let sql = format!("SELECT last_value FROM {at}\"$columns\" WHERE object_id = ?1 AND column_id = ?2");
    let last: Option<i64> = session.connection.query_row(&sql, params![table.id, column], |row| row.get(0))?;
    let Some(last) = last else { return Ok(()) };
    counters(session, at).raise_identity(table.id, last);
    if at.is_empty() {
        session.writes.identities.insert((table.id, column), last);
    }
    Ok(())
}

/// The counters of the database at a place.
fn counters(session: &Session, at: &str) -> Arc<Counters> {
    let id = at.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().unwrap_or(session.database_id);
    let found = session.instance.databases().into_iter().find(|database| database.id == id);
    found.map(|database| database.counters).unwrap_or_default()
}

/// What an INSERT does not give.
struct Others {
    names: Vec<String>,
    values: Vec<String>,
    /// The identity column that counts on.
    counted: Option<i64>,
}

/// The columns that an INSERT does not give.
fn other_columns(
    session: &Session,
    binder: &Binder<'_>,
    table: &Table,
    given: &[&TableColumn],
    counter: &Arc<AtomicI64>,
) -> Result<Others, SqlError> {
    let (mut names, mut values, mut counted) = (Vec::new(), Vec::new(), None);
    for column in &table.columns {
        if given.iter().any(|own| own.id == column.id) || column.computed.is_some() {
            continue;
        }
        values.push(if column.graph == 1 {
            crate::graph::next_id(session, table, column)?
        } else if column.identity {
            counted = Some(column.id);
            next_identity(session, binder, table, column, counter)?
        } else if matches!(column.sql_type, SqlType::RowVersion) {
            row_version(session, &table.place.at)?
        } else if column.generated > 0 {
            let end = crate::expr::text_constant("9999-12-31T23:59:59.9999999", false)?;
            let moment = if column.generated == 1 { binder.scalar("sysutcdatetime", &[])? } else { end };
            fitted(binder, table, column, moment, "INSERT")?
        } else {
            fitted(binder, table, column, default_of(binder, column)?, "INSERT")?
        });
        names.push(quote(&column.name));
    }
    Ok(Others { names, values, counted })
}

/// A call that yields the next identity value for each row.
fn next_identity(
    session: &Session,
    binder: &Binder<'_>,
    table: &Table,
    column: &TableColumn,
    counter: &Arc<AtomicI64>,
) -> Result<String, SqlError> {
    use rusqlite::types::Value as Stored;
    let (seed, step, last): (Stored, Stored, Option<i64>) = session.connection.query_row(
        &format!(
            "SELECT seed, increment, last_value FROM {}\"$columns\" WHERE object_id = ?1 AND column_id = ?2",
            table.place.at
        ),
        params![table.id, column.id],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let (Stored::Integer(seed), Stored::Integer(step)) = (seed, step) else {
        return Err(unsupported("the next value of an identity whose seed or increment is beyond bigint"));
    };
    let (shared, counters, id) = (Arc::clone(counter), counters(session, &table.place.at), table.id);
    let last = last.unwrap_or(seed - step);
    let next = move |_: &mut rusqlite::functions::Context<'_>| {
        let value = counters.next_identity(id, last, step);
        shared.store(value, Ordering::Relaxed);
        Ok(value)
    };
    session.connection.create_scalar_function("next_identity", 0, FunctionFlags::SQLITE_UTF8, next)?;
    let whole = Bound { nullable: false, ..Bound::new("next_identity()".to_owned(), SqlType::BigInt) };
    if matches!(column.sql_type, SqlType::Decimal { .. } | SqlType::Numeric { .. }) {
        return fitted(binder, table, column, whole, "INSERT");
    }
    Ok(whole.sql)
}

fn listed(
    binder: &Binder<'_>,
    table: &Table,
    given: &[&TableColumn],
    rows: Vec<Vec<Bound>>,
    extra: &[String],
) -> Result<String, SqlError> {
    let mut lines = Vec::new();
    for row in rows {
        let mut cells = Vec::new();
        for (bound, column) in row.into_iter().zip(given) {
            cells.push(fitted(binder, table, column, bound, "INSERT")?);
        }
        cells.extend(extra.iter().cloned());
        lines.push(format!("({})", cells.join(",")));
    }
    Ok(format!("VALUES {}", lines.join(",")))
}

fn selected(
    binder: &Binder<'_>,
    table: &Table,
    given: &[&TableColumn],
    query: &Query,
    extra: &[String],
) -> Result<String, SqlError> {
    let BoundQuery { sql, columns } = binder.query(query, None)?;
    if columns.len() != given.len() {
        return Err(error(
            121,
            "The select list for the INSERT statement contains more or fewer items than the insert list.",
        ));
    }
    let mut cells = Vec::new();
    for (at, (own, column)) in columns.into_iter().zip(given).enumerate() {
        let bound = Bound { sql: format!("s.\"c{at}\""), constant: None, node: None, ..own.bound };
        cells.push(fitted(binder, table, column, bound, "INSERT")?);
    }
    cells.extend(extra.iter().cloned());
    Ok(format!("SELECT {} FROM ({sql}) AS s", cells.join(",")))
}

/// A call that yields the next row version for each row.
pub fn row_version(session: &Session, at: &str) -> Result<String, SqlError> {
    let (counters, spid) = (counters(session, at), session.spid());
    let next =
        move |_: &mut rusqlite::functions::Context<'_>| Ok(counters.next_rowversion(spid).to_be_bytes().to_vec());
    session.connection.create_scalar_function("next_rowversion", 0, FunctionFlags::SQLITE_UTF8, next)?;
    Ok("next_rowversion()".to_owned())
}

/// A column's default, NULL where it has none.
pub fn default_of(binder: &Binder<'_>, column: &TableColumn) -> Result<Bound, SqlError> {
    match &column.default {
        Some(text) => binder.value(&crate::script::parse_expr(text)?, &Scope { sources: &[], outer: None }),
        None => Ok(crate::expr::null()),
    }
}

pub fn target(session: &Session, table: &TableWithJoins, with: Option<&With>) -> Result<Table, SqlError> {
    match &table.relation {
        TableFactor::Table { name, .. } if table.joins.is_empty() => {
            let names = parts(name);
            let through = |cte: &sqlparser::ast::Cte| matches!(names.as_slice(), [only] if crate::bind::same(only, &cte.alias.name.value));
            if with.is_some_and(|with| with.cte_tables.iter().any(through)) {
                return Err(unsupported(&format!("a change through the common table expression {name}")));
            }
            find(session, &names)
        }
        other => Err(unsupported(&format!("a change of {other}"))),
    }
}

pub fn where_clause(binder: &Binder<'_>, condition: Option<&Expr>, scope: &Scope<'_>) -> Result<String, SqlError> {
    condition.map_or(Ok(String::new()), |condition| Ok(format!(" WHERE {}", binder.predicate(condition, scope)?)))
}

fn delete_rows(session: &mut Session, delete: &Delete, with: Option<&With>) -> Result<u64, SqlError> {
    crate::unsupported::delete(delete)?;
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let [only] = from.as_slice() else { return Err(unsupported("DELETE from several tables")) };
    let table = target(session, only, with)?;
    if table.tpch.is_some() {
        return Err(unsupported(&format!("rows that go from the generated table {}", table.name)));
    }
    crate::temporal::refuse_change(&table, "delete")?;
    let env = session.env();
    let binder = Binder::new(&env);
    binder.define(with, None)?;
    let source = crate::ddl::own_scope(&table, &format!("{}.", table.stored()));
    let scope = Scope { sources: std::slice::from_ref(&source), outer: None };
    let condition = where_clause(&binder, delete.selection.as_ref(), &scope)?;
    if let Some(now) = crate::temporal::now(&binder, &table)? {
        crate::temporal::keep(session, &table, &now, &condition)?;
    }
    // Without a condition SQLite would not tell which rows go.
    let condition = if condition.is_empty() { " WHERE 1" } else { &condition };
    let sql = format!("DELETE FROM {}{condition}", table.stored());
    Ok(session.connection.execute(&sql, [])? as u64)
}
