//! `sync-job init`.

use std::io::Write as _;

use anyhow::Context as _;

use super::args::Init;
use super::output::{print, print_failure};
use super::wiring;
use crate::config::write::{self, Connection};
use crate::config::{self, Consistency, Intent, SourceConfig, Tls, TlsMode};
use crate::connect::password::PasswordSource;
use crate::connect::retry::{self, COMMAND_OUTAGE};
use crate::model::stage::Stage;
use crate::report::Failure;
use crate::report::exit::ExitStatus;
use crate::sources::Source as _;
use crate::sources::sqlserver::SqlServer;

/// Looks at a source and writes a job file for it.
pub async fn run(init: &Init) -> anyhow::Result<ExitStatus> {
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
    wiring::readable("source", &password, &tls).await?;
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
        COMMAND_OUTAGE,
    );
    let look = async || tokio::try_join!(source.facts(), source.catalog());
    let looked = Box::pin(retry::of_command(0, COMMAND_OUTAGE).retry("init", &mut 0, look)).await;
    let (facts, catalog) = match looked {
        Ok(looked) => looked,
        Err(error) => {
            let failure = Failure::new(Stage::Init, &error);
            print_failure(&failure);
            return Ok(ExitStatus::of_run(failure.kind));
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
