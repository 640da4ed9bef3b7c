//! Names, sizes and ranks of SQL Server's types: how they are written in T-SQL and what `sys.types` says of them.

use crate::error::error;
use crate::value::{Collation, Len, SqlError, SqlType};

/// The server's collation, and that of every database made without one.
pub const DEFAULT_COLLATION: &str = "SQL_Latin1_General_CP1_CI_AS";

/// Rows of `sys.types`: name, system_type_id, user_type_id, max_length, precision, scale, is a string.
pub const SYSTEM_TYPES: &[(&str, i32, i32, i32, i32, i32, bool)] = &[
    ("image", 34, 34, 16, 0, 0, false),
    ("text", 35, 35, 16, 0, 0, true),
    ("uniqueidentifier", 36, 36, 16, 0, 0, false),
    ("date", 40, 40, 3, 10, 0, false),
    ("time", 41, 41, 5, 16, 7, false),
    ("datetime2", 42, 42, 8, 27, 7, false),
    ("datetimeoffset", 43, 43, 10, 34, 7, false),
    ("tinyint", 48, 48, 1, 3, 0, false),
    ("smallint", 52, 52, 2, 5, 0, false),
    ("int", 56, 56, 4, 10, 0, false),
    ("smalldatetime", 58, 58, 4, 16, 0, false),
    ("real", 59, 59, 4, 24, 0, false),
    ("money", 60, 60, 8, 19, 4, false),
    ("datetime", 61, 61, 8, 23, 3, false),
    ("float", 62, 62, 8, 53, 0, false),
    ("sql_variant", 98, 98, 8016, 0, 0, false),
    ("ntext", 99, 99, 16, 0, 0, true),
    ("bit", 104, 104, 1, 1, 0, false),
    ("decimal", 106, 106, 17, 38, 38, false),
    ("numeric", 108, 108, 17, 38, 38, false),
    ("smallmoney", 122, 122, 4, 10, 4, false),
    ("bigint", 127, 127, 8, 19, 0, false),
    ("hierarchyid", 240, 128, 892, 0, 0, false),
    ("geometry", 240, 129, -1, 0, 0, false),
    ("geography", 240, 130, -1, 0, 0, false),
    ("varbinary", 165, 165, 8000, 0, 0, false),
    ("varchar", 167, 167, 8000, 0, 0, true),
    ("binary", 173, 173, 8000, 0, 0, false),
    ("char", 175, 175, 8000, 0, 0, true),
    ("timestamp", 189, 189, 8, 0, 0, false),
    ("nvarchar", 231, 231, 8000, 0, 0, true),
    ("nchar", 239, 239, 8000, 0, 0, true),
    ("xml", 241, 241, -1, 0, 0, false),
    ("sysname", 231, 256, 256, 0, 0, true),
    ("json", 244, 244, -1, 0, 0, false),
    ("vector", 165, 255, 8000, 0, 0, false),
];

