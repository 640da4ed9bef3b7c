//! The `sys` views that tell of the server and its sessions.

use crate::bind::text_literal;
use crate::catalog::Place;
use crate::env::Env;
use crate::types::DEFAULT_COLLATION;
use crate::value::SqlError;

fn text(value: &str) -> String {
    format!("u16({})", text_literal(value))
}

/// A view's query and its column list.
pub fn view(env: &Env<'_>, place: &Place, name: &str) -> Result<Option<(String, String)>, SqlError> {
    Ok(Some(match name.to_ascii_lowercase().as_str() {
        "databases" => {
            let rows: Vec<String> = env
                .instance
                .databases()
                .iter()
                .map(|database| {
                    format!(
                        "SELECT {} AS name, {} AS database_id, {} AS source_database_id, {} AS collation_name, {} AS compatibility_level, {} AS snapshot_isolation_state, {} AS snapshot_isolation_state_desc, {} AS is_read_committed_snapshot_on, {} AS is_read_only, 0 AS state, {} AS state_desc, {} AS create_date",
                        text(&database.name),
                        database.id,
                        database.source.map_or("NULL".to_owned(), |id| id.to_string()),
                        text(DEFAULT_COLLATION),
                        env.instance.version().compatibility(),
                        u8::from(database.allow_snapshot),
                        text(if database.allow_snapshot { "ON" } else { "OFF" }),
                        u8::from(database.read_committed_snapshot),
                        u8::from(database.source.is_some()),
                        text("ONLINE"),
                        database.created
                    )
                })
                .collect();
            (
                rows.join(" UNION ALL "),
                "name:n database_id source_database_id collation_name:n compatibility_level:t snapshot_isolation_state:t snapshot_isolation_state_desc:d is_read_committed_snapshot_on:b is_read_only:b state:t state_desc:d create_date:datetime".to_owned(),
            )
        }
        "dm_exec_sessions" => {
            let rows: Vec<String> = env
                .instance
                .sessions()
                .iter()
                .map(|session| {
                    format!(
                        "SELECT {} AS session_id, {} AS program_name, {} AS host_name, {} AS login_name, {} AS status, {} AS transaction_isolation_level, {} AS deadlock_priority, {} AS lock_timeout, {} AS text_size, 1 AS is_user_process, {} AS open_transaction_count",
                        session.spid,
                        text(&session.application),
                        text(&session.host),
                        text(&session.login),
                        text(if session.spid == env.spid { "running" } else { "sleeping" }),
                        session.isolation,
                        session.deadlock_priority,
                        session.lock_timeout,
                        session.text_size,
                        session.transactions
                    )
                })
                .collect();
            (
                rows.join(" UNION ALL "),
                "session_id:s program_name:n host_name:n login_name:n status:nvarchar(30) transaction_isolation_level:s deadlock_priority lock_timeout text_size is_user_process:b open_transaction_count".to_owned(),
            )
        }
        "dm_exec_connections" => {
            let rows: Vec<String> = env
                .instance
                .sessions()
                .iter()
                .map(|session| {
                    format!(
                        "SELECT {} AS session_id, {} AS encrypt_option, {} AS net_transport, {} AS auth_scheme",
                        session.spid,
                        text(if session.encrypted { "TRUE" } else { "FALSE" }),
                        text("TCP"),
                        text("SQL")
                    )
                })
                .collect();
            (
                rows.join(" UNION ALL "),
                "session_id encrypt_option:nvarchar(40) net_transport:nvarchar(40) auth_scheme:nvarchar(40)".to_owned(),
            )
        }
        "master_files" | "database_files" => {
            let own = name.eq_ignore_ascii_case("database_files");
            let here = if place.at.is_empty() { env.database } else { &place.database };
            let rows: Vec<String> = env
                .instance
                .databases()
                .iter()
                .filter(|database| !own || database.name.eq_ignore_ascii_case(here))
                .map(|database| {
                    format!(
                        "SELECT {} AS database_id, 1 AS file_id, 0 AS type, {} AS type_desc, {} AS name, {} AS physical_name, 0 AS state, 1024 AS size",
                        database.id,
                        text("ROWS"),
                        text(&database.name),
                        text(&database.path.to_string_lossy())
                    )
                })
                .collect();
            (
                rows.join(" UNION ALL "),
                "database_id file_id type:t type_desc:d name:n physical_name:nvarchar(260) state:t size".to_owned(),
            )
        }
        "configurations" => (
            format!(
                "SELECT 1544 AS configuration_id, {} AS name, variant_whole(2147483647,'int') AS value, variant_whole(2147483647,'int') AS value_in_use",
                text("max server memory (MB)")
            ),
            "configuration_id name:nvarchar(35) value:v value_in_use:v".to_owned(),
        ),
        other => return crate::tracking_views::view(env, place, other),
    }))
}
