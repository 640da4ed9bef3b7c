//! Reads what clients send in TDS's types: TYPE_INFO (MS-TDS 2.2.5.6) and values (2.2.5.5).

use tsql_engine::value::{Collation, Len, SqlType, Value};

use crate::login::utf16;
use crate::types;

/// Tokens of types that have no NULL, and so no length before a value (2.2.5.4.1), with the type that has one.
const FIXED: &[(u8, u8, usize)] = &[
    (0x30, types::INTN, 1),
    (0x32, types::BITN, 1),
    (0x34, types::INTN, 2),
    (0x38, types::INTN, 4),
    (0x7F, types::INTN, 8),
    (0x3B, types::FLTN, 4),
    (0x3E, types::FLTN, 8),
    (0x7A, types::MONEYN, 4),
    (0x3C, types::MONEYN, 8),
    (0x3A, types::DATETIMN, 4),
    (0x3D, types::DATETIMN, 8),
];

/// How long a value is, where it says so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    /// As long as the type.
    None(usize),
    Byte,
    Short,
    /// text, ntext and image, after a pointer in rows.
    Long,
    Variant,
    /// In parts (2.2.5.2.3).
    Partial,
}

/// What stands for one value.
enum Cell {
    Null,
    Bytes(Vec<u8>),
}

/// A type as a client describes it.
#[derive(Debug, Clone)]
pub struct TypeInfo {
    pub sql_type: SqlType,
    prefix: Prefix,
}

