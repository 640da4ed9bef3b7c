//! `sync-job` with decoders that are wrong on purpose; see `sources::sqlserver::broken`. Tests alone build it.

#[path = "../main.rs"]
mod job;

fn main() -> std::process::ExitCode {
    job::main()
}
