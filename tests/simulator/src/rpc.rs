//! Procedure calls (MS-TDS 2.2.6.6): `sp_executesql` and the procedures for prepared statements.

use tsql_engine::value::{Parameter, SqlError, Value};

use crate::login::utf16;
use crate::read::Reader;

/// The special procedures by their numbers (2.2.6.6), from 1.
const PROCEDURES: [&str; 15] = [
    "sp_cursor",
    "sp_cursoropen",
    "sp_cursorprepare",
    "sp_cursorexecute",
    "sp_cursorprepexec",
    "sp_cursorunprepare",
    "sp_cursorfetch",
    "sp_cursoroption",
    "sp_cursorclose",
    "sp_executesql",
    "sp_prepare",
    "sp_execute",
    "sp_prepexec",
    "sp_prepexecrpc",
    "sp_unprepare",
];

/// A parameter is for the procedure to fill.
const BY_REFERENCE: u8 = 0x01;

/// A statement with its parameters, as a client declares them.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub sql: String,
    /// `@a int, @b nvarchar(10)`; empty for none.
    pub declarations: String,
}

/// A call as far as this server knows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    Run { statement: Statement, values: Vec<Parameter> },
    Prepare { statement: Statement },
    PrepareAndRun { statement: Statement, values: Vec<Parameter> },
    Execute { handle: i32, values: Vec<Parameter> },
    Unprepare { handle: i32 },
}

/// Skips ALL_HEADERS (2.2.5.3), which precede batches and calls.
pub fn skip_headers(data: &[u8]) -> Option<&[u8]> {
    let length = u32::from_le_bytes(data.get(..4)?.try_into().ok()?) as usize;
    data.get(length..)
}

fn broken() -> SqlError {
    SqlError::new(
        8009,
        16,
        "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect.",
    )
}

/// Reads a call.
pub fn parse(data: &[u8]) -> Result<Call, SqlError> {
    let mut reader = Reader { data: skip_headers(data).ok_or_else(broken)? };
    let name = procedure(&mut reader)?;
    // The flags are hints. Microsoft's ODBC driver asks for no metadata (fNoMetaData) when it prepares a statement again for parameters of
    // other types, where only the server can know whether the columns are still the same.
    reader.u16().ok_or_else(broken)?;
    let mut given = Vec::new();
    while let Some(first) = reader.data.first() {
        // A name has 128 characters at most: what stands here parts one call from the next.
        if *first > 128 {
            return Err(SqlError::unsupported("several procedure calls in one message are not supported"));
        }
        given.push(parameter(&mut reader)?);
    }
    call(&name, given)
}

fn procedure(reader: &mut Reader<'_>) -> Result<String, SqlError> {
    let length = reader.u16().ok_or_else(broken)?;
    if length == 0xFFFF {
        let number = usize::from(reader.u16().ok_or_else(broken)?);
        let name = number.checked_sub(1).and_then(|at| PROCEDURES.get(at));
        return name.map(|name| (*name).to_owned()).ok_or_else(broken);
    }
    let name = utf16(reader.take(usize::from(length) * 2).ok_or_else(broken)?).to_lowercase();
    Ok(name.rsplit('.').next().unwrap_or(&name).replace(['[', ']'], ""))
}

/// One parameter, and whether it is for the procedure to fill.
fn parameter(reader: &mut Reader<'_>) -> Result<(Parameter, bool), SqlError> {
    let name = reader.text8().ok_or_else(broken)?;
    let status = reader.u8().ok_or_else(broken)?;
    if reader.data.first() == Some(&0xF3) {
        return Err(SqlError::unsupported("table-valued parameters are not supported"));
    }
    let info = reader.type_info().ok_or_else(broken)?;
    let value = reader.value(&info, false).ok_or_else(broken)?;
    Ok((Parameter { name, sql_type: info.sql_type, value }, status & BY_REFERENCE != 0))
}

