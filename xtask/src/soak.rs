//! `cargo xtask soak`: tests whose inputs are random, or many, for as long as one wants. What each change must pass has a short share of them.

use crate::{
    programs::{self, environment},
    setup, workspace,
};
use anyhow::{Context, Result};

/// Tests that go on for as long as they are told to; see `stopgap_tests::soak`.
const SOAKED: [&str; 3] = ["random_changes::", "digests::a_copy_is_verified", "readers::"];
const MINUTES: &str = "STOPGAP_SOAK_MINUTES";

#[derive(Debug, clap::Args)]
pub struct Options {
    /// How long to repeat each test, on each kind of target
    #[arg(long, default_value_t = 10)]
    minutes: u32,
}

pub fn run(options: &Options) -> Result<()> {
    let tools = setup::run(setup::ALL)?;
    let programs = programs::build()?;
    let mut tests = programs::tests(environment(&tools, &programs)?);
    tests.env(MINUTES, options.minutes.to_string());
    // Each prints its seeds as it goes.
    tests
        .args(["--package", "stopgap-tests", "--test", "all", "--", "--nocapture", "--test-threads", "2"])
        .args(SOAKED);
    workspace::run(&mut tests).context("the soak failed; its last seed is above")
}
