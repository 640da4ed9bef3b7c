//! Column values on the wire (MS-TDS 2.2.5.5).

use tsql_engine::value::{Len, SqlType, Value};

use crate::types::{self, collation_bytes, decimal_length, time_length};

/// Writes a value of a column of this type.
pub fn write(value: &Value<'_>, kind: &SqlType, out: &mut Vec<u8>) {
    if value.is_null() {
        return write_null(kind, out);
    }
    match kind {
        SqlType::VarChar { len: Len::Max, .. }
        | SqlType::NVarChar { len: Len::Max, .. }
        | SqlType::VarBinary { len: Len::Max }
        | SqlType::Xml
        | SqlType::Udt { .. } => partial(bytes(value), out),
        SqlType::Char { .. }
        | SqlType::VarChar { .. }
        | SqlType::NChar { .. }
        | SqlType::NVarChar { .. }
        | SqlType::Binary { .. }
        | SqlType::RowVersion
        | SqlType::VarBinary { .. } => {
            let bytes = bytes(value);
            out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
            out.extend_from_slice(bytes);
        }
        SqlType::Text { .. } | SqlType::NText { .. } | SqlType::Image => {
            // A text pointer and a timestamp, which nobody uses any more.
            out.push(16);
            out.extend_from_slice(&[0x5A; 24]);
            let bytes = bytes(value);
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(bytes);
        }
        SqlType::SqlVariant => variant(value, out),
        _ => {
            let at = out.len();
            out.push(0);
            fixed(value, kind, out);
            out[at] = (out.len() - at - 1) as u8;
        }
    }
}

fn write_null(kind: &SqlType, out: &mut Vec<u8>) {
    match kind {
        SqlType::VarChar { len: Len::Max, .. }
        | SqlType::NVarChar { len: Len::Max, .. }
        | SqlType::VarBinary { len: Len::Max }
        | SqlType::Xml
        | SqlType::Udt { .. } => out.extend_from_slice(&u64::MAX.to_le_bytes()),
        SqlType::Char { .. }
        | SqlType::VarChar { .. }
        | SqlType::NChar { .. }
        | SqlType::NVarChar { .. }
        | SqlType::Binary { .. }
        | SqlType::RowVersion
        | SqlType::VarBinary { .. } => out.extend_from_slice(&u16::MAX.to_le_bytes()),
        SqlType::SqlVariant => out.extend_from_slice(&0_u32.to_le_bytes()),
        _ => out.push(0),
    }
}

fn bytes<'a>(value: &'a Value<'_>) -> &'a [u8] {
    match value {
        Value::VarChar(bytes) | Value::NVarChar(bytes) | Value::Binary(bytes) => bytes,
        _ => &[],
    }
}

