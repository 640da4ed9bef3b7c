//! GROUP BY and aggregates.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::ast::{Expr, Query};
use crate::bind::{Bound, ScopeColumn};
use crate::compare::order;
use crate::convert::{approximate, exact, rescale};
use crate::eval::{eval, is_true};
use crate::storage::Row;
use crate::types::collation_of;
use crate::value::{SqlError, SqlType, Value};

type Bind<'a> = dyn Fn(&Expr, &[ScopeColumn]) -> Result<Bound, SqlError> + 'a;

pub fn is_aggregate(name: &str) -> bool {
    matches!(name, "COUNT" | "COUNT_BIG" | "SUM" | "MIN" | "MAX" | "AVG")
}

/// Groups the rows; afterwards a row is the group's keys and aggregates, and the items name those as columns.
pub fn group(
    bind: &Bind<'_>,
    query: &Query,
    items: &mut [(Expr, String)],
    order_by: &mut [(Expr, bool)],
    scope: &[ScopeColumn],
    rows: Vec<Row>,
) -> Result<(Vec<ScopeColumn>, Vec<Row>), SqlError> {
    let keys: Vec<Bound> = query.group_by.iter().map(|expr| bind(expr, scope)).collect::<Result<_, _>>()?;
    let mut aggregates: Vec<(String, Expr)> = Vec::new();
    let mut having = query.having.clone();
    for expr in
        items.iter_mut().map(|(expr, _)| expr).chain(order_by.iter_mut().map(|(expr, _)| expr)).chain(having.iter_mut())
    {
        replace(expr, &query.group_by, &mut aggregates);
    }
    let bound: Vec<Option<Bound>> = aggregates
        .iter()
        .map(|(_, argument)| if *argument == Expr::Star { Ok(None) } else { bind(argument, scope).map(Some) })
        .collect::<Result<_, _>>()?;
    let mut groups: Vec<(Vec<Value<'static>>, Vec<Row>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    if keys.is_empty() {
        groups.push((Vec::new(), Vec::new()));
    }
    for row in rows {
        let place = if keys.is_empty() {
            0
        } else {
            let values = keys.iter().map(|key| eval(key, &row)).collect::<Result<Vec<_>, _>>()?;
            *places.entry(format!("{values:?}")).or_insert_with(|| {
                groups.push((values, Vec::new()));
                groups.len() - 1
            })
        };
        groups[place].1.push(row);
    }
    let column =
        |name: String, kind: SqlType| ScopeColumn { qualifier: None, name, kind, nullable: true, identity: false };
    let mut grouped_scope: Vec<ScopeColumn> =
        keys.iter().enumerate().map(|(index, key)| column(format!("\u{1}key{index}"), key.kind.clone())).collect();
    for (index, ((name, _), argument)) in aggregates.iter().zip(&bound).enumerate() {
        grouped_scope.push(column(format!("\u{1}aggregate{index}"), kind(name, argument.as_ref())));
    }
    let mut out = Vec::new();
    for (mut values, rows) in groups {
        for ((name, _), argument) in aggregates.iter().zip(&bound) {
            values.push(aggregate(name, argument.as_ref(), &rows)?);
        }
        let row: Row = values.into();
        let kept = match &having {
            Some(having) => is_true(&bind(having, &grouped_scope)?, &row)?,
            None => true,
        };
        if kept {
            out.push(row);
        }
    }
    Ok((grouped_scope, out))
}

/// Puts columns of the grouped rows for group keys and aggregates.
fn replace(expr: &mut Expr, keys: &[Expr], aggregates: &mut Vec<(String, Expr)>) {
    if let Some(index) = keys.iter().position(|key| same(key, expr)) {
        *expr = Expr::Column(vec![format!("\u{1}key{index}")]);
        return;
    }
    match expr {
        Expr::Call { name, arguments } if is_aggregate(name) => {
            let wanted = (name.clone(), arguments.first().cloned().unwrap_or(Expr::Star));
            let index = aggregates.iter().position(|known| *known == wanted).unwrap_or_else(|| {
                aggregates.push(wanted);
                aggregates.len() - 1
            });
            *expr = Expr::Column(vec![format!("\u{1}aggregate{index}")]);
        }
        Expr::Call { arguments, .. } => arguments.iter_mut().for_each(|argument| replace(argument, keys, aggregates)),
        Expr::Binary(_, left, right) => {
            replace(left, keys, aggregates);
            replace(right, keys, aggregates);
        }
        Expr::Cast { expr, .. } | Expr::Not(expr) | Expr::Negate(expr) | Expr::IsNull { expr, .. } => {
            replace(expr, keys, aggregates)
        }
        Expr::Case { branches, otherwise, .. } => {
            for (when, then) in branches {
                replace(when, keys, aggregates);
                replace(then, keys, aggregates);
            }
            if let Some(otherwise) = otherwise {
                replace(otherwise, keys, aggregates);
            }
        }
        _ => {}
    }
}

