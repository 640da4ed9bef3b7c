//! The system packages that are needed and missing, and how they are installed on Debian and Ubuntu.

use crate::workspace::on_path;
use anyhow::{Context, Result, bail, ensure};
use std::{
    path::Path,
    process::{Command, Stdio},
};
use stopgap_servers::postgres;

const CLUSTER_SETTINGS: &str = "/etc/postgresql-common/createcluster.conf";
const NO_CLUSTER: &str = "create_main_cluster = false";

/// What only some tasks need, besides PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// MySQL and MariaDB.
    MySql,
    /// SQL Server clients that nobody here wrote, and an AWS on this machine.
    Clients,
}

struct Need {
    package: &'static str,
    why: &'static str,
    present: fn() -> bool,
}

/// What every task needs.
const COMMON_NEEDS: &[Need] = &[
    Need { package: "postgresql", why: "the target database", present: || postgres::find_binaries().is_some() },
    Need { package: "openssl", why: "certificates for the demo's servers", present: || on_path("openssl") },
];

const MYSQL_NEEDS: &[Need] = &[
    Need {
        package: "mariadb-server-core",
        why: "a target that speaks MySQL's protocol",
        present: || ["mariadbd", "mariadb-install-db"].iter().all(|name| on_path(name)),
    },
    Need {
        package: "mariadb-client",
        why: "clients for it",
        present: || ["mariadb", "mariadb-dump"].iter().all(|name| on_path(name)),
    },
    Need {
        package: "debootstrap",
        why: "MySQL itself, which Debian's stable release lacks",
        present: || on_path("debootstrap"),
    },
];

const CLIENT_NEEDS: &[Need] = &[
    Need {
        package: "freetds-bin",
        why: "clients that check the SQL Server simulator",
        present: || ["tsql", "bsqldb", "freebcp"].iter().all(|name| on_path(name)),
    },
    Need {
        package: "libgssapi-krb5-2",
        why: "Microsoft's ODBC driver, which checks it, too",
        present: || has_library("libgssapi_krb5.so.2"),
    },
    Need { package: "libltdl7", why: "the same", present: || has_library("libltdl.so.7") },
    PYTHON,
];

fn has_library(name: &str) -> bool {
    let multiarch = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    [multiarch.as_str(), "/usr/lib64", "/usr/lib"].iter().any(|directory| Path::new(directory).join(name).exists())
}

const PYTHON: Need = Need {
    package: "python3-venv",
    why: "programs from PyPI",
    present: || quiet(Command::new("python3").args(["-c", "import venv, ensurepip"])),
};

/// What only the tests need.
const TEST_NEEDS: &[Need] = &[
    Need {
        package: "npm",
        why: "the linter of workflows, and a client of SQL Server",
        present: || on_path("npm") && on_path("node"),
    },
    Need {
        package: "libssl-dev",
        why: "Microsoft's crate for SQL Server, a client",
        present: || has_library("libssl.so"),
    },
    Need { package: "pkg-config", why: "the same", present: || on_path("pkg-config") },
    Need {
        package: "systemd",
        why: "what says how far the job's unit is locked in",
        present: || on_path("systemd-analyze"),
    },
];

/// What the boot test needs, and nothing else does.
const BOOT_TEST_NEEDS: &[Need] = &[
    Need {
        package: "qemu-system-x86",
        why: "a machine to boot",
        present: || on_path(stopgap_servers::machine::EMULATOR),
    },
    Need { package: "debootstrap", why: "a system to boot", present: || on_path("debootstrap") },
    Need { package: "e2fsprogs", why: "its disk", present: || Path::new("/sbin/mke2fs").is_file() },
];

/// How commands are run as root.
pub enum Root {
    Ourselves,
    Sudo,
}

/// Installs what is missing. Does nothing, and quickly, when nothing is.
pub fn install_missing(parts: &[Part], python_is_ready: bool) -> Result<()> {
    let of_parts = parts.iter().flat_map(|part| match part {
        Part::MySql => MYSQL_NEEDS,
        Part::Clients => CLIENT_NEEDS,
    });
    // Looking starts Python; once the environment stands there is no need to.
    let needs = COMMON_NEEDS.iter().chain(of_parts);
    ensure_all(needs.filter(|need| !(python_is_ready && need.package == PYTHON.package)))
}

