//! The cut-over: one short transaction for a table, or for a group of tables that must change together.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use tokio::sync::Mutex;

use super::connect::{change, close, execute, only_row, rows};
use super::indexes::temporary_name;
use super::mark::{self, Mark};
use super::quote;
use super::settings::THEIRS;
use super::{Postgres, in_place, inspect, preserved, sql};
use crate::connect::retry::{self, Deadline};
use crate::model::error::{Error, Kind, Result};
use crate::model::schema::{IndexKind, TableName};
use crate::plan::{ForeignKeyPlan, SwapMethod, TablePlan};
use crate::targets::swap::{fall_back, names, refuse_new_dependents, with_retries};
use crate::targets::{Staging, SwapItem};

/// How often old snapshots are looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Swaps all items in one transaction, trying again while locks are held by others, for at most `swap_wait`, or the server is away,
/// for at most `outage`.
pub(super) async fn swap(target: &Postgres, items: &[SwapItem<'_>]) -> Result<Vec<SwapMethod>> {
    let swap = Swap {
        target,
        items,
        methods: items.iter().map(|item| item.table.swap.method).collect(),
        deadline: Deadline::after(target.config.swap_wait),
        connection: None,
        newest: None,
        is_clear: false,
        is_prepared: false,
    };
    let deadline = swap.deadline.clone();
    let swap = Mutex::new(swap);
    match with_retries(items, deadline, target.config.outage, async || swap.lock().await.try_once().await).await {
        Ok(()) => Ok(swap.into_inner().end().await),
        Err(error) => Err(Error { message: format!("swapping {} failed", names(items)).into(), ..explain(error) }),
    }
}

/// A swap under way, over as many tries as it takes. What one try has done the next need not do again.
struct Swap<'a> {
    target: &'a Postgres,
    items: &'a [SwapItem<'a>],
    methods: Vec<SwapMethod>,
    deadline: Deadline,
    /// Nothing before the first try, and after it broke.
    connection: Option<PgConnection>,
    /// A transaction's id that is newer than the staging tables' rows.
    newest: Option<String>,
    /// Nobody's snapshot is older than those rows, or no table is renamed over.
    is_clear: bool,
    /// The staging tables have their foreign keys and sequences.
    is_prepared: bool,
}

impl Swap<'_> {
    async fn try_once(&mut self) -> Result<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.target.connect().await?,
        };
        let result = self.try_over(&mut connection).await;
        // A failed transaction only needs its end; where even that fails the connection is gone, and with it the transaction.
        let is_free = result.is_ok() || execute(&mut connection, "ROLLBACK").await.is_ok();
        // Whoever waited for a lock talks to the right server. After a failover a connection, or an old answer of the name
        // service, may lead to one that is only a reader by now.
        let is_kept = is_free && matches!(&result, Ok(()) | Err(Error { kind: Kind::LockTimeout, .. }));
        if is_kept {
            self.connection = Some(connection);
        } else if is_free {
            close(connection).await;
        }
        // What a reader knows of snapshots says nothing of the writer's.
        self.is_clear &= is_kept;
        result
    }

    async fn try_over(&mut self, connection: &mut PgConnection) -> Result<()> {
        if !self.is_clear {
            self.clear(connection).await?;
            self.is_clear = true;
        }
        if !self.is_prepared {
            add_foreign_keys(connection, self.items, &self.methods).await?;
            set_sequences(connection, self.items, &self.methods).await?;
            self.is_prepared = true;
        }
        transaction(self.target, connection, self.items, &self.methods).await
    }

    /// Waits for old snapshots. If one stays, the tables are updated in place, which has the time of a swap for itself.
    async fn clear(&mut self, connection: &mut PgConnection) -> Result<()> {
        if !self.methods.contains(&SwapMethod::Rename) {
            return Ok(());
        }
        let newest = match &self.newest {
            Some(newest) => newest.clone(),
            None => self.newest.insert(text_of(connection, "pg_current_xact_id()::xid").await?).clone(),
        };
        if let Err(holder) = wait_for_old_snapshots(self.target, connection, &newest, &self.deadline).await? {
            fall_back(self.items, &mut self.methods, &holder)?;
            self.deadline.restart(self.target.config.swap_wait);
        }
        Ok(())
    }

    /// Nobody asks the ledgers any more; where one cannot be dropped, the next run drops it.
    async fn end(self) -> Vec<SwapMethod> {
        let ledgers: Vec<String> =
            self.items.iter().map(|item| quote::qualified(&mark::ledger(&item.staging.name))).collect();
        let drop = format!("DROP TABLE IF EXISTS {}", ledgers.join(", "));
        // It is broken where the reply to COMMIT was lost.
        let mut is_dropped = false;
        if let Some(mut connection) = self.connection {
            is_dropped = change(&mut connection, &drop).await.is_ok();
            close(connection).await;
        }
        if !is_dropped && let Err(error) = self.target.run(&drop).await {
            tracing::warn!(error = error.chain(), "the next run will drop what this one leaves");
        }
        self.methods
    }
}

