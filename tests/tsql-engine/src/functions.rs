//! What each T-SQL scalar function does with values. NULL in, NULL out, unless said otherwise.

use crate::call::Call;
use crate::codec::TICKS_DAY;
use crate::convert::{assign, convert, make_moment, moment_of, rescale, text_of};
use crate::convert_text::{text_value, udt_text};
use crate::date_parts::{date_add, date_diff, date_part};
use crate::datetime::{self, Moment};
use crate::error::error;
use crate::text_functions::{joined, text_function};
use crate::types::{type_name, with_collation};
use crate::value::{SqlError, SqlType, Value};

fn overflow(to: &SqlType) -> SqlError {
    error(8115, format!("Arithmetic overflow error converting expression to data type {}.", type_name(to)))
}

/// An integer argument, or 0 where it is none.
pub fn number(value: &Value<'_>) -> i64 {
    match value {
        Value::Bit(v) => i64::from(*v),
        Value::TinyInt(v) => i64::from(*v),
        Value::SmallInt(v) => i64::from(*v),
        Value::Int(v) => i64::from(*v),
        Value::BigInt(v) => *v,
        Value::Decimal { value, scale } => (value / 10i128.pow(u32::from(*scale))) as i64,
        Value::Float(v) => *v as i64,
        Value::Binary(bytes) => bytes.iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte)),
        _ => 0,
    }
}

/// Sum of two values of the result's type.
pub fn add(left: &Value<'_>, right: &Value<'_>, result: &SqlType) -> Result<Value<'static>, SqlError> {
    arithmetic("add", left, right, result)
}

/// A sum divided by its count, in the result's type.
pub fn average(sum: Value<'_>, count: i64, call: &Call) -> Result<Value<'static>, SqlError> {
    let divisor = convert(Value::BigInt(count), &SqlType::BigInt, &call.result, 0)?;
    Ok(match (&sum, &divisor) {
        (Value::Decimal { value, scale }, _) => {
            Value::Decimal { value: rescale(*value * 10 / i128::from(count), 1, 0).unwrap_or(0), scale: *scale }
        }
        (Value::Money(v), _) => Value::Money(v / count),
        _ => arithmetic("div", &sum, &divisor, &call.result)?,
    })
}

/// `a · 10^shift / b`, cut off, digit by digit: the product may be beyond what fits where the quotient is not.
fn quotient(a: i128, b: i128, shift: i32) -> Option<i128> {
    if shift < 0 {
        return Some(a / 10i128.checked_pow(shift.unsigned_abs())? / b);
    }
    let (mut whole, mut rest) = (a / b, a % b);
    for _ in 0..shift {
        let next = rest.checked_mul(10)?;
        whole = whole.checked_mul(10)?.checked_add(next / b)?;
        rest = next % b;
    }
    Some(whole)
}

fn arithmetic(name: &str, left: &Value<'_>, right: &Value<'_>, result: &SqlType) -> Result<Value<'static>, SqlError> {
    let zero =
        || SqlError { number: 8134, state: 1, class: 16, message: "Divide by zero error encountered.".to_owned() };
    match (left, right) {
        (Value::Float(_) | Value::Real(_), _) => {
            let of = |value: &Value<'_>| match value {
                Value::Float(v) => *v,
                Value::Real(v) => f64::from(*v),
                _ => 0.0,
            };
            let (a, b) = (of(left), of(right));
            let value = match name {
                "add" => a + b,
                "sub" => a - b,
                "mul" => a * b,
                _ if b == 0.0 => return Err(zero()),
                "div" => a / b,
                _ => a % b,
            };
            if !value.is_finite() {
                return Err(overflow(result));
            }
            Ok(if matches!(result, SqlType::Real) { Value::Real(value as f32) } else { Value::Float(value) })
        }
        (Value::Decimal { value: a, scale: s1 }, Value::Decimal { value: b, scale: s2 }) => {
            let scale = s1.max(s2);
            let align = |value: i128, from: u8| rescale(value, from, *scale).ok_or_else(|| overflow(result));
            let (value, scale) = match name {
                "mul" => (a.checked_mul(*b), s1 + s2),
                "add" => (align(*a, *s1)?.checked_add(align(*b, *s2)?), *scale),
                "sub" => (align(*a, *s1)?.checked_sub(align(*b, *s2)?), *scale),
                _ if *b == 0 => return Err(zero()),
                "mod" => (Some(align(*a, *s1)? % align(*b, *s2)?), *scale),
                _ => {
                    let (_, target) = crate::types::decimal_shape(result);
                    let shift = i32::from(target) + i32::from(*s2) - i32::from(*s1);
                    (quotient(*a, *b, shift), target)
                }
            };
            let value = value.ok_or_else(|| overflow(result))?;
            let own = SqlType::Decimal { precision: 38, scale };
            convert(Value::Decimal { value, scale }, &own, result, 0)
        }
        (Value::Money(a), Value::Money(b)) => {
            let (a, b) = (i128::from(*a), i128::from(*b));
            let value = match name {
                "add" => a + b,
                "sub" => a - b,
                "mul" => rescale(a * b, 8, 4).unwrap_or(i128::MAX),
                _ if b == 0 => return Err(zero()),
                "div" => a * 10_000 / b,
                _ => a % b,
            };
            Ok(Value::Money(i64::try_from(value).map_err(|_| overflow(result))?))
        }
        _ => {
            let (a, b) = (number(left), number(right));
            let value = match name {
                "add" => a.checked_add(b),
                "sub" => a.checked_sub(b),
                "mul" => a.checked_mul(b),
                "and" => Some(a & b),
                "or" => Some(a | b),
                "xor" => Some(a ^ b),
                _ if b == 0 => return Err(zero()),
                "div" => a.checked_div(b),
                _ => Some(a.wrapping_rem(b)),
            };
            let value = value.ok_or_else(|| overflow(result))?;
            convert(Value::BigInt(value), &SqlType::BigInt, result, 0)
                .map_err(|_| overflow(result))
                .map(Value::into_static)
        }
    }
}

