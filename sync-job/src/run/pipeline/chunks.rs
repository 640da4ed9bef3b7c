//! One table's rows, in parallel chunks, each a unit of the source, each retried by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::named_rows::{Keys, NamedRows};
use super::sink::{ChunkResult, Sink};
use super::taken_over::{self, LeftChunks};
use super::{Context, witness};
use crate::config::WitnessPolicy;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::position::Tracking;
use crate::plan::TablePlan;
use crate::proof::witness::Plan;
use crate::rows::digest::TableDigest;
use crate::rows::encode::{LossCounts, RowEncoder};
use crate::sources::{Reader, RowSink as _, Source};
use crate::targets::{Staging, Target};

/// What a table's chunks came to together.
pub struct Loaded {
    pub digest: TableDigest,
    pub losses: LossCounts,
    pub bytes: u64,
    pub retries: u32,
    /// What the source's engine said in the transaction in which the rows were read, where it was asked there.
    pub witness: Option<witness::Said>,
    /// How far the table's changes are in the rows, where they are followed and the source tells.
    pub tracking: Option<Tracking>,
    /// Of all readers together: how long they got and encoded rows, and how long they waited for the target.
    reading: Duration,
    waiting: Duration,
}

impl Loaded {
    /// Of a load that took so many seconds, those of reading. Readers work side by side, so their own times only tell its share.
    pub fn read_seconds(&self, load: f64) -> f64 {
        let both = (self.reading + self.waiting).as_secs_f64();
        if both > 0.0 { load * self.reading.as_secs_f64() / both } else { 0.0 }
    }
}

/// A chunk that is done.
struct Done {
    result: ChunkResult,
    retries: u32,
    witness: Option<witness::Said>,
    tracking: Option<Tracking>,
    /// How long its last try took, from the first row asked for to the commit.
    took: Duration,
}

/// Where rows are loaded.
pub struct Place<U> {
    pub staging: Staging,
    /// The chunks that are there.
    pub left: Option<LeftChunks<U>>,
}

/// Reads every unit of the table into a staging table, but those that are there; without one, only for the digest. `questions`: for the
/// witness, and what it said `before`.
pub async fn load<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &Arc<TablePlan>,
    place: Option<Place<S::Unit>>,
    questions: &Arc<Plan>,
    before: Option<&witness::Said>,
) -> Result<Loaded> {
    let mut retries = 0;
    let (staging, left) = match place {
        Some(Place { staging, left }) => (Some(staging), left),
        None => (None, None),
    };
    let (units, there) = if let Some(LeftChunks { plan, done }) = left {
        (plan.units, done)
    } else {
        let units = units(context, table, &mut retries).await?;
        if let Some(staging) = &staging {
            taken_over::write_plan(context, table, staging, questions, &units, before).await?;
        }
        (units, Vec::new())
    };
    let total = units.len();
    // A table's own limit, below the run's.
    let at_once = if staging.is_some() { context.target.chunks_at_once(table) } else { usize::MAX };
    let own = Arc::new(Semaphore::new(table.readers.min(at_once)));
    let mut tasks = JoinSet::new();
    let is_there = |number: &usize| there.iter().any(|(done, _)| done == number);
    for (number, unit) in units.into_iter().enumerate().filter(|(number, _)| !is_there(number)) {
        let work = ChunkWork {
            context: context.clone(),
            table: table.clone(),
            staging: staging.clone(),
            questions: questions.clone(),
            unit,
            number,
            name: format!("{} {}/{total}", table.target, number + 1),
            own: own.clone(),
        };
        tasks.spawn(work.run());
    }
    let mut loaded = Loaded {
        digest: TableDigest::default(),
        losses: LossCounts::new(table.columns.len()),
        bytes: 0,
        retries,
        witness: None,
        tracking: None,
        reading: Duration::ZERO,
        waiting: Duration::ZERO,
    };
    for (_, record) in there {
        context.progress.rows(&table.target.to_string(), record.digest.rows, record.bytes);
        loaded.digest.merge(record.digest);
        loaded.losses.merge(&record.losses);
        loaded.bytes += record.bytes;
    }
    // Dropping the set at the first error ends the other chunks.
    while let Some(done) = tasks.join_next().await {
        let Done { result, retries, witness, tracking, took } = done.map_err(|error| {
            Error::new(Side::Job, Kind::Internal, format!("{}: a chunk ended unexpectedly", table.target))
                .with_source(error)
        })??;
        loaded.digest.merge(result.digest);
        loaded.losses.merge(&result.losses);
        loaded.bytes += result.bytes;
        loaded.retries += retries;
        loaded.waiting += result.waited;
        let apart = result.waited + witness.as_ref().map_or(Duration::ZERO, |said| said.took);
        loaded.reading += took.saturating_sub(apart);
        // A transaction reads the table whole, so that there is no other.
        loaded.witness = witness.or(loaded.witness);
        loaded.tracking = tracking.or(loaded.tracking);
    }
    Ok(loaded)
}

