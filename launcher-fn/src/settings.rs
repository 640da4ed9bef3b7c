//! What the function is told by its environment.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// How a job's instance is started.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSettings {
    pub launch_template_id: String,
    /// Tried one after the other; the template's own if empty.
    #[serde(default)]
    pub subnets: Vec<String>,
    /// Of the network interface in those subnets. A template that has an interface of its own needs them: EC2 takes no subnet
    /// beside it.
    #[serde(default)]
    pub security_groups: Vec<String>,
    #[serde(default)]
    pub instance_types: Vec<String>,
    /// Spot first, then on-demand.
    #[serde(default)]
    pub spot: bool,
    /// After this, and a quarter of an hour for its own ways of stopping, the sweep ends the instance.
    #[serde(default = "default_deadline")]
    pub deadline_minutes: u32,
}

/// A day: longer than any job that should be given a deadline of its own.
const fn default_deadline() -> u32 {
    24 * 60
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub jobs: BTreeMap<String, JobSettings>,
    pub topic: String,
    pub environment: String,
    /// Where run records are: `s3://bucket`.
    pub runs: String,
}

impl Settings {
    /// Reads `STOPGAP_JOBS`, `STOPGAP_TOPIC_ARN`, `STOPGAP_ENVIRONMENT` and `STOPGAP_RUNS_BUCKET`.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let needed = |name: &str| {
            variable(name)
                .filter(|value| !value.trim().is_empty())
                .with_context(|| format!("the function's environment variable {name} is not set"))
        };
        let jobs: BTreeMap<String, JobSettings> = serde_json::from_str(&needed("STOPGAP_JOBS")?).context(
            "STOPGAP_JOBS is not a JSON object of jobs: {\"nightly-erp\": {\"launch_template_id\": \"lt-…\"}}",
        )?;
        ensure!(!jobs.is_empty(), "STOPGAP_JOBS names no job");
        let bucket = needed("STOPGAP_RUNS_BUCKET")?;
        Ok(Self {
            jobs,
            topic: needed("STOPGAP_TOPIC_ARN")?,
            environment: needed("STOPGAP_ENVIRONMENT")?,
            runs: if bucket.contains("://") || bucket.starts_with('/') { bucket } else { format!("s3://{bucket}") },
        })
    }

    /// How long an instance of this job may live. Of a job that is no longer configured nothing is known but that it is ours.
    pub fn deadline_minutes(&self, job: &str) -> u32 {
        self.jobs.get(job).map_or(default_deadline(), |job| job.deadline_minutes)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn settings() -> Settings {
        let job = JobSettings {
            launch_template_id: "lt-1".into(),
            subnets: vec!["subnet-a".into(), "subnet-b".into()],
            security_groups: Vec::new(),
            instance_types: vec!["m7g.large".into(), "m6g.large".into()],
            spot: true,
            deadline_minutes: 120,
        };
        Settings {
            jobs: BTreeMap::from([("erp".to_owned(), job)]),
            topic: "arn:aws:sns:eu-central-1:1:t".into(),
            environment: "dev".into(),
            runs: "s3://b".into(),
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let full = [
            ("STOPGAP_JOBS", r#"{"erp": {"launch_template_id": "lt-1"}}"#),
            ("STOPGAP_TOPIC_ARN", "arn:aws:sns:eu-central-1:1:t"),
            ("STOPGAP_ENVIRONMENT", "dev"),
            ("STOPGAP_RUNS_BUCKET", "b"),
        ];
        let lookup = |left_out: &'static str| {
            move |name: &str| {
                full.iter().find(|(own, _)| *own == name && name != left_out).map(|(_, v)| (*v).to_owned())
            }
        };
        let settings = Settings::from_environment(lookup("")).unwrap();
        assert_eq!((settings.runs.as_str(), settings.deadline_minutes("erp")), ("s3://b", 1440));
        for (name, _) in full {
            let error = Settings::from_environment(lookup(name)).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
