//! `sync-job check`.

use std::fmt::Write as _;

use super::args::{Format, Selected};
use super::output::print;
use super::plan::planned;
use super::wiring::WiredJob;
use crate::report::exit::ExitStatus;
use crate::report::plan::render_findings;

/// Connects to both sides and shows every finding of the prechecks.
pub async fn run(selected: &Selected) -> anyhow::Result<ExitStatus> {
    let job = WiredJob::open(selected).await?;
    let plan = match planned(&job, selected.format).await? {
        Ok(planned) => planned.plan,
        Err(status) => return Ok(status),
    };
    let findings: Vec<_> = plan.all_findings().collect();
    let refused = plan.refusals().next().is_some();
    match selected.format {
        Format::Json => {
            let answer = serde_json::json!({"job": plan.job, "source": plan.source, "target": plan.target,
                "tables": plan.tables.len(), "findings": findings, "refused": refused});
            print(&format!("{answer:#}\n"))?;
        }
        Format::Text => {
            let mut out = format!("source  {}: connected\ntarget  {}: connected\n", plan.source, plan.target);
            render_findings(&findings, &mut out);
            let verdict = if refused { "a run would be refused" } else { "a run can start" };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{} tables: {verdict}", plan.tables.len());
            print(&out)?;
        }
    }
    Ok(if refused { ExitStatus::PrecheckRefused } else { ExitStatus::Ok })
}
