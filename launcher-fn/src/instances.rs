//! Everything that is asked of EC2.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::{
    Filter, Instance, InstanceInterruptionBehavior, InstanceMarketOptionsRequest,
    InstanceNetworkInterfaceSpecification, InstanceType, LaunchTemplateSpecification, MarketType, ResourceType,
    SpotInstanceType, SpotMarketOptions, Tag, TagSpecification,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use stopgap_retry::{Backoff, Limit, Prospect, RetryPolicy};
use stopgap_runs::cloud;

/// All of our tags begin so.
pub const OURS: &str = "stopgap:";
pub const JOB: &str = "stopgap:job";
pub const RUN_ID: &str = "stopgap:run-id";
pub const ENVIRONMENT: &str = "stopgap:environment";
pub const STARTED_BY: &str = "stopgap:started-by";
pub const ENDED_BY: &str = "stopgap:ended-by";

/// A throttled or unanswered request is tried again; the waits add up to half a minute. The token makes it safe to ask again where
/// an answer that was lost may have been "started".
const RETRY: RetryPolicy<StartError> = RetryPolicy {
    limit: Limit::Retries(6),
    backoff: Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(30), jitter: 0.5 },
    outage: None,
    prospect: |error| match error {
        StartError::Passing(_) => Prospect::Open,
        _ => Prospect::Hopeless,
    },
    cancel: None,
    say: |waiting| tracing::warn!(attempt = waiting.retry, "{} is tried again: {}", waiting.what, waiting.error),
};
/// EC2 may take a while to list an instance ("Eventual consistency in the Amazon EC2 API"): how often it is asked for one that it may
/// have started without saying so. The waits add up to half a minute.
const LOOK: RetryPolicy<Unlisted> = RetryPolicy {
    limit: Limit::Retries(4),
    backoff: Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(16), jitter: 0.0 },
    outage: None,
    prospect: |_| Prospect::Open,
    cancel: None,
    say: |waiting| tracing::info!(attempt = waiting.retry, "{}: {}", waiting.what, waiting.error),
};
/// Of the console's output, as much as a mail should carry.
const CONSOLE_LINES: usize = 40;

/// An instance as far as this function cares.
#[derive(Debug, Clone)]
pub struct Found {
    pub id: String,
    pub state: String,
    pub kind: String,
    pub zone: String,
    pub launched: Option<DateTime<Utc>>,
    /// EC2's own words for why it is in this state.
    pub reason: String,
    pub tags: BTreeMap<String, String>,
}

impl Found {
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.get(name).map(String::as_str)
    }

    /// The run's name: the launcher's, or the instance's own where a person launched it from the template.
    pub fn run_id(&self) -> &str {
        self.tag(RUN_ID).unwrap_or(&self.id)
    }
}

/// One way to ask for an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub spot: bool,
    pub instance_type: Option<String>,
    pub subnet: Option<String>,
    /// Of the interface in that subnet; the template's if empty.
    pub security_groups: Vec<String>,
}

impl Attempt {
    /// The network interface to ask for, which replaces the template's. "Network interfaces and an instance-level subnet ID may
    /// not be specified on the same request" (RunInstances).
    fn interface(&self) -> Option<InstanceNetworkInterfaceSpecification> {
        let subnet = self.subnet.as_ref().filter(|_| !self.security_groups.is_empty())?;
        let interface = InstanceNetworkInterfaceSpecification::builder()
            .device_index(0)
            .subnet_id(subnet)
            .set_groups(Some(self.security_groups.clone()))
            .associate_public_ip_address(false)
            .delete_on_termination(true);
        Some(interface.build())
    }
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let market = if self.spot { "Spot" } else { "on-demand" };
        let own = |value: &Option<String>| value.clone().unwrap_or_else(|| "the template's".to_owned());
        write!(f, "{market} {} in {}", own(&self.instance_type), own(&self.subnet))
    }
}

#[derive(Debug, thiserror::Error)]
enum Unlisted {
    #[error("EC2 lists no instance of this run")]
    None,
    #[error("{0:#}")]
    Unknown(anyhow::Error),
}

