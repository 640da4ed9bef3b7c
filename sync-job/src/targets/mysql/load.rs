//! One chunk into the staging table: a transaction with one LOAD DATA LOCAL INFILE, streamed from memory.

use bytes::Bytes;
use futures_util::StreamExt as _;
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tokio::sync::OwnedSemaphorePermit;

use super::MySql;
use super::connect::{classify, close, execute, rows};
use super::insert::Inserter;
use super::{chunk_log, server_message, sql};
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::run_state::ChunkRecord;
use crate::model::schema::TableName;
use crate::plan::TablePlan;
use crate::rows::message;
use crate::targets::BudgetedBuffer;
use crate::targets::chunk_log::Entry;
use crate::targets::load::{Buffers, ChunkLoader, End, Transaction};

/// The driver sends what it is given as one packet: larger ones gain nothing.
const MOST_IN_A_PACKET: usize = 1 << 20;
/// Warnings that a message shows.
const WARNINGS_SHOWN: usize = 3;

pub(super) async fn open(target: &MySql, table: &TablePlan, staging: &TableName, number: usize) -> Result<ChunkLoader> {
    let mut connection = target.connect().await?;
    execute(&mut connection, "START TRANSACTION").await?;
    Ok(ChunkLoader::start(Load {
        connection,
        way: if target.server().bulk_load {
            Way::Bulk(sql::load(table, staging), packet_bytes(target.server().max_allowed_packet))
        } else {
            Way::Rows(Inserter::new(table, staging))
        },
        table: table.target.clone(),
        target: target.clone(),
        staging: staging.clone(),
        number,
        entry: None,
    }))
}

/// How the rows go in.
enum Way {
    /// By this LOAD DATA statement, in packets of so many bytes.
    Bulk(String, usize),
    Rows(Inserter),
}

/// A transaction with one LOAD DATA, or with INSERTs.
struct Load {
    connection: Conn,
    way: Way,
    table: TableName,
    target: MySql,
    staging: TableName,
    number: usize,
    /// What it has written into the commit log.
    entry: Option<Entry>,
}

impl Transaction for Load {
    fn table(&self) -> &TableName {
        &self.table
    }

    async fn load(&mut self, mut buffers: Buffers, _end: &mut End) -> Result<()> {
        match &self.way {
            Way::Bulk(statement, packet) => {
                stream(&mut self.connection, statement, *packet, buffers, &self.table).await?;
            }
            Way::Rows(inserter) => {
                while let Some(BudgetedBuffer { bytes, share }) = buffers.next().await {
                    inserter.insert(&mut self.connection, &bytes, &self.table).await?;
                    drop(share);
                }
            }
        }
        Ok(())
    }

    async fn log(&mut self, record: &ChunkRecord) -> Result<()> {
        if self.connection.get_warnings() > 0 {
            return Err(self.warned().await);
        }
        let (target, staging) = (&self.target, &self.staging);
        self.entry = Some(chunk_log::write_chunk(target, &mut self.connection, staging, self.number, record).await?);
        Ok(())
    }

    async fn commit(&mut self) -> Result<()> {
        execute(&mut self.connection, "COMMIT").await
    }

    async fn close(self) {
        close(self.connection).await;
    }

    async fn resolve(self, lost: Error) -> Result<()> {
        drop(self.connection);
        match &self.entry {
            Some(entry) => chunk_log::resolve(&self.target, entry, lost).await,
            // Nothing is committed before it is logged.
            None => Err(lost),
        }
    }
}

impl Load {
    /// With LOCAL the server turns every error in a value into a warning and goes on with a changed value, or without the row;
    /// here it is an error again.
    async fn warned(&mut self) -> Error {
        let total = self.connection.get_warnings();
        let shown = match rows::<(String, u16, String)>(&mut self.connection, "SHOW WARNINGS").await {
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
    buffers: Buffers,
    table: &TableName,
) -> Result<()> {
    connection.set_infile_handler(async move {
        let buffers = futures_util::stream::unfold(buffers, |mut buffers| async move {
            // The share is given back when the driver has sent all packets of the buffer.
            buffers.next().await.map(|BudgetedBuffer { bytes, share }| ((Bytes::from(bytes), share), buffers))
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
