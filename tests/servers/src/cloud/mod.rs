//! AWS on loopback: moto's server, an instance's metadata service, and Lambda's runtime.

mod deployment;
mod front;
mod lambda;
mod metadata;

pub use deployment::{Deployment, Message};
pub use front::{Change, Front, Rule};
pub use metadata::{Away, Metadata, Spot};

use crate::{ScratchDir, guard::Guarded};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

pub use lambda::{Answer, Invocation};

pub const REGION: &str = "eu-central-1";
/// moto's own; every role and ARN has it.
pub const ACCOUNT: &str = "123456789012";

const START_LIMIT: Duration = Duration::from_mins(1);
const SERVER: &str = include_str!("server.py");
const CALLS: &str = include_str!("calls.py");

/// A running AWS, empty at first, gone when dropped.
#[derive(Debug)]
pub struct Cloud {
    // The caller ends before the server does: fields drop in this order.
    calls: Mutex<Calls>,
    _server: Guarded,
    _directory: ScratchDir,
    port: u16,
}

/// A Python process that calls AWS with its own SDK.
#[derive(Debug)]
struct Calls {
    _process: Guarded,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Cloud {
    /// Starts it with the Python environment that `cargo xtask setup` makes.
    pub fn start(venv: &Path) -> Result<Self> {
        let directory = ScratchDir::new("aws")?;
        let port = free_port()?;
        let log = File::create(directory.path().join("moto.log"))?;
        let server = directory.path().join("server.py");
        std::fs::write(&server, SERVER)?;
        let mut command = Command::new(venv.join("bin/python"));
        command
            .arg(&server)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut server = Guarded::spawn(&mut command, "TERM")?;
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if server.wait_at_most(Duration::from_millis(50))?.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(directory.path().join("moto.log")).unwrap_or_default();
                bail!("moto did not start; its log ends with:\n{log}");
            }
        }
        let script = directory.path().join("calls.py");
        std::fs::write(&script, CALLS)?;
        let mut command = Command::new(venv.join("bin/python"));
        command.arg(&script).envs(environment(port)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Guarded::spawn(&mut command, "TERM")?;
        let input = process.child_mut().stdin.take().context("no standard input")?;
        let output = BufReader::new(process.child_mut().stdout.take().context("no standard output")?);
        let calls = Mutex::new(Calls { _process: process, input, output });
        Ok(Self { calls, _server: server, _directory: directory, port })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What a program's environment must say to reach it.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment(self.port)
    }

    /// One call, as Python's SDK knows it: `("ec2", "describe_instances", {"InstanceIds": […]})`.
    pub fn call(&self, service: &str, operation: &str, arguments: Value) -> Result<Value> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let line = json!({"service": service, "operation": operation, "arguments": arguments});
        writeln!(calls.input, "{line}").context("asking the caller of AWS")?;
        let mut answer = String::new();
        calls.output.read_line(&mut answer).context("hearing the caller of AWS")?;
        let mut answer: Value = serde_json::from_str(&answer).with_context(|| format!("{operation}: {answer:?}"))?;
        match answer.get("error") {
            Some(error) => Err(anyhow!("{service}.{operation}: {error}")),
            None => Ok(answer["answer"].take()),
        }
    }
}

fn environment(port: u16) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}").as_str()),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"),
        // Nothing of the person who runs this.
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "false"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?.local_addr()?.port())
}

/// A server on a free port whose requests are answered one after the other by a thread, until it is dropped.
struct Service {
    server: std::sync::Arc<tiny_http::Server>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Service {
    fn start(mut answer: impl FnMut(tiny_http::Request) + Send + 'static) -> Result<Self> {
        let server = tiny_http::Server::http("127.0.0.1:0").map_err(|error| anyhow!("no HTTP server: {error}"))?;
        let server = std::sync::Arc::new(server);
        let own = server.clone();
        let thread = std::thread::spawn(move || {
            for request in own.incoming_requests() {
                answer(request);
            }
        });
        Ok(Self { server, thread: Some(thread) })
    }

    fn port(&self) -> u16 {
        self.server.server_addr().to_ip().map_or(0, |address| address.port())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

/// Answers; a client that went away needs none.
fn respond(request: tiny_http::Request, status: u16, body: impl Into<Vec<u8>>, headers: &[(&str, &str)]) {
    let mut response = tiny_http::Response::from_data(body).with_status_code(status);
    for (name, value) in headers {
        if let Ok(header) = tiny_http::Header::from_bytes(name.as_bytes(), value.as_bytes()) {
            response.add_header(header);
        }
    }
    let _ = request.respond(response);
}
