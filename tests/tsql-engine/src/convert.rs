//! CAST and CONVERT between all type families, with the errors that SQL Server gives.

use std::borrow::Cow;

use crate::codec::TICKS_DAY;
use crate::collation;
use crate::convert_text::{format_value, is_number_text, parse_decimal};
use crate::datetime::{self, DAYS_1900, Moment};
use crate::error::error;
use crate::types::{collation_of, is_string, is_wide, length_of, type_name, type_text};
use crate::value::{SqlError, SqlType, Value};

fn explicit_refused(from: &SqlType, to: &SqlType) -> SqlError {
    error(529, format!("Explicit conversion from data type {} to {} is not allowed.", type_name(from), type_name(to)))
}

fn overflow(to: &SqlType) -> SqlError {
    error(8115, format!("Arithmetic overflow error converting expression to data type {}.", type_name(to)))
}

fn bad_text(from: &SqlType, text: &str, to: &SqlType) -> SqlError {
    match to {
        SqlType::Int | SqlType::SmallInt | SqlType::TinyInt | SqlType::Bit => error(
            245,
            format!(
                "Conversion failed when converting the {} value '{text}' to data type {}.",
                type_name(from),
                type_name(to)
            ),
        ),
        SqlType::Date
        | SqlType::Time { .. }
        | SqlType::DateTime
        | SqlType::SmallDateTime
        | SqlType::DateTime2 { .. }
        | SqlType::DateTimeOffset { .. } => {
            error(241, "Conversion failed when converting date and/or time from character string.")
        }
        SqlType::UniqueIdentifier => {
            error(8169, "Conversion failed when converting from a character string to uniqueidentifier.")
        }
        _ => error(8114, format!("Error converting data type {} to {}.", type_name(from), type_name(to))),
    }
}

/// The value as another type; `style` is CONVERT's third argument.
pub fn convert<'a>(value: Value<'a>, from: &SqlType, to: &SqlType, style: i32) -> Result<Value<'a>, SqlError> {
    if matches!(value, Value::Null) {
        return Ok(Value::Null);
    }
    if let Value::Variant(inner) = value {
        if matches!(to, SqlType::SqlVariant) {
            return Ok(Value::Variant(inner));
        }
        let (base, value) = *inner;
        return convert(value, &base, to, style);
    }
    match to {
        SqlType::SqlVariant => Ok(Value::Variant(Box::new((from.clone(), value.into_static())))),
        _ if is_string(to) || matches!(to, SqlType::Xml) => to_string(value, from, to, style),
        SqlType::Binary { .. }
        | SqlType::VarBinary { .. }
        | SqlType::Image
        | SqlType::RowVersion
        | SqlType::Udt { .. } => to_binary(value, from, to, style),
        SqlType::UniqueIdentifier => to_guid(value, from, to),
        SqlType::Float | SqlType::Real => to_float(&value, from, to),
        SqlType::Date
        | SqlType::Time { .. }
        | SqlType::DateTime
        | SqlType::SmallDateTime
        | SqlType::DateTime2 { .. }
        | SqlType::DateTimeOffset { .. } => to_moment(&value, from, to, style),
        _ => to_exact(&value, from, to),
    }
}

/// The text of a character value.
pub fn text_of(value: &Value<'_>, sql_type: &SqlType) -> Result<String, SqlError> {
    match value {
        Value::NVarChar(bytes) => Ok(collation::decode_utf16(bytes)),
        Value::VarChar(bytes) => {
            collation::decode(bytes, collation_of(sql_type).unwrap_or(crate::types::DEFAULT_COLLATION))
        }
        other => format_value(other, sql_type, 0),
    }
}

