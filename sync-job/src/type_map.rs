//! The type map: source type → target type, how the column is read, and what is lost. One table, read top to bottom.

use crate::schema::{CodePageOrName, Length, SourceType};

/// What a target column holds, as far as an encoder must know it. Lengths of 0 mean "no limit".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Date,
    Time {
        digits: u8,
    },
    Timestamp {
        digits: u8,
    },
    TimestampTz {
        digits: u8,
    },
    /// Text of at most `limit` characters.
    Text {
        limit: u32,
    },
    /// Text padded with spaces to `length` characters.
    Char {
        length: u32,
    },
    Bytes,
    Uuid,
    Json,
    Xml,
    /// A one-dimensional array of 4-byte floats.
    FloatArray,
}

/// How a column stands in the SELECT, so that the driver cannot lose anything. The source renders it in its SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadAs {
    Plain,
    /// Cast to decimal of this precision and 4 fraction digits: drivers decode money into a double.
    Money {
        precision: u8,
    },
    /// The bytes of char/varchar in its code page; `None` = (max).
    CodePageBytes {
        bytes: Option<u16>,
        code_page: crate::text::CodePage,
    },
    /// As `CodePageBytes`, for the type `text`, which casts only by way of varchar(max).
    TextBytes {
        code_page: crate::text::CodePage,
    },
    /// The UTF-16LE bytes of nchar/nvarchar; `None` = (max).
    Utf16Bytes {
        bytes: Option<u16>,
    },
    /// The UTF-16LE bytes of its nvarchar(max) form: ntext, xml, json, vector.
    ThroughNVarchar,
    /// image as varbinary(max); CLR types as their stored bytes.
    RawBytes,
    /// hierarchyid's path, `/1/2/`.
    HierarchyPath,
    /// geometry or geography as extended well-known text with SRID, Z and M.
    Ewkt,
    /// sql_variant's value rendered by its own base type.
    VariantText,
    /// sql_variant's base type name.
    VariantType,
    /// datetimeoffset's offset in minutes.
    OffsetMinutes,
}

/// A datetimeoffset's loss, which a column of [`ReadAs::OffsetMinutes`] beside it makes good.
pub const OFFSET_LOSS: &str = "the instant is kept, the original offset is not (offset_column = true keeps it beside)";

/// How one column travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The type that the staging column is created with.
    pub target_type: String,
    pub form: Form,
    pub read: ReadAs,
    /// Changed by the target to this type after the verification (`jsonb`, PostGIS and pgvector types).
    pub convert_to: Option<String>,
    /// What cannot be carried exactly, in words, for the plan.
    pub losses: Vec<String>,
}

impl Mapping {
    fn new(target_type: impl Into<String>, form: Form, read: ReadAs) -> Self {
        Self { target_type: target_type.into(), form, read, convert_to: None, losses: Vec::new() }
    }

    fn with_loss(mut self, loss: impl Into<String>) -> Self {
        self.losses.push(loss.into());
        self
    }

    /// The type that the column has in the end.
    pub fn final_type(&self) -> &str {
        self.convert_to.as_deref().unwrap_or(&self.target_type)
    }
}

