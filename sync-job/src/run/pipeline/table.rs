//! One table from source to a proven staging table.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Context, chunks, taken_over, witness};
use crate::model::error::Result;
use crate::model::position::Tracking;
use crate::model::stage::Stage;
use crate::plan::{SwapMethod, TablePlan};
use crate::proof::ticket::SwapTicket;
use crate::proof::verdict;
use crate::proof::witness::{Outcome, Plan};
use crate::report::progress::Step;
use crate::report::{LossLine, TableOutcome, TableReport, WitnessReport};
use crate::rows::digest::TableDigest;
use crate::rows::encode::{Loss, LossCounts};
use crate::sources::Source;
use crate::targets::{Staging, Target};

/// A report in which nothing has happened yet.
pub fn blank_report(table: &TablePlan) -> TableReport {
    let warnings = table
        .findings
        .iter()
        .filter(|finding| finding.severity == crate::plan::Severity::Warning)
        .map(|finding| finding.message.clone())
        .chain(table.drift.iter().map(ToString::to_string))
        .collect();
    TableReport {
        source: table.source.to_string(),
        target: table.target.to_string(),
        outcome: TableOutcome::Interrupted,
        rows: 0,
        bytes: 0,
        stages: crate::report::Stages::default(),
        verdict: String::new(),
        witness: None,
        swap: None,
        digest: None,
        retries: 0,
        warnings,
        losses: Vec::new(),
        not_created: table.not_created.clone(),
        changes: None,
        taken_over: None,
        differences: None,
        failure: None,
    }
}

/// A staging table that may be swapped in.
pub struct Prepared {
    pub ticket: SwapTicket,
    /// How far the table's changes are in its rows, where they are followed and the source tells.
    pub tracking: Option<Tracking>,
}

/// What a table holds after it was swapped in.
pub struct Basis {
    pub digest: TableDigest,
    pub tracking: Option<Tracking>,
}

/// The stage in which a table failed is told with its error.
pub type Staged<R> = std::result::Result<R, (Stage, crate::model::error::Error)>;

/// Loads, proves and indexes the staging table. The report is filled in as far as it went.
pub async fn prepare<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &Arc<TablePlan>,
    staging: &Staging,
    report: &mut TableReport,
) -> Staged<Prepared> {
    let name = table.target.to_string();
    context.progress.table_started(&name, Step::Load, table.rows);
    let target = &context.target;
    let started = Instant::now();
    let mut retries = 0;
    let questions = Arc::new(Plan::of(table, context.abilities));
    let left = taken_over::chunks(context, table, staging, report).await.map_err(|error| (Stage::Staging, error))?;
    let before = if let Some(left) = &left {
        // The same question must be asked once all rows are read.
        witness::said_by(table, left.plan.witness.clone())
    } else {
        let before = witness::before(context, table, &questions, &mut retries).await;
        let before = before.map_err(|error| (Stage::Witness, error))?;
        let what = format!("{name}: creating the staging table");
        let create = || context.while_target_answers(target.create_staging(table, staging));
        context.policy.retry(&what, &mut retries, create).await.map_err(|error| (Stage::Staging, error))?;
        before
    };
    let place = chunks::Place { staging: staging.clone(), left };
    let loaded = chunks::load(context, table, Some(place), &questions, before.as_ref())
        .await
        .map_err(|error| (Stage::Load, error))?;
    context
        .policy
        .retry(&format!("{name}: ending the load"), &mut retries, || {
            context.while_target_answers(target.end_load(table, staging))
        })
        .await
        .map_err(|error| (Stage::Load, error))?;
    let asked = before.as_ref().map_or(Duration::ZERO, |said| said.took);
    report.stages.load = started.elapsed().saturating_sub(asked).as_secs_f64();
    report.stages.read = loaded.read_seconds(report.stages.load);
    report.rows = loaded.digest.rows;
    report.bytes = loaded.bytes;
    report.retries += retries + loaded.retries;
    report.losses = losses(table, &loaded.losses);
    context.progress.step(&name, Step::Verify);
    let heard = witness::Heard { before, within: loaded.witness };
    let proof = Proof { questions: &questions, heard, losses: &loaded.losses };
    let (held, witnessed) = verify_and_index(context, table, staging, proof, report).await?;
    let verdict = verdict::compare(loaded.digest, held);
    report.verdict = verdict.to_string();
    report.digest = Some(verdict::digest_text(loaded.digest));
    report.witness = Some(WitnessReport::of(&witnessed));
    let present = present_rows(context, table, report).await.map_err(|error| (Stage::Verify, error))?;
    let ticket = SwapTicket::issue(table, verdict, witnessed, present)?;
    Ok(Prepared { ticket, tracking: loaded.tracking })
}

