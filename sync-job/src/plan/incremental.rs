//! Tables of which only changes are copied: what keeps a table from that, and by what a later run knows that it is the same table.

use super::{ColumnPlan, Finding, FindingId, Severity, TablePlan};
use crate::config::{Consistency, Deletes, Mode};
use crate::model::logical::LogicalType;
use crate::model::schema::{IndexKind, SourceColumn, SourceKind, SourceTable, TableName};
use crate::rows::digest::hash_bytes;

/// Counts up with each change of what a fingerprint, or a stored digest, is made of.
const FORMAT: u32 = 1;

/// Why changes of this table cannot be copied, with what to do. Each of them could make a copy that nobody finds wrong.
pub fn refusals(source: &SourceTable, table: &TablePlan) -> Vec<Finding> {
    let problems = match table.mode {
        Mode::Full => Vec::new(),
        Mode::Compare => of_comparison(source, table),
        Mode::ChangeTracking | Mode::RowVersion => of_changes(source, table),
    };
    problems.into_iter().map(|(problem, remedy)| refusal(table, &problem, remedy)).collect()
}

type Problem = (String, &'static str);

/// Whole tables are compared, so that only what would keep rows from being found, or from being proven, is in the way.
fn of_comparison(source: &SourceTable, table: &TablePlan) -> Vec<Problem> {
    let mut problems = of_key(source, table, |_| true);
    problems.extend(table.columns.iter().filter_map(of_conversion));
    if table.consistency == Consistency::None || table.outside_transactions {
        problems.push((
            "rows that differ are read again, and must be as they were when they were compared".to_owned(),
            "Set consistency = \"snapshot\" or \"database-snapshot\" for the table; a memory-optimized table is copied with mode = \"full\".",
        ));
    }
    problems
}

fn of_changes(source: &SourceTable, table: &TablePlan) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(of_settings(source, table));
    problems.extend(of_key(source, table, is_exact));
    problems.extend(table.columns.iter().filter_map(of_conversion));
    problems.extend(table.columns.iter().filter_map(of_computed));
    match (&table.filter, table.mode) {
        (Some(filter), Mode::ChangeTracking) => {
            problems.extend(of_filter(filter));
            problems.extend(of_computed_names(source, filter));
        }
        (Some(_), _) => problems.push((
            "a row that leaves the filter keeps its old version on the target".to_owned(),
            "Leave filter out, or set mode = \"change-tracking\" or \"full\".",
        )),
        (None, _) => {}
    }
    problems
}

fn of_settings(source: &SourceTable, table: &TablePlan) -> Vec<Problem> {
    let mut problems = Vec::new();
    if table.kind == SourceKind::View {
        problems.push(("the changes of a view are not tracked".to_owned(), "Copy its tables, or set mode = \"full\"."));
    }
    if source.row_level_security {
        problems.push((
            "a security policy decides which rows the login sees, and no change shows that".to_owned(),
            "Let the policy exempt the login, or set mode = \"full\".",
        ));
    }
    if table.mode == Mode::RowVersion && table.deletes == Deletes::Ignore {
        problems.extend(of_kept_rows(table));
    }
    if table.mode == Mode::RowVersion && table.version_column.is_none() {
        problems.push((
            "the table has no column of the type rowversion".to_owned(),
            "ALTER TABLE … ADD row_version rowversion; at the source, or set mode = \"full\".",
        ));
    }
    if table.consistency != Consistency::Snapshot || table.outside_transactions {
        problems.push((
            "changes and rows must be read in one SNAPSHOT transaction".to_owned(),
            "Set consistency = \"snapshot\" for the table; a memory-optimized table is copied with mode = \"full\".",
        ));
    }
    problems
}

/// Rows that stay though they are gone at the source.
fn of_kept_rows(table: &TablePlan) -> Vec<Problem> {
    let is_unique = |kind: IndexKind| matches!(kind, IndexKind::UniqueConstraint | IndexKind::Unique);
    let mut problems = Vec::new();
    if let Some(index) = table.indexes.iter().find(|index| is_unique(index.kind)) {
        problems.push((
            format!(
                "rows that stay (deletes = \"ignore\") would keep values of the unique index {} from new rows",
                index.name
            ),
            "Set indexes = \"primary-key\" for the table, or deletes = \"keys\".",
        ));
    }
    if table.max_shrink_percent.is_some() {
        problems.push((
            "max_shrink_percent would refuse each whole copy, which drops the rows that stayed (deletes = \"ignore\")"
                .to_owned(),
            "Leave max_shrink_percent out for the table, or set deletes = \"keys\".",
        ));
    }
    problems
}

