//! A whole job: plan, checks, lease, copy, report. The tour of the crate starts here.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::deadline::Deadline;
use super::pipeline::taken_over::Resume;
use super::pipeline::{self, Context, Known, Verification};
use super::resume;
use super::views::Views;
use crate::config::{Consistency, JobConfig, Pattern, WitnessPolicy};
use crate::connect::retry::{self, RetryPolicy};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::human;
use crate::model::schema::TableName;
use crate::model::stage::Stage;
use crate::model::state::{Remembered, TableState};
use crate::plan::{self, FindingId, RunPlan, Severity, TablePlan, precheck, why_full};
use crate::proof::witness::Turn;
use crate::report::progress::Progress;
use crate::report::{Command, Failure, RunReport};
use crate::sources::Source;
use crate::targets::{Lease, Target};

/// How often at least the lease's heartbeat goes over its connection while tables are copied, so that no firewall drops it as idle.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long the target may take to give the lease back.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// A job with both ends at hand.
pub struct Job<S: Source, T: Target> {
    pub config: JobConfig,
    pub source: Arc<S>,
    pub target: Arc<T>,
    pub run_id: String,
    /// Command-line globs; empty for all selected tables.
    pub only: Vec<Pattern>,
    /// Cancelled where the machine is taken away from the run: it ends, and the next one continues it all the same.
    pub evicted: CancellationToken,
}

/// The plan, and what was learnt of the source on the way.
pub struct Planned<S: Source> {
    pub plan: RunPlan,
    pub facts: S::Facts,
}

impl<S: Source, T: Target> Job<S, T> {
    /// What a run would do, for somebody who waits for the answer.
    pub async fn plan(&self) -> Result<Planned<S>> {
        let limits = &self.config.limits;
        let policy = retry::of_command(limits.retries, limits.outage);
        policy.retry("plan", &mut 0, || self.plan_once()).await
    }

    /// Looks at both sides and decides everything. Writes nothing.
    async fn plan_once(&self) -> Result<Planned<S>> {
        let mut planned = self.decide().await?;
        if planned.plan.refusals().next().is_none() {
            let refused = self.source.check_settings(&planned.plan.tables, &planned.facts).await?;
            planned.plan.add(refused);
        }
        if planned.plan.refusals().next().is_none() {
            self.check_references(&mut planned.plan).await?;
        }
        Ok(planned)
    }

    /// As [`Job::plan_once`], without what only concerns loading.
    async fn decide(&self) -> Result<Planned<S>> {
        let config = &self.config;
        let (facts, target_facts) = tokio::try_join!(self.source.facts(), self.target.facts())?;
        // Which one it is depends on the server's version.
        let dialect = self.target.dialect();
        let catalog = self.source.catalog().await?;
        let mut draft = plan::draft(config, &catalog, facts.as_ref(), &self.only, dialect);
        let tested = self.source.self_test(&draft.tables, &facts).await?;
        plan::self_test::apply(&mut draft, tested);
        let targets = draft.targets();
        let (tables, names, invisible_sessions) = tokio::try_join!(
            self.target.inspect(&targets),
            self.target.index_names(&targets),
            self.target.invisible_sessions()
        )?;
        let state = plan::TargetState { tables, names, invisible_sessions };
        let known = facts.as_ref();
        let source = format!("{}:{}/{} ({})", config.source.host, config.source.port, known.database, known.version);
        let target = format!(
            "{}:{}/{} ({})",
            config.target.host, config.target.port, config.target.database, target_facts.version
        );
        let mut plan = plan::finish(config, draft, &state, source, target, dialect);
        let missing = self.target.missing_permissions(&plan.tables).await?;
        let findings = self.source.precheck(&plan, &facts, &catalog.unreadable);
        plan.findings.extend(findings);
        plan.findings.extend(precheck::judge(config, &target_facts, &missing));
        plan.add(self.target.warnings(&plan.tables).await?);
        if config.limits.resume_within.is_some() {
            plan.findings.extend(self.target.forgets_runs().await?.map(resume::finding));
        }
        if plan.tables.iter().any(|table| table.mode.follows_changes()) && plan.refusals().next().is_none() {
            let states = self.target.recall().await?.own;
            for table in plan.tables.iter_mut().filter(|table| table.mode.follows_changes()) {
                let state = why_full::by_state(table, states.get(&table.target), Utc::now());
                table.follows = Some(state.map(|state| state.position.version));
            }
        }
        Ok(Planned { plan, facts })
    }

