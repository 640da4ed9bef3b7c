//! One connection's session: login, settings, transactions.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use crate::env::{Env, missing};
use crate::error::error;
use crate::instance::{DatabaseInfo, Instance, SessionInfo};
use crate::value::{EnvChange, Flow, Output, Parameter, SqlError, SqlType, Value};
use crate::writes::Writes;

/// What LOGIN7 says.
#[derive(Debug, Clone, Default)]
pub struct LoginRequest {
    pub user: String,
    pub password: String,
    /// Empty: master.
    pub database: String,
    pub application: String,
    pub host: String,
    pub read_only_intent: bool,
}

/// What SET statements and the last statement left behind.
#[derive(Debug, Clone)]
pub struct Settings {
    pub no_count: bool,
    /// Bytes of a large value that a result carries; 0 in SET TEXTSIZE means 4096.
    pub text_size: i64,
    pub row_limit: u64,
    /// SET FMTONLY: columns without rows.
    pub format_only: bool,
    /// SET XACT_ABORT: an error ends the transaction, too.
    pub xact_abort: bool,
    pub lock_timeout: i64,
    pub deadlock_priority: i64,
    /// 1 to 5, as in sys.dm_exec_sessions; 5 is SNAPSHOT.
    pub isolation: i64,
    pub language: String,
    pub transactions: u32,
    pub row_count: u64,
    pub last_error: u32,
    pub identity: Option<i64>,
    pub identity_insert: Option<i64>,
}

impl Default for Settings {
    /// What a new session has.
    fn default() -> Self {
        Self {
            no_count: false,
            text_size: 4096,
            row_limit: 0,
            format_only: false,
            xact_abort: false,
            lock_timeout: -1,
            deadlock_priority: 0,
            isolation: 2,
            language: "us_english".to_owned(),
            transactions: 0,
            row_count: 0,
            last_error: 0,
            identity: None,
            identity_insert: None,
        }
    }
}

/// Whether the client wants the running statement to end; asked now and then while nothing is handed out.
pub type Watch = Arc<dyn Fn() -> bool + Send + Sync>;

/// A session; it runs on its connection's own thread.
pub struct Session {
    pub(crate) instance: Arc<Instance>,
    pub(crate) connection: Connection,
    pub(crate) database: String,
    login: String,
    application: String,
    host: String,
    admin: bool,
    encrypted: bool,
    pub(crate) read_only: bool,
    spid: u16,
    pub(crate) settings: Settings,
    /// As the login left them, for a reset.
    first: (String, i64),
    watch: Option<Watch>,
    answers: crate::answers::Answers,
    pub(crate) variables: HashMap<String, (SqlType, Value<'static>)>,
    pub(crate) database_id: i64,
    pub(crate) writes: Writes,
    /// Whether the error that ended the batch was one of a change, and of nothing else.
    pub(crate) ended_change: bool,
}

impl Session {
    /// Logs in: 18456 where user or password are wrong, 4060 where the database does not exist.
    pub fn open(instance: Arc<Instance>, login: &LoginRequest) -> Result<Self, SqlError> {
        // The client is told state 1, whatever the server's own log says.
        let failed = || SqlError {
            number: 18456,
            state: 1,
            class: 14,
            message: format!("Login failed for user '{}'.", login.user),
        };
        let known = instance.login(&login.user).ok_or_else(failed)?;
        if known.password != login.password {
            return Err(failed());
        }
        let database = if login.database.is_empty() { "master" } else { &login.database };
        if instance.database(database).is_none() {
            return Err(SqlError {
                number: 4060,
                state: 1,
                class: 11,
                message: format!("Cannot open database \"{database}\" requested by the login. The login failed."),
            });
        }
        Self::start(instance, database, login, known.admin)
    }

    pub(crate) fn internal(instance: Arc<Instance>, database: &str) -> Result<Self, SqlError> {
        let login = LoginRequest { user: "sa".to_owned(), ..LoginRequest::default() };
        Self::start(instance, database, &login, true)
    }

    fn start(instance: Arc<Instance>, database: &str, login: &LoginRequest, admin: bool) -> Result<Self, SqlError> {
        let (mut connection, found) = connect(&instance, database)?;
        let mut writes = Writes::default();
        writes.listen(&mut connection)?;
        let session = Self {
            spid: instance.next_spid(),
            instance,
            connection,
            first: (found.name.clone(), Settings::default().text_size),
            watch: None,
            answers: crate::answers::Answers::default(),
            database: found.name,
            database_id: found.id,
            writes,
            login: login.user.clone(),
            application: login.application.clone(),
            host: login.host.clone(),
            admin,
            encrypted: false,
            read_only: found.source.is_some(),
            settings: Settings::default(),
            variables: HashMap::new(),
            ended_change: false,
        };
        session.publish();
        Ok(session)
    }