/// Once foreign keys have joined tables to groups: the tables of one are of one moment of the source, and so they all follow their changes, or none
/// does.
pub fn refuse_groups(tables: &mut [TablePlan]) {
    let whole: Vec<(Option<String>, TableName)> = tables
        .iter()
        .filter(|table| !table.mode.follows_changes() && table.group.is_some())
        .map(|table| (table.group.clone(), table.source.clone()))
        .collect();
    for table in tables.iter_mut().filter(|table| table.mode != Mode::Full) {
        if let (Mode::Compare, Some(group)) = (table.mode, &table.group) {
            let problem =
                format!("the table is of the swap group {group}, and each comparison is of a moment of its own");
            let remedy =
                "Take the table out of the group, and set foreign_keys = \"skip\" for it, or choose another mode.";
            let refusal = refusal(table, &problem, remedy);
            table.findings.push(refusal);
            continue;
        }
        let Some((Some(group), other)) = whole.iter().find(|(group, _)| *group == table.group) else { continue };
        let problem = format!("{other}, which is of the same swap group ({group}), is read whole in each run");
        let remedy = "Follow the changes of all tables of the group, or of none; or take the table out of the group, and set foreign_keys = \"skip\" \
                      for it.";
        let refusal = refusal(table, &problem, remedy);
        table.findings.push(refusal);
    }
}

fn refusal(table: &TablePlan, problem: &str, remedy: &str) -> Finding {
    let message = format!("mode = \"{}\": {problem}", table.mode);
    Finding::new(FindingId::ChangesUnfit, Severity::Refusal, message, remedy).on(&table.source)
}

/// The column by which changes are found. A table has one of the type at most ("rowversion (Transact-SQL)").
pub fn version_column(source: &SourceTable, mode: Mode) -> Option<String> {
    let is_version = |column: &&SourceColumn| column.counts_changes;
    let found = source.columns.iter().find(is_version).map(|column| column.name.clone());
    found.filter(|_| mode == Mode::RowVersion)
}

/// Change Tracking tells rows apart by the primary key, as the source compares it. Text and bytes that the source takes for equal
/// ('a' and 'A', 0x01 and 0x0100) may be told as one row while the target holds two.
fn of_key(source: &SourceTable, table: &TablePlan, tells_apart: fn(&ColumnPlan) -> bool) -> Vec<Problem> {
    const FULL: &str = "Set mode = \"full\" for the table.";
    let Some(key) = source.primary_key() else {
        return vec![("the table has no primary key".to_owned(), FULL)];
    };
    let planned = |name: &str| table.columns.iter().find(|column| column.source == name && column.companion.is_none());
    let mut problems = Vec::new();
    for column in &key.columns {
        match planned(&column.name) {
            None => problems.push((
                format!("the column {} of the primary key is not copied", column.name),
                "Copy the column, or set mode = \"full\".",
            )),
            Some(planned) if !tells_apart(planned) => problems.push((
                format!(
                    "the source may take different values of the column {} ({}) of the primary key for one",
                    column.name, planned.declared
                ),
                FULL,
            )),
            Some(_) => {}
        }
    }
    if problems.is_empty() && !table.indexes.iter().any(|index| index.kind == IndexKind::PrimaryKey) {
        problems.push((
            "the target's table gets no primary key".to_owned(),
            "Set indexes = \"create\" or \"primary-key\" for the table, or mode = \"full\".",
        ));
    }
    problems
}

/// Whether source and target agree on which values are equal.
fn is_exact(column: &ColumnPlan) -> bool {
    use LogicalType as L;
    let type_is = match column.holds {
        L::Bool | L::UInt1 | L::Int2 | L::Int4 | L::Int8 | L::UInt8 | L::Decimal { .. } | L::Date | L::Uuid => true,
        L::Time { digits } | L::Timestamp { digits } => digits <= 6,
        L::TimestampTz { .. }
        | L::Float4
        | L::Float8
        | L::Text { .. }
        | L::Char { .. }
        | L::Path
        | L::Variant
        | L::Geometry
        | L::Json
        | L::Xml
        | L::Bytes { .. }
        | L::FloatArray => false,
    };
    type_is && column.mapping.losses.is_empty()
}

fn of_conversion(column: &ColumnPlan) -> Option<Problem> {
    column.mapping.convert_to.as_ref().map(|_| {
        (
            format!("the column {} is converted after the load, and changes are not", column.source),
            "Leave it out of target_types, or set mode = \"full\".",
        )
    })
}

fn of_computed(column: &ColumnPlan) -> Option<Problem> {
    (column.computed && column.companion.is_none()).then(|| {
        (
            format!("the column {} is computed, perhaps of the time of day, and that is not tracked", column.source),
            "Set computed = \"skip\", list the column in exclude_columns, or set mode = \"full\".",
        )
    })
}

