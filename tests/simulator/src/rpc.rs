//! Procedure calls (MS-TDS 2.2.6.6): `sp_executesql`, with parameters of the usual types.

use tsql_engine::value::{Collation, Len, Parameter, SqlError, SqlType, Value};

use crate::login::utf16;
use crate::types;

const SP_EXECUTESQL: u16 = 10;

/// A call as far as this server knows it.
pub struct Call {
    pub sql: String,
    pub parameters: Vec<Parameter>,
}

/// Skips ALL_HEADERS (2.2.5.3), which precede batches and calls.
pub fn skip_headers(data: &[u8]) -> Option<&[u8]> {
    let length = u32::from_le_bytes(data.get(..4)?.try_into().ok()?) as usize;
    data.get(length..)
}

/// Reads a call.
pub fn parse(data: &[u8]) -> Result<Call, SqlError> {
    let broken = || {
        SqlError::new(
            8009,
            16,
            "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect.",
        )
    };
    let mut reader = Reader { data: skip_headers(data).ok_or_else(broken)? };
    let length = reader.u16().ok_or_else(broken)?;
    let known = if length == 0xFFFF {
        reader.u16().ok_or_else(broken)? == SP_EXECUTESQL
    } else {
        let name = utf16(reader.take(usize::from(length) * 2).ok_or_else(broken)?);
        name.to_lowercase().ends_with("sp_executesql")
    };
    if !known {
        return Err(SqlError::unsupported("only sp_executesql can be called"));
    }
    reader.u16().ok_or_else(broken)?;
    let mut values = Vec::new();
    while !reader.data.is_empty() {
        values.push(reader.parameter().ok_or_else(broken)?);
    }
    let mut values = values.into_iter();
    let sql = values.next().and_then(|parameter| text(&parameter.value)).ok_or_else(broken)?;
    // The declarations say nothing that the parameters themselves do not.
    values.next();
    Ok(Call { sql, parameters: values.collect() })
}

fn text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::NVarChar(bytes) => Some(utf16(bytes)),
        Value::VarChar(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}

struct Reader<'a> {
    data: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.data.split_at_checked(length)?;
        self.data = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn parameter(&mut self) -> Option<Parameter> {
        let length = usize::from(self.u8()?) * 2;
        let name = utf16(self.take(length)?);
        self.u8()?;
        let (sql_type, value) = self.value()?;
        Some(Parameter { name, sql_type, value })
    }

    fn value(&mut self) -> Option<(SqlType, Value<'static>)> {
        let token = self.u8()?;
        match token {
            types::NVARCHAR
            | types::NCHAR
            | types::BIGVARCHAR
            | types::BIGCHAR
            | types::BIGVARBINARY
            | types::BIGBINARY => self.variable(token),
            types::DECIMALN | types::NUMERICN => {
                self.u8()?;
                let (precision, scale) = (self.u8()?, self.u8()?);
                let kind = SqlType::Decimal { precision, scale };
                let length = usize::from(self.u8()?);
                if length == 0 {
                    return Some((kind, Value::Null));
                }
                let bytes = self.take(length)?;
                let mut number = [0; 16];
                number[..length - 1].copy_from_slice(&bytes[1..]);
                let magnitude = i128::from_le_bytes(number);
                Some((kind, Value::Decimal { value: if bytes[0] == 1 { magnitude } else { -magnitude }, scale }))
            }
            types::DATEN => {
                let length = usize::from(self.u8()?);
                let bytes = self.take(length)?;
                let value = if length == 3 {
                    Value::Date(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]))
                } else {
                    Value::Null
                };
                Some((SqlType::Date, value))
            }
            types::DATETIME2N => {
                let scale = self.u8()?;
                let length = usize::from(self.u8()?);
                let bytes = self.take(length)?;
                let kind = SqlType::DateTime2 { scale };
                if length < 6 {
                    return Some((kind, Value::Null));
                }
                let (time, date) = bytes.split_at(length - 3);
                let units = time.iter().rev().fold(0_u64, |units, byte| units << 8 | u64::from(*byte));
                let ticks = units * 10_u64.pow(u32::from(7 - scale.min(7)));
                Some((kind, Value::DateTime2 { days: u32::from_le_bytes([date[0], date[1], date[2], 0]), ticks }))
            }
            types::INTN | types::BITN | types::FLTN | types::GUID => {
                self.u8()?;
                let length = usize::from(self.u8()?);
                number(token, self.take(length)?)
            }
            _ => None,
        }
    }

    fn variable(&mut self, token: u8) -> Option<(SqlType, Value<'static>)> {
        let declared = self.u16()?;
        let binary = matches!(token, types::BIGVARBINARY | types::BIGBINARY);
        if !binary {
            self.take(5)?;
        }
        let bytes = if declared == 0xFFFF { self.partial()? } else { self.short()? }.pop();
        let national = matches!(token, types::NVARCHAR | types::NCHAR);
        let len = if declared == 0xFFFF { Len::Max } else { Len::N(if national { declared / 2 } else { declared }) };
        let collation = Collation::default();
        Some(match (binary, national) {
            (true, _) => (SqlType::VarBinary { len }, bytes.map_or(Value::Null, |bytes| Value::Binary(bytes.into()))),
            (_, true) => {
                (SqlType::NVarChar { len, collation }, bytes.map_or(Value::Null, |bytes| Value::NVarChar(bytes.into())))
            }
            _ => (SqlType::VarChar { len, collation }, bytes.map_or(Value::Null, |bytes| Value::VarChar(bytes.into()))),
        })
    }

    /// NULL is an empty list.
    fn short(&mut self) -> Option<Vec<Vec<u8>>> {
        let length = self.u16()?;
        if length == 0xFFFF { Some(Vec::new()) } else { Some(vec![self.take(usize::from(length))?.to_vec()]) }
    }

    /// NULL is an empty list.
    fn partial(&mut self) -> Option<Vec<Vec<u8>>> {
        let total = u64::from_le_bytes(self.take(8)?.try_into().ok()?);
        if total == u64::MAX {
            return Some(Vec::new());
        }
        let mut bytes = Vec::new();
        loop {
            let length = u32::from_le_bytes(self.take(4)?.try_into().ok()?) as usize;
            if length == 0 {
                return Some(vec![bytes]);
            }
            bytes.extend_from_slice(self.take(length)?);
        }
    }
}

fn number(token: u8, bytes: &[u8]) -> Option<(SqlType, Value<'static>)> {
    Some(match (token, bytes.len()) {
        (types::BITN, 1) => (SqlType::Bit, Value::Bit(bytes[0] != 0)),
        (types::INTN, 1) => (SqlType::TinyInt, Value::TinyInt(bytes[0])),
        (types::INTN, 2) => (SqlType::SmallInt, Value::SmallInt(i16::from_le_bytes(bytes.try_into().ok()?))),
        (types::INTN, 4) => (SqlType::Int, Value::Int(i32::from_le_bytes(bytes.try_into().ok()?))),
        (types::INTN, 8) => (SqlType::BigInt, Value::BigInt(i64::from_le_bytes(bytes.try_into().ok()?))),
        (types::FLTN, 4) => (SqlType::Real, Value::Real(f32::from_le_bytes(bytes.try_into().ok()?))),
        (types::FLTN, 8) => (SqlType::Float, Value::Float(f64::from_le_bytes(bytes.try_into().ok()?))),
        (types::GUID, 16) => (SqlType::UniqueIdentifier, Value::Guid(bytes.try_into().ok()?)),
        (_, 0) => (SqlType::Int, Value::Null),
        _ => return None,
    })
}
