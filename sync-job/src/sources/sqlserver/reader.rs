//! One connection that streams rows as borrowed cells.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use tiberius::{ColumnData, QueryItem};

use super::changes::{self, Unit};
use super::connect::{Connection, classify, execute, results, rows};
use super::decode::cell;
use super::field::{HasField, ReadExpression};
use super::planned::{Planned, changed};
use super::select;
use crate::config::Mode;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::position::{Position, Tracking};
use crate::plan::{ColumnPlan, KeyColumn, TablePlan};
use crate::proof::witness::{self, Answer};
use crate::rows::cell::Cell;
use crate::rows::chunk::{self, Chunk, Key, KeyValue};
use crate::rows::encode::{CellError, RowEncoder as _};
use crate::rows::message::{self, Message};
use crate::sources::{Reader, RowSink};

/// Finding bounds may scan an index, and the witness adds up a table, in silence: that may take this many times the stall timeout.
const SILENT_STALLS: u32 = 20;

/// A connection with its session prepared; see [`Reader`].
pub struct SqlServerReader {
    connection: Connection,
    stall_timeout: Duration,
}

impl SqlServerReader {
    pub(super) fn new(connection: Connection, stall_timeout: Duration) -> Self {
        Self { connection, stall_timeout }
    }
}

impl Reader for SqlServerReader {
    type Unit = Unit;

    async fn begin(&mut self) -> Result<()> {
        let sql = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION";
        execute(&mut self.connection, sql, self.stall_timeout).await
    }

    async fn commit(&mut self) -> Result<()> {
        let sql = "COMMIT TRANSACTION; SET TRANSACTION ISOLATION LEVEL READ COMMITTED";
        execute(&mut self.connection, sql, self.stall_timeout).await
    }

    async fn units(&mut self, table: &TablePlan) -> Result<Vec<Unit>> {
        let chunks = chunk::between(self.bounds(table, table.chunks).await?);
        Ok(chunks.into_iter().map(Unit::Rows).collect())
    }

    async fn begin_tracked(&mut self, tables: &[&TablePlan]) -> Result<Vec<Option<Tracking>>> {
        let has_version = |table: &TablePlan| table.mode == Mode::RowVersion;
        let ceiling = if tables.iter().any(|table| has_version(table)) {
            // A SNAPSHOT transaction sees what was committed before its first read. The ceiling comes before that: what is committed
            // between the two comes again next time.
            changes::ceiling(&mut self.connection, self.stall_timeout).await?
        } else {
            0
        };
        self.begin().await?;
        let mut found = Vec::new();
        for table in tables {
            let (connection, timeout) = (&mut self.connection, self.stall_timeout);
            found.push(if has_version(table) {
                changes::versions(connection, table, ceiling, timeout).await?
            } else {
                changes::tracking(connection, table, timeout).await?
            });
        }
        Ok(found)
    }

    async fn has_changes(&mut self, table: &TablePlan, since: &Position) -> Result<bool> {
        let timeout = self.bounds_timeout();
        let found = rows(&mut self.connection, &changes::first(table, since.version), timeout).await?;
        Ok(!found.is_empty())
    }

    async fn read<S: RowSink>(&mut self, table: &TablePlan, unit: &Unit, sink: &mut S) -> Result<()> {
        let mut planned = Planned::new(table);
        // Looked up once, not for each cell.
        let reads: Vec<&ReadExpression> = table.columns.iter().map(HasField::read_as).collect();
        let sql = planned.before(&statement(table, unit));
        // The bounds of a chunk are values of rows.
        let shown = if let Unit::Rows(_) = unit { &Unit::Rows(Chunk::whole()) } else { unit };
        tracing::debug!(table = %table.source, sql = statement(table, shown), "reading, or a part of it");
        let broke = |error| classify(error, format!("reading {} failed", table.source));
        let stalled = || {
            let seconds = self.stall_timeout.as_secs_f32();
            Error::new(Side::Source, Kind::Timeout, format!("reading {}: nothing came for {seconds} s", table.source))
        };
        let mut stream = tokio::time::timeout(self.stall_timeout, self.connection.simple_query(sql))
            .await
            .map_err(|_| stalled())?
            .map_err(broke)?;
        loop {
            // Rows that are already here cost no timer.
            let next = match stream.next().now_or_never() {
                Some(next) => next,
                None => tokio::time::timeout(self.stall_timeout, stream.next()).await.map_err(|_| stalled())?,
            };
            match next {
                None => return Ok(()),
                Some(Err(error)) => return Err(broke(error)),
                Some(Ok(QueryItem::Metadata(found))) => planned.begin(found.result_index(), found.columns())?,
                Some(Ok(QueryItem::Row(row))) if planned.is_about_columns() => planned.compare(&row)?,
                Some(Ok(QueryItem::Row(row))) => {
                    visit(table, &reads, &row, sink)?;
                    if sink.is_full() {
                        sink.flush().await?;
                    }
                }
            }
        }
    }

