//! Counts what became of every column, index and foreign key that the source lists of a table.

use std::collections::HashSet;

use super::{Finding, Severity};
use crate::model::schema::SourceTable;

/// The id of the refusal.
pub const INCOMPLETE: &str = "incomplete-catalog";

/// Names of what the plan has decided on.
#[derive(Debug, Default)]
pub struct Tally {
    /// Columns that are copied, that are left out as the job file says, and that refuse the table.
    pub planned: HashSet<String>,
    pub excluded: HashSet<String>,
    pub refused: HashSet<String>,
    /// Indexes and foreign keys that are created, or listed as not created.
    pub indexes: HashSet<String>,
    pub foreign_keys: HashSet<String>,
    /// Why those of them that are not created are not, for people.
    pub not_created: Vec<String>,
}

impl Tally {
    /// A refusal where the source lists what the plan knows nothing of. Without it the table would be copied without that, and
    /// verified: the digests of both sides are about what was planned.
    pub fn refuse(&self, source: &SourceTable) -> Option<Finding> {
        let is_known =
            |name: &&String| [&self.planned, &self.excluded, &self.refused].iter().any(|names| names.contains(*name));
        let listed = &source.listed;
        let columns = listed.columns.iter().filter(|name| !is_known(name)).map(|name| format!("column {name}"));
        let indexes = listed.indexes.iter().filter(|name| !self.indexes.contains(*name));
        let keys = listed.foreign_keys.iter().filter(|name| !self.foreign_keys.contains(*name));
        let mut unknown: Vec<String> = columns
            .chain(indexes.map(|name| format!("index {name}")))
            .chain(keys.map(|name| format!("foreign key {name}")))
            .collect();
        unknown.extend(source.lacking.iter().filter(|what| !unknown.contains(what)).cloned().collect::<Vec<_>>());
        if unknown.is_empty() {
            return None;
        }
        let message = format!(
            "the server's catalog lists what it does not describe to this login: {} (of {} columns {} would be copied, {} left \
             out, {} refused)",
            unknown.join(", "),
            listed.columns.len(),
            self.planned.len(),
            self.excluded.len(),
            self.refused.len(),
        );
        let remedy = "Grant VIEW DEFINITION on the table, and on the types of its columns, to the job's login; or exclude the table.";
        Some(Finding::new(INCOMPLETE, Severity::Refusal, message, remedy).on(&source.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::{Listed, SourceKind, TableName};

    fn table(lacking: &[&str]) -> SourceTable {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        SourceTable {
            name: TableName::new("dbo", "orders"),
            kind: SourceKind::Table,
            columns: Vec::new(),
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            listed: Listed {
                columns: names(&["id", "st", "note", "secret"]),
                indexes: names(&["PK"]),
                foreign_keys: names(&["FK"]),
            },
            lacking: names(lacking),
            rows: None,
            bytes: None,
            temporal: None,
            row_level_security: false,
            memory_optimized: false,
            may_show_masks: false,
        }
    }

    fn tally() -> Tally {
        let one = |name: &str| HashSet::from([name.to_owned()]);
        Tally {
            planned: HashSet::from(["id".to_owned(), "st".to_owned()]),
            excluded: one("note"),
            refused: one("secret"),
            indexes: one("PK"),
            foreign_keys: one("FK"),
            not_created: Vec::new(),
        }
    }

    #[test]
    fn what_is_listed_is_planned_left_out_or_refused() {
        assert_eq!(tally().refuse(&table(&[])), None);
    }

    #[test]
    fn each_part_that_is_listed_and_unknown_refuses_the_table_by_name() {
        type Forget = fn(&mut Tally);
        let cases: [(Forget, &str); 4] = [
            (|tally| tally.planned.clear(), "column id, column st"),
            (|tally| tally.excluded.clear(), "column note"),
            (|tally| tally.indexes.clear(), "index PK"),
            (|tally| tally.foreign_keys.clear(), "foreign key FK"),
        ];
        for (forget, expected) in cases {
            let mut tally = tally();
            forget(&mut tally);
            let finding = tally.refuse(&table(&[])).unwrap();
            assert_eq!(finding.severity, Severity::Refusal);
            assert!(finding.message.contains(&format!("login: {expected} (of 4 columns")), "{}", finding.message);
        }
        let finding = tally().refuse(&table(&["columns of index PK"])).unwrap();
        assert!(finding.message.contains("columns of index PK"), "{}", finding.message);
    }
}
