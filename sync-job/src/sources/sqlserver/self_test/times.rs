//! Literals of dates and times at the ends of their types' ranges, from the pages of each type below "Date and time data types
//! and functions (Transact-SQL)".

use crate::model::schema::SourceType;
use crate::plan::type_map::ReadExpression;
use crate::rows::cell::{Cell, DAYS_TO_1900};

use super::probe::{Expected, Literal, Subject};

/// 9999-12-31, in days since 0001-01-01.
const LAST_DAY: i32 = 3_652_058;
/// 2024-02-29.
const LEAP_DAY: i32 = 738_944;
const HOUR: u64 = 36_000_000_000;
const MINUTE: u64 = 600_000_000;
const SECOND: u64 = 10_000_000;
/// 23:59:59.
const LAST_SECOND: u64 = 24 * HOUR - SECOND;
const MILLISECOND: u64 = 10_000;

/// The literals of a type of dates or times; `None` for other types.
pub fn of(subject: &Subject<'_>) -> Option<(String, Vec<Literal>)> {
    use SourceType as S;
    let kept = |digits: u8| if subject.keeps_all_digits { digits } else { digits.min(6) };
    let (declared, mut literals) = match subject.source_type {
        S::Date => ("date".to_owned(), dates()),
        S::Time { digits } => {
            let declared = format!("time({digits})");
            let literals = clocks(&declared, kept(*digits));
            (declared, literals)
        }
        S::DateTime => ("datetime".to_owned(), datetimes()),
        S::SmallDateTime => ("smalldatetime".to_owned(), smalldatetimes()),
        S::DateTime2 { digits } => {
            let declared = format!("datetime2({digits})");
            let literals = datetime2s(&declared, kept(*digits));
            (declared, literals)
        }
        S::DateTimeOffset { .. } if *subject.read == ReadExpression::OffsetMinutes => {
            let declared = "datetimeoffset(7)".to_owned();
            let literals = offsets(&declared);
            (declared, literals)
        }
        S::DateTimeOffset { digits } => {
            let declared = format!("datetimeoffset({digits})");
            let literals = instants(&declared, kept(*digits));
            (declared, literals)
        }
        _ => return None,
    };
    literals.push(literal(&declared, None, Cell::Null));
    let kind =
        if *subject.read == ReadExpression::OffsetMinutes { format!("the offset of {declared}") } else { declared };
    Some((kind, literals))
}

fn literal(declared: &str, text: Option<&str>, cell: Cell<'static>) -> Literal {
    let value = text.map_or_else(|| "NULL".to_owned(), |text| format!("'{text}'"));
    Literal { sql: format!("CAST({value} AS {declared})"), expected: Expected::Cell(cell) }
}

/// So many nines behind a point, and their ticks. The seventh is asked for where the target keeps it alone: a server whose times
/// end at six digits has none.
fn nines(digits: u8) -> (String, u64) {
    let text = if digits == 0 { String::new() } else { format!(".{}", "9".repeat(usize::from(digits))) };
    (text, SECOND - 10_u64.pow(7 - u32::from(digits)))
}

fn dates() -> Vec<Literal> {
    [("0001-01-01", 0), ("1899-12-31", DAYS_TO_1900 - 1), ("2024-02-29", LEAP_DAY), ("9999-12-31", LAST_DAY)]
        .map(|(text, days)| literal("date", Some(text), Cell::Date(days)))
        .into()
}

fn clocks(declared: &str, digits: u8) -> Vec<Literal> {
    let (fraction, ticks) = nines(digits);
    [
        ("00:00:00".to_owned(), 0),
        ("12:34:56".to_owned(), 12 * HOUR + 34 * MINUTE + 56 * SECOND),
        (format!("23:59:59{fraction}"), LAST_SECOND + ticks),
    ]
    .map(|(text, ticks)| literal(declared, Some(&text), Cell::Time(ticks)))
    .into()
}

/// "Rounded to increments of .000, .003, or .007 seconds".
fn datetimes() -> Vec<Literal> {
    [
        ("1753-01-01T00:00:00.000", 639_905, 0),
        ("1899-12-31T23:59:59.997", DAYS_TO_1900 - 1, LAST_SECOND + 997 * MILLISECOND),
        ("1900-01-01T00:00:00.003", DAYS_TO_1900, 3 * MILLISECOND),
        ("2024-02-29T12:34:56.007", LEAP_DAY, 12 * HOUR + 34 * MINUTE + 56 * SECOND + 7 * MILLISECOND),
        ("9999-12-31T23:59:59.997", LAST_DAY, LAST_SECOND + 997 * MILLISECOND),
    ]
    .map(|(text, days, ticks)| literal("datetime", Some(text), Cell::Timestamp { days, ticks }))
    .into()
}

fn smalldatetimes() -> Vec<Literal> {
    [
        ("1900-01-01T00:00:00", DAYS_TO_1900, 0),
        ("2024-02-29T12:34:00", LEAP_DAY, 12 * HOUR + 34 * MINUTE),
        ("2079-06-06T23:59:00", DAYS_TO_1900 + 65_535, 24 * HOUR - MINUTE),
    ]
    .map(|(text, days, ticks)| literal("smalldatetime", Some(text), Cell::Timestamp { days, ticks }))
    .into()
}

fn datetime2s(declared: &str, digits: u8) -> Vec<Literal> {
    let (fraction, ticks) = nines(digits);
    [
        ("0001-01-01T00:00:00".to_owned(), 0, 0),
        (format!("2024-02-29T12:34:56{fraction}"), LEAP_DAY, 12 * HOUR + 34 * MINUTE + 56 * SECOND + ticks),
        (format!("9999-12-31T23:59:59{fraction}"), LAST_DAY, LAST_SECOND + ticks),
    ]
    .map(|(text, days, ticks)| literal(declared, Some(&text), Cell::Timestamp { days, ticks }))
    .into()
}

/// On the wire an instant is in UTC, with the offset beside it (MS-TDS 2.2.5.5.1.8).
fn instants(declared: &str, digits: u8) -> Vec<Literal> {
    let (fraction, ticks) = nines(digits);
    [
        ("0001-01-01T00:00:00+00:00".to_owned(), 0, 0, 0),
        (format!("2024-02-29T04:00:00{fraction}+05:30"), LEAP_DAY - 1, 22 * HOUR + 30 * MINUTE + ticks, 330),
        (format!("2024-02-29T12:00:00{fraction}-14:00"), LEAP_DAY + 1, 2 * HOUR + ticks, -840),
        (format!("9999-12-31T23:59:59{fraction}+14:00"), LAST_DAY, LAST_SECOND - 14 * HOUR + ticks, 840),
    ]
    .map(|(text, days, ticks, offset)| literal(declared, Some(&text), Cell::TimestampTz { days, ticks, offset }))
    .into()
}

/// "DATEPART (Transact-SQL)": the offset in minutes, signed.
fn offsets(declared: &str) -> Vec<Literal> {
    [("2024-02-29T04:00:00+05:30", 330), ("2024-02-29T12:00:00-14:00", -840), ("2024-02-29T12:00:00+00:00", 0)]
        .map(|(text, minutes)| literal(declared, Some(text), Cell::Int(minutes)))
        .into()
}
