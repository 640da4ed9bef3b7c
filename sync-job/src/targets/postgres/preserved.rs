//! What people gave a table of their own, for the new one that takes its name: [`crate::targets::decisions`] calls it preserved.
//!
//! How values are stored, and how they are sampled, must be there before the rows come; the rest follows in the swap's transaction.

use sqlx::postgres::PgConnection;

use super::connect::{change, rows};
use super::quote::{literal, qualified};
use super::row::Answer;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::TableName;
use crate::targets::MARK;

/// Access method and tablespace for `CREATE TABLE`, those of the table that is there. A login's `default_tablespace` and
/// `default_table_access_method` would choose others.
pub(super) async fn storage(connection: &mut PgConnection, table: &TableName) -> Result<String> {
    let found = rows(connection, &STORAGE.replace("$OLD", &literal(&qualified(table)))).await?;
    Ok(statements(&found)?.into_iter().next().unwrap_or_default())
}

/// What concerns the rows that are to come.
pub(super) async fn before_load(connection: &mut PgConnection, table: &TableName, staging: &TableName) -> Result<()> {
    carry_over(connection, BEFORE_LOAD, table, staging).await
}

/// Everything, once more what came before the rows: somebody may have changed it meanwhile. Under the swap's locks nobody does.
pub(super) async fn at_swap(connection: &mut PgConnection, table: &TableName, staging: &TableName) -> Result<()> {
    before_load(connection, table, staging).await?;
    carry_over(connection, AT_SWAP, table, staging).await?;
    let query =
        SAME_STORAGE.replace("$OLD", &literal(&qualified(table))).replace("$NEW", &literal(&qualified(staging)));
    if rows(connection, &query).await?.is_empty() {
        let message = format!("{table} got another tablespace or access method since the plan was made");
        return Err(Error::new(Side::Target, Kind::Conflict, message));
    }
    Ok(())
}

async fn carry_over(connection: &mut PgConnection, query: &str, table: &TableName, staging: &TableName) -> Result<()> {
    let query = query
        .replace("$OLD", &literal(&qualified(table)))
        .replace("$NEW", &literal(&qualified(staging)))
        .replace("$MARK", &literal(MARK));
    for statement in statements(&rows(connection, &query).await?)? {
        change(connection, &statement).await?;
    }
    Ok(())
}

fn statements(rows: &[Answer]) -> Result<Vec<String>> {
    rows.iter().map(|row| row.value("statement")).collect()
}

const STORAGE: &str = "\
SELECT format(' USING %I TABLESPACE %I', a.amname, t.spcname) AS statement
FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam JOIN pg_database AS b ON b.datname = current_database()
JOIN pg_tablespace AS t ON t.oid = CASE c.reltablespace WHEN 0 THEN b.dattablespace ELSE c.reltablespace END
WHERE c.oid = to_regclass($OLD)";

const SAME_STORAGE: &str = "\
SELECT 1 FROM pg_class AS o, pg_class AS n
WHERE o.oid = $OLD::regclass AND n.oid = $NEW::regclass AND o.relam = n.relam AND o.reltablespace = n.reltablespace";

/// A column's storage and compression mean nothing where its type is another one of fixed length.
const BEFORE_LOAD: &str = "\
WITH old AS (SELECT c.*, $NEW::text AS new FROM pg_class AS c WHERE c.oid = $OLD::regclass),
columns AS (
  SELECT old.new, o.attname, o.attstattarget, o.attoptions, o.attstorage, o.attcompression, p.typstorage AS usual, y.typstorage AS possible
  FROM old JOIN pg_attribute AS o ON o.attrelid = old.oid AND o.attnum > 0 AND NOT o.attisdropped
  JOIN pg_attribute AS n ON n.attrelid = old.new::regclass AND n.attname = o.attname AND NOT n.attisdropped
  JOIN pg_type AS p ON p.oid = o.atttypid JOIN pg_type AS y ON y.oid = n.atttypid
)
SELECT s.statement FROM (
  SELECT 1 AS rank, format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', new, attname, attstattarget) AS statement
  FROM columns WHERE attstattarget >= 0
  UNION ALL
  SELECT 1, format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', new, attname, (SELECT string_agg(format('%I = %L', w.option_name, w.option_value), ', ')
                   FROM pg_options_to_table(attoptions) AS w)) FROM columns WHERE attoptions IS NOT NULL
  UNION ALL
  SELECT 1, format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE %s', new, attname,
                   CASE attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END)
  FROM columns WHERE attstorage <> usual AND possible <> 'p'
  UNION ALL
  SELECT 1, format('ALTER TABLE %s ALTER COLUMN %I SET COMPRESSION %s', new, attname, CASE attcompression WHEN 'l' THEN 'lz4' ELSE 'pglz' END)
  FROM columns WHERE attcompression IN ('l', 'p') AND possible <> 'p'
  UNION ALL
  SELECT 2, format('ALTER TABLE %s SET (%s = %L)', old.new, w.option_name, w.option_value)
  FROM old CROSS JOIN LATERAL pg_options_to_table(old.reloptions) AS w WHERE w.option_name <> 'autovacuum_enabled'
  UNION ALL
  SELECT 2, format('ALTER TABLE %s SET (toast.%s = %L)', old.new, w.option_name, w.option_value)
  FROM old JOIN pg_class AS t ON t.oid = old.reltoastrelid CROSS JOIN LATERAL pg_options_to_table(t.reloptions) AS w
) AS s ORDER BY s.rank";

