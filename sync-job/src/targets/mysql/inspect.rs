//! What the target has: tables, and what depends on them.

use std::collections::{HashMap, HashSet};

use mysql_async::Conn;

use super::connect::{execute, only_row, row, rows};
use super::definition;
use super::quote::{literal, qualified};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::{IndexKind, TableName};
use crate::plan::{Dependent, DependentKind, TargetColumn, TargetForeignKey, TargetIndex, TargetTable};
use crate::targets::MARK;

/// Database, name, kind, engine, options.
type Table = (String, String, String, Option<String>, Option<String>);
/// Database, table, column, type, "YES" or "NO", what else there is to it, what it is of a key.
type Column = (String, String, String, String, String, String, String);
/// Database, table, index, whether it allows values twice, column, comment, "D" where it descends.
type IndexColumn = (String, String, String, u64, String, String, Option<String>);
/// Database, table, foreign key, column, database and table that it refers to.
type KeyColumn = (String, String, String, String, String, String);
/// Database, table, and the name of something of it.
type Named = (String, String, String);
/// Database, table, foreign key that refers to it, database and table of the key.
type IncomingKey = (String, String, String, String, String);
/// Database, table, code of a [`DependentKind`], name, and what it belongs to.
type Depends = (String, String, String, String, Option<String>);

/// Looks the tables up; absent ones are absent from the answer.
pub async fn tables(connection: &mut Conn, names: &[TableName]) -> Result<HashMap<TableName, TargetTable>> {
    let mut found = HashMap::new();
    if names.is_empty() {
        return Ok(found);
    }
    for (schema, name, kind, engine, options) in
        rows::<Table>(connection, &TABLES.replace("$WHICH", &which("t", names))).await?
    {
        let not_a_table = match (kind.as_str(), engine.as_deref()) {
            ("BASE TABLE" | "SYSTEM VERSIONED", Some("InnoDB")) => None,
            ("BASE TABLE" | "SYSTEM VERSIONED", engine) => {
                Some(format!("a table of the engine {}", engine.unwrap_or("?")))
            }
            (other, _) => Some(format!("a {}", other.to_lowercase())),
        };
        let mut table = TargetTable { not_a_table, ..TargetTable::default() };
        if options.is_some_and(|options| options.contains("partitioned")) {
            table.dependents.push(Dependent::unnamed(DependentKind::Partitions));
        }
        found.insert(TableName::new(schema, name), table);
    }
    for (schema, name, column, column_type, nullable, extra, key) in
        rows::<Column>(connection, &COLUMNS.replace("$WHICH", &which("c", names))).await?
    {
        if definition::is_generated_key(&column, &column_type, &extra, &key) {
            continue;
        }
        if let Some(table) = found.get_mut(&TableName::new(schema, name)) {
            let counts_up = extra.to_lowercase().contains("auto_increment");
            table.columns.push(TargetColumn { name: column, column_type, nullable: nullable == "YES", counts_up });
        }
    }
    for (schema, name, index, repeats, column, comment, order) in
        rows::<IndexColumn>(connection, &INDEX_COLUMNS.replace("$WHICH", &which("s", names))).await?
    {
        if let Some(table) = found.get_mut(&TableName::new(schema, name))
            && table.columns.iter().any(|present| present.name == column)
        {
            let column = (column, order.as_deref() == Some("D"));
            add_to_index(&mut table.indexes, index, repeats > 0, column, comment.starts_with(MARK));
        }
    }
    for (schema, name, key, column, other_schema, other) in
        rows::<KeyColumn>(connection, &KEY_COLUMNS.replace("$WHICH", &which("k", names))).await?
    {
        if let Some(table) = found.get_mut(&TableName::new(schema, name)) {
            // The server makes an index for a foreign key that finds none, without a comment and with the key's name.
            table.indexes.iter_mut().filter(|index| index.name == key).for_each(|index| index.made_by_job = true);
            add_to_key(&mut table.foreign_keys, key, column, TableName::new(other_schema, other));
        }
    }
    add_dependents(connection, names, &mut found).await?;
    if has_histograms(connection).await? {
        for (schema, name, column) in rows::<Named>(connection, &HISTOGRAMS.replace("$NAMES", &pairs(names))).await? {
            if let Some(table) = found.get_mut(&TableName::new(schema, name)) {
                table.dependents.push(Dependent::new(DependentKind::Histogram, column));
            }
        }
    }
    for (name, table) in found.iter_mut().filter(|(_, table)| table.not_a_table.is_none()) {
        for dependent in defined(connection, name).await? {
            if !table.dependents.contains(&dependent) {
                table.dependents.push(dependent);
            }
        }
    }
    Ok(found)
}

