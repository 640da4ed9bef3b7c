//! `sys.dm_exec_describe_first_result_set`: what a query would return, without running it.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, ObjectName, TableAlias, TableFunctionArgs};

use crate::bind::{Binder, Bound, Scope, ScopeColumn, Source, quote, same, text_literal};
use crate::collation::decode_utf16;
use crate::error::unsupported;
use crate::expr::{nvarchar, parts};
use crate::types::collation_of;
use crate::value::{Len, SqlError, SqlType, Value};

/// The function's name in `sys`.
pub const NAME: &str = "dm_exec_describe_first_result_set";

impl Binder<'_> {
    /// The function in FROM: of one query, without parameters, without browse information. Of its columns there are those that
    /// tell of collations.
    pub fn described(
        &self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        arguments: &TableFunctionArgs,
        sources: &mut Vec<Source>,
    ) -> Result<String, SqlError> {
        let refused = || unsupported(&format!("FROM {name} with these arguments"));
        match parts(name).as_slice() {
            [schema, function] if same(schema, "sys") && same(function, NAME) => {}
            [schema, function] if same(schema, "sys") && same(function, crate::references::NAME) => {
                return self.referenced(alias, arguments, sources);
            }
            _ => return Err(unsupported(&format!("FROM {name} (…)"))),
        }
        let mut values = Vec::new();
        for argument in &arguments.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else { return Err(refused()) };
            values.push(self.constant_of(argument)?);
        }
        let sql = match values.as_slice() {
            [Some(Value::NVarChar(sql)), Some(Value::Null), Some(Value::Int(0))] => decode_utf16(sql),
            _ => return Err(refused()),
        };
        let outside = self.describes.replace(true);
        let query = self.query(&crate::script::parse_query(&sql)?, None);
        self.describes.set(outside);
        let query = query?;
        let text = |text: &str| format!("u16({})", text_literal(text));
        let rows: Vec<String> = query
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let collation = collation_of(&column.bound.sql_type).map_or_else(|| "NULL".to_owned(), text);
                format!(
                    "SELECT {} AS column_ordinal, {} AS name, {collation} AS collation_name",
                    at + 1,
                    text(&column.name)
                )
            })
            .collect();
        let shown = alias.map_or_else(|| NAME.to_owned(), |alias| alias.name.value.clone());
        let column = |name: &str, sql_type: SqlType| ScopeColumn {
            name: name.to_owned(),
            bound: Bound::new(format!("{}.{}", quote(&shown), quote(name)), sql_type),
        };
        let sysname = || nvarchar(Len::N(128));
        let columns = vec![
            column("column_ordinal", SqlType::Int),
            column("name", sysname()),
            column("collation_name", sysname()),
        ];
        sources.push(Source { alias: shown.clone(), table: None, columns });
        Ok(format!("({}) AS {}", rows.join(" UNION ALL "), quote(&shown)))
    }

    pub fn constant_of(&self, expr: &Expr) -> Result<Option<Value<'static>>, SqlError> {
        Ok(self.value(expr, &Scope { sources: &[], outer: None })?.constant)
    }
}
