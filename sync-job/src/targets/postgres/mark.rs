//! What a transaction leaves by which its outcome can be found out should the reply to COMMIT be lost.

use sqlx::postgres::PgConnection;

use super::Postgres;
use super::connect::{close, only_row, rows};
use super::quote::{literal, qualified};
use crate::connect::retry;
use crate::model::error::{Error, Result};
use crate::model::schema::TableName;
use crate::targets::commit::{self, CommitState};

/// The table that remembers which transactions with a staging table were committed.
pub(super) fn ledger(staging: &TableName) -> TableName {
    TableName::new(&staging.schema, format!("{}c", staging.name))
}

/// A row of the ledger, and the id of the transaction that wrote it. The id alone proves nothing after a crash: where the log had not been
/// written yet, the server gives the same id to another transaction.
pub(super) struct Mark {
    ledger: TableName,
    token: i64,
    transaction: String,
}

impl Mark {
    /// Within the transaction; `staging`: whose ledger.
    pub(super) async fn leave(connection: &mut PgConnection, staging: &TableName) -> Result<Self> {
        let (ledger, token) = (ledger(staging), rand::random());
        let query = format!(
            "INSERT INTO {} (token) VALUES ({token}) RETURNING pg_current_xact_id()::text AS id",
            qualified(&ledger)
        );
        Ok(Self { ledger, token, transaction: only_row(connection, &query).await?.text("id")? })
    }

    /// Asks what became of the transaction: `lost` if it was rolled back (`pg_xact_status`, PostgreSQL documentation 9.27.8).
    pub(super) async fn resolve(&self, target: &Postgres, lost: Error) -> Result<()> {
        let transaction = format!("transaction {}", self.transaction);
        commit::resolve_commit(&transaction, lost, target.config.outage, async || {
            let mut connection = target.connect().await?;
            let state = self.state(&mut connection).await;
            close(connection).await;
            state
        })
        .await
    }

    async fn state(&self, connection: &mut PgConnection) -> Result<CommitState> {
        let status = format!("SELECT pg_xact_status({}::xid8) AS status", literal(&self.transaction));
        // An id that the server does not know yet is one that it lost.
        let status = match only_row(connection, &status).await {
            Ok(row) => row.value::<Option<String>, _>("status")?,
            Err(error) if retry::worth_retrying(error.kind) => return Err(error),
            Err(_) => None,
        };
        if status.as_deref() == Some("in progress") {
            return Ok(CommitState::Open);
        }
        let found = format!("SELECT 1 FROM {} WHERE token = {}", qualified(&self.ledger), self.token);
        let is_there = !rows(connection, &found).await?.is_empty();
        Ok(if is_there { CommitState::Committed } else { CommitState::RolledBack })
    }
}
