//! One chunk on its way into a staging table, whatever the target: a task of its own sends what is there while the reader goes on,
//! and settles what became of the transaction.

use std::future::Future;

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::{BudgetedBuffer, Loader};
use crate::connect::retry;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::run_state::ChunkRecord;
use crate::model::schema::TableName;

/// Empty buffers that wait to be filled again; more are dropped.
const MOST_EMPTY: usize = 4;

/// A chunk's transaction, which has begun, over a connection of its own. Dropping it closes the connection and rolls back.
pub trait Transaction: Send + 'static {
    /// The final table, for messages.
    fn table(&self) -> &TableName;

    /// Loads every buffer. `end` tells whether the last one was handed over on purpose.
    fn load(&mut self, buffers: Buffers, end: &mut End) -> impl Future<Output = Result<()>> + Send;

    /// Writes the chunk into the commit log, unless another run has taken over.
    fn log(&mut self, record: &ChunkRecord) -> impl Future<Output = Result<()>> + Send;

    /// COMMIT, and nothing after it.
    fn commit(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// Ends the connection politely.
    fn close(self) -> impl Future<Output = ()> + Send;

    /// Asks, over another connection, what became of a COMMIT that got no reply; `lost` if it was rolled back.
    fn resolve(self, lost: Error) -> impl Future<Output = Result<()>> + Send;
}

/// The buffers of a chunk, as they come.
pub struct Buffers {
    full: mpsc::Receiver<BudgetedBuffer>,
    empty: mpsc::Sender<Vec<u8>>,
}

impl Buffers {
    /// The next one; nothing at the end, and where the reader broke off.
    pub async fn next(&mut self) -> Option<BudgetedBuffer> {
        self.full.recv().await
    }

    /// For the reader to fill again.
    pub fn give_back(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        // A buffer that nobody waits for is dropped.
        let _ = self.empty.try_send(bytes);
    }
}

/// Rows may only be committed after the last buffer was handed over on purpose, not because the reader broke off.
pub struct End {
    signal: oneshot::Receiver<ChunkRecord>,
    reached: Option<ChunkRecord>,
}

impl End {
    /// To be asked after the last buffer: what was read. An error where the reader broke off.
    pub fn check(&mut self) -> Result<&ChunkRecord> {
        if let Ok(record) = self.signal.try_recv() {
            self.reached = Some(record);
        }
        self.reached.as_ref().ok_or_else(Error::cancelled)
    }
}

/// A chunk being loaded by a task of its own, so that reading and sending overlap. Dropping it ends the task, whatever that waits for, and
/// with it the connection.
pub struct ChunkLoader {
    full: mpsc::Sender<BudgetedBuffer>,
    empty: mpsc::Receiver<Vec<u8>>,
    task: AbortOnDropHandle<Result<()>>,
    end: oneshot::Sender<ChunkRecord>,
}

impl ChunkLoader {
    pub fn start(transaction: impl Transaction) -> Self {
        let (full, incoming) = mpsc::channel(1);
        let (outgoing, empty) = mpsc::channel(MOST_EMPTY);
        let (end, signal) = oneshot::channel();
        let buffers = Buffers { full: incoming, empty: outgoing };
        let task = tokio::spawn(run(transaction, buffers, End { signal, reached: None }));
        let task = AbortOnDropHandle::new(task);
        Self { full, empty, task, end }
    }
}

async fn run(mut transaction: impl Transaction, buffers: Buffers, mut end: End) -> Result<()> {
    transaction.load(buffers, &mut end).await?;
    transaction.log(end.check()?).await?;
    match transaction.commit().await {
        Ok(()) => {
            transaction.close().await;
            Ok(())
        }
        Err(error) if retry::is_reply_lost(error.kind) => {
            let table = transaction.table();
            tracing::warn!(%table, error = error.chain(), "the reply to COMMIT was lost; asking what became of it");
            transaction.resolve(error).await
        }
        Err(error) => Err(error),
    }
}

impl Loader for ChunkLoader {
    async fn send(&mut self, next: BudgetedBuffer) -> Result<Vec<u8>> {
        if self.full.send(next).await.is_err() {
            // The task ended before its time; its result says why.
            return Err(join(&mut self.task).await.err().unwrap_or_else(Error::cancelled));
        }
        Ok(self.empty.try_recv().unwrap_or_default())
    }

    async fn commit(mut self, record: ChunkRecord) -> Result<()> {
        // The task may have failed already; its result says so.
        let _ = self.end.send(record);
        drop(self.full);
        join(&mut self.task).await
    }
}