    /// The session's process id (`@@SPID`).
    pub fn spid(&self) -> u16 {
        self.spid
    }

    /// The login's name.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The current database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The number of open BEGIN TRANSACTIONs.
    pub fn transactions(&self) -> u32 {
        self.settings.transactions
    }

    /// TEXTSIZE as the login set it: clients with LOGIN7's ODBC flag get 2147483647, others 4096.
    pub fn set_text_size(&mut self, bytes: i64) {
        self.settings.text_size = bytes;
        self.first.1 = bytes;
        self.publish();
    }

    /// How the following statements are answered.
    pub fn set_answers(&mut self, answers: crate::answers::Answers) {
        self.answers = answers;
    }

    /// What tells that the client wants a statement to end.
    pub fn set_watch(&mut self, watch: Watch) -> Result<(), SqlError> {
        self.watch = Some(watch);
        self.watch_connection()
    }

    /// Whether the client wants the statement to end.
    pub(crate) fn cancelled(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch())
    }

    /// A statement that returns no row yet is asked about every so many steps, some milliseconds.
    fn watch_connection(&mut self) -> Result<(), SqlError> {
        const STEPS: i32 = 100_000;
        let Some(watch) = self.watch.clone() else { return Ok(()) };
        Ok(self.connection.progress_handler(STEPS, Some(move || watch()))?)
    }

    /// The session as it was after the login (sp_reset_connection): settings, database, no transaction.
    pub fn reset(&mut self, keep_transaction: bool, out: &mut dyn Output) -> Result<(), SqlError> {
        if !keep_transaction && self.settings.transactions > 0 {
            self.end_transaction(false, out)?;
        }
        let transactions = self.settings.transactions;
        self.settings = Settings { transactions, text_size: self.first.1, ..Settings::default() };
        if self.database != self.first.0 && transactions == 0 {
            let first = self.first.0.clone();
            self.use_database(&first, out)?;
        }
        self.lock_wait()?;
        self.publish();
        Ok(())
    }

    /// Values of a statement's parameters, named and converted as its declarations say.
    pub fn declared(&self, declarations: &str, given: Vec<Parameter>) -> Result<Vec<Parameter>, SqlError> {
        let parsed = match declarations.trim() {
            "" => Vec::new(),
            text => crate::script::parse(&format!("DECLARE {text}"))?,
        };
        let declared: &[_] = match parsed.iter().map(crate::script::Stmt::bare).collect::<Vec<_>>().as_slice() {
            [] => &[],
            [crate::script::Stmt::Declare(variables)] => variables,
            _ => return Err(crate::error::unsupported(&format!("parameters declared as {declarations}"))),
        };
        if given.len() > declared.len() {
            return Err(error(8144, "Procedure or function has too many arguments specified."));
        }
        let env = self.env();
        let binder = crate::bind::Binder::new(&env);
        let mut found = Vec::new();
        for (at, (name, text, _)) in declared.iter().enumerate() {
            let own = |parameter: &&Parameter| crate::bind::same(&parameter.name, name);
            let value = given.iter().find(own).or_else(|| given.get(at).filter(|parameter| parameter.name.is_empty()));
            let value = value.ok_or_else(|| {
                error(8178, format!("The parameterized query expects the parameter '{name}', which was not supplied."))
            })?;
            let to = binder.declared_type(text)?;
            let converted = crate::convert::convert(value.value.clone(), &value.sql_type, &to, 0)?.into_static();
            found.push(Parameter { name: name.clone(), sql_type: to, value: converted });
        }
        Ok(found)
    }

    /// Whether a statement can be read at all.
    pub fn check(&self, sql: &str) -> Result<(), SqlError> {
        crate::script::parse(sql).map(drop)
    }

    /// Whether the connection is encrypted, for `sys.dm_exec_connections`.
    pub fn set_encrypted(&mut self, encrypted: bool) {
        self.encrypted = encrypted;
        self.publish();
    }

    pub(crate) fn publish(&self) {
        self.instance.show(SessionInfo {
            spid: self.spid,
            database: self.database.clone(),
            login: self.login.clone(),
            application: self.application.clone(),
            host: self.host.clone(),
            isolation: self.settings.isolation,
            deadlock_priority: self.settings.deadlock_priority,
            lock_timeout: self.settings.lock_timeout,
            text_size: self.settings.text_size,
            transactions: self.settings.transactions,
            encrypted: self.encrypted,
        });
    }

