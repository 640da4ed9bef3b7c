//! The swap that changes the rows of the tables in one transaction: for tables on which other objects depend.
//! Readers are never blocked and see the old rows or the new ones, whatever their isolation level.

use std::collections::HashMap;

use mysql_async::Conn;

use super::connect::{OUR_TIME_ZONE, execute, only_row, rows as query};
use super::preserved::{Text, texts};
use super::quote;
use super::{MySql, chunk_log, digest, sql};
use crate::connect::retry;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::TableName;
use crate::plan::type_map::StoredType;
use crate::plan::{ColumnPlan, IndexPlan, TablePlan};
use crate::targets::SwapItem;

/// Makes the tables' rows equal to their staging tables', proves it, and commits. Foreign keys are not followed row by row (that
/// would delete children of parents that come back a moment later): they are checked as a whole before the end.
pub(super) async fn rows(target: &MySql, connection: &mut Conn, items: &[&SwapItem<'_>]) -> Result<()> {
    execute(connection, "SET SESSION foreign_key_checks = 0").await?;
    let result = transaction(target, connection, items).await;
    if let Err(error) = execute(connection, &format!("SET SESSION foreign_key_checks = 1, {OUR_TIME_ZONE}")).await {
        // The connection is gone, and what became of the transaction is known without it.
        tracing::debug!(error = error.chain(), "after the rows were replaced");
    }
    result
}

async fn transaction(target: &MySql, connection: &mut Conn, items: &[&SwapItem<'_>]) -> Result<()> {
    execute(connection, "START TRANSACTION").await?;
    // What triggers write down as now is the server's time.
    execute(connection, "SET SESSION time_zone = @@GLOBAL.time_zone").await?;
    for item in items {
        let own = texts(connection, &item.table.target).await?;
        let staged = texts(connection, &item.staging.name).await?;
        for statement in statements(item.table, &item.table.target, &item.staging.name, &Texts { own, staged }) {
            execute(connection, &statement).await?;
        }
    }
    execute(connection, &format!("SET SESSION {OUR_TIME_ZONE}")).await?;
    for item in items {
        let table = item.table;
        if !holds_what_was_read(connection, item).await? {
            return Err(Error::new(
                Side::Target,
                Kind::Mismatch,
                format!(
                    "{}: after its rows were replaced it does not hold what was read; the old rows were kept",
                    table.target
                ),
            ));
        }
        refuse_orphans(connection, &table.target, &[]).await?;
    }
    let Some(first) = items.first() else { return Ok(()) };
    let entry = chunk_log::write_swap(target, connection, &first.staging.name).await?;
    match execute(connection, "COMMIT").await {
        Err(error) if retry::is_reply_lost(error.kind) => chunk_log::resolve(target, &entry, error).await,
        result => result,
    }
}

/// Columns that were converted after the staging table was proven no longer have the digest of what was read: there the others'
/// digest, and with it the number of rows, must be the staging table's.
async fn holds_what_was_read(connection: &mut Conn, item: &SwapItem<'_>) -> Result<bool> {
    let (table, target, staging) = (item.table, &item.table.target, &item.staging.name);
    if !table.has_conversions() {
        return Ok(digest::whole(connection, table, target).await? == item.ticket.digest());
    }
    let mut proven = table.clone();
    proven.columns.retain(|column| column.mapping.convert_to.is_none());
    Ok(digest::whole(connection, &proven, target).await? == digest::whole(connection, &proven, staging).await?)
}

/// How the columns of a table and of its staging table store text.
struct Texts {
    own: HashMap<String, Text>,
    staged: HashMap<String, Text>,
}

impl Texts {
    /// What it takes to compare a column of both. Where a table was to be renamed its new rows have the plan's collations, and two
    /// collations do not compare, unless one is named.
    fn collation(&self, column: &str) -> String {
        match (self.own.get(column), self.staged.get(column)) {
            (Some(own), Some(staged)) if own.characters == staged.characters && own != staged => {
                format!(" COLLATE {}", own.collation)
            }
            _ => String::new(),
        }
    }
}

/// With a key only the rows that differ are touched; without one all are. A changed row is deleted and comes back: updates would
/// trip over unique keys where two rows exchange their values.
fn statements(table: &TablePlan, target: &TableName, staging: &TableName, texts: &Texts) -> Vec<String> {
    let (target, staging) = (quote::qualified(target), quote::qualified(staging));
    let columns = sql::columns(table);
    let selected = qualified_columns(table, "s");
    let Some(key) = table.merge_key() else {
        return vec![
            format!("DELETE FROM {target}"),
            format!("INSERT INTO {target} ({columns}) SELECT {selected} FROM {staging} AS s"),
        ];
    };
    let compare = |column: &str| {
        let name = quote::identifier(column);
        format!("s.{name}{} = t.{name}", texts.collation(column))
    };
    let same_key = join(key, compare, " AND ");
    let (first, _) = &key.columns[0];
    let absent = |alias: &str| format!("{alias}.{} IS NULL", quote::identifier(first));
    let same: Vec<String> = table.columns.iter().map(|column| same_bytes(column, texts)).collect();
    let keys = join(key, quote::identifier, ", ");
    // Rows with the same key leave together and one comes back.
    let delete_surplus = format!(
        "DELETE t FROM {target} AS t JOIN (SELECT {keys} FROM {target} GROUP BY {keys} HAVING COUNT(*) > 1) AS s ON {same_key}"
    );
    let mut statements = vec![format!(
        "DELETE t FROM {target} AS t LEFT JOIN {staging} AS s ON {same_key} WHERE {} OR NOT ({})",
        absent("s"),
        same.join(" AND ")
    )];
    statements.extend(table.may_hold_a_key_twice().then_some(delete_surplus));
    statements.push(format!(
        "INSERT INTO {target} ({columns}) SELECT {selected} FROM {staging} AS s LEFT JOIN {target} AS t ON {same_key} WHERE {}",
        absent("t")
    ));
    statements
}

/// The statements by which rows in a staging table reach the rows of the same keys, and leave all others alone.
pub(super) struct Merge {
    /// Nothing where the key is all that there is.
    pub update_changed: Option<String>,
    pub delete_changed: String,
    pub insert_missing: String,
}

impl Merge {
    /// Nothing where no key tells rows apart.
    pub(super) async fn of(connection: &mut Conn, table: &TablePlan, staging: &TableName) -> Result<Option<Self>> {
        let Some(key) = table.merge_key() else { return Ok(None) };
        let texts = Texts { own: texts(connection, &table.target).await?, staged: texts(connection, staging).await? };
        let (target, staging) = (quote::qualified(&table.target), quote::qualified(staging));
        let compare = |column: &str| {
            let name = quote::identifier(column);
            format!("s.{name}{} = t.{name}", texts.collation(column))
        };
        let same_key = join(key, compare, " AND ");
        let (first, _) = &key.columns[0];
        let is_key = |column: &&ColumnPlan| key.columns.iter().any(|(name, _)| name == &column.target);
        let rest: Vec<&ColumnPlan> = table.columns.iter().filter(|column| !is_key(column)).collect();
        let same: Vec<String> = rest.iter().map(|column| same_bytes(column, &texts)).collect();
        let sets: Vec<String> = rest
            .iter()
            .map(|column| {
                let name = quote::identifier(&column.target);
                format!("t.{name} = s.{name}")
            })
            .collect();
        let differs = if same.is_empty() { "FALSE".to_owned() } else { format!("NOT ({})", same.join(" AND ")) };
        let (columns, selected) = (sql::columns(table), qualified_columns(table, "s"));
        Ok(Some(Self {
            update_changed: (!rest.is_empty()).then(|| {
                format!(
                    "UPDATE {target} AS t JOIN {staging} AS s ON {same_key} SET {} WHERE {differs}",
                    sets.join(", ")
                )
            }),
            delete_changed: format!("DELETE t FROM {target} AS t JOIN {staging} AS s ON {same_key} WHERE {differs}"),
            insert_missing: format!(
                "INSERT INTO {target} ({columns}) SELECT {selected} FROM {staging} AS s LEFT JOIN {target} AS t ON {same_key} \
                 WHERE t.{} IS NULL",
                quote::identifier(first)
            ),
        }))
    }
}

/// Equal in every bit: 'a' and 'A' differ whatever the collation, and so do -0 and 0.
fn same_bytes(column: &ColumnPlan, texts: &Texts) -> String {
    let name = quote::identifier(&column.target);
    match column.mapping.stored {
        _ if texts.own.get(&column.target).is_some_and(Text::has_other_bytes) => {
            format!("CAST(s.{name} AS BINARY) <=> CAST({} AS BINARY)", sql::in_utf8mb4(&format!("t.{name}")))
        }
        StoredType::Text { .. }
        | StoredType::Char { .. }
        | StoredType::Json
        | StoredType::Xml
        | StoredType::FloatArray
        | StoredType::Uuid => {
            format!("CAST(s.{name} AS BINARY) <=> CAST(t.{name} AS BINARY)")
        }
        StoredType::Float4 | StoredType::Float8 => format!("POINT(s.{name}, 0) <=> POINT(t.{name}, 0)"),
        _ => format!("s.{name} <=> t.{name}"),
    }
}

fn qualified_columns(table: &TablePlan, alias: &str) -> String {
    table
        .columns
        .iter()
        .map(|column| format!("{alias}.{}", quote::identifier(&column.target)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn join(key: &IndexPlan, each: impl Fn(&str) -> String, separator: &str) -> String {
    key.columns.iter().map(|(column, _)| each(column)).collect::<Vec<_>>().join(separator)
}

/// Looks for rows of this table without the parent that a foreign key names, and for rows elsewhere whose parent went away.
/// `stand_ins`: tables whose rows are to be looked for in another.
pub(super) async fn refuse_orphans(
    connection: &mut Conn,
    table: &TableName,
    stand_ins: &[(&TableName, &TableName)],
) -> Result<()> {
    type Part = (String, String, String, String, String, String, String);
    let name = format!("({}, {})", quote::literal(&table.schema), quote::literal(&table.name));
    let parts: Vec<Part> = query(
        connection,
        &format!(
            "SELECT k.constraint_name, k.table_schema, k.table_name, k.column_name, k.referenced_table_schema, \
             k.referenced_table_name, k.referenced_column_name FROM information_schema.key_column_usage AS k \
             WHERE k.referenced_table_name IS NOT NULL AND ((k.table_schema, k.table_name) = {name} \
             OR (k.referenced_table_schema, k.referenced_table_name) = {name}) \
             ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position"
        ),
    )
    .await?;
    for key in parts.chunk_by(|a, b| (&a.0, &a.1, &a.2) == (&b.0, &b.1, &b.2)) {
        let (constraint, schema, child, _, parent_schema, parent, _) = &key[0];
        let child = TableName::new(schema, child);
        let parent = TableName::new(parent_schema, parent);
        let rows = stand_ins.iter().find(|(table, _)| **table == parent).map_or(&parent, |(_, rows)| rows);
        let on: Vec<String> = key
            .iter()
            .map(|part| format!("p.{} = c.{}", quote::identifier(&part.6), quote::identifier(&part.3)))
            .collect();
        let filled: Vec<String> =
            key.iter().map(|part| format!("c.{} IS NOT NULL", quote::identifier(&part.3))).collect();
        let orphans = format!(
            "SELECT COUNT(*) FROM {} AS c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE {})",
            quote::qualified(&child),
            filled.join(" AND "),
            quote::qualified(rows),
            on.join(" AND ")
        );
        let found: u64 = only_row(connection, &orphans).await?;
        if found > 0 {
            return Err(Error::new(
                Side::Target,
                Kind::ForeignKeyViolation,
                format!(
                    "with the new rows {found} row(s) of {child} would refer to no row of {parent} (foreign key {constraint}); \
                     the old rows were kept"
                ),
            ));
        }
    }
    Ok(())
}
