//! The T-SQL that reads a table.

use super::field::{HasField as _, ReadExpression};
use super::quote::{identifier, literal, narrow_literal, qualified};
use super::types::SourceType;
use crate::plan::references::{Compares, Reference, Side};
use crate::plan::type_map::StoredType;
use crate::plan::{ColumnPlan, KeyColumn, TablePlan};
use crate::rows::cell::{date_text, hex, time_text, uuid_text};
use crate::rows::chunk::{Chunk, Key, KeyValue};
use crate::rows::text::CodePage;

/// What a `varbinary(n)` holds at most.
const MOST_BYTES: u16 = 8_000;
/// [`MOST_BYTES`] hold as many characters of any encoding.
const SEEN_WHEN_CUT: u32 = 2_000;

/// Text that may be longer than planned (the column was widened since, or a view's columns are out of date) must not be cut
/// by its cast before anybody sees it. Where the target takes fewer characters than the longest `varbinary(n)` holds, the
/// encoder refuses what is longer. It does not where it takes characters away before it counts them, the spaces of a char(n)
/// or U+0000: there a column whose own values are shorter shows by its length that it was cut. Everything else is read whole.
pub fn bytes_of_text(column: &ColumnPlan) -> &'static str {
    let (fits, refused_when_cut) = match column.mapping.stored {
        StoredType::Text { limit } => ((1..SEEN_WHEN_CUT).contains(&limit), !column.policy.strip_nul),
        StoredType::Char { length } => ((1..SEEN_WHEN_CUT).contains(&length), false),
        _ => (false, false),
    };
    if fits && (refused_when_cut || is_shorter_than_cut(column.read_as())) { "8000" } else { "max" }
}

fn is_shorter_than_cut(read: &ReadExpression) -> bool {
    matches!(read, ReadExpression::CodePageBytes { bytes: Some(bytes), .. } | ReadExpression::Utf16Bytes { bytes: Some(bytes) } if *bytes < MOST_BYTES)
}

/// Whether a value of this length may be a part of what is stored; see [`bytes_of_text`].
#[inline]
pub fn may_be_cut(column: &ColumnPlan, read: &ReadExpression, bytes: usize) -> bool {
    bytes == usize::from(MOST_BYTES) && is_shorter_than_cut(read) && bytes_of_text(column) == "8000"
}

/// As [`bytes_of_text`], for a key's column: a bound that is cut is as good a bound.
pub const BYTES_OF_KEY: &str = "8000";

/// The expression that reads a column, and at most so many bytes of its text.
pub fn expression(column: &str, read: &ReadExpression, bytes_of_text: &str) -> String {
    let name = identifier(column);
    match read {
        ReadExpression::Plain => name,
        ReadExpression::Money { precision } => format!("CAST({name} AS decimal({precision},4))"),
        ReadExpression::CodePageBytes { .. } | ReadExpression::Utf16Bytes { .. } => {
            format!("CAST({name} AS varbinary({bytes_of_text}))")
        }
        ReadExpression::TextBytes { .. } => format!("CAST(CAST({name} AS varchar(max)) AS varbinary(max))"),
        ReadExpression::ThroughNVarchar | ReadExpression::Ewkt | ReadExpression::VariantText => {
            format!("CAST({} AS varbinary(max))", text(&name, read))
        }
        ReadExpression::RawBytes => format!("CAST({name} AS varbinary(max))"),
        ReadExpression::HierarchyPath => format!("CAST({} AS varbinary(8000))", text(&name, read)),
        ReadExpression::VariantType => format!("CAST({} AS varbinary(256))", text(&name, read)),
        ReadExpression::OffsetMinutes => format!("DATEPART(tzoffset, {name})"),
        ReadExpression::TextThroughDriver { instead_of } => text(&name, instead_of),
    }
}

/// The expression that reads a column for its rows. Of an expression over a masked column the server shows the default mask of the
/// expression's type ("Dynamic data masking"), so that its own mask comes by its name alone. That is left to the driver where it decodes
/// text as Windows does.
pub fn read_of(column: &ColumnPlan) -> String {
    let read = column.read_as();
    let is_decoded_alike = match read.mapped() {
        ReadExpression::Utf16Bytes { .. } => true,
        ReadExpression::CodePageBytes { code_page, .. } | ReadExpression::TextBytes { code_page } => {
            DECODED_ALIKE.contains(&code_page.number())
        }
        _ => false,
    };
    if column.masked && is_decoded_alike {
        identifier(&column.source)
    } else {
        expression(&column.source, read, bytes_of_text(column))
    }
}

