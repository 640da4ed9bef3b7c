//! FROM: tables, views, catalog views, derived tables and joins.

use sqlparser::ast::{JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableWithJoins};

use crate::bind::{Binder, Bound, BoundQuery, Scope, ScopeColumn, Source, quote, same, text_literal};
use crate::error::{error, unsupported};
use crate::expr::parts;
use crate::select::outward;
use crate::value::{SqlError, SqlType};

impl Binder<'_> {
    /// The FROM clause, and the sources that it brings into scope.
    pub fn from(
        &self,
        tables: &[TableWithJoins],
        sources: &mut Vec<Source>,
        outer: Option<&Scope<'_>>,
    ) -> Result<String, SqlError> {
        let mut items = Vec::new();
        for table in tables {
            items.push(self.joined(table, sources, outer)?);
        }
        Ok(if items.is_empty() { String::new() } else { format!(" FROM {}", items.join(" CROSS JOIN ")) })
    }

    fn joined(
        &self,
        table: &TableWithJoins,
        sources: &mut Vec<Source>,
        outer: Option<&Scope<'_>>,
    ) -> Result<String, SqlError> {
        let outside = self.joins.replace(!table.joins.is_empty());
        let changed = self.changed.borrow().len();
        let sql = self.sides(table, sources, outer);
        self.changed.borrow_mut().truncate(changed);
        self.joins.set(outside);
        sql
    }

    fn sides(
        &self,
        table: &TableWithJoins,
        sources: &mut Vec<Source>,
        outer: Option<&Scope<'_>>,
    ) -> Result<String, SqlError> {
        let mut sql = self.factor(&table.relation, sources, outer)?;
        for join in &table.joins {
            let before = sources.len();
            let right = self.factor(&join.relation, sources, outer)?;
            let (word, constraint) = match &join.join_operator {
                JoinOperator::Join(on) | JoinOperator::Inner(on) => ("JOIN", Some(on)),
                JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => ("LEFT JOIN", Some(on)),
                JoinOperator::Right(on) | JoinOperator::RightOuter(on) => ("RIGHT JOIN", Some(on)),
                JoinOperator::FullOuter(on) => ("FULL JOIN", Some(on)),
                JoinOperator::CrossJoin(_) | JoinOperator::CrossApply => ("CROSS JOIN", None),
                other => return Err(unsupported(&format!("join {other:?}"))),
            };
            sql = format!("{sql} {word} {right}");
            if matches!(word, "LEFT JOIN" | "FULL JOIN") {
                sources[before..].iter_mut().for_each(loosen);
            }
            if matches!(word, "RIGHT JOIN" | "FULL JOIN") {
                sources[..before].iter_mut().for_each(loosen);
            }
            match constraint {
                Some(JoinConstraint::On(condition)) => {
                    let scope = Scope { sources, outer };
                    sql = format!("{sql} ON {}", self.predicate(condition, &scope)?);
                }
                Some(JoinConstraint::None) | None => {}
                Some(other) => return Err(unsupported(&format!("join {other:?}"))),
            }
        }
        Ok(sql)
    }

    fn factor(
        &self,
        factor: &TableFactor,
        sources: &mut Vec<Source>,
        outer: Option<&Scope<'_>>,
    ) -> Result<String, SqlError> {
        crate::unsupported::factor(factor)?;
        match factor {
            TableFactor::Table { name, alias, args: None, version: None, .. } => {
                self.table(name, alias.as_ref(), sources)
            }
            TableFactor::Table { name, alias, args: Some(arguments), version: None, .. }
                if crate::changetable::is_named(name) =>
            {
                self.change_table(alias.as_ref(), arguments, sources, outer)
            }
            TableFactor::Table { name, alias, args: Some(arguments), version: None, .. } => {
                self.described(name, alias.as_ref(), arguments, sources)
            }
            TableFactor::Derived { subquery, alias: Some(alias), .. } => {
                let query = self.query(subquery, outer)?;
                Ok(self.derived(&query, alias, sources))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                Ok(format!("({})", self.joined(table_with_joins, sources, outer)?))
            }
            other => Err(unsupported(&format!("FROM {other}"))),
        }
    }

    fn derived(&self, query: &BoundQuery, alias: &TableAlias, sources: &mut Vec<Source>) -> String {
        let name = alias.name.value.clone();
        let mut columns = outward(query, &name);
        for (column, renamed) in columns.iter_mut().zip(&alias.columns) {
            column.name.clone_from(&renamed.name.value);
        }
        let scoped = columns.iter().map(crate::bind::OutColumn::scoped).collect();
        sources.push(Source { alias: name.clone(), table: None, columns: scoped });
        format!("({}) AS {}", query.sql, quote(&name))
    }

    fn table(
        &self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        sources: &mut Vec<Source>,
    ) -> Result<String, SqlError> {
        let names = parts(name);
        let Some(last) = names.last() else { return Err(unsupported("FROM without a name")) };
        let shown = alias.map_or_else(|| last.clone(), |alias| alias.name.value.clone());
        if let [only] = names.as_slice() {
            let cte = self.ctes.borrow().iter().rev().find(|(cte, _)| same(cte, only)).map(|(_, query)| query.clone());
            if let Some(query) = cte {
                let columns = outward(&query, &shown).iter().map(crate::bind::OutColumn::scoped).collect();
                sources.push(Source { alias: shown.clone(), table: None, columns });
                return Ok(format!("({}) AS {}", query.sql, quote(&shown)));
            }
        }
        self.named.borrow_mut().push(names.clone());
        let place = match names.as_slice() {
            [database, _, _] if !database.is_empty() => self.env.place(database)?,
            [] | [_] | [_, _] | [_, _, _] => self.place.borrow().clone(),
            _ => return Err(unsupported(&format!("a table of another server: {}", names.join(".")))),
        };
        let schema = names.len().checked_sub(2).map_or("dbo", |at| names[at].as_str());
        let schema = if schema.is_empty() { "dbo" } else { schema };
        if same(schema, "sys") || same(schema, "INFORMATION_SCHEMA") {
            let view = crate::catalog_views::view(self.env, &place, schema, last)?
                .ok_or_else(|| error(208, format!("Invalid object name '{}'.", names.join("."))))?;
            let quirks = self.env.quirks();
            let columns = view
                .columns
                .into_iter()
                .map(|(column, sql_type, nullable)| {
                    let sql = if quirks.lacks_values(schema, last, &column) {
                        "NULL".to_owned()
                    } else {
                        format!("{}.{}", quote(&shown), quote(&column))
                    };
                    ScopeColumn { bound: Bound { nullable, ..Bound::new(sql, sql_type) }, name: column }
                })
                .collect();
            sources.push(Source { alias: shown.clone(), table: None, columns });
            let lost = self.joins.get() && quirks.loses_in_joins(schema, last);
            let sql = if lost { format!("SELECT * FROM ({}) WHERE 0", view.sql) } else { view.sql };
            return Ok(format!("({sql}) AS {}", quote(&shown)));
        }
        let table = crate::catalog::find_at(self.env.connection, &place, schema, last)?
            .ok_or_else(|| error(208, format!("Invalid object name '{}'.", names.join("."))))?;
        self.env.may_select(&table)?;
        self.env.allows_isolation(&table)?;
        if let Some(definition) = &table.view {
            let query = crate::script::parse_query(definition)?;
            let outside = self.place.replace(table.place.clone());
            let named = self.named.take();
            let bound = self.query(&query, None);
            self.named.replace(named);
            self.place.replace(outside);
            let mut bound = bound?;
            for (column, declared) in bound.columns.iter_mut().zip(&table.columns) {
                column.name.clone_from(&declared.name);
            }
            let columns = outward(&bound, &shown).iter().map(crate::bind::OutColumn::scoped).collect();
            sources.push(Source { alias: shown.clone(), table: Some(table), columns });
            return Ok(format!("({}) AS {}", bound.sql, quote(&shown)));
        }
        let stored = match table.tpch {
            Some(scale) if !self.describes.get() && !self.changed.borrow().contains(&table.id) => {
                crate::tpch::materialize(self.env, &table, scale)?
            }
            _ => table.stored(),
        };
        let masked = self.env.masked_columns(&table.place.at, table.id)?;
        let columns = table
            .columns
            .iter()
            .map(|column| {
                let sql = format!("{}.{}", quote(&shown), quote(&column.name));
                let sql = match masked.get(&column.id) {
                    Some(function) => own_mask(function, &sql, &column.sql_type),
                    None => sql,
                };
                let bound = Bound {
                    nullable: column.nullable,
                    identity: column.identity,
                    ..Bound::new(sql, column.sql_type.clone())
                };
                ScopeColumn { name: column.name.clone(), bound }
            })
            .collect();
        sources.push(Source { alias: shown.clone(), table: Some(table), columns });
        Ok(format!("{stored} AS {}", quote(&shown)))
    }
}