/// Why an instance was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another type, subnet or market may do, and later the same.
    #[error("{0}")]
    NoCapacity(String),
    /// Another type, subnet or market may do, the same never.
    #[error("{0}")]
    Unfit(String),
    /// Throttled, a failure of EC2's own, or no answer: the same again may do.
    #[error("{0}")]
    Passing(String),
    #[error("{0}")]
    Other(String),
}

impl StartError {
    fn of<E, R>(error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let text = cloud::reason(error);
        match error.code() {
            Some(code) if lacks_capacity(code) => StartError::NoCapacity(text),
            Some(code) if is_unfit(code) => StartError::Unfit(text),
            Some(code) if !is_passing(code) => StartError::Other(text),
            _ => StartError::Passing(text),
        }
    }
}

pub struct Instances {
    client: Client,
    /// Does not try again by itself: what EC2 calls a server error is mostly a lack of capacity.
    once: Client,
}

impl Instances {
    pub fn new(config: &SdkConfig) -> Self {
        let once = aws_sdk_ec2::config::Builder::from(config).retry_config(RetryConfig::disabled()).build();
        Self { client: Client::new(config), once: Client::from_conf(once) }
    }

    /// Starts one instance. The same token never starts two.
    pub async fn start(
        &self,
        template: &str,
        attempt: &Attempt,
        token: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<String, StartError> {
        let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect::<Vec<_>>();
        let template = LaunchTemplateSpecification::builder().launch_template_id(template).version("$Default").build();
        let tagged = |kind| TagSpecification::builder().resource_type(kind).set_tags(Some(tags.clone())).build();
        let spot = SpotMarketOptions::builder()
            .spot_instance_type(SpotInstanceType::OneTime)
            .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
            .build();
        let market = InstanceMarketOptionsRequest::builder().market_type(MarketType::Spot).spot_options(spot).build();
        let interface = attempt.interface();
        let request = self
            .once
            .run_instances()
            .min_count(1)
            .max_count(1)
            .client_token(token)
            .launch_template(template)
            .set_instance_type(attempt.instance_type.as_deref().map(InstanceType::from))
            .set_subnet_id(attempt.subnet.clone().filter(|_| interface.is_none()))
            .set_network_interfaces(interface.map(|interface| vec![interface]))
            .set_instance_market_options(attempt.spot.then_some(market))
            .tag_specifications(tagged(ResourceType::Instance))
            .tag_specifications(tagged(ResourceType::Volume));
        let ask = async || match request.clone().send().await {
            Ok(started) => {
                let id = started.instances().first().and_then(Instance::instance_id);
                id.map(str::to_owned).ok_or_else(|| StartError::Other("EC2 named no instance".to_owned()))
            }
            Err(error) => Err(StartError::of(&error)),
        };
        RETRY.retry("RunInstances", &mut 0, ask).await
    }

    /// Instances with these tags, in these states (all if empty).
    pub async fn find(&self, tags: &[(&str, &str)], states: &[&str]) -> anyhow::Result<Vec<Found>> {
        let filter = |name: String, values: &[&str]| {
            Filter::builder().name(name).set_values(Some(values.iter().map(|v| (*v).to_owned()).collect())).build()
        };
        let mut filters: Vec<Filter> =
            tags.iter().map(|(name, value)| filter(format!("tag:{name}"), &[value])).collect();
        filters.push(filter("tag-key".to_owned(), &[JOB]));
        if !states.is_empty() {
            filters.push(filter("instance-state-name".to_owned(), states));
        }
        self.describe(self.client.describe_instances().set_filters(Some(filters))).await
    }

    /// The instance of a run that was asked for without an answer: EC2 may have started it all the same.
    pub async fn of_run(&self, job: &str, run_id: &str) -> anyhow::Result<Option<Found>> {
        let look = async || match self.find(&[(JOB, job), (RUN_ID, run_id)], &[]).await {
            Ok(found) => found.into_iter().next().ok_or(Unlisted::None),
            Err(error) => Err(Unlisted::Unknown(error)),
        };
        match LOOK.retry("RunInstances was not answered", &mut 0, look).await {
            Ok(found) => Ok(Some(found)),
            Err(Unlisted::None) => Ok(None),
            Err(Unlisted::Unknown(error)) => Err(error),
        }
    }

    /// One instance, if it is still known.
    pub async fn get(&self, id: &str) -> anyhow::Result<Option<Found>> {
        let own = Filter::builder().name("instance-id").values(id).build();
        Ok(self.describe(self.client.describe_instances().filters(own)).await?.into_iter().next())
    }

    async fn describe(
        &self,
        request: aws_sdk_ec2::operation::describe_instances::builders::DescribeInstancesFluentBuilder,
    ) -> anyhow::Result<Vec<Found>> {
        let mut found = Vec::new();
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| anyhow::anyhow!("DescribeInstances failed: {}", cloud::reason(&error)))?;
            let instances = page.reservations().iter().flat_map(aws_sdk_ec2::types::Reservation::instances);
            found.extend(instances.map(look));
        }
        Ok(found)
    }

    pub async fn tag(&self, id: &str, name: &str, value: &str) -> anyhow::Result<()> {
        let tag = Tag::builder().key(name).value(value).build();
        let done = self.client.create_tags().resources(id).tags(tag).send().await;
        done.map(drop).map_err(|error| anyhow::anyhow!("CreateTags failed: {}", cloud::reason(&error)))
    }

    pub async fn terminate(&self, id: &str) -> anyhow::Result<()> {
        let done = self.client.terminate_instances().instance_ids(id).send().await;
        done.map(drop).map_err(|error| anyhow::anyhow!("TerminateInstances failed: {}", cloud::reason(&error)))
    }

    /// The end of what the machine wrote to its console, or why it cannot be shown.
    pub async fn console(&self, id: &str) -> Result<String, String> {
        let answer = self.once.get_console_output().instance_id(id).latest(true).send().await;
        // Instances that are not built on Nitro know no latest output.
        let answer = match answer {
            Ok(answer) => answer,
            Err(_) => self
                .once
                .get_console_output()
                .instance_id(id)
                .send()
                .await
                .map_err(|error| error.message().unwrap_or("EC2 did not answer").to_owned())?,
        };
        let encoded: String = answer.output().unwrap_or_default().split_whitespace().collect();
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|error| format!("it is not base64: {error}"))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        Ok(lines[lines.len().saturating_sub(CONSOLE_LINES)..].join("\n"))
    }
}

