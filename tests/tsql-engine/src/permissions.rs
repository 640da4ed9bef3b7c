//! Who may do what, and who sees what: "Permissions hierarchy", "Metadata visibility configuration" and "Dynamic data masking".

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use crate::bind::text_literal;
use crate::catalog;
use crate::env::Env;
use crate::error::error;
use crate::session::Session;
use crate::value::SqlError;

/// What a permission is on, as GRANT names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Securable {
    Database,
    Schema(String),
    Type((String, String)),
    /// A table or view, or some of its columns.
    Object {
        name: (String, String),
        columns: Vec<String>,
    },
}

/// Database permissions that reach down to its objects. UNMASK is none of them: "granting UNMASK alone will not disclose any
/// metadata".
const REACHING_DOWN: &str =
    "'SELECT','INSERT','UPDATE','DELETE','REFERENCES','EXECUTE','VIEW DEFINITION','CONTROL','ALTER','TAKE OWNERSHIP'";

/// Permissions that exist on tables and views; UNMASK since SQL Server 2022.
const OF_OBJECTS: [&str; 12] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "REFERENCES",
    "EXECUTE",
    "VIEW DEFINITION",
    "CONTROL",
    "ALTER",
    "TAKE OWNERSHIP",
    "UNMASK",
    "VIEW CHANGE TRACKING",
];

/// Permissions that exist on columns.
const OF_COLUMNS: [&str; 4] = ["SELECT", "UPDATE", "REFERENCES", "UNMASK"];

/// Permissions that exist on databases, as far as they are known here.
const OF_DATABASES: [&str; 16] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "REFERENCES",
    "EXECUTE",
    "VIEW DEFINITION",
    "CONTROL",
    "ALTER",
    "TAKE OWNERSHIP",
    "UNMASK",
    "VIEW DATABASE STATE",
    "ALTER ANY SECURITY POLICY",
    "ALTER ANY MASK",
    "CREATE TABLE",
    "CONNECT",
];

/// Whether HAS_PERMS_BY_NAME knows the permission on this class; it answers NULL to others.
pub fn exists(env: &Env<'_>, class: &str, permission: &str) -> bool {
    let whole_database = env.quirks().unmask_of_database_only && permission == "UNMASK";
    match class {
        "COLUMN" => OF_COLUMNS.contains(&permission) && !whole_database,
        "OBJECT" => OF_OBJECTS.contains(&permission) && !whole_database,
        _ => OF_DATABASES.contains(&permission),
    }
}

