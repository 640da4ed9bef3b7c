//! Gives a driver that opens its own sockets one of [`super::dial`]'s: it is handed a Unix socket, and what goes in there comes out of the
//! TCP connection.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, copy_buf};
use tokio::net::{TcpListener, TcpStream, UnixListener};

/// As much as the drivers send at once.
const BUFFER: usize = 64 << 10;

/// The way to one TCP connection, open for this process alone. Nobody listens once it is dropped.
pub struct Entrance {
    listener: UnixListener,
    name: String,
    stream: TcpStream,
}

impl Entrance {
    /// `suffix`: what the driver appends to the path that it is given.
    ///
    /// # Errors
    ///
    /// Where the system gives no socket.
    pub fn to(stream: TcpStream, suffix: &str) -> io::Result<Self> {
        // An abstract name, unix(7): it needs no directory that can be written to, and goes with the socket.
        let name = format!("\0stopgap-{}-{:016x}", std::process::id(), rand::random::<u64>());
        let listener = UnixListener::bind(format!("{name}{suffix}"))?;
        Ok(Self { listener, name, stream })
    }

    /// For the driver, without the suffix.
    pub fn path(&self) -> &str {
        &self.name
    }

    /// Waits for the driver. From then on bytes pass in both directions, until either side closes.
    ///
    /// # Errors
    ///
    /// Where the system gives no socket.
    pub async fn pass(self) -> io::Result<()> {
        loop {
            let (driver, _) = self.listener.accept().await?;
            // Any user of the machine can connect to an abstract name.
            if driver.peer_cred()?.pid() == i32::try_from(std::process::id()).ok() {
                let (from_driver, to_driver) = driver.into_split();
                tokio::spawn(relay(from_driver, to_driver, self.stream));
                return Ok(());
            }
        }
    }
}

/// As [`Entrance`], for a driver that behaves differently over Unix sockets: it listens on the loopback address. Whoever connects there in
/// the driver's stead reaches the server as they could without it, and the driver is refused.
pub struct LoopbackEntrance {
    listener: TcpListener,
    stream: TcpStream,
}

impl LoopbackEntrance {
    /// # Errors
    ///
    /// Where the system gives no socket.
    pub async fn to(stream: TcpStream) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, stream })
    }

    /// For the driver.
    ///
    /// # Errors
    ///
    /// Where the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// As [`Entrance::pass`].
    ///
    /// # Errors
    ///
    /// Where the system gives no socket.
    pub async fn pass(self) -> io::Result<()> {
        let (driver, _) = self.listener.accept().await?;
        driver.set_nodelay(true)?;
        let (from_driver, to_driver) = driver.into_split();
        tokio::spawn(relay(from_driver, to_driver, self.stream));
        Ok(())
    }
}

/// When one side closes, so does the other, as if there were one socket: a server is not kept waiting for half of a connection.
async fn relay(from_driver: impl AsyncRead + Unpin, mut to_driver: impl AsyncWrite + Unpin, server: TcpStream) {
    let (from_server, mut to_server) = server.into_split();
    let mut from_driver = BufReader::with_capacity(BUFFER, from_driver);
    let mut from_server = BufReader::with_capacity(BUFFER, from_server);
    let ended = tokio::select! {
        sent = copy_buf(&mut from_driver, &mut to_server) => sent,
        received = copy_buf(&mut from_server, &mut to_driver) => received,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    /// A driver's end and a server's end, with an entrance between them.
    async fn connected() -> (UnixStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let entrance = Entrance::to(stream, "/.s.test").unwrap();
        let driver = UnixStream::connect(format!("{}/.s.test", entrance.path())).await.unwrap();
        entrance.pass().await.unwrap();
        (driver, server)
    }

    #[tokio::test]
    async fn bytes_pass_in_both_directions_to_the_last() {
        let (mut driver, mut server) = connected().await;
        let sent: Vec<u8> = (0..1 << 20).map(|at: u32| at.to_le_bytes()[at as usize % 4]).collect();
        let expected = sent.clone();
        tokio::spawn(async move { driver.write_all(&sent).await });
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.unwrap();
        assert!(received == expected);

        let (mut driver, mut server) = connected().await;
        server.write_all(b"FATAL: going away").await.unwrap();
        drop(server);
        let mut last = String::new();
        driver.read_to_string(&mut last).await.unwrap();
        assert_eq!(last, "FATAL: going away");
    }

    #[tokio::test]
    async fn over_the_loopback_address_one_alone_passes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let entrance = LoopbackEntrance::to(stream).await.unwrap();
        let address = entrance.address().unwrap();
        let mut driver = TcpStream::connect(address).await.unwrap();
        entrance.pass().await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
        driver.write_all(b"hello").await.unwrap();
        let mut received = [0; 5];
        server.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"hello");
        drop(server);
        assert_eq!(driver.read(&mut received).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn nobody_can_follow() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let entrance = Entrance::to(stream, "").unwrap();
        let path = entrance.path().to_owned();
        let _driver = UnixStream::connect(&path).await.unwrap();
        entrance.pass().await.unwrap();
        assert!(UnixStream::connect(&path).await.is_err());
    }
}
