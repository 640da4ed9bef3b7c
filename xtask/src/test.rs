//! `cargo xtask test`: every test of the workspace, against the real binaries.

use crate::{
    boot_test, demo,
    setup::{self, Tools},
    workspace,
};
use anyhow::{Context, Result};
use std::{path::PathBuf, process::Command, time::Instant};
use stopgap_servers::{
    machine::{IMAGE, NO_IMAGE},
    mysql::UNPACKED,
};

/// What the tests run.
pub struct Programs {
    pub job: PathBuf,
    pub simulator: PathBuf,
    pub launcher: PathBuf,
}

/// Sets up, builds the programs that the tests run, and tests.
pub fn run(arguments: &[String]) -> Result<()> {
    let tools = setup::run()?;
    let start = Instant::now();
    let programs = build()?;
    let mut tests = command(&tools, &programs)?;
    tests.arg("--workspace").args(arguments);
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
    // Arguments choose tests; the demo is one, of the commands that the README begins with.
    if arguments.is_empty() {
        for (target, aws) in
            [(demo::Engine::Postgres, false), (demo::Engine::Mysql, false), (demo::Engine::Postgres, true)]
        {
            let options = demo::Options { target, aws, keep: false };
            demo::show(&options, &tools, [&programs.job, &programs.simulator, &programs.launcher])
                .context("the demo failed")?;
        }
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

/// Builds the programs that the tests run.
pub fn build() -> Result<Programs> {
    println!("Building sync-job, launcher-fn and mssql-simulator");
    // As it is deployed: what only a static program does wrong is found here.
    let job = workspace::build_static("sync-job", "dev")?;
    let mut built = workspace::build(&["mssql-simulator", "launcher-fn"], "dev")?.into_iter();
    let mut next = || built.next().context("a program was not built");
    Ok(Programs { job, simulator: next()?, launcher: next()? })
}

/// `cargo test`, told where everything is.
pub fn command(tools: &Tools, programs: &Programs) -> Result<Command> {
    let mut tests = workspace::cargo(["test"]);
    tests
        .env("STOPGAP_VENV", &tools.venv)
        .env("STOPGAP_PG_BIN", &tools.postgres)
        .env("STOPGAP_SYNC_JOB", &programs.job)
        .env("STOPGAP_LAUNCHER", &programs.launcher)
        .env("STOPGAP_SIMULATOR", &programs.simulator)
        .env("STOPGAP_TERRAFORM", &tools.terraform.program)
        .envs(tools.terraform.mirror.iter().map(|mirror| ("STOPGAP_TERRAFORM_MIRROR", mirror)));
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
