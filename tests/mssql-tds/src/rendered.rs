//! Values as the other clients print them.

use mssql_tds::datatypes::column_values::{ColumnValues, SqlMoney, SqlTime};

const PATTERN: &str = "abcdefg";
/// 1900-01-01, in days since 0001-01-01.
const DAYS_1900: i64 = 693_595;

pub fn rendered(value: &ColumnValues) -> String {
    match value {
        ColumnValues::Null => "None".to_owned(),
        ColumnValues::Bit(value) => if *value { "True" } else { "False" }.to_owned(),
        ColumnValues::TinyInt(value) => value.to_string(),
        ColumnValues::SmallInt(value) => value.to_string(),
        ColumnValues::Int(value) => value.to_string(),
        ColumnValues::BigInt(value) => value.to_string(),
        ColumnValues::Real(value) => value.to_string(),
        ColumnValues::Float(value) => format!("{value:e}").replace("e308", "e+308"),
        ColumnValues::Decimal(value) | ColumnValues::Numeric(value) => value.to_string(),
        ColumnValues::Money(value) => money(whole(value)),
        ColumnValues::SmallMoney(value) => money(i64::from(value.int_val)),
        ColumnValues::Date(value) => date(i64::from(value.get_days())),
        ColumnValues::Time(value) => time(value),
        ColumnValues::DateTime(value) => {
            // Three hundredths of a second, as milliseconds.
            let millis = (u64::from(value.time) * 10 + 1) / 3;
            format!("{}T{}", date(DAYS_1900 + i64::from(value.days)), clock(millis * 1000))
        }
        ColumnValues::SmallDateTime(value) => {
            let micros = u64::from(value.time) * 60_000_000;
            format!("{}T{}", date(DAYS_1900 + i64::from(value.days)), clock(micros))
        }
        ColumnValues::DateTime2(value) => format!("{}T{}", date(i64::from(value.days)), time(&value.time)),
        ColumnValues::DateTimeOffset(value) => {
            // In UTC on the wire.
            let minutes = i64::from(value.offset);
            let micros = units(&value.datetime2.time) / 10 + minutes * 60_000_000;
            let day = 86_400_000_000;
            let days = i64::from(value.datetime2.days) + micros.div_euclid(day);
            let sign = if minutes < 0 { '-' } else { '+' };
            let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
            let clock = clock(micros.rem_euclid(day).unsigned_abs());
            format!("{}T{clock}{sign}{hours:02}:{rest:02}", date(days))
        }
        ColumnValues::String(value) => text(&value.to_utf8_string()),
        ColumnValues::Xml(value) => text(value.as_string().trim_start_matches('\u{feff}')),
        ColumnValues::Bytes(value) => bytes(value),
        ColumnValues::Uuid(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn whole(money: &SqlMoney) -> i64 {
    i64::from(money.msb_part) << 32 | i64::from(money.lsb_part.cast_unsigned())
}

fn money(units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let magnitude = units.unsigned_abs();
    format!("{sign}{}.{:04}", magnitude / 10_000, magnitude % 10_000)
}

/// 100 nanoseconds, whatever the field is called.
fn units(time: &SqlTime) -> i64 {
    i64::try_from(time.time_nanoseconds).unwrap_or(i64::MAX)
}

fn time(time: &SqlTime) -> String {
    clock(units(time).unsigned_abs() / 10)
}

fn clock(micros: u64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 { clock } else { format!("{clock}.{fraction:06}") }
}

/// Of days since 0001-01-01.
fn date(mut days: i64) -> String {
    let mut year = 1;
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", days + 1)
}

fn text(value: &str) -> String {
    if value.len() > 100 {
        return large("str", value);
    }
    let escaped: String = value
        .chars()
        .map(|letter| match u32::from(letter) {
            0..0x80 => letter.to_string(),
            code @ 0x80..0x100 => format!("\\x{code:02x}"),
            code @ 0x100..0x10000 => format!("\\u{code:04x}"),
            code => format!("\\U{code:08x}"),
        })
        .collect();
    format!("'{escaped}'")
}

fn bytes(value: &[u8]) -> String {
    if value.len() > 100 {
        return large("bytes", &String::from_utf8_lossy(value));
    }
    let escaped: String = value.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("b'{escaped}'")
}

fn large(kind: &str, value: &str) -> String {
    let whole = PATTERN.chars().cycle().take(value.len()).eq(value.chars());
    format!("{kind} {} {}", value.len(), if whole { "as written" } else { "MANGLED" })
}