    pub(crate) fn env(&self) -> Env<'_> {
        Env {
            connection: &self.connection,
            instance: &self.instance,
            database: &self.database,
            login: &self.login,
            application: &self.application,
            host: &self.host,
            admin: self.admin,
            read_only: self.read_only,
            spid: self.spid,
            settings: &self.settings,
            answers: self.answers,
            variables: &self.variables,
        }
    }

    /// Runs a batch; `Flow::Stop` where the output asked for it.
    pub fn batch(&mut self, sql: &str, parameters: &[Parameter], out: &mut dyn Output) -> Result<Flow, SqlError> {
        self.instance.note(sql);
        self.ended_change = false;
        self.variables.clear();
        for parameter in parameters {
            self.variables.insert(parameter.name.to_lowercase(), (parameter.sql_type.clone(), parameter.value.clone()));
        }
        let result = self.follow_restore().and_then(|()| match crate::script::parse_numbered(sql) {
            Ok(statements) => self.run(&statements, out),
            Err((failure, line)) => {
                out.at_line(line);
                Err(failure)
            }
        });
        let result = self.suspend().and(result);
        match &result {
            Ok(_) => {}
            Err(failure) if failure.number == crate::error::CANCELLED => return Ok(Flow::Stop),
            Err(failure) => {
                self.settings.last_error = failure.number;
                self.interrupted(Some(failure), out);
            }
        }
        self.publish();
        result
    }

    /// Notes whether a change failed by its own values.
    pub(crate) fn changed<T>(&mut self, result: Result<T, SqlError>) -> Result<T, SqlError> {
        self.ended_change = !self.settings.xact_abort && result.as_ref().is_err_and(crate::error::ends_change);
        result
    }

    /// What is said after the error that ended the last batch.
    pub fn after_error(&self) -> Option<SqlError> {
        let message = "The statement has been terminated.".to_owned();
        self.ended_change.then_some(SqlError { number: 3621, state: 0, class: 0, message })
    }

    /// What an error, or a client that cancelled (`None`), does to the transaction: XACT_ABORT ends it, and so does being
    /// chosen as a deadlock's victim or an update conflict under SNAPSHOT.
    pub fn interrupted(&mut self, failure: Option<&SqlError>, out: &mut dyn Output) {
        let victim = failure.is_some_and(|failure| matches!(failure.number, 1205 | 3960));
        if self.settings.transactions > 0 && (self.settings.xact_abort || victim) {
            // A database that is gone has nothing to roll back.
            let _ = self.end_transaction(false, out);
        }
        self.publish();
    }

    /// USE: another file, so not within a transaction.
    pub(crate) fn use_database(&mut self, name: &str, out: &mut dyn Output) -> Result<(), SqlError> {
        if self.settings.transactions > 0 {
            return Err(error(226, "USE statement not allowed within multi-statement transaction."));
        }
        let old = self.database.clone();
        let found = self.connect_to(name)?;
        self.lock_wait()?;
        out.env_change(&EnvChange::Database { old, new: found.clone() });
        out.info(&SqlError {
            number: 5701,
            state: 2,
            class: 0,
            message: format!("Changed database context to '{found}'."),
        });
        Ok(())
    }

    /// Leaves the database for another, or for what a restore made of it.
    pub(crate) fn connect_to(&mut self, name: &str) -> Result<String, SqlError> {
        let (mut connection, found) = connect(&self.instance, name)?;
        self.writes.listen(&mut connection)?;
        self.connection = connection;
        self.watch_connection()?;
        self.read_only = found.source.is_some();
        self.database_id = found.id;
        self.database.clone_from(&found.name);
        Ok(found.name)
    }

    pub(crate) fn lock_wait(&self) -> Result<(), SqlError> {
        // Without a timeout SQL Server waits for ever; an hour is that, for a test.
        let wait = u64::try_from(self.settings.lock_timeout).unwrap_or(3_600_000);
        Ok(self.connection.busy_timeout(Duration::from_millis(wait))?)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.instance.forget(self.spid);
        self.instance.ended(self.spid);
    }
}

fn connect(instance: &Instance, database: &str) -> Result<(Connection, DatabaseInfo), SqlError> {
    let found = instance.database(database).ok_or_else(|| missing(database))?;
    let connection = Connection::open(&found.path)?;
    connection.busy_timeout(Duration::from_hours(1))?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "recursive_triggers", "ON")?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.set_limit(rusqlite::limits::Limit::SQLITE_LIMIT_SQL_LENGTH, 1_000_000_000)?;
    connection.set_limit(rusqlite::limits::Limit::SQLITE_LIMIT_COMPOUND_SELECT, 10_000)?;
    crate::call::register(&connection)?;
    let rows = Arc::clone(&instance.rows);
    let next = move |_: &mut rusqlite::functions::Context<'_>| Ok(rows.fetch_add(1, Ordering::Relaxed));
    connection.create_scalar_function("next_row", 0, FunctionFlags::SQLITE_UTF8, next)?;
    Ok((connection, found))
}
