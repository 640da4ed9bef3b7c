//! Builds of the workspace. Whoever watches sees how far they are, in a terminal and in a log.

use crate::workspace::{cargo, display, root, target};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, IsTerminal as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::{Duration, Instant},
};
use stopgap_servers::guard::Guarded;

/// How often a log hears of a build.
const NEWS: Duration = Duration::from_secs(20);

/// What a build made that can be run.
pub struct Executable {
    pub path: PathBuf,
    /// The package's directory.
    pub directory: PathBuf,
    /// The file that it is made of, from the package's directory: `tests/all.rs`.
    pub source: PathBuf,
    pub is_test: bool,
}

/// A command of cargo that builds: `cargo WORDS`, and more that is added to it. For [`run`].
pub fn command(words: &[&str]) -> Command {
    let mut command = cargo([words[0], MESSAGES]);
    if !std::io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    command.args(&words[1..]);
    command
}

/// Runs a [`command`] and returns what can be run of what it built. `selection` says again for `cargo tree` which packages those are.
pub fn run(mut command: Command, selection: &[&str]) -> Result<Vec<Executable>> {
    let shown = display(&command);
    let total = packages(selection)?;
    let mut build = Guarded::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()), "TERM")?;
    let output = build.child_mut().stdout.take().context("cargo has no standard output")?;
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    let executables = follow(&lines, total, !std::io::stderr().is_terminal());
    let status = build.wait()?;
    ensure!(status.success(), "`{shown}` failed ({status})");
    Ok(executables)
}

/// How many packages a selection depends on, itself included.
fn packages(selection: &[&str]) -> Result<usize> {
    let mut tree = cargo(["tree", "--quiet", "--prefix", "none", "--format", "{p}"]);
    let output = tree.args(selection).output().context("cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let name_and_version = |line: &str| line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>();
    Ok(text.lines().filter(|line| !line.is_empty()).map(name_and_version).collect::<BTreeSet<_>>().len())
}

fn follow(lines: &Receiver<String>, total: usize, aloud: bool) -> Vec<Executable> {
    let (mut built, mut executables) = (BTreeSet::new(), Vec::new());
    let mut next = Instant::now() + NEWS;
    loop {
        match lines.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let message: Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(package) = package_built(&message) {
                    built.insert(package);
                }
                executables.extend(executable(&message));
            }
            Err(RecvTimeoutError::Timeout) => {
                next = Instant::now() + NEWS;
                if aloud {
                    println!("  {} of {total} packages built", built.len());
                }
            }
            Err(RecvTimeoutError::Disconnected) => return executables,
        }
    }
}

/// The package of a message that says that a library or a program is there ("External tools", The Cargo Book). Build scripts do not count.
fn package_built(message: &Value) -> Option<String> {
    let is_script =
        message["target"]["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "custom-build"));
    let counts = message["reason"] == "compiler-artifact" && !is_script;
    counts.then(|| message["package_id"].as_str().map(str::to_owned))?
}

fn executable(message: &Value) -> Option<Executable> {
    let directory = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    let source = Path::new(message["target"]["src_path"].as_str()?);
    Some(Executable {
        path: message["executable"].as_str()?.into(),
        source: source.strip_prefix(&directory).unwrap_or(source).to_owned(),
        is_test: message["profile"]["test"] == true,
        directory,
    })
}

/// For `cargo tree`: what is built for tests, and what is built for programs.
pub const TEST_EDGES: &[&str] = &["--edges", "normal,build,dev"];
pub const BUILD_EDGES: &[&str] = &["--edges", "normal,build"];

/// Messages about what was built on standard output, and those about what is wrong with it, for people, on standard error.
const MESSAGES: &str = "--message-format=json-render-diagnostics";

/// Builds every test of the workspace, and the programs that tests of their packages run.
pub fn tests() -> Result<Vec<Executable>> {
    let mut build = command(&["test", "--workspace", "--no-run"]);
    statically(&mut build);
    run(build, &[&["--workspace"], TEST_EDGES].concat())
}

/// Builds programs as the tests and the demo run them, and returns their paths in the same order: with what the whole workspace wants of
/// its dependencies, so that none is built twice.
pub fn programs(names: &[&str], features: &[&str]) -> Result<Vec<PathBuf>> {
    let mut build = command(&["build", "--workspace"]);
    statically(&mut build);
    build.args(names.iter().flat_map(|name| ["--bin", name])).args(features);
    let packages = names.iter().flat_map(|name| ["--package", package_of(name)]);
    let built = run(build, &packages.chain(BUILD_EDGES.iter().copied()).collect::<Vec<_>>())?;
    names.iter().map(|name| keep(&built, name, "dev")).collect()
}

/// Builds a program as it is deployed: with nothing but what it needs itself, and the same bytes of the same sources anywhere.
pub fn deployed(name: &str, profile: &str) -> Result<PathBuf> {
    let selection = ["--package", package_of(name)];
    let mut build = command(&["build", "--profile", profile, "--bin", name]);
    statically(&mut build).args(selection).env("RUSTFLAGS", no_paths());
    let built = run(build, &[&selection, BUILD_EDGES].concat())?;
    keep(&built, name, profile)
}

/// The launcher's program has the name that Lambda wants.
fn package_of(program: &str) -> &str {
    match program {
        "bootstrap" => "launcher-fn",
        "sync-job-broken" => "sync-job",
        same => same,
    }
}

static LINTS: AtomicBool = AtomicBool::new(false);

/// From now on clippy looks at what tests and programs are built of. What was built before it does not look at.
pub fn lint_what_is_built() {
    LINTS.store(true, Ordering::Relaxed);
}

/// What is deployed needs nothing of the machine on which it runs; `name-lookup` keeps glibc from loading modules of that machine.
pub fn statically(build: &mut Command) -> &mut Command {
    let wrapper = if LINTS.load(Ordering::Relaxed) { "xtask/rustc-static-linted.sh" } else { "xtask/rustc-static.sh" };
    build.env("RUSTC_WORKSPACE_WRAPPER", root().join(wrapper))
}

/// A copy that no other build replaces while it is run.
pub fn keep(built: &[Executable], name: &str, profile: &str) -> Result<PathBuf> {
    let is_it = |made: &&Executable| !made.is_test && made.path.ends_with(name);
    let built = built.iter().find(is_it).with_context(|| format!("{name} was not built"))?;
    let directory = target().join("programs").join(profile);
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    let (kept, new) = (directory.join(name), directory.join(format!("{name}.new")));
    // A program that runs cannot be written to, but another one can take its name.
    fs::copy(&built.path, &new).with_context(|| format!("writing {}", new.display()))?;
    fs::rename(&new, &kept).with_context(|| format!("writing {}", kept.display()))?;
    Ok(kept)
}

/// No paths of the machine that builds.
fn no_paths() -> String {
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let remap = |from: &str, to: &str| format!("--remap-path-prefix={from}={to}");
    let mut flags = remap(&root().display().to_string(), "/stopgap");
    flags.push_str(&home.map(|home| format!(" {}", remap(&home, "/cargo"))).unwrap_or_default());
    flags
}
