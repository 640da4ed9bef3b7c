//! Runs that EC2 had no room for, or did not answer: the sweep asks again under the same run id, before anybody is woken.

use chrono::{DateTime, TimeDelta, Utc};
use stopgap_runs::cloud::chain;
use stopgap_runs::record::{Head, Record, State};
use stopgap_runs::store::StoreError;

use crate::event::Request;
use crate::report::Reporter;

/// A lack of capacity mostly passes within minutes; whoever expects a run should not hear of its failure much later.
const CAPACITY_WAIT: TimeDelta = TimeDelta::hours(2);

/// Leaves the run to the next sweep and says until when it waits; `None` if it has waited long enough, or cannot be written down.
pub async fn defer(reporter: &Reporter, request: &Request, reason: &str) -> Option<DateTime<Utc>> {
    let (job, run_id) = (request.job.as_str(), request.run_id.as_str());
    let write = async {
        let earlier = reporter.store.head(job, run_id).await?.filter(|head| head.state == State::Waiting);
        let head = Head {
            state: State::Waiting,
            started_by: Some(request.origin()),
            started: earlier.map_or_else(Utc::now, |head| head.started),
            headline: Some(format!("[WAITING] {job}: {reason}")),
            dry_run: request.dry_run,
            ..reporter.blank(job, run_id)
        };
        let until = head.started + CAPACITY_WAIT;
        if Utc::now() >= until {
            return Ok(None);
        }
        reporter.store.write_request(job, run_id, request).await?;
        reporter.store.write(&Record { head, report: None }).await?;
        Ok(Some(until))
    };
    write.await.unwrap_or_else(|error: StoreError| {
        tracing::error!(job, run_id, error = chain(&error), "the run cannot wait: it cannot be written down");
        None
    })
}
