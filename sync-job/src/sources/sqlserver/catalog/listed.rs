//! Compares what the joins brought with what the catalog lists without any.
//!
//! A column that a join loses is lost on both sides of the digest, which would prove the copy without it.

use std::collections::{HashMap, HashSet};

use tiberius::Row;

use super::build::{PartId, Tables};
use super::fields::Fields;
use super::queries;
use crate::model::error::Result;

/// What the catalog lists.
#[derive(Debug, Default)]
pub struct Inventory {
    columns: Vec<(PartId, String)>,
    indexes: Vec<(PartId, String)>,
    foreign_keys: Vec<(PartId, String)>,
    index_columns: HashMap<PartId, i64>,
    key_columns: HashMap<PartId, i64>,
}

/// The queries of an [`Inventory`], each with its name in errors.
pub const QUERIES: [(&str, &str); 5] = [
    ("list of columns", queries::LISTED_COLUMNS),
    ("list of indexes", queries::LISTED_INDEXES),
    ("list of foreign keys", queries::LISTED_FOREIGN_KEYS),
    ("list of index columns", queries::LISTED_INDEX_COLUMNS),
    ("list of foreign key columns", queries::LISTED_FOREIGN_KEY_COLUMNS),
];

impl Inventory {
    /// The answers of [`QUERIES`], in their order.
    pub fn new(answers: &[Vec<Row>; 5]) -> Result<Self> {
        let [columns, indexes, foreign_keys, index_columns, key_columns] = answers;
        Ok(Self {
            columns: parts(QUERIES[0].0, columns)?,
            indexes: parts(QUERIES[1].0, indexes)?,
            foreign_keys: parts(QUERIES[2].0, foreign_keys)?,
            index_columns: numbers(QUERIES[3].0, index_columns)?,
            key_columns: numbers(QUERIES[4].0, key_columns)?,
        })
    }

    /// Writes into each table what is listed of it, and what of that did not come.
    pub fn compare(&self, tables: &mut Tables) {
        let mut lacking: Vec<(i64, String)> = Vec::new();
        for (id, name) in &self.columns {
            if !tables.has_column(*id) {
                lacking.push((id.0, format!("column {name}")));
            }
        }
        for (id, name) in &self.indexes {
            if !tables.has_index(*id) {
                lacking.push((id.0, format!("index {name}")));
            } else if differs(&self.index_columns, &tables.index_columns, *id) {
                lacking.push((id.0, format!("columns of index {name}")));
            }
        }
        for (id, name) in &self.foreign_keys {
            if !tables.has_foreign_key(*id) {
                lacking.push((id.0, format!("foreign key {name}")));
            } else if differs(&self.key_columns, &tables.key_columns, *id) {
                lacking.push((id.0, format!("columns of foreign key {name}")));
            }
        }
        self.note_unlisted(tables, &mut lacking);
        for (object, what) in lacking {
            if let Some(table) = tables.table(object) {
                table.lacking.push(what);
            }
        }
        self.note_listed(tables);
    }

    fn note_listed(&self, tables: &mut Tables) {
        for ((object, _), name) in &self.columns {
            if let Some(table) = tables.table(*object) {
                table.listed.columns.push(name.clone());
            }
        }
        for ((object, _), name) in &self.indexes {
            if let Some(table) = tables.table(*object) {
                table.listed.indexes.push(name.clone());
            }
        }
        for ((object, _), name) in &self.foreign_keys {
            if let Some(table) = tables.table(*object) {
                table.listed.foreign_keys.push(name.clone());
            }
        }
    }

    /// A table of which more came than is listed: one of the two answers is not about it.
    fn note_unlisted(&self, tables: &Tables, lacking: &mut Vec<(i64, String)>) {
        let count = |listed: &[(PartId, String)]| {
            let mut counts: HashMap<i64, usize> = HashMap::new();
            for (object, _) in listed.iter().map(|(id, _)| id).collect::<HashSet<_>>() {
                *counts.entry(*object).or_default() += 1;
            }
            counts
        };
        let listed = [count(&self.columns), count(&self.indexes), count(&self.foreign_keys)];
        for (object, table) in tables.ids().into_iter().zip(&tables.found) {
            let read = [table.columns.len(), table.indexes.len(), table.foreign_keys.len()];
            for ((what, read), listed) in ["columns", "indexes", "foreign keys"].into_iter().zip(read).zip(&listed) {
                let listed = listed.get(&object).copied().unwrap_or(0);
                if read > listed {
                    lacking.push((object, format!("list of {what} ({listed}, where {read} were read)")));
                }
            }
        }
    }
}

fn differs(listed: &HashMap<PartId, i64>, read: &HashMap<PartId, i64>, id: PartId) -> bool {
    listed.get(&id).copied().unwrap_or(0) != read.get(&id).copied().unwrap_or(0)
}

fn parts(what: &str, rows: &[Row]) -> Result<Vec<(PartId, String)>> {
    let part = |row| {
        let fields = Fields::new(what, row);
        Ok(((fields.int("object_id")?, fields.int("part_id")?), fields.text("part_name")?))
    };
    rows.iter().map(part).collect()
}

fn numbers(what: &str, rows: &[Row]) -> Result<HashMap<PartId, i64>> {
    let number = |row| {
        let fields = Fields::new(what, row);
        Ok(((fields.int("object_id")?, fields.int("part_id")?), fields.int("number")?))
    };
    rows.iter().map(number).collect()
}
