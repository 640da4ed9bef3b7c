//! What an instance runs when it boots: finds its job, runs it, and notifies people once, whatever happened.

mod job_file;
mod settings;
mod watchdog;

use anyhow::Context as _;
use chrono::Utc;
use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::args::Boot;
use super::output::print;
use super::wiring::{self, WiredJob, patterns};
use crate::cloud::Cloud;
use crate::cloud::instance::{self, Identity, Metadata};
use crate::cloud::notify::{Notifier, RunSummary};
use crate::model::error::{Error, Kind, Side};
use crate::model::stage::Stage;
use crate::plan::TablePlan;
use crate::report::exit::ExitStatus;
use crate::report::progress::Display;
use crate::report::{Failure, RunReport, metrics};
use crate::rows::message::{Message, of_unknown};
use crate::run::id::new_run_id;
use job_file::Found;
use settings::Settings;

/// The name in reports of a run whose job could not be found out.
const NO_JOB: &str = "stopgap";

/// Runs the instance's job. Every failure becomes a report; only an unusable standard output is an error.
pub async fn run(arguments: &Boot, display: &Display, cancel: CancellationToken) -> anyhow::Result<ExitStatus> {
    let cloud = Cloud::load().await;
    let metadata = Metadata::new();
    let identity = match identity(&metadata).await {
        Ok(identity) => identity,
        Err(error) => {
            // Under a name of its own the run would be notified of twice, and might copy what nobody asked for.
            tracing::error!(
                error = format!("{error:#}"),
                "instance metadata does not say which run this is: nothing is copied, and the launcher notifies people"
            );
            return Ok(ExitStatus::Configuration);
        }
    };
    let evicted = CancellationToken::new();
    let spot = identity.is_some().then(|| tokio::spawn(metadata.watch_spot(cancel.clone(), evicted.clone())));
    let started = prepare(arguments, &cloud, identity.as_ref()).await;
    let Prepared { notifier, job, run_id, work } = started;
    notifier.begin(&job, &run_id).await;
    let done = match work {
        Ok(work) => attempt(work, &cloud, arguments, display, (cancel, evicted)).await,
        Err(error) => Err(error),
    };
    let done = match done {
        Ok(done) => done,
        Err(error) => Done::Run(Box::new(refused(&job, &run_id, &error))),
    };
    let (summary, metrics) = match done {
        Done::Planned(summary) => (*summary, None),
        Done::Run(mut report) => {
            note_spot(&mut report, spot).await;
            let environment = notifier.environment.as_deref().unwrap_or("none");
            (RunSummary::of(&report)?, Some(metrics::line(&report, environment)))
        }
    };
    // People are notified even where nothing can be printed any more.
    notifier.end(&summary).await;
    let lines = metrics.map(|line| format!("{line}\n")).unwrap_or_default();
    if let Err(error) = print(&format!("{lines}{}", summary.body)) {
        tracing::warn!(error = format!("{error:#}"), "the summary could not be printed");
    }
    Ok(summary.status)
}

/// Who this machine is; nobody where there is no metadata service. An error where there is one that does not answer, unless the run is
/// named otherwise.
async fn identity(metadata: &Metadata) -> anyhow::Result<Option<Identity>> {
    let is_instance = instance::is_instance();
    let found = if is_instance { metadata.identity_in_time().await } else { metadata.identity().await };
    match found {
        Ok(identity) => Ok(Some(identity)),
        Err(error) if is_instance && std::env::var_os("STOPGAP_RUN_ID").is_none() => Err(error),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "this machine has no instance metadata");
            Ok(None)
        }
    }
}

/// What is known before the job file is understood.
struct Prepared {
    notifier: Notifier,
    job: String,
    run_id: String,
    work: anyhow::Result<Work>,
}

/// What there is to do.
struct Work {
    found: Found,
    settings: Settings,
    run_id: String,
}

enum Done {
    Run(Box<RunReport>),
    Planned(Box<RunSummary>),
}

/// Finds out first whom to notify, so that every later failure reaches people.
async fn prepare(arguments: &Boot, cloud: &Cloud, identity: Option<&Identity>) -> Prepared {
    let (settings, problem) = Settings::gather(identity, |name| std::env::var(name).ok());
    let instance = settings.instance.clone();
    let run_id = settings.run_id.clone().or_else(|| instance.clone()).unwrap_or_else(new_run_id);
    let mut notifier = Notifier {
        cloud: Some(cloud.clone()),
        environment: settings.environment.clone(),
        instance,
        started_by: Some(started_by(&settings)),
        dry_run: settings.dry_run,
        ..Notifier::default()
    };
    notifier.notify.topic.clone_from(&settings.topic);
    let mut work = match problem {
        Some(problem) => Err(problem),
        None => job_file::find(&settings, cloud, &arguments.jobs).await,
    };
    if let (Ok(Found { draft, .. }), Some(job)) = (&work, &settings.job)
        && draft.name() != job
    {
        // Records, metrics and the lease of one run would go by two names.
        work = Err(anyhow::anyhow!(
            "{}: job.name is {:?}, and this instance was started for the job {job:?}: give both the same name",
            draft.file(),
            draft.name()
        ));
    }
    let own_name = work.as_ref().ok().map(|found| found.draft.name());
    let job = settings.job.as_deref().or(own_name).unwrap_or(NO_JOB).to_owned();
    if let Ok(Found { draft, .. }) = &work {
        let own = draft.notify();
        notifier.notify.on = own.on;
        notifier.notify.topic = own.topic.or(notifier.notify.topic);
    }
    // The instance's place goes first: the launcher looks there.
    let place =
        settings.place().or_else(|| work.as_ref().ok().and_then(|found| found.draft.history().map(str::to_owned)));
    match place.map(|place| cloud.store(&place)).transpose() {
        Ok(store) => notifier.store = store,
        Err(error) => work = Err(anyhow::Error::new(error).context("the place of run records")),
    }
    let work = work.map(|found| Work { found, settings, run_id: run_id.clone() });
    Prepared { notifier, job, run_id, work }
}

