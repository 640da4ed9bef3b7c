//! One server: its databases, logins and sessions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::counters::Counters;
use crate::error::error;
use crate::locks::Locks;
use crate::value::SqlError;
use crate::version::Version;

/// Beyond every number that SQLite gives to a row by itself.
const FIRST_ROW: i64 = 1 << 40;

/// What `sys.databases` shows of one database.
#[derive(Debug, Clone)]
pub struct DatabaseInfo {
    pub id: i64,
    pub name: String,
    pub path: PathBuf,
    /// The database of which this is a snapshot.
    pub source: Option<i64>,
    pub allow_snapshot: bool,
    pub read_committed_snapshot: bool,
    pub quirks: crate::quirks::Quirks,
    /// 1/300 s since 1900-01-01, as `$objects.created`.
    pub created: i64,
    /// Which of its pasts it goes on from: another after each restore.
    pub fork: [u8; 16],
    pub(crate) counters: Arc<Counters>,
}

/// What `sys.dm_exec_sessions` shows of one session.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    pub spid: u16,
    pub database: String,
    pub login: String,
    pub application: String,
    pub host: String,
    pub isolation: i64,
    pub deadlock_priority: i64,
    pub lock_timeout: i64,
    pub text_size: i64,
    pub transactions: u32,
    pub encrypted: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub password: String,
    /// Logins made by the host program own everything; those made by CREATE LOGIN have only what is granted.
    pub admin: bool,
}

#[derive(Default)]
struct State {
    databases: Vec<DatabaseInfo>,
    logins: HashMap<String, Login>,
    sessions: HashMap<u16, SessionInfo>,
    log: Vec<String>,
    backups: Vec<crate::restore::Backup>,
    files: u32,
    next_database: i64,
    next_spid: u16,
}

/// All databases of one server, shared by its sessions.
pub struct Instance {
    directory: PathBuf,
    state: Mutex<State>,
    version: Version,
    pub(crate) locks: Locks,
    /// Numbers of rows whose table has no number of its own, so that no two open transactions use the same.
    pub(crate) rows: Arc<AtomicI64>,
}

/// A script that failed: the line (from 1) where its batch begins, and why.
#[derive(Debug, thiserror::Error)]
#[error("batch at line {line}: {error}")]
pub struct ScriptError {
    pub line: usize,
    pub error: SqlError,
}

impl Instance {
    /// A server of the newest version, whose SQLite files lie in `directory`; `master` exists at once.
    pub fn new(directory: &Path) -> Result<Arc<Self>, SqlError> {
        Self::of_version(directory, Version::default())
    }

