//! The order-free digest of a table's cells.
//!
//! A row's hash is PostgreSQL's `hash_record_extended` over its cells (31·h + cell, NULL = 0), which is linear: two rows
//! that exchange a value would keep the sum. So the row's hash is hashed once more before it is added up. The sum of those
//! over all rows, with the row count, is the digest: the same whatever the order of rows, and of chunks.
//!
//! The hash is `hash_bytes_extended` of PostgreSQL's `common/hashfn.c` (Bob Jenkins' lookup3, public domain), which hash
//! partitioning keeps stable across versions and little-endian platforms.

/// Rows and the wrapped sum of their hashes. Digests of disjoint sets of rows add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableDigest {
    pub rows: u64,
    /// Sum of the rows' hashes as signed 64-bit integers; cannot overflow below 2^63 rows.
    pub sum: i128,
}

impl TableDigest {
    /// Counts one row in.
    pub fn add_row(&mut self, hash: RowHash) {
        self.rows += 1;
        self.sum += i128::from(hash.finish());
    }

    /// Joins the digest of other rows of the same table.
    pub fn merge(&mut self, other: TableDigest) {
        self.rows += other.rows;
        self.sum += other.sum;
    }
}

impl TableDigest {
    /// What is left without some of the rows. Nothing where they cannot all have been among them.
    pub fn without(self, other: TableDigest) -> Option<TableDigest> {
        Some(TableDigest { rows: self.rows.checked_sub(other.rows)?, sum: self.sum - other.sum })
    }
}

/// The hash of one row, built cell by cell in column order.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowHash(u64);

impl RowHash {
    /// Adds the next cell; 0 stands for NULL.
    pub fn push(&mut self, cell: u64) {
        self.0 = (self.0 << 5).wrapping_sub(self.0).wrapping_add(cell);
    }

    fn finish(self) -> i64 {
        hash_bytes(&self.0.to_be_bytes()) as i64
    }
}

/// `hash_bytes_extended(bytes, 0)`.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    // PostgreSQL's values are at most 1 GB long.
    let start = 0x9e37_79b9_u32.wrapping_add(bytes.len() as u32).wrapping_add(3_923_095);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut words = bytes.chunks_exact(12);
    for word in &mut words {
        a = a.wrapping_add(u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        b = b.wrapping_add(u32::from_le_bytes([word[4], word[5], word[6], word[7]]));
        c = c.wrapping_add(u32::from_le_bytes([word[8], word[9], word[10], word[11]]));
        mix(&mut a, &mut b, &mut c);
    }
    let rest = words.remainder();
    let mut tail = [0_u8; 12];
    // The lowest byte of c is reserved for the length, so bytes 8.. shift up by one.
    let low = rest.len().min(8);
    tail[..low].copy_from_slice(&rest[..low]);
    if rest.len() > 8 {
        tail[9..=rest.len()].copy_from_slice(&rest[8..]);
    }
    a = a.wrapping_add(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    b = b.wrapping_add(u32::from_le_bytes([tail[4], tail[5], tail[6], tail[7]]));
    c = c.wrapping_add(u32::from_le_bytes([tail[8], tail[9], tail[10], tail[11]]));
    finish(a, b, c)
}

/// `hash_bytes_uint32_extended(value, 0)`, the hash of bool, smallint, integer and date.
pub fn hash_u32(value: u32) -> u64 {
    let start = 0x9e37_79b9_u32.wrapping_add(4).wrapping_add(3_923_095);
    finish(start.wrapping_add(value), start, start)
}

#[inline]
fn mix(a: &mut u32, b: &mut u32, c: &mut u32) {
    *a = a.wrapping_sub(*c) ^ c.rotate_left(4);
    *c = c.wrapping_add(*b);
    *b = b.wrapping_sub(*a) ^ a.rotate_left(6);
    *a = a.wrapping_add(*c);
    *c = c.wrapping_sub(*b) ^ b.rotate_left(8);
    *b = b.wrapping_add(*a);
    *a = a.wrapping_sub(*c) ^ c.rotate_left(16);
    *c = c.wrapping_add(*b);
    *b = b.wrapping_sub(*a) ^ a.rotate_left(19);
    *a = a.wrapping_add(*c);
    *c = c.wrapping_sub(*b) ^ b.rotate_left(4);
    *b = b.wrapping_add(*a);
}

#[inline]
fn finish(mut a: u32, mut b: u32, mut c: u32) -> u64 {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    c = (c ^ b).wrapping_sub(b.rotate_left(24));
    (u64::from(b) << 32) | u64::from(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&[u64]]) -> TableDigest {
        let mut digest = TableDigest::default();
        for row in rows {
            let mut hash = RowHash::default();
            for cell in *row {
                hash.push(*cell);
            }
            digest.add_row(hash);
        }
        digest
    }

    /// Values from `hashtextextended(text, 0)` and `hashint4extended(int, 0)` of PostgreSQL 15.
    #[test]
    fn hashes_agree_with_postgresql() {
        for (text, hash) in [
            ("", -6_939_563_903_564_495_251_i64),
            ("a", 3_591_986_179_850_072_241),
            ("12345678", -2_672_274_306_434_209_449),
            ("123456789", 5_342_912_370_613_372_840),
            ("12345678901", 4_122_666_949_334_920_506),
            ("the quick brown fox jumps over the lazy dog", -6_494_288_192_639_172_655),
        ] {
            assert_eq!(hash_bytes(text.as_bytes()) as i64, hash, "{text}");
        }
        assert_eq!(hash_u32(42) as i64, 8_010_225_493_015_854_792);
        assert_eq!(hash_u32(u32::MAX) as i64, -1_888_257_769_727_981_238);
    }

    #[test]
    fn exchanged_values_change_the_digest() {
        assert_ne!(digest(&[&[1, 2], &[3, 4]]), digest(&[&[1, 4], &[3, 2]]));
        assert_eq!(digest(&[&[1, 2], &[3, 4]]), digest(&[&[3, 4], &[1, 2]]));
        assert_ne!(digest(&[&[1, 2], &[1, 2]]), digest(&[&[1, 2]]));
        assert_ne!(digest(&[&[0, 2]]), digest(&[&[2, 0]]));
    }
}
