//! Built-in functions: their arguments, result types, aggregates and windows.

use sqlparser::ast::{DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, WindowType};

use crate::bind::{Binder, Bound, Scope, text_literal};
use crate::error::{error, unsupported};
use crate::expr::{nvarchar, parts, text_constant, varchar};
use crate::types::{is_string, is_wide, length_of, parse_type};
use crate::value::{Len, SqlError, SqlType, Value};

/// The full name of a date part.
fn date_part(text: &str) -> Result<&'static str, SqlError> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "year" | "yy" | "yyyy" => "year",
        "quarter" | "qq" | "q" => "quarter",
        "month" | "mm" | "m" => "month",
        "dayofyear" | "dy" | "y" => "dayofyear",
        "day" | "dd" | "d" => "day",
        "week" | "wk" | "ww" => "week",
        "weekday" | "dw" | "w" => "weekday",
        "hour" | "hh" => "hour",
        "minute" | "mi" | "n" => "minute",
        "second" | "ss" | "s" => "second",
        "millisecond" | "ms" => "millisecond",
        "microsecond" | "mcs" => "microsecond",
        "nanosecond" | "ns" => "nanosecond",
        "tzoffset" | "tz" => "tzoffset",
        other => return Err(error(155, format!("'{other}' is not a recognized datepart option."))),
    })
}