/// Single-byte code pages that the driver and Windows decode alike.
const DECODED_ALIKE: std::ops::RangeInclusive<u16> = 1250..=1258;

/// A column's text as nvarchar.
pub fn text(name: &str, read: &ReadExpression) -> String {
    match read {
        ReadExpression::HierarchyPath => format!("CAST({name}.ToString() AS nvarchar(4000))"),
        ReadExpression::Ewkt => {
            format!("CAST('SRID=' + CAST({name}.STSrid AS varchar(11)) + ';' + {name}.AsTextZM() AS nvarchar(max))")
        }
        ReadExpression::VariantText => variant_text(name),
        ReadExpression::VariantType => format!("CAST(SQL_VARIANT_PROPERTY({name}, 'BaseType') AS nvarchar(128))"),
        _ => format!("CAST({name} AS nvarchar(max))"),
    }
}

/// A sql_variant as text by its own base type, exact: styles from "CAST and CONVERT" (121 ODBC canonical with fraction,
/// 2 four decimals for money, 3 all 17 digits for float, 1 hexadecimal with 0x). A variant holds up to 8,000 characters, and
/// 16,002 as hexadecimal digits: more than nvarchar(4000).
fn variant_text(name: &str) -> String {
    let styled = |types: &[&str], style: u8| -> String {
        types
            .iter()
            .map(|base| {
                let cast = match *base {
                    "datetime2" | "datetimeoffset" | "time" => format!("{base}(7)"),
                    "varbinary" | "binary" => "varbinary(8000)".to_owned(),
                    other => other.to_owned(),
                };
                format!(" WHEN {} THEN CONVERT(nvarchar(max), CAST({name} AS {cast}), {style})", literal(base))
            })
            .collect()
    };
    format!(
        "CASE CAST(SQL_VARIANT_PROPERTY({name}, 'BaseType') AS nvarchar(128)){}{}{}{} ELSE CAST({name} AS nvarchar(max)) END",
        styled(&["date", "time", "datetime", "smalldatetime", "datetime2", "datetimeoffset"], 121),
        styled(&["money", "smallmoney"], 2),
        styled(&["float", "real"], 3),
        styled(&["binary", "varbinary"], 1),
    )
}

/// Returns no rows, only the types that text columns have now, which their casts hide; `None` where there are none.
pub fn text_types(table: &TablePlan) -> Option<String> {
    let names: Vec<String> = text_columns(table).map(|column| identifier(&column.source)).collect();
    (!names.is_empty()).then(|| format!("SELECT TOP (0) {} FROM {}", names.join(", "), qualified(&table.source)))
}

/// The columns of [`text_types`].
pub fn text_columns(table: &TablePlan) -> impl Iterator<Item = &ColumnPlan> {
    let of_text = |read: &ReadExpression| {
        matches!(read, ReadExpression::CodePageBytes { .. } | ReadExpression::Utf16Bytes { .. })
    };
    table.columns.iter().filter(move |column| of_text(column.read_as().mapped()))
}

/// The column of [`code_pages`].
pub const CODE_PAGE: &str = "stopgap_code_page";

/// Returns a row for each of [`columns_with_code_page`], in their order, with the code page that its bytes are in now; `None`
/// where there are none. What speaks SQL Server's protocol without knowing this function returns nothing.
pub fn code_pages(table: &TablePlan) -> Option<String> {
    const FUNCTION: &str = "sys.dm_exec_describe_first_result_set";
    let names: Vec<String> = columns_with_code_page(table).map(|(column, _)| identifier(&column.source)).collect();
    let read = literal(&format!("SELECT {} FROM {}", names.join(", "), qualified(&table.source)));
    (!names.is_empty()).then(|| {
        format!(
            "IF OBJECT_ID({}) IS NOT NULL \
             SELECT CAST(COLLATIONPROPERTY(collation_name, 'CodePage') AS int) AS {CODE_PAGE} \
             FROM {FUNCTION}({read}, NULL, 0) ORDER BY column_ordinal",
            literal(FUNCTION)
        )
    })
}

/// The columns of [`code_pages`], each with its planned code page.
pub fn columns_with_code_page(table: &TablePlan) -> impl Iterator<Item = (&ColumnPlan, CodePage)> {
    table.columns.iter().filter_map(|column| match column.read_as() {
        ReadExpression::CodePageBytes { code_page, .. } | ReadExpression::TextBytes { code_page } => {
            Some((column, *code_page))
        }
        _ => None,
    })
}

