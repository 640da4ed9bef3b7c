//! A run that died is continued by the next: what it left is found, and everything that it may still do is refused from then on.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;

use super::pipeline::taken_over::{LeftChunks, LoadPlan, Resume, is_by_chunk, of_load};
use super::views::Views;
use crate::config::Consistency;
use crate::connect::retry::{RetryPolicy, worth_retrying};
use crate::model::error::{Kind, Result};
use crate::model::facts::Abilities;
use crate::model::human;
use crate::model::run_state::{CopiedTable, FORMAT, LastRun, OpenRun};
use crate::model::schema::TableName;
use crate::plan::{Finding, FindingId, Severity, TablePlan};
use crate::proof::witness::Plan;
use crate::sources::Source;
use crate::targets::{LeftLoad, Target};

/// How long the target may take to take down that the run has ended.
const END_TIMEOUT: Duration = Duration::from_mins(1);

/// What the plan says where this login cannot remember runs.
pub fn finding((problem, remedy): (String, String)) -> Finding {
    // A note is shown without its remedy.
    let message = format!(
        "should a run die, the next one copies every table again, since it cannot be written down what was copied: {problem}. {remedy}"
    );
    Finding::new(FindingId::NotResumable, Severity::Note, message, remedy)
}

/// The run that begins.
pub struct Beginning<'a, T: Target> {
    pub target: &'a T,
    pub policy: &'a RetryPolicy,
    pub run_id: &'a str,
    /// Where it reads from: host, port and database.
    pub source: String,
    pub started: DateTime<Utc>,
    /// Nothing: nothing is continued, and nothing written down.
    pub within: Option<Duration>,
    /// Whether the command line chose tables, which asks for new copies of them.
    pub is_chosen: bool,
    pub tables: &'a [TablePlan],
    pub abilities: Abilities,
}

/// A run that is continued.
struct Dead {
    run: OpenRun,
    copied: Vec<CopiedTable>,
}

