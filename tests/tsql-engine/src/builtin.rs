//! Built-in functions: their arguments, result types and windows.

use sqlparser::ast::{DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, WindowType};

use crate::bind::{Binder, Bound, Predicate, Scope};
use crate::error::{error, unsupported};
use crate::expr::{nvarchar, parts, text_constant, varchar};
use crate::native::{Node, Test};
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
        "iso_week" | "isowk" | "isoww" => "iso_week",
        other => return Err(error(155, format!("'{other}' is not a recognized datepart option."))),
    })
}

/// 9810 where values of the type have no such part ("DATEPART": only a literal has the default of a part that it lacks), or where
/// the function knows none.
fn has_part(function: &str, part: &str, value: &Bound) -> Result<(), SqlError> {
    let literal = is_string(&value.sql_type) && value.constant.is_some();
    let clock = matches!(part, "hour" | "minute" | "second" | "millisecond" | "microsecond" | "nanosecond");
    let lacks = match &value.sql_type {
        SqlType::Date => clock || part == "tzoffset",
        SqlType::Time { .. } => !clock,
        SqlType::DateTime | SqlType::SmallDateTime => part == "tzoffset",
        _ => false,
    };
    if function == "datepart" && lacks && !literal {
        let found = crate::types::type_name(&value.sql_type);
        return Err(error(
            9810,
            format!("The datepart {part} is not supported by date function {function} for data type {found}."),
        ));
    }
    if function.starts_with("datediff") && matches!(part, "tzoffset" | "iso_week") {
        return Err(error(9806, format!("The datepart {part} is not supported by date function {function}.")));
    }
    Ok(())
}

/// 8116: a function that does not take the type.
fn refused_argument(function: &str, at: usize, sql_type: &SqlType) -> SqlError {
    let found = crate::types::type_name(sql_type);
    error(8116, format!("Argument data type {found} is invalid for argument {at} of {function} function."))
}

/// text, ntext and image, which few functions take.
pub fn is_large_object(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Text { .. } | SqlType::NText { .. } | SqlType::Image)
}

