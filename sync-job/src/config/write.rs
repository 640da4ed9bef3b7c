//! Writes a commented job file for the source that `sync-job init` inspects.

use std::fmt::Write as _;

use crate::model::schema::{SourceKind, SourceTable};

/// What the job file says of the source's connection.
#[derive(Debug, Clone)]
pub struct Connection<'a> {
    pub job: &'a str,
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub user: &'a str,
    /// `password_env` or `password_file`, and its value.
    pub password: (&'a str, &'a str),
    pub tls: &'a str,
    pub ca_file: Option<&'a str>,
    pub snapshot_allowed: bool,
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A glob that matches just this text.
fn literal(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | '\\') {
            out.extend(['[', c, ']']);
        } else {
            out.push(c);
        }
        out
    })
}

/// The job file's text: connection, every schema selected, and one comment line a table.
pub fn job_file(connection: &Connection<'_>, tables: &[SourceTable]) -> String {
    let mut out = String::new();
    let consistency = if connection.snapshot_allowed { "snapshot" } else { "none" };
    let ca_file = connection.ca_file.map(|path| format!("ca_file = {}\n", quoted(path))).unwrap_or_default();
    let note = if connection.snapshot_allowed {
        "one SNAPSHOT transaction a table"
    } else {
        "the database does not allow SNAPSHOT (ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON)"
    };
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "# Written by `sync-job init`. Next: fill in the target (engine, host, user), run\n\
         # `sync-job check --config FILE`, read `sync-job plan`, then `sync-job run`.\n\n\
         [job]\nname = {job}\n# readers = 4          # connections that read at the same time\n\
         # memory = \"256MiB\"    # rows waiting between source and target\n# deadline = \"2h\"      # stop cleanly after this time\n\n\
         [source]\nhost = {host}\nport = {port}\ndatabase = {database}\nuser = {user}\n{password_key} = {password}\n\
         tls = {tls}\n{ca_file}consistency = {consistency}   # {note}\n\n\
         [target]                  # change this\nengine = \"postgres\"       # or \"mysql\"\nhost = \"aurora.example.internal\"\nport = 5432\ndatabase = {database}\n\
         user = {user}\npassword_env = \"TARGET_PASSWORD\"\ntls = \"verify-full\"\n# ca_file = \"/etc/ssl/certs/rds-global-bundle.pem\"\n\n\
         [tables]\n",
        job = quoted(connection.job),
        host = quoted(connection.host),
        port = connection.port,
        database = quoted(connection.database),
        user = quoted(connection.user),
        password_key = connection.password.0,
        password = quoted(connection.password.1),
        tls = quoted(connection.tls),
        consistency = quoted(consistency),
    );
    let mut schemas: Vec<&str> = tables.iter().map(|table| table.name.schema.as_str()).collect();
    schemas.sort_unstable();
    schemas.dedup();
    let patterns: Vec<String> = schemas.iter().map(|schema| quoted(&format!("{}.*", literal(schema)))).collect();
    let include = if patterns.is_empty() { "\"dbo.*\"".to_owned() } else { patterns.join(", ") };
    let _ = writeln!(out, "include = [{include}]\n# exclude = [\"*.tmp_*\"]\n# views = true\n");
    let _ = writeln!(out, "# Tables found:");
    for table in tables {
        let kind = if table.kind == SourceKind::View { "view" } else { "table" };
        let rows = table.rows.map_or_else(|| "rows unknown".to_owned(), |rows| format!("{rows} rows"));
        let key = table.primary_key().map_or_else(
            || "no primary key".to_owned(),
            |index| {
                let columns: Vec<&str> = index.columns.iter().map(|column| column.name.as_str()).collect();
                format!("key {}", columns.join(", "))
            },
        );
        let _ = writeln!(out, "#   {:<40} {kind}, {rows}, {key}{}", one_line(&table.name.to_string()), proposal(table));
    }
    let _ = write!(
        out,
        "\n# [[table]]\n# source = \"dbo.Orders\"\n# target = \"orders\"\n# filter = \"OrderDate >= '2020-01-01'\"\n\
         # mode = \"change-tracking\"   # copy only what changed; docs/incremental.md\n\
         # [table.target_types]\n# Payload = \"jsonb\"\n"
    );
    out
}

/// Of so many rows it is worth a thought to copy only what changed.
const LARGE_ROWS: u64 = 1_000_000;

/// How a large table could be copied faster, with the reason; a person decides.
fn proposal(table: &SourceTable) -> String {
    if table.primary_key().is_none() || table.rows.is_none_or(|rows| rows < LARGE_ROWS) {
        return String::new();
    }
    match table.columns.iter().find(|column| column.counts_changes) {
        Some(column) => {
            let column = one_line(&column.name);
            format!("; large, and {column} tells what changed: mode = \"rowversion\" in a [[table]] entry")
        }
        None => {
            "; large: with Change Tracking, mode = \"change-tracking\" in a [[table]] entry; without it, \"compare\""
                .to_owned()
        }
    }
}

/// Names may hold anything, line ends included.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::JobConfig;

    fn connection(snapshot_allowed: bool) -> Connection<'static> {
        Connection {
            job: "erp",
            host: "db \"quoted\"",
            port: 1444,
            database: "ERP",
            user: "reader",
            password: ("password_env", "SOURCE_PASSWORD"),
            tls: "verify-full",
            ca_file: Some("/etc/ca.pem"),
            snapshot_allowed,
        }
    }

    fn table(schema: &str, name: &str, kind: SourceKind) -> SourceTable {
        SourceTable {
            name: crate::model::schema::TableName::new(schema, name),
            kind,
            columns: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            listed: crate::model::schema::Listed::default(),
            lacking: Vec::new(),
            rows: Some(12),
            bytes: None,
            temporal: None,
            row_level_security: false,
            outside_transactions: false,
            may_show_masks: None,
        }
    }

    #[test]
    fn what_is_written_parses_back() {
        let text = job_file(&connection(false), &[]);
        let config = JobConfig::parse(&text, "job.toml").unwrap();
        assert_eq!(config.source.host, "db \"quoted\"");
        assert_eq!(config.source.port, 1444);
        assert_eq!(config.source.consistency, crate::config::Consistency::None);
        assert_eq!(config.selection.include[0].as_str(), "dbo.*");
    }

    #[test]
    fn every_table_that_was_found_is_selected_whatever_its_name() {
        let tables = [
            table("sales", "Orders", SourceKind::Table),
            table("dbo", "two\nlines] = \"x\"", SourceKind::Table),
            table("sales", "Open", SourceKind::View),
            table("odd [*]{a}\\", "t", SourceKind::Table),
        ];
        let text = job_file(&connection(true), &tables);
        let config = JobConfig::parse(&text, "job.toml").unwrap();
        assert_eq!(config.source.consistency, crate::config::Consistency::Snapshot);
        assert_eq!(config.selection.include.len(), 3);
        for table in &tables {
            let chosen = config
                .selection
                .include
                .iter()
                .filter(|glob| glob.matches(&table.name.schema, &table.name.name))
                .count();
            assert_eq!(chosen, 1, "{}", table.name);
        }
        assert!(text.contains("sales.Open") && text.contains("view, 12 rows, no primary key"));
    }
}
