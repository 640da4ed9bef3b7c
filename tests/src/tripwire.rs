//! A wire between the job and a server that tells when a certain text passes, whatever the protocol: then the test takes the server away,
//! or has every packet dropped.

use anyhow::{Context, Result, ensure};
use socket2::{SockFilter, SockRef};
use std::{
    net::TcpStream as Silent,
    os::fd::AsFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

/// The one instruction of a filter that lets nothing in: BPF_RET | BPF_K, no byte of the packet ("Linux Socket Filtering", kernel.org).
/// What comes for the socket is dropped before TCP sees it: no acknowledgement, no reset.
const DROP: SockFilter = SockFilter::new(0x06, 0, 0, 0);

/// Longer than a job takes to get anywhere.
const LIMIT: Duration = Duration::from_mins(1);

/// Longer than it takes to kill a server.
const HELD: Duration = Duration::from_millis(500);

/// What is waited for.
#[derive(Debug)]
struct Wanted {
    text: Vec<u8>,
    held: Held,
}

/// What is held back when the text has come, and for how long.
#[derive(Debug, Clone, Copy)]
enum Held {
    Nothing,
    Text(Duration),
    Answer(Duration),
}

/// How a text lies on the wire.
#[derive(Debug, Clone, Copy)]
pub enum Encoding {
    Utf8,
    /// As in TDS.
    Utf16,
}

/// Forwards connections until dropped.
#[derive(Debug)]
pub struct Tripwire {
    pub port: u16,
    server: Arc<AtomicU16>,
    wanted: Arc<Mutex<Option<Wanted>>>,
    tripped: watch::Sender<bool>,
    /// Second handles on the sockets to the job, which keep them open when nothing is forwarded any more.
    clients: Arc<Mutex<Vec<Silent>>>,
    listener: Silent,
    /// Raised to end what is forwarded.
    cut: watch::Sender<u32>,
    task: JoinHandle<()>,
}

impl Drop for Tripwire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tripwire {
    /// Listens, and forwards to a port of this machine. Where nobody listens there, connections end at once.
    pub async fn start(server: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
        let port = listener.local_addr()?.port();
        let server = Arc::new(AtomicU16::new(server));
        let wanted = Arc::new(Mutex::new(None));
        let tripped = watch::Sender::new(false);
        let clients = Arc::new(Mutex::new(Vec::new()));
        let cut = watch::Sender::new(0);
        let handle = second(&listener)?;
        let shared = (Arc::clone(&server), Arc::clone(&wanted), tripped.clone());
        let (kept, cuts) = (Arc::clone(&clients), cut.clone());
        let task = tokio::spawn(async move {
            // Dropped with this task, and with it all connections.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (server, wanted, tripped) = shared.clone();
                let place = second(&client).map(|handle| keep(&kept, handle));
                let (kept, mut cut) = (Arc::clone(&kept), cuts.subscribe());
                cut.mark_unchanged();
                connections.spawn(async move {
                    let forwarded = forward(client, server.load(Ordering::SeqCst), &wanted, &tripped);
                    // A broken connection is what the tests are about.
                    let is_cut = tokio::select! {
                        _ = forwarded => false,
                        _ = cut.changed() => true,
                    };
                    if let (Ok(port), false) = (place, is_cut) {
                        // The job sees that the connection has ended.
                        lock(&kept).retain(|kept| kept.peer_addr().is_ok_and(|peer| peer.port() != port));
                    }
                });
            }
        });
        Ok(Self { port, server, wanted, tripped, clients, listener: handle, cut, task })
    }

    /// Waits for a text that the job sends.
    pub fn arm(&self, text: &str, encoding: Encoding) {
        self.wait_for(text, encoding, Held::Nothing);
    }

    /// As [`Tripwire::arm`], and holds the text back for a moment, so that the server can be taken away before it has done anything.
    pub fn arm_before(&self, text: &str, encoding: Encoding) {
        self.delay(text, encoding, HELD);
    }

    /// As [`Tripwire::arm_before`]; the text goes on after `pause`.
    pub fn delay(&self, text: &str, encoding: Encoding, pause: Duration) {
        self.wait_for(text, encoding, Held::Text(pause));
    }

    /// As [`Tripwire::arm`], and holds the server's answer back for a moment, so that it can be lost although the server has done what it
    /// was told.
    pub fn arm_after(&self, text: &str, encoding: Encoding) {
        self.wait_for(text, encoding, Held::Answer(HELD));
    }

    fn wait_for(&self, text: &str, encoding: Encoding, held: Held) {
        let text = match encoding {
            Encoding::Utf8 => text.as_bytes().to_vec(),
            Encoding::Utf16 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        };
        self.tripped.send_replace(false);
        *lock(&self.wanted) = Some(Wanted { text, held });
    }

    /// Returns when the text has passed.
    pub async fn tripped(&self) -> Result<()> {
        let mut tripped = self.tripped.subscribe();
        let passed = tokio::time::timeout(LIMIT, tripped.wait_for(|tripped| *tripped)).await;
        ensure!(passed.is_ok(), "the text did not pass");
        Ok(())
    }

    /// From now on every packet is dropped that the job sends here: over its connections, whose sockets stay open, and to open new ones. The
    /// server sees its connections end, as it would after its own keep-alive.
    pub fn drop_packets(&self) -> Result<()> {
        SockRef::from(&self.listener).attach_filter(&[DROP])?;
        for client in lock(&self.clients).iter() {
            SockRef::from(client).attach_filter(&[DROP])?;
        }
        self.cut.send_modify(|cuts| *cuts += 1);
        Ok(())
    }

    /// New connections pass again; the old ones stay as silent as those to a machine that was replaced.
    pub fn let_pass(&self) -> Result<()> {
        Ok(SockRef::from(&self.listener).detach_filter()?)
    }

    /// Leads new connections to the server at this port.
    pub fn lead_to(&self, server: u16) {
        self.server.store(server, Ordering::SeqCst);
    }
}

