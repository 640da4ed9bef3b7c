//! Servers whose TLS is too old: what is said of them, and what to do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails here, with its reason")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;

const COULD_NOT_CONNECT: i32 = 4;

/// What a server answers to the client's first TLS message.
#[derive(Debug, Clone, Copy)]
enum Answer {
    /// A fatal alert of this number (RFC 5246, 7.2).
    Alert(u8),
    /// A ServerHello of this version, as TLS 1.0 and 1.1 servers send that do not know alerts for it.
    Hello(u8),
    /// Nothing: the connection is closed, as Schannel does.
    Close,
    /// Nothing: the connection is reset.
    Reset,
}

const PROTOCOL_VERSION: u8 = 70;
const HANDSHAKE_FAILURE: u8 = 40;
const INSUFFICIENT_SECURITY: u8 = 71;

impl Answer {
    /// TLS records (RFC 5246, 6.2.1 and 7.4.1.3).
    fn records(self) -> Vec<u8> {
        match self {
            Answer::Alert(number) => vec![0x15, 3, 1, 0, 2, 2, number],
            Answer::Hello(minor) => {
                // Version, 32 bytes of random, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
                let mut hello = vec![3, minor];
                hello.extend([7; 32]);
                hello.extend([0, 0, 0x2F, 0]);
                let mut message = vec![2, 0, 0, hello.len() as u8];
                message.extend(hello);
                let mut record = vec![0x16, 3, minor, 0, message.len() as u8];
                record.extend(message);
                record
            }
            Answer::Close | Answer::Reset => Vec::new(),
        }
    }
}

/// Reads one TDS packet, header and all (MS-TDS 2.2.3.1).
fn packet(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let mut header = [0; 8];
    socket.read_exact(&mut header).ok()?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])).checked_sub(8)?];
    socket.read_exact(&mut body).ok()?;
    Some(body)
}

/// In a TDS packet of a server's response or of PRELOGIN.
fn wrapped(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind, 1];
    packet.extend(((body.len() + 8) as u16).to_be_bytes());
    packet.extend([0, 0, 1, 0]);
    packet.extend(body);
    packet
}

/// PRELOGIN with version 11.0 and encryption required (MS-TDS 2.2.6.5).
const PRELOGIN: [u8; 18] = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF, 11, 0, 0x0B, 0xB8, 0, 0, 3];

/// A SQL Server up to its first TLS message.
fn sql_server(mut socket: TcpStream, answer: Answer) {
    if packet(&mut socket).is_none() {
        return;
    }
    socket.write_all(&wrapped(4, &PRELOGIN)).unwrap();
    let Some(hello) = packet(&mut socket) else { return };
    assert_eq!(hello[0], 0x16, "no TLS handshake came");
    match answer {
        Answer::Close => {}
        // Data that was not read makes the kernel reset the connection: the next byte that comes finds nobody.
        Answer::Reset => drop(socket.shutdown(std::net::Shutdown::Read)),
        other => {
            socket.write_all(&wrapped(0x12, &other.records())).unwrap();
            // Until the client has read it and goes.
            let _ = socket.read(&mut [0; 64]);
        }
    }
}

/// A PostgreSQL up to its first TLS message ("SSL Session Encryption").
fn postgres(mut socket: TcpStream, answer: Answer) {
    let mut request = [0; 8];
    if socket.read_exact(&mut request).is_err() {
        return;
    }
    socket.write_all(b"S").unwrap();
    let _ = socket.read(&mut [0; 4096]);
    if socket.write_all(&answer.records()).is_ok() && !answer.records().is_empty() {
        let _ = socket.read(&mut [0; 64]);
    }
}