async fn join(task: &mut AbortOnDropHandle<Result<()>>) -> Result<()> {
    task.await.unwrap_or_else(|error| {
        Err(Error::new(Side::Job, Kind::Internal, "the loading task ended unexpectedly").with_source(error))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::Semaphore;

    use super::*;
    use crate::rows::digest::TableDigest;
    use crate::rows::encode::LossCounts;

    /// Writes down what is asked of it.
    struct Recorded {
        table: TableName,
        steps: Arc<Mutex<Vec<String>>>,
        /// What COMMIT, or loading, fails with.
        commit: Option<Kind>,
        load: Option<Kind>,
    }

    impl Recorded {
        fn step(&self, step: impl Into<String>) {
            self.steps.lock().unwrap().push(step.into());
        }
    }

    fn failure(kind: Option<Kind>) -> Result<()> {
        kind.map_or(Ok(()), |kind| Err(Error::new(Side::Target, kind, "planted")))
    }

    impl Transaction for Recorded {
        fn table(&self) -> &TableName {
            &self.table
        }

        async fn load(&mut self, mut buffers: Buffers, _end: &mut End) -> Result<()> {
            failure(self.load)?;
            while let Some(BudgetedBuffer { bytes, share }) = buffers.next().await {
                self.step(String::from_utf8(bytes.clone()).unwrap());
                drop(share);
                buffers.give_back(bytes);
            }
            Ok(())
        }

        async fn log(&mut self, record: &ChunkRecord) -> Result<()> {
            self.step(format!("log {} rows", record.digest.rows));
            Ok(())
        }

        async fn commit(&mut self) -> Result<()> {
            self.step("COMMIT");
            failure(self.commit)
        }

        async fn close(self) {
            self.step("close");
        }

        async fn resolve(self, _lost: Error) -> Result<()> {
            self.step("resolve");
            Ok(())
        }
    }

    fn start(commit: Option<Kind>, load: Option<Kind>) -> (ChunkLoader, Arc<Mutex<Vec<String>>>) {
        let steps = Arc::default();
        let table = TableName::new("s", "t");
        (ChunkLoader::start(Recorded { table, steps: Arc::clone(&steps), commit, load }), steps)
    }

    async fn buffer(text: &str) -> BudgetedBuffer {
        let share = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        BudgetedBuffer { bytes: text.into(), share }
    }

    /// Loads a chunk of two buffers.
    async fn loaded(commit: Option<Kind>) -> (Result<()>, Vec<String>) {
        let (mut loader, steps) = start(commit, None);
        for text in ["one", "two"] {
            loader.send(buffer(text).await).await.unwrap();
        }
        let digest = TableDigest { rows: 2, sum: 0 };
        let result = loader.commit(ChunkRecord { digest, bytes: 6, losses: LossCounts::new(0) }).await;
        let steps = steps.lock().unwrap().clone();
        (result, steps)
    }

    #[tokio::test]
    async fn a_chunk_is_loaded_whole_and_committed() {
        let (result, steps) = loaded(None).await;
        assert!(result.is_ok());
        assert_eq!(steps, ["one", "two", "log 2 rows", "COMMIT", "close"]);
    }

    #[tokio::test]
    async fn what_became_of_a_commit_is_asked_only_where_its_reply_was_lost() {
        let (result, steps) = loaded(Some(Kind::Connection)).await;
        assert!(result.is_ok());
        assert_eq!(steps, ["one", "two", "log 2 rows", "COMMIT", "resolve"]);
        let (result, steps) = loaded(Some(Kind::Data)).await;
        assert_eq!(result.unwrap_err().kind, Kind::Data);
        assert_eq!(steps, ["one", "two", "log 2 rows", "COMMIT"]);
    }

    #[tokio::test]
    async fn nothing_is_committed_where_the_reader_breaks_off() {
        let (mut loader, steps) = start(None, None);
        loader.send(buffer("one").await).await.unwrap();
        let ChunkLoader { full, empty: _, task, end } = loader;
        drop((full, end));
        assert_eq!(task.await.unwrap().unwrap_err().kind, Kind::Cancelled);
        assert_eq!(*steps.lock().unwrap(), ["one"]);
    }

    #[tokio::test]
    async fn the_reader_hears_why_loading_failed() {
        let (mut loader, _) = start(None, Some(Kind::StorageFull));
        let mut sent = loader.send(buffer("one").await).await;
        while sent.is_ok() {
            sent = loader.send(buffer("more").await).await;
        }
        assert_eq!(sent.unwrap_err().kind, Kind::StorageFull);
    }
}
