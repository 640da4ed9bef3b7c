//! The SQL Server simulator as a process of its own.

use crate::{ScratchDir, guard::Guarded};
use anyhow::{Context, Result, bail, ensure};
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The login that every simulator knows.
pub const USER: &str = "sa";
/// Its password: the simulator listens on the loopback address only.
pub const PASSWORD: &str = "Stopgap-Simulator-1";

const PASSWORD_VARIABLE: &str = "STOPGAP_SIMULATOR_PASSWORD";
/// What precedes the address in the one line that the simulator prints when it takes connections.
const READY: &str = "ready ";

/// What answers a script that ran.
const DONE: &str = "done";

/// What may be asked of a simulator.
#[derive(Debug, Default)]
pub struct Options {
    /// Files with the server's certificate chain and key, PEM; without them it makes its own.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// T-SQL files to run before it takes connections, each in its database, in this order.
    pub scripts: Vec<(String, PathBuf)>,
    /// Serve TPC-H at this scale in a database named `tpch`.
    pub tpch: Option<f64>,
    /// The release of SQL Server to stand for, by its year; without one, the newest that it knows.
    pub server_version: Option<&'static str>,
    /// `required`, `optional` or `off`; without one, as the client asks.
    pub encryption: Option<&'static str>,
}

/// A running simulator, gone when dropped and when this process ends in any way.
#[derive(Debug)]
pub struct Simulator {
    process: Guarded,
    port: u16,
    /// Scripts go in, answers come out.
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    /// Its databases; goes after the process.
    _directory: ScratchDir,
}

impl Simulator {
    /// Starts `program` and returns once its scripts are loaded. What it says on the way goes to our standard error.
    pub fn start(program: &Path, options: &Options) -> Result<Self> {
        // A simulator that is killed cleans nothing up itself.
        let directory = ScratchDir::new("simulator")?;
        let mut command = Command::new(program);
        command
            .args(["--port", "0", "--user", USER, "--password-env", PASSWORD_VARIABLE, "--scripts-from-input"])
            .env(PASSWORD_VARIABLE, PASSWORD)
            .env("TMPDIR", directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some((certificate, key)) = &options.tls {
            command.arg("--certificate").arg(certificate).arg("--key").arg(key);
        }
        for (database, script) in &options.scripts {
            command.arg("--script").arg(format!("{database}={}", script.display()));
        }
        if let Some(scale) = options.tpch {
            command.args(["--tpch", &scale.to_string(), "--tpch-database", "tpch"]);
        }
        if let Some(year) = options.server_version {
            command.args(["--server-version", year]);
        }
        if let Some(encryption) = options.encryption {
            command.args(["--encryption", encryption]);
        }
        let mut process = Guarded::spawn(&mut command, "TERM")?;
        let input = process.child_mut().stdin.take().context("the simulator has no standard input")?;
        let output = process.child_mut().stdout.take().context("the simulator has no standard output")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).context("reading from the simulator")?;
        let Some(address) = line.trim().strip_prefix(READY) else {
            process.stop(Duration::from_secs(1));
            bail!("the simulator did not start (its messages are above); it printed {line:?}");
        };
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.with_context(|| format!("the simulator gave no port: {address}"))?;
        Ok(Self { process, port, pipes: Mutex::new((input, output)), _directory: directory })
    }

    /// Runs a T-SQL file in a database, as another client of the server would, and waits for its end.
    pub fn run_script(&self, database: &str, script: &Path) -> Result<()> {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let (input, output) = &mut *pipes;
        writeln!(input, "{database}={}", script.display()).context("writing to the simulator")?;
        let mut answer = String::new();
        output.read_line(&mut answer).context("reading from the simulator")?;
        ensure!(answer.trim() == DONE, "{}: {}", script.display(), answer.trim());
        Ok(())
    }

    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process number.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }
}
