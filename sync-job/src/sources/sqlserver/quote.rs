//! The one place where identifiers and literals of T-SQL are quoted.

use crate::model::schema::TableName;

/// `[name]`, with closing brackets doubled.
pub fn identifier(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// `N'text'`, with quotes doubled.
pub fn literal(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

/// `[schema].[name]`.
pub fn qualified(name: &TableName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.name))
}
