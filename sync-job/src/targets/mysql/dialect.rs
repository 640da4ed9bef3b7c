//! What the plan must know of MySQL.

use crate::config::Engine;
use crate::model::logical::LogicalType;
use crate::model::schema::IndexKind;
use crate::plan::not_created::{NotCreated, What, Why};
use crate::plan::type_map::{self, Mapping};
use crate::plan::{ColumnPlan, Dialect, ForeignKeyPlan, IndexPlan, Named, TablePlan};

use super::inspect::is_possible;
use super::{row_size, sql};

/// An index key's limit in a page of 16 KiB, in bytes.
const MOST_KEY_BYTES: u64 = 3_072;

/// MySQL 8.0 Reference Manual, chapters 7.3, 28, 29 and 30. RDS keeps the first from everybody else, too.
const OF_SYSTEM: [&str; 4] = ["mysql", "information_schema", "performance_schema", "sys"];

/// Names that InnoDB keeps for columns of its own, in any case: MySQL 8.0 Reference Manual, 17.22 "InnoDB Limits"; the last is that of full-text
/// search (17.6.2.4 "InnoDB Full-Text Indexes").
const OF_INNODB: [&str; 4] = ["db_row_id", "db_trx_id", "db_roll_ptr", "fts_doc_id"];

/// The server takes so many, the primary key among them ("Too many keys specified; max 64 keys allowed", error 1069), and InnoDB as many beside
/// it (17.22 "InnoDB Limits"). SQL Server takes 999.
const MOST_INDEXES: usize = 64;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct MySqlDialect {
    /// The server makes descending indexes. MariaDB before 10.8 reads `DESC` and makes ascending ones (MDEV-13756).
    pub descends: bool,
}

impl Dialect for MySqlDialect {
    fn mapping(&self, holds: LogicalType) -> Mapping {
        type_map::map(holds, Engine::Mysql)
    }

    fn mapping_as(&self, holds: LogicalType, wanted: &str) -> Result<Mapping, String> {
        type_map::map_as(holds, wanted, Engine::Mysql)
    }

    fn default_schema<'a>(&self, database: &'a str) -> &'a str {
        database
    }

    fn longest_name(&self) -> (usize, &'static str) {
        (64, "characters")
    }

    fn name_length(&self, name: &str) -> usize {
        name.chars().count()
    }

    fn refuse_name(&self, named: Named, name: &str) -> Option<&'static str> {
        if named == Named::Schema && OF_SYSTEM.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Some("it is a database of the server itself");
        }
        if named == Named::Column && OF_INNODB.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Some("InnoDB keeps the name for a column of its own");
        }
        // Its white space: https://dev.mysql.com/doc/refman/8.0/en/identifiers.html ("cannot end with space characters").
        if name.ends_with([' ', '\t', '\n', '\u{B}', '\u{C}', '\r']) {
            return Some("no name of MySQL ends in a space, a tab or a line break");
        }
        // MySQL 8.0 Reference Manual, 11.2 "Schema Object Names".
        (!is_possible(name)).then_some("MySQL's names take no characters beyond U+FFFF")
    }

    fn fold(&self, name: &str) -> String {
        name.to_lowercase()
    }

    fn index_names_of_its_own(&self) -> &'static [&'static str] {
        &["primary", "gen_clust_index"]
    }

    fn most_columns(&self) -> usize {
        // InnoDB's own limit.
        1_017
    }

    fn most_key_columns(&self) -> usize {
        16
    }

    fn index_names_belong_to_tables(&self) -> bool {
        true
    }

    fn same_type(&self, found: &str, wanted: &str) -> bool {
        canonical(found) == canonical(wanted)
    }

    fn compares_text_exactly(&self) -> bool {
        false
    }

    fn refuse_index(&self, index: &IndexPlan, columns: &[ColumnPlan]) -> Option<String> {
        let of_key = |(name, _): &(String, bool)| columns.iter().find(|column| &column.target == name);
        refuse_key(index.columns.iter().filter_map(of_key))
    }

    fn refuse_foreign_key(&self, columns: &[&ColumnPlan]) -> Option<String> {
        // The server makes an index for it.
        refuse_key(columns.iter().copied())
    }

    fn refers_in_order_of_index(&self) -> bool {
        // "Referenced columns must be listed as the first columns in the same order" (15.1.20.5 "FOREIGN KEY Constraints").
        true
    }

    fn refers_across_types(&self, from: &str, to: &str) -> bool {
        // Lengths of texts may differ, and no size, sign or character set (15.1.20.5).
        let text = |name: &str| {
            let is_text = name.starts_with("varchar") || name.starts_with("char");
            is_text.then(|| name.contains("ascii"))
        };
        let bytes = |name: &str| name.starts_with("varbinary") || name.starts_with("binary");
        from == to || (text(from).is_some() && text(from) == text(to)) || (bytes(from) && bytes(to))
    }

    fn keeps_included_columns(&self) -> bool {
        false
    }

    fn descends(&self, _: IndexKind) -> bool {
        self.descends
    }

    fn fit(&self, table: &mut TablePlan) {
        row_size::fit(table);
        leave_out_surplus_indexes(table);
        let cannot_count = |column: &&ColumnPlan| column.identity.is_some() && !sql::counts_up(table, column);
        let lost: Vec<String> = table.columns.iter().filter(cannot_count).map(|column| column.target.clone()).collect();
        for column in table.columns.iter_mut().filter(|column| lost.contains(&column.target)) {
            column.identity = None;
            table.not_created.push(NotCreated::new(What::Identity, &column.target, Why::LeadsNoKey));
        }
    }

    fn fit_foreign_keys(&self, table: &mut TablePlan) {
        leave_out_for_foreign_keys(table);
    }
}