fn started_by(settings: &Settings) -> String {
    let by = settings.started_by.as_deref().unwrap_or("an instance launched by hand");
    match &settings.reason {
        Some(reason) => format!("{by}: {reason}"),
        None => by.to_owned(),
    }
}

async fn attempt(
    work: Work,
    cloud: &Cloud,
    arguments: &Boot,
    display: &Display,
    (cancel, evicted): (CancellationToken, CancellationToken),
) -> anyhow::Result<Done> {
    let Work { found: Found { draft, notes }, settings, run_id } = work;
    // First, since people ask for it when something goes wrong early.
    if draft.keep_alive() {
        watchdog::keep_alive(&arguments.runtime);
    }
    let only = patterns(&settings.tables).context("the instance's setting stopgap:tables")?;
    let config = wiring::complete(draft, Some(cloud)).await?;
    let _watchdog = config.limits.deadline.map(|deadline| watchdog::start(deadline + config.limits.grace));
    let job = WiredJob::new(config, run_id.clone(), only, evicted);
    let began = Utc::now();
    let work = async {
        if settings.dry_run {
            return plan(&job, &run_id, began, &cancel).await;
        }
        let mut report = job.run(display.start(), cancel).await;
        report.notes.extend(notes);
        if let Some(reason) = &settings.reason {
            report.notes.push(format!("started by hand: {reason}"));
        }
        Ok(Done::Run(Box::new(report)))
    };
    // A mistake in this program must not keep people from hearing of it.
    match std::panic::AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done,
        Err(panic) => {
            let text =
                panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            // It may quote what the program stumbled over.
            let text = of_unknown(text.unwrap_or("without a message"), |_| false);
            let error = Error::new(Side::Job, Kind::Internal, Message::from("sync-job panicked: ").message(&text));
            Ok(Done::Run(Box::new(early(&job.config().name, &run_id, Stage::Run, &error))))
        }
    }
}

async fn plan(
    job: &WiredJob,
    run_id: &str,
    began: chrono::DateTime<Utc>,
    cancel: &CancellationToken,
) -> anyhow::Result<Done> {
    match job.plan_in_time(cancel).await {
        Ok(plan) => {
            let select = |table: &TablePlan| job.select(table);
            let text = crate::report::plan::render(&plan, &select);
            Ok(Done::Planned(Box::new(RunSummary::of_plan(&plan, run_id, began, &text))))
        }
        Err(error) => Ok(Done::Run(Box::new(early(&job.config().name, run_id, Stage::Plan, &error)))),
    }
}

/// A run that could not start as it is configured.
fn refused(job: &str, run_id: &str, error: &anyhow::Error) -> RunReport {
    let error = Error::new(Side::Job, Kind::Configuration, format!("{error:#}"));
    early(job, run_id, Stage::Configuration, &error)
}

/// A run that ended before there was anything to report of tables.
fn early(job: &str, run_id: &str, stage: Stage, error: &Error) -> RunReport {
    let now = Utc::now();
    RunReport {
        job: job.to_owned(),
        run_id: run_id.to_owned(),
        command: crate::report::Command::Run,
        started: now,
        ended: now,
        source: "not reached".to_owned(),
        target: "not reached".to_owned(),
        tables: Vec::new(),
        notes: Vec::new(),
        refusals: Vec::new(),
        failure: Some(Failure::new(stage, error)),
        show_values: false,
    }
}

/// Why the run was interrupted, if it was the end of a Spot instance.
async fn note_spot(report: &mut RunReport, watch: Option<tokio::task::JoinHandle<String>>) {
    let Some(watch) = watch else { return };
    if !watch.is_finished() {
        watch.abort();
        return;
    }
    if let Ok(notice) = watch.await {
        report.notes.push(format!("Spot interruption: EC2 takes this instance away ({})", notice.trim()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_cannot_start_says_why_and_has_its_status() {
        let report = refused("erp", "r1", &anyhow::anyhow!("job.toml: source.host: this key is required"));
        assert_eq!(report.exit_status(), ExitStatus::Configuration);
        let text = crate::report::render(&report);
        assert!(text.starts_with("[FAILED] erp: it cannot start as it is configured"), "{text}");
        assert!(text.contains("source.host: this key is required"), "{text}");
    }
}