/// The SELECT that reads a chunk of a table.
pub fn chunk(table: &TablePlan, chunk: &Chunk) -> String {
    let columns: Vec<String> = table.columns.iter().map(read_of).collect();
    let mut sql = format!("SELECT {} FROM {}", columns.join(", "), qualified(&table.source));
    let conditions = conditions(table, chunk);
    if !conditions.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&conditions.join(" AND "));
    }
    sql
}

fn conditions(table: &TablePlan, chunk: &Chunk) -> Vec<String> {
    let filter = table.filter.iter().map(|filter| format!("({filter})"));
    filter.chain(range(&table.chunk_key, chunk)).collect()
}

/// The condition that keys of a chunk meet; nothing where all do.
pub fn range(key: &[KeyColumn], chunk: &Chunk) -> Option<String> {
    let mut range = Vec::new();
    if let Some(lower) = &chunk.lower {
        range.push(compare(key, lower, ">", ">="));
    }
    if let Some(upper) = &chunk.upper {
        range.push(compare(key, upper, "<", "<"));
    }
    if range.is_empty() {
        return None;
    }
    let range = range.join(" AND ");
    match key.iter().find(|column| column.nullable) {
        Some(first) if chunk.takes_nulls() => Some(format!("(({range}) OR {} IS NULL)", identifier(&first.name))),
        _ => Some(range),
    }
}

/// `(k1, k2, …) op key` without row values, which T-SQL lacks. `last` is the operator of the last column.
fn compare(columns: &[KeyColumn], key: &Key, strict: &str, last: &str) -> String {
    let mut parts = Vec::new();
    let mut equal = String::new();
    let count = columns.len().min(key.len());
    for (index, (column, value)) in columns.iter().zip(key).enumerate() {
        let name = identifier(&column.name);
        let value = key_literal(column, value);
        let operator = if index + 1 == count { last } else { strict };
        let mut part = format!("{name} {operator} {value}");
        // NULL comes before all values. In the first column the first chunk takes it.
        if column.nullable && index > 0 && operator == "<" {
            part = format!("({part} OR {name} IS NULL)");
        }
        parts.push(format!("{equal}{part}"));
        equal.push_str(&format!("{name} = {value} AND "));
    }
    if let [single] = parts.as_slice() {
        return single.clone();
    }
    // The leading column's own bound lets the server seek; the rest decides among equals.
    let seek = format!("{} {strict}= {}", identifier(&columns[0].name), key_literal(&columns[0], &key[0]));
    let parts: Vec<String> = parts.into_iter().map(|part| format!("({part})")).collect();
    format!("{seek} AND ({})", parts.join(" OR "))
}

/// A literal of the key column's own type, so that the server need not convert the column and can use its index.
fn key_literal(column: &KeyColumn, value: &KeyValue) -> String {
    match value {
        KeyValue::Int(value) => value.to_string(),
        KeyValue::Decimal { value, scale } => {
            format!("CAST({} AS decimal(38,{scale}))", narrow_literal(&crate::rows::cell::decimal_text(*value, *scale)))
        }
        KeyValue::Date(days) => format!("CAST({} AS date)", narrow_literal(&date_text(*days))),
        KeyValue::Timestamp { days, ticks } => {
            let (date, time) = (date_text(*days), time_text(*ticks));
            match column.source_type() {
                // Three digits are all that these types read; bounds are made from whole milliseconds.
                SourceType::DateTime | SourceType::SmallDateTime => {
                    let name = if *column.source_type() == SourceType::DateTime { "datetime" } else { "smalldatetime" };
                    format!("CAST({} AS {name})", narrow_literal(&format!("{date}T{}", &time[..12])))
                }
                SourceType::DateTime2 { digits } => {
                    format!("CAST({} AS datetime2({digits}))", narrow_literal(&format!("{date}T{time}")))
                }
                _ => format!("CAST({} AS datetime2(7))", narrow_literal(&format!("{date}T{time}"))),
            }
        }
        KeyValue::Uuid(bytes) => format!("CAST({} AS uniqueidentifier)", narrow_literal(&uuid_text(bytes))),
        KeyValue::Bytes(bytes) => format!("0x{}", hex(bytes)),
        KeyValue::Text(text) => match column.source_type() {
            SourceType::NChar { .. } | SourceType::NVarChar { .. } => literal(text),
            _ => narrow_literal(text),
        },
    }
}

