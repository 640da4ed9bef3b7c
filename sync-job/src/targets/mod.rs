//! Where rows go. A source never appears here.

use std::collections::HashMap;
use std::future::Future;

use crate::model::error::Result;
use crate::model::facts::TargetFacts;
use crate::model::run_state::{ChunkRecord, CopiedTable, LastRun, OpenRun};
use crate::model::schema::TableName;
use crate::model::state::{Remembered, TableState};
use crate::plan::{Dialect, Finding, InvisibleSessions, NotCreated, SwapMethod, TablePlan, TargetTable};
use crate::proof::slices::{HashedRow, Part, Slices};
use crate::proof::ticket::SwapTicket;
use crate::proof::witness;
use crate::rows::digest::TableDigest;
use crate::rows::encode::RowEncoder;

mod apply;
mod buffer;
mod chunk_log;
mod commit;
pub mod decisions;
pub mod encode;
mod indexes;
mod lease;
mod load;
pub mod mysql;
pub mod postgres;
mod ranges;
mod run_row;
mod slices;
mod state_row;
mod swap;

pub use apply::{Applied, ChangeSet, ChangedRows, GoneRows, ProvenRange, Step};
pub use buffer::BudgetedBuffer;
pub use load::ChunkLoader;

/// Comments of what the job made after the source (indexes, foreign keys) begin so: what somebody added has none.
const MARK: &str = "made by stopgap";

/// A table made by this run, filled and proven before its rows reach readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staging {
    pub name: TableName,
}

/// A staging table that an earlier run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftLoad {
    pub staging: Staging,
    /// What [`Target::log_plan`] wrote down.
    pub plan: String,
}

/// One table on its way through the swap.
#[derive(Debug)]
pub struct SwapItem<'a> {
    pub table: &'a TablePlan,
    pub staging: Staging,
    pub ticket: SwapTicket,
}

