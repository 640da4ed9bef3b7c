//! Connections to MySQL: TLS, session settings, and the kinds of its errors.

use std::time::Duration;

use futures_util::TryFutureExt as _;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, DriverError, OptsBuilder, SslOpts};
use tokio::net::TcpStream;

use super::columns::{Columns, Unexpected};
use super::server_message;
use crate::config::{Auth, TargetConfig, TlsMode};
use crate::connect::dial::dial;
use crate::connect::login::with_password;
use crate::connect::password::Credentials;
use crate::connect::relay::LoopbackEntrance;
use crate::connect::tls::Trouble;
use crate::model::error::{Error, Kind, Result, Side};
use crate::rows::message::{Message, of_unknown};

/// How long the server may take to say goodbye.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens a connection. Every session setting that the job relies on is stated.
pub async fn connect(config: &TargetConfig, application_name: &str) -> Result<Conn> {
    with_password(&config.password, Side::Target, |login| connect_as(config, application_name, login)).await
}

async fn connect_as(config: &TargetConfig, application_name: &str, login: Credentials) -> Result<Conn> {
    let attempt =
        format!("could not connect to MySQL at {}:{}, database {}", config.host, config.port, config.database);
    let options = OptsBuilder::default()
        .db_name(Some(config.database.clone()))
        .user(Some(login.user.as_ref().unwrap_or(&config.user).clone()))
        .pass(Some(login.password.expose()))
        // Aurora takes an IAM token as a password in the clear, inside TLS ("IAM database authentication").
        .enable_cleartext_plugin(config.auth == Auth::Iam)
        .prefer_socket(false)
        .stmt_cache_size(0)
        .connect_attribute("program_name", application_name)
        .ssl_opts(ssl(config));
    let dialled = dial(&config.host, config.port, config.connect_timeout, config.stall_timeout).await;
    let stream = dialled.map_err(|error| error.into_error(Side::Target, &attempt))?;
    let mut connection = tokio::time::timeout(config.connect_timeout, log_in(stream, options))
        .await
        .map_err(|_| {
            let seconds = config.connect_timeout.as_secs();
            Error::new(Side::Target, Kind::Connection, format!("{attempt}: no answer to the login in {seconds} s"))
        })?
        .map_err(|error| classify(error, attempt))?;
    for statement in SESSION {
        execute(&mut connection, statement).await?;
    }
    Ok(connection)
}

/// The driver opens its sockets itself, and would take a Unix socket for one that needs no encryption of passwords.
async fn log_in(stream: TcpStream, options: OptsBuilder) -> mysql_async::Result<Conn> {
    let entrance = LoopbackEntrance::to(stream).await?;
    let address = entrance.address()?;
    let options = options.ip_or_hostname(address.ip().to_string()).tcp_port(address.port());
    let (connection, ()) = tokio::try_join!(Conn::new(options), entrance.pass().map_err(Into::into))?;
    Ok(connection)
}

fn ssl(config: &TargetConfig) -> Option<SslOpts> {
    let options = SslOpts::default().with_danger_tls_hostname_override(Some(config.host.clone()));
    match config.tls.mode {
        TlsMode::Disable => None,
        TlsMode::Require => Some(options.with_danger_accept_invalid_certs(true)),
        TlsMode::VerifyFull => Some(match &config.tls.ca_file {
            Some(file) => options.with_root_certs(vec![file.clone().into()]).with_disable_built_in_roots(true),
            None => options,
        }),
    }
}

/// Stated instead of assumed: nothing is cut or zeroed silently, backslash escapes, times are taken as they are, and a COMMIT
/// ends its transaction. Checks of keys stay on, and answers are whole.
const SESSION: [&str; 7] = [
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
    // Values in messages are told from words by the words.
    "SET SESSION lc_messages = 'en_US'",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,\
     NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', autocommit = 1, unique_checks = 1, foreign_key_checks = 1, \
     sql_safe_updates = 0, sql_big_selects = 1, sql_select_limit = 18446744073709551615, completion_type = 0",
    // A digest takes as long as it takes. Each server reads only its own of these two comments.
    "SET SESSION autocommit = 1 /*!50708 , max_execution_time = 0 */ /*M!100100 , max_statement_time = 0 */",
    // Seconds; the default for table locks is a year. A dead run's connection may hold some until the server notices.
    "SET SESSION lock_wait_timeout = 30, innodb_lock_wait_timeout = 30",
    // Seconds, a week: the source's first row and the next swap may be long in coming (LOAD DATA and the lease wait for them),
    // and the job has watchdogs of its own.
    "SET SESSION net_read_timeout = 604800, net_write_timeout = 604800, wait_timeout = 604800",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE",
];

/// Of the session's settings the one that triggers see: the rest of theirs is kept with them.
pub const OUR_TIME_ZONE: &str = "time_zone = '+00:00'";

/// Runs one statement that returns nothing of interest.
pub async fn execute(connection: &mut Conn, sql: &str) -> Result<()> {
    tracing::debug!(sql, "target");
    connection.query_drop(sql).await.map_err(|error| refused(error, sql))
}

/// As [`execute`], of a statement that holds values of rows: log and messages quote `shown` instead.
pub async fn execute_hidden(connection: &mut Conn, shown: &str, sql: &str) -> Result<()> {
    tracing::debug!(sql = shown, "target");
    connection.query_drop(sql).await.map_err(|error| refused(error, shown))
}