/// `wanted` of a row of the child, if there is one, whose parent is only found by the source's collation. The comparison of the collation
/// stays, since an index serves it. Both sides of a foreign key have one type and collation, so that bytes can be compared.
pub fn differing(reference: &Reference, wanted: &str) -> String {
    let Reference { child, parent, compares, .. } = reference;
    let bytes = |alias: &str, name: &str, compares: Compares| {
        let column = format!("{alias}.{}", identifier(name));
        let text = if compares == Compares::Padded { format!("RTRIM({column})") } else { column };
        format!("CAST({text} AS varbinary(8000))")
    };
    let mut same = Vec::new();
    for ((own, other), compares) in child.columns.iter().zip(&parent.columns).zip(compares) {
        same.push(format!("p.{} = c.{}", identifier(other), identifier(own)));
        if *compares != Compares::AsTheSource {
            same.push(format!("{} = {}", bytes("p", other, *compares), bytes("c", own, *compares)));
        }
    }
    let known: Vec<String> = child.columns.iter().map(|name| format!("c.{} IS NOT NULL", identifier(name))).collect();
    format!(
        "SELECT TOP (1) {wanted} FROM {} AS c WHERE {} AND NOT EXISTS (SELECT 1 AS found FROM {} AS p WHERE {})",
        rows_of(child),
        known.join(" AND "),
        rows_of(parent),
        same.join(" AND ")
    )
}

fn rows_of(side: &Side) -> String {
    let names: Vec<String> = side.columns.iter().map(|name| identifier(name)).collect();
    let filter = side.filter.as_ref().map(|filter| format!(" WHERE ({filter})")).unwrap_or_default();
    format!("(SELECT {} FROM {}{filter})", names.join(", "), qualified(&side.table))
}

/// Returns no row, or the server's complaint about the filter; `None` where there is none.
pub fn nothing_filtered(table: &TablePlan) -> Option<String> {
    let filter = table.filter.as_ref()?;
    Some(format!("SELECT TOP (0) 1 AS found FROM {} WHERE ({filter})", qualified(&table.source)))
}

/// Smallest and largest value of a key column.
pub fn extremes(table: &TablePlan, key: &KeyColumn) -> String {
    let name = identifier(&key.name);
    let filter = table.filter.as_ref().map(|filter| format!(" WHERE ({filter})")).unwrap_or_default();
    format!("SELECT MIN({name}), MAX({name}) FROM {}{filter}", qualified(&table.source))
}

/// The number of rows, counted up to this many.
pub fn count_up_to(table: &TablePlan, most: u64) -> String {
    let filter = table.filter.as_ref().map(|filter| format!(" WHERE ({filter})")).unwrap_or_default();
    let first = format!("SELECT TOP ({most}) 1 AS one FROM {}{filter}", qualified(&table.source));
    format!("SELECT COUNT_BIG(*) FROM ({first}) AS first_rows")
}

/// The number of rows, where statistics do not tell it.
pub fn count(table: &TablePlan) -> String {
    let filter = table.filter.as_ref().map(|filter| format!(" WHERE ({filter})")).unwrap_or_default();
    format!("SELECT COUNT_BIG(*) FROM {}{filter}", qualified(&table.source))
}

/// Every `step`-th key in key order, read through the index that orders it.
pub fn sample(table: &TablePlan, step: u64) -> String {
    let names: Vec<String> = table.chunk_key.iter().map(|column| identifier(&column.name)).collect();
    let names = names.join(", ");
    let read: Vec<String> =
        table.chunk_key.iter().map(|column| expression(&column.name, column.read_as(), BYTES_OF_KEY)).collect();
    let mut conditions: Vec<String> = table.filter.iter().map(|filter| format!("({filter})")).collect();
    conditions.extend(
        table
            .chunk_key
            .iter()
            .filter(|column| column.nullable)
            .map(|column| format!("{} IS NOT NULL", identifier(&column.name))),
    );
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    format!(
        "SELECT {} FROM (SELECT {names}, ROW_NUMBER() OVER (ORDER BY {names}) AS stopgap_row FROM {}{filter}) AS keys \
         WHERE stopgap_row % {step} = 0 ORDER BY stopgap_row",
        read.join(", "),
        qualified(&table.source),
    )
}
