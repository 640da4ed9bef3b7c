//! The Lambda function: one program for three events.
//!
//! A schedule or a person asks for a run ([`launch`]); an instance of ours has ended ([`ended`]); a sweep looks after what is
//! left ([`sweep`]). [`event`] tells them apart, [`instances`] is the only module that calls EC2.

mod ended;
mod event;
mod instances;
mod launch;
mod metrics;
mod report;
mod settings;
mod skipped;
mod sweep;
mod waiting;

use anyhow::Context as _;
use event::Event;
use instances::Instances;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use report::Reporter;
use serde_json::Value;
use settings::Settings;
use stopgap_name_lookup as _;
use stopgap_runs::cloud;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt()
        .json()
        .with_ansi(false)
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::io::stderr)
        .init();
    let config = cloud::config().await;
    let instances = Instances::new(&config);
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async {
        let answer = handle(&config, &instances, event).await;
        // The whole chain: Lambda shows only the outermost line.
        answer.map_err(|error| {
            let text = format!("{error:#}");
            tracing::error!(error = text, "the invocation failed");
            Error::from(text)
        })
    }))
    .await
}

async fn handle(
    config: &aws_config::SdkConfig,
    instances: &Instances,
    event: LambdaEvent<Value>,
) -> anyhow::Result<Value> {
    let settings = Settings::from_environment(|name| std::env::var(name).ok())?;
    let reporter = Reporter::new(config, &settings).context("STOPGAP_RUNS_BUCKET")?;
    match event::parse(event.payload, &event.context.request_id, &settings)? {
        Event::Launch(request) => launch::run(instances, &settings, &reporter, &request).await,
        Event::Ended { instance } => ended::run(instances, &settings, &reporter, &instance).await,
        Event::Sweep => sweep::run(instances, &settings, &reporter).await,
        Event::Ignored(reason) => Ok(serde_json::json!({"outcome": "ignored", "reason": reason})),
    }
}
