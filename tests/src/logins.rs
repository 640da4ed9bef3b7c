//! Logins of a target that may do what the README asks for, and no more.

use crate::{
    job::{Job, TARGET_PASSWORD},
    target::{Engine, TestTarget},
};
use anyhow::{Context, Result, ensure};

const PASSWORD: &str = "least";

/// A login of one test, made for its database.
#[derive(Debug)]
pub struct Login {
    pub name: String,
}

impl Login {
    /// With the README's grants.
    pub fn with_the_readmes_rights(target: &TestTarget) -> Result<Self> {
        Self::with_rights(target, |_| true)
    }

    /// With those of the README's grants that are wanted.
    pub fn with_rights(target: &TestTarget, is_wanted: impl Fn(&str) -> bool) -> Result<Self> {
        // Logins belong to the whole server, which other tests use.
        let name = format!("least_{}_{}", std::process::id(), target.database);
        let make = target.engine.pick(
            format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'"),
            format!("CREATE USER {name} IDENTIFIED BY '{PASSWORD}'"),
        );
        let grants = grants(target.engine, &name, &target.database)?;
        let grants: Vec<String> = grants.into_iter().filter(|grant| is_wanted(grant)).collect();
        target.run(&format!("{make};\n{}", grants.join("\n")))?;
        Ok(Self { name })
    }

    /// The job, with this login on its target.
    pub fn of(&self, job: Job) -> Job {
        job.target(&format!("user = \"{}\"", self.name)).env(TARGET_PASSWORD, PASSWORD)
    }

    /// Drops it, with what it owns on PostgreSQL.
    pub fn drop_from(self, target: &TestTarget) -> Result<()> {
        let name = self.name;
        target.run(&target.engine.pick(format!("DROP OWNED BY {name}; DROP ROLE {name}"), format!("DROP USER {name}")))
    }
}

/// The README's `GRANT` statements for an engine, for another login and database.
fn grants(engine: Engine, login: &str, database: &str) -> Result<Vec<String>> {
    let marker = engine.pick("-- PostgreSQL", "-- MySQL");
    let (_, after) = include_str!("../../README.md").split_once(marker).context("the README has no such section")?;
    let lines = after.lines().skip(1).take_while(|line| line.starts_with("GRANT"));
    let statements = lines.filter_map(|line| line.split("--").next()).map(|line| {
        let line = line.trim().replace("TO stopgap", &format!("TO {login}"));
        line.replace("erp.*", &format!("{database}.*")).replace("DATABASE erp", &format!("DATABASE {database}"))
    });
    let statements: Vec<String> = statements.collect();
    ensure!(!statements.is_empty(), "the README lists no grants for {engine:?}");
    Ok(statements)
}
