//! Databases and tables in memory. Rows are shared, so that a snapshot of a whole database is a few pointers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ast::{Expr, Query};
use crate::types::Declared;
use crate::value::{Collation, Value};

pub type Row = Box<[Value<'static>]>;

/// A column of a table.
#[derive(Debug, Clone)]
pub struct TableColumn {
    pub name: String,
    pub declared: Declared,
    pub vector_dimensions: Option<u16>,
    pub nullable: bool,
    pub identity: Option<(i64, i64)>,
    pub default: Option<(Expr, String)>,
    pub computed: Option<Expr>,
    pub masked: bool,
    pub encrypted: bool,
    pub hidden: bool,
}

/// An index, known to the catalog; unique ones are enforced.
#[derive(Debug, Clone)]
pub struct Index {
    pub id: i32,
    pub name: String,
    pub primary_key: bool,
    pub constraint: bool,
    pub unique: bool,
    pub structure: String,
    /// Column positions and whether they descend.
    pub columns: Vec<(usize, bool)>,
    pub included: Vec<usize>,
    pub filter: Option<String>,
}

#[derive(Debug, Clone)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<usize>,
    pub referenced: (String, String),
    pub referenced_columns: Vec<String>,
    pub on_delete: String,
    pub on_update: String,
}

#[derive(Debug, Clone)]
pub struct Table {
    pub id: i32,
    pub schema: String,
    pub name: String,
    pub columns: Vec<TableColumn>,
    pub indexes: Vec<Index>,
    pub foreign_keys: Vec<ForeignKey>,
    pub rows: Arc<Vec<Row>>,
    pub next_identity: i64,
}

impl Table {
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|found| found.name.eq_ignore_ascii_case(column))
    }
}

#[derive(Debug, Clone)]
pub struct View {
    pub id: i32,
    pub schema: String,
    pub name: String,
    pub query: Query,
}

/// One database; cloning it is a snapshot.
#[derive(Debug, Clone)]
pub struct Database {
    pub name: String,
    pub schemas: Vec<String>,
    /// By lower-case schema and name.
    pub tables: BTreeMap<(String, String), Table>,
    pub views: BTreeMap<(String, String), View>,
    /// Alias types by lower-case name: schema, name, base.
    pub types: BTreeMap<String, (String, String, Declared, bool)>,
    pub snapshot_allowed: bool,
    pub snapshot_of: Option<String>,
    pub collation: Collation,
    next_object: i32,
    pub next_rowversion: u64,
}

impl Database {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            schemas: ["dbo", "guest", "sys"].map(str::to_owned).to_vec(),
            tables: BTreeMap::new(),
            views: BTreeMap::new(),
            types: BTreeMap::new(),
            snapshot_allowed: false,
            snapshot_of: None,
            collation: Collation::default(),
            next_object: 900,
            next_rowversion: 2001,
        }
    }

    pub fn new_id(&mut self) -> i32 {
        self.next_object += 1;
        self.next_object
    }

    pub fn key(schema: &str, name: &str) -> (String, String) {
        (schema.to_lowercase(), name.to_lowercase())
    }

    /// The position in `sys.schemas`, from 1.
    pub fn schema_id(&self, schema: &str) -> i32 {
        self.schemas.iter().position(|found| found.eq_ignore_ascii_case(schema)).map_or(0, |at| at as i32 + 1)
    }
}
