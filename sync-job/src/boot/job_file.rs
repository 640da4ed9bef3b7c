//! Finds the job file of an instance: in the bucket, in SSM Parameter Store, on the machine image; in that order.

use std::path::Path;

use anyhow::{Context as _, bail};

use super::settings::Settings;
use crate::aws::Cloud;
use crate::config::JobDraft;

/// The job of an instance that is told of none.
const DEFAULT_JOB: &str = "default";

/// The first that is there. What cannot be read is said if nothing else is found: without the right to list a bucket, S3 calls
/// a missing file forbidden.
pub async fn find(settings: &Settings, cloud: &Cloud, image: &Path) -> anyhow::Result<JobDraft> {
    let job = settings.job.as_deref().unwrap_or(DEFAULT_JOB);
    let mut tried = Vec::new();
    if let Some(place) = settings.place() {
        let key = format!("jobs/{job}.toml");
        let name = format!("{place}/{key}");
        let found = async { cloud.store(&place)?.file(&key).await };
        match found.await {
            Ok(Some(bytes)) => {
                let text = String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))?;
                return Ok(JobDraft::parse(&text, &name)?);
            }
            Ok(None) => tried.push(format!("{name}: there is none")),
            Err(error) => tried.push(format!("{:#}", anyhow::Error::new(error))),
        }
        let name = format!("/stopgap/jobs/{job}");
        match cloud.parameter(&name).await {
            Ok(Some(text)) => return Ok(JobDraft::parse(&text, &format!("SSM parameter {name}"))?),
            Ok(None) => tried.push(format!("SSM parameter {name}: there is none")),
            Err(error) => tried.push(format!("{error:#}")),
        }
    }
    let path = image.join(format!("{job}.toml"));
    if path.is_file() {
        return Ok(JobDraft::load(&path)?);
    }
    tried.push(format!("{}: there is none", path.display()));
    bail!("no job file for {job:?} was found: {}", tried.join("; "))
}
