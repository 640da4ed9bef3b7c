//! Names on the target: mapped, unique, and short enough.

use std::collections::{HashMap, HashSet};

use super::{Dialect, Finding, FindingId, Severity, TablePlan};
use crate::config::LongNames;
use crate::model::schema::TableName;

/// What has a name that the target must take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    Schema,
    Table,
    Column,
}

/// A finding for a name that the target would cut, or not take.
pub fn check(named: Named, name: &str, table: &TableName, dialect: &dyn Dialect) -> Option<Finding> {
    let what = match named {
        Named::Schema => "the schema",
        Named::Table => "the table name",
        Named::Column => "the column name",
    };
    let (longest, unit) = dialect.longest_name();
    let length = dialect.name_length(name);
    let refuse = |id, message: String, remedy| Finding::new(id, Severity::Refusal, message, remedy).on(table);
    if length > longest {
        return Some(refuse(
            FindingId::NameTooLong,
            format!("{what} {name:?} has {length} {unit} and the target takes {longest}"),
            match named {
                Named::Schema => "Give it a shorter name in [target.schemas].",
                _ => {
                    "Give a shorter name in the job file (target, or [table.rename]), or set long_names = \"hash\" for all such names."
                }
            },
        ));
    }
    let reason = dialect.refuse_name(named, name)?;
    Some(refuse(
        FindingId::NameNotTaken,
        format!("{what} {name:?}: {reason}"),
        match named {
            Named::Schema => "Give another schema in the job file (target, or [target.schemas]).",
            _ => "Give another name in the job file (target, or [table.rename]).",
        },
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
                    FindingId::TableNameCollision,
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
                        FindingId::ColumnNameCollision,
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

/// The name as the target takes it: where it is too long and the job file allows that, its beginning and a hash of the whole.
pub fn shorten(name: String, policy: LongNames, dialect: &dyn Dialect) -> String {
    let (longest, _) = dialect.longest_name();
    if policy == LongNames::Refuse || dialect.name_length(&name) <= longest {
        return name;
    }
    with_hash(&name, dialect)
}

/// The beginning of a name and a hash of the whole, as long as the target takes.
fn with_hash(name: &str, dialect: &dyn Dialect) -> String {
    /// An underscore and 32 bits.
    const HASH_LENGTH: usize = 9;
    let (longest, _) = dialect.longest_name();
    let hash = crate::rows::digest::hash_bytes(name.as_bytes()) as u32;
    let mut beginning = String::new();
    for letter in name.chars() {
        beginning.push(letter);
        if dialect.name_length(&beginning) > longest - HASH_LENGTH {
            beginning.pop();
            break;
        }
    }
    format!("{beginning}_{hash:08x}")
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
    let short = with_hash(&format!("{table}_{name}"), dialect);
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
    fn long_names_keep_their_beginning_and_differ_where_they_did() {
        let long = |end: &str| format!("{}{end}", "Über ".repeat(16));
        let short = |name: String| shorten(name, LongNames::Hash, &PostgresDialect);
        let (one, other) = (short(long("a")), short(long("b")));
        assert!(one.len() <= 63 && one.starts_with("Über Über ") && one != other, "{one} {other}");
        assert_eq!(short(long("a")), one);
        assert_eq!(short("short".to_owned()), "short");
        assert_eq!(shorten(long("a"), LongNames::Refuse, &PostgresDialect), long("a"));
    }

    #[test]
    fn index_names_stay_unique_and_short() {
        let mut taken = HashSet::new();
        let mut unique = |name: &str, table| unique(name, table, &mut taken, &PostgresDialect);
        assert_eq!(unique("ix_date", "orders"), "ix_date");
        assert_eq!(unique("ix_date", "invoices"), "invoices_ix_date");
        assert!(unique(&"é".repeat(60), "t").len() <= 63);
    }
}
