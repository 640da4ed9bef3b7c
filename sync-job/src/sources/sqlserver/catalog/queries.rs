//! The catalog queries.
//!
//! The server shows a login only what it owns or holds some permission on ("Metadata visibility configuration"). Rows of the
//! object itself (`sys.columns`, `sys.indexes`, `sys.foreign_keys`) come with any permission on the table; rows that they refer
//! to (`sys.types`, the referenced table) do not. So nothing is joined by an inner join: a row that is not shown takes away
//! what it would have told, never the column, index or key.

/// Tables and views. `sys.schemas` is shown to everybody, but not every server lists all schemas there.
pub const TABLES: &str = "\
SELECT o.object_id, o.schema_id, COALESCE(s.name, SCHEMA_NAME(o.schema_id)) AS schema_name, o.name AS table_name,
       o.type AS object_type
FROM sys.objects AS o
LEFT JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0
ORDER BY s.name, o.name";

/// The rows of the system's own types are shown to everybody: permissions do not apply to them ("GRANT Type Permissions").
pub const COLUMNS: &str = "\
SELECT c.object_id, c.column_id, c.name AS column_name, c.user_type_id, ut.name AS type_name,
       COALESCE(ts.name, SCHEMA_NAME(ut.schema_id)) AS type_schema, bt.name AS base_name,
       ut.is_user_defined, ut.is_assembly_type,
       CAST(c.max_length AS int) AS max_length, CAST(c.precision AS int) AS precision, CAST(c.scale AS int) AS scale,
       c.is_nullable, c.collation_name, CAST(COLLATIONPROPERTY(c.collation_name, 'CodePage') AS int) AS code_page,
       c.is_identity, c.is_computed, c.default_object_id
FROM sys.columns AS c
LEFT JOIN sys.types AS ut ON ut.user_type_id = c.user_type_id
LEFT JOIN sys.schemas AS ts ON ts.schema_id = ut.schema_id
LEFT JOIN sys.types AS bt ON bt.user_type_id = c.system_type_id
WHERE c.object_id IN (SELECT o.object_id FROM sys.objects AS o WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0)
ORDER BY c.object_id, c.column_id";

/// A column_id of 0 stands for a row's identifier in a heap ("sys.index_columns"), which is no column.
pub const INDEXES: &str = "\
SELECT i.object_id, i.index_id, i.name AS index_name, i.type_desc, i.is_unique, i.is_primary_key,
       i.is_unique_constraint, i.has_filter, i.filter_definition, i.is_disabled, ic.column_id, c.name AS column_name,
       CAST(ic.key_ordinal AS int) AS key_ordinal, ic.is_descending_key, ic.is_included_column
FROM sys.indexes AS i
LEFT JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id AND ic.column_id <> 0
LEFT JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
WHERE i.name IS NOT NULL AND i.is_hypothetical = 0
ORDER BY i.object_id, i.index_id, ic.key_ordinal, ic.index_column_id";

/// The table that a key refers to may be one that the login does not see.
pub const FOREIGN_KEYS: &str = "\
SELECT f.parent_object_id AS object_id, f.object_id AS key_id, f.name AS key_name, f.referenced_object_id,
       fc.parent_column_id, c.name AS column_name, rc.name AS referenced_column,
       f.delete_referential_action_desc, f.update_referential_action_desc, f.is_disabled, f.is_not_trusted
FROM sys.foreign_keys AS f
LEFT JOIN sys.foreign_key_columns AS fc ON fc.constraint_object_id = f.object_id
LEFT JOIN sys.columns AS c ON c.object_id = fc.parent_object_id AND c.column_id = fc.parent_column_id
LEFT JOIN sys.columns AS rc ON rc.object_id = fc.referenced_object_id AND rc.column_id = fc.referenced_column_id
ORDER BY f.parent_object_id, f.name, f.object_id, fc.constraint_column_id";

/// As [`COLUMNS`], [`INDEXES`] and [`FOREIGN_KEYS`], asked without any join: what those must not lack.
pub const LISTED_COLUMNS: &str = "\
SELECT object_id, column_id AS part_id, name AS part_name FROM sys.columns";

pub const LISTED_INDEXES: &str = "\
SELECT object_id, index_id AS part_id, name AS part_name FROM sys.indexes WHERE name IS NOT NULL AND is_hypothetical = 0";

pub const LISTED_INDEX_COLUMNS: &str = "\
SELECT object_id, index_id AS part_id, COUNT(*) AS number FROM sys.index_columns WHERE column_id <> 0
GROUP BY object_id, index_id";

