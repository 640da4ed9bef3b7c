//! TLS inside TDS (MS-TDS 2.1 and 3.2.5.1): the handshake travels in PRELOGIN packets, what follows is raw. And TDS inside TLS, which is 8.0.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::packet::PRELOGIN;

const HEADER: usize = 8;
/// What clients that begin with TLS say they will speak (MS-TDS 2.1).
const STRICT_PROTOCOL: &[u8] = b"tds/8.0";
/// The first byte of a TLS handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 0x16;
/// The largest handshake packet; all clients take it.
const LARGEST: usize = 4096;

fn config(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> anyhow::Result<Arc<ServerConfig>> {
    // TDS 7.4 ends at TLS 1.2; a session ticket of TLS 1.3 would arrive after the handshake, where it means nothing.
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![STRICT_PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

/// A certificate chain and its key from PEM files.
pub fn from_files(certificate: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let name = certificate.display();
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).with_context(|| format!("{name} cannot be read"))?.collect();
    let chain = chain.with_context(|| format!("{name} is not PEM"))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("{} cannot be read", key.display()))?;
    config(chain, key)
}

/// A certificate for `localhost` that nobody has reason to trust.
pub fn self_signed() -> anyhow::Result<Arc<ServerConfig>> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    config(vec![made.cert.der().clone()], key)
}

/// A socket that wraps what is written in PRELOGIN packets, and unwraps what is read, until the handshake is over. What is written between
/// two flushes is one message, however many records it has: Microsoft's ODBC driver reads one and expects its whole answer there.
#[derive(Debug)]
pub struct Handshake {
    pub socket: TcpStream,
    wrapping: bool,
    /// Written and not flushed.
    pending: Vec<u8>,
    /// Payload left in the packet being read.
    left: usize,
}

impl Read for Handshake {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.wrapping {
            return self.socket.read(into);
        }
        if self.left == 0 {
            let mut header = [0; HEADER];
            self.socket.read_exact(&mut header)?;
            self.left = usize::from(u16::from_be_bytes([header[2], header[3]])).saturating_sub(HEADER);
        }
        let most = self.left.min(into.len());
        let read = self.socket.read(&mut into[..most])?;
        self.left -= read;
        Ok(read)
    }
}

impl Write for Handshake {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.wrapping {
            return self.socket.write(bytes);
        }
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let mut parts = pending.chunks(LARGEST - HEADER).peekable();
        let mut number = 0_u8;
        while let Some(part) = parts.next() {
            number = number.wrapping_add(1);
            let is_last = u8::from(parts.peek().is_none());
            let mut packet = vec![PRELOGIN, is_last];
            packet.extend_from_slice(&((part.len() + HEADER) as u16).to_be_bytes());
            packet.extend_from_slice(&[0, 0, number, 0]);
            packet.extend_from_slice(part);
            self.socket.write_all(&packet)?;
        }
        self.socket.flush()
    }
}

pub type TlsStream = StreamOwned<ServerConnection, Handshake>;

/// Whether the client begins with TLS instead of PRELOGIN.
pub fn comes_first(socket: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    Ok(socket.peek(&mut first)? == 1 && first[0] == HANDSHAKE)
}

/// Performs the handshake on a socket whose PRELOGIN was answered.
pub fn accept(config: Arc<ServerConfig>, socket: TcpStream) -> io::Result<TlsStream> {
    handshake(config, socket, true)
}

/// Performs the handshake on a socket that begins with it.
pub fn accept_first(config: Arc<ServerConfig>, socket: TcpStream) -> io::Result<TlsStream> {
    handshake(config, socket, false)
}

fn handshake(config: Arc<ServerConfig>, socket: TcpStream, wrapping: bool) -> io::Result<TlsStream> {
    let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut wrapped = Handshake { socket, wrapping, pending: Vec::new(), left: 0 };
    while connection.is_handshaking() {
        connection.complete_io(&mut wrapped)?;
    }
    wrapped.flush()?;
    wrapped.wrapping = false;
    Ok(StreamOwned::new(connection, wrapped))
}
