//! A server: its databases, logins and sessions, shared by all connections.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::catalog::{ServerView, SessionRow};
use crate::session::Session;
use crate::storage::Database;
use crate::value::{Column, EnvChange, Flow, Output, SqlError, Value};

/// What a client asks for when it logs in.
#[derive(Debug, Clone, Default)]
pub struct LoginRequest {
    pub user: String,
    pub password: String,
    pub database: String,
    pub application: String,
    pub host: String,
    pub read_only_intent: bool,
    /// The client asked for ODBC's defaults, TEXTSIZE among them.
    pub odbc: bool,
}

/// A batch that was received.
#[derive(Debug, Clone)]
pub struct LoggedBatch {
    pub spid: u16,
    pub application: String,
    pub sql: String,
}

/// A statement of a script that failed, with the line where its batch begins.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct ScriptError {
    pub line: usize,
    pub error: SqlError,
}

/// A login: its password, and whether it sees masked columns as they are.
struct Login {
    password: String,
    unmask: bool,
}

/// See the module.
#[derive(Default)]
pub struct Instance {
    databases: RwLock<BTreeMap<String, Arc<Database>>>,
    logins: Mutex<HashMap<String, Login>>,
    log: Mutex<Vec<LoggedBatch>>,
    pub(crate) sessions: Mutex<BTreeMap<i32, SessionRow>>,
    next_session: AtomicU16,
    read_only: AtomicBool,
}

impl Instance {
    /// A server with an empty `master`.
    pub fn new() -> Arc<Self> {
        let instance = Self { next_session: AtomicU16::new(51), ..Self::default() };
        instance.add(Database::new("master"));
        Arc::new(instance)
    }

    fn add(&self, database: Database) {
        let key = database.name.to_lowercase();
        self.databases.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::new(database));
    }

    /// A login that may do everything.
    pub fn create_login(&self, name: &str, password: &str) {
        self.add_login(name, password, true);
    }

    /// A login that sees masked columns masked.
    pub fn create_masked_login(&self, name: &str, password: &str) {
        self.add_login(name, password, false);
    }

    fn add_login(&self, name: &str, password: &str, unmask: bool) {
        let login = Login { password: password.to_owned(), unmask };
        self.logins.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_lowercase(), login);
    }

    pub(crate) fn check_login(&self, login: &LoginRequest) -> Result<(), SqlError> {
        let logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        let known = logins.get(&login.user.to_lowercase()).is_some_and(|known| known.password == login.password);
        if known {
            return Ok(());
        }
        Err(SqlError::new(18456, 14, format!("Login failed for user '{}'.", login.user)))
    }

    pub(crate) fn may_unmask(&self, user: &str) -> bool {
        let logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        logins.get(&user.to_lowercase()).is_none_or(|login| login.unmask)
    }

    pub fn create_database(&self, name: &str) -> Result<(), SqlError> {
        self.create(name, None)
    }

    pub(crate) fn create(&self, name: &str, snapshot_of: Option<&str>) -> Result<(), SqlError> {
        if self.database_name(name).is_some() {
            return Err(SqlError::new(
                1801,
                16,
                format!("Database '{name}' already exists. Choose a different database name."),
            ));
        }
        match snapshot_of {
            None => self.add(Database::new(name)),
            Some(source) => {
                let source = self.database(source)?;
                let mut copy = source.as_ref().clone();
                copy.snapshot_of = Some(source.name.clone());
                copy.name = name.to_owned();
                self.add(copy);
            }
        }
        Ok(())
    }

    pub(crate) fn drop_database(&self, name: &str) -> Result<(), SqlError> {
        let gone = self.databases.write().unwrap_or_else(PoisonError::into_inner).remove(&name.to_lowercase());
        gone.map(|_| ()).ok_or_else(|| {
            SqlError::new(3701, 11, format!("Cannot drop the database '{name}', because it does not exist."))
        })
    }

    pub fn has_database(&self, name: &str) -> bool {
        self.database_name(name).is_some()
    }

    /// The database's name as it was created.
    pub(crate) fn database_name(&self, name: &str) -> Option<String> {
        let databases = self.databases.read().unwrap_or_else(PoisonError::into_inner);
        databases.get(&name.to_lowercase()).map(|database| database.name.clone())
    }

    /// The database's present state; it does not change any more.
    pub(crate) fn database(&self, name: &str) -> Result<Arc<Database>, SqlError> {
        let databases = self.databases.read().unwrap_or_else(PoisonError::into_inner);
        databases
            .get(&name.to_lowercase())
            .cloned()
            .ok_or_else(|| SqlError::new(911, 16, format!("Database '{name}' does not exist.")))
    }

    pub(crate) fn change<R>(
        &self,
        name: &str,
        act: impl FnOnce(&mut Database) -> Result<R, SqlError>,
    ) -> Result<R, SqlError> {
        let mut databases = self.databases.write().unwrap_or_else(PoisonError::into_inner);
        let database = databases
            .get_mut(&name.to_lowercase())
            .ok_or_else(|| SqlError::new(911, 16, format!("Database '{name}' does not exist.")))?;
        // Readers keep the state that they hold; copying it costs a pointer a table.
        act(Arc::make_mut(database))
    }

    /// From now on clients that ask for it are told that the database is read-only.
    pub fn set_read_only(&self, read_only: bool) {
        self.read_only.store(read_only, Ordering::Relaxed);
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    pub(crate) fn new_session_id(&self) -> u16 {
        self.next_session.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn publish(&self, row: SessionRow) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(row.id, row);
    }

    pub(crate) fn server_view(&self) -> ServerView {
        let databases = self.databases.read().unwrap_or_else(PoisonError::into_inner);
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        ServerView {
            databases: databases
                .values()
                .map(|database| (database.name.clone(), database.snapshot_allowed, database.snapshot_of.clone()))
                .collect(),
            sessions: sessions.values().cloned().collect(),
        }
    }

    pub(crate) fn record(&self, spid: u16, application: &str, sql: &str) {
        let entry = LoggedBatch { spid, application: application.to_owned(), sql: sql.to_owned() };
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    /// Every batch received so far.
    pub fn log(&self) -> Vec<LoggedBatch> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs a T-SQL script; batches end at lines that say GO.
    pub fn run_script(self: &Arc<Self>, database: &str, script: &str) -> Result<(), ScriptError> {
        let name = format!("script {}", self.new_session_id());
        self.create_login(&name, "");
        let login = LoginRequest { user: name, database: database.to_owned(), odbc: true, ..LoginRequest::default() };
        let mut session = Session::open(self.clone(), &login).map_err(|error| ScriptError { line: 1, error })?;
        let mut batch = String::new();
        let mut line = 1;
        for (number, text) in script.lines().chain(["GO"]).enumerate() {
            if text.trim().eq_ignore_ascii_case("GO") {
                session.batch(&batch, &[], &mut Nowhere).map_err(|error| ScriptError { line, error })?;
                batch.clear();
                line = number + 2;
            } else {
                batch.push_str(text);
                batch.push('\n');
            }
        }
        Ok(())
    }
}

/// Takes results and forgets them.
struct Nowhere;

impl Output for Nowhere {
    fn columns(&mut self, _: &[Column]) -> Flow {
        Flow::Continue
    }

    fn row(&mut self, _: &[Value<'_>]) -> Flow {
        Flow::Continue
    }

    fn done(&mut self, _: Option<u64>) -> Flow {
        Flow::Continue
    }

    fn poll(&mut self) -> Flow {
        Flow::Continue
    }

    fn info(&mut self, _: &SqlError) {}

    fn env_change(&mut self, _: &EnvChange) {}
}
