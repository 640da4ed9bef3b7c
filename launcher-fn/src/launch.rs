//! Starts exactly one instance for a request.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::event::{Request, digest};
use crate::instances::{Attempt, ENVIRONMENT, Instances, JOB, RUN_ID, STARTED_BY, StartError};
use crate::metrics;
use crate::report::Reporter;
use crate::settings::{JobSettings, Settings};
use crate::{skipped, waiting};

const TABLES: &str = "stopgap:tables";
const DRY_RUN: &str = "stopgap:dry-run";
const REASON: &str = "stopgap:reason";
/// "Maximum value length – 256 Unicode characters" (Tag your Amazon EC2 resources).
const LONGEST_TAG: usize = 256;
/// "Up to 64 ASCII characters" (Ensuring idempotency in Amazon EC2 API requests).
const TOKEN_LENGTH: usize = 64;

/// What became of a request.
enum Outcome {
    Started(Started),
    /// This very run was started before.
    StartedBefore {
        instance: String,
    },
    /// Another run of the job is not over.
    Skipped {
        instance: Option<String>,
        reason: String,
    },
    /// The same request may do later.
    NotNow(String),
}

struct Started {
    instance: String,
    attempt: String,
    /// What EC2 said to the attempts before.
    refused: Vec<String>,
}

/// Starts the run, or says why not; an error is one that people have been notified of.
pub async fn run(
    instances: &Instances,
    settings: &Settings,
    reporter: &Reporter,
    request: &Request,
) -> anyhow::Result<Value> {
    let (job, run_id) = (request.job.as_str(), request.run_id.as_str());
    // Lambda tries a failed invocation again; that of which people know is not repeated behind their backs.
    if reporter.was_notified(job, run_id).await {
        return Ok(json!({"outcome": "skipped", "reason": format!("{job}: run {run_id} was reported already")}));
    }
    match start(instances, settings, reporter, request).await {
        Ok(Outcome::Started(Started { instance, attempt, refused })) => {
            tracing::info!(job, run_id, instance, attempt, "started");
            reporter.started(job, run_id, &instance, &request.origin(), request.dry_run).await;
            Ok(json!({"outcome": "started", "job": job, "run_id": run_id, "instance": instance, "as": attempt,
                "refused": refused}))
        }
        Ok(Outcome::StartedBefore { instance }) => {
            reporter.started(job, run_id, &instance, &request.origin(), request.dry_run).await;
            Ok(json!({"outcome": "skipped", "run_id": run_id, "instance": instance,
                "reason": format!("{job}: run {run_id} was started already, on {instance}")}))
        }
        Ok(Outcome::Skipped { instance, reason }) => {
            tracing::warn!(job, run_id, instance, "skipped: {reason}");
            skipped::record(reporter, request, &reason).await;
            Ok(json!({"outcome": "skipped", "instance": instance, "reason": reason}))
        }
        Ok(Outcome::NotNow(reason)) => match waiting::defer(reporter, request, &reason).await {
            Some(until) => {
                tracing::warn!(job, run_id, %until, "the next sweep tries again: {reason}");
                Ok(json!({"outcome": "waiting", "job": job, "run_id": run_id, "until": until, "reason": reason}))
            }
            None => fail(settings, reporter, request, anyhow::anyhow!(reason)).await,
        },
        Err(error) => fail(settings, reporter, request, error).await,
    }
}

/// Tells people that the run could not be started.
async fn fail(
    settings: &Settings,
    reporter: &Reporter,
    request: &Request,
    error: anyhow::Error,
) -> anyhow::Result<Value> {
    let job = request.job.as_str();
    let headline = format!("[FAILED] {job}: no instance could be started");
    let text = format!(
        "The launcher could not start the run:\n\n  {}\n\nNothing was read and nothing was written. To try again now, invoke the launcher with\n\n  {{\"job\": \"{job}\"}}\n",
        format!("{error:#}").replace('\n', "\n  ")
    );
    metrics::print(job, &settings.environment, false);
    let told = reporter.failure(job, &request.run_id, &headline, &text).await;
    told.with_context(|| format!("telling of: {error:#}"))?;
    Err(error)
}

async fn start(
    instances: &Instances,
    settings: &Settings,
    reporter: &Reporter,
    request: &Request,
) -> anyhow::Result<Outcome> {
    let (job, run_id) = (request.job.as_str(), request.run_id.as_str());
    let Some(own) = settings.jobs.get(job) else {
        let known: Vec<&String> = settings.jobs.keys().collect();
        bail!("the job {job:?} is not known; STOPGAP_JOBS has {known:?}");
    };
    let tags = tags(request, &settings.environment)?;
    if let Some(found) = instances.find(&[(JOB, job), (RUN_ID, run_id)], &[]).await?.into_iter().next() {
        return Ok(Outcome::StartedBefore { instance: found.id });
    }
    let running = instances.find(&[(JOB, job), (ENVIRONMENT, &settings.environment)], &["pending", "running"]).await?;
    if let Some(found) = running.first() {
        let reason = format!("{job} is still running: {} is {}, run {}", found.id, found.state, found.run_id());
        return Ok(Outcome::Skipped { instance: Some(found.id.clone()), reason });
    }
    // Another run may have been started a moment ago, which EC2 does not list yet.
    if let Some(other) = reporter.launched_already(job, run_id).await {
        let reason = format!("{job} is being started already: run {}", other.run_id);
        return Ok(Outcome::Skipped { instance: None, reason });
    }
    let outcome = start_one(instances, own, reporter, request, &tags).await;
    if !matches!(outcome, Ok(Outcome::Started(_))) {
        reporter.not_launched(job, run_id).await;
    }
    outcome
}