/// A type as T-SQL text (`decimal(15, 2)`), with the collation that its strings get.
///
/// `bare` is the length of a string type written without one: 30 in a cast, 1 in a declaration.
pub fn parse_type(text: &str, collation: &str, bare: u16) -> Result<SqlType, SqlError> {
    let lower = text.trim().to_ascii_lowercase().replace(['[', ']', '"'], "");
    let (name, arguments) = match lower.split_once('(') {
        Some((name, rest)) => (name.trim().to_owned(), rest.trim_end_matches(')').to_owned()),
        None => (lower.clone(), String::new()),
    };
    let name = name.strip_prefix("sys.").unwrap_or(&name).to_owned();
    let numbers: Vec<u16> = arguments.split(',').filter_map(|part| part.trim().parse().ok()).collect();
    let max = arguments.trim() == "max";
    let first = numbers.first().copied();
    let collation = || Collation(collation.to_owned());
    let length = || if max { Len::Max } else { Len::N(first.unwrap_or(bare)) };
    let fixed = first.unwrap_or(bare);
    let scale = |default: u8| first.map_or(default, |n| n.min(7) as u8);
    Ok(match name.as_str() {
        "bit" => SqlType::Bit,
        "tinyint" => SqlType::TinyInt,
        "smallint" => SqlType::SmallInt,
        "int" | "integer" => SqlType::Int,
        "bigint" => SqlType::BigInt,
        "real" => SqlType::Real,
        "float" | "double precision" if first.is_some_and(|bits| bits <= 24) => SqlType::Real,
        "float" | "double precision" | "double" => SqlType::Float,
        "decimal" | "dec" | "numeric" => {
            let precision = first.unwrap_or(18).min(38) as u8;
            let scale = numbers.get(1).copied().unwrap_or(0).min(38) as u8;
            if name == "numeric" {
                SqlType::Numeric { precision, scale }
            } else {
                SqlType::Decimal { precision, scale }
            }
        }
        "money" => SqlType::Money,
        "smallmoney" => SqlType::SmallMoney,
        "date" => SqlType::Date,
        "time" => SqlType::Time { scale: scale(7) },
        "datetime" => SqlType::DateTime,
        "smalldatetime" => SqlType::SmallDateTime,
        "datetime2" => SqlType::DateTime2 { scale: scale(7) },
        "datetimeoffset" => SqlType::DateTimeOffset { scale: scale(7) },
        "char" | "character" => SqlType::Char { len: fixed, collation: collation() },
        "varchar" | "char varying" | "character varying" => SqlType::VarChar { len: length(), collation: collation() },
        "nchar" | "national char" => SqlType::NChar { len: fixed, collation: collation() },
        "nvarchar" => SqlType::NVarChar { len: length(), collation: collation() },
        "sysname" => SqlType::NVarChar { len: Len::N(128), collation: collation() },
        "text" => SqlType::Text { collation: collation() },
        "ntext" => SqlType::NText { collation: collation() },
        // To clients that have not asked for these types they are text, which is also what is kept of them here.
        "json" => SqlType::NVarChar { len: Len::Max, collation: collation() },
        "vector" => SqlType::VarChar { len: Len::Max, collation: collation() },
        "binary" => SqlType::Binary { len: fixed },
        "varbinary" => SqlType::VarBinary { len: length() },
        "image" => SqlType::Image,
        "uniqueidentifier" | "uuid" => SqlType::UniqueIdentifier,
        "xml" => SqlType::Xml,
        "rowversion" | "timestamp" => SqlType::RowVersion,
        "sql_variant" => SqlType::SqlVariant,
        "hierarchyid" | "geometry" | "geography" => SqlType::Udt { name },
        _ => return Err(error(243, format!("Type {text} is not a defined system type."))),
    })
}

/// The type's own name, as `sys.types` has it.
pub fn type_name(sql_type: &SqlType) -> &str {
    match sql_type {
        SqlType::Bit => "bit",
        SqlType::TinyInt => "tinyint",
        SqlType::SmallInt => "smallint",
        SqlType::Int => "int",
        SqlType::BigInt => "bigint",
        SqlType::Real => "real",
        SqlType::Float => "float",
        SqlType::Decimal { .. } => "decimal",
        SqlType::Numeric { .. } => "numeric",
        SqlType::Money => "money",
        SqlType::SmallMoney => "smallmoney",
        SqlType::Date => "date",
        SqlType::Time { .. } => "time",
        SqlType::DateTime => "datetime",
        SqlType::SmallDateTime => "smalldatetime",
        SqlType::DateTime2 { .. } => "datetime2",
        SqlType::DateTimeOffset { .. } => "datetimeoffset",
        SqlType::Char { .. } => "char",
        SqlType::VarChar { .. } => "varchar",
        SqlType::NChar { .. } => "nchar",
        SqlType::NVarChar { .. } => "nvarchar",
        SqlType::Text { .. } => "text",
        SqlType::NText { .. } => "ntext",
        SqlType::Binary { .. } => "binary",
        SqlType::VarBinary { .. } => "varbinary",
        SqlType::Image => "image",
        SqlType::UniqueIdentifier => "uniqueidentifier",
        SqlType::Xml => "xml",
        SqlType::RowVersion => "timestamp",
        SqlType::SqlVariant => "sql_variant",
        SqlType::Udt { name } => name,
    }
}

