//! What the plan makes of the source's self-test: columns are read as they were, in another way, or not at all.

use std::fmt::Write as _;

use super::{ColumnPlan, Draft, Finding, Severity, TablePlan};
use crate::model::schema::TableName;
use crate::plan::type_map::ReadExpression;

/// More tables than this are counted, not named.
const MOST_NAMED: usize = 10;

/// The read expressions that the source did not answer as it documents them.
#[derive(Debug, Clone, Default)]
pub struct SelfTest {
    pub deviations: Vec<Deviation>,
    /// The sums of the witness that were answered otherwise. Rows may be right all the same.
    pub only_counted: Vec<Deviation>,
}

/// One of them: what was asked, what was expected, and what came.
#[derive(Debug, Clone)]
pub struct Deviation {
    /// The kind of type, such as `nvarchar` or `varchar in Greek_CI_AS, code page 1253`.
    pub kind: String,
    /// A statement that anybody may repeat.
    pub asked: String,
    pub expected: String,
    pub got: String,
    /// The columns that this expression reads.
    pub columns: Vec<TestedColumn>,
    /// The same text, read through the driver, was right.
    pub right_through_driver: bool,
}

/// A column of the source, and the expression that was tested for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestedColumn {
    pub table: TableName,
    pub column: String,
    pub read: ReadExpression,
}

/// Reads columns another way where that was right, and refuses the run where none was. The findings belong to the run, not to
/// tables: `verify` must not compare such columns either.
pub fn apply(draft: &mut Draft, tested: &SelfTest) {
    for column in tested.only_counted.iter().flat_map(|deviation| &deviation.columns) {
        for planned in columns_of(&mut draft.tables, column) {
            planned.only_counted = true;
        }
    }
    draft.findings.extend(only_counted(&tested.only_counted));
    let (right, wrong): (Vec<&Deviation>, Vec<&Deviation>) =
        tested.deviations.iter().partition(|deviation| deviation.right_through_driver);
    for deviation in &right {
        for column in &deviation.columns {
            read_through_driver(&mut draft.tables, column);
        }
    }
    draft.findings.extend(through_driver(&right));
    draft.findings.extend(wrong.into_iter().map(refusal));
}

fn columns_of<'a>(tables: &'a mut [TablePlan], tested: &'a TestedColumn) -> impl Iterator<Item = &'a mut ColumnPlan> {
    let columns = tables.iter_mut().filter(|table| table.source == tested.table).flat_map(|table| &mut table.columns);
    columns.filter(|column| column.source == tested.column && column.mapping.read == tested.read)
}

fn read_through_driver(tables: &mut [TablePlan], tested: &TestedColumn) {
    let Some(instead) = tested.read.through_driver() else { return };
    for table in tables.iter_mut().filter(|table| table.source == tested.table) {
        let columns = table.columns.iter_mut().filter(|column| column.source == tested.column);
        let keys = table.chunk_key.iter_mut().filter(|key| key.name == tested.column);
        let reads = columns.map(|column| &mut column.mapping.read).chain(keys.map(|key| &mut key.read));
        for read in reads.filter(|read| **read == tested.read) {
            read.clone_from(&instead);
        }
    }
}

/// One warning for all of them, with the first answer that was wrong.
fn only_counted(deviations: &[Deviation]) -> Option<Finding> {
    let first = deviations.first()?;
    let deviations: Vec<&Deviation> = deviations.iter().collect();
    let message = format!(
        "the source does not add up {} as SQL Server documents it ({}): the witness only counts the values of these columns. \
         The digests compare them as ever. Columns: {}",
        kinds(&deviations),
        answer(first),
        named(&columns(&deviations))
    );
    let remedy = "Nothing needs to be done. What the witness alone would find, a value that the job reads wrongly, stays \
                  unnoticed in these columns.";
    Some(Finding::new("only-counted", Severity::Warning, message, remedy))
}

/// Each kind once.
fn kinds(deviations: &[&Deviation]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for deviation in deviations {
        if !kinds.contains(&deviation.kind.as_str()) {
            kinds.push(&deviation.kind);
        }
    }
    kinds.join(", ")
}

fn columns<'a>(deviations: &[&'a Deviation]) -> Vec<&'a TestedColumn> {
    deviations.iter().flat_map(|deviation| &deviation.columns).collect()
}

/// One warning for all of them, with the first answer that was wrong.
fn through_driver(deviations: &[&Deviation]) -> Option<Finding> {
    let first = deviations.first()?;
    let message = format!(
        "the source does not give the bytes of {} as SQL Server documents them ({}): this text is read through the driver, which \
         was right in the same test. A value that the source or the driver cannot decode may arrive changed, and the job cannot \
         see that. Columns read this way: {}",
        kinds(deviations),
        answer(first),
        named(&columns(deviations))
    );
    let remedy = "Nothing needs to be done where the source keeps its text as valid Unicode, as Babelfish does.";
    Some(Finding::new("text-through-driver", Severity::Warning, message, remedy))
}

fn refusal(deviation: &Deviation) -> Finding {
    let columns: Vec<&TestedColumn> = deviation.columns.iter().collect();
    let message = format!(
        "the source does not answer as SQL Server documents it for {} ({}): what it sends for stored values cannot be trusted. \
         Columns read this way: {}",
        deviation.kind,
        answer(deviation),
        named(&columns)
    );
    let remedy = "List these columns in exclude_columns, or copy from a server that answers as documented. No setting of the \
                  job file makes these values right.";
    Finding::new("self-test", Severity::Refusal, message, remedy)
}

fn answer(deviation: &Deviation) -> String {
    format!("asked {}, expected {}, got {}", deviation.asked, deviation.expected, deviation.got)
}

/// `dbo.a (x, y), dbo.b (z)`.
fn named(columns: &[&TestedColumn]) -> String {
    let mut tables: Vec<(&TableName, Vec<&str>)> = Vec::new();
    for column in columns {
        let place = tables.iter().position(|(table, _)| **table == column.table).unwrap_or_else(|| {
            tables.push((&column.table, Vec::new()));
            tables.len() - 1
        });
        let names = &mut tables[place].1;
        if !names.contains(&column.column.as_str()) {
            names.push(&column.column);
        }
    }
    let shown: Vec<String> =
        tables.iter().take(MOST_NAMED).map(|(table, names)| format!("{table} ({})", names.join(", "))).collect();
    let mut text = shown.join(", ");
    if tables.len() > MOST_NAMED {
        // Writing to a String cannot fail.
        let _ = write!(text, " and {} more tables", tables.len() - MOST_NAMED);
    }
    text
}
