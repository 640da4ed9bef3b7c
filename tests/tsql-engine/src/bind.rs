//! Names and types of a query's parts: what an expression of T-SQL became in SQLite's SQL.

use std::cell::RefCell;
use std::rc::Rc;

use crate::catalog::{Place, Table};
use crate::env::Env;
use crate::error::error;
use crate::native::{Node, Test};
use crate::types::{common, is_string};
use crate::value::{SqlError, SqlType, Value};

/// An expression in SQLite's SQL, and its type in SQL Server's.
#[derive(Debug, Clone)]
pub struct Bound {
    pub sql: String,
    pub sql_type: SqlType,
    pub nullable: bool,
    pub identity: bool,
    /// The value, where it is the same for every row.
    pub constant: Option<Value<'static>>,
    /// COLLATE names its collation, which then wins over that of a column.
    pub collated: bool,
    /// The same without SQLite, where that can be.
    pub node: Option<Node>,
}

/// A condition in SQLite's SQL, and the same without SQLite, where that can be.
pub struct Predicate {
    pub sql: String,
    pub node: Option<Test>,
}

impl Bound {
    /// A nullable expression.
    pub fn new(sql: String, sql_type: SqlType) -> Self {
        Self { sql, sql_type, nullable: true, identity: false, constant: None, collated: false, node: None }
    }

    /// A constant, written out as SQLite's literal.
    pub fn constant(value: Value<'static>, sql_type: SqlType) -> Self {
        let sql = literal(&crate::codec::store(&value, &sql_type));
        let nullable = matches!(value, Value::Null);
        let node = Some(Node::Constant(value.clone()));
        Self { sql, sql_type, nullable, identity: false, constant: Some(value), collated: false, node }
    }
}

/// A stored value as SQLite's literal.
pub fn literal(value: &rusqlite::types::Value) -> String {
    use rusqlite::types::Value as Stored;
    match value {
        Stored::Null => "NULL".to_owned(),
        Stored::Integer(v) => v.to_string(),
        Stored::Real(v) => format!("{v:?}"),
        Stored::Text(text) => text_literal(text),
        Stored::Blob(bytes) => format!("x'{}'", crate::convert_text::hex_text(bytes)),
    }
}

/// Text as SQLite's literal.
pub fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name as SQLite's quoted identifier.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column that a query can name.
#[derive(Debug, Clone)]
pub struct ScopeColumn {
    pub name: String,
    pub bound: Bound,
}

/// One item of FROM.
#[derive(Debug, Clone)]
pub struct Source {
    pub alias: String,
    /// Schema and table, for columns named in full.
    pub table: Option<Table>,
    pub columns: Vec<ScopeColumn>,
}

/// What names mean at one place: this query's sources, then those around it.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub sources: &'a [Source],
    pub outer: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    /// The column that the parts name (`column`, `alias.column`, `schema.table.column`).
    pub fn find(&self, parts: &[String]) -> Result<Bound, SqlError> {
        let (name, qualifier) = match parts.split_last() {
            Some((name, qualifier)) => (name, qualifier.last()),
            None => return Err(error(207, "Invalid column name ''.")),
        };
        let mut found = None;
        for source in self.sources {
            if qualifier.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&source.alias)) {
                continue;
            }
            let of_table = source.table.iter().flat_map(|table| &table.columns);
            if of_table.filter(|column| crate::graph::is_internal(column)).any(|column| same(&column.name, name)) {
                return Err(crate::graph::refused(name));
            }
            for column in &source.columns {
                if same(&column.name, name) {
                    if found.is_some() {
                        return Err(error(209, format!("Ambiguous column name '{name}'.")));
                    }
                    found = Some(column.bound.clone());
                }
            }
        }
        match (found, self.outer) {
            (Some(bound), _) => Ok(bound),
            (None, Some(outer)) => outer.find(parts),
            (None, None) => Err(match qualifier {
                Some(_) if !self.knows(parts) => {
                    error(4104, format!("The multi-part identifier \"{}\" could not be bound.", parts.join(".")))
                }
                _ => error(207, format!("Invalid column name '{name}'.")),
            }),
        }
    }

    fn knows(&self, parts: &[String]) -> bool {
        let Some(qualifier) = parts.len().checked_sub(2).and_then(|at| parts.get(at)) else { return true };
        self.sources.iter().any(|source| source.alias.eq_ignore_ascii_case(qualifier))
            || self.outer.is_some_and(|outer| outer.knows(parts))
    }
}