impl Binder<'_> {
    /// A call with parentheses: scalar, aggregate, window, or a method of a CLR type.
    pub fn function(&self, function: &Function, scope: &Scope<'_>) -> Result<Bound, SqlError> {
        crate::unsupported::function(function)?;
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
                let test = self.test(condition, scope)?;
                self.cases(vec![test], vec![self.value(yes, scope)?, self.value(no, scope)?])
            }
            ("choose", [index, choices @ ..]) if !choices.is_empty() => {
                let index = self.value(index, scope)?;
                let tests: Vec<Predicate> =
                    (1..=choices.len()).map(|number| Predicate::of_sql(format!("{} = {number}", index.sql))).collect();
                let results: Result<Vec<Bound>, SqlError> =
                    choices.iter().map(|choice| self.value(choice, scope)).collect();
                // Beyond the list there is nothing to choose.
                let chosen = self.cases(tests, results?)?;
                Ok(Bound { nullable: true, ..chosen })
            }
            ("nullif", [left, right]) => {
                let (a, b) = (self.value(left, scope)?, self.value(right, scope)?);
                let (x, y) = self.unify(a.clone(), b)?;
                let sql = format!("CASE WHEN {} = {} THEN NULL ELSE {} END", self.key(&x), self.key(&y), a.sql);
                let sides = x.node.zip(y.node).zip(a.node);
                let node = sides.map(|((left, right), own)| {
                    let same = Test::Compare("=", x.sql_type, left, right);
                    Node::Case(vec![(same, Node::Constant(Value::Null))], Box::new(own))
                });
                Ok(Bound { node, ..Bound::new(sql, a.sql_type) })
            }
            ("dateadd" | "datediff" | "datediff_big" | "datepart" | "datename", [part, rest @ ..]) => {
                let part = date_part(&part.to_string())?;
                let values: Result<Vec<Bound>, SqlError> = rest.iter().map(|expr| self.value(expr, scope)).collect();
                let mut values = values?;
                self.expect_function(&name)?;
                values.iter().try_for_each(|value| has_part(&name, part, value))?;
                if name == "datepart" && matches!(part, "millisecond" | "microsecond" | "nanosecond") {
                    // Level 130 has its improvements in DATEPART, too (KB 4010261).
                    values = values
                        .into_iter()
                        .map(|value| self.datetime_as(value, &SqlType::DateTime2 { scale: 7 }))
                        .collect::<Result<_, _>>()?;
                }
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

    /// 195 where the server's version has no such function.
    pub fn expect_function(&self, name: &str) -> Result<(), SqlError> {
        if self.env.instance.version().has_function(name) {
            return Ok(());
        }
        Err(error(195, format!("'{name}' is not a recognized built-in function name.")))
    }

    /// HASHBYTES of the algorithms that are not deprecated.
    fn hash(&self, arguments: &[Bound]) -> Result<Bound, SqlError> {
        let [algorithm, input] = arguments else {
            return Err(error(174, "The hashbytes function requires 2 argument(s)."));
        };
        let name = match &algorithm.constant {
            Some(value) => crate::convert::text_of(value, &algorithm.sql_type)?.to_ascii_uppercase(),
            None => return Err(unsupported("HASHBYTES with a varying algorithm")),
        };
        if !matches!(name.as_str(), "SHA2_256" | "SHA2_512") {
            return Err(unsupported(&format!("HASHBYTES with {name}")));
        }
        let text = is_string(&input.sql_type) && !is_large_object(&input.sql_type);
        if !text && !matches!(input.sql_type, SqlType::Binary { .. } | SqlType::VarBinary { .. }) {
            return Err(refused_argument("hashbytes", 2, &input.sql_type));
        }
        // "For SQL Server 2014 and earlier, allowed input values are limited to 8000 bytes."
        let limited = self.env.instance.version() < crate::version::Version::V2016;
        let option = if limited { format!("{name} 8000") } else { name };
        let result = SqlType::VarBinary { len: Len::N(8000) };
        self.call("hashbytes", &option, std::slice::from_ref(input), result)
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
        crate::unsupported::window(name, raw, spec)?;
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

    /// A scalar function of bound arguments.
    pub fn scalar(&self, name: &str, arguments: &[Bound]) -> Result<Bound, SqlError> {
        if let Some(bound) = crate::system::function(self, name, arguments)? {
            return Ok(bound);
        }
        if let Some(bound) = self.tracking_function(name, arguments)? {
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
        self.expect_function(name)?;
        if name == "len" && (is_large_object(&kind) || kind == SqlType::Xml) {
            return Err(refused_argument("len", 1, &kind));
        }
        let result = match name {
            "isnull" | "coalesce" => return self.coalesce(name, arguments),
            "hashbytes" => return self.hash(arguments),
            "len" | "datalength" => match kind {
                SqlType::VarChar { len: Len::Max, .. }
                | SqlType::NVarChar { len: Len::Max, .. }
                | SqlType::VarBinary { len: Len::Max } => SqlType::BigInt,
                _ => SqlType::Int,
            },
            "charindex" | "unicode" | "ascii" | "checksum" => SqlType::Int,
            "substring" | "left" | "right"
                if matches!(
                    kind,
                    SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Image | SqlType::RowVersion
                ) =>
            {
                let own = length_of(&kind).map_or(Len::Max, |length| Len::N(length as u16));
                let len = match arguments.last().and_then(|last| last.constant.as_ref()) {
                    Some(Value::Int(length @ 1..=8000)) => match own {
                        Len::N(own) => Len::N(own.min(*length as u16)),
                        Len::Max => Len::N(*length as u16),
                    },
                    _ => own,
                };
                SqlType::VarBinary { len }
            }
            "substring" | "left" | "right" => match arguments.last().and_then(|last| last.constant.as_ref()) {
                Some(Value::Int(length))
                    if *length > 0 && *length <= i32::from(wide_limit) && crate::characters::are_units(&kind) =>
                {
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
        let typed = arguments.first().is_some_and(|first| first.sql != "NULL" || first.sql_type != SqlType::Int);
        let sql_type =
            if name == "isnull" && typed { arguments[0].sql_type.clone() } else { self.common_type(arguments) };
        if arguments.len() < 2 {
            return Err(unsupported("COALESCE of one value"));
        }
        let choices: Result<Vec<Bound>, SqlError> =
            arguments.iter().map(|argument| self.cast(argument.clone(), &sql_type)).collect();
        let choices = choices?;
        let node = Node::of_all(&choices).map(Node::Coalesce);
        let cells: Vec<&str> = choices.iter().map(|choice| choice.sql.as_str()).collect();
        let nullable = arguments.iter().all(|argument| argument.nullable);
        Ok(Bound { nullable, node, ..Bound::new(format!("coalesce({})", cells.join(",")), sql_type) })
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
