//! The report as a plain-text mail of 80 columns: what happened first, why and what to do next, then the figures.

use std::fmt::Write as _;

use super::human::{bytes, count, seconds, short_count, wrap};
use super::{RunReport, TableOutcome, TableReport};
use crate::exit::ExitStatus;

const WIDTH: usize = 80;

/// The whole report; its first line could be a subject.
pub fn render(report: &RunReport) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}\n", headline(report));
    if let Some(failure) = &report.failure {
        let _ = writeln!(out, "The run ended early ({}):", failure.stage);
        let _ = writeln!(out, "{}", wrap(&failure.message, "  ", WIDTH));
        let _ = writeln!(out, "{}\n", wrap(&failure.remedy, "  → ", WIDTH));
    }
    failures(report, &mut out);
    if !report.tables.is_empty() {
        table_lines(report, &mut out);
    }
    details(report, &mut out);
    let _ = writeln!(out, "From {}", report.source);
    let _ = writeln!(out, "To   {}", report.target);
    let _ = writeln!(
        out,
        "Run  {}, {} to {} UTC",
        report.run_id,
        report.started.format("%Y-%m-%d %H:%M:%S"),
        report.ended.format("%H:%M:%S")
    );
    out
}

/// `[OK] nightly-erp: 12 tables, 4.1 M rows in 3m12s`.
fn headline(report: &RunReport) -> String {
    let tables = report.tables.len();
    let plural = if tables == 1 { "table" } else { "tables" };
    let time = seconds(report.seconds());
    let job = &report.job;
    let verb = if report.command == "verify" { "verified in" } else { "in" };
    match report.exit_status() {
        ExitStatus::Ok => format!("[OK] {job}: {tables} {plural}, {} rows {verb} {time}", short_count(report.rows())),
        ExitStatus::TablesFailed if report.failure.is_none() => {
            format!("[FAILED] {job}: {} of {tables} {plural} failed, after {time}", report.failed())
        }
        ExitStatus::Interrupted => {
            let copied = report.tables.iter().filter(|table| table.outcome == TableOutcome::Copied).count();
            format!("[INTERRUPTED] {job}: {copied} of {tables} {plural} copied, after {time}")
        }
        ExitStatus::PrecheckRefused => format!("[REFUSED] {job}: nothing was written"),
        ExitStatus::LeaseHeld => format!("[REFUSED] {job}: another run is under way"),
        ExitStatus::CouldNotConnect => format!("[FAILED] {job}: could not connect"),
        _ => format!("[FAILED] {job}: the run ended early, after {time}"),
    }
}

fn failures(report: &RunReport, out: &mut String) {
    let failed: Vec<&TableReport> = report.tables.iter().filter(|table| table.failure.is_some()).collect();
    for table in failed {
        if let Some(failure) = &table.failure {
            let _ = writeln!(out, "{} → {} failed ({}, {} side):", table.source, table.target, failure.stage, failure.side);
            let _ = writeln!(out, "{}", wrap(&failure.message, "  ", WIDTH));
            let _ = writeln!(out, "{}\n", wrap(&failure.remedy, "  → ", WIDTH));
        }
    }
}

fn table_lines(report: &RunReport, out: &mut String) {
    let width = report.tables.iter().map(|table| table.target.chars().count()).max().unwrap_or(5).clamp(5, 24);
    let _ = writeln!(
        out,
        "{:<width$} {:>10} {:>9} {:>7} {:>6} {:>6} {:>6}  result",
        "table", "rows", "size", "rows/s", "load", "verify", "swap"
    );
    for table in &report.tables {
        let rate = if table.stages.load > 0.0 { (table.rows as f64 / table.stages.load) as u64 } else { 0 };
        let _ = writeln!(
            out,
            "{:<width$} {:>10} {:>9} {:>7} {:>6} {:>6} {:>6}  {}",
            cut(&table.target, width),
            count(table.rows),
            bytes(table.bytes),
            short_count(rate).replace(' ', ""),
            seconds(table.stages.load),
            seconds(table.stages.verify.max(table.stages.index)),
            seconds(table.stages.swap),
            result(table),
        );
    }
    let _ = writeln!(
        out,
        "{:<width$} {:>10} {:>9}\n",
        "total",
        count(report.rows()),
        bytes(report.bytes()),
    );
}

fn result(table: &TableReport) -> &'static str {
    match table.outcome {
        TableOutcome::Copied => "verified",
        TableOutcome::Agrees => "agrees",
        TableOutcome::Failed => "FAILED",
        TableOutcome::Interrupted => "stopped",
    }
}

/// Losses, warnings and what was not created: a section each, and none where there is nothing to say.
fn details(report: &RunReport, out: &mut String) {
    let mut section = |title: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(out, "{title}");
        for line in lines {
            // The first line hangs out by the bullet.
            let wrapped = wrap(&line, "    ", WIDTH);
            let _ = writeln!(out, "  - {}", &wrapped[4..]);
        }
        out.push('\n');
    };
    let each = |pick: &dyn Fn(&TableReport) -> Vec<String>| -> Vec<String> {
        report
            .tables
            .iter()
            .flat_map(|table| pick(table).into_iter().map(|line| format!("{}: {line}", table.target)).collect::<Vec<_>>())
            .collect()
    };
    section(
        "Changed on the way, as planned:",
        each(&|table| {
            let line = |loss: &super::LossLine| format!("{}: {} in {} rows", loss.column, loss.what, count(loss.rows));
            table.losses.iter().map(line).collect()
        }),
    );
    section("Warnings:", each(&|table| table.warnings.clone()));
    section(
        "Retried:",
        each(&|table| if table.retries > 0 { vec![format!("{} times", table.retries)] } else { Vec::new() }),
    );
    section("Not created on the target:", each(&|table| table.not_created.clone()));
    section("Notes:", report.notes.clone());
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}
