//! Secondary indexes of a staging table, built after the load.

use mysql_async::Conn;

use super::connect::{close, execute, execute_if_it_fits};
use super::quote;
use super::{MySql, inspect, sql};
use crate::model::error::Result;
use crate::model::schema::TableName;
use crate::plan::{IndexPlan, NotCreated, TablePlan};
use crate::targets::indexes::left_out;

/// Builds everything that is not there yet in one `ALTER TABLE`, which reads the rows once for all indexes. Index names belong
/// to their table here, so they have their final names from the start.
///
/// Answers with the plain indexes that the table goes without, since a key may be too long for this server's pages.
pub(super) async fn build(target: &MySql, table: &TablePlan, staging: &TableName) -> Result<Vec<NotCreated>> {
    let mut connection = target.connect_to_wait().await?;
    // A try whose reply was lost may have built them.
    let present = inspect::indexes(&mut connection, staging).await?;
    let missing: Vec<(&IndexPlan, String)> =
        sql::add_indexes(table).filter(|(index, _)| !present.contains(&index.name)).collect();
    let refused = add(&mut connection, staging, &missing).await?;
    execute(&mut connection, &format!("ANALYZE TABLE {}", quote::qualified(staging))).await?;
    close(connection).await;
    Ok(refused)
}

async fn add(connection: &mut Conn, staging: &TableName, missing: &[(&IndexPlan, String)]) -> Result<Vec<NotCreated>> {
    let alter = |additions: &[&str]| format!("ALTER TABLE {} {}", quote::qualified(staging), additions.join(", "));
    let all: Vec<&str> = missing.iter().map(|(_, addition)| addition.as_str()).collect();
    if all.is_empty() || execute_if_it_fits(connection, &alter(&all)).await?.is_none() {
        return Ok(Vec::new());
    }
    // The message does not say which.
    let mut refused = Vec::new();
    for (index, addition) in missing {
        if let Some(error) = execute_if_it_fits(connection, &alter(&[addition])).await? {
            refused.push(left_out(index, error)?);
        }
    }
    Ok(refused)
}
