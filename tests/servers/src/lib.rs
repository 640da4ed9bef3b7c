//! Servers for the tests, the demo and the benchmark, and the means to never leave one behind.
//!
//! Few and small dependencies: `xtask` depends on this crate and must compile in a moment.

pub mod cloud;
pub mod guard;
pub mod machine;
pub mod mysql;
pub mod postgres;
mod scratch;
pub mod simulator;

pub use scratch::ScratchDir;

/// A word as a shell takes it, whatever is in it.
pub fn shell_quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
