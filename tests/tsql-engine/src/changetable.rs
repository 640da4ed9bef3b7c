//! CHANGETABLE in FROM, and the functions of Change Tracking.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, ObjectName, TableAlias, TableFunctionArgs};

use crate::bind::{Binder, Bound, Scope, ScopeColumn, Source, quote, same};
use crate::catalog::{Table, TableColumn};
use crate::error::{error, unsupported};
use crate::expr::parts;
use crate::tracking::{current_version_sql, is_tracked, key_columns, log};
use crate::types::parse_type;
use crate::value::{Len, SqlError, SqlType};

/// The function's name.
pub const NAME: &str = "changetable";

/// The columns that come before the key.
const CHANGES: [&str; 5] = [
    "SYS_CHANGE_VERSION",
    "SYS_CHANGE_CREATION_VERSION",
    "SYS_CHANGE_OPERATION",
    "SYS_CHANGE_COLUMNS",
    "SYS_CHANGE_CONTEXT",
];

fn type_of(column: &str) -> Result<SqlType, SqlError> {
    Ok(match column {
        "SYS_CHANGE_OPERATION" => parse_type("nchar(1)", "Latin1_General_BIN", 1)?,
        "SYS_CHANGE_COLUMNS" => SqlType::VarBinary { len: Len::N(4100) },
        "SYS_CHANGE_CONTEXT" => SqlType::VarBinary { len: Len::N(128) },
        _ => SqlType::BigInt,
    })
}

