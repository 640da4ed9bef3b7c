//! Which rows the witness is asked about: small tables whole, of large ones a share that moves on with each run.
//!
//! No state is kept between runs. The share follows from the hour in which the run began: hours are counted since 1970, and the
//! count modulo [`TURNS`] is the run's turn. [`TURNS`] is a prime, so that hourly, nightly and weekly runs come to every turn before
//! any comes back.

use chrono::{DateTime, Utc};

use crate::config::WitnessPolicy;
use crate::model::logical::LogicalType;
use crate::model::schema::TableName;
use crate::plan::{KeyColumn, TablePlan};
use crate::rows::chunk::{self, Chunk, Key, KeyValue};
use crate::rows::digest::hash_bytes;

/// After so many turns every range of every table was witnessed once. The source may spend twice as long on a row that it adds
/// up as on one that it sends, and without a snapshot it is asked twice: that must stay within a tenth of the read.
pub const TURNS: u64 = 211;
/// Ranges of a turn lie far apart, so that each shows old rows and new ones.
const RANGES_A_TURN: u64 = 2;
const RANGES: u64 = TURNS * RANGES_A_TURN;
/// Tables of so many rows at most, which one reader reads, are witnessed whole in each run: that takes each server about a second.
pub const SMALL_ROWS: u64 = 50_000;
/// If they take no more than this.
const SMALL_BYTES: u64 = 64 << 20;

/// The run's place in the rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn(u64);

impl Turn {
    /// The turn of a run that began at this time.
    pub fn at(began: DateTime<Utc>) -> Self {
        Self((began.timestamp().div_euclid(3_600) as u64) % TURNS)
    }

    /// Whether a large table without ranges is witnessed whole. Tables have different turns, by their names.
    pub fn is_of(self, table: &TableName) -> bool {
        hash_bytes(table.to_string().as_bytes()) % TURNS == self.0
    }

    /// The ranges of this turn, of so many.
    fn ranges(self, of: usize) -> impl Iterator<Item = usize> {
        let turns = TURNS as usize;
        (0..of).filter(move |index| index % turns == self.0 as usize)
    }
}

/// What the table's size and the job file make of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Share {
    Nothing,
    Whole,
    /// A share, by ranges where the table has a key for that.
    Sample,
}

/// How much of a table is witnessed, given how many rows it has.
pub fn share(table: &TablePlan, rows: u64) -> Share {
    let is_small = rows <= SMALL_ROWS && table.bytes.is_none_or(|bytes| bytes <= SMALL_BYTES);
    match table.witness {
        WitnessPolicy::Off => Share::Nothing,
        WitnessPolicy::Full => Share::Whole,
        WitnessPolicy::Sample if is_small => Share::Whole,
        WitnessPolicy::Sample => Share::Sample,
    }
}

/// The rows that the witness was asked about.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Scope {
    Whole,
    /// Those with keys in one of these ranges, of `of` that the table was cut into.
    Ranges {
        ranges: Vec<Chunk>,
        of: usize,
    },
}

/// The bounds of keys that need no look at the table: the first two bytes tell.
pub fn needs_no_extremes(key: &KeyColumn) -> bool {
    matches!(key.holds, LogicalType::Bytes { .. })
}

/// This turn's ranges of a key between its extremes, or nothing where the keys are too few to be cut.
pub fn ranges(turn: Turn, key: &KeyColumn, extremes: Option<(KeyValue, KeyValue)>) -> Option<Scope> {
    let all = cut(RANGES, key, extremes)?;
    // With fewer, most turns would have none.
    if all.len() < TURNS as usize {
        return None;
    }
    let of = all.len();
    let ranges = turn.ranges(of).filter_map(|index| all.get(index).cloned()).collect();
    Some(Scope::Ranges { ranges, of })
}

/// Ranges of a key between its extremes, about so many and all of the same width; nothing where there are no rows.
pub fn cut(count: u64, key: &KeyColumn, extremes: Option<(KeyValue, KeyValue)>) -> Option<Vec<Chunk>> {
    let bounds = if needs_no_extremes(key) { bounds_of_bytes(count) } else { bounds(extremes?, count) };
    Some(chunk::between(bounds))
}

