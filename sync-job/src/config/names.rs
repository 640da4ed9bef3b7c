//! Globs that select tables, and the case of names on the target.

use globset::{GlobBuilder, GlobMatcher};

use super::{NameCase, SchemaMapping};

/// A glob on `schema.table`, compared without case: `dbo.*`, `*.tmp_*`, `sales.Order?`.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    matcher: GlobMatcher,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// A pattern without a dot matches the table's name in every schema.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err(
                "a table pattern must not be empty; write \"schema.table\", with * and ? as wildcards".to_owned()
            );
        }
        let full = if text.contains('.') { text.to_owned() } else { format!("*.{text}") };
        let matcher = GlobBuilder::new(&full.to_lowercase())
            .build()
            .map_err(|error| format!("{text:?} is not a table pattern: {}", error.kind()))?
            .compile_matcher();
        Ok(Self { text: text.to_owned(), matcher })
    }

    pub fn matches(&self, schema: &str, name: &str) -> bool {
        self.matcher.is_match(format!("{schema}.{name}").to_lowercase())
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl NameCase {
    /// The name on the target.
    pub fn apply(self, name: &str) -> String {
        match self {
            NameCase::Preserve => name.to_owned(),
            NameCase::Lower => name.to_lowercase(),
            NameCase::SnakeCase => snake_case(name),
        }
    }
}

/// `OrderID` → `order_id`, `HTTPServer2Name` → `http_server2_name`, `Order Line` → `order_line`.
fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (index, &character) in characters.iter().enumerate() {
        if !character.is_alphanumeric() {
            if !out.is_empty() && !out.ends_with('_') {
                out.push('_');
            }
            continue;
        }
        let previous = index.checked_sub(1).map(|previous| characters[previous]);
        let next_is_lower = characters.get(index + 1).is_some_and(|next| next.is_lowercase());
        let starts_word = character.is_uppercase()
            && previous.is_some_and(|previous| {
                previous.is_lowercase() || previous.is_numeric() || (previous.is_uppercase() && next_is_lower)
            });
        if starts_word && !out.ends_with('_') {
            out.push('_');
        }
        out.extend(character.to_lowercase());
    }
    out.trim_end_matches('_').to_owned()
}

impl SchemaMapping {
    /// The target schema of a source schema. Unless told otherwise `dbo` becomes `default` and the others keep their name.
    pub fn target(&self, source: &str, names: NameCase, default: &str) -> String {
        if let Some(fixed) = &self.fixed {
            return fixed.clone();
        }
        let lower = source.to_lowercase();
        if let Some((_, target)) = self.map.iter().find(|(from, _)| from.to_lowercase() == lower) {
            return target.clone();
        }
        if lower == "dbo" { default.to_owned() } else { names.apply(source) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake_case_finds_the_words() {
        for (name, expected) in [
            ("OrderID", "order_id"),
            ("HTTPServer2Name", "http_server2_name"),
            ("Order Line", "order_line"),
            ("already_snake", "already_snake"),
            ("A", "a"),
            ("Straße", "straße"),
            ("Price (EUR)", "price_eur"),
        ] {
            assert_eq!(snake_case(name), expected);
        }
    }

    #[test]
    fn patterns_ignore_case() {
        let pattern = Pattern::new("Sales.Order*").unwrap();
        assert!(pattern.matches("sales", "ORDERS") && !pattern.matches("dbo", "orders"));
        assert!(Pattern::new("orders").unwrap().matches("any", "Orders"));
        assert!(Pattern::new("dbo.[a").is_err());
    }

    #[test]
    fn dbo_becomes_public() {
        let mapping = SchemaMapping::default();
        assert_eq!(mapping.target("dbo", NameCase::Lower, "public"), "public");
        assert_eq!(mapping.target("Sales", NameCase::Lower, "public"), "sales");
    }
}
