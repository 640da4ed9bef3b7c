//! `cargo xtask ci`: what must pass before a change lands.

use crate::{build, lint, phases::Phases, test};
use anyhow::Result;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Nothing was built before: clippy looks at each crate when it is built, instead of at all of them and their dependencies first
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
