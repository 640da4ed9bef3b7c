//! What becomes of everything that a table of the target can have, when new rows come.
//!
//! Data alone. The job reads it where it decides whether a table may be renamed over, and a test holds it against the lists that each
//! server has of itself. What is not in here keeps a table in place.

pub mod mysql;
pub mod postgres;

/// What becomes of something that a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The new table gets it, too.
    Preserved,
    /// The table stays, and its rows are replaced.
    KeepsInPlace,
    /// The plan refuses the table, or its columns differ from the plan's.
    Refused,
    /// It is no choice of somebody's, or another place tells of it; with the reason.
    NotOurs(&'static str),
}
