//! GRANT, DENY and REVOKE.

use sqlparser::tokenizer::Token;

use crate::ddl_ast::Ddl;
use crate::ddl_parse::names;
use crate::error::unsupported;
use crate::permissions::Securable;
use crate::script::Cursor;
use crate::value::SqlError;

/// What follows the verb.
pub fn permission(cursor: &mut Cursor<'_>, verb: &str) -> Result<Ddl, SqlError> {
    let mut words = Vec::new();
    while !["ON", "TO", "FROM", ""].contains(&cursor.peek_word().as_str()) {
        words.push(cursor.ident()?.to_uppercase());
    }
    let permission = words.join(" ");
    let on = if cursor.take("ON") { securable(cursor, &permission)? } else { Securable::Database };
    if !cursor.take("TO") {
        cursor.expect("FROM")?;
    }
    let grantee = cursor.ident()?;
    Ok(Ddl::Permission { deny: verb == "DENY", revoke: verb == "REVOKE", permission, on, grantee })
}

/// What follows ON: a name, with its class before it where it is no object, and columns behind it.
fn securable(cursor: &mut Cursor<'_>, permission: &str) -> Result<Securable, SqlError> {
    let (first, second) = cursor.object()?;
    // `TYPE::dbo` came as one word.
    let mut parts = [first, second];
    let leading = usize::from(!parts[0].contains("::"));
    let (class, rest) = match parts[leading].split_once("::") {
        Some((class, rest)) => (class.to_uppercase(), rest.to_owned()),
        None => ("OBJECT".to_owned(), parts[leading].clone()),
    };
    parts[leading] = rest;
    let [schema, name] = parts;
    match class.as_str() {
        "SCHEMA" => Ok(Securable::Schema(name)),
        "TYPE" => Ok(Securable::Type((schema, name))),
        "OBJECT" => {
            let name = (schema, name);
            let listed = cursor.parser.peek_token().token == Token::LParen;
            let columns = if listed { names(cursor)? } else { Vec::new() };
            if listed && permission != "UNMASK" {
                return Err(unsupported(&format!("{permission} on columns")));
            }
            Ok(Securable::Object { name, columns })
        }
        other => Err(unsupported(&format!("permissions on {other}::"))),
    }
}
