//! How runs end, for CloudWatch: a line in the embedded metric format ("Specification: Embedded metric format", Amazon
//! CloudWatch User Guide), which Lambda's own log turns into metrics. The function hears of every end, also of those of which
//! the job could say nothing.

use chrono::Utc;
use serde_json::{Value, json};

/// Prints the line.
pub fn print(job: &str, environment: &str, well: bool) {
    println!("{}", line(job, environment, well));
}

fn line(job: &str, environment: &str, well: bool) -> Value {
    json!({
        "_aws": {
            "Timestamp": Utc::now().timestamp_millis(),
            "CloudWatchMetrics": [{
                "Namespace": "Stopgap",
                "Dimensions": [["Job", "Environment"]],
                "Metrics": [{"Name": "Succeeded", "Unit": "Count"}, {"Name": "Failed", "Unit": "Count"}],
            }],
        },
        "Job": job, "Environment": environment, "Succeeded": u8::from(well), "Failed": u8::from(!well),
    })
}
