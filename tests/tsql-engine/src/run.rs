//! Runs statements: control flow, queries, settings, transactions.

use rusqlite::types::ValueRef;
use sqlparser::ast::{BinaryOperator, Expr, Query, SelectItem, SetExpr};

use crate::bind::{Binder, Bound, Scope};
use crate::codec::load;
use crate::convert::{convert, text_of};
use crate::error::{error, unsupported};
use crate::script::Stmt;
use crate::session::Session;
use crate::value::{Column, EnvChange, Flow, Output, SqlError, SqlType, Value};

impl Session {
    pub(crate) fn run(&mut self, statements: &[Stmt], out: &mut dyn Output) -> Result<Flow, SqlError> {
        for statement in statements {
            if self.statement(statement, out)? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self, rows: u64, out: &mut dyn Output) -> Flow {
        self.settings.row_count = rows;
        out.done((!self.settings.no_count).then_some(rows))
    }

    fn statement(&mut self, statement: &Stmt, out: &mut dyn Output) -> Result<Flow, SqlError> {
        match statement {
            Stmt::At(line, statement) => {
                out.at_line(*line);
                return self.statement(statement, out);
            }
            Stmt::Query(query) => return self.select(query, out),
            Stmt::Change(change, with) => {
                let rows = crate::dml::run(self, change, with.as_ref());
                let rows = self.changed(rows)?;
                return Ok(self.finish(rows, out));
            }
            Stmt::Ddl(ddl) => {
                let made = crate::ddl::run(self, ddl);
                self.changed(made)?;
                return Ok(out.done(None));
            }
            Stmt::Declare(variables) => {
                for (name, text, value) in variables {
                    let sql_type = Binder::new(&self.env()).declared_type(text)?;
                    self.variables.insert(name.to_lowercase(), (sql_type, Value::Null));
                    if let Some(expr) = value {
                        self.assign(name, expr)?;
                    }
                }
            }
            Stmt::SetVariable(name, expr) => self.assign(name, expr)?,
            Stmt::SetOption(words) => self.set_option(words)?,
            Stmt::If(condition, yes, no) => {
                if self.test(condition)? {
                    return self.statement(yes, out);
                } else if let Some(no) = no {
                    return self.statement(no, out);
                }
            }
            Stmt::While(condition, body) => {
                while self.test(condition)? {
                    if self.cancelled() {
                        return Err(crate::error::cancelled());
                    }
                    if self.statement(body, out)? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                }
            }
            Stmt::Block(statements) => return self.run(statements, out),
            Stmt::InContext(context, change) => {
                let (sql_type, value) = self.evaluate(context)?;
                self.writes.context = crate::tracking::context(value, &sql_type)?;
                let flow = self.statement(change, out);
                self.writes.context = None;
                return flow;
            }
            Stmt::Print(expr) => {
                let (sql_type, value) = self.evaluate(expr)?;
                let message = text_of(&value, &sql_type)?;
                out.info(&SqlError { number: 0, state: 1, class: 0, message });
            }
            Stmt::Use(name) => self.use_database(name, out)?,
            Stmt::Begin => {
                self.settings.transactions += 1;
                if self.settings.transactions == 1 {
                    out.env_change(&EnvChange::BeginTransaction(u64::from(self.spid())));
                }
            }
            Stmt::Commit | Stmt::Rollback => self.end_transaction(matches!(statement, Stmt::Commit), out)?,
            Stmt::Wait(text) => {
                self.suspend()?;
                let moment = crate::datetime::parse(text).ok_or_else(|| {
                    error(148, format!("Incorrect time syntax in time string '{text}' used with WAITFOR."))
                })?;
                let end = std::time::Instant::now() + std::time::Duration::from_nanos(moment.ticks as u64 * 100);
                while let Some(left) = end.checked_duration_since(std::time::Instant::now()) {
                    if self.cancelled() {
                        return Err(crate::error::cancelled());
                    }
                    std::thread::sleep(left.min(std::time::Duration::from_millis(10)));
                }
            }
            Stmt::Raise { number, class, state, message } => {
                let (sql_type, value) = self.evaluate(message)?;
                let small = |session: &Self, expr: &Option<Expr>, default: u8| -> Result<u8, SqlError> {
                    match expr {
                        Some(expr) => Ok(session.evaluate(expr)?.1)
                            .map(|value| if let Value::Int(v) = value { v as u8 } else { default }),
                        None => Ok(default),
                    }
                };
                let failure = SqlError {
                    number: *number,
                    class: small(self, class, 16)?,
                    state: small(self, state, 1)?,
                    message: text_of(&value, &sql_type)?,
                };
                if failure.class > 10 {
                    return Err(failure);
                }
                out.info(&failure);
            }
            Stmt::Execute(arguments) => {
                let Some((text, rest)) = arguments.split_first() else { return Err(unsupported("sp_executesql")) };
                let (sql_type, value) = self.evaluate(text)?;
                let sql = text_of(&value, &sql_type)?;
                if let Some((declarations, values)) = rest.split_first() {
                    let (sql_type, value) = self.evaluate(declarations)?;
                    let declared = crate::script::parse(&format!("DECLARE {}", text_of(&value, &sql_type)?))?;
                    self.run(&declared, out)?;
                    let Some(Stmt::Declare(names)) = declared.first().map(Stmt::bare) else {
                        return Err(unsupported("sp_executesql"));
                    };
                    for (at, expr) in values.iter().enumerate() {
                        match expr {
                            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                                self.assign(&left.to_string(), right)?;
                            }
                            other => {
                                let name = names.get(at).map(|name| name.0.clone()).unwrap_or_default();
                                self.assign(&name, other)?;
                            }
                        }
                    }
                }
                let statements = crate::script::parse(&sql)?;
                return self.run(&statements, out);
            }
        }
        Ok(Flow::Continue)
    }

