//! The real binary, as far as it goes without servers: what it prints where, and with which exit status.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails here, with its reason")]

use std::path::PathBuf;
use std::process::{Command, Output};

use clap::CommandFactory as _;

/// Runs the binary with nothing inherited that could change the answer.
fn sync_job(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sync-job"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn standard_error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A job file in a folder of its own; the source's port is one that nobody listens on.
struct JobFile(PathBuf);

impl JobFile {
    fn new(test: &str, change: impl FnOnce(String) -> String) -> Self {
        let folder = std::env::temp_dir().join(format!("sync-job-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        // Bound and let go: free for the moment, and nobody answers there.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "[job]\nname = \"test\"\noutage = \"1ms\"\n\
             [source]\nhost = \"127.0.0.1\"\nport = {port}\ndatabase = \"d\"\nuser = \"u\"\npassword_env = \"SOURCE_PW\"\n\
             connect_timeout = \"2s\"\n\
             [target]\nengine = \"postgres\"\nhost = \"127.0.0.1\"\nport = {port}\ndatabase = \"d\"\nuser = \"u\"\n\
             password_env = \"TARGET_PW\"\nconnect_timeout = \"2s\"\n[tables]\ninclude = [\"dbo.*\"]\n"
        );
        std::fs::write(folder.join("job.toml"), change(text)).unwrap();
        Self(folder)
    }

    fn path(&self) -> String {
        self.0.join("job.toml").display().to_string()
    }
}

impl Drop for JobFile {
    fn drop(&mut self) {
        // Only litter in the temporary folder if it fails.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const PASSWORDS: &[(&str, &str)] = &[("SOURCE_PW", "source-hunter2"), ("TARGET_PW", "target-hunter2")];

#[test]
fn the_arguments_are_consistent() {
    sync_job::cli::Cli::command().debug_assert();
}

#[test]
fn help_is_enough_to_go_on() {
    let help = sync_job(&["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    for needed in ["run", "plan", "check", "verify", "init", "Exit statuses:", "70", "Examples:", "--log-format"] {
        assert!(text.contains(needed), "--help lacks {needed}:\n{text}");
    }
    for status in sync_job::report::exit::ExitStatus::ALL {
        assert!(text.contains(status.describe()), "--help lacks {:?}", status.describe());
    }
    assert!(help.stderr.is_empty());
}

#[test]
fn a_wrong_command_line_is_status_2() {
    for arguments in [
        &["run"][..],
        &["run", "--config"],
        &["copy", "--config", "x"],
        &["run", "--config", "x", "--format", "yaml"],
        &["init", "--host", "h"],
        &[],
    ] {
        let output = sync_job(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_bad_job_file_is_one_line_and_status_2() {
    let file = JobFile::new("bad", |text| text.replace("database", "databse"));
    for command in ["run", "plan", "check", "verify"] {
        let output = sync_job(&[command, "--config", &file.path()], PASSWORDS);
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert!(output.stdout.is_empty());
        let expected = format!(
            "sync-job: {}: source.databse: unknown key; did you mean \"database\"? allowed: host,",
            file.path()
        );
        let found = standard_error(&output);
        assert!(found.starts_with(&expected) && found.lines().count() == 1, "{found}");
    }
}

#[test]
fn a_job_file_that_is_not_there_is_status_2() {
    let output = sync_job(&["run", "--config", "/nonexistent/job.toml"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(standard_error(&output).contains("/nonexistent/job.toml: the job file cannot be read"));
}

#[test]
fn a_bad_table_pattern_is_status_2() {
    let file = JobFile::new("pattern", |text| text);
    let output = sync_job(&["run", "--config", &file.path(), "--table", "dbo.[a"], PASSWORDS);
    assert_eq!(output.status.code(), Some(2));
    assert!(standard_error(&output).contains("--table: \"dbo.[a\" is not a table pattern"));
}

#[test]
fn an_unreachable_server_is_status_4_and_says_where() {
    let file = JobFile::new("unreachable", |text| text);
    for command in ["run", "plan", "check", "verify"] {
        let output = sync_job(&[command, "--config", &file.path()], PASSWORDS);
        let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), standard_error(&output));
        assert_eq!(output.status.code(), Some(4), "{command}: {all}");
        assert!(all.contains("127.0.0.1"), "{command}: {all}");
        assert!(!all.contains("hunter2"), "{command}: {all}");
    }
}

#[test]
fn a_password_that_is_not_there_is_status_2_and_names_the_variable() {
    let file = JobFile::new("password", |text| text);
    for command in ["run", "plan", "check", "verify"] {
        let output = sync_job(&[command, "--config", &file.path()], &[("TARGET_PW", "x")]);
        let found = standard_error(&output);
        assert_eq!(output.status.code(), Some(2), "{command}: {found}");
        assert!(found.contains("SOURCE_PW is not set"), "{command}: {found}");
        assert_eq!(found.lines().count(), 1, "{command}: {found}");
    }
}

#[test]
fn a_ca_file_that_is_not_there_is_status_2_and_named() {
    let file = JobFile::new("ca", |text| text.replace("[target]", "ca_file = \"/nonexistent/ca.pem\"\n[target]"));
    let output = sync_job(&["check", "--config", &file.path()], PASSWORDS);
    assert_eq!(output.status.code(), Some(2));
    let found = standard_error(&output);
    assert!(found.contains("source.ca_file: /nonexistent/ca.pem cannot be read"), "{found}");
}

#[test]
fn init_without_its_password_is_status_2() {
    let output = sync_job(&["init", "--host", "h", "--database", "d", "--user", "u"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(standard_error(&output).contains("SOURCE_PASSWORD is not set"));
}

/// Before anything is connected.
#[test]
fn what_init_cannot_do_is_status_2() {
    let file = JobFile::new("init", |text| text);
    let text = std::fs::read_to_string(file.path()).unwrap();
    for (arguments, expected) in [
        (&["--output", &file.path()][..], "is there already, and is not overwritten"),
        (&["--tls", "require", "--ca-file", &file.path()], "--ca-file: has no effect unless --tls is verify-full"),
        (&["--ca-file", "/nonexistent/ca.pem"], "/nonexistent/ca.pem cannot be read"),
        (&["--tls", "yes"], "is not one of verify-full, require, disable"),
    ] {
        let mut all = vec!["init", "--host", "h", "--database", "d", "--user", "u"];
        all.extend(arguments);
        let output = sync_job(&all, &[("SOURCE_PASSWORD", "hunter2")]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(standard_error(&output).contains(expected), "{arguments:?}: {}", standard_error(&output));
    }
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), text);
}

#[test]
fn a_history_that_is_nowhere_is_status_2() {
    for (arguments, expected) in [
        (&["history", "--at", "/nonexistent/runs"][..], "/nonexistent/runs: there is no such directory"),
        (&["history"], "give --config FILE, whose [history] says where, or --at PLACE"),
    ] {
        let output = sync_job(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(standard_error(&output).contains(expected), "{arguments:?}: {}", standard_error(&output));
    }
}

#[test]
fn the_report_as_json_is_on_standard_output_and_in_the_file() {
    let file = JobFile::new("json", |text| text);
    let report = file.0.join("report.json");
    let output = sync_job(
        &["run", "--config", &file.path(), "--format", "json", "--report", &report.display().to_string()],
        PASSWORDS,
    );
    assert_eq!(output.status.code(), Some(4));
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(shown, written);
    assert_eq!(shown["job"], "test");
    assert_eq!(shown["exit_status"], 4);
    assert_eq!(shown["status"], "could_not_connect");
    assert!(shown["failure"]["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()));
}

#[test]
fn a_report_that_cannot_be_written_is_found_before_the_run() {
    let file = JobFile::new("report", |text| text);
    let output = sync_job(&["run", "--config", &file.path(), "--report", "/nonexistent/report.json"], PASSWORDS);
    assert_eq!(output.status.code(), Some(2));
    let found = standard_error(&output);
    assert!(found.contains("/nonexistent/report.json") && found.lines().count() == 1, "{found}");
}

/// A server that accepts and then says nothing.
fn mute_server() -> (std::net::TcpListener, u16) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// The job file with both servers at `port`, and this timeout.
fn at_port(text: &str, port: u16, timeout: &str) -> String {
    let line = |line: &str| if line.starts_with("port = ") { format!("port = {port}") } else { line.to_owned() };
    text.lines().map(line).collect::<Vec<_>>().join("\n").replace("2s", timeout)
}

/// Starts the binary against the mute server, waits until it has connected, sends a signal, and waits for its end.
fn interrupted(command: &str, signal: &str) -> Output {
    let (listener, port) = mute_server();
    let file = JobFile::new(&format!("{command}-{signal}"), |text| at_port(&text, port, "60s"));
    let child = Command::new(env!("CARGO_BIN_EXE_sync-job"))
        .args([command, "--config", &file.path()])
        .env_clear()
        .envs(PASSWORDS.iter().copied())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let connection = listener.accept().unwrap();
    let id = child.id().to_string();
    assert!(Command::new("kill").args([format!("-{signal}"), id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    drop(connection);
    output
}

#[test]
fn signals_stop_cleanly_with_status_5() {
    for (command, signal) in [("run", "TERM"), ("run", "INT"), ("plan", "TERM"), ("verify", "INT")] {
        let started = std::time::Instant::now();
        let output = interrupted(command, signal);
        let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), standard_error(&output));
        assert_eq!(output.status.code(), Some(5), "{command} {signal}: {all}");
        assert!(started.elapsed().as_secs() < 20, "{command} {signal} took its time");
        if command == "run" {
            assert!(all.contains("[INTERRUPTED] test"), "{all}");
        }
    }
}

#[test]
fn a_server_that_says_nothing_is_given_up_with_status_4() {
    let (_listener, port) = mute_server();
    let file = JobFile::new("mute", |text| at_port(&text, port, "300ms"));
    for command in ["run", "plan", "check", "verify"] {
        let output = sync_job(&[command, "--config", &file.path()], PASSWORDS);
        let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), standard_error(&output));
        assert_eq!(output.status.code(), Some(4), "{command}: {all}");
    }
}

#[test]
fn the_deadline_stops_the_run_with_status_5() {
    let (_listener, port) = mute_server();
    let file = JobFile::new("deadline", |text| {
        at_port(&text, port, "60s").replace("name = \"test\"", "name = \"test\"\ndeadline = \"300ms\"")
    });
    let output = sync_job(&["run", "--config", &file.path()], PASSWORDS);
    let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), standard_error(&output));
    assert_eq!(output.status.code(), Some(5), "{all}");
    assert!(all.contains("deadline"), "{all}");
}
