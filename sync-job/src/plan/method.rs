//! How a table is swapped, and why so.

use super::dependent::{self, Dependent};
use crate::model::code::{coded, plain_coded};
use crate::model::schema::TableName;

plain_coded! {
    /// How the new rows come to the readers.
    pub enum SwapMethod {
        /// The table is new.
        Create = "create",
        /// The staging table takes the old one's name; the old one is dropped.
        Rename = "rename",
        /// The table stays; its rows are replaced in one transaction.
        InPlace = "replace",
    }
}

/// The method and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapPlan {
    pub method: SwapMethod,
    pub reason: SwapReason,
}

coded! {
    /// Why a table is swapped the way it is.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum SwapReason {
        /// The target has no such table.
        New = "new_table",
        NoDependents = "no_dependents",
        /// A rename would lose these.
        Dependents(Vec<Dependent>) = "dependents",
        /// The login does not own the table and so cannot rename it.
        NotOwned = "not_owned",
        /// The job file has `swap = "in-place"`.
        JobFile = "job_file",
        /// Sessions whose snapshots this login cannot see.
        InvisibleSessions = "invisible_sessions",
        /// Another table of its group is updated in place.
        Group(TableName) = "group",
    }
}

impl SwapReason {
    /// What a rename would lose, where that is the reason.
    pub fn dependents(&self) -> &[Dependent] {
        if let SwapReason::Dependents(dependents) = self { dependents } else { &[] }
    }
}

impl std::fmt::Display for SwapReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SwapReason::New => f.write_str("the table is new"),
            SwapReason::NoDependents => f.write_str("nothing depends on the old table"),
            SwapReason::Dependents(dependents) => write!(f, "because of {}", dependent::list(dependents)),
            SwapReason::NotOwned => f.write_str("the target's user does not own the table"),
            SwapReason::JobFile => f.write_str("the job file has swap = \"in-place\""),
            SwapReason::InvisibleSessions => f.write_str("readers with older snapshots cannot be seen"),
            SwapReason::Group(other) => {
                write!(f, "it changes together with {other}, which is updated in place")
            }
        }
    }
}
