//! Cells into the text format of MySQL's `LOAD DATA`, and into the digest.
//!
//! Source of the format: MySQL 8.0 Reference Manual, 15.2.9 "LOAD DATA Statement", with its default field and line handling and
//! `CHARACTER SET binary`: bytes are stored as they are, text is UTF-8.
//!
//! A row's hash is the first 64 bits of SHA-256 over its cells' canonical bytes, joined by commas. Every cell but a text or
//! binary one is written with characters that are neither comma nor tilde; those are led by their length; `~` is NULL.
//! The server computes the same with `CONCAT_WS` and `SHA2`: see `mysql/sql.rs`.

use sha2::{Digest as _, Sha256};

use super::{cut, narrow, write_text};
use crate::plan::type_map::StoredType;
use crate::rows::cell::{Cell, civil, decimal_text, uuid_text};
use crate::rows::digest::TableDigest;
use crate::rows::encode::{CellError, Loss, LossCounts, RowEncoder, TextPolicy};
use crate::rows::message::Message;

/// The longest value of a LONGTEXT or LONGBLOB that `max_allowed_packet` can be set to allow (1 GB).
const MAX_FIELD: usize = 1 << 30;

/// A column, as far as its cells' bytes depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadColumn {
    pub stored: StoredType,
    pub policy: TextPolicy,
    /// Its values are hashed by themselves first: those of LONGTEXT and the like may exceed what the server can join.
    pub large: bool,
}

/// How the server shows a cell to its own hash function.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HashAs {
    /// The text that was loaded.
    Text,
    /// Its length in bytes, a comma, its bytes.
    Sized,
    /// As `Sized`, less trailing spaces: CHAR columns lose them.
    Trimmed,
    /// SHA-256 of its bytes in hexadecimal digits.
    Large,
    /// The eight bytes of the double, little-endian, in hexadecimal digits.
    Double,
}

/// Encodes rows of one table; see the module.
pub struct LoadDataEncoder {
    columns: Vec<(LoadColumn, HashAs)>,
    buffer: Vec<u8>,
    /// The cell's bytes before they are escaped.
    cell: Vec<u8>,
    /// The row's canonical bytes.
    canonical: Vec<u8>,
    /// Where the row began in the buffer, and the digest of the rows before it.
    before: (usize, TableDigest),
    digest: TableDigest,
    losses: LossCounts,
}

impl LoadDataEncoder {
    pub fn new(columns: impl IntoIterator<Item = LoadColumn>) -> Self {
        let columns: Vec<_> = columns.into_iter().map(|column| (column, hash_as(column))).collect();
        let losses = LossCounts::new(columns.len());
        Self {
            columns,
            buffer: Vec::new(),
            cell: Vec::new(),
            canonical: Vec::new(),
            before: (0, TableDigest::default()),
            digest: TableDigest::default(),
            losses,
        }
    }
}

fn hash_as(column: LoadColumn) -> HashAs {
    match column.stored {
        _ if column.large => HashAs::Large,
        StoredType::Float4 | StoredType::Float8 => HashAs::Double,
        StoredType::Char { .. } => HashAs::Trimmed,
        StoredType::Text { .. } | StoredType::Bytes | StoredType::Json | StoredType::Xml | StoredType::FloatArray => {
            HashAs::Sized
        }
        _ => HashAs::Text,
    }
}

impl RowEncoder for LoadDataEncoder {
    fn begin_row(&mut self) {
        self.before = (self.buffer.len(), self.digest);
        self.canonical.clear();
    }

    #[inline]
    fn cell(&mut self, index: usize, cell: Cell<'_>) -> Result<(), CellError> {
        if index > 0 {
            self.buffer.push(b'\t');
            self.canonical.push(b',');
        }
        if matches!(cell, Cell::Null) {
            self.buffer.extend_from_slice(b"\\N");
            self.canonical.push(b'~');
            return Ok(());
        }
        let (column, hash_as) = self.columns[index];
        self.cell.clear();
        write_payload(&mut self.cell, column, cell, &mut self.losses, index)?;
        if self.cell.len() > MAX_FIELD {
            return Err(CellError::TooLong { bytes: self.cell.len(), limit: MAX_FIELD });
        }
        match hash_as {
            HashAs::Text | HashAs::Double => self.buffer.extend_from_slice(&self.cell),
            HashAs::Sized | HashAs::Trimmed | HashAs::Large => escape_into(&self.cell, &mut self.buffer),
        }
        self.canonicalize(hash_as, cell);
        Ok(())
    }

