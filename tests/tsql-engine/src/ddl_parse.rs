//! CREATE, ALTER, DROP and their like.

use sqlparser::tokenizer::Token;

use crate::ddl_ast::{ColumnDef, Constraint, Ddl};
use crate::error::unsupported;
use crate::script::Cursor;
use crate::value::SqlError;

/// A statement that begins with CREATE, ALTER, DROP, TRUNCATE, GRANT, DENY or REVOKE.
pub fn statement(cursor: &mut Cursor<'_>) -> Result<Ddl, SqlError> {
    let verb = cursor.peek_word();
    cursor.parser.next_token();
    match verb.as_str() {
        "CREATE" => create(cursor),
        "ALTER" => alter(cursor),
        "DROP" => drop(cursor),
        "TRUNCATE" => {
            cursor.expect("TABLE")?;
            Ok(Ddl::Truncate(cursor.object()?))
        }
        _ => crate::grant_parse::permission(cursor, &verb),
    }
}

fn create(cursor: &mut Cursor<'_>) -> Result<Ddl, SqlError> {
    if cursor.take("OR ALTER VIEW") || cursor.take("VIEW") {
        return view(cursor);
    }
    if cursor.take("DATABASE") {
        let name = cursor.ident()?;
        if cursor.take("COLLATE") {
            let collation = cursor.ident()?;
            if !collation.eq_ignore_ascii_case(crate::types::DEFAULT_COLLATION) {
                return Err(unsupported(&format!("CREATE DATABASE … COLLATE {collation}")));
            }
        }
        if cursor.take("ON") {
            cursor.parenthesized()?;
        }
        if cursor.take("AS SNAPSHOT OF") {
            return Ok(Ddl::CreateSnapshot { name, of: cursor.ident()? });
        }
        if cursor.take("WITH") {
            return Err(unsupported("CREATE DATABASE … WITH"));
        }
        return Ok(Ddl::CreateDatabase(name));
    }
    if cursor.take("SCHEMA") {
        let name = cursor.ident()?;
        if cursor.take("AUTHORIZATION") && !cursor.take("DBO") {
            return Err(unsupported("CREATE SCHEMA … AUTHORIZATION of another than dbo"));
        }
        return Ok(Ddl::CreateSchema(name));
    }
    if cursor.take("TYPE") {
        let name = cursor.object()?;
        if cursor.take("EXTERNAL NAME") {
            cursor.names()?;
            // Only its bytes are ever read here, which are those of the server's own CLR type.
            return Ok(Ddl::CreateType { name, base: "hierarchyid".to_owned(), nullable: true, assembly: true });
        }
        cursor.expect("FROM")?;
        let base = cursor.type_text()?;
        let nullable = !cursor.take("NOT NULL");
        cursor.take("NULL");
        return Ok(Ddl::CreateType { name, base, nullable, assembly: false });
    }
    if cursor.take("TABLE") {
        return table(cursor);
    }
    if cursor.take("LOGIN") {
        let name = cursor.ident()?;
        cursor.expect("WITH PASSWORD")?;
        cursor.expect_token(&Token::Eq)?;
        let password = cursor.expr()?;
        while cursor.parser.consume_token(&Token::Comma) {
            let option = cursor.ident()?.to_uppercase();
            cursor.expect_token(&Token::Eq)?;
            cursor.ident()?;
            // Passwords have no policy here.
            if !["CHECK_POLICY", "CHECK_EXPIRATION"].contains(&option.as_str()) {
                return Err(unsupported(&format!("CREATE LOGIN … WITH {option}")));
            }
        }
        return Ok(Ddl::CreateLogin { name, password });
    }
    if cursor.take("USER") {
        let name = cursor.ident()?;
        let login = if cursor.take("FOR LOGIN") || cursor.take("FROM LOGIN") { cursor.ident()? } else { name.clone() };
        return Ok(Ddl::CreateUser { name, login });
    }
    if cursor.take("SECURITY POLICY") {
        let name = cursor.object()?;
        cursor.expect("ADD FILTER PREDICATE")?;
        let (schema, function) = cursor.object()?;
        let arguments = cursor.parenthesized()?;
        cursor.expect("ON")?;
        let table = cursor.object()?;
        if cursor.take("WITH") {
            crate::options::policy(&cursor.parenthesized()?)?;
        }
        return Ok(Ddl::CreatePolicy { name, predicate: format!("([{schema}].[{function}]({arguments}))"), table });
    }
    index(cursor)
}

