//! The settings of a session: the job's own, and those that other people's code would have without the job.
//!
//! A trigger, a check, a default or an event trigger may name a table without its schema, or write a date as text. It runs in the job's
//! session, and must find what it finds in its authors'.

/// What the job's own statements and questions rely on, and other people's code may see: names in questions are the catalog's and are shown
/// qualified, fragments are xml, no float or time depends on the login, and a policy that would hide rows is an error.
pub const OURS: &str = "SET row_security = off; SET search_path = pg_catalog; SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET xmloption = content; \
    SET standard_conforming_strings = on; SET quote_all_identifiers = off; SET transform_null_equals = off; SET extra_float_digits = 3";

/// The same settings as the server's configuration, the database and the role have them. Of the two that the driver states when it connects
/// the default would be the driver's: [`REMEMBER`] found theirs.
pub const THEIRS: &str = "SET row_security TO DEFAULT; SET search_path TO DEFAULT; SET xmloption TO DEFAULT; SET standard_conforming_strings TO DEFAULT; \
    SET quote_all_identifiers TO DEFAULT; SET transform_null_equals TO DEFAULT; SET extra_float_digits TO DEFAULT; \
    SELECT pg_catalog.set_config('timezone', pg_catalog.current_setting('stopgap.timezone'), false), \
    pg_catalog.set_config('datestyle', pg_catalog.current_setting('stopgap.datestyle'), false)";

/// Keeps what the database and the role say of time zone and style of dates, the most particular first (`pg_db_role_setting`); where
/// neither says anything, what the driver stated. To be asked before [`OURS`].
pub const REMEMBER: &str = "SELECT pg_catalog.set_config('stopgap.' || s.name, coalesce((\
    SELECT pg_catalog.substr(c.setting, pg_catalog.length(s.name) + 2) \
    FROM pg_catalog.pg_db_role_setting AS r CROSS JOIN pg_catalog.unnest(r.setconfig) AS c (setting) \
    WHERE r.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) \
    AND r.setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user)) \
    AND pg_catalog.starts_with(pg_catalog.lower(c.setting), s.name || '=') \
    ORDER BY r.setrole = 0, r.setdatabase = 0 LIMIT 1), pg_catalog.current_setting(s.name)), false) \
    FROM (VALUES ('timezone'), ('datestyle')) AS s (name)";

/// Adds the schema where people install extensions to whatever is searched.
pub const WITH_EXTENSIONS: &str = "SELECT pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', \
    nullif(pg_catalog.current_setting('search_path'), ''), 'public'), false)";
