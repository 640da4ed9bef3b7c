//! Change Tracking: what is tracked, and what each committed transaction leaves ("About Change Tracking", "CHANGETABLE").
//!
//! Each tracked table has a log, `$changes.<object_id>`: one row for each key that a transaction changed, with the version that the
//! transaction got when it committed. Not as SQL Server has it: versions have no gaps, nothing is removed by time (`clean_up` is called
//! by tests), and a row that a transaction both inserts and deletes leaves a trace only where its key is SQLite's row number.

use std::collections::{BTreeMap, HashSet};

use rusqlite::types::Value as Stored;
use rusqlite::{Connection, params, params_from_iter};

use crate::bind::{Binder, Bound, quote};
use crate::catalog::{self, Place, Table, TableColumn};
use crate::error::error;
use crate::session::Session;
use crate::value::{Len, SqlError, SqlType, Value};
use crate::writes::{Columns, TableName, Touch, bytes, cells, place_of, written_columns};

/// How the database tracks changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub retention: i64,
    /// 1 minutes, 2 hours, 3 days, as in sys.change_tracking_databases.
    pub units: i64,
    pub auto_cleanup: bool,
}

impl Default for Options {
    /// "The default CHANGE_RETENTION value is 2 days", AUTO_CLEANUP ON ("ALTER DATABASE SET options").
    fn default() -> Self {
        Self { retention: 2, units: 3, auto_cleanup: true }
    }
}

/// The log of a table.
pub fn log(place: &Place, table: i64) -> String {
    format!("{}\"$changes.{table}\"", place.at)
}

/// The last committed version of the database at a place; `None` where it tracks nothing.
pub fn current_version(connection: &Connection, at: &str) -> Result<Option<i64>, SqlError> {
    let sql = format!("SELECT {}", current_version_sql(at));
    Ok(connection.query_row(&sql, [], |row| row.get(0))?)
}

/// The same as SQLite's expression.
pub fn current_version_sql(at: &str) -> String {
    format!(
        "(SELECT value FROM {at}\"$counters\" WHERE name = 'change' AND EXISTS (SELECT 1 FROM {at}\"$tracking_database\"))"
    )
}

/// The options of the session's database; `None` where it tracks nothing.
pub fn options(connection: &Connection) -> Result<Option<Options>, SqlError> {
    let mut statement =
        connection.prepare_cached("SELECT retention, units, auto_cleanup FROM \"$tracking_database\"")?;
    let mut rows = statement.query([])?;
    Ok(match rows.next()? {
        Some(row) => Some(Options { retention: row.get(0)?, units: row.get(1)?, auto_cleanup: row.get(2)? }),
        None => None,
    })
}

/// Sets or forgets the options of the session's database.
pub fn set_options(connection: &Connection, options: Option<Options>) -> Result<(), SqlError> {
    connection.execute("DELETE FROM \"$tracking_database\"", [])?;
    if let Some(options) = options {
        connection.execute(
            "INSERT INTO \"$tracking_database\" VALUES (?1,?2,?3)",
            params![options.retention, options.units, options.auto_cleanup],
        )?;
    }
    Ok(())
}

/// The stored names of all tracked tables of the session's database, in lower case.
pub fn tracked(connection: &Connection) -> Result<HashSet<String>, SqlError> {
    let mut statement = connection.prepare_cached(
        "SELECT lower(s.name || '.' || o.name) FROM \"$tracking\" JOIN \"$objects\" o USING (object_id)
         JOIN \"$schemas\" s USING (schema_id)",
    )?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Whether a table is tracked.
pub fn is_tracked(connection: &Connection, table: &Table) -> Result<bool, SqlError> {
    let sql = format!("SELECT 1 FROM {}\"$tracking\" WHERE object_id = ?1", table.place.at);
    Ok(connection.prepare_cached(&sql)?.exists([table.id])?)
}

/// The columns of a table's primary key, in their order.
pub fn key_columns<'t>(connection: &Connection, table: &'t Table) -> Result<Vec<&'t TableColumn>, SqlError> {
    let at = &table.place.at;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT k.column_id FROM {at}\"$indexes\" i JOIN {at}\"$index_columns\" k USING (object_id, index_id)
         WHERE i.object_id = ?1 AND i.is_pk AND NOT k.included ORDER BY k.key_ordinal"
    ))?;
    let ids: Vec<i64> = statement.query_map([table.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(ids.iter().filter_map(|id| table.columns.iter().find(|column| column.id == *id)).collect())
}

/// A table by the name under which SQLite has it.
fn by_stored(connection: &Connection, place: &Place, stored: &str) -> Result<Option<Table>, SqlError> {
    let at = &place.at;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT s.name, o.name FROM {at}\"$objects\" o JOIN {at}\"$schemas\" s USING (schema_id)
         WHERE o.type = 'U' AND s.name || '.' || o.name = ?1 COLLATE NOCASE"
    ))?;
    let mut rows = statement.query([stored])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (schema, name): (String, String) = (row.get(0)?, row.get(1)?);
    catalog::find_at(connection, place, &schema, &name)
}

