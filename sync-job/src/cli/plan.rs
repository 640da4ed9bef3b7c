//! `sync-job plan`, and `run --dry-run`.

use super::args::{Format, Selected};
use super::output::{print, print_failure};
use super::wiring::WiredJob;
use crate::model::stage::Stage;
use crate::plan::{RunPlan, TablePlan};
use crate::report::Failure;
use crate::report::exit::ExitStatus;
use crate::report::plan::{json, render};

/// Shows what a run would do.
pub async fn run(selected: &Selected) -> anyhow::Result<ExitStatus> {
    let job = WiredJob::open(selected).await?;
    let plan = match planned(&job, selected.format).await? {
        Ok(plan) => plan,
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
pub async fn planned(job: &WiredJob, format: Format) -> anyhow::Result<Result<RunPlan, ExitStatus>> {
    match job.plan().await {
        Ok(plan) => Ok(Ok(plan)),
        Err(error) => {
            let failure = Failure::new(Stage::Plan, &error);
            match format {
                Format::Text => print_failure(&failure),
                Format::Json => print(&format!("{:#}\n", serde_json::json!({ "failure": failure })))?,
            }
            Ok(Err(ExitStatus::of_run(failure.kind)))
        }
    }
}
