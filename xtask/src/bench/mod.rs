//! `cargo xtask bench`: how far the job is from what cannot be avoided.
//!
//! The parts alone are measured in the same run, on the same machine and rows: reading and discarding; the target's own bulk
//! load of the same rows from a file; building the primary keys. Then the whole `sync-job run`, verify included.

mod incremental;
mod process;
mod result;
mod target;

use crate::{
    build::{self, BUILD_EDGES},
    demo::Engine,
    setup, workspace,
};
use anyhow::{Context, Result, ensure};
use process::{Cost, Server, measure};
use result::{Run, Stages};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use stopgap_servers::simulator::{self, Simulator};
use target::Target;

const SOURCE_DATABASE: &str = "tpch";
const SOURCE_PASSWORD: &str = "STOPGAP_BENCH_SOURCE_PASSWORD";
const TARGET_PASSWORD: &str = "STOPGAP_BENCH_TARGET_PASSWORD";
/// What is measured is what is shipped.
const PROFILE: &str = "release";
const PROGRAMS: [&str; 3] = ["sync-job", "mssql-simulator", "read_discard"];
const TPCH: &[&str] = &["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"];

#[derive(Debug, clap::Args)]
pub struct Options {
    /// TPC-H scale factor: 1 is 6 million lineitem rows
    #[arg(long, default_value_t = 0.5)]
    sf: f64,
    /// How often to measure everything; shows medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    runs: u32,
    /// What to copy to; default: PostgreSQL and MySQL
    #[arg(long, value_enum)]
    target: Vec<Engine>,
    /// Encrypt both connections of the job and the one that only reads
    #[arg(long)]
    tls: bool,
    /// Measure following changes against copying everything
    #[arg(long, conflicts_with = "tls")]
    incremental: bool,
    /// Print the result and leave docs/benchmarks.md as it is
    #[arg(long)]
    no_save: bool,
}

struct Bench {
    source: Simulator,
    target: Target,
    sync_job: PathBuf,
    reader: PathBuf,
    tls: bool,
}

pub fn run(options: &Options) -> Result<()> {
    let engines =
        if options.target.is_empty() { vec![Engine::Postgres, Engine::Mysql] } else { options.target.clone() };
    let parts = engines.iter().filter_map(|engine| engine.part()).collect::<Vec<_>>();
    setup::run(&parts)?;
    println!("Building as for a release (the first time takes a while: everything is optimised together)");
    let selection = ["--package", "sync-job", "--package", "mssql-simulator", "--package", "stopgap-tests"];
    let mut command = build::command(&["build", "--profile", PROFILE]);
    command.args(selection).args(PROGRAMS.iter().flat_map(|program| ["--bin", program]));
    let built = build::run(command, &[&selection[..], BUILD_EDGES].concat())?;
    let program = |name: &str| {
        let found = built.iter().find(|made| made.path.ends_with(name)).map(|made| made.path.clone());
        found.with_context(|| format!("{name} was not built"))
    };
    let [sync_job, simulator, reader] = [program(PROGRAMS[0])?, program(PROGRAMS[1])?, program(PROGRAMS[2])?];
    for engine in engines {
        let bench = Bench {
            source: Simulator::start(&simulator, &simulator::Options { tpch: Some(options.sf), ..Default::default() })?,
            target: Target::start(engine)?,
            sync_job: sync_job.clone(),
            reader: reader.clone(),
            tls: options.tls,
        };
        let (name, text) = if options.incremental {
            (format!("changes into {}", engine.name()), incremental::run(&bench, engine, options)?)
        } else {
            (engine.name().to_owned(), bench.run(engine, options)?)
        };
        println!("\n{text}");
        if !options.no_save {
            result::save(&name, &text)?;
            println!("Kept in docs/benchmarks.md");
        }
    }
    Ok(())
}

impl Bench {
    fn run(&self, engine: Engine, options: &Options) -> Result<String> {
        let mut text = result::heading(engine, options.sf, options.runs, options.tls)?;
        for (title, tables) in [("lineitem alone", &["lineitem"][..]), ("All eight tables", TPCH)] {
            let mut runs = Vec::new();
            for number in 1..=options.runs {
                println!("{}, {title}: run {number} of {}", engine.name(), options.runs);
                runs.push(self.measure(tables)?);
            }
            text.push_str(&result::section(engine, title, self.target.load_name(), &runs));
        }
        Ok(text)
    }

