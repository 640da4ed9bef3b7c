//! A PostgreSQL server of our own: its directory, port, password and end.

use crate::{ScratchDir, guard::Guarded, shell_quote};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// The superuser of every private server.
pub const USER: &str = "stopgap";
/// Its password: the server listens on the loopback address only and lives for one run.
pub const PASSWORD: &str = "p@ss:word/ with 'quotes'";

/// Where the server keeps its output, under its directory.
const LOG: &str = "server.log";
const START_LIMIT: Duration = Duration::from_mins(1);
/// Another process may take the free port between our look and the server's start.
const START_ATTEMPTS: u32 = 3;

/// The machine's crash may lose data, since it is thrown away; the server's own crash may not, since tests cause it.
/// Everything else stays as a real target has it.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("max_connections", "200"),
    ("shared_buffers", "256MB"),
    ("maintenance_work_mem", "128MB"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "30min"),
    ("wal_level", "logical"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] %q%u@%d %a "),
];

/// What may be asked of a private server.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// The server's certificate chain and key, PEM; without them it refuses TLS.
    pub tls: Option<(String, String)>,
    /// More settings, which win over the usual ones.
    pub settings: Vec<(String, String)>,
}

/// A running PostgreSQL with one superuser, gone when dropped and when this process ends in any way.
#[derive(Debug)]
pub struct PrivateServer {
    // Stopped before its directory is removed: fields drop in this order.
    process: Guarded,
    directory: ScratchDir,
    binaries: PathBuf,
    options: Options,
    port: u16,
}

impl PrivateServer {
    /// Makes a cluster and starts it with the binaries that [`find_binaries`] finds.
    pub fn start(options: Options) -> Result<Self> {
        let binaries = find_binaries().context("no PostgreSQL server found; `cargo xtask setup` installs one")?;
        let directory = ScratchDir::new("pg")?;
        let account = unprivileged_account()?;
        prepare(&binaries, directory.path(), &options, account)?;
        for attempt in 1.. {
            match launch(&binaries, directory.path(), account) {
                Ok((process, port)) => return Ok(Self { process, directory, binaries, options, port }),
                Err(error) if attempt == START_ATTEMPTS => return Err(error),
                Err(_) => {}
            }
        }
        bail!("no attempt to start PostgreSQL was made")
    }

    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the server was given a certificate.
    pub fn has_tls(&self) -> bool {
        self.options.tls.is_some()
    }

    /// The postmaster's process number.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The command with which a person looks into `database`.
    pub fn psql_command_line(&self, database: &str) -> String {
        let password = shell_quote(PASSWORD);
        format!("PGPASSWORD={password} psql -h {} -p {} -U {USER} {database}", self.host(), self.port)
    }

