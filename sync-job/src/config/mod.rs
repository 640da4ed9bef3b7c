//! The job file: [`raw`] is what was typed, [`validate`] makes a [`JobConfig`] of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connect::password::PasswordSource;
use crate::model::schema::TableName;

mod explain;
mod logins;
mod names;
pub mod raw;
mod units;
mod validate;
pub mod write;

pub use logins::{FoundSecret, FoundSecrets, SecretName};
pub use names::Pattern;
pub use validate::check_source_host;

/// A job file that cannot be used: where, what was found, what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct ConfigError {
    pub file: String,
    pub problem: String,
}

/// A job: what to copy from where to where, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct JobConfig {
    pub name: String,
    pub limits: Limits,
    pub source: SourceConfig,
    pub target: TargetConfig,
    pub selection: Selection,
    pub defaults: TableSettings,
    pub tables: Vec<TableConfig>,
    pub notify: Notify,
    /// Where runs are written down: a directory or `s3://bucket/prefix`.
    pub history: Option<String>,
    /// Whether report.json gets the values of rows that messages hold.
    pub show_values: bool,
    /// Words of the job file that have new names.
    pub outdated: Vec<OutdatedWord>,
}

/// Who is notified of a run, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notify {
    /// The SNS topic's ARN.
    pub topic: Option<String>,
    pub on: NotifyOn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotifyOn {
    #[default]
    Always,
    /// Only of runs that did not end well.
    Failure,
    /// Of runs that ended otherwise than the one before.
    Change,
}

/// How the target's login is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    #[default]
    Password,
    /// A token of IAM database authentication, made anew for each connection.
    Iam,
}

/// How much of everything a run may use.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Connections that read rows at the same time, over all tables.
    pub readers: usize,
    /// Tables under way at the same time.
    pub tables: usize,
    /// Bytes of rows that may wait between source and target.
    pub memory: u64,
    /// The run stops cleanly after this time.
    pub deadline: Option<Duration>,
    /// An instance is switched off this long after the deadline, whatever its run does.
    pub grace: Duration,
    /// Further tries after a failure that may pass.
    pub retries: u32,
    /// How long a server may be away before the job gives up.
    pub outage: Duration,
    /// A stream that brings nothing for this long is given up and its chunk retried.
    pub stall_timeout: Duration,
    /// A run that died is continued by one that begins within this time after it; nothing: never.
    pub resume_within: Option<Duration>,
}

/// The SQL Server to read from.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: PasswordSource,
    pub tls: Tls,
    pub intent: Intent,
    pub consistency: Consistency,
    pub lock_timeout: Duration,
    pub connect_timeout: Duration,
    /// What a DBA sees in `sys.dm_exec_sessions`.
    pub application_name: String,
}

/// The database to write to.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetConfig {
    pub engine: Engine,
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: PasswordSource,
    pub auth: Auth,
    pub tls: Tls,
    pub schemas: SchemaMapping,
    pub on_drift: OnDrift,
    pub swap: SwapPolicy,
    /// Where it is remembered how far changes were followed: a schema of PostgreSQL, a database of MySQL.
    pub state: Option<String>,
    /// How long the server may be away before the job gives up; [`Limits::outage`].
    pub outage: Duration,
    /// [`Limits::stall_timeout`].
    pub stall_timeout: Duration,
    /// How long a swap waits for readers before it gives up.
    pub swap_wait: Duration,
    /// How long one attempt of the swap may queue for a lock, with other readers behind it.
    pub lock_timeout: Duration,
    pub connect_timeout: Duration,
}

/// Encryption of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub mode: TlsMode,
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Encrypted, the certificate's chain and host name verified.
    #[default]
    VerifyFull,
    /// Encrypted, anybody's certificate accepted.
    Require,
    /// Not encrypted.
    Disable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// `ApplicationIntent=ReadOnly`: a readable secondary may answer.
    #[default]
    ReadOnly,
    ReadWrite,
}

/// What the rows of one table, and of all tables, have in common in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// One SNAPSHOT transaction for each table, read by one reader.
    #[default]
    Snapshot,
    /// All tables from one database snapshot that the run makes and drops; parallel readers.
    DatabaseSnapshot,
    /// Parallel readers of the live tables.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    Postgres,
    Mysql,
}