impl<T: Target> Beginning<'_, T> {
    /// Takes over what can be, and says what it did in `notes`. From here on no earlier run of the job commits anything.
    pub async fn take_over<S: Source>(&self, views: &Views<'_, S>, notes: &mut Vec<String>) -> Result<Resume<S::Unit>> {
        let Some(within) = self.within else {
            // A run that is as old as it likes must not be continued by a later one for which this is switched on again.
            if let Err(error) = self.target.end_run(false).await {
                tracing::debug!(error = error.chain(), "what is remembered of runs is left as it is");
            }
            return Ok(Resume::nothing(false, self.run_id));
        };
        match self.take_over_from(within, views, notes).await {
            // What cannot be written down is no reason to copy nothing.
            Err(error) if error.kind != Kind::Cancelled && !worth_retrying(error.kind) => {
                let why = error.whole();
                notes.push(format!("should this run die, the next one copies every table again: {why}"));
                Ok(Resume::nothing(false, self.run_id))
            }
            result => result,
        }
    }

    async fn take_over_from<S: Source>(
        &self,
        within: Duration,
        views: &Views<'_, S>,
        notes: &mut Vec<String>,
    ) -> Result<Resume<S::Unit>> {
        let last = self.policy.retry("state", &mut 0, || self.target.last_run()).await?;
        let dead = self.continued(last, within, notes);
        let view_run = match &dead {
            Some(dead) if self.reads_a_view() && views.is_there(&dead.run.view_run).await => dead.run.view_run.clone(),
            _ => self.run_id.to_owned(),
        };
        let run = OpenRun {
            format: FORMAT,
            run_id: self.run_id.to_owned(),
            source: self.source.clone(),
            begun: dead.as_ref().map_or(self.started, |dead| dead.run.begun),
            view_run: view_run.clone(),
        };
        self.policy.retry("state", &mut 0, || self.target.begin_run(&run, dead.is_some())).await?;
        let Some(dead) = dead else { return Ok(Resume::nothing(true, &view_run)) };
        tracing::info!(run = dead.run.run_id, "continuing a run that died");
        let loads = self.left(&run).await?;
        notes.push(format!(
            "the run {} died; this one continues it, with {} and {} that it left",
            dead.run.run_id,
            human::counted(dead.copied.len() as u64, "table", "tables"),
            human::counted(loads.len() as u64, "staging table", "staging tables"),
        ));
        let copied = dead.copied.into_iter().map(|copied| (copied.target(), copied)).collect();
        Ok(Resume { is_on: true, view_run, copied, loads: Mutex::new(loads) })
    }

    /// The last run, if it died within the time and left something to do.
    fn continued(&self, last: LastRun, within: Duration, notes: &mut Vec<String>) -> Option<Dead> {
        let (run, copied) = match last {
            LastRun::Ended => return None,
            LastRun::Unreadable(why) => {
                notes.push(format!("whether the last run died is not known, so every table is copied: {why}"));
                return None;
            }
            LastRun::Open(run, copied) => (run, copied),
        };
        if self.is_chosen {
            return None;
        }
        if run.source != self.source {
            notes.push(format!("the run {} died; it read from {}, so every table is copied", run.run_id, run.source));
            return None;
        }
        let age = (self.started - run.begun).to_std().unwrap_or_default();
        if age > within {
            notes.push(format!(
                "the run {} died; it began {} ago, more than resume_within, so every table is copied",
                run.run_id,
                human::seconds(age.as_secs_f64())
            ));
            return None;
        }
        // It died, or lost its server, right before it could write down that it had ended: the next run is due.
        let is_done = |table: &TablePlan| copied.iter().any(|copied| copied.target() == table.target);
        if self.tables.iter().all(is_done) {
            return None;
        }
        Some(Dead { run, copied })
    }

    fn reads_a_view(&self) -> bool {
        self.tables.iter().any(|table| table.consistency == Consistency::DatabaseSnapshot)
    }

    /// Staging tables of the runs that this one continues get its name, and with it what they hold.
    async fn left<U: DeserializeOwned>(&self, run: &OpenRun) -> Result<HashMap<TableName, LeftChunks<U>>> {
        let mut loads = HashMap::new();
        let mut found: Vec<(LeftLoad, LoadPlan<U>, usize)> = Vec::new();
        for left in self.policy.retry("state", &mut 0, || self.target.left_loads()).await? {
            let Ok(plan) = serde_json::from_str::<LoadPlan<U>>(&left.plan) else { continue };
            if let Some(number) = self.fitting(&plan, run) {
                found.push((left, plan, number));
            }
        }
        // Of two for one table the later one.
        found.sort_by_key(|(_, plan, _)| std::cmp::Reverse(plan.begun));
        for (left, plan, number) in found {
            let table = &self.tables[number];
            if loads.contains_key(&table.target) {
                continue;
            }
            let staging = self.target.staging(table, number);
            let what = format!("{}: taking over its staging table", table.target);
            let adopted = self.policy.retry(&what, &mut 0, || self.target.adopt(&left.staging, &staging)).await;
            match adopted {
                Ok(done) if done.iter().all(|(chunk, _)| *chunk < plan.units.len()) => {
                    loads.insert(table.target.clone(), LeftChunks { plan, done });
                }
                Ok(_) => {
                    tracing::warn!(staging = %left.staging.name, "its commit log has chunks that its plan has not");
                }
                Err(error) => {
                    tracing::warn!(staging = %left.staging.name, error = error.chain(), "it is not taken over");
                }
            }
        }
        Ok(loads)
    }

    /// The number of the table that a load belongs to, if this run would load it in the same way.
    fn fitting<U>(&self, plan: &LoadPlan<U>, run: &OpenRun) -> Option<usize> {
        let is_of_run = plan.format == FORMAT && plan.begun >= run.begun;
        self.tables.iter().position(|table| {
            let is_of_view = table.consistency != Consistency::DatabaseSnapshot || plan.view_run == run.view_run;
            is_of_run
                && is_of_view
                && is_by_chunk(table)
                && table.target == TableName::new(&plan.schema, &plan.name)
                && plan.fingerprint == of_load(table, &Plan::of(table, self.abilities))
        })
    }
}

/// Writes down that the run has ended, also after an interruption; says so where it could not.
pub async fn end<T: Target>(target: &T, policy: &RetryPolicy) -> Option<String> {
    let policy = RetryPolicy { cancel: None, ..policy.clone() };
    let mut retries = 0;
    let ended = policy.retry("state", &mut retries, || target.end_run(true));
    let why = match tokio::time::timeout(END_TIMEOUT, ended).await {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => error.chain(),
        Err(_) => format!("no answer in {} s", END_TIMEOUT.as_secs()),
    };
    Some(format!(
        "the next run may take this one for dead, and continue it, since its end could not be written down: {why}"
    ))
}
