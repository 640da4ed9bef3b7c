//! Which indexes and foreign keys the target gets, and which not, with the reason.

use std::collections::HashSet;

use super::{ColumnPlan, ForeignKeyPlan, IndexPlan, TablePlan, names};
use crate::config::{ForeignKeyPolicy, IndexPolicy, TableSettings};
use crate::schema::{IndexKind, SourceIndex, SourceTable, TableName};
use crate::type_map::Form;

/// PostgreSQL's INDEX_MAX_KEYS.
const MOST_COLUMNS: usize = 32;

/// The table's indexes on the target. What is left out is added to `not_created`.
pub fn plan(
    source: &SourceTable,
    columns: &[ColumnPlan],
    settings: &TableSettings,
    table: &str,
    taken: &mut HashSet<String>,
    not_created: &mut Vec<String>,
) -> Vec<IndexPlan> {
    let mut planned = Vec::new();
    for index in &source.indexes {
        match plan_one(index, columns, settings.indexes) {
            Ok((columns, included)) => planned.push(IndexPlan {
                name: names::unique(&settings.names.apply(&index.name), table, taken),
                kind: index.kind,
                columns,
                included,
            }),
            Err(reason) => not_created.push(format!("index {}: {reason}", index.name)),
        }
    }
    planned
}

type Columns = (Vec<(String, bool)>, Vec<String>);

fn plan_one(index: &SourceIndex, columns: &[ColumnPlan], policy: IndexPolicy) -> Result<Columns, String> {
    let wanted = match policy {
        IndexPolicy::Create => true,
        IndexPolicy::PrimaryKey => index.kind == IndexKind::PrimaryKey,
        IndexPolicy::None => false,
    };
    if !wanted {
        return Err("the job file says so (indexes)".to_owned());
    }
    if index.disabled {
        return Err("it is disabled at the source".to_owned());
    }
    if let Some(filter) = &index.filter {
        return Err(format!("it is filtered: {filter}"));
    }
    if !index.is_plain_tree() {
        return Err(format!("{} indexes have no equivalent", index.structure.to_lowercase()));
    }
    let find = |name: &str| {
        columns
            .iter()
            .find(|column| column.source == name)
            .ok_or_else(|| format!("its column {name} is not copied"))
    };
    let mut keys = Vec::new();
    for key in &index.columns {
        let column = find(&key.name)?;
        if matches!(column.mapping.form, Form::Json | Form::Xml) || column.mapping.convert_to.is_some() {
            return Err(format!("{} cannot be indexed by a b-tree", column.mapping.final_type()));
        }
        keys.push((column.target.clone(), key.descending));
    }
    let included =
        index.included.iter().map(|name| find(name).map(|column| column.target.clone())).collect::<Result<Vec<_>, _>>()?;
    if keys.len() + included.len() > MOST_COLUMNS {
        return Err(format!("the target takes {MOST_COLUMNS} columns in an index"));
    }
    Ok((keys, included))
}

/// Foreign keys between tables of the plan, where the job file asks for them; the rest is named as not created.
pub fn foreign_keys(
    source: &SourceTable,
    settings: &TableSettings,
    tables: &[TablePlan],
    own: usize,
    taken: &mut HashSet<String>,
) -> (Vec<ForeignKeyPlan>, Vec<String>) {
    let (mut planned, mut not_created) = (Vec::new(), Vec::new());
    for key in &source.foreign_keys {
        let attempt = || -> Result<(TableName, Vec<String>, Vec<String>), String> {
            if settings.foreign_keys == ForeignKeyPolicy::Skip {
                return Err("the job file does not ask for foreign keys".to_owned());
            }
            if key.untrusted {
                return Err("it is disabled or not trusted at the source".to_owned());
            }
            let referenced = tables
                .iter()
                .find(|table| table.source == key.referenced)
                .ok_or_else(|| format!("{} is not copied in this run", key.referenced))?;
            let columns = target_columns(&tables[own], &key.columns)?;
            let referenced_columns = target_columns(referenced, &key.referenced_columns)?;
            let has_key = referenced.indexes.iter().any(|index| {
                index.kind != IndexKind::Plain
                    && index.columns.len() == referenced_columns.len()
                    && index.columns.iter().all(|(name, _)| referenced_columns.contains(name))
            });
            if !has_key {
                return Err(format!("{} has no unique key over the referenced columns on the target", referenced.target));
            }
            Ok((referenced.target.clone(), columns, referenced_columns))
        };
        match attempt() {
            Ok((referenced, columns, referenced_columns)) => planned.push(ForeignKeyPlan {
                name: names::unique(&settings.names.apply(&key.name), &tables[own].target.name, taken),
                columns,
                referenced,
                referenced_columns,
                on_delete: key.on_delete.replace('_', " "),
                on_update: key.on_update.replace('_', " "),
            }),
            Err(reason) => not_created.push(format!("foreign key {}: {reason}", key.name)),
        }
    }
    (planned, not_created)
}

fn target_columns(table: &TablePlan, names: &[String]) -> Result<Vec<String>, String> {
    names
        .iter()
        .map(|name| {
            table
                .columns
                .iter()
                .find(|column| &column.source == name)
                .map(|column| column.target.clone())
                .ok_or_else(|| format!("its column {name} is not copied"))
        })
        .collect()
}

