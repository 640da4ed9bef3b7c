//! CAST and CONVERT among all types, exact where SQL Server is exact.

use crate::calendar::{self, DAYS_TO_1900, date_text, instant, time_text};
use crate::types::collation_of;
use crate::value::{Collation, Len, SqlError, SqlType, Value};

type Converted = Result<Value<'static>, SqlError>;

/// The text of a character value, for functions and comparisons; `None` for other values.
pub fn text_of(value: &Value<'_>, collation: &Collation) -> Option<String> {
    match value {
        Value::VarChar(bytes) => Some(collation.decode(bytes)),
        Value::NVarChar(bytes) => Some(utf16_text(bytes)),
        _ => None,
    }
}

pub fn utf16_text(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

/// Converts a value of type `from` to type `to`.
pub fn convert(value: Value<'static>, from: &SqlType, to: &SqlType, style: Option<u16>) -> Converted {
    if value.is_null() {
        return Ok(Value::Null);
    }
    if let Value::Variant(inner) = value {
        let (base, inner) = *inner;
        return match to {
            SqlType::SqlVariant => Ok(Value::Variant(Box::new((base, inner)))),
            _ => convert(inner, &base, to, style),
        };
    }
    match to {
        SqlType::SqlVariant => Ok(Value::Variant(Box::new((from.clone(), value)))),
        SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text { .. } => to_varchar(&value, from, to, style),
        SqlType::NChar { .. } | SqlType::NVarChar { .. } | SqlType::NText { .. } | SqlType::Xml => {
            to_nvarchar(&value, from, to, style)
        }
        SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Image | SqlType::RowVersion => {
            to_binary(&value, to, style)
        }
        SqlType::UniqueIdentifier => to_guid(&value, from),
        SqlType::Udt { name } => to_udt(&value, from, name),
        SqlType::Real | SqlType::Float => to_float(&value, from, to),
        SqlType::Date
        | SqlType::Time { .. }
        | SqlType::DateTime
        | SqlType::SmallDateTime
        | SqlType::DateTime2 { .. }
        | SqlType::DateTimeOffset { .. } => to_date_time(&value, from, to),
        _ => to_exact(&value, from, to),
    }
}

fn default_collation(kind: &SqlType) -> Collation {
    collation_of(kind).cloned().unwrap_or_default()
}

/// The text that a value of any type has as a string.
pub fn render(value: &Value<'_>, from: &SqlType, style: Option<u16>) -> Result<String, SqlError> {
    if let Some(text) = text_of(value, &default_collation(from)) {
        return Ok(text);
    }
    Ok(match value {
        Value::Bit(value) => u8::from(*value).to_string(),
        Value::TinyInt(value) => value.to_string(),
        Value::SmallInt(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::BigInt(value) => value.to_string(),
        Value::Real(value) if style == Some(3) => format!("{value:.8e}"),
        Value::Real(value) => shortest(f64::from(*value), value.to_string()),
        // 17 significant digits, as style 3 gives them.
        Value::Float(value) if style == Some(3) => format!("{value:.16e}"),
        Value::Float(value) => shortest(*value, value.to_string()),
        Value::Decimal { value, scale } => decimal_text(*value, *scale),
        Value::Money(value) if style == Some(2) => decimal_text(i128::from(*value), 4),
        Value::Money(value) => {
            let rounded = (i128::from(*value) + 50 * i128::from(value.signum())) / 100;
            decimal_text(rounded, 2)
        }
        Value::Guid(bytes) => guid_text(bytes),
        Value::Binary(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            if style == Some(1) { format!("0x{digits}") } else { digits }
        }
        other => date_time_text(other, from)
            .ok_or_else(|| SqlError::new(529, 16, "Explicit conversion to a string is not allowed for this type."))?,
    })
}

fn shortest(value: f64, text: String) -> String {
    if value.abs() >= 1e15 || (value != 0.0 && value.abs() < 1e-4) { format!("{value:e}") } else { text }
}

fn date_time_text(value: &Value<'_>, from: &SqlType) -> Option<String> {
    let (days, ticks, offset) = instant(value)?;
    let scale = match from {
        SqlType::Time { scale } | SqlType::DateTime2 { scale } | SqlType::DateTimeOffset { scale } => *scale,
        SqlType::DateTime => 3,
        SqlType::SmallDateTime => 0,
        _ => 7,
    };
    Some(match value {
        Value::Date(_) => date_text(days),
        Value::Time(_) => time_text(ticks, scale),
        Value::DateTimeOffset { .. } => {
            let (days, ticks) = calendar::normalize(days, ticks as i64 + i64::from(offset) * 600_000_000);
            let sign = if offset < 0 { '-' } else { '+' };
            let minutes = offset.unsigned_abs();
            format!("{} {} {sign}{:02}:{:02}", date_text(days), time_text(ticks, scale), minutes / 60, minutes % 60)
        }
        _ => format!("{} {}", date_text(days), time_text(ticks, scale)),
    })
}

pub fn decimal_text(value: i128, scale: u8) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Upper case, first three groups from their little-endian wire order.
pub fn guid_text(bytes: &[u8; 16]) -> String {
    let b = bytes;
    let head = format!(
        "{:02X}{:02X}{:02X}{:02X}-{:02X}{:02X}-{:02X}{:02X}-{:02X}{:02X}-",
        b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9]
    );
    b[10..].iter().fold(head, |text, byte| format!("{text}{byte:02X}"))
}

fn parse_guid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.trim().trim_matches(['{', '}']).chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 {
        return None;
    }
    let mut bytes = [0; 16];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    Some(bytes)
}

