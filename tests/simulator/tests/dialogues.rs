//! Errors, cancelled statements and the server's wish for encryption, as clients tell of them that nobody here wrote.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod foreign;

use std::process::{Command, Stdio};
use stopgap_servers::simulator::{Options, PASSWORD, Simulator, USER};

use foreign::{DATABASE, certificate, mssql_tds, python, python_as, simulator, simulator_with, tedious};

/// What is told of statements that fail: number, class, state, line, procedure and message.
fn errors() -> Vec<String> {
    let duplicate =
        "Violation of PRIMARY KEY constraint 'PK__plain__id'. Cannot insert duplicate key in object 'dbo.plain'.";
    vec![
        "error 50000|16|7|1|-|Größe %".to_owned(),
        "info 50000|10|3|1|-|only told".to_owned(),
        "done".to_owned(),
        "error 207|16|1|3|-|Invalid column name 'missing'.".to_owned(),
        format!("error 2627|14|1|2|-|{duplicate}"),
        "error 102|15|1|2|-|Incorrect syntax near '2'.".to_owned(),
        "error 8134|16|1|5|-|Divide by zero error encountered.".to_owned(),
        "error 8134|16|1|1|-|Divide by zero error encountered.".to_owned(),
    ]
}

#[test]
fn tedious_is_told_of_errors() {
    assert_eq!(tedious("errors", "on"), errors());
}

/// The attention has a response of its own, and the session goes on.
#[test]
fn tedious_cancels_statements() {
    for encrypt in ["off", "on", "strict"] {
        assert_eq!(tedious("cancel", encrypt), ["error ECANCEL", "error ECANCEL", "stopped", "goes on 7"], "{encrypt}");
    }
}

#[test]
fn mssql_tds_is_told_of_errors_and_cancels() {
    let expected: Vec<String> = errors().into_iter().filter(|told| told.starts_with("error")).take(5).collect();
    assert_eq!(mssql_tds("errors", "on"), expected);
    for encrypt in ["off", "on", "strict"] {
        assert_eq!(mssql_tds("cancel", encrypt), ["cancelled", "cancelled", "goes on 1"], "encryption {encrypt}");
    }
}

