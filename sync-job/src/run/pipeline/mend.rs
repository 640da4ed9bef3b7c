//! Compares a table by its keys, and makes good what differs: in one transaction of the target, which proves the whole table.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::differences::{Found, Mending, Search};
use super::remember::remember;
use super::staging::drop_staging;
use super::table::{Basis, Staged, losses};
use super::{Context, newer, permit};
use crate::config::OnMismatch;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::position::Tracking;
use crate::model::stage::Stage;
use crate::plan::{SwapMethod, TablePlan, by_key};
use crate::proof::witness::Scope;
use crate::proof::{ticket, verdict};
use crate::report::progress::Step;
use crate::report::{ChangesReport, ComparedReport, TableOutcome, TableReport};
use crate::sources::{Reader, Source};
use crate::targets::{Applied, ChangeSet, ChangedRows, GoneRows, Lease as _, ProvenRange, Staging, Target};

/// A table that was compared in one state of the source.
pub struct Compared {
    pub found: Found,
    /// How far changes were known in that state, where they are followed.
    pub tracking: Option<Tracking>,
}

/// Compares, and writes nothing. Nothing where no key tells rows apart.
pub async fn compare<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &TablePlan,
    limit: usize,
    retries: &mut u32,
) -> Result<Option<Compared>> {
    let Some(keys) = by_key::of(table) else { return Ok(None) };
    let what = format!("{}: comparing by key", table.target);
    let compared = context.policy.retry(&what, retries, || attempt(context, table, &keys, None, limit)).await?;
    Ok(Some(compared))
}

/// One try, in one transaction of the source where the table is read in one.
async fn attempt<S: Source, T: Target>(
    context: &Context<S, T>,
    table: &TablePlan,
    keys: &TablePlan,
    mending: Option<Mending<'_>>,
    limit: usize,
) -> Result<Compared> {
    let _permit = permit(&context.readers).await?;
    let mut reader = context.take_reader().await?;
    let compared = attempt_over(context, table, keys, mending, limit, &mut reader).await;
    match &compared {
        Ok(_) => context.give_back(reader).await,
        Err(error) => context.after(error).await,
    }
    compared
}

async fn attempt_over<S: Source, T: Target>(
    context: &Context<S, T>,
    table: &TablePlan,
    keys: &TablePlan,
    mending: Option<Mending<'_>>,
    limit: usize,
    reader: &mut S::Reader,
) -> Result<Compared> {
    let in_transaction = table.is_read_in_transaction();
    let tracking = match (in_transaction, table.mode.follows_changes()) {
        (true, true) => reader.begin_tracked(&[table]).await?.pop().flatten(),
        (true, false) => reader.begin().await.map(|()| None)?,
        (false, _) => None,
    };
    let newer = newer::keys(context, table, keys, reader, tracking.as_ref()).await?;
    let is_written = mending.is_some();
    let search = Search { context, table, keys, mending, limit, newer: newer.as_ref() };
    let found = search.run(reader).await?;
    // Of a table that changes while it is read, a row may pass unread, and look as if only the target had it.
    let is_live = !in_transaction && context.view.is_none();
    if is_live && is_written && found.has_gone && reader.count(table).await? != found.source.rows {
        let message =
            format!("{}: rows changed at the source while they were compared; nothing was changed", table.source);
        return Err(Error::new(Side::Source, Kind::Mismatch, message));
    }
    if in_transaction {
        reader.commit().await?;
    }
    Ok(Compared { found, tracking })
}

/// What became of a table's differences.
pub struct Mended {
    pub compared: Compared,
    /// Nothing where there were none.
    pub applied: Option<Applied>,
}

impl Mended {
    /// Of a run's table.
    pub fn tell(self, table: &TablePlan, report: &mut TableReport) {
        let found = self.compared.found;
        let differences = &found.differences;
        let numbers = [differences.missing, differences.differing, differences.extra];
        report.outcome = TableOutcome::Copied;
        report.rows = found.source.rows;
        report.bytes = found.bytes_read;
        report.losses = losses(table, &found.losses);
        report.digest = Some(verdict::digest_text(found.source));
        let (rows, bytes_read, bytes_sent) = (found.source.rows, found.bytes_read, found.bytes_sent);
        let to_version = self.compared.tracking.map(|tracking| tracking.now.version);
        let changes = ChangesReport::compared(ComparedReport { rows, bytes_read, bytes_sent }, numbers);
        report.changes = Some(ChangesReport { to_version, ..changes });
    }
}

