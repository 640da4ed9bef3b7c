//! Answers of servers that speak TDS and are not SQL Server. A test chooses them for statements; nothing is so by default.

use std::borrow::Cow;

use crate::codec::TICKS_DAY;
use crate::error::unsupported;
use crate::types::is_wide;
use crate::value::{SqlError, SqlType, Value};

/// How a server departs from SQL Server's documentation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answers {
    /// What a cast of nvarchar to varbinary gives.
    pub unicode_bytes: UnicodeBytes,
    /// Money becomes a decimal by way of a double, as many drivers decode it.
    pub money_as_double: bool,
}

/// The encoding of nvarchar's bytes. Babelfish gave those of its server's encoding before the pull request "Fix the
/// nvarchar-varbinary casting" (babelfish_extensions, 3072).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnicodeBytes {
    #[default]
    Utf16,
    CodePage1252,
    Utf8,
}

impl Answers {
    /// The name and option of the call that stands for a cast, where it is answered otherwise.
    pub fn cast(self, from: &SqlType, to: &SqlType) -> Option<(&'static str, &'static str)> {
        let to_bytes = matches!(to, SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Image);
        match (from, to, self.unicode_bytes) {
            (SqlType::Money | SqlType::SmallMoney, SqlType::Decimal { .. } | SqlType::Numeric { .. }, _)
                if self.money_as_double =>
            {
                Some(("money_as_double", ""))
            }
            (from, _, UnicodeBytes::CodePage1252) if is_wide(from) && to_bytes => Some(("bytes_of_text", "1252")),
            (from, _, UnicodeBytes::Utf8) if is_wide(from) && to_bytes => Some(("bytes_of_text", "65001")),
            _ => None,
        }
    }
}

/// Text as bytes of another encoding than its own.
pub fn bytes_of_text(value: &Value<'_>, from: &SqlType, to: &SqlType, page: &str) -> Result<Value<'static>, SqlError> {
    let text = crate::convert::text_of(value, from)?;
    let collation = if page == "1252" { "Latin1_General_CI_AS" } else { "Latin1_General_100_CI_AS_SC_UTF8" };
    let bytes = crate::collation::encode(&text, collation)?;
    let given = SqlType::VarBinary { len: crate::value::Len::Max };
    Ok(crate::convert::convert(Value::Binary(Cow::Owned(bytes)), &given, to, 0)?.into_static())
}

/// A decimal with the 53 bits of a double.
pub fn money_as_double(value: &Value<'_>, to: &SqlType) -> Result<Value<'static>, SqlError> {
    let (Value::Money(units), SqlType::Decimal { scale: 4, .. } | SqlType::Numeric { scale: 4, .. }) = (value, to)
    else {
        return Err(unsupported("money as a double, but not as a decimal of four fraction digits"));
    };
    // A driver's double is of the whole amount.
    let amount = *units as f64 / 10_000.0;
    let text = format!("{amount:.4}");
    let (value, _) = crate::convert_text::parse_decimal(&text).ok_or_else(|| unsupported(&text))?;
    Ok(Value::Decimal { value, scale: 4 })
}

/// Another value of the same type; NULL stays NULL.
pub fn falsified(value: &Value<'_>) -> Value<'static> {
    const SECOND: u64 = 10_000_000;
    let other = |bytes: &[u8], if_empty: &[u8]| {
        let mut bytes = if bytes.is_empty() { if_empty.to_vec() } else { bytes.to_vec() };
        // The low half of UTF-16's first unit, so that text stays text.
        bytes[0] ^= 1;
        Cow::Owned(bytes)
    };
    match value {
        Value::Null => Value::Null,
        Value::Bit(v) => Value::Bit(!v),
        Value::TinyInt(v) => Value::TinyInt(v ^ 1),
        Value::SmallInt(v) => Value::SmallInt(v ^ 1),
        Value::Int(v) => Value::Int(v ^ 1),
        Value::BigInt(v) => Value::BigInt(v ^ 1),
        Value::Real(v) => Value::Real(f32::from_bits(v.to_bits() ^ 1)),
        Value::Float(v) => Value::Float(f64::from_bits(v.to_bits() ^ 1)),
        Value::Decimal { value, scale } => Value::Decimal { value: value ^ 1, scale: *scale },
        Value::Money(v) => Value::Money(v ^ 1),
        Value::Date(days) => Value::Date(days ^ 1),
        // Of every scale.
        Value::Time(ticks) => Value::Time((ticks + SECOND) % TICKS_DAY as u64),
        Value::DateTime { days, ticks } => Value::DateTime { days: *days, ticks: ticks ^ 1 },
        Value::SmallDateTime { days, minutes } => Value::SmallDateTime { days: *days, minutes: minutes ^ 1 },
        Value::DateTime2 { days, ticks } => Value::DateTime2 { days: days ^ 1, ticks: *ticks },
        Value::DateTimeOffset { days, ticks, offset } => {
            Value::DateTimeOffset { days: days ^ 1, ticks: *ticks, offset: *offset }
        }
        Value::VarChar(bytes) => Value::VarChar(other(bytes, b" ")),
        Value::NVarChar(bytes) => Value::NVarChar(other(bytes, b" \0")),
        Value::Binary(bytes) => Value::Binary(other(bytes, b" ")),
        Value::Guid(wire) => {
            let mut wire = *wire;
            wire[0] ^= 1;
            Value::Guid(wire)
        }
        Value::Variant(inner) => Value::Variant(Box::new((inner.0.clone(), falsified(&inner.1)))),
    }
}
