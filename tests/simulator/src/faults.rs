//! Scripted faults: told to the server in T-SQL, so that a test in another process can script them.
//!
//! `EXEC simulator_fault 'action', 'match', skip, times, rows` arms a fault; see [`Faults::arm`]. `EXEC simulator_faults_fired`
//! returns how often each fired.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tsql_engine::value::SqlError;

use crate::response::{RowAction, RowFault};

/// What a fault does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Close the connection after so many rows of a matching statement.
    Drop,
    /// Send nothing more after so many rows.
    Stall,
    /// Wait 50 ms with each 128 KiB after so many rows.
    Slow,
    /// This error after so many rows of a matching statement.
    Error(u32),
    /// Close new connections at once.
    Refuse,
    /// Take new connections and never answer.
    Hang,
    /// Close the connection in the middle of the login.
    KillLogin,
    /// Answer the login with this error.
    LoginError(u32),
    /// Send the client to another server and port, as read-only routing does.
    Redirect(String, u16),
}

#[derive(Debug, Clone)]
struct Fault {
    name: String,
    action: Action,
    /// Part of the statement, or of the application's name for faults of the login; empty for any.
    matching: String,
    skip: u32,
    times: u32,
    rows: u64,
    fired: u32,
}

fn redirect(action: &str) -> Option<Action> {
    let (server, port) = action.strip_prefix("redirect ")?.rsplit_once(',')?;
    Some(Action::Redirect(server.to_owned(), port.trim().parse().ok()?))
}

/// All faults of a server.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Arms a fault: `drop`, `stall`, `slow`, `error 1205`, `refuse`, `hang`, `kill login`, `login error 18456`,
    /// `redirect host,port`.
    ///
    /// It lets the first `skip` occasions pass and then fires `times` times.
    pub fn arm(&self, action: &str, matching: &str, skip: u32, times: u32, rows: u64) -> Result<(), SqlError> {
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let parsed = match action {
            "drop" => Some(Action::Drop),
            "stall" => Some(Action::Stall),
            "slow" => Some(Action::Slow),
            "refuse" => Some(Action::Refuse),
            "hang" => Some(Action::Hang),
            "kill login" => Some(Action::KillLogin),
            other => match (other.strip_prefix("error "), other.strip_prefix("login error ")) {
                (Some(text), _) => number(text).map(Action::Error),
                (_, Some(text)) => number(text).map(Action::LoginError),
                _ => redirect(other),
            },
        };
        let action_value = parsed.ok_or_else(|| SqlError::unsupported(format!("no fault is called '{action}'")))?;
        let fault = Fault {
            name: action.to_owned(),
            action: action_value,
            matching: matching.to_lowercase(),
            skip,
            times,
            rows,
            fired: 0,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
        Ok(())
    }

    /// Forgets all faults that match this text.
    pub fn disarm(&self, matching: &str) {
        let matching = matching.to_lowercase();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|fault| fault.matching != matching);
    }

    /// Name, match and count of each fault.
    pub fn fired(&self) -> Vec<(String, String, u32)> {
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().map(|fault| (fault.name.clone(), fault.matching.clone(), fault.fired)).collect()
    }

    fn fire(&self, text: &str, wanted: impl Fn(&Action) -> bool) -> Option<Fault> {
        let text = text.to_lowercase();
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = faults
            .iter_mut()
            .find(|fault| wanted(&fault.action) && fault.fired < fault.times && text.contains(&fault.matching))?;
        if found.skip > 0 {
            found.skip -= 1;
            return None;
        }
        found.fired += 1;
        Some(found.clone())
    }

    /// The fault of a new connection, before anything is known of it.
    pub fn on_connect(&self) -> Option<Action> {
        self.fire("", |action| matches!(action, Action::Refuse | Action::Hang)).map(|fault| fault.action)
    }

    /// The fault of a login; `text` is its application's name.
    pub fn on_login(&self, text: &str) -> Option<Action> {
        let is_of_login =
            |action: &Action| matches!(action, Action::KillLogin | Action::LoginError(_) | Action::Redirect(..));
        self.fire(text, is_of_login).map(|fault| fault.action)
    }

    /// The fault of a batch. What a test tells the simulator itself holds the text of a fault, and is none of its occasions.
    pub fn on_batch(&self, who: &Who<'_>) -> RowFault {
        if who.sql.trim_start().starts_with("EXEC simulator_") {
            return RowFault::default();
        }
        let wanted = |action: &Action| matches!(action, Action::Drop | Action::Stall | Action::Slow | Action::Error(_));
        let Some(fault) = self.fire(who.sql, wanted) else { return RowFault::default() };
        let action = match fault.action {
            Action::Drop => RowAction::Drop,
            Action::Stall => RowAction::Stall,
            Action::Slow => RowAction::Slow(Duration::from_millis(50)),
            Action::Error(number) => RowAction::Fail(error(number, who)),
            _ => RowAction::Nothing,
        };
        RowFault { after_rows: fault.rows, action }
    }
}

