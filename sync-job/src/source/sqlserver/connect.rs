//! Connections to SQL Server: TLS, login, session settings, and the kinds of its errors.

use std::time::Duration;

use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

use crate::config::{Intent, Login, SourceConfig, TlsMode};
use crate::error::{Error, Kind, Result, Side};
use crate::login::with_password;
use crate::retry::worth_retrying;

pub type Connection = Client<Compat<TcpStream>>;

/// Larger packets mean fewer headers; 32,767 is the largest that the protocol allows, and over TLS servers cap at 16 KiB.
const PACKET_SIZE: u32 = 16_384;

/// Every setting that changes what a SELECT returns or how it waits, stated instead of assumed.
fn session_settings(config: &SourceConfig) -> String {
    format!(
        "SET NOCOUNT ON; SET XACT_ABORT ON; SET ANSI_NULLS ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; \
         SET ARITHABORT ON; SET CONCAT_NULL_YIELDS_NULL ON; SET QUOTED_IDENTIFIER ON; SET NUMERIC_ROUNDABORT OFF; \
         SET IMPLICIT_TRANSACTIONS OFF; SET ROWCOUNT 0; SET TEXTSIZE 2147483647; SET LANGUAGE us_english; \
         SET DATEFORMAT ymd; SET DEADLOCK_PRIORITY LOW; SET LOCK_TIMEOUT {}; \
         SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        config.lock_timeout.as_millis()
    )
}

/// Opens a connection, logs in and prepares the session. `database` replaces the configured one (database snapshots).
pub async fn connect(config: &SourceConfig, database: Option<&str>) -> Result<Connection> {
    with_password(&config.password, Side::Source, |login| connect_as(config, database, login)).await
}

async fn connect_as(config: &SourceConfig, database: Option<&str>, login: Login) -> Result<Connection> {
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
    let mut connection = open(config, driver).await?;
    execute(&mut connection, &session_settings(config), config.connect_timeout).await?;
    Ok(connection)
}

/// Follows at most one redirection (read-only routing, Azure SQL gateways).
async fn open(config: &SourceConfig, mut driver: Config) -> Result<Connection> {
    let mut address = (config.host.clone(), config.port);
    for _ in 0..2 {
        let attempt = format!("could not connect to SQL Server at {}:{}", address.0, address.1);
        let tcp = tokio::time::timeout(config.connect_timeout, TcpStream::connect((address.0.as_str(), address.1)))
            .await
            .map_err(|_| {
                let seconds = config.connect_timeout.as_secs();
                Error::new(Side::Source, Kind::Connection, format!("{attempt}: no answer in {seconds} s"))
            })?
            .map_err(|error| Error::new(Side::Source, Kind::Connection, attempt.clone()).with_source(error))?;
        // A socket that refuses the option still works.
        let _ = tcp.set_nodelay(true);
        match Client::connect(driver.clone(), tcp.compat_write()).await {
            Ok(connection) => return Ok(connection),
            Err(tiberius::error::Error::Routing { host, port }) => {
                driver.host(&host);
                driver.port(port);
                address = (host, port);
            }
            Err(error) => return Err(login_failure(config, error, attempt)),
        }
    }
    Err(Error::new(Side::Source, Kind::Connection, format!("{} redirects more than once", config.host)))
}

/// A server that takes the connection and then says nothing is not reached either.
fn login_failure(config: &SourceConfig, error: tiberius::error::Error, attempt: String) -> Error {
    match classify(error, attempt.clone()) {
        Error { kind: Kind::Stalled, .. } => {
            let seconds = config.connect_timeout.as_secs();
            Error::new(Side::Source, Kind::Connection, format!("{attempt}: no answer to the login in {seconds} s"))
        }
        other => other,
    }
}

/// Runs statements that return nothing of interest.
pub async fn execute(connection: &mut Connection, sql: &str, patience: Duration) -> Result<()> {
    let attempt = || format!("the source did not accept: {}", beginning(sql));
    let run = async {
        let stream = connection.simple_query(sql).await?;
        stream.into_results().await
    };
    match tokio::time::timeout(patience, run).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(classify(error, attempt())),
        Err(_) => Err(Error::new(Side::Source, Kind::Stalled, attempt())),
    }
}

/// Enough of a statement to know it by, on one line.
fn beginning(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(120).collect()
}

/// The rows of the first result of `sql`.
pub async fn rows(connection: &mut Connection, sql: &str, patience: Duration) -> Result<Vec<tiberius::Row>> {
    Ok(results(connection, sql, patience).await?.into_iter().next().unwrap_or_default())
}

