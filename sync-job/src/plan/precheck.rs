//! Findings about the target and the connections, before anything is written. No I/O: it judges facts that others gathered.

use super::{Finding, FindingId, Severity};
use crate::config::{JobConfig, TlsMode};
use crate::model::facts::TargetFacts;

/// Judges what is known of the target, and how both servers are reached. The source judges itself.
pub fn judge(config: &JobConfig, target: &TargetFacts, missing_permissions: &[(String, String)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (problem, remedy) in &target.problems {
        findings.push(Finding::new(FindingId::TargetUnusable, Severity::Refusal, problem, remedy));
    }
    for (problem, remedy) in &target.warnings {
        findings.push(Finding::new(FindingId::TargetSlower, Severity::Warning, problem, remedy));
    }
    for (problem, remedy) in missing_permissions {
        findings.push(Finding::new(FindingId::TargetPermission, Severity::Refusal, problem, remedy));
    }
    for (side, tls) in [("source", &config.source.tls), ("target", &config.target.tls)] {
        match tls.mode {
            TlsMode::VerifyFull => {}
            TlsMode::Require => findings.push(Finding::new(
                FindingId::TlsNotVerified,
                Severity::Warning,
                format!("the {side}'s certificate is not verified: anybody on the network path could read and change the rows"),
                "Set tls = \"verify-full\" and ca_file.",
            )),
            TlsMode::Disable => findings.push(Finding::new(
                FindingId::TlsDisabled,
                Severity::Warning,
                format!("the connection to the {side} is not encrypted: passwords and rows travel in the clear"),
                "Set tls = \"verify-full\" and ca_file.",
            )),
        }
    }
    findings
}
