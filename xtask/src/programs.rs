//! The programs that the tests run, and `cargo test` with their places.

use crate::{setup::Tools, workspace};
use anyhow::{Context, Result};
use std::{path::PathBuf, process::Command};
use stopgap_servers::mysql::UNPACKED;

/// What the tests run.
pub struct Programs {
    pub job: PathBuf,
    pub simulator: PathBuf,
    pub launcher: PathBuf,
}

/// Builds the programs that the tests run.
pub fn build() -> Result<Programs> {
    println!("Building sync-job, launcher-fn and mssql-simulator");
    // As they are deployed: what only a static program does wrong is found here.
    let job = workspace::build_static("sync-job", "dev")?;
    let launcher = workspace::build_static("launcher-fn", "dev")?;
    let simulator = workspace::build(&["mssql-simulator"], "dev")?.pop().context("the simulator was not built")?;
    Ok(Programs { job, simulator, launcher })
}

/// `cargo test`, told where servers, clients and programs are.
pub fn tests(tools: &Tools, programs: &Programs) -> Result<Command> {
    let mut tests = workspace::cargo(["test"]);
    tests
        .env("STOPGAP_VENV", &tools.venv)
        .env("STOPGAP_PG_BIN", &tools.postgres)
        .env("STOPGAP_SYNC_JOB", &programs.job)
        .env("STOPGAP_LAUNCHER", &programs.launcher)
        .env("STOPGAP_SIMULATOR", &programs.simulator);
    match &tools.mysql {
        Ok(root) => {
            tests.env(UNPACKED, root);
        }
        // In CI both must run.
        Err(reason) if std::env::var_os("CI").is_some() => anyhow::bail!("MySQL could not be set up: {reason}"),
        Err(_) => {}
    }
    Ok(tests)
}