/// The rows of each result of `sql`.
pub async fn results(connection: &mut Connection, sql: &str, patience: Duration) -> Result<Vec<Vec<tiberius::Row>>> {
    let attempt = || format!("the source did not answer: {}", beginning(sql));
    let run = async { connection.simple_query(sql).await?.into_results().await };
    match tokio::time::timeout(patience, run).await {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(error)) => Err(classify(error, attempt())),
        Err(_) => Err(Error::new(Side::Source, Kind::Stalled, attempt())),
    }
}

/// As [`rows`] for facts that a run can do without: nothing where they are forbidden or not there. What only failed to come
/// now must not pass for that.
pub async fn optional_rows(
    connection: &mut Connection,
    sql: &str,
    patience: Duration,
) -> Result<Option<Vec<tiberius::Row>>> {
    match rows(connection, sql, patience).await {
        Err(error) if !worth_retrying(error.kind) => Ok(None),
        result => result.map(Some),
    }
}

/// The kind of a driver error. Numbers from "Database Engine events and errors" and, for Azure SQL, "Transient fault
/// errors".
pub fn classify(error: tiberius::error::Error, message: String) -> Error {
    use tiberius::error::Error as Driver;
    let kind = match &error {
        Driver::Io { kind: std::io::ErrorKind::TimedOut, .. } => Kind::Stalled,
        // A connection that breaks off under TLS, without its closing alert, is a broken connection.
        Driver::Io { kind: std::io::ErrorKind::UnexpectedEof, .. } => Kind::Connection,
        // rustls reports a refused certificate through the I/O error of the handshake.
        Driver::Io { message, .. } if is_tls_message(message) => Kind::Tls,
        Driver::Io { .. } | Driver::Protocol(_) | Driver::Routing { .. } => Kind::Connection,
        Driver::Tls(_) => Kind::Tls,
        Driver::Server(token) => server_kind(token.code()),
        _ => Kind::Statement,
    };
    let error_text = match &error {
        Driver::Server(token) => format!("Msg {}, Level {}: {}", token.code(), token.class(), token.message()),
        Driver::Io { kind: std::io::ErrorKind::UnexpectedEof, .. } => "the server closed the connection".to_owned(),
        // The driver's own words say "performing I/O" twice before the cause.
        Driver::Io { message, .. } => message.rsplit("performing I/O: ").next().unwrap_or(message).to_owned(),
        // What follows is for programmers: how to call the driver.
        Driver::Tls(message) => message.split(" To connect anyway").next().unwrap_or(message).to_owned(),
        other => other.to_string(),
    };
    Error::new(Side::Source, kind, message).with_source(error_text)
}

fn is_tls_message(message: &str) -> bool {
    ["certificate", "invalid peer", "UnknownIssuer", "HandshakeFailure"].iter().any(|word| message.contains(word))
}

fn server_kind(number: u32) -> Kind {
    match number {
        // Login failed; cannot open database; password expired; login from an untrusted domain.
        4060 | 4064 | 18452 | 18456 | 18470 | 18486..=18488 => Kind::Login,
        // Permission denied on object, column, database, server.
        229 | 230 | 262 | 297 | 300 | 916 | 15247 => Kind::Permission,
        1222 => Kind::LockTimeout,
        // Deadlock victim; snapshot changed under us; low memory; database starting, restoring, failing over; shutdown;
        // script upgrade; too many connections; throttling and failover of Azure SQL; tempdb version store lost; a database
        // snapshot whose readers are just leaving.
        1205
        | 3702
        | 3960
        | 3961
        | 701
        | 802
        | 8645
        | 8651
        | 904
        | 921..=927
        | 945
        | 976
        | 978
        | 983
        | 6005
        | 18401
        | 17809
        | 10928
        | 10929
        | 10936
        | 40197
        | 40501
        | 40540
        | 40613
        | 40615
        | 49918..=49920
        | 3966
        | 3967
        | 3958
        | 3959 => Kind::Transient,
        9002 | 1105 | 1101 => Kind::Full,
        _ => Kind::Statement,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlock_victims_are_transient_and_missing_objects_are_not() {
        assert_eq!(server_kind(1205), Kind::Transient);
        assert_eq!(server_kind(40613), Kind::Transient);
        assert_eq!(server_kind(208), Kind::Statement);
        assert_eq!(server_kind(18456), Kind::Login);
        assert_eq!(server_kind(229), Kind::Permission);
    }
}
