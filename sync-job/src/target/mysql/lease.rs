//! The lease: a named lock of the server, gone with its connection.

use mysql_async::Conn;
use tokio::sync::Mutex;

use super::MySql;
use super::connect::{close, row};
use super::sql::literal;
use crate::error::{Error, Kind, Result, Side};
use crate::target;

/// See the module.
pub struct Lease {
    target: MySql,
    connection: Mutex<Conn>,
}

/// Named locks are the server's, not the database's, and at most 64 characters long.
fn lock_name(target: &MySql) -> String {
    format!("stopgap_{:08x}", target.job_hash)
}

pub(super) async fn acquire(target: &MySql) -> Result<Lease> {
    Ok(Lease { connection: Mutex::new(take(target).await?), target: target.clone() })
}

/// The connection that holds the lock.
async fn take(target: &MySql) -> Result<Conn> {
    let mut connection = target.connect().await?;
    // A reader has locks of its own. After a failover the name of the cluster may still lead to the server that is one now.
    if row::<u64>(&mut connection, "SELECT @@innodb_read_only").await? != Some(0) {
        close(connection).await;
        let message = format!("{} is a reader: no lease can be taken there", target.config.host);
        return Err(Error::new(Side::Target, Kind::Transient, message));
    }
    let name = lock_name(target);
    let taken: Option<Option<i64>> = row(&mut connection, &format!("SELECT GET_LOCK({}, 0)", literal(&name))).await?;
    if taken.flatten() == Some(1) {
        return Ok(connection);
    }
    let holder = holder(&mut connection, &name).await;
    close(connection).await;
    Err(Error::new(
        Side::Job,
        Kind::Refused,
        format!("another run of the job {} is under way on this target{holder}", target.job),
    ))
}

/// Who holds the lock, as far as it can be seen.
async fn holder(connection: &mut Conn, name: &str) -> String {
    let query = format!(
        "SELECT CAST(p.id AS CHAR), p.host, CAST(p.time AS CHAR) FROM information_schema.processlist AS p \
         WHERE p.id = IS_USED_LOCK({})",
        literal(name)
    );
    match row::<(String, String, String)>(connection, &query).await {
        Ok(Some((id, host, seconds))) => format!(" (connection {id}, from {host}, idle for {seconds} s)"),
        _ => String::new(),
    }
}

/// Whether this connection still holds the lock.
async fn holds(connection: &mut Conn, name: &str) -> Result<bool> {
    let query = format!("SELECT IS_USED_LOCK({}) = CONNECTION_ID()", literal(name));
    let held: Option<Option<i64>> = row(connection, &query).await?;
    Ok(held.flatten() == Some(1))
}

impl target::Lease for Lease {
    async fn check(&self) -> Result<()> {
        let mut connection = self.connection.lock().await;
        let lost = match holds(&mut connection, &lock_name(&self.target)).await {
            Ok(true) => return Ok(()),
            Ok(false) => Error::new(Side::Target, Kind::Changed, "its lock is gone"),
            Err(error) => error,
        };
        *connection = target::take_again(lost, || take(&self.target)).await?;
        Ok(())
    }

    async fn release(self) {
        close(self.connection.into_inner()).await;
    }
}
