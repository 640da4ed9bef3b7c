//! `sync-job history`: the runs that were written down.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use serde_json::json;
use stopgap_runs::record::{Notification, Record, State};
use stopgap_runs::store::Store;

use super::args::{Format, History};
use super::output::print;
use crate::cloud::Cloud;
use crate::config::JobDraft;
use crate::model::human::{count, seconds};
use crate::report::exit::ExitStatus;

pub async fn run(asked: &History) -> anyhow::Result<ExitStatus> {
    let (place, own_job) = match (&asked.at, &asked.config) {
        (Some(at), _) => (at.clone(), None),
        (None, Some(file)) => {
            let draft = JobDraft::load(file)?;
            let at =
                draft.history().with_context(|| format!("{}: history.at: this key is required", file.display()))?;
            (at.to_owned(), Some(draft.name().to_owned()))
        }
        (None, None) => {
            bail!("give --config FILE, whose [history] says where, or --at PLACE: a directory or s3://bucket")
        }
    };
    if !place.starts_with("s3://") && !std::path::Path::new(&place).is_dir() {
        bail!("{place}: there is no such directory; a bucket is written s3://NAME");
    }
    let store =
        if place.starts_with("s3://") { Cloud::load().await.store(&place)? } else { Store::open(&place, None)? };
    let job = asked.job.clone().or(own_job);
    let mut records = store.runs(job.as_deref()).await?;
    if let Some(run_id) = &asked.run_id {
        let Some(record) = records.into_iter().find(|record| &record.run_id == run_id) else {
            bail!("no run {run_id} is written down in {}", store.place());
        };
        show(&store, &record, asked.format).await?;
    } else {
        records.truncate(asked.last);
        list(&store, &records, asked.format).await?;
    }
    Ok(ExitStatus::Ok)
}

async fn show(store: &Store, record: &Record, format: Format) -> anyhow::Result<()> {
    let notification = store.notification(&record.job, &record.run_id).await?;
    match format {
        Format::Json => print(&format!("{:#}\n", json!({"record": record, "notification": notification}))),
        Format::Text => {
            let text = store.read_text(&record.job, &record.run_id).await?;
            let text = text.unwrap_or_else(|| format!("{} {}: no report yet\n", record.job, state(record)));
            let by = record.started_by.as_deref().unwrap_or("unknown");
            let on = record.instance.as_deref().map(|id| format!(" on {id}")).unwrap_or_default();
            print(&format!("{text}Started by {by}{on}; {}\n", notified(notification.as_ref())))
        }
    }
}

async fn list(store: &Store, records: &[Record], format: Format) -> anyhow::Result<()> {
    let mut lines = String::new();
    let mut all = Vec::new();
    for record in records {
        let notification = store.notification(&record.job, &record.run_id).await?;
        let time = record.ended.map(|ended| (ended - record.started).num_milliseconds() as f64 / 1000.0);
        // Writing to a String cannot fail.
        let _ = writeln!(
            lines,
            "{:<25} {:<16} {:<14} {:>6} {:>13} {:>7}  {}",
            record.run_id,
            record.started.format("%Y-%m-%d %H:%M"),
            state(record),
            record.tables.map(|tables| tables.to_string()).unwrap_or_default(),
            record.rows.map(count).unwrap_or_default(),
            time.map(seconds).unwrap_or_default(),
            record.job
        );
        all.push(json!({"record": record, "notification": notification}));
    }
    match format {
        Format::Json => print(&format!("{:#}\n", serde_json::Value::Array(all))),
        Format::Text if records.is_empty() => print(&format!("no runs are written down in {}\n", store.place())),
        Format::Text => {
            let heading = format!(
                "{:<25} {:<16} {:<14} {:>6} {:>13} {:>7}  {}\n",
                "run", "started (UTC)", "status", "tables", "rows", "time", "job"
            );
            print(&format!("{heading}{lines}"))
        }
    }
}

fn state(record: &Record) -> String {
    match record.state {
        State::Running => "running".to_owned(),
        State::Ended | State::Lost => record.status.clone().unwrap_or_else(|| "lost".to_owned()),
    }
}

fn notified(notification: Option<&Notification>) -> String {
    let Some(notification) = notification else { return "nobody was told".to_owned() };
    let state = format!("{:?}", notification.state).to_lowercase();
    let at = notification.at.format("%Y-%m-%d %H:%M:%S");
    format!("notification {state} by {} at {at} UTC", notification.by)
}
