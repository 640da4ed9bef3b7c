//! Decoders that are wrong on purpose, in a build that only tests make.
//!
//! The digest is computed from what was decoded, and the target's digest from what was written of it: both agree with a
//! decoder, however wrong. Each fault here is one that they agree with; a witness of the source's own must find it. A fault
//! goes to the column `value` of the table that bears the fault's name.

#[cfg(not(debug_assertions))]
compile_error!("the feature broken-decoders is for tests alone");

use tiberius::Row;

use super::decode::cell;
use crate::plan::TablePlan;
use crate::rows::cell::{Cell, TICKS_PER_DAY};
use crate::rows::encode::{CellError, RowEncoder};
use crate::rows::text::CodePage;

/// The variable that switches the faults on. It stands in no program without them, which packing holds to.
const SWITCH: &str = "STOPGAP_BROKEN_DECODERS";

/// The column that a fault spoils.
const SPOILT: &str = "value";

/// As [`RowEncoder::cell`], with the table's fault.
pub(super) fn encode<E: RowEncoder>(
    encoder: &mut E,
    table: &TablePlan,
    row: &Row,
    index: usize,
    own: Cell<'_>,
) -> Result<(), CellError> {
    let spoilt = table.columns.get(index).is_some_and(|column| column.source == SPOILT);
    if !spoilt || std::env::var_os(SWITCH).is_none() {
        return encoder.cell(index, own);
    }
    let mut bytes = Vec::new();
    encoder.cell(index, spoil(&table.source.name, table, row, index, own, &mut bytes)?)
}

fn spoil<'a>(
    fault: &str,
    table: &TablePlan,
    row: &'a Row,
    index: usize,
    own: Cell<'a>,
    bytes: &'a mut Vec<u8>,
) -> Result<Cell<'a>, CellError> {
    Ok(match (fault, own) {
        // Exact up to 2^53 ten-thousandths, which is 900,719,925,474.0992.
        ("money_as_double", Cell::Decimal { value, scale }) => Cell::Decimal { value: value as f64 as i128, scale },
        ("sign_lost", Cell::Decimal { value, scale }) => Cell::Decimal { value: value.abs(), scale },
        ("last_digit_lost", Cell::Decimal { value, scale }) => Cell::Decimal { value: value / 10 * 10, scale },
        ("double_as_real", Cell::Float8(value)) => Cell::Float8(f64::from(value as f32)),
        ("cut_to_32_bits", Cell::Int(value)) => Cell::Int(i64::from(value as i32)),
        ("dropped", _) => Cell::Null,
        ("of_another_column", _) => match (row.cells().nth(index - 1), table.columns.get(index - 1)) {
            (Some((_, data)), Some(column)) => cell(data, &column.mapping.read)?,
            _ => own,
        },
        ("code_page_swapped", Cell::Encoded(bytes, page)) => Cell::Encoded(bytes, CodePage::new(1252).unwrap_or(page)),
        ("bytes_swapped", Cell::Utf16(units)) => {
            bytes.extend(units.chunks_exact(2).flat_map(|unit| [unit[1], unit[0]]));
            Cell::Utf16(bytes)
        }
        ("text_cut", Cell::Utf16(units)) => Cell::Utf16(&units[..units.len().min(510)]),
        ("a_day_off", Cell::Date(days)) => Cell::Date(days + 1),
        // The plan cuts the seventh digit off.
        ("tick_rounded", Cell::Timestamp { days, ticks }) => Cell::Timestamp { days, ticks: (ticks + 5) / 10 * 10 },
        ("offset_ignored", Cell::TimestampTz { days, ticks, offset }) => {
            let local = i64::from(days) * TICKS_PER_DAY as i64 + ticks as i64 + i64::from(offset) * 600_000_000;
            let day = TICKS_PER_DAY as i64;
            Cell::TimestampTz { days: local.div_euclid(day) as i32, ticks: local.rem_euclid(day) as u64, offset }
        }
        // The first three groups are little-endian on the wire.
        ("id_in_wire_order", Cell::Uuid(mut id)) => {
            id[..4].reverse();
            id[4..6].reverse();
            id[6..8].reverse();
            Cell::Uuid(id)
        }
        ("last_byte_lost", Cell::Bytes(all)) => Cell::Bytes(&all[..all.len().saturating_sub(1)]),
        (_, own) => own,
    })
}
