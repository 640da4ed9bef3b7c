//! `cargo xtask lint`: what CI checks before it tests.

use crate::{
    architecture,
    build::{self, TEST_EDGES},
    phases::Phases,
    setup,
    workspace::{self, cargo, root},
};
use anyhow::{Result, ensure};
use std::{path::Path, process::Command};

/// Format, the module layout, lints, and what is depended upon.
pub fn run_all() -> Result<()> {
    let mut checks = Phases::begin();
    let result = without_clippy(&mut checks).and_then(|()| clippy(&mut checks));
    println!("\n{}", checks.table());
    result
}

/// Format, the module layout, and what is depended upon.
pub fn without_clippy(phases: &mut Phases) -> Result<()> {
    phases.run("format", || {
        workspace::run(&mut cargo(["fmt", "--all", "--check"]))?;
        workspace::run(&mut cargo(["fmt", "--manifest-path", setup::MSSQL_TDS, "--check"]))
    })?;
    phases.run("architecture", || architecture::check(root()))?;
    phases.run("dependencies", dependencies)
}

pub fn clippy(phases: &mut Phases) -> Result<()> {
    phases.run("lint", || {
        let mut clippy = build::command(&["clippy", "--workspace", "--all-targets"]);
        clippy.args(["--", "-D", "warnings"]);
        build::run(clippy, &[&["--workspace"], TEST_EDGES].concat()).map(drop)
    })
}

/// Licences, sources, versions, and what is known to be wrong with any of them, as `deny.toml` says.
fn dependencies() -> Result<()> {
    let program = setup::cargo_deny()?;
    // What only one of the two needs is no concern.
    let unused = ["--allow", "unused-wrapper", "--allow", "license-not-encountered"];
    let rules = [&["check", "--hide-inclusion-graph"], unused.as_slice(), &["bans", "licenses", "sources"]].concat();
    workspace::run(&mut deny(&program, &rules))?;
    workspace::run(&mut deny(&program, &[&["--manifest-path", setup::MSSQL_TDS], rules.as_slice()].concat()))?;
    let fetched = deny(&program, &["fetch", "db"]).output()?;
    if fetched.status.success() {
        return workspace::run(&mut deny(&program, &["check", "--disable-fetch", "advisories"]));
    }
    let said = String::from_utf8_lossy(&fetched.stderr);
    let reason = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason was given");
    // There it can be had.
    ensure!(std::env::var_os("GITHUB_ACTIONS").is_none(), "the database of advisories cannot be fetched: {reason}");
    println!("\nAdvisories were NOT checked, their database cannot be fetched: {reason}");
    Ok(())
}

fn deny(program: &Path, arguments: &[&str]) -> Command {
    let mut deny = Command::new(program);
    deny.args(["--log-level", "warn"]).args(arguments).current_dir(root());
    deny
}
