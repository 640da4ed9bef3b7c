//! A read expression, the literals that it is asked for over, and what must come.

use crate::cell::{Cell, hex};
use crate::plan::self_test::TestedColumn;
use crate::plan::{ColumnPlan, KeyColumn, TablePlan};
use crate::schema::SourceType;
use crate::source::sqlserver::select;
use crate::text::utf16_lossy;
use crate::type_map::{Form, ReadAs};

use super::{numbers, others, texts, times, variants};

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
    pub read: ReadAs,
    /// As `select::expression` takes it.
    bytes_of_text: &'static str,
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

    pub fn is(&self, cell: Cell<'_>, read: &ReadAs) -> bool {
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
    pub fn describe(&self, read: &ReadAs) -> String {
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
    pub read: &'a ReadAs,
    pub collation: Option<&'a str>,
    /// The target keeps the text of a time, and with it the seventh digit of its fraction.
    pub keeps_all_digits: bool,
    bytes_of_text: &'static str,
}

impl<'a> Subject<'a> {
    pub fn column(column: &'a ColumnPlan) -> Self {
        Self {
            source_type: &column.source_type,
            read: &column.mapping.read,
            collation: column.collation.as_deref(),
            keeps_all_digits: matches!(column.mapping.form, Form::Text { .. } | Form::Char { .. }),
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

    /// The name of its kind, and the constants that it is asked for over.
    pub fn literals(&self) -> (String, Vec<Literal>) {
        texts::of(self)
            .or_else(|| variants::of(self))
            .or_else(|| times::of(self))
            .or_else(|| numbers::of(self))
            .unwrap_or_else(|| others::of(self))
    }

    fn probe(&self) -> Probe {
        let (kind, literals) = self.literals();
        Probe { kind, read: self.read.clone(), bytes_of_text: self.bytes_of_text, literals }
    }
}

/// The probes that the plan needs, each once, with their columns.
pub fn of(tables: &[TablePlan]) -> Vec<(Probe, Vec<TestedColumn>)> {
    let mut found: Vec<(Probe, Vec<TestedColumn>)> = Vec::new();
    // Catalogs have many thousands of columns and few kinds of them.
    let mut known: Vec<(Subject<'_>, usize)> = Vec::new();
    for table in tables {
        // What a mask shows has no literal.
        let columns = table.columns.iter().filter(|column| !column.masked);
        let columns = columns.map(|column| (column.source.as_str(), Subject::column(column)));
        let keys = table.chunk_key.iter().map(|key| (key.name.as_str(), Subject::key(key)));
        for (name, subject) in columns.chain(keys) {
            let read = subject.read.clone();
            let place_of = known.iter().find(|(other, _)| *other == subject).map(|(_, index)| *index);
            let index = place_of.unwrap_or_else(|| {
                let index = place(&mut found, subject.probe());
                known.push((subject, index));
                index
            });
            let columns = &mut found[index].1;
            let column = TestedColumn { table: table.source.clone(), column: name.to_owned(), read };
            // A key's column is mostly a column that is copied, too.
            if !columns.iter().rev().take_while(|other| other.table == table.source).any(|other| *other == column) {
                columns.push(column);
            }
        }
    }
    found
}

/// The place of a probe that asks the same. A column's length is in its read expression and not in the SQL.
fn place(found: &mut Vec<(Probe, Vec<TestedColumn>)>, probe: Probe) -> usize {
    let sql = probe.sql();
    found.iter().position(|(other, _)| other.kind == probe.kind && other.sql() == sql).unwrap_or_else(|| {
        found.push((probe, Vec::new()));
        found.len() - 1
    })
}

fn is_decoded(read: &ReadAs) -> bool {
    matches!(read, ReadAs::TextThroughDriver { .. })
}

fn bytes_of(cell: Cell<'_>) -> Option<&[u8]> {
    match cell {
        Cell::Utf16(bytes) | Cell::Encoded(bytes, _) => Some(bytes),
        _ => None,
    }
}

fn numbers_of(cell: Cell<'_>, read: &ReadAs) -> Option<Vec<f64>> {
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
    use crate::config::Engine;
    use crate::load::TextPolicy;
    use crate::schema::{CodePageOrName, Length};
    use crate::text::CodePage;
    use crate::type_map::map;

    fn column(source_type: SourceType) -> ColumnPlan {
        ColumnPlan {
            source: "c".to_owned(),
            target: "c".to_owned(),
            declared: String::new(),
            mapping: map(&source_type, Engine::Postgres).unwrap(),
            source_type,
            nullable: true,
            masked: false,
            only_counted: false,
            computed: false,
            identity: None,
            policy: TextPolicy::default(),
            collation: Some("Greek_CI_AS".to_owned()),
        }
    }

    /// One of each type of the source, with the kind that it is probed as.
    fn types() -> Vec<(SourceType, &'static str)> {
        use SourceType as S;
        let greek = || CodePageOrName::Known(CodePage::new(1253).unwrap());
        vec![
            (S::Bit, "bit"),
            (S::TinyInt, "tinyint"),
            (S::SmallInt, "smallint"),
            (S::Int, "int"),
            (S::BigInt, "bigint"),
            (S::Decimal { precision: 12, scale: 3 }, "decimal"),
            (S::Money, "money"),
            (S::SmallMoney, "smallmoney"),
            (S::Real, "real"),
            (S::Float, "float"),
            (S::Date, "date"),
            (S::Time { digits: 7 }, "time(7)"),
            (S::DateTime, "datetime"),
            (S::SmallDateTime, "smalldatetime"),
            (S::DateTime2 { digits: 3 }, "datetime2(3)"),
            (S::DateTimeOffset { digits: 0 }, "datetimeoffset(0)"),
            (S::Char { bytes: 3, code_page: greek() }, "char in Greek_CI_AS, code page 1253"),
            (S::VarChar { bytes: Length::Limited(9), code_page: greek() }, "varchar in Greek_CI_AS, code page 1253"),
            (S::VarChar { bytes: Length::Max, code_page: greek() }, "varchar(max) in Greek_CI_AS, code page 1253"),
            (S::Text { code_page: greek() }, "text in Greek_CI_AS, code page 1253"),
            (S::NChar { units: 3 }, "nchar"),
            (S::NVarChar { units: Length::Limited(9) }, "nvarchar"),
            (S::NVarChar { units: Length::Max }, "nvarchar(max)"),
            (S::NText, "ntext"),
            (S::Binary { bytes: 9 }, "binary"),
            (S::VarBinary { bytes: Length::Limited(9) }, "varbinary"),
            (S::VarBinary { bytes: Length::Max }, "varbinary(max)"),
            (S::Image, "image"),
            (S::UniqueIdentifier, "uniqueidentifier"),
            (S::Xml, "xml"),
            (S::RowVersion, "rowversion"),
            (S::SqlVariant, "sql_variant"),
            (S::HierarchyId, "hierarchyid"),
            (S::Geometry, "geometry"),
            (S::Geography, "geography"),
            (S::Json, "json"),
            (S::Vector { dimensions: Some(3) }, "vector"),
            (S::Clr("dbo.Point".to_owned()), "a CLR type's stored bytes"),
        ]
    }

    #[test]
    fn every_type_is_probed_as_itself_and_with_null() {
        for (source_type, kind) in types() {
            let probe = Subject::column(&column(source_type.clone())).probe();
            assert_eq!(probe.kind, kind);
            assert!(probe.literals.len() > 1, "{kind} is asked for over NULL alone");
            assert!(probe.literals.iter().any(|literal| literal.expected == Expected::Cell(Cell::Null)), "{kind}");
            let falls_back = matches!(source_type, SourceType::Clr(_));
            assert_eq!(probe.kind.starts_with("a CLR"), falls_back, "{kind}");
        }
    }

    #[test]
    fn text_has_another_way_and_nothing_else_has() {
        for (source_type, kind) in types() {
            let probe = Subject::column(&column(source_type)).probe();
            let is_text = ["char", "text", "xml", "json", "vector", "hierarchyid", "geo", "sql_variant"]
                .iter()
                .any(|part| kind.contains(part));
            let other = probe.through_driver();
            assert_eq!(other.is_some(), is_text, "{kind}");
            // Half a character has no text.
            let broken = |literal: &Literal| matches!(literal.expected, Expected::Broken(_));
            assert!(other.is_none_or(|other| !other.literals.iter().any(broken)), "{kind}");
        }
    }

    #[test]
    fn a_kind_is_asked_for_once_whatever_the_lengths() {
        let short = Subject::column(&column(SourceType::NVarChar { units: Length::Limited(9) })).probe();
        let long = Subject::column(&column(SourceType::NVarChar { units: Length::Limited(90) })).probe();
        let wide = Subject::column(&column(SourceType::NVarChar { units: Length::Limited(4000) })).probe();
        assert!(short.sql().starts_with("SELECT CAST([v0] AS varbinary(8000)), "), "{}", short.sql());
        // The longest is read whole, by another expression.
        assert!(wide.sql().starts_with("SELECT CAST([v0] AS varbinary(max)), "), "{}", wide.sql());
        let mut found = Vec::new();
        assert_eq!([short, long, wide].map(|probe| place(&mut found, probe)), [0, 0, 1]);
    }

    #[test]
    fn answers_are_compared_by_their_bits() {
        let plain = ReadAs::Plain;
        assert!(!Expected::Cell(Cell::Float8(0.0)).is(Cell::Float8(-0.0), &plain));
        assert!(Expected::Zero.is(Cell::Float8(-0.0), &plain));
        assert!(!Expected::Cell(Cell::Int(1)).is(Cell::Bool(true), &plain));
        let (bytes, driver) =
            (ReadAs::Utf16Bytes { bytes: None }, ReadAs::Utf16Bytes { bytes: None }.through_driver().unwrap());
        let text = Expected::utf16("ü");
        assert!(text.is(Cell::Utf16(&[0xFC, 0]), &bytes) && !text.is(Cell::Utf16(&[0xFC]), &bytes));
        assert!(text.is(Cell::Encoded("ü".as_bytes(), CodePage::UTF_8), &driver));
        assert!(!text.is(Cell::Encoded(&[0xFC, 0], CodePage::UTF_8), &driver));
    }
}
