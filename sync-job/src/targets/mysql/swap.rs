//! The cut-over: one atomic `RENAME TABLE` for a table, or for a group of tables that must change together.
//!
//! MySQL's statements on tables are not transactional, so the order of steps is chosen such that a crash after any of them leaves
//! either the old table or the new one under the final name, and beside it only tables that the next run drops by their names.

use mysql_async::Conn;
use tokio::sync::Mutex;

use super::connect::{close, execute};
use super::rename::{Found, Rename};
use super::{MySql, foreign_keys, in_place, snapshots};
use crate::connect::retry::Deadline;
use crate::model::error::{Error, Kind, Result};
use crate::plan::SwapMethod;
use crate::targets::SwapItem;
use crate::targets::swap::{fall_back, names, with_retries};

/// Swaps all items, trying again while locks are held by others for at most `swap_wait`, or the server is away, for at most
/// `outage`.
pub(super) async fn swap(target: &MySql, items: &[SwapItem<'_>]) -> Result<Vec<SwapMethod>> {
    let swap = Swap::new(target, items);
    let deadline = swap.deadline.clone();
    let swap = Mutex::new(swap);
    match with_retries(items, deadline, target.config.outage, async || swap.lock().await.attempt().await).await {
        Ok(()) => Ok(swap.into_inner().methods),
        Err(error) => swap.into_inner().give_up(error).await,
    }
}

/// What was reached by the attempts so far: none of it is done twice.
struct Swap<'a> {
    target: &'a MySql,
    items: &'a [SwapItem<'a>],
    methods: Vec<SwapMethod>,
    deadline: Deadline,
    snapshots: snapshots::Wait,
    have_keys: bool,
    are_replaced: bool,
    rename: Rename,
}

impl<'a> Swap<'a> {
    fn new(target: &'a MySql, items: &'a [SwapItem<'a>]) -> Self {
        Self {
            target,
            items,
            methods: items.iter().map(|item| item.table.swap.method).collect(),
            deadline: Deadline::after(target.config.swap_wait),
            snapshots: snapshots::Wait::default(),
            have_keys: false,
            are_replaced: false,
            rename: Rename::default(),
        }
    }

    /// Over a connection of its own: the last one's may be broken.
    async fn attempt(&mut self) -> Result<()> {
        let mut connection = self.target.connect().await?;
        let result = self.steps(&mut connection).await;
        if result.is_err() {
            // A failed transaction only needs its end; where even that fails the connection is gone, and with it the transaction.
            let _ = execute(&mut connection, "ROLLBACK").await;
        }
        close(connection).await;
        result
    }

    async fn steps(&mut self, connection: &mut Conn) -> Result<()> {
        self.choose_methods(connection).await?;
        // Whole seconds, at least one.
        let timeout = self.target.config.lock_timeout.as_secs().max(1);
        let limits = format!("SET SESSION lock_wait_timeout = {timeout}, innodb_lock_wait_timeout = {timeout}");
        execute(connection, &limits).await?;
        if !self.have_keys {
            // Only now: a key must not lead to the staging table of a table that is updated in place after all.
            foreign_keys::add(connection, self.items, &self.methods).await?;
            self.have_keys = true;
        }
        // Tables updated in place first: what their rows are refused for leaves no new table behind.
        let in_place_items = self.in_place_items();
        if !in_place_items.is_empty() && !self.are_replaced {
            in_place::rows(self.target, connection, &in_place_items).await?;
            self.are_replaced = true;
        }
        let by_name = self.by_name();
        if !by_name.is_empty() {
            self.rename.carry_out(connection, &by_name, self.items).await?;
        }
        self.clean_up(connection).await;
        Ok(())
    }

    /// Waits until a rename hurts nobody, or keeps the tables.
    async fn choose_methods(&mut self, connection: &mut Conn) -> Result<()> {
        if !self.methods.contains(&SwapMethod::Rename) || self.rename.was_sent() {
            return Ok(());
        }
        if self.methods.contains(&SwapMethod::InPlace) {
            return fall_back(self.items, &mut self.methods, "another table of its group, which is kept");
        }
        if let Err(holder) = self.snapshots.until(self.target, connection, &self.deadline).await? {
            fall_back(self.items, &mut self.methods, &holder)?;
            // The wait may have used up the time, and this needs some of its own.
            self.deadline.restart(self.target.config.swap_wait);
        }
        Ok(())
    }

    fn in_place_items(&self) -> Vec<&'a SwapItem<'a>> {
        let in_place_items = self.items.iter().zip(&self.methods).filter(|(_, method)| **method == SwapMethod::InPlace);
        in_place_items.map(|(item, _)| item).collect()
    }

    fn by_name(&self) -> Vec<(&'a SwapItem<'a>, SwapMethod)> {
        self.items
            .iter()
            .zip(self.methods.iter().copied())
            .filter(|(_, method)| *method != SwapMethod::InPlace)
            .collect()
    }

    async fn clean_up(&self, connection: &mut Conn) {
        for (item, method) in self.items.iter().zip(&self.methods) {
            super::rename::clean_up(connection, item, *method).await;
        }
    }

    /// An error, unless the last RENAME, whose reply was lost, turns out to be done.
    async fn give_up(self, error: Error) -> Result<Vec<SwapMethod>> {
        let names = names(self.items);
        let Error { side, kind, .. } = error;
        match self.rename.settle(self.target, &self.by_name()).await {
            Found::Done(mut connection) => {
                self.clean_up(&mut connection).await;
                close(connection).await;
                return Ok(self.methods);
            }
            Found::Unknown => {
                let message = format!("whether {names} were swapped could not be found out");
                return Err(Error::new(side, Kind::CommitUnknown, message).with_source(error.whole()));
            }
            Found::NotDone => {}
        }
        let in_place_items: Vec<String> =
            self.in_place_items().iter().map(|item| item.table.target.to_string()).collect();
        if self.are_replaced && in_place_items.len() < self.items.len() {
            let new: Vec<String> = self.by_name().iter().map(|(item, _)| item.table.target.to_string()).collect();
            let message = format!(
                "the tables updated in place ({}) have their new rows, but the new tables of their group could not be put in place: {}",
                in_place_items.join(", "),
                new.join(", ")
            );
            return Err(Error::new(side, Kind::CommitUnknown, message).with_source(error.whole()));
        }
        Err(Error::new(side, kind, format!("swapping {names} failed")).with_source(error.whole()))
    }
}
