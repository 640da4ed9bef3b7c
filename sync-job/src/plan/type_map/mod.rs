//! The type map: source type × target engine → target type, how the column is read, and what is lost. One table, read top to
//! bottom.

use crate::config::Engine;
use crate::model::schema::{CodePageOrName, Length, SourceType};

mod overrides;

pub use overrides::map_as;

/// What a target column holds, as far as an encoder must know it. Lengths of 0 mean "no limit".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogicalType {
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
pub enum ReadExpression {
    Plain,
    /// Cast to decimal of this precision and 4 fraction digits: drivers decode money into a double.
    Money {
        precision: u8,
    },
    /// The bytes of char/varchar in its code page; `None` = (max).
    CodePageBytes {
        bytes: Option<u16>,
        code_page: crate::rows::text::CodePage,
    },
    /// As `CodePageBytes`, for the type `text`, which casts only by way of varchar(max).
    TextBytes {
        code_page: crate::rows::text::CodePage,
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
    /// The text that another expression reads as bytes, decoded by server and driver: for servers whose bytes are not what
    /// SQL Server documents.
    TextThroughDriver {
        instead_of: Box<ReadExpression>,
    },
}

impl ReadExpression {
    /// The same text through the driver; `None` where no text is read.
    pub fn through_driver(&self) -> Option<Self> {
        match self {
            Self::CodePageBytes { .. }
            | Self::TextBytes { .. }
            | Self::Utf16Bytes { .. }
            | Self::ThroughNVarchar
            | Self::HierarchyPath
            | Self::Ewkt
            | Self::VariantText
            | Self::VariantType => Some(Self::TextThroughDriver { instead_of: Box::new(self.clone()) }),
            Self::Plain
            | Self::Money { .. }
            | Self::RawBytes
            | Self::OffsetMinutes
            | Self::TextThroughDriver { .. } => None,
        }
    }

    /// The expression that the type map chose, whichever way its text is read.
    pub fn mapped(&self) -> &Self {
        match self {
            Self::TextThroughDriver { instead_of } => instead_of,
            own => own,
        }
    }
}

/// A datetimeoffset's loss, which a column of [`ReadExpression::OffsetMinutes`] beside it makes good.
pub const OFFSET_LOSS: &str = "the instant is kept, the original offset is not (offset_column = true keeps it beside)";

/// How one column travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The type that the staging column is created with.
    pub target_type: String,
    pub logical: LogicalType,
    pub read: ReadExpression,
    /// Changed by the target to this type after the verification (`jsonb`, PostGIS and pgvector types).
    pub convert_to: Option<String>,
    /// What cannot be carried exactly, in words, for the plan.
    pub losses: Vec<String>,
}

impl Mapping {
    fn new(target_type: impl Into<String>, logical: LogicalType, read: ReadExpression) -> Self {
        Self { target_type: target_type.into(), logical, read, convert_to: None, losses: Vec::new() }
    }

    /// The type that the column has in the end.
    pub fn final_type(&self) -> &str {
        self.convert_to.as_deref().unwrap_or(&self.target_type)
    }
}

/// A line of the map: a source type as each engine stores it.
struct TypeRule {
    read: ReadExpression,
    postgres: Column,
    mysql: Column,
    /// What is lost on either.
    losses: Vec<String>,
}

/// An engine's type for a line.
struct Column {
    target_type: String,
    logical: LogicalType,
    convert_to: Option<&'static str>,
    /// What is lost, or changed in form, on this engine alone.
    loss: Option<&'static str>,
}

fn column(target_type: impl Into<String>, logical: LogicalType) -> Column {
    Column { target_type: target_type.into(), logical, convert_to: None, loss: None }
}

/// What MySQL's own json changes.
const MYSQL_JSON: &str = "json reorders keys, drops duplicates, and keeps numbers other than 64-bit integers as doubles of 17 digits at \
                          most; it is made from the verified text by the target";

/// A MySQL column that becomes json after its text was verified.
fn mysql_json() -> Column {
    Column { convert_to: Some("json"), loss: Some(MYSQL_JSON), ..column("longtext", LogicalType::Json) }
}

fn rule(read: ReadExpression, postgres: Column, mysql: Column) -> TypeRule {
    TypeRule { read, postgres, mysql, losses: Vec::new() }
}

fn plain(postgres: &str, mysql: &str, logical: LogicalType) -> TypeRule {
    rule(ReadExpression::Plain, column(postgres, logical), column(mysql, logical))
}

