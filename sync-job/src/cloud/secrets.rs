//! Logins from AWS Secrets Manager.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::{Map, Value};

use super::Cloud;
use super::iam::Iam;
use crate::config::{FoundSecret, FoundSecrets, JobDraft, SecretName};
use crate::connect::password::{Credentials, PasswordProvider, PasswordSource, Provided};
use crate::model::secret::Secret;

/// Why a secret cannot be used. No message repeats anything of its text but the names of keys.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{side}.secret: {name} cannot be fetched: {reason}; {why}")]
    Fetch { side: &'static str, name: String, reason: String, why: Unfetched },
    #[error("{side}.secret: {name} is not the JSON of a login: {reason}")]
    Form { side: &'static str, name: String, reason: String },
}

/// Why AWS does not give a secret. Its words are what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfetched {
    NoRegion,
    NoCredentials,
    NotFound,
    AccessDenied,
    Other,
}

impl Unfetched {
    #[expect(clippy::match_same_arms, reason = "arms are told apart by what they mean, not by what they give")]
    fn of(error: &SdkError<GetSecretValueError>, client: &Client) -> Self {
        let chain = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
        match error.code() {
            Some("ResourceNotFoundException") => Unfetched::NotFound,
            Some("AccessDeniedException") => Unfetched::AccessDenied,
            Some(_) => Unfetched::Other,
            None if client.config().region().is_none() => Unfetched::NoRegion,
            None if chain.into_iter().any(|error| error.downcast_ref::<CredentialsError>().is_some()) => {
                Unfetched::NoCredentials
            }
            None => Unfetched::Other,
        }
    }
}

impl std::fmt::Display for Unfetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Unfetched::NoRegion => "set AWS_REGION, or name the secret by its ARN",
            Unfetched::NoCredentials => "give this machine AWS credentials: a role, a profile or AWS_ACCESS_KEY_ID",
            Unfetched::NotFound => {
                "look at its name and at the region, and whether it has a value: one that was just made is empty"
            }
            Unfetched::AccessDenied => {
                "allow secretsmanager:GetSecretValue on it to this machine's role, and kms:Decrypt on a key of its own"
            }
            Unfetched::Other => "look whether this machine reaches AWS Secrets Manager",
        })
    }
}

/// What a secret's text says.
struct Parsed {
    engine: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    user: Option<String>,
    password: Secret,
}

impl Cloud {
    /// Fetches what a job file names: secrets, and the means to make tokens.
    pub async fn credentials_of(&self, draft: &JobDraft) -> Result<FoundSecrets, SecretError> {
        let mut found = FoundSecrets { tokens: Some(Arc::new(Iam::new(&self.config))), ..FoundSecrets::default() };
        for secret in draft.secrets() {
            let place = match secret.side {
                "source" => &mut found.source,
                _ => &mut found.target,
            };
            *place = Some(self.credentials(secret).await?);
        }
        Ok(found)
    }

    async fn credentials(&self, secret: SecretName) -> Result<FoundSecret, SecretError> {
        let mut own = aws_sdk_secretsmanager::config::Builder::from(&self.config);
        if let Some(region) = stopgap_runs::cloud::region_of(&secret.name) {
            own = own.region(region);
        }
        let cache = SecretCache { client: Client::from_conf(own.build()), secret, last: Mutex::new(None) };
        let parsed = cache.fetch().await?;
        cache.remember(&parsed);
        let name = format!("the secret {}", cache.secret.name);
        Ok(FoundSecret {
            engine: parsed.engine,
            host: parsed.host,
            port: parsed.port,
            database: parsed.database,
            user: parsed.user,
            password: PasswordSource::Provided(Provided { key: "secret", name, provider: Arc::new(cache) }),
        })
    }
}

/// One secret, and what it held last.
struct SecretCache {
    client: Client,
    secret: SecretName,
    last: Mutex<Option<Credentials>>,
}

impl std::fmt::Debug for SecretCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretCache").field("secret", &self.secret.name).finish_non_exhaustive()
    }
}

impl SecretCache {
    async fn fetch(&self) -> Result<Parsed, SecretError> {
        let (side, name) = (self.secret.side, self.secret.name.clone());
        let answer = self.client.get_secret_value().secret_id(&name).send().await.map_err(|error| {
            let reason = stopgap_runs::cloud::reason(&error);
            SecretError::Fetch { side, name: name.clone(), reason, why: Unfetched::of(&error, &self.client) }
        })?;
        let text = answer.secret_string().ok_or_else(|| SecretError::Form {
            side,
            name: name.clone(),
            reason: "it is binary".to_owned(),
        })?;
        parse(text, &self.secret).map_err(|reason| SecretError::Form { side, name, reason })
    }

    fn remember(&self, parsed: &Parsed) -> Credentials {
        // Two users that take turns are known only from the usual form.
        let credentials = Credentials { user: parsed.user.clone(), password: parsed.password.clone() };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials.clone());
        credentials
    }
}

impl PasswordProvider for SecretCache {
    fn credentials(&self, again: bool) -> BoxFuture<'_, Result<Credentials, Box<dyn std::error::Error + Send + Sync>>> {
        async move {
            let remembered = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match remembered {
                Some(credentials) if !again => Ok(credentials),
                _ => Ok(self.remember(&self.fetch().await?)),
            }
        }
        .boxed()
    }
}