/// Source schema → target schema.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchemaMapping {
    /// Every table goes here.
    pub fixed: Option<String>,
    /// By source schema, compared without case.
    pub map: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDrift {
    /// The swap carries new, dropped and retyped columns over.
    #[default]
    Apply,
    /// A table whose columns differ is refused.
    Fail,
}

/// How new rows reach a table that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwapPolicy {
    /// By a rename, where nothing would be lost by it.
    #[default]
    Auto,
    /// The table is updated in place, which readers of replicas may need.
    InPlace,
}

/// A word of the job file that has a new name. It is still read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutdatedWord {
    /// Where it stands: `target.swap`.
    pub key: String,
    pub old: &'static str,
    pub new: &'static str,
}

/// Which tables are copied.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selection {
    pub include: Vec<Pattern>,
    pub exclude: Vec<Pattern>,
    /// Whether globs select views, too.
    pub views: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameCase {
    Preserve,
    #[default]
    Lower,
    SnakeCase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NulPolicy {
    #[default]
    Error,
    Strip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndecodablePolicy {
    #[default]
    Error,
    Replace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndexPolicy {
    /// Primary key, unique constraints and indexes.
    #[default]
    Create,
    PrimaryKey,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityPolicy {
    /// Identity columns stay identity columns, their sequence set past the highest value.
    #[default]
    Keep,
    /// They become plain columns.
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForeignKeyPolicy {
    #[default]
    Skip,
    /// Between tables that are copied together; they are then swapped together.
    Create,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskedPolicy {
    /// A table with columns that this login sees masked is refused.
    #[default]
    Refuse,
    /// The masked values are copied.
    Allow,
}

/// What becomes of names that are longer than the target takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LongNames {
    #[default]
    Refuse,
    /// Their beginning, and a hash of the whole.
    Hash,
}

/// What becomes of tables whose rows the target takes only as long as enough of their values are NULL or short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WideRows {
    #[default]
    Refuse,
    Allow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnPolicy {
    #[default]
    Copy,
    Skip,
}

/// How much of a table the source's own engine is asked about, to compare with what the target holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WitnessPolicy {
    /// Small tables whole; of large ones a share that changes from run to run.
    #[default]
    Sample,
    /// Every row.
    Full,
    Off,
}

/// How much of a table is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// All of it, each time.
    #[default]
    Full,
    /// What changed, as SQL Server's Change Tracking tells.
    ChangeTracking,
    /// What changed, by a column of the type rowversion. It tells nothing of rows that are gone.
    #[serde(rename = "rowversion")]
    RowVersion,
    /// What differs, by reading all of it at the source and comparing it with the target.
    Compare,
}

impl Mode {
    /// Whether only rows that changed are read, from where the last run ended.
    pub fn follows_changes(self) -> bool {
        matches!(self, Mode::ChangeTracking | Mode::RowVersion)
    }
}

impl std::fmt::Display for Mode {
    /// As the job file has it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Mode::Full => "full",
            Mode::ChangeTracking => "change-tracking",
            Mode::RowVersion => "rowversion",
            Mode::Compare => "compare",
        })
    }
}

/// What becomes of rows that are gone at the source, where changes do not tell of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deletes {
    /// They are found by counting rows, and by comparing keys where the numbers differ.
    #[default]
    Keys,
    /// They stay on the target.
    Ignore,
}

/// What the next run does about a table whose changes are followed once a proof has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMismatch {
    /// It copies the table whole.
    #[default]
    Full,
    /// It compares the table and writes what differs.
    Compare,
    /// It fails as well, until a person has looked.
    Fail,
}

