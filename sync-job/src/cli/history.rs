//! `sync-job history`: the runs that were written down.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use serde_json::json;
use stopgap_runs::record::{Head, Notification, Record, RunStatus, State};
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
    let mut heads = store.runs(job.as_deref()).await?;
    if let Some(run_id) = &asked.run_id {
        let Some(head) = heads.into_iter().find(|head| &head.run_id == run_id) else {
            bail!("no run {run_id} is written down in {}", store.place());
        };
        show(&store, &head, asked.format).await?;
    } else {
        heads.truncate(asked.last);
        list(&store, &heads, asked.format).await?;
    }
    Ok(ExitStatus::Ok)
}

/// A run for programs: with its report, as long as that is kept.
async fn whole(store: &Store, head: &Head) -> anyhow::Result<serde_json::Value> {
    let record = store.read(&head.job, &head.run_id).await?;
    let mut record = record.unwrap_or_else(|| Record { head: head.clone(), report: None });
    // It has its own place in this form.
    record.head.notification = None;
    Ok(json!({"record": record, "notification": notification(store, head).await?}))
}

/// What is written of it beside the report, or in the head once that has expired.
async fn notification(store: &Store, head: &Head) -> anyhow::Result<Option<Notification>> {
    Ok(store.notification(&head.job, &head.run_id).await?.or_else(|| head.notification.clone()))
}

async fn show(store: &Store, head: &Head, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => print(&format!("{:#}\n", whole(store, head).await?)),
        Format::Text => {
            let text = store.read_text(&head.job, &head.run_id).await?;
            let text = text.unwrap_or_else(|| match head.state {
                State::Running | State::Waiting => format!("{} {}: no report yet\n", head.job, state(head)),
                State::Ended | State::Lost | State::Skipped => {
                    format!("{}\nThe report is not kept any more.\n", head.headline.as_deref().unwrap_or(&head.job))
                }
            });
            let by = head.started_by.as_deref().unwrap_or("unknown");
            let on = head.instance.as_deref().map(|id| format!(" on {id}")).unwrap_or_default();
            let notification = notification(store, head).await?;
            print(&format!("{text}Started by {by}{on}; {}\n", notified(notification.as_ref())))
        }
    }
}

async fn list(store: &Store, heads: &[Head], format: Format) -> anyhow::Result<()> {
    let mut lines = String::new();
    let mut all = Vec::new();
    for record in heads {
        if format == Format::Json {
            all.push(whole(store, record).await?);
        }
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
    }
    match format {
        Format::Json => print(&format!("{:#}\n", serde_json::Value::Array(all))),
        Format::Text if heads.is_empty() => print(&format!("no runs are written down in {}\n", store.place())),
        Format::Text => {
            let heading = format!(
                "{:<25} {:<16} {:<14} {:>6} {:>13} {:>7}  {}\n",
                "run", "started (UTC)", "status", "tables", "rows", "time", "job"
            );
            print(&format!("{heading}{lines}"))
        }
    }
}

fn state(record: &Head) -> String {
    match record.state {
        State::Running => "running".to_owned(),
        State::Waiting => "waiting".to_owned(),
        State::Ended | State::Lost | State::Skipped => {
            record.status.as_ref().unwrap_or(&RunStatus::Lost).word().to_owned()
        }
    }
}

fn notified(notification: Option<&Notification>) -> String {
    let Some(notification) = notification else { return "nobody was notified".to_owned() };
    let state = format!("{:?}", notification.state).to_lowercase();
    let at = notification.at.format("%Y-%m-%d %H:%M:%S");
    format!("notification {state} by {} at {at} UTC", notification.by)
}
