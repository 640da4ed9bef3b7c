//! A cursor over the tokens of a batch, made by the tokenizer of `sqlparser`.

use sqlparser::dialect::MsSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::value::SqlError;

pub type Parsed<T> = Result<T, SqlError>;

/// See the module.
pub struct Tokens {
    tokens: Vec<Token>,
    at: usize,
}

impl Tokens {
    pub fn new(sql: &str) -> Parsed<Self> {
        let tokens = Tokenizer::new(&MsSqlDialect {}, sql)
            .tokenize()
            .map_err(|error| SqlError::new(102, 15, format!("Incorrect syntax: {error}")))?;
        let tokens = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
        Ok(Self { tokens, at: 0 })
    }

    pub fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::EOF)
    }

    pub fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens.get(self.at + ahead).unwrap_or(&Token::EOF)
    }

    pub fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    pub fn position(&self) -> usize {
        self.at
    }

    /// The text of the tokens since `start`, for definitions that are shown as they were written.
    pub fn text_since(&self, start: usize) -> String {
        self.tokens[start..self.at].iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    /// Whether the next token is this unquoted word.
    pub fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    pub fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_at(ahead), Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    }

    pub fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// All of the words in a row, or nothing.
    pub fn take_words(&mut self, words: &str) -> bool {
        let list: Vec<&str> = words.split(' ').collect();
        let found = list.iter().enumerate().all(|(ahead, word)| self.is_word_at(ahead, word));
        self.at += if found { list.len() } else { 0 };
        found
    }

    pub fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == token;
        self.at += usize::from(found);
        found
    }

    pub fn expect(&mut self, token: &Token) -> Parsed<()> {
        if self.take(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.take_word(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub fn unexpected(&self) -> SqlError {
        let around: Vec<String> = self.tokens[self.at.saturating_sub(6)..(self.at + 4).min(self.tokens.len())]
            .iter()
            .map(ToString::to_string)
            .collect();
        SqlError::new(
            102,
            15,
            format!("Incorrect syntax near '{}' (simulator, in: … {} …).", self.peek(), around.join(" ")),
        )
    }

    pub fn identifier(&mut self) -> Parsed<String> {
        match self.next() {
            Token::Word(word) => Ok(word.value),
            _ => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }

    /// `a.b.c`; `a..b` has an empty middle.
    pub fn name(&mut self) -> Parsed<Vec<String>> {
        let mut parts = vec![self.identifier()?];
        while self.take(&Token::Period) {
            parts.push(self.identifier()?);
        }
        Ok(parts)
    }

    /// `(a, b)`.
    pub fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.expect(&Token::LParen)?;
        let mut found = Vec::new();
        loop {
            found.push(each(self)?);
            if !self.take(&Token::Comma) {
                break;
            }
        }
        self.expect(&Token::RParen)?;
        Ok(found)
    }

    /// A whole number, with an optional sign.
    pub fn number(&mut self) -> Parsed<i64> {
        let negative = self.take(&Token::Minus);
        match self.next() {
            Token::Number(text, _) => text
                .parse::<i64>()
                .map(|number| if negative { -number } else { number })
                .map_err(|_| SqlError::new(102, 15, format!("'{text}' is not a whole number."))),
            _ => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }
}
