//! Publications: what of the target is published for logical replication.
//!
//! A publication may name a table, or cover all tables of a schema or of the database, staging tables and new ones included.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::connect::{execute, rows};
use super::sql::{literal, qualified};
use crate::error::Result;
use crate::plan::{Finding, Severity, SwapMethod, TablePlan};
use crate::schema::TableName;

/// `pg_publication_namespace` came with this version.
const SCHEMAS_SINCE: i32 = 150_000;

/// Keeps the rows of a staging table from being published: no subscriber has such a table, and one that is told of its rows
/// stops. What is not written to the log is not published.
pub(super) async fn hide(connection: &mut PgConnection, staging: &TableName) -> Result<()> {
    let name = qualified(staging);
    let query = format!(
        "SELECT 1 FROM pg_publication AS b CROSS JOIN LATERAL pg_get_publication_tables(b.pubname::text) AS p \
         WHERE p.relid = {}::regclass LIMIT 1",
        literal(&name)
    );
    if rows(connection, &query).await?.is_empty() {
        return Ok(());
    }
    execute(connection, &format!("ALTER TABLE {name} SET UNLOGGED")).await
}

/// Makes a hidden staging table an ordinary one, which outlives a crash. Rewriting a table publishes none of its rows.
pub(super) async fn unhide(connection: &mut PgConnection, staging: &TableName) -> Result<()> {
    let name = qualified(staging);
    let query = format!("SELECT 1 FROM pg_class WHERE oid = {}::regclass AND relpersistence = 'u'", literal(&name));
    if rows(connection, &query).await?.is_empty() {
        return Ok(());
    }
    execute(connection, &format!("ALTER TABLE {name} SET LOGGED")).await
}

/// A warning for each new table that a publication will cover: its subscribers have no such table yet.
pub(super) async fn of_new_tables(connection: &mut PgConnection, tables: &[TablePlan]) -> Result<Vec<Finding>> {
    let new: Vec<&TablePlan> = tables.iter().filter(|table| table.swap.method == SwapMethod::Create).collect();
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let version = rows(connection, "SELECT current_setting('server_version_num')::int4 AS number").await?;
    let version: i32 = version.first().and_then(|row| row.try_get("number").ok()).unwrap_or_default();
    let mut covering = "SELECT quote_ident(pubname) AS publication, NULL::text AS schema_name FROM pg_publication \
                        WHERE puballtables"
        .to_owned();
    if version >= SCHEMAS_SINCE {
        covering.push_str(
            " UNION ALL SELECT quote_ident(b.pubname), n.nspname::text FROM pg_publication_namespace AS c \
             JOIN pg_publication AS b ON b.oid = c.pnpubid JOIN pg_namespace AS n ON n.oid = c.pnnspid",
        );
    }
    let mut findings = Vec::new();
    for row in rows(connection, &format!("{covering} ORDER BY 1")).await? {
        let publication: String = row.try_get("publication").unwrap_or_default();
        let schema: Option<String> = row.try_get("schema_name").unwrap_or_default();
        let covered = new.iter().filter(|table| schema.as_ref().is_none_or(|schema| *schema == table.target.schema));
        findings.extend(covered.map(|table| warning(&publication, table)));
    }
    Ok(findings)
}

fn warning(publication: &str, table: &TablePlan) -> Finding {
    let finding = Finding::new(
        "new-table-published",
        Severity::Warning,
        format!(
            "{} is new and will belong to the publication {publication}: its first rows are not published, and subscribers \
             that lack the table stop at its first change",
            table.target
        ),
        "Make the table on each subscriber and let it REFRESH PUBLICATION, which copies the rows, before the run after this one.",
    );
    finding.on(&table.source)
}
