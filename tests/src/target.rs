//! The target of a test: an empty database of its own on one server that all tests of the binary share.

use crate::certificates::{self, Authority, Flavour};
use anyhow::{Context, Result, anyhow};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::{
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};
use stopgap_servers::postgres::{Options, PASSWORD, PrivateServer, USER};

struct Shared {
    server: PrivateServer,
    authority: PathBuf,
}

/// Started by the first test that needs it. A static is never dropped: the server's watchdog ends it with the process.
fn shared() -> Result<&'static Shared> {
    static SHARED: OnceLock<Result<Shared, String>> = OnceLock::new();
    let start = || -> Result<Shared> {
        let authority = Authority::new("Stopgap tests")?;
        let tls = Some(authority.server(Flavour::Good)?);
        let server = PrivateServer::start(Options { tls, settings: Vec::new() })?;
        // In the server's own directory, which goes with it.
        let authority = certificates::write(server.directory(), "authority.pem", &authority.pem())?;
        Ok(Shared { server, authority })
    };
    let shared = SHARED.get_or_init(|| start().map_err(|error| format!("{error:#}")));
    shared.as_ref().map_err(|error| anyhow!("{error}"))
}

/// An empty PostgreSQL database.
#[derive(Debug)]
pub struct TestTarget {
    server: Server,
    authority: Option<PathBuf>,
    pub database: String,
}

#[derive(Debug)]
enum Server {
    Shared(&'static PrivateServer),
    Own(Box<PrivateServer>),
}

impl TestTarget {
    /// A new database on the shared server, which speaks TLS with a good certificate.
    pub fn new() -> Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(1);
        let shared = shared()?;
        let database = format!("target_{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        shared.server.create_database(&database)?;
        Ok(Self { server: Server::Shared(&shared.server), authority: Some(shared.authority.clone()), database })
    }

    /// A server for this test alone: with settings of its own, a bad certificate, or one that will be crashed.
    pub fn with_own_server(certificate: Option<Flavour>, settings: &[(&str, &str)]) -> Result<Self> {
        let authority = Authority::new("Stopgap tests")?;
        let tls = certificate.map(|flavour| authority.server(flavour)).transpose()?;
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let server = PrivateServer::start(Options { tls, settings })?;
        let authority = match certificate {
            Some(_) => Some(certificates::write(server.directory(), "authority.pem", &authority.pem())?),
            None => None,
        };
        let database = "target".to_owned();
        server.create_database(&database)?;
        Ok(Self { server: Server::Own(Box::new(server)), authority, database })
    }

    pub fn server(&self) -> &PrivateServer {
        match &self.server {
            Server::Shared(server) => server,
            Server::Own(server) => server,
        }
    }

    /// The server, to be crashed and started again; an error when other tests use it too.
    pub fn own_server(&mut self) -> Result<&mut PrivateServer> {
        match &mut self.server {
            Server::Shared(_) => Err(anyhow!("the shared server is not this test's to crash")),
            Server::Own(server) => Ok(server),
        }
    }

    /// The file with the authority to trust, if the server speaks TLS.
    pub fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }

    /// A connection to the database as the superuser.
    pub async fn connect(&self) -> Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass()
            .host(self.server().host())
            .port(self.server().port())
            .username(USER)
            .password(PASSWORD)
            .database(&self.database);
        PgConnection::connect_with(&options).await.context("connecting to the test's target")
    }

    /// Runs SQL, whatever it is.
    pub fn run(&self, sql: &str) -> Result<()> {
        self.server().psql(&self.database, sql, &[]).map(drop)
    }

    /// What a query returns: a line for each row, columns separated by `|`, NULL as `∅`.
    pub fn rows(&self, sql: &str) -> Result<Vec<String>> {
        let text = self.server().psql(&self.database, sql, &["-At", "-P", "null=∅"])?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// What runs have left: everything that carries the job's prefix. After a run's end there must be nothing.
    pub fn leftovers(&self) -> Result<Vec<String>> {
        self.rows("SELECT relname FROM pg_class WHERE relname LIKE 'stopgap\\_%' ORDER BY 1")
    }

    /// The first column of the first row.
    pub fn value(&self, sql: &str) -> Result<String> {
        self.rows(sql)?.into_iter().next().with_context(|| format!("no row from {sql}"))
    }
}
