//! Clients that nobody here wrote read every type: pymssql and python-tds, and FreeTDS's bsqldb.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails here, with its reason")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const PASSWORD: &str = "Clients-of-the-simulator-1";

/// A simulator with the table of all types, gone when dropped.
struct Simulator {
    process: Child,
    port: String,
}

impl Simulator {
    fn start() -> Self {
        let script = format!("clients={}", folder().join("types.sql").display());
        let mut process = Command::new(env!("CARGO_BIN_EXE_mssql-simulator"))
            .args(["--port", "0", "--password-env", "CLIENTS_PASSWORD", "--script", &script])
            .env("CLIENTS_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("ready 127.0.0.1:").expect("the simulator did not start").to_owned();
        Self { process, port }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // TERM lets it remove its files; a process that is gone already is what is wanted.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

fn text(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn python(client: &str) {
    let tools =
        std::env::var_os("STOPGAP_VENV").expect("STOPGAP_VENV is not set: run this test through `cargo xtask test`");
    let simulator = Simulator::start();
    let output = Command::new(Path::new(&tools).join("bin/python"))
        .arg(folder().join("read_types.py"))
        .args([client, &simulator.port, "sa", PASSWORD])
        .env("PYTHONIOENCODING", "utf-8")
        .output()
        .unwrap();
    let expected = std::fs::read_to_string(folder().join("expected.txt")).unwrap();
    assert_eq!(text(output), expected);
}

#[test]
fn pymssql_reads_every_type() {
    python("pymssql");
}

#[test]
fn python_tds_reads_every_type() {
    python("pytds");
}

/// bsqldb knows neither uniqueidentifier nor the (max) and date types of later protocols, and crashes on decimal(38,10).
#[test]
fn freetds_reads_what_it_knows() {
    let simulator = Simulator::start();
    let mut bsqldb = Command::new("bsqldb")
        .args([
            "-S",
            &format!("127.0.0.1:{}", simulator.port),
            "-U",
            "sa",
            "-P",
            PASSWORD,
            "-D",
            "clients",
            "-t",
            "|",
            "-q",
        ])
        .env("TDSVER", "7.4")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bsqldb of FreeTDS is missing: run this test through `cargo xtask test`");
    let query = "SELECT id, b, c, d, p, q, s FROM dbo.types ORDER BY id\n";
    bsqldb.stdin.take().unwrap().write_all(query.as_bytes()).unwrap();
    let found = text(bsqldb.wait_with_output().unwrap());
    let rows: Vec<String> = found
        .lines()
        .filter(|line| line.contains('|'))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>().join("|"))
        .collect();
    let first = "1|255|-32768|9223372036854775807|ab|Z|注文 🚚";
    assert!(rows.iter().any(|row| row == first), "{first} is not among {rows:#?}");
    assert!(rows.iter().any(|row| row.starts_with("2|NULL|NULL")), "{rows:#?}");
}
