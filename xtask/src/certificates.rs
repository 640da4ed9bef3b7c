//! A certificate for the demo's servers, so that the demo verifies them as a real job would.

use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Days: the demo needs minutes.
const VALIDITY: &str = "2";

/// Files in PEM form.
pub struct Certificates {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Makes an authority, and a certificate for 127.0.0.1 and localhost that it signed.
pub fn make(directory: &Path) -> Result<Certificates> {
    let names = "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n";
    workspace::write(&directory.join("names"), names)?;
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let authority = ["req", "-x509", "-days", VALIDITY, "-subj", "/CN=Stopgap demo", "-keyout", "authority.key"];
    openssl(directory, authority.iter().chain(&new_key).chain(&["-out", "authority.pem"]))?;
    let request = ["req", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"];
    openssl(directory, request.iter().chain(&new_key))?;
    let sign =
        ["x509", "-req", "-days", VALIDITY, "-in", "server.csr", "-CA", "authority.pem", "-CAkey", "authority.key"];
    let rest = ["-CAcreateserial", "-extfile", "names", "-out", "server.pem"];
    openssl(directory, sign.iter().chain(&rest))?;
    Ok(Certificates {
        authority: directory.join("authority.pem"),
        certificate: directory.join("server.pem"),
        key: directory.join("server.key"),
    })
}

fn openssl<'a>(directory: &Path, arguments: impl Iterator<Item = &'a &'a str>) -> Result<()> {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .context("starting openssl")?;
    ensure!(output.status.success(), "openssl failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
