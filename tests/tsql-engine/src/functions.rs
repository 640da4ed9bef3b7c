//! Functions of values.

use crate::ast::Expr;
use crate::bind::{Binder, Bound, Node, to_type};
use crate::calendar::{self, civil, day_number, instant};
use crate::convert::{convert, exact, text_of, utf16_text};
use crate::types::collation_of;
use crate::value::{Collation, Len, SqlError, SqlType, Value};

#[derive(Debug, Clone)]
pub enum Function {
    Coalesce,
    Text(TextFunction),
    Len,
    DataLength,
    CharIndex,
    Char,
    Nchar,
    Abs,
    NullIf,
    NewId,
    DatePart(String),
    DateAdd(String),
    DateDiff(String),
    VariantProperty,
    /// Part of a CLR value's text.
    Srid,
    Wkt,
}

#[derive(Debug, Clone, Copy)]
pub enum TextFunction {
    Upper,
    Lower,
    Trim,
    LeftTrim,
    RightTrim,
    Left,
    Right,
    Substring,
    Replicate,
    Replace,
    Concat,
    Reverse,
    QuoteName,
}

fn nvarchar(len: Len) -> SqlType {
    SqlType::NVarChar { len, collation: Collation::default() }
}

/// Binds a call of a scalar function.
pub fn call(name: &str, arguments: Vec<Bound>) -> Result<Bound, SqlError> {
    let first = arguments.first().map_or(SqlType::Int, |argument| argument.kind.clone());
    let int = SqlType::Int;
    let (function, kind) = match name {
        "UPPER" => (Function::Text(TextFunction::Upper), first),
        "LOWER" => (Function::Text(TextFunction::Lower), first),
        "TRIM" => (Function::Text(TextFunction::Trim), first),
        "LTRIM" => (Function::Text(TextFunction::LeftTrim), first),
        "RTRIM" => (Function::Text(TextFunction::RightTrim), first),
        "LEFT" => (Function::Text(TextFunction::Left), first),
        "RIGHT" => (Function::Text(TextFunction::Right), first),
        "SUBSTRING" => (Function::Text(TextFunction::Substring), first),
        "REVERSE" => (Function::Text(TextFunction::Reverse), first),
        "REPLACE" => (Function::Text(TextFunction::Replace), widened(&first, Len::Max)),
        "REPLICATE" => {
            // Not wider than its argument's family, unless that is (max).
            let limit =
                if matches!(first, SqlType::NVarChar { len: Len::N(_), .. }) { Len::N(4000) } else { Len::N(8000) };
            let kind = match &first {
                SqlType::VarChar { len: Len::Max, .. } | SqlType::NVarChar { len: Len::Max, .. } => first.clone(),
                _ => widened(&first, limit),
            };
            (Function::Text(TextFunction::Replicate), kind)
        }
        "CONCAT" => {
            let national = arguments
                .iter()
                .any(|argument| matches!(argument.kind, SqlType::NVarChar { .. } | SqlType::NChar { .. }));
            let kind = if national {
                nvarchar(Len::N(4000))
            } else {
                SqlType::VarChar { len: Len::N(8000), collation: Collation::default() }
            };
            let arguments = arguments.into_iter().map(|argument| to_type(argument, &kind)).collect();
            return Ok(Bound {
                node: Node::Call(Function::Text(TextFunction::Concat), arguments),
                kind,
                nullable: false,
            });
        }
        "QUOTENAME" => (Function::Text(TextFunction::QuoteName), nvarchar(Len::N(258))),
        "LEN" => (Function::Len, int),
        "DATALENGTH" => (Function::DataLength, int),
        "CHARINDEX" => (Function::CharIndex, int),
        "CHAR" => (Function::Char, SqlType::Char { len: 1, collation: Collation::default() }),
        "NCHAR" => (Function::Nchar, nvarchar(Len::N(1))),
        "ABS" => (Function::Abs, first),
        "NULLIF" => (Function::NullIf, first),
        "NEWID" => (Function::NewId, SqlType::UniqueIdentifier),
        "SQL_VARIANT_PROPERTY" => (Function::VariantProperty, SqlType::SqlVariant),
        "IIF" => return iif(arguments),
        "HIERARCHYID::PARSE" | "hierarchyid::parse" => return clr(arguments, "hierarchyid"),
        "geography::stgeomfromtext" | "geometry::stgeomfromtext" => return shape(name, arguments),
        _ => {
            return Err(SqlError::new(
                195,
                15,
                format!("'{name}' is not a recognized built-in function name (simulator)."),
            ));
        }
    };
    let nullable = arguments.iter().any(|argument| argument.nullable)
        || matches!(function, Function::NullIf | Function::VariantProperty);
    Ok(Bound { node: Node::Call(function, arguments), kind, nullable })
}

