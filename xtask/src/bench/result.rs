//! The measured numbers as a text that docs/benchmarks.md keeps.

use super::process::{self, Cost};
use crate::{demo::Engine, workspace};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{fs, path::Path};

pub const MEBIBYTE: f64 = 1_048_576.0;

/// Everything measured once.
#[derive(Debug)]
pub struct Run {
    pub rows: u64,
    pub read: Cost,
    pub load: Cost,
    /// Zero where the keys are part of the load.
    pub keys: Cost,
    pub whole: Cost,
    /// The whole run by INSERT instead of LOAD DATA.
    pub inserts: Option<Cost>,
    pub stages: Stages,
}

/// What the job's own report says; seconds, added up over the tables.
#[derive(Debug, Default)]
pub struct Stages {
    pub rows: u64,
    /// Of `load`, the share of reading and encoding.
    read: f64,
    load: f64,
    index: f64,
    verify: f64,
    witness: f64,
    swap: f64,
}

impl Stages {
    pub fn read(report: &Path) -> Result<Self> {
        let text = fs::read_to_string(report).with_context(|| format!("reading {}", report.display()))?;
        let report: Value = serde_json::from_str(&text).context("the job's report is not JSON")?;
        let tables = report.get("tables").and_then(Value::as_array).context("the job's report names no tables")?;
        let mut sum = Self::default();
        for table in tables {
            sum.rows += table.get("rows").and_then(Value::as_u64).context("a table of the report has no rows")?;
            let seconds = |stage: &str| {
                let found = table.pointer(&format!("/stages/{stage}")).and_then(Value::as_f64);
                found.with_context(|| format!("a table of the report has no stage {stage}"))
            };
            sum.read += seconds("read")?;
            sum.load += seconds("load")?;
            sum.index += seconds("index")?;
            sum.verify += seconds("verify")?;
            sum.witness += seconds("witness")?;
            sum.swap += seconds("swap")?;
        }
        Ok(sum)
    }
}

/// What was measured, where.
pub fn heading(engine: Engine, scale: f64, runs: u32, tls: bool) -> Result<String> {
    Ok(format!(
        "TPC-H at scale {scale} into {}, {}, {}. The source simulator, the target and the job share the machine.\n\n{}.\n",
        engine.name(),
        if runs == 1 { "one run".to_owned() } else { format!("medians of {runs} runs") },
        if tls { "the source's connections encrypted" } else { "connections not encrypted" },
        process::machine()?
    ))
}

/// One table of results.
pub fn section(engine: Engine, title: &str, load_name: &str, runs: &[Run]) -> String {
    let rows = runs.first().map_or(0, |run| run.rows);
    let of = |number: fn(&Run) -> f64| median(runs.iter().map(number));
    let mut lines = vec![
        format!("\n### {}, {title}: {rows} rows\n", engine.name()),
        "| step | wall | rows/s | CPU of the program | of the source | of the target | peak memory |".to_owned(),
        "|---|---:|---:|---:|---:|---:|---:|".to_owned(),
        line("read and discard", rows, runs, |run| run.read),
        line(load_name, rows, runs, |run| run.load),
    ];
    let own_keys = runs.iter().all(|run| run.keys.wall > 0.0);
    if own_keys {
        lines.push(line("primary keys", rows, runs, |run| run.keys));
    }
    lines.push(line("**sync-job run**, verify included", rows, runs, |run| run.whole));
    if runs.iter().all(|run| run.inserts.is_some()) {
        let inserts = |run: &Run| run.inserts.unwrap_or_default();
        lines.push(line("sync-job run where LOAD DATA is forbidden: INSERT", rows, runs, inserts));
    }
    lines.push(String::new());
    let (parts, goal) = match engine {
        Engine::Postgres => ("COPY + primary keys", 2.4),
        Engine::Mysql | Engine::Mariadb => ("LOAD DATA with primary keys", 2.0),
    };
    let wall = of(|run| run.whole.wall / (run.load.wall + run.keys.wall));
    lines.push(format!("- Whole run ÷ ({parts}), wall: **{wall:.2}** (goal: at most {goal:.1})"));
    let cpu = of(|run| run.whole.cpu() / (run.read.cpu() + run.load.cpu() + run.keys.cpu()));
    lines.push(format!("- Whole run ÷ (read + {parts}), CPU of all processes: **{cpu:.2}**"));
    let job = of(|run| run.whole.program * 1e6 / run.rows as f64);
    let goal = if engine == Engine::Postgres { " (goal for lineitem: at most 3)" } else { "" };
    lines.push(format!("- The job's own CPU: **{job:.2} µs a row**{goal}"));
    let memory = of(|run| run.whole.peak_memory as f64) / MEBIBYTE;
    lines.push(format!("- Peak memory of the job: **{memory:.0} MiB** (goal: under 256)"));
    let witness = of(|run| run.stages.witness / run.stages.read);
    lines.push(format!("- Witness ÷ reading, seconds: **{witness:.3}** (goal for lineitem: at most 0.1)"));
    lines.push(format!(
        "- Seconds by stage, added up over tables: load {:.2} (of which {:.2} reading), index {:.2}, verify {:.2}, witness {:.2}, swap {:.2}\n",
        of(|run| run.stages.load),
        of(|run| run.stages.read),
        of(|run| run.stages.index),
        of(|run| run.stages.verify),
        of(|run| run.stages.witness),
        of(|run| run.stages.swap),
    ));
    lines.join("\n")
}

fn line(name: &str, rows: u64, runs: &[Run], cost: fn(&Run) -> Cost) -> String {
    let of = |part: fn(&Cost) -> f64| median(runs.iter().map(|run| part(&cost(run))));
    let unless_zero = |value: f64, shown: String| if value > 0.0 { shown } else { "–".to_owned() };
    let seconds = |value: f64| unless_zero(value, format!("{value:.2} s"));
    let wall = of(|cost| cost.wall);
    let memory = of(|cost| cost.peak_memory as f64) / MEBIBYTE;
    format!(
        "| {name} | {wall:.2} s | {:.0} | {} | {} | {} | {} |",
        rows as f64 / wall.max(f64::EPSILON),
        seconds(of(|cost| cost.program)),
        seconds(of(|cost| cost.source)),
        seconds(of(|cost| cost.target)),
        unless_zero(memory, format!("{memory:.0} MiB")),
    )
}

/// Replaces what the last benchmark of this name wrote.
pub fn save(name: &str, text: &str) -> Result<()> {
    let path = workspace::root().join("docs/benchmarks.md");
    let [begin, end] = ["begin", "end"].map(|word| format!("<!-- {word}: {name}, by cargo xtask bench -->"));
    let old = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let (before, rest) = old.split_once(&begin).with_context(|| format!("{} lacks {begin}", path.display()))?;
    let (_, after) = rest.split_once(&end).with_context(|| format!("{} lacks {end}", path.display()))?;
    workspace::write(&path, &format!("{before}{begin}\n\n{text}\n{end}{after}"))
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 2.0, 3.0].into_iter()) - 2.5).abs() < f64::EPSILON);
    }
}