/// What the catalogs show of what depends on the tables.
async fn add_dependents(
    connection: &mut Conn,
    names: &[TableName],
    found: &mut HashMap<TableName, TargetTable>,
) -> Result<()> {
    let query = INCOMING_KEYS.replace("$NAMES", &pairs(names));
    for (schema, name, key, other_schema, other) in rows::<IncomingKey>(connection, &query).await? {
        if let Some(table) = found.get_mut(&TableName::new(schema, name)) {
            table.dependents.push(Dependent::foreign_key_from(key, TableName::new(other_schema, other)));
        }
    }
    // Keys have no comments: each is a dependent, whoever made it.
    for table in found.values_mut() {
        let keys = table.foreign_keys.iter().map(|key| Dependent::foreign_key_to(&key.name, &key.referenced));
        table.dependents.extend(keys);
    }
    let query = DEPENDENTS.replace("$NAMES", &pairs(names));
    for (schema, name, code, dependent, of) in rows::<Depends>(connection, &query).await? {
        let kind = DependentKind::from_code(&code).ok_or_else(|| {
            let message = format!("the catalog's answer has a dependent of the unknown kind {code:?}");
            Error::new(Side::Target, Kind::Internal, message)
        })?;
        if let Some(table) = found.get_mut(&TableName::new(schema, name)) {
            table.dependents.push(Dependent { of, ..Dependent::new(kind, dependent) });
        }
    }
    Ok(())
}

/// Those of the names under which there is something now.
pub async fn present(connection: &mut Conn, names: &[TableName]) -> Result<HashSet<TableName>> {
    let found = rows::<Table>(connection, &TABLES.replace("$WHICH", &which("t", names))).await?;
    Ok(found.into_iter().map(|(schema, name, ..)| TableName::new(schema, name)).collect())
}

/// What its definition holds that a new table would lack.
async fn defined(connection: &mut Conn, name: &TableName) -> Result<Vec<Dependent>> {
    // Without quotes a name cannot be told from a keyword.
    execute(connection, "SET SESSION sql_quote_show_create = 1").await?;
    let shown = row::<(String, String)>(connection, &format!("SHOW CREATE TABLE {}", qualified(name))).await;
    match shown {
        Ok(Some((_, shown))) => Ok(definition::dependents(&shown, MARK)),
        // It is gone, or not for this login to see: what is not known is not dropped.
        Ok(None) => Ok(vec![Dependent::unnamed(DependentKind::UnreadableDefinition)]),
        Err(error) if matches!(error.kind, Kind::Permission | Kind::Statement) => {
            tracing::warn!(table = %name, error = error.chain(), "its definition could not be read");
            Ok(vec![Dependent::unnamed(DependentKind::UnreadableDefinition)])
        }
        Err(error) => Err(error),
    }
}

/// MariaDB has no such view.
async fn has_histograms(connection: &mut Conn) -> Result<bool> {
    let query = "SELECT COUNT(*) FROM information_schema.tables \
                 WHERE table_schema = 'information_schema' AND table_name = 'COLUMN_STATISTICS'";
    Ok(only_row::<u64>(connection, query).await? > 0)
}

/// Columns come in the order of the index, one by one.
fn add_to_index(
    indexes: &mut Vec<TargetIndex>,
    name: String,
    repeats: bool,
    (column, descends): (String, bool),
    made_by_job: bool,
) {
    if let Some(index) = indexes.iter_mut().find(|index| index.name == name) {
        index.columns.push(column);
        index.descending.push(descends);
        return;
    }
    let kind = match (name.as_str(), repeats) {
        ("PRIMARY", _) => IndexKind::PrimaryKey,
        (_, false) => IndexKind::Unique,
        (_, true) => IndexKind::Plain,
    };
    let (columns, descending, included) = (vec![column], vec![descends], Vec::new());
    indexes.push(TargetIndex { name, kind, columns, descending, included, made_by_job });
}

/// Whoever made it: a key has no comment to tell.
fn add_to_key(keys: &mut Vec<TargetForeignKey>, name: String, column: String, referenced: TableName) {
    if let Some(key) = keys.iter_mut().find(|key| key.name == name) {
        key.columns.push(column);
        return;
    }
    let columns = vec![column];
    keys.push(TargetForeignKey { name, columns, referenced, actions: None, made_by_job: true });
}

/// Names of a table's indexes.
pub async fn indexes(connection: &mut Conn, table: &TableName) -> Result<Vec<String>> {
    let query = INDEXES.replace("$WHICH", &which("s", std::slice::from_ref(table)));
    Ok(rows::<Named>(connection, &query).await?.into_iter().map(|(_, _, index)| index).collect())
}

fn which(alias: &str, names: &[TableName]) -> String {
    format!("({alias}.table_schema, {alias}.table_name) IN ({})", pairs(names))
}

