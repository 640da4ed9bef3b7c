//! An instance's settings: from its tags, then its user data, then the environment of its unit.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;

use crate::cloud::instance::Identity;

const TAG_PREFIX: &str = "stopgap:";
const VARIABLE_PREFIX: &str = "STOPGAP_";

/// Everything that can be set; `docs/aws.md` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    pub job: Option<String>,
    pub run_id: Option<String>,
    pub environment: Option<String>,
    pub started_by: Option<String>,
    /// Where job files and run records are: a bucket's name, `s3://bucket/prefix`, or a directory.
    pub bucket: Option<String>,
    pub topic: Option<String>,
    /// Globs; empty for all tables of the job.
    pub tables: Vec<String>,
    pub dry_run: bool,
    pub reason: Option<String>,
    pub instance: Option<String>,
}

/// User data that begins with this table is ours; anything else (a shell script, cloud-config) is not.
#[derive(Debug, Deserialize)]
struct UserData {
    stopgap: Option<BTreeMap<String, toml::Value>>,
}

impl Settings {
    /// What can be understood, and what cannot: the rest still says whom to notify.
    pub fn gather(
        identity: Option<&Identity>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> (Self, Option<anyhow::Error>) {
        let from_data = identity.and_then(|identity| identity.user_data.as_deref()).map(user_data).unwrap_or_default();
        let value = |name: &str| {
            let tag = identity.and_then(|identity| identity.tags.get(&format!("{TAG_PREFIX}{name}")).cloned());
            let own = || variable(&format!("{VARIABLE_PREFIX}{}", name.replace('-', "_").to_uppercase()));
            tag.or_else(|| from_data.get(name).cloned()).or_else(own).filter(|value| !value.trim().is_empty())
        };
        let mut problem = identity.and_then(|identity| identity.problem.clone()).map(anyhow::Error::msg);
        let mut understood = |result: anyhow::Result<()>| {
            if let Err(error) = result {
                problem.get_or_insert(error);
            }
        };
        let mut tables = Vec::new();
        understood(value("tables").map_or(Ok(()), |list| {
            tables = serde_json::from_str(&list)
                .with_context(|| format!("the setting {TAG_PREFIX}tables is no JSON list of patterns: {list:?}"))?;
            Ok(())
        }));
        let mut dry_run = false;
        understood(value("dry-run").map_or(Ok(()), |text| {
            // Somebody who writes "True" or "1" does not want a copy.
            dry_run = text
                .trim()
                .parse()
                .with_context(|| format!("the setting {TAG_PREFIX}dry-run is {text:?}: it may be true or false"))?;
            Ok(())
        }));
        let settings = Self {
            job: value("job"),
            run_id: value("run-id"),
            environment: value("environment"),
            started_by: value("started-by"),
            bucket: value("bucket"),
            topic: value("topic").or_else(|| variable("STOPGAP_TOPIC_ARN")),
            tables,
            dry_run,
            reason: value("reason"),
            instance: identity.map(|identity| identity.id.clone()),
        };
        (settings, problem)
    }

    /// The bucket as a place.
    pub fn place(&self) -> Option<String> {
        let bucket = self.bucket.as_ref()?;
        Some(if bucket.contains("://") || bucket.starts_with('/') { bucket.clone() } else { format!("s3://{bucket}") })
    }
}

fn user_data(text: &str) -> BTreeMap<String, String> {
    let Ok(UserData { stopgap: Some(table) }) = toml::from_str(text) else { return BTreeMap::new() };
    let plain = |value: toml::Value| match value {
        toml::Value::String(text) => text,
        toml::Value::Array(list) => serde_json::to_string(&list).unwrap_or_default(),
        other => other.to_string(),
    };
    table.into_iter().map(|(name, value)| (name.replace('_', "-"), plain(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_heard_before_user_data_before_the_environment() {
        let identity = Identity {
            id: "i-1".into(),
            tags: BTreeMap::from([("stopgap:job".into(), "of-tags".into()), ("other".into(), "x".into())]),
            problem: None,
            user_data: Some("[stopgap]\njob = \"of-data\"\ntables = [\"dbo.*\"]\ndry_run = true\n".into()),
        };
        let environment = |name: &str| match name {
            "STOPGAP_JOB" => Some("of-environment".to_owned()),
            "STOPGAP_BUCKET" => Some("b".to_owned()),
            _ => None,
        };
        let (settings, problem) = Settings::gather(Some(&identity), environment);
        assert!(problem.is_none());
        assert_eq!(settings.job.as_deref(), Some("of-tags"));
        assert_eq!((settings.tables.as_slice(), settings.dry_run), (&["dbo.*".to_owned()][..], true));
        assert_eq!(settings.place().as_deref(), Some("s3://b"));
        assert_eq!(Settings::gather(None, environment).0.job.as_deref(), Some("of-environment"));
    }

    #[test]
    fn what_is_not_understood_is_a_problem_and_the_rest_is_heard() {
        for (name, text, expected) in [
            ("STOPGAP_TABLES", "dbo.*", "no JSON list of patterns"),
            ("STOPGAP_DRY_RUN", "1", "true or false"),
            ("STOPGAP_DRY_RUN", "True", "true or false"),
        ] {
            let variable = |asked: &str| match asked {
                "STOPGAP_TOPIC" => Some("a-topic".to_owned()),
                asked => (asked == name).then(|| text.to_owned()),
            };
            let (settings, problem) = Settings::gather(None, variable);
            assert!(problem.unwrap().to_string().contains(expected), "{text}");
            assert_eq!(settings.topic.as_deref(), Some("a-topic"));
        }
        let untold = Identity {
            id: "i-1".into(),
            tags: BTreeMap::new(),
            problem: Some("the instance's tags cannot be read".into()),
            user_data: None,
        };
        let (settings, problem) = Settings::gather(Some(&untold), |_| None);
        assert_eq!((settings.instance.as_deref(), problem.is_some()), (Some("i-1"), true));
    }

    #[test]
    fn a_script_in_user_data_is_none_of_ours() {
        assert!(user_data("#!/bin/sh\necho hello\n").is_empty());
        assert!(user_data("#cloud-config\npackages: [x]\n").is_empty());
    }
}
