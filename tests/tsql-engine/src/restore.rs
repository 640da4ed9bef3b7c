//! Backups of a database, and the way back to one.
//!
//! Not as SQL Server has it: there are no BACKUP and RESTORE statements and no log; a test asks for a copy by name, and to have it back.

use rusqlite::Connection;

use crate::error::error;
use crate::instance::Instance;
use crate::session::Session;
use crate::value::{SqlError, Value};

/// A copy of a database.
#[derive(Debug, Clone)]
pub struct Backup {
    pub database: i64,
    pub name: String,
    pub path: std::path::PathBuf,
    pub rowversion: i64,
}

const TICKS_A_SECOND: i64 = 300;

/// This moment in 1/300 s since 1900-01-01.
pub fn now() -> i64 {
    match crate::convert::make_moment(crate::system::now(), &crate::value::SqlType::DateTime) {
        Some(Value::DateTime { days, ticks }) => i64::from(days) * crate::codec::DATETIME_DAY + i64::from(ticks),
        _ => 0,
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<(), SqlError> {
    let connection = Connection::open(from)?;
    crate::call::register(&connection)?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    Ok(Connection::open(to)?.pragma_update(None, "journal_mode", "WAL")?)
}

impl Instance {
    /// Keeps the present state of a database under a name.
    pub fn back_up(&self, database: &str, name: &str) -> Result<(), SqlError> {
        let found = self.database(database).ok_or_else(|| crate::env::missing(database))?;
        let path = self.file("backup");
        let rowversion = found.counters.last_rowversion();
        copy(&found.path, &path)?;
        self.keep_backup(Backup { database: found.id, name: name.to_owned(), path, rowversion });
        Ok(())
    }

    /// Puts a database back to a state that was kept: versions and rowversions go on from there, on a new recovery fork. On Azure SQL a restore
    /// makes a database anew ("Restore a database from a backup in Azure SQL Database"), with a date of its own. 3101 while a transaction is open in
    /// it.
    pub fn restore(&self, database: &str, name: &str) -> Result<(), SqlError> {
        let found = self.database(database).ok_or_else(|| crate::env::missing(database))?;
        let in_use = |session: &crate::instance::SessionInfo| {
            crate::bind::same(&session.database, &found.name) && session.transactions > 0
        };
        if self.sessions().iter().any(in_use) {
            return Err(error(3101, "Exclusive access could not be obtained because the database is in use."));
        }
        let backup =
            self.backup(found.id, name).ok_or_else(|| error(3201, format!("Cannot open backup device '{name}'.")))?;
        let path = self.file("restored");
        copy(&backup.path, &path)?;
        found.counters.restore(backup.rowversion);
        self.alter_database(database, |database| {
            database.path = path;
            database.fork = crate::functions::fresh_guid();
            if database.quirks.engine_edition == Some(crate::tracking_views::AZURE) {
                // A whole second later, however soon that is.
                database.created = now().max(database.created + TICKS_A_SECOND);
            }
        })
    }
}

impl Session {
    /// Goes on with what a restore made of the database.
    pub(crate) fn follow_restore(&mut self) -> Result<(), SqlError> {
        if self.settings.transactions > 0 {
            return Ok(());
        }
        let Some(found) = self.instance.database(&self.database) else { return Ok(()) };
        let own = self.connection.path().map(std::path::PathBuf::from);
        if own.is_none_or(|own| own.file_name() == found.path.file_name()) {
            return Ok(());
        }
        self.connect_to(&found.name)?;
        self.lock_wait()
    }
}
