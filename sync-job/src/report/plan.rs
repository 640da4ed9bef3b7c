//! The plan for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::config::{Consistency, Deletes, Mode, OnMismatch, WitnessPolicy};
use crate::model::human::{bytes, count, counted, hanging, seconds, wrap};
use crate::model::schema::IndexKind;
use crate::plan::type_map::PlannedLoss;
use crate::plan::{Finding, NotCreated, RunPlan, Severity, SwapMethod, TablePlan};
use crate::proof::witness::sample::{self, Share};

const WIDTH: usize = 100;

/// The plan as text; `select` renders a table's SELECT for its first chunk.
pub fn render(plan: &RunPlan, select: &dyn Fn(&TablePlan) -> String) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let tables = counted(plan.tables.len() as u64, "table", "tables");
    let _ = writeln!(out, "Plan of {}: {tables}\n  from {}\n  to   {}\n", plan.job, plan.source, plan.target);
    for table in &plan.tables {
        render_table(table, select, &mut out);
    }
    let findings: Vec<&Finding> = plan.all_findings().collect();
    if !findings.is_empty() {
        out.push_str("Findings\n");
        render_findings(&findings, &mut out);
    }
    let refusals = plan.refusals().count() as u64;
    if refusals > 0 {
        let findings = counted(refusals, "finding refuses", "findings refuse");
        let _ = writeln!(out, "\n{findings} the run: nothing will be written before that is settled.");
    }
    out
}

/// Findings, gravest first.
pub fn render_findings(findings: &[&Finding], out: &mut String) {
    let mut sorted = findings.to_vec();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in sorted {
        let mark = match finding.severity {
            Severity::Refusal => "REFUSED",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let table = finding.table.as_ref().map(|table| format!("{table}: ")).unwrap_or_default();
        let message = format!("{table}{} [{}]", finding.message, finding.id);
        let _ = writeln!(out, "{}", hanging(&format!("  {mark:<8} "), &message, "           ", WIDTH));
        if finding.severity != Severity::Note {
            let _ = writeln!(out, "{}", hanging("         → ", &finding.remedy, "           ", WIDTH));
        }
    }
}

fn render_table(table: &TablePlan, select: &dyn Fn(&TablePlan) -> String, out: &mut String) {
    let size = match (table.rows, table.bytes) {
        (Some(rows), Some(size)) => format!("about {} rows, {}", count(rows), bytes(size)),
        (Some(rows), None) => format!("about {} rows", count(rows)),
        _ => "size unknown".to_owned(),
    };
    let _ = writeln!(out, "{} → {}   {size}", table.source, table.target);
    let chunks = counted(table.chunks, "chunk", "chunks");
    let _ = writeln!(out, "  read   {}, {}; {}", consistency(table), chunks, table.chunking);
    let _ = writeln!(out, "{}", wrap(&select(table), "         ", WIDTH));
    let _ = writeln!(out, "  swap   {}: {}", swap(table.swap.method), table.swap.reason);
    let _ = writeln!(out, "  proof  digest of every cell; witness {}", witness(table));
    let mode = match table.mode {
        Mode::Full => None,
        Mode::Compare => Some(
            "what differs, by comparing every row with the target; every row is proven; a table that is missing, or has other columns, is \
             copied whole"
                .to_owned(),
        ),
        Mode::ChangeTracking | Mode::RowVersion => Some(changes(table)),
    };
    if let Some(mode) = mode {
        let _ = writeln!(out, "{}", hanging("  mode   ", &mode, "         ", WIDTH));
    }
    if let Some(group) = &table.group {
        let _ = writeln!(out, "         together with the group {group:?}");
    }
    let names = table.columns.iter().map(|column| column.target.chars().count()).max().unwrap_or(0).min(40);
    for (position, column) in table.columns.iter().enumerate() {
        let title = if position == 0 { "column" } else { "" };
        let null = if column.nullable { "" } else { " not null" };
        let identity = if column.identity.is_some() { " identity" } else { "" };
        let _ = writeln!(
            out,
            "  {title:<7}{:<names$}  {:<22} → {}{null}{identity}",
            column.target,
            column.declared,
            column.mapping.final_type()
        );
    }
    for index in table.indexes.iter().filter(|index| !index.staging_only) {
        let columns: Vec<String> = index
            .columns
            .iter()
            .map(|(name, down)| if *down { format!("{name} desc") } else { name.clone() })
            .collect();
        let include =
            if index.included.is_empty() { String::new() } else { format!(" include ({})", index.included.join(", ")) };
        let kind = if index.kind == IndexKind::Plain { String::new() } else { format!("{} ", kind(index.kind)) };
        let _ = writeln!(out, "  index  {kind}{} ({}){include}", index.name, columns.join(", "));
    }
    for key in &table.foreign_keys {
        let _ = writeln!(out, "  key    {} ({}) → {}", key.name, key.columns.join(", "), key.referenced);
    }
    for change in &table.drift {
        let _ = writeln!(out, "  drift  {change}");
    }
    for (column, loss) in &table.losses {
        let _ = writeln!(out, "{}", hanging("  lossy  ", &format!("{column}: {loss}"), "         ", WIDTH));
    }
    for missing in &table.not_created {
        let _ = writeln!(out, "{}", hanging("  not created  ", &missing.to_string(), "               ", WIDTH));
    }
    out.push('\n');
}

fn kind(kind: IndexKind) -> &'static str {
    match kind {
        IndexKind::PrimaryKey => "primary key",
        IndexKind::UniqueConstraint => "unique constraint",
        IndexKind::Unique => "unique",
        IndexKind::Plain => "index",
    }
}

