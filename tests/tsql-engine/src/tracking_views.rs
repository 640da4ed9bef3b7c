//! The views that tell of Change Tracking, and of which past a database goes on from.

use crate::bind::literal;
use crate::catalog::Place;
use crate::env::Env;
use crate::error::error;
use crate::value::{SqlError, SqlType, Value};

/// Azure SQL Database's engine edition, which has no `sys.database_recovery_status`.
/// The view of recovery forks.
pub const RECOVERY_STATUS: &str = "database_recovery_status";

/// Azure SQL Database lacks it.
pub fn has_recovery_status(env: &Env<'_>) -> bool {
    env.quirks().engine_edition != Some(AZURE)
}

pub(crate) const AZURE: i64 = 5;

/// A view's query and its column list.
pub fn view(env: &Env<'_>, place: &Place, name: &str) -> Result<Option<(String, String)>, SqlError> {
    let here = if place.at.is_empty() { env.database } else { &place.database };
    let id = env.instance.database(here).map_or(0, |database| database.id);
    Ok(Some(match name {
        "change_tracking_databases" => (
            format!(
                "SELECT {id} AS database_id, auto_cleanup AS is_auto_cleanup_on, retention AS retention_period, units AS retention_period_units, u16(CASE units WHEN 1 THEN 'MINUTES' WHEN 2 THEN 'HOURS' ELSE 'DAYS' END) AS retention_period_units_desc FROM \"$tracking_database\""
            ),
            "database_id is_auto_cleanup_on:b retention_period retention_period_units:t retention_period_units_desc:d"
                .to_owned(),
        ),
        "change_tracking_tables" => (
            format!(
                "SELECT object_id, columns AS is_track_columns_updated_on, min_valid AS min_valid_version, begin_version, cleanup AS cleanup_version FROM \"$tracking\" WHERE {}",
                env.visible_objects(&place.at)?.object("object_id")
            ),
            "object_id is_track_columns_updated_on:b min_valid_version:l begin_version:l cleanup_version:l".to_owned(),
        ),
        "dm_tran_commit_table" => {
            if !env.granted("VIEW DATABASE STATE", &place.at, None)? {
                let message = format!("VIEW DATABASE STATE permission denied in database '{here}'.");
                return Err(SqlError { class: 14, ..error(262, message) });
            }
            (
                "SELECT version AS commit_ts, version AS xdes_id, version AS commit_lbn, 0 AS commit_csn, moment AS commit_time FROM \"$commits\"".to_owned(),
                "commit_ts:l xdes_id:l commit_lbn:l commit_csn:l commit_time:datetime".to_owned(),
            )
        }
        RECOVERY_STATUS if has_recovery_status(env) => {
            let rows: Vec<String> = env
                .instance
                .databases()
                .iter()
                .map(|database| {
                    let fork = literal(&crate::codec::store(&Value::Guid(database.fork), &SqlType::UniqueIdentifier));
                    format!(
                        "SELECT {} AS database_id, {fork} AS recovery_fork_guid, NULL AS last_log_backup_lsn",
                        database.id
                    )
                })
                .collect();
            (
                rows.join(" UNION ALL "),
                "database_id recovery_fork_guid:uniqueidentifier last_log_backup_lsn:numeric(25,0)".to_owned(),
            )
        }
        _ => return Ok(None),
    }))
}
