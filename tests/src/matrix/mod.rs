//! The matrix of types and boundary values: one table of them, from which the source's script, the job file, the questions to
//! the target and the table in `docs/type-map.md` are made.

use std::fmt::Write as _;

use crate::target::Engine;

mod cases;
mod mysql;

/// Every type, in the order of the type map, as an engine must hold it. At the end come columns whose target type the job file
/// asks for.
pub fn columns(engine: Engine) -> Vec<Column> {
    let common = cases::columns();
    match engine {
        Engine::Postgres => common.into_iter().chain(cases::overrides()).collect(),
        _ => common.iter().map(|column| mysql::column(column, engine)).chain(mysql::overrides(engine)).collect(),
    }
}

/// One column of the source: a table of its own with a key and this column.
#[derive(Debug, Clone)]
pub struct Column {
    /// As declared in T-SQL.
    pub source: String,
    pub target: String,
    /// The target type is asked for in the job file.
    pub wanted: bool,
    pub values: Vec<Value>,
}

/// A value, and what the target must show for it.
#[derive(Debug, Clone)]
pub struct Value {
    /// T-SQL expression.
    pub source: String,
    /// The target's own text; hexadecimal digits for binary types.
    pub target: String,
    /// What the report must say was lost.
    pub loss: Option<&'static str>,
}

impl Column {
    pub(crate) fn new(source: &str, target: &str, values: Vec<Value>) -> Self {
        Self { source: source.to_owned(), target: target.to_owned(), wanted: false, values }
    }

    pub(crate) fn wanted(mut self) -> Self {
        self.wanted = true;
        self
    }

    /// Values that the report must count with this loss.
    pub fn count(&self, loss: &str) -> u64 {
        self.values.iter().filter(|value| value.loss == Some(loss)).count() as u64
    }

    /// The target's rows must be asked for in hexadecimal digits.
    pub fn is_binary(&self) -> bool {
        self.target == "bytea" || self.target.contains("binary") || self.target == "longblob"
    }
}

/// A value that arrives as it is.
pub(crate) fn exact(source: &str, target: &str) -> Value {
    Value { source: source.to_owned(), target: target.to_owned(), loss: None }
}

/// A moment whose seventh fraction digit is cut.
pub(crate) fn cut(source: &str, target: &str) -> Value {
    made(source, target, "fraction digits cut")
}

/// A value that arrives changed, as planned.
pub(crate) fn made(source: &str, target: &str, loss: &'static str) -> Value {
    Value { source: source.to_owned(), target: target.to_owned(), loss: Some(loss) }
}

/// The name of a column's table.
pub fn table(number: usize) -> String {
    format!("m{number:03}")
}

/// T-SQL that makes and fills the tables. Row 0 is NULL, the others are the values in their order.
pub fn script(columns: &[Column]) -> String {
    let mut script = String::from("CREATE TYPE dbo.Phone FROM nvarchar(20) NULL;\nGO\n");
    for (number, column) in columns.iter().enumerate() {
        let name = table(number);
        let null = if column.source == "rowversion" { "" } else { " NULL" };
        // Writing to a String cannot fail.
        let _ =
            writeln!(script, "CREATE TABLE dbo.{name} (id int NOT NULL PRIMARY KEY, v {}{null});\nGO", column.source);
        let _ = writeln!(script, "INSERT INTO dbo.{name} (id) VALUES (0);");
        for (row, value) in column.values.iter().enumerate() {
            let _ = writeln!(script, "INSERT INTO dbo.{name} (id, v) VALUES ({}, {});", row + 1, value.source);
        }
        script.push_str("GO\n");
    }
    script
}

/// Entries of the job file for columns that ask for a type.
pub fn sections(columns: &[Column]) -> String {
    let mut sections = String::from("[tables]\ninclude = [\"dbo.m*\"]\n");
    for (number, column) in columns.iter().enumerate().filter(|(_, column)| column.wanted) {
        let entry =
            format!("[[table]]\nsource = \"dbo.{}\"\n[table.target_types]\nv = \"{}\"\n", table(number), column.target);
        sections.push_str(&entry);
    }
    sections
}

/// The table for `docs/type-map.md`.
pub fn document() -> String {
    let (postgres, mysql) = (columns(Engine::Postgres), columns(Engine::MySql));
    let mut text = String::from(
        "| SQL Server | value | PostgreSQL | arrives as | MySQL | arrives as | |\n|---|---|---|---|---|---|---|\n",
    );
    let plain = |columns: &[Column]| columns.iter().filter(|column| !column.wanted).cloned().collect::<Vec<_>>();
    for (column, other) in plain(&postgres).iter().zip(plain(&mysql)) {
        for (value, same) in column.values.iter().zip(&other.values) {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                column.source,
                shown(&value.source),
                column.target,
                shown(&value.target),
                other.target,
                shown(&same.target),
                value.loss.unwrap_or("exact")
            );
        }
    }
    text.push_str("\nWhere the job file asks for another type:\n\n| SQL Server | value | asked for | arrives as |\n|---|---|---|---|\n");
    for (engine, columns) in [("PostgreSQL", &postgres), ("MySQL", &mysql)] {
        for column in columns.iter().filter(|column| column.wanted) {
            for value in &column.values {
                let _ = writeln!(
                    text,
                    "| {} | {} | {engine}: {} | {} |",
                    column.source,
                    shown(&value.source),
                    column.target,
                    shown(&value.target)
                );
            }
        }
    }
    text
}

/// Long values cut, invisible ones spelt out, and what means something in a table escaped.
fn shown(text: &str) -> String {
    let characters = text.chars().count();
    let cut: String = text.chars().take(60).collect();
    let visible = cut.replace('\t', "␉").replace('\n', "␊").replace('\r', "␍").replace('|', "\\|");
    match characters {
        0 => "(empty)".to_owned(),
        1..=60 => format!("`{visible}`"),
        _ => format!("`{visible}…` ({characters} characters)"),
    }
}
