//! The expressions of a batch.

use sqlparser::tokenizer::Token;

use crate::ast::{Expr, Operator, TypeName};
use crate::query::parse_query;
use crate::tokens::{Parsed, Tokens};
use crate::value::{Collation, Len, SqlError, SqlType, Value};

/// Words that end an expression rather than name a column.
const RESERVED: [&str; 34] = [
    "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "UNION", "ON", "INNER", "LEFT", "CROSS", "JOIN", "AS", "AND", "OR",
    "THEN", "WHEN", "ELSE", "END", "INSERT", "SELECT", "SET", "INTO", "VALUES", "CREATE", "DROP", "ALTER", "UPDATE",
    "DELETE", "IF", "BEGIN", "GO", "OPTION", "WITH", "DECLARE",
];

pub fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}

pub fn parse_expr(tokens: &mut Tokens) -> Parsed<Expr> {
    or(tokens)
}

fn or(tokens: &mut Tokens) -> Parsed<Expr> {
    let mut left = and(tokens)?;
    while tokens.take_word("OR") {
        left = Expr::Binary(Operator::Or, Box::new(left), Box::new(and(tokens)?));
    }
    Ok(left)
}

fn and(tokens: &mut Tokens) -> Parsed<Expr> {
    let mut left = not(tokens)?;
    while tokens.take_word("AND") {
        left = Expr::Binary(Operator::And, Box::new(left), Box::new(not(tokens)?));
    }
    Ok(left)
}

fn not(tokens: &mut Tokens) -> Parsed<Expr> {
    if tokens.is_word("NOT") && !tokens.is_word_at(1, "EXISTS") {
        tokens.next();
        return Ok(Expr::Not(Box::new(not(tokens)?)));
    }
    comparison(tokens)
}

fn comparison(tokens: &mut Tokens) -> Parsed<Expr> {
    let left = sum(tokens)?;
    let operator = match tokens.peek() {
        Token::Eq => Operator::Equal,
        Token::Neq => Operator::NotEqual,
        Token::Lt => Operator::Less,
        Token::LtEq => Operator::LessOrEqual,
        Token::Gt => Operator::Greater,
        Token::GtEq => Operator::GreaterOrEqual,
        _ => return predicate(tokens, left),
    };
    tokens.next();
    Ok(Expr::Binary(operator, Box::new(left), Box::new(sum(tokens)?)))
}

fn predicate(tokens: &mut Tokens, left: Expr) -> Parsed<Expr> {
    if tokens.take_word("IS") {
        let negated = tokens.take_word("NOT");
        tokens.expect_word("NULL")?;
        return Ok(Expr::IsNull { expr: Box::new(left), negated });
    }
    let negated = tokens.is_word("NOT") && ["IN", "LIKE", "BETWEEN"].iter().any(|word| tokens.is_word_at(1, word));
    if negated {
        tokens.next();
    }
    if tokens.take_word("IN") {
        let list = if matches!(tokens.peek(), Token::LParen) && tokens.is_word_at(1, "SELECT") {
            tokens.next();
            let query = parse_query(tokens)?;
            tokens.expect(&Token::RParen)?;
            vec![Expr::Scalar(Box::new(query))]
        } else {
            tokens.list(parse_expr)?
        };
        return Ok(Expr::In { expr: Box::new(left), list, negated });
    }
    if tokens.take_word("LIKE") {
        return Ok(Expr::Like { expr: Box::new(left), pattern: Box::new(sum(tokens)?), negated });
    }
    if tokens.take_word("BETWEEN") {
        let low = sum(tokens)?;
        tokens.expect_word("AND")?;
        let high = sum(tokens)?;
        let from = Expr::Binary(Operator::GreaterOrEqual, Box::new(left.clone()), Box::new(low));
        let to = Expr::Binary(Operator::LessOrEqual, Box::new(left), Box::new(high));
        let both = Expr::Binary(Operator::And, Box::new(from), Box::new(to));
        return Ok(if negated { Expr::Not(Box::new(both)) } else { both });
    }
    Ok(left)
}

fn sum(tokens: &mut Tokens) -> Parsed<Expr> {
    let mut left = product(tokens)?;
    loop {
        let operator = match tokens.peek() {
            Token::Plus => Operator::Add,
            Token::Minus => Operator::Subtract,
            _ => return Ok(left),
        };
        tokens.next();
        left = Expr::Binary(operator, Box::new(left), Box::new(product(tokens)?));
    }
}

fn product(tokens: &mut Tokens) -> Parsed<Expr> {
    let mut left = unary(tokens)?;
    loop {
        let operator = match tokens.peek() {
            Token::Mul => Operator::Multiply,
            Token::Div => Operator::Divide,
            Token::Mod => Operator::Modulo,
            _ => return Ok(left),
        };
        tokens.next();
        left = Expr::Binary(operator, Box::new(left), Box::new(unary(tokens)?));
    }
}

