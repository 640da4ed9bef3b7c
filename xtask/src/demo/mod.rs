//! `cargo xtask demo`: a sample business, copied before your eyes.

mod aws;
mod incremental;
mod target;

use crate::{
    build,
    certificates::{self, Certificates},
    packages::Part,
    setup::{self, Tools},
    workspace,
};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};
use stopgap_servers::{
    ScratchDir, shell_quote,
    simulator::{self, Simulator},
};

pub use target::Engine;
use target::Target;

const SOURCE_DATABASE: &str = "trading";
const TARGET_DATABASE: &str = "analytics";

/// What is shown of the target at the end, and under which words.
const LOOKS: &[(&str, &str)] = &[
    (
        "Customers of any alphabet",
        "SELECT customer_id, name, contact, credit_limit, customer_since FROM customers ORDER BY customer_id LIMIT 5",
    ),
    (
        "The organisation, from hierarchyid",
        "SELECT position, name, job_title, salary, badge FROM hr.employees ORDER BY employee_id LIMIT 4",
    ),
    (
        "Shipments: the instant, the zone it was written in, and the place",
        "SELECT shipment_id, shipped_at, shipped_at_offset, delivered_at, carrier, handed_over_at \
         FROM shipments ORDER BY shipment_id LIMIT 4",
    ),
    (
        "Values of any type, from sql_variant",
        "SELECT field, old_value, old_value_type, new_value, new_value_type FROM audit.audit_log \
         ORDER BY happened_at LIMIT 5",
    ),
    (
        "Turnover by country, over foreign keys and indexes that came along",
        "SELECT c.country, count(DISTINCT o.order_id) AS orders, sum(l.line_total) AS turnover \
         FROM customers c JOIN orders o USING (customer_id) JOIN order_lines l USING (order_id) \
         GROUP BY c.country ORDER BY turnover DESC LIMIT 5",
    ),
];

#[derive(Debug, clap::Args)]
pub struct Options {
    /// What to copy to
    #[arg(long, value_enum, default_value = "postgres")]
    pub target: Engine,
    /// Run the whole AWS chain on loopback: schedule, launcher, instance, secrets, mail
    #[arg(long, conflicts_with = "keep")]
    pub aws: bool,
    /// Follow changes: two runs with a day of business between them
    #[arg(long, conflicts_with_all = ["keep", "aws"])]
    pub incremental: bool,
    /// Leave both servers up until Enter or Ctrl-C
    #[arg(long)]
    pub keep: bool,
}

/// Says what happens, and when, counted from the start.
struct Clock(Instant);

impl Clock {
    fn say(&self, words: &str) {
        println!("\n[{:6.1} s] {words}", self.0.elapsed().as_secs_f64());
    }
}

pub fn run(options: &Options) -> Result<()> {
    let parts: Vec<Part> = options.target.part().into_iter().chain(options.aws.then_some(Part::Clients)).collect();
    let tools = setup::run(&parts)?;
    let names: &[&str] =
        if options.aws { &["sync-job", "mssql-simulator", "bootstrap"] } else { &["sync-job", "mssql-simulator"] };
    println!("Building what the demo runs: {} (the first time takes some minutes)", names.join(", "));
    let mut programs = build::programs(names, &[])?;
    // Without AWS nobody starts it.
    programs.resize_with(3, PathBuf::new);
    let [job, simulator, launcher] = &programs[..] else { anyhow::bail!("built {} programs", programs.len()) };
    show(options, &tools, [job, simulator, launcher])
}

