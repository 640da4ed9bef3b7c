//! Batches into statements: sqlparser's tokens and expressions, T-SQL's own statements by hand.

use sqlparser::ast::{Expr, Query, SetExpr, Statement, With};
use sqlparser::dialect::MsSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::ddl_ast::Ddl;
use crate::error::{syntax, unsupported};
use crate::tokens::tokens;
use crate::value::SqlError;

pub static DIALECT: MsSqlDialect = MsSqlDialect {};

/// One statement of a batch.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a batch has few statements")]
pub enum Stmt {
    Query(Box<Query>),
    /// INSERT, UPDATE or DELETE, and the common table expressions before it.
    Change(Box<Statement>, Option<With>),
    Ddl(Box<Ddl>),
    Declare(Vec<(String, String, Option<Expr>)>),
    SetVariable(String, Expr),
    SetOption(Vec<String>),
    If(Expr, Box<Stmt>, Option<Box<Stmt>>),
    While(Expr, Box<Stmt>),
    Block(Vec<Stmt>),
    Print(Expr),
    Use(String),
    Begin,
    Commit,
    Rollback,
    Wait(String),
    Raise {
        number: u32,
        class: Option<Expr>,
        state: Option<Expr>,
        message: Expr,
    },
    Execute(Vec<Expr>),
    /// WITH CHANGE_TRACKING_CONTEXT (…) and the change.
    InContext(Expr, Box<Stmt>),
    /// A statement, and the line of its batch (from 1) on which it begins.
    At(u32, Box<Stmt>),
}

impl Stmt {
    /// The statement without its line.
    pub fn bare(&self) -> &Stmt {
        if let Stmt::At(_, statement) = self { statement.bare() } else { self }
    }
}

/// The batches of a script, each with the line (from 1) on which it begins.
pub fn batches(script: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut start, mut batch) = (1, String::new());
    for (at, line) in script.lines().enumerate() {
        if line.trim().trim_end_matches(';').eq_ignore_ascii_case("go") {
            found.push((start, std::mem::take(&mut batch)));
            start = at + 2;
        } else {
            batch.push_str(line);
            batch.push('\n');
        }
    }
    found.push((start, batch));
    found.retain(|(_, batch)| !batch.trim().is_empty());
    found
}

/// Statements of one batch.
pub fn parse(sql: &str) -> Result<Vec<Stmt>, SqlError> {
    parse_numbered(sql).map_err(|(failure, _)| failure)
}

/// As [`parse`]; an error comes with the line on which the parser gave up.
pub fn parse_numbered(sql: &str) -> Result<Vec<Stmt>, (SqlError, u32)> {
    let tokens = tokens(sql).map_err(|failure| (failure, 1))?;
    let mut cursor = Cursor { parser: Parser::new(&DIALECT).with_tokens_with_locations(tokens) };
    let mut statements = Vec::new();
    loop {
        cursor.skip_semicolons();
        if cursor.parser.peek_token().token == Token::EOF {
            return Ok(statements);
        }
        match cursor.statement() {
            Ok(statement) => statements.push(statement),
            Err(failure) => return Err((failure, cursor.line())),
        }
    }
}

/// A stored query (a view's).
pub fn parse_query(sql: &str) -> Result<Query, SqlError> {
    match parse(sql)?.pop().as_ref().map(Stmt::bare) {
        Some(Stmt::Query(query)) => Ok(query.as_ref().clone()),
        _ => Err(unsupported(sql)),
    }
}

/// A stored expression (a default, a check).
pub fn parse_expr(sql: &str) -> Result<Expr, SqlError> {
    let mut cursor = Cursor { parser: Parser::new(&DIALECT).with_tokens_with_locations(tokens(sql)?) };
    cursor.expr()
}

/// A place in a batch.
pub struct Cursor<'a> {
    pub parser: Parser<'a>,
}