fn fit(mut bytes: Vec<u8>, unit: usize, to: &SqlType) -> Vec<u8> {
    if let Some(length) = length_of(to) {
        let limit = length as usize * unit;
        bytes.truncate(limit);
        match to {
            SqlType::Char { .. } => bytes.resize(limit, b' '),
            SqlType::Binary { .. } | SqlType::RowVersion => bytes.resize(limit, 0),
            SqlType::NChar { .. } => {
                while bytes.len() < limit {
                    bytes.extend_from_slice(&[0x20, 0]);
                }
            }
            _ => {}
        }
    }
    bytes
}

fn to_string<'a>(value: Value<'a>, from: &SqlType, to: &SqlType, style: i32) -> Result<Value<'a>, SqlError> {
    let wide = is_wide(to);
    let target = collation_of(to).unwrap_or(crate::types::DEFAULT_COLLATION);
    let bytes = match value {
        Value::NVarChar(bytes) if wide => bytes.into_owned(),
        // Every code page agrees with ASCII in its lower half, so that most texts need no tables.
        Value::VarChar(bytes) if wide && bytes.is_ascii() => bytes.iter().flat_map(|byte| [*byte, 0]).collect(),
        Value::NVarChar(units) if units.chunks_exact(2).all(|unit| unit[0] < 0x80 && unit[1] == 0) => {
            units.iter().step_by(2).copied().collect()
        }
        Value::VarChar(bytes)
            if !wide && collation_of(from).map(collation::code_page) == Some(collation::code_page(target)) =>
        {
            bytes.into_owned()
        }
        Value::Binary(mut bytes) if !matches!(from, SqlType::Udt { .. }) && style == 0 => {
            if wide && bytes.len() % 2 == 1 {
                bytes.to_mut().push(0);
            }
            bytes.into_owned()
        }
        other => {
            let is_text = matches!(other, Value::NVarChar(_) | Value::VarChar(_));
            let text = if is_text { text_of(&other, from)? } else { format_value(&other, from, style)? };
            if !is_text && length_of(to).is_some_and(|length| text.len() > length as usize) {
                return match from {
                    SqlType::Bit | SqlType::TinyInt | SqlType::SmallInt | SqlType::Int if !wide => {
                        Ok(Value::VarChar(Cow::Owned(fit(b"*".to_vec(), 1, to))))
                    }
                    SqlType::UniqueIdentifier => {
                        Err(error(8170, "Insufficient result space to convert uniqueidentifier value to char."))
                    }
                    _ if crate::types::precedence(from) >= 22 => Ok(truncated(&text, to, wide)),
                    _ => Err(overflow(to)),
                };
            }
            if wide { collation::encode_utf16(&text) } else { collation::encode(&text, target)? }
        }
    };
    let bytes = fit(bytes, if wide { 2 } else { 1 }, to);
    Ok(if wide { Value::NVarChar(Cow::Owned(bytes)) } else { Value::VarChar(Cow::Owned(bytes)) })
}

fn truncated(text: &str, to: &SqlType, wide: bool) -> Value<'static> {
    if wide {
        Value::NVarChar(Cow::Owned(fit(collation::encode_utf16(text), 2, to)))
    } else {
        Value::VarChar(Cow::Owned(fit(text.as_bytes().to_vec(), 1, to)))
    }
}

