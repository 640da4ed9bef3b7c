//! A client that speaks TDS byte by byte, for what ordinary clients do not let a test do.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use mssql_simulator::server::{Encryption, Server};
use mssql_simulator::tls;
use tsql_engine::Instance;

pub const ATTENTION: u8 = 6;
pub const LOGIN7: u8 = 16;
pub const PRELOGIN: u8 = 18;

/// A server with the login `sa` and the database `shop`, and its directory.
pub struct Simulator {
    pub instance: Arc<Instance>,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Simulator {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new(directory.path()).unwrap();
        instance.create_login("sa", "pass");
        instance.create_database("shop").unwrap();
        let own = instance.clone();
        let server = Server::bind(0, own, tls::self_signed().unwrap(), Encryption::Off).unwrap();
        let address = server.address().unwrap();
        std::thread::spawn(move || server.run());
        Self { instance, address, _directory: directory }
    }

    /// A client that has logged in.
    pub fn client(&self) -> Client {
        let mut client = Client(TcpStream::connect(self.address).unwrap());
        client.0.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        client.send(PRELOGIN, &[1, 0, 6, 0, 1, 0xFF, 2]);
        client.message();
        client.send(LOGIN7, &login("sa", "pass", "shop"));
        client.message();
        client
    }
}

pub struct Client(TcpStream);

impl Client {
    pub fn send(&mut self, kind: u8, data: &[u8]) {
        self.send_with(kind, 1, data);
    }

    /// A message of one packet with a status of its own.
    pub fn send_with(&mut self, kind: u8, status: u8, data: &[u8]) {
        let length = (data.len() + 8) as u16;
        let mut packet = vec![kind, status];
        packet.extend_from_slice(&length.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 1, 0]);
        packet.extend_from_slice(data);
        self.0.write_all(&packet).unwrap();
    }

    /// One packet's data, and whether it ends the message.
    pub fn packet(&mut self) -> (Vec<u8>, bool) {
        let mut header = [0; 8];
        self.0.read_exact(&mut header).unwrap();
        let mut data = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - 8];
        self.0.read_exact(&mut data).unwrap();
        (data, header[1] & 1 != 0)
    }

    pub fn message(&mut self) -> Vec<u8> {
        let mut message = Vec::new();
        loop {
            let (data, last) = self.packet();
            message.extend_from_slice(&data);
            if last {
                return message;
            }
        }
    }

    /// Whether the server has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 1]), Ok(0))
    }

    pub fn batch(&mut self, sql: &str) {
        let mut data = 4_u32.to_le_bytes().to_vec();
        data.extend(utf16(sql));
        self.send(1, &data);
    }
}

pub fn utf16(text: &str) -> Vec<u8> {
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
