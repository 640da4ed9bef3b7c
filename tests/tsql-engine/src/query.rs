//! SELECT statements of a batch.

use sqlparser::tokenizer::Token;

use crate::ast::{Item, Join, JoinKind, Query, Relation};
use crate::expressions::{is_reserved, order_list, parse_expr};
use crate::tokens::{Parsed, Tokens};

/// `[WITH …] SELECT … [UNION ALL SELECT …] [ORDER BY …]`.
pub fn parse_query(tokens: &mut Tokens) -> Parsed<Query> {
    let mut with = Vec::new();
    if tokens.take_word("WITH") {
        loop {
            let name = tokens.identifier()?;
            let columns =
                if matches!(tokens.peek(), Token::LParen) { tokens.list(Tokens::identifier)? } else { Vec::new() };
            tokens.expect_word("AS")?;
            tokens.expect(&Token::LParen)?;
            let mut query = parse_query(tokens)?;
            tokens.expect(&Token::RParen)?;
            rename(&mut query, &columns);
            with.push((name, query));
            if !tokens.take(&Token::Comma) {
                break;
            }
        }
    }
    let mut query = select(tokens)?;
    query.with = with;
    while tokens.take_words("UNION ALL") {
        query.union.push(select(tokens)?);
    }
    if tokens.take_words("ORDER BY") {
        query.order_by = order_list(tokens)?;
    }
    if tokens.take_word("OPTION") {
        skip_parentheses(tokens)?;
    }
    Ok(query)
}

fn rename(query: &mut Query, columns: &[String]) {
    for (item, column) in query.items.iter_mut().zip(columns) {
        if let Item::Expr(_, alias) = item {
            *alias = Some(column.clone());
        }
    }
}

fn select(tokens: &mut Tokens) -> Parsed<Query> {
    tokens.expect_word("SELECT")?;
    let mut query = Query { distinct: tokens.take_word("DISTINCT"), ..Query::default() };
    if tokens.take_word("TOP") {
        query.top = Some(if tokens.take(&Token::LParen) {
            let top = parse_expr(tokens)?;
            tokens.expect(&Token::RParen)?;
            top
        } else {
            parse_expr(tokens)?
        });
    }
    loop {
        query.items.push(item(tokens)?);
        if !tokens.take(&Token::Comma) {
            break;
        }
    }
    if tokens.take_word("FROM") {
        query.from = Some(relation(tokens)?);
        joins(tokens, &mut query.joins)?;
    }
    if tokens.take_word("WHERE") {
        query.filter = Some(parse_expr(tokens)?);
    }
    if tokens.take_words("GROUP BY") {
        loop {
            query.group_by.push(parse_expr(tokens)?);
            if !tokens.take(&Token::Comma) {
                break;
            }
        }
    }
    if tokens.take_word("HAVING") {
        query.having = Some(parse_expr(tokens)?);
    }
    Ok(query)
}

fn item(tokens: &mut Tokens) -> Parsed<Item> {
    if tokens.take(&Token::Mul) {
        return Ok(Item::Star(None));
    }
    if matches!(tokens.peek_at(1), Token::Period) && matches!(tokens.peek_at(2), Token::Mul) {
        let alias = tokens.identifier()?;
        tokens.next();
        tokens.next();
        return Ok(Item::Star(Some(alias)));
    }
    let expr = parse_expr(tokens)?;
    Ok(Item::Expr(expr, alias(tokens)?))
}

fn alias(tokens: &mut Tokens) -> Parsed<Option<String>> {
    if tokens.take_word("AS") {
        return match tokens.peek().clone() {
            Token::SingleQuotedString(text) => {
                tokens.next();
                Ok(Some(text))
            }
            _ => tokens.identifier().map(Some),
        };
    }
    match tokens.peek() {
        Token::Word(word) if word.quote_style.is_some() || !is_reserved(&word.value) => tokens.identifier().map(Some),
        _ => Ok(None),
    }
}

fn joins(tokens: &mut Tokens, joins: &mut Vec<Join>) -> Parsed<()> {
    loop {
        let kind = if tokens.take_words("CROSS JOIN") || tokens.take(&Token::Comma) {
            JoinKind::Cross
        } else if tokens.take_words("LEFT JOIN") || tokens.take_words("LEFT OUTER JOIN") {
            JoinKind::Left
        } else if tokens.take_words("INNER JOIN") || tokens.take_word("JOIN") {
            JoinKind::Inner
        } else {
            return Ok(());
        };
        let relation = relation(tokens)?;
        let on = if kind == JoinKind::Cross {
            None
        } else {
            tokens.expect_word("ON")?;
            Some(parse_expr(tokens)?)
        };
        joins.push(Join { kind, relation, on });
    }
}

fn relation(tokens: &mut Tokens) -> Parsed<Relation> {
    if tokens.take(&Token::LParen) {
        if tokens.take_word("VALUES") {
            let mut rows = Vec::new();
            loop {
                rows.push(tokens.list(parse_expr)?);
                if !tokens.take(&Token::Comma) {
                    break;
                }
            }
            tokens.expect(&Token::RParen)?;
            tokens.take_word("AS");
            let alias = tokens.identifier()?;
            let columns = tokens.list(Tokens::identifier)?;
            return Ok(Relation::Values { rows, alias, columns });
        }
        let query = Box::new(parse_query(tokens)?);
        tokens.expect(&Token::RParen)?;
        tokens.take_word("AS");
        let alias = tokens.identifier()?;
        return Ok(Relation::Derived { query, alias });
    }
    let name = tokens.name()?;
    let alias = alias(tokens)?;
    if tokens.is_word("WITH") && matches!(tokens.peek_at(1), Token::LParen) {
        // Hints say how to read, not what.
        tokens.next();
        skip_parentheses(tokens)?;
    }
    Ok(Relation::Table { name, alias })
}

pub fn skip_parentheses(tokens: &mut Tokens) -> Parsed<()> {
    tokens.expect(&Token::LParen)?;
    let mut depth = 1;
    while depth > 0 {
        match tokens.next() {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            Token::EOF => return Err(tokens.unexpected()),
            _ => {}
        }
    }
    Ok(())
}
