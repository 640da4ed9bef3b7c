//! Looks after what is left: instances past their deadline, and ended ones of which nobody told.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::ended;
use crate::instances::{ENDED_BY, ENVIRONMENT, Found, Instances, JOB};
use crate::report::Reporter;
use crate::settings::Settings;

/// The job stops at its deadline and its machine a little later by themselves; the sweep is for those that do not.
const GRACE: TimeDelta = TimeDelta::minutes(15);

/// What a sweep did; one thing that cannot be dealt with keeps no other from being dealt with.
#[derive(Default)]
struct Swept {
    terminated: Vec<String>,
    reported: Vec<String>,
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
    if let Err(error) = tell_of_forgotten(&ours, settings, reporter, &mut swept).await {
        swept.failures.push(format!("{error:#}"));
    }
    let Swept { terminated, reported, failures } = swept;
    anyhow::ensure!(failures.is_empty(), "the sweep is not complete: {}", failures.join("; "));
    Ok(json!({"outcome": "swept", "seen": ours.len(), "terminated": terminated, "reported": reported}))
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

/// EC2 forgets an instance an hour after its end; a run that is written down as running is not forgotten.
async fn tell_of_forgotten(
    ours: &[Found],
    settings: &Settings,
    reporter: &Reporter,
    swept: &mut Swept,
) -> anyhow::Result<()> {
    for record in reporter.unfinished().await? {
        let is_listed = ours.iter().any(|found| record.instance.as_ref() == Some(&found.id));
        let is_ours = record.environment.as_ref() == Some(&settings.environment);
        if is_listed || !is_ours || !is_overdue(record.started, settings, &record.job) {
            continue;
        }
        match ended::report_forgotten(reporter, &record).await {
            Ok(true) => {
                reporter.count(&record.job, &record.run_id).await;
                swept.reported.push(record.run_id);
            }
            Ok(false) => {}
            Err(error) => swept.failures.push(format!("{}: {error:#}", record.run_id)),
        }
    }
    Ok(())
}
