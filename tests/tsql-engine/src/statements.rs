//! The statements of a batch.

use sqlparser::tokenizer::Token;

use crate::ast::{
    AlterTable, ColumnDefinition, ForeignKeyDefinition, IndexDefinition, InsertSource, Name, Statement, TableDefinition,
};
use crate::expressions::{parse_expr, type_name};
use crate::query::{parse_query, skip_parentheses};
use crate::tokens::{Parsed, Tokens};
use crate::value::SqlError;

/// All statements of a batch, separated by semicolons or by nothing.
pub fn parse_batch(sql: &str) -> Parsed<Vec<Statement>> {
    let mut tokens = Tokens::new(sql)?;
    let mut statements = Vec::new();
    loop {
        while tokens.take(&Token::SemiColon) {}
        if tokens.at_end() {
            return Ok(statements);
        }
        statement(&mut tokens, &mut statements)?;
    }
}

fn one(tokens: &mut Tokens) -> Parsed<Vec<Statement>> {
    let mut statements = Vec::new();
    statement(tokens, &mut statements)?;
    while tokens.take(&Token::SemiColon) {}
    Ok(statements)
}

fn statement(tokens: &mut Tokens, out: &mut Vec<Statement>) -> Parsed<()> {
    let word = match tokens.peek() {
        Token::Word(word) => word.value.to_uppercase(),
        _ => return Err(tokens.unexpected()),
    };
    match word.as_str() {
        "SELECT" | "WITH" => out.push(Statement::Select(parse_query(tokens)?)),
        "INSERT" => out.push(insert(tokens)?),
        "UPDATE" => out.push(update(tokens)?),
        "DELETE" => out.push(delete(tokens)?),
        "TRUNCATE" => {
            tokens.next();
            tokens.expect_word("TABLE")?;
            out.push(Statement::Truncate(tokens.name()?));
        }
        "CREATE" => out.push(create(tokens)?),
        "ALTER" => out.push(alter(tokens)?),
        "DROP" => out.push(drop_object(tokens)?),
        "SET" => out.push(set(tokens)?),
        "DECLARE" => declare(tokens, out)?,
        "USE" => {
            tokens.next();
            out.push(Statement::Use(tokens.identifier()?));
        }
        "BEGIN" if tokens.is_word_at(1, "TRANSACTION") || tokens.is_word_at(1, "TRAN") => {
            tokens.next();
            tokens.next();
            out.push(Statement::Begin);
        }
        "BEGIN" => {
            tokens.next();
            let mut body = Vec::new();
            while !tokens.take_word("END") {
                body.extend(one(tokens)?);
            }
            out.push(Statement::Block(body));
        }
        "COMMIT" | "ROLLBACK" => {
            tokens.next();
            if !tokens.take_word("TRANSACTION") {
                tokens.take_word("TRAN");
            }
            out.push(if word == "COMMIT" { Statement::Commit } else { Statement::Rollback });
        }
        "IF" => {
            tokens.next();
            let condition = parse_expr(tokens)?;
            let then = one(tokens)?;
            let otherwise = if tokens.take_word("ELSE") { one(tokens)? } else { Vec::new() };
            out.push(Statement::If { condition, then, otherwise });
        }
        "WHILE" => {
            tokens.next();
            let condition = parse_expr(tokens)?;
            let body = one(tokens)?;
            out.push(Statement::While { condition, body });
        }
        "PRINT" => {
            tokens.next();
            out.push(Statement::Print(parse_expr(tokens)?));
        }
        "WAITFOR" => out.push(wait_for(tokens)?),
        "RAISERROR" => out.push(raise(tokens)?),
        _ => return Err(SqlError::unsupported(format!("statement {word} is not supported"))),
    }
    Ok(())
}

fn wait_for(tokens: &mut Tokens) -> Parsed<Statement> {
    tokens.next();
    tokens.expect_word("DELAY")?;
    let Token::SingleQuotedString(text) = tokens.next() else { return Err(tokens.unexpected()) };
    let seconds = text.split(':').try_fold(0.0, |total, part| part.parse::<f64>().map(|number| total * 60.0 + number));
    let seconds =
        seconds.map_err(|_| SqlError::new(148, 15, format!("Incorrect time syntax in time string '{text}'.")))?;
    Ok(Statement::WaitFor { milliseconds: (seconds * 1000.0) as u64 })
}

