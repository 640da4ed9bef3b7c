//! What the target has: tables, and what depends on them.

use std::collections::{BTreeSet, HashMap};

use sqlx::postgres::PgConnection;

use super::connect::rows;
use super::dependents;
use super::quote::literal;
use super::row::Answer;
use crate::model::error::Result;
use crate::model::schema::{IndexKind, TableName};
use crate::plan::{ForeignKeyActions, TargetColumn, TargetForeignKey, TargetIndex, TargetTable};
use crate::targets::MARK;

/// Looks the tables up; absent ones are absent from the answer.
pub async fn tables(connection: &mut PgConnection, names: &[TableName]) -> Result<HashMap<TableName, TargetTable>> {
    let mut found = HashMap::new();
    if names.is_empty() {
        return Ok(found);
    }
    let wanted: Vec<String> =
        names.iter().map(|name| format!("({}, {})", literal(&name.schema), literal(&name.name))).collect();
    let pairs = wanted.join(", ");
    let wanted = format!("(n.nspname, c.relname) IN ({pairs})");
    let mut oids: HashMap<i64, TableName> = HashMap::new();
    for row in rows(connection, &format!("{TABLES} WHERE {wanted}")).await? {
        let name = TableName::new(row.text("schema_name")?, row.text("table_name")?);
        oids.insert(row.value("oid")?, name.clone());
        found.insert(name, table(&row)?);
    }
    for row in rows(connection, &TYPES.replace("$NAMES", &pairs)).await? {
        let what = Some("a type, and each table is one, too".to_owned());
        let name = TableName::new(row.text("schema_name")?, row.text("type_name")?);
        found.entry(name).or_insert_with(|| TargetTable { not_a_table: what, ..TargetTable::default() });
    }
    if oids.is_empty() {
        return Ok(found);
    }
    let list: Vec<String> = oids.keys().map(ToString::to_string).collect();
    let list = list.join(", ");
    let asked = dependents::query(connection).await?;
    let mut each = async |query: &str, add: fn(&mut TargetTable, &Answer) -> Result<()>| -> Result<()> {
        for row in rows(
            connection,
            &query.replace("$ORDINARY", IS_ORDINARY).replace("$OIDS", &list).replace("$MARK", &literal(MARK)),
        )
        .await?
        {
            if let Some(table) = oids.get(&row.value("oid")?).and_then(|name| found.get_mut(name)) {
                add(table, &row)?;
            }
        }
        Ok(())
    };
    each(COLUMNS, |table, row| column(row).map(|column| table.columns.push(column))).await?;
    each(INDEXES, |table, row| index(row).map(|index| table.indexes.push(index))).await?;
    each(FOREIGN_KEYS, |table, row| foreign_key(row).map(|key| table.foreign_keys.push(key))).await?;
    each(&asked, |table, row| dependents::dependent(row).map(|found| table.dependents.push(found))).await?;
    each(dependents::INCOMING_KEYS, |table, row| {
        dependents::incoming_key(row).map(|found| table.dependents.push(found))
    })
    .await?;
    Ok(found)
}

/// All names of relations in the tables' schemas, each with the table that it is an index of, if it is one.
pub async fn index_names(
    connection: &mut PgConnection,
    tables: &[TableName],
) -> Result<HashMap<TableName, Option<TableName>>> {
    let schemas: BTreeSet<String> = tables.iter().map(|table| literal(&table.schema)).collect();
    if schemas.is_empty() {
        return Ok(HashMap::new());
    }
    let schemas: Vec<String> = schemas.into_iter().collect();
    let found = rows(connection, &NAMES.replace("$SCHEMAS", &schemas.join(", "))).await?;
    let name = |row: &Answer| {
        let schema = row.text("schema_name")?;
        let owner: Option<String> = row.value("table_name")?;
        Ok((TableName::new(&schema, row.text("name")?), owner.map(|owner| TableName::new(&schema, owner))))
    };
    found.iter().map(name).collect()
}

fn column(row: &Answer) -> Result<TargetColumn> {
    Ok(TargetColumn {
        name: row.text("column_name")?,
        column_type: row.text("column_type")?,
        nullable: row.value("nullable")?,
        counts_up: row.flag("counts_up")?,
    })
}

fn index(row: &Answer) -> Result<TargetIndex> {
    let kind = match (row.flag("is_primary")?, row.flag("is_constraint")?, row.flag("is_unique")?) {
        (true, _, _) => IndexKind::PrimaryKey,
        (_, true, _) => IndexKind::UniqueConstraint,
        (_, _, true) => IndexKind::Unique,
        _ => IndexKind::Plain,
    };
    Ok(TargetIndex {
        name: row.text("index_name")?,
        kind,
        columns: row.value("columns")?,
        descending: row.value("descending")?,
        included: row.value("included")?,
        made_by_job: row.flag("made_by_job")?,
    })
}

