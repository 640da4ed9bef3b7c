//! Which indexes and foreign keys the target gets, and which not, with the reason.

use std::collections::HashSet;

use super::{ColumnPlan, Dialect, ForeignKeyPlan, IndexPlan, TablePlan, names, tally::Tally};
use crate::config::{ForeignKeyPolicy, IndexPolicy, TableSettings};
use crate::model::schema::{IndexKind, Length, SourceIndex, SourceTable, SourceType, TableName};
use crate::plan::type_map::LogicalType;

/// Names of indexes and keys that are given away already, by schema or by table as the target wants them.
pub type Taken = HashSet<String>;

/// The table's indexes on the target. What is left out is added to [`Tally::not_created`].
pub fn plan(
    source: &SourceTable,
    columns: &[ColumnPlan],
    settings: &TableSettings,
    table: &str,
    dialect: &dyn Dialect,
    taken: &mut Taken,
    tally: &mut Tally,
) -> Vec<IndexPlan> {
    let mut own: Taken = dialect.index_names_of_its_own().iter().map(|name| (*name).to_owned()).collect();
    let taken = if dialect.index_names_belong_to_tables() { &mut own } else { taken };
    let mut planned: Vec<IndexPlan> = Vec::new();
    for index in &source.indexes {
        match plan_one(index, columns, settings.indexes, dialect) {
            Ok(mut plan) => {
                plan.name = names::unique(&settings.names.apply(&index.name), table, taken, dialect);
                if !index.included.is_empty() && plan.included.is_empty() {
                    tally
                        .not_created
                        .push(format!("included columns of index {}: its key alone is indexed", index.name));
                }
                for column in leave_out_long(&mut plan, source, columns, dialect.most_index_bytes()) {
                    tally.not_created.push(format!(
                        "included column {column} of index {}: its values may be longer than a row of an index on the target",
                        index.name
                    ));
                }
                tally.not_created.extend(ascend(&mut plan, dialect));
                planned.push(plan);
            }
            Err(reason) => tally.not_created.push(format!("index {}: {reason}", index.name)),
        }
        tally.indexes.insert(index.name.clone());
    }
    planned
}

fn plan_one(
    index: &SourceIndex,
    columns: &[ColumnPlan],
    policy: IndexPolicy,
    dialect: &dyn Dialect,
) -> Result<IndexPlan, String> {
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
        columns.iter().find(|column| column.source == name).ok_or_else(|| format!("its column {name} is not copied"))
    };
    let keys = index
        .columns
        .iter()
        .map(|key| find(&key.name).map(|column| (column.target.clone(), key.descending)))
        .collect::<Result<Vec<_>, _>>()?;
    let included = index
        .included
        .iter()
        .filter(|_| dialect.keeps_included_columns())
        .map(|name| find(name).map(|column| column.target.clone()))
        .collect::<Result<Vec<_>, _>>()?;
    let most = dialect.most_key_columns();
    if keys.len() + included.len() > most {
        return Err(format!("the target takes {most} columns in an index"));
    }
    let plan = IndexPlan { name: index.name.clone(), kind: index.kind, columns: keys, included, staging_only: false };
    match dialect.refuse_index(&plan, columns) {
        Some(reason) => Err(reason),
        None => Ok(plan),
    }
}

/// Where the target's indexes of this kind only ascend, so does the plan, and says so.
fn ascend(plan: &mut IndexPlan, dialect: &dyn Dialect) -> Option<String> {
    if dialect.descends(plan.kind) {
        return None;
    }
    let descending: Vec<&mut (String, bool)> = plan.columns.iter_mut().filter(|(_, descends)| *descends).collect();
    let names: Vec<String> = descending
        .into_iter()
        .map(|(name, descends)| {
            *descends = false;
            name.clone()
        })
        .collect();
    let what = if plan.kind == IndexKind::Plain { "index" } else { "key" };
    (!names.is_empty())
        .then(|| format!("descending order of {} in {what} {}: it ascends on the target", names.join(", "), plan.name))
}

