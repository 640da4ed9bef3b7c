//! All tables of a run: those that swap alone, and groups that swap together. A failed table never stops the others.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_util::future::join_all;

use super::changes::{self, Followed};
use super::remember::remember;
use super::staging::drop_staging;
use super::table::{Basis, Prepared, Staged, blank_report, prepare};
use super::{Context, copied, mend};
use crate::config::{Mode, OnMismatch};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::stage::Stage;
use crate::plan::why_full::WhyFull;
use crate::plan::{TablePlan, by_key};
use crate::report::progress::Step;
use crate::report::{ChangesReport, Failure, Standing, TableOutcome, TableReport};
use crate::rows::digest::TableDigest;
use crate::sources::Source;
use crate::targets::{Lease, Staging, SwapItem, Target};

/// Copies every table of the plan and reports on each, in the plan's order.
pub async fn copy_all<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    tables: &[Arc<TablePlan>],
    lease: &T::Lease,
) -> Vec<TableReport> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let same = |group: &&mut Vec<usize>| table.group.is_some() && tables[group[0]].group == table.group;
        match groups.iter_mut().find(same) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    // The largest first, so that none of them is left alone at the end.
    let size = |group: &Vec<usize>| group.iter().map(|index| tables[*index].bytes.unwrap_or(0)).sum::<u64>();
    groups.sort_by_key(|group| std::cmp::Reverse(size(group)));
    let done = join_all(groups.into_iter().map(|group| async move {
        let reports = copy_group(context, tables, &group, lease).await;
        group.into_iter().zip(reports).collect::<Vec<_>>()
    }))
    .await;
    let mut reports: Vec<(usize, TableReport)> = done.into_iter().flatten().collect();
    reports.sort_by_key(|(index, _)| *index);
    reports.into_iter().map(|(_, report)| report).collect()
}

/// A table on its own, or a group; the tables of a group follow their changes all, or none.
async fn copy_group<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    tables: &[Arc<TablePlan>],
    group: &[usize],
    lease: &T::Lease,
) -> Vec<TableReport> {
    let own: Vec<&Arc<TablePlan>> = group.iter().map(|index| &tables[*index]).collect();
    if own.iter().any(|table| table.mode != Mode::Full) {
        let reports = match *group {
            [index] if tables[index].mode == Mode::Compare => {
                vec![compare_or_copy(context, tables, index, lease).await]
            }
            _ => follow_or_copy(context, tables, group, lease).await,
        };
        let done = own.iter().zip(&reports).filter(|(_, report)| report.outcome == TableOutcome::Copied);
        // The next run follows their changes, whatever became of this one; but this one need not be continued for their sake.
        let done = done.map(|(table, report)| (table.as_ref(), TableDigest::default(), report.bytes));
        copied::note(context, &done.collect::<Vec<_>>()).await;
        return reports;
    }
    let again = tokio::select! {
        biased;
        () = context.cancel.cancelled() => None,
        taken = copied::taken_over(context, &own) => match taken {
            Ok(reports) => return reports,
            Err(again) => again,
        },
    };
    let mut whole = copy_whole(context, tables, group, lease).await;
    for (report, _) in &mut whole {
        report.warnings.extend(again.clone());
    }
    let done = own.iter().zip(&whole);
    let done = done.filter_map(|(table, (report, basis))| Some((table.as_ref(), basis.as_ref()?.digest, report.bytes)));
    copied::note(context, &done.collect::<Vec<_>>()).await;
    whole.into_iter().map(|(report, _)| report).collect()
}

/// The numbers of staging tables that never become tables: beyond those that do.
fn stagings<S: Source, T: Target>(context: &Context<S, T>, tables: &[Arc<TablePlan>], index: usize) -> [Staging; 2] {
    let number = tables.len() + 2 * index;
    [number, number + 1].map(|number| context.target.staging(&tables[index], number))
}

/// A table of which all rows are compared, or copied where there is nothing to compare them with.
async fn compare_or_copy<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    tables: &[Arc<TablePlan>],
    index: usize,
    lease: &T::Lease,
) -> TableReport {
    let table = &tables[index];
    if !by_key::can_be_mended(table) {
        let mut copied = copy_whole(context, tables, &[index], lease).await;
        let mut report = copied.pop().map_or_else(|| blank_report(table), |(report, _)| report);
        report.changes = Some(ChangesReport::whole(WhyFull::TargetDiffers));
        return report;
    }
    mend_and_report(context, tables, index, lease).await
}