fn index(cursor: &mut Cursor<'_>) -> Result<Ddl, SqlError> {
    let unique = cursor.take("UNIQUE");
    let clustered = cursor.take("CLUSTERED");
    cursor.take("NONCLUSTERED");
    let kind = if cursor.take("COLUMNSTORE") {
        if clustered { 5 } else { 6 }
    } else if cursor.take("PRIMARY XML") || cursor.take("XML") {
        3
    } else if cursor.take("SPATIAL") {
        4
    } else if clustered {
        1
    } else {
        2
    };
    if !cursor.take("INDEX") {
        return Err(unsupported(&format!("CREATE {}", cursor.peek_word())));
    }
    let name = cursor.ident()?;
    cursor.expect("ON")?;
    let table = cursor.object()?;
    let columns = if cursor.parser.peek_token().token == Token::LParen { key_columns(cursor)? } else { Vec::new() };
    let include = if cursor.take("INCLUDE") { names(cursor)? } else { Vec::new() };
    let filter = if cursor.take("WHERE") { Some(cursor.expr()?.to_string()) } else { None };
    if cursor.take("USING") {
        cursor.ident()?;
    }
    // A spatial index says BOUNDING_BOX and CELLS_PER_OBJECT, which choose no rows either.
    if kind == 4 {
        tessellation(cursor)?;
    } else {
        options(cursor)?;
    }
    Ok(Ddl::CreateIndex { name, table, kind, unique, columns, include, filter })
}

fn tessellation(cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
    if cursor.take("WITH") {
        cursor.parenthesized()?;
    }
    filegroup(cursor)
}

/// WITH (…), as far as it changes nothing here, and ON filegroup.
fn options(cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
    if cursor.take("WITH") {
        crate::options::index(&cursor.parenthesized()?)?;
    }
    filegroup(cursor)
}

/// ON filegroup; a partition scheme, which names a column, is no filegroup.
fn filegroup(cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
    // ON DELETE and ON UPDATE belong to a foreign key that follows in the same column.
    if ["DELETE", "UPDATE"].contains(&cursor.peek_nth(1).as_str()) {
        return Ok(());
    }
    if cursor.take("ON") || cursor.take("TEXTIMAGE_ON") {
        let name = cursor.ident()?;
        if cursor.parser.peek_token().token == Token::LParen {
            return Err(unsupported(&format!("the partition scheme {name}")));
        }
    }
    Ok(())
}

/// The names of a list in parentheses.
pub fn names(cursor: &mut Cursor<'_>) -> Result<Vec<String>, SqlError> {
    Ok(key_columns(cursor)?.into_iter().map(|(name, _)| name).collect())
}

/// `(a, b DESC)`: names, and whether they descend.
fn key_columns(cursor: &mut Cursor<'_>) -> Result<Vec<(String, bool)>, SqlError> {
    cursor.expect_token(&Token::LParen)?;
    let mut columns = Vec::new();
    loop {
        let name = cursor.ident()?;
        let descending = cursor.take("DESC");
        cursor.take("ASC");
        columns.push((name, descending));
        if cursor.parser.consume_token(&Token::RParen) {
            return Ok(columns);
        }
        cursor.expect_token(&Token::Comma)?;
    }
}

