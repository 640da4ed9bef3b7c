//! One chunk into the staging table: a transaction with one LOAD DATA LOCAL INFILE, streamed from memory.

use bytes::Bytes;
use futures_util::StreamExt as _;
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::MySql;
use super::connect::{classify, close, execute, row, rows};
use super::insert::Inserter;
use super::quote;
use super::server_message;
use super::sql;
use crate::connect::retry;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::TableName;
use crate::plan::TablePlan;
use crate::rows::message;
use crate::targets::{BudgetedBuffer, Loader};

/// How often the outcome of a commit without a reply is asked for before giving up.
const RESOLVE_ATTEMPTS: u32 = 10;
/// The driver sends what it is given as one packet: larger ones gain nothing.
const MOST_IN_A_PACKET: usize = 1 << 20;
/// Warnings that a message shows.
const WARNINGS_SHOWN: usize = 3;

/// A chunk being loaded over its own connection, by a task of its own, so that reading and sending overlap.
pub struct ChunkLoader {
    full: mpsc::Sender<BudgetedBuffer>,
    task: JoinHandle<Result<()>>,
    /// Rows may only be committed after the last buffer was handed over on purpose, not because the reader broke off.
    complete: oneshot::Sender<()>,
}

/// The table that remembers which chunks of a staging table were committed: a row of it is part of each chunk's transaction.
pub(super) fn ledger(staging: &TableName) -> TableName {
    TableName::new(&staging.schema, format!("{}c", staging.name))
}

pub(super) async fn open(target: &MySql, table: &TablePlan, staging: &TableName) -> Result<ChunkLoader> {
    let mut connection = target.connect().await?;
    execute(&mut connection, "START TRANSACTION").await?;
    let token: i64 = rand::random();
    let ledger = quote::qualified(&ledger(staging));
    execute(&mut connection, &format!("INSERT INTO {ledger} (token) VALUES ({token})")).await?;
    let (full, incoming) = mpsc::channel(1);
    let (complete, completed) = oneshot::channel();
    let load = Load {
        way: if target.server().bulk_load {
            Way::Bulk(sql::load(table, staging), packet_bytes(target.server().max_allowed_packet))
        } else {
            Way::Rows(Inserter::new(table, staging))
        },
        table: table.target.clone(),
        target: target.clone(),
        committed: format!("SELECT COUNT(*) FROM {ledger} WHERE token = {token} LOCK IN SHARE MODE"),
        completed,
    };
    Ok(ChunkLoader { full, task: tokio::spawn(load.run(connection, incoming)), complete })
}

/// How the rows go in.
enum Way {
    /// By this LOAD DATA statement, in packets of so many bytes.
    Bulk(String, usize),
    Rows(Inserter),
}

/// The loading task.
struct Load {
    way: Way,
    table: TableName,
    target: MySql,
    /// Finds out whether the transaction was committed, should the reply to COMMIT be lost.
    committed: String,
    completed: oneshot::Receiver<()>,
}

impl Load {
    async fn run(mut self, mut connection: Conn, mut incoming: mpsc::Receiver<BudgetedBuffer>) -> Result<()> {
        match &self.way {
            Way::Bulk(statement, packet) => {
                stream(&mut connection, statement, *packet, incoming, &self.table).await?;
            }
            Way::Rows(inserter) => {
                while let Some(BudgetedBuffer { bytes, share }) = incoming.recv().await {
                    inserter.insert(&mut connection, &bytes, &self.table).await?;
                    drop(share);
                }
            }
        }
        if self.completed.try_recv().is_err() {
            // The reader broke off: closing the connection rolls back.
            return Err(Error::cancelled());
        }
        if connection.get_warnings() > 0 {
            return Err(self.warned(&mut connection).await);
        }
        match execute(&mut connection, "COMMIT").await {
            Ok(()) => {
                close(connection).await;
                Ok(())
            }
            Err(error) if retry::is_reply_lost(error.kind) => {
                tracing::warn!(table = %self.table, error = error.chain(), "the reply to COMMIT was lost; asking what became of it");
                drop(connection);
                resolve_commit(&self.target, &self.committed, error).await
            }
            Err(error) => Err(error),
        }
    }

