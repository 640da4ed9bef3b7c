//! Each command: from what was typed to an exit status.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::{Cli, Command, Format, Init, Selected};
use crate::config::write::{self, Connection};
use crate::config::{Consistency, Engine, Intent, JobConfig, PasswordSource, Pattern, SourceConfig, Tls, TlsMode};
use crate::exit::ExitStatus;
use crate::job::{Job, Planned, new_run_id};
use crate::plan::{self, TablePlan};
use crate::progress::Display;
use crate::report::{Failure, RunReport, failure_status, render};
use crate::source::Source;
use crate::source::sqlserver::SqlServer;
use crate::target::mysql::MySql;
use crate::target::postgres::Postgres;

/// A job between the sides that its file names.
enum AnyJob {
    Postgres(Job<SqlServer, Postgres>),
    Mysql(Job<SqlServer, MySql>),
}

/// The one place that tells targets apart.
macro_rules! with_job {
    ($any:expr, $job:ident => $work:expr) => {
        match $any {
            AnyJob::Postgres($job) => $work,
            AnyJob::Mysql($job) => $work,
        }
    };
}

/// Runs the command. Errors are of the configuration; what happens later is in reports.
pub async fn run(cli: Cli, display: &Display, cancel: CancellationToken) -> anyhow::Result<ExitStatus> {
    match cli.command {
        Command::Run { selected, dry_run: true, .. } | Command::Plan { selected } => {
            unless(&cancel, plan(&selected)).await
        }
        Command::Run { selected, dry_run: false, report } => {
            let job = open(&selected)?;
            if let Some(path) = &report {
                can_be_written(path)?;
            }
            let done = with_job!(&job, job => Box::pin(job.run(display.start(), cancel)).await);
            if let Some(path) = &report {
                write_json(path, &done)?;
            }
            answer(&done, selected.format)
        }
        Command::Verify { selected } => {
            let job = open(&selected)?;
            let done = with_job!(&job, job => Box::pin(job.verify(display.start(), cancel)).await);
            answer(&done, selected.format)
        }
        Command::Check { selected } => unless(&cancel, check(&selected)).await,
        Command::Init(init) => unless(&cancel, self::init(&init)).await,
    }
}

/// Work that only reads can be left where it is.
async fn unless(
    cancel: &CancellationToken,
    work: impl Future<Output = anyhow::Result<ExitStatus>>,
) -> anyhow::Result<ExitStatus> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Ok(ExitStatus::Interrupted),
        status = Box::pin(work) => status,
    }
}

fn open(selected: &Selected) -> anyhow::Result<AnyJob> {
    let config = JobConfig::load(&selected.config)?;
    let file = selected.config.display();
    let sides = [
        ("source", &config.source.password, &config.source.tls),
        ("target", &config.target.password, &config.target.tls),
    ];
    for (side, password, tls) in sides {
        readable(side, password, tls).with_context(|| file.to_string())?;
    }
    let only = selected
        .tables
        .iter()
        .map(|text| Pattern::new(text).map_err(|problem| anyhow::anyhow!("--table: {problem}")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let run_id = new_run_id();
    let source = Arc::new(SqlServer::new(config.source.clone(), config.limits.stall_timeout));
    Ok(match config.target.engine {
        Engine::Postgres => {
            let target = Arc::new(Postgres::new(config.target.clone(), &config.name, &run_id));
            AnyJob::Postgres(Job { config, source, target, run_id, only })
        }
        Engine::Mysql => {
            let target = Arc::new(MySql::new(config.target.clone(), &config.name, &run_id));
            AnyJob::Mysql(Job { config, source, target, run_id, only })
        }
    })
}

/// What the job file names is there: better known now than when the connection fails.
fn readable(side: &str, password: &PasswordSource, tls: &Tls) -> anyhow::Result<()> {
    let key = match password {
        PasswordSource::Env(_) => "password_env",
        PasswordSource::File(_) => "password_file",
    };
    password.read().with_context(|| format!("{side}.{key}"))?;
    if let Some(path) = &tls.ca_file {
        let unreadable = || format!("{side}.ca_file: {} cannot be read", path.display());
        std::fs::File::open(path).and_then(|file| file.metadata()).with_context(unreadable)?;
    }
    Ok(())
}

/// A run of hours should not end with a report that has no place to go to.
fn can_be_written(path: &Path) -> anyhow::Result<()> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("--report: {} cannot be written", path.display()))?;
    Ok(())
}

async fn plan(selected: &Selected) -> anyhow::Result<ExitStatus> {
    let job = open(selected)?;
    let plan = match planned(&job, selected.format).await? {
        Ok(planned) => planned.plan,
        Err(status) => return Ok(status),
    };
    let source = with_job!(&job, job => job.source.clone());
    let select = move |table: &TablePlan| source.select(table, &crate::chunk::Chunk::whole());
    match selected.format {
        Format::Text => print(&plan::text::render(&plan, &select))?,
        Format::Json => print(&format!("{:#}\n", plan::text::json(&plan, &select)))?,
    }
    Ok(if plan.refusals().next().is_some() { ExitStatus::PrecheckRefused } else { ExitStatus::Ok })
}

