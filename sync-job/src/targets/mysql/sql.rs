//! The statements that are made of a plan, in MySQL's SQL.

use std::collections::HashMap;

use super::preserved::{PreservedAttributes, Text};
use super::quote::{identifier, list, literal, qualified};
use super::server::Collations;
use crate::model::logical::LogicalType;
use crate::model::schema::{IndexKind, TableName};
use crate::plan::type_map::StoredType;
use crate::plan::{ColumnPlan, ForeignKeyPlan, IndexPlan, TablePlan};
use crate::targets::MARK;
use crate::targets::encode::load_data::LoadColumn;

/// All target columns, in order.
pub fn columns(table: &TablePlan) -> String {
    list(table.columns.iter().map(|column| &column.target))
}

/// `CREATE TABLE` of a staging table. InnoDB keeps rows in the order of the primary key, so that key is there from the start:
/// adding it later would write every row again. An `AUTO_INCREMENT` column needs a key from the start, too. The limits of the plan
/// are those of the row format.
pub fn create_staging(
    table: &TablePlan,
    staging: &TableName,
    collations: &Collations,
    preserved: &PreservedAttributes,
) -> String {
    let define = |column| {
        format!("{}{}", column_definition(table, column, collations, preserved), comment(&column.target, preserved))
    };
    let mut parts: Vec<String> = table.columns.iter().map(define).collect();
    if let Some(index) = primary_key(table) {
        parts.push(format!("PRIMARY KEY ({}) {}", key_columns(index), mark()));
    }
    // Of two row formats the later one holds.
    format!(
        "CREATE TABLE {} ({}) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT = DYNAMIC {}",
        qualified(staging),
        parts.join(", "),
        preserved.options.join(" ")
    )
}

/// The planned primary key.
pub fn primary_key(table: &TablePlan) -> Option<&IndexPlan> {
    table.indexes.iter().find(|index| index.kind == IndexKind::PrimaryKey)
}

/// Whether the column counts up by itself. MySQL has one such column a table, and it must lead an index; only the primary key is
/// there from the start, so it must lead that.
pub fn counts_up(table: &TablePlan, column: &ColumnPlan) -> bool {
    let leads = |index: &IndexPlan| index.columns.first().is_some_and(|(name, _)| name == &column.target);
    column.identity.is_some_and(|identity| identity.increment > 0) && primary_key(table).is_some_and(leads)
}

/// `COMMENT '…'` behind a column's definition, if the table before had one.
fn comment(column: &str, preserved: &PreservedAttributes) -> String {
    preserved.comments.get(column).map_or_else(String::new, |comment| format!(" COMMENT {}", literal(comment)))
}

fn column_definition(
    table: &TablePlan,
    column: &ColumnPlan,
    collations: &Collations,
    preserved: &PreservedAttributes,
) -> String {
    let planned = column.mapping.target_type.as_str();
    let has_text =
        matches!(column.mapping.stored, StoredType::Text { .. } | StoredType::Char { .. } | StoredType::Uuid);
    let mut sql = match (preserved.texts.get(&column.target), &column.collation) {
        (Some(Text { characters, collation }), _) if has_text => {
            let bare = planned.split(" character set ").next().unwrap_or(planned);
            format!("{} {bare} CHARACTER SET {characters} COLLATE {collation}", identifier(&column.target))
        }
        (None, Some(source)) if has_text => {
            format!("{} {planned} COLLATE {}", identifier(&column.target), collations.closest(source))
        }
        _ => format!("{} {planned}", identifier(&column.target)),
    };
    // `explicit_defaults_for_timestamp` is of no concern: no column is of type TIMESTAMP.
    sql.push_str(if column.nullable { " NULL" } else { " NOT NULL" });
    if counts_up(table, column) {
        sql.push_str(" AUTO_INCREMENT");
    }
    sql
}