fn unary(tokens: &mut Tokens) -> Parsed<Expr> {
    if tokens.take(&Token::Minus) {
        return Ok(match unary(tokens)? {
            Expr::Literal(Value::Int(value), kind) => Expr::Literal(Value::Int(-value), kind),
            Expr::Literal(Value::Decimal { value, scale }, kind) => {
                Expr::Literal(Value::Decimal { value: -value, scale }, kind)
            }
            Expr::Literal(Value::Float(value), kind) => Expr::Literal(Value::Float(-value), kind),
            other => Expr::Negate(Box::new(other)),
        });
    }
    if tokens.take(&Token::Plus) {
        return unary(tokens);
    }
    postfix(tokens)
}

fn postfix(tokens: &mut Tokens) -> Parsed<Expr> {
    let mut expr = primary(tokens)?;
    loop {
        if tokens.take_word("COLLATE") {
            expr = Expr::Collate(Box::new(expr), tokens.identifier()?);
        } else if matches!(tokens.peek(), Token::Period) {
            tokens.next();
            expr = method(tokens, expr)?;
        } else {
            return Ok(expr);
        }
    }
}

fn method(tokens: &mut Tokens, on: Expr) -> Parsed<Expr> {
    let name = tokens.identifier()?;
    if tokens.take(&Token::LParen) {
        tokens.expect(&Token::RParen)?;
    }
    Ok(Expr::Method { on: Box::new(on), name })
}