/// A filter that looks beyond its row may let a row go, or take one in, of which nothing was changed. Only what surely does not is
/// taken: names, numbers, texts and operators.
fn of_filter(filter: &str) -> Option<Problem> {
    let bare = without_quoted(filter);
    let words = bare.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '$')));
    let looks_away = |word: &str| {
        const WORDS: [&str; 8] = [
            "SELECT",
            "CURRENT_TIMESTAMP",
            "CURRENT_DATE",
            "CURRENT_USER",
            "SESSION_USER",
            "SYSTEM_USER",
            "USER",
            "EXISTS",
        ];
        word.starts_with('@') || WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
    };
    let found = words.filter(|word| !word.is_empty()).find(|word| looks_away(word)).or_else(|| called(&bare))?;
    Some((
        format!("the filter uses {found}, which may let rows go or come although nobody changed them"),
        "Write the filter of columns, constants and operators alone, or set mode = \"full\".",
    ))
}

/// What a computed column holds may change by itself, whether it is copied or not. A text that only looks like its name is refused, too.
fn of_computed_names(source: &SourceTable, filter: &str) -> Option<Problem> {
    let filter = filter.to_lowercase();
    let named = |column: &&SourceColumn| column.computed && filter.contains(&column.name.to_lowercase());
    let column = source.columns.iter().find(named)?;
    Some((
        format!("the filter names the computed column {}, which may change although no row does", column.name),
        "Write the filter of other columns, or set mode = \"full\".",
    ))
}

/// The name of the first function that is called: a word right before a bracket that is no operator.
fn called(bare: &str) -> Option<&str> {
    const OPERATORS: [&str; 7] = ["AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "ANY"];
    bare.match_indices('(').find_map(|(at, _)| {
        let before = bare[..at].trim_end();
        let begins = before.rfind(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
        let word = &before[begins..];
        let is_operator = OPERATORS.iter().any(|known| known.eq_ignore_ascii_case(word));
        (!word.is_empty() && !is_operator).then_some(word)
    })
}

/// The text without what stands in quotes and brackets; a quoted name is one letter.
fn without_quoted(filter: &str) -> String {
    let mut out = String::new();
    let mut rest = filter;
    while let Some(at) = rest.find(['\'', '"', '[']) {
        out.push_str(&rest[..at]);
        let (close, stands_for) = match rest.as_bytes()[at] {
            b'\'' => ('\'', ' '),
            b'"' => ('"', 'x'),
            _ => (']', 'x'),
        };
        out.push(stands_for);
        // A doubled quote ends one and begins the next.
        rest = rest[at + 1..].split_once(close).map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out
}

/// The table's key alone, for rows that are gone.
pub fn keys(table: &TablePlan) -> TablePlan {
    let mut keys = table.clone();
    if let Some(index) = table.indexes.iter().find(|index| index.kind == IndexKind::PrimaryKey) {
        let is_key = |column: &ColumnPlan| index.columns.iter().any(|(name, _)| *name == column.target);
        keys.columns.retain(is_key);
        keys.indexes.retain(|index| index.kind == IndexKind::PrimaryKey);
    }
    keys.columns.iter_mut().for_each(|column| column.identity = None);
    keys.foreign_keys.clear();
    keys
}

/// Whether it is the same table as at the last run, copied in the same way; equal fingerprints mean that the stored digest still
/// speaks of the same columns.
pub fn fingerprint(table: &TablePlan) -> String {
    let mut parts = vec![FORMAT.to_string(), table.source.to_string(), table.target.to_string()];
    parts.extend([table.filter.clone().unwrap_or_default(), table.mode.to_string(), format!("{:?}", table.deletes)]);
    for column in &table.columns {
        let policy = column.policy;
        parts.push(format!(
            "{}|{}|{}|{}|{}|{:?}|{}|{}|{}|{}",
            column.source,
            column.source_id,
            column.target,
            column.declared,
            column.mapping.target_type,
            column.companion,
            column.nullable,
            column.collation.as_deref().unwrap_or_default(),
            policy.strip_nul,
            policy.replace_undecodable
        ));
    }
    if let Some(index) = table.indexes.iter().find(|index| index.kind == IndexKind::PrimaryKey) {
        parts.extend(index.columns.iter().map(|(name, _)| name.clone()));
    }
    format!("{:016x}", hash_bytes(parts.join("\0").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_that_look_beyond_their_row_are_refused() {
        for fine in [
            "region = N'GETDATE()'",
            "[user] = 1 AND (amount > 3 OR name IN (N'a', N'it''s (b)'))",
            "NOT (a BETWEEN 1 AND 2) AND b IS NOT NULL",
        ] {
            assert_eq!(of_filter(fine), None, "{fine}");
        }
        for (bad, found) in [
            ("day > GETDATE()", "GETDATE"),
            ("id IN (SELECT id FROM dbo.other)", "SELECT"),
            ("dbo.wanted(id) = 1", "wanted"),
            ("owner = current_user", "current_user"),
            ("spid = @@SPID", "@@SPID"),
            ("[dbo].[wanted](id) = 1", "x"),
        ] {
            assert!(of_filter(bad).is_some_and(|(problem, _)| problem.contains(found)), "{bad}");
        }
    }
}
