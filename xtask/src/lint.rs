//! `cargo xtask lint`: what CI checks before it tests.

use crate::architecture;
use crate::workspace::{self, cargo, on_path, run};
use anyhow::Result;

/// Format, the architecture, lints, and licences where the tool for it is installed.
pub fn run_all() -> Result<()> {
    run(&mut cargo(["fmt", "--all", "--check"]))?;
    architecture::check(workspace::root())?;
    run(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    if on_path("cargo-deny") {
        run(&mut cargo(["deny", "check"]))?;
    } else {
        println!("cargo-deny is not installed: licences and advisories were not checked (cargo install cargo-deny)");
    }
    Ok(())
}
