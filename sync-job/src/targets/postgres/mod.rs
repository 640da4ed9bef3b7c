//! PostgreSQL 14 and later, Aurora included.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sqlx::postgres::PgConnection;

use crate::config::TargetConfig;
use crate::connect::reach::Reach;
use crate::connect::retry;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::facts::TargetFacts;
use crate::model::run_state::{ChunkRecord, CopiedTable, LastRun, OpenRun};
use crate::model::schema::TableName;
use crate::model::state::{Remembered, TableState};
use crate::plan::{ColumnPlan, Dialect, Finding, InvisibleSessions, NotCreated, SwapMethod, TablePlan, TargetTable};
use crate::proof::slices::{HashedRow, Part, Slices};
use crate::proof::witness::{Answer, Plan, Scope};
use crate::rows::digest::{TableDigest, hash_bytes};
use crate::targets::chunk_log::log;
use crate::targets::encode::copy_binary::CopyEncoder;
use crate::targets::{Applied, ChangeSet, ChunkLoader, LeftLoad, Staging, SwapItem, Target};

mod apply;
mod chunk_log;
mod connect;
mod dependents;
mod dialect;
mod hashes;
mod in_place;
mod indexes;
mod inspect;
mod lease;
mod load;
mod permissions;
mod preserved;
mod publications;
mod quote;
mod row;
mod row_size;
mod runs;
mod server_message;
mod sessions;
mod settings;
mod slots;
mod sql;
mod sqlstate;
mod state;
mod swap;
mod witness;

pub use dialect::PostgresDialect;

use connect::{change, close, connect, execute, only_row, only_row_where, rows};
use settings::WITH_EXTENSIONS;

/// `hash_record_extended` came with this version.
const OLDEST_VERSION: i32 = 140_000;
/// Staging tables of every run start with this.
const PREFIX: &str = "stopgap_";

/// Held while a schema is made: IF NOT EXISTS is no help where two sessions make the same one at once.
const SCHEMA_LOCK: i64 = 0x0053_746f_7067_6170;

/// A PostgreSQL database to write to.
#[derive(Debug, Clone)]
pub struct Postgres {
    config: TargetConfig,
    job: String,
    run_id: String,
    /// Tells this job's staging tables and its lease from other jobs'.
    job_hash: u32,
    application_name: String,
    reach: Arc<Reach>,
    /// Whether the run is written down as the job's current one.
    is_remembered: Arc<AtomicBool>,
}

impl Postgres {
    pub fn new(config: TargetConfig, job: &str, run_id: &str) -> Self {
        let reach = Arc::new(Reach::new(config.outage));
        Self {
            config,
            reach,
            job: job.to_owned(),
            run_id: run_id.to_owned(),
            job_hash: hash_bytes(job.as_bytes()) as u32,
            application_name: format!("stopgap/{job}"),
            is_remembered: Arc::default(),
        }
    }

    fn prefix(&self) -> String {
        format!("{PREFIX}{:08x}_", self.job_hash)
    }

    /// Staging tables of this run start with this.
    fn own_prefix(&self) -> String {
        format!("{}{:08x}_", self.prefix(), hash_bytes(self.run_id.as_bytes()) as u32)
    }

    async fn connect(&self) -> Result<PgConnection> {
        let opened = connect(&self.config, &self.application_name).await;
        self.reach.judge(&self.config.database, opened)
    }

    /// Runs statements over a connection of their own.
    async fn run(&self, statements: &str) -> Result<()> {
        let mut connection = self.connect().await?;
        let result = change(&mut connection, statements).await;
        close(connection).await;
        result
    }
}

/// What is only said to people is left unsaid where the server will not tell it to this login.
fn or_nothing<F: Default>(findings: Result<F>) -> Result<F> {
    findings.or_else(|error| {
        if retry::worth_retrying(error.kind) {
            return Err(error);
        }
        tracing::warn!(error = error.chain(), "the plan goes without what this would have told");
        Ok(F::default())
    })
}

