//! `cargo xtask ci`: what must pass before a change lands.

use crate::{build, lint, phases::Phases, test};
use anyhow::Result;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// For a clone where nothing was built: clippy checks each crate as it is built, instead of all of them before the tests
    #[arg(long)]
    from_nothing: bool,
}

pub fn run(options: &Options) -> Result<()> {
    let mut phases = Phases::begin();
    let result = lint::without_clippy(&mut phases)
        .and_then(|()| {
            if options.from_nothing {
                build::lint_what_is_built();
                return Ok(());
            }
            lint::clippy(&mut phases)
        })
        .and_then(|()| test::everything(&mut phases));
    println!("\n{}", phases.table());
    result
}