impl Cursor<'_> {
    pub fn skip_semicolons(&mut self) {
        while self.parser.consume_token(&Token::SemiColon) {}
    }

    /// The next token's upper-case word, if it is an unquoted one.
    pub fn peek_word(&self) -> String {
        self.peek_nth(0)
    }

    pub fn peek_nth(&self, at: usize) -> String {
        match self.parser.peek_nth_token(at).token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_uppercase(),
            _ => String::new(),
        }
    }

    /// Takes the words if they come next.
    pub fn take(&mut self, words: &str) -> bool {
        let wanted: Vec<&str> = words.split(' ').collect();
        if wanted.iter().enumerate().all(|(at, word)| self.peek_nth(at) == *word) {
            for _ in &wanted {
                self.parser.next_token();
            }
            return true;
        }
        false
    }

    pub fn expect(&mut self, words: &str) -> Result<(), SqlError> {
        if self.take(words) { Ok(()) } else { Err(self.here()) }
    }

    pub fn expect_token(&mut self, token: &Token) -> Result<(), SqlError> {
        if self.parser.consume_token(token) { Ok(()) } else { Err(self.here()) }
    }

    /// 102 at this place.
    pub fn here(&self) -> SqlError {
        syntax(&self.parser.peek_token().token.to_string())
    }

    pub fn expr(&mut self) -> Result<Expr, SqlError> {
        self.parser.parse_expr().map_err(|failure| syntax(&failure.to_string()))
    }

    /// A name: any word, quoted or not.
    pub fn ident(&mut self) -> Result<String, SqlError> {
        match self.parser.next_token().token {
            Token::Word(word) => Ok(word.value),
            other => Err(syntax(&other.to_string())),
        }
    }

    /// The parts of a name; a part between two points may be left out.
    pub fn names(&mut self) -> Result<Vec<String>, SqlError> {
        let mut names = vec![self.ident()?];
        while self.parser.consume_token(&Token::Period) {
            let empty = self.parser.peek_token().token == Token::Period;
            names.push(if empty { String::new() } else { self.ident()? });
        }
        Ok(names)
    }

    /// A name of one or two parts: schema (dbo where unsaid) and object.
    pub fn object(&mut self) -> Result<(String, String), SqlError> {
        let mut names = self.names()?;
        if names.len() > 2 {
            return Err(unsupported(&format!("{}: a definition in another database (USE it first)", names.join("."))));
        }
        let name = names.pop().unwrap_or_default();
        Ok((names.pop().unwrap_or_else(|| "dbo".to_owned()), name))
    }

    /// Text in parentheses, as written, without them; the opening one comes next.
    pub fn parenthesized(&mut self) -> Result<String, SqlError> {
        self.expect_token(&Token::LParen)?;
        let (mut depth, mut text) = (1, Vec::new());
        loop {
            let token = self.parser.next_token().token;
            match &token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                Token::EOF => return Err(self.here()),
                _ => {}
            }
            if depth == 0 {
                return Ok(text.join(" "));
            }
            text.push(token.to_string());
        }
    }

    /// A type: its name, parts and arguments as text.
    pub fn type_text(&mut self) -> Result<String, SqlError> {
        let mut text = self.ident()?;
        while self.parser.consume_token(&Token::Period) {
            text = self.ident()?;
        }
        if text.eq_ignore_ascii_case("double") && self.take("PRECISION") {
            text = String::from("float");
        }
        if self.parser.peek_token().token == Token::LParen {
            text = format!("{text}({})", self.parenthesized()?);
        }
        Ok(text)
    }

    /// The line of the next token; of the last one at the end.
    fn line(&self) -> u32 {
        let next = self.parser.peek_token_ref().span.start.line;
        let here = if next == 0 { self.parser.get_current_token().span.start.line } else { next };
        u32::try_from(here).unwrap_or(u32::MAX).max(1)
    }

    fn statement(&mut self) -> Result<Stmt, SqlError> {
        let line = self.line();
        Ok(Stmt::At(line, Box::new(self.bare_statement()?)))
    }

    fn bare_statement(&mut self) -> Result<Stmt, SqlError> {
        let word = self.peek_word();
        if self.parser.peek_token().token == Token::LParen {
            return self.query();
        }
        match word.as_str() {
            "SELECT" => self.query(),
            "WITH" if self.peek_nth(1) == "CHANGE_TRACKING_CONTEXT" => {
                self.expect("WITH CHANGE_TRACKING_CONTEXT")?;
                self.expect_token(&Token::LParen)?;
                let context = self.expr()?;
                self.expect_token(&Token::RParen)?;
                match self.bare_statement()? {
                    change @ Stmt::Change(..) => Ok(Stmt::InContext(context, Box::new(change))),
                    Stmt::Query(_) => Err(crate::error::error(
                        22108,
                        "The CHANGE_TRACKING_CONTEXT WITH clause cannot be used with a SELECT statement.",
                    )),
                    _ => Err(self.here()),
                }
            }
            "WITH" => {
                let statement = self.parser.parse_statement().map_err(|failure| syntax(&failure.to_string()))?;
                self.option()?;
                match statement {
                    Statement::Query(query) => after_with(*query),
                    other => Err(unsupported(&other.to_string())),
                }
            }
            "INSERT" | "UPDATE" | "DELETE" => {
                if self.peek_nth(1) == "TOP" {
                    return Err(unsupported(&format!("{word} TOP")));
                }
                if self.peek_nth(1) == "BULK" {
                    return Err(unsupported("INSERT BULK within other statements"));
                }
                let statement = self.parser.parse_statement().map_err(|failure| syntax(&failure.to_string()))?;
                self.option()?;
                Ok(Stmt::Change(Box::new(statement), None))
            }
            "CREATE" | "ALTER" | "DROP" | "TRUNCATE" | "GRANT" | "DENY" | "REVOKE" => {
                Ok(Stmt::Ddl(Box::new(crate::ddl_parse::statement(self)?)))
            }
            _ => self.control(&word),
        }
    }

    fn query(&mut self) -> Result<Stmt, SqlError> {
        let query = self.parser.parse_query().map_err(|failure| syntax(&failure.to_string()))?;
        self.option()?;
        Ok(Stmt::Query(query))
    }

    /// OPTION (…): hints that change no result; any other is refused.
    fn option(&mut self) -> Result<(), SqlError> {
        if self.parser.peek_token().token == Token::SemiColon && self.peek_nth(1) == "OPTION" {
            self.parser.next_token();
        }
        if self.take("OPTION") {
            let hints = self.parenthesized()?;
            crate::unsupported::query_hints(&hints)?;
        }
        Ok(())
    }

    fn control(&mut self, word: &str) -> Result<Stmt, SqlError> {
        if word.is_empty() {
            return Err(self.here());
        }
        self.parser.next_token();
        match word {
            "DECLARE" => self.declare(),
            "SET" => self.set(),
            "IF" => {
                let condition = self.expr()?;
                self.skip_semicolons();
                let yes = Box::new(self.statement()?);
                let mark = self.parser.index_after_semicolons();
                let no = if mark && self.take("ELSE") {
                    self.skip_semicolons();
                    Some(Box::new(self.statement()?))
                } else {
                    None
                };
                Ok(Stmt::If(condition, yes, no))
            }
            "WHILE" => {
                let condition = self.expr()?;
                self.skip_semicolons();
                Ok(Stmt::While(condition, Box::new(self.statement()?)))
            }
            "BEGIN" => {
                if self.take("TRAN") || self.take("TRANSACTION") {
                    self.name_of_transaction();
                    return Ok(Stmt::Begin);
                }
                let mut statements = Vec::new();
                loop {
                    self.skip_semicolons();
                    if self.take("END") {
                        return Ok(Stmt::Block(statements));
                    }
                    statements.push(self.statement()?);
                }
            }
            "COMMIT" | "ROLLBACK" => {
                if self.take("TRAN") || self.take("TRANSACTION") {
                    self.name_of_transaction();
                } else {
                    self.take("WORK");
                }
                Ok(if word == "COMMIT" { Stmt::Commit } else { Stmt::Rollback })
            }
            "PRINT" => Ok(Stmt::Print(self.expr()?)),
            "USE" => Ok(Stmt::Use(self.ident()?)),
            "WAITFOR" => {
                self.expect("DELAY")?;
                match self.parser.next_token().token {
                    Token::SingleQuotedString(text) => Ok(Stmt::Wait(text)),
                    other => Err(syntax(&other.to_string())),
                }
            }
            "RAISERROR" => {
                self.expect_token(&Token::LParen)?;
                let message = self.expr()?;
                self.expect_token(&Token::Comma)?;
                let class = Some(self.expr()?);
                self.expect_token(&Token::Comma)?;
                let state = Some(self.expr()?);
                self.expect_token(&Token::RParen)?;
                if self.take("WITH") {
                    self.ident()?;
                }
                Ok(Stmt::Raise { number: 50_000, class, state, message })
            }
            "THROW" => {
                let number = self.expr()?.to_string().parse().map_err(|_| self.here())?;
                self.expect_token(&Token::Comma)?;
                let message = self.expr()?;
                self.expect_token(&Token::Comma)?;
                let state = Some(self.expr()?);
                Ok(Stmt::Raise { number, class: None, state, message })
            }
            "EXEC" | "EXECUTE" => {
                let name = self.names()?.pop().unwrap_or_default();
                if name.eq_ignore_ascii_case("sp_addtype") {
                    return Ok(Stmt::Ddl(Box::new(crate::procedures::add_type(self)?)));
                }
                if !name.eq_ignore_ascii_case("sp_executesql") {
                    return Err(unsupported(&format!("EXEC {name}")));
                }
                let mut arguments = vec![self.expr()?];
                while self.parser.consume_token(&Token::Comma) {
                    arguments.push(self.expr()?);
                }
                Ok(Stmt::Execute(arguments))
            }
            other => Err(unsupported(other)),
        }
    }

    fn name_of_transaction(&mut self) {
        if !self.peek_word().is_empty() && self.parser.peek_token().token != Token::EOF {
            let word = self.peek_word();
            if !["SELECT", "INSERT", "UPDATE", "DELETE", "SET", "IF", "END", "CREATE", "ELSE", "WITH"]
                .contains(&word.as_str())
            {
                self.parser.next_token();
            }
        }
    }

    fn declare(&mut self) -> Result<Stmt, SqlError> {
        let mut variables = Vec::new();
        loop {
            let name = self.ident()?;
            self.take("AS");
            let sql_type = self.type_text()?;
            let value = if self.parser.consume_token(&Token::Eq) { Some(self.expr()?) } else { None };
            variables.push((name, sql_type, value));
            if !self.parser.consume_token(&Token::Comma) {
                return Ok(Stmt::Declare(variables));
            }
        }
    }

    fn set(&mut self) -> Result<Stmt, SqlError> {
        if self.peek_word().starts_with('@') {
            let name = self.ident()?;
            self.expect_token(&Token::Eq)?;
            return Ok(Stmt::SetVariable(name, self.expr()?));
        }
        let mut words = vec![self.ident()?.to_uppercase()];
        let count = match words[0].as_str() {
            "TRANSACTION" => {
                self.expect("ISOLATION LEVEL")?;
                if self.take("READ") {
                    words.push(format!("READ {}", self.ident()?.to_uppercase()));
                } else if self.take("REPEATABLE") {
                    self.ident()?;
                    words.push("REPEATABLE READ".to_owned());
                } else {
                    words.push(self.ident()?.to_uppercase());
                }
                return Ok(Stmt::SetOption(words));
            }
            "IDENTITY_INSERT" => {
                let (schema, name) = self.object()?;
                words.extend([schema, name]);
                1
            }
            "STATISTICS" => 2,
            _ => {
                while self.parser.consume_token(&Token::Comma) {
                    words.push(self.ident()?.to_uppercase());
                }
                1
            }
        };
        for _ in 0..count {
            let minus = self.parser.consume_token(&Token::Minus);
            let text = match self.parser.next_token().token {
                Token::SingleQuotedString(text) | Token::NationalStringLiteral(text) => text,
                Token::EOF => return Err(self.here()),
                other => other.to_string(),
            };
            words.push(if minus { format!("-{text}") } else { text });
        }
        Ok(Stmt::SetOption(words))
    }
}

