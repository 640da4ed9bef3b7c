//! The test binaries of the workspace, run one after the other, each with its time.

use super::Environment;
use crate::{build::Executable, phases::Phases, workspace};
use anyhow::{Context, Result, ensure};
use std::{path::Path, process::Command};

/// Runs them all, those too that follow one that failed.
pub fn run(phases: &mut Phases, built: &[Executable], environment: &Environment) -> Result<()> {
    let tests: Vec<&Executable> = built.iter().filter(|made| made.is_test).collect();
    ensure!(!tests.is_empty(), "no tests were built");
    let mut failed = Vec::new();
    for test in tests {
        let name = name(test);
        if phases.run(&format!("tests of {name}"), || run_one(test, environment)).is_err() {
            failed.push(name);
        }
    }
    ensure!(failed.is_empty(), "tests failed: {}", failed.join(", "));
    Ok(())
}

/// As `cargo test` runs it: in its package's directory.
fn run_one(test: &Executable, environment: &Environment) -> Result<()> {
    let mut command = Command::new(&test.path);
    command.current_dir(&test.directory).envs(environment.iter().map(|(name, value)| (name, value)));
    workspace::run(&mut command).with_context(|| format!("tests of {}", name(test)))
}

/// `tests/tests/all.rs`, from the workspace's root.
fn name(test: &Executable) -> String {
    let directory = test.directory.strip_prefix(workspace::root()).unwrap_or(Path::new(""));
    directory.join(&test.source).display().to_string()
}
