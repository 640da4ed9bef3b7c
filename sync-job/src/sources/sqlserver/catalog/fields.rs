//! A catalog row's values by column name, as the server sent them.
//!
//! A value that every row must have and this one has not is an error: it names the query and the column, and never becomes an
//! empty text or "no".

use tiberius::{ColumnData, Row};

use crate::model::error::{Error, Kind, Result, Side};

/// A row of one of the catalog queries.
pub struct Fields<'a> {
    /// What the query reads, for errors.
    what: &'a str,
    row: &'a Row,
}

impl<'a> Fields<'a> {
    /// `what` names the query in errors: "columns", "foreign keys".
    pub fn new(what: &'a str, row: &'a Row) -> Self {
        Self { what, row }
    }

    fn wrong(&self, name: &str, problem: &str) -> Error {
        let message =
            format!("the {} could not be read from the source's catalog: the column {name} {problem}", self.what);
        Error::new(Side::Source, Kind::Statement, message)
    }

    fn data(&self, name: &str) -> Result<&ColumnData<'static>> {
        self.row.get_column_data(name).map_err(|_| self.wrong(name, "is not in the server's answer"))
    }

    fn mandatory<T>(&self, name: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.wrong(name, "is NULL"))
    }

    /// Names are taken as they are: spaces, no-break spaces and line feeds at their ends belong to them.
    pub fn optional_text(&self, name: &str) -> Result<Option<String>> {
        match self.data(name)? {
            ColumnData::String(text) => Ok(text.as_deref().map(str::to_owned)),
            _ => Err(self.wrong(name, "is not text")),
        }
    }

    pub fn text(&self, name: &str) -> Result<String> {
        self.optional_text(name).and_then(|value| self.mandatory(name, value))
    }

    /// A whole number of any width.
    pub fn optional_int(&self, name: &str) -> Result<Option<i64>> {
        match self.data(name)? {
            ColumnData::U8(value) => Ok(value.map(i64::from)),
            ColumnData::I16(value) => Ok(value.map(i64::from)),
            ColumnData::I32(value) => Ok(value.map(i64::from)),
            ColumnData::I64(value) => Ok(*value),
            _ => Err(self.wrong(name, "is not a whole number")),
        }
    }

    pub fn int(&self, name: &str) -> Result<i64> {
        self.optional_int(name).and_then(|value| self.mandatory(name, value))
    }

    /// A whole number that fits into 32 bits, as ids, lengths and precisions do.
    pub fn small(&self, name: &str) -> Result<i32> {
        i32::try_from(self.int(name)?).map_err(|_| self.wrong(name, "is out of range"))
    }

    pub fn optional_flag(&self, name: &str) -> Result<Option<bool>> {
        match self.data(name)? {
            ColumnData::Bit(value) => Ok(*value),
            _ => Ok(self.optional_int(name)?.map(|value| value != 0)),
        }
    }

    pub fn flag(&self, name: &str) -> Result<bool> {
        self.optional_flag(name).and_then(|value| self.mandatory(name, value))
    }

    /// A decimal without fraction digits.
    pub fn optional_whole(&self, name: &str) -> Result<Option<i128>> {
        match self.data(name)? {
            ColumnData::Numeric(None) => Ok(None),
            ColumnData::Numeric(Some(value)) if value.scale() == 0 => Ok(Some(value.value())),
            _ => Err(self.wrong(name, "is not a decimal without fraction digits")),
        }
    }
}
