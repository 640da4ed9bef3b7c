//! What the target has: tables, and what ties them to other objects.

use std::collections::{BTreeSet, HashMap};

use sqlx::postgres::PgConnection;

use super::connect::rows;
use super::publications::published;
use super::row::Answer;
use super::sql::literal;
use crate::error::Result;
use crate::plan::{TargetColumn, TargetForeignKey, TargetIndex, TargetTable};
use crate::schema::{IndexKind, TableName};
use crate::target::MARK;

/// Looks the tables up; absent ones are absent from the answer.
pub async fn tables(connection: &mut PgConnection, names: &[TableName]) -> Result<HashMap<TableName, TargetTable>> {
    let mut found = HashMap::new();
    if names.is_empty() {
        return Ok(found);
    }
    let wanted: Vec<String> =
        names.iter().map(|name| format!("({}, {})", literal(&name.schema), literal(&name.name))).collect();
    let wanted = format!("(n.nspname, c.relname) IN ({})", wanted.join(", "));
    let mut oids: HashMap<i64, TableName> = HashMap::new();
    for row in rows(connection, &format!("{TABLES} WHERE {wanted}")).await? {
        let name = TableName::new(row.text("schema_name")?, row.text("table_name")?);
        oids.insert(row.value("oid")?, name.clone());
        found.insert(name, table(&row)?);
    }
    if oids.is_empty() {
        return Ok(found);
    }
    let list: Vec<String> = oids.keys().map(ToString::to_string).collect();
    let list = list.join(", ");
    let ties = TIES.replace("$PUBLISHED", &published(connection).await?);
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
    each(&ties, |table, row| row.text("tie").map(|tie| table.ties.push(tie))).await?;
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
        included: row.value("included")?,
        made_by_job: row.flag("made_by_job")?,
    })
}