/// Compares, and makes good what differs. The report is filled in as far as it went.
pub async fn mend<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &TablePlan,
    stagings: &[Staging; 2],
    limit: usize,
    lease: &T::Lease,
    report: &mut TableReport,
) -> Staged<Mended> {
    let keys = by_key::of(table).filter(|_| !table.lacks_its_key()).ok_or_else(|| (Stage::Compare, keyless(table)))?;
    let place = permit(&context.tables).await.map_err(|error| (Stage::Read, error))?;
    context.progress.table_started(&table.target.to_string(), Step::Compare, table.rows);
    let has_staging = AtomicBool::new(false);
    let mended = mend_over(context, table, &keys, stagings, limit, lease, report, &has_staging).await;
    // After an interruption dropping takes a place of its own.
    drop(place);
    if has_staging.load(Ordering::Relaxed) {
        for staging in stagings {
            drop_staging(context, staging).await;
        }
    }
    mended
}

#[expect(clippy::too_many_arguments, reason = "of one caller, which sees to it that staging tables go")]
async fn mend_over<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &TablePlan,
    keys: &TablePlan,
    stagings: &[Staging; 2],
    limit: usize,
    lease: &T::Lease,
    report: &mut TableReport,
    has_staging: &AtomicBool,
) -> Staged<Mended> {
    let started = Instant::now();
    let mut staged = table.clone();
    staged.swap.method = SwapMethod::InPlace;
    let mut staged_keys = keys.clone();
    staged_keys.swap.method = SwapMethod::InPlace;
    let [changed, gone] = stagings;
    let mending = Mending { changed: (changed, &staged), gone: (gone, &staged_keys), has_staging };
    let what = format!("{}: comparing by key", table.target);
    let compare = || attempt(context, table, keys, Some(mending), limit);
    let compared = tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(Error::cancelled()),
        compared = context.policy.retry(&what, &mut report.retries, compare) => compared,
    };
    let compared = compared.map_err(|error| (Stage::Read, error))?;
    report.stages.load = started.elapsed().as_secs_f64();
    report.stages.read = report.stages.load;
    let started = Instant::now();
    lease.check().await.map_err(|error| (Stage::Lease, error))?;
    let applied = apply(context, table, &staged_keys, stagings, &compared, report).await;
    report.stages.swap = started.elapsed().as_secs_f64();
    Ok(Mended { applied: applied.map_err(|error| (Stage::Swap, error))?, compared })
}

/// What is remembered of the table is forgotten before its rows change, and written down anew once they have: a crash in between costs a
/// whole copy, no more.
async fn apply<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &TablePlan,
    keys: &TablePlan,
    [changed, gone]: &[Staging; 2],
    Compared { found, tracking }: &Compared,
    report: &mut TableReport,
) -> Result<Option<Applied>> {
    let differs = found.differences.total() > 0;
    ticket::refuse_shrinking(table, found.held, found.source.rows)?;
    let is_remembered = context.is_remembered(table);
    if is_remembered {
        let what = format!("{}: forgetting how far it was followed", table.target);
        let forget = || context.while_target_answers(context.target.forget(&table.target));
        context.policy.retry(&what, &mut report.retries, forget).await?;
    }
    let applied = if differs {
        let rows =
            ChangedRows { changed, digest: found.changed, gone: found.has_gone.then_some(GoneRows::Keys(gone)), keys };
        let range = ProvenRange { scope: Scope::Whole, digest: found.source };
        let changes = ChangeSet {
            table,
            remembered: None,
            rows: Some(rows),
            range: Some(range),
            rows_at_source: None,
            sent: Mutex::default(),
        };
        let what = format!("{}: repairing what differs", table.target);
        let apply = || context.while_target_answers(context.target.apply(std::slice::from_ref(&changes)));
        let applied = context.policy.retry(&what, &mut report.retries, apply).await;
        if applied.is_err()
            && table.on_mismatch == OnMismatch::Fail
            && let Some(state) = context.remembered.own.get(&table.target)
            && let Err(error) = context.target.remember(&table.target, state).await
        {
            // Somebody was to look at it before anything is copied.
            tracing::warn!(table = %table.target, error = error.chain(), "the next run copies the table whole");
        }
        applied?.pop()
    } else {
        None
    };
    if table.mode.follows_changes() && tracking.is_some() {
        let basis = Basis { digest: found.source, tracking: tracking.clone() };
        remember(context, table, basis, report).await;
    }
    Ok(applied)
}

fn keyless(table: &TablePlan) -> Error {
    let message =
        format!("no key identifies the rows of {} on the target, so they cannot be repaired one by one", table.target);
    let error = Error::new(Side::Target, Kind::NotComparable, message);
    error.advise("`sync-job run` copies the table whole. With a primary key at the source, and indexes = \"create\" or \"primary-key\", it has one on the target.")
}
