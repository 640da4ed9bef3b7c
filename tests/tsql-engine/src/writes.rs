//! What a session's transaction has changed, so that several sessions can have changes that are not committed.
//!
//! SQLite has one writer at a time. So a transaction keeps SQLite's lock only while a batch runs: at the end of the batch the rows that it
//! has changed are read back, SQLite's transaction is rolled back, and the next batch that needs them (a read, a change, COMMIT) writes
//! them again before anything else. Nobody else changes these rows meanwhile: `locks` sees to that.
//!
//! How that differs from SQL Server: what a statement reads are committed rows and its transaction's own, never a wait for somebody
//! else's; foreign keys are checked by the statement and not again at COMMIT; a transaction that defines something, that changes another
//! database or that runs under SNAPSHOT keeps SQLite's lock from its first change to its end, and every other writer waits for it. A
//! SNAPSHOT transaction goes on with the definitions of its moment, where SQL Server raises 3961 once a table's definition has changed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::hooks::Action;
use rusqlite::types::Value as Stored;
use rusqlite::{Connection, OptionalExtension};

use crate::bind::quote;
use crate::value::SqlError;

/// A table as SQLite names it: the database ("main", or that of an attached one) and the table.
pub type TableName = (String, String);

/// What SQLite tells of changed rows, from within a statement.
#[derive(Default)]
pub struct Hooked {
    pub off: bool,
    pub tables: Vec<TableName>,
    /// The table's place in the list, whether the row was inserted, and its number.
    rows: Vec<(usize, bool, i64)>,
}

/// Which columns UPDATEs have set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Columns {
    #[default]
    None,
    /// Their ids, in the order in which they were set first.
    Some(Vec<i64>),
    All,
}

impl Columns {
    /// These and others.
    pub fn with(self, others: &Columns) -> Self {
        match (self, others) {
            (Columns::All, _) | (_, Columns::All) => Columns::All,
            (own, Columns::None) => own,
            (Columns::None, others) => others.clone(),
            (Columns::Some(mut own), Columns::Some(others)) => {
                own.extend(others.iter().filter(|id| !own.contains(id)).copied().collect::<Vec<_>>());
                Columns::Some(own)
            }
        }
    }
}

/// What a transaction did to a row.
#[derive(Debug, Clone, Default)]
pub struct Touch {
    /// It was inserted, or its primary key was set, whatever was there before.
    pub inserted: bool,
    pub columns: Columns,
    /// WITH CHANGE_TRACKING_CONTEXT of the last statement.
    pub context: Option<Vec<u8>>,
    /// Its image is not the latest.
    pub dirty: bool,
}

/// Rows of a table as the transaction left them; `None` for those that are gone.
pub struct Image {
    pub delete: String,
    pub insert: String,
    pub rows: BTreeMap<i64, Option<Vec<Stored>>>,
}

/// An UPDATE that runs: the columns that it sets, and whether one belongs to the primary key.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    pub table: String,
    pub columns: Columns,
    pub key: bool,
}

/// The changes of a session's transaction.
#[derive(Default)]
pub struct Writes {
    hooked: Arc<Mutex<Hooked>>,
    /// Rows that were changed since the transaction began.
    pub touched: BTreeMap<TableName, BTreeMap<i64, Touch>>,
    pub images: BTreeMap<String, Image>,
    /// SQLite's transaction goes on to the end of the session's.
    pub kept: Cell<bool>,
    pub setting: Option<Setting>,
    pub context: Option<Vec<u8>>,
    /// The last value of identities: of the table and the column with these ids.
    pub identities: BTreeMap<(i64, i64), i64>,
    /// Sees the committed state.
    pub reader: Option<Connection>,
}

impl Writes {
    pub fn hooked(&self) -> MutexGuard<'_, Hooked> {
        // A list of rows is whole behind a poisoned lock, too.
        self.hooked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to the changes of a connection, the session's new one.
    pub fn listen(&mut self, connection: &mut Connection) -> Result<(), SqlError> {
        self.reader = None;
        let hooked = Arc::clone(&self.hooked);
        Ok(connection.update_hook(Some(move |action: Action, database: &str, table: &str, number: i64| {
            let mut hooked = hooked.lock().unwrap_or_else(PoisonError::into_inner);
            if hooked.off || table.starts_with('$') || database == "temp" {
                return;
            }
            let known = hooked.tables.iter().position(|own| own.0 == database && own.1 == table);
            let at = known.unwrap_or_else(|| {
                hooked.tables.push((database.to_owned(), table.to_owned()));
                hooked.tables.len() - 1
            });
            hooked.rows.push((at, action == Action::SQLITE_INSERT, number));
        }))?)
    }

