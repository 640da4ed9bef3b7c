//! The double-byte code pages of Windows (932, 936, 949, 950), exactly as Windows has them.
//!
//! The encodings of the web are nearly these, but not quite: they give characters of later standards to pairs that Windows
//! leaves to its users, who find them in Unicode's private use area (950's 0xFA40 is U+E000 there, and a rare ideograph of Hong
//! Kong's standard on the web). Compared pair by pair with Microsoft's tables.

use std::sync::LazyLock;

use encoding_rs::Encoding;

const REPLACEMENT: char = '\u{FFFD}';

/// Nothing in Windows' table.
const NONE: u16 = 0;

/// A code page as a table: what each byte and each pair of bytes is, 0 where it is nothing.
#[derive(Debug)]
pub struct DoubleByte {
    /// Of the upper half.
    singles: [u16; 128],
    /// By both bytes, the first less 128. All are in the basic plane.
    pairs: Box<[u16]>,
}

pub static CP932: LazyLock<DoubleByte> = LazyLock::new(|| {
    DoubleByte::new(
        encoding_rs::SHIFT_JIS,
        &[(0xA0, 0xF8F0), (0xFD, 0xF8F1), (0xFE, 0xF8F2), (0xFF, 0xF8F3)],
        // Its user-defined characters, 0xF040 to 0xF9FC, are the web's, too.
        &[],
        &[],
    )
});

pub static CP936: LazyLock<DoubleByte> = LazyLock::new(|| {
    DoubleByte::new(
        encoding_rs::GBK,
        &[(0xFF, 0xF8F5)],
        // Characters that Unicode got after GBK did; Windows never moved them.
        &[
            (0xA2E3, 0xA2E3, 0xE76C),
            (0xA3A0, 0xA3A0, 0xE5E5),
            (0xA6D9, 0xA6DF, 0xE78D),
            (0xA6EC, 0xA6ED, 0xE794),
            (0xA6F3, 0xA6F3, 0xE796),
            (0xA8BC, 0xA8BC, 0xE7C7),
            (0xA8BF, 0xA8BF, 0xE7C8),
            (0xA989, 0xA995, 0xE7E7),
            (0xFE50, 0xFE7E, 0xE815),
            (0xFE80, 0xFEA0, 0xE844),
        ],
        &[(0x40, 0x7E), (0x80, 0xFE)],
    )
});

pub static CP949: LazyLock<DoubleByte> = LazyLock::new(|| {
    DoubleByte::new(
        encoding_rs::EUC_KR,
        &[(0x80, 0x80), (0xFF, 0xF8F7)],
        &[(0xC9A1, 0xC9FE, 0xE000), (0xFEA1, 0xFEFE, 0xE05E)],
        &[(0xA1, 0xFE)],
    )
});

pub static CP950: LazyLock<DoubleByte> = LazyLock::new(|| {
    DoubleByte::new(
        encoding_rs::BIG5,
        &[(0x80, 0x80), (0xFF, 0xF8F8)],
        &[
            (0xFA40, 0xFEFE, 0xE000),
            (0x8E40, 0xA0FE, 0xE311),
            (0x8140, 0x8DFE, 0xEEB8),
            (0xC6A1, 0xC8FE, 0xF6B1),
            (0xF9FE, 0xF9FE, 0x2593),
            (0xA3C0, 0xA3E0, NONE),
        ],
        &[(0x40, 0x7E), (0xA1, 0xFE)],
    )
});