    /// Runs `sql` through `psql` as the superuser and returns what it prints; an SQL error is an error.
    pub fn psql(&self, database: &str, sql: &str, more_arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.binaries.join("psql"));
        command
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.host(), "-U", USER, "-d", database])
            .args(["-p", &self.port.to_string()])
            .args(more_arguments)
            .args(["-c", sql])
            .env("PGPASSWORD", PASSWORD)
            .env("PGCLIENTENCODING", "UTF8")
            .stdin(Stdio::null());
        let output = command.output().context("starting psql")?;
        ensure!(output.status.success(), "psql on {database}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Makes an empty database.
    pub fn create_database(&self, name: &str) -> Result<()> {
        // From template0, so that two at once do not wait for one another's use of template1.
        let sql = format!("CREATE DATABASE \"{}\" TEMPLATE template0", name.replace('"', "\"\""));
        self.psql("postgres", &sql, &[]).map(drop)
    }

    /// A replica that follows this server and answers queries.
    pub fn standby(&self) -> Result<Self> {
        let account = unprivileged_account()?;
        let directory = ScratchDir::new("pg")?;
        give(directory.path(), account)?;
        let mut copy = Command::new(self.binaries.join("pg_basebackup"));
        copy.args(["--no-sync", "--checkpoint=fast", "--write-recovery-conf", "--username", USER, "-h", self.host()])
            .args(["-p", &self.port.to_string()])
            .arg("--pgdata")
            .arg(directory.path().join("data"))
            .env("PGPASSWORD", PASSWORD)
            .current_dir(directory.path())
            .stdin(Stdio::null());
        let Output { status, stderr, .. } =
            as_account(&mut copy, account).output().context("starting pg_basebackup")?;
        ensure!(status.success(), "pg_basebackup failed: {}", String::from_utf8_lossy(&stderr).trim());
        // Where its readers need rows that this server has cleaned away, it would fall behind until it cancels them.
        let settings = directory.path().join("data/postgresql.auto.conf");
        let mut settings = OpenOptions::new()
            .append(true)
            .open(&settings)
            .with_context(|| format!("opening {}", settings.display()))?;
        writeln!(settings, "hot_standby_feedback = on\nwal_receiver_status_interval = 1s")
            .context("configuring a standby")?;
        let (process, port) = launch(&self.binaries, directory.path(), account)?;
        Ok(Self { process, directory, binaries: self.binaries.clone(), options: self.options.clone(), port })
    }

    /// Ends the server at once, as a crash would. [`PrivateServer::start_again`] brings it back on the same port.
    pub fn crash(&mut self) {
        self.process.stop(Duration::from_secs(10));
    }

    /// Starts the server again after [`PrivateServer::crash`], with its data and on its port.
    pub fn start_again(&mut self) -> Result<()> {
        let account = unprivileged_account()?;
        self.process = launch_on(&self.binaries, self.directory.path(), account, self.port)?;
        Ok(())
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        read_log(self.directory.path())
    }
}

/// The directory with `initdb`, `postgres` and `psql`: `STOPGAP_PG_BIN`, else the newest that Debian installed, else the
/// one on `PATH`.
pub fn find_binaries() -> Option<PathBuf> {
    let complete = |dir: &Path| ["initdb", "postgres", "psql"].iter().all(|name| dir.join(name).is_file());
    if let Some(named) = std::env::var_os("STOPGAP_PG_BIN") {
        let named = PathBuf::from(named);
        return complete(&named).then_some(named);
    }
    let mut installed: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, dir)| complete(dir))
        .collect();
    installed.sort();
    if let Some((_, dir)) = installed.pop() {
        return Some(dir);
    }
    std::env::split_paths(&std::env::var_os("PATH")?).find(|dir| complete(dir))
}

/// Whom the server runs as: `None` for ourselves. PostgreSQL refuses root, so root uses another account.
fn unprivileged_account() -> Result<Option<(u32, u32)>> {
    use std::os::unix::fs::MetadataExt;
    // The owner of our own entry in /proc is our effective user.
    let ourselves = fs::metadata("/proc/self").context("reading /proc/self")?.uid();
    if ourselves != 0 {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    for wanted in ["postgres", "nobody"] {
        for line in accounts.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [name, _, uid, gid, ..] = fields[..]
                && name == wanted
            {
                return Ok(Some((uid.parse()?, gid.parse()?)));
            }
        }
    }
    bail!("PostgreSQL refuses to run as root, and there is neither an account postgres nor nobody to run it as")
}

fn as_account(command: &mut Command, account: Option<(u32, u32)>) -> &mut Command {
    if let Some((uid, gid)) = account {
        // `std` also drops root's further groups when root sets another user.
        command.uid(uid).gid(gid);
    }
    command
}

fn give(path: &Path, account: Option<(u32, u32)>) -> Result<()> {
    if let Some((uid, gid)) = account {
        chown(path, Some(uid), Some(gid)).with_context(|| format!("giving {} away", path.display()))?;
    }
    Ok(())
}

fn write_private(path: &Path, content: &str, account: Option<(u32, u32)>) -> Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let write =
        || fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(content.as_bytes());
    write().with_context(|| format!("writing {}", path.display()))?;
    give(path, account)
}