fn iif(arguments: Vec<Bound>) -> Result<Bound, SqlError> {
    let mut arguments = arguments.into_iter();
    match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(condition), Some(then), Some(otherwise)) => {
            let kind = then.kind.clone();
            let otherwise = to_type(otherwise, &kind);
            let nullable = then.nullable || otherwise.nullable;
            Ok(Bound {
                node: Node::Case { branches: vec![(condition, then)], otherwise: Box::new(otherwise) },
                kind,
                nullable,
            })
        }
        _ => Err(SqlError::new(174, 15, "The IIF function requires 3 argument(s).")),
    }
}

fn clr(arguments: Vec<Bound>, name: &str) -> Result<Bound, SqlError> {
    let kind = SqlType::Udt { name: name.to_owned() };
    let argument = arguments.into_iter().next().ok_or_else(|| SqlError::new(174, 15, "An argument is missing."))?;
    Ok(to_type(argument, &kind))
}

/// `geography::STGeomFromText(wkt, srid)`: kept as `SRID=n;WKT`.
fn shape(name: &str, arguments: Vec<Bound>) -> Result<Bound, SqlError> {
    let family = name.split("::").next().unwrap_or_default();
    let mut arguments = arguments.into_iter();
    let (Some(wkt), Some(srid)) = (arguments.next(), arguments.next()) else {
        return Err(SqlError::new(174, 15, "STGeomFromText requires 2 arguments."));
    };
    let text = nvarchar(Len::Max);
    let literal = |text_value: &str| Bound::constant(Value::nvarchar(text_value), text.clone());
    let joined = |left: Bound, right: Bound| Bound {
        node: Node::Concat(Box::new(left), Box::new(right)),
        kind: text.clone(),
        nullable: true,
    };
    let srid = to_type(srid, &text);
    let all = joined(joined(joined(literal("SRID="), srid), literal(";")), to_type(wkt, &text));
    Ok(to_type(all, &SqlType::Udt { name: family.to_owned() }))
}

/// Binds a method or property of a CLR value.
pub fn method(name: &str, on: Bound) -> Result<Bound, SqlError> {
    let (function, kind) = match name {
        "ToString" => {
            let SqlType::Udt { name } = &on.kind else {
                return Err(SqlError::new(258, 15, format!("Cannot call methods on {:?}.", on.kind)));
            };
            if name == "hierarchyid" {
                let kind = nvarchar(Len::N(4000));
                return Ok(Bound { nullable: on.nullable, node: Node::Same(Box::new(on)), kind });
            }
            (Function::Wkt, nvarchar(Len::Max))
        }
        "STAsText" | "AsTextZM" => (Function::Wkt, nvarchar(Len::Max)),
        "STSrid" => (Function::Srid, SqlType::Int),
        _ => return Err(SqlError::new(6506, 16, format!("Could not find method '{name}' (simulator)."))),
    };
    Ok(Bound { nullable: true, node: Node::Call(function, vec![on]), kind })
}

fn widened(kind: &SqlType, len: Len) -> SqlType {
    match kind {
        SqlType::Char { collation, .. } | SqlType::VarChar { collation, .. } => {
            SqlType::VarChar { len, collation: collation.clone() }
        }
        SqlType::NChar { collation, .. } | SqlType::NVarChar { collation, .. } => {
            SqlType::NVarChar { len, collation: collation.clone() }
        }
        other => other.clone(),
    }
}

