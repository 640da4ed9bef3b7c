//! Carries out definitions: the catalog's rows and SQLite's tables, indexes and triggers.

use rusqlite::params;

use crate::bind::{Binder, Bound, Scope, ScopeColumn, Source, quote};
use crate::catalog::{self, Table};
use crate::constraint::{Index, add_constraint, add_index, drop_constraint, drop_index};
use crate::ddl_ast::{ColumnDef, Constraint, Ddl};
use crate::error::{error, unsupported};
use crate::session::Session;
use crate::types::{DEFAULT_COLLATION, SYSTEM_TYPES, is_string, parse_type, type_name, type_text};
use crate::value::SqlError;

type Name = (String, String);

/// Runs one definition; all of it or nothing.
pub fn run(session: &mut Session, ddl: &Ddl) -> Result<(), SqlError> {
    match ddl {
        Ddl::CreateDatabase(name) => return session.instance.create_database(name),
        Ddl::CreateSnapshot { name, of } => return session.instance.create_snapshot(name, of),
        Ddl::DropDatabase(name, if_exists) => {
            if *if_exists && session.instance.database(name).is_none() {
                return Ok(());
            }
            return session.instance.drop_database(name);
        }
        Ddl::AlterDatabase { name, option, on } => {
            let name = if name.eq_ignore_ascii_case("current") { session.database.clone() } else { name.clone() };
            return match option.as_str() {
                "ALLOW_SNAPSHOT_ISOLATION" => {
                    session.instance.alter_database(&name, |database| database.allow_snapshot = *on)
                }
                "READ_COMMITTED_SNAPSHOT" => {
                    session.instance.alter_database(&name, |database| database.read_committed_snapshot = *on)
                }
                other => Err(unsupported(&format!("ALTER DATABASE … SET {other}"))),
            };
        }
        Ddl::TrackDatabase { name, change } => {
            let name = if name.eq_ignore_ascii_case("current") { session.database.clone() } else { name.clone() };
            return crate::tracking_ddl::change_database(session, &name, *change);
        }
        Ddl::CreateLogin { name, password } => {
            let (sql_type, value) = session.evaluate(password)?;
            session.instance.add_login(name, &crate::convert::text_of(&value, &sql_type)?, false);
            return Ok(());
        }
        _ => {}
    }
    if let Ddl::Truncate((schema, name)) = ddl {
        session.writes.forget(&format!("{schema}.{name}"));
    }
    session.define(&ddl.tables(), |session| define(session, ddl))
}

/// The table of that name, or 4902.
pub fn table(session: &Session, name: &Name) -> Result<Table, SqlError> {
    catalog::find(&session.connection, &name.0, &name.1)?.ok_or_else(|| {
        error(
            4902,
            format!(
                "Cannot find the object \"{}.{}\" because it does not exist or you do not have permissions.",
                name.0, name.1
            ),
        )
    })
}

