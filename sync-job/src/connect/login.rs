//! Logging in with a password that may have been rotated meanwhile.

use std::future::Future;

use crate::connect::password::{Credentials, PasswordSource};
use crate::model::error::{Error, Kind, Result, Side};

/// Logs in, and once more with a freshly read password if the server refuses the first and there is another. An error is one of the
/// login, whatever its number.
pub async fn with_password<T, F>(source: &PasswordSource, side: Side, connect: impl Fn(Credentials) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    try_passwords(source, side, connect).await.map_err(at_login)
}

/// Servers refuse a login, a database and a session's settings by more numbers than anybody lists. Nothing was asked of them yet but
/// to be let in, so none of these is a statement's failure.
fn at_login(error: Error) -> Error {
    let kind = match error.kind {
        Kind::Connection | Kind::UnknownHost | Kind::Tls | Kind::Login | Kind::UnknownDatabase | Kind::Transient => {
            error.kind
        }
        Kind::Timeout => Kind::Connection,
        Kind::LockTimeout | Kind::StorageFull => Kind::Transient,
        Kind::Permission
        | Kind::Data
        | Kind::ForeignKeyViolation
        | Kind::Mismatch
        | Kind::PrecheckFailed
        | Kind::LeaseHeld
        | Kind::ShrinkGuard
        | Kind::GroupFailed
        | Kind::NotComparable
        | Kind::Conflict
        | Kind::Configuration
        | Kind::CommitUnknown
        | Kind::Statement
        | Kind::Internal => Kind::Login,
        Kind::Cancelled => Kind::Cancelled,
    };
    Error { kind, ..error }
}

async fn try_passwords<T, F>(source: &PasswordSource, side: Side, connect: impl Fn(Credentials) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let credentials = read(source, side, false).await?;
    match connect(credentials.clone()).await {
        Err(error) if error.kind == Kind::Login => {
            let fresh = match read(source, side, true).await {
                Ok(fresh) if fresh == credentials => return Err(error),
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

async fn read(source: &PasswordSource, side: Side, again: bool) -> Result<Credentials> {
    source.read(again).await.map_err(|error| {
        Error::new(side, Kind::Login, format!("the {side}'s password could not be read")).with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::password::{PasswordProvider, Provided};
    use crate::model::secret::Secret;
    use crate::model::stage::Stage;
    use futures_util::future::{BoxFuture, FutureExt as _};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Gives "old" until it is asked again.
    #[derive(Debug, Default)]
    struct Rotated(AtomicU32);

    impl PasswordProvider for Rotated {
        fn credentials(
            &self,
            again: bool,
        ) -> BoxFuture<'_, std::result::Result<Credentials, Box<dyn std::error::Error + Send + Sync>>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let password = Secret::new(if again { "new" } else { "old" });
            async move { Ok(Credentials { user: None, password }) }.boxed()
        }
    }

    #[tokio::test]
    async fn whatever_a_server_says_at_login_is_an_error_of_the_login() {
        let source = PasswordSource::Provided(Provided {
            key: "secret",
            name: "s".into(),
            provider: Arc::new(Rotated::default()),
        });
        for (kind, expected) in [
            (Kind::Statement, Kind::Login),
            (Kind::Permission, Kind::Login),
            (Kind::Data, Kind::Login),
            (Kind::Internal, Kind::Login),
            (Kind::Login, Kind::Login),
            (Kind::Tls, Kind::Tls),
            (Kind::Transient, Kind::Transient),
            (Kind::Timeout, Kind::Connection),
        ] {
            let refuse = |_: Credentials| async move { Err::<(), _>(Error::new(Side::Source, kind, "Msg 911")) };
            let error = with_password(&source, Side::Source, refuse).await.unwrap_err();
            let failure = crate::report::Failure::new(Stage::Plan, &error);
            let status = crate::report::exit::ExitStatus::of_run(failure.kind);
            assert_eq!((error.kind, status), (expected, crate::report::exit::ExitStatus::CouldNotConnect), "{kind:?}");
            assert!(!failure.remedy.contains("table"), "{}", failure.remedy);
        }
    }

    #[tokio::test]
    async fn a_rotated_password_is_fetched_once() {
        let provider = Arc::new(Rotated::default());
        let source = PasswordSource::Provided(Provided { key: "secret", name: "s".into(), provider: provider.clone() });
        let server = |right: &'static str| {
            move |credentials: Credentials| async move {
                if credentials.password.expose() == right {
                    Ok(())
                } else {
                    Err(Error::new(Side::Target, Kind::Login, "no"))
                }
            }
        };
        with_password(&source, Side::Target, server("new")).await.unwrap();
        assert_eq!(provider.0.load(Ordering::Relaxed), 2);
        let refused = with_password(&source, Side::Target, server("another")).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Login);
        assert_eq!(provider.0.load(Ordering::Relaxed), 4);
    }
}
