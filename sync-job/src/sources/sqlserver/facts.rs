//! What the server says of itself and of the database.

use super::catalog::Fields;
use super::connect::{self, Connection};
use super::{CATALOG_TIMEOUT, witness};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::facts::{Abilities, SourceFacts};

/// `DATABASEPROPERTYEX` takes a database's name as it is; `HAS_PERMS_BY_NAME` takes a name apart at its points.
const FACTS: &str = "\
SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS version,
       CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS edition,
       DB_NAME() AS database_name, SUSER_SNAME() AS login_name,
       CAST(SERVERPROPERTY('EngineEdition') AS int) AS engine_edition,
       CAST(SERVERPROPERTY('ServerName') AS nvarchar(128)) AS server_name, CAST(DB_ID(N'rdsadmin') AS int) AS rdsadmin,
       CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(128)) AS updateability,
       CAST(COLLATIONPROPERTY('Latin1_General_100_BIN2_UTF8', 'CodePage') AS int) AS utf8_code_page,
       CAST(HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), 'DATABASE', 'VIEW DEFINITION') AS int) AS view_definition";

const SNAPSHOT_STATE: &str = "\
SELECT CAST(snapshot_isolation_state AS int) AS state FROM sys.databases WHERE name = DB_NAME()";

const DATA_FILES: &str = "\
SELECT name AS file_name, physical_name FROM sys.database_files WHERE type_desc = N'ROWS'";

const SERVER: &str = "SELECT CAST(SERVERPROPERTY('ServerName') AS nvarchar(128)) AS server_name";

/// Why no database snapshot can be read from, whatever the login may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSnapshots {
    /// Azure SQL Database, its Managed Instance, Fabric: `EngineEdition` 5, 8 and 12 ("SERVERPROPERTY").
    Azure,
    /// Amazon RDS keeps CREATE DATABASE … AS SNAPSHOT from its users; it has a database of its own by which it is known.
    Rds,
    /// A listener leads to a secondary replica for the database, and to another server for a snapshot of it, which belongs to no availability
    /// group.
    Elsewhere,
}

/// What is known of a SQL Server beside what every source tells.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    pub common: SourceFacts,
    pub major_version: Option<u32>,
    /// `ALLOW_SNAPSHOT_ISOLATION` is on; `None` where it cannot be told.
    pub snapshot_allowed: Option<bool>,
    pub read_only: bool,
    pub no_snapshots: Option<NoSnapshots>,
    server: Option<String>,
    /// The database's logical files, needed to make a database snapshot of it.
    pub data_files: Vec<(String, String)>,
}

impl AsRef<SourceFacts> for ServerFacts {
    fn as_ref(&self) -> &SourceFacts {
        &self.common
    }
}

/// Asks over a connection to the database.
pub(super) async fn read(connection: &mut Connection) -> Result<ServerFacts> {
    let found = connect::rows(connection, FACTS, CATALOG_TIMEOUT).await?;
    let row =
        found.first().ok_or_else(|| Error::new(Side::Source, Kind::Statement, "the source told nothing of itself"))?;
    let fields = Fields::new("server's facts", row);
    let version = fields.text("version")?;
    let edition = fields.optional_text("edition")?.unwrap_or_default();
    let major_version = version.split('.').next().and_then(|major| major.parse().ok());
    // Azure SQL says 12 for ever, and knows what the latest version knows.
    let utf8 = fields.optional_int("utf8_code_page")? == Some(witness::UTF8);
    let common = SourceFacts {
        abilities: Abilities { utf8, long_hash: utf8 || major_version >= Some(witness::LONG_HASH_SINCE) },
        version: format!("SQL Server {version} {edition}").trim_end().to_owned(),
        database: fields.text("database_name")?,
        login: fields.text("login_name")?,
        sees_definitions: fields.optional_int("view_definition")?.map(|held| held == 1),
    };
    let read_only = fields.optional_text("updateability")?.as_deref() == Some("READ_ONLY");
    let no_snapshots = match fields.optional_int("engine_edition")? {
        Some(5 | 8 | 12) => Some(NoSnapshots::Azure),
        _ => fields.optional_int("rdsadmin")?.map(|_| NoSnapshots::Rds),
    };
    let server = fields.optional_text("server_name")?;
    let mut facts = ServerFacts {
        common,
        major_version,
        snapshot_allowed: None,
        read_only,
        no_snapshots,
        server,
        data_files: Vec::new(),
    };
    if let Some(found) = connect::optional_rows(connection, SNAPSHOT_STATE, CATALOG_TIMEOUT).await? {
        let state = found.first().map(|row| Fields::new("state of the database", row).optional_int("state"));
        facts.snapshot_allowed = state.transpose()?.flatten().map(|state| state == 1);
    }
    if let Some(found) = connect::optional_rows(connection, DATA_FILES, CATALOG_TIMEOUT).await? {
        let file = |row| {
            let fields = Fields::new("database's files", row);
            let path = fields.optional_text("physical_name")?;
            path.map(|path| fields.text("file_name").map(|name| (name, path))).transpose()
        };
        // A snapshot needs all of them.
        let files: Vec<Option<_>> = found.iter().map(file).collect::<Result<_>>()?;
        facts.data_files = files.into_iter().collect::<Option<_>>().unwrap_or_default();
    }
    Ok(facts)
}

/// Compares where a connection to `master` ended with where one to the database did: a snapshot would be looked for there.
pub(super) async fn is_elsewhere(facts: &ServerFacts, master: &mut Connection) -> Result<bool> {
    let found = connect::rows(master, SERVER, CATALOG_TIMEOUT).await?;
    let server = found.first().map(|row| Fields::new("server's name", row).optional_text("server_name")).transpose()?;
    Ok(server.flatten().is_some_and(|server| facts.server.as_ref().is_some_and(|own| *own != server)))
}
