//! Whether the server adds up its columns as the witness takes for granted.
//!
//! The sums of the witness are T-SQL of their own: a hash over a UTF-8 collation, parts of a date, lengths under a collation that
//! counts characters. Asked for over the literals of the read expressions, each has one right answer. A server that gives another
//! may still send every row right, so its columns are only counted; the copy is not refused.

use sha2::{Digest as _, Sha256};

use super::probe::{Expected, LITERALS_OF_SUMS, Literal, Subject as Read};
use super::reason;
use crate::config::WitnessPolicy;
use crate::connect::retry::worth_retrying;
use crate::model::error::Result;
use crate::model::facts::Abilities;
use crate::plan::self_test::{Deviation, TestedColumn};
use crate::plan::{ColumnPlan, TablePlan};
use crate::proof::witness::plan::aggregates;
use crate::proof::witness::{self as sums, Aggregate, Answer, Content, Subject};
use crate::rows::cell::{Cell, TICKS_PER_DAY, decimal_text, uuid_text};
use crate::sources::Source as _;
use crate::sources::sqlserver::{SqlServer, witness};

/// The sums of one kind of column over one literal.
struct Probe {
    kind: String,
    literal: Literal,
    asked: Vec<(Aggregate, String)>,
    expected: Vec<Answer>,
}

/// What was wrong with one of them.
struct Wrong {
    asked: String,
    expected: String,
    got: String,
}

/// The kinds of columns whose sums the server gives otherwise.
pub async fn run(source: &SqlServer, tables: &[TablePlan], abilities: Abilities) -> Result<Vec<Deviation>> {
    let kinds = kinds(tables, abilities);
    let probes: Vec<(usize, Probe)> = kinds
        .iter()
        .enumerate()
        .flat_map(|(kind, (column, subject, _))| probes(column, *subject).into_iter().map(move |probe| (kind, probe)))
        .collect();
    let mut wrong: Vec<Option<(String, Wrong)>> = kinds.iter().map(|_| None).collect();
    for ((kind, probe), found) in probes.iter().zip(ask(source, &probes).await?) {
        if let Some(found) = found {
            wrong[*kind].get_or_insert((probe.kind.clone(), found));
        }
    }
    let deviations = kinds.into_iter().zip(wrong).filter_map(|((.., columns), wrong)| {
        let (kind, Wrong { asked, expected, got }) = wrong?;
        Some(Deviation { kind, asked, expected, got, columns, right_through_driver: false })
    });
    Ok(deviations.collect())
}

/// One column of each kind, and all columns of that kind.
fn kinds(tables: &[TablePlan], abilities: Abilities) -> Vec<(&ColumnPlan, Subject, Vec<TestedColumn>)> {
    let mut found: Vec<(&ColumnPlan, Subject, Vec<TestedColumn>)> = Vec::new();
    for table in tables.iter().filter(|table| table.witness != WitnessPolicy::Off) {
        for column in &table.columns {
            let subject = sums::plan::subject(column, abilities);
            if matches!(subject, Subject::Counted { .. } | Subject::Skipped { .. }) {
                continue;
            }
            let tested = TestedColumn {
                table: table.source.clone(),
                column: column.source.clone(),
                read: column.mapping.read.clone(),
            };
            let alike = |(other, others, _): &&mut (&ColumnPlan, Subject, Vec<TestedColumn>)| {
                *others == subject && Read::column(other) == Read::column(column)
            };
            match found.iter_mut().find(alike) {
                Some((.., columns)) => columns.push(tested),
                None => found.push((column, subject, vec![tested])),
            }
        }
    }
    found
}

fn probes(column: &ColumnPlan, subject: Subject) -> Vec<Probe> {
    let (kind, literals) = Read::column(column).literals();
    let literals = decimals(subject).unwrap_or(literals);
    let over = ColumnPlan { source: "v".to_owned(), ..column.clone() };
    let probe = |literal: Literal| {
        let value = Value::of(&literal.expected)?;
        let (mut asked, mut expected) = (Vec::new(), Vec::new());
        for aggregate in aggregates(subject) {
            asked.push((*aggregate, witness::aggregate(&over, subject, *aggregate)?));
            expected.push(value.answer(subject, *aggregate)?);
        }
        Some(Probe { kind: kind.clone(), literal, asked, expected })
    };
    literals.into_iter().filter_map(probe).collect()
}

