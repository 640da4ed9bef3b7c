//! T-SQL's scalar functions inside SQLite: `ts(spec, arguments…)`, where the spec names function and types.

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Value as Stored, ValueRef};

use crate::codec::{load, store};
use crate::error::{encode, error};
use crate::functions::evaluate;
use crate::types::{collation_of, parse_type, type_text};
use crate::value::{SqlError, SqlType, Value};

/// What one call of `ts` does: a function, its constant option, and its types.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub name: String,
    pub option: String,
    pub arguments: Vec<SqlType>,
    pub result: SqlType,
}

impl Call {
    /// The call as the text that SQLite hands back for each row.
    pub fn spec(&self) -> String {
        let mut spec = format!("{}\n{}", self.name, self.option);
        for sql_type in self.arguments.iter().chain(std::iter::once(&self.result)) {
            spec.push('\n');
            spec.push_str(&type_text(sql_type));
            spec.push('|');
            spec.push_str(collation_of(sql_type).unwrap_or(""));
        }
        spec
    }

    fn parse(spec: &str) -> Result<Self, SqlError> {
        let mut lines = spec.split('\n');
        let (name, option) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
        let mut types = Vec::new();
        for line in lines {
            let (text, collation) = line.split_once('|').unwrap_or((line, ""));
            types.push(parse_type(text, collation, 1)?);
        }
        let result = types.pop().ok_or_else(|| error(40_004, "simulator: a call without a type"))?;
        Ok(Self { name: name.to_owned(), option: option.to_owned(), arguments: types, result })
    }

    /// Runs the function on values of its argument types.
    pub fn run(&self, values: Vec<Value<'_>>) -> Result<Value<'static>, SqlError> {
        evaluate(self, values)
    }
}

/// Text that SQLite carries back as an error.
pub fn raise(failure: &SqlError) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(encode(failure).into())
}

fn parsed(context: &Context<'_>) -> rusqlite::Result<Arc<Call>> {
    context
        .get_or_create_aux(0, |value| -> Result<Call, SqlError> {
            Call::parse(value.as_str().map_err(|_| error(40_004, "simulator: a call without a spec"))?)
        })
        .map_err(|failure| match failure {
            rusqlite::Error::UserFunctionError(_) => failure,
            other => raise(&SqlError::from(other)),
        })
}

fn invoke(context: &mut Context<'_>) -> rusqlite::Result<Stored> {
    let call = parsed(context)?;
    let mut values = Vec::with_capacity(call.arguments.len());
    for (at, sql_type) in call.arguments.iter().enumerate() {
        values.push(load(context.get_raw(at + 1), sql_type).map_err(|failure| raise(&failure))?);
    }
    let value = call.run(values).map_err(|failure| raise(&failure))?;
    Ok(store(&value, &call.result))
}

fn sort_key(context: &mut Context<'_>) -> rusqlite::Result<Stored> {
    match context.get_raw(0) {
        ValueRef::Blob(bytes) => {
            let wide = context.get::<i64>(1)? != 0;
            let name = context.get_raw(2).as_str().unwrap_or("");
            let key = crate::collation::sort_key(bytes, wide, name).map_err(|failure| raise(&failure))?;
            Ok(Stored::Blob(key))
        }
        _ => Ok(Stored::Null),
    }
}

/// MIN, MAX, SUM, AVG and STRING_AGG where SQLite's own would not know the type.
struct Fold;

/// What such an aggregate has seen so far.
#[derive(Default)]
pub struct Folded {
    best: Option<Value<'static>>,
    key: Vec<u8>,
    count: i64,
}

/// An aggregate's call, known from the first row on.
type State = (Option<Arc<Call>>, Folded);

impl Aggregate<State, Stored> for Fold {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<State> {
        Ok(State::default())
    }

    fn step(&self, context: &mut Context<'_>, state: &mut State) -> rusqlite::Result<()> {
        if state.0.is_none() {
            let text = context.get_raw(0).as_str().unwrap_or("").to_owned();
            state.0 = Some(Arc::new(Call::parse(&text).map_err(|failure| raise(&failure))?));
        }
        let Some(call) = state.0.clone() else { return Ok(()) };
        let Some(sql_type) = call.arguments.first() else { return Ok(()) };
        let value = load(context.get_raw(1), sql_type).map_err(|failure| raise(&failure))?;
        state.1.take(&call, value).map_err(|failure| raise(&failure))
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<State>) -> rusqlite::Result<Stored> {
        let Some((Some(call), folded)) = state else { return Ok(Stored::Null) };
        let value = folded.value(&call).map_err(|failure| raise(&failure))?;
        Ok(store(&value, &call.result))
    }
}

impl Folded {
    /// Takes a value; NULL counts for nothing.
    pub fn take(&mut self, call: &Call, value: Value<'_>) -> Result<(), SqlError> {
        if value.is_null() {
            return Ok(());
        }
        self.count += 1;
        self.fold(call, value)
    }