fn define(session: &Session, ddl: &Ddl) -> Result<(), SqlError> {
    let connection = &session.connection;
    match ddl {
        Ddl::CreateSchema(name) => {
            connection.execute("INSERT INTO \"$schemas\"(name) VALUES (?1)", [name])?;
        }
        Ddl::CreateType { name, base, nullable, assembly } => {
            let schema = catalog::schema_id(connection, &name.0)?;
            let sql_type = parse_type(base, DEFAULT_COLLATION, 1)?;
            let collation = is_string(&sql_type).then_some(DEFAULT_COLLATION);
            let there = "SELECT count(*) FROM \"$types\" WHERE name = ?1 COLLATE NOCASE AND schema_id = ?2";
            if connection.query_row(there, params![name.1, schema], |row| row.get::<_, i64>(0))? > 0 {
                let message =
                    format!("The type '{}' already exists, or you do not have permission to create it.", name.1);
                return Err(error(219, message));
            }
            connection.execute(
                "INSERT INTO \"$types\" VALUES ((SELECT coalesce(max(user_type_id),256)+1 FROM \"$types\"),?1,?2,?3,?4,?5,?6)",
                params![name.1, schema, type_text(&sql_type), collation, nullable, assembly],
            )?;
        }
        Ddl::CreateTable { name, columns, constraints, versioned, history, memory, graph } => {
            create_table(session, name, columns, constraints)?;
            let created = table(session, name)?;
            connection
                .execute("UPDATE \"$objects\" SET memory = ?2 WHERE object_id = ?1", params![created.id, memory])?;
            if graph.is_some() {
                add_graph_index(session, &created)?;
            }
            if *versioned {
                crate::temporal::enable(session, &created, history.as_ref())?;
            }
        }
        Ddl::TrackTable { table: on, on: true, columns_updated } => {
            let on = table(session, on)?;
            crate::temporal::refuse_tracking(session, &on)?;
            crate::tracking::enable(session, &on, *columns_updated)?;
        }
        Ddl::TrackTable { table: on, .. } => crate::tracking::disable(session, &table(session, on)?)?,
        Ddl::CreateView { name, columns, text } => create_view(session, name, columns, text)?,
        Ddl::CreateIndex { name, table: on, kind, unique, columns, include, filter } => {
            let on = table(session, on)?;
            add_index(
                session,
                &on,
                &Index {
                    name,
                    kind: *kind,
                    unique: *unique,
                    primary: false,
                    constraint: false,
                    columns,
                    include,
                    filter: filter.as_deref(),
                },
            )?;
        }
        Ddl::AddColumns { table: on, columns, constraints } => {
            for column in columns {
                let found = table(session, on)?;
                add_column(session, &found, column)?;
                if let Some(kept) = crate::temporal::history(session, &found)? {
                    add_to_history(session, &kept, column)?;
                }
            }
            for constraint in constraints {
                let found = table(session, on)?;
                add_constraint(session, &found, constraint)?;
            }
        }
        Ddl::AlterColumn { table: on, column } => {
            let on = table(session, on)?;
            crate::tracking_ddl::refuse_key_change(session, &on, &column.name)?;
            alter_column(session, &on, column)?;
            if let Some(kept) = crate::temporal::history(session, &on)? {
                alter_column(session, &kept, column)?;
            }
        }
        Ddl::SetVersioning { table: on, on: true, history } => {
            crate::temporal::enable(session, &table(session, on)?, history.as_ref())?;
        }
        Ddl::SetVersioning { table: on, .. } => crate::temporal::disable(session, &table(session, on)?)?,
        Ddl::DropPeriod(on) => {
            let on = table(session, on)?;
            crate::temporal::refuse_while_versioned(&on, "DROP PERIOD")?;
            connection.execute("UPDATE \"$columns\" SET generated = 0 WHERE object_id = ?1", [on.id])?;
        }
        Ddl::DropColumn { table: on, column } => {
            let on = table(session, on)?;
            crate::temporal::refuse_while_versioned(&on, "DROP COLUMN")?;
            crate::tracking_ddl::refuse_key_change(session, &on, column)?;
            let id = on.column(column)?.id;
            connection.execute_batch(&format!("ALTER TABLE {} DROP COLUMN {}", on.stored(), quote(column)))?;
            connection
                .execute("DELETE FROM \"$columns\" WHERE object_id = ?1 AND column_id = ?2", params![on.id, id])?;
        }
        Ddl::DropConstraint { table: on, name } => drop_constraint(session, &table(session, on)?, name)?,
        Ddl::Drop { kind, names, if_exists } => {
            for name in names {
                match catalog::find(connection, &name.0, &name.1)? {
                    Some(found) => {
                        crate::temporal::refuse_while_versioned(&found, "DROP")?;
                        drop_object(session, &found)?;
                    }
                    None if *if_exists => {}
                    None => {
                        return Err(error(
                            3701,
                            format!(
                                "Cannot drop the {} '{}', because it does not exist or you do not have permission.",
                                kind.to_lowercase(),
                                name.1
                            ),
                        ));
                    }
                }
            }
        }
        Ddl::DropIndex { name, table: on } => {
            let on = table(session, on)?;
            drop_index(session, &on, name)?;
        }
        Ddl::Truncate(name) => {
            let found = table(session, name)?;
            crate::temporal::refuse_while_versioned(&found, "TRUNCATE")?;
            connection.execute_batch(&format!("DELETE FROM {}", found.stored()))?;
            connection.execute("UPDATE \"$columns\" SET last_value = NULL WHERE object_id = ?1", [found.id])?;
            forget_identity(session, &found);
            crate::tracking::truncated(session, &found)?;
        }
        Ddl::CreateUser { name, login } => {
            connection.execute("INSERT INTO \"$users\" VALUES (?1,?2)", [name, login])?;
        }
        Ddl::Permission { deny, revoke, permission, on, grantee } => {
            crate::permissions::change(session, on, permission, grantee, if *revoke { None } else { Some(*deny) })?;
        }
        Ddl::CreatePolicy { name, predicate, table: on } => {
            let schema = catalog::schema_id(connection, &name.0)?;
            let target = table(session, on)?.id;
            let id = catalog::add_object(connection, &name.1, schema, 0, "SP", Some(predicate))?;
            connection.execute("UPDATE \"$objects\" SET history = ?2 WHERE object_id = ?1", params![id, target])?;
        }
        other => return Err(unsupported(&format!("{other:?}"))),
    }
    Ok(())
}

