//! Packets (MS-TDS 2.2.3): messages in pieces with a header of eight bytes each.

use std::io::{self, Read, Write};

/// Packet types that clients send.
pub const SQL_BATCH: u8 = 0x01;
pub const RPC: u8 = 0x03;
pub const RESPONSE: u8 = 0x04;
pub const ATTENTION: u8 = 0x06;
pub const BULK_LOAD: u8 = 0x07;
pub const TRANSACTION: u8 = 0x0E;
pub const LOGIN7: u8 = 0x10;
pub const PRELOGIN: u8 = 0x12;

const HEADER: usize = 8;
/// Status bit: the message's last packet.
const END: u8 = 0x01;
/// Status bit: the client takes the message back.
const IGNORE: u8 = 0x02;
/// Status bit: the session is reset before the message is read.
const RESET: u8 = 0x08;
/// Status bit: the same, but its transaction stays.
const RESET_KEEPING_TRANSACTION: u8 = 0x10;
/// No client sends larger messages here.
const LARGEST_MESSAGE: usize = 256 << 20;

/// A message and its packet type.
pub struct Message {
    pub kind: u8,
    pub data: Vec<u8>,
    pub reset: Reset,
}

/// Whether a message wants the session reset first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    No,
    Whole,
    KeepingTransaction,
}

/// Reads a whole message; `None` at the end of the connection.
pub fn read(from: &mut impl Read) -> io::Result<Option<Message>> {
    let mut data = Vec::new();
    let mut reset = Reset::No;
    loop {
        let mut header = [0; HEADER];
        match from.read_exact(&mut header) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && data.is_empty() => return Ok(None),
            result => result?,
        }
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let start = data.len();
        if length < HEADER || start + length > LARGEST_MESSAGE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "bad packet length"));
        }
        data.resize(start + length - HEADER, 0);
        from.read_exact(&mut data[start..])?;
        // The first packet says it for the whole message.
        if start == 0 && header[1] & RESET_KEEPING_TRANSACTION != 0 {
            reset = Reset::KeepingTransaction;
        } else if start == 0 && header[1] & RESET != 0 {
            reset = Reset::Whole;
        }
        if header[1] & (END | IGNORE) == END | IGNORE {
            data.clear();
        } else if header[1] & END != 0 {
            return Ok(Some(Message { kind: header[0], data, reset }));
        }
    }
}

/// Writes a response in packets of the negotiated size. Full packets are written together, in large pieces.
pub struct PacketWriter<'a, W: Write> {
    to: &'a mut W,
    size: usize,
    number: u8,
    kind: u8,
    /// Packets with room for their headers; the last one is not yet full.
    buffer: Vec<u8>,
    /// Where the unfinished packet begins.
    open: usize,
}

/// Enough packets for one system call.
const WRITE_AT: usize = 128 << 10;

impl<'a, W: Write> PacketWriter<'a, W> {
    pub fn new(to: &'a mut W, kind: u8, size: usize) -> Self {
        let mut buffer = Vec::with_capacity(WRITE_AT + size * 2);
        buffer.resize(HEADER, 0);
        Self { to, size, number: 1, kind, buffer, open: 0 }
    }

    /// Adds bytes; says whether something was written to the connection.
    pub fn push(&mut self, mut bytes: &[u8]) -> io::Result<bool> {
        loop {
            let room = self.size - (self.buffer.len() - self.open);
            let part = room.min(bytes.len());
            self.buffer.extend_from_slice(&bytes[..part]);
            bytes = &bytes[part..];
            if bytes.is_empty() {
                break;
            }
            self.close(0);
            self.open = self.buffer.len();
            self.buffer.resize(self.open + HEADER, 0);
        }
        if self.open < WRITE_AT {
            return Ok(false);
        }
        self.to.write_all(&self.buffer[..self.open])?;
        self.to.flush()?;
        self.buffer.drain(..self.open);
        self.open = 0;
        Ok(true)
    }

    fn close(&mut self, status: u8) {
        let length = (self.buffer.len() - self.open) as u16;
        let header = &mut self.buffer[self.open..self.open + HEADER];
        header[0] = self.kind;
        header[1] = status;
        header[2..4].copy_from_slice(&length.to_be_bytes());
        header[6] = self.number;
        self.number = self.number.wrapping_add(1);
    }

    /// Ends the message.
    pub fn finish(mut self) -> io::Result<()> {
        self.close(END);
        self.to.write_all(&self.buffer)?;
        self.to.flush()
    }

    /// Sends what is there without ending the message: for faults that break off in the middle.
    pub fn abandon(mut self) -> io::Result<()> {
        self.close(0);
        self.to.write_all(&self.buffer)?;
        self.to.flush()
    }
}
