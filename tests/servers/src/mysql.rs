//! A MySQL or MariaDB server of our own: its directory, port, password and end.

use crate::{ScratchDir, guard::Guarded};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

/// The account of every private server; it may do everything.
pub const USER: &str = "stopgap";
/// Its password: the server listens on the loopback address only and lives for one run.
pub const PASSWORD: &str = "p@ss:word/ with \"quotes\"";
/// Names the directory into which MySQL was unpacked.
pub const UNPACKED: &str = "STOPGAP_MYSQL_ROOT";

/// The same, told by this process to itself.
static ROOT: OnceLock<PathBuf> = OnceLock::new();

/// Tells where MySQL was unpacked, instead of the environment.
pub fn unpacked_in(root: &Path) {
    // Told once is enough.
    let _ = ROOT.set(root.to_owned());
}

/// Options that a data directory is made with.
const FOR_LIFE: [&str; 2] = ["--innodb-page-size=", "--lower-case-table-names="];

const START_LIMIT: Duration = Duration::from_mins(2);
const START_ATTEMPTS: u32 = 3;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// MySQL itself, unpacked by `cargo xtask setup` into a directory of its own.
    MySql,
    /// Debian's MariaDB.
    MariaDb,
}

impl Flavour {
    /// Whether it can be started here.
    pub fn is_available(self) -> bool {
        self.program().is_some()
    }

    /// The server's program and the arguments that it needs before all others.
    fn program(self) -> Option<(PathBuf, Vec<String>)> {
        match self {
            Flavour::MariaDb => Some((find("mariadbd")?, vec!["--no-defaults".to_owned()])),
            Flavour::MySql => unpacked(&ROOT.get().cloned().or_else(|| std::env::var_os(UNPACKED).map(PathBuf::from))?),
        }
    }
}

/// MySQL out of its directory runs by that directory's own loader and libraries.
fn unpacked(root: &Path) -> Option<(PathBuf, Vec<String>)> {
    let root = root.canonicalize().ok()?;
    let server = root.join("usr/sbin/mysqld");
    let loader = root.join("usr/lib64/ld-linux-x86-64.so.2");
    if !server.is_file() || !loader.is_file() {
        return None;
    }
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let arguments = [
        "--library-path".to_owned(),
        format!("{0}:{0}/mysql/private:{1}", libraries.display(), root.join("usr/lib/mysql/private").display()),
        server.display().to_string(),
        "--no-defaults".to_owned(),
        format!("--basedir={}", root.join("usr").display()),
        format!("--lc-messages-dir={}", root.join("usr/share/mysql").display()),
        format!("--character-sets-dir={}", root.join("usr/share/mysql/charsets").display()),
        "--mysqlx=OFF".to_owned(),
    ];
    Some((loader, arguments.to_vec()))
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/bin")]);
    places.map(|place| place.join(name)).find(|path| path.is_file())
}

/// What may be asked of a private server.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// The server's certificate chain and key, PEM.
    pub tls: Option<(String, String)>,
    /// More options of the server, as on its command line.
    pub arguments: Vec<String>,
}

/// A running server with one account, gone when dropped and when this process ends in any way.
#[derive(Debug)]
pub struct PrivateServer {
    // Stopped before its directory is removed: fields drop in this order.
    process: Guarded,
    directory: ScratchDir,
    port: u16,
    flavour: Flavour,
    options: Options,
}

impl PrivateServer {
    pub fn start(flavour: Flavour, options: Options) -> Result<Self> {
        let directory = ScratchDir::new("my")?;
        initialize(flavour, directory.path(), &options)?;
        if let Some((certificate, key)) = &options.tls {
            fs::write(directory.path().join("server.pem"), certificate).context("writing the certificate")?;
            fs::write(directory.path().join("server.key"), key).context("writing the key")?;
        }
        for attempt in 1.. {
            match launch(flavour, directory.path(), &options) {
                Ok((process, port)) => return Ok(Self { process, directory, port, flavour, options }),
                Err(error) if attempt == START_ATTEMPTS => return Err(error),
                Err(_) => {}
            }
        }
        bail!("no attempt to start the server was made")
    }

    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process, of which a benchmark reads what it used.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Kills the server as a crash of its machine would.
    pub fn crash(&mut self) {
        self.process.stop(Duration::ZERO);
    }

    /// Starts it again after a crash.
    pub fn start_again(&mut self) -> Result<()> {
        (self.process, self.port) = launch(self.flavour, self.directory.path(), &self.options)?;
        Ok(())
    }

    /// The command with which a person looks into `database`.
    pub fn command_line(&self, database: &str) -> String {
        format!("mariadb -h {} -P {} -u {USER} --password='{PASSWORD}' {database}", self.host(), self.port)
    }

    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// Runs `sql` through the command-line client and returns its bare rows; an SQL error is an error.
    pub fn query(&self, database: &str, sql: &str) -> Result<String> {
        self.client(database, sql, &["--batch", "--skip-column-names"])
    }

