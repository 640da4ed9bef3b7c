//! Literals of the remaining types: bytes, uniqueidentifier, hierarchyid, spatial types, and what else the CLR stores.

use crate::model::schema::{Length, SourceType};
use crate::rows::cell::Cell;

use super::probe::{Expected, LONG, Literal, Subject};

/// The literals of a type that is neither text nor a number nor a time.
pub fn of(subject: &Subject<'_>) -> (String, Vec<Literal>) {
    use SourceType as S;
    let (kind, declared, mut literals) = match subject.source_type {
        S::Binary { .. } => ("binary", "binary(4)", binaries()),
        S::VarBinary { bytes: Length::Limited(_) } => ("varbinary", "varbinary(40)", varbinaries("varbinary(40)")),
        S::VarBinary { bytes: Length::Max } => ("varbinary(max)", "varbinary(max)", varbinaries("varbinary(max)")),
        S::Image => ("image", "image", varbinaries("image")),
        S::RowVersion => ("rowversion", "timestamp", vec![row_version()]),
        S::UniqueIdentifier => ("uniqueidentifier", "uniqueidentifier", identifiers()),
        S::HierarchyId => ("hierarchyid", "hierarchyid", paths()),
        S::Geometry => ("geometry", "geometry", shapes("geometry")),
        S::Geography => ("geography", "geography", shapes("geography")),
        // Of the types that are read as stored bytes, the one that every server has.
        _ => ("a CLR type's stored bytes", "hierarchyid", stored_paths()),
    };
    literals.push(Literal { sql: format!("CAST(NULL AS {declared})"), expected: Expected::Cell(Cell::Null) });
    (kind.to_owned(), literals)
}

fn bytes(sql: String, bytes: &'static [u8]) -> Literal {
    Literal { sql, expected: Expected::Bytes(bytes) }
}

/// "Padded to the right" where the value is shorter ("binary and varbinary (Transact-SQL)").
fn binaries() -> Vec<Literal> {
    [("0xFF00FF80", &[0xFF, 0x00, 0xFF, 0x80]), ("0x01", &[1, 0, 0, 0])]
        .map(|(sql, expected)| bytes(format!("CAST({sql} AS binary(4))"), expected))
        .into()
}

fn varbinaries(declared: &str) -> Vec<Literal> {
    let values: [(&str, &[u8]); 4] = [
        ("0x", &[]),
        ("0x00", &[0]),
        ("0x00FF800D0A1A5C", &[0, 0xFF, 0x80, 0x0D, 0x0A, 0x1A, 0x5C]),
        ("0x4120", b"A "),
    ];
    let mut literals: Vec<Literal> =
        values.map(|(sql, expected)| bytes(format!("CAST({sql} AS {declared})"), expected)).into();
    if declared != "varbinary(40)" {
        let long = format!("CAST(CAST(REPLICATE(CAST('x' AS varchar(max)), {LONG}) AS varbinary(max)) AS {declared})");
        literals.push(bytes(long, &[b'x'; LONG]));
    }
    literals
}

fn row_version() -> Literal {
    bytes("CAST(0x00000000000007D1 AS timestamp)".to_owned(), &[0, 0, 0, 0, 0, 0, 0x07, 0xD1])
}

/// The first three groups are numbers, which the protocol sends with their low bytes first (MS-TDS 2.2.5.5.1.6); the text has
/// them high bytes first.
fn identifiers() -> Vec<Literal> {
    [
        ("01020304-0506-0708-090A-0B0C0D0E0F10", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
        ("00000000-0000-0000-0000-000000000000", [0; 16]),
        ("FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", [0xFF; 16]),
    ]
    .map(|(text, value)| Literal {
        sql: format!("CAST('{text}' AS uniqueidentifier)"),
        expected: Expected::Cell(Cell::Uuid(value)),
    })
    .into()
}

/// "hierarchyid data type method reference": ToString gives the canonical path.
fn paths() -> Vec<Literal> {
    ["/", "/1/20/3/", "/-1/2.5/"]
        .map(|path| Literal { sql: format!("CAST('{path}' AS hierarchyid)"), expected: Expected::utf16(path) })
        .into()
}

/// The bytes that "Tutorial: Using the hierarchyid data type" shows of these paths.
fn stored_paths() -> Vec<Literal> {
    let values: [(&str, &[u8]); 3] = [("/", &[]), ("/1/", &[0x58]), ("/1/1/", &[0x5A, 0xC0])];
    values.map(|(path, expected)| bytes(format!("CAST('{path}' AS hierarchyid)"), expected)).into()
}

/// "STGeomFromText" and "AsTextZM": well-known text with Z and M, of numbers that are exact in binary.
fn shapes(declared: &str) -> Vec<Literal> {
    ["POINT (13.25 52.5)", "LINESTRING (0 0, 1 1.5)", "POINT (1 2 3 4)"]
        .map(|text| Literal {
            sql: format!("{declared}::STGeomFromText('{text}', 4326)"),
            expected: Expected::utf16(&format!("SRID=4326;{text}")),
        })
        .into()
}