/// A column's type text, collation, user type id and nullability.
fn resolve(session: &Session, column: &ColumnDef) -> Result<(String, Option<String>, i64, bool), SqlError> {
    let collation = column.collation.as_deref().unwrap_or(DEFAULT_COLLATION);
    crate::collation_names::known(collation, session.instance.version())?;
    let text = &column.type_text;
    let (base, user, nullable) = match parse_type(text, collation, 1) {
        Ok(_) => (text.clone(), None, true),
        Err(failure) => match catalog::alias_type(&session.connection, text)? {
            Some((base, user, nullable)) => (base, Some(user), nullable),
            None => {
                return Err(SqlError {
                    number: 2715,
                    message: format!("Column, parameter, or variable: Cannot find data type {text}."),
                    ..failure
                });
            }
        },
    };
    let sql_type = parse_type(&base, collation, 1)?;
    let lower = base.to_ascii_lowercase();
    let special = ["json", "vector", "sysname"].into_iter().find(|name| lower.starts_with(name));
    let name = special.unwrap_or(type_name(&sql_type));
    let id = SYSTEM_TYPES.iter().find(|row| row.0 == name).map_or(0, |row| i64::from(row.2));
    let kept = match special {
        Some("json" | "vector") => lower.clone(),
        _ => type_text(&sql_type),
    };
    let collation = is_string(&sql_type).then(|| collation.to_owned());
    let rowversion = matches!(sql_type, crate::value::SqlType::RowVersion);
    Ok((
        kept,
        collation,
        user.unwrap_or(id),
        column.nullable.unwrap_or(nullable && !rowversion && special != Some("sysname")),
    ))
}

/// A scope in which a table's own columns are bare names.
pub fn own_scope(table: &Table, prefix: &str) -> Source {
    let columns = table
        .columns
        .iter()
        .map(|column| ScopeColumn {
            name: column.name.clone(),
            bound: Bound {
                nullable: column.nullable,
                ..Bound::new(format!("{prefix}{}", quote(&column.name)), column.sql_type.clone())
            },
        })
        .collect();
    Source { alias: table.name.clone(), table: None, columns }
}

fn insert_column(session: &Session, on: &Table, id: i64, column: &ColumnDef) -> Result<String, SqlError> {
    let connection = &session.connection;
    let mut storage = quote(&column.name);
    let (text, collation, user, nullable) = match &column.computed {
        Some(text) => {
            let source = own_scope(on, "");
            let env = session.env();
            let scope = Scope { sources: std::slice::from_ref(&source), outer: None };
            let bound = Binder::new(&env).value(&crate::script::parse_expr(text)?, &scope)?;
            storage.push_str(&format!(" AS ({})", bound.sql));
            let collation = crate::types::collation_of(&bound.sql_type).map(str::to_owned);
            let name = type_name(&bound.sql_type);
            let user = SYSTEM_TYPES.iter().find(|row| row.0 == name).map_or(0, |row| i64::from(row.2));
            (type_text(&bound.sql_type), collation, user, column.nullable.unwrap_or(bound.nullable))
        }
        None => resolve(session, column)?,
    };
    connection.execute(
        "INSERT INTO \"$columns\"(object_id,column_id,name,type,collation,user_type,nullable,identity,seed,increment,computed,persisted,masked,rowguid,encryption,generated,hidden,sparse,graph)
         VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19)",
        params![
            on.id, id, column.name, text, collation, user, nullable && column.identity.is_none(), column.identity.is_some(),
            column.identity.map(|pair| whole(pair.0)), column.identity.map(|pair| whole(pair.1)), column.computed, column.persisted, column.masked,
            column.rowguid, column.encrypted.then_some(1), column.generated, column.hidden, column.sparse, column.graph
        ],
    )?;
    if let Some((name, text)) = &column.default {
        add_default(session, on, id, name.as_deref(), text)?;
    }
    Ok(storage)
}

/// A whole number as the catalog keeps it.
fn whole(value: i128) -> rusqlite::types::Value {
    match i64::try_from(value) {
        Ok(value) => rusqlite::types::Value::Integer(value),
        Err(_) => rusqlite::types::Value::Text(value.to_string()),
    }
}

