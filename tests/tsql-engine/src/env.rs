//! What translation knows of a session: its database and others, its rights, its variables.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;

use crate::catalog::{Place, Table};
use crate::error::error;
use crate::instance::Instance;
use crate::session::Settings;
use crate::value::{SqlError, SqlType, Value};

/// What translation needs to know of the session.
pub struct Env<'a> {
    pub connection: &'a Connection,
    pub instance: &'a Arc<Instance>,
    pub database: &'a str,
    pub login: &'a str,
    pub application: &'a str,
    pub host: &'a str,
    pub admin: bool,
    pub read_only: bool,
    pub spid: u16,
    pub settings: &'a Settings,
    pub answers: crate::answers::Answers,
    pub variables: &'a HashMap<String, (SqlType, Value<'static>)>,
}

impl Env<'_> {
    /// A variable's type and value.
    pub fn variable(&self, name: &str) -> Result<(SqlType, Value<'static>), SqlError> {
        self.variables.get(&name.to_lowercase()).cloned().ok_or_else(|| SqlError {
            class: 15,
            ..error(137, format!("Must declare the scalar variable \"{name}\"."))
        })
    }

    /// The place of a database: the session's own, or another, attached to its connection when it is first named.
    pub fn place(&self, database: &str) -> Result<Place, SqlError> {
        if crate::bind::same(database, self.database) {
            return Ok(Place { at: String::new(), database: self.database.to_owned() });
        }
        let found = self.instance.database(database).ok_or_else(|| missing(database))?;
        if self.settings.isolation == 5 && self.settings.transactions > 0 && !found.allow_snapshot {
            return Err(no_snapshot(&found.name));
        }
        let alias = format!("database {}", found.id);
        let attached: i64 = self.connection.query_row(
            "SELECT count(*) FROM pragma_database_list WHERE name = ?1",
            [&alias],
            |row| row.get(0),
        )?;
        let quoted = crate::bind::quote(&alias);
        if attached == 0 {
            let path = found.path.to_string_lossy();
            self.connection.execute(&format!("ATTACH DATABASE ?1 AS {quoted}"), [path])?;
        }
        Ok(Place { at: format!("{quoted}."), database: found.name })
    }

    /// The table or view that one to three names stand for.
    pub fn table(&self, names: &[String]) -> Result<Option<Table>, SqlError> {
        let (place, schema, name) = match names {
            [database, schema, name] if !database.is_empty() => (self.place(database)?, schema.as_str(), name),
            [schema, name] | [_, schema, name] => (Place::default(), schema.as_str(), name),
            [name] => (Place::default(), "dbo", name),
            _ => return Err(crate::error::unsupported(&format!("the name {}", names.join(".")))),
        };
        crate::catalog::find_at(self.connection, &place, if schema.is_empty() { "dbo" } else { schema }, name)
    }

    /// 41332 where the session's isolation level is SNAPSHOT and the table is memory-optimized.
    pub fn allows_isolation(&self, table: &Table) -> Result<(), SqlError> {
        if self.settings.isolation != 5 {
            return Ok(());
        }
        let sql = format!("SELECT count(*) FROM {}\"$objects\" WHERE object_id = ?1 AND memory", table.place.at);
        if self.connection.query_row(&sql, [table.id], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(());
        }
        Err(error(
            41332,
            "Memory optimized tables and natively compiled modules cannot be accessed or created when the session \
             TRANSACTION ISOLATION LEVEL is set to SNAPSHOT.",
        ))
    }

    /// 229 where the login may not read the table.
    pub fn may_select(&self, table: &Table) -> Result<(), SqlError> {
        if self.granted("SELECT", &table.place.at, Some(table.id))? {
            return Ok(());
        }
        Err(SqlError {
            number: 229,
            state: 5,
            class: 14,
            message: format!(
                "The SELECT permission was denied on the object '{}', database '{}', schema '{}'.",
                table.name,
                if table.place.at.is_empty() { self.database } else { &table.place.database },
                table.schema
            ),
        })
    }

    /// How the session's database differs from SQL Server's.
    pub fn quirks(&self) -> crate::quirks::Quirks {
        self.instance.database(self.database).map_or_else(Default::default, |database| database.quirks)
    }
}

/// 3952.
pub fn no_snapshot(database: &str) -> SqlError {
    error(
        3952,
        format!(
            "Snapshot isolation transaction failed accessing database '{database}' because snapshot isolation is not allowed in this database. Use ALTER DATABASE to allow snapshot isolation."
        ),
    )
}

/// 3906.
pub fn read_only(database: &str) -> SqlError {
    error(3906, format!("Failed to update database \"{database}\" because the database is read-only."))
}

/// 911.
pub fn missing(database: &str) -> SqlError {
    error(911, format!("Database '{database}' does not exist. Make sure that the name is entered correctly."))
}