fn view(cursor: &mut Cursor<'_>) -> Result<Ddl, SqlError> {
    let name = cursor.object()?;
    let columns = if cursor.parser.peek_token().token == Token::LParen { names(cursor)? } else { Vec::new() };
    if cursor.take("WITH") && !cursor.take("SCHEMABINDING") {
        return Err(unsupported(&format!("CREATE VIEW … WITH {}", cursor.peek_word())));
    }
    cursor.expect("AS")?;
    let query = cursor.parser.parse_query().map_err(|failure| crate::error::syntax(&failure.to_string()))?;
    Ok(Ddl::CreateView { name, columns, text: query.to_string() })
}

fn table(cursor: &mut Cursor<'_>) -> Result<Ddl, SqlError> {
    let name = cursor.object()?;
    // An edge needs no columns of its own.
    let (mut columns, constraints, period) =
        if cursor.peek_word() == "AS" { (Vec::new(), Vec::new(), None) } else { body(cursor)? };
    let graph = graph_kind(cursor)?;
    if let Some(kind) = graph {
        columns.splice(0..0, crate::graph::columns(kind, &name));
    }
    let mut options = crate::options::TableOptions::default();
    loop {
        if cursor.take("WITH") {
            crate::options::table(&cursor.parenthesized()?, &mut options)?;
        } else if ["ON", "TEXTIMAGE_ON"].contains(&cursor.peek_word().as_str()) {
            filegroup(cursor)?;
        } else {
            break;
        }
    }
    crate::temporal::check_period(&name.1, &columns, period.as_deref())?;
    let crate::options::TableOptions { versioned, history, memory } = options;
    Ok(Ddl::CreateTable { name, columns, constraints, versioned, history, memory, graph })
}

/// Columns, constraints and the period.
type Body = (Vec<ColumnDef>, Vec<Constraint>, Option<Vec<String>>);

fn body(cursor: &mut Cursor<'_>) -> Result<Body, SqlError> {
    let (mut columns, mut constraints, mut period): Body = (Vec::new(), Vec::new(), None);
    cursor.expect_token(&Token::LParen)?;
    loop {
        if cursor.take("PERIOD FOR SYSTEM_TIME") {
            period = Some(names(cursor)?);
        } else if let Some(found) = constraint(cursor, None)? {
            constraints.push(found);
        } else {
            let (column, own) = column(cursor)?;
            columns.push(column);
            constraints.extend(own);
        }
        if cursor.parser.consume_token(&Token::RParen) {
            break;
        }
        cursor.expect_token(&Token::Comma)?;
        if cursor.parser.consume_token(&Token::RParen) {
            break;
        }
    }
    Ok((columns, constraints, period))
}

fn graph_kind(cursor: &mut Cursor<'_>) -> Result<Option<crate::graph::Kind>, SqlError> {
    Ok(if !cursor.take("AS") {
        None
    } else if cursor.take("NODE") {
        Some(crate::graph::Kind::Node)
    } else {
        cursor.expect("EDGE")?;
        Some(crate::graph::Kind::Edge)
    })
}

/// A column and the constraints written with it.
fn column(cursor: &mut Cursor<'_>) -> Result<(ColumnDef, Vec<Constraint>), SqlError> {
    let mut found = ColumnDef { name: cursor.ident()?, ..ColumnDef::default() };
    let mut constraints = Vec::new();
    if cursor.take("AS") {
        found.computed = Some(format!("({})", cursor.parenthesized()?));
        found.persisted = cursor.take("PERSISTED");
    } else {
        found.type_text = cursor.type_text()?;
    }
    loop {
        if cursor.take("NOT NULL") {
            found.nullable = Some(false);
        } else if cursor.take("NULL") {
            found.nullable = Some(true);
        } else if cursor.take("COLLATE") {
            found.collation = Some(cursor.ident()?);
        } else if cursor.take("IDENTITY") {
            found.identity = Some((1, 1));
            if cursor.parser.peek_token().token == Token::LParen {
                let text = cursor.parenthesized()?.replace(' ', "");
                let (seed, step) = text.split_once(',').unwrap_or((&text, "1"));
                found.identity =
                    Some((seed.parse().map_err(|_| cursor.here())?, step.parse().map_err(|_| cursor.here())?));
            }
        } else if cursor.take("MASKED WITH") {
            let text = cursor.parenthesized()?;
            found.masked = text.split('\'').nth(1).map(str::to_owned);
        } else if cursor.take("ENCRYPTED WITH") {
            cursor.parenthesized()?;
            found.encrypted = true;
        } else if cursor.take("GENERATED ALWAYS AS ROW") {
            found.generated = if cursor.take("START") { 1 } else { cursor.expect("END").map(|()| 2)? };
            found.nullable = Some(false);
        } else if cursor.take("HIDDEN") {
            found.hidden = true;
        } else if cursor.take("SPARSE") {
            found.sparse = true;
        } else if cursor.take("ROWGUIDCOL") {
            found.rowguid = true;
        } else if let Some(own) = constraint(cursor, Some(&mut found))? {
            constraints.push(own);
        } else {
            return Ok((found, constraints));
        }
    }
}

