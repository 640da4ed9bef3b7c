//! Each command: from what was typed to an exit status.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::{Cli, Command, Format, Init, Selected};
use crate::announce::{Announcement, Announcer};
use crate::config::write::{self, Connection};
use crate::config::{self, Consistency, Intent, JobDraft, PasswordSource, Pattern, SourceConfig, Tls, TlsMode};
use crate::exit::ExitStatus;
use crate::job::{Planned, new_run_id};
use crate::plan::{self, TablePlan};
use crate::progress::Display;
use crate::report::{Failure, RunReport, failure_status, render};
use crate::sides::{self, AnyJob};
use crate::source::Source as _;
use crate::source::sqlserver::SqlServer;

/// Runs the command. Errors are of the configuration; what happens later is in reports.
pub async fn run(cli: Cli, display: &Display, cancel: CancellationToken) -> anyhow::Result<ExitStatus> {
    match cli.command {
        Command::Run { selected, dry_run: true, .. } | Command::Plan { selected } => {
            unless(&cancel, plan(&selected)).await
        }
        Command::Run { selected, dry_run: false, report, notify } => {
            let job = open(&selected).await?;
            if let Some(path) = &report {
                can_be_written(path)?;
            }
            let announcer = Announcer::of_command(job.config(), notify).await?;
            announcer.begin(&job.config().name, job.run_id()).await;
            let done = job.run(display.start(), cancel).await;
            // People are told even where the report cannot be written any more.
            announcer.end(&Announcement::of(&done)?).await;
            let status = answer(&done, selected.format)?;
            if let Some(path) = &report {
                write_json(path, &done)?;
            }
            Ok(status)
        }
        Command::Verify { selected } => {
            let job = open(&selected).await?;
            let done = job.verify(display.start(), cancel).await;
            answer(&done, selected.format)
        }
        Command::Check { selected } => unless(&cancel, check(&selected)).await,
        Command::Init(init) => unless(&cancel, self::init(&init)).await,
        Command::History(history) => unless(&cancel, super::history::run(&history)).await,
        Command::Boot(boot) => crate::boot::run(&boot, display, cancel).await,
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

async fn open(selected: &Selected) -> anyhow::Result<AnyJob> {
    let draft = JobDraft::load(&selected.config)?;
    let only = patterns(&selected.tables)?;
    Ok(AnyJob::new(sides::complete(draft, None).await?, new_run_id(), only))
}

/// The command line's globs.
pub fn patterns(tables: &[String]) -> anyhow::Result<Vec<Pattern>> {
    tables.iter().map(|text| Pattern::new(text).map_err(|problem| anyhow::anyhow!("--table: {problem}"))).collect()
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
    let job = open(selected).await?;
    let plan = match planned(&job, selected.format).await? {
        Ok(planned) => planned.plan,
        Err(status) => return Ok(status),
    };
    let select = |table: &TablePlan| job.select(table);
    match selected.format {
        Format::Text => print(&plan::text::render(&plan, &select))?,
        Format::Json => print(&format!("{:#}\n", plan::text::json(&plan, &select)))?,
    }
    Ok(if plan.refusals().next().is_some() { ExitStatus::PrecheckRefused } else { ExitStatus::Ok })
}

/// The plan, or the status after the failure was printed.
async fn planned(job: &AnyJob, format: Format) -> anyhow::Result<Result<Planned, ExitStatus>> {
    match job.plan().await {
        Ok(planned) => Ok(Ok(planned)),
        Err(error) => {
            let failure = Failure::new("plan", &error);
            match format {
                Format::Text => tell(&failure),
                Format::Json => print(&format!("{:#}\n", serde_json::json!({ "failure": failure })))?,
            }
            Ok(Err(failure_status(&failure)))
        }
    }
}

async fn check(selected: &Selected) -> anyhow::Result<ExitStatus> {
    let job = open(selected).await?;
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
    anyhow::ensure!(
        init.ca_file.is_none() || mode == TlsMode::VerifyFull,
        "--ca-file: has no effect unless --tls is verify-full"
    );
    config::check_source_host(&init.host, "--host", "--port").map_err(anyhow::Error::msg)?;
    if let Some(path) = init.output.as_ref().filter(|path| path.exists()) {
        anyhow::bail!("--output: {} is there already, and is not overwritten", path.display());
    }
    let password = PasswordSource::Env(init.password_env.clone());
    let tls = Tls { mode, ca_file: init.ca_file.clone() };
    sides::readable("source", &password, &tls).await?;
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
            tell(&failure);
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

/// A failure before there is a report, on standard error; values of rows only where that is a terminal.
fn tell(failure: &Failure) {
    let message =
        if std::io::stderr().is_terminal() { failure.message.with_values() } else { failure.message.to_string() };
    eprintln!("{message}\n  → {}", failure.remedy);
}

/// Prints the report. Values of rows are for a terminal: what goes into a file or a pipe may be a log or a mail next.
pub fn answer(report: &RunReport, format: Format) -> anyhow::Result<ExitStatus> {
    match format {
        Format::Text if std::io::stdout().is_terminal() => print(&render(&report.with_values()))?,
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
pub fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output cannot be written to"),
    }
}
