//! `cargo xtask ci`: what must pass before a change lands.

use crate::{lint, phases::Phases, test};
use anyhow::Result;

pub fn run() -> Result<()> {
    let mut phases = Phases::begin();
    let result = lint::phases(&mut phases).and_then(|()| test::everything(&mut phases));
    println!("\n{}", phases.table());
    result
}
