//! The tokens of a response (MS-TDS 2.2.7), written as the engine hands results out.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tsql_engine::Version;
use tsql_engine::value::{Collation, Column, EnvChange, Flow, Output, SqlError, SqlType, Value};

use crate::packet::{PacketWriter, RESPONSE};
use crate::types::{collation_bytes, type_info};
use crate::values;

const COLMETADATA: u8 = 0x81;
const ERROR: u8 = 0xAA;
const INFO: u8 = 0xAB;
const LOGINACK: u8 = 0xAD;
const ROW: u8 = 0xD1;
const NBCROW: u8 = 0xD2;
const ENVCHANGE: u8 = 0xE3;
const RETURNSTATUS: u8 = 0x79;
const RETURNVALUE: u8 = 0xAC;

/// While rows go out, the client is asked this often whether it wants them at all.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Looking at the clock for each row would cost as much as a narrow row.
const ROWS_BETWEEN_CLOCKS: u64 = 16;

/// DONE tokens by what they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// A statement of a batch.
    Batch = 0xFD,
    /// A statement within a procedure call.
    InProcedure = 0xFF,
    /// The procedure call itself.
    Procedure = 0xFE,
}

const MORE: u16 = 0x01;
const FAILED: u16 = 0x02;
const COUNT: u16 = 0x10;
const ATTENTION: u16 = 0x20;

/// What a scripted fault makes of the rows that come.
#[derive(Debug, Clone, Default)]
pub struct RowFault {
    pub after_rows: u64,
    pub action: RowAction,
}

#[derive(Debug, Clone, Default)]
pub enum RowAction {
    #[default]
    Nothing,
    /// Close the connection in the middle of the stream.
    Drop,
    /// Send nothing more, and keep the connection.
    Stall,
    /// Wait before each further packet.
    Slow(Duration),
    /// An error instead of the rest.
    Fail(SqlError),
}

/// How a response ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Attention,
    /// The connection is gone, or a fault says that it should be.
    Gone,
    Stalled,
    /// The statement failed by a fault; the error is in [`Response::fault_error`].
    Failed,
}

/// A response being written.
pub struct Response<'a, W: Write> {
    packets: PacketWriter<'a, W>,
    /// A second handle on the socket, to see whether the client sent an attention.
    watch: &'a TcpStream,
    token: Vec<u8>,
    columns: Vec<Column>,
    done: Done,
    /// The last DONE, held back until it is known whether more follows.
    pending: Option<(u16, u64)>,
    fault: RowFault,
    rows: u64,
    looked: Instant,
    /// The handle of a statement that the call prepared.
    pub handle: Option<i32>,
    /// Types whose values are sent as others; see `answers`.
    pub falsified: Vec<String>,
    pub ending: Option<Ending>,
    pub fault_error: Option<SqlError>,
    /// Where the statement begins that errors and messages are about.
    line: u32,
}