/// Functions whose first argument is a part of a date, written as a bare word.
pub fn date_call(binder: &Binder<'_>, name: &str, arguments: &[Expr]) -> Result<Bound, SqlError> {
    let (part, rest) = match name {
        "YEAR" | "MONTH" | "DAY" => (name.to_lowercase(), arguments),
        _ => match arguments.split_first() {
            Some((Expr::Column(part), rest)) => (part.join(".").to_lowercase(), rest),
            _ => return Err(SqlError::new(1023, 15, format!("Invalid parameter 1 specified for {name}."))),
        },
    };
    let bound: Vec<Bound> = rest.iter().map(|argument| binder.bind(argument)).collect::<Result<_, _>>()?;
    let precise = SqlType::DateTime2 { scale: 7 };
    // A text is read as a date.
    let dated =
        |argument: Bound| if collation_of(&argument.kind).is_some() { to_type(argument, &precise) } else { argument };
    let mut bound: Vec<Bound> = bound.into_iter().map(dated).collect();
    let (function, kind) = match name {
        "DATEADD" => {
            let kind = bound.get(1).map_or(SqlType::DateTime, |argument| argument.kind.clone());
            (Function::DateAdd(part), kind)
        }
        "DATEDIFF" => (Function::DateDiff(part), SqlType::Int),
        _ => {
            bound.truncate(1);
            (Function::DatePart(part), SqlType::Int)
        }
    };
    Ok(Bound { node: Node::Call(function, bound), kind, nullable: true })
}

/// The function's value for a row.
pub fn eval(
    function: &Function,
    arguments: &[Bound],
    kind: &SqlType,
    row: &[Value<'static>],
) -> Result<Value<'static>, SqlError> {
    if let Function::Coalesce = function {
        for argument in arguments {
            let value = crate::eval::eval(argument, row)?;
            if !value.is_null() {
                return Ok(value);
            }
        }
        return Ok(Value::Null);
    }
    let values: Vec<Value<'static>> =
        arguments.iter().map(|argument| crate::eval::eval(argument, row)).collect::<Result<_, _>>()?;
    if let Function::NullIf = function {
        let same =
            crate::compare::order(&values[0], &values[1], &Collation::default()) == Some(std::cmp::Ordering::Equal);
        return Ok(if same { Value::Null } else { values[0].clone() });
    }
    let concat = matches!(function, Function::Text(TextFunction::Concat));
    if !concat && values.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let collation = arguments.first().and_then(|argument| collation_of(&argument.kind)).cloned().unwrap_or_default();
    let number = |index: usize| values.get(index).and_then(exact).map_or(0, |(number, _)| number as i64);
    Ok(match function {
        Function::Coalesce | Function::NullIf => Value::Null,
        Function::Text(function) => text_function(*function, &values, &collation, kind)?,
        Function::Len => {
            let text = text_of(&values[0], &collation).unwrap_or_default();
            Value::Int(text.trim_end_matches(' ').encode_utf16().count() as i32)
        }
        Function::DataLength => Value::Int(match &values[0] {
            Value::VarChar(bytes) | Value::NVarChar(bytes) | Value::Binary(bytes) => bytes.len() as i32,
            Value::Guid(_) => 16,
            Value::BigInt(_) | Value::Float(_) | Value::DateTime { .. } => 8,
            _ => 4,
        }),
        Function::CharIndex => {
            let (needle, hay) = (text_of(&values[0], &collation), text_of(&values[1], &collation));
            let found = hay.unwrap_or_default().to_lowercase().find(&needle.unwrap_or_default().to_lowercase());
            Value::Int(found.map_or(0, |at| at as i32 + 1))
        }
        Function::Char => Value::VarChar(vec![number(0) as u8].into()),
        // A lone surrogate is a value like any other here.
        Function::Nchar => Value::NVarChar((number(0) as u16).to_le_bytes().to_vec().into()),
        Function::Abs => match &values[0] {
            Value::Int(value) => Value::Int(value.abs()),
            Value::BigInt(value) => Value::BigInt(value.abs()),
            Value::Decimal { value, scale } => Value::Decimal { value: value.abs(), scale: *scale },
            Value::Float(value) => Value::Float(value.abs()),
            other => other.clone(),
        },
        Function::NewId => Value::Guid(crate::session::random_guid()),
        Function::DatePart(part) => Value::Int(date_part(part, &values[0])?),
        Function::DateAdd(part) => date_add(part, number(0), &values[1], kind)?,
        Function::DateDiff(part) => Value::Int(date_diff(part, &values[0], &values[1])?),
        Function::VariantProperty => variant_property(&values)?,
        Function::Srid => {
            let text = udt_text(&values[0]);
            let srid =
                text.strip_prefix("SRID=").and_then(|rest| rest.split(';').next()).and_then(|srid| srid.parse().ok());
            Value::Int(srid.unwrap_or(0))
        }
        Function::Wkt => {
            let text = udt_text(&values[0]);
            Value::nvarchar(text.split_once(';').map_or(text.as_str(), |(_, wkt)| wkt))
        }
    })
}

