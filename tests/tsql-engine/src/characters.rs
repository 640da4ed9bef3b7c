//! Where the characters of a string lie: what LEN, SUBSTRING and their like count.
//!
//! "Collation and Unicode Support": nvarchar has a character for each UTF-16 unit, or under a collation with supplementary
//! characters for each code point; varchar has one for each character of its code page, of one byte or more.

use std::borrow::Cow;

use crate::collation::{code_page, decode, supplementary};
use crate::error::unsupported;
use crate::types::{collation_of, is_string, is_wide};
use crate::value::{SqlError, SqlType, Value};

/// How a type's characters lie in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    /// A byte each: binary, and code pages of one byte.
    One,
    /// One byte, or two after a lead byte of this code page.
    Double(u16),
    Utf8(Pairs),
    /// A UTF-16 unit each.
    Utf16(Pairs),
}

/// What a character beyond U+FFFF counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pairs {
    One,
    Two,
    /// The documentation does not say.
    Unknown,
}

fn width(sql_type: &SqlType) -> Width {
    if !is_string(sql_type) && !is_wide(sql_type) {
        return Width::One;
    }
    let name = collation_of(sql_type).unwrap_or("");
    let page = code_page(name);
    let pairs = match page {
        _ if supplementary(name) => Pairs::One,
        65001 => Pairs::Unknown,
        _ => Pairs::Two,
    };
    match page {
        _ if is_wide(sql_type) => Width::Utf16(pairs),
        65001 => Width::Utf8(pairs),
        page @ (932 | 936 | 949 | 950) => Width::Double(page),
        _ => Width::One,
    }
}

/// Whether each character is one unit of the type's length, so that so many characters fit into that length.
pub fn are_units(sql_type: &SqlType) -> bool {
    matches!(width(sql_type), Width::One | Width::Utf16(Pairs::Two))
}

/// Whether a byte begins a pair in a double-byte code page (Windows' own tables of lead bytes).
fn leads(byte: u8, page: u16) -> bool {
    match page {
        932 => matches!(byte, 0x81..=0x9F | 0xE0..=0xFC),
        _ => matches!(byte, 0x81..=0xFE),
    }
}

fn surrogate(unit: &[u8], high: bool) -> bool {
    let first = if high { 0xD8..=0xDB } else { 0xDC..=0xDF };
    unit.get(1).is_some_and(|byte| first.contains(byte))
}

/// How many bytes the first character of `rest` has.
fn step(rest: &[u8], width: Width) -> Result<usize, SqlError> {
    let unknown = || unsupported("supplementary characters under a _BIN2_UTF8 collation");
    let paired = || surrogate(rest, true) && rest.get(2..).is_some_and(|low| surrogate(low, false));
    let length = match width {
        Width::One => 1,
        Width::Double(page) => 1 + usize::from(rest.first().is_some_and(|byte| leads(*byte, page))),
        Width::Utf8(pairs) => match rest.first() {
            Some(0xC0..=0xDF) => 2,
            Some(0xE0..=0xEF) => 3,
            Some(0xF0..=0xFF) if pairs == Pairs::Unknown => return Err(unknown()),
            Some(0xF0..=0xFF) => 4,
            _ => 1,
        },
        Width::Utf16(Pairs::Unknown) if paired() => return Err(unknown()),
        Width::Utf16(Pairs::One) if paired() => 4,
        Width::Utf16(_) => 2,
    };
    Ok(length.min(rest.len()))
}

/// The characters of a string's bytes.
pub struct Characters<'v> {
    rest: &'v [u8],
    width: Width,
}

impl<'v> Iterator for Characters<'v> {
    type Item = Result<&'v [u8], SqlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let length = match step(self.rest, self.width) {
            Ok(length) => length,
            Err(failure) => {
                self.rest = &[];
                return Some(Err(failure));
            }
        };
        let (first, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(Ok(first))
    }
}

/// The characters of a string of the type.
pub fn characters<'v>(bytes: &'v [u8], sql_type: &SqlType) -> Characters<'v> {
    Characters { rest: bytes, width: width(sql_type) }
}

/// The string that a value is, or that SQL Server makes of it: bytes and their type.
pub fn string_of<'v>(value: &'v Value<'_>, sql_type: &SqlType) -> Result<(Cow<'v, [u8]>, SqlType), SqlError> {
    match value {
        Value::NVarChar(bytes) | Value::VarChar(bytes) | Value::Binary(bytes) => {
            Ok((Cow::Borrowed(bytes.as_ref()), sql_type.clone()))
        }
        other => {
            let text = crate::convert_text::format_value(other, sql_type, 0)?;
            Ok((Cow::Owned(text.into_bytes()), crate::expr::varchar(crate::value::Len::N(8000))))
        }
    }
}

/// A space of the type.
pub fn is_space(character: &[u8]) -> bool {
    matches!(character, [0x20] | [0x20, 0])
}

/// How many bytes of a string lie before its trailing spaces.
pub fn trimmed(bytes: &[u8], sql_type: &SqlType) -> usize {
    let unit = if is_wide(sql_type) { 2 } else { 1 };
    let spaces = bytes.rchunks_exact(unit).take_while(|character| is_space(character)).count();
    bytes.len() - spaces * unit
}

/// The code point of a string's first character, as UNICODE sees it; `None` of an empty string.
pub fn first_code(bytes: &[u8], sql_type: &SqlType) -> Result<Option<u32>, SqlError> {
    let Some(first) = characters(bytes, sql_type).next().transpose()? else { return Ok(None) };
    if !is_wide(sql_type) {
        let text = decode(first, collation_of(sql_type).unwrap_or(crate::types::DEFAULT_COLLATION))?;
        return Ok(text.chars().next().map(u32::from));
    }
    let unit = |at: usize| first.get(at..at + 2).map(|unit| u32::from(u16::from_le_bytes([unit[0], unit[1]])));
    Ok(match (unit(0), unit(2)) {
        (Some(high), Some(low)) => Some(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)),
        (only, _) => only,
    })
}
