//! What a row may take: the server's limit over all columns, and InnoDB's for the part of a row that stays in its page.

use super::sql;
use crate::plan::not_created::{NotCreated, What, Why};
use crate::plan::type_map::StoredType;
use crate::plan::{ColumnPlan, Finding, FindingId, Severity, TablePlan};

/// The row's limit over all columns but the contents of BLOB and TEXT (MySQL 8.0 Reference Manual, 10.4.7 "Limits on Table
/// Column Count and Row Size"), in bytes.
const MOST_ROW_BYTES: u64 = 65_535;
/// What is less than half of an empty page of 16 KiB, in bytes: two rows must fit. The server's message says 8126, and means that
/// it is refused.
const MOST_PAGE_BYTES: u64 = 8_125;
/// Bytes of one character of utf8mb4.
const BYTES_A_CHARACTER: u64 = 4;
/// What a BLOB or TEXT takes in the row that the server makes.
const POINTER_BYTES: u64 = 12;
/// A value that InnoDB can move out of the page: 40 bytes of its own or 20 that lead to it, and its length. MariaDB counts 21.
const MOVABLE_BYTES: u64 = 41;
/// Only columns that can be as long have room to say that a value is elsewhere.
const MOVABLE_FROM: u64 = 256;
/// A row's header, the transaction that wrote it, and the way to its older version.
const HEADER_BYTES: u64 = 5 + 6 + 7;
/// What stands for the primary key where there is none.
const ROW_ID_BYTES: u64 = 6;

/// How a column lies in its row, with the most bytes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Fixed(u64),
    Varying(u64),
    /// BLOB, TEXT, and what is kept like them.
    Outside,
}

/// Wide columns become TEXT or BLOB from the widest down until the row fits; columns of keys stay what they are. What does not
/// fit even then is refused.
pub(super) fn fit(table: &mut TablePlan) {
    widen(table, MOST_ROW_BYTES, row_bytes, in_row);
    widen(table, MOST_PAGE_BYTES, page_bytes, in_page);
    let (row, page) = (row_bytes(table), page_bytes(table));
    let found = if row > MOST_ROW_BYTES {
        Some(format!("a row may take {row} bytes, and a table of MySQL takes rows of {MOST_ROW_BYTES}"))
    } else if page > MOST_PAGE_BYTES {
        Some(format!(
            "a row may take {page} bytes of its page even with each long value elsewhere, and InnoDB takes {MOST_PAGE_BYTES}"
        ))
    } else {
        None
    };
    if let Some(message) = found {
        let remedy = "Leave columns out (exclude_columns), or copy them into two tables by way of views.";
        let finding = Finding::new(FindingId::RowTooWide, Severity::Refusal, message, remedy);
        table.findings.push(finding.on(&table.source));
        return;
    }
    let with_key = page + long_key_bytes(table);
    if with_key > MOST_PAGE_BYTES {
        let message = format!(
            "values of the primary key stay in the page: a row with the longest of each column takes {with_key} bytes, and InnoDB \
             takes {MOST_PAGE_BYTES}"
        );
        let remedy = "A run fails should there be such a row. Leave columns out (exclude_columns) to be sure.";
        let finding = Finding::new(FindingId::RowMayBeTooLong, Severity::Warning, message, remedy);
        table.findings.push(finding.on(&table.source));
    }
}

fn widen(table: &mut TablePlan, most: u64, total: fn(&TablePlan) -> u64, taken: fn(&ColumnPlan) -> u64) {
    let keyed: Vec<String> =
        table.indexes.iter().flat_map(|index| index.columns.iter().map(|(name, _)| name.clone())).collect();
    while total(table) > most {
        let widest = table
            .columns
            .iter_mut()
            .filter(|column| matches!(column.mapping.stored, StoredType::Text { .. } | StoredType::Bytes))
            .filter(|column| shape(column) != Shape::Outside && !keyed.contains(&column.target))
            .filter(|column| taken(column) > MOVABLE_BYTES)
            .max_by_key(|column| taken(column));
        let Some(column) = widest else { return };
        let wide = if column.mapping.stored == StoredType::Bytes { "blob" } else { "text" };
        let narrow = std::mem::replace(&mut column.mapping.target_type, wide.to_owned());
        let why = Why::Widened { from: narrow, to: wide.to_owned(), most };
        table.not_created.push(NotCreated::new(What::ColumnType, &column.target, why));
    }
}

