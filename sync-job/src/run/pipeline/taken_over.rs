//! What a run that died left, and this one takes over: tables that are before readers already, and staging tables with some of their
//! chunks. Nothing of it is believed before the target's own digest says what the other run wrote down.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Context, witness};
use crate::config::Mode;
use crate::connect::retry::worth_retrying;
use crate::model::error::{Kind, Result};
use crate::model::run_state::{ChunkRecord, CopiedTable, FORMAT};
use crate::model::schema::TableName;
use crate::plan::{TablePlan, fingerprint};
use crate::proof::verdict;
use crate::proof::witness::{Answer, Plan, Scope};
use crate::report::{TableReport, TakenOver};
use crate::rows::digest::TableDigest;
use crate::sources::Source;
use crate::targets::{Staging, Target};

/// What this run writes down for the next, and takes over from the last.
#[derive(Debug)]
pub struct Resume<U> {
    /// Whether anything is written down.
    pub is_on: bool,
    /// The run whose view of the source is read from.
    pub view_run: String,
    pub copied: HashMap<TableName, CopiedTable>,
    pub loads: Mutex<HashMap<TableName, LeftChunks<U>>>,
}

impl<U> Resume<U> {
    /// Nothing is taken over.
    pub fn nothing(is_on: bool, view_run: &str) -> Self {
        Self { is_on, view_run: view_run.to_owned(), copied: HashMap::new(), loads: Mutex::default() }
    }

    /// Whether the table has a staging table of a dead run that nobody has looked at yet.
    pub fn is_left(&self, table: &TablePlan) -> bool {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&table.target)
    }
}

/// How the load of a staging table is cut, as its commit log has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct LoadPlan<U> {
    pub format: u32,
    pub schema: String,
    pub name: String,
    /// See [`of_load`].
    pub fingerprint: String,
    pub view_run: String,
    pub begun: DateTime<Utc>,
    pub units: Vec<U>,
    /// What the source's engine said before the first row was read.
    pub witness: Option<(Scope, Vec<Answer>)>,
}

/// A staging table with some of its chunks.
#[derive(Debug)]
pub struct LeftChunks<U> {
    pub plan: LoadPlan<U>,
    pub done: Vec<(usize, ChunkRecord)>,
}

impl<U> LeftChunks<U> {
    fn digest(&self) -> TableDigest {
        let mut all = TableDigest::default();
        self.done.iter().for_each(|(_, chunk)| all.merge(chunk.digest));
        all
    }

    /// For the report.
    pub fn report(&self) -> TakenOver {
        TakenOver {
            chunks: Some([self.done.len(), self.plan.units.len()]),
            rows: self.digest().rows,
            bytes: self.done.iter().map(|(_, chunk)| chunk.bytes).sum(),
        }
    }
}

/// Whether a later run can load what this one leaves of the table. Rows that are read in a transaction belong to one moment, which is over
/// when the run dies.
pub fn is_by_chunk(table: &TablePlan) -> bool {
    !table.is_read_in_transaction() && table.mode == Mode::Full && table.group.is_none() && !table.has_conversions()
}

/// Of all that decides what a staging table holds, and what is asked about it.
pub fn of_load(table: &TablePlan, questions: &Plan) -> String {
    fingerprint::of(table, &format!("{:?} {questions:?}", table.swap.method))
}

/// Writes down how a load is cut that begins now.
pub async fn write_plan<S: Source, T: Target>(
    context: &Context<S, T>,
    table: &TablePlan,
    staging: &Staging,
    questions: &Plan,
    units: &[S::Unit],
    before: Option<&witness::Said>,
) -> Result<()> {
    if !context.resume.is_on || !is_by_chunk(table) {
        return Ok(());
    }
    let plan = serde_json::to_string(&LoadPlan {
        format: FORMAT,
        schema: table.target.schema.clone(),
        name: table.target.name.clone(),
        fingerprint: of_load(table, questions),
        view_run: context.resume.view_run.clone(),
        begun: Utc::now(),
        units: units.iter().collect::<Vec<_>>(),
        witness: before.and_then(|said| said.answers.as_ref().ok().cloned()),
    });
    let Ok(plan) = plan else { return Ok(()) };
    let what = format!("{}: writing down the chunks", table.target);
    let write = || context.while_target_answers(context.target.log_plan(staging, &plan));
    match context.policy.retry(&what, &mut 0, write).await {
        Err(error) if error.kind != Kind::Cancelled && !worth_retrying(error.kind) => {
            tracing::warn!(table = %table.target, error = error.chain(), "should this run die, its chunks are loaded again");
            Ok(())
        }
        result => result,
    }
}

/// The chunks that a run that died has loaded into what is now this run's staging table, if the table holds just these.
pub async fn chunks<S: Source, T: Target>(
    context: &Context<S, T>,
    table: &TablePlan,
    staging: &Staging,
    report: &mut TableReport,
) -> Result<Option<LeftChunks<S::Unit>>> {
    let left = context.resume.loads.lock().unwrap_or_else(PoisonError::into_inner).remove(&table.target);
    let Some(left) = left else { return Ok(None) };
    let what = format!("{}: digest of what a run that died left", table.target);
    let digest = || context.while_target_answers(context.target.digest(table, &staging.name));
    let held = context.policy.retry(&what, &mut report.retries, digest).await;
    let why = match held {
        Ok(held) if held == left.digest() => {
            tracing::info!(table = %table.target, chunks = left.done.len(), of = left.plan.units.len(), "taking over chunks");
            report.taken_over = Some(left.report());
            return Ok(Some(left));
        }
        Ok(held) => format!("the staging table holds {}", verdict::instead(held, "its commit log", left.digest())),
        Err(error) if error.kind == Kind::Cancelled || worth_retrying(error.kind) => return Err(error),
        Err(error) => error.chain(),
    };
    report.warnings.push(format!("nothing was taken over from the run that died: {why}"));
    Ok(None)
}
