//! The socket below the driver, which remembers how far the conversation came: the driver's error does not tell.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Whose turn it was last: odd numbers are the client's. 1 is its PRELOGIN, 2 the server's answer, and where the session is
/// encrypted 3 is the client's first TLS message (MS-TDS 3.2.5.1).
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<AtomicU8>);

const TLS_HELLO: u8 = 3;

impl Turns {
    /// Counts at most to the turn after the TLS hello.
    fn take(&self, clients: bool) {
        let now = self.0.load(Ordering::Relaxed);
        if (now % 2 == 1) != clients && now <= TLS_HELLO {
            self.0.store(now + 1, Ordering::Relaxed);
        }
    }

    /// The server said nothing to the client's first TLS message.
    pub fn ended_at_tls_hello(&self) -> bool {
        self.0.load(Ordering::Relaxed) == TLS_HELLO
    }
}

/// A socket whose turns are counted.
#[derive(Debug)]
pub struct Watched {
    socket: TcpStream,
    turns: Turns,
}

impl Watched {
    pub fn new(socket: TcpStream, turns: Turns) -> Self {
        Self { socket, turns }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, into);
        if into.filled().len() > before {
            self.turns.take(false);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.turns.take(true);
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_after_the_tls_hello_is_told_from_other_silence() {
        let ended = |turns: &[bool]| {
            let all = Turns::default();
            for clients in turns {
                all.take(*clients);
            }
            all.ended_at_tls_hello()
        };
        assert!(ended(&[true, true, false, true, true]));
        assert!(!ended(&[true]) && !ended(&[true, false]));
        assert!(!ended(&[true, false, true, false]) && !ended(&[true, false, true, false, true, false, true]));
    }
}