    fn measure(&self, tables: &[&str]) -> Result<Run> {
        let (source, target) = (Server(self.source.process_id()), self.target.process());
        let report = workspace::tools().join("bench/report.json");
        let report_of_inserts = report.with_file_name("report-inserts.json");
        let inserts = match &self.target {
            Target::Postgres(_) => None,
            Target::Mysql(_) => {
                self.target.allow_bulk_load(false)?;
                self.target.reset()?;
                let ((), cost) = measure(source, target, |cost| self.whole_run(tables, &report_of_inserts, cost))?;
                self.target.allow_bulk_load(true)?;
                Some(cost)
            }
        };
        self.target.reset()?;
        let (rows, read) = measure(source, target, |cost| self.read_and_discard(tables, cost))?;
        let ((), whole) = measure(source, target, |cost| self.whole_run(tables, &report, cost))?;
        let stages = Stages::read(&report)?;
        ensure!(stages.rows == rows, "the job copied {} rows of {rows}", stages.rows);

        // The same rows in the same types, as files beside the server's data.
        let parts = self.target.prepare(tables)?;
        let ((), load) = measure(source, target, |_| self.target.sql(&parts.load))?;
        let keys = match &parts.keys {
            Some(sql) => measure(source, target, |_| self.target.sql(sql))?.1,
            None => Cost::default(),
        };
        self.target.clean(tables)?;
        Ok(Run { rows, read, load, keys, whole, inserts, stages })
    }

    fn read_and_discard(&self, tables: &[&str], cost: &mut process::Cost) -> Result<u64> {
        let output = workspace::tools().join("bench/rows");
        workspace::write(&output, "")?;
        let mut command = Command::new(&self.reader);
        command
            .args(["--port", &self.source.port().to_string(), "--user", simulator::USER, "--database", SOURCE_DATABASE])
            .args(self.tls.then_some("--tls"))
            .args(tables.iter().map(|table| format!("dbo.{table}")))
            .env("STOPGAP_READ_PASSWORD", simulator::PASSWORD)
            .stdout(fs::File::create(&output).context("making a file for the reader's answer")?)
            .stderr(std::process::Stdio::null());
        process::run(&mut command, cost)?;
        let rows = fs::read_to_string(&output).context("reading the reader's answer")?;
        rows.trim().parse().with_context(|| format!("the reader answered {rows:?}"))
    }

    fn whole_run(&self, tables: &[&str], report: &Path, cost: &mut process::Cost) -> Result<()> {
        let include: Vec<String> = tables.iter().map(|table| format!("\"dbo.{table}\"")).collect();
        let tables = format!("[tables]\ninclude = [{}]\nindexes = \"primary-key\"\n", include.join(", "));
        self.job(&self.job_file(SOURCE_DATABASE, "none", &tables), report, cost)
    }

    /// Runs the job to its successful end.
    fn job(&self, job_file: &str, report: &Path, cost: &mut process::Cost) -> Result<()> {
        let config = workspace::tools().join("bench/bench.toml");
        workspace::write(&config, job_file)?;
        let mut command = Command::new(&self.sync_job);
        command
            .args(["run", "--quiet", "--config"])
            .arg(&config)
            .arg("--report")
            .arg(report)
            .env(SOURCE_PASSWORD, simulator::PASSWORD)
            .env(TARGET_PASSWORD, self.target.password())
            .stdout(std::process::Stdio::null());
        process::run(&mut command, cost)
    }

    /// `tables`: the sections about them.
    fn job_file(&self, database: &str, consistency: &str, tables: &str) -> String {
        let tls = if self.tls { "require" } else { "disable" };
        format!(
            "[job]\nname = \"bench\"\n\n\
             [source]\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"{database}\"\nuser = \"{}\"\n\
             password_env = \"{SOURCE_PASSWORD}\"\ntls = \"{tls}\"\nconsistency = \"{consistency}\"\n\n\
             {}password_env = \"{TARGET_PASSWORD}\"\n\n{tables}",
            self.source.port(),
            simulator::USER,
            self.target.section(),
        )
    }
}