impl Env<'_> {
    /// The grants that concern this login, as a condition on `$grants`.
    fn grantees(&self) -> String {
        format!("grantee IN ({}, 'public')", text_literal(self.login))
    }

    /// Whether a permission is held, as SQLite's expression. `object`, `schema` and `column` are expressions, too: of an object's id
    /// and its schema's, and of a column's id, 0 for the object as a whole; without an object it is about the database. A DENY
    /// at any scope wins, but for one case: that of a table does not win over a GRANT of its column ("GRANT Object
    /// Permissions").
    pub fn holds(&self, at: &str, permission: &str, object: Option<(&str, &str, &str)>) -> String {
        if self.admin {
            return "1".to_owned();
        }
        let scope = match object {
            Some((object, schema, column)) => format!(
                "(class = 'DATABASE' OR class = 'SCHEMA' AND major = {schema}
                  OR class = 'OBJECT' AND major = {object} AND minor IN (0, {column}))"
            ),
            None => "class = 'DATABASE'".to_owned(),
        };
        format!(
            "(SELECT count(*) FILTER (WHERE NOT deny) > 0
                 AND count(*) FILTER (WHERE deny AND NOT (class = 'OBJECT' AND minor = 0)) = 0
                 AND (count(*) FILTER (WHERE deny AND class = 'OBJECT' AND minor = 0) = 0
                      OR count(*) FILTER (WHERE NOT deny AND class = 'OBJECT' AND minor > 0) > 0)
              FROM {at}\"$grants\" WHERE {} AND permission IN ({}, 'CONTROL') AND {scope})",
            self.grantees(),
            text_literal(permission)
        )
    }

    /// Whether the login holds a permission on the database, or on an object as a whole.
    pub fn granted(&self, permission: &str, at: &str, object: Option<i64>) -> Result<bool, SqlError> {
        let sql = match object {
            Some(id) => {
                let schema = format!("(SELECT schema_id FROM {at}\"$objects\" WHERE object_id = {id})");
                self.holds(at, permission, Some((&id.to_string(), &schema, "0")))
            }
            None => self.holds(at, permission, None),
        };
        Ok(self.connection.query_row(&format!("SELECT {sql}"), [], |row| row.get(0))?)
    }

    /// The columns of a table whose masks this login does not see through, and the computed ones that depend on them: "if the computed
    /// column depends on a column with a MASK, then the computed column returns masked data" ("Dynamic data masking").
    pub fn masked_columns(&self, at: &str, table: i64) -> Result<HashMap<i64, String>, SqlError> {
        // Before SQL Server 2022 UNMASK was of the database alone.
        let narrow = !self.quirks().unmask_of_database_only;
        let object = narrow.then_some(("c.object_id", "o.schema_id", "c.column_id"));
        let mut statement = self.connection.prepare(&format!(
            "WITH own AS (SELECT c.column_id, c.name, c.masked FROM {at}\"$columns\" c JOIN {at}\"$objects\" o USING (object_id)
                          WHERE c.object_id = ?1 AND c.masked IS NOT NULL AND NOT {})
             SELECT column_id, masked FROM own
             UNION SELECT d.column_id, 'default()' FROM {at}\"$columns\" d, own
                   WHERE d.object_id = ?1 AND instr(lower(d.computed), lower(own.name)) > 0",
            self.holds(at, "UNMASK", object)
        ))?;
        Ok(statement.query_map(params![table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
    }

    /// What of the database at a place this login sees in the catalog.
    pub fn visible(&self, at: &str) -> Result<Visible, SqlError> {
        self.visible_parts(at, true)
    }

    /// The same for objects alone, without their definitions and without types.
    pub fn visible_objects(&self, at: &str) -> Result<Visible, SqlError> {
        self.visible_parts(at, false)
    }

    fn visible_parts(&self, at: &str, all: bool) -> Result<Visible, SqlError> {
        if self.admin {
            return Ok(Visible::default());
        }
        let any = |class: &str, id: &str, schema: &str, more: &str| {
            let grantees = self.grantees();
            let scope = |alias: &str| {
                format!(
                    "({alias}.class = '{class}' AND {alias}.major = {id}
                      OR {alias}.class = 'SCHEMA' AND {alias}.major = {schema}
                      OR {alias}.class = 'DATABASE' AND {alias}.permission IN ({REACHING_DOWN}))"
                )
            };
            format!(
                "EXISTS (SELECT 1 FROM {at}\"$grants\" g WHERE {grantees} AND NOT g.deny AND g.permission <> 'UNMASK'
                    AND {} {more} AND NOT EXISTS (SELECT 1 FROM {at}\"$grants\" d WHERE {} AND d.deny
                      AND d.permission = g.permission AND d.minor = 0 AND {}))",
                scope("g"),
                grantees.replace("grantee", "d.grantee"),
                scope("d")
            )
        };
        let objects = any("OBJECT", "o.object_id", "o.schema_id", "");
        let defining = " AND g.permission IN ('VIEW DEFINITION','CONTROL','ALTER','TAKE OWNERSHIP')";
        let definitions = any("OBJECT", "o.object_id", "o.schema_id", defining);
        let types = any("TYPE", "o.user_type_id", "o.schema_id", "");
        let ids = |sql: String| -> Result<Vec<i64>, SqlError> {
            let mut statement = self.connection.prepare(&sql)?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        };
        // Constraints and the like have no permissions of their own: their table's decide.
        let of_objects =
            |shown: &str| format!("SELECT o.object_id FROM {at}\"$objects\" o WHERE o.parent = 0 AND {shown}");
        let objects = Some(ids(of_objects(&objects))?);
        if !all {
            return Ok(Visible { objects, definitions: Some(Vec::new()), types: Some(Vec::new()) });
        }
        Ok(Visible {
            objects,
            definitions: Some(ids(of_objects(&definitions))?),
            types: Some(ids(format!("SELECT o.user_type_id FROM {at}\"$types\" o WHERE {types}"))?),
        })
    }
}

/// GRANT (`Some(false)`), DENY (`Some(true)`) or REVOKE (`None`).
pub fn change(
    session: &Session,
    on: &Securable,
    permission: &str,
    grantee: &str,
    deny: Option<bool>,
) -> Result<(), SqlError> {
    let (class, major, minors) = ids(session, on)?;
    for minor in minors {
        session.connection.execute(
            "DELETE FROM \"$grants\" WHERE grantee = ?1 AND permission = ?2 AND class = ?3 AND major = ?4 AND minor = ?5",
            params![grantee, permission, class, major, minor],
        )?;
        if let Some(deny) = deny {
            session.connection.execute(
                "INSERT INTO \"$grants\" VALUES (?1,?2,?3,?4,?5,?6)",
                params![grantee, permission, class, major, minor, deny],
            )?;
        }
    }
    Ok(())
}

