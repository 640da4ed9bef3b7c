//! A table whose changes are followed: they are read into staging tables and applied in one transaction; where they will not do,
//! the whole table is copied.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use chrono::Utc;

use super::sink::{ChunkResult, Sink};
use super::staging::drop_staging;
use super::table::{Staged, losses};
use super::{Context, mend, permit};
use crate::config::{Deletes, Mode, OnMismatch};
use crate::model::error::{Error, Kind, Result};
use crate::model::position::Tracking;
use crate::model::stage::Stage;
use crate::model::state::TableState;
use crate::plan::why_full::{self, WhyFull};
use crate::plan::{SwapMethod, TablePlan, incremental};
use crate::proof::witness::sample::{self, Scope};
use crate::report::progress::Step;
use crate::report::{ChangesReport, TableOutcome, TableReport};
use crate::sources::{Gone, Reader, RowSink as _, Source};
use crate::targets::{Applied, ChangeSet, ChangedRows, GoneRows, Lease as _, ProvenRange, Staging, Target};

/// What came of following a table's changes.
pub enum Followed {
    Applied,
    /// The table must be copied whole.
    Whole(WhyFull),
}

/// Applies what changed since the state, if that is enough. The report is filled in as far as it went.
pub async fn follow<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &Arc<TablePlan>,
    stagings: [Staging; 2],
    lease: &T::Lease,
    report: &mut TableReport,
) -> Staged<Followed> {
    let state = match why_full::by_state(table, context.remembered.own.get(&table.target), Utc::now()) {
        Ok(state) => state.clone(),
        Err(why) => return Ok(Followed::Whole(why)),
    };
    let place = permit(&context.tables).await.map_err(|error| (Stage::Load, error))?;
    let started = Instant::now();
    context.progress.table_started(&table.target.to_string(), Step::Load, None);
    let work = Work::new(context, table, &stagings);
    let followed = work.follow(&state, lease, report).await;
    // After an interruption dropping takes a place of its own.
    drop(place);
    if work.has_staging.load(Ordering::Relaxed) {
        for staging in &stagings {
            drop_staging(context, staging).await;
        }
    }
    report.stages.total = started.elapsed().as_secs_f64();
    followed
}

/// One table's changes on their way.
struct Work<'a, S: Source, T: Target> {
    context: &'a Arc<Context<S, T>>,
    table: &'a Arc<TablePlan>,
    /// The plan of both staging tables: the table stays, and they never become it.
    staged: Arc<TablePlan>,
    keys: Arc<TablePlan>,
    changed: &'a Staging,
    gone: &'a Staging,
    has_staging: AtomicBool,
}

/// What was read in one state of the source.
struct Read {
    tracking: Tracking,
    /// Nothing where nothing changed.
    changed: Option<ChunkResult>,
    gone: Option<GoneKeys>,
    range: Option<ProvenRange>,
    /// How many rows the source has, where changes do not tell of rows that are gone.
    rows_at_source: Option<u64>,
}

/// What the keys in the second staging table mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoneKeys {
    Gone,
    There,
}

impl<'a, S: Source, T: Target> Work<'a, S, T> {
    fn new(context: &'a Arc<Context<S, T>>, table: &'a Arc<TablePlan>, [changed, gone]: &'a [Staging; 2]) -> Self {
        let mut staged = TablePlan::clone(table);
        staged.swap.method = SwapMethod::InPlace;
        let keys = incremental::keys(&staged);
        Self {
            context,
            table,
            staged: Arc::new(staged),
            keys: Arc::new(keys),
            changed,
            gone,
            has_staging: AtomicBool::new(false),
        }
    }

