//! `cargo xtask package`: what is deployed, into `dist/`: the static job, the launcher's zip, checksums, what they are made of.

use crate::{build, workspace};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
    process::Command,
};
use stopgap_servers::ScratchDir;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// The cargo profile; others than `release` build faster and run slower
    #[arg(long, default_value = "release")]
    profile: String,
}

/// A zip is the same bytes for the same program: a fixed date, no names of people, no compression of another version.
const ZIP: &str = "\
import sys, zipfile
entry = zipfile.ZipInfo('bootstrap', (1980, 1, 1, 0, 0, 0))
entry.external_attr = 0o755 << 16
entry.create_system = 3
entry.compress_type = zipfile.ZIP_DEFLATED
with zipfile.ZipFile(sys.argv[2], 'w') as archive:
    archive.writestr(entry, open(sys.argv[1], 'rb').read(), compresslevel=9)
";

const PROGRAMS: [&str; 2] = ["sync-job", "launcher-fn"];

pub fn run(options: &Options) -> Result<()> {
    println!("Building the static programs (the launcher's SDK of EC2 takes minutes)");
    let job = build::deployed("sync-job", &options.profile)?;
    let launcher = build::deployed("bootstrap", &options.profile)?;
    let dist = workspace::root().join("dist");
    println!("{}", assemble(&job, &launcher, &dist)?);
    println!("In {}; `cd dist && sha256sum --check SHA256SUMS` checks them", dist.display());
    Ok(())
}

/// What stands in a job whose decoders are wrong on purpose, and nowhere else.
const BROKEN: &[u8] = b"STOPGAP_BROKEN_DECODERS";

/// Puts the programs and what is known of them into a folder; returns the checksums.
fn assemble(job: &Path, launcher: &Path, dist: &Path) -> Result<String> {
    fs::create_dir_all(dist).with_context(|| format!("making {}", dist.display()))?;
    let architecture = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "x86_64" };
    let binary = dist.join(format!("sync-job-{architecture}"));
    fs::copy(job, &binary).with_context(|| format!("writing {}", binary.display()))?;
    let broken = fs::read(&binary)?.windows(BROKEN.len()).any(|bytes| bytes == BROKEN);
    ensure!(!broken, "{} was built with broken-decoders, which is for tests alone", job.display());
    let zip = dist.join(format!("launcher-{architecture}.zip"));
    workspace::run(Command::new("python3").args(["-c", ZIP]).arg(launcher).arg(&zip)).context("making the zip")?;

    let components = components()?;
    let sbom = dist.join("sbom.cyclonedx.json");
    workspace::write(&sbom, &format!("{:#}\n", bill(&components, &compiler()?)))?;
    let licences = dist.join("licences.txt");
    workspace::write(&licences, &list(&components))?;
    checksums(dist, &[&binary, &zip, &sbom, &licences])
}

/// Whether what is packed is whole, holds the programs, and is the same bytes when it is packed again.
pub fn check(job: &Path, launcher: &Path) -> Result<()> {
    let folder = ScratchDir::new("dist")?;
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    let sums = assemble(job, launcher, &first)?;
    ensure!(sums == assemble(job, launcher, &second)?, "packing the same programs twice gave other bytes");
    let checked = Command::new("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(&first).status()?;
    ensure!(checked.success(), "SHA256SUMS is wrong");

    let zip = sums.split_whitespace().find(|word| word.starts_with("launcher-")).context("SHA256SUMS names no zip")?;
    let unpack = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); z.extract('bootstrap', sys.argv[2])";
    workspace::run(Command::new("python3").args(["-c", unpack]).arg(first.join(zip)).arg(&second))?;
    ensure!(fs::read(second.join("bootstrap"))? == fs::read(launcher)?, "the zip holds another program");

    let bill: Value = serde_json::from_slice(&fs::read(first.join("sbom.cyclonedx.json"))?)?;
    let named = |name: &str| bill["components"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == name));
    ensure!(named("tiberius") && named("aws-sdk-ec2"), "the bill of materials lacks what is linked");
    ensure!(!named("tempfile"), "the bill of materials names what only tests use");
    let built_by = bill["metadata"]["properties"][0]["value"].as_str().unwrap_or_default();
    ensure!(built_by.starts_with("rustc 1."), "the bill of materials does not name the compiler: {built_by}");
    println!("Packed twice, the same bytes:\n{sums}");
    Ok(())
}

/// Name, version and licence of everything that goes into the two programs.
fn components() -> Result<BTreeMap<(String, String), String>> {
    let output =
        workspace::cargo(["metadata", "--format-version", "1", "--locked"]).output().context("cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let used = linked()?;
    let own = |package: &&Value| used.contains(&(text(&package["name"]), text(&package["version"])));
    Ok(packages
        .iter()
        .filter(own)
        .map(|package| ((text(&package["name"]), text(&package["version"])), text(&package["license"])))
        .collect())
}

/// What is linked: no build scripts' and no tests' dependencies.
fn linked() -> Result<BTreeSet<(String, String)>> {
    let mut arguments =
        vec!["tree", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}", "--locked"];
    arguments.extend(PROGRAMS.iter().flat_map(|program| ["--package", program]));
    let output = workspace::cargo(arguments).output().context("cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(lines
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.trim_start_matches('v').to_owned()))
        })
        .collect())
}

/// What built the programs: another one makes other bytes of the same sources.
fn compiler() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").current_dir(workspace::root()).output().context("rustc")?;
    ensure!(output.status.success(), "rustc --version: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// CycloneDX 1.5, without time or serial number, so that the same programs have the same bill.
fn bill(components: &BTreeMap<(String, String), String>, compiler: &str) -> Value {
    let component = |((name, version), licence): (&(String, String), &String)| {
        let mut component = json!({"type": "library", "name": name, "version": version,
            "purl": format!("pkg:cargo/{name}@{version}"), "bom-ref": format!("{name}@{version}")});
        if !licence.is_empty() {
            component["licenses"] = json!([{"expression": licence.replace('/', " OR ")}]);
        }
        component
    };
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": "stopgap", "version": env!("CARGO_PKG_VERSION")},
            "properties": [{"name": "stopgap:compiler", "value": compiler}],
        },
        "components": components.iter().map(component).collect::<Vec<_>>(),
    })
}

fn list(components: &BTreeMap<(String, String), String>) -> String {
    let mut by_licence: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((name, version), licence) in components {
        let licence = if licence.is_empty() { "not stated" } else { licence };
        by_licence.entry(licence).or_default().push(format!("{name} {version}"));
    }
    let mut text = String::new();
    for (licence, names) in by_licence {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{licence}\n  {}\n", names.join("\n  "));
    }
    text
}

/// As `sha256sum` writes them.
fn checksums(dist: &Path, files: &[&Path]) -> Result<String> {
    let names = files.iter().filter_map(|file| file.file_name());
    let output = Command::new("sha256sum").args(names).current_dir(dist).output().context("starting sha256sum")?;
    ensure!(output.status.success(), "sha256sum: {}", String::from_utf8_lossy(&output.stderr));
    let sums = String::from_utf8_lossy(&output.stdout).into_owned();
    workspace::write(&dist.join("SHA256SUMS"), &sums)?;
    Ok(sums)
}
