//! Connections to PostgreSQL: TLS, session settings, and the kinds of its errors.

use futures_util::TryFutureExt as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::net::TcpStream;

use super::row::{Answer, shorten};
use super::settings::{OURS, REMEMBER, THEIRS};
use super::{server_message, sqlstate};
use crate::config::{TargetConfig, TlsMode};
use crate::connect::dial::dial;
use crate::connect::login::with_password;
use crate::connect::password::Credentials;
use crate::connect::relay::Entrance;
use crate::connect::tls::Trouble;
use crate::model::error::{Error, Kind, Result, Side};
use crate::rows::message::{Message, of_unknown};

/// Opens a connection. Every session setting that the job relies on is stated.
pub async fn connect(config: &TargetConfig, application_name: &str) -> Result<PgConnection> {
    with_password(&config.password, Side::Target, |login| connect_as(config, application_name, login)).await
}

async fn connect_as(config: &TargetConfig, application_name: &str, login: Credentials) -> Result<PgConnection> {
    let attempt =
        format!("could not connect to PostgreSQL at {}:{}, database {}", config.host, config.port, config.database);
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&config.host)
        .port(config.port)
        .database(&config.database)
        .username(login.user.as_ref().unwrap_or(&config.user))
        .password(login.password.expose())
        .application_name(application_name)
        .extra_float_digits(None)
        .ssl_mode(match config.tls.mode {
            TlsMode::VerifyFull => PgSslMode::VerifyFull,
            TlsMode::Require => PgSslMode::Require,
            TlsMode::Disable => PgSslMode::Disable,
        })
        .disable_statement_logging();
    if let Some(file) = &config.tls.ca_file {
        options = options.ssl_root_cert(file);
    }
    let dialled = dial(&config.host, config.port, config.connect_timeout, config.stall_timeout).await;
    let stream = dialled.map_err(|error| error.into_error(Side::Target, &attempt))?;
    let mut connection = tokio::time::timeout(config.connect_timeout, log_in(stream, options))
        .await
        .map_err(|_| {
            let seconds = config.connect_timeout.as_secs();
            Error::new(Side::Target, Kind::Connection, format!("{attempt}: no answer to the login in {seconds} s"))
        })?
        .map_err(|error| classify(error, attempt))?;
    execute(&mut connection, &format!("{REMEMBER}; {OURS}; {SESSION}{SESSION_WHERE_KNOWN}")).await?;
    Ok(connection)
}

/// The driver takes no socket but a Unix socket's name, and checks the certificate against the host all the same.
async fn log_in(stream: TcpStream, options: PgConnectOptions) -> sqlx::Result<PgConnection> {
    let entrance = Entrance::to(stream, &format!("/.s.PGSQL.{}", options.get_port()))?;
    let options = options.socket(entrance.path());
    let (connection, ()) = tokio::try_join!(PgConnection::connect_with(&options), entrance.pass().map_err(Into::into))?;
    Ok(connection)
}

/// Stated instead of assumed, beside [`OURS`]: no statement is cut off. A client that
/// vanished without a word is noticed in a minute instead of in two hours: its session holds the job's lease.
const SESSION: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 0; \
    SET client_min_messages = warning; SET default_transaction_read_only = off; \
    SET default_transaction_isolation = 'read committed'; SET synchronous_commit = on; \
    SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; ";

/// Settings that not every version has, one that is too old to be used included: that is said in the plan, not here. With the
/// check of the connection a statement ends soon after the job that wanted it; other systems than Linux may refuse that setting.
const SESSION_WHERE_KNOWN: &str = "SELECT set_config(s.name, s.setting, false) FROM (VALUES ('idle_session_timeout', '0'), \
    ('transaction_timeout', '0'), ('client_connection_check_interval', '2s')) AS s (name, setting) \
    WHERE current_setting(s.name, true) IS NOT NULL \
    AND (s.name <> 'client_connection_check_interval' OR version() LIKE '%linux%')";

/// Runs statements that return nothing of interest; several are separated by semicolons. Those that change objects, or rows of tables
/// that are not the job's, are for [`change`].
pub async fn execute(connection: &mut PgConnection, sql: &str) -> Result<()> {
    send(connection, sql).await.map_err(|error| refused(error, sql))
}

/// As [`execute`], of a statement that holds values of rows: log and messages quote `shown` instead.
pub async fn execute_hidden(connection: &mut PgConnection, shown: &str, sql: &str) -> Result<()> {
    tracing::debug!(sql = shown, "target");
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    done.map(drop).map_err(|error| refused(error, shown))
}

/// Runs statements to which other people's code may answer (triggers, checks, defaults, event triggers), with the settings that it would
/// have without the job. Nothing in them may depend on `search_path`. Where one fails the settings are the job's own again, too: SET is
/// undone with its transaction.
pub async fn change(connection: &mut PgConnection, sql: &str) -> Result<()> {
    send(connection, &as_theirs(sql)).await.map_err(|error| refused(error, sql))
}