/// The units that the table is read in; only those of a table that is cut take a connection.
async fn units<S: Source, T: Target>(
    context: &Arc<Context<S, T>>,
    table: &TablePlan,
    retries: &mut u32,
) -> Result<Vec<S::Unit>> {
    if let Some(whole) = context.source.whole(table) {
        return Ok(vec![whole]);
    }
    let units = context
        .policy
        .retry(&format!("{}: finding chunk bounds", table.source), retries, async || {
            let _permit = super::permit(&context.readers).await?;
            let mut reader = context.take_reader().await?;
            let units = reader.units(table).await;
            match &units {
                Ok(_) => context.give_back(reader).await,
                Err(error) => context.after(error).await,
            }
            units
        })
        .await?;
    // Each unit has a connection of its own, and with it a transaction: several would not be of one moment.
    if table.is_read_in_transaction() && units.len() > 1 {
        let message = format!("{}: the source cuts a table that is read in one transaction", table.source);
        return Err(Error::new(Side::Job, Kind::Internal, message));
    }
    Ok(units)
}

/// One chunk on its way.
struct ChunkWork<S: Source, T: Target> {
    context: Arc<Context<S, T>>,
    table: Arc<TablePlan>,
    staging: Option<Staging>,
    questions: Arc<Plan>,
    unit: S::Unit,
    /// Counted from 0 over all units of the table.
    number: usize,
    /// "public.orders 3/12", for the log.
    name: String,
    own: Arc<Semaphore>,
}

impl<S: Source, T: Target> ChunkWork<S, T> {
    async fn run(self) -> Result<Done> {
        let mut retries = 0;
        let attempt = async || {
            let counted = (AtomicU64::new(0), AtomicU64::new(0));
            let result = self.attempt(&counted).await;
            if let Err(error) = &result {
                self.context.after(error).await;
                let (rows, bytes) = (counted.0.load(Ordering::Relaxed), counted.1.load(Ordering::Relaxed));
                self.context.progress.undo(&self.table.target.to_string(), rows, bytes);
            }
            result
        };
        let done = self.context.policy.retry(&self.name, &mut retries, attempt).await?;
        tracing::debug!(chunk = self.name, rows = done.result.digest.rows, "chunk done");
        Ok(Done { retries, ..done })
    }

    /// One try: nothing of a failed one stays, neither rows nor their digest.
    async fn attempt(&self, counted: &(AtomicU64, AtomicU64)) -> Result<Done> {
        match self.attempt_with(self.context.target.encoder(&self.table), counted).await {
            Err(error) if error.refused_row.is_some() => self.attempt_to_name(error, counted).await,
            result => result,
        }
    }

