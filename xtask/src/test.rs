//! `cargo xtask test`: every test of the workspace, against the real binaries.

use crate::{
    boot_test, demo, package,
    programs::{self, Programs},
    setup::{self, Checkers, Tools},
    workspace,
};
use anyhow::{Context, Result};
use std::{process::Command, time::Instant};
use stopgap_servers::machine::{IMAGE, NO_IMAGE};

/// Sets up, builds the programs that the tests run, and tests.
pub fn run(arguments: &[String]) -> Result<()> {
    let tools = setup::run(setup::ALL)?;
    let checkers = setup::checkers()?;
    let start = Instant::now();
    let programs = programs::build()?;
    let mut tests = programs::tests(&tools, &programs)?;
    tests.env("STOPGAP_BROKEN_JOB", workspace::build_broken("dev")?);
    checks(&mut tests, &checkers).arg("--workspace").args(arguments);
    // Whoever chooses tests waits for no image that they do not boot.
    let boots = arguments.is_empty() || arguments.iter().any(|argument| argument.contains("boot"));
    let image = boots.then(|| boot_test::image(&programs.job));
    match &image {
        Some(Ok(image)) => {
            tests.env(IMAGE, image);
        }
        Some(Err(reason)) if std::env::var_os("CI").is_some() => anyhow::bail!("there is no image to boot: {reason}"),
        Some(Err(reason)) => {
            tests.env(NO_IMAGE, reason);
        }
        None => {}
    }
    workspace::run(&mut tests).context("tests failed")?;
    if arguments.is_empty() {
        package::check(&programs.job, &programs.launcher).context("packing failed")?;
        demos(&tools, &programs)?;
    }
    if let Err(reason) = &tools.mysql {
        println!("\nMySQL itself was NOT tested, MariaDB stood in for it: {reason}");
    }
    if let Some(Err(reason)) = &image {
        println!("\nThe machine image was NOT booted: {reason}");
    }
    println!("\nAll tests passed in {}", workspace::seconds(start.elapsed()));
    Ok(())
}

/// The commands that the README begins with.
fn demos(tools: &Tools, programs: &Programs) -> Result<()> {
    for (target, aws) in [(demo::Engine::Postgres, false), (demo::Engine::Mysql, false), (demo::Engine::Postgres, true)]
    {
        let options = demo::Options { target, aws, keep: false };
        demo::show(&options, tools, [&programs.job, &programs.simulator, &programs.launcher])
            .context("the demo failed")?;
    }
    Ok(())
}

/// And where the checkers are.
fn checks<'a>(tests: &'a mut Command, checkers: &Checkers) -> &'a mut Command {
    tests
        .env("STOPGAP_CHECKOV", &checkers.checkov)
        .env("STOPGAP_ACTIONLINT", &checkers.actionlint)
        .env("STOPGAP_TERRAFORM", &checkers.terraform.program)
        .envs(checkers.terraform.mirror.iter().map(|mirror| ("STOPGAP_TERRAFORM_MIRROR", mirror)))
}