/// Partially length-prefixed (2.2.5.2.3), in chunks of less than 64 KiB as servers send them.
fn partial(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    for chunk in bytes.chunks(32_000) {
        out.extend_from_slice(&(chunk.len() as u32).to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out.extend_from_slice(&0_u32.to_le_bytes());
}

/// The bytes of a value whose length stands before it.
fn fixed(value: &Value<'_>, kind: &SqlType, out: &mut Vec<u8>) {
    match value {
        Value::Bit(value) => out.push(u8::from(*value)),
        Value::TinyInt(value) => out.push(*value),
        Value::SmallInt(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::Int(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::BigInt(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::Real(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::Float(value) => out.extend_from_slice(&value.to_le_bytes()),
        Value::Decimal { value, .. } => {
            let precision = match kind {
                SqlType::Decimal { precision, .. } | SqlType::Numeric { precision, .. } => *precision,
                _ => 38,
            };
            out.push(u8::from(*value >= 0));
            out.extend_from_slice(&value.unsigned_abs().to_le_bytes()[..usize::from(decimal_length(precision)) - 1]);
        }
        Value::Money(value) if *kind == SqlType::SmallMoney => out.extend_from_slice(&(*value as i32).to_le_bytes()),
        Value::Money(value) => {
            // The high half comes first.
            out.extend_from_slice(&((value >> 32) as i32).to_le_bytes());
            out.extend_from_slice(&(*value as u32).to_le_bytes());
        }
        Value::Date(days) => out.extend_from_slice(&days.to_le_bytes()[..3]),
        Value::Time(ticks) => time(*ticks, scale(kind), out),
        Value::DateTime { days, ticks } => {
            out.extend_from_slice(&days.to_le_bytes());
            out.extend_from_slice(&ticks.to_le_bytes());
        }
        Value::SmallDateTime { days, minutes } => {
            out.extend_from_slice(&days.to_le_bytes());
            out.extend_from_slice(&minutes.to_le_bytes());
        }
        Value::DateTime2 { days, ticks } => {
            time(*ticks, scale(kind), out);
            out.extend_from_slice(&days.to_le_bytes()[..3]);
        }
        Value::DateTimeOffset { days, ticks, offset } => {
            time(*ticks, scale(kind), out);
            out.extend_from_slice(&days.to_le_bytes()[..3]);
            out.extend_from_slice(&offset.to_le_bytes());
        }
        Value::Guid(bytes) => out.extend_from_slice(bytes),
        _ => {}
    }
}

fn scale(kind: &SqlType) -> u8 {
    match kind {
        SqlType::Time { scale } | SqlType::DateTime2 { scale } | SqlType::DateTimeOffset { scale } => *scale,
        _ => 7,
    }
}

fn time(ticks: u64, scale: u8, out: &mut Vec<u8>) {
    let units = ticks / 10_u64.pow(u32::from(7 - scale.min(7)));
    out.extend_from_slice(&units.to_le_bytes()[..time_length(scale)]);
}

/// sql_variant (2.2.5.5.4): base type, its properties, then the bare value.
fn variant(value: &Value<'_>, out: &mut Vec<u8>) {
    let Value::Variant(inner) = value else { return write_null(&SqlType::SqlVariant, out) };
    let (kind, value) = inner.as_ref();
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    let size = |len: &Len| match len {
        Len::N(n) => *n,
        Len::Max => 8000,
    };
    match kind {
        SqlType::Bit => out.extend_from_slice(&[0x32, 0]),
        SqlType::TinyInt => out.extend_from_slice(&[0x30, 0]),
        SqlType::SmallInt => out.extend_from_slice(&[0x34, 0]),
        SqlType::Int => out.extend_from_slice(&[0x38, 0]),
        SqlType::BigInt => out.extend_from_slice(&[0x7F, 0]),
        SqlType::Real => out.extend_from_slice(&[0x3B, 0]),
        SqlType::Float => out.extend_from_slice(&[0x3E, 0]),
        SqlType::Money => out.extend_from_slice(&[0x3C, 0]),
        SqlType::SmallMoney => out.extend_from_slice(&[0x7A, 0]),
        SqlType::DateTime => out.extend_from_slice(&[0x3D, 0]),
        SqlType::SmallDateTime => out.extend_from_slice(&[0x3A, 0]),
        SqlType::Date => out.extend_from_slice(&[types::DATEN, 0]),
        SqlType::UniqueIdentifier => out.extend_from_slice(&[types::GUID, 0]),
        SqlType::Time { scale } => out.extend_from_slice(&[types::TIMEN, 1, *scale]),
        SqlType::DateTime2 { scale } => out.extend_from_slice(&[types::DATETIME2N, 1, *scale]),
        SqlType::DateTimeOffset { scale } => out.extend_from_slice(&[types::DATETIMEOFFSETN, 1, *scale]),
        SqlType::Decimal { precision, scale } => out.extend_from_slice(&[types::DECIMALN, 2, *precision, *scale]),
        SqlType::Numeric { precision, scale } => out.extend_from_slice(&[types::NUMERICN, 2, *precision, *scale]),
        SqlType::Binary { len } => {
            out.extend_from_slice(&[types::BIGBINARY, 2]);
            out.extend_from_slice(&len.to_le_bytes());
        }
        SqlType::VarBinary { len } => {
            out.extend_from_slice(&[types::BIGVARBINARY, 2]);
            out.extend_from_slice(&size(len).to_le_bytes());
        }
        SqlType::Char { len, collation } | SqlType::NChar { len, collation } => {
            let national = matches!(kind, SqlType::NChar { .. });
            out.extend_from_slice(&[if national { types::NCHAR } else { types::BIGCHAR }, 7]);
            out.extend_from_slice(&collation_bytes(collation));
            out.extend_from_slice(&(len * if national { 2 } else { 1 }).to_le_bytes());
        }
        SqlType::VarChar { len, collation } | SqlType::NVarChar { len, collation } => {
            let national = matches!(kind, SqlType::NVarChar { .. });
            out.extend_from_slice(&[if national { types::NVARCHAR } else { types::BIGVARCHAR }, 7]);
            out.extend_from_slice(&collation_bytes(collation));
            out.extend_from_slice(&(size(len).saturating_mul(if national { 2 } else { 1 })).to_le_bytes());
        }
        // The engine keeps no variants of other types.
        _ => {}
    }
    match value {
        Value::VarChar(bytes) | Value::NVarChar(bytes) | Value::Binary(bytes) => out.extend_from_slice(bytes),
        other => fixed(other, kind, out),
    }
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}
