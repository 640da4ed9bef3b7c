//! The one place where identifiers and literals of MySQL are quoted.

use crate::model::schema::TableName;

/// `` `name` ``, with backticks doubled.
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// `'text'`, with quotes and backslashes doubled; `NO_BACKSLASH_ESCAPES` is never in the job's `sql_mode`.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// `` `database`.`name` ``.
pub fn qualified(name: &TableName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.name))
}

/// `` `a`, `b` ``.
pub fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| identifier(name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_escaped_from() {
        assert_eq!(identifier("a`b"), "`a``b`");
        assert_eq!(literal("it's \\"), "'it''s \\\\'");
    }
}
