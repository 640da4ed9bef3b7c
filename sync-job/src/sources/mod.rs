//! Where rows come from. A target never appears here.

use std::future::Future;

use crate::model::error::Result;
use crate::model::facts::{Catalog, SourceFacts};
use crate::model::schema::TableName;
use crate::plan::references::{Answer, Reference};
use crate::plan::self_test::SelfTest;
use crate::plan::{Finding, KeyColumn, RunPlan, TablePlan};
use crate::proof::witness;
use crate::rows::chunk::{Chunk, Key, KeyValue};
use crate::rows::encode::RowEncoder;

pub mod sqlserver;

/// A database that tables are read from.
pub trait Source: Send + Sync + 'static {
    type Reader: Reader;

    /// Server, database and login, found by connecting.
    fn facts(&self) -> impl Future<Output = Result<SourceFacts>> + Send;

    /// Every table and view that the login can see.
    fn catalog(&self) -> impl Future<Output = Result<Catalog>> + Send;

    /// A new connection with its session prepared. `snapshot` names a database snapshot to read from instead.
    fn reader(&self, snapshot: Option<&str>) -> impl Future<Output = Result<Self::Reader>> + Send;

    /// Makes a database snapshot with this name.
    fn create_snapshot(&self, name: &str, facts: &SourceFacts) -> impl Future<Output = Result<()>> + Send;

    /// Drops a database snapshot that a run of this job made. Absence is no error.
    fn drop_snapshot(&self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// Names of the source database's snapshots whose name starts with `prefix`.
    fn snapshots(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// What the source's facts forbid or advise against, with remedies in the source's own language. `unreadable`: tables that the
    /// login sees and may not read.
    fn precheck(&self, plan: &RunPlan, facts: &SourceFacts, unreadable: &[TableName]) -> Vec<Finding>;

    /// A refusal for each filter that the server does not take. Filters are SQL that people write: better known now than at
    /// night. Reads no row.
    fn check_filters(&self, tables: &[TablePlan]) -> impl Future<Output = Result<Vec<Finding>>> + Send;

    /// Asks for every read expression of the plan over known values, and compares the answers with what the source's
    /// documentation says; the sums of the witness likewise. Reads no row. An error means that nothing was found out.
    fn self_test(&self, tables: &[TablePlan], facts: &SourceFacts) -> impl Future<Output = Result<SelfTest>> + Send;

    /// Looks at foreign keys, for a limited time.
    fn check_references(&self, references: &[Reference]) -> impl Future<Output = Result<Vec<Answer>>> + Send;

    /// The query of [`Source::check_references`], for people.
    fn query_of(&self, reference: &Reference) -> String;

    /// The SELECT that reads this chunk, as the server will get it.
    fn select(&self, table: &TablePlan, chunk: &Chunk) -> String;
}

/// One connection, reading one chunk at a time.
pub trait Reader: Send + 'static {
    /// Starts the SNAPSHOT transaction that the following reads belong to: one state of the database for as long as it lasts.
    fn begin_snapshot(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Ends it.
    fn commit(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Bounds that split the table into about `count` chunks.
    fn bounds(&mut self, table: &TablePlan, count: u64) -> impl Future<Output = Result<Vec<Key>>> + Send;

    /// Visits every row of the chunk, in any order.
    fn read<S: RowSink>(
        &mut self,
        table: &TablePlan,
        chunk: &Chunk,
        sink: &mut S,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The number of rows, if it is less than `most`; else `most`.
    fn count_up_to(&mut self, table: &TablePlan, most: u64) -> impl Future<Output = Result<u64>> + Send;

    /// Smallest and largest value of a key column, where there are any.
    fn extremes(
        &mut self,
        table: &TablePlan,
        key: &KeyColumn,
    ) -> impl Future<Output = Result<Option<(KeyValue, KeyValue)>>> + Send;

    /// What the engine itself makes of the columns, in the order of the questions.
    fn witness(
        &mut self,
        table: &TablePlan,
        plan: &witness::Plan,
        scope: &witness::Scope,
    ) -> impl Future<Output = Result<Vec<witness::Answer>>> + Send;
}

/// Takes a reader's rows, and holds the reader back while the target is slower.
pub trait RowSink: Send {
    type Encoder: RowEncoder;

    fn encoder(&mut self) -> &mut Self::Encoder;

    /// After each row: whether [`RowSink::flush`] is due.
    fn is_full(&self) -> bool;

    /// Hands the buffered rows on; waits for room.
    fn flush(&mut self) -> impl Future<Output = Result<()>> + Send;
}
