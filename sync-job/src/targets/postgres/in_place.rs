//! The swap that changes the rows of the table in one transaction: for tables on which other objects depend.
//! Readers are never blocked and see the old rows or the new ones, whatever their isolation level.

use sqlx::postgres::PgConnection;

use super::connect::{change, execute, only_row, rows as select};
use super::quote;
use super::row::Answer;
use super::{digest_of, sql};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::TableName;
use crate::plan::{ColumnPlan, TablePlan};
use crate::targets::SwapItem;
use crate::targets::apply::parents_first;

/// Makes the tables' rows equal to their staging tables', proves it, and sets the sequences; inside the caller's transaction.
///
/// Foreign keys between the tables are checked row by row. So rows that the source no longer has leave children first, and new
/// ones come parents first; what a row holds that is yet to change leaves at the end.
pub(super) async fn rows(connection: &mut PgConnection, items: &[&SwapItem<'_>]) -> Result<()> {
    let tables: Vec<&TablePlan> = items.iter().map(|item| item.table).collect();
    let order = parents_first(tables.len(), &foreign_keys(connection, &tables).await?);
    let items: Vec<&SwapItem<'_>> = order.into_iter().map(|number| items[number]).collect();
    for item in &items {
        execute(connection, &format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", sql::only(&item.table.target)))
            .await?;
    }
    let mut held_back = Vec::new();
    for item in items.iter().rev() {
        let deletes = match Merge::of(item.table, &item.staging.name) {
            Some(merge) => [Some(merge.delete_absent), merge.delete_surplus],
            None => [Some(delete_all(connection, item.table).await?), None],
        };
        for delete in deletes.into_iter().flatten() {
            if attempt(connection, &delete).await?.is_some() {
                held_back.push(delete);
            }
        }
    }
    for item in &items {
        match Merge::of(item.table, &item.staging.name) {
            Some(merge) => merge_rows(connection, item.table, &merge).await?,
            None => insert_all(connection, item).await?,
        }
    }
    for delete in held_back {
        change(connection, &delete).await?;
    }
    for item in &items {
        prove(connection, item).await?;
        for statement in sequences(item.table, &quote::qualified(&item.table.target)) {
            execute(connection, &statement).await?;
        }
        change(connection, &format!("DROP TABLE {}", quote::qualified(&item.staging.name))).await?;
    }
    Ok(())
}

/// Foreign keys among the tables that are there: child and parent, each by its number.
pub(super) async fn foreign_keys(connection: &mut PgConnection, tables: &[&TablePlan]) -> Result<Vec<(usize, usize)>> {
    if tables.len() < 2 {
        return Ok(Vec::new());
    }
    let tables: Vec<String> = tables
        .iter()
        .enumerate()
        .map(|(number, table)| {
            format!("({number}::int8, {}::regclass::oid)", quote::literal(&quote::qualified(&table.target)))
        })
        .collect();
    let query = format!(
        "WITH t (number, oid) AS (VALUES {}) SELECT c.number AS child, p.number AS parent FROM pg_constraint AS k \
         JOIN t AS c ON c.oid = k.conrelid JOIN t AS p ON p.oid = k.confrelid WHERE k.contype = 'f' AND c.number <> p.number",
        tables.join(", ")
    );
    // They are numbers of the tables above.
    let number = |row: &Answer, name: &str| row.value::<i64, _>(name).map(|number| number as usize);
    let found = select(connection, &query).await?;
    found.iter().map(|row| Ok((number(row, "child")?, number(row, "parent")?))).collect()
}

/// Runs a statement. If values forbid it the transaction goes on as if it had not been tried, and the error is the answer.
pub(super) async fn attempt(connection: &mut PgConnection, statement: &str) -> Result<Option<Error>> {
    execute(connection, "SAVEPOINT attempt").await?;
    match change(connection, statement).await {
        Err(error) if matches!(error.kind, Kind::Data | Kind::ForeignKeyViolation) => {
            execute(connection, "ROLLBACK TO SAVEPOINT attempt").await?;
            Ok(Some(error))
        }
        result => result.map(|()| None),
    }
}

/// Whether the table holds what was read.
async fn prove(connection: &mut PgConnection, item: &SwapItem<'_>) -> Result<()> {
    let (table, read) = (item.table, item.ticket.digest());
    let holds = if table.has_conversions() {
        // A converted column cannot be hashed as it was read: the others are compared with the staging table, which was proven
        // before its columns were converted.
        let unconverted = || table.columns.iter().filter(|column| column.mapping.convert_to.is_none());
        let held = digest_of(connection, unconverted(), &table.target).await?;
        held.rows == read.rows && held == digest_of(connection, unconverted(), &item.staging.name).await?
    } else {
        digest_of(connection, &table.columns, &table.target).await? == read
    };
    if holds {
        return Ok(());
    }
    Err(Error::new(
        Side::Target,
        Kind::Mismatch,
        format!(
            "{}: after its rows were replaced it does not hold what was read; the old rows were kept",
            table.target
        ),
    ))
}

/// Without a key no row of one side can be told to be a row of the other: all of them leave.
async fn delete_all(connection: &mut PgConnection, table: &TablePlan) -> Result<String> {
    if is_referenced(connection, &quote::qualified(&table.target)).await? {
        return Err(referenced(table, "has no key by which its rows could be replaced one by one"));
    }
    Ok(format!("DELETE FROM {}", sql::only(&table.target)))
}

async fn insert_all(connection: &mut PgConnection, item: &SwapItem<'_>) -> Result<()> {
    let columns = sql::columns(item.table);
    let selected = qualified_columns(item.table.columns.iter(), "s");
    let (target, staging) = (quote::qualified(&item.table.target), quote::qualified(&item.staging.name));
    let insert =
        format!("INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE SELECT {selected} FROM {staging} AS s");
    change(connection, &insert).await
}

/// Touches the rows that differ and no others.
pub(super) async fn merge_rows(connection: &mut PgConnection, table: &TablePlan, merge: &Merge) -> Result<()> {
    // Rows that exchange a value of a second unique key collide half way: they have to leave together and come back.
    if let Some(update) = &merge.update_changed
        && let Some(collision) = attempt(connection, update).await?
    {
        if is_referenced(connection, &quote::qualified(&table.target)).await? {
            return Err(referenced(table, "has rows that exchange unique values").with_source(collision.whole()));
        }
        change(connection, &merge.delete_changed).await?;
    }
    change(connection, &merge.insert_missing).await
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
        quote::literal(target)
    );
    only_row(connection, &query).await?.flag("yes")
}

/// The statements of a merge by key. Others' code answers to them with its own `search_path`, so they name each operator and function in
/// full.
pub(super) struct Merge {
    delete_absent: String,
    /// Of rows with the same key one stays, if possible the one that needs no change. Nothing where there are none.
    delete_surplus: Option<String>,
    /// Nothing where the key is all that there is.
    update_changed: Option<String>,
    delete_changed: String,
    insert_missing: String,
}

impl Merge {
    /// Nothing where no key tells rows apart.
    pub(super) fn of(table: &TablePlan, staging: &TableName) -> Option<Self> {
        let (target, staging) = (quote::qualified(&table.target), quote::qualified(staging));
        // Rows of tables that inherit from this one are not the job's.
        let own = sql::only(&table.target);
        let key = table.merge_key()?;
        let columns = sql::columns(table);
        let selected = qualified_columns(table.columns.iter(), "s");
        let same = |column: &String| {
            let name = quote::identifier(column);
            format!("s.{name} OPERATOR(pg_catalog.=) t.{name}")
        };
        let same_key = key.columns.iter().map(|(column, _)| same(column)).collect::<Vec<_>>().join(" AND ");
        let is_key = |column: &&ColumnPlan| key.columns.iter().any(|(name, _)| name == &column.target);
        let rest: Vec<&ColumnPlan> = table.columns.iter().filter(|column| !is_key(column)).collect();
        let sets: Vec<String> = rest
            .iter()
            .map(|column| {
                let name = quote::identifier(&column.target);
                format!("{name} = s.{name}")
            })
            .collect();
        // The images are the stored bytes: -0 and 0 differ, and so do json texts, which have no equality.
        let differs = format!(
            "pg_catalog.record_image_ne(ROW({}), ROW({}))",
            qualified_columns(rest.iter().copied(), "t"),
            qualified_columns(rest.iter().copied(), "s"),
        );
        let keys: Vec<String> =
            key.columns.iter().map(|(column, _)| format!("t.{}", quote::identifier(column))).collect();
        let delete_surplus = format!(
            "DELETE FROM {own} AS d USING (SELECT t.ctid AS place, pg_catalog.row_number() OVER (PARTITION BY {} ORDER BY {differs}) AS number \
             FROM {own} AS t JOIN {staging} AS s ON {same_key}) AS n \
             WHERE d.ctid OPERATOR(pg_catalog.=) n.place AND n.number OPERATOR(pg_catalog.>) 1",
            keys.join(", ")
        );
        Some(Self {
            delete_surplus: table.may_hold_a_key_twice().then_some(delete_surplus),
            delete_absent: format!(
                "DELETE FROM {own} AS t WHERE NOT EXISTS (SELECT FROM {staging} AS s WHERE {same_key})"
            ),
            update_changed: (!rest.is_empty()).then(|| {
                format!("UPDATE {own} AS t SET {} FROM {staging} AS s WHERE {same_key} AND {differs}", sets.join(", "))
            }),
            delete_changed: format!("DELETE FROM {own} AS t USING {staging} AS s WHERE {same_key} AND {differs}"),
            insert_missing: format!(
                "INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE SELECT {selected} FROM {staging} AS s \
                 WHERE NOT EXISTS (SELECT FROM {own} AS t WHERE {same_key})"
            ),
        })
    }
}

fn qualified_columns<'a>(columns: impl Iterator<Item = &'a ColumnPlan>, alias: &str) -> String {
    columns.map(|column| format!("{alias}.{}", quote::identifier(&column.target))).collect::<Vec<_>>().join(", ")
}

/// Statements that set identity sequences past the highest value (below the lowest for descending ones).
pub(super) fn sequences(table: &TablePlan, relation: &str) -> Vec<String> {
    table
        .columns
        .iter()
        .filter_map(|column| {
            let identity = column.identity?;
            let name = quote::identifier(&column.target);
            let extreme = if identity.increment < 0 { "min" } else { "max" };
            // The sequence belongs to the column, whatever its name.
            Some(format!(
                "SELECT setval(q.seq::regclass, q.value) FROM (SELECT pg_get_serial_sequence({}, {}) AS seq, \
                 (SELECT {extreme}({name}) FROM {relation})::int8 AS value) AS q WHERE q.seq IS NOT NULL AND q.value IS NOT NULL \
                 AND ({} OR q.value > 0)",
                quote::literal(relation),
                quote::literal(&column.target),
                // An ascending sequence starts at 1 and refuses less.
                identity.increment < 0,
            ))
        })
        .collect()
}
