//! Indexes that a server refuses although the plan expects them.

use crate::model::error::{Error, Result};
use crate::model::schema::IndexKind;
use crate::plan::IndexPlan;
use crate::plan::not_created::{NotCreated, What, Why};

/// What a refusal because of length means: a table does without a plain index, and a unique one fails it.
pub(super) fn left_out(index: &IndexPlan, error: Error) -> Result<NotCreated> {
    if index.kind != IndexKind::Plain {
        let advice = "Shorten the values at the source, or leave the table's indexes out (indexes = \"none\" or \"primary-key\").";
        return Err(error.advise(advice));
    }
    tracing::warn!(index = %index.name, error = error.chain(), "the table goes without this index");
    Ok(NotCreated::new(What::Index, &index.name, Why::RefusedForLength))
}
