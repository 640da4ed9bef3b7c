//! Cells into PostgreSQL's binary COPY format, and into the digest.
//!
//! Source of the formats: PostgreSQL documentation, "COPY, Binary Format", and the `*_send` functions of
//! `src/backend/utils/adt`. Each cell is written once; its hash is taken from the bytes written.

use super::{cut, narrow, write_text};
use crate::plan::type_map::StoredType;
use crate::rows::cell::Cell;
use crate::rows::digest::{RowHash, TableDigest, hash_bytes, hash_u32};
use crate::rows::encode::{CellError, Loss, LossCounts, RowEncoder, TextPolicy};
use crate::rows::message::Message;

/// Days from 0001-01-01 to 2000-01-01, PostgreSQL's epoch.
const DAYS_TO_2000: i32 = 730_119;
const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;
/// The longest field that PostgreSQL stores (1 GB less its header).
const MAX_FIELD: usize = 0x3fff_ffff - 64;
/// Signature, flags and header extension length, at the start of every stream.
pub const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// At the end of every stream.
pub const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// OID of `float4`, needed inside binary arrays.
const FLOAT4_OID: u32 = 700;

/// How a cell's payload is hashed on the server, by the column type's own hash function or over its `send` bytes.
#[derive(Clone, Copy)]
enum HashAs {
    /// `hash_any` over the payload.
    Bytes,
    /// Sign-extended integer of 1, 2 or 4 bytes.
    Int,
    /// `hash_any` over the payload less its trailing spaces (bpchar).
    Trimmed,
}

struct Column {
    stored: StoredType,
    hash_as: HashAs,
    policy: TextPolicy,
}

/// Encodes rows of one table; see the module.
pub struct CopyEncoder {
    columns: Vec<Column>,
    buffer: Vec<u8>,
    row: RowHash,
    /// Where the row began in the buffer, and the digest of the rows before it.
    before: (usize, TableDigest),
    digest: TableDigest,
    losses: LossCounts,
}

impl CopyEncoder {
    /// An encoder for columns of these forms, in this order. The policy says what to do with text that cannot be stored.
    pub fn new(columns: impl IntoIterator<Item = (StoredType, TextPolicy)>) -> Self {
        let columns: Vec<Column> =
            columns.into_iter().map(|(stored, policy)| Column { stored, hash_as: hash_as(stored), policy }).collect();
        let losses = LossCounts::new(columns.len());
        Self {
            columns,
            buffer: HEADER.to_vec(),
            row: RowHash::default(),
            before: (HEADER.len(), TableDigest::default()),
            digest: TableDigest::default(),
            losses,
        }
    }
}

fn hash_as(stored: StoredType) -> HashAs {
    match stored {
        StoredType::Bool | StoredType::Int2 | StoredType::Int4 | StoredType::Date => HashAs::Int,
        StoredType::Char { .. } => HashAs::Trimmed,
        _ => HashAs::Bytes,
    }
}

impl RowEncoder for CopyEncoder {
    fn begin_row(&mut self) {
        self.before = (self.buffer.len(), self.digest);
        // At most 1,600 columns in a PostgreSQL table; the plan refuses more.
        self.buffer.extend_from_slice(&(self.columns.len() as i16).to_be_bytes());
        self.row = RowHash::default();
    }

    #[inline]
    fn cell(&mut self, index: usize, cell: Cell<'_>) -> Result<(), CellError> {
        let column = &self.columns[index];
        if matches!(cell, Cell::Null) {
            self.buffer.extend_from_slice(&(-1_i32).to_be_bytes());
            self.row.push(0);
            return Ok(());
        }
        let length_at = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        let start = length_at + 4;
        write_payload(&mut self.buffer, column, cell, &mut self.losses, index)?;
        let length = self.buffer.len() - start;
        if length > MAX_FIELD {
            return Err(CellError::TooLong { bytes: length, limit: MAX_FIELD });
        }
        self.buffer[length_at..start].copy_from_slice(&(length as i32).to_be_bytes());
        self.row.push(payload_hash(column.hash_as, &self.buffer[start..]));
        Ok(())
    }