/// Bytes of a message, from the front.
pub struct Reader<'a> {
    pub data: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.data.split_at_checked(length)?;
        self.data = rest;
        Some(taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    pub fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Text with its length in characters in one byte.
    pub fn text8(&mut self) -> Option<String> {
        let length = usize::from(self.u8()?) * 2;
        Some(utf16(self.take(length)?))
    }

    /// A TYPE_INFO; `None` where it is malformed or a table-valued parameter's.
    pub fn type_info(&mut self) -> Option<TypeInfo> {
        let token = self.u8()?;
        if let Some((_, nullable, length)) = FIXED.iter().find(|row| row.0 == token) {
            let prefix = Prefix::None(*length);
            return Some(TypeInfo { sql_type: sized(*nullable, *length)?, prefix });
        }
        let (sql_type, prefix) = match token {
            types::INTN | types::BITN | types::FLTN | types::MONEYN | types::DATETIMN | types::GUID => {
                let length = usize::from(self.u8()?);
                (sized(token, length)?, Prefix::Byte)
            }
            types::DECIMALN | types::NUMERICN => {
                let parts = self.take(3)?;
                let (precision, scale) = (parts[1], parts[2]);
                let decimal = SqlType::Decimal { precision, scale };
                let exact = if token == types::NUMERICN { SqlType::Numeric { precision, scale } } else { decimal };
                (exact, Prefix::Byte)
            }
            types::DATEN => (SqlType::Date, Prefix::Byte),
            types::TIMEN => (SqlType::Time { scale: self.u8()? }, Prefix::Byte),
            types::DATETIME2N => (SqlType::DateTime2 { scale: self.u8()? }, Prefix::Byte),
            types::DATETIMEOFFSETN => (SqlType::DateTimeOffset { scale: self.u8()? }, Prefix::Byte),
            types::BIGVARBINARY | types::BIGBINARY => self.binary(token)?,
            types::BIGVARCHAR | types::BIGCHAR | types::NVARCHAR | types::NCHAR => self.characters(token)?,
            types::TEXT | types::NTEXT => {
                self.u32()?;
                let collation = collation(self.take(5)?)?;
                let text = SqlType::Text { collation: collation.clone() };
                (if token == types::TEXT { text } else { SqlType::NText { collation } }, Prefix::Long)
            }
            types::IMAGE => {
                self.u32()?;
                (SqlType::Image, Prefix::Long)
            }
            types::VARIANT => {
                self.u32()?;
                (SqlType::SqlVariant, Prefix::Variant)
            }
            // A schema collection would be named after the byte.
            types::XML if self.u8()? == 0 => (SqlType::Xml, Prefix::Partial),
            types::UDT => {
                self.text8()?;
                self.text8()?;
                (SqlType::Udt { name: self.text8()?.to_lowercase() }, Prefix::Partial)
            }
            _ => return None,
        };
        Some(TypeInfo { sql_type, prefix })
    }

    fn binary(&mut self, token: u8) -> Option<(SqlType, Prefix)> {
        Some(match (token, self.u16()?) {
            (types::BIGVARBINARY, 0xFFFF) => (SqlType::VarBinary { len: Len::Max }, Prefix::Partial),
            (types::BIGVARBINARY, len) => (SqlType::VarBinary { len: Len::N(len.max(1)) }, Prefix::Short),
            (_, len) => (SqlType::Binary { len: len.max(1) }, Prefix::Short),
        })
    }

    fn characters(&mut self, token: u8) -> Option<(SqlType, Prefix)> {
        let declared = self.u16()?;
        let collation = collation(self.take(5)?)?;
        let national = matches!(token, types::NVARCHAR | types::NCHAR);
        // An empty value may be declared without a length.
        let len = (if national { declared / 2 } else { declared }).max(1);
        let (length, prefix) =
            if declared == 0xFFFF { (Len::Max, Prefix::Partial) } else { (Len::N(len), Prefix::Short) };
        Some(match token {
            types::NVARCHAR => (SqlType::NVarChar { len: length, collation }, prefix),
            types::BIGVARCHAR => (SqlType::VarChar { len: length, collation }, prefix),
            types::NCHAR => (SqlType::NChar { len, collation }, prefix),
            _ => (SqlType::Char { len, collation }, prefix),
        })
    }

    /// A value of the type. `row`: as in rows, where text and image have a pointer before them.
    pub fn value(&mut self, info: &TypeInfo, row: bool) -> Option<Value<'static>> {
        let cell = match info.prefix {
            Prefix::None(length) => Cell::Bytes(self.take(length)?.to_vec()),
            Prefix::Byte => match usize::from(self.u8()?) {
                0 => Cell::Null,
                length => Cell::Bytes(self.take(length)?.to_vec()),
            },
            Prefix::Short => match self.u16()? {
                0xFFFF => Cell::Null,
                length => Cell::Bytes(self.take(usize::from(length))?.to_vec()),
            },
            Prefix::Long => self.long(row)?,
            Prefix::Variant => return self.variant(),
            Prefix::Partial => self.partial()?,
        };
        match cell {
            Cell::Null => Some(Value::Null),
            Cell::Bytes(bytes) => value(&info.sql_type, bytes),
        }
    }

    fn long(&mut self, row: bool) -> Option<Cell> {
        if row {
            let pointer = usize::from(self.u8()?);
            if pointer == 0 {
                return Some(Cell::Null);
            }
            // The pointer and a timestamp say nothing to a server that gets the value itself.
            self.take(pointer + 8)?;
        }
        Some(match self.u32()? {
            u32::MAX => Cell::Null,
            length => Cell::Bytes(self.take(length as usize)?.to_vec()),
        })
    }

    fn partial(&mut self) -> Option<Cell> {
        let total = u64::from_le_bytes(self.take(8)?.try_into().ok()?);
        if total == u64::MAX {
            return Some(Cell::Null);
        }
        let mut bytes = Vec::new();
        loop {
            let length = self.u32()? as usize;
            if length == 0 {
                return Some(Cell::Bytes(bytes));
            }
            bytes.extend_from_slice(self.take(length)?);
        }
    }

    /// sql_variant (2.2.5.5.4): its length, base type, properties, value.
    fn variant(&mut self) -> Option<Value<'static>> {
        let length = self.u32()? as usize;
        if length == 0 {
            return Some(Value::Null);
        }
        let mut inner = Reader { data: self.take(length)? };
        let token = inner.u8()?;
        let count = usize::from(inner.u8()?);
        let properties = inner.take(count)?;
        let sized_by = |bytes: &[u8]| Some(u16::from_le_bytes(bytes.get(5..7)?.try_into().ok()?));
        let sql_type = match (token, properties) {
            (types::GUID, _) => SqlType::UniqueIdentifier,
            (types::DATEN, _) => SqlType::Date,
            (types::TIMEN, [scale]) => SqlType::Time { scale: *scale },
            (types::DATETIME2N, [scale]) => SqlType::DateTime2 { scale: *scale },
            (types::DATETIMEOFFSETN, [scale]) => SqlType::DateTimeOffset { scale: *scale },
            (types::DECIMALN, [precision, scale]) => SqlType::Decimal { precision: *precision, scale: *scale },
            (types::NUMERICN, [precision, scale]) => SqlType::Numeric { precision: *precision, scale: *scale },
            (types::BIGVARBINARY, [a, b]) => SqlType::VarBinary { len: Len::N(u16::from_le_bytes([*a, *b])) },
            (types::BIGBINARY, [a, b]) => SqlType::Binary { len: u16::from_le_bytes([*a, *b]) },
            (types::BIGVARCHAR, all) => {
                SqlType::VarChar { len: Len::N(sized_by(all)?), collation: collation(&all[..5])? }
            }
            (types::BIGCHAR, all) => SqlType::Char { len: sized_by(all)?, collation: collation(&all[..5])? },
            (types::NVARCHAR, all) => {
                SqlType::NVarChar { len: Len::N(sized_by(all)? / 2), collation: collation(&all[..5])? }
            }
            (types::NCHAR, all) => SqlType::NChar { len: sized_by(all)? / 2, collation: collation(&all[..5])? },
            (token, []) => {
                let (_, nullable, length) = FIXED.iter().find(|row| row.0 == token)?;
                sized(*nullable, *length)?
            }
            _ => return None,
        };
        let value = value(&sql_type, inner.data.to_vec())?;
        Some(Value::Variant(Box::new((sql_type, value))))
    }
}

