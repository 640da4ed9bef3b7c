//! From the driver's values to cells.

use tiberius::ColumnData;

use crate::plan::type_map::ReadExpression;
use crate::rows::cell::{Cell, DAYS_TO_1900, TICKS_PER_DAY, datetime_ticks};
use crate::rows::encode::CellError;
use crate::rows::message::Message;
use crate::rows::text::CodePage;

/// The driver's value as a cell; nothing is copied. Text arrives as bytes, by its cast (the driver's own text would already
/// have lost what was undecodable), unless it is read through the driver: any other text and xml are of a column that was no
/// text when it was planned.
#[inline]
pub fn cell<'a>(data: &'a ColumnData<'static>, read: &ReadExpression) -> Result<Cell<'a>, CellError> {
    Ok(match data {
        ColumnData::U8(Some(value)) => Cell::Int(i64::from(*value)),
        ColumnData::I16(Some(value)) => Cell::Int(i64::from(*value)),
        ColumnData::I32(Some(value)) => Cell::Int(i64::from(*value)),
        ColumnData::I64(Some(value)) => Cell::Int(*value),
        ColumnData::F32(Some(value)) => Cell::Float4(*value),
        ColumnData::F64(Some(value)) => Cell::Float8(*value),
        ColumnData::Bit(Some(value)) => Cell::Bool(*value),
        ColumnData::Guid(Some(value)) => Cell::Uuid(*value.as_bytes()),
        ColumnData::Numeric(Some(value)) => Cell::Decimal { value: value.value(), scale: value.scale() },
        ColumnData::Binary(Some(bytes)) => match read {
            ReadExpression::Plain | ReadExpression::RawBytes => Cell::Bytes(bytes),
            ReadExpression::CodePageBytes { code_page, .. } | ReadExpression::TextBytes { code_page } => {
                Cell::Encoded(bytes, *code_page)
            }
            ReadExpression::Utf16Bytes { .. }
            | ReadExpression::ThroughNVarchar
            | ReadExpression::HierarchyPath
            | ReadExpression::Ewkt
            | ReadExpression::VariantText
            | ReadExpression::VariantType => Cell::Utf16(bytes),
            ReadExpression::Money { .. } | ReadExpression::OffsetMinutes | ReadExpression::TextThroughDriver { .. } => {
                return Err(unexpected(format!("{} bytes", bytes.len())));
            }
        },
        ColumnData::Date(Some(date)) => Cell::Date(date.days() as i32),
        ColumnData::Time(Some(time)) => Cell::Time(ticks(*time)),
        ColumnData::DateTime(Some(value)) => {
            let (days, ticks) = carry(value.days() + DAYS_TO_1900, datetime_ticks(value.seconds_fragments()));
            Cell::Timestamp { days, ticks }
        }
        ColumnData::SmallDateTime(Some(value)) => Cell::Timestamp {
            days: i32::from(value.days()) + DAYS_TO_1900,
            // The driver's name says fragments; the protocol's unit is the minute (MS-TDS 2.2.5.5.1.8).
            ticks: u64::from(value.seconds_fragments()) * 600_000_000,
        },
        ColumnData::DateTime2(Some(value)) => {
            Cell::Timestamp { days: value.date().days() as i32, ticks: ticks(value.time()) }
        }
        ColumnData::DateTimeOffset(Some(value)) => {
            let instant = value.datetime2();
            Cell::TimestampTz {
                days: instant.date().days() as i32,
                ticks: ticks(instant.time()),
                offset: value.offset(),
            }
        }
        // Rust's text is valid UTF-8.
        ColumnData::String(Some(text)) if matches!(read, ReadExpression::TextThroughDriver { .. }) => {
            Cell::Encoded(text.as_bytes(), CodePage::UTF_8)
        }
        ColumnData::String(Some(text)) => return Err(unexpected_text(text)),
        ColumnData::Xml(Some(xml)) => return Err(unexpected_text(xml.as_ref().as_ref())),
        ColumnData::U8(None)
        | ColumnData::I16(None)
        | ColumnData::I32(None)
        | ColumnData::I64(None)
        | ColumnData::F32(None)
        | ColumnData::F64(None)
        | ColumnData::Bit(None)
        | ColumnData::String(None)
        | ColumnData::Guid(None)
        | ColumnData::Binary(None)
        | ColumnData::Numeric(None)
        | ColumnData::Xml(None)
        | ColumnData::DateTime(None)
        | ColumnData::SmallDateTime(None)
        | ColumnData::Time(None)
        | ColumnData::Date(None)
        | ColumnData::DateTime2(None)
        | ColumnData::DateTimeOffset(None) => Cell::Null,
    })
}

#[cold]
fn unexpected(cell: impl Into<Message>) -> CellError {
    CellError::Mismatch { expected: "a value of the planned type".to_owned(), cell: cell.into() }
}

#[cold]
fn unexpected_text(text: &str) -> CellError {
    let shown: String = text.chars().take(40).collect();
    unexpected(Message::from("the text ").value(format!("'{shown}'")))
}

fn ticks(time: tiberius::time::Time) -> u64 {
    time.increments() * 10_u64.pow(u32::from(7_u8.saturating_sub(time.scale())))
}

/// 23:59:59.999 is the last datetime; a fragment beyond the day would be the next day's.
fn carry(days: i32, ticks: u64) -> (i32, u64) {
    if ticks >= TICKS_PER_DAY { (days + 1, ticks - TICKS_PER_DAY) } else { (days, ticks) }
}
