//! Runs the subset of T-SQL that the tests and the demo need, on typed rows in memory.
//!
//! [`Instance`] is a server, [`Session`] a connection. A batch is parsed ([`ast`]), its expressions are bound to types and
//! columns, and its rows go to an [`value::Output`] as they come. What is not known is an error that says so, never a guess.
//! This crate knows nothing of the wire: [`value`] holds what travels between it and the protocol server.

mod aggregate;
pub mod ast;
mod bind;
mod calendar;
mod catalog;
mod compare;
mod convert;
mod eval;
mod expressions;
mod functions;
mod instance;
mod modify;
mod query;
mod select;
mod session;
mod statements;
mod storage;
mod tokens;
mod tpch;
mod types;
pub mod value;

pub use convert::render;
pub use instance::{Instance, LoggedBatch, LoginRequest, ScriptError};
pub use session::Session;
