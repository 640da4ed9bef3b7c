//! An instance of ours has ended: where its run has not reported, this does.

use std::fmt::Write as _;

use serde_json::{Value, json};

use stopgap_runs::cloud::chain;
use stopgap_runs::record::Head;

use crate::instances::{ENDED_BY, ENVIRONMENT, Found, Instances, JOB, OURS, RUN_ID};
use crate::report::Reporter;
use crate::settings::Settings;

pub async fn run(instances: &Instances, settings: &Settings, reporter: &Reporter, id: &str) -> anyhow::Result<Value> {
    let ignored = |why: &str| Ok(json!({"outcome": "ignored", "reason": format!("{id} {why}")}));
    let Some(mut found) = instances.get(id).await? else {
        // The sweep tells of runs whose instance is forgotten.
        return ignored("is not known any more");
    };
    complete(&mut found, reporter).await;
    let Some(job) = found.tag(JOB) else { return ignored("is none of ours") };
    if found.tag(ENVIRONMENT) != Some(&settings.environment) {
        return ignored("is of another environment");
    }
    let notified = report(instances, reporter, job, &found).await?;
    reporter.count(job, found.run_id()).await;
    let outcome = if notified { "reported" } else { "nothing to report" };
    Ok(json!({"outcome": outcome, "job": job, "run_id": found.run_id(), "instance": id}))
}

/// Tags of ours that the instance has lost, from its run's record: "resources such as tags … are gradually disassociated from the
/// instance and may no longer be visible" after its end (Amazon EC2 User Guide, "Instance termination").
///
/// EventBridge tells of every instance of the account: those with tags of others alone are none of ours. Where records cannot be
/// reached the sweep, which looks at them, finds the run later.
pub async fn complete(found: &mut Found, reporter: &Reporter) {
    let may_be_ours = found.tags.is_empty() || found.tags.keys().any(|name| name.starts_with(OURS));
    if !may_be_ours || [JOB, RUN_ID, ENVIRONMENT].iter().all(|name| found.tags.contains_key(*name)) {
        return;
    }
    match reporter.on_instance(&found.id).await {
        Ok(Some(record)) => {
            let environment = record.environment.map(|environment| (ENVIRONMENT, environment));
            for (name, value) in [(JOB, record.job), (RUN_ID, record.run_id)].into_iter().chain(environment) {
                found.tags.insert(name.to_owned(), value);
            }
        }
        Ok(None) => {}
        Err(error) => {
            tracing::error!(instance = found.id, error = chain(&error), "its run's record cannot be looked for");
        }
    }
}

/// Notifies of a run whose instance has ended, unless people have been notified. True if this notified them.
pub async fn report(instances: &Instances, reporter: &Reporter, job: &str, found: &Found) -> anyhow::Result<bool> {
    let run_id = found.run_id();
    if reporter.is_notified(job, run_id).await? {
        return Ok(false);
    }
    if let Some(notified) = reporter.forward(job, run_id).await? {
        return Ok(notified);
    }
    let console = instances.console(&found.id).await;
    reporter.failure(job, run_id, &headline(job), &describe(found, &console)).await
}

/// Notifies of a run whose instance EC2 has forgotten, or that never had one. True if this notified them.
pub async fn report_forgotten(reporter: &Reporter, head: &Head) -> anyhow::Result<bool> {
    let (job, run_id) = (head.job.as_str(), head.run_id.as_str());
    if reporter.is_notified(job, run_id).await? {
        return Ok(false);
    }
    if let Some(notified) = reporter.forward(job, run_id).await? {
        return Ok(notified);
    }
    let instance = head.instance.as_deref().unwrap_or("its instance");
    let began = head.started.format("%Y-%m-%d %H:%M UTC");
    let text = format!("The run began at {began} on {instance}, which EC2 does not know any more.\n\n{LOST}");
    reporter.failure(job, run_id, &headline(job), &text).await
}

fn headline(job: &str) -> String {
    format!("[FAILED] {job}: the instance ended before it reported")
}

const LOST: &str = "\
The run left no report: it never began, or it was ended from outside.
  → Tables that it had swapped were verified before; all others keep their old
    rows. The next run drops what this one left behind.
";

fn describe(found: &Found, console: &Result<String, String>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let launched = found
        .launched
        .map_or_else(|| "at an unknown time".to_owned(), |at| at.format("%Y-%m-%d %H:%M UTC").to_string());
    let _ = writeln!(text, "{} ({}, {}), launched {launched}, is {}.", found.id, found.kind, found.zone, found.state);
    if let Some(by) = found.tag(ENDED_BY) {
        let _ = writeln!(text, "Ended by: {by}");
    }
    if !found.reason.is_empty() {
        let _ = writeln!(text, "EC2 says: {}", found.reason);
    }
    let _ = writeln!(text, "\n{LOST}");
    match console {
        Ok(lines) if lines.is_empty() => text.push_str("Its console is empty: it may never have booted.\n"),
        Ok(lines) => {
            let _ = writeln!(text, "The end of its console:\n\n{lines}");
        }
        Err(reason) => {
            let _ = writeln!(text, "Its console cannot be shown: {reason}");
        }
    }
    text
}
