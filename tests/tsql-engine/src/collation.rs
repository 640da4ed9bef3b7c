//! What a collation's name means: its code page and its order. Which names there are is `collation_names`' matter.

use encoding_rs::Encoding;

use crate::error::error;
use crate::value::SqlError;

/// Prefixes of collation names and their code pages; all others are 1252.
const PAGES: &[(&str, u16)] = &[
    ("JAPANESE", 932),
    ("CHINESE_PRC", 936),
    ("CHINESE_SIMPLIFIED", 936),
    ("KOREAN", 949),
    ("CHINESE_TAIWAN", 950),
    ("CHINESE_TRADITIONAL", 950),
    ("CHINESE_HONG_KONG", 950),
    ("THAI", 874),
    ("POLISH", 1250),
    ("CZECH", 1250),
    ("HUNGARIAN", 1250),
    ("ROMANIAN", 1250),
    ("SLOVAK", 1250),
    ("SLOVENIAN", 1250),
    ("CROATIAN", 1250),
    ("CYRILLIC", 1251),
    ("UKRAINIAN", 1251),
    ("GREEK", 1253),
    ("TURKISH", 1254),
    ("HEBREW", 1255),
    ("ARABIC", 1256),
    ("LATVIAN", 1257),
    ("LITHUANIAN", 1257),
    ("ESTONIAN", 1257),
    ("VIETNAMESE", 1258),
];

/// The Windows code page of a collation's char and varchar columns; 65001 is UTF-8.
pub fn code_page(name: &str) -> u16 {
    // Asked for every value of a text, so nothing is allocated.
    let starts = |text: &str, prefix: &str| {
        text.as_bytes().get(..prefix.len()).is_some_and(|own| own.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    if name.len() > 5 && name.is_char_boundary(name.len() - 5) && starts(&name[name.len() - 5..], "_UTF8") {
        return 65001;
    }
    if let Some((at, _)) = name.match_indices('_').find(|(at, _)| starts(&name[*at..], "_CP")) {
        let digits = name[at + 3..].split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or("");
        return match digits {
            "1" | "" => 1252,
            other => other.parse().unwrap_or(1252),
        };
    }
    PAGES.iter().find(|(prefix, _)| starts(name, prefix)).map_or(1252, |(_, page)| *page)
}

/// Whether a surrogate pair is one character: `_SC`, and every collation of version 140 ("Collation and Unicode Support").
pub fn supplementary(name: &str) -> bool {
    name.split('_').any(|part| part.eq_ignore_ascii_case("SC") || part == "140")
}

fn encoding(page: u16) -> Result<&'static Encoding, SqlError> {
    Ok(match page {
        65001 => encoding_rs::UTF_8,
        874 => encoding_rs::WINDOWS_874,
        932 => encoding_rs::SHIFT_JIS,
        936 => encoding_rs::GBK,
        949 => encoding_rs::EUC_KR,
        950 => encoding_rs::BIG5,
        1250 => encoding_rs::WINDOWS_1250,
        1251 => encoding_rs::WINDOWS_1251,
        1252 => encoding_rs::WINDOWS_1252,
        1253 => encoding_rs::WINDOWS_1253,
        1254 => encoding_rs::WINDOWS_1254,
        1255 => encoding_rs::WINDOWS_1255,
        1256 => encoding_rs::WINDOWS_1256,
        1257 => encoding_rs::WINDOWS_1257,
        1258 => encoding_rs::WINDOWS_1258,
        other => return Err(error(40_002, format!("simulator: code page {other} is not supported"))),
    })
}

/// The upper half of the code pages of DOS that collations know.
fn dos_table(page: u16) -> Option<&'static [char; 128]> {
    match page {
        437 => Some(&oem_cp::code_table::DECODING_TABLE_CP437),
        850 => Some(&oem_cp::code_table::DECODING_TABLE_CP850),
        _ => None,
    }
}

/// Where Windows' double-byte code pages are not what the encodings of the web are, mostly its users' own characters.
const OTHERS: &[(u16, &[(u16, u16)])] = &[
    (
        936,
        &[(0xA2E3, 0xA2E3), (0xA3A0, 0xA3A0), (0xA6D9, 0xA6F3), (0xA8BC, 0xA8BF), (0xA989, 0xA995), (0xFE50, 0xFEA0)],
    ),
    (949, &[(0xC9A1, 0xC9FE), (0xFEA1, 0xFEFE)]),
    (950, &[(0x8140, 0xA0FE), (0xA3C0, 0xA3E0), (0xC6A1, 0xC8FE), (0xF9FE, 0xFEFE)]),
];

/// An error where the bytes hold one of [`OTHERS`].
fn expect_known(bytes: &[u8], page: u16) -> Result<(), SqlError> {
    let Some((_, others)) = OTHERS.iter().find(|(own, _)| *own == page) else { return Ok(()) };
    let mut rest = bytes;
    while let [first, second, ..] = rest {
        let pair = u16::from_be_bytes([*first, *second]);
        if others.iter().any(|(low, high)| (*low..=*high).contains(&pair)) {
            return Err(error(40_002, format!("simulator: 0x{pair:04X} of code page {page} is not supported")));
        }
        rest = &rest[if *first > 0x80 { 2 } else { 1 }..];
    }
    Ok(())
}