fn raise(tokens: &mut Tokens) -> Parsed<Statement> {
    tokens.next();
    tokens.expect(&Token::LParen)?;
    let message = match tokens.next() {
        Token::SingleQuotedString(text) | Token::NationalStringLiteral(text) => text,
        _ => return Err(tokens.unexpected()),
    };
    tokens.expect(&Token::Comma)?;
    let class = tokens.number()? as u8;
    tokens.expect(&Token::Comma)?;
    let state = tokens.number()? as u8;
    tokens.expect(&Token::RParen)?;
    Ok(Statement::Raise { message, number: 50_000, class, state })
}

fn insert(tokens: &mut Tokens) -> Parsed<Statement> {
    tokens.next();
    tokens.take_word("INTO");
    let table = tokens.name()?;
    let columns = if matches!(tokens.peek(), Token::LParen) { tokens.list(Tokens::identifier)? } else { Vec::new() };
    if tokens.take_words("DEFAULT VALUES") {
        return Ok(Statement::Insert { table, columns, source: InsertSource::Defaults });
    }
    let source = if tokens.take_word("VALUES") {
        let mut rows = Vec::new();
        loop {
            rows.push(tokens.list(parse_expr)?);
            if !tokens.take(&Token::Comma) {
                break;
            }
        }
        InsertSource::Values(rows)
    } else {
        InsertSource::Query(Box::new(parse_query(tokens)?))
    };
    Ok(Statement::Insert { table, columns, source })
}

fn update(tokens: &mut Tokens) -> Parsed<Statement> {
    tokens.next();
    let table = tokens.name()?;
    tokens.expect_word("SET")?;
    let mut sets = Vec::new();
    loop {
        let column = tokens.identifier()?;
        tokens.expect(&Token::Eq)?;
        sets.push((column, parse_expr(tokens)?));
        if !tokens.take(&Token::Comma) {
            break;
        }
    }
    let filter = if tokens.take_word("WHERE") { Some(parse_expr(tokens)?) } else { None };
    Ok(Statement::Update { table, sets, filter })
}

fn delete(tokens: &mut Tokens) -> Parsed<Statement> {
    tokens.next();
    tokens.take_word("FROM");
    let table = tokens.name()?;
    let filter = if tokens.take_word("WHERE") { Some(parse_expr(tokens)?) } else { None };
    Ok(Statement::Delete { table, filter })
}

fn declare(tokens: &mut Tokens, out: &mut Vec<Statement>) -> Parsed<()> {
    tokens.next();
    loop {
        let name = variable(tokens)?;
        tokens.take_word("AS");
        let kind = type_name(tokens)?;
        let value = if tokens.take(&Token::Eq) { Some(parse_expr(tokens)?) } else { None };
        out.push(Statement::Assign { name, type_name: Some(kind), value });
        if !tokens.take(&Token::Comma) {
            return Ok(());
        }
    }
}

fn variable(tokens: &mut Tokens) -> Parsed<String> {
    if tokens.take(&Token::AtSign) {
        return Ok(format!("@{}", tokens.identifier()?));
    }
    let name = tokens.identifier()?;
    if name.starts_with('@') { Ok(name) } else { Err(tokens.unexpected()) }
}

