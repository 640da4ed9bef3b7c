//! From what was typed to what it means. Every error gives the dotted key, what was found, and what is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::names::Pattern;
use super::raw;
use super::{
    Auth, Consistency, Deletes, Engine, FoundSecret, FoundSecrets, JobConfig, Limits, Mode, Notify, OnMismatch,
    OutdatedWord, SchemaMapping, Selection, SourceConfig, SwapPolicy, TableConfig, TableSettings, TargetConfig,
    TargetName, Tls, TlsMode, logins, units,
};
use crate::connect::password::TokenProvider;
use crate::model::schema::TableName;

type Checked<T> = Result<T, String>;

/// Enough to keep a small source busy without being noticed.
const DEFAULT_READERS: usize = 4;
/// A large table next to a small one keeps all readers busy.
const DEFAULT_TABLES: usize = 2;
/// Fits the smallest instances with room for the rest.
const DEFAULT_MEMORY: u64 = 256 << 20;
/// Below this a single reader's buffers do not fit.
const LEAST_MEMORY: u64 = 16 << 20;
const DEFAULT_RETRIES: u32 = 5;
/// A failover of Aurora takes up to a minute ("High availability for Amazon Aurora"), and so does a paused Azure SQL database that
/// resumes ("Serverless compute tier"); a restart of a machine takes longer.
const DEFAULT_OUTAGE: Duration = Duration::from_mins(3);
const DEFAULT_STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// Longer than most writers hold a lock, shorter than anyone waits.
const DEFAULT_SOURCE_LOCK_TIMEOUT: Duration = Duration::from_secs(30);
/// Readers of the target queue behind the swap for at most this long.
const DEFAULT_TARGET_LOCK_TIMEOUT: Duration = Duration::from_secs(2);
const DEFAULT_SWAP_WAIT: Duration = Duration::from_mins(1);
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Dropping staging tables, writing the report and publishing it take seconds; a database that hangs may take its time-outs.
const DEFAULT_GRACE: Duration = Duration::from_mins(5);
/// Longer than anybody takes to start the job again.
const DEFAULT_RESUME_WITHIN: Duration = Duration::from_hours(24);
/// What changes do not tell (a column added with a default, a lost trigger) is put right within a week.
const DEFAULT_FULL_EVERY: Duration = Duration::from_hours(7 * 24);
/// A tenth of a whole read, and within ten runs every row.
const DEFAULT_PROVE: u64 = 10;
const SQL_SERVER_PORT: u16 = 1433;
const POSTGRES_PORT: u16 = 5432;
const MYSQL_PORT: u16 = 3306;

pub fn job(typed: raw::JobFile, found: FoundSecrets) -> Checked<JobConfig> {
    let name = job_name(typed.job.name.clone())?;
    let limits = limits(&typed.job)?;
    let show_values = typed.job.show_values;
    let source = source(typed.source, &name, found.source)?;
    let mut outdated = Vec::new();
    let target = target(typed.target, &limits, found.target, found.tokens, &mut outdated)?;
    let defaults = defaults(&typed.tables, source.consistency, target.swap, limits.readers)?;
    let mut tables = Vec::new();
    for (index, table) in typed.table.into_iter().enumerate() {
        tables.push(self::table(table, index, &defaults, &mut outdated)?);
    }
    refuse_duplicates(&tables)?;
    let selection = selection(&typed.tables, &tables)?;
    let notify = notify(typed.notify)?;
    let history = typed.history.at.map(|place| filled("history.at", place)).transpose()?;
    Ok(JobConfig { name, limits, source, target, selection, defaults, tables, notify, history, show_values, outdated })
}

fn job_name(name: String) -> Checked<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 40 || !name.chars().all(allowed) {
        return Err(format!("job.name: {name:?} is not a job name; 1 to 40 letters, digits, - and _ are allowed"));
    }
    Ok(name)
}

fn notify(typed: raw::Notify) -> Checked<Notify> {
    if let Some(topic) = &typed.topic
        && !(topic.starts_with("arn:") && topic.contains(":sns:"))
    {
        return Err(format!("notify.topic: {topic:?} is not an SNS topic's ARN; arn:aws:sns:REGION:ACCOUNT:NAME is"));
    }
    Ok(Notify { topic: typed.topic, on: typed.on.unwrap_or_default() })
}

