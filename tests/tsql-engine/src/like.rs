//! LIKE's patterns: `%`, `_`, `[a-z]`, `[^…]` and ESCAPE.

use crate::convert::text_of;
use crate::types::collation_of;
use crate::value::{SqlError, SqlType, Value};

/// Whether the first value matches the second; a third is the escape character.
pub fn matches(values: &[Value<'_>], types: &[SqlType]) -> Result<bool, SqlError> {
    let name = collation_of(&types[0]).or(collation_of(&types[1])).unwrap_or("").to_ascii_uppercase();
    let exact = name.contains("_BIN") || name.contains("_CS");
    let fold = |text: String| if exact { text } else { text.to_lowercase() };
    let text: Vec<char> = fold(text_of(&values[0], &types[0])?).chars().collect();
    let pattern: Vec<char> = fold(text_of(&values[1], &types[1])?).chars().collect();
    let escape = match values.get(2) {
        Some(value) => fold(text_of(value, &types[2])?).chars().next(),
        None => None,
    };
    Ok(run(&text, &pattern, escape))
}

fn run(text: &[char], pattern: &[char], escape: Option<char>) -> bool {
    let Some(head) = pattern.first() else { return text.is_empty() };
    if Some(*head) == escape {
        return match (pattern.get(1), text.first()) {
            (Some(wanted), Some(found)) => wanted == found && run(&text[1..], &pattern[2..], escape),
            _ => false,
        };
    }
    match head {
        '%' => (0..=text.len()).any(|skip| run(&text[skip..], &pattern[1..], escape)),
        '_' => !text.is_empty() && run(&text[1..], &pattern[1..], escape),
        '[' => {
            let Some(close) = pattern.iter().position(|character| *character == ']') else { return false };
            let Some(found) = text.first() else { return false };
            let (negated, set) = match pattern.get(1) {
                Some('^') => (true, &pattern[2..close]),
                _ => (false, &pattern[1..close]),
            };
            in_set(*found, set) != negated && run(&text[1..], &pattern[close + 1..], escape)
        }
        wanted => text.first() == Some(wanted) && run(&text[1..], &pattern[1..], escape),
    }
}

fn in_set(found: char, set: &[char]) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
            if (set[at]..=set[at + 2]).contains(&found) {
                return true;
            }
            at += 3;
        } else {
            if set[at] == found {
                return true;
            }
            at += 1;
        }
    }
    false
}
