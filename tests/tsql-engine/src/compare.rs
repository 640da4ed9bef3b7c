//! Order and equality of values, as SQL Server has them.

use std::cmp::Ordering;

use crate::calendar::instant;
use crate::convert::{approximate, exact, text_of};
use crate::value::{Collation, Value};

/// The order of two values that are not NULL; `None` where they cannot be compared.
pub fn order(left: &Value<'_>, right: &Value<'_>, collation: &Collation) -> Option<Ordering> {
    match (left, right) {
        (Value::Guid(left), Value::Guid(right)) => Some(guid_key(left).cmp(&guid_key(right))),
        (Value::Binary(left), Value::Binary(right)) => Some(left.cmp(right)),
        (Value::Variant(left), _) => order(&left.1, right, collation),
        (_, Value::Variant(right)) => order(left, &right.1, collation),
        (Value::VarChar(_) | Value::NVarChar(_), Value::VarChar(_) | Value::NVarChar(_)) => {
            let (left, right) = (text_of(left, collation)?, text_of(right, collation)?);
            Some(text_order(&left, &right, collation))
        }
        _ => number_order(left, right),
    }
}

fn number_order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    if let (Some((a, x)), Some((b, y))) = (exact(left), exact(right)) {
        let scale = x.max(y);
        let widen = |value: i128, from: u8| value.checked_mul(10_i128.checked_pow(u32::from(scale - from))?);
        return match (widen(a, x), widen(b, y)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => approximate(left)?.partial_cmp(&approximate(right)?),
        };
    }
    if let (Some(a), Some(b)) = (instant(left), instant(right)) {
        return Some((a.0, a.1).cmp(&(b.0, b.1)));
    }
    approximate(left)?.partial_cmp(&approximate(right)?)
}

/// The bytes of a uniqueidentifier from the most to the least significant: last group first.
fn guid_key(bytes: &[u8; 16]) -> [u8; 16] {
    const ORDER: [usize; 16] = [10, 11, 12, 13, 14, 15, 8, 9, 6, 7, 4, 5, 0, 1, 2, 3];
    ORDER.map(|index| bytes[index])
}

/// Trailing spaces do not count. Case-insensitive collations compare by folded case; the order within a language is not
/// reproduced, only that it is one and the same order everywhere.
fn text_order(left: &str, right: &str, collation: &Collation) -> Ordering {
    let (left, right) = (left.trim_end_matches(' '), right.trim_end_matches(' '));
    if collation.ignores_case() { left.to_lowercase().cmp(&right.to_lowercase()) } else { left.cmp(right) }
}
