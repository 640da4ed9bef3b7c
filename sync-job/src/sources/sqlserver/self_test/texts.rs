//! Literals of text: every Unicode type, and `char`, `varchar` and `text` in the code pages of the plan's collations.
//!
//! "nchar and nvarchar (Transact-SQL)": they are UTF-16 (UCS-2 without a supplementary-character collation), so that their bytes
//! are UTF-16LE; "Collation and Unicode support": `char` and `varchar` are in the code page of their collation; "binary and
//! varbinary (Transact-SQL)": a conversion from characters keeps the bytes.

use crate::model::schema::{Length, SourceType};
use crate::plan::type_map::ReadExpression;
use crate::rows::cell::Cell;
use crate::rows::text::CodePage;
use crate::sources::sqlserver::quote;

use super::probe::{Expected, LONG, Literal, Subject};

/// Of every length modulo 2, empty, with blanks at the end, and beyond U+FFFF.
const TEXTS: [&str; 7] = ["", "a", "two  ", "Grün", "Ελ", "日本 🦀", "e\u{301}\u{FEFF}"];

/// Units of a fixed-length literal.
const FIXED: usize = 12;

/// The first half of a surrogate pair, by its bytes. Without a supplementary-character collation LEFT counts the halves ("LEFT
/// (Transact-SQL)").
const HALF: &str = "LEFT(N'🦀' COLLATE Latin1_General_BIN, 1)";
const HALF_BYTES: &[u8] = &[0x3E, 0xD8];

/// A text that its code page alone makes of these bytes, from Microsoft's tables of code pages (Unicode's site has them below
/// "Mappings/VENDORS/MICSFT").
const CODE_PAGES: [(u16, &str, &[u8]); 17] = [
    (437, "αï≈", &[0xE0, 0x8B, 0xF7]),
    (850, "Øð▓", &[0x9D, 0xD0, 0xB2]),
    (874, "สวัสดี", &[0xCA, 0xC7, 0xD1, 0xCA, 0xB4, 0xD5]),
    (932, "日本ｶﾅ", &[0x93, 0xFA, 0x96, 0x7B, 0xB6, 0xC5]),
    (936, "中文国", &[0xD6, 0xD0, 0xCE, 0xC4, 0xB9, 0xFA]),
    (949, "한국어", &[0xC7, 0xD1, 0xB1, 0xB9, 0xBE, 0xEE]),
    (950, "繁體", &[0xC1, 0x63, 0xC5, 0xE9]),
    (1250, "Łžő", &[0xA3, 0x9E, 0xF5]),
    (1251, "Привет", &[0xCF, 0xF0, 0xE8, 0xE2, 0xE5, 0xF2]),
    (1252, "é€ßð", &[0xE9, 0x80, 0xDF, 0xF0]),
    (1253, "Ωά€", &[0xD9, 0xDC, 0x80]),
    (1254, "İğş", &[0xDD, 0xF0, 0xFE]),
    (1255, "שלום", &[0xF9, 0xEC, 0xE5, 0xED]),
    (1256, "سلام", &[0xD3, 0xE1, 0xC7, 0xE3]),
    (1257, "Āķž", &[0xC2, 0xED, 0xFE]),
    (1258, "đơư₫", &[0xF0, 0xF5, 0xFD, 0xFE]),
    (65001, "é€🦀", &[0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0xA6, 0x80]),
];

/// The literals of a type of text; `None` for other types.
pub fn of(subject: &Subject<'_>) -> Option<(String, Vec<Literal>)> {
    use SourceType as S;
    let typed = |name: &str, length: Length| match length {
        Length::Limited(_) => (name.to_owned(), format!("{name}(40)")),
        Length::Max => (format!("{name}(max)"), format!("{name}(max)")),
    };
    Some(match (subject.source_type, subject.read) {
        (S::Char { .. }, ReadExpression::CodePageBytes { code_page, .. }) => {
            encoded("char", *code_page, subject.collation, |text| cast(&text, "char(12)"), FIXED)
        }
        (S::VarChar { bytes, .. }, ReadExpression::CodePageBytes { code_page, .. }) => {
            let (kind, declared) = typed("varchar", *bytes);
            let (kind, mut literals) = encoded(&kind, *code_page, subject.collation, |text| cast(&text, &declared), 0);
            literals.extend((*bytes == Length::Max).then(|| long("varchar(max)", "varchar(max)")));
            (kind, literals)
        }
        (S::Text { .. }, ReadExpression::TextBytes { code_page }) => {
            let declared = |text: String| cast(&text, "varchar(40)");
            let (kind, mut literals) = encoded("text", *code_page, subject.collation, declared, 0);
            literals.push(long("varchar(max)", "varchar(max)"));
            (kind, legacy(literals, subject.collation, "text"))
        }
        (S::NChar { .. }, ReadExpression::Utf16Bytes { .. }) => ("nchar".to_owned(), unicode("nchar(12)", FIXED)),
        (S::NVarChar { units }, ReadExpression::Utf16Bytes { .. }) => {
            let (kind, declared) = typed("nvarchar", *units);
            let mut literals = unicode(&declared, 0);
            literals.extend((*units == Length::Max).then(|| long("nvarchar(max)", &declared)));
            literals.push(Literal { sql: cast(HALF, &declared), expected: Expected::Broken(HALF_BYTES) });
            (kind, literals)
        }
        (S::NText, _) => {
            let mut literals = unicode("nvarchar(max)", 0);
            literals.push(long("nvarchar(max)", "nvarchar(max)"));
            ("ntext".to_owned(), legacy(literals, subject.collation, "ntext"))
        }
        (S::Xml, _) => ("xml".to_owned(), xml()),
        (S::Json, _) => ("json".to_owned(), json()),
        (S::Vector { .. }, _) => ("vector".to_owned(), vector()),
        _ => return None,
    })
}