/// Makes a column's default.
pub fn add_default(session: &Session, on: &Table, column: i64, name: Option<&str>, text: &str) -> Result<(), SqlError> {
    let connection = &session.connection;
    let name = name.map_or_else(|| format!("DF__{}__{column}", on.name), str::to_owned);
    let id =
        catalog::add_object(connection, &name, catalog::schema_id(connection, &on.schema)?, on.id, "D", Some(text))?;
    connection.execute("UPDATE \"$objects\" SET column = ?2 WHERE object_id = ?1", params![id, column])?;
    connection.execute(
        "UPDATE \"$columns\" SET default_id = ?3 WHERE object_id = ?1 AND column_id = ?2",
        params![on.id, column, id],
    )?;
    Ok(())
}

/// The identifiers of nodes and edges are unique.
fn add_graph_index(session: &Session, table: &Table) -> Result<(), SqlError> {
    let Some(id) = table.columns.iter().find(|column| column.graph == 1) else { return Ok(()) };
    let index = Index {
        name: &crate::graph::index_name(&table.name),
        kind: 2,
        unique: true,
        primary: false,
        constraint: false,
        columns: &[(id.name.clone(), false)],
        include: &[],
        filter: None,
    };
    add_index(session, table, &index)
}

/// A column that a versioned table got is its history's, too; rows of the past get its default.
fn add_to_history(session: &Session, kept: &Table, column: &ColumnDef) -> Result<(), SqlError> {
    let default = column.default.as_ref().map(|(_, text)| (None, text.clone()));
    let plain = ColumnDef { default, identity: None, computed: None, ..column.clone() };
    if column.computed.is_some() {
        return Err(unsupported("a computed column added to a system-versioned table"));
    }
    add_column(session, kept, &plain)?;
    let id = catalog::find(&session.connection, &kept.schema, &kept.name)?
        .ok_or_else(|| unsupported("a vanished table"))?
        .column(&column.name)?
        .id;
    session.connection.execute("DELETE FROM \"$objects\" WHERE parent = ?1 AND type = 'D'", [kept.id])?;
    session
        .connection
        .execute("UPDATE \"$columns\" SET default_id = 0 WHERE object_id = ?1 AND column_id = ?2", [kept.id, id])?;
    Ok(())
}

/// A table with its columns and constraints.
pub fn create_table(
    session: &Session,
    name: &Name,
    columns: &[ColumnDef],
    constraints: &[Constraint],
) -> Result<(), SqlError> {
    let connection = &session.connection;
    let schema = catalog::schema_id(connection, &name.0)?;
    let id = catalog::add_object(connection, &name.1, schema, 0, "U", None)?;
    let mut storage = Vec::new();
    // A lone integer primary key is SQLite's rowid: the table lies in its order.
    let rowid = constraints.iter().find_map(|constraint| match constraint {
        Constraint::Key { primary: true, columns: key, .. } => match key.as_slice() {
            [(column, false)] => columns.iter().find(|own| crate::bind::same(&own.name, column)).filter(|own| {
                own.computed.is_none()
                    && ["int", "bigint", "smallint", "tinyint"].contains(&own.type_text.to_lowercase().as_str())
            }),
            _ => None,
        },
        _ => None,
    });
    for (at, column) in columns.iter().enumerate() {
        let so_far = catalog::find(connection, &name.0, &name.1)?.ok_or_else(|| unsupported("a vanished table"))?;
        let mut sql = insert_column(session, &so_far, at as i64 + 1, column)?;
        if rowid.is_some_and(|own| own.name == column.name) {
            sql.push_str(" INTEGER PRIMARY KEY");
        }
        storage.push(sql);
    }
    connection.execute_batch(&format!(
        "CREATE TABLE {}({})",
        quote(&format!("{}.{}", name.0, name.1)),
        storage.join(", ")
    ))?;
    connection.execute("INSERT INTO \"$indexes\"(object_id,index_id,type) VALUES (?1,0,0)", [id])?;
    let created = table(session, name)?;
    for constraint in constraints {
        add_constraint(session, &created, constraint)?;
    }
    Ok(())
}

