//! Runs the subset of T-SQL that the tests and the demo need, on top of SQLite.
//!
//! This crate knows nothing of the wire: [`value`] holds what travels between it and the protocol server.
//! A batch is parsed (`script`, `ddl_parse`), translated to SQLite's SQL with SQL Server's types (`bind`, `expr`,
//! `predicate`, `select`, `from`, `builtin`, `aggregate`, `system`), and run (`run`, `dml`, `update`, `ddl`, `bulk`); rows stream to an
//! [`value::Output`]. `writes`, `transactions` and `locks` let several sessions have changes that are not committed; `tracking` and
//! `changetable` are Change Tracking.
//! `permissions` knows who may do and see what. What the parser takes and nothing reads is refused by `unsupported` and `options`.

#![allow(
    clippy::format_push_string,
    clippy::too_many_lines,
    reason = "SQL text is put together piece by piece, and tables of statements or views read best as one list"
)]
#![allow(
    clippy::match_same_arms,
    clippy::struct_excessive_bools,
    reason = "arms and flags follow SQL Server's own tables, whose rows may happen to agree"
)]
#![allow(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    clippy::trivially_copy_pass_by_ref,
    reason = "steps of the translation share one form of signature"
)]

mod aggregate;
mod answers;
mod bind;
mod builtin;
mod bulk;
mod call;
mod catalog;
mod catalog_views;
mod changetable;
mod characters;
mod clr;
mod codec;
mod collation;
mod collation_names;
mod constraint;
mod convert;
mod convert_text;
mod counters;
mod date_parts;
mod datetime;
mod ddl;
mod ddl_ast;
mod ddl_parse;
mod describe;
mod dml;
mod env;
mod error;
mod expr;
mod from;
mod functions;
mod grant_parse;
mod graph;
mod hierarchy;
mod instance;
mod like;
mod locks;
mod native;
mod options;
mod permissions;
mod predicate;
mod procedures;
mod quirks;
mod references;
mod restore;
mod run;
mod script;
mod select;
mod server_views;
mod session;
mod system;
mod temporal;
mod text_functions;
mod tokens;
mod tpch;
mod tracking;
mod tracking_ddl;
mod tracking_views;
mod transactions;
mod types;
mod unsupported;
mod update;
pub mod value;
mod version;
mod writes;

pub use answers::{Answers, UnicodeBytes, falsified};
pub use bulk::Bulk;
pub use instance::{DatabaseInfo, Instance, ScriptError, SessionInfo};
pub use quirks::Quirks;
pub use session::{LoginRequest, Session, Watch};
pub use types::type_name;
pub use version::Version;
