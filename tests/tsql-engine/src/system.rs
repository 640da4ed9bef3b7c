//! Functions and `@@` variables that tell of the server, the database and the session.

use crate::bind::{Binder, Bound, text_literal};
use crate::convert::{make_moment, text_of};
use crate::datetime::{DAYS_1970, Moment};
use crate::env::Env;
use crate::error::unsupported;
use crate::expr::{null, nvarchar, text_constant};
use crate::value::{Len, SqlError, SqlType, Value};

/// The present moment, in UTC.
pub fn now() -> Moment {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs() as i64;
    Moment {
        days: seconds / 86_400 + DAYS_1970,
        ticks: seconds % 86_400 * 10_000_000 + i64::from(since.subsec_nanos() / 100),
        offset: None,
    }
}

fn text(value: &str) -> Result<Bound, SqlError> {
    let mut bound = text_constant(value, true)?;
    bound.sql_type = nvarchar(Len::N(256));
    Ok(bound)
}

fn int(value: i64) -> Bound {
    Bound::constant(Value::Int(value as i32), SqlType::Int)
}

fn argument(arguments: &[Bound], at: usize) -> Result<Option<String>, SqlError> {
    match arguments.get(at).map(|bound| (&bound.constant, &bound.sql_type)) {
        Some((Some(Value::Null), _)) | None => Ok(None),
        Some((Some(value), sql_type)) => Ok(Some(text_of(value, sql_type)?)),
        Some((None, _)) => Err(unsupported("a varying argument of a metadata function")),
    }
}

/// A metadata function of an id: a lookup in the catalog for each row.
fn lookup(sql: String, sql_type: SqlType) -> Bound {
    Bound::new(format!("({sql})"), sql_type)
}

/// HAS_PERMS_BY_NAME: NULL where the name is none of the class, there is no such object or column, or the class has no such
/// permission. Names of objects have up to three parts, those of databases one.
fn has_permission(binder: &Binder<'_>, arguments: &[Bound]) -> Result<Bound, SqlError> {
    let env = binder.env;
    let class = argument(arguments, 1)?.unwrap_or_default().to_uppercase();
    let permission = argument(arguments, 2)?.unwrap_or_default().to_uppercase();
    let sub_class = match arguments {
        [_, _, _] => None,
        [_, _, _, _, class] => argument(std::slice::from_ref(class), 0)?.map(|class| class.to_uppercase()),
        _ => return Err(unsupported("HAS_PERMS_BY_NAME with these arguments")),
    };
    match (class.as_str(), sub_class.as_deref()) {
        ("DATABASE", None) => permission_on_database(env, &arguments[0], &permission),
        ("OBJECT", None | Some("COLUMN")) => {
            let known = if sub_class.is_some() { "COLUMN" } else { "OBJECT" };
            if !crate::permissions::exists(env, known, &permission) {
                return Ok(Bound::new("NULL".to_owned(), SqlType::Int));
            }
            // Whatever their types, names are of the type sysname.
            let name = |at: usize| binder.cast(arguments[at].clone(), &nvarchar(Len::N(256)));
            let column = if sub_class.is_some() { Some(name(3)?) } else { None };
            Ok(permission_on_object(env, &name(0)?, &permission, column.as_ref()))
        }
        _ => Err(unsupported(&format!("HAS_PERMS_BY_NAME of the class {class}"))),
    }
}

fn permission_on_database(env: &Env<'_>, name: &Bound, permission: &str) -> Result<Bound, SqlError> {
    let is_own = match argument(std::slice::from_ref(name), 0)? {
        None => true,
        Some(text) => match crate::permissions::parse_name(&text).as_deref() {
            Some([name]) => crate::bind::same(name, env.database),
            _ => false,
        },
    };
    if !is_own || !crate::permissions::exists(env, "DATABASE", permission) {
        return Ok(Bound::new("NULL".to_owned(), SqlType::Int));
    }
    Ok(int(i64::from(env.granted(permission, "", None)?)))
}

