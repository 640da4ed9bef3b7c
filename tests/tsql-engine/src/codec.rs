//! How values lie in SQLite: integers wherever they fit, else blobs, always so that SQLite's own order is theirs.
//!
//! Strings are blobs of code-page or UTF-16LE bytes; their order is the collation's sort key, not the blob's.

use std::borrow::Cow;

use rusqlite::types::{Value as Stored, ValueRef};

use crate::error::error;
use crate::types::{collation_of, parse_type, type_text};
use crate::value::{SqlError, SqlType, Value};

/// Units of 1/300 s in a day.
pub const DATETIME_DAY: i64 = 25_920_000;
/// Units of 100 ns in a day.
pub const TICKS_DAY: i64 = 864_000_000_000;
/// Significance of a uniqueidentifier's wire bytes in SQL Server's order, highest first.
const GUID_ORDER: [usize; 16] = [10, 11, 12, 13, 14, 15, 8, 9, 6, 7, 4, 5, 0, 1, 2, 3];
/// Sign bit, flipped so that negative numbers sort first as bytes.
const SIGN: u128 = 1 << 127;

/// Whether decimals of this type are stored as integers.
fn narrow(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Decimal { precision, .. } | SqlType::Numeric { precision, .. } if *precision <= 18)
}

/// A value of the given type as SQLite keeps it. The value is of that type already (`convert` sees to it).
pub fn store(value: &Value<'_>, sql_type: &SqlType) -> Stored {
    match value {
        Value::Null => Stored::Null,
        Value::Bit(v) => Stored::Integer(i64::from(*v)),
        Value::TinyInt(v) => Stored::Integer(i64::from(*v)),
        Value::SmallInt(v) => Stored::Integer(i64::from(*v)),
        Value::Int(v) => Stored::Integer(i64::from(*v)),
        Value::BigInt(v) | Value::Money(v) => Stored::Integer(*v),
        Value::Real(v) => Stored::Real(f64::from(*v)),
        Value::Float(v) => Stored::Real(*v),
        Value::Decimal { value, .. } if narrow(sql_type) => Stored::Integer(*value as i64),
        Value::Decimal { value, .. } => Stored::Blob(((*value as u128) ^ SIGN).to_be_bytes().to_vec()),
        Value::Date(days) => Stored::Integer(i64::from(*days)),
        Value::Time(ticks) => Stored::Integer(*ticks as i64),
        Value::DateTime { days, ticks } => Stored::Integer(i64::from(*days) * DATETIME_DAY + i64::from(*ticks)),
        Value::SmallDateTime { days, minutes } => Stored::Integer(i64::from(*days) * 1440 + i64::from(*minutes)),
        Value::DateTime2 { days, ticks } => Stored::Integer(i64::from(*days) * TICKS_DAY + *ticks as i64),
        Value::DateTimeOffset { days, ticks, offset } => {
            let mut blob = (i64::from(*days) * TICKS_DAY + *ticks as i64).to_be_bytes().to_vec();
            blob.extend_from_slice(&offset.to_be_bytes());
            Stored::Blob(blob)
        }
        Value::VarChar(bytes) | Value::NVarChar(bytes) | Value::Binary(bytes) => Stored::Blob(bytes.to_vec()),
        Value::Guid(wire) => Stored::Blob(GUID_ORDER.iter().map(|at| wire[*at]).collect()),
        Value::Variant(inner) => Stored::Blob(store_variant(&inner.0, &inner.1)),
    }
}

fn store_variant(base: &SqlType, value: &Value<'_>) -> Vec<u8> {
    let mut head = type_text(base);
    head.push('|');
    head.push_str(collation_of(base).unwrap_or(""));
    let mut blob = vec![head.len() as u8];
    blob.extend_from_slice(head.as_bytes());
    match store(value, base) {
        Stored::Integer(v) => {
            blob.push(b'i');
            blob.extend_from_slice(&v.to_be_bytes());
        }
        Stored::Real(v) => {
            blob.push(b'r');
            blob.extend_from_slice(&v.to_be_bytes());
        }
        Stored::Blob(v) => {
            blob.push(b'b');
            blob.extend_from_slice(&v);
        }
        Stored::Text(v) => {
            blob.push(b'b');
            blob.extend_from_slice(v.as_bytes());
        }
        Stored::Null => blob.push(b'n'),
    }
    blob
}

fn corrupt(sql_type: &SqlType, found: &str) -> SqlError {
    error(40_003, format!("simulator: a {} cell holds {found}", type_text(sql_type)))
}

fn load_variant(blob: &[u8]) -> Option<Value<'static>> {
    let length = usize::from(*blob.first()?);
    let head = std::str::from_utf8(blob.get(1..=length)?).ok()?;
    let (type_text, collation) = head.split_once('|')?;
    let base = parse_type(type_text, collation, 1).ok()?;
    let payload = blob.get(length + 2..)?;
    let stored = match blob.get(length + 1)? {
        b'i' => Stored::Integer(i64::from_be_bytes(payload.try_into().ok()?)),
        b'r' => Stored::Real(f64::from_be_bytes(payload.try_into().ok()?)),
        b'b' => Stored::Blob(payload.to_vec()),
        _ => Stored::Null,
    };
    let value = load(ValueRef::from(&stored), &base).ok()?.into_static();
    Some(Value::Variant(Box::new((base, value))))
}

