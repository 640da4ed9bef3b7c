//! The one place where identifiers and literals of PostgreSQL are quoted.

use crate::model::schema::TableName;

/// `"name"`, with quotes doubled.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `E'text'`, with quotes and backslashes doubled: right whatever `standard_conforming_strings` says.
pub fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// `"schema"."name"`.
pub fn qualified(name: &TableName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.name))
}

/// `"a", "b"`.
pub fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| identifier(name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_escaped_from() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's \\"), "E'it''s \\\\'");
    }
}