fn truncation(length: usize, limit: usize) -> SqlError {
    SqlError::new(2628, 16, format!("String or binary data would be truncated: {length} do not fit {limit}."))
}

fn to_varchar(value: &Value<'_>, from: &SqlType, to: &SqlType, style: Option<u16>) -> Converted {
    let collation = default_collation(to);
    let mut bytes = match value {
        Value::Binary(bytes) if style.is_none() => bytes.to_vec(),
        Value::VarChar(bytes) if collation_of(from).is_none_or(|from| from.code_page() == collation.code_page()) => {
            bytes.to_vec()
        }
        other => {
            let text = render(other, from, style)?;
            collation.encode(&text).unwrap_or_else(|| {
                // SQL Server puts ? for characters that the code page lacks.
                text.chars().flat_map(|c| collation.encode(&c.to_string()).unwrap_or_else(|| vec![b'?'])).collect()
            })
        }
    };
    match to {
        SqlType::Char { len, .. } => {
            bytes.truncate(usize::from(*len));
            bytes.resize(usize::from(*len), b' ');
        }
        SqlType::VarChar { len: Len::N(len), .. } => bytes.truncate(usize::from(*len)),
        _ => {}
    }
    Ok(Value::VarChar(bytes.into()))
}

fn to_nvarchar(value: &Value<'_>, from: &SqlType, to: &SqlType, style: Option<u16>) -> Converted {
    let mut bytes = match value {
        Value::NVarChar(bytes) => bytes.to_vec(),
        Value::Binary(bytes) if style.is_none() => bytes.to_vec(),
        other => render(other, from, style)?.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    };
    match to {
        SqlType::NChar { len, .. } => {
            bytes.truncate(usize::from(*len) * 2);
            while bytes.len() < usize::from(*len) * 2 {
                bytes.extend_from_slice(&[b' ', 0]);
            }
        }
        SqlType::NVarChar { len: Len::N(len), .. } => bytes.truncate(usize::from(*len) * 2),
        _ => {}
    }
    Ok(Value::NVarChar(bytes.into()))
}

fn to_binary(value: &Value<'_>, to: &SqlType, style: Option<u16>) -> Converted {
    let mut bytes = match value {
        Value::Binary(bytes) => bytes.to_vec(),
        Value::VarChar(text) if style == Some(1) => {
            let digits = String::from_utf8_lossy(text).trim_start_matches("0x").to_owned();
            (0..digits.len() / 2).filter_map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).ok()).collect()
        }
        Value::VarChar(bytes) | Value::NVarChar(bytes) => bytes.to_vec(),
        Value::TinyInt(value) => vec![*value],
        Value::SmallInt(value) => value.to_be_bytes().to_vec(),
        Value::Int(value) => value.to_be_bytes().to_vec(),
        Value::BigInt(value) => value.to_be_bytes().to_vec(),
        Value::Guid(bytes) => bytes.to_vec(),
        _ => return Err(SqlError::unsupported("this conversion to binary is not supported")),
    };
    match to {
        SqlType::Binary { len } => bytes.resize(usize::from(*len), 0),
        SqlType::RowVersion => bytes.resize(8, 0),
        SqlType::VarBinary { len: Len::N(len) } => bytes.truncate(usize::from(*len)),
        _ => {}
    }
    Ok(Value::Binary(bytes.into()))
}

fn to_guid(value: &Value<'_>, from: &SqlType) -> Converted {
    match value {
        Value::Guid(bytes) => Ok(Value::Guid(*bytes)),
        Value::Binary(bytes) if bytes.len() == 16 => {
            let mut guid = [0; 16];
            guid.copy_from_slice(bytes);
            Ok(Value::Guid(guid))
        }
        other => parse_guid(&render(other, from, None)?).map(Value::Guid).ok_or_else(|| {
            SqlError::new(8169, 16, "Conversion failed when converting from a character string to uniqueidentifier.")
        }),
    }
}

