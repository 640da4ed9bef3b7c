//! Asks the source for its witness at the moment at which it sees the rows that were read, and the target for the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Context;
use crate::config::{Consistency, WitnessPolicy};
use crate::connect::retry::worth_retrying;
use crate::model::error::{Error, Kind, Result};
use crate::model::schema::TableName;
use crate::plan::TablePlan;
use crate::proof::witness::sample::{self, Share};
use crate::proof::witness::{Answer, Outcome, Plan, Scope, Silence, Testimony, Turn, compare};
use crate::rows::encode::LossCounts;
use crate::sources::{Reader, Source};
use crate::targets::Target;

/// What the source answered, and how long it took.
#[derive(Debug)]
pub struct Said {
    pub answers: std::result::Result<(Scope, Vec<Answer>), Silence>,
    /// To the same questions before the rows were read in the same transaction, if it was asked then.
    pub before: Option<Vec<Answer>>,
    pub took: Duration,
}

impl Said {
    /// Whether a server refused a statement.
    pub fn is_refused(&self) -> bool {
        matches!(self.answers, Err(Silence::Unanswered(_)))
    }

    fn nothing(silence: Silence) -> Self {
        Self { answers: Err(silence), before: None, took: Duration::ZERO }
    }
}

/// Whether the rows may change between two statements. In a transaction those that may are asked about by [`ask_again`].
fn is_live(table: &TablePlan) -> bool {
    match table.consistency {
        _ if table.is_read_in_transaction() => false,
        Consistency::DatabaseSnapshot => table.may_differ_by_itself(),
        Consistency::Snapshot | Consistency::None => true,
    }
}

/// Asks over a reader that sees the rows now; in its transaction where it has one. `rows`: how many it read, if it did.
pub async fn ask<R: Reader>(
    reader: &mut R,
    table: &TablePlan,
    plan: &Plan,
    turn: Turn,
    rows: Option<u64>,
) -> Result<Said> {
    let began = Instant::now();
    let answers = match choose(reader, table, turn, rows).await? {
        Ok(scope) => Ok((scope.clone(), reader.witness(table, plan, &scope).await?)),
        Err(silence) => Err(silence),
    };
    Ok(Said { answers, before: None, took: began.elapsed() })
}

/// The question that a reader answered before it read the rows, once more.
pub async fn ask_again<R: Reader>(reader: &mut R, table: &TablePlan, plan: &Plan, first: Said) -> Result<Said> {
    let Ok((scope, before)) = first.answers else { return Ok(first) };
    let began = Instant::now();
    let after = reader.witness(table, plan, &scope).await?;
    Ok(Said { answers: Ok((scope, after)), before: Some(before), took: first.took + began.elapsed() })
}

async fn choose<R: Reader>(
    reader: &mut R,
    table: &TablePlan,
    turn: Turn,
    rows: Option<u64>,
) -> Result<std::result::Result<Scope, Silence>> {
    let rows = match (rows.or(table.rows), table.witness) {
        (Some(rows), _) => rows,
        (None, WitnessPolicy::Sample) => reader.count_up_to(table, sample::SMALL_ROWS + 1).await?,
        (None, WitnessPolicy::Full | WitnessPolicy::Off) => 0,
    };
    match sample::share(table, rows) {
        Share::Nothing => return Ok(Err(Silence::Off)),
        Share::Whole => return Ok(Ok(Scope::Whole)),
        Share::Sample => {}
    }
    if let Some(key) = &table.witness_key {
        let extremes = if sample::needs_no_extremes(key) { None } else { reader.extremes(table, key).await? };
        if let Some(scope) = sample::ranges(turn, key, extremes) {
            return Ok(Ok(scope));
        }
    }
    Ok(if turn.is_of(&table.source) { Ok(Scope::Whole) } else { Err(Silence::NotItsTurn) })
}

/// What cannot be computed, or not in time, is no reason to fail a copy or to read the rows again: the report says it. What passes is
/// tried again.
pub fn or_silence(said: Result<Said>) -> Result<Said> {
    said.or_else(|error| silence(error).map(Said::nothing))
}

fn silence(error: Error) -> Result<Silence> {
    match error.kind {
        Kind::Cancelled => Err(error),
        Kind::Timeout | Kind::LockTimeout => Ok(Silence::Unanswered(error.chain())),
        kind if worth_retrying(kind) => Err(error),
        _ => Ok(Silence::Unanswered(error.chain())),
    }
}