    /// Rows that are about to get other numbers.
    pub fn moved(&self, table: &str, numbers: Vec<i64>) {
        let mut hooked = self.hooked();
        hooked.tables.push(("main".to_owned(), table.to_owned()));
        let at = hooked.tables.len() - 1;
        hooked.rows.extend(numbers.into_iter().map(|number| (at, false, number)));
    }

    /// What the statement has changed.
    pub fn taken(&self) -> BTreeMap<TableName, BTreeMap<i64, Touch>> {
        let Hooked { tables, rows, .. } = std::mem::take(&mut *self.hooked());
        let mut found: BTreeMap<TableName, BTreeMap<i64, Touch>> = BTreeMap::new();
        let mut parts: Vec<BTreeMap<i64, Touch>> = tables.iter().map(|_| BTreeMap::new()).collect();
        for (at, inserted, number) in rows {
            let setting = self.setting.as_ref().filter(|setting| setting.table.eq_ignore_ascii_case(&tables[at].1));
            let columns = setting.map_or(Columns::All, |setting| setting.columns.clone());
            let inserted = inserted || setting.is_some_and(|setting| setting.key);
            let touch = parts[at].entry(number).or_default();
            touch.inserted |= inserted;
            touch.columns = std::mem::take(&mut touch.columns).with(&columns);
            touch.context.clone_from(&self.context);
            touch.dirty = true;
        }
        for (table, part) in tables.into_iter().zip(parts) {
            found.entry(table).or_default().extend(part);
        }
        found
    }

    pub fn forget_statement(&self) {
        let mut hooked = self.hooked();
        hooked.rows.clear();
        hooked.tables.clear();
    }

    pub fn merge(&mut self, statement: BTreeMap<TableName, BTreeMap<i64, Touch>>) {
        for (table, rows) in statement {
            let own = self.touched.entry(table).or_default();
            for (number, touch) in rows {
                let known = own.entry(number).or_default();
                known.inserted |= touch.inserted;
                known.columns = std::mem::take(&mut known.columns).with(&touch.columns);
                known.context = touch.context;
                known.dirty = true;
            }
        }
    }

    /// Forgets the rows of a table that is emptied.
    pub fn forget(&mut self, table: &str) {
        self.touched.retain(|(_, own), _| !own.eq_ignore_ascii_case(table));
    }
}

/// The place of a table in SQLite's SQL: nothing for the session's own database.
pub fn place_of(database: &str) -> String {
    if database == "main" { String::new() } else { format!("{}.", quote(database)) }
}

/// The columns of a stored table that can be written, and the name of the row's number.
pub fn written_columns(connection: &Connection, table: &str) -> Result<(Vec<String>, &'static str), SqlError> {
    let mut statement = connection.prepare_cached("SELECT name FROM pragma_table_info(?1)")?;
    let names: Vec<String> = statement.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let number = row_number(names.iter().map(String::as_str));
    Ok((names, number))
}

/// SQLite's name for a row's number that no column has.
pub fn row_number<'n>(columns: impl Iterator<Item = &'n str> + Clone) -> &'static str {
    let taken = |name: &str| columns.clone().any(|column| column.eq_ignore_ascii_case(name));
    ["_rowid_", "rowid", "oid"].into_iter().find(|name| !taken(name)).unwrap_or("_rowid_")
}

/// Cells of one row, by its number.
pub fn cells(connection: &Connection, sql: &str, count: usize, number: i64) -> Result<Option<Vec<Stored>>, SqlError> {
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement
        .query_row([number], |row| (0..count).map(|at| row.get(at)).collect::<Result<Vec<Stored>, _>>())
        .optional()?)
}

/// Cells as bytes that are equal where the cells are.
pub fn bytes(cells: &[Stored]) -> Vec<u8> {
    let mut all = Vec::new();
    for cell in cells {
        let part = match cell {
            Stored::Null => Vec::new(),
            Stored::Integer(value) => value.to_be_bytes().to_vec(),
            Stored::Real(value) => value.to_be_bytes().to_vec(),
            Stored::Text(text) => text.clone().into_bytes(),
            Stored::Blob(blob) => blob.clone(),
        };
        all.push(u8::from(!matches!(cell, Stored::Null)));
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend(part);
    }
    all
}
