//! `cargo xtask bench`: how far the job is from what cannot be avoided.
//!
//! The parts alone are measured in the same run, on the same machine and rows: reading and discarding; PostgreSQL's own
//! binary COPY of the same bytes from a file; building the primary keys. Then the whole `sync-job run`, verify included.

mod process;
mod result;

use crate::{setup, workspace};
use anyhow::{Context, Result, ensure};
use process::{Server, measure};
use result::{Run, Stages};
use std::{fs, path::PathBuf, process::Command};
use stopgap_servers::{
    postgres::{self, PrivateServer},
    simulator::{self, Simulator},
};

const SOURCE_DATABASE: &str = "tpch";
const TARGET_DATABASE: &str = "bench";
const SOURCE_PASSWORD: &str = "STOPGAP_BENCH_SOURCE_PASSWORD";
const TARGET_PASSWORD: &str = "STOPGAP_BENCH_TARGET_PASSWORD";
const TPCH: &[&str] = &["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"];

#[derive(Debug, clap::Args)]
pub struct Options {
    /// TPC-H scale factor: 1 is 6 million lineitem rows
    #[arg(long, default_value_t = 0.5)]
    sf: f64,
    /// How often everything is measured; medians are shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    runs: u32,
    /// Encrypt both connections of the job and the one that only reads
    #[arg(long)]
    tls: bool,
    /// Print the result and leave docs/benchmarks.md as it is
    #[arg(long)]
    no_save: bool,
}

struct Bench {
    source: Simulator,
    target: PrivateServer,
    sync_job: PathBuf,
    reader: PathBuf,
    tls: bool,
}

pub fn run(options: &Options) -> Result<()> {
    setup::run()?;
    println!("Building with optimisation (the first time takes a few minutes)");
    let programs = workspace::build(&["sync-job", "mssql-simulator"], "quick")?;
    let [sync_job, simulator] = &programs[..] else { anyhow::bail!("expected two programs, built {}", programs.len()) };
    let mut reader = workspace::cargo(["build", "--quiet", "--profile", "quick", "--package", "stopgap-tests"]);
    workspace::run(reader.args(["--bin", "read_discard"]))?;
    let bench = Bench {
        source: Simulator::start(simulator, &simulator::Options { tpch: Some(options.sf), ..Default::default() })?,
        target: PrivateServer::start(postgres::Options::default())?,
        sync_job: sync_job.clone(),
        reader: sync_job.with_file_name("read_discard"),
        tls: options.tls,
    };
    bench.target.create_database(TARGET_DATABASE)?;

    let mut text = result::heading(options.sf, options.runs, options.tls)?;
    for (title, tables) in [("lineitem alone", &["lineitem"][..]), ("All eight tables", TPCH)] {
        let mut runs = Vec::new();
        for number in 1..=options.runs {
            println!("{title}: run {number} of {}", options.runs);
            runs.push(bench.measure(tables)?);
        }
        text.push_str(&result::section(title, &runs));
    }
    println!("\n{text}");
    if !options.no_save {
        result::save(&text)?;
        println!("Kept in docs/benchmarks.md");
    }
    Ok(())
}

impl Bench {
    fn measure(&self, tables: &[&str]) -> Result<Run> {
        let (source, target) = (Server(self.source.process_id()), Server(self.target.process_id()));
        self.sql("DROP SCHEMA IF EXISTS parts CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE SCHEMA parts")?;

        let (rows, read) = measure(source, target, |cost| self.read_and_discard(tables, cost))?;
        let report = workspace::tools().join("bench/report.json");
        let ((), whole) = measure(source, target, |cost| self.whole_run(tables, &report, cost))?;
        let stages = Stages::read(&report)?;
        ensure!(stages.rows == rows, "the job copied {} rows of {rows}", stages.rows);

        // The same rows in the same types, as a file beside the server's data.
        let (mut copy, mut keys) = (Vec::new(), Vec::new());
        for table in tables {
            let file = self.target.directory().join(format!("{table}.copy")).display().to_string();
            self.sql(&format!("COPY public.{table} TO '{file}' (FORMAT binary)"))?;
            self.sql(&format!("CREATE TABLE parts.{table} (LIKE public.{table})"))?;
            copy.push(format!("COPY parts.{table} FROM '{file}' (FORMAT binary)"));
            keys.push(format!("ALTER TABLE parts.{table} ADD {}", self.primary_key(table)?));
        }
        self.sql("CHECKPOINT")?;
        let ((), copy) = measure(source, target, |_| self.sql(&copy.join("; ")))?;
        let ((), keys) = measure(source, target, |_| self.sql(&keys.join("; ")))?;
        for table in tables {
            let file = self.target.directory().join(format!("{table}.copy"));
            fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
        }
        Ok(Run { rows, read, copy, keys, whole, stages })
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

    fn whole_run(&self, tables: &[&str], report: &std::path::Path, cost: &mut process::Cost) -> Result<()> {
        let config = workspace::tools().join("bench/bench.toml");
        workspace::write(&config, &self.job_file(tables))?;
        let mut command = Command::new(&self.sync_job);
        command
            .args(["run", "--quiet", "--config"])
            .arg(&config)
            .arg("--report")
            .arg(report)
            .env(SOURCE_PASSWORD, simulator::PASSWORD)
            .env(TARGET_PASSWORD, postgres::PASSWORD)
            .stdout(std::process::Stdio::null());
        process::run(&mut command, cost)
    }

    fn job_file(&self, tables: &[&str]) -> String {
        let tls = if self.tls { "require" } else { "disable" };
        let include: Vec<String> = tables.iter().map(|table| format!("\"dbo.{table}\"")).collect();
        format!(
            "[job]\nname = \"bench\"\n\n\
             [source]\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"{SOURCE_DATABASE}\"\nuser = \"{}\"\n\
             password_env = \"{SOURCE_PASSWORD}\"\ntls = \"{tls}\"\nconsistency = \"none\"\n\n\
             [target]\nengine = \"postgres\"\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"{TARGET_DATABASE}\"\n\
             user = \"{}\"\npassword_env = \"{TARGET_PASSWORD}\"\ntls = \"disable\"\n\n\
             [tables]\ninclude = [{}]\nindexes = \"primary-key\"\n",
            self.source.port(),
            simulator::USER,
            self.target.port(),
            postgres::USER,
            include.join(", "),
        )
    }

    fn primary_key(&self, table: &str) -> Result<String> {
        let sql = format!(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint \
             WHERE contype = 'p' AND conrelid = 'public.{table}'::regclass"
        );
        let definition = self.target.psql(TARGET_DATABASE, &sql, &["-At"])?;
        ensure!(!definition.trim().is_empty(), "{table} has no primary key on the target");
        Ok(definition.trim().to_owned())
    }

    fn sql(&self, sql: &str) -> Result<()> {
        self.target.psql(TARGET_DATABASE, sql, &[]).map(drop)
    }
}
