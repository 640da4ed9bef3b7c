//! How SQL Server's columns are read: its types, the expressions that stand for columns in a SELECT, and what both mean to a plan.

use super::types::{CodePageOrName, Length, SourceType};
use crate::model::logical::{LogicalType, Unmapped};
use crate::model::loss::PlannedLoss;
use crate::model::read::ReadPlan;
use crate::model::schema::{ColumnType, Companion, CompanionKind};
use crate::plan::{ColumnPlan, KeyColumn};
use crate::rows::text::CodePage;

/// How a column stands in the SELECT, so that the driver cannot lose anything.
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
        code_page: CodePage,
    },
    /// As `CodePageBytes`, for the type `text`, which casts only by way of varchar(max).
    TextBytes {
        code_page: CodePage,
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

    /// The expression that the column's type calls for, whichever way its text is read.
    pub fn mapped(&self) -> &Self {
        match self {
            Self::TextThroughDriver { instead_of } => instead_of,
            own => own,
        }
    }
}

/// What a plan carries of a column for this source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub source_type: SourceType,
    pub read: ReadExpression,
}

impl Field {
    fn plan(source_type: &SourceType, read: ReadExpression) -> ReadPlan {
        ReadPlan::new(Self { source_type: source_type.clone(), read })
    }

    #[expect(clippy::expect_used, reason = "a job plans with the catalog of its own source, which makes nothing else")]
    pub fn of(plan: &ReadPlan) -> &Self {
        plan.get().expect("a plan of SQL Server's columns")
    }

    /// The same column, its text read through the driver; `None` where it is no text.
    pub fn through_driver(plan: &ReadPlan) -> Option<ReadPlan> {
        let Self { source_type, read } = Self::of(plan);
        Some(Self::plan(source_type, read.through_driver()?))
    }
}

/// The [`Field`] of what a plan holds.
pub trait HasField {
    fn plan(&self) -> &ReadPlan;

    fn source_type(&self) -> &SourceType {
        &Field::of(self.plan()).source_type
    }

    fn read_as(&self) -> &ReadExpression {
        &Field::of(self.plan()).read
    }
}

impl HasField for ColumnPlan {
    fn plan(&self) -> &ReadPlan {
        &self.read
    }
}

impl HasField for KeyColumn {
    fn plan(&self) -> &ReadPlan {
        &self.read
    }
}

/// What a type means to a plan.
pub fn column_type(source_type: &SourceType) -> ColumnType {
    let (holds, read) = match meaning(source_type) {
        Ok((holds, read)) => (Ok(holds), read),
        Err(unmapped) => (Err(unmapped), ReadExpression::Plain),
    };
    ColumnType {
        holds,
        read: Field::plan(source_type, read),
        losses: loss(source_type).into_iter().collect(),
        ranges: has_ranges(source_type),
        companion: companion(source_type),
    }
}

