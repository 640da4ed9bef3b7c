//! Readers that a swap cannot wait for: those of sessions that this login may not see, and those of replicas.

use sqlx::postgres::PgConnection;

use super::connect::rows;
use super::quote::identifier;
use crate::model::error::Result;
use crate::plan::{Finding, InvisibleSessions, Severity, SwapMethod, TablePlan};

/// Nothing where this login sees the transactions of all sessions (PostgreSQL documentation, "Predefined Roles").
pub(super) async fn invisible(connection: &mut PgConnection) -> Result<Option<InvisibleSessions>> {
    let query = "SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS may, current_user::text AS me";
    let found = rows(connection, query).await?;
    let Some(row) = found.first() else { return Ok(None) };
    if row.flag("may")? {
        return Ok(None);
    }
    let me: String = row.value("me")?;
    Ok(Some(InvisibleSessions {
        message: format!(
            "{me} may not see the transactions of others: one that began before a swap could find a renamed table empty, so \
             tables that are there are kept and their rows replaced, which takes longer"
        ),
        remedy: format!("GRANT pg_read_all_stats TO {};", identifier(&me)),
    }))
}

/// A warning where tables are renamed and replicas are seen.
pub(super) async fn of_replicas(connection: &mut PgConnection, tables: &[TablePlan]) -> Result<Option<Finding>> {
    if tables.iter().all(|table| table.swap.method != SwapMethod::Rename) {
        return Ok(None);
    }
    let count = count(connection, STANDBYS).await? + aurora_readers(connection).await?;
    Ok((count > 0).then(|| {
        Finding::new(
            "replica-readers",
            Severity::Warning,
            format!(
                "the target has {count} replica(s), whose readers cannot be seen from here: a REPEATABLE READ transaction there that \
                 began before a swap finds a renamed table empty"
            ),
            "Where there are such readers, set swap = \"replace\" in [target], or in the [[table]] entries of what they read.",
        )
    }))
}

/// Readers of an Aurora cluster (Amazon Aurora User Guide, "`aurora_replica_status`"); none elsewhere.
async fn aurora_readers(connection: &mut PgConnection) -> Result<i64> {
    let is_aurora = "SELECT count(*)::int8 AS number FROM pg_proc WHERE proname = 'aurora_replica_status'";
    if count(connection, is_aurora).await? == 0 {
        return Ok(0);
    }
    count(connection, AURORA_READERS).await
}

async fn count(connection: &mut PgConnection, query: &str) -> Result<i64> {
    let found = rows(connection, query).await?;
    found.first().map_or(Ok(0), |row| row.value("number"))
}

/// Those who stream the log and replay it, so that they may answer queries: not subscribers, whose slots are logical, nor
/// backups and archivers, which only write it down.
const STANDBYS: &str = "\
SELECT count(*)::int8 AS number FROM pg_stat_replication AS r
WHERE r.replay_lsn IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_replication_slots AS s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')";

const AURORA_READERS: &str = "\
SELECT count(*)::int8 AS number FROM aurora_replica_status() WHERE session_id <> 'MASTER_SESSION_ID'";
