//! The T-SQL by which SQL Server adds up its columns; see [`crate::proof::witness`].

use tiberius::ColumnData;

use super::quote::{identifier, qualified};
use super::select;
use crate::model::schema::{Length, SourceType};
use crate::plan::type_map::{LogicalType, ReadExpression};
use crate::plan::{ColumnPlan, TablePlan};
use crate::proof::witness::{
    Aggregate, Answer, Content, HASHED_BYTES, PLACES, Question, Scope, Subject, canonical, canonical_float, modulus,
};
use crate::rows::cell::decimal_text;

/// The code page of UTF-8 collations, which SQL Server has since 2019.
pub const UTF8: i64 = 65_001;
/// SQL Server 2016: from here on HASHBYTES takes values of any length.
pub const LONG_HASH_SINCE: u32 = 13;

/// Functions count a character beyond U+FFFF as one only under a collation like this ("Collation and Unicode support").
const SUPPLEMENTARY: &str = "Latin1_General_100_CI_AS_SC";
const IN_UTF8: &str = "Latin1_General_100_BIN2_UTF8";

/// nvarchar(4000) takes a text of fewer units than this, and a character more.
const SHORT_UNITS: u16 = 4_000;

/// One SELECT for all questions, over the rows of the plan in this scope.
pub fn select(table: &TablePlan, subjects: &[Subject], questions: &[Question], scope: &Scope) -> String {
    let asked: Vec<String> = questions.iter().filter_map(|question| expression(table, subjects, *question)).collect();
    let mut conditions: Vec<String> = table.filter.iter().map(|filter| format!("({filter})")).collect();
    if let (Scope::Ranges { ranges, .. }, Some(key)) = (scope, &table.witness_key) {
        let key = std::slice::from_ref(key);
        let ranges: Vec<String> = ranges
            .iter()
            .map(|chunk| select::range(key, chunk).map_or_else(|| "1 = 1".to_owned(), |range| format!("({range})")))
            .collect();
        conditions.push(format!("({})", ranges.join(" OR ")));
    }
    let conditions = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    format!("SELECT {} FROM {}{conditions}", asked.join(", "), qualified(&table.source))
}

fn expression(table: &TablePlan, subjects: &[Subject], question: Question) -> Option<String> {
    let Some(index) = question.column else { return Some("COUNT_BIG(*)".to_owned()) };
    aggregate(table.columns.get(index)?, *subjects.get(index)?, question.aggregate)
}

/// The expression of one number; `None` where the subject has no such number.
pub fn aggregate(column: &ColumnPlan, subject: Subject, aggregate: Aggregate) -> Option<String> {
    let whole = |expression: String| format!("SUM(CAST({expression} AS decimal(38,0)))");
    let extreme = |function: &str| number(subject, &format!("{function}({})", base(column)));
    Some(match aggregate {
        Aggregate::Rows => "COUNT_BIG(*)".to_owned(),
        Aggregate::NotNull => not_null(column),
        Aggregate::Sum => match subject {
            Subject::Decimal { scale, .. } => format!("SUM(CAST({} AS decimal(38,{scale})))", base(column)),
            _ => whole(number(subject, &base(column))),
        },
        Aggregate::Remainders => match subject {
            Subject::Decimal { scale, .. } => {
                format!("SUM({} % CAST('{}' AS decimal(38,{scale})))", base(column), modulus(scale))
            }
            _ => return None,
        },
        Aggregate::Min => extreme("MIN"),
        Aggregate::Max => extreme("MAX"),
        Aggregate::Length => whole(length(column, subject)),
        Aggregate::Content => whole(content(column, subject)),
    })
}

/// COUNT takes no text, ntext or image ("COUNT_BIG (Transact-SQL)").
fn not_null(column: &ColumnPlan) -> String {
    let name = identifier(&column.source);
    match column.source_type {
        SourceType::Text { .. } | SourceType::NText | SourceType::Image => format!("COUNT_BIG(DATALENGTH({name}))"),
        _ => format!("COUNT_BIG({name})"),
    }
}

