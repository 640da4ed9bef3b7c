//! What a database knows of its tables, kept in tables of its own file so that DDL is transactional.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::error;
use crate::types::{DEFAULT_COLLATION, parse_type};
use crate::value::{SqlError, SqlType};

/// The catalog's own tables. Names are plain text here; the `sys` views make nvarchar of them. Seeds and increments of identities
/// are text where they are beyond bigint.
pub const SCHEMA: &str = r#"
CREATE TABLE "$schemas"(schema_id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO "$schemas" VALUES (1,'dbo'),(2,'guest'),(3,'INFORMATION_SCHEMA'),(4,'sys');
CREATE TABLE "$types"(user_type_id INTEGER PRIMARY KEY, name TEXT, schema_id INTEGER, base TEXT, collation TEXT, nullable INTEGER,
  assembly INTEGER DEFAULT 0);
CREATE TABLE "$objects"(object_id INTEGER PRIMARY KEY, name TEXT, schema_id INTEGER, parent INTEGER, type TEXT,
  definition TEXT, temporal INTEGER DEFAULT 0, history INTEGER, tpch REAL, memory INTEGER DEFAULT 0, column INTEGER,
  created INTEGER DEFAULT (CAST((julianday('now') - 2415020.5) * 25920000 AS INTEGER)));
CREATE INDEX "$objects/name" ON "$objects"(name COLLATE NOCASE);
CREATE INDEX "$objects/parent" ON "$objects"(parent);
CREATE TABLE "$columns"(object_id INTEGER, column_id INTEGER, name TEXT, type TEXT, collation TEXT, user_type INTEGER,
  nullable INTEGER, identity INTEGER DEFAULT 0, seed BLOB, increment BLOB, last_value INTEGER,
  computed TEXT, persisted INTEGER DEFAULT 0, default_id INTEGER DEFAULT 0, masked TEXT, rowguid INTEGER DEFAULT 0,
  encryption INTEGER, generated INTEGER DEFAULT 0, hidden INTEGER DEFAULT 0, sparse INTEGER DEFAULT 0, graph INTEGER DEFAULT 0,
  PRIMARY KEY(object_id, column_id));
CREATE TABLE "$indexes"(object_id INTEGER, index_id INTEGER, name TEXT, type INTEGER, is_unique INTEGER DEFAULT 0,
  is_pk INTEGER DEFAULT 0, is_uc INTEGER DEFAULT 0, filter TEXT, PRIMARY KEY(object_id, index_id));
CREATE TABLE "$index_columns"(object_id INTEGER, index_id INTEGER, index_column_id INTEGER, column_id INTEGER,
  key_ordinal INTEGER, descending INTEGER, included INTEGER);
CREATE TABLE "$fks"(object_id INTEGER PRIMARY KEY, parent INTEGER, referenced INTEGER, on_delete INTEGER, on_update INTEGER);
CREATE TABLE "$fk_columns"(object_id INTEGER, ordinal INTEGER, parent_column INTEGER, referenced_column INTEGER);
CREATE TABLE "$users"(name TEXT PRIMARY KEY COLLATE NOCASE, login TEXT);
CREATE TABLE "$grants"(grantee TEXT COLLATE NOCASE, permission TEXT, class TEXT, major INTEGER, minor INTEGER, deny INTEGER);
CREATE TABLE "$counters"(name TEXT PRIMARY KEY, value INTEGER);
INSERT INTO "$counters" VALUES ('object', 245575913), ('change', 0);
CREATE TABLE "$tracking_database"(retention INTEGER, units INTEGER, auto_cleanup INTEGER);
CREATE TABLE "$tracking"(object_id INTEGER PRIMARY KEY, columns INTEGER, begin_version INTEGER, min_valid INTEGER, cleanup INTEGER);
CREATE TABLE "$commits"(version INTEGER PRIMARY KEY,
  moment INTEGER DEFAULT (CAST((julianday('now') - 2415020.5) * 25920000 AS INTEGER)));
"#;

/// A column of a user table or view.
#[derive(Debug, Clone)]
pub struct TableColumn {
    pub id: i64,
    pub name: String,
    pub sql_type: SqlType,
    pub nullable: bool,
    pub identity: bool,
    pub computed: Option<String>,
    pub default: Option<String>,
    pub generated: i64,
    pub hidden: bool,
    /// What it is to a graph; 0 is nothing.
    pub graph: i64,
}

/// A table, a view, or one of TPC-H's tables.
#[derive(Debug, Clone)]
pub struct Table {
    pub id: i64,
    pub schema: String,
    pub name: String,
    pub view: Option<String>,
    pub tpch: Option<f64>,
    pub columns: Vec<TableColumn>,
    /// 1 is a history, 2 has one.
    pub temporal: i64,
    pub history: Option<i64>,
    pub place: Place,
}

/// A database as a session reaches it: its own, or another that is attached to its connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// What stands before a table's name in SQLite's SQL; empty for the session's own database.
    pub at: String,
    /// The database's name.
    pub database: String,
}