    /// With LOCAL the server turns every error in a value into a warning and goes on with a changed value, or without the row;
    /// here it is an error again.
    async fn warned(&self, connection: &mut Conn) -> Error {
        let total = connection.get_warnings();
        let shown = match rows::<(String, u16, String)>(connection, "SHOW WARNINGS").await {
            Ok(warnings) => {
                let told = warnings.iter().take(WARNINGS_SHOWN).map(|(_, number, text)| {
                    server_message::message(*number, "", text).words(format!(" (error {number})"))
                });
                message::join(told, "; ")
            }
            Err(error) => error.whole(),
        };
        Error::new(
            Side::Target,
            Kind::Data,
            format!("{}: the target would have changed or left out {total} value(s) or row(s)", self.table),
        )
        .with_source(shown)
    }
}

/// The server breaks the connection off at a packet of `max_allowed_packet` or more.
fn packet_bytes(max_allowed_packet: u64) -> usize {
    usize::try_from(max_allowed_packet / 2).unwrap_or(usize::MAX).clamp(1, MOST_IN_A_PACKET)
}

/// Runs the statement, which asks for a file and gets the buffers.
async fn stream(
    connection: &mut Conn,
    statement: &str,
    packet: usize,
    incoming: mpsc::Receiver<BudgetedBuffer>,
    table: &TableName,
) -> Result<()> {
    connection.set_infile_handler(async move {
        let buffers = futures_util::stream::unfold(incoming, |mut incoming| async move {
            // The share is given back when the driver has sent all packets of the buffer.
            incoming.recv().await.map(|BudgetedBuffer { bytes, share }| ((Bytes::from(bytes), share), incoming))
        });
        let packets =
            buffers.flat_map(move |(bytes, share)| futures_util::stream::iter(packets(bytes, packet, share).map(Ok)));
        Ok(packets.boxed())
    });
    connection.query_drop(statement).await.map_err(|error| classify(error, format!("loading {table} failed")))
}

fn packets(mut buffer: Bytes, size: usize, share: OwnedSemaphorePermit) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let _held = &share;
        let next = buffer.split_to(buffer.len().min(size));
        // An empty packet would end the stream.
        (!next.is_empty()).then_some(next)
    })
}

impl Loader for ChunkLoader {
    async fn send(&mut self, next: BudgetedBuffer) -> Result<Vec<u8>> {
        if self.full.send(next).await.is_err() {
            // The task ended before its time; its result says why.
            return Err(join(&mut self.task).await.err().unwrap_or_else(Error::cancelled));
        }
        Ok(Vec::new())
    }

    async fn commit(mut self) -> Result<()> {
        // The task may have failed already; its result says so.
        let _ = self.complete.send(());
        drop(self.full);
        join(&mut self.task).await
    }
}

async fn join(task: &mut JoinHandle<Result<()>>) -> Result<()> {
    task.await.unwrap_or_else(|error| {
        Err(Error::new(Side::Job, Kind::Internal, "the loading task ended unexpectedly").with_source(error))
    })
}

/// Whether a transaction was committed after all: `query` counts a row that it wrote, and waits while it is undecided.
pub(super) async fn resolve_commit(target: &MySql, query: &str, lost: Error) -> Result<()> {
    for attempt in 1..=RESOLVE_ATTEMPTS {
        tokio::time::sleep(retry::backoff(attempt)).await;
        let Ok(mut connection) = target.connect().await else { continue };
        let Ok(found) = row::<u64>(&mut connection, query).await else { continue };
        close(connection).await;
        return if found == Some(1) { Ok(()) } else { Err(lost) };
    }
    Err(Error::new(
        Side::Target,
        Kind::CommitUnknown,
        "whether a transaction was committed could not be found out".to_owned(),
    )
    .with_source(lost))
}