fn to_binary<'a>(value: Value<'a>, from: &SqlType, to: &SqlType, style: i32) -> Result<Value<'a>, SqlError> {
    let bytes = match value {
        Value::VarChar(_) | Value::NVarChar(_) if style == 1 || style == 2 => {
            let text = text_of(&value, from)?;
            let digits =
                if style == 1 { text.strip_prefix("0x").or(text.strip_prefix("0X")) } else { Some(text.as_str()) };
            digits.and_then(unhex).ok_or_else(|| bad_text(from, &text, to))?
        }
        Value::VarChar(_) | Value::NVarChar(_) if matches!(to, SqlType::Udt { .. }) => {
            text_of(&value, from)?.into_bytes()
        }
        Value::Binary(bytes) if !matches!(to, SqlType::Udt { .. }) && matches!(from, SqlType::Udt { .. }) => {
            crate::clr::bytes(&bytes, type_name(from))?
        }
        Value::Binary(_) if matches!(to, SqlType::Udt { .. }) && !matches!(from, SqlType::Udt { .. }) => {
            return Err(crate::error::unsupported(&format!("a {} of its stored bytes", type_name(to))));
        }
        Value::VarChar(bytes) | Value::NVarChar(bytes) | Value::Binary(bytes) => bytes.into_owned(),
        Value::Guid(wire) => wire.to_vec(),
        Value::Bit(v) => vec![u8::from(v)],
        Value::TinyInt(v) => vec![v],
        Value::SmallInt(v) => v.to_be_bytes().to_vec(),
        Value::Int(v) => v.to_be_bytes().to_vec(),
        Value::BigInt(v) => v.to_be_bytes().to_vec(),
        Value::Money(v) if matches!(from, SqlType::SmallMoney) => (v as i32).to_be_bytes().to_vec(),
        Value::Money(v) => v.to_be_bytes().to_vec(),
        Value::Real(v) => v.to_be_bytes().to_vec(),
        Value::Float(v) => v.to_be_bytes().to_vec(),
        _ => return Err(explicit_refused(from, to)),
    };
    let limit = length_of(to).map(|length| length as usize);
    let numeric = crate::types::precedence(from) >= 12;
    // Numbers keep their low bytes, strings their first.
    let bytes = match limit {
        Some(limit) if numeric && bytes.len() > limit => bytes[bytes.len() - limit..].to_vec(),
        Some(limit) if numeric && matches!(to, SqlType::Binary { .. }) => {
            let mut padded = vec![0; limit - bytes.len()];
            padded.extend_from_slice(&bytes);
            padded
        }
        _ => fit(bytes, 1, to),
    };
    Ok(Value::Binary(Cow::Owned(bytes)))
}

/// Bytes of hexadecimal digits.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() {
        return None;
    }
    let padded = if text.len() % 2 == 1 { format!("0{text}") } else { text.to_owned() };
    (0..padded.len()).step_by(2).map(|at| u8::from_str_radix(&padded[at..at + 2], 16).ok()).collect()
}

fn to_guid<'a>(value: Value<'a>, from: &SqlType, to: &SqlType) -> Result<Value<'a>, SqlError> {
    match value {
        Value::Guid(_) => Ok(value),
        Value::Binary(bytes) => {
            let mut wire = [0; 16];
            let length = bytes.len().min(16);
            wire[..length].copy_from_slice(&bytes[..length]);
            Ok(Value::Guid(wire))
        }
        Value::VarChar(_) | Value::NVarChar(_) => {
            let text = text_of(&value, from)?;
            let bare = text.trim().trim_start_matches('{');
            let digits: String = bare.chars().take(36).filter(|character| *character != '-').collect();
            let bytes = unhex(&digits).filter(|bytes| bytes.len() == 16).ok_or_else(|| bad_text(from, &text, to))?;
            let mut wire = [0; 16];
            wire.copy_from_slice(&bytes);
            wire[..4].reverse();
            wire[4..6].reverse();
            wire[6..8].reverse();
            Ok(Value::Guid(wire))
        }
        _ => Err(explicit_refused(from, to)),
    }
}

fn to_float<'a>(value: &Value<'_>, from: &SqlType, to: &SqlType) -> Result<Value<'a>, SqlError> {
    let number = match value {
        Value::Real(v) => f64::from(*v),
        Value::Float(v) => *v,
        Value::VarChar(_) | Value::NVarChar(_) => {
            let text = text_of(value, from)?;
            let trimmed = text.trim();
            if trimmed.is_empty() {
                0.0
            } else {
                let parsed = is_number_text(trimmed).then(|| trimmed.parse().ok()).flatten();
                parsed.ok_or_else(|| bad_text(from, trimmed, to))?
            }
        }
        other => {
            let (value, scale) = exact_of(other, from, to)?;
            format!("{value}e-{scale}").parse().unwrap_or(f64::NAN)
        }
    };
    if matches!(to, SqlType::Real) {
        let narrow = number as f32;
        if narrow.is_infinite() { Err(overflow(to)) } else { Ok(Value::Real(narrow)) }
    } else if number.is_finite() {
        Ok(Value::Float(number))
    } else {
        Err(overflow(to))
    }
}