/// Before the load: of a table that may change while it is read.
pub async fn before<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &TablePlan,
    plan: &Plan,
    retries: &mut u32,
) -> Result<Option<Said>> {
    if !is_live(table) || table.witness == WitnessPolicy::Off {
        return Ok(None);
    }
    over_reader(context, table, retries, async |reader| ask(reader, table, plan, context.turn, None).await)
        .await
        .map(Some)
}

/// As [`before`], of a load that another run began: what it wrote down of the answers.
pub fn said_by(table: &TablePlan, written: Option<(Scope, Vec<Answer>)>) -> Option<Said> {
    if !is_live(table) || table.witness == WitnessPolicy::Off {
        return None;
    }
    let answers = written.ok_or(Silence::NotItsTurn);
    Some(Said { answers, before: None, took: Duration::ZERO })
}

/// After the load, unless the source was asked in the transaction in which the rows were read: the same question as before, if there was
/// one.
async fn after<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &TablePlan,
    plan: &Plan,
    before: Option<&Said>,
    retries: &mut u32,
) -> Result<Said> {
    match before.map(|said| &said.answers) {
        Some(Err(silence)) => Ok(Said::nothing(silence.clone())),
        Some(Ok((scope, _))) => {
            over_reader(context, table, retries, async |reader| {
                let began = Instant::now();
                let answers = reader.witness(table, plan, scope).await?;
                Ok(Said { answers: Ok((scope.clone(), answers)), before: None, took: began.elapsed() })
            })
            .await
        }
        None => {
            over_reader(context, table, retries, async |reader| ask(reader, table, plan, context.turn, None).await)
                .await
        }
    }
}

async fn over_reader<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &TablePlan,
    retries: &mut u32,
    act: impl AsyncFn(&mut S::Reader) -> Result<Said>,
) -> Result<Said> {
    let what = format!("{}: witness", table.source);
    context
        .policy
        .retry(&what, retries, async || {
            let _permit = super::permit(&context.readers).await?;
            let mut reader = context.take_reader().await?;
            let said = act(&mut reader).await;
            match &said {
                Ok(_) => context.give_back(reader).await,
                Err(error) => context.after(error).await,
            }
            or_silence(said)
        })
        .await
}

/// What the source said before the load and in its transaction.
#[derive(Debug, Default)]
pub struct Heard {
    pub before: Option<Said>,
    pub within: Option<Said>,
}

/// Asks whoever was not asked yet and compares. Seconds: how long the servers took.
pub async fn hear<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &TablePlan,
    relation: &TableName,
    plan: &Plan,
    heard: Heard,
    losses: &LossCounts,
    retries: &mut u32,
) -> Result<(Outcome, f64)> {
    if table.witness == WitnessPolicy::Off {
        return Ok((Outcome::Silent(Silence::Off), 0.0));
    }
    let Heard { before, within } = heard;
    let said = match within {
        Some(said) => said,
        None => after(context, table, plan, before.as_ref(), retries).await?,
    };
    let mut took = said.took + before.as_ref().map_or(Duration::ZERO, |said| said.took);
    let (scope, answers) = match said.answers {
        Ok(answers) => answers,
        Err(silence) => return Ok((Outcome::Silent(silence), took.as_secs_f64())),
    };
    let began = Instant::now();
    let what = format!("{}: witness", table.target);
    let ask = || context.while_target_answers(context.target.witness(table, relation, plan, &scope));
    let held = context.policy.retry(&what, retries, ask).await;
    took += began.elapsed();
    let held = match held {
        Ok(held) => held,
        Err(error) => return Ok((Outcome::Silent(silence(error)?), took.as_secs_f64())),
    };
    let before = said.before.or_else(|| Some(before?.answers.ok()?.1));
    let testimony = Testimony { scope, before, after: answers };
    for side in [Some(&testimony.after), testimony.before.as_ref(), Some(&held)].into_iter().flatten() {
        if side.len() != plan.questions.len() {
            return Err(unequal(table, side.len(), plan.questions.len()));
        }
    }
    Ok((compare::compare(table, plan, &testimony, &held, losses), took.as_secs_f64()))
}

fn unequal(table: &TablePlan, found: usize, asked: usize) -> Error {
    let message = format!("{}: {found} answers came to the witness's {asked} questions", table.source);
    Error::new(crate::model::error::Side::Job, Kind::Internal, message)
}