/// Understands the JSON that RDS manages (`engine, host, port, username, password, dbname`), this project's own (`host, port,
/// user, password, database`), a shared secret of which the job file names keys, and a text that is the password alone.
fn parse(text: &str, secret: &SecretName) -> Result<Parsed, String> {
    let keys = &secret.keys;
    let chosen = keys != &crate::config::raw::SecretKeys::default();
    let object = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(object)) => object,
        _ if chosen => return Err("secret_keys names keys, but it is no JSON object".to_owned()),
        // What begins like JSON was meant to be JSON.
        _ if text.trim_start().starts_with('{') => return Err("its JSON is malformed".to_owned()),
        _ if text.is_empty() => return Err("it is empty".to_owned()),
        _ => {
            let password = Secret::new(text);
            return Ok(Parsed { engine: None, host: None, port: None, database: None, user: None, password });
        }
    };
    let look = |part: &str, own: &Option<String>, usual: &[&str]| -> Result<Option<String>, String> {
        match own {
            Some(key) => object.get(key).and_then(plain).map(Some).ok_or_else(|| lacks(&object, key, part)),
            None if chosen => Ok(None),
            None => Ok(usual.iter().find_map(|key| object.get(*key).and_then(plain)).filter(|text| !text.is_empty())),
        }
    };
    let password =
        look("password", &keys.password, &["password"])?.ok_or_else(|| lacks(&object, "password", "password"))?;
    let port = look("port", &keys.port, &["port"])?;
    Ok(Parsed {
        engine: if chosen { None } else { look("engine", &None, &["engine"])? },
        host: look("host", &keys.host, &["host"])?,
        port: port
            .map(|text| text.parse().map_err(|_| "its port is not a number from 1 to 65535".to_owned()))
            .transpose()?,
        database: look("database", &keys.database, &["dbname", "database"])?,
        user: look("user", &keys.user, &["username", "user"])?,
        password: Secret::new(password),
    })
}

/// Ports are numbers in some secrets and texts in others.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn lacks(object: &Map<String, Value>, key: &str, part: &str) -> String {
    let keys: BTreeSet<&str> = object.keys().map(String::as_str).collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    format!("the {part} should be under the key {key:?}; its keys are {}", keys.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::SecretKeys;
    use aws_credential_types::provider::{ProvideCredentials, future};

    fn secret(keys: SecretKeys) -> SecretName {
        SecretName { side: "source", name: "prod/erp".into(), keys }
    }

    #[test]
    fn the_usual_forms_are_understood() {
        let rds = r#"{"engine":"postgres","host":"h","port":5432,"username":"u","password":"p","dbname":"d"}"#;
        let own = r#"{"host":"h","port":"5432","user":"u","password":"p","database":"d"}"#;
        for text in [rds, own] {
            let parsed = parse(text, &secret(SecretKeys::default())).unwrap();
            assert_eq!((parsed.host.as_deref(), parsed.port), (Some("h"), Some(5432)));
            assert_eq!((parsed.user.as_deref(), parsed.database.as_deref()), (Some("u"), Some("d")));
            assert_eq!(parsed.password.expose(), "p");
        }
        assert_eq!(
            parse("just a password", &secret(SecretKeys::default())).unwrap().password.expose(),
            "just a password"
        );
    }

    #[test]
    fn a_shared_secret_gives_only_the_named_keys() {
        let keys = SecretKeys { password: Some("erp_password".into()), ..SecretKeys::default() };
        let text = r#"{"host":"of another","erp_password":"hunter2","other":"x"}"#;
        let parsed = parse(text, &secret(keys)).unwrap();
        assert_eq!((parsed.host, parsed.password.expose()), (None, "hunter2"));
    }

    #[test]
    fn what_is_wrong_is_said_without_any_value() {
        let keys = SecretKeys { password: Some("pw".into()), ..SecretKeys::default() };
        for (text, keys) in [
            (r#"{"user":"hunter2"}"#, SecretKeys::default()),
            (r#"{"password":"hunter2","#, SecretKeys::default()),
            (r#"{"password":"hunter2"}"#, keys.clone()),
            ("hunter2", keys),
            (r#"{"password":"hunter2","port":"hunter2"}"#, SecretKeys::default()),
        ] {
            let error = parse(text, &secret(keys)).err().unwrap();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[derive(Debug)]
    struct Penniless;

    impl ProvideCredentials for Penniless {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("no provider has any")))
        }
    }

    /// Nothing is sent in either case.
    #[tokio::test]
    async fn what_this_machine_lacks_is_told_by_type() {
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .credentials_provider(Penniless);
        let somewhere = config.clone().region(aws_config::Region::new("eu-central-1"));
        for (config, expected) in [(config, Unfetched::NoRegion), (somewhere, Unfetched::NoCredentials)] {
            let client = Client::from_conf(config.build());
            let error = client.get_secret_value().secret_id("erp").send().await.unwrap_err();
            assert_eq!(Unfetched::of(&error, &client), expected, "{error:?}");
        }
    }
}
