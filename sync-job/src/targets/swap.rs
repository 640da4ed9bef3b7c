//! What the swaps of all targets have in common.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use crate::connect::retry::{self, Deadline, Waiting};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::TableName;
use crate::plan::{SwapMethod, TablePlan, TargetTable, dependent, dependents};
use crate::targets::SwapItem;

/// Tries a swap again while locks are held by others or the server cannot be reached. A try may set the deadline anew.
/// `away`: how long the server may be.
pub async fn with_retries<F>(
    items: &[SwapItem<'_>],
    deadline: Deadline,
    away: Duration,
    attempt: impl FnMut() -> F,
) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let say = |waiting: &Waiting<'_>| {
        let error = waiting.error.chain();
        tracing::info!(tables = waiting.what, attempt = waiting.retry, error, "the swap waits and is tried again");
    };
    retry::until(deadline, away, say).retry(&names(items), &mut 0, attempt).await
}

/// The tables' names, for messages.
pub fn names(items: &[SwapItem<'_>]) -> String {
    items.iter().map(|item| item.table.target.to_string()).collect::<Vec<_>>().join(", ")
}

/// An error where something depends on the table that did not when the plan was made. `found`: what the target has now. Those among
/// the tables that change `together` go away with them.
pub fn refuse_new_dependents(
    table: &TablePlan,
    found: &HashMap<TableName, TargetTable>,
    together: &[&TableName],
) -> Result<()> {
    let dependents =
        found.get(&table.target).map_or_else(Vec::new, |found| dependents(table, found, together, |_| true));
    if dependents.is_empty() {
        return Ok(());
    }
    let message =
        format!("{} got new dependents since the plan was made: {}", table.target, dependent::list(&dependents));
    Err(Error::new(Side::Target, Kind::Conflict, message))
}

/// Tables whose columns stay the same can have their rows replaced instead of being renamed, which old snapshots survive.
pub fn fall_back(items: &[SwapItem<'_>], methods: &mut [SwapMethod], holder: &str) -> Result<()> {
    for (item, method) in items.iter().zip(methods) {
        if *method != SwapMethod::Rename {
            continue;
        }
        if !item.table.drift.is_empty() {
            let message = format!("{} changes its columns and cannot be swapped under {holder}", item.table.target);
            return Err(Error::new(Side::Target, Kind::LockTimeout, message));
        }
        tracing::warn!(table = %item.table.target, holder, "the table is updated in place");
        *method = SwapMethod::InPlace;
    }
    Ok(())
}