/// The type as T-SQL text that [`parse_type`] reads back, without its collation.
pub fn type_text(sql_type: &SqlType) -> String {
    let name = type_name(sql_type);
    match sql_type {
        SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale } => {
            format!("{name}({precision},{scale})")
        }
        SqlType::Time { scale } | SqlType::DateTime2 { scale } | SqlType::DateTimeOffset { scale } => {
            format!("{name}({scale})")
        }
        SqlType::Char { len, .. } | SqlType::NChar { len, .. } | SqlType::Binary { len } => {
            format!("{name}({len})")
        }
        SqlType::VarChar { len, .. } | SqlType::NVarChar { len, .. } | SqlType::VarBinary { len } => match len {
            Len::N(len) => format!("{name}({len})"),
            Len::Max => format!("{name}(max)"),
        },
        _ => name.to_owned(),
    }
}

/// The collation of a character type.
pub fn collation_of(sql_type: &SqlType) -> Option<&str> {
    match sql_type {
        SqlType::Char { collation, .. }
        | SqlType::VarChar { collation, .. }
        | SqlType::NChar { collation, .. }
        | SqlType::NVarChar { collation, .. }
        | SqlType::Text { collation }
        | SqlType::NText { collation } => Some(&collation.0),
        _ => None,
    }
}

/// The same type under another collation.
pub fn with_collation(sql_type: &SqlType, name: &str) -> SqlType {
    parse_type(&type_text(sql_type), name, 1).unwrap_or_else(|_| sql_type.clone())
}

/// Whether values are UTF-16.
pub fn is_wide(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::NChar { .. } | SqlType::NVarChar { .. } | SqlType::NText { .. } | SqlType::Xml)
}

/// Whether values are characters of either width.
pub fn is_string(sql_type: &SqlType) -> bool {
    collation_of(sql_type).is_some()
}

/// max_length, precision and scale as `sys.columns` shows them.
pub fn catalog_size(sql_type: &SqlType) -> (i32, i32, i32) {
    let time = |scale: u8| match scale {
        0..=2 => 3,
        3 | 4 => 4,
        _ => 5,
    };
    match sql_type {
        SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale } => {
            let bytes = match precision {
                0..=9 => 5,
                10..=19 => 9,
                20..=28 => 13,
                _ => 17,
            };
            (bytes, i32::from(*precision), i32::from(*scale))
        }
        SqlType::Time { scale } => (time(*scale), 8 + i32::from(*scale) + i32::from(*scale > 0), i32::from(*scale)),
        SqlType::DateTime2 { scale } => {
            (3 + time(*scale), 19 + i32::from(*scale) + i32::from(*scale > 0), i32::from(*scale))
        }
        SqlType::DateTimeOffset { scale } => {
            (5 + time(*scale), 26 + i32::from(*scale) + i32::from(*scale > 0), i32::from(*scale))
        }
        SqlType::Char { len, .. } | SqlType::Binary { len } => (i32::from(*len), 0, 0),
        SqlType::NChar { len, .. } => (2 * i32::from(*len), 0, 0),
        SqlType::VarChar { len, .. } | SqlType::VarBinary { len } => match len {
            Len::N(len) => (i32::from(*len), 0, 0),
            Len::Max => (-1, 0, 0),
        },
        SqlType::NVarChar { len, .. } => match len {
            Len::N(len) => (2 * i32::from(*len), 0, 0),
            Len::Max => (-1, 0, 0),
        },
        other => {
            SYSTEM_TYPES.iter().find(|row| row.0 == type_name(other)).map_or((0, 0, 0), |row| (row.3, row.4, row.5))
        }
    }
}

