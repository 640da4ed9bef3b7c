//! Indexes and keys of a staging table, built after the load under temporary names, in parallel where it helps.

use futures_util::future::try_join_all;

use super::{Postgres, sql};
use crate::error::Result;
use crate::plan::{IndexPlan, TablePlan};
use crate::schema::{IndexKind, TableName};

/// Each index under way sorts in memory of its own.
const AT_ONCE: usize = 2;

/// The temporary name of a staging table's index: the final one is still the old table's.
pub(super) fn temporary_name(staging: &TableName, index: usize) -> String {
    format!("{}_i{index}", staging.name)
}

/// Drops what an earlier try left behind, then builds everything; the planner gets its statistics at the same time.
pub(super) async fn build(target: &Postgres, table: &TablePlan, staging: &TableName) -> Result<()> {
    if table.indexes.is_empty() {
        return target.run(&format!("ANALYZE {}", sql::qualified(staging))).await;
    }
    target.run(&drop_leftovers(table, staging)).await?;
    let mut statements: Vec<(bool, String)> = table
        .indexes
        .iter()
        .enumerate()
        .map(|(number, index)| {
            (is_constraint(index), sql::create_index(staging, index, &temporary_name(staging, number)))
        })
        .collect();
    // Constraints take a lock that excludes each other; they go one after the other, first.
    statements.sort_by_key(|(constraint, _)| !constraint);
    let (constraints, plain): (Vec<_>, Vec<_>) = statements.into_iter().partition(|(constraint, _)| *constraint);
    if !constraints.is_empty() {
        let all: Vec<String> = constraints.into_iter().map(|(_, statement)| statement).collect();
        target.run(&all.join("; ")).await?;
    }
    for batch in plain.chunks(AT_ONCE) {
        try_join_all(batch.iter().map(|(_, statement)| target.run(statement))).await?;
    }
    target.run(&format!("ANALYZE {}", sql::qualified(staging))).await
}

/// A server notices that its client is gone only when a build ends, so an earlier try may be under way still. The lock waits
/// for its end (it conflicts with every build) and not for the digest, which reads at the same time.
fn drop_leftovers(table: &TablePlan, staging: &TableName) -> String {
    let relation = sql::qualified(staging);
    let drops: String = table
        .indexes
        .iter()
        .enumerate()
        .map(|(number, index)| {
            let name = temporary_name(staging, number);
            if is_constraint(index) {
                format!("{}; ", sql::drop_constraint(staging, &name))
            } else {
                format!("DROP INDEX IF EXISTS {}; ", sql::qualified(&TableName::new(&staging.schema, name)))
            }
        })
        .collect();
    format!("BEGIN; LOCK TABLE {relation} IN SHARE UPDATE EXCLUSIVE MODE; {drops}COMMIT")
}

fn is_constraint(index: &IndexPlan) -> bool {
    matches!(index.kind, IndexKind::PrimaryKey | IndexKind::UniqueConstraint)
}