fn udt_text(value: &Value<'_>) -> String {
    match value {
        Value::NVarChar(bytes) => utf16_text(bytes),
        _ => String::new(),
    }
}

fn text_function(
    function: TextFunction,
    values: &[Value<'static>],
    collation: &Collation,
    kind: &SqlType,
) -> Result<Value<'static>, SqlError> {
    let text = |index: usize| values.get(index).and_then(|value| text_of(value, collation)).unwrap_or_default();
    let number = |index: usize| values.get(index).and_then(exact).map_or(0, |(number, _)| number.max(0) as usize);
    let result = match function {
        TextFunction::Upper => text(0).to_uppercase(),
        TextFunction::Lower => text(0).to_lowercase(),
        TextFunction::Trim => text(0).trim_matches(' ').to_owned(),
        TextFunction::LeftTrim => text(0).trim_start_matches(' ').to_owned(),
        TextFunction::RightTrim => text(0).trim_end_matches(' ').to_owned(),
        TextFunction::Left => text(0).chars().take(number(1)).collect(),
        TextFunction::Right => {
            let all: Vec<char> = text(0).chars().collect();
            all[all.len().saturating_sub(number(1))..].iter().collect()
        }
        TextFunction::Substring => {
            if let Value::Binary(bytes) = &values[0] {
                let part: Vec<u8> = bytes.iter().skip(number(1).saturating_sub(1)).take(number(2)).copied().collect();
                return Ok(Value::Binary(part.into()));
            }
            text(0).chars().skip(number(1).saturating_sub(1)).take(number(2)).collect()
        }
        TextFunction::Replicate => text(0).repeat(number(1)),
        TextFunction::Replace => text(0).replace(&text(1), &text(2)),
        TextFunction::Concat => (0..values.len()).map(text).collect(),
        TextFunction::Reverse => text(0).chars().rev().collect(),
        TextFunction::QuoteName => format!("[{}]", text(0).replace(']', "]]")),
    };
    convert(Value::nvarchar(&result), &nvarchar(Len::Max), kind, None)
}

fn bad_part(part: &str) -> SqlError {
    SqlError::new(155, 15, format!("'{part}' is not a recognized datepart option (simulator)."))
}

fn parts(value: &Value<'_>) -> Result<(i64, u64, i16), SqlError> {
    instant(value).ok_or_else(|| SqlError::unsupported(format!("{value:?} is not a date")))
}

fn date_part(part: &str, value: &Value<'_>) -> Result<i32, SqlError> {
    let (days, ticks, offset) = parts(value)?;
    let (year, month, day) = civil(days);
    let seconds = ticks / 10_000_000;
    Ok(match part {
        "year" | "yy" | "yyyy" => year as i32,
        "month" | "mm" | "m" => month as i32,
        "day" | "dd" | "d" => day as i32,
        "hour" | "hh" => (seconds / 3600) as i32,
        "minute" | "mi" | "n" => (seconds / 60 % 60) as i32,
        "second" | "ss" | "s" => (seconds % 60) as i32,
        "tzoffset" | "tz" => i32::from(offset),
        _ => return Err(bad_part(part)),
    })
}