fn foreign_key(row: &Answer) -> Result<TargetForeignKey> {
    Ok(TargetForeignKey {
        name: row.text("key_name")?,
        columns: row.value("columns")?,
        referenced: TableName::new(row.text("schema_name")?, row.text("table_name")?),
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

/// The index that tells logical replication which row was changed is made by the job only if the source has it.
const INDEXES: &str = "\
SELECT x.indrelid::int8 AS oid, c.relname::text AS index_name, x.indisprimary AS is_primary, x.indisunique AS is_unique,
       EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid AND k.contype = 'u') AS is_constraint,
       starts_with(coalesce(obj_description(x.indexrelid, 'pg_class'), ''), $MARK) AND NOT x.indisreplident AS made_by_job,
       array(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (number, place)
             JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.number
             WHERE k.place <= x.indnkeyatts ORDER BY k.place) AS columns,
       array(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (number, place)
             JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.number
             WHERE k.place > x.indnkeyatts ORDER BY k.place) AS included
FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid JOIN pg_am AS m ON m.oid = c.relam
WHERE x.indrelid IN ($OIDS) AND $ORDINARY ORDER BY 1, 2";

const FOREIGN_KEYS: &str = "\
SELECT k.conrelid::int8 AS oid, k.conname::text AS key_name, n.nspname::text AS schema_name, c.relname::text AS table_name,
       starts_with(coalesce(obj_description(k.oid, 'pg_constraint'), ''), $MARK) AS made_by_job,
       array(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS p (number, place)
             JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = p.number ORDER BY p.place) AS columns
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.confrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conrelid IN ($OIDS) ORDER BY 1, 2";

const NAMES: &str = "\
SELECT n.nspname::text AS schema_name, c.relname::text AS name, t.relname::text AS table_name
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_index AS x ON x.indexrelid = c.oid LEFT JOIN pg_class AS t ON t.oid = x.indrelid
WHERE n.nspname IN ($SCHEMAS)";

/// What no rename could carry. Ordinary indexes, foreign keys and identity sequences of the table itself may be made anew: that is
/// for the plan to say. Grants, owner, comments, storage options and replica identity are carried over by the swap.
const TIES: &str = "\
SELECT r.ev_class_oid AS oid, r.tie FROM (
  SELECT DISTINCT d.refobjid::int8 AS ev_class_oid,
         CASE v.relkind WHEN 'm' THEN 'materialized view ' WHEN 'v' THEN 'view ' ELSE 'a rule of ' END || v.oid::regclass::text AS tie
  FROM pg_depend AS d JOIN pg_rewrite AS w ON w.oid = d.objid JOIN pg_class AS v ON v.oid = w.ev_class
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN ($OIDS)
  UNION ALL
  SELECT k.confrelid::int8, 'foreign key ' || quote_ident(k.conname) || ' of ' || k.conrelid::regclass::text
  FROM pg_constraint AS k
  WHERE k.contype = 'f' AND k.confrelid IN ($OIDS) AND k.conrelid <> k.confrelid
        AND NOT starts_with(coalesce(obj_description(k.conrelid, 'pg_class'), ''), 'stopgap staging ')
  UNION ALL
  SELECT k.conrelid::int8, CASE k.contype WHEN 'c' THEN 'check ' WHEN 'x' THEN 'exclusion ' ELSE '' END || 'constraint ' || quote_ident(k.conname)
  FROM pg_constraint AS k WHERE k.contype IN ('c', 'x') AND k.conrelid IN ($OIDS)
  UNION ALL
  SELECT t.tgrelid::int8, 'trigger ' || quote_ident(t.tgname)
  FROM pg_trigger AS t WHERE NOT t.tgisinternal AND t.tgrelid IN ($OIDS)
  UNION ALL
  SELECT p.polrelid::int8, 'policy ' || quote_ident(p.polname) FROM pg_policy AS p WHERE p.polrelid IN ($OIDS)
  UNION ALL
  SELECT c.oid::int8, 'row-level security' FROM pg_class AS c WHERE c.relrowsecurity AND c.oid IN ($OIDS)
  UNION ALL
  SELECT p.oid::int8, 'publication ' || quote_ident(p.publication) FROM ($PUBLISHED) AS p WHERE p.oid IN ($OIDS)
  UNION ALL
  SELECT i.inhparent::int8, 'child table ' || i.inhrelid::regclass::text FROM pg_inherits AS i WHERE i.inhparent IN ($OIDS)
  UNION ALL
  SELECT i.inhrelid::int8, 'parent table ' || i.inhparent::regclass::text FROM pg_inherits AS i WHERE i.inhrelid IN ($OIDS)
  UNION ALL
  SELECT s.stxrelid::int8, 'extended statistics ' || quote_ident(s.stxname) FROM pg_statistic_ext AS s WHERE s.stxrelid IN ($OIDS)
  UNION ALL
  SELECT a.adrelid::int8, 'the default of column ' || quote_ident(t.attname)
  FROM pg_attrdef AS a JOIN pg_attribute AS t ON t.attrelid = a.adrelid AND t.attnum = a.adnum
  WHERE a.adrelid IN ($OIDS) AND t.attidentity = ''
  UNION ALL
  SELECT a.attrelid::int8, 'the collation of column ' || quote_ident(a.attname)
  FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid
  WHERE a.attrelid IN ($OIDS) AND a.attnum > 0 AND NOT a.attisdropped AND a.attcollation <> y.typcollation
  UNION ALL
  SELECT DISTINCT d.refobjid::int8, 'function ' || p.oid::regprocedure::text
  FROM pg_depend AS d JOIN pg_proc AS p ON p.oid = d.objid
  WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN ($OIDS)
  UNION ALL
  SELECT DISTINCT y.typrelid::int8, 'a use of its row type by ' || pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM pg_type AS y JOIN pg_depend AS d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = y.oid AND d.deptype = 'n'
  WHERE y.typrelid IN ($OIDS)
  UNION ALL
  SELECT DISTINCT d.refobjid::int8, pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM pg_depend AS d LEFT JOIN pg_policy AS p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
  LEFT JOIN pg_trigger AS t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN ($OIDS) AND d.deptype = 'n'
        AND coalesce(p.polrelid, t.tgrelid, 0) <> d.refobjid
        AND d.classid NOT IN ('pg_class'::regclass, 'pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_constraint'::regclass,
                              'pg_attrdef'::regclass, 'pg_statistic_ext'::regclass, 'pg_publication_rel'::regclass)
  UNION ALL
  SELECT DISTINCT o.refobjid::int8, 'a use of its sequence by ' || pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM pg_depend AS o JOIN pg_class AS s ON s.oid = o.objid AND s.relkind = 'S'
  JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid AND d.deptype = 'n'
  LEFT JOIN pg_attrdef AS a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
  WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass AND o.refobjid IN ($OIDS)
        AND o.deptype IN ('a', 'i') AND coalesce(a.adrelid, 0) <> o.refobjid
  UNION ALL
  SELECT x.indrelid::int8, 'index ' || c.relname || ', which this job did not make'
  FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid JOIN pg_am AS m ON m.oid = c.relam
  WHERE x.indrelid IN ($OIDS) AND NOT ($ORDINARY)
        AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid AND k.contype = 'x')
) AS r ORDER BY 1, 2";