/// A number as an integer and its scale.
fn exact_of(value: &Value<'_>, from: &SqlType, to: &SqlType) -> Result<(i128, u8), SqlError> {
    Ok(match value {
        Value::Bit(v) => (i128::from(*v), 0),
        Value::TinyInt(v) => (i128::from(*v), 0),
        Value::SmallInt(v) => (i128::from(*v), 0),
        Value::Int(v) => (i128::from(*v), 0),
        Value::BigInt(v) => (i128::from(*v), 0),
        Value::Decimal { value, scale } => (*value, *scale),
        Value::Money(v) => (i128::from(*v), 4),
        Value::Real(_) | Value::Float(_) => {
            let number = if let Value::Real(v) = value {
                f64::from(*v)
            } else if let Value::Float(v) = value {
                *v
            } else {
                0.0
            };
            let integral =
                matches!(to, SqlType::Int | SqlType::BigInt | SqlType::SmallInt | SqlType::TinyInt | SqlType::Bit);
            let text = if integral { format!("{}", number.trunc()) } else { format!("{number:.17}") };
            parse_decimal(&text).ok_or_else(|| overflow(to))?
        }
        Value::VarChar(_) | Value::NVarChar(_) => {
            let text = text_of(value, from)?;
            let trimmed = text.trim();
            let money = matches!(to, SqlType::Money | SqlType::SmallMoney);
            let cleaned = if money { trimmed.replace([',', '$', '€', '£'], "") } else { trimmed.to_owned() };
            let integral =
                matches!(to, SqlType::Int | SqlType::BigInt | SqlType::SmallInt | SqlType::TinyInt | SqlType::Bit);
            if cleaned.is_empty() && (integral || money) {
                return Ok((0, 0));
            }
            if matches!(to, SqlType::Bit) && cleaned.eq_ignore_ascii_case("true") {
                return Ok((1, 0));
            }
            if matches!(to, SqlType::Bit) && cleaned.eq_ignore_ascii_case("false") {
                return Ok((0, 0));
            }
            let parsed = parse_decimal(&cleaned).filter(|(_, scale)| !integral || *scale == 0);
            parsed.ok_or_else(|| bad_text(from, trimmed, to))?
        }
        Value::Binary(_) if matches!(to, SqlType::Decimal { .. } | SqlType::Numeric { .. }) => {
            return Err(error(8114, format!("Error converting data type {} to numeric.", type_name(from))));
        }
        Value::Binary(bytes) => {
            let tail = if bytes.len() > 8 { &bytes[bytes.len() - 8..] } else { bytes };
            let number = tail.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
            let signed = match to {
                SqlType::Int => i128::from(number as u32 as i32),
                SqlType::SmallInt => i128::from(number as u16 as i16),
                SqlType::TinyInt => i128::from(number as u8),
                SqlType::Money => return Ok((i128::from(number as i64), 4)),
                _ => i128::from(number as i64),
            };
            (signed, 0)
        }
        Value::DateTime { days, .. } => (i128::from(*days), 0),
        _ => return Err(explicit_refused(from, to)),
    })
}

/// `value` at another scale, rounded half away from zero; `None` where it does not fit.
pub fn rescale(value: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return value.checked_mul(10i128.checked_pow(u32::from(to - from))?);
    }
    let divisor = 10i128.checked_pow(u32::from(from - to))?;
    let (quotient, rest) = (value / divisor, value % divisor);
    Some(if rest.abs() >= divisor - rest.abs() { quotient + value.signum() } else { quotient })
}

