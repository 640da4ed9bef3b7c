//! What is asked of which column: decided from its source type and its form on the target.

use crate::model::facts::Abilities;
use crate::model::schema::SourceType;
use crate::plan::type_map::{LogicalType, ReadExpression};
use crate::plan::{ColumnPlan, TablePlan};

/// How the content of a value becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The first four bytes of its SHA-256.
    Hash,
    /// The same of its first [`super::HASHED_BYTES`].
    HashOfBeginning,
    /// Code points at [`super::PLACES`], each times its place.
    CodePoints,
}

/// How a column's values are made comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Integer,
    Decimal {
        precision: u8,
        scale: u8,
    },
    /// Smallest and largest only: the order in which floats are added changes their sum.
    Float,
    /// Days since 0001-01-01.
    Date,
    /// Units of `digits` fraction digits since midnight.
    Time {
        digits: u8,
    },
    /// The same since 0001-01-01.
    Timestamp {
        digits: u8,
    },
    /// The same, of the moment in UTC.
    Instant {
        digits: u8,
    },
    /// Its lower-case text.
    Uuid,
    Bytes {
        content: Content,
    },
    Text {
        /// Blanks at its end are padding.
        trimmed: bool,
        content: Content,
    },
    /// Only counted, for this reason.
    Counted {
        why: &'static str,
    },
    /// Not asked about, for this reason.
    Skipped {
        why: &'static str,
    },
}

/// What one number is the sum, count or extreme of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// Of the table: its rows.
    Rows,
    NotNull,
    Sum,
    /// The sum of the values modulo [`super::MODULUS`], in units of their last digit.
    Remainders,
    Min,
    Max,
    /// The sum of the lengths, in characters of a text, in bytes of anything else.
    Length,
    /// The sum of what [`Content`] says.
    Content,
}

impl Aggregate {
    /// For messages.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Rows => "number of rows",
            Self::NotNull => "number of values that are not NULL",
            Self::Sum => "sum",
            Self::Remainders => "sum of remainders",
            Self::Min => "smallest value",
            Self::Max => "largest value",
            Self::Length => "sum of lengths",
            Self::Content => "sum over the content",
        }
    }
}

/// One number that both sides are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Which of the plan's columns; `None` for [`Aggregate::Rows`].
    pub column: Option<usize>,
    pub aggregate: Aggregate,
}

/// What is asked of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the table's columns.
    pub subjects: Vec<Subject>,
    pub questions: Vec<Question>,
}

impl Plan {
    pub fn of(table: &TablePlan, abilities: Abilities) -> Self {
        let subjects: Vec<Subject> = table.columns.iter().map(|column| subject(column, abilities)).collect();
        let mut questions = vec![Question { column: None, aggregate: Aggregate::Rows }];
        for (index, subject) in subjects.iter().enumerate() {
            let of_column = |aggregate: &Aggregate| Question { column: Some(index), aggregate: *aggregate };
            questions.extend(aggregates(*subject).iter().map(of_column));
        }
        Self { subjects, questions }
    }
}

/// Sums of decimals with more digits could exceed SQL Server's 38 within 10¹⁰ rows.
const MOST_SUMMED_DIGITS: u8 = 28;

/// What is asked of a column of this subject.
pub fn aggregates(subject: Subject) -> &'static [Aggregate] {
    use Aggregate as A;
    match subject {
        Subject::Decimal { precision, .. } if precision > MOST_SUMMED_DIGITS => {
            &[A::NotNull, A::Remainders, A::Min, A::Max]
        }
        Subject::Integer
        | Subject::Decimal { .. }
        | Subject::Date
        | Subject::Time { .. }
        | Subject::Timestamp { .. }
        | Subject::Instant { .. } => &[A::NotNull, A::Sum, A::Min, A::Max],
        Subject::Float => &[A::NotNull, A::Min, A::Max],
        Subject::Uuid => &[A::NotNull, A::Content],
        Subject::Bytes { .. } | Subject::Text { .. } => &[A::NotNull, A::Length, A::Content],
        Subject::Counted { .. } => &[A::NotNull],
        Subject::Skipped { .. } => &[],
    }
}

