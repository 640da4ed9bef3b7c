//! Takes connections, one thread each.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueEnum;
use tsql_engine::Instance;

use crate::answers::Rules;
use crate::connection::{self, Shared};
use crate::faults::Faults;

/// Whether sessions are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Encryption {
    Required,
    Optional,
    Off,
}

/// A listening server.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Server {
    /// Listens on the loopback address; port 0 takes a free one.
    pub fn bind(
        port: u16,
        instance: Arc<Instance>,
        tls: Arc<rustls::ServerConfig>,
        encryption: Encryption,
    ) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("port {port} is not free"))?;
        Ok(Self {
            listener,
            shared: Arc::new(Shared {
                instance,
                tls,
                encryption,
                faults: Faults::default(),
                answers: Rules::default(),
            }),
        })
    }

    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves until the process ends.
    pub fn run(self) -> anyhow::Result<()> {
        for socket in self.listener.incoming() {
            let socket = socket?;
            let shared = self.shared.clone();
            std::thread::spawn(move || {
                // A client that leaves in the middle is no news.
                let _ = connection::serve(socket, &shared);
            });
        }
        Ok(())
    }
}
