//! Aggregates: what they take, and the type of what they return.

use std::rc::Rc;

use sqlparser::ast::{Expr, FunctionArg};

use crate::bind::{Binder, Bound, Scope, text_literal};
use crate::builtin::is_large_object;
use crate::error::{error, unsupported};
use crate::expr::{nvarchar, varchar};
use crate::native::{Aggregate, Node};
use crate::types::{is_string, is_wide};
use crate::value::{Len, SqlError, SqlType};

/// 8117: an aggregate that does not take the type.
fn refused_operand(function: &str, sql_type: &SqlType) -> SqlError {
    let found = crate::types::type_name(sql_type);
    error(8117, format!("Operand data type {found} is invalid for {function} operator."))
}

/// What MIN and MAX do not take ("MAX": not bit; types without an order).
fn is_unordered(sql_type: &SqlType) -> bool {
    is_large_object(sql_type) || matches!(sql_type, SqlType::Bit | SqlType::Xml)
}

impl Binder<'_> {
    /// An aggregate; `None` where the name is of none.
    pub fn aggregate(
        &self,
        name: &str,
        raw: &[FunctionArg],
        exprs: &[&Expr],
        distinct: bool,
        scope: &Scope<'_>,
    ) -> Result<Option<Bound>, SqlError> {
        let counted = if name == "count" { SqlType::Int } else { SqlType::BigInt };
        if matches!(name, "count" | "count_big") {
            let (inner, node) = match (raw, exprs) {
                (_, [expr]) => {
                    let bound = self.value(expr, scope)?;
                    if is_large_object(&bound.sql_type) {
                        return Err(refused_operand(name, &bound.sql_type));
                    }
                    if distinct {
                        (format!("DISTINCT {}", self.key(&bound)), None)
                    } else {
                        (bound.sql, bound.node.map(|of| Aggregate::Count(Some(of))))
                    }
                }
                _ => ("*".to_owned(), Some(Aggregate::Count(None))),
            };
            let node = node.map(|count| Node::Aggregate(Rc::new(count)));
            return Ok(Some(Bound { nullable: false, node, ..Bound::new(format!("count({inner})"), counted) }));
        }
        if !matches!(name, "sum" | "min" | "max" | "avg" | "string_agg") {
            return Ok(None);
        }
        self.expect_function(name)?;
        let Some(first) = exprs.first() else { return Err(unsupported(name)) };
        let bound = self.value(first, scope)?;
        let sql_type = bound.sql_type.clone();
        if matches!(name, "min" | "max") {
            if is_unordered(&sql_type) {
                return Err(refused_operand(name, &sql_type));
            }
            if matches!(sql_type, SqlType::SqlVariant | SqlType::Udt { .. }) {
                return Err(unsupported(&format!("{name} of {}", crate::types::type_name(&sql_type))));
            }
        }
        let (result, option) = match name {
            "min" | "max" => {
                if !is_string(&sql_type) {
                    let greatest = name == "max";
                    let node = bound.node.map(|of| {
                        Node::Aggregate(Rc::new(Aggregate::Extreme { greatest, sql_type: sql_type.clone(), of }))
                    });
                    return Ok(Some(Bound { node, ..Bound::new(format!("{name}({})", bound.sql), sql_type) }));
                }
                (sql_type.clone(), String::new())
            }
            "string_agg" => {
                let separator = match exprs.get(1) {
                    Some(expr) => self.value(expr, scope)?,
                    None => return Err(unsupported("STRING_AGG without a separator")),
                };
                let text = match &separator.constant {
                    Some(value) => crate::convert::text_of(value, &separator.sql_type)?,
                    None => return Err(unsupported("STRING_AGG with a varying separator")),
                };
                (if is_wide(&sql_type) { nvarchar(Len::N(4000)) } else { varchar(Len::N(8000)) }, text)
            }
            _ => {
                let result = match &sql_type {
                    SqlType::TinyInt | SqlType::SmallInt | SqlType::Int => SqlType::Int,
                    SqlType::Decimal { scale, .. } | SqlType::Numeric { scale, .. } => {
                        SqlType::Decimal { precision: 38, scale: if name == "avg" { (*scale).max(6) } else { *scale } }
                    }
                    SqlType::Real => SqlType::Float,
                    SqlType::SmallMoney => SqlType::Money,
                    SqlType::BigInt | SqlType::Float | SqlType::Money => sql_type.clone(),
                    other => return Err(refused_operand(name, other)),
                };
                (result, String::new())
            }
        };
        let call =
            crate::call::Call { name: name.to_owned(), option, arguments: vec![sql_type], result: result.clone() };
        let distinct = if distinct { return Err(unsupported(&format!("{name}(DISTINCT)"))) } else { "" };
        let sql = format!("fold({distinct}{},{})", text_literal(&call.spec()), bound.sql);
        let node = bound.node.map(|of| Node::Aggregate(Rc::new(Aggregate::Fold(Rc::new(call), of))));
        Ok(Some(Bound { node, ..Bound::new(sql, result) }))
    }
}
