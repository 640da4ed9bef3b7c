//! How AWS is spoken to: region, credentials and endpoint from the environment, the profile or the instance's role.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};

/// Enough to outlast a throttled minute.
const ATTEMPTS: u32 = 8;
/// A lost packet costs seconds, not the notification.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// The settings of every client. Throttling and passing failures are tried again, with growing waits.
pub async fn config() -> SdkConfig {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts)
        .load()
        .await
}

/// The region that an ARN names (`arn:aws:sns:eu-central-1:…`), which may differ from the machine's own.
pub fn region_of(arn: &str) -> Option<Region> {
    let region = arn.strip_prefix("arn:")?.split(':').nth(2)?;
    (!region.is_empty()).then(|| Region::new(region.to_owned()))
}

/// Why a request failed: AWS's code and words, or the chain of causes. Never the answer itself, which may hold a secret.
pub fn reason<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => chain(error),
    }
}

/// An error and its sources on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_its_region() {
        assert_eq!(region_of("arn:aws:sns:eu-central-1:123456789012:t").unwrap().as_ref(), "eu-central-1");
        assert_eq!(region_of("arn:aws:s3:::bucket"), None);
        assert_eq!(region_of("prod/erp"), None);
    }
}