    /// As [`PrivateServer::query`], as a table for people.
    pub fn table(&self, database: &str, sql: &str) -> Result<String> {
        self.client(database, sql, &["--table", "--binary-as-hex"])
    }

    fn client(&self, database: &str, sql: &str, form: &[&str]) -> Result<String> {
        let client = find("mariadb").context("no MySQL client found; `cargo xtask setup` installs one")?;
        let mut command = Command::new(client);
        command
            .args(["--no-defaults", "--default-character-set=utf8mb4"])
            .args(form)
            .args(["--host", self.host(), "--port", &self.port.to_string(), "--user", USER])
            .arg(format!("--password={PASSWORD}"))
            .args(["--execute", sql, database])
            .stdin(Stdio::null());
        let output = command.output().context("starting the client")?;
        ensure!(output.status.success(), "on {database}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Creates an empty database.
    pub fn create_database(&self, name: &str) -> Result<()> {
        self.query("mysql", &format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4")).map(drop)
    }
}

fn initialize(flavour: Flavour, directory: &Path, options: &Options) -> Result<()> {
    let data = directory.join("data");
    let mut command = match flavour {
        Flavour::MySql => {
            let (program, arguments) = flavour.program().context("MySQL is not unpacked here")?;
            let mut command = Command::new(program);
            command.args(arguments).arg("--initialize-insecure");
            command
        }
        Flavour::MariaDb => {
            let install = find("mariadb-install-db").context("no MariaDB found; `cargo xtask setup` installs it")?;
            let mut command = Command::new(install);
            command.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
            command
        }
    };
    command
        .arg(format!("--datadir={}", data.display()))
        .args(as_ourselves())
        // What cannot be changed later.
        .args(options.arguments.iter().filter(|argument| FOR_LIFE.iter().any(|name| argument.starts_with(name))))
        .env("TMPDIR", directory)
        .stdin(Stdio::null())
        .current_dir(directory);
    let output = command.output().context("making the server's data directory")?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "the data directory was not made: {}", String::from_utf8_lossy(&said).trim());
    Ok(())
}

/// Both servers refuse root unless it is named.
fn as_ourselves() -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0).then_some("--user=root")
}

fn launch(flavour: Flavour, directory: &Path, options: &Options) -> Result<(Guarded, u16)> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?.local_addr()?.port();
    let (program, arguments) = flavour.program().context("the server is not installed")?;
    let log = fs::OpenOptions::new().create(true).append(true).open(directory.join("server.log"))?;
    let account = directory.join("account.sql");
    let password = PASSWORD.replace('\'', "''");
    fs::write(
        &account,
        format!(
            "CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{password}';\nGRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        ),
    )?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(as_ourselves())
        .arg(format!("--datadir={}", directory.join("data").display()))
        .arg(format!("--socket={}", directory.join("socket").display()))
        .arg(format!("--pid-file={}", directory.join("pid").display()))
        .arg(format!("--init-file={}", account.display()))
        .arg(format!("--port={port}"))
        .args(["--bind-address=127.0.0.1", "--skip-log-bin", "--local-infile=1", "--secure-file-priv="])
        // The machine's crash may lose data, since it is thrown away; the server's own crash may not, since tests cause it.
        .args([
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-flush-method=O_DIRECT_NO_FSYNC",
            "--innodb-doublewrite=0",
        ])
        .args(["--innodb-buffer-pool-size=512M", "--max-connections=200", "--default-time-zone=+00:00"])
        .args(&options.arguments)
        // A MariaDB that starts removes the temporary tables that it finds, those of others, too.
        .env("TMPDIR", directory)
        // Far from UTC: nothing may rely on the zone of the server's machine.
        .env("TZ", "XST-9")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    if options.tls.is_some() {
        command.arg(format!("--ssl-cert={}", directory.join("server.pem").display()));
        command.arg(format!("--ssl-key={}", directory.join("server.key").display()));
    }
    let mut process = Guarded::spawn(&mut command, "KILL")?;
    let deadline = Instant::now() + START_LIMIT;
    // It listens before it has run the file that makes the account, but accepts no one before that.
    while !(directory.join("pid").is_file() && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()) {
        let ended = process.wait_at_most(Duration::from_millis(50))?;
        if ended.is_some() || Instant::now() > deadline {
            let log = fs::read_to_string(directory.join("server.log")).unwrap_or_default();
            bail!("the server did not start; its log ends with:\n{log}");
        }
    }
    Ok((process, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_and_leaves_nothing() {
        let server = PrivateServer::start(Flavour::MariaDb, Options::default()).unwrap();
        server.create_database("one").unwrap();
        server.query("one", "CREATE TABLE t (n int); INSERT INTO t VALUES (7)").unwrap();
        assert_eq!(server.query("one", "SELECT n FROM t").unwrap().trim(), "7");
        assert!(server.query("one", "SELECT nonsense").unwrap_err().to_string().contains("nonsense"));
        let directory = server.directory().to_owned();
        drop(server);
        assert!(!directory.exists());
    }
}