/// CLR values are kept as text: a hierarchyid's path, a shape as `SRID=n;WKT`.
fn to_udt(value: &Value<'_>, from: &SqlType, name: &str) -> Converted {
    match (value, from) {
        (Value::NVarChar(bytes), SqlType::Udt { .. }) => Ok(Value::NVarChar(bytes.to_vec().into())),
        (other, _) => {
            let text = render(other, from, None)?;
            let srid = if name == "geography" { "SRID=4326;" } else { "SRID=0;" };
            Ok(Value::nvarchar(&if name == "hierarchyid" || text.starts_with("SRID=") {
                text
            } else {
                format!("{srid}{text}")
            }))
        }
    }
}

/// Mantissa and scale of an exact number.
pub fn exact(value: &Value<'_>) -> Option<(i128, u8)> {
    Some(match value {
        Value::Bit(value) => (i128::from(*value), 0),
        Value::TinyInt(value) => (i128::from(*value), 0),
        Value::SmallInt(value) => (i128::from(*value), 0),
        Value::Int(value) => (i128::from(*value), 0),
        Value::BigInt(value) => (i128::from(*value), 0),
        Value::Decimal { value, scale } => (*value, *scale),
        Value::Money(value) => (i128::from(*value), 4),
        _ => return None,
    })
}

/// A number as a double.
pub fn approximate(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Real(value) => Some(f64::from(*value)),
        Value::Float(value) => Some(*value),
        other => exact(other).map(|(value, scale)| value as f64 / 10_f64.powi(i32::from(scale))),
    }
}

fn conversion_failed(text: &str, to: &SqlType) -> SqlError {
    SqlError::new(8114, 16, format!("Error converting '{text}' to {to:?}."))
}

fn to_float(value: &Value<'_>, from: &SqlType, to: &SqlType) -> Converted {
    let number = match approximate(value) {
        Some(number) => number,
        None => {
            let text = render(value, from, None)?;
            text.trim().parse().map_err(|_| conversion_failed(&text, to))?
        }
    };
    Ok(if *to == SqlType::Real { Value::Real(number as f32) } else { Value::Float(number) })
}

/// Rescales with rounding half away from zero, as CAST does.
pub fn rescale(value: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return value.checked_mul(10_i128.checked_pow(u32::from(to - from))?);
    }
    let unit = 10_i128.pow(u32::from(from - to));
    Some((value + unit / 2 * value.signum()) / unit)
}

fn to_exact(value: &Value<'_>, from: &SqlType, to: &SqlType) -> Converted {
    let (number, scale) = match (exact(value), value) {
        (Some(found), _) => found,
        (None, Value::Real(_) | Value::Float(_)) => {
            let number = approximate(value).unwrap_or_default();
            let digits = match to {
                SqlType::Decimal { scale, .. } | SqlType::Numeric { scale, .. } => *scale,
                SqlType::Money | SqlType::SmallMoney => 4,
                _ => 0,
            };
            // Integers cut, decimals round.
            let scaled = number * 10_f64.powi(i32::from(digits));
            (if digits == 0 { scaled.trunc() } else { scaled.round() } as i128, digits)
        }
        (None, Value::Binary(bytes)) => (bytes.iter().fold(0_i128, |number, byte| number << 8 | i128::from(*byte)), 0),
        _ => {
            let text = render(value, from, None)?;
            parse_exact(text.trim()).ok_or_else(|| {
                if matches!(to, SqlType::Int | SqlType::BigInt | SqlType::SmallInt | SqlType::TinyInt) {
                    SqlError::new(245, 16, format!("Conversion failed when converting the value '{text}' to {to:?}."))
                } else {
                    conversion_failed(&text, to)
                }
            })?
        }
    };
    narrow(number, scale, to)
}

