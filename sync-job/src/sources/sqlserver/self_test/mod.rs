//! The self-test: whether the server answers each read expression of the plan as SQL Server documents it.
//!
//! Both digests begin at what the reader made of the server's answer, so a server that answers otherwise would be copied
//! wrongly and proven right. Each expression is therefore asked for over literals whose values are known, and read by the reader
//! that will read the rows.

use std::time::Instant;

use crate::connect::retry::worth_retrying;
use crate::model::error::{Error, Result};
use crate::model::facts::Abilities;
use crate::plan::TablePlan;
use crate::plan::self_test::{Deviation, SelfTest, TestedColumn};
use crate::rows::cell::Cell;
use crate::rows::encode::CellError;
use crate::rows::message::Message;
use crate::sources::Source as _;

use super::SqlServer;
use super::decode::cell;
use probe::{Literal, Probe};

mod kinds;
mod numbers;
mod others;
mod probe;
mod sums;
mod texts;
mod times;
mod variants;

/// What a probe got instead of what was expected.
struct Wrong {
    asked: String,
    expected: String,
    got: String,
}

/// Asks in one batch; where an answer is wrong once more, for the text through the driver.
pub async fn run(source: &SqlServer, tables: &[TablePlan], abilities: Abilities) -> Result<SelfTest> {
    let began = Instant::now();
    let uses = kinds::of(tables);
    let probes: Vec<&Probe> = uses.iter().map(|(probe, _)| probe).collect();
    let answers = ask(source, &probes).await?;
    let mut wrong: Vec<(&Probe, &Vec<TestedColumn>, Wrong)> = uses
        .iter()
        .zip(answers)
        .filter_map(|((probe, columns), wrong)| wrong.map(|wrong| (probe, columns, wrong)))
        .collect();
    // Stable, so that kinds come in the plan's order: those that have another way first.
    wrong.sort_by_key(|(probe, ..)| probe.through_driver().is_none());
    let others: Vec<Probe> = wrong.iter().filter_map(|(probe, ..)| probe.through_driver()).collect();
    let mut others = ask(source, &others.iter().collect::<Vec<_>>()).await?.into_iter();
    let deviations = wrong
        .into_iter()
        .map(|(probe, columns, Wrong { asked, expected, got })| Deviation {
            kind: probe.kind.clone(),
            asked,
            expected,
            got,
            columns: columns.clone(),
            right_through_driver: others.next().is_some_and(|wrong| wrong.is_none()),
        })
        .collect();
    let only_counted = sums::run(source, tables, abilities).await?;
    tracing::debug!(kinds = uses.len(), seconds = began.elapsed().as_secs_f32(), "the self-test of the source");
    Ok(SelfTest { deviations, only_counted })
}

/// For each probe what was wrong, if anything was.
async fn ask(source: &SqlServer, probes: &[&Probe]) -> Result<Vec<Option<Wrong>>> {
    if probes.is_empty() {
        return Ok(Vec::new());
    }
    let batch: Vec<String> = probes.iter().map(|probe| probe.sql()).collect();
    match source.reader(None).await?.answers(&batch.join("; ")).await {
        Ok(results) if results.len() == probes.len() => {
            Ok(probes.iter().zip(&results).map(|(probe, rows)| judge(probe, rows)).collect())
        }
        Err(error) if worth_retrying(error.kind) => Err(error),
        _ => ask_each(source, probes).await,
    }
}

/// Where the batch as a whole is refused: each probe by itself, to find out which.
async fn ask_each(source: &SqlServer, probes: &[&Probe]) -> Result<Vec<Option<Wrong>>> {
    let mut reader = source.reader(None).await?;
    let mut found = Vec::with_capacity(probes.len());
    for probe in probes {
        match reader.answers(&probe.sql()).await {
            Ok(results) => found.push(judge(probe, results.first().map_or(&[], Vec::as_slice))),
            Err(error) if worth_retrying(error.kind) => return Err(error),
            Err(_) => {
                found.push(ask_literals(source, probe).await?);
                // What the connection still holds of the refused answer must not be taken for the next one's.
                reader = source.reader(None).await?;
            }
        }
    }
    Ok(found)
}

/// The first of a probe's literals that the server refuses or answers otherwise.
async fn ask_literals(source: &SqlServer, probe: &Probe) -> Result<Option<Wrong>> {
    let mut reader = source.reader(None).await?;
    for literal in &probe.literals {
        let alone = probe.over(literal);
        let wrong = match reader.answers(&alone.sql()).await {
            Ok(results) => judge(&alone, results.first().map_or(&[], Vec::as_slice)),
            Err(error) if worth_retrying(error.kind) => return Err(error),
            Err(error) => Some(Wrong {
                asked: alone.sql(),
                expected: literal.expected.describe(&probe.read),
                got: reason(&error),
            }),
        };
        if wrong.is_some() {
            return Ok(wrong);
        }
    }
    Ok(None)
}

/// Why the server refuses. What it quotes is the job's own literals, not values of rows.
fn reason(error: &Error) -> String {
    let cause = error.source.as_deref().and_then(|cause| cause.downcast_ref::<Message>());
    cause.unwrap_or(&error.message).with_values()
}

fn judge(probe: &Probe, rows: &[tiberius::Row]) -> Option<Wrong> {
    let row = rows.first();
    probe.literals.iter().enumerate().find_map(|(index, literal)| {
        let data = row.and_then(|row| row.cells().nth(index));
        let found = data.map(|(_, data)| cell(data, &probe.read));
        let is_right = matches!(&found, Some(Ok(cell)) if literal.expected.is(*cell, &probe.read));
        (!is_right).then(|| wrong(probe, literal, found))
    })
}

fn wrong(probe: &Probe, literal: &Literal, found: Option<std::result::Result<Cell<'_>, CellError>>) -> Wrong {
    let got = match found {
        None => "nothing".to_owned(),
        Some(Ok(cell)) => probe::describe(cell),
        Some(Err(error)) => error.message().with_values(),
    };
    Wrong { asked: probe.over(literal).sql(), expected: literal.expected.describe(&probe.read), got }
}
