//! What is written down of a run.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// `report.json` of a run: written before it starts and again when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Comes first in the file, so that its beginning is enough to know the run ([`crate::store::Store::head`]).
    #[serde(flatten)]
    pub head: Head,
    /// The report as the job prints it for programs.
    pub report: Option<serde_json::Value>,
}

/// How a run ended, in one word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    Ok,
    /// Its instance ended before it did, or none could be started.
    Lost,
    /// Another run of the job was in progress.
    Skipped,
    /// A failure that the job itself named: `tables_failed`, `interrupted`…
    #[serde(untagged)]
    Other(String),
}

impl RunStatus {
    pub fn word(&self) -> &str {
        match self {
            RunStatus::Ok => "ok",
            RunStatus::Lost => "lost",
            RunStatus::Skipped => "skipped",
            RunStatus::Other(word) => word,
        }
    }
}

/// What is known of a run without its report, some hundred bytes. `heads/<job>/<run id>.json` holds it by itself: lists and sweeps
/// read heads alone, and they outlive the reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
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
    /// How it ended.
    pub status: Option<RunStatus>,
    /// The subject of its mail.
    pub headline: Option<String>,
    pub tables: Option<u64>,
    pub rows: Option<u64>,
    /// Nothing was to be copied.
    #[serde(default)]
    pub dry_run: bool,
    /// What became of its notification, once that is settled. In `heads/` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
}

impl Head {
    /// A run that begins.
    pub fn new(job: &str, run_id: &str, started: DateTime<Utc>) -> Self {
        Self {
            job: job.to_owned(),
            run_id: run_id.to_owned(),
            state: State::Running,
            environment: None,
            instance: None,
            started_by: None,
            started,
            ended: None,
            status: None,
            headline: None,
            tables: None,
            rows: None,
            dry_run: false,
            notification: None,
        }
    }

    /// Whether people have been notified of this run, or want no notification.
    pub fn is_notified(&self) -> bool {
        self.notification.as_ref().is_some_and(|notification| notification.state.is_final())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Running,
    Ended,
    /// Its instance ended before it did, or none could be started.
    Lost,
    /// EC2 had no room for it; the launcher asks again.
    Waiting,
    /// It was due while another run of the job was not over.
    Skipped,
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

/// Who tells people of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    Job,
    /// Speaks when the instance is gone: it takes over from a job that claimed and did not publish, and from a launcher that has died.
    Launcher,
}

impl Speaker {
    /// As `notification.json` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Speaker::Job => "sync-job",
            Speaker::Launcher => "launcher",
        }
    }
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

/// `launch.json` of a job: the run that an instance was last asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    pub run_id: String,
    pub at: DateTime<Utc>,
}
