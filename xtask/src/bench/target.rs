//! The benchmark's target: a private server, and what its own bulk load of the same rows takes.

use crate::demo::Engine;
use anyhow::{Context, Result, ensure};
use std::{fs, path::Path};
use stopgap_servers::{
    mysql::{self, Flavour},
    postgres,
};

use super::process::Server;

const DATABASE: &str = "bench";
/// The same tables again, for the parts alone. A schema of PostgreSQL, a database of MySQL.
const PARTS: &str = "parts";

pub enum Target {
    Postgres(postgres::PrivateServer),
    Mysql(mysql::PrivateServer),
}

/// Statements that load the rows which a run has copied once more.
pub struct Parts {
    pub load: String,
    /// Builds the primary keys; none where they are part of the load.
    pub keys: Option<String>,
}

impl Target {
    pub fn start(engine: Engine) -> Result<Self> {
        let flavour = match engine {
            Engine::Postgres => {
                let server = postgres::PrivateServer::start(postgres::Options::default())?;
                server.create_database(DATABASE)?;
                return Ok(Target::Postgres(server));
            }
            Engine::Mysql => Flavour::MySql,
            Engine::Mariadb => Flavour::MariaDb,
        };
        ensure!(flavour.is_available(), "{} cannot be started here", engine.name());
        let arguments = vec!["--innodb-buffer-pool-size=2G".to_owned()];
        let server = mysql::PrivateServer::start(flavour, mysql::Options { tls: None, arguments })?;
        Ok(Target::Mysql(server))
    }

    pub fn process(&self) -> Server {
        Server(match self {
            Target::Postgres(server) => server.process_id(),
            Target::Mysql(server) => server.process_id(),
        })
    }

    pub fn password(&self) -> &'static str {
        match self {
            Target::Postgres(_) => postgres::PASSWORD,
            Target::Mysql(_) => mysql::PASSWORD,
        }
    }

    /// `[target]` of the job file, but for its password.
    pub fn section(&self) -> String {
        let (engine, port, user) = match self {
            Target::Postgres(server) => ("postgres", server.port(), postgres::USER),
            Target::Mysql(server) => ("mysql", server.port(), mysql::USER),
        };
        format!(
            "[target]\nengine = \"{engine}\"\nhost = \"127.0.0.1\"\nport = {port}\ndatabase = \"{DATABASE}\"\n\
             user = \"{user}\"\ntls = \"disable\"\n"
        )
    }

    /// What the parts alone are called in the result.
    pub fn load_name(&self) -> &'static str {
        match self {
            Target::Postgres(_) => "COPY FROM, binary, from a file",
            Target::Mysql(_) => "LOAD DATA from a file, primary keys included",
        }
    }

    pub fn sql(&self, sql: &str) -> Result<()> {
        match self {
            Target::Postgres(server) => server.psql(DATABASE, sql, &[]).map(drop),
            Target::Mysql(server) => server.query("mysql", sql).map(drop),
        }
    }

    /// Nothing is there from an earlier run.
    pub fn reset(&self) -> Result<()> {
        self.sql(match self {
            Target::Postgres(_) => {
                "DROP SCHEMA IF EXISTS parts CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE SCHEMA parts"
            }
            Target::Mysql(_) => {
                "DROP DATABASE IF EXISTS parts; DROP DATABASE IF EXISTS bench; CREATE DATABASE bench CHARACTER SET utf8mb4; \
                 CREATE DATABASE parts CHARACTER SET utf8mb4"
            }
        })
    }

    /// Writes the copied rows to files on the server's own disk, and makes empty tables for them.
    pub fn prepare(&self, tables: &[&str]) -> Result<Parts> {
        let (mut load, mut keys) = (Vec::new(), Vec::new());
        for table in tables {
            let file = self.file(table);
            match self {
                Target::Postgres(server) => {
                    self.sql(&format!("COPY public.{table} TO '{file}' (FORMAT binary)"))?;
                    self.sql(&format!("CREATE TABLE {PARTS}.{table} (LIKE public.{table})"))?;
                    load.push(format!("COPY {PARTS}.{table} FROM '{file}' (FORMAT binary)"));
                    keys.push(format!("ALTER TABLE {PARTS}.{table} ADD {}", primary_key(server, table)?));
                }
                Target::Mysql(_) => {
                    self.sql(&format!("SELECT * FROM {DATABASE}.{table} INTO OUTFILE '{file}'"))?;
                    self.sql(&format!("CREATE TABLE {PARTS}.{table} LIKE {DATABASE}.{table}"))?;
                    load.push(format!("LOAD DATA INFILE '{file}' INTO TABLE {PARTS}.{table} CHARACTER SET utf8mb4"));
                }
            }
        }
        if matches!(self, Target::Postgres(_)) {
            self.sql("CHECKPOINT")?;
        }
        Ok(Parts { load: load.join("; "), keys: (!keys.is_empty()).then(|| keys.join("; ")) })
    }

    pub fn clean(&self, tables: &[&str]) -> Result<()> {
        for table in tables {
            let file = self.file(table);
            fs::remove_file(&file).with_context(|| format!("removing {file}"))?;
        }
        Ok(())
    }

    /// Whether LOAD DATA LOCAL is allowed; where it is not, the job inserts.
    pub fn allow_bulk_load(&self, allowed: bool) -> Result<()> {
        self.sql(&format!("SET GLOBAL local_infile = {}", u8::from(allowed)))
    }

    fn file(&self, table: &str) -> String {
        let directory: &Path = match self {
            Target::Postgres(server) => server.directory(),
            Target::Mysql(server) => server.directory(),
        };
        directory.join(format!("{table}.rows")).display().to_string()
    }
}

fn primary_key(server: &postgres::PrivateServer, table: &str) -> Result<String> {
    let sql = format!(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint \
         WHERE contype = 'p' AND conrelid = 'public.{table}'::regclass"
    );
    let definition = server.psql(DATABASE, &sql, &["-At"])?;
    ensure!(!definition.trim().is_empty(), "{table} has no primary key on the target");
    Ok(definition.trim().to_owned())
}
