//! The plan: for each table everything that will happen, decided before anything is written. No I/O.

use std::time::Duration;

use crate::config::{Consistency, Deletes, Mode, OnMismatch, WitnessPolicy};
use crate::model::logical::LogicalType;
use crate::model::read::ReadPlan;
use crate::model::schema::{CompanionKind, Identity, IndexKind, SourceKind, TableName};
use crate::plan::type_map::{Mapping, PlannedLoss};
use crate::rows::encode::TextPolicy;

pub mod by_key;
pub mod dependent;
mod dependents;
mod dialect;
mod draft;
mod drift;
pub mod finding;
mod findings;
pub mod fingerprint;
mod finish;
pub mod incremental;
mod indexes;
mod keys;
pub mod method;
mod names;
pub mod not_created;
pub mod precheck;
pub mod references;
mod selection;
pub mod self_test;
mod tally;
pub mod type_map;
pub mod why_full;

pub use dependent::{Dependent, DependentKind};
pub use dependents::of as dependents;
pub use dialect::Dialect;
pub use draft::{Draft, draft};
pub use drift::{Drift, ForeignKeyActions, TargetColumn, TargetForeignKey, TargetIndex, TargetTable};
pub use finding::{Finding, FindingId, Severity};
pub use finish::{InvisibleSessions, TargetState, finish};
pub use method::{SwapMethod, SwapPlan, SwapReason};
pub use names::Named;
pub use not_created::NotCreated;
use why_full::WhyFull;

/// What a run would do.
#[derive(Debug, Clone)]
pub struct RunPlan {
    pub job: String,
    pub source: String,
    pub target: String,
    pub tables: Vec<TablePlan>,
    /// Facts about the run as a whole, and catalog facts that could not be had.
    pub findings: Vec<Finding>,
}

/// A column of the table's chunk key.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyColumn {
    pub name: String,
    pub holds: LogicalType,
    pub read: ReadPlan,
    pub nullable: bool,
}

impl KeyColumn {
    /// Whether even steps between the smallest and the largest value make sense.
    pub fn is_divisible(&self) -> bool {
        use LogicalType as L;
        matches!(self.holds, L::UInt1 | L::Int2 | L::Int4 | L::Int8 | L::Date | L::Timestamp { .. })
    }
}

/// A column of the target, and how its values travel.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnPlan {
    pub source: String,
    /// As [`crate::model::schema::SourceColumn::id`].
    pub source_id: i64,
    pub target: String,
    /// The source's type as declared, for people.
    pub declared: String,
    pub holds: LogicalType,
    pub read: ReadPlan,
    /// It is beside the column of the same name at the source, and keeps this of it.
    pub companion: Option<CompanionKind>,
    pub mapping: Mapping,
    pub nullable: bool,
    /// The login sees a mask of its values, or may.
    pub masked: bool,
    /// Why the witness cannot compare it, whatever its type.
    pub unwitnessed: Option<Unwitnessed>,
    /// The source computes its values when they are read, perhaps of the time of day.
    pub computed: bool,
    pub identity: Option<Identity>,
    pub policy: TextPolicy,
    /// The source's collation, for text.
    pub collation: Option<String>,
}

/// Why the witness compares no sums of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwitnessed {
    /// The self-test found that the source does not give its sums as documented; it counts rightly.
    SumsDiffer,
    /// Nor does it count rightly.
    CountDiffers,
    /// A column of a view that may show masks.
    MayBeMasked,
}

/// An index that is created on the target.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexPlan {
    pub name: String,
    pub kind: IndexKind,
    /// Target column and whether it descends.
    pub columns: Vec<(String, bool)>,
    pub included: Vec<String>,
    /// A table updated in place does without it; the staging table needs it to find rows.
    pub staging_only: bool,
}

/// A foreign key that is created on the target.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignKeyPlan {
    pub name: String,
    pub columns: Vec<String>,
    pub referenced: TableName,
    pub referenced_columns: Vec<String>,
    pub on_delete: String,
    pub on_update: String,
}