/// Writes what differs, and proves all rows.
async fn mend_and_report<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    tables: &[Arc<TablePlan>],
    index: usize,
    lease: &T::Lease,
) -> TableReport {
    let table = &tables[index];
    let mut report = blank_report(table);
    let started = Instant::now();
    let stagings = stagings(context, tables, index);
    match mend::mend(context, table, &stagings, 0, lease, &mut report).await {
        Ok(mended) => mended.tell(table, &mut report),
        Err((stage, error)) => fail(&mut report, table, stage, &error),
    }
    report.stages.total = started.elapsed().as_secs_f64();
    let outcome = report.failure.as_ref().map_or("compared".to_owned(), |failure| failure.message.to_string());
    context.progress.table_done(&report.target, &outcome);
    report
}

/// Whether a table of which nothing is remembered any more is compared instead of copied. The tables of a group are of one moment, and each
/// comparison is of its own.
fn is_compared_instead(tables: &[Arc<TablePlan>], group: &[usize], whys: &[WhyFull]) -> bool {
    let [index] = *group else { return false };
    let table = &tables[index];
    table.on_mismatch == OnMismatch::Compare && whys == [WhyFull::NoState] && by_key::can_be_mended(table)
}

async fn follow_or_copy<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    tables: &[Arc<TablePlan>],
    group: &[usize],
    lease: &T::Lease,
) -> Vec<TableReport> {
    let mut reports: Vec<TableReport> = group.iter().map(|index| blank_report(&tables[*index])).collect();
    let followees = group.iter().map(|index| (&tables[*index], stagings(context, tables, *index)));
    let whys = match changes::follow(context, followees.collect(), lease, &mut reports).await {
        Ok(Followed::Whole(whys)) if is_compared_instead(tables, group, &whys) => {
            return vec![mend_and_report(context, tables, group[0], lease).await];
        }
        Ok(Followed::Whole(whys)) => whys,
        Ok(Followed::Applied) => {
            for report in &reports {
                context.progress.table_done(&report.target, "changes applied");
            }
            return reports;
        }
        Err((stage, error)) => {
            for (report, index) in reports.iter_mut().zip(group) {
                fail(report, &tables[*index], stage, &error);
                context.progress.table_done(&report.target, &error.message.to_string());
            }
            return reports;
        }
    };
    let mut copied = Vec::new();
    let whole = copy_whole(context, tables, group, lease).await;
    for ((((mut report, basis), before), why), index) in whole.into_iter().zip(&reports).zip(whys).zip(group) {
        let table = &tables[*index];
        tracing::info!(table = %table.target, %why, "the table was copied whole");
        report.retries += before.retries;
        report.changes = Some(ChangesReport::whole(why));
        if let Some(basis) = basis {
            remember(context, table, basis, &mut report).await;
        }
        copied.push(report);
    }
    copied
}

async fn copy_whole<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    tables: &[Arc<TablePlan>],
    group: &[usize],
    lease: &T::Lease,
) -> Vec<(TableReport, Option<Basis>)> {
    let stagings: Vec<Staging> = group.iter().map(|index| context.target.staging(&tables[*index], *index)).collect();
    let begun: Vec<AtomicBool> = group.iter().map(|_| AtomicBool::new(false)).collect();
    let prepared = join_all(group.iter().zip(&stagings).zip(&begun).map(|((index, staging), begun)| async {
        let table = &tables[*index];
        let mut report = blank_report(table);
        let started = Instant::now();
        let result = prepare_or_stop(context, table, staging, begun, lease, &mut report).await;
        report.stages.total = started.elapsed().as_secs_f64();
        (report, result)
    }))
    .await;
    let (mut reports, results): (Vec<TableReport>, Vec<Staged<Prepared>>) = prepared.into_iter().unzip();
    // An interruption is the cause only where nothing else is.
    let failed = results
        .iter()
        .zip(group)
        .filter_map(|(result, index)| result.as_ref().err().map(|(_, error)| (&tables[*index].target, error.kind)))
        .min_by_key(|(_, kind)| *kind == Kind::Cancelled);
    let mut items = Vec::new();
    let mut bases: Vec<Option<Basis>> = group.iter().map(|_| None).collect();
    for (position, result) in results.into_iter().enumerate() {
        let table = &tables[group[position]];
        match result {
            Ok(Prepared { ticket, tracking }) if failed.is_none() => {
                bases[position] = Some(Basis { digest: ticket.digest(), tracking });
                items.push(SwapItem { table, staging: stagings[position].clone(), ticket });
            }
            Ok(_) => {
                let error = match failed {
                    Some((other, kind)) if kind != Kind::Cancelled => {
                        let message = format!("{} is ready, but {other}, which is of its group, failed", table.target);
                        Error::new(Side::Job, Kind::GroupFailed, message)
                    }
                    _ => Error::cancelled(),
                };
                fail(&mut reports[position], table, Stage::Group, &error);
            }
            Err((stage, error)) => fail(&mut reports[position], table, stage, &error),
        }
    }
    if failed.is_none() {
        swap(context, &items, &mut reports, lease).await;
    }
    drop(items);
    for (((report, staging), begun), index) in reports.iter().zip(&stagings).zip(&begun).zip(group) {
        let has_staging = begun.load(Ordering::Relaxed) || context.resume.is_left(&tables[*index]);
        if report.failure.is_some() && has_staging {
            drop_staging(context, staging).await;
        }
        let outcome =
            report.failure.as_ref().map_or("verified and swapped in".to_owned(), |failure| failure.message.to_string());
        context.progress.table_done(&report.target, &outcome);
    }
    for (report, basis) in reports.iter().zip(&mut bases) {
        basis.take_if(|_| report.outcome != TableOutcome::Copied);
    }
    reports.into_iter().zip(bases).collect()
}

