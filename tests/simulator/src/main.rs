//! The simulator as a program.

use std::collections::BTreeSet;
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Parser;
use mssql_simulator::server::{Encryption, Server};
use mssql_simulator::tls;
use tsql_engine::{Instance, Version};

/// Speaks TDS 7.4 and 8.0 on the loopback address and answers T-SQL from memory. It is not a SQL Server.
#[derive(Debug, Parser)]
#[command(name = "mssql-simulator", version)]
struct Arguments {
    /// The port; 0 takes a free one, and the line `ready 127.0.0.1:PORT` on standard output tells which.
    #[arg(long, default_value_t = 1433)]
    port: u16,
    /// The login that may do everything.
    #[arg(long, default_value = "sa")]
    user: String,
    /// The environment variable that holds its password.
    #[arg(long, value_name = "NAME")]
    password_env: String,
    /// The server's certificate chain as PEM; without it the simulator makes its own.
    #[arg(long, requires = "key", value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The certificate's key as PEM.
    #[arg(long, requires = "certificate", value_name = "FILE")]
    key: Option<PathBuf>,
    /// required: every session encrypted; optional: as the client asks; off: none.
    #[arg(long, value_enum, default_value_t = Encryption::Optional)]
    encryption: Encryption,
    /// The release of SQL Server to stand for, by its year; what it does not know yet is refused.
    #[arg(long, value_name = "YEAR", default_value = Version::default().year(), value_parser = version)]
    server_version: Version,
    /// A T-SQL file to run before connections are taken; its database is made if it is missing.
    #[arg(long = "script", value_name = "DATABASE=FILE")]
    scripts: Vec<String>,
    /// Run more while it serves: read lines DATABASE=FILE from standard input and answer each with a line, `done` or what failed.
    #[arg(long)]
    scripts_from_input: bool,
    /// Serve the TPC-H tables at this scale.
    #[arg(long, value_name = "SCALE")]
    tpch: Option<f64>,
    /// The database that has them.
    #[arg(long, default_value = "tpch")]
    tpch_database: String,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let password = std::env::var(&arguments.password_env)
        .with_context(|| format!("the password variable {} is not set", arguments.password_env))?;
    let directory = tempfile::Builder::new().prefix("mssql-simulator-").tempdir()?;
    // The databases go with the process, also when it is told to end.
    let path = directory.path().to_owned();
    ctrlc::set_handler(move || {
        // What cannot be removed is in the system's directory for temporary files.
        let _ = std::fs::remove_dir_all(&path);
        std::process::exit(0);
    })?;
    let instance = Instance::of_version(directory.path(), arguments.server_version)?;
    instance.create_login(&arguments.user, &password);
    let mut databases = BTreeSet::new();
    for script in &arguments.scripts {
        run_script(&instance, script, &mut databases)?;
    }
    if let Some(scale) = arguments.tpch {
        instance.create_database(&arguments.tpch_database)?;
        instance.attach_tpch(&arguments.tpch_database, scale)?;
    }
    let tls = match (&arguments.certificate, &arguments.key) {
        (Some(certificate), Some(key)) => tls::from_files(certificate, key)?,
        _ => tls::self_signed()?,
    };
    if arguments.tpch.is_some() {
        databases.insert(arguments.tpch_database);
    }
    let server = Server::bind(arguments.port, Arc::clone(&instance), tls, arguments.encryption)?;
    println!("ready {}", server.address()?);
    std::io::stdout().flush()?;
    if arguments.scripts_from_input {
        std::thread::spawn(move || scripts_from_input(&instance, databases));
    }
    server.run()
}

/// Ends when nobody writes to it, or reads its answers, any more.
fn scripts_from_input(instance: &Arc<Instance>, mut databases: BTreeSet<String>) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let answer = match run_script(instance, &line, &mut databases) {
            Ok(()) => "done".to_owned(),
            Err(error) => format!("{error:#}").replace('\n', " "),
        };
        let mut output = std::io::stdout().lock();
        if writeln!(output, "{answer}").and_then(|()| output.flush()).is_err() {
            return;
        }
    }
}

fn version(year: &str) -> Result<Version, String> {
    let known = Version::ALL.map(Version::year).join(", ");
    Version::of_year(year).ok_or_else(|| format!("the simulator stands for {known}"))
}

fn run_script(instance: &Arc<Instance>, argument: &str, databases: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let Some((database, path)) = argument.split_once('=') else {
        bail!("the script {argument:?}: write DATABASE=FILE");
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("the script {path} cannot be read"))?;
    if databases.insert(database.to_owned()) {
        instance.create_database(database)?;
    }
    instance.run_script(database, &text).with_context(|| format!("in the script {path}"))
}
