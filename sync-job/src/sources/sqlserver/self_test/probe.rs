//! A read expression, the literals that it is asked for over, and what must come.

use crate::model::schema::SourceType;
use crate::plan::type_map::{LogicalType, ReadExpression};
use crate::plan::{ColumnPlan, KeyColumn};
use crate::rows::cell::{Cell, hex};
use crate::rows::text::utf16_lossy;
use crate::sources::sqlserver::select;

/// What the derived table of literals is called.
const LITERALS: &str = "stopgap_literals";
/// The same where the sums of the witness are asked for.
pub const LITERALS_OF_SUMS: &str = "stopgap_sums";
/// Letters of a value that no protocol of old times sends whole: SET TEXTSIZE must have done what it says.
pub const LONG: usize = 10_000;
/// Bytes of a value that a message shows.
const MOST_SHOWN: usize = 48;

/// An expression of the plan over literals of one type.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// For people: `nvarchar`, `varchar in Greek_CI_AS, code page 1253`.
    pub kind: String,
    pub read: ReadExpression,
    /// As `select::expression` takes it.
    pub bytes_of_text: &'static str,
    pub literals: Vec<Literal>,
}

/// A constant of T-SQL, and what its value must be read as.
#[derive(Debug, Clone, PartialEq)]
pub struct Literal {
    pub sql: String,
    pub expected: Expected,
}

