//! A wire between the job and a server that can be cut: connections end as in a failover, new ones are made at once. It can also
//! hold back what the server sends.

use anyhow::{Context, Result};
use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// Forwards connections until dropped.
#[derive(Debug)]
pub struct Wire {
    pub port: u16,
    connections: Arc<Mutex<JoinSet<()>>>,
    gate: Arc<Gate>,
    task: JoinHandle<()>,
}

/// What all servers' bytes together pass.
#[derive(Debug)]
struct Gate {
    /// It shuts after so many.
    shuts_after: u64,
    passed: AtomicU64,
    released: watch::Sender<bool>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    /// Listens, and forwards to a port of this machine.
    pub async fn start(server: u16) -> Result<Self> {
        Self::holding(server, u64::MAX).await
    }

    /// As [`Wire::start`]; after so many bytes of the server's it holds back what follows, until it is released.
    pub async fn holding(server: u16, shuts_after: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
        let port = listener.local_addr()?.port();
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let gate = Arc::new(Gate { shuts_after, passed: AtomicU64::new(0), released: watch::Sender::new(false) });
        let shared = (Arc::clone(&connections), Arc::clone(&gate));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (connections, gate) = &shared;
                let forward = forward(client, server, Arc::clone(gate));
                connections.lock().unwrap_or_else(PoisonError::into_inner).spawn(forward);
            }
        });
        Ok(Self { port, connections, gate, task })
    }

    /// Cuts every connection that there is, and says how many.
    pub fn cut(&self) -> usize {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        while connections.try_join_next().is_some() {}
        let cut = connections.len();
        connections.abort_all();
        cut
    }

    /// Whether it holds something back.
    pub fn holds(&self) -> bool {
        self.gate.is_shut() && !*self.gate.released.borrow()
    }

    /// Lets everything pass from now on.
    pub fn release(&self) {
        self.gate.released.send_replace(true);
    }
}

impl Gate {
    fn is_shut(&self) -> bool {
        self.passed.load(Ordering::Relaxed) > self.shuts_after
    }

    async fn copy(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 {
                return to.shutdown().await;
            }
            self.passed.fetch_add(count as u64, Ordering::Relaxed);
            if self.is_shut() {
                // It ends with the gate, which this holds.
                let _ = self.released.subscribe().wait_for(|released| *released).await;
            }
            to.write_all(&buffer[..count]).await?;
        }
    }
}

async fn forward(client: TcpStream, server: u16, gate: Arc<Gate>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let forth = async {
        copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    };
    // A broken connection is what some tests are about.
    let _ = tokio::try_join!(forth, gate.copy(from_server, to_client));
}
