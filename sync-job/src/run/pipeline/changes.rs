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
use crate::targets::{self, Applied, ChangeSet, ChangedRows, GoneRows, Lease as _, ProvenRange, Staging, Target};

/// How many rows a run names that a proof found to differ.
const NAMED: usize = 20;

/// What came of following the changes of a group.
pub enum Followed {
    Applied,
    /// The tables must be copied whole; why, in their order.
    Whole(Vec<WhyFull>),
}

/// Applies what changed since the state, if that is enough: of a table on its own, or of a group, whose changes are of one moment of the source and
/// come to the target in one transaction. The reports are filled in as far as it went.
pub async fn follow<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    group: Vec<(&Arc<TablePlan>, [Staging; 2])>,
    lease: &T::Lease,
    reports: &mut [TableReport],
) -> Staged<Followed> {
    let now = Utc::now();
    let states: Vec<std::result::Result<&TableState, WhyFull>> = group
        .iter()
        .map(|(table, _)| why_full::by_state(table, context.remembered.own.get(&table.target), now))
        .collect();
    if let Some(why) = why_whole(&states) {
        return Ok(Followed::Whole(why));
    }
    let members = group.into_iter().zip(states);
    let work = Work {
        context,
        members: members
            .filter_map(|((table, stagings), state)| Some(Member::new(table, stagings, state.ok()?)))
            .collect(),
    };
    let place = permit(&context.tables).await.map_err(|error| (Stage::Load, error))?;
    let started = Instant::now();
    for member in &work.members {
        context.progress.table_started(&member.table.target.to_string(), Step::Load, None);
    }
    let followed = work.follow(lease, reports).await;
    // After an interruption dropping takes a place of its own.
    drop(place);
    for member in work.members.iter().filter(|member| member.has_staging.load(Ordering::Relaxed)) {
        for staging in [&member.changed, &member.gone] {
            drop_staging(context, staging).await;
        }
    }
    for report in reports {
        report.stages.total = started.elapsed().as_secs_f64();
    }
    followed
}

/// Why the tables are copied whole, if any of them must be: all of them are of one moment.
fn why_whole<R>(found: &[std::result::Result<R, WhyFull>]) -> Option<Vec<WhyFull>> {
    let why = |found: &std::result::Result<R, WhyFull>| found.as_ref().err().copied().unwrap_or(WhyFull::Group);
    found.iter().any(std::result::Result::is_err).then(|| found.iter().map(why).collect())
}

/// The changes of tables of one moment, on their way.
struct Work<'a, S: Source, T: Target> {
    context: &'a Arc<Context<S, T>>,
    members: Vec<Member<'a>>,
}

/// A table whose changes are followed.
struct Member<'a> {
    table: &'a Arc<TablePlan>,
    state: &'a TableState,
    /// The plan of both staging tables: the table stays, and they never become it.
    staged: Arc<TablePlan>,
    keys: Arc<TablePlan>,
    changed: Staging,
    gone: Staging,
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
    /// Seconds.
    took: f64,
}

/// What the keys in the second staging table mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoneKeys {
    Gone,
    There,
}

impl<'a> Member<'a> {
    fn new(table: &'a Arc<TablePlan>, [changed, gone]: [Staging; 2], state: &'a TableState) -> Self {
        let mut staged = TablePlan::clone(table);
        staged.swap.method = SwapMethod::InPlace;
        let keys = incremental::keys(&staged);
        Self {
            table,
            state,
            staged: Arc::new(staged),
            keys: Arc::new(keys),
            changed,
            gone,
            has_staging: AtomicBool::new(false),
        }
    }

    fn change_set<'r>(&'r self, read: &'r Read) -> ChangeSet<'r> {
        let gone = read.gone.map(|keys| match keys {
            GoneKeys::Gone => GoneRows::Keys(&self.gone),
            GoneKeys::There => GoneRows::Unless(&self.gone),
        });
        let rows = read.changed.as_ref().map(|changed| ChangedRows {
            changed: &self.changed,
            digest: changed.digest,
            gone,
            keys: &self.keys,
        });
        ChangeSet {
            table: self.table,
            remembered: Some(targets::Step { from: self.state, to: &read.tracking.now }),
            rows,
            range: read.range.clone(),
            rows_at_source: read.rows_at_source,
            sent: Mutex::default(),
        }
    }

