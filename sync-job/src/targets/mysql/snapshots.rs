//! Transactions whose snapshot is older than the new table would get error 1412 from it: a rename waits for them.

use std::time::Duration;

use mysql_async::Conn;

use super::MySql;
use super::connect::{only_row, row};
use super::permissions::account;
use super::quote;
use crate::connect::retry::Deadline;
use crate::model::error::{Kind, Result};
use crate::plan::{Finding, FindingId, Severity, SwapMethod, TablePlan};

/// How often old snapshots are looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// InnoDB tells it in the zone of the server's machine, whatever the session's is.
const STARTED: &str = "CONVERT_TZ(t.trx_started, 'SYSTEM', '+00:00')";

/// A wait that goes on over another connection where one breaks.
#[derive(Debug, Default)]
pub(super) struct Wait {
    /// When it began, by the server's clock.
    since: Option<String>,
}

impl Wait {
    /// Waits until there is no such transaction but the job's own among the sessions in this database; the inner error describes
    /// one that is still there at the deadline. Seeing others takes the privilege PROCESS; without it, of which the plan warns,
    /// the swap goes on.
    pub(super) async fn until(
        &mut self,
        target: &MySql,
        connection: &mut Conn,
        deadline: &Deadline,
    ) -> Result<std::result::Result<(), String>> {
        let now = self.since(connection).await?;
        let own = target.own_connections();
        let database = quote::literal(&target.config.database);
        let query = format!(
            "SELECT CAST(t.trx_mysql_thread_id AS CHAR), CAST({STARTED} AS CHAR) FROM information_schema.innodb_trx AS t \
             JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id AND COALESCE(p.db, {database}) = {database} \
             WHERE {STARTED} <= {now} AND t.trx_isolation_level IN ('REPEATABLE READ', 'SERIALIZABLE') \
             AND t.trx_mysql_thread_id NOT IN ({own}) ORDER BY t.trx_started LIMIT 1"
        );
        loop {
            match row::<(String, String)>(connection, &query).await {
                Ok(None) => return Ok(Ok(())),
                Ok(Some((id, since))) if deadline.has_passed() => {
                    return Ok(Err(format!("a transaction of connection {id}, open since {since} UTC")));
                }
                Ok(Some(_)) => tokio::time::sleep(POLL_INTERVAL).await,
                Err(error) if error.kind == Kind::Permission => {
                    tracing::warn!(
                        "without the privilege PROCESS transactions with older snapshots cannot be waited for"
                    );
                    return Ok(Ok(()));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The server's clock decides; a transaction of this very second may be older than the staging table's rows.
    async fn since(&mut self, connection: &mut Conn) -> Result<String> {
        let since = match self.since.take() {
            Some(since) => since,
            None => only_row(connection, "SELECT CAST(NOW() AS CHAR)").await?,
        };
        Ok(quote::literal(self.since.insert(since)))
    }
}

/// A warning where tables are renamed and this user does not see whose transactions are open.
pub(super) async fn invisible(connection: &mut Conn, tables: &[TablePlan]) -> Result<Option<Finding>> {
    if tables.iter().all(|table| table.swap.method != SwapMethod::Rename) {
        return Ok(None);
    }
    match only_row::<u64>(connection, "SELECT COUNT(*) FROM information_schema.innodb_trx").await {
        Ok(_) => Ok(None),
        Err(error) if error.kind == Kind::Permission => {
            let me: String = only_row(connection, "SELECT CURRENT_USER()").await?;
            Ok(Some(Finding::new(
                FindingId::InvisibleSessions,
                Severity::Warning,
                format!(
                    "{me} lacks PROCESS and does not see transactions that began before a swap: a rename does not wait for them, \
                     and they get error 1412 from the new table"
                ),
                format!("GRANT PROCESS ON *.* TO {};", account(&me)),
            )))
        }
        Err(error) => Err(error),
    }
}