/// SQLSTATE, number and message, as Microsoft's ODBC driver has them. A change that fails is said to have been terminated.
fn errors_of_odbc() -> Vec<String> {
    let duplicate =
        "Violation of PRIMARY KEY constraint 'PK__plain__id'. Cannot insert duplicate key in object 'dbo.plain'.";
    let terminated = "error 01000|3621|The statement has been terminated.";
    [
        "error 42000|50000|Größe %",
        "info 01000|50000|only told",
        "done",
        "rows 1",
        "error 42S22|207|Invalid column name 'missing'.",
        &format!("error 23000|2627|{duplicate}"),
        terminated,
        "error 23000|515|Cannot insert the value NULL into column 'id', table 'kinds.dbo.plain'; column does not allow \
         nulls. INSERT fails.",
        terminated,
        "error 42000|102|Incorrect syntax near '2'.",
        "error 22012|8134|Divide by zero error encountered.",
        "error 22003|220|Arithmetic overflow error for data type tinyint, value = 300.",
        "error 22018|245|Conversion failed when converting the nvarchar value 'x' to data type int.",
        "error 42S02|208|Invalid object name 'dbo.nowhere'.",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// A simulator that answers so to what clients want of encryption, with a certificate that they are told to trust.
fn simulator_that(encryption: &'static str) -> (Simulator, String, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let tls = certificate(directory.path());
    let certificate = tls.0.display().to_string();
    let options = Options { tls: Some(tls), encryption: Some(encryption), ..Options::default() };
    (simulator_with(options), certificate, directory)
}

#[test]
fn microsofts_driver_is_told_of_errors() {
    let (simulator, certificate, _directory) = simulator_that("optional");
    for encrypt in ["no", "yes", "strict"] {
        let told = python(&simulator, "odbc.py", &["errors", encrypt], &[&certificate]);
        assert_eq!(told, errors_of_odbc(), "encryption {encrypt}");
    }
}

/// Cancelled by another thread, by a limit of the driver's, and by closing a result of which there is more. The session goes on.
#[test]
fn microsofts_driver_cancels_statements() {
    let (simulator, certificate, _directory) = simulator_that("optional");
    let expected =
        ["error HY008|0|Operation canceled", "error HYT00|0|Query timeout expired", "begun", "rows 1", "done"];
    for encrypt in ["no", "yes", "strict"] {
        let told = python(&simulator, "odbc.py", &["cancel", encrypt], &[&certificate]);
        assert_eq!(told, expected, "encryption {encrypt}");
    }
}

/// Each wish of the client meets each wish of the server (MS-TDS 2.2.6.5).
#[test]
fn microsofts_driver_and_the_server_agree_on_encryption() {
    let refused = "error 08001|-1|SSL Provider: [error:0A000086:SSL routines::certificate verify failed";
    let not_supported = "error 08001|20|Encryption not supported on SQL Server.";
    for (server, expected) in [
        ("optional", ["encrypted FALSE", "encrypted TRUE", refused, "encrypted TRUE"]),
        // Where the server insists the driver encrypts, and verifies the certificate.
        ("required", [refused, "encrypted TRUE", refused, "encrypted TRUE"]),
        ("off", ["encrypted FALSE", not_supported, not_supported, "error 08001|"]),
    ] {
        let (simulator, certificate, _directory) = simulator_that(server);
        for (encrypt, expected) in ["no", "yes", "verify", "strict"].into_iter().zip(expected) {
            let told = python(&simulator, "odbc.py", &["login", encrypt], &[&certificate]);
            assert!(told[0].starts_with(expected), "server {server}, client {encrypt}: {told:?}");
        }
    }
}

/// The database and the login are both told of, in this order.
#[test]
fn microsofts_driver_is_told_why_a_login_failed() {
    let (simulator, certificate, _directory) = simulator_that("optional");
    let login =
        |password, database| python_as(&simulator, (password, database), "odbc.py", &["login", "yes"], &[&certificate]);
    let failed = "error 28000|18456|Login failed for user 'sa'.";
    assert_eq!(login("wrong", DATABASE), [failed]);
    let cannot = "error 42000|4060|Cannot open database \"nowhere\" requested by the login. The login failed.";
    let told = login(PASSWORD, "nowhere");
    assert!(told.contains(&failed.to_owned()) && told.contains(&cannot.to_owned()), "{told:?}");
}

/// Number, class, state, line and message.
fn errors_of_python() -> Vec<String> {
    let duplicate =
        "Violation of PRIMARY KEY constraint 'PK__plain__id'. Cannot insert duplicate key in object 'dbo.plain'.";
    [
        "error 50000|16|7|1|Größe %",
        "error 207|16|1|1|Invalid column name 'missing'.",
        &format!("error 2627|14|1|2|{duplicate}"),
        "error 515|16|2|1|Cannot insert the value NULL into column 'id', table 'kinds.dbo.plain'; column does not allow \
         nulls. INSERT fails.",
        "error 102|15|1|2|Incorrect syntax near '2'.",
        "error 8134|16|1|5|Divide by zero error encountered.",
        "goes on 7",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[test]
fn python_tds_and_db_library_are_told_of_errors() {
    let simulator = simulator();
    for client in ["pytds", "pymssql"] {
        assert_eq!(python(&simulator, "dialogue.py", &[client, "errors"], &[]), errors_of_python(), "{client}");
    }
}

/// A result that is not read to its end, and a limit of the client's.
#[test]
fn python_tds_and_db_library_cancel_statements() {
    let simulator = simulator();
    let told = |client| python(&simulator, "dialogue.py", &[client, "cancel"], &[]);
    assert_eq!(told("pytds"), ["begun 10", "goes on 7", "gave up TimeoutError", "goes on 7"]);
    // db-lib ends its connection.
    assert_eq!(told("pymssql"), ["begun 10", "goes on 7", "gave up MSSQLDatabaseException"]);
}

#[test]
fn python_tds_and_the_server_agree_on_encryption() {
    for (server, expected) in [
        ("optional", ["encrypted FALSE", "encrypted FALSE", "encrypted TRUE"]),
        ("required", ["refused Error Client does not have encryption enabled", "encrypted TRUE", "encrypted TRUE"]),
        (
            "off",
            ["encrypted FALSE", "encrypted FALSE", "refused Error You requested encryption but it is not supported"],
        ),
    ] {
        let (simulator, certificate, _directory) = simulator_that(server);
        for (client, expected) in ["off", "login", "on"].into_iter().zip(expected) {
            let told = python(&simulator, "dialogue.py", &["pytds", "login"], &[client, &certificate]);
            assert!(told[0].starts_with(expected), "server {server}, client {client}: {told:?}");
        }
    }
}

/// FreeTDS says what it wants by its own file: no encryption at all, of the login alone unless the server wants more, or of everything.
#[test]
fn freetds_and_the_server_agree_on_encryption() {
    let refused = "Error 20002";
    for (server, expected) in [
        ("optional", ["FALSE", "FALSE", "TRUE"]),
        ("required", [refused, "TRUE", "TRUE"]),
        ("off", ["FALSE", "FALSE", refused]),
    ] {
        let (simulator, _, directory) = simulator_that(server);
        for (client, expected) in ["off", "request", "require"].into_iter().zip(expected) {
            let told = tsql(&simulator, client, directory.path());
            assert!(told.starts_with(expected), "server {server}, client {client}: {told}");
        }
    }
}

/// Whether tsql's session is encrypted, or why there is none.
fn tsql(simulator: &Simulator, encryption: &str, directory: &std::path::Path) -> String {
    let (settings, query) = (directory.join("freetds.conf"), directory.join("query.sql"));
    let place = format!("host = {}\nport = {}", simulator.host(), simulator.port());
    let section = format!("[simulator]\n{place}\ntds version = 7.4\nencryption = {encryption}\n");
    std::fs::write(&settings, section).unwrap();
    let sql = "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID";
    std::fs::write(&query, format!("{sql}\ngo\nexit\n")).unwrap();
    let output = Command::new("tsql")
        .args(["-S", "simulator", "-U", USER, "-P", PASSWORD, "-D", DATABASE, "-o", "qh"])
        .env("FREETDSCONF", &settings)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::from(std::fs::File::open(&query).unwrap()))
        .output()
        .expect("tsql cannot be started; is freetds-bin installed?");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { text(&output.stdout) } else { text(&output.stderr) }
}
