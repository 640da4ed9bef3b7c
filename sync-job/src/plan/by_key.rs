//! The plan of a table's key alone: by what rows of both sides are known to be the same.

use super::{ColumnPlan, SwapMethod, TablePlan};

/// Nothing where no key of the plan tells rows apart.
pub fn of(table: &TablePlan) -> Option<TablePlan> {
    let key = table.merge_key()?.clone();
    let mut keys = table.clone();
    let is_key = |column: &ColumnPlan| key.columns.iter().any(|(name, _)| *name == column.target);
    keys.columns.retain(is_key);
    keys.columns.iter_mut().for_each(|column| column.identity = None);
    keys.indexes = vec![key];
    keys.foreign_keys.clear();
    Some(keys)
}

/// Whether rows of the table that is there can be compared and written one by one: it has the plan's columns and a key.
pub fn can_be_mended(table: &TablePlan) -> bool {
    table.swap.method != SwapMethod::Create
        && table.drift.is_empty()
        && !table.lacks_its_key()
        && !table.has_conversions()
        && of(table).is_some()
}
