//! The project's own commands. `cargo xtask --help` lists them.

mod architecture;
mod bench;
mod boot_test;
mod build;
mod certificates;
mod ci;
mod demo;
mod lint;
mod mysql;
mod npm;
mod package;
mod packages;
mod phases;
mod programs;
mod setup;
mod soak;
mod terraform;
mod test;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Sets up, tests, shows and measures Stopgap", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs what the tests and the demo lack: PostgreSQL, FreeTDS, a Python environment
    Setup,
    /// Copies a sample business database from the SQL Server simulator into a private PostgreSQL
    Demo(demo::Options),
    /// Sets up and runs every test; what follows `--` goes to `cargo test`
    Test {
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// What must pass before a change lands: format, lints, dependencies, and every test; says how long each part took
    Ci(ci::Options),
    /// Boots the machine image in an emulator and runs the job in it, with and without faults; part of `test`
    BootTest,
    /// Measures a copy of TPC-H tables against the parts that every copy needs; writes docs/benchmarks.md
    Bench(bench::Options),
    /// Tests with random inputs, for as long as you like; each change passes a short share of them
    Soak(soak::Options),
    /// Builds dist/: static programs, the launcher's zip, checksums, a bill of materials
    Package(package::Options),
    /// Checks format, lints, the architecture, and what is depended upon
    Lint,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Setup => setup::run(setup::ALL).and_then(|_| setup::checkers()).map(drop),
        Task::Demo(options) => demo::run(&options),
        Task::Test { arguments } => test::run(&arguments),
        Task::Ci(options) => ci::run(&options),
        Task::BootTest => boot_test::run(),
        Task::Bench(options) => bench::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Package(options) => package::run(&options),
        Task::Lint => lint::run_all(),
    };
    report(result)
}

fn report(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
