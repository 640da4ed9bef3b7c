//! `sys.dm_sql_referenced_entities`: what the definition of a view names.

use sqlparser::ast::{FunctionArg, FunctionArgExpr, TableAlias, TableFunctionArgs};

use crate::bind::{Binder, Bound, ScopeColumn, Source, quote, text_literal};
use crate::collation::decode_utf16;
use crate::error::unsupported;
use crate::expr::nvarchar;
use crate::value::{Len, SqlError, SqlType, Value};

/// The function's name in `sys`.
pub const NAME: &str = "dm_sql_referenced_entities";

impl Binder<'_> {
    /// The function in FROM, with the names of a view and the class OBJECT. A row for each entity, none for their columns; no row for what
    /// is not there, and for those who may not see the definition.
    pub fn referenced(
        &self,
        alias: Option<&TableAlias>,
        arguments: &TableFunctionArgs,
        sources: &mut Vec<Source>,
    ) -> Result<String, SqlError> {
        let refused = || unsupported(&format!("FROM sys.{NAME} with these arguments"));
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(name)), FunctionArg::Unnamed(FunctionArgExpr::Expr(class))] =
            arguments.args.as_slice()
        else {
            return Err(refused());
        };
        let (Some(Value::NVarChar(name)), Some(Value::NVarChar(class))) =
            (self.constant_of(name)?, self.constant_of(class)?)
        else {
            return Err(refused());
        };
        if !decode_utf16(&class).eq_ignore_ascii_case("OBJECT") {
            return Err(refused());
        }
        let names = crate::permissions::parse_name(&decode_utf16(&name)).ok_or_else(refused)?;
        let mut rows = vec!["SELECT 0, NULL, NULL, NULL, NULL, NULL, 0 WHERE 0".to_owned()];
        for names in self.names_of(&names)? {
            rows.push(self.entity(&names)?);
        }
        let shown = alias.map_or_else(|| NAME.to_owned(), |alias| alias.name.value.clone());
        let sysname = || nvarchar(Len::N(128));
        let columns = [
            ("referencing_minor_id", SqlType::Int),
            ("referenced_server_name", sysname()),
            ("referenced_database_name", sysname()),
            ("referenced_schema_name", sysname()),
            ("referenced_entity_name", sysname()),
            ("referenced_id", SqlType::Int),
            ("referenced_minor_id", SqlType::Int),
        ];
        let list: Vec<String> = columns.iter().map(|(name, _)| quote(name)).collect();
        let column = |(name, sql_type): (&str, SqlType)| ScopeColumn {
            name: name.to_owned(),
            bound: Bound::new(format!("{}.{}", quote(&shown), quote(name)), sql_type),
        };
        sources.push(Source { alias: shown.clone(), table: None, columns: columns.into_iter().map(column).collect() });
        let sql = format!("WITH named({}) AS ({}) SELECT * FROM named", list.join(", "), rows.join(" UNION ALL "));
        Ok(format!("({sql}) AS {}", quote(&shown)))
    }

    /// The names in a view's definition, as they are written there.
    fn names_of(&self, view: &[String]) -> Result<Vec<Vec<String>>, SqlError> {
        let Some(table) = self.env.table(view)? else { return Ok(Vec::new()) };
        let Some(definition) = table.view.as_ref() else { return Ok(Vec::new()) };
        if !self.env.granted("VIEW DEFINITION", &table.place.at, Some(table.id))? {
            return Ok(Vec::new());
        }
        let inside = Binder::new(self.env);
        inside.place.replace(table.place.clone());
        inside.query(&crate::script::parse_query(definition)?, None)?;
        let mut named = inside.named.take();
        named.sort();
        named.dedup();
        Ok(named)
    }

    fn entity(&self, names: &[String]) -> Result<String, SqlError> {
        let text = |name: Option<&String>| match name {
            Some(name) if !name.is_empty() => format!("u16({})", text_literal(name)),
            _ => "NULL".to_owned(),
        };
        let id = self.env.table(names)?.map_or_else(|| "NULL".to_owned(), |table| table.id.to_string());
        let part = |from_end: usize| names.len().checked_sub(from_end).and_then(|at| names.get(at));
        Ok(format!("SELECT 0, {}, {}, {}, {}, {id}, 0", text(part(4)), text(part(3)), text(part(2)), text(part(1))))
    }
}