/// Decimals are added up with the column's own scale, which the literals of the read expression do not have.
fn decimals(subject: Subject) -> Option<Vec<Literal>> {
    let Subject::Decimal { precision, scale } = subject else { return None };
    let most = 10_i128.checked_pow(precision.into())? - 1;
    let literal = |value: Option<i128>| {
        let text = value.map_or_else(|| "NULL".to_owned(), |value| decimal_text(value, scale));
        let cell = value.map_or(Cell::Null, |value| Cell::Decimal { value, scale });
        Literal { sql: format!("CAST({text} AS decimal({precision},{scale}))"), expected: Expected::Cell(cell) }
    };
    Some(vec![literal(Some(most)), literal(Some(-most)), literal(Some(1)), literal(None)])
}

impl Probe {
    fn sql(&self) -> String {
        let asked: Vec<&str> = self.asked.iter().map(|(_, sql)| sql.as_str()).collect();
        self.statement(&asked.join(", "))
    }

    fn statement(&self, asked: &str) -> String {
        format!("SELECT {asked} FROM (SELECT {} AS v) AS {LITERALS_OF_SUMS}", self.literal.sql)
    }

    fn judge(&self, rows: &[tiberius::Row]) -> Option<Wrong> {
        let row = rows.first();
        let got = |index: usize| row.and_then(|row| row.cells().nth(index)).map(|(_, data)| witness::answer(data));
        self.asked.iter().zip(&self.expected).enumerate().find_map(|(index, ((aggregate, sql), expected))| {
            let got = got(index);
            (got.as_ref() != Some(expected)).then(|| Wrong {
                asked: self.statement(sql),
                expected: format!("the {} {}", aggregate.describe(), shown(Some(expected))),
                got: shown(got.as_ref()),
            })
        })
    }
}

fn shown(answer: Option<&Answer>) -> String {
    match answer {
        None => "nothing".to_owned(),
        Some(None) => "NULL".to_owned(),
        Some(Some(number)) => number.clone(),
    }
}

/// For each probe what was wrong, if anything was.
async fn ask(source: &SqlServer, probes: &[(usize, Probe)]) -> Result<Vec<Option<Wrong>>> {
    if probes.is_empty() {
        return Ok(Vec::new());
    }
    let batch: Vec<String> = probes.iter().map(|(_, probe)| probe.sql()).collect();
    match source.reader(None).await?.answers(&batch.join("; ")).await {
        Ok(results) if results.len() == probes.len() => {
            Ok(probes.iter().zip(&results).map(|((_, probe), rows)| probe.judge(rows)).collect())
        }
        Err(error) if worth_retrying(error.kind) => Err(error),
        _ => ask_each(source, probes).await,
    }
}

/// Where the batch as a whole is refused: each probe by itself. Of a kind with a wrong answer nothing more is asked.
async fn ask_each(source: &SqlServer, probes: &[(usize, Probe)]) -> Result<Vec<Option<Wrong>>> {
    let mut reader = source.reader(None).await?;
    let mut found: Vec<Option<Wrong>> = Vec::with_capacity(probes.len());
    let mut known = None;
    for (kind, probe) in probes {
        if known == Some(*kind) {
            found.push(None);
            continue;
        }
        let wrong = match reader.answers(&probe.sql()).await {
            Ok(results) => probe.judge(results.first().map_or(&[], Vec::as_slice)),
            Err(error) if worth_retrying(error.kind) => return Err(error),
            Err(error) => {
                // What the connection still holds of the refused answer must not be taken for the next one's.
                reader = source.reader(None).await?;
                Some(Wrong { asked: probe.sql(), expected: "an answer".to_owned(), got: reason(&error) })
            }
        };
        known = wrong.is_some().then_some(*kind);
        found.push(wrong);
    }
    Ok(found)
}