impl Binder<'_> {
    /// A call with parentheses: scalar, aggregate, window, or a method of a CLR type.
    pub fn function(&self, function: &Function, scope: &Scope<'_>) -> Result<Bound, SqlError> {
        crate::honest::function(function)?;
        let names = parts(&function.name);
        let name = names.last().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
        let empty = Vec::new();
        let (raw, distinct) = match &function.args {
            FunctionArguments::List(list) => {
                (&list.args, list.duplicate_treatment == Some(DuplicateTreatment::Distinct))
            }
            _ => (&empty, false),
        };
        if let Some(over) = &function.over {
            if distinct {
                return Err(unsupported(&format!("{name}(DISTINCT …) OVER")));
            }
            return self.window(&name, raw, over, scope);
        }
        let exprs: Vec<&Expr> = raw
            .iter()
            .filter_map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                _ => None,
            })
            .collect();
        if names.len() > 1
            && let Some(method) = self.method(&names, scope)?
        {
            return Ok(method);
        }
        if let Some(bound) = self.aggregate(&name, raw, &exprs, distinct, scope)? {
            return Ok(bound);
        }
        match (name.as_str(), exprs.as_slice()) {
            ("iif", [condition, yes, no]) => {
                let test = self.predicate(condition, scope)?;
                self.cases(&[test], vec![self.value(yes, scope)?, self.value(no, scope)?])
            }
            ("choose", [index, choices @ ..]) if !choices.is_empty() => {
                let index = self.value(index, scope)?;
                let tests: Vec<String> =
                    (1..=choices.len()).map(|number| format!("{} = {number}", index.sql)).collect();
                let results: Result<Vec<Bound>, SqlError> =
                    choices.iter().map(|choice| self.value(choice, scope)).collect();
                // Beyond the list there is nothing to choose.
                let chosen = self.cases(&tests, results?)?;
                Ok(Bound { nullable: true, ..chosen })
            }
            ("nullif", [left, right]) => {
                let (a, b) = (self.value(left, scope)?, self.value(right, scope)?);
                let (x, y) = self.unify(a.clone(), b)?;
                let sql = format!("CASE WHEN {} = {} THEN NULL ELSE {} END", self.key(&x), self.key(&y), a.sql);
                Ok(Bound::new(sql, a.sql_type))
            }
            ("dateadd" | "datediff" | "datediff_big" | "datepart" | "datename", [part, rest @ ..]) => {
                let part = date_part(&part.to_string())?;
                let values: Result<Vec<Bound>, SqlError> = rest.iter().map(|expr| self.value(expr, scope)).collect();
                let mut values = values?;
                let result = match name.as_str() {
                    "dateadd" => {
                        let moment = values.pop().ok_or_else(|| unsupported("DATEADD"))?;
                        let moment =
                            if is_string(&moment.sql_type) { self.cast(moment, &SqlType::DateTime)? } else { moment };
                        let sql_type = moment.sql_type.clone();
                        values.push(moment);
                        sql_type
                    }
                    "datediff_big" => SqlType::BigInt,
                    _ => SqlType::Int,
                };
                let called = if name == "datediff_big" { "datediff" } else { name.as_str() };
                self.call(called, part, &values, result)
            }
            _ => {
                let values: Result<Vec<Bound>, SqlError> = exprs.iter().map(|expr| self.value(expr, scope)).collect();
                self.scalar(&name, &values?)
            }
        }
    }

    /// `column.ToString()` and its like; `None` where the name is no method.
    fn method(&self, names: &[String], scope: &Scope<'_>) -> Result<Option<Bound>, SqlError> {
        let Some((name, target)) = names.split_last() else { return Ok(None) };
        let wide = match name.to_ascii_lowercase().as_str() {
            "tostring" => nvarchar(Len::N(4000)),
            "stastext" | "astextzm" => nvarchar(Len::Max),
            _ => return Ok(None),
        };
        let column = scope.find(target)?;
        Ok(Some(self.call("udt_text", "", &[column], wide)?))
    }

    fn window(&self, name: &str, raw: &[FunctionArg], over: &WindowType, scope: &Scope<'_>) -> Result<Bound, SqlError> {
        let WindowType::WindowSpec(spec) = over else { return Err(unsupported("a named window")) };
        crate::honest::window(name, raw, spec)?;
        let inner = match (name, raw) {
            ("row_number" | "rank" | "dense_rank", []) => format!("{name}()"),
            ("count" | "count_big", _) => "count(*)".to_owned(),
            _ => return Err(unsupported(&format!("window function {name}"))),
        };
        let mut clause = String::new();
        if !spec.partition_by.is_empty() {
            let keys: Result<Vec<String>, SqlError> =
                spec.partition_by.iter().map(|expr| Ok(self.key(&self.value(expr, scope)?))).collect();
            clause.push_str(&format!("PARTITION BY {}", keys?.join(", ")));
        }
        clause.push_str(&self.order(&spec.order_by, &[], scope)?);
        let sql_type = if name == "count" { SqlType::Int } else { SqlType::BigInt };
        Ok(Bound::new(format!("{inner} OVER ({clause})"), sql_type))
    }

    fn aggregate(
        &self,
        name: &str,
        raw: &[FunctionArg],
        exprs: &[&Expr],
        distinct: bool,
        scope: &Scope<'_>,
    ) -> Result<Option<Bound>, SqlError> {
        let counted = if name == "count" { SqlType::Int } else { SqlType::BigInt };
        if matches!(name, "count" | "count_big") {
            let inner = match (raw, exprs) {
                (_, [expr]) => {
                    let bound = self.value(expr, scope)?;
                    if distinct { format!("DISTINCT {}", self.key(&bound)) } else { bound.sql }
                }
                _ => "*".to_owned(),
            };
            return Ok(Some(Bound { nullable: false, ..Bound::new(format!("count({inner})"), counted) }));
        }
        if !matches!(name, "sum" | "min" | "max" | "avg" | "string_agg") {
            return Ok(None);
        }
        let Some(first) = exprs.first() else { return Err(unsupported(name)) };
        let bound = self.value(first, scope)?;
        let sql_type = bound.sql_type.clone();
        let (result, option) = match name {
            "min" | "max" => {
                if !is_string(&sql_type) {
                    return Ok(Some(Bound::new(format!("{name}({})", bound.sql), sql_type)));
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
                    other => {
                        return Err(error(
                            8117,
                            format!(
                                "Operand data type {} is invalid for {name} operator.",
                                crate::types::type_name(other)
                            ),
                        ));
                    }
                };
                (result, String::new())
            }
        };
        let call =
            crate::call::Call { name: name.to_owned(), option, arguments: vec![sql_type], result: result.clone() };
        let distinct = if distinct { return Err(unsupported(&format!("{name}(DISTINCT)"))) } else { "" };
        Ok(Some(Bound::new(format!("fold({distinct}{},{})", text_literal(&call.spec()), bound.sql), result)))
    }

    /// A scalar function of bound arguments.
    pub fn scalar(&self, name: &str, arguments: &[Bound]) -> Result<Bound, SqlError> {
        if let Some(bound) = crate::system::function(self, name, arguments)? {
            return Ok(bound);
        }
        let Some(first) = arguments.first() else {
            return match name {
                "newid" => Ok(Bound { nullable: false, ..self.call("newid", "", &[], SqlType::UniqueIdentifier)? }),
                other => Err(error(195, format!("'{other}' is not a recognized built-in function name."))),
            };
        };
        let kind = first.sql_type.clone();
        let like_first = |len: Len| {
            let plain = if is_wide(&kind) { nvarchar(len) } else { varchar(len) };
            match crate::types::collation_of(&kind) {
                Some(collation) => crate::types::with_collation(&plain, collation),
                None => plain,
            }
        };
        let own = || like_first(length_of(&kind).map_or(Len::Max, |length| Len::N(length as u16)));
        let wide_limit = if is_wide(&kind) { 4000 } else { 8000 };
        let large = if length_of(&kind).is_some() { Len::N(wide_limit) } else { Len::Max };
        let result = match name {
            "isnull" | "coalesce" => return self.coalesce(name, arguments),
            "len" | "datalength" => match kind {
                SqlType::VarChar { len: Len::Max, .. }
                | SqlType::NVarChar { len: Len::Max, .. }
                | SqlType::VarBinary { len: Len::Max } => SqlType::BigInt,
                _ => SqlType::Int,
            },
            "charindex" | "unicode" | "ascii" | "checksum" => SqlType::Int,
            "substring" | "left" | "right" if matches!(kind, SqlType::Binary { .. } | SqlType::VarBinary { .. }) => {
                SqlType::VarBinary { len: Len::Max }
            }
            "substring" | "left" | "right" => match arguments.last().and_then(|last| last.constant.as_ref()) {
                Some(Value::Int(length)) if *length > 0 && *length <= i32::from(wide_limit) => {
                    like_first(Len::N((*length as u32).min(length_of(&kind).unwrap_or(u32::MAX)) as u16))
                }
                _ => own(),
            },
            "upper" | "lower" | "ltrim" | "rtrim" | "trim" | "reverse" => own(),
            "replicate" | "replace" => like_first(large),
            "space" => varchar(Len::N(8000)),
            "char" => parse_type("char(1)", crate::types::DEFAULT_COLLATION, 1)?,
            "nchar" => parse_type("nchar(1)", crate::types::DEFAULT_COLLATION, 1)?,
            "str" => {
                let mut all = arguments.to_vec();
                all[0] = self.cast(all[0].clone(), &SqlType::Float)?;
                return self.call("str", "", &all, varchar(Len::N(100)));
            }
            "quotename" => nvarchar(Len::N(258)),
            "concat" => {
                let wide = arguments.iter().any(|argument| is_wide(&argument.sql_type));
                if wide { nvarchar(Len::N(4000)) } else { varchar(Len::N(8000)) }
            }
            "abs" | "round" => kind,
            "floor" | "ceiling" => match kind {
                SqlType::Decimal { precision, .. } | SqlType::Numeric { precision, .. } => {
                    SqlType::Decimal { precision, scale: 0 }
                }
                other => other,
            },
            "year" | "month" | "day" => return self.call("datepart", name, arguments, SqlType::Int),
            "datefromparts" => SqlType::Date,
            "todatetimeoffset" | "switchoffset" => SqlType::DateTimeOffset {
                scale: match kind {
                    SqlType::DateTime2 { scale } | SqlType::DateTimeOffset { scale } => scale,
                    SqlType::DateTime => 3,
                    _ => 7,
                },
            },
            "sql_variant_property" => {
                let property = match arguments
                    .get(1)
                    .and_then(|bound| bound.constant.as_ref().map(|value| (value, &bound.sql_type)))
                {
                    Some((value, sql_type)) => crate::convert::text_of(value, sql_type)?,
                    None => return Err(unsupported("SQL_VARIANT_PROPERTY of a varying property")),
                };
                return Ok(Bound {
                    nullable: true,
                    ..self.call("variant_property", &property, &arguments[..1], SqlType::SqlVariant)?
                });
            }
            "hierarchyid::parse" => {
                let udt = SqlType::Udt { name: "hierarchyid".to_owned() };
                return self.call("convert", "0", arguments, udt);
            }
            "geography::stgeomfromtext" | "geometry::stgeomfromtext" | "geography::point" | "geometry::point" => {
                return self.geometry(name, arguments);
            }
            other => return Err(error(195, format!("'{other}' is not a recognized built-in function name."))),
        };
        self.call(name, "", arguments, result)
    }

    fn coalesce(&self, name: &str, arguments: &[Bound]) -> Result<Bound, SqlError> {
        // An untyped NULL leaves the type to the second argument.
        let typed = arguments.first().is_some_and(|first| first.sql != "NULL");
        let sql_type =
            if name == "isnull" && typed { arguments[0].sql_type.clone() } else { self.common_type(arguments) };
        let mut cells = Vec::new();
        for argument in arguments {
            cells.push(self.cast(argument.clone(), &sql_type)?.sql);
        }
        if cells.len() < 2 {
            return Err(unsupported("COALESCE of one value"));
        }
        let nullable = arguments.iter().all(|argument| argument.nullable);
        Ok(Bound { nullable, ..Bound::new(format!("coalesce({})", cells.join(",")), sql_type) })
    }

    /// A geometry from constants: kept as its SRID and its text.
    fn geometry(&self, name: &str, arguments: &[Bound]) -> Result<Bound, SqlError> {
        let mut texts = Vec::new();
        for argument in arguments {
            let text = self.cast(argument.clone(), &nvarchar(Len::Max))?;
            texts.push(text);
        }
        let srid = texts.pop().ok_or_else(|| unsupported(name))?;
        let mut pieces = vec![srid, text_constant(";", true)?];
        match texts.as_slice() {
            [wkt] => pieces.push(wkt.clone()),
            [first, second] => {
                // geography::Point takes latitude first; WKT puts longitude first.
                let (x, y) = if name.starts_with("geography") { (second, first) } else { (first, second) };
                pieces.extend([
                    text_constant("POINT (", true)?,
                    x.clone(),
                    text_constant(" ", true)?,
                    y.clone(),
                    text_constant(")", true)?,
                ]);
            }
            _ => return Err(unsupported(name)),
        }
        let joined = self.call("concat", "", &pieces, nvarchar(Len::Max))?;
        let udt = SqlType::Udt { name: name.split("::").next().unwrap_or("geometry").to_owned() };
        self.call("convert", "0", &[joined], udt)
    }
}
