//! A wire between the job and a server that can be cut: connections end as in a failover, new ones are made at once.

use anyhow::{Context, Result};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Forwards connections until dropped.
#[derive(Debug)]
pub struct Wire {
    pub port: u16,
    connections: Arc<Mutex<JoinSet<()>>>,
    task: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    /// Listens, and forwards to a port of this machine.
    pub async fn start(server: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
        let port = listener.local_addr()?.port();
        let connections = Arc::new(Mutex::new(JoinSet::new()));
        let shared = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.lock().unwrap_or_else(PoisonError::into_inner).spawn(forward(client, server));
            }
        });
        Ok(Self { port, connections, task })
    }

    /// Cuts every connection that there is, and says how many.
    pub fn cut(&self) -> usize {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        while connections.try_join_next().is_some() {}
        let cut = connections.len();
        connections.abort_all();
        cut
    }
}

async fn forward(mut client: TcpStream, server: u16) {
    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await {
        // A broken connection is what some tests are about.
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
