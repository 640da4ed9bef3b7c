//! The source of a test: a database of its own on the simulator, or on a real SQL Server.

use crate::program;
use anyhow::{Context, Result, anyhow, bail};
use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};
use stopgap_servers::simulator::{self, Simulator};
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

/// Names a real SQL Server: `mssql://user:password@host:port`. Characters that mean something in a URL are written `%XX`.
const REAL_SERVER: &str = "SYNC_TEST_MSSQL";
const SQL_SERVER_PORT: u16 = 1433;

/// Where a server that speaks TDS listens, and the login that may create databases there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
}

impl Address {
    /// Understands `mssql://user:password@host[:port]`.
    pub fn parse(url: &str) -> Result<Self> {
        let parse = || {
            let (login, place) = url.strip_prefix("mssql://")?.rsplit_once('@')?;
            let (user, password) = login.split_once(':')?;
            let place = place.trim_end_matches('/');
            let (host, port) = match place.rsplit_once(':') {
                Some((host, port)) => (host, port.parse().ok()?),
                None => (place, SQL_SERVER_PORT),
            };
            let (user, password) = (percent_decoded(user)?, percent_decoded(password)?);
            (!host.is_empty() && !user.is_empty()).then(|| Self { host: host.to_owned(), port, user, password })
        };
        parse().with_context(|| format!("{REAL_SERVER} must be mssql://user:password@host:port"))
    }

    /// A connection with its own session in `database`. Any certificate will do: the tests of TLS do not come this way.
    pub async fn connect(&self, database: &str) -> Result<Client<Compat<TcpStream>>> {
        let mut config = Config::new();
        config.host(&self.host);
        config.port(self.port);
        config.database(database);
        config.application_name("stopgap-tests");
        config.authentication(AuthMethod::sql_server(&self.user, &self.password));
        config.encryption(EncryptionLevel::Required);
        config.trust_cert();
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await.context("reaching the test's source")?;
        tcp.set_nodelay(true)?;
        Box::pin(Client::connect(config, tcp.compat_write())).await.context("logging in to the test's source")
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The real server if one is named, else a simulator that all tests of this binary share.
fn shared() -> Result<Address> {
    static SIMULATOR: OnceLock<Result<Simulator, String>> = OnceLock::new();
    if let Ok(url) = std::env::var(REAL_SERVER) {
        return Address::parse(&url);
    }
    let start = || Simulator::start(&program("STOPGAP_SIMULATOR", "mssql-simulator")?, &simulator::Options::default());
    match SIMULATOR.get_or_init(|| start().map_err(|error| format!("{error:#}"))) {
        Ok(simulator) => Ok(Address {
            host: simulator.host().to_owned(),
            port: simulator.port(),
            user: simulator::USER.to_owned(),
            password: simulator::PASSWORD.to_owned(),
        }),
        Err(error) => bail!("{error}"),
    }
}

/// A database on the source, dropped at the end.
#[derive(Debug)]
pub struct TestSource {
    pub address: Address,
    pub database: String,
}

impl TestSource {
    /// An empty database on the server that all tests share.
    pub async fn new() -> Result<Self> {
        Self::at(shared()?).await
    }

    /// A database that a script has filled, on the server that all tests share.
    pub async fn with(script: &str) -> Result<Self> {
        let source = Self::new().await?;
        source.run(script).await?;
        Ok(source)
    }

    /// An empty database on a given server.
    pub async fn at(address: Address) -> Result<Self> {
        Self::made(address, "stopgap_test").await
    }

    /// An empty database on the server that all tests share, whose name begins with `prefix`.
    pub async fn named(prefix: &str) -> Result<Self> {
        Self::made(shared()?, prefix).await
    }

    async fn made(address: Address, prefix: &str) -> Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(1);
        // A real server is shared with other runs, hence the process number.
        let database = format!("{prefix}_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let source = Self { address, database };
        source.run_in("master", &format!("CREATE DATABASE [{}]", source.database)).await?;
        Ok(source)
    }

    /// Runs a script in the test's database; lines of `GO` separate its batches, as in every client of SQL Server.
    pub async fn run(&self, script: &str) -> Result<()> {
        self.run_in(&self.database, script).await
    }

    /// What a query returns, the first column of each row as text; it must be of a character type.
    pub async fn texts(&self, sql: &str) -> Result<Vec<Option<String>>> {
        let mut client = self.address.connect(&self.database).await?;
        let rows = client.simple_query(sql).await?.into_first_result().await?;
        rows.iter().map(|row| Ok(row.try_get::<&str, _>(0)?.map(str::to_owned))).collect()
    }

    async fn run_in(&self, database: &str, script: &str) -> Result<()> {
        let mut client = self.address.connect(database).await?;
        for batch in batches(script) {
            let results = async { client.simple_query(batch.as_str()).await?.into_results().await };
            results.await.with_context(|| format!("running on the source: {}", beginning(&batch)))?;
        }
        Ok(())
    }
}

impl Drop for TestSource {
    fn drop(&mut self) {
        let (address, database) = (self.address.clone(), self.database.clone());
        // A thread, since a test's runtime cannot be blocked from within.
        let dropping = std::thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut client = address.connect("master").await?;
                client.simple_query(format!("DROP DATABASE [{database}]")).await?.into_results().await?;
                Ok(())
            })
        });
        let dropped = dropping.join().unwrap_or_else(|_| Err(anyhow!("the thread panicked")));
        if let Err(error) = dropped {
            eprintln!("the database {} stays on the source: {error:#}", self.database);
        }
    }
}

/// The batches of a script: `GO` alone on a line ends one.
pub fn batches(script: &str) -> Vec<String> {
    let mut batches = vec![String::new()];
    for line in script.lines() {
        if line.trim().eq_ignore_ascii_case("go") {
            batches.push(String::new());
        } else if let Some(batch) = batches.last_mut() {
            batch.push_str(line);
            batch.push('\n');
        }
    }
    batches.retain(|batch| !batch.trim().is_empty());
    batches
}

fn beginning(batch: &str) -> String {
    batch.trim().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_url() {
        let address = Address::parse("mssql://sa:p%40ss:w%2Ford@db.example:14330").unwrap();
        let expected = Address {
            host: "db.example".to_owned(),
            port: 14330,
            user: "sa".to_owned(),
            password: "p@ss:w/ord".to_owned(),
        };
        assert_eq!(address, expected);
        assert_eq!(Address::parse("mssql://sa:x@host").unwrap().port, SQL_SERVER_PORT);
        for bad in ["sqlserver://sa:x@host", "mssql://host", "mssql://sa:x@host:port", "mssql://sa:%4@host"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn go_separates_batches_only_alone_on_its_line() {
        let script = "SELECT 'go'\ngo\n\nGO\nSELECT 2 AS go\n  Go  \n";
        assert_eq!(batches(script), ["SELECT 'go'\n", "SELECT 2 AS go\n"]);
    }
}
