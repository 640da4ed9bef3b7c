//! The same sums as the source's witness, over what PostgreSQL holds; see [`crate::proof::witness`].

use sqlx::postgres::PgConnection;

use super::connect::only_row_where;
use super::quote::{identifier, literal as quoted, qualified};
use super::sql::only;
use crate::model::error::Result;
use crate::model::schema::TableName;
use crate::plan::type_map::StoredType;
use crate::plan::{ColumnPlan, TablePlan};
use crate::proof::witness::{self, Aggregate, Answer, Content, HASHED_BYTES, PLACES, Plan, Question, Scope, Subject};
use crate::rows::cell::{date_text, decimal_text, hex, time_text};
use crate::rows::chunk::KeyValue;
use crate::targets::ranges::where_in;

/// All answers about the rows of a relation in this scope.
pub(super) async fn ask(
    connection: &mut PgConnection,
    table: &TablePlan,
    relation: &TableName,
    partitioned: bool,
    plan: &Plan,
    scope: &Scope,
) -> Result<Vec<Answer>> {
    let from = if partitioned { qualified(relation) } else { only(relation) };
    let condition = where_in(table, scope, identifier, literal);
    let mut answers = Vec::with_capacity(plan.questions.len());
    for questions in plan.questions.chunks(witness::QUESTIONS_AT_ONCE) {
        let asked: Vec<String> = questions.iter().map(|question| expression(table, plan, *question)).collect();
        let all = format!("SELECT {} FROM {from}", asked.join(", "));
        // The bounds of ranges are values of rows.
        tracing::debug!(%relation, sql = all, "witness, or a part of it");
        let row = only_row_where(connection, &all, &condition).await?;
        for (index, question) in questions.iter().enumerate() {
            let text: Option<String> = row.value(index)?;
            answers.push(text.map(|text| spelt(plan, *question, &text)));
        }
    }
    Ok(answers)
}

fn spelt(plan: &Plan, question: Question, text: &str) -> String {
    let is_float = question.column.is_some_and(|column| plan.subjects.get(column) == Some(&Subject::Float))
        && matches!(question.aggregate, Aggregate::Min | Aggregate::Max);
    match text.parse::<f64>() {
        Ok(value) if is_float => witness::canonical_float(value),
        _ => witness::canonical(text),
    }
}

fn expression(table: &TablePlan, plan: &Plan, question: Question) -> String {
    let planned = question.column.and_then(|index| Some((table.columns.get(index)?, *plan.subjects.get(index)?)));
    let Some((column, subject)) = planned else { return "count(*)::text".to_owned() };
    let base = base(column);
    let sum = match question.aggregate {
        Aggregate::Rows => "count(*)".to_owned(),
        Aggregate::NotNull => format!("count({})", identifier(&column.target)),
        Aggregate::Sum => format!("sum({})", number(subject, &base)),
        Aggregate::Remainders => {
            let scale = if let Subject::Decimal { scale, .. } = subject { scale } else { 0 };
            format!("sum(mod({base}, {}))", witness::modulus(scale))
        }
        Aggregate::Min => number(subject, &format!("min({base})")),
        Aggregate::Max => number(subject, &format!("max({base})")),
        Aggregate::Length => format!("sum({})", length(column, subject)),
        Aggregate::Content => format!("sum({})", content(column, subject)),
    };
    format!("({sum})::text")
}

/// What a smallest or largest one is looked for of; a float4 is shown whole as the double that it is.
fn base(column: &ColumnPlan) -> String {
    let name = identifier(&column.target);
    match column.mapping.stored {
        StoredType::Bool => format!("{name}::int4"),
        StoredType::Float4 => format!("{name}::float8"),
        _ => name,
    }
}

/// The number that a value counts as. Since PostgreSQL 14 `extract` gives exact numbers.
fn number(subject: Subject, value: &str) -> String {
    let units = |digits: u8| 10_u32.pow(digits.into());
    match subject {
        Subject::Date => format!("({value} - date '0001-01-01')"),
        Subject::Time { digits } => format!("(extract(epoch from {value}) * {})", units(digits)),
        Subject::Timestamp { digits } | Subject::Instant { digits } => {
            format!("((extract(epoch from {value}) + {}) * {})", witness::SECONDS_TO_1970, units(digits))
        }
        _ => value.to_owned(),
    }
}

fn text(column: &ColumnPlan, trimmed: bool) -> String {
    let text = format!("{}::text", identifier(&column.target));
    if trimmed { format!("rtrim({text})") } else { text }
}

fn length(column: &ColumnPlan, subject: Subject) -> String {
    match subject {
        Subject::Text { trimmed, .. } => format!("char_length({})", text(column, trimmed)),
        _ => format!("octet_length({})", identifier(&column.target)),
    }
}

fn content(column: &ColumnPlan, subject: Subject) -> String {
    let of_text = |text: String| hash(&format!("convert_to({text}, 'UTF8')"));
    match subject {
        Subject::Text { trimmed, content: Content::CodePoints } => {
            let text = text(column, trimmed);
            let at = |place: &u32| format!("{place}::int8 * coalesce(ascii(substr({text}, {place}, 1)), 0)");
            PLACES.iter().map(at).collect::<Vec<_>>().join(" + ")
        }
        Subject::Text { trimmed, .. } => of_text(text(column, trimmed)),
        Subject::Uuid => of_text(text(column, false)),
        Subject::Bytes { content: Content::HashOfBeginning } => {
            hash(&format!("substr({}, 1, {HASHED_BYTES})", identifier(&column.target)))
        }
        _ => hash(&identifier(&column.target)),
    }
}

/// The first four bytes of the hash as a number.
fn hash(bytes: &str) -> String {
    format!("('x' || encode(substr(sha256({bytes}), 1, 4), 'hex'))::bit(32)::int8")
}

/// A literal that means the same in every column that may be a key of ranges.
pub(super) fn literal(value: &KeyValue) -> String {
    match value {
        KeyValue::Int(value) => value.to_string(),
        KeyValue::Decimal { value, scale } => decimal_text(*value, *scale),
        KeyValue::Date(days) => format!("date {}", quoted(&date_text(*days))),
        KeyValue::Timestamp { days, ticks } => {
            format!("timestamp {}", quoted(&format!("{} {}", date_text(*days), &time_text(*ticks)[..15])))
        }
        KeyValue::Bytes(bytes) => format!("{}::bytea", quoted(&format!("\\x{}", hex(bytes)))),
        KeyValue::Uuid(bytes) => format!("{}::uuid", quoted(&crate::rows::cell::uuid_text(bytes))),
        KeyValue::Text(text) => quoted(text),
    }
}