    /// Foreign keys that only the target would break are found before their tables are loaded.
    async fn check_references(&self, plan: &mut RunPlan) -> Result<()> {
        let references = plan::references::of(&plan.tables, self.target.dialect());
        if references.is_empty() {
            return Ok(());
        }
        plan.add(self.source.check_references(&references).await?);
        Ok(())
    }

    /// Copies everything. Every failure is in the report.
    pub async fn run(&self, progress: Arc<dyn Progress>, cancel: CancellationToken) -> RunReport {
        let mut report = self.blank(Command::Run);
        let deadline = self.start_deadline(&cancel);
        if let Err((stage, error)) = self.run_into(&mut report, progress.clone(), cancel).await {
            report.failure = Some(Failure::new(stage, &error));
        }
        if let Some(after) = deadline.and_then(|deadline| deadline.passed()) {
            let after = human::seconds(after.as_secs_f64());
            report.notes.push(format!("the job's deadline, {after} after it began, has passed"));
        }
        progress.finished();
        report.ended = Utc::now();
        report
    }

    /// As [`Job::plan`], for when nobody stands by: outages are waited for, and the deadline holds.
    pub async fn plan_in_time(&self, cancel: &CancellationToken) -> Result<Planned<S>> {
        let deadline = self.start_deadline(cancel);
        self.plan_with_retries(cancel).await.map_err(|error| match deadline.and_then(|deadline| deadline.passed()) {
            Some(_) => Error { message: "interrupted: the job's deadline has passed".into(), ..error },
            None => error,
        })
    }

    fn start_deadline(&self, cancel: &CancellationToken) -> Option<Deadline> {
        self.config.limits.deadline.map(|after| Deadline::start(after, cancel.clone()))
    }

    async fn run_into(
        &self,
        report: &mut RunReport,
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
    ) -> std::result::Result<(), (Stage, Error)> {
        let planned = self.plan_with_retries(&cancel).await.map_err(|error| (Stage::Plan, error))?;
        describe(report, &planned.plan);
        report.refusals = planned.plan.refusals().cloned().collect();
        refuse(&planned.plan).map_err(|error| (Stage::Precheck, error))?;
        let policy = self.policy(&cancel);
        let mut retries = 0;
        let lease = policy.retry("lease", &mut retries, || self.target.acquire_lease());
        let lease = interruptible(&cancel, lease).await.map_err(|error| (Stage::Lease, error))?;
        let result = self.under_lease(report, planned, progress, cancel, &lease).await;
        if !self.evicted.is_cancelled() {
            report.notes.extend(resume::end(&*self.target, &policy).await);
        }
        // Where the target says nothing the lease ends with its connection.
        let _ = tokio::time::timeout(RELEASE_TIMEOUT, lease.release()).await;
        result
    }

    async fn under_lease(
        &self,
        report: &mut RunReport,
        planned: Planned<S>,
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
        lease: &T::Lease,
    ) -> std::result::Result<(), (Stage, Error)> {
        let policy = self.policy(&cancel);
        let views = Views::new(&*self.source, &self.config.name, &self.config.target, policy.clone());
        let is_forgotten = planned.plan.findings.iter().any(|finding| finding.id == FindingId::NotResumable);
        let beginning = resume::Beginning {
            target: &*self.target,
            policy: &policy,
            run_id: &self.run_id,
            source: format!("{}:{}/{}", self.config.source.host, self.config.source.port, self.config.source.database),
            started: report.started,
            within: self.config.limits.resume_within.filter(|_| !is_forgotten),
            is_chosen: !self.only.is_empty(),
            tables: &planned.plan.tables,
            abilities: planned.facts.as_ref().abilities,
        };
        let resume = beginning.take_over(&views, &mut report.notes).await;
        let resume = resume.map_err(|error| (Stage::State, error))?;
        let leftovers = policy
            .retry("cleaning up", &mut 0, || self.target.clean())
            .await
            .map_err(|error| (Stage::CleaningUp, error))?;
        if !leftovers.is_empty() {
            report.notes.push(format!("dropped what an earlier run left behind: {}", leftovers.join(", ")));
        }
        report.notes.extend(views.clean(&resume.view_run).await);
        let is_wanted = |table: &TablePlan| table.consistency == Consistency::DatabaseSnapshot;
        let mut view = None;
        if planned.plan.tables.iter().any(is_wanted) {
            let opened = if resume.view_run == self.run_id {
                views.open(&self.run_id, &planned.facts).await
            } else {
                Ok(views.name_of(&resume.view_run))
            };
            view = Some(opened.map_err(|error| (Stage::DatabaseSnapshot, error))?);
        }
        let tables: Vec<Arc<TablePlan>> = planned.plan.tables.into_iter().map(Arc::new).collect();
        let turn = Turn::at(report.started);
        let remembered = self.recall(&policy).await.map_err(|error| (Stage::State, error))?;
        let known = Known { abilities: planned.facts.as_ref().abilities, turn, remembered, resume };
        let context = Arc::new(self.context(progress, cancel, view.clone(), known));
        report.tables = tokio::select! {
            tables = pipeline::copy_all(&context, &tables, lease) => tables,
            never = heartbeat(lease, &context) => match never {},
        };
        drop(context);
        if let Some(name) = view {
            // Whoever took over may read from it, and closes it.
            if matches!(tokio::time::timeout(RELEASE_TIMEOUT, lease.check()).await, Ok(Ok(()))) {
                report.notes.extend(views.close_own(&name).await);
            } else {
                report.notes.push(format!("{name} is left to the next run, since the lease was lost"));
            }
        }
        Ok(())
    }

