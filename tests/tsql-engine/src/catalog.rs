//! The `sys.*` views, made from what the database holds.

use crate::storage::{Database, Index, Row, Table};
use crate::types::{SYSTEM_TYPES, catalog_lengths, collation_of};
use crate::value::{Collation, Len, SqlType, Value};

/// What views beyond the database show.
#[derive(Debug, Clone, Default)]
pub struct ServerView {
    /// Name, snapshot isolation allowed, source database's name.
    pub databases: Vec<(String, bool, Option<String>)>,
    pub sessions: Vec<SessionRow>,
}

/// A row of `sys.dm_exec_sessions`.
#[derive(Debug, Clone)]
pub struct SessionRow {
    pub id: i32,
    pub program: String,
    pub host: String,
    pub login: String,
    pub isolation: i32,
    pub deadlock_priority: i32,
    pub lock_timeout: i32,
    pub text_size: i32,
}

/// A view's columns and rows.
pub struct View {
    pub columns: Vec<(String, SqlType)>,
    pub rows: Vec<Row>,
}

fn text(text: &str) -> Value<'static> {
    Value::nvarchar(text)
}

fn optional(value: Option<&str>) -> Value<'static> {
    value.map_or(Value::Null, text)
}

fn name_type() -> SqlType {
    SqlType::NVarChar { len: Len::N(128), collation: Collation("Latin1_General_CI_AS_KS_WS".to_owned()) }
}

fn view_of(columns: &[(&str, SqlType)], rows: Vec<Vec<Value<'static>>>) -> View {
    View {
        columns: columns.iter().map(|(name, kind)| ((*name).to_owned(), kind.clone())).collect(),
        rows: rows.into_iter().map(Into::into).collect(),
    }
}

/// The view of this name, or `None`.
pub fn view(name: &str, database: &Database, server: &ServerView) -> Option<View> {
    Some(match name.to_lowercase().as_str() {
        "databases" => databases(database, server),
        "schemas" => schemas(database),
        "objects" => objects(database),
        "tables" => tables(database),
        "views" => views(database),
        "columns" => columns(database),
        "types" => types(database),
        "indexes" => indexes(database),
        "index_columns" => index_columns(database),
        "foreign_keys" => foreign_keys(database),
        "foreign_key_columns" => foreign_key_columns(database),
        "identity_columns" => identity_columns(database),
        "default_constraints" => default_constraints(database),
        "masked_columns" => masked_columns(database),
        "dm_db_partition_stats" => partition_stats(database),
        "partitions" => partitions(database),
        "database_files" => view_of(
            &[("name", name_type()), ("type_desc", name_type()), ("physical_name", name_type())],
            vec![vec![text(&database.name), text("ROWS"), text(&format!("/data/{}.mdf", database.name))]],
        ),
        "security_predicates" => view_of(
            &[("object_id", SqlType::Int), ("target_object_id", SqlType::Int), ("predicate_type", SqlType::Int)],
            Vec::new(),
        ),
        "security_policies" => view_of(&[("object_id", SqlType::Int), ("is_enabled", SqlType::Bit)], Vec::new()),
        "dm_exec_sessions" => sessions(server),
        _ => return None,
    })
}

fn databases(database: &Database, server: &ServerView) -> View {
    let id = |name: &str| server.databases.iter().position(|(found, ..)| found == name).map_or(0, |at| at as i32 + 1);
    let rows = server
        .databases
        .iter()
        .map(|(name, snapshot, source)| {
            vec![
                text(name),
                Value::Int(id(name)),
                Value::TinyInt(u8::from(*snapshot)),
                Value::Bit(false),
                source.as_ref().map_or(Value::Null, |source| Value::Int(id(source))),
                Value::Bit(source.is_some()),
                Value::TinyInt(160),
                text(&database.collation.0),
            ]
        })
        .collect();
    view_of(
        &[
            ("name", name_type()),
            ("database_id", SqlType::Int),
            ("snapshot_isolation_state", SqlType::TinyInt),
            ("is_read_committed_snapshot_on", SqlType::Bit),
            ("source_database_id", SqlType::Int),
            ("is_read_only", SqlType::Bit),
            ("compatibility_level", SqlType::TinyInt),
            ("collation_name", name_type()),
        ],
        rows,
    )
}

fn schemas(database: &Database) -> View {
    let rows = database.schemas.iter().zip(1..).map(|(name, id)| vec![text(name), Value::Int(id)]).collect();
    view_of(&[("name", name_type()), ("schema_id", SqlType::Int)], rows)
}