    async fn count(&mut self, table: &TablePlan) -> Result<u64> {
        let timeout = self.bounds_timeout();
        let found = rows(&mut self.connection, &select::count(table), timeout).await?;
        Ok(first_count(&found))
    }

    async fn count_up_to(&mut self, table: &TablePlan, most: u64) -> Result<u64> {
        let timeout = self.bounds_timeout();
        let found = rows(&mut self.connection, &select::count_up_to(table, most), timeout).await?;
        Ok(first_count(&found))
    }

    async fn extremes(&mut self, table: &TablePlan, key: &KeyColumn) -> Result<Option<(KeyValue, KeyValue)>> {
        let timeout = self.bounds_timeout();
        let found = rows(&mut self.connection, &select::extremes(table, key), timeout).await?;
        let value = |index: usize| {
            let (_, data) = found.first()?.cells().nth(index)?;
            key_value(cell(data, key.read_as()).ok()?)
        };
        Ok(value(0).zip(value(1)))
    }

    async fn witness(
        &mut self,
        table: &TablePlan,
        plan: &witness::Plan,
        scope: &witness::Scope,
    ) -> Result<Vec<Answer>> {
        let timeout = self.bounds_timeout();
        let mut answers = Vec::with_capacity(plan.questions.len());
        for questions in plan.questions.chunks(witness::QUESTIONS_AT_ONCE) {
            let sql = super::witness::select(table, &plan.subjects, questions, scope);
            // The bounds of ranges are values of rows.
            let shown = super::witness::select(table, &plan.subjects, questions, &witness::Scope::Whole);
            tracing::debug!(table = %table.source, sql = shown, "witness, or a part of it");
            let found = rows(&mut self.connection, &sql, timeout).await?;
            let cells = found.first().map(|row| row.cells().map(|(_, data)| super::witness::answer(data)));
            answers.extend(cells.into_iter().flatten());
        }
        Ok(answers)
    }
}

fn statement(table: &TablePlan, unit: &Unit) -> String {
    match unit {
        Unit::Rows(chunk) => select::chunk(table, chunk),
        Unit::Changed(since) => changes::changed(table, *since),
        Unit::Gone(since) => changes::gone(table, *since),
        Unit::Versions(since) => changes::since_version(table, *since),
    }
}

fn first_count(found: &[tiberius::Row]) -> u64 {
    let count = found.first().and_then(|row| row.try_get::<i64, _>(0).ok().flatten());
    count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

impl SqlServerReader {
    /// The rows of each result of a batch, for the self-test, which reads as [`Reader::read`] does.
    pub(super) async fn answers(&mut self, sql: &str) -> Result<Vec<Vec<tiberius::Row>>> {
        results(&mut self.connection, sql, self.stall_timeout).await
    }

    /// How long finding bounds, or adding up a table, may take.
    fn bounds_timeout(&self) -> Duration {
        self.stall_timeout * SILENT_STALLS
    }

    /// Bounds that split the table into about `count` chunks.
    async fn bounds(&mut self, table: &TablePlan, count: u64) -> Result<Vec<Key>> {
        let timeout = self.bounds_timeout();
        let Some(first) = table.chunk_key.first() else { return Ok(Vec::new()) };
        if count < 2 {
            return Ok(Vec::new());
        }
        if first.is_divisible() {
            let found = rows(&mut self.connection, &select::extremes(table, first), timeout).await?;
            let bounds = found.first().and_then(|row| split(first, row, count, table.chunk_key.len() == 1));
            if let Some(bounds) = bounds {
                return Ok(bounds);
            }
        }
        let rows = match table.rows {
            Some(rows) => rows,
            None => self.count(table).await?,
        };
        let sample = self.sample(table, rows.div_ceil(count).max(1), count);
        tokio::time::timeout(timeout, sample).await.map_err(|_| {
            let message = format!("finding chunk bounds of {} took more than {} s", table.source, timeout.as_secs());
            Error::new(Side::Source, Kind::Timeout, message)
        })?
    }

    /// Every `step`-th key, thinned while they come: the number of rows may be wildly off.
    async fn sample(&mut self, table: &TablePlan, step: u64, count: u64) -> Result<Vec<Key>> {
        let broke = |error| classify(error, format!("finding chunk bounds of {} failed", table.source));
        let mut stream = self.connection.simple_query(select::sample(table, step)).await.map_err(broke)?;
        let mut bounds = chunk::Thinning::new(count);
        while let Some(item) = stream.next().await {
            // A key that has no literal is no bound: the two chunks beside it become one.
            if let QueryItem::Row(row) = item.map_err(broke)?
                && let Some(key) = key_of(&table.chunk_key, &row)
            {
                bounds.push(key);
            }
        }
        Ok(bounds.finish())
    }
}

/// Hands one row to the encoder.
fn visit<S: RowSink>(table: &TablePlan, reads: &[&ReadExpression], row: &tiberius::Row, sink: &mut S) -> Result<()> {
    let encoder = sink.encoder();
    let number = encoder.rows() + 1;
    encoder.begin_row();
    for (index, (((_, data), column), read)) in row.cells().zip(&table.columns).zip(reads).enumerate() {
        whole_cell(data, column, read)
            .and_then(|cell| {
                #[cfg(feature = "broken-decoders")]
                return super::broken::encode(encoder, table, row, index, cell);
                #[cfg(not(feature = "broken-decoders"))]
                encoder.cell(index, cell)
            })
            .map_err(|error| bad_cell(table, row, number, column, error))?;
    }
    encoder.end_row();
    Ok(())
}

/// An error that names the row by its key, whose values only some readers may see, and by its place among the chunk's rows.
fn bad_cell(table: &TablePlan, row: &tiberius::Row, number: u64, column: &ColumnPlan, error: CellError) -> Error {
    let key = table.row_key.iter().filter_map(|name| {
        let (index, column) = table.columns.iter().enumerate().find(|(_, column)| &column.source == name)?;
        let (_, data) = row.cells().nth(index)?;
        let value = cell(data, column.read_as()).ok()?.describe();
        Some(Message::from(format!("{name} = ")).value(value))
    });
    let key = message::join(key, ", ");
    let place = format!("{}, column {}, ", table.source, column.source);
    let place = if key == Message::default() {
        Message::from(place).words(format!("row {number} of its chunk (the table has no key)"))
    } else {
        Message::from(place).words("the row ").message(&key).words(format!(" (row {number} of its chunk)"))
    };
    if matches!(error, CellError::Mismatch { .. }) {
        let message = place.words(": ").words(changed(&column.declared));
        return Error::new(Side::Source, Kind::Conflict, message).with_source(error);
    }
    Error::new(Side::Source, Kind::Data, place).with_source(error)
}

/// As [`cell`], unless the source may have cut the value.
#[inline]
fn whole_cell<'a>(
    data: &'a ColumnData<'static>,
    column: &ColumnPlan,
    read: &ReadExpression,
) -> std::result::Result<Cell<'a>, CellError> {
    match data {
        ColumnData::Binary(Some(bytes)) if select::may_be_cut(column, read, bytes.len()) => Err(CellError::Mismatch {
            expected: column.declared.clone(),
            cell: format!("{} bytes of text", bytes.len()).into(),
        }),
        _ => cell(data, read),
    }
}

