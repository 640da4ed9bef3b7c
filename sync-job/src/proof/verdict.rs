//! Digests of both sides → verdict. Knows neither loading nor swapping.

use crate::model::human::{count, counted};
use crate::rows::digest::TableDigest;

/// What the comparison of both sides says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every cell that was read is what the target holds.
    Match(Proof),
    Mismatch {
        read: TableDigest,
        held: TableDigest,
    },
    Unverifiable(String),
}

/// Evidence of a match; only [`compare`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    digest: TableDigest,
}

impl Proof {
    pub fn digest(&self) -> TableDigest {
        self.digest
    }
}

/// Compares what was read with what the target holds.
pub fn compare(read: TableDigest, held: TableDigest) -> Verdict {
    if read == held { Verdict::Match(Proof { digest: read }) } else { Verdict::Mismatch { read, held } }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verdict::Match(_) => f.write_str("verified"),
            Verdict::Mismatch { read, held } if read.rows != held.rows => {
                write!(f, "{} rows were read and the target holds {}", read.rows, held.rows)
            }
            Verdict::Mismatch { read, .. } => {
                write!(f, "{} rows on both sides, but at least one value differs", read.rows)
            }
            Verdict::Unverifiable(reason) => write!(f, "not verifiable: {reason}"),
        }
    }
}

/// The digest as people compare it: rows and sum.
pub fn digest_text(digest: TableDigest) -> String {
    format!("{}:{:032x}", digest.rows, digest.sum)
}

/// `5 rows, and WHO 6`, or that as many rows have other values.
pub fn instead(found: TableDigest, who: &str, wanted: TableDigest) -> String {
    let rows = counted(found.rows, "row", "rows");
    if found.rows == wanted.rows {
        format!("{rows}, as {who}, and at least one of other values")
    } else {
        format!("{rows}, and {who} {}", count(wanted.rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_digests_match() {
        let digest = TableDigest { rows: 3, sum: -7 };
        assert!(matches!(compare(digest, digest), Verdict::Match(_)));
        assert!(matches!(compare(digest, TableDigest { rows: 3, sum: -8 }), Verdict::Mismatch { .. }));
        assert!(matches!(compare(digest, TableDigest { rows: 4, sum: -7 }), Verdict::Mismatch { .. }));
    }
}
