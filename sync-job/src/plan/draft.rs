//! Drafts the plan from the source alone: selection, names, types, indexes, keys.

use std::collections::HashMap;

use super::{
    ColumnPlan, Dialect, Finding, Named, Severity, SwapMethod, SwapPlan, TablePlan, findings, indexes, keys, names,
    selection, tally::Tally,
};
use crate::config::{
    ColumnPolicy, IdentityPolicy, JobConfig, MaskedPolicy, NulPolicy, Pattern, TableConfig, TableSettings,
    UndecodablePolicy,
};
use crate::model::facts::{Catalog, SourceFacts};
use crate::model::schema::{IndexKind, Length, SourceColumn, SourceKind, SourceTable, SourceType, TableName};
use crate::plan::type_map::{self, LogicalType, Mapping, ReadExpression};
use crate::rows::encode::TextPolicy;

/// The plan as far as the source alone decides it.
#[derive(Debug)]
pub struct Draft {
    pub tables: Vec<TablePlan>,
    pub findings: Vec<Finding>,
    /// Names of indexes and keys that are given away, by the target's schema.
    pub(super) taken: HashMap<String, indexes::Taken>,
}

impl Draft {
    /// The tables that must be looked up on the target.
    pub fn targets(&self) -> Vec<TableName> {
        self.tables.iter().map(|table| table.target.clone()).collect()
    }
}

/// Selects tables by the job file, and by the command line's globs where there are any, and maps them.
pub fn draft(
    config: &JobConfig,
    catalog: &Catalog,
    facts: &SourceFacts,
    only: &[Pattern],
    dialect: &dyn Dialect,
) -> Draft {
    let mut findings: Vec<Finding> = catalog.missing.iter().map(findings::of_missing_fact).collect();
    let selected = selection::select(config, catalog, facts, only, &mut findings);
    let mut taken = names_of_tables(config, &selected, dialect);
    let mut tallies: Vec<Tally> = selected.iter().map(|_| Tally::default()).collect();
    // Tables that the command line leaves out are drafted, too: the names of indexes must not depend on it.
    let mut tables: Vec<TablePlan> = selected
        .iter()
        .zip(&mut tallies)
        .map(|(source, tally)| plan_table(config, source, dialect, &mut taken, tally))
        .collect();
    for (own, source) in selected.iter().enumerate() {
        let taken = taken.entry(tables[own].target.schema.clone()).or_default();
        let settings = config.settings(&source.name);
        let tally = &mut tallies[own];
        let (planned, missing) = indexes::foreign_keys(source, settings, &tables, own, dialect, taken, tally);
        tables[own].foreign_keys = planned;
        tables[own].not_created.extend(missing);
        tables[own].findings.extend(tally.refuse(source));
    }
    tables.retain(|table| only.is_empty() || selection::matches(only, &table.source));
    leave_out_keys_to_absent(&mut tables);
    join_groups(&mut tables);
    findings.extend(names::collisions(&tables, dialect));
    Draft { tables, findings, taken }
}

/// Where indexes are named among the tables of their schema, no index may take a table's name.
fn names_of_tables(
    config: &JobConfig,
    selected: &[&SourceTable],
    dialect: &dyn Dialect,
) -> HashMap<String, indexes::Taken> {
    let mut taken: HashMap<String, indexes::Taken> = HashMap::new();
    if dialect.index_names_belong_to_tables() {
        return taken;
    }
    for source in selected {
        let TableName { schema, name } =
            target_name(config, source, config.settings(&source.name), config.table(&source.name), dialect);
        taken.entry(schema).or_default().insert(name);
    }
    taken
}

/// Foreign keys to tables that the command line leaves out are not made.
fn leave_out_keys_to_absent(tables: &mut [TablePlan]) {
    let targets: Vec<TableName> = tables.iter().map(|table| table.target.clone()).collect();
    for TablePlan { foreign_keys, not_created, .. } in tables {
        foreign_keys.retain(|key| {
            let is_copied = targets.contains(&key.referenced);
            if !is_copied {
                not_created.push(format!("foreign key {}: {} is not copied in this run", key.name, key.referenced));
            }
            is_copied
        });
    }
}

