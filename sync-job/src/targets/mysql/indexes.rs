//! Secondary indexes of a staging table, built after the load.

use super::connect::{close, execute};
use super::quote;
use super::{MySql, inspect, sql};
use crate::model::error::Result;
use crate::model::schema::TableName;
use crate::plan::TablePlan;

/// Builds everything that is not there yet in one `ALTER TABLE`, which reads the rows once for all indexes. Index names belong
/// to their table here, so they have their final names from the start.
pub(super) async fn build(target: &MySql, table: &TablePlan, staging: &TableName) -> Result<()> {
    let mut connection = target.connect_to_wait().await?;
    // A try whose reply was lost may have built them.
    let present = inspect::indexes(&mut connection, staging).await?;
    let missing: Vec<String> = sql::add_indexes(table)
        .filter(|(index, _)| !present.contains(&index.name))
        .map(|(_, statement)| statement)
        .collect();
    if !missing.is_empty() {
        execute(&mut connection, &format!("ALTER TABLE {} {}", quote::qualified(staging), missing.join(", "))).await?;
    }
    execute(&mut connection, &format!("ANALYZE TABLE {}", quote::qualified(staging))).await?;
    close(connection).await;
    Ok(())
}
