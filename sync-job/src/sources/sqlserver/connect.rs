//! Connections to SQL Server: TLS, login, session settings, and the kinds of its errors.

use std::time::Duration;

use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

use super::server_message;
use super::stream::{Turns, Watched};
use crate::config::{Intent, SourceConfig, TlsMode};
use crate::connect::dial::dial;
use crate::connect::login::with_password;
use crate::connect::password::Credentials;
use crate::connect::retry::worth_retrying;
use crate::connect::tls::Trouble;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::facts::Absence;
use crate::rows::message::{Message, of_unknown};

pub type Connection = Client<Compat<Watched>>;

/// Larger packets mean fewer headers; 32,767 is the largest that the protocol allows, and over TLS servers cap at 16 KiB.
const PACKET_SIZE: u32 = 16_384;

/// Every setting that changes what a SELECT returns or how it waits, stated instead of assumed.
fn session_settings(config: &SourceConfig) -> String {
    format!(
        "SET NOCOUNT ON; SET XACT_ABORT ON; SET ANSI_NULLS ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; \
         SET ARITHABORT ON; SET CONCAT_NULL_YIELDS_NULL ON; SET QUOTED_IDENTIFIER ON; SET NUMERIC_ROUNDABORT OFF; \
         SET IMPLICIT_TRANSACTIONS OFF; SET ROWCOUNT 0; SET TEXTSIZE 2147483647; SET LANGUAGE us_english; \
         SET DATEFORMAT ymd; SET DEADLOCK_PRIORITY -10; SET LOCK_TIMEOUT {}; \
         SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        config.lock_timeout.as_millis()
    )
}

/// Opens a connection, logs in and prepares the session. `database` replaces the configured one (database snapshots).
pub async fn connect(config: &SourceConfig, database: Option<&str>, stall: Duration) -> Result<Connection> {
    with_password(&config.password, Side::Source, |login| connect_as(config, database, stall, login)).await
}

async fn connect_as(
    config: &SourceConfig,
    database: Option<&str>,
    stall: Duration,
    login: Credentials,
) -> Result<Connection> {
    let mut driver = Config::new();
    driver.host(&config.host);
    driver.port(config.port);
    driver.database(database.unwrap_or(&config.database));
    driver.application_name(&config.application_name);
    driver.authentication(AuthMethod::sql_server(login.user.as_ref().unwrap_or(&config.user), login.password.expose()));
    driver.readonly(config.intent == Intent::ReadOnly);
    driver.packet_size(PACKET_SIZE);
    driver.handshake_timeout(Some(config.connect_timeout));
    // The reader has a watchdog of its own, which knows which statements may be silent for long.
    driver.command_timeout(None);
    match config.tls.mode {
        TlsMode::Disable => driver.encryption(EncryptionLevel::NotSupported),
        TlsMode::Require => {
            driver.encryption(EncryptionLevel::Required);
            driver.trust_cert();
        }
        TlsMode::VerifyFull => {
            driver.encryption(EncryptionLevel::Required);
            if let Some(file) = &config.tls.ca_file {
                driver.trust_cert_ca(file.display());
            }
        }
    }
    let mut connection = open(config, driver, stall).await?;
    execute(&mut connection, &session_settings(config), config.connect_timeout).await?;
    Ok(connection)
}

/// Follows at most one redirection (read-only routing, Azure SQL gateways).
async fn open(config: &SourceConfig, mut driver: Config, stall: Duration) -> Result<Connection> {
    let mut address = (config.host.clone(), config.port);
    for _ in 0..2 {
        let attempt = format!("could not connect to SQL Server at {}:{}", address.0, address.1);
        let dialled = dial(&address.0, address.1, config.connect_timeout, stall).await;
        let tcp = dialled.map_err(|error| error.into_error(Side::Source, &attempt))?;
        let turns = Turns::default();
        match Client::connect(driver.clone(), Watched::new(tcp, turns.clone()).compat_write()).await {
            Ok(connection) => return Ok(connection),
            Err(tiberius::error::Error::Routing { host, port }) => {
                let host = routed_host(host);
                driver.host(&host);
                driver.port(port);
                address = (host, port);
            }
            Err(error) => return Err(login_failure(config, error, attempt, &turns)),
        }
    }
    Err(Error::new(Side::Source, Kind::Connection, format!("{} redirects more than once", config.host)))
}

/// A redirection names a server as its administrators do, `host\instance` included (MS-TDS 2.2.7.9, "Routing"); the port that comes with
/// it is the instance's, so the instance need not be looked up.
fn routed_host(server: String) -> String {
    server.split('\\').next().map_or(server.clone(), str::to_owned)
}

