//! A session's transaction while its statements run: SQLite's transaction, its locks, and its end. `writes` says how.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::Value as Stored;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use crate::bind::quote;
use crate::catalog::Place;
use crate::env::read_only;
use crate::error::error;
use crate::locks::{Lock, Row};
use crate::session::Session;
use crate::value::SqlError;
use crate::writes::{Image, TableName, Writes, bytes, cells, place_of, written_columns};

impl Session {
    /// Runs a change, all of it or nothing, again and again while rows that it changes belong to somebody else's transaction.
    pub(crate) fn change<T>(
        &mut self,
        mut run: impl FnMut(&mut Session) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        loop {
            self.begin_write()?;
            self.writes.forget_statement();
            self.connection.execute_batch("SAVEPOINT change")?;
            let outcome = run(self).and_then(|value| Ok((value, self.settle()?)));
            self.writes.setting = None;
            let holder = match outcome {
                Ok((value, None)) => {
                    self.connection.execute_batch("RELEASE change")?;
                    if self.settings.transactions == 0 {
                        self.commit_writes()?;
                    }
                    return Ok(value);
                }
                Ok((_, Some(holder))) => holder,
                Err(failure) => {
                    let holder = self.behind_duplicate(&failure);
                    self.undo_statement()?;
                    match holder {
                        Some(holder) => {
                            self.step_aside(holder)?;
                            continue;
                        }
                        None if self.settings.transactions == 0 => self.rollback_writes()?,
                        None => {}
                    }
                    return Err(failure);
                }
            };
            self.undo_statement()?;
            self.step_aside(holder)?;
        }
    }

    /// Runs a definition, once nobody has changes in these tables; the transaction keeps SQLite's lock from now on.
    pub(crate) fn define(
        &mut self,
        tables: &[String],
        run: impl FnOnce(&mut Session) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        loop {
            self.begin_write()?;
            let (spid, database) = (self.spid(), self.database_id);
            let other = |table: &String| self.instance.locks.in_table(spid, database, &table.to_lowercase(), false);
            let Some(holder) = tables.iter().find_map(other) else { break };
            self.step_aside(holder)?;
        }
        if self.settings.transactions > 0 {
            self.writes.kept.set(true);
            self.writes.images.clear();
        }
        self.writes.hooked().off = true;
        self.connection.execute_batch("SAVEPOINT change")?;
        let result = run(self);
        let ended = if result.is_ok() { self.connection.execute_batch("RELEASE change") } else { Ok(()) };
        self.writes.hooked().off = false;
        ended?;
        if result.is_err() {
            self.undo_statement()?;
        }
        if self.settings.transactions == 0 {
            match &result {
                Ok(()) => self.connection.execute_batch("COMMIT")?,
                Err(_) => self.connection.execute_batch("ROLLBACK")?,
            }
            self.finish_writes();
        }
        result
    }

