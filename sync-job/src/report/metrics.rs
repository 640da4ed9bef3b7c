//! The figures of a run for CloudWatch: one line of log in the embedded metric format ("Specification: Embedded metric format",
//! Amazon CloudWatch User Guide). Whether runs succeed is counted by the launcher, which also hears of those that cannot say it.

use serde_json::{Value, json};

use super::RunReport;

const NAMESPACE: &str = "Stopgap";

/// The line. Metrics are by job and environment, so that an alarm can watch one.
pub fn line(report: &RunReport, environment: &str) -> Value {
    let retries: u32 = report.tables.iter().map(|table| table.retries).sum();
    let metric = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
    json!({
        "_aws": {
            "Timestamp": report.ended.timestamp_millis(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Job", "Environment"]],
                "Metrics": [
                    metric("FailedTables", "Count"),
                    metric("Tables", "Count"), metric("Rows", "Count"), metric("Bytes", "Bytes"),
                    metric("Duration", "Seconds"), metric("Retries", "Count"),
                ],
            }],
        },
        "Job": report.job, "Environment": environment, "RunId": report.run_id, "Status": report.exit_status(),
        "FailedTables": report.failed(),
        "Tables": report.tables.len(), "Rows": report.rows(), "Bytes": report.bytes(), "Duration": report.seconds(),
        "Retries": retries,
    })
}
