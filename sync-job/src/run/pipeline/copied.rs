//! Tables that are before readers: written down for the next run, should this one die, and taken over from one that died.

use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;

use super::table::blank_report;
use super::taken_over::Resume;
use super::{Context, permit};
use crate::config::{Consistency, Mode};
use crate::model::error::Result;
use crate::model::run_state::{CopiedTable, FORMAT};
use crate::plan::{TablePlan, fingerprint};
use crate::proof::verdict::{self, Verdict};
use crate::report::{TableOutcome, TableReport, TakenOver};
use crate::rows::digest::TableDigest;
use crate::sources::Source;
use crate::targets::Target;

/// The reports of tables that a run that died has swapped in, if that is all of these, and each still holds just what was proven then. Else why
/// they are copied although one of them was, if so.
pub async fn taken_over<S: Source, T: Target>(
    context: &Context<S, T>,
    tables: &[&Arc<TablePlan>],
) -> std::result::Result<Vec<TableReport>, Option<String>> {
    let mut reports = Vec::new();
    for table in tables {
        let Some(left) = context.resume.copied.get(&table.target) else { return Err(None) };
        let again = |why: &str| Err(Some(format!("copied again, although a run that died had done so: {why}")));
        if !is_same(&context.resume, table, left) {
            return again("its plan changed since, or the moment that it was of is gone");
        }
        match proven(context, table, left).await {
            Ok(Some(report)) => reports.push(report),
            Ok(None) => return again("somebody changed its rows on the target since"),
            // Whoever copies it will see what is the matter.
            Err(error) => return again(&error.chain()),
        }
    }
    for report in &reports {
        context.progress.table_done(&report.target, "taken over from a run that died");
    }
    Ok(reports)
}

fn is_same<U>(resume: &Resume<U>, table: &TablePlan, left: &CopiedTable) -> bool {
    let is_of_view = table.consistency != Consistency::DatabaseSnapshot || left.view_run == resume.view_run;
    let is_as_it_was = table.drift.is_empty() && !table.without_its_key;
    table.mode == Mode::Full && is_as_it_was && is_of_view && left.fingerprint == fingerprint::of(table, "")
}

async fn proven<S: Source, T: Target>(
    context: &Context<S, T>,
    table: &TablePlan,
    left: &CopiedTable,
) -> Result<Option<TableReport>> {
    let _permit = permit(&context.tables).await?;
    let mut report = blank_report(table);
    tracing::info!(table = %table.target, "proving what a run that died has copied");
    let started = Instant::now();
    let what = format!("{}: digest", table.target);
    let digest = || context.while_target_answers(context.target.digest(table, &table.target));
    let held = context.policy.retry(&what, &mut report.retries, digest).await?;
    let verdict = verdict::compare(left.digest, held);
    if !matches!(verdict, Verdict::Match(_)) {
        return Ok(None);
    }
    report.outcome = TableOutcome::Copied;
    report.rows = held.rows;
    report.bytes = left.bytes;
    report.verdict = verdict.to_string();
    report.digest = Some(verdict::digest_text(held));
    report.taken_over = Some(TakenOver { chunks: None, rows: held.rows, bytes: left.bytes });
    report.stages.verify = started.elapsed().as_secs_f64();
    report.stages.total = report.stages.verify;
    Ok(Some(report))
}

/// Writes down that tables are before readers. Without it the next run copies them again, should this one die.
pub async fn note<S: Source, T: Target>(context: &Context<S, T>, done: &[(&TablePlan, TableDigest, u64)]) {
    if !context.resume.is_on || done.is_empty() {
        return;
    }
    let tables: Vec<CopiedTable> = done
        .iter()
        .map(|(table, digest, bytes)| CopiedTable {
            format: FORMAT,
            schema: table.target.schema.clone(),
            name: table.target.name.clone(),
            // What is converted has no digest any more that could be proven.
            fingerprint: if table.has_conversions() { String::new() } else { fingerprint::of(table, "") },
            digest: *digest,
            bytes: *bytes,
            view_run: context.resume.view_run.clone(),
            at: Utc::now(),
        })
        .collect();
    let note = || context.while_target_answers(context.target.note_copied(&tables));
    if let Err(error) = context.policy.retry("writing down what was copied", &mut 0, note).await {
        tracing::warn!(
            error = error.chain(),
            "what was copied could not be written down: should this run die, the next one copies it again"
        );
    }
}