pub const LISTED_FOREIGN_KEYS: &str = "\
SELECT parent_object_id AS object_id, object_id AS part_id, name AS part_name FROM sys.foreign_keys";

pub const LISTED_FOREIGN_KEY_COLUMNS: &str = "\
SELECT parent_object_id AS object_id, constraint_object_id AS part_id, COUNT(*) AS number
FROM sys.foreign_key_columns GROUP BY parent_object_id, constraint_object_id";

/// A seed is a sql_variant of its column's own type, and a decimal's may be beyond bigint: cast to that, one such row would
/// fail with error 8115 and take all tables' seeds with it. Every type of an identity fits into decimal(38,0).
pub const IDENTITIES: &str = "\
SELECT i.object_id, i.column_id, TRY_CAST(i.seed_value AS decimal(38, 0)) AS seed_value,
       TRY_CAST(i.increment_value AS decimal(38, 0)) AS increment_value
FROM sys.identity_columns AS i";

pub const SIZES: &str = "\
SELECT p.object_id, CAST(SUM(CASE WHEN p.index_id IN (0, 1) THEN p.row_count ELSE 0 END) AS bigint) AS row_count,
       CAST(SUM(CASE WHEN p.index_id IN (0, 1) THEN p.used_page_count ELSE 0 END) AS bigint) * 8192 AS bytes
FROM sys.dm_db_partition_stats AS p
GROUP BY p.object_id";

/// For logins without VIEW DATABASE STATE: rows, but no bytes.
pub const ROW_COUNTS: &str = "\
SELECT p.object_id, CAST(SUM(p.rows) AS bigint) AS row_count, CAST(NULL AS bigint) AS bytes
FROM sys.partitions AS p
WHERE p.index_id IN (0, 1)
GROUP BY p.object_id";

/// Since SQL Server 2022, and on Azure SQL, UNMASK may be granted by column, table and schema ("Dynamic data masking"); older
/// servers know it for the database alone and answer NULL to the others. The function takes its first argument for a name of
/// several parts, so that a database's name is quoted, too.
pub const MASKED: &str = "\
SELECT c.object_id, c.column_id,
       HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name), 'OBJECT', 'UNMASK', c.name, 'COLUMN') AS of_column,
       HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name), 'OBJECT', 'UNMASK') AS of_table,
       HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), 'DATABASE', 'UNMASK') AS of_database
FROM sys.masked_columns AS c
LEFT JOIN sys.objects AS o ON o.object_id = c.object_id
LEFT JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE c.is_masked = 1";

pub const ENCRYPTED: &str = "\
SELECT c.object_id, c.column_id FROM sys.columns AS c WHERE c.encryption_type IS NOT NULL";

pub const HIDDEN: &str = "\
SELECT c.object_id, c.column_id FROM sys.columns AS c WHERE c.is_hidden = 1";

/// Of a graph's node and edge tables the columns that SQL Server lets nobody read (error 13908): the identifier, and those of both ends
/// with their tables. Beside each is a computed one that everybody reads ("SQL Graph architecture"; `GraphType` of SMO names the numbers).
pub const GRAPH: &str = "\
SELECT c.object_id, c.column_id FROM sys.columns AS c WHERE c.graph_type IN (1, 3, 4, 6, 7)";

pub const TEMPORAL: &str = "\
SELECT t.object_id, t.temporal_type_desc FROM sys.tables AS t WHERE t.temporal_type <> 0";

/// A policy that is not shown beside its predicate may be enabled.
pub const ROW_LEVEL_SECURITY: &str = "\
SELECT p.target_object_id AS object_id
FROM sys.security_predicates AS p
LEFT JOIN sys.security_policies AS y ON y.object_id = p.object_id
WHERE p.predicate_type = 0 AND (y.is_enabled = 1 OR y.is_enabled IS NULL)";

pub const MEMORY_OPTIMIZED: &str = "\
SELECT t.object_id FROM sys.tables AS t WHERE t.is_memory_optimized = 1";

/// A login that may read some of the columns is told by the server which it lacks.
pub const UNREADABLE: &str = "\
SELECT o.object_id
FROM sys.objects AS o
LEFT JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0
  AND HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name), 'OBJECT', 'SELECT') = 0
  AND NOT EXISTS (SELECT c.name FROM sys.columns AS c WHERE c.object_id = o.object_id
                  AND HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name), 'OBJECT', 'SELECT', c.name, 'COLUMN') = 1)";