/// The columns of an outer join's optional side.
fn loosen(source: &mut Source) {
    source.columns.iter_mut().for_each(|column| column.bound.nullable = true);
}

/// What tells SQL over a masked column from other SQL.
const MASK: &str = "/*mask*/";

/// The mask that a column's own function makes of a value: `email()` shows its first letter, and every other function the default. A
/// column of wide characters shows the default, too.
fn own_mask(function: &str, sql: &str, sql_type: &SqlType) -> String {
    if function.eq_ignore_ascii_case("email()") && crate::types::is_string(sql_type) && !crate::types::is_wide(sql_type)
    {
        // "aXXX@XXXX.com"
        let shown =
            format!("CAST(substr({sql}, 1, 1) || x'{}' AS BLOB)", crate::convert_text::hex_text(b"XXX@XXXX.com"));
        return format!("(CASE WHEN {sql} IS NOT NULL THEN {shown} END{MASK})");
    }
    masked_as(sql, sql_type)
}

/// The mask of a value, unless it is NULL.
fn masked_as(sql: &str, sql_type: &SqlType) -> String {
    format!("(CASE WHEN {sql} IS NOT NULL THEN {} END{MASK})", mask(sql_type))
}

/// "Whenever you project an expression referencing a column for which a data masking function is defined, the expression is also masked.
/// Regardless of the function used to mask the referenced column, the resulting expression will always be masked with the default
/// function" ("Dynamic data masking").
pub fn mask_expression(bound: Bound) -> Bound {
    let is_column = bound.sql.matches(MASK).count() == 1 && bound.sql.ends_with(&format!("{MASK})"));
    if is_column || !bound.sql.contains(MASK) {
        return bound;
    }
    let sql = masked_as(&bound.sql.replace(MASK, ""), &bound.sql_type);
    Bound { sql, node: None, constant: None, ..bound }
}

/// What a masked column shows to those who may not see it (`default()`).
fn mask(sql_type: &SqlType) -> String {
    let constant = |text: &str| {
        crate::expr::text_constant(text, crate::types::is_wide(sql_type)).and_then(|bound| {
            let value = bound.constant.unwrap_or(crate::value::Value::Null);
            let value = crate::convert::convert(value, &bound.sql_type, sql_type, 0)?;
            Ok(crate::bind::literal(&crate::codec::store(&value, sql_type)))
        })
    };
    let shown = match sql_type {
        _ if crate::types::is_string(sql_type) => constant("xxxx"),
        SqlType::Xml => constant("<masked />"),
        SqlType::Date | SqlType::DateTime | SqlType::SmallDateTime | SqlType::DateTime2 { .. } => {
            constant("1900-01-01")
        }
        SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Image => Ok("x'30'".to_owned()),
        _ => constant("0"),
    };
    shown.unwrap_or_else(|_| text_literal(""))
}
