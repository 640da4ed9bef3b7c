//! What a SQL Server may refuse a run, and the T-SQL that mends it. No I/O.

use super::quote::{identifier, qualified};
use crate::config::Consistency;
use crate::model::facts::SourceFacts;
use crate::model::schema::TableName;
use crate::plan::{Finding, RunPlan, Severity, TablePlan};

/// The oldest SQL Server whose catalog this job reads: 2012.
const OLDEST: u32 = 11;

/// Judges what is known of the source against the plan. `unreadable`: tables that the login sees and may not read.
pub fn judge(plan: &RunPlan, source: &SourceFacts, unreadable: &[TableName]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let uses = |wanted| plan.tables.iter().any(|table| table.consistency == wanted);
    if source.major_version.is_some_and(|major| major < OLDEST) {
        findings.push(Finding::new(
            "source-version",
            Severity::Refusal,
            format!("{} is too old", source.version),
            "SQL Server 2012 or later is needed.",
        ));
    }
    if uses(Consistency::Snapshot) && source.snapshot_allowed == Some(false) && !source.read_only {
        findings.push(Finding::new(
            "snapshot-not-allowed",
            Severity::Refusal,
            format!(
                "consistency = \"snapshot\", but the database {} does not allow snapshot isolation",
                source.database
            ),
            format!(
                "ALTER DATABASE {} SET ALLOW_SNAPSHOT_ISOLATION ON; or set consistency = \"none\" for a quiet window, \
                 or \"database-snapshot\".",
                identifier(&source.database)
            ),
        ));
    }
    if uses(Consistency::DatabaseSnapshot) && source.data_files.is_empty() {
        findings.push(Finding::new(
            "database-snapshot",
            Severity::Refusal,
            "consistency = \"database-snapshot\", but the database's files cannot be seen",
            "Grant VIEW DEFINITION and CREATE DATABASE to the login, or choose another consistency.",
        ));
    }
    if source.sees_definitions != Some(true) {
        let lacks = match source.sees_definitions {
            Some(_) => "lacks VIEW DEFINITION",
            None => "may lack VIEW DEFINITION (the server does not tell)",
        };
        findings.push(Finding::new(
            "view-definition",
            Severity::Warning,
            format!(
                "the login {} {lacks}: a security policy that hides rows from it, or masks behind a view, would not be \
                 noticed",
                source.login
            ),
            format!("GRANT VIEW DEFINITION TO {}; in the database {}.", identifier(&source.login), source.database),
        ));
    }
    for table in plan.tables.iter().map(|table| &table.source).filter(|table| unreadable.contains(table)) {
        let finding = Finding::new(
            "source-permission",
            Severity::Refusal,
            format!("the login {} may not read it", source.login),
            format!("GRANT SELECT ON {} TO {}; or exclude it.", qualified(table), identifier(&source.login)),
        );
        findings.push(finding.on(table));
    }
    findings
}

/// A filter that the server does not take; `problem`: why, in its words.
pub fn refused_filter(table: &TablePlan, problem: &str) -> Finding {
    let message = format!("filter: the source does not take {:?}: {problem}", table.filter.as_deref().unwrap_or(""));
    let remedy = "Correct filter in the [[table]] entry: it is a T-SQL condition on the source's columns.";
    Finding::new("filter", Severity::Refusal, message, remedy).on(&table.source)
}
