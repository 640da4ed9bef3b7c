//! What a rename would lose of the table that is there, what goes away with it, and what a table updated in place lacks.

use super::drift::{TargetForeignKey, TargetIndex, TargetTable};
use super::{ForeignKeyPlan, IndexPlan, TablePlan};
use crate::model::schema::{IndexKind, TableName};

/// What a rename would lose, in words. Foreign keys of tables that are swapped `together` with this one go away and come back
/// with them; a key of the job's own that refers to a table which is not copied could not be made anew.
pub fn of(
    table: &TablePlan,
    found: &TargetTable,
    together: &[&TableName],
    is_copied: impl Fn(&TableName) -> bool,
) -> Vec<String> {
    let outside = |dependent: &&String| !together.iter().any(|other| is_foreign_key_of(dependent, other));
    let mut dependents: Vec<String> = found.dependents.iter().filter(outside).cloned().collect();
    let added = found.indexes.iter().filter(|index| !index.made_by_job && !is_made_anew(index, table));
    dependents.extend(added.map(|index| format!("index {}, which this job did not make", index.name)));
    let keys = found.foreign_keys.iter().filter(|key| !is_key_made_anew(key, table));
    for key in keys.filter(|key| !key.made_by_job || !is_copied(&key.referenced)) {
        let dependent = format!("foreign key {} to {}", key.name, key.referenced);
        if !dependents.contains(&dependent) {
            dependents.push(dependent);
        }
    }
    // One that the plan does not have at all is drift.
    let is_plain =
        |name: &String| table.columns.iter().any(|column| &column.target == name && column.identity.is_none());
    let counting = found.columns.iter().filter(|column| column.counts_up && is_plain(&column.name));
    let counting = counting.filter(|_| !table.drops_identities);
    dependents.extend(counting.map(|column| format!("column {}, which counts up and would not any more", column.name)));
    dependents
}

/// What earlier runs made and this one does not make again: it goes away with the old table.
pub fn outdated(table: &TablePlan, found: &TargetTable) -> Vec<String> {
    // What a server makes for a foreign key has its name and goes with it.
    let of_key = |index: &TargetIndex| found.foreign_keys.iter().any(|key| key.name == index.name);
    let indexes = found.indexes.iter().filter(|index| !is_made_anew(index, table) && !of_key(index));
    let indexes = indexes.map(|index| ("index", &index.name));
    let keys = found.foreign_keys.iter().filter(|key| !is_key_made_anew(key, table));
    indexes
        .chain(keys.map(|key| ("foreign key", &key.name)))
        .map(|(what, name)| {
            format!("{what} {name}: it goes away with the old table, since the source has none like it")
        })
        .collect()
}

/// The index of the table that is there that does what the planned one would.
pub fn index_like<'a>(found: &'a TargetTable, plan: &IndexPlan) -> Option<&'a TargetIndex> {
    found.indexes.iter().find(|index| {
        plan.columns.iter().map(|(name, _)| name).eq(&index.columns)
            && strictness(index.kind) >= strictness(plan.kind)
            && plan.included.iter().all(|name| index.included.contains(name))
    })
}

/// Whether the table that is there has a foreign key that does what the planned one would.
pub fn has_key(found: &TargetTable, plan: &ForeignKeyPlan) -> bool {
    found.foreign_keys.iter().any(|key| is_same_key(key, plan))
}

/// Whether a foreign key over these columns may refer to the table.
pub fn can_be_referenced(found: &TargetTable, columns: &[String]) -> bool {
    let same = |index: &TargetIndex| {
        index.columns.len() == columns.len() && index.columns.iter().all(|name| columns.contains(name))
    };
    !found.not_owned && found.indexes.iter().any(|index| index.kind != IndexKind::Plain && same(index))
}

fn is_made_anew(index: &TargetIndex, table: &TablePlan) -> bool {
    table.indexes.iter().any(|plan| {
        plan.columns.iter().map(|(name, _)| name).eq(&index.columns)
            && strictness(plan.kind) >= strictness(index.kind)
            && index.included.iter().all(|name| plan.included.contains(name))
            && (index.made_by_job || serves_the_same_order(index, plan))
    })
}

/// An index that is read backwards serves the opposite order.
fn serves_the_same_order(index: &TargetIndex, plan: &IndexPlan) -> bool {
    let planned = || plan.columns.iter().map(|(_, descends)| *descends);
    planned().eq(index.descending.iter().copied()) || planned().eq(index.descending.iter().map(|descends| !descends))
}

fn is_key_made_anew(key: &TargetForeignKey, table: &TablePlan) -> bool {
    table.foreign_keys.iter().any(|plan| is_same_key(key, plan) && (key.made_by_job || acts_the_same(key, plan)))
}

fn acts_the_same(key: &TargetForeignKey, plan: &ForeignKeyPlan) -> bool {
    key.actions
        .as_ref()
        .is_none_or(|actions| (&actions.on_delete, &actions.on_update) == (&plan.on_delete, &plan.on_update))
}

fn is_same_key(key: &TargetForeignKey, plan: &ForeignKeyPlan) -> bool {
    key.columns == plan.columns && key.referenced == plan.referenced
}

/// How much an index demands of its rows.
fn strictness(kind: IndexKind) -> u8 {
    match kind {
        IndexKind::PrimaryKey => 2,
        IndexKind::UniqueConstraint | IndexKind::Unique => 1,
        IndexKind::Plain => 0,
    }
}

/// Whether a dependent is a foreign key of this table. The target names it `foreign key k of schema.table`.
fn is_foreign_key_of(dependent: &str, table: &TableName) -> bool {
    dependent.starts_with("foreign key ") && dependent.replace('"', "").ends_with(&format!(" of {table}"))
}
