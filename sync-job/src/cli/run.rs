//! `sync-job run`.

use std::path::Path;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::args::Selected;
use super::output::{print_report, write_json};
use super::wiring::WiredJob;
use crate::cloud::notify::{Notifier, RunSummary};
use crate::report::exit::ExitStatus;
use crate::report::progress::Display;

/// Copies the tables; `report`: where the report goes as JSON, too; `notify`: whether the summary is published.
pub async fn run(
    selected: &Selected,
    report: Option<&Path>,
    notify: bool,
    display: &Display,
    cancel: CancellationToken,
) -> anyhow::Result<ExitStatus> {
    let job = WiredJob::open(selected).await?;
    if let Some(path) = report {
        can_be_written(path)?;
    }
    let notifier = Notifier::of_command(job.config(), notify).await?;
    notifier.begin(&job.config().name, job.run_id()).await;
    let done = job.run(display.start(), cancel).await;
    // People are notified even where the report cannot be written any more.
    notifier.end(&RunSummary::of(&done)?).await;
    let status = print_report(&done, selected.format)?;
    if let Some(path) = report {
        write_json(path, &done)?;
    }
    Ok(status)
}

/// A run of hours should not end with a report that has no place to go to.
fn can_be_written(path: &Path) -> anyhow::Result<()> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("--report: {} cannot be written", path.display()))?;
    Ok(())
}
