//! Statements that define things.

use sqlparser::ast::Expr;

use crate::permissions::Securable;

/// A column as CREATE TABLE or ALTER TABLE writes it.
#[derive(Debug, Clone, Default)]
pub struct ColumnDef {
    pub name: String,
    pub type_text: String,
    pub collation: Option<String>,
    pub nullable: Option<bool>,
    /// Seed and increment; a decimal's may be beyond bigint.
    pub identity: Option<(i128, i128)>,
    pub default: Option<(Option<String>, String)>,
    pub computed: Option<String>,
    pub persisted: bool,
    pub masked: Option<String>,
    pub generated: i64,
    pub hidden: bool,
    /// What it is to a graph; 0 is nothing.
    pub graph: i64,
    pub sparse: bool,
    pub rowguid: bool,
    pub encrypted: bool,
}

/// A constraint of a table.
#[derive(Debug, Clone)]
pub enum Constraint {
    Key {
        name: Option<String>,
        primary: bool,
        clustered: Option<bool>,
        columns: Vec<(String, bool)>,
    },
    Foreign {
        name: Option<String>,
        columns: Vec<String>,
        table: (String, String),
        referenced: Vec<String>,
        on_delete: i64,
        on_update: i64,
    },
    Check {
        name: Option<String>,
        text: String,
    },
    Default {
        name: Option<String>,
        column: String,
        text: String,
    },
}

/// A statement that defines, changes or drops something.
#[derive(Debug, Clone)]
pub enum Ddl {
    CreateDatabase(String),
    CreateSnapshot {
        name: String,
        of: String,
    },
    DropDatabase(String, bool),
    AlterDatabase {
        name: String,
        option: String,
        on: bool,
    },
    TrackDatabase {
        name: String,
        change: crate::tracking_ddl::Change,
    },
    TrackTable {
        table: (String, String),
        on: bool,
        columns_updated: bool,
    },
    CreateSchema(String),
    CreateType {
        name: (String, String),
        base: String,
        nullable: bool,
        /// Of a CLR assembly.
        assembly: bool,
    },
    CreateTable {
        name: (String, String),
        columns: Vec<ColumnDef>,
        constraints: Vec<Constraint>,
        versioned: bool,
        history: Option<(String, String)>,
        memory: bool,
        graph: Option<crate::graph::Kind>,
    },
    CreateView {
        name: (String, String),
        columns: Vec<String>,
        text: String,
    },
    CreateIndex {
        name: String,
        table: (String, String),
        kind: i64,
        unique: bool,
        columns: Vec<(String, bool)>,
        include: Vec<String>,
        filter: Option<String>,
    },
    AddColumns {
        table: (String, String),
        columns: Vec<ColumnDef>,
        constraints: Vec<Constraint>,
    },
    AlterColumn {
        table: (String, String),
        column: ColumnDef,
    },
    SetVersioning {
        table: (String, String),
        on: bool,
        history: Option<(String, String)>,
    },
    DropPeriod((String, String)),
    DropColumn {
        table: (String, String),
        column: String,
    },
    DropConstraint {
        table: (String, String),
        name: String,
    },
    Drop {
        kind: String,
        names: Vec<(String, String)>,
        if_exists: bool,
    },
    DropIndex {
        name: String,
        table: (String, String),
    },
    Truncate((String, String)),
    CreateLogin {
        name: String,
        password: Expr,
    },
    CreateUser {
        name: String,
        login: String,
    },
    Permission {
        deny: bool,
        revoke: bool,
        permission: String,
        on: Securable,
        grantee: String,
    },
    CreatePolicy {
        name: (String, String),
        predicate: String,
        table: (String, String),
    },
}

impl Ddl {
    /// The stored names of the tables that it changes.
    pub fn tables(&self) -> Vec<String> {
        let one = |table: &(String, String)| vec![format!("{}.{}", table.0, table.1)];
        match self {
            Ddl::TrackTable { table, .. }
            | Ddl::CreateIndex { table, .. }
            | Ddl::AddColumns { table, .. }
            | Ddl::AlterColumn { table, .. }
            | Ddl::SetVersioning { table, .. }
            | Ddl::DropColumn { table, .. }
            | Ddl::DropConstraint { table, .. }
            | Ddl::DropIndex { table, .. }
            | Ddl::DropPeriod(table)
            | Ddl::Truncate(table) => one(table),
            Ddl::Drop { names, .. } => names.iter().flat_map(one).collect(),
            _ => Vec::new(),
        }
    }
}
