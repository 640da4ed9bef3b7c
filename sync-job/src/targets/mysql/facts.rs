//! What is known of the server before anything is planned.

use mysql_async::Conn;

use super::columns::is_on;
use super::connect::{row, rows};
use super::server::{Collations, MARIADB, MYSQL, Server};
use super::sql;
use crate::config::TargetConfig;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::facts::TargetFacts;
use crate::plan::{Finding, Severity, TablePlan};

/// MariaDB's first release with descending indexes (MDEV-13756); those before read `DESC` and make ascending ones.
const DESCENDING_SINCE: (u32, u32) = (10, 8);

/// Facts for the plan, and what the job does differently on this server.
pub(super) async fn gather(connection: &mut Conn, config: &TargetConfig) -> Result<(TargetFacts, Server)> {
    type Answer = (String, String, String, String, String, u64, u64);
    // Switches as text: some are words on some servers.
    let query = "SELECT VERSION(), @@version_comment, CAST(@@read_only AS CHAR), CAST(@@innodb_read_only AS CHAR), \
                 CAST(@@local_infile AS CHAR), @@max_allowed_packet, @@innodb_autoinc_lock_mode";
    let found: Option<Answer> = row(connection, query).await?;
    let (version, comment, read_only, innodb_read_only, local_infile, packet, lock_mode) =
        found.ok_or_else(|| Error::new(Side::Target, Kind::Internal, "the target told nothing of itself"))?;
    let mut problems = Vec::new();
    let is_mariadb = version.contains("MariaDB");
    let release = number(&version);
    let (oldest, product) = if is_mariadb { ((10, 6), "MariaDB") } else { ((8, 0), "MySQL") };
    if release < oldest {
        problems.push((
            format!("{product} {version} is too old"),
            format!("Version {}.{} or later is needed.", oldest.0, oldest.1),
        ));
    }
    if is_on(&innodb_read_only) || is_on(&read_only) {
        problems.push((
            format!("{} is a reader: it cannot be written to", config.host),
            "Give the cluster's writer endpoint in target.host.".to_owned(),
        ));
    }
    let mut warnings = Vec::new();
    if !is_on(&local_infile) {
        warnings.push((
            format!(
                "the server forbids LOAD DATA LOCAL INFILE: rows go by multi-row INSERT, which is slower and takes no value \
                 larger than max_allowed_packet ({packet} bytes)"
            ),
            "SET GLOBAL local_infile = 1, or set it in the cluster's parameter group.".to_owned(),
        ));
    }
    let names: Vec<String> = rows(
        connection,
        "SELECT collation_name FROM information_schema.collations WHERE collation_name LIKE '%0900_as_ci' \
         OR collation_name LIKE '%uca1400_as_ci'",
    )
    .await?;
    let has = |part: &str| names.iter().any(|name| name.contains(part));
    let collations = match (has("0900"), has("uca1400")) {
        (true, _) => MYSQL,
        (_, true) => MARIADB,
        _ => Collations::default(),
    };
    let facts = TargetFacts {
        version: if is_mariadb { version } else { format!("MySQL {version}, {comment}") },
        problems,
        warnings,
    };
    let server = Server {
        collations,
        bulk_load: is_on(&local_infile),
        max_allowed_packet: packet,
        locks_to_count_up: lock_mode != 2,
        only_ascends: is_mariadb && release < DESCENDING_SINCE,
        wants_keys: wants_keys(connection).await?,
    };
    Ok((facts, server))
}

/// Neither MariaDB nor the first versions of MySQL 8.0 know these settings.
async fn wants_keys(connection: &mut Conn) -> Result<bool> {
    let settings: Vec<(String, String)> = rows(
        connection,
        "SHOW VARIABLES WHERE variable_name IN ('sql_require_primary_key', 'sql_generate_invisible_primary_key')",
    )
    .await?;
    let is_set = |wanted: &str| settings.iter().any(|(name, value)| name == wanted && is_on(value));
    Ok(is_set("sql_require_primary_key") && !is_set("sql_generate_invisible_primary_key"))
}

/// Tables that the server would refuse for want of a primary key.
pub(super) fn refuse_keyless(server: &Server, tables: &[TablePlan]) -> Vec<Finding> {
    let keyless = |table: &&TablePlan| sql::primary_key(table).is_none();
    tables
        .iter()
        .filter(|_| server.wants_keys)
        .filter(keyless)
        .map(|table| {
            Finding::new(
                "no-primary-key",
                Severity::Refusal,
                "the server takes no table without a primary key (sql_require_primary_key), and this one gets none",
                "Set sql_generate_invisible_primary_key = 1 in the parameter group (MySQL 8.0.30 and later), or leave the table out.",
            )
            .on(&table.source)
        })
        .collect()
}

/// Major and minor version.
fn number(version: &str) -> (u32, u32) {
    let mut parts = version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(number("10.11.19-MariaDB") >= (10, 6));
        assert!(number("9.7.4-2") >= (8, 0) && number("5.7.44") < (8, 0));
    }
}
