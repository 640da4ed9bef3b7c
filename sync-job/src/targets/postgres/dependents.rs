//! What keeps a table in place: what depends on it, and what it has that no new table could get.

use sqlx::postgres::PgConnection;

use super::connect::rows;
use super::publications::published;
use super::quote::literal;
use super::slots;
use crate::model::error::Result;
use crate::targets::decisions::postgres::{CATALOGS, REFERRING};

/// Asks for `oid` and `dependent`, of the tables whose oids stand for `$OIDS`. `$ORDINARY`: what indexes the job itself makes.
pub(super) async fn query(connection: &mut PgConnection) -> Result<String> {
    let unknown = unknown(connection).await?;
    Ok(DEPENDENTS
        .replace("$PUBLISHED", &published(connection).await?)
        .replace("$DECODED", slots::DECODED)
        .replace("$UNKNOWN", &unknown))
}

/// Questions for what a newer server has and this job does not know. A column of a catalog tells nothing of note where it says of a
/// table what it says of a catalog, which nobody gives anything.
async fn unknown(connection: &mut PgConnection) -> Result<String> {
    let mut parts = String::new();
    for (catalog, columns) in CATALOGS {
        let known: Vec<String> = columns.iter().map(|(name, _)| literal(name)).collect();
        let query = format!(
            "SELECT attname::text AS name FROM pg_attribute WHERE attrelid = {}::regclass AND attnum > 0 AND NOT attisdropped \
             AND attname NOT IN ({})",
            literal(catalog),
            known.join(", ")
        );
        for row in rows(connection, &query).await? {
            parts.push_str(&of_column(catalog, &row.text("name")?));
        }
    }
    let known: Vec<String> = REFERRING.iter().map(|(name, _)| literal(name)).collect();
    let query = REFERENCES.replace("$KNOWN", &known.join(", "));
    for row in rows(connection, &query).await? {
        parts.push_str(&of_catalog(&row.text("catalog")?, &row.text("columns")?, row.text("may_read")? == "yes"));
    }
    Ok(parts)
}

/// Where a column of a catalog that is not known says something of a table.
fn of_column(catalog: &str, column: &str) -> String {
    let owner = match catalog {
        "pg_class" => "oid",
        "pg_attribute" => "attrelid",
        "pg_index" => "indrelid",
        _ => "conrelid",
    };
    let (value, dependent) =
        (literal(column), literal(&format!("{catalog}.{column}, which this version of the job does not know")));
    format!(
        "
  UNION ALL
  SELECT DISTINCT x.{owner}::int8, {dependent}
  FROM {catalog} AS x WHERE x.{owner} IN ($OIDS) AND to_jsonb(x) -> {value} NOT IN (
    SELECT to_jsonb(p) -> {value} FROM {catalog} AS p WHERE p.{owner} IN ('pg_am'::regclass, 'pg_statistic'::regclass))"
    )
}

/// Where a catalog that is not known has rows of a table. One that cannot be read may have some of any.
fn of_catalog(catalog: &str, column: &str, may_read: bool) -> String {
    let dependent = literal(&format!("{catalog}, which this version of the job does not know"));
    let condition = if may_read {
        format!("EXISTS (SELECT FROM {catalog} AS x WHERE c.oid = ANY (ARRAY[x.{column}]::oid[]))")
    } else {
        "true".to_owned()
    };
    format!(
        "
  UNION ALL
  SELECT c.oid::int8, {dependent} FROM pg_class AS c WHERE c.oid IN ($OIDS) AND {condition}"
    )
}

/// The columns by which catalogs refer to relations.
const REFERENCES: &str = "\
SELECT DISTINCT f.fktable::text AS catalog, quote_ident(f.fkcols[1]) AS columns,
       CASE WHEN has_table_privilege(f.fktable, 'SELECT') THEN 'yes' ELSE 'no' END AS may_read
FROM pg_get_catalog_foreign_keys() AS f JOIN pg_class AS c ON c.oid = f.fktable
WHERE f.pktable = 'pg_class'::regclass AND c.relname NOT IN ($KNOWN) ORDER BY 1, 2";