    fn undo_statement(&self) -> Result<(), SqlError> {
        self.writes.forget_statement();
        // Some failures have ended SQLite's transaction already.
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK TO change; RELEASE change")?;
        }
        Ok(())
    }

    /// A transaction of SQLite's in which the session's own changes are seen.
    fn begin_write(&mut self) -> Result<(), SqlError> {
        if self.read_only {
            return Err(read_only(&self.database));
        }
        self.before_read()?;
        if self.connection.is_autocommit() {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
        }
        Ok(())
    }

    /// Called before a statement that reads: in a transaction, SNAPSHOT needs the database's permission and a snapshot, and other levels
    /// the transaction's own changes.
    pub(crate) fn before_read(&self) -> Result<(), SqlError> {
        if self.settings.transactions == 0 || !self.connection.is_autocommit() {
            return Ok(());
        }
        if !self.writes.images.is_empty() {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            return self.replay();
        }
        if self.settings.isolation != 5 {
            return Ok(());
        }
        let allowed = self.instance.database(&self.database).is_some_and(|database| database.allow_snapshot);
        if !allowed {
            return Err(crate::env::no_snapshot(&self.database));
        }
        self.writes.kept.set(true);
        Ok(self.connection.execute_batch("BEGIN DEFERRED")?)
    }

    /// Writes the rows of the transaction again.
    fn replay(&self) -> Result<(), SqlError> {
        self.writes.hooked().off = true;
        let done = self.write_images();
        self.writes.hooked().off = false;
        done
    }

    fn write_images(&self) -> Result<(), SqlError> {
        // What triggers did is among the rows.
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        let write = || -> Result<(), SqlError> {
            for image in self.writes.images.values() {
                let mut delete = self.connection.prepare_cached(&image.delete)?;
                for number in image.rows.keys() {
                    delete.execute([number])?;
                }
                let mut insert = self.connection.prepare_cached(&image.insert)?;
                for (number, cells) in &image.rows {
                    let Some(cells) = cells else { continue };
                    let number = Stored::Integer(*number);
                    insert.execute(params_from_iter(std::iter::once(&number).chain(cells)))?;
                }
            }
            for ((table, column), last) in &self.writes.identities {
                self.connection.execute(
                    "UPDATE \"$columns\" SET last_value = ?3 WHERE object_id = ?1 AND column_id = ?2",
                    [table, column, last],
                )?;
            }
            Ok(())
        };
        let done = write();
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
        done
    }

    /// Gives SQLite's lock back between batches, and keeps what the transaction has changed.
    pub(crate) fn suspend(&mut self) -> Result<(), SqlError> {
        if self.settings.transactions == 0 || self.connection.is_autocommit() || self.writes.kept.get() {
            return Ok(());
        }
        if self.writes.touched.keys().any(|(database, _)| database != "main") {
            self.writes.kept.set(true);
            self.writes.images.clear();
            return Ok(());
        }
        let Writes { touched, images, .. } = &mut self.writes;
        for ((_, table), rows) in touched {
            let (columns, number) = written_columns(&self.connection, table)?;
            let names: Vec<String> = columns.iter().map(|name| quote(name)).collect();
            let (stored, list) = (quote(table), names.join(","));
            let image = images.entry(table.clone()).or_insert_with(|| Image {
                delete: format!("DELETE FROM {stored} WHERE {number} = ?1"),
                insert: format!("INSERT INTO {stored}({number},{list}) VALUES (?1{})", ",?".repeat(names.len())),
                rows: BTreeMap::new(),
            });
            let sql = format!("SELECT {list} FROM {stored} WHERE {number} = ?1");
            let mut statement = self.connection.prepare_cached(&sql)?;
            for (number, touch) in rows.iter_mut().filter(|(_, touch)| touch.dirty) {
                let cells = statement
                    .query_row([number], |row| {
                        (0..names.len()).map(|at| row.get(at)).collect::<Result<Vec<Stored>, _>>()
                    })
                    .optional()?;
                image.rows.insert(*number, cells);
                touch.dirty = false;
            }
        }
        Ok(self.connection.execute_batch("ROLLBACK")?)
    }

    /// Waits for another session's transaction, without SQLite's lock.
    fn step_aside(&mut self, holder: u16) -> Result<(), SqlError> {
        if self.writes.kept.get() {
            return Err(match self.settings.isolation {
                5 => error(3960, "Snapshot isolation transaction aborted due to update conflict."),
                // The other could not go on, for SQLite's lock is here.
                _ => crate::locks::victim(self.spid()),
            });
        }
        if self.settings.transactions == 0 {
            self.rollback_writes()?;
        } else {
            self.suspend()?;
        }
        let limit = u64::try_from(self.settings.lock_timeout).ok().map(Duration::from_millis);
        self.instance.locks.wait(self.spid(), holder, limit, &|| self.cancelled())
    }

    /// The session that is about to remove the row of which a change is a duplicate.
    fn behind_duplicate(&self, failure: &SqlError) -> Option<u16> {
        if !matches!(failure.number, 2601 | 2627) || !self.instance.locks.others(self.spid()) {
            return None;
        }
        let tables = self.writes.hooked().tables.clone();
        let named = failure.message.split('\'').filter(|part| part.contains('.')).map(str::to_lowercase);
        let tables = tables.into_iter().map(|(_, table)| table.to_lowercase()).chain(named);
        tables.into_iter().find_map(|table| self.instance.locks.in_table(self.spid(), self.database_id, &table, true))
    }

    /// Takes the locks of what the statement has changed; the session that has one of them already.
    fn settle(&mut self) -> Result<Option<u16>, SqlError> {
        let mut statement = self.writes.taken();
        let open = self.settings.transactions > 0;
        if open || self.instance.locks.others(self.spid()) {
            let mut wanted = Vec::new();
            for (table, rows) in &statement {
                self.locks_of(table, rows.keys(), &mut wanted)?;
            }
            if let Some(holder) = self.instance.locks.holder(self.spid(), &wanted) {
                return Ok(Some(holder));
            }
            if open {
                self.instance.locks.take(self.spid(), wanted);
            }
        }
        if !open {
            // Only what is tracked is looked at once more, at once.
            let tracked = crate::tracking::tracked(&self.connection)?;
            statement.retain(|(_, table), _| tracked.contains(&table.to_lowercase()));
        }
        self.writes.merge(statement);
        Ok(None)
    }

    fn locks_of<'n>(
        &mut self,
        (database, table): &TableName,
        numbers: impl Iterator<Item = &'n i64>,
        wanted: &mut Vec<(Lock, bool)>,
    ) -> Result<(), SqlError> {
        let own = database == "main";
        let id = match database.strip_prefix("database ").and_then(|id| id.parse().ok()) {
            Some(id) if !own => id,
            _ => self.database_id,
        };
        let place = Place { at: place_of(database), ..Place::default() };
        let keys = crate::tracking::unique_keys(self, &place, table)?;
        let stored = format!("{}{}", place.at, quote(table));
        let number = written_columns(&self.connection, table)?.1;
        self.open_reader()?;
        let lock = |row: Row| Lock { database: id, table: table.to_lowercase(), row };
        for at in numbers {
            let sql = format!("SELECT 1 FROM {stored} WHERE {number} = ?1");
            let gone = !self.connection.prepare_cached(&sql)?.exists([at])?;
            wanted.push((lock(Row::Number(*at)), gone));
            for (index, expressions) in &keys {
                let sql = format!("SELECT {} FROM {stored} WHERE {number} = ?1", expressions.join(","));
                let new = cells(&self.connection, &sql, expressions.len(), *at)?;
                let old = match &self.writes.reader {
                    Some(reader) if own => cells(reader, &sql, expressions.len(), *at).unwrap_or_default(),
                    _ => None,
                };
                if let Some(old) = old.filter(|old| Some(old) != new.as_ref()) {
                    wanted.push((lock(Row::Key(*index, bytes(&old))), true));
                }
                if let Some(new) = new {
                    wanted.push((lock(Row::Key(*index, bytes(&new))), false));
                }
            }
        }
        Ok(())
    }

    fn open_reader(&mut self) -> Result<(), SqlError> {
        if self.writes.reader.is_none() {
            let path = self.connection.path().unwrap_or_default();
            let reader = Connection::open(path)?;
            crate::call::register(&reader)?;
            self.writes.reader = Some(reader);
        }
        Ok(())
    }

    /// A connection that sees what is committed.
    pub(crate) fn committed(&mut self) -> Result<(), SqlError> {
        self.open_reader()
    }

    /// Cells of a committed row.
    pub(crate) fn committed_cells(&self, sql: &str, count: usize, number: i64) -> Option<Vec<Stored>> {
        // A table that this transaction has made is not there yet.
        self.writes.reader.as_ref().and_then(|reader| cells(reader, sql, count, number).ok().flatten())
    }

    /// Commits the changes, with their versions.
    pub(crate) fn commit_writes(&mut self) -> Result<(), SqlError> {
        let commit = |session: &mut Session| -> Result<(), SqlError> {
            session.before_read()?;
            if session.connection.is_autocommit() {
                return Ok(());
            }
            crate::tracking::record(session)?;
            Ok(session.connection.execute_batch("COMMIT")?)
        };
        let done = if self.writes.images.is_empty() && self.connection.is_autocommit() { Ok(()) } else { commit(self) };
        if done.is_err() {
            self.rollback_writes()?;
        }
        self.finish_writes();
        done
    }

    /// Forgets the changes.
    pub(crate) fn rollback_writes(&mut self) -> Result<(), SqlError> {
        let done = if self.connection.is_autocommit() { Ok(()) } else { self.connection.execute_batch("ROLLBACK") };
        self.finish_writes();
        Ok(done?)
    }

    pub(crate) fn finish_writes(&mut self) {
        let Writes { touched, images, kept, identities, .. } = &mut self.writes;
        touched.clear();
        images.clear();
        identities.clear();
        kept.set(false);
        self.instance.ended(self.spid());
    }
}
