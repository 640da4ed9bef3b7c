//! The lease: a named lock of the server, gone with its connection.

use mysql_async::Conn;
use tokio::sync::Mutex;

use super::MySql;
use super::columns::is_on;
use super::connect::{close, only_row, row};
use super::quote::literal;
use crate::model::error::{Error, Kind, Result, Side};
use crate::targets;
use crate::targets::lease::{Acquired, LeaseState, Session, answered};

/// See the module.
pub struct Lease {
    target: MySql,
    state: Mutex<LeaseState<Conn>>,
}

/// Named locks are the server's, not the database's, and at most 64 characters long.
fn lock_name(target: &MySql) -> String {
    format!("stopgap_{:08x}", target.job_hash)
}

pub(super) async fn acquire(target: &MySql) -> Result<Lease> {
    match lock(target).await? {
        Acquired::Ours(session) => Ok(Lease { target: target.clone(), state: Mutex::new(LeaseState::new(session)) }),
        Acquired::Others(_, words) => Err(Error::new(Side::Job, Kind::LeaseHeld, words)),
    }
}

async fn lock(target: &MySql) -> Result<Acquired<Conn>> {
    let mut connection = target.connect().await?;
    // A reader has locks of its own. After a failover the name of the cluster may still lead to the server that is one now.
    let read_only: String = only_row(&mut connection, "SELECT CAST(@@innodb_read_only AS CHAR)").await?;
    if is_on(&read_only) {
        close(connection).await;
        let message = format!("{} is a reader: no lease can be taken there", target.config.host);
        return Err(Error::new(Side::Target, Kind::Transient, message));
    }
    let name = lock_name(target);
    // NULL: an error, such as a session that is being ended.
    let taken: Option<i64> = only_row(&mut connection, &format!("SELECT GET_LOCK({}, 0)", literal(&name))).await?;
    if taken == Some(1) {
        let id = connection.id().into();
        return Ok(Acquired::Ours(Session { connection, id }));
    }
    let (id, words) = holder(&mut connection, &name).await;
    close(connection).await;
    Ok(Acquired::Others(id, format!("another run of the job {} is under way on this target{words}", target.job)))
}

/// Who holds the lock, as far as it can be seen.
async fn holder(connection: &mut Conn, name: &str) -> (Option<u64>, String) {
    let used = format!("SELECT IS_USED_LOCK({})", literal(name));
    let Ok(Some(Some(id))) = row::<Option<u64>>(connection, &used).await else { return (None, String::new()) };
    let query =
        format!("SELECT p.host, CAST(p.time AS CHAR) FROM information_schema.processlist AS p WHERE p.id = {id}");
    let words = match row::<(String, String)>(connection, &query).await {
        Ok(Some((host, seconds))) => format!(" (connection {id}, from {host}, idle for {seconds} s)"),
        _ => format!(" (connection {id})"),
    };
    (Some(id), words)
}

/// Whether this connection still holds the lock.
async fn holds(connection: &mut Conn, name: &str) -> Result<bool> {
    let query = format!("SELECT IS_USED_LOCK({}) = CONNECTION_ID()", literal(name));
    // NULL: nobody has it.
    let held: Option<i64> = only_row(connection, &query).await?;
    Ok(held == Some(1))
}

impl targets::Lease for Lease {
    async fn check(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        state.check()?;
        let reason = match answered(holds(&mut state.session.connection, &lock_name(&self.target))).await {
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
