//! The same sums as the source's witness, over what MySQL holds; see [`crate::proof::witness`].

use mysql_async::Conn;

use super::connect::only_row_where;
use super::quote::{identifier, literal as quoted, qualified};
use super::sql::in_utf8mb4;
use crate::model::error::Result;
use crate::model::schema::TableName;
use crate::plan::{ColumnPlan, TablePlan};
use crate::proof::witness::{self, Aggregate, Answer, Content, HASHED_BYTES, PLACES, Plan, Question, Scope, Subject};
use crate::rows::cell::{date_text, decimal_text, hex, time_text};
use crate::rows::chunk::KeyValue;
use crate::targets::ranges::where_in;

/// TO_DAYS of 0001-01-01: MySQL counts in the proleptic Gregorian calendar from a year 0, as the source does from the year 1.
const DAYS_TO_FIRST: u32 = 366;

/// All answers about the rows of a relation in this scope.
pub(super) async fn ask(
    connection: &mut Conn,
    table: &TablePlan,
    relation: &TableName,
    plan: &Plan,
    scope: &Scope,
) -> Result<Vec<Answer>> {
    let condition = where_in(table, scope, identifier, literal);
    let mut answers = Vec::with_capacity(plan.questions.len());
    for questions in plan.questions.chunks(witness::QUESTIONS_AT_ONCE) {
        let asked: Vec<String> = questions.iter().map(|question| expression(table, plan, *question)).collect();
        let all = format!("SELECT {} FROM {}", asked.join(", "), qualified(relation));
        // The bounds of ranges are values of rows.
        let texts: Vec<Option<String>> = only_row_where(connection, &all, &condition).await?;
        answers.extend(questions.iter().zip(texts).map(|(question, text)| Some(spelt(plan, *question, &text?))));
    }
    Ok(answers)
}

fn spelt(plan: &Plan, question: Question, text: &str) -> String {
    let is_float = question.column.is_some_and(|column| plan.subjects.get(column) == Some(&Subject::Float))
        && matches!(question.aggregate, Aggregate::Min | Aggregate::Max);
    match u64::from_str_radix(text, 16) {
        Ok(bits) if is_float => witness::canonical_float(f64::from_bits(bits.swap_bytes())),
        _ => witness::canonical(text),
    }
}

fn expression(table: &TablePlan, plan: &Plan, question: Question) -> String {
    let planned = question.column.and_then(|index| Some((table.columns.get(index)?, *plan.subjects.get(index)?)));
    let Some((column, subject)) = planned else { return "COUNT(*)".to_owned() };
    let name = identifier(&column.target);
    match question.aggregate {
        Aggregate::Rows => "COUNT(*)".to_owned(),
        Aggregate::NotNull => format!("COUNT({name})"),
        Aggregate::Sum => format!("SUM({})", number(subject, &name)),
        Aggregate::Remainders => {
            let scale = if let Subject::Decimal { scale, .. } = subject { scale } else { 0 };
            format!("SUM(MOD({name}, {}))", witness::modulus(scale))
        }
        Aggregate::Min => number(subject, &format!("MIN({name})")),
        Aggregate::Max => number(subject, &format!("MAX({name})")),
        Aggregate::Length => format!("SUM({})", length(column, subject)),
        Aggregate::Content => format!("SUM({})", content(column, subject)),
    }
}

/// The number that a value counts as; a float as the digits of its bits, which no version shows otherwise (see the digest).
fn number(subject: Subject, value: &str) -> String {
    let seconds = format!("HOUR({value}) * 3600 + MINUTE({value}) * 60 + SECOND({value})");
    let days = format!("(TO_DAYS({value}) - {DAYS_TO_FIRST})");
    let units = |digits: u8| 10_u32.pow(digits.into());
    let fraction = |digits: u8| format!("MICROSECOND({value}) DIV {}", 10_u32.pow(6 - u32::from(digits.min(6))));
    match subject {
        Subject::Float => format!("LOWER(HEX(SUBSTR(POINT({value}, 0), 10, 8)))"),
        Subject::Date => days,
        Subject::Time { digits } => format!("(({seconds}) * {} + {})", units(digits), fraction(digits)),
        Subject::Timestamp { digits } | Subject::Instant { digits } => {
            format!("(({days} * 86400 + {seconds}) * {} + {})", units(digits), fraction(digits))
        }
        _ => value.to_owned(),
    }
}

fn text(column: &ColumnPlan, trimmed: bool) -> String {
    let text = in_utf8mb4(&identifier(&column.target));
    if trimmed { format!("RTRIM({text})") } else { text }
}

fn length(column: &ColumnPlan, subject: Subject) -> String {
    match subject {
        Subject::Text { trimmed, .. } => format!("CHAR_LENGTH({})", text(column, trimmed)),
        _ => format!("LENGTH({})", identifier(&column.target)),
    }
}

fn content(column: &ColumnPlan, subject: Subject) -> String {
    match subject {
        Subject::Text { trimmed, content: Content::CodePoints } => {
            let text = text(column, trimmed);
            let at = |place: &u32| {
                let character = format!("CONVERT(SUBSTRING({text}, {place}, 1) USING utf32)");
                format!("{place} * COALESCE(CAST(CONV(HEX({character}), 16, 10) AS UNSIGNED), 0)")
            };
            PLACES.iter().map(at).collect::<Vec<_>>().join(" + ")
        }
        Subject::Text { trimmed, .. } => hash(&text(column, trimmed)),
        Subject::Uuid => hash(&format!("LOWER({})", text(column, false))),
        Subject::Bytes { content: Content::HashOfBeginning } => {
            hash(&format!("LEFT({}, {HASHED_BYTES})", identifier(&column.target)))
        }
        _ => hash(&identifier(&column.target)),
    }
}

/// The first four bytes of the hash as a number.
fn hash(value: &str) -> String {
    format!("CAST(CONV(LEFT(SHA2({value}, 256), 8), 16, 10) AS UNSIGNED)")
}

/// A literal that means the same in every column that may be a key of ranges.
pub(super) fn literal(value: &KeyValue) -> String {
    match value {
        KeyValue::Int(value) => value.to_string(),
        KeyValue::Decimal { value, scale } => decimal_text(*value, *scale),
        KeyValue::Date(days) => format!("DATE{}", quoted(&date_text(*days))),
        KeyValue::Timestamp { days, ticks } => {
            format!("TIMESTAMP{}", quoted(&format!("{} {}", date_text(*days), &time_text(*ticks)[..15])))
        }
        KeyValue::Bytes(bytes) => format!("x{}", quoted(&hex(bytes))),
        KeyValue::Uuid(bytes) => quoted(&crate::rows::cell::uuid_text(bytes)),
        KeyValue::Text(text) => quoted(text),
    }
}