fn prepare(binaries: &Path, directory: &Path, options: &Options, account: Option<(u32, u32)>) -> Result<()> {
    give(directory, account)?;
    let password_file = directory.join("password");
    write_private(&password_file, PASSWORD, account)?;
    let data = directory.join("data");
    let mut initdb = Command::new(binaries.join("initdb"));
    initdb
        .args(["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--username", USER])
        .arg("--pwfile")
        .arg(&password_file)
        .arg("--pgdata")
        .arg(&data)
        .current_dir(directory)
        .stdin(Stdio::null());
    let Output { status, stderr, .. } = as_account(&mut initdb, account).output().context("starting initdb")?;
    ensure!(status.success(), "initdb failed: {}", String::from_utf8_lossy(&stderr).trim());

    let mut settings: Vec<(&str, String)> = SETTINGS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    settings.push(("unix_socket_directories", directory.display().to_string()));
    if let Some((certificate, key)) = &options.tls {
        for (name, content) in [("server.crt", certificate), ("server.key", key)] {
            write_private(&data.join(name), content, account)?;
        }
        settings.push(("ssl", "on".to_owned()));
    }
    settings.extend(options.settings.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let lines: Vec<String> =
        settings.iter().map(|(name, value)| format!("{name} = '{}'", value.replace('\'', "''"))).collect();
    let text = lines.join("\n") + "\n";
    write_private(&data.join("postgresql.auto.conf.new"), &text, account)?;
    fs::rename(data.join("postgresql.auto.conf.new"), data.join("postgresql.auto.conf"))
        .context("writing the server's settings")
}

fn launch(binaries: &Path, directory: &Path, account: Option<(u32, u32)>) -> Result<(Guarded, u16)> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?.local_addr()?.port();
    Ok((launch_on(binaries, directory, account, port)?, port))
}

fn launch_on(binaries: &Path, directory: &Path, account: Option<(u32, u32)>, port: u16) -> Result<Guarded> {
    let data = directory.join("data");
    let log = fs::OpenOptions::new().create(true).append(true).open(directory.join(LOG)).context("opening the log")?;
    let mut command = Command::new(binaries.join("postgres"));
    command
        .arg("-D")
        .arg(&data)
        .args(["-p", &port.to_string()])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("opening the log")?)
        .stderr(log);
    // QUIT is the immediate shutdown: nothing of the data is wanted afterwards.
    let mut process = Guarded::spawn(as_account(&mut command, account), "QUIT")?;
    let deadline = Instant::now() + START_LIMIT;
    while !is_ready(&data, process.id()) {
        let ended = process.wait_at_most(Duration::from_millis(20))?;
        if ended.is_some() || Instant::now() > deadline {
            bail!("PostgreSQL did not start; its log ends with:\n{}", read_log(directory));
        }
    }
    Ok(process)
}

/// The postmaster writes its own number first and, once it takes connections, `ready` on the eighth line.
fn is_ready(data: &Path, process: u32) -> bool {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else { return false };
    let lines: Vec<&str> = text.lines().collect();
    lines.first().is_some_and(|id| id.trim() == process.to_string())
        && lines.get(7).is_some_and(|state| state.trim() == "ready")
}

fn read_log(directory: &Path) -> String {
    fs::read_to_string(directory.join(LOG)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_survives_a_crash_and_leaves_nothing() {
        let mut server = PrivateServer::start(Options::default()).unwrap();
        server.create_database("one").unwrap();
        server.psql("one", "CREATE TABLE t AS SELECT 7 AS n", &[]).unwrap();
        server.crash();
        assert!(server.psql("one", "SELECT 1", &[]).is_err());
        server.start_again().unwrap();
        assert_eq!(server.psql("one", "SELECT n FROM t", &["-At"]).unwrap().trim(), "7");
        assert!(server.psql("one", "SELECT nonsense", &[]).unwrap_err().to_string().contains("nonsense"));

        let (directory, port) = (server.directory().to_owned(), server.port());
        drop(server);
        assert!(!directory.exists());
        assert!(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    }
}