fn set(tokens: &mut Tokens) -> Parsed<Statement> {
    tokens.next();
    let is_variable = matches!(tokens.peek(), Token::AtSign)
        || matches!(tokens.peek(), Token::Word(word) if word.value.starts_with('@'));
    if is_variable {
        let name = variable(tokens)?;
        tokens.expect(&Token::Eq)?;
        return Ok(Statement::Assign { name, type_name: None, value: Some(parse_expr(tokens)?) });
    }
    if tokens.take_words("TRANSACTION ISOLATION LEVEL") {
        let mut level = vec![tokens.identifier()?];
        if level[0].eq_ignore_ascii_case("READ") || level[0].eq_ignore_ascii_case("REPEATABLE") {
            level.push(tokens.identifier()?);
        }
        return Ok(Statement::SetOption { name: "ISOLATION LEVEL".to_owned(), value: level.join(" ").to_uppercase() });
    }
    let mut name = tokens.identifier()?.to_uppercase();
    if name == "IDENTITY_INSERT" {
        let table = tokens.name()?.join(".");
        let value = tokens.identifier()?.to_uppercase();
        return Ok(Statement::SetOption { name: format!("IDENTITY_INSERT {table}"), value });
    }
    // SET a, b, c ON
    while tokens.take(&Token::Comma) {
        name = format!("{name},{}", tokens.identifier()?.to_uppercase());
    }
    let value = match tokens.peek().clone() {
        Token::Minus | Token::Number(..) => tokens.number()?.to_string(),
        Token::SingleQuotedString(text) | Token::NationalStringLiteral(text) => {
            tokens.next();
            text
        }
        _ => tokens.identifier()?.to_uppercase(),
    };
    Ok(Statement::SetOption { name, value })
}

fn create(tokens: &mut Tokens) -> Parsed<Statement> {
    tokens.next();
    if tokens.take_word("TABLE") {
        return table(tokens);
    }
    if tokens.take_word("SCHEMA") {
        return Ok(Statement::CreateSchema(tokens.identifier()?));
    }
    if tokens.take_word("TYPE") {
        let name = tokens.name()?;
        tokens.expect_word("FROM")?;
        let base = type_name(tokens)?;
        let nullable = !tokens.take_words("NOT NULL");
        tokens.take_word("NULL");
        return Ok(Statement::CreateType { name, base, nullable });
    }
    if tokens.take_word("VIEW") {
        let name = tokens.name()?;
        tokens.expect_word("AS")?;
        return Ok(Statement::CreateView { name, query: parse_query(tokens)? });
    }
    if tokens.take_word("DATABASE") {
        return create_database(tokens);
    }
    create_index(tokens)
}

fn create_database(tokens: &mut Tokens) -> Parsed<Statement> {
    let name = tokens.identifier()?;
    let mut snapshot_of = None;
    if tokens.take_word("ON") {
        loop {
            skip_parentheses(tokens)?;
            if !tokens.take(&Token::Comma) {
                break;
            }
        }
        if tokens.take_words("AS SNAPSHOT OF") {
            snapshot_of = Some(tokens.identifier()?);
        }
    }
    Ok(Statement::CreateDatabase { name, snapshot_of })
}

fn create_index(tokens: &mut Tokens) -> Parsed<Statement> {
    let unique = tokens.take_word("UNIQUE");
    let mut structure = Vec::new();
    while !tokens.take_word("INDEX") {
        structure.push(tokens.identifier()?.to_uppercase());
    }
    let structure = if structure.is_empty() { "NONCLUSTERED".to_owned() } else { structure.join(" ") };
    let name = Some(tokens.identifier()?);
    tokens.expect_word("ON")?;
    let table = tokens.name()?;
    let columns = if matches!(tokens.peek(), Token::LParen) { tokens.list(index_column)? } else { Vec::new() };
    let included = if tokens.take_word("INCLUDE") { tokens.list(Tokens::identifier)? } else { Vec::new() };
    let filter = if tokens.take_word("WHERE") {
        let start = tokens.position();
        parse_expr(tokens)?;
        Some(format!("({})", tokens.text_since(start)))
    } else {
        None
    };
    if tokens.is_word("WITH") {
        tokens.next();
        skip_parentheses(tokens)?;
    }
    let index =
        IndexDefinition { name, primary_key: false, constraint: false, unique, structure, columns, included, filter };
    Ok(Statement::CreateIndex { table, index })
}

fn index_column(tokens: &mut Tokens) -> Parsed<(String, bool)> {
    let name = tokens.identifier()?;
    let descending = tokens.take_word("DESC");
    if !descending {
        tokens.take_word("ASC");
    }
    Ok((name, descending))
}