/// What a smallest or largest one is looked for of. MIN takes no bit; money would lose its last digits as a double in the driver.
fn base(column: &ColumnPlan) -> String {
    let name = identifier(&column.source);
    match column.source_type {
        _ if column.mapping.read == ReadExpression::OffsetMinutes => format!("DATEPART(tzoffset, {name})"),
        SourceType::Bit => format!("CAST({name} AS int)"),
        SourceType::Money => format!("CAST({name} AS decimal(19,4))"),
        SourceType::SmallMoney => format!("CAST({name} AS decimal(10,4))"),
        SourceType::DateTimeOffset { .. } => format!("SWITCHOFFSET({name}, '+00:00')"),
        // From compatibility level 130 on DATEPART cuts the 1/300 s that is stored (.186666 is 186 ms), where the protocol, the job and
        // the conversion round it (187): "Breaking changes to Database Engine features in SQL Server 2016".
        SourceType::DateTime => format!("CAST({name} AS datetime2(3))"),
        _ => name,
    }
}

/// The number that a value counts as. DATEDIFF_BIG came with 2016; days and parts of the day do without. Digits that the target cuts
/// are cut here, too.
fn number(subject: Subject, value: &str) -> String {
    let days = format!("DATEDIFF(day, CAST('00010101' AS date), {value})");
    let seconds =
        format!("DATEPART(hour, {value}) * 3600 + DATEPART(minute, {value}) * 60 + DATEPART(second, {value})");
    let fraction = |digits: u8| match digits {
        0 => String::new(),
        _ => format!(" + DATEPART(nanosecond, {value}) / {}", 10_u32.pow(9 - u32::from(digits))),
    };
    let units = |digits: u8| 10_u32.pow(digits.into());
    match subject {
        Subject::Date => days,
        Subject::Time { digits } => {
            format!("(CAST({seconds} AS bigint) * {}{})", units(digits), fraction(digits))
        }
        Subject::Timestamp { digits } | Subject::Instant { digits } => {
            format!("((CAST({days} AS bigint) * 86400 + {seconds}) * {}{})", units(digits), fraction(digits))
        }
        _ => value.to_owned(),
    }
}

fn length(column: &ColumnPlan, subject: Subject) -> String {
    match subject {
        // LEN leaves blanks at the end out.
        Subject::Text { trimmed, .. } => {
            format!("LEN({} COLLATE {SUPPLEMENTARY} + N'x') - 1", text(column, trimmed))
        }
        _ => format!("DATALENGTH({})", bytes(column)),
    }
}

fn content(column: &ColumnPlan, subject: Subject) -> String {
    match subject {
        Subject::Text { trimmed, content: Content::CodePoints } => {
            let text = text(column, trimmed);
            let at = |place: &u32| {
                format!("{place} * COALESCE(UNICODE(SUBSTRING({text} COLLATE {SUPPLEMENTARY}, {place}, 1)), 0)")
            };
            PLACES.iter().map(at).collect::<Vec<_>>().join(" + ")
        }
        Subject::Text { trimmed, .. } => {
            hash(&format!("CAST({} COLLATE {IN_UTF8} AS varchar(max))", text(column, trimmed)))
        }
        Subject::Uuid => hash(&format!("LOWER(CAST({} AS varchar(36)))", identifier(&column.source))),
        Subject::Bytes { content: Content::HashOfBeginning } => {
            hash(&format!("CAST(SUBSTRING({}, 1, {HASHED_BYTES}) AS varbinary({HASHED_BYTES}))", bytes(column)))
        }
        _ => hash(&bytes(column)),
    }
}

/// The first four bytes of the hash as a number.
fn hash(value: &str) -> String {
    format!("CAST(SUBSTRING(HASHBYTES('SHA2_256', {value}), 1, 4) AS bigint)")
}

fn bytes(column: &ColumnPlan) -> String {
    let name = identifier(&column.source);
    match column.source_type {
        SourceType::Binary { .. } | SourceType::VarBinary { .. } => name,
        SourceType::RowVersion => format!("CAST({name} AS binary(8))"),
        _ => format!("CAST({name} AS varbinary(max))"),
    }
}

