//! A session that collects what the engine hands out.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::expect_used, reason = "a test that cannot be prepared has failed")]

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tsql_engine::value::{Column, EnvChange, Flow, Output, SqlError, Value};
use tsql_engine::{Instance, LoginRequest, Session, Version};

/// What one batch returned.
#[derive(Default)]
pub struct Collected {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Value<'static>>>,
    pub counts: Vec<Option<u64>>,
    pub changes: Vec<EnvChange>,
    /// Stop after this many rows, as a client that is gone.
    pub stop_after: Option<usize>,
}

impl Output for Collected {
    fn columns(&mut self, columns: &[Column]) -> Flow {
        self.columns = columns.to_vec();
        Flow::Continue
    }

    fn row(&mut self, row: &[Value<'_>]) -> Flow {
        self.rows.push(row.iter().map(|value| value.clone().into_static()).collect());
        if self.stop_after.is_some_and(|most| self.rows.len() >= most) { Flow::Stop } else { Flow::Continue }
    }

    fn done(&mut self, rows: Option<u64>) -> Flow {
        self.counts.push(rows);
        Flow::Continue
    }

    fn info(&mut self, _: &SqlError) {}

    fn env_change(&mut self, change: &EnvChange) {
        self.changes.push(change.clone());
    }
}

/// An instance in a directory of its own, which goes with it.
pub struct Server {
    instance: Arc<Instance>,
    directory: PathBuf,
}

impl Deref for Server {
    type Target = Arc<Instance>;

    fn deref(&self) -> &Arc<Instance> {
        &self.instance
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A directory that stays behind is only untidy.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A server with the database `shop` and the login `sa`.
pub fn server() -> Server {
    server_of(Version::default())
}

/// As [`server`], of a version.
pub fn server_of(version: Version) -> Server {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("tsql-engine-cases-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("the temporary directory takes directories");
    let instance = Instance::of_version(&directory, version).expect("a fresh directory takes a server");
    instance.create_login("sa", "secret");
    instance.create_database("shop").expect("a fresh server has no database of that name");
    Server { instance, directory }
}

pub fn login(user: &str, password: &str, database: &str) -> LoginRequest {
    LoginRequest {
        user: user.to_owned(),
        password: password.to_owned(),
        database: database.to_owned(),
        application: "tests".to_owned(),
        ..LoginRequest::default()
    }
}

pub fn session(instance: &Arc<Instance>) -> Session {
    Session::open(instance.clone(), &login("sa", "secret", "shop")).expect("the login exists")
}

pub fn run(session: &mut Session, sql: &str) -> Collected {
    let mut out = Collected::default();
    if let Err(error) = session.batch(sql, &[], &mut out) {
        panic!("{sql}\n{error}");
    }
    out
}

/// The number of the error that `sql` raises.
pub fn error(session: &mut Session, sql: &str) -> u32 {
    let mut out = Collected::default();
    match session.batch(sql, &[], &mut out) {
        Ok(_) => panic!("no error: {sql}"),
        Err(error) => error.number,
    }
}

/// Runs each expression as nvarchar and compares its text, or the number of its error.
pub fn expect(session: &mut Session, cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (expression, expected) in cases {
        let mut out = Collected::default();
        let found = match session.batch(&format!("SELECT CAST({expression} AS nvarchar(4000))"), &[], &mut out) {
            Ok(_) => show(&out.rows[0][0]),
            Err(error) => format!("Msg {}", error.number),
        };
        if found != *expected {
            wrong.push(format!("{expression}: {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The first value of the first row.
pub fn value(session: &mut Session, sql: &str) -> Value<'static> {
    let found = run(session, sql);
    found.rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or_else(|| panic!("no row: {sql}"))
}

/// The first value as text, whatever its type: the engine casts it.
pub fn text(session: &mut Session, expression: &str) -> String {
    show(&value(session, &format!("SELECT CAST({expression} AS nvarchar(4000))")))
}

/// Text of a text value, digits of a number.
pub fn show(value: &Value<'_>) -> String {
    match value {
        Value::NVarChar(bytes) => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        Value::VarChar(bytes) => bytes.iter().map(|byte| char::from(*byte)).collect(),
        Value::Binary(bytes) => format!("{bytes:02X?}"),
        Value::Null => "NULL".to_owned(),
        Value::Bit(bit) => u8::from(*bit).to_string(),
        Value::TinyInt(number) => number.to_string(),
        Value::SmallInt(number) => number.to_string(),
        Value::Int(number) => number.to_string(),
        Value::BigInt(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// Rows as text, cells parted by `|`.
pub fn lines(session: &mut Session, sql: &str) -> Vec<String> {
    run(session, sql).rows.iter().map(|row| row.iter().map(show).collect::<Vec<_>>().join("|")).collect()
}
