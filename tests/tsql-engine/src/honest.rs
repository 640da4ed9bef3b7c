//! What the parser understands and this engine does not: refused by name, since an answer without it would be a guess.

use sqlparser::ast::{Delete, GroupByExpr, Insert, Query, Select, TableFactor, Update};

use crate::error::unsupported;
use crate::value::SqlError;

/// The first clause that is there and must not be.
fn refuse(clauses: &[(bool, &str)], statement: &dyn std::fmt::Display) -> Result<(), SqlError> {
    match clauses.iter().find(|(present, _)| *present) {
        Some((_, clause)) => Err(unsupported(&format!("{clause} in {statement}"))),
        None => Ok(()),
    }
}

pub fn query(query: &Query) -> Result<(), SqlError> {
    let fetch = query.fetch.as_ref();
    refuse(
        &[
            (query.for_clause.is_some(), "FOR"),
            (!query.locks.is_empty(), "FOR UPDATE"),
            (query.settings.is_some() || query.format_clause.is_some(), "SETTINGS"),
            (!query.pipe_operators.is_empty(), "|>"),
            (fetch.is_some_and(|fetch| fetch.with_ties || fetch.percent), "FETCH … WITH TIES or PERCENT"),
        ],
        query,
    )
}

pub fn select(select: &Select) -> Result<(), SqlError> {
    let (all, modified) = match &select.group_by {
        GroupByExpr::All(_) => (true, false),
        GroupByExpr::Expressions(_, modifiers) => (false, !modifiers.is_empty()),
    };
    refuse(
        &[
            (all, "GROUP BY ALL"),
            (modified, "WITH ROLLUP, WITH CUBE"),
            (select.into.is_some(), "INTO"),
            (!select.named_window.is_empty(), "WINDOW"),
            (select.qualify.is_some(), "QUALIFY"),
            (!select.lateral_views.is_empty(), "LATERAL VIEW"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (select.prewhere.is_some() || select.exclude.is_some(), "a clause of another dialect"),
            (
                !select.cluster_by.is_empty() || !select.distribute_by.is_empty() || !select.sort_by.is_empty(),
                "SORT BY",
            ),
        ],
        select,
    )
}

pub fn table(factor: &TableFactor) -> Result<(), SqlError> {
    match factor {
        TableFactor::Table { sample, partitions, json_path, with_ordinality, index_hints, .. } => refuse(
            &[
                (sample.is_some(), "TABLESAMPLE"),
                (!partitions.is_empty(), "PARTITION"),
                (json_path.is_some() || *with_ordinality || !index_hints.is_empty(), "a clause of another dialect"),
            ],
            factor,
        ),
        TableFactor::Derived { lateral, sample, .. } => {
            refuse(&[(*lateral, "LATERAL"), (sample.is_some(), "TABLESAMPLE")], factor)
        }
        _ => Ok(()),
    }
}

pub fn insert(insert: &Insert) -> Result<(), SqlError> {
    refuse(
        &[
            (insert.output.is_some() || insert.returning.is_some(), "OUTPUT"),
            (insert.on.is_some() || insert.or.is_some() || insert.ignore || insert.replace_into, "ON CONFLICT"),
            (
                insert.overwrite || insert.partitioned.is_some() || !insert.assignments.is_empty(),
                "a clause of another dialect",
            ),
            (!insert.after_columns.is_empty() || insert.settings.is_some(), "a clause of another dialect"),
        ],
        insert,
    )
}

pub fn update(update: &Update) -> Result<(), SqlError> {
    refuse(
        &[
            (update.output.is_some() || update.returning.is_some(), "OUTPUT"),
            (update.from.is_some(), "FROM"),
            (update.limit.is_some() || !update.order_by.is_empty() || update.or.is_some(), "TOP"),
        ],
        update,
    )
}

pub fn delete(delete: &Delete) -> Result<(), SqlError> {
    refuse(
        &[
            (delete.output.is_some() || delete.returning.is_some(), "OUTPUT"),
            (!delete.tables.is_empty() || delete.using.is_some(), "a second FROM"),
            (delete.limit.is_some() || !delete.order_by.is_empty(), "TOP"),
        ],
        delete,
    )
}
