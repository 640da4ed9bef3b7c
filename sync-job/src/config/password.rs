//! Where a password comes from. It is read when a connection is made, so that a rotated one is found.

use std::path::PathBuf;

use crate::secret::Secret;

/// An environment variable or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordSource {
    Env(String),
    File(PathBuf),
}

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
}

impl PasswordSource {
    /// Reads the password; a line end at the end of a file does not belong to it.
    pub fn read(&self) -> Result<Secret, PasswordError> {
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
        };
        if text.is_empty() { Err(PasswordError::Empty(place)) } else { Ok(Secret::new(text)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_password_says_where_it_was_looked_for() {
        let missing = PasswordSource::Env("STOPGAP_TEST_NO_SUCH_VARIABLE".to_owned());
        assert_eq!(
            missing.read().unwrap_err().to_string(),
            "the environment variable STOPGAP_TEST_NO_SUCH_VARIABLE is not set"
        );
        let file = PasswordSource::File("/nonexistent/password".into());
        assert!(file.read().unwrap_err().to_string().contains("/nonexistent/password"));
    }
}
