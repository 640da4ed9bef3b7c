//! Finishes a drafted plan once the target was inspected: how each table is swapped, and how its columns differ.

use std::collections::HashMap;

use super::drift::{self, TargetTable};
use super::not_created::{NotCreated, What, Why};
use super::{
    Dialect, Draft, Drift, Finding, FindingId, IndexPlan, RunPlan, Severity, SwapMethod, SwapPlan, SwapReason,
    TablePlan, dependents, names,
};
use crate::config::{JobConfig, OnDrift, SwapPolicy};
use crate::model::schema::{IndexKind, TableName};

/// What the target has already.
#[derive(Debug, Default)]
pub struct TargetState {
    /// The tables of the plan that are there.
    pub tables: HashMap<TableName, TargetTable>,
    /// Names that an index of the plan cannot have, each with the table that it is an index of, if it is one. Empty where the
    /// names of indexes belong to their tables.
    pub names: HashMap<TableName, Option<TableName>>,
    /// Why no table that is there may be renamed over, if so.
    pub invisible_sessions: Option<InvisibleSessions>,
}

/// Readers that a swap cannot wait for, because this login does not see them: a renamed table could look empty to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvisibleSessions {
    /// In words, with what is done about it.
    pub message: String,
    pub remedy: String,
}

/// Finishes the plan with what the target has.
pub fn finish(
    config: &JobConfig,
    draft: Draft,
    state: &TargetState,
    source: String,
    target: String,
    dialect: &dyn Dialect,
) -> RunPlan {
    let Draft { mut tables, mut findings, mut taken } = draft;
    choose_methods(config, &mut tables, state);
    findings.extend(warn_of_invisible_sessions(&tables, state));
    for table in &mut tables {
        if let Some(found) = state.tables.get(&table.target) {
            finish_table(config, table, found, state, dialect);
        }
        if table.swap.method != SwapMethod::InPlace {
            let taken = taken.entry(table.target.schema.clone()).or_default();
            names::give_way(table, taken, &state.names, dialect);
        }
    }
    leave_out_impossible_keys(&mut tables, &state.tables);
    RunPlan { job: config.name.clone(), source, target, tables, findings }
}

/// How each table is swapped. Tables that change together are all updated in place, or none is: rows and names do not change hands at the
/// same moment, and a foreign key refers to a table, not to a name.
fn choose_methods(config: &JobConfig, tables: &mut [TablePlan], state: &TargetState) {
    let names: Vec<(TableName, Option<String>)> =
        tables.iter().map(|table| (table.target.clone(), table.group.clone())).collect();
    for table in tables.iter_mut() {
        let of_group = |(_, group): &&(TableName, Option<String>)| group.is_some() && *group == table.group;
        let together: Vec<&TableName> = names.iter().filter(of_group).map(|(name, _)| name).collect();
        let is_copied = |other: &TableName| names.iter().any(|(name, _)| name == other);
        let found = state.tables.get(&table.target);
        let dependents = found.map_or_else(Vec::new, |found| dependents::of(table, found, &together, is_copied));
        table.swap = drift::swap_plan(found, dependents);
        if table.swap.method == SwapMethod::Rename
            && let Some(reason) = chosen_in_place(config, table, state)
        {
            table.swap = SwapPlan { method: SwapMethod::InPlace, reason };
        }
    }
    let in_place: Vec<(String, TableName)> = tables
        .iter()
        .filter(|table| table.swap.method == SwapMethod::InPlace)
        .filter_map(|table| Some((table.group.clone()?, table.target.clone())))
        .collect();
    for table in tables.iter_mut().filter(|table| table.swap.method == SwapMethod::Rename) {
        let other = in_place.iter().find(|(group, _)| table.group.as_ref() == Some(group));
        if let Some((_, other)) = other {
            table.swap = SwapPlan { method: SwapMethod::InPlace, reason: SwapReason::Group(other.clone()) };
        }
    }
}

/// Why a table is updated in place that could be renamed over.
fn chosen_in_place(config: &JobConfig, table: &TablePlan, state: &TargetState) -> Option<SwapReason> {
    if config.settings(&table.source).swap == SwapPolicy::InPlace {
        return Some(SwapReason::JobFile);
    }
    state.invisible_sessions.as_ref().map(|_| SwapReason::InvisibleSessions)
}

fn warn_of_invisible_sessions(tables: &[TablePlan], state: &TargetState) -> Option<Finding> {
    let invisible = state
        .invisible_sessions
        .as_ref()
        .filter(|_| tables.iter().any(|table| table.swap.reason == SwapReason::InvisibleSessions))?;
    Some(Finding::new(FindingId::InvisibleSessions, Severity::Warning, &invisible.message, &invisible.remedy))
}

