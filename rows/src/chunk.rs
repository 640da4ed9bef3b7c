//! Ranges of a key: every row lies in exactly one chunk, rows with a NULL key included. Knows neither SQL nor async.

/// A value of a key column.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyValue {
    Int(i64),
    /// `value / 10^scale`.
    Decimal {
        value: i128,
        scale: u8,
    },
    /// Days since 0001-01-01.
    Date(i32),
    /// Days since 0001-01-01 and units of 100 ns.
    Timestamp {
        days: i32,
        ticks: u64,
    },
    /// RFC 4122 byte order.
    Uuid([u8; 16]),
    /// ASCII only: compared by the source in the column's own collation.
    Text(String),
    /// Not ending with a zero byte, which SQL Server does not count.
    Bytes(Vec<u8>),
}

/// A point between rows: the values of the key columns, in order.
pub type Key = Vec<KeyValue>;

/// The rows with `lower <= key < upper`; an absent bound is open. The first chunk also takes rows whose key is NULL.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chunk {
    pub lower: Option<Key>,
    pub upper: Option<Key>,
}

impl Chunk {
    /// The whole table.
    pub fn whole() -> Self {
        Self::default()
    }

    /// Whether rows with a NULL key belong here.
    pub fn takes_nulls(&self) -> bool {
        self.lower.is_none()
    }
}

/// Chunks between the given bounds, which must ascend in the source's order; equal neighbours are joined.
pub fn between(mut bounds: Vec<Key>) -> Vec<Chunk> {
    bounds.dedup();
    let mut chunks = Vec::with_capacity(bounds.len() + 1);
    let mut lower = None;
    for bound in bounds {
        chunks.push(Chunk { lower, upper: Some(bound.clone()) });
        lower = Some(bound);
    }
    chunks.push(Chunk { lower, upper: None });
    chunks
}

/// Up to `count - 1` bounds that split `min..=max` evenly.
pub fn split_integers(min: i64, max: i64, count: u64) -> Vec<Key> {
    let width = i128::from(max) - i128::from(min) + 1;
    let mut bounds: Vec<Key> = Vec::new();
    for index in 1..i128::from(count.max(1)) {
        let offset = width * index / i128::from(count);
        if offset > 0 {
            // Between min and max, so it fits.
            bounds.push(vec![KeyValue::Int((i128::from(min) + offset) as i64)]);
        }
    }
    bounds.dedup();
    bounds
}

/// Up to `count - 1` bounds that split the instants evenly; `make` turns ticks since 0001-01-01 into the key's type.
pub fn split_ticks(min: i64, max: i64, count: u64, make: impl Fn(i64) -> KeyValue) -> Vec<Key> {
    let mut bounds: Vec<Key> = split_integers(min, max, count)
        .into_iter()
        .filter_map(|key| match key.first() {
            Some(KeyValue::Int(ticks)) => Some(vec![make(*ticks)]),
            _ => None,
        })
        .collect();
    bounds.dedup();
    bounds
}

/// Takes any number of ascending keys and keeps few of them, at even distances: bounds of about `count` chunks.
#[derive(Debug)]
pub struct Thinning {
    count: usize,
    /// Every `stride`-th key is kept; it doubles whenever too many are.
    stride: u64,
    seen: u64,
    kept: Vec<Key>,
}

impl Thinning {
    pub fn new(count: u64) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX).max(1);
        Self { count, stride: 1, seen: 0, kept: Vec::new() }
    }

    pub fn push(&mut self, key: Key) {
        self.seen += 1;
        if !self.seen.is_multiple_of(self.stride) {
            return;
        }
        self.kept.push(key);
        if self.kept.len() >= self.count.saturating_mul(2) {
            let mut index = 0;
            // The second of each pair, as if the stride had been twice as long from the start.
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 0
            });
            self.stride *= 2;
        }
    }

    /// At most `count` bounds.
    pub fn finish(self) -> Vec<Key> {
        let step = self.kept.len().div_ceil(self.count).max(1);
        self.kept.into_iter().skip(step - 1).step_by(step).collect()
    }
}

