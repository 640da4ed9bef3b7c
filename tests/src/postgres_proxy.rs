//! A wire between the job and a PostgreSQL server that watches the statements, and loses the reply to one of them.
//!
//! Format of the messages: PostgreSQL documentation, 55.7 "Message Formats"; only connections without TLS can be watched.

use anyhow::{Context, Result};
use std::sync::{
    Arc,
    atomic::{AtomicU16, AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Type byte of a simple query.
const QUERY: u8 = b'Q';

/// Which statements count, and which of them, counted from 0, the server carries out without anybody hearing of it: its
/// connection breaks.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    pub watched: fn(&str) -> bool,
    pub number: usize,
    /// The error that comes instead of the reply, as from a server that shuts down; nothing for a mere silence.
    pub instead: Option<&'static str>,
}

/// Forwards connections until dropped.
#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    server: Arc<AtomicU16>,
    seen: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub async fn start(server: u16, loss: Loss) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(AtomicUsize::new(0));
        let server = Arc::new(AtomicU16::new(server));
        let (shared, led_to) = (Arc::clone(&seen), Arc::clone(&server));
        let task = tokio::spawn(async move {
            // Dropped with this task, and with it all connections.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let seen = Arc::clone(&shared);
                let server = led_to.load(Ordering::SeqCst);
                connections.spawn(async move {
                    // A broken connection is what the tests are about.
                    let _ = forward(client, server, loss, &seen).await;
                });
            }
        });
        Ok(Self { port, server, seen, task })
    }

    /// Leads new connections to the server at this port; those that are there stay.
    pub fn lead_to(&self, server: u16) {
        self.server.store(server, Ordering::SeqCst);
    }

    /// How many of the watched statements there were so far.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

async fn forward(client: TcpStream, server: u16, loss: Loss, seen: &AtomicUsize) -> Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let forth = async {
        // The first message alone has no type.
        let mut has_type = false;
        loop {
            let kind = if has_type { Some(from_client.read_u8().await?) } else { None };
            has_type = true;
            let length = from_client.read_u32().await?;
            let mut body = vec![0; (length as usize).saturating_sub(4)];
            from_client.read_exact(&mut body).await?;
            let statement = String::from_utf8_lossy(&body);
            let watched = kind == Some(QUERY) && (loss.watched)(statement.trim_end_matches('\0'));
            let is_lost = watched && seen.fetch_add(1, Ordering::SeqCst) == loss.number;
            if let Some(kind) = kind {
                to_server.write_u8(kind).await?;
            }
            to_server.write_u32(length).await?;
            to_server.write_all(&body).await?;
            if is_lost {
                return Ok::<(), anyhow::Error>(());
            }
        }
    };
    let back = async { Ok(tokio::io::copy(&mut from_server, &mut to_client).await.map(drop)?) };
    let finished = async {
        tokio::select! {
            result = back => result,
            result = forth => result,
        }
    };
    finished.await?;
    // The reply comes when the statement is carried out; nobody hears of it.
    from_server.read_u8().await.context("the reply that is lost")?;
    if let Some(sqlstate) = loss.instead {
        to_client.write_all(&error_response(sqlstate)?).await?;
    }
    Ok(())
}

fn error_response(sqlstate: &str) -> Result<Vec<u8>> {
    let fields = format!("SFATAL\0VFATAL\0C{sqlstate}\0Mterminating connection\0\0");
    let mut message = vec![b'E'];
    message.extend(u32::try_from(fields.len() + 4)?.to_be_bytes());
    message.extend(fields.as_bytes());
    Ok(message)
}
