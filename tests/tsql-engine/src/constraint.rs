//! Indexes, keys, checks and foreign keys.

use rusqlite::params;

use crate::bind::{Binder, Bound, Scope, quote, text_literal};
use crate::catalog::{self, Table};
use crate::ddl::{add_default, own_scope, table};
use crate::ddl_ast::Constraint;
use crate::error::{encode, error};
use crate::session::Session;
use crate::value::SqlError;

/// An index to be made.
pub struct Index<'a> {
    pub name: &'a str,
    pub kind: i64,
    pub unique: bool,
    pub primary: bool,
    pub constraint: bool,
    pub columns: &'a [(String, bool)],
    pub include: &'a [String],
    pub filter: Option<&'a str>,
}

/// Makes an index: the catalog's rows, and SQLite's where it orders rows.
pub fn add_index(session: &Session, on: &Table, index: &Index<'_>) -> Result<(), SqlError> {
    let connection = &session.connection;
    let id: i64 = if matches!(index.kind, 1 | 5) {
        connection.execute("DELETE FROM \"$indexes\" WHERE object_id = ?1 AND index_id = 0", [on.id])?;
        1
    } else {
        connection.query_row(
            "SELECT max(1, coalesce(max(index_id),1)) + 1 FROM \"$indexes\" WHERE object_id = ?1",
            [on.id],
            |row| row.get(0),
        )?
    };
    connection.execute(
        "INSERT INTO \"$indexes\"(object_id,index_id,name,type,is_unique,is_pk,is_uc,filter) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
        params![on.id, id, index.name, index.kind, index.unique, index.primary, index.constraint && !index.primary, index.filter.map(|text| format!("({text})"))],
    )?;
    let env = session.env();
    let binder = Binder::new(&env);
    let source = own_scope(on, "");
    let mut keys = Vec::new();
    for (at, (name, descending)) in index.columns.iter().enumerate() {
        let column = on.column(name)?;
        connection.execute(
            "INSERT INTO \"$index_columns\" VALUES (?1,?2,?3,?4,?5,?6,0)",
            params![on.id, id, at as i64 + 1, column.id, if index.kind < 3 { at as i64 + 1 } else { 0 }, descending],
        )?;
        if index.primary {
            connection.execute(
                "UPDATE \"$columns\" SET nullable = 0 WHERE object_id = ?1 AND column_id = ?2",
                params![on.id, column.id],
            )?;
        }
        let bound = source.columns.iter().find(|own| own.name == column.name).map(|own| own.bound.clone());
        if let Some(bound) = bound {
            keys.push(format!("{}{}", binder.key(&bound), if *descending { " DESC" } else { "" }));
        }
    }
    for (at, name) in index.include.iter().enumerate() {
        connection.execute(
            "INSERT INTO \"$index_columns\" VALUES (?1,?2,?3,?4,0,0,1)",
            params![on.id, id, (index.columns.len() + at) as i64 + 1, on.column(name)?.id],
        )?;
    }
    if index.kind >= 3 || on.tpch.is_some() || keys.is_empty() {
        return Ok(());
    }
    let mut sql = format!(
        "CREATE {}INDEX {} ON {}({})",
        if index.unique { "UNIQUE " } else { "" },
        quote(&index_name(on, index.name)),
        on.stored(),
        keys.join(", ")
    );
    if let Some(filter) = index.filter {
        let scope = Scope { sources: std::slice::from_ref(&source), outer: None };
        sql.push_str(&format!(" WHERE {}", binder.predicate(&crate::script::parse_expr(filter)?, &scope)?));
    }
    connection.execute_batch(&sql).map_err(|failure| match SqlError::from(failure) {
        found if found.number == 2601 => error(1505, format!("The CREATE UNIQUE INDEX statement terminated because a duplicate key was found for the object name '{}.{}' and the index name '{}'.", on.schema, on.name, index.name)),
        other => other,
    })
}

fn index_name(on: &Table, name: &str) -> String {
    format!("{}.{}/{name}", on.schema, on.name)
}

