//! What is known of both servers before anything is planned.

use super::schema::{SourceTable, TableName};

/// What is known of the source server and database before any table is read.
#[derive(Debug, Clone)]
pub struct SourceFacts {
    /// Product and version for people.
    pub version: String,
    /// What the witness may ask it for.
    pub abilities: Abilities,
    pub database: String,
    pub login: String,
    /// The source shows it every table and policy. Where it does not, policies that filter rows go unnoticed, and so do tables that
    /// the login holds no permission on. `None` where it cannot be told.
    pub sees_definitions: Option<bool>,
}

impl AsRef<SourceFacts> for SourceFacts {
    fn as_ref(&self) -> &SourceFacts {
        self
    }
}

/// What a server can compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// It knows UTF-8 collations (SQL Server 2019, Azure SQL), so that text can be hashed in the target's encoding.
    pub utf8: bool,
    /// Its hash takes values of any length (SQL Server 2016).
    pub long_hash: bool,
}

/// The source's tables, and which facts could not be had.
#[derive(Debug, Default)]
pub struct Catalog {
    pub tables: Vec<SourceTable>,
    /// Facts that a run can do without and that could not be read.
    pub missing: Vec<MissingFact>,
    /// Tables that the login sees and may not read.
    pub unreadable: Vec<TableName>,
}

/// A fact that a run can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    IdentitySeeds,
    MaskedColumns,
    EncryptedColumns,
    HiddenColumns,
    GraphColumns,
    TemporalTables,
    RowLevelSecurity,
    MemoryOptimizedTables,
    TableSizes,
    RowCounts,
    Permissions,
}

impl Fact {
    /// Whether a copy may be another than it seems without it, and the report would not say so.
    pub fn is_weighty(self) -> bool {
        matches!(self, Fact::MaskedColumns | Fact::EncryptedColumns | Fact::RowLevelSecurity)
    }

    pub fn name(self) -> &'static str {
        match self {
            Fact::IdentitySeeds => "identity seeds",
            Fact::MaskedColumns => "masked columns",
            Fact::EncryptedColumns => "encrypted columns",
            Fact::HiddenColumns => "hidden columns",
            Fact::GraphColumns => "columns of graphs",
            Fact::TemporalTables => "temporal tables",
            Fact::RowLevelSecurity => "row-level security",
            Fact::MemoryOptimizedTables => "memory-optimized tables",
            Fact::TableSizes => "table sizes",
            Fact::RowCounts => "row counts",
            Fact::Permissions => "permissions",
        }
    }
}

/// A fact of the catalog that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingFact {
    pub what: Fact,
    /// In the server's words.
    pub why: String,
    pub cause: Absence,
}

/// Why a fact could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// The server does not know what was asked for, as older ones do: it has nothing of the kind.
    Unknown,
    /// The login may not read it, or the server failed: what is not seen may be there.
    Unseen,
}

/// What is known of the target server before anything is planned.
#[derive(Debug, Clone)]
pub struct TargetFacts {
    /// Product and version for people.
    pub version: String,
    /// What makes it unusable, in words, with the remedy.
    pub problems: Vec<(String, String)>,
    /// What costs something but does not stop a run, with the remedy.
    pub warnings: Vec<(String, String)>,
}
