//! TYPE_INFO (MS-TDS 2.2.5.6) and collations (2.2.5.1.2).

use tsql_engine::value::{Collation, Len, SqlType};

pub const INTN: u8 = 0x26;
pub const BITN: u8 = 0x68;
pub const FLTN: u8 = 0x6D;
pub const DECIMALN: u8 = 0x6A;
pub const NUMERICN: u8 = 0x6C;
pub const MONEYN: u8 = 0x6E;
pub const DATETIMN: u8 = 0x6F;
pub const DATEN: u8 = 0x28;
pub const TIMEN: u8 = 0x29;
pub const DATETIME2N: u8 = 0x2A;
pub const DATETIMEOFFSETN: u8 = 0x2B;
pub const GUID: u8 = 0x24;
pub const BIGVARBINARY: u8 = 0xA5;
pub const BIGVARCHAR: u8 = 0xA7;
pub const BIGBINARY: u8 = 0xAD;
pub const BIGCHAR: u8 = 0xAF;
pub const NVARCHAR: u8 = 0xE7;
pub const NCHAR: u8 = 0xEF;
pub const XML: u8 = 0xF1;
pub const TEXT: u8 = 0x23;
pub const NTEXT: u8 = 0x63;
pub const IMAGE: u8 = 0x22;
pub const VARIANT: u8 = 0x62;
pub const UDT: u8 = 0xF0;

/// Lengths of (max) types.
const MAX: u16 = 0xFFFF;

/// The five bytes of a collation: language, comparison flags, version, sort order.
pub fn collation_bytes(collation: &Collation) -> [u8; 5] {
    let name = collation.0.to_lowercase();
    let starts = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    let language: u32 = match collation.code_page() {
        1251 => 0x0419,
        932 => 0x0411,
        936 => 0x0804,
        949 => 0x0412,
        950 => 0x0404,
        1250 if starts(&["polish"]) => 0x0415,
        1250 if starts(&["hungarian"]) => 0x040E,
        1250 => 0x0405,
        1253 => 0x0408,
        1254 => 0x041F,
        1255 => 0x040D,
        1256 => 0x0401,
        1257 => 0x0427,
        1258 => 0x042A,
        874 => 0x041E,
        _ => 0x0409,
    };
    let binary = name.ends_with("_bin") || name.ends_with("_bin2");
    let mut flags: u32 = 0;
    if name.contains("_ci") && !binary {
        flags |= 1 << 20;
    }
    if name.contains("_ai") && !binary {
        flags |= 1 << 21;
    }
    if binary {
        flags |= if name.ends_with("_bin2") { 1 << 25 } else { 1 << 24 };
    } else {
        // Width and kana are ignored unless the name says otherwise.
        flags |= u32::from(!name.contains("_ws")) << 23 | u32::from(!name.contains("_ks")) << 22;
    }
    if collation.code_page() == 65001 {
        flags |= 1 << 26;
    }
    // SQL Server's old sort orders: 52 is SQL_Latin1_General_CP1_CI_AS.
    let sort: u8 = match name.as_str() {
        "sql_latin1_general_cp1_ci_as" => 52,
        "sql_latin1_general_cp1_cs_as" => 51,
        _ => 0,
    };
    let word = (language | flags).to_le_bytes();
    [word[0], word[1], word[2], word[3], sort]
}

fn length(len: Len, unit: u16) -> [u8; 2] {
    match len {
        Len::N(n) => n.saturating_mul(unit).to_le_bytes(),
        Len::Max => MAX.to_le_bytes(),
    }
}