fn to_exact<'a>(value: &Value<'_>, from: &SqlType, to: &SqlType) -> Result<Value<'a>, SqlError> {
    let (number, scale) = exact_of(value, from, to)?;
    let whole = |number: i128| number / 10i128.pow(u32::from(scale.min(38)));
    let narrow = |number: i128| {
        let named = match to {
            SqlType::TinyInt | SqlType::SmallInt if scale == 0 => {
                error(220, format!("Arithmetic overflow error for data type {}, value = {number}.", type_name(to)))
            }
            _ => overflow(to),
        };
        if matches!(value, Value::VarChar(_) | Value::NVarChar(_)) && matches!(to, SqlType::Int) {
            return error(
                248,
                format!("The conversion of the {} value '{number}' overflowed an int column.", type_name(from)),
            );
        }
        named
    };
    Ok(match to {
        SqlType::Bit => Value::Bit(number != 0),
        SqlType::TinyInt => Value::TinyInt(u8::try_from(whole(number)).map_err(|_| narrow(number))?),
        SqlType::SmallInt => Value::SmallInt(i16::try_from(whole(number)).map_err(|_| narrow(number))?),
        SqlType::Int => Value::Int(i32::try_from(whole(number)).map_err(|_| narrow(number))?),
        SqlType::BigInt => Value::BigInt(i64::try_from(whole(number)).map_err(|_| narrow(number))?),
        SqlType::Money | SqlType::SmallMoney => {
            let units = rescale(number, scale, 4).and_then(|v| i64::try_from(v).ok()).ok_or_else(|| overflow(to))?;
            if matches!(to, SqlType::SmallMoney) && i32::try_from(units).is_err() {
                return Err(overflow(to));
            }
            Value::Money(units)
        }
        SqlType::Decimal { precision, scale: target } | SqlType::Numeric { precision, scale: target } => {
            let rescaled = rescale(number, scale, *target)
                .filter(|v| v.unsigned_abs() < 10u128.pow(u32::from(*precision)))
                .ok_or_else(|| {
                    error(
                        8115,
                        format!(
                            "Arithmetic overflow error converting {} to data type {}.",
                            type_name(from),
                            if matches!(to, SqlType::Numeric { .. }) { "numeric" } else { "decimal" }
                        ),
                    )
                })?;
            Value::Decimal { value: rescaled, scale: *target }
        }
        _ => return Err(explicit_refused(from, to)),
    })
}

/// Days since 0001-01-01 and 100 ns of any date or time value, with its offset.
pub fn moment_of(value: &Value<'_>, from: &SqlType) -> Option<Moment> {
    let plain = |days, ticks| Some(Moment { days, ticks, offset: None });
    match value {
        Value::Date(days) => plain(i64::from(*days), 0),
        Value::Time(ticks) => plain(DAYS_1900, *ticks as i64),
        Value::DateTime { days, ticks } => {
            plain(i64::from(*days) + DAYS_1900, datetime::from_datetime(i64::from(*ticks)))
        }
        Value::SmallDateTime { days, minutes } => {
            plain(i64::from(*days) + DAYS_1900, i64::from(*minutes) * 600_000_000)
        }
        Value::DateTime2 { days, ticks } => plain(i64::from(*days), *ticks as i64),
        Value::DateTimeOffset { days, ticks, offset } => {
            let local = i64::from(*days) * TICKS_DAY + *ticks as i64 + i64::from(*offset) * 600_000_000;
            Some(Moment {
                days: local.div_euclid(TICKS_DAY),
                ticks: local.rem_euclid(TICKS_DAY),
                offset: Some(*offset),
            })
        }
        Value::VarChar(_) | Value::NVarChar(_) => datetime::parse(&text_of(value, from).ok()?),
        Value::Int(days) => plain(i64::from(*days) + DAYS_1900, 0),
        _ => None,
    }
}