/// The same for programs from PyPI.
pub fn install_python() -> Result<()> {
    ensure_all(std::iter::once(&PYTHON))
}

/// The same for what only the tests need.
pub fn install_for_tests() -> Result<()> {
    ensure_all(TEST_NEEDS.iter())
}

/// The same for the boot test.
pub fn install_for_boot_test() -> Result<()> {
    ensure_all(BOOT_TEST_NEEDS.iter())
}

fn ensure_all(needs: impl Iterator<Item = &'static Need>) -> Result<()> {
    let missing: Vec<&Need> = needs.filter(|need| !(need.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    for need in &missing {
        println!("Missing: {} ({})", need.package, need.why);
    }
    let by_hand = format!("Install by hand, then run this again: apt-get install {}", names.join(" "));
    if !on_path("apt-get") {
        bail!("This machine has no apt-get. {by_hand}");
    }
    let Some(root) = find_root() else {
        bail!("Installing needs root, and sudo asks for a password or is missing. {by_hand}");
    };
    println!("Installing {} with apt-get", names.join(", "));
    install(&root, &names).context(by_hand)?;
    let still: Vec<&str> = missing.iter().filter(|need| !(need.present)()).map(|need| need.package).collect();
    ensure!(still.is_empty(), "installed, but not usable: {}", still.join(", "));
    Ok(())
}

fn install(root: &Root, names: &[&str]) -> Result<()> {
    // An old list names versions that the mirror no longer has; a fresh machine has no list at all.
    apt(root, &["update"])?;
    if !names.contains(&"postgresql") {
        return apt_install(root, names);
    }
    // Debian makes and starts a cluster at installation, unless the settings of postgresql-common say otherwise by then.
    apt_install(root, &["postgresql-common"])?;
    let settings = std::fs::read_to_string(CLUSTER_SETTINGS).unwrap_or_default();
    let said_already = settings.lines().any(|line| line.trim_start().starts_with("create_main_cluster"));
    if said_already {
        return apt_install(root, names);
    }
    write_settings(root, &format!("{settings}\n{NO_CLUSTER}\n"))?;
    let installed = apt_install(root, names);
    // Put back as it was: what this machine does with later packages is not ours to decide.
    write_settings(root, &settings)?;
    installed
}

fn apt_install(root: &Root, names: &[&str]) -> Result<()> {
    let mut arguments = vec!["install", "--yes", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"];
    arguments.extend(names);
    apt(root, &arguments)
}

fn apt(root: &Root, arguments: &[&str]) -> Result<()> {
    let output = as_root(root, &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("starting apt-get")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "apt-get {} failed:\n{}", arguments.join(" "), said.trim());
    Ok(())
}

fn write_settings(root: &Root, content: &str) -> Result<()> {
    use std::io::Write;
    let mut child = as_root(root, &["tee", CLUSTER_SETTINGS])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("writing {CLUSTER_SETTINGS}"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(content.as_bytes()).with_context(|| format!("writing {CLUSTER_SETTINGS}"))?;
    }
    ensure!(child.wait()?.success(), "could not write {CLUSTER_SETTINGS}");
    Ok(())
}

pub fn find_root() -> Option<Root> {
    use std::os::unix::fs::MetadataExt;
    if Path::new("/proc/self").metadata().is_ok_and(|entry| entry.uid() == 0) {
        return Some(Root::Ourselves);
    }
    quiet(Command::new("sudo").args(["-n", "true"])).then_some(Root::Sudo)
}

pub fn as_root(root: &Root, words: &[&str]) -> Command {
    let all: Vec<&str> = match root {
        Root::Ourselves => words.to_vec(),
        Root::Sudo => ["sudo", "-n"].iter().chain(words).copied().collect(),
    };
    let mut command = Command::new(all[0]);
    command.args(&all[1..]);
    command
}

fn quiet(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
