//! The lease: a session-level advisory lock, gone with its connection.

use sqlx::postgres::PgConnection;
use tokio::sync::Mutex;

use super::Postgres;
use super::connect::{close, only_row, rows};
use super::quote::literal;
use crate::model::error::{Error, Kind, Result, Side};
use crate::targets;
use crate::targets::lease::{Acquired, LeaseState, Session, answered};

/// First half of the lock's key: keeps clear of other programs' advisory locks ("STOP" in ASCII).
const LOCK_CLASS: i32 = 0x5354_4F50;

/// See the module.
pub struct Lease {
    target: Postgres,
    state: Mutex<LeaseState<PgConnection>>,
}

pub(super) async fn acquire(target: &Postgres) -> Result<Lease> {
    match lock(target).await? {
        Acquired::Ours(session) => Ok(Lease { target: target.clone(), state: Mutex::new(LeaseState::new(session)) }),
        Acquired::Others(_, words) => Err(Error::new(Side::Job, Kind::LeaseHeld, words)),
    }
}

async fn lock(target: &Postgres) -> Result<Acquired<PgConnection>> {
    let mut connection = target.connect().await?;
    let key = target.job_hash as i32;
    refuse_reader(&mut connection).await?;
    let query = format!("SELECT pg_try_advisory_lock({LOCK_CLASS}, {key}) AS locked, pg_backend_pid() AS pid");
    let row = only_row(&mut connection, &query).await?;
    if row.flag("locked")? {
        let pid: i32 = row.value("pid")?;
        return Ok(Acquired::Ours(Session { connection, id: pid.unsigned_abs().into() }));
    }
    let (id, words) = holder(&mut connection, key).await;
    close(connection).await;
    Ok(Acquired::Others(id, format!("another run of the job {} is under way on this target{words}", target.job)))
}

/// A reader gives the lock as well, and nobody at the writer would heed it. After a failover the name may lead to one for a while.
async fn refuse_reader(connection: &mut PgConnection) -> Result<()> {
    if !only_row(connection, "SELECT pg_is_in_recovery() AS reader").await?.flag("reader")? {
        return Ok(());
    }
    Err(Error::new(Side::Target, Kind::Transient, "the server that answers is a reader: it cannot give the lease"))
}

/// Who holds the lock, as far as it can be seen.
async fn holder(connection: &mut PgConnection, key: i32) -> (Option<u64>, String) {
    let query = format!(
        "SELECT l.pid::int4 AS pid, coalesce(host(a.client_addr), 'local') AS client, a.backend_start::text AS since \
         FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.granted AND l.classid::int8 = {LOCK_CLASS} AND l.objid::int8 = {} \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        i64::from(key as u32)
    );
    let Ok(found) = rows(connection, &query).await else { return (None, String::new()) };
    let Some(row) = found.first() else { return (None, String::new()) };
    // Only some logins see when another's session began.
    let (pid, client, since) =
        (row.value::<i32, _>("pid"), row.text("client"), row.value::<Option<String>, _>("since"));
    let (Ok(pid), Ok(client), Ok(since)) = (pid, client, since) else { return (None, String::new()) };
    let since = since.map(|since| format!(", since {since}")).unwrap_or_default();
    (Some(pid.unsigned_abs().into()), format!(" (pid {pid}, from {client}{since})"))
}

/// Whether this connection still holds the lock.
async fn holds(connection: &mut PgConnection, key: i32) -> Result<bool> {
    let query = format!(
        "SELECT count(*)::int8 AS held FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() \
         AND classid::int8 = {LOCK_CLASS} AND objid::int8 = {}",
        i64::from(key as u32)
    );
    Ok(only_row(connection, &query).await?.value::<i64, _>("held")? > 0)
}

impl targets::Lease for Lease {
    async fn check(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        state.check()?;
        let reason = match answered(holds(&mut state.session.connection, self.target.job_hash as i32)).await {
            Ok(true) => return Ok(()),
            Ok(false) => Error::new(Side::Target, Kind::Conflict, "its lock is gone"),
            Err(error) => error,
        };
        state.reacquire(reason, self.target.config.outage, || lock(&self.target)).await
    }

    async fn release(self) {
        close(self.state.into_inner().session.connection).await;
    }
}

/// A comment that tells whose staging table it is.
pub(super) fn staging_comment(target: &Postgres, table: &str) -> String {
    literal(&format!("{}run={} for {table}", comment_of_job(target), target.run_id))
}

/// How the comments of all of the job's staging tables begin.
pub(super) fn comment_of_job(target: &Postgres) -> String {
    format!("stopgap staging job={} ", target.job)
}
