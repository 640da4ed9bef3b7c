//! Cells to bulk bytes and their hashes, a file for each format. Here: what every encoder does with a value. Pure.

use crate::rows::cell::{Cell, TICKS_PER_DAY};
use crate::rows::encode::{CellError, Loss, LossCounts, TextPolicy};
use crate::rows::text::{strip_nul, utf16_into};

pub mod copy_binary;
pub mod load_data;

/// The integer in a narrower type, or the error that names it.
pub fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, CellError> {
    T::try_from(value).map_err(|_| CellError::out_of_range(value.to_string()))
}

/// Ticks of 100 ns to microseconds, cut (never rounded: 23:59:59.9999999 stays within its day) to `digits`.
pub fn cut(ticks: u64, digits: u8, losses: &mut LossCounts, index: usize) -> i64 {
    debug_assert!(ticks < TICKS_PER_DAY);
    let step = 10_u64.pow(u32::from(7 - digits.min(6)));
    let kept = ticks - ticks % step;
    if kept != ticks {
        losses.count(index, Loss::FractionCut, 1);
    }
    (kept / 10) as i64
}

/// Decodes a text cell into UTF-8 by the policy; `stores_nul` says whether the target can hold U+0000.
pub fn write_text(
    out: &mut Vec<u8>,
    text: Cell<'_>,
    policy: TextPolicy,
    stores_nul: bool,
    losses: &mut LossCounts,
    index: usize,
) -> Result<(), CellError> {
    let start = out.len();
    let replaced = match text {
        Cell::Utf16(bytes) => utf16_into(bytes, out),
        Cell::Encoded(bytes, code_page) => code_page.decode_into(bytes, out),
        _ => 0,
    };
    if replaced > 0 {
        if !policy.replace_undecodable {
            return Err(CellError::Undecodable);
        }
        losses.count(index, Loss::Undecodable, 1);
    }
    if out[start..].contains(&0) {
        if policy.strip_nul {
            strip_nul(out, start);
            losses.count(index, Loss::NulStripped, 1);
        } else if !stores_nul {
            return Err(CellError::Nul);
        }
    }
    Ok(())
}