fn look(instance: &Instance) -> Found {
    let name = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let said = instance.state_reason().and_then(|reason| reason.message());
    Found {
        id: name(instance.instance_id()),
        state: name(instance.state().and_then(|state| state.name()).map(aws_sdk_ec2::types::InstanceStateName::as_str)),
        kind: name(instance.instance_type().map(InstanceType::as_str)),
        zone: name(instance.placement().and_then(|placement| placement.availability_zone())),
        launched: instance.launch_time().and_then(|time| DateTime::from_timestamp(time.secs(), 0)),
        reason: name(said.or(instance.state_transition_reason()).filter(|text| !text.is_empty())),
        tags: instance.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()))).collect(),
    }
}

/// Error codes of RunInstances ("Error codes for the Amazon EC2 API") after which another type, subnet or market may do, or the same
/// later.
fn lacks_capacity(code: &str) -> bool {
    matches!(
        code,
        "InsufficientInstanceCapacity"
            | "InsufficientHostCapacity"
            | "InsufficientReservedInstanceCapacity"
            | "InsufficientCapacity"
            | "InsufficientFreeAddressesInSubnet"
            | "InstanceLimitExceeded"
            | "VcpuLimitExceeded"
            | "MaxSpotInstanceCountExceeded"
    )
}

/// Error codes after which another type, subnet or market may do.
fn is_unfit(code: &str) -> bool {
    matches!(
        code,
        "SpotMaxPriceTooLow"
            | "Unsupported"
            // Of an account that has never used Spot: on-demand does.
            | "AuthFailure.ServiceLinkedRoleCreationNotPermitted"
    )
}

fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "Unavailable"
            | "ServiceUnavailable"
            | "InternalError"
    )
}