    fn end_row(&mut self) {
        self.digest.add_row(self.row);
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

    fn finish(mut self) -> (Vec<u8>, TableDigest, LossCounts) {
        self.buffer.extend_from_slice(&TRAILER);
        (self.buffer, self.digest, self.losses)
    }
}

#[inline]
fn payload_hash(hash_as: HashAs, payload: &[u8]) -> u64 {
    match hash_as {
        HashAs::Bytes => hash_bytes(payload),
        HashAs::Int => hash_u32(match *payload {
            [byte] => u32::from(byte),
            [high, low] => i32::from(i16::from_be_bytes([high, low])) as u32,
            [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
            // Forms hashed as integers write 1, 2 or 4 bytes.
            _ => 0,
        }),
        HashAs::Trimmed => {
            let end = payload.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
            hash_bytes(&payload[..end])
        }
    }
}

/// Writes the value's bytes without their length.
fn write_payload(
    out: &mut Vec<u8>,
    column: &Column,
    cell: Cell<'_>,
    losses: &mut LossCounts,
    index: usize,
) -> Result<(), CellError> {
    let start = out.len();
    match (column.stored, cell) {
        (StoredType::Bool, Cell::Bool(value)) => out.push(u8::from(value)),
        (StoredType::Int2, Cell::Int(value)) => out.extend_from_slice(&narrow::<i16>(value)?.to_be_bytes()),
        (StoredType::Int4, Cell::Int(value)) => out.extend_from_slice(&narrow::<i32>(value)?.to_be_bytes()),
        (StoredType::Int8, Cell::Int(value)) => out.extend_from_slice(&value.to_be_bytes()),
        (StoredType::Int2, Cell::Bool(value)) => out.extend_from_slice(&i16::from(value).to_be_bytes()),
        (StoredType::Int4, Cell::Bool(value)) => out.extend_from_slice(&i32::from(value).to_be_bytes()),
        (StoredType::Float4, Cell::Float4(value)) => out.extend_from_slice(&value.to_be_bytes()),
        (StoredType::Float8, Cell::Float8(value)) => out.extend_from_slice(&value.to_be_bytes()),
        (StoredType::Float8, Cell::Float4(value)) => out.extend_from_slice(&f64::from(value).to_be_bytes()),
        (StoredType::Decimal { scale, .. }, Cell::Decimal { value, scale: from }) => {
            write_numeric(out, value, from, scale)?;
        }
        (StoredType::Decimal { scale, .. }, Cell::Int(value)) => write_numeric(out, i128::from(value), 0, scale)?,
        (StoredType::Date, Cell::Date(days)) => out.extend_from_slice(&(days - DAYS_TO_2000).to_be_bytes()),
        (StoredType::Time { digits }, Cell::Time(ticks)) => {
            let microseconds = cut(ticks, digits, losses, index);
            out.extend_from_slice(&microseconds.to_be_bytes());
        }
        (StoredType::Timestamp { digits }, Cell::Timestamp { days, ticks }) => {
            let microseconds = cut(ticks, digits, losses, index);
            out.extend_from_slice(&timestamp(days, microseconds).to_be_bytes());
        }
        (StoredType::TimestampTz { digits }, Cell::TimestampTz { days, ticks, offset }) => {
            let microseconds = cut(ticks, digits, losses, index);
            if offset != 0 {
                losses.count(index, Loss::OffsetDropped, 1);
            }
            out.extend_from_slice(&timestamp(days, microseconds).to_be_bytes());
        }
        (StoredType::Uuid, Cell::Uuid(bytes)) => out.extend_from_slice(&bytes),
        (StoredType::Bytes, Cell::Bytes(bytes)) => out.extend_from_slice(bytes),
        (
            StoredType::Text { limit } | StoredType::Char { length: limit @ 1.. },
            text @ (Cell::Utf16(_) | Cell::Encoded(..)),
        ) => {
            write_text(out, text, column.policy, false, losses, index)?;
            finish_text(out, start, column.stored, limit)?;
        }
        (StoredType::Text { limit }, other) if !matches!(other, Cell::Bytes(_)) => {
            out.extend_from_slice(other.to_text().as_bytes());
            finish_text(out, start, column.stored, limit)?;
        }
        (StoredType::Json | StoredType::Xml, text @ (Cell::Utf16(_) | Cell::Encoded(..))) => {
            write_text(out, text, column.policy, false, losses, index)?;
        }
        (StoredType::FloatArray, text @ Cell::Utf16(_)) => {
            write_text(out, text, column.policy, false, losses, index)?;
            float_array(out, start)?;
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

fn timestamp(days: i32, microseconds: i64) -> i64 {
    i64::from(days - DAYS_TO_2000) * MICROSECONDS_PER_DAY + microseconds
}

/// Pads `character(n)` as PostgreSQL stores it, and refuses what a limited column would refuse.
fn finish_text(out: &mut Vec<u8>, start: usize, stored: StoredType, limit: u32) -> Result<(), CellError> {
    if limit == 0 {
        return Ok(());
    }
    let limit = limit as usize;
    // Characters are never more than bytes, so the count is only needed where the bytes exceed the limit, or to pad.
    let pad = matches!(stored, StoredType::Char { .. });
    if out.len() - start <= limit && !pad {
        return Ok(());
    }
    let characters = out[start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
    if characters > limit {
        let spaces = out[start..].iter().rev().take_while(|&&byte| byte == b' ').count();
        if !pad || characters - spaces.min(characters) > limit {
            return Err(CellError::TooManyCharacters { characters, limit });
        }
        out.truncate(out.len() - (characters - limit));
    } else if pad {
        out.resize(out.len() + limit - characters, b' ');
    }
    Ok(())
}

/// `numeric_send`: digits in base 10,000 without leading and trailing zero digits, weight, sign and display scale.
fn write_numeric(out: &mut Vec<u8>, value: i128, from_scale: u8, scale: u8) -> Result<(), CellError> {
    if from_scale > scale {
        return Err(CellError::out_of_range(crate::rows::cell::decimal_text(value, from_scale)));
    }
    let mut magnitude = value.unsigned_abs();
    // Bring the fraction to a whole number of base-10,000 digits.
    let shift = (4 - u32::from(from_scale) % 4) % 4;
    let fraction_groups = (i32::from(from_scale) + 3) / 4;
    let mut groups = [0_u16; 12];
    let mut count = 0;
    let mut trailing = true;
    let mut dropped = 0;
    let mut push = |group: u16, groups: &mut [u16; 12]| {
        if trailing && group == 0 {
            dropped += 1;
        } else {
            trailing = false;
            groups[count] = group;
            count += 1;
        }
    };
    if shift > 0 && magnitude > 0 {
        // The lowest group holds 4 - shift decimal digits, scaled up.
        let unit = 10_u128.pow(4 - shift);
        push((magnitude % unit) as u16 * 10_u16.pow(shift), &mut groups);
        magnitude /= unit;
    }
    while magnitude > u128::from(u64::MAX) {
        push((magnitude % 10_000) as u16, &mut groups);
        magnitude /= 10_000;
    }
    let mut low = magnitude as u64;
    while low > 0 {
        push((low % 10_000) as u16, &mut groups);
        low /= 10_000;
    }
    let weight = if count == 0 { 0 } else { count as i32 + dropped - fraction_groups - 1 };
    let sign: u16 = if value < 0 { 0x4000 } else { 0 };
    out.extend_from_slice(&(count as i16).to_be_bytes());
    out.extend_from_slice(&(weight as i16).to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&u16::from(scale).to_be_bytes());
    for group in groups[..count].iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
    Ok(())
}

/// Replaces the JSON array text in `out[start..]` by a one-dimensional `real[]`.
fn float_array(out: &mut Vec<u8>, start: usize) -> Result<(), CellError> {
    let values: Vec<f32> = serde_json::from_slice(&out[start..]).map_err(|_| {
        CellError::out_of_range(String::from_utf8_lossy(&out[start..]).chars().take(40).collect::<String>())
    })?;
    out.truncate(start);
    let dimensions = i32::from(!values.is_empty());
    for word in [dimensions as u32, 0, FLOAT4_OID] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    if dimensions == 1 {
        out.extend_from_slice(&(values.len() as u32).to_be_bytes());
        out.extend_from_slice(&1_u32.to_be_bytes());
    }
    for value in values {
        out.extend_from_slice(&4_u32.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::cell::TICKS_PER_DAY;

    fn payload(stored: StoredType, cell: Cell<'_>) -> Result<Vec<u8>, CellError> {
        let column = Column { stored, hash_as: hash_as(stored), policy: TextPolicy::default() };
        let mut out = Vec::new();
        write_payload(&mut out, &column, cell, &mut LossCounts::new(1), 0).map(|()| out)
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// Decodes `numeric_recv`'s input independently of the encoder, digit by digit.
    fn numeric_text(bytes: &[u8]) -> String {
        let word = |at: usize| i16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let (count, weight, sign, scale) = (word(0), word(2), word(4), word(6) as usize);
        let digit = |position: i32| {
            let index = i32::from(weight) - position;
            if (0..i32::from(count)).contains(&index) { word(8 + 2 * index as usize) } else { 0 }
        };
        let mut whole = String::new();
        for position in (0..=i32::from(weight).max(0)).rev() {
            whole.push_str(&format!("{:04}", digit(position)));
        }
        let whole = whole.trim_start_matches('0');
        let mut fraction = String::new();
        for position in 1..=(scale as i32 + 3) / 4 {
            fraction.push_str(&format!("{:04}", digit(-position)));
        }
        let sign = if sign == 0x4000 { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{}", &fraction[..scale]) }
    }

    #[test]
    fn numerics_decode_to_the_same_text() {
        for scale in 0..=38_u8 {
            for value in [
                0,
                1,
                -1,
                9,
                10_000,
                9_999,
                10_001,
                123_456_789,
                i128::from(u64::MAX),
                10_i128.pow(38) - 1,
                -(10_i128.pow(37)),
            ] {
                let bytes =
                    payload(StoredType::Decimal { precision: 38, scale }, Cell::Decimal { value, scale }).unwrap();
                assert_eq!(numeric_text(&bytes), crate::rows::cell::decimal_text(value, scale), "{value} {scale}");
                let count = i16::from_be_bytes([bytes[0], bytes[1]]) as usize;
                assert_eq!(bytes.len(), 8 + 2 * count);
                assert!(
                    count == 0 || (bytes[8..10] != [0, 0] && bytes[bytes.len() - 2..] != [0, 0]),
                    "zero digits are stripped"
                );
            }
        }
    }

    #[test]
    fn fractions_are_cut_and_counted_never_rounded_up() {
        let mut losses = LossCounts::new(1);
        assert_eq!(cut(TICKS_PER_DAY - 1, 6, &mut losses, 0), MICROSECONDS_PER_DAY - 1);
        assert_eq!(cut(10, 6, &mut losses, 0), 1);
        assert_eq!(cut(19_999, 3, &mut losses, 0), 1000);
        assert_eq!(losses.get(0, Loss::FractionCut), 2);
    }

    #[test]
    fn character_n_is_padded_by_characters() {
        assert_eq!(payload(StoredType::Char { length: 3 }, Cell::Utf16(&utf16("é"))).unwrap(), "é  ".as_bytes());
        // nchar(4) holds two astral characters and nothing else.
        assert_eq!(payload(StoredType::Char { length: 4 }, Cell::Utf16(&utf16("🦀🦀"))).unwrap(), "🦀🦀  ".as_bytes());
    }

    #[test]
    fn nul_and_lone_surrogates_are_errors_by_default() {
        assert!(matches!(payload(StoredType::Text { limit: 0 }, Cell::Utf16(&[0, 0])), Err(CellError::Nul)));
        assert!(matches!(payload(StoredType::Text { limit: 0 }, Cell::Utf16(&[0, 0xD8])), Err(CellError::Undecodable)));
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        assert!(payload(StoredType::Int2, Cell::Int(40_000)).is_err());
        assert!(payload(StoredType::Text { limit: 2 }, Cell::Utf16(&utf16("abc"))).is_err());
        assert!(payload(StoredType::Bool, Cell::Int(1)).is_err());
    }

    #[test]
    fn float_arrays_are_binary_arrays() {
        let bytes = payload(StoredType::FloatArray, Cell::Utf16(&utf16("[1.0, -2.5e0]"))).unwrap();
        assert_eq!(bytes.len(), 20 + 16);
        assert_eq!(payload(StoredType::FloatArray, Cell::Utf16(&utf16("[]"))).unwrap().len(), 12);
    }
}
