//! The `sys` views, as SQLite queries over the catalog's tables.

use crate::bind::text_literal;
use crate::catalog::Place;
use crate::env::Env;
use crate::permissions::Visible;
use crate::types::{DEFAULT_COLLATION, SYSTEM_TYPES, catalog_size, parse_type, type_name};
use crate::value::{SqlError, SqlType};

/// A view: its query, and its columns with types and nullability.
pub struct View {
    pub sql: String,
    pub columns: Vec<(String, SqlType, bool)>,
}

/// Column lists: `name:type` parted by spaces; a letter stands for a frequent type.
fn columns(list: &str) -> Result<Vec<(String, SqlType, bool)>, SqlError> {
    list.split_whitespace()
        .map(|item| {
            let (name, kind) = item.split_once(':').unwrap_or((item, "i"));
            let text = match kind {
                "i" => "int",
                "n" => "nvarchar(128)",
                "b" => "bit",
                "t" => "tinyint",
                "s" => "smallint",
                "l" => "bigint",
                "c" => "char(2)",
                "m" => "nvarchar(max)",
                "d" => "nvarchar(60)",
                "v" => "sql_variant",
                other => other,
            };
            Ok((name.to_owned(), parse_type(text, DEFAULT_COLLATION, 1)?, true))
        })
        .collect()
}

/// `sys.types`: the system's, which everybody sees, then those of the database that this login sees.
pub fn types_sql(visible: &Visible) -> String {
    let mut rows: Vec<String> = SYSTEM_TYPES
        .iter()
        .map(|(name, system, user, length, precision, scale, text)| {
            let collation = if *text { format!("u16({})", text_literal(DEFAULT_COLLATION)) } else { "NULL".to_owned() };
            format!(
                "SELECT u16('{name}') AS name, {system} AS system_type_id, {user} AS user_type_id, 4 AS schema_id, {length} AS max_length, {precision} AS precision, {scale} AS scale, {collation} AS collation_name, {} AS is_nullable, 0 AS is_user_defined, {} AS is_assembly_type",
                u8::from(*name != "timestamp" && *name != "sysname"),
                u8::from(*system == 240)
            )
        })
        .collect();
    rows.push(format!(
        "SELECT u16(name), cat(base,collation,0), user_type_id, schema_id, cat(base,collation,1), cat(base,collation,2), cat(base,collation,3), u16(collation), nullable, 1, assembly FROM \"$types\" WHERE {}",
        visible.user_type("user_type_id")
    ));
    rows.join(" UNION ALL ")
}

/// What `cat(type, collation, n)` yields: system type id, max_length, precision, scale.
pub fn fact(text: &str, which: i64) -> Result<i64, SqlError> {
    let lower = text.to_ascii_lowercase();
    let sql_type = parse_type(text, DEFAULT_COLLATION, 1)?;
    let name = match lower.as_str() {
        "json" => "json",
        _ if lower.starts_with("vector") => "vector",
        _ => type_name(&sql_type),
    };
    let size =
        match lower.strip_prefix("vector(").and_then(|rest| rest.trim_end_matches(')').trim().parse::<i32>().ok()) {
            // Eight bytes of header, then four for each dimension.
            Some(dimensions) => (8 + 4 * dimensions, 0, 0),
            None => catalog_size(&sql_type),
        };
    Ok(i64::from(match which {
        0 => SYSTEM_TYPES.iter().find(|row| row.0 == name).map_or(0, |row| row.1),
        1 => size.0,
        2 => size.1,
        _ => size.2,
    }))
}

