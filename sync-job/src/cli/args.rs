//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::report::exit::ExitStatus;

/// Copy SQL Server tables to PostgreSQL or MySQL, prove the copies, and swap them in.
#[derive(Debug, Parser)]
#[command(name = "sync-job", version, max_term_width = 100, after_help = after_help())]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

#[derive(Debug, Args)]
pub struct Global {
    /// Format of log lines on standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Log more; repeat it to log every statement. RUST_LOG overrides it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// No progress output, and only warnings in the log.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The job file and which of its tables.
#[derive(Debug, Args)]
pub struct Selected {
    /// The job file; docs/job-file.md describes it.
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Only tables whose source schema.table matches this glob; repeatable.
    #[arg(short, long = "table", value_name = "GLOB")]
    pub tables: Vec<String>,
    /// Format of the output.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy the tables, verify each and swap it in.
    ///
    /// Readers of the target see the old rows or the new ones, never a mixture. A table that fails keeps its old rows and
    /// does not stop the others.
    Run {
        #[command(flatten)]
        selected: Selected,
        /// Show the plan and write nothing.
        #[arg(long)]
        dry_run: bool,
        /// Also write the report as JSON to this file.
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// Publish the summary to the job file's [notify] topic.
        #[arg(long)]
        notify: bool,
    },
    /// Show what a run would do: columns, types, chunks, losses, what is not created, how each table is swapped.
    Plan {
        #[command(flatten)]
        selected: Selected,
    },
    /// Connect to both sides and run every precheck; name what is missing and the GRANT for it.
    Check {
        #[command(flatten)]
        selected: Selected,
    },
    /// Compare source and target cell by cell; write nothing.
    ///
    /// Names the rows that differ by their keys: rows with other values, rows that the target lacks, and rows that only it has.
    Verify {
        #[command(flatten)]
        selected: Selected,
        /// Name at most this many rows of each table.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Repair the rows that differ, in one transaction for each table, which proves the whole table.
        #[arg(long)]
        repair: bool,
    },
    /// Show or reset how far Stopgap has followed changes.
    ///
    /// The table stopgap_tables on the target holds this. The next run copies a reset table whole.
    State {
        #[command(subcommand)]
        command: State,
    },
    /// Write a commented job file for a source.
    Init(Init),
    /// List recorded runs, or show one.
    History(History),
    /// What an instance runs at boot: find its job, run it, send one notification.
    ///
    /// Settings come from the instance's tags, then its user data, then the environment; docs/aws.md lists them.
    Boot(Boot),
}

#[derive(Debug, Subcommand)]
pub enum State {
    /// Show the state of each table.
    Show {
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Forget the state: the next run copies these tables whole.
    Reset {
        #[command(flatten)]
        chosen: Chosen,
    },
}

/// The job file and which of the target's tables.
#[derive(Debug, Args)]
pub struct Chosen {
    /// The job file; docs/job-file.md describes it.
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Only tables whose name on the target, schema.table, matches this glob; repeatable.
    #[arg(short, long = "table", value_name = "GLOB")]
    pub tables: Vec<String>,
    /// Format of the output.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct History {
    /// The job file whose [history] says where runs are recorded.
    #[arg(short, long, value_name = "FILE", conflicts_with = "at")]
    pub config: Option<PathBuf>,
    /// Where runs are recorded: a directory, or s3://bucket/prefix.
    #[arg(long, value_name = "PLACE")]
    pub at: Option<String>,
    /// Only runs of this job.
    #[arg(long, value_name = "NAME")]
    pub job: Option<String>,
    /// At most this many, the latest first.
    #[arg(short = 'n', long, default_value_t = 20)]
    pub last: usize,
    /// Show this run's report.
    #[arg(value_name = "RUN")]
    pub run_id: Option<String>,
    /// Format of the output.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Debug, Args)]
pub struct Boot {
    /// Job files on the machine image, used if neither the bucket nor SSM has one.
    #[arg(long, value_name = "DIRECTORY", default_value = "/etc/stopgap/jobs")]
    pub jobs: PathBuf,
    /// Directory of the file that keeps the machine up ([job] keep_alive).
    #[arg(long, value_name = "DIRECTORY", env = "RUNTIME_DIRECTORY", default_value = "/run/stopgap")]
    pub runtime: PathBuf,
}

#[derive(Debug, Args)]
pub struct Init {
    /// The SQL Server's host name, as in its certificate.
    #[arg(long)]
    pub host: String,
    /// Its port; for a named instance, the one that SQL Server Configuration Manager shows.
    #[arg(long, default_value_t = 1433)]
    pub port: u16,
    /// The database whose tables are copied.
    #[arg(long)]
    pub database: String,
    /// A SQL Server login that may read the database.
    #[arg(long)]
    pub user: String,
    /// The environment variable that holds the password.
    #[arg(long, value_name = "NAME", default_value = "SOURCE_PASSWORD")]
    pub password_env: String,
    /// verify-full, require or disable.
    #[arg(long, default_value = "verify-full")]
    pub tls: String,
    /// Certificates to trust, as PEM.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Where to write the job file; default: standard output. Never overwrites a file.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

fn after_help() -> String {
    format!(
        "Examples:\n  sync-job init --host erp.example.internal --database erp --user stopgap -o job.toml\n  \
         sync-job check --config job.toml\n  sync-job plan --config job.toml\n  \
         sync-job run --config job.toml --table 'sales.*'\n  sync-job verify --config job.toml --format json\n\n\
         Plans and reports go to standard output, progress and log lines to standard error.\n\
         Passwords come from environment variables or files that the job file names.\n\n\
         Exit statuses:\n{}",
        ExitStatus::table()
    )
}
