//! Indexes and keys of a staging table, built after the load under temporary names, in parallel where it helps.

use futures_util::future::try_join_all;

use super::connect::{change, change_if_it_fits, close, execute, rows};
use super::quote;
use super::{Postgres, sql};
use crate::model::error::Result;
use crate::model::schema::TableName;
use crate::plan::{IndexPlan, NotCreated, TablePlan};
use crate::targets::indexes::left_out;

/// Each index under way sorts in memory of its own.
const AT_ONCE: usize = 2;

/// The temporary name of a staging table's index: the final one is still the old table's.
pub(super) fn temporary_name(staging: &TableName, index: usize) -> String {
    format!("{}_i{index}", staging.name)
}

/// Drops what an earlier try left behind, then builds everything and gives the planner its statistics.
///
/// The digest reads the table at the same time, so nothing here locks readers out but the last step, in which finished indexes
/// become constraints: it waits for the digest, and then takes no time.
///
/// Answers with the plain indexes that the table goes without, since a row is too long for them. How long a row is there only the server
/// knows: it compresses.
pub(super) async fn build(target: &Postgres, table: &TablePlan, staging: &TableName) -> Result<Vec<NotCreated>> {
    let analyze = format!("ANALYZE {}", quote::qualified(staging));
    if table.indexes.is_empty() {
        target.run(&analyze).await?;
        return Ok(Vec::new());
    }
    drop_leftovers(target, staging).await?;
    let named: Vec<_> =
        table.indexes.iter().enumerate().map(|(number, index)| (index, temporary_name(staging, number))).collect();
    let mut refused = Vec::new();
    for batch in named.chunks(AT_ONCE) {
        let builds = batch.iter().map(async |(index, name)| build_one(target, staging, index, name).await);
        refused.extend(try_join_all(builds).await?.into_iter().flatten());
    }
    let last = [Some(analyze), sql::add_constraints(staging, &named)];
    target.run(&last.into_iter().flatten().collect::<Vec<_>>().join("; ")).await?;
    Ok(refused)
}

/// Nothing where it is there now. Without a unique index the table would not be what the plan says.
async fn build_one(
    target: &Postgres,
    staging: &TableName,
    index: &IndexPlan,
    name: &str,
) -> Result<Option<NotCreated>> {
    let mut connection = target.connect().await?;
    let refused = change_if_it_fits(&mut connection, &sql::create_index(staging, index, name)).await?;
    close(connection).await;
    refused.map(|error| left_out(index, error)).transpose()
}

/// A server notices that its client is gone only when a build ends, so an earlier try may be under way still. The lock waits
/// for its end (it conflicts with every build) and not for the digest, which reads at the same time: only dropping what is found
/// waits for that.
async fn drop_leftovers(target: &Postgres, staging: &TableName) -> Result<()> {
    let mut connection = target.connect().await?;
    let relation = quote::qualified(staging);
    execute(&mut connection, &format!("BEGIN; LOCK TABLE {relation} IN SHARE UPDATE EXCLUSIVE MODE")).await?;
    let query = format!(
        "SELECT CASE WHEN k.oid IS NULL THEN format('DROP INDEX %s', i.indexrelid::regclass) \
         ELSE format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', i.indrelid::regclass, k.conname) END AS statement \
         FROM pg_index AS i LEFT JOIN pg_constraint AS k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u') \
         WHERE i.indrelid = {}::regclass",
        quote::literal(&relation)
    );
    for row in rows(&mut connection, &query).await? {
        let statement: String = row.value("statement")?;
        change(&mut connection, &statement).await?;
    }
    execute(&mut connection, "COMMIT").await?;
    close(connection).await;
    Ok(())
}