fn bounds(extremes: (KeyValue, KeyValue), wanted: u64) -> Vec<Key> {
    const SECONDS_A_DAY: i64 = 86_400;
    match extremes {
        (KeyValue::Int(min), KeyValue::Int(max)) => chunk::split_integers(min, max, wanted),
        (KeyValue::Decimal { value: min, scale }, KeyValue::Decimal { value: max, .. }) => {
            // Widths of 38 digits have no place in an i128, parts of them do.
            let count = i128::from(wanted);
            let (min, max) = (min / count, max / count);
            let bound = |part: i128| vec![KeyValue::Decimal { value: min * (count - part) + max * part, scale }];
            let mut bounds: Vec<Key> = (1..count).map(bound).collect();
            bounds.dedup();
            bounds
        }
        (KeyValue::Date(min), KeyValue::Date(max)) => {
            chunk::split_ticks(min.into(), max.into(), wanted, |days| KeyValue::Date(days as i32))
        }
        (KeyValue::Timestamp { days: d1, ticks: t1 }, KeyValue::Timestamp { days: d2, ticks: t2 }) => {
            let seconds = |days: i32, ticks: u64| i64::from(days) * SECONDS_A_DAY + (ticks / 10_000_000) as i64;
            // Whole minutes are exact in every type of moments.
            chunk::split_ticks(seconds(d1, t1), seconds(d2, t2), wanted, |seconds| KeyValue::Timestamp {
                days: seconds.div_euclid(SECONDS_A_DAY) as i32,
                ticks: (seconds.rem_euclid(SECONDS_A_DAY) / 60) as u64 * 600_000_000,
            })
        }
        _ => Vec::new(),
    }
}

/// SQL Server takes 0x12 and 0x1200 for equal, PostgreSQL and MySQL take the shorter for the lesser: no bound ends with a zero byte.
fn bounds_of_bytes(count: u64) -> Vec<Key> {
    (1..count)
        .map(|part| {
            let start = (0x1_0000 * part / count) as u16 | 1;
            vec![KeyValue::Bytes(start.to_be_bytes().to_vec())]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::read::ReadPlan;

    fn key(holds: LogicalType) -> KeyColumn {
        KeyColumn { name: "k".to_owned(), holds, read: ReadPlan::new(()), nullable: false }
    }

    fn turn(hour: i64) -> Turn {
        Turn::at(DateTime::from_timestamp(hour * 3_600 + 59, 0).unwrap())
    }

    fn chunks(turn: Turn) -> Vec<Chunk> {
        let extremes = Some((KeyValue::Int(1), KeyValue::Int(1_000_000)));
        match ranges(turn, &key(LogicalType::Int4), extremes) {
            Some(Scope::Ranges { ranges, of }) => {
                assert_eq!(of as u64, RANGES);
                ranges
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn hourly_nightly_and_weekly_runs_come_to_every_range_once() {
        for hours in [1, 24, 168] {
            let turns = (0..TURNS as i64).map(|run| turn(495_000 + run * hours));
            let mut seen: Vec<Chunk> = Vec::new();
            for ranges in turns.map(chunks) {
                assert_eq!(ranges.len() as u64, RANGES_A_TURN);
                for range in ranges {
                    assert!(!seen.contains(&range), "{range:?} came twice");
                    seen.push(range);
                }
            }
            assert_eq!(seen.len() as u64, RANGES, "every {hours} hours");
            assert!(seen.iter().any(|range| range.lower.is_none()) && seen.iter().any(|range| range.upper.is_none()));
        }
    }

    #[test]
    fn a_table_without_ranges_has_its_turn_once() {
        let names = (0..200).map(|number| TableName::new("dbo", format!("t{number}")));
        for name in names {
            let turns = (0..TURNS as i64).filter(|run| turn(run * 24).is_of(&name)).count();
            assert_eq!(turns, 1, "{name}");
        }
    }

    #[test]
    fn ranges_are_of_keys_that_both_sides_order_alike() {
        let of = |holds, extremes| ranges(turn(7), &key(holds), extremes);
        let is_cut = |scope: Option<Scope>| matches!(scope, Some(Scope::Ranges { .. }));
        assert!(is_cut(of(LogicalType::Date, Some((KeyValue::Date(0), KeyValue::Date(3_652_058))))));
        let moment = |days| KeyValue::Timestamp { days, ticks: 1 };
        assert!(is_cut(of(LogicalType::Timestamp { digits: 7 }, Some((moment(0), moment(3_652_058))))));
        let decimal = |value| KeyValue::Decimal { value, scale: 2 };
        let widest = 10_i128.pow(38) - 1;
        let decimals = LogicalType::Decimal { precision: 38, scale: 2 };
        assert!(is_cut(of(decimals, Some((decimal(-widest), decimal(widest))))));
        assert!(is_cut(of(LogicalType::Bytes { limit: 8, fixed: true }, None)));
        let few = Some((KeyValue::Int(1), KeyValue::Int(TURNS as i64 - 2)));
        assert_eq!(of(LogicalType::UInt1, few), None, "most turns would have no range");
        assert_eq!(of(LogicalType::Int4, None), None, "an empty table has no extremes");
    }

    #[test]
    fn bounds_of_bytes_ascend_and_end_with_no_zero() {
        let bounds = bounds_of_bytes(RANGES);
        let bytes = |key: &Key| match key.as_slice() {
            [KeyValue::Bytes(bytes)] => bytes.clone(),
            other => panic!("{other:?}"),
        };
        let all: Vec<Vec<u8>> = bounds.iter().map(bytes).collect();
        assert_eq!(all.len() as u64, RANGES - 1);
        assert!(all.windows(2).all(|two| two[0] < two[1]) && all.iter().all(|bound| bound[1] != 0));
    }
}
