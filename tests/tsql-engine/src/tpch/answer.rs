//! Carries out a plan.

use std::ops::ControlFlow;

use super::cells::Cells;
use super::keys::{self, Key};
use super::overlay::Overlay;
use super::plan::{Aggregate, Cast, Item, Plan, Wanted, key_cell};
use super::scan::{Visitor, scan};
use super::schema::Table;
use super::segment::Segment;
use crate::value::{Flow, Output, SqlError, Value};

/// Most columns of an answer: as many as lineitem has. Rows are put together in an array of this length.
pub(super) const WIDEST: usize = 16;

/// Runs a plan: result columns, then rows. How many rows, or `None` where `out` stopped it.
pub(super) fn answer(
    plan: &Plan,
    scale: f64,
    overlay: &Overlay,
    out: &mut dyn Output,
) -> Result<Option<u64>, SqlError> {
    let Plan { table, segments, columns, wanted } = plan;
    // Errors come before the columns, as with an error that the server's optimizer finds.
    let aggregates = match wanted {
        Wanted::Aggregates(items) => Some(aggregate(*table, scale, segments, items)?),
        _ => None,
    };
    if out.columns(columns) == Flow::Stop {
        return Ok(None);
    }
    Ok(match wanted {
        Wanted::Aggregates(_) => send(out, &aggregates.unwrap_or_default()),
        Wanted::Sample { items, step } => sample(*table, scale, segments, items, *step, out),
        Wanted::Rows { limit: 0, .. } => Some(0),
        Wanted::Rows { items, limit } => {
            let mut rows =
                Rows { items, left: *limit, sent: 0, stopped: false, take: |row: &[Value<'_>]| out.row(row) };
            scan(*table, scale, segments, overlay, &mut rows);
            (!rows.stopped).then_some(rows.sent)
        }
    })
}

/// Hands out all rows of the generator with all columns.
pub(super) fn each(table: Table, scale: f64, take: &mut dyn FnMut(&[Value<'_>]) -> Flow) {
    let items: Vec<Item> = (0..table.layout().len()).map(|column| Item { column, cast: Cast::None }).collect();
    let mut rows = Rows { items: &items, left: u64::MAX, sent: 0, stopped: false, take };
    scan(table, scale, &super::segment::segments(None), &Overlay::default(), &mut rows);
}

fn send(out: &mut dyn Output, row: &[Value<'_>]) -> Option<u64> {
    (out.row(row) == Flow::Continue).then_some(1)
}

/// Projects rows on their way out.
struct Rows<'a, F> {
    items: &'a [Item],
    /// How many more rows are wanted; never 0 when a row comes.
    left: u64,
    sent: u64,
    stopped: bool,
    take: F,
}

impl<F: FnMut(&[Value<'_>]) -> Flow> Visitor for Rows<'_, F> {
    #[inline]
    fn row(&mut self, row: &impl Cells) -> Flow {
        let mut cells = [const { Value::Null }; WIDEST];
        for (cell, item) in cells.iter_mut().zip(self.items) {
            let value = row.cell(item.column);
            *cell = if item.cast == Cast::None { value } else { item.cast.apply(value) };
        }
        if (self.take)(&cells[..self.items.len()]) == Flow::Stop {
            self.stopped = true;
            return Flow::Stop;
        }
        self.sent += 1;
        self.left -= 1;
        if self.left == 0 { Flow::Stop } else { Flow::Continue }
    }
}

/// Every `step`-th key, counted from 1. `None` where `out` stopped it.
fn sample(
    table: Table,
    scale: f64,
    segments: &[Segment],
    items: &[usize],
    step: u64,
    out: &mut dyn Output,
) -> Option<u64> {
    let (mut until, mut sent) = (step, 0);
    let flow = keys::each(table, scale, segments, |key| {
        until -= 1;
        if until > 0 {
            return ControlFlow::Continue(());
        }
        until = step;
        let row: Vec<Value<'_>> = items.iter().map(|at| key_cell(table, key, *at)).collect();
        if out.row(&row) == Flow::Stop {
            return ControlFlow::Break(());
        }
        sent += 1;
        ControlFlow::Continue(())
    });
    flow.is_continue().then_some(sent)
}

fn aggregate(
    table: Table,
    scale: f64,
    segments: &[Segment],
    items: &[Aggregate],
) -> Result<Vec<Value<'static>>, SqlError> {
    let leading = items.iter().all(|item| matches!(item, Aggregate::Min(0) | Aggregate::Max(0)));
    let (count, extremes) = if leading && segments.iter().all(|segment| segment.check.is_none()) {
        ends(table, scale, segments)
    } else {
        survey(table, scale, segments)
    };
    let extreme = |pick: fn(&(Key, Key)) -> &Key, at: usize| {
        extremes.as_ref().map_or(Value::Null, |found| key_cell(table, *pick(found), at))
    };
    items
        .iter()
        .map(|item| match item {
            Aggregate::Min(at) => Ok(extreme(|(min, _)| min, *at)),
            Aggregate::Max(at) => Ok(extreme(|(_, max)| max, *at)),
            Aggregate::CountBig => Ok(Value::BigInt(count)),
            Aggregate::Count => i32::try_from(count).map(Value::Int).map_err(|_| SqlError {
                number: 8115,
                state: 2,
                class: 16,
                message: "Arithmetic overflow error converting expression to data type int.".to_owned(),
            }),
        })
        .collect()
}

/// The first and the last leading key, without looking at those between. The count is of leading keys.
fn ends(table: Table, scale: f64, segments: &[Segment]) -> (i64, Option<(Key, Key)>) {
    let places = keys::places(table, scale);
    let spans = || segments.iter().map(|segment| keys::span(table, segment, places)).filter(|span| !span.is_empty());
    let count = spans().map(|span| span.end - span.start).sum();
    let extremes = spans()
        .next()
        .zip(spans().next_back())
        .map(|(first, last)| ([keys::key_at(table, first.start), 0], [keys::key_at(table, last.end - 1), 0]));
    (count, extremes)
}

/// Counts the keys and finds each column's extremes.
fn survey(table: Table, scale: f64, segments: &[Segment]) -> (i64, Option<(Key, Key)>) {
    let (mut count, mut min, mut max) = (0, [i64::MAX; 2], [i64::MIN; 2]);
    // Nothing breaks it off.
    let _ = keys::each(table, scale, segments, |key| {
        count += 1;
        for at in 0..2 {
            min[at] = min[at].min(key[at]);
            max[at] = max[at].max(key[at]);
        }
        ControlFlow::Continue(())
    });
    (count, (count > 0).then_some((min, max)))
}