    pub(crate) fn end_transaction(&mut self, commit: bool, out: &mut dyn Output) -> Result<(), SqlError> {
        if self.settings.transactions == 0 {
            let number = if commit { 3902 } else { 3903 };
            let word = if commit { "COMMIT" } else { "ROLLBACK" };
            return Err(error(
                number,
                format!("The {word} TRANSACTION request has no corresponding BEGIN TRANSACTION."),
            ));
        }
        if commit && self.settings.transactions > 1 {
            self.settings.transactions -= 1;
            return Ok(());
        }
        let ended = if commit { self.commit_writes() } else { self.rollback_writes() };
        self.settings.transactions = 0;
        ended?;
        let id = u64::from(self.spid());
        out.env_change(&if commit { EnvChange::CommitTransaction(id) } else { EnvChange::RollbackTransaction(id) });
        Ok(())
    }

    #[expect(clippy::assigning_clones, reason = "a fresh text reads better than one that is cloned into the old")]
    fn set_option(&mut self, words: &[String]) -> Result<(), SqlError> {
        let Some((value, names)) = words.split_last() else { return Ok(()) };
        let on = value.eq_ignore_ascii_case("on");
        let switch = on || value.eq_ignore_ascii_case("off");
        let number = || value.parse::<i64>().map_err(|_| crate::error::syntax(value));
        for name in names {
            match name.as_str() {
                "NOCOUNT" if switch => self.settings.no_count = on,
                "XACT_ABORT" if switch => self.settings.xact_abort = on,
                "TEXTSIZE" => {
                    let bytes = number()?;
                    self.settings.text_size = match bytes {
                        0 => 4096,
                        -1 => 2_147_483_647,
                        other => other,
                    };
                }
                "ROWCOUNT" => self.settings.row_limit = number()?.max(0) as u64,
                "LOCK_TIMEOUT" => {
                    self.settings.lock_timeout = number()?;
                    self.lock_wait()?;
                }
                "DEADLOCK_PRIORITY" => {
                    self.settings.deadlock_priority = match value.to_uppercase().as_str() {
                        "LOW" => -5,
                        "NORMAL" => 0,
                        "HIGH" => 5,
                        _ => number()?,
                    };
                }
                "TRANSACTION" => {
                    self.settings.isolation = match value.as_str() {
                        "READ UNCOMMITTED" => 1,
                        "READ COMMITTED" => 2,
                        "REPEATABLE READ" => 3,
                        "SERIALIZABLE" => 4,
                        "SNAPSHOT" => 5,
                        other => return Err(crate::error::syntax(other)),
                    };
                }
                "LANGUAGE" if ["us_english", "english"].contains(&value.to_lowercase().as_str()) => {
                    self.settings.language = "us_english".to_owned();
                }
                "IDENTITY_INSERT" if switch => {
                    let [_, schema, table, _] = words else { return Err(crate::error::syntax(value)) };
                    let found = crate::catalog::find(&self.connection, schema, table)?;
                    let id =
                        found.ok_or_else(|| error(1088, format!("Cannot find the object \"{schema}.{table}\".")))?.id;
                    self.settings.identity_insert = on.then_some(id);
                    return Ok(());
                }
                // Under ANSI_WARNINGS ON, ARITHABORT makes no difference, and nothing here has cursors.
                "ARITHABORT" | "CURSOR_CLOSE_ON_COMMIT" if switch => {}
                "FMTONLY" if switch => self.settings.format_only = on,
                name if settled(name, value) => {}
                other => return Err(unsupported(&format!("SET {other} {value}"))),
            }
        }
        Ok(())
    }

