//! What the function tells people itself, once a run.

use aws_config::SdkConfig;
use chrono::Utc;
use serde_json::json;
use stopgap_runs::notice::{self, Notice};
use stopgap_runs::record::{Notification, Record, Sent, State};
use stopgap_runs::store::{Claim, Store, StoreError};

use crate::settings::Settings;

/// Who speaks, in `notification.json`.
const NAME: &str = "launcher";

/// Knows the topic and the place of run records.
pub struct Reporter {
    config: SdkConfig,
    topic: String,
    pub environment: String,
    store: Store,
}

impl Reporter {
    pub fn new(config: &SdkConfig, settings: &Settings) -> Result<Self, StoreError> {
        Ok(Self {
            config: config.clone(),
            topic: settings.topic.clone(),
            environment: settings.environment.clone(),
            store: Store::open(&settings.runs, Some(config))?,
        })
    }

    /// Writes down that a run was started; what the job writes on the instance replaces it.
    pub async fn started(&self, job: &str, run_id: &str, instance: &str, started_by: &str) -> anyhow::Result<()> {
        let record = Record { instance: Some(instance.to_owned()), ..self.blank(job, run_id, started_by) };
        Ok(self.store.write(&record).await?)
    }

    /// Whether people have been told of this run.
    pub async fn was_told(&self, job: &str, run_id: &str) -> anyhow::Result<bool> {
        Ok(self.store.notification(job, run_id).await?.is_some_and(|notification| notification.state.is_final()))
    }

    /// Tells of a failure, unless people have been told of the run. True if this told them.
    pub async fn failure(&self, job: &str, run_id: &str, headline: &str, text: &str) -> anyhow::Result<bool> {
        self.tell(job, run_id, "lost", headline, text).await
    }

    /// As [`Reporter::failure`], with a status that the job has found.
    pub async fn tell(
        &self,
        job: &str,
        run_id: &str,
        status: &str,
        headline: &str,
        text: &str,
    ) -> anyhow::Result<bool> {
        if let Claim::Taken(_) = self.store.claim(job, run_id, NAME, true).await? {
            return Ok(false);
        }
        let earlier = self.store.read(job, run_id).await?;
        let mut record = earlier.unwrap_or_else(|| self.blank(job, run_id, "unknown"));
        let location = self.store.location(job, run_id);
        let body = format!("{headline}\n\n{text}\nRun  {run_id}, records in {location}\n");
        let notice = Notice {
            job: job.to_owned(),
            run_id: run_id.to_owned(),
            status: status.to_owned(),
            environment: self.environment.clone(),
            headline: headline.to_owned(),
            body: body.clone(),
            compact: json!({"job": job, "run_id": run_id, "status": status, "environment": self.environment,
                "headline": headline, "report": location}),
            location: Some(location),
        };
        let published = notice::publish(&self.config, &self.topic, &notice).await;
        let (state, detail) = match &published {
            Ok(message) => (Sent::Published, message.clone()),
            Err(error) => (Sent::Failed, error.to_string()),
        };
        let settled = Notification { state, by: NAME.to_owned(), at: Utc::now(), detail: Some(detail) };
        self.store.settle(job, run_id, &settled).await?;
        published?;
        // A job that ended and could not publish has written what it did; that is kept.
        if record.state == State::Running {
            record.state = State::Lost;
            record.ended = Some(Utc::now());
            record.status = Some("lost".to_owned());
            record.headline = Some(headline.to_owned());
            self.store.write(&record).await?;
            self.store.write_text(&record, body).await?;
        }
        Ok(true)
    }

    /// What the job wrote before it could not publish.
    pub async fn written(&self, job: &str, run_id: &str) -> anyhow::Result<Option<(Record, Option<String>)>> {
        let Some(record) = self.store.read(job, run_id).await? else { return Ok(None) };
        let text = if record.state == State::Ended { self.store.read_text(job, run_id).await? } else { None };
        Ok(Some((record, text)))
    }

    fn blank(&self, job: &str, run_id: &str, started_by: &str) -> Record {
        Record {
            job: job.to_owned(),
            run_id: run_id.to_owned(),
            state: State::Running,
            environment: Some(self.environment.clone()),
            instance: None,
            started_by: Some(started_by.to_owned()),
            started: Utc::now(),
            ended: None,
            status: None,
            headline: None,
            tables: None,
            rows: None,
            report: None,
        }
    }
}