/// The type of a nullable token of this many bytes.
fn sized(token: u8, length: usize) -> Option<SqlType> {
    Some(match (token, length) {
        (types::BITN, 1) => SqlType::Bit,
        (types::INTN, 1) => SqlType::TinyInt,
        (types::INTN, 2) => SqlType::SmallInt,
        (types::INTN, 4) => SqlType::Int,
        (types::INTN, 8) => SqlType::BigInt,
        (types::FLTN, 4) => SqlType::Real,
        (types::FLTN, 8) => SqlType::Float,
        (types::MONEYN, 4) => SqlType::SmallMoney,
        (types::MONEYN, 8) => SqlType::Money,
        (types::DATETIMN, 4) => SqlType::SmallDateTime,
        (types::DATETIMN, 8) => SqlType::DateTime,
        (types::GUID, 16) => SqlType::UniqueIdentifier,
        _ => return None,
    })
}

/// A collation of the client's, by its language: what matters here is the code page.
fn collation(bytes: &[u8]) -> Option<Collation> {
    let word = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    let name = match (word >> 26 & 1, word & 0xF_FFFF) {
        (1, _) => "Latin1_General_100_CI_AS_SC_UTF8",
        (_, 0x0419) => "Cyrillic_General_CI_AS",
        (_, 0x0411) => "Japanese_CI_AS",
        (_, 0x0804) => "Chinese_PRC_CI_AS",
        (_, 0x0412) => "Korean_Wansung_CI_AS",
        (_, 0x0404) => "Chinese_Taiwan_Stroke_CI_AS",
        (_, 0x0415) => "Polish_CI_AS",
        (_, 0x040E) => "Hungarian_CI_AS",
        (_, 0x0405) => "Czech_CI_AS",
        (_, 0x0408) => "Greek_CI_AS",
        (_, 0x041F) => "Turkish_CI_AS",
        (_, 0x040D) => "Hebrew_CI_AS",
        (_, 0x0401) => "Arabic_CI_AS",
        (_, 0x0427) => "Lithuanian_CI_AS",
        (_, 0x042A) => "Vietnamese_CI_AS",
        (_, 0x041E) => "Thai_CI_AS",
        _ => return Some(Collation::default()),
    };
    Some(Collation(name.to_owned()))
}

