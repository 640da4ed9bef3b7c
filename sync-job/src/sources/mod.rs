//! Where rows come from. A target never appears here.

use std::fmt::Debug;
use std::future::Future;

use crate::model::error::Result;
use crate::model::facts::{Catalog, SourceFacts};
use crate::model::position::{Position, Tracking};
use crate::model::schema::TableName;
use crate::plan::references::Reference;
use crate::plan::self_test::SelfTest;
use crate::plan::{Finding, KeyColumn, RunPlan, TablePlan};
use crate::proof::witness;
use crate::rows::chunk::{Chunk, KeyValue};
use crate::rows::encode::RowEncoder;

pub mod sqlserver;

/// A database, or anything else, that tables are read from.
pub trait Source: Send + Sync + 'static {
    /// What is known of the server and the database; beside the common facts the source keeps its own.
    type Facts: AsRef<SourceFacts> + Send + Sync;

    /// What a reader is asked for at once: a range of keys, an object, a set of changes. The source makes units and only the source
    /// looks inside. The units of a table hold each of its rows once; a retry reads a unit again.
    type Unit: Debug + Send + Sync + 'static;

    type Reader: Reader<Unit = Self::Unit>;

    /// What the source calls a [view](Source::open_view), for people.
    const VIEW: &'static str;

    /// Server, database and login, found by connecting.
    fn facts(&self) -> impl Future<Output = Result<Self::Facts>> + Send;

    /// Every table and view that the login can see.
    fn catalog(&self) -> impl Future<Output = Result<Catalog>> + Send;

    /// A new connection with its session prepared. `view` names a view to read from instead.
    fn reader(&self, view: Option<&str>) -> impl Future<Output = Result<Self::Reader>> + Send;

    /// Opens a consistent view with this name: one state of all tables, for every reader of the run, until it is closed.
    fn open_view(&self, name: &str, facts: &Self::Facts) -> impl Future<Output = Result<()>> + Send;

    /// Closes a view that a run of this job opened. Absence is no error.
    fn close_view(&self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// Names of the open views whose name starts with `prefix`.
    fn views(&self, prefix: &str) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// What the source's facts forbid or advise against, with remedies in the source's own language. `unreadable`: tables that the
    /// login sees and may not read.
    fn precheck(&self, plan: &RunPlan, facts: &Self::Facts, unreadable: &[TableName]) -> Vec<Finding>;

    /// A refusal for each table whose settings the source does not take: a filter in its own language, or a consistency that a view
    /// cannot be read with; and a warning for each whose changes it does not tell. Better known now than at night. Reads no row.
    fn check_settings(
        &self,
        tables: &[TablePlan],
        facts: &Self::Facts,
    ) -> impl Future<Output = Result<Vec<Finding>>> + Send;

    /// Asks for every read expression of the plan over known values, and compares the answers with what the source's
    /// documentation says; the sums of the witness likewise. Reads no row. An error means that nothing was found out.
    fn self_test(&self, tables: &[TablePlan], facts: &Self::Facts) -> impl Future<Output = Result<SelfTest>> + Send;

    /// Looks for rows that foreign keys hold at the source and would not hold on the target, for a limited time.
    fn check_references(&self, references: &[Reference]) -> impl Future<Output = Result<Vec<Finding>>> + Send;

    /// How a whole table is read, for people: the statement that the server will get.
    fn describe_read(&self, table: &TablePlan) -> String;

    /// The one unit of a table that is read whole, as every table is that [is read in a transaction](TablePlan::is_read_in_transaction).
    /// `None` where [`Reader::units`] cuts it.
    fn whole(&self, table: &TablePlan) -> Option<Self::Unit>;

    /// The rows with these values of a column that leads an index, for a plan whose chunk key is that column. Nothing where the source has no such
    /// units.
    fn range(&self, range: Chunk) -> Option<Self::Unit> {
        let _ = range;
        None
    }

    /// What became of a table's rows since a position that [`Reader::begin_tracked`] told. Nothing where the source never tells.
    fn changes(&self, table: &TablePlan, since: &Position) -> Option<Changes<Self::Unit>> {
        let _ = (table, since);
        None
    }
}

/// What became of a table's rows since a position.
#[derive(Debug)]
pub struct Changes<U> {
    /// Rows that were inserted or changed, as they are now.
    pub changed: U,
    pub gone: Gone<U>,
}

/// How a source tells of rows that are gone. Keys are read with a plan of the [key alone](crate::plan::incremental::keys).
#[derive(Debug)]
pub enum Gone<U> {
    /// The keys of rows that are gone.
    Keys(U),
    /// Not at all: these are the keys of rows that are there.
    Unless(U),
}

/// One connection, reading one unit at a time.
pub trait Reader: Send + 'static {
    type Unit;

    /// Starts the transaction that the following reads belong to: one state of the database for as long as it lasts.
    fn begin(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Ends it.
    fn commit(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// The units that the table is read in; [`TablePlan::chunks`] says how many are aimed at.
    fn units(&mut self, table: &TablePlan) -> impl Future<Output = Result<Vec<Self::Unit>>> + Send;

    /// As [`Reader::begin`], and how far each table's changes are known in the state that the transaction sees. Nothing where they are not
    /// tracked, or not shown to this login.
    fn begin_tracked(&mut self, tables: &[&TablePlan]) -> impl Future<Output = Result<Vec<Option<Tracking>>>> + Send {
        let unknown = tables.iter().map(|_| None).collect();
        async {
            self.begin().await?;
            Ok(unknown)
        }
    }

    /// Whether any row may have been inserted or changed since. Asked in the same transaction, where all changes since are known.
    fn has_changes(&mut self, table: &TablePlan, since: &Position) -> impl Future<Output = Result<bool>> + Send {
        let _ = (table, since);
        std::future::ready(Ok(true))
    }

    /// Visits every row of the unit, in any order.
    fn read<S: RowSink>(
        &mut self,
        table: &TablePlan,
        unit: &Self::Unit,
        sink: &mut S,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The number of rows.
    fn count(&mut self, table: &TablePlan) -> impl Future<Output = Result<u64>> + Send {
        self.count_up_to(table, u64::MAX)
    }

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
