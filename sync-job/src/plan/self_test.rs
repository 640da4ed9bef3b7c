//! What the plan makes of the source's self-test: columns are read as they were, in another way, or not at all.

use super::{ColumnPlan, Draft, Finding, TablePlan, Unwitnessed};
use crate::model::read::ReadPlan;
use crate::model::schema::TableName;

/// What the source found out about its own answers.
#[derive(Debug, Clone, Default)]
pub struct SelfTest {
    /// Columns that are read right in this way alone.
    pub instead: Vec<(TestedColumn, ReadPlan)>,
    /// Columns whose sums the source gives otherwise than it documents. Rows may be right all the same.
    pub sums: Vec<(TestedColumn, Unwitnessed)>,
    /// For people. They belong to the run, not to tables: `verify` must not compare such columns either.
    pub findings: Vec<Finding>,
}

/// A column of the source, and how it was read in the test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestedColumn {
    pub table: TableName,
    pub column: String,
    pub read: ReadPlan,
}

/// Reads columns another way where that was right, and takes the findings over: refusals where none was.
pub fn apply(draft: &mut Draft, tested: SelfTest) {
    for (column, unwitnessed) in &tested.sums {
        for planned in columns_of(&mut draft.tables, column) {
            planned.unwitnessed.get_or_insert(*unwitnessed);
        }
    }
    for (column, read) in &tested.instead {
        read_instead(&mut draft.tables, column, read);
    }
    draft.findings.extend(tested.findings);
}

fn columns_of<'a>(tables: &'a mut [TablePlan], tested: &'a TestedColumn) -> impl Iterator<Item = &'a mut ColumnPlan> {
    let columns = tables.iter_mut().filter(|table| table.source == tested.table).flat_map(|table| &mut table.columns);
    columns.filter(|column| column.source == tested.column && column.read == tested.read)
}

fn read_instead(tables: &mut [TablePlan], tested: &TestedColumn, instead: &ReadPlan) {
    for table in tables.iter_mut().filter(|table| table.source == tested.table) {
        let columns = table.columns.iter_mut().filter(|column| column.source == tested.column);
        let keys = table.chunk_key.iter_mut().filter(|key| key.name == tested.column);
        let reads = columns.map(|column| &mut column.read).chain(keys.map(|key| &mut key.read));
        for read in reads.filter(|read| **read == tested.read) {
            read.clone_from(instead);
        }
    }
}
