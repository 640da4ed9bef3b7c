//! What the target's user needs and lacks.

use std::collections::BTreeSet;

use mysql_async::Conn;

use super::connect::{only_row, rows};
use super::inspect::is_possible;
use super::quote::{identifier, literal};
use crate::model::error::Result;
use crate::plan::{SwapMethod, TablePlan};

/// Privileges that staging tables, loading and the swap take. The last shows the triggers that a rename would lose: without it a
/// table looks as if it had none.
const NEEDED: [&str; 9] = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "TRIGGER"];

/// Besides, for a database with tables that foreign keys are created to (MySQL 8.0 Reference Manual, 15.1.20.5 "FOREIGN KEY
/// Constraints"); MariaDB knows the privilege and does not look at it.
const REFERENCES: &str = "REFERENCES";

fn needed(tables: &[TablePlan], database: &str, is_mariadb: bool) -> Vec<&'static str> {
    // A table that is updated in place has its keys already.
    let made = tables.iter().filter(|table| table.swap.method != SwapMethod::InPlace);
    let refers = made.flat_map(|table| &table.foreign_keys).any(|key| key.referenced.schema == database);
    NEEDED.into_iter().chain((refers && !is_mariadb).then_some(REFERENCES)).collect()
}

/// Each missing permission with the statement that grants it. `SHOW GRANTS` lists what roles in effect give, too.
/// `state`: the database where it is remembered how far changes were followed, if any are.
pub(super) async fn missing(
    connection: &mut Conn,
    tables: &[TablePlan],
    state: Option<&str>,
) -> Result<Vec<(String, String)>> {
    let me: String = only_row(connection, "SELECT CURRENT_USER()").await?;
    let grants: Vec<Grant> =
        rows::<String>(connection, "SHOW GRANTS").await?.iter().filter_map(|line| Grant::parse(line)).collect();
    let mut missing = Vec::new();
    let lower_case: u64 = only_row(connection, "SELECT @@lower_case_table_names").await?;
    for table in tables.iter().filter(|table| lower_case > 0 && table.target.name != table.target.name.to_lowercase()) {
        missing.push((
            format!(
                "the server keeps table names in lower case (lower_case_table_names = {lower_case}), and {} is not",
                table.target
            ),
            "Set names = \"lower\", or give the table a target in lower case.".to_owned(),
        ));
    }
    let version: String = only_row(connection, "SELECT VERSION()").await?;
    let is_mariadb = version.contains("MariaDB");
    let databases: BTreeSet<&str> = tables.iter().map(|table| table.target.schema.as_str()).chain(state).collect();
    for database in databases {
        let needed = needed(tables, database, is_mariadb);
        let spellings = spellings(connection, database).await?;
        if let [other, ..] = &spellings[..]
            && lower_case > 0
            && !spellings.iter().any(|spelling| spelling == database)
        {
            // The server would find it, and answer by its own spelling, which is another table's for the plan.
            missing.push((
                format!("the server calls the database {database} {other} (lower_case_table_names = {lower_case})"),
                format!("Write {other} in the job file (target.database, target.schema or [target.schemas])."),
            ));
            continue;
        }
        if !spellings.iter().any(|spelling| spelling == database) {
            missing.push((
                format!("the database {database} does not exist, or {me} may not see it"),
                format!(
                    "CREATE DATABASE {} CHARACTER SET utf8mb4; {}",
                    identifier(database),
                    grant_statement(&needed, database, &me)
                ),
            ));
            continue;
        }
        let lacking: Vec<&str> =
            needed.iter().copied().filter(|needed| !is_granted(&grants, database, needed)).collect();
        if !lacking.is_empty() {
            missing.push((
                format!("{me} lacks {} on the database {database}", lacking.join(", ")),
                grant_statement(&needed, database, &me),
            ));
        }
    }
    Ok(missing)
}

/// The names of databases that differ from this one in case at most.
async fn spellings(connection: &mut Conn, database: &str) -> Result<Vec<String>> {
    if !is_possible(database) {
        return Ok(Vec::new());
    }
    let query = format!(
        "SELECT schema_name FROM information_schema.schemata WHERE LOWER(schema_name) = LOWER({})",
        literal(database)
    );
    rows(connection, &query).await
}