/// Even bounds between the extremes, or `None` where the values are too few for that and the keys are better sampled.
fn split(column: &KeyColumn, row: &tiberius::Row, count: u64, alone: bool) -> Option<Vec<Key>> {
    let value = |index: usize| row.cells().nth(index).and_then(|(_, data)| cell(data, column.read_as()).ok());
    let enough = |min: i64, max: i64| alone || i128::from(max) - i128::from(min) >= i128::from(count) * 4;
    match (value(0)?, value(1)?) {
        (Cell::Int(min), Cell::Int(max)) => enough(min, max).then(|| chunk::split_integers(min, max, count)),
        (Cell::Date(min), Cell::Date(max)) => enough(i64::from(min), i64::from(max))
            .then(|| chunk::split_ticks(i64::from(min), i64::from(max), count, |days| KeyValue::Date(days as i32))),
        (Cell::Timestamp { days: d1, ticks: t1 }, Cell::Timestamp { days: d2, ticks: t2 }) => {
            let seconds = |days: i32, ticks: u64| i64::from(days) * 86_400 + (ticks / 10_000_000) as i64;
            let (min, max) = (seconds(d1, t1), seconds(d2, t2));
            enough(min, max).then(|| {
                // Whole minutes are exact in every date-time type.
                chunk::split_ticks(min, max, count, |seconds| KeyValue::Timestamp {
                    days: seconds.div_euclid(86_400) as i32,
                    ticks: (seconds.rem_euclid(86_400) / 60) as u64 * 600_000_000,
                })
            })
        }
        // An empty table, or nothing but NULL.
        (Cell::Null, Cell::Null) => Some(Vec::new()),
        _ => None,
    }
}

fn key_of(columns: &[KeyColumn], row: &tiberius::Row) -> Option<Key> {
    row.cells().zip(columns).map(|((_, data), column)| key_value(cell(data, column.read_as()).ok()?)).collect()
}

fn key_value(cell: Cell<'_>) -> Option<KeyValue> {
    let ascii = |text: String| text.bytes().all(|byte| (b' '..0x7F).contains(&byte)).then_some(KeyValue::Text(text));
    Some(match cell {
        Cell::Int(value) => KeyValue::Int(value),
        Cell::Decimal { value, scale } => KeyValue::Decimal { value, scale },
        Cell::Date(days) => KeyValue::Date(days),
        Cell::Timestamp { days, ticks } => KeyValue::Timestamp { days, ticks },
        Cell::Uuid(bytes) => KeyValue::Uuid(bytes),
        Cell::Utf16(bytes) => return ascii(crate::rows::text::utf16_lossy(bytes)),
        Cell::Encoded(bytes, code_page) => return ascii(code_page.decode_lossy(bytes)),
        _ => return None,
    })
}
