//! What a row may take: all of it but its long values stays in one page.
//!
//! PostgreSQL makes tables whose rows it cannot hold ("row is too big", 54000), so only the plan can say so in time.

use crate::model::logical::LogicalType;
use crate::plan::type_map::StoredType;
use crate::plan::{ColumnPlan, Finding, FindingId, Severity, TablePlan};

/// A page of 8 KiB less its header of 24 bytes, one line pointer of 4, and what aligns them (`MaxHeapTupleSize`; "Database Page Layout",
/// PostgreSQL documentation 73.6).
const MOST_ROW_BYTES: u32 = 8_160;
/// A row's header before its bits for NULLs, which are there if any value is NULL.
const HEADER_BYTES: u32 = 23;
/// What leads to a value that was moved out of its row ("TOAST", 73.2).
const POINTER_BYTES: u32 = 18;
/// Shorter values are never moved: the pointer, aligned.
const MOVABLE_FROM: u32 = 25;
/// The length before a value of up to 126 bytes.
const LENGTH_BYTES: u32 = 1;
/// Bytes of UTF-8 for one UTF-16 code unit.
const BYTES_A_UNIT: u32 = 3;

/// How a column lies in its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Bytes, which are aligned to so many.
    Fixed(u32, u32),
    /// The fewest and the most bytes of a value with its length; nothing where there is no limit.
    Varying(u32, Option<u32>),
}

/// Which rows are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filled {
    /// NULL wherever that is possible, and else the shortest values.
    Least,
    /// No NULL, and each value that can be moved is.
    Moved,
    /// No NULL, and values as long as they can be without being moved.
    Most,
}

/// Refuses a table none of whose rows would fit, and one whose rows do not fit if each column has a long value.
pub(super) fn check(table: &TablePlan) -> Option<Finding> {
    const REMEDY: &str = "Leave columns out (exclude_columns), or copy them into two tables by way of views";
    let (least, moved, most) = (bytes(table, Filled::Least), bytes(table, Filled::Moved), bytes(table, Filled::Most));
    let finding = |id, severity, message: String, remedy: String| Finding::new(id, severity, message, remedy);
    let found = if least > MOST_ROW_BYTES {
        let message =
            format!("a row takes {least} bytes or more, and a page of PostgreSQL takes rows of {MOST_ROW_BYTES}");
        finding(FindingId::RowTooWide, Severity::Refusal, message, format!("{REMEDY}."))
    } else if moved > MOST_ROW_BYTES {
        let message = format!(
            "a row without NULLs takes {moved} bytes even with each long value elsewhere, and a page of PostgreSQL takes rows of \
             {MOST_ROW_BYTES}"
        );
        let remedy = format!("{REMEDY}. Set wide_rows = \"allow\" if enough values of each row are NULL or short.");
        finding(FindingId::RowMayBeTooLong, Severity::Refusal, message, remedy)
    } else if most > MOST_ROW_BYTES {
        let message = format!(
            "a row whose values are all just too short to be moved elsewhere takes {most} bytes, and a page of PostgreSQL takes rows of \
             {MOST_ROW_BYTES}"
        );
        let remedy = "The table fails should there be such a row. Leave columns out (exclude_columns) to be sure.";
        finding(FindingId::RowMayBeTooLong, Severity::Warning, message, remedy.to_owned())
    } else {
        return None;
    };
    Some(found.on(&table.source))
}

fn bytes(table: &TablePlan, filled: Filled) -> u32 {
    let columns = &table.columns;
    let count = u32::try_from(columns.len()).unwrap_or(u32::MAX);
    let with_nulls = aligned(HEADER_BYTES + count.div_ceil(8), 8);
    if filled == Filled::Least {
        let start = if columns.iter().any(|column| column.nullable) { with_nulls } else { aligned(HEADER_BYTES, 8) };
        return row(start, columns.iter().filter(|column| !column.nullable), filled);
    }
    let whole = row(aligned(HEADER_BYTES, 8), columns, filled);
    // One NULL saves its own value and costs the bits for all.
    let shortest = columns.iter().filter(|column| column.nullable).min_by_key(|column| value(column, filled).0);
    let but_one =
        shortest.map(|null| row(with_nulls, columns.iter().filter(|column| column.target != null.target), filled));
    whole.max(but_one.unwrap_or(0))
}

fn row<'a>(header: u32, columns: impl IntoIterator<Item = &'a ColumnPlan>, filled: Filled) -> u32 {
    let end = columns.into_iter().fold(header, |end, column| {
        let (bytes, alignment) = value(column, filled);
        aligned(end, alignment) + bytes
    });
    aligned(end, 8)
}

fn aligned(bytes: u32, to: u32) -> u32 {
    bytes.div_ceil(to) * to
}

/// Bytes of a value, and what it is aligned to.
fn value(column: &ColumnPlan, filled: Filled) -> (u32, u32) {
    match (shape(column), filled) {
        (Shape::Fixed(bytes, alignment), _) => (bytes, alignment),
        (Shape::Varying(least, _), Filled::Least) => (least.min(POINTER_BYTES), 1),
        (Shape::Varying(_, Some(most)), _) if most < MOVABLE_FROM => (most, 1),
        (Shape::Varying(..), Filled::Moved) => (POINTER_BYTES, 1),
        (Shape::Varying(..), Filled::Most) => (MOVABLE_FROM - 1, 1),
    }
}

fn shape(column: &ColumnPlan) -> Shape {
    let up_to = |bytes: u32| Shape::Varying(LENGTH_BYTES, Some(bytes.saturating_add(LENGTH_BYTES)));
    match (column.mapping.stored, column.holds) {
        (StoredType::Bool, _) => Shape::Fixed(1, 1),
        (StoredType::Int2, _) => Shape::Fixed(2, 2),
        (StoredType::Int4 | StoredType::Float4 | StoredType::Date, _) => Shape::Fixed(4, 4),
        (
            StoredType::Int8
            | StoredType::Float8
            | StoredType::Time { .. }
            | StoredType::Timestamp { .. }
            | StoredType::TimestampTz { .. },
            _,
        ) => Shape::Fixed(8, 8),
        (StoredType::Uuid, _) => Shape::Fixed(16, 1),
        (StoredType::Decimal { precision, scale }, _) => decimal(u32::from(precision), u32::from(scale)),
        (StoredType::Text { limit: limit @ 1.. }, _) => up_to(limit.saturating_mul(BYTES_A_UNIT)),
        // Spaces fill it up.
        (StoredType::Char { length }, _) => Shape::Varying(
            length + LENGTH_BYTES,
            Some(length.saturating_mul(BYTES_A_UNIT).saturating_add(LENGTH_BYTES)),
        ),
        (StoredType::Bytes, LogicalType::Bytes { limit: limit @ 1.., .. }) => up_to(limit),
        (
            StoredType::Text { .. } | StoredType::Bytes | StoredType::Json | StoredType::Xml | StoredType::FloatArray,
            _,
        ) => Shape::Varying(LENGTH_BYTES, None),
    }
}

/// Its length, a header of two bytes, and two bytes for every four digits on either side of the point ("Numeric Types", 8.1.2).
fn decimal(precision: u32, scale: u32) -> Shape {
    let groups = precision.saturating_sub(scale).div_ceil(4) + scale.div_ceil(4);
    Shape::Varying(LENGTH_BYTES + 2, Some(LENGTH_BYTES + 2 + 2 * groups))
}