fn objects(database: &Database) -> View {
    let row = |name: &str, id: i32, schema: &str, kind: &str| {
        let kind_text = Value::VarChar(format!("{kind:<2}").into_bytes().into());
        vec![text(name), Value::Int(id), Value::Int(database.schema_id(schema)), kind_text, Value::Bit(false)]
    };
    let tables = database.tables.values().map(|table| row(&table.name, table.id, &table.schema, "U"));
    let views = database.views.values().map(|view| row(&view.name, view.id, &view.schema, "V"));
    view_of(
        &[
            ("name", name_type()),
            ("object_id", SqlType::Int),
            ("schema_id", SqlType::Int),
            ("type", SqlType::Char { len: 2, collation: Collation::default() }),
            ("is_ms_shipped", SqlType::Bit),
        ],
        tables.chain(views).collect(),
    )
}

fn tables(database: &Database) -> View {
    let rows = database
        .tables
        .values()
        .map(|table| {
            let schema = Value::Int(database.schema_id(&table.schema));
            vec![
                text(&table.name),
                Value::Int(table.id),
                schema,
                Value::TinyInt(0),
                text("NON_TEMPORAL_TABLE"),
                Value::Bit(false),
            ]
        })
        .collect();
    view_of(
        &[
            ("name", name_type()),
            ("object_id", SqlType::Int),
            ("schema_id", SqlType::Int),
            ("temporal_type", SqlType::TinyInt),
            ("temporal_type_desc", name_type()),
            ("is_memory_optimized", SqlType::Bit),
        ],
        rows,
    )
}

fn views(database: &Database) -> View {
    let rows = database
        .views
        .values()
        .map(|view| vec![text(&view.name), Value::Int(view.id), Value::Int(database.schema_id(&view.schema))])
        .collect();
    view_of(&[("name", name_type()), ("object_id", SqlType::Int), ("schema_id", SqlType::Int)], rows)
}

fn system_id(name: &str) -> i32 {
    let id = SYSTEM_TYPES.iter().find(|(found, _)| *found == name).map_or(0, |(_, id)| *id);
    match id {
        128..=130 => 240,
        256 => 231,
        id => id,
    }
}

fn user_id(database: &Database, table_column: &crate::storage::TableColumn) -> i32 {
    if let Some((_, alias)) = &table_column.declared.alias
        && let Some(position) = database.types.keys().position(|name| *name == alias.to_lowercase())
    {
        return 257 + position as i32;
    }
    SYSTEM_TYPES.iter().find(|(found, _)| *found == table_column.declared.name).map_or(0, |(_, id)| *id)
}

fn columns(database: &Database) -> View {
    let mut rows = Vec::new();
    for table in database.tables.values() {
        for (column, id) in table.columns.iter().zip(1..) {
            let (length, precision, scale) = catalog_lengths(&column.declared, column.vector_dimensions);
            rows.push(vec![
                Value::Int(table.id),
                text(&column.name),
                Value::Int(id),
                Value::TinyInt(system_id(&column.declared.name) as u8),
                Value::Int(user_id(database, column)),
                Value::SmallInt(length),
                Value::TinyInt(precision),
                Value::TinyInt(scale),
                optional(if column.declared.name == "xml" {
                    None
                } else {
                    collation_of(&column.declared.sql_type).map(|c| c.0.as_str())
                }),
                Value::Bit(column.nullable),
                Value::Bit(column.identity.is_some()),
                Value::Bit(column.computed.is_some()),
                Value::Bit(column.hidden),
                Value::Bit(column.masked),
                if column.encrypted { Value::Int(1) } else { Value::Null },
            ]);
        }
    }
    for view in database.views.values() {
        rows.extend(view_columns(database, view));
    }
    view_of(
        &[
            ("object_id", SqlType::Int),
            ("name", name_type()),
            ("column_id", SqlType::Int),
            ("system_type_id", SqlType::TinyInt),
            ("user_type_id", SqlType::Int),
            ("max_length", SqlType::SmallInt),
            ("precision", SqlType::TinyInt),
            ("scale", SqlType::TinyInt),
            ("collation_name", name_type()),
            ("is_nullable", SqlType::Bit),
            ("is_identity", SqlType::Bit),
            ("is_computed", SqlType::Bit),
            ("is_hidden", SqlType::Bit),
            ("is_masked", SqlType::Bit),
            ("encryption_type", SqlType::Int),
        ],
        rows,
    )
}