/// The unique indexes of a table but that of SQLite's row number: their ids, and their keys as SQLite's expressions. Filtered indexes
/// are left out: two transactions that insert the same key of one find out when the second commits.
pub fn unique_keys(session: &Session, place: &Place, stored: &str) -> Result<Vec<(i64, Vec<String>)>, SqlError> {
    let Some(table) = by_stored(&session.connection, place, stored)? else { return Ok(Vec::new()) };
    let number = number_column(&session.connection, stored)?;
    let mut statement = session.connection.prepare_cached(&format!(
        "SELECT i.index_id, k.column_id FROM {at}\"$indexes\" i JOIN {at}\"$index_columns\" k USING (object_id, index_id)
         WHERE i.object_id = ?1 AND i.is_unique AND i.filter IS NULL AND NOT k.included ORDER BY i.index_id, k.key_ordinal",
        at = place.at
    ))?;
    let pairs: Vec<(i64, i64)> =
        statement.query_map([table.id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let env = session.env();
    let binder = Binder::new(&env);
    let mut keys: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (index, id) in pairs {
        if let Some(column) = table.columns.iter().find(|column| column.id == id) {
            let bound = Bound::new(quote(&column.name), column.sql_type.clone());
            keys.entry(index).or_default().push(binder.key(&bound));
        }
    }
    keys.retain(|_, columns| number.as_ref().is_none_or(|number| *columns != [quote(number)]));
    Ok(keys.into_iter().collect())
}

/// The column that is SQLite's row number.
pub fn number_column(connection: &Connection, stored: &str) -> Result<Option<String>, SqlError> {
    let mut statement = connection.prepare_cached("SELECT name FROM pragma_table_info(?1) WHERE pk > 0")?;
    let mut rows = statement.query([stored])?;
    Ok(match rows.next()? {
        Some(row) => Some(row.get(0)?),
        None => None,
    })
}

/// ALTER TABLE … ENABLE CHANGE_TRACKING.
pub fn enable(session: &Session, table: &Table, columns_updated: bool) -> Result<(), SqlError> {
    let connection = &session.connection;
    let Some(version) = current_version(connection, "")? else {
        let (database, name) = (session.database(), &table.name);
        return Err(error(
            1718,
            format!(
                "Change tracking must be enabled on database '{database}' before it can be enabled on table '{name}'."
            ),
        ));
    };
    if is_tracked(connection, table)? {
        return Err(error(4996, format!("Change tracking is already enabled for table '{}'.", table.name)));
    }
    let keys = key_columns(connection, table)?;
    let refused =
        |number, why: &str| error(number, format!("Cannot enable change tracking on table '{}'. {why}", table.name));
    if keys.is_empty() {
        return Err(refused(
            4997,
            "Change tracking requires a primary key on the table. Create a primary key on the table before enabling change tracking.",
        ));
    }
    if keys.iter().any(|column| column.sql_type == SqlType::RowVersion) {
        return Err(refused(4999, "Change tracking does not support a primary key of type timestamp on a table."));
    }
    connection
        .execute("INSERT INTO \"$tracking\" VALUES (?1,?2,?3,?3,0)", params![table.id, columns_updated, version])?;
    let cells = |prefix: &str| (0..keys.len()).map(|at| format!(", {prefix}{at}")).collect::<String>();
    let name = log(&Place::default(), table.id);
    connection.execute_batch(&format!(
        "CREATE TABLE {name}(version INTEGER, existed INTEGER, present INTEGER, created INTEGER, mask BLOB, context BLOB{}{});
         CREATE INDEX {} ON {name}(version)",
        cells("k"),
        cells("g"),
        quote(&format!("$changes.{}/version", table.id))
    ))?;
    Ok(())
}

/// ALTER TABLE … DISABLE CHANGE_TRACKING.
pub fn disable(session: &Session, table: &Table) -> Result<(), SqlError> {
    if !is_tracked(&session.connection, table)? {
        return Err(error(4998, format!("Change tracking is not enabled on table '{}'.", table.name)));
    }
    forget(session, table)
}

/// Drops what is known of a table's changes.
pub fn forget(session: &Session, table: &Table) -> Result<(), SqlError> {
    session.connection.execute("DELETE FROM \"$tracking\" WHERE object_id = ?1", [table.id])?;
    Ok(session.connection.execute_batch(&format!("DROP TABLE IF EXISTS {}", log(&Place::default(), table.id)))?)
}

/// TRUNCATE TABLE: "the change tracking version information that is associated with the table is reset as if change tracking has just
/// been enabled on the table" ("CHANGETABLE").
pub fn truncated(session: &Session, table: &Table) -> Result<(), SqlError> {
    let connection = &session.connection;
    let Some(version) = current_version(connection, "")?.filter(|_| is_tracked(connection, table).unwrap_or(false))
    else {
        return Ok(());
    };
    connection.execute_batch(&format!("DELETE FROM {}", log(&Place::default(), table.id)))?;
    connection.execute(
        "UPDATE \"$tracking\" SET begin_version = ?2, min_valid = ?2 WHERE object_id = ?1",
        params![table.id, version],
    )?;
    Ok(())
}

/// A key that a transaction changed.
#[derive(Debug, Default)]
struct Change {
    existed: bool,
    present: bool,
    created: bool,
    columns: Columns,
    context: Option<Vec<u8>>,
    /// The key as it was spelled first, and as it is compared.
    key: Vec<Stored>,
    group: Vec<Stored>,
}

/// Gives a version to the transaction that is about to commit, where it changed a tracked table.
pub fn record(session: &mut Session) -> Result<(), SqlError> {
    let touched: Vec<(TableName, BTreeMap<i64, Touch>)> =
        session.writes.touched.iter().map(|(table, rows)| (table.clone(), rows.clone())).collect();
    let mut version = None;
    for ((database, stored), rows) in touched {
        let place = Place { at: place_of(&database), ..Place::default() };
        let Some(table) = by_stored(&session.connection, &place, &stored)? else { continue };
        if !is_tracked(&session.connection, &table)? {
            continue;
        }
        if database != "main" {
            return Err(crate::error::unsupported(&format!(
                "a change of {stored}, which is tracked, from another database"
            )));
        }
        let changes = changes(session, &table, &stored, &rows)?;
        if changes.is_empty() {
            continue;
        }
        let version = match version {
            Some(version) => version,
            None => *version.insert(catalog::next_counter(&session.connection, "", "change", 1)?),
        };
        write(&session.connection, &table, version, changes)?;
    }
    if let Some(version) = version {
        session.connection.execute("INSERT INTO \"$commits\"(version) VALUES (?1)", [version])?;
    }
    Ok(())
}

/// What the transaction did to the keys of a table: its rows as they were committed before, and as they are now.
fn changes(
    session: &mut Session,
    table: &Table,
    stored: &str,
    rows: &BTreeMap<i64, Touch>,
) -> Result<Vec<Change>, SqlError> {
    session.committed()?;
    let keys = key_columns(&session.connection, table)?;
    let number = written_columns(&session.connection, stored)?.1;
    let env = session.env();
    let binder = Binder::new(&env);
    let names: Vec<String> = keys.iter().map(|column| quote(&column.name)).collect();
    let compared =
        keys.iter().zip(&names).map(|(column, name)| binder.key(&Bound::new(name.clone(), column.sql_type.clone())));
    let list: Vec<String> = names.iter().cloned().chain(compared).collect();
    let (count, width) = (names.len(), list.len());
    let sql = format!("SELECT {} FROM {} WHERE {number} = ?1", list.join(","), quote(stored));
    let is_number = number_column(&session.connection, stored)?.is_some_and(|own| names == [quote(&own)]);
    let mut found: BTreeMap<Vec<u8>, Change> = BTreeMap::new();
    for (at, touch) in rows {
        let mut note = |row: Vec<Stored>, existed: bool, present: bool, created: bool, columns: Columns| {
            let group = row[count..].to_vec();
            let change = found.entry(bytes(&group)).or_default();
            if change.key.is_empty() || existed {
                change.key = row[..count].to_vec();
            }
            change.group = group;
            change.existed |= existed;
            change.present |= present;
            change.created |= created;
            change.columns = std::mem::take(&mut change.columns).with(&columns);
            change.context.clone_from(&touch.context);
        };
        let old = session.committed_cells(&sql, width, *at);
        let new = cells(&session.connection, &sql, width, *at)?;
        match (old, new) {
            (Some(old), Some(new)) if old[count..] == new[count..] => {
                let columns = if touch.inserted { Columns::All } else { touch.columns.clone() };
                note(old, true, true, touch.inserted, columns);
            }
            (None, None) if is_number => {
                note(vec![Stored::Integer(*at); 2], false, false, touch.inserted, Columns::None);
            }
            (old, new) => {
                if let Some(old) = old {
                    note(old, true, false, false, Columns::All);
                }
                if let Some(new) = new {
                    note(new, false, true, true, Columns::All);
                }
            }
        }
    }
    Ok(found.into_values().collect())
}

fn write(connection: &Connection, table: &Table, version: i64, changes: Vec<Change>) -> Result<(), SqlError> {
    let with_columns: bool =
        connection.query_row("SELECT columns FROM \"$tracking\" WHERE object_id = ?1", [table.id], |row| row.get(0))?;
    let name = log(&Place::default(), table.id);
    for change in changes {
        let is_update = change.existed && change.present && !change.created;
        let mask = match &change.columns {
            Columns::Some(ids) if with_columns && is_update => Stored::Blob(mask(ids)),
            _ => Stored::Null,
        };
        let mut row = vec![
            Stored::Integer(version),
            Stored::Integer(i64::from(change.existed)),
            Stored::Integer(i64::from(change.present)),
            Stored::Integer(i64::from(change.created)),
            mask,
            change.context.map_or(Stored::Null, Stored::Blob),
        ];
        row.extend(change.key);
        row.extend(change.group);
        let marks = vec!["?"; row.len()].join(",");
        connection.prepare_cached(&format!("INSERT INTO {name} VALUES ({marks})"))?.execute(params_from_iter(row))?;
    }
    Ok(())
}

/// The ids of columns as SYS_CHANGE_COLUMNS has them. "This binary value should not be interpreted directly" ("CHANGETABLE").
fn mask(ids: &[i64]) -> Vec<u8> {
    let mut mask = vec![0; 4];
    for id in ids {
        mask.extend_from_slice(&(*id as i32).to_le_bytes());
    }
    mask
}

/// WITH CHANGE_TRACKING_CONTEXT: 22109 where it is no varbinary of at most 128 bytes.
pub fn context(value: Value<'_>, sql_type: &SqlType) -> Result<Option<Vec<u8>>, SqlError> {
    match (value, sql_type) {
        (Value::Binary(bytes), SqlType::Binary { len } | SqlType::VarBinary { len: Len::N(len) }) if *len <= 128 => {
            Ok(Some(bytes.into_owned()))
        }
        _ => Err(error(
            22109,
            "The \"context\" argument for the CHANGE_TRACKING_CONTEXT WITH clause must be of type varbinary data type with a maximum \
             length of 128.",
        )),
    }
}

impl Session {
    /// Lets the retention period pass for all changes of the database up to now: the cleanup removes what is known of them.
    pub fn pass_retention(&mut self) -> Result<(), SqlError> {
        if options(&self.connection)?.is_none_or(|options| !options.auto_cleanup) {
            return Ok(());
        }
        self.define(&[], |session| {
            let connection = &session.connection;
            let version = current_version(connection, "")?.unwrap_or(0);
            let mut statement = connection.prepare("SELECT object_id FROM \"$tracking\"")?;
            let tables: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            for table in tables {
                connection.execute(&format!("DELETE FROM {}", log(&Place::default(), table)), [])?;
            }
            connection.execute("UPDATE \"$tracking\" SET min_valid = max(min_valid, ?1), cleanup = ?1", [version])?;
            connection.execute("DELETE FROM \"$commits\" WHERE version <= ?1", [version])?;
            Ok(())
        })
    }
}