/// Everything about one table.
#[derive(Debug, Clone)]
pub struct TablePlan {
    pub source: TableName,
    pub target: TableName,
    pub kind: SourceKind,
    pub columns: Vec<ColumnPlan>,
    pub filter: Option<String>,
    pub mode: Mode,
    pub deletes: Deletes,
    /// The column that counts up with each change, where the mode follows it.
    pub version_column: Option<String>,
    /// Of which only changes are copied, is copied whole again after this time.
    pub full_every: Duration,
    /// What the next run goes on from, or why it copies the table whole as far as that is known; nothing where no changes are followed.
    pub follows: Option<Result<i64, WhyFull>>,
    /// Each run of changes reads one of so many ranges again; nothing for none.
    pub prove: Option<u64>,
    pub on_mismatch: OnMismatch,
    pub consistency: Consistency,
    pub outside_transactions: bool,
    pub readers: usize,
    pub chunk_key: Vec<KeyColumn>,
    /// How many chunks are aimed at.
    pub chunks: u64,
    /// Why it is read the way it is, for people.
    pub chunking: String,
    /// Source columns that name a row in messages.
    pub row_key: Vec<String>,
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
    pub indexes: Vec<IndexPlan>,
    pub foreign_keys: Vec<ForeignKeyPlan>,
    /// Indexes, keys and defaults of the source that the target will not have, with the reason.
    pub not_created: Vec<NotCreated>,
    /// The job file wants plain columns where the source has identities.
    pub drops_identities: bool,
    /// Planned losses: column and what is lost.
    pub losses: Vec<(String, PlannedLoss)>,
    pub drift: Vec<Drift>,
    pub swap: SwapPlan,
    /// The table that is there, and would be renamed over, lacks the merge key.
    pub without_its_key: bool,
    pub max_shrink_percent: Option<u8>,
    pub witness: WitnessPolicy,
    /// The column that cuts a large table into ranges alike on both sides.
    pub witness_key: Option<KeyColumn>,
    /// Tables with the same group are swapped together.
    pub group: Option<String>,
    pub findings: Vec<Finding>,
}

impl TablePlan {
    /// Whether its rows are read in a transaction that sees one state of the source. A table outside of those is read by one statement.
    pub fn is_read_in_transaction(&self) -> bool {
        self.consistency == Consistency::Snapshot && !self.outside_transactions
    }

    /// Whether two SELECTs may differ although no row was changed between them: a filter, a view or a computed column may ask for the
    /// time, a random number or the session.
    pub fn may_differ_by_itself(&self) -> bool {
        self.filter.is_some() || self.kind == SourceKind::View || self.columns.iter().any(|column| column.computed)
    }

    /// The primary key, or else a unique index over columns that are never NULL: what tells rows apart on the target.
    pub fn merge_key(&self) -> Option<&IndexPlan> {
        let never_null = |index: &&IndexPlan| {
            index
                .columns
                .iter()
                .all(|(name, _)| self.columns.iter().any(|column| &column.target == name && !column.nullable))
        };
        let unique = |index: &&IndexPlan| index.kind != IndexKind::Plain;
        self.indexes
            .iter()
            .find(|index| index.kind == IndexKind::PrimaryKey)
            .or_else(|| self.indexes.iter().filter(unique).find(never_null))
    }

    /// Whether the table that is there may hold the merge key twice: where it lacks such a key. Of one that was to be renamed over,
    /// and is updated in place only for a reader's sake, that is not known.
    pub fn may_hold_a_key_twice(&self) -> bool {
        self.swap.method == SwapMethod::Rename || self.merge_key().is_some_and(|key| key.staging_only)
    }

    /// Whether the table that is there lacks the key by which changed rows are found in it.
    pub fn lacks_its_key(&self) -> bool {
        self.without_its_key || self.merge_key().is_none_or(|key| key.staging_only)
    }

    /// Whether the offset of this instant travels in a column beside it.
    pub fn keeps_offset(&self, column: &ColumnPlan) -> bool {
        let beside =
            |other: &ColumnPlan| other.source == column.source && other.companion == Some(CompanionKind::Offset);
        self.columns.iter().any(beside)
    }

    /// The column of [`TablePlan::witness_key`] on the target.
    pub fn witness_column(&self) -> Option<&ColumnPlan> {
        let key = self.witness_key.as_ref()?;
        self.columns.iter().find(|column| column.source == key.name)
    }

    /// Whether the target changes columns after the verification.
    pub fn has_conversions(&self) -> bool {
        self.columns.iter().any(|column| column.mapping.convert_to.is_some())
    }
}

impl RunPlan {
    /// Puts each finding where it belongs: to its table, or to the run.
    pub fn add(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            let named = |table: &&mut TablePlan| finding.table == Some(table.source.to_string());
            match self.tables.iter_mut().find(named) {
                Some(table) => table.findings.push(finding),
                None => self.findings.push(finding),
            }
        }
    }

    /// All findings, the run's first.
    pub fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().chain(self.tables.iter().flat_map(|table| &table.findings))
    }

    pub fn refusals(&self) -> impl Iterator<Item = &Finding> {
        self.all_findings().filter(|finding| finding.severity == Severity::Refusal)
    }
}