/// How a table is copied: the job's defaults with the table's own settings over them.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSettings {
    pub names: NameCase,
    pub long_names: LongNames,
    pub wide_rows: WideRows,
    pub nul: NulPolicy,
    pub undecodable: UndecodablePolicy,
    pub indexes: IndexPolicy,
    pub identity: IdentityPolicy,
    pub foreign_keys: ForeignKeyPolicy,
    /// The swap is refused if the table lost more than this share of its rows.
    pub max_shrink_percent: Option<u8>,
    pub masked: MaskedPolicy,
    pub computed: ColumnPolicy,
    pub hidden: ColumnPolicy,
    pub swap: SwapPolicy,
    pub consistency: Consistency,
    pub readers: usize,
    pub chunk_rows: Option<u64>,
    /// Adds `<name>_offset` (minutes) beside each datetimeoffset.
    pub offset_column: bool,
    /// Adds `<name>_type` beside each sql_variant.
    pub variant_type_column: bool,
    pub witness: WitnessPolicy,
    pub mode: Mode,
    pub deletes: Deletes,
    /// A table of which only changes are copied is copied whole again after this time.
    pub full_every: Duration,
    /// Of a table of which only changes are copied, each run reads one of so many ranges again and compares it; nothing for none.
    pub prove: Option<u64>,
    pub on_mismatch: OnMismatch,
}

/// A table's name on the target as typed: `schema.name` or `name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetName {
    pub schema: Option<String>,
    pub name: String,
}

/// What the job file says of one table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableConfig {
    pub source: TableName,
    pub target: Option<TargetName>,
    pub columns: Option<Vec<String>>,
    pub exclude_columns: Vec<String>,
    /// A T-SQL condition that the copied rows meet.
    pub filter: Option<String>,
    pub target_types: BTreeMap<String, String>,
    pub rename: BTreeMap<String, String>,
    pub chunk_key: Option<Vec<String>>,
    /// Tables with the same group are swapped in one transaction.
    pub group: Option<String>,
    pub settings: TableSettings,
}

/// A job file whose secrets have not been fetched.
#[derive(Debug)]
pub struct JobDraft {
    file: String,
    typed: raw::JobFile,
}

impl JobDraft {
    /// Reads a job file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            file: file.clone(),
            problem: format!("the job file cannot be read: {error}"),
        })?;
        Self::parse(&text, &file)
    }

    /// Understands a job file's text; `file` is its name for messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let typed = raw::JobFile::parse(text).map_err(|problem| ConfigError { file: file.to_owned(), problem })?;
        Ok(Self { file: file.to_owned(), typed })
    }

    /// Who is notified of its runs, also of those for which the rest of the file cannot be used.
    pub fn notify(&self) -> Notify {
        Notify { topic: self.typed.notify.topic.clone(), on: self.typed.notify.on.unwrap_or_default() }
    }

    /// The secrets to fetch before it can be completed.
    pub fn secrets(&self) -> Vec<SecretName> {
        logins::named(&self.typed)
    }

    /// The job's name, as it is typed.
    pub fn name(&self) -> &str {
        &self.typed.job.name
    }

    /// The file's name for messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Where its runs are written down.
    pub fn history(&self) -> Option<&str> {
        self.typed.history.at.as_deref()
    }

    /// Whether its machine stays up after a run.
    pub fn keep_alive(&self) -> bool {
        self.typed.job.keep_alive
    }

    /// Whether something must be asked of AWS before it can be completed.
    pub fn needs_aws(&self) -> bool {
        self.typed.target.auth == Auth::Iam || !self.secrets().is_empty()
    }

    /// The job, with what was found in its secrets.
    pub fn complete(self, found: FoundSecrets) -> Result<JobConfig, ConfigError> {
        validate::job(self.typed, found).map_err(|problem| ConfigError { file: self.file, problem })
    }
}

impl JobConfig {
    /// Checks a job file's text; `file` is its name for messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        JobDraft::parse(text, file)?.complete(FoundSecrets::default())
    }

    /// The `[[table]]` entry of a source table; names are compared without case, as most sources do.
    pub fn table(&self, name: &TableName) -> Option<&TableConfig> {
        let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        self.tables
            .iter()
            .find(|table| same(&table.source.schema, &name.schema) && same(&table.source.name, &name.name))
    }

    /// How this table is copied.
    pub fn settings(&self, name: &TableName) -> &TableSettings {
        self.table(name).map_or(&self.defaults, |table| &table.settings)
    }
}
