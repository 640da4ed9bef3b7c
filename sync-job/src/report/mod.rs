//! What a run did: for people, for programs, and as an exit status.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::model::error::{Error, Kind, Side};
use crate::plan::{Finding, SwapMethod};
use crate::rows::message::Message;
use exit::ExitStatus;

pub mod exit;
pub mod metrics;
pub mod plan;
pub mod progress;
mod text;
mod witness;

pub use text::{headline, render};
pub use witness::{WitnessReport, WitnessState};

/// How a table ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TableOutcome {
    /// Verified, and before the readers.
    Copied,
    /// Verified only (`verify`): both sides agree.
    Agrees,
    Failed,
    Interrupted,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub stage: String,
    pub side: Side,
    pub kind: Kind,
    /// Values of rows in it are hidden unless somebody asks for them.
    pub message: Message,
    pub remedy: String,
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
    pub fn new(stage: &str, error: &Error) -> Self {
        Self::at(Standing::Run, stage, error)
    }

    /// Of a table.
    pub fn at(standing: Standing, stage: &str, error: &Error) -> Self {
        Self {
            stage: stage.to_owned(),
            side: error.side,
            kind: error.kind,
            message: error.whole(),
            remedy: remedy(standing, stage, error),
        }
    }
}

/// What to do depends on the stage where it tells more than the kind does.
fn remedy(standing: Standing, stage: &str, error: &Error) -> String {
    let own = error.remedy();
    let (words, what) = match (stage, error.kind) {
        ("precheck", Kind::Refused) => ("Nothing was written. ", "Settle each finding and run again."),
        ("lease", Kind::Refused) => ("Nothing was written. ", "Wait until the other run has ended, or end it."),
        ("group", Kind::Refused) => (standing.words(), "It is swapped together with the one that failed: see there."),
        ("compare", Kind::Mismatch) => (
            standing.words(),
            "Rows that changed at the source since they were copied differ so, and so does what a filter that changed since leaves out; \
             else somebody writes to the copy. `sync-job run` copies the table anew.",
        ),
        ("compare", Kind::Refused) => (
            standing.words(),
            "`sync-job run` makes a missing table and carries changed columns over; what target_types converts is proven before its \
             conversion only, in a run.",
        ),
        ("witness", Kind::Mismatch) => (
            standing.words(),
            "The job read or stored a value that differs from the source's. Run again; if it happens again, please report it with \
             the column's type and collation. witness = \"off\" in the table's entry copies it all the same.",
        ),
        // Of these the kind alone does not tell that nothing was done.
        (_, Kind::Mismatch | Kind::Refused | Kind::Conflict | Kind::Statement) => (standing.words(), &*own),
        _ => ("", &*own),
    };
    format!("{words}{what}")
}

/// Rows of a column that were changed on the way, as planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LossLine {
    pub column: String,
    pub what: String,
    pub rows: u64,
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
    pub not_created: Vec<String>,
    pub failure: Option<Failure>,
}

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    pub job: String,
    pub run_id: String,
    /// `run` or `verify`.
    pub command: &'static str,
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
        shown
    }

    /// Whether something of it is hidden.
    pub fn holds_values(&self) -> bool {
        let of_tables = self.tables.iter().filter_map(|table| table.failure.as_ref());
        of_tables.chain(&self.failure).any(|failure| failure.message.holds_values())
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
        }
        Ok(value)
    }

    pub fn exit_status(&self) -> ExitStatus {
        let failures = || self.failure.iter().chain(self.tables.iter().filter_map(|table| table.failure.as_ref()));
        if failures().any(|failure| failure.kind == Kind::Cancelled) {
            return ExitStatus::Interrupted;
        }
        match &self.failure {
            Some(failure) => failure_status(failure),
            None if self.failed() > 0 => ExitStatus::TablesFailed,
            None => ExitStatus::Ok,
        }
    }
}

/// The status of a failure that ends the whole run.
pub fn failure_status(failure: &Failure) -> ExitStatus {
    match (failure.stage.as_str(), failure.kind) {
        (_, Kind::Cancelled) => ExitStatus::Interrupted,
        ("lease", Kind::Refused) => ExitStatus::LeaseHeld,
        ("precheck", _) | (_, Kind::Permission) => ExitStatus::PrecheckRefused,
        (_, Kind::Connection | Kind::Tls | Kind::Login | Kind::Timeout | Kind::Transient) => {
            ExitStatus::CouldNotConnect
        }
        (_, Kind::Internal) => ExitStatus::Internal,
        (_, Kind::Configuration) => ExitStatus::Configuration,
        _ => ExitStatus::TablesFailed,
    }
}
