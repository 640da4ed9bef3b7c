//! Exit statuses, documented in `--help` and in docs/exit-statuses.md.

use std::process::ExitCode;

use crate::model::error::Kind;

/// How a run ended, for the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    Ok,
    TablesFailed,
    Configuration,
    PrecheckRefused,
    CouldNotConnect,
    Interrupted,
    LeaseHeld,
    Internal,
}

impl ExitStatus {
    pub const ALL: [ExitStatus; 8] = [
        ExitStatus::Ok,
        ExitStatus::TablesFailed,
        ExitStatus::Configuration,
        ExitStatus::PrecheckRefused,
        ExitStatus::CouldNotConnect,
        ExitStatus::Interrupted,
        ExitStatus::LeaseHeld,
        ExitStatus::Internal,
    ];

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            ExitStatus::Ok => 0,
            ExitStatus::TablesFailed => 1,
            ExitStatus::Configuration => 2,
            ExitStatus::PrecheckRefused => 3,
            ExitStatus::CouldNotConnect => 4,
            ExitStatus::Interrupted => 5,
            ExitStatus::LeaseHeld => 6,
            ExitStatus::Internal => 70,
        }
    }

    /// What programs read; see docs/json.md.
    pub fn name(self) -> &'static str {
        match self {
            ExitStatus::Ok => "ok",
            ExitStatus::TablesFailed => "tables_failed",
            ExitStatus::Configuration => "configuration",
            ExitStatus::PrecheckRefused => "precheck_refused",
            ExitStatus::CouldNotConnect => "could_not_connect",
            ExitStatus::Interrupted => "interrupted",
            ExitStatus::LeaseHeld => "lease_held",
            ExitStatus::Internal => "internal",
        }
    }

    pub fn describe(self) -> &'static str {
        match self {
            ExitStatus::Ok => "success",
            ExitStatus::TablesFailed => {
                "some tables failed or differ; they keep their old rows unless the report says otherwise"
            }
            ExitStatus::Configuration => "the job file or the command line cannot be used",
            ExitStatus::PrecheckRefused => "a precheck refused the run; nothing was written",
            ExitStatus::CouldNotConnect => "no connection to the source or the target",
            ExitStatus::Interrupted => "interrupted by a signal or the deadline; nothing is left behind",
            ExitStatus::LeaseHeld => "another run of this job is in progress",
            ExitStatus::Internal => "a bug in this program",
        }
    }

    /// The status of a run that a failure of this kind ended as a whole.
    pub fn of_run(kind: Kind) -> Self {
        match kind {
            Kind::Cancelled => ExitStatus::Interrupted,
            Kind::LeaseHeld => ExitStatus::LeaseHeld,
            Kind::PrecheckFailed | Kind::Permission => ExitStatus::PrecheckRefused,
            Kind::Connection
            | Kind::UnknownHost
            | Kind::Tls
            | Kind::Login
            | Kind::UnknownDatabase
            | Kind::Timeout
            | Kind::Transient => ExitStatus::CouldNotConnect,
            Kind::Internal => ExitStatus::Internal,
            Kind::Configuration => ExitStatus::Configuration,
            Kind::LockTimeout
            | Kind::Data
            | Kind::ForeignKeyViolation
            | Kind::StorageFull
            | Kind::Mismatch
            | Kind::ShrinkGuard
            | Kind::GroupFailed
            | Kind::NotComparable
            | Kind::Conflict
            | Kind::CommitUnknown
            | Kind::Statement => ExitStatus::TablesFailed,
        }
    }

    /// The table shown in `--help`.
    pub fn table() -> String {
        Self::ALL.iter().map(|status| format!("  {:>2}  {}\n", status.code(), status.describe())).collect()
    }
}

impl serde::Serialize for ExitStatus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        ExitCode::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_table_is_the_real_one() {
        let document = include_str!("../../../docs/exit-statuses.md");
        for status in ExitStatus::ALL {
            let line = format!("| {} | {} |", status.code(), status.describe());
            assert!(document.contains(&line), "docs/exit-statuses.md lacks: {line}");
        }
    }
}
