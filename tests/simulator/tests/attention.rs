//! A client that cancels: the stream stays whole to its last byte, and the session goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panic")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use mssql_simulator::server::{Encryption, Server};
use mssql_simulator::tls;
use tsql_engine::Instance;

const ATTENTION: u8 = 6;
const LOGIN7: u8 = 16;
const PRELOGIN: u8 = 18;

struct Client(TcpStream);

impl Client {
    fn send(&mut self, kind: u8, data: &[u8]) {
        let length = (data.len() + 8) as u16;
        let mut packet = vec![kind, 1];
        packet.extend_from_slice(&length.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 1, 0]);
        packet.extend_from_slice(data);
        self.0.write_all(&packet).unwrap();
    }

    /// One packet's data, and whether it ends the message.
    fn packet(&mut self) -> (Vec<u8>, bool) {
        let mut header = [0; 8];
        self.0.read_exact(&mut header).unwrap();
        let mut data = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - 8];
        self.0.read_exact(&mut data).unwrap();
        (data, header[1] & 1 != 0)
    }

    fn message(&mut self) -> Vec<u8> {
        let mut message = Vec::new();
        loop {
            let (data, last) = self.packet();
            message.extend_from_slice(&data);
            if last {
                return message;
            }
        }
    }

    fn batch(&mut self, sql: &str) {
        let mut data = 4_u32.to_le_bytes().to_vec();
        data.extend(utf16(sql));
        self.send(1, &data);
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// LOGIN7 (MS-TDS 2.2.6.4) with a user, a password and a database, packets of 4096 bytes.
fn login(user: &str, password: &str, database: &str) -> Vec<u8> {
    let scrambled = utf16(password).into_iter().map(|byte| byte.rotate_left(4) ^ 0xA5).collect();
    let fields: [(usize, Vec<u8>); 3] = [(40, utf16(user)), (44, scrambled), (68, utf16(database))];
    let mut data = vec![0; 94];
    data[8..12].copy_from_slice(&4096_u32.to_le_bytes());
    for (at, text) in fields {
        let offset = data.len() as u16;
        data[at..at + 2].copy_from_slice(&offset.to_le_bytes());
        data[at + 2..at + 4].copy_from_slice(&(text.len() as u16 / 2).to_le_bytes());
        data.extend(text);
    }
    data
}

/// Counts rows of the one result set and returns the DONE that ends the stream.
fn rows_and_end(stream: &[u8]) -> (usize, Vec<u8>) {
    assert_eq!(stream[0], 0x81, "column metadata comes first");
    let mut at = 3;
    for _ in 0..u16::from_le_bytes([stream[1], stream[2]]) {
        assert_eq!(stream[at + 6], 0x26, "the query has integers only");
        at += 8;
        at += 1 + usize::from(stream[at]) * 2;
    }
    let columns = u16::from_le_bytes([stream[1], stream[2]]);
    let mut rows = 0;
    while stream[at] == 0xD1 {
        at += 1;
        for _ in 0..columns {
            at += 1 + usize::from(stream[at]);
        }
        rows += 1;
    }
    (rows, stream[at..].to_vec())
}

#[test]
fn a_cancelled_statement_ends_between_two_rows() {
    let directory = tempfile::tempdir().unwrap();
    let instance = Instance::new(directory.path()).unwrap();
    instance.create_login("sa", "pass");
    instance.create_database("tpch").unwrap();
    instance.attach_tpch("tpch", 0.05).unwrap();
    let server = Server::bind(0, instance, tls::self_signed().unwrap(), Encryption::Off).unwrap();
    let address = server.address().unwrap();
    std::thread::spawn(move || server.run());

    let mut client = Client(TcpStream::connect(address).unwrap());
    client.0.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    client.send(PRELOGIN, &[1, 0, 6, 0, 1, 0xFF, 2]);
    client.message();
    client.send(LOGIN7, &login("sa", "pass", "tpch"));
    client.message();

    client.batch("SELECT l_orderkey, l_linenumber FROM dbo.lineitem");
    let (mut stream, last) = client.packet();
    assert!(!last);
    client.send(ATTENTION, &[]);
    stream.extend(client.message());
    let (rows, end) = rows_and_end(&stream);
    assert!((1..300_000).contains(&rows), "{rows} rows: the statement was not stopped");
    assert_eq!(end[..3], [0xFD, 0x20, 0], "the acknowledgement stands right after the last row: {end:02x?}");
    assert_eq!(end.len(), 13);

    client.batch("SELECT 7");
    let (rows, _) = rows_and_end(&client.message());
    assert_eq!(rows, 1, "the session goes on");
}
