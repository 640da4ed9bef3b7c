//! Values of bound expressions.

use std::cmp::Ordering;

use crate::ast::Operator;
use crate::bind::{Bound, Node};
use crate::compare::order;
use crate::convert::{approximate, convert, exact, rescale, text_of};
use crate::functions;
use crate::value::{Collation, SqlError, SqlType, Value};

type Evaluated = Result<Value<'static>, SqlError>;

/// The expression's value for a row.
pub fn eval(bound: &Bound, row: &[Value<'static>]) -> Evaluated {
    match &bound.node {
        Node::Column(position) => Ok(row[*position].clone()),
        Node::Const(value) => Ok(value.clone()),
        Node::Same(inner) => eval(inner, row),
        Node::Cast { expr, style } => convert(eval(expr, row)?, &expr.kind, &bound.kind, *style),
        Node::Not(inner) => Ok(match truth(&eval(inner, row)?) {
            Some(value) => Value::Bit(!value),
            None => Value::Null,
        }),
        Node::Negate(inner) => negate(eval(inner, row)?),
        Node::Logic { and, left, right } => logic(*and, left, right, row),
        Node::Compare { operator, left, right, collation } => {
            compare(*operator, &eval(left, row)?, &eval(right, row)?, collation)
        }
        Node::Arithmetic { operator, left, right } => {
            arithmetic(*operator, &eval(left, row)?, &eval(right, row)?, &bound.kind)
        }
        Node::Concat(left, right) => Ok(match (eval(left, row)?, eval(right, row)?) {
            (Value::VarChar(a), Value::VarChar(b)) => Value::VarChar([a.as_ref(), b.as_ref()].concat().into()),
            (Value::NVarChar(a), Value::NVarChar(b)) => Value::NVarChar([a.as_ref(), b.as_ref()].concat().into()),
            _ => Value::Null,
        }),
        Node::Case { branches, otherwise } => {
            for (when, then) in branches {
                if is_true(when, row)? {
                    return eval(then, row);
                }
            }
            eval(otherwise, row)
        }
        Node::IsNull { expr, negated } => Ok(Value::Bit(eval(expr, row)?.is_null() != *negated)),
        Node::In { expr, list, negated, collation } => in_list(expr, list, *negated, collation, row),
        Node::Like { expr, pattern, negated, collation } => {
            let (text, pattern) = (eval(expr, row)?, eval(pattern, row)?);
            Ok(match (text_of(&text, collation), text_of(&pattern, collation)) {
                (Some(text), Some(pattern)) => Value::Bit(like(&text, &pattern, collation) != *negated),
                _ => Value::Null,
            })
        }
        Node::Call(function, arguments) => functions::eval(function, arguments, &bound.kind, row),
    }
}

/// Whether a condition holds; unknown is not true.
pub fn is_true(bound: &Bound, row: &[Value<'static>]) -> Result<bool, SqlError> {
    Ok(truth(&eval(bound, row)?) == Some(true))
}

fn truth(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Bit(value) => Some(*value),
        Value::Null => None,
        other => exact(other).map(|(number, _)| number != 0),
    }
}

fn logic(and: bool, left: &Bound, right: &Bound, row: &[Value<'static>]) -> Evaluated {
    let left = truth(&eval(left, row)?);
    // The value that decides alone.
    let decisive = Some(!and);
    if left == decisive {
        return Ok(Value::Bit(!and));
    }
    let right = truth(&eval(right, row)?);
    Ok(match (left, right) {
        (_, right) if right == decisive => Value::Bit(!and),
        (Some(_), Some(_)) => Value::Bit(and),
        _ => Value::Null,
    })
}

fn compare(operator: Operator, left: &Value<'_>, right: &Value<'_>, collation: &Collation) -> Evaluated {
    if left.is_null() || right.is_null() {
        return Ok(Value::Null);
    }
    let order = order(left, right, collation)
        .ok_or_else(|| SqlError::unsupported(format!("comparison of {left:?} and {right:?} is not supported")))?;
    Ok(Value::Bit(match operator {
        Operator::Equal => order == Ordering::Equal,
        Operator::NotEqual => order != Ordering::Equal,
        Operator::Less => order == Ordering::Less,
        Operator::LessOrEqual => order != Ordering::Greater,
        Operator::Greater => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }))
}

fn in_list(expr: &Bound, list: &[Bound], negated: bool, collation: &Collation, row: &[Value<'static>]) -> Evaluated {
    let value = eval(expr, row)?;
    let mut unknown = value.is_null();
    for item in list {
        let item = eval(item, row)?;
        if value.is_null() || item.is_null() {
            unknown = true;
        } else if order(&value, &item, collation) == Some(Ordering::Equal) {
            return Ok(Value::Bit(!negated));
        }
    }
    Ok(if unknown { Value::Null } else { Value::Bit(negated) })
}

fn negate(value: Value<'static>) -> Evaluated {
    Ok(match value {
        Value::Int(value) => Value::Int(-value),
        Value::BigInt(value) => Value::BigInt(-value),
        Value::SmallInt(value) => Value::SmallInt(-value),
        Value::Decimal { value, scale } => Value::Decimal { value: -value, scale },
        Value::Money(value) => Value::Money(-value),
        Value::Float(value) => Value::Float(-value),
        Value::Real(value) => Value::Real(-value),
        Value::Null => Value::Null,
        other => return Err(SqlError::unsupported(format!("minus {other:?} is not supported"))),
    })
}

fn arithmetic(operator: Operator, left: &Value<'_>, right: &Value<'_>, kind: &SqlType) -> Evaluated {
    if left.is_null() || right.is_null() {
        return Ok(Value::Null);
    }
    let overflow =
        || SqlError::new(8115, 16, format!("Arithmetic overflow error converting expression to data type {kind:?}."));
    let zero = || SqlError::new(8134, 16, "Divide by zero error encountered.");
    if matches!(kind, SqlType::Real | SqlType::Float) {
        let (a, b) = (approximate(left).unwrap_or_default(), approximate(right).unwrap_or_default());
        let value = match operator {
            Operator::Add => a + b,
            Operator::Subtract => a - b,
            Operator::Multiply => a * b,
            _ if b == 0.0 => return Err(zero()),
            _ => a / b,
        };
        return convert(Value::Float(value), &SqlType::Float, kind, None);
    }
    let unsupported = || SqlError::unsupported(format!("arithmetic of {left:?} and {right:?} is not supported"));
    let ((a, x), (b, y)) = (exact(left).ok_or_else(unsupported)?, exact(right).ok_or_else(unsupported)?);
    let wanted = match kind {
        SqlType::Decimal { scale, .. } | SqlType::Numeric { scale, .. } => *scale,
        SqlType::Money | SqlType::SmallMoney => 4,
        _ => 0,
    };
    let common = x.max(y);
    let widen = |value: i128, from: u8| rescale(value, from, common).ok_or_else(overflow);
    let (value, scale) = match operator {
        Operator::Add => (widen(a, x)?.checked_add(widen(b, y)?).ok_or_else(overflow)?, common),
        Operator::Subtract => (widen(a, x)?.checked_sub(widen(b, y)?).ok_or_else(overflow)?, common),
        Operator::Multiply => (a.checked_mul(b).ok_or_else(overflow)?, x + y),
        _ if b == 0 => return Err(zero()),
        Operator::Modulo => (widen(a, x)? % widen(b, y)?, common),
        _ => {
            let shift = i32::from(wanted) + i32::from(y) - i32::from(x);
            let scaled = if shift >= 0 {
                a.checked_mul(10_i128.pow(shift as u32)).ok_or_else(overflow)?
            } else {
                a / 10_i128.pow(-shift as u32)
            };
            (scaled / b, wanted)
        }
    };
    convert(Value::Decimal { value, scale }, &SqlType::Decimal { precision: 38, scale }, kind, None)
}

/// `%`, `_` and `[a-z]` / `[^a-z]`.
pub fn like(text: &str, pattern: &str, collation: &Collation) -> bool {
    let fold = |text: &str| -> Vec<char> {
        if collation.ignores_case() { text.to_lowercase().chars().collect() } else { text.chars().collect() }
    };
    matches(&fold(text), &fold(pattern))
}

fn matches(text: &[char], pattern: &[char]) -> bool {
    match pattern.first() {
        None => text.is_empty(),
        Some('%') => (0..=text.len()).any(|skip| matches(&text[skip..], &pattern[1..])),
        Some('_') => !text.is_empty() && matches(&text[1..], &pattern[1..]),
        Some('[') => {
            let Some(end) = pattern.iter().position(|c| *c == ']') else { return false };
            let (negated, set) =
                if pattern.get(1) == Some(&'^') { (true, &pattern[2..end]) } else { (false, &pattern[1..end]) };
            let Some(first) = text.first() else { return false };
            let mut inside = false;
            let mut at = 0;
            while at < set.len() {
                if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
                    inside |= (set[at]..=set[at + 2]).contains(first);
                    at += 3;
                } else {
                    inside |= set[at] == *first;
                    at += 1;
                }
            }
            inside != negated && matches(&text[1..], &pattern[end + 1..])
        }
        Some(wanted) => text.first() == Some(wanted) && matches(&text[1..], &pattern[1..]),
    }
}