/// Never empty. MySQL does not even compare its names with one that none of them can be (error 3854, `ER_CANNOT_CONVERT_STRING`).
fn pairs(names: &[TableName]) -> String {
    let possible = names.iter().filter(|name| is_possible(&name.schema) && is_possible(&name.name));
    let pairs = possible.map(|name| format!("({}, {})", literal(&name.schema), literal(&name.name)));
    let pairs = pairs.collect::<Vec<_>>().join(", ");
    if pairs.is_empty() { "(NULL, NULL)".to_owned() } else { pairs }
}

/// Names are of the Basic Multilingual Plane (MySQL 8.0 Reference Manual, 11.2 "Schema Object Names").
pub fn is_possible(name: &str) -> bool {
    name.chars().all(|c| c <= '\u{FFFF}')
}

const TABLES: &str = "\
SELECT t.table_schema, t.table_name, t.table_type, t.engine, t.create_options
FROM information_schema.tables AS t WHERE $WHICH";

const COLUMNS: &str = "\
SELECT c.table_schema, c.table_name, c.column_name, CAST(c.column_type AS CHAR), c.is_nullable, c.extra, c.column_key
FROM information_schema.columns AS c
WHERE $WHICH
ORDER BY c.table_schema, c.table_name, c.ordinal_position";

const INDEXES: &str = "\
SELECT DISTINCT s.table_schema, s.table_name, s.index_name FROM information_schema.statistics AS s WHERE $WHICH";

/// Parts of an index that are expressions have no column.
const INDEX_COLUMNS: &str = "\
SELECT s.table_schema, s.table_name, s.index_name, s.non_unique, s.column_name, s.index_comment, s.collation
FROM information_schema.statistics AS s
WHERE $WHICH AND s.index_type = 'BTREE' AND s.column_name IS NOT NULL
ORDER BY s.table_schema, s.table_name, s.index_name, s.seq_in_index";

const KEY_COLUMNS: &str = "\
SELECT k.table_schema, k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema, k.referenced_table_name
FROM information_schema.key_column_usage AS k
WHERE $WHICH AND k.referenced_table_name IS NOT NULL
ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position";

const HISTOGRAMS: &str = "\
SELECT h.schema_name, h.table_name, h.column_name FROM information_schema.column_statistics AS h
WHERE (h.schema_name, h.table_name) IN ($NAMES) ORDER BY 1, 2, 3";

/// What a rename would lose, as far as the catalogs tell; see [`definition`] for the rest. Grants and views go by the table's name here, and stay; whether ordinary indexes would be lost is
/// the plan's to say.
const DEPENDENTS: &str = "\
SELECT r.table_schema, r.table_name, r.kind, r.name, r.belongs_to FROM (
  SELECT g.event_object_schema AS table_schema, g.event_object_table AS table_name, 'trigger' AS kind, g.trigger_name AS name,
         NULL AS belongs_to
  FROM information_schema.triggers AS g WHERE (g.event_object_schema, g.event_object_table) IN ($NAMES)
  UNION ALL
  SELECT c.table_schema, c.table_name, 'check_constraint', c.constraint_name, NULL
  FROM information_schema.table_constraints AS c
  WHERE c.constraint_type = 'CHECK' AND (c.table_schema, c.table_name) IN ($NAMES)
        AND NOT EXISTS (SELECT * FROM information_schema.columns AS j
                        WHERE j.table_schema = c.table_schema AND j.table_name = c.table_name AND j.column_name = c.constraint_name)
  UNION ALL
  SELECT c.table_schema, c.table_name, 'generated_column', c.column_name, NULL
  FROM information_schema.columns AS c
  WHERE c.extra LIKE '% GENERATED' AND (c.table_schema, c.table_name) IN ($NAMES)
  UNION ALL
  SELECT c.table_schema, c.table_name, 'column_default', c.column_name, NULL
  FROM information_schema.columns AS c
  WHERE c.column_default IS NOT NULL AND c.column_default <> 'NULL' AND (c.table_schema, c.table_name) IN ($NAMES)
  UNION ALL
  SELECT DISTINCT s.table_schema, s.table_name, 'special_index', s.index_name, LOWER(s.index_type)
  FROM information_schema.statistics AS s
  WHERE (s.index_type <> 'BTREE' OR s.column_name IS NULL) AND (s.table_schema, s.table_name) IN ($NAMES)
) AS r ORDER BY 1, 2, 3, 4";

/// Foreign keys of other tables.
const INCOMING_KEYS: &str = "\
SELECT k.referenced_table_schema, k.referenced_table_name, k.constraint_name, k.table_schema, k.table_name
FROM information_schema.key_column_usage AS k
WHERE k.ordinal_position = 1 AND (k.referenced_table_schema, k.referenced_table_name) IN ($NAMES)
      AND (k.table_schema, k.table_name) <> (k.referenced_table_schema, k.referenced_table_name)
ORDER BY 1, 2, 4, 5, 3";
