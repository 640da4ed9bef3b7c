//! The source's catalog, from `sys.*` views that every SQL Server since 2012, Azure SQL and Babelfish have.
//!
//! Types are told by name: the numbers differ between products. What only newer versions have, or what may be forbidden, is
//! asked for in statements of its own, and its absence is reported, not fatal.

use std::collections::HashMap;
use std::time::Duration;

use tiberius::Row;

use super::connect::{Connection, rows};
use super::types::{TypeFacts, declared, source_type};
use crate::error::{Error, Kind, Result};
use crate::retry::worth_retrying;
use crate::schema::{
    Identity, IndexColumn, IndexKind, SourceColumn, SourceForeignKey, SourceIndex, SourceKind, SourceTable, TableName,
};
use crate::source::Catalog;

const COLUMNS: &str = "\
SELECT s.name AS schema_name, o.name AS table_name, o.type AS object_type, c.name AS column_name,
       ut.name AS type_name, ts.name AS type_schema, bt.name AS base_name, ut.is_user_defined, ut.is_assembly_type,
       CAST(c.max_length AS int) AS max_length, CAST(c.precision AS int) AS precision, CAST(c.scale AS int) AS scale,
       c.is_nullable, c.collation_name, CAST(COLLATIONPROPERTY(c.collation_name, 'CodePage') AS int) AS code_page,
       c.is_identity, c.is_computed
FROM sys.columns AS c
JOIN sys.objects AS o ON o.object_id = c.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.types AS ut ON ut.user_type_id = c.user_type_id
JOIN sys.schemas AS ts ON ts.schema_id = ut.schema_id
LEFT JOIN sys.types AS bt ON bt.user_type_id = c.system_type_id
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0
ORDER BY s.name, o.name, c.column_id";

const INDEXES: &str = "\
SELECT s.name AS schema_name, o.name AS table_name, i.name AS index_name, i.type_desc, i.is_unique, i.is_primary_key,
       i.is_unique_constraint, i.has_filter, i.filter_definition, i.is_disabled, c.name AS column_name,
       CAST(ic.key_ordinal AS int) AS key_ordinal, ic.is_descending_key, ic.is_included_column
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 AND i.name IS NOT NULL AND i.is_hypothetical = 0
ORDER BY s.name, o.name, i.index_id, ic.key_ordinal, ic.index_column_id";

const FOREIGN_KEYS: &str = "\
SELECT s.name AS schema_name, o.name AS table_name, f.name AS key_name, c.name AS column_name,
       rs.name AS referenced_schema, ro.name AS referenced_table, rc.name AS referenced_column,
       f.delete_referential_action_desc, f.update_referential_action_desc, f.is_disabled, f.is_not_trusted
FROM sys.foreign_keys AS f
JOIN sys.objects AS o ON o.object_id = f.parent_object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.objects AS ro ON ro.object_id = f.referenced_object_id
JOIN sys.schemas AS rs ON rs.schema_id = ro.schema_id
JOIN sys.foreign_key_columns AS fc ON fc.constraint_object_id = f.object_id
JOIN sys.columns AS c ON c.object_id = fc.parent_object_id AND c.column_id = fc.parent_column_id
JOIN sys.columns AS rc ON rc.object_id = fc.referenced_object_id AND rc.column_id = fc.referenced_column_id
ORDER BY s.name, o.name, f.name, fc.constraint_column_id";

const IDENTITIES: &str = "\
SELECT s.name AS schema_name, o.name AS table_name, i.name AS column_name,
       CAST(i.seed_value AS bigint) AS seed_value, CAST(i.increment_value AS bigint) AS increment_value
FROM sys.identity_columns AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id";

const DEFAULTS: &str = "\
SELECT s.name AS schema_name, o.name AS table_name, c.name AS column_name, d.definition
FROM sys.default_constraints AS d
JOIN sys.objects AS o ON o.object_id = d.parent_object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = d.parent_object_id AND c.column_id = d.parent_column_id";

const SIZES: &str = "\
SELECT s.name AS schema_name, o.name AS table_name,
       CAST(SUM(CASE WHEN p.index_id IN (0, 1) THEN p.row_count ELSE 0 END) AS bigint) AS row_count,
       CAST(SUM(CASE WHEN p.index_id IN (0, 1) THEN p.used_page_count ELSE 0 END) AS bigint) * 8192 AS bytes
