//! Scalar expressions of T-SQL in SQLite's SQL.

use sqlparser::ast::{BinaryOperator, CastKind, Expr, Ident, ObjectName, UnaryOperator, Value as Literal};

use crate::bind::{Binder, Bound, BoundQuery, OutColumn, Predicate, Scope};
use crate::convert_text::{parse_decimal, text_value};
use crate::error::{error, unsupported};
use crate::native::Node;
use crate::types::{
    DEFAULT_COLLATION, common, decimal_shape, is_string, is_wide, length_of, parse_type, precedence, type_name,
    with_collation,
};
use crate::value::{Collation, Len, SqlError, SqlType, Value};

/// The parts of an object name.
pub fn parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.clone()).collect()
}

/// nvarchar of a length in the default collation.
pub fn nvarchar(len: Len) -> SqlType {
    SqlType::NVarChar { len, collation: Collation(DEFAULT_COLLATION.to_owned()) }
}

/// varchar of a length in the default collation.
pub fn varchar(len: Len) -> SqlType {
    SqlType::VarChar { len, collation: Collation(DEFAULT_COLLATION.to_owned()) }
}

impl Binder<'_> {
    /// A type of a cast, alias types included.
    pub fn type_of(&self, text: &str) -> Result<SqlType, SqlError> {
        parse_type(text, DEFAULT_COLLATION, 30).or_else(|failure| {
            match crate::catalog::alias_type(self.env.connection, text)? {
                Some((base, ..)) => parse_type(&base, DEFAULT_COLLATION, 1),
                None => Err(failure),
            }
        })
    }

    /// A type of a variable or a parameter, whose strings have one character where no length is written.
    pub fn declared_type(&self, text: &str) -> Result<SqlType, SqlError> {
        parse_type(text, DEFAULT_COLLATION, 1).or_else(|_| self.type_of(text))
    }

    /// An expression that yields a value.
    pub fn value(&self, expr: &Expr, scope: &Scope<'_>) -> Result<Bound, SqlError> {
        match expr {
            Expr::Nested(inner) => self.value(inner, scope),
            Expr::Value(literal) => constant(&literal.value),
            Expr::Identifier(ident) => self.identifier(std::slice::from_ref(ident), scope),
            Expr::CompoundIdentifier(idents) => self.identifier(idents, scope),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
                let bound = self.value(expr, scope)?;
                let sql_type = bound.sql_type.clone();
                self.call("neg", "", &[bound], sql_type)
            }
            Expr::UnaryOp { op: UnaryOperator::Plus, expr } => self.value(expr, scope),
            Expr::BinaryOp { left, op, right } => self.arithmetic(left, op, right, scope),
            Expr::Cast { kind, expr, data_type, .. } => {
                let to = self.type_of(&data_type.to_string())?;
                let bound = self.value(expr, scope)?;
                self.converted(bound, to, "0", !matches!(kind, CastKind::Cast))
            }
            Expr::Convert { is_try, expr, data_type: Some(data_type), styles, .. } => {
                let to = self.type_of(&data_type.to_string())?;
                let style = match styles.first() {
                    Some(style) => match self.value(style, scope)?.constant {
                        Some(Value::Int(style)) => style.to_string(),
                        _ => return Err(unsupported(&format!("CONVERT with style {style}"))),
                    },
                    None => "0".to_owned(),
                };
                self.converted(self.value(expr, scope)?, to, &style, *is_try)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let mut results = Vec::new();
                let mut tests = Vec::new();
                for when in conditions {
                    tests.push(match operand {
                        Some(operand) => self.comparison(operand, "=", &when.condition, scope)?,
                        None => self.test(&when.condition, scope)?,
                    });
                    results.push(self.value(&when.result, scope)?);
                }
                let otherwise = match else_result {
                    Some(expr) => self.value(expr, scope)?,
                    None => null(),
                };
                results.push(otherwise);
                self.cases(tests, results)
            }
            Expr::Collate { expr, collation } => {
                let bound = self.value(expr, scope)?;
                let name = parts(collation).join(".");
                let name = if name.eq_ignore_ascii_case("database_default") { DEFAULT_COLLATION } else { &name };
                crate::collation_names::known(name, self.env.instance.version())?;
                if !is_string(&bound.sql_type) {
                    let found = type_name(&bound.sql_type);
                    return Err(error(447, format!("Expression type {found} is invalid for COLLATE clause.")));
                }
                let sql_type = with_collation(&bound.sql_type, name);
                Ok(Bound { collated: true, ..self.cast(Bound { constant: None, ..bound }, &sql_type)? })
            }
            Expr::Subquery(query) => {
                let bound = self.query(query, Some(scope))?;
                let column = only_column(&bound)?;
                // SQLite would take the first of several rows, where SQL Server fails.
                let sql = format!("(SELECT lone(count(*), \"c0\") FROM ({}))", bound.sql);
                Ok(Bound::new(sql, column.bound.sql_type.clone()))
            }
            Expr::Function(function) => self.function(function, scope),
            Expr::Substring { expr, substring_from: Some(from), substring_for: Some(length), .. } => {
                self.named("substring", &[expr, from, length], scope)
            }
            Expr::Floor {
                expr,
                field: sqlparser::ast::CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime),
            } => self.named("floor", &[expr], scope),
            Expr::Ceil {
                expr,
                field: sqlparser::ast::CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime),
            } => self.named("ceiling", &[expr], scope),
            Expr::Trim { expr, trim_where: None, trim_what: None, trim_characters: None } => {
                self.named("trim", &[expr], scope)
            }
            other => Err(unsupported(&other.to_string())),
        }
    }

    fn named(&self, name: &str, arguments: &[&Expr], scope: &Scope<'_>) -> Result<Bound, SqlError> {
        let bound: Result<Vec<Bound>, SqlError> =
            arguments.iter().map(|argument| self.value(argument, scope)).collect();
        self.scalar(name, &bound?)
    }

    fn converted(&self, bound: Bound, to: SqlType, style: &str, tries: bool) -> Result<Bound, SqlError> {
        let bound = self.datetime_as(bound, &to)?;
        if tries {
            return self.call("try_convert", style, &[bound], to);
        }
        let to = if is_string(&to) && is_string(&bound.sql_type) {
            with_collation(&to, crate::types::collation_of(&bound.sql_type).unwrap_or(DEFAULT_COLLATION))
        } else {
            to
        };
        if style == "0" { self.cast(bound, &to) } else { self.call("convert", style, &[bound], to) }
    }

    /// CASE from finished tests; the last result is ELSE.
    pub fn cases(&self, tests: Vec<Predicate>, results: Vec<Bound>) -> Result<Bound, SqlError> {
        let sql_type = self.common_type(&results);
        let nullable = results.iter().any(|result| result.nullable);
        let mut sql = "CASE".to_owned();
        let (mut tests, mut cases, mut otherwise) = (tests.into_iter(), Some(Vec::new()), None);
        for result in results {
            let cast = self.cast(result, &sql_type)?;
            let Some(test) = tests.next() else {
                sql.push_str(&format!(" ELSE {}", cast.sql));
                otherwise = cast.node;
                break;
            };
            sql.push_str(&format!(" WHEN {} THEN {}", test.sql, cast.sql));
            let case = test.node.zip(cast.node);
            cases = cases.zip(case).map(|(mut cases, case)| {
                cases.push(case);
                cases
            });
        }
        sql.push_str(" END");
        let node = cases.zip(otherwise).map(|(cases, otherwise)| Node::Case(cases, Box::new(otherwise)));
        Ok(Bound { nullable, node, ..Bound::new(sql, sql_type) })
    }

    /// The common type of several results; a bare NULL has no say.
    pub fn common_type(&self, results: &[Bound]) -> SqlType {
        results
            .iter()
            .filter(|result| !matches!(result.constant, Some(Value::Null)))
            .map(|result| result.sql_type.clone())
            .reduce(|left, right| common(&left, &right))
            .unwrap_or(SqlType::Int)
    }

    fn identifier(&self, idents: &[Ident], scope: &Scope<'_>) -> Result<Bound, SqlError> {
        let names: Vec<String> = idents.iter().map(|ident| ident.value.clone()).collect();
        if let [name] = names.as_slice() {
            if let Some(system) = name.strip_prefix("@@") {
                return self.system_variable(system);
            }
            if name.starts_with('@') {
                let (sql_type, value) = self.env.variable(name)?;
                return Ok(Bound::constant(value, sql_type));
            }
            if idents[0].quote_style.is_none()
                && ["current_timestamp", "current_user", "session_user", "system_user"]
                    .contains(&name.to_lowercase().as_str())
            {
                return self.scalar(&name.to_lowercase(), &[]);
            }
        }
        if let Some((last, rest)) = names.split_last()
            && last.eq_ignore_ascii_case("STSrid")
            && !rest.is_empty()
        {
            let column = scope.find(rest)?;
            return self.call("udt_srid", "", &[column], SqlType::Int);
        }
        scope.find(&names)
    }

    fn arithmetic(&self, left: &Expr, op: &BinaryOperator, right: &Expr, scope: &Scope<'_>) -> Result<Bound, SqlError> {
        let name = match op {
            BinaryOperator::Plus => "add",
            BinaryOperator::Minus => "sub",
            BinaryOperator::Multiply => "mul",
            BinaryOperator::Divide => "div",
            BinaryOperator::Modulo => "mod",
            BinaryOperator::BitwiseAnd => "and",
            BinaryOperator::BitwiseOr => "or",
            BinaryOperator::BitwiseXor => "xor",
            other => return Err(unsupported(&format!("operator {other} as a value"))),
        };
        let (left, right) = (self.value(left, scope)?, self.value(right, scope)?);
        let text = |bound: &Bound| is_string(&bound.sql_type);
        let bytes = |bound: &Bound| matches!(bound.sql_type, SqlType::Binary { .. } | SqlType::VarBinary { .. });
        if name == "add" && (text(&left) && text(&right) || bytes(&left) && bytes(&right)) {
            let joined = joined_type(&left, &right);
            let wide = is_wide(&joined);
            let widen = |bound: Bound| {
                if wide && !is_wide(&bound.sql_type) {
                    let len = length_of(&bound.sql_type).map_or(Len::Max, |length| Len::N(length.min(4000) as u16));
                    self.cast(bound, &nvarchar(len))
                } else {
                    Ok(bound)
                }
            };
            let collated = left.collated || right.collated;
            let (left, right) = (widen(left)?, widen(right)?);
            return Ok(Bound { collated, ..self.call("add", "", &[left, right], joined)? });
        }
        if precedence(&left.sql_type) >= 22 || precedence(&right.sql_type) >= 22 {
            // datetime + number of days.
            if matches!(left.sql_type, SqlType::DateTime) && name == "add" {
                let sql_type = left.sql_type.clone();
                return self.call("dateadd", "day", &[right, left], sql_type);
            }
            return Err(error(402, "The data types are incompatible in the operator."));
        }
        let operand = match common(&left.sql_type, &right.sql_type) {
            SqlType::Bit => SqlType::Int,
            other => other,
        };
        if matches!(operand, SqlType::Decimal { .. } | SqlType::Numeric { .. }) {
            let own = |bound: &Bound, other: &Bound| {
                let shape = if is_string(&bound.sql_type) {
                    decimal_shape(&other.sql_type)
                } else {
                    decimal_shape(&bound.sql_type)
                };
                SqlType::Decimal { precision: shape.0, scale: shape.1 }
            };
            let (to_left, to_right) = (own(&left, &right), own(&right, &left));
            let result = decimal_result(name, decimal_shape(&to_left), decimal_shape(&to_right));
            let (left, right) = (self.cast(left, &to_left)?, self.cast(right, &to_right)?);
            return self.call(name, "", &[left, right], result);
        }
        let (left, right) = (self.cast(left, &operand)?, self.cast(right, &operand)?);
        self.call(name, "", &[left, right], operand)
    }
}