/// The mapping of a source type to PostgreSQL, or why it is refused.
pub fn postgres(source: &SourceType) -> Result<Mapping, String> {
    use Form as F;
    use ReadAs as R;
    use SourceType as S;
    let plain = |target: &str, form| Mapping::new(target, form, R::Plain);
    Ok(match source {
        S::Bit => plain("boolean", F::Bool),
        S::TinyInt | S::SmallInt => plain("smallint", F::Int2),
        S::Int => plain("integer", F::Int4),
        S::BigInt => plain("bigint", F::Int8),
        S::Decimal { precision, scale } => {
            plain(&format!("numeric({precision},{scale})"), F::Decimal { precision: *precision, scale: *scale })
        }
        S::Money => Mapping::new("numeric(19,4)", F::Decimal { precision: 19, scale: 4 }, R::Money { precision: 19 }),
        S::SmallMoney => {
            Mapping::new("numeric(10,4)", F::Decimal { precision: 10, scale: 4 }, R::Money { precision: 10 })
        }
        S::Real => plain("real", F::Float4),
        S::Float => plain("double precision", F::Float8),
        S::Date => plain("date", F::Date),
        S::Time { digits } => fraction(*digits, "time", |digits| F::Time { digits }),
        S::DateTime => plain("timestamp(3)", F::Timestamp { digits: 3 }),
        S::SmallDateTime => plain("timestamp(0)", F::Timestamp { digits: 0 }),
        S::DateTime2 { digits } => fraction(*digits, "timestamp", |digits| F::Timestamp { digits }),
        S::DateTimeOffset { digits } => {
            fraction(*digits, "timestamptz", |digits| F::TimestampTz { digits }).with_loss(OFFSET_LOSS)
        }
        S::Char { bytes, code_page } => Mapping::new(
            format!("character({bytes})"),
            F::Char { length: u32::from(*bytes) },
            R::CodePageBytes { bytes: Some(*bytes), code_page: known(code_page)? },
        ),
        S::VarChar { bytes: Length::Limited(bytes), code_page } => Mapping::new(
            format!("character varying({bytes})"),
            F::Text { limit: u32::from(*bytes) },
            R::CodePageBytes { bytes: Some(*bytes), code_page: known(code_page)? },
        ),
        S::VarChar { bytes: Length::Max, code_page } => {
            Mapping::new("text", F::Text { limit: 0 }, R::CodePageBytes { bytes: None, code_page: known(code_page)? })
        }
        S::Text { code_page } => {
            Mapping::new("text", F::Text { limit: 0 }, R::TextBytes { code_page: known(code_page)? })
        }
        S::NChar { units } => Mapping::new(
            format!("character({units})"),
            F::Char { length: u32::from(*units) },
            R::Utf16Bytes { bytes: Some(units * 2) },
        ),
        S::NVarChar { units: Length::Limited(units) } => Mapping::new(
            format!("character varying({units})"),
            F::Text { limit: u32::from(*units) },
            R::Utf16Bytes { bytes: Some(units * 2) },
        ),
        S::NVarChar { units: Length::Max } => Mapping::new("text", F::Text { limit: 0 }, R::Utf16Bytes { bytes: None }),
        S::NText => Mapping::new("text", F::Text { limit: 0 }, R::ThroughNVarchar),
        S::Binary { .. } | S::VarBinary { .. } | S::RowVersion => plain("bytea", F::Bytes),
        S::Image => Mapping::new("bytea", F::Bytes, R::RawBytes),
        S::UniqueIdentifier => plain("uuid", F::Uuid),
        S::Xml => Mapping::new("xml", F::Xml, R::ThroughNVarchar),
        S::SqlVariant => Mapping::new("text", F::Text { limit: 0 }, R::VariantText).with_loss(
            "each value becomes text by its own base type (variant_type_column = true keeps the type beside)",
        ),
        S::HierarchyId => Mapping::new("text", F::Text { limit: 0 }, R::HierarchyPath),
        S::Geometry | S::Geography => Mapping::new("text", F::Text { limit: 0 }, R::Ewkt),
        S::Json => Mapping::new("json", F::Json, R::ThroughNVarchar),
        S::Vector { .. } => Mapping::new("real[]", F::FloatArray, R::ThroughNVarchar),
        S::Clr(name) => Mapping::new("bytea", F::Bytes, R::RawBytes)
            .with_loss(format!("the CLR type {name} is copied as its raw bytes")),
        S::Unknown(name) => return Err(format!("the type {name} is not known")),
    })
}