/// Plain indexes go first, the last ones first.
fn leave_out_surplus_indexes(table: &mut TablePlan) {
    let mut surplus = table.indexes.len().saturating_sub(MOST_INDEXES);
    for is_plain in [true, false] {
        for position in (0..table.indexes.len()).rev() {
            let kind = table.indexes[position].kind;
            if surplus > 0 && kind != IndexKind::PrimaryKey && (kind == IndexKind::Plain) == is_plain {
                let index = table.indexes.remove(position);
                let why = Why::TooManyIndexes(MOST_INDEXES);
                table.not_created.push(NotCreated::new(What::Index, index.name, why));
                surplus -= 1;
            }
        }
    }
}

/// How many indexes the table has, those included that the server makes for foreign keys: one for each whose columns begin no other index
/// in this order ("FOREIGN KEY Constraints", MySQL 8.0 Reference Manual 15.1.20.5). `without`: one that is not to be counted.
fn count_indexes(table: &TablePlan, without: Option<usize>) -> usize {
    let counted = table.indexes.iter().enumerate().filter(|(position, _)| Some(*position) != without);
    let mut all: Vec<Vec<&str>> = counted.map(|(_, index)| names(index)).collect();
    for key in &table.foreign_keys {
        let columns: Vec<&str> = key.columns.iter().map(String::as_str).collect();
        if !all.iter().any(|index| index.starts_with(&columns)) {
            all.push(columns);
        }
    }
    all.len()
}

fn names(index: &IndexPlan) -> Vec<&str> {
    index.columns.iter().map(|(name, _)| name.as_str()).collect()
}

/// A foreign key is more than a plain index and gets the place of one. Where there is none to spare the key is left out.
fn leave_out_for_foreign_keys(table: &mut TablePlan) {
    let why = Why::TooManyIndexes(MOST_INDEXES);
    loop {
        let count = count_indexes(table, None);
        if count <= MOST_INDEXES {
            return;
        }
        let is_spare = |position: &usize| {
            table.indexes[*position].kind == IndexKind::Plain && count_indexes(table, Some(*position)) < count
        };
        if let Some(position) = (0..table.indexes.len()).rev().find(is_spare) {
            let index = table.indexes.remove(position);
            table.not_created.push(NotCreated::new(What::Index, index.name, why.clone()));
            continue;
        }
        let finds_none = |key: &ForeignKeyPlan| {
            let columns: Vec<&str> = key.columns.iter().map(String::as_str).collect();
            !table.indexes.iter().any(|index| names(index).starts_with(&columns))
        };
        let Some(position) = table.foreign_keys.iter().rposition(finds_none) else { return };
        let key = table.foreign_keys.remove(position);
        table.not_created.push(NotCreated::new(What::ForeignKey, key.name, why.clone()));
    }
}

fn refuse_key<'a>(columns: impl Iterator<Item = &'a ColumnPlan>) -> Option<String> {
    let mut bytes = 0;
    for column in columns {
        let target_type = column.mapping.final_type();
        if sql::is_large(target_type) || target_type.starts_with("json") || target_type.starts_with("geometry") {
            return Some(format!("{target_type} cannot be indexed as a whole"));
        }
        bytes += row_size::in_row(column);
    }
    (bytes > MOST_KEY_BYTES).then(|| format!("its key may be {bytes} bytes long, and {MOST_KEY_BYTES} can be indexed"))
}

/// `information_schema` of MariaDB, and of old tables, shows integers with a display width, and json as longtext; MariaDB adds to a
/// type how it is stored (`/*M!100301 COMPRESSED*/`).
#[expect(clippy::assigning_clones, reason = "a fresh text reads better than one that is cloned into the old")]
fn canonical(text: &str) -> String {
    let mut text = text.to_lowercase();
    if let Some((bare, _)) = text.split_once(" /*") {
        text = bare.to_owned();
    }
    if let Some((bare, _)) = text.split_once(" collate ") {
        text = bare.to_owned();
    }
    if let Some((bare, _)) = text.split_once(" character set ") {
        text = bare.to_owned();
    }
    for name in ["smallint", "int", "bigint", "tinyint"] {
        let Some(rest) = text.strip_prefix(name).and_then(|rest| rest.strip_prefix('(')) else { continue };
        let Some((width, unsigned)) = rest.split_once(')') else { continue };
        if name != "tinyint" || width != "1" {
            text = format!("{name}{unsigned}");
        }
        break;
    }
    if let Some(bare) = text.strip_suffix("(0)").filter(|bare| matches!(*bare, "time" | "datetime")) {
        text = bare.to_owned();
    }
    if text == "json" { "longtext".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_compared_by_meaning() {
        let same = |a, b| MySqlDialect { descends: true }.same_type(a, b);
        assert!(same("int(11)", "int") && same("tinyint(3) unsigned", "tinyint unsigned"));
        assert!(same("char(36)", "char(36) character set ascii"));
        assert!(same("text /*M!100301 COMPRESSED*/", "text"));
        assert!(same("longtext", "json") && same("datetime", "datetime(0)"));
        assert!(!same("tinyint(1)", "tinyint") && !same("varchar(20)", "varchar(30)"));
    }
}
