//! From a host's name to a socket.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustix::net::sockopt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

use crate::model::error::{Error, Kind, Side};

/// A silent peer is asked after this time at most whether it is still there, so that no firewall drops the connection as idle …
const LONGEST_IDLE: Duration = Duration::from_secs(30);
/// … and again this far apart at most.
const LONGEST_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// So many times the limit of a stream's silence ends a connection on which nothing that was sent is acknowledged, or taken, because the
/// peer's window is full, and on which probes get no answer (tcp(7), `TCP_USER_TIMEOUT`, which overrides the number of probes). Longer
/// than what watches the stream itself, and than the databases' own pauses.
const UNACKNOWLEDGED_STALLS: u32 = 2;

/// When the next address of a host is tried beside those that have not answered yet: "Connection Attempt Delay", RFC 8305, section 5.
/// A listener of an availability group has an address in each subnet, of which one answers.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("the host's name is not known")]
    Unknown(#[source] io::Error),
    #[error("no answer in {} s", .0.as_secs())]
    Silent(Duration),
    #[error(transparent)]
    Refused(io::Error),
}

impl DialError {
    /// `attempt`: what was tried, in words.
    pub fn into_error(self, side: Side, attempt: &str) -> Error {
        let kind = match self {
            Self::Unknown(_) => Kind::UnknownHost,
            Self::Silent(_) | Self::Refused(_) => Kind::Connection,
        };
        Error::new(side, kind, attempt).with_source(self)
    }
}

/// Connects to the address of `host` that answers first. Each address has `limit` to itself. `stall`: how long a stream may be silent.
///
/// # Errors
///
/// [`DialError`]: of several addresses, the last one's.
pub async fn dial(host: &str, port: u16, limit: Duration, stall: Duration) -> Result<TcpStream, DialError> {
    let addresses = look_up(host, port, limit).await?;
    let stream = first_to_answer(addresses, limit).await.unwrap_or_else(|| Err(no_address()))?;
    prepare(&stream, stall).map_err(DialError::Refused)?;
    Ok(stream)
}

/// The addresses of `host`, at least one, within `limit`.
///
/// # Errors
///
/// [`DialError::Unknown`] and [`DialError::Silent`].
async fn look_up(host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, DialError> {
    let found = timeout(limit, lookup_host((host, port))).await.map_err(|_| DialError::Silent(limit))?;
    let addresses: Vec<_> = found.map_err(DialError::Unknown)?.collect();
    if addresses.is_empty() { Err(no_address()) } else { Ok(addresses) }
}

fn no_address() -> DialError {
    DialError::Unknown(io::Error::new(io::ErrorKind::NotFound, "it has no address"))
}

async fn first_to_answer(
    addresses: impl IntoIterator<Item = SocketAddr>,
    limit: Duration,
) -> Option<Result<TcpStream, DialError>> {
    let mut addresses = addresses.into_iter();
    let connect = |address| connect(address, limit);
    let mut under_way = FuturesUnordered::from_iter([connect(addresses.next()?)]);
    loop {
        tokio::select! {
            result = under_way.next() => match (result?, addresses.next()) {
                (Err(_), Some(address)) => under_way.push(connect(address)),
                (Err(_), None) if !under_way.is_empty() => {}
                (result, _) => return Some(result),
            },
            () = sleep(NEXT_ADDRESS) => under_way.extend(addresses.next().map(connect)),
        }
    }
}

async fn connect(address: SocketAddr, limit: Duration) -> Result<TcpStream, DialError> {
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(result) => result.map_err(DialError::Refused),
        Err(_) => Err(DialError::Silent(limit)),
    }
}

/// No wait for a peer that has gone is without an end.
fn prepare(stream: &TcpStream, stall: Duration) -> io::Result<()> {
    // The system counts whole seconds here.
    let second = Duration::from_secs(1);
    let unacknowledged = (stall * UNACKNOWLEDGED_STALLS).as_millis();
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, (stall / 2).clamp(second, LONGEST_IDLE))?;
    sockopt::set_tcp_keepintvl(stream, (stall / 6).clamp(second, LONGEST_INTERVAL))?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    sockopt::set_tcp_user_timeout(stream, u32::try_from(unacknowledged).unwrap_or(u32::MAX))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    const STALL: Duration = Duration::from_mins(1);

    /// A listener whose queue is full: it answers nobody.
    async fn silent() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            waiting.push(stream);
        }
        (listener, waiting, address)
    }

    #[tokio::test]
    async fn a_silent_address_does_not_hide_one_that_answers() {
        let (_listener, _waiting, silent) = silent().await;
        let answers = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = answers.local_addr().unwrap();
        let limit = Duration::from_mins(1);
        let stream = first_to_answer([silent, there], limit).await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
    }

    #[tokio::test]
    async fn what_keeps_from_connecting_is_told_apart() {
        let (_listener, _waiting, silent) = silent().await;
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let limit = Duration::from_millis(50);
        let silence = first_to_answer([closed, silent], limit).await.unwrap();
        assert!(matches!(silence, Err(DialError::Silent(_))), "{silence:?}");
        assert!(matches!(dial("127.0.0.1", closed.port(), limit, STALL).await, Err(DialError::Refused(_))));
        assert!(matches!(
            dial("no-such-host.invalid", 1, Duration::from_secs(30), STALL).await,
            Err(DialError::Unknown(_))
        ));
    }

    #[tokio::test]
    async fn sockets_notice_a_peer_that_has_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = dial("127.0.0.1", address.port(), Duration::from_secs(9), STALL).await.unwrap();
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), Duration::from_secs(30));
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), 120_000);
        let stream = dial("127.0.0.1", address.port(), STALL, Duration::from_millis(700)).await.unwrap();
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), Duration::from_secs(1));
        assert_eq!(sockopt::tcp_user_timeout(&stream).unwrap(), 1_400);
    }
}