    fn fill(&self, report: &mut TableReport, read: &Read, applied: &Applied) {
        report.outcome = TableOutcome::Copied;
        report.rows = applied.inserted + applied.present + applied.deleted;
        report.changes = Some(ChangesReport {
            why_full: None,
            from_version: Some(self.state.position.version),
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
    }
}

impl<S: Source, T: Target> Work<'_, S, T> {
    async fn follow(&self, lease: &T::Lease, reports: &mut [TableReport]) -> Staged<Followed> {
        let context = self.context;
        let what = format!("{}: changes", self.names());
        let mut retries = 0;
        let read = tokio::select! {
            biased;
            () = context.cancel.cancelled() => Err(Error::cancelled()),
            read = context.policy.retry(&what, &mut retries, || self.read()) => read,
        };
        for report in reports.iter_mut() {
            report.retries += retries;
        }
        let reads = match read.map_err(|error| (Stage::Load, error))? {
            Ok(reads) => reads,
            Err(why) => return Ok(Followed::Whole(why)),
        };
        for ((member, read), report) in self.members.iter().zip(&reads).zip(reports.iter_mut()) {
            report.stages.load = read.took;
            report.stages.read = read.took;
            if let Some(changed) = &read.changed {
                report.bytes = changed.bytes;
                report.losses = losses(member.table, &changed.losses);
            }
            context.progress.step(&member.table.target.to_string(), Step::Swap);
        }
        let started = Instant::now();
        lease.check().await.map_err(|error| (Stage::Lease, error))?;
        let mut retries = 0;
        let applied = self.apply(&reads, &mut retries).await;
        for report in reports.iter_mut() {
            report.stages.swap = started.elapsed().as_secs_f64();
            report.retries += retries;
        }
        match applied {
            Ok(applied) => {
                let all = self.members.iter().zip(&reads).zip(&applied);
                all.zip(reports).for_each(|(((member, read), applied), report)| member.fill(report, read, applied));
                Ok(Followed::Applied)
            }
            Err(error) => {
                if error.kind == Kind::Mismatch {
                    self.forget().await;
                    self.name_what_differs(reports).await;
                }
                Err((Stage::Swap, error))
            }
        }
    }

    /// For messages.
    fn names(&self) -> String {
        self.members.iter().map(|member| member.table.target.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// Rows that did not add up would not do so next time either: then the tables are copied whole, or compared. One that is to fail until somebody
    /// has looked holds back those that are of its moment.
    async fn forget(&self) {
        if self.members.iter().any(|member| member.table.on_mismatch == OnMismatch::Fail) {
            return;
        }
        for member in &self.members {
            if let Err(error) = self.context.target.forget(&member.table.target).await {
                tracing::warn!(table = %member.table.target, error = error.chain(), "what is remembered of the table could not be forgotten");
            }
        }
    }

    /// For the reports of tables whose proof failed. Rows that the source has changed since are no part of it.
    async fn name_what_differs(&self, reports: &mut [TableReport]) {
        for (member, report) in self.members.iter().zip(reports) {
            let compared = tokio::select! {
                biased;
                () = self.context.cancel.cancelled() => return,
                compared = mend::compare(self.context, member.table, NAMED, &mut report.retries) => compared,
            };
            match compared {
                Ok(compared) => report.differences = compared.map(|compared| compared.found.differences),
                Err(cause) => {
                    report.warnings.push(format!("the rows that differ could not be found: {}", cause.whole()));
                }
            }
        }
    }

    async fn apply(&self, reads: &[Read], retries: &mut u32) -> Result<Vec<Applied>> {
        let sets: Vec<ChangeSet<'_>> =
            self.members.iter().zip(reads).map(|(member, read)| member.change_set(read)).collect();
        let what = format!("{}: applying changes", self.names());
        let apply = || self.context.while_target_answers(self.context.target.apply(&sets));
        self.context.policy.retry(&what, retries, apply).await
    }

    /// One try: one state of the source, and staging tables made anew.
    async fn read(&self) -> Result<std::result::Result<Vec<Read>, Vec<WhyFull>>> {
        let context = self.context;
        let _permit = permit(&context.readers).await?;
        let mut reader = context.take_reader().await?;
        let result = self.read_all(&mut reader).await;
        match &result {
            Ok(_) => {
                reader.commit().await?;
                context.give_back(reader).await;
            }
            Err(error) => context.after(error).await,
        }
        result
    }

    async fn read_all(&self, reader: &mut S::Reader) -> Result<std::result::Result<Vec<Read>, Vec<WhyFull>>> {
        let tables: Vec<&TablePlan> = self.members.iter().map(|member| member.table.as_ref()).collect();
        let tracked = reader.begin_tracked(&tables).await?;
        let judged: Vec<std::result::Result<Tracking, WhyFull>> = self
            .members
            .iter()
            .zip(tracked)
            .map(|(member, tracking)| {
                why_full::by_source(member.state, tracking.as_ref())?;
                tracking.ok_or(WhyFull::Untracked)
            })
            .collect();
        if let Some(why) = why_whole(&judged) {
            return Ok(Err(why));
        }
        let mut reads = Vec::new();
        for (member, tracking) in self.members.iter().zip(judged.into_iter().flatten()) {
            let began = Instant::now();
            reads.push(
                self.read_over(reader, member, tracking)
                    .await?
                    .map(|read| Read { took: began.elapsed().as_secs_f64(), ..read }),
            );
        }
        if let Some(why) = why_whole(&reads) {
            return Ok(Err(why));
        }
        Ok(Ok(reads.into_iter().flatten().collect()))
    }

    async fn read_over(
        &self,
        reader: &mut S::Reader,
        member: &Member<'_>,
        tracking: Tracking,
    ) -> Result<std::result::Result<Read, WhyFull>> {
        let (context, table, state) = (self.context, member.table, member.state);
        let Some(changes) = context.source.changes(table, &state.position) else {
            return Ok(Err(WhyFull::Untracked));
        };
        let may_be_emptied = tracking.begins.is_some_and(|begins| state.position.version <= begins);
        let is_counted = match changes.gone {
            Gone::Keys(_) => may_be_emptied,
            Gone::Unless(_) => table.deletes == Deletes::Keys,
        };
        let rows_at_source = if is_counted { Some(reader.count(table).await?) } else { None };
        // The same version does not tell that nothing changed: an open transaction holds a rowversion's ceiling back.
        let has_changes = reader.has_changes(table, &state.position).await?;
        if !has_changes && may_be_emptied && rows_at_source != Some(state.digest.rows) {
            return Ok(Err(WhyFull::OtherHistory));
        }
        let unchanged = Read { tracking, changed: None, gone: None, range: None, rows_at_source, took: 0.0 };
        if !has_changes && rows_at_source.is_none_or(|rows| rows == state.digest.rows) {
            return Ok(Ok(unchanged));
        }
        member.has_staging.store(true, Ordering::Relaxed);
        context.while_target_answers(context.target.create_staging(&member.staged, &member.changed)).await?;
        let changed = self.read_unit(reader, &member.staged, &changes.changed, Some(&member.changed)).await?;
        let gone = self.gone(reader, member, &changes.gone, changed.digest.rows, rows_at_source).await?;
        let range = self.range(reader, member).await?;
        Ok(Ok(Read { changed: Some(changed), gone, range, ..unchanged }))
    }

    /// Loads the keys by which rows that are gone are known. Where the source does not tell of them, all keys are read, but only if the
    /// number of rows shows that there are any: with all changed rows the target holds every row of the source.
    async fn gone(
        &self,
        reader: &mut S::Reader,
        member: &Member<'_>,
        gone: &Gone<S::Unit>,
        changed: u64,
        rows_at_source: Option<u64>,
    ) -> Result<Option<GoneKeys>> {
        let target = &self.context.target;
        let (unit, meaning) = match (gone, rows_at_source) {
            (Gone::Keys(unit), _) => (unit, GoneKeys::Gone),
            (Gone::Unless(_), None) => return Ok(None),
            (Gone::Unless(unit), Some(wanted)) => {
                let present = target.count_present(member.table, &member.keys, &member.changed);
                let inserted = changed.saturating_sub(self.context.while_target_answers(present).await?);
                if member.state.digest.rows + inserted == wanted {
                    return Ok(None);
                }
                (unit, GoneKeys::There)
            }
        };
        self.context.while_target_answers(target.create_staging(&member.keys, &member.gone)).await?;
        let keys = self.read_unit(reader, &member.keys, unit, Some(&member.gone)).await?;
        Ok((meaning == GoneKeys::There || keys.digest.rows > 0).then_some(meaning))
    }

    /// Reads the range whose turn it is, in the same state of the source.
    async fn range(&self, reader: &mut S::Reader, member: &Member<'_>) -> Result<Option<ProvenRange>> {
        let table = member.table;
        let (Some(parts), Some(key)) = (table.prove, &table.witness_key) else { return Ok(None) };
        // Rows that stay although they are gone at the source are no difference.
        if table.mode == Mode::RowVersion && table.deletes == Deletes::Ignore {
            return Ok(None);
        }
        let extremes = if sample::needs_no_extremes(key) { None } else { reader.extremes(table, key).await? };
        let Some(mut ranges) = sample::cut(parts, key, extremes) else { return Ok(None) };
        let of = ranges.len();
        // Downwards: as keys grow, rows drift to lower ranges, and would slip by a turn that goes up.
        let turn = usize::try_from(member.state.applied).unwrap_or_default() % of;
        let range = ranges.swap_remove(of - 1 - turn);
        let Some(unit) = self.context.source.range(range.clone()) else { return Ok(None) };
        let mut plan = TablePlan::clone(table);
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
        let name = plan.target.to_string();
        let loader = match staging {
            Some(staging) => Some(context.target.open_chunk(plan, staging, 0).await?),
            None => None,
        };
        let on_rows = |rows: u64, bytes: u64| context.progress.rows(&name, rows, bytes);
        let encoder = context.target.encoder(plan);
        let mut sink = Sink::new(encoder, loader, &context.memory, context.limits.stall_timeout, &on_rows);
        reader.read(plan, unit, &mut sink).await?;
        if sink.is_full() {
            sink.flush().await?;
        }
        sink.finish().await
    }
}
