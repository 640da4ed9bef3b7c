//! Bulk load (MS-TDS 2.2.6.1): the message that follows INSERT BULK, with column metadata and rows as a server sends them.

use tsql_engine::value::{Column, SqlError, SqlType, Value};

use crate::read::{Reader, TypeInfo};

const COLMETADATA: u8 = 0x81;
const ROW: u8 = 0xD1;
const NBCROW: u8 = 0xD2;
const DONE: u8 = 0xFD;

/// What a message holds.
pub struct Rows {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Value<'static>>>,
}

/// Reads a whole message.
pub fn rows(data: &[u8]) -> Result<Rows, SqlError> {
    let broken =
        |what: &str| SqlError::new(4804, 16, format!("The bulk load stream is incorrect: {what} cannot be read."));
    let mut reader = Reader { data };
    let (columns, types) = metadata(&mut reader).ok_or_else(|| broken("the column metadata"))?;
    let mut rows = Vec::new();
    loop {
        match reader.u8() {
            Some(ROW) => rows.push(row(&mut reader, &types, &[]).ok_or_else(|| broken("a row"))?),
            Some(NBCROW) => {
                let nulls = reader.take(types.len().div_ceil(8)).ok_or_else(|| broken("a row"))?;
                rows.push(row(&mut reader, &types, nulls).ok_or_else(|| broken("a row"))?);
            }
            // Some clients leave the DONE out when there is nothing more to say.
            Some(DONE) | None => return Ok(Rows { columns, rows }),
            Some(token) => return Err(broken(&format!("token {token:#04x}"))),
        }
    }
}

fn metadata(reader: &mut Reader<'_>) -> Option<(Vec<Column>, Vec<TypeInfo>)> {
    if reader.u8()? != COLMETADATA {
        return None;
    }
    let (mut columns, mut types) = (Vec::new(), Vec::new());
    for _ in 0..reader.u16()? {
        reader.u32()?;
        let flags = reader.u16()?;
        let info = reader.type_info()?;
        if matches!(info.sql_type, SqlType::Text { .. } | SqlType::NText { .. } | SqlType::Image) {
            // The table's name, in one part.
            let length = usize::from(reader.u16()?) * 2;
            reader.take(length)?;
        }
        let name = reader.text8()?;
        columns.push(Column { name, sql_type: info.sql_type.clone(), nullable: flags & 1 != 0, identity: false });
        types.push(info);
    }
    Some((columns, types))
}

fn row(reader: &mut Reader<'_>, types: &[TypeInfo], nulls: &[u8]) -> Option<Vec<Value<'static>>> {
    let null = |at: usize| nulls.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 != 0);
    types
        .iter()
        .enumerate()
        .map(|(at, info)| if null(at) { Some(Value::Null) } else { reader.value(info, true) })
        .collect()
}