/// What an expression over a literal must give.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// This very cell; a float by its bits.
    Cell(Cell<'static>),
    /// Zero of either sign: no page says which of them an expression of T-SQL gives.
    Zero,
    Bytes(&'static [u8]),
    /// A text, and its bytes in the encoding that is read.
    Text {
        text: String,
        bytes: Vec<u8>,
    },
    /// UTF-16 that is no whole text, which a driver cannot give.
    Broken(&'static [u8]),
    /// The text of these numbers, however many digits it has; they are separated by commas and may stand in brackets.
    Numbers(Vec<f64>),
    /// The same of one number that is a real.
    Real(f32),
}

impl Expected {
    /// A text that is read as UTF-16.
    pub fn utf16(text: &str) -> Self {
        Self::Text { text: text.to_owned(), bytes: text.encode_utf16().flat_map(u16::to_le_bytes).collect() }
    }

    pub fn is(&self, cell: Cell<'_>, read: &ReadExpression) -> bool {
        match self {
            Self::Cell(Cell::Float4(expected)) => {
                matches!(cell, Cell::Float4(value) if value.to_bits() == expected.to_bits())
            }
            Self::Cell(Cell::Float8(expected)) => {
                matches!(cell, Cell::Float8(value) if value.to_bits() == expected.to_bits())
            }
            Self::Cell(expected) => cell == *expected,
            Self::Zero => matches!(cell, Cell::Float4(0.0) | Cell::Float8(0.0)),
            Self::Bytes(expected) => matches!(cell, Cell::Bytes(bytes) if bytes == *expected),
            Self::Text { text, bytes } => {
                bytes_of(cell) == Some(if is_decoded(read) { text.as_bytes() } else { bytes.as_slice() })
            }
            Self::Broken(expected) => bytes_of(cell) == Some(*expected),
            Self::Numbers(expected) => numbers_of(cell, read).as_ref() == Some(expected),
            Self::Real(expected) => {
                matches!(numbers_of(cell, read).as_deref(), Some([value]) if (*value as f32).to_bits() == expected.to_bits())
            }
        }
    }

    /// For people.
    pub fn describe(&self, read: &ReadExpression) -> String {
        match self {
            Self::Cell(cell) => describe(*cell),
            Self::Zero => "0".to_owned(),
            Self::Bytes(bytes) | Self::Broken(bytes) => shown(bytes),
            Self::Text { text, bytes } => shown(if is_decoded(read) { text.as_bytes() } else { bytes }),
            Self::Numbers(numbers) => format!("the text of {numbers:?}"),
            Self::Real(number) => format!("the text of {number:?}"),
        }
    }
}

impl Probe {
    /// Everything in one row, so that the types of literals do not meet each other.
    pub fn sql(&self) -> String {
        let names = || (0..self.literals.len()).map(|index| format!("v{index}"));
        let read: Vec<String> = names().map(|name| select::expression(&name, &self.read, self.bytes_of_text)).collect();
        let given: Vec<String> =
            names().zip(&self.literals).map(|(name, literal)| format!("{} AS {name}", literal.sql)).collect();
        format!("SELECT {} FROM (SELECT {}) AS {LITERALS}", read.join(", "), given.join(", "))
    }

    /// The same over one literal.
    pub fn over(&self, literal: &Literal) -> Self {
        Self { literals: vec![literal.clone()], ..self.clone() }
    }

    /// The same literals, read as text by the driver.
    pub fn through_driver(&self) -> Option<Self> {
        let whole = |literal: &&Literal| !matches!(literal.expected, Expected::Broken(_));
        let literals = self.literals.iter().filter(whole).cloned().collect();
        Some(Self { read: self.read.through_driver()?, literals, ..self.clone() })
    }
}

/// What of a column decides how it is probed.
#[derive(PartialEq)]
pub struct Subject<'a> {
    pub source_type: &'a SourceType,
    pub read: &'a ReadExpression,
    pub collation: Option<&'a str>,
    /// The target keeps the text of a time, and with it the seventh digit of its fraction.
    pub keeps_all_digits: bool,
    pub bytes_of_text: &'static str,
}

impl<'a> Subject<'a> {
    pub fn column(column: &'a ColumnPlan) -> Self {
        Self {
            source_type: &column.source_type,
            read: &column.mapping.read,
            collation: column.collation.as_deref(),
            keeps_all_digits: matches!(column.mapping.logical, LogicalType::Text { .. } | LogicalType::Char { .. }),
            bytes_of_text: select::bytes_of_text(column),
        }
    }

    pub fn key(key: &'a KeyColumn) -> Self {
        Self {
            source_type: &key.source_type,
            read: &key.read,
            collation: None,
            keeps_all_digits: false,
            bytes_of_text: select::BYTES_OF_KEY,
        }
    }
}

fn is_decoded(read: &ReadExpression) -> bool {
    matches!(read, ReadExpression::TextThroughDriver { .. })
}

fn bytes_of(cell: Cell<'_>) -> Option<&[u8]> {
    match cell {
        Cell::Utf16(bytes) | Cell::Encoded(bytes, _) => Some(bytes),
        _ => None,
    }
}

fn numbers_of(cell: Cell<'_>, read: &ReadExpression) -> Option<Vec<f64>> {
    let bytes = bytes_of(cell)?;
    let text = if is_decoded(read) { String::from_utf8_lossy(bytes).into_owned() } else { utf16_lossy(bytes) };
    let numbers = text.trim_matches(['[', ']']).split(',');
    numbers.map(|number| number.trim().parse().ok()).collect()
}

/// The value for people; of texts and binary values the bytes, since those are in question.
pub fn describe(cell: Cell<'_>) -> String {
    match cell {
        Cell::Utf16(bytes) | Cell::Encoded(bytes, _) | Cell::Bytes(bytes) => shown(bytes),
        Cell::TimestampTz { .. } => cell.to_text(),
        other => other.describe(),
    }
}

fn shown(bytes: &[u8]) -> String {
    let more = if bytes.len() > MOST_SHOWN { "…" } else { "" };
    format!("0x{}{more}", hex(&bytes[..bytes.len().min(MOST_SHOWN)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::text::CodePage;

    #[test]
    fn answers_are_compared_by_their_bits() {
        let plain = ReadExpression::Plain;
        assert!(!Expected::Cell(Cell::Float8(0.0)).is(Cell::Float8(-0.0), &plain));
        assert!(Expected::Zero.is(Cell::Float8(-0.0), &plain));
        assert!(!Expected::Cell(Cell::Int(1)).is(Cell::Bool(true), &plain));
        let (bytes, driver) = (
            ReadExpression::Utf16Bytes { bytes: None },
            ReadExpression::Utf16Bytes { bytes: None }.through_driver().unwrap(),
        );
        let text = Expected::utf16("ü");
        assert!(text.is(Cell::Utf16(&[0xFC, 0]), &bytes) && !text.is(Cell::Utf16(&[0xFC]), &bytes));
        assert!(text.is(Cell::Encoded("ü".as_bytes(), CodePage::UTF_8), &driver));
        assert!(!text.is(Cell::Encoded(&[0xFC, 0], CodePage::UTF_8), &driver));
    }
}
