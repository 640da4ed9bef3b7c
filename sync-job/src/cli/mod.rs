//! The command line: [`args`] is what can be typed; a file for each command takes it to an exit status.

mod args;
mod boot;
mod check;
mod history;
mod init;
pub mod logging;
mod output;
mod plan;
mod run;
mod state;
mod verify;
mod wiring;

use tokio_util::sync::CancellationToken;

pub use args::{Cli, Command, LogFormat};

use crate::report::exit::ExitStatus;
use crate::report::progress::Display;

/// Runs the command. Errors are of the configuration; what happens later is in reports.
pub async fn run(cli: Cli, display: &Display, cancel: CancellationToken) -> anyhow::Result<ExitStatus> {
    match cli.command {
        Command::Run { selected, dry_run: true, .. } | Command::Plan { selected } => {
            until_cancelled(&cancel, plan::run(&selected)).await
        }
        Command::Run { selected, dry_run: false, report, notify } => {
            run::run(&selected, report.as_deref(), notify, display, cancel).await
        }
        Command::Verify { selected, limit, repair } => verify::run(&selected, limit, repair, display, cancel).await,
        Command::Check { selected } => until_cancelled(&cancel, check::run(&selected)).await,
        Command::State { command } => until_cancelled(&cancel, state::run(&command)).await,
        Command::Init(init) => until_cancelled(&cancel, init::run(&init)).await,
        Command::History(history) => until_cancelled(&cancel, history::run(&history)).await,
        Command::Boot(boot) => boot::run(&boot, display, cancel).await,
    }
}

/// Work that only reads can be left where it is.
async fn until_cancelled(
    cancel: &CancellationToken,
    work: impl Future<Output = anyhow::Result<ExitStatus>>,
) -> anyhow::Result<ExitStatus> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Ok(ExitStatus::Interrupted),
        status = Box::pin(work) => status,
    }
}
