//! Publications: what of the target is published for logical replication.
//!
//! A publication may name a table, or cover all tables of a schema or of the database, staging tables and new ones included.

use sqlx::postgres::PgConnection;

use super::connect::{change, only_row, rows};
use super::quote::{literal, qualified};
use super::slots;
use crate::model::error::Result;
use crate::model::schema::{IndexKind, TableName};
use crate::plan::{Finding, FindingId, Severity, SwapMethod, TablePlan};

/// `pg_publication_namespace` came with this version.
const SCHEMAS_SINCE: i32 = 150_000;

/// Keeps the rows of a staging table from being published, or sent to the reader of a slot: no subscriber has such a table, and one that
/// gets its rows stops. What is not written to the log is not published.
pub(super) async fn hide(connection: &mut PgConnection, staging: &TableName) -> Result<()> {
    let name = qualified(staging);
    let published = published(connection).await?;
    let query = format!(
        "SELECT 1 FROM (SELECT p.oid FROM ({published}) AS p UNION ALL SELECT s.oid FROM ({}) AS s) AS p \
         WHERE p.oid = {}::regclass LIMIT 1",
        slots::DECODED,
        literal(&name)
    );
    if rows(connection, &query).await?.is_empty() {
        return Ok(());
    }
    change(connection, &format!("ALTER TABLE {name} SET UNLOGGED")).await
}

/// Makes a hidden staging table an ordinary one, which outlives a crash. Rewriting a table publishes none of its rows.
pub(super) async fn unhide(connection: &mut PgConnection, staging: &TableName) -> Result<()> {
    let name = qualified(staging);
    let query = format!("SELECT 1 FROM pg_class WHERE oid = {}::regclass AND relpersistence = 'u'", literal(&name));
    if rows(connection, &query).await?.is_empty() {
        return Ok(());
    }
    change(connection, &format!("ALTER TABLE {name} SET LOGGED")).await
}

/// What is published: `oid` of the table, `publication`, and whether `updates` and `deletes` are told.
///
/// Asks the catalogs alone: `pg_get_publication_tables` locks every table that is published, and waits for whoever alters one.
pub(super) async fn published(connection: &mut PgConnection) -> Result<String> {
    let mut query = "\
SELECT c.oid, b.pubname AS publication, b.pubupdate AS updates, b.pubdelete AS deletes
FROM pg_publication AS b CROSS JOIN pg_class AS c
WHERE b.puballtables AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
UNION
SELECT r.prrelid, b.pubname, b.pubupdate, b.pubdelete
FROM pg_publication_rel AS r JOIN pg_publication AS b ON b.oid = r.prpubid"
        .to_owned();
    if covers_schemas(connection).await? {
        query.push_str(
            "
UNION
SELECT c.oid, b.pubname, b.pubupdate, b.pubdelete
FROM pg_publication_namespace AS s JOIN pg_publication AS b ON b.oid = s.pnpubid JOIN pg_class AS c ON c.relnamespace = s.pnnspid
WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'",
        );
    }
    Ok(query)
}

async fn covers_schemas(connection: &mut PgConnection) -> Result<bool> {
    let version = only_row(connection, "SELECT current_setting('server_version_num')::int4 AS number").await?;
    Ok(version.value::<i32, _>("number")? >= SCHEMAS_SINCE)
}

/// A refusal for each table to be updated in place whose rows the server would let nobody change: its subscribers could not be told which ones.
pub(super) async fn without_identity(connection: &mut PgConnection, tables: &[TablePlan]) -> Result<Vec<Finding>> {
    let in_place: Vec<&TablePlan> = tables.iter().filter(|table| table.swap.method == SwapMethod::InPlace).collect();
    if in_place.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Vec<String> = in_place
        .iter()
        .map(|table| {
            // Without a key all rows are deleted and come back; and a key that is all of the row never changes.
            let updates = table.merge_key().is_some_and(|key| key.columns.len() < table.columns.len());
            format!("({}, {}, {updates})", literal(&table.target.schema), literal(&table.target.name))
        })
        .collect();
    let published = published(connection).await?;
    let query = WITHOUT_IDENTITY.replace("$PUBLISHED", &published).replace("$WANTED", &wanted.join(", "));
    let mut findings = Vec::new();
    for row in rows(connection, &query).await? {
        let name = TableName::new(row.text("schema_name")?, row.text("table_name")?);
        let publications = row.text("publications")?;
        let own = in_place.iter().find(|table| table.target == name);
        findings.extend(own.map(|table| refusal(&publications, table)));
    }
    Ok(findings)
}

