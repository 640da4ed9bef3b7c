//! What is asked of which column: decided from its source type and its form on the target.

use crate::model::facts::Abilities;
use crate::model::logical::LogicalType;
use crate::plan::type_map::StoredType;
use crate::plan::{ColumnPlan, TablePlan, Unwitnessed};

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
pub const MOST_SUMMED_DIGITS: u8 = 28;

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
    use LogicalType as L;
    let stored = column.mapping.stored;
    let text = |trimmed: bool| Subject::Text {
        trimmed: trimmed || matches!(stored, StoredType::Char { .. }),
        content: if abilities.utf8 { Content::Hash } else { Content::CodePoints },
    };
    match (column.holds, stored) {
        // Of an expression over a masked column the login sees the default mask, not what the column's own mask makes of it, and a mask
        // may be random ("Dynamic data masking").
        _ if column.masked => Subject::Skipped { why: "the login sees a mask of its values" },
        _ if column.unwitnessed == Some(Unwitnessed::MayBeMasked) => {
            Subject::Skipped { why: "the view may show a mask of its values" }
        }
        _ if column.unwitnessed == Some(Unwitnessed::CountDiffers) => {
            Subject::Skipped { why: "the source does not count its values as SQL Server documents" }
        }
        _ if column.unwitnessed == Some(Unwitnessed::SumsDiffer) => {
            Subject::Counted { why: "the source does not add up its values as SQL Server documents" }
        }
        (L::FloatArray, StoredType::FloatArray) => {
            Subject::Counted { why: "the source shows a vector as text, and the target keeps an array of floats" }
        }
        (L::Char { .. }, _) => text(true),
        // A number, date or id that the job file asks to keep as text.
        (L::Float4 | L::Float8, StoredType::Text { .. }) => {
            Subject::Counted { why: "the source and the job write floats as different texts" }
        }
        (_, StoredType::Text { .. } | StoredType::Char { .. } | StoredType::Json | StoredType::Xml) => text(false),
        (L::Bool | L::UInt1 | L::Int2 | L::Int4 | L::Int8 | L::UInt8, _) => Subject::Integer,
        (L::Decimal { precision, scale }, _) => Subject::Decimal { precision, scale },
        (L::Float4 | L::Float8, _) => Subject::Float,
        (L::Date, _) => Subject::Date,
        (_, StoredType::Time { digits }) => Subject::Time { digits },
        (_, StoredType::Timestamp { digits }) => Subject::Timestamp { digits },
        (_, StoredType::TimestampTz { digits }) => Subject::Instant { digits },
        (_, StoredType::Uuid) => Subject::Uuid,
        (holds, StoredType::Bytes) => Subject::Bytes { content: of_bytes(holds, abilities) },
        _ => Subject::Counted { why: "no aggregate of both engines fits its types" },
    }
}