    /// The target has refused a row and told its place alone: the chunk is loaded once more, with an eye on the keys of its rows.
    async fn attempt_to_name(&self, error: Error, counted: &(AtomicU64, AtomicU64)) -> Result<Done> {
        let keys = Keys::default();
        let encoder = self.context.target.encoder(&self.table);
        let Some(encoder) = NamedRows::new(encoder, &self.table, keys.clone()) else { return Err(error) };
        let (rows, bytes) = (counted.0.swap(0, Ordering::Relaxed), counted.1.swap(0, Ordering::Relaxed));
        self.context.progress.undo(&self.table.target.to_string(), rows, bytes);
        match self.attempt_with(encoder, counted).await {
            Err(again) => Err(match again.refused_row.and_then(|row| keys.of(row)) {
                Some(key) => Error { message: again.message.words(" at the row ").message(&key), ..again },
                None => error,
            }),
            done => done,
        }
    }

    async fn attempt_with<E: RowEncoder>(&self, encoder: E, counted: &(AtomicU64, AtomicU64)) -> Result<Done> {
        let context = &self.context;
        let _own = super::permit(&self.own).await?;
        let _permit = super::permit(&context.readers).await?;
        let mut reader = context.take_reader().await?;
        let loader = match &self.staging {
            Some(staging) => Some(context.target.open_chunk(&self.table, staging, self.number).await?),
            None => None,
        };
        let name = self.table.target.to_string();
        let on_rows = |rows: u64, bytes: u64| {
            counted.0.fetch_add(rows, Ordering::Relaxed);
            counted.1.fetch_add(bytes, Ordering::Relaxed);
            context.progress.rows(&name, rows, bytes);
        };
        let mut sink = Sink::new(encoder, loader, &context.memory, context.limits.stall_timeout, &on_rows);
        let began = Instant::now();
        let in_transaction = self.table.is_read_in_transaction();
        let (mut first, mut tracking) = (None, None);
        if in_transaction {
            tracking = self.begin(&mut reader).await?;
            if self.table.may_differ_by_itself() {
                first = self.ask_within(&mut reader, None, None).await?;
            }
            if first.as_ref().is_some_and(witness::Said::is_refused) {
                // The refusal has ended the transaction.
                reader = context.take_reader().await?;
                tracking = self.begin(&mut reader).await?;
            }
        }
        reader.read(&self.table, &self.unit, &mut sink).await?;
        // A full last buffer leaves while the transaction is still open; it costs nothing.
        if sink.is_full() {
            sink.flush().await?;
        }
        let rows = Some(sink.rows());
        let witness = if in_transaction { self.ask_within(&mut reader, first, rows).await? } else { None };
        // A statement that the server refuses ends the transaction and leaves nothing to read with.
        let is_usable = !witness.as_ref().is_some_and(witness::Said::is_refused);
        if in_transaction && is_usable {
            reader.commit().await?;
        }
        let result = sink.finish().await?;
        let took = began.elapsed();
        if is_usable {
            context.give_back(reader).await;
        }
        Ok(Done { result, retries: 0, witness, tracking, took })
    }

    async fn begin(&self, reader: &mut S::Reader) -> Result<Option<Tracking>> {
        if !self.table.mode.follows_changes() {
            return reader.begin().await.map(|()| None);
        }
        Ok(reader.begin_tracked(&[&self.table]).await?.pop().flatten())
    }

    /// The witness of the very state of the table that was read; `first`: what it said before that.
    async fn ask_within(
        &self,
        reader: &mut S::Reader,
        first: Option<witness::Said>,
        rows: Option<u64>,
    ) -> Result<Option<witness::Said>> {
        if self.table.witness == WitnessPolicy::Off {
            return Ok(None);
        }
        let said = match first {
            Some(first) => witness::ask_again(reader, &self.table, &self.questions, first).await,
            None => witness::ask(reader, &self.table, &self.questions, self.context.turn, rows).await,
        };
        witness::or_silence(said).map(Some)
    }
}