fn row_bytes(table: &TablePlan) -> u64 {
    // A bit a column for NULL, rounded up to bytes.
    table.columns.iter().map(in_row).sum::<u64>() + (table.columns.len() as u64).div_ceil(8)
}

fn page_bytes(table: &TablePlan) -> u64 {
    let nullable = table.columns.iter().filter(|column| column.nullable).count() as u64;
    let row_id = if sql::primary_key(table).is_some() { 0 } else { ROW_ID_BYTES };
    table.columns.iter().map(in_page).sum::<u64>() + nullable.div_ceil(8) + HEADER_BYTES + row_id
}

/// What long values of the primary key take beyond what the server counts when it makes the table: they cannot be moved.
fn long_key_bytes(table: &TablePlan) -> u64 {
    let Some(key) = sql::primary_key(table) else { return 0 };
    let of_key = |column: &&ColumnPlan| key.columns.iter().any(|(name, _)| name == &column.target);
    let beyond = |column: &ColumnPlan| match shape(column) {
        Shape::Varying(most) if most >= MOVABLE_FROM => most + 2 - MOVABLE_BYTES,
        _ => 0,
    };
    table.columns.iter().filter(of_key).map(beyond).sum()
}

/// Bytes that a column may take in the row that the server makes, and in the key of an index.
pub(super) fn in_row(column: &ColumnPlan) -> u64 {
    match shape(column) {
        Shape::Fixed(bytes) => bytes,
        Shape::Varying(bytes) if column.mapping.target_type.starts_with("char") => bytes,
        Shape::Varying(bytes) => bytes + 2,
        Shape::Outside => POINTER_BYTES,
    }
}

/// Bytes that a column may take in its page.
fn in_page(column: &ColumnPlan) -> u64 {
    match shape(column) {
        Shape::Fixed(bytes) => bytes,
        Shape::Varying(bytes) if bytes < MOVABLE_FROM => bytes + 1,
        Shape::Varying(_) | Shape::Outside => MOVABLE_BYTES,
    }
}

fn shape(column: &ColumnPlan) -> Shape {
    shape_of(column.mapping.target_type.as_str())
}

#[expect(clippy::match_same_arms, reason = "arms are told apart by what they mean, not by what they give")]
fn shape_of(target_type: &str) -> Shape {
    let (name, rest) = target_type.split_once('(').unwrap_or((target_type, ""));
    let mut numbers = rest.split([',', ')']).map_while(|digits| digits.trim().parse::<u64>().ok());
    let first = numbers.next();
    let fraction = first.unwrap_or(0).div_ceil(2);
    match name.split(' ').next().unwrap_or_default() {
        "varchar" => Shape::Varying(first.unwrap_or(1) * BYTES_A_CHARACTER),
        "char" if target_type.contains("ascii") => Shape::Fixed(first.unwrap_or(1)),
        "char" => Shape::Varying(first.unwrap_or(1) * BYTES_A_CHARACTER),
        "varbinary" => Shape::Varying(first.unwrap_or(1)),
        "binary" => Shape::Fixed(first.unwrap_or(1)),
        "decimal" => {
            let (precision, scale) = (first.unwrap_or(10), numbers.next().unwrap_or(0));
            Shape::Fixed(digits_bytes(precision.saturating_sub(scale)) + digits_bytes(scale))
        }
        "tinyint" => Shape::Fixed(1),
        "smallint" => Shape::Fixed(2),
        "int" | "float" => Shape::Fixed(4),
        "date" => Shape::Fixed(3),
        "time" => Shape::Fixed(3 + fraction),
        "datetime" => Shape::Fixed(5 + fraction),
        "bigint" | "double" => Shape::Fixed(8),
        _ => Shape::Outside,
    }
}

/// Nine digits take four bytes, fewer take two a byte.
fn digits_bytes(digits: u64) -> u64 {
    digits / 9 * 4 + (digits % 9).div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_take_the_bytes_that_the_server_counts() {
        for (target_type, shape) in [
            ("decimal(38,10)", Shape::Fixed(18)),
            ("decimal(19,4)", Shape::Fixed(9)),
            ("char(36) character set ascii", Shape::Fixed(36)),
            ("char(50)", Shape::Varying(200)),
            ("varchar(63)", Shape::Varying(252)),
            ("datetime(3)", Shape::Fixed(7)),
            ("tinyint unsigned", Shape::Fixed(1)),
            ("tinyint(1)", Shape::Fixed(1)),
            ("longtext", Shape::Outside),
            ("geometry", Shape::Outside),
        ] {
            assert_eq!(shape_of(target_type), shape, "{target_type}");
        }
    }
}
