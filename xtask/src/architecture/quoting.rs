//! Identifiers and literals of SQL are quoted in `quote.rs` of their dialect, and in no format string elsewhere.

use super::source::Module;

/// Where nothing makes SQL: the id of a finding stands in brackets, and values in quotes.
const WITHOUT_SQL: [&str; 3] = ["config", "report", "rows"];
/// Texts for people that look like SQL.
const MESSAGES: [(&str, &str); 2] = [
    ("sources/sqlserver/decode.rs", "'{shown}'"),
    ("plan/findings.rs", "{key} = \"{old}\" in the job file is now called \"{new}\"; the old word is still read"),
];

/// Texts that put something between a dialect's quotes.
pub fn by_hand(modules: &[Module]) -> Vec<String> {
    let makes_sql = |module: &&Module| {
        let top = module.path.first().map_or("", String::as_str);
        !WITHOUT_SQL.contains(&top) && module.path.last().is_none_or(|name| name != "quote")
    };
    let mut found = Vec::new();
    for module in modules.iter().filter(makes_sql) {
        let is_message = |text: &str| MESSAGES.contains(&(module.file.as_str(), text));
        let quoting = module.texts.iter().filter(|text| quotes(text) && !is_message(text));
        found.extend(quoting.map(|text| format!("{} quotes by hand what quote.rs is for: {text}", module.file)));
    }
    found
}

/// `[{…}]`, `"{…}"`, `` `{…}` `` or `'{…}'`; `key[{index}]` is no identifier, and `{{` no placeholder.
fn quotes(text: &str) -> bool {
    ['[', '"', '`', '\''].into_iter().any(|quote| {
        let opening = [quote, '{'].iter().collect::<String>();
        text.match_indices(&opening).any(|(at, _)| {
            let is_placeholder = !text[at + 2..].starts_with('{');
            let is_index = quote == '[' && text[..at].ends_with(|c: char| c.is_alphanumeric() || "_}]".contains(c));
            // A value of the job file, as remedies show it.
            let is_setting = quote == '"' && text[..at].ends_with("= ");
            is_placeholder && !is_index && !is_setting
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    fn found(file: &str, code: &str) -> Vec<String> {
        by_hand(&source::parse(&[(file.to_owned(), code.to_owned())]).unwrap())
    }

    #[test]
    fn quotes_around_a_placeholder_are_found_however_they_are_written() {
        for code in [
            r#"fn f() { format!("SELECT [{}]", name) }"#,
            r#"fn f() { format!("{schema}.[{name}]") }"#,
            r#"fn f() { format!("GRANT SELECT ON \"{name}\" TO x") }"#,
            "fn f() { format!(r#\"DROP TABLE \"{name}\"\"#) }",
            r#"fn f() { execute(&format!("DROP TABLE `{}`", name)) }"#,
            r#"fn f() { format!("WHERE name = N'{name}'") }"#,
        ] {
            assert_eq!(found("targets/a.rs", code).len(), 1, "{code}");
            assert_eq!(found("targets/quote.rs", code).len(), 0, "{code}");
        }
    }

    #[test]
    fn what_quotes_nothing_passes() {
        let code = r#"fn f() { g("key[{index}]", "set names = \"{new}\"", "{{ x = \"{{\" }}", "[hidden]", b"[{", '[', "SELECT {name}") }
            #[cfg(test)] mod tests { fn f() { format!("[{}]", name) } }"#;
        assert_eq!(found("targets/a.rs", code), Vec::<String>::new());
    }
}
