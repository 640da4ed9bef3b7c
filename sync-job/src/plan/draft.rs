//! Drafts the plan from the source alone: selection, names, types, indexes, keys.

use std::collections::HashMap;

use super::not_created::{NotCreated, What, Why};
use super::{
    ColumnPlan, Dialect, Finding, FindingId, Named, Severity, SwapMethod, SwapPlan, SwapReason, TablePlan, findings,
    incremental, indexes, keys, names, selection, tally::Tally,
};
use crate::config::{
    ColumnPolicy, IdentityPolicy, JobConfig, MaskedPolicy, NulPolicy, Pattern, TableConfig, TableSettings,
    UndecodablePolicy, WideRows,
};
use crate::model::facts::{Catalog, SourceFacts};
use crate::model::logical::{LogicalType, Unmapped};
use crate::model::schema::{CompanionKind, IndexKind, SourceColumn, SourceKind, SourceTable, TableName};
use crate::plan::type_map::{Mapping, PlannedLoss, StoredType};
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
    findings.extend(config.outdated.iter().map(findings::of_outdated_word));
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
    for table in &mut tables {
        dialect.fit_foreign_keys(table);
    }
    join_groups(&mut tables);
    incremental::refuse_groups(&mut tables);
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
                let why = Why::TableNotCopied(key.referenced.clone());
                not_created.push(NotCreated::new(What::ForeignKey, &key.name, why));
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
    findings.extend(names::check(Named::Schema, &target.schema, &source.name, dialect));
    findings.extend(names::check(Named::Table, &target.name, &source.name, dialect));
    findings
        .extend(columns.iter().filter_map(|column| names::check(Named::Column, &column.target, &source.name, dialect)));
    let most = dialect.most_columns();
    if columns.is_empty() || columns.len() > most {
        findings.push(
            Finding::new(
                FindingId::ColumnCount,
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
        not_created.push(NotCreated::new(What::ColumnDefaults, defaults.to_string(), Why::FilledByJob));
    }
    not_created.extend(lost_identities(source, &columns, settings));
    let chunking = keys::choose(source, &columns, settings, own).unwrap_or_else(|problem| {
        findings.push(
            Finding::new(
                FindingId::ChunkKey,
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
        mode: settings.mode,
        deletes: settings.deletes,
        version_column: incremental::version_column(source, settings.mode),
        full_every: settings.full_every,
        prove: settings.prove,
        on_mismatch: settings.on_mismatch,
        follows: None,
        consistency: settings.consistency,
        outside_transactions: source.outside_transactions,
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
        swap: SwapPlan { method: SwapMethod::Create, reason: SwapReason::New },
        without_its_key: false,
        max_shrink_percent: settings.max_shrink_percent,
        witness: settings.witness,
        witness_key: keys::for_witness(source, &columns),
        group: own.and_then(|own| own.group.clone()),
        findings,
        columns,
        source: source.name.clone(),
    };
    dialect.fit(&mut plan);
    let unfit = incremental::refusals(source, &plan);
    plan.findings.extend(unfit);
    if settings.wide_rows == WideRows::Allow {
        let may_fit = plan.findings.iter_mut().filter(|finding| finding.id == FindingId::RowMayBeTooLong);
        may_fit.for_each(|finding| finding.severity = Severity::Warning);
    }
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
        None => TableName::new(schema(), mapped_name(&source.name.name, settings, dialect)),
    }
}

/// A table's or a column's name by the rules of the job file.
fn mapped_name(name: &str, settings: &TableSettings, dialect: &dyn Dialect) -> String {
    names::shorten(settings.names.apply(name), settings.long_names, dialect)
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

#[expect(
    clippy::too_many_lines,
    reason = "each column meets one rule after the other, and the first that refuses it ends its way"
)]
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
                    FindingId::MissingColumn,
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
        if column.internal {
            tally.not_created.push(NotCreated::new(What::Column, &column.name, Why::Internal));
        }
        if !chosen || skipped || column.internal {
            tally.excluded.insert(column.name.clone());
            continue;
        }
        // What is refused below is still planned as far as it can be: it is counted once, as what it becomes.
        tally.refused.insert(column.name.clone());
        if column.encrypted {
            refuse(
                FindingId::EncryptedColumn,
                format!("column {} is encrypted (Always Encrypted); only ciphertext could be read", column.name),
                "List it in exclude_columns.",
            );
            continue;
        }
        if column.masked && settings.masked == MaskedPolicy::Refuse {
            refuse(
                FindingId::MaskedColumn,
                findings::masked(column),
                "GRANT UNMASK to the login, list the column in exclude_columns, or set masked = \"allow\".",
            );
            continue;
        }
        if let Err(Unmapped::NotShown { remedy }) = &column.column_type.holds {
            refuse(FindingId::TypeNotShown, findings::type_not_shown(column), remedy);
            continue;
        }
        // A view shows a table's column as its own, without the seed, and nothing counts up there.
        let is_view = source.kind == SourceKind::View;
        if column.counts_up && !is_view && column.identity.is_none() && settings.identity == IdentityPolicy::Keep {
            refuse(
                FindingId::UnknownIdentity,
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
        match mapping(column, wanted.map(|(_, wanted)| wanted.as_str()), dialect) {
            Ok((holds, mapping)) => {
                let renamed = own.and_then(|own| own.rename.iter().find(|(name, _)| same(name, &column.name)));
                let name =
                    renamed.map_or_else(|| mapped_name(&column.name, settings, dialect), |(_, name)| name.clone());
                let mut plan = column_plan(column, name, holds, mapping, settings);
                if source.may_show_masks.is_some() {
                    plan.unwitnessed = Some(super::Unwitnessed::MayBeMasked);
                }
                let companion = companion(column, &plan, settings, dialect);
                if companion.is_some() {
                    plan.mapping.losses.retain(|loss| *loss != PlannedLoss::Offset);
                }
                tally.refused.remove(&column.name);
                tally.planned.insert(column.name.clone());
                planned.push(plan);
                planned.extend(companion);
            }
            Err(problem) => refuse(
                FindingId::UnmappedType,
                format!("column {} ({}): {problem}", column.name, column.declared),
                "Give it another target_type, or list it in exclude_columns.",
            ),
        }
    }
    planned
}

/// What the column holds, and how the target stores it; or why it cannot be copied.
fn mapping(
    column: &SourceColumn,
    wanted: Option<&str>,
    dialect: &dyn Dialect,
) -> Result<(LogicalType, Mapping), String> {
    let holds = match &column.column_type.holds {
        Ok(holds) => *holds,
        Err(Unmapped::Unknown(why)) => return Err(why.clone()),
        Err(Unmapped::NotShown { .. }) => return Err(findings::type_not_shown(column)),
    };
    let mut mapping = match wanted {
        Some(wanted) => dialect.mapping_as(holds, wanted)?,
        None => dialect.mapping(holds),
    };
    mapping.losses.splice(0..0, column.column_type.losses.iter().cloned());
    Ok((holds, mapping))
}

fn column_plan(
    column: &SourceColumn,
    target: String,
    holds: LogicalType,
    mapping: Mapping,
    settings: &TableSettings,
) -> ColumnPlan {
    let integer = matches!(mapping.stored, StoredType::Int2 | StoredType::Int4 | StoredType::Int8);
    ColumnPlan {
        source: column.name.clone(),
        source_id: column.id,
        target,
        declared: column.declared.clone(),
        holds,
        read: column.column_type.read.clone(),
        companion: None,
        nullable: column.nullable,
        masked: column.masked,
        unwitnessed: None,
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
fn lost_identities(source: &SourceTable, columns: &[ColumnPlan], settings: &TableSettings) -> Vec<NotCreated> {
    let counts_up = |name: &str| source.columns.iter().any(|column| column.name == name && column.counts_up);
    columns
        .iter()
        .filter(|column| settings.identity == IdentityPolicy::Keep && column.identity.is_none())
        .filter(|column| counts_up(&column.source))
        .map(|column| {
            let why = Why::NotAnInteger(column.mapping.final_type().to_owned());
            NotCreated::new(What::Identity, &column.target, why)
        })
        .collect()
}

/// The column beside, where the job file asks for it, that keeps what its own column loses.
fn companion(
    column: &SourceColumn,
    beside: &ColumnPlan,
    settings: &TableSettings,
    dialect: &dyn Dialect,
) -> Option<ColumnPlan> {
    let companion = column.column_type.companion.as_ref()?;
    let (suffix, is_wanted) = match companion.kind {
        CompanionKind::Offset => ("offset", settings.offset_column),
        CompanionKind::VariantType => ("type", settings.variant_type_column),
    };
    is_wanted.then(|| ColumnPlan {
        target: names::shorten(format!("{}_{suffix}", beside.target), settings.long_names, dialect),
        holds: companion.holds,
        read: companion.read.clone(),
        companion: Some(companion.kind),
        mapping: dialect.mapping(companion.holds),
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
