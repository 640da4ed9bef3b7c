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

/// Whether rows are deleted before others that may refer to them, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    First,
    Last,
}

/// A transaction that applies changes, over a connection of its own. Dropping it rolls back. Nothing in it commits implicitly.
pub(super) trait Transaction: Send {
    /// What is remembered now; nobody else can change it before the transaction ends.
    fn lock_state(&mut self, table: &TableName) -> impl Future<Output = Result<Option<TableState>>> + Send;

    /// Locks the tables against other writers and returns their places in an order in which no child of a foreign key comes before its parent,
    /// as far as there is one.
    fn begin_changes(&mut self, tables: &[&TablePlan]) -> impl Future<Output = Result<Vec<usize>>> + Send;

    /// What the table holds under the keys of changed rows, and of rows that are gone.
    fn before(
        &mut self,
        table: &TablePlan,
        rows: &ChangedRows<'_>,
    ) -> impl Future<Output = Result<[TableDigest; 2]>> + Send;

    /// Deletes the rows that are gone. `false`: other rows still refer to them, and nothing was deleted.
    fn delete_gone(
        &mut self,
        table: &TablePlan,
        rows: &ChangedRows<'_>,
        attempt: Attempt,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Updates and inserts the rows that differ.
    fn merge(&mut self, table: &TablePlan, rows: &ChangedRows<'_>) -> impl Future<Output = Result<()>> + Send;

    /// What the table holds now under the same keys, and in a range.
    fn after(
        &mut self,
        table: &TablePlan,
        rows: &ChangedRows<'_>,
        range: Option<&ProvenRange>,
    ) -> impl Future<Output = Result<After>> + Send;

    fn write_state(&mut self, table: &TableName, state: &TableState) -> impl Future<Output = Result<()>> + Send;

    /// COMMIT, and nothing after it.
    fn commit(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Ends the connection politely.
    fn close(self) -> impl Future<Output = ()> + Send;

    /// Asks, over another connection, whether this state was committed; `lost` if it was rolled back.
    fn resolve(self, table: &TableName, written: &TableState, lost: Error) -> impl Future<Output = Result<()>> + Send;
}

/// Applies change sets in a transaction that has begun.
pub(super) async fn run(mut transaction: impl Transaction, sets: &[ChangeSet<'_>]) -> Result<Vec<Applied>> {
    if let Some(applied) = lock_states(&mut transaction, sets).await? {
        transaction.close().await;
        return Ok(applied);
    }
    let measured = change(&mut transaction, sets).await?;
    let mut done = Vec::new();
    for (set, measured) in sets.iter().zip(measured) {
        let applied = prove(set, measured)?;
        let state = set.remembered.map(|step| written(set, step, &applied));
        if let Some(state) = &state {
            transaction.write_state(&set.table.target, state).await?;
        }
        done.push((applied, state));
    }
    for (set, done) in sets.iter().zip(&done) {
        *set.sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(done.clone());
    }
    match transaction.commit().await {
        Err(lost) if retry::is_reply_lost(lost.kind) => {
            let states = sets.iter().zip(&done).filter_map(|(set, (_, state))| Some((set, state.as_ref()?)));
            let states: Vec<(&ChangeSet<'_>, &TableState)> = states.collect();
            let has_moved = |set: &ChangeSet<'_>, state| set.remembered.is_some_and(|step| state != step.from);
            // They are committed together: the state of any that moved on tells of all. Where nothing is remembered the same rows may be applied
            // again, and are not written if they are there.
            let moved = states.iter().find(|(set, state)| has_moved(set, *state)).or_else(|| states.first());
            let Some((set, state)) = moved else { return Err(lost) };
            transaction.resolve(&set.table.target, state, lost).await?;
        }
        result => {
            result?;
            transaction.close().await;
        }
    }
    Ok(done.into_iter().map(|(applied, _)| applied).collect())
}

/// What was done, if the try before was committed after all. An error where others have moved a table on.
async fn lock_states(transaction: &mut impl Transaction, sets: &[ChangeSet<'_>]) -> Result<Option<Vec<Applied>>> {
    let mut committed = Vec::new();
    let mut conflict = Ok(());
    for (set, step) in sets.iter().filter_map(|set| Some((set, set.remembered?))) {
        let found = transaction.lock_state(&set.table.target).await?;
        let sent = set.sent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sent = sent.filter(|(_, written)| written.is_some() && found.as_ref() == written.as_ref());
        committed.extend(sent.map(|(applied, _)| applied));
        conflict = conflict.and_then(|()| refuse_moved(&set.table.target, step.from, found.as_ref()));
    }
    if !sets.is_empty() && committed.len() == sets.len() {
        return Ok(Some(committed));
    }
    conflict.map(|()| None)
}

/// Changes the rows of all tables. Foreign keys between them are checked as rows go and come: so rows that are gone leave children first, and
/// new ones come parents first; what a row holds that is yet to change leaves at the end.
async fn change(transaction: &mut impl Transaction, sets: &[ChangeSet<'_>]) -> Result<Vec<Option<Measured>>> {
    let changed: Vec<(usize, &ChangeSet<'_>, &ChangedRows<'_>)> =
        sets.iter().enumerate().filter_map(|(at, set)| Some((at, set, set.rows.as_ref()?))).collect();
    let mut measured: Vec<Option<Measured>> = sets.iter().map(|_| None).collect();
    if changed.is_empty() {
        return Ok(measured);
    }
    let tables: Vec<&TablePlan> = changed.iter().map(|(_, set, _)| set.table).collect();
    let order = transaction.begin_changes(&tables).await?;
    let mut before = Vec::new();
    for (_, set, rows) in &changed {
        before.push(transaction.before(set.table, rows).await?);
    }
    let in_order = || order.iter().filter_map(|place| changed.get(*place));
    let mut held_back = Vec::new();
    for (_, set, rows) in in_order().rev() {
        if !transaction.delete_gone(set.table, rows, Attempt::First).await? {
            held_back.push((set.table, rows));
        }
    }
    for (_, set, rows) in in_order() {
        transaction.merge(set.table, rows).await?;
    }
    for (table, rows) in held_back {
        transaction.delete_gone(table, rows, Attempt::Last).await?;
    }
    for ((at, set, rows), [old, gone]) in changed.iter().zip(before) {
        let After { applied, left, range } = transaction.after(set.table, rows, set.range.as_ref()).await?;
        measured[*at] = Some(Measured { changed: old, gone, applied, left, range });
    }
    Ok(measured)
}

/// An order in which no child comes before its parent, as far as there is one. `keys`: child and parent, each by its place.
pub(super) fn parents_first(count: usize, keys: &[(usize, usize)]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    while order.len() < count {
        let waiting = || (0..count).filter(|number| !order.contains(number));
        let is_free = |number: &usize| keys.iter().all(|(child, parent)| child != number || order.contains(parent));
        // In a circle any table is as good as another.
        let Some(next) = waiting().find(is_free).or_else(|| waiting().next()) else { break };
        order.push(next);
    }
    order
}

/// Of a table once its rows were changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct After {
    /// Under the keys of changed rows.
    pub applied: TableDigest,
    /// The number of rows under the keys of rows that are gone.
    pub left: u64,
    /// In the range that is compared.
    pub range: Option<TableDigest>,
}

/// What the target's table held, and holds, under the keys of a change set, all of it in the transaction that applies it.
#[derive(Debug, Clone, Copy)]
struct Measured {
    /// Before, under the keys of changed rows.
    changed: TableDigest,
    /// Before, under the keys of rows that are gone.
    gone: TableDigest,
    /// Afterwards, as in [`After`].
    applied: TableDigest,
    left: u64,
    range: Option<TableDigest>,
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
            Scope::Whole => format!("after the repair the table held {found}"),
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
    fn parents_come_before_their_children() {
        assert_eq!(parents_first(3, &[]), [0, 1, 2]);
        assert_eq!(parents_first(3, &[(0, 1), (1, 2)]), [2, 1, 0]);
        assert_eq!(parents_first(3, &[(1, 2), (0, 2)]), [2, 0, 1]);
        assert_eq!(parents_first(3, &[(0, 1), (1, 0), (2, 0)]), [0, 1, 2], "a circle");
    }

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