/// The column of a subquery that stands for a value.
pub fn only_column(query: &BoundQuery) -> Result<&OutColumn, SqlError> {
    match query.columns.as_slice() {
        [column] => Ok(column),
        _ => Err(error(
            116,
            "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
        )),
    }
}

/// The type of two strings (or binaries) joined.
fn joined_type(left: &Bound, right: &Bound) -> SqlType {
    let wide = is_wide(&left.sql_type) || is_wide(&right.sql_type);
    let limit = if wide { 4000 } else { 8000 };
    let len = match (length_of(&left.sql_type), length_of(&right.sql_type)) {
        (Some(a), Some(b)) => Len::N((a + b).min(limit) as u16),
        _ => Len::Max,
    };
    let named = [left, right].into_iter().find(|side| side.collated);
    let column = named.unwrap_or(if left.constant.is_none() { left } else { right });
    match crate::types::collation_of(&column.sql_type) {
        Some(name) => {
            let plain = if wide { nvarchar(len) } else { varchar(len) };
            with_collation(&plain, name)
        }
        None => SqlType::VarBinary { len },
    }
}

/// Precision and scale of a decimal operation, after SQL Server's rules.
fn decimal_result(name: &str, (p1, s1): (u8, u8), (p2, s2): (u8, u8)) -> SqlType {
    let (p1, s1, p2, s2) = (i32::from(p1), i32::from(s1), i32::from(p2), i32::from(s2));
    let (precision, scale) = match name {
        "mul" => (p1 + p2 + 1, s1 + s2),
        "div" => {
            let scale = (s1 + p2 + 1).max(6);
            (p1 - s1 + s2 + scale, scale)
        }
        "mod" => ((p1 - s1).min(p2 - s2) + s1.max(s2), s1.max(s2)),
        _ => ((p1 - s1).max(p2 - s2) + s1.max(s2) + 1, s1.max(s2)),
    };
    let (precision, scale) = if precision > 38 {
        let whole = precision - scale;
        (38, (38 - whole).max(scale.min(6)).min(scale).max(0))
    } else {
        (precision, scale)
    };
    SqlType::Decimal { precision: precision as u8, scale: scale as u8 }
}