/// The plan, or the status after the failure was printed.
async fn planned(job: &AnyJob, format: Format) -> anyhow::Result<Result<Planned, ExitStatus>> {
    match with_job!(job, job => Box::pin(job.plan()).await) {
        Ok(planned) => Ok(Ok(planned)),
        Err(error) => {
            let failure = Failure::new("plan", &error);
            match format {
                Format::Text => eprintln!("{}\n  → {}", failure.message, failure.remedy),
                Format::Json => print(&format!("{:#}\n", serde_json::json!({ "failure": failure })))?,
            }
            Ok(Err(failure_status(&failure)))
        }
    }
}

async fn check(selected: &Selected) -> anyhow::Result<ExitStatus> {
    let job = open(selected)?;
    let plan = match planned(&job, selected.format).await? {
        Ok(planned) => planned.plan,
        Err(status) => return Ok(status),
    };
    let findings: Vec<_> = plan.all_findings().collect();
    let refused = plan.refusals().next().is_some();
    match selected.format {
        Format::Json => {
            let answer = serde_json::json!({"job": plan.job, "source": plan.source, "target": plan.target,
                "tables": plan.tables.len(), "findings": findings, "refused": refused});
            print(&format!("{answer:#}\n"))?;
        }
        Format::Text => {
            let mut out = format!("source  {}: connected\ntarget  {}: connected\n", plan.source, plan.target);
            plan::text::render_findings(&findings, &mut out);
            let verdict = if refused { "a run would be refused" } else { "a run can start" };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{} tables: {verdict}", plan.tables.len());
            print(&out)?;
        }
    }
    Ok(if refused { ExitStatus::PrecheckRefused } else { ExitStatus::Ok })
}

async fn init(init: &Init) -> anyhow::Result<ExitStatus> {
    let mode = match init.tls.as_str() {
        "verify-full" => TlsMode::VerifyFull,
        "require" => TlsMode::Require,
        "disable" => TlsMode::Disable,
        other => anyhow::bail!("--tls: {other:?} is not one of verify-full, require, disable"),
    };
    let password = PasswordSource::Env(init.password_env.clone());
    let tls = Tls { mode, ca_file: init.ca_file.clone() };
    readable("source", &password, &tls)?;
    let second = std::time::Duration::from_secs(1);
    let source = SqlServer::new(
        SourceConfig {
            host: init.host.clone(),
            port: init.port,
            database: init.database.clone(),
            user: init.user.clone(),
            password,
            tls,
            intent: Intent::ReadOnly,
            consistency: Consistency::Snapshot,
            lock_timeout: second * 30,
            connect_timeout: second * 15,
            application_name: "stopgap/init".to_owned(),
        },
        second * 60,
    );
    let looked = Box::pin(async { tokio::try_join!(source.facts(), source.catalog()) }).await;
    let (facts, catalog) = match looked {
        Ok(looked) => looked,
        Err(error) => {
            let failure = Failure::new("init", &error);
            eprintln!("{}\n  → {}", failure.message, failure.remedy);
            return Ok(failure_status(&failure));
        }
    };
    let ca_file = init.ca_file.as_ref().map(|path| path.display().to_string());
    let job: String = init
        .database
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(40)
        .collect();
    let connection = Connection {
        job: &job,
        host: &init.host,
        port: init.port,
        database: &init.database,
        user: &init.user,
        password: ("password_env", &init.password_env),
        tls: &init.tls,
        ca_file: ca_file.as_deref(),
        snapshot_allowed: facts.snapshot_allowed.unwrap_or(false),
    };
    let text = write::job_file(&connection, &catalog.tables);
    match &init.output {
        None => print(&text)?,
        Some(path) => {
            let mut file = std::fs::File::create_new(path).with_context(|| {
                format!("{} cannot be created (an existing file is not overwritten)", path.display())
            })?;
            file.write_all(text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))?;
            eprintln!("{} tables found; job file written to {}", catalog.tables.len(), path.display());
        }
    }
    Ok(ExitStatus::Ok)
}

fn answer(report: &RunReport, format: Format) -> anyhow::Result<ExitStatus> {
    match format {
        Format::Text => print(&render(report))?,
        Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(&report.json()?)?))?,
    }
    Ok(report.exit_status())
}

fn write_json(path: &Path, report: &RunReport) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(&report.json()?)?;
    std::fs::write(path, text).with_context(|| format!("the report cannot be written to {}", path.display()))
}

/// A reader that went away (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output cannot be written to"),
    }
}
