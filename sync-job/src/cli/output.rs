//! What goes to standard output and standard error.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;

use super::args::Format;
use crate::report::exit::ExitStatus;
use crate::report::{Failure, RunReport, render};

/// A failure before there is a report, on standard error; values of rows only where that is a terminal.
pub fn print_failure(failure: &Failure) {
    let message =
        if std::io::stderr().is_terminal() { failure.message.with_values() } else { failure.message.to_string() };
    eprintln!("{message}\n  → {}", failure.remedy);
}

/// Prints the report. Values of rows are for a terminal: what goes into a file or a pipe may be a log or a mail next.
pub fn print_report(report: &RunReport, format: Format) -> anyhow::Result<ExitStatus> {
    match format {
        Format::Text if std::io::stdout().is_terminal() => print(&render(&report.with_values()))?,
        Format::Text => print(&render(report))?,
        Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(&report.json()?)?))?,
    }
    Ok(report.exit_status())
}

pub fn write_json(path: &Path, report: &RunReport) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(&report.json()?)?;
    std::fs::write(path, text).with_context(|| format!("the report cannot be written to {}", path.display()))
}

/// A reader that went away (`| head`) is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output cannot be written to"),
    }
}
