//! Which indexes and foreign keys the target gets, and which not, with the reason.

use std::collections::HashSet;

use super::not_created::{NotCreated, What, Why};
use super::{ColumnPlan, Dialect, ForeignKeyPlan, IndexPlan, TablePlan, names, tally::Tally};
use crate::config::{ForeignKeyPolicy, IndexPolicy, TableSettings};
use crate::model::logical::LogicalType;
use crate::model::schema::{IndexKind, IndexStructure, SourceIndex, SourceTable, TableName};
use crate::plan::type_map::StoredType;

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
                    let missing = NotCreated::new(What::IncludedColumns, &index.name, Why::KeyAlone);
                    tally.not_created.push(missing);
                }
                for column in leave_out_long(&mut plan, columns, dialect.most_index_bytes()) {
                    let missing = NotCreated::new(What::IncludedColumn, column, Why::TooLong).of(&index.name);
                    tally.not_created.push(missing);
                }
                tally.not_created.extend(ascend(&mut plan, dialect));
                planned.push(plan);
            }
            Err(why) => tally.not_created.push(NotCreated::new(What::Index, &index.name, why)),
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
) -> Result<IndexPlan, Why> {
    let wanted = match policy {
        IndexPolicy::Create => true,
        IndexPolicy::PrimaryKey => index.kind == IndexKind::PrimaryKey,
        IndexPolicy::None => false,
    };
    if !wanted {
        return Err(Why::IndexPolicy);
    }
    if index.disabled {
        return Err(Why::Disabled);
    }
    if let Some(filter) = &index.filter {
        return Err(Why::Filtered(filter.clone()));
    }
    if let IndexStructure::Other(structure) = &index.structure {
        return Err(Why::NoEquivalent(structure.clone()));
    }
    let find = |name: &str| {
        columns.iter().find(|column| column.source == name).ok_or_else(|| Why::ColumnNotCopied(name.to_owned()))
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
        return Err(Why::TooManyColumns(most));
    }
    let plan = IndexPlan { name: index.name.clone(), kind: index.kind, columns: keys, included, staging_only: false };
    match dialect.refuse_index(&plan, columns) {
        Some(reason) => Err(Why::Unsupported(reason)),
        None => Ok(plan),
    }
}

/// Where the target's indexes of this kind only ascend, so does the plan, and says so.
fn ascend(plan: &mut IndexPlan, dialect: &dyn Dialect) -> Option<NotCreated> {
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
    let what = if plan.kind == IndexKind::Plain { What::IndexOrder } else { What::KeyOrder };
    (!names.is_empty()).then(|| NotCreated::new(what, names.join(", "), Why::AscendsOnly).of(&plan.name))
}

/// Takes included columns out whose longest values would not fit into the index, and names them. One row that did not fit
/// would make the whole table fail, whereas the index does its work without them.
fn leave_out_long(plan: &mut IndexPlan, columns: &[ColumnPlan], most: u32) -> Vec<String> {
    let longest = |name: &String| columns.iter().find(|column| &column.target == name).and_then(longest_value);
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
fn longest_value(column: &ColumnPlan) -> Option<u32> {
    /// Length word and alignment.
    const BESIDE: u32 = 8;
    /// Of the numbers, dates and the like: the largest is a decimal of 38 digits.
    const LARGEST_NUMBER: u32 = 32;
    let bytes = match (column.mapping.stored, column.holds) {
        (StoredType::Text { limit: limit @ 1.. } | StoredType::Char { length: limit }, _) => limit.saturating_mul(3),
        (StoredType::Bytes, LogicalType::Bytes { limit: limit @ 1.., .. }) => limit,
        (
            StoredType::Text { .. } | StoredType::Bytes | StoredType::Json | StoredType::Xml | StoredType::FloatArray,
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
) -> (Vec<ForeignKeyPlan>, Vec<NotCreated>) {
    let (mut planned, mut not_created) = (Vec::new(), Vec::new());
    for key in &source.foreign_keys {
        let attempt = || -> Result<(TableName, Vec<String>, Vec<String>), Why> {
            if settings.foreign_keys == ForeignKeyPolicy::Skip {
                return Err(Why::ForeignKeyPolicy);
            }
            if key.untrusted {
                return Err(Why::Untrusted);
            }
            let name = key.referenced.as_ref().ok_or(Why::TableNotShown)?;
            let referenced =
                tables.iter().find(|table| table.source == *name).ok_or_else(|| Why::TableNotCopied(name.clone()))?;
            let columns = target_columns(&tables[own], &key.columns)?;
            let planned: Vec<&ColumnPlan> =
                tables[own].columns.iter().filter(|column| columns.contains(&column.target)).collect();
            if let Some(reason) = dialect.refuse_foreign_key(&planned) {
                return Err(Why::Unsupported(reason));
            }
            let referenced_columns = target_columns(referenced, &key.referenced_columns)?;
            let unique = referenced.indexes.iter().find(|index| {
                index.kind != IndexKind::Plain
                    && index.columns.len() == referenced_columns.len()
                    && index.columns.iter().all(|(name, _)| referenced_columns.contains(name))
            });
            let unique = unique.ok_or_else(|| Why::NoUniqueKey(referenced.target.clone()))?;
            let mut pairs: Vec<(String, String)> = columns.into_iter().zip(referenced_columns).collect();
            if let Some(reason) = other_types(&pairs, &tables[own], referenced, dialect) {
                return Err(Why::Unsupported(reason));
            }
            if dialect.refers_in_order_of_index() {
                pairs.sort_by_key(|(_, name)| unique.columns.iter().position(|(own, _)| own == name));
            }
            let (columns, referenced_columns) = pairs.into_iter().unzip();
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
            Err(why) => not_created.push(NotCreated::new(What::ForeignKey, &key.name, why)),
        }
        tally.foreign_keys.insert(key.name.clone());
    }
    (planned, not_created)
}

/// Why the target does not take a foreign key between columns of these types, if it does not.
fn other_types(
    pairs: &[(String, String)],
    table: &TablePlan,
    referenced: &TablePlan,
    dialect: &dyn Dialect,
) -> Option<String> {
    let type_of = |table: &TablePlan, name: &String| {
        let found = table.columns.iter().find(|column| &column.target == name);
        found.map(|column| column.mapping.final_type().to_owned())
    };
    pairs.iter().find_map(|(from, to)| {
        let (own, other) = (type_of(table, from)?, type_of(referenced, to)?);
        (!dialect.refers_across_types(&own, &other))
            .then(|| format!("{from} is {own}, and {to} of {} is {other}", referenced.target))
    })
}

fn target_columns(table: &TablePlan, names: &[String]) -> Result<Vec<String>, Why> {
    names
        .iter()
        .map(|name| {
            table
                .columns
                .iter()
                .find(|column| &column.source == name)
                .map(|column| column.target.clone())
                .ok_or_else(|| Why::ColumnNotCopied(name.clone()))
        })
        .collect()
}
