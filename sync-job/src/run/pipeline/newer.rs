//! The keys of rows that the source changed after a table was last copied.

use std::collections::HashSet;

use super::Context;
use super::router::{Judge, Passed, Router, Routes, SeenRow};
use super::sink::Sink;
use crate::model::error::Result;
use crate::model::position::Tracking;
use crate::plan::{TablePlan, why_full};
use crate::proof::slices::Slices;
use crate::sources::{Gone, Reader, Source};
use crate::targets::Target;

/// More are not kept in memory: what differs is then not told to be newer.
const MOST_KEYS: usize = 1_000_000;

/// Hashes of the keys that changed since the state that is remembered of the table; nothing where that cannot be known. In the reader's
/// transaction, whose state of the source `tracking` is of.
pub async fn keys<S: Source, T: Target>(
    context: &Context<S, T>,
    table: &TablePlan,
    keys: &TablePlan,
    reader: &mut S::Reader,
    tracking: Option<&Tracking>,
) -> Result<Option<HashSet<u64>>> {
    let Some(state) = context.remembered.own.get(&table.target) else { return Ok(None) };
    if why_full::by_source(state, tracking).is_err() {
        return Ok(None);
    }
    let Some(changes) = context.source.changes(table, &state.position) else { return Ok(None) };
    let slices = Slices::One;
    let routes = Routes::new(keys, keys, &slices);
    let (mut judge, mut passed) = (Collect(HashSet::new()), Passed::default());
    let encoders = [keys, keys].map(|plan| context.target.encoder(plan));
    let router = Router::new(encoders, &routes, &mut judge, &mut passed, &|_, _| {});
    let mut sink = Sink::new(router, None::<T::Loader>, &context.memory, context.limits.stall_timeout, &|_, _| {});
    reader.read(keys, &changes.changed, &mut sink).await?;
    if let Gone::Keys(gone) = &changes.gone {
        reader.read(keys, gone, &mut sink).await?;
    }
    sink.finish().await?;
    Ok((judge.0.len() <= MOST_KEYS).then_some(judge.0))
}

struct Collect(HashSet<u64>);

impl Judge for Collect {
    fn keeps(&mut self, row: &SeenRow<'_>) -> bool {
        if self.0.len() <= MOST_KEYS {
            self.0.insert(row.hashes.key);
        }
        false
    }
}
