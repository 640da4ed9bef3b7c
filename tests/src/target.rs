//! The target of a test: an empty database of its own on a server that all tests of the binary share, one for each engine.

use crate::certificates::{self, Authority, Flavour};
use anyhow::{Context, Result, anyhow};
use mysql_async::prelude::Queryable as _;
use sqlx::{Connection, PgConnection, Row as _, postgres::PgConnectOptions};
use std::{
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use stopgap_servers::{mysql, postgres};

/// What a test may write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    MariaDb,
    MySql,
}

impl Engine {
    /// Every engine that can be started here. MySQL itself may be missing; the test run says so at its end.
    pub fn all() -> Vec<Engine> {
        let mut all = vec![Engine::Postgres, Engine::MariaDb];
        if mysql::Flavour::MySql.is_available() {
            all.push(Engine::MySql);
        }
        all
    }

    /// As the job file calls it.
    pub fn key(self) -> &'static str {
        if self == Engine::Postgres { "postgres" } else { "mysql" }
    }

    /// Of two ways to say the same, the one of this engine.
    pub fn pick<T>(self, postgres: T, mysql: T) -> T {
        if self == Engine::Postgres { postgres } else { mysql }
    }
}

#[derive(Debug)]
enum Running {
    Postgres(postgres::PrivateServer),
    Mysql(mysql::PrivateServer),
}

struct Shared {
    server: Running,
    authority: PathBuf,
}

/// Started by the first test that needs it. A static is never dropped: the server's watchdog ends it with the process.
fn shared(engine: Engine) -> Result<&'static Shared> {
    static SHARED: [OnceLock<Result<Shared, String>>; 3] = [const { OnceLock::new() }; 3];
    let start = || -> Result<Shared> {
        let authority = Authority::new("Stopgap tests")?;
        let server = start(engine, Some(authority.server(Flavour::Good)?), &[])?;
        // In the server's own directory, which goes with it.
        let authority = certificates::write(server.directory(), "authority.pem", &authority.pem())?;
        Ok(Shared { server, authority })
    };
    let shared = SHARED[engine as usize].get_or_init(|| start().map_err(|error| format!("{error:#}")));
    shared.as_ref().map_err(|error| anyhow!("{error}"))
}

fn start(engine: Engine, tls: Option<(String, String)>, settings: &[(&str, &str)]) -> Result<Running> {
    let flavour = match engine {
        Engine::Postgres => {
            let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            return postgres::PrivateServer::start(postgres::Options { tls, settings }).map(Running::Postgres);
        }
        Engine::MariaDb => mysql::Flavour::MariaDb,
        Engine::MySql => mysql::Flavour::MySql,
    };
    let arguments = settings.iter().map(|(name, value)| format!("--{name}={value}")).collect();
    mysql::PrivateServer::start(flavour, mysql::Options { tls, arguments }).map(Running::Mysql)
}

impl Running {
    fn directory(&self) -> &Path {
        match self {
            Running::Postgres(server) => server.directory(),
            Running::Mysql(server) => server.directory(),
        }
    }

    fn create_database(&self, name: &str) -> Result<()> {
        match self {
            Running::Postgres(server) => server.create_database(name),
            Running::Mysql(server) => server.create_database(name),
        }
    }
}

/// An empty database.
#[derive(Debug)]
pub struct TestTarget {
    server: Server,
    authority: Option<PathBuf>,
    pub engine: Engine,
    pub database: String,
}

#[derive(Debug)]
enum Server {
    Shared(&'static Running),
    Own(Box<Running>),
}

impl TestTarget {
    /// A new database on the shared PostgreSQL, which speaks TLS with a good certificate.
    pub fn new() -> Result<Self> {
        Self::on(Engine::Postgres)
    }

    /// A new database on the shared server of an engine.
    pub fn on(engine: Engine) -> Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(1);
        let shared = shared(engine)?;
        let database = format!("target_{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        shared.server.create_database(&database)?;
        Ok(Self { server: Server::Shared(&shared.server), authority: Some(shared.authority.clone()), engine, database })
    }

    /// A PostgreSQL for this test alone: with settings of its own, a bad certificate, or one that will be crashed.
    pub fn with_own_server(certificate: Option<Flavour>, settings: &[(&str, &str)]) -> Result<Self> {
        Self::with_own(Engine::Postgres, certificate, settings)
    }

    /// As [`TestTarget::with_own_server`], of any engine.
    pub fn with_own(engine: Engine, certificate: Option<Flavour>, settings: &[(&str, &str)]) -> Result<Self> {
        let authority = Authority::new("Stopgap tests")?;
        let tls = certificate.map(|flavour| authority.server(flavour)).transpose()?;
        let server = start(engine, tls, settings)?;
        let authority = match certificate {
            Some(_) => Some(certificates::write(server.directory(), "authority.pem", &authority.pem())?),
            None => None,
        };
        let database = "target".to_owned();
        server.create_database(&database)?;
        Ok(Self { server: Server::Own(Box::new(server)), authority, engine, database })
    }

    fn running(&self) -> &Running {
        match &self.server {
            Server::Shared(server) => server,
            Server::Own(server) => server,
        }
    }

    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    pub fn port(&self) -> u16 {
        match self.running() {
            Running::Postgres(server) => server.port(),
            Running::Mysql(server) => server.port(),
        }
    }

    /// The account that may do everything.
    pub fn user(&self) -> &'static str {
        self.engine.pick(postgres::USER, mysql::USER)
    }

