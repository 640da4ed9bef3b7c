//! MySQL itself, unpacked into a directory of ours: Debian's stable release has MariaDB only.

use crate::{
    packages::{as_root, find_root},
    workspace,
};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

/// Debian's release that has it.
const RELEASE: &str = "sid";
const PACKAGE: &str = "mysql-server-core";

/// The directory with MySQL, made if it is missing; otherwise why there is none, for people.
pub fn unpack() -> Result<PathBuf, String> {
    let root = workspace::tools().join("mysql");
    // Written last: a broken attempt is made again.
    let stamp = workspace::tools().join("mysql-unpacked");
    if stamp.is_file() && root.join("usr/sbin/mysqld").is_file() {
        return Ok(root);
    }
    let account = find_root().ok_or("unpacking it takes root, and sudo asks for a password or is missing")?;
    println!("Unpacking MySQL into {} with debootstrap", root.display());
    remove(&root)?;
    let include = format!("--include={PACKAGE}");
    let directory = root.display().to_string();
    let output = as_root(&account, &["debootstrap", "--variant=minbase", &include, RELEASE, &directory])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("debootstrap cannot be started: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        let last: Vec<&str> = said.lines().rev().take(3).collect();
        return Err(format!("debootstrap failed: {}", last.join("; ")));
    }
    workspace::write(&stamp, RELEASE).map_err(|error| format!("{error:#}"))?;
    Ok(root)
}

fn remove(root: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(root) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", root.display())),
        _ => Ok(()),
    }
}
