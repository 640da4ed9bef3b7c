//! Copies SQL Server tables to PostgreSQL.
pub mod cell;
pub mod chunk;
pub mod config;
pub mod digest;
pub mod error;
pub mod load;
pub mod plan;
pub mod retry;
pub mod schema;
pub mod secret;
pub mod source;
pub mod swap;
pub mod target;
pub mod text;
pub mod type_map;
pub mod verify;
