//! What is written down of a run.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// `report.json` of a run: written before it starts and again when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub job: String,
    pub run_id: String,
    pub state: State,
    pub environment: Option<String>,
    /// The instance that it ran on.
    pub instance: Option<String>,
    /// What started it, and why.
    pub started_by: Option<String>,
    pub started: DateTime<Utc>,
    pub ended: Option<DateTime<Utc>>,
    /// How it ended, in one word: `ok`, `tables_failed`, `interrupted`…
    pub status: Option<String>,
    /// The subject of its mail.
    pub headline: Option<String>,
    pub tables: Option<u64>,
    pub rows: Option<u64>,
    /// The report as the job prints it for programs.
    pub report: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Running,
    Ended,
    /// Its instance ended before it did.
    Lost,
}

/// `notification.json` of a run: who tells people of it, and what became of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    pub state: Sent,
    /// `sync-job` or `launcher`.
    pub by: String,
    pub at: DateTime<Utc>,
    /// The message's id, or why there is none.
    pub detail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// About to be published. Who dies here leaves it to the launcher.
    Claimed,
    Published,
    /// The job file asks for none (`on = "failure"` and all went well).
    Unwanted,
    Failed,
}

impl Sent {
    /// Nobody else need tell of the run.
    pub fn is_final(self) -> bool {
        matches!(self, Sent::Published | Sent::Unwanted)
    }
}