fn limits(job: &raw::Job) -> Checked<Limits> {
    Ok(Limits {
        readers: at_least_one("job.readers", job.readers.unwrap_or(DEFAULT_READERS))?,
        tables: at_least_one("job.tables", job.tables.unwrap_or(DEFAULT_TABLES))?,
        memory: memory(job.memory.as_deref())?,
        deadline: job.deadline.as_deref().map(|text| keyed("job.deadline", units::duration(text))).transpose()?,
        retries: job.retries.unwrap_or(DEFAULT_RETRIES),
        outage: duration("job.outage", job.outage.as_deref(), DEFAULT_OUTAGE)?,
        stall_timeout: duration("job.stall_timeout", job.stall_timeout.as_deref(), DEFAULT_STALL_TIMEOUT)?,
        grace: duration("job.grace", job.grace.as_deref(), DEFAULT_GRACE)?,
        resume_within: resume_within(job.resume_within.as_deref())?,
    })
}

fn resume_within(text: Option<&str>) -> Checked<Option<Duration>> {
    match text {
        None => Ok(Some(DEFAULT_RESUME_WITHIN)),
        Some("off" | "0s") => Ok(None),
        Some(text) => {
            units::duration(text).map(Some).map_err(|problem| format!("job.resume_within: {problem}; or \"off\""))
        }
    }
}

fn memory(text: Option<&str>) -> Checked<u64> {
    let Some(text) = text else { return Ok(DEFAULT_MEMORY) };
    let bytes = keyed("job.memory", units::size(text))?;
    if bytes < LEAST_MEMORY {
        return Err(format!("job.memory: {text:?} is too little; at least 16MiB is needed"));
    }
    Ok(bytes)
}

fn source(typed: raw::Source, job: &str, found: Option<FoundSecret>) -> Checked<SourceConfig> {
    let parts = logins::Typed {
        host: typed.host,
        port: typed.port,
        database: typed.database,
        user: typed.user,
        password_env: typed.password_env,
        password_file: typed.password_file,
        secret: typed.secret,
        secret_keys: typed.secret_keys,
        auth: Auth::Password,
        default_port: SQL_SERVER_PORT,
    };
    let endpoint = logins::endpoint("source", parts, found, None)?;
    check_source_host(&endpoint.host, "source.host", "source.port")?;
    Ok(SourceConfig {
        host: endpoint.host,
        port: endpoint.port,
        database: endpoint.database,
        user: endpoint.user,
        password: endpoint.password,
        tls: tls("source", typed.tls, typed.ca_file)?,
        intent: typed.intent,
        consistency: typed.consistency,
        lock_timeout: duration("source.lock_timeout", typed.lock_timeout.as_deref(), DEFAULT_SOURCE_LOCK_TIMEOUT)?,
        connect_timeout: duration("source.connect_timeout", typed.connect_timeout.as_deref(), DEFAULT_CONNECT_TIMEOUT)?,
        application_name: match typed.application_name {
            Some(name) => filled("source.application_name", name)?,
            None => format!("stopgap/{job}"),
        },
    })
}

/// Whether a source's host is one, and nothing else. A named instance would have to be looked up over UDP, which firewalls rarely let
/// through. `host` and `port`: what the two are called where they are given.
pub fn check_source_host(given: &str, host: &str, port: &str) -> Checked<()> {
    if given.contains(['\\', ',']) {
        return Err(format!(
            "{host}: {given:?} names an instance or a port; give the host here and its port in {port}. On the server, SELECT local_tcp_port \
             FROM sys.dm_exec_connections WHERE session_id = @@SPID tells it over TCP, and so does SQL Server Configuration Manager"
        ));
    }
    Ok(())
}

