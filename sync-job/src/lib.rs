//! Copies SQL Server tables to PostgreSQL or MySQL, proves that they are right, and swaps them in.
//!
//! The tour: [`run::job`] takes a job from plan to report. [`plan`] decides everything from two schemas, without I/O.
//! [`run::pipeline`] moves rows between the traits [`sources::Source`] and [`targets::Target`]. [`rows::digest`] and [`proof`]
//! prove the copy; only a proof gives the [`proof::ticket::SwapTicket`] with which a target puts the rows before readers.
//!
//! ARCHITECTURE.md says what each module may use; `cargo xtask lint` checks it.

pub mod cli;
pub mod cloud;
pub mod config;
pub mod connect;
pub mod model;
pub mod plan;
pub mod proof;
pub mod report;
pub mod run;
pub mod sources;
pub mod targets;

pub use stopgap_rows as rows;
