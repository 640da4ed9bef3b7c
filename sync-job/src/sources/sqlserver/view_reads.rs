//! What a view reads that no SNAPSHOT transaction can: another database that does not allow it, another server, a memory-optimized table.
//!
//! `sys.dm_sql_referenced_entities` tells what a module names to a login that may see its definition, and everybody may ask it;
//! `sys.sql_expression_dependencies`, which knows the same, is for `db_owner` alone (their pages in Microsoft's documentation). What is
//! named by a synonym is not resolved by either.

use std::collections::HashMap;

use super::CATALOG_TIMEOUT;
use super::catalog::{self, Fields};
use super::connect::{self, Connection};
use super::quote::{identifier, literal, qualified};
use crate::config::Consistency;
use crate::model::error::Result;
use crate::model::schema::{SourceKind, TableName};
use crate::plan::{Finding, FindingId, Severity, TablePlan};

/// Views within views, beyond which nobody looks: SQL Server's own limit of nesting.
const MOST_MODULES: usize = 32;

/// What keeps a view from being read in a SNAPSHOT transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Obstacle {
    /// A database that does not allow snapshot isolation (error 3952).
    Database(String),
    /// A linked server (errors 7420 and 3996).
    Server(String),
    /// A memory-optimized table (error 41332).
    MemoryOptimized(TableName),
}

impl Obstacle {
    fn finding(&self, view: &TableName) -> Finding {
        let otherwise = "set consistency = \"none\" in its [[table]] entry";
        let (what, remedy) = match self {
            Obstacle::Database(name) => (
                format!("the database {name}, which does not allow snapshot isolation"),
                format!("ALTER DATABASE {} SET ALLOW_SNAPSHOT_ISOLATION ON; or {otherwise}.", identifier(name)),
            ),
            Obstacle::Server(name) => {
                (format!("the linked server {name}, which a SNAPSHOT transaction cannot"), capitalized(otherwise))
            }
            Obstacle::MemoryOptimized(name) => (
                format!("the memory-optimized table {name}, which a SNAPSHOT transaction cannot"),
                capitalized(otherwise),
            ),
        };
        let message = format!("consistency = \"snapshot\", but the view reads {what}");
        Finding::new(FindingId::SnapshotNotAllowed, Severity::Refusal, message, remedy).on(view)
    }
}

fn capitalized(sentence: &str) -> String {
    let (first, rest) = sentence.split_at(1);
    format!("{}{rest}.", first.to_uppercase())
}

/// What a module names.
struct Named {
    server: Option<String>,
    database: Option<String>,
    /// The object, if it is one of this database.
    own: Option<Own>,
}

struct Own {
    id: i64,
    name: TableName,
    /// Whether it names others in turn: a view or a function.
    is_module: bool,
}

/// Whether it is read in a SNAPSHOT transaction and may read more than itself.
pub(super) fn concerns(table: &TablePlan) -> bool {
    table.kind == SourceKind::View && table.consistency == Consistency::Snapshot
}

/// Refuses the views that the run could never read as planned.
pub(super) async fn judge(connection: &mut Connection, tables: &[TablePlan]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut known = Known::default();
    for view in tables.iter().filter(|table| concerns(table)) {
        let obstacle = obstacle(connection, &mut known, &view.source).await?;
        findings.extend(obstacle.map(|obstacle| obstacle.finding(&view.source)));
    }
    Ok(findings)
}

/// What was asked once for all views.
#[derive(Default)]
struct Known {
    memory_optimized: Option<Vec<i64>>,
    /// Whether a database allows snapshot isolation; `None` where that cannot be told.
    databases: HashMap<String, Option<bool>>,
}

impl Known {
    async fn obstacle(&mut self, connection: &mut Connection, named: &Named) -> Result<Option<Obstacle>> {
        Ok(match named {
            Named { server: Some(server), .. } => Some(Obstacle::Server(server.clone())),
            Named { own: Some(own), .. } => {
                let is_memory_optimized = self.is_memory_optimized(connection, own.id).await?;
                is_memory_optimized.then(|| Obstacle::MemoryOptimized(own.name.clone()))
            }
            Named { database: Some(database), .. } => {
                let allows = self.allows_snapshot(connection, database).await?;
                (allows == Some(false)).then(|| Obstacle::Database(database.clone()))
            }
            _ => None,
        })
    }

    async fn is_memory_optimized(&mut self, connection: &mut Connection, id: i64) -> Result<bool> {
        if self.memory_optimized.is_none() {
            let found = connect::optional_rows(connection, catalog::MEMORY_OPTIMIZED, CATALOG_TIMEOUT).await?;
            let id = |row| Fields::new("memory-optimized tables", row).int("object_id");
            self.memory_optimized = Some(found.unwrap_or_default().iter().map(id).collect::<Result<_>>()?);
        }
        Ok(self.memory_optimized.as_ref().is_some_and(|ids| ids.contains(&id)))
    }