FROM sys.dm_db_partition_stats AS p
JOIN sys.objects AS o ON o.object_id = p.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type = 'U'
GROUP BY s.name, o.name";

/// For logins without VIEW DATABASE STATE: rows, but no bytes.
const ROW_COUNTS: &str = "\
SELECT s.name AS schema_name, o.name AS table_name, CAST(SUM(p.rows) AS bigint) AS row_count, CAST(NULL AS bigint) AS bytes
FROM sys.partitions AS p
JOIN sys.objects AS o ON o.object_id = p.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type = 'U' AND p.index_id IN (0, 1)
GROUP BY s.name, o.name";

const MASKED: &str = "\
SELECT s.name AS schema_name, o.name AS table_name, c.name AS column_name
FROM sys.masked_columns AS c
JOIN sys.objects AS o ON o.object_id = c.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE c.is_masked = 1 AND HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'UNMASK') = 0";

const ENCRYPTED: &str = "\
SELECT s.name AS schema_name, o.name AS table_name, c.name AS column_name
FROM sys.columns AS c
JOIN sys.objects AS o ON o.object_id = c.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE c.encryption_type IS NOT NULL";

const HIDDEN: &str = "\
SELECT s.name AS schema_name, o.name AS table_name, c.name AS column_name
FROM sys.columns AS c
JOIN sys.objects AS o ON o.object_id = c.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE c.is_hidden = 1";

const TEMPORAL: &str = "\
SELECT s.name AS schema_name, t.name AS table_name, t.temporal_type_desc
FROM sys.tables AS t
JOIN sys.schemas AS s ON s.schema_id = t.schema_id
WHERE t.temporal_type <> 0";

const ROW_LEVEL_SECURITY: &str = "\
SELECT s.name AS schema_name, o.name AS table_name
FROM sys.security_predicates AS p
JOIN sys.security_policies AS y ON y.object_id = p.object_id
JOIN sys.objects AS o ON o.object_id = p.target_object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE y.is_enabled = 1 AND p.predicate_type = 0";

const MEMORY_OPTIMIZED: &str = "\
SELECT s.name AS schema_name, t.name AS table_name
FROM sys.tables AS t
JOIN sys.schemas AS s ON s.schema_id = t.schema_id
WHERE t.is_memory_optimized = 1";

/// A login that may read some of the columns is told by the server which it lacks.
const UNREADABLE: &str = "\
SELECT s.name AS schema_name, o.name AS table_name
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0
  AND HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name), 'OBJECT', 'SELECT') = 0
  AND NOT EXISTS (SELECT c.name FROM sys.columns AS c WHERE c.object_id = o.object_id
                  AND HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(o.name), 'OBJECT', 'SELECT', c.name, 'COLUMN') = 1)";

/// A row's values by column name.
pub(super) struct Fields<'a>(pub &'a Row);

impl Fields<'_> {
    pub fn text(&self, name: &str) -> String {
        self.optional_text(name).unwrap_or_default()
    }

    pub fn optional_text(&self, name: &str) -> Option<String> {
        self.0.try_get::<&str, _>(name).ok().flatten().map(|text| text.trim_end().to_owned())
    }

    pub fn int(&self, name: &str) -> Option<i32> {
        self.0.try_get::<i32, _>(name).ok().flatten()
    }

    pub fn long(&self, name: &str) -> Option<i64> {
        self.0.try_get::<i64, _>(name).ok().flatten()
    }

    pub fn flag(&self, name: &str) -> bool {
        self.0.try_get::<bool, _>(name).ok().flatten().unwrap_or(false)
    }

    fn table(&self) -> TableName {
        TableName::new(self.text("schema_name"), self.text("table_name"))
    }
}

/// One of the queries, with an error that says what was looked for instead of how.
async fn part(connection: &mut Connection, what: &str, sql: &str, patience: Duration) -> Result<Vec<Row>> {
    rows(connection, sql, patience).await.map_err(|error| {
        let message = format!("the {what} could not be read from the source's catalog");
        let cause = error.source.map_or_else(|| error.message.to_string(), |cause| cause.to_string());
        Error::new(error.side, error.kind, message).with_source(cause)
    })
}