fn create_view(session: &Session, name: &Name, columns: &[String], text: &str) -> Result<(), SqlError> {
    let connection = &session.connection;
    let query = crate::script::parse_query(text)?;
    let env = session.env();
    let bound = Binder::new(&env).query(&query, None)?;
    let id = catalog::add_object(connection, &name.1, catalog::schema_id(connection, &name.0)?, 0, "V", Some(text))?;
    for (at, column) in bound.columns.iter().enumerate() {
        let shown = columns.get(at).unwrap_or(&column.name);
        let kind = type_name(&column.bound.sql_type);
        let user = SYSTEM_TYPES.iter().find(|row| row.0 == kind).map_or(0, |row| row.2);
        connection.execute(
            "INSERT INTO \"$columns\"(object_id,column_id,name,type,collation,user_type,nullable) VALUES (?1,?2,?3,?4,?5,?6,?7)",
            params![id, at as i64 + 1, shown, type_text(&column.bound.sql_type), crate::types::collation_of(&column.bound.sql_type), user, column.bound.nullable],
        )?;
    }
    Ok(())
}

fn add_column(session: &Session, on: &Table, column: &ColumnDef) -> Result<(), SqlError> {
    let id = on.columns.iter().map(|own| own.id).max().unwrap_or(0) + 1;
    let sql = insert_column(session, on, id, column)?;
    session.connection.execute_batch(&format!("ALTER TABLE {} ADD COLUMN {sql}", on.stored()))?;
    let found = table(session, &(on.schema.clone(), on.name.clone()))?;
    if found.column(&column.name)?.sql_type == crate::value::SqlType::RowVersion {
        let next = crate::dml::row_version(session, "")?;
        session.connection.execute(&format!("UPDATE {} SET {} = {next}", on.stored(), quote(&column.name)), [])?;
    }
    let Some((_, text)) = &column.default else { return Ok(()) };
    if column.nullable == Some(false) {
        let (sql_type, value) = session.evaluate(&crate::script::parse_expr(text)?)?;
        let found = table(session, &(on.schema.clone(), on.name.clone()))?;
        let to = &found.column(&column.name)?.sql_type;
        let stored = crate::codec::store(&crate::convert::convert(value, &sql_type, to, 0)?, to);
        session.connection.execute(&format!("UPDATE {} SET {} = ?1", on.stored(), quote(&column.name)), [stored])?;
    }
    Ok(())
}

fn alter_column(session: &Session, on: &Table, column: &ColumnDef) -> Result<(), SqlError> {
    let old = on.column(&column.name)?;
    let (text, collation, user, nullable) = resolve(session, column)?;
    let to = parse_type(&text, collation.as_deref().unwrap_or(DEFAULT_COLLATION), 1)?;
    let env = session.env();
    let name = quote(&old.name);
    let bound = Binder::new(&env).call("assign", &old.name, &[Bound::new(name.clone(), old.sql_type.clone())], to)?;
    session.connection.execute_batch(&format!("UPDATE {} SET {name} = {}", on.stored(), bound.sql))?;
    session.connection.execute(
        "UPDATE \"$columns\" SET type = ?3, collation = ?4, user_type = ?5, nullable = ?6 WHERE object_id = ?1 AND column_id = ?2",
        params![on.id, old.id, text, collation, user, nullable],
    )?;
    Ok(())
}

/// Identities begin anew.
fn forget_identity(session: &Session, table: &Table) {
    if let Some(database) = session.instance.database(session.database()) {
        database.counters.forget_identity(table.id);
    }
}

fn drop_object(session: &Session, found: &Table) -> Result<(), SqlError> {
    let connection = &session.connection;
    let referenced: i64 = connection.query_row(
        "SELECT count(*) FROM \"$fks\" WHERE referenced = ?1 AND parent <> ?1",
        [found.id],
        |row| row.get(0),
    )?;
    if referenced > 0 {
        return Err(error(
            3726,
            format!(
                "Could not drop object '{}.{}' because it is referenced by a FOREIGN KEY constraint.",
                found.schema, found.name
            ),
        ));
    }
    let mut statement = connection.prepare("SELECT name FROM \"$objects\" WHERE parent = ?1 AND type = 'F'")?;
    let keys: Vec<String> = statement.query_map([found.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for name in keys {
        drop_constraint(session, found, &name)?;
    }
    crate::tracking::forget(session, found)?;
    forget_identity(session, found);
    if found.view.is_none() && found.tpch.is_none() {
        connection.execute_batch(&format!("DROP TABLE {}", found.stored()))?;
    }
    for sql in [
        "DELETE FROM \"$columns\" WHERE object_id = ?1",
        "DELETE FROM \"$index_columns\" WHERE object_id = ?1",
        "DELETE FROM \"$indexes\" WHERE object_id = ?1",
        "DELETE FROM \"$objects\" WHERE object_id = ?1 OR parent = ?1",
    ] {
        connection.execute(sql, [found.id])?;
    }
    Ok(())
}
