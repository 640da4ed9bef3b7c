//! What the integration tests stand on: real servers, real binaries, and nothing left behind.
//!
//! - [`target::TestTarget`]: an empty database on a private PostgreSQL that the whole test binary shares.
//! - [`source::TestSource`]: a database on the simulator, or on the SQL Server that `SYNC_TEST_MSSQL` names.
//! - [`job::Job`]: a job file and the real `sync-job` that runs it.
//! - [`logins::Login`]: a login of the target that may do what the README asks for.
//! - [`cases`]: regression cases, a directory each.

pub mod cases;
pub mod certificates;
pub mod job;
pub mod logins;
pub mod matrix;
pub mod mysql_proxy;
pub mod postgres_proxy;
pub mod source;
pub mod target;
pub mod tripwire;
pub mod wire;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// The directory of this crate.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// For how long a test with random inputs begins anew, where somebody soaks (`cargo xtask soak`).
pub fn soak() -> Option<Duration> {
    let minutes = std::env::var("STOPGAP_SOAK_MINUTES").ok()?;
    Some(Duration::from_secs(60 * minutes.parse::<u64>().ok()?))
}

/// A binary of this workspace: the one that `variable` names, else the one beside the test binary's directory.
pub fn program(variable: &str, name: &str) -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Ok(named.into());
    }
    // target/debug/deps/all-0123 → target/debug/name
    let ours = std::env::current_exe()?;
    let beside = ours.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|path| path.is_file());
    beside.ok_or_else(|| anyhow::anyhow!("{name} is not built: run `cargo xtask test`, or set {variable}"))
}