/// An untyped NULL, which SQL Server calls int.
pub fn null() -> Bound {
    Bound::constant(Value::Null, SqlType::Int)
}

/// A string constant.
pub fn text_constant(text: &str, wide: bool) -> Result<Bound, SqlError> {
    let units = if wide { text.encode_utf16().count() } else { text.chars().count() };
    let len = if units > if wide { 4000 } else { 8000 } { Len::Max } else { Len::N(units.max(1) as u16) };
    let sql_type = if wide { nvarchar(len) } else { varchar(len) };
    Ok(Bound::constant(text_value(text, &sql_type)?, sql_type))
}

fn constant(literal: &Literal) -> Result<Bound, SqlError> {
    Ok(match literal {
        Literal::Null => null(),
        Literal::SingleQuotedString(text) => text_constant(text, false)?,
        Literal::NationalStringLiteral(text) => text_constant(text, true)?,
        Literal::HexStringLiteral(digits) => {
            let bytes = crate::convert::unhex(digits).ok_or_else(|| unsupported(digits))?;
            let len = if bytes.len() > 8000 { Len::Max } else { Len::N(bytes.len().max(1) as u16) };
            Bound::constant(Value::Binary(bytes.into()), SqlType::VarBinary { len })
        }
        Literal::Number(text, _) => number(text)?,
        Literal::Placeholder(text) => money(text)?,
        other => return Err(unsupported(&other.to_string())),
    })
}