/// Takes included columns out whose longest values would not fit into the index, and names them. One row that did not fit
/// would make the whole table fail, whereas the index does its work without them.
fn leave_out_long(plan: &mut IndexPlan, source: &SourceTable, columns: &[ColumnPlan], most: u32) -> Vec<String> {
    let longest = |name: &String| {
        let column = columns.iter().find(|column| &column.target == name)?;
        let of_source = source.columns.iter().find(|found| found.name == column.source)?;
        longest_value(column, &of_source.source_type)
    };
    let mut row: u32 = plan.columns.iter().filter_map(|(name, _)| longest(name)).sum();
    let (kept, left_out) = std::mem::take(&mut plan.included).into_iter().partition(|name| {
        let with = longest(name).map(|bytes| row.saturating_add(bytes)).filter(|bytes| *bytes <= most);
        row = with.unwrap_or(row);
        with.is_some()
    });
    plan.included = kept;
    left_out
}

/// Bytes of the longest value in UTF-8, with its length and alignment; nothing where there is no limit.
fn longest_value(column: &ColumnPlan, source_type: &SourceType) -> Option<u32> {
    /// Length word and alignment.
    const BESIDE: u32 = 8;
    /// Of the numbers, dates and the like: the largest is a decimal of 38 digits.
    const LARGEST_NUMBER: u32 = 32;
    let bytes = match (column.mapping.logical, source_type) {
        (LogicalType::Text { limit: limit @ 1.. } | LogicalType::Char { length: limit }, _) => limit.saturating_mul(3),
        (
            LogicalType::Bytes,
            SourceType::Binary { bytes } | SourceType::VarBinary { bytes: Length::Limited(bytes) },
        ) => u32::from(*bytes),
        (LogicalType::Bytes, SourceType::RowVersion) => LARGEST_NUMBER,
        (
            LogicalType::Text { .. }
            | LogicalType::Bytes
            | LogicalType::Json
            | LogicalType::Xml
            | LogicalType::FloatArray,
            _,
        ) => return None,
        _ => LARGEST_NUMBER,
    };
    Some(bytes.saturating_add(BESIDE))
}

/// Foreign keys between tables of the plan, where the job file asks for them; the rest is named as not created.
pub fn foreign_keys(
    source: &SourceTable,
    settings: &TableSettings,
    tables: &[TablePlan],
    own: usize,
    dialect: &dyn Dialect,
    taken: &mut Taken,
    tally: &mut Tally,
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
            let name = key.referenced.as_ref().ok_or("it refers to a table that this login does not see")?;
            let referenced = tables
                .iter()
                .find(|table| table.source == *name)
                .ok_or_else(|| format!("{name} is not copied in this run"))?;
            let columns = target_columns(&tables[own], &key.columns)?;
            let planned: Vec<&ColumnPlan> =
                tables[own].columns.iter().filter(|column| columns.contains(&column.target)).collect();
            if let Some(reason) = dialect.refuse_foreign_key(&planned) {
                return Err(reason);
            }
            let referenced_columns = target_columns(referenced, &key.referenced_columns)?;
            let has_key = referenced.indexes.iter().any(|index| {
                index.kind != IndexKind::Plain
                    && index.columns.len() == referenced_columns.len()
                    && index.columns.iter().all(|(name, _)| referenced_columns.contains(name))
            });
            if !has_key {
                return Err(format!(
                    "{} has no unique key over the referenced columns on the target",
                    referenced.target
                ));
            }
            Ok((referenced.target.clone(), columns, referenced_columns))
        };
        match attempt() {
            Ok((referenced, columns, referenced_columns)) => planned.push(ForeignKeyPlan {
                name: names::unique(&settings.names.apply(&key.name), &tables[own].target.name, taken, dialect),
                columns,
                referenced,
                referenced_columns,
                on_delete: key.on_delete.replace('_', " "),
                on_update: key.on_update.replace('_', " "),
            }),
            Err(reason) => not_created.push(format!("foreign key {}: {reason}", key.name)),
        }
        tally.foreign_keys.insert(key.name.clone());
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
