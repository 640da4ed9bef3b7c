//! Copies SQL Server tables to PostgreSQL or MySQL, proves that they are right, and swaps them in.
//!
//! The tour: [`job`] runs a job from plan to report. [`plan`] decides everything from two schemas, without I/O.
//! [`pipeline`] moves the rows between the two traits [`source::Source`] and [`target::Target`]. [`digest`] and [`verify`]
//! prove them, and only a proof gives the [`swap::SwapTicket`] with which a target puts them before readers.

pub mod announce;
pub mod aws;
pub mod boot;
pub mod cell;
pub mod chunk;
pub mod cli;
pub mod config;
pub mod digest;
pub mod error;
pub mod exit;
pub mod job;
pub mod load;
pub mod login;
pub mod message;
pub mod pipeline;
pub mod plan;
pub mod precheck;
pub mod progress;
pub mod report;
pub mod retry;
pub mod schema;
pub mod secret;
pub mod sides;
mod snapshots;
pub mod source;
pub mod swap;
pub mod target;
pub mod text;
mod tls;
pub mod type_map;
pub mod verify;
pub mod witness;
