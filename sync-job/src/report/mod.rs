//! What a run did: for people, for programs, and as an exit status.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::ser::SerializeStruct as _;

use crate::model::code::plain_coded;
use crate::model::error::{Error, Kind, Side};
use crate::model::stage::Stage;
use crate::plan::{Finding, NotCreated, SwapMethod};
use crate::rows::encode::Loss;
use crate::rows::message::Message;
use exit::ExitStatus;

mod changes;
mod differences;
pub mod exit;
pub mod metrics;
pub mod plan;
pub mod progress;
mod taken_over;
mod text;
mod witness;

pub use changes::{ChangesReport, ComparedReport};
pub use differences::{Difference, DifferencesReport, DifferingKey};
pub use taken_over::TakenOver;
pub use text::{headline, render};
pub use witness::{WitnessReport, WitnessState};

plain_coded! {
    /// How a table ended.
    pub enum TableOutcome {
        /// Verified, and before the readers.
        Copied = "copied",
        /// Verified only (`verify`): both sides agree.
        Agrees = "agrees",
        /// Verified only (`verify --repair`): it differed, and now holds what the source has.
        Repaired = "repaired",
        Failed = "failed",
        Interrupted = "interrupted",
    }
}

/// Seconds spent in each stage.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Stages {
    /// Of `load`, the share in which readers got rows and encoded them; in the rest they waited for the target.
    pub read: f64,
    /// Reading, encoding and loading, which overlap.
    pub load: f64,
    pub verify: f64,
    /// How long both servers took to add up their columns; what the source does of it before the load and in its transaction is no part of
    /// `verify`.
    pub witness: f64,
    pub index: f64,
    pub swap: f64,
    pub total: f64,
}

/// Why something failed, and what can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub stage: Stage,
    pub side: Side,
    pub kind: Kind,
    /// Values of rows in it are hidden unless somebody asks for them.
    pub message: Message,
    pub remedy: String,
}

/// As programs read it: words that were there first, and the codes beside them.
impl Serialize for Failure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Failure", 7)?;
        fields.serialize_field("stage", &self.stage.to_string())?;
        fields.serialize_field("stage_code", &self.stage)?;
        fields.serialize_field("side", &self.side)?;
        fields.serialize_field("kind", self.kind.first_name())?;
        fields.serialize_field("code", &self.kind)?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("remedy", &self.remedy)?;
        fields.end()
    }
}

/// What there is to say of the table that readers see, where something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The failure is the run's, and no table's.
    Run,
    /// The table was only compared.
    Compared,
    /// The target has no such table yet.
    New,
    /// The target has the table.
    Old,
}

impl Standing {
    /// Of a table that is copied in this way.
    pub fn of(method: SwapMethod) -> Self {
        if method == SwapMethod::Create { Standing::New } else { Standing::Old }
    }

    fn words(self) -> &'static str {
        match self {
            Standing::Run => "",
            Standing::Compared => "Nothing was changed. ",
            Standing::New => "No table was made. ",
            Standing::Old => "The old table was kept. ",
        }
    }
}

impl Failure {
    /// Of the run as a whole.
    pub fn new(stage: Stage, error: &Error) -> Self {
        Self::at(Standing::Run, stage, error)
    }

    /// Of a table.
    pub fn at(standing: Standing, stage: Stage, error: &Error) -> Self {
        Self {
            stage,
            side: error.side,
            kind: error.kind,
            message: error.whole(),
            remedy: remedy(standing, stage, error),
        }
    }
}

/// What to do depends on the stage where it tells more than the kind does.
fn remedy(standing: Standing, stage: Stage, error: &Error) -> String {
    let own = error.remedy();
    let (words, what) = match (stage, error.kind) {
        // It knows better than its stage what became of the table.
        (_, Kind::Mismatch) if error.advice.is_some() => ("", &*own),
        (_, Kind::PrecheckFailed | Kind::LeaseHeld) => ("Nothing was written. ", &*own),
        (Stage::Compare, Kind::Mismatch) => (
            standing.words(),
            "Rows that changed at the source since they were copied differ so, and so does what a filter that changed since leaves out; \
             else somebody writes to the copy. `sync-job verify --repair` repairs only the rows that differ, `sync-job run` copies the table anew.",
        ),
        (Stage::Witness, Kind::Mismatch) => (
            standing.words(),
            "The job read or stored a value that differs from the source's, or the table changed while it was read without a snapshot and \
             changed back. Run again; if it happens again, please report it with \
             the column's type and collation. witness = \"off\" in the table's entry copies it all the same.",
        ),
        // Of these the kind alone does not tell that nothing was done.
        (
            _,
            Kind::Mismatch
            | Kind::ShrinkGuard
            | Kind::GroupFailed
            | Kind::NotComparable
            | Kind::Conflict
            | Kind::Statement,
        ) => (standing.words(), &*own),
        _ => ("", &*own),
    };
    format!("{words}{what}")
}