    /// The aggregate of what it took.
    pub fn value(self, call: &Call) -> Result<Value<'static>, SqlError> {
        match self.best {
            Some(sum) if call.name == "avg" => crate::functions::average(sum, self.count, call),
            best => Ok(best.unwrap_or(Value::Null)),
        }
    }

    fn fold(&mut self, call: &Call, value: Value<'_>) -> Result<(), SqlError> {
        match call.name.as_str() {
            "min" | "max" => {
                let (bytes, wide) = match &value {
                    Value::VarChar(bytes) => (bytes, false),
                    Value::NVarChar(bytes) => (bytes, true),
                    _ => return Err(error(40_004, "simulator: MIN or MAX of this type")),
                };
                let name = collation_of(&call.result).unwrap_or("");
                let key = crate::collation::sort_key(bytes, wide, name)?;
                let better = self.best.is_none() || if call.name == "min" { key < self.key } else { key > self.key };
                if better {
                    self.key = key;
                    self.best = Some(value.into_static());
                }
            }
            "string_agg" => {
                let text = crate::convert::text_of(&value, &call.arguments[0])?;
                let mut so_far = match &self.best {
                    Some(best) => crate::convert::text_of(best, &call.result)?,
                    None => String::new(),
                };
                if self.count > 1 {
                    so_far.push_str(&call.option);
                }
                so_far.push_str(&text);
                self.best = Some(crate::convert_text::text_value(&so_far, &call.result)?);
            }
            _ => {
                let value = crate::convert::convert(value, &call.arguments[0], &call.result, 0)?;
                self.best = Some(match self.best.take() {
                    None => value.into_static(),
                    Some(sum) => crate::functions::add(&sum, &value, &call.result)?,
                });
            }
        }
        Ok(())
    }
}

/// The union of change masks; NULL where one is, which stands for all columns.
struct Masks;

impl Aggregate<Option<Vec<u8>>, Option<Vec<u8>>> for Masks {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<Vec<u8>>> {
        Ok(Some(vec![0; 4]))
    }

    fn step(&self, context: &mut Context<'_>, state: &mut Option<Vec<u8>>) -> rusqlite::Result<()> {
        let (ValueRef::Blob(mask), Some(all)) = (context.get_raw(0), state.as_mut()) else {
            *state = None;
            return Ok(());
        };
        for id in mask.chunks_exact(4).skip(1) {
            if !all.chunks_exact(4).skip(1).any(|own| own == id) {
                all.extend_from_slice(id);
            }
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<Option<Vec<u8>>>) -> rusqlite::Result<Option<Vec<u8>>> {
        Ok(state.flatten())
    }
}

/// A name of one to three parts with each part in brackets; `dbo` stands for a schema that is left out. `None` for anything else.
fn bracketed(name: &str) -> Option<String> {
    let mut parts = crate::permissions::parse_name(name)?;
    if parts.len() == 1 {
        parts.insert(0, "dbo".to_owned());
    }
    let quoted: Vec<String> = parts.iter().map(|part| format!("[{}]", part.replace(']', "]]"))).collect();
    (quoted.len() <= 3).then(|| quoted.join("."))
}

/// Makes the functions known to a connection.
pub fn register(connection: &Connection) -> Result<(), SqlError> {
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("ts", -1, pure, invoke)?;
    connection.create_scalar_function("tsv", -1, FunctionFlags::SQLITE_UTF8, invoke)?;
    connection.create_scalar_function("ck", 3, pure, sort_key)?;
    connection.create_scalar_function("code_page", 1, pure, |context| match context.get_raw(0) {
        ValueRef::Blob(name) => {
            let name = crate::collation::decode_utf16(name);
            Ok(Stored::Integer(i64::from(crate::collation::code_page(&name))))
        }
        _ => Ok(Stored::Null),
    })?;
    connection.create_scalar_function("bracketed", 1, pure, |context| match context.get_raw(0) {
        ValueRef::Blob(name) => Ok(bracketed(&crate::collation::decode_utf16(name)).map_or(Stored::Null, Stored::Text)),
        _ => Ok(Stored::Null),
    })?;
    connection.create_scalar_function("u16", 1, pure, |context| {
        Ok(match context.get_raw(0) {
            ValueRef::Text(text) => Stored::Blob(crate::collation::encode_utf16(&String::from_utf8_lossy(text))),
            _ => Stored::Null,
        })
    })?;
    connection.create_scalar_function("need", 2, pure, |context| {
        let cell = context.get_raw(0);
        if matches!(cell, ValueRef::Null) {
            let text = context.get_raw(1).as_str().unwrap_or("");
            return Err(raise(&error(515, text.to_owned())));
        }
        context.get::<Stored>(0)
    })?;
    connection.create_scalar_function("lone", 2, pure, |context| {
        if context.get::<i64>(0)? > 1 {
            return Err(raise(&error(
                512,
                "Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= or when the subquery is used as an expression.",
            )));
        }
        context.get::<Stored>(1)
    })?;
    connection.create_scalar_function("cat", 3, pure, |context| {
        let text: String = context.get(0)?;
        crate::catalog_views::fact(&text, context.get(2)?).map_err(|failure| raise(&failure))
    })?;
    connection.create_scalar_function("pad2", 1, pure, |context| {
        let text: String = context.get(0)?;
        Ok(Stored::Blob(format!("{text:<2}").into_bytes()))
    })?;
    connection.create_scalar_function("variant_whole", 2, pure, |context| {
        let value = match context.get_raw(0) {
            ValueRef::Integer(value) => i128::from(value),
            ValueRef::Text(text) => {
                let text = String::from_utf8_lossy(text);
                text.parse().map_err(|_| raise(&error(40_004, format!("simulator: no whole number: {text}"))))?
            }
            _ => return Ok(Stored::Null),
        };
        let sql_type = parse_type(&context.get::<String>(1)?, "", 1).map_err(|failure| raise(&failure))?;
        let decimal = SqlType::Decimal { precision: 38, scale: 0 };
        let value = crate::convert::convert(Value::Decimal { value, scale: 0 }, &decimal, &sql_type, 0);
        let inner = (sql_type, value.map_err(|failure| raise(&failure))?);
        Ok(store(&Value::Variant(Box::new(inner)), &SqlType::SqlVariant))
    })?;
    connection.create_aggregate_function("masks", 1, FunctionFlags::SQLITE_UTF8, Masks)?;
    connection.create_aggregate_function("fold", -1, FunctionFlags::SQLITE_UTF8, Fold)?;
    Ok(())
}