/// A database that tables are written to.
pub trait Target: Send + Sync + 'static {
    type Encoder: RowEncoder;
    type Lease: Lease;
    type Loader: Loader;

    fn dialect(&self) -> &'static dyn Dialect;

    fn facts(&self) -> impl Future<Output = Result<TargetFacts>> + Send;

    /// What the target has under these names now; absent names are absent from the answer.
    fn inspect(&self, names: &[TableName]) -> impl Future<Output = Result<HashMap<TableName, TargetTable>>> + Send;

    /// Names that no index of these tables can have, each with the table that it is an index of, if it is one. Nothing where the
    /// names of indexes belong to their tables.
    fn index_names(
        &self,
        tables: &[TableName],
    ) -> impl Future<Output = Result<HashMap<TableName, Option<TableName>>>> + Send {
        let _ = tables;
        std::future::ready(Ok(HashMap::new()))
    }

    /// Readers with older snapshots that this login cannot see, so that no table may be renamed over one that is there.
    fn invisible_sessions(&self) -> impl Future<Output = Result<Option<InvisibleSessions>>> + Send {
        std::future::ready(Ok(None))
    }

    /// What this login may not do that the plan needs, in words, with the remedy.
    fn missing_permissions(&self, tables: &[TablePlan]) -> impl Future<Output = Result<Vec<(String, String)>>> + Send;

    /// What else people should know before the plan is carried out, or what forbids it.
    fn warnings(&self, tables: &[TablePlan]) -> impl Future<Output = Result<Vec<Finding>>> + Send {
        let _ = tables;
        std::future::ready(Ok(Vec::new()))
    }

    /// Keeps a second run of the job out for as long as the lease lives.
    fn acquire_lease(&self) -> impl Future<Output = Result<Self::Lease>> + Send;

    /// Drops what earlier runs of this job left behind, but for what this one has adopted; only under the lease.
    fn clean(&self) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// The name of the `number`-th staging table of this run.
    fn staging(&self, table: &TablePlan, number: usize) -> Staging;

    fn encoder(&self, table: &TablePlan) -> Self::Encoder;

    fn create_staging(&self, table: &TablePlan, staging: &Staging) -> impl Future<Output = Result<()>> + Send;

    fn drop_staging(&self, staging: &Staging) -> impl Future<Output = Result<()>> + Send;

    /// Starts loading a chunk's rows; nothing of it stays unless it is committed. `number`: of the chunk, by which it is in the staging
    /// table's commit log then. A chunk that is in the log cannot be committed again.
    fn open_chunk(
        &self,
        table: &TablePlan,
        staging: &Staging,
        number: usize,
    ) -> impl Future<Output = Result<Self::Loader>> + Send;

    /// How many of a table's chunks it takes at the same time.
    fn chunks_at_once(&self, table: &TablePlan) -> usize {
        let _ = table;
        usize::MAX
    }

    /// All chunks are in the staging table; its digest is asked for next.
    fn end_load(&self, table: &TablePlan, staging: &Staging) -> impl Future<Output = Result<()>> + Send {
        let _ = (table, staging);
        std::future::ready(Ok(()))
    }

    /// The digest of what the relation holds now, computed by the server.
    fn digest(&self, table: &TablePlan, relation: &TableName) -> impl Future<Output = Result<TableDigest>> + Send;

    /// The digest of each slice of the table that readers see now, in their order. `keys`: [its key's plan](crate::plan::by_key).
    fn slice_digests(
        &self,
        table: &TablePlan,
        keys: &TablePlan,
        slices: &Slices,
    ) -> impl Future<Output = Result<Vec<TableDigest>>> + Send;

    /// The hashes of the rows that are in this part of the table now, in any order.
    fn row_hashes(
        &self,
        table: &TablePlan,
        keys: &TablePlan,
        part: &Part<'_>,
    ) -> impl Future<Output = Result<Vec<HashedRow>>> + Send;

    /// The keys, as texts, of the part's rows whose keys have these hashes.
    fn keys_of(
        &self,
        table: &TablePlan,
        keys: &TablePlan,
        part: &Part<'_>,
        hashes: &[u64],
    ) -> impl Future<Output = Result<Vec<Vec<Option<String>>>>> + Send;

    /// Puts the keys of such rows into a staging table of the key's plan.
    fn stage_keys(
        &self,
        table: &TablePlan,
        keys: &TablePlan,
        part: &Part<'_>,
        hashes: &[u64],
        staging: &Staging,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The answers to the witness's questions about what the relation holds now, computed by the server.
    fn witness(
        &self,
        table: &TablePlan,
        relation: &TableName,
        plan: &witness::Plan,
        scope: &witness::Scope,
    ) -> impl Future<Output = Result<Vec<witness::Answer>>> + Send;

    /// Changes columns to the types that the job file asks for beyond what can be verified.
    fn convert(&self, table: &TablePlan, staging: &Staging) -> impl Future<Output = Result<()>> + Send;

    /// Builds the indexes and keys of the staging table; what a try that broke off left of them goes first. Answers with the plain
    /// indexes that the server refuses for the length of their rows: the table goes without them.
    fn build_indexes(
        &self,
        table: &TablePlan,
        staging: &Staging,
    ) -> impl Future<Output = Result<Vec<NotCreated>>> + Send;

    /// Exact row count of the table that readers see now.
    fn count(&self, relation: &TableName) -> impl Future<Output = Result<u64>> + Send;

    /// Puts the rows before the readers, all tables in one transaction; says how each was done.
    fn swap(&self, items: &[SwapItem<'_>]) -> impl Future<Output = Result<Vec<SwapMethod>>> + Send;

    /// What is remembered; nothing where the login may not see it.
    fn recall(&self) -> impl Future<Output = Result<Remembered>> + Send;

    /// Before a table is swapped: what is remembered of it, by whichever job, no longer counts.
    fn forget(&self, table: &TableName) -> impl Future<Output = Result<()>> + Send;

    /// After the swap: what the table holds now. An error where another run has forgotten it since.
    fn remember(&self, table: &TableName, state: &TableState) -> impl Future<Output = Result<()>> + Send;

    /// What keeps this login from remembering runs, in words, with the remedy.
    fn forgets_runs(&self) -> impl Future<Output = Result<Option<(String, String)>>> + Send;

    /// What is remembered of the job's last run.
    fn last_run(&self) -> impl Future<Output = Result<LastRun>> + Send;

    /// This run has begun: whatever an earlier one has not committed or swapped yet is refused from here on. `continues`: the tables count on
    /// that the last one copied.
    fn begin_run(&self, run: &OpenRun, continues: bool) -> impl Future<Output = Result<()>> + Send;

    /// Nothing of this run is continued; or, without `only_own`, of whichever was the last.
    fn end_run(&self, only_own: bool) -> impl Future<Output = Result<()>> + Send;

    /// These tables have been swapped in together.
    fn note_copied(&self, tables: &[CopiedTable]) -> impl Future<Output = Result<()>> + Send;

    /// Writes down how a staging table's load is cut, so that a later run can load the rest.
    fn log_plan(&self, staging: &Staging, plan: &str) -> impl Future<Output = Result<()>> + Send;

    /// Staging tables that earlier runs of the job left with the plan of their load, and that the server has not emptied since.
    fn left_loads(&self) -> impl Future<Output = Result<Vec<LeftLoad>>> + Send;

    /// Gives a staging table of an earlier run a name of this one, so that the earlier one can neither fill nor swap it any more. Answers with
    /// the chunks that its commit log has then.
    fn adopt(
        &self,
        left: &Staging,
        staging: &Staging,
    ) -> impl Future<Output = Result<Vec<(usize, ChunkRecord)>>> + Send;

    /// How many rows of the table have their key in a staging table.
    fn count_present(
        &self,
        table: &TablePlan,
        keys: &TablePlan,
        staging: &Staging,
    ) -> impl Future<Output = Result<u64>> + Send;

    /// Changes the rows of tables, and what is remembered of them, in one transaction that proves all of it. Where the reply to its COMMIT is
    /// lost it finds out what became of it. What each change set came to, in their order.
    fn apply(&self, changes: &[ChangeSet<'_>]) -> impl Future<Output = Result<Vec<Applied>>> + Send;
}

/// Holds off other runs of the job until it is released or its connection ends.
pub trait Lease: Send + Sync {
    /// An error if another run has the lease, or may have it. One that only went with its connection, as in a failover, is taken
    /// again; once another run was seen to have it, it is lost for good. Asked often, it leaves no other run the time to come and
    /// go unseen; should one do so, the staging tables that were there are gone, and none of them can be swapped.
    fn check(&self) -> impl Future<Output = Result<()>> + Send;

    fn release(self) -> impl Future<Output = ()> + Send;
}

/// A chunk being loaded, in a transaction of its own.
pub trait Loader: Send + 'static {
    /// Takes the next bytes of the stream and gives back a buffer to go on with.
    fn send(&mut self, next: BudgetedBuffer) -> impl Future<Output = Result<Vec<u8>>> + Send;

    /// Makes the rows permanent, and writes down what they are with them. Where the reply is lost it finds out what became of them, so that
    /// the rows are loaded exactly once: an error means that none of them stayed.
    fn commit(self, record: ChunkRecord) -> impl Future<Output = Result<()>> + Send;
}