/// Values that cannot be longer are hashed whole by every server.
fn of_bytes(holds: LogicalType, abilities: Abilities) -> Content {
    let is_short = matches!(holds, LogicalType::Bytes { limit: 1.., .. });
    if is_short || abilities.long_hash { Content::Hash } else { Content::HashOfBeginning }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Engine;
    use crate::plan::type_map::map_as;
    use crate::proof::witness::fixture::{column, of_type};

    const NEW: Abilities = Abilities { utf8: true, long_hash: true };
    const OLD: Abilities = Abilities { utf8: false, long_hash: false };

    fn planned(holds: LogicalType, engine: Engine, abilities: Abilities) -> Subject {
        subject(&of_type("c", holds, engine), abilities)
    }

    #[test]
    fn nothing_is_asked_about_a_masked_column() {
        let masked = ColumnPlan { masked: true, ..of_type("c", LogicalType::Int4, Engine::Postgres) };
        assert!(matches!(subject(&masked, NEW), Subject::Skipped { .. }));
        assert_eq!(aggregates(subject(&masked, NEW)), &[]);
    }

    #[test]
    fn every_type_has_its_sums() {
        use LogicalType as L;
        let text = |trimmed| Subject::Text { trimmed, content: Content::Hash };
        let bytes = Subject::Bytes { content: Content::Hash };
        let alike: Vec<(LogicalType, Subject)> = vec![
            (L::Bool, Subject::Integer),
            (L::UInt1, Subject::Integer),
            (L::Int2, Subject::Integer),
            (L::Int4, Subject::Integer),
            (L::Int8, Subject::Integer),
            (L::UInt8, Subject::Integer),
            (L::Decimal { precision: 18, scale: 2 }, Subject::Decimal { precision: 18, scale: 2 }),
            (L::Float4, Subject::Float),
            (L::Float8, Subject::Float),
            (L::Date, Subject::Date),
            (L::Time { digits: 7 }, Subject::Time { digits: 6 }),
            (L::Timestamp { digits: 3 }, Subject::Timestamp { digits: 3 }),
            (L::Timestamp { digits: 7 }, Subject::Timestamp { digits: 6 }),
            (L::TimestampTz { digits: 2 }, Subject::Instant { digits: 2 }),
            (L::Char { length: 300 }, text(true)),
            (L::Char { length: 5 }, text(true)),
            (L::Text { limit: 20 }, text(false)),
            (L::Text { limit: 0 }, text(false)),
            (L::Xml, text(false)),
            (L::Json, text(false)),
            (L::Variant, text(false)),
            (L::Path, text(false)),
            (L::Geometry, text(false)),
            (L::Bytes { limit: 4, fixed: true }, bytes),
            (L::Bytes { limit: 0, fixed: false }, bytes),
            (L::Uuid, Subject::Uuid),
        ];
        for engine in [Engine::Postgres, Engine::Mysql] {
            for (holds, expected) in &alike {
                assert_eq!(planned(*holds, engine, NEW), *expected, "{holds:?} on {engine:?}");
            }
        }
        assert!(matches!(planned(L::FloatArray, Engine::Postgres, NEW), Subject::Counted { .. }));
        assert_eq!(planned(L::FloatArray, Engine::Mysql, NEW), text(false), "there it is text until it is converted");
        // MySQL's decimals end before this one does.
        let wide = L::Decimal { precision: 38, scale: 31 };
        assert_eq!(planned(wide, Engine::Mysql, NEW), text(false));
    }

    #[test]
    fn what_an_older_server_lacks_is_not_asked() {
        let points = Subject::Text { trimmed: false, content: Content::CodePoints };
        assert_eq!(planned(LogicalType::Text { limit: 0 }, Engine::Postgres, OLD), points);
        let of = |limit, fixed| planned(LogicalType::Bytes { limit, fixed }, Engine::Postgres, OLD);
        assert_eq!(of(0, false), Subject::Bytes { content: Content::HashOfBeginning });
        assert_eq!(of(8_000, true), Subject::Bytes { content: Content::Hash });
    }

    #[test]
    fn types_of_the_job_file_are_taken_into_account() {
        let asked = |holds: LogicalType, wanted: &str, engine: Engine| {
            subject(&column("c", holds, map_as(holds, wanted, engine).unwrap()), NEW)
        };
        let text = Subject::Text { trimmed: false, content: Content::Hash };
        assert_eq!(asked(LogicalType::Int4, "numeric(12,2)", Engine::Postgres), Subject::Integer);
        assert_eq!(asked(LogicalType::Bool, "int", Engine::Mysql), Subject::Integer);
        assert_eq!(asked(LogicalType::Float4, "double precision", Engine::Postgres), Subject::Float);
        assert!(matches!(asked(LogicalType::Float8, "text", Engine::Postgres), Subject::Counted { .. }));
        let money = LogicalType::Decimal { precision: 19, scale: 4 };
        for holds in [LogicalType::Date, LogicalType::Timestamp { digits: 3 }, money, LogicalType::Uuid] {
            assert_eq!(asked(holds, "text", Engine::Postgres), text);
        }
        let padded = asked(LogicalType::Text { limit: 5 }, "char(5)", Engine::Postgres);
        assert_eq!(padded, Subject::Text { trimmed: true, content: Content::Hash });
        assert_eq!(asked(LogicalType::Text { limit: 0 }, "jsonb", Engine::Postgres), text);
    }

    #[test]
    fn no_sum_of_a_wide_decimal_can_overflow() {
        let of = |precision| aggregates(Subject::Decimal { precision, scale: 0 });
        assert!(of(28).contains(&Aggregate::Sum) && !of(28).contains(&Aggregate::Remainders));
        assert!(of(29).contains(&Aggregate::Remainders) && !of(29).contains(&Aggregate::Sum));
        assert!(!aggregates(Subject::Float).contains(&Aggregate::Sum));
    }
}