/// The mapping of a source type to an engine, or why it is refused.
pub fn map(source: &SourceType, engine: Engine) -> Result<Mapping, String> {
    let TypeRule { read, postgres, mysql, losses } = rule_of(source)?;
    let Column { target_type, logical, convert_to, loss: own } = match engine {
        Engine::Postgres => postgres,
        Engine::Mysql => mysql,
    };
    let mut mapping = Mapping::new(target_type, logical, read);
    mapping.convert_to = convert_to.map(str::to_owned);
    mapping.losses = losses.into_iter().chain(own.map(str::to_owned)).collect();
    Ok(mapping)
}

fn rule_of(source: &SourceType) -> Result<TypeRule, String> {
    use LogicalType as F;
    use ReadExpression as R;
    use SourceType as S;
    Ok(match source {
        S::Bit => plain("boolean", "tinyint(1)", F::Bool),
        S::TinyInt => plain("smallint", "tinyint unsigned", F::Int2),
        S::SmallInt => plain("smallint", "smallint", F::Int2),
        S::Int => plain("integer", "int", F::Int4),
        S::BigInt => plain("bigint", "bigint", F::Int8),
        S::Decimal { precision, scale } => decimal(*precision, *scale, R::Plain),
        S::Money => decimal(19, 4, R::Money { precision: 19 }),
        S::SmallMoney => decimal(10, 4, R::Money { precision: 10 }),
        S::Real => plain("real", "float", F::Float4),
        S::Float => plain("double precision", "double", F::Float8),
        S::Date => plain("date", "date", F::Date),
        S::Time { digits } => fraction(*digits, ["time", "time"], |digits| F::Time { digits }),
        S::DateTime => plain("timestamp(3)", "datetime(3)", F::Timestamp { digits: 3 }),
        S::SmallDateTime => plain("timestamp(0)", "datetime(0)", F::Timestamp { digits: 0 }),
        S::DateTime2 { digits } => fraction(*digits, ["timestamp", "datetime"], |digits| F::Timestamp { digits }),
        S::DateTimeOffset { digits } => {
            let mut rule = fraction(*digits, ["timestamptz", "datetime"], |digits| F::TimestampTz { digits });
            rule.losses.push(OFFSET_LOSS.to_owned());
            rule.mysql.loss = Some("the instant is in UTC, and the type does not say so");
            rule
        }
        S::Char { bytes, code_page } => {
            fixed_text(*bytes, R::CodePageBytes { bytes: Some(*bytes), code_page: known(code_page)? })
        }
        S::VarChar { bytes: Length::Limited(bytes), code_page } => {
            text(*bytes, R::CodePageBytes { bytes: Some(*bytes), code_page: known(code_page)? })
        }
        S::VarChar { bytes: Length::Max, code_page } => {
            long_text(R::CodePageBytes { bytes: None, code_page: known(code_page)? })
        }
        S::Text { code_page } => long_text(R::TextBytes { code_page: known(code_page)? }),
        S::NChar { units } => fixed_text(*units, R::Utf16Bytes { bytes: Some(units * 2) }),
        S::NVarChar { units: Length::Limited(units) } => text(*units, R::Utf16Bytes { bytes: Some(units * 2) }),
        S::NVarChar { units: Length::Max } => long_text(R::Utf16Bytes { bytes: None }),
        S::NText => long_text(R::ThroughNVarchar),
        S::Binary { bytes } => {
            // MySQL's BINARY ends at 255 bytes.
            let name = if *bytes > 255 { "varbinary" } else { "binary" };
            plain("bytea", &format!("{name}({bytes})"), F::Bytes)
        }
        S::VarBinary { bytes: Length::Limited(bytes) } => plain("bytea", &format!("varbinary({bytes})"), F::Bytes),
        S::VarBinary { bytes: Length::Max } => plain("bytea", "longblob", F::Bytes),
        S::RowVersion => plain("bytea", "binary(8)", F::Bytes),
        S::Image => rule(R::RawBytes, column("bytea", F::Bytes), column("longblob", F::Bytes)),
        S::UniqueIdentifier => plain("uuid", "char(36) character set ascii", F::Uuid),
        S::Xml => rule(R::ThroughNVarchar, column("xml", F::Xml), column("longtext", F::Xml)),
        S::SqlVariant => TypeRule {
            losses: vec![
                "each value becomes text by its own base type (variant_type_column = true keeps the type beside)"
                    .to_owned(),
            ],
            ..long_text(R::VariantText)
        },
        S::HierarchyId => rule(
            R::HierarchyPath,
            column("text", F::Text { limit: 0 }),
            column("varchar(4000)", F::Text { limit: 4000 }),
        ),
        S::Geometry | S::Geography => long_text(R::Ewkt),
        S::Json => rule(R::ThroughNVarchar, column("json", F::Json), mysql_json()),
        S::Vector { .. } => TypeRule {
            losses: vec![
                "the source writes a vector's numbers with 8 significant digits: the last bit of one may differ"
                    .to_owned(),
            ],
            ..rule(R::ThroughNVarchar, column("real[]", F::FloatArray), mysql_json())
        },
        S::Clr(name) => TypeRule {
            losses: vec![format!("the CLR type {name} is copied as its raw bytes")],
            ..rule(R::RawBytes, column("bytea", F::Bytes), column("longblob", F::Bytes))
        },
        S::Unknown(name) => return Err(format!("the type {name} is not known")),
        S::NotShown(id) => return Err(format!("the type with the id {id} is not shown to this login")),
    })
}

