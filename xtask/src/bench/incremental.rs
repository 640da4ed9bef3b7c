//! `cargo xtask bench --incremental`: what it takes to follow changes, against copying everything.
//!
//! The full refresh reads lineitem as the simulator generates it, which is faster than a source that stores rows: what is compared with it looks
//! no better than it is. Changes are followed in a stored copy of the same rows.

use super::{
    Bench, Options, SOURCE_DATABASE,
    process::{self, Cost, Server, measure},
    result::{heading, median},
};
use crate::{demo::Engine, workspace};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;

/// A job of so many tables in which nothing changed.
const MANY: u32 = 2_000;
const MANY_DATABASE: &str = "many";

/// Rows are changed whose order's number, modulo this, is below a share's limit. TPC-H leaves out most numbers in groups of powers of two.
const MODULUS: u32 = 10_007;

const SET_UP: &str = "\
ALTER DATABASE tpch SET ALLOW_SNAPSHOT_ISOLATION ON;
ALTER DATABASE tpch SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);
GO
CREATE TABLE dbo.changing (
    l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL, l_linenumber int NOT NULL,
    l_quantity decimal(15, 2) NOT NULL, l_extendedprice decimal(15, 2) NOT NULL, l_discount decimal(15, 2) NOT NULL,
    l_tax decimal(15, 2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL,
    l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL,
    l_comment varchar(44) NOT NULL, row_version rowversion NOT NULL,
    CONSTRAINT pk_changing PRIMARY KEY (l_orderkey, l_linenumber)
);
INSERT INTO dbo.changing (l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount, l_tax, l_returnflag,
    l_linestatus, l_shipdate, l_commitdate, l_receiptdate, l_shipinstruct, l_shipmode, l_comment)
SELECT l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount, l_tax, l_returnflag,
    l_linestatus, l_shipdate, l_commitdate, l_receiptdate, l_shipinstruct, l_shipmode, l_comment
FROM dbo.lineitem;
CREATE INDEX ix_changing_version ON dbo.changing (row_version);
ALTER TABLE dbo.changing ENABLE CHANGE_TRACKING;
";

/// What is measured: a mode, and how much of the table changes before each run.
struct Case {
    title: &'static str,
    /// Of the table's section in the job file.
    settings: &'static str,
    /// Runs before the measured ones.
    before: Option<&'static str>,
    shares: &'static [(&'static str, u32)],
}

const ALL_SHARES: &[(&str, u32)] = &[("0.01 %", 1), ("1 %", 100), ("20 %", 2_001)];
const ONE_PERCENT: &[(&str, u32)] = &[("1 %", 100)];

const CASES: &[Case] = &[
    Case {
        title: "change-tracking",
        settings: "mode = \"change-tracking\"\nprove = \"off\"\n",
        before: None,
        shares: ALL_SHARES,
    },
    Case {
        title: "change-tracking, a tenth proven",
        settings: "mode = \"change-tracking\"\n",
        before: None,
        shares: ONE_PERCENT,
    },
    Case {
        title: "rowversion",
        settings: "mode = \"rowversion\"\nprove = \"off\"\n",
        before: None,
        shares: ALL_SHARES,
    },
    Case {
        title: "rowversion without an index",
        settings: "mode = \"rowversion\"\nprove = \"off\"\n",
        before: Some("DROP INDEX ix_changing_version ON dbo.changing"),
        shares: ONE_PERCENT,
    },
    Case { title: "compare", settings: "mode = \"compare\"\n", before: None, shares: ALL_SHARES },
];

/// One run that follows changes.
struct Applied {
    cost: Cost,
    rows: u64,
    bytes: u64,
}

/// Measures everything for one kind of target.
pub fn run(bench: &Bench, engine: Engine, options: &Options) -> Result<String> {
    println!("Making a stored copy of lineitem, whose changes are tracked");
    script(bench, SOURCE_DATABASE, SET_UP)?;
    let mut full = Vec::new();
    for number in 1..=options.runs {
        println!("{}, full refresh: run {number} of {}", engine.name(), options.runs);
        bench.target.reset()?;
        full.push(one_run(bench, SOURCE_DATABASE, "[[table]]\nsource = \"dbo.lineitem\"\n")?);
    }
    let full_wall = median(full.iter().map(|run| run.cost.wall));
    let mut lines = vec![
        heading(engine, options.sf, options.runs, false)?,
        format!("### Changes of {} rows into {}\n", full.first().map_or(0, |run| run.rows), engine.name()),
        "| mode | changed before the run | rows applied | bytes sent | wall | ÷ full refresh | CPU of the job | of the source | of the target |"
            .to_owned(),
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|".to_owned(),
        line("full refresh", "–", &full, full_wall),
    ];
    for case in CASES {
        for (share, runs) in followed(bench, engine, options, case)? {
            lines.push(line(case.title, share, &runs, full_wall));
        }
    }
    let each = unchanged(bench, engine, options)?;
    lines.push(format!(
        "\n- Goal for 1 %, without the proof of a range: at most **0.05** of the full refresh\n\
         - A job of {MANY} tables in which nothing changed: **{each:.1} ms a table** (goal: at most 5)\n"
    ));
    Ok(lines.join("\n"))
}

