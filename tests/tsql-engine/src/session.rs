//! One connection's state, and the statements of its batches.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::ast::{Name, Statement};
use crate::bind::SessionValues;
use crate::catalog::SessionRow;
use crate::instance::{Instance, LoginRequest};
use crate::modify::{self, split};
use crate::select::Engine;
use crate::statements::parse_batch;
use crate::storage::{Database, View};
use crate::value::{Collation, EnvChange, Flow, Len, Output, Parameter, SqlError, SqlType, Value};

/// Expressions outside any session, such as those of views.
pub struct NoSession;

impl SessionValues for NoSession {
    fn variable(&self, _: &str) -> Option<(SqlType, Value<'static>)> {
        None
    }

    fn function(&self, _: &str, _: &[Value<'static>]) -> Option<(SqlType, Value<'static>)> {
        None
    }
}

/// 16 bytes that are unlikely to repeat.
pub fn random_guid() -> [u8; 16] {
    use std::hash::{BuildHasher as _, Hasher as _};
    let word = || std::collections::hash_map::RandomState::new().build_hasher().finish().to_le_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&word());
    bytes[8..].copy_from_slice(&word());
    bytes
}

/// One connection. It runs one batch at a time.
pub struct Session {
    instance: Arc<Instance>,
    id: u16,
    login: LoginRequest,
    database: String,
    options: HashMap<String, String>,
    variables: HashMap<String, (SqlType, Value<'static>)>,
    transactions: u32,
    /// The database as it was when the transaction began, to go back to.
    before: Option<Database>,
    /// What a SNAPSHOT transaction reads.
    snapshot: Option<Arc<Database>>,
}

impl Session {
    /// Logs in. Errors have the numbers that clients know: 18456, 4060.
    pub fn open(instance: Arc<Instance>, login: &LoginRequest) -> Result<Self, SqlError> {
        instance.check_login(login)?;
        let wanted = if login.database.is_empty() { "master" } else { &login.database };
        let database = instance.database_name(wanted).ok_or_else(|| {
            SqlError::new(
                4060,
                11,
                format!("Cannot open database \"{wanted}\" requested by the login. The login failed."),
            )
        })?;
        let id = instance.new_session_id();
        let text_size = if login.odbc { "2147483647" } else { "4096" };
        let session = Self {
            instance,
            id,
            login: login.clone(),
            database,
            options: HashMap::from([("TEXTSIZE".to_owned(), text_size.to_owned())]),
            variables: HashMap::new(),
            transactions: 0,
            before: None,
            snapshot: None,
        };
        session.publish();
        Ok(session)
    }

    pub fn database(&self) -> &str {
        &self.database
    }

