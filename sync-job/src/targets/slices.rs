//! The SQL by which a table's [slices](crate::proof::slices) are told apart: the same in both dialects but for names, literals and hashes.

use super::ranges;
use crate::plan::TablePlan;
use crate::proof::slices::{Part, Slices};
use crate::rows::chunk::KeyValue;

/// How one dialect writes it.
pub(super) struct SliceSql {
    /// The hash of a row's key, of 64 bits.
    pub key_hash: String,
    pub quote: fn(&str) -> String,
    pub literal: fn(&KeyValue) -> String,
}

impl SliceSql {
    /// The number of a row's slice.
    pub fn number(&self, table: &TablePlan, slices: &Slices) -> String {
        match (slices, table.witness_column()) {
            (Slices::Hashes(count), _) => format!("({} & {})", self.key_hash, Slices::mask(*count)),
            (Slices::Ranges(bounds), Some(column)) => self.branch(&(self.quote)(&column.target), bounds, 0),
            (Slices::One, _) | (Slices::Ranges(_), None) => "0".to_owned(),
        }
    }

    /// A tree of comparisons, as deep as the number of bounds has bits. NULL is at least nothing, and so goes to the first slice.
    fn branch(&self, name: &str, bounds: &[KeyValue], first: usize) -> String {
        let middle = bounds.len() / 2;
        let Some(bound) = bounds.get(middle) else { return first.to_string() };
        format!(
            "CASE WHEN {name} >= {} THEN {} ELSE {} END",
            (self.literal)(bound),
            self.branch(name, &bounds[middle + 1..], first + middle + 1),
            self.branch(name, &bounds[..middle], first)
        )
    }

    /// What the rows of a part fulfil.
    pub fn condition(&self, table: &TablePlan, part: &Part<'_>) -> String {
        let of_slices = match part.slices {
            Slices::One => "TRUE".to_owned(),
            Slices::Ranges(_) => part
                .slices
                .scope(&part.wanted)
                .map_or_else(|| "FALSE".to_owned(), |scope| ranges::condition(table, &scope, self.quote, self.literal)),
            Slices::Hashes(_) if part.wanted.len() == part.slices.count() => "TRUE".to_owned(),
            Slices::Hashes(count) => {
                let wanted: Vec<String> = part.wanted.iter().map(usize::to_string).collect();
                format!("({} & {}) IN ({})", self.key_hash, Slices::mask(*count), wanted.join(", "))
            }
        };
        match part.pass_bits() {
            None => of_slices,
            Some((shift, mask, number)) => {
                format!("{of_slices} AND ((({} >> {shift}) & {mask}) = {number})", self.key_hash)
            }
        }
    }
}
