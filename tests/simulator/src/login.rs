//! PRELOGIN (MS-TDS 2.2.6.5) and LOGIN7 (2.2.6.4).

use tsql_engine::{LoginRequest, Version};

/// Values of the ENCRYPTION option.
pub const ENCRYPT_OFF: u8 = 0;
pub const ENCRYPT_ON: u8 = 1;
pub const ENCRYPT_NOT_SUPPORTED: u8 = 2;
pub const ENCRYPT_REQUIRED: u8 = 3;

const VERSION_TOKEN: u8 = 0;
const ENCRYPTION_TOKEN: u8 = 1;
const INSTANCE_TOKEN: u8 = 2;
const THREAD_TOKEN: u8 = 3;
const MARS_TOKEN: u8 = 4;
const TERMINATOR: u8 = 0xFF;

/// What the client says about encryption.
pub fn prelogin_encryption(message: &[u8]) -> u8 {
    let mut at = 0;
    while let Some([token, rest @ ..]) = message.get(at..) {
        if *token == TERMINATOR || rest.len() < 4 {
            break;
        }
        if *token == ENCRYPTION_TOKEN {
            let offset = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            return message.get(offset).copied().unwrap_or(ENCRYPT_NOT_SUPPORTED);
        }
        at += 5;
    }
    ENCRYPT_NOT_SUPPORTED
}

/// A version as the protocol has it: major, minor, build.
pub fn version_bytes(version: Version) -> [u8; 4] {
    let [major, minor, build, _] = version.build();
    let [high, low] = build.to_be_bytes();
    [major as u8, minor as u8, high, low]
}

/// The server's PRELOGIN: its version, the answer about encryption, no MARS.
pub fn prelogin_answer(version: Version, encryption: u8) -> Vec<u8> {
    let [major, minor, high, low] = version_bytes(version);
    let options: [(u8, &[u8]); 5] = [
        (VERSION_TOKEN, &[major, minor, high, low, 0, 0]),
        (ENCRYPTION_TOKEN, &[encryption]),
        (INSTANCE_TOKEN, &[0]),
        (THREAD_TOKEN, &[]),
        (MARS_TOKEN, &[0]),
    ];
    let mut out = Vec::new();
    let mut offset = options.len() * 5 + 1;
    for (token, data) in options {
        out.push(token);
        out.extend_from_slice(&(offset as u16).to_be_bytes());
        out.extend_from_slice(&(data.len() as u16).to_be_bytes());
        offset += data.len();
    }
    out.push(TERMINATOR);
    for (_, data) in options {
        out.extend_from_slice(data);
    }
    out
}

/// A LOGIN7 message: the login, and the packet size that the client asks for.
pub struct Login {
    pub request: LoginRequest,
    pub packet_size: usize,
    /// The client asks for ODBC's defaults, an unlimited TEXTSIZE among them.
    pub odbc: bool,
    /// The client speaks TDS 8.0, which is 7.4 inside TLS.
    pub strict: bool,
}

/// Reads LOGIN7; `None` where it is malformed.
pub fn login7(message: &[u8]) -> Option<Login> {
    let packet_size = u32::from_le_bytes(message.get(8..12)?.try_into().ok()?) as usize;
    let (flags2, type_flags) = (*message.get(25)?, *message.get(26)?);
    let field = |at: usize| -> Option<Vec<u8>> {
        let offset = usize::from(u16::from_le_bytes(message.get(at..at + 2)?.try_into().ok()?));
        let length = usize::from(u16::from_le_bytes(message.get(at + 2..at + 4)?.try_into().ok()?));
        Some(message.get(offset..offset + length * 2)?.to_vec())
    };
    let text = |at: usize| field(at).map(|bytes| utf16(&bytes));
    // Each byte of the password has its halves exchanged and is then combined with A5 (2.2.6.4).
    let password = field(44)?.into_iter().map(|byte| (byte ^ 0xA5).rotate_left(4)).collect::<Vec<u8>>();
    let request = LoginRequest {
        host: text(36)?,
        user: text(40)?,
        password: utf16(&password),
        application: text(48)?,
        database: text(68)?,
        read_only_intent: type_flags & 0x20 != 0,
    };
    // 0 leaves the size to the server (2.2.6.4).
    let packet_size = if packet_size == 0 { 4096 } else { packet_size.clamp(512, 32_767) };
    let strict = message.get(4..8)? == [0, 0, 0, 8];
    Some(Login { request, packet_size, odbc: flags2 & 0x02 != 0, strict })
}

/// UTF-16LE text.
pub fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}