/// A line for each type: what it holds, and how it is read.
fn meaning(source_type: &SourceType) -> Result<(LogicalType, ReadExpression), Unmapped> {
    use LogicalType as L;
    use ReadExpression as R;
    use SourceType as S;
    let units = |units: u16| R::Utf16Bytes { bytes: Some(units * 2) };
    Ok(match source_type {
        S::Bit => (L::Bool, R::Plain),
        S::TinyInt => (L::UInt1, R::Plain),
        S::SmallInt => (L::Int2, R::Plain),
        S::Int => (L::Int4, R::Plain),
        S::BigInt => (L::Int8, R::Plain),
        S::Decimal { precision, scale } => (L::Decimal { precision: *precision, scale: *scale }, R::Plain),
        S::Money => (L::Decimal { precision: 19, scale: 4 }, R::Money { precision: 19 }),
        S::SmallMoney => (L::Decimal { precision: 10, scale: 4 }, R::Money { precision: 10 }),
        S::Real => (L::Float4, R::Plain),
        S::Float => (L::Float8, R::Plain),
        S::Date => (L::Date, R::Plain),
        S::Time { digits } => (L::Time { digits: *digits }, R::Plain),
        S::DateTime => (L::Timestamp { digits: 3 }, R::Plain),
        S::SmallDateTime => (L::Timestamp { digits: 0 }, R::Plain),
        S::DateTime2 { digits } => (L::Timestamp { digits: *digits }, R::Plain),
        S::DateTimeOffset { digits } => (L::TimestampTz { digits: *digits }, R::Plain),
        S::Char { bytes, code_page } => (
            L::Char { length: u32::from(*bytes) },
            R::CodePageBytes { bytes: Some(*bytes), code_page: known(code_page)? },
        ),
        S::VarChar { bytes: Length::Limited(bytes), code_page } => (
            L::Text { limit: u32::from(*bytes) },
            R::CodePageBytes { bytes: Some(*bytes), code_page: known(code_page)? },
        ),
        S::VarChar { bytes: Length::Max, code_page } => {
            (L::Text { limit: 0 }, R::CodePageBytes { bytes: None, code_page: known(code_page)? })
        }
        S::Text { code_page } => (L::Text { limit: 0 }, R::TextBytes { code_page: known(code_page)? }),
        S::NChar { units: length } => (L::Char { length: u32::from(*length) }, units(*length)),
        S::NVarChar { units: Length::Limited(limit) } => (L::Text { limit: u32::from(*limit) }, units(*limit)),
        S::NVarChar { units: Length::Max } => (L::Text { limit: 0 }, R::Utf16Bytes { bytes: None }),
        S::NText => (L::Text { limit: 0 }, R::ThroughNVarchar),
        S::Binary { bytes } => (L::Bytes { limit: u32::from(*bytes), fixed: true }, R::Plain),
        S::VarBinary { bytes: Length::Limited(bytes) } => {
            (L::Bytes { limit: u32::from(*bytes), fixed: false }, R::Plain)
        }
        S::VarBinary { bytes: Length::Max } => (L::Bytes { limit: 0, fixed: false }, R::Plain),
        S::RowVersion => (L::Bytes { limit: 8, fixed: true }, R::Plain),
        S::Image | S::Clr(_) => (L::Bytes { limit: 0, fixed: false }, R::RawBytes),
        S::UniqueIdentifier => (L::Uuid, R::Plain),
        S::Xml => (L::Xml, R::ThroughNVarchar),
        S::SqlVariant => (L::Variant, R::VariantText),
        S::HierarchyId => (L::Path, R::HierarchyPath),
        S::Geometry | S::Geography => (L::Geometry, R::Ewkt),
        S::Json => (L::Json, R::ThroughNVarchar),
        S::Vector { .. } => (L::FloatArray, R::ThroughNVarchar),
        S::Unknown(name) => return Err(Unmapped::Unknown(format!("the type {name} is not known"))),
        S::NotShown(id) => return Err(Unmapped::NotShown { remedy: show_type(*id) }),
    })
}

/// What the server, or the way in which it is read, loses already.
fn loss(source_type: &SourceType) -> Option<PlannedLoss> {
    match source_type {
        SourceType::Vector { .. } => Some(PlannedLoss::VectorDigits),
        SourceType::Clr(name) => Some(PlannedLoss::ClrBytes(name.clone())),
        _ => None,
    }
}

/// Whether ranges over the type mean the same to the server and to a literal.
fn has_ranges(source_type: &SourceType) -> bool {
    use SourceType as S;
    matches!(
        source_type,
        S::TinyInt
            | S::SmallInt
            | S::Int
            | S::BigInt
            | S::Decimal { .. }
            | S::Date
            | S::DateTime
            | S::SmallDateTime
            | S::DateTime2 { .. }
            | S::UniqueIdentifier
            | S::Char { .. }
            | S::VarChar { bytes: Length::Limited(_), .. }
            | S::NChar { .. }
            | S::NVarChar { units: Length::Limited(_) }
    )
}

/// What another expression reads of the same column.
fn companion(source_type: &SourceType) -> Option<Companion> {
    let (kind, holds, read) = match source_type {
        SourceType::DateTimeOffset { .. } => (CompanionKind::Offset, LogicalType::Int4, ReadExpression::OffsetMinutes),
        SourceType::SqlVariant => {
            (CompanionKind::VariantType, LogicalType::Text { limit: 0 }, ReadExpression::VariantType)
        }
        _ => return None,
    };
    Some(Companion { kind, holds, read: Field::plan(source_type, read) })
}

