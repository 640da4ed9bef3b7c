//! Runs that were due while another of their job was not over: people hear of the first of them if nothing has started for long.

use chrono::{TimeDelta, Utc};
use stopgap_runs::cloud::chain;
use stopgap_runs::record::{Head, Record, RunStatus, Sent, State};
use stopgap_runs::store::StoreError;

use crate::event::{Request, StartedBy};
use crate::report::Reporter;

/// A schedule is missed for long if no run has started for so long after a skipped one.
const LONG: TimeDelta = TimeDelta::hours(2);

/// Writes down that a scheduled run, or one that waited for capacity, was skipped. Whoever starts one by hand has the answer.
pub async fn record(reporter: &Reporter, request: &Request, reason: &str) {
    let (job, run_id) = (request.job.as_str(), request.run_id.as_str());
    let write = async {
        let known = reporter.store.head(job, run_id).await?;
        let has_waited = known.as_ref().is_some_and(|head| head.state == State::Waiting);
        if !has_waited && (known.is_some() || request.started_by != StartedBy::Schedule) {
            return Ok(());
        }
        let now = Utc::now();
        let head = Head {
            state: State::Skipped,
            started_by: Some(request.origin()),
            ended: Some(now),
            status: Some(RunStatus::Skipped),
            headline: Some(format!("[SKIPPED] {job}: a run was due and none has started since")),
            dry_run: request.dry_run,
            ..reporter.blank(job, run_id)
        };
        let due = now.format("%Y-%m-%d %H:%M UTC");
        let text = format!(
            "The run that was due at {due} was skipped:\n\n  {reason}\n\nNo run of this job has started since.\n\
             \u{20} → See what keeps the earlier run. If runs take longer than their schedule\n    allows, schedule them further apart.\n"
        );
        reporter.write_with_text(&Record { head, report: None }, &text).await
    };
    if let Err(error) = write.await {
        let error: StoreError = error;
        tracing::warn!(job, run_id, error = chain(&error), "that the run was skipped cannot be written down");
    }
}

/// What a sweep does about a skipped run of which nobody has been notified.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    Notify,
    /// Something started after it, or people know already that nothing does.
    Settle,
    NotYet,
}

/// Decides from all runs of the last days, of whatever job.
pub fn decide(skipped: &Head, runs: &[Head]) -> Due {
    let own = || runs.iter().filter(|head| head.job == skipped.job && head.environment == skipped.environment);
    let has_started = |head: &Head| !matches!(head.state, State::Skipped | State::Waiting);
    let last_start = own().filter(|head| has_started(head)).map(|head| head.started).max();
    if last_start.is_some_and(|start| start > skipped.started) {
        return Due::Settle;
    }
    let is_told = |head: &Head| head.notification.as_ref().is_some_and(|told| told.state == Sent::Published);
    let of_this_gap =
        |head: &&Head| head.state == State::Skipped && last_start.is_none_or(|start| head.started > start);
    if own().filter(of_this_gap).any(is_told) {
        return Due::Settle;
    }
    if Utc::now() - skipped.started > LONG { Due::Notify } else { Due::NotYet }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stopgap_runs::record::Notification;

    fn head(run_id: &str, state: State, minutes_ago: i64) -> Head {
        Head { state, ..Head::new("erp", run_id, Utc::now() - TimeDelta::minutes(minutes_ago)) }
    }

    #[test]
    fn people_hear_of_the_first_skipped_run_if_nothing_starts_for_long() {
        let long_run = head("a", State::Running, 400);
        let skipped = head("b", State::Skipped, 180);
        assert_eq!(decide(&skipped, &[long_run.clone(), skipped.clone()]), Due::Notify);
        let recent = head("c", State::Skipped, 60);
        assert_eq!(decide(&recent, &[long_run.clone(), recent.clone()]), Due::NotYet);
        let later = head("d", State::Running, 30);
        assert_eq!(decide(&skipped, &[later, long_run.clone(), skipped.clone()]), Due::Settle);
        let waiting = head("e", State::Waiting, 30);
        assert_eq!(decide(&skipped, &[waiting, long_run.clone(), skipped.clone()]), Due::Notify);
        let told = Notification { state: Sent::Published, by: "launcher".into(), at: Utc::now(), detail: None };
        let first = Head { notification: Some(told.clone()), ..skipped.clone() };
        let second = head("f", State::Skipped, 130);
        assert_eq!(decide(&second, &[first.clone(), second.clone(), long_run]), Due::Settle, "people know");
        let start = head("g", State::Ended, 150);
        assert_eq!(decide(&second, &[first, second.clone(), start]), Due::Notify, "another gap");
    }

    #[test]
    fn other_jobs_and_environments_are_no_start() {
        let skipped = head("b", State::Skipped, 180);
        let other = Head { job: "crm".into(), ..head("c", State::Running, 1) };
        let prod = Head { environment: Some("prod".into()), ..head("d", State::Running, 1) };
        assert_eq!(decide(&skipped, &[other, prod, skipped.clone()]), Due::Notify);
    }
}
