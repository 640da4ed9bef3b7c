//! A job file, and the real `sync-job` that runs it.

use crate::{program, source::TestSource, target::TestTarget};
use anyhow::{Context, Result, bail};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};
use stopgap_servers::{ScratchDir, guard::Guarded};

/// No job of a test takes longer, even on a busy machine with debug builds.
const LIMIT: Duration = Duration::from_mins(3);
/// The variables in which a job finds its passwords.
pub const SOURCE_PASSWORD: &str = "STOPGAP_TEST_SOURCE_PASSWORD";
pub const TARGET_PASSWORD: &str = "STOPGAP_TEST_TARGET_PASSWORD";

/// A job between a test's databases. Further keys of each section are added as they are typed in a job file.
#[derive(Debug)]
pub struct Job {
    directory: ScratchDir,
    common_keys: String,
    source_keys: String,
    target_keys: String,
    rest: String,
    environment: Vec<(String, String)>,
    program: (&'static str, &'static str),
}

/// The variable that names the program, and the program's own name.
const PROGRAM: (&str, &str) = ("STOPGAP_SYNC_JOB", "sync-job");
/// The same of the job whose decoders are wrong on purpose.
const BROKEN_PROGRAM: (&str, &str) = ("STOPGAP_BROKEN_JOB", "sync-job-broken");
/// The variable that switches its faults on.
const BROKEN_SWITCH: &str = "STOPGAP_BROKEN_DECODERS";

impl Job {
    /// Both ends with the settings that fit the test's databases; everything else as the job has it by default.
    pub fn new(source: &TestSource, target: &TestTarget) -> Result<Self> {
        let address = &source.address;
        // Consistency `none`: a fresh database does not allow snapshots, and nobody writes to it.
        let source_section = format!(
            "host = {}\nport = {}\ndatabase = {}\nuser = {}\npassword_env = \"{SOURCE_PASSWORD}\"\n\
             tls = \"require\"\nconsistency = \"none\"\n",
            quoted(&address.host),
            address.port,
            quoted(&source.database),
            quoted(&address.user),
        );
        let mut target_section = format!(
            "engine = \"{}\"\nhost = {}\nport = {}\ndatabase = {}\nuser = {}\npassword_env = \"{TARGET_PASSWORD}\"\n",
            target.engine.key(),
            quoted(target.host()),
            target.port(),
            quoted(&target.database),
            quoted(target.user()),
        );
        match target.authority() {
            Some(file) => writeln!(target_section, "ca_file = {}", quoted(&file.display().to_string()))?,
            None => target_section.push_str("tls = \"disable\"\n"),
        }
        Ok(Self {
            directory: ScratchDir::new("job")?,
            // A job's name has no points.
            common_keys: format!("name = {}\noutage = \"10s\"\n", quoted(&source.database.replace('.', "-"))),
            source_keys: source_section,
            target_keys: target_section,
            rest: String::new(),
            environment: vec![
                (SOURCE_PASSWORD.to_owned(), address.password.clone()),
                (TARGET_PASSWORD.to_owned(), target.password().to_owned()),
            ],
            program: PROGRAM,
        })
    }

    /// Run by the program whose decoders are wrong on purpose.
    pub fn broken(mut self) -> Self {
        self.program = BROKEN_PROGRAM;
        self.env(BROKEN_SWITCH, "1")
    }

    /// More keys of `[job]`; one that is there already is replaced.
    pub fn job(mut self, keys: &str) -> Self {
        replace(&mut self.common_keys, keys);
        self
    }

    /// More keys of `[source]`; one that is there already is replaced.
    pub fn source(mut self, keys: &str) -> Self {
        replace(&mut self.source_keys, keys);
        self
    }

    /// More keys of `[target]`; one that is there already is replaced.
    pub fn target(mut self, keys: &str) -> Self {
        replace(&mut self.target_keys, keys);
        self
    }

    /// Reaches the target by another port, without TLS: through a proxy that reads along.
    pub fn through(mut self, port: u16) -> Self {
        let kept = self.target_keys.lines().filter(|line| !line.starts_with("ca_file"));
        self.target_keys = kept.collect::<Vec<_>>().join("\n");
        replace(&mut self.target_keys, &format!("port = {port}\ntls = \"disable\""));
        self
    }

    /// Further sections: `[tables]`, `[[table]]`.
    pub fn sections(mut self, toml: &str) -> Self {
        push(&mut self.rest, toml);
        self
    }

    /// A variable of the job's environment; it replaces one of the same name.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The job file's text.
    pub fn text(&self) -> String {
        format!(
            "[job]\n{}\n[source]\n{}\n[target]\n{}\n{}",
            self.common_keys, self.source_keys, self.target_keys, self.rest
        )
    }