/// For each share of a case, its runs.
fn followed<'a>(
    bench: &Bench,
    engine: Engine,
    options: &Options,
    case: &'a Case,
) -> Result<Vec<(&'a str, Vec<Applied>)>> {
    bench.target.reset()?;
    if let Some(before) = case.before {
        script(bench, SOURCE_DATABASE, before)?;
    }
    let table = format!("[[table]]\nsource = \"dbo.changing\"\n{}", case.settings);
    println!("{}, {}: the first copy", engine.name(), case.title);
    one_run(bench, SOURCE_DATABASE, &table)?;
    let mut measured = Vec::new();
    for (share, limit) in case.shares {
        let mut runs = Vec::new();
        for number in 1..=options.runs {
            println!("{}, {}, {share} changed: run {number} of {}", engine.name(), case.title, options.runs);
            let change = format!(
                "UPDATE dbo.changing SET l_quantity = l_quantity + 1, l_comment = 'change {number}' WHERE l_orderkey % {MODULUS} < {limit}"
            );
            script(bench, SOURCE_DATABASE, &change)?;
            let run = one_run(bench, SOURCE_DATABASE, &table)?;
            ensure!(run.rows > 0, "{}: no changed row came", case.title);
            runs.push(run);
        }
        measured.push((*share, runs));
    }
    Ok(measured)
}

/// Milliseconds a table of a job in which nothing changed.
fn unchanged(bench: &Bench, engine: Engine, options: &Options) -> Result<f64> {
    println!("{}: {MANY} tables without changes: the first copy", engine.name());
    bench.target.reset()?;
    let mut sql = format!(
        "ALTER DATABASE {MANY_DATABASE} SET ALLOW_SNAPSHOT_ISOLATION ON;\n\
         ALTER DATABASE {MANY_DATABASE} SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);\nGO\n"
    );
    for number in 0..MANY {
        sql.push_str(&format!(
            "CREATE TABLE dbo.t{number} (id int NOT NULL PRIMARY KEY, name nvarchar(40) NULL);\n\
             INSERT INTO dbo.t{number} (id, name) VALUES (1, N'a'), (2, N'b'), (3, NULL);\n\
             ALTER TABLE dbo.t{number} ENABLE CHANGE_TRACKING;\n"
        ));
    }
    script(bench, MANY_DATABASE, &sql)?;
    let section = |number| format!("[[table]]\nsource = \"dbo.t{number}\"\nmode = \"change-tracking\"\n");
    let tables: String = (0..MANY).map(section).collect();
    one_run(bench, MANY_DATABASE, &tables)?;
    let mut walls = Vec::new();
    for number in 1..=options.runs {
        println!("{}, {MANY} tables without changes: run {number} of {}", engine.name(), options.runs);
        let run = one_run(bench, MANY_DATABASE, &tables)?;
        ensure!(run.rows == 0, "{} rows came although nothing changed", run.rows);
        walls.push(run.cost.wall);
    }
    Ok(median(walls.into_iter()) * 1_000.0 / f64::from(MANY))
}

/// Runs T-SQL at the source.
fn script(bench: &Bench, database: &str, sql: &str) -> Result<()> {
    let file = workspace::tools().join("bench/script.sql");
    workspace::write(&file, sql)?;
    bench.source.run_script(database, &file)
}

fn one_run(bench: &Bench, database: &str, tables: &str) -> Result<Applied> {
    let report = workspace::tools().join("bench/report-changes.json");
    let job_file = bench.job_file(database, "snapshot", tables);
    let (source, target) = (Server(bench.source.process_id()), bench.target.process());
    let ((), cost) = measure(source, target, |cost: &mut process::Cost| bench.job(&job_file, &report, cost))?;
    let text = fs::read_to_string(&report).with_context(|| format!("reading {}", report.display()))?;
    let report: Value = serde_json::from_str(&text).context("the job's report is not JSON")?;
    let tables = report["tables"].as_array().context("the job's report names no tables")?;
    let sum = |part: &dyn Fn(&Value) -> u64| tables.iter().map(part).sum();
    // A comparison reads all rows: what counts is what it sent and wrote.
    let rows = |table: &Value| match &table["changes"] {
        changes if changes["compared"].is_object() => {
            ["inserted", "present", "deleted"].iter().filter_map(|name| changes[name].as_u64()).sum()
        }
        _ => table["rows"].as_u64().unwrap_or(0),
    };
    let bytes = |table: &Value| {
        let sent = &table["changes"]["compared"]["bytes_sent"];
        sent.as_u64().or(table["bytes"].as_u64()).unwrap_or(0)
    };
    Ok(Applied { cost, rows: sum(&rows), bytes: sum(&bytes) })
}

fn line(title: &str, share: &str, runs: &[Applied], full: f64) -> String {
    let of = |number: fn(&Applied) -> f64| median(runs.iter().map(number));
    let wall = of(|run| run.cost.wall);
    format!(
        "| {title} | {share} | {:.0} | {:.1} MiB | {wall:.2} s | {:.3} | {:.2} s | {:.2} s | {:.2} s |",
        of(|run| run.rows as f64),
        of(|run| run.bytes as f64) / super::result::MEBIBYTE,
        wall / full,
        of(|run| run.cost.program),
        of(|run| run.cost.source),
        of(|run| run.cost.target),
    )
}