/// Reads the whole catalog over one connection.
pub async fn read(connection: &mut Connection, patience: Duration) -> Result<Catalog> {
    let mut catalog = Catalog::default();
    for row in part(connection, "columns", COLUMNS, patience).await? {
        let fields = Fields(&row);
        let name = fields.table();
        if catalog.tables.last().is_none_or(|table| table.name != name) {
            catalog.tables.push(new_table(name, &fields));
        }
        if let Some(table) = catalog.tables.last_mut() {
            table.columns.push(new_column(&fields));
        }
    }
    let places: HashMap<TableName, usize> =
        catalog.tables.iter().enumerate().map(|(index, table)| (table.name.clone(), index)).collect();
    for row in part(connection, "indexes", INDEXES, patience).await? {
        let fields = Fields(&row);
        if let Some(&place) = places.get(&fields.table()) {
            add_index_column(&mut catalog.tables[place].indexes, &fields);
        }
    }
    for row in part(connection, "foreign keys", FOREIGN_KEYS, patience).await? {
        let fields = Fields(&row);
        if let Some(&place) = places.get(&fields.table()) {
            add_foreign_key_column(&mut catalog.tables[place].foreign_keys, &fields);
        }
    }
    read_optional(connection, patience, &places, &mut catalog).await?;
    Ok(catalog)
}

/// One of the facts whose absence must not stop a run: an older version lacks the view, or the login may not see it. What
/// only failed to come now must not pass for an absence: masked columns would be copied as they look.
async fn optional(
    connection: &mut Connection,
    what: &str,
    sql: &str,
    patience: Duration,
    missing: &mut Vec<String>,
) -> Result<Option<Vec<Row>>> {
    match rows(connection, sql, patience).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if worth_retrying(error.kind) => Err(error),
        Err(error) => {
            missing.push(format!("{what}: {}", error.chain()));
            Ok(None)
        }
    }
}

