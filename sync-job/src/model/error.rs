//! Kinds of failure, and on which side: what retry, report and exit status decide by.

use std::borrow::Cow;

use crate::model::code::plain_coded;
use crate::rows::encode::CellError;
use crate::rows::message::{self, Message};

plain_coded! {
    /// Which database failed.
    pub enum Side {
        Source = "source",
        Target = "target",
        /// Neither: the job itself.
        Job = "job",
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

plain_coded! {
    /// What kind of failure it is.
    pub enum Kind {
        /// The host cannot be reached, or a connection broke.
        Connection = "connection",
        /// A response did not come in time.
        Timeout = "timeout",
        /// No address is known of the host's name.
        UnknownHost = "unknown_host",
        /// Certificates or protocol versions.
        Tls = "tls",
        /// The server refused the login.
        Login = "login",
        /// The database does not exist, or is closed to the login.
        UnknownDatabase = "unknown_database",
        /// The login may not do this.
        Permission = "permission",
        /// Deadlock victim, throttling, failover, serialization failure, too many connections.
        Transient = "transient",
        /// A lock was not granted in time.
        LockTimeout = "lock_timeout",
        /// A value, or a set of rows, cannot be stored.
        Data = "data",
        /// Rows would refer to rows that are not there.
        ForeignKeyViolation = "foreign_key_violation",
        /// The disk or a quota is full.
        StorageFull = "storage_full",
        /// What was read and what the target holds differ.
        Mismatch = "mismatch",
        /// A finding refuses the run, or the comparison.
        PrecheckFailed = "precheck_failed",
        /// Another run of the job has the lease.
        LeaseHeld = "lease_held",
        /// The table would lose more rows than the job file allows.
        ShrinkGuard = "shrink_guard",
        /// Another table of the swap group failed.
        GroupFailed = "group_failed",
        /// `sync-job verify` has nothing to compare the table with: it is missing, or its columns differ.
        NotComparable = "not_comparable",
        /// The plan no longer holds: the schema changed, something new depends on a table, or the lease was lost.
        Conflict = "conflict",
        /// The job file, a secret or the instance's settings cannot be used.
        Configuration = "configuration",
        /// Interrupted by the user, a signal or the deadline.
        Cancelled = "cancelled",
        /// The reply to COMMIT was lost, and the server cannot say whether the transaction committed.
        CommitUnknown = "commit_unknown",
        /// A statement failed for a reason that none of the others covers.
        Statement = "statement",
        /// A mistake in this program.
        Internal = "internal",
    }
}

/// A failure with its side and kind; the message says what was attempted, the source why it failed. What is printed or logged of
/// it holds no values of rows; [`Error::whole`] has them.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub side: Side,
    pub kind: Kind,
    pub message: Message,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// What can be done about it, where that is known better than from the kind.
    pub advice: Option<Cow<'static, str>>,
    /// The server has been away for so long that nobody waits for it any more.
    pub is_given_up: bool,
    /// Which row of the rows that were sent the target refused for its value, counted from 1, where it tells.
    pub refused_row: Option<u64>,
}

impl Error {
    pub fn new(side: Side, kind: Kind, message: impl Into<Message>) -> Self {
        Self { side, kind, message: message.into(), source: None, advice: None, is_given_up: false, refused_row: None }
    }

    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub fn cancelled() -> Self {
        Self::new(Side::Job, Kind::Cancelled, "interrupted")
    }

    /// The message and every source's, joined by ": ", for logs: values of rows are hidden.
    pub fn chain(&self) -> String {
        self.whole().to_string()
    }

    /// The message and every source's, joined by ": ", with the values of rows that they hold.
    pub fn whole(&self) -> Message {
        let mut all = self.message.clone();
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            all = all.words(": ").message(&message_of(error));
            next = error.source();
        }
        all
    }

    /// Says better than the kind what can be done about it.
    pub fn advise(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// What the reader can do about it: the error's own advice, or what its kind tells.
    pub fn remedy(&self) -> Cow<'static, str> {
        self.advice.clone().unwrap_or(Cow::Borrowed(self.kind.remedy()))
    }
}