/// A MySQL up to its first TLS message: its greeting (protocol 10), then the client's request for TLS ("Connection Phase").
fn mysql(mut socket: TcpStream, answer: Answer) {
    let mut greeting = vec![10];
    greeting.extend(b"8.0.30\0");
    greeting.extend([1, 0, 0, 0]);
    greeting.extend(b"abcdefgh\0");
    // Capabilities: protocol 4.1, TLS, secure connection, plugin authentication.
    greeting.extend([0x00, 0x8A, 0xFF, 2, 0, 0x08, 0x00, 21]);
    greeting.extend([0; 10]);
    greeting.extend(b"ijklmnopqrst\0caching_sha2_password\0");
    let mut first = vec![greeting.len() as u8, 0, 0, 0];
    first.extend(greeting);
    if socket.write_all(&first).is_err() {
        return;
    }
    let mut header = [0; 4];
    if socket.read_exact(&mut header).is_err() {
        return;
    }
    let mut request = vec![0; usize::from(header[0])];
    let _ = socket.read_exact(&mut request);
    let _ = socket.read(&mut [0; 4096]);
    if socket.write_all(&answer.records()).is_ok() && !answer.records().is_empty() {
        let _ = socket.read(&mut [0; 64]);
    }
}

/// A server as far as its first TLS message.
type Serve = fn(TcpStream, Answer);

/// Takes connections for as long as the test lasts.
fn listen(serve: Serve, answer: Answer) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            serve(socket, answer);
        }
    });
    port
}

/// A port at which nobody answers before the other side has.
fn silent() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().collect::<Vec<_>>());
    port
}

/// What `check` says, on one line.
fn check(name: &str, engine: &str, source: u16, target: u16) -> (i32, String) {
    let folder: PathBuf = std::env::temp_dir().join(format!("sync-job-tls-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("job.toml");
    let text = format!(
        "[job]\nname = \"tls\"\noutage = \"1ms\"\n[source]\nhost = \"127.0.0.1\"\nport = {source}\ndatabase = \"d\"\nuser = \"u\"\npassword_env = \"PW\"\n\
         connect_timeout = \"5s\"\n[target]\nengine = \"{engine}\"\nhost = \"127.0.0.1\"\nport = {target}\ndatabase = \"d\"\nuser = \"u\"\n\
         password_env = \"PW\"\nconnect_timeout = \"5s\"\n[tables]\ninclude = [\"dbo.*\"]\n"
    );
    std::fs::write(&file, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sync-job"))
        .args(["check", "--config", file.to_str().unwrap()])
        .env_clear()
        .env("PW", "hunter2")
        .output()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

const VERSION: [Answer; 3] = [Answer::Alert(PROTOCOL_VERSION), Answer::Hello(1), Answer::Hello(2)];
const SUITES: [Answer; 2] = [Answer::Alert(HANDSHAKE_FAILURE), Answer::Alert(INSUFFICIENT_SECURITY)];

fn expect((status, said): (i32, String), answer: Answer, words: &[&str]) {
    assert_eq!(status, COULD_NOT_CONNECT, "{answer:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{answer:?}: {word:?} is not in {said}");
    }
    assert!(!said.contains("ca_file"), "{answer:?}: nothing is wrong with a certificate: {said}");
}

#[test]
fn a_sql_server_with_old_tls_is_told_from_a_bad_certificate() {
    for answer in VERSION {
        let said = check("source-version", "postgres", listen(sql_server, answer), silent());
        expect(said, answer, &["neither TLS 1.2 nor TLS 1.3", "KB3135244", "source.tls = \"disable\""]);
    }
    for answer in SUITES {
        let said = check("source-suites", "postgres", listen(sql_server, answer), silent());
        expect(said, answer, &["no TLS cipher suite that this program takes", "Windows Server 2012 R2"]);
    }
    for answer in [Answer::Close, Answer::Reset] {
        let said = check("source-closed", "postgres", listen(sql_server, answer), silent());
        expect(said, answer, &["closed the connection when TLS began", "Windows Server 2012 R2"]);
    }
}

#[test]
fn a_target_with_old_tls_is_told_from_a_bad_certificate() {
    let servers: [(&str, Serve); 2] = [("postgres", postgres), ("mysql", mysql)];
    for (engine, serve) in servers {
        for answer in VERSION {
            let said = check(&format!("{engine}-version"), engine, silent(), listen(serve, answer));
            expect(said, answer, &["neither TLS 1.2 nor TLS 1.3", "Let the server speak TLS 1.2 or later"]);
        }
        for answer in SUITES {
            let said = check(&format!("{engine}-suites"), engine, silent(), listen(serve, answer));
            expect(said, answer, &["no TLS cipher suite that this program takes", "ECDHE-RSA-AES128-GCM-SHA256"]);
        }
    }
}