fn call(name: &str, given: Vec<(Parameter, bool)>) -> Result<Call, SqlError> {
    // The handle of sp_prepare and sp_prepexec is the one parameter that comes back.
    let outputs = usize::from(matches!(name, "sp_prepare" | "sp_prepexec"));
    if given.iter().skip(outputs).any(|(_, output)| *output) {
        return Err(SqlError::unsupported(format!("{name} with an OUTPUT parameter is not supported")));
    }
    let mut values = given.into_iter().map(|(parameter, _)| parameter);
    match name {
        "sp_executesql" => {
            let sql = values.next().and_then(|parameter| text(&parameter.value)).ok_or_else(broken)?;
            let declarations = values.next().and_then(|parameter| text(&parameter.value)).unwrap_or_default();
            Ok(Call::Run { statement: Statement { sql, declarations }, values: values.collect() })
        }
        "sp_prepare" | "sp_prepexec" => {
            values.next().ok_or_else(broken)?;
            let declarations = values.next().and_then(|parameter| text(&parameter.value)).unwrap_or_default();
            let sql = values.next().and_then(|parameter| text(&parameter.value)).ok_or_else(broken)?;
            let statement = Statement { sql, declarations };
            if name == "sp_prepexec" {
                return Ok(Call::PrepareAndRun { statement, values: values.collect() });
            }
            Ok(Call::Prepare { statement })
        }
        "sp_execute" | "sp_unprepare" => {
            let Some(Value::Int(handle)) = values.next().map(|parameter| parameter.value) else {
                return Err(broken());
            };
            if name == "sp_execute" {
                return Ok(Call::Execute { handle, values: values.collect() });
            }
            Ok(Call::Unprepare { handle })
        }
        other => Err(SqlError::unsupported(format!("the procedure {other} is not supported"))),
    }
}

fn text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::NVarChar(bytes) => Some(utf16(bytes)),
        Value::VarChar(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tsql_engine::value::SqlType;

    fn message(number: u8, parameters: &[&[u8]]) -> Vec<u8> {
        let head = [4, 0, 0, 0, 0xFF, 0xFF, number, 0, 0, 0];
        [&head[..], &parameters.concat()].concat()
    }

    fn nvarchar(text: &str) -> Vec<u8> {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = (bytes.len() as u16).to_le_bytes();
        [&[0, 0, 0xE7, 0x40, 0x1F, 9, 4, 0xD0, 0, 52, length[0], length[1]][..], &bytes].concat()
    }

    const INT: &[u8] = &[0, 0, 0x26, 4, 4, 7, 0, 0, 0];
    const HANDLE: &[u8] = &[0, 1, 0x26, 4, 0];

    #[test]
    fn prepared_statements_are_prepared_executed_and_forgotten() {
        let statement = Statement { sql: "SELECT @a".to_owned(), declarations: "@a int".to_owned() };
        let value = Parameter { name: String::new(), sql_type: SqlType::Int, value: Value::Int(7) };
        let (declared, sql) = (nvarchar("@a int"), nvarchar("SELECT @a"));
        assert_eq!(
            parse(&message(11, &[HANDLE, &declared, &sql, INT])),
            Ok(Call::Prepare { statement: statement.clone() })
        );
        assert_eq!(
            parse(&message(13, &[HANDLE, &declared, &sql, INT])),
            Ok(Call::PrepareAndRun { statement: statement.clone(), values: vec![value.clone()] })
        );
        assert_eq!(parse(&message(12, &[INT, INT])), Ok(Call::Execute { handle: 7, values: vec![value.clone()] }));
        assert_eq!(parse(&message(15, &[INT])), Ok(Call::Unprepare { handle: 7 }));
        assert_eq!(parse(&message(10, &[&sql, &declared, INT])), Ok(Call::Run { statement, values: vec![value] }));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let refused = |message: &[u8]| parse(message).map_or_else(|error| error.message, |call| format!("{call:?}"));
        for (number, name) in (1..).zip(PROCEDURES).filter(|(_, name)| name.contains("cursor")) {
            assert!(refused(&message(number, &[INT])).contains(&format!("the procedure {name} is not")), "{name}");
        }
        assert!(refused(&message(14, &[])).contains("sp_prepexecrpc"));
        let (sql, output) = (nvarchar("SELECT 1"), [0, 1, 0x26, 4, 0]);
        assert!(refused(&message(10, &[&sql, &sql, &output])).contains("OUTPUT"));
        assert!(refused(&message(10, &[&sql, &[0xFF]])).contains("several procedure calls"));
        assert!(refused(&message(10, &[&sql, &sql, &[0, 0, 0xF3]])).contains("table-valued"));
        assert!(refused(&message(16, &[])).contains("RPC"));
    }
}
