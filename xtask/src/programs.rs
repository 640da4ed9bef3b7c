//! The programs that the tests run, and `cargo test` with their places.

use crate::{build, setup::Tools, workspace};
use anyhow::{Context, Result, anyhow};
use std::{ffi::OsString, path::PathBuf, process::Command};
use stopgap_servers::mysql::UNPACKED;

/// What the tests run.
pub struct Programs {
    pub job: PathBuf,
    pub simulator: PathBuf,
    pub launcher: PathBuf,
}

/// What tests are told by their environment.
pub type Environment = Vec<(&'static str, OsString)>;

pub const JOB: &str = "sync-job";
pub const SIMULATOR: &str = "mssql-simulator";
pub const LAUNCHER: &str = "bootstrap";

/// Builds the programs that the tests run.
pub fn build() -> Result<Programs> {
    println!("Building sync-job, launcher-fn and mssql-simulator");
    let programs = build::programs(&[JOB, SIMULATOR, LAUNCHER], &[])?;
    let [job, simulator, launcher] = <[PathBuf; 3]>::try_from(programs).map_err(|_| anyhow!("not three programs"))?;
    Ok(Programs { job, simulator, launcher })
}

/// The one program that was built.
pub fn one(programs: Result<Vec<PathBuf>>) -> Result<PathBuf> {
    programs?.pop().context("nothing was built")
}

/// Whether nothing may be left out.
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// Where servers, clients and programs are.
pub fn environment(tools: &Tools, programs: &Programs) -> Result<Environment> {
    let mut environment: Environment = vec![
        ("STOPGAP_VENV", tools.venv.clone().into()),
        ("STOPGAP_PG_BIN", tools.postgres.clone().into()),
        ("STOPGAP_SYNC_JOB", programs.job.clone().into()),
        ("STOPGAP_LAUNCHER", programs.launcher.clone().into()),
        ("STOPGAP_SIMULATOR", programs.simulator.clone().into()),
    ];
    match &tools.mysql {
        Ok(root) => environment.push((UNPACKED, root.clone().into())),
        // In CI both must run.
        Err(reason) if in_ci() => anyhow::bail!("MySQL could not be set up: {reason}"),
        Err(_) => {}
    }
    Ok(environment)
}

/// `cargo test`, told where everything is.
pub fn tests(environment: Environment) -> Command {
    let mut tests = workspace::cargo(["test"]);
    build::statically(&mut tests).envs(environment);
    tests
}