/// Text of code-page bytes; what cannot be decoded becomes U+FFFD.
pub fn decode(bytes: &[u8], collation: &str) -> Result<String, SqlError> {
    // Every code page agrees with ASCII in its lower half.
    if let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii()) {
        return Ok(text.to_owned());
    }
    if let Some(table) = dos_table(code_page(collation)) {
        return Ok(oem_cp::decode_string_complete_table(bytes, table));
    }
    expect_known(bytes, code_page(collation))?;
    Ok(encoding(code_page(collation))?.decode_without_bom_handling(bytes).0.into_owned())
}

/// Code-page bytes of text; what the code page lacks becomes `?`, as SQL Server does.
pub fn encode(text: &str, collation: &str) -> Result<Vec<u8>, SqlError> {
    if let Some(table) = dos_table(code_page(collation)) {
        let byte = |character: char| {
            let high = || table.iter().position(|own| *own == character).map(|at| at as u8 + 128);
            if character.is_ascii() { character as u8 } else { high().unwrap_or(b'?') }
        };
        return Ok(text.chars().map(byte).collect());
    }
    let encoding = encoding(code_page(collation))?;
    if text.is_ascii() || encoding == encoding_rs::UTF_8 {
        return Ok(text.as_bytes().to_vec());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut buffer = [0u8; 4];
    for character in text.chars() {
        let (encoded, _, lost) = encoding.encode(character.encode_utf8(&mut buffer));
        if lost {
            bytes.push(b'?');
        } else {
            bytes.extend_from_slice(&encoded);
        }
    }
    expect_known(&bytes, code_page(collation))?;
    Ok(bytes)
}

/// A blob that sorts and compares as the collation does: trailing spaces ignored, case and accents by the name.
pub fn sort_key(bytes: &[u8], wide: bool, collation: &str) -> Result<Vec<u8>, SqlError> {
    let upper = collation.to_ascii_uppercase();
    if upper.contains("_BIN") {
        if wide {
            let mut key: Vec<u8> = bytes.chunks_exact(2).flat_map(|unit| [unit[1], unit[0]]).collect();
            while key.ends_with(&[0, 0x20]) {
                key.truncate(key.len() - 2);
            }
            return Ok(key);
        }
        let end = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
        return Ok(bytes[..end].to_vec());
    }
    let text = if wide { decode_utf16(bytes) } else { decode(bytes, collation)? };
    let text = text.trim_end_matches(' ');
    let mut primary = Vec::with_capacity(text.len() * 3 + 8);
    let (mut accents, mut cases) = (Vec::new(), Vec::new());
    for character in text.chars() {
        let (base, accent) = strip_accent(character);
        for folded in base.to_lowercase() {
            primary.extend_from_slice(&(folded as u32).to_be_bytes()[1..]);
            accents.push(accent);
            cases.push(u8::from(folded != base));
        }
    }
    if !upper.contains("_AI") {
        primary.extend_from_slice(&[0, 0, 0]);
        primary.extend_from_slice(&accents);
    }
    if upper.contains("_CS") {
        primary.extend_from_slice(&[0, 0, 0]);
        primary.extend_from_slice(&cases);
    }
    Ok(primary)
}

/// The base letter of a Latin letter with a diacritic, and a number for the diacritic (0: none).
fn strip_accent(character: char) -> (char, u8) {
    const GROUPS: &[(char, &str)] = &[
        ('A', "ÀÁÂÃÄÅĀĂĄ"),
        ('a', "àáâãäåāăą"),
        ('C', "ÇĆĈĊČ"),
        ('c', "çćĉċč"),
        ('D', "Ď"),
        ('d', "ď"),
        ('E', "ÈÉÊËĒĔĖĘĚ"),
        ('e', "èéêëēĕėęě"),
        ('G', "ĜĞĠĢ"),
        ('g', "ĝğġģ"),
        ('I', "ÌÍÎÏĨĪĬĮ"),
        ('i', "ìíîïĩīĭį"),
        ('L', "ĹĻĽ"),
        ('l', "ĺļľ"),
        ('N', "ÑŃŅŇ"),
        ('n', "ñńņň"),
        ('O', "ÒÓÔÕÖŌŎŐ"),
        ('o', "òóôõöōŏő"),
        ('R', "ŔŖŘ"),
        ('r', "ŕŗř"),
        ('S', "ŚŜŞŠ"),
        ('s', "śŝşš"),
        ('T', "ŢŤ"),
        ('t', "ţť"),
        ('U', "ÙÚÛÜŨŪŬŮŰŲ"),
        ('u', "ùúûüũūŭůűų"),
        ('Y', "ÝŶŸ"),
        ('y', "ýÿŷ"),
        ('Z', "ŹŻŽ"),
        ('z', "źżž"),
    ];
    if character.is_ascii() {
        return (character, 0);
    }
    for (base, members) in GROUPS {
        if let Some(at) = members.chars().position(|member| member == character) {
            return (*base, at as u8 + 1);
        }
    }
    (character, 0)
}

/// UTF-16LE bytes as text; lone surrogates become U+FFFD.
pub fn decode_utf16(bytes: &[u8]) -> String {
    char::decode_utf16(bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Text as UTF-16LE bytes.
pub fn encode_utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
