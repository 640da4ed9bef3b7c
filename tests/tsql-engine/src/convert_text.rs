//! Values as text, in CONVERT's styles, and numbers from text.

use crate::codec::TICKS_DAY;
use crate::collation;
use crate::convert::moment_of;
use crate::datetime::{clock_text, date_text, default_text, offset_text};
use crate::error::error;
use crate::types::type_name;
use crate::value::{SqlError, SqlType, Value};

/// Whether the text is a decimal or scientific number.
pub fn is_number_text(text: &str) -> bool {
    !text.is_empty()
        && text.chars().any(|character| character.is_ascii_digit())
        && text.chars().all(|character| character.is_ascii_digit() || "+-.eE".contains(character))
}

/// A plain decimal number as an integer and its scale.
pub fn parse_decimal(text: &str) -> Option<(i128, u8)> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: i128 = all.parse().ok()?;
    Some((if negative { -value } else { value }, u8::try_from(fraction.len()).ok()?))
}

/// An integer and its scale as plain text.
pub fn decimal_text(value: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let sign = if value < 0 { "-" } else { "" };
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Scientific text with `digits` digits after the point, as C's `%e` writes it with three exponent digits.
fn scientific(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:03}", exponent.abs())
}

fn float_text(number: f64, single: bool, style: i32) -> String {
    match style {
        1 => scientific(number, 7),
        2 => scientific(number, 15),
        3 => scientific(number, if single { 8 } else { 16 }),
        _ => {
            // Style 0: at most six digits, scientific where that is shorter.
            if number == 0.0 {
                return "0".to_owned();
            }
            let magnitude = number.abs().log10().floor() as i32;
            if (-5..6).contains(&magnitude) {
                let places = (5 - magnitude).max(0) as usize;
                let text = format!("{number:.places$}");
                if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
            } else {
                let text = scientific(number, 5);
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "+000"));
                let mantissa = if mantissa.contains('.') {
                    mantissa.trim_end_matches('0').trim_end_matches('.')
                } else {
                    mantissa
                };
                format!("{mantissa}e{exponent}")
            }
        }
    }
}

fn money_text(units: i64, style: i32) -> String {
    if style == 2 || style == 126 {
        return decimal_text(i128::from(units), 4);
    }
    let rounded = crate::convert::rescale(i128::from(units), 4, 2).unwrap_or(0);
    let text = decimal_text(rounded, 2);
    if style != 1 {
        return text;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "00"));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}.{fraction}")
}

/// Lower-case groups are what nobody shows: SQL Server writes uniqueidentifiers in upper case.
pub fn guid_text(wire: &[u8; 16]) -> String {
    let mut bytes = *wire;
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    let hex = hex_text(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Upper-case hexadecimal digits.
pub fn hex_text(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)] as char, DIGITS[usize::from(byte & 15)] as char])
        .collect()
}

/// A value as text in a style of CONVERT.
pub fn format_value(value: &Value<'_>, from: &SqlType, style: i32) -> Result<String, SqlError> {
    Ok(match value {
        Value::Null => String::new(),
        Value::Bit(v) => u8::from(*v).to_string(),
        Value::TinyInt(v) => v.to_string(),
        Value::SmallInt(v) => v.to_string(),
        Value::Int(v) => v.to_string(),
        Value::BigInt(v) => v.to_string(),
        Value::Real(v) => float_text(f64::from(*v), true, style),
        Value::Float(v) => float_text(*v, false, style),
        Value::Decimal { value, scale } => decimal_text(*value, *scale),
        Value::Money(v) => money_text(*v, style),
        Value::Guid(wire) => guid_text(wire),
        Value::Binary(bytes) => match (from, style) {
            (SqlType::Udt { name }, _) => udt_text(bytes, name),
            (_, 1) => format!("0x{}", hex_text(bytes)),
            (_, 2) => hex_text(bytes),
            _ => bytes.iter().map(|byte| char::from(*byte)).collect(),
        },
        Value::VarChar(_) | Value::NVarChar(_) => crate::convert::text_of(value, from)?,
        Value::Variant(inner) => format_value(&inner.1, &inner.0, style)?,
        _ => moment_text(value, from, style)?,
    })
}

