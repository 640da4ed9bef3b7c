//! Writes a run's record when it begins and ends, and publishes its one notification.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use stopgap_runs::cloud::chain;
use stopgap_runs::notice::Notice;
use stopgap_runs::notify::{self, Notified};
use stopgap_runs::record::{Head, Record, RunStatus, Speaker, State};
use stopgap_runs::store::Store;

use crate::cloud::Cloud;
use crate::config::{JobConfig, Notify, NotifyOn};
use crate::model::human::counted;
use crate::plan::RunPlan;
use crate::report::exit::ExitStatus;
use crate::report::{RunReport, headline, render};

/// Failures that the form for programs names; the rest is in the report.
const FAILURES_NAMED: usize = 10;

/// How a run ended, for its record and its notification.
#[derive(Debug, Clone)]
pub struct RunSummary {
    pub job: String,
    pub run_id: String,
    pub status: ExitStatus,
    pub headline: String,
    pub body: String,
    started: DateTime<Utc>,
    ended: DateTime<Utc>,
    tables: u64,
    rows: u64,
    compact: Value,
    report: Value,
}

impl RunSummary {
    pub fn of(report: &RunReport) -> serde_json::Result<Self> {
        let failed = report.tables.iter().filter_map(|table| {
            let failure = table.failure.as_ref()?;
            Some(json!({"table": table.source, "stage": failure.stage, "message": failure.message}))
        });
        let compact = json!({
            "job": report.job, "run_id": report.run_id, "status": report.exit_status(),
            "exit_status": report.exit_status().code(), "started": report.started, "ended": report.ended,
            "seconds": report.seconds(), "tables": report.tables.len(), "rows": report.rows(), "bytes": report.bytes(),
            "failed": report.failed(), "failures": failed.take(FAILURES_NAMED).collect::<Vec<_>>(),
            "failure": report.failure,
        });
        Ok(Self {
            job: report.job.clone(),
            run_id: report.run_id.clone(),
            status: report.exit_status(),
            headline: headline(report),
            body: render(report),
            started: report.started,
            ended: report.ended,
            tables: report.tables.len() as u64,
            rows: report.rows(),
            compact,
            report: report.json()?,
        })
    }

    /// A dry run: what would happen.
    pub fn of_plan(plan: &RunPlan, run_id: &str, started: DateTime<Utc>, text: &str) -> Self {
        let refusals = plan.refusals().count();
        let (status, verdict) = match refusals {
            0 => (ExitStatus::Ok, "a run can start".to_owned()),
            1 => (ExitStatus::PrecheckRefused, "a precheck refuses it".to_owned()),
            count => (ExitStatus::PrecheckRefused, format!("{count} prechecks refuse it")),
        };
        let tables = plan.tables.len();
        let planned = counted(tables as u64, "table", "tables");
        let headline = format!("[PLAN] {}: {planned} planned, {verdict}", plan.job);
        let compact =
            json!({"job": plan.job, "run_id": run_id, "dry_run": true, "tables": tables, "refusals": refusals});
        Self {
            job: plan.job.clone(),
            run_id: run_id.to_owned(),
            status,
            body: format!("{headline}\n\n{text}"),
            headline,
            started,
            ended: Utc::now(),
            tables: tables as u64,
            rows: 0,
            report: compact.clone(),
            compact,
        }
    }

    fn is_well(&self) -> bool {
        self.status == ExitStatus::Ok
    }

    /// As the record has it.
    fn run_status(&self) -> RunStatus {
        match serde_json::to_value(self.status) {
            Ok(Value::String(_)) if self.is_well() => RunStatus::Ok,
            Ok(Value::String(word)) => RunStatus::Other(word),
            _ => RunStatus::Other(String::new()),
        }
    }
}

/// Writes records and publishes, as far as it is told where.
#[derive(Debug, Default)]
pub struct Notifier {
    pub cloud: Option<Cloud>,
    pub store: Option<Store>,
    pub notify: Notify,
    pub environment: Option<String>,
    pub instance: Option<String>,
    pub started_by: Option<String>,
    /// Nothing is to be copied.
    pub dry_run: bool,
}

impl Notifier {
    /// For `sync-job run`: a record if the job file says where, a notification if the command line asks for one.
    pub async fn of_command(config: &JobConfig, notify: bool) -> anyhow::Result<Self> {
        anyhow::ensure!(!notify || config.notify.topic.is_some(), "--notify: the job file has no [notify] topic");
        let on_s3 = config.history.as_ref().is_some_and(|place| place.starts_with("s3://"));
        let cloud = if notify || on_s3 { Some(Cloud::load().await) } else { None };
        let store = match (&config.history, &cloud) {
            (Some(place), Some(cloud)) => Some(cloud.store(place)?),
            (Some(place), None) => Some(Store::open(place, None)?),
            (None, _) => None,
        };
        let notify = if notify { config.notify.clone() } else { Notify::default() };
        Ok(Self { cloud, store, notify, started_by: Some("sync-job run".to_owned()), ..Self::default() })
    }