impl Binder<'_> {
    /// `CHANGETABLE(CHANGES table, version)` or `CHANGETABLE(VERSION table, (columns), (values))`; the first word came as an argument.
    pub fn change_table(
        &self,
        alias: Option<&TableAlias>,
        arguments: &TableFunctionArgs,
        sources: &mut Vec<Source>,
        outer: Option<&Scope<'_>>,
    ) -> Result<String, SqlError> {
        let Some(alias) = alias else {
            return Err(error(22104, "A table returned by the CHANGETABLE function must be aliased."));
        };
        let given: Vec<&Expr> = arguments
            .args
            .iter()
            .filter_map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                _ => None,
            })
            .collect();
        let word = given.first().map(|word| word.to_string().to_uppercase()).unwrap_or_default();
        let (columns, table, sql) = match (word.as_str(), given.get(1..).unwrap_or_default()) {
            ("CHANGES", [table, last, rest @ ..]) if is_force_seek(rest) => {
                let table = self.tracked_table(table)?;
                let sql = self.changes_of(&table, last)?;
                (CHANGES.to_vec(), table, sql)
            }
            ("VERSION", [table, names, values, rest @ ..]) if is_force_seek(rest) => {
                let table = self.tracked_table(table)?;
                let sql = self.version_of(&table, &listed(names), &listed(values), outer)?;
                (vec!["SYS_CHANGE_VERSION", "SYS_CHANGE_CONTEXT"], table, sql)
            }
            ("VERSION", _) => {
                return Err(error(
                    22103,
                    "The arguments supplied are not valid for the VERSION option of the CHANGETABLE function.",
                ));
            }
            _ => {
                return Err(error(
                    22102,
                    "The arguments supplied are not valid for the CHANGES option of the CHANGETABLE function.",
                ));
            }
        };
        self.changed.borrow_mut().push(table.id);
        let shown = alias.name.value.clone();
        let mut scoped = Vec::new();
        for name in columns {
            let bound = Bound::new(format!("{}.{}", quote(&shown), quote(name)), type_of(name)?);
            scoped.push(ScopeColumn { name: name.to_owned(), bound });
        }
        for (at, column) in key_columns(self.env.connection, &table)?.into_iter().enumerate() {
            let bound = Bound::new(format!("{}.\"k{at}\"", quote(&shown)), column.sql_type.clone());
            scoped.push(ScopeColumn { name: column.name.clone(), bound: Bound { nullable: false, ..bound } });
        }
        for (column, renamed) in scoped.iter_mut().zip(&alias.columns) {
            column.name.clone_from(&renamed.name.value);
        }
        sources.push(Source { alias: shown.clone(), table: None, columns: scoped });
        Ok(format!("({sql}) AS {}", quote(&shown)))
    }

    /// The table, which must be tracked on a primary, and of which the login may see the key and the changes.
    fn tracked_table(&self, name: &Expr) -> Result<Table, SqlError> {
        let names: Vec<String> = match name {
            Expr::Identifier(ident) => vec![ident.value.clone()],
            Expr::CompoundIdentifier(idents) => idents.iter().map(|ident| ident.value.clone()).collect(),
            other => return Err(unsupported(&format!("CHANGETABLE of {other}"))),
        };
        let written = names.join(".");
        if self.env.quirks().secondary {
            return Err(error(
                22117,
                "For databases that are members of a secondary availability replica, change tracking is not supported. Run change \
                 tracking queries on the databases in the primary availability replica.",
            ));
        }
        let table = self.env.table(&names)?.ok_or_else(|| error(208, format!("Invalid object name '{written}'.")))?;
        if table.view.is_some() {
            return Err(error(
                22107,
                format!(
                    "Object '{written}' is of a data type that is not supported by the CHANGETABLE function. The object must be a \
                     user-defined table."
                ),
            ));
        }
        if !is_tracked(self.env.connection, &table)? {
            return Err(error(22105, format!("Change tracking is not enabled on table '{written}'.")));
        }
        self.env.may_select(&table)?;
        if !self.env.granted("VIEW CHANGE TRACKING", &table.place.at, Some(table.id))? {
            let database = if table.place.at.is_empty() { self.env.database } else { &table.place.database };
            return Err(SqlError {
                number: 229,
                state: 5,
                class: 14,
                message: format!(
                    "The VIEW CHANGE TRACKING permission was denied on the object '{}', database '{database}', schema '{}'.",
                    table.name, table.schema
                ),
            });
        }
        Ok(table)
    }

    /// One row for each key that has changed since a version: what came of it, whatever came between.
    fn changes_of(&self, table: &Table, last: &Expr) -> Result<String, SqlError> {
        let scope = Scope { sources: &[], outer: None };
        let bound = self.value(last, &scope)?;
        if bound.constant.is_none() {
            return Err(crate::error::syntax(&last.to_string()));
        }
        let last = self.cast(bound, &SqlType::BigInt)?.sql;
        let count = key_columns(self.env.connection, table)?.len();
        let each = |prefix: &str| (0..count).map(|at| format!("{prefix}{at}")).collect::<Vec<_>>();
        let groups = each("g").join(", ");
        let keys: String =
            each("k").iter().map(|key| format!(", max(CASE WHEN a = 1 THEN {key} END) AS {key}")).collect();
        // A negative version has no changes; NULL has all.
        let since = format!("(({last}) IS NULL OR version > ({last}) AND ({last}) >= 0)");
        Ok(format!(
            "SELECT max(version) AS SYS_CHANGE_VERSION, max(CASE WHEN created THEN version END) AS SYS_CHANGE_CREATION_VERSION,
               u16(CASE WHEN NOT max(z = 1 AND present) THEN 'D' WHEN max(a = 1 AND existed) THEN 'U' ELSE 'I' END)
                 AS SYS_CHANGE_OPERATION,
               CASE WHEN max(z = 1 AND present) AND max(a = 1 AND existed) THEN masks(mask ORDER BY version) END AS SYS_CHANGE_COLUMNS,
               max(CASE WHEN z = 1 THEN context END) AS SYS_CHANGE_CONTEXT{keys}
             FROM (SELECT *, row_number() OVER (PARTITION BY {groups} ORDER BY version) AS a,
                     row_number() OVER (PARTITION BY {groups} ORDER BY version DESC) AS z
                   FROM {} WHERE {since})
             GROUP BY {groups}",
            log(&table.place, table.id)
        ))
    }

    /// The last change of one row.
    fn version_of(
        &self,
        table: &Table,
        names: &[&Expr],
        values: &[&Expr],
        outer: Option<&Scope<'_>>,
    ) -> Result<String, SqlError> {
        let keys = key_columns(self.env.connection, table)?;
        if names.len() != keys.len() {
            return Err(error(
                22110,
                format!(
                    "The number of columns specified in the CHANGETABLE(VERSION ...) function does not match the number of primary key columns for table '{}'.",
                    table.name
                ),
            ));
        }
        if values.len() != names.len() {
            return Err(error(
                22103,
                "The arguments supplied are not valid for the VERSION option of the CHANGETABLE function.",
            ));
        }
        let scope = Scope { sources: &[], outer };
        let mut conditions = Vec::new();
        let mut seen: Vec<usize> = Vec::new();
        for (name, value) in names.iter().zip(values) {
            let written = match name {
                Expr::Identifier(ident) => ident.value.clone(),
                other => other.to_string(),
            };
            let Some(at) = keys.iter().position(|key| same(&key.name, &written)) else {
                return Err(error(
                    22111,
                    format!(
                        "The column '{written}' specified in the CHANGETABLE(VERSION ...) function is not part of the primary key for table '{}'.",
                        table.name
                    ),
                ));
            };
            if seen.contains(&at) {
                return Err(error(
                    22112,
                    format!(
                        "Each primary key column must be specified once in the CHANGETABLE(VERSION ...) function. The column '{written}' is specified more than once."
                    ),
                ));
            }
            seen.push(at);
            let own = self.own(keys[at]);
            let value = self.cast(self.value(value, &scope)?, &own.sql_type)?;
            conditions.push(format!("{} = {}", self.key(&own), self.key(&value)));
        }
        let own: Vec<String> = keys.iter().map(|key| self.key(&self.own(key))).collect();
        let same_key: Vec<String> = own.iter().enumerate().map(|(at, key)| format!("l.g{at} = {key}")).collect();
        let last = |what: &str| {
            format!(
                "(SELECT l.{what} FROM {} l WHERE {} ORDER BY l.version DESC LIMIT 1)",
                log(&table.place, table.id),
                same_key.join(" AND ")
            )
        };
        let shown: String =
            keys.iter().enumerate().map(|(at, key)| format!(", {} AS k{at}", self.own(key).sql)).collect();
        Ok(format!(
            "SELECT {} AS SYS_CHANGE_VERSION, {} AS SYS_CHANGE_CONTEXT{shown} FROM {} AS \"$t\" WHERE {}",
            last("version"),
            last("context"),
            table.stored(),
            conditions.join(" AND ")
        ))
    }

    fn own(&self, column: &TableColumn) -> Bound {
        Bound::new(format!("\"$t\".{}", quote(&column.name)), column.sql_type.clone())
    }

    /// A function of Change Tracking; `None` where the name is of none.
    pub fn tracking_function(&self, name: &str, arguments: &[Bound]) -> Result<Option<Bound>, SqlError> {
        let sql = match (name, arguments) {
            ("change_tracking_current_version", []) => current_version_sql(""),
            ("change_tracking_min_valid_version", [object]) => {
                let schema = "(SELECT schema_id FROM \"$objects\" o WHERE o.object_id = \"$tracking\".object_id)";
                let held = self.env.holds("", "VIEW CHANGE TRACKING", Some(("\"$tracking\".object_id", schema, "0")));
                format!("(SELECT min_valid FROM \"$tracking\" WHERE object_id = {} AND {held})", object.sql)
            }
            ("change_tracking_is_column_in_mask", [_, _]) => {
                return self.call("column_in_mask", "", arguments, SqlType::Int).map(Some);
            }
            ("change_tracking_current_version", _) => {
                return Err(error(174, format!("The {name} function requires 0 argument(s).")));
            }
            _ => return Ok(None),
        };
        Ok(Some(Bound::new(sql, SqlType::BigInt)))
    }
}

/// Whether a table function is CHANGETABLE.
pub fn is_named(name: &ObjectName) -> bool {
    matches!(parts(name).as_slice(), [only] if only.eq_ignore_ascii_case(NAME))
}

fn is_force_seek(rest: &[&Expr]) -> bool {
    rest.is_empty() || matches!(rest, [only] if only.to_string().eq_ignore_ascii_case("FORCESEEK"))
}

/// The expressions of a list in parentheses.
fn listed(list: &Expr) -> Vec<&Expr> {
    match list {
        Expr::Tuple(items) => items.iter().collect(),
        Expr::Nested(item) => vec![item],
        other => vec![other],
    }
}