/// `$12.5`, a constant of the type money ("Constants (Transact-SQL)").
fn money(text: &str) -> Result<Bound, SqlError> {
    let number = text.strip_prefix('$').and_then(parse_decimal);
    let (value, scale) = number.ok_or_else(|| unsupported(text))?;
    let decimal = SqlType::Decimal { precision: 38, scale };
    let value = crate::convert::convert(Value::Decimal { value, scale }, &decimal, &SqlType::Money, 0)?;
    Ok(Bound::constant(value, SqlType::Money))
}

fn number(text: &str) -> Result<Bound, SqlError> {
    if text.contains(['e', 'E']) {
        let value: f64 = text.parse().map_err(|_| unsupported(text))?;
        return Ok(Bound::constant(Value::Float(value), SqlType::Float));
    }
    if let Ok(value) = text.parse::<i32>() {
        return Ok(Bound::constant(Value::Int(value), SqlType::Int));
    }
    let (value, scale) = parse_decimal(text)
        .ok_or_else(|| error(1007, format!("The number '{text}' is out of the range for numeric representation.")))?;
    let digits = value.unsigned_abs().to_string().len() as u8;
    let precision = digits.max(scale).max(1);
    if precision > 38 {
        return Err(error(
            1007,
            format!("The number '{text}' is out of the range for numeric representation (maximum precision 38)."),
        ));
    }
    Ok(Bound::constant(Value::Decimal { value, scale }, SqlType::Numeric { precision, scale }))
}
