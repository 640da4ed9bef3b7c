//! What keeps a table in place: what depends on it, and what it has that no new table could get.

use sqlx::postgres::PgConnection;

use super::connect::rows;
use super::publications::published;
use super::quote::literal;
use super::row::Answer;
use super::slots;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::TableName;
use crate::plan::{Dependent, DependentKind};
use crate::targets::decisions::postgres::{CATALOGS, REFERRING};

/// Asks for `oid`, `kind` (the code of a [`DependentKind`]), `name` and `belongs_to`, of the tables whose oids stand for `$OIDS`.
/// `$ORDINARY`: what indexes the job itself makes.
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
    let (value, name) = (literal(column), literal(&format!("{catalog}.{column}")));
    format!(
        "
  UNION ALL
  SELECT DISTINCT x.{owner}::int8, 'unknown_catalog', {name}, NULL
  FROM {catalog} AS x WHERE x.{owner} IN ($OIDS) AND to_jsonb(x) -> {value} NOT IN (
    SELECT to_jsonb(p) -> {value} FROM {catalog} AS p WHERE p.{owner} IN ('pg_am'::regclass, 'pg_statistic'::regclass))"
    )
}

/// Where a catalog that is not known has rows of a table. One that cannot be read may have some of any.
fn of_catalog(catalog: &str, column: &str, may_read: bool) -> String {
    let name = literal(catalog);
    let condition = if may_read {
        format!("EXISTS (SELECT FROM {catalog} AS x WHERE c.oid = ANY (ARRAY[x.{column}]::oid[]))")
    } else {
        "true".to_owned()
    };
    format!(
        "
  UNION ALL
  SELECT c.oid::int8, 'unknown_catalog', {name}, NULL FROM pg_class AS c WHERE c.oid IN ($OIDS) AND {condition}"
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
SELECT r.oid, r.kind, coalesce(r.name, 'an object that is being dropped') AS name, r.belongs_to FROM (
  SELECT DISTINCT d.refobjid::int8 AS oid, CASE v.relkind WHEN 'm' THEN 'materialized_view' WHEN 'v' THEN 'view' ELSE 'rule' END AS kind,
         v.oid::regclass::text AS name, NULL::text AS belongs_to
  FROM pg_depend AS d JOIN pg_rewrite AS w ON w.oid = d.objid JOIN pg_class AS v ON v.oid = w.ev_class
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN ($OIDS)
  UNION ALL
  SELECT k.conrelid::int8, CASE k.contype WHEN 'c' THEN 'check_constraint' ELSE 'exclusion_constraint' END, quote_ident(k.conname), NULL
  FROM pg_constraint AS k WHERE k.contype IN ('c', 'x') AND k.conrelid IN ($OIDS)
  UNION ALL
  SELECT t.tgrelid::int8, 'trigger', quote_ident(t.tgname), NULL
  FROM pg_trigger AS t WHERE NOT t.tgisinternal AND t.tgrelid IN ($OIDS)
  UNION ALL
  SELECT p.polrelid::int8, 'policy', quote_ident(p.polname), NULL FROM pg_policy AS p WHERE p.polrelid IN ($OIDS)
  UNION ALL
  SELECT c.oid::int8, 'row_level_security', '', NULL FROM pg_class AS c WHERE c.relrowsecurity AND c.oid IN ($OIDS)
  UNION ALL
  SELECT p.oid::int8, 'publication', quote_ident(p.publication), NULL FROM ($PUBLISHED) AS p WHERE p.oid IN ($OIDS)
  UNION ALL
  SELECT p.oid::int8, 'replication_slot', p.slot, p.plugin FROM ($DECODED) AS p WHERE p.oid IN ($OIDS)
  UNION ALL
  SELECT i.inhparent::int8, 'child_table', i.inhrelid::regclass::text, NULL FROM pg_inherits AS i WHERE i.inhparent IN ($OIDS)
  UNION ALL
  SELECT i.inhrelid::int8, 'parent_table', i.inhparent::regclass::text, NULL FROM pg_inherits AS i WHERE i.inhrelid IN ($OIDS)
  UNION ALL
  SELECT s.stxrelid::int8, 'extended_statistics', quote_ident(s.stxname), NULL FROM pg_statistic_ext AS s WHERE s.stxrelid IN ($OIDS)
  UNION ALL
  SELECT a.adrelid::int8, 'column_default', quote_ident(t.attname), NULL
  FROM pg_attrdef AS a JOIN pg_attribute AS t ON t.attrelid = a.adrelid AND t.attnum = a.adnum
  WHERE a.adrelid IN ($OIDS) AND t.attidentity = ''
  UNION ALL
  SELECT a.attrelid::int8, 'column_collation', quote_ident(a.attname), NULL
  FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid
  WHERE a.attrelid IN ($OIDS) AND a.attnum > 0 AND NOT a.attisdropped AND a.attcollation <> y.typcollation
  UNION ALL
  SELECT DISTINCT d.refobjid::int8, 'function', p.oid::regprocedure::text, NULL
  FROM pg_depend AS d JOIN pg_proc AS p ON p.oid = d.objid
  WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN ($OIDS)
  UNION ALL
  SELECT DISTINCT y.typrelid::int8, 'row_type', pg_describe_object(d.classid, d.objid, d.objsubid), NULL
  FROM pg_type AS y JOIN pg_depend AS d ON d.refclassid = 'pg_type'::regclass AND d.refobjid = y.oid AND d.deptype = 'n'
  WHERE y.typrelid IN ($OIDS)
  UNION ALL
  SELECT DISTINCT d.refobjid::int8, 'object', pg_describe_object(d.classid, d.objid, d.objsubid), NULL
  FROM pg_depend AS d LEFT JOIN pg_policy AS p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
  LEFT JOIN pg_trigger AS t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN ($OIDS)
        AND (d.deptype = 'n' OR d.classid NOT IN ('pg_type'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass))
        AND coalesce(p.polrelid, t.tgrelid, 0) <> d.refobjid
        AND d.classid NOT IN ('pg_class'::regclass, 'pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_constraint'::regclass,
                              'pg_attrdef'::regclass, 'pg_statistic_ext'::regclass, 'pg_publication_rel'::regclass)
  UNION ALL
  SELECT DISTINCT o.refobjid::int8, 'sequence_use', pg_describe_object(d.classid, d.objid, d.objsubid), NULL
  FROM pg_depend AS o JOIN pg_class AS s ON s.oid = o.objid AND s.relkind = 'S'
  JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid AND d.deptype = 'n'
  LEFT JOIN pg_attrdef AS a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
  WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass AND o.refobjid IN ($OIDS)
        AND o.deptype IN ('a', 'i') AND coalesce(a.adrelid, 0) <> o.refobjid
  UNION ALL
  SELECT x.indrelid::int8, 'index', c.relname::text, NULL
  FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid JOIN pg_am AS m ON m.oid = c.relam
  WHERE x.indrelid IN ($OIDS) AND NOT ($ORDINARY)
        AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid AND k.contype = 'x')
  UNION ALL
  SELECT c.oid::int8, 'table_type', c.reloftype::regtype::text, NULL FROM pg_class AS c WHERE c.reloftype <> 0 AND c.oid IN ($OIDS)
  UNION ALL
  SELECT c.oid::int8, 'unlogged', '', NULL FROM pg_class AS c WHERE c.relpersistence = 'u' AND c.oid IN ($OIDS)
  UNION ALL
  SELECT c.oid::int8, 'forced_row_level_security', '', NULL
  FROM pg_class AS c WHERE c.relforcerowsecurity AND NOT c.relrowsecurity AND c.oid IN ($OIDS)
  UNION ALL
  SELECT c.oid::int8, 'tablespace', quote_ident(t.spcname), NULL
  FROM pg_class AS c JOIN pg_tablespace AS t ON t.oid = c.reltablespace
  WHERE c.oid IN ($OIDS) AND NOT has_tablespace_privilege(t.oid, 'CREATE')
  UNION ALL
  SELECT d.refobjid::int8, 'sequence', s.oid::regclass::text, quote_ident(a.attname)
  FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN ($OIDS) AND d.deptype = 'a'
        AND NOT a.atthasdef
  UNION ALL
  SELECT d.refobjid::int8, 'sequence_bounds', s.oid::regclass::text, NULL
  FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid JOIN pg_sequence AS q ON q.seqrelid = s.oid
  CROSS JOIN LATERAL (SELECT CASE q.seqtypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                             ELSE 9223372036854775807 END AS highest) AS h
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid IN ($OIDS) AND d.deptype = 'i'
        AND NOT (q.seqincrement > 0 AND (q.seqmin, q.seqmax) = (1, h.highest))
        AND NOT (q.seqincrement < 0 AND q.seqmin = -h.highest - 1 AND q.seqmax IN (-1, h.highest))
  UNION ALL
  SELECT l.objoid::int8, 'security_label', l.provider, quote_ident(a.attname)
  FROM pg_seclabel AS l LEFT JOIN pg_attribute AS a ON a.attrelid = l.objoid AND a.attnum = l.objsubid AND l.objsubid <> 0
  WHERE l.classoid = 'pg_class'::regclass AND l.objoid IN ($OIDS)
  UNION ALL
  SELECT d.objid::int8, 'extension', quote_ident(e.extname), NULL
  FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.objid IN ($OIDS) AND d.deptype IN ('e', 'x')
  UNION ALL
  SELECT r.srrelid::int8, 'subscription', quote_ident(b.subname), NULL
  FROM pg_subscription_rel AS r JOIN pg_subscription AS b ON b.oid = r.srsubid WHERE r.srrelid IN ($OIDS)
  UNION ALL
  SELECT k.conrelid::int8, 'constraint_option', p.said, quote_ident(k.conname)
  FROM pg_constraint AS k CROSS JOIN LATERAL (VALUES
    (k.condeferrable, 'DEFERRABLE'), (k.confmatchtype = 'f', 'MATCH FULL'), (k.confmatchtype = 'p', 'MATCH PARTIAL'),
    (to_jsonb(k) -> 'confdelsetcols' <> 'null', 'the columns of ON DELETE SET'),
    (NOT (to_jsonb(k) ->> 'conenforced')::boolean, 'NOT ENFORCED'), ((to_jsonb(k) ->> 'conperiod')::boolean, 'PERIOD')) AS p (has, said)
  WHERE k.conrelid IN ($OIDS) AND k.contype IN ('p', 'u', 'f') AND p.has
  UNION ALL
  SELECT x.indrelid::int8, 'index_option', p.said, quote_ident(c.relname)
  FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indexrelid CROSS JOIN LATERAL (VALUES
    ((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, 'NULLS NOT DISTINCT'),
    (c.reltablespace <> coalesce((SELECT t.oid FROM pg_tablespace AS t JOIN pg_database AS b ON b.datname = current_database()
       WHERE t.spcname = current_setting('default_tablespace') AND t.oid <> b.dattablespace), 0), 'the tablespace')) AS p (has, said)
  WHERE x.indrelid IN ($OIDS) AND p.has
$UNKNOWN) AS r ORDER BY 1, 2, 3, 4";

/// Foreign keys of other tables that refer to these; a staging table's goes away with it.
pub(super) const INCOMING_KEYS: &str = "\
SELECT k.confrelid::int8 AS oid, quote_ident(k.conname) AS key_name, n.nspname::text AS schema_name, c.relname::text AS table_name
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.confrelid IN ($OIDS) AND k.conrelid <> k.confrelid
      AND NOT starts_with(coalesce(obj_description(k.conrelid, 'pg_class'), ''), 'stopgap staging ')
ORDER BY 1, 3, 4, 2";

/// A row of [`query`].
pub(super) fn dependent(row: &Answer) -> Result<Dependent> {
    let code = row.text("kind")?;
    let kind = DependentKind::from_code(&code).ok_or_else(|| {
        let message = format!("the catalog's answer has a dependent of the unknown kind {code:?}");
        Error::new(Side::Target, Kind::Internal, message)
    })?;
    let dependent = Dependent::new(kind, row.text("name")?);
    let belongs_to: Option<String> = row.value("belongs_to")?;
    Ok(Dependent { of: belongs_to, ..dependent })
}

/// A row of [`INCOMING_KEYS`].
pub(super) fn incoming_key(row: &Answer) -> Result<Dependent> {
    let table = TableName::new(row.text("schema_name")?, row.text("table_name")?);
    Ok(Dependent::foreign_key_from(row.text("key_name")?, table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_newer_server_has_is_asked_for() {
        let asked = of_column("pg_attribute", "attfuture");
        assert!(asked.contains("x.attrelid IN ($OIDS) AND to_jsonb(x) -> E'attfuture' NOT IN"), "{asked}");
        assert!(asked.contains("'unknown_catalog', E'pg_attribute.attfuture', NULL"), "{asked}");
        assert!(of_catalog("pg_future", "furelid", true).contains("EXISTS (SELECT FROM pg_future"));
        assert!(of_catalog("pg_future", "furelid", false).ends_with("c.oid IN ($OIDS) AND true"));
    }

    /// What stands between quotes at the place of `kind` must be a code, or the answer could not be read.
    #[test]
    fn every_kind_in_the_query_is_known() {
        let branches = DEPENDENTS.split("UNION ALL").skip(1);
        let mut seen = 0;
        for branch in branches {
            let (_, rest) = branch.split_once("::int8, ").unwrap();
            let codes: Vec<&str> = match rest.strip_prefix("CASE k.contype") {
                Some(choice) => {
                    choice.split(" END").next().unwrap().split('\'').filter(|part| part.len() > 1).collect()
                }
                None => rest.split('\'').skip(1).take(1).collect(),
            };
            for code in codes.into_iter().filter(|code| !code.contains(' ')) {
                assert!(DependentKind::from_code(code).is_some(), "{code}: {branch}");
                seen += 1;
            }
        }
        assert!(seen > 25, "{seen}");
        for code in ["materialized_view", "view", "rule", "unknown_catalog"] {
            assert!(DependentKind::from_code(code).is_some(), "{code}");
        }
    }
}
