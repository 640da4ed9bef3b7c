//! What people gave a table, and the new one gets when it is made. Where a rename replaces theirs: comments of columns, collations of
//! somebody's choice, and options of the table; the table's own comment follows at the swap, and grants go by name. Where the table is updated in place: how its texts compare, since
//! the rows of both are compared at the swap.

use std::collections::HashMap;

use mysql_async::Conn;

use super::connect::{row, rows};
use super::quote::literal;
use super::server::Collations;
use crate::model::error::Result;
use crate::model::schema::TableName;
use crate::targets::decisions::Decision;
use crate::targets::decisions::mysql::OF_OPTIONS;

/// Whether a new table gets this option, of the name that it has in `CREATE TABLE`, too.
fn is_preserved(option: &str) -> bool {
    let is_it = |clause: &str| clause.strip_suffix(" = ?").is_some_and(|name| name.eq_ignore_ascii_case(option));
    OF_OPTIONS.iter().any(|(clause, decision)| is_it(clause) && *decision == Decision::Preserved)
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct PreservedAttributes {
    /// By column.
    pub comments: HashMap<String, String>,
    /// As `CREATE TABLE` takes them.
    pub options: Vec<String>,
    /// By column.
    pub texts: HashMap<String, Text>,
}

/// How a column keeps text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub characters: String,
    pub collation: String,
}

impl Text {
    /// Whether the bytes of a text, if it has any there, may be others than those of utf8mb4.
    pub(super) fn has_other_bytes(&self) -> bool {
        !["utf8mb4", "utf8mb3", "utf8", "ascii"].contains(&self.characters.as_str())
    }
}

impl PreservedAttributes {
    /// What the table has; nothing where there is none.
    pub(super) async fn of(connection: &mut Conn, table: &TableName) -> Result<Self> {
        let this = format!("table_schema = {} AND table_name = {}", literal(&table.schema), literal(&table.name));
        let comments = format!(
            "SELECT column_name, column_comment FROM information_schema.columns WHERE column_comment <> '' AND {this}"
        );
        let options = format!("SELECT create_options FROM information_schema.tables WHERE {this}");
        Ok(Self {
            comments: rows::<(String, String)>(connection, &comments).await?.into_iter().collect(),
            options: row::<Option<String>>(connection, &options)
                .await?
                .flatten()
                .as_deref()
                .map(kept)
                .unwrap_or_default(),
            texts: chosen(connection, table).await?,
        })
    }

    /// What matters of a table that stays. What is loaded are bytes of utf8mb4, which would be other letters elsewhere.
    pub(super) async fn of_updated_in_place(connection: &mut Conn, table: &TableName) -> Result<Self> {
        let mut texts = texts(connection, table).await?;
        texts.retain(|_, text| !text.has_other_bytes());
        Ok(Self { texts, ..Self::default() })
    }
}

/// The columns that somebody gave a collation of its own: neither one that the job gives, which follows the source's, nor the one that
/// every column of the database gets. Other character sets than utf8mb4 are not kept: they have no place for every letter.
async fn chosen(connection: &mut Conn, table: &TableName) -> Result<HashMap<String, Text>> {
    let mut texts = texts(connection, table).await?;
    let query = format!(
        "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = {}",
        literal(&table.schema)
    );
    let default: Option<String> = row(connection, &query).await?;
    texts.retain(|_, text| {
        let is_default = default.as_ref() == Some(&text.collation);
        text.characters == "utf8mb4" && !is_default && !Collations::is_given(&text.collation)
    });
    Ok(texts)
}

/// How the columns that keep text do so.
pub(super) async fn texts(connection: &mut Conn, table: &TableName) -> Result<HashMap<String, Text>> {
    let query = format!(
        "SELECT column_name, character_set_name, collation_name FROM information_schema.columns \
         WHERE collation_name IS NOT NULL AND table_schema = {} AND table_name = {}",
        literal(&table.schema),
        literal(&table.name)
    );
    let found = rows::<(String, String, String)>(connection, &query).await?;
    Ok(found.into_iter().map(|(column, characters, collation)| (column, Text { characters, collation })).collect())
}

/// The options to keep, of those that the catalog shows. The row format stays the job's own unless it is the compressed one.
fn kept(shown: &str) -> Vec<String> {
    let options: Vec<(String, String, &str)> = shown.split_whitespace().filter_map(read).collect();
    let row_format = options.iter().find(|(name, _, _)| name == "row_format").map(|(_, value, _)| value.as_str());
    let sizes_blocks = |name: &str, value: &str| name == "key_block_size" && value != "0";
    // Without a row format the size of blocks alone compresses a table; beside another one it says nothing, and is refused.
    let is_compressed = row_format.map_or_else(
        || options.iter().any(|(name, value, _)| sizes_blocks(name, value)),
        |format| format == "compressed",
    );
    let is_kept = |name: &str, value: &str| match name {
        "key_block_size" => is_compressed && sizes_blocks(name, value),
        name => is_preserved(name),
    };
    let kept = options.iter().filter(|(name, value, _)| is_kept(name, value)).map(|(_, _, option)| *option);
    is_compressed.then_some("ROW_FORMAT=COMPRESSED").into_iter().chain(kept).map(str::to_owned).collect()
}

/// Name and value of an option, in lower case, and the option as it is shown; nothing where the value is not a word.
fn read(option: &str) -> Option<(String, String, &str)> {
    let (name, value) = option.split_once('=')?;
    let is_word = value.trim_matches(['\'', '"']).chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_word.then(|| (name.trim_matches('`').to_lowercase(), value.to_lowercase(), option))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_options_shown_some_are_kept() {
        let mysql = "max_rows=10 partitioned KEY_BLOCK_SIZE=8 ENCRYPTION='Y' COMPRESSION=\"zlib\"";
        assert_eq!(
            kept(mysql),
            ["ROW_FORMAT=COMPRESSED", "max_rows=10", "KEY_BLOCK_SIZE=8", "ENCRYPTION='Y'", "COMPRESSION=\"zlib\""]
        );
        assert_eq!(
            kept("row_format=COMPRESSED `page_compressed`='1'"),
            ["ROW_FORMAT=COMPRESSED", "`page_compressed`='1'"]
        );
        assert_eq!(kept("row_format=COMPRESSED key_block_size=4"), ["ROW_FORMAT=COMPRESSED", "key_block_size=4"]);
        assert_eq!(kept("row_format=DYNAMIC KEY_BLOCK_SIZE=8 stats_persistent=1"), ["stats_persistent=1"]);
        assert_eq!(kept("KEY_BLOCK_SIZE=0"), Vec::<String>::new());
        assert_eq!(kept("encryption='Y';DROP stats_persistent=1)"), Vec::<String>::new());
    }
}
