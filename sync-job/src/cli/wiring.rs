//! Puts a job together: the source and target that its file names, with their secrets. The one place that knows every engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::args::Selected;
use crate::cloud::Cloud;
use crate::config::{Engine, JobConfig, JobDraft, Pattern, Tls};
use crate::connect::password::PasswordSource;
use crate::model::error::Result;
use crate::model::state::TableState;
use crate::plan::{RunPlan, TablePlan};
use crate::report::RunReport;
use crate::report::progress::Progress;
use crate::run::id::new_run_id;
use crate::run::job::Job;
use crate::sources::Source as _;
use crate::sources::sqlserver::SqlServer;
use crate::targets::mysql::MySql;
use crate::targets::postgres::Postgres;

/// A job of any kind.
pub enum WiredJob {
    Postgres(Job<SqlServer, Postgres>),
    Mysql(Job<SqlServer, MySql>),
}

macro_rules! with_job {
    ($any:expr, $job:ident => $work:expr) => {
        match $any {
            WiredJob::Postgres($job) => $work,
            WiredJob::Mysql($job) => $work,
        }
    };
}

impl WiredJob {
    /// `only`: the command line's globs, empty for every table that the job file selects. `evicted`: see [`Job`].
    pub fn new(config: JobConfig, run_id: String, only: Vec<Pattern>, evicted: CancellationToken) -> Self {
        let source = Arc::new(SqlServer::new(config.source.clone(), config.limits.stall_timeout, config.limits.outage));
        match config.target.engine {
            Engine::Postgres => {
                let target = Arc::new(Postgres::new(config.target.clone(), &config.name, &run_id));
                WiredJob::Postgres(Job { config, source, target, run_id, only, evicted })
            }
            Engine::Mysql => {
                let target = Arc::new(MySql::new(config.target.clone(), &config.name, &run_id));
                WiredJob::Mysql(Job { config, source, target, run_id, only, evicted })
            }
        }
    }

    /// The job of a file, with the tables that the command line chooses.
    pub async fn open(selected: &Selected) -> anyhow::Result<Self> {
        Self::of(&selected.config, &selected.tables).await
    }

    /// As [`WiredJob::open`]. `tables`: globs.
    pub async fn of(config: &Path, tables: &[String]) -> anyhow::Result<Self> {
        let draft = JobDraft::load(config)?;
        let only = patterns(tables)?;
        Ok(Self::new(complete(draft, None).await?, new_run_id(), only, CancellationToken::new()))
    }

    pub fn config(&self) -> &JobConfig {
        with_job!(self, job => &job.config)
    }

    pub fn run_id(&self) -> &str {
        with_job!(self, job => &job.run_id)
    }

    pub async fn plan(&self) -> Result<RunPlan> {
        with_job!(self, job => Box::pin(job.plan()).await.map(|planned| planned.plan))
    }

    /// As [`WiredJob::plan`], for when nobody stands by: passing failures are waited for, and the deadline holds.
    pub async fn plan_in_time(&self, cancel: &CancellationToken) -> Result<RunPlan> {
        with_job!(self, job => Box::pin(job.plan_in_time(cancel)).await.map(|planned| planned.plan))
    }

    pub async fn run(&self, progress: Arc<dyn Progress>, cancel: CancellationToken) -> RunReport {
        with_job!(self, job => Box::pin(job.run(progress, cancel)).await)
    }

    /// As [`Job::verify`].
    pub async fn verify(
        &self,
        limit: usize,
        repair: bool,
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
    ) -> RunReport {
        with_job!(self, job => Box::pin(job.verify(limit, repair, progress, cancel)).await)
    }

    /// What is remembered of tables whose changes are followed, by their names on the target.
    pub async fn states(&self) -> Result<BTreeMap<String, TableState>> {
        with_job!(self, job => job.states().await)
    }

    /// Forgets it; answers with the tables' names.
    pub async fn reset_states(&self) -> Result<Vec<String>> {
        with_job!(self, job => job.reset_states().await)
    }

    /// How a whole table is read: the statement that the source gets.
    pub fn select(&self, table: &TablePlan) -> String {
        with_job!(self, job => job.source.describe_read(table))
    }
}

/// Fetches the secrets that a job file names, and looks whether all that it names is there: better known now than when the
/// connection fails.
pub async fn complete(draft: JobDraft, cloud: Option<&Cloud>) -> anyhow::Result<JobConfig> {
    let file = draft.file().to_owned();
    let found = match cloud {
        _ if !draft.needs_aws() => Ok(crate::config::FoundSecrets::default()),
        Some(cloud) => cloud.credentials_of(&draft).await,
        None => Cloud::load().await.credentials_of(&draft).await,
    };
    let found = found.with_context(|| file.clone())?;
    let config = draft.complete(found)?;
    for (side, password, tls) in [
        ("source", &config.source.password, &config.source.tls),
        ("target", &config.target.password, &config.target.tls),
    ] {
        readable(side, password, tls).await.with_context(|| file.clone())?;
    }
    Ok(config)
}

/// Whether a password and a CA file can be read.
pub async fn readable(side: &str, password: &PasswordSource, tls: &Tls) -> anyhow::Result<()> {
    let key = match password {
        PasswordSource::Env(_) => "password_env",
        PasswordSource::File(_) => "password_file",
        PasswordSource::Provided(provided) => provided.key,
    };
    password.read(false).await.with_context(|| format!("{side}.{key}"))?;
    if let Some(path) = &tls.ca_file {
        let unreadable = || format!("{side}.ca_file: {} cannot be read", path.display());
        std::fs::File::open(path).and_then(|file| file.metadata()).with_context(unreadable)?;
    }
    Ok(())
}

/// The command line's globs.
pub fn patterns(tables: &[String]) -> anyhow::Result<Vec<Pattern>> {
    tables.iter().map(|text| Pattern::new(text).map_err(|problem| anyhow::anyhow!("--table: {problem}"))).collect()
}
