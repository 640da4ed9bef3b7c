//! `sync-job verify`.

use tokio_util::sync::CancellationToken;

use super::args::Selected;
use super::output::print_report;
use super::wiring::WiredJob;
use crate::report::exit::ExitStatus;
use crate::report::progress::Display;

/// Compares both sides without writing anything.
pub async fn run(selected: &Selected, display: &Display, cancel: CancellationToken) -> anyhow::Result<ExitStatus> {
    let job = WiredJob::open(selected).await?;
    let done = job.verify(display.start(), cancel).await;
    print_report(&done, selected.format)
}