/// The value of a literal, as far as its sums can be told from it.
enum Value<'a> {
    Cell(Cell<'a>),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn of(expected: &'a Expected) -> Option<Self> {
        match expected {
            Expected::Cell(cell) => Some(Self::Cell(*cell)),
            Expected::Text { text, .. } => Some(Self::Text(text)),
            Expected::Bytes(bytes) => Some(Self::Bytes(bytes)),
            Expected::Zero => Some(Self::Cell(Cell::Float8(0.0))),
            Expected::Broken(_) | Expected::Numbers(_) | Expected::Real(_) => None,
        }
    }

    /// What a sum over this value alone is; the outer `None` where it cannot be told.
    fn answer(&self, subject: Subject, aggregate: Aggregate) -> Option<Answer> {
        let is_null = matches!(self, Self::Cell(Cell::Null));
        Some(match aggregate {
            Aggregate::Rows => Some("1".to_owned()),
            Aggregate::NotNull => Some(u8::from(!is_null).to_string()),
            Aggregate::Content if is_null && matches!(subject, Subject::Text { content: Content::CodePoints, .. }) => {
                // The code point of a character that is not there counts as 0.
                Some("0".to_owned())
            }
            _ if is_null => None,
            Aggregate::Sum | Aggregate::Min | Aggregate::Max => Some(self.number(subject)?),
            Aggregate::Remainders => match (self, subject) {
                (Self::Cell(Cell::Decimal { value, .. }), Subject::Decimal { scale, .. }) => {
                    Some(sums::canonical(&decimal_text(value % i128::from(sums::MODULUS), scale)))
                }
                _ => return None,
            },
            Aggregate::Length => Some(match subject {
                Subject::Text { trimmed, .. } => self.text(trimmed)?.chars().count().to_string(),
                _ => self.bytes()?.len().to_string(),
            }),
            Aggregate::Content => Some(match subject {
                Subject::Text { trimmed, content: Content::CodePoints } => {
                    code_points(&self.text(trimmed)?).to_string()
                }
                Subject::Text { trimmed, .. } => hash(self.text(trimmed)?.as_bytes()),
                Subject::Uuid => hash(self.text(false)?.as_bytes()),
                Subject::Bytes { content: Content::HashOfBeginning } => {
                    let bytes = self.bytes()?;
                    hash(&bytes[..bytes.len().min(sums::HASHED_BYTES as usize)])
                }
                _ => hash(self.bytes()?),
            }),
        })
    }

    /// As the subject counts it.
    fn number(&self, subject: Subject) -> Option<String> {
        let Self::Cell(cell) = self else { return None };
        let units = |digits: u8| i128::from(10_u64.pow(7 - u32::from(digits)));
        let moment = |days: i32, ticks: u64| i128::from(days) * i128::from(TICKS_PER_DAY) + i128::from(ticks);
        Some(match (*cell, subject) {
            (Cell::Bool(value), Subject::Integer) => u8::from(value).to_string(),
            (Cell::Int(value), Subject::Integer) => value.to_string(),
            (Cell::Decimal { value, scale }, Subject::Decimal { .. }) => sums::canonical(&decimal_text(value, scale)),
            (Cell::Float4(value), Subject::Float) => sums::canonical_float(value.into()),
            (Cell::Float8(value), Subject::Float) => sums::canonical_float(value),
            (Cell::Date(days), Subject::Date) => days.to_string(),
            (Cell::Time(ticks), Subject::Time { digits }) => (i128::from(ticks) / units(digits)).to_string(),
            (Cell::Date(days), Subject::Timestamp { digits }) => (moment(days, 0) / units(digits)).to_string(),
            (
                Cell::Timestamp { days, ticks } | Cell::TimestampTz { days, ticks, .. },
                Subject::Timestamp { digits } | Subject::Instant { digits },
            ) => (moment(days, ticks) / units(digits)).to_string(),
            _ => return None,
        })
    }

    fn text(&self, trimmed: bool) -> Option<String> {
        let text = match self {
            Self::Text(text) => (*text).to_owned(),
            Self::Cell(Cell::Uuid(bytes)) => uuid_text(bytes),
            Self::Cell(cell) => cell.to_text(),
            Self::Bytes(_) => return None,
        };
        Some(if trimmed { text.trim_end_matches(' ').to_owned() } else { text })
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// The first four bytes of the hash as a number.
fn hash(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]).to_string()
}

