//! DATEADD, DATEDIFF and DATEPART: arithmetic with the parts of a moment.

use crate::codec::TICKS_DAY;
use crate::datetime::{self, Moment};

/// 100 ns in one unit of a date part, for those of fixed length.
fn part_ticks(part: &str) -> Option<i64> {
    Some(match part {
        "week" => 7 * TICKS_DAY,
        "day" | "dayofyear" | "weekday" => TICKS_DAY,
        "hour" => 36_000_000_000,
        "minute" => 600_000_000,
        "second" => 10_000_000,
        "millisecond" => 10_000,
        "microsecond" => 10,
        _ => return None,
    })
}

/// DATEADD; `None` where the result is no date.
pub fn date_add(part: &str, count: i64, at: Moment) -> Option<Moment> {
    if let Some(unit) = part_ticks(part) {
        let total =
            i128::from(at.days) * i128::from(TICKS_DAY) + i128::from(at.ticks) + i128::from(count) * i128::from(unit);
        let days = i64::try_from(total.div_euclid(i128::from(TICKS_DAY))).ok()?;
        return (0..=datetime::LAST_DAY).contains(&days).then_some(Moment {
            days,
            ticks: total.rem_euclid(i128::from(TICKS_DAY)) as i64,
            offset: at.offset,
        });
    }
    let months = count
        * match part {
            "year" => 12,
            "quarter" => 3,
            "month" => 1,
            _ => return None,
        };
    let (year, month, day) = datetime::civil(at.days);
    let total = year * 12 + month - 1 + months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    let days = datetime::days_from(year, month, day.min(datetime::month_length(year, month)))?;
    Some(Moment { days, ..at })
}

/// DATEDIFF, which may be more than a bigint holds.
pub fn date_diff(part: &str, from: Moment, to: Moment) -> i128 {
    let (a, b) = (datetime::civil(from.days), datetime::civil(to.days));
    i128::from(match part {
        "year" => b.0 - a.0,
        "quarter" => (b.0 * 4 + (b.1 - 1) / 3) - (a.0 * 4 + (a.1 - 1) / 3),
        "month" => (b.0 * 12 + b.1) - (a.0 * 12 + a.1),
        "week" => (to.days + 1).div_euclid(7) - (from.days + 1).div_euclid(7),
        "nanosecond" => {
            let count = |m: Moment| i128::from(m.days) * i128::from(TICKS_DAY) + i128::from(m.ticks);
            return (count(to) - count(from)) * 100;
        }
        _ => {
            let unit = part_ticks(part).unwrap_or(TICKS_DAY);
            let start = from.days.min(to.days);
            let count = |m: Moment| ((m.days - start) * TICKS_DAY + m.ticks).div_euclid(unit);
            count(to) - count(from)
        }
    })
}

pub fn date_part(part: &str, at: Moment) -> i64 {
    let (year, month, day) = datetime::civil(at.days);
    match part {
        "year" => year,
        "quarter" => (month - 1) / 3 + 1,
        "month" => month,
        "day" => day,
        "weekday" => (at.days + 1).rem_euclid(7) + 1,
        "dayofyear" => at.days - datetime::days_from(year, 1, 1).unwrap_or(0) + 1,
        "hour" => at.ticks / 36_000_000_000,
        "minute" => at.ticks / 600_000_000 % 60,
        "second" => at.ticks / 10_000_000 % 60,
        "millisecond" => at.ticks / 10_000 % 1000,
        "microsecond" => at.ticks / 10 % 1_000_000,
        "tzoffset" => at.offset.map_or(0, i64::from),
        // Weeks begin on Sundays (DATEFIRST 7), the first on January 1.
        "week" => {
            let first = datetime::days_from(year, 1, 1).unwrap_or(0);
            (at.days - first + (first + 1).rem_euclid(7)) / 7 + 1
        }
        // The week of the Thursday nearest to the day.
        "iso_week" => {
            let thursday = at.days - at.days.rem_euclid(7) + 3;
            let first = datetime::days_from(datetime::civil(thursday).0, 1, 1).unwrap_or(0);
            (thursday - first) / 7 + 1
        }
        _ => at.ticks % 10_000_000 * 100,
    }
}