/// The demo with programs that are built already: job, simulator, launcher.
pub fn show(options: &Options, tools: &Tools, [job, simulator, launcher]: [&Path; 3]) -> Result<()> {
    let clock = Clock(Instant::now());
    let files = ScratchDir::new("demo")?;
    let certificates = certificates::make(files.path())?;

    clock.say("Starting a private target");
    let target = Target::start(options.target, &certificates)?;
    println!("It is {}", target.name());
    if options.aws {
        return aws::show(&clock, tools, [job, simulator, launcher], &certificates, &target);
    }
    if options.incremental {
        return incremental::show(&clock, [job, simulator], &certificates, &target);
    }
    clock.say("Starting the SQL Server simulator and loading the sample business (about a million rows)");
    let source = start_source(simulator, &certificates)?;
    clock.say(&format!("Both are up: source on port {}, target on port {}", source.port(), target.port()));

    let kept = workspace::tools().join("demo");
    let config = kept.join("demo.toml");
    workspace::write(&config, &filled_in("demo.toml", &source, &target, &certificates)?)?;
    let report = kept.join("report.json");

    clock.say(&format!("sync-job plan --config {}", config.display()));
    sync_job(job, &["plan"], &config, &target)?;
    let report_file = report.display().to_string();
    clock.say(&format!("sync-job run --config {}: its progress, and the summary as it is mailed", config.display()));
    sync_job(job, &["run", "--report", &report_file], &config, &target)?;

    clock.say("What the target holds now");
    println!("{}", target.counts()?);
    for (title, query) in LOOKS {
        println!("{title}:\n{}", target.show(query)?);
    }
    if options.keep {
        clock.say("Both servers stay up. Look around with");
        println!("    {}", target.command_line());
        println!(
            "and at the source with any client of SQL Server: 127.0.0.1, port {}, encrypted, database {SOURCE_DATABASE}, user {}, \
             password {}",
            source.port(),
            simulator::USER,
            simulator::PASSWORD
        );
        println!("or try the job itself:");
        println!(
            "    export STOPGAP_DEMO_SOURCE_PASSWORD={} STOPGAP_DEMO_TARGET_PASSWORD={}",
            shell_quote(simulator::PASSWORD),
            shell_quote(target.password())
        );
        for command in ["check", "plan", "run", "verify"] {
            println!("    {} {command} --config {}", job.display(), config.display());
        }
        println!("Press Enter (or Ctrl-C) to stop them.");
        std::io::stdin().read_line(&mut String::new()).context("waiting for Enter")?;
        println!("Stopping both servers");
    } else {
        let (dump, reader) = target.dump(tools, &kept)?;
        clock.say("The demo is over, and both servers are stopped");
        println!("The copied tables: {} ({reader} reads it)", dump.display());
        println!("The report as JSON: {report_file}");
        println!("To look around while the servers are up, add --keep");
    }
    Ok(())
}

fn start_source(program: &Path, certificates: &Certificates) -> Result<Simulator> {
    let directory = workspace::root().join("tests/demo");
    let entries = fs::read_dir(&directory).with_context(|| format!("reading {}", directory.display()))?;
    let mut scripts: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    ensure!(!scripts.is_empty(), "no scripts in {}", directory.display());
    scripts.sort();
    let options = simulator::Options {
        tls: Some((certificates.certificate.clone(), certificates.key.clone())),
        scripts: scripts.into_iter().map(|script| (SOURCE_DATABASE.to_owned(), script)).collect(),
        ..simulator::Options::default()
    };
    Simulator::start(program, &options)
}

/// A job file of `config` with the ports and the authority of this run.
fn filled_in(name: &str, source: &Simulator, target: &Target, certificates: &Certificates) -> Result<String> {
    let path = workspace::root().join("config").join(name);
    let mut text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let authority = certificates.authority.display();
    let own = [
        ("port = 14330", format!("port = {}", source.port())),
        ("ca_file = \"authority.pem\"", format!("ca_file = \"{authority}\"")),
    ];
    for (typed, real) in own.into_iter().chain(target.settings()) {
        ensure!(text.contains(typed), "{} lacks `{typed}`", path.display());
        text = text.replace(typed, &real);
    }
    Ok(text)
}

fn sync_job(program: &Path, arguments: &[&str], config: &Path, target: &Target) -> Result<()> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg("--config")
        .arg(config)
        .env("STOPGAP_DEMO_SOURCE_PASSWORD", simulator::PASSWORD)
        .env("STOPGAP_DEMO_TARGET_PASSWORD", target.password());
    workspace::run(&mut command)
}
