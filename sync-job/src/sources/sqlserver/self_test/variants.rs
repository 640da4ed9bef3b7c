//! Literals of sql_variant: a value of each base type that its expression tells apart.
//!
//! The texts are those of the styles that the expression asks for, from "CAST and CONVERT (Transact-SQL)". Style 3 of float and
//! real, of which every number can be read back, is that of SQL Server 2016 and later: before, it gives six digits.

use crate::model::schema::SourceType;
use crate::plan::type_map::ReadExpression;
use crate::rows::cell::Cell;

use super::probe::{Expected, Literal, Subject};

/// A base type, a constant, and its text.
const TEXTS: [(&str, &str, &str); 24] = [
    ("bit", "1", "1"),
    ("tinyint", "255", "255"),
    ("smallint", "-32768", "-32768"),
    ("int", "-2147483648", "-2147483648"),
    ("bigint", "9223372036854775807", "9223372036854775807"),
    ("decimal(10,3)", "-1.50", "-1.500"),
    ("numeric(38,38)", "0.00000000000000000000000000000000000001", "0.00000000000000000000000000000000000001"),
    ("money", "-922337203685477.5808", "-922337203685477.5808"),
    ("smallmoney", "214748.3647", "214748.3647"),
    ("date", "'0001-01-01'", "0001-01-01"),
    ("time(7)", "'23:59:59.9999999'", "23:59:59.9999999"),
    ("time(3)", "'12:34:56.120'", "12:34:56.1200000"),
    ("datetime", "'9999-12-31T23:59:59.997'", "9999-12-31 23:59:59.997"),
    ("smalldatetime", "'2024-02-29T12:34:00'", "2024-02-29 12:34:00.000"),
    ("datetime2(7)", "'9999-12-31T23:59:59.9999999'", "9999-12-31 23:59:59.9999999"),
    ("datetimeoffset(7)", "'2024-02-29T12:00:00.1234567-05:30'", "2024-02-29 12:00:00.1234567 -05:30"),
    ("uniqueidentifier", "'6f9619ff-8b86-d011-b42d-00c04fc964ff'", "6F9619FF-8B86-D011-B42D-00C04FC964FF"),
    ("nvarchar(40)", "N'日本 🦀  '", "日本 🦀  "),
    ("nchar(4)", "N'ü'", "ü   "),
    ("varchar(40)", "N'é€' COLLATE Latin1_General_CI_AS", "é€"),
    ("char(4)", "N'é€' COLLATE Latin1_General_CI_AS", "é€  "),
    ("varchar(40)", "''", ""),
    ("varbinary(40)", "0x00FF80", "0x00FF80"),
    ("binary(2)", "0x80", "0x8000"),
];

/// Base types by the names that SQL_VARIANT_PROPERTY gives them, for the column beside a variant.
const TYPES: [(&str, &str); 5] = [
    ("CAST(1 AS int)", "int"),
    ("CAST(N'a' AS nvarchar(4))", "nvarchar"),
    ("CAST(1 AS money)", "money"),
    ("CAST(0x00 AS varbinary(4))", "varbinary"),
    ("CAST('2024-02-29' AS date)", "date"),
];

/// The literals of a variant; `None` for other types.
pub fn of(subject: &Subject<'_>) -> Option<(String, Vec<Literal>)> {
    if *subject.source_type != SourceType::SqlVariant {
        return None;
    }
    let (kind, mut literals) = match subject.read {
        ReadExpression::VariantType => {
            let literals = TYPES.map(|(sql, name)| variant(sql, Expected::utf16(name)));
            ("the base type of sql_variant", Vec::from(literals))
        }
        _ => ("sql_variant", values()),
    };
    literals.push(variant("NULL", Expected::Cell(Cell::Null)));
    Some((kind.to_owned(), literals))
}

fn variant(sql: &str, expected: Expected) -> Literal {
    Literal { sql: format!("CAST({sql} AS sql_variant)"), expected }
}

fn values() -> Vec<Literal> {
    let texts =
        TEXTS.iter().map(|(base, value, text)| variant(&format!("CAST({value} AS {base})"), Expected::utf16(text)));
    // A third has digits to the last bit. The text of a real may have those of the float that it is.
    let float = variant("CAST(1 AS float) / 3", Expected::Numbers(vec![1.0 / 3.0]));
    let real = variant("CAST(CAST(1 AS float) / 3 AS real)", Expected::Real(1.0 / 3.0));
    texts.chain([float, real]).collect()
}
