//! Writes down what the next run goes on from.

use chrono::Utc;

use super::Context;
use super::table::Basis;
use crate::model::state::TableState;
use crate::plan::why_full::WhyFull;
use crate::plan::{TablePlan, incremental};
use crate::report::{ChangesReport, TableReport};
use crate::sources::Source;
use crate::targets::Target;

/// After a table was copied whole and swapped in: what the next run goes on from. Where it cannot be written down the copy is as good, and
/// the next one is whole again.
pub async fn remember<S: Source, T: Target>(
    context: &Context<S, T>,
    table: &TablePlan,
    basis: Basis,
    report: &mut TableReport,
) {
    let Some(tracking) = basis.tracking else {
        // That comes before whatever else kept the run from following changes. The plan has warned of it.
        report.changes = Some(ChangesReport::whole(WhyFull::Untracked));
        return;
    };
    if let Some(changes) = &mut report.changes {
        changes.to_version = Some(tracking.now.version);
    }
    let state = TableState {
        position: tracking.now,
        fingerprint: incremental::fingerprint(table),
        digest: basis.digest,
        applied: 0,
        full_at: Utc::now(),
    };
    let what = format!("{}: remembering how far it was copied", table.target);
    let remember = || context.target.remember(&table.target, &state);
    if let Err(error) = context.policy.retry(&what, &mut report.retries, remember).await {
        report.warnings.push(format!("the next run copies the whole table again: {}", error.whole()));
    }
}