/// A constraint, of the table or of the column just read; DEFAULT goes into the column.
fn constraint(cursor: &mut Cursor<'_>, mut column: Option<&mut ColumnDef>) -> Result<Option<Constraint>, SqlError> {
    let name = if cursor.take("CONSTRAINT") { Some(cursor.ident()?) } else { None };
    let own = column.as_ref().map(|column| column.name.clone());
    let primary = cursor.take("PRIMARY KEY");
    if primary || cursor.take("UNIQUE") {
        let clustered =
            if cursor.take("CLUSTERED") { Some(true) } else { cursor.take("NONCLUSTERED").then_some(false) };
        let columns = match (&own, cursor.parser.peek_token().token) {
            (None, _) => key_columns(cursor)?,
            (Some(own), _) => vec![(own.clone(), false)],
        };
        options(cursor)?;
        return Ok(Some(Constraint::Key { name, primary, clustered, columns }));
    }
    if cursor.take("CHECK") {
        return Ok(Some(Constraint::Check { name, text: format!("({})", cursor.parenthesized()?) }));
    }
    if cursor.take("DEFAULT") {
        let text = if cursor.parser.peek_token().token == Token::LParen {
            format!("({})", cursor.parenthesized()?)
        } else {
            let expr = cursor.parser.parse_subexpr(15).map_err(|failure| crate::error::syntax(&failure.to_string()))?;
            expr.to_string()
        };
        if let Some(column) = column.as_mut() {
            column.default = Some((name, text));
            // The column's loop goes on: a default is no constraint of the table.
            return constraint(cursor, Some(column));
        }
        cursor.expect("FOR")?;
        return Ok(Some(Constraint::Default { name, column: cursor.ident()?, text }));
    }
    if cursor.take("FOREIGN KEY") || cursor.peek_word() == "REFERENCES" {
        let columns = match own {
            Some(own) => vec![own],
            None => names(cursor)?,
        };
        cursor.expect("REFERENCES")?;
        let table = cursor.object()?;
        let referenced = if cursor.parser.peek_token().token == Token::LParen { names(cursor)? } else { Vec::new() };
        let (mut on_delete, mut on_update) = (0, 0);
        loop {
            if cursor.take("ON DELETE") {
                on_delete = action(cursor)?;
            } else if cursor.take("ON UPDATE") {
                on_update = action(cursor)?;
            } else {
                return Ok(Some(Constraint::Foreign { name, columns, table, referenced, on_delete, on_update }));
            }
        }
    }
    if name.is_some() { Err(cursor.here()) } else { Ok(None) }
}

fn action(cursor: &mut Cursor<'_>) -> Result<i64, SqlError> {
    for (words, code) in [("NO ACTION", 0), ("CASCADE", 1), ("SET NULL", 2), ("SET DEFAULT", 3)] {
        if cursor.take(words) {
            return Ok(code);
        }
    }
    Err(cursor.here())
}

