//! One chunk into the staging table: a transaction with one binary COPY.

use std::collections::HashMap;

use sqlx::postgres::{PgConnection, PgDatabaseError};

use super::Postgres;
use super::connect::{classify, close, execute};
use super::mark::Mark;
use super::{server_message, sql};
use crate::model::error::{Error, Kind, Result};
use crate::model::schema::TableName;
use crate::plan::TablePlan;
use crate::targets::BudgetedBuffer;
use crate::targets::load::{Buffers, ChunkLoader, End, Transaction};

pub(super) async fn open(target: &Postgres, table: &TablePlan, staging: &TableName) -> Result<ChunkLoader> {
    let mut connection = target.connect().await?;
    execute(&mut connection, "BEGIN").await?;
    let mark = Mark::leave(&mut connection, staging).await?;
    let names = Names {
        table: table.target.clone(),
        columns: table.columns.iter().map(|column| (column.target.clone(), column.source.clone())).collect(),
    };
    Ok(ChunkLoader::start(Copy {
        connection,
        statement: sql::copy(table, staging),
        names,
        target: target.clone(),
        mark,
    }))
}

/// What people know the table and its columns by.
struct Names {
    table: TableName,
    /// The source's name of each column, by the target's.
    columns: HashMap<String, String>,
}

/// A transaction with one COPY.
struct Copy {
    connection: PgConnection,
    statement: String,
    names: Names,
    target: Postgres,
    mark: Mark,
}

impl Transaction for Copy {
    fn table(&self) -> &TableName {
        &self.names.table
    }

    async fn load(&mut self, mut buffers: Buffers, end: &mut End) -> Result<()> {
        let failed = |error| self.names.refused(error);
        let mut copy = self.connection.copy_in_raw(&self.statement).await.map_err(failed)?;
        while let Some(BudgetedBuffer { bytes, share }) = buffers.next().await {
            copy.send(bytes.as_slice()).await.map_err(failed)?;
            drop(share);
            buffers.give_back(bytes);
        }
        end.check()?;
        copy.finish().await.map_err(failed)?;
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
        self.mark.resolve(&self.target, lost).await
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
        let refused_row = postgres.and_then(server_message::refused_row);
        let failure = classify(error, format!("loading {} failed", self.table));
        let failure = Error { refused_row: refused_row.filter(|_| failure.kind == Kind::Data), ..failure };
        match advice {
            Some(advice) => failure.advise(advice),
            None => failure,
        }
    }
}