fn target(
    typed: raw::Target,
    limits: &Limits,
    found: Option<FoundSecret>,
    tokens: Option<Arc<dyn TokenProvider>>,
    outdated: &mut Vec<OutdatedWord>,
) -> Checked<TargetConfig> {
    logins::check_engine(typed.engine, found.as_ref())?;
    if typed.auth == Auth::Iam && typed.tls == TlsMode::Disable {
        return Err("target.auth: \"iam\" sends its token as a password; target.tls must not be \"disable\"".to_owned());
    }
    if typed.schema.is_some() && !typed.schemas.is_empty() {
        return Err("target.schema: given together with [target.schemas]; one of them is allowed".to_owned());
    }
    let default_port = match typed.engine {
        Engine::Postgres => POSTGRES_PORT,
        Engine::Mysql => MYSQL_PORT,
    };
    let parts = logins::Typed {
        host: typed.host,
        port: typed.port,
        database: typed.database,
        user: typed.user,
        password_env: typed.password_env,
        password_file: typed.password_file,
        secret: typed.secret,
        secret_keys: typed.secret_keys,
        auth: typed.auth,
        default_port,
    };
    let endpoint = logins::endpoint("target", parts, found, tokens)?;
    Ok(TargetConfig {
        engine: typed.engine,
        host: endpoint.host,
        port: endpoint.port,
        database: endpoint.database,
        user: endpoint.user,
        password: endpoint.password,
        auth: typed.auth,
        tls: tls("target", typed.tls, typed.ca_file)?,
        schemas: SchemaMapping {
            fixed: typed.schema.map(|name| filled("target.schema", name)).transpose()?,
            map: typed
                .schemas
                .into_iter()
                .map(|(from, to)| Ok((from.clone(), filled(&format!("target.schemas.{from}"), to)?)))
                .collect::<Checked<_>>()?,
        },
        on_drift: typed.on_drift,
        swap: typed.swap.policy("target.swap", outdated),
        state: typed.state.map(|name| filled("target.state", name)).transpose()?,
        outage: limits.outage,
        stall_timeout: limits.stall_timeout,
        swap_wait: duration("target.swap_wait", typed.swap_wait.as_deref(), DEFAULT_SWAP_WAIT)?,
        lock_timeout: duration("target.lock_timeout", typed.lock_timeout.as_deref(), DEFAULT_TARGET_LOCK_TIMEOUT)?,
        connect_timeout: duration("target.connect_timeout", typed.connect_timeout.as_deref(), DEFAULT_CONNECT_TIMEOUT)?,
    })
}

fn defaults(typed: &raw::Tables, consistency: Consistency, swap: SwapPolicy, readers: usize) -> Checked<TableSettings> {
    Ok(TableSettings {
        names: typed.names.unwrap_or_default(),
        long_names: typed.long_names.unwrap_or_default(),
        wide_rows: typed.wide_rows.unwrap_or_default(),
        nul: typed.nul.unwrap_or_default(),
        undecodable: typed.undecodable.unwrap_or_default(),
        indexes: typed.indexes.unwrap_or_default(),
        identity: typed.identity.unwrap_or_default(),
        foreign_keys: typed.foreign_keys.unwrap_or_default(),
        max_shrink_percent: percent("tables.max_shrink_percent", typed.max_shrink_percent)?,
        masked: typed.masked.unwrap_or_default(),
        computed: typed.computed.unwrap_or_default(),
        hidden: typed.hidden.unwrap_or_default(),
        swap,
        consistency,
        readers,
        chunk_rows: positive("tables.chunk_rows", typed.chunk_rows)?,
        offset_column: typed.offset_column.unwrap_or(false),
        variant_type_column: typed.variant_type_column.unwrap_or(false),
        witness: typed.witness.unwrap_or_default(),
        mode: Mode::default(),
        deletes: Deletes::default(),
        full_every: DEFAULT_FULL_EVERY,
        prove: Some(DEFAULT_PROVE),
        on_mismatch: OnMismatch::default(),
    })
}

