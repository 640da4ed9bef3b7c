//! One chunk into the staging table: a transaction with one binary COPY.

use std::collections::HashMap;

use sqlx::postgres::{PgConnection, PgDatabaseError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Postgres;
use super::connect::{classify, close, connect, execute, rows};
use super::quote;
use super::{server_message, sql};
use crate::connect::retry;
use crate::model::error::{Error, Kind, Result, Side};
use crate::model::schema::TableName;
use crate::plan::TablePlan;
use crate::targets::{BudgetedBuffer, Loader};

/// How often the outcome of a commit without a reply is asked for before giving up.
const RESOLVE_ATTEMPTS: u32 = 10;

/// A chunk being loaded over its own connection, by a task of its own, so that reading and sending overlap.
pub struct ChunkLoader {
    full: mpsc::Sender<BudgetedBuffer>,
    empty: mpsc::Receiver<Vec<u8>>,
    task: JoinHandle<Result<()>>,
    /// Rows may only be committed after the last buffer was handed over on purpose, not because the reader broke off.
    complete: oneshot::Sender<()>,
}

pub(super) async fn open(target: &Postgres, table: &TablePlan, staging: &TableName) -> Result<ChunkLoader> {
    let mut connection = connect(&target.config, &target.application_name).await?;
    execute(&mut connection, "BEGIN").await?;
    let found = rows(&mut connection, "SELECT pg_current_xact_id()::text AS id").await?;
    let none = || Error::new(Side::Target, Kind::Internal, "the target gave no transaction id");
    let transaction: String = found.first().ok_or_else(none)?.value("id")?;
    let (full, incoming) = mpsc::channel(1);
    let (outgoing, empty) = mpsc::channel(4);
    let (complete, completed) = oneshot::channel();
    let copy = Copy {
        statement: sql::copy(table, staging),
        names: Names {
            table: table.target.clone(),
            columns: table.columns.iter().map(|column| (column.target.clone(), column.source.clone())).collect(),
        },
        target: target.clone(),
        transaction,
        incoming,
        outgoing,
        completed,
    };
    Ok(ChunkLoader { full, empty, task: tokio::spawn(copy.run(connection)), complete })
}

/// What people know the table and its columns by.
struct Names {
    table: TableName,
    /// The source's name of each column, by the target's.
    columns: HashMap<String, String>,
}

/// The loading task.
struct Copy {
    statement: String,
    names: Names,
    target: Postgres,
    /// The transaction's id, with which its outcome can be resolved should the reply to COMMIT be lost.
    transaction: String,
    incoming: mpsc::Receiver<BudgetedBuffer>,
    outgoing: mpsc::Sender<Vec<u8>>,
    completed: oneshot::Receiver<()>,
}

impl Copy {
    async fn run(mut self, mut connection: PgConnection) -> Result<()> {
        let failed = |error| self.names.refused(error);
        let mut copy = connection.copy_in_raw(&self.statement).await.map_err(failed)?;
        while let Some(BudgetedBuffer { mut bytes, share }) = self.incoming.recv().await {
            copy.send(bytes.as_slice()).await.map_err(failed)?;
            drop(share);
            bytes.clear();
            // A buffer that nobody waits for is dropped.
            let _ = self.outgoing.try_send(bytes);
        }
        if self.completed.try_recv().is_err() {
            // The reader broke off: closing the connection rolls back.
            return Err(Error::cancelled());
        }
        copy.finish().await.map_err(failed)?;
        match execute(&mut connection, "COMMIT").await {
            Ok(()) => {
                close(connection).await;
                Ok(())
            }
            Err(error) if retry::is_reply_lost(error.kind) => {
                tracing::warn!(table = %self.names.table, error = error.chain(), "the reply to COMMIT was lost; asking what became of it");
                drop(connection);
                resolve_commit(&self.target, &self.transaction, error).await
            }
            Err(error) => Err(error),
        }
    }
}

impl Names {
    /// What is no XML here may be some there: the server's parser has limits of its own, such as 10,000,000 bytes a text
    /// (`XML_MAX_TEXT_LENGTH` of libxml2).
    fn refused(&self, error: sqlx::Error) -> Error {
        let postgres = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
        let is_xml = |error: &&PgDatabaseError| matches!(error.code(), "2200M" | "2200N" | "2200S" | "2200T");
        let column = postgres.filter(is_xml).and_then(server_message::refused_column);
        let advice = column.map(|column| {
            let column = self.columns.get(column).map_or(column, String::as_str);
            format!(
                "PostgreSQL parses every xml, and takes no text of more than 10,000,000 bytes in one: copy the column as text with \
                 target_types = {{ {column} = \"text\" }} in the [[table]] entry, or correct the value at the source."
            )
        });
        let failure = classify(error, format!("loading {} failed", self.table));
        match advice {
            Some(advice) => failure.advise(advice),
            None => failure,
        }
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

/// Whether the transaction was committed after all (`pg_xact_status`, PostgreSQL documentation 9.27.7).
pub(super) async fn resolve_commit(target: &Postgres, transaction: &str, lost: Error) -> Result<()> {
    for attempt in 1..=RESOLVE_ATTEMPTS {
        tokio::time::sleep(retry::backoff(attempt)).await;
        let Ok(mut connection) = connect(&target.config, &target.application_name).await else { continue };
        let query = format!("SELECT pg_xact_status({}::xid8) AS status", quote::literal(transaction));
        let Ok(found) = rows(&mut connection, &query).await else { continue };
        let Some(Ok(status)) = found.first().map(|row| row.value::<Option<String>, _>("status")) else { continue };
        close(connection).await;
        match status.as_deref() {
            Some("committed") => return Ok(()),
            Some("aborted") => return Err(lost),
            // Still in progress: the old session has not noticed yet.
            _ => {}
        }
    }
    Err(Error::new(
        Side::Target,
        Kind::CommitUnknown,
        format!("whether transaction {transaction} was committed could not be found out"),
    )
    .with_source(lost))
}
