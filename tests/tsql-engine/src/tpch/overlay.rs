//! Rows of a generated table that an UPDATE has changed. They lie in the table's own SQLite table, where they are tracked as any other
//! row, and stand for the generator's.

use std::collections::HashMap;

use rusqlite::Connection;

use super::cells::Cells;
use super::keys::Key;
use super::schema::Table;
use super::segment::Segment;
use crate::bind::{Binder, Scope, quote};
use crate::catalog;
use crate::codec::load;
use crate::error::unsupported;
use crate::session::Session;
use crate::value::{SqlError, Value};

/// The changed rows of a scan, by their keys.
#[derive(Default)]
pub(super) struct Overlay {
    rows: HashMap<Key, Changed>,
}

/// A changed row.
pub(super) struct Changed {
    key: Key,
    cells: Vec<Value<'static>>,
}

impl Cells for Changed {
    fn key(&self) -> Key {
        self.key
    }

    fn cell(&self, at: usize) -> Value<'_> {
        match &self.cells[at] {
            Value::VarChar(bytes) => Value::VarChar(bytes.as_ref().into()),
            other => other.clone(),
        }
    }
}

impl Overlay {
    /// The changed rows in these segments, as the connection sees them.
    pub fn of(connection: &Connection, table: Table, segments: &[Segment]) -> Result<Self, SqlError> {
        let stored = stored(table);
        let mut overlay = Self::default();
        if !connection.prepare_cached(&format!("SELECT 1 FROM {stored}"))?.exists([])? {
            return Ok(overlay);
        }
        let layout = table.layout();
        let names: Vec<String> = layout.iter().map(|(name, _)| quote(name)).collect();
        let leading = &names[table.key()[0]];
        let sql = format!("SELECT {} FROM {stored} WHERE {leading} BETWEEN ?1 AND ?2", names.join(","));
        let mut statement = connection.prepare_cached(&sql)?;
        for segment in segments {
            let mut rows = statement.query([segment.low, segment.high])?;
            while let Some(row) = rows.next()? {
                let mut cells = Vec::with_capacity(layout.len());
                for (at, (_, kind)) in layout.iter().enumerate() {
                    cells.push(load(row.get_ref(at)?, &kind.sql_type())?.into_static());
                }
                let mut key = [0; 2];
                for (part, at) in key.iter_mut().zip(table.key()) {
                    *part = crate::functions::number(&cells[*at]);
                }
                overlay.rows.insert(key, Changed { key, cells });
            }
        }
        Ok(overlay)
    }

    /// What stands for the generator's row with this key.
    #[inline]
    pub fn changed(&self, key: Key) -> Option<&Changed> {
        if self.rows.is_empty() { None } else { self.rows.get(&key) }
    }
}

/// The table in SQLite.
fn stored(table: Table) -> String {
    quote(&format!("dbo.{}", table.name()))
}

/// A copy of the generator's rows with the changed ones in their places.
pub(super) fn over(connection: &Connection, table: Table, copy: &str, names: &[String]) -> Result<String, SqlError> {
    let stored = stored(table);
    if !connection.prepare_cached(&format!("SELECT 1 FROM {stored}"))?.exists([])? {
        return Ok(copy.to_owned());
    }
    let list = names.join(",");
    Ok(format!(
        "(SELECT {list} FROM {copy} AS c WHERE NOT {} UNION ALL SELECT {list} FROM {stored})",
        present(table, &stored, "c")
    ))
}

/// The condition that a row is among the changed ones.
fn present(table: Table, stored: &str, alias: &str) -> String {
    let keys = table.key().iter().map(|at| quote(table.layout()[*at].0));
    let same: Vec<String> = keys.map(|key| format!("s.{key} = {alias}.{key}")).collect();
    format!("EXISTS (SELECT 1 FROM {stored} AS s WHERE {})", same.join(" AND "))
}

/// Takes the rows that an UPDATE is about to change from the generator, unchanged; to everybody they are what they were.
pub fn take_over(
    session: &mut Session,
    table: &catalog::Table,
    condition: Option<&sqlparser::ast::Expr>,
) -> Result<(), SqlError> {
    let (Some(scale), Some(generated)) = (table.tpch, Table::find(&table.name)) else { return Ok(()) };
    if session.transactions() > 0 {
        return Err(unsupported(&format!("a change of the generated table {} within a transaction", table.name)));
    }
    let sql = {
        let env = session.env();
        let copy = super::materialize(&env, table, scale)?;
        let source = crate::ddl::own_scope(table, "c.");
        let scope = Scope { sources: std::slice::from_ref(&source), outer: None };
        let condition = match condition {
            Some(condition) => Binder::new(&env).predicate(condition, &scope)?,
            None => "1".to_owned(),
        };
        let names: Vec<String> = table.columns.iter().map(|column| quote(&column.name)).collect();
        let (list, stored) = (names.join(","), stored(generated));
        format!(
            "INSERT INTO {stored}({list}) SELECT {list} FROM {copy} AS c WHERE ({condition}) AND NOT {}",
            present(generated, &stored, "c")
        )
    };
    session.define(&[], |session| {
        session.connection.execute(&sql, [])?;
        Ok(())
    })
}
