//! Children that end when this process ends, however it ends.
//!
//! A drop handler does not run for a static, after an abort, or when the process is killed. So each child gets a
//! watchdog: a shell that holds the reading end of a pipe. The pipe closes when this process is gone, and the shell then
//! ends the child. Directories get the same ([`Watchdog::remove`]).

use anyhow::{Context, Result};
use std::{
    ffi::OsStr,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// Arguments: signal, process (negative: its group). Asks, insists after two seconds, and is gone.
const END_PROCESS: &str = r#"
cat >/dev/null
kill -s "$1" -- "$2" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -0 -- "$2" 2>/dev/null || break
    sleep 0.1
done
kill -s KILL -- "$2" 2>/dev/null
"#;

/// Argument: the directory. A server that is just ending may still write there, hence the repetition.
const REMOVE_DIRECTORY: &str = r#"
cat >/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    rm -rf -- "$1" 2>/dev/null && sleep 0.2
    [ -e "$1" ] || break
    sleep 0.2
done
"#;

/// A shell that waits for this process to be gone, and then cleans up after it.
#[derive(Debug)]
pub struct Watchdog(Child);

impl Watchdog {
    /// Removes a directory, with everything in it, once this process is gone.
    pub fn remove(directory: &Path) -> Result<Self> {
        Self::start(REMOVE_DIRECTORY, &[directory.as_os_str()])
    }

    fn start(script: &str, arguments: &[&OsStr]) -> Result<Self> {
        let watchdog = Command::new("/bin/sh")
            .args(["-c", script, "watchdog"])
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .spawn()
            .context("starting a watchdog")?;
        Ok(Self(watchdog))
    }

    /// Ends it before its pipe closes: it must not act on a process number that may already be someone else's.
    fn dismiss(mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A child with its own process group that cannot outlive this process.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    watchdog: Option<Watchdog>,
    signal: &'static str,
}

impl Guarded {
    /// Starts `command` in a process group of its own. `signal` (a name such as `TERM`) asks it to end.
    ///
    /// The group keeps a terminal's Ctrl-C from reaching the child first, so that the order of the end stays ours.
    pub fn spawn(command: &mut Command, signal: &'static str) -> Result<Self> {
        let program = command.get_program().to_os_string();
        let child =
            command.process_group(0).spawn().with_context(|| format!("starting {}", program.to_string_lossy()))?;
        let mut guarded = Self { child, watchdog: None, signal };
        let group = guarded.group();
        guarded.watchdog = Some(Watchdog::start(END_PROCESS, &[signal.as_ref(), group.as_ref()])?);
        Ok(guarded)
    }

    /// The child's process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal by name (`TERM`, `INT`, `STOP`…) to the child alone, not to its group.
    pub fn signal(&self, name: &str) -> Result<()> {
        send(name, &self.child.id().to_string())
    }

    /// Waits for the child's own end.
    pub fn wait(mut self) -> Result<ExitStatus> {
        let status = self.child.wait().context("waiting for a child process")?;
        self.dismiss();
        Ok(status)
    }

    /// Waits at most `limit`; `None` when the child still runs then.
    pub fn wait_at_most(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().context("waiting for a child process")? {
                return Ok(Some(status));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks the whole group to end, insists after `timeout`, and returns when the child is gone.
    pub fn stop(&mut self, timeout: Duration) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Each step is followed by a stronger one, so a failure here needs no handling of its own.
            let _ = send(self.signal, &self.group());
            if !matches!(self.wait_at_most(timeout), Ok(Some(_))) {
                let _ = send("KILL", &self.group());
                let _ = self.child.wait();
            }
        }
        self.dismiss();
    }

    fn group(&self) -> String {
        format!("-{}", self.child.id())
    }

    fn dismiss(&mut self) {
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.dismiss();
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(5));
    }
}

fn send(signal: &str, target: &str) -> Result<()> {
    // The shell's own `kill`: every Debian has it, `/bin/kill` may be missing.
    let status = Command::new("/bin/sh")
        .args(["-c", r#"kill -s "$1" -- "$2""#, "kill", signal, target])
        .stderr(Stdio::null())
        .status()
        .context("sending a signal")?;
    anyhow::ensure!(status.success(), "no process {target} to send {signal} to");
    Ok(())
}
