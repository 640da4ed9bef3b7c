//! What a SQL Server may refuse a run, and the T-SQL that mends it. No I/O.

use super::facts::{NoSnapshots, ServerFacts};
use super::quote::{identifier, qualified};
use crate::config::Consistency;
use crate::model::schema::{SourceKind, TableName};
use crate::plan::{Finding, FindingId, RunPlan, Severity, TablePlan};

/// The oldest SQL Server whose catalog this job reads: 2012.
const OLDEST: u32 = 11;

/// Judges what is known of the source against the plan. `unreadable`: tables that the login sees and may not read.
pub fn judge(plan: &RunPlan, source: &ServerFacts, unreadable: &[TableName]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let common = &source.common;
    let uses = |wanted| plan.tables.iter().any(|table| table.consistency == wanted);
    if source.major_version.is_some_and(|major| major < OLDEST) {
        findings.push(Finding::new(
            FindingId::SourceVersion,
            Severity::Refusal,
            format!("{} is too old", common.version),
            "SQL Server 2012 or later is needed.",
        ));
    }
    if uses(Consistency::Snapshot) && source.snapshot_allowed == Some(false) && !source.read_only {
        findings.push(Finding::new(
            FindingId::SnapshotNotAllowed,
            Severity::Refusal,
            format!(
                "consistency = \"snapshot\", but the database {} does not allow snapshot isolation",
                common.database
            ),
            format!(
                "ALTER DATABASE {} SET ALLOW_SNAPSHOT_ISOLATION ON; or set consistency = \"none\" for a quiet window, \
                 or \"database-snapshot\".",
                identifier(&common.database)
            ),
        ));
    }
    if uses(Consistency::DatabaseSnapshot)
        && let Some(why) = source.no_snapshots
    {
        findings.push(no_snapshots(why));
    } else if uses(Consistency::DatabaseSnapshot) && source.data_files.is_empty() {
        findings.push(Finding::new(
            FindingId::DatabaseSnapshot,
            Severity::Refusal,
            "consistency = \"database-snapshot\", but the database's files cannot be seen",
            "Grant VIEW DEFINITION and CREATE DATABASE to the login, or choose another consistency.",
        ));
    }
    if common.sees_definitions != Some(true) {
        let lacks = match common.sees_definitions {
            Some(_) => "lacks VIEW DEFINITION",
            None => "may lack VIEW DEFINITION (the server does not tell)",
        };
        let views = views(plan);
        findings.push(Finding::new(
            FindingId::ViewDefinition,
            Severity::Warning,
            format!(
                "the login {} {lacks}: a security policy that hides rows from it, or masks behind a view{views}, would not be \
                 noticed",
                common.login
            ),
            format!("GRANT VIEW DEFINITION TO {}; in the database {}.", identifier(&common.login), common.database),
        ));
    }
    for table in plan.tables.iter().filter(|table| table.mode.follows_changes() && source.read_only) {
        let finding = Finding::new(
            FindingId::ChangesUnfit,
            Severity::Refusal,
            format!(
                "mode = \"{}\": the source is a readable secondary, which does not tell changes (error 22117)",
                table.mode
            ),
            "Set source.intent = \"read-write\" and source.host to the primary or its listener, or mode = \"full\".",
        );
        findings.push(finding.on(&table.source));
    }
    for table in plan.tables.iter().map(|table| &table.source).filter(|table| unreadable.contains(table)) {
        let finding = Finding::new(
            FindingId::SourcePermission,
            Severity::Refusal,
            format!("the login {} may not read it", common.login),
            format!("GRANT SELECT ON {} TO {}; or exclude it.", qualified(table), identifier(&common.login)),
        );
        findings.push(finding.on(table));
    }
    findings
}

fn no_snapshots(why: NoSnapshots) -> Finding {
    let (reason, remedy) = match why {
        NoSnapshots::Azure => ("Azure SQL has no database snapshots", "Set consistency = \"snapshot\"."),
        NoSnapshots::Rds => ("Amazon RDS has no database snapshots of SQL Server", "Set consistency = \"snapshot\"."),
        NoSnapshots::Elsewhere => (
            "source.host is a listener that leads to a secondary replica, and would look for the snapshot on another server",
            "Set source.host to the replica itself, or source.intent = \"read-write\", or consistency = \"snapshot\".",
        ),
    };
    let message = format!("consistency = \"database-snapshot\", but {reason}");
    Finding::new(FindingId::DatabaseSnapshot, Severity::Refusal, message, remedy)
}

/// A filter that the server does not take; `problem`: why, in its words.
pub fn refused_filter(table: &TablePlan, problem: &str) -> Finding {
    let message = format!("filter: the source does not take {:?}: {problem}", table.filter.as_deref().unwrap_or(""));
    let remedy = "Correct filter in the [[table]] entry: it is a T-SQL condition on the source's columns.";
    Finding::new(FindingId::Filter, Severity::Refusal, message, remedy).on(&table.source)
}

/// A table whose changes are not tracked, or not shown to this login. It is copied whole, which is right and takes longer.
pub fn untracked(table: &TablePlan, facts: &ServerFacts) -> Finding {
    let (database, name) = (identifier(&facts.common.database), qualified(&table.source));
    let message = "mode = \"change-tracking\": Change Tracking is off for the table, or the login lacks VIEW CHANGE TRACKING on it; the whole \
                   table is copied";
    let remedy = format!(
        "ALTER DATABASE {database} SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON); ALTER TABLE {name} ENABLE \
         CHANGE_TRACKING; GRANT VIEW CHANGE TRACKING ON {name} TO {};",
        identifier(&facts.common.login)
    );
    Finding::new(FindingId::ChangesUntracked, Severity::Warning, message, remedy).on(&table.source)
}

/// The views of the plan, in brackets; nothing where there are none.
fn views(plan: &RunPlan) -> String {
    let views = plan.tables.iter().filter(|table| table.kind == SourceKind::View);
    let names: Vec<String> = views.map(|table| table.source.to_string()).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}