/// A server that takes the connection and then says nothing is not reached either. What broke the TLS handshake is told by rustls, or by
/// how far the conversation came.
fn login_failure(config: &SourceConfig, error: tiberius::error::Error, attempt: String, turns: &Turns) -> Error {
    use std::io::ErrorKind as Io;
    use tiberius::error::Error as Driver;
    let is_encrypted = config.tls.mode != TlsMode::Disable;
    let trouble = match &error {
        // The driver keeps rustls's kind of I/O error and its text, and not the error itself.
        Driver::Io { kind: Io::InvalidData, message } => Some(Trouble::of_text(message).unwrap_or(Trouble::Other)),
        Driver::Io {
            kind: Io::UnexpectedEof | Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe, ..
        } if is_encrypted && turns.ended_at_tls_hello() => Some(Trouble::Closed),
        _ => None,
    };
    let meaning = trouble.and_then(Trouble::meaning).map(|meaning| format!(": {meaning}")).unwrap_or_default();
    let failure = classify(error, format!("{attempt}{meaning}"));
    let failure = match (failure.kind, trouble) {
        (Kind::Timeout, _) => {
            let seconds = config.connect_timeout.as_secs();
            Error::new(Side::Source, Kind::Connection, format!("{attempt}: no answer to the login in {seconds} s"))
        }
        // It may only have been restarting.
        (_, Some(Trouble::Closed)) => Error { kind: Kind::Connection, ..failure },
        (_, Some(_)) => Error { kind: Kind::Tls, ..failure },
        _ => failure,
    };
    match trouble.and_then(Trouble::advice_for_sql_server) {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

/// Runs statements that return nothing of interest.
pub async fn execute(connection: &mut Connection, sql: &str, timeout: Duration) -> Result<()> {
    let attempt = || format!("the source did not accept: {}", beginning(sql));
    let run = async {
        let stream = connection.simple_query(sql).await?;
        stream.into_results().await
    };
    match tokio::time::timeout(timeout, run).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(classify(error, attempt())),
        Err(_) => Err(Error::new(Side::Source, Kind::Timeout, attempt())),
    }
}

/// Enough of a statement to know it by, on one line.
fn beginning(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(120).collect()
}

/// The rows of the first result of `sql`.
pub async fn rows(connection: &mut Connection, sql: &str, timeout: Duration) -> Result<Vec<tiberius::Row>> {
    Ok(results(connection, sql, timeout).await?.into_iter().next().unwrap_or_default())
}

/// The rows of each result of `sql`.
pub async fn results(connection: &mut Connection, sql: &str, timeout: Duration) -> Result<Vec<Vec<tiberius::Row>>> {
    ask(connection, sql, timeout).await?.map_err(|(_, error)| error)
}

/// The rows of the first result of `sql`, or why the server gives none.
pub async fn rows_if_known(
    connection: &mut Connection,
    sql: &str,
    timeout: Duration,
) -> Result<std::result::Result<Vec<tiberius::Row>, (Absence, Error)>> {
    Ok(ask(connection, sql, timeout).await?.map(|results| results.into_iter().next().unwrap_or_default()))
}

/// Functions (195), columns (207) and views (208) that the server does not have ("Database Engine events and errors").
const NOT_THERE: [u32; 3] = [195, 207, 208];

async fn ask(
    connection: &mut Connection,
    sql: &str,
    timeout: Duration,
) -> Result<std::result::Result<Vec<Vec<tiberius::Row>>, (Absence, Error)>> {
    let attempt = || format!("the source did not answer: {}", beginning(sql));
    let run = async { connection.simple_query(sql).await?.into_results().await };
    match tokio::time::timeout(timeout, run).await {
        Ok(Ok(rows)) => Ok(Ok(rows)),
        Ok(Err(error)) => {
            let is_unknown =
                matches!(&error, tiberius::error::Error::Server(token) if NOT_THERE.contains(&token.code()));
            let cause = if is_unknown { Absence::Unknown } else { Absence::Unseen };
            Ok(Err((cause, classify(error, attempt()))))
        }
        Err(_) => Err(Error::new(Side::Source, Kind::Timeout, attempt())),
    }
}

/// As [`rows`] for facts that a run can do without: nothing where they are forbidden or not there. What only failed to come
/// now must not pass for that.
pub async fn optional_rows(
    connection: &mut Connection,
    sql: &str,
    timeout: Duration,
) -> Result<Option<Vec<tiberius::Row>>> {
    match rows(connection, sql, timeout).await {
        Err(error) if !worth_retrying(error.kind) => Ok(None),
        result => result.map(Some),
    }
}

/// Another database that does not allow snapshot isolation (3952), a memory-optimized table (41332), another server (7420), a transaction
/// that became a distributed one (3996).
const NO_SNAPSHOT: [u32; 4] = [3952, 3996, 7420, 41332];

/// The kind of a driver error. Numbers from "Database Engine events and errors" and, for Azure SQL, "Transient fault
/// errors".
pub fn classify(error: tiberius::error::Error, message: impl Into<Message>) -> Error {
    use tiberius::error::Error as Driver;
    let kind = match &error {
        Driver::Io { kind: std::io::ErrorKind::TimedOut, .. } => Kind::Timeout,
        // A connection that breaks off under TLS, without its closing alert, is a broken connection.
        Driver::Io { .. } | Driver::Protocol(_) | Driver::Routing { .. } => Kind::Connection,
        Driver::Tls(_) => Kind::Tls,
        Driver::Server(token) => server_message::kind(token.code()),
        _ => Kind::Statement,
    };
    let error_text: Message = match &error {
        Driver::Server(token) => Message::from(format!("Msg {}, Level {}: ", token.code(), token.class()))
            .message(&server_message::message(token.code(), token.message())),
        Driver::Io { kind: std::io::ErrorKind::UnexpectedEof, .. } => "the server closed the connection".into(),
        // The driver's own words say "performing I/O" twice before the cause.
        Driver::Io { message, .. } => message.rsplit("performing I/O: ").next().unwrap_or(message).into(),
        // What follows is for programmers: how to call the driver.
        Driver::Tls(message) => message.split(" To connect anyway").next().unwrap_or(message).into(),
        other => of_unknown(&other.to_string(), |_| false),
    };
    let failure = Error::new(Side::Source, kind, message).with_source(error_text);
    match &error {
        Driver::Server(token) if NO_SNAPSHOT.contains(&token.code()) => failure.advise(
            "A SNAPSHOT transaction cannot read this: set consistency = \"none\" in its [[table]] entry, or, for a view of another \
             database, ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON there.",
        ),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirection_to_an_instance_goes_to_its_host() {
        assert_eq!(routed_host("erp2.example.internal\\SALES".to_owned()), "erp2.example.internal");
        assert_eq!(routed_host("erp2.example.internal".to_owned()), "erp2.example.internal");
    }
}