    fn end_row(&mut self) {
        self.buffer.push(b'\n');
        self.digest.rows += 1;
        self.digest.sum += i128::from(row_hash(&self.canonical));
    }

    fn discard_row(&mut self) {
        self.buffer.truncate(self.before.0);
        self.digest = self.before.1;
    }

    fn rows(&self) -> u64 {
        self.digest.rows
    }

    fn digest(&self) -> TableDigest {
        self.digest
    }

    fn buffered(&self) -> usize {
        self.buffer.len()
    }

    fn take(&mut self, empty: Vec<u8>) -> Vec<u8> {
        std::mem::replace(&mut self.buffer, empty)
    }

    fn finish(self) -> (Vec<u8>, TableDigest, LossCounts) {
        (self.buffer, self.digest, self.losses)
    }
}

impl LoadDataEncoder {
    fn canonicalize(&mut self, hash_as: HashAs, cell: Cell<'_>) {
        let out = &mut self.canonical;
        match hash_as {
            HashAs::Text => out.extend_from_slice(&self.cell),
            HashAs::Sized => sized(&self.cell, out),
            HashAs::Trimmed => {
                let end = self.cell.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
                sized(&self.cell[..end], out);
            }
            HashAs::Large => push_hex(&Sha256::digest(&self.cell), out),
            HashAs::Double => {
                let value = match cell {
                    Cell::Float4(value) => f64::from(value),
                    Cell::Float8(value) => value,
                    // `write_payload` lets no other cell become a float.
                    _ => f64::NAN,
                };
                push_hex(&value.to_le_bytes(), out);
            }
        }
    }
}

/// The first eight bytes of SHA-256, as `CONV(LEFT(SHA2(…, 256), 16), 16, 10)` gives them.
fn row_hash(canonical: &[u8]) -> u64 {
    let hash = Sha256::digest(canonical);
    u64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
}

fn sized(bytes: &[u8], out: &mut Vec<u8>) {
    push_integer(bytes.len() as i64, out);
    out.push(b',');
    out.extend_from_slice(bytes);
}

fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Backslash sequences for what separates fields and lines, for the escape itself, and for NUL.
fn escape_into(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| matches!(byte, b'\\' | b'\t' | b'\n' | 0)) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\\' => b"\\\\",
            b'\t' => b"\\t",
            b'\n' => b"\\n",
            _ => b"\\0",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Writes the value's bytes, not escaped yet.
