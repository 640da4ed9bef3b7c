//! What is known of both servers before anything is planned.

use super::schema::{SourceTable, TableName};

/// What is known of the source server and database before any table is read.
#[derive(Debug, Clone)]
pub struct SourceFacts {
    /// Product and version for people.
    pub version: String,
    pub major_version: Option<u32>,
    /// What the witness may ask it for.
    pub abilities: Abilities,
    pub database: String,
    /// `ALLOW_SNAPSHOT_ISOLATION` is on; `None` where it cannot be told.
    pub snapshot_allowed: Option<bool>,
    pub read_only: bool,
    pub login: String,
    /// It holds VIEW DEFINITION on the database: without that, policies that filter rows are not shown to it, nor tables that it
    /// holds no permission on. `None` where it cannot be told.
    pub sees_definitions: Option<bool>,
    /// The database's logical files, needed to make a database snapshot of it.
    pub data_files: Vec<(String, String)>,
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

/// Facts of the catalog that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingFact {
    /// Such as `masked columns`.
    pub what: &'static str,
    /// In the server's words.
    pub why: String,
    /// The login may not read them. Otherwise the server has none, most likely.
    pub forbidden: bool,
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