    fn scalar(&self, bound: &Bound) -> Result<Value<'static>, SqlError> {
        if let Some(value) = &bound.constant {
            return Ok(value.clone());
        }
        self.before_read()?;
        let mut statement = self.connection.prepare(&format!("SELECT {}", bound.sql))?;
        let mut rows = statement.query([])?;
        match rows.next()? {
            Some(row) => Ok(load(row.get_ref(0)?, &bound.sql_type)?.into_static()),
            None => Ok(Value::Null),
        }
    }

    pub(crate) fn evaluate(&self, expr: &Expr) -> Result<(SqlType, Value<'static>), SqlError> {
        let env = self.env();
        let bound = Binder::new(&env).value(expr, &Scope { sources: &[], outer: None })?;
        let value = self.scalar(&bound)?;
        Ok((bound.sql_type, value))
    }

    fn test(&self, condition: &Expr) -> Result<bool, SqlError> {
        let env = self.env();
        let sql = Binder::new(&env).predicate(condition, &Scope { sources: &[], outer: None })?;
        let bound = Bound::new(format!("({sql})"), SqlType::Bit);
        Ok(matches!(self.scalar(&bound)?, Value::Bit(true)))
    }

    fn assign(&mut self, name: &str, expr: &Expr) -> Result<(), SqlError> {
        let (sql_type, value) = self.evaluate(expr)?;
        self.keep(name, &sql_type, value)
    }

    fn keep(&mut self, name: &str, sql_type: &SqlType, value: Value<'static>) -> Result<(), SqlError> {
        let (wanted, _) = self.env().variable(name)?;
        let value = convert(value, sql_type, &wanted, 0)?.into_static();
        self.variables.insert(name.to_lowercase(), (wanted, value));
        Ok(())
    }

    fn select(&mut self, query: &Query, out: &mut dyn Output) -> Result<Flow, SqlError> {
        crate::unsupported::query(query)?;
        self.before_read()?;
        if let Some(names) = assigned(query) {
            return self.select_into_variables(query, &names, out);
        }
        if let Some((rows, flow)) = crate::tpch::direct(self, query, out)? {
            return Ok(if flow == Flow::Stop { flow } else { self.finish(rows, out) });
        }
        let mut count = 0u64;
        {
            let env = self.env();
            let bound = Binder::new(&env).query(query, None)?;
            let mut statement = self.connection.prepare(&bound.sql)?;
            let types: Vec<SqlType> = bound.columns.iter().map(|column| column.bound.sql_type.clone()).collect();
            let columns: Vec<Column> = bound
                .columns
                .into_iter()
                .map(|column| Column {
                    name: column.name,
                    sql_type: column.bound.sql_type,
                    nullable: column.bound.nullable,
                    identity: column.bound.identity,
                })
                .collect();
            if out.columns(&columns) == Flow::Stop {
                return Ok(Flow::Stop);
            }
            let limit = self.settings.text_size;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let limited = self.settings.row_limit > 0 && count >= self.settings.row_limit;
                if limited || self.settings.format_only {
                    break;
                }
                let mut cells = Vec::with_capacity(types.len());
                for (at, sql_type) in types.iter().enumerate() {
                    let kept = load(cut(row.get_ref(at)?, sql_type, limit), sql_type)?;
                    cells.push(match (kept, sql_type) {
                        (Value::Binary(kept), SqlType::Udt { name }) => {
                            Value::Binary(crate::clr::bytes(&kept, name)?.into())
                        }
                        (kept, _) => kept,
                    });
                }
                count += 1;
                if out.row(&cells) == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            }
        }
        Ok(self.finish(count, out))
    }

    fn select_into_variables(
        &mut self,
        query: &Query,
        names: &[String],
        out: &mut dyn Output,
    ) -> Result<Flow, SqlError> {
        let mut plain = query.clone();
        if let SetExpr::Select(select) = plain.body.as_mut() {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(Expr::BinaryOp { right, .. }) = item {
                    *item = SelectItem::UnnamedExpr(right.as_ref().clone());
                } else if let SelectItem::ExprWithAlias { expr, .. } = item {
                    *item = SelectItem::UnnamedExpr(expr.clone());
                }
            }
        }
        let mut last: Vec<(SqlType, Value<'static>)> = Vec::new();
        let mut count = 0;
        {
            let env = self.env();
            let bound = Binder::new(&env).query(&plain, None)?;
            let mut statement = self.connection.prepare(&bound.sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                count += 1;
                last.clear();
                for (at, column) in bound.columns.iter().enumerate() {
                    let sql_type = column.bound.sql_type.clone();
                    let value = load(row.get_ref(at)?, &sql_type)?.into_static();
                    last.push((sql_type, value));
                }
            }
        }
        for (name, (sql_type, value)) in names.iter().zip(last) {
            self.keep(name, &sql_type, value)?;
        }
        self.settings.row_count = count;
        Ok(out.done(None))
    }
}

