//! Host, database, user and password of a side: from the job file, and from a secret where it names one.

use super::raw::{self, SecretKeys};
use std::sync::Arc;

use super::{Auth, Engine};
use crate::connect::password::{PasswordSource, TokenProvider};

/// A secret that a side names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    /// `source` or `target`.
    pub side: &'static str,
    /// Name or ARN.
    pub name: String,
    pub keys: SecretKeys,
}

/// What a secret holds of a login. What the job file says itself is preferred.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundSecret {
    pub engine: Option<String>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub database: Option<String>,
    pub user: Option<String>,
    pub password: PasswordSource,
}

#[derive(Debug, Clone, Default)]
pub struct FoundSecrets {
    pub source: Option<FoundSecret>,
    pub target: Option<FoundSecret>,
    /// For a target with `auth = "iam"`.
    pub tokens: Option<Arc<dyn TokenProvider>>,
}

pub(super) fn named(typed: &raw::JobFile) -> Vec<SecretName> {
    let sides = [
        ("source", &typed.source.secret, &typed.source.secret_keys),
        ("target", &typed.target.secret, &typed.target.secret_keys),
    ];
    let named = |(side, name, keys): (&'static str, &Option<String>, &SecretKeys)| {
        name.clone().map(|name| SecretName { side, name, keys: keys.clone() })
    };
    sides.into_iter().filter_map(named).collect()
}

/// Everything of a side that says where it is and who logs in.
pub(super) struct Endpoint {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: PasswordSource,
}

/// What was typed of it.
pub(super) struct Typed {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub database: Option<String>,
    pub user: Option<String>,
    pub password_env: Option<String>,
    pub password_file: Option<String>,
    pub secret: Option<String>,
    pub secret_keys: SecretKeys,
    pub auth: Auth,
    pub default_port: u16,
}

pub(super) fn endpoint(
    side: &str,
    typed: Typed,
    found: Option<FoundSecret>,
    tokens: Option<Arc<dyn TokenProvider>>,
) -> Result<Endpoint, String> {
    if typed.secret.is_none() && typed.secret_keys != SecretKeys::default() {
        return Err(format!("{side}.secret_keys: given without {side}.secret"));
    }
    let secret = typed.secret.clone();
    let needed = |key: &str, own: Option<String>, of_secret: Option<String>| match (own.or(of_secret), &secret) {
        (Some(text), _) if text.trim().is_empty() => Err(format!("{side}.{key}: must not be empty")),
        (Some(text), _) => Ok(text),
        (None, None) => Err(format!("{side}.{key}: this key is required")),
        (None, Some(name)) => Err(format!("{side}.{key}: neither here nor in the secret {name}")),
    };
    let (of_secret, password) = match found {
        Some(mut found) => {
            let password = found.password.clone();
            if typed.user.is_some() {
                // A rotation that takes turns between two users must not bring in the other one.
                found.user = None;
            }
            (Some(found), Some(password))
        }
        None => (None, None),
    };
    let part = |get: fn(&FoundSecret) -> Option<String>| of_secret.as_ref().and_then(get);
    let host = needed("host", typed.host.clone(), part(|found| found.host.clone()))?;
    let database = needed("database", typed.database.clone(), part(|found| found.database.clone()))?;
    let user = needed("user", typed.user.clone(), part(|found| found.user.clone()))?;
    let port = match typed.port.or(of_secret.as_ref().and_then(|found| found.port)) {
        Some(0) => return Err(format!("{side}.port: 0 is not a port; 1 to 65535 are allowed")),
        port => port.unwrap_or(typed.default_port),
    };
    let tokens = tokens.map(|maker| maker.tokens(&host, port, &user));
    Ok(Endpoint { password: self::password(side, typed, password, tokens)?, host, port, database, user })
}

/// The one way to the password that the file names.
fn password(
    side: &str,
    typed: Typed,
    of_secret: Option<PasswordSource>,
    tokens: Option<PasswordSource>,
) -> Result<PasswordSource, String> {
    let ways = [
        ("password_env", typed.password_env.is_some()),
        ("password_file", typed.password_file.is_some()),
        ("secret", typed.secret.is_some() && typed.auth == Auth::Password),
        ("auth = \"iam\"", typed.auth == Auth::Iam),
    ];
    let given: Vec<&str> = ways.iter().filter(|(_, given)| *given).map(|(way, _)| *way).collect();
    if let [first, second, ..] = given[..] {
        return Err(format!("{side}.{first}: given together with {second}; one of them is allowed"));
    }
    match typed {
        Typed { password_env: Some(name), .. } => {
            Ok(PasswordSource::Env(variable(&format!("{side}.password_env"), name)?))
        }
        Typed { password_file: Some(path), .. } if path.trim().is_empty() => {
            Err(format!("{side}.password_file: must not be empty"))
        }
        Typed { password_file: Some(path), .. } => Ok(PasswordSource::File(path.into())),
        Typed { auth: Auth::Iam, .. } => {
            tokens.ok_or_else(|| format!("{side}.auth: no AWS credentials were looked for"))
        }
        Typed { secret: Some(name), .. } => of_secret.ok_or_else(|| format!("{side}.secret: {name} was not fetched")),
        _ => Err(format!(
            "{side}.password_env: no password is given; name an environment variable here, a file in password_file, \
             or a secret of AWS Secrets Manager in secret"
        )),
    }
}

/// The name of an environment variable. What is no name may be the password itself, so it is not repeated.
fn variable(key: &str, name: String) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(allowed) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("{key}: not the name of an environment variable; letters, digits and _ are allowed"));
    }
    Ok(name)
}

/// A secret that RDS manages names its engine; one of another kind was named by mistake.
pub(super) fn check_engine(engine: Engine, found: Option<&FoundSecret>) -> Result<(), String> {
    let Some(name) = found.and_then(|found| found.engine.as_deref()) else { return Ok(()) };
    let fits = match engine {
        Engine::Postgres => name.contains("postgres"),
        Engine::Mysql => name.contains("mysql") || name.contains("mariadb"),
    };
    if fits {
        Ok(())
    } else {
        Err(format!("target.secret: the secret is of an engine {name:?}, which target.engine is not"))
    }
}
