//! The swap that keeps the table and changes its rows in one transaction: for tables that a rename would tear from what
//! depends on them. Readers are never blocked and see the old rows or the new ones, whatever their isolation level.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::connect::{execute, rows as select};
use super::{digest_of, sql};
use crate::error::{Error, Kind, Result, Side};
use crate::plan::{ColumnPlan, IndexPlan, TablePlan};
use crate::target::SwapItem;

/// Makes the table's rows equal to the staging table's, proves it, and sets the sequences; inside the caller's transaction.
pub(super) async fn rows(connection: &mut PgConnection, item: &SwapItem<'_>) -> Result<()> {
    let table = item.table;
    let target = sql::qualified(&table.target);
    let staging = sql::qualified(&item.staging.name);
    execute(connection, &format!("LOCK TABLE {target} IN SHARE ROW EXCLUSIVE MODE")).await?;
    match table.merge_key() {
        Some(key) => merge(connection, table, &Merge::new(table, key, &target, &staging)).await?,
        None => exchange_all(connection, table, &target, &staging).await?,
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

/// Without a key no row of one side can be told to be a row of the other.
async fn exchange_all(connection: &mut PgConnection, table: &TablePlan, target: &str, staging: &str) -> Result<()> {
    if is_referenced(connection, target).await? {
        return Err(referenced(table, "has no key by which its rows could be replaced one by one"));
    }
    let columns = sql::columns(table);
    let selected = qualified_columns(table.columns.iter(), "s");
    execute(connection, &format!("DELETE FROM {target}")).await?;
    let insert =
        format!("INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE SELECT {selected} FROM {staging} AS s");
    execute(connection, &insert).await
}

/// Touches the rows that differ and no others.
async fn merge(connection: &mut PgConnection, table: &TablePlan, merge: &Merge) -> Result<()> {
    execute(connection, &merge.delete_absent).await?;
    if let Some(update) = &merge.update_changed {
        execute(connection, "SAVEPOINT changed").await?;
        match execute(connection, update).await {
            // Rows that exchange a value of a second unique key collide half way: they have to leave together and come back.
            Err(error) if error.kind == Kind::Data => {
                execute(connection, "ROLLBACK TO SAVEPOINT changed").await?;
                if is_referenced(connection, &sql::qualified(&table.target)).await? {
                    return Err(referenced(table, "has rows that exchange unique values").with_source(error.chain()));
                }
                execute(connection, &merge.delete_changed).await?;
            }
            result => result?,
        }
    }
    execute(connection, &merge.insert_missing).await
}

fn referenced(table: &TablePlan, why: &str) -> Error {
    Error::new(
        Side::Target,
        Kind::Data,
        format!(
            "{} {why}, and foreign keys of other tables refer to it, whose rows a deletion would take along; the old rows were \
             kept. Drop those foreign keys, or the unique key",
            table.target
        ),
    )
}

/// Whether foreign keys of other tables refer to it.
async fn is_referenced(connection: &mut PgConnection, target: &str) -> Result<bool> {
    let query = format!(
        "SELECT EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = {}::regclass AND conrelid <> confrelid) AS yes",
        sql::literal(target)
    );
    let found = select(connection, &query).await?;
    Ok(found.first().and_then(|row| row.try_get("yes").ok()).unwrap_or(true))
}

/// The statements of a merge by key.
struct Merge {
    delete_absent: String,
    /// Nothing where the key is all that there is.
    update_changed: Option<String>,
    delete_changed: String,
    insert_missing: String,
}

impl Merge {
    fn new(table: &TablePlan, key: &IndexPlan, target: &str, staging: &str) -> Self {
        let columns = sql::columns(table);
        let selected = qualified_columns(table.columns.iter(), "s");
        let same = |column: &String| {
            let name = sql::quote(column);
            format!("s.{name} = t.{name}")
        };
        let same_key = key.columns.iter().map(|(column, _)| same(column)).collect::<Vec<_>>().join(" AND ");
        let is_key = |column: &&ColumnPlan| key.columns.iter().any(|(name, _)| name == &column.target);
        let rest: Vec<&ColumnPlan> = table.columns.iter().filter(|column| !is_key(column)).collect();
        let sets: Vec<String> = rest
            .iter()
            .map(|column| {
                let name = sql::quote(&column.target);
                format!("{name} = s.{name}")
            })
            .collect();
        // The images are the stored bytes: -0 and 0 differ, and so do json texts, which have no equality.
        let differs = format!(
            "record_image_ne(ROW({}), ROW({}))",
            qualified_columns(rest.iter().copied(), "t"),
            qualified_columns(rest.iter().copied(), "s"),
        );
        Self {
            delete_absent: format!(
                "DELETE FROM {target} AS t WHERE NOT EXISTS (SELECT FROM {staging} AS s WHERE {same_key})"
            ),
            update_changed: (!rest.is_empty()).then(|| {
                format!(
                    "UPDATE {target} AS t SET {} FROM {staging} AS s WHERE {same_key} AND {differs}",
                    sets.join(", ")
                )
            }),
            delete_changed: format!("DELETE FROM {target} AS t USING {staging} AS s WHERE {same_key} AND {differs}"),
            insert_missing: format!(
                "INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE SELECT {selected} FROM {staging} AS s \
                 WHERE NOT EXISTS (SELECT FROM {target} AS t WHERE {same_key})"
            ),
        }
    }
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