impl Kind {
    /// What reports called it before it had a code of its own; programs that read this go on doing so.
    pub fn first_name(self) -> &'static str {
        match self {
            Kind::UnknownHost => "connection",
            Kind::UnknownDatabase => "login",
            Kind::Timeout => "stalled",
            Kind::ForeignKeyViolation => "orphans",
            Kind::StorageFull => "full",
            Kind::PrecheckFailed | Kind::LeaseHeld | Kind::ShrinkGuard | Kind::GroupFailed | Kind::NotComparable => {
                "refused"
            }
            Kind::Conflict => "changed",
            Kind::CommitUnknown => "unknown",
            kind => kind.code(),
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Kind::Connection => {
                "Check that the server is up and that host, port and network let this machine reach it."
            }
            Kind::UnknownHost => "Check the spelling of the host, and that this machine's name servers know it.",
            Kind::Timeout => "The server stopped answering: look for blocking there, or raise stall_timeout.",
            Kind::Tls => {
                "Check that the server speaks TLS, then ca_file (of `init`, --ca-file), the certificate's dates and its host name; do not turn \
                 verification off."
            }
            Kind::Login => "Check user and password; the server's message says what it refuses.",
            Kind::UnknownDatabase => {
                "Check the spelling of the database, that it is online, and that the login is a user of it."
            }
            Kind::Permission => {
                "Grant the missing permission to the job's login; `sync-job check` lists what is needed."
            }
            Kind::Transient => "Every retry failed: run again later, or check the server's load.",
            Kind::LockTimeout => "Another session holds a lock on the table: end it, or run when it is quiet.",
            Kind::Data => "Correct the row at the source, or say in the job file what to do with such values.",
            Kind::ForeignKeyViolation => {
                "Correct the rows of the table that is named: at the source if this job copies it, else on the target, where such rows \
                 must go before those that they refer to."
            }
            Kind::StorageFull => "Free space on the target, or enlarge it, and run again.",
            Kind::Mismatch => "Run `sync-job verify`; if it happens again, please report it.",
            Kind::PrecheckFailed => "Settle each finding and run again.",
            Kind::LeaseHeld => "Wait until the other run has ended, or end it.",
            Kind::ShrinkGuard => "Change the job file if this is meant to happen.",
            Kind::GroupFailed => "It is swapped together with the table that failed: apply that table's remedy.",
            Kind::NotComparable => {
                "`sync-job run` creates a missing table and applies changed columns. What target_types converts is proven only in a run, \
                 before its conversion."
            }
            Kind::Conflict => "What was planned no longer holds: run again, unless the message says more.",
            Kind::Configuration => "Nothing was read or written. Correct what is named here and launch again.",
            Kind::Cancelled => "Run again when ready; nothing is left behind.",
            Kind::Statement => "The server's message gives the reason.",
            Kind::CommitUnknown => {
                "The table has its old rows or the new ones, all of them: `sync-job verify` tells which. Run again when the server \
                 answers."
            }
            Kind::Internal => "This is a mistake in sync-job: please report it with this message.",
        }
    }
}

/// What an error says of itself, without its sources. Only those of this program tell values from words.
fn message_of(error: &(dyn std::error::Error + 'static)) -> Message {
    if let Some(message) = error.downcast_ref::<Message>() {
        return message.clone();
    }
    if let Some(error) = error.downcast_ref::<Error>() {
        return error.message.clone();
    }
    if let Some(error) = error.downcast_ref::<CellError>() {
        return error.message();
    }
    if let Some(error) = error.downcast_ref::<tokio::task::JoinError>() {
        // A panic may quote what it stumbled over.
        return message::of_unknown(&error.to_string(), |_| false);
    }
    error.to_string().into()
}

/// The result of everything that talks to a database.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_known_nothing_is_claimed() {
        let remedy = Error::new(Side::Target, Kind::CommitUnknown, "whether it was committed").remedy();
        assert!(!remedy.contains("was kept") && remedy.contains("sync-job verify"), "{remedy}");
    }
}