/// A view's columns have the types of its query.
fn view_columns(database: &Database, view: &crate::storage::View) -> Vec<Vec<Value<'static>>> {
    let server = ServerView::default();
    let engine =
        crate::select::Engine { database, session: &crate::session::NoSession, server: &server, may_unmask: true };
    let Ok(found) = engine.columns_of(&view.query) else { return Vec::new() };
    found
        .iter()
        .zip(1..)
        .map(|(column, id)| {
            let name = type_name(&column.sql_type);
            let declared =
                crate::types::Declared { sql_type: column.sql_type.clone(), name: name.clone(), alias: None };
            let (length, precision, scale) = catalog_lengths(&declared, None);
            let user = SYSTEM_TYPES.iter().find(|(found, _)| *found == name).map_or(0, |(_, id)| *id);
            vec![
                Value::Int(view.id),
                text(&column.name),
                Value::Int(id),
                Value::TinyInt(system_id(&name) as u8),
                Value::Int(user),
                Value::SmallInt(length),
                Value::TinyInt(precision),
                Value::TinyInt(scale),
                optional(collation_of(&column.sql_type).map(|collation| collation.0.as_str())),
                Value::Bit(column.nullable),
                Value::Bit(false),
                Value::Bit(false),
                Value::Bit(false),
                Value::Bit(false),
                Value::Null,
            ]
        })
        .collect()
}

/// The catalog's name of a type.
pub fn type_name(kind: &SqlType) -> String {
    match kind {
        SqlType::Bit => "bit",
        SqlType::TinyInt => "tinyint",
        SqlType::SmallInt => "smallint",
        SqlType::Int => "int",
        SqlType::BigInt => "bigint",
        SqlType::Real => "real",
        SqlType::Float => "float",
        SqlType::Decimal { .. } => "decimal",
        SqlType::Numeric { .. } => "numeric",
        SqlType::Money => "money",
        SqlType::SmallMoney => "smallmoney",
        SqlType::Date => "date",
        SqlType::Time { .. } => "time",
        SqlType::DateTime => "datetime",
        SqlType::SmallDateTime => "smalldatetime",
        SqlType::DateTime2 { .. } => "datetime2",
        SqlType::DateTimeOffset { .. } => "datetimeoffset",
        SqlType::Char { .. } => "char",
        SqlType::VarChar { .. } => "varchar",
        SqlType::NChar { .. } => "nchar",
        SqlType::NVarChar { .. } => "nvarchar",
        SqlType::Text { .. } => "text",
        SqlType::NText { .. } => "ntext",
        SqlType::Binary { .. } => "binary",
        SqlType::VarBinary { .. } => "varbinary",
        SqlType::Image => "image",
        SqlType::UniqueIdentifier => "uniqueidentifier",
        SqlType::Xml => "xml",
        SqlType::RowVersion => "timestamp",
        SqlType::SqlVariant => "sql_variant",
        SqlType::Udt { name } => name,
    }
    .to_owned()
}

fn types(database: &Database) -> View {
    let mut rows: Vec<Vec<Value<'static>>> = SYSTEM_TYPES
        .iter()
        .map(|(name, id)| {
            let assembly = (128..=130).contains(id);
            vec![
                text(name),
                Value::TinyInt(system_id(name) as u8),
                Value::Int(*id),
                Value::Int(database.schema_id("sys")),
                Value::Bit(false),
                Value::Bit(assembly),
            ]
        })
        .collect();
    for (position, (schema, name, base, _)) in database.types.values().enumerate() {
        rows.push(vec![
            text(name),
            Value::TinyInt(system_id(&base.name) as u8),
            Value::Int(257 + position as i32),
            Value::Int(database.schema_id(schema)),
            Value::Bit(true),
            Value::Bit(false),
        ]);
    }
    view_of(
        &[
            ("name", name_type()),
            ("system_type_id", SqlType::TinyInt),
            ("user_type_id", SqlType::Int),
            ("schema_id", SqlType::Int),
            ("is_user_defined", SqlType::Bit),
            ("is_assembly_type", SqlType::Bit),
        ],
        rows,
    )
}

fn each_index(database: &Database) -> impl Iterator<Item = (&Table, &Index)> {
    database.tables.values().flat_map(|table| table.indexes.iter().map(move |index| (table, index)))
}

