//! Whether text columns are still what they were planned as: the bytes that are read of them do not tell.

use tiberius::{Column, ColumnType};

use super::select;
use crate::model::error::{Error, Kind, Result, Side};
use crate::plan::type_map::ReadExpression;
use crate::plan::{ColumnPlan, TablePlan};

/// What the server tells of a table's columns before it sends the rows, compared with the plan.
pub struct Planned<'a> {
    table: &'a TablePlan,
    types: Option<String>,
    code_pages: Option<String>,
    /// How many code pages were told, while they are.
    telling: Option<usize>,
}

impl<'a> Planned<'a> {
    pub fn new(table: &'a TablePlan) -> Self {
        Self { table, types: select::text_types(table), code_pages: select::code_pages(table), telling: None }
    }

    /// In one batch with the rows: what is found out of the columns holds for them.
    pub fn before(&self, rows: &str) -> String {
        let parts = [self.types.as_deref(), self.code_pages.as_deref(), Some(rows)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    /// At the head of each result of the batch.
    pub fn begin(&mut self, index: usize, columns: &[Column]) -> Result<()> {
        self.telling = None;
        if index == 0 && self.types.is_some() {
            return expect_text(self.table, columns);
        }
        if index == usize::from(self.types.is_some()) && columns.iter().any(|column| column.name() == select::CODE_PAGE)
        {
            self.telling = Some(0);
        }
        Ok(())
    }

    /// Whether rows of this result are for [`Planned::compare`].
    pub fn is_about_columns(&self) -> bool {
        self.telling.is_some()
    }

    /// Bytes of one code page read in another would make other text of them, and no digest could tell.
    pub fn compare(&mut self, row: &tiberius::Row) -> Result<()> {
        let Some(number) = &mut self.telling else { return Ok(()) };
        let planned = select::columns_with_code_page(self.table).nth(*number);
        *number += 1;
        let found = row.try_get::<i32, _>(0).ok().flatten();
        match (planned, found) {
            (Some((column, code_page)), Some(found)) if found != i32::from(code_page.number()) => {
                let what = format!("{} with code page {}", column.declared, code_page.number());
                Err(refusal(self.table, column, &format!("{}: code page {found}", changed(&what))))
            }
            (Some((column, _)), None) => {
                tracing::warn!(table = %self.table.source, column = column.source, "its code page now was not told");
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Bytes of nvarchar read as varchar, or of a number read as text, would make other text of them, and no digest could tell.
fn expect_text(table: &TablePlan, found: &[Column]) -> Result<()> {
    for (planned, found) in select::text_columns(table).zip(found) {
        let is_planned = match planned.mapping.read.mapped() {
            ReadExpression::Utf16Bytes { .. } => {
                matches!(found.column_type(), ColumnType::NVarchar | ColumnType::NChar)
            }
            _ => matches!(found.column_type(), ColumnType::BigVarChar | ColumnType::BigChar),
        };
        if !is_planned {
            return Err(refusal(table, planned, &changed(&planned.declared)));
        }
    }
    Ok(())
}

fn refusal(table: &TablePlan, column: &ColumnPlan, what: &str) -> Error {
    Error::new(Side::Source, Kind::Conflict, format!("{}, column {}: {what}", table.source, column.source))
}

/// What to do where a column is not what the plan says.
pub fn changed(planned: &str) -> String {
    format!(
        "it was planned as {planned} and is of another type now; run again (a view first needs sp_refreshview, since \
         its columns are those of the day on which it was made)"
    )
}
