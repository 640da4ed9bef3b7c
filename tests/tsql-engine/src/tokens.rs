//! A batch as tokens that sqlparser's parts and the hand-written ones both understand.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use crate::error::{syntax, unsupported};
use crate::script::DIALECT;
use crate::value::SqlError;

/// The tokens of a batch with their places, and a semicolon before words that always begin a statement.
pub fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    let all = Tokenizer::new(&DIALECT, sql).tokenize_with_location().map_err(|failure| syntax(&failure.to_string()))?;
    let (raw, spans): (Vec<Token>, Vec<_>) = all
        .into_iter()
        .filter(|found| !matches!(found.token, Token::Whitespace(_)))
        .map(|found| (found.token, found.span))
        .unzip();
    clauses(&raw)?;
    let mut tokens: Vec<TokenWithSpan> = Vec::with_capacity(raw.len() + 8);
    let last = |tokens: &[TokenWithSpan]| tokens.last().map(|last| last.token.clone());
    let mut depth = 0;
    let mut at = 0;
    while at < raw.len() {
        match &raw[at] {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            Token::Word(word) if word.quote_style.is_none() && depth == 0 => {
                let transaction = |token: Option<&Token>| matches!(token, Some(Token::Word(next)) if next.value.to_uppercase().starts_with("TRAN"));
                let starts = match word.value.to_uppercase().as_str() {
                    "DECLARE" | "PRINT" | "EXEC" | "EXECUTE" | "WHILE" | "WAITFOR" | "RAISERROR" | "USE" | "THROW"
                    | "COMMIT" | "ROLLBACK" => true,
                    // The parser would take it for an alias with columns.
                    "OPTION" => raw.get(at + 1) == Some(&Token::LParen),
                    "BEGIN" => transaction(raw.get(at + 1)),
                    _ => false,
                };
                // WITH ROLLBACK of a database option, and EXECUTE as a permission.
                let goes_on = matches!(last(&tokens), Some(Token::Word(last)) if
                    matches!(last.keyword, Keyword::WITH | Keyword::GRANT | Keyword::DENY | Keyword::REVOKE));
                if starts && !goes_on && at > 0 && !matches!(last(&tokens), Some(Token::SemiColon)) {
                    tokens.push(TokenWithSpan { token: Token::SemiColon, span: spans[at] });
                }
            }
            // `geography::Point(` is one name here.
            Token::DoubleColon => {
                if let (Some(Token::Word(left)), Some(Token::Word(right))) = (last(&tokens), raw.get(at + 1)) {
                    let value = format!("{}::{}", left.value, right.value);
                    tokens.pop();
                    let token = Token::Word(Word { value, quote_style: None, keyword: Keyword::NoKeyword });
                    tokens.push(TokenWithSpan { token, span: spans[at] });
                    at += 2;
                    continue;
                }
            }
            _ => {}
        }
        tokens.push(TokenWithSpan { token: raw[at].clone(), span: spans[at] });
        if of_change_table(&raw[..=at]) {
            tokens.push(TokenWithSpan { token: Token::Comma, span: spans[at] });
        }
        at += 1;
    }
    Ok(tokens)
}

/// Whether the last token is the word before the table in `CHANGETABLE(CHANGES t, 1)`: to the parser it becomes an argument.
fn of_change_table(tokens: &[Token]) -> bool {
    let [.., Token::Word(name), Token::LParen, Token::Word(word)] = tokens else { return false };
    name.value.eq_ignore_ascii_case(crate::changetable::NAME)
        && ["CHANGES", "VERSION"].contains(&word.value.to_uppercase().as_str())
}

/// Refuses clauses that the parser would take for columns or for the next statement.
fn clauses(raw: &[Token]) -> Result<(), SqlError> {
    let word = |token: &Token| match token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_uppercase(),
        _ => String::new(),
    };
    for (at, pair) in raw.windows(2).enumerate() {
        match (word(&pair[0]).as_str(), word(&pair[1]).as_str()) {
            ("GROUPING", "SETS") => return Err(unsupported("GROUP BY GROUPING SETS")),
            ("BY", "ALL") => return Err(unsupported("GROUP BY ALL")),
            ("FOR", "SYSTEM_TIME") if at == 0 || word(&raw[at - 1]) != "PERIOD" => {
                return Err(unsupported("FOR SYSTEM_TIME"));
            }
            ("WITH", rest @ ("ROLLUP" | "CUBE")) => return Err(unsupported(&format!("GROUP BY … WITH {rest}"))),
            _ => {}
        }
    }
    Ok(())
}