fn to_moment<'a>(value: &Value<'_>, from: &SqlType, to: &SqlType, style: i32) -> Result<Value<'a>, SqlError> {
    // "Conversion from string to datetime2" (SQL Server's developers, 2008): style 1 takes the time in UTC, 0 the local one.
    if let (Value::DateTimeOffset { days, ticks, .. }, 1) = (value, style)
        && !matches!(to, SqlType::DateTimeOffset { .. })
    {
        let utc = Value::DateTime2 { days: *days, ticks: *ticks };
        return to_moment(&utc, &SqlType::DateTime2 { scale: 7 }, to, 0);
    }
    let Some(moment) = moment_of(value, from) else {
        return Err(if is_string(from) { bad_text(from, "", to) } else { explicit_refused(from, to) });
    };
    make_moment(moment, to).ok_or_else(|| {
        error(
            242,
            format!(
                "The conversion of a {} data type to a {} data type resulted in an out-of-range value.",
                type_name(from),
                type_text(to)
            ),
        )
    })
}

/// A moment as a value of a date or time type; `None` outside the type's range.
pub fn make_moment<'a>(moment: Moment, to: &SqlType) -> Option<Value<'a>> {
    let Moment { days, ticks, offset } = moment;
    Some(match to {
        SqlType::Date => Value::Date(u32::try_from(days).ok().filter(|d| i64::from(*d) <= datetime::LAST_DAY)?),
        SqlType::Time { scale } => Value::Time(datetime::round(datetime::LAST_DAY, ticks, *scale).1 as u64),
        SqlType::DateTime => {
            let (days, units) = datetime::to_datetime(days - DAYS_1900, ticks);
            if !(-53_690..=2_958_463).contains(&days) {
                return None;
            }
            Value::DateTime { days: days as i32, ticks: units as u32 }
        }
        SqlType::SmallDateTime => {
            let minutes = (days - DAYS_1900) * 1440 + (ticks + 300_000_000) / 600_000_000;
            Value::SmallDateTime {
                days: u16::try_from(minutes.div_euclid(1440)).ok()?,
                minutes: minutes.rem_euclid(1440) as u16,
            }
        }
        SqlType::DateTime2 { scale } => {
            let (days, ticks) = datetime::round(days, ticks, *scale);
            Value::DateTime2 { days: u32::try_from(days).ok()?, ticks: ticks as u64 }
        }
        SqlType::DateTimeOffset { scale } => {
            let (days, ticks) = datetime::round(days, ticks, *scale);
            let offset = offset.unwrap_or(0);
            let utc = days * TICKS_DAY + ticks - i64::from(offset) * 600_000_000;
            Value::DateTimeOffset {
                days: u32::try_from(utc.div_euclid(TICKS_DAY)).ok()?,
                ticks: utc.rem_euclid(TICKS_DAY) as u64,
                offset,
            }
        }
        _ => return None,
    })
}

/// A conversion into a column: as [`convert`], but what would be cut off is an error.
pub fn assign<'a>(value: Value<'a>, from: &SqlType, to: &SqlType, column: &str) -> Result<Value<'a>, SqlError> {
    let limit = length_of(to).map(|length| length as usize * if is_wide(to) { 2 } else { 1 });
    let checked = is_string(to) || matches!(to, SqlType::Binary { .. } | SqlType::VarBinary { .. });
    if let (Some(limit), true) = (limit, checked) {
        let length = match &value {
            Value::VarChar(bytes) if is_wide(to) => bytes.len() * 2,
            Value::NVarChar(bytes) if is_string(to) && !is_wide(to) => bytes.len() / 2,
            Value::VarChar(bytes) | Value::NVarChar(bytes) | Value::Binary(bytes) => bytes.len(),
            _ => 0,
        };
        if length > limit {
            let spaces = match &value {
                Value::VarChar(bytes) => bytes[limit.min(bytes.len())..].iter().all(|byte| *byte == b' '),
                _ => false,
            };
            if !spaces {
                return Err(error(2628, format!("String or binary data would be truncated in {column}.")));
            }
        }
    }
    convert(value, from, to, 0)
}
