//! MySQL 8.0 and later, Aurora MySQL 3 included. MariaDB 10.6 and later works, too, where it does the same; where it differs
//! the code follows MySQL and says so.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mysql_async::Conn;

use crate::config::TargetConfig;
use crate::connect::reach::Reach;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::facts::TargetFacts;
use crate::model::run_state::{ChunkRecord, CopiedTable, LastRun, OpenRun};
use crate::model::schema::TableName;
use crate::model::state::{Remembered, TableState};
use crate::plan::{Dialect, Finding, NotCreated, SwapMethod, TablePlan, TargetTable};
use crate::proof::slices::{HashedRow, Part, Slices};
use crate::proof::witness::{Answer, Plan, Scope};
use crate::rows::digest::{TableDigest, hash_bytes};
use crate::targets::chunk_log::log;
use crate::targets::encode::load_data::LoadDataEncoder;
use crate::targets::{Applied, ChangeSet, ChunkLoader, LeftLoad, Staging, SwapItem, Target};

mod apply;
mod chunk_log;
mod columns;
mod connect;
mod definition;
mod dialect;
mod digest;
mod facts;
mod foreign_keys;
mod hashes;
mod in_place;
mod indexes;
mod insert;
mod inspect;
mod lease;
mod load;
mod permissions;
mod preserved;
mod quote;
mod rename;
mod row_size;
mod runs;
mod server;
mod server_message;
mod snapshots;
mod sql;
mod state;
mod swap;
mod witness;

pub use dialect::MySqlDialect;

use connect::{close, connect, execute, only_row, rows};
use preserved::PreservedAttributes;

/// Tables of every run start with this.
const PREFIX: &str = "stopgap_";
/// The number of the warning that a row may not fit into its page (`HA_ERR_TOO_BIG_ROW`).
const TOO_BIG_ROW: u16 = 139;

/// A MySQL server's database to write to.
#[derive(Debug, Clone)]
pub struct MySql {
    config: TargetConfig,
    job: String,
    run_id: String,
    /// Tells the staging tables and the lease of this job and this database from others': a job of the same name may write
    /// to another database of the server at the same time.
    job_hash: u32,
    application_name: String,
    /// Ids of the connections that this run opened.
    connections: Arc<Mutex<BTreeSet<u32>>>,
    /// What was found out of the server when the plan was made.
    server: Arc<OnceLock<server::Server>>,
    reach: Arc<Reach>,
    /// Whether the run is written down as the job's current one.
    is_remembered: Arc<AtomicBool>,
}

impl MySql {
    pub fn new(config: TargetConfig, job: &str, run_id: &str) -> Self {
        // No name holds a NUL.
        let job_hash = hash_bytes(format!("{job}\0{}", config.database).as_bytes()) as u32;
        let reach = Arc::new(Reach::new(config.outage));
        Self {
            config,
            reach,
            job: job.to_owned(),
            run_id: run_id.to_owned(),
            job_hash,
            application_name: format!("stopgap/{job}"),
            connections: Arc::default(),
            server: Arc::default(),
            is_remembered: Arc::default(),
        }
    }

    fn server(&self) -> server::Server {
        self.server.get().cloned().unwrap_or_default()
    }

    fn prefix(&self) -> String {
        format!("{PREFIX}{:08x}_", self.job_hash)
    }

    /// Staging tables of this run start with this.
    fn own_prefix(&self) -> String {
        format!("{}{:08x}_", self.prefix(), hash_bytes(self.run_id.as_bytes()) as u32)
    }

    async fn connect(&self) -> Result<Conn> {
        let opened = connect(&self.config, &self.application_name).await;
        let connection = self.reach.judge(&self.config.database, opened)?;
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).insert(connection.id());
        Ok(connection)
    }

    /// For statements on staging tables that wait for others of this run, and for nobody else: the digest, which may take
    /// long, keeps an index from being added until it ends, and the index that waits keeps a digest from beginning.
    async fn connect_to_wait(&self) -> Result<Conn> {
        let mut connection = self.connect().await?;
        execute(&mut connection, "SET SESSION lock_wait_timeout = 604800").await?;
        Ok(connection)
    }

    /// For `NOT IN (…)`; 0 is nobody's id.
    fn own_connections(&self) -> String {
        let ids = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(0).chain(ids.iter().copied()).map(|id| id.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// Runs statements, one after the other, over a connection of their own.
    async fn run(&self, statements: &[String]) -> Result<()> {
        let mut connection = self.connect().await?;
        for statement in statements {
            execute(&mut connection, statement).await?;
        }
        close(connection).await;
        Ok(())
    }

    /// What earlier runs left in databases that the plan may have put tables in: all that the user sees but the server's own.
    async fn leftovers(&self, connection: &mut Conn) -> Result<Vec<TableName>> {
        let query = format!(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' \
             AND table_name REGEXP {} AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') \
             ORDER BY 1, 2",
            quote::literal(&format!("^{}[0-9a-f]{{8}}_[0-9]+[cdo]?$", self.prefix()))
        );
        let found = rows::<(String, String)>(connection, &query).await?;
        let own = self.own_prefix();
        let found = found.into_iter().filter(|(_, name)| !name.starts_with(&own));
        Ok(found.map(|(schema, name)| TableName::new(schema, name)).collect())
    }
}

/// Without `innodb_strict_mode`, which takes a privilege to set, a table whose rows may not fit is made with a warning.
async fn refuse_wide_rows(connection: &mut Conn, table: &TablePlan) -> Result<()> {
    let warnings = rows::<(String, u16, String)>(connection, "SHOW WARNINGS").await?;
    match warnings.into_iter().find(|(_, number, _)| *number == TOO_BIG_ROW) {
        Some((_, _, message)) => {
            let message = format!("the target makes {}, but not every row of it would fit: {message}", table.target);
            Err(Error::new(Side::Target, Kind::Statement, message))
        }
        None => Ok(()),
    }
}