    /// Writes down that a run begins. A run that cannot be written down is still worth doing.
    pub async fn begin(&self, job: &str, run_id: &str) {
        let Some(store) = &self.store else { return };
        let record = Record { head: self.blank(job, run_id, Utc::now()), report: None };
        if let Err(error) = store.write(&record).await {
            tracing::error!(error = chain(&error), "the run's record could not be written");
        }
    }

    /// Writes the record of how it ended, and notifies people once.
    pub async fn end(&self, done: &RunSummary) {
        let wanted = self.is_wanted(done).await;
        if let Some(store) = &self.store {
            let head = Head {
                state: State::Ended,
                ended: Some(done.ended),
                status: Some(done.run_status()),
                headline: Some(done.headline.clone()),
                tables: Some(done.tables),
                rows: Some(done.rows),
                ..self.blank(&done.job, &done.run_id, done.started)
            };
            let record = Record { head, report: Some(done.report.clone()) };
            // The text first: the launcher forwards it where the record says that the run has ended.
            let written = [store.write_text(&record.head, done.body.clone()).await, store.write(&record).await];
            for error in written.into_iter().filter_map(Result::err) {
                tracing::error!(error = chain(&error), "the run's record could not be written");
            }
        }
        let (Some(topic), Some(cloud)) = (&self.notify.topic, &self.cloud) else { return };
        let notice = self.notice(done);
        let publish = wanted.then(|| cloud.publish(topic, &notice));
        match notify::once(self.store.as_ref(), Speaker::Job, &done.job, &done.run_id, publish).await {
            Notified::Published | Notified::Unwanted => {}
            Notified::BySomebodyElse(other) => {
                tracing::warn!(by = other.by, "people have been notified of this run already");
            }
            Notified::Failed(error) => tracing::error!(error = chain(&error), "the summary could not be published"),
        }
    }

    async fn is_wanted(&self, done: &RunSummary) -> bool {
        match self.notify.on {
            // Somebody asked for the plan.
            _ if self.dry_run => true,
            NotifyOn::Always => true,
            NotifyOn::Failure => !done.is_well(),
            NotifyOn::Change => self.last_status(done).await != Some(done.run_status()),
        }
    }

    /// How the run before this one ended.
    async fn last_status(&self, done: &RunSummary) -> Option<RunStatus> {
        let counts = |head: &Head| {
            let has_ended = matches!(head.state, State::Ended | State::Lost) && head.status.is_some();
            has_ended && head.run_id != done.run_id && !head.dry_run
        };
        let earlier = self.store.as_ref()?.latest(&done.job, counts).await;
        earlier
            .unwrap_or_else(|error| {
                tracing::error!(error = chain(&error), "earlier runs cannot be read");
                None
            })?
            .status
    }

    fn notice(&self, done: &RunSummary) -> Notice {
        let location = self.store.as_ref().map(|store| store.location(&done.job, &done.run_id));
        let place = location.as_ref().map(|location| format!("Records in {location}\n")).unwrap_or_default();
        let mut compact = done.compact.clone();
        compact["environment"] = self.environment.clone().into();
        compact["report"] = location.clone().into();
        Notice {
            job: done.job.clone(),
            run_id: done.run_id.clone(),
            status: done.run_status().word().to_owned(),
            environment: self.environment.clone().unwrap_or_default(),
            headline: done.headline.clone(),
            body: format!("{}{place}", done.body),
            compact,
            location,
        }
    }

    fn blank(&self, job: &str, run_id: &str, started: DateTime<Utc>) -> Head {
        Head {
            environment: self.environment.clone(),
            instance: self.instance.clone(),
            started_by: self.started_by.clone(),
            dry_run: self.dry_run,
            ..Head::new(job, run_id, started)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::{Error, Kind, Side};
    use crate::report::Failure;
    use crate::rows::message::Message;

    const SECRET: &str = "4711-secret";

    /// A run that ended early with a message that holds a value of a row.
    fn report(show_values: bool) -> RunReport {
        let error = Error::new(Side::Source, Kind::Data, Message::from("the row ").value(SECRET));
        let now = Utc::now();
        RunReport {
            job: "erp".to_owned(),
            run_id: "r1".to_owned(),
            command: crate::report::Command::Run,
            started: now,
            ended: now,
            source: String::new(),
            target: String::new(),
            tables: Vec::new(),
            notes: Vec::new(),
            refusals: Vec::new(),
            failure: Some(Failure::new(crate::model::stage::Stage::Load, &error)),
            show_values,
        }
    }

    #[test]
    fn no_notification_holds_values_of_rows_and_a_record_only_where_the_job_file_says_so() {
        for show_values in [false, true] {
            let done = RunSummary::of(&report(show_values)).unwrap();
            let notice = Notifier::default().notice(&done);
            for sent in [notice.headline, notice.body, notice.compact.to_string(), done.body, done.compact.to_string()]
            {
                assert!(!sent.contains(SECRET), "show_values = {show_values}: {sent}");
            }
            assert_eq!(done.report.to_string().contains(SECRET), show_values);
        }
    }
}
