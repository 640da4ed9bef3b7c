//! Node and edge tables ("SQL Graph architecture"): the columns that SQL Server adds to them, as far as the catalog shows them. Edges have no
//! ends here, for `$from_id` and `$to_id` are not taken.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::functions::FunctionFlags;

use crate::bind::quote;
use crate::catalog::{Table, TableColumn};
use crate::ddl_ast::ColumnDef;
use crate::error::error;
use crate::session::Session;
use crate::value::SqlError;

/// What a table is in its database's graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Node,
    Edge,
}

/// Numbers of `graph_type`, as `GraphType` of SMO names them.
const ID: i64 = 1;
const ID_COMPUTED: i64 = 2;
const FROM: [i64; 3] = [3, 4, 5];
const TO: [i64; 3] = [6, 7, 8];

/// The name of the index over the identifiers that a table without one gets.
pub fn index_name(table: &str) -> String {
    format!("GRAPH_UNIQUE_INDEX_{}", suffix(table, "index"))
}

/// The implicit columns, which come before the table's own.
pub fn columns(kind: Kind, (schema, table): &(String, String)) -> Vec<ColumnDef> {
    let named = |name: &str| format!("{name}_{}", suffix(table, name));
    let internal = |name: &str, type_text: &str, graph| ColumnDef {
        name: named(name),
        type_text: type_text.to_owned(),
        nullable: Some(graph != ID),
        hidden: true,
        graph,
        ..ColumnDef::default()
    };
    let computed = |name: &str, text: String, graph| ColumnDef {
        name: named(name),
        computed: Some(format!("CAST({text} AS nvarchar(1000))")),
        graph,
        ..ColumnDef::default()
    };
    let (word, own) = match kind {
        Kind::Node => ("node", "$node_id"),
        Kind::Edge => ("edge", "$edge_id"),
    };
    let start = format!(r#"{{"type":"{word}","schema":"{schema}","table":"{table}","id":"#).replace('\'', "''");
    let shown = format!("N'{start}' + CAST([{}] AS nvarchar(20)) + N'}}'", named("graph_id"));
    let mut all = vec![internal("graph_id", "bigint", ID), computed(own, shown, ID_COMPUTED)];
    if kind == Kind::Edge {
        for (end, [id, object, shown]) in [("from", FROM), ("to", TO)] {
            let (object_name, id_name) = (format!("{end}_obj_id"), format!("{end}_id"));
            all.push(internal(&object_name, "int", object));
            all.push(internal(&id_name, "bigint", id));
            let text = format!(r#"N'{{"type":"node","id":' + CAST([{}] AS nvarchar(20)) + N'}}'"#, named(&id_name));
            all.push(computed(&format!("${end}_id"), text, shown));
        }
    }
    all
}

/// Whether only the server itself reads it.
pub fn is_internal(column: &TableColumn) -> bool {
    matches!(column.graph, 1 | 3 | 4 | 6 | 7)
}

pub fn refused(name: &str) -> SqlError {
    error(13908, format!("Cannot access internal graph column '{name}'."))
}

/// A call that yields the next identifier for each row.
pub fn next_id(session: &Session, table: &Table, column: &TableColumn) -> Result<String, SqlError> {
    let last = format!("SELECT coalesce(max({}), -1) FROM {}", quote(&column.name), table.stored());
    let counter = AtomicI64::new(session.connection.query_row(&last, [], |row| row.get(0))?);
    let next = move |_: &mut rusqlite::functions::Context<'_>| Ok(counter.fetch_add(1, Ordering::Relaxed) + 1);
    session.connection.create_scalar_function("next_graph_id", 0, FunctionFlags::SQLITE_UTF8, next)?;
    Ok("next_graph_id()".to_owned())
}

/// Thirty-two hexadecimal digits that tell one table's columns from another's.
fn suffix(table: &str, name: &str) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, table, name).hash(&mut hasher);
        hasher.finish()
    };
    format!("{:016X}{:016X}", half(0), half(1))
}
