//! The conversation with one client.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use tsql_engine::value::{Collation, Column, Flow, Len, Output as _, SqlError, SqlType, Value};
use tsql_engine::{Instance, Session};

use crate::faults::{self, Action, Faults};
use crate::login::{self, ENCRYPT_NOT_SUPPORTED, ENCRYPT_OFF, ENCRYPT_ON, ENCRYPT_REQUIRED, Login};
use crate::packet::{self, Message};
use crate::response::{Done, Ending, Response, RowFault};
use crate::rpc;
use crate::server::Encryption;
use crate::tls;

/// What all connections of a server share.
pub struct Shared {
    pub instance: Arc<Instance>,
    pub tls: Arc<rustls::ServerConfig>,
    pub encryption: Encryption,
    pub faults: Faults,
}

/// A stalled or hanging connection is kept this long at most.
const LONGEST_SILENCE: Duration = Duration::from_mins(10);

/// Talks to a client until it leaves.
pub fn serve(mut socket: TcpStream, shared: &Shared) -> io::Result<()> {
    socket.set_nodelay(true)?;
    match shared.faults.on_connect() {
        Some(Action::Hang) => return hang(&socket),
        Some(_) => return Ok(()),
        None => {}
    }
    let watch = socket.try_clone()?;
    let Some(message) = packet::read(&mut socket)? else { return Ok(()) };
    if message.kind != packet::PRELOGIN {
        return Ok(());
    }
    let wanted = login::prelogin_encryption(&message.data);
    let answer = match (shared.encryption, wanted) {
        (Encryption::Off, _) => ENCRYPT_NOT_SUPPORTED,
        (Encryption::Required, _) => ENCRYPT_REQUIRED,
        (Encryption::Optional, ENCRYPT_ON | ENCRYPT_REQUIRED) => ENCRYPT_ON,
        (Encryption::Optional, ENCRYPT_OFF) => ENCRYPT_OFF,
        _ => ENCRYPT_NOT_SUPPORTED,
    };
    let mut reply = packet::PacketWriter::new(&mut socket, packet::RESPONSE, 4096);
    reply.push(&login::prelogin_answer(answer))?;
    reply.finish()?;
    match answer {
        ENCRYPT_NOT_SUPPORTED => {
            let Some(message) = packet::read(&mut socket)? else { return Ok(()) };
            converse(&mut socket, &watch, &message, shared, false)
        }
        ENCRYPT_OFF => {
            // Only the login is encrypted.
            let mut stream = tls::accept(shared.tls.clone(), socket)?;
            let Some(message) = packet::read(&mut stream)? else { return Ok(()) };
            converse(&mut stream.sock.socket, &watch, &message, shared, false)
        }
        _ => {
            let mut stream = tls::accept(shared.tls.clone(), socket)?;
            let Some(message) = packet::read(&mut stream)? else { return Ok(()) };
            converse(&mut stream, &watch, &message, shared, true)
        }
    }
}

/// Keeps the connection and says nothing, until the client gives up.
fn hang(socket: &TcpStream) -> io::Result<()> {
    socket.set_read_timeout(Some(LONGEST_SILENCE))?;
    let mut socket = socket;
    let mut buffer = [0; 4096];
    while matches!(socket.read(&mut buffer), Ok(1..)) {}
    Ok(())
}

fn converse(
    stream: &mut (impl Read + Write),
    watch: &TcpStream,
    message: &Message,
    shared: &Shared,
    encrypted: bool,
) -> io::Result<()> {
    let Some(Login { request, packet_size, odbc }) =
        login::login7(&message.data).filter(|_| message.kind == packet::LOGIN7)
    else {
        return Ok(());
    };
    let opened = match shared.faults.on_login(&request.application) {
        Some(Action::LoginError(number)) => Err(faults::error(number)),
        Some(_) => return Ok(()),
        None => Session::open(shared.instance.clone(), &request),
    };
    let mut response = Response::new(stream, watch, 4096, Done::Batch, RowFault::default());
    let mut session = match opened {
        Ok(mut session) => {
            if odbc {
                session.set_text_size(i64::from(i32::MAX));
            }
            session.set_encrypted(encrypted);
            response.login_ack(session.database(), packet_size);
            response.finish(false)?;
            session
        }
        Err(error) => {
            response.error(&error);
            return response.finish(false);
        }
    };
    while let Some(message) = packet::read(stream)? {
        if !request_message(stream, watch, &message, &mut session, shared, packet_size)? {
            break;
        }
    }
    Ok(())
}