fn permission_on_object(env: &Env<'_>, name: &Bound, permission: &str, column: Option<&Bound>) -> Bound {
    // Aliases that no statement has: the arguments may name those of the query around.
    let (of_column, condition) = match column {
        Some(column) => (
            "\"$c\".column_id",
            format!(
                " JOIN \"$columns\" \"$c\" ON \"$c\".object_id = \"$o\".object_id AND u16(\"$c\".name) = {}",
                column.sql
            ),
        ),
        None => ("0", String::new()),
    };
    let own = "'[' || replace(\"$s\".name, ']', ']]') || '].[' || replace(\"$o\".name, ']', ']]') || ']'";
    let held = env.holds("", permission, Some(("\"$o\".object_id", "\"$o\".schema_id", of_column)));
    lookup(
        format!(
            "SELECT {held} FROM \"$objects\" \"$o\" JOIN \"$schemas\" \"$s\" USING (schema_id){condition}
             WHERE bracketed({}) COLLATE NOCASE IN ({own}, {} || '.' || {own})",
            name.sql,
            text_literal(&format!("[{}]", env.database.replace(']', "]]")))
        ),
        SqlType::Int,
    )
}

/// `None` where the name is no system function.
pub fn function(binder: &Binder<'_>, name: &str, arguments: &[Bound]) -> Result<Option<Bound>, SqlError> {
    let env = binder.env;
    let sysname = || nvarchar(Len::N(128));
    let id = || arguments.first().map_or("NULL", |bound| bound.sql.as_str());
    let at = |sql_type: SqlType| match make_moment(now(), &sql_type) {
        Some(value) => Bound::constant(value, sql_type),
        None => null(),
    };
    Ok(Some(match name {
        "getdate" | "getutcdate" | "current_timestamp" => at(SqlType::DateTime),
        "sysutcdatetime" | "sysdatetime" => at(SqlType::DateTime2 { scale: 7 }),
        "sysdatetimeoffset" => at(SqlType::DateTimeOffset { scale: 7 }),
        "db_name" if arguments.is_empty() => text(env.database)?,
        "db_name" => {
            let wanted = argument(arguments, 0)?.and_then(|id| id.parse::<i64>().ok());
            match env.instance.databases().into_iter().find(|database| Some(database.id) == wanted) {
                Some(database) => text(&database.name)?,
                None => null(),
            }
        }
        "db_id" => {
            let wanted = argument(arguments, 0)?.unwrap_or_else(|| env.database.to_owned());
            match env.instance.databases().into_iter().find(|database| database.name.eq_ignore_ascii_case(&wanted)) {
                Some(database) => int(database.id),
                None => null(),
            }
        }
        "object_id" => {
            let wanted = argument(arguments, 0)?.unwrap_or_default();
            let Some(pieces) = crate::permissions::parse_name(&wanted) else { return Ok(Some(null())) };
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let (schema, object) = match pieces.as_slice() {
                [.., schema, object] if !schema.is_empty() => (*schema, *object),
                [.., object] => ("dbo", *object),
                [] => ("dbo", ""),
            };
            if schema.eq_ignore_ascii_case("sys") {
                // Of the system's own objects, whose numbers are negative, it knows those that are asked for.
                let is = |name: &str| object.eq_ignore_ascii_case(name);
                return match crate::tracking_views::has_recovery_status(env) {
                    _ if is(crate::describe::NAME) => Ok(Some(int(-1))),
                    true if is(crate::tracking_views::RECOVERY_STATUS) => Ok(Some(int(-2))),
                    false if is(crate::tracking_views::RECOVERY_STATUS) => Ok(Some(null())),
                    _ => Err(unsupported(&format!("OBJECT_ID of sys.{object}"))),
                };
            }
            let at = match pieces.as_slice() {
                [database, _, _] if env.instance.database(database).is_none() => return Ok(Some(null())),
                [database, _, _] => env.place(database)?.at,
                _ => String::new(),
            };
            let shown = env.visible_objects(&at)?.part("object_id", "parent");
            lookup(
                format!(
                    "SELECT object_id FROM {at}\"$objects\" WHERE {shown} AND name = {} COLLATE NOCASE AND schema_id = (SELECT schema_id FROM {at}\"$schemas\" WHERE name = {} COLLATE NOCASE)",
                    text_literal(object),
                    text_literal(schema)
                ),
                SqlType::Int,
            )
        }
        "object_name" => {
            let shown = env.visible_objects("")?.part("object_id", "parent");
            lookup(format!("SELECT u16(name) FROM \"$objects\" WHERE {shown} AND object_id = {}", id()), sysname())
        }
        "object_schema_name" => lookup(
            format!(
                "SELECT u16(s.name) FROM \"$objects\" o JOIN \"$schemas\" s USING (schema_id) WHERE {} AND o.object_id = {}",
                env.visible_objects("")?.part("o.object_id", "o.parent"),
                id()
            ),
            sysname(),
        ),
        "schema_name" if arguments.is_empty() => text("dbo")?,
        "schema_name" => lookup(
            format!(
                "SELECT u16(name) FROM \"$schemas\" WHERE schema_id = {} AND ({} OR name <> 'sys')",
                id(),
                u8::from(!env.quirks().no_sys_schema)
            ),
            sysname(),
        ),
        "schema_id" => {
            let wanted = argument(arguments, 0)?.unwrap_or_else(|| "dbo".to_owned());
            lookup(
                format!("SELECT schema_id FROM \"$schemas\" WHERE name = {} COLLATE NOCASE", text_literal(&wanted)),
                SqlType::Int,
            )
        }
        "type_name" => {
            let sql = crate::catalog_views::types_sql(&env.visible("")?);
            lookup(format!("SELECT name FROM ({sql}) WHERE user_type_id = {}", id()), sysname())
        }
        "col_name" => {
            let column = arguments.get(1).map_or("NULL", |bound| bound.sql.as_str());
            lookup(
                format!(
                    "SELECT u16(name) FROM \"$columns\" WHERE {} AND object_id = {} AND column_id = {column}",
                    env.visible_objects("")?.object("object_id"),
                    id()
                ),
                sysname(),
            )
        }
        "suser_sname" | "suser_name" | "original_login" | "system_user" => text(env.login)?,
        "user_name" | "current_user" | "session_user" => text(if env.admin { "dbo" } else { env.login })?,
        "app_name" => text(env.application)?,
        "host_name" => text(env.host)?,
        "is_srvrolemember" | "is_member" | "is_rolemember" => int(i64::from(env.admin)),
        "has_perms_by_name" => has_permission(binder, arguments)?,
        "min_active_rowversion" => {
            let lowest = env.instance.database(env.database).map_or(0, |database| database.counters.lowest_active());
            Bound::constant(Value::Binary(lowest.to_be_bytes().to_vec().into()), SqlType::Binary { len: 8 })
        }
        "serverproperty" => property(env, &argument(arguments, 0)?.unwrap_or_default())?,
        "databasepropertyex" => {
            let value = match argument(arguments, 1)?.unwrap_or_default().to_ascii_lowercase().as_str() {
                "updateability" if env.read_only || env.quirks().secondary => "READ_ONLY",
                "updateability" => "READ_WRITE",
                "ischangetrackingenabled" => {
                    let on = crate::tracking::options(env.connection)?.is_some();
                    return Ok(Some(variant(int(i64::from(on)))));
                }
                "collation" => crate::types::DEFAULT_COLLATION,
                "status" => "ONLINE",
                _ => return Ok(Some(null())),
            };
            variant(text(value)?)
        }
        "collationproperty" if arguments.first().is_some_and(|collation| collation.constant.is_none()) => {
            match argument(arguments, 1)?.unwrap_or_default().to_ascii_lowercase().as_str() {
                "codepage" => Bound::new(format!("code_page({})", arguments[0].sql), SqlType::Int),
                _ => return Err(unsupported("COLLATIONPROPERTY of a column other than its CodePage")),
            }
        }
        "collationproperty" => {
            let collation = argument(arguments, 0)?.unwrap_or_default();
            if crate::collation_names::known(&collation, env.instance.version()).is_err() {
                return Ok(Some(Bound { sql_type: SqlType::SqlVariant, ..null() }));
            }
            match argument(arguments, 1)?.unwrap_or_default().to_ascii_lowercase().as_str() {
                "codepage" => variant(int(i64::from(crate::collation::code_page(&collation)))),
                "lcid" => variant(int(1033)),
                "comparisonstyle" => {
                    variant(int(if collation.to_ascii_uppercase().contains("_BIN") { 0 } else { 196_609 }))
                }
                _ => null(),
            }
        }
        _ => return Ok(None),
    }))
}