/// hierarchyid's path, a geometry's WKT (its SRID is a number and a semicolon before it).
pub fn udt_text(bytes: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    if name == "hierarchyid" { text } else { canonical_wkt(text.split_once(';').map_or(&text, |(_, wkt)| wkt)) }
}

/// Well-known text with SQL Server's spaces: `POINT (1 2)`, `LINESTRING (0 0, 1 1)`.
fn canonical_wkt(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for c in text.chars() {
        match c {
            '(' if out.ends_with(|before: char| before.is_ascii_alphabetic()) => out.push_str(" ("),
            ' ' if out.ends_with(' ') => {}
            ',' => out.push_str(", "),
            c => out.push(c),
        }
    }
    out
}

fn moment_text(value: &Value<'_>, from: &SqlType, style: i32) -> Result<String, SqlError> {
    let moment = moment_of(value, from).ok_or_else(|| {
        error(529, format!("Explicit conversion from data type {} to text is not allowed.", type_name(from)))
    })?;
    let (mut days, mut ticks) = (moment.days, moment.ticks);
    let scale = match from {
        SqlType::DateTime => 3,
        SqlType::Time { scale } | SqlType::DateTime2 { scale } | SqlType::DateTimeOffset { scale } => *scale,
        _ => 0,
    };
    if let (127, Some(offset)) = (style, moment.offset) {
        let utc = days * TICKS_DAY + ticks - i64::from(offset) * 600_000_000;
        (days, ticks) = (utc.div_euclid(TICKS_DAY), utc.rem_euclid(TICKS_DAY));
    }
    let old = matches!(from, SqlType::DateTime | SqlType::SmallDateTime);
    let has_date = !matches!(from, SqlType::Time { .. });
    let has_time = !matches!(from, SqlType::Date);
    let date = date_text(days);
    let fraction_dropped = style == 120 || style == 20;
    let scale = match style {
        _ if fraction_dropped => 0,
        121 | 21 | 25 if old => 3,
        126 | 127 if old && ticks % 10_000_000 == 0 => 0,
        126 | 127 if old => 3,
        _ => scale,
    };
    let clock = clock_text(ticks, scale);
    let zone = match (style, moment.offset) {
        (127, Some(_)) => "Z".to_owned(),
        (126, Some(offset)) => offset_text(offset),
        (_, Some(offset)) => format!(" {}", offset_text(offset)),
        _ => String::new(),
    };
    Ok(match style {
        0 | 100 if old => default_text(days, ticks, true),
        112 => date.replace('-', ""),
        23 => date,
        101 => {
            let (year, month, day) = crate::datetime::civil(days);
            format!("{month:02}/{day:02}/{year:04}")
        }
        108 => clock_text(ticks, 0),
        0 | 20 | 21 | 25 | 120 | 121 | 126 | 127 | 130 | 131 | 100 => {
            let separator = if style == 126 || style == 127 { 'T' } else { ' ' };
            match (has_date, has_time) {
                (true, true) => format!("{date}{separator}{clock}{zone}"),
                (true, false) => date,
                _ => clock,
            }
        }
        other => {
            return Err(error(
                281,
                format!(
                    "{other} is not a valid style number when converting from {} to a character string.",
                    type_name(from)
                ),
            ));
        }
    })
}

/// Text as the bytes of a character type.
pub fn text_value(text: &str, sql_type: &SqlType) -> Result<Value<'static>, SqlError> {
    Ok(if crate::types::is_wide(sql_type) {
        Value::NVarChar(collation::encode_utf16(text).into())
    } else {
        let name = crate::types::collation_of(sql_type).unwrap_or(crate::types::DEFAULT_COLLATION);
        Value::VarChar(collation::encode(text, name)?.into())
    })
}
