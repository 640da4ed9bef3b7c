//! Finds the job file of an instance: in the bucket, in SSM Parameter Store, on the machine image; in that order.

use std::path::Path;

use anyhow::{Context as _, bail};

use super::settings::Settings;
use crate::cloud::Cloud;
use crate::config::JobDraft;

/// The job of an instance whose settings name none.
const DEFAULT_JOB: &str = "default";

/// A job file, and the places before it that could not be read.
pub struct Found {
    pub draft: JobDraft,
    pub notes: Vec<String>,
}

/// The first that is there. A place that cannot be read is said: without the right to list a bucket, S3 calls a missing file
/// forbidden, but the file there may also be a newer one.
pub async fn find(settings: &Settings, cloud: &Cloud, image: &Path) -> anyhow::Result<Found> {
    let job = settings.job.as_deref().unwrap_or(DEFAULT_JOB);
    let (mut missing, mut notes) = (Vec::new(), Vec::new());
    if let Some(place) = settings.place() {
        let key = format!("jobs/{job}.toml");
        let name = format!("{place}/{key}");
        let found = async { cloud.store(&place)?.file(&key).await };
        match found.await {
            Ok(Some(bytes)) => {
                let text = String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))?;
                return Ok(Found { draft: JobDraft::parse(&text, &name)?, notes });
            }
            Ok(None) => missing.push(name),
            Err(error) => notes.push(format!("{:#}", anyhow::Error::new(error))),
        }
    }
    let name = format!("/stopgap/jobs/{job}");
    match cloud.parameter(&name).await {
        Ok(Some(text)) => return Ok(Found { draft: JobDraft::parse(&text, &format!("SSM parameter {name}"))?, notes }),
        Ok(None) => missing.push(format!("SSM parameter {name}")),
        Err(error) => notes.push(format!("{error:#}")),
    }
    let path = image.join(format!("{job}.toml"));
    if path.is_file() {
        return Ok(Found { draft: JobDraft::load(&path)?, notes });
    }
    missing.push(path.display().to_string());
    notes.push(format!("there is no {}", missing.join(", no ")));
    bail!("no job file for {job:?} was found: {}", notes.join("; "))
}