/// WITH … SELECT, or the change that follows WITH.
fn after_with(mut query: Query) -> Result<Stmt, SqlError> {
    match *query.body {
        SetExpr::Insert(Statement::Insert(mut insert)) => {
            // The expressions are for the source of the rows.
            match insert.source.as_mut() {
                Some(source) if source.with.is_none() => source.with = query.with,
                _ => return Err(unsupported("WITH … INSERT without a query, or with a second WITH")),
            }
            Ok(Stmt::Change(Box::new(Statement::Insert(insert)), None))
        }
        SetExpr::Update(change) | SetExpr::Delete(change) => Ok(Stmt::Change(Box::new(change), query.with)),
        body => {
            query.body = Box::new(body);
            Ok(Stmt::Query(Box::new(query)))
        }
    }
}

/// Looking past semicolons for an ELSE.
trait BeforeElse {
    fn index_after_semicolons(&mut self) -> bool;
}

impl BeforeElse for Parser<'_> {
    /// Whether ELSE comes next; semicolons before it are taken only then.
    fn index_after_semicolons(&mut self) -> bool {
        let mut at = 0;
        while self.peek_nth_token(at).token == Token::SemiColon {
            at += 1;
        }
        let found = matches!(self.peek_nth_token(at).token, Token::Word(word) if word.keyword == Keyword::ELSE);
        if found {
            (0..at).for_each(|_| {
                self.next_token();
            });
        }
        found
    }
}
