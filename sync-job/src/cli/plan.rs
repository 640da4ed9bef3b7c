//! `sync-job plan`, and `run --dry-run`.

use super::args::{Format, Selected};
use super::output::{print, print_failure};
use super::wiring::WiredJob;
use crate::plan::TablePlan;
use crate::report::exit::ExitStatus;
use crate::report::plan::{json, render};
use crate::report::{Failure, failure_status};
use crate::run::job::Planned;

/// Shows what a run would do.
pub async fn run(selected: &Selected) -> anyhow::Result<ExitStatus> {
    let job = WiredJob::open(selected).await?;
    let plan = match planned(&job, selected.format).await? {
        Ok(planned) => planned.plan,
        Err(status) => return Ok(status),
    };
    let select = |table: &TablePlan| job.select(table);
    match selected.format {
        Format::Text => print(&render(&plan, &select))?,
        Format::Json => print(&format!("{:#}\n", json(&plan, &select)))?,
    }
    Ok(if plan.refusals().next().is_some() { ExitStatus::PrecheckRefused } else { ExitStatus::Ok })
}

/// The plan, or the status after the failure was printed.
pub async fn planned(job: &WiredJob, format: Format) -> anyhow::Result<Result<Planned, ExitStatus>> {
    match job.plan().await {
        Ok(planned) => Ok(Ok(planned)),
        Err(error) => {
            let failure = Failure::new("plan", &error);
            match format {
                Format::Text => print_failure(&failure),
                Format::Json => print(&format!("{:#}\n", serde_json::json!({ "failure": failure })))?,
            }
            Ok(Err(failure_status(&failure)))
        }
    }
}
