//! The conversation after the login: one request, one response.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use tsql_engine::value::{Flow, Output as _, Parameter, SqlError};
use tsql_engine::{Bulk, Session};

use crate::connection::{Shared, hang};
use crate::packet::{self, Message, Reset};
use crate::response::{Done, Ending, Response, RowFault};
use crate::rpc::{self, Call, Statement};
use crate::{bulk, control, faults, login, transaction};

/// What a message asks for.
enum Work {
    Batch(String),
    Call(Call),
    Load,
}

/// A session and what its client left there.
pub struct Conversation<'a> {
    session: Session,
    shared: &'a Shared,
    watch: &'a TcpStream,
    packet_size: usize,
    prepared: HashMap<i32, Statement>,
    last_handle: i32,
    /// INSERT BULK, whose rows come with the next message.
    bulk: Option<Bulk>,
}

impl<'a> Conversation<'a> {
    pub fn new(session: Session, shared: &'a Shared, watch: &'a TcpStream, packet_size: usize) -> Self {
        Self { session, shared, watch, packet_size, prepared: HashMap::new(), last_handle: 0, bulk: None }
    }

    /// Answers one message; `false` ends the connection.
    pub fn answer(&mut self, stream: &mut (impl Read + Write), message: &Message) -> io::Result<bool> {
        if message.kind == packet::ATTENTION {
            // It came when nothing was running; it is acknowledged all the same.
            let idle = RowFault::default();
            Response::new(stream, self.watch, self.packet_size, Done::Batch, idle).finish(true)?;
            return Ok(true);
        }
        let (done, work) = read(message);
        let sql = work.as_ref().map_or("", |work| self.sql(work));
        let who = faults::Who {
            user: self.session.login(),
            database: self.session.database(),
            spid: self.session.spid(),
            sql,
        };
        let fault = if sql.is_empty() { RowFault::default() } else { self.shared.faults.on_batch(&who) };
        let applied = self.shared.answers.applied(self.session.database(), sql);
        self.session.set_answers(applied.answers);
        let mut response = Response::new(stream, self.watch, self.packet_size, done, fault);
        response.falsified = applied.types;
        let result = self.reset(message.reset, &mut response).and_then(|()| match work {
            Ok(work) => self.run(work, &message.data, &mut response),
            Err(error) => Err(error),
        });
        let fatal = self.settle(&result, &mut response);
        match response.ending {
            None | Some(Ending::Failed) => {
                response.finish(false)?;
                Ok(!fatal)
            }
            Some(ending) => {
                // A row cut off in the middle would swallow what follows: what is begun is sent to its last byte.
                if ending == Ending::Attention {
                    response.interrupt()?;
                } else {
                    response.abandon()?;
                }
                self.after(stream, ending)
            }
        }
    }

    /// The statement that a message runs, for faults that wait for it.
    fn sql<'w>(&'w self, work: &'w Work) -> &'w str {
        match work {
            Work::Batch(sql) => sql,
            Work::Call(Call::Run { statement, .. } | Call::PrepareAndRun { statement, .. }) => &statement.sql,
            Work::Call(Call::Execute { handle, .. }) => {
                self.prepared.get(handle).map_or("", |statement| statement.sql.as_str())
            }
            Work::Call(Call::Prepare { .. } | Call::Unprepare { .. }) | Work::Load => "",
        }
    }

    fn reset<W: Write>(&mut self, reset: Reset, response: &mut Response<'_, W>) -> Result<(), SqlError> {
        if reset == Reset::No {
            return Ok(());
        }
        self.prepared.clear();
        self.bulk = None;
        response.reset_done();
        self.session.reset(reset == Reset::KeepingTransaction, response)
    }

    fn run<W: Write>(&mut self, work: Work, data: &[u8], response: &mut Response<'_, W>) -> Result<Flow, SqlError> {
        let pending = self.bulk.take();
        match work {
            Work::Batch(sql) if control::is_control(&sql) => {
                control::run(&sql, self.shared, &mut self.session, response)
            }
            Work::Batch(sql) if Bulk::begins(&sql) => {
                self.bulk = Some(self.session.begin_bulk(&sql)?);
                Ok(response.done(None))
            }
            Work::Batch(sql) => self.session.batch(&sql, &[], response),
            Work::Load => {
                let pending =
                    pending.ok_or_else(|| SqlError::unsupported("rows without an INSERT BULK before them"))?;
                let rows = bulk::rows(data)?;
                let count = self.session.load(&pending, &rows.columns, rows.rows)?;
                Ok(response.done(Some(count)))
            }
            Work::Call(call) => self.call(call, response),
        }
    }

