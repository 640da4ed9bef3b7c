//! An instance of ours has ended: where its run has not reported, this does.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::instances::{ENDED_BY, Found, Instances, JOB};
use crate::report::Reporter;

pub async fn run(instances: &Instances, reporter: &Reporter, id: &str) -> anyhow::Result<Value> {
    let Some(found) = instances.get(id).await? else {
        return Ok(json!({"outcome": "ignored", "reason": format!("{id} is not known any more")}));
    };
    let Some(job) = found.tag(JOB) else {
        return Ok(json!({"outcome": "ignored", "reason": format!("{id} is none of ours")}));
    };
    let told = report(instances, reporter, job, &found).await?;
    let outcome = if told { "reported" } else { "nothing to report" };
    Ok(json!({"outcome": outcome, "job": job, "run_id": found.run_id(), "instance": id}))
}

/// Tells of a run whose instance has ended, unless people have been told. True if this told them.
pub async fn report(instances: &Instances, reporter: &Reporter, job: &str, found: &Found) -> anyhow::Result<bool> {
    let run_id = found.run_id();
    if reporter.was_told(job, run_id).await? {
        return Ok(false);
    }
    // The job did its work and could not publish: its own words are passed on.
    if let Some((record, Some(text))) = reporter.written(job, run_id).await?
        && let Some(headline) = record.headline
    {
        let body = text.strip_prefix(&headline).unwrap_or(&text).trim_start();
        let note = "(Published by the launcher: the instance could not publish this itself.)\n";
        let status = record.status.as_deref().unwrap_or("lost");
        return reporter.tell(job, run_id, status, &headline, &format!("{body}\n{note}")).await;
    }
    let console = instances.console(&found.id).await;
    let headline = format!("[FAILED] {job}: the instance ended before it reported");
    reporter.failure(job, run_id, &headline, &describe(found, &console)).await
}

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
    text.push_str(
        "\nThe run left no report: it never began, or it was ended from outside.\n  → Tables that it had swapped were verified before; all others keep their old\n    rows. The next run drops what this one left behind.\n\n",
    );
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