fn whole(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// 100 ns from the units of a time's scale.
fn ticks(bytes: &[u8], scale: u8) -> u64 {
    whole(bytes) * 10_u64.pow(u32::from(7 - scale.min(7)))
}

/// The bytes of a value that is not NULL.
fn value(sql_type: &SqlType, bytes: Vec<u8>) -> Option<Value<'static>> {
    let four = |at: usize| -> Option<[u8; 4]> { bytes.get(at..at + 4)?.try_into().ok() };
    let two = |at: usize| -> Option<[u8; 2]> { bytes.get(at..at + 2)?.try_into().ok() };
    Some(match sql_type {
        SqlType::Bit => Value::Bit(*bytes.first()? != 0),
        SqlType::TinyInt => Value::TinyInt(*bytes.first()?),
        SqlType::SmallInt => Value::SmallInt(i16::from_le_bytes(two(0)?)),
        SqlType::Int => Value::Int(i32::from_le_bytes(four(0)?)),
        SqlType::BigInt => Value::BigInt(i64::from_le_bytes(bytes.try_into().ok()?)),
        SqlType::Real => Value::Real(f32::from_le_bytes(four(0)?)),
        SqlType::Float => Value::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
        SqlType::SmallMoney => Value::Money(i64::from(i32::from_le_bytes(four(0)?))),
        // The high half comes first.
        SqlType::Money => {
            Value::Money(i64::from(i32::from_le_bytes(four(0)?)) << 32 | i64::from(u32::from_le_bytes(four(4)?)))
        }
        SqlType::Decimal { scale, .. } | SqlType::Numeric { scale, .. } => {
            let (sign, digits) = bytes.split_first()?;
            let mut number = [0; 16];
            number.get_mut(..digits.len())?.copy_from_slice(digits);
            let magnitude = i128::from_le_bytes(number);
            Value::Decimal { value: if *sign == 1 { magnitude } else { -magnitude }, scale: *scale }
        }
        SqlType::SmallDateTime => {
            Value::SmallDateTime { days: u16::from_le_bytes(two(0)?), minutes: u16::from_le_bytes(two(2)?) }
        }
        SqlType::DateTime => {
            Value::DateTime { days: i32::from_le_bytes(four(0)?), ticks: u32::from_le_bytes(four(4)?) }
        }
        SqlType::Date => Value::Date(whole(bytes.get(..3)?) as u32),
        SqlType::Time { scale } => Value::Time(ticks(&bytes, *scale)),
        SqlType::DateTime2 { scale } => {
            let (time, date) = bytes.split_at_checked(bytes.len().checked_sub(3)?)?;
            Value::DateTime2 { days: whole(date) as u32, ticks: ticks(time, *scale) }
        }
        SqlType::DateTimeOffset { scale } => {
            let (time, rest) = bytes.split_at_checked(bytes.len().checked_sub(5)?)?;
            let offset = i16::from_le_bytes([rest[3], rest[4]]);
            Value::DateTimeOffset { days: whole(&rest[..3]) as u32, ticks: ticks(time, *scale), offset }
        }
        SqlType::UniqueIdentifier => Value::Guid(bytes.try_into().ok()?),
        SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text { .. } => Value::VarChar(bytes.into()),
        SqlType::NChar { .. } | SqlType::NVarChar { .. } | SqlType::NText { .. } | SqlType::Xml => {
            Value::NVarChar(bytes.into())
        }
        SqlType::Binary { .. }
        | SqlType::VarBinary { .. }
        | SqlType::Image
        | SqlType::RowVersion
        | SqlType::Udt { .. } => Value::Binary(bytes.into()),
        SqlType::SqlVariant => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::type_info;
    use crate::values::write;

    fn text() -> Collation {
        Collation::default()
    }

    /// What the server writes, it also reads: one value of each type, and NULL.
    #[test]
    fn every_type_travels_both_ways() {
        let characters = || Value::VarChar(b"caf\xe9".to_vec().into());
        let cases = [
            (SqlType::Bit, Value::Bit(true)),
            (SqlType::TinyInt, Value::TinyInt(255)),
            (SqlType::SmallInt, Value::SmallInt(-2)),
            (SqlType::Int, Value::Int(i32::MIN)),
            (SqlType::BigInt, Value::BigInt(i64::MIN)),
            (SqlType::Real, Value::Real(-0.5)),
            (SqlType::Float, Value::Float(1.79e308)),
            (SqlType::Money, Value::Money(-12_345_678_901_234)),
            (SqlType::SmallMoney, Value::Money(-5)),
            (SqlType::Decimal { precision: 38, scale: 10 }, Value::Decimal { value: -(10_i128.pow(37)), scale: 10 }),
            (SqlType::Numeric { precision: 9, scale: 2 }, Value::Decimal { value: 999, scale: 2 }),
            (SqlType::Date, Value::Date(3_652_058)),
            (SqlType::Time { scale: 7 }, Value::Time(863_999_999_999)),
            (SqlType::Time { scale: 0 }, Value::Time(10_000_000)),
            (SqlType::DateTime, Value::DateTime { days: -53_690, ticks: 25_919_999 }),
            (SqlType::SmallDateTime, Value::SmallDateTime { days: 65_535, minutes: 1439 }),
            (SqlType::DateTime2 { scale: 3 }, Value::DateTime2 { days: 1, ticks: 10_000 }),
            (SqlType::DateTimeOffset { scale: 7 }, Value::DateTimeOffset { days: 9, ticks: 1, offset: -840 }),
            (SqlType::UniqueIdentifier, Value::Guid([7; 16])),
            (SqlType::Char { len: 4, collation: text() }, characters()),
            (SqlType::VarChar { len: Len::N(9), collation: text() }, characters()),
            (SqlType::VarChar { len: Len::Max, collation: text() }, Value::VarChar(vec![b'x'; 70_000].into())),
            (SqlType::NChar { len: 1, collation: text() }, Value::nvarchar("é")),
            (SqlType::NVarChar { len: Len::N(9), collation: text() }, Value::nvarchar("a😀")),
            (SqlType::NVarChar { len: Len::Max, collation: text() }, Value::nvarchar("")),
            (SqlType::Binary { len: 2 }, Value::Binary(vec![1, 2].into())),
            (SqlType::VarBinary { len: Len::N(3) }, Value::Binary(vec![].into())),
            (SqlType::VarBinary { len: Len::Max }, Value::Binary(vec![0; 70_000].into())),
            (SqlType::Xml, Value::nvarchar("<a/>")),
            (SqlType::SqlVariant, Value::Variant(Box::new((SqlType::Int, Value::Int(-42))))),
            (
                SqlType::SqlVariant,
                Value::Variant(Box::new((SqlType::VarChar { len: Len::N(4), collation: text() }, characters()))),
            ),
        ];
        for (sql_type, expected) in cases {
            let mut bytes = Vec::new();
            type_info(&sql_type, &mut bytes);
            write(&expected, &sql_type, &mut bytes);
            write(&Value::Null, &sql_type, &mut bytes);
            let mut reader = Reader { data: &bytes };
            let info = reader.type_info().unwrap();
            assert_eq!(info.sql_type, sql_type);
            assert_eq!(reader.value(&info, true), Some(expected), "{sql_type:?}");
            assert_eq!(reader.value(&info, true), Some(Value::Null), "{sql_type:?}");
            assert!(reader.data.is_empty(), "{sql_type:?}");
        }
    }

    #[test]
    fn text_and_image_come_without_a_pointer_in_calls_and_with_one_in_rows() {
        let bytes = [&[types::IMAGE, 0xFF, 0xFF, 0xFF, 0x7F][..], &[3, 0, 0, 0, 1, 2, 3]].concat();
        let mut reader = Reader { data: &bytes };
        let info = reader.type_info().unwrap();
        assert_eq!(reader.value(&info, false), Some(Value::Binary(vec![1, 2, 3].into())));
        let row = [&[16][..], &[0; 24], &[1, 0, 0, 0, 9, 0]].concat();
        let mut reader = Reader { data: &row };
        assert_eq!(reader.value(&info, true), Some(Value::Binary(vec![9].into())));
        assert_eq!(reader.value(&info, true), Some(Value::Null));
    }

    #[test]
    fn types_that_have_no_null_come_without_a_length() {
        let mut reader = Reader { data: &[0x38, 5, 0, 0, 0] };
        let info = reader.type_info().unwrap();
        assert_eq!(reader.value(&info, false), Some(Value::Int(5)));
    }
}
