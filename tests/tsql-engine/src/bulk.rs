//! INSERT BULK: a statement that says where rows go, and the rows, which come in the protocol's own form.

use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::bind::{Bound, same};
use crate::catalog::{Table, TableColumn};
use crate::dml::{Rows, store_rows};
use crate::error::{error, unsupported};
use crate::script::{Cursor, DIALECT};
use crate::session::Session;
use crate::value::{Column, SqlError, Value};

/// Rows in one statement of SQLite's.
const AT_ONCE: usize = 200;

/// Where the rows of a bulk load go.
#[derive(Debug, Clone)]
pub struct Bulk {
    table: Vec<String>,
    /// Empty for all.
    columns: Vec<String>,
    keep_nulls: bool,
    check_constraints: bool,
}

impl Bulk {
    /// Whether a batch is an INSERT BULK.
    pub fn begins(sql: &str) -> bool {
        let mut words = sql.split_whitespace();
        let mut is = |word: &str| words.next().is_some_and(|own| own.eq_ignore_ascii_case(word));
        is("insert") && is("bulk")
    }
}

fn parse(sql: &str) -> Result<Bulk, SqlError> {
    let mut cursor = Cursor { parser: Parser::new(&DIALECT).with_tokens_with_locations(crate::tokens::tokens(sql)?) };
    cursor.expect("INSERT BULK")?;
    let mut bulk = Bulk { table: cursor.names()?, columns: Vec::new(), keep_nulls: false, check_constraints: false };
    if cursor.parser.consume_token(&Token::LParen) {
        loop {
            bulk.columns.push(cursor.ident()?);
            cursor.type_text()?;
            if cursor.take("COLLATE") {
                cursor.ident()?;
            }
            if !cursor.parser.consume_token(&Token::Comma) {
                break;
            }
        }
        cursor.expect_token(&Token::RParen)?;
    }
    if cursor.take("WITH") {
        for (name, value) in crate::options::pairs(&cursor.parenthesized()?) {
            let word = name.split(' ').next().unwrap_or_default();
            match word {
                "KEEP_NULLS" => bulk.keep_nulls = true,
                "CHECK_CONSTRAINTS" => bulk.check_constraints = true,
                // How the rows are written, and an order that they are said to have.
                "TABLOCK" | "ROWS_PER_BATCH" | "KILOBYTES_PER_BATCH" | "ORDER" => {}
                _ => return Err(unsupported(&format!("INSERT BULK … WITH ({name} = {value})"))),
            }
        }
    }
    cursor.skip_semicolons();
    if cursor.parser.peek_token().token == Token::EOF { Ok(bulk) } else { Err(cursor.here()) }
}

impl Session {
    /// INSERT BULK: the table and the columns must exist before rows come.
    pub fn begin_bulk(&mut self, sql: &str) -> Result<Bulk, SqlError> {
        self.instance.note(sql);
        let bulk = parse(sql)?;
        let table = crate::dml::find_stored(self, &bulk.table)?;
        columns_of(&bulk, &table)?;
        if !bulk.check_constraints && self.has_checks(&table)? {
            return Err(unsupported(&format!("INSERT BULK into {} without CHECK_CONSTRAINTS", table.name)));
        }
        Ok(bulk)
    }

    /// The rows of a bulk load, all of them or none; how many they were.
    pub fn load(&mut self, bulk: &Bulk, given: &[Column], rows: Vec<Vec<Value<'static>>>) -> Result<u64, SqlError> {
        let result = self.change(|session| session.load_rows(bulk, given, &rows));
        let result = self.suspend().and(result);
        let result = self.changed(result);
        if let Err(failure) = &result {
            self.settings.last_error = failure.number;
        }
        result
    }

    fn load_rows(&mut self, bulk: &Bulk, given: &[Column], rows: &[Vec<Value<'static>>]) -> Result<u64, SqlError> {
        let table = crate::dml::find_stored(self, &bulk.table)?;
        let columns = columns_of(bulk, &table)?;
        if columns.len() != given.len() {
            return Err(error(4836, "The bulk load's rows have other columns than its statement."));
        }
        let defaults = self.defaults(bulk, &columns)?;
        let mut count = 0;
        for rows in rows.chunks(AT_ONCE) {
            let mut bound = Vec::new();
            for row in rows {
                let cells = row.iter().cloned().zip(given).zip(&defaults).map(|((value, column), default)| {
                    match (value, default) {
                        (Value::Null, Some(default)) => default.clone(),
                        (value, _) => Bound::constant(value, column.sql_type.clone()),
                    }
                });
                bound.push(cells.collect());
            }
            count += store_rows(self, &table, &columns, Rows::Bound(bound))?;
        }
        Ok(count)
    }

    /// Whether the table has checks or foreign keys, which a bulk load passes by unless it says otherwise.
    fn has_checks(&self, table: &Table) -> Result<bool, SqlError> {
        let sql =
            format!("SELECT count(*) FROM {}\"$objects\" WHERE parent = ?1 AND type IN ('C', 'F')", table.place.at);
        let count: i64 = self.connection.query_row(&sql, [table.id], |row| row.get(0))?;
        Ok(count > 0)
    }

    /// What stands for NULL in each column: its default, unless NULLs are kept.
    fn defaults(&self, bulk: &Bulk, columns: &[&TableColumn]) -> Result<Vec<Option<Bound>>, SqlError> {
        let env = self.env();
        let binder = crate::bind::Binder::new(&env);
        columns
            .iter()
            .map(|column| match &column.default {
                Some(_) if !bulk.keep_nulls => crate::dml::default_of(&binder, column).map(Some),
                _ => Ok(None),
            })
            .collect()
    }
}

fn columns_of<'t>(bulk: &Bulk, table: &'t Table) -> Result<Vec<&'t TableColumn>, SqlError> {
    if bulk.columns.is_empty() {
        return Ok(table.columns.iter().filter(|column| column.computed.is_none()).collect());
    }
    bulk.columns
        .iter()
        .map(|name| {
            table
                .columns
                .iter()
                .find(|column| same(&column.name, name))
                .ok_or_else(|| error(207, format!("Invalid column name '{name}'.")))
        })
        .collect()
}