/// `t.a` in the items is the `a` of GROUP BY.
fn same(key: &Expr, expr: &Expr) -> bool {
    match (key, expr) {
        (Expr::Column(a), Expr::Column(b)) => {
            a.last().zip(b.last()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
                && (a.len() == b.len() || a.len() == 1 || b.len() == 1)
                && (a.len() != b.len() || a.iter().zip(b).all(|(a, b)| a.eq_ignore_ascii_case(b)))
        }
        _ => key == expr,
    }
}

fn kind(name: &str, argument: Option<&Bound>) -> SqlType {
    let of = argument.map_or(SqlType::Int, |argument| argument.kind.clone());
    match name {
        "COUNT" => SqlType::Int,
        "COUNT_BIG" => SqlType::BigInt,
        "SUM" | "AVG" => match of {
            SqlType::TinyInt | SqlType::SmallInt | SqlType::Int => SqlType::Int,
            SqlType::Decimal { scale, .. } | SqlType::Numeric { scale, .. } => {
                SqlType::Decimal { precision: 38, scale }
            }
            SqlType::SmallMoney => SqlType::Money,
            SqlType::Real => SqlType::Float,
            other => other,
        },
        _ => of,
    }
}

fn aggregate(name: &str, argument: Option<&Bound>, rows: &[Row]) -> Result<Value<'static>, SqlError> {
    let Some(argument) = argument else { return counted(name, rows.len()) };
    let mut values = Vec::new();
    for row in rows {
        let value = eval(argument, row)?;
        if !value.is_null() {
            values.push(value);
        }
    }
    match name {
        "COUNT" | "COUNT_BIG" => counted(name, values.len()),
        "MIN" | "MAX" => {
            let collation = collation_of(&argument.kind).cloned().unwrap_or_default();
            let wanted = if name == "MIN" { Ordering::Less } else { Ordering::Greater };
            let best = values
                .into_iter()
                .reduce(|best, value| if order(&value, &best, &collation) == Some(wanted) { value } else { best });
            Ok(best.unwrap_or(Value::Null))
        }
        _ => total(name, argument, &values),
    }
}

fn counted(name: &str, count: usize) -> Result<Value<'static>, SqlError> {
    Ok(if name == "COUNT_BIG" { Value::BigInt(count as i64) } else { Value::Int(count as i32) })
}

fn total(name: &str, argument: &Bound, values: &[Value<'static>]) -> Result<Value<'static>, SqlError> {
    if values.is_empty() {
        return Ok(Value::Null);
    }
    let to = kind(name, Some(argument));
    let count = values.len();
    if to == SqlType::Float {
        let sum: f64 = values.iter().filter_map(approximate).sum();
        return Ok(Value::Float(if name == "AVG" { sum / count as f64 } else { sum }));
    }
    let overflow = || SqlError::new(8115, 16, "Arithmetic overflow error converting expression to data type.");
    let scale = values.iter().filter_map(exact).map(|(_, scale)| scale).max().unwrap_or(0);
    let mut sum = 0_i128;
    for (value, own) in values.iter().filter_map(exact) {
        sum = sum.checked_add(rescale(value, own, scale).ok_or_else(overflow)?).ok_or_else(overflow)?;
    }
    let sum = if name == "AVG" { sum / count as i128 } else { sum };
    crate::convert::convert(Value::Decimal { value: sum, scale }, &SqlType::Decimal { precision: 38, scale }, &to, None)
}