/// A GRANT on a database takes its name as a pattern: `_` and `%` mean themselves after a backslash (MySQL 8.0 Reference Manual,
/// 15.7.1.6 "GRANT Statement").
fn grant_statement(privileges: &[&str], database: &str, me: &str) -> String {
    let pattern = database.replace('_', "\\_").replace('%', "\\%");
    format!("GRANT {} ON {}.* TO {};", privileges.join(", "), identifier(&pattern), account(me))
}

/// `'user'@'host'`, of what `CURRENT_USER()` says.
pub(super) fn account(me: &str) -> String {
    let (user, host) = me.rsplit_once('@').unwrap_or((me, "%"));
    format!("{}@{}", literal(user), literal(host))
}

/// A line of `SHOW GRANTS` about whole databases: privileges on those whose name is like a pattern.
#[derive(Debug, PartialEq)]
struct Grant {
    privileges: Vec<String>,
    pattern: String,
}

impl Grant {
    /// Nothing where it is about a table, an account or a role.
    fn parse(line: &str) -> Option<Self> {
        let (privileges, rest) = line.strip_prefix("GRANT ")?.split_once(" ON ")?;
        let (object, _) = rest.split_once(" TO ")?;
        let database = object.strip_suffix(".*")?;
        let pattern = match database {
            "*" => "%".to_owned(),
            quoted => quoted.trim_matches('`').replace("``", "`"),
        };
        Some(Self { privileges: privileges.split(", ").map(str::to_owned).collect(), pattern })
    }
}

fn is_granted(grants: &[Grant], database: &str, needed: &str) -> bool {
    grants.iter().any(|Grant { privileges, pattern }| {
        let has = privileges.iter().any(|privilege| privilege == needed || privilege == "ALL PRIVILEGES");
        has && like(pattern.as_bytes(), database.as_bytes())
    })
}

/// SQL's LIKE, with `%`, `_` and the backslash.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'%', rest @ ..], _) => like(rest, text) || (!text.is_empty() && like(pattern, &text[1..])),
        ([b'_', rest @ ..], [_, more @ ..]) => like(rest, more),
        ([b'\\', wanted, rest @ ..] | [wanted, rest @ ..], [found, more @ ..]) => {
            wanted.eq_ignore_ascii_case(found) && like(rest, more)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_right_whatever_the_names_hold() {
        assert_eq!(
            grant_statement(&["SELECT", "DROP"], "a`b\"c]", "o'neil`@10.0.%"),
            "GRANT SELECT, DROP ON `a``b\"c]`.* TO 'o''neil`'@'10.0.%';"
        );
        let grant = grant_statement(&["SELECT"], "sales_eu", "me@%");
        assert_eq!(grant, "GRANT SELECT ON `sales\\_eu`.* TO 'me'@'%';");
        let grants = [Grant::parse(&grant).unwrap()];
        assert!(is_granted(&grants, "sales_eu", "SELECT") && !is_granted(&grants, "salesXeu", "SELECT"));
    }

    #[test]
    fn grants_are_read_by_database() {
        let grants: Vec<Grant> = [
            "GRANT USAGE ON *.* TO `me`@`%` IDENTIFIED BY PASSWORD '*1'",
            "GRANT SELECT, INSERT ON `sales\\_eu`.* TO `me`@`%`",
            "GRANT ALL PRIVILEGES ON `erp%`.* TO `me`@`%`",
            "GRANT SELECT ON `erp`.`orders` TO `me`@`%`",
            "GRANT `clerks`@`%` TO `me`@`%`",
        ]
        .into_iter()
        .filter_map(Grant::parse)
        .collect();
        assert_eq!(grants.len(), 3);
        assert!(is_granted(&grants, "sales_eu", "INSERT") && !is_granted(&grants, "salesXeu", "INSERT"));
        assert!(is_granted(&grants, "erp_2", "DROP") && !is_granted(&grants, "sales_eu", "DROP"));
    }
}
