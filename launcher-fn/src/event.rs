//! What an invocation asks for.

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::settings::Settings;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Launch(Request),
    /// An instance stopped or was terminated.
    Ended {
        instance: String,
    },
    Sweep,
    /// Nothing to do, and why.
    Ignored(String),
}

/// A run to start. Everything in it follows from the event, so that Lambda's retries of one event ask for the same run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub job: String,
    pub run_id: String,
    pub tables: Vec<String>,
    pub dry_run: bool,
    pub reason: Option<String>,
    pub started_by: StartedBy,
}

impl Request {
    /// What started it, and why, for the run's record.
    pub fn origin(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}: {reason}", self.started_by),
            None => self.started_by.to_string(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartedBy {
    Schedule,
    ByHand,
}

impl std::fmt::Display for StartedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            StartedBy::Schedule => "schedule",
            StartedBy::ByHand => "by hand",
        })
    }
}

/// What a schedule is configured to send, or a person types.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    job: Option<String>,
    #[serde(default)]
    tables: Vec<String>,
    #[serde(default)]
    dry_run: bool,
    reason: Option<String>,
    schedule: Option<Schedule>,
    #[serde(default)]
    sweep: bool,
}

/// Context attributes of EventBridge Scheduler: `<aws.scheduler.schedule-arn>` and `<aws.scheduler.scheduled-time>`. The id of an
/// execution is another "for each attempted invocation of a target" (EventBridge Scheduler User Guide, "Adding context
/// attributes"); it counts only where a schedule sends no ARN.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Schedule {
    arn: Option<String>,
    id: Option<String>,
    time: DateTime<Utc>,
}

const EXAMPLE: &str = "{\"job\": \"nightly-erp\", \"tables\": [\"sales.*\"], \"dry_run\": false, \"reason\": \"…\"}";

const SCHEDULED: &str = "{\"job\": \"nightly-erp\", \"schedule\": {\"arn\": \"<aws.scheduler.schedule-arn>\", \"time\": \"<aws.scheduler.scheduled-time>\"}}";

/// Understands an event. `request_id` is Lambda's, the same for every retry of one event.
pub fn parse(payload: Value, request_id: &str, settings: &Settings) -> anyhow::Result<Event> {
    match payload.get("detail-type").and_then(Value::as_str) {
        Some("EC2 Instance State-change Notification") => return state_change(payload),
        Some("Scheduled Event") => return scheduled(payload, settings),
        Some(other) => bail!("events of the kind {other:?} are not understood"),
        None => {}
    }
    let typed: Typed =
        serde_json::from_value(payload).with_context(|| format!("the event is not understood; send {EXAMPLE}"))?;
    if typed.sweep {
        return Ok(Event::Sweep);
    }
    let (started_by, run_id) = match &typed.schedule {
        Some(Schedule { arn, id, time }) => {
            let name = arn.as_ref().or(id.as_ref());
            let name = name.with_context(|| format!("the event's schedule has no arn; send {SCHEDULED}"))?;
            (StartedBy::Schedule, scheduled_run(name, *time))
        }
        None => (StartedBy::ByHand, format!("manual-{}", &digest(request_id)[..12])),
    };
    let job = match typed.job {
        Some(job) => job,
        None => only_job(settings)?,
    };
    Ok(Event::Launch(Request {
        job,
        run_id,
        tables: typed.tables,
        dry_run: typed.dry_run,
        reason: typed.reason,
        started_by,
    }))
}

fn state_change(payload: Value) -> anyhow::Result<Event> {
    let change: aws_lambda_events::eventbridge::EventBridgeEvent<Value> =
        serde_json::from_value(payload).context("the state-change event is malformed")?;
    let text = |key: &str| change.detail.get(key).and_then(Value::as_str).map(str::to_owned);
    let instance = text("instance-id").context("the state-change event has no detail.instance-id")?;
    let state = text("state").context("the state-change event has no detail.state")?;
    // On its way there the instance may still report by itself.
    if matches!(state.as_str(), "stopped" | "terminated") {
        return Ok(Event::Ended { instance });
    }
    Ok(Event::Ignored(format!("{instance} is {state}")))
}

/// A rule without an input of its own; the job is the only one there is.
fn scheduled(payload: Value, settings: &Settings) -> anyhow::Result<Event> {
    let event: aws_lambda_events::eventbridge::EventBridgeEvent<Value> =
        serde_json::from_value(payload).context("the scheduled event is malformed")?;
    // The rule, since EventBridge may send two events for one time of it.
    let name = event.resources.into_iter().flatten().next().or(event.id).context("the scheduled event has no id")?;
    let time = event.time.context("the scheduled event has no time")?;
    Ok(Event::Launch(Request {
        job: only_job(settings)?,
        run_id: scheduled_run(&name, time),
        tables: Vec::new(),
        dry_run: false,
        reason: None,
        started_by: StartedBy::Schedule,
    }))
}