impl DoubleByte {
    /// The web's encoding with Windows' own bytes, and its own runs of pairs (the first, the last, and the first's character,
    /// the others being those after it), whose second bytes are in `seconds`.
    fn new(web: &'static Encoding, singles: &[(u8, u16)], runs: &[(u16, u16, u16)], seconds: &[(u8, u8)]) -> Self {
        let mut table = Self { singles: [NONE; 128], pairs: vec![NONE; 128 * 256].into_boxed_slice() };
        for first in 0x80..=0xFF_u8 {
            table.singles[usize::from(first - 0x80)] = character(web, &[first]);
            for second in 0x40..=0xFF_u8 {
                table.pairs[place(first, second)] = character(web, &[first, second]);
            }
        }
        for &(single, character) in singles {
            table.singles[usize::from(single - 0x80)] = character;
        }
        for &(start, end, character) in runs {
            let is_second = |pair: &u16| {
                let second = pair.to_be_bytes()[1];
                seconds.iter().any(|&(low, high)| (low..=high).contains(&second))
            };
            for (pair, index) in (start..=end).filter(is_second).zip(0..) {
                let [first, second] = pair.to_be_bytes();
                table.pairs[place(first, second)] = if character == NONE { NONE } else { character + index };
            }
        }
        table
    }

    /// Appends `bytes` as UTF-8 to `out` and returns how many undecodable sequences became U+FFFD.
    pub fn decode_into(&self, bytes: &[u8], out: &mut Vec<u8>) -> u64 {
        let mut replaced = 0;
        let mut rest = bytes;
        while let [first, after @ ..] = rest {
            if first.is_ascii() {
                let end = rest.iter().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
                out.extend_from_slice(&rest[..end]);
                rest = &rest[end..];
                continue;
            }
            let (character, length) = self.next(*first, after.first().copied());
            super::push_char(out, character.unwrap_or(REPLACEMENT));
            replaced += u64::from(character.is_none());
            rest = &rest[length..];
        }
        replaced
    }

    /// What two bytes begin with, and how many of them that takes. A letter that follows half a character is not lost with it.
    #[inline]
    fn next(&self, first: u8, second: Option<u8>) -> (Option<char>, usize) {
        let character = |code: u16| if code == NONE { None } else { char::from_u32(u32::from(code)) };
        if let Some(single) = character(self.singles[usize::from(first - 0x80)]) {
            return (Some(single), 1);
        }
        let Some(second) = second else { return (None, 1) };
        match character(self.pairs[place(first, second)]) {
            None if second.is_ascii() => (None, 1),
            found => (found, 2),
        }
    }
}

fn place(first: u8, second: u8) -> usize {
    usize::from(first - 0x80) << 8 | usize::from(second)
}

/// The one character that these bytes are, if they are one and of the basic plane.
fn character(web: &'static Encoding, bytes: &[u8]) -> u16 {
    let Some(text) = web.decode_without_bom_handling_and_without_replacement(bytes) else { return NONE };
    let mut units = text.encode_utf16();
    match (units.next(), units.next()) {
        (Some(unit), None) => unit,
        _ => NONE,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::digest::hash_bytes;

    /// The defined bytes and pairs of each table, and a hash of their list, as computed from Microsoft's tables in Perl's Encode
    /// (cp932, cp936, cp949, cp950): a line `8140 3000` for each.
    #[test]
    fn every_pair_is_what_windows_has() {
        let expected: [(u16, &LazyLock<DoubleByte>, usize, u64); 4] = [
            (932, &CP932, 9672, 0xbe5a_d0cf_e4bb_26bf),
            (936, &CP936, 23942, 0xc7fe_e429_db6e_c72a),
            (949, &CP949, 17238, 0x9c77_2686_bb83_1364),
            (950, &CP950, 19722, 0xbfd8_e423_4e4a_96c9),
        ];
        for (number, table, count, hash) in expected {
            let mut list = String::new();
            for first in 0x80..=0xFF_u8 {
                if table.singles[usize::from(first - 0x80)] != NONE {
                    writeln!(list, "{first:02X} {:X}", table.singles[usize::from(first - 0x80)]).unwrap();
                }
            }
            for first in (0x80..=0xFF_u8).filter(|first| table.singles[usize::from(first - 0x80)] == NONE) {
                for second in 0..=0xFF_u8 {
                    let code = table.pairs[place(first, second)];
                    if code != NONE {
                        writeln!(list, "{first:02X}{second:02X} {code:X}").unwrap();
                    }
                }
            }
            assert_eq!((list.lines().count(), hash_bytes(list.as_bytes())), (count, hash), "{number}");
        }
    }
}
