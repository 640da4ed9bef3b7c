//! Messages that may hold values of rows, which only some readers may see.
//!
//! Names of tables, columns, constraints and places are for everybody. Values of rows, those of keys included, are for the
//! local terminal, and for `report.json` where the job file allows it. So a message is hidden wherever it is printed, logged or
//! serialized; [`Message::with_values`] and [`Message::revealed`] are the only ways to its values.

use std::fmt;

use serde::{Serialize, Serializer};

/// Stands for a value that is not shown.
pub const HIDDEN: &str = "[hidden]";

/// Text with values of rows in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Message(Vec<Piece>);

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    Words(String),
    Value(String),
}

impl Message {
    /// Goes on with words that everybody may read.
    pub fn words(mut self, words: impl AsRef<str>) -> Self {
        let words = words.as_ref();
        match self.0.last_mut() {
            Some(Piece::Words(last)) => last.push_str(words),
            _ if words.is_empty() => {}
            _ => self.0.push(Piece::Words(words.to_owned())),
        }
        self
    }

    /// Goes on with a value of a row.
    pub fn value(mut self, value: impl AsRef<str>) -> Self {
        let value = value.as_ref();
        match self.0.last_mut() {
            Some(Piece::Value(last)) => last.push_str(value),
            _ if value.is_empty() => {}
            _ => self.0.push(Piece::Value(value.to_owned())),
        }
        self
    }

    /// Goes on with another message.
    pub fn message(self, other: &Message) -> Self {
        other.0.iter().fold(self, |all, piece| match piece {
            Piece::Words(words) => all.words(words),
            Piece::Value(value) => all.value(value),
        })
    }

    pub fn holds_values(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Value(_)))
    }

    /// For the local terminal: nothing is hidden.
    pub fn with_values(&self) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Words(text) | Piece::Value(text) => text.as_str(),
            })
            .collect()
    }

    /// The same for readers who may see the values, wherever it goes from here.
    pub fn revealed(&self) -> Message {
        Message::from(self.with_values())
    }

    /// Puts another name for `from` in the words.
    pub fn rename(self, from: &str, to: &str) -> Self {
        Self(
            self.0
                .into_iter()
                .map(|piece| match piece {
                    Piece::Words(words) => Piece::Words(words.replace(from, to)),
                    value @ Piece::Value(_) => value,
                })
                .collect(),
        )
    }
}

/// Joins messages by `between`.
pub fn join(messages: impl IntoIterator<Item = Message>, between: &str) -> Message {
    let mut all = Message::default();
    for (number, message) in messages.into_iter().enumerate() {
        all = if number > 0 { all.words(between) } else { all };
        all = all.message(&message);
    }
    all
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Words(words) => f.write_str(words),
            Piece::Value(_) => f.write_str(HIDDEN),
        })
    }
}

/// What is written by `{:?}` ends up in logs, too.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A driver's message is the source of an error.
impl std::error::Error for Message {}

impl From<&str> for Message {
    fn from(words: &str) -> Self {
        Message::default().words(words)
    }
}

impl From<String> for Message {
    fn from(words: String) -> Self {
        Message::default().words(words)
    }
}

impl From<&String> for Message {
    fn from(words: &String) -> Self {
        Message::default().words(words)
    }
}

/// Quotation marks that servers and panics put around names and values, in all their languages.
fn is_quote(letter: char) -> bool {
    matches!(letter, '"' | '\'' | '`' | '«' | '»' | '„' | '“' | '”' | '‘' | '’' | '「' | '」')
}

/// What nothing more is known of: quoted pieces at the beginning that are names stay, and everything from the first other
/// quotation mark to the last one may be a value, since a value may hold quotation marks itself. So may hexadecimal bytes.
pub fn of_unknown(text: &str, is_name: impl Fn(&str) -> bool) -> Message {
    let mut message = Message::default();
    let mut rest = text;
    while let Some((start, open)) =
        rest.char_indices().find(|(at, letter)| is_quote(*letter) && !is_apostrophe(rest, *at))
    {
        let inner = &rest[start + open.len_utf8()..];
        let closed = inner.char_indices().find(|(_, letter)| is_quote(*letter));
        match closed {
            Some((end, close)) if is_name(&inner[..end]) => {
                let after = start + open.len_utf8() + end + close.len_utf8();
                message = message.words(&rest[..after]);
                rest = &rest[after..];
            }
            _ => {
                let last = rest.char_indices().rev().find(|(_, letter)| is_quote(*letter)).unwrap_or((start, open));
                // A quotation mark that is never closed hides the rest.
                let end = if last.0 == start { rest.len() } else { last.0 + last.1.len_utf8() };
                return bytes_hidden(message.words(&rest[..start]).value(&rest[start..end]), &rest[end..]);
            }
        }
    }
    bytes_hidden(message, rest)
}