impl Value<'_> {
    /// The same value, owning its bytes.
    pub fn into_static(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bit(v) => Value::Bit(v),
            Value::TinyInt(v) => Value::TinyInt(v),
            Value::SmallInt(v) => Value::SmallInt(v),
            Value::Int(v) => Value::Int(v),
            Value::BigInt(v) => Value::BigInt(v),
            Value::Real(v) => Value::Real(v),
            Value::Float(v) => Value::Float(v),
            Value::Decimal { value, scale } => Value::Decimal { value, scale },
            Value::Money(v) => Value::Money(v),
            Value::Date(v) => Value::Date(v),
            Value::Time(v) => Value::Time(v),
            Value::DateTime { days, ticks } => Value::DateTime { days, ticks },
            Value::SmallDateTime { days, minutes } => Value::SmallDateTime { days, minutes },
            Value::DateTime2 { days, ticks } => Value::DateTime2 { days, ticks },
            Value::DateTimeOffset { days, ticks, offset } => Value::DateTimeOffset { days, ticks, offset },
            Value::VarChar(v) => Value::VarChar(Cow::Owned(v.into_owned())),
            Value::NVarChar(v) => Value::NVarChar(Cow::Owned(v.into_owned())),
            Value::Binary(v) => Value::Binary(Cow::Owned(v.into_owned())),
            Value::Guid(v) => Value::Guid(v),
            Value::Variant(v) => Value::Variant(v),
        }
    }
}

/// A cell as the value of its type, borrowing SQLite's bytes.
pub fn load<'a>(cell: ValueRef<'a>, sql_type: &SqlType) -> Result<Value<'a>, SqlError> {
    match cell {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(v) => load_integer(v, sql_type),
        ValueRef::Real(v) => match sql_type {
            SqlType::Real => Ok(Value::Real(v as f32)),
            SqlType::Float => Ok(Value::Float(v)),
            _ => Err(corrupt(sql_type, "a float")),
        },
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => load_bytes(bytes, sql_type),
    }
}

fn load_integer<'a>(v: i64, sql_type: &SqlType) -> Result<Value<'a>, SqlError> {
    Ok(match sql_type {
        SqlType::Bit => Value::Bit(v != 0),
        SqlType::TinyInt => Value::TinyInt(v as u8),
        SqlType::SmallInt => Value::SmallInt(v as i16),
        SqlType::Int => Value::Int(
            i32::try_from(v)
                .map_err(|_| error(8115, "Arithmetic overflow error converting expression to data type int."))?,
        ),
        SqlType::BigInt => Value::BigInt(v),
        SqlType::Float => Value::Float(v as f64),
        SqlType::Real => Value::Real(v as f32),
        SqlType::Decimal { scale, .. } | SqlType::Numeric { scale, .. } => {
            Value::Decimal { value: i128::from(v), scale: *scale }
        }
        SqlType::Money | SqlType::SmallMoney => Value::Money(v),
        SqlType::Date => Value::Date(v as u32),
        SqlType::Time { .. } => Value::Time(v as u64),
        SqlType::DateTime => {
            Value::DateTime { days: v.div_euclid(DATETIME_DAY) as i32, ticks: v.rem_euclid(DATETIME_DAY) as u32 }
        }
        SqlType::SmallDateTime => Value::SmallDateTime { days: (v / 1440) as u16, minutes: (v % 1440) as u16 },
        SqlType::DateTime2 { .. } => Value::DateTime2 { days: (v / TICKS_DAY) as u32, ticks: (v % TICKS_DAY) as u64 },
        _ => return Err(corrupt(sql_type, "an integer")),
    })
}

fn load_bytes<'a>(bytes: &'a [u8], sql_type: &SqlType) -> Result<Value<'a>, SqlError> {
    Ok(match sql_type {
        SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text { .. } => Value::VarChar(Cow::Borrowed(bytes)),
        SqlType::NChar { .. } | SqlType::NVarChar { .. } | SqlType::NText { .. } | SqlType::Xml => {
            Value::NVarChar(Cow::Borrowed(bytes))
        }
        SqlType::Binary { .. }
        | SqlType::VarBinary { .. }
        | SqlType::Image
        | SqlType::RowVersion
        | SqlType::Udt { .. } => Value::Binary(Cow::Borrowed(bytes)),
        SqlType::UniqueIdentifier => {
            let mut wire = [0u8; 16];
            let stored: &[u8; 16] = bytes.try_into().map_err(|_| corrupt(sql_type, "a short blob"))?;
            for (byte, at) in stored.iter().zip(GUID_ORDER) {
                wire[at] = *byte;
            }
            Value::Guid(wire)
        }
        SqlType::Decimal { scale, .. } | SqlType::Numeric { scale, .. } => {
            let stored: [u8; 16] = bytes.try_into().map_err(|_| corrupt(sql_type, "a short blob"))?;
            Value::Decimal { value: (u128::from_be_bytes(stored) ^ SIGN) as i128, scale: *scale }
        }
        SqlType::DateTimeOffset { .. } if bytes.len() == 10 => {
            let mut head = [0u8; 8];
            head.copy_from_slice(&bytes[..8]);
            let v = i64::from_be_bytes(head);
            Value::DateTimeOffset {
                days: (v / TICKS_DAY) as u32,
                ticks: (v % TICKS_DAY) as u64,
                offset: i16::from_be_bytes([bytes[8], bytes[9]]),
            }
        }
        SqlType::SqlVariant => load_variant(bytes).ok_or_else(|| corrupt(sql_type, "no variant"))?,
        _ => return Err(corrupt(sql_type, "bytes")),
    })
}
