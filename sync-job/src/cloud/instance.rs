//! What the instance knows of itself: instance metadata, version 2 only.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use aws_config::imds::client::error::ImdsError;
use tokio_util::sync::CancellationToken;

use crate::connect::retry;

/// "We recommend that you check for these interruption notices every 5 seconds" (Spot Instance interruption notices).
const SPOT_POLL: Duration = Duration::from_secs(5);

/// How long the metadata service may be away while the machine boots.
const METADATA_OUTAGE: Duration = Duration::from_secs(90);
/// Names the run, as the launcher knows it.
const RUN_ID: &str = "stopgap:run-id";
/// "For instances built on the Nitro system" the id of the instance (Amazon EC2 User Guide, "Detect whether a host is an EC2 instance").
const ASSET_TAG: &str = "/sys/devices/virtual/dmi/id/board_asset_tag";
/// Of older instances, it begins with `ec2` (the same page).
const HYPERVISOR: &str = "/sys/hypervisor/uuid";

/// The metadata service of this machine.
#[derive(Debug, Clone)]
pub struct Metadata {
    client: aws_config::imds::Client,
}

/// Who this machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub id: String,
    /// The tags that the launch template lets it see.
    pub tags: BTreeMap<String, String>,
    /// Why the tags are not all known.
    pub problem: Option<String>,
    pub user_data: Option<String>,
}

/// What could be read, and why not all.
#[derive(Debug)]
struct Unread {
    identity: Option<Identity>,
    error: anyhow::Error,
}

/// Whether this machine has a metadata service, if it answers or not: it is an instance, or somebody has said where the service is.
pub fn is_instance() -> bool {
    let text = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    std::env::var_os("AWS_EC2_METADATA_SERVICE_ENDPOINT").is_some()
        || text(ASSET_TAG).starts_with("i-")
        || text(HYPERVISOR).to_ascii_lowercase().starts_with("ec2")
}

impl Metadata {
    pub fn new() -> Self {
        let client = aws_config::imds::Client::builder()
            .max_attempts(4)
            .connect_timeout(Duration::from_secs(2))
            .read_timeout(Duration::from_secs(2))
            .build();
        Self { client }
    }

    /// The instance's identity. Fails where there is no metadata service: on any other machine.
    pub async fn identity(&self) -> anyhow::Result<Identity> {
        let id = self.get("/latest/meta-data/instance-id").await?.context("the instance has no id")?;
        let mut tags = BTreeMap::new();
        // A run of the wrong tables is worse than none; what was read still says whose run it is.
        let read = self.read_tags(&mut tags).await;
        let problem = read.err().map(|error| format!("the instance's tags cannot be read: {error:#}"));
        // Somebody else's may be compressed.
        let user_data = self.get("/latest/user-data").await.unwrap_or_else(|error| {
            tracing::warn!(error = format!("{error:#}"), "user data is left alone");
            None
        });
        Ok(Identity { id, tags, problem, user_data })
    }

    /// The identity of a machine that has one, once it can be read: without it the run would go by another name than the launcher's,
    /// and people would hear of it twice.
    pub async fn identity_in_time(&self) -> anyhow::Result<Identity> {
        let policy = retry::of_any::<Unread>(METADATA_OUTAGE, |waiting| {
            let error = format!("{:#}", waiting.error.error);
            tracing::warn!(attempt = waiting.retry, error, "{} cannot be read yet", waiting.what);
        });
        let read = async || match self.identity().await {
            Ok(Identity { problem: Some(problem), tags, id, user_data }) => {
                let error = anyhow::Error::msg(problem.clone());
                let identity = Identity { problem: Some(problem), tags, id, user_data };
                Err(Unread { identity: Some(identity), error })
            }
            Ok(identity) => Ok(identity),
            Err(error) => Err(Unread { identity: None, error }),
        };
        policy.retry("instance metadata", &mut 0, read).await.or_else(Unread::settle)
    }

    /// None if the template does not allow tags in metadata. Reads as many as it can.
    async fn read_tags(&self, tags: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
        let names = self.get("/latest/meta-data/tags/instance").await?.unwrap_or_default();
        let mut read = Ok(());
        for name in names.lines().filter(|name| !name.is_empty()) {
            match self.get(&format!("/latest/meta-data/tags/instance/{name}")).await {
                Ok(Some(value)) => {
                    tags.insert(name.to_owned(), value);
                }
                Ok(None) => {}
                Err(error) => read = Err(error),
            }
        }
        read
    }

    /// Waits for the notice that this Spot instance will be taken away, and cancels.
    pub async fn watch_spot(self, cancel: CancellationToken) -> String {
        loop {
            if let Ok(Some(notice)) = self.get("/latest/meta-data/spot/instance-action").await {
                tracing::error!(notice, "Spot interruption: stopping");
                cancel.cancel();
                return notice;
            }
            tokio::time::sleep(SPOT_POLL).await;
        }
    }

    /// `None` for what does not exist.
    async fn get(&self, path: &str) -> anyhow::Result<Option<String>> {
        match self.client.get(path).await {
            Ok(text) => Ok(Some(text.as_ref().to_owned())),
            Err(ImdsError::ErrorResponse(response)) if response.response().status().as_u16() == 404 => Ok(None),
            Err(error) => Err(error).with_context(|| format!("instance metadata {path}")),
        }
    }
}

impl Unread {
    /// Nothing more can be read: what is known will do if it names the run.
    fn settle(self) -> anyhow::Result<Identity> {
        match self.identity {
            Some(identity) if identity.tags.contains_key(RUN_ID) => Ok(identity),
            _ => Err(self.error),
        }
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_the_run_will_do_and_nothing_less() {
        let unread = |tags: &[&str]| Unread {
            identity: Some(Identity {
                id: "i-1".to_owned(),
                tags: tags.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect(),
                problem: Some("the tags cannot be read".to_owned()),
                user_data: None,
            }),
            error: anyhow::anyhow!("the tags cannot be read"),
        };
        assert!(unread(&["stopgap:job", "stopgap:run-id"]).settle().unwrap().problem.is_some());
        assert!(unread(&["stopgap:job"]).settle().is_err(), "its id is not the run's");
        assert!(Unread { identity: None, error: anyhow::anyhow!("no answer") }.settle().is_err());
    }
}
