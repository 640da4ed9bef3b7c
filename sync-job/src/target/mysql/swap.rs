//! The cut-over: one atomic `RENAME TABLE` for a table, or for a group of tables that must change together.
//!
//! MySQL's statements on tables are not transactional, so the order of steps is chosen such that a crash after any of them leaves
//! either the old table or the new one under the final name, and beside it only tables that the next run drops by their names.

use std::time::{Duration, Instant};

use mysql_async::Conn;

use super::connect::{close, execute, row};
use super::load::ledger;
use super::{MySql, inspect, replace, sql};
use crate::error::{Error, Kind, Result, Side};
use crate::plan::{SwapMethod, is_foreign_key_of};
use crate::retry;
use crate::schema::TableName;
use crate::target::{Staging, SwapItem};

/// How often old snapshots are looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Swaps all items, trying again while locks are held by others, for at most `swap_wait`.
pub(super) async fn swap(target: &MySql, items: &[SwapItem<'_>]) -> Result<Vec<SwapMethod>> {
    let mut connection = target.connect().await?;
    let deadline = Instant::now() + target.config.swap_wait;
    let mut methods: Vec<SwapMethod> = items.iter().map(|item| item.table.swap.method).collect();
    if methods.contains(&SwapMethod::Rename) {
        if methods.contains(&SwapMethod::Replace) {
            fall_back(items, &mut methods, "another table of its group, which is kept")?;
        } else if let Err(holder) = wait_for_old_snapshots(target, &mut connection, deadline).await? {
            fall_back(items, &mut methods, &holder)?;
        }
    }
    // Only now: a key must not lead to the staging table of one that is kept after all.
    add_foreign_keys(&mut connection, items, &methods).await?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let Err(error) = attempt_swap(target, &mut connection, items, &methods).await else {
            close(connection).await;
            return Ok(methods);
        };
        if execute(&mut connection, "ROLLBACK").await.is_err()
            && let Ok(new) = target.connect().await
        {
            connection = new;
        }
        if !retry::worth_retrying(error.kind) || Instant::now() >= deadline {
            let Error { side, kind, .. } = error;
            return Err(Error::new(side, kind, format!("swapping {} failed", names(items))).with_source(error.chain()));
        }
        tracing::info!(tables = names(items), attempt, "the swap waits for a lock that others hold");
        tokio::time::sleep(retry::backoff(attempt)).await;
    }
}

