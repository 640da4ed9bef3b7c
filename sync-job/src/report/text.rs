//! The report as a plain-text mail of 80 columns: what happened first, why and what to do next, then the figures.

use std::fmt::Write as _;

use super::{Command, RunReport, TableOutcome, TableReport};
use crate::model::human::{bytes, count, hanging, seconds, short_count, wrap};
use crate::report::exit::ExitStatus;
use crate::rows::message::HIDDEN;

const WIDTH: usize = 80;

/// Where a reader finds the values that are not here.
const WHERE_SHOWN: &str = "a value of a row. `sync-job run` in a terminal shows such values, and so does report.json with \
                           show_values = true in the job file's [job].";

/// The whole report; its first line could be a subject.
pub fn render(report: &RunReport) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}\n", headline(report));
    if let Some(failure) = &report.failure {
        let _ = writeln!(out, "The run ended early ({}):", failure.stage);
        let _ = writeln!(out, "{}", wrap(&failure.message.to_string(), "  ", WIDTH));
        let _ = writeln!(out, "{}\n", hanging("  → ", &failure.remedy, "    ", WIDTH));
    }
    refusals(report, &mut out);
    failures(report, &mut out);
    if !report.tables.is_empty() {
        table_lines(report, &mut out);
    }
    details(report, &mut out);
    let _ = writeln!(out, "{}", hanging("From ", &report.source, "     ", WIDTH));
    let _ = writeln!(out, "{}", hanging("To   ", &report.target, "     ", WIDTH));
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
pub fn headline(report: &RunReport) -> String {
    let tables = report.tables.len();
    let plural = if tables == 1 { "table" } else { "tables" };
    let time = seconds(report.seconds());
    let job = &report.job;
    let verb = if report.command == Command::Verify { "verified in" } else { "in" };
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
        ExitStatus::Configuration => format!("[FAILED] {job}: it cannot start as it is configured"),
        ExitStatus::CouldNotConnect => format!("[FAILED] {job}: could not connect"),
        _ => format!("[FAILED] {job}: the run ended early, after {time}"),
    }
}

fn refusals(report: &RunReport, out: &mut String) {
    for finding in &report.refusals {
        let table = finding.table.as_ref().map(|table| format!("{table}: ")).unwrap_or_default();
        let _ =
            writeln!(out, "{}", hanging("- ", &format!("{table}{} [{}]", finding.message, finding.id), "  ", WIDTH));
        let _ = writeln!(out, "{}", hanging("  → ", &finding.remedy, "    ", WIDTH));
    }
    if !report.refusals.is_empty() {
        out.push('\n');
    }
}

fn failures(report: &RunReport, out: &mut String) {
    let failed: Vec<&TableReport> = report.tables.iter().filter(|table| table.failure.is_some()).collect();
    for table in failed {
        if let Some(failure) = &table.failure {
            let what = if table.outcome == TableOutcome::Interrupted {
                format!("{} → {} was not finished ({}):", table.source, table.target, failure.stage)
            } else {
                format!("{} → {} failed ({}, {} side):", table.source, table.target, failure.stage, failure.side)
            };
            let _ = writeln!(out, "{}", hanging("", &what, "  ", WIDTH));
            let _ = writeln!(out, "{}", wrap(&failure.message.to_string(), "  ", WIDTH));
            let _ = writeln!(out, "{}\n", hanging("  → ", &failure.remedy, "    ", WIDTH));
        }
    }
    if report.holds_values() {
        let _ = writeln!(out, "{}\n", wrap(&format!("{HIDDEN}: {WHERE_SHOWN}"), "", WIDTH));
    }
}

const MARK_WIDTH: usize = 4;