/// Precision and scale that a number has as a decimal.
pub fn decimal_shape(sql_type: &SqlType) -> (u8, u8) {
    match sql_type {
        SqlType::Decimal { precision, scale } | SqlType::Numeric { precision, scale } => (*precision, *scale),
        SqlType::Bit => (1, 0),
        SqlType::TinyInt => (3, 0),
        SqlType::SmallInt => (5, 0),
        SqlType::Int => (10, 0),
        SqlType::BigInt => (19, 0),
        SqlType::Money => (19, 4),
        SqlType::SmallMoney => (10, 4),
        _ => (38, 10),
    }
}

/// Rank in SQL Server's data type precedence: the higher type wins where two meet.
pub fn precedence(sql_type: &SqlType) -> u8 {
    match sql_type {
        SqlType::Udt { .. } => 30,
        SqlType::SqlVariant => 29,
        SqlType::Xml => 28,
        SqlType::DateTimeOffset { .. } => 27,
        SqlType::DateTime2 { .. } => 26,
        SqlType::DateTime => 25,
        SqlType::SmallDateTime => 24,
        SqlType::Date => 23,
        SqlType::Time { .. } => 22,
        SqlType::Float => 21,
        SqlType::Real => 20,
        SqlType::Decimal { .. } | SqlType::Numeric { .. } => 19,
        SqlType::Money => 18,
        SqlType::SmallMoney => 17,
        SqlType::BigInt => 16,
        SqlType::Int => 15,
        SqlType::SmallInt => 14,
        SqlType::TinyInt => 13,
        SqlType::Bit => 12,
        SqlType::NText { .. } => 11,
        SqlType::Text { .. } => 10,
        SqlType::Image => 9,
        SqlType::RowVersion => 8,
        SqlType::UniqueIdentifier => 7,
        SqlType::NVarChar { .. } => 6,
        SqlType::NChar { .. } => 5,
        SqlType::VarChar { .. } => 4,
        SqlType::Char { .. } => 3,
        SqlType::VarBinary { .. } => 2,
        SqlType::Binary { .. } => 1,
    }
}

/// Length in units of a string or binary type; `None` is `(max)` or a type without one.
pub fn length_of(sql_type: &SqlType) -> Option<u32> {
    match sql_type {
        SqlType::Char { len, .. } | SqlType::NChar { len, .. } | SqlType::Binary { len } => Some(u32::from(*len)),
        SqlType::VarChar { len: Len::N(len), .. }
        | SqlType::NVarChar { len: Len::N(len), .. }
        | SqlType::VarBinary { len: Len::N(len) } => Some(u32::from(*len)),
        SqlType::RowVersion => Some(8),
        _ => None,
    }
}

/// The type that holds both: what CASE, UNION and COALESCE have as their result.
pub fn common(left: &SqlType, right: &SqlType) -> SqlType {
    if left == right {
        return left.clone();
    }
    let (high, low) = if precedence(left) >= precedence(right) { (left, right) } else { (right, left) };
    let both_sized = || match (length_of(left), length_of(right)) {
        (Some(a), Some(b)) => Len::N(a.max(b) as u16),
        _ => Len::Max,
    };
    // Of two strings the wider one has 4,000 units at most.
    let national = || match both_sized() {
        Len::N(length) => Len::N(length.min(4000)),
        Len::Max => Len::Max,
    };
    match high {
        SqlType::Decimal { .. } | SqlType::Numeric { .. } if precedence(low) >= 12 => {
            let ((p1, s1), (p2, s2)) = (decimal_shape(left), decimal_shape(right));
            let scale = s1.max(s2);
            let precision = ((p1 - s1).max(p2 - s2) + scale).min(38);
            SqlType::Decimal { precision, scale: scale.min(precision) }
        }
        SqlType::NVarChar { collation, .. } | SqlType::NChar { collation, .. } if is_string(low) => {
            SqlType::NVarChar { len: national(), collation: collation.clone() }
        }
        SqlType::VarChar { collation, .. } | SqlType::Char { collation, .. } if is_string(low) => {
            SqlType::VarChar { len: both_sized(), collation: collation.clone() }
        }
        SqlType::VarBinary { .. } | SqlType::Binary { .. } => SqlType::VarBinary { len: both_sized() },
        _ => high.clone(),
    }
}
