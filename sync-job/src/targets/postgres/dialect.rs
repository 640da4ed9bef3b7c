//! What the plan must know of PostgreSQL.

use super::row_size;
use crate::config::Engine;
use crate::model::logical::LogicalType;
use crate::model::schema::IndexKind;
use crate::plan::type_map::{self, Mapping, StoredType};
use crate::plan::{ColumnPlan, Dialect, IndexPlan, Named, TablePlan};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct PostgresDialect;

impl Dialect for PostgresDialect {
    fn mapping(&self, holds: LogicalType) -> Mapping {
        type_map::map(holds, Engine::Postgres)
    }

    fn mapping_as(&self, holds: LogicalType, wanted: &str) -> Result<Mapping, String> {
        type_map::map_as(holds, wanted, Engine::Postgres)
    }

    fn default_schema<'a>(&self, _database: &'a str) -> &'a str {
        "public"
    }

    fn longest_name(&self) -> (usize, &'static str) {
        // NAMEDATALEN less one.
        (63, "bytes")
    }

    fn name_length(&self, name: &str) -> usize {
        name.len()
    }

    fn refuse_name(&self, named: Named, name: &str) -> Option<&'static str> {
        // "System Columns" in PostgreSQL's documentation.
        const OF_SYSTEM: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];
        match named {
            Named::Column => OF_SYSTEM.contains(&name).then_some("PostgreSQL gives every table a column of this name"),
            // "CREATE SCHEMA": such names are reserved for system schemas.
            Named::Schema if name.starts_with("pg_") => {
                Some("PostgreSQL keeps names that begin with pg_ for its own schemas")
            }
            Named::Schema => (name == "information_schema").then_some("it is a schema of PostgreSQL itself"),
            Named::Table => None,
        }
    }

    fn most_columns(&self) -> usize {
        1_600
    }

    fn most_key_columns(&self) -> usize {
        // INDEX_MAX_KEYS.
        32
    }

    fn index_names_belong_to_tables(&self) -> bool {
        false
    }

    fn keeps_included_columns(&self) -> bool {
        true
    }

    fn descends(&self, kind: IndexKind) -> bool {
        // A constraint takes no index but one in the usual order ("ALTER TABLE", ADD table_constraint_using_index).
        matches!(kind, IndexKind::Unique | IndexKind::Plain)
    }

    fn most_index_bytes(&self) -> u32 {
        // BTMaxItemSize for pages of 8 KiB is 2,704; the row's own header and bits for NULLs take some of it.
        2_680
    }

    fn compares_text_exactly(&self) -> bool {
        true
    }

    fn refuse_index(&self, index: &IndexPlan, columns: &[ColumnPlan]) -> Option<String> {
        let keys = index.columns.iter().filter_map(|(name, _)| columns.iter().find(|column| &column.target == name));
        keys.map(|column| &column.mapping)
            .find(|mapping| {
                matches!(mapping.stored, StoredType::Json | StoredType::Xml) || mapping.convert_to.is_some()
            })
            .map(|mapping| format!("{} cannot be indexed by a b-tree", mapping.final_type()))
    }

    fn refers_across_types(&self, from: &str, to: &str) -> bool {
        // Equality is defined within each of these families ("Foreign Keys" asks for no more).
        const FAMILIES: [&[&str]; 2] =
            [&["smallint", "integer", "bigint", "numeric", "real", "double precision"], &["text", "varchar", "char"]];
        let bare = |name: &str| name.split('(').next().unwrap_or(name).to_owned();
        let (from, to) = (bare(from), bare(to));
        from == to || FAMILIES.iter().any(|family| family.contains(&from.as_str()) && family.contains(&to.as_str()))
    }

    fn same_type(&self, found: &str, wanted: &str) -> bool {
        canonical(found) == canonical(wanted)
    }

    fn fit(&self, table: &mut TablePlan) {
        table.findings.extend(row_size::check(table));
    }
}

/// `format_type` spells some types in its own way, and names the schema of those that are not its own: extensions' types are
/// looked for in `public`.
fn canonical(text: &str) -> String {
    let text = text.to_lowercase();
    let text = text.strip_prefix("public.").unwrap_or(&text);
    let text = text.replace(" with time zone", "tz").replace(" without time zone", "");
    // timestamp(3)tz and timestamptz(3) are the same type.
    match (text.strip_suffix("tz"), text.find('(')) {
        (Some(rest), Some(open)) => format!("{}tz{}", &text[..open], &rest[open..]),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_compared_by_meaning() {
        let same_type = |a, b| PostgresDialect.same_type(a, b);
        assert!(same_type("timestamp(3) without time zone", "timestamp(3)"));
        assert!(same_type("timestamp(6) with time zone", "timestamptz(6)"));
        assert!(same_type("time(6) without time zone", "time(6)"));
        assert!(same_type("public.vector(3)", "vector(3)"));
        assert!(!same_type("timestamp(6) without time zone", "timestamptz(6)"));
        assert!(!same_type("numeric(10,2)", "numeric(12,2)"));
    }
}
