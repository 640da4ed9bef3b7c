//! Ways in which other servers that speak this protocol, or older versions, answer otherwise. Each is set for one database.

use crate::error::error;
use crate::session::Session;
use crate::value::SqlError;

/// How a database's server differs from SQL Server 2022.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quirks {
    /// `sys.schemas` has no row for `sys`, as on Babelfish.
    pub no_sys_schema: bool,
    /// UNMASK is a permission of the database alone, as before SQL Server 2022.
    pub unmask_of_database_only: bool,
    /// A catalog view, such as `sys.indexes`, that has no rows where it is joined with others. No server is known to do just
    /// this; servers that lose some rows in joins are.
    pub empty_in_joins: Option<String>,
    /// A column of a catalog view, such as `sys.columns.is_nullable`, that has no values.
    pub without_values: Option<String>,
    /// `SERVERPROPERTY('EngineEdition')`, such as 5 of Azure SQL Database.
    pub engine_edition: Option<i64>,
    /// The database is a readable secondary replica, to which a listener leads; other databases are on another server.
    pub secondary: bool,
}

impl Quirks {
    /// Whether a view has no rows where it is joined.
    pub fn loses_in_joins(&self, schema: &str, view: &str) -> bool {
        self.empty_in_joins.as_ref().is_some_and(|lost| crate::bind::same(lost, &format!("{schema}.{view}")))
    }

    /// Whether a view's column is NULL in each row.
    pub fn lacks_values(&self, schema: &str, view: &str, column: &str) -> bool {
        let name = format!("{schema}.{view}.{column}");
        self.without_values.as_ref().is_some_and(|lost| crate::bind::same(lost, &name))
    }
}

impl Session {
    /// Sets a quirk of the session's database by name: `no sys schema`, `unmask of database only`, `joined sys.indexes is
    /// empty`, `sys.columns.is_nullable is null`, `engine edition 5`, `secondary replica`.
    pub fn set_quirk(&self, name: &str, on: bool) -> Result<(), SqlError> {
        let mut quirks = self.env().quirks();
        let view = name.strip_prefix("joined ").and_then(|rest| rest.strip_suffix(" is empty"));
        match (name, view, name.strip_suffix(" is null")) {
            ("no sys schema", ..) => quirks.no_sys_schema = on,
            ("unmask of database only", ..) => quirks.unmask_of_database_only = on,
            ("secondary replica", ..) => quirks.secondary = on,
            (name, ..) if name.starts_with("engine edition ") => {
                let number = name.rsplit(' ').next().and_then(|digits| digits.parse().ok());
                quirks.engine_edition = number.filter(|_| on);
            }
            (_, Some(view), _) => quirks.empty_in_joins = on.then(|| view.to_owned()),
            (_, _, Some(column)) => quirks.without_values = on.then(|| column.to_owned()),
            _ => return Err(error(40_000, format!("simulator: no quirk is called '{name}'"))),
        }
        self.instance.alter_database(&self.database, |database| database.quirks = quirks)
    }
}