/// What the proof of a staging table takes beside its digest.
struct Proof<'a> {
    questions: &'a Plan,
    heard: witness::Heard,
    losses: &'a LossCounts,
}

/// The proof and the indexes both only need the loaded rows, so they go side by side; a conversion rewrites the table, so it
/// comes between the two.
async fn verify_and_index<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &Arc<TablePlan>,
    staging: &Staging,
    proof: Proof<'_>,
    report: &mut TableReport,
) -> Staged<(TableDigest, Outcome)> {
    let name = table.target.to_string();
    let target = &context.target;
    let (mut retries, mut witness_retries, mut index_retries) = (0, 0, 0);
    let digest = async {
        let started = Instant::now();
        let what = format!("{name}: digest");
        let held = context
            .policy
            .retry(&what, &mut retries, || context.while_target_answers(target.digest(table, &staging.name)))
            .await
            .map_err(|error| (Stage::Verify, error))?;
        let verified = started.elapsed().as_secs_f64();
        let Proof { questions, heard, losses } = proof;
        let heard = witness::hear(context, table, &staging.name, questions, heard, losses, &mut witness_retries).await;
        Ok((held, verified, heard.map_err(|error| (Stage::Witness, error))?))
    };
    let index = async {
        let started = Instant::now();
        if table.has_conversions() {
            context
                .policy
                .retry(&format!("{name}: converting"), &mut index_retries, || {
                    context.while_target_answers(target.convert(table, staging))
                })
                .await
                .map_err(|error| (Stage::Convert, error))?;
        }
        let refused = context
            .policy
            .retry(&format!("{name}: indexes"), &mut index_retries, || {
                context.while_target_answers(target.build_indexes(table, staging))
            })
            .await
            .map_err(|error| (Stage::Index, error))?;
        Ok((started.elapsed().as_secs_f64(), refused))
    };
    let ((held, verified, (witnessed, asked)), (indexed, refused)) = if table.has_conversions() {
        let held = digest.await?;
        (held, index.await?)
    } else {
        tokio::try_join!(digest, index)?
    };
    report.stages.verify = verified;
    report.stages.witness = asked;
    report.stages.index = indexed;
    report.retries += retries + witness_retries + index_retries;
    report.warnings.extend(refused.iter().map(|index| format!("not created: {index}")));
    report.not_created.extend(refused);
    Ok((held, witnessed))
}

/// The row-drop guard needs the exact count of the old table.
async fn present_rows<S: Source, T: Target>(
    context: &Context<S, T>,
    table: &TablePlan,
    report: &mut TableReport,
) -> Result<Option<u64>> {
    if table.max_shrink_percent.is_none() || table.swap.method == SwapMethod::Create {
        return Ok(None);
    }
    let what = format!("{}: counting the old rows", table.target);
    let count = || context.while_target_answers(context.target.count(&table.target));
    context.policy.retry(&what, &mut report.retries, count).await.map(Some)
}

pub(super) fn losses(table: &TablePlan, counts: &LossCounts) -> Vec<LossLine> {
    let mut lines = Vec::new();
    for (index, column) in table.columns.iter().enumerate() {
        for loss in Loss::ALL {
            let rows = counts.get(index, loss);
            let made_good = loss == Loss::OffsetDropped && table.keeps_offset(column);
            if rows > 0 && !made_good {
                lines.push(LossLine { column: column.target.clone(), loss, rows });
            }
        }
    }
    lines
}