/// Drops an index by name.
pub fn drop_index(session: &Session, on: &Table, name: &str) -> Result<(), SqlError> {
    let connection = &session.connection;
    connection.execute_batch(&format!("DROP INDEX IF EXISTS {}", quote(&index_name(on, name))))?;
    connection.execute("DELETE FROM \"$index_columns\" WHERE object_id = ?1 AND index_id = (SELECT index_id FROM \"$indexes\" WHERE object_id = ?1 AND name = ?2 COLLATE NOCASE)", params![on.id, name])?;
    let count = connection
        .execute("DELETE FROM \"$indexes\" WHERE object_id = ?1 AND name = ?2 COLLATE NOCASE", params![on.id, name])?;
    if count == 0 {
        return Err(error(
            3701,
            format!(
                "Cannot drop the index '{}.{name}', because it does not exist or you do not have permission.",
                on.name
            ),
        ));
    }
    Ok(())
}

/// Makes a constraint; keys are indexes, the others triggers.
pub fn add_constraint(session: &Session, on: &Table, constraint: &Constraint) -> Result<(), SqlError> {
    let connection = &session.connection;
    let schema = catalog::schema_id(connection, &on.schema)?;
    match constraint {
        Constraint::Key { name, primary, clustered, columns } => {
            let kind = if clustered.unwrap_or(*primary) { 1 } else { 2 };
            let tag = if *primary { "PK" } else { "UQ" };
            let default = format!(
                "{tag}__{}__{}",
                on.name,
                columns.iter().map(|column| column.0.as_str()).collect::<Vec<_>>().join("_")
            );
            let name = name.as_ref().unwrap_or(&default);
            catalog::add_object(connection, name, schema, on.id, tag, None)?;
            add_index(
                session,
                on,
                &Index {
                    name,
                    kind,
                    unique: true,
                    primary: *primary,
                    constraint: true,
                    columns,
                    include: &[],
                    filter: None,
                },
            )
        }
        Constraint::Check { name, text } => {
            let name = name.clone().unwrap_or_else(|| format!("CK__{}__{}", on.name, text.len()));
            let source = own_scope(on, "NEW.");
            let env = session.env();
            let scope = Scope { sources: std::slice::from_ref(&source), outer: None };
            let condition = Binder::new(&env).predicate(&crate::script::parse_expr(text)?, &scope)?;
            catalog::add_object(connection, &name, schema, on.id, "C", Some(text))?;
            let raised = raise(
                547,
                &format!(
                    "The INSERT or UPDATE statement conflicted with the CHECK constraint \"{name}\". The conflict occurred in database \"{}\", table \"{}.{}\".",
                    session.database, on.schema, on.name
                ),
            );
            for verb in ["INSERT", "UPDATE"] {
                trigger(session, on, &name, "BEFORE", verb, &format!("NOT {condition}"), &raised)?;
            }
            Ok(())
        }
        Constraint::Default { name, column, text } => {
            add_default(session, on, on.column(column)?.id, name.as_deref(), text)
        }
        Constraint::Foreign { name, columns, table: to, referenced, on_delete, on_update } => {
            let parent = if crate::bind::same(&to.1, &on.name) && crate::bind::same(&to.0, &on.schema) {
                on.clone()
            } else {
                table(session, to)?
            };
            let name = name.clone().unwrap_or_else(|| format!("FK__{}__{}", on.name, columns.join("_")));
            let id = catalog::add_object(connection, &name, schema, on.id, "F", None)?;
            connection.execute(
                "INSERT INTO \"$fks\" VALUES (?1,?2,?3,?4,?5)",
                params![id, on.id, parent.id, on_delete, on_update],
            )?;
            let referenced = if referenced.is_empty() { columns } else { referenced };
            let env = session.env();
            let binder = Binder::new(&env);
            let (mut check, mut find, mut known) = (Vec::new(), Vec::new(), Vec::new());
            for (at, (own, other)) in columns.iter().zip(referenced).enumerate() {
                let (own, other) = (on.column(own)?, parent.column(other)?);
                connection.execute(
                    "INSERT INTO \"$fk_columns\" VALUES (?1,?2,?3,?4)",
                    params![id, at as i64 + 1, own.id, other.id],
                )?;
                let key = |prefix: &str, column: &catalog::TableColumn| {
                    binder.key(&Bound::new(format!("{prefix}{}", quote(&column.name)), column.sql_type.clone()))
                };
                known.push(format!("NEW.{} IS NOT NULL", quote(&own.name)));
                check.push(format!("{} = {}", key("", other), key("NEW.", own)));
                find.push(format!("{} = {}", key("", own), key("OLD.", other)));
            }
            let missing = format!(
                "{} AND NOT EXISTS (SELECT 1 FROM {} WHERE {})",
                known.join(" AND "),
                parent.stored(),
                check.join(" AND ")
            );
            let place = format!(
                "The conflict occurred in database \"{}\", table \"{}.{}\".",
                session.database, parent.schema, parent.name
            );
            for verb in ["INSERT", "UPDATE"] {
                let raised = raise(
                    547,
                    &format!("The {verb} statement conflicted with the FOREIGN KEY constraint \"{name}\". {place}"),
                );
                // A row may reference itself, so the check follows the change.
                trigger(session, on, &name, "AFTER", verb, &missing, &raised)?;
            }
            let children = find.join(" AND ");
            let body = match on_delete {
                1 => format!("DELETE FROM {} WHERE {children}", on.stored()),
                2 => format!(
                    "UPDATE {} SET {} WHERE {children}",
                    on.stored(),
                    columns.iter().map(|column| format!("{} = NULL", quote(column))).collect::<Vec<_>>().join(", ")
                ),
                _ => format!(
                    "SELECT {} FROM {} WHERE {children}",
                    raise(547, &format!("The DELETE statement conflicted with the REFERENCE constraint \"{name}\"."))
                        .trim_start_matches("SELECT "),
                    on.stored()
                ),
            };
            trigger(session, &parent, &name, "AFTER", "DELETE", "1", &body)
        }
    }
}