async fn start_one(
    instances: &Instances,
    own: &JobSettings,
    reporter: &Reporter,
    request: &Request,
    tags: &BTreeMap<String, String>,
) -> anyhow::Result<Outcome> {
    let (job, run_id) = (request.job.as_str(), request.run_id.as_str());
    let (mut refused, mut may_come) = (Vec::new(), false);
    for (number, attempt) in attempts(own).into_iter().enumerate() {
        if number > 0 {
            // The attempts before took their time: the same event may have been handled elsewhere, or the claim grown old.
            if let Some(found) = instances.find(&[(JOB, job), (RUN_ID, run_id)], &[]).await?.into_iter().next() {
                return Ok(started(found.id, "by another invocation".to_owned(), refused));
            }
            if let Some(other) = reporter.launched_already(job, run_id).await {
                bail!("the run {} was started meanwhile; before that:\n{}", other.run_id, refused.join("\n"));
            }
        }
        // Each attempt is another request, and a token stands for one request; the run's first attempts give the same tokens.
        let token = &digest(&format!("{job}/{run_id}/{number}"))[..TOKEN_LENGTH];
        match instances.start(&own.launch_template_id, &attempt, token, tags).await {
            Ok(instance) => return Ok(started(instance, attempt.to_string(), refused)),
            Err(error @ (StartError::NoCapacity(_) | StartError::Unfit(_))) => {
                tracing::warn!(job, run_id, %attempt, "no capacity: {error}");
                may_come |= matches!(error, StartError::NoCapacity(_));
                refused.push(format!("{attempt}: {error}"));
            }
            Err(StartError::Passing(text)) => {
                // What was never answered may have been done.
                if let Some(found) = instances.of_run(job, run_id).await? {
                    return Ok(started(found.id, format!("{attempt}, unanswered: {text}"), refused));
                }
                return Ok(Outcome::NotNow(format!("RunInstances ({attempt}): {text}")));
            }
            Err(error @ StartError::Other(_)) => {
                return Err(error).with_context(|| format!("RunInstances ({attempt})"));
            }
        }
    }
    let reason = format!("no capacity anywhere:\n{}", refused.join("\n"));
    if may_come { Ok(Outcome::NotNow(reason)) } else { bail!(reason) }
}

fn started(instance: String, attempt: String, refused: Vec<String>) -> Outcome {
    Outcome::Started(Started { instance, attempt, refused })
}

/// Spot first where asked for, then on-demand; each type in each subnet.
fn attempts(job: &JobSettings) -> Vec<Attempt> {
    let choices = |list: &[String]| -> Vec<Option<String>> {
        if list.is_empty() { vec![None] } else { list.iter().cloned().map(Some).collect() }
    };
    let markets: &[bool] = if job.spot { &[true, false] } else { &[false] };
    let mut attempts = Vec::new();
    for spot in markets {
        for instance_type in choices(&job.instance_types) {
            for subnet in choices(&job.subnets) {
                attempts.push(Attempt {
                    spot: *spot,
                    instance_type: instance_type.clone(),
                    subnet,
                    security_groups: job.security_groups.clone(),
                });
            }
        }
    }
    attempts
}

/// What the instance is told of its run.
fn tags(request: &Request, environment: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut tags = BTreeMap::from([
        ("Name".to_owned(), format!("stopgap {}", request.job)),
        (JOB.to_owned(), request.job.clone()),
        (RUN_ID.to_owned(), request.run_id.clone()),
        (ENVIRONMENT.to_owned(), environment.to_owned()),
        (STARTED_BY.to_owned(), request.started_by.to_string()),
    ]);
    if !request.tables.is_empty() {
        let list = serde_json::to_string(&request.tables)?;
        if list.chars().count() > LONGEST_TAG {
            bail!(
                "\"tables\" is too long: an instance's tag holds {LONGEST_TAG} characters; use patterns such as \"sales.*\""
            );
        }
        tags.insert(TABLES.to_owned(), list);
    }
    if request.dry_run {
        tags.insert(DRY_RUN.to_owned(), "true".to_owned());
    }
    if let Some(reason) = &request.reason {
        tags.insert(REASON.to_owned(), reason.chars().take(LONGEST_TAG).collect());
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::settings;

    #[test]
    fn spot_comes_first_and_every_subnet_has_its_turn() {
        let found: Vec<String> = attempts(&settings().jobs["erp"]).iter().map(Attempt::to_string).collect();
        assert_eq!(found.len(), 8);
        assert_eq!(found[0], "Spot m7g.large in subnet-a");
        assert_eq!(found[1], "Spot m7g.large in subnet-b");
        assert_eq!(found[7], "on-demand m6g.large in subnet-b");
    }

    #[test]
    fn tags_carry_what_the_event_asks_for() {
        let mut request = Request {
            job: "erp".into(),
            run_id: "r1".into(),
            tables: vec!["sales.*".into(), "dbo.Order Lines".into()],
            dry_run: true,
            reason: Some("late data".into()),
            started_by: crate::event::StartedBy::ByHand,
        };
        let tags = tags(&request, "dev").unwrap();
        assert_eq!(tags[TABLES], "[\"sales.*\",\"dbo.Order Lines\"]");
        assert_eq!((tags[DRY_RUN].as_str(), tags[REASON].as_str()), ("true", "late data"));
        request.tables = vec!["x".repeat(300)];
        assert!(super::tags(&request, "dev").unwrap_err().to_string().contains("tables"));
    }
}
