//! Runs the subset of T-SQL that the tests and the demo need, on top of SQLite.
//!
//! This crate knows nothing of the wire: [`value`] holds what travels between it and the protocol server.

pub mod value;
