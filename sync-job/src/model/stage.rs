//! Where in a run something failed.

use crate::model::code::plain_coded;

plain_coded! {
    /// A stage of a run, of one of its tables, or of another command.
    pub enum Stage {
        /// The job file, a secret or the instance's settings are read.
        Configuration = "configuration",
        /// `sync-job init` looks at the source.
        Init = "init",
        Plan = "plan",
        Precheck = "precheck",
        Lease = "lease",
        /// What earlier runs left behind is dropped.
        CleaningUp = "cleaning_up",
        DatabaseSnapshot = "database_snapshot",
        /// What earlier runs left of tables whose changes are followed is read.
        State = "state",
        /// The staging table is created.
        Staging = "staging",
        Load = "load",
        /// `sync-job verify` reads the source.
        Read = "read",
        /// The target's digest is computed and compared.
        Verify = "verify",
        Witness = "witness",
        /// `sync-job verify` compares both sides.
        Compare = "compare",
        /// Columns are changed to types beyond what can be verified.
        Convert = "convert",
        Index = "index",
        /// The table waits for the others of its swap group.
        Group = "group",
        Swap = "swap",
        /// The run as a whole, where nothing more is known.
        Run = "run",
    }
}

/// As the report names it.
impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Stage::CleaningUp => "cleaning up",
            Stage::DatabaseSnapshot => "database snapshot",
            stage => stage.code(),
        })
    }
}