/// A line of the table: mark, name and figures.
type Line = (&'static str, String, [String; 8]);

/// One line a table, no wider than [`WIDTH`]; a name that does not fit beside the figures has a line of its own.
fn table_lines(report: &RunReport, out: &mut String) {
    let heading = ["rows", "size", "row/s", "read", "load", "index", "verify", "swap"].map(str::to_owned);
    let mut lines: Vec<Line> = vec![("", "table".to_owned(), heading)];
    lines.extend(report.tables.iter().map(|table| (mark(table.outcome), table.target.clone(), figures(table))));
    let mut total = [const { String::new() }; 8];
    total[0] = rows(report.rows());
    total[1] = bytes(report.bytes());
    lines.push(("", "total".to_owned(), total));
    let widest = |column: usize| lines.iter().map(|(_, _, figures)| figures[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 8] = std::array::from_fn(widest);
    let room = WIDTH.saturating_sub(MARK_WIDTH + 1 + widths.iter().map(|width| width + 1).sum::<usize>());
    let lengths = lines.iter().map(|(_, name, _)| name.chars().count());
    let names = lengths.filter(|length| *length <= room).max().unwrap_or(0);
    for (mark, name, figures) in &lines {
        let figures: String = figures.iter().zip(widths).map(|(figure, width)| format!(" {figure:>width$}")).collect();
        let line = if name.chars().count() > names {
            format!("{mark:<MARK_WIDTH$} {name}\n{:<MARK_WIDTH$} {:<names$}{figures}", "", "")
        } else {
            format!("{mark:<MARK_WIDTH$} {name:<names$}{figures}")
        };
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push('\n');
}

fn figures(table: &TableReport) -> [String; 8] {
    let stages = &table.stages;
    let taken_over = table.taken_over.as_ref().map_or(0, |taken| taken.rows);
    let read = table.rows.saturating_sub(taken_over);
    let rate = if stages.load > 0.0 { (read as f64 / stages.load) as u64 } else { 0 };
    [
        rows(table.rows),
        bytes(table.bytes),
        short_count(rate).replace(' ', ""),
        spent(stages.read),
        spent(stages.load),
        spent(stages.index),
        spent(stages.verify),
        spent(stages.swap),
    ]
}

fn mark(outcome: TableOutcome) -> &'static str {
    match outcome {
        TableOutcome::Copied | TableOutcome::Agrees | TableOutcome::Repaired => "ok",
        TableOutcome::Failed => "FAIL",
        TableOutcome::Interrupted => "stop",
    }
}

/// Exact as long as it fits.
fn rows(rows: u64) -> String {
    if rows < 1_000_000_000 { count(rows) } else { short_count(rows) }
}

/// A stage that was not reached took no time.
fn spent(time: f64) -> String {
    if time > 0.0 { seconds(time) } else { "-".to_owned() }
}

/// Losses, warnings and what was not created: a section each, and none where there is nothing to say.
fn details(report: &RunReport, out: &mut String) {
    let mut section = |title: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        let _ = writeln!(out, "{title}");
        for line in lines {
            let _ = writeln!(out, "{}", hanging("  - ", &line, "    ", WIDTH));
        }
        out.push('\n');
    };
    let each = |pick: &dyn Fn(&TableReport) -> Vec<String>| -> Vec<String> {
        report
            .tables
            .iter()
            .flat_map(|table| {
                pick(table).into_iter().map(|line| format!("{}: {line}", table.target)).collect::<Vec<_>>()
            })
            .collect()
    };
    section(
        "Changed on the way, as planned:",
        each(&|table| {
            let line = |loss: &super::LossLine| {
                format!("{}: {} in {} rows", loss.column, loss.loss.describe(), count(loss.rows))
            };
            table.losses.iter().map(line).collect()
        }),
    );
    section("Rows that differ:", super::differences::lines(&report.tables));
    section("Changes only:", super::changes::lines(&report.tables));
    section("Taken over from a run that died:", super::taken_over::lines(&report.tables));
    section("Compared with the source's own sums:", super::witness::lines(&report.tables));
    section("Warnings:", each(&|table| table.warnings.clone()));
    section(
        "Retried:",
        each(&|table| if table.retries > 0 { vec![format!("{} times", table.retries)] } else { Vec::new() }),
    );
    section("Not created on the target:", each(&|table| table.not_created.iter().map(ToString::to_string).collect()));
    section("Notes:", report.notes.clone());
}