fn known(code_page: &CodePageOrName) -> Result<CodePage, Unmapped> {
    let unknown = |why| Err(Unmapped::Unknown(why));
    match code_page {
        CodePageOrName::Known(code_page) => Ok(*code_page),
        CodePageOrName::Unknown { collation, number: Some(number) } => {
            unknown(format!("the collation {collation} uses code page {number}, which is not supported"))
        }
        CodePageOrName::Unknown { collation, number: None } => {
            unknown(format!("the code page of the collation {collation} could not be found out"))
        }
    }
}

/// Only a type of a CLR assembly has no base type to be taken by.
fn show_type(id: i32) -> String {
    format!(
        "GRANT VIEW DEFINITION ON TYPE::… to the login (SELECT SCHEMA_NAME(schema_id), name FROM sys.types WHERE user_type_id = \
         {id} tells an administrator its name), or list the column in exclude_columns."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Engine;
    use crate::model::facts::Abilities;
    use crate::proof::witness::fixture::of_type;
    use crate::proof::witness::plan::{Content, Subject, subject};

    fn asked(source_type: &SourceType) -> Subject {
        let holds = column_type(source_type).holds.unwrap();
        subject(&of_type("c", holds, Engine::Postgres), Abilities { utf8: true, long_hash: true })
    }

    #[test]
    fn every_type_has_its_sums() {
        use SourceType as S;
        let latin = || CodePageOrName::Known(CodePage::new(1252).unwrap());
        let text = |trimmed| Subject::Text { trimmed, content: Content::Hash };
        let bytes = Subject::Bytes { content: Content::Hash };
        let decimal = |precision, scale| Subject::Decimal { precision, scale };
        let all: Vec<(SourceType, Subject)> = vec![
            (S::Bit, Subject::Integer),
            (S::TinyInt, Subject::Integer),
            (S::SmallInt, Subject::Integer),
            (S::Int, Subject::Integer),
            (S::BigInt, Subject::Integer),
            (S::Decimal { precision: 18, scale: 2 }, decimal(18, 2)),
            (S::Money, decimal(19, 4)),
            (S::SmallMoney, decimal(10, 4)),
            (S::Real, Subject::Float),
            (S::Float, Subject::Float),
            (S::Date, Subject::Date),
            (S::Time { digits: 7 }, Subject::Time { digits: 6 }),
            (S::DateTime, Subject::Timestamp { digits: 3 }),
            (S::SmallDateTime, Subject::Timestamp { digits: 0 }),
            (S::DateTime2 { digits: 7 }, Subject::Timestamp { digits: 6 }),
            (S::DateTimeOffset { digits: 2 }, Subject::Instant { digits: 2 }),
            (S::Char { bytes: 300, code_page: latin() }, text(true)),
            (S::NChar { units: 5 }, text(true)),
            (S::VarChar { bytes: Length::Limited(20), code_page: latin() }, text(false)),
            (S::VarChar { bytes: Length::Max, code_page: latin() }, text(false)),
            (S::NVarChar { units: Length::Max }, text(false)),
            (S::Text { code_page: latin() }, text(false)),
            (S::NText, text(false)),
            (S::Xml, text(false)),
            (S::Json, text(false)),
            (S::SqlVariant, text(false)),
            (S::HierarchyId, text(false)),
            (S::Geometry, text(false)),
            (S::Geography, text(false)),
            (S::Binary { bytes: 4 }, bytes),
            (S::VarBinary { bytes: Length::Max }, bytes),
            (S::Image, bytes),
            (S::RowVersion, bytes),
            (S::Clr("dbo.Point".to_owned()), bytes),
            (S::UniqueIdentifier, Subject::Uuid),
        ];
        for (source_type, expected) in &all {
            assert_eq!(asked(source_type), *expected, "{source_type:?}");
        }
        assert!(matches!(asked(&S::Vector { dimensions: Some(3) }), Subject::Counted { .. }));
    }

    #[test]
    fn unknown_types_and_code_pages_are_refused_by_name() {
        let refused = |source_type| match column_type(&source_type).holds {
            Err(Unmapped::Unknown(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(refused(SourceType::Unknown("quux".into())).contains("quux"));
        let code_page = CodePageOrName::Unknown { collation: "Odd_CI".into(), number: Some(1361) };
        assert!(refused(SourceType::Char { bytes: 3, code_page }).contains("Odd_CI"));
    }
}