    /// The same job again, with files of its own, to run beside this one.
    pub fn twin(&self) -> Result<Self> {
        Ok(Self {
            directory: ScratchDir::new("job")?,
            common_keys: self.common_keys.clone(),
            source_keys: self.source_keys.clone(),
            target_keys: self.target_keys.clone(),
            rest: self.rest.clone(),
            environment: self.environment.clone(),
            program: self.program,
        })
    }

    /// A directory of this job alone.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts `sync-job COMMAND --config FILE MORE…`; the command may be of two words.
    pub fn spawn(&self, command: &str, more: &[&str]) -> Result<Running> {
        let file = self.directory.path().join("job.toml");
        fs::write(&file, self.text()).context("writing the job file")?;
        let files =
            Files { stdout: self.directory.path().join("stdout"), stderr: self.directory.path().join("stderr") };
        let mut process = Command::new(program(self.program.0, self.program.1)?);
        process
            .args(command.split(' '))
            .arg("--config")
            .arg(&file)
            .args(more)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            // Files, not pipes: nobody has to read them for the job to go on.
            .stdout(fs::File::create(&files.stdout).context("making a file for the job's output")?)
            .stderr(fs::File::create(&files.stderr).context("making a file for the job's messages")?);
        Ok(Running { process: Guarded::spawn(&mut process, "KILL")?, files })
    }

    /// Runs `sync-job COMMAND` to its end.
    pub fn command(&self, command: &str, more: &[&str]) -> Result<Outcome> {
        self.spawn(command, more)?.wait()
    }

    /// What `sync-job COMMAND` shows to somebody in a terminal. `script` of util-linux (its manual page) gives it a pseudo-terminal
    /// and passes on what it writes there.
    pub fn in_terminal(&self, command: &str, more: &[&str]) -> Result<String> {
        let file = self.directory.path().join("job.toml");
        fs::write(&file, self.text()).context("writing the job file")?;
        let program = program("STOPGAP_SYNC_JOB", "sync-job")?;
        let line = format!("{} {command} --config {} {}", program.display(), file.display(), more.join(" "));
        let output = Command::new("script")
            .args(["--quiet", "--command", &line, "/dev/null"])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .context("script, which is in util-linux or bsdutils")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `sync-job run --format json`.
    pub fn run(&self) -> Result<Outcome> {
        self.command("run", &["--format", "json"])
    }
}

#[derive(Debug)]
struct Files {
    stdout: PathBuf,
    stderr: PathBuf,
}

/// A `sync-job` at work; killed when dropped.
#[derive(Debug)]
pub struct Running {
    process: Guarded,
    files: Files,
}

impl Running {
    /// Sends a signal by name: `INT`, `TERM`, `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) -> Result<()> {
        self.process.signal(name)
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.files.stderr).unwrap_or_default()
    }

    /// All that it has written so far.
    pub fn said(&self) -> String {
        format!("{}\n{}", fs::read_to_string(&self.files.stdout).unwrap_or_default(), self.stderr())
    }

    /// Whether it has ended by now.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.process.wait_at_most(Duration::ZERO)?.is_some())
    }

    /// The highest resident set so far, in bytes; `None` once it has ended.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
    }

    /// Its end; a job that does not end in time is killed, and that is an error.
    pub fn wait(mut self) -> Result<Outcome> {
        let Some(status) = self.process.wait_at_most(LIMIT)? else {
            bail!("sync-job did not end within {LIMIT:?}; its messages so far:\n{}", self.stderr());
        };
        let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
        Ok(Outcome { status, stdout: read(&self.files.stdout)?, stderr: read(&self.files.stderr)? })
    }
}

/// How a `sync-job` ended.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// The exit status; `None` after a signal.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Standard output as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("not JSON: {}\nand on standard error: {}", self.stdout, self.stderr))
    }

    /// This outcome if the status is `code`, else an error that shows everything.
    pub fn expect_code(self, code: i32) -> Result<Self> {
        if self.code() == Some(code) {
            return Ok(self);
        }
        bail!("expected exit status {code}, got {}\nstdout:\n{}\nstderr:\n{}", self.status, self.stdout, self.stderr)
    }
}

fn push(section: &mut String, keys: &str) {
    section.push_str(keys);
    section.push('\n');
}

fn replace(section: &mut String, keys: &str) {
    let key_of = |line: &str| line.split_once('=').map(|(key, _)| key.trim().to_owned());
    let new: Vec<String> = keys.lines().filter_map(key_of).collect();
    let kept: Vec<&str> = section.lines().filter(|line| key_of(line).is_none_or(|key| !new.contains(&key))).collect();
    *section = format!("{}\n{keys}\n", kept.join("\n"));
}

/// A basic TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