fn code_points(text: &str) -> u64 {
    let at = |place: &u32| {
        let letter = text.chars().nth(*place as usize - 1);
        u64::from(*place) * letter.map_or(0, |letter| u64::from(u32::from(letter)))
    };
    sums::PLACES.iter().map(at).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Engine;
    use crate::model::schema::{CodePageOrName, Length, SourceType};
    use crate::plan::type_map::map;
    use crate::proof::witness::fixture::column;
    use crate::rows::text::CodePage;

    fn types() -> Vec<SourceType> {
        use SourceType as S;
        let greek = || CodePageOrName::Known(CodePage::new(1253).unwrap());
        vec![
            S::Bit,
            S::TinyInt,
            S::BigInt,
            S::Decimal { precision: 38, scale: 4 },
            S::Decimal { precision: 9, scale: 9 },
            S::Money,
            S::SmallMoney,
            S::Real,
            S::Float,
            S::Date,
            S::Time { digits: 7 },
            S::DateTime,
            S::SmallDateTime,
            S::DateTime2 { digits: 7 },
            S::DateTimeOffset { digits: 3 },
            S::Char { bytes: 5, code_page: greek() },
            S::VarChar { bytes: Length::Max, code_page: greek() },
            S::Text { code_page: greek() },
            S::NChar { units: 5 },
            S::NVarChar { units: Length::Limited(5) },
            S::NText,
            S::Xml,
            S::HierarchyId,
            S::SqlVariant,
            S::Geometry,
            S::Binary { bytes: 4 },
            S::VarBinary { bytes: Length::Max },
            S::Image,
            S::RowVersion,
            S::UniqueIdentifier,
        ]
    }

    #[test]
    fn every_kind_of_sum_is_asked_for_over_a_value_and_over_null() {
        for (engine, modern) in [(Engine::Postgres, true), (Engine::Postgres, false), (Engine::Mysql, true)] {
            let abilities = Abilities { utf8: modern, long_hash: modern };
            for source_type in types() {
                let column = column("c", source_type.clone(), map(&source_type, engine).unwrap());
                let subject = sums::plan::subject(&column, abilities);
                let probes = probes(&column, subject);
                let is_null = |probe: &&Probe| probe.literal.expected == Expected::Cell(Cell::Null);
                assert_eq!(probes.iter().filter(is_null).count(), 1, "{source_type:?}: {subject:?}");
                assert!(probes.len() > 1, "{source_type:?}: {subject:?}");
                for probe in &probes {
                    assert_eq!(probe.asked.len(), aggregates(subject).len());
                    assert!(probe.sql().ends_with("AS v) AS stopgap_sums"), "{}", probe.sql());
                }
            }
        }
    }

    #[test]
    fn sums_over_one_value_are_known() {
        let of = |value: Value<'_>, subject, aggregate| value.answer(subject, aggregate).unwrap();
        let text = |trimmed, content| Subject::Text { trimmed, content };
        let number = |text: &str| Some(text.to_owned());
        assert_eq!(of(Value::Text("a 🦀  "), text(true, Content::Hash), Aggregate::Length), number("3"));
        assert_eq!(of(Value::Text("a 🦀  "), text(false, Content::Hash), Aggregate::Length), number("5"));
        // SHA-256 of "abc" begins with ba7816bf (FIPS 180-2, appendix B.1).
        assert_eq!(of(Value::Text("abc"), text(false, Content::Hash), Aggregate::Content), number("3128432319"));
        assert_eq!(of(Value::Text("ab"), text(false, Content::CodePoints), Aggregate::Content), number("293"));
        let noon = Cell::Timestamp { days: 1, ticks: TICKS_PER_DAY / 2 + 19_999 };
        assert_eq!(of(Value::Cell(noon), Subject::Timestamp { digits: 3 }, Aggregate::Sum), number("129600001"));
        let wide = Cell::Decimal { value: -1_000_000_000_000, scale: 2 };
        let subject = Subject::Decimal { precision: 30, scale: 2 };
        assert_eq!(of(Value::Cell(wide), subject, Aggregate::Remainders), number("-630"));
        assert_eq!(of(Value::Cell(wide), subject, Aggregate::Min), number("-10000000000"));
        assert_eq!(of(Value::Cell(Cell::Null), subject, Aggregate::Sum), None);
        assert_eq!(of(Value::Cell(Cell::Null), subject, Aggregate::NotNull), number("0"));
    }
}