/// Whether two names are one, in the default collation.
pub fn same(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right) || left.to_lowercase() == right.to_lowercase()
}

/// A result column of a query.
#[derive(Debug, Clone)]
pub struct OutColumn {
    pub name: String,
    pub bound: Bound,
}

/// A whole query in SQLite's SQL.
#[derive(Debug, Clone)]
pub struct BoundQuery {
    pub sql: String,
    pub columns: Vec<OutColumn>,
}

/// Translates queries for one statement of one session.
pub struct Binder<'a> {
    pub env: &'a Env<'a>,
    pub ctes: RefCell<Vec<(String, BoundQuery)>>,
    pub serial: std::cell::Cell<u32>,
    /// The database in which names without one are looked up: a view's own, while the view is translated.
    pub place: RefCell<Place>,
    /// What is bound is only described and never run: rows that are generated need not be there.
    pub describes: std::cell::Cell<bool>,
    /// What is bound is one side of a join.
    pub joins: std::cell::Cell<bool>,
    /// The tables and views that were named, but for those that a view names in turn.
    pub named: RefCell<Vec<Vec<String>>>,
    /// Tables whose CHANGETABLE stands before the place in the joins that is bound: of generated ones, only changed rows are looked up.
    pub changed: RefCell<Vec<i64>>,
}

impl<'a> Binder<'a> {
    pub fn new(env: &'a Env<'a>) -> Self {
        Self {
            env,
            ctes: RefCell::new(Vec::new()),
            serial: std::cell::Cell::new(0),
            place: RefCell::default(),
            describes: std::cell::Cell::new(false),
            joins: std::cell::Cell::new(false),
            named: RefCell::default(),
            changed: RefCell::default(),
        }
    }

    /// A name for a derived table that no query uses.
    pub fn fresh(&self) -> String {
        self.serial.set(self.serial.get() + 1);
        format!("$s{}", self.serial.get())
    }

    /// A call of a scalar function; folded where everything is constant.
    pub fn call(&self, name: &str, option: &str, arguments: &[Bound], result: SqlType) -> Result<Bound, SqlError> {
        let call = crate::call::Call {
            name: name.to_owned(),
            option: option.to_owned(),
            arguments: arguments.iter().map(|argument| argument.sql_type.clone()).collect(),
            result,
        };
        let constants: Option<Vec<Value<'static>>> =
            arguments.iter().map(|argument| argument.constant.clone()).collect();
        if let (Some(values), false) = (constants, name == "newid") {
            // A constant that fails must fail only when a row reaches it (CASE), so failures stay calls.
            if let Ok(value) = call.run(values) {
                return Ok(Bound::constant(value, call.result));
            }
        }
        let function = if name == "newid" { "tsv" } else { "ts" };
        let node = Node::of_all(arguments).map(|arguments| Node::Call(Rc::new(call.clone()), arguments));
        let mut sql = format!("{function}({}", text_literal(&call.spec()));
        for argument in arguments {
            sql.push(',');
            sql.push_str(&argument.sql);
        }
        sql.push(')');
        let nullable = name == "try_convert" || arguments.iter().any(|argument| argument.nullable);
        Ok(Bound { nullable, node, ..Bound::new(sql, call.result) })
    }

    /// The expression as another type; nothing at all where SQLite's representation is the same.
    pub fn cast(&self, bound: Bound, to: &SqlType) -> Result<Bound, SqlError> {
        if bound.sql_type == *to {
            return Ok(bound);
        }
        if let Some((call, option)) = self.env.answers.cast(&bound.sql_type, to) {
            return self.call(call, option, &[bound], to.clone());
        }
        if bound.constant.is_none() && same_storage(&bound.sql_type, to) {
            // Strings of one width are the same values, too.
            let node = if is_string(&bound.sql_type) && is_string(to) {
                bound.node
            } else {
                self.call("convert", "0", std::slice::from_ref(&bound), to.clone())?.node
            };
            return Ok(Bound { sql_type: to.clone(), identity: false, node, ..bound });
        }
        self.call("convert", "0", &[self.datetime_as(bound, to)?], to.clone())
    }

