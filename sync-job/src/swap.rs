//! The sole maker of a [`SwapTicket`]: a swap without proof does not compile.

use crate::digest::TableDigest;
use crate::error::{Error, Kind, Result, Side};
use crate::plan::TablePlan;
use crate::verify::{Proof, Verdict};

/// The right to put a staging table's rows before the readers.
#[derive(Debug)]
pub struct SwapTicket {
    proof: Proof,
}

impl SwapTicket {
    /// Issues a ticket for a matching verdict, unless the table shrank by more than the job file allows.
    ///
    /// `present` is the exact row count of the table that readers see now, needed only where the guard is set.
    pub fn issue(table: &TablePlan, verdict: Verdict, present: Option<u64>) -> Result<Self> {
        let proof = match verdict {
            Verdict::Match(proof) => proof,
            other => {
                return Err(Error::new(Side::Target, Kind::Mismatch, format!("{}: {other}", table.target)));
            }
        };
        if let (Some(percent), Some(present)) = (table.max_shrink_percent, present) {
            let rows = proof.digest().rows;
            let lost = present.saturating_sub(rows);
            if u128::from(lost) * 100 > u128::from(present) * u128::from(percent) {
                return Err(Error::new(
                    Side::Job,
                    Kind::Refused,
                    format!(
                        "{} would shrink from {present} to {rows} rows, and max_shrink_percent is {percent}",
                        table.target
                    ),
                ));
            }
        }
        Ok(Self { proof })
    }

    /// The digest that the readers' rows will have.
    pub fn digest(&self) -> TableDigest {
        self.proof.digest()
    }
}
