//! What the application of changes has in common on all targets.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use super::Staging;
use crate::config::OnMismatch;
use crate::connect::retry;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::human::counted;
use crate::model::position::Position;
use crate::model::schema::TableName;
use crate::model::state::TableState;
use crate::plan::TablePlan;
use crate::proof::witness::Scope;
use crate::proof::{ticket, verdict};
use crate::rows::digest::TableDigest;

/// The changes of one table since its last run, on their way into it.
#[derive(Debug)]
pub struct ChangeSet<'a> {
    pub table: &'a TablePlan,
    /// Nothing where nothing is remembered of the table, so that only a comparison of all its rows can prove it.
    pub remembered: Option<Step<'a>>,
    /// Nothing where nothing changed: then only the position moves on.
    pub rows: Option<ChangedRows<'a>>,
    /// A range of all rows, changed or not, to be compared once the changes are applied.
    pub range: Option<ProvenRange>,
    /// How many rows the source has, where it was counted.
    pub rows_at_source: Option<u64>,
    /// What a try was about to commit: nobody may have heard whether it did.
    pub sent: Mutex<Option<(Applied, Option<TableState>)>>,
}

/// From one state that is remembered of a table to the next.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What the table holds now, if nobody else writes to it.
    pub from: &'a TableState,
    /// Up to where the changes go.
    pub to: &'a Position,
}

impl ChangeSet<'_> {
    /// What the source has in all, where the whole table is compared.
    fn whole(&self) -> Option<TableDigest> {
        self.range.as_ref().filter(|range| range.scope == Scope::Whole).map(|range| range.digest)
    }
}

/// What the source holds in a range, in the state in which the changes were read.
#[derive(Debug, Clone, PartialEq)]
pub struct ProvenRange {
    pub scope: Scope,
    pub digest: TableDigest,
}

/// Changed rows in staging tables.
#[derive(Debug)]
pub struct ChangedRows<'a> {
    /// Rows that were inserted or changed.
    pub changed: &'a Staging,
    /// Of what was read into it.
    pub digest: TableDigest,
    /// Keys by which rows that are gone are known, by the plan of [keys](crate::plan::incremental::keys); nothing where none is, or where they stay.
    pub gone: Option<GoneRows<'a>>,
    pub keys: &'a TablePlan,
}

/// Keys in a staging table.
#[derive(Debug, Clone, Copy)]
pub enum GoneRows<'a> {
    /// Of rows that are gone.
    Keys(&'a Staging),
    /// Of rows that are there: all others are gone.
    Unless(&'a Staging),
}

impl GoneRows<'_> {
    pub fn staging(&self) -> &Staging {
        let (GoneRows::Keys(staging) | GoneRows::Unless(staging)) = self;
        staging
    }
}

/// What a change set came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Rows that the table did not have.
    pub inserted: u64,
    /// Rows that it had. Those whose values are the same were not written.
    pub present: u64,
    pub deleted: u64,
    /// Of the whole table, from now on.
    pub digest: TableDigest,
}

/// A transaction that applies changes, over a connection of its own. Dropping it rolls back.
pub(super) trait Transaction: Send {
    /// What is remembered now; nobody else can change it before the transaction ends.
    fn lock_state(&mut self, table: &TableName) -> impl Future<Output = Result<Option<TableState>>> + Send;

    /// Changes the rows, and measures before and after. Nothing in it commits implicitly.
    fn change(
        &mut self,
        table: &TablePlan,
        rows: &ChangedRows<'_>,
        range: Option<&ProvenRange>,
    ) -> impl Future<Output = Result<Measured>> + Send;

    fn write_state(&mut self, table: &TableName, state: &TableState) -> impl Future<Output = Result<()>> + Send;

