//! Literals of numbers at the ends of their types' ranges, from the pages of each type below "Data types (Transact-SQL)".

use crate::model::schema::SourceType;
use crate::rows::cell::Cell;

use super::probe::{Expected, Literal, Subject};

/// 2⁶²: exact in every type that it goes through.
const POWER: f64 = 4_611_686_018_427_387_904.0;
/// Its 16th power, 2⁹⁹², is a float; its second, 2¹²⁴, a real.
const FLOAT_FACTORS: usize = 16;
const REAL_FACTORS: usize = 2;

/// The literals of a number; `None` for other types.
pub fn of(subject: &Subject<'_>) -> Option<(String, Vec<Literal>)> {
    use SourceType as S;
    let (declared, mut literals) = match subject.source_type {
        S::Bit => {
            ("bit", [("0", false), ("1", true)].map(|(sql, value)| literal("bit", sql, Cell::Bool(value))).into())
        }
        S::TinyInt => ("tinyint", integers("tinyint", &[0, 255])),
        S::SmallInt => ("smallint", integers("smallint", &[i64::from(i16::MIN), -1, i64::from(i16::MAX)])),
        S::Int => ("int", integers("int", &[i64::from(i32::MIN), -1, i64::from(i32::MAX)])),
        S::BigInt => ("bigint", integers("bigint", &[i64::MIN, -1, i64::MAX])),
        S::Decimal { .. } => ("decimal(38,0)", decimals()),
        S::Money => ("money", money("money", &[i64::MIN, -1, 0, 9_000_000_000_000_001, i64::MAX])),
        S::SmallMoney => ("smallmoney", money("smallmoney", &[i64::from(i32::MIN), -1, 0, i64::from(i32::MAX)])),
        S::Real => ("real", reals()),
        S::Float => ("float", floats()),
        _ => return None,
    };
    literals.push(literal(declared, "NULL", Cell::Null));
    Some((declared.split('(').next().unwrap_or(declared).to_owned(), literals))
}

fn literal(declared: &str, sql: &str, cell: Cell<'static>) -> Literal {
    Literal { sql: format!("CAST({sql} AS {declared})"), expected: Expected::Cell(cell) }
}

fn integers(declared: &str, values: &[i64]) -> Vec<Literal> {
    values.iter().map(|value| literal(declared, &value.to_string(), Cell::Int(*value))).collect()
}

/// Of each length on the wire, with no whole digits and with nothing else.
fn decimals() -> Vec<Literal> {
    const MOST: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;
    [
        ("decimal(38,0)", -MOST, 0),
        ("decimal(38,38)", -MOST, 38),
        ("decimal(38,38)", 1, 38),
        ("decimal(28,10)", -1_234_567_890_123_456_780_123_456_789, 10),
        ("decimal(19,4)", -5, 4),
        ("decimal(9,2)", 123_456_789, 2),
        ("decimal(1,0)", 0, 0),
    ]
    .into_iter()
    .map(|(declared, value, scale)| {
        literal(declared, &crate::rows::cell::decimal_text(value, scale), Cell::Decimal { value, scale })
    })
    .collect()
}

/// Above 9·10¹¹ a double no longer holds four fraction digits.
fn money(declared: &str, ten_thousandths: &[i64]) -> Vec<Literal> {
    ten_thousandths
        .iter()
        .map(|value| {
            let value = i128::from(*value);
            literal(declared, &crate::rows::cell::decimal_text(value, 4), Cell::Decimal { value, scale: 4 })
        })
        .collect()
}

/// A product of powers of two is exact in IEEE 754, and a third is rounded in one way: neither depends on how the server reads
/// decimal digits.
fn product(factors: usize) -> String {
    vec!["CAST(4611686018427387904 AS float)"; factors].join(" * ")
}

fn floats() -> Vec<Literal> {
    let most = POWER.powi(16);
    let parts = [
        (product(FLOAT_FACTORS), most),
        (format!("-({})", product(FLOAT_FACTORS)), -most),
        (format!("CAST(1 AS float) / ({})", product(FLOAT_FACTORS)), 1.0 / most),
        ("CAST(1 AS float) / 3".to_owned(), 1.0 / 3.0),
        ("-2.5E0".to_owned(), -2.5),
    ];
    let mut literals: Vec<Literal> =
        parts.iter().map(|(sql, value)| literal("float", sql, Cell::Float8(*value))).collect();
    literals.push(zero("float"));
    literals
}

fn reals() -> Vec<Literal> {
    let most = (POWER * POWER) as f32;
    let parts = [
        (product(REAL_FACTORS), most),
        (format!("-({})", product(REAL_FACTORS)), -most),
        (format!("CAST(1 AS float) / ({})", product(REAL_FACTORS)), 1.0 / most),
        ("CAST(1 AS float) / 3".to_owned(), 1.0 / 3.0),
        ("-2.5E0".to_owned(), -2.5),
    ];
    let mut literals: Vec<Literal> =
        parts.iter().map(|(sql, value)| literal("real", sql, Cell::Float4(*value))).collect();
    literals.push(zero("real"));
    literals
}

/// Less than nothing times nothing.
fn zero(declared: &str) -> Literal {
    Literal { sql: format!("CAST(-1E0 * 0E0 AS {declared})"), expected: Expected::Zero }
}
