//! Regression cases: a directory each, found by looking, so that adding one needs no code.
//!
//! | file | what it is |
//! |---|---|
//! | `source.sql` | T-SQL for an empty source database, batches separated by `GO` |
//! | `target.sql` | optional SQL for the target before the run |
//! | `job.toml` | optional further sections of the job file (`[tables]`, `[[table]]`) |
//! | `query.sql` | what is asked of the target after the run |
//! | `expected.rows` | the answer: a line for each row, columns separated by `\|`, NULL as `∅` |
//! | `expected.status` | optional exit status, `0` without it |
//! | `expected.stderr` | optional lines, each of which standard error must contain |
//!
//! A case runs on PostgreSQL, and on MySQL's kind where it has a `query.mysql.sql`. There `target.mysql.sql`, `job.mysql.toml`,
//! `expected.mysql.rows` and `expected.mysql.status` stand for their namesakes.

use crate::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// All case directories, by name.
pub fn find() -> Result<Vec<PathBuf>> {
    let directory = crate::root().join("cases");
    let entries = fs::read_dir(&directory).with_context(|| format!("reading {}", directory.display()))?;
    let mut cases: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join("source.sql").is_file()).collect();
    cases.sort();
    Ok(cases)
}

/// Whether the case says what an engine must answer.
pub fn is_for(case: &Path, engine: Engine) -> bool {
    case.join(engine.pick("query.sql", "query.mysql.sql")).is_file()
}

/// Runs one case; the error says what differs.
pub async fn run(case: &Path, engine: Engine) -> Result<()> {
    let optional = |case: &Path, name: &str| optional(case, name, engine);
    let required =
        |case: &Path, name: &str| optional(case, name)?.with_context(|| format!("{} has no {name}", case.display()));
    let source = TestSource::new().await?;
    source.run(&required(case, "source.sql")?).await?;
    let target = TestTarget::on(engine)?;
    if let Some(sql) = optional(case, "target.sql")? {
        target.run(&sql)?;
    }
    let job = Job::new(&source, &target)?.sections(&optional(case, "job.toml")?.unwrap_or_default());
    let status = optional(case, "expected.status")?.map_or(Ok(0), |text| text.trim().parse())?;
    let outcome = job.command("run", &[])?.expect_code(status)?;
    for line in optional(case, "expected.stderr")?.unwrap_or_default().lines() {
        ensure!(outcome.stderr.contains(line), "standard error lacks {line:?}:\n{}", outcome.stderr);
    }
    let found = target.rows(&required(case, "query.sql")?)?;
    let expected: Vec<String> = required(case, "expected.rows")?.lines().map(str::to_owned).collect();
    ensure!(found == expected, "rows differ\nexpected:\n{}\nfound:\n{}", expected.join("\n"), found.join("\n"));
    Ok(())
}

/// A file of the case, or the engine's own of that name.
fn optional(case: &Path, name: &str, engine: Engine) -> Result<Option<String>> {
    let own = name.split_once('.').map(|(stem, ending)| case.join(format!("{stem}.mysql.{ending}")));
    let own = own.filter(|own| engine != Engine::Postgres && own.is_file());
    let path = own.unwrap_or_else(|| case.join(name));
    if !path.is_file() {
        return Ok(None);
    }
    fs::read_to_string(&path).map(Some).with_context(|| format!("reading {}", path.display()))
}
