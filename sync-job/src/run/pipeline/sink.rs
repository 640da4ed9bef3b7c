//! Where a reader's rows go: into the target's loader, or nowhere but the digest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::model::error::{Error, Kind, Result, Side};
use crate::model::run_state::ChunkRecord;
use crate::rows::digest::TableDigest;
use crate::rows::encode::{LossCounts, RowEncoder};
use crate::sources::RowSink;
use crate::targets::{BudgetedBuffer, Loader};

/// Bytes in a second: a target that takes one huge value this slowly has not stalled.
const SLOWEST: u64 = 1 << 20;

/// What rows between source and target may take, over all readers.
#[derive(Debug)]
pub struct Memory {
    /// A permit for each KiB.
    budget: Arc<Semaphore>,
    whole: u32,
    buffer_bytes: usize,
}

impl Memory {
    /// Shares `bytes` among `readers`. A reader has up to four buffers: one being filled, one waiting, one being sent, one on
    /// its way back; of these the two that wait and are sent are weighed, since one huge value makes a huge buffer.
    pub fn new(bytes: u64, readers: usize) -> Self {
        const SMALLEST: u64 = 64 << 10;
        // Larger ones no longer make the load faster.
        const LARGEST: u64 = 512 << 10;
        let whole = u32::try_from(bytes / 2 / 1024).unwrap_or(u32::MAX).max(1);
        let buffer_bytes = (bytes / (readers as u64 * 8)).clamp(SMALLEST, LARGEST) as usize;
        let permits = (whole as usize).min(Semaphore::MAX_PERMITS);
        Self { budget: Arc::new(Semaphore::new(permits)), whole, buffer_bytes }
    }

    /// Waits until the budget has room. A buffer larger than the whole budget waits until it is alone.
    async fn reserve(&self, bytes: Vec<u8>) -> Result<BudgetedBuffer> {
        let wanted = u32::try_from(bytes.capacity().div_ceil(1024)).unwrap_or(u32::MAX).min(self.whole);
        let share = self.budget.clone().acquire_many_owned(wanted).await.map_err(|_| Error::cancelled())?;
        Ok(BudgetedBuffer { bytes, share })
    }
}

/// Called with the rows and bytes that went on.
pub type OnRows<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// Encodes rows and sends them in buffers; without a loader the bytes are thrown away.
pub struct Sink<'a, E: RowEncoder, L: Loader> {
    encoder: E,
    loader: Option<L>,
    spare: Vec<u8>,
    /// Bytes that a buffer collects before it leaves.
    limit: usize,
    memory: &'a Memory,
    rows_told: u64,
    pub bytes: u64,
    /// How long the reader stood still until the target took what it had.
    waited: Duration,
    /// How long the target may take nothing.
    stall_timeout: Duration,
    on_rows: OnRows<'a>,
}

/// What a chunk came to.
pub struct ChunkResult {
    pub digest: TableDigest,
    pub losses: LossCounts,
    pub bytes: u64,
    /// How long the reader stood still for the target, the last rows and the commit included.
    pub waited: Duration,
}

impl<'a, E: RowEncoder, L: Loader> Sink<'a, E, L> {
    pub fn new(
        encoder: E,
        loader: Option<L>,
        memory: &'a Memory,
        stall_timeout: Duration,
        on_rows: OnRows<'a>,
    ) -> Self {
        let limit = memory.buffer_bytes;
        Self {
            encoder,
            loader,
            spare: Vec::with_capacity(limit + limit / 8),
            limit,
            memory,
            rows_told: 0,
            bytes: 0,
            waited: Duration::ZERO,
            stall_timeout,
            on_rows,
        }
    }

    /// Rows that were encoded so far.
    pub fn rows(&self) -> u64 {
        self.encoder.rows()
    }

    /// Sends the rest and makes the rows permanent.
    pub async fn finish(mut self) -> Result<ChunkResult> {
        let (rest, digest, losses) = self.encoder.finish();
        let last = rest.len() as u64;
        let bytes = self.bytes + last;
        let began = Instant::now();
        if let Some(mut loader) = self.loader.take() {
            send(&mut loader, self.memory.reserve(rest).await?, self.stall_timeout).await?;
            loader.commit(ChunkRecord { digest, bytes, losses: losses.clone() }).await?;
        }
        (self.on_rows)(digest.rows.saturating_sub(self.rows_told), last);
        Ok(ChunkResult { digest, losses, bytes, waited: self.waited + began.elapsed() })
    }
}

