//! Logging in with a password that may have been rotated meanwhile.

use std::future::Future;

use crate::config::{Login, PasswordSource};
use crate::error::{Error, Kind, Result, Side};

/// Logs in, and once more with a freshly read password if the server refuses the first and there is another.
pub async fn with_password<T, F>(source: &PasswordSource, side: Side, connect: impl Fn(Login) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let login = read(source, side, false).await?;
    match connect(login.clone()).await {
        Err(error) if error.kind == Kind::Login => {
            let fresh = match read(source, side, true).await {
                Ok(fresh) if fresh == login => return Err(error),
                Ok(fresh) => fresh,
                // It may be there a moment later.
                Err(unread) => {
                    let message = format!(
                        "the login was refused ({}), and whether there is another password is not known",
                        error.chain()
                    );
                    return Err(Error { kind: Kind::Transient, message: message.into(), ..unread });
                }
            };
            tracing::warn!(%side, "the login was refused; trying with the password that is there now");
            connect(fresh).await
        }
        other => other,
    }
}

async fn read(source: &PasswordSource, side: Side, again: bool) -> Result<Login> {
    source.read(again).await.map_err(|error| {
        Error::new(side, Kind::Login, format!("the {side}'s password could not be read")).with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PasswordProvider, Provided};
    use crate::secret::Secret;
    use futures_util::future::{BoxFuture, FutureExt as _};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Gives "old" until it is asked again.
    #[derive(Debug, Default)]
    struct Rotated(AtomicU32);

    impl PasswordProvider for Rotated {
        fn login(
            &self,
            again: bool,
        ) -> BoxFuture<'_, std::result::Result<Login, Box<dyn std::error::Error + Send + Sync>>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let password = Secret::new(if again { "new" } else { "old" });
            async move { Ok(Login { user: None, password }) }.boxed()
        }
    }

    #[tokio::test]
    async fn a_rotated_password_is_fetched_once() {
        let provider = Arc::new(Rotated::default());
        let source = PasswordSource::Provided(Provided { key: "secret", name: "s".into(), provider: provider.clone() });
        let server = |right: &'static str| {
            move |login: Login| async move {
                if login.password.expose() == right { Ok(()) } else { Err(Error::new(Side::Target, Kind::Login, "no")) }
            }
        };
        with_password(&source, Side::Target, server("new")).await.unwrap();
        assert_eq!(provider.0.load(Ordering::Relaxed), 2);
        let refused = with_password(&source, Side::Target, server("another")).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Login);
        assert_eq!(provider.0.load(Ordering::Relaxed), 4);
    }
}