/// What no rename could carry. Ordinary indexes, foreign keys and identity sequences of the table itself may be made anew: that is
/// for the plan to say. What else a table has of its own is preserved; see [`crate::targets::decisions`].
const DEPENDENTS: &str = "\
SELECT r.ev_class_oid AS oid, r.dependent FROM (
  SELECT DISTINCT d.refobjid::int8 AS ev_class_oid,
         CASE v.relkind WHEN 'm' THEN 'materialized view ' WHEN 'v' THEN 'view ' ELSE 'a rule of ' END || v.oid::regclass::text AS dependent
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
  SELECT p.oid::int8, p.slot FROM ($DECODED) AS p WHERE p.oid IN ($OIDS)
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
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN ($OIDS)
        AND (d.deptype = 'n' OR d.classid NOT IN ('pg_type'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass))
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
  UNION ALL
  SELECT c.oid::int8, 'its type ' || c.reloftype::regtype::text FROM pg_class AS c WHERE c.reloftype <> 0 AND c.oid IN ($OIDS)
  UNION ALL
  SELECT c.oid::int8, 'UNLOGGED' FROM pg_class AS c WHERE c.relpersistence = 'u' AND c.oid IN ($OIDS)
  UNION ALL
  SELECT c.oid::int8, 'FORCE ROW LEVEL SECURITY'
  FROM pg_class AS c WHERE c.relforcerowsecurity AND NOT c.relrowsecurity AND c.oid IN ($OIDS)
  UNION ALL
  SELECT c.oid::int8, 'tablespace ' || quote_ident(t.spcname) || ', in which this login may make no table'
  FROM pg_class AS c JOIN pg_tablespace AS t ON t.oid = c.reltablespace
  WHERE c.oid IN ($OIDS) AND NOT has_tablespace_privilege(t.oid, 'CREATE')
  UNION ALL
  SELECT d.refobjid::int8, 'sequence ' || s.oid::regclass::text || ' of column ' || quote_ident(a.attname)
  FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN ($OIDS) AND d.deptype = 'a'
        AND NOT a.atthasdef
  UNION ALL
  SELECT d.refobjid::int8, 'the bounds of sequence ' || s.oid::regclass::text
  FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid JOIN pg_sequence AS q ON q.seqrelid = s.oid
  CROSS JOIN LATERAL (SELECT CASE q.seqtypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                             ELSE 9223372036854775807 END AS highest) AS h
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN ($OIDS) AND d.deptype = 'i'
        AND NOT (q.seqincrement > 0 AND (q.seqmin, q.seqmax) = (1, h.highest))
        AND NOT (q.seqincrement < 0 AND q.seqmin = -h.highest - 1 AND q.seqmax IN (-1, h.highest))
  UNION ALL
  SELECT l.objoid::int8, 'security label of ' || coalesce('column ' || quote_ident(a.attname), 'the table') || ' (' || l.provider || ')'
  FROM pg_seclabel AS l LEFT JOIN pg_attribute AS a ON a.attrelid = l.objoid AND a.attnum = l.objsubid AND l.objsubid <> 0
  WHERE l.classoid = 'pg_class'::regclass AND l.objoid IN ($OIDS)
  UNION ALL
  SELECT d.objid::int8, 'extension ' || quote_ident(e.extname) || ', which it belongs to'
  FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.objid IN ($OIDS) AND d.deptype IN ('e', 'x')
  UNION ALL
  SELECT r.srrelid::int8, 'subscription ' || quote_ident(b.subname)
  FROM pg_subscription_rel AS r JOIN pg_subscription AS b ON b.oid = r.srsubid WHERE r.srrelid IN ($OIDS)
  UNION ALL
  SELECT k.conrelid::int8, p.said || ' of constraint ' || quote_ident(k.conname)
  FROM pg_constraint AS k CROSS JOIN LATERAL (VALUES
    (k.condeferrable, 'DEFERRABLE'), (k.confmatchtype = 'f', 'MATCH FULL'), (k.confmatchtype = 'p', 'MATCH PARTIAL'),
    (to_jsonb(k) -> 'confdelsetcols' <> 'null', 'the columns of ON DELETE SET'),
    (NOT (to_jsonb(k) ->> 'conenforced')::boolean, 'NOT ENFORCED'), ((to_jsonb(k) ->> 'conperiod')::boolean, 'PERIOD')) AS p (has, said)
  WHERE k.conrelid IN ($OIDS) AND k.contype IN ('p', 'u', 'f') AND p.has
  UNION ALL
  SELECT x.indrelid::int8, p.said || ' of index ' || quote_ident(c.relname)
  FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid CROSS JOIN LATERAL (VALUES
    ((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, 'NULLS NOT DISTINCT'),
    (c.reltablespace <> coalesce((SELECT t.oid FROM pg_tablespace AS t JOIN pg_database AS b ON b.datname = current_database()
       WHERE t.spcname = current_setting('default_tablespace') AND t.oid <> b.dattablespace), 0), 'the tablespace')) AS p (has, said)
  WHERE x.indrelid IN ($OIDS) AND p.has
$UNKNOWN) AS r ORDER BY 1, 2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_newer_server_has_is_asked_for() {
        let asked = of_column("pg_attribute", "attfuture");
        assert!(asked.contains("x.attrelid IN ($OIDS) AND to_jsonb(x) -> E'attfuture' NOT IN"), "{asked}");
        assert!(asked.contains("pg_attribute.attfuture, which this version of the job does not know"), "{asked}");
        assert!(of_catalog("pg_future", "furelid", true).contains("EXISTS (SELECT FROM pg_future"));
        assert!(of_catalog("pg_future", "furelid", false).ends_with("c.oid IN ($OIDS) AND true"));
    }
}