    /// COMMIT, and nothing after it.
    fn commit(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Ends the connection politely.
    fn close(self) -> impl Future<Output = ()> + Send;

    /// Asks, over another connection, whether this state was committed; `lost` if it was rolled back.
    fn resolve(self, table: &TableName, written: &TableState, lost: Error) -> impl Future<Output = Result<()>> + Send;
}

/// Applies a change set in a transaction that has begun.
pub(super) async fn run(mut transaction: impl Transaction, changes: &ChangeSet<'_>) -> Result<Applied> {
    let (table, name) = (changes.table, &changes.table.target);
    let sent = changes.sent.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(Step { from, .. }) = changes.remembered {
        let found = transaction.lock_state(name).await?;
        if let Some((applied, Some(written))) = &sent
            && found.as_ref() == Some(written)
        {
            // The try before was committed after all.
            transaction.close().await;
            return Ok(*applied);
        }
        refuse_moved(name, from, found.as_ref())?;
    }
    let measured = match &changes.rows {
        Some(rows) => Some(transaction.change(table, rows, changes.range.as_ref()).await?),
        None => None,
    };
    let applied = prove(changes, measured)?;
    let written = changes.remembered.map(|step| written(changes, step, &applied));
    if let Some(written) = &written {
        transaction.write_state(name, written).await?;
    }
    // Where nothing is remembered, a try that was committed after all left this one nothing to do.
    let applied = sent.filter(|_| written.is_none()).map_or(applied, |(applied, _)| applied);
    *changes.sent.lock().unwrap_or_else(PoisonError::into_inner) = Some((applied, written.clone()));
    match (transaction.commit().await, &written) {
        (Err(lost), Some(written)) if retry::is_reply_lost(lost.kind) => {
            transaction.resolve(name, written, lost).await?;
        }
        (result, _) => {
            result?;
            transaction.close().await;
        }
    }
    Ok(applied)
}

/// What the target's table held, and holds, under the keys of a change set, all of it in the transaction that applies it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    /// Before, under the keys of changed rows.
    pub changed: TableDigest,
    /// Before, under the keys of rows that are gone.
    pub gone: TableDigest,
    /// Afterwards, under the keys of changed rows.
    pub applied: TableDigest,
    /// Afterwards, the number of rows under the keys of rows that are gone.
    pub left: u64,
    /// Afterwards, in the range that is compared.
    pub range: Option<TableDigest>,
}

/// The proof of the applied rows, and the running digest: what it was, without the rows that were replaced, and with those that are
/// there now.
///
/// # Errors
///
/// `Mismatch` where the target does not hold what was read.
fn prove(changes: &ChangeSet<'_>, measured: Option<Measured>) -> Result<Applied> {
    let (Some(rows), Some(measured)) = (&changes.rows, measured) else {
        let digest = changes.remembered.map(|step| step.from.digest).or(changes.whole()).unwrap_or_default();
        return Ok(Applied { inserted: 0, present: 0, deleted: 0, digest });
    };
    let mismatch = |what: String| Err(mismatch(changes, &what));
    if measured.applied != rows.digest {
        let found = verdict::instead(measured.applied, "the source changed", rows.digest);
        return mismatch(format!("once the changes were applied, the table held {found}"));
    }
    // Where the target takes two keys for one that the source tells apart, a new row stands under the key of one that is gone.
    if measured.left > 0 && changes.whole().is_none() {
        return mismatch(format!("{} rows that are gone at the source are still there", measured.left));
    }
    if let (Some(wanted), Some(found)) = (&changes.range, measured.range)
        && wanted.digest != found
    {
        let found = verdict::instead(found, "the source has", wanted.digest);
        return mismatch(match wanted.scope {
            Scope::Whole => format!("once all differences were made good, the table held {found}"),
            Scope::Ranges { .. } => format!("in the range of rows that this run compared, the table holds {found}"),
        });
    }
    let inserted = measured.applied.rows.saturating_sub(measured.changed.rows);
    let digest = match (changes.whole(), changes.remembered) {
        (Some(whole), _) => whole,
        (None, Some(Step { from, .. })) => {
            let rest = from.digest.without(measured.changed).and_then(|rest| rest.without(measured.gone));
            let Some(mut digest) = rest else {
                return mismatch(
                    "more rows were replaced than the last run left: somebody else writes to it".to_owned(),
                );
            };
            digest.merge(measured.applied);
            digest
        }
        (None, None) => {
            let message = format!("{}: rows were changed that nothing proves", changes.table.target);
            return Err(Error::new(Side::Job, Kind::Internal, message));
        }
    };
    if let Some(wanted) = changes.rows_at_source
        && wanted != digest.rows
    {
        return mismatch(format!(
            "the source has {}, and the table {} after the changes were applied",
            counted(wanted, "row", "rows"),
            digest.rows
        ));
    }
    if let Some(Step { from, .. }) = changes.remembered {
        ticket::refuse_shrinking(changes.table, from.digest.rows, digest.rows)?;
    }
    Ok(Applied { inserted, present: measured.changed.rows, deleted: measured.gone.rows, digest })
}

