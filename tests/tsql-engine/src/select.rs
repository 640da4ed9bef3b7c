//! Whole queries: SELECT with everything around it, set operations, common table expressions.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, LimitClause, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TopQuantity, Value as Literal, With,
};

use crate::bind::{Binder, Bound, BoundQuery, OutColumn, Scope, Source, quote, same};
use crate::error::{error, unsupported};
use crate::expr::parts;
use crate::from::mask_expression;
use crate::types::common;
use crate::value::{SqlError, Value};

impl Binder<'_> {
    /// A query; its columns are named `c0`, `c1` and so on in SQLite's SQL.
    pub fn query(&self, query: &Query, outer: Option<&Scope<'_>>) -> Result<BoundQuery, SqlError> {
        crate::unsupported::query(query)?;
        let known = self.ctes.borrow().len();
        self.define(query.with.as_ref(), outer)?;
        let order: &[OrderByExpr] = match query.order_by.as_ref().map(|order| &order.kind) {
            Some(OrderByKind::Expressions(items)) => items,
            Some(OrderByKind::All(_)) => return Err(unsupported("ORDER BY ALL")),
            None => &[],
        };
        let limit = self.limit(query)?;
        let bound = match query.body.as_ref() {
            SetExpr::Select(select) => self.select(select, order, &limit, outer),
            body => self.wrapped(self.body(body, outer)?, order, &limit),
        };
        self.ctes.borrow_mut().truncate(known);
        bound
    }

    /// Makes common table expressions known to what follows.
    pub fn define(&self, with: Option<&With>, outer: Option<&Scope<'_>>) -> Result<(), SqlError> {
        for cte in with.iter().flat_map(|with| &with.cte_tables) {
            let mut bound = self.query(&cte.query, outer)?;
            for (column, alias) in bound.columns.iter_mut().zip(&cte.alias.columns) {
                column.name.clone_from(&alias.name.value);
            }
            self.ctes.borrow_mut().push((cte.alias.name.value.clone(), bound));
        }
        Ok(())
    }

    fn limit(&self, query: &Query) -> Result<String, SqlError> {
        let mut sql = String::new();
        let count = |expr: &Expr| -> Result<i64, SqlError> {
            let scope = Scope { sources: &[], outer: None };
            match self.value(expr, &scope)?.constant {
                Some(Value::Int(count)) => Ok(i64::from(count)),
                Some(Value::BigInt(count)) => Ok(count),
                _ => Err(error(
                    1060,
                    "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer.",
                )),
            }
        };
        if let Some(fetch) = &query.fetch
            && let Some(quantity) = &fetch.quantity
        {
            sql = format!(" LIMIT {}", count(quantity)?);
        }
        if let Some(LimitClause::LimitOffset { limit, offset: Some(offset), .. }) = &query.limit_clause {
            if limit.is_some() {
                return Err(unsupported("LIMIT"));
            }
            if sql.is_empty() {
                sql.push_str(" LIMIT -1");
            }
            sql.push_str(&format!(" OFFSET {}", count(&offset.value)?));
        } else if query.limit_clause.is_some() {
            return Err(unsupported("LIMIT"));
        }
        Ok(sql)
    }

    fn body(&self, body: &SetExpr, outer: Option<&Scope<'_>>) -> Result<BoundQuery, SqlError> {
        match body {
            SetExpr::Select(select) => self.select(select, &[], "", outer),
            SetExpr::Query(query) => self.query(query, outer),
            SetExpr::Values(values) => {
                let empty = Scope { sources: &[], outer };
                let mut rows: Vec<Vec<Bound>> = Vec::new();
                for row in &values.rows {
                    let bound: Result<Vec<Bound>, SqlError> =
                        row.content.iter().map(|expr| self.value(expr, &empty)).collect();
                    rows.push(bound?);
                }
                self.rows(rows)
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let (left, right) = (self.body(left, outer)?, self.body(right, outer)?);
                self.combine(left, op, *set_quantifier, right)
            }
            other => Err(unsupported(&other.to_string())),
        }
    }

    /// Rows of expressions as a query of their common types.
    pub fn rows(&self, rows: Vec<Vec<Bound>>) -> Result<BoundQuery, SqlError> {
        let width = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|row| row.len() != width) {
            return Err(error(
                10709,
                "The number of columns for each row in a table value constructor must be the same.",
            ));
        }
        let mut columns = Vec::new();
        for at in 0..width {
            let cells: Vec<Bound> = rows.iter().map(|row| row[at].clone()).collect();
            let nullable = cells.iter().any(|cell| cell.nullable);
            let bound = Bound { nullable, ..Bound::new(String::new(), self.common_type(&cells)) };
            columns.push(OutColumn { name: format!("column{}", at + 1), bound });
        }
        let mut selects = Vec::new();
        for row in rows {
            let mut cells = Vec::new();
            for (at, cell) in row.into_iter().enumerate() {
                cells.push(format!("{} AS \"c{at}\"", self.cast(cell, &columns[at].bound.sql_type)?.sql));
            }
            selects.push(format!("SELECT {}", cells.join(", ")));
        }
        Ok(BoundQuery { sql: selects.join(" UNION ALL "), columns })
    }

    fn combine(
        &self,
        left: BoundQuery,
        op: &SetOperator,
        quantifier: SetQuantifier,
        right: BoundQuery,
    ) -> Result<BoundQuery, SqlError> {
        if left.columns.len() != right.columns.len() {
            return Err(error(
                205,
                "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.",
            ));
        }
        let columns: Vec<OutColumn> = left
            .columns
            .iter()
            .zip(&right.columns)
            .map(|(a, b)| {
                let literal_null = |column: &OutColumn| matches!(column.bound.constant, Some(Value::Null));
                let sql_type = if literal_null(a) {
                    b.bound.sql_type.clone()
                } else if literal_null(b) {
                    a.bound.sql_type.clone()
                } else {
                    common(&a.bound.sql_type, &b.bound.sql_type)
                };
                let bound =
                    Bound { nullable: a.bound.nullable || b.bound.nullable, ..Bound::new(String::new(), sql_type) };
                OutColumn { name: a.name.clone(), bound }
            })
            .collect();
        let (a, b) = (self.recast(left, &columns)?, self.recast(right, &columns)?);
        let word = match (op, quantifier) {
            (SetOperator::Union, SetQuantifier::All) => "UNION ALL",
            (SetOperator::Union, _) => "UNION",
            (SetOperator::Except, _) => "EXCEPT",
            (SetOperator::Intersect, _) => "INTERSECT",
            (SetOperator::Minus, _) => return Err(unsupported("MINUS")),
        };
        let plain = |column: &OutColumn| self.key(&column.bound) == column.bound.sql;
        let sql = if word == "UNION ALL" || columns.iter().all(plain) {
            format!("SELECT * FROM ({a}) {word} SELECT * FROM ({b})")
        } else {
            self.combined_by_key(&a, &b, word, &columns)
        };
        Ok(BoundQuery { sql, columns })
    }

    /// A set operation whose rows are the same where SQL Server says so: under their collations, not by their bytes.
    fn combined_by_key(&self, a: &str, b: &str, word: &str, columns: &[OutColumn]) -> String {
        let (left, right) = (self.fresh(), self.fresh());
        let keys = |alias: &str| -> Vec<String> {
            let query = BoundQuery { sql: String::new(), columns: columns.to_vec() };
            outward(&query, alias).iter().map(|column| self.key(&column.bound)).collect()
        };
        let (mine, others) = (keys(&left), keys(&right));
        let (left, right) = (quote(&left), quote(&right));
        let grouped = format!("GROUP BY {}", mine.join(", "));
        if word == "UNION" {
            return format!("SELECT * FROM (SELECT * FROM ({a}) UNION ALL SELECT * FROM ({b})) AS {left} {grouped}");
        }
        let same: Vec<String> = mine.iter().zip(&others).map(|(a, b)| format!("{a} IS {b}")).collect();
        let not = if word == "EXCEPT" { "NOT " } else { "" };
        format!(
            "SELECT * FROM ({a}) AS {left} WHERE {not}EXISTS (SELECT 1 FROM ({b}) AS {right} WHERE {}) {grouped}",
            same.join(" AND ")
        )
    }

    fn recast(&self, query: BoundQuery, columns: &[OutColumn]) -> Result<String, SqlError> {
        let alias = quote(&self.fresh());
        let mut cells = Vec::new();
        for (at, (own, wanted)) in query.columns.iter().zip(columns).enumerate() {
            let cell = Bound { sql: format!("{alias}.\"c{at}\""), constant: None, node: None, ..own.bound.clone() };
            let null = matches!(own.bound.constant, Some(Value::Null));
            let sql = if null { "NULL".to_owned() } else { self.cast(cell, &wanted.bound.sql_type)?.sql };
            cells.push(format!("{sql} AS \"c{at}\""));
        }
        Ok(format!("SELECT {} FROM ({}) AS {alias}", cells.join(", "), query.sql))
    }

    /// Orders and limits a query by its own columns.
    fn wrapped(&self, query: BoundQuery, order: &[OrderByExpr], limit: &str) -> Result<BoundQuery, SqlError> {
        if order.is_empty() && limit.is_empty() {
            return Ok(query);
        }
        let alias = self.fresh();
        let columns: Vec<OutColumn> = outward(&query, &alias);
        let source =
            Source { alias: alias.clone(), table: None, columns: columns.iter().map(OutColumn::scoped).collect() };
        let scope = Scope { sources: std::slice::from_ref(&source), outer: None };
        let order = self.order(order, &columns, &scope)?;
        Ok(BoundQuery { sql: format!("SELECT * FROM ({}) AS {}{order}{limit}", query.sql, quote(&alias)), columns })
    }

    /// ORDER BY: an ordinal or an output column's name first, else any expression.
    pub fn order(&self, order: &[OrderByExpr], columns: &[OutColumn], scope: &Scope<'_>) -> Result<String, SqlError> {
        let mut items = Vec::new();
        for item in order {
            let bound = match &item.expr {
                Expr::Value(value) => match &value.value {
                    Literal::Number(text, _) => text
                        .parse::<usize>()
                        .ok()
                        .and_then(|at| columns.get(at.wrapping_sub(1)))
                        .map(|column| column.bound.clone())
                        .ok_or_else(|| error(108, format!("The ORDER BY position number {text} is out of range of the number of items in the select list.")))?,
                    _ => self.value(&item.expr, scope)?,
                },
                Expr::Identifier(ident) => match columns.iter().find(|column| same(&column.name, &ident.value)) {
                    Some(column) => column.bound.clone(),
                    None => self.value(&item.expr, scope)?,
                },
                // SQL Server's usual "any order will do".
                Expr::Subquery(query) if matches!(query.body.as_ref(), SetExpr::Select(select) if select.from.is_empty()) => Bound::new("NULL".to_owned(), crate::value::SqlType::Int),
                other => self.value(other, scope)?,
            };
            let direction =
                if matches!(item.options.sort, Some(sqlparser::ast::OrderBySort::Desc)) { " DESC" } else { "" };
            items.push(format!("{}{direction}", self.key(&bound)));
        }
        Ok(if items.is_empty() { String::new() } else { format!(" ORDER BY {}", items.join(", ")) })
    }

    fn select(
        &self,
        select: &Select,
        order: &[OrderByExpr],
        limit: &str,
        outer: Option<&Scope<'_>>,
    ) -> Result<BoundQuery, SqlError> {
        crate::unsupported::select(select)?;
        if select.into.is_some() {
            return Err(unsupported("SELECT INTO"));
        }
        let mut sources = Vec::new();
        let from = self.from(&select.from, &mut sources, outer)?;
        let scope = Scope { sources: &sources, outer };
        let mut sql = String::new();
        if let Some(condition) = &select.selection {
            sql.push_str(&format!(" WHERE {}", self.predicate(condition, &scope)?));
        }
        let columns = self.projection(&select.projection, &scope)?;
        if let GroupByExpr::Expressions(items, _) = &select.group_by
            && !items.is_empty()
        {
            let keys: Result<Vec<String>, SqlError> =
                items.iter().map(|item| Ok(self.key(&self.value(item, &scope)?))).collect();
            sql.push_str(&format!(" GROUP BY {}", keys?.join(", ")));
        }
        if let Some(having) = &select.having {
            sql.push_str(&format!(" HAVING {}", self.predicate(having, &scope)?));
        }
        let cells: Vec<String> =
            columns.iter().enumerate().map(|(at, column)| format!("{} AS \"c{at}\"", column.bound.sql)).collect();
        let limit = match &select.top {
            Some(top) if top.percent || top.with_ties => return Err(unsupported("TOP PERCENT / WITH TIES")),
            Some(top) => match &top.quantity {
                Some(TopQuantity::Constant(count)) => format!(" LIMIT {count}"),
                Some(TopQuantity::Expr(expr)) => {
                    let count = self.value(expr, &Scope { sources: &[], outer: None })?;
                    format!(" LIMIT {}", count.sql)
                }
                None => String::new(),
            },
            None => limit.to_owned(),
        };
        let head = format!("SELECT {}{from}{sql}", cells.join(", "));
        if matches!(select.distinct, Some(Distinct::Distinct)) {
            let alias = self.fresh();
            let inner = BoundQuery { sql: head, columns };
            let outward = outward(&inner, &alias);
            let keys: Vec<String> = outward.iter().map(|column| self.key(&column.bound)).collect();
            let distinct = BoundQuery {
                sql: format!("SELECT * FROM ({}) AS {} GROUP BY {}", inner.sql, quote(&alias), keys.join(", ")),
                columns: outward,
            };
            return self.wrapped(distinct, order, &limit);
        }
        let order = self.order(order, &columns, &scope)?;
        Ok(BoundQuery { sql: format!("{head}{order}{limit}"), columns })
    }

    /// The columns of a SELECT list.
    pub fn projection(&self, items: &[SelectItem], scope: &Scope<'_>) -> Result<Vec<OutColumn>, SqlError> {
        let mut columns = Vec::new();
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let name = match expr {
                        Expr::Identifier(ident) if !ident.value.starts_with('@') => ident.value.clone(),
                        Expr::CompoundIdentifier(idents) => {
                            idents.last().map_or(String::new(), |ident| ident.value.clone())
                        }
                        _ => String::new(),
                    };
                    columns.push(OutColumn { name, bound: mask_expression(self.value(expr, scope)?) });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let bound = mask_expression(self.value(expr, scope)?);
                    columns.push(OutColumn { name: alias.value.clone(), bound });
                }
                SelectItem::Wildcard(options) => {
                    crate::unsupported::wildcard(options)?;
                    if scope.sources.is_empty() {
                        return Err(error(263, "Must specify table to select from."));
                    }
                    scope.sources.iter().for_each(|source| columns.extend(star(source)));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                    crate::unsupported::wildcard(options)?;
                    let alias = parts(name).pop().unwrap_or_default();
                    let source = scope
                        .sources
                        .iter()
                        .find(|source| same(&source.alias, &alias))
                        .ok_or_else(|| error(107, format!("The column prefix '{alias}' does not match with a table name or alias name used in the query.")))?;
                    columns.extend(star(source));
                }
                other => return Err(unsupported(&other.to_string())),
            }
        }
        Ok(columns)
    }
}

fn star(source: &Source) -> Vec<OutColumn> {
    let hidden = |name: &str| {
        source
            .table
            .as_ref()
            .is_some_and(|table| table.columns.iter().any(|column| column.hidden && column.name == name))
    };
    source
        .columns
        .iter()
        .filter(|column| !hidden(&column.name))
        .map(|column| OutColumn { name: column.name.clone(), bound: column.bound.clone() })
        .collect()
}

/// A query's columns as seen from outside, under an alias.
pub fn outward(query: &BoundQuery, alias: &str) -> Vec<OutColumn> {
    query
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| OutColumn {
            name: column.name.clone(),
            bound: Bound {
                sql: format!("{}.\"c{at}\"", quote(alias)),
                constant: None,
                node: None,
                ..column.bound.clone()
            },
        })
        .collect()
}

impl OutColumn {
    /// The column as a name in a scope.
    pub fn scoped(&self) -> crate::bind::ScopeColumn {
        crate::bind::ScopeColumn { name: self.name.clone(), bound: self.bound.clone() }
    }
}
