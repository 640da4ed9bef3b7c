//! The lists in WITH (…) of definitions: an option is understood, or refused by its name.

use crate::error::unsupported;
use crate::value::SqlError;

/// Options of an index that decide how it is stored or built, never which rows there are.
const STORAGE: &[&str] = &[
    "PAD_INDEX",
    "FILLFACTOR",
    "SORT_IN_TEMPDB",
    "STATISTICS_NORECOMPUTE",
    "STATISTICS_INCREMENTAL",
    "ONLINE",
    "ALLOW_ROW_LOCKS",
    "ALLOW_PAGE_LOCKS",
    "OPTIMIZE_FOR_SEQUENTIAL_KEY",
    "MAXDOP",
];

/// `NAME = value` pairs, parted by commas outside parentheses; an option without `=` has the value ON.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    let mut depth = 0;
    let split = |letter: char| {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        letter == ',' && depth == 0
    };
    text.split(split)
        .map(|item| {
            let (name, value) = item.split_once('=').unwrap_or((item, "ON"));
            (name.trim().to_uppercase(), value.trim().to_owned())
        })
        .collect()
}

fn refused(of: &str, name: &str, value: &str) -> SqlError {
    unsupported(&format!("{of} WITH ({name} = {value})"))
}

/// WITH (…) of an index or a key.
pub fn index(text: &str) -> Result<(), SqlError> {
    for (name, value) in pairs(text) {
        let off = value.eq_ignore_ascii_case("off") || value.eq_ignore_ascii_case("none");
        let known = STORAGE.contains(&name.as_str())
            || off
                && ["IGNORE_DUP_KEY", "DROP_EXISTING", "DATA_COMPRESSION", "XML_COMPRESSION"].contains(&name.as_str());
        if !known {
            return Err(refused("an index", &name, &value));
        }
    }
    Ok(())
}

/// WITH (…) of a security policy.
pub fn policy(text: &str) -> Result<(), SqlError> {
    for (name, value) in pairs(text) {
        let known = matches!(name.as_str(), "STATE" | "SCHEMABINDING") && value.eq_ignore_ascii_case("on");
        if !known {
            return Err(refused("a security policy", &name, &value));
        }
    }
    Ok(())
}

/// What WITH (…) says of a table.
#[derive(Debug, Default)]
pub struct TableOptions {
    pub versioned: bool,
    /// Schema and name of the history table.
    pub history: Option<(String, String)>,
    pub memory: bool,
}

/// WITH (…) of a table.
pub fn table(text: &str, found: &mut TableOptions) -> Result<(), SqlError> {
    for (name, value) in pairs(text) {
        let upper = value.to_uppercase();
        match (name.as_str(), upper.as_str()) {
            ("MEMORY_OPTIMIZED", "ON" | "OFF") => found.memory = upper == "ON",
            ("DURABILITY", "SCHEMA_AND_DATA") | ("DATA_COMPRESSION" | "XML_COMPRESSION", "NONE" | "OFF") => {}
            ("SYSTEM_VERSIONING", _) => (found.versioned, found.history) = versioning(&value)?,
            _ => return Err(refused("CREATE TABLE", &name, &value)),
        }
    }
    Ok(())
}

/// `OFF`, `ON` or `ON ( HISTORY_TABLE = schema.table, … )`.
pub fn versioning(value: &str) -> Result<(bool, Option<(String, String)>), SqlError> {
    let (word, rest) = value.split_once('(').unwrap_or((value, ""));
    let on = match word.trim().to_uppercase().as_str() {
        "ON" => true,
        "OFF" => false,
        _ => return Err(refused("a table", "SYSTEM_VERSIONING", value)),
    };
    let mut history = None;
    let inner = rest.trim().strip_suffix(')').unwrap_or(rest);
    for (name, value) in pairs(inner).into_iter().filter(|(name, _)| !name.is_empty()) {
        match name.as_str() {
            "HISTORY_TABLE" => {
                let full = value.replace(['[', ']', '"', ' '], "");
                let Some((schema, table)) = full.split_once('.') else {
                    return Err(unsupported("HISTORY_TABLE without a schema"));
                };
                history = Some((schema.to_owned(), table.to_owned()));
            }
            "DATA_CONSISTENCY_CHECK" => {}
            _ => return Err(refused("SYSTEM_VERSIONING", &name, &value)),
        }
    }
    Ok((on, history))
}
