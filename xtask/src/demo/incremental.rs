//! `cargo xtask demo --incremental`: a whole copy, a day of business at the source, and a run that copies only that.

use super::{Clock, SOURCE_DATABASE, filled_in, start_source, sync_job, target::Target};
use crate::{certificates::Certificates, workspace};
use anyhow::Result;
use std::path::Path;

const SCRIPTS: &str = "tests/demo/changes";

/// The job, the simulator and the target are there; what is shown needs no more.
pub fn show(clock: &Clock, [job, simulator]: [&Path; 2], certificates: &Certificates, target: &Target) -> Result<()> {
    let script = |name: &str| workspace::root().join(SCRIPTS).join(name);
    clock.say("Starting the SQL Server simulator and loading the sample business (about a million rows)");
    let source = start_source(simulator, certificates)?;
    source.run_script(SOURCE_DATABASE, &script("tracking.sql"))?;
    clock.say("Change Tracking is on: its owner ran");
    println!("{}", std::fs::read_to_string(script("tracking.sql"))?);

    let kept = workspace::tools().join("demo");
    let config = kept.join("demo-incremental.toml");
    workspace::write(&config, &filled_in("demo-incremental.toml", &source, target, certificates)?)?;

    clock.say(&format!("The first run copies everything: sync-job run --config {}", config.display()));
    sync_job(job, &["run"], &config, target)?;
    clock.say(&format!("A day of business at the source: {SCRIPTS}/one-day.sql"));
    source.run_script(SOURCE_DATABASE, &script("one-day.sql"))?;
    clock.say("The second run copies what changed, and proves it");
    let report = kept.join("report-incremental.json").display().to_string();
    sync_job(job, &["run", "--report", &report], &config, target)?;
    clock.say("sync-job state show: what is remembered, in the target");
    sync_job(job, &["state", "show"], &config, target)?;
    clock.say("The demo is over, and both servers are stopped");
    println!("The second run's report as JSON: {report}");
    Ok(())
}
