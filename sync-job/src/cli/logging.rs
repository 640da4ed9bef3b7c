//! Log lines on standard error.

use std::io::Write;

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::args::{Global, LogFormat};
use crate::report::progress::Display;

/// What the databases' drivers log may hold values of rows: servers' messages, parameters of statements. A log that is no terminal
/// may be anywhere next.
const DRIVERS: [&str; 6] = ["tiberius", "sqlx", "sqlx_core", "sqlx_postgres", "mysql_async", "mysql_common"];

/// Starts logging. `RUST_LOG` overrides the command line. `terminal`: whether a person reads standard error here, and no log
/// keeps it.
pub fn init(global: &Global, display: &Display, terminal: bool) {
    let level = match (global.quiet, global.verbose) {
        // The driver logs every error that it also returns; said once is enough.
        // So do AWS's libraries, at length.
        (true, _) => "warn,tiberius=off,aws_config=error",
        (false, 0) => "warn,tiberius=off,aws_config=error,sync_job=info",
        (false, 1) => "info,tiberius=off,sync_job=debug",
        (false, _) => "debug",
    };
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    if !terminal {
        let off = DRIVERS.iter().filter_map(|driver| format!("{driver}=off").parse().ok());
        filter = off.fold(filter, EnvFilter::add_directive);
    }
    let writer = StandardError {
        bars: match display {
            Display::Bars(bars) => Some(bars.clone()),
            Display::Lines | Display::Silent => None,
        },
    };
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(writer);
    match global.log_format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// Standard error, the progress bars lifted out of the way while a line is written.
struct StandardError {
    bars: Option<MultiProgress>,
}

impl<'a> MakeWriter<'a> for StandardError {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { bars: self.bars.as_ref() }
    }
}

struct Line<'a> {
    bars: Option<&'a MultiProgress>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.bars {
            Some(bars) => bars.suspend(|| std::io::stderr().write(bytes)),
            None => std::io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
