//! Names, columns, keys and indexes, as the source has them.

use super::logical::{LogicalType, Unmapped};
use super::loss::PlannedLoss;
use super::read::ReadPlan;

/// `schema.name`, spelt as in the database that has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct TableName {
    pub schema: String,
    pub name: String,
}

impl TableName {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Start and step of an identity column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub seed: i128,
    pub increment: i128,
}

/// What a column holds, and how the source reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnType {
    pub holds: Result<LogicalType, Unmapped>,
    pub read: ReadPlan,
    /// What is lost before a value leaves the source.
    pub losses: Vec<PlannedLoss>,
    /// Ranges of its values mean the same to the source and to a literal.
    pub ranges: bool,
    /// What else can be read of it, into a column beside.
    pub companion: Option<Companion>,
}

/// A second column that keeps what the column's own type on the target loses.
#[derive(Debug, Clone, PartialEq)]
pub struct Companion {
    pub kind: CompanionKind,
    pub holds: LogicalType,
    pub read: ReadPlan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompanionKind {
    /// The offset of an instant, in minutes.
    Offset,
    /// The name of a variant's own type.
    VariantType,
}

/// A column of the source.
#[expect(clippy::struct_excessive_bools, reason = "each is a column of a catalog view")]
#[derive(Debug, Clone)]
pub struct SourceColumn {
    pub name: String,
    /// The source's number of it in its table, which it gives to no other: a column that is dropped and added again has another.
    pub id: i64,
    pub column_type: ColumnType,
    /// The type as declared, for people: `dbo.Phone (nvarchar(20))`.
    pub declared: String,
    pub nullable: bool,
    pub collation: Option<String>,
    /// The server does not show its alias type to this login; it is copied by its base type, which holds the same values.
    pub by_base_type: bool,
    /// It is an identity column.
    pub counts_up: bool,
    /// `None` for an identity column whose seed could not be read.
    pub identity: Option<Identity>,
    pub computed: bool,
    /// The source gives it another value with each change of its row, above all that it gave before.
    pub counts_changes: bool,
    /// Period columns of a temporal table declared HIDDEN.
    pub hidden: bool,
    /// The server keeps it to itself, as the numbers behind a graph's nodes and edges: nobody can read it.
    pub internal: bool,
    /// What this login sees is a mask, not the value, or may be one.
    pub masked: bool,
    /// Always Encrypted: what is stored can only be read with the column's key.
    pub encrypted: bool,
    pub has_default: bool,
}

/// A column of an index, with its direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexColumn {
    pub name: String,
    pub descending: bool,
}

/// What an index is to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    PrimaryKey,
    UniqueConstraint,
    Unique,
    Plain,
}

/// How an index is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexStructure {
    /// A tree that holds the rows themselves.
    Clustered,
    /// A tree beside the rows.
    Tree,
    /// Another one, in the source's words: `NONCLUSTERED COLUMNSTORE`, `XML`, `SPATIAL`, …
    Other(String),
}

/// An index of the source.
#[derive(Debug, Clone)]
pub struct SourceIndex {
    pub name: String,
    pub kind: IndexKind,
    pub structure: IndexStructure,
    pub columns: Vec<IndexColumn>,
    pub included: Vec<String>,
    /// The predicate of a filtered index, in the source's language.
    pub filter: Option<String>,
    pub disabled: bool,
}

impl SourceIndex {
    /// Whether the index is an ordinary b-tree over all rows.
    pub fn is_plain_tree(&self) -> bool {
        !matches!(self.structure, IndexStructure::Other(_)) && self.filter.is_none()
    }
}

/// A foreign key of the source.
#[derive(Debug, Clone)]
pub struct SourceForeignKey {
    pub name: String,
    pub columns: Vec<String>,
    /// `None` where the server does not show the table to this login.
    pub referenced: Option<TableName>,
    pub referenced_columns: Vec<String>,
    /// `NO_ACTION`, `CASCADE`, `SET_NULL`, `SET_DEFAULT`.
    pub on_delete: String,
    pub on_update: String,
    /// Disabled, or never checked against the rows (`WITH NOCHECK`).
    pub untrusted: bool,
}

/// Whether it is a table or a view that is copied as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    Table,
    View,
}

/// Names of what the catalog lists of a table, asked without joins.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    pub columns: Vec<String>,
    pub indexes: Vec<String>,
    pub foreign_keys: Vec<String>,
}

/// A table or view of the source.
#[derive(Debug, Clone)]
pub struct SourceTable {
    pub name: TableName,
    pub kind: SourceKind,
    pub columns: Vec<SourceColumn>,
    pub indexes: Vec<SourceIndex>,
    pub foreign_keys: Vec<SourceForeignKey>,
    pub listed: Listed,
    /// What is listed of it and could not be read, in words. Such a table must not be copied.
    pub lacking: Vec<String>,
    /// From partition statistics; `None` for views and where the login may not see them.
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
    /// `SYSTEM_VERSIONED_TEMPORAL_TABLE`, `HISTORY_TABLE`.
    pub temporal: Option<String>,
    /// An enabled security policy filters this table's rows.
    pub row_level_security: bool,
    /// It takes no part in transactions of several statements, and one statement sees one state of it: In-Memory OLTP.
    pub outside_transactions: bool,
    /// A view of a database with columns whose masks this login does not see through: it may show the masks, and no catalog says so.
    /// One of these columns.
    pub may_show_masks: Option<String>,
}

impl SourceTable {
    pub fn column(&self, name: &str) -> Option<&SourceColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub fn primary_key(&self) -> Option<&SourceIndex> {
        self.indexes.iter().find(|index| index.kind == IndexKind::PrimaryKey)
    }
}