fn alter(cursor: &mut Cursor<'_>) -> Result<Ddl, SqlError> {
    if cursor.take("DATABASE") {
        let name = cursor.ident()?;
        cursor.expect("SET")?;
        let option = cursor.ident()?.to_uppercase();
        if option == "CHANGE_TRACKING" {
            return crate::tracking_ddl::of_database(cursor, name);
        }
        let on = match cursor.peek_word().as_str() {
            "ON" => true,
            "OFF" => false,
            other => return Err(unsupported(&format!("ALTER DATABASE … SET {option} {other}"))),
        };
        cursor.parser.next_token();
        // Nobody is in the way of a setting here.
        if cursor.take("WITH") && !cursor.take("ROLLBACK IMMEDIATE") {
            cursor.expect("NO_WAIT")?;
        }
        return Ok(Ddl::AlterDatabase { name, option, on });
    }
    cursor.expect("TABLE")?;
    let table = cursor.object()?;
    if cursor.take("WITH NOCHECK") {
        return Err(unsupported("ALTER TABLE … WITH NOCHECK"));
    }
    if cursor.take("WITH CHECK") || cursor.peek_word() == "ADD" {
        cursor.expect("ADD")?;
        let (mut columns, mut constraints, mut period): (Vec<ColumnDef>, _, _) = (Vec::new(), Vec::new(), None);
        loop {
            if cursor.take("PERIOD FOR SYSTEM_TIME") {
                period = Some(names(cursor)?);
            } else if let Some(found) = constraint(cursor, None)? {
                constraints.push(found);
            } else {
                let (found, own) = column(cursor)?;
                columns.push(found);
                constraints.extend(own);
            }
            if !cursor.parser.consume_token(&Token::Comma) {
                crate::temporal::check_period(&table.1, &columns, period.as_deref())?;
                return Ok(Ddl::AddColumns { table, columns, constraints });
            }
        }
    }
    if cursor.take("SET") {
        let mut options = crate::options::TableOptions::default();
        for (name, value) in crate::options::pairs(&cursor.parenthesized()?) {
            if name != "SYSTEM_VERSIONING" {
                return Err(unsupported(&format!("ALTER TABLE … SET ({name} = {value})")));
            }
            (options.versioned, options.history) = crate::options::versioning(&value)?;
        }
        return Ok(Ddl::SetVersioning { table, on: options.versioned, history: options.history });
    }
    if let Some(tracking) = crate::tracking_ddl::of_table(cursor, &table)? {
        return Ok(tracking);
    }
    if cursor.take("DROP PERIOD FOR SYSTEM_TIME") {
        return Ok(Ddl::DropPeriod(table));
    }
    if cursor.take("ALTER COLUMN") {
        return Ok(Ddl::AlterColumn { table, column: column(cursor)?.0 });
    }
    if cursor.take("DROP COLUMN") {
        return Ok(Ddl::DropColumn { table, column: cursor.ident()? });
    }
    if cursor.take("DROP CONSTRAINT") {
        return Ok(Ddl::DropConstraint { table, name: cursor.ident()? });
    }
    Err(unsupported(&format!("ALTER TABLE … {}", cursor.peek_word())))
}

fn drop(cursor: &mut Cursor<'_>) -> Result<Ddl, SqlError> {
    let kind = cursor.ident()?.to_uppercase();
    let if_exists = cursor.take("IF EXISTS");
    if kind == "DATABASE" {
        return Ok(Ddl::DropDatabase(cursor.ident()?, if_exists));
    }
    if kind == "INDEX" {
        let name = cursor.ident()?;
        cursor.expect("ON")?;
        return Ok(Ddl::DropIndex { name, table: cursor.object()? });
    }
    if kind != "TABLE" && kind != "VIEW" {
        return Err(unsupported(&format!("DROP {kind}")));
    }
    let mut names = vec![cursor.object()?];
    while cursor.parser.consume_token(&Token::Comma) {
        names.push(cursor.object()?);
    }
    Ok(Ddl::Drop { kind, names, if_exists })
}