/// How many chunks a table of `rows` rows and `bytes` bytes is worth.
///
/// At least one a reader once the table is worth splitting, so that readers share it; more for large tables, so that a
/// retry repeats little and the slowest chunk does not leave the others waiting.
pub fn count(rows: u64, bytes: u64, readers: usize, chunk_rows: Option<u64>) -> u64 {
    /// Below this a second connection costs more than it saves.
    const WORTH_SPLITTING: u64 = 50_000;
    /// What a retry may repeat.
    const CHUNK_BYTES: u64 = 64 << 20;
    /// Statistics may be wildly off; no table needs more.
    const MOST: u64 = 4_096;
    if let Some(chunk_rows) = chunk_rows {
        return rows.div_ceil(chunk_rows.max(1)).clamp(1, MOST);
    }
    if rows < WORTH_SPLITTING && bytes < CHUNK_BYTES {
        return 1;
    }
    let readers = readers as u64;
    bytes.div_ceil(CHUNK_BYTES).max(readers).next_multiple_of(readers.max(1)).clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(chunk: &Chunk, key: Option<i64>) -> bool {
        let Some(key) = key else { return chunk.takes_nulls() };
        let bound = |side: &Option<Key>| match side.as_deref() {
            Some([KeyValue::Int(value)]) => Some(*value),
            _ => None,
        };
        bound(&chunk.lower).is_none_or(|lower| key >= lower) && bound(&chunk.upper).is_none_or(|upper| key < upper)
    }

    proptest! {
        #[test]
        fn every_key_is_in_exactly_one_chunk(min: i64, max: i64, count in 1_u64..200, keys: Vec<i64>) {
            let (min, max) = (min.min(max), min.max(max));
            let chunks = between(split_integers(min, max, count));
            prop_assert!(chunks.len() as u64 <= count);
            let edges = chunks.iter().filter_map(|chunk| match chunk.upper.as_deref() {
                Some([KeyValue::Int(value)]) => Some(*value),
                _ => None,
            });
            let edges: Vec<i64> = edges.flat_map(|edge| [edge.saturating_sub(1), edge, edge.saturating_add(1)]).collect();
            for key in keys.into_iter().chain(edges).chain([min, max, i64::MIN, i64::MAX]).map(Some).chain([None]) {
                prop_assert_eq!(chunks.iter().filter(|chunk| holds(chunk, key)).count(), 1, "{:?}", key);
            }
        }

        #[test]
        fn thinned_keys_are_few_and_evenly_apart(keys in 0_i64..5_000, count in 1_u64..40) {
            let mut thinning = Thinning::new(count);
            (1..=keys).for_each(|key| thinning.push(vec![KeyValue::Int(key)]));
            let bounds: Vec<i64> = thinning
                .finish()
                .into_iter()
                .map(|key| match key[0] { KeyValue::Int(value) => value, _ => 0 })
                .collect();
            prop_assert!(bounds.len() as u64 <= count);
            prop_assert!(bounds.len() as i64 >= keys.min(count as i64) / 4);
            prop_assert!(bounds.windows(3).all(|three| three[1] - three[0] == three[2] - three[1]));
        }

        #[test]
        fn chunk_counts_are_sane(rows: u64, bytes: u64, readers in 1_usize..64) {
            let chunks = count(rows, bytes, readers, None);
            prop_assert!((1..=4_096).contains(&chunks));
        }
    }

    #[test]
    fn a_single_value_is_one_chunk() {
        assert_eq!(between(split_integers(5, 5, 8)).len(), 1);
        assert_eq!(split_integers(i64::MIN, i64::MAX, 2), vec![vec![KeyValue::Int(0)]]);
    }
}
