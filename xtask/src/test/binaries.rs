//! The test binaries of the workspace, run one after the other, each with its time.

use super::Environment;
use crate::{build::Executable, phases::Phases, workspace};
use anyhow::{Context, Result, ensure};
use std::{num::NonZero, path::Path, process::Command};

/// The integration tests, which mostly wait for servers.
const WAITING: &str = "tests/tests/all.rs";
/// How many of those a processor has at a time.
const WAITING_AT_ONCE: usize = 2;
/// How many tests of a binary run at the same time (libtest).
const THREADS: &str = "RUST_TEST_THREADS";

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
    if name(test) == WAITING && std::env::var_os(THREADS).is_none() {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        command.env(THREADS, (processors * WAITING_AT_ONCE).to_string());
    }
    workspace::run(&mut command).with_context(|| format!("tests of {}", name(test)))
}

/// `tests/tests/all.rs`, from the workspace's root.
fn name(test: &Executable) -> String {
    let directory = test.directory.strip_prefix(workspace::root()).unwrap_or(Path::new(""));
    directory.join(&test.source).display().to_string()
}
