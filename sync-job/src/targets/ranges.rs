//! The WHERE clause of a witness's ranges: the same in both dialects but for names and literals.

use crate::plan::TablePlan;
use crate::proof::witness::Scope;
use crate::rows::chunk::{Chunk, Key, KeyValue};

/// A WHERE clause; nothing where the whole table is in the scope.
pub(super) fn where_in(
    table: &TablePlan,
    scope: &Scope,
    quote: fn(&str) -> String,
    literal: fn(&KeyValue) -> String,
) -> String {
    match scope {
        Scope::Whole => String::new(),
        Scope::Ranges { .. } => format!(" WHERE {}", condition(table, scope, quote, literal)),
    }
}

/// What the rows of the scope fulfil.
pub(super) fn condition(
    table: &TablePlan,
    scope: &Scope,
    quote: fn(&str) -> String,
    literal: fn(&KeyValue) -> String,
) -> String {
    let (Scope::Ranges { ranges, .. }, Some(key)) = (scope, table.witness_column()) else {
        return "TRUE".to_owned();
    };
    let name = quote(&key.target);
    let ranges: Vec<String> = ranges.iter().map(|chunk| range(&name, chunk, literal)).collect();
    format!("({})", ranges.join(" OR "))
}

fn range(name: &str, chunk: &Chunk, literal: fn(&KeyValue) -> String) -> String {
    let bound = |key: &Option<Key>, operator: &str| {
        let value = key.as_ref()?.first()?;
        Some(format!("{name} {operator} {}", literal(value)))
    };
    let bounds: Vec<String> = bound(&chunk.lower, ">=").into_iter().chain(bound(&chunk.upper, "<")).collect();
    match (bounds.is_empty(), chunk.takes_nulls()) {
        (true, _) => "TRUE".to_owned(),
        (false, true) => format!("({} OR {name} IS NULL)", bounds.join(" AND ")),
        (false, false) => format!("({})", bounds.join(" AND ")),
    }
}