    /// Compares both sides, and names at most `limit` rows of each table that differ. With `repair` they are made good, else nothing is
    /// written.
    pub async fn verify(
        &self,
        limit: usize,
        repair: bool,
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
    ) -> RunReport {
        let mut report = self.blank(Command::Verify);
        if let Err((stage, error)) = self.verify_into(&mut report, limit, repair, progress.clone(), cancel).await {
            report.failure = Some(Failure::new(stage, &error));
        }
        progress.finished();
        report.ended = Utc::now();
        report
    }

    async fn verify_into(
        &self,
        report: &mut RunReport,
        limit: usize,
        repair: bool,
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
    ) -> std::result::Result<(), (Stage, Error)> {
        let policy = self.policy(&cancel);
        let planned = interruptible(&cancel, policy.retry("plan", &mut 0, || self.decide())).await;
        let planned = planned.map_err(|error| (Stage::Plan, error))?;
        describe(report, &planned.plan);
        // What refuses one table for writing need not keep it or the others from being compared, unless there is no such table.
        let is_compared = |name: &String| planned.plan.tables.iter().any(|table| table.source.to_string() == *name);
        let refusals = planned
            .plan
            .refusals()
            .filter(|finding| repair || finding.hides_a_part() || !finding.table.as_ref().is_some_and(is_compared));
        report.refusals = refusals.cloned().collect();
        if !report.refusals.is_empty() {
            let what = if repair { "repair" } else { "compare" };
            let error = Error::new(Side::Job, Kind::PrecheckFailed, format!("a precheck refuses to {what}"));
            return Err((Stage::Precheck, error));
        }
        let (abilities, turn) = (planned.facts.as_ref().abilities, Turn::at(report.started));
        let tables: Vec<Arc<TablePlan>> = planned.plan.tables.into_iter().map(witnessed_whole).map(Arc::new).collect();
        let lease = if repair {
            let mut retries = 0;
            let lease = policy.retry("lease", &mut retries, || self.target.acquire_lease());
            Some(interruptible(&cancel, lease).await.map_err(|error| (Stage::Lease, error))?)
        } else {
            None
        };
        let remembered = interruptible(&cancel, self.recall(&policy)).await.map_err(|error| (Stage::State, error));
        let compared = match remembered {
            Ok(remembered) => {
                let resume = Resume::nothing(false, &self.run_id);
                let known = Known { abilities, turn, remembered, resume };
                let context = Arc::new(self.context(progress, cancel, None, known));
                let verification = Verification { limit, lease: lease.as_ref() };
                report.tables = tokio::select! {
                    tables = pipeline::compare_all(&context, &tables, &verification) => tables,
                    never = heartbeat_of(lease.as_ref(), &context) => match never {},
                };
                Ok(())
            }
            Err(failed) => Err(failed),
        };
        if let Some(lease) = lease {
            let _ = tokio::time::timeout(RELEASE_TIMEOUT, lease.release()).await;
        }
        compared
    }

    /// What earlier runs remember of tables whose changes are followed.
    async fn recall(&self, policy: &RetryPolicy) -> Result<Remembered> {
        policy.retry("state", &mut 0, || self.target.recall()).await
    }

    /// As [`Job::recall`], for somebody who waits for the answer; by name.
    pub async fn states(&self) -> Result<BTreeMap<String, TableState>> {
        let limits = &self.config.limits;
        let states = self.recall(&retry::of_command(limits.retries, limits.outage)).await?;
        let chosen = states.own.into_iter().filter(|(name, _)| self.is_chosen(name));
        Ok(chosen.map(|(name, state)| (name.to_string(), state)).collect())
    }

