//! Wrong answers that a test asks for, to stand for servers that speak TDS and are not SQL Server.
//!
//! `EXEC simulator_answer 'what', 'match'` has the statements of the current database that contain `match` answered so from now
//! on; see [`Wrong::parse`].

use std::sync::{Mutex, PoisonError};

use tsql_engine::value::SqlError;
use tsql_engine::{Answers, UnicodeBytes};

/// One way to answer wrongly.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wrong {
    UnicodeBytes(UnicodeBytes),
    MoneyAsDouble,
    /// Other values in the results' columns of a type.
    Values(String),
}

impl Wrong {
    /// `nvarchar bytes 1252`, `nvarchar bytes utf-8`, `money as double`, or `wrong int` and so on by a type's name.
    fn parse(what: &str) -> Option<Self> {
        Some(match what {
            "nvarchar bytes 1252" => Self::UnicodeBytes(UnicodeBytes::CodePage1252),
            "nvarchar bytes utf-8" => Self::UnicodeBytes(UnicodeBytes::Utf8),
            "money as double" => Self::MoneyAsDouble,
            other => Self::Values(other.strip_prefix("wrong ")?.to_owned()),
        })
    }
}

#[derive(Debug)]
struct Rule {
    database: String,
    wrong: Wrong,
    matching: String,
}

/// All rules of a server.
#[derive(Debug, Default)]
pub struct Rules(Mutex<Vec<Rule>>);

/// What holds for one statement.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    pub answers: Answers,
    /// Names of the types whose values are falsified.
    pub types: Vec<String>,
}

impl Rules {
    /// Adds a rule for the statements of a database that contain `matching`; empty for all of them.
    pub fn add(&self, database: &str, what: &str, matching: &str) -> Result<(), SqlError> {
        let wrong = Wrong::parse(what).ok_or_else(|| SqlError::unsupported(format!("no answer is called '{what}'")))?;
        let rule = Rule { database: database.to_owned(), wrong, matching: matching.to_lowercase() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
        Ok(())
    }

    /// Statements of the database are answered rightly again.
    pub fn clear(&self, database: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|rule| rule.database != database);
    }

    /// How a statement is answered.
    pub fn applied(&self, database: &str, sql: &str) -> Applied {
        let rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut applied = Applied::default();
        if rules.is_empty() {
            return applied;
        }
        let sql = sql.to_lowercase();
        for rule in rules.iter().filter(|rule| rule.database == database && sql.contains(&rule.matching)) {
            match &rule.wrong {
                Wrong::UnicodeBytes(bytes) => applied.answers.unicode_bytes = *bytes,
                Wrong::MoneyAsDouble => applied.answers.money_as_double = true,
                Wrong::Values(name) => applied.types.push(name.clone()),
            }
        }
        applied
    }
}
