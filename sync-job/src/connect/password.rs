//! Where a password comes from. It is read when a connection is made, so that a rotated one is found.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::model::secret::Secret;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An environment variable, a file, or something that has to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordSource {
    Env(String),
    File(PathBuf),
    Provided(Provided),
}

/// Who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Instead of the job's own user: some rotations take turns between two.
    pub user: Option<String>,
    pub password: Secret,
}

/// A service that is asked for passwords.
pub trait PasswordProvider: Send + Sync + std::fmt::Debug {
    /// `again`: the server refused the last one, so that a remembered one will not do.
    fn credentials(&self, again: bool) -> BoxFuture<'_, Result<Credentials, BoxError>>;
}

/// Makes tokens that stand for a user's password at one server.
pub trait TokenProvider: Send + Sync + std::fmt::Debug {
    fn tokens(&self, host: &str, port: u16, user: &str) -> PasswordSource;
}

/// A provider and how it is called in messages.
#[derive(Debug, Clone)]
pub struct Provided {
    /// The key of the job file that asks for it: `secret` or `auth`.
    pub key: &'static str,
    pub name: String,
    pub provider: Arc<dyn PasswordProvider>,
}

impl PartialEq for Provided {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Provided {}

/// Why a password could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("the environment variable {0} is not set")]
    Unset(String),
    #[error("the environment variable {0} is not valid Unicode")]
    NotUnicode(String),
    #[error("the password file {0} cannot be read")]
    File(String, #[source] std::io::Error),
    #[error("the password from {0} is empty")]
    Empty(String),
    #[error("{0} cannot be had")]
    Provider(String, #[source] BoxError),
}

impl PasswordSource {
    /// Reads the password; a line end at the end of a file does not belong to it. `again`: the last one was refused.
    pub async fn read(&self, again: bool) -> Result<Credentials, PasswordError> {
        let (text, place) = match self {
            PasswordSource::Env(name) => match std::env::var(name) {
                Ok(text) => (text, name.clone()),
                Err(std::env::VarError::NotPresent) => return Err(PasswordError::Unset(name.clone())),
                Err(std::env::VarError::NotUnicode(_)) => return Err(PasswordError::NotUnicode(name.clone())),
            },
            PasswordSource::File(path) => {
                let place = path.display().to_string();
                let text = std::fs::read_to_string(path).map_err(|error| PasswordError::File(place.clone(), error))?;
                (text.trim_end_matches(['\r', '\n']).to_owned(), place)
            }
            PasswordSource::Provided(Provided { name, provider, .. }) => {
                return provider.credentials(again).await.map_err(|error| PasswordError::Provider(name.clone(), error));
            }
        };
        if text.is_empty() {
            return Err(PasswordError::Empty(place));
        }
        Ok(Credentials { user: None, password: Secret::new(text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_password_says_where_it_was_looked_for() {
        let missing = PasswordSource::Env("STOPGAP_TEST_NO_SUCH_VARIABLE".to_owned());
        assert_eq!(
            missing.read(false).await.unwrap_err().to_string(),
            "the environment variable STOPGAP_TEST_NO_SUCH_VARIABLE is not set"
        );
        let file = PasswordSource::File("/nonexistent/password".into());
        assert!(file.read(false).await.unwrap_err().to_string().contains("/nonexistent/password"));
    }
}