    pub fn password(&self) -> &'static str {
        self.engine.pick(postgres::PASSWORD, mysql::PASSWORD)
    }

    /// Where tables of the source's schema `dbo` arrive.
    pub fn schema(&self) -> &str {
        if self.engine == Engine::Postgres { "public" } else { &self.database }
    }

    /// The PostgreSQL server, to be crashed and started again; an error when other tests use it too.
    pub fn own_server(&mut self) -> Result<&mut postgres::PrivateServer> {
        match self.own()? {
            Running::Postgres(server) => Ok(server),
            Running::Mysql(_) => Err(anyhow!("it is not a PostgreSQL")),
        }
    }

    /// Takes the server away as a crash does; an error when other tests use it too.
    pub fn crash(&mut self) -> Result<()> {
        match self.own()? {
            Running::Postgres(server) => server.crash(),
            Running::Mysql(server) => server.crash(),
        }
        Ok(())
    }

    /// Brings the server back after [`TestTarget::crash`]; its port may be another.
    pub fn start_again(&mut self) -> Result<()> {
        match self.own()? {
            Running::Postgres(server) => server.start_again(),
            Running::Mysql(server) => server.start_again(),
        }
    }

    fn own(&mut self) -> Result<&mut Running> {
        match &mut self.server {
            Server::Own(server) => Ok(server.as_mut()),
            Server::Shared(_) => Err(anyhow!("the shared server is not this test's to crash")),
        }
    }

    /// The same database on a replica, which can only be read.
    pub fn standby(&mut self) -> Result<Self> {
        let server = Running::Postgres(self.own_server()?.standby()?);
        let (authority, engine, database) = (self.authority.clone(), self.engine, self.database.clone());
        Ok(Self { server: Server::Own(Box::new(server)), authority, engine, database })
    }

    /// The file with the authority to trust, if the server speaks TLS.
    pub fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }

    /// A session that stays open.
    pub async fn session(&self) -> Result<Session> {
        if self.engine == Engine::Postgres {
            return self.connect().await.map(Session::Postgres);
        }
        let options = mysql_async::OptsBuilder::default()
            .ip_or_hostname(self.host())
            .tcp_port(self.port())
            .user(Some(self.user()))
            .pass(Some(self.password()))
            .db_name(Some(&self.database))
            .prefer_socket(false);
        let connection = mysql_async::Conn::new(options).await.context("connecting to the test's target")?;
        Ok(Session::Mysql(Box::new(connection)))
    }

    /// A connection to the PostgreSQL database as the superuser.
    pub async fn connect(&self) -> Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass()
            .host(self.host())
            .port(self.port())
            .username(self.user())
            .password(self.password())
            .database(&self.database);
        PgConnection::connect_with(&options).await.context("connecting to the test's target")
    }

    /// Runs SQL, whatever it is.
    pub fn run(&self, sql: &str) -> Result<()> {
        match self.running() {
            Running::Postgres(server) => server.psql(&self.database, sql, &[]).map(drop),
            Running::Mysql(server) => server.query(&self.database, sql).map(drop),
        }
    }

    /// What a query returns: a line for each row, columns separated by `|`, NULL as `∅`.
    pub fn rows(&self, sql: &str) -> Result<Vec<String>> {
        match self.running() {
            Running::Postgres(server) => {
                let text = server.psql(&self.database, sql, &["-At", "-P", "null=∅"])?;
                Ok(text.lines().map(str::to_owned).collect())
            }
            Running::Mysql(server) => {
                let text = server.query(&self.database, sql)?;
                let shown = |field: &str| if field == "NULL" { "∅".to_owned() } else { field.to_owned() };
                Ok(text.lines().map(|line| line.split('\t').map(shown).collect::<Vec<_>>().join("|")).collect())
            }
        }
    }

    /// What runs have left: everything that carries the job's prefix. After a run's end there must be nothing.
    pub fn leftovers(&self) -> Result<Vec<String>> {
        self.rows(self.engine.pick(
            "SELECT relname FROM pg_class WHERE relname LIKE 'stopgap\\_%' \
             AND relname !~ '^stopgap_(tables|runs|copied)(_pkey)?$' ORDER BY 1",
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'stopgap\\_%' \
             AND table_name NOT IN ('stopgap_tables', 'stopgap_runs', 'stopgap_copied') ORDER BY 1",
        ))
    }

    /// The first column of the first row.
    pub fn value(&self, sql: &str) -> Result<String> {
        self.rows(sql)?.into_iter().next().with_context(|| format!("no row from {sql}"))
    }
}

/// A connection to a test's target.
#[derive(Debug)]
pub enum Session {
    Postgres(PgConnection),
    Mysql(Box<mysql_async::Conn>),
}

impl Session {
    /// Runs a statement.
    pub async fn run(&mut self, sql: &str) -> Result<()> {
        match self {
            Session::Postgres(connection) => {
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await?;
            }
            Session::Mysql(connection) => connection.query_drop(sql).await?,
        }
        Ok(())
    }

    /// The first column of each row; it must be text (`CONCAT` makes it so on every engine).
    pub async fn texts(&mut self, sql: &str) -> Result<Vec<String>> {
        match self {
            Session::Postgres(connection) => {
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(connection).await?;
                rows.iter().map(|row| Ok(row.try_get::<String, _>(0)?)).collect()
            }
            Session::Mysql(connection) => Ok(connection.query(sql).await?),
        }
    }

    /// Waits until the server lists this session's transaction. MySQL renews its list only when nobody has looked at it for
    /// 0.1 s, and tests that run at the same time do (MySQL 8.0 Reference Manual, 17.15.2.3).
    pub async fn is_listed(&mut self) -> Result<()> {
        if let Session::Mysql(connection) = self {
            let own = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID()";
            while connection.query_first::<u64, _>(own).await? == Some(0) {
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        }
        Ok(())
    }
}
