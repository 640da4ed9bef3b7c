//! Where things lie in the workspace, and how its commands are run.

use anyhow::{Context, Result, ensure};
use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use stopgap_servers::guard::Guarded;

/// The workspace's root directory.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Where `setup` keeps what it makes.
pub fn tools() -> PathBuf {
    target().join("stopgap-tools")
}

/// The cargo that runs us, in the workspace's root.
pub fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command to its end; anything but success is an error. It ends with us if we are interrupted.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = display(command);
    let status = Guarded::spawn(command.stdin(Stdio::null()), "TERM")?.wait()?;
    ensure!(status.success(), "`{shown}` failed ({status})");
    Ok(())
}

/// Builds with a profile. Whoever watches sees how far it is, and nobody's log is filled with it.
pub fn build_command(profile: &str) -> Command {
    let mut command = cargo(["build", "--profile", profile]);
    if !std::io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    command
}

/// Builds binaries of the workspace with a profile and returns their paths in the same order.
pub fn build(packages: &[&str], profile: &str) -> Result<Vec<PathBuf>> {
    let mut command = build_command(profile);
    for package in packages {
        command.args(["--package", package]);
    }
    run(&mut command)?;
    // Cargo's one irregularity: the profile `dev` builds into `debug`.
    let directory = target().join(if profile == "dev" { "debug" } else { profile });
    // The launcher's program has the name that Lambda wants.
    let program = |package| if package == "launcher-fn" { "bootstrap" } else { package };
    Ok(packages.iter().map(|package| directory.join(program(*package))).collect())
}

/// Builds a program that needs nothing of the machine on which it runs, and returns its path.
///
/// `name-lookup` keeps glibc from loading modules of that machine. Naming the target keeps the flag away from build scripts and
/// procedural macros, which cannot be static.
pub fn build_static(package: &str, profile: &str) -> Result<PathBuf> {
    let name = if package == "launcher-fn" { "bootstrap" } else { package };
    build_static_bin(package, &[], name, profile)
}

/// Builds the job whose decoders are wrong on purpose, beside the ordinary one and under a name of its own.
pub fn build_broken(profile: &str) -> Result<PathBuf> {
    let name = "sync-job-broken";
    build_static_bin("sync-job", &["--features", "broken-decoders", "--bin", name], name, profile)
}

fn build_static_bin(package: &str, more: &[&str], name: &str, profile: &str) -> Result<PathBuf> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let flags = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.replace('-', "_").to_uppercase());
    let mut command = build_command(profile);
    command.args(["--target", &triple, "--package", package]).args(more);
    // No paths of the machine that builds: the same sources give the same bytes anywhere.
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let remap = |from: &str, to: &str| format!(" --remap-path-prefix={from}={to}");
    let mut value = "-C target-feature=+crt-static".to_owned();
    value.push_str(&remap(&root().display().to_string(), "/stopgap"));
    value.push_str(&home.map(|home| remap(&home, "/cargo")).unwrap_or_default());
    run(command.env(flags, value))?;
    let directory = if profile == "dev" { "debug" } else { profile };
    Ok(target().join(triple).join(directory).join(name))
}

/// Whether a program of this name is on `PATH`.
pub fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// A duration for people: `0.4 s`, `12.3 s`, `3 min 20 s`.
pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 100.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60)
    }
}

/// Writes a file and its directories.
pub fn write(path: &Path, content: &str) -> Result<()> {
    let write = || {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, content)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
