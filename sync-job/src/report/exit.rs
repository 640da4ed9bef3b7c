//! Exit statuses, documented in `--help` and in docs/exit-statuses.md.

use std::process::ExitCode;

/// How a run ended, for the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
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

    /// The table shown in `--help`.
    pub fn table() -> String {
        Self::ALL.iter().map(|status| format!("  {:>2}  {}\n", status.code(), status.describe())).collect()
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
