//! No decision looks at words: what a message says is for people, and a type or a code decides.
//!
//! Found is what compares or takes apart a text that is made for people: `error.to_string().contains(…)`, `reason == "…"`,
//! `message.starts_with(…)`. A text that goes through a variable of another name is not found. What a server or a library answers may be
//! such a text, and nothing else; the files that must read one are listed with the reason.

use super::source::{is_for_tests, is_punct, item_length};
use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// Names of what holds a text for people.
const TEXTS: [&str; 9] =
    ["advice", "explanation", "headline", "message", "reason", "remedy", "warning", "why", "words"];

/// Methods that make one.
const MAKERS: [&str; 4] = ["chain", "describe", "to_string", "whole"];

/// What looks into a text.
const LOOKS: [&str; 9] = [
    "contains",
    "ends_with",
    "eq",
    "eq_ignore_ascii_case",
    "find",
    "split_once",
    "starts_with",
    "strip_prefix",
    "strip_suffix",
];

/// What gives the same text in another form.
const SAME: [&str; 8] = ["as_deref", "as_ref", "as_str", "clone", "to_lowercase", "to_owned", "to_uppercase", "trim"];

/// Files that read what a library or a server says, with the reason.
const READERS: &[(&str, &str)] = &[
    ("sync-job/src/config/explain.rs", "the TOML reader says in words alone what is wrong"),
    ("sync-job/src/targets/postgres/server_message.rs", "it hides what of a server's message may be a value"),
];

/// Violations in the source files of a crate, by their names below its `src`.
pub fn violations(name: &str, files: &[(String, String)]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (file, text) in files {
        let tokens: TokenStream = text.parse().map_err(|error| anyhow!("{file} cannot be read as Rust: {error}"))?;
        let path = format!("{name}/src/{file}");
        let mut looks = Vec::new();
        look(tokens, &mut looks);
        let is_reader = READERS.iter().any(|(reader, _)| *reader == path);
        match (is_reader, looks.is_empty()) {
            (false, false) => {
                let violation =
                    |look| format!("{path}: {look} decides by words; give what it looks for a type or a code");
                found.extend(looks.into_iter().map(violation));
            }
            (true, true) => found.push(format!("{path} looks at no words any more: take it off the list of readers")),
            _ => {}
        }
    }
    Ok(found)
}

/// What looks at words.
fn look(tokens: TokenStream, found: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut next = 0;
    while next < tokens.len() {
        match &tokens[next..] {
            [hash, TokenTree::Group(attribute), rest @ ..] if is_punct(hash, '#') && is_for_tests(attribute) => {
                next += 2 + item_length(rest);
                continue;
            }
            [TokenTree::Ident(word), rest @ ..] if is_text(word, rest) => {
                if let Some(how) = looked_at(rest) {
                    found.push(format!("{word}{how}"));
                }
            }
            [TokenTree::Group(group), ..] => look(group.stream(), found),
            _ => {}
        }
        next += 1;
    }
}

/// Whether a word, with what follows it, is a text for people.
fn is_text(word: &Ident, after: &[TokenTree]) -> bool {
    let is_called = || matches!(after, [TokenTree::Group(call), ..] if is_empty_call(call));
    TEXTS.iter().any(|text| word == text) || (MAKERS.iter().any(|maker| word == maker) && is_called())
}

fn is_empty_call(call: &Group) -> bool {
    call.delimiter() == Delimiter::Parenthesis && call.stream().is_empty()
}

/// How the text before these tokens is looked at, if it is.
fn looked_at(tokens: &[TokenTree]) -> Option<String> {
    let mut rest = tokens;
    loop {
        match rest {
            [TokenTree::Group(call), after @ ..] if is_empty_call(call) => rest = after,
            [dot, TokenTree::Ident(method), after @ ..] if is_punct(dot, '.') => {
                if LOOKS.iter().any(|look| method == look) {
                    return Some(format!(".{method}(…)"));
                }
                if !SAME.iter().any(|same| method == same) {
                    return None;
                }
                rest = after;
            }
            [first, second, TokenTree::Literal(text), ..]
                if (is_punct(first, '=') || is_punct(first, '!')) && is_punct(second, '=') =>
            {
                return text.to_string().starts_with('"').then(|| format!(" == {text}"));
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        violations("sync-job", &[("a.rs".to_owned(), text.to_owned())]).unwrap()
    }

    #[test]
    fn a_decision_on_words_is_found() {
        for text in [
            "fn f() -> bool { error.to_string().contains(\"lease\") }",
            "fn f() -> bool { error.message.starts_with(\"lease\") }",
            "fn f() -> bool { table.swap.reason == \"kept\" }",
            "fn f() -> bool { reason.as_str() != \"kept\" }",
            "fn f() { g(|line| message.trim().to_lowercase().ends_with(line)) }",
            "fn f() -> bool { matches!(finding.remedy.find(word), Some(_)) }",
            "fn f() -> bool { error.whole().to_string().contains(word) }",
        ] {
            assert_eq!(of(text).len(), 1, "{text}");
        }
        assert_eq!(
            of("fn f() -> bool { why.contains(\"x\") }"),
            ["sync-job/src/a.rs: why.contains(…) decides by words; give what it looks for a type or a code"]
        );
    }

    #[test]
    fn what_is_no_decision_on_words_passes() {
        for text in [
            "fn f() -> bool { error.kind == Kind::Timeout && name.contains('x') }",
            "fn f() -> String { format!(\"{message}: {}\", reason.to_string()) }",
            "fn f() -> bool { reason == SwapReason::New }",
            "fn f() -> usize { error.message.len() }",
            "fn f() -> bool { let (whole, part) = split(number); whole == \"0\" }",
            "fn f(message: &str) -> bool { tables.contains(message) }",
            "#[cfg(test)]\nmod tests { fn f() { assert!(message.contains(\"x\")) } }",
            "// message.contains(\"x\")\nfn f() { g(\"reason == \\\"x\\\"\") }",
        ] {
            assert_eq!(of(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_reader_that_looks_at_nothing_is_taken_off_the_list() {
        let found = violations("sync-job", &[("config/explain.rs".to_owned(), "fn f() {}".to_owned())]).unwrap();
        assert!(found[0].contains("take it off the list"), "{found:?}");
    }
}
