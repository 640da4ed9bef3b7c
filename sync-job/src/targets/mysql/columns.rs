//! The one way from a row to values: a column of another type than expected is an error that names it. The driver's own
//! conversions panic.

use mysql_async::{FromValueError, Row, Value, from_value_opt};

/// A column that is not what the query was written for.
#[derive(Debug, PartialEq, Eq)]
pub struct Unexpected {
    /// Its name, or its number where it has none.
    pub column: String,
    /// What came, without the value.
    pub found: String,
}

/// What a row is read as, column by column.
pub trait Columns: Sized + Send + 'static {
    fn read(row: &Row) -> Result<Self, Unexpected>;
}

/// The value of the column `index`, from 0.
fn column<T>(row: &Row, index: usize) -> Result<T, Unexpected>
where
    T: mysql_async::prelude::FromValue,
{
    let unexpected = |found: String| {
        let name = row.columns_ref().get(index).map(|column| column.name_str().into_owned());
        Unexpected { column: name.unwrap_or_else(|| format!("number {}", index + 1)), found }
    };
    let value = row.as_ref(index).ok_or_else(|| unexpected("nothing".to_owned()))?.clone();
    let what = kind(&value);
    from_value_opt(value).map_err(|_: FromValueError| unexpected(what.to_owned()))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::NULL => "NULL",
        Value::Bytes(_) => "text",
        Value::Int(_) | Value::UInt(_) => "a number",
        Value::Float(_) | Value::Double(_) => "a floating-point number",
        Value::Date(..) => "a date",
        Value::Time(..) => "a time",
    }
}

macro_rules! one_column {
    ($($type:ty),*) => { $(
        impl Columns for $type {
            fn read(row: &Row) -> Result<Self, Unexpected> {
                column(row, 0)
            }
        }
    )* };
}

one_column!(String, Option<String>, u64, Option<u64>, i64, Option<i64>);

/// As many texts as there are columns.
impl Columns for Vec<Option<String>> {
    fn read(row: &Row) -> Result<Self, Unexpected> {
        (0..row.len()).map(|index| column(row, index)).collect()
    }
}

macro_rules! several_columns {
    ($($type:ident $index:tt),*) => {
        impl<$($type: mysql_async::prelude::FromValue + Send + 'static),*> Columns for ($($type,)*) {
            fn read(row: &Row) -> Result<Self, Unexpected> {
                Ok(($(column::<$type>(row, $index)?,)*))
            }
        }
    };
}

several_columns!(A 0, B 1);
several_columns!(A 0, B 1, C 2);
several_columns!(A 0, B 1, C 2, D 3);
several_columns!(A 0, B 1, C 2, D 3, E 4);
several_columns!(A 0, B 1, C 2, D 3, E 4, F 5);
several_columns!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
several_columns!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

/// Whether a setting that is on or off is on: a number on MySQL and older MariaDB, a word on MariaDB 12, whose `read_only` has
/// `NO_LOCK` and `NO_LOCK_NO_ADMIN` beside `OFF` and `ON` ("Server System Variables", MariaDB documentation). Every word but OFF
/// forbids or allows something.
pub fn is_on(setting: &str) -> bool {
    !(setting.is_empty() || setting == "0" || setting.eq_ignore_ascii_case("OFF"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_common::constants::ColumnType;
    use mysql_common::packets::Column;
    use mysql_common::row::new_row;

    fn row(values: Vec<Value>) -> Row {
        let columns: Vec<Column> = (1..=values.len())
            .map(|number| Column::new(ColumnType::MYSQL_TYPE_VAR_STRING).with_name(format!("c{number}").as_bytes()))
            .collect();
        new_row(values, columns.into())
    }

    #[test]
    fn no_value_of_any_type_panics_and_each_error_names_its_column() {
        let values = [
            Value::NULL,
            Value::Bytes(b"NO_LOCK".to_vec()),
            Value::Bytes(vec![0xFF, 0xFE]),
            Value::Int(-1),
            Value::UInt(u64::MAX),
            Value::Double(0.5),
            Value::Date(2026, 1, 1, 0, 0, 0, 0),
            Value::Time(false, 1, 0, 0, 0, 0),
        ];
        for value in &values {
            let second = || row(vec![Value::Bytes(b"x".to_vec()), value.clone()]);
            let named = |result: Result<(), Unexpected>| {
                if let Err(error) = result {
                    assert_eq!(error.column, "c2", "{value:?}");
                }
            };
            named(<(String, u64)>::read(&second()).map(drop));
            named(<(String, u16)>::read(&second()).map(drop));
            named(<(String, Option<i64>)>::read(&second()).map(drop));
            named(<(String, String)>::read(&second()).map(drop));
            named(<(String, Option<String>)>::read(&second()).map(drop));
            let _ = u64::read(&row(vec![value.clone()]));
            let _ = String::read(&row(vec![value.clone()]));
            let _ = <Option<u64>>::read(&row(vec![value.clone()]));
        }
        let read_only = row(vec![Value::Bytes(b"OFF".to_vec())]);
        assert_eq!(u64::read(&read_only), Err(Unexpected { column: "c1".to_owned(), found: "text".to_owned() }));
        let missing = <(String, u64)>::read(&row(vec![Value::Bytes(b"x".to_vec())])).unwrap_err();
        assert_eq!((missing.column.as_str(), missing.found.as_str()), ("number 2", "nothing"));
        assert!(String::read(&row(Vec::new())).is_err());
    }

    #[test]
    fn settings_are_on_in_numbers_and_in_words() {
        assert!(["1", "ON", "NO_LOCK", "NO_LOCK_NO_ADMIN"].iter().all(|setting| is_on(setting)));
        assert!(["0", "OFF", "off", ""].iter().all(|setting| !is_on(setting)));
    }
}
