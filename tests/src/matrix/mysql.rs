//! The same values as MySQL must hold them.

use super::{Column, Value, exact};
use crate::target::Engine;

/// Types, written down by hand. What is not listed keeps its name.
const TYPES: [(&str, &str); 31] = [
    ("bit", "tinyint(1)"),
    ("tinyint", "tinyint unsigned"),
    ("decimal(38,38)", "varchar(41)"),
    ("numeric(19,4)", "decimal(19,4)"),
    ("numeric(28,10)", "decimal(28,10)"),
    ("money", "decimal(19,4)"),
    ("smallmoney", "decimal(10,4)"),
    ("float", "double"),
    ("real", "float"),
    ("time(7)", "time(6)"),
    ("datetime", "datetime(3)"),
    ("smalldatetime", "datetime(0)"),
    ("datetime2(0)", "datetime(0)"),
    ("datetime2(1)", "datetime(1)"),
    ("datetime2(2)", "datetime(2)"),
    ("datetime2(3)", "datetime(3)"),
    ("datetime2(4)", "datetime(4)"),
    ("datetime2(5)", "datetime(5)"),
    ("datetime2(6)", "datetime(6)"),
    ("datetime2(7)", "datetime(6)"),
    ("datetimeoffset(0)", "datetime(0)"),
    ("datetimeoffset(7)", "datetime(6)"),
    ("nchar(5)", "char(5)"),
    ("dbo.Phone", "varchar(20)"),
    ("image", "longblob"),
    ("uniqueidentifier", "char(36)"),
    ("sql_variant", "longtext"),
    ("hierarchyid", "varchar(4000)"),
    ("varbinary(max)", "longblob"),
    ("rowversion", "binary(8)"),
    ("vector(3)", "json"),
];

pub fn column(postgres: &Column, engine: Engine) -> Column {
    let source = postgres.source.as_str();
    let listed = TYPES.iter().find(|(name, _)| *name == source).map(|(_, target)| (*target).to_owned());
    let target = listed.unwrap_or_else(|| match source.split(['(', ' ']).next().unwrap_or_default() {
        "varchar" | "nvarchar" if source.contains("(max)") => "longtext".to_owned(),
        "text" | "ntext" | "xml" | "geometry" | "geography" => "longtext".to_owned(),
        "nvarchar" => source.trim_start_matches('n').to_owned(),
        _ => source.split(" COLLATE ").next().unwrap_or_default().to_owned(),
    });
    let values = postgres.values.iter().map(|value| Value { target: text(value, &target, engine), ..value.clone() });
    Column { source: source.to_owned(), wanted: false, values: values.collect(), target }
}

/// PostgreSQL's text of a value as MySQL shows it.
fn text(value: &Value, target: &str, engine: Engine) -> String {
    let postgres = value.target.as_str();
    let kind = target.split('(').next().unwrap_or_default();
    let digits = target.split(['(', ')']).nth(1).and_then(|digits| digits.parse::<usize>().ok()).unwrap_or(0);
    match kind {
        "json" => json(value.source.trim_start_matches('N').trim_matches('\''), engine),
        "tinyint" if postgres == "false" => "0".to_owned(),
        "tinyint" if postgres == "true" => "1".to_owned(),
        // CHAR loses its trailing spaces when it is read.
        "char" => postgres.trim_end_matches(' ').to_owned(),
        // All fraction digits are shown, and no time zone.
        "time" | "datetime" if digits > 0 => {
            let bare = postgres.trim_end_matches("+00");
            let (whole, fraction) = bare.split_once('.').unwrap_or((bare, ""));
            format!("{whole}.{fraction:0<digits$}")
        }
        "datetime" => postgres.trim_end_matches("+00").to_owned(),
        _ => postgres.to_owned(),
    }
}

/// MariaDB keeps json as the text that it was, MySQL sorts keys and writes numbers its own way.
fn json(source: &str, engine: Engine) -> String {
    match source {
        _ if engine == Engine::MariaDb => source,
        r#"{"b": 1, "a": [1.50, null, "ü"]}"# => r#"{"a": [1.5, null, "ü"], "b": 1}"#,
        "[1.0000000e+000,-2.5000000e+000,0.0000000e+000]" => "[1.0, -2.5, 0.0]",
        other => other,
    }
    .to_owned()
}

#[rustfmt::skip]
pub fn overrides(engine: Engine) -> Vec<Column> {
    let json = if engine == Engine::MariaDb { "{\"b\": 1, \"a\": 1.50}" } else { "{\"a\": 1.5, \"b\": 1}" };
    vec![
        Column::new("bit", "int", vec![exact("1", "1")]).wanted(),
        Column::new("int", "bigint", vec![exact("-5", "-5")]).wanted(),
        Column::new("int", "decimal(12,2)", vec![exact("-5", "-5.00")]).wanted(),
        Column::new("decimal(10,2)", "decimal(14,4)", vec![exact("-12345678.90", "-12345678.9000")]).wanted(),
        Column::new("date", "varchar(10)", vec![exact("'0001-01-01'", "0001-01-01")]).wanted(),
        Column::new("datetime2(7)", "longtext", vec![exact("'9999-12-31T23:59:59.9999999'", "9999-12-31 23:59:59.9999999")]).wanted(),
        Column::new("uniqueidentifier", "longtext", vec![exact("'01020304-0506-0708-090A-0B0C0D0E0F10'", "01020304-0506-0708-090a-0b0c0d0e0f10")]).wanted(),
        Column::new("nvarchar(40)", "longtext", vec![exact("N'🦀'", "🦀")]).wanted(),
        Column::new("nvarchar(max)", "json", vec![exact("N'{\"b\": 1, \"a\": 1.50}'", json)]).wanted(),
        Column::new("varchar(5)", "varchar(50)", vec![exact("'abc'", "abc")]).wanted(),
        Column::new("geometry", "geometry", vec![exact("geometry::STGeomFromText('LINESTRING (0 0, 1 1.5)', 0)", "SRID=0;LINESTRING(0 0,1 1.5)")]).wanted(),
        Column::new("geography", "geometry", vec![exact("geography::STGeomFromText('POINT (13.25 52.5)', 4326)", "SRID=4326;POINT(13.25 52.5)")]).wanted(),
    ]
}
