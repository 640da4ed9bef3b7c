//! The plan: for each table everything that will happen, decided before anything is written. No I/O.

use crate::config::{Consistency, WitnessPolicy};
use crate::model::schema::{Identity, IndexKind, SourceKind, SourceType, TableName};
use crate::plan::type_map::{Mapping, ReadExpression};
use crate::rows::encode::TextPolicy;

mod dependents;
mod dialect;
mod draft;
mod drift;
mod findings;
mod finish;
mod indexes;
mod keys;
mod names;
pub mod precheck;
pub mod references;
mod selection;
pub mod self_test;
mod tally;
pub mod type_map;

pub use dependents::of as dependents;
pub use dialect::Dialect;
pub use draft::{Draft, draft};
pub use drift::{Drift, ForeignKeyActions, TargetColumn, TargetForeignKey, TargetIndex, TargetTable};
pub use finish::{InvisibleSessions, TargetState, finish};
pub use names::Named;

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

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Note,
    Warning,
    /// Nothing is written while one of these stands.
    Refusal,
}

/// Something found before anything is written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Stable name for programs, such as `unknown-type`.
    pub id: &'static str,
    pub severity: Severity,
    /// The table, or nothing for the run as a whole.
    pub table: Option<String>,
    pub message: String,
    pub remedy: String,
}

/// How the new rows come to the readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SwapMethod {
    /// The table is new.
    Create,
    /// The staging table takes the old one's name; the old one is dropped.
    Rename,
    /// The table stays; its rows are replaced in one transaction.
    #[serde(rename = "replace")]
    InPlace,
}

/// The method and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapPlan {
    pub method: SwapMethod,
    pub reason: String,
}

/// A column of the table's chunk key.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyColumn {
    pub name: String,
    pub source_type: SourceType,
    pub read: ReadExpression,
    pub nullable: bool,
}

impl KeyColumn {
    /// Whether even steps between the smallest and the largest value make sense.
    pub fn is_divisible(&self) -> bool {
        use SourceType as S;
        matches!(
            self.source_type,
            S::TinyInt
                | S::SmallInt
                | S::Int
                | S::BigInt
                | S::Date
                | S::DateTime
                | S::SmallDateTime
                | S::DateTime2 { .. }
        )
    }
}

/// A column of the target, and how its values travel.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnPlan {
    pub source: String,
    pub target: String,
    /// The source's type as declared.
    pub declared: String,
    pub source_type: SourceType,
    pub mapping: Mapping,
    pub nullable: bool,
    /// The login sees a mask of its values, or may.
    pub masked: bool,
    /// The self-test found that the source does not give its sums as documented: the witness counts its values and no more.
    pub only_counted: bool,
    /// The source computes its values when they are read, perhaps of the time of day.
    pub computed: bool,
    pub identity: Option<Identity>,
    pub policy: TextPolicy,
    /// The source's collation, for text.
    pub collation: Option<String>,
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
    pub consistency: Consistency,
    pub memory_optimized: bool,
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
    pub not_created: Vec<String>,
    /// The job file wants plain columns where the source has identities.
    pub drops_identities: bool,
    /// Planned losses: column and what is lost.
    pub losses: Vec<(String, String)>,
    pub drift: Vec<Drift>,
    pub swap: SwapPlan,
    pub max_shrink_percent: Option<u8>,
    pub witness: WitnessPolicy,
    /// The column that cuts a large table into ranges alike on both sides.
    pub witness_key: Option<KeyColumn>,
    /// Tables with the same group are swapped together.
    pub group: Option<String>,
    pub findings: Vec<Finding>,
}

impl TablePlan {
    /// Whether its rows are read in a SNAPSHOT transaction. SQL Server keeps memory-optimized tables out of those (error 41332), but
    /// a statement of its own sees one state of such a table ("Transactions with Memory-Optimized Tables" in its documentation).
    pub fn is_read_in_snapshot(&self) -> bool {
        self.consistency == Consistency::Snapshot && !self.memory_optimized
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

    /// Whether the offset of this datetimeoffset travels in a column beside it.
    pub fn keeps_offset(&self, column: &ColumnPlan) -> bool {
        let beside =
            |other: &ColumnPlan| other.source == column.source && other.mapping.read == ReadExpression::OffsetMinutes;
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

impl Finding {
    pub fn new(id: &'static str, severity: Severity, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { id, severity, table: None, message: message.into(), remedy: remedy.into() }
    }

    /// Whether the plan lacks a part of the table because the source does not show it: a comparison by this plan would pass over
    /// that part and agree.
    pub fn hides_a_part(&self) -> bool {
        self.severity == Severity::Refusal && [tally::INCOMPLETE, findings::TYPE_NOT_SHOWN].contains(&self.id)
    }

    pub fn on(mut self, table: &TableName) -> Self {
        self.table = Some(table.to_string());
        self
    }
}
