//! The job file as it is typed. Unknown keys are errors everywhere.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    ColumnPolicy, Consistency, Engine, ForeignKeyPolicy, IdentityPolicy, IndexPolicy, Intent, MaskedPolicy, NameCase,
    NulPolicy, OnDrift, TlsMode, UndecodablePolicy,
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
    pub stall_timeout: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub host: String,
    pub port: Option<u16>,
    pub database: String,
    pub user: String,
    pub password_env: Option<String>,
    pub password_file: Option<String>,
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
    pub host: String,
    pub port: Option<u16>,
    pub database: String,
    pub user: String,
    pub password_env: Option<String>,
    pub password_file: Option<String>,
    #[serde(default)]
    pub tls: TlsMode,
    pub ca_file: Option<String>,
    pub schema: Option<String>,
    #[serde(default)]
    pub schemas: BTreeMap<String, String>,
    #[serde(default)]
    pub on_drift: OnDrift,
    pub swap_wait: Option<String>,
    pub lock_timeout: Option<String>,
    pub connect_timeout: Option<String>,
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
    pub consistency: Option<Consistency>,
    pub readers: Option<usize>,
    pub names: Option<NameCase>,
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
}

impl JobFile {
    /// The typed file, or a message with the dotted key, what was found and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let deserializer = toml::Deserializer::parse(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let path = error.path().to_string();
            explain(&path, error.inner().message())
        })
    }
}

/// `source.hots: unknown key; did you mean "host"? Allowed: …`.
fn explain(path: &str, message: &str) -> String {
    let words: Vec<&str> = message.split('`').collect();
    if let ["unknown field ", found, _, ..] = words.as_slice() {
        let allowed: Vec<&str> = words.iter().skip(3).step_by(2).copied().collect();
        let parent = path.strip_suffix(found).unwrap_or(path).trim_end_matches('.');
        let place = if parent.is_empty() || parent == "." { (*found).to_owned() } else { format!("{parent}.{found}") };
        let hint = nearest(found, &allowed).map(|near| format!(" did you mean {near:?}?")).unwrap_or_default();
        return format!("{place}: unknown key;{hint} allowed: {}", allowed.join(", "));
    }
    if let ["missing field ", missing, ..] = words.as_slice() {
        let place = if path == "." { (*missing).to_owned() } else { format!("{path}.{missing}") };
        return format!("{place}: this key is required");
    }
    format!("{path}: {message}")
}

fn nearest<'a>(found: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let (distance, best) = allowed.iter().map(|word| (distance(found, word), *word)).min()?;
    (distance <= 2.max(found.len() / 3)).then_some(best)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