/// Writes a column's TYPE_INFO, always in the form that can hold NULL.
pub fn type_info(kind: &SqlType, out: &mut Vec<u8>) {
    let text = |out: &mut Vec<u8>, token: u8, size: [u8; 2], collation: &Collation| {
        out.push(token);
        out.extend_from_slice(&size);
        out.extend_from_slice(&collation_bytes(collation));
    };
    match kind {
        SqlType::Bit => out.extend_from_slice(&[BITN, 1]),
        SqlType::TinyInt => out.extend_from_slice(&[INTN, 1]),
        SqlType::SmallInt => out.extend_from_slice(&[INTN, 2]),
        SqlType::Int => out.extend_from_slice(&[INTN, 4]),
        SqlType::BigInt => out.extend_from_slice(&[INTN, 8]),
        SqlType::Real => out.extend_from_slice(&[FLTN, 4]),
        SqlType::Float => out.extend_from_slice(&[FLTN, 8]),
        SqlType::Decimal { precision, scale } => {
            out.extend_from_slice(&[DECIMALN, decimal_length(*precision), *precision, *scale]);
        }
        SqlType::Numeric { precision, scale } => {
            out.extend_from_slice(&[NUMERICN, decimal_length(*precision), *precision, *scale]);
        }
        SqlType::Money => out.extend_from_slice(&[MONEYN, 8]),
        SqlType::SmallMoney => out.extend_from_slice(&[MONEYN, 4]),
        SqlType::DateTime => out.extend_from_slice(&[DATETIMN, 8]),
        SqlType::SmallDateTime => out.extend_from_slice(&[DATETIMN, 4]),
        SqlType::Date => out.push(DATEN),
        SqlType::Time { scale } => out.extend_from_slice(&[TIMEN, *scale]),
        SqlType::DateTime2 { scale } => out.extend_from_slice(&[DATETIME2N, *scale]),
        SqlType::DateTimeOffset { scale } => out.extend_from_slice(&[DATETIMEOFFSETN, *scale]),
        SqlType::UniqueIdentifier => out.extend_from_slice(&[GUID, 16]),
        SqlType::Char { len, collation } => text(out, BIGCHAR, len.to_le_bytes(), collation),
        SqlType::VarChar { len, collation } => text(out, BIGVARCHAR, length(*len, 1), collation),
        SqlType::NChar { len, collation } => text(out, NCHAR, (len * 2).to_le_bytes(), collation),
        SqlType::NVarChar { len, collation } => text(out, NVARCHAR, length(*len, 2), collation),
        SqlType::Binary { len } => {
            out.push(BIGBINARY);
            out.extend_from_slice(&len.to_le_bytes());
        }
        SqlType::RowVersion => out.extend_from_slice(&[BIGBINARY, 8, 0]),
        SqlType::VarBinary { len } => {
            out.push(BIGVARBINARY);
            out.extend_from_slice(&length(*len, 1));
        }
        SqlType::Xml => out.extend_from_slice(&[XML, 0]),
        SqlType::Udt { name } => udt(name, out),
        SqlType::SqlVariant => {
            out.push(VARIANT);
            out.extend_from_slice(&8009_u32.to_le_bytes());
        }
        SqlType::Text { collation } => large(out, TEXT, 0x7FFF_FFFF, Some(collation)),
        SqlType::NText { collation } => large(out, NTEXT, 0x7FFF_FFFE, Some(collation)),
        SqlType::Image => large(out, IMAGE, 0x7FFF_FFFF, None),
    }
}

/// UDT_INFO in column metadata (2.2.5.5.2): the longest value, then the type's names; its assembly is not told.
fn udt(name: &str, out: &mut Vec<u8>) {
    let longest: u16 = if name.eq_ignore_ascii_case("hierarchyid") { 892 } else { MAX };
    out.push(UDT);
    out.extend_from_slice(&longest.to_le_bytes());
    for part in ["", "sys", name] {
        out.push(part.encode_utf16().count() as u8);
        out.extend(part.encode_utf16().flat_map(u16::to_le_bytes));
    }
    out.extend_from_slice(&0_u16.to_le_bytes());
}

/// text, ntext and image also name their table; there is one part, and it is empty.
fn large(out: &mut Vec<u8>, token: u8, size: u32, collation: Option<&Collation>) {
    out.push(token);
    out.extend_from_slice(&size.to_le_bytes());
    if let Some(collation) = collation {
        out.extend_from_slice(&collation_bytes(collation));
    }
    out.extend_from_slice(&[1, 0, 0]);
}

/// Bytes of a decimal with its sign (2.2.5.5.1.6).
pub fn decimal_length(precision: u8) -> u8 {
    match precision {
        0..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}

/// Bytes of a time of this scale (2.2.5.5.1.8).
pub fn time_length(scale: u8) -> usize {
    match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clr_type_is_named_and_not_passed_off_as_text() {
        let mut out = Vec::new();
        type_info(&SqlType::Udt { name: "hierarchyid".to_owned() }, &mut out);
        let name = "hierarchyid".bytes().flat_map(|byte| [byte, 0]);
        let schema = [3, b's', 0, b'y', 0, b's', 0];
        let expected: Vec<u8> =
            [0xF0, 0x7C, 0x03, 0].into_iter().chain(schema).chain([11]).chain(name).chain([0, 0]).collect();
        assert_eq!(out, expected);
    }
}