    /// Forgets the tables of [`Job::states`], so that the next run copies them whole; answers with their names.
    pub async fn reset_states(&self) -> Result<Vec<String>> {
        let limits = &self.config.limits;
        let policy = retry::of_command(limits.retries, limits.outage);
        // A run that died is not continued then, not even for the other tables.
        policy.retry("state", &mut 0, || self.target.end_run(false)).await?;
        let mut reset = Vec::new();
        for name in self.recall(&policy).await?.own.into_keys().filter(|name| self.is_chosen(name)) {
            policy.retry("state", &mut 0, || self.target.forget(&name)).await?;
            reset.push(name.to_string());
        }
        reset.sort();
        Ok(reset)
    }

    /// Whether the command line's globs choose a table of the target.
    fn is_chosen(&self, name: &TableName) -> bool {
        self.only.is_empty() || self.only.iter().any(|pattern| pattern.matches(&name.schema, &name.name))
    }

    /// Nobody stands by at night: what passes is waited for, as with chunks.
    async fn plan_with_retries(&self, cancel: &CancellationToken) -> Result<Planned<S>> {
        let policy = self.policy(cancel);
        interruptible(cancel, policy.retry("plan", &mut 0, || self.plan_once())).await
    }

    fn policy(&self, cancel: &CancellationToken) -> RetryPolicy {
        let limits = &self.config.limits;
        retry::of_job(limits.retries, limits.outage, cancel.clone())
    }

    fn context(
        &self,
        progress: Arc<dyn Progress>,
        cancel: CancellationToken,
        view: Option<String>,
        known: Known<S::Unit>,
    ) -> Context<S, T> {
        let limits = self.config.limits.clone();
        Context::new(self.source.clone(), self.target.clone(), limits, progress, cancel, view, known)
    }

    fn blank(&self, command: Command) -> RunReport {
        let now = Utc::now();
        let (source, target) = (&self.config.source, &self.config.target);
        RunReport {
            job: self.config.name.clone(),
            run_id: self.run_id.clone(),
            command,
            started: now,
            ended: now,
            source: format!("{}:{}/{}", source.host, source.port, source.database),
            target: format!("{}:{}/{}", target.host, target.port, target.database),
            tables: Vec::new(),
            notes: Vec::new(),
            refusals: Vec::new(),
            failure: None,
            show_values: self.config.show_values,
        }
    }
}

/// Who compares by hand wants to know it all.
fn witnessed_whole(mut table: TablePlan) -> TablePlan {
    if table.witness == WitnessPolicy::Sample {
        table.witness = WitnessPolicy::Full;
    }
    table
}

fn describe(report: &mut RunReport, plan: &RunPlan) {
    report.source.clone_from(&plan.source);
    report.target.clone_from(&plan.target);
    let warnings = plan.findings.iter().filter(|finding| finding.severity == Severity::Warning);
    report.notes.extend(warnings.map(|finding| finding.message.clone()));
}

/// Nothing is written while a refusal stands; the report lists all of them.
fn refuse(plan: &RunPlan) -> Result<()> {
    match plan.refusals().count() {
        0 => Ok(()),
        1 => Err(Error::new(Side::Job, Kind::PrecheckFailed, "a precheck refuses the run")),
        count => Err(Error::new(Side::Job, Kind::PrecheckFailed, format!("{count} prechecks refuse the run"))),
    }
}

/// Until the tables are copied. Each of them asks for the lease itself and fails without it.
async fn heartbeat<S: Source, T: Target>(lease: &T::Lease, context: &Context<S, T>) -> Infallible {
    // Silence is noticed in proportion to what the job file calls a stall.
    let pause = HEARTBEAT.min(context.limits.stall_timeout / 2);
    loop {
        tokio::time::sleep(pause).await;
        let mut check = std::pin::pin!(lease.check());
        if tokio::time::timeout(context.limits.stall_timeout, &mut check).await.is_err() {
            tracing::warn!("the target does not answer: what waits for it is tried again");
            context.target_is_silent();
            let _ = check.await;
        }
    }
}

/// As [`heartbeat`], where there is a lease.
async fn heartbeat_of<S: Source, T: Target>(lease: Option<&T::Lease>, context: &Context<S, T>) -> Infallible {
    match lease {
        Some(lease) => heartbeat(lease, context).await,
        None => std::future::pending().await,
    }
}

async fn interruptible<R>(cancel: &CancellationToken, work: impl Future<Output = Result<R>>) -> Result<R> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::cancelled()),
        result = work => result,
    }
}