/// Settings that have the one value under which statements run here.
fn settled(name: &str, value: &str) -> bool {
    let only = match name {
        "ANSI_NULLS"
        | "ANSI_WARNINGS"
        | "ANSI_PADDING"
        | "ANSI_NULL_DFLT_ON"
        | "CONCAT_NULL_YIELDS_NULL"
        | "QUOTED_IDENTIFIER" => "ON",
        "ARITHIGNORE"
        | "NUMERIC_ROUNDABORT"
        | "IMPLICIT_TRANSACTIONS"
        | "NOEXEC"
        | "PARSEONLY"
        | "STATISTICS"
        | "IO"
        | "TIME" => "OFF",
        // Both read a date with its year first, or last, alike.
        "DATEFORMAT" => return ["mdy", "ymd"].contains(&value.to_lowercase().as_str()),
        "DATEFIRST" => "7",
        "QUERY_GOVERNOR_COST_LIMIT" => "0",
        _ => return false,
    };
    value.eq_ignore_ascii_case(only)
}

/// The variables of `SELECT @a = …`; `None` for a query that returns rows.
fn assigned(query: &Query) -> Option<Vec<String>> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    select
        .projection
        .iter()
        .map(|item| match item {
            SelectItem::UnnamedExpr(Expr::BinaryOp { left, op: BinaryOperator::Eq, .. }) => match left.as_ref() {
                Expr::Identifier(ident) if ident.value.starts_with('@') => Some(ident.value.clone()),
                _ => None,
            },
            SelectItem::ExprWithAlias { alias, .. } if alias.value.starts_with('@') => Some(alias.value.clone()),
            _ => None,
        })
        .collect()
}

/// SET TEXTSIZE: what a large value loses.
fn cut<'a>(cell: ValueRef<'a>, sql_type: &SqlType, limit: i64) -> ValueRef<'a> {
    let large = matches!(sql_type, SqlType::Text { .. } | SqlType::NText { .. } | SqlType::Image | SqlType::Xml)
        || matches!(sql_type, SqlType::VarChar { .. } | SqlType::NVarChar { .. } | SqlType::VarBinary { .. }
            if crate::types::length_of(sql_type).is_none());
    match cell {
        ValueRef::Blob(bytes) if large && bytes.len() as i64 > limit => {
            let unit = if crate::types::is_wide(sql_type) { 2 } else { 1 };
            ValueRef::Blob(&bytes[..limit as usize / unit * unit])
        }
        other => other,
    }
}
