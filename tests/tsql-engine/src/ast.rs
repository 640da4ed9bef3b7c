//! What the parser makes of a batch: the subset of T-SQL that the tests and the demo need.

use crate::value::{SqlType, Value};

/// `schema.name`, brackets removed; parts may be absent.
pub type Name = Vec<String>;

/// A type as written: `decimal(10,2)`, `varbinary(max)`, `dbo.Phone`.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeName {
    pub name: Name,
    pub arguments: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Column(Name),
    Variable(String),
    Literal(Value<'static>, SqlType),
    Null,
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    Cast {
        expr: Box<Expr>,
        to: TypeName,
        style: Option<u16>,
    },
    Case {
        operand: Option<Box<Expr>>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Call {
        name: String,
        arguments: Vec<Expr>,
    },
    /// `column.Method()` or `column.Property` of a CLR type.
    Method {
        on: Box<Expr>,
        name: String,
    },
    IsNull {
        expr: Box<Expr>,
        negated: bool,
    },
    In {
        expr: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    Exists {
        query: Box<Query>,
        negated: bool,
    },
    Scalar(Box<Query>),
    Like {
        expr: Box<Expr>,
        pattern: Box<Expr>,
        negated: bool,
    },
    Collate(Box<Expr>, String),
    RowNumber(Vec<(Expr, bool)>),
    /// The argument of `COUNT(*)`.
    Star,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Star(Option<String>),
    Expr(Expr, Option<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Relation {
    Table { name: Name, alias: Option<String> },
    Derived { query: Box<Query>, alias: String },
    Values { rows: Vec<Vec<Expr>>, alias: String, columns: Vec<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    Inner,
    Left,
    Cross,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    pub kind: JoinKind,
    pub relation: Relation,
    pub on: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    pub with: Vec<(String, Query)>,
    pub distinct: bool,
    pub top: Option<Expr>,
    pub items: Vec<Item>,
    pub from: Option<Relation>,
    pub joins: Vec<Join>,
    pub filter: Option<Expr>,
    pub group_by: Vec<Expr>,
    pub having: Option<Expr>,
    /// Further SELECTs of a `UNION ALL`.
    pub union: Vec<Query>,
    /// Expression and whether it descends.
    pub order_by: Vec<(Expr, bool)>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ColumnDefinition {
    pub name: String,
    pub type_name: Option<TypeName>,
    pub nullable: Option<bool>,
    pub identity: Option<(i64, i64)>,
    pub collation: Option<String>,
    pub default: Option<(Expr, String)>,
    pub computed: Option<Expr>,
    pub masked: bool,
    pub encrypted: bool,
    pub hidden: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct IndexDefinition {
    pub name: Option<String>,
    pub primary_key: bool,
    pub constraint: bool,
    pub unique: bool,
    pub structure: String,
    pub columns: Vec<(String, bool)>,
    pub included: Vec<String>,
    pub filter: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ForeignKeyDefinition {
    pub name: Option<String>,
    pub columns: Vec<String>,
    pub referenced: Name,
    pub referenced_columns: Vec<String>,
    pub on_delete: String,
    pub on_update: String,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct TableDefinition {
    pub name: Name,
    pub columns: Vec<ColumnDefinition>,
    pub indexes: Vec<IndexDefinition>,
    pub foreign_keys: Vec<ForeignKeyDefinition>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum InsertSource {
    Values(Vec<Vec<Expr>>),
    Query(Box<Query>),
    Defaults,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlterTable {
    AddColumn(ColumnDefinition),
    AlterColumn(ColumnDefinition),
    DropColumn(String),
    AddIndex(IndexDefinition),
    AddForeignKey(ForeignKeyDefinition),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    Select(Query),
    /// `SELECT @v = expr, …`, `SET @v = expr`, `DECLARE @v type = expr`.
    Assign {
        name: String,
        type_name: Option<TypeName>,
        value: Option<Expr>,
    },
    Insert {
        table: Name,
        columns: Vec<String>,
        source: InsertSource,
    },
    Update {
        table: Name,
        sets: Vec<(String, Expr)>,
        filter: Option<Expr>,
    },
    Delete {
        table: Name,
        filter: Option<Expr>,
    },
    Truncate(Name),
    CreateTable(TableDefinition),
    CreateIndex {
        table: Name,
        index: IndexDefinition,
    },
    CreateSchema(String),
    CreateType {
        name: Name,
        base: TypeName,
        nullable: bool,
    },
    CreateView {
        name: Name,
        query: Query,
    },
    CreateDatabase {
        name: String,
        snapshot_of: Option<String>,
    },
    AlterDatabase {
        name: String,
        option: String,
        on: bool,
    },
    AlterTable {
        table: Name,
        change: AlterTable,
    },
    Drop {
        kind: String,
        name: Name,
        if_exists: bool,
    },
    Begin,
    Commit,
    Rollback,
    /// `SET name value`: the option's words in upper case.
    SetOption {
        name: String,
        value: String,
    },
    Use(String),
    If {
        condition: Expr,
        then: Vec<Statement>,
        otherwise: Vec<Statement>,
    },
    While {
        condition: Expr,
        body: Vec<Statement>,
    },
    Block(Vec<Statement>),
    Print(Expr),
    WaitFor {
        milliseconds: u64,
    },
    Raise {
        message: String,
        number: u32,
        class: u8,
        state: u8,
    },
}