impl Table {
    /// The SQLite table that holds the rows.
    pub fn stored(&self) -> String {
        format!("{}{}", self.place.at, crate::bind::quote(&format!("{}.{}", self.schema, self.name)))
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Result<&TableColumn, SqlError> {
        self.columns
            .iter()
            .find(|column| crate::bind::same(&column.name, name))
            .ok_or_else(|| error(207, format!("Invalid column name '{name}'.")))
    }
}

/// The next id of an object (or another counter) in the database at a place.
pub fn next_counter(connection: &Connection, at: &str, name: &str, step: i64) -> Result<i64, SqlError> {
    Ok(connection.query_row(
        &format!("UPDATE {at}\"$counters\" SET value = value + ?2 WHERE name = ?1 RETURNING value"),
        params![name, step],
        |row| row.get(0),
    )?)
}

/// The id of a schema.
pub fn schema_id(connection: &Connection, name: &str) -> Result<i64, SqlError> {
    connection
        .query_row("SELECT schema_id FROM \"$schemas\" WHERE name = ?1 COLLATE NOCASE", [name], |row| row.get(0))
        .optional()?
        .ok_or_else(|| {
            error(2760, format!("The specified schema name \"{name}\" either does not exist or you do not have permission to use it."))
        })
}

/// A table or view of the session's own database by name; `None` where there is none.
pub fn find(connection: &Connection, schema: &str, name: &str) -> Result<Option<Table>, SqlError> {
    find_at(connection, &Place::default(), schema, name)
}

/// A table or view by name; `None` where there is none.
pub fn find_at(connection: &Connection, place: &Place, schema: &str, name: &str) -> Result<Option<Table>, SqlError> {
    let at = &place.at;
    let head = connection
        .prepare_cached(&format!(
            "SELECT o.object_id, s.name, o.name, CASE WHEN o.type = 'V' THEN o.definition END, o.tpch,
                    o.temporal, o.history
             FROM {at}\"$objects\" o JOIN {at}\"$schemas\" s ON s.schema_id = o.schema_id
             WHERE o.name = ?2 COLLATE NOCASE AND s.name = ?1 COLLATE NOCASE AND o.type IN ('U','V')"
        ))?
        .query_row([schema, name], |row| {
            Ok(Table {
                id: row.get(0)?,
                schema: row.get(1)?,
                name: row.get(2)?,
                view: row.get(3)?,
                tpch: row.get(4)?,
                columns: Vec::new(),
                temporal: row.get(5)?,
                history: row.get(6)?,
                place: place.clone(),
            })
        })
        .optional()?;
    let Some(mut table) = head else { return Ok(None) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT c.column_id, c.name, c.type, c.collation, c.nullable, c.identity, c.computed, d.definition,
                c.generated, c.hidden, c.graph
         FROM {at}\"$columns\" c LEFT JOIN {at}\"$objects\" d ON d.object_id = c.default_id
         WHERE c.object_id = ?1 ORDER BY c.column_id"
    ))?;
    let mut rows = statement.query([table.id])?;
    while let Some(row) = rows.next()? {
        let collation: Option<String> = row.get(3)?;
        let text: String = row.get(2)?;
        table.columns.push(TableColumn {
            id: row.get(0)?,
            name: row.get(1)?,
            sql_type: parse_type(&text, collation.as_deref().unwrap_or(DEFAULT_COLLATION), 1)?,
            nullable: row.get(4)?,
            identity: row.get(5)?,
            computed: row.get(6)?,
            default: row.get(7)?,
            generated: row.get(8)?,
            hidden: row.get(9)?,
            graph: row.get(10)?,
        });
    }
    Ok(Some(table))
}

/// An alias type's base: its text, collation and id.
pub fn alias_type(connection: &Connection, name: &str) -> Result<Option<(String, i64, bool)>, SqlError> {
    let bare = name.rsplit('.').next().unwrap_or(name).replace(['[', ']'], "");
    Ok(connection
        .query_row(
            "SELECT base, user_type_id, nullable FROM \"$types\" WHERE name = ?1 COLLATE NOCASE",
            [bare.trim()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?)
}

/// A new object in the catalog.
pub fn add_object(
    connection: &Connection,
    name: &str,
    schema: i64,
    parent: i64,
    kind: &str,
    definition: Option<&str>,
) -> Result<i64, SqlError> {
    let taken: i64 = connection.query_row(
        "SELECT count(*) FROM \"$objects\" WHERE name = ?1 COLLATE NOCASE AND schema_id = ?2",
        params![name, schema],
        |row| row.get(0),
    )?;
    if taken > 0 {
        return Err(error(2714, format!("There is already an object named '{name}' in the database.")));
    }
    let id = next_counter(connection, "", "object", 16)?;
    connection.execute(
        "INSERT INTO \"$objects\"(object_id,name,schema_id,parent,type,definition) VALUES (?1,?2,?3,?4,?5,?6)",
        params![id, name, schema, parent, kind, definition],
    )?;
    Ok(id)
}
