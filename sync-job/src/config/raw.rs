//! The job file as it is typed. Unknown keys are errors everywhere.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::explain::explain;
use super::{
    Auth, ColumnPolicy, Consistency, Deletes, Engine, ForeignKeyPolicy, IdentityPolicy, IndexPolicy, Intent, LongNames,
    MaskedPolicy, Mode, NameCase, NotifyOn, NulPolicy, OnDrift, OnMismatch, OutdatedWord, SwapPolicy, TlsMode,
    UndecodablePolicy, WideRows, WitnessPolicy,
};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobFile {
    pub job: Job,
    pub source: Source,
    pub target: Target,
    #[serde(default)]
    pub tables: Tables,
    #[serde(default)]
    pub table: Vec<Table>,
    #[serde(default)]
    pub notify: Notify,
    #[serde(default)]
    pub history: History,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    pub name: String,
    pub readers: Option<usize>,
    pub tables: Option<usize>,
    pub memory: Option<String>,
    pub deadline: Option<String>,
    pub retries: Option<u32>,
    pub outage: Option<String>,
    pub stall_timeout: Option<String>,
    pub grace: Option<String>,
    pub resume_within: Option<String>,
    #[serde(default)]
    pub keep_alive: bool,
    #[serde(default)]
    pub show_values: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub database: Option<String>,
    pub user: Option<String>,
    pub password_env: Option<String>,
    pub password_file: Option<String>,
    pub secret: Option<String>,
    #[serde(default)]
    pub secret_keys: SecretKeys,
    #[serde(default)]
    pub tls: TlsMode,
    pub ca_file: Option<String>,
    #[serde(default)]
    pub intent: Intent,
    #[serde(default)]
    pub consistency: Consistency,
    pub lock_timeout: Option<String>,
    pub connect_timeout: Option<String>,
    pub application_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub engine: Engine,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub database: Option<String>,
    pub user: Option<String>,
    pub password_env: Option<String>,
    pub password_file: Option<String>,
    pub secret: Option<String>,
    #[serde(default)]
    pub secret_keys: SecretKeys,
    #[serde(default)]
    pub auth: Auth,
    #[serde(default)]
    pub tls: TlsMode,
    pub ca_file: Option<String>,
    pub schema: Option<String>,
    #[serde(default)]
    pub schemas: BTreeMap<String, String>,
    #[serde(default)]
    pub on_drift: OnDrift,
    #[serde(default)]
    pub swap: Swap,
    pub state: Option<String>,
    pub swap_wait: Option<String>,
    pub lock_timeout: Option<String>,
    pub connect_timeout: Option<String>,
}

/// [`SwapPolicy`] with the words of earlier versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Swap {
    #[default]
    Auto,
    InPlace,
    /// What `in-place` was called.
    Replace,
}

/// An error names only the words of today.
impl<'de> Deserialize<'de> for Swap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        match word.as_str() {
            "auto" => Ok(Swap::Auto),
            "in-place" => Ok(Swap::InPlace),
            "replace" => Ok(Swap::Replace),
            other => Err(serde::de::Error::unknown_variant(other, &["auto", "in-place"])),
        }
    }
}

impl Swap {
    /// What it means; `outdated` gets the word at `key` if it has a new name.
    pub fn policy(self, key: &str, outdated: &mut Vec<OutdatedWord>) -> SwapPolicy {
        match self {
            Swap::Auto => SwapPolicy::Auto,
            Swap::InPlace => SwapPolicy::InPlace,
            Swap::Replace => {
                outdated.push(OutdatedWord { key: key.to_owned(), old: "replace", new: "in-place" });
                SwapPolicy::InPlace
            }
        }
    }
}

/// Under which keys of the secret's JSON the parts of a login are, where it is not one of the usual forms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretKeys {
    pub host: Option<String>,
    pub port: Option<String>,
    pub database: Option<String>,
    pub user: Option<String>,
    pub password: Option<String>,
}

/// Who is notified of a run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    pub topic: Option<String>,
    pub on: Option<NotifyOn>,
}

/// Where runs are written down.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    pub at: Option<String>,
}

/// Selection, and defaults for every table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    pub include: Option<Vec<String>>,
    #[serde(default)]
    pub exclude: Vec<String>,
    #[serde(default)]
    pub views: bool,
    pub names: Option<NameCase>,
    pub long_names: Option<LongNames>,
    pub wide_rows: Option<WideRows>,
    pub nul: Option<NulPolicy>,
    pub undecodable: Option<UndecodablePolicy>,
    pub indexes: Option<IndexPolicy>,
    pub identity: Option<IdentityPolicy>,
    pub foreign_keys: Option<ForeignKeyPolicy>,
    pub max_shrink_percent: Option<u8>,
    pub masked: Option<MaskedPolicy>,
    pub computed: Option<ColumnPolicy>,
    pub hidden: Option<ColumnPolicy>,
    pub chunk_rows: Option<u64>,
    pub offset_column: Option<bool>,
    pub variant_type_column: Option<bool>,
    pub witness: Option<WitnessPolicy>,
}

/// One `[[table]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    pub source: String,
    pub target: Option<String>,
    pub columns: Option<Vec<String>>,
    #[serde(default)]
    pub exclude_columns: Vec<String>,
    pub filter: Option<String>,
    #[serde(default)]
    pub target_types: BTreeMap<String, String>,
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    pub chunk_key: Option<Vec<String>>,
    pub group: Option<String>,
    pub swap: Option<Swap>,
    pub consistency: Option<Consistency>,
    pub readers: Option<usize>,
    pub names: Option<NameCase>,
    pub long_names: Option<LongNames>,
    pub wide_rows: Option<WideRows>,
    pub nul: Option<NulPolicy>,
    pub undecodable: Option<UndecodablePolicy>,
    pub indexes: Option<IndexPolicy>,
    pub identity: Option<IdentityPolicy>,
    pub foreign_keys: Option<ForeignKeyPolicy>,
    pub max_shrink_percent: Option<u8>,
    pub masked: Option<MaskedPolicy>,
    pub computed: Option<ColumnPolicy>,
    pub hidden: Option<ColumnPolicy>,
    pub chunk_rows: Option<u64>,
    pub offset_column: Option<bool>,
    pub variant_type_column: Option<bool>,
    pub witness: Option<WitnessPolicy>,
    pub mode: Option<Mode>,
    pub deletes: Option<Deletes>,
    pub full_every: Option<String>,
    pub prove: Option<String>,
    pub on_mismatch: Option<OnMismatch>,
}

impl JobFile {
    /// The typed file, or a message with the dotted key, what was found and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let deserializer = toml::Deserializer::parse(text).map_err(|error| syntax(text, &error))?;
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let path = error.path().to_string();
            explain(&path, error.inner().message())
        })
    }
}

/// Where the text is no TOML. The line itself is not shown: it may hold a password.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}: {}", error.message())
}
