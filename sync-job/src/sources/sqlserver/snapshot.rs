//! Database snapshots: the consistent views that SQL Server offers beside transactions.

use super::catalog::Fields;
use super::facts::ServerFacts;
use super::{CATALOG_TIMEOUT, SqlServer, connect, quote};
use crate::model::error::Result;
use std::time::Duration;

/// Making a database snapshot waits for a checkpoint.
const TIMEOUT: Duration = Duration::from_mins(10);

impl SqlServer {
    pub(super) async fn create_snapshot(&self, name: &str, facts: &ServerFacts) -> Result<()> {
        let files: Vec<String> = facts
            .data_files
            .iter()
            .map(|(file, path)| {
                format!(
                    "(NAME = {}, FILENAME = {})",
                    quote::identifier(file),
                    quote::literal(&format!("{path}.{name}.ss"))
                )
            })
            .collect();
        let sql = format!(
            "CREATE DATABASE {} ON {} AS SNAPSHOT OF {}",
            quote::identifier(name),
            files.join(", "),
            quote::identifier(&facts.common.database)
        );
        let mut connection = self.connect(None).await?;
        connect::execute(&mut connection, &sql, TIMEOUT).await
    }

    pub(super) async fn drop_snapshot(&self, name: &str) -> Result<()> {
        let mut connection = self.connect(None).await?;
        let sql = format!(
            "IF EXISTS (SELECT name FROM sys.databases WHERE name = {} AND source_database_id IS NOT NULL) DROP DATABASE {}",
            quote::literal(name),
            quote::identifier(name)
        );
        connect::execute(&mut connection, &sql, TIMEOUT).await
    }

    pub(super) async fn snapshots(&self, prefix: &str) -> Result<Vec<String>> {
        let mut connection = self.connect(None).await?;
        // A job of the same name may copy another database of this server.
        let sql = "SELECT name AS database_name FROM sys.databases WHERE source_database_id = DB_ID()";
        let found = connect::rows(&mut connection, sql, CATALOG_TIMEOUT).await?;
        let name = |row| Fields::new("database snapshots", row).text("database_name");
        let names: Vec<String> = found.iter().map(name).collect::<Result<_>>()?;
        Ok(names.into_iter().filter(|name| name.starts_with(prefix)).collect())
    }
}