/// Class, id and parts of what a permission is on; part 0 is the whole.
fn ids(session: &Session, on: &Securable) -> Result<(&'static str, i64, Vec<i64>), SqlError> {
    let connection = &session.connection;
    Ok(match on {
        Securable::Database => ("DATABASE", 0, vec![0]),
        Securable::Schema(name) => ("SCHEMA", catalog::schema_id(connection, name)?, vec![0]),
        Securable::Type(name) => {
            let schema = catalog::schema_id(connection, &name.0)?;
            let found: Option<i64> = connection
                .query_row(
                    "SELECT user_type_id FROM \"$types\" WHERE name = ?1 COLLATE NOCASE AND schema_id = ?2",
                    params![name.1, schema],
                    |row| row.get(0),
                )
                .optional()?;
            let id = found.ok_or_else(|| {
                error(
                    15151,
                    format!(
                        "Cannot find the type '{}', because it does not exist or you do not have permission.",
                        name.1
                    ),
                )
            })?;
            ("TYPE", id, vec![0])
        }
        Securable::Object { name, columns } => {
            let table = crate::ddl::table(session, name)?;
            let ids: Result<Vec<i64>, SqlError> =
                columns.iter().map(|column| table.column(column).map(|column| column.id)).collect();
            ("OBJECT", table.id, if columns.is_empty() { vec![0] } else { ids? })
        }
    })
}

/// Ids of what a login sees; `None` for everything.
#[derive(Debug, Default)]
pub struct Visible {
    objects: Option<Vec<i64>>,
    definitions: Option<Vec<i64>>,
    types: Option<Vec<i64>>,
}

fn listed(ids: Option<&Vec<i64>>, id: &str) -> String {
    match ids {
        None => "1".to_owned(),
        Some(ids) => format!("{id} IN ({})", ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",")),
    }
}

impl Visible {
    /// The condition that the object with this id is shown.
    pub fn object(&self, id: &str) -> String {
        listed(self.objects.as_ref(), id)
    }

    /// The condition that an object, or its table where it is a part of one, is shown.
    pub fn part(&self, id: &str, parent: &str) -> String {
        self.object(&format!("(CASE {parent} WHEN 0 THEN {id} ELSE {parent} END)"))
    }

    /// A definition, NULL where this login may not see those of the object.
    pub fn definition(&self, id: &str, text: &str) -> String {
        format!("(CASE WHEN {} THEN {text} END)", listed(self.definitions.as_ref(), id))
    }

    /// The condition that a user-defined type is shown.
    pub fn user_type(&self, id: &str) -> String {
        listed(self.types.as_ref(), id)
    }
}

/// The parts of a name in text, as functions that parse names take them: parts in brackets or double quotes with doubled
/// closing ones, or plain up to the next point. `None` where it is no name.
pub fn parse_name(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let closing = match rest.chars().next() {
            Some('[') => Some(']'),
            Some('"') => Some('"'),
            _ => None,
        };
        let after = if let Some(closing) = closing {
            let (part, length) = quoted_part(&rest[1..], closing)?;
            parts.push(part);
            &rest[1 + length..]
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            parts.push(rest[..end].to_owned());
            &rest[end..]
        };
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None if after.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

/// A quoted part without its quotes, and how many bytes it takes with its closing one.
fn quoted_part(text: &str, closing: char) -> Option<(String, usize)> {
    let mut part = String::new();
    let mut letters = text.char_indices();
    loop {
        let (at, letter) = letters.next()?;
        if letter == closing {
            if !text[at + 1..].starts_with(closing) {
                return Some((part, at + 1));
            }
            letters.next();
        }
        part.push(letter);
    }
}

#[cfg(test)]
mod tests {
    use super::parse_name;

    #[test]
    fn names_are_taken_apart_at_their_points() {
        let parsed = |text: &str| parse_name(text).map(|parts| parts.join("|"));
        assert_eq!(parsed("Contoso.Sales").as_deref(), Some("Contoso|Sales"));
        assert_eq!(parsed("[Contoso.Sales]").as_deref(), Some("Contoso.Sales"));
        assert_eq!(parsed("[odd.]]name].\"a\"\"b\".c").as_deref(), Some("odd.]name|a\"b|c"));
        assert_eq!(parsed("a..b").as_deref(), Some("a||b"));
        assert_eq!(parsed("[open"), None);
        assert_eq!(parsed("[a]b"), None);
    }
}
