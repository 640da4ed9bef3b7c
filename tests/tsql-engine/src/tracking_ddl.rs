//! The definitions of Change Tracking: for a database ("ALTER DATABASE SET options") and for a table ("ALTER TABLE").

use std::sync::Arc;

use sqlparser::tokenizer::Token;

use crate::ddl_ast::Ddl;
use crate::error::{error, unsupported};
use crate::options::pairs;
use crate::script::Cursor;
use crate::session::Session;
use crate::tracking::{self, Options};
use crate::value::SqlError;

/// A database's change of its tracking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    On(Wanted),
    Off,
    /// Other options of what is on.
    Options(Wanted),
}

/// The options that a statement names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// A number and its unit.
    retention: Option<(i64, i64)>,
    auto_cleanup: Option<bool>,
}

/// Units of time: the word, the number in the catalog, and the minutes.
const UNITS: [(&str, i64, i64); 3] = [("MINUTES", 1, 1), ("HOURS", 2, 60), ("DAYS", 3, 1440)];

/// What follows `ALTER DATABASE name SET CHANGE_TRACKING`.
pub fn of_database(cursor: &mut Cursor<'_>, name: String) -> Result<Ddl, SqlError> {
    let change = if cursor.parser.consume_token(&Token::Eq) {
        if cursor.take("OFF") {
            Change::Off
        } else {
            cursor.expect("ON")?;
            let listed = cursor.parser.peek_token().token == Token::LParen;
            Change::On(if listed { wanted(cursor)? } else { Wanted::default() })
        }
    } else {
        Change::Options(wanted(cursor)?)
    };
    if cursor.parser.peek_token().token == Token::Comma {
        return Err(error(
            22114,
            "Change tracking options for ALTER DATABASE cannot be combined with other ALTER DATABASE options.",
        ));
    }
    Ok(Ddl::TrackDatabase { name, change })
}

fn wanted(cursor: &mut Cursor<'_>) -> Result<Wanted, SqlError> {
    let mut wanted = Wanted::default();
    let twice = |option: &str| SqlError {
        class: 15,
        ..error(
            5091,
            format!(
                "ALTER DATABASE change tracking option '{option}' was specified more than once. Each option can be specified only once."
            ),
        )
    };
    for (name, value) in pairs(&cursor.parenthesized()?) {
        let upper = value.to_uppercase();
        match (name.as_str(), upper.as_str()) {
            ("AUTO_CLEANUP", "ON" | "OFF") => {
                if wanted.auto_cleanup.replace(upper == "ON").is_some() {
                    return Err(twice("AUTO_CLEANUP"));
                }
            }
            ("CHANGE_RETENTION", _) => {
                if wanted.retention.replace(period(&upper)?).is_some() {
                    return Err(twice("CHANGE_RETENTION"));
                }
            }
            _ => return Err(crate::error::syntax(&name)),
        }
    }
    Ok(wanted)
}

fn period(text: &str) -> Result<(i64, i64), SqlError> {
    let (number, unit) = text.split_once(' ').ok_or_else(|| crate::error::syntax(text))?;
    let number: i64 = number.parse().map_err(|_| crate::error::syntax(number))?;
    let unit = unit.trim();
    let Some((_, code, minutes)) = UNITS.into_iter().find(|(word, ..)| *word == unit) else {
        return Err(SqlError {
            class: 15,
            ..error(155, format!("'{unit}' is not a recognized CHANGE_RETENTION UNIT option."))
        });
    };
    let most = i64::from(i32::MAX);
    if !(1..=most).contains(&(number * minutes)) {
        return Err(SqlError {
            class: 15,
            ..error(
                5092,
                format!(
                    "The value for change tracking option 'CHANGE_RETENTION' is not valid. The value must be between 1 and {most} minutes."
                ),
            )
        });
    }
    Ok((number, code))
}

