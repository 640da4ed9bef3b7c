//! What the function tells people itself, once a run.

use aws_config::SdkConfig;
use chrono::{TimeDelta, Utc};
use serde_json::json;
use stopgap_runs::cloud::chain;
use stopgap_runs::notice::{self, Notice, PublishError};
use stopgap_runs::notify::{self, Notified};
use stopgap_runs::record::{Head, Launch, Record, RunStatus, Speaker, State};
use stopgap_runs::store::{Claim, Store, StoreError};

use crate::metrics;
use crate::settings::Settings;

/// How far back runs are looked for of which nobody was told, or whose instance has lost its tags: longer than an outage of SNS or a
/// long weekend.
const LOOK_BACK: TimeDelta = TimeDelta::days(7);

/// Knows the topic and the place of run records.
pub struct Reporter {
    config: SdkConfig,
    topic: String,
    environment: String,
    pub store: Store,
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

    /// Writes down that a run was started, unless the job has done so; what the job writes on the instance replaces it.
    pub async fn started(&self, job: &str, run_id: &str, instance: &str, started_by: &str, dry_run: bool) {
        let head = Head {
            instance: Some(instance.to_owned()),
            started_by: Some(started_by.to_owned()),
            dry_run,
            ..self.blank(job, run_id)
        };
        let write = async {
            self.store.write_first(&head).await?;
            // What the launcher wrote itself of an earlier try is out of date.
            match self.store.head(job, run_id).await? {
                Some(known) if matches!(known.state, State::Lost | State::Waiting | State::Skipped) => {
                    self.store.write(&Record { head, report: None }).await
                }
                _ => Ok(()),
            }
        };
        if let Err(error) = write.await {
            // The run goes on; its own record is written by the job, which may have done so already.
            tracing::warn!(job, run_id, error = chain(&error), "the run's record could not be written");
        }
    }

    /// The other run of this job that was started a moment ago, if there is one; otherwise this one may be started. Where
    /// records cannot be reached it is better to start a run than none.
    pub async fn launched_already(&self, job: &str, run_id: &str) -> Option<Launch> {
        let claim = async {
            let claim = self.store.claim_launch(job, &self.environment, run_id, None).await?;
            let Claim::Taken(other) = claim else { return Ok(None) };
            // A short run may be over before EC2 lists its instance.
            if !self.read(job, &other.run_id).await.is_some_and(|record| record.state != State::Running) {
                return Ok(Some(other));
            }
            match self.store.claim_launch(job, &self.environment, run_id, Some(&other.run_id)).await? {
                Claim::Ours => Ok(None),
                Claim::Taken(other) => Ok(Some(other)),
            }
        };
        claim.await.unwrap_or_else(|error: StoreError| {
            tracing::error!(job, run_id, error = chain(&error), "whether another run was started cannot be found out");
            None
        })
    }

    /// Takes back that a run was started.
    pub async fn not_launched(&self, job: &str, run_id: &str) {
        if let Err(error) = self.store.release_launch(job, &self.environment, run_id).await {
            tracing::warn!(job, error = chain(&error), "another run may be refused for some minutes");
        }
    }

    /// Whether people have been notified of this run.
    pub async fn is_notified(&self, job: &str, run_id: &str) -> Result<bool, StoreError> {
        Ok(self.store.notification(job, run_id).await?.is_some_and(|notification| notification.state.is_final()))
    }

    /// As [`Reporter::is_notified`]; where that cannot be found out, they have not.
    pub async fn was_notified(&self, job: &str, run_id: &str) -> bool {
        self.is_notified(job, run_id).await.unwrap_or_else(|error| {
            tracing::error!(job, run_id, error = chain(&error), "whether people were told cannot be found out");
            false
        })
    }

    /// Runs of the last days in this environment, the latest first.
    pub async fn runs(&self) -> Result<Vec<Head>, StoreError> {
        let mut heads = self.recent().await?;
        heads.retain(|head| head.environment.as_ref() == Some(&self.environment));
        Ok(heads)
    }

    /// The run of the last days that was on this instance.
    pub async fn on_instance(&self, id: &str) -> Result<Option<Head>, StoreError> {
        Ok(self.recent().await?.into_iter().find(|record| record.instance.as_deref() == Some(id)))
    }

    async fn recent(&self) -> Result<Vec<Head>, StoreError> {
        self.store.recent(Utc::now() - LOOK_BACK).await
    }

    /// Counts how a run ended, for the alarms. Dry runs are none.
    pub async fn count(&self, job: &str, run_id: &str) {
        let record = self.read(job, run_id).await;
        if !record.as_ref().is_some_and(|record| record.dry_run) {
            let well = record.is_some_and(|record| record.status == Some(RunStatus::Ok));
            metrics::print(job, &self.environment, well);
        }
    }

