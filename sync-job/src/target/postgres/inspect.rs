//! What the target has: tables, and what ties them to other objects.

use std::collections::HashMap;

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use super::connect::rows;
use super::sql::literal;
use crate::error::Result;
use crate::plan::{TargetColumn, TargetTable};
use crate::schema::TableName;

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
        let name = TableName::new(text(&row, "schema_name"), text(&row, "table_name"));
        oids.insert(number(&row, "oid"), name.clone());
        found.insert(name, table(&row));
    }
    if oids.is_empty() {
        return Ok(found);
    }
    let list: Vec<String> = oids.keys().map(ToString::to_string).collect();
    let list = list.join(", ");
    for row in rows(connection, &COLUMNS.replace("$OIDS", &list)).await? {
        if let Some(table) = oids.get(&number(&row, "oid")).and_then(|name| found.get_mut(name)) {
            table.columns.push(TargetColumn {
                name: text(&row, "column_name"),
                column_type: text(&row, "column_type"),
                nullable: row.try_get("nullable").unwrap_or(true),
            });
        }
    }
    for row in rows(connection, &INDEXES.replace("$OIDS", &list)).await? {
        if let Some(table) = oids.get(&number(&row, "oid")).and_then(|name| found.get_mut(name)) {
            table.indexes.push(text(&row, "index_name"));
        }
    }
    for row in rows(connection, &TIES.replace("$OIDS", &list)).await? {
        if let Some(table) = oids.get(&number(&row, "oid")).and_then(|name| found.get_mut(name)) {
            table.ties.push(text(&row, "tie"));
        }
    }
    Ok(found)
}

fn text(row: &PgRow, name: &str) -> String {
    row.try_get(name).unwrap_or_default()
}

fn number(row: &PgRow, name: &str) -> i64 {
    row.try_get(name).unwrap_or_default()
}

fn table(row: &PgRow) -> TargetTable {
    let kind = text(row, "kind");
    let not_a_table = match kind.as_str() {
        "r" => None,
        "p" => Some("a partitioned table".to_owned()),
        "v" => Some("a view".to_owned()),
        "m" => Some("a materialized view".to_owned()),
        "f" => Some("a foreign table".to_owned()),
        other => Some(format!("a relation of kind {other}")),
    };
    let rows: f32 = row.try_get("estimate").unwrap_or(-1.0);
    TargetTable {
        rows: (rows >= 0.0).then_some(rows as u64),
        not_a_table,
        not_owned: !row.try_get("owned").unwrap_or(false),
        ..TargetTable::default()
    }
}

const TABLES: &str = "\
SELECT c.oid::int8 AS oid, n.nspname::text AS schema_name, c.relname::text AS table_name, c.relkind::text AS kind,
       c.reltuples AS estimate, pg_has_role(c.relowner, 'USAGE') AS owned
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace";

const COLUMNS: &str = "\
SELECT a.attrelid::int8 AS oid, a.attname::text AS column_name, format_type(a.atttypid, a.atttypmod) AS column_type,
       NOT a.attnotnull AS nullable
FROM pg_attribute AS a
WHERE a.attrelid IN ($OIDS) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum";

const INDEXES: &str = "\
SELECT i.indrelid::int8 AS oid, c.relname::text AS index_name
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid IN ($OIDS)";

/// What a rename would lose. Indexes, keys and identity sequences of the table itself are made anew and do not count;
/// grants, owner, comments, storage options and replica identity are carried over by the swap.
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
  SELECT p.prrelid::int8, 'publication ' || quote_ident(b.pubname)
  FROM pg_publication_rel AS p JOIN pg_publication AS b ON b.oid = p.prpubid WHERE p.prrelid IN ($OIDS)
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
  SELECT DISTINCT d.refobjid::int8, 'function ' || p.oid::regprocedure::text
  FROM pg_depend AS d JOIN pg_proc AS p ON p.oid = d.objid
  WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN ($OIDS)
  UNION ALL
  SELECT DISTINCT y.typrelid::int8, 'a use of its row type by ' || pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM pg_type AS y JOIN pg_depend AS d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = y.oid AND d.deptype = 'n'
  WHERE y.typrelid IN ($OIDS)
  UNION ALL
  SELECT x.indrelid::int8, 'index ' || c.relname || ', which this job did not make'
  FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid
  WHERE x.indrelid IN ($OIDS) AND (x.indpred IS NOT NULL OR x.indexprs IS NOT NULL)
) AS r ORDER BY 1, 2";