fn foreign_key(row: &Answer) -> Result<TargetForeignKey> {
    Ok(TargetForeignKey {
        name: row.text("key_name")?,
        columns: row.value("columns")?,
        referenced: TableName::new(row.text("schema_name")?, row.text("table_name")?),
        actions: Some(ForeignKeyActions { on_delete: row.text("on_delete")?, on_update: row.text("on_update")? }),
        made_by_job: row.flag("made_by_job")?,
    })
}

fn table(row: &Answer) -> Result<TargetTable> {
    let kind = row.text("kind")?;
    let not_a_table = match kind.as_str() {
        "r" => None,
        "p" => Some("a partitioned table".to_owned()),
        "v" => Some("a view".to_owned()),
        "m" => Some("a materialized view".to_owned()),
        "f" => Some("a foreign table".to_owned()),
        other => Some(format!("a relation of kind {other}")),
    };
    Ok(TargetTable { not_a_table, not_owned: !row.flag("owned")?, ..TargetTable::default() })
}

const TABLES: &str = "\
SELECT c.oid::int8 AS oid, n.nspname::text AS schema_name, c.relname::text AS table_name, c.relkind::text AS kind,
       pg_has_role(c.relowner, 'USAGE') AS owned
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace";

/// Types under whose names no table can be made. A relation's own row type is none of them, and the server gives arrays that it made itself
/// other names ("CREATE TYPE", Array Types).
const TYPES: &str = "\
SELECT n.nspname::text AS schema_name, t.typname::text AS type_name
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE (n.nspname, t.typname) IN ($NAMES) AND t.typrelid = 0
      AND NOT EXISTS (SELECT FROM pg_type AS e WHERE e.typarray = t.oid)";

const COLUMNS: &str = "\
SELECT a.attrelid::int8 AS oid, a.attname::text AS column_name, format_type(a.atttypid, a.atttypmod) AS column_type,
       NOT a.attnotnull AS nullable, a.attidentity <> '' OR EXISTS (
         SELECT FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
         WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
           AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')) AS counts_up
FROM pg_attribute AS a
WHERE a.attrelid IN ($OIDS) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum";

/// A b-tree over columns and all rows, in the columns' own order: what the job itself makes.
const IS_ORDINARY: &str = "\
x.indpred IS NULL AND x.indexprs IS NULL AND m.amname = 'btree' AND NOT EXISTS (
  SELECT FROM unnest(x.indclass::oid[], x.indcollation::oid[], x.indkey::int2[]) AS k (class, sorting, number)
  JOIN pg_opclass AS o ON o.oid = k.class JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.number
  WHERE NOT o.opcdefault OR k.sorting <> a.attcollation)";

/// The index that tells logical replication which row was changed, or that the rows are sorted by, is made by the job only if the
/// source has it.
const INDEXES: &str = "\
SELECT x.indrelid::int8 AS oid, c.relname::text AS index_name, x.indisprimary AS is_primary, x.indisunique AS is_unique,
       EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid AND k.contype = 'u') AS is_constraint,
       starts_with(coalesce(obj_description(x.indexrelid, 'pg_class'), ''), $MARK) AND NOT (x.indisreplident OR x.indisclustered) AS made_by_job,
       array(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (number, place)
             JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.number
             WHERE k.place <= x.indnkeyatts ORDER BY k.place) AS columns,
       array(SELECT k.option & 1 = 1 FROM unnest(x.indoption::int2[]) WITH ORDINALITY AS k (option, place) ORDER BY k.place) AS descending,
       array(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (number, place)
             JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.number
             WHERE k.place > x.indnkeyatts ORDER BY k.place) AS included
FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid JOIN pg_am AS m ON m.oid = c.relam
WHERE x.indrelid IN ($OIDS) AND $ORDINARY ORDER BY 1, 2";

const FOREIGN_KEYS: &str = "\
SELECT k.conrelid::int8 AS oid, k.conname::text AS key_name, n.nspname::text AS schema_name, c.relname::text AS table_name,
       starts_with(coalesce(obj_description(k.oid, 'pg_constraint'), ''), $MARK) AS made_by_job,
       CASE k.confdeltype WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT'
            ELSE 'NO ACTION' END AS on_delete,
       CASE k.confupdtype WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT'
            ELSE 'NO ACTION' END AS on_update,
       array(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS p (number, place)
             JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = p.number ORDER BY p.place) AS columns
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.confrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conrelid IN ($OIDS) ORDER BY 1, 2";

const NAMES: &str = "\
SELECT n.nspname::text AS schema_name, c.relname::text AS name, t.relname::text AS table_name
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_index AS x ON x.indexrelid = c.oid LEFT JOIN pg_class AS t ON t.oid = x.indrelid
WHERE n.nspname IN ($SCHEMAS)";
