//! Lambda's runtime: gives a function one event and takes its answer ("Using the Lambda runtime API").

use super::{Service, respond};
use crate::{ScratchDir, guard::Guarded};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::channel,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tiny_http::{Method, Request};

const LIMIT: Duration = Duration::from_mins(2);

/// What became of an invocation.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Done(Value),
    /// The function's own error; Lambda would try the event again.
    Failed(String),
}

/// An answer, and what the function printed for CloudWatch.
pub struct Invocation {
    pub answer: Answer,
    pub printed: String,
    /// The most memory that the function had, in KiB.
    pub peak: u64,
}

/// Runs `program` for one event. The same `request_id` means that Lambda tries it again.
pub fn invoke(program: &Path, environment: &[(String, String)], request_id: &str, event: &Value) -> Result<Invocation> {
    let (sender, answers) = channel();
    let (event, request) = (event.to_string(), request_id.to_owned());
    let (mut given, mut waiting) = (false, Vec::new());
    let service = Service::start(move |mut asked: Request| {
        let url = asked.url().to_owned();
        let mut body = String::new();
        if asked.method() == &Method::Post {
            let _ = asked.as_reader().read_to_string(&mut body);
        }
        if url.ends_with("/invocation/next") {
            // After its one event the function waits for another for as long as it lives.
            if given {
                waiting.push(asked);
                return;
            }
            given = true;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let deadline = (now + LIMIT).as_millis().to_string();
            let headers = [
                ("Lambda-Runtime-Aws-Request-Id", request.as_str()),
                ("Lambda-Runtime-Deadline-Ms", deadline.as_str()),
                ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:launcher"),
                ("Content-Type", "application/json"),
            ];
            return respond(asked, 200, event.clone(), &headers);
        }
        let answer = if url.ends_with("/response") {
            serde_json::from_str(&body).map_or_else(|_| Answer::Failed(body.clone()), Answer::Done)
        } else {
            let error: Value = serde_json::from_str(&body).unwrap_or_default();
            Answer::Failed(error["errorMessage"].as_str().unwrap_or(&body).to_owned())
        };
        respond(asked, 202, "", &[]);
        // Whoever asked has its answer already if nobody listens.
        let _ = sender.send(answer);
    })?;
    let directory = ScratchDir::new("function")?;
    let log = directory.path().join("stdout");
    let mut command = Command::new(program);
    command
        .stdout(std::fs::File::create(&log).context("making the function's log")?)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{}", service.port()))
        .env("AWS_LAMBDA_FUNCTION_NAME", "launcher")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/launcher")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "one")
        .stdin(Stdio::null());
    if std::env::var_os("STOPGAP_SHOW_LAMBDA_LOG").is_none() {
        command.stderr(Stdio::null());
    }
    let mut function = Guarded::spawn(&mut command, "KILL")?;
    let answer = answers.recv_timeout(LIMIT);
    let peak = peak(function.id());
    let ended = function.wait_at_most(Duration::ZERO)?;
    function.stop(Duration::ZERO);
    match (answer, ended) {
        (Ok(answer), _) => {
            let printed = std::fs::read_to_string(&log).context("reading the function's log")?;
            Ok(Invocation { answer, printed, peak })
        }
        (Err(_), Some(status)) => bail!("the function ended ({status}) without an answer"),
        (Err(error), None) => Err(error).context("the function did not answer"),
    }
}

/// The most memory that a living process has had, in KiB; 0 of one that has ended.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