async fn text_of(connection: &mut PgConnection, expression: &str) -> Result<String> {
    only_row(connection, &format!("SELECT {expression}::text AS value")).await?.text("value")
}

/// The staging tables' sequences, which become the tables' own: the highest value may take a scan of the table to find, and
/// readers wait behind the swap's locks.
async fn set_sequences(connection: &mut PgConnection, items: &[SwapItem<'_>], methods: &[SwapMethod]) -> Result<()> {
    for (item, _) in items.iter().zip(methods).filter(|(_, method)| **method != SwapMethod::InPlace) {
        for statement in in_place::sequences(item.table, &quote::qualified(&item.staging.name)) {
            execute(connection, &statement).await?;
        }
    }
    Ok(())
}

/// Foreign keys among the group's staging tables, checked against all rows before readers see them. Those of tables updated in place are
/// there already.
async fn add_foreign_keys(connection: &mut PgConnection, items: &[SwapItem<'_>], methods: &[SwapMethod]) -> Result<()> {
    for (item, key, referenced) in foreign_keys(items, methods) {
        if let (referenced, SwapMethod::Create | SwapMethod::Rename) = referenced {
            // What a try left whose reply was lost goes first.
            let add = sql::foreign_key(&item.staging.name, key, &referenced.staging.name);
            let drop = sql::drop_constraint(&item.staging.name, &key.name);
            change(connection, &format!("{drop}; {add}")).await?;
        }
    }
    Ok(())
}

/// Foreign keys that the staging tables bring, each with the table it refers to and how that is swapped.
fn foreign_keys<'a>(
    items: &'a [SwapItem<'a>],
    methods: &'a [SwapMethod],
) -> impl Iterator<Item = (&'a SwapItem<'a>, &'a ForeignKeyPlan, (&'a SwapItem<'a>, SwapMethod))> {
    let brought = items.iter().zip(methods).filter(|(_, method)| **method != SwapMethod::InPlace);
    brought.flat_map(|(item, _)| item.table.foreign_keys.iter().map(move |key| (item, key))).filter_map(
        move |(item, key)| {
            let (referenced, method) =
                items.iter().zip(methods).find(|(other, _)| other.table.target == key.referenced)?;
            Some((item, key, (referenced, *method)))
        },
    )
}

fn explain(error: Error) -> Error {
    let Error { side, kind, .. } = error;
    Error::new(side, kind, "").with_source(error.whole())
}