/// `ENABLE CHANGE_TRACKING [WITH (TRACK_COLUMNS_UPDATED = ON | OFF)]` or `DISABLE CHANGE_TRACKING`; `None` for anything else.
pub fn of_table(cursor: &mut Cursor<'_>, table: &(String, String)) -> Result<Option<Ddl>, SqlError> {
    let table = table.clone();
    if cursor.take("DISABLE CHANGE_TRACKING") {
        return Ok(Some(Ddl::TrackTable { table, on: false, columns_updated: false }));
    }
    if !cursor.take("ENABLE CHANGE_TRACKING") {
        return Ok(None);
    }
    let mut columns_updated = false;
    if cursor.take("WITH") {
        for (name, value) in pairs(&cursor.parenthesized()?) {
            match (name.as_str(), value.to_uppercase().as_str()) {
                ("TRACK_COLUMNS_UPDATED", "ON") => columns_updated = true,
                ("TRACK_COLUMNS_UPDATED", "OFF") => columns_updated = false,
                _ => return Err(crate::error::syntax(&value)),
            }
        }
    }
    Ok(Some(Ddl::TrackTable { table, on: true, columns_updated }))
}

/// Changes how a database tracks.
pub fn change_database(session: &mut Session, name: &str, change: Change) -> Result<(), SqlError> {
    if session.transactions() > 0 {
        return Err(error(226, "ALTER DATABASE statement not allowed within multi-statement transaction."));
    }
    let Some(found) = session.instance.database(name) else {
        // The error of a database that is missing.
        return session.instance.alter_database(name, |_| {});
    };
    if found.id < 5 {
        return Err(error(
            5090,
            format!(
                "Database '{name}' is a system database. Change tracking settings cannot be modified for system databases."
            ),
        ));
    }
    if found.id == session.database_id {
        return session.define(&[], |session| apply(session, change));
    }
    let mut there = Session::internal(Arc::clone(&session.instance), name)?;
    there.define(&[], |session| apply(session, change))
}

fn apply(session: &Session, change: Change) -> Result<(), SqlError> {
    let (connection, name) = (&session.connection, session.database());
    let now = tracking::options(connection)?;
    let off = || {
        error(
            5089,
            format!(
                "Change tracking is disabled for database '{name}'. Change tracking must be enabled on a database to modify change tracking settings."
            ),
        )
    };
    let options = match change {
        Change::On(_) if now.is_some() => {
            return Err(error(5088, format!("Change tracking is already enabled for database '{name}'.")));
        }
        Change::On(wanted) => Some(with(Options::default(), wanted)),
        Change::Options(wanted) => Some(with(now.ok_or_else(off)?, wanted)),
        Change::Off if now.is_none() => return Err(off()),
        Change::Off if !tracking::tracked(connection)?.is_empty() => {
            return Err(error(
                22115,
                format!(
                    "Change tracking is enabled for one or more tables in database '{name}'. Disable change tracking on each table \
                     before disabling it for the database. Use the sys.change_tracking_tables catalog view to obtain a list of \
                     tables for which change tracking is enabled."
                ),
            ));
        }
        Change::Off => None,
    };
    tracking::set_options(connection, options)
}

fn with(options: Options, wanted: Wanted) -> Options {
    let (retention, units) = wanted.retention.unwrap_or((options.retention, options.units));
    Options { retention, units, auto_cleanup: wanted.auto_cleanup.unwrap_or(options.auto_cleanup) }
}

/// A tracked table needs its primary key.
pub fn refuse_dropped_key(session: &Session, table: &crate::catalog::Table, name: &str) -> Result<(), SqlError> {
    if !tracking::is_tracked(&session.connection, table)? {
        return Ok(());
    }
    Err(error(
        3735,
        format!(
            "The primary key constraint '{name}' on table '{}' cannot be dropped because change tracking is enabled on the table. \
             Change tracking requires a primary key constraint on the table. Disable change tracking before dropping the constraint.",
            table.name
        ),
    ))
}

/// Refuses a change of the definition that Change Tracking does not allow.
pub fn refuse_key_change(session: &Session, table: &crate::catalog::Table, column: &str) -> Result<(), SqlError> {
    let connection = &session.connection;
    if tracking::is_tracked(connection, table)?
        && tracking::key_columns(connection, table)?.iter().any(|key| crate::bind::same(&key.name, column))
    {
        return Err(unsupported(&format!("a change of the key column {column} of the tracked table {}", table.name)));
    }
    Ok(())
}