fn variant(bound: Bound) -> Bound {
    match bound.constant {
        Some(value) => Bound::constant(Value::Variant(Box::new((bound.sql_type, value))), SqlType::SqlVariant),
        None => bound,
    }
}

fn property(env: &Env<'_>, name: &str) -> Result<Bound, SqlError> {
    let (version, quirks) = (env.instance.version(), env.quirks());
    Ok(variant(match name.to_ascii_lowercase().as_str() {
        "productversion" => text(&version.number())?,
        "productmajorversion" => text(&version.build()[0].to_string())?,
        "productlevel" => text("RTM")?,
        "engineedition" => int(quirks.engine_edition.unwrap_or(3)),
        "edition" => text("Developer Edition (simulator)")?,
        "collation" => text(crate::types::DEFAULT_COLLATION)?,
        "servername" if quirks.secondary => text("SECONDARY")?,
        "servername" | "machinename" => text("SIMULATOR")?,
        "isintegratedsecurityonly" | "isclustered" | "ishadrenabled" => int(0),
        _ => return Ok(Bound { sql_type: SqlType::SqlVariant, ..null() }),
    }))
}

impl Binder<'_> {
    /// `@@NAME`.
    pub fn system_variable(&self, name: &str) -> Result<Bound, SqlError> {
        let env = self.env;
        let settings = env.settings;
        Ok(match name.to_ascii_lowercase().as_str() {
            "version" => text(&format!(
                "Microsoft SQL Server {} (simulator, not a Microsoft product) - {} (X64) on SQLite",
                env.instance.version().year(),
                env.instance.version().number()
            ))?,
            "dbts" => {
                let last =
                    env.instance.database(env.database).map_or(0, |database| database.counters.last_rowversion());
                Bound::constant(
                    Value::Binary(last.to_be_bytes().to_vec().into()),
                    SqlType::VarBinary { len: Len::N(8) },
                )
            }
            "spid" => Bound::constant(Value::SmallInt(env.spid as i16), SqlType::SmallInt),
            "trancount" => int(i64::from(settings.transactions)),
            "rowcount" => int(settings.row_count as i64),
            "error" => int(i64::from(settings.last_error)),
            "servername" => text("SIMULATOR")?,
            "language" => text(&settings.language)?,
            "textsize" => int(settings.text_size),
            "options" => int(5496),
            "lock_timeout" => int(settings.lock_timeout),
            "microsoftversion" => {
                let [major, _, build, _] = env.instance.version().build();
                int(i64::from(major) << 24 | i64::from(build))
            }
            "identity" => Bound::constant(
                settings.identity.map_or(Value::Null, |value| Value::Decimal { value: i128::from(value), scale: 0 }),
                SqlType::Numeric { precision: 38, scale: 0 },
            ),
            "max_precision" => Bound::constant(Value::TinyInt(38), SqlType::TinyInt),
            other => return Err(unsupported(&format!("@@{other}"))),
        })
    }
}
