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

/// `'text'`, with quotes doubled: not of Unicode, so that the server need not convert a column of the type `varchar`.
pub fn narrow_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `[schema].[name]`.
pub fn qualified(name: &TableName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_escaped_from() {
        assert_eq!(identifier("a]b[c"), "[a]]b[c]");
        assert_eq!(qualified(&TableName::new("d]o", "t\"`'")), "[d]]o].[t\"`']");
        assert_eq!((literal("it's"), narrow_literal("it's")), ("N'it''s'".to_owned(), "'it''s'".to_owned()));
    }
}