impl<'a, W: Write> Response<'a, W> {
    pub fn new(to: &'a mut W, watch: &'a TcpStream, size: usize, done: Done, fault: RowFault) -> Self {
        Self {
            packets: PacketWriter::new(to, RESPONSE, size),
            watch,
            token: Vec::with_capacity(4096),
            columns: Vec::new(),
            done,
            pending: None,
            fault,
            rows: 0,
            looked: Instant::now(),
            handle: None,
            falsified: Vec::new(),
            ending: None,
            fault_error: None,
            line: 1,
        }
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn send(&mut self) -> Flow {
        let result = self.packets.push(&self.token);
        self.token.clear();
        match result {
            Ok(false) => Flow::Continue,
            Ok(true) => self.written(),
            Err(_) => {
                self.ending = Some(Ending::Gone);
                Flow::Stop
            }
        }
    }

    /// What was written may have to wait; then the client is asked.
    fn written(&mut self) -> Flow {
        if let RowAction::Slow(wait) = self.fault.action
            && self.rows >= self.fault.after_rows
        {
            std::thread::sleep(wait);
        }
        self.look()
    }

    /// Whether the client has had enough.
    pub fn look(&mut self) -> Flow {
        self.looked = Instant::now();
        if client_speaks(self.watch) {
            self.ending = Some(Ending::Attention);
            return Flow::Stop;
        }
        Flow::Continue
    }

    fn flush_done(&mut self, more: bool) -> Flow {
        if let Some((status, rows)) = self.pending.take() {
            self.write_done(self.done, status | if more { MORE } else { 0 }, rows);
        }
        Flow::Continue
    }

    fn write_done(&mut self, kind: Done, status: u16, rows: u64) {
        self.token.push(kind as u8);
        self.token.extend_from_slice(&status.to_le_bytes());
        self.token.extend_from_slice(&0xC1_u16.to_le_bytes());
        self.token.extend_from_slice(&rows.to_le_bytes());
    }

    pub fn error(&mut self, error: &SqlError) {
        self.errors(&[error], None);
    }

    /// Errors of one statement, and what is said after them.
    pub fn errors(&mut self, errors: &[&SqlError], after: Option<&SqlError>) {
        self.flush_done(true);
        for error in errors {
            message(&mut self.token, ERROR, error, self.line);
        }
        if let Some(info) = after {
            message(&mut self.token, INFO, info, self.line);
        }
        self.pending = Some((FAILED, 0));
        self.send();
    }

    /// Tells that the session was reset (ENVCHANGE 18).
    pub fn reset_done(&mut self) {
        environment(&mut self.token, 18, &[0], &[0]);
        self.send();
    }

    fn return_value(&mut self, handle: i32) {
        self.token.push(RETURNVALUE);
        self.token.extend_from_slice(&0_u16.to_le_bytes());
        self.token.extend_from_slice(&text8(""));
        // An output parameter, of no user type, without flags.
        self.token.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0]);
        type_info(&SqlType::Int, &mut self.token);
        values::write(&Value::Int(handle), &SqlType::Int, &mut self.token);
    }

    /// LOGINACK with what a client wants to know of the server.
    pub fn login_ack(&mut self, version: Version, strict: bool, database: &str, packet_size: usize) {
        environment(&mut self.token, 1, &text8(database), &text8("master"));
        environment(&mut self.token, 7, &with_length(&collation_bytes(&Collation::default())), &[0]);
        environment(&mut self.token, 2, &text8("us_english"), &[0]);
        // TDS 8.0 or 7.4.
        let mut body = if strict { vec![1, 8, 0, 0, 0] } else { vec![1, 0x74, 0x00, 0x00, 0x04] };
        body.extend_from_slice(&text8("Stopgap SQL Server simulator"));
        body.extend_from_slice(&crate::login::version_bytes(version));
        self.token.push(LOGINACK);
        self.token.extend_from_slice(&(body.len() as u16).to_le_bytes());
        self.token.extend_from_slice(&body);
        environment(&mut self.token, 4, &text8(&packet_size.to_string()), &text8("4096"));
        self.pending = Some((0, 0));
        self.send();
    }

    /// ENVCHANGE of type 20 after LOGINACK: protocol TCP, port and server, and no old value (MS-TDS 2.2.7.9).
    pub fn redirect(&mut self, server: &str, port: u16) {
        let units: Vec<u16> = server.encode_utf16().collect();
        let mut data = vec![0];
        data.extend_from_slice(&port.to_le_bytes());
        data.extend_from_slice(&(units.len() as u16).to_le_bytes());
        data.extend(units.into_iter().flat_map(u16::to_le_bytes));
        let new = [&(data.len() as u16).to_le_bytes()[..], &data].concat();
        environment(&mut self.token, 20, &new, &[0, 0]);
    }

    /// Ends the response; an error of the connection ends the connection.
    pub fn finish(mut self, attention: bool) -> io::Result<()> {
        if attention {
            self.pending = None;
            self.write_done(Done::Batch, ATTENTION, 0);
        } else if self.done == Done::InProcedure {
            let failed = matches!(self.pending, Some((status, _)) if status & FAILED != 0);
            self.flush_done(true);
            self.token.push(RETURNSTATUS);
            self.token.extend_from_slice(&i32::from(failed).to_le_bytes());
            if let Some(handle) = self.handle {
                self.return_value(handle);
            }
            self.write_done(Done::Procedure, if failed { FAILED } else { 0 }, 0);
        } else {
            if self.pending.is_none() {
                self.pending = Some((0, 0));
            }
            self.flush_done(false);
        }
        self.packets.push(&self.token)?;
        self.packets.finish()
    }

    /// Ends the response of a statement that the client cancelled. What acknowledges that is a message of its own: each message of a client
    /// has one response (MS-TDS 3.1), the attention too.
    pub fn interrupt(mut self) -> io::Result<()> {
        self.pending = None;
        self.write_done(Done::Batch, FAILED, 0);
        self.packets.push(&self.token)?;
        self.packets.finish()
    }

    /// Leaves the response unfinished.
    pub fn abandon(mut self) -> io::Result<()> {
        self.packets.push(&self.token)?;
        self.packets.abandon()
    }

    fn metadata(&mut self) {
        self.token.push(COLMETADATA);
        self.token.extend_from_slice(&(self.columns.len() as u16).to_le_bytes());
        for column in &self.columns {
            let user_type: u32 = match column.sql_type {
                SqlType::RowVersion => 80,
                SqlType::Udt { .. } => 240,
                _ => 0,
            };
            self.token.extend_from_slice(&user_type.to_le_bytes());
            let flags = u16::from(column.nullable) | u16::from(column.identity) << 4 | 0x08;
            self.token.extend_from_slice(&flags.to_le_bytes());
            type_info(&column.sql_type, &mut self.token);
            self.token.extend_from_slice(&text8(&column.name));
        }
    }

    /// The row with other values of the types that a test named.
    fn falsify(&self, row: &[Value<'_>]) -> Option<Vec<Value<'static>>> {
        let is_named =
            |column: &Column| self.falsified.iter().any(|name| name == tsql_engine::type_name(&column.sql_type));
        let value = |(value, column): (&Value<'_>, &Column)| {
            if is_named(column) { tsql_engine::falsified(value) } else { value.clone().into_static() }
        };
        (!self.falsified.is_empty()).then(|| row.iter().zip(&self.columns).map(value).collect())
    }

    fn fault_now(&mut self) -> Option<Flow> {
        if self.rows < self.fault.after_rows {
            return None;
        }
        self.ending = Some(match &self.fault.action {
            RowAction::Nothing | RowAction::Slow(_) => return None,
            RowAction::Drop => Ending::Gone,
            RowAction::Stall => Ending::Stalled,
            RowAction::Fail(error) => {
                self.fault_error = Some(error.clone());
                Ending::Failed
            }
        });
        Some(Flow::Stop)
    }
}

impl<W: Write> Output for Response<'_, W> {
    fn columns(&mut self, columns: &[Column]) -> Flow {
        self.flush_done(true);
        self.columns = columns.to_vec();
        self.metadata();
        self.send()
    }

    fn row(&mut self, row: &[Value<'_>]) -> Flow {
        if let Some(flow) = self.fault_now() {
            return flow;
        }
        let others = self.falsify(row);
        let row = others.as_deref().unwrap_or(row);
        self.rows += 1;
        let nulls = row.iter().filter(|value| value.is_null()).count();
        // A bitmap pays from the second NULL on.
        if nulls > 1 {
            self.token.push(NBCROW);
            let start = self.token.len();
            self.token.resize(start + row.len().div_ceil(8), 0);
            for (index, value) in row.iter().enumerate() {
                if value.is_null() {
                    self.token[start + index / 8] |= 1 << (index % 8);
                }
            }
            for (value, column) in row.iter().zip(&self.columns).filter(|(value, _)| !value.is_null()) {
                values::write(value, &column.sql_type, &mut self.token);
            }
        } else {
            self.token.push(ROW);
            for (value, column) in row.iter().zip(&self.columns) {
                values::write(value, &column.sql_type, &mut self.token);
            }
        }
        if self.rows.is_multiple_of(ROWS_BETWEEN_CLOCKS)
            && self.looked.elapsed() > LOOK_EVERY
            && self.look() == Flow::Stop
        {
            // The row is begun, so it is sent; what follows is not.
            self.send();
            return Flow::Stop;
        }
        self.send()
    }

    fn done(&mut self, rows: Option<u64>) -> Flow {
        if let Some(flow) = self.fault_now() {
            return flow;
        }
        self.flush_done(true);
        self.pending = Some((if rows.is_some() { COUNT } else { 0 }, rows.unwrap_or(0)));
        Flow::Continue
    }

    fn info(&mut self, info: &SqlError) {
        self.flush_done(true);
        message(&mut self.token, INFO, info, self.line);
        self.send();
    }

    fn at_line(&mut self, line: u32) {
        self.line = line;
    }

    fn env_change(&mut self, change: &EnvChange) {
        match change {
            EnvChange::Database { old, new } => environment(&mut self.token, 1, &text8(new), &text8(old)),
            EnvChange::Language { old, new } => environment(&mut self.token, 2, &text8(new), &text8(old)),
            EnvChange::BeginTransaction(id) => environment(&mut self.token, 8, &with_length(&id.to_le_bytes()), &[0]),
            EnvChange::CommitTransaction(id) => environment(&mut self.token, 9, &[0], &with_length(&id.to_le_bytes())),
            EnvChange::RollbackTransaction(id) => {
                environment(&mut self.token, 10, &[0], &with_length(&id.to_le_bytes()));
            }
        }
        self.send();
    }
}

/// Whether the client sent something, or left: during a response that can only be an attention.
pub fn client_speaks(socket: &TcpStream) -> bool {
    let waiting = || -> io::Result<bool> {
        socket.set_nonblocking(true)?;
        let peeked = socket.peek(&mut [0; 1]);
        socket.set_nonblocking(false)?;
        Ok(!matches!(peeked, Err(ref error) if error.kind() == io::ErrorKind::WouldBlock))
    };
    waiting().unwrap_or(true)
}

/// Text with its length in characters in one byte.
fn text8(text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().take(255).collect();
    let mut out = vec![units.len() as u8];
    out.extend(units.into_iter().flat_map(u16::to_le_bytes));
    out
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    [&[bytes.len() as u8], bytes].concat()
}

fn environment(out: &mut Vec<u8>, kind: u8, new: &[u8], old: &[u8]) {
    out.push(ENVCHANGE);
    out.extend_from_slice(&((1 + new.len() + old.len()) as u16).to_le_bytes());
    out.push(kind);
    out.extend_from_slice(new);
    out.extend_from_slice(old);
}

fn message(out: &mut Vec<u8>, token: u8, message: &SqlError, line: u32) {
    let mut body = Vec::new();
    body.extend_from_slice(&message.number.to_le_bytes());
    body.extend_from_slice(&[message.state, message.class]);
    let units: Vec<u16> = message.message.encode_utf16().take(2000).collect();
    body.extend_from_slice(&(units.len() as u16).to_le_bytes());
    body.extend(units.into_iter().flat_map(u16::to_le_bytes));
    body.extend_from_slice(&text8("simulator"));
    body.extend_from_slice(&text8(""));
    body.extend_from_slice(&line.to_le_bytes());
    out.push(token);
    out.extend_from_slice(&(body.len() as u16).to_le_bytes());
    out.extend_from_slice(&body);
}
