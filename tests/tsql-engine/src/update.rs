//! UPDATE: the columns that it sets, and the rows that get another number.

use sqlparser::ast::{AssignmentTarget, Update, With};

use crate::bind::{Binder, Scope, quote};
use crate::catalog::Table;
use crate::dml::{changeable, duplicate, fitted, row_version, target, where_clause};
use crate::error::{error, unsupported};
use crate::expr::parts;
use crate::session::Session;
use crate::value::{SqlError, SqlType};
use crate::writes::{Columns, Setting};

/// Makes the rows of a generated table that the UPDATE is about to change rows of SQLite's.
pub fn take_over(session: &mut Session, update: &Update, with: Option<&With>) -> Result<(), SqlError> {
    let table = target(session, &update.table, with)?;
    if with.is_some() && table.tpch.is_some() {
        return Err(unsupported(&format!("WITH … UPDATE of the generated table {}", table.name)));
    }
    crate::tpch::take_over(session, &table, update.selection.as_ref())
}

/// Runs an UPDATE; the number of rows it touched.
pub fn run(session: &mut Session, update: &Update, with: Option<&With>) -> Result<u64, SqlError> {
    crate::unsupported::update(update)?;
    let table = target(session, &update.table, with)?;
    crate::temporal::refuse_change(&table, "update")?;
    let (mut sets, condition) = update_clauses(session, update, &table, with)?;
    let ids = table.columns.iter().filter(|column| sets.iter().any(|(id, _)| *id == column.id));
    let keys = crate::tracking::key_columns(&session.connection, &table)?;
    let is_key = |id: i64| keys.iter().any(|key| key.id == id);
    let others = table.columns.iter().filter(|column| column.computed.is_none() && !is_key(column.id));
    let all = others.clone().all(|column| sets.iter().any(|(id, _)| *id == column.id));
    let stored = format!("{}.{}", table.schema, table.name);
    let moves = match crate::tracking::number_column(&session.connection, &stored)? {
        Some(number) => ids.clone().any(|column| column.name == number),
        None => false,
    };
    let setting = Setting {
        table: stored.clone(),
        columns: if all { Columns::All } else { Columns::Some(sets.iter().map(|(id, _)| *id).collect()) },
        key: ids.clone().any(|column| is_key(column.id)),
    };
    if setting.key && table.tpch.is_some() {
        return Err(unsupported(&format!("another key in the generated table {}", table.name)));
    }
    session.writes.setting = Some(setting);
    if moves && table.place.at.is_empty() {
        let sql = format!("SELECT _rowid_ FROM {}{condition}", table.stored());
        let mut statement = session.connection.prepare(&sql)?;
        let numbers = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        session.writes.moved(&stored, numbers);
    }
    {
        let env = session.env();
        let binder = Binder::new(&env);
        if let Some(now) = crate::temporal::now(&binder, &table)? {
            crate::temporal::keep(session, &table, &now, &condition)?;
            let start = table.columns.iter().filter(|column| column.generated == 1);
            sets.extend(start.map(|column| (column.id, format!("{} = {now}", quote(&column.name)))));
        }
    }
    let sets: Vec<String> = sets.into_iter().map(|(_, set)| set).collect();
    let sql = format!("UPDATE {} SET {}{condition}", table.stored(), sets.join(", "));
    Ok(session.connection.execute(&sql, []).map_err(|failure| duplicate(session, &table, failure))? as u64)
}

/// SET, each part with its column's id, and WHERE.
fn update_clauses(
    session: &Session,
    update: &Update,
    table: &Table,
    with: Option<&With>,
) -> Result<(Vec<(i64, String)>, String), SqlError> {
    let env = session.env();
    let binder = Binder::new(&env);
    binder.define(with, None)?;
    let source = crate::ddl::own_scope(table, &format!("{}.", table.stored()));
    let scope = Scope { sources: std::slice::from_ref(&source), outer: None };
    let mut sets = Vec::new();
    for assignment in &update.assignments {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(unsupported("UPDATE of several columns at once"));
        };
        let column = table.column(&parts(name).pop().unwrap_or_default())?;
        if column.identity {
            return Err(error(8102, format!("Cannot update identity column '{}'.", column.name)));
        }
        changeable(table, column, "update")?;
        let bound = binder.value(&assignment.value, &scope)?;
        let value = fitted(&binder, table, column, bound, "UPDATE")?;
        sets.push((column.id, format!("{} = {value}", quote(&column.name))));
    }
    for column in &table.columns {
        if matches!(column.sql_type, SqlType::RowVersion) {
            sets.push((column.id, format!("{} = {}", quote(&column.name), row_version(session, &table.place.at)?)));
        }
    }
    Ok((sets, where_clause(&binder, update.selection.as_ref(), &scope)?))
}