/// The facts that [`optional`] reads.
async fn read_optional(
    connection: &mut Connection,
    patience: Duration,
    places: &HashMap<TableName, usize>,
    catalog: &mut Catalog,
) -> Result<()> {
    type Apply = fn(&mut SourceTable, &Fields<'_>);
    let facts: [(&str, &str, Apply); 8] = [
        ("identity seeds", IDENTITIES, |table, fields| {
            let identity = Identity {
                seed: i128::from(fields.long("seed_value").unwrap_or(1)),
                increment: i128::from(fields.long("increment_value").unwrap_or(1)),
            };
            with_column(table, fields, |column| column.identity = Some(identity));
        }),
        ("column defaults", DEFAULTS, |table, fields| {
            let definition = fields.optional_text("definition");
            with_column(table, fields, |column| column.default = definition);
        }),
        ("masked columns", MASKED, |table, fields| with_column(table, fields, |column| column.masked = true)),
        ("encrypted columns", ENCRYPTED, |table, fields| with_column(table, fields, |column| column.encrypted = true)),
        ("hidden columns", HIDDEN, |table, fields| with_column(table, fields, |column| column.hidden = true)),
        ("temporal tables", TEMPORAL, |table, fields| table.temporal = fields.optional_text("temporal_type_desc")),
        ("row-level security", ROW_LEVEL_SECURITY, |table, _| table.row_level_security = true),
        ("memory-optimized tables", MEMORY_OPTIMIZED, |table, _| table.memory_optimized = true),
    ];
    for (what, sql, apply) in facts {
        if let Some(found) = optional(connection, what, sql, patience, &mut catalog.missing).await? {
            apply_all(catalog, places, &found, apply);
        }
    }
    let mut sizes = optional(connection, "table sizes", SIZES, patience, &mut catalog.missing).await?;
    if sizes.is_none() {
        sizes = optional(connection, "row counts", ROW_COUNTS, patience, &mut catalog.missing).await?;
    }
    if let Some(found) = sizes {
        apply_all(catalog, places, &found, |table, fields| {
            table.rows = fields.long("row_count").and_then(|rows| u64::try_from(rows).ok());
            table.bytes = fields.long("bytes").and_then(|bytes| u64::try_from(bytes).ok());
        });
    }
    read_permissions(connection, patience, catalog).await
}

/// The last, since it may take too long: the server looks at each column of what the login may not read.
async fn read_permissions(connection: &mut Connection, patience: Duration, catalog: &mut Catalog) -> Result<()> {
    match optional(connection, "permissions", UNREADABLE, patience, &mut catalog.missing).await {
        Ok(found) => catalog.unreadable = found.iter().flatten().map(|row| Fields(row).table()).collect(),
        Err(error) if error.kind == Kind::Stalled => catalog.missing.push(format!("permissions: {}", error.chain())),
        Err(error) => return Err(error),
    }
    Ok(())
}

fn apply_all(
    catalog: &mut Catalog,
    places: &HashMap<TableName, usize>,
    found: &[Row],
    apply: impl Fn(&mut SourceTable, &Fields<'_>),
) {
    for row in found {
        let fields = Fields(row);
        if let Some(&place) = places.get(&fields.table()) {
            apply(&mut catalog.tables[place], &fields);
        }
    }
}

fn with_column(table: &mut SourceTable, fields: &Fields<'_>, change: impl FnOnce(&mut SourceColumn)) {
    let name = fields.text("column_name");
    if let Some(column) = table.columns.iter_mut().find(|column| column.name == name) {
        change(column);
    }
}

fn new_table(name: TableName, fields: &Fields<'_>) -> SourceTable {
    let kind = if fields.text("object_type") == "V" { SourceKind::View } else { SourceKind::Table };
    SourceTable {
        name,
        kind,
        columns: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        rows: None,
        bytes: None,
        temporal: None,
        row_level_security: false,
        memory_optimized: false,
    }
}

fn new_column(fields: &Fields<'_>) -> SourceColumn {
    let facts = TypeFacts {
        name: fields.text("type_name"),
        schema: fields.text("type_schema"),
        base: fields.optional_text("base_name"),
        user_defined: fields.flag("is_user_defined"),
        assembly: fields.flag("is_assembly_type"),
        max_length: fields.int("max_length").unwrap_or(0),
        precision: fields.int("precision").unwrap_or(0),
        scale: fields.int("scale").unwrap_or(0),
        collation: fields.optional_text("collation_name"),
        code_page: fields.int("code_page"),
    };
    SourceColumn {
        name: fields.text("column_name"),
        source_type: source_type(&facts),
        declared: declared(&facts),
        nullable: fields.flag("is_nullable"),
        collation: facts.collation,
        // The seed follows with the optional facts; an identity column is one without them, too.
        identity: fields.flag("is_identity").then_some(Identity { seed: 1, increment: 1 }),
        computed: fields.flag("is_computed"),
        hidden: false,
        masked: false,
        encrypted: false,
        default: None,
    }
}

fn add_index_column(indexes: &mut Vec<SourceIndex>, fields: &Fields<'_>) {
    let name = fields.text("index_name");
    if indexes.last().is_none_or(|index| index.name != name) {
        let kind = if fields.flag("is_primary_key") {
            IndexKind::PrimaryKey
        } else if fields.flag("is_unique_constraint") {
            IndexKind::UniqueConstraint
        } else if fields.flag("is_unique") {
            IndexKind::Unique
        } else {
            IndexKind::Plain
        };
        indexes.push(SourceIndex {
            name,
            kind,
            structure: fields.text("type_desc"),
            columns: Vec::new(),
            included: Vec::new(),
            filter: if fields.flag("has_filter") { fields.optional_text("filter_definition") } else { None },
            disabled: fields.flag("is_disabled"),
        });
    }
    let Some(index) = indexes.last_mut() else { return };
    let column = fields.text("column_name");
    if fields.flag("is_included_column") {
        index.included.push(column);
    } else if fields.int("key_ordinal").unwrap_or(0) > 0 || !index.is_plain_tree() {
        index.columns.push(IndexColumn { name: column, descending: fields.flag("is_descending_key") });
    }
}

fn add_foreign_key_column(keys: &mut Vec<SourceForeignKey>, fields: &Fields<'_>) {
    let name = fields.text("key_name");
    if keys.last().is_none_or(|key| key.name != name) {
        keys.push(SourceForeignKey {
            name,
            columns: Vec::new(),
            referenced: TableName::new(fields.text("referenced_schema"), fields.text("referenced_table")),
            referenced_columns: Vec::new(),
            on_delete: fields.text("delete_referential_action_desc"),
            on_update: fields.text("update_referential_action_desc"),
            untrusted: fields.flag("is_disabled") || fields.flag("is_not_trusted"),
        });
    }
    if let Some(key) = keys.last_mut() {
        key.columns.push(fields.text("column_name"));
        key.referenced_columns.push(fields.text("referenced_column"));
    }
}