/// As [`execute`]. If a key or a row would be longer than the server takes, the error is the answer.
pub async fn execute_if_it_fits(connection: &mut Conn, sql: &str) -> Result<Option<Error>> {
    tracing::debug!(sql, "target");
    let Err(error) = connection.query_drop(sql).await else { return Ok(None) };
    let is_too_long =
        matches!(&error, mysql_async::Error::Server(server) if server_message::TOO_LONG.contains(&server.code));
    let error = refused(error, sql);
    if is_too_long { Ok(Some(error)) } else { Err(error) }
}

fn refused(error: mysql_async::Error, sql: &str) -> Error {
    classify(error, format!("the target did not accept: {}", shorten(sql)))
}

/// The rows of a query.
pub async fn rows<T: Columns>(connection: &mut Conn, sql: &str) -> Result<Vec<T>> {
    rows_where(connection, sql, "").await
}

/// The rows of a query, and a condition of it that may hold values of rows: neither log nor message quotes that.
pub async fn rows_where<T: Columns>(connection: &mut Conn, sql: &str, condition: &str) -> Result<Vec<T>> {
    let mut found = Vec::new();
    each_row_where(connection, sql, condition, |row| found.push(row)).await?;
    Ok(found)
}

/// As [`rows_where`], visiting the rows as they come: all of them at once would take the driver many times the memory.
pub async fn each_row_where<T: Columns>(
    connection: &mut Conn,
    sql: &str,
    condition: &str,
    mut visit: impl FnMut(T),
) -> Result<()> {
    tracing::debug!(sql, "target");
    let broke = |error| classify(error, format!("the target did not answer: {}", shorten(sql)));
    let unexpected = |Unexpected { column, found }: Unexpected| {
        let message = format!("column {column} of the answer to {:?} is {found}, which it should not be", shorten(sql));
        Error::new(Side::Target, Kind::Statement, message)
    };
    let mut answer = connection.query_iter(format!("{sql}{condition}")).await.map_err(broke)?;
    let mut found = Ok(());
    while let Some(row) = answer.next().await.map_err(broke)? {
        match T::read(&row) {
            Ok(row) if found.is_ok() => visit(row),
            Ok(_) => {}
            Err(error) => found = Err(unexpected(error)),
        }
    }
    answer.drop_result().await.map_err(broke)?;
    found
}

/// The first row of a query.
pub async fn row<T: Columns>(connection: &mut Conn, sql: &str) -> Result<Option<T>> {
    Ok(rows(connection, sql).await?.into_iter().next())
}

/// The row of a query that always has one.
pub async fn only_row<T: Columns>(connection: &mut Conn, sql: &str) -> Result<T> {
    only_row_where(connection, sql, "").await
}

/// As [`only_row`], with a condition as [`rows_where`] has it.
pub async fn only_row_where<T: Columns>(connection: &mut Conn, sql: &str, condition: &str) -> Result<T> {
    let none = || Error::new(Side::Target, Kind::Internal, format!("no row came back for {:?}", shorten(sql)));
    rows_where(connection, sql, condition).await?.into_iter().next().ok_or_else(none)
}

/// Closes politely; a server that is gone already, or says nothing, is no concern.
pub async fn close(connection: Conn) {
    match tokio::time::timeout(DISCONNECT_TIMEOUT, connection.disconnect()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "closing the target connection"),
        Err(_) => tracing::debug!("the target does not answer to a goodbye"),
    }
}

fn shorten(sql: &str) -> String {
    sql.chars().take(160).collect()
}

/// The kind of a driver error, by number (MySQL 8.0 Error Message Reference).
#[expect(clippy::match_same_arms, reason = "arms are told apart by what they mean, not by what they give")]
pub fn classify(error: mysql_async::Error, message: impl Into<Message>) -> Error {
    use mysql_async::Error as E;
    let kind = match &error {
        E::Server(server) => server_message::kind(server.code),
        E::Io(mysql_async::IoError::Tls(_)) => Kind::Tls,
        E::Io(mysql_async::IoError::Io(error)) if Trouble::within(error).is_some() => Kind::Tls,
        E::Io(_) | E::Driver(DriverError::ConnectionClosed | DriverError::PoolDisconnected) => Kind::Connection,
        E::Driver(DriverError::NoClientSslFlagFromServer) => Kind::Tls,
        E::Driver(_) | E::Url(_) | E::Other(_) => Kind::Internal,
    };
    let source: Message = match &error {
        E::Server(server) => server_message::message(server.code, &server.state, &server.message)
            .words(format!(" (error {}, SQLSTATE {})", server.code, server.state)),
        E::Io(_) | E::Url(_) => match trouble(&error).and_then(Trouble::meaning) {
            Some(meaning) => format!("{meaning}: {error}").into(),
            None => error.to_string().into(),
        },
        // A value that the driver cannot convert is part of what it says.
        E::Driver(_) | E::Other(_) => of_unknown(&error.to_string(), |_| false),
    };
    let advice = trouble(&error).and_then(Trouble::advice_for_target);
    let failure = Error::new(Side::Target, kind, message).with_source(source);
    match advice {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

/// What made the TLS handshake fail.
fn trouble(error: &mysql_async::Error) -> Option<Trouble> {
    match error {
        mysql_async::Error::Io(mysql_async::IoError::Io(error)) => Trouble::within(error),
        mysql_async::Error::Io(mysql_async::IoError::Tls(error)) => Trouble::below(error),
        mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => Some(Trouble::NotOffered),
        _ => None,
    }
}