fn moment(value: &Value<'_>, sql_type: &SqlType) -> Result<Moment, SqlError> {
    moment_of(value, sql_type)
        .ok_or_else(|| error(241, "Conversion failed when converting date and/or time from character string."))
}

/// A moment for DATEDIFF, which compares datetimeoffsets as they are stored: in UTC.
fn utc(value: &Value<'_>, sql_type: &SqlType) -> Result<Moment, SqlError> {
    let local = moment(value, sql_type)?;
    let ticks = local.days * TICKS_DAY + local.ticks - i64::from(local.offset.unwrap_or(0)) * 600_000_000;
    Ok(Moment { days: ticks.div_euclid(TICKS_DAY), ticks: ticks.rem_euclid(TICKS_DAY), offset: None })
}

fn difference_overflow() -> SqlError {
    error(
        535,
        "The datediff function resulted in an overflow. The number of dateparts separating two date/time instances is too large. Try to use datediff with a less precise datepart.",
    )
}

/// Runs one call.
pub fn evaluate(call: &Call, mut values: Vec<Value<'_>>) -> Result<Value<'static>, SqlError> {
    let types = &call.arguments;
    let result = &call.result;
    match call.name.as_str() {
        "concat" => {
            let mut text = String::new();
            for (value, sql_type) in values.iter().zip(types) {
                if !matches!(value, Value::Null) {
                    text.push_str(&text_of(value, sql_type)?);
                }
            }
            return text_value(&text, result);
        }
        "convert" => {
            let style = call.option.parse().unwrap_or(0);
            return Ok(convert(values.remove(0), &types[0], result, style)?.into_static());
        }
        "exact_datetime" => {
            let Value::DateTime { days, ticks } = values.remove(0) else { return Ok(Value::Null) };
            let days = i64::from(days) + datetime::DAYS_1900;
            let moment = Moment { days, ticks: (i64::from(ticks) * 100_000 + 1) / 3, offset: None };
            return make_moment(moment, result).ok_or_else(|| overflow(result));
        }
        "try_convert" => {
            let style = call.option.parse().unwrap_or(0);
            return Ok(convert(values.remove(0), &types[0], result, style).map_or(Value::Null, Value::into_static));
        }
        "assign" => return Ok(assign(values.remove(0), &types[0], result, &call.option)?.into_static()),
        "column_in_mask" => {
            let id = number(&values[0]) as i32;
            let found = match &values[1] {
                // Without a mask all columns have changed.
                Value::Null => true,
                Value::Binary(mask) if mask.len() > 4 => {
                    mask[..4] == [0; 4] && mask[4..].chunks_exact(4).any(|own| own == id.to_le_bytes())
                }
                _ => {
                    return Err(error(
                        22101,
                        "The value supplied for the change_columns argument of CHANGE_TRACKING_IS_COLUMN_IN_MASK function is not \
                         valid. The value must be a bitmask returned by the CHANGETABLE(CHANGES ...) function.",
                    ));
                }
            };
            return Ok(Value::Int(i32::from(found)));
        }
        "newid" => {
            return Ok(Value::Guid(fresh_guid()));
        }
        "checksum" => {
            let mut sum: u32 = 0;
            for (value, sql_type) in values.iter().zip(types) {
                for unit in crate::convert_text::format_value(value, sql_type, 0)?.to_lowercase().encode_utf16() {
                    sum = sum.rotate_left(4) ^ u32::from(unit).wrapping_mul(0x9E37_79B1);
                }
            }
            return Ok(Value::Int(sum as i32));
        }
        _ => {}
    }
    if values.iter().any(|value| matches!(value, Value::Null)) {
        return Ok(Value::Null);
    }
    match call.name.as_str() {
        "add" if crate::types::is_string(result) || matches!(result, SqlType::VarBinary { .. }) => {
            joined(&values, types, result)
        }
        "add" | "sub" | "mul" | "div" | "mod" | "and" | "or" | "xor" => {
            arithmetic(&call.name, &values[0], &values[1], result)
        }
        "bytes_of_text" => crate::answers::bytes_of_text(&values[0], &types[0], result, &call.option),
        "money_as_double" => crate::answers::money_as_double(&values[0], result),
        "like" => Ok(Value::Bit(crate::like::matches(&values, types)?)),
        _ => match text_function(call, &values)? {
            Some(value) => Ok(value),
            None => other_function(call, &values),
        },
    }
}

/// A random version 4 uniqueidentifier, from the standard library's randomly keyed hasher.
pub fn fresh_guid() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let mut wire = [0; 16];
    wire[..8].copy_from_slice(&RandomState::new().hash_one(1u8).to_le_bytes());
    wire[8..].copy_from_slice(&RandomState::new().hash_one(2u8).to_le_bytes());
    wire[7] = wire[7] & 0x0f | 0x40;
    wire[8] = wire[8] & 0x3f | 0x80;
    wire
}