    /// A datetime on its way to a type with more digits: from compatibility level 130 on it keeps its thirds of a millisecond
    /// (docs, "ALTER DATABASE compatibility level"); below, it is rounded to the millisecond first, as `convert` does.
    pub fn datetime_as(&self, bound: Bound, to: &SqlType) -> Result<Bound, SqlError> {
        let finer = matches!(to, SqlType::Time { .. } | SqlType::DateTime2 { .. } | SqlType::DateTimeOffset { .. });
        if !finer || bound.sql_type != SqlType::DateTime || self.env.instance.version() < crate::version::Version::V2016
        {
            return Ok(bound);
        }
        self.call("exact_datetime", "", &[bound], SqlType::DateTime2 { scale: 7 })
    }

    /// Both sides as their common type.
    pub fn unify(&self, left: Bound, right: Bound) -> Result<(Bound, Bound), SqlError> {
        let sql_type = comparison_type(&left, &right);
        Ok((self.cast(left, &sql_type)?, self.cast(right, &sql_type)?))
    }

    /// The expression as SQLite compares and orders it.
    pub fn key(&self, bound: &Bound) -> String {
        match &bound.sql_type {
            SqlType::DateTimeOffset { .. } => format!("substr({},1,8)", bound.sql),
            sql_type => match crate::types::collation_of(sql_type) {
                Some(name) => {
                    format!("ck({},{},{})", bound.sql, u8::from(crate::types::is_wide(sql_type)), text_literal(name))
                }
                None => bound.sql.clone(),
            },
        }
    }
}

/// The type in which two expressions are compared: the collation that COLLATE names wins over a column's, and that over a
/// literal's ("Collation Precedence").
fn comparison_type(left: &Bound, right: &Bound) -> SqlType {
    let mut sql_type = common(&left.sql_type, &right.sql_type);
    let sides = [left, right];
    let named = sides.into_iter().find(|side| side.collated);
    let decides = named.or_else(|| sides.into_iter().find(|side| side.constant.is_none()));
    if let Some(name) = decides.and_then(|side| crate::types::collation_of(&side.sql_type)) {
        sql_type = crate::types::with_collation(&sql_type, name);
    }
    sql_type
}

/// Whether a value of `from` is, unchanged, also a value of `to`.
fn same_storage(from: &SqlType, to: &SqlType) -> bool {
    use crate::types::{collation_of, is_wide, length_of};
    let grows = match (length_of(from), length_of(to)) {
        (_, None) => true,
        (Some(a), Some(b)) => a <= b,
        (None, Some(_)) => false,
    };
    let fixed =
        matches!(to, SqlType::Char { .. } | SqlType::NChar { .. } | SqlType::Binary { .. } | SqlType::RowVersion);
    let whole = |sql_type: &SqlType| match sql_type {
        SqlType::Bit => 1,
        SqlType::TinyInt => 2,
        SqlType::SmallInt => 3,
        SqlType::Int => 4,
        SqlType::BigInt => 5,
        _ => 0,
    };
    if whole(from) > 0 && whole(to) > 1 {
        return whole(from) <= whole(to);
    }
    if fixed || matches!(from, SqlType::Udt { .. } | SqlType::SqlVariant) {
        return false;
    }
    match to {
        SqlType::VarBinary { len } => {
            let binary = matches!(
                from,
                SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Image | SqlType::RowVersion
            );
            let bytes = length_of(from).map(|length| length * if is_wide(from) { 2 } else { 1 });
            let fits = match (len, bytes) {
                (crate::value::Len::Max, _) => true,
                (crate::value::Len::N(limit), Some(bytes)) => bytes <= u32::from(*limit),
                _ => false,
            };
            (binary || is_string(from)) && fits
        }
        _ if is_wide(to) => is_wide(from) && grows,
        _ if is_string(to) => {
            let page = |sql_type| collation_of(sql_type).map(crate::collation::code_page);
            is_string(from) && !is_wide(from) && page(from) == page(to) && grows
        }
        _ => false,
    }
}
