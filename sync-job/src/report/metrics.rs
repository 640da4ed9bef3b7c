//! The figures of a run for CloudWatch: one line of log in the embedded metric format ("Specification: Embedded metric format",
//! Amazon CloudWatch User Guide).

use serde_json::{Value, json};

use super::RunReport;
use crate::exit::ExitStatus;

const NAMESPACE: &str = "Stopgap";

/// The line. Metrics are by job and environment, so that an alarm can watch one.
pub fn line(report: &RunReport, environment: &str) -> Value {
    let well = report.exit_status() == ExitStatus::Ok;
    let retries: u32 = report.tables.iter().map(|table| table.retries).sum();
    let metric = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
    json!({
        "_aws": {
            "Timestamp": report.ended.timestamp_millis(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Job", "Environment"]],
                "Metrics": [
                    metric("Succeeded", "Count"), metric("Failed", "Count"), metric("FailedTables", "Count"),
                    metric("Tables", "Count"), metric("Rows", "Count"), metric("Bytes", "Bytes"),
                    metric("Duration", "Seconds"), metric("Retries", "Count"),
                ],
            }],
        },
        "Job": report.job, "Environment": environment, "RunId": report.run_id, "Status": report.exit_status(),
        "Succeeded": u8::from(well), "Failed": u8::from(!well), "FailedTables": report.failed(),
        "Tables": report.tables.len(), "Rows": report.rows(), "Bytes": report.bytes(), "Duration": report.seconds(),
        "Retries": retries,
    })
}