fn finish_table(
    config: &JobConfig,
    table: &mut TablePlan,
    found: &TargetTable,
    state: &TargetState,
    dialect: &dyn Dialect,
) {
    if let Some(what) = &found.not_a_table {
        let finding = Finding::new(
            FindingId::TargetNotATable,
            Severity::Refusal,
            format!("the target's {} is {what}", table.target),
            "Give the table another target name, or drop what is there.",
        );
        table.findings.push(finding.on(&table.source));
        return;
    }
    table.drift = drift::compare(&table.columns, found, dialect);
    if let Some(finding) = refuse_drift(config, table, state) {
        table.findings.push(finding.on(&table.source));
    }
    match table.swap.method {
        SwapMethod::InPlace => leave_out_what_is_lacking(table, found),
        SwapMethod::Create | SwapMethod::Rename => {
            table.without_its_key = table.merge_key().is_some_and(|key| dependents::index_like(found, key).is_none());
            table.not_created.extend(dependents::outdated(table, found));
        }
    }
}

fn refuse_drift(config: &JobConfig, table: &TablePlan, state: &TargetState) -> Option<Finding> {
    if table.drift.is_empty() {
        return None;
    }
    let changes = table.drift.iter().map(Drift::to_string).collect::<Vec<_>>().join("; ");
    if config.target.on_drift == OnDrift::Fail {
        return Some(Finding::new(
            FindingId::Drift,
            Severity::Refusal,
            format!("the columns differ: {changes}"),
            "Set [target] on_drift = \"apply\" to let the swap carry the changes.",
        ));
    }
    let invisible = state.invisible_sessions.as_ref().filter(|_| table.swap.reason == SwapReason::InvisibleSessions);
    let remedy = invisible.map_or_else(
        || "Change the table by hand, or remove what keeps it from being replaced, and run again.".to_owned(),
        |invisible| format!("{} Or change the table by hand, and run again.", invisible.remedy),
    );
    (table.swap.method == SwapMethod::InPlace).then(|| {
        Finding::new(
            FindingId::DriftInPlace,
            Severity::Refusal,
            format!(
                "the columns differ ({changes}), but the table can only be updated in place: {}",
                table.swap.reason
            ),
            remedy,
        )
    })
}

/// A table that is updated in place stays as it is: it gets new rows and nothing else of the plan.
fn leave_out_what_is_lacking(table: &mut TablePlan, found: &TargetTable) {
    let merge_key = table.merge_key().cloned();
    let mut lacking = Vec::new();
    table.indexes.retain_mut(|index| {
        if let Some(own) = dependents::index_like(found, index) {
            // In the order that it has, whatever the source's.
            index.columns.iter_mut().zip(&own.descending).for_each(|((_, descends), own)| *descends = *own);
            return true;
        }
        lacking.push(subject(index));
        // On the staging table it finds the rows that are merged.
        index.staging_only = merge_key.as_ref() == Some(index);
        index.staging_only
    });
    table.foreign_keys.retain(|key| {
        let is_there = dependents::has_key(found, key);
        if !is_there {
            lacking.push((What::ForeignKey, key.name.clone()));
        }
        is_there
    });
    for column in &mut table.columns {
        let is_there = found.columns.iter().any(|state| state.name == column.target && state.counts_up);
        if column.identity.take_if(|_| !is_there).is_some() {
            lacking.push((What::Identity, column.target.clone()));
        }
    }
    for (what, name) in lacking {
        // The dialect may have given another reason already.
        if !table.not_created.iter().any(|known| known.is_about(what, &name)) {
            table.not_created.push(NotCreated::new(what, name, Why::UpdatedInPlace));
        }
    }
}

fn subject(index: &IndexPlan) -> (What, String) {
    let what = if index.kind == IndexKind::PrimaryKey { What::PrimaryKey } else { What::Index };
    (what, index.name.clone())
}

/// A new table's foreign key needs a key of the table that it refers to, and a right to it. A table that is updated in place gets neither.
fn leave_out_impossible_keys(tables: &mut [TablePlan], state: &HashMap<TableName, TargetTable>) {
    let is_in_place = |table: &&TablePlan| table.swap.method == SwapMethod::InPlace;
    let in_place: Vec<TableName> = tables.iter().filter(is_in_place).map(|table| table.target.clone()).collect();
    for table in tables.iter_mut().filter(|table| table.swap.method == SwapMethod::Create) {
        let TablePlan { foreign_keys, not_created, .. } = table;
        foreign_keys.retain(|key| {
            let can_be_referenced = state
                .get(&key.referenced)
                .is_none_or(|found| dependents::can_be_referenced(found, &key.referenced_columns));
            let possible = !in_place.contains(&key.referenced) || can_be_referenced;
            if !possible {
                let why = Why::ReferencedInPlace(key.referenced.clone());
                not_created.push(NotCreated::new(What::ForeignKey, &key.name, why));
            }
            possible
        });
    }
}
