//! The swap that keeps the table and changes its rows in one transaction: for tables that a rename would tear from what
//! depends on them. Readers are never blocked and see the old rows or the new ones, whatever their isolation level.

use sqlx::postgres::PgConnection;

use super::connect::execute;
use super::{digest_of, sql};
use crate::error::{Error, Kind, Result, Side};
use crate::plan::{ColumnPlan, TablePlan};
use crate::target::SwapItem;

/// Makes the table's rows equal to the staging table's, proves it, and sets the sequences; inside the caller's transaction.
pub(super) async fn rows(connection: &mut PgConnection, item: &SwapItem<'_>) -> Result<()> {
    let table = item.table;
    let target = sql::qualified(&table.target);
    let staging = sql::qualified(&item.staging.name);
    execute(connection, &format!("LOCK TABLE {target} IN SHARE ROW EXCLUSIVE MODE")).await?;
    for statement in statements(table, &target, &staging) {
        execute(connection, &statement).await?;
    }
    let held = digest_of(connection, table, &table.target).await?;
    if held != item.ticket.digest() && !table.has_conversions() {
        return Err(Error::new(
            Side::Target,
            Kind::Mismatch,
            format!(
                "{}: after its rows were replaced it does not hold what was read; the old rows were kept",
                table.target
            ),
        ));
    }
    for statement in sequences(table, &target) {
        execute(connection, &statement).await?;
    }
    execute(connection, &format!("DROP TABLE {staging}")).await
}

/// With a key only the rows that differ are touched; without one all are.
fn statements(table: &TablePlan, target: &str, staging: &str) -> Vec<String> {
    let columns = sql::columns(table);
    let selected = qualified_columns(table.columns.iter(), "s");
    let Some(key) = table.merge_key() else {
        return vec![
            format!("DELETE FROM {target}"),
            format!("INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE SELECT {selected} FROM {staging} AS s"),
        ];
    };
    let same = |column: &String| {
        let name = sql::quote(column);
        format!("s.{name} = t.{name}")
    };
    let same_key = key.columns.iter().map(|(column, _)| same(column)).collect::<Vec<_>>().join(" AND ");
    let is_key = |column: &&ColumnPlan| key.columns.iter().any(|(name, _)| name == &column.target);
    let rest: Vec<&ColumnPlan> = table.columns.iter().filter(|column| !is_key(column)).collect();
    let mut statements =
        vec![format!("DELETE FROM {target} AS t WHERE NOT EXISTS (SELECT FROM {staging} AS s WHERE {same_key})")];
    if !rest.is_empty() {
        let sets: Vec<String> = rest
            .iter()
            .map(|column| {
                let name = sql::quote(&column.target);
                format!("{name} = s.{name}")
            })
            .collect();
        // The images are the stored bytes: -0 and 0 differ, and so do json texts, which have no equality.
        statements.push(format!(
            "UPDATE {target} AS t SET {} FROM {staging} AS s WHERE {same_key} AND record_image_ne(ROW({}), ROW({}))",
            sets.join(", "),
            qualified_columns(rest.iter().copied(), "t"),
            qualified_columns(rest.iter().copied(), "s"),
        ));
    }
    statements.push(format!(
        "INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE SELECT {selected} FROM {staging} AS s \
         WHERE NOT EXISTS (SELECT FROM {target} AS t WHERE {same_key})"
    ));
    statements
}

fn qualified_columns<'a>(columns: impl Iterator<Item = &'a ColumnPlan>, alias: &str) -> String {
    columns.map(|column| format!("{alias}.{}", sql::quote(&column.target))).collect::<Vec<_>>().join(", ")
}

/// Statements that set identity sequences past the highest value (below the lowest for descending ones).
pub(super) fn sequences(table: &TablePlan, relation: &str) -> Vec<String> {
    table
        .columns
        .iter()
        .filter_map(|column| {
            let identity = column.identity?;
            let name = sql::quote(&column.target);
            let extreme = if identity.increment < 0 { "min" } else { "max" };
            // The sequence belongs to the column, whatever its name.
            Some(format!(
                "SELECT setval(q.seq::regclass, q.value) FROM (SELECT pg_get_serial_sequence({}, {}) AS seq, \
                 (SELECT {extreme}({name}) FROM {relation})::int8 AS value) AS q WHERE q.seq IS NOT NULL AND q.value IS NOT NULL \
                 AND ({} OR q.value > 0)",
                sql::literal(relation),
                sql::literal(&column.target),
                // An ascending sequence starts at 1 and refuses less.
                identity.increment < 0,
            ))
        })
        .collect()
}
