//! Logical replication slots that read every table, whatever is published: those of `wal2json`, `test_decoding`, `pglogical` and others
//! (Debezium, AWS DMS). Who reads one knows a table by its name, hears of the rows that change in it, and of a rename nothing.

use sqlx::postgres::PgConnection;

use super::connect::rows;
use super::quote::{literal, qualified};
use crate::model::error::Result;
use crate::model::schema::IndexKind;
use crate::plan::{Finding, Severity, SwapMethod, TablePlan};

/// What such slots tell of: `oid` of the table, and `slot` in words. The plugin `pgoutput` sends what its reader's publications hold. A
/// slot that is lost cannot be read any more ("pg_replication_slots" in PostgreSQL's documentation).
pub(super) const DECODED: &str = "\
SELECT c.oid, 'logical replication slot ' || quote_ident(s.slot_name) || ' (' || s.plugin || ')' AS slot
FROM pg_replication_slots AS s CROSS JOIN pg_class AS c
WHERE s.slot_type = 'logical' AND s.database = current_database() AND s.plugin <> 'pgoutput' AND s.wal_status IS DISTINCT FROM 'lost'
      AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'";

/// Warnings for those who read such slots: a new table's first rows, and deletions from one updated in place that name no row.
pub(super) async fn of_readers(connection: &mut PgConnection, tables: &[TablePlan]) -> Result<Vec<Finding>> {
    let query = "SELECT quote_ident(s.slot_name) || ' (' || s.plugin || ')' AS slot FROM pg_replication_slots AS s \
                 WHERE s.slot_type = 'logical' AND s.database = current_database() AND s.plugin <> 'pgoutput' \
                 AND s.wal_status IS DISTINCT FROM 'lost' ORDER BY 1";
    let found = rows(connection, query).await?;
    let slots: Vec<String> = found.iter().map(|row| row.value("slot")).collect::<Result<_>>()?;
    if slots.is_empty() {
        return Ok(Vec::new());
    }
    let slots = slots.join(", ");
    let mut findings = Vec::new();
    for table in tables {
        match table.swap.method {
            SwapMethod::Create => findings.push(of_new(table, &slots)),
            SwapMethod::InPlace if !has_identity(connection, table).await? => {
                findings.push(without_identity(table, &slots));
            }
            SwapMethod::InPlace | SwapMethod::Rename => {}
        }
    }
    Ok(findings)
}

fn of_new(table: &TablePlan, slots: &str) -> Finding {
    let mut remedy = "Let each reader copy the table once after this run (Debezium: an incremental snapshot; AWS DMS: reload the table)."
        .to_owned();
    if table.indexes.iter().all(|index| index.kind != IndexKind::PrimaryKey) {
        remedy.push_str(&format!(" It has no primary key: {}", give_identity(table)));
    }
    let message =
        format!("{} is new: readers of the logical replication slot {slots} are not sent its first rows", table.target);
    Finding::new("new-table-decoded", Severity::Warning, message, remedy).on(&table.source)
}

fn without_identity(table: &TablePlan, slots: &str) -> Finding {
    let message = format!(
        "{} has no replica identity: readers of the logical replication slot {slots} are sent changes and deletions that name no row",
        table.target
    );
    Finding::new("decoded-without-identity", Severity::Warning, message, give_identity(table)).on(&table.source)
}

fn give_identity(table: &TablePlan) -> String {
    format!("ALTER TABLE {} REPLICA IDENTITY FULL;", qualified(&table.target))
}

/// Whether what is logged of a row that changes says which one it was.
async fn has_identity(connection: &mut PgConnection, table: &TablePlan) -> Result<bool> {
    let query = format!(
        "SELECT 1 FROM pg_class AS c WHERE c.oid = to_regclass({}) AND (c.relreplident = 'f' OR EXISTS (SELECT FROM pg_index AS x \
         WHERE x.indrelid = c.oid AND CASE c.relreplident WHEN 'd' THEN x.indisprimary WHEN 'i' THEN x.indisreplident ELSE false END))",
        literal(&qualified(&table.target))
    );
    Ok(!rows(connection, &query).await?.is_empty())
}