fn other_function(call: &Call, values: &[Value<'_>]) -> Result<Value<'static>, SqlError> {
    let types = &call.arguments;
    let result = &call.result;
    let out_of_range = || error(517, "Adding a value to a 'datetime' column caused an overflow.");
    Ok(match call.name.as_str() {
        "neg" => {
            let zero = convert(Value::Int(0), &SqlType::Int, result, 0)?;
            let value = convert(values[0].clone(), &types[0], result, 0)?;
            arithmetic("sub", &zero, &value, result)?
        }
        "abs" => {
            let zero = convert(Value::Int(0), &SqlType::Int, result, 0)?;
            let negative = match &values[0] {
                Value::Decimal { value, .. } => *value < 0,
                Value::Float(v) => *v < 0.0,
                Value::Real(v) => *v < 0.0,
                Value::Money(v) => *v < 0,
                other => number(other) < 0,
            };
            if negative { arithmetic("sub", &zero, &values[0], result)? } else { values[0].clone().into_static() }
        }
        "floor" | "ceiling" => match &values[0] {
            Value::Decimal { value, scale } => {
                let unit = 10i128.pow(u32::from(*scale));
                let floor = value.div_euclid(unit);
                let up = call.name == "ceiling" && value.rem_euclid(unit) != 0;
                Value::Decimal { value: floor + i128::from(up), scale: 0 }
            }
            Value::Float(v) => Value::Float(if call.name == "floor" { v.floor() } else { v.ceil() }),
            other => other.clone().into_static(),
        },
        "round" => match &values[0] {
            Value::Decimal { value, scale } => {
                let places = number(&values[1]).clamp(0, i64::from(*scale)) as u8;
                let rounded = rescale(*value, *scale, places).and_then(|v| rescale(v, places, *scale));
                Value::Decimal { value: rounded.ok_or_else(|| overflow(result))?, scale: *scale }
            }
            Value::Float(v) => {
                let unit = 10f64.powi(number(&values[1]) as i32);
                Value::Float((v * unit).round() / unit)
            }
            other => other.clone().into_static(),
        },
        "dateadd" => {
            let at = moment(&values[1], &types[1])?;
            let moved = date_add(&call.option, number(&values[0]), at).ok_or_else(out_of_range)?;
            make_moment(moved, result).ok_or_else(out_of_range)?
        }
        "datediff" => {
            let difference = date_diff(&call.option, utc(&values[0], &types[0])?, utc(&values[1], &types[1])?);
            let difference = i64::try_from(difference).map_err(|_| difference_overflow())?;
            let fits = convert(Value::BigInt(difference), &SqlType::BigInt, result, 0);
            fits.map_err(|_| difference_overflow())?.into_static()
        }
        "datepart" => Value::Int(date_part(&call.option, moment(&values[0], &types[0])?) as i32),
        "datefromparts" => {
            let [year, month, day] = [0, 1, 2].map(|at| number(&values[at]));
            let days = datetime::days_from(year, month, day).ok_or_else(|| {
                error(289, "Cannot construct data type date, some of the arguments have values which are not valid.")
            })?;
            Value::Date(days as u32)
        }
        "todatetimeoffset" | "switchoffset" => {
            let at = moment(&values[0], &types[0])?;
            let offset = match &values[1] {
                Value::VarChar(_) | Value::NVarChar(_) => datetime::offset(&text_of(&values[1], &types[1])?),
                other => i16::try_from(number(other)).ok().filter(|minutes| minutes.abs() <= 14 * 60),
            };
            let name = &call.name;
            let offset = offset
                .ok_or_else(|| error(9812, format!("The timezone provided to builtin function {name} is invalid.")))?;
            let shift = if name == "switchoffset" { i64::from(offset) - i64::from(at.offset.unwrap_or(0)) } else { 0 };
            let local = at.days * TICKS_DAY + at.ticks + shift * 600_000_000;
            let moved =
                Moment { days: local.div_euclid(TICKS_DAY), ticks: local.rem_euclid(TICKS_DAY), offset: Some(offset) };
            let there_is = (0..=datetime::LAST_DAY).contains(&moved.days);
            make_moment(moved, result).filter(|_| there_is).ok_or_else(|| {
                error(
                    9813,
                    format!(
                        "The timezone provided to builtin function {name} would cause the datetimeoffset to overflow the range of valid date range in either UTC or local time."
                    ),
                )
            })?
        }
        "udt_text" => match (&values[0], &types[0]) {
            (Value::Binary(bytes), SqlType::Udt { name }) => text_value(&udt_text(bytes, name), result)?,
            (other, sql_type) => text_value(&text_of(other, sql_type)?, result)?,
        },
        "udt_srid" => match &values[0] {
            Value::Binary(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                Value::Int(text.split_once(';').and_then(|(srid, _)| srid.parse().ok()).unwrap_or(0))
            }
            _ => Value::Null,
        },
        "variant_property" => variant_property(&values[0], &call.option, result)?,
        "recollate" => convert(values[0].clone(), &types[0], &with_collation(result, &call.option), 0)?.into_static(),
        other => return Err(error(195, format!("'{other}' is not a recognized built-in function name."))),
    })
}

fn variant_property(value: &Value<'_>, property: &str, result: &SqlType) -> Result<Value<'static>, SqlError> {
    let Value::Variant(inner) = value else { return Ok(Value::Null) };
    let (size, precision, scale) = crate::types::catalog_size(&inner.0);
    let text = match property.to_ascii_lowercase().as_str() {
        "basetype" => type_name(&inner.0).to_owned(),
        "precision" => precision.to_string(),
        "scale" => scale.to_string(),
        "maxlength" => size.to_string(),
        "collation" => match crate::types::collation_of(&inner.0) {
            Some(name) => name.to_owned(),
            None => return Ok(Value::Null),
        },
        _ => return Ok(Value::Null),
    };
    let base = if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        (SqlType::Int, Value::Int(text.parse().unwrap_or(0)))
    } else {
        let name = crate::types::parse_type("nvarchar(128)", crate::types::DEFAULT_COLLATION, 1)?;
        let value = text_value(&text, &name)?;
        (name, value)
    };
    Ok(convert(base.1, &base.0, result, 0)?.into_static())
}
