//! Names on the target: mapped, unique, and short enough.

use std::collections::HashMap;

use super::{Finding, Severity, TablePlan};
use crate::schema::TableName;

/// PostgreSQL's NAMEDATALEN less one, in bytes.
pub const LONGEST: usize = 63;

/// A finding for a name that the target would cut.
pub fn check_length(what: &str, name: &str, table: &TableName) -> Option<Finding> {
    (name.len() > LONGEST).then(|| {
        Finding::new(
            "name-too-long",
            Severity::Refusal,
            format!("{what} {name:?} has {} bytes and the target takes {LONGEST}", name.len()),
            "Give a shorter name in the job file (target, or [table.rename]).",
        )
        .on(table)
    })
}

/// Findings for tables that would become the same table, and columns the same column.
pub fn collisions(tables: &[TablePlan]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: HashMap<&TableName, &TableName> = HashMap::new();
    for table in tables {
        if let Some(other) = seen.insert(&table.target, &table.source) {
            findings.push(
                Finding::new(
                    "table-name-collision",
                    Severity::Refusal,
                    format!("{other} and {} would both become {} on the target", table.source, table.target),
                    "Give one of them a target of its own in a [[table]] entry, or set names = \"preserve\".",
                )
                .on(&table.source),
            );
        }
        let mut columns: HashMap<&str, &str> = HashMap::new();
        for column in &table.columns {
            if let Some(other) = columns.insert(&column.target, &column.source) {
                findings.push(
                    Finding::new(
                        "column-name-collision",
                        Severity::Refusal,
                        format!("columns {other} and {} would both become {}", column.source, column.target),
                        "Rename one of them in [table.rename], or set names = \"preserve\".",
                    )
                    .on(&table.source),
                );
            }
        }
    }
    findings
}

/// Makes an index or key name unique in its schema and short enough.
pub fn unique(name: &str, table: &str, taken: &mut std::collections::HashSet<String>) -> String {
    let candidates = [name.to_owned(), format!("{table}_{name}")];
    for candidate in candidates {
        if candidate.len() <= LONGEST && taken.insert(candidate.clone()) {
            return candidate;
        }
    }
    let full = format!("{table}_{name}");
    let hash = crate::digest::hash_bytes(full.as_bytes()) as u32;
    let mut end = full.len().min(LONGEST - 9);
    while !full.is_char_boundary(end) {
        end -= 1;
    }
    let short = format!("{}_{hash:08x}", &full[..end]);
    taken.insert(short.clone());
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_names_stay_unique_and_short() {
        let mut taken = std::collections::HashSet::new();
        assert_eq!(unique("ix_date", "orders", &mut taken), "ix_date");
        assert_eq!(unique("ix_date", "invoices", &mut taken), "invoices_ix_date");
        let long = unique(&"é".repeat(60), "t", &mut taken);
        assert!(long.len() <= LONGEST);
    }
}