/// Rows of a column that were changed on the way, as planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossLine {
    pub column: String,
    pub loss: Loss,
    pub rows: u64,
}

impl Serialize for LossLine {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("LossLine", 4)?;
        fields.serialize_field("column", &self.column)?;
        fields.serialize_field("what", self.loss.describe())?;
        fields.serialize_field("code", self.loss.code())?;
        fields.serialize_field("rows", &self.rows)?;
        fields.end()
    }
}

/// One table.
#[derive(Debug, Clone, Serialize)]
pub struct TableReport {
    pub source: String,
    pub target: String,
    pub outcome: TableOutcome,
    pub rows: u64,
    /// Bytes in the target's bulk format.
    pub bytes: u64,
    pub stages: Stages,
    pub verdict: String,
    /// What the source's own engine said; nothing where it did not come to that.
    pub witness: Option<WitnessReport>,
    pub swap: Option<SwapMethod>,
    /// Rows and digest; equal tables have equal digests.
    pub digest: Option<String>,
    pub retries: u32,
    pub warnings: Vec<String>,
    pub losses: Vec<LossLine>,
    pub not_created: Vec<NotCreated>,
    /// Of a table whose changes are followed.
    pub changes: Option<ChangesReport>,
    /// What a run that died had done of it.
    pub taken_over: Option<TakenOver>,
    /// The rows that a comparison found to differ.
    pub differences: Option<DifferencesReport>,
    pub failure: Option<Failure>,
}

plain_coded! {
    /// What the run was asked to do.
    pub enum Command {
        Run = "run",
        Verify = "verify",
    }
}

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    pub job: String,
    pub run_id: String,
    pub command: Command,
    pub started: DateTime<Utc>,
    pub ended: DateTime<Utc>,
    pub source: String,
    pub target: String,
    pub tables: Vec<TableReport>,
    /// Things to know about the run as a whole.
    pub notes: Vec<String>,
    /// What the prechecks found that keeps a run from starting.
    pub refusals: Vec<Finding>,
    /// Why the run as a whole ended early.
    pub failure: Option<Failure>,
    /// Whether programs get the values of rows that messages hold.
    #[serde(skip)]
    pub show_values: bool,
}

impl RunReport {
    pub fn seconds(&self) -> f64 {
        (self.ended - self.started).num_milliseconds() as f64 / 1000.0
    }

    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.bytes).sum()
    }

    pub fn failed(&self) -> usize {
        self.tables.iter().filter(|table| table.failure.is_some()).count()
    }

    /// The same with the values of rows that its messages hold: for the local terminal.
    pub fn with_values(&self) -> Self {
        let mut shown = self.clone();
        let of_tables = shown.tables.iter_mut().filter_map(|table| table.failure.as_mut());
        for failure in of_tables.chain(shown.failure.as_mut()) {
            failure.message = failure.message.revealed();
        }
        for key in shown.tables.iter_mut().filter_map(|table| table.differences.as_mut()).flat_map(|all| &mut all.keys)
        {
            key.key = key.key.revealed();
        }
        shown
    }

    /// Whether something of it is hidden.
    pub fn holds_values(&self) -> bool {
        let of_tables = self.tables.iter().filter_map(|table| table.failure.as_ref());
        let keys = self.tables.iter().filter_map(|table| table.differences.as_ref()).flat_map(|all| &all.keys);
        of_tables.chain(&self.failure).any(|failure| failure.message.holds_values())
            || keys.into_iter().any(|key| key.key.holds_values())
    }

    /// The same for programs, with what is computed from it. Fails only if a field could not be shown as JSON.
    pub fn json(&self) -> serde_json::Result<serde_json::Value> {
        let mut value =
            if self.show_values { serde_json::to_value(self.with_values())? } else { serde_json::to_value(self)? };
        if let Some(object) = value.as_object_mut() {
            object.insert("exit_status".to_owned(), self.exit_status().code().into());
            object.insert("status".to_owned(), serde_json::to_value(self.exit_status())?);
            object.insert("rows".to_owned(), self.rows().into());
            object.insert("bytes".to_owned(), self.bytes().into());
            object.insert("seconds".to_owned(), self.seconds().into());
            let tables = object.get_mut("tables").and_then(serde_json::Value::as_array_mut).into_iter().flatten();
            for (shown, table) in tables.zip(&self.tables) {
                let codes: Vec<_> = table.not_created.iter().map(NotCreated::codes).collect();
                shown["not_created_codes"] = serde_json::to_value(codes)?;
            }
        }
        Ok(value)
    }

    pub fn exit_status(&self) -> ExitStatus {
        let failures = || self.failure.iter().chain(self.tables.iter().filter_map(|table| table.failure.as_ref()));
        if failures().any(|failure| failure.kind == Kind::Cancelled) {
            return ExitStatus::Interrupted;
        }
        match &self.failure {
            Some(failure) => ExitStatus::of_run(failure.kind),
            None if self.failed() > 0 => ExitStatus::TablesFailed,
            None => ExitStatus::Ok,
        }
    }
}
