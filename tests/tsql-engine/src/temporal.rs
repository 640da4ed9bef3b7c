//! System-versioned tables: a period of two columns, and a history table that keeps what changes take away.

use rusqlite::params;

use crate::bind::{Binder, quote};
use crate::catalog::{self, Table};
use crate::ddl_ast::ColumnDef;
use crate::error::{error, unsupported};
use crate::session::Session;
use crate::types::type_text;
use crate::value::{SqlError, SqlType};

/// `$objects.temporal` of a history table.
const HISTORY: i64 = 1;
/// `$objects.temporal` of a table with a history.
pub const VERSIONED: i64 = 2;

/// Whether PERIOD FOR SYSTEM_TIME (…) and the columns agree.
pub fn check_period(table: &str, columns: &[ColumnDef], period: Option<&[String]>) -> Result<(), SqlError> {
    let generated = |kind: i64| columns.iter().find(|column| column.generated == kind).map(|column| &column.name);
    match (generated(1), generated(2), period) {
        (None, None, None) => Ok(()),
        (_, _, None) => {
            Err(error(13509, "Cannot create generated always column when SYSTEM_TIME period is not defined."))
        }
        (Some(start), Some(end), Some([first, second]))
            if crate::bind::same(start, first) && crate::bind::same(end, second) =>
        {
            Ok(())
        }
        _ => Err(unsupported(&format!(
            "a SYSTEM_TIME period of {table} whose columns are not its ROW START and ROW END"
        ))),
    }
}

/// SYSTEM_VERSIONING = ON: links the history table, and makes it where it is missing.
pub fn enable(session: &Session, table: &Table, history: Option<&(String, String)>) -> Result<(), SqlError> {
    let connection = &session.connection;
    let full = format!("{}.{}.{}", session.database(), table.schema, table.name);
    if !table.columns.iter().any(|column| column.generated > 0) {
        return Err(error(
            13510,
            "Cannot set SYSTEM_VERSIONING to ON when SYSTEM_TIME period is not defined and the LEDGER=ON option is not specified.",
        ));
    }
    let keys: i64 = connection.query_row(
        "SELECT count(*) FROM \"$indexes\" WHERE object_id = ?1 AND is_pk",
        [table.id],
        |row| row.get(0),
    )?;
    if keys == 0 {
        return Err(error(13553, format!("System versioned temporal table '{full}' must have primary key defined.")));
    }
    let name =
        history.cloned().unwrap_or_else(|| (table.schema.clone(), format!("MSSQL_TemporalHistoryFor_{}", table.id)));
    if catalog::find(connection, &name.0, &name.1)?.is_none() {
        let columns: Vec<ColumnDef> = table.columns.iter().map(kept_column).collect();
        crate::ddl::create_table(session, &name, &columns, &[])?;
    }
    let kept = crate::ddl::table(session, &name)?;
    let names = |table: &Table| table.columns.iter().map(|column| column.name.to_lowercase()).collect::<Vec<_>>();
    if names(&kept) != names(table) {
        return Err(unsupported(&format!("a history table whose columns are not those of {full}")));
    }
    connection.execute("UPDATE \"$objects\" SET temporal = ?2 WHERE object_id = ?1", [kept.id, HISTORY])?;
    connection.execute(
        "UPDATE \"$objects\" SET temporal = ?2, history = ?3 WHERE object_id = ?1",
        params![table.id, VERSIONED, kept.id],
    )?;
    Ok(())
}

/// SYSTEM_VERSIONING = OFF: two plain tables again.
pub fn disable(session: &Session, table: &Table) -> Result<(), SqlError> {
    for id in [Some(table.id), table.history].into_iter().flatten() {
        session
            .connection
            .execute("UPDATE \"$objects\" SET temporal = 0, history = NULL WHERE object_id = ?1", [id])?;
    }
    Ok(())
}