/// Another handle on a socket: it is closed when both are.
fn second(socket: &impl AsFd) -> Result<Silent> {
    Ok(socket.as_fd().try_clone_to_owned().context("a second handle on a socket")?.into())
}

/// Its port, by which it is found again.
fn keep(kept: &Mutex<Vec<Silent>>, handle: Silent) -> u16 {
    let port = handle.peer_addr().map_or(0, |peer| peer.port());
    lock(kept).push(handle);
    port
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn forward(
    mut client: TcpStream,
    server: u16,
    wanted: &Mutex<Option<Wanted>>,
    tripped: &watch::Sender<bool>,
) -> Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    // Owned halves would end the connection when they are dropped, whatever other handle there is.
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.into_split();
    let silence = Mutex::new(None);
    let forth = async {
        let mut seen = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = from_client.read(&mut buffer).await?;
            if count == 0 {
                return Ok::<(), anyhow::Error>(());
            }
            seen.extend_from_slice(&buffer[..count]);
            match look(&mut seen, wanted, tripped) {
                Held::Nothing => {}
                Held::Text(pause) => sleep(pause).await,
                Held::Answer(pause) => *lock(&silence) = Some(Instant::now() + pause),
            }
            to_server.write_all(&buffer[..count]).await?;
        }
    };
    let back = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = from_server.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            let silence = lock(&silence).take();
            if let Some(end) = silence {
                sleep_until(end).await;
            }
            to_client.write_all(&buffer[..count]).await?;
        }
    };
    tokio::select! {
        result = forth => result,
        result = back => result,
    }
}

/// Keeps of what was seen only what may be a beginning. Answers what is held back if the text has come.
fn look(seen: &mut Vec<u8>, wanted: &Mutex<Option<Wanted>>, tripped: &watch::Sender<bool>) -> Held {
    let mut wanted = lock(wanted);
    let Some(Wanted { text, held }) = &*wanted else {
        seen.clear();
        return Held::Nothing;
    };
    if !seen.windows(text.len()).any(|part| part == text) {
        seen.drain(..seen.len().saturating_sub(text.len() - 1));
        return Held::Nothing;
    }
    let held = *held;
    *wanted = None;
    tripped.send_replace(true);
    seen.clear();
    held
}
