//! The conversation with one client.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use tsql_engine::{Instance, Session};

use crate::answers::Rules;
use crate::faults::{self, Action, Faults};
use crate::login::{self, ENCRYPT_NOT_SUPPORTED, ENCRYPT_OFF, ENCRYPT_ON, ENCRYPT_REQUIRED, Login};
use crate::packet::{self, Message};
use crate::request::Conversation;
use crate::response::{Done, Response, RowFault, client_speaks};
use crate::server::Encryption;
use crate::tls;

/// What all connections of a server share.
pub struct Shared {
    pub instance: Arc<Instance>,
    pub tls: Arc<rustls::ServerConfig>,
    pub encryption: Encryption,
    pub faults: Faults,
    pub answers: Rules,
}

const NO_DATABASE: u32 = 4060;
const LOGIN_FAILED: u32 = 18456;

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
    if tls::comes_first(&socket)? {
        return serve_strictly(socket, &watch, shared);
    }
    let Some(message) = packet::read(&mut socket)? else { return Ok(()) };
    if message.kind != packet::PRELOGIN {
        return Ok(());
    }
    let wanted = login::prelogin_encryption(&message.data);
    let (answer, is_over) = negotiate(shared.encryption, wanted);
    answer_prelogin(&mut socket, shared, answer)?;
    if is_over {
        return Ok(());
    }
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

/// What the server answers to what the client says of encryption, and whether the connection ends there (MS-TDS 2.2.6.5).
fn negotiate(server: Encryption, client: u8) -> (u8, bool) {
    let insists = matches!(client, ENCRYPT_ON | ENCRYPT_REQUIRED);
    match server {
        Encryption::Off => (ENCRYPT_NOT_SUPPORTED, insists),
        _ if insists => (ENCRYPT_ON, false),
        Encryption::Required => (ENCRYPT_REQUIRED, client != ENCRYPT_OFF),
        Encryption::Optional if client == ENCRYPT_OFF => (ENCRYPT_OFF, false),
        Encryption::Optional => (ENCRYPT_NOT_SUPPORTED, false),
    }
}

fn answer_prelogin(stream: &mut impl Write, shared: &Shared, encryption: u8) -> io::Result<()> {
    let mut reply = packet::PacketWriter::new(stream, packet::RESPONSE, 4096);
    reply.push(&login::prelogin_answer(shared.instance.version(), encryption))?;
    reply.finish()
}

/// TDS 8.0: everything is inside TLS, PRELOGIN included, which then has nothing to say of encryption (MS-TDS 3.2.5.1, 3.3.5.1).
fn serve_strictly(socket: TcpStream, watch: &TcpStream, shared: &Shared) -> io::Result<()> {
    if shared.encryption == Encryption::Off {
        return Ok(());
    }
    let mut stream = tls::accept_first(shared.tls.clone(), socket)?;
    match packet::read(&mut stream)? {
        Some(message) if message.kind == packet::PRELOGIN => answer_prelogin(&mut stream, shared, ENCRYPT_ON)?,
        _ => return Ok(()),
    }
    let Some(message) = packet::read(&mut stream)? else { return Ok(()) };
    converse(&mut stream, watch, &message, shared, true)
}

/// Keeps the connection and says nothing, until the client gives up.
pub fn hang(socket: &TcpStream) -> io::Result<()> {
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
    let Some(Login { request, packet_size, odbc, strict }) =
        login::login7(&message.data).filter(|_| message.kind == packet::LOGIN7)
    else {
        return Ok(());
    };
    let opened = match shared.faults.on_login(&request.application) {
        Some(Action::LoginError(number)) => {
            let who = faults::Who { user: &request.user, database: &request.database, ..faults::Who::default() };
            Err(faults::error(number, &who))
        }
        Some(Action::Redirect(server, port)) => {
            let mut response = Response::new(stream, watch, 4096, Done::Batch, RowFault::default());
            response.login_ack(shared.instance.version(), strict, &request.database, packet_size);
            response.redirect(&server, port);
            return response.finish(false);
        }
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
            response.login_ack(shared.instance.version(), strict, session.database(), packet_size);
            response.finish(false)?;
            session
        }
        Err(error) => {
            // A database that cannot be opened is no login, either, and both are told.
            let login = faults::Who { user: &request.user, ..faults::Who::default() };
            let refused = faults::error(LOGIN_FAILED, &login);
            let errors: &[_] = if error.number == NO_DATABASE { &[&error, &refused] } else { &[&error] };
            response.errors(errors, None);
            return response.finish(false);
        }
    };
    let own = watch.try_clone()?;
    // A session that cannot be watched runs its statements to their ends.
    let _ = session.set_watch(Arc::new(move || client_speaks(&own)));
    let mut conversation = Conversation::new(session, shared, watch, packet_size);
    while let Some(message) = packet::read(stream)? {
        if !conversation.answer(stream, &message)? {
            break;
        }
    }
    Ok(())
}