    /// As [`Instance::new`], of a version.
    pub fn of_version(directory: &Path, version: Version) -> Result<Arc<Self>, SqlError> {
        let state = State { next_database: 1, next_spid: 51, ..State::default() };
        let instance = Self {
            directory: directory.to_owned(),
            state: Mutex::new(state),
            version,
            locks: Locks::default(),
            rows: Arc::new(AtomicI64::new(FIRST_ROW)),
        };
        instance.create_database("master")?;
        Ok(Arc::new(instance))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment, so the state behind a poisoned lock is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version that the server has.
    pub fn version(&self) -> Version {
        self.version
    }

    /// A login with every right.
    pub fn create_login(&self, name: &str, password: &str) {
        self.add_login(name, password, true);
    }

    pub(crate) fn add_login(&self, name: &str, password: &str, admin: bool) {
        self.state().logins.insert(name.to_lowercase(), Login { password: password.to_owned(), admin });
    }

    pub(crate) fn login(&self, name: &str) -> Option<Login> {
        self.state().logins.get(&name.to_lowercase()).cloned()
    }

    /// An empty database.
    pub fn create_database(&self, name: &str) -> Result<(), SqlError> {
        let path = self.add_database(name, None, Arc::default())?;
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(crate::catalog::SCHEMA)?;
        Ok(())
    }

    fn add_database(&self, name: &str, source: Option<i64>, counters: Arc<Counters>) -> Result<PathBuf, SqlError> {
        if self.database(name).is_some() {
            return Err(error(1801, format!("Database '{name}' already exists. Choose a different database name.")));
        }
        let mut state = self.state();
        let id = state.next_database;
        // master is 1; 2 to 4 are tempdb, model and msdb on a real server.
        state.next_database = if id == 1 { 5 } else { id + 1 };
        let path = self.directory.join(format!("{id}.sqlite"));
        state.databases.push(DatabaseInfo {
            id,
            name: name.to_owned(),
            path: path.clone(),
            source,
            allow_snapshot: source.is_some(),
            read_committed_snapshot: false,
            quirks: crate::quirks::Quirks::default(),
            created: crate::restore::now(),
            fork: crate::functions::fresh_guid(),
            counters,
        });
        Ok(path)
    }

    /// A copy of a database's present state under another name.
    pub(crate) fn create_snapshot(&self, name: &str, of: &str) -> Result<(), SqlError> {
        let source = self.database(of).ok_or_else(|| {
            error(911, format!("Database '{of}' does not exist. Make sure that the name is entered correctly."))
        })?;
        let counters = Arc::new(Counters::from(source.counters.last_rowversion()));
        let path = self.add_database(name, Some(source.id), counters)?;
        let copy = || -> Result<(), SqlError> {
            let connection = Connection::open(&source.path)?;
            // Computed columns and checks call the engine's functions, also while they are copied.
            crate::call::register(&connection)?;
            connection.execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
            Ok(Connection::open(&path)?.pragma_update(None, "journal_mode", "WAL")?)
        };
        if let Err(failure) = copy() {
            self.state().databases.retain(|database| database.name != name);
            return Err(failure);
        }
        Ok(())
    }

    pub(crate) fn drop_database(&self, name: &str) -> Result<(), SqlError> {
        let found = self.database(name).ok_or_else(|| {
            error(
                3701,
                format!("Cannot drop the database '{name}', because it does not exist or you do not have permission."),
            )
        })?;
        self.state().databases.retain(|database| database.id != found.id);
        for suffix in ["", "-wal", "-shm"] {
            let mut path = found.path.clone().into_os_string();
            path.push(suffix);
            // A session may still read the file; the directory is the caller's to remove.
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }

    pub(crate) fn alter_database(&self, name: &str, change: impl FnOnce(&mut DatabaseInfo)) -> Result<(), SqlError> {
        let mut state = self.state();
        let found = state.databases.iter_mut().find(|database| crate::bind::same(&database.name, name));
        change(found.ok_or_else(|| error(5011, format!("User does not have permission to alter database '{name}', the database does not exist, or the database is not in a state that allows access checks.")))?);
        Ok(())
    }

    pub(crate) fn databases(&self) -> Vec<DatabaseInfo> {
        self.state().databases.clone()
    }

    pub(crate) fn database(&self, name: &str) -> Option<DatabaseInfo> {
        self.state().databases.iter().find(|database| crate::bind::same(&database.name, name)).cloned()
    }

    pub(crate) fn sessions(&self) -> Vec<SessionInfo> {
        self.state().sessions.values().cloned().collect()
    }

    /// A file that nobody has used yet.
    pub(crate) fn file(&self, what: &str) -> PathBuf {
        let mut state = self.state();
        state.files += 1;
        self.directory.join(format!("{what}-{}.sqlite", state.files))
    }

    pub(crate) fn keep_backup(&self, backup: crate::restore::Backup) {
        let mut state = self.state();
        state.backups.retain(|own| own.database != backup.database || own.name != backup.name);
        state.backups.push(backup);
    }

    pub(crate) fn backup(&self, database: i64, name: &str) -> Option<crate::restore::Backup> {
        self.state().backups.iter().find(|own| own.database == database && own.name == name).cloned()
    }

    /// A session's transaction has ended.
    pub(crate) fn ended(&self, spid: u16) {
        self.state().databases.iter().for_each(|database| database.counters.ended(spid));
        self.locks.release(spid);
    }

    pub(crate) fn next_spid(&self) -> u16 {
        let mut state = self.state();
        state.next_spid += 1;
        state.next_spid
    }

    pub(crate) fn show(&self, session: SessionInfo) {
        self.state().sessions.insert(session.spid, session);
    }

    pub(crate) fn forget(&self, spid: u16) {
        self.state().sessions.remove(&spid);
    }

    pub(crate) fn note(&self, batch: &str) {
        self.state().log.push(batch.to_owned());
    }

    /// The batches received so far, in order.
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// Runs a script in a database, batch by batch, parted by lines that say GO.
    pub fn run_script(self: &Arc<Self>, database: &str, tsql: &str) -> Result<(), ScriptError> {
        let fail = |line| move |error| ScriptError { line, error };
        let mut session = crate::session::Session::internal(Arc::clone(self), database).map_err(fail(1))?;
        for (line, batch) in crate::script::batches(tsql) {
            session.batch(&batch, &[], &mut Silent).map_err(fail(line))?;
        }
        Ok(())
    }

    /// TPC-H's eight tables at a scale factor, generated whenever they are read.
    pub fn attach_tpch(self: &Arc<Self>, database: &str, scale: f64) -> Result<(), SqlError> {
        crate::tpch::attach(self, database, scale)
    }
}

/// Takes a script's results, which nobody asked for.
struct Silent;

impl crate::value::Output for Silent {
    fn columns(&mut self, _: &[crate::value::Column]) -> crate::value::Flow {
        crate::value::Flow::Continue
    }
    fn row(&mut self, _: &[crate::value::Value<'_>]) -> crate::value::Flow {
        crate::value::Flow::Continue
    }
    fn done(&mut self, _: Option<u64>) -> crate::value::Flow {
        crate::value::Flow::Continue
    }
    fn info(&mut self, _: &SqlError) {}
    fn env_change(&mut self, _: &crate::value::EnvChange) {}
}
