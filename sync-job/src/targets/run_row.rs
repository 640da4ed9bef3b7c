//! How a job's last run is remembered in rows, on all targets.

use crate::model::error::{Error, Kind, Result, Side};
use crate::model::run_state::{CopiedTable, FORMAT, LastRun, OpenRun};

/// The table with a row for each job: its last run.
pub(super) const RUNS: &str = "stopgap_runs";
/// The table with a row for each table that a run has copied which has not ended.
pub(super) const COPIED: &str = "stopgap_copied";

/// The statements, which are alike on all targets.
pub(super) struct RunSql {
    /// Both tables, quoted.
    pub runs: String,
    pub copied: String,
    /// As literals: the job, the database that it writes to, and the run.
    pub job: String,
    pub place: String,
    pub run: String,
    pub literal: fn(&str) -> String,
    /// What is put behind a SELECT so that nobody changes the row before the transaction ends.
    pub share: &'static str,
}

impl RunSql {
    fn key(&self) -> String {
        format!("job = {} AND place = {}", self.job, self.place)
    }

    /// The last run's details; NULL where it has ended.
    pub fn last(&self) -> String {
        format!("SELECT details FROM {} WHERE {}", self.runs, self.key())
    }

    pub fn all_copied(&self) -> String {
        format!("SELECT details FROM {} WHERE {}", self.copied, self.key())
    }

    /// Keeps commits of an earlier run waiting; the next statement depends on whether there is a row.
    pub fn lock(&self) -> String {
        format!("SELECT run_id FROM {} WHERE {} FOR UPDATE", self.runs, self.key())
    }

    /// Within the same transaction: this run has begun. A row that is there is changed, never replaced: whoever waits for it must see what
    /// became of it.
    pub fn begin(&self, is_there: bool, run: &OpenRun, continues: bool) -> Result<Vec<String>> {
        let details = (self.literal)(&written(run)?);
        let mut statements = vec![if is_there {
            format!("UPDATE {} SET run_id = {}, details = {details} WHERE {}", self.runs, self.run, self.key())
        } else {
            format!(
                "INSERT INTO {} (job, place, run_id, details) VALUES ({}, {}, {}, {details})",
                self.runs, self.job, self.place, self.run
            )
        }];
        if !continues {
            statements.push(self.delete_copied());
        }
        Ok(statements)
    }

    fn delete_copied(&self) -> String {
        format!("DELETE FROM {} WHERE {}", self.copied, self.key())
    }

    /// The run, or whichever is the last one, has ended: nothing of it is continued.
    pub fn end(&self, only_own: bool) -> [String; 2] {
        let own = if only_own { format!(" AND run_id = {}", self.run) } else { String::new() };
        let row = format!("{}{own}", self.key());
        // The tables of another run that took over are not this one's to forget.
        let is_own = format!("EXISTS (SELECT 1 FROM {} WHERE {row})", self.runs);
        [
            format!("UPDATE {} SET details = NULL WHERE {row}", self.runs),
            format!("{} AND {is_own}", self.delete_copied()),
        ]
    }

    /// A table has been swapped in.
    pub fn note(&self, table: &CopiedTable) -> Result<[String; 2]> {
        let literal = self.literal;
        let (schema, name) = (literal(&table.schema), literal(&table.name));
        Ok([
            format!("{} AND target_schema = {schema} AND target_table = {name}", self.delete_copied()),
            format!(
                "INSERT INTO {} (job, place, target_schema, target_table, details) VALUES ({}, {}, {schema}, {name}, {})",
                self.copied,
                self.job,
                self.place,
                literal(&written(table)?)
            ),
        ])
    }

    /// Who is the job's run now.
    pub fn current(&self) -> String {
        format!("SELECT run_id FROM {} WHERE {} {}", self.runs, self.key(), self.share)
    }
}

/// An error where another run has begun since. A row that is gone is no sign of one.
pub(super) fn refuse_superseded(job: &str, own: &str, current: Option<&str>) -> Result<()> {
    match current {
        Some(current) if current != own => {
            let message =
                format!("the run {current} of the job {job} has taken over: nothing of this one is committed any more");
            Err(Error::new(Side::Target, Kind::Conflict, message))
        }
        _ => Ok(()),
    }
}

/// Understands the details of a run and of the tables that it copied.
pub(super) fn read(run: Option<&str>, copied: &[String]) -> LastRun {
    let Some(run) = run else { return LastRun::Ended };
    let unreadable = |table: &str, text: &str| {
        LastRun::Unreadable(format!("{table} holds {text:?}, which this program did not write"))
    };
    let Ok(open) = serde_json::from_str::<OpenRun>(run) else { return unreadable(RUNS, run) };
    if open.format != FORMAT {
        return unreadable(RUNS, run);
    }
    let mut tables = Vec::new();
    for text in copied {
        match serde_json::from_str::<CopiedTable>(text) {
            Ok(table) if table.format == FORMAT => tables.push(table),
            _ => return unreadable(COPIED, text),
        }
    }
    LastRun::Open(open, tables)
}

fn written(what: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(what)
        .map_err(|error| Error::new(Side::Job, Kind::Internal, "what is remembered of a run").with_source(error))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::rows::digest::TableDigest;

    #[test]
    fn only_what_this_program_wrote_is_believed() {
        let run = OpenRun {
            format: FORMAT,
            run_id: "a'b\\".into(),
            source: String::new(),
            begun: DateTime::UNIX_EPOCH,
            view_run: String::new(),
        };
        let table = CopiedTable {
            format: FORMAT,
            schema: "s".into(),
            name: "t".into(),
            fingerprint: "f".into(),
            digest: TableDigest { rows: 3, sum: -1 },
            bytes: 5,
            view_run: String::new(),
            at: DateTime::UNIX_EPOCH,
        };
        let (text, copied) = (written(&run).unwrap(), written(&table).unwrap());
        assert_eq!(read(Some(&text), std::slice::from_ref(&copied)), LastRun::Open(run, vec![table]));
        assert_eq!(read(None, std::slice::from_ref(&copied)), LastRun::Ended);
        assert!(matches!(read(Some("{"), &[]), LastRun::Unreadable(_)));
        assert!(matches!(read(Some(&text.replace("\"format\":1", "\"format\":2")), &[]), LastRun::Unreadable(_)));
        assert!(matches!(read(Some(&text), &[copied.replace("rows", "rose")]), LastRun::Unreadable(_)));
    }

    #[test]
    fn a_run_is_superseded_by_another_one_only() {
        assert!(refuse_superseded("j", "a", Some("a")).is_ok() && refuse_superseded("j", "a", None).is_ok());
        assert_eq!(refuse_superseded("j", "a", Some("b")).unwrap_err().kind, Kind::Conflict);
    }
}