    pub fn spid(&self) -> u16 {
        self.id
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    fn number_option(&self, name: &str, default: i32) -> i32 {
        self.option(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// Shows the session in `sys.dm_exec_sessions`.
    fn publish(&self) {
        let deadlock_priority = match self.option("DEADLOCK_PRIORITY") {
            Some("LOW") => -5,
            Some("HIGH") => 5,
            Some(number) => number.parse().unwrap_or(0),
            None => 0,
        };
        self.instance.publish(SessionRow {
            id: i32::from(self.id),
            program: self.login.application.clone(),
            host: self.login.host.clone(),
            login: self.login.user.clone(),
            isolation: if self.is_snapshot() { 5 } else { 2 },
            deadlock_priority,
            lock_timeout: self.number_option("LOCK_TIMEOUT", -1),
            text_size: self.number_option("TEXTSIZE", 4096),
        });
    }

    fn is_snapshot(&self) -> bool {
        self.option("ISOLATION LEVEL") == Some("SNAPSHOT")
    }

    /// Runs a batch; results go to `out` as they come.
    pub fn batch(&mut self, sql: &str, parameters: &[Parameter], out: &mut dyn Output) -> Result<Flow, SqlError> {
        self.instance.record(self.id, &self.login.application, sql);
        self.variables = parameters
            .iter()
            .map(|parameter| (parameter.name.to_lowercase(), (parameter.sql_type.clone(), parameter.value.clone())))
            .collect();
        for statement in parse_batch(sql)? {
            if self.statement(&statement, out)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    /// The database that statements read: a snapshot's state, or the present one.
    fn current(&mut self) -> Result<Arc<Database>, SqlError> {
        if self.transactions > 0 && self.is_snapshot() {
            if self.snapshot.is_none() {
                let state = self.instance.database(&self.database)?;
                if !state.snapshot_allowed && state.snapshot_of.is_none() {
                    let message = format!(
                        "Snapshot isolation transaction failed accessing database '{}' because snapshot isolation is not allowed in this database.",
                        self.database
                    );
                    return Err(SqlError::new(3952, 16, message));
                }
                self.snapshot = Some(state);
            }
            if let Some(snapshot) = &self.snapshot {
                return Ok(snapshot.clone());
            }
        }
        self.instance.database(&self.database)
    }

    fn with_engine<R>(&mut self, act: impl FnOnce(&Engine<'_>) -> Result<R, SqlError>) -> Result<R, SqlError> {
        let database = self.current()?;
        let server = self.instance.server_view();
        let may_unmask = self.instance.may_unmask(&self.login.user);
        act(&Engine { database: &database, session: &*self, server: &server, may_unmask })
    }

    fn change<R>(&mut self, act: impl FnOnce(&mut Database) -> Result<R, SqlError>) -> Result<R, SqlError> {
        if self.login.read_only_intent && self.instance.is_read_only() {
            return Err(SqlError::new(
                3906,
                16,
                format!("Failed to update database \"{}\" because the database is read-only.", self.database),
            ));
        }
        self.instance.change(&self.database, act)
    }

    fn done(&self, rows: Option<u64>, out: &mut dyn Output) -> Flow {
        let counted = self.option("NOCOUNT") != Some("ON");
        out.done(rows.filter(|_| counted))
    }

    fn statement(&mut self, statement: &Statement, out: &mut dyn Output) -> Result<Flow, SqlError> {
        match statement {
            Statement::Select(query) => {
                let limit = self.number_option("TEXTSIZE", 4096).max(0) as usize;
                let limit = if limit >= i32::MAX as usize { usize::MAX } else { limit };
                let (rows, flow) = self.with_engine(|engine| engine.run(query, out, limit))?;
                if flow == Flow::Stop {
                    return Ok(Flow::Stop);
                }
                Ok(out.done(Some(rows)))
            }
            Statement::Insert { table, columns, source } => {
                let identity_insert = self.identity_insert(table);
                let inserted =
                    self.with_engine(|engine| modify::insert(engine, table, columns, source, identity_insert))?;
                let rows = self.change(|database| modify::append(database, inserted))?;
                Ok(self.done(Some(rows), out))
            }
            Statement::Update { table, sets, filter } => {
                let (rows, count) = self.with_engine(|engine| modify::update(engine, table, sets, filter.as_ref()))?;
                self.change(|database| modify::put_rows(database, table, rows))?;
                Ok(self.done(Some(count), out))
            }
            Statement::Delete { table, filter } => {
                let (rows, count) = self.with_engine(|engine| modify::delete(engine, table, filter.as_ref()))?;
                self.change(|database| modify::put_rows(database, table, rows))?;
                Ok(self.done(Some(count), out))
            }
            Statement::Truncate(table) => {
                self.change(|database| modify::put_rows(database, table, Vec::new()))?;
                Ok(self.done(None, out))
            }
            Statement::Begin | Statement::Commit | Statement::Rollback => self.transaction(statement, out),
            Statement::If { condition, then, otherwise } => {
                let holds = self.with_engine(|engine| engine.constant(condition))?.1 == Value::Bit(true);
                self.block(if holds { then } else { otherwise }, out)
            }
            Statement::While { condition, body } => {
                while self.with_engine(|engine| engine.constant(condition))?.1 == Value::Bit(true) {
                    if self.block(body, out)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
                Ok(Flow::Continue)
            }
            Statement::Block(body) => self.block(body, out),
            Statement::Assign { name, type_name, value } => {
                self.assign(name, type_name.as_ref(), value.as_ref())?;
                Ok(Flow::Continue)
            }
            Statement::SetOption { name, value } => {
                for name in name.split(',') {
                    self.options.insert(name.to_owned(), value.clone());
                }
                self.publish();
                Ok(self.done(None, out))
            }
            Statement::Use(name) => {
                let found = self.instance.database_name(name).ok_or_else(|| {
                    SqlError::new(
                        911,
                        16,
                        format!("Database '{name}' does not exist. Make sure that the name is entered correctly."),
                    )
                })?;
                let old = std::mem::replace(&mut self.database, found.clone());
                out.env_change(&EnvChange::Database { old, new: found });
                Ok(self.done(None, out))
            }
            Statement::Print(expr) => {
                let (kind, value) = self.with_engine(|engine| engine.constant(expr))?;
                let message = crate::convert::render(&value, &kind, None)?;
                out.info(&SqlError { number: 0, state: 1, class: 0, message });
                Ok(self.done(None, out))
            }
            Statement::WaitFor { milliseconds } => wait(*milliseconds, out),
            Statement::Raise { message, number, class, state } => {
                let error = SqlError { number: *number, state: *state, class: *class, message: message.clone() };
                if *class > 10 {
                    return Err(error);
                }
                out.info(&error);
                Ok(self.done(None, out))
            }
            _ => {
                self.define(statement)?;
                Ok(self.done(None, out))
            }
        }
    }

    fn block(&mut self, body: &[Statement], out: &mut dyn Output) -> Result<Flow, SqlError> {
        for statement in body {
            if self.statement(statement, out)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn identity_insert(&self, table: &Name) -> bool {
        let (schema, name) = split(table);
        self.options.iter().any(|(option, value)| {
            value == "ON"
                && option.strip_prefix("IDENTITY_INSERT ").is_some_and(|wanted| {
                    let parts: Name = wanted.split('.').map(str::to_owned).collect();
                    let (own_schema, own) = split(&parts);
                    own.eq_ignore_ascii_case(&name) && own_schema.eq_ignore_ascii_case(&schema)
                })
        })
    }

    fn assign(
        &mut self,
        name: &str,
        type_name: Option<&crate::ast::TypeName>,
        value: Option<&crate::ast::Expr>,
    ) -> Result<(), SqlError> {
        let name = name.to_lowercase();
        let kind = match type_name {
            Some(written) => crate::types::system_type(written, &Collation::default())?.sql_type,
            None => {
                let known = self
                    .variables
                    .get(&name)
                    .ok_or_else(|| SqlError::new(137, 15, format!("Must declare the scalar variable \"{name}\".")))?;
                known.0.clone()
            }
        };
        let value = match value {
            Some(expr) => {
                let (from, value) = self.with_engine(|engine| engine.constant(expr))?;
                crate::convert::convert(value, &from, &kind, None)?
            }
            None => Value::Null,
        };
        self.variables.insert(name, (kind, value));
        Ok(())
    }

    fn transaction(&mut self, statement: &Statement, out: &mut dyn Output) -> Result<Flow, SqlError> {
        match statement {
            Statement::Begin => {
                if self.transactions == 0 {
                    self.before = Some(self.instance.database(&self.database)?.as_ref().clone());
                    out.env_change(&EnvChange::BeginTransaction(u64::from(self.id)));
                }
                self.transactions += 1;
            }
            Statement::Commit => {
                if self.transactions == 0 {
                    return Err(SqlError::new(
                        3902,
                        16,
                        "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.",
                    ));
                }
                self.transactions -= 1;
                if self.transactions == 0 {
                    self.before = None;
                    self.snapshot = None;
                    out.env_change(&EnvChange::CommitTransaction(u64::from(self.id)));
                }
            }
            _ => self.rollback(out)?,
        }
        Ok(self.done(None, out))
    }

    /// Undoes the open transaction, if there is one.
    pub fn rollback(&mut self, out: &mut dyn Output) -> Result<(), SqlError> {
        self.transactions = 0;
        self.snapshot = None;
        if let Some(before) = self.before.take() {
            self.instance.change(&self.database, |database| {
                *database = before;
                Ok(())
            })?;
            out.env_change(&EnvChange::RollbackTransaction(u64::from(self.id)));
        }
        Ok(())
    }

    fn define(&mut self, statement: &Statement) -> Result<(), SqlError> {
        match statement {
            Statement::CreateTable(definition) => {
                let id = self.change(|database| Ok(database.new_id()))?;
                let table = self.with_engine(|engine| modify::create_table(engine, definition, id))?;
                self.change(|database| {
                    database.tables.insert(Database::key(&table.schema, &table.name), table);
                    Ok(())
                })
            }
            Statement::CreateIndex { table, index } => self.change(|database| {
                let (schema, name) = split(table);
                let found = database.tables.get_mut(&Database::key(&schema, &name));
                let found =
                    found.ok_or_else(|| SqlError::new(1088, 16, format!("Cannot find the object \"{name}\".")))?;
                modify::add_index(found, index)
            }),
            Statement::CreateSchema(name) => self.change(|database| {
                database.schemas.push(name.clone());
                Ok(())
            }),
            Statement::CreateType { name, base, nullable } => self.change(|database| {
                let declared = modify::alias(database, base)?;
                let (schema, last) = split(name);
                database.types.insert(last.to_lowercase(), (schema, last, declared, *nullable));
                Ok(())
            }),
            Statement::CreateView { name, query } => self.change(|database| {
                let id = database.new_id();
                let (schema, last) = split(name);
                let view = View { id, schema: schema.clone(), name: last.clone(), query: query.clone() };
                database.views.insert(Database::key(&schema, &last), view);
                Ok(())
            }),
            Statement::AlterTable { table, change } => {
                let altered = self.with_engine(|engine| modify::alter(engine, table, change))?;
                self.change(|database| {
                    database.tables.insert(Database::key(&altered.schema, &altered.name), altered);
                    Ok(())
                })
            }
            Statement::CreateDatabase { name, snapshot_of } => self.instance.create(name, snapshot_of.as_deref()),
            Statement::AlterDatabase { name, option, on } => {
                if option != "ALLOW_SNAPSHOT_ISOLATION" {
                    return Err(SqlError::unsupported(format!("ALTER DATABASE SET {option} is not supported")));
                }
                let name = if name.eq_ignore_ascii_case("CURRENT") { self.database.clone() } else { name.clone() };
                self.instance.change(&name, |database| {
                    database.snapshot_allowed = *on;
                    Ok(())
                })
            }
            Statement::Drop { kind, name, if_exists } => self.drop_object(kind, name, *if_exists),
            other => Err(SqlError::unsupported(format!("{other:?} is not supported"))),
        }
    }

    fn drop_object(&mut self, kind: &str, name: &Name, if_exists: bool) -> Result<(), SqlError> {
        let (schema, last) = split(name);
        if kind == "DATABASE" {
            return self.instance.drop_database(&last);
        }
        let key = Database::key(&schema, &last);
        let found = self.change(|database| {
            Ok(match kind {
                "TABLE" => database.tables.remove(&key).is_some(),
                "VIEW" => database.views.remove(&key).is_some(),
                _ => return Err(SqlError::unsupported(format!("DROP {kind} is not supported"))),
            })
        })?;
        if found || if_exists {
            Ok(())
        } else {
            Err(SqlError::new(
                3701,
                11,
                format!("Cannot drop the {} '{last}', because it does not exist.", kind.to_lowercase()),
            ))
        }
    }
}

/// Waits in small steps, so that an attention ends it.
fn wait(milliseconds: u64, out: &mut dyn Output) -> Result<Flow, SqlError> {
    let until = Instant::now() + Duration::from_millis(milliseconds);
    while Instant::now() < until {
        if out.poll() == Flow::Stop {
            return Ok(Flow::Stop);
        }
        std::thread::sleep(Duration::from_millis(10).min(until.saturating_duration_since(Instant::now())));
    }
    Ok(out.done(None))
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            // An open transaction ends with its connection; a database that is gone needs no rollback.
            let _ = self.instance.change(&self.database, |database| {
                *database = before;
                Ok(())
            });
        }
        self.instance.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&i32::from(self.id));
    }
}

fn name_type() -> SqlType {
    SqlType::NVarChar { len: Len::N(128), collation: Collation::default() }
}

impl SessionValues for Session {
    fn variable(&self, name: &str) -> Option<(SqlType, Value<'static>)> {
        self.variables.get(&name.to_lowercase()).cloned()
    }

    fn function(&self, name: &str, arguments: &[Value<'static>]) -> Option<(SqlType, Value<'static>)> {
        let argument = |index: usize| {
            arguments
                .get(index)
                .and_then(|value| crate::convert::text_of(value, &Collation::default()))
                .unwrap_or_default()
        };
        let text = |text: &str| (name_type(), Value::nvarchar(text));
        let variant =
            |text: &str| (SqlType::SqlVariant, Value::Variant(Box::new((name_type(), Value::nvarchar(text)))));
        let null = (SqlType::SqlVariant, Value::Null);
        Some(match name.to_uppercase().as_str() {
            "DB_NAME" => text(&self.database),
            "SUSER_SNAME" | "ORIGINAL_LOGIN" => text(&self.login.user),
            "USER_NAME" => text("dbo"),
            "SCHEMA_NAME" => text("dbo"),
            "@@VERSION" => text("Stopgap's simulator of Microsoft SQL Server 2022 (not a SQL Server)"),
            "@@SERVERNAME" => text("simulator"),
            "@@SPID" => (SqlType::SmallInt, Value::SmallInt(self.id as i16)),
            "@@TRANCOUNT" => (SqlType::Int, Value::Int(self.transactions as i32)),
            "@@TEXTSIZE" => (SqlType::Int, Value::Int(self.number_option("TEXTSIZE", 4096))),
            "@@LOCK_TIMEOUT" => (SqlType::Int, Value::Int(self.number_option("LOCK_TIMEOUT", -1))),
            "@@MAX_PRECISION" => (SqlType::TinyInt, Value::TinyInt(38)),
            "GETDATE" | "SYSDATETIME" | "GETUTCDATE" | "SYSUTCDATETIME" => now(),
            "SERVERPROPERTY" => match argument(0).to_lowercase().as_str() {
                "productversion" => variant("16.0.1000.6"),
                "edition" => variant("Simulator (not a SQL Server)"),
                "collation" => variant(&Collation::default().0),
                "servername" => variant("simulator"),
                _ => null,
            },
            "DATABASEPROPERTYEX" => match argument(1).to_lowercase().as_str() {
                "updateability" if self.instance.is_read_only() => variant("READ_ONLY"),
                "updateability" => variant("READ_WRITE"),
                "status" => variant("ONLINE"),
                "collation" => variant(&Collation::default().0),
                _ => null,
            },
            "HAS_PERMS_BY_NAME" => {
                let denied = argument(2).eq_ignore_ascii_case("UNMASK") && !self.instance.may_unmask(&self.login.user);
                (SqlType::Int, Value::Int(i32::from(!denied)))
            }
            "OBJECT_ID" => {
                let parts: Name = argument(0).split('.').map(|part| part.trim_matches(['[', ']']).to_owned()).collect();
                let (schema, last) = split(&parts);
                let database = self.instance.database(&self.database).ok()?;
                let found = database.tables.get(&Database::key(&schema, &last)).map(|table| table.id);
                (SqlType::Int, found.map_or(Value::Null, Value::Int))
            }
            _ => return None,
        })
    }
}

fn now() -> (SqlType, Value<'static>) {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() as i64;
    let days = crate::calendar::day_number(1970, 1, 1) + seconds / 86_400;
    let ticks = (seconds % 86_400) as u64 * 10_000_000 + u64::from(since.subsec_nanos() / 100);
    (SqlType::DateTime2 { scale: 7 }, Value::DateTime2 { days: days as u32, ticks })
}
