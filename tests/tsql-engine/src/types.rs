//! Types by name, their catalog facts, and collations.

use encoding_rs::Encoding;

use crate::ast::TypeName;
use crate::value::{Collation, Len, SqlError, SqlType};

impl Collation {
    /// The code page of char and varchar under this collation.
    pub fn code_page(&self) -> u16 {
        let name = self.0.to_lowercase();
        let starts = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
        if name.contains("_utf8") {
            65001
        } else if name.contains("_cp437_") {
            437
        } else if name.contains("_cp850_") {
            850
        } else if starts(&["cyrillic", "ukrainian", "macedonian"]) {
            1251
        } else if starts(&["japanese"]) {
            932
        } else if starts(&["chinese_prc", "chinese_simplified"]) {
            936
        } else if starts(&["korean"]) {
            949
        } else if starts(&["chinese_taiwan", "chinese_hong", "chinese_traditional"]) {
            950
        } else if starts(&["czech", "polish", "hungarian", "slovak", "croatian", "romanian", "albanian"]) {
            1250
        } else if starts(&["greek"]) {
            1253
        } else if starts(&["turkish"]) {
            1254
        } else if starts(&["hebrew"]) {
            1255
        } else if starts(&["arabic"]) {
            1256
        } else if starts(&["lithuanian", "latvian", "estonian"]) {
            1257
        } else if starts(&["vietnamese"]) {
            1258
        } else if starts(&["thai"]) {
            874
        } else {
            1252
        }
    }

    fn encoding(&self) -> Option<&'static Encoding> {
        Some(match self.code_page() {
            65001 => encoding_rs::UTF_8,
            874 => encoding_rs::WINDOWS_874,
            932 => encoding_rs::SHIFT_JIS,
            936 => encoding_rs::GBK,
            949 => encoding_rs::EUC_KR,
            950 => encoding_rs::BIG5,
            1250 => encoding_rs::WINDOWS_1250,
            1251 => encoding_rs::WINDOWS_1251,
            1252 => encoding_rs::WINDOWS_1252,
            1253 => encoding_rs::WINDOWS_1253,
            1254 => encoding_rs::WINDOWS_1254,
            1255 => encoding_rs::WINDOWS_1255,
            1256 => encoding_rs::WINDOWS_1256,
            1257 => encoding_rs::WINDOWS_1257,
            1258 => encoding_rs::WINDOWS_1258,
            _ => return None,
        })
    }

    /// The text in this code page, or nothing if a character is not in it.
    pub fn encode(&self, text: &str) -> Option<Vec<u8>> {
        if text.is_ascii() {
            return Some(text.as_bytes().to_vec());
        }
        let (bytes, _, lossy) = self.encoding()?.encode(text);
        (!lossy).then(|| bytes.into_owned())
    }

    pub fn decode(&self, bytes: &[u8]) -> String {
        if bytes.is_ascii() {
            return String::from_utf8_lossy(bytes).into_owned();
        }
        self.encoding().map_or_else(
            || bytes.iter().map(|byte| char::from(*byte)).collect(),
            |encoding| encoding.decode_without_bom_handling(bytes).0.into_owned(),
        )
    }

    pub fn ignores_case(&self) -> bool {
        self.0.contains("_CI")
    }
}

/// Base type names with their ids in `sys.types`.
pub const SYSTEM_TYPES: [(&str, i32); 36] = [
    ("image", 34),
    ("text", 35),
    ("uniqueidentifier", 36),
    ("date", 40),
    ("time", 41),
    ("datetime2", 42),
    ("datetimeoffset", 43),
    ("tinyint", 48),
    ("smallint", 52),
    ("int", 56),
    ("smalldatetime", 58),
    ("real", 59),
    ("money", 60),
    ("datetime", 61),
    ("float", 62),
    ("sql_variant", 98),
    ("ntext", 99),
    ("bit", 104),
    ("decimal", 106),
    ("numeric", 108),
    ("smallmoney", 122),
    ("bigint", 127),
    ("varbinary", 165),
    ("varchar", 167),
    ("binary", 173),
    ("char", 175),
    ("timestamp", 189),
    ("nvarchar", 231),
    ("nchar", 239),
    ("xml", 241),
    ("json", 244),
    ("vector", 255),
    ("sysname", 256),
    ("hierarchyid", 128),
    ("geometry", 129),
    ("geography", 130),
];

/// A declared type: what values are, and what the catalog calls it.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    pub sql_type: SqlType,
    /// The name in `sys.types`, such as `json`, which clients see as nvarchar(max).
    pub name: String,
    /// The alias type's schema and name.
    pub alias: Option<(String, String)>,
}