/// A transaction whose snapshot is older than the staging rows would find the renamed table empty. Waits until there is none
/// in this database but the job's own; the inner error describes one that is still there at the deadline.
///
/// While anybody's long transaction writes, the snapshots of those who begin now look as old as it is; but one cannot be older
/// than its own transaction, unless it was taken over from another that was still open (as workers of `pg_dump` do). So who
/// began before those were gone is waited for, too.
async fn wait_for_old_snapshots(
    target: &Postgres,
    connection: &mut PgConnection,
    newest: &str,
    deadline: &Deadline,
) -> Result<std::result::Result<(), String>> {
    for _ in 0..2 {
        let now = text_of(connection, "clock_timestamp()").await?;
        let mut met = false;
        while let Some(holder) = old_snapshot(target, connection, newest, &now).await? {
            if deadline.has_passed() {
                return Ok(Err(holder));
            }
            met = true;
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        if !met {
            break;
        }
    }
    Ok(Ok(()))
}

/// A transaction that began by `begun` and whose snapshot may be older than `newest`, in words.
async fn old_snapshot(
    target: &Postgres,
    connection: &mut PgConnection,
    newest: &str,
    begun: &str,
) -> Result<Option<String>> {
    let query = format!(
        "SELECT a.pid::int4 AS pid, coalesce(a.usename::text, '?') AS user_name, coalesce(a.xact_start::text, '?') AS since \
         FROM pg_stat_activity AS a \
         WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend' \
         AND a.application_name <> {} AND a.backend_xmin IS NOT NULL AND age(a.backend_xmin) >= age({}::xid) \
         AND coalesce(a.xact_start <= {}::timestamptz, true) ORDER BY a.xact_start LIMIT 1",
        quote::literal(&target.application_name),
        quote::literal(newest),
        quote::literal(begun)
    );
    let found = rows(connection, &query).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let (pid, user, since) = (row.value::<i32, _>("pid")?, row.text("user_name")?, row.text("since")?);
    Ok(Some(format!("a transaction of user {user} (pid {pid}), open since {since}")))
}

async fn transaction(
    target: &Postgres,
    connection: &mut PgConnection,
    items: &[SwapItem<'_>],
    methods: &[SwapMethod],
) -> Result<()> {
    // Readers wait from the first lock on, so all locks together have the time of one.
    let timeout = Instant::now() + target.config.lock_timeout;
    execute(connection, "BEGIN").await?;
    // Old tables first, children before their parents: dropping them frees the names and ends their foreign keys.
    for (item, method) in items.iter().zip(methods) {
        if *method == SwapMethod::Rename {
            let old = quote::qualified(&item.table.target);
            let lock = format!("{}; LOCK TABLE {old} IN ACCESS EXCLUSIVE MODE", wait_until(timeout));
            execute(connection, &lock).await?;
        }
    }
    execute(connection, &wait_until(timeout)).await?;
    let dropped: Vec<&SwapItem<'_>> =
        items.iter().zip(methods).filter(|(_, method)| **method == SwapMethod::Rename).map(|(item, _)| item).collect();
    let together: Vec<&TableName> = dropped.iter().map(|item| &item.table.target).collect();
    for item in &dropped {
        let found = inspect::tables(connection, std::slice::from_ref(&item.table.target)).await?;
        refuse_new_dependents(item.table, &found, &together)?;
        preserved::at_swap(connection, &item.table.target, &item.staging.name).await?;
    }
    if !dropped.is_empty() {
        let tables: Vec<String> = dropped.iter().map(|item| quote::qualified(&item.table.target)).collect();
        change(connection, &format!("DROP TABLE {}", tables.join(", "))).await?;
    }
    let kept: Vec<&SwapItem<'_>> =
        items.iter().zip(methods).filter(|(_, method)| **method == SwapMethod::InPlace).map(|(item, _)| item).collect();
    in_place::rows(connection, &kept).await?;
    for (item, method) in items.iter().zip(methods) {
        if *method != SwapMethod::InPlace {
            rename(connection, item, *method).await?;
        }
    }
    for (item, key, (referenced, method)) in foreign_keys(items, methods) {
        if method == SwapMethod::InPlace {
            change(connection, &sql::foreign_key(&item.table.target, key, &referenced.table.target)).await?;
        }
    }
    let Some(first) = items.first() else { return Ok(()) };
    let mark = Mark::leave(connection, &first.staging.name).await?;
    // Triggers may wait for the COMMIT. It goes alone: what came after it could fail although the swap is done.
    execute(connection, THEIRS).await?;
    match execute(connection, "COMMIT").await {
        Err(error) if retry::is_reply_lost(error.kind) => mark.resolve(target, error).await,
        result => result,
    }
}

/// Lets the transaction's further locks wait until then; 0 would be for ever.
fn wait_until(end: Instant) -> String {
    let left = end.saturating_duration_since(Instant::now()).as_millis().max(1);
    format!("SET LOCAL lock_timeout = {left}")
}

/// The staging table takes the final name, and so do its indexes and sequences.
async fn rename(connection: &mut PgConnection, item: &SwapItem<'_>, method: SwapMethod) -> Result<()> {
    let table = item.table;
    let staging = quote::qualified(&item.staging.name);
    let target = quote::qualified(&table.target);
    if method == SwapMethod::Create {
        change(
            connection,
            &format!("COMMENT ON TABLE {staging} IS NULL; ALTER TABLE {staging} RESET (autovacuum_enabled)"),
        )
        .await?;
    }
    change(connection, &format!("ALTER TABLE {staging} RENAME TO {}", quote::identifier(&table.target.name))).await?;
    rename_indexes(connection, table, &item.staging).await?;
    for column in table.columns.iter().filter(|column| column.identity.is_some()) {
        rename_sequence(connection, table, &target, &column.target).await?;
    }
    Ok(())
}

async fn rename_indexes(connection: &mut PgConnection, table: &TablePlan, staging: &Staging) -> Result<()> {
    for (number, index) in table.indexes.iter().enumerate() {
        let temporary = temporary_name(&staging.name, number);
        // A row may have been too long for a plain one.
        let present = if index.kind == IndexKind::Plain { "IF EXISTS " } else { "" };
        let schema = quote::identifier(&table.target.schema);
        let rename = format!("RENAME TO {}", quote::identifier(&index.name));
        // A constraint goes by the name of its index.
        change(connection, &format!("ALTER INDEX {present}{schema}.{} {rename}", quote::identifier(&temporary)))
            .await?;
    }
    Ok(())
}

/// `table_column_seq`, as PostgreSQL itself would name it, unless that name is taken or too long.
async fn rename_sequence(connection: &mut PgConnection, table: &TablePlan, target: &str, column: &str) -> Result<()> {
    let name = format!("{}_{column}_seq", table.target.name);
    let query = format!(
        "SELECT pg_get_serial_sequence({}, {}) AS seq, to_regclass({}) IS NULL AS free",
        quote::literal(target),
        quote::literal(column),
        quote::literal(&format!("{}.{}", quote::identifier(&table.target.schema), quote::identifier(&name))),
    );
    let row = only_row(connection, &query).await?;
    let sequence: Option<String> = row.value("seq")?;
    let free = row.flag("free")?;
    match sequence {
        Some(sequence) if free && name.len() <= 63 => {
            change(connection, &format!("ALTER SEQUENCE {sequence} RENAME TO {}", quote::identifier(&name))).await
        }
        _ => Ok(()),
    }
}