/// As [`change`]. If a row is too large for what is made of it, the error is the answer (54000, `program_limit_exceeded`).
pub async fn change_if_it_fits(connection: &mut PgConnection, sql: &str) -> Result<Option<Error>> {
    let Err(error) = send(connection, &as_theirs(sql)).await else { return Ok(None) };
    let is_too_large = error.as_database_error().is_some_and(|error| error.code().is_some_and(|code| code == "54000"));
    let error = refused(error, sql);
    if is_too_large { Ok(Some(error)) } else { Err(error) }
}

/// The beginning of the statement comes first, as a comment: whoever looks at the server's sessions sees no more than a beginning.
fn as_theirs(sql: &str) -> String {
    let beginning: String = sql.chars().take(100).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("-- {beginning}\n{THEIRS}; {sql}; {OURS}")
}

async fn send(connection: &mut PgConnection, sql: &str) -> sqlx::Result<()> {
    tracing::debug!(sql, "target");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(|_| ())
}

fn refused(error: sqlx::Error, sql: &str) -> Error {
    classify(error, format!("the target did not accept: {}", shorten(sql)))
}

/// The rows of a query.
pub async fn rows(connection: &mut PgConnection, sql: &str) -> Result<Vec<Answer>> {
    rows_where(connection, sql, "").await
}

/// The rows of a query, and a condition of it that may hold values of rows: no message quotes that.
pub async fn rows_where(connection: &mut PgConnection, sql: &str, condition: &str) -> Result<Vec<Answer>> {
    sqlx::query(AssertSqlSafe(format!("{sql}{condition}")))
        .persistent(false)
        .fetch_all(connection)
        .await
        .map(|found| Answer::all(found, sql))
        .map_err(|error| classify(error, format!("the target did not answer: {}", shorten(sql))))
}

/// The row of a query that always has one.
pub async fn only_row(connection: &mut PgConnection, sql: &str) -> Result<Answer> {
    only_row_where(connection, sql, "").await
}

/// As [`only_row`], with a condition as [`rows_where`] has it.
pub async fn only_row_where(connection: &mut PgConnection, sql: &str, condition: &str) -> Result<Answer> {
    Answer::only(rows_where(connection, sql, condition).await?, sql)
}

/// Closes politely; a server that is gone already is no concern.
pub async fn close(connection: PgConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "closing the target connection");
    }
}

/// The kind of a driver error.
pub fn classify(error: sqlx::Error, message: impl Into<Message>) -> Error {
    let kind = match &error {
        sqlx::Error::Database(database) => database.code().map_or(Kind::Statement, |code| sqlstate::kind(&code)),
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => Kind::Timeout,
        sqlx::Error::Io(error) if Trouble::within(error).is_some() => Kind::Tls,
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            Kind::Connection
        }
        sqlx::Error::Tls(_) => Kind::Tls,
        sqlx::Error::Configuration(_) => Kind::Login,
        _ => Kind::Internal,
    };
    let failure = Error::new(Side::Target, kind, message).with_source(describe(&error));
    match advice(&error) {
        Some(advice) => failure.advise(advice),
        None => failure,
    }
}

/// What made the TLS handshake fail.
fn trouble(error: &sqlx::Error) -> Option<Trouble> {
    match error {
        sqlx::Error::Io(error) => Trouble::within(error),
        sqlx::Error::Tls(error) => Trouble::below(error.as_ref()),
        _ => None,
    }
}

fn advice(error: &sqlx::Error) -> Option<&'static str> {
    match error {
        sqlx::Error::Configuration(_) => Some(
            "Give the login a password and a name without control characters, unassigned characters and mixed directions of writing \
             (RFC 4013): ALTER ROLE … PASSWORD, then the same in the secret.",
        ),
        _ => trouble(error).and_then(Trouble::advice_for_target),
    }
}

fn has_ended(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof)
}

/// What the server says, or else the driver.
fn describe(error: &sqlx::Error) -> Message {
    match error {
        sqlx::Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => server_message::message(error),
            None => of_unknown(database.message(), |_| false),
        },
        // The driver makes it of a name or a password alone, and shows the character that it did not like.
        sqlx::Error::Configuration(_) => {
            "the user's name or the password holds a character that SASLprep forbids, so SCRAM cannot send it".into()
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => match trouble(error).and_then(Trouble::meaning) {
            Some(meaning) => format!("{meaning}: {error}").into(),
            // The driver counts the bytes that it missed.
            None if has_ended(error) => "the server closed the connection".into(),
            None => error.to_string().into(),
        },
        sqlx::Error::Protocol(_) => error.to_string().into(),
        other => of_unknown(&other.to_string(), |_| false),
    }
}