fn indexes(database: &Database) -> View {
    let rows = each_index(database)
        .map(|(table, index)| {
            vec![
                Value::Int(table.id),
                text(&index.name),
                Value::Int(index.id),
                text(&index.structure),
                Value::Bit(index.unique),
                Value::Bit(index.primary_key),
                Value::Bit(index.constraint && !index.primary_key),
                Value::Bit(index.filter.is_some()),
                optional(index.filter.as_deref()),
                Value::Bit(false),
                Value::Bit(false),
            ]
        })
        .collect();
    view_of(
        &[
            ("object_id", SqlType::Int),
            ("name", name_type()),
            ("index_id", SqlType::Int),
            ("type_desc", name_type()),
            ("is_unique", SqlType::Bit),
            ("is_primary_key", SqlType::Bit),
            ("is_unique_constraint", SqlType::Bit),
            ("has_filter", SqlType::Bit),
            ("filter_definition", name_type()),
            ("is_disabled", SqlType::Bit),
            ("is_hypothetical", SqlType::Bit),
        ],
        rows,
    )
}

fn index_columns(database: &Database) -> View {
    let mut rows = Vec::new();
    for (table, index) in each_index(database) {
        let columnstore = index.structure.contains("COLUMNSTORE");
        for (number, (column, descending)) in index.columns.iter().enumerate() {
            let ordinal = if columnstore { 0 } else { number as u8 + 1 };
            rows.push((table.id, index.id, *column, number, ordinal, *descending, false));
        }
        for (number, column) in index.included.iter().enumerate() {
            rows.push((table.id, index.id, *column, index.columns.len() + number, 0, false, true));
        }
    }
    let rows = rows
        .into_iter()
        .map(|(table, index, column, number, ordinal, descending, included)| {
            vec![
                Value::Int(table),
                Value::Int(index),
                Value::Int(number as i32 + 1),
                Value::Int(column as i32 + 1),
                Value::TinyInt(ordinal),
                Value::Bit(descending),
                Value::Bit(included),
            ]
        })
        .collect();
    view_of(
        &[
            ("object_id", SqlType::Int),
            ("index_id", SqlType::Int),
            ("index_column_id", SqlType::Int),
            ("column_id", SqlType::Int),
            ("key_ordinal", SqlType::TinyInt),
            ("is_descending_key", SqlType::Bit),
            ("is_included_column", SqlType::Bit),
        ],
        rows,
    )
}

/// A foreign key's own id: constraints are objects, numbered apart from tables.
fn key_id(table: &Table, number: usize) -> i32 {
    1_000_000 + table.id * 100 + number as i32
}

fn foreign_keys(database: &Database) -> View {
    let mut rows = Vec::new();
    for table in database.tables.values() {
        for (number, key) in table.foreign_keys.iter().enumerate() {
            let referenced = database.tables.get(&key.referenced).map_or(0, |table| table.id);
            rows.push(vec![
                text(&key.name),
                Value::Int(key_id(table, number)),
                Value::Int(table.id),
                Value::Int(referenced),
                text(&key.on_delete),
                text(&key.on_update),
                Value::Bit(false),
                Value::Bit(false),
            ]);
        }
    }
    view_of(
        &[
            ("name", name_type()),
            ("object_id", SqlType::Int),
            ("parent_object_id", SqlType::Int),
            ("referenced_object_id", SqlType::Int),
            ("delete_referential_action_desc", name_type()),
            ("update_referential_action_desc", name_type()),
            ("is_disabled", SqlType::Bit),
            ("is_not_trusted", SqlType::Bit),
        ],
        rows,
    )
}

fn foreign_key_columns(database: &Database) -> View {
    let mut rows = Vec::new();
    for table in database.tables.values() {
        for (number, key) in table.foreign_keys.iter().enumerate() {
            let Some(referenced) = database.tables.get(&key.referenced) else { continue };
            for (position, (column, name)) in key.columns.iter().zip(&key.referenced_columns).enumerate() {
                let other = referenced.position(name).map_or(0, |at| at as i32 + 1);
                rows.push(vec![
                    Value::Int(key_id(table, number)),
                    Value::Int(position as i32 + 1),
                    Value::Int(table.id),
                    Value::Int(*column as i32 + 1),
                    Value::Int(referenced.id),
                    Value::Int(other),
                ]);
            }
        }
    }
    let columns = [
        "constraint_object_id",
        "constraint_column_id",
        "parent_object_id",
        "parent_column_id",
        "referenced_object_id",
        "referenced_column_id",
    ];
    view_of(&columns.map(|name| (name, SqlType::Int)), rows)
}