/// Answers one message; `false` ends the connection.
fn request_message(
    stream: &mut (impl Read + Write),
    watch: &TcpStream,
    message: &Message,
    session: &mut Session,
    shared: &Shared,
    packet_size: usize,
) -> io::Result<bool> {
    let (done, parsed) = match message.kind {
        packet::SQL_BATCH => {
            let text = rpc::skip_headers(&message.data).map(login::utf16).unwrap_or_default();
            (Done::Batch, Ok(rpc::Call { sql: text, parameters: Vec::new() }))
        }
        packet::RPC => (Done::InProcedure, rpc::parse(&message.data)),
        packet::TRANSACTION => (Done::Batch, transaction(&message.data)),
        packet::ATTENTION => {
            // It came when nothing was running; it is acknowledged all the same.
            let response = Response::new(stream, watch, packet_size, Done::Batch, RowFault::default());
            response.finish(true)?;
            return Ok(true);
        }
        kind => (Done::Batch, Err(SqlError::unsupported(format!("packet type {kind:#04x} is not supported")))),
    };
    let fault = parsed.as_ref().map_or_else(|_| RowFault::default(), |call| shared.faults.on_batch(&call.sql));
    let mut response = Response::new(stream, watch, packet_size, done, fault);
    let result = match &parsed {
        Ok(call) if call.sql.trim_start().to_lowercase().starts_with("exec simulator_") => {
            control(&call.sql, shared, &mut response)
        }
        Ok(call) => session.batch(&call.sql, &call.parameters, &mut response),
        Err(error) => Err(error.clone()),
    };
    if let Err(error) = &result {
        fail(session, &mut response, error);
    }
    match response.ending {
        None => response.finish(false)?,
        Some(Ending::Failed) => {
            if let Some(error) = response.fault_error.take() {
                fail(session, &mut response, &error);
            }
            response.finish(false)?;
        }
        Some(Ending::Attention) => {
            // A row cut off in the middle would swallow the acknowledgement: what is begun is sent to its last byte.
            // The attention itself is read before it is acknowledged.
            response.abandon()?;
            match packet::read(stream)? {
                Some(message) if message.kind == packet::ATTENTION => {}
                _ => return Ok(false),
            }
            Response::new(stream, watch, packet_size, Done::Batch, RowFault::default()).finish(true)?;
        }
        Some(Ending::Gone) => {
            response.abandon()?;
            return Ok(false);
        }
        Some(Ending::Stalled) => {
            response.abandon()?;
            hang(watch)?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// An error ends the batch; a deadlock victim also loses its transaction.
fn fail<W: Write>(session: &mut Session, response: &mut Response<'_, W>, error: &SqlError) {
    response.error(error);
    if error.number == 1205 {
        // A database that is gone has nothing to roll back.
        let _ = session.batch("IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION", &[], response);
    }
}

/// Requests of the transaction manager (2.2.6.9) as statements.
fn transaction(data: &[u8]) -> Result<rpc::Call, SqlError> {
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
    Ok(rpc::Call { sql, parameters: Vec::new() })
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

/// `EXEC simulator_fault 'action', 'match', skip, times, rows`, `EXEC simulator_disarm 'match'` and
/// `EXEC simulator_faults_fired`.
fn control<W: Write>(sql: &str, shared: &Shared, response: &mut Response<'_, W>) -> Result<Flow, SqlError> {
    let usage = || SqlError::unsupported("EXEC simulator_fault 'action', 'match', skip, times, rows");
    let words: Vec<String> = sql.split('\'').map(str::to_owned).collect();
    let name = words[0].split_whitespace().nth(1).unwrap_or_default().to_lowercase();
    match name.as_str() {
        "simulator_fault" => {
            let [_, action, _, matching, numbers, ..] = words.as_slice() else { return Err(usage()) };
            let numbers: Vec<u64> =
                numbers.split(',').filter_map(|text| text.trim().trim_end_matches(';').parse().ok()).collect();
            let [skip, times, rows] = numbers.as_slice() else { return Err(usage()) };
            shared.faults.arm(action, matching, *skip as u32, *times as u32, *rows)?;
            Ok(response.done(None))
        }
        "simulator_disarm" => {
            shared.faults.disarm(words.get(1).map_or("", String::as_str));
            Ok(response.done(None))
        }
        "simulator_faults_fired" => {
            let text = SqlType::NVarChar { len: Len::N(400), collation: Collation::default() };
            let column = |name: &str, sql_type: SqlType| Column {
                name: name.to_owned(),
                sql_type,
                nullable: false,
                identity: false,
            };
            response.columns(&[column("action", text.clone()), column("match", text), column("fired", SqlType::Int)]);
            let fired = shared.faults.fired();
            for (action, matching, count) in &fired {
                response.row(&[Value::nvarchar(action), Value::nvarchar(matching), Value::Int(*count as i32)]);
            }
            Ok(response.done(Some(fired.len() as u64)))
        }
        _ => Err(SqlError::unsupported(format!("{name} is not known"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(body: &[u8]) -> String {
        let headers = 4_u32.to_le_bytes();
        transaction(&[&headers, body].concat()).map_or_else(|error| error.message, |call| call.sql)
    }

    #[test]
    fn a_commit_may_begin_the_next_transaction() {
        assert_eq!(statement(&[5, 0, 0, 0]), "BEGIN TRANSACTION");
        assert_eq!(statement(&[5, 0, 5, 0]), "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION");
        assert_eq!(statement(&[7, 0, 0, 0]), "COMMIT TRANSACTION");
        assert_eq!(statement(&[7, 0, 0, 1, 0, 0]), "COMMIT TRANSACTION; BEGIN TRANSACTION");
        assert_eq!(statement(&[8, 0, 2, b'a', 0, 1, 0, 0]), "ROLLBACK TRANSACTION; BEGIN TRANSACTION");
        assert!(statement(&[1, 0]).contains("not supported"));
    }
}