fn mismatch(changes: &ChangeSet<'_>, what: &str) -> Error {
    let error = Error::new(Side::Target, Kind::Mismatch, format!("{}: {what}", changes.table.target));
    let next = match changes.table.on_mismatch {
        OnMismatch::Full => "The next run copies the table whole.",
        OnMismatch::Compare => "The next run compares the whole table and writes what differs.",
        OnMismatch::Fail => {
            "So will the next run (on_mismatch = \"fail\"), until `sync-job verify --repair` or `sync-job state reset` ends it."
        }
    };
    if changes.remembered.is_none() {
        return error.advise(
            "Nothing was changed. Run again; if it happens again, look for another writer or a trigger on the target, or for rows that change at the \
             source while they are read without a snapshot.",
        );
    }
    error.advise(format!(
        "Nothing was changed: readers see the rows of the last run. {next} If it happens again, look for another writer on the target."
    ))
}

/// What is remembered of the table from now on.
fn written(changes: &ChangeSet<'_>, Step { from, to }: Step<'_>, applied: &Applied) -> TableState {
    TableState {
        position: to.clone(),
        digest: applied.digest,
        applied: from.applied + u64::from(changes.rows.is_some()),
        ..from.clone()
    }
}

/// An error where somebody else has moved the table on, so that the change set belongs to no state that is there.
fn refuse_moved(table: &TableName, from: &TableState, found: Option<&TableState>) -> Result<()> {
    if found.is_some_and(|found| found == from) {
        return Ok(());
    }
    let message = format!("{table}: another run has changed the table, or its state, since this run began");
    Err(Error::new(Side::Target, Kind::Conflict, message))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn the_running_digest_is_what_was_there_less_what_went_and_what_came() {
        let of = |rows, sum| TableDigest { rows, sum };
        let position = Position { version: 1, history: "h".into() };
        let from = TableState {
            position: position.clone(),
            fingerprint: String::new(),
            digest: of(10, 100),
            applied: 0,
            full_at: DateTime::UNIX_EPOCH,
        };
        let table = crate::proof::witness::fixture::table(Vec::new());
        let staging = Staging { name: TableName::new("s", "t") };
        let rows = |digest| Some(ChangedRows { changed: &staging, digest, gone: None, keys: &table });
        let prove = |rows, measured| {
            prove(
                &ChangeSet {
                    table: &table,
                    remembered: Some(Step { from: &from, to: &position }),
                    rows,
                    range: None,
                    rows_at_source: None,
                    sent: Mutex::default(),
                },
                measured,
            )
        };
        let measured = Measured { changed: of(2, 30), gone: of(1, -5), applied: of(3, 7), left: 0, range: None };
        let applied = prove(rows(of(3, 7)), Some(measured)).unwrap();
        assert_eq!(applied, Applied { inserted: 1, present: 2, deleted: 1, digest: of(10, 82) });
        let kind = |rows, measured| prove(rows, Some(measured)).unwrap_err().kind;
        assert_eq!(kind(rows(of(3, 8)), measured), Kind::Mismatch);
        assert_eq!(kind(rows(of(3, 7)), Measured { left: 1, ..measured }), Kind::Mismatch);
        assert_eq!(kind(rows(of(3, 7)), Measured { gone: of(9, 0), ..measured }), Kind::Mismatch);
        assert_eq!(prove(None, None).unwrap().digest, of(10, 100));
    }
}