/// Foreign keys of new tables, checked against all rows before readers see them. They follow the tables they refer to when those
/// are renamed.
///
/// With `foreign_key_checks` on, each would write its table anew (MySQL 8.0 Reference Manual, 17.12.1 "Online DDL Operations",
/// "Foreign Key Operations"); off, it is a note in the dictionary, and one query for each key looks for orphans.
async fn add_foreign_keys(connection: &mut Conn, items: &[SwapItem<'_>], methods: &[SwapMethod]) -> Result<()> {
    execute(connection, "SET SESSION foreign_key_checks = 0").await?;
    let added = add_unchecked(connection, items, methods).await;
    execute(connection, "SET SESSION foreign_key_checks = 1").await?;
    // The rows that a kept table will have are still in its staging table.
    let kept = items.iter().zip(methods).filter(|(_, method)| **method == SwapMethod::Replace);
    let stand_ins: Vec<(&TableName, &TableName)> =
        kept.map(|(item, _)| (&item.table.target, &item.staging.name)).collect();
    for staging in added? {
        let looked = replace::refuse_orphans(connection, &staging, &stand_ins).await;
        looked.map_err(|error| in_final_names(error, items))?;
    }
    Ok(())
}

/// The staging tables that got keys.
async fn add_unchecked(
    connection: &mut Conn,
    items: &[SwapItem<'_>],
    methods: &[SwapMethod],
) -> Result<Vec<TableName>> {
    let mut changed = Vec::new();
    for (item, method) in items.iter().zip(methods) {
        if *method == SwapMethod::Replace {
            continue;
        }
        let mut any = false;
        for key in &item.table.foreign_keys {
            let referenced = items.iter().zip(methods).find(|(other, _)| other.table.target == key.referenced);
            if let Some((other, method)) = referenced {
                let name = if *method == SwapMethod::Replace { &other.table.target } else { &other.staging.name };
                execute(connection, &sql::foreign_key(&item.staging.name, key, name)).await?;
                any = true;
            }
        }
        if any {
            changed.push(item.staging.name.clone());
        }
    }
    Ok(changed)
}

/// People know the tables by the names that they will have.
fn in_final_names(error: Error, items: &[SwapItem<'_>]) -> Error {
    let message = items.iter().fold(error.message, |message, item| {
        message.replace(&item.staging.name.to_string(), &item.table.target.to_string())
    });
    Error { message, ..error }
}

fn names(items: &[SwapItem<'_>]) -> String {
    items.iter().map(|item| item.table.target.to_string()).collect::<Vec<_>>().join(", ")
}

/// A transaction whose snapshot is older than the new table would get error 1412 from it. Waits until there is none but the
/// job's own among the sessions in this database; the inner error describes one that is still there at the deadline. Seeing
/// others takes the privilege PROCESS; without it the swap goes on.
async fn wait_for_old_snapshots(
    target: &MySql,
    connection: &mut Conn,
    deadline: Instant,
) -> Result<std::result::Result<(), String>> {
    let own = target.own_connections();
    let database = sql::literal(&target.config.database);
    // The server's clock decides; a transaction of this very second may be older than the staging table's rows.
    let now = sql::literal(&row::<String>(connection, "SELECT CAST(NOW() AS CHAR)").await?.unwrap_or_default());
    let query = format!(
        "SELECT CAST(t.trx_mysql_thread_id AS CHAR), CAST(t.trx_started AS CHAR) FROM information_schema.innodb_trx AS t \
         JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id AND COALESCE(p.db, {database}) = {database} \
         WHERE t.trx_started <= {now} AND t.trx_isolation_level IN ('REPEATABLE READ', 'SERIALIZABLE') \
         AND t.trx_mysql_thread_id NOT IN ({own}) ORDER BY t.trx_started LIMIT 1"
    );
    loop {
        match row::<(String, String)>(connection, &query).await {
            Ok(None) => return Ok(Ok(())),
            Ok(Some((id, since))) if Instant::now() >= deadline => {
                return Ok(Err(format!("a transaction of connection {id}, open since {since} UTC")));
            }
            Ok(Some(_)) => tokio::time::sleep(LOOK_AGAIN).await,
            Err(error) if error.kind == Kind::Permission => {
                tracing::warn!("without the privilege PROCESS transactions with older snapshots cannot be waited for");
                return Ok(Ok(()));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Tables whose columns stay the same can have their rows replaced instead, which old snapshots survive.
fn fall_back(items: &[SwapItem<'_>], methods: &mut [SwapMethod], holder: &str) -> Result<()> {
    for (item, method) in items.iter().zip(methods) {
        if *method != SwapMethod::Rename {
            continue;
        }
        if !item.table.drift.is_empty() {
            return Err(Error::new(
                Side::Target,
                Kind::LockTimeout,
                format!("{} changes its columns and cannot be swapped under {holder}", item.table.target),
            ));
        }
        tracing::warn!(table = %item.table.target, holder, "the table is kept and its rows are replaced");
        *method = SwapMethod::Replace;
    }
    Ok(())
}

async fn attempt_swap(
    target: &MySql,
    connection: &mut Conn,
    items: &[SwapItem<'_>],
    methods: &[SwapMethod],
) -> Result<()> {
    // Whole seconds, at least one.
    let patience = target.config.lock_timeout.as_secs().max(1);
    execute(connection, &format!("SET SESSION lock_wait_timeout = {patience}, innodb_lock_wait_timeout = {patience}"))
        .await?;
    let by_name: Vec<(&SwapItem<'_>, SwapMethod)> =
        items.iter().zip(methods.iter().copied()).filter(|(_, method)| *method != SwapMethod::Replace).collect();
    let kept: Vec<&SwapItem<'_>> =
        items.iter().zip(methods).filter(|(_, method)| **method == SwapMethod::Replace).map(|(item, _)| item).collect();
    if !by_name.is_empty() && !is_renamed(connection, &by_name).await? {
        for (item, _) in by_name.iter().filter(|(_, method)| *method == SwapMethod::Rename) {
            refuse_new_ties(connection, item, items).await?;
            carry_over(connection, item).await?;
        }
        let renames: Vec<String> = by_name.iter().flat_map(|(item, method)| renames(item, *method)).collect();
        if let Err(error) = execute(connection, &format!("RENAME TABLE {}", renames.join(", "))).await {
            // An earlier try, whose reply was lost, may have come to its end meanwhile.
            if error.kind != Kind::Statement || !is_renamed(connection, &by_name).await? {
                return Err(error);
            }
        }
    }
    if !kept.is_empty() {
        replace::rows(target, connection, &kept).await?;
    }
    for (item, method) in items.iter().zip(methods) {
        clean_up(connection, item, *method).await;
    }
    Ok(())
}

/// Where an earlier try's RENAME was done and its reply lost, the staging tables are gone.
async fn is_renamed(connection: &mut Conn, items: &[(&SwapItem<'_>, SwapMethod)]) -> Result<bool> {
    let names: Vec<TableName> = items.iter().map(|(item, _)| item.staging.name.clone()).collect();
    Ok(inspect::tables(connection, &names).await?.is_empty())
}

/// The old table's name while it waits to be dropped.
fn old(staging: &Staging) -> TableName {
    TableName::new(&staging.name.schema, format!("{}o", staging.name.name))
}

fn renames(item: &SwapItem<'_>, method: SwapMethod) -> Vec<String> {
    let rename = |from: &TableName, to: &TableName| format!("{} TO {}", sql::qualified(from), sql::qualified(to));
    let mut renames = Vec::new();
    if method == SwapMethod::Rename {
        renames.push(rename(&item.table.target, &old(&item.staging)));
    }
    renames.push(rename(&item.staging.name, &item.table.target));
    renames
}

/// What was not tied when the plan was made may be now.
async fn refuse_new_ties(connection: &mut Conn, item: &SwapItem<'_>, group: &[SwapItem<'_>]) -> Result<()> {
    let table = item.table;
    let found = inspect::tables(connection, std::slice::from_ref(&table.target)).await?;
    let ties = found.get(&table.target).map(|found| found.ties.clone()).unwrap_or_default();
    let outside: Vec<String> =
        ties.into_iter().filter(|tie| !group.iter().any(|other| is_foreign_key_of(tie, &other.table.target))).collect();
    if outside.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Side::Target,
        Kind::Refused,
        format!("{} got new ties since the plan was made: {}; run again", table.target, outside.join(", ")),
    ))
}

/// The old table's comment. Grants go by name and need nothing.
async fn carry_over(connection: &mut Conn, item: &SwapItem<'_>) -> Result<()> {
    let target = &item.table.target;
    let query = format!(
        "SELECT table_comment FROM information_schema.tables WHERE table_schema = {} AND table_name = {}",
        sql::literal(&target.schema),
        sql::literal(&target.name)
    );
    match row::<String>(connection, &query).await? {
        Some(comment) if !comment.is_empty() => {
            let staging = sql::qualified(&item.staging.name);
            execute(connection, &format!("ALTER TABLE {staging} COMMENT = {}", sql::literal(&comment))).await
        }
        _ => Ok(()),
    }
}

/// The readers have their rows; what is left is only in the way. What cannot be dropped now is dropped by the next run.
async fn clean_up(connection: &mut Conn, item: &SwapItem<'_>, method: SwapMethod) {
    let mut leftovers = vec![ledger(&item.staging.name)];
    match method {
        SwapMethod::Rename => leftovers.push(old(&item.staging)),
        SwapMethod::Replace => leftovers.push(item.staging.name.clone()),
        SwapMethod::Create => {}
    }
    for name in leftovers {
        if let Err(error) = execute(connection, &format!("DROP TABLE IF EXISTS {}", sql::qualified(&name))).await {
            tracing::warn!(table = %name, error = error.chain(), "the next run will drop it");
        }
    }
}
