//! System procedures that define something, as the definitions that they stand for.

use sqlparser::tokenizer::Token;

use crate::ddl_ast::Ddl;
use crate::error::{error, syntax, unsupported};
use crate::script::Cursor;
use crate::value::SqlError;

/// What an alias type may be based on ("sp_addtype (Transact-SQL)"). `CREATE TYPE` takes more.
const BASES: [&str; 24] = [
    "bigint",
    "binary",
    "bit",
    "char",
    "datetime",
    "decimal",
    "float",
    "image",
    "int",
    "money",
    "nchar",
    "ntext",
    "numeric",
    "nvarchar",
    "real",
    "smalldatetime",
    "smallint",
    "smallmoney",
    "sql_variant",
    "text",
    "tinyint",
    "uniqueidentifier",
    "varbinary",
    "varchar",
];

/// `EXEC sp_addtype [@typename =] type, [@phystype =] base [, [@nulltype =] 'NULL' | 'NOT NULL' | 'NONULL']`; its arguments come next.
pub fn add_type(cursor: &mut Cursor<'_>) -> Result<Ddl, SqlError> {
    let [name, base, nulls] = arguments(cursor, ["@typename", "@phystype", "@nulltype"])?;
    let missing = |name: &str| {
        error(201, format!("Procedure or function 'sp_addtype' expects parameter '{name}', which was not supplied."))
    };
    let (name, base) = (name.ok_or_else(|| missing("@typename"))?, base.ok_or_else(|| missing("@phystype"))?);
    let kind = base.split('(').next().unwrap_or(&base).trim().to_lowercase();
    if !BASES.contains(&kind.as_str()) {
        return Err(error(15036, format!("The data type '{base}' does not exist or you do not have permission.")));
    }
    let nullable = match nulls.map(|word| word.to_uppercase()).as_deref() {
        // Without a word the session's default decides, which is NULL here; a bit is NOT NULL.
        None => kind != "bit",
        Some("NULL") => true,
        Some("NOT NULL" | "NONULL") => false,
        Some(_) => return Err(error(15085, "Usage: sp_addtype name, 'data type' [,'NULL' | 'NOT NULL']")),
    };
    Ok(Ddl::CreateType { name: ("dbo".to_owned(), name), base, nullable, assembly: false })
}

/// The values of a procedure's parameters, given by place or by name: constants, or words, which stand for themselves ("EXECUTE").
fn arguments<const N: usize>(cursor: &mut Cursor<'_>, names: [&str; N]) -> Result<[Option<String>; N], SqlError> {
    let mut values = [const { None }; N];
    let mut at = 0;
    loop {
        let named = names.iter().position(|name| cursor.peek_word().eq_ignore_ascii_case(name));
        let place = if let Some(place) = named {
            cursor.parser.next_token();
            cursor.expect_token(&Token::Eq)?;
            place
        } else {
            at
        };
        let Some(value) = values.get_mut(place) else {
            return Err(error(8144, "Procedure or function has too many arguments specified."));
        };
        *value = constant(cursor)?;
        at += 1;
        if !cursor.parser.consume_token(&Token::Comma) {
            return Ok(values);
        }
    }
}

fn constant(cursor: &mut Cursor<'_>) -> Result<Option<String>, SqlError> {
    match cursor.parser.next_token().token {
        Token::SingleQuotedString(text) | Token::NationalStringLiteral(text) => Ok(Some(text)),
        Token::Word(word) if word.value.starts_with('@') => {
            Err(unsupported(&format!("the variable {} as an argument of this procedure", word.value)))
        }
        Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("NULL") => Ok(None),
        Token::Word(word) => Ok(Some(word.value)),
        other => Err(syntax(&other.to_string())),
    }
}
