//! Aggregates of any expression over the generator's rows.

use std::rc::Rc;

use sqlparser::ast::Query;

use super::cells::Cells;
use super::overlay::Overlay;
use super::parse;
use super::scan::{Visitor, scan};
use crate::bind::{Binder, Scope};
use crate::error::cancelled;
use crate::native::{Accumulator, Aggregate, NoRow, Node, Row, Test};
use crate::session::Session;
use crate::value::{Column, Flow, Output, SqlError, Value};

/// After so many rows it looks whether the client still wants the answer.
const ROWS_UNWATCHED: u32 = 10_000;

/// Runs a SELECT of nothing but aggregates over one generated table; `None` where it is anything else, and nothing has been
/// handed out then.
pub(super) fn direct(session: &Session, query: &Query, out: &mut dyn Output) -> Result<Option<Flow>, SqlError> {
    let Some(range) = parse::range(query) else { return Ok(None) };
    let Some(scale) = super::scale(session, range.table)? else { return Ok(None) };
    let env = session.env();
    let binder = Binder::new(&env);
    // The rows are not in SQLite, and are not put there.
    binder.describes.set(true);
    let mut sources = Vec::new();
    binder.from(range.from, &mut sources, None)?;
    for source in &mut sources {
        for (at, column) in source.columns.iter_mut().enumerate() {
            column.bound.node = Some(Node::Column(at));
        }
    }
    let scope = Scope { sources: &sources, outer: None };
    let mut tests = Vec::new();
    for condition in range.others {
        let Some(test) = binder.test(condition, &scope)?.node else { return Ok(None) };
        tests.push(test);
    }
    let mut aggregates = Vec::new();
    let mut items = Vec::new();
    let mut columns = Vec::new();
    for column in binder.projection(range.items, &scope)? {
        let split = column.bound.node.as_ref().and_then(|node| node.split(&mut aggregates));
        let Some(item) = split else { return Ok(None) };
        items.push(item);
        let (sql_type, nullable) = (column.bound.sql_type, column.bound.nullable);
        columns.push(Column { name: column.name, sql_type, nullable, identity: false });
    }
    if aggregates.is_empty() {
        return Ok(None);
    }
    let mut totals = Totals::new(session, &tests, &aggregates);
    let overlay = Overlay::of(&session.connection, range.table, &range.segments)?;
    scan(range.table, scale, &range.segments, &overlay, &mut totals);
    let results = totals.results()?;
    let mut row = Vec::new();
    for (item, column) in items.iter().zip(&columns) {
        let value = item.value(&NoRow(&results))?.into_static();
        // A count is a bigint until here.
        let value = match (&value, &column.sql_type) {
            (Value::BigInt(_), kind) => crate::convert::convert(value, &crate::value::SqlType::BigInt, kind, 0)?,
            _ => value,
        };
        row.push(value);
    }
    let flow = out.columns(&columns);
    Ok(Some(if flow == Flow::Stop { flow } else { out.row(&row) }))
}

/// All aggregates so far.
struct Totals<'a> {
    session: &'a Session,
    tests: &'a [Test],
    aggregates: &'a [Rc<Aggregate>],
    so_far: Vec<Accumulator>,
    rows: u32,
    failed: Option<SqlError>,
}

impl<'a> Totals<'a> {
    fn new(session: &'a Session, tests: &'a [Test], aggregates: &'a [Rc<Aggregate>]) -> Self {
        let so_far = aggregates.iter().map(|aggregate| Accumulator::of(aggregate)).collect();
        Totals { session, tests, aggregates, so_far, rows: 0, failed: None }
    }

    fn take(&mut self, row: &dyn Row) -> Result<(), SqlError> {
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_UNWATCHED) && self.session.cancelled() {
            return Err(cancelled());
        }
        for test in self.tests {
            if test.holds(row)? != Some(true) {
                return Ok(());
            }
        }
        for (so_far, aggregate) in self.so_far.iter_mut().zip(self.aggregates) {
            so_far.take(aggregate, row)?;
        }
        Ok(())
    }

    fn results(self) -> Result<Vec<Value<'static>>, SqlError> {
        match self.failed {
            Some(failure) => Err(failure),
            None => self.so_far.into_iter().zip(self.aggregates).map(|(so_far, own)| so_far.value(own)).collect(),
        }
    }
}

/// A row of the generator.
struct Generated<'a, C>(&'a C);

impl<C: Cells> Row for Generated<'_, C> {
    fn column(&self, at: usize) -> Value<'_> {
        self.0.cell(at)
    }
}

impl Visitor for Totals<'_> {
    fn row(&mut self, row: &impl Cells) -> Flow {
        match self.take(&Generated(row)) {
            Ok(()) => Flow::Continue,
            Err(failure) => {
                self.failed = Some(failure);
                Flow::Stop
            }
        }
    }
}