fn table(
    typed: raw::Table,
    index: usize,
    defaults: &TableSettings,
    outdated: &mut Vec<OutdatedWord>,
) -> Checked<TableConfig> {
    let key = |name: &str| format!("table[{index}].{name}");
    let source = source_name(&key("source"), &typed.source)?;
    if typed.columns.is_some() && !typed.exclude_columns.is_empty() {
        return Err(format!("{}: given together with exclude_columns; one of them is allowed", key("columns")));
    }
    for (name, columns) in [("columns", &typed.columns), ("chunk_key", &typed.chunk_key)] {
        if let Some(columns) = columns {
            check_columns(&key(name), columns)?;
        }
    }
    let readers = at_least_one(&key("readers"), typed.readers.unwrap_or(defaults.readers))?;
    if readers > defaults.readers {
        return Err(format!("{}: {readers} is more than job.readers, {}", key("readers"), defaults.readers));
    }
    if typed.deletes.is_some() && typed.mode != Some(Mode::RowVersion) {
        return Err(format!(
            "{}: only mode = \"rowversion\" has it; Change Tracking reports deleted rows",
            key("deletes")
        ));
    }
    let mode = typed.mode.unwrap_or(defaults.mode);
    if typed.on_mismatch.is_some() && !mode.follows_changes() {
        return Err(format!(
            "{}: only modes that follow changes have it, change-tracking and rowversion; others prove all rows in each run",
            key("on_mismatch")
        ));
    }
    if typed.on_mismatch == Some(OnMismatch::Compare) && typed.deletes == Some(Deletes::Ignore) {
        return Err(format!(
            "{}: \"compare\" deletes rows that are gone at the source; with deletes = \"ignore\", \"full\" and \"fail\" are allowed",
            key("on_mismatch")
        ));
    }
    check_map(&key("target_types"), &typed.target_types)?;
    check_map(&key("rename"), &typed.rename)?;
    Ok(TableConfig {
        target: typed.target.map(|name| target_name(&key("target"), &name)).transpose()?,
        filter: typed.filter.map(|filter| filled(&key("filter"), filter)).transpose()?,
        group: typed.group.map(|group| filled(&key("group"), group)).transpose()?,
        columns: typed.columns,
        exclude_columns: typed.exclude_columns,
        target_types: typed.target_types,
        rename: typed.rename,
        chunk_key: typed.chunk_key,
        settings: TableSettings {
            names: typed.names.unwrap_or(defaults.names),
            long_names: typed.long_names.unwrap_or(defaults.long_names),
            wide_rows: typed.wide_rows.unwrap_or(defaults.wide_rows),
            nul: typed.nul.unwrap_or(defaults.nul),
            undecodable: typed.undecodable.unwrap_or(defaults.undecodable),
            indexes: typed.indexes.unwrap_or(defaults.indexes),
            identity: typed.identity.unwrap_or(defaults.identity),
            foreign_keys: typed.foreign_keys.unwrap_or(defaults.foreign_keys),
            max_shrink_percent: percent(&key("max_shrink_percent"), typed.max_shrink_percent)?
                .or(defaults.max_shrink_percent),
            masked: typed.masked.unwrap_or(defaults.masked),
            computed: typed.computed.unwrap_or(defaults.computed),
            hidden: typed.hidden.unwrap_or(defaults.hidden),
            swap: typed.swap.map_or(defaults.swap, |swap| swap.policy(&key("swap"), outdated)),
            consistency: typed.consistency.unwrap_or(defaults.consistency),
            readers,
            chunk_rows: positive(&key("chunk_rows"), typed.chunk_rows)?.or(defaults.chunk_rows),
            offset_column: typed.offset_column.unwrap_or(defaults.offset_column),
            variant_type_column: typed.variant_type_column.unwrap_or(defaults.variant_type_column),
            witness: typed.witness.unwrap_or(defaults.witness),
            mode,
            deletes: typed.deletes.unwrap_or(defaults.deletes),
            full_every: duration(&key("full_every"), typed.full_every.as_deref(), defaults.full_every)?,
            prove: typed.prove.map_or(Ok(defaults.prove), |text| share(&key("prove"), &text))?,
            on_mismatch: typed.on_mismatch.unwrap_or(defaults.on_mismatch),
        },
        source,
    })
}

fn selection(typed: &raw::Tables, tables: &[TableConfig]) -> Checked<Selection> {
    let patterns = |key: &str, list: &[String]| -> Checked<Vec<Pattern>> {
        list.iter().enumerate().map(|(index, text)| keyed(&format!("{key}[{index}]"), Pattern::new(text))).collect()
    };
    let include = match &typed.include {
        Some(list) if list.is_empty() => {
            return Err("tables.include: an empty list selects nothing; give at least one \"schema.table\" pattern, \
                        or leave the key out to copy just the [[table]] entries"
                .to_owned());
        }
        Some(list) => patterns("tables.include", list)?,
        None if tables.is_empty() => {
            return Err(
                "tables.include: no tables are selected; give patterns such as [\"dbo.*\"], or [[table]] entries"
                    .to_owned(),
            );
        }
        None => Vec::new(),
    };
    let exclude = patterns("tables.exclude", &typed.exclude)?;
    for (index, table) in tables.iter().enumerate() {
        let matching = exclude.iter().find(|pattern| pattern.matches(&table.source.schema, &table.source.name));
        if let Some(pattern) = matching {
            return Err(format!(
                "table[{index}].source: {} is excluded by {:?} in tables.exclude; remove one of them",
                table.source,
                pattern.as_str()
            ));
        }
    }
    Ok(Selection { include, exclude, views: typed.views })
}

fn refuse_duplicates(tables: &[TableConfig]) -> Checked<()> {
    let mut seen = BTreeSet::new();
    for (index, table) in tables.iter().enumerate() {
        if !seen.insert(table.source.to_string().to_lowercase()) {
            return Err(format!(
                "table[{index}].source: {} has an entry already; one entry a table is allowed",
                table.source
            ));
        }
    }
    Ok(())
}

/// `schema.table`; names with dots or brackets are written `[schema].[table]`.
fn source_name(key: &str, text: &str) -> Checked<TableName> {
    match split_name(text).as_deref() {
        Some([schema, name]) => Ok(TableName::new(schema, name)),
        _ => Err(format!("{key}: {text:?} is not a table name; write \"schema.table\", or \"[schema].[table]\"")),
    }
}