/// How a column is asked about.
pub fn subject(column: &ColumnPlan, abilities: Abilities) -> Subject {
    use SourceType as S;
    let logical = column.mapping.logical;
    let text = |trimmed: bool| Subject::Text {
        trimmed: trimmed || matches!(logical, LogicalType::Char { .. }),
        content: if abilities.utf8 { Content::Hash } else { Content::CodePoints },
    };
    match (&column.source_type, logical) {
        // Of an expression over a masked column the login sees the default mask, not what the column's own mask makes of it, and a mask
        // may be random ("Dynamic data masking").
        _ if column.masked => Subject::Skipped { why: "the login sees a mask of its values" },
        _ if column.only_counted => {
            Subject::Counted { why: "the source does not add up its values as SQL Server documents" }
        }
        _ if column.mapping.read == ReadExpression::OffsetMinutes => Subject::Integer,
        (S::Vector { .. }, LogicalType::FloatArray) => {
            Subject::Counted { why: "the source shows a vector as text, and the target keeps an array of floats" }
        }
        (S::Char { .. } | S::NChar { .. }, _) => text(true),
        // A number, date or id that the job file asks to keep as text.
        (S::Real | S::Float, LogicalType::Text { .. }) => {
            Subject::Counted { why: "the source and the job write floats as different texts" }
        }
        (_, LogicalType::Text { .. } | LogicalType::Char { .. } | LogicalType::Json | LogicalType::Xml) => text(false),
        (S::Bit | S::TinyInt | S::SmallInt | S::Int | S::BigInt, _) => Subject::Integer,
        (S::Decimal { precision, scale }, _) => Subject::Decimal { precision: *precision, scale: *scale },
        (S::Money, _) => Subject::Decimal { precision: 19, scale: 4 },
        (S::SmallMoney, _) => Subject::Decimal { precision: 10, scale: 4 },
        (S::Real | S::Float, _) => Subject::Float,
        (S::Date, _) => Subject::Date,
        (_, LogicalType::Time { digits }) => Subject::Time { digits },
        (_, LogicalType::Timestamp { digits }) => Subject::Timestamp { digits },
        (_, LogicalType::TimestampTz { digits }) => Subject::Instant { digits },
        (_, LogicalType::Uuid) => Subject::Uuid,
        (_, LogicalType::Bytes) => Subject::Bytes { content: of_bytes(&column.source_type, abilities) },
        _ => Subject::Counted { why: "no aggregate of both engines fits its types" },
    }
}