fn only_job(settings: &Settings) -> anyhow::Result<String> {
    let names: Vec<&String> = settings.jobs.keys().collect();
    ensure!(names.len() == 1, "the event names no job; there are {names:?}: send {EXAMPLE}");
    Ok(names[0].clone())
}

/// When, and something that two schedules of one second do not share.
fn scheduled_run(id: &str, time: DateTime<Utc>) -> String {
    format!("{}-{}", time.format("%Y%m%dT%H%M%SZ"), &digest(id)[..8])
}

/// SHA-256 in hexadecimal digits.
pub fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;
    use serde_json::json;

    fn request(payload: Value) -> Request {
        match parse(payload, "request-1", &settings()).unwrap() {
            Event::Launch(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_event_always_asks_for_the_same_run() {
        let by_hand = || request(json!({"job": "erp", "tables": ["dbo.*"], "dry_run": true, "reason": "late data"}));
        assert_eq!(by_hand(), by_hand());
        assert_eq!((by_hand().started_by, by_hand().dry_run), (StartedBy::ByHand, true));
        let scheduled = |name: &str, value: &str| {
            request(json!({"job": "erp", "schedule": {name: value, "time": "2026-11-20T04:00:00Z"}}))
        };
        for name in ["arn", "id"] {
            assert_eq!(scheduled(name, "e1"), scheduled(name, "e1"));
            assert_ne!(scheduled(name, "e1").run_id, scheduled(name, "e2").run_id);
            assert!(scheduled(name, "e1").run_id.starts_with("20261120T040000Z-"));
        }
    }

    #[test]
    fn every_attempt_of_a_schedule_asks_for_the_same_run() {
        let attempt = |id: &str, time: &str| {
            let schedule = json!({"arn": "arn:aws:scheduler:eu-central-1:1:schedule/g/erp", "id": id, "time": time});
            request(json!({"job": "erp", "schedule": schedule})).run_id
        };
        let first = attempt("d32c5kddcf5bb8c3", "2026-11-20T04:00:00Z");
        assert_eq!(first, attempt("5bb8c3d32c5kddcf", "2026-11-20T04:00:00Z"));
        assert_ne!(first, attempt("d32c5kddcf5bb8c3", "2026-11-21T04:00:00Z"));
        let rule = |id: &str| {
            request(json!({"version": "0", "id": id, "detail-type": "Scheduled Event", "source": "aws.events",
                "account": "1", "time": "2026-11-20T04:00:00Z", "region": "eu-central-1",
                "resources": ["arn:aws:events:eu-central-1:1:rule/nightly"], "detail": {}}))
            .run_id
        };
        assert_eq!(rule("e1"), rule("e2"));
    }

    #[test]
    fn a_bare_rule_starts_the_only_job() {
        let event = json!({"version": "0", "id": "e1", "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "1", "time": "2026-11-20T04:00:00Z", "region": "eu-central-1", "resources": [], "detail": {}});
        assert_eq!(request(event).job, "erp");
    }

    #[test]
    fn only_final_states_count() {
        let event = |state: &str| {
            json!({"version": "0", "id": "e1", "detail-type": "EC2 Instance State-change Notification",
            "source": "aws.ec2", "account": "1", "time": "2026-11-20T04:00:00Z", "region": "eu-central-1", "resources": [],
            "detail": {"instance-id": "i-1", "state": state}})
        };
        let parsed = |state| parse(event(state), "r", &settings()).unwrap();
        assert_eq!(parsed("terminated"), Event::Ended { instance: "i-1".into() });
        assert!(matches!(parsed("shutting-down"), Event::Ignored(_)));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (payload, expected) in [
            (json!({"jobs": "erp"}), "nightly-erp"),
            (json!("run"), "nightly-erp"),
            (json!({"job": "erp", "tables": "dbo.*"}), "nightly-erp"),
            (json!({"detail-type": "Something"}), "Something"),
            (json!({"job": "erp", "schedule": {"time": "2026-11-20T04:00:00Z"}}), "<aws.scheduler.schedule-arn>"),
        ] {
            let error = format!("{:#}", parse(payload.clone(), "r", &settings()).unwrap_err());
            assert!(error.contains(expected), "{payload}: {error}");
        }
    }
}
