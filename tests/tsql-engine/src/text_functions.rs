//! T-SQL's functions of strings. NULL never reaches them.

use std::borrow::Cow;

use crate::call::Call;
use crate::characters::{characters, first_code, is_space, string_of, trimmed};
use crate::convert::{convert, text_of};
use crate::convert_text::text_value;
use crate::error::error;
use crate::functions::number;
use crate::types::{collation_of, is_string, is_wide, length_of};
use crate::value::{SqlError, SqlType, Value};

/// Bytes as a value of a string or binary type.
fn string(bytes: Vec<u8>, result: &SqlType) -> Value<'static> {
    if is_wide(result) {
        Value::NVarChar(Cow::Owned(bytes))
    } else if is_string(result) {
        Value::VarChar(Cow::Owned(bytes))
    } else {
        Value::Binary(Cow::Owned(bytes))
    }
}

/// Two strings, or two binary values, joined. What does not fit is cut off, as "String Concatenation Operator" has it.
pub fn joined(values: &[Value<'_>], types: &[SqlType], result: &SqlType) -> Result<Value<'static>, SqlError> {
    let mut bytes = Vec::new();
    for (value, sql_type) in values.iter().zip(types) {
        bytes.extend_from_slice(&string_of(value, sql_type)?.0);
    }
    let unit = if is_wide(result) { 2 } else { 1 };
    if let Some(limit) = length_of(result) {
        bytes.truncate(limit as usize * unit);
    }
    Ok(string(bytes, result))
}

fn whole(value: i64, result: &SqlType) -> Result<Value<'static>, SqlError> {
    Ok(convert(Value::BigInt(value), &SqlType::BigInt, result, 0)?.into_static())
}

/// The characters from `start` (from 0) on, at most `length` of them.
fn slice(value: &Value<'_>, sql_type: &SqlType, start: i64, length: i64) -> Result<Vec<u8>, SqlError> {
    let (bytes, own) = string_of(value, sql_type)?;
    let end = start.saturating_add(length);
    let mut part = Vec::new();
    for (at, character) in characters(&bytes, &own).enumerate() {
        let (at, character) = (at as i64, character?);
        if at >= end {
            break;
        }
        if at >= start {
            part.extend_from_slice(character);
        }
    }
    Ok(part)
}

fn invalid_length(number: u32, functions: &str) -> SqlError {
    error(number, format!("Invalid length parameter passed to the {functions} function."))
}

/// `None` where the call is no function of strings.
pub fn text_function(call: &Call, values: &[Value<'_>]) -> Result<Option<Value<'static>>, SqlError> {
    let (types, result) = (&call.arguments, &call.result);
    let count = |at: usize| values.get(at).map_or(0, number);
    let (Some(first), Some(kind)) = (values.first(), types.first()) else { return Ok(None) };
    Ok(Some(match call.name.as_str() {
        "len" => {
            let (bytes, own) = string_of(first, kind)?;
            let mut length = 0;
            for character in characters(&bytes[..trimmed(&bytes, &own)], &own) {
                character?;
                length += 1;
            }
            whole(length, result)?
        }
        "datalength" => {
            let length = match first {
                Value::VarChar(bytes) | Value::NVarChar(bytes) | Value::Binary(bytes) => bytes.len() as i64,
                _ => i64::from(crate::types::catalog_size(kind).0),
            };
            whole(length, result)?
        }
        "substring" => {
            let (start, length) = (count(1).saturating_sub(1), count(2));
            if length < 0 {
                return Err(invalid_length(537, "LEFT or SUBSTRING"));
            }
            string(slice(first, kind, start, length)?, result)
        }
        "left" if count(1) < 0 => return Err(invalid_length(537, "LEFT or SUBSTRING")),
        "left" => string(slice(first, kind, 0, count(1))?, result),
        "right" if count(1) < 0 => return Err(invalid_length(536, "RIGHT")),
        "right" => {
            let (bytes, own) = string_of(first, kind)?;
            let length = characters(&bytes, &own).count() as i64;
            string(slice(first, kind, length - count(1), count(1))?, result)
        }
        "replicate" => {
            if count(1) < 0 {
                return Ok(Some(Value::Null));
            }
            let mut bytes = string_of(first, kind)?.0.repeat(count(1) as usize);
            if length_of(kind).is_some() {
                bytes.truncate(8000);
            }
            string(bytes, result)
        }
        "space" => string(vec![0x20; count(0).clamp(0, 8000) as usize], result),
        "upper" => text_value(&text_of(first, kind)?.to_uppercase(), result)?,
        "lower" => text_value(&text_of(first, kind)?.to_lowercase(), result)?,
        "reverse" => {
            let (bytes, own) = string_of(first, kind)?;
            let mut pieces = characters(&bytes, &own).collect::<Result<Vec<&[u8]>, SqlError>>()?;
            pieces.reverse();
            string(pieces.concat(), result)
        }
        "ltrim" | "rtrim" | "trim" => {
            let (bytes, own) = string_of(first, kind)?;
            let unit = if is_wide(&own) { 2 } else { 1 };
            let end = if call.name == "ltrim" { bytes.len() } else { trimmed(&bytes, &own) };
            let leading = bytes[..end].chunks_exact(unit).take_while(|character| is_space(character)).count() * unit;
            string(bytes[if call.name == "rtrim" { 0 } else { leading }..end].to_vec(), result)
        }
        "replace" => {
            let [text, from, to] = [0, 1, 2].map(|at| text_of(&values[at], &types[at]));
            let (text, from) = (text?, from?);
            if from.is_empty() { text_value(&text, result)? } else { text_value(&text.replace(&from, &to?), result)? }
        }
        "charindex" => Value::Int(position(values, types, count(2))?),
        "char" if (0..256).contains(&count(0)) => Value::VarChar(vec![count(0) as u8].into()),
        "nchar" if (0..65_536).contains(&count(0)) => Value::NVarChar((count(0) as u16).to_le_bytes().to_vec().into()),
        "char" | "nchar" => Value::Null,
        "unicode" => {
            let (bytes, own) = string_of(first, kind)?;
            first_code(&bytes, &own)?.map_or(Value::Null, |code| Value::Int(code as i32))
        }
        "ascii" => {
            let name = collation_of(kind).unwrap_or(crate::types::DEFAULT_COLLATION);
            let bytes = match first {
                Value::VarChar(bytes) | Value::Binary(bytes) => bytes.to_vec(),
                other => crate::collation::encode(&text_of(other, kind)?, name)?,
            };
            bytes.first().map_or(Value::Null, |byte| Value::Int(i32::from(*byte)))
        }
        "quotename" => text_value(&format!("[{}]", text_of(first, kind)?.replace(']', "]]")), result)?,
        "hashbytes" => hash(first, &call.option)?,
        "str" => {
            let value = match first {
                Value::Float(v) => *v,
                other => number(other) as f64,
            };
            let width = if values.len() > 1 { count(1) as usize } else { 10 };
            let places = count(2) as usize;
            let text = format!("{value:>width$.places$}");
            text_value(&if text.len() > width { "*".repeat(width) } else { text }, result)?
        }
        _ => return Ok(None),
    }))
}

/// CHARINDEX: the place of a string in another, from 1; 0 where it is not there.
fn position(values: &[Value<'_>], types: &[SqlType], start: i64) -> Result<i32, SqlError> {
    let (needle, text) = (string_of(&values[0], &types[0])?, string_of(&values[1], &types[1])?);
    let mixed = is_wide(&needle.1) != is_wide(&text.1);
    let pieces = |string: &(Cow<'_, [u8]>, SqlType), value: &Value<'_>| -> Result<Vec<Vec<u8>>, SqlError> {
        if mixed {
            let units = text_of(value, &string.1)?;
            return Ok(units.encode_utf16().map(|unit| unit.to_le_bytes().to_vec()).collect());
        }
        let found: Result<Vec<&[u8]>, SqlError> = characters(&string.0, &string.1).collect();
        Ok(found?.into_iter().map(<[u8]>::to_vec).collect())
    };
    let fold = |mut characters: Vec<Vec<u8>>| {
        for character in &mut characters {
            if matches!(character.as_slice(), [_] | [_, 0]) {
                character[0].make_ascii_lowercase();
            }
        }
        characters
    };
    let (needle, text) = (fold(pieces(&needle, &values[0])?), fold(pieces(&text, &values[1])?));
    let start = (start.max(1) - 1) as usize;
    let found = (start..text.len()).find(|at| !needle.is_empty() && text[*at..].starts_with(&needle));
    Ok(found.map_or(0, |at| at as i32 + 1))
}

/// HASHBYTES; the option is the algorithm and, where the version has one, the most bytes that it takes.
fn hash(value: &Value<'_>, option: &str) -> Result<Value<'static>, SqlError> {
    use sha2::Digest as _;
    let (Value::VarChar(bytes) | Value::NVarChar(bytes) | Value::Binary(bytes)) = value else { return Ok(Value::Null) };
    let (algorithm, limit) = option.split_once(' ').unwrap_or((option, ""));
    if limit.parse().is_ok_and(|limit: usize| bytes.len() > limit) {
        return Err(error(8152, "String or binary data would be truncated."));
    }
    Ok(Value::Binary(match algorithm {
        "SHA2_256" => sha2::Sha256::digest(bytes).to_vec().into(),
        "SHA2_512" => sha2::Sha512::digest(bytes).to_vec().into(),
        other => return Err(crate::error::unsupported(&format!("HASHBYTES with {other}"))),
    }))
}