fn table(tokens: &mut Tokens) -> Parsed<Statement> {
    let mut definition = TableDefinition { name: tokens.name()?, ..TableDefinition::default() };
    tokens.expect(&Token::LParen)?;
    loop {
        table_element(tokens, &mut definition)?;
        if !tokens.take(&Token::Comma) {
            break;
        }
    }
    tokens.expect(&Token::RParen)?;
    if tokens.is_word("WITH") {
        tokens.next();
        skip_parentheses(tokens)?;
    }
    Ok(Statement::CreateTable(definition))
}

fn table_element(tokens: &mut Tokens, definition: &mut TableDefinition) -> Parsed<()> {
    if tokens.take_words("PERIOD FOR SYSTEM_TIME") {
        return skip_parentheses(tokens);
    }
    let name = if tokens.take_word("CONSTRAINT") { Some(tokens.identifier()?) } else { None };
    let is_constraint = ["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"].iter().any(|word| tokens.is_word(word));
    if name.is_some() || is_constraint {
        return constraint(tokens, name, definition);
    }
    column(tokens, definition)
}

fn constraint(tokens: &mut Tokens, name: Option<String>, definition: &mut TableDefinition) -> Parsed<()> {
    if tokens.take_word("CHECK") {
        return skip_parentheses(tokens);
    }
    if tokens.take_words("FOREIGN KEY") {
        let columns = tokens.list(Tokens::identifier)?;
        let key = references(tokens, name, columns)?;
        definition.foreign_keys.push(key);
        return Ok(());
    }
    let primary_key = tokens.take_words("PRIMARY KEY");
    if !primary_key {
        tokens.expect_word("UNIQUE")?;
    }
    let structure = structure(tokens, primary_key);
    let columns = tokens.list(index_column)?;
    definition.indexes.push(IndexDefinition {
        name,
        primary_key,
        constraint: true,
        unique: true,
        structure,
        columns,
        included: Vec::new(),
        filter: None,
    });
    Ok(())
}

fn structure(tokens: &mut Tokens, primary_key: bool) -> String {
    let clustered = tokens.take_word("CLUSTERED") || (!tokens.take_word("NONCLUSTERED") && primary_key);
    if clustered { "CLUSTERED".to_owned() } else { "NONCLUSTERED".to_owned() }
}

fn references(tokens: &mut Tokens, name: Option<String>, columns: Vec<String>) -> Parsed<ForeignKeyDefinition> {
    tokens.expect_word("REFERENCES")?;
    let referenced = tokens.name()?;
    let referenced_columns =
        if matches!(tokens.peek(), Token::LParen) { tokens.list(Tokens::identifier)? } else { Vec::new() };
    let (mut on_delete, mut on_update) = ("NO_ACTION".to_owned(), "NO_ACTION".to_owned());
    while tokens.take_word("ON") {
        let delete = tokens.take_word("DELETE");
        if !delete {
            tokens.expect_word("UPDATE")?;
        }
        let first = tokens.identifier()?.to_uppercase();
        let action =
            if first == "CASCADE" { first } else { format!("{first}_{}", tokens.identifier()?.to_uppercase()) };
        if delete {
            on_delete = action;
        } else {
            on_update = action;
        }
    }
    Ok(ForeignKeyDefinition { name, columns, referenced, referenced_columns, on_delete, on_update })
}

fn column(tokens: &mut Tokens, definition: &mut TableDefinition) -> Parsed<()> {
    let mut column = ColumnDefinition { name: tokens.identifier()?, ..ColumnDefinition::default() };
    if tokens.take_word("AS") {
        column.computed = Some(parse_expr(tokens)?);
        tokens.take_word("PERSISTED");
    } else {
        column.type_name = Some(type_name(tokens)?);
    }
    column_options(tokens, &mut column, definition)?;
    definition.columns.push(column);
    Ok(())
}