/// Statements that make the new table like the old one, in the order in which they must run: grants are given by the owner,
/// so the owner comes last. What default privileges gave the new table is taken back first. Materialized, since `pg_get_indexdef` locks
/// the index's table, which must be none of anybody else's.
const AT_SWAP: &str = "\
WITH old AS (SELECT c.*, $NEW::text AS new FROM pg_class AS c WHERE c.oid = $OLD::regclass),
grants AS (
  SELECT old.new, a.privilege_type, a.is_grantable, NULL::text AS column_name,
         CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee, a.grantee AS oid, old.relowner
  FROM old, aclexplode(old.relacl) AS a
  UNION ALL
  SELECT old.new, a.privilege_type, a.is_grantable, quote_ident(t.attname),
         CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, a.grantee, old.relowner
  FROM old JOIN pg_attribute AS t ON t.attrelid = old.oid AND NOT t.attisdropped AND t.attacl IS NOT NULL
  CROSS JOIN LATERAL aclexplode(t.attacl) AS a
  WHERE EXISTS (SELECT FROM pg_attribute AS n WHERE n.attrelid = old.new::regclass AND n.attname = t.attname AND NOT n.attisdropped)
),
old_indexes AS MATERIALIZED (
  SELECT x.*, array(SELECT pg_get_indexdef(x.indexrelid, k, false) FROM generate_series(1, x.indnkeyatts) AS k) AS keys
  FROM old JOIN pg_index AS x ON x.indrelid = old.oid
),
new_indexes AS MATERIALIZED (
  SELECT x.*, old.new AS relation, array(SELECT pg_get_indexdef(x.indexrelid, k, false) FROM generate_series(1, x.indnkeyatts) AS k) AS keys
  FROM old JOIN pg_index AS x ON x.indrelid = old.new::regclass
),
pairs AS (
  SELECT DISTINCT ON (o.indexrelid) o.indexrelid AS old, n.indexrelid::regclass::text AS new, n.relation, o.indisclustered, o.indisreplident
  FROM old_indexes AS o JOIN new_indexes AS n ON n.keys = o.keys AND n.indisunique >= o.indisunique
  ORDER BY o.indexrelid, n.indisprimary = o.indisprimary DESC, n.indisunique = o.indisunique DESC, n.indexrelid
),
sequences AS (
  SELECT old.new AS relation, t.attname, t.attidentity, s.seqcache, s.seqcycle, s.seqrelid, pg_get_serial_sequence(old.new, t.attname) AS new
  FROM old JOIN pg_attribute AS t ON t.attrelid = old.oid AND t.attidentity <> '' AND NOT t.attisdropped
  JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid = old.oid AND d.refobjsubid = t.attnum AND d.deptype = 'i'
  JOIN pg_sequence AS s ON s.seqrelid = d.objid
  WHERE EXISTS (SELECT FROM pg_attribute AS n WHERE n.attrelid = old.new::regclass AND n.attname = t.attname AND n.attidentity <> '')
)
SELECT s.statement FROM (
  SELECT 1 AS rank, format('COMMENT ON TABLE %s IS %s', old.new, coalesce(quote_literal(obj_description(old.oid, 'pg_class')), 'NULL')) AS statement
  FROM old
  UNION ALL
  SELECT 2, format('COMMENT ON COLUMN %s.%I IS %L', old.new, t.attname, col_description(old.oid, t.attnum))
  FROM old JOIN pg_attribute AS t ON t.attrelid = old.oid AND t.attnum > 0 AND NOT t.attisdropped
  WHERE col_description(old.oid, t.attnum) IS NOT NULL
        AND EXISTS (SELECT FROM pg_attribute AS n WHERE n.attrelid = old.new::regclass AND n.attname = t.attname AND NOT n.attisdropped)
  UNION ALL
  SELECT 3, format('ALTER TABLE %s RESET (autovacuum_enabled)', old.new) FROM old
  UNION ALL
  SELECT 4, format('ALTER TABLE %s SET (%s = %L)', old.new, w.option_name, w.option_value)
  FROM old CROSS JOIN LATERAL pg_options_to_table(old.reloptions) AS w
  UNION ALL
  SELECT 5, format('ALTER TABLE %s REPLICA IDENTITY %s', old.new, CASE old.relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END)
  FROM old WHERE old.relreplident IN ('f', 'n')
  UNION ALL
  SELECT 5, format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', p.relation, c.relname)
  FROM pairs AS p JOIN pg_class AS c ON c.oid = p.new::regclass WHERE p.indisreplident
  UNION ALL
  SELECT 5, format('ALTER TABLE %s CLUSTER ON %I', p.relation, c.relname)
  FROM pairs AS p JOIN pg_class AS c ON c.oid = p.new::regclass WHERE p.indisclustered
  UNION ALL
  SELECT 5, format('ALTER INDEX %s SET (%s = %L)', p.new, w.option_name, w.option_value)
  FROM pairs AS p JOIN pg_class AS c ON c.oid = p.old CROSS JOIN LATERAL pg_options_to_table(c.reloptions) AS w
  UNION ALL
  SELECT 5, format('COMMENT ON INDEX %s IS %L', p.new, obj_description(p.old, 'pg_class'))
  FROM pairs AS p WHERE NOT starts_with(obj_description(p.old, 'pg_class'), $MARK)
  UNION ALL
  SELECT 5, format('COMMENT ON CONSTRAINT %I ON %s IS %L', n.conname, p.relation, obj_description(o.oid, 'pg_constraint'))
  FROM pairs AS p JOIN pg_constraint AS o ON o.conindid = p.old AND o.contype IN ('p', 'u')
  JOIN pg_constraint AS n ON n.conindid = p.new::regclass AND n.contype IN ('p', 'u')
  WHERE obj_description(o.oid, 'pg_constraint') IS NOT NULL
  UNION ALL
  SELECT 5, format('ALTER TABLE %s ALTER COLUMN %I SET GENERATED ALWAYS', q.relation, q.attname) FROM sequences AS q WHERE q.attidentity = 'a'
  UNION ALL
  SELECT 5, format('ALTER TABLE %s ALTER COLUMN %I SET CACHE %s SET %s', q.relation, q.attname, q.seqcache,
                   CASE WHEN q.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END) FROM sequences AS q WHERE q.seqcache <> 1 OR q.seqcycle
  UNION ALL
  SELECT 5, format('COMMENT ON SEQUENCE %s IS %L', q.new, obj_description(q.seqrelid, 'pg_class'))
  FROM sequences AS q WHERE obj_description(q.seqrelid, 'pg_class') IS NOT NULL
  UNION ALL
  SELECT 6, format('REVOKE ALL ON TABLE %s FROM %s', old.new, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
  FROM old JOIN pg_class AS n ON n.oid = old.new::regclass CROSS JOIN LATERAL aclexplode(n.relacl) AS a
  WHERE a.grantee <> n.relowner
  UNION ALL
  SELECT 7, format('GRANT %s%s ON TABLE %s TO %s%s', privilege_type, coalesce(' (' || column_name || ')', ''), new, grantee,
                   CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM grants WHERE oid <> relowner
  UNION ALL
  SELECT 7, format('GRANT %s ON SEQUENCE %s TO %s%s', a.privilege_type, pg_get_serial_sequence(old.new, t.attname),
                   CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                   CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM old JOIN pg_attribute AS t ON t.attrelid = old.oid AND t.attidentity <> '' AND NOT t.attisdropped
  JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid = old.oid AND d.refobjsubid = t.attnum AND d.deptype = 'i'
  JOIN pg_class AS q ON q.oid = d.objid AND q.relkind = 'S' CROSS JOIN LATERAL aclexplode(q.relacl) AS a
  WHERE a.grantee <> q.relowner
        AND EXISTS (SELECT FROM pg_attribute AS n WHERE n.attrelid = old.new::regclass AND n.attname = t.attname AND n.attidentity <> '')
  UNION ALL
  SELECT 8, format('ALTER TABLE %s OWNER TO %I', old.new, pg_get_userbyid(old.relowner)) FROM old
  WHERE old.relowner <> (SELECT n.relowner FROM pg_class AS n WHERE n.oid = old.new::regclass)
) AS s ORDER BY s.rank";
