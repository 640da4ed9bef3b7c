//! Whether the changes of a table will do, or all of it must be copied.

use chrono::{DateTime, Utc};

use super::{SwapMethod, TablePlan, incremental};
use crate::model::code::plain_coded;
use crate::model::position::Tracking;
use crate::model::state::TableState;

plain_coded! {
    /// Why a table is copied whole although its changes are followed.
    pub enum WhyFull {
        /// Nothing is remembered: the first run, or the state is lost.
        NoState = "no_state",
        /// The target has no such table, or one whose columns or key are others than a run left.
        TargetDiffers = "target_differs",
        /// Columns, types, filter or names are others than at the last run.
        PlanChanged = "plan_changed",
        /// `full_every` has passed.
        Due = "due",
        /// Change Tracking is off, or not shown to the login.
        Untracked = "untracked",
        /// The database was restored, the table was truncated or made anew, or its tracking begun anew.
        OtherHistory = "other_history",
        /// The source has forgotten changes that were not copied: the retention period has passed.
        Forgotten = "forgotten",
        /// Another table of its group is copied whole.
        Group = "group",
    }
}

/// As the report names it.
impl std::fmt::Display for WhyFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            WhyFull::NoState => "nothing is remembered of an earlier copy",
            WhyFull::TargetDiffers => "the target's table is missing, or somebody changed its columns or key",
            WhyFull::PlanChanged => "its columns, types, names or filter changed since the last run",
            WhyFull::Due => "full_every has passed since the last whole copy",
            WhyFull::Untracked => "Change Tracking is off for the table, or the login lacks VIEW CHANGE TRACKING on it",
            WhyFull::OtherHistory => {
                "the database was restored, the table was truncated, or it or its tracking was made anew"
            }
            WhyFull::Forgotten => {
                "the source no longer has all changes since the last run: CHANGE_RETENTION has passed"
            }
            WhyFull::Group => "another table of its group is copied whole, and all of them belong to one moment",
        })
    }
}

/// What the plan and the state say; the source has not been asked.
pub fn by_state<'a>(
    table: &TablePlan,
    state: Option<&'a TableState>,
    now: DateTime<Utc>,
) -> Result<&'a TableState, WhyFull> {
    let Some(state) = state else { return Err(WhyFull::NoState) };
    if state.fingerprint != incremental::fingerprint(table) {
        return Err(WhyFull::PlanChanged);
    }
    if table.swap.method == SwapMethod::Create || !table.drift.is_empty() || table.lacks_its_key() {
        return Err(WhyFull::TargetDiffers);
    }
    // A clock that was set back makes no copy old.
    if (now - state.full_at).to_std().is_ok_and(|age| age >= table.full_every) {
        return Err(WhyFull::Due);
    }
    Ok(state)
}

/// What the source says of its changes.
pub fn by_source(state: &TableState, tracking: Option<&Tracking>) -> Result<(), WhyFull> {
    let Some(tracking) = tracking else { return Err(WhyFull::Untracked) };
    // A version that is still to come is one of another history, whatever the database says of itself.
    if tracking.now.history != state.position.history || tracking.now.version < state.position.version {
        return Err(WhyFull::OtherHistory);
    }
    if state.position.version < tracking.complete_since {
        return Err(WhyFull::Forgotten);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::position::Position;
    use crate::rows::digest::TableDigest;

    fn state(version: i64) -> TableState {
        TableState {
            position: Position { version, history: "h".into() },
            fingerprint: String::new(),
            digest: TableDigest::default(),
            applied: 0,
            full_at: DateTime::UNIX_EPOCH,
        }
    }

    fn tracking(version: i64, complete_since: i64, history: &str) -> Tracking {
        Tracking { now: Position { version, history: history.into() }, complete_since, begins: None }
    }

    #[test]
    fn a_position_is_believed_only_where_all_changes_since_are_there() {
        let of = |tracking: Option<Tracking>| by_source(&state(5), tracking.as_ref());
        assert_eq!(of(Some(tracking(9, 5, "h"))), Ok(()));
        assert_eq!(of(Some(tracking(5, 0, "h"))), Ok(()), "an idle table");
        assert_eq!(by_source(&state(0), Some(&tracking(0, 0, "h"))), Ok(()), "version 0 is as good as any");
        assert_eq!(of(Some(tracking(9, 6, "h"))), Err(WhyFull::Forgotten));
        assert_eq!(of(Some(tracking(4, 0, "h"))), Err(WhyFull::OtherHistory), "restored");
        assert_eq!(of(Some(tracking(9, 0, "i"))), Err(WhyFull::OtherHistory), "restored, and written to since");
        assert_eq!(of(None), Err(WhyFull::Untracked));
    }
}