fn known(code_page: &CodePageOrName) -> Result<crate::text::CodePage, String> {
    match code_page {
        CodePageOrName::Known(code_page) => Ok(*code_page),
        CodePageOrName::Unknown { collation, number: Some(number) } => {
            Err(format!("the collation {collation} uses code page {number}, which is not supported"))
        }
        CodePageOrName::Unknown { collation, number: None } => {
            Err(format!("the code page of the collation {collation} could not be found out"))
        }
    }
}

fn fraction(digits: u8, name: &str, form: impl Fn(u8) -> Form) -> Mapping {
    let kept = digits.min(6);
    let mapping = Mapping::new(format!("{name}({kept})"), form(kept), ReadAs::Plain);
    if digits > 6 {
        mapping.with_loss(format!(
            "{kept} of {digits} fraction digits are kept, the rest is cut; affected rows are counted"
        ))
    } else {
        mapping
    }
}

/// The mapping with the job file's `target_type` instead of the default, or what is allowed.
pub fn postgres_override(source: &SourceType, wanted: &str) -> Result<Mapping, String> {
    use Form as F;
    let default = postgres(source)?;
    let wanted = Wanted::parse(wanted)?;
    let text_like = matches!(default.form, F::Text { .. } | F::Char { .. } | F::Json | F::Xml);
    let form = match (wanted.name.as_str(), default.form) {
        ("text", form) if form != F::Bytes && form != F::FloatArray => F::Text { limit: 0 },
        ("character varying", form) if form != F::Bytes && form != F::FloatArray => F::Text { limit: wanted.first },
        ("character", _) if text_like && wanted.first > 0 => F::Char { length: wanted.first },
        ("json" | "jsonb", _) if text_like => F::Json,
        ("xml", _) if text_like => F::Xml,
        ("smallint", F::Bool | F::Int2) => F::Int2,
        ("integer", F::Bool | F::Int2 | F::Int4) => F::Int4,
        ("bigint", F::Int2 | F::Int4 | F::Int8) => F::Int8,
        ("double precision", F::Float4 | F::Float8) => F::Float8,
        ("numeric", F::Int2 | F::Int4 | F::Int8) if wanted.first > 0 => {
            F::Decimal { precision: wanted.first as u8, scale: wanted.second as u8 }
        }
        ("numeric", F::Decimal { precision, scale })
            if wanted.second >= u32::from(scale)
                && wanted.first.saturating_sub(wanted.second) >= u32::from(precision - scale) =>
        {
            F::Decimal { precision: wanted.first.min(255) as u8, scale: wanted.second as u8 }
        }
        ("geometry" | "geography", F::Text { limit: 0 }) if default.read == ReadAs::Ewkt => F::Text { limit: 0 },
        ("vector", F::FloatArray) => F::FloatArray,
        _ => {
            return Err(format!(
                "{} cannot hold {} exactly; the default is {}",
                wanted.sql,
                describe(source),
                default.target_type
            ));
        }
    };
    let mut mapping = Mapping { form, target_type: wanted.sql.clone(), ..default };
    match wanted.name.as_str() {
        "jsonb" => {
            mapping.target_type = "json".to_owned();
            mapping.convert_to = Some(wanted.sql);
            mapping.losses.push(
                "jsonb reorders keys and drops duplicates; it is made from the verified text by the target".to_owned(),
            );
        }
        "geometry" | "geography" => {
            mapping.target_type = "text".to_owned();
            mapping.convert_to = Some(wanted.sql);
        }
        "vector" => {
            mapping.target_type = "real[]".to_owned();
            mapping.convert_to = Some(wanted.sql);
        }
        _ => {}
    }
    Ok(mapping)
}

fn describe(source: &SourceType) -> String {
    format!("{source:?}").split([' ', '{', '(']).next().unwrap_or_default().to_lowercase()
}

/// A PostgreSQL type as the job file spells it, in canonical spelling.
struct Wanted {
    name: String,
    first: u32,
    second: u32,
    sql: String,
}