    async fn follow(&self, state: &TableState, lease: &T::Lease, report: &mut TableReport) -> Staged<Followed> {
        let (context, name) = (self.context, self.table.target.to_string());
        let started = Instant::now();
        let what = format!("{name}: changes");
        let read = tokio::select! {
            biased;
            () = context.cancel.cancelled() => Err(Error::cancelled()),
            read = context.policy.retry(&what, &mut report.retries, || self.read(state)) => read,
        };
        let read = match read.map_err(|error| (Stage::Load, error))? {
            Ok(read) => read,
            Err(why) => return Ok(Followed::Whole(why)),
        };
        report.stages.load = started.elapsed().as_secs_f64();
        report.stages.read = report.stages.load;
        if let Some(changed) = &read.changed {
            report.bytes = changed.bytes;
            report.losses = losses(self.table, &changed.losses);
        }
        context.progress.step(&name, Step::Swap);
        let started = Instant::now();
        lease.check().await.map_err(|error| (Stage::Lease, error))?;
        let applied = self.apply(state, &read, &mut report.retries).await;
        report.stages.swap = started.elapsed().as_secs_f64();
        match applied {
            Ok(applied) => {
                report.outcome = TableOutcome::Copied;
                report.rows = applied.inserted + applied.present + applied.deleted;
                report.changes = Some(ChangesReport {
                    why_full: None,
                    from_version: Some(state.position.version),
                    to_version: Some(read.tracking.now.version),
                    inserted: applied.inserted,
                    present: applied.present,
                    deleted: applied.deleted,
                    proven_ranges: read.range.as_ref().and_then(|range| match &range.scope {
                        Scope::Ranges { ranges, of } => Some([ranges.len(), *of]),
                        Scope::Whole => None,
                    }),
                    compared: None,
                });
                Ok(Followed::Applied)
            }
            Err(error) => {
                if error.kind == Kind::Mismatch {
                    self.forget().await;
                    name_what_differs(context, self.table, report).await;
                }
                Err((Stage::Swap, error))
            }
        }
    }

    /// Rows that did not add up would not do so next time either: then the whole table is copied, or compared.
    async fn forget(&self) {
        if self.table.on_mismatch != OnMismatch::Fail
            && let Err(error) = self.context.target.forget(&self.table.target).await
        {
            tracing::warn!(table = %self.table.target, error = error.chain(), "what is remembered of the table could not be forgotten");
        }
    }

    async fn apply(&self, state: &TableState, read: &Read, retries: &mut u32) -> Result<Applied> {
        let gone = read.gone.map(|keys| match keys {
            GoneKeys::Gone => GoneRows::Keys(self.gone),
            GoneKeys::There => GoneRows::Unless(self.gone),
        });
        let rows = read.changed.as_ref().map(|changed| ChangedRows {
            changed: self.changed,
            digest: changed.digest,
            gone,
            keys: &self.keys,
        });
        let changes = ChangeSet {
            table: self.table,
            remembered: Some(crate::targets::Step { from: state, to: &read.tracking.now }),
            rows,
            range: read.range.clone(),
            rows_at_source: read.rows_at_source,
            sent: Mutex::default(),
        };
        let what = format!("{}: applying changes", self.table.target);
        let apply = || self.context.while_target_answers(self.context.target.apply(&changes));
        self.context.policy.retry(&what, retries, apply).await
    }

    /// One try: one state of the source, and staging tables made anew.
    async fn read(&self, state: &TableState) -> Result<std::result::Result<Read, WhyFull>> {
        let context = self.context;
        let _permit = permit(&context.readers).await?;
        let mut reader = context.take_reader().await?;
        let result = self.read_over(&mut reader, state).await;
        match &result {
            Ok(_) => {
                reader.commit().await?;
                context.give_back(reader).await;
            }
            Err(error) => context.after(error).await,
        }
        result
    }

    async fn read_over(
        &self,
        reader: &mut S::Reader,
        state: &TableState,
    ) -> Result<std::result::Result<Read, WhyFull>> {
        let context = self.context;
        let tracking = reader.begin_tracked(self.table).await?;
        if let Err(why) = why_full::by_source(state, tracking.as_ref()) {
            return Ok(Err(why));
        }
        let (Some(tracking), Some(changes)) = (tracking, context.source.changes(self.table, &state.position)) else {
            return Ok(Err(WhyFull::Untracked));
        };
        let may_be_emptied = tracking.begins.is_some_and(|begins| state.position.version <= begins);
        let is_counted = match changes.gone {
            Gone::Keys(_) => may_be_emptied,
            Gone::Unless(_) => self.table.deletes == Deletes::Keys,
        };
        let rows_at_source = if is_counted { Some(reader.count(self.table).await?) } else { None };
        // The same version does not tell that nothing changed: an open transaction holds a rowversion's ceiling back.
        let has_changes = reader.has_changes(self.table, &state.position).await?;
        if !has_changes && may_be_emptied && rows_at_source != Some(state.digest.rows) {
            return Ok(Err(WhyFull::OtherHistory));
        }
        if !has_changes && rows_at_source.is_none_or(|rows| rows == state.digest.rows) {
            return Ok(Ok(Read { tracking, changed: None, gone: None, range: None, rows_at_source }));
        }
        self.has_staging.store(true, Ordering::Relaxed);
        context.while_target_answers(context.target.create_staging(&self.staged, self.changed)).await?;
        let changed = self.read_unit(reader, &self.staged, &changes.changed, Some(self.changed)).await?;
        let gone = self.gone(reader, &changes.gone, state, changed.digest.rows, rows_at_source).await?;
        let range = self.range(reader, state).await?;
        Ok(Ok(Read { tracking, changed: Some(changed), gone, range, rows_at_source }))
    }