impl Target for MySql {
    type Encoder = LoadDataEncoder;
    type Lease = lease::Lease;
    type Loader = ChunkLoader;

    fn dialect(&self) -> &'static dyn Dialect {
        const EITHER_WAY: MySqlDialect = MySqlDialect { descends: true };
        const UPWARDS: MySqlDialect = MySqlDialect { descends: false };
        if self.server().only_ascends { &UPWARDS } else { &EITHER_WAY }
    }

    async fn facts(&self) -> Result<TargetFacts> {
        let mut connection = self.connect().await?;
        let (facts, server) = facts::gather(&mut connection, &self.config).await?;
        close(connection).await;
        // Asked for twice, it is the same server.
        let _ = self.server.set(server);
        Ok(facts)
    }

    async fn inspect(&self, names: &[TableName]) -> Result<HashMap<TableName, TargetTable>> {
        let mut connection = self.connect().await?;
        let found = inspect::tables(&mut connection, names).await?;
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
        let invisible = snapshots::invisible(&mut connection, tables).await?;
        close(connection).await;
        Ok(facts::refuse_keyless(&self.server(), tables).into_iter().chain(invisible).collect())
    }

    async fn acquire_lease(&self) -> Result<lease::Lease> {
        lease::acquire(self).await
    }

    async fn clean(&self) -> Result<Vec<String>> {
        let mut connection = self.connect().await?;
        let mut dropped = Vec::new();
        let leftovers = self.leftovers(&mut connection).await?;
        if !leftovers.is_empty() {
            // Staging tables may refer to each other.
            execute(&mut connection, "SET SESSION foreign_key_checks = 0").await?;
        }
        for name in leftovers {
            execute(&mut connection, &format!("DROP TABLE IF EXISTS {}", quote::qualified(&name))).await?;
            dropped.push(name.to_string());
        }
        close(connection).await;
        Ok(dropped)
    }

    fn staging(&self, table: &TablePlan, number: usize) -> Staging {
        Staging { name: TableName::new(&table.target.schema, format!("{}{number}", self.own_prefix())) }
    }

    fn encoder(&self, table: &TablePlan) -> LoadDataEncoder {
        LoadDataEncoder::new(table.columns.iter().map(sql::load_column))
    }

    async fn create_staging(&self, table: &TablePlan, staging: &Staging) -> Result<()> {
        let collations = self.server().collations;
        let own_log = quote::qualified(&log(&staging.name));
        let name = quote::qualified(&staging.name);
        let mut connection = self.connect().await?;
        let preserved = match table.swap.method {
            SwapMethod::Rename => PreservedAttributes::of(&mut connection, &table.target).await?,
            SwapMethod::InPlace => PreservedAttributes::of_updated_in_place(&mut connection, &table.target).await?,
            SwapMethod::Create => PreservedAttributes::default(),
        };
        for statement in [
            // What a try left whose reply was lost.
            format!("DROP TABLE IF EXISTS {name}, {own_log}"),
            chunk_log::create(&staging.name),
            sql::create_staging(table, &staging.name, &collations, &preserved),
        ] {
            execute(&mut connection, &statement).await?;
        }
        refuse_wide_rows(&mut connection, table).await?;
        close(connection).await;
        Ok(())
    }

    async fn drop_staging(&self, staging: &Staging) -> Result<()> {
        let names = [staging.name.clone(), log(&staging.name), rename::proof(&staging.name)];
        let names: Vec<String> = names.iter().map(quote::qualified).collect();
        self.run(&[
            "SET SESSION foreign_key_checks = 0".to_owned(),
            format!("DROP TABLE IF EXISTS {}", names.join(", ")),
        ])
        .await
    }

    async fn open_chunk(&self, table: &TablePlan, staging: &Staging, number: usize) -> Result<ChunkLoader> {
        load::open(self, table, &staging.name, number).await
    }

    fn chunks_at_once(&self, table: &TablePlan) -> usize {
        let server = self.server();
        let counts_up = table.columns.iter().any(|column| sql::counts_up(table, column));
        if counts_up && server.bulk_load && server.locks_to_count_up { 1 } else { usize::MAX }
    }

    async fn digest(&self, table: &TablePlan, relation: &TableName) -> Result<TableDigest> {
        if relation != &table.target {
            return digest::of_staging(self, table, relation).await;
        }
        let mut connection = self.connect().await?;
        let digest = digest::whole(&mut connection, table, relation).await?;
        close(connection).await;
        Ok(digest)
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
        let mut connection = self.connect_to_wait().await?;
        let answers = witness::ask(&mut connection, table, relation, plan, scope).await?;
        close(connection).await;
        Ok(answers)
    }

    async fn convert(&self, table: &TablePlan, staging: &Staging) -> Result<()> {
        let mut connection = self.connect().await?;
        let preserved = PreservedAttributes::of(&mut connection, &staging.name).await?;
        for statement in sql::convert(table, &staging.name, &preserved) {
            execute(&mut connection, &statement).await?;
        }
        close(connection).await;
        Ok(())
    }

    async fn build_indexes(&self, table: &TablePlan, staging: &Staging) -> Result<Vec<NotCreated>> {
        indexes::build(self, table, &staging.name).await
    }

    async fn count(&self, relation: &TableName) -> Result<u64> {
        let mut connection = self.connect().await?;
        let count = only_row(&mut connection, &format!("SELECT COUNT(*) FROM {}", quote::qualified(relation))).await?;
        close(connection).await;
        Ok(count)
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
