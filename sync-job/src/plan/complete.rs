//! Finishes a drafted plan once the target was looked at: how each table is swapped, and how its columns differ.

use std::collections::HashMap;

use super::drift::{self, TargetTable};
use super::{Dialect, Draft, Drift, Finding, RunPlan, Severity, SwapMethod, TablePlan};
use crate::config::{JobConfig, OnDrift};
use crate::schema::TableName;

/// Finishes the plan with what the target has.
pub fn complete(
    config: &JobConfig,
    draft: Draft,
    present: &HashMap<TableName, TargetTable>,
    source: String,
    target: String,
    dialect: &dyn Dialect,
) -> RunPlan {
    let Draft { mut tables, findings } = draft;
    let groups: Vec<(TableName, Option<String>)> =
        tables.iter().map(|table| (table.target.clone(), table.group.clone())).collect();
    for table in &mut tables {
        let mut found = present.get(&table.target).cloned();
        if let Some(found) = &mut found {
            // Old tables of one group go away together, and with them the foreign keys between them.
            found.ties.retain(|tie| {
                let together = |(other, group): &(TableName, Option<String>)| {
                    group.is_some() && *group == table.group && drift::is_foreign_key_of(tie, other)
                };
                !groups.iter().any(together)
            });
        }
        table.swap = drift::swap_plan(found.as_ref());
        if let Some(found) = found {
            complete_table(config, table, &found, dialect);
        }
    }
    RunPlan { job: config.name.clone(), source, target, tables, findings }
}

fn complete_table(config: &JobConfig, table: &mut TablePlan, found: &TargetTable, dialect: &dyn Dialect) {
    let mut refuse = |id, message: String, remedy: &str| {
        table.findings.push(Finding::new(id, Severity::Refusal, message, remedy).on(&table.source));
    };
    if let Some(what) = &found.not_a_table {
        refuse(
            "target-not-a-table",
            format!("the target's {} is {what}", table.target),
            "Give the table another target name, or drop what is there.",
        );
        return;
    }
    let drift = drift::compare(&table.columns, found, dialect);
    if !drift.is_empty() {
        let changes: Vec<String> = drift.iter().map(Drift::to_string).collect();
        if config.target.on_drift == OnDrift::Fail {
            refuse(
                "drift",
                format!("the columns differ: {}", changes.join("; ")),
                "Set [target] on_drift = \"apply\" to let the swap carry the changes.",
            );
        } else if table.swap.method == SwapMethod::Replace {
            refuse(
                "drift-kept-table",
                format!(
                    "the columns differ ({}), but the table must be kept: {}",
                    changes.join("; "),
                    table.swap.reason
                ),
                "Change the table by hand, or remove what ties it, and run again.",
            );
        }
    }
    table.drift = drift;
}