fn plan_table(
    config: &JobConfig,
    source: &SourceTable,
    dialect: &dyn Dialect,
    taken: &mut HashMap<String, indexes::Taken>,
    tally: &mut Tally,
) -> TablePlan {
    let settings = config.settings(&source.name);
    let own = config.table(&source.name);
    let target = target_name(config, source, settings, own, dialect);
    let mut findings = Vec::new();
    let columns = plan_columns(source, settings, own, dialect, &mut findings, tally);
    findings.extend(names::check(Named::Table, &target.name, &source.name, dialect));
    findings
        .extend(columns.iter().filter_map(|column| names::check(Named::Column, &column.target, &source.name, dialect)));
    let most = dialect.most_columns();
    if columns.is_empty() || columns.len() > most {
        findings.push(
            Finding::new(
                "column-count",
                Severity::Refusal,
                format!("{} columns would be copied; 1 to {most} can be", columns.len()),
                "Choose columns in the job file.",
            )
            .on(&source.name),
        );
    }
    let taken = taken.entry(target.schema.clone()).or_default();
    let indexes = indexes::plan(source, &columns, settings, &target.name, dialect, taken, tally);
    let mut not_created = std::mem::take(&mut tally.not_created);
    let defaults = source.columns.iter().filter(|column| column.has_default).count();
    if defaults > 0 {
        not_created.push(format!("{defaults} column default(s): the copy is filled by this job alone"));
    }
    not_created.extend(lost_identities(source, &columns, settings));
    let chunking = keys::choose(source, &columns, settings, own, dialect).unwrap_or_else(|problem| {
        findings.push(
            Finding::new(
                "chunk-key",
                Severity::Refusal,
                problem,
                "Name columns of an integer, date, uuid or short text type.",
            )
            .on(&source.name),
        );
        keys::Chunking { key: Vec::new(), chunks: 1, reason: String::new() }
    });
    findings.extend(findings::of_table(source, settings, &indexes, &columns, dialect));
    let losses = columns
        .iter()
        .flat_map(|column| column.mapping.losses.iter().map(|loss| (column.target.clone(), loss.clone())))
        .collect();
    let mut plan = TablePlan {
        row_key: row_key(source, &columns),
        target,
        kind: source.kind,
        filter: own.and_then(|own| own.filter.clone()),
        consistency: settings.consistency,
        memory_optimized: source.memory_optimized,
        readers: settings.readers,
        chunk_key: chunking.key,
        chunks: chunking.chunks,
        chunking: chunking.reason,
        rows: source.rows,
        bytes: source.bytes,
        indexes,
        foreign_keys: Vec::new(),
        not_created,
        drops_identities: settings.identity == IdentityPolicy::Plain,
        losses,
        drift: Vec::new(),
        swap: SwapPlan { method: SwapMethod::Create, reason: String::new() },
        max_shrink_percent: settings.max_shrink_percent,
        witness: settings.witness,
        witness_key: keys::for_witness(source, &columns),
        group: own.and_then(|own| own.group.clone()),
        findings,
        columns,
        source: source.name.clone(),
    };
    dialect.fit(&mut plan);
    plan
}

fn target_name(
    config: &JobConfig,
    source: &SourceTable,
    settings: &TableSettings,
    own: Option<&TableConfig>,
    dialect: &dyn Dialect,
) -> TableName {
    let default = dialect.default_schema(&config.target.database);
    let schema = || config.target.schemas.target(&source.name.schema, settings.names, default);
    match own.and_then(|own| own.target.clone()) {
        Some(target) => TableName::new(target.schema.unwrap_or_else(schema), target.name),
        None => TableName::new(schema(), settings.names.apply(&source.name.name)),
    }
}

/// The key's columns, or the first unique index's, as far as they are copied.
fn row_key(source: &SourceTable, columns: &[ColumnPlan]) -> Vec<String> {
    let unique = source.indexes.iter().find(|index| index.kind != IndexKind::Plain && index.is_plain_tree());
    source
        .primary_key()
        .or(unique)
        .map(|index| index.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>())
        .unwrap_or_default()
        .into_iter()
        .filter(|name| columns.iter().any(|column| &column.source == name))
        .collect()
}