/// MySQL's decimals have at most 30 fraction digits.
fn decimal(precision: u8, scale: u8, read: ReadExpression) -> TypeRule {
    let logical = LogicalType::Decimal { precision, scale };
    let mysql = if scale > 30 {
        // A sign, a zero and a point beside the digits.
        let limit = u32::from(precision) + 3;
        let loss = "MySQL's decimals end at 30 fraction digits: the number is kept as text, exactly";
        Column { loss: Some(loss), ..column(format!("varchar({limit})"), LogicalType::Text { limit }) }
    } else {
        column(format!("decimal({precision},{scale})"), logical)
    };
    rule(read, column(format!("numeric({precision},{scale})"), logical), mysql)
}

/// MySQL's CHAR ends at 255 characters.
fn fixed_text(length: u16, read: ReadExpression) -> TypeRule {
    let (length, logical) = (u32::from(length), LogicalType::Char { length: u32::from(length) });
    let mysql = if length > 255 {
        column(format!("varchar({length})"), LogicalType::Text { limit: length })
    } else {
        column(format!("char({length})"), logical)
    };
    rule(read, column(format!("character({length})"), logical), mysql)
}

fn text(limit: u16, read: ReadExpression) -> TypeRule {
    let (limit, logical) = (u32::from(limit), LogicalType::Text { limit: u32::from(limit) });
    rule(read, column(format!("character varying({limit})"), logical), column(format!("varchar({limit})"), logical))
}

fn long_text(read: ReadExpression) -> TypeRule {
    rule(read, column("text", LogicalType::Text { limit: 0 }), column("longtext", LogicalType::Text { limit: 0 }))
}

fn fraction(digits: u8, [postgres, mysql]: [&str; 2], logical: impl Fn(u8) -> LogicalType) -> TypeRule {
    let kept = digits.min(6);
    let mut rule = plain(&format!("{postgres}({kept})"), &format!("{mysql}({kept})"), logical(kept));
    if digits > 6 {
        rule.losses
            .push(format!("{kept} of {digits} fraction digits are kept, the rest is cut; affected rows are counted"));
    }
    rule
}

fn known(code_page: &CodePageOrName) -> Result<crate::rows::text::CodePage, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_digits_are_a_planned_loss() {
        let mapping = map(&SourceType::DateTime2 { digits: 7 }, Engine::Postgres).unwrap();
        assert_eq!(mapping.target_type, "timestamp(6)");
        assert_eq!(mapping.losses.len(), 1);
        assert!(map(&SourceType::DateTime2 { digits: 6 }, Engine::Postgres).unwrap().losses.is_empty());
    }

    #[test]
    fn what_mysql_cannot_hold_has_another_type_there() {
        let decimal = map(&SourceType::Decimal { precision: 38, scale: 31 }, Engine::Mysql).unwrap();
        assert_eq!((decimal.target_type.as_str(), decimal.losses.len()), ("varchar(41)", 1));
        let code_page = CodePageOrName::Known(crate::rows::text::CodePage::new(1252).unwrap());
        let wide = map(&SourceType::Char { bytes: 300, code_page }, Engine::Mysql).unwrap();
        assert_eq!((wide.target_type.as_str(), wide.logical), ("varchar(300)", LogicalType::Text { limit: 300 }));
        let json = map(&SourceType::Json, Engine::Mysql).unwrap();
        assert_eq!((json.target_type.as_str(), json.final_type()), ("longtext", "json"));
    }

    #[test]
    fn unknown_types_and_code_pages_are_refused_by_name() {
        for engine in [Engine::Postgres, Engine::Mysql] {
            assert!(map(&SourceType::Unknown("quux".into()), engine).unwrap_err().contains("quux"));
            let code_page = CodePageOrName::Unknown { collation: "Odd_CI".into(), number: Some(1361) };
            assert!(map(&SourceType::Char { bytes: 3, code_page }, engine).unwrap_err().contains("Odd_CI"));
        }
    }
}
