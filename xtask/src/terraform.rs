//! Terraform and its provider: found on this machine, or fetched.

use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

const VERSION: &str = "1.11.4";
const PROVIDER: &str = "terraform-provider-aws_v5";
/// Where people unpack providers for machines that cannot reach the registry.
const MIRRORS: [&str; 5] =
    ["/opt", "/usr/share/terraform", "/usr/local/share/terraform", "/var/lib/terraform", "~/.terraform.d"];
/// mirror/host/namespace/name/version/platform/file
const DEPTH: usize = 7;

pub struct Terraform {
    pub program: PathBuf,
    /// A filesystem mirror with the AWS provider; without one the registry is asked.
    pub mirror: Option<PathBuf>,
}

pub fn find() -> Result<Terraform> {
    let mirror = MIRRORS.iter().find_map(|place| {
        let home = std::env::var("HOME").unwrap_or_default();
        provider_below(Path::new(&place.replace('~', &home)), DEPTH)
    });
    Ok(Terraform { program: program()?, mirror })
}

fn program() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).map(|dir| dir.join("terraform")).find(|path| path.is_file()) {
        return Ok(found);
    }
    let program = workspace::tools().join("terraform");
    if !program.is_file() {
        fetch(&program).context("Terraform is not installed and could not be fetched; install 1.9 or later by hand")?;
    }
    Ok(program)
}

fn fetch(program: &Path) -> Result<()> {
    let platform = if std::env::consts::ARCH == "aarch64" { "linux_arm64" } else { "linux_amd64" };
    let name = format!("terraform_{VERSION}_{platform}.zip");
    println!("Fetching Terraform {VERSION}");
    let script = "import io, sys, urllib.request, zipfile\n\
        data = urllib.request.urlopen(sys.argv[1], timeout=120).read()\n\
        open(sys.argv[2], 'wb').write(zipfile.ZipFile(io.BytesIO(data)).read('terraform'))\n";
    let place = format!("https://releases.hashicorp.com/terraform/{VERSION}/{name}");
    let status =
        Command::new("python3").args(["-c", script, &place]).arg(program).status().context("starting Python")?;
    ensure!(status.success(), "{place} could not be fetched");
    workspace::run(Command::new("chmod").arg("755").arg(program))
}

/// The mirror's root above the provider's file.
fn provider_below(folder: &Path, depth: usize) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() && depth > 0 {
            if let Some(found) = provider_below(&path, depth - 1) {
                return Some(found);
            }
        } else if entry.file_name().to_string_lossy().starts_with(PROVIDER) {
            return path.ancestors().nth(6).map(Path::to_owned);
        }
    }
    None
}