/// Makes a schema that is not there. IF NOT EXISTS asks for the right to make schemas even where there is nothing to make.
async fn make_schema(connection: &mut PgConnection, schema: &str) -> Result<()> {
    let query = format!("SELECT 1 FROM pg_namespace WHERE nspname = {}", quote::literal(schema));
    if !rows(connection, &query).await?.is_empty() {
        return Ok(());
    }
    let schema = quote::identifier(schema);
    execute(connection, &format!("BEGIN; SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")).await?;
    change(connection, &format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await?;
    execute(connection, "COMMIT").await
}

/// Whether a relation's rows are in its partitions. The job makes none such, but `verify` looks at whatever is there.
async fn is_partitioned(connection: &mut PgConnection, relation: &TableName) -> Result<bool> {
    let kind = format!(
        "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass({})",
        quote::literal(&quote::qualified(relation))
    );
    rows(connection, &kind).await?.first().map_or(Ok(false), |row| row.value(0))
}

/// The digest of a relation's columns, over a given connection (and so inside its transaction).
async fn digest_of(
    connection: &mut PgConnection,
    columns: impl IntoIterator<Item = &ColumnPlan>,
    relation: &TableName,
) -> Result<TableDigest> {
    let partitioned = is_partitioned(connection, relation).await?;
    digest_by(connection, &sql::digest(columns, relation, partitioned), "", relation).await
}

/// As [`digest_of`], of the rows of a table that fulfil a condition.
async fn digest_where(connection: &mut PgConnection, table: &TablePlan, condition: &str) -> Result<TableDigest> {
    let query = sql::digest(&table.columns, &table.target, false);
    digest_by(connection, &query, &format!(" WHERE {condition}"), &table.target).await
}

/// `condition`: with its WHERE.
async fn digest_by(
    connection: &mut PgConnection,
    query: &str,
    condition: &str,
    relation: &TableName,
) -> Result<TableDigest> {
    let none = || Error::new(Side::Target, Kind::Internal, format!("no digest came back for {relation}"));
    let row = only_row_where(connection, query, condition).await?;
    let (rows, sum): (i64, String) = (row.value(0)?, row.value(1)?);
    Ok(TableDigest { rows: rows as u64, sum: sum.parse().map_err(|_| none())? })
}

impl Target for Postgres {
    type Encoder = CopyEncoder;
    type Lease = lease::Lease;
    type Loader = ChunkLoader;

    fn dialect(&self) -> &'static dyn Dialect {
        &PostgresDialect
    }

    async fn facts(&self) -> Result<TargetFacts> {
        let mut connection = self.connect().await?;
        let row = only_row(
            &mut connection,
            "SELECT current_setting('server_version_num')::int4 AS number, current_setting('server_version') AS version, \
             pg_is_in_recovery() AS reader, current_setting('server_encoding') AS encoding",
        )
        .await?;
        close(connection).await;
        let version: String = row.value("version")?;
        let encoding: String = row.value("encoding")?;
        let mut problems = Vec::new();
        if row.value::<i32, _>("number")? < OLDEST_VERSION {
            problems.push((format!("PostgreSQL {version} is too old"), "Version 14 or later is needed.".to_owned()));
        }
        if row.value("reader")? {
            let message = format!("{} is a reader: it cannot be written to", self.config.host);
            problems.push((message, "Give the cluster's writer endpoint in target.host.".to_owned()));
        }
        if encoding != "UTF8" {
            let message = format!("the database's encoding is {encoding}");
            problems.push((message, "Create the target database with encoding UTF8.".to_owned()));
        }
        Ok(TargetFacts { version: format!("PostgreSQL {version}"), problems, warnings: Vec::new() })
    }

    async fn inspect(&self, names: &[TableName]) -> Result<HashMap<TableName, TargetTable>> {
        let mut connection = self.connect().await?;
        let found = inspect::tables(&mut connection, names).await?;
        close(connection).await;
        Ok(found)
    }

    async fn index_names(&self, tables: &[TableName]) -> Result<HashMap<TableName, Option<TableName>>> {
        let mut connection = self.connect().await?;
        let found = inspect::index_names(&mut connection, tables).await?;
        close(connection).await;
        Ok(found)
    }

    async fn invisible_sessions(&self) -> Result<Option<InvisibleSessions>> {
        let mut connection = self.connect().await?;
        let found = sessions::invisible(&mut connection).await?;
        close(connection).await;
        Ok(found)
    }

    async fn missing_permissions(&self, tables: &[TablePlan]) -> Result<Vec<(String, String)>> {
        let mut connection = self.connect().await?;
        let state = state::table(self);
        let follows = tables.iter().any(|table| table.mode.follows_changes());
        let state = follows.then_some(state.schema.as_str());
        let found = permissions::missing(&mut connection, tables, state).await?;
        close(connection).await;
        Ok(found)
    }

    async fn warnings(&self, tables: &[TablePlan]) -> Result<Vec<Finding>> {
        let mut connection = self.connect().await?;
        let mut found = publications::without_identity(&mut connection, tables).await?;
        found.extend(or_nothing(publications::of_new_tables(&mut connection, tables).await)?);
        found.extend(or_nothing(slots::of_readers(&mut connection, tables).await)?);
        found.extend(or_nothing(sessions::of_replicas(&mut connection, tables).await)?);
        close(connection).await;
        Ok(found)
    }

    async fn acquire_lease(&self) -> Result<lease::Lease> {
        lease::acquire(self).await
    }

    async fn clean(&self) -> Result<Vec<String>> {
        let mut connection = self.connect().await?;
        let query = format!(
            "SELECT n.nspname::text AS schema_name, c.relname::text AS table_name \
             FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'r' AND starts_with(c.relname, {}) AND NOT starts_with(c.relname, {}) \
             AND starts_with(coalesce(obj_description(c.oid, 'pg_class'), ''), {}) ORDER BY 1, 2",
            quote::literal(&self.prefix()),
            quote::literal(&self.own_prefix()),
            quote::literal(&lease::comment_of_job(self)),
        );
        let mut dropped = Vec::new();
        let found = rows(&mut connection, &query).await?;
        if !found.is_empty() {
            // A dead run's session may hold locks until the server notices.
            execute(&mut connection, "SET lock_timeout = '30s'").await?;
        }
        for row in found {
            let name = TableName::new(row.text("schema_name")?, row.text("table_name")?);
            // CASCADE reaches no further than foreign keys between staging tables of the same run.
            change(&mut connection, &format!("DROP TABLE IF EXISTS {} CASCADE", quote::qualified(&name))).await?;
            dropped.push(name.to_string());
        }
        close(connection).await;
        Ok(dropped)
    }

    fn staging(&self, table: &TablePlan, number: usize) -> Staging {
        Staging { name: TableName::new(&table.target.schema, format!("{}{number}", self.own_prefix())) }
    }

    fn encoder(&self, table: &TablePlan) -> CopyEncoder {
        CopyEncoder::new(table.columns.iter().map(|column| (column.mapping.stored, column.policy)))
    }

    async fn create_staging(&self, table: &TablePlan, staging: &Staging) -> Result<()> {
        let (name, log) = (quote::qualified(&staging.name), log(&staging.name));
        let mut connection = self.connect().await?;
        make_schema(&mut connection, &staging.name.schema).await?;
        let replaces = table.swap.method == SwapMethod::Rename;
        let storage = if replaces { preserved::storage(&mut connection, &table.target).await? } else { String::new() };
        // What a try left whose reply was lost goes first.
        let (create, comment) = (
            sql::create_staging(table, &staging.name, &storage),
            lease::staging_comment(self, &table.target.to_string()),
        );
        let statements = format!(
            "DROP TABLE IF EXISTS {name}, {own_log}; {create}; COMMENT ON TABLE {name} IS {comment}; \
             ALTER TABLE {name} SET (autovacuum_enabled = off); {create_log}; COMMENT ON TABLE {own_log} IS {comment}",
            own_log = quote::qualified(&log),
            create_log = chunk_log::create(&staging.name),
        );
        let result = async {
            execute(&mut connection, "BEGIN").await?;
            change(&mut connection, &statements).await?;
            if replaces {
                preserved::before_load(&mut connection, &table.target, &staging.name).await?;
            }
            publications::hide(&mut connection, &staging.name).await?;
            publications::hide(&mut connection, &log).await?;
            execute(&mut connection, "COMMIT").await
        }
        .await;
        close(connection).await;
        result
    }

    async fn end_load(&self, table: &TablePlan, staging: &Staging) -> Result<()> {
        if table.swap.method == SwapMethod::InPlace {
            // It never becomes the table itself, and the rows that it gives are proven once more.
            return Ok(());
        }
        let mut connection = self.connect().await?;
        let result = publications::unhide(&mut connection, &staging.name).await;
        close(connection).await;
        result
    }

    async fn drop_staging(&self, staging: &Staging) -> Result<()> {
        let timeout = self.config.lock_timeout.as_millis();
        let names = [&staging.name, &log(&staging.name)].map(quote::qualified).join(", ");
        self.run(&format!("SET lock_timeout = {timeout}; DROP TABLE IF EXISTS {names} CASCADE")).await
    }

    async fn open_chunk(&self, table: &TablePlan, staging: &Staging, number: usize) -> Result<ChunkLoader> {
        load::open(self, table, &staging.name, number).await
    }

    async fn digest(&self, table: &TablePlan, relation: &TableName) -> Result<TableDigest> {
        let mut connection = self.connect().await?;
        let digest = digest_of(&mut connection, &table.columns, relation).await;
        close(connection).await;
        digest
    }

    async fn slice_digests(&self, table: &TablePlan, keys: &TablePlan, slices: &Slices) -> Result<Vec<TableDigest>> {
        let mut connection = self.connect().await?;
        let digests = hashes::slice_digests(&mut connection, table, keys, slices).await;
        close(connection).await;
        digests
    }

    async fn row_hashes(&self, table: &TablePlan, keys: &TablePlan, part: &Part<'_>) -> Result<Vec<HashedRow>> {
        let mut connection = self.connect().await?;
        let found = hashes::row_hashes(&mut connection, table, keys, part).await;
        close(connection).await;
        found
    }

    async fn keys_of(
        &self,
        table: &TablePlan,
        keys: &TablePlan,
        part: &Part<'_>,
        hashes: &[u64],
    ) -> Result<Vec<Vec<Option<String>>>> {
        let mut connection = self.connect().await?;
        let found = hashes::keys_of(&mut connection, table, keys, part, hashes).await;
        close(connection).await;
        found
    }

    async fn stage_keys(
        &self,
        table: &TablePlan,
        keys: &TablePlan,
        part: &Part<'_>,
        hashes: &[u64],
        staging: &Staging,
    ) -> Result<()> {
        let mut connection = self.connect().await?;
        let staged = hashes::stage_keys(&mut connection, table, keys, part, hashes, &staging.name).await;
        close(connection).await;
        staged
    }

    async fn witness(
        &self,
        table: &TablePlan,
        relation: &TableName,
        plan: &Plan,
        scope: &Scope,
    ) -> Result<Vec<Answer>> {
        let mut connection = self.connect().await?;
        let partitioned = is_partitioned(&mut connection, relation).await?;
        let answers = witness::ask(&mut connection, table, relation, partitioned, plan, scope).await;
        close(connection).await;
        answers
    }

    async fn convert(&self, table: &TablePlan, staging: &Staging) -> Result<()> {
        match sql::convert(table, &staging.name) {
            // Extensions' types are found by name in the schema where people install them.
            Some(statement) => self.run(&format!("{WITH_EXTENSIONS}; {statement}")).await,
            None => Ok(()),
        }
    }

    async fn build_indexes(&self, table: &TablePlan, staging: &Staging) -> Result<Vec<NotCreated>> {
        indexes::build(self, table, &staging.name).await
    }

    async fn count(&self, relation: &TableName) -> Result<u64> {
        let mut connection = self.connect().await?;
        let found = only_row(&mut connection, &format!("SELECT count(*)::int8 FROM {}", sql::only(relation))).await?;
        close(connection).await;
        Ok(found.value::<i64, _>(0)? as u64)
    }

    async fn swap(&self, items: &[SwapItem<'_>]) -> Result<Vec<SwapMethod>> {
        swap::swap(self, items).await
    }

    async fn recall(&self) -> Result<Remembered> {
        state::recall(self).await
    }

    async fn forget(&self, table: &TableName) -> Result<()> {
        state::forget(self, table).await
    }

    async fn remember(&self, table: &TableName, state: &TableState) -> Result<()> {
        state::remember(self, table, state).await
    }

    async fn forgets_runs(&self) -> Result<Option<(String, String)>> {
        runs::refused(self).await
    }

    async fn last_run(&self) -> Result<LastRun> {
        runs::last(self).await
    }

    async fn begin_run(&self, run: &OpenRun, continues: bool) -> Result<()> {
        runs::begin(self, run, continues).await
    }

    async fn end_run(&self, only_own: bool) -> Result<()> {
        runs::end(self, only_own).await
    }

    async fn note_copied(&self, tables: &[CopiedTable]) -> Result<()> {
        runs::note(self, tables).await
    }

    async fn log_plan(&self, staging: &Staging, plan: &str) -> Result<()> {
        chunk_log::write_plan(self, &staging.name, plan).await
    }

    async fn left_loads(&self) -> Result<Vec<LeftLoad>> {
        chunk_log::left(self).await
    }

    async fn adopt(&self, left: &Staging, staging: &Staging) -> Result<Vec<(usize, ChunkRecord)>> {
        chunk_log::adopt(self, left, staging).await
    }

    async fn count_present(&self, table: &TablePlan, keys: &TablePlan, staging: &Staging) -> Result<u64> {
        apply::count_present(self, table, keys, &staging.name).await
    }

    async fn apply(&self, changes: &[ChangeSet<'_>]) -> Result<Vec<Applied>> {
        apply::apply(self, changes).await
    }
}