fn primary(tokens: &mut Tokens) -> Parsed<Expr> {
    match tokens.peek().clone() {
        Token::LParen => {
            tokens.next();
            let expr = if tokens.is_word("SELECT") {
                Expr::Scalar(Box::new(parse_query(tokens)?))
            } else {
                parse_expr(tokens)?
            };
            tokens.expect(&Token::RParen)?;
            Ok(expr)
        }
        Token::Number(text, _) => {
            tokens.next();
            number(&text)
        }
        Token::SingleQuotedString(text) => {
            tokens.next();
            let bytes = text.clone().into_bytes();
            let len = Len::N(bytes.len().clamp(1, 8000) as u16);
            let kind = SqlType::VarChar { len, collation: Collation::default() };
            // A literal's characters outside the default code page are lost on a real server; here they are an error.
            let bytes = Collation::default().encode(&text).ok_or_else(|| {
                SqlError::new(40_001, 16, format!("simulator: '{text}' does not fit the default code page; write N'…'"))
            })?;
            Ok(Expr::Literal(Value::VarChar(bytes.into()), kind))
        }
        Token::NationalStringLiteral(text) => {
            tokens.next();
            let units = text.encode_utf16().count();
            let len = if units > 4000 { Len::Max } else { Len::N(units.max(1) as u16) };
            let kind = SqlType::NVarChar { len, collation: Collation::default() };
            Ok(Expr::Literal(Value::nvarchar(&text), kind))
        }
        Token::HexStringLiteral(text) => {
            tokens.next();
            let bytes =
                hex(&text).ok_or_else(|| SqlError::new(102, 15, format!("Incorrect syntax near '0x{text}'.")))?;
            let len = if bytes.len() > 8000 { Len::Max } else { Len::N(bytes.len().max(1) as u16) };
            Ok(Expr::Literal(Value::Binary(bytes.into()), SqlType::VarBinary { len }))
        }
        Token::Word(word) => {
            tokens.next();
            word_expr(tokens, &word.value, word.quote_style.is_some())
        }
        Token::Mul => {
            tokens.next();
            Ok(Expr::Star)
        }
        Token::AtSign => {
            tokens.next();
            let name = tokens.identifier()?;
            Ok(Expr::Variable(format!("@{name}")))
        }
        _ => Err(tokens.unexpected()),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let padded = if text.len() % 2 == 1 { format!("0{text}") } else { text.to_owned() };
    (0..padded.len()).step_by(2).map(|at| u8::from_str_radix(padded.get(at..at + 2)?, 16).ok()).collect()
}

fn number(text: &str) -> Parsed<Expr> {
    let bad = || SqlError::new(102, 15, format!("Incorrect syntax near '{text}'."));
    if text.contains(['e', 'E']) {
        return Ok(Expr::Literal(Value::Float(text.parse().map_err(|_| bad())?), SqlType::Float));
    }
    if let Ok(value) = text.parse::<i32>() {
        return Ok(Expr::Literal(Value::Int(value), SqlType::Int));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let value: i128 = format!("{whole}{fraction}").parse().map_err(|_| bad())?;
    let scale = fraction.len() as u8;
    let precision = (value.unsigned_abs().to_string().len() as u8).max(scale).max(1);
    Ok(Expr::Literal(Value::Decimal { value, scale }, SqlType::Decimal { precision, scale }))
}

fn word_expr(tokens: &mut Tokens, word: &str, quoted: bool) -> Parsed<Expr> {
    let upper = word.to_uppercase();
    if !quoted {
        match upper.as_str() {
            "NULL" => return Ok(Expr::Null),
            "CASE" => return case(tokens),
            "CAST" | "TRY_CAST" => return cast(tokens),
            "CONVERT" => return convert(tokens),
            "EXISTS" | "NOT" => {
                let negated = upper == "NOT";
                if negated {
                    tokens.expect_word("EXISTS")?;
                }
                tokens.expect(&Token::LParen)?;
                let query = Box::new(parse_query(tokens)?);
                tokens.expect(&Token::RParen)?;
                return Ok(Expr::Exists { query, negated });
            }
            _ if word.starts_with('@') => return Ok(Expr::Variable(word.to_owned())),
            _ if is_reserved(word) && !(matches!(upper.as_str(), "LEFT") && matches!(tokens.peek(), Token::LParen)) => {
                return Err(tokens.unexpected());
            }
            _ => {}
        }
    }
    if matches!(tokens.peek(), Token::DoubleColon) {
        // hierarchyid::Parse('/1/'), geography::Point(…)
        tokens.next();
        let method = tokens.identifier()?;
        let arguments = call_arguments(tokens)?;
        return Ok(Expr::Call { name: format!("{}::{}", word.to_lowercase(), method.to_lowercase()), arguments });
    }
    if matches!(tokens.peek(), Token::LParen) && !quoted {
        let arguments = call_arguments(tokens)?;
        if tokens.take_word("OVER") {
            return row_number(tokens, &upper);
        }
        return Ok(Expr::Call { name: upper, arguments });
    }
    let mut name = vec![word.to_owned()];
    while matches!(tokens.peek(), Token::Period) {
        if matches!(tokens.peek_at(2), Token::LParen) || is_property(tokens.peek_at(1)) {
            break;
        }
        tokens.next();
        name.push(tokens.identifier()?);
    }
    Ok(Expr::Column(name))
}

/// Properties of spatial types, which are written like columns.
fn is_property(token: &Token) -> bool {
    matches!(token, Token::Word(word) if matches!(word.value.as_str(), "STSrid" | "Lat" | "Long"))
}

fn call_arguments(tokens: &mut Tokens) -> Parsed<Vec<Expr>> {
    if matches!(tokens.peek_at(1), Token::RParen) {
        tokens.next();
        tokens.next();
        return Ok(Vec::new());
    }
    tokens.list(|tokens| {
        tokens.take_word("DISTINCT");
        parse_expr(tokens)
    })
}

fn row_number(tokens: &mut Tokens, name: &str) -> Parsed<Expr> {
    if name != "ROW_NUMBER" {
        return Err(SqlError::new(40_001, 16, format!("simulator: window function {name} is not supported")));
    }
    tokens.expect(&Token::LParen)?;
    tokens.expect_word("ORDER")?;
    tokens.expect_word("BY")?;
    let order = order_list(tokens)?;
    tokens.expect(&Token::RParen)?;
    Ok(Expr::RowNumber(order))
}

/// `a, b DESC`.
pub fn order_list(tokens: &mut Tokens) -> Parsed<Vec<(Expr, bool)>> {
    let mut list = Vec::new();
    loop {
        let expr = parse_expr(tokens)?;
        let descending = tokens.take_word("DESC");
        if !descending {
            tokens.take_word("ASC");
        }
        list.push((expr, descending));
        if !tokens.take(&Token::Comma) {
            return Ok(list);
        }
    }
}

fn case(tokens: &mut Tokens) -> Parsed<Expr> {
    let operand = if tokens.is_word("WHEN") { None } else { Some(Box::new(parse_expr(tokens)?)) };
    let mut branches = Vec::new();
    while tokens.take_word("WHEN") {
        let when = parse_expr(tokens)?;
        tokens.expect_word("THEN")?;
        branches.push((when, parse_expr(tokens)?));
    }
    let otherwise = if tokens.take_word("ELSE") { Some(Box::new(parse_expr(tokens)?)) } else { None };
    tokens.expect_word("END")?;
    Ok(Expr::Case { operand, branches, otherwise })
}

fn cast(tokens: &mut Tokens) -> Parsed<Expr> {
    tokens.expect(&Token::LParen)?;
    let expr = Box::new(parse_expr(tokens)?);
    tokens.expect_word("AS")?;
    let to = type_name(tokens)?;
    tokens.expect(&Token::RParen)?;
    Ok(Expr::Cast { expr, to, style: None })
}

fn convert(tokens: &mut Tokens) -> Parsed<Expr> {
    tokens.expect(&Token::LParen)?;
    let to = type_name(tokens)?;
    tokens.expect(&Token::Comma)?;
    let expr = Box::new(parse_expr(tokens)?);
    let style = if tokens.take(&Token::Comma) { Some(tokens.number()? as u16) } else { None };
    tokens.expect(&Token::RParen)?;
    Ok(Expr::Cast { expr, to, style })
}

/// `decimal(10, 2)`, `varchar(max)`, `[dbo].[Phone]`.
pub fn type_name(tokens: &mut Tokens) -> Parsed<TypeName> {
    let name = tokens.name()?;
    let arguments = if matches!(tokens.peek(), Token::LParen) {
        tokens.list(|tokens| match tokens.next() {
            Token::Number(text, _) => Ok(text),
            Token::Word(word) => Ok(word.value.to_lowercase()),
            _ => Err(tokens.unexpected()),
        })?
    } else {
        Vec::new()
    };
    Ok(TypeName { name, arguments })
}
