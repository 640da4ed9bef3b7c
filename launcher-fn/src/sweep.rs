//! Looks after what is left: instances past their deadline, and ended ones of which nobody told.

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use stopgap_runs::record::{Head, State};

use crate::event::Request;
use crate::instances::{ENDED_BY, ENVIRONMENT, Found, Instances, JOB};
use crate::report::Reporter;
use crate::settings::Settings;
use crate::skipped::{self, Due};
use crate::{ended, launch};

/// The job stops at its deadline and its machine a little later by themselves; the sweep is for those that do not.
const GRACE: TimeDelta = TimeDelta::minutes(15);

/// What a sweep did; one thing that cannot be dealt with keeps no other from being dealt with.
#[derive(Default)]
struct Swept {
    terminated: Vec<String>,
    reported: Vec<String>,
    /// What became of runs that waited for an instance.
    asked_again: Vec<Value>,
    failures: Vec<String>,
}

pub async fn run(instances: &Instances, settings: &Settings, reporter: &Reporter) -> anyhow::Result<Value> {
    let mut ours = instances.find(&[(ENVIRONMENT, &settings.environment)], &[]).await?;
    let mut swept = Swept::default();
    for found in &mut ours {
        let has_ended = matches!(found.state.as_str(), "stopped" | "terminated");
        if has_ended {
            ended::complete(found, reporter).await;
        }
        let Some(job) = found.tag(JOB) else { continue };
        if has_ended {
            match ended::report(instances, reporter, job, found).await {
                Ok(true) => {
                    reporter.count(job, found.run_id()).await;
                    swept.reported.push(found.id.clone());
                }
                Ok(false) => {}
                Err(error) => swept.failures.push(format!("{}: {error:#}", found.id)),
            }
        }
        let may_live = matches!(found.state.as_str(), "shutting-down" | "terminated")
            || !found.launched.is_some_and(|launched| is_overdue(launched, settings, job));
        if !may_live {
            match end(instances, job, found).await {
                Ok(()) => swept.terminated.push(found.id.clone()),
                Err(error) => swept.failures.push(format!("{}: {error:#}", found.id)),
            }
        }
    }
    match reporter.runs().await {
        Ok(runs) => check_runs(instances, &ours, &runs, settings, reporter, &mut swept).await,
        Err(error) => swept.failures.push(format!("{:#}", anyhow::Error::new(error))),
    }
    let Swept { terminated, reported, asked_again, failures } = swept;
    anyhow::ensure!(failures.is_empty(), "the sweep is not complete: {}", failures.join("; "));
    Ok(json!({"outcome": "swept", "seen": ours.len(), "terminated": terminated, "reported": reported,
        "asked_again": asked_again}))
}

fn is_overdue(since: DateTime<Utc>, settings: &Settings, job: &str) -> bool {
    Utc::now() - since > TimeDelta::minutes(i64::from(settings.deadline_minutes(job))) + GRACE
}

/// The report follows when the instance is gone: until then the job may still tell by itself.
async fn end(instances: &Instances, job: &str, found: &Found) -> anyhow::Result<()> {
    tracing::warn!(job, instance = found.id, state = found.state, "past its deadline: terminated");
    if let Err(error) = instances.tag(&found.id, ENDED_BY, "the sweep, since it was past its deadline").await {
        tracing::warn!(instance = found.id, "why it is ended cannot be written on it: {error:#}");
    }
    instances.terminate(&found.id).await
}

/// Goes by what is written down of runs: EC2 forgets an instance an hour after its end, and some runs never had one.
async fn check_runs(
    instances: &Instances,
    ours: &[Found],
    runs: &[Head],
    settings: &Settings,
    reporter: &Reporter,
    swept: &mut Swept,
) {
    let untold = || runs.iter().filter(|head| !head.is_notified());
    for head in untold().filter(|head| head.state != State::Waiting) {
        let is_listed = ours.iter().any(|found| head.instance.as_ref() == Some(&found.id));
        match check_run(head, is_listed, runs, settings, reporter).await {
            Ok(true) => swept.reported.push(head.run_id.clone()),
            Ok(false) => {}
            Err(error) => swept.failures.push(format!("{}: {error:#}", head.run_id)),
        }
    }
    // Last, since EC2 may take its time to answer.
    for head in untold().filter(|head| head.state == State::Waiting) {
        match ask_again(instances, settings, reporter, head).await {
            Ok(answer) => swept.asked_again.push(answer),
            // Given up, and told.
            Err(_) if reporter.was_notified(&head.job, &head.run_id).await => swept.reported.push(head.run_id.clone()),
            Err(error) => swept.failures.push(format!("{}: {error:#}", head.run_id)),
        }
    }
}

/// Notifies of one run of which nobody has been notified, where nobody else will. True if this notified people.
async fn check_run(
    head: &Head,
    is_listed: bool,
    runs: &[Head],
    settings: &Settings,
    reporter: &Reporter,
) -> anyhow::Result<bool> {
    let is_due = match head.state {
        State::Running => !is_listed && is_overdue(head.started, settings, &head.job),
        // The job or the launcher may still be about to publish it.
        State::Ended | State::Lost => !is_listed && Utc::now() - head.ended.unwrap_or(head.started) > GRACE,
        State::Skipped => match skipped::decide(head, runs) {
            Due::Notify => true,
            Due::NotYet => false,
            Due::Settle => {
                reporter.settle(&head.job, &head.run_id).await;
                false
            }
        },
        State::Waiting => false,
    };
    if !is_due {
        return Ok(false);
    }
    let notified = ended::report_forgotten(reporter, head).await?;
    // A run without an instance was counted when it could not be started.
    if notified && head.instance.is_some() {
        reporter.count(&head.job, &head.run_id).await;
    }
    Ok(notified)
}

/// Asks for a waiting run again.
async fn ask_again(
    instances: &Instances,
    settings: &Settings,
    reporter: &Reporter,
    head: &Head,
) -> anyhow::Result<Value> {
    let request: Option<Request> = reporter.store.request(&head.job, &head.run_id).await?;
    let request = request.context("what it was asked for is not written down")?;
    launch::run(instances, settings, reporter, &request).await
}
