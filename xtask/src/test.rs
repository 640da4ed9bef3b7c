//! `cargo xtask test`: every test of the workspace, against the real binaries.

use crate::{demo, package, setup, workspace};
use anyhow::{Context, Result};
use std::time::Instant;
use stopgap_servers::mysql::UNPACKED;

/// Sets up, builds the programs that the tests run, and tests.
pub fn run(arguments: &[String]) -> Result<()> {
    let tools = setup::run()?;
    let checkov = setup::checkov()?;
    let start = Instant::now();
    println!("Building sync-job, launcher-fn and mssql-simulator");
    // As it is deployed: what only a static program does wrong is found here.
    let job = &workspace::build_static("sync-job", "dev")?;
    let launcher = &workspace::build_static("launcher-fn", "dev")?;
    let programs = workspace::build(&["mssql-simulator"], "dev")?;
    let [simulator] = &programs[..] else { anyhow::bail!("expected one program, built {}", programs.len()) };
    let mut tests = workspace::cargo(["test", "--workspace"]);
    tests
        .args(arguments)
        .env("STOPGAP_VENV", &tools.venv)
        .env("STOPGAP_PG_BIN", &tools.postgres)
        .env("STOPGAP_SYNC_JOB", job)
        .env("STOPGAP_LAUNCHER", launcher)
        .env("STOPGAP_SIMULATOR", simulator)
        .env("STOPGAP_ACTIONLINT", &tools.actionlint)
        .env("STOPGAP_TERRAFORM", &tools.terraform.program)
        .env("STOPGAP_CHECKOV", checkov)
        .envs(tools.terraform.mirror.iter().map(|mirror| ("STOPGAP_TERRAFORM_MIRROR", mirror)));
    match &tools.mysql {
        Ok(root) => {
            tests.env(UNPACKED, root);
        }
        // In CI both must run.
        Err(reason) if std::env::var_os("CI").is_some() => anyhow::bail!("MySQL could not be set up: {reason}"),
        Err(_) => {}
    }
    workspace::run(&mut tests).context("tests failed")?;
    // Arguments choose tests; the demo is one, of the commands that the README begins with.
    if arguments.is_empty() {
        package::check(job, launcher).context("packing failed")?;
        for (target, aws) in
            [(demo::Engine::Postgres, false), (demo::Engine::Mysql, false), (demo::Engine::Postgres, true)]
        {
            let options = demo::Options { target, aws, keep: false };
            demo::show(&options, &tools, [job, simulator, launcher]).context("the demo failed")?;
        }
    }
    if let Err(reason) = &tools.mysql {
        println!("\nMySQL itself was NOT tested, MariaDB stood in for it: {reason}");
    }
    println!("\nAll tests passed in {}", workspace::seconds(start.elapsed()));
    Ok(())
}