/// Whom an error tells of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Who<'a> {
    pub user: &'a str,
    pub database: &'a str,
    pub spid: u16,
    /// The statement that fails.
    pub sql: &'a str,
}

/// Schema and name of the first table after FROM.
fn object(sql: &str) -> (String, String) {
    let mut words = sql.split_whitespace().skip_while(|word| !word.eq_ignore_ascii_case("from")).skip(1);
    let name = words.next().unwrap_or_default().trim_end_matches([';', ',', ')']).replace(['[', ']'], "");
    let mut parts = name.rsplit('.');
    let table = parts.next().unwrap_or_default().to_owned();
    (parts.next().unwrap_or("dbo").to_owned(), table)
}

/// An error in SQL Server's own words, with its class and state, for the numbers that tests use.
pub fn error(number: u32, who: &Who<'_>) -> SqlError {
    let Who { user, database, spid, sql } = who;
    let (class, state, message) = match number {
        229 => {
            let (schema, name) = object(sql);
            let message = format!(
                "The SELECT permission was denied on the object '{name}', database '{database}', schema '{schema}'."
            );
            (14, 5, message)
        }
        823 => (
            24,
            2,
            format!(
                "The operating system returned error 21(The device is not ready.) to SQL Server during a read at offset \
                 0x00000000012000 in file '{database}.mdf'. Additional messages in the SQL Server error log and operating \
                 system error log may provide more detail. This is a severe system-level error condition that threatens \
                 database integrity and must be corrected immediately. Complete a full database consistency check (DBCC \
                 CHECKDB). This error can be caused by many factors; for more information, see SQL Server Books Online."
            ),
        ),
        1205 => (
            13,
            51,
            format!(
                "Transaction (Process ID {spid}) was deadlocked on lock resources with another process and has been chosen \
                 as the deadlock victim. Rerun the transaction."
            ),
        ),
        1222 => (16, 51, "Lock request time out period exceeded.".to_owned()),
        3702 => (16, 4, "Cannot drop the database because it is currently in use.".to_owned()),
        4060 => (11, 1, format!("Cannot open database \"{database}\" requested by the login. The login failed.")),
        18401 => (
            14,
            1,
            format!(
                "Login failed for user '{user}'. Reason: Server is in script upgrade mode. Only administrator can connect \
                 at this time."
            ),
        ),
        18456 => (14, 1, format!("Login failed for user '{user}'.")),
        40501 => (
            20,
            1,
            "The service is currently busy. Retry the request after 10 seconds. Incident ID: \
             {00000000-0000-0000-0000-000000000000}. Code: 0."
                .to_owned(),
        ),
        40613 => (
            17,
            1,
            format!(
                "Database '{database}' on server 'SIMULATOR' is not currently available. Please retry the connection later. \
                 If the problem persists, contact customer support, and provide them the session tracing ID of \
                 '{{00000000-0000-0000-0000-000000000000}}'."
            ),
        ),
        _ => (16, 1, "A scripted fault.".to_owned()),
    };
    SqlError { number, state, class, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_worded_as_sql_server_words_them() {
        let sql = "SELECT [id] FROM [sales].[order] WITH (NOLOCK)";
        let who = Who { user: "reader", database: "shop", spid: 53, sql };
        let cases = [
            (
                229,
                "Msg 229, Level 14, State 5: The SELECT permission was denied on the object 'order', database 'shop', \
                 schema 'sales'.",
            ),
            (823, "Msg 823, Level 24, State 2: The operating system returned error 21("),
            (1205, "Msg 1205, Level 13, State 51: Transaction (Process ID 53) was deadlocked on lock resources with"),
            (
                4060,
                "Msg 4060, Level 11, State 1: Cannot open database \"shop\" requested by the login. The login failed.",
            ),
            (18456, "Msg 18456, Level 14, State 1: Login failed for user 'reader'."),
            (40613, "Msg 40613, Level 17, State 1: Database 'shop' on server 'SIMULATOR' is not currently available."),
        ];
        for (number, start) in cases {
            let text = error(number, &who).to_string();
            assert!(text.starts_with(start), "{text}");
        }
    }
}
