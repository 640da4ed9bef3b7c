//! The one RENAME of a swap, and the proof that it was carried out.
//!
//! The ledger of the first table changes its name in the same statement, as its last step. The marker's existence proves
//! that the RENAME committed. Missing staging tables prove nothing: another run, or somebody, may have dropped them.

use mysql_async::Conn;

use super::connect::{close, execute, only_row, row};
use super::load::ledger;
use super::quote;
use super::{MySql, inspect};
use crate::connect::retry;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::TableName;
use crate::plan::SwapMethod;
use crate::targets::swap::refuse_new_dependents;
use crate::targets::{Staging, SwapItem};

/// What the tables of one swap that change by name have behind them.
#[derive(Debug, Default)]
pub(super) struct Rename {
    /// Connections whose RENAME got no reply: the server may be at it still.
    unanswered: Vec<u32>,
}

/// What became of a RENAME.
pub(super) enum Found {
    Done(Conn),
    NotDone,
    Unknown,
}

type Items<'a> = [(&'a SwapItem<'a>, SwapMethod)];

impl Rename {
    /// Whether the names may have changed already.
    pub(super) fn was_sent(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// Changes the names, unless an earlier try did. `group`: every table that changes together with these.
    pub(super) async fn carry_out(
        &mut self,
        connection: &mut Conn,
        items: &Items<'_>,
        group: &[SwapItem<'_>],
    ) -> Result<()> {
        if self.was_sent() && is_done(connection, items).await? {
            return Ok(());
        }
        let Err(error) = self.try_once(connection, items, group).await else { return Ok(()) };
        if retry::is_reply_lost(error.kind) {
            return Err(error);
        }
        // An earlier try, whose reply was lost, may have come to its end meanwhile.
        if self.was_sent() && is_done(connection, items).await? {
            return Ok(());
        }
        if error.kind != Kind::Statement {
            return Err(error);
        }
        self.say_what_is_gone(connection, items, error).await
    }

    async fn try_once(&mut self, connection: &mut Conn, items: &Items<'_>, group: &[SwapItem<'_>]) -> Result<()> {
        let together: Vec<&TableName> = group.iter().map(|item| &item.table.target).collect();
        for (item, _) in items.iter().filter(|(_, method)| *method == SwapMethod::Rename) {
            let found = inspect::tables(connection, std::slice::from_ref(&item.table.target)).await?;
            refuse_new_dependents(item.table, &found, &together)?;
            carry_over(connection, item).await?;
        }
        let result = execute(connection, &statement(items)).await;
        if result.as_ref().is_err_and(|error| retry::is_reply_lost(error.kind)) {
            self.unanswered.push(connection.id());
        }
        result
    }

    async fn say_what_is_gone(&self, connection: &mut Conn, items: &Items<'_>, error: Error) -> Result<()> {
        let names: Vec<TableName> = items.iter().map(|(item, _)| item.staging.name.clone()).collect();
        let there = inspect::present(connection, &names).await?;
        let gone: Vec<String> = names.iter().filter(|name| !there.contains(name)).map(ToString::to_string).collect();
        if gone.is_empty() {
            return Err(error);
        }
        // Where an earlier RENAME had no reply they may have been put before the readers, and the proof dropped since.
        let kind = if self.was_sent() { Kind::CommitUnknown } else { Kind::Statement };
        let message =
            format!("{} is gone: another run of this job, or somebody, dropped it before the swap", gone.join(", "));
        Err(Error::new(Side::Target, kind, message).with_source(error.whole()))
    }

    /// What became of the RENAMEs that got no reply, once the server is at none of them any more.
    pub(super) async fn settle(&self, target: &MySql, items: &Items<'_>) -> Found {
        if !self.was_sent() {
            return Found::NotDone;
        }
        let ids = self.unanswered.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let under_way = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id IN ({ids})");
        let ask = async || {
            let mut connection = target.connect().await.map_err(drop)?;
            // Asked for before the proof: what has ended by now has left it. One sees one's own sessions without any privilege.
            let ended = matches!(only_row::<u64>(&mut connection, &under_way).await, Ok(0));
            let is_done = is_done(&mut connection, items).await;
            if matches!(is_done, Ok(true)) {
                return Ok(Found::Done(connection));
            }
            close(connection).await;
            if ended && is_done.is_ok() { Ok(Found::NotDone) } else { Err(()) }
        };
        let policy = retry::of_any(target.config.outage, |_| {});
        policy.retry("RENAME", &mut 0, ask).await.unwrap_or(Found::Unknown)
    }
}

/// Whether the RENAME was carried out: its proof is there.
async fn is_done(connection: &mut Conn, items: &Items<'_>) -> Result<bool> {
    let Some((first, _)) = items.first() else { return Ok(false) };
    let proof = proof(&first.staging.name);
    Ok(inspect::present(connection, std::slice::from_ref(&proof)).await?.contains(&proof))
}

/// The ledger's name once the tables have theirs.
pub(super) fn proof(staging: &TableName) -> TableName {
    TableName::new(&staging.schema, format!("{}d", staging.name))
}

/// The old table's name while it waits to be dropped.
fn old(staging: &Staging) -> TableName {
    TableName::new(&staging.name.schema, format!("{}o", staging.name.name))
}

/// The ledger last: MariaDB takes one step of it after the other.
fn statement(items: &Items<'_>) -> String {
    let mut steps = Vec::new();
    let mut step = |from: &TableName, to: &TableName| {
        steps.push(format!("{} TO {}", quote::qualified(from), quote::qualified(to)));
    };
    for (item, method) in items {
        if *method == SwapMethod::Rename {
            step(&item.table.target, &old(&item.staging));
        }
        step(&item.staging.name, &item.table.target);
    }
    if let Some((first, _)) = items.first() {
        step(&ledger(&first.staging.name), &proof(&first.staging.name));
    }
    format!("RENAME TABLE {}", steps.join(", "))
}

/// The old table's comment. Grants go by name and need nothing.
async fn carry_over(connection: &mut Conn, item: &SwapItem<'_>) -> Result<()> {
    let target = &item.table.target;
    let query = format!(
        "SELECT table_comment FROM information_schema.tables WHERE table_schema = {} AND table_name = {}",
        quote::literal(&target.schema),
        quote::literal(&target.name)
    );
    match row::<String>(connection, &query).await? {
        Some(comment) if !comment.is_empty() => {
            let staging = quote::qualified(&item.staging.name);
            execute(connection, &format!("ALTER TABLE {staging} COMMENT = {}", quote::literal(&comment))).await
        }
        _ => Ok(()),
    }
}

/// The readers have their rows; what is left is only in the way. What cannot be dropped now is dropped by the next run.
pub(super) async fn clean_up(connection: &mut Conn, item: &SwapItem<'_>, method: SwapMethod) {
    let staging = &item.staging.name;
    let mut leftovers = vec![ledger(staging), proof(staging)];
    match method {
        SwapMethod::Rename => leftovers.push(old(&item.staging)),
        SwapMethod::InPlace => leftovers.push(staging.clone()),
        SwapMethod::Create => {}
    }
    for name in leftovers {
        if let Err(error) = execute(connection, &format!("DROP TABLE IF EXISTS {}", quote::qualified(&name))).await {
            tracing::warn!(table = %name, error = error.chain(), "the next run will drop it");
        }
    }
}