fn write_payload(
    out: &mut Vec<u8>,
    column: LoadColumn,
    cell: Cell<'_>,
    losses: &mut LossCounts,
    index: usize,
) -> Result<(), CellError> {
    match (column.stored, cell) {
        (StoredType::Bool | StoredType::Int2 | StoredType::Int4 | StoredType::Int8, Cell::Bool(value)) => {
            out.push(b'0' + u8::from(value));
        }
        (StoredType::Int2, Cell::Int(value)) => push_integer(i64::from(narrow::<i16>(value)?), out),
        (StoredType::Int4, Cell::Int(value)) => push_integer(i64::from(narrow::<i32>(value)?), out),
        (StoredType::Int8, Cell::Int(value)) => push_integer(value, out),
        // Shortest digits that give the same double; MySQL's own parser reads them exactly.
        (StoredType::Float8, Cell::Float8(value)) => out.extend_from_slice(format!("{value:e}").as_bytes()),
        (StoredType::Float4 | StoredType::Float8, Cell::Float4(value)) => {
            out.extend_from_slice(format!("{:e}", f64::from(value)).as_bytes());
        }
        (StoredType::Decimal { scale, .. }, Cell::Decimal { value, scale: from }) => {
            write_decimal(out, value, from, scale)?;
        }
        (StoredType::Decimal { scale, .. }, Cell::Int(value)) => write_decimal(out, i128::from(value), 0, scale)?,
        (StoredType::Date, Cell::Date(days)) => push_date(days, out),
        (StoredType::Time { digits }, Cell::Time(ticks)) => push_time(cut(ticks, digits, losses, index), digits, out),
        (StoredType::Timestamp { digits }, Cell::Timestamp { days, ticks }) => {
            push_date(days, out);
            out.push(b' ');
            push_time(cut(ticks, digits, losses, index), digits, out);
        }
        (StoredType::TimestampTz { digits }, Cell::TimestampTz { days, ticks, offset }) => {
            if offset != 0 {
                losses.count(index, Loss::OffsetDropped, 1);
            }
            push_date(days, out);
            out.push(b' ');
            push_time(cut(ticks, digits, losses, index), digits, out);
        }
        (StoredType::Uuid, Cell::Uuid(bytes)) => out.extend_from_slice(uuid_text(&bytes).as_bytes()),
        (StoredType::Bytes, Cell::Bytes(bytes)) => out.extend_from_slice(bytes),
        (
            StoredType::Text { .. }
            | StoredType::Char { .. }
            | StoredType::Json
            | StoredType::Xml
            | StoredType::FloatArray,
            text @ (Cell::Utf16(_) | Cell::Encoded(..)),
        ) => {
            write_text(out, text, column.policy, true, losses, index)?;
            check_characters(out, column.stored)?;
        }
        (StoredType::Text { .. }, other) if !matches!(other, Cell::Bytes(_)) => {
            out.extend_from_slice(other.to_text().as_bytes());
            check_characters(out, column.stored)?;
        }
        (stored, cell) => {
            return Err(CellError::Mismatch {
                expected: format!("{stored:?}"),
                cell: Message::default().value(cell.describe()),
            });
        }
    }
    Ok(())
}

/// Refuses what a limited column would cut; spaces at the end of CHAR do not count.
fn check_characters(out: &[u8], stored: StoredType) -> Result<(), CellError> {
    let (text, limit) = match stored {
        StoredType::Text { limit } => (out, limit as usize),
        StoredType::Char { length } => {
            let end = out.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
            (&out[..end], length as usize)
        }
        _ => return Ok(()),
    };
    // Characters are never more than bytes.
    if limit == 0 || text.len() <= limit {
        return Ok(());
    }
    let characters = text.iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
    if characters > limit { Err(CellError::TooManyCharacters { characters, limit }) } else { Ok(()) }
}

fn write_decimal(out: &mut Vec<u8>, value: i128, from_scale: u8, scale: u8) -> Result<(), CellError> {
    let raised = scale
        .checked_sub(from_scale)
        .and_then(|more| 10_i128.checked_pow(u32::from(more)))
        .and_then(|factor| value.checked_mul(factor));
    match raised {
        Some(value) => out.extend_from_slice(decimal_text(value, scale).as_bytes()),
        None => return Err(CellError::out_of_range(decimal_text(value, from_scale))),
    }
    Ok(())
}

fn push_integer(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

fn push_two(value: u32, out: &mut Vec<u8>) {
    out.push(b'0' + (value / 10 % 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

/// `YYYY-MM-DD`.
fn push_date(days: i32, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    // The years 1 to 9999 alone come from a source.
    let year = year as u32;
    push_two(year / 100, out);
    push_two(year % 100, out);
    out.push(b'-');
    push_two(month, out);
    out.push(b'-');
    push_two(day, out);
}

/// `HH:MM:SS` and `digits` digits of the fraction.
fn push_time(microseconds: i64, digits: u8, out: &mut Vec<u8>) {
    let seconds = (microseconds / 1_000_000) as u32;
    push_two(seconds / 3600, out);
    out.push(b':');
    push_two(seconds / 60 % 60, out);
    out.push(b':');
    push_two(seconds % 60, out);
    if digits == 0 {
        return;
    }
    out.push(b'.');
    let fraction = (microseconds % 1_000_000) as u32;
    for digit in 0..u32::from(digits.min(6)) {
        out.push(b'0' + (fraction / 10_u32.pow(5 - digit) % 10) as u8);
    }
}