fn parse_exact(text: &str) -> Option<(i128, u8)> {
    if text.is_empty() {
        return Some((0, 0));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    Some((format!("{whole}{fraction}").parse().ok()?, fraction.len() as u8))
}

fn narrow(number: i128, scale: u8, to: &SqlType) -> Converted {
    let overflow = || SqlError::new(8115, 16, format!("Arithmetic overflow error converting to data type {to:?}."));
    // Integers cut fractions.
    let whole = || number / 10_i128.pow(u32::from(scale));
    Ok(match to {
        SqlType::Bit => Value::Bit(number != 0),
        SqlType::TinyInt => Value::TinyInt(u8::try_from(whole()).map_err(|_| overflow())?),
        SqlType::SmallInt => Value::SmallInt(i16::try_from(whole()).map_err(|_| overflow())?),
        SqlType::Int => Value::Int(i32::try_from(whole()).map_err(|_| overflow())?),
        SqlType::BigInt => Value::BigInt(i64::try_from(whole()).map_err(|_| overflow())?),
        SqlType::Money => {
            Value::Money(rescale(number, scale, 4).and_then(|value| i64::try_from(value).ok()).ok_or_else(overflow)?)
        }
        SqlType::SmallMoney => {
            let value = rescale(number, scale, 4).and_then(|value| i32::try_from(value).ok()).ok_or_else(overflow)?;
            Value::Money(i64::from(value))
        }
        SqlType::Decimal { precision, scale: wanted } | SqlType::Numeric { precision, scale: wanted } => {
            let value = rescale(number, scale, *wanted).ok_or_else(overflow)?;
            if value.unsigned_abs() >= 10_u128.pow(u32::from(*precision)) {
                return Err(overflow());
            }
            Value::Decimal { value, scale: *wanted }
        }
        _ => return Err(SqlError::unsupported(format!("conversion of a number to {to:?} is not supported"))),
    })
}

fn to_date_time(value: &Value<'_>, from: &SqlType, to: &SqlType) -> Converted {
    let (days, ticks, offset) = match instant(value) {
        Some(found) => found,
        None => match exact(value) {
            // Numbers count days since 1900.
            Some((days, 0)) => (days as i64 + DAYS_TO_1900, 0, 0),
            _ => {
                let text = render(value, from, None)?;
                calendar::parse(&text).ok_or_else(|| {
                    SqlError::new(
                        241,
                        16,
                        format!("Conversion failed when converting date and/or time from character string '{text}'."),
                    )
                })?
            }
        },
    };
    let out_of_range = || SqlError::new(242, 16, "The conversion resulted in an out-of-range value.");
    // Types without an offset take the local time of the offset.
    let local = || calendar::normalize(days, ticks as i64 + i64::from(offset) * 600_000_000);
    let day = |days: i64| u32::try_from(days).ok().filter(|days| *days <= 3_652_058).ok_or_else(out_of_range);
    Ok(match to {
        SqlType::Date => Value::Date(day(local().0)?),
        SqlType::Time { scale } => Value::Time(calendar::round(0, local().1, *scale).1),
        SqlType::DateTime => {
            let (days, ticks) = local();
            let mut fragments = (ticks * 3 + 50_000) / 100_000;
            let mut days = days - DAYS_TO_1900;
            if fragments >= 25_920_000 {
                fragments -= 25_920_000;
                days += 1;
            }
            if !(-53_690..=2_958_463).contains(&days) {
                return Err(out_of_range());
            }
            Value::DateTime { days: days as i32, ticks: fragments as u32 }
        }
        SqlType::SmallDateTime => {
            let (days, ticks) = local();
            let minutes = (ticks + 300_000_000) / 600_000_000;
            let (days, minutes) = if minutes >= 1440 { (days + 1, 0) } else { (days, minutes) };
            Value::SmallDateTime {
                days: u16::try_from(days - DAYS_TO_1900).map_err(|_| out_of_range())?,
                minutes: minutes as u16,
            }
        }
        SqlType::DateTime2 { scale } => {
            let (days, ticks) = local();
            let (days, ticks) = calendar::round(days, ticks, *scale);
            Value::DateTime2 { days: day(days)?, ticks }
        }
        SqlType::DateTimeOffset { scale } => {
            let (days, ticks) = calendar::round(days, ticks, *scale);
            Value::DateTimeOffset { days: day(days)?, ticks, offset }
        }
        _ => return Err(SqlError::unsupported("not a date type")),
    })
}

/// Checks that a stored value was not silently cut: assignments, unlike CAST, refuse.
pub fn check_fits(value: &Value<'_>, from: &SqlType, to: &SqlType) -> Result<(), SqlError> {
    let (length, limit, pad): (usize, usize, &[u8]) = match (value, to) {
        (Value::VarChar(bytes), SqlType::Char { len, .. } | SqlType::VarChar { len: Len::N(len), .. }) => {
            (bytes.len(), usize::from(*len), b" ")
        }
        (Value::NVarChar(bytes), SqlType::NChar { len, .. } | SqlType::NVarChar { len: Len::N(len), .. }) => {
            (bytes.len() / 2, usize::from(*len), b" ")
        }
        (Value::Binary(bytes), SqlType::Binary { len } | SqlType::VarBinary { len: Len::N(len) }) => {
            (bytes.len(), usize::from(*len), b"")
        }
        _ => return Ok(()),
    };
    if length <= limit || *from == *to {
        return Ok(());
    }
    // Trailing spaces may go.
    let rest_is_blank = match value {
        Value::VarChar(bytes) => bytes[limit..].iter().all(|byte| pad.contains(byte)),
        Value::NVarChar(bytes) => bytes[limit * 2..].chunks_exact(2).all(|pair| pair == [b' ', 0]),
        _ => false,
    };
    if rest_is_blank { Ok(()) } else { Err(truncation(length, limit)) }
}