fn plan_columns(
    source: &SourceTable,
    settings: &TableSettings,
    own: Option<&TableConfig>,
    dialect: &dyn Dialect,
    findings: &mut Vec<Finding>,
    tally: &mut Tally,
) -> Vec<ColumnPlan> {
    let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    let mut refuse = |id, message: String, remedy: &str| {
        findings.push(Finding::new(id, Severity::Refusal, message, remedy).on(&source.name));
    };
    if let Some(own) = own {
        let mentioned = own
            .columns
            .iter()
            .flatten()
            .chain(&own.exclude_columns)
            .chain(own.target_types.keys())
            .chain(own.rename.keys())
            .chain(own.chunk_key.iter().flatten());
        for name in mentioned {
            if !source.columns.iter().any(|column| same(&column.name, name)) {
                let known: Vec<&str> = source.columns.iter().map(|column| column.name.as_str()).collect();
                refuse(
                    "missing-column",
                    format!("there is no column {name}; the columns are {}", known.join(", ")),
                    "Correct the name in the job file.",
                );
            }
        }
    }
    let listed = |list: &[String], name: &str| list.iter().any(|item| same(item, name));
    let mut planned = Vec::new();
    for column in &source.columns {
        let chosen = own.is_none_or(|own| {
            own.columns.as_ref().is_none_or(|columns| listed(columns, &column.name))
                && !listed(&own.exclude_columns, &column.name)
        });
        let skipped = (column.computed && settings.computed == ColumnPolicy::Skip)
            || (column.hidden && settings.hidden == ColumnPolicy::Skip);
        if !chosen || skipped {
            tally.excluded.insert(column.name.clone());
            continue;
        }
        // What is refused below is still planned as far as it can be: it is counted once, as what it becomes.
        tally.refused.insert(column.name.clone());
        if column.encrypted {
            refuse(
                "encrypted-column",
                format!("column {} is encrypted (Always Encrypted); only ciphertext could be read", column.name),
                "List it in exclude_columns.",
            );
            continue;
        }
        if column.masked && settings.masked == MaskedPolicy::Refuse {
            refuse(
                "masked-column",
                format!(
                    "column {} is masked for this login, or may be: what would be copied is not what is stored",
                    column.name
                ),
                "GRANT UNMASK to the login, list the column in exclude_columns, or set masked = \"allow\".",
            );
            continue;
        }
        if let SourceType::NotShown(id) = column.source_type {
            let (message, remedy) = findings::type_not_shown(column, id);
            refuse(findings::TYPE_NOT_SHOWN, message, &remedy);
            continue;
        }
        // A view shows a table's column as its own, without the seed, and nothing counts up there.
        let is_view = source.kind == SourceKind::View;
        if column.counts_up && !is_view && column.identity.is_none() && settings.identity == IdentityPolicy::Keep {
            refuse(
                "unknown-identity",
                format!(
                    "column {} is an identity column whose seed and increment could not be read: on the target it would \
                     count otherwise",
                    column.name
                ),
                "Grant VIEW DEFINITION on the table to the login, or set identity = \"plain\" for it.",
            );
            continue;
        }
        let wanted = own.and_then(|own| own.target_types.iter().find(|(name, _)| same(name, &column.name)));
        let mapping = match wanted {
            Some((_, wanted)) => dialect.mapping_as(&column.source_type, wanted),
            None => dialect.mapping(&column.source_type),
        };
        match mapping {
            Ok(mapping) => {
                let renamed = own.and_then(|own| own.rename.iter().find(|(name, _)| same(name, &column.name)));
                let name = renamed.map_or_else(|| settings.names.apply(&column.name), |(_, name)| name.clone());
                let mut plan = column_plan(column, name, mapping, settings);
                if source.may_show_masks {
                    plan.masked = true;
                }
                if let Some(read) = plan.mapping.read.through_driver().filter(|_| plan.masked) {
                    // An expression over a masked column shows the mask of the expression's own type.
                    plan.mapping.read = read;
                }
                let companion = companion(column, &plan, settings, dialect);
                if companion.is_some() {
                    plan.mapping.losses.retain(|loss| loss != type_map::OFFSET_LOSS);
                }
                tally.refused.remove(&column.name);
                tally.planned.insert(column.name.clone());
                planned.push(plan);
                planned.extend(companion);
            }
            Err(problem) => refuse(
                "unmapped-type",
                format!("column {} ({}): {problem}", column.name, column.declared),
                "Give it another target_type, or list it in exclude_columns.",
            ),
        }
    }
    planned
}