/// A column as the history has it: a value that was, without what made it.
fn kept_column(column: &crate::catalog::TableColumn) -> ColumnDef {
    let plain = match column.sql_type {
        SqlType::RowVersion => SqlType::Binary { len: 8 },
        ref other => other.clone(),
    };
    ColumnDef {
        name: column.name.clone(),
        type_text: type_text(&plain),
        collation: crate::types::collation_of(&column.sql_type).map(str::to_owned),
        nullable: Some(column.nullable),
        ..ColumnDef::default()
    }
}

/// The history of a table, where it has one.
pub fn history(session: &Session, table: &Table) -> Result<Option<Table>, SqlError> {
    let Some(id) = table.history.filter(|_| table.temporal == VERSIONED) else { return Ok(None) };
    let at = &table.place.at;
    let (schema, name): (String, String) = session.connection.query_row(
        &format!(
            "SELECT s.name, o.name FROM {at}\"$objects\" o JOIN {at}\"$schemas\" s USING (schema_id) WHERE object_id = ?1"
        ),
        [id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    catalog::find_at(&session.connection, &table.place, &schema, &name)
}

/// Keeps the rows that a change is about to take away; `condition` is its WHERE, or nothing.
pub fn keep(session: &Session, table: &Table, now: &str, condition: &str) -> Result<(), SqlError> {
    let Some(history) = history(session, table)? else { return Ok(()) };
    let names: Vec<String> = history.columns.iter().map(|column| quote(&column.name)).collect();
    let values: Vec<String> = table
        .columns
        .iter()
        .map(|column| if column.generated == 2 { now.to_owned() } else { quote(&column.name) })
        .collect();
    session.connection.execute(
        &format!(
            "INSERT INTO {}({},{}) SELECT next_row(),{} FROM {}{condition}",
            history.stored(),
            crate::writes::row_number(history.columns.iter().map(|column| column.name.as_str())),
            names.join(","),
            values.join(","),
            table.stored()
        ),
        [],
    )?;
    Ok(())
}

/// This moment, as the period's columns take it.
pub fn now(binder: &Binder<'_>, table: &Table) -> Result<Option<String>, SqlError> {
    let Some(column) = table.columns.iter().find(|column| column.generated == 1) else { return Ok(None) };
    let moment = binder.scalar("sysutcdatetime", &[])?;
    Ok(Some(binder.cast(moment, &column.sql_type)?.sql))
}

/// A history is written by the server alone.
pub fn refuse_change(table: &Table, verb: &str) -> Result<(), SqlError> {
    if table.temporal != HISTORY {
        return Ok(());
    }
    let full = format!("{}.{}", table.schema, table.name);
    Err(match verb {
        "insert" => error(13559, format!("Cannot insert rows in a temporal history table '{full}'.")),
        "delete" => error(13560, format!("Cannot delete rows from a temporal history table '{full}'.")),
        _ => error(13561, format!("Cannot update rows in a temporal history table '{full}'.")),
    })
}

/// DROP and TRUNCATE want versioning OFF first.
pub fn refuse_while_versioned(table: &Table, verb: &str) -> Result<(), SqlError> {
    if table.temporal == 0 {
        return Ok(());
    }
    let full = format!("{}.{}", table.schema, table.name);
    Err(match verb {
        "DROP" => error(
            13552,
            format!(
                "Drop table operation failed on table '{full}' because it is not a supported operation on system-versioned temporal tables."
            ),
        ),
        "TRUNCATE" => error(
            13545,
            format!(
                "Truncate failed on table '{full}' because it is not a supported operation on system-versioned tables."
            ),
        ),
        other => unsupported(&format!("{other} of the system-versioned table {full}")),
    })
}

/// 13563: a history is not tracked.
pub fn refuse_tracking(session: &Session, table: &Table) -> Result<(), SqlError> {
    if table.temporal != HISTORY {
        return Ok(());
    }
    let full = format!("{}.{}.{}", session.database(), table.schema, table.name);
    Err(error(13563, format!("Enabling Change Tracking for a temporal history table '{full}' is not allowed.")))
}