fn refusal(publications: &str, table: &TablePlan) -> Finding {
    let finding = Finding::new(
        FindingId::NoReplicaIdentity,
        Severity::Refusal,
        format!(
            "{} belongs to the publication {publications} and has no replica identity by which subscribers could be told of the \
             rows that change: the server refuses to change any",
            table.target
        ),
        give_identity(table),
    );
    finding.on(&table.source)
}

fn give_identity(table: &TablePlan) -> String {
    format!("ALTER TABLE {} REPLICA IDENTITY FULL;", qualified(&table.target))
}

/// A warning for each new table that a publication will cover: its subscribers have no such table yet.
pub(super) async fn of_new_tables(connection: &mut PgConnection, tables: &[TablePlan]) -> Result<Vec<Finding>> {
    let new: Vec<&TablePlan> = tables.iter().filter(|table| table.swap.method == SwapMethod::Create).collect();
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let mut covering = "SELECT quote_ident(pubname) AS publication, pubdelete AS deletes, NULL::text AS schema_name \
                        FROM pg_publication WHERE puballtables"
        .to_owned();
    if covers_schemas(connection).await? {
        covering.push_str(
            " UNION ALL SELECT quote_ident(b.pubname), b.pubdelete, n.nspname::text FROM pg_publication_namespace AS c \
             JOIN pg_publication AS b ON b.oid = c.pnpubid JOIN pg_namespace AS n ON n.oid = c.pnnspid",
        );
    }
    let mut findings = Vec::new();
    for row in rows(connection, &format!("{covering} ORDER BY 1")).await? {
        let publication = row.text("publication")?;
        let deletes = row.flag("deletes")?;
        let schema: Option<String> = row.value("schema_name")?;
        let covered = new.iter().filter(|table| schema.as_ref().is_none_or(|schema| *schema == table.target.schema));
        findings.extend(covered.map(|table| warning(&publication, deletes, table)));
    }
    Ok(findings)
}

fn warning(publication: &str, deletes: bool, table: &TablePlan) -> Finding {
    let mut remedy = "Make the table on each subscriber and let it REFRESH PUBLICATION, which copies the rows, before the run after \
                      this one."
        .to_owned();
    if deletes && table.indexes.iter().all(|index| index.kind != IndexKind::PrimaryKey) {
        remedy.push_str(&format!(" It has no primary key: {}", give_identity(table)));
    }
    let finding = Finding::new(
        FindingId::NewTablePublished,
        Severity::Warning,
        format!(
            "{} is new and will belong to the publication {publication}: its first rows are not published, and subscribers \
             that lack the table stop at its first change",
            table.target
        ),
        remedy,
    );
    finding.on(&table.source)
}

/// What the server looks at before each DELETE and UPDATE (`CheckCmdReplicaIdentity`). A partition is told of as its parents are.
const WITHOUT_IDENTITY: &str = "\
SELECT w.schema_name, w.table_name, string_agg(DISTINCT quote_ident(p.publication), ', ') AS publications
FROM (VALUES $WANTED) AS w (schema_name, table_name, updates)
JOIN pg_namespace AS n ON n.nspname = w.schema_name
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name AND c.relkind = 'r' AND c.relreplident <> 'f'
CROSS JOIN LATERAL (SELECT c.oid UNION SELECT r.relid::oid FROM pg_partition_ancestors(c.oid) AS r) AS a (oid)
JOIN ($PUBLISHED) AS p ON p.oid = a.oid AND (p.deletes OR p.updates AND w.updates)
WHERE NOT EXISTS (
  SELECT FROM pg_index AS x
  WHERE x.indrelid = c.oid AND x.indisvalid AND x.indisunique AND x.indimmediate AND x.indpred IS NULL
        AND CASE c.relreplident WHEN 'd' THEN x.indisprimary WHEN 'i' THEN x.indisreplident ELSE false END)
GROUP BY 1, 2 ORDER BY 1, 2";