    /// What is written of a run's end, by the job or by the launcher, is published. `None` if nothing is; true if this notified people.
    pub async fn forward(&self, job: &str, run_id: &str) -> anyhow::Result<Option<bool>> {
        let Some(head) = self.read(job, run_id).await else { return Ok(None) };
        if matches!(head.state, State::Running | State::Waiting) {
            return Ok(None);
        }
        let (Some(headline), Some(text)) = (head.headline, self.store.read_text(job, run_id).await?) else {
            return Ok(None);
        };
        let status = head.status.unwrap_or(RunStatus::Lost);
        let body = if head.state == State::Ended {
            let text = text.strip_prefix(&headline).unwrap_or(&text).trim_start();
            let note = "(Published by the launcher: the instance could not publish this itself.)\n";
            self.body(job, run_id, &headline, &format!("{text}\n{note}"))
        } else {
            text
        };
        self.notify(job, run_id, &status, &headline, body).await.map(Some)
    }

    /// Notifies of a failure, unless people have been notified of the run. True if this notified them. It is written down first, so that
    /// the sweep can notify them if SNS refuses now.
    pub async fn failure(&self, job: &str, run_id: &str, headline: &str, text: &str) -> anyhow::Result<bool> {
        if let Err(error) = self.write_lost(job, run_id, headline, text).await {
            tracing::error!(job, run_id, error = chain(&error), "the run's record could not be written");
        }
        self.notify(job, run_id, &RunStatus::Lost, headline, self.body(job, run_id, headline, text)).await
    }

    /// Nobody need be notified of this run.
    pub async fn settle(&self, job: &str, run_id: &str) {
        let none = None::<std::future::Ready<Result<String, PublishError>>>;
        notify::once(Some(&self.store), Speaker::Launcher, job, run_id, none).await;
    }

    fn body(&self, job: &str, run_id: &str, headline: &str, text: &str) -> String {
        let location = self.store.location(job, run_id);
        format!("{headline}\n\n{text}\nRun  {run_id}, records in {location}\n")
    }

    async fn notify(
        &self,
        job: &str,
        run_id: &str,
        status: &RunStatus,
        headline: &str,
        body: String,
    ) -> anyhow::Result<bool> {
        let location = self.store.location(job, run_id);
        let notice = Notice {
            job: job.to_owned(),
            run_id: run_id.to_owned(),
            status: status.word().to_owned(),
            environment: self.environment.clone(),
            headline: headline.to_owned(),
            body,
            compact: json!({"job": job, "run_id": run_id, "status": status, "environment": self.environment,
                "headline": headline, "report": location}),
            location: Some(location),
        };
        let publish = notice::publish(&self.config, &self.topic, &notice);
        match notify::once(Some(&self.store), Speaker::Launcher, job, run_id, Some(publish)).await {
            Notified::Published => Ok(true),
            Notified::Unwanted | Notified::BySomebodyElse(_) => Ok(false),
            Notified::Failed(error) => Err(error.into()),
        }
    }

    /// Closes the record of a run that did not do so itself.
    async fn write_lost(&self, job: &str, run_id: &str, headline: &str, text: &str) -> Result<(), StoreError> {
        let mut head = self.store.head(job, run_id).await?.unwrap_or_else(|| self.blank(job, run_id));
        // A job that ended and could not publish has written what it did; that is kept.
        if head.state == State::Ended {
            return Ok(());
        }
        head.state = State::Lost;
        head.ended = Some(Utc::now());
        head.status = Some(RunStatus::Lost);
        head.headline = Some(headline.to_owned());
        self.write_with_text(&Record { head, report: None }, text).await
    }

    /// Writes a record, and what a mail about it says.
    pub async fn write_with_text(&self, record: &Record, text: &str) -> Result<(), StoreError> {
        let head = &record.head;
        let body = self.body(&head.job, &head.run_id, head.headline.as_deref().unwrap_or_default(), text);
        self.store.write_text(head, body).await?;
        self.store.write(record).await
    }

    async fn read(&self, job: &str, run_id: &str) -> Option<Head> {
        self.store.head(job, run_id).await.unwrap_or_else(|error| {
            tracing::warn!(job, run_id, error = chain(&error), "the run's record cannot be read");
            None
        })
    }

    /// The head of a run in this environment that begins now.
    pub fn blank(&self, job: &str, run_id: &str) -> Head {
        Head { environment: Some(self.environment.clone()), ..Head::new(job, run_id, Utc::now()) }
    }
}
