//! Which tables the job file and the command line select, and why where it is none.

use super::{Finding, Severity};
use crate::config::{JobConfig, Pattern};
use crate::model::facts::{Catalog, SourceFacts};
use crate::model::schema::{SourceKind, SourceTable, TableName};

/// Whether one of the patterns is about this table.
pub fn matches(patterns: &[Pattern], table: &TableName) -> bool {
    patterns.iter().any(|pattern| pattern.matches(&table.schema, &table.name))
}

/// The tables of the job file, whether or not the command line leaves them out.
pub fn select<'a>(
    config: &JobConfig,
    catalog: &'a Catalog,
    facts: &SourceFacts,
    only: &[Pattern],
    findings: &mut Vec<Finding>,
) -> Vec<&'a SourceTable> {
    findings.extend(missing_tables(config, catalog, facts));
    let seen = Seen { catalog, facts };
    for (index, pattern) in config.selection.include.iter().enumerate() {
        if !catalog.tables.iter().any(|table| matches(std::slice::from_ref(pattern), &table.name)) {
            let (why, remedy) = seen.nothing_matches();
            findings.push(Finding::new(
                "empty-pattern",
                Severity::Refusal,
                format!("tables.include[{index}]: {:?} {why}", pattern.as_str()),
                remedy,
            ));
        }
    }
    let selected: Vec<&SourceTable> = catalog.tables.iter().filter(|table| is_selected(config, table)).collect();
    let nothing = selected.iter().all(|table| !only.is_empty() && !matches(only, &table.name));
    if nothing && findings.iter().all(|finding| finding.severity != Severity::Refusal) {
        let (what, remedy) = if selected.is_empty() {
            nothing_selected(config, catalog)
        } else {
            let remedy = "`sync-job plan` without --table lists the tables.".to_owned();
            ("--table matches no selected table".to_owned(), remedy)
        };
        findings.push(Finding::new("nothing-selected", Severity::Refusal, what, remedy));
    }
    selected
}

fn is_named(config: &JobConfig, table: &SourceTable) -> bool {
    config.table(&table.name).is_some()
}

fn is_excluded(config: &JobConfig, table: &SourceTable) -> bool {
    matches(&config.selection.exclude, &table.name)
}

fn is_selected(config: &JobConfig, table: &SourceTable) -> bool {
    let included =
        matches(&config.selection.include, &table.name) && (table.kind == SourceKind::Table || config.selection.views);
    (is_named(config, table) || included) && !is_excluded(config, table)
}

/// Tables that have an entry of their own in the job file and are not there.
fn missing_tables(config: &JobConfig, catalog: &Catalog, facts: &SourceFacts) -> Vec<Finding> {
    let is_there = |source: &TableName| {
        catalog.tables.iter().any(|table| config.table(&table.name).is_some_and(|own| own.source == *source))
    };
    let missing = config.tables.iter().filter(|entry| !is_there(&entry.source));
    missing
        .map(|entry| {
            let near = nearest_table(&entry.source, catalog);
            let (message, remedy) = if facts.sees_definitions == Some(true) {
                let message = format!("the database {} has no table or view {}{near}", facts.database, entry.source);
                (message, "Correct the name in the job file, or database in [source].".to_owned())
            } else {
                let message = format!(
                    "the login {} sees no table or view {} in the database {}{near}",
                    facts.login, entry.source, facts.database
                );
                (message, format!("Correct the name in the job file, or grant SELECT on it to {}.", facts.login))
            };
            Finding::new("missing-table", Severity::Refusal, message, remedy).on(&entry.source)
        })
        .collect()
}

fn nearest_table(name: &TableName, catalog: &Catalog) -> String {
    let wanted = name.name.to_lowercase();
    catalog
        .tables
        .iter()
        .find(|table| table.name.name.to_lowercase() == wanted)
        .map(|table| format!("; there is {}", table.name))
        .unwrap_or_default()
}

/// What the login sees of the source.
struct Seen<'a> {
    catalog: &'a Catalog,
    facts: &'a SourceFacts,
}

impl Seen<'_> {
    /// Why a pattern matches nothing, as far as it can be known, and what to do. A login that holds VIEW DEFINITION on the
    /// database sees every table: then a missing SELECT is not the reason.
    fn nothing_matches(&self) -> (String, String) {
        let SourceFacts { database, login, .. } = self.facts;
        let count = self.catalog.tables.len();
        match (self.facts.sees_definitions == Some(true), count) {
            (true, 0) => (
                format!("matches nothing: the database {database} has no table and no view"),
                format!("Correct database in [source]: is {database} the one to be copied?"),
            ),
            (false, 0) => (
                format!("matches nothing: the login {login} sees no table and no view in the database {database}"),
                format!("Grant SELECT on the tables to {login}, or correct database in [source]."),
            ),
            (true, _) => (
                format!(
                    "matches none of the tables and views of the database {database} ({count}, in {})",
                    self.schemas()
                ),
                "Correct the pattern: it is matched against schema.table.".to_owned(),
            ),
            (false, _) => (
                format!(
                    "matches none of the tables and views that the login {login} sees in the database {database} ({count}, in {})",
                    self.schemas()
                ),
                format!("Correct the pattern, or grant SELECT to {login}: tables without it are not shown."),
            ),
        }
    }

    fn schemas(&self) -> String {
        /// More would hide the sentence.
        const MOST: usize = 8;
        let mut names: Vec<&str> = self.catalog.tables.iter().map(|table| table.name.schema.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let more = if names.len() > MOST { ", …" } else { "" };
        let word = if names.len() == 1 { "the schema" } else { "the schemas" };
        format!("{word} {}{more}", names[..names.len().min(MOST)].join(", "))
    }
}

/// Why the job file selects nothing although its patterns match.
fn nothing_selected(config: &JobConfig, catalog: &Catalog) -> (String, String) {
    let matched = |table: &&SourceTable| is_named(config, table) || matches(&config.selection.include, &table.name);
    let matched: Vec<&SourceTable> = catalog.tables.iter().filter(matched).collect();
    let excluded = matched.iter().filter(|table| is_excluded(config, table)).count();
    let views = matched.len() - excluded;
    match (matched.len(), views) {
        (0, _) => (
            "the job file selects no table".to_owned(),
            "List patterns in tables.include, or tables in [[table]] entries.".to_owned(),
        ),
        (count, 0) => (
            format!("the job file selects no table: tables.exclude matches all {count} that tables.include selects"),
            "Correct exclude in [tables].".to_owned(),
        ),
        (_, views) => (
            format!("the job file selects no table: of what matches {views} are views, and views are not copied"),
            "Set views = true in [tables], or correct include.".to_owned(),
        ),
    }
}
