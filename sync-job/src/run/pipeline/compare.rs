//! `sync-job verify`: reads both sides and compares. It writes nothing, unless it is told to make good what differs.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;

use super::table::{Staged, blank_report, losses};
use super::{Context, chunks, mend, witness};
use crate::config::{Deletes, Mode};
use crate::model::error::{Error, Kind, Side};
use crate::model::stage::Stage;
use crate::plan::{SwapMethod, TablePlan};
use crate::proof::ticket;
use crate::proof::verdict::{self, Verdict};
use crate::proof::witness::Plan;
use crate::report::progress::Step;
use crate::report::{DifferencesReport, Failure, Standing, TableOutcome, TableReport, WitnessReport};
use crate::sources::Source;
use crate::targets::Target;

/// What is done about tables that differ.
pub struct Verification<'a, L> {
    /// How many keys of each are named at most.
    pub limit: usize,
    /// Under it differences are made good.
    pub lease: Option<&'a L>,
}

/// Compares every table of the plan with what the target holds.
pub async fn compare_all<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    tables: &[Arc<TablePlan>],
    verification: &Verification<'_, T::Lease>,
) -> Vec<TableReport> {
    join_all(tables.iter().enumerate().map(|(number, table)| async move {
        let mut report = blank_report(table);
        let started = Instant::now();
        let result = tokio::select! {
            biased;
            () = context.cancel.cancelled() => Err((Stage::Verify, Error::cancelled())),
            result = compare(context, table, &mut report) => result.map(|()| TableOutcome::Agrees),
        };
        let result = match result {
            Err((Stage::Compare, error)) if error.kind == Kind::Mismatch => match verification.lease {
                Some(lease) => repair(context, table, number, verification.limit, lease, &mut report).await,
                None => Err((Stage::Compare, name(context, table, verification.limit, error, &mut report).await)),
            },
            result => result,
        };
        report.stages.total = started.elapsed().as_secs_f64();
        match result {
            Ok(outcome) => report.outcome = outcome,
            Err((stage, error)) => {
                let interrupted = error.kind == Kind::Cancelled;
                report.outcome = if interrupted { TableOutcome::Interrupted } else { TableOutcome::Failed };
                report.failure = Some(Failure::at(Standing::Compared, stage, &error));
            }
        }
        let outcome = report
            .failure
            .as_ref()
            .map_or_else(|| report.outcome.code().to_owned(), |failure| failure.message.to_string());
        context.progress.table_done(&report.target, &outcome);
        report
    }))
    .await
}

/// Names the rows that differ. Where that fails the difference is no less of one.
async fn name<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &TablePlan,
    limit: usize,
    error: Error,
    report: &mut TableReport,
) -> Error {
    let Ok(_permit) = context.tables.acquire().await else { return error };
    let mut retries = 0;
    let compared = tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(Error::cancelled()),
        compared = mend::compare(context, table, limit, &mut retries) => compared,
    };
    report.retries += retries;
    match compared {
        Ok(compared) => report.differences = compared.map(|compared| compared.found.differences),
        Err(cause) => report.warnings.push(format!("the rows that differ could not be found: {}", cause.whole())),
    }
    error
}

/// Makes good what differs.
async fn repair<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &TablePlan,
    number: usize,
    limit: usize,
    lease: &T::Lease,
    report: &mut TableReport,
) -> Staged<TableOutcome> {
    if keeps_gone_rows(table) {
        let message = format!("{} keeps rows that are gone at the source (deletes = \"ignore\")", table.target);
        return Err((Stage::Compare, Error::new(Side::Target, Kind::NotComparable, message)));
    }
    let stagings = [2 * number, 2 * number + 1].map(|number| context.target.staging(table, number));
    let mend::Mended { compared, applied } = mend::mend(context, table, &stagings, limit, lease, report).await?;
    let found = compared.found;
    report.digest = Some(verdict::digest_text(found.source));
    report.rows = found.source.rows;
    report.bytes = found.bytes_read;
    report.losses = losses(table, &found.losses);
    "verified".clone_into(&mut report.verdict);
    if applied.is_none() {
        // The source has changed since.
        return Ok(TableOutcome::Agrees);
    }
    report.differences = Some(DifferencesReport { repaired: true, ..found.differences });
    Ok(TableOutcome::Repaired)
}