/// Values that cannot be longer are hashed whole by every server.
fn of_bytes(source: &SourceType, abilities: Abilities) -> Content {
    use crate::model::schema::Length;
    let is_short = matches!(
        source,
        SourceType::Binary { .. } | SourceType::VarBinary { bytes: Length::Limited(_) } | SourceType::RowVersion
    );
    if is_short || abilities.long_hash { Content::Hash } else { Content::HashOfBeginning }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Engine;
    use crate::model::schema::{CodePageOrName, Length};
    use crate::plan::type_map::{map, map_as};
    use crate::proof::witness::fixture::column;
    use crate::rows::text::CodePage;

    const NEW: Abilities = Abilities { utf8: true, long_hash: true };
    const OLD: Abilities = Abilities { utf8: false, long_hash: false };

    fn planned(source_type: SourceType, engine: Engine, abilities: Abilities) -> Subject {
        let mapping = map(&source_type, engine).unwrap();
        subject(&column("c", source_type, mapping), abilities)
    }

    fn latin() -> CodePageOrName {
        CodePageOrName::Known(CodePage::new(1252).unwrap())
    }

    #[test]
    fn nothing_is_asked_about_a_masked_column() {
        let mapping = map(&SourceType::Int, Engine::Postgres).unwrap();
        let masked = ColumnPlan { masked: true, ..column("c", SourceType::Int, mapping) };
        assert!(matches!(subject(&masked, NEW), Subject::Skipped { .. }));
        assert_eq!(aggregates(subject(&masked, NEW)), &[]);
    }

    #[test]
    fn every_type_has_its_sums() {
        use SourceType as S;
        let text = |trimmed| Subject::Text { trimmed, content: Content::Hash };
        let bytes = Subject::Bytes { content: Content::Hash };
        let alike: Vec<(SourceType, Subject)> = vec![
            (S::Bit, Subject::Integer),
            (S::TinyInt, Subject::Integer),
            (S::SmallInt, Subject::Integer),
            (S::Int, Subject::Integer),
            (S::BigInt, Subject::Integer),
            (S::Decimal { precision: 18, scale: 2 }, Subject::Decimal { precision: 18, scale: 2 }),
            (S::Money, Subject::Decimal { precision: 19, scale: 4 }),
            (S::SmallMoney, Subject::Decimal { precision: 10, scale: 4 }),
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
        for engine in [Engine::Postgres, Engine::Mysql] {
            for (source_type, expected) in &alike {
                assert_eq!(planned(source_type.clone(), engine, NEW), *expected, "{source_type:?} on {engine:?}");
            }
        }
        let vector = S::Vector { dimensions: Some(3) };
        assert!(matches!(planned(vector.clone(), Engine::Postgres, NEW), Subject::Counted { .. }));
        assert_eq!(planned(vector, Engine::Mysql, NEW), text(false), "there it is text until it is converted");
        // MySQL's decimals end before this one does.
        let wide = S::Decimal { precision: 38, scale: 31 };
        assert_eq!(planned(wide, Engine::Mysql, NEW), text(false));
    }

    #[test]
    fn what_an_older_server_lacks_is_not_asked() {
        let points = Subject::Text { trimmed: false, content: Content::CodePoints };
        assert_eq!(planned(SourceType::NVarChar { units: Length::Max }, Engine::Postgres, OLD), points);
        let of = |source_type| planned(source_type, Engine::Postgres, OLD);
        assert_eq!(of(SourceType::Image), Subject::Bytes { content: Content::HashOfBeginning });
        assert_eq!(of(SourceType::VarBinary { bytes: Length::Max }), of(SourceType::Image));
        assert_eq!(of(SourceType::Binary { bytes: 8_000 }), Subject::Bytes { content: Content::Hash });
    }

    #[test]
    fn types_of_the_job_file_are_taken_into_account() {
        let asked = |source_type: SourceType, wanted: &str, engine: Engine| {
            let mapping = map_as(&source_type, wanted, engine).unwrap();
            subject(&column("c", source_type, mapping), NEW)
        };
        let text = Subject::Text { trimmed: false, content: Content::Hash };
        assert_eq!(asked(SourceType::Int, "numeric(12,2)", Engine::Postgres), Subject::Integer);
        assert_eq!(asked(SourceType::Bit, "int", Engine::Mysql), Subject::Integer);
        assert_eq!(asked(SourceType::Real, "double precision", Engine::Postgres), Subject::Float);
        assert!(matches!(asked(SourceType::Float, "text", Engine::Postgres), Subject::Counted { .. }));
        for source_type in [SourceType::Date, SourceType::DateTime, SourceType::Money, SourceType::UniqueIdentifier] {
            assert_eq!(asked(source_type, "text", Engine::Postgres), text);
        }
        let padded = asked(SourceType::NVarChar { units: Length::Limited(5) }, "char(5)", Engine::Postgres);
        assert_eq!(padded, Subject::Text { trimmed: true, content: Content::Hash });
        assert_eq!(asked(SourceType::NVarChar { units: Length::Max }, "jsonb", Engine::Postgres), text);
    }

    #[test]
    fn no_sum_of_a_wide_decimal_can_overflow() {
        let of = |precision| aggregates(Subject::Decimal { precision, scale: 0 });
        assert!(of(28).contains(&Aggregate::Sum) && !of(28).contains(&Aggregate::Remainders));
        assert!(of(29).contains(&Aggregate::Remainders) && !of(29).contains(&Aggregate::Sum));
        assert!(!aggregates(Subject::Float).contains(&Aggregate::Sum));
    }
}
