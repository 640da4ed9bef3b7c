//! Requests of the transaction manager (MS-TDS 2.2.6.9), which clients send in place of BEGIN, COMMIT and ROLLBACK.

use tsql_engine::value::SqlError;

use crate::rpc;

/// Requests of the transaction manager (2.2.6.9) as statements.
pub fn statement(data: &[u8]) -> Result<String, SqlError> {
    let unknown = || SqlError::unsupported("this transaction manager request is not supported");
    let body = rpc::skip_headers(data).unwrap_or_default();
    let (request, rest) = body.split_at_checked(2).ok_or_else(unknown)?;
    let sql = match request {
        [5, 0] => begin(rest.first().copied())?,
        [end @ (7 | 8), 0] => {
            let statement = if *end == 7 { "COMMIT TRANSACTION" } else { "ROLLBACK TRANSACTION" };
            // The name's length and the name, then flags: fBeginXact asks for the next transaction at once.
            let after_name = rest.split_first().and_then(|(length, rest)| rest.get(usize::from(*length)..));
            match after_name {
                Some([flags, level @ ..]) if flags & 1 != 0 => {
                    format!("{statement}; {}", begin(level.first().copied())?)
                }
                _ => statement.to_owned(),
            }
        }
        _ => return Err(unknown()),
    };
    Ok(sql)
}

/// Begins a transaction; level 0 keeps the session's isolation.
fn begin(level: Option<u8>) -> Result<String, SqlError> {
    let level = match level {
        None | Some(0) => return Ok("BEGIN TRANSACTION".to_owned()),
        Some(1) => "READ UNCOMMITTED",
        Some(2) => "READ COMMITTED",
        Some(3) => "REPEATABLE READ",
        Some(4) => "SERIALIZABLE",
        Some(5) => "SNAPSHOT",
        Some(other) => return Err(SqlError::unsupported(format!("isolation level {other} is not supported"))),
    };
    Ok(format!("SET TRANSACTION ISOLATION LEVEL {level}; BEGIN TRANSACTION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &[u8]) -> String {
        let headers = 4_u32.to_le_bytes();
        statement(&[&headers, body].concat()).unwrap_or_else(|error| error.message)
    }

    #[test]
    fn a_commit_may_begin_the_next_transaction() {
        assert_eq!(text(&[5, 0, 0, 0]), "BEGIN TRANSACTION");
        assert_eq!(text(&[5, 0, 5, 0]), "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION");
        assert_eq!(text(&[7, 0, 0, 0]), "COMMIT TRANSACTION");
        assert_eq!(text(&[7, 0, 0, 1, 0, 0]), "COMMIT TRANSACTION; BEGIN TRANSACTION");
        assert_eq!(text(&[8, 0, 2, b'a', 0, 1, 0, 0]), "ROLLBACK TRANSACTION; BEGIN TRANSACTION");
        assert!(text(&[1, 0]).contains("not supported"));
    }
}