    async fn allows_snapshot(&mut self, connection: &mut Connection, database: &str) -> Result<Option<bool>> {
        if let Some(known) = self.databases.get(database) {
            return Ok(*known);
        }
        let found = connect::optional_rows(connection, &state_of(database), CATALOG_TIMEOUT).await?;
        let allowed = match found.as_deref() {
            Some([row, ..]) => {
                let fields = Fields::new("state of a database", row);
                // A database that cannot be written to needs no versions of rows.
                let is_writable = fields.optional_text("updateability")?.as_deref() == Some("READ_WRITE");
                is_writable.then_some(fields.optional_int("state")? == Some(1))
            }
            _ => None,
        };
        self.databases.insert(database.to_owned(), allowed);
        Ok(allowed)
    }
}

async fn obstacle(connection: &mut Connection, known: &mut Known, view: &TableName) -> Result<Option<Obstacle>> {
    let mut modules = vec![view.clone()];
    let mut at = 0;
    while let Some(module) = modules.get(at).filter(|_| at < MOST_MODULES) {
        at += 1;
        let Some(found) = connect::optional_rows(connection, &named_by(module), CATALOG_TIMEOUT).await? else {
            // Not every server has the function, and it fails where a column that a module names is not there.
            continue;
        };
        for row in &found {
            let named = read(&Fields::new("references of a view", row))?;
            if let Some(obstacle) = known.obstacle(connection, &named).await? {
                return Ok(Some(obstacle));
            }
            modules.extend(named.own.filter(|own| own.is_module && !modules.contains(&own.name)).map(|own| own.name));
        }
    }
    Ok(None)
}

fn read(fields: &Fields<'_>) -> Result<Named> {
    let own = match (fields.optional_int("id")?, fields.optional_text("schema_name")?, fields.optional_text("name")?) {
        (Some(id), Some(schema), Some(name)) => {
            Some(Own { id, name: TableName::new(schema, name), is_module: fields.flag("is_module")? })
        }
        _ => None,
    };
    Ok(Named { server: fields.optional_text("server_name")?, database: fields.optional_text("database_name")?, own })
}

/// What a module of this database names. The id of an object in another database means nothing here, so it is not looked up.
fn named_by(module: &TableName) -> String {
    format!(
        "SELECT DISTINCT r.referenced_server_name AS server_name, r.referenced_database_name AS database_name, o.object_id AS id, \
         SCHEMA_NAME(o.schema_id) AS schema_name, o.name, CASE WHEN o.type IN ('V', 'IF', 'TF', 'FN') THEN 1 ELSE 0 END AS is_module \
         FROM sys.dm_sql_referenced_entities({}, N'OBJECT') AS r \
         LEFT JOIN sys.objects AS o ON o.object_id = r.referenced_id \
         AND (r.referenced_database_name IS NULL OR r.referenced_database_name = DB_NAME())",
        literal(&qualified(module))
    )
}

fn state_of(database: &str) -> String {
    let name = literal(database);
    format!(
        "SELECT CAST(snapshot_isolation_state AS int) AS state, \
         CAST(DATABASEPROPERTYEX({name}, 'Updateability') AS nvarchar(128)) AS updateability \
         FROM sys.databases WHERE name = {name}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_obstacle_names_itself_and_what_to_set() {
        let view = TableName::new("dbo", "v");
        for (obstacle, message, remedy) in [
            (
                Obstacle::Database("o]ther".to_owned()),
                "consistency = \"snapshot\", but the view reads the database o]ther, which does not allow snapshot isolation",
                "ALTER DATABASE [o]]ther] SET ALLOW_SNAPSHOT_ISOLATION ON; or set consistency = \"none\" in its [[table]] entry.",
            ),
            (
                Obstacle::Server("far".to_owned()),
                "consistency = \"snapshot\", but the view reads the linked server far, which a SNAPSHOT transaction cannot",
                "Set consistency = \"none\" in its [[table]] entry.",
            ),
            (
                Obstacle::MemoryOptimized(TableName::new("dbo", "hot")),
                "consistency = \"snapshot\", but the view reads the memory-optimized table dbo.hot, which a SNAPSHOT transaction cannot",
                "Set consistency = \"none\" in its [[table]] entry.",
            ),
        ] {
            let finding = obstacle.finding(&view);
            assert_eq!((finding.message.as_str(), finding.remedy.as_str()), (message, remedy));
            assert_eq!((finding.table.as_deref(), finding.severity), (Some("dbo.v"), Severity::Refusal));
        }
    }

    #[test]
    fn names_in_the_statements_are_quoted() {
        assert!(named_by(&TableName::new("d'b]o", "v")).contains("(N'[d''b]]o].[v]', N'OBJECT')"));
        assert!(state_of("it's").contains("WHERE name = N'it''s'"));
    }
}