/// The same as text or ntext, under a collation that these take: where the database's own is of UTF-8 or supplementary characters, they
/// are refused under it (error 4189, "legacy LOB types do not support UTF-8 or UTF-16 encodings").
fn legacy(literals: Vec<Literal>, collation: Option<&str>, declared: &str) -> Vec<Literal> {
    let collation = collation.filter(is_name).unwrap_or("Latin1_General_CI_AS");
    let of =
        |literal: Literal| Literal { sql: cast(&format!("{} COLLATE {collation}", literal.sql), declared), ..literal };
    literals.into_iter().map(of).collect()
}

/// Whether a collation may stand in a statement as it is.
fn is_name(name: &&str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn cast(value: &str, declared: &str) -> String {
    format!("CAST({value} AS {declared})")
}

/// A text that is longer than what fits into a row.
fn long(made_as: &str, declared: &str) -> Literal {
    let text = "x".repeat(LONG);
    let sql = cast(&format!("REPLICATE(CAST('x' AS {made_as}), {LONG})"), declared);
    let is_unicode = made_as.starts_with('n');
    let expected =
        if is_unicode { Expected::utf16(&text) } else { Expected::Text { bytes: text.clone().into_bytes(), text } };
    Literal { sql, expected }
}

fn null(declared: &str) -> Literal {
    Literal { sql: cast("NULL", declared), expected: Expected::Cell(Cell::Null) }
}

/// Texts of a Unicode type; one of a fixed length has blanks up to it.
fn unicode(declared: &str, length: usize) -> Vec<Literal> {
    let text = |text: &str| {
        let blanks = length.saturating_sub(text.encode_utf16().count());
        let expected = Expected::utf16(&format!("{text}{}", " ".repeat(blanks)));
        Literal { sql: cast(&quote::literal(text), declared), expected }
    };
    TEXTS.iter().map(|own| text(own)).chain([null(declared)]).collect()
}

/// Texts in a code page, by way of a column's own collation. A key that is not copied has none here: its bounds are ASCII.
fn encoded(
    kind: &str,
    code_page: CodePage,
    collation: Option<&str>,
    declared: impl Fn(String) -> String,
    length: usize,
) -> (String, Vec<Literal>) {
    let collation = collation.filter(is_name);
    let collated = |text: &str| match collation {
        Some(name) => format!("{} COLLATE {name}", quote::literal(text)),
        None => quote::literal(text),
    };
    let literal = |text: &str, bytes: &[u8]| {
        let blanks = " ".repeat(length.saturating_sub(bytes.len()));
        let expected = Expected::Text { text: format!("{text}{blanks}"), bytes: [bytes, blanks.as_bytes()].concat() };
        Literal { sql: declared(collated(text)), expected }
    };
    let mut literals: Vec<Literal> = ["", "a", "two  "].iter().map(|text| literal(text, text.as_bytes())).collect();
    let own = CODE_PAGES.iter().find(|(number, ..)| *number == code_page.number());
    if let (Some((_, text, bytes)), Some(_)) = (own, collation) {
        literals.push(literal(text, bytes));
    }
    literals.push(Literal { sql: declared("NULL".to_owned()), expected: Expected::Cell(Cell::Null) });
    let place = collation.map(|name| format!(" in {name}, code page {}", code_page.number())).unwrap_or_default();
    (format!("{kind}{place}"), literals)
}

/// An element keeps its quotes and its text ("Create instances of XML data"); what is an instance of nothing is empty.
fn xml() -> Vec<Literal> {
    let text = |text: &str| Literal { sql: cast(&quote::literal(text), "xml"), expected: Expected::utf16(text) };
    vec![text("<a b=\"1\">Grün 🦀</a>"), text("<a>x</a>"), text(""), null("xml")]
}

/// An empty array has one spelling. Other texts stand for those of json, whose form the server chooses.
fn json() -> Vec<Literal> {
    let empty = Literal { sql: cast("N'[]'", "json"), expected: Expected::utf16("[]") };
    [empty, null("json")].into_iter().chain(unicode("nvarchar(max)", 0)).collect()
}

/// A vector's text is its numbers; in how many digits is the server's choice ("Vector data type").
fn vector() -> Vec<Literal> {
    let numbers = Literal { sql: cast("N'[1,-2.5]'", "vector(2)"), expected: Expected::Numbers(vec![1.0, -2.5]) };
    vec![numbers, null("vector(2)")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(number: u16, bytes: &[u8]) -> Option<(String, u64)> {
        let mut out = Vec::new();
        let replaced = CodePage::new(number)?.decode_into(bytes, &mut out);
        Some((String::from_utf8(out).unwrap(), replaced))
    }

    #[test]
    fn every_code_page_has_a_text_that_no_other_reads_from_its_bytes() {
        let known: Vec<u16> = (0..=u16::MAX).filter(|number| CodePage::new(*number).is_some()).collect();
        assert_eq!(known, CODE_PAGES.map(|(number, ..)| number));
        for (number, text, bytes) in CODE_PAGES {
            for other in &known {
                let is_own = decoded(*other, bytes) == Some((text.to_owned(), 0));
                assert_eq!(is_own, *other == number, "the text of {number} read in {other}");
            }
        }
    }
}