impl Wanted {
    fn parse(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_lowercase();
        let (name, arguments) = match lower.split_once('(') {
            Some((name, rest)) => {
                let inside = rest.strip_suffix(')').ok_or_else(|| format!("{text:?} lacks its closing parenthesis"))?;
                (name.trim().to_owned(), inside.to_owned())
            }
            None => (lower.clone(), String::new()),
        };
        let name = match name.as_str() {
            "varchar" => "character varying",
            "char" | "bpchar" => "character",
            "int" | "int4" => "integer",
            "int2" => "smallint",
            "int8" => "bigint",
            "float8" => "double precision",
            "decimal" => "numeric",
            other @ ("text" | "character varying" | "character" | "json" | "jsonb" | "xml" | "smallint" | "integer"
            | "bigint" | "double precision" | "numeric" | "geometry" | "geography" | "vector") => other,
            _ => {
                return Err(format!(
                    "{text:?} is not one of: text, varchar(n), char(n), json, jsonb, xml, smallint, integer, bigint, \
                     double precision, numeric(p,s), geometry, geography, vector(n)"
                ));
            }
        }
        .to_owned();
        let numbers: Vec<u32> = arguments
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .filter_map(|part| part.parse().ok())
            .collect();
        let sql = if arguments.is_empty() { name.clone() } else { format!("{name}({arguments})") };
        let spatial = matches!(name.as_str(), "geometry" | "geography");
        let given = arguments.split(',').filter(|part| !part.trim().is_empty()).count();
        if numbers.len() != given && !spatial {
            return Err(format!("{text:?} has a length that is not a number"));
        }
        if spatial && !arguments.chars().all(|c| c.is_ascii_alphanumeric() || c == ',' || c == ' ') {
            return Err(format!("{text:?} has arguments that are not words or numbers"));
        }
        let first = numbers.first().copied().unwrap_or(0);
        let second = numbers.get(1).copied().unwrap_or(0);
        if name == "numeric" && (first > 1000 || second > 255 || first > 255) {
            return Err(format!("{text:?} has a precision above 255"));
        }
        Ok(Self { name, first, second, sql })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_digits_are_a_planned_loss() {
        let mapping = postgres(&SourceType::DateTime2 { digits: 7 }).unwrap();
        assert_eq!(mapping.target_type, "timestamp(6)");
        assert_eq!(mapping.losses.len(), 1);
        assert!(postgres(&SourceType::DateTime2 { digits: 6 }).unwrap().losses.is_empty());
    }

    #[test]
    fn overrides_widen_and_never_narrow() {
        let decimal = SourceType::Decimal { precision: 10, scale: 2 };
        assert_eq!(
            postgres_override(&decimal, "numeric(12,4)").unwrap().form,
            Form::Decimal { precision: 12, scale: 4 }
        );
        assert!(postgres_override(&decimal, "numeric(8,2)").unwrap_err().contains("numeric(10,2)"));
        assert!(postgres_override(&SourceType::Int, "smallint").is_err());
        assert_eq!(postgres_override(&SourceType::Int, "int8").unwrap().target_type, "bigint");
        assert!(postgres_override(&SourceType::Int, "serial").unwrap_err().contains("not one of"));
    }

    #[test]
    fn jsonb_is_made_after_the_verification() {
        let mapping = postgres_override(&SourceType::NVarChar { units: Length::Max }, "jsonb").unwrap();
        assert_eq!((mapping.target_type.as_str(), mapping.final_type()), ("json", "jsonb"));
    }

    #[test]
    fn unknown_types_and_code_pages_are_refused_by_name() {
        assert!(postgres(&SourceType::Unknown("quux".into())).unwrap_err().contains("quux"));
        let code_page = CodePageOrName::Unknown { collation: "Odd_CI".into(), number: Some(1361) };
        assert!(postgres(&SourceType::Char { bytes: 3, code_page }).unwrap_err().contains("Odd_CI"));
    }
}