/// Of a word such as `can't`.
fn is_apostrophe(text: &str, at: usize) -> bool {
    text[at..].starts_with('\'')
        && text[..at].ends_with(|letter: char| letter.is_alphabetic())
        && text[at + 1..].starts_with(|letter: char| letter.is_alphabetic())
}

/// `0xE4 0x20` are bytes of a value.
fn bytes_hidden(message: Message, text: &str) -> Message {
    match (text.find("0x"), text.rfind("0x")) {
        (Some(first), Some(last)) => {
            let digits = text[last + 2..].find(|letter: char| !letter.is_ascii_hexdigit());
            let end = digits.map_or(text.len(), |digits| last + 2 + digits);
            message.words(&text[..first]).value(&text[first..end]).words(&text[end..])
        }
        _ => message.words(text),
    }
}

/// Hides what is between the first `after` and the last `before`; where they are not there, as of what is unknown.
pub fn between(text: &str, after: &str, before: &str) -> Message {
    let start = text.find(after).map(|at| at + after.len());
    let end = text.rfind(before);
    match (start, end) {
        (Some(start), Some(end)) if start <= end => {
            Message::from(&text[..start]).value(&text[start..end]).words(&text[end..])
        }
        _ => of_unknown(text, |_| false),
    }
}

/// Hides every word after the first that begins as a number does: `value = 300`.
pub fn numbers_hidden(text: &str) -> Message {
    let mut message = Message::default();
    for (number, part) in text.split_inclusive(char::is_whitespace).enumerate() {
        let is_number = part.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-');
        message = if is_number && number > 0 {
            message.value(part.trim_end()).words(&part[part.trim_end().len()..])
        } else {
            message.words(part)
        };
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_hidden_wherever_nobody_asks_for_them() {
        let message = Message::from("the row id = ").value("4711").words(" is too long");
        assert_eq!(message.to_string(), "the row id = [hidden] is too long");
        assert_eq!(format!("{message:?}"), "\"the row id = [hidden] is too long\"");
        assert_eq!(serde_json::to_string(&message).unwrap(), "\"the row id = [hidden] is too long\"");
        assert_eq!(message.with_values(), "the row id = 4711 is too long");
        assert_eq!(message.revealed().to_string(), "the row id = 4711 is too long");
        assert!(message.holds_values() && !message.revealed().holds_values());
    }

    #[test]
    fn what_is_unknown_keeps_names_and_nothing_else_in_quotes() {
        let hidden = |text: &str| of_unknown(text, |name| name == "docs").to_string();
        assert_eq!(hidden("table \"docs\" is odd"), "table \"docs\" is odd");
        assert_eq!(hidden("invalid input \"Alice\" in \"docs\"."), "invalid input [hidden].");
        assert_eq!(hidden("wrong 'O'Brien', and 'docs'"), "wrong [hidden]");
        assert_eq!(hidden("never closed: 'Alice and so on"), "never closed: [hidden]");
        assert_eq!(hidden("doesn't hold 0xe4 0x20."), "doesn't hold [hidden].");
        assert_eq!(hidden("Wert »Alice« ist falsch"), "Wert [hidden] ist falsch");
        assert_eq!(hidden("no quotes at all"), "no quotes at all");
    }

    #[test]
    fn a_value_that_looks_like_the_rest_of_its_message_stays_hidden() {
        let text = "Duplicate entry 'x' for key 'secret' for key 't.PRIMARY'";
        assert_eq!(
            between(text, "Duplicate entry ", " for key '").to_string(),
            "Duplicate entry [hidden] for key 't.PRIMARY'"
        );
    }
}
