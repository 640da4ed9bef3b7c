//! Foreign keys of new tables, checked against all rows before readers see them. They follow the tables they refer to when those
//! are renamed.

use mysql_async::Conn;

use super::connect::{execute, rows};
use super::quote;
use super::{in_place, sql};
use crate::model::error::{Error, Result};
use crate::model::schema::TableName;
use crate::plan::SwapMethod;
use crate::targets::SwapItem;

/// Adds what is not there yet.
///
/// With `foreign_key_checks` on, each would write its table anew (MySQL 8.0 Reference Manual, 17.12.1 "Online DDL Operations",
/// "Foreign Key Operations"); off, it is a note in the dictionary, and one query for each key looks for orphans.
pub(super) async fn add(connection: &mut Conn, items: &[SwapItem<'_>], methods: &[SwapMethod]) -> Result<()> {
    execute(connection, "SET SESSION foreign_key_checks = 0").await?;
    let added = add_unchecked(connection, items, methods).await;
    execute(connection, "SET SESSION foreign_key_checks = 1").await?;
    // The new rows of a table that is updated in place are still in its staging table.
    let in_place_items = items.iter().zip(methods).filter(|(_, method)| **method == SwapMethod::InPlace);
    let stand_ins: Vec<(&TableName, &TableName)> =
        in_place_items.map(|(item, _)| (&item.table.target, &item.staging.name)).collect();
    for staging in added? {
        let looked = in_place::refuse_orphans(connection, &staging, &stand_ins).await;
        looked.map_err(|error| in_final_names(error, items))?;
    }
    Ok(())
}

/// The staging tables that have keys.
async fn add_unchecked(
    connection: &mut Conn,
    items: &[SwapItem<'_>],
    methods: &[SwapMethod],
) -> Result<Vec<TableName>> {
    let mut changed = Vec::new();
    for (item, method) in items.iter().zip(methods) {
        if *method == SwapMethod::InPlace || item.table.foreign_keys.is_empty() {
            continue;
        }
        // A try whose reply was lost may have added them.
        let present = present(connection, &item.staging.name).await?;
        for key in &item.table.foreign_keys {
            let referenced = items.iter().zip(methods).find(|(other, _)| other.table.target == key.referenced);
            if let Some((other, method)) = referenced
                && !present.contains(&key.name)
            {
                let name = if *method == SwapMethod::InPlace { &other.table.target } else { &other.staging.name };
                execute(connection, &sql::foreign_key(&item.staging.name, key, name)).await?;
            }
        }
        changed.push(item.staging.name.clone());
    }
    Ok(changed)
}

async fn present(connection: &mut Conn, staging: &TableName) -> Result<Vec<String>> {
    let query = format!(
        "SELECT constraint_name FROM information_schema.table_constraints WHERE constraint_type = 'FOREIGN KEY' \
         AND table_schema = {} AND table_name = {}",
        quote::literal(&staging.schema),
        quote::literal(&staging.name)
    );
    rows(connection, &query).await
}

/// People know the tables by the names that they will have.
fn in_final_names(error: Error, items: &[SwapItem<'_>]) -> Error {
    let message = items.iter().fold(error.message, |message, item| {
        message.rename(&item.staging.name.to_string(), &item.table.target.to_string())
    });
    Error { message, ..error }
}