    /// Loads the keys by which rows that are gone are known. Where the source does not tell of them, all keys are read, but only if the
    /// number of rows shows that there are any: with all changed rows the target holds every row of the source.
    async fn gone(
        &self,
        reader: &mut S::Reader,
        gone: &Gone<S::Unit>,
        state: &TableState,
        changed: u64,
        rows_at_source: Option<u64>,
    ) -> Result<Option<GoneKeys>> {
        let target = &self.context.target;
        let (unit, meaning) = match (gone, rows_at_source) {
            (Gone::Keys(unit), _) => (unit, GoneKeys::Gone),
            (Gone::Unless(_), None) => return Ok(None),
            (Gone::Unless(unit), Some(wanted)) => {
                let present = target.count_present(self.table, &self.keys, self.changed);
                let inserted = changed.saturating_sub(self.context.while_target_answers(present).await?);
                if state.digest.rows + inserted == wanted {
                    return Ok(None);
                }
                (unit, GoneKeys::There)
            }
        };
        self.context.while_target_answers(target.create_staging(&self.keys, self.gone)).await?;
        let keys = self.read_unit(reader, &self.keys, unit, Some(self.gone)).await?;
        Ok((meaning == GoneKeys::There || keys.digest.rows > 0).then_some(meaning))
    }

    /// Reads the range whose turn it is, in the same state of the source.
    async fn range(&self, reader: &mut S::Reader, state: &TableState) -> Result<Option<ProvenRange>> {
        let (Some(parts), Some(key)) = (self.table.prove, &self.table.witness_key) else { return Ok(None) };
        // Rows that stay although they are gone at the source are no difference.
        if self.table.mode == Mode::RowVersion && self.table.deletes == Deletes::Ignore {
            return Ok(None);
        }
        let extremes = if sample::needs_no_extremes(key) { None } else { reader.extremes(self.table, key).await? };
        let Some(mut ranges) = sample::cut(parts, key, extremes) else { return Ok(None) };
        let of = ranges.len();
        // Downwards: as keys grow, rows drift to lower ranges, and would slip by a turn that goes up.
        let turn = usize::try_from(state.applied).unwrap_or_default() % of;
        let range = ranges.swap_remove(of - 1 - turn);
        let Some(unit) = self.context.source.range(range.clone()) else { return Ok(None) };
        let mut plan = TablePlan::clone(self.table);
        plan.chunk_key = vec![key.clone()];
        let read = self.read_unit(reader, &plan, &unit, None).await?;
        Ok(Some(ProvenRange { scope: Scope::Ranges { ranges: vec![range], of }, digest: read.digest }))
    }

    /// Into a staging table, or only for the digest.
    async fn read_unit(
        &self,
        reader: &mut S::Reader,
        plan: &TablePlan,
        unit: &S::Unit,
        staging: Option<&Staging>,
    ) -> Result<ChunkResult> {
        let context = self.context;
        let name = self.table.target.to_string();
        let loader = match staging {
            Some(staging) => Some(context.target.open_chunk(plan, staging).await?),
            None => None,
        };
        let tell = |rows: u64, bytes: u64| context.progress.rows(&name, rows, bytes);
        let encoder = context.target.encoder(plan);
        let mut sink = Sink::new(encoder, loader, &context.memory, context.limits.stall_timeout, &tell);
        reader.read(plan, unit, &mut sink).await?;
        if sink.is_full() {
            sink.flush().await?;
        }
        sink.finish().await
    }
}

/// How many rows a run names that a proof found to differ.
const NAMED: usize = 20;

/// For the report of a table whose proof failed. Rows that the source has changed since are no part of it.
async fn name_what_differs<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &TablePlan,
    report: &mut TableReport,
) {
    let compared = tokio::select! {
        biased;
        () = context.cancel.cancelled() => return,
        compared = mend::compare(context, table, NAMED, &mut report.retries) => compared,
    };
    match compared {
        Ok(compared) => report.differences = compared.map(|compared| compared.found.differences),
        Err(cause) => report.warnings.push(format!("the rows that differ could not be found: {}", cause.whole())),
    }
}
