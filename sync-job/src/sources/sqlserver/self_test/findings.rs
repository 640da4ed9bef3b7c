//! What people are told of the self-test.

use std::fmt::Write as _;

use crate::model::schema::TableName;
use crate::plan::self_test::{SelfTest, TestedColumn};
use crate::plan::{Finding, FindingId, Severity, Unwitnessed};
use crate::sources::sqlserver::field::Field;

/// More tables, and more columns of a table, than this are counted, not named.
const MOST_NAMED: usize = 10;

/// An expression that the server did not answer as documented: what was asked, what was expected, and what came.
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

/// Reads columns another way where that was right, and refuses the run where none was. `sums`: those of the witness.
pub fn judge(deviations: &[Deviation], sums: &[(Deviation, Unwitnessed)]) -> SelfTest {
    let (right, wrong): (Vec<&Deviation>, Vec<&Deviation>) =
        deviations.iter().partition(|deviation| deviation.right_through_driver);
    let through = right.iter().flat_map(|deviation| &deviation.columns);
    let instead = through.filter_map(|column| Some((column.clone(), Field::through_driver(&column.read)?))).collect();
    let mut findings: Vec<Finding> = only_counted(sums).into_iter().collect();
    findings.extend(through_driver(&right));
    findings.extend(wrong.into_iter().map(refusal));
    let of_columns = |(deviation, unwitnessed): &(Deviation, Unwitnessed)| {
        deviation.columns.iter().map(|column| (column.clone(), *unwitnessed)).collect::<Vec<_>>()
    };
    SelfTest { instead, sums: sums.iter().flat_map(of_columns).collect(), findings }
}

/// One warning for all of them, with the first answer that was wrong.
fn only_counted(sums: &[(Deviation, Unwitnessed)]) -> Option<Finding> {
    let deviations: Vec<&Deviation> = sums.iter().map(|(deviation, _)| deviation).collect();
    let first = deviations.first()?;
    let message = format!(
        "the source does not add up {} as SQL Server documents it: the witness at most counts the values of these columns. The \
         digests compare them as ever. Columns: {}. The first sum that differs: {}",
        kinds(&deviations),
        named(&columns(&deviations)),
        answer(first)
    );
    let remedy = "Nothing needs to be done. What the witness alone would find, a value that the job reads wrongly, stays \
                  unnoticed in these columns.";
    Some(Finding::new(FindingId::OnlyCounted, Severity::Warning, message, remedy))
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
    Some(Finding::new(FindingId::TextThroughDriver, Severity::Warning, message, remedy))
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
    Finding::new(FindingId::SelfTest, Severity::Refusal, message, remedy)
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
    let columns = |names: &[&str]| {
        let more =
            if names.len() > MOST_NAMED { format!(", and {} more", names.len() - MOST_NAMED) } else { String::new() };
        format!("{}{more}", names.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", "))
    };
    let shown: Vec<String> =
        tables.iter().take(MOST_NAMED).map(|(table, names)| format!("{table} ({})", columns(names))).collect();
    let mut text = shown.join(", ");
    if tables.len() > MOST_NAMED {
        // Writing to a String cannot fail.
        let _ = write!(text, " and {} more tables", tables.len() - MOST_NAMED);
    }
    text
}
