//! Dates and times: day numbers, text, and what each SQL Server type keeps of them.

use crate::value::Value;

/// Days from 0001-01-01 to 1900-01-01.
pub const DAYS_TO_1900: i64 = 693_595;
pub const TICKS_PER_DAY: u64 = 864_000_000_000;

/// Day number (0 = 0001-01-01) of a civil date, by the usual era arithmetic of the proleptic Gregorian calendar.
pub fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let month_index = (month + 9) % 12;
    let day_of_year = (153 * month_index + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 306
}

/// Year, month and day of a day number.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 306;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Day number, ticks of 100 ns and offset of a date-time value; `None` for other values.
pub fn instant(value: &Value<'_>) -> Option<(i64, u64, i16)> {
    Some(match value {
        Value::Date(days) => (i64::from(*days), 0, 0),
        Value::Time(ticks) => (DAYS_TO_1900, *ticks, 0),
        Value::DateTime { days, ticks } => {
            // Shown to the millisecond: .000, .003, .007.
            (i64::from(*days) + DAYS_TO_1900, (u64::from(*ticks) * 10 + 1) / 3 * 10_000, 0)
        }
        Value::SmallDateTime { days, minutes } => {
            (i64::from(*days) + DAYS_TO_1900, u64::from(*minutes) * 600_000_000, 0)
        }
        Value::DateTime2 { days, ticks } => (i64::from(*days), *ticks, 0),
        Value::DateTimeOffset { days, ticks, offset } => (i64::from(*days), *ticks, *offset),
        _ => return None,
    })
}

/// Carries whole days out of ticks.
pub fn normalize(days: i64, ticks: i64) -> (i64, u64) {
    let per_day = TICKS_PER_DAY as i64;
    (days + ticks.div_euclid(per_day), ticks.rem_euclid(per_day) as u64)
}

/// Rounds half up to `scale` fraction digits; may reach the next day.
pub fn round(days: i64, ticks: u64, scale: u8) -> (i64, u64) {
    let unit = 10_u64.pow(7 - u32::from(scale.min(7)));
    normalize(days, ((ticks + unit / 2) / unit * unit) as i64)
}

pub fn date_text(days: i64) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `HH:MM:SS` with `scale` fraction digits.
pub fn time_text(ticks: u64, scale: u8) -> String {
    let seconds = ticks / 10_000_000;
    let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if scale == 0 {
        return text;
    }
    let fraction = format!("{:07}", ticks % 10_000_000);
    format!("{text}.{}", &fraction[..usize::from(scale.min(7))])
}

/// Reads `YYYY-MM-DD`, `YYYYMMDD`, `HH:MM[:SS[.fffffff]]`, both joined by a space or T, and an offset `+HH:MM` or `Z`.
pub fn parse(text: &str) -> Option<(i64, u64, i16)> {
    let text = text.trim();
    let (text, offset) = split_offset(text)?;
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time.trim()),
        None if text.contains(':') => ("", text),
        None => (text, ""),
    };
    let days = if date.is_empty() { DAYS_TO_1900 } else { parse_date(date)? };
    let ticks = if time.is_empty() { 0 } else { parse_time(time)? };
    let local = normalize(days, ticks as i64 - i64::from(offset) * 600_000_000);
    Some((local.0, local.1, offset))
}

fn split_offset(text: &str) -> Option<(&str, i16)> {
    if let Some(rest) = text.strip_suffix('Z') {
        return Some((rest, 0));
    }
    let at = text.rfind(['+', '-']).filter(|at| text[..*at].contains(':'));
    let Some(at) = at else { return Some((text, 0)) };
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let total = hours.parse::<i16>().ok()? * 60 + minutes.parse::<i16>().ok()?;
    let sign = if text[at..].starts_with('-') { -1 } else { 1 };
    (total <= 14 * 60).then_some((text[..at].trim_end(), sign * total))
}

fn parse_date(text: &str) -> Option<i64> {
    let (year, month, day) = if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        (text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?)
    } else {
        let mut parts = text.split('-');
        let date = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        if parts.next().is_some() {
            return None;
        }
        date
    };
    let number = day_number(year, month, day);
    ((1..=9999).contains(&year) && civil(number) == (year, month, day)).then_some(number)
}

fn parse_time(text: &str) -> Option<u64> {
    let mut parts = text.split(':');
    let hours: u64 = parts.next()?.parse().ok()?;
    let minutes: u64 = parts.next()?.parse().ok()?;
    let (seconds, fraction) = parts.next().map_or(("0", ""), |part| part.split_once('.').unwrap_or((part, "")));
    let seconds: u64 = seconds.parse().ok()?;
    let digits: String = format!("{fraction:0<7}").chars().take(7).collect();
    let ticks: u64 = digits.parse().ok()?;
    (hours < 24 && minutes < 60 && seconds < 60).then_some((hours * 3600 + minutes * 60 + seconds) * 10_000_000 + ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_numbers_and_dates_agree() {
        for (date, number) in
            [((1, 1, 1), 0), ((1900, 1, 1), DAYS_TO_1900), ((9999, 12, 31), 3_652_058), ((2000, 2, 29), 730_178)]
        {
            assert_eq!(day_number(date.0, date.1, date.2), number);
            assert_eq!(civil(number), date);
        }
    }

    #[test]
    fn texts_are_read() {
        assert_eq!(parse("9999-12-31 23:59:59.9999999"), Some((3_652_058, TICKS_PER_DAY - 1, 0)));
        assert_eq!(
            parse("2024-01-01T00:30:00+01:00"),
            Some((day_number(2023, 12, 31), 23 * 36_000_000_000 + 18_000_000_000, 60))
        );
        assert_eq!(parse("2023-02-29"), None);
    }
}
