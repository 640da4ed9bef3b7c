//! What the target has already, and how it differs from what it shall have.

use super::{ColumnPlan, Dialect, SwapMethod, SwapPlan};
use crate::model::schema::{IndexKind, TableName};

/// A column that the target has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetColumn {
    pub name: String,
    /// As the target's own catalog spells it.
    pub column_type: String,
    pub nullable: bool,
    /// It takes its values from a sequence of its own.
    pub counts_up: bool,
}

/// An ordinary index that the target has now: over columns alone and all rows, as the job itself makes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetIndex {
    pub name: String,
    pub kind: IndexKind,
    pub columns: Vec<String>,
    /// Of each of the columns, whether it descends.
    pub descending: Vec<bool>,
    pub included: Vec<String>,
    /// An earlier run made it after an index of the source. Nobody else relies on it.
    pub made_by_job: bool,
}

/// A foreign key of a table that the target has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetForeignKey {
    pub name: String,
    pub columns: Vec<String>,
    pub referenced: TableName,
    /// `NO ACTION`, `CASCADE`, …; nothing where the target does not say.
    pub actions: Option<ForeignKeyActions>,
    /// As with [`TargetIndex`].
    pub made_by_job: bool,
}

/// What a foreign key does when the row that it refers to changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKeyActions {
    pub on_delete: String,
    pub on_update: String,
}

/// A table that the target has now.
#[derive(Debug, Clone, Default)]
pub struct TargetTable {
    pub columns: Vec<TargetColumn>,
    /// What no rename could carry, in words: dependent views, foreign keys from outside, …
    pub dependents: Vec<String>,
    /// It is not an ordinary table: a view, a partitioned table, …
    pub not_a_table: Option<String>,
    /// This login does not own it.
    pub not_owned: bool,
    pub indexes: Vec<TargetIndex>,
    pub foreign_keys: Vec<TargetForeignKey>,
}

/// A difference between the target's column and the plan's.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum Drift {
    New { column: String, column_type: String },
    Dropped { column: String, column_type: String },
    Retyped { column: String, from: String, to: String },
    Nullability { column: String, nullable: bool },
    Reordered,
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Drift::New { column, column_type } => write!(f, "new column {column} {column_type}"),
            Drift::Dropped { column, column_type } => write!(f, "column {column} {column_type} goes away"),
            Drift::Retyped { column, from, to } => write!(f, "column {column} changes from {from} to {to}"),
            Drift::Nullability { column, nullable: true } => write!(f, "column {column} may now be NULL"),
            Drift::Nullability { column, nullable: false } => write!(f, "column {column} may no longer be NULL"),
            Drift::Reordered => write!(f, "the order of the columns changes"),
        }
    }
}

/// The differences, in the order of the plan's columns, then the dropped ones.
pub fn compare(planned: &[ColumnPlan], present: &TargetTable, dialect: &dyn Dialect) -> Vec<Drift> {
    let mut drift = Vec::new();
    for column in planned {
        let wanted = column.mapping.final_type();
        match present.columns.iter().find(|present| present.name == column.target) {
            None => drift.push(Drift::New { column: column.target.clone(), column_type: wanted.to_owned() }),
            Some(found) if !dialect.same_type(&found.column_type, wanted) => drift.push(Drift::Retyped {
                column: column.target.clone(),
                from: found.column_type.clone(),
                to: wanted.to_owned(),
            }),
            Some(found) if found.nullable != column.nullable => {
                drift.push(Drift::Nullability { column: column.target.clone(), nullable: column.nullable });
            }
            Some(_) => {}
        }
    }
    for found in &present.columns {
        if !planned.iter().any(|column| column.target == found.name) {
            drift.push(Drift::Dropped { column: found.name.clone(), column_type: found.column_type.clone() });
        }
    }
    let order = planned.iter().map(|column| column.target.as_str());
    if drift.is_empty() && !order.eq(present.columns.iter().map(|column| column.name.as_str())) {
        drift.push(Drift::Reordered);
    }
    drift
}

/// Which way the table is swapped, and why. `dependents` is what a rename would lose.
pub fn swap_plan(present: Option<&TargetTable>, dependents: &[String]) -> SwapPlan {
    let (method, reason) = match present {
        None => (SwapMethod::Create, "the table is new".to_owned()),
        Some(table) if table.not_owned => (SwapMethod::InPlace, "the target's user does not own the table".to_owned()),
        Some(_) if dependents.is_empty() => (SwapMethod::Rename, "nothing depends on the old table".to_owned()),
        Some(_) => (SwapMethod::InPlace, format!("kept because of {}", dependents.join(", "))),
    };
    SwapPlan { method, reason }
}