    fn call<W: Write>(&mut self, call: Call, response: &mut Response<'_, W>) -> Result<Flow, SqlError> {
        match call {
            Call::Run { statement, values } => self.execute(&statement, values, response),
            Call::Prepare { statement } => {
                self.prepare(statement, response)?;
                Ok(Flow::Continue)
            }
            Call::PrepareAndRun { statement, values } => {
                self.prepare(statement.clone(), response)?;
                self.execute(&statement, values, response)
            }
            Call::Execute { handle, values } => {
                let statement = self.prepared.get(&handle).cloned().ok_or_else(|| unknown(handle))?;
                self.execute(&statement, values, response)
            }
            Call::Unprepare { handle } => {
                self.prepared.remove(&handle).map(|_| Flow::Continue).ok_or_else(|| unknown(handle))
            }
        }
    }

    fn prepare<W: Write>(&mut self, statement: Statement, response: &mut Response<'_, W>) -> Result<(), SqlError> {
        if let Err(error) = self.session.check(&statement.sql) {
            response.error(&error);
            return Err(SqlError::new(8180, 16, "Statement(s) could not be prepared."));
        }
        self.last_handle += 1;
        self.prepared.insert(self.last_handle, statement);
        response.handle = Some(self.last_handle);
        Ok(())
    }

    fn execute<W: Write>(
        &mut self,
        statement: &Statement,
        values: Vec<Parameter>,
        response: &mut Response<'_, W>,
    ) -> Result<Flow, SqlError> {
        let parameters = self.session.declared(&statement.declarations, values)?;
        self.session.batch(&statement.sql, &parameters, response)
    }

    /// Tells of an error and of a statement that was cut short; `true` where the error ends the connection.
    fn settle<W: Write>(&mut self, result: &Result<Flow, SqlError>, response: &mut Response<'_, W>) -> bool {
        let mut fatal = false;
        let scripted = response.fault_error.take();
        let after = self.session.after_error();
        for error in result.as_ref().err().into_iter().chain(scripted.as_ref()) {
            response.errors(&[error], after.as_ref());
            self.session.interrupted(Some(error), response);
            fatal |= error.class >= 20;
        }
        if *result == Ok(Flow::Stop) && response.ending.is_none() {
            response.look();
        }
        fatal
    }

    /// After the last byte of a response that ended early; `false` ends the connection.
    fn after(&mut self, stream: &mut (impl Read + Write), ending: Ending) -> io::Result<bool> {
        match ending {
            Ending::Failed => Ok(true),
            Ending::Gone => Ok(false),
            Ending::Stalled => {
                hang(self.watch)?;
                Ok(false)
            }
            Ending::Attention => {
                // The attention itself is read before it is acknowledged.
                match packet::read(stream)? {
                    Some(message) if message.kind == packet::ATTENTION => {}
                    _ => return Ok(false),
                }
                let mut response =
                    Response::new(stream, self.watch, self.packet_size, Done::Batch, RowFault::default());
                self.session.interrupted(None, &mut response);
                response.finish(true)?;
                Ok(true)
            }
        }
    }
}

fn unknown(handle: i32) -> SqlError {
    SqlError { state: 2, ..SqlError::new(8179, 16, format!("Could not find prepared statement with handle {handle}.")) }
}

fn read(message: &Message) -> (Done, Result<Work, SqlError>) {
    match message.kind {
        packet::SQL_BATCH => {
            let text = rpc::skip_headers(&message.data).map(login::utf16).unwrap_or_default();
            (Done::Batch, Ok(Work::Batch(text)))
        }
        packet::RPC => (Done::InProcedure, rpc::parse(&message.data).map(Work::Call)),
        packet::TRANSACTION => (Done::Batch, transaction::statement(&message.data).map(Work::Batch)),
        packet::BULK_LOAD => (Done::Batch, Ok(Work::Load)),
        kind => (Done::Batch, Err(SqlError::unsupported(format!("packet type {kind:#04x} is not supported")))),
    }
}
