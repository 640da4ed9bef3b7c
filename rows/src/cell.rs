//! One value of one row, borrowed from the driver's row, exact in every type.

use crate::text::CodePage;

/// Days from 0001-01-01 to 1900-01-01, the epoch of `datetime` and `smalldatetime`.
pub const DAYS_TO_1900: i32 = 693_595;

/// Units of 100 ns in a day.
pub const TICKS_PER_DAY: u64 = 864_000_000_000;

/// A value as read from the source. Times are in units of 100 ns ("ticks"), dates in days since 0001-01-01.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Null,
    Bool(bool),
    /// tinyint to bigint.
    Int(i64),
    Float4(f32),
    Float8(f64),
    /// `value / 10^scale`.
    Decimal {
        value: i128,
        scale: u8,
    },
    Date(i32),
    Time(u64),
    Timestamp {
        days: i32,
        ticks: u64,
    },
    /// The instant in UTC, and the offset in minutes that it was written with.
    TimestampTz {
        days: i32,
        ticks: u64,
        offset: i16,
    },
    /// UTF-16LE bytes, possibly with lone surrogates.
    Utf16(&'a [u8]),
    /// Bytes in a collation's code page, possibly undecodable.
    Encoded(&'a [u8], CodePage),
    Bytes(&'a [u8]),
    /// RFC 4122 byte order, as the lower-case text reads.
    Uuid([u8; 16]),
}

impl Cell<'_> {
    /// The value's own text, exact; text and binary cells, which have encodings of their own, as for a message.
    pub fn to_text(&self) -> String {
        match self {
            Cell::Timestamp { days, ticks } => format!("{} {}", date_text(*days), time_text(*ticks)),
            Cell::TimestampTz { days, ticks, offset } => offset_text(*days, *ticks, *offset),
            other => other.describe(),
        }
    }

    /// The cell's value for an error message: numbers and short keys in full, long values cut.
    pub fn describe(&self) -> String {
        match self {
            Cell::Null => "NULL".to_owned(),
            Cell::Bool(value) => u8::from(*value).to_string(),
            Cell::Int(value) => value.to_string(),
            Cell::Float4(value) => value.to_string(),
            Cell::Float8(value) => value.to_string(),
            Cell::Decimal { value, scale } => decimal_text(*value, *scale),
            Cell::Date(days) => date_text(*days),
            Cell::Time(ticks) => time_text(*ticks),
            Cell::Timestamp { days, ticks } => format!("{} {}", date_text(*days), time_text(*ticks)),
            Cell::TimestampTz { days, ticks, .. } => format!("{} {} UTC", date_text(*days), time_text(*ticks)),
            Cell::Utf16(bytes) => quote(&crate::text::utf16_lossy(bytes)),
            Cell::Encoded(bytes, code_page) => quote(&code_page.decode_lossy(bytes)),
            Cell::Bytes(bytes) => format!("0x{}", hex(&bytes[..bytes.len().min(16)])),
            Cell::Uuid(bytes) => uuid_text(bytes),
        }
    }
}

fn quote(text: &str) -> String {
    let cut: String = text.chars().take(40).collect();
    if cut.len() < text.len() { format!("'{cut}…'") } else { format!("'{cut}'") }
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `8-4-4-4-12` lower-case text of a uuid.
pub fn uuid_text(bytes: &[u8; 16]) -> String {
    let digits = hex(bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// Exact decimal text, with all `scale` fraction digits.
pub fn decimal_text(value: i128, scale: u8) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = value.unsigned_abs().to_string();
    let scale = usize::from(scale);
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// Year, month and day of a day number (0 = 0001-01-01), proleptic Gregorian.
pub fn civil(days: i32) -> (i32, u32, u32) {
    use chrono::Datelike as _;
    // chrono counts 0001-01-01 as day 1; the range of the source's types lies within chrono's.
    chrono::NaiveDate::from_num_days_from_ce_opt(days + 1)
        .map_or((0, 0, 0), |date| (date.year(), date.month(), date.day()))
}

/// `YYYY-MM-DD`.
pub fn date_text(days: i32) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `HH:MM:SS.fffffff`.
pub fn time_text(ticks: u64) -> String {
    let seconds = ticks / 10_000_000;
    format!("{:02}:{:02}:{:02}.{:07}", seconds / 3600, seconds / 60 % 60, seconds % 60, ticks % 10_000_000)
}

/// `YYYY-MM-DD HH:MM:SS.fffffff +HH:MM`, in the local time of the offset, as SQL Server shows it.
fn offset_text(days: i32, ticks: u64, offset: i16) -> String {
    let local = i64::from(days) * TICKS_PER_DAY as i64 + ticks as i64 + i64::from(offset) * 600_000_000;
    let (days, ticks) = (local.div_euclid(TICKS_PER_DAY as i64), local.rem_euclid(TICKS_PER_DAY as i64));
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.unsigned_abs();
    format!("{} {} {sign}{:02}:{:02}", date_text(days as i32), time_text(ticks as u64), minutes / 60, minutes % 60)
}

/// Ticks of a `datetime`'s 1/300 s, shown as SQL Server shows them: .000, .003, .007 (rounded to the millisecond).
pub fn datetime_ticks(three_hundredths: u32) -> u64 {
    let milliseconds = (u64::from(three_hundredths) * 10 + 1) / 3;
    milliseconds * 10_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetime_ticks_are_shown_as_sql_server_shows_them() {
        let shown: Vec<u64> = (0..6).map(|fragment| datetime_ticks(fragment) / 10_000).collect();
        assert_eq!(shown, [0, 3, 7, 10, 13, 17]);
        assert_eq!(datetime_ticks(300 * 86_400 - 1), TICKS_PER_DAY - 30_000);
    }

    #[test]
    fn decimal_text_keeps_every_digit() {
        assert_eq!(decimal_text(-5, 4), "-0.0005");
        assert_eq!(decimal_text(10i128.pow(38) - 1, 0), "9".repeat(38));
        assert_eq!(decimal_text(100, 2), "1.00");
    }

    #[test]
    fn dates_span_the_source_range() {
        assert_eq!(date_text(0), "0001-01-01");
        assert_eq!(date_text(3_652_058), "9999-12-31");
        assert_eq!(date_text(DAYS_TO_1900), "1900-01-01");
    }

    #[test]
    fn describe_is_short_and_readable() {
        assert_eq!(Cell::Int(-3).describe(), "-3");
        assert_eq!(Cell::Utf16(b"a\0b\0").describe(), "'ab'");
        assert!(Cell::Bytes(&[7; 4000]).describe().len() < 40);
    }
}
