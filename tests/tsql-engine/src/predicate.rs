//! Conditions: what is true, false or unknown.

use sqlparser::ast::{BinaryOperator, Expr, InTarget, UnaryOperator};

use crate::bind::{Binder, Bound, Predicate, Scope};
use crate::error::{error, unsupported};
use crate::expr::only_column;
use crate::native::Test;
use crate::value::{SqlError, SqlType};

impl Predicate {
    /// A condition that only SQLite can decide.
    pub fn of_sql(sql: String) -> Self {
        Self { sql, node: None }
    }

    fn negated(self) -> Self {
        let node = self.node.map(|test| Test::Not(Box::new(test)));
        Self { sql: format!("(NOT {})", self.sql), node }
    }

    fn negated_if(self, negated: bool) -> Self {
        if negated { self.negated() } else { self }
    }

    fn and(self, other: Self) -> Self {
        let node = self.node.zip(other.node).map(|(left, right)| Test::And(Box::new(left), Box::new(right)));
        Self { sql: format!("({} AND {})", self.sql, other.sql), node }
    }

    fn or(self, other: Self) -> Self {
        let node = self.node.zip(other.node).map(|(left, right)| Test::Or(Box::new(left), Box::new(right)));
        Self { sql: format!("({} OR {})", self.sql, other.sql), node }
    }

    fn is_null(value: Bound) -> Self {
        Self { sql: format!("({} IS NULL)", value.sql), node: value.node.map(Test::IsNull) }
    }
}

impl Binder<'_> {
    /// A condition in SQLite's SQL.
    pub fn predicate(&self, expr: &Expr, scope: &Scope<'_>) -> Result<String, SqlError> {
        Ok(self.test(expr, scope)?.sql)
    }

    /// An expression that is true, false or unknown.
    pub fn test(&self, expr: &Expr, scope: &Scope<'_>) -> Result<Predicate, SqlError> {
        Ok(match expr {
            Expr::Nested(inner) => {
                let inner = self.test(inner, scope)?;
                Predicate { sql: format!("({})", inner.sql), node: inner.node }
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => self.test(expr, scope)?.negated(),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.test(left, scope)?.and(self.test(right, scope)?)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                self.test(left, scope)?.or(self.test(right, scope)?)
            }
            Expr::BinaryOp { left, op, right } => {
                let operator = match op {
                    BinaryOperator::Eq => "=",
                    BinaryOperator::NotEq => "<>",
                    BinaryOperator::Lt => "<",
                    BinaryOperator::LtEq => "<=",
                    BinaryOperator::Gt => ">",
                    BinaryOperator::GtEq => ">=",
                    _ => {
                        return Err(error(
                            4145,
                            "An expression of non-boolean type specified in a context where a condition is expected.",
                        ));
                    }
                };
                self.comparison(left, operator, right, scope)?
            }
            Expr::IsNull(inner) => Predicate::is_null(self.value(inner, scope)?),
            Expr::IsNotNull(inner) => Predicate::is_null(self.value(inner, scope)?).negated(),
            Expr::In { expr, target: InTarget::List(list), negated, global: false } => {
                let tests: Result<Vec<Predicate>, SqlError> =
                    list.iter().map(|item| self.comparison(expr, "=", item, scope)).collect();
                let any = tests?.into_iter().reduce(Predicate::or);
                any.ok_or_else(|| unsupported("IN ()"))?.negated_if(*negated)
            }
            Expr::In { expr, target: InTarget::Subquery(subquery), negated, global: false } => {
                let value = self.value(expr, scope)?;
                let query = self.query(subquery, Some(scope))?;
                let column = only_column(&query)?;
                let alias = self.fresh();
                let name = crate::bind::quote(&alias);
                let inner = Bound::new(format!("{name}.\"c0\""), column.bound.sql_type.clone());
                let (left, right) = self.unify(value, inner)?;
                let sql =
                    format!("({} IN (SELECT {} FROM ({}) AS {name}))", self.key(&left), self.key(&right), query.sql);
                Predicate::of_sql(sql).negated_if(*negated)
            }
            Expr::Between { expr, negated, low, high } => {
                let low = self.comparison(expr, ">=", low, scope)?;
                low.and(self.comparison(expr, "<=", high, scope)?).negated_if(*negated)
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                let mut arguments = vec![self.value(expr, scope)?, self.value(pattern, scope)?];
                if let Some(escape) = escape_char {
                    arguments.push(self.value(escape, scope)?);
                }
                let like = self.call("like", "", &arguments, SqlType::Bit)?;
                let found = Predicate { sql: format!("({})", like.sql), node: like.node.map(Test::Holds) };
                found.negated_if(*negated)
            }
            Expr::Exists { subquery, negated } => {
                Predicate::of_sql(format!("EXISTS ({})", self.query(subquery, Some(scope))?.sql)).negated_if(*negated)
            }
            other => return Err(unsupported(&format!("condition {other}"))),
        })
    }

    /// Two expressions compared in their common type.
    pub fn comparison(
        &self,
        left: &Expr,
        operator: &'static str,
        right: &Expr,
        scope: &Scope<'_>,
    ) -> Result<Predicate, SqlError> {
        let (left, right) = self.unify(self.value(left, scope)?, self.value(right, scope)?)?;
        let sql = format!("({} {operator} {})", self.key(&left), self.key(&right));
        let sides = left.node.zip(right.node);
        let node = sides.map(|(a, b)| Test::Compare(operator, left.sql_type.clone(), a, b));
        Ok(Predicate { sql, node })
    }
}
