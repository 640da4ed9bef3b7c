//! The sole maker of a [`SwapTicket`]: a swap without proof does not compile.

use crate::model::error::{Error, Kind, Result, Side};
use crate::model::stage::Stage;
use crate::plan::TablePlan;
use crate::proof::verdict::{Proof, Verdict};
use crate::proof::witness::Outcome;
use crate::rows::digest::TableDigest;
use crate::rows::message::Message;

/// The right to put a staging table's rows before the readers.
#[derive(Debug)]
pub struct SwapTicket {
    proof: Proof,
}

impl SwapTicket {
    /// Issues a ticket for a matching verdict that the source's witness does not contradict, unless the table shrank by more than the
    /// job file allows. An error comes with its stage.
    ///
    /// `present` is the exact row count of the table that readers see now, needed only where the guard is set.
    pub fn issue(
        table: &TablePlan,
        verdict: Verdict,
        witnessed: Outcome,
        present: Option<u64>,
    ) -> std::result::Result<Self, (Stage, Error)> {
        let proof = match verdict {
            Verdict::Match(proof) => proof,
            other => {
                let error = Error::new(Side::Target, Kind::Mismatch, format!("{}: {other}", table.target));
                return Err((Stage::Verify, error));
            }
        };
        refuse_difference(table, &witnessed).map_err(|error| (Stage::Witness, error))?;
        if let Some(present) = present {
            refuse_shrinking(table, present, proof.digest().rows).map_err(|error| (Stage::Verify, error))?;
        }
        Ok(Self { proof })
    }

    /// The digest that the readers' rows will have.
    pub fn digest(&self) -> TableDigest {
        self.proof.digest()
    }
}

/// An error where a table of `present` rows would keep fewer than the job file allows.
pub fn refuse_shrinking(table: &TablePlan, present: u64, rows: u64) -> Result<()> {
    let Some(percent) = table.max_shrink_percent else { return Ok(()) };
    let lost = present.saturating_sub(rows);
    if u128::from(lost) * 100 <= u128::from(present) * u128::from(percent) {
        return Ok(());
    }
    let message =
        format!("{} would shrink from {present} to {rows} rows, and max_shrink_percent is {percent}", table.target);
    Err(Error::new(Side::Job, Kind::ShrinkGuard, message))
}

/// An error where the source's own engine says otherwise than the target.
pub fn refuse_difference(table: &TablePlan, witnessed: &Outcome) -> Result<()> {
    match witnessed {
        Outcome::Agrees(_) | Outcome::Moved(_) | Outcome::Silent(_) => Ok(()),
        Outcome::Differs(difference) => {
            let place = format!("{} → {}: ", table.source, table.target);
            let message = Message::default().words(place).message(&difference.message());
            Err(Error::new(Side::Source, Kind::Mismatch, message))
        }
    }
}