impl<E: RowEncoder, L: Loader> RowSink for Sink<'_, E, L> {
    type Encoder = E;

    fn encoder(&mut self) -> &mut E {
        &mut self.encoder
    }

    fn is_full(&self) -> bool {
        self.encoder.buffered() >= self.limit
    }

    async fn flush(&mut self) -> Result<()> {
        let full = self.encoder.take(std::mem::take(&mut self.spare));
        let sent = full.len() as u64;
        let began = Instant::now();
        self.spare = match &mut self.loader {
            Some(loader) => send(loader, self.memory.reserve(full).await?, self.stall_timeout).await?,
            None => full,
        };
        self.waited += began.elapsed();
        self.spare.clear();
        // A buffer that one huge value blew up is not kept.
        if self.spare.capacity() > self.limit * 2 {
            self.spare = Vec::new();
        }
        self.spare.reserve(self.limit + self.limit / 8);
        self.bytes += sent;
        let rows = self.encoder.rows();
        (self.on_rows)(rows - self.rows_told, sent);
        self.rows_told = rows;
        Ok(())
    }
}

/// Waits for room, but not for ever: the source keeps its locks, or its row versions, for as long as its rows are not taken.
async fn send<L: Loader>(loader: &mut L, full: BudgetedBuffer, stall_timeout: Duration) -> Result<Vec<u8>> {
    let limit = stall_timeout + Duration::from_secs(full.bytes.len() as u64 / SLOWEST);
    tokio::time::timeout(limit, loader.send(full)).await.unwrap_or_else(|_| {
        let message = format!("the target took no rows for {} s", limit.as_secs());
        Err(Error::new(Side::Target, Kind::Timeout, message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::cell::Cell;
    use crate::rows::encode::CellError;

    #[tokio::test]
    async fn what_waits_never_exceeds_the_budget() {
        let memory = Memory::new(4 << 20, 1);
        let large = memory.reserve(vec![0; 64 << 20]).await.unwrap();
        let next = memory.reserve(vec![0; 1024]);
        tokio::pin!(next);
        assert!(futures_util::poll!(&mut next).is_pending(), "a second buffer got in beside one that fills the budget");
        drop(large);
        assert_eq!(next.await.unwrap().bytes.len(), 1024);
    }

    /// Encodes nothing, and has always something to send.
    struct Blank;

    impl RowEncoder for Blank {
        fn begin_row(&mut self) {}
        fn cell(&mut self, _: usize, _: Cell<'_>) -> std::result::Result<(), CellError> {
            Ok(())
        }
        fn end_row(&mut self) {}
        fn discard_row(&mut self) {}
        fn digest(&self) -> TableDigest {
            TableDigest::default()
        }
        fn rows(&self) -> u64 {
            0
        }
        fn buffered(&self) -> usize {
            0
        }
        fn take(&mut self, empty: Vec<u8>) -> Vec<u8> {
            empty
        }
        fn finish(self) -> (Vec<u8>, TableDigest, LossCounts) {
            (Vec::new(), TableDigest::default(), LossCounts::new(0))
        }
    }

    /// Takes its time for each buffer and for the commit.
    struct Slow(Duration);

    impl Loader for Slow {
        async fn send(&mut self, next: BudgetedBuffer) -> Result<Vec<u8>> {
            tokio::time::sleep(self.0).await;
            Ok(next.bytes)
        }
        async fn commit(self, _: ChunkRecord) -> Result<()> {
            tokio::time::sleep(self.0).await;
            Ok(())
        }
    }

    #[tokio::test]
    async fn waiting_for_the_target_is_no_reading() {
        let (memory, pause) = (Memory::new(4 << 20, 1), Duration::from_millis(40));
        let mut sink = Sink::new(Blank, Some(Slow(pause)), &memory, Duration::from_mins(1), &|_, _| {});
        tokio::time::sleep(pause * 3).await;
        sink.flush().await.unwrap();
        let waited = sink.finish().await.unwrap().waited;
        assert!(waited >= pause * 3, "a buffer, the rest and the commit take {:?}, not {waited:?}", pause * 3);
        assert!(waited < pause * 6, "{waited:?} holds the time before them");
    }

    #[tokio::test]
    async fn a_target_that_takes_nothing_is_not_waited_for_for_ever() {
        let memory = Memory::new(4 << 20, 1);
        let never = Slow(Duration::from_hours(1));
        let mut sink = Sink::new(Blank, Some(never), &memory, Duration::from_millis(20), &|_, _| {});
        let error = sink.flush().await.unwrap_err();
        assert_eq!((error.side, error.kind), (Side::Target, Kind::Timeout));
    }
}