/// Security policies are shown to those alone who may see definitions: a condition.
fn only_definers(env: &Env<'_>) -> Result<&'static str, SqlError> {
    let may = env.granted("VIEW DEFINITION", "", None)? || env.granted("ALTER ANY SECURITY POLICY", "", None)?;
    Ok(if may { "1" } else { "0" })
}

/// A view of `sys` (or INFORMATION_SCHEMA); `None` where the simulator has none of that name.
pub fn view(env: &Env<'_>, place: &Place, schema: &str, name: &str) -> Result<Option<View>, SqlError> {
    let version = env.instance.version();
    let lower = name.to_ascii_lowercase();
    if schema.eq_ignore_ascii_case("INFORMATION_SCHEMA") || !version.has_catalog(&lower, "") {
        return Ok(None);
    }
    let object = "u16(o.name) AS name, o.object_id, o.schema_id, o.parent AS parent_object_id, pad2(o.type) AS type, 0 AS is_ms_shipped, o.created AS create_date, o.created AS modify_date";
    let object_columns =
        "name:n object_id schema_id parent_object_id type:c is_ms_shipped:b create_date:datetime modify_date:datetime";
    let visible = env.visible(&place.at)?;
    let shown = visible.part("o.object_id", "o.parent");
    let of_table = visible.object("object_id");
    let (sql, list) = match lower.as_str() {
        "schemas" => (
            format!(
                "SELECT u16(name) AS name, schema_id, 1 AS principal_id FROM \"$schemas\" WHERE {} OR name <> 'sys'",
                u8::from(!env.quirks().no_sys_schema)
            ),
            "name:n schema_id principal_id".to_owned(),
        ),
        "types" => (types_sql(&visible), "name:n system_type_id:t user_type_id schema_id max_length:s precision:t scale:t collation_name:n is_nullable:b is_user_defined:b is_assembly_type:b".to_owned()),
        "objects" | "all_objects" => (
            format!("SELECT {object}, u16(CASE o.type WHEN 'U' THEN 'USER_TABLE' WHEN 'V' THEN 'VIEW' WHEN 'PK' THEN 'PRIMARY_KEY_CONSTRAINT' WHEN 'UQ' THEN 'UNIQUE_CONSTRAINT' WHEN 'F' THEN 'FOREIGN_KEY_CONSTRAINT' WHEN 'C' THEN 'CHECK_CONSTRAINT' WHEN 'D' THEN 'DEFAULT_CONSTRAINT' ELSE 'SECURITY_POLICY' END) AS type_desc FROM \"$objects\" o WHERE {shown} AND (o.type <> 'SP' OR {})", only_definers(env)?),
            format!("{object_columns} type_desc:d"),
        ),
        "tables" => (
            format!("SELECT {object}, u16('USER_TABLE') AS type_desc, o.temporal AS temporal_type, u16(CASE o.temporal WHEN 0 THEN 'NON_TEMPORAL_TABLE' WHEN 1 THEN 'HISTORY_TABLE' ELSE 'SYSTEM_VERSIONED_TEMPORAL_TABLE' END) AS temporal_type_desc, o.memory AS is_memory_optimized, 0 AS is_external, o.history AS history_table_id, 0 AS is_filetable, EXISTS (SELECT 1 FROM \"$columns\" g WHERE g.object_id = o.object_id AND g.graph = 1) AND NOT EXISTS (SELECT 1 FROM \"$columns\" g WHERE g.object_id = o.object_id AND g.graph = 3) AS is_node, EXISTS (SELECT 1 FROM \"$columns\" g WHERE g.object_id = o.object_id AND g.graph = 3) AS is_edge, 0 AS durability FROM \"$objects\" o WHERE o.type = 'U' AND {shown}"),
            format!("{object_columns} type_desc:d temporal_type:t temporal_type_desc:d is_memory_optimized:b is_external:b history_table_id is_filetable:b is_node:b is_edge:b durability:t"),
        ),
        "views" => (
            format!("SELECT {object}, u16('VIEW') AS type_desc FROM \"$objects\" o WHERE o.type = 'V' AND {shown}"),
            format!("{object_columns} type_desc:d"),
        ),
        "sql_modules" => (
            format!(
                "SELECT object_id, {} AS definition FROM \"$objects\" WHERE type = 'V' AND {of_table}",
                visible.definition("object_id", "u16(definition)")
            ),
            "object_id definition:m".to_owned(),
        ),
        "columns" | "all_columns" => (
            format!("SELECT c.object_id, u16(c.name) AS name, c.column_id, cat(c.type,c.collation,0) AS system_type_id, c.user_type AS user_type_id, cat(c.type,c.collation,1) AS max_length, cat(c.type,c.collation,2) AS precision, cat(c.type,c.collation,3) AS scale, u16(c.collation) AS collation_name, c.nullable AS is_nullable, c.identity AS is_identity, c.computed IS NOT NULL AS is_computed, c.rowguid AS is_rowguidcol, c.masked IS NOT NULL AS is_masked, c.encryption AS encryption_type, c.generated AS generated_always_type, c.hidden AS is_hidden, c.sparse AS is_sparse, 0 AS is_column_set, 0 AS is_filestream, c.default_id AS default_object_id, 0 AS is_ansi_padded, c.graph AS graph_type FROM \"$columns\" c WHERE {}", visible.object("c.object_id")),
            "object_id name:n column_id system_type_id:t user_type_id max_length:s precision:t scale:t collation_name:n is_nullable:b is_identity:b is_computed:b is_rowguidcol:b is_masked:b encryption_type generated_always_type:t is_hidden:b is_sparse:b is_column_set:b is_filestream:b default_object_id is_ansi_padded:b graph_type".to_owned(),
        ),
        "indexes" => (
            format!("SELECT object_id, u16(name) AS name, index_id, type, u16(CASE type WHEN 0 THEN 'HEAP' WHEN 1 THEN 'CLUSTERED' WHEN 2 THEN 'NONCLUSTERED' WHEN 3 THEN 'XML' WHEN 4 THEN 'SPATIAL' WHEN 5 THEN 'CLUSTERED COLUMNSTORE' ELSE 'NONCLUSTERED COLUMNSTORE' END) AS type_desc, is_unique, is_pk AS is_primary_key, is_uc AS is_unique_constraint, filter IS NOT NULL AS has_filter, u16(filter) AS filter_definition, 0 AS is_disabled, 0 AS is_hypothetical, 0 AS ignore_dup_key, 0 AS fill_factor, 1 AS data_space_id FROM \"$indexes\" WHERE {of_table}"),
            "object_id name:n index_id type:t type_desc:d is_unique:b is_primary_key:b is_unique_constraint:b has_filter:b filter_definition:m is_disabled:b is_hypothetical:b ignore_dup_key:b fill_factor:t data_space_id".to_owned(),
        ),
        "index_columns" => (
            format!("SELECT object_id, index_id, index_column_id, column_id, key_ordinal, descending AS is_descending_key, included AS is_included_column, 0 AS partition_ordinal, 0 AS column_store_order_ordinal FROM \"$index_columns\" WHERE {of_table}"),
            "object_id index_id index_column_id column_id key_ordinal:t is_descending_key:b is_included_column:b partition_ordinal:t column_store_order_ordinal:t".to_owned(),
        ),
        "key_constraints" => (
            format!("SELECT {object}, i.index_id AS unique_index_id, 0 AS is_system_named FROM \"$objects\" o JOIN \"$indexes\" i ON i.object_id = o.parent AND i.name = o.name WHERE o.type IN ('PK','UQ') AND {shown}"),
            format!("{object_columns} unique_index_id is_system_named:b"),
        ),
        "foreign_keys" => (
            format!("SELECT {object}, f.referenced AS referenced_object_id, 1 AS key_index_id, 0 AS is_disabled, 0 AS is_not_trusted, f.on_delete AS delete_referential_action, f.on_update AS update_referential_action, u16(CASE f.on_delete WHEN 0 THEN 'NO_ACTION' WHEN 1 THEN 'CASCADE' WHEN 2 THEN 'SET_NULL' ELSE 'SET_DEFAULT' END) AS delete_referential_action_desc, u16(CASE f.on_update WHEN 0 THEN 'NO_ACTION' WHEN 1 THEN 'CASCADE' WHEN 2 THEN 'SET_NULL' ELSE 'SET_DEFAULT' END) AS update_referential_action_desc FROM \"$objects\" o JOIN \"$fks\" f USING (object_id) WHERE {shown}"),
            format!("{object_columns} referenced_object_id key_index_id is_disabled:b is_not_trusted:b delete_referential_action:t update_referential_action:t delete_referential_action_desc:d update_referential_action_desc:d"),
        ),
        "foreign_key_columns" => (
            format!("SELECT k.object_id AS constraint_object_id, k.ordinal AS constraint_column_id, f.parent AS parent_object_id, k.parent_column AS parent_column_id, f.referenced AS referenced_object_id, k.referenced_column AS referenced_column_id FROM \"$fk_columns\" k JOIN \"$fks\" f USING (object_id) WHERE {}", visible.object("f.parent")),
            "constraint_object_id constraint_column_id parent_object_id parent_column_id referenced_object_id referenced_column_id".to_owned(),
        ),
        "identity_columns" => (
            format!("SELECT object_id, u16(name) AS name, column_id, variant_whole(seed,type) AS seed_value, variant_whole(increment,type) AS increment_value, variant_whole(last_value,type) AS last_value, 0 AS is_not_for_replication FROM \"$columns\" WHERE identity AND {of_table}"),
            "object_id name:n column_id seed_value:v increment_value:v last_value:v is_not_for_replication:b".to_owned(),
        ),
        "computed_columns" => (
            format!("SELECT object_id, u16(name) AS name, column_id, {} AS definition, persisted AS is_persisted, 1 AS is_computed, nullable AS is_nullable FROM \"$columns\" WHERE computed IS NOT NULL AND {of_table}", visible.definition("object_id", "u16(computed)")),
            "object_id name:n column_id definition:m is_persisted:b is_computed:b is_nullable:b".to_owned(),
        ),
        "default_constraints" => (
            format!("SELECT {object}, o.column AS parent_column_id, {} AS definition, 0 AS is_system_named FROM \"$objects\" o WHERE o.type = 'D' AND {shown}", visible.definition("o.parent", "u16('(' || o.definition || ')')")),
            format!("{object_columns} parent_column_id definition:m is_system_named:b"),
        ),
        "check_constraints" => (
            format!("SELECT {object}, {} AS definition, coalesce(o.column,0) AS parent_column_id, 0 AS is_disabled, 0 AS is_not_trusted FROM \"$objects\" o WHERE o.type = 'C' AND {shown}", visible.definition("o.parent", "u16('(' || o.definition || ')')")),
            format!("{object_columns} definition:m parent_column_id is_disabled:b is_not_trusted:b"),
        ),
        "masked_columns" => (
            format!("SELECT object_id, u16(name) AS name, column_id, 1 AS is_masked, u16(masked) AS masking_function FROM \"$columns\" WHERE masked IS NOT NULL AND {of_table}"),
            "object_id name:n column_id is_masked:b masking_function:m".to_owned(),
        ),
        "security_policies" => (format!("SELECT {object}, 1 AS is_enabled FROM \"$objects\" o WHERE o.type = 'SP' AND {}", only_definers(env)?), format!("{object_columns} is_enabled:b")),
        "security_predicates" => (
            format!("SELECT o.object_id, 1 AS security_predicate_id, o.history AS target_object_id, u16(o.definition) AS predicate_definition, 0 AS predicate_type, u16('FILTER') AS predicate_type_desc FROM \"$objects\" o WHERE o.type = 'SP' AND {}", only_definers(env)?),
            "object_id security_predicate_id target_object_id predicate_definition:m predicate_type predicate_type_desc:d".to_owned(),
        ),
        "periods" => (
            format!("SELECT u16('SYSTEM_TIME') AS name, 1 AS period_type, u16('SYSTEM_TIME_PERIOD') AS period_type_desc, object_id, min(CASE generated WHEN 1 THEN column_id END) AS start_column_id, min(CASE generated WHEN 2 THEN column_id END) AS end_column_id FROM \"$columns\" WHERE generated IN (1,2) AND {of_table} GROUP BY object_id"),
            "name:n period_type:t period_type_desc:d object_id start_column_id end_column_id".to_owned(),
        ),
        "dm_db_partition_stats" if !env.granted("VIEW DATABASE STATE", &place.at, None)? => {
            let message = format!("VIEW DATABASE STATE permission denied in database '{}'.", env.database);
            return Err(SqlError { number: 262, state: 1, class: 14, message });
        }
        "partitions" | "dm_db_partition_stats" => (partitions(env, place)?, "partition_id:l object_id index_id partition_number rows:l row_count:l hobt_id:l data_compression:t used_page_count:l reserved_page_count:l in_row_data_page_count:l in_row_used_page_count:l lob_used_page_count:l row_overflow_used_page_count:l".to_owned()),
        "allocation_units" => (
            format!("SELECT partition_id AS allocation_unit_id, 1 AS type, u16('IN_ROW_DATA') AS type_desc, partition_id AS container_id, 1 AS data_space_id, reserved_page_count AS total_pages, used_page_count AS used_pages, in_row_data_page_count AS data_pages FROM ({})", partitions(env, place)?),
            "allocation_unit_id:l type:t type_desc:d container_id:l data_space_id total_pages:l used_pages:l data_pages:l".to_owned(),
        ),
        _ => match crate::server_views::view(env, place, name)? {
            Some(found) => found,
            None => return Ok(None),
        },
    };
    // The catalog's own tables, whose names begin with a dollar sign, are those of the database that was named.
    let sql = sql.replace("\"$", &format!("{}\"$", place.at));
    let mut columns = columns(&list)?;
    columns.retain(|(column, ..)| version.has_catalog(&lower, column));
    Ok(Some(View { sql, columns }))
}

/// Row counts of every table's heap, clustered index and other indexes, counted now.
fn partitions(env: &Env<'_>, place: &Place) -> Result<String, SqlError> {
    let at = &place.at;
    let mut statement = env.connection.prepare_cached(&format!(
        "SELECT o.object_id, s.name, o.name, o.tpch FROM {at}\"$objects\" o JOIN {at}\"$schemas\" s USING (schema_id) WHERE o.type = 'U'"
    ))?;
    let mut tables = statement.query([])?;
    let mut counts = vec!["SELECT 0 AS id, 0 AS n WHERE 0".to_owned()];
    while let Some(row) = tables.next()? {
        let (id, schema, name, tpch): (i64, String, String, Option<f64>) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        counts.push(match tpch {
            Some(scale) => format!("SELECT {id}, {}", crate::tpch::row_count(&name, scale)),
            None => {
                format!("SELECT {id}, (SELECT count(*) FROM {at}{})", crate::bind::quote(&format!("{schema}.{name}")))
            }
        });
    }
    let pages = "n / 80 + 1";
    Ok(format!(
        "SELECT 72057594000000000 + i.object_id * 256 + i.index_id AS partition_id, i.object_id, i.index_id, 1 AS partition_number, k.n AS rows, k.n AS row_count, 72057594000000000 + i.object_id * 256 + i.index_id AS hobt_id, 0 AS data_compression, {pages} AS used_page_count, {pages} AS reserved_page_count, {pages} AS in_row_data_page_count, {pages} AS in_row_used_page_count, 0 AS lob_used_page_count, 0 AS row_overflow_used_page_count FROM \"$indexes\" i JOIN ({}) k ON k.id = i.object_id",
        counts.join(" UNION ALL ")
    ))
}
