//! What is known of the server before anything is planned.

use mysql_async::Conn;

use super::columns::is_on;
use super::connect::{row, rows};
use super::sql;
use crate::config::TargetConfig;
use crate::error::{Error, Kind, Result, Side};
use crate::plan::{Finding, Severity, TablePlan};
use crate::target::TargetFacts;

/// What the job does differently from server to server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    pub collations: Collations,
    /// Bytes: no packet may be as large.
    pub max_allowed_packet: u64,
    /// LOAD DATA LOCAL INFILE is allowed.
    pub bulk_load: bool,
    /// A LOAD DATA into a table with an AUTO_INCREMENT column keeps others out of it until its end, whatever the column's values
    /// (`innodb_autoinc_lock_mode` is not 2, "interleaved").
    pub locks_to_count_up: bool,
    /// `DESC` in an index means nothing to it.
    pub only_ascends: bool,
    /// Tables without a primary key are refused (`sql_require_primary_key`), and none is made for them.
    pub wants_keys: bool,
}

/// The server's names for the collations that come closest to the source's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collations {
    pub accents_and_case_ignored: &'static str,
    pub case_ignored: &'static str,
    pub exact_words: &'static str,
}

/// Names of MySQL 8.0.
const MYSQL: Collations = Collations {
    accents_and_case_ignored: "utf8mb4_0900_ai_ci",
    case_ignored: "utf8mb4_0900_as_ci",
    exact_words: "utf8mb4_0900_as_cs",
};

/// Names of MariaDB 10.10 and later, which has none of the above before 11.4.
const MARIADB: Collations = Collations {
    accents_and_case_ignored: "utf8mb4_uca1400_ai_ci",
    case_ignored: "utf8mb4_uca1400_as_ci",
    exact_words: "utf8mb4_uca1400_as_cs",
};

/// MariaDB's first release with descending indexes (MDEV-13756); those before read `DESC` and make ascending ones.
const DESCENDING_SINCE: (u32, u32) = (10, 8);

/// Compares bytes, and pads with spaces as SQL Server does.
const BINARY: &str = "utf8mb4_bin";

impl Default for Collations {
    fn default() -> Self {
        Self { accents_and_case_ignored: BINARY, case_ignored: BINARY, exact_words: BINARY }
    }
}

impl Collations {
    /// Whether the job gives columns this collation on some server.
    pub fn is_given(collation: &str) -> bool {
        let names = |known: Collations| [known.accents_and_case_ignored, known.case_ignored, known.exact_words];
        collation == BINARY || names(MYSQL).contains(&collation) || names(MARIADB).contains(&collation)
    }

    /// The closest to a SQL Server collation. There is none that minds case and ignores accents; the stricter one keeps all rows.
    pub fn closest(&self, source: &str) -> &'static str {
        let says = |part: &str| source.split('_').any(|word| word.eq_ignore_ascii_case(part));
        match (says("CI"), says("AI")) {
            _ if says("BIN") || says("BIN2") => BINARY,
            (true, true) => self.accents_and_case_ignored,
            (true, false) => self.case_ignored,
            (false, _) if says("CS") => self.exact_words,
            (false, _) => BINARY,
        }
    }
}

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
    fn collations_are_matched_by_what_they_ignore() {
        assert_eq!(MYSQL.closest("SQL_Latin1_General_CP1_CI_AS"), "utf8mb4_0900_as_ci");
        assert_eq!(MYSQL.closest("Latin1_General_100_CI_AI_SC_UTF8"), "utf8mb4_0900_ai_ci");
        assert_eq!(MARIADB.closest("Japanese_CS_AS_KS_WS"), "utf8mb4_uca1400_as_cs");
        assert_eq!(MYSQL.closest("Latin1_General_BIN2"), "utf8mb4_bin");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(number("10.11.19-MariaDB") >= (10, 6));
        assert!(number("9.7.4-2") >= (8, 0) && number("5.7.44") < (8, 0));
    }
}
