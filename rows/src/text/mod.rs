//! Text as SQL Server stores it, into UTF-8: UTF-16LE that may hold lone surrogates, and code pages.

use std::sync::LazyLock;

use encoding_rs::Encoding;

use double_byte::DoubleByte;

mod double_byte;

/// U+FFFD in UTF-8.
const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();

/// How a code page's bytes become characters.
#[derive(Debug, Clone, Copy)]
pub struct CodePage {
    number: u16,
    decoder: Decoder,
}

#[derive(Debug, Clone, Copy)]
enum Decoder {
    Utf8,
    Encoding(&'static Encoding),
    DoubleByte(&'static LazyLock<DoubleByte>),
    /// The upper half of an OEM code page, which the web encodings lack.
    Table(&'static [char; 128]),
}

impl PartialEq for CodePage {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for CodePage {}

impl CodePage {
    /// The code page of a collation (`COLLATIONPROPERTY(name, 'CodePage')`), or `None` where it is not known.
    pub fn new(number: u16) -> Option<Self> {
        let decoder = match number {
            65001 => Decoder::Utf8,
            437 => Decoder::Table(&oem_cp::code_table::DECODING_TABLE_CP437),
            850 => Decoder::Table(&oem_cp::code_table::DECODING_TABLE_CP850),
            874 => Decoder::Encoding(encoding_rs::WINDOWS_874),
            932 => Decoder::DoubleByte(&double_byte::CP932),
            936 => Decoder::DoubleByte(&double_byte::CP936),
            949 => Decoder::DoubleByte(&double_byte::CP949),
            950 => Decoder::DoubleByte(&double_byte::CP950),
            1250 => Decoder::Encoding(encoding_rs::WINDOWS_1250),
            1251 => Decoder::Encoding(encoding_rs::WINDOWS_1251),
            1252 => Decoder::Encoding(encoding_rs::WINDOWS_1252),
            1253 => Decoder::Encoding(encoding_rs::WINDOWS_1253),
            1254 => Decoder::Encoding(encoding_rs::WINDOWS_1254),
            1255 => Decoder::Encoding(encoding_rs::WINDOWS_1255),
            1256 => Decoder::Encoding(encoding_rs::WINDOWS_1256),
            1257 => Decoder::Encoding(encoding_rs::WINDOWS_1257),
            1258 => Decoder::Encoding(encoding_rs::WINDOWS_1258),
            _ => return None,
        };
        Some(Self { number, decoder })
    }

    /// UTF-8, which SQL Server calls a code page, too.
    pub const UTF_8: Self = Self { number: 65001, decoder: Decoder::Utf8 };

    /// The number that SQL Server gives it, such as 1252.
    pub fn number(self) -> u16 {
        self.number
    }

    /// Appends `bytes` as UTF-8 to `out` and returns how many undecodable sequences became U+FFFD.
    pub fn decode_into(self, bytes: &[u8], out: &mut Vec<u8>) -> u64 {
        // Every code page here agrees with ASCII in its lower half.
        if bytes.is_ascii() {
            out.extend_from_slice(bytes);
            return 0;
        }
        match self.decoder {
            Decoder::Utf8 => decode_utf8(bytes, out),
            Decoder::Encoding(encoding) => decode_encoding(encoding, bytes, out),
            Decoder::DoubleByte(table) => table.decode_into(bytes, out),
            Decoder::Table(table) => {
                for &byte in bytes {
                    let character = if byte < 128 { char::from(byte) } else { table[usize::from(byte - 128)] };
                    push_char(out, character);
                }
                0
            }
        }
    }

    /// For messages only.
    pub fn decode_lossy(self, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        self.decode_into(bytes, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

fn push_char(out: &mut Vec<u8>, character: char) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

fn decode_utf8(bytes: &[u8], out: &mut Vec<u8>) -> u64 {
    let mut replaced = 0;
    for chunk in bytes.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(REPLACEMENT);
            replaced += 1;
        }
    }
    replaced
}

fn decode_encoding(encoding: &'static Encoding, mut bytes: &[u8], out: &mut Vec<u8>) -> u64 {
    use encoding_rs::DecoderResult;
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut replaced = 0;
    loop {
        let start = out.len();
        // Three bytes of UTF-8 for each input byte, and one pending replacement, always suffice.
        out.resize(start + bytes.len() * 3 + 16, 0);
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, &mut out[start..], true);
        out.truncate(start + written);
        bytes = &bytes[read..];
        match result {
            DecoderResult::InputEmpty => return replaced,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => {
                out.extend_from_slice(REPLACEMENT);
                replaced += 1;
            }
        }
    }
}

/// Appends UTF-16LE `bytes` as UTF-8 to `out`; returns how many lone surrogates (or a trailing odd byte) became U+FFFD.
pub fn utf16_into(bytes: &[u8], out: &mut Vec<u8>) -> u64 {
    out.reserve(bytes.len() / 2 + bytes.len() / 4);
    let mut units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let mut replaced = u64::from(bytes.len() % 2 == 1);
    let mut pending = None;
    while let Some(unit) = pending.take().or_else(|| units.next()) {
        match unit {
            0..0x80 => out.push(unit as u8),
            0x80..0x800 => out.extend_from_slice(&[0xC0 | (unit >> 6) as u8, 0x80 | (unit & 0x3F) as u8]),
            0xD800..0xDC00 => match units.next() {
                Some(low @ 0xDC00..0xE000) => {
                    let code = 0x1_0000 + ((u32::from(unit) - 0xD800) << 10) + (u32::from(low) - 0xDC00);
                    push_char(out, char::from_u32(code).unwrap_or('\u{FFFD}'));
                }
                other => {
                    out.extend_from_slice(REPLACEMENT);
                    replaced += 1;
                    pending = other;
                }
            },
            0xDC00..0xE000 => {
                out.extend_from_slice(REPLACEMENT);
                replaced += 1;
            }
            _ => out.extend_from_slice(&[
                0xE0 | (unit >> 12) as u8,
                0x80 | (unit >> 6 & 0x3F) as u8,
                0x80 | (unit & 0x3F) as u8,
            ]),
        }
    }
    if bytes.len() % 2 == 1 {
        out.extend_from_slice(REPLACEMENT);
    }
    replaced
}

/// For messages only.
pub fn utf16_lossy(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    utf16_into(bytes, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Removes U+0000 from `out[start..]`, which PostgreSQL cannot store in text; returns how many there were.
pub fn strip_nul(out: &mut Vec<u8>, start: usize) -> u64 {
    let before = out.len();
    let mut keep = start;
    for index in start..before {
        if out[index] != 0 {
            out[keep] = out[index];
            keep += 1;
        }
    }
    out.truncate(keep);
    (before - keep) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(number: u16, bytes: &[u8]) -> (String, u64) {
        let mut out = Vec::new();
        let replaced = CodePage::new(number).unwrap().decode_into(bytes, &mut out);
        (String::from_utf8(out).unwrap(), replaced)
    }

    #[test]
    fn code_pages_decode() {
        assert_eq!(decode(1252, b"caf\xe9 \x80"), ("café €".to_owned(), 0));
        assert_eq!(decode(1251, &[0xCF, 0xF0, 0xE8]), ("При".to_owned(), 0));
        assert_eq!(decode(932, &[0x93, 0xFA, 0x96, 0x7B]), ("日本".to_owned(), 0));
        assert_eq!(decode(950, &[0xC1, 0x63, b' ', 0xF9, 0xD6]), ("繁 碁".to_owned(), 0));
        assert_eq!(decode(950, &[0xFA, 0x40, 0xC6, 0xA1, 0xF9, 0xFE]), ("\u{E000}\u{F6B1}▓".to_owned(), 0));
        assert_eq!(decode(936, &[0x80, 0xFE, 0x50]), ("€\u{E815}".to_owned(), 0));
        assert_eq!(decode(850, &[0x82, b'a']), ("éa".to_owned(), 0));
        assert_eq!(decode(65001, "🦀x".as_bytes()), ("🦀x".to_owned(), 0));
        assert!(CodePage::new(12345).is_none());
    }

    #[test]
    fn undecodable_bytes_are_counted() {
        assert_eq!(decode(1253, &[b'a', 0xAA, b'b']), ("a\u{FFFD}b".to_owned(), 1));
        assert_eq!(decode(932, &[0x81]), ("\u{FFFD}".to_owned(), 1));
        // Half a character takes no letter with it; a pair that is nothing is one sequence; 936 has no four-byte characters.
        assert_eq!(decode(932, &[b'a', 0x81, b' ', b'b']), ("a\u{FFFD} b".to_owned(), 1));
        assert_eq!(decode(950, &[0xA3, 0xC0, b'a', 0xA4]), ("\u{FFFD}a\u{FFFD}".to_owned(), 2));
        assert_eq!(decode(936, &[0x81, 0x30, 0x81, 0x30]), ("\u{FFFD}0\u{FFFD}0".to_owned(), 2));
        assert_eq!(decode(65001, &[0xF0, 0x9F, b'a']), ("\u{FFFD}a".to_owned(), 1));
    }

    #[test]
    fn utf16_agrees_with_the_standard_library() {
        for text in ["", "plain", "žluťoučký", "日本語", "🦀 and 𝔘", "\0"] {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let mut out = Vec::new();
            assert_eq!(utf16_into(&bytes, &mut out), 0);
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn lone_surrogates_are_counted_and_lose_nothing_else() {
        let units: [u16; 5] = [0xD800, u16::from(b'a'), 0xDC00, 0xD83E, 0xDD80];
        let bytes: Vec<u8> = units.into_iter().flat_map(u16::to_le_bytes).collect();
        let mut out = Vec::new();
        assert_eq!(utf16_into(&bytes, &mut out), 2);
        assert_eq!(String::from_utf8(out).unwrap(), "\u{FFFD}a\u{FFFD}🦀");
    }

    #[test]
    fn nul_is_stripped_from_the_new_part_only() {
        let mut out = b"\0x\0a\0b".to_vec();
        assert_eq!(strip_nul(&mut out, 2), 2);
        assert_eq!(out, b"\0xab");
    }
}
