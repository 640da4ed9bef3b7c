//! What the target's user needs and lacks.

use std::collections::BTreeSet;

use sqlx::postgres::PgConnection;

use super::connect::{only_row, rows};
use super::quote::{identifier, literal, qualified};
use crate::config::Mode;
use crate::model::error::Result;
use crate::model::schema::TableName;
use crate::plan::{SwapMethod, TablePlan};
use crate::targets::state_row;

/// Each missing permission with the statement that grants it.
/// `state`: the schema where it is remembered how far changes were followed, if any are.
pub(super) async fn missing(
    connection: &mut PgConnection,
    tables: &[TablePlan],
    state: Option<&str>,
) -> Result<Vec<(String, String)>> {
    let mut missing = Vec::new();
    let schemas: BTreeSet<&str> = tables.iter().map(|table| table.target.schema.as_str()).chain(state).collect();
    for schema in schemas {
        missing.extend(missing_in_schema(connection, schema).await?);
    }
    if let Some(schema) = state {
        let table = TableName::new(schema, state_row::TABLE);
        missing.extend(without_rights(connection, &table, "SELECT, INSERT, UPDATE").await?);
    }
    // Rows of a table whose changes are followed are changed where they are.
    let is_changed = |table: &&TablePlan| match table.swap.method {
        SwapMethod::InPlace => true,
        SwapMethod::Rename => table.mode != Mode::Full,
        SwapMethod::Create => false,
    };
    for table in tables.iter().filter(is_changed) {
        // CASE: the privilege of what is no sequence must not be asked for.
        let query = format!(
            "SELECT has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') AND \
             has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE') AS may, \
             row_security_active(c.oid) AS filtered, current_user::text AS me, \
             (SELECT string_agg(s.oid::regclass::text, ', ') FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid \
              WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid \
                AND d.deptype IN ('a', 'i') \
                AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'UPDATE') ELSE false END) AS sequences \
             FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relname = {}",
            literal(&table.target.schema),
            literal(&table.target.name)
        );
        let found = rows(connection, &query).await?;
        let Some(row) = found.first() else { continue };
        let me: String = row.value("me")?;
        if !row.flag("may")? {
            missing.push((
                format!("{me} may not change the rows of {}", table.target),
                grant("SELECT, INSERT, UPDATE, DELETE", &qualified(&table.target), &me),
            ));
        }
        let sequences: Option<String> = row.value("sequences")?;
        if let Some(sequences) = sequences.filter(|_| table.columns.iter().any(|column| column.identity.is_some())) {
            missing.push((
                format!("{me} may not set the sequence from which {} counts on", table.target),
                grant("USAGE, UPDATE", &format!("SEQUENCE {sequences}"), &me),
            ));
        }
        if row.flag("filtered")? {
            missing.push((
                format!(
                    "row-level security hides rows of {} from {me}: they could neither be replaced nor proven",
                    table.target
                ),
                format!(
                    "ALTER ROLE {} BYPASSRLS; or let the job log in as the table's owner, without FORCE.",
                    identifier(&me)
                ),
            ));
        }
    }
    for table in tables.iter().filter(|table| table.swap.method == SwapMethod::Rename) {
        missing.extend(owner_without_rights(connection, table).await?);
    }
    missing.extend(missing_types(connection, tables).await?);
    Ok(missing)
}

/// What it takes to make tables in a schema, or the schema.
pub(super) async fn missing_in_schema(connection: &mut PgConnection, schema: &str) -> Result<Option<(String, String)>> {
    let query = format!(
        "SELECT current_user::text AS me, current_database()::text AS db, n.oid IS NOT NULL AS present, \
         coalesce(has_schema_privilege(n.oid, 'CREATE') AND has_schema_privilege(n.oid, 'USAGE'), false) AS may_create, \
         has_database_privilege(current_database(), 'CREATE') AS may_add \
         FROM (SELECT {} AS name) AS s LEFT JOIN pg_namespace AS n ON n.nspname = s.name",
        literal(schema)
    );
    let row = only_row(connection, &query).await?;
    let me: String = row.value("me")?;
    let database: String = row.value("db")?;
    if row.flag("present")? {
        return Ok((!row.flag("may_create")?).then(|| {
            (
                format!("{me} may not create tables in schema {schema}"),
                grant("CREATE, USAGE", &format!("SCHEMA {}", identifier(schema)), &me),
            )
        }));
    }
    Ok((!row.flag("may_add")?).then(|| {
        (
            format!("schema {schema} does not exist and {me} may not create it"),
            format!(
                "CREATE SCHEMA {} AUTHORIZATION {}; or {}",
                identifier(schema),
                identifier(&me),
                grant("CREATE", &format!("DATABASE {}", identifier(&database)), &me)
            ),
        )
    }))
}