/// The type of a system type name.
pub fn system_type(written: &TypeName, collation: &Collation) -> Result<Declared, SqlError> {
    let name = written.name.last().cloned().unwrap_or_default().to_lowercase();
    let argument = |index: usize| written.arguments.get(index).and_then(|text| text.parse::<u16>().ok());
    let max = written.arguments.first().is_some_and(|text| text == "max");
    let n = |default: u16| if max { Len::Max } else { Len::N(argument(0).unwrap_or(default)) };
    let fixed = |default: u16| argument(0).unwrap_or(default);
    let collation = || collation.clone();
    let digits = |default: u8| argument(0).map_or(default, |digits| digits as u8);
    let mut catalog = name.clone();
    let sql_type = match name.as_str() {
        "bit" => SqlType::Bit,
        "tinyint" => SqlType::TinyInt,
        "smallint" => SqlType::SmallInt,
        "int" | "integer" => {
            catalog = "int".to_owned();
            SqlType::Int
        }
        "bigint" => SqlType::BigInt,
        "decimal" | "dec" | "numeric" => {
            let (precision, scale) = (digits(18), argument(1).unwrap_or(0) as u8);
            if name == "numeric" {
                SqlType::Numeric { precision, scale }
            } else {
                SqlType::Decimal { precision, scale }
            }
        }
        "money" => SqlType::Money,
        "smallmoney" => SqlType::SmallMoney,
        "real" => SqlType::Real,
        "float" if argument(0).is_some_and(|bits| bits <= 24) => {
            catalog = "real".to_owned();
            SqlType::Real
        }
        "float" => SqlType::Float,
        "date" => SqlType::Date,
        "time" => SqlType::Time { scale: digits(7) },
        "datetime" => SqlType::DateTime,
        "smalldatetime" => SqlType::SmallDateTime,
        "datetime2" => SqlType::DateTime2 { scale: digits(7) },
        "datetimeoffset" => SqlType::DateTimeOffset { scale: digits(7) },
        "char" => SqlType::Char { len: fixed(1), collation: collation() },
        "varchar" => SqlType::VarChar { len: n(1), collation: collation() },
        "nchar" => SqlType::NChar { len: fixed(1), collation: collation() },
        "nvarchar" => SqlType::NVarChar { len: n(1), collation: collation() },
        "sysname" => SqlType::NVarChar { len: Len::N(128), collation: collation() },
        "text" => SqlType::Text { collation: collation() },
        "ntext" => SqlType::NText { collation: collation() },
        "binary" => SqlType::Binary { len: fixed(1) },
        "varbinary" => SqlType::VarBinary { len: n(1) },
        "image" => SqlType::Image,
        "uniqueidentifier" => SqlType::UniqueIdentifier,
        "xml" => SqlType::Xml,
        "rowversion" | "timestamp" => {
            catalog = "timestamp".to_owned();
            SqlType::RowVersion
        }
        "sql_variant" => SqlType::SqlVariant,
        "hierarchyid" | "geometry" | "geography" => SqlType::Udt { name: name.clone() },
        "json" | "vector" => SqlType::NVarChar { len: Len::Max, collation: collation() },
        _ => return Err(SqlError::new(243, 16, format!("Type {name} is not a defined system type."))),
    };
    Ok(Declared { sql_type, name: catalog, alias: None })
}

/// `max_length`, `precision` and `scale` as `sys.columns` has them.
pub fn catalog_lengths(declared: &Declared, vector_dimensions: Option<u16>) -> (i16, u8, u8) {
    let bytes = |len: &Len, unit: i16| match len {
        Len::N(n) => *n as i16 * unit,
        Len::Max => -1,
    };
    if declared.name == "vector" {
        return (vector_dimensions.map_or(8, |dimensions| dimensions as i16 * 4 + 8), 0, 0);
    }
    match &declared.sql_type {
        SqlType::Bit | SqlType::TinyInt => (1, if declared.name == "bit" { 1 } else { 3 }, 0),
        SqlType::SmallInt => (2, 5, 0),
        SqlType::Int => (4, 10, 0),
        SqlType::BigInt => (8, 19, 0),
        SqlType::Real => (4, 24, 0),
        SqlType::Float => (8, 53, 0),
        SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale } => {
            let bytes = match precision {
                0..=9 => 5,
                10..=19 => 9,
                20..=28 => 13,
                _ => 17,
            };
            (bytes, *precision, *scale)
        }
        SqlType::Money => (8, 19, 4),
        SqlType::SmallMoney => (4, 10, 4),
        SqlType::Date => (3, 10, 0),
        SqlType::Time { scale } => (5, 16, *scale),
        SqlType::DateTime => (8, 23, 3),
        SqlType::SmallDateTime => (4, 16, 0),
        SqlType::DateTime2 { scale } => (8, 27, *scale),
        SqlType::DateTimeOffset { scale } => (10, 34, *scale),
        SqlType::Char { len, .. } | SqlType::Binary { len } => (*len as i16, 0, 0),
        SqlType::VarChar { len, .. } | SqlType::VarBinary { len } => (bytes(len, 1), 0, 0),
        SqlType::NChar { len, .. } => (*len as i16 * 2, 0, 0),
        SqlType::NVarChar { len, .. } => (bytes(len, 2), 0, 0),
        SqlType::Text { .. } | SqlType::NText { .. } | SqlType::Image | SqlType::UniqueIdentifier => (16, 0, 0),
        SqlType::RowVersion => (8, 0, 0),
        SqlType::SqlVariant => (8016, 0, 0),
        SqlType::Udt { name } if name == "hierarchyid" => (892, 0, 0),
        SqlType::Xml | SqlType::Udt { .. } => (-1, 0, 0),
    }
}

/// The collation of a character type.
pub fn collation_of(sql_type: &SqlType) -> Option<&Collation> {
    match sql_type {
        SqlType::Char { collation, .. }
        | SqlType::VarChar { collation, .. }
        | SqlType::NChar { collation, .. }
        | SqlType::NVarChar { collation, .. }
        | SqlType::Text { collation }
        | SqlType::NText { collation } => Some(collation),
        _ => None,
    }
}
