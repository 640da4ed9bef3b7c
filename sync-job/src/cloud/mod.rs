//! Everything that is asked of AWS, and what people are sent by it. The only module that names its types.

use aws_config::SdkConfig;
use stopgap_runs::notice::{self, Notice, PublishError};
use stopgap_runs::store::{Store, StoreError};

mod iam;
pub mod instance;
pub mod notify;
mod parameters;
mod secrets;

/// Region, credentials and endpoints of this machine.
#[derive(Debug, Clone)]
pub struct Cloud {
    config: SdkConfig,
}

impl Cloud {
    /// From the environment, the profile or the instance's role.
    pub async fn load() -> Self {
        Self { config: stopgap_runs::cloud::config().await }
    }

    /// Where runs are written down.
    pub fn store(&self, place: &str) -> Result<Store, StoreError> {
        Store::open(place, Some(&self.config))
    }

    /// Publishes to an SNS topic; passing failures are tried again.
    pub async fn publish(&self, topic: &str, notice: &Notice) -> Result<String, PublishError> {
        notice::publish(&self.config, topic, notice).await
    }

    /// A parameter of SSM Parameter Store; `None` if there is none of this name.
    pub async fn parameter(&self, name: &str) -> anyhow::Result<Option<String>> {
        parameters::get(&self.config, name).await
    }
}