async fn prepare_or_stop<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &Arc<TablePlan>,
    staging: &Staging,
    begun: &AtomicBool,
    lease: &T::Lease,
    report: &mut TableReport,
) -> Staged<Prepared> {
    let work = async {
        let _permit = context.tables.acquire().await.map_err(|_| (Stage::Load, Error::cancelled()))?;
        lease.check().await.map_err(|error| (Stage::Lease, error))?;
        begun.store(true, Ordering::Relaxed);
        prepare(context, table, staging, report).await
    };
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err((Stage::Load, Error::cancelled())),
        result = work => result,
    }
}

/// Never cut off by an interruption: a swap that began is a swap that ended, unless the server says nothing more.
async fn swap<S: Source, T: Target>(
    context: &Context<S, T>,
    items: &[SwapItem<'_>],
    reports: &mut [TableReport],
    lease: &T::Lease,
) {
    let started = Instant::now();
    for report in reports.iter() {
        context.progress.step(&report.target, Step::Swap);
    }
    let result = async {
        // Nothing was sent yet: an interruption need not wait for a server that says nothing.
        tokio::select! {
            biased;
            () = context.cancel.cancelled() => return Err(Error::cancelled()),
            kept = lease.check() => kept?,
        }
        // From here on the table is another one: nobody may apply changes to it that belong to the old one.
        for item in items.iter().filter(|item| context.is_remembered(item.table)) {
            let forget = || context.while_target_answers(context.target.forget(&item.table.target));
            let what = format!("{}: forgetting how far it was followed", item.table.target);
            context.policy.retry(&what, &mut 0, forget).await?;
        }
        or_silence(context, items, lease, context.target.swap(items)).await
    }
    .await;
    let seconds = started.elapsed().as_secs_f64();
    match result {
        Ok(methods) => {
            for (report, method) in reports.iter_mut().zip(methods) {
                report.outcome = TableOutcome::Copied;
                report.swap = Some(method);
                report.stages.swap = seconds;
                report.stages.total += seconds;
            }
        }
        Err(error) => {
            reports.iter_mut().zip(items).for_each(|(report, item)| fail(report, item.table, Stage::Swap, &error));
        }
    }
}

/// After an interruption the work goes on for as long as the server answers on the lease's connection. If it says nothing more
/// nobody can tell from here which rows readers see, and it is said so.
async fn or_silence<S: Source, T: Target, R>(
    context: &Context<S, T>,
    items: &[SwapItem<'_>],
    lease: &T::Lease,
    work: impl Future<Output = Result<R>>,
) -> Result<R> {
    let timeout = context.limits.stall_timeout;
    let silence = async {
        context.cancel.cancelled().await;
        loop {
            tokio::time::sleep(timeout).await;
            if !matches!(tokio::time::timeout(timeout, lease.check()).await, Ok(Ok(()))) {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        result = work => result,
        () = silence => {
            let names: Vec<String> = items.iter().map(|item| item.table.target.to_string()).collect();
            let message = format!(
                "interrupted, the target has not answered for {} s while it swapped {}: whether readers see the old rows or the \
                 new ones is not known; `sync-job verify` tells",
                timeout.as_secs_f32(),
                names.join(", ")
            );
            Err(Error::new(Side::Target, Kind::Timeout, message))
        }
    }
}

fn fail(report: &mut TableReport, table: &TablePlan, stage: Stage, error: &Error) {
    report.outcome = if error.kind == Kind::Cancelled { TableOutcome::Interrupted } else { TableOutcome::Failed };
    report.failure = Some(Failure::at(Standing::of(table.swap.method), stage, error));
}