/// What the source's own sums will cover.
fn witness(table: &TablePlan) -> String {
    let share = table.rows.map(|rows| sample::share(table, rows));
    match (share, &table.witness_key) {
        _ if table.witness == WitnessPolicy::Off => "off, as the job file says".to_owned(),
        _ if table.witness == WitnessPolicy::Full => "of every row".to_owned(),
        (Some(Share::Sample), Some(key)) => format!("of a share of the ranges of {}, another in each run", key.name),
        (Some(Share::Sample), None) => {
            format!("of every row, in one of {} runs: no key cuts it into ranges", sample::TURNS)
        }
        (Some(_), _) => "of every row".to_owned(),
        (None, _) => format!("of every row where it has {} at most, else of a share", count(sample::SMALL_ROWS)),
    }
}

/// How its changes are followed.
fn changes(table: &TablePlan) -> String {
    let whole = days(table.full_every);
    let proof = match (table.prove, &table.witness_key) {
        (Some(parts), Some(key)) => format!("each run also compares one of {parts} ranges of {}", key.name),
        (Some(_), None) => "no key cuts it into ranges to compare".to_owned(),
        (None, _) => "nothing but the applied rows is compared".to_owned(),
    };
    let by = match (&table.version_column, table.deletes) {
        (Some(column), Deletes::Keys) => format!("the rowversion {column}, with rows that are gone by their keys"),
        (Some(column), Deletes::Ignore) => format!("the rowversion {column}; rows that are gone stay"),
        (None, _) => "Change Tracking".to_owned(),
    };
    let next = match table.follows {
        Some(Ok(version)) => format!("goes on from version {version}"),
        Some(Err(why)) => format!("copied whole next: {why}"),
        None => "whole the first time".to_owned(),
    };
    let then = match table.on_mismatch {
        OnMismatch::Full => "",
        OnMismatch::Compare => "; after a failed proof, or without a state, all rows are compared",
        OnMismatch::Fail => "; after a failed proof it fails until somebody resets it",
    };
    format!("what changed, by {by}; {next}; whole after {whole}, and where changes will not do; {proof}{then}")
}

/// `7 days`, or hours and minutes.
fn days(time: std::time::Duration) -> String {
    const DAY: u64 = 86_400;
    let seconds = time.as_secs();
    if seconds >= DAY && seconds.is_multiple_of(DAY) {
        counted(seconds / DAY, "day", "days")
    } else {
        self::seconds(time.as_secs_f64())
    }
}

fn swap(method: SwapMethod) -> &'static str {
    match method {
        SwapMethod::Create => "create",
        SwapMethod::Rename => "rename",
        SwapMethod::InPlace => "replace rows",
    }
}

fn consistency(table: &TablePlan) -> &'static str {
    match table.consistency {
        Consistency::Snapshot if !table.is_read_in_transaction() => "one statement",
        Consistency::Snapshot => "one SNAPSHOT transaction",
        Consistency::DatabaseSnapshot => "a database snapshot",
        Consistency::None => "the live table",
    }
}

/// The plan as JSON.
pub fn json(plan: &RunPlan, select: &dyn Fn(&TablePlan) -> String) -> Value {
    let tables: Vec<Value> = plan.tables.iter().map(|table| table_json(table, select)).collect();
    json!({
        "job": plan.job,
        "source": plan.source,
        "target": plan.target,
        "tables": tables,
        "findings": plan.all_findings().collect::<Vec<_>>(),
        "refused": plan.refusals().count() > 0,
    })
}

fn table_json(table: &TablePlan, select: &dyn Fn(&TablePlan) -> String) -> Value {
    let columns: Vec<Value> = table
        .columns
        .iter()
        .map(|column| {
            json!({
                "source": column.source,
                "target": column.target,
                "declared": column.declared,
                "type": column.mapping.final_type(),
                "nullable": column.nullable,
                "identity": column.identity.is_some(),
                "losses": column.mapping.losses.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "loss_codes": column.mapping.losses.iter().map(PlannedLoss::code).collect::<Vec<_>>(),
            })
        })
        .collect();
    let indexes: Vec<Value> = table
        .indexes
        .iter()
        .filter(|index| !index.staging_only)
        .map(|index| {
            let columns: Vec<&String> = index.columns.iter().map(|(name, _)| name).collect();
            let descending: Vec<&String> =
                index.columns.iter().filter(|(_, descends)| *descends).map(|(name, _)| name).collect();
            json!({
                "name": index.name,
                "kind": kind(index.kind),
                "columns": columns,
                "descending": descending,
                "include": index.included,
            })
        })
        .collect();
    json!({
        "source": table.source.to_string(),
        "target": table.target.to_string(),
        "rows": table.rows,
        "bytes": table.bytes,
        "consistency": table.consistency,
        "mode": table.mode,
        "from_version": table.follows.and_then(Result::ok),
        "why_full": table.follows.and_then(Result::err),
        "chunks": table.chunks,
        "chunking": table.chunking,
        "select": select(table),
        "columns": columns,
        "indexes": indexes,
        "foreign_keys": table.foreign_keys.iter().map(|key| json!({"name": key.name, "columns": key.columns, "references": key.referenced.to_string()})).collect::<Vec<_>>(),
        "not_created": table.not_created,
        "not_created_codes": table.not_created.iter().map(NotCreated::codes).collect::<Vec<_>>(),
        "drift": table.drift,
        "swap": {
            "method": table.swap.method,
            "reason": table.swap.reason.to_string(),
            "reason_code": table.swap.reason.code(),
            "dependents": table.swap.reason.dependents(),
        },
        "group": table.group,
    })
}
