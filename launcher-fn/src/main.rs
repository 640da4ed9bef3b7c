//! The Lambda function that starts the instance on which `sync-job` runs.
//!
//! Not built yet: this binary says so and fails, so that nobody deploys it by mistake.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("launcher-fn is not implemented yet: start sync-job by hand, see README.md");
    ExitCode::FAILURE
}
