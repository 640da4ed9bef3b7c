//! What the target has: tables, and what ties them to other objects.

use std::collections::HashMap;

use mysql_async::Conn;

use super::connect::rows;
use super::sql::literal;
use crate::error::Result;
use crate::plan::{TargetColumn, TargetTable};
use crate::schema::TableName;

/// Database, name, kind, engine, estimated rows, options.
type Table = (String, String, String, Option<String>, Option<u64>, Option<String>);
/// Database, table, column, type, "YES" or "NO".
type Column = (String, String, String, String, String);
/// Database, table, and the name of something of it.
type Named = (String, String, String);

/// Looks the tables up; absent ones are absent from the answer.
pub async fn tables(connection: &mut Conn, names: &[TableName]) -> Result<HashMap<TableName, TargetTable>> {
    let mut found = HashMap::new();
    if names.is_empty() {
        return Ok(found);
    }
    for (schema, name, kind, engine, estimate, options) in
        rows::<Table>(connection, &TABLES.replace("$WHICH", &which("t", names))).await?
    {
        let not_a_table = match (kind.as_str(), engine.as_deref()) {
            ("BASE TABLE" | "SYSTEM VERSIONED", Some("InnoDB")) => None,
            ("BASE TABLE" | "SYSTEM VERSIONED", engine) => {
                Some(format!("a table of the engine {}", engine.unwrap_or("?")))
            }
            (other, _) => Some(format!("a {}", other.to_lowercase())),
        };
        let mut table = TargetTable { rows: estimate, not_a_table, ..TargetTable::default() };
        if options.is_some_and(|options| options.contains("partitioned")) {
            table.ties.push("its partitions".to_owned());
        }
        found.insert(TableName::new(schema, name), table);
    }
    for (schema, name, column, column_type, nullable) in
        rows::<Column>(connection, &COLUMNS.replace("$WHICH", &which("c", names))).await?
    {
        if let Some(table) = found.get_mut(&TableName::new(schema, name)) {
            table.columns.push(TargetColumn { name: column, column_type, nullable: nullable == "YES" });
        }
    }
    for (schema, name, index) in rows::<Named>(connection, &INDEXES.replace("$WHICH", &which("s", names))).await? {
        if let Some(table) = found.get_mut(&TableName::new(schema, name)) {
            table.indexes.push(index);
        }
    }
    for (schema, name, tie) in rows::<Named>(connection, &TIES.replace("$NAMES", &pairs(names))).await? {
        if let Some(table) = found.get_mut(&TableName::new(schema, name)) {
            table.ties.push(tie);
        }
    }
    Ok(found)
}

/// Names of a table's indexes.
pub async fn indexes(connection: &mut Conn, table: &TableName) -> Result<Vec<String>> {
    let query = INDEXES.replace("$WHICH", &which("s", std::slice::from_ref(table)));
    Ok(rows::<Named>(connection, &query).await?.into_iter().map(|(_, _, index)| index).collect())
}

fn which(alias: &str, names: &[TableName]) -> String {
    format!("({alias}.table_schema, {alias}.table_name) IN ({})", pairs(names))
}

fn pairs(names: &[TableName]) -> String {
    names
        .iter()
        .map(|name| format!("({}, {})", literal(&name.schema), literal(&name.name)))
        .collect::<Vec<_>>()
        .join(", ")
}

const TABLES: &str = "\
SELECT t.table_schema, t.table_name, t.table_type, t.engine, t.table_rows, t.create_options
FROM information_schema.tables AS t WHERE $WHICH";

/// Invisible columns (such as a generated primary key) are not the job's concern.
const COLUMNS: &str = "\
SELECT c.table_schema, c.table_name, c.column_name, CAST(c.column_type AS CHAR), c.is_nullable
FROM information_schema.columns AS c
WHERE $WHICH AND c.extra NOT LIKE '%INVISIBLE%'
ORDER BY c.table_schema, c.table_name, c.ordinal_position";

const INDEXES: &str = "\
SELECT DISTINCT s.table_schema, s.table_name, s.index_name FROM information_schema.statistics AS s WHERE $WHICH";

/// What a rename would lose. Grants and views go by the table's name here, and stay; the primary key and ordinary indexes are
/// made anew.
const TIES: &str = "\
SELECT r.table_schema, r.table_name, r.tie FROM (
  SELECT k.referenced_table_schema AS table_schema, k.referenced_table_name AS table_name,
         CONCAT('foreign key ', k.constraint_name, ' of ', k.table_schema, '.', k.table_name) AS tie
  FROM information_schema.key_column_usage AS k
  WHERE k.ordinal_position = 1 AND (k.referenced_table_schema, k.referenced_table_name) IN ($NAMES)
        AND (k.table_schema, k.table_name) <> (k.referenced_table_schema, k.referenced_table_name)
  UNION ALL
  SELECT k.table_schema, k.table_name, CONCAT('foreign key ', k.constraint_name, ' to ', k.referenced_table_schema, '.', k.referenced_table_name)
  FROM information_schema.key_column_usage AS k
  WHERE k.ordinal_position = 1 AND k.referenced_table_name IS NOT NULL AND (k.table_schema, k.table_name) IN ($NAMES)
  UNION ALL
  SELECT g.event_object_schema, g.event_object_table, CONCAT('trigger ', g.trigger_name)
  FROM information_schema.triggers AS g WHERE (g.event_object_schema, g.event_object_table) IN ($NAMES)
  UNION ALL
  SELECT c.table_schema, c.table_name, CONCAT('check constraint ', c.constraint_name)
  FROM information_schema.table_constraints AS c
  WHERE c.constraint_type = 'CHECK' AND (c.table_schema, c.table_name) IN ($NAMES)
        AND NOT EXISTS (SELECT * FROM information_schema.columns AS j
                        WHERE j.table_schema = c.table_schema AND j.table_name = c.table_name AND j.column_name = c.constraint_name)
  UNION ALL
  SELECT c.table_schema, c.table_name, CONCAT('the generated column ', c.column_name)
  FROM information_schema.columns AS c
  WHERE c.extra LIKE '% GENERATED' AND (c.table_schema, c.table_name) IN ($NAMES)
  UNION ALL
  SELECT c.table_schema, c.table_name, CONCAT('the default of column ', c.column_name)
  FROM information_schema.columns AS c
  WHERE c.column_default IS NOT NULL AND c.column_default <> 'NULL' AND (c.table_schema, c.table_name) IN ($NAMES)
  UNION ALL
  SELECT DISTINCT s.table_schema, s.table_name, CONCAT('the ', LOWER(s.index_type), ' index ', s.index_name)
  FROM information_schema.statistics AS s
  WHERE s.index_type <> 'BTREE' AND (s.table_schema, s.table_name) IN ($NAMES)
) AS r ORDER BY 1, 2, 3";