/// Another login may have made a table in which something is remembered.
pub(super) async fn without_rights(
    connection: &mut PgConnection,
    table: &TableName,
    privileges: &str,
) -> Result<Option<(String, String)>> {
    let name = qualified(table);
    let has: Vec<String> =
        privileges.split(", ").map(|privilege| format!("has_table_privilege(c.oid, {})", literal(privilege))).collect();
    let query = format!(
        "SELECT current_user::text AS me FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relname = {} AND NOT ({})",
        literal(&table.schema),
        literal(&table.name),
        has.join(" AND ")
    );
    let found = rows(connection, &query).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let me = row.text("me")?;
    let grant = grant(privileges, &name, &me);
    Ok(Some((format!("{me} may not use {table}, where it is remembered what was copied"), grant)))
}

/// A new table is given to the old one's owner, who must be allowed to make tables in its schema; and the login must be able to become the
/// owner ("ALTER TABLE", OWNER TO). Neither is asked of superusers.
async fn owner_without_rights(connection: &mut PgConnection, table: &TablePlan) -> Result<Vec<(String, String)>> {
    // A login that may use a role's rights without SET ROLE came with version 16.
    let query = format!(
        "SELECT current_user::text AS me, pg_get_userbyid(c.relowner)::text AS owner, \
         has_schema_privilege(c.relowner, n.oid, 'CREATE') AS may_create, \
         CASE WHEN current_setting('server_version_num')::int4 >= 160000 THEN pg_has_role(c.relowner, 'SET') \
              ELSE pg_has_role(c.relowner, 'MEMBER') END AS may_become \
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relname = {} AND pg_get_userbyid(c.relowner) <> current_user \
         AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = current_user AND r.rolsuper)",
        literal(&table.target.schema),
        literal(&table.target.name)
    );
    let mut missing = Vec::new();
    for row in rows(connection, &query).await? {
        let (me, owner) = (row.text("me")?, row.text("owner")?);
        if !row.flag("may_create")? {
            missing.push((
                format!(
                    "{} belongs to {owner}, who may not own a new table in the schema {}",
                    table.target, table.target.schema
                ),
                grant("CREATE", &format!("SCHEMA {}", identifier(&table.target.schema)), &owner),
            ));
        }
        if !row.flag("may_become")? {
            missing.push((
                format!("{} belongs to {owner}, to whom {me} cannot give the new table", table.target),
                format!("GRANT {} TO {};", identifier(&owner), identifier(&me)),
            ));
        }
    }
    Ok(missing)
}

/// `on`: what the privileges are for, quoted where it is a name.
fn grant(privileges: &str, on: &str, me: &str) -> String {
    format!("GRANT {privileges} ON {on} TO {};", identifier(me))
}

/// Types that the job file asks for and that only extensions have.
async fn missing_types(connection: &mut PgConnection, tables: &[TablePlan]) -> Result<Vec<(String, String)>> {
    let asked =
        tables.iter().flat_map(|table| &table.columns).filter_map(|column| column.mapping.convert_to.as_deref());
    let names: BTreeSet<&str> = asked.map(|wanted| wanted.split('(').next().unwrap_or(wanted)).collect();
    let mut missing = Vec::new();
    for name in names {
        let query = format!(
            "SELECT t.oid FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace \
             WHERE t.typname = {} AND n.nspname IN ('pg_catalog', 'public')",
            literal(name)
        );
        if rows(connection, &query).await?.is_empty() {
            let extension = if name == "vector" { "vector" } else { "postgis" };
            missing.push((
                format!("the schema public has no type {name}, which target_types asks for"),
                format!(
                    "CREATE EXTENSION {extension} SCHEMA public; or leave the column to the type map's own choice."
                ),
            ));
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_right_whatever_the_names_hold() {
        let table = qualified(&TableName::new("s]`", "t\"x"));
        assert_eq!(grant("SELECT", &table, "o'neil\""), "GRANT SELECT ON \"s]`\".\"t\"\"x\" TO \"o'neil\"\"\";");
    }
}
