//! A table in parts that both sides tell alike, so that rows which differ are looked for in few of them. Pure.

use std::cmp::Ordering;

use crate::plan::KeyColumn;
use crate::proof::witness::sample::{self, Scope};
use crate::rows::cell::Cell;
use crate::rows::chunk::{self, Chunk, KeyValue};

/// A row's key and the whole row, as hashes in the target's canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashedRow {
    pub key: u64,
    pub row: u64,
}

/// How a table is cut.
#[derive(Debug, Clone, PartialEq)]
pub enum Slices {
    /// Not at all.
    One,
    /// By ascending values of the column that both sides [order alike](crate::plan::TablePlan::witness_key): a slice more than there
    /// are values. NULL comes before all of them.
    Ranges(Vec<KeyValue>),
    /// By the lowest bits of the key's hash: so many slices, a power of two.
    Hashes(u32),
}

/// Rows in a slice of a large table, about. Fewer cost more groups on the target, more cost more rows that are read again.
const ROWS_IN_RANGE: u64 = 1_000;
/// Rows of a slice by hashes lie all over the table, and all of it is read again for one of them.
const ROWS_IN_HASHES: u64 = 100;
const MOST_RANGES: u64 = 4_096;
const MOST_HASHES: u64 = 262_144;
/// Tables of so many rows are compared row by row at once: their hashes take a megabyte.
const SMALL_ROWS: u64 = 50_000;
/// Which bits of a hash tell [passes](Part) apart: not those that tell slices apart.
const PASS_SHIFT: u32 = 32;

impl Slices {
    /// For a table of about so many rows. `key`: the column of ranges with its smallest and largest value, where there is one.
    pub fn of(rows: u64, key: Option<(&KeyColumn, Option<(KeyValue, KeyValue)>)>) -> Self {
        if rows <= SMALL_ROWS {
            return Slices::One;
        }
        let ranges =
            key.and_then(|(key, extremes)| sample::cut((rows / ROWS_IN_RANGE).min(MOST_RANGES), key, extremes));
        let bounds =
            ranges.map(|ranges| ranges.into_iter().filter_map(|range| range.upper?.into_iter().next()).collect());
        match bounds {
            Some(bounds) if Vec::len(&bounds) > 1 => Slices::Ranges(bounds),
            _ => Slices::Hashes((rows / ROWS_IN_HASHES).next_power_of_two().min(MOST_HASHES) as u32),
        }
    }

    pub fn count(&self) -> usize {
        match self {
            Slices::One => 1,
            Slices::Ranges(bounds) => bounds.len() + 1,
            Slices::Hashes(count) => *count as usize,
        }
    }

    /// What the lowest bits of a hash are cut off with.
    pub fn mask(count: u32) -> u64 {
        u64::from(count) - 1
    }

    /// Which range a value of the column of ranges lies in; the first where there are none. Nothing where it cannot be compared, which no
    /// plan allows.
    pub fn range_of(&self, cell: Cell<'_>) -> Option<usize> {
        match (self, cell) {
            (Slices::Ranges(bounds), cell) if !matches!(cell, Cell::Null) => {
                compare(cell, bounds.first()?)?;
                Some(bounds.partition_point(|bound| compare(cell, bound).is_some_and(Ordering::is_ge)))
            }
            _ => Some(0),
        }
    }

    /// The slice of a row. `range`: of its value, as [`Slices::range_of`] has it.
    pub fn slice_of(&self, range: usize, key_hash: u64) -> usize {
        match self {
            Slices::One => 0,
            Slices::Ranges(_) => range,
            Slices::Hashes(count) => (key_hash & Self::mask(*count)) as usize,
        }
    }

    /// The slices as ranges of keys, neighbours joined; nothing where they are none.
    pub fn scope(&self, wanted: &[usize]) -> Option<Scope> {
        let Slices::Ranges(bounds) = self else { return None };
        let all = chunk::between(bounds.iter().map(|bound| vec![bound.clone()]).collect());
        let mut ranges: Vec<Chunk> = Vec::new();
        let mut last = None;
        for index in wanted {
            let Chunk { lower, upper } = all.get(*index)?.clone();
            match ranges.last_mut() {
                Some(range) if last.is_some_and(|last| last + 1 == *index) => range.upper = upper,
                _ => ranges.push(Chunk { lower, upper }),
            }
            last = Some(*index);
        }
        Some(Scope::Ranges { ranges, of: self.count() })
    }
}

fn compare(cell: Cell<'_>, bound: &KeyValue) -> Option<Ordering> {
    match (cell, bound) {
        (Cell::Int(value), KeyValue::Int(bound)) => Some(value.cmp(bound)),
        (Cell::Decimal { value, scale }, KeyValue::Decimal { value: bound, scale: other }) if scale == *other => {
            Some(value.cmp(bound))
        }
        (Cell::Date(days), KeyValue::Date(bound)) => Some(days.cmp(bound)),
        (Cell::Timestamp { days, ticks }, KeyValue::Timestamp { days: bound, ticks: of_day }) => {
            Some((days, ticks).cmp(&(*bound, *of_day)))
        }
        (Cell::Bytes(bytes), KeyValue::Bytes(bound)) => Some(bytes.cmp(bound.as_slice())),
        _ => None,
    }
}

