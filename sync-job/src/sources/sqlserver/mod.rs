//! SQL Server and what speaks its protocol: Azure SQL, RDS, Babelfish.

use std::time::Duration;

use crate::config::SourceConfig;
use crate::connect::retry::worth_retrying;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::facts::{Abilities, Catalog, SourceFacts};
use crate::model::schema::TableName;
use crate::plan::references::{Answer, Reference};
use crate::plan::self_test::SelfTest;
use crate::plan::{Finding, RunPlan, TablePlan};
use crate::rows::chunk::Chunk;
use crate::sources::Source;

#[cfg(feature = "broken-decoders")]
mod broken;
mod catalog;
mod connect;
mod decode;
mod planned;
mod precheck;
mod quote;
mod reader;
mod select;
mod self_test;
mod server_message;
mod stream;
mod types;
mod witness;

pub use reader::SqlServerReader;

/// A SQL Server database to read from.
#[derive(Debug)]
pub struct SqlServer {
    config: SourceConfig,
    stall_timeout: Duration,
}

/// Catalog statements on servers with many thousands of tables take a while.
const CATALOG_TIMEOUT: Duration = Duration::from_mins(5);
/// Making a database snapshot waits for a checkpoint.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_mins(10);

/// For all foreign keys together: each run checks them first.
const REFERENCES_TIMEOUT: Duration = Duration::from_mins(1);

/// `DATABASEPROPERTYEX` takes a database's name as it is; `HAS_PERMS_BY_NAME` takes a name apart at its points.
const FACTS: &str = "\
SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS version,
       CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS edition,
       DB_NAME() AS database_name, SUSER_SNAME() AS login_name,
       CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(128)) AS updateability,
       CAST(COLLATIONPROPERTY('Latin1_General_100_BIN2_UTF8', 'CodePage') AS int) AS utf8_code_page,
       CAST(HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), 'DATABASE', 'VIEW DEFINITION') AS int) AS view_definition";

const SNAPSHOT_STATE: &str = "\
SELECT CAST(snapshot_isolation_state AS int) AS state FROM sys.databases WHERE name = DB_NAME()";

const DATA_FILES: &str = "\
SELECT name AS file_name, physical_name FROM sys.database_files WHERE type_desc = N'ROWS'";

impl SqlServer {
    pub fn new(config: SourceConfig, stall_timeout: Duration) -> Self {
        Self { config, stall_timeout }
    }
}

impl Source for SqlServer {
    type Reader = SqlServerReader;

    async fn facts(&self) -> Result<SourceFacts> {
        let mut connection = connect::connect(&self.config, None).await?;
        let found = connect::rows(&mut connection, FACTS, CATALOG_TIMEOUT).await?;
        let row = found
            .first()
            .ok_or_else(|| Error::new(Side::Source, Kind::Statement, "the source told nothing of itself"))?;
        let fields = catalog::Fields::new("server's facts", row);
        let version = fields.text("version")?;
        let edition = fields.optional_text("edition")?.unwrap_or_default();
        let major_version = version.split('.').next().and_then(|major| major.parse().ok());
        // Azure SQL says 12 for ever, and knows what the latest version knows.
        let utf8 = fields.optional_int("utf8_code_page")? == Some(witness::UTF8);
        let mut facts = SourceFacts {
            major_version,
            abilities: Abilities { utf8, long_hash: utf8 || major_version >= Some(witness::LONG_HASH_SINCE) },
            version: format!("SQL Server {version} {edition}").trim_end().to_owned(),
            database: fields.text("database_name")?,
            read_only: fields.optional_text("updateability")?.as_deref() == Some("READ_ONLY"),
            login: fields.text("login_name")?,
            sees_definitions: fields.optional_int("view_definition")?.map(|held| held == 1),
            snapshot_allowed: None,
            data_files: Vec::new(),
        };
        if let Some(found) = connect::optional_rows(&mut connection, SNAPSHOT_STATE, CATALOG_TIMEOUT).await? {
            let state =
                found.first().map(|row| catalog::Fields::new("state of the database", row).optional_int("state"));
            facts.snapshot_allowed = state.transpose()?.flatten().map(|state| state == 1);
        }
        if let Some(found) = connect::optional_rows(&mut connection, DATA_FILES, CATALOG_TIMEOUT).await? {
            let file = |row| {
                let fields = catalog::Fields::new("database's files", row);
                let path = fields.optional_text("physical_name")?;
                path.map(|path| fields.text("file_name").map(|name| (name, path))).transpose()
            };
            // A snapshot needs all of them.
            let files: Vec<Option<_>> = found.iter().map(file).collect::<Result<_>>()?;
            facts.data_files = files.into_iter().collect::<Option<_>>().unwrap_or_default();
        }
        Ok(facts)
    }