fn identity_columns(database: &Database) -> View {
    let mut rows = Vec::new();
    for table in database.tables.values() {
        for (column, id) in table.columns.iter().zip(1..) {
            if let Some((seed, increment)) = column.identity {
                rows.push(vec![
                    Value::Int(table.id),
                    text(&column.name),
                    Value::Int(id),
                    Value::BigInt(seed),
                    Value::BigInt(increment),
                ]);
            }
        }
    }
    view_of(
        &[
            ("object_id", SqlType::Int),
            ("name", name_type()),
            ("column_id", SqlType::Int),
            ("seed_value", SqlType::BigInt),
            ("increment_value", SqlType::BigInt),
        ],
        rows,
    )
}

fn default_constraints(database: &Database) -> View {
    let mut rows = Vec::new();
    for table in database.tables.values() {
        for (column, id) in table.columns.iter().zip(1..) {
            if let Some((_, definition)) = &column.default {
                let name = format!("DF_{}_{}", table.name, column.name);
                rows.push(vec![text(&name), Value::Int(table.id), Value::Int(id), text(definition)]);
            }
        }
    }
    view_of(
        &[
            ("name", name_type()),
            ("parent_object_id", SqlType::Int),
            ("parent_column_id", SqlType::Int),
            ("definition", name_type()),
        ],
        rows,
    )
}

fn masked_columns(database: &Database) -> View {
    let mut rows = Vec::new();
    for table in database.tables.values() {
        for column in table.columns.iter().filter(|column| column.masked) {
            rows.push(vec![Value::Int(table.id), text(&column.name), Value::Bit(true)]);
        }
    }
    view_of(&[("object_id", SqlType::Int), ("name", name_type()), ("is_masked", SqlType::Bit)], rows)
}

/// Pages of 8 KiB, guessed from a sample of rows.
fn pages(table: &Table) -> i64 {
    let sample: usize = table.rows.iter().take(100).map(|row| row.iter().map(size).sum::<usize>()).sum();
    let each = sample / table.rows.len().clamp(1, 100);
    ((each * table.rows.len()).div_ceil(8192)) as i64
}

fn size(value: &Value<'static>) -> usize {
    match value {
        Value::VarChar(bytes) | Value::NVarChar(bytes) | Value::Binary(bytes) => bytes.len() + 2,
        Value::Decimal { .. } => 9,
        _ => 8,
    }
}

fn partition_stats(database: &Database) -> View {
    let rows = database
        .tables
        .values()
        .map(|table| {
            vec![
                Value::Int(table.id),
                Value::Int(1),
                Value::BigInt(table.rows.len() as i64),
                Value::BigInt(pages(table)),
            ]
        })
        .collect();
    view_of(
        &[
            ("object_id", SqlType::Int),
            ("index_id", SqlType::Int),
            ("row_count", SqlType::BigInt),
            ("used_page_count", SqlType::BigInt),
        ],
        rows,
    )
}

fn partitions(database: &Database) -> View {
    let rows = database
        .tables
        .values()
        .map(|table| vec![Value::Int(table.id), Value::Int(1), Value::BigInt(table.rows.len() as i64)])
        .collect();
    view_of(&[("object_id", SqlType::Int), ("index_id", SqlType::Int), ("rows", SqlType::BigInt)], rows)
}

fn sessions(server: &ServerView) -> View {
    let rows = server
        .sessions
        .iter()
        .map(|session| {
            vec![
                Value::SmallInt(session.id as i16),
                text(&session.program),
                text(&session.host),
                text(&session.login),
                Value::SmallInt(session.isolation as i16),
                Value::Int(session.deadlock_priority),
                Value::Int(session.lock_timeout),
                Value::Int(session.text_size),
            ]
        })
        .collect();
    view_of(
        &[
            ("session_id", SqlType::SmallInt),
            ("program_name", name_type()),
            ("host_name", name_type()),
            ("login_name", name_type()),
            ("transaction_isolation_level", SqlType::SmallInt),
            ("deadlock_priority", SqlType::Int),
            ("lock_timeout", SqlType::Int),
            ("text_size", SqlType::Int),
        ],
        rows,
    )
}

/// What a login without UNMASK sees: `default()`.
pub fn mask(kind: &SqlType) -> Value<'static> {
    let from = SqlType::VarChar { len: Len::N(8), collation: Collation::default() };
    match kind {
        SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::NChar { .. } | SqlType::NVarChar { .. } => {
            crate::convert::convert(Value::VarChar(b"xxxx".to_vec().into()), &from, kind, None).unwrap_or(Value::Null)
        }
        _ => crate::convert::convert(Value::Int(0), &SqlType::Int, kind, None).unwrap_or(Value::Null),
    }
}
