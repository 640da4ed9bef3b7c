//! `sync-job verify`.

use tokio_util::sync::CancellationToken;

use super::args::Selected;
use super::output::print_report;
use super::wiring::WiredJob;
use crate::report::exit::ExitStatus;
use crate::report::progress::Display;

/// Compares both sides, naming at most `limit` rows of each table that differ. Without `repair` it writes nothing.
pub async fn run(
    selected: &Selected,
    limit: usize,
    repair: bool,
    display: &Display,
    cancel: CancellationToken,
) -> anyhow::Result<ExitStatus> {
    let job = WiredJob::open(selected).await?;
    let done = job.verify(limit, repair, display.start(), cancel).await;
    print_report(&done, selected.format)
}
