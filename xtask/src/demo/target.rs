//! The demo's target: a private PostgreSQL, MySQL or MariaDB.

use super::TARGET_DATABASE;
use crate::{certificates::Certificates, packages::Part, setup::Tools};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use stopgap_servers::{
    guard::Guarded,
    mysql::{self, Flavour},
    postgres,
};

/// What `--target` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    Postgres,
    /// MySQL itself where it could be unpacked, else MariaDB
    Mysql,
    Mariadb,
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Engine::Postgres => "PostgreSQL",
            Engine::Mysql => "MySQL",
            Engine::Mariadb => "MariaDB",
        }
    }

    /// What of the set-up it needs.
    pub fn part(self) -> Option<Part> {
        (self != Engine::Postgres).then_some(Part::MySql)
    }
}

/// Databases of MySQL that take the source's schemas; PostgreSQL has schemas itself.
const DATABASES: [&str; 4] = [TARGET_DATABASE, "hr", "catalog", "audit"];

/// Rows of every table, counted and not estimated.
const POSTGRES_COUNTS: &str = "SELECT schemaname || '.' || relname AS \"table\", \
    (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I.%I', schemaname, relname), false, true, '')))[1] AS rows, \
    pg_size_pretty(pg_total_relation_size(relid)) AS size FROM pg_stat_user_tables ORDER BY 1";
const MYSQL_COUNTS: &str = "SELECT CONCAT(table_schema, '.', table_name) AS `table`, table_rows AS `rows, about`, \
    CONCAT(ROUND((data_length + index_length) / 1024), ' kB') AS size FROM information_schema.tables \
    WHERE table_schema IN ('analytics', 'hr', 'catalog', 'audit') ORDER BY 1";

/// A running target.
pub enum Target {
    Postgres(postgres::PrivateServer),
    Mysql(mysql::PrivateServer),
}

impl Target {
    pub fn start(engine: Engine, certificates: &Certificates) -> Result<Self> {
        let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
        let tls = Some((read(&certificates.certificate)?, read(&certificates.key)?));
        let flavour = match engine {
            Engine::Postgres => {
                let server = postgres::PrivateServer::start(postgres::Options { tls, settings: Vec::new() })?;
                server.create_database(TARGET_DATABASE)?;
                return Ok(Target::Postgres(server));
            }
            Engine::Mysql if Flavour::MySql.is_available() => Flavour::MySql,
            Engine::Mysql | Engine::Mariadb => Flavour::MariaDb,
        };
        let server = mysql::PrivateServer::start(flavour, mysql::Options { tls, arguments: Vec::new() })?;
        for database in DATABASES {
            server.create_database(database)?;
        }
        Ok(Target::Mysql(server))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Target::Postgres(_) => Engine::Postgres.name(),
            Target::Mysql(server) => match server.flavour() {
                Flavour::MySql => Engine::Mysql.name(),
                Flavour::MariaDb => Engine::Mariadb.name(),
            },
        }
    }

    pub fn port(&self) -> u16 {
        match self {
            Target::Postgres(server) => server.port(),
            Target::Mysql(server) => server.port(),
        }
    }

    pub fn password(&self) -> &'static str {
        match self {
            Target::Postgres(_) => postgres::PASSWORD,
            Target::Mysql(_) => mysql::PASSWORD,
        }
    }

    /// What the demo's job file says otherwise for this target.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let port = ("port = 54320", format!("port = {}", self.port()));
        match self {
            Target::Postgres(_) => vec![port],
            Target::Mysql(_) => vec![
                port,
                ("engine = \"postgres\"", "engine = \"mysql\"".to_owned()),
                ("sales = \"public\"", format!("sales = \"{TARGET_DATABASE}\"")),
            ],
        }
    }

    pub fn counts(&self) -> Result<String> {
        match self {
            Target::Postgres(server) => server.psql(TARGET_DATABASE, POSTGRES_COUNTS, &[]),
            Target::Mysql(server) => server.table(TARGET_DATABASE, MYSQL_COUNTS),
        }
    }

    pub fn show(&self, query: &str) -> Result<String> {
        match self {
            Target::Postgres(server) => {
                server.psql(TARGET_DATABASE, query, &["-P", "format=wrapped", "-P", "columns=150"])
            }
            Target::Mysql(server) => server.table(TARGET_DATABASE, query),
        }
    }

    /// The command with which a person looks around.
    pub fn command_line(&self) -> String {
        match self {
            Target::Postgres(server) => server.psql_command_line(TARGET_DATABASE),
            Target::Mysql(server) => server.command_line(TARGET_DATABASE),
        }
    }

    /// Writes the copied tables to a file in `directory`; returns it and how it is read.
    pub fn dump(&self, tools: &Tools, directory: &Path) -> Result<(PathBuf, &'static str)> {
        let (mut command, file, reader) = match self {
            Target::Postgres(server) => {
                let file = directory.join("analytics.dump");
                let mut command = Command::new(tools.postgres.join("pg_dump"));
                command
                    .args(["--format=custom", "--compress=1", "--host", server.host(), "--username", postgres::USER])
                    .args(["--port", &server.port().to_string(), "--file"])
                    .arg(&file)
                    .arg(TARGET_DATABASE)
                    .env("PGPASSWORD", postgres::PASSWORD);
                (command, file, "pg_restore")
            }
            Target::Mysql(server) => {
                let file = directory.join("analytics.sql");
                let mut command = Command::new("mariadb-dump");
                command
                    .args(["--no-defaults", "--host", server.host(), "--port", &server.port().to_string()])
                    .args(["--user", mysql::USER, "--single-transaction", "--databases"])
                    .args(DATABASES)
                    .arg(format!("--password={}", mysql::PASSWORD))
                    .arg(format!("--result-file={}", file.display()));
                (command, file, "mysql")
            }
        };
        let status = Guarded::spawn(command.stdin(Stdio::null()), "TERM")?.wait()?;
        ensure!(status.success(), "the dump failed ({status})");
        Ok((file, reader))
    }
}
