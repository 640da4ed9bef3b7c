//! SQL Server and what speaks its protocol: Azure SQL, RDS, Babelfish.

use std::time::Duration;

use crate::config::{Intent, Mode, SourceConfig};
use crate::connect::reach::Reach;
use crate::connect::retry::worth_retrying;
use crate::model::error::{Error, Kind, Result};
use crate::model::facts::Catalog;
use crate::model::position::Position;
use crate::model::schema::TableName;
use crate::plan::references::{self, Answer, Reference};
use crate::plan::self_test::SelfTest;
use crate::plan::{Finding, RunPlan, TablePlan};
use crate::rows::chunk::Chunk;
use crate::sources::{Changes, Gone, Source};

#[cfg(feature = "broken-decoders")]
mod broken;
mod catalog;
mod changes;
mod connect;
mod decode;
mod facts;
mod field;
mod planned;
mod precheck;
mod quote;
mod reader;
mod select;
pub mod self_test;
mod server_message;
mod snapshot;
mod stream;
mod transient;
pub mod types;
mod view_reads;
mod witness;

pub use changes::Unit;
pub use facts::ServerFacts;

use facts::NoSnapshots;
pub use field::column_type;
pub use reader::SqlServerReader;

/// A SQL Server database to read from.
#[derive(Debug)]
pub struct SqlServer {
    config: SourceConfig,
    stall_timeout: Duration,
    reach: Reach,
}

/// Catalog statements on servers with many thousands of tables take a while.
const CATALOG_TIMEOUT: Duration = Duration::from_mins(5);

/// For all foreign keys together: each run checks them first.
const REFERENCES_TIMEOUT: Duration = Duration::from_mins(1);

impl SqlServer {
    /// `outage`: how long the server may be away.
    pub fn new(config: SourceConfig, stall_timeout: Duration, outage: Duration) -> Self {
        Self { config, stall_timeout, reach: Reach::new(outage) }
    }

    /// `view`: the database snapshot to read from instead.
    async fn connect(&self, view: Option<&str>) -> Result<connect::Connection> {
        let opened = connect::connect(&self.config, view, self.stall_timeout).await;
        self.reach.judge(view.unwrap_or(&self.config.database), opened)
    }
}

impl Source for SqlServer {
    type Facts = ServerFacts;
    type Unit = Unit;
    type Reader = SqlServerReader;

    const VIEW: &'static str = "database snapshot";

    async fn facts(&self) -> Result<ServerFacts> {
        let mut facts = facts::read(&mut self.connect(None).await?).await?;
        // Only a readable secondary can be behind a listener that leads elsewhere.
        let may_be_routed = self.config.intent == Intent::ReadOnly && facts.read_only && facts.no_snapshots.is_none();
        if may_be_routed && facts::is_elsewhere(&facts, &mut self.connect(Some("master")).await?).await? {
            facts.no_snapshots = Some(NoSnapshots::Elsewhere);
        }
        Ok(facts)
    }

    async fn catalog(&self) -> Result<Catalog> {
        let mut connection = self.connect(None).await?;
        catalog::read(&mut connection, CATALOG_TIMEOUT).await
    }

    async fn reader(&self, view: Option<&str>) -> Result<SqlServerReader> {
        let connection = self.connect(view).await?;
        Ok(SqlServerReader::new(connection, self.stall_timeout))
    }

    async fn open_view(&self, name: &str, facts: &ServerFacts) -> Result<()> {
        self.create_snapshot(name, facts).await
    }

    async fn close_view(&self, name: &str) -> Result<()> {
        self.drop_snapshot(name).await
    }

    async fn views(&self, prefix: &str) -> Result<Vec<String>> {
        self.snapshots(prefix).await
    }

    fn precheck(&self, plan: &RunPlan, facts: &ServerFacts, unreadable: &[TableName]) -> Vec<Finding> {
        precheck::judge(plan, facts, unreadable)
    }

    async fn check_settings(&self, tables: &[TablePlan], facts: &ServerFacts) -> Result<Vec<Finding>> {
        let is_asked_for =
            |table: &TablePlan| table.filter.is_some() || table.mode.follows_changes() || view_reads::concerns(table);
        if !tables.iter().any(is_asked_for) {
            return Ok(Vec::new());
        }
        let mut connection = self.connect(None).await?;
        let mut refused = view_reads::judge(&mut connection, tables).await?;
        for table in tables {
            if table.mode == Mode::ChangeTracking
                && changes::tracking(&mut connection, table, CATALOG_TIMEOUT).await?.is_none()
            {
                refused.push(precheck::untracked(table, facts));
            }
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

    async fn self_test(&self, tables: &[TablePlan], facts: &ServerFacts) -> Result<SelfTest> {
        self_test::run(self, tables, facts.common.abilities).await
    }

    async fn check_references(&self, references: &[Reference]) -> Result<Vec<Finding>> {
        let ends = tokio::time::Instant::now() + REFERENCES_TIMEOUT;
        let mut findings = Vec::new();
        let mut connection = self.connect(None).await?;
        for (number, reference) in references.iter().enumerate() {
            // One that takes long leaves the others their share.
            let others = u32::try_from(references.len() - number).unwrap_or(u32::MAX);
            let left = ends.saturating_duration_since(tokio::time::Instant::now()) / others;
            let answer = match connect::rows(&mut connection, &select::differing(reference, "1 AS found"), left).await {
                Ok(found) if found.is_empty() => Answer::Holds,
                Ok(_) => Answer::Differs,
                Err(Error { kind: Kind::Timeout, .. }) => {
                    // The connection still waits for its answer; closing it ends the statement.
                    connection = self.connect(None).await?;
                    Answer::Unknown
                }
                Err(error) => {
                    tracing::warn!(error = error.chain(), "a foreign key could not be looked at");
                    Answer::Unknown
                }
            };
            findings.extend(references::judge(reference, answer, &select::differing(reference, "c.*")));
        }
        Ok(findings)
    }

    fn describe_read(&self, table: &TablePlan) -> String {
        select::chunk(table, &Chunk::whole())
    }

    fn whole(&self, table: &TablePlan) -> Option<Unit> {
        (table.chunks < 2 || table.chunk_key.is_empty()).then(|| Unit::Rows(Chunk::whole()))
    }

    fn range(&self, range: Chunk) -> Option<Unit> {
        Some(Unit::Rows(range))
    }

    fn changes(&self, table: &TablePlan, since: &Position) -> Option<Changes<Unit>> {
        match table.mode {
            Mode::Full | Mode::Compare => None,
            Mode::ChangeTracking => {
                Some(Changes { changed: Unit::Changed(since.version), gone: Gone::Keys(Unit::Gone(since.version)) })
            }
            Mode::RowVersion => {
                Some(Changes { changed: Unit::Versions(since.version), gone: Gone::Unless(Unit::Rows(Chunk::whole())) })
            }
        }
    }
}