fn key_columns(index: &IndexPlan) -> String {
    index
        .columns
        .iter()
        .map(|(column, descending)| format!("{}{}", identifier(column), if *descending { " DESC" } else { "" }))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `LOAD DATA LOCAL INFILE` with its default field and line handling, all of it stated.
pub fn load(table: &TablePlan, staging: &TableName) -> String {
    format!(
        "LOAD DATA LOCAL INFILE 'stopgap' INTO TABLE {} CHARACTER SET binary \
         FIELDS TERMINATED BY '\\t' ENCLOSED BY '' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' STARTING BY '' ({})",
        qualified(staging),
        columns(table)
    )
}

/// How the encoder must write a column; see [`crate::targets::encode::load_data`].
pub fn load_column(column: &ColumnPlan) -> LoadColumn {
    LoadColumn { stored: column.mapping.stored, policy: column.policy, large: is_large(&column.mapping.target_type) }
}

/// Types whose values, or several of them joined, can exceed `max_allowed_packet`.
pub fn is_large(target_type: &str) -> bool {
    target_type.contains("text") || target_type.contains("blob")
}

/// A text that is kept in another character set.
pub fn in_utf8mb4(column: &str) -> String {
    format!("CONVERT({column} USING utf8mb4)")
}

/// The digest of all rows; see [`crate::targets::encode::load_data`]. MD5 would do, but MySQL 9.6 dropped it. `texts`: how the relation keeps
/// text.
pub fn digest(table: &TablePlan, relation: &TableName, texts: &HashMap<String, Text>) -> String {
    format!("SELECT COUNT(*), CAST(COALESCE(SUM({}), 0) AS CHAR) FROM {}", row_hash(table, texts), qualified(relation))
}

/// What a digest adds up for each row.
pub fn row_hash(table: &TablePlan, texts: &HashMap<String, Text>) -> String {
    let canonical = |column: &ColumnPlan| {
        let name = identifier(&column.target);
        let has_other_bytes = texts.get(&column.target).is_some_and(Text::has_other_bytes);
        canonical(column, if has_other_bytes { in_utf8mb4(&name) } else { name })
    };
    // Of no columns at all there is still the number of rows.
    let cells = table.columns.iter().map(canonical).collect::<Vec<_>>();
    let cells = if cells.is_empty() { "''".to_owned() } else { cells.join(", ") };
    format!("CAST(CONV(LEFT(SHA2(CONCAT_WS(',', {cells}), 256), 16), 16, 10) AS UNSIGNED)")
}

/// The cell's canonical bytes; `name`: its value. `CONCAT_WS` leaves NULL arguments out, so each cell has one argument that is never NULL.
fn canonical(column: &ColumnPlan, name: String) -> String {
    let load_column = load_column(column);
    let or_null = |expression: String| {
        if column.nullable { format!("IFNULL({expression}, '~')") } else { expression }
    };
    if load_column.large {
        return or_null(format!("SHA2({name}, 256)"));
    }
    match column.mapping.stored {
        StoredType::Text { .. }
        | StoredType::Char { .. }
        | StoredType::Bytes
        | StoredType::Json
        | StoredType::Xml
        | StoredType::FloatArray => {
            format!("{}, CAST({name} AS BINARY)", or_null(format!("LENGTH({name})")))
        }
        // A point is kept as its SRID, byte order and type, then the bits of its coordinates (MySQL 8.0 Reference Manual,
        // 13.4.3 "Internal Geometry Storage Format"); a double's text would not show them all alike on every version.
        StoredType::Float4 | StoredType::Float8 => or_null(format!("LOWER(HEX(SUBSTR(POINT({name}, 0), 10, 8)))")),
        _ => or_null(name),
    }
}

/// `ADD UNIQUE KEY` or `ADD KEY`, for one `ALTER TABLE`, for each index but the primary key.
pub fn add_indexes(table: &TablePlan) -> impl Iterator<Item = (&IndexPlan, String)> {
    table.indexes.iter().filter(|index| index.kind != IndexKind::PrimaryKey).map(|index| {
        let kind = if index.kind == IndexKind::Plain { "KEY" } else { "UNIQUE KEY" };
        (index, format!("ADD {kind} {} ({}) {}", identifier(&index.name), key_columns(index), mark()))
    })
}

/// Tells what the job made after the source from what somebody added on the target.
fn mark() -> String {
    format!("COMMENT {}", literal(&format!("{MARK}, as the source has it")))
}

/// `ADD CONSTRAINT … FOREIGN KEY`, referring to `referenced` (a staging table during the run).
pub fn foreign_key(table: &TableName, key: &ForeignKeyPlan, referenced: &TableName) -> String {
    // InnoDB has no SET DEFAULT: the manual says that it refuses the key (MySQL 8.0 Reference Manual, 15.1.20.5), and where it does not
    // it does nothing more.
    let action = |action: &str| if action == "SET DEFAULT" { "NO ACTION" } else { action }.to_owned();
    format!(
        "ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE {}",
        qualified(table),
        identifier(&key.name),
        list(&key.columns),
        qualified(referenced),
        list(&key.referenced_columns),
        action(&key.on_delete),
        action(&key.on_update),
    )
}

/// The change of column types after the verification, or nothing. Each statement may be repeated after any other.
pub fn convert(table: &TablePlan, staging: &TableName, preserved: &PreservedAttributes) -> Vec<String> {
    let name = qualified(staging);
    let mut statements = Vec::new();
    for column in &table.columns {
        let Some(wanted) = &column.mapping.convert_to else { continue };
        let (own, null) = (identifier(&column.target), if column.nullable { "NULL" } else { "NOT NULL" });
        if column.holds == LogicalType::Geometry {
            statements.push(format!("ALTER TABLE {name} MODIFY {own} longblob {null}"));
            statements.push(format!("UPDATE {name} SET {own} = {} WHERE LEFT({own}, 5) = 'SRID='", geometry(&own)));
        }
        let comment = comment(&column.target, preserved);
        statements.push(format!("ALTER TABLE {name} MODIFY {own} {wanted} {null}{comment}"));
    }
    statements
}

/// The geometry of extended well-known text. The source writes the longitude first; MariaDB knows no other order. Where MySQL fails
/// MariaDB says NULL: what stays a text then is refused by the column's type.
fn geometry(column: &str) -> String {
    let text = |part: String| format!("CONVERT({part} USING utf8mb4)");
    format!(
        "COALESCE(ST_GeomFromText({}, CAST({} AS UNSIGNED) /*!50708 , 'axis-order=long-lat' */), {column})",
        text(format!("SUBSTRING({column}, LOCATE(';', {column}) + 1)")),
        text(format!("SUBSTRING({column}, 6, LOCATE(';', {column}) - 6)")),
    )
}
