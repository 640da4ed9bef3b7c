//! What the instance knows of itself: instance metadata, version 2 only.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use aws_config::imds::client::error::ImdsError;
use tokio_util::sync::CancellationToken;

/// "We recommend that you check for these interruption notices every 5 seconds" (Spot Instance interruption notices).
const SPOT_POLL: Duration = Duration::from_secs(5);

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

impl Default for Metadata {
    fn default() -> Self {
        Self::new()
    }
}
