//! Names, columns, keys and indexes, as the source has them.

use crate::rows::text::CodePage;

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

/// Longest length of a variable-length type; characters are UTF-16 units or bytes as the type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    Limited(u16),
    Max,
}

/// A SQL Server type, alias types already resolved to their base type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceType {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Money,
    SmallMoney,
    Real,
    Float,
    Date,
    Time {
        digits: u8,
    },
    DateTime,
    SmallDateTime,
    DateTime2 {
        digits: u8,
    },
    DateTimeOffset {
        digits: u8,
    },
    Char {
        bytes: u16,
        code_page: CodePageOrName,
    },
    VarChar {
        bytes: Length,
        code_page: CodePageOrName,
    },
    Text {
        code_page: CodePageOrName,
    },
    NChar {
        units: u16,
    },
    NVarChar {
        units: Length,
    },
    NText,
    Binary {
        bytes: u16,
    },
    VarBinary {
        bytes: Length,
    },
    Image,
    UniqueIdentifier,
    Xml,
    RowVersion,
    SqlVariant,
    HierarchyId,
    Geometry,
    Geography,
    Json,
    Vector {
        dimensions: Option<u16>,
    },
    /// A CLR type that is none of the above.
    Clr(String),
    /// A type whose name nobody here knows.
    Unknown(String),
    /// A type that the server does not show to this login, with its id (`sys.types.user_type_id`).
    NotShown(i32),
}

/// A collation's code page, or why there is none.
#[derive(Debug, Clone)]
pub enum CodePageOrName {
    Known(CodePage),
    /// The collation's name and the number that the server gave, if any.
    Unknown {
        collation: String,
        number: Option<i32>,
    },
}

impl PartialEq for CodePageOrName {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(a), Self::Known(b)) => a == b,
            (Self::Unknown { collation: a, .. }, Self::Unknown { collation: b, .. }) => a == b,
            _ => false,
        }
    }
}

impl Eq for CodePageOrName {}

/// Start and step of an identity column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub seed: i128,
    pub increment: i128,
}

/// A column of the source.
#[derive(Debug, Clone)]
pub struct SourceColumn {
    pub name: String,
    pub source_type: SourceType,
    /// The type as declared, for people: `dbo.Phone (nvarchar(20))`.
    pub declared: String,
    pub nullable: bool,
    pub collation: Option<String>,
    /// The server does not show its alias type to this login; `source_type` is the base type, which holds the same values.
    pub by_base_type: bool,
    /// It is an identity column.
    pub counts_up: bool,
    /// `None` for an identity column whose seed could not be read.
    pub identity: Option<Identity>,
    pub computed: bool,
    /// Period columns of a temporal table declared HIDDEN.
    pub hidden: bool,
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

/// An index of the source.
#[derive(Debug, Clone)]
pub struct SourceIndex {
    pub name: String,
    pub kind: IndexKind,
    /// `CLUSTERED`, `NONCLUSTERED`, `NONCLUSTERED COLUMNSTORE`, `XML`, `SPATIAL`, …: only the first two are row indexes.
    pub structure: String,
    pub columns: Vec<IndexColumn>,
    pub included: Vec<String>,
    /// The predicate of a filtered index in T-SQL.
    pub filter: Option<String>,
    pub disabled: bool,
}

impl SourceIndex {
    /// Whether the index is an ordinary b-tree over all rows.
    pub fn is_plain_tree(&self) -> bool {
        matches!(self.structure.as_str(), "CLUSTERED" | "NONCLUSTERED") && self.filter.is_none()
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
    /// In-Memory OLTP, which takes no part in SNAPSHOT transactions.
    pub memory_optimized: bool,
    /// A view of a database with columns whose masks this login does not see through: it may show the masks, and no catalog says so.
    pub may_show_masks: bool,
}

impl SourceTable {
    pub fn column(&self, name: &str) -> Option<&SourceColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub fn primary_key(&self) -> Option<&SourceIndex> {
        self.indexes.iter().find(|index| index.kind == IndexKind::PrimaryKey)
    }
}
