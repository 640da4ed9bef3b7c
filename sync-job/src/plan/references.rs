//! Foreign keys that hold at the source and may not hold on a target that compares text exactly.

use super::{ColumnPlan, Dialect, Finding, ForeignKeyPlan, Severity, TablePlan};
use crate::model::schema::TableName;
use crate::plan::type_map::LogicalType;

/// One side of a foreign key, at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    pub table: TableName,
    pub columns: Vec<String>,
    pub filter: Option<String>,
}

/// A foreign key to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub name: String,
    pub child: Side,
    pub parent: Side,
    /// For each column, how the target compares it.
    pub compares: Vec<Compares>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compares {
    AsTheSource,
    Exactly,
    /// But for spaces at the end.
    Padded,
}

/// What the source says of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Holds,
    Differs,
    /// It did not say so in time.
    Unknown,
}

/// The planned foreign keys with text that the source's collation compares more loosely than the target.
pub fn of(tables: &[TablePlan], dialect: &dyn Dialect) -> Vec<Reference> {
    if !dialect.compares_text_exactly() {
        return Vec::new();
    }
    tables.iter().flat_map(|table| table.foreign_keys.iter().filter_map(|key| reference(table, key, tables))).collect()
}

fn reference(table: &TablePlan, key: &ForeignKeyPlan, tables: &[TablePlan]) -> Option<Reference> {
    let parent = tables.iter().find(|other| other.target == key.referenced)?;
    let own = columns(table, &key.columns)?;
    let referenced = columns(parent, &key.referenced_columns)?;
    let compares: Vec<Compares> = own.iter().zip(&referenced).map(|(own, other)| compare(own, other)).collect();
    compares.iter().any(|compares| *compares != Compares::AsTheSource).then(|| Reference {
        name: key.name.clone(),
        child: side(table, &own),
        parent: side(parent, &referenced),
        compares,
    })
}

fn columns<'a>(table: &'a TablePlan, names: &[String]) -> Option<Vec<&'a ColumnPlan>> {
    names.iter().map(|name| table.columns.iter().find(|column| &column.target == name)).collect()
}

fn side(table: &TablePlan, columns: &[&ColumnPlan]) -> Side {
    let columns = columns.iter().map(|column| column.source.clone()).collect();
    Side { table: table.source.clone(), columns, filter: table.filter.clone() }
}

fn compare(own: &ColumnPlan, other: &ColumnPlan) -> Compares {
    match (own.mapping.logical, other.mapping.logical) {
        (LogicalType::Char { .. }, LogicalType::Char { .. }) => Compares::Padded,
        (LogicalType::Text { .. } | LogicalType::Char { .. }, _) if own.collation.is_some() => Compares::Exactly,
        _ => Compares::AsTheSource,
    }
}

/// What a reader of the plan should know of a reference; one table's failure is no reason to refuse the others.
pub fn judge(reference: &Reference, answer: Answer, query: &str) -> Option<Finding> {
    let Reference { name, child, parent, .. } = reference;
    let is_filtered = child.filter.is_some() || parent.filter.is_some();
    let filtered = if is_filtered { ", or a filter leaves them out" } else { "" };
    let finding = match answer {
        Answer::Holds => return None,
        Answer::Differs => Finding::new(
            "foreign-key-differs",
            Severity::Warning,
            format!(
                "foreign key {name}: rows refer to rows of {} that the target, which compares exactly, takes for others \
                 (case, accents, spaces at the end{filtered}): the table will fail at the swap and keep its old rows",
                parent.table
            ),
            format!("Correct them at the source; this finds one: {query}"),
        ),
        Answer::Unknown => Finding::new(
            "foreign-key-not-checked",
            Severity::Note,
            format!("foreign key {name}: whether the target takes its rows could not be found out in time"),
            format!("This finds a row that it would not take: {query}"),
        ),
    };
    Some(finding.on(&child.table))
}
