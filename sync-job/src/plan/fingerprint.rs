//! By what a later run knows that a table would be copied in the same way.

use super::TablePlan;
use crate::rows::digest::hash_bytes;

/// Counts up with each change of what the digest of a row, or a chunk, is made of.
const FORMAT: u32 = 1;

/// Of all that decides what the table holds on the target, but the rows: tables with equal fingerprints differ in nothing else.
/// `more`: what else must be the same.
pub fn of(table: &TablePlan, more: &str) -> String {
    let TablePlan { source, target, kind, columns, filter, mode, consistency, indexes, foreign_keys, group, .. } =
        table;
    let parts = format!(
        "{FORMAT}\0{source}\0{target}\0{kind:?}\0{columns:?}\0{filter:?}\0{mode:?}\0{consistency:?}\0{indexes:?}\0{foreign_keys:?}\0{group:?}\0{more}"
    );
    format!("{:016x}", hash_bytes(parts.as_bytes()))
}
