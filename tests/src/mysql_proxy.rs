//! A wire between the job and a MySQL server that watches the statements, and cuts, fails or kills at one of them.
//!
//! Format of the packets: MySQL Internals, "MySQL Packets", "COM_QUERY" and "ERR_Packet"; only connections without TLS can be watched.

use anyhow::{Context, Result};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Command byte of a text statement.
const COM_QUERY: u8 = 3;

/// When the proxy acts, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The server never sees the statement.
    Before,
    /// The server carries it out; nobody hears of it.
    After,
    /// As `After`, and the connection breaks; other connections go on.
    ReplyLost,
    /// As `Before`, and the connection breaks; other connections go on.
    Broken,
    /// The server never sees the statement; this error, its SQLSTATE and its message are the answer.
    Fails(u16, &'static str, &'static str),
}

/// What becomes of a statement.
enum Fate {
    Passes,
    Stays,
    PassesLast,
    Breaks,
    Fails(Vec<u8>),
}

/// What the proxy has seen and what it waits for.
#[derive(Debug, Default)]
struct State {
    statements: Vec<String>,
    /// The first among the watched statements, counted from 0, and the moment.
    stop_at: Option<(usize, Moment)>,
    /// At how many of them.
    times: usize,
    stopped: bool,
}

/// Forwards connections until dropped.
#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Listens, and watches statements that `watched` picks.
    pub async fn start(server: u16, watched: fn(&str) -> bool, stop_at: Option<(usize, Moment)>) -> Result<Self> {
        Self::repeated(server, watched, stop_at, 1).await
    }

    /// As [`Proxy::start`], at so many of the statements, one after the other.
    pub async fn repeated(
        server: u16,
        watched: fn(&str) -> bool,
        stop_at: Option<(usize, Moment)>,
        times: usize,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(Mutex::new(State { stop_at, times, ..State::default() }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            // Dropped with this task, and with it all connections.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                connections.spawn(async move {
                    // A broken connection is what some tests are about.
                    let _ = forward(client, server, watched, &state).await;
                });
            }
        });
        Ok(Self { port, state, task })
    }

    /// The watched statements so far.
    pub fn statements(&self) -> Vec<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).statements.clone()
    }

    /// Whether the moment has come; from then on nothing passes any more.
    pub fn has_stopped(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stopped
    }
}

async fn forward(client: TcpStream, server: u16, watched: fn(&str) -> bool, state: &Mutex<State>) -> Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let to_client = tokio::sync::Mutex::new(to_client);
    let back = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = from_server.read(&mut buffer).await?;
            if count == 0 {
                return Ok::<(), anyhow::Error>(());
            }
            if state.lock().unwrap_or_else(PoisonError::into_inner).stopped {
                std::future::pending::<()>().await;
            }
            to_client.lock().await.write_all(&buffer[..count]).await?;
        }
    };
    let forth = async {
        loop {
            let mut header = [0; 4];
            from_client.read_exact(&mut header).await?;
            let length = usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
            let mut packet = vec![0; length];
            from_client.read_exact(&mut packet).await?;
            let fate = match packet.split_first() {
                Some((&COM_QUERY, sql)) if header[3] == 0 => decide(&String::from_utf8_lossy(sql), watched, state),
                _ if state.lock().unwrap_or_else(PoisonError::into_inner).stopped => Fate::Stays,
                _ => Fate::Passes,
            };
            match &fate {
                Fate::Stays => std::future::pending::<()>().await,
                Fate::Breaks => return Ok(()),
                Fate::Fails(answer) => {
                    to_client.lock().await.write_all(answer).await?;
                    continue;
                }
                Fate::Passes | Fate::PassesLast => {}
            }
            to_server.write_all(&header).await?;
            to_server.write_all(&packet).await?;
            if matches!(fate, Fate::PassesLast) {
                return Ok(());
            }
        }
    };
    tokio::select! {
        result = back => result,
        result = forth => result,
    }
}

/// Notes the statement and decides on it.
fn decide(sql: &str, watched: fn(&str) -> bool, state: &Mutex<State>) -> Fate {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    if state.stopped {
        return Fate::Stays;
    }
    if !watched(sql) {
        return Fate::Passes;
    }
    state.statements.push(sql.to_owned());
    match state.stop_at {
        Some((first, moment)) if (first..first + state.times).contains(&(state.statements.len() - 1)) => {
            state.stopped = matches!(moment, Moment::Before | Moment::After);
            match moment {
                Moment::Before => Fate::Stays,
                Moment::After => Fate::Passes,
                Moment::ReplyLost => Fate::PassesLast,
                Moment::Broken => Fate::Breaks,
                Moment::Fails(number, sqlstate, message) => Fate::Fails(error_packet(number, sqlstate, message)),
            }
        }
        _ => Fate::Passes,
    }
}

/// The answer to a statement, which was packet 0.
fn error_packet(number: u16, sqlstate: &str, message: &str) -> Vec<u8> {
    let mut payload = vec![0xFF];
    payload.extend_from_slice(&number.to_le_bytes());
    payload.push(b'#');
    payload.extend_from_slice(sqlstate.as_bytes());
    payload.extend_from_slice(message.as_bytes());
    let length = (payload.len() as u32).to_le_bytes();
    [&[length[0], length[1], length[2], 1], payload.as_slice()].concat()
}
