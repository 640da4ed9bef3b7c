//! Names on the target: mapped, unique, and short enough.

use std::collections::{HashMap, HashSet};

use super::{Dialect, Finding, Severity, TablePlan};
use crate::model::schema::TableName;

/// What has a name that the target must take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    Table,
    Column,
}

/// A finding for a name that the target would cut, or not take.
pub fn check(named: Named, name: &str, table: &TableName, dialect: &dyn Dialect) -> Option<Finding> {
    let what = match named {
        Named::Table => "the table name",
        Named::Column => "the column name",
    };
    let (longest, unit) = dialect.longest_name();
    let length = dialect.name_length(name);
    let refuse = |id, message: String, remedy| Finding::new(id, Severity::Refusal, message, remedy).on(table);
    if length > longest {
        return Some(refuse(
            "name-too-long",
            format!("{what} {name:?} has {length} {unit} and the target takes {longest}"),
            "Give a shorter name in the job file (target, or [table.rename]).",
        ));
    }
    let reason = dialect.refuse_name(named, name)?;
    Some(refuse(
        "name-not-taken",
        format!("{what} {name:?}: {reason}"),
        "Give another name in the job file (target, or [table.rename]).",
    ))
}

/// Findings for tables that would become the same table, and columns the same column.
pub fn collisions(tables: &[TablePlan], dialect: &dyn Dialect) -> Vec<Finding> {
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
        let mut columns: HashMap<String, &str> = HashMap::new();
        for column in &table.columns {
            if let Some(other) = columns.insert(dialect.fold(&column.target), &column.source) {
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
pub fn unique(name: &str, table: &str, taken: &mut HashSet<String>, dialect: &dyn Dialect) -> String {
    let (longest, _) = dialect.longest_name();
    let candidates = [name.to_owned(), format!("{table}_{name}")];
    for candidate in candidates {
        if dialect.name_length(&candidate) <= longest && taken.insert(dialect.fold(&candidate)) {
            return candidate;
        }
    }
    let full = format!("{table}_{name}");
    let hash = crate::rows::digest::hash_bytes(full.as_bytes()) as u32;
    let mut end = full.len().min(longest - 9);
    while !full.is_char_boundary(end) {
        end -= 1;
    }
    let short = format!("{}_{hash:08x}", &full[..end]);
    taken.insert(dialect.fold(&short));
    short
}

/// Gives the table's indexes other names where the target has something else of theirs.
pub fn give_way(
    table: &mut TablePlan,
    taken: &mut HashSet<String>,
    present: &HashMap<TableName, Option<TableName>>,
    dialect: &dyn Dialect,
) {
    let TablePlan { target, indexes, .. } = table;
    // The table's own indexes go away with it.
    let of_others = |(name, owner): &(&TableName, &Option<TableName>)| {
        name.schema == target.schema && owner.as_ref() != Some(target)
    };
    let of_others: HashSet<&str> = present.iter().filter(of_others).map(|(name, _)| name.name.as_str()).collect();
    for index in indexes.iter_mut().filter(|index| of_others.contains(index.name.as_str())) {
        let mut unusable: HashSet<String> = of_others.iter().map(|name| (*name).to_owned()).collect();
        unusable.extend(taken.iter().cloned());
        index.name = unique(&index.name, &target.name, &mut unusable, dialect);
        taken.insert(index.name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::postgres::PostgresDialect;

    #[test]
    fn index_names_stay_unique_and_short() {
        let mut taken = HashSet::new();
        let mut unique = |name: &str, table| unique(name, table, &mut taken, &PostgresDialect);
        assert_eq!(unique("ix_date", "orders"), "ix_date");
        assert_eq!(unique("ix_date", "invoices"), "invoices_ix_date");
        assert!(unique(&"é".repeat(60), "t").len() <= 63);
    }
}