fn column_options(tokens: &mut Tokens, column: &mut ColumnDefinition, definition: &mut TableDefinition) -> Parsed<()> {
    let mut name = None;
    loop {
        if tokens.take_words("NOT NULL") {
            column.nullable = Some(false);
        } else if tokens.take_word("NULL") {
            column.nullable = Some(true);
        } else if tokens.take_word("CONSTRAINT") {
            name = Some(tokens.identifier()?);
        } else if tokens.take_word("COLLATE") {
            column.collation = Some(tokens.identifier()?);
        } else if tokens.take_word("IDENTITY") {
            let pair = if matches!(tokens.peek(), Token::LParen) { tokens.list(Tokens::number)? } else { vec![1, 1] };
            column.identity = Some((pair[0], pair.get(1).copied().unwrap_or(1)));
        } else if tokens.take_word("DEFAULT") {
            let start = tokens.position();
            let expr = parse_expr(tokens)?;
            column.default = Some((expr, format!("({})", tokens.text_since(start))));
        } else if tokens.take_word("MASKED") {
            tokens.expect_word("WITH")?;
            skip_parentheses(tokens)?;
            column.masked = true;
        } else if tokens.take_word("ENCRYPTED") {
            tokens.expect_word("WITH")?;
            skip_parentheses(tokens)?;
            column.encrypted = true;
        } else if tokens.take_words("GENERATED ALWAYS AS ROW") {
            tokens.identifier()?;
            column.hidden |= tokens.take_word("HIDDEN");
        } else if tokens.is_word("PRIMARY") || tokens.is_word("UNIQUE") {
            let primary_key = tokens.take_words("PRIMARY KEY");
            if !primary_key {
                tokens.next();
            }
            let structure = structure(tokens, primary_key);
            let columns = vec![(column.name.clone(), false)];
            let name = name.take();
            definition.indexes.push(IndexDefinition {
                name,
                primary_key,
                constraint: true,
                unique: true,
                structure,
                columns,
                included: Vec::new(),
                filter: None,
            });
        } else if tokens.is_word("REFERENCES") || tokens.is_word("FOREIGN") {
            tokens.take_words("FOREIGN KEY");
            let key = references(tokens, name.take(), vec![column.name.clone()])?;
            definition.foreign_keys.push(key);
        } else if tokens.take_word("CHECK") {
            skip_parentheses(tokens)?;
        } else if tokens.take_word("SPARSE") || tokens.take_word("ROWGUIDCOL") {
            // Storage, not meaning.
        } else {
            return Ok(());
        }
    }
}

fn alter(tokens: &mut Tokens) -> Parsed<Statement> {
    tokens.next();
    if tokens.take_word("DATABASE") {
        let name = tokens.identifier()?;
        tokens.expect_word("SET")?;
        let option = tokens.identifier()?.to_uppercase();
        let on = tokens.take_word("ON");
        if !on {
            tokens.expect_word("OFF")?;
        }
        return Ok(Statement::AlterDatabase { name, option, on });
    }
    tokens.expect_word("TABLE")?;
    let table: Name = tokens.name()?;
    let mut scratch = TableDefinition::default();
    let change = if tokens.take_words("DROP COLUMN") {
        AlterTable::DropColumn(tokens.identifier()?)
    } else if tokens.take_words("ALTER COLUMN") {
        let mut column = ColumnDefinition { name: tokens.identifier()?, ..ColumnDefinition::default() };
        column.type_name = Some(type_name(tokens)?);
        column_options(tokens, &mut column, &mut scratch)?;
        AlterTable::AlterColumn(column)
    } else {
        tokens.take_words("WITH CHECK");
        tokens.expect_word("ADD")?;
        table_element(tokens, &mut scratch)?;
        match (scratch.columns.pop(), scratch.indexes.pop(), scratch.foreign_keys.pop()) {
            (Some(column), ..) => AlterTable::AddColumn(column),
            (None, Some(index), _) => AlterTable::AddIndex(index),
            (None, None, Some(key)) => AlterTable::AddForeignKey(key),
            _ => return Err(SqlError::unsupported("ALTER TABLE ADD CHECK is not supported".to_owned())),
        }
    };
    Ok(Statement::AlterTable { table, change })
}

fn drop_object(tokens: &mut Tokens) -> Parsed<Statement> {
    tokens.next();
    let kind = tokens.identifier()?.to_uppercase();
    let if_exists = tokens.take_words("IF EXISTS");
    Ok(Statement::Drop { kind, name: tokens.name()?, if_exists })
}