fn text(column: &ColumnPlan, trimmed: bool) -> String {
    let name = identifier(&column.source);
    let read = column.mapping.read.mapped();
    let text = match read {
        ReadExpression::HierarchyPath => format!("CAST({} AS nvarchar(max))", select::text(&name, read)),
        ReadExpression::Ewkt | ReadExpression::VariantType | ReadExpression::ThroughNVarchar => {
            select::text(&name, read)
        }
        ReadExpression::VariantText => format!("({})", select::text(&name, read)),
        ReadExpression::TextBytes { .. } => format!("CAST(CAST({name} AS varchar(max)) AS nvarchar(max))"),
        ReadExpression::CodePageBytes { .. } | ReadExpression::Utf16Bytes { .. } if is_short(column) => {
            format!("CAST({name} AS nvarchar({SHORT_UNITS}))")
        }
        ReadExpression::CodePageBytes { .. }
        | ReadExpression::Utf16Bytes { .. }
        | ReadExpression::RawBytes
        | ReadExpression::TextThroughDriver { .. } => format!("CAST({name} AS nvarchar(max))"),
        ReadExpression::Plain | ReadExpression::Money { .. } | ReadExpression::OffsetMinutes => {
            shown(&column.source_type, &name)
        }
    };
    if trimmed { format!("RTRIM({text})") } else { text }
}

/// Values may be longer than the type that a view was made with. What the target's own limit lets through is not.
fn is_short(column: &ColumnPlan) -> bool {
    let (LogicalType::Text { limit } | LogicalType::Char { length: limit }) = column.mapping.logical else {
        return false;
    };
    if !(1..u32::from(SHORT_UNITS)).contains(&limit) {
        return false;
    }
    match &column.source_type {
        SourceType::Char { bytes, .. } | SourceType::VarChar { bytes: Length::Limited(bytes), .. } => {
            *bytes < SHORT_UNITS
        }
        SourceType::NChar { units } | SourceType::NVarChar { units: Length::Limited(units) } => *units < SHORT_UNITS,
        _ => false,
    }
}

/// The text that the job makes of a value that the target keeps as text: all digits of moments, no offset applied.
fn shown(source: &SourceType, name: &str) -> String {
    match source {
        SourceType::Money => format!("CAST(CAST({name} AS decimal(19,4)) AS nvarchar(50))"),
        SourceType::SmallMoney => format!("CAST(CAST({name} AS decimal(10,4)) AS nvarchar(50))"),
        SourceType::Date => format!("CONVERT(nvarchar(10), {name}, 121)"),
        SourceType::Time { .. } => format!("CONVERT(nvarchar(16), CAST({name} AS time(7)), 121)"),
        SourceType::DateTime => format!("(CONVERT(nvarchar(23), {name}, 121) + N'0000')"),
        SourceType::SmallDateTime | SourceType::DateTime2 { .. } => {
            format!("CONVERT(nvarchar(27), CAST({name} AS datetime2(7)), 121)")
        }
        SourceType::DateTimeOffset { .. } => {
            format!("CONVERT(nvarchar(34), CAST({name} AS datetimeoffset(7)), 121)")
        }
        SourceType::UniqueIdentifier => format!("LOWER(CAST({name} AS nvarchar(36)))"),
        _ => format!("CAST({name} AS nvarchar(50))"),
    }
}

/// The driver's value as an answer. The rows' own decoding has no part in it.
pub fn answer(data: &ColumnData<'static>) -> Answer {
    match data {
        ColumnData::U8(value) => value.map(|value| value.to_string()),
        ColumnData::I16(value) => value.map(|value| value.to_string()),
        ColumnData::I32(value) => value.map(|value| value.to_string()),
        ColumnData::I64(value) => value.map(|value| value.to_string()),
        ColumnData::F32(value) => value.map(|value| canonical_float(value.into())),
        ColumnData::F64(value) => value.map(canonical_float),
        ColumnData::Numeric(value) => value.map(|value| canonical(&decimal_text(value.value(), value.scale()))),
        // No question has an answer of another type; one that came all the same is no number and agrees with none.
        other => Some(format!("{other:?}")),
    }
}