    async fn catalog(&self) -> Result<Catalog> {
        let mut connection = connect::connect(&self.config, None).await?;
        catalog::read(&mut connection, CATALOG_TIMEOUT).await
    }

    async fn reader(&self, snapshot: Option<&str>) -> Result<SqlServerReader> {
        let connection = connect::connect(&self.config, snapshot).await?;
        Ok(SqlServerReader::new(connection, self.stall_timeout))
    }

    async fn create_snapshot(&self, name: &str, facts: &SourceFacts) -> Result<()> {
        let files: Vec<String> = facts
            .data_files
            .iter()
            .map(|(file, path)| {
                format!(
                    "(NAME = {}, FILENAME = {})",
                    quote::identifier(file),
                    quote::literal(&format!("{path}.{name}.ss"))
                )
            })
            .collect();
        let sql = format!(
            "CREATE DATABASE {} ON {} AS SNAPSHOT OF {}",
            quote::identifier(name),
            files.join(", "),
            quote::identifier(&facts.database)
        );
        let mut connection = connect::connect(&self.config, None).await?;
        connect::execute(&mut connection, &sql, SNAPSHOT_TIMEOUT).await
    }

    async fn drop_snapshot(&self, name: &str) -> Result<()> {
        let mut connection = connect::connect(&self.config, None).await?;
        let sql = format!(
            "IF EXISTS (SELECT name FROM sys.databases WHERE name = {} AND source_database_id IS NOT NULL) DROP DATABASE {}",
            quote::literal(name),
            quote::identifier(name)
        );
        connect::execute(&mut connection, &sql, SNAPSHOT_TIMEOUT).await
    }

    async fn snapshots(&self, prefix: &str) -> Result<Vec<String>> {
        let mut connection = connect::connect(&self.config, None).await?;
        // A job of the same name may copy another database of this server.
        let sql = "SELECT name AS database_name FROM sys.databases WHERE source_database_id = DB_ID()";
        let found = connect::rows(&mut connection, sql, CATALOG_TIMEOUT).await?;
        let name = |row| catalog::Fields::new("database snapshots", row).text("database_name");
        let names: Vec<String> = found.iter().map(name).collect::<Result<_>>()?;
        Ok(names.into_iter().filter(|name| name.starts_with(prefix)).collect())
    }

    fn precheck(&self, plan: &RunPlan, facts: &SourceFacts, unreadable: &[TableName]) -> Vec<Finding> {
        precheck::judge(plan, facts, unreadable)
    }

    async fn check_filters(&self, tables: &[TablePlan]) -> Result<Vec<Finding>> {
        let mut refused = Vec::new();
        if tables.iter().all(|table| table.filter.is_none()) {
            return Ok(refused);
        }
        let mut connection = connect::connect(&self.config, None).await?;
        for table in tables {
            let Some(sql) = select::nothing_filtered(table) else { continue };
            match connect::rows(&mut connection, &sql, CATALOG_TIMEOUT).await {
                Ok(_) => {}
                Err(error) if worth_retrying(error.kind) => return Err(error),
                Err(error) => {
                    let problem = error.source.map_or_else(|| error.message.to_string(), |cause| cause.to_string());
                    refused.push(precheck::refused_filter(table, &problem));
                }
            }
        }
        Ok(refused)
    }

    async fn self_test(&self, tables: &[TablePlan], facts: &SourceFacts) -> Result<SelfTest> {
        self_test::run(self, tables, facts.abilities).await
    }

    async fn check_references(&self, references: &[Reference]) -> Result<Vec<Answer>> {
        let ends = tokio::time::Instant::now() + REFERENCES_TIMEOUT;
        let mut answers = Vec::new();
        let mut connection = connect::connect(&self.config, None).await?;
        for (number, reference) in references.iter().enumerate() {
            // One that takes long leaves the others their share.
            let others = u32::try_from(references.len() - number).unwrap_or(u32::MAX);
            let left = ends.saturating_duration_since(tokio::time::Instant::now()) / others;
            match connect::rows(&mut connection, &select::differing(reference, "1 AS found"), left).await {
                Ok(found) => answers.push(if found.is_empty() { Answer::Holds } else { Answer::Differs }),
                Err(Error { kind: Kind::Timeout, .. }) => {
                    answers.push(Answer::Unknown);
                    // The connection still waits for its answer; closing it ends the statement.
                    connection = connect::connect(&self.config, None).await?;
                }
                Err(error) => {
                    tracing::warn!(error = error.chain(), "a foreign key could not be looked at");
                    answers.push(Answer::Unknown);
                }
            }
        }
        Ok(answers)
    }

    fn query_of(&self, reference: &Reference) -> String {
        select::differing(reference, "c.*")
    }

    fn select(&self, table: &TablePlan, chunk: &Chunk) -> String {
        select::chunk(table, chunk)
    }
}
