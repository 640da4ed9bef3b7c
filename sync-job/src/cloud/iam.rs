//! IAM database authentication: a presigned request that Aurora takes as a password ("Connecting to your DB instance using IAM
//! authentication", Amazon RDS User Guide). A token is good for fifteen minutes to log in with; a connection outlives it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use futures_util::future::{BoxFuture, FutureExt as _};

use crate::connect::password::{Credentials, PasswordProvider, PasswordSource, Provided, TokenProvider};
use crate::model::secret::Secret;

const LIFETIME: Duration = Duration::from_mins(15);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Signs with the machine's own credentials.
pub struct Iam {
    region: Option<String>,
    credentials: Option<SharedCredentialsProvider>,
}

impl std::fmt::Debug for Iam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Iam").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Iam {
    pub fn new(config: &SdkConfig) -> Self {
        Self { region: config.region().map(ToString::to_string), credentials: config.credentials_provider() }
    }
}

impl TokenProvider for Iam {
    fn tokens(&self, host: &str, port: u16, user: &str) -> PasswordSource {
        let provider = Tokens {
            place: format!("{host}:{port}"),
            user: user.to_owned(),
            region: region_of(host).map(str::to_owned).or_else(|| self.region.clone()),
            credentials: self.credentials.clone(),
        };
        PasswordSource::Provided(Provided {
            key: "auth",
            name: format!("an IAM token for {user}"),
            provider: Arc::new(provider),
        })
    }
}

/// The region that the address of a cluster or an instance names (`….eu-central-1.rds.amazonaws.com`).
fn region_of(host: &str) -> Option<&str> {
    let own = host.strip_suffix(".rds.amazonaws.com").or_else(|| host.strip_suffix(".rds.amazonaws.com.cn"))?;
    own.rsplit_once('.').map(|(_, region)| region)
}

/// Makes a token for each connection, so that none is too old.
struct Tokens {
    place: String,
    user: String,
    region: Option<String>,
    credentials: Option<SharedCredentialsProvider>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("place", &self.place).field("user", &self.user).finish_non_exhaustive()
    }
}

impl PasswordProvider for Tokens {
    fn credentials(&self, _again: bool) -> BoxFuture<'_, Result<Credentials, BoxError>> {
        async move {
            let region = self.region.as_deref().ok_or("no AWS region is known; set AWS_REGION")?;
            let provider = self.credentials.as_ref().ok_or("there are no AWS credentials")?;
            let credentials = provider.provide_credentials().await?;
            let token = token(&self.place, &self.user, region, credentials, SystemTime::now())?;
            Ok(Credentials { user: None, password: Secret::new(token) })
        }
        .boxed()
    }
}

fn token(
    place: &str,
    user: &str,
    region: &str,
    credentials: AwsCredentials,
    now: SystemTime,
) -> Result<String, BoxError> {
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(LIFETIME);
    settings.signature_location = SignatureLocation::QueryParams;
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("rds-db")
        .time(now)
        .settings(settings)
        .build()?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("Action", "connect").append_pair("DBUser", user);
    let query = query.finish();
    let url = format!("https://{place}/?{query}");
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]))?;
    let (signed, _) = sign(request, &parameters.into())?.into_parts();
    let mut query = form_urlencoded::Serializer::new(query);
    for (name, value) in signed.params() {
        query.append_pair(name, value);
    }
    Ok(format!("{place}/?{}", query.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_the_cluster_s_region() {
        assert_eq!(region_of("erp.cluster-abc.eu-west-1.rds.amazonaws.com"), Some("eu-west-1"));
        assert_eq!(region_of("erp.cluster-abc.cn-north-1.rds.amazonaws.com.cn"), Some("cn-north-1"));
        assert_eq!(region_of("127.0.0.1"), None);
    }

    /// What botocore's `generate_db_auth_token` signs at this moment with these keys.
    #[test]
    fn a_token_is_what_other_clients_make() {
        let credentials =
            AwsCredentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "test");
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(490_896);
        let token = token("db.example:3306", "stopgap", "eu-central-1", credentials, now).unwrap();
        assert_eq!(token, BOTOCORE);
    }

    const BOTOCORE: &str = "db.example:3306/?Action=connect&DBUser=stopgap&X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIDEXAMPLE%2F20260101%2Feu-central-1%2Frds-db%2Faws4_request&X-Amz-Date=20260101T000000Z\
        &X-Amz-Expires=900&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=c9d4076bc29f217662648acd795527e53b3d32319fe2f9d4f4364ef5f39772ce";
}
