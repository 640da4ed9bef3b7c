//! Dates and times as text and back.

use crate::codec::TICKS_DAY;

/// Days from 0001-01-01 to 1900-01-01.
pub const DAYS_1900: i64 = 693_595;
/// Days from 0001-01-01 to 1970-01-01.
pub const DAYS_1970: i64 = 719_162;
/// The last day there is, 9999-12-31.
pub const LAST_DAY: i64 = 3_652_058;

/// Days since 0001-01-01 in the proleptic Gregorian calendar.
pub fn days_from(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day < 1 || day > month_length(year, month) {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era_month = (month + 9) % 12;
    Some(shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + (era_month * 153 + 2) / 5 + day - 307)
}

/// Days in a month.
pub fn month_length(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Year, month and day of days since 0001-01-01.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 306;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// A moment read from text: days since 0001-01-01, 100 ns since midnight, offset in minutes if one was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub days: i64,
    pub ticks: i64,
    pub offset: Option<i16>,
}

/// Reads `yyyy-mm-dd`, `yyyymmdd`, either with `T` or a space and `hh:mm[:ss[.fffffff]]`, a time alone, and an offset.
pub fn parse(text: &str) -> Option<Moment> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Moment { days: DAYS_1900, ticks: 0, offset: None });
    }
    let (date, rest) = match text.find(['T', ' ']) {
        Some(at) if !text[..at].contains(':') => (&text[..at], text[at + 1..].trim()),
        None if !text.contains(':') => (text, ""),
        _ => ("", text),
    };
    let days = if date.is_empty() { DAYS_1900 } else { parse_date(date)? };
    let (clock, offset) = split_offset(rest)?;
    let ticks = if clock.is_empty() { 0 } else { parse_clock(clock)? };
    Some(Moment { days, ticks, offset })
}

fn parse_date(text: &str) -> Option<i64> {
    if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return days_from(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?);
    }
    let parts: Vec<&str> = text.split(['-', '/', '.']).collect();
    let [a, b, c] = parts.as_slice() else { return None };
    let numbers: (i64, i64, i64) = (a.parse().ok()?, b.parse().ok()?, c.parse().ok()?);
    // us_english: month/day/year where the year does not come first.
    if a.len() == 4 { days_from(numbers.0, numbers.1, numbers.2) } else { days_from(numbers.2, numbers.0, numbers.1) }
}

fn split_offset(text: &str) -> Option<(&str, Option<i16>)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock.trim(), Some(0)));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, None)) };
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let total: i16 = hours.parse::<i16>().ok()? * 60 + minutes.parse::<i16>().ok()?;
    let signed = if text.as_bytes()[at] == b'-' { -total } else { total };
    (total <= 14 * 60).then_some((text[..at].trim(), Some(signed)))
}

/// A time zone alone: `+hh:mm` or `-hh:mm`, 14 hours at most.
pub fn offset(text: &str) -> Option<i16> {
    let text = text.trim();
    let signed = text.starts_with(['+', '-']);
    split_offset(text).filter(|(clock, _)| signed && clock.is_empty()).and_then(|(_, offset)| offset)
}

fn parse_clock(text: &str) -> Option<i64> {
    let upper = text.to_ascii_uppercase();
    let (digits, half) = if let Some(rest) = upper.strip_suffix("PM") {
        (rest.trim(), Some(true))
    } else if let Some(rest) = upper.strip_suffix("AM") {
        (rest.trim(), Some(false))
    } else {
        (upper.as_str(), None)
    };
    let mut parts = digits.split(':');
    let mut hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next().unwrap_or("0").parse().ok()?;
    let seconds = parts.next().unwrap_or("0");
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let seconds: i64 = seconds.parse().ok()?;
    if fraction.len() > 7 || parts.next().is_some() {
        return None;
    }
    let fraction: i64 = if fraction.is_empty() { 0 } else { format!("{fraction:0<7}").parse().ok()? };
    match half {
        Some(true) if hours < 12 => hours += 12,
        Some(false) if hours == 12 => hours = 0,
        _ => {}
    }
    ((0..24).contains(&hours) && (0..60).contains(&minutes) && (0..60).contains(&seconds))
        .then_some(((hours * 60 + minutes) * 60 + seconds) * 10_000_000 + fraction)
}

/// `hh:mm:ss` with `scale` digits of the second.
pub fn clock_text(ticks: i64, scale: u8) -> String {
    let seconds = ticks / 10_000_000;
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if scale > 0 {
        let fraction = format!("{:07}", ticks % 10_000_000);
        text.push('.');
        text.push_str(&fraction[..usize::from(scale)]);
    }
    text
}

/// `yyyy-mm-dd`.
pub fn date_text(days: i64) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `+hh:mm`.
pub fn offset_text(offset: i16) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
}

/// `mon dd yyyy hh:miAM`, style 0.
pub fn default_text(days: i64, ticks: i64, with_time: bool) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day) = civil(days);
    let mut text = format!("{} {day:2} {year}", MONTHS[(month - 1) as usize]);
    if with_time {
        let minutes = ticks / 600_000_000;
        let hour = minutes / 60;
        let half = if hour >= 12 { "PM" } else { "AM" };
        text.push_str(&format!(" {:2}:{:02}{half}", (hour + 11) % 12 + 1, minutes % 60));
    }
    text
}

/// Rounds 100 ns to `scale` digits, carrying into the day.
pub fn round(days: i64, ticks: i64, scale: u8) -> (i64, i64) {
    let unit = 10i64.pow(u32::from(7 - scale.min(7)));
    let rounded = (ticks + unit / 2) / unit * unit;
    if rounded >= TICKS_DAY {
        if days >= LAST_DAY { (days, TICKS_DAY - unit) } else { (days + 1, rounded - TICKS_DAY) }
    } else {
        (days, rounded)
    }
}

/// 100 ns as 1/300 s, rounded as datetime does, carrying into the day.
pub fn to_datetime(days: i64, ticks: i64) -> (i64, i64) {
    let units = (ticks * 3 + 50_000) / 100_000;
    if units >= crate::codec::DATETIME_DAY { (days + 1, 0) } else { (days, units) }
}

/// 1/300 s as 100 ns, to the millisecond that SQL Server shows.
pub fn from_datetime(units: i64) -> i64 {
    (units * 10 + 1) / 3 * 10_000
}