fn target_name(key: &str, text: &str) -> Checked<TargetName> {
    match split_name(text).as_deref() {
        Some([schema, name]) => Ok(TargetName { schema: Some(schema.clone()), name: name.clone() }),
        Some([name]) => Ok(TargetName { schema: None, name: name.clone() }),
        _ => Err(format!("{key}: {text:?} is not a table name; write \"schema.table\" or \"table\"")),
    }
}

/// Parts in brackets are taken as they are, with closing brackets doubled.
fn split_name(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = if let Some(inner) = rest.strip_prefix('[') {
            let end = closing_bracket(inner)?;
            (inner[..end].replace("]]", "]"), &inner[end + 1..])
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

/// Where the bracket is that is not doubled.
fn closing_bracket(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text[at..].find(']')?;
        if !text[at + 1..].starts_with(']') {
            return Some(at);
        }
        at += 2;
    }
}

fn check_columns(key: &str, columns: &[String]) -> Checked<()> {
    if columns.is_empty() {
        return Err(format!("{key}: an empty list; name at least one column, or leave the key out"));
    }
    let mut seen = BTreeSet::new();
    for (index, column) in columns.iter().enumerate() {
        if column.is_empty() || !seen.insert(column.to_lowercase()) {
            return Err(format!("{key}[{index}]: {column:?} is empty or named twice; name each column once"));
        }
    }
    Ok(())
}

/// Column → type, or column → name: no value empty, no column twice.
fn check_map(key: &str, map: &BTreeMap<String, String>) -> Checked<()> {
    let mut seen = BTreeSet::new();
    for (column, value) in map {
        if value.trim().is_empty() {
            return Err(format!("{key}.{column}: must not be empty"));
        }
        if !seen.insert(column.to_lowercase()) {
            return Err(format!("{key}.{column}: this column is named twice; name each column once"));
        }
    }
    Ok(())
}

fn tls(side: &str, mode: TlsMode, ca_file: Option<String>) -> Checked<Tls> {
    let ca_file = ca_file.map(|path| filled(&format!("{side}.ca_file"), path)).transpose()?.map(PathBuf::from);
    if ca_file.is_some() && mode != TlsMode::VerifyFull {
        return Err(format!("{side}.ca_file: has no effect unless {side}.tls is \"verify-full\""));
    }
    Ok(Tls { mode, ca_file })
}

fn keyed<T>(key: &str, result: Result<T, String>) -> Checked<T> {
    result.map_err(|problem| format!("{key}: {problem}"))
}

fn duration(key: &str, text: Option<&str>, default: Duration) -> Checked<Duration> {
    text.map_or(Ok(default), |text| keyed(key, units::duration(text)))
}

fn filled(key: &str, text: String) -> Checked<String> {
    if text.trim().is_empty() { Err(format!("{key}: must not be empty")) } else { Ok(text) }
}

fn at_least_one(key: &str, count: usize) -> Checked<usize> {
    if (1..=64).contains(&count) { Ok(count) } else { Err(format!("{key}: {count} is not allowed; 1 to 64 are")) }
}

fn positive(key: &str, count: Option<u64>) -> Checked<Option<u64>> {
    if count == Some(0) { Err(format!("{key}: 0 is not allowed; at least 1 is")) } else { Ok(count) }
}

/// `1/10`, or `off`.
fn share(key: &str, text: &str) -> Checked<Option<u64>> {
    if text == "off" {
        return Ok(None);
    }
    match text.strip_prefix("1/").and_then(|parts| parts.parse().ok()) {
        Some(parts @ 1..=1_000) => Ok(Some(parts)),
        _ => Err(format!("{key}: {text:?} is not a share; \"1/1\" to \"1/1000\" and \"off\" are allowed")),
    }
}

fn percent(key: &str, percent: Option<u8>) -> Checked<Option<u8>> {
    match percent {
        Some(percent) if percent > 100 => Err(format!("{key}: {percent} is not a percentage; 0 to 100 are allowed")),
        percent => Ok(percent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_hold_a_name_as_it_is() {
        let parts = |text: &str| split_name(text).map(|parts| parts.join("|"));
        assert_eq!(parts("dbo.Orders").as_deref(), Some("dbo|Orders"));
        assert_eq!(parts("[dbo].[na.me ]").as_deref(), Some("dbo|na.me "));
        assert_eq!(parts("dbo.[odd]]name]").as_deref(), Some("dbo|odd]name"));
        assert_eq!(parts("dbo.[open]]"), None);
        assert_eq!(parts("dbo.[a]b"), None);
    }
}