fn date_add(part: &str, number: i64, value: &Value<'_>, kind: &SqlType) -> Result<Value<'static>, SqlError> {
    let (days, ticks, offset) = parts(value)?;
    let months = |number: i64| {
        let (year, month, day) = civil(days);
        let index = year * 12 + month - 1 + number;
        let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
        let last =
            (28..=31).rev().find(|last| civil(day_number(year, month, *last)) == (year, month, *last)).unwrap_or(28);
        (day_number(year, month, day.min(last)), ticks)
    };
    // Whole days first, so that far jumps do not overflow the ticks.
    let step =
        |per_day: i64, unit: i64| calendar::normalize(days + number / per_day, ticks as i64 + number % per_day * unit);
    let (days, ticks) = match part {
        "year" | "yy" | "yyyy" => months(number * 12),
        "month" | "mm" | "m" => months(number),
        "week" | "wk" | "ww" => (days + number * 7, ticks),
        "day" | "dd" | "d" => (days + number, ticks),
        "hour" | "hh" => step(24, 36_000_000_000),
        "minute" | "mi" | "n" => step(1440, 600_000_000),
        "second" | "ss" | "s" => step(86_400, 10_000_000),
        "millisecond" | "ms" => step(86_400_000, 10_000),
        "microsecond" | "mcs" => step(86_400_000_000, 10),
        _ => return Err(bad_part(part)),
    };
    let out_of_range = || SqlError::new(517, 16, "Adding a value to a date caused an overflow.");
    let day = u32::try_from(days).map_err(|_| out_of_range())?;
    let moved = match value {
        Value::DateTimeOffset { .. } => Value::DateTimeOffset { days: day, ticks, offset },
        _ => Value::DateTime2 { days: day, ticks },
    };
    convert(moved, &SqlType::DateTime2 { scale: 7 }, kind, None)
}

fn date_diff(part: &str, from: &Value<'_>, to: &Value<'_>) -> Result<i32, SqlError> {
    let ((a, x, _), (b, y, _)) = (parts(from)?, parts(to)?);
    let seconds = |days: i64, ticks: u64| days * 86_400 + (ticks / 10_000_000) as i64;
    let ((y1, m1, _), (y2, m2, _)) = (civil(a), civil(b));
    let difference = match part {
        "year" | "yy" | "yyyy" => y2 - y1,
        "month" | "mm" | "m" => (y2 - y1) * 12 + m2 - m1,
        "day" | "dd" | "d" => b - a,
        "hour" | "hh" => seconds(b, y) / 3600 - seconds(a, x) / 3600,
        "minute" | "mi" | "n" => seconds(b, y) / 60 - seconds(a, x) / 60,
        "second" | "ss" | "s" => seconds(b, y) - seconds(a, x),
        _ => return Err(bad_part(part)),
    };
    i32::try_from(difference).map_err(|_| SqlError::new(535, 16, "The datediff function resulted in an overflow."))
}

fn variant_property(values: &[Value<'static>]) -> Result<Value<'static>, SqlError> {
    let Value::Variant(inner) = &values[0] else { return Ok(Value::Null) };
    let property = text_of(&values[1], &Collation::default()).unwrap_or_default().to_lowercase();
    if property != "basetype" {
        return Err(SqlError::unsupported(format!("SQL_VARIANT_PROPERTY '{property}' is not supported")));
    }
    let name = match &inner.0 {
        SqlType::Bit => "bit",
        SqlType::TinyInt => "tinyint",
        SqlType::SmallInt => "smallint",
        SqlType::Int => "int",
        SqlType::BigInt => "bigint",
        SqlType::Real => "real",
        SqlType::Float => "float",
        SqlType::Decimal { .. } => "decimal",
        SqlType::Numeric { .. } => "numeric",
        SqlType::Money => "money",
        SqlType::SmallMoney => "smallmoney",
        SqlType::Date => "date",
        SqlType::Time { .. } => "time",
        SqlType::DateTime => "datetime",
        SqlType::SmallDateTime => "smalldatetime",
        SqlType::DateTime2 { .. } => "datetime2",
        SqlType::DateTimeOffset { .. } => "datetimeoffset",
        SqlType::Char { .. } => "char",
        SqlType::VarChar { .. } => "varchar",
        SqlType::NChar { .. } => "nchar",
        SqlType::NVarChar { .. } => "nvarchar",
        SqlType::Binary { .. } => "binary",
        SqlType::VarBinary { .. } => "varbinary",
        SqlType::UniqueIdentifier => "uniqueidentifier",
        other => return Err(SqlError::unsupported(format!("a sql_variant of {other:?} is not supported"))),
    };
    Ok(Value::Variant(Box::new((nvarchar(Len::N(128)), Value::nvarchar(name)))))
}
