//! Copies SQL Server tables to PostgreSQL.
pub mod cell;
pub mod digest;
pub mod load;
pub mod schema;
pub mod target;
pub mod text;
pub mod type_map;