/// The rows of some slices; of those, where they are too many for the job's memory at once, a share by their hashes.
#[derive(Debug, Clone, PartialEq)]
pub struct Part<'a> {
    pub slices: &'a Slices,
    /// Ascending.
    pub wanted: Vec<usize>,
    /// Which pass, of so many: a power of two.
    pub pass: (u32, u32),
}

impl Part<'_> {
    /// Whether a row is of the part.
    pub fn holds(&self, slice: usize, key_hash: u64) -> bool {
        let (number, of) = self.pass;
        (key_hash >> PASS_SHIFT) & Slices::mask(of) == u64::from(number) && self.wanted.binary_search(&slice).is_ok()
    }

    /// For a condition in SQL: by how many bits a hash is shifted, and the mask that is put on it then; nothing where there is one pass.
    pub fn pass_bits(&self) -> Option<(u32, u64, u32)> {
        let (number, of) = self.pass;
        (of > 1).then(|| (PASS_SHIFT, Slices::mask(of), number))
    }
}

/// Parts that hold at most about so many rows each. `differing`: slices, ascending, with how many rows they have.
pub fn parts<'a>(slices: &'a Slices, differing: &[(usize, u64)], most: u64) -> Vec<Part<'a>> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    let mut rows = 0;
    for (slice, of_slice) in differing {
        match parts.last_mut() {
            Some(part) if part.pass == (0, 1) && rows + of_slice <= most => part.wanted.push(*slice),
            _ => {
                rows = 0;
                let passes = of_slice.div_ceil(most.max(1)).max(1).next_power_of_two().min(1 << 30) as u32;
                parts.extend((0..passes).map(|pass| Part { slices, wanted: vec![*slice], pass: (pass, passes) }));
            }
        }
        rows += of_slice;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logical::LogicalType;
    use crate::model::read::ReadPlan;

    fn key(holds: LogicalType) -> KeyColumn {
        KeyColumn { name: "k".to_owned(), holds, read: ReadPlan::new(()), nullable: true }
    }

    #[test]
    fn each_row_is_in_the_slice_whose_range_holds_its_key() {
        let key = key(LogicalType::Int8);
        let slices = Slices::of(1_000_000, Some((&key, Some((KeyValue::Int(-500_000), KeyValue::Int(500_000))))));
        assert_eq!(slices.count(), 1_000);
        let bound = |key: &Option<Vec<KeyValue>>| match key.as_deref() {
            Some([KeyValue::Int(value)]) => Some(*value),
            _ => None,
        };
        for value in [i64::MIN, -500_000, -1, 0, 1, 499_999, 500_000, i64::MAX] {
            let slice = slices.slice_of(slices.range_of(Cell::Int(value)).unwrap(), 7);
            let Some(Scope::Ranges { ranges, .. }) = slices.scope(&[slice]) else { panic!("{slices:?}") };
            assert_eq!(ranges.len(), 1);
            assert!(bound(&ranges[0].lower).is_none_or(|lower| value >= lower), "{value} in {ranges:?}");
            assert!(bound(&ranges[0].upper).is_none_or(|upper| value < upper), "{value} in {ranges:?}");
        }
        assert_eq!(slices.range_of(Cell::Null), Some(0));
        assert_eq!(slices.range_of(Cell::Date(1)), None, "a value of another type");
        let Some(Scope::Ranges { ranges, .. }) = slices.scope(&[0, 1, 2, 7, 9]) else { panic!("{slices:?}") };
        assert_eq!(ranges.len(), 3, "neighbours are one range");
    }

    #[test]
    fn where_no_range_can_be_made_hashes_tell_slices_apart() {
        assert_eq!(Slices::of(10, None), Slices::One);
        let slices = Slices::of(1_000_000, None);
        assert_eq!(slices, Slices::Hashes(16_384));
        assert_eq!(slices.slice_of(0, 0xffff_0000_0000_4001), 1);
        assert_eq!(slices.scope(&[1]), None);
    }

    #[test]
    fn parts_hold_what_fits_and_passes_share_what_does_not() {
        let slices = Slices::Hashes(8);
        let parts = parts(&slices, &[(0, 10), (2, 20), (3, 90), (5, 400), (6, 1)], 100);
        let found: Vec<_> = parts.iter().map(|part| (part.wanted.clone(), part.pass)).collect();
        let fives = (0..4).map(|pass| (vec![5], (pass, 4)));
        let expected = [(vec![0, 2], (0, 1)), (vec![3], (0, 1))].into_iter().chain(fives).chain([(vec![6], (0, 1))]);
        assert_eq!(found, expected.collect::<Vec<_>>());
        for hash in [0, 1 << 32, 0xffff_ffff_ffff_fff5_u64] {
            assert_eq!(parts.iter().filter(|part| part.holds(5, hash)).count(), 1, "{hash:x}");
        }
    }
}
