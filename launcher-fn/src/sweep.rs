//! Looks after what is left: instances past their deadline, and ended ones of which nobody told.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::ended;
use crate::instances::{ENDED_BY, ENVIRONMENT, Found, Instances, JOB};
use crate::report::Reporter;
use crate::settings::Settings;

/// The job stops at its deadline and its machine a little later by themselves; the sweep is for those that do not.
const GRACE_MINUTES: i64 = 15;

pub async fn run(instances: &Instances, settings: &Settings, reporter: &Reporter) -> anyhow::Result<Value> {
    let ours = instances.find(&[(ENVIRONMENT, &settings.environment)], &[]).await?;
    let (mut terminated, mut reported, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for found in &ours {
        let Some(job) = found.tag(JOB) else { continue };
        let (step, list) = if matches!(found.state.as_str(), "stopped" | "terminated") {
            (ended::report(instances, reporter, job, found).await, &mut reported)
        } else if is_overdue(found, settings.deadline_minutes(job)) {
            (end(instances, job, found).await.map(|()| true), &mut terminated)
        } else {
            continue;
        };
        match step {
            Ok(true) => list.push(found.id.clone()),
            Ok(false) => {}
            // One that cannot be dealt with keeps no other from being dealt with.
            Err(error) => failures.push(format!("{}: {error:#}", found.id)),
        }
    }
    anyhow::ensure!(failures.is_empty(), "the sweep is not complete: {}", failures.join("; "));
    Ok(json!({"outcome": "swept", "seen": ours.len(), "terminated": terminated, "reported": reported}))
}

fn is_overdue(found: &Found, deadline_minutes: u32) -> bool {
    let limit = TimeDelta::minutes(i64::from(deadline_minutes) + GRACE_MINUTES);
    found.state != "shutting-down" && found.launched.is_some_and(|launched| Utc::now() - launched > limit)
}

/// The report follows when the instance is gone: until then the job may still tell by itself.
async fn end(instances: &Instances, job: &str, found: &Found) -> anyhow::Result<()> {
    tracing::warn!(job, instance = found.id, state = found.state, "past its deadline: terminated");
    instances.tag(&found.id, ENDED_BY, "the sweep, since it was past its deadline").await?;
    instances.terminate(&found.id).await
}
