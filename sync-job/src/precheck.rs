//! Findings about both servers, before anything is written. No I/O: it judges facts that others gathered.

use crate::config::{Consistency, JobConfig};
use crate::plan::{Finding, RunPlan, Severity};
use crate::schema::{SourceFacts, TableName};
use crate::target::TargetFacts;

/// The oldest SQL Server whose catalog this job reads.
const OLDEST_SOURCE: u32 = 11;

/// Judges what is known of both servers against the plan.
pub fn judge(
    config: &JobConfig,
    plan: &RunPlan,
    source: &SourceFacts,
    unreadable: &[TableName],
    target: &TargetFacts,
    missing_permissions: &[(String, String)],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let uses = |wanted| plan.tables.iter().any(|table| table.consistency == wanted);
    if source.major_version.is_some_and(|major| major < OLDEST_SOURCE) {
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
            format!("consistency = \"snapshot\", but the database {} does not allow snapshot isolation", source.database),
            format!(
                "ALTER DATABASE [{}] SET ALLOW_SNAPSHOT_ISOLATION ON; or set consistency = \"none\" for a quiet window, \
                 or \"database-snapshot\".",
                source.database
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
            format!("GRANT VIEW DEFINITION TO [{}]; in the database {}.", source.login, source.database),
        ));
    }
    for table in plan.tables.iter().map(|table| &table.source).filter(|table| unreadable.contains(table)) {
        let finding = Finding::new(
            "source-permission",
            Severity::Refusal,
            format!("the login {} may not read it", source.login),
            format!("GRANT SELECT ON [{}].[{}] TO [{}]; or exclude it.", table.schema, table.name, source.login),
        );
        findings.push(finding.on(table));
    }
    for (problem, remedy) in &target.problems {
        findings.push(Finding::new("target-unusable", Severity::Refusal, problem, remedy));
    }
    for (problem, remedy) in &target.warnings {
        findings.push(Finding::new("target-slower", Severity::Warning, problem, remedy));
    }
    for (problem, remedy) in missing_permissions {
        findings.push(Finding::new("target-permission", Severity::Refusal, problem, remedy));
    }
    for (side, tls) in [("source", &config.source.tls), ("target", &config.target.tls)] {
        match tls.mode {
            crate::config::TlsMode::VerifyFull => {}
            crate::config::TlsMode::Require => findings.push(Finding::new(
                "tls-not-verified",
                Severity::Warning,
                format!("the {side}'s certificate is not verified: anybody between could read and change the rows"),
                "Set tls = \"verify-full\" and ca_file.",
            )),
            crate::config::TlsMode::Disable => findings.push(Finding::new(
                "tls-disabled",
                Severity::Warning,
                format!("the connection to the {side} is not encrypted: passwords and rows travel in the clear"),
                "Set tls = \"verify-full\" and ca_file.",
            )),
        }
    }
    findings
}