fn keeps_gone_rows(table: &TablePlan) -> bool {
    table.mode == Mode::RowVersion && table.deletes == Deletes::Ignore
}

/// A run would only go on from where the last one ended.
fn followed(table: &TablePlan, error: Error) -> Error {
    error.advise(format!(
        "Nothing was changed. Somebody else writes to the copy, or rows changed at the source since the last run. `sync-job verify --repair` \
         repairs only the rows that differ; `sync-job state reset --table {}`, then `sync-job run`, copies the table whole.",
        table.target
    ))
}

async fn compare<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &Arc<TablePlan>,
    report: &mut TableReport,
) -> Staged<()> {
    let refuse = |message: String| Err((Stage::Compare, Error::new(Side::Target, Kind::NotComparable, message)));
    if table.swap.method == SwapMethod::Create {
        return refuse(format!("the target has no table {}", table.target));
    }
    if !table.drift.is_empty() {
        let changes: Vec<String> = table.drift.iter().map(ToString::to_string).collect();
        return refuse(format!("{} has other columns than the source: {}", table.target, changes.join("; ")));
    }
    if table.has_conversions() {
        let verdict = Verdict::Unverifiable("the job file's target_type keeps no exact form".to_owned());
        report.verdict = verdict.to_string();
        return refuse(format!("{}: {verdict}", table.target));
    }
    let _permit = context.tables.acquire().await.map_err(|_| (Stage::Verify, Error::cancelled()))?;
    let name = table.target.to_string();
    context.progress.table_started(&name, Step::Read, table.rows);
    let started = Instant::now();
    let questions = Arc::new(Plan::of(table, context.abilities));
    let mut retries = 0;
    let before =
        witness::before(context, table, &questions, &mut retries).await.map_err(|error| (Stage::Witness, error))?;
    let read = chunks::load(context, table, None, &questions, None).await.map_err(|error| (Stage::Read, error))?;
    report.stages.load = started.elapsed().as_secs_f64();
    report.stages.read = read.read_seconds(report.stages.load);
    report.rows = read.digest.rows;
    report.bytes = read.bytes;
    report.retries = retries + read.retries;
    report.losses = losses(table, &read.losses);
    context.progress.step(&name, Step::Compare);
    let started = Instant::now();
    let what = format!("{name}: digest");
    let held = context
        .policy
        .retry(&what, &mut report.retries, || context.target.digest(table, &table.target))
        .await
        .map_err(|error| (Stage::Verify, error))?;
    report.stages.verify = started.elapsed().as_secs_f64();
    if let Some(state) = context.remembered.own.get(&table.target)
        && state.digest != held
    {
        let message =
            format!("{name} holds {}", verdict::instead(held, "the runs that followed its changes left", state.digest));
        return Err((Stage::Compare, followed(table, Error::new(Side::Target, Kind::Mismatch, message))));
    }
    if keeps_gone_rows(table) && held.rows != read.digest.rows {
        return refuse(format!("{name} keeps rows that are gone at the source (deletes = \"ignore\")"));
    }
    let verdict = verdict::compare(read.digest, held);
    report.verdict = verdict.to_string();
    report.digest = Some(verdict::digest_text(read.digest));
    if !matches!(verdict, Verdict::Match(_)) {
        let error = Error::new(Side::Target, Kind::Mismatch, format!("{name}: {verdict}"));
        let error = if table.mode.follows_changes() { followed(table, error) } else { error };
        return Err((Stage::Compare, error));
    }
    let heard = witness::Heard { before, within: read.witness };
    let (witnessed, asked) =
        witness::hear(context, table, &table.target, &questions, heard, &read.losses, &mut report.retries)
            .await
            .map_err(|error| (Stage::Witness, error))?;
    report.stages.witness = asked;
    report.witness = Some(WitnessReport::of(&witnessed));
    ticket::refuse_difference(table, &witnessed).map_err(|error| (Stage::Witness, error))
}
