//! Log lines on standard error.

use tracing_subscriber::EnvFilter;

use super::{Global, LogFormat};

/// Starts logging. `RUST_LOG` overrides the command line.
pub fn init(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "warn",
        (false, 0) => "warn,sync_job=info",
        (false, 1) => "info,sync_job=debug",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match global.log_format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}