fn raise(number: u32, message: &str) -> String {
    format!("SELECT RAISE(ABORT, {})", text_literal(&encode(&error(number, message))))
}

fn trigger(
    session: &Session,
    on: &Table,
    name: &str,
    when: &str,
    verb: &str,
    condition: &str,
    body: &str,
) -> Result<(), SqlError> {
    let full = quote(&format!("{}.{}/{name}/{verb}", on.schema, on.name));
    Ok(session.connection.execute_batch(&format!(
        "CREATE TRIGGER {full} {when} {verb} ON {} WHEN {condition} BEGIN {body}; END",
        on.stored()
    ))?)
}

/// Drops a constraint by name.
pub fn drop_constraint(session: &Session, on: &Table, name: &str) -> Result<(), SqlError> {
    let connection = &session.connection;
    let (id, kind): (i64, String) = connection
        .query_row(
            "SELECT object_id, type FROM \"$objects\" WHERE parent = ?1 AND name = ?2 COLLATE NOCASE",
            params![on.id, name],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(|_| error(3728, format!("'{name}' is not a constraint.")))?;
    match kind.as_str() {
        "PK" | "UQ" => {
            if kind == "PK" {
                crate::tracking_ddl::refuse_dropped_key(session, on, name)?;
            }
            drop_index(session, on, name)?;
        }
        "D" => {
            connection.execute("UPDATE \"$columns\" SET default_id = 0 WHERE default_id = ?1", [id])?;
        }
        _ => drop_triggers(session, name)?,
    }
    connection.execute("DELETE FROM \"$fk_columns\" WHERE object_id = ?1", [id])?;
    connection.execute("DELETE FROM \"$fks\" WHERE object_id = ?1", [id])?;
    connection.execute("DELETE FROM \"$objects\" WHERE object_id = ?1", [id])?;
    Ok(())
}

fn drop_triggers(session: &Session, name: &str) -> Result<(), SqlError> {
    let mut statement =
        session.connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND instr(name, ?1) > 0")?;
    let found: Vec<String> = statement.query_map([format!("/{name}/")], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for trigger in found {
        session.connection.execute_batch(&format!("DROP TRIGGER {}", quote(&trigger)))?;
    }
    Ok(())
}