fn column_plan(column: &SourceColumn, target: String, mapping: Mapping, settings: &TableSettings) -> ColumnPlan {
    let integer = matches!(mapping.logical, LogicalType::Int2 | LogicalType::Int4 | LogicalType::Int8);
    ColumnPlan {
        source: column.name.clone(),
        target,
        declared: column.declared.clone(),
        source_type: column.source_type.clone(),
        nullable: column.nullable,
        masked: column.masked,
        only_counted: false,
        computed: column.computed,
        identity: column.identity.filter(|_| settings.identity == IdentityPolicy::Keep && integer),
        policy: TextPolicy {
            strip_nul: settings.nul == NulPolicy::Strip,
            replace_undecodable: settings.undecodable == UndecodablePolicy::Replace,
        },
        mapping,
        collation: column.collation.clone(),
    }
}

/// Identities of columns that are no integers on the target.
fn lost_identities(source: &SourceTable, columns: &[ColumnPlan], settings: &TableSettings) -> Vec<String> {
    let counts_up = |name: &str| source.columns.iter().any(|column| column.name == name && column.counts_up);
    columns
        .iter()
        .filter(|column| settings.identity == IdentityPolicy::Keep && column.identity.is_none())
        .filter(|column| counts_up(&column.source))
        .map(|column| {
            format!("identity of {}: only integers count up, and it is {}", column.target, column.mapping.final_type())
        })
        .collect()
}

/// The column beside a datetimeoffset or sql_variant that keeps what its own column loses.
fn companion(
    column: &SourceColumn,
    beside: &ColumnPlan,
    settings: &TableSettings,
    dialect: &dyn Dialect,
) -> Option<ColumnPlan> {
    let (suffix, source_type, read) = match column.source_type {
        SourceType::DateTimeOffset { .. } if settings.offset_column => {
            ("offset", SourceType::Int, ReadExpression::OffsetMinutes)
        }
        SourceType::SqlVariant if settings.variant_type_column => {
            ("type", SourceType::NVarChar { units: Length::Max }, ReadExpression::VariantType)
        }
        _ => return None,
    };
    let mapping = dialect.mapping(&source_type).ok()?;
    Some(ColumnPlan {
        target: format!("{}_{suffix}", beside.target),
        mapping: Mapping { read, ..mapping },
        identity: None,
        collation: None,
        ..beside.clone()
    })
}

/// Tables tied by foreign keys that will be created are swapped together.
fn join_groups(tables: &mut [TablePlan]) {
    loop {
        let mut changed = false;
        for own in 0..tables.len() {
            let referenced: Vec<usize> = tables[own]
                .foreign_keys
                .iter()
                .filter_map(|key| tables.iter().position(|table| table.target == key.referenced))
                .collect();
            for other in referenced.into_iter().filter(|other| *other != own) {
                if tables[own].group.is_some() && tables[own].group == tables[other].group {
                    continue;
                }
                let group = match (&tables[own].group, &tables[other].group) {
                    (Some(a), Some(b)) => a.min(b).clone(),
                    (Some(group), None) | (None, Some(group)) => group.clone(),
                    (None, None) => format!("foreign keys of {}", tables[own].target),
                };
                let old = [tables[own].group.clone(), tables[other].group.clone()];
                for (index, table) in tables.iter_mut().enumerate() {
                    if index == own || index == other || (table.group.is_some() && old.contains(&table.group)) {
                        table.group = Some(group.clone());
                    }
                }
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}
