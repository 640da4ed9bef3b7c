//! The machine image's parts: what can be proven of them without AWS. `boot.rs` boots them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use stopgap_servers::ScratchDir;
use stopgap_tests::root;

/// Of ten; what remains is the network, which is the job.
const EXPOSURE: f64 = 1.3;

/// Terraform's and Packer's language as JSON. Texts keep their quotes, expressions stand in `${…}`.
const PARSE: &str = "import hcl2, json, sys; print(json.dumps(hcl2.load(open(sys.argv[1]))))";

fn repository() -> &'static Path {
    root().parent().unwrap()
}

fn ami() -> PathBuf {
    repository().join("ami")
}

fn python_tool(name: &str) -> Command {
    let venv = std::env::var_os("STOPGAP_VENV");
    let venv = venv.unwrap_or_else(|| panic!("STOPGAP_VENV names the Python environment: run `cargo xtask test`"));
    Command::new(Path::new(&venv).join("bin").join(name))
}

/// Status and all that was said.
fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn parsed(name: &str) -> Value {
    let (success, said) = run(python_tool("python").args(["-c", PARSE]).arg(ami().join(name)));
    assert!(success, "{name}: {said}");
    serde_json::from_str(&said).unwrap()
}

/// A block by its labels, which are quoted.
fn block<'a>(file: &'a Value, kind: &str, labels: &[&str]) -> &'a Value {
    let inside = |block: &'a Value| labels.iter().try_fold(block, |inner, label| inner.get(format!("\"{label}\"")));
    let found = file[kind].as_array().unwrap().iter().find_map(inside);
    found.unwrap_or_else(|| panic!("no {kind} {labels:?}"))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

#[test]
fn every_variable_says_what_it_is_and_checks_what_it_gets() {
    let file = parsed("variables.pkr.hcl");
    for variable in file["variable"].as_array().unwrap() {
        for key in ["type", "description", "default", "validation"] {
            let (name, body) = variable.as_object().unwrap().iter().next().unwrap();
            assert!(body.get(key).is_some(), "variable {name} has no {key}");
        }
    }
    let text = fs::read_to_string(ami().join("stopgap.pkr.hcl")).unwrap();
    for used in
        text.split("var.").skip(1).filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next())
    {
        block(&file, "variable", &[used]);
    }
}

#[test]
fn the_template_names_what_there_is_and_opens_no_door() {
    let file = parsed("stopgap.pkr.hcl");
    let source = block(&file, "source", &["amazon-ebs", "stopgap"]);
    for (key, value) in [("ssh_interface", "session_manager"), ("imds_support", "v2.0")] {
        assert_eq!(source[key], format!("\"{value}\""));
    }
    assert_eq!(source["metadata_options"][0]["http_tokens"], "\"required\"");
    assert_eq!(source["launch_block_device_mappings"][0]["encrypted"], true);

    let build = &file["build"][0];
    let sources: Vec<&str> = build["source"].as_array().unwrap().iter().map(source_name).collect();
    assert_eq!(sources, ["arm64", "x86_64"], "as `cargo xtask package` names architectures");
    let text = fs::read_to_string(ami().join("stopgap.pkr.hcl")).unwrap();
    let named: Vec<&str> = text.split("${path.root}/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for name in &named {
        assert!(ami().join(name).exists(), "the template names {name}, which is not there");
    }
    let in_order: Vec<PathBuf> =
        named.iter().filter(|name| name.starts_with("provisioners/")).map(|name| ami().join(name)).collect();
    assert_eq!(in_order, files_below(&ami().join("provisioners")), "each script runs, in the order of their names");
}

fn source_name(source: &Value) -> &str {
    let body = source.as_object().unwrap().values().next().unwrap();
    body["name"].as_str().unwrap().trim_matches('"')
}

#[test]
fn the_scripts_are_sound() {
    let mut scripts = files_below(&ami().join("provisioners"));
    scripts.extend(files_below(&ami().join("rootfs/usr/local/lib/stopgap")));
    scripts.push(root().join("boot/kernel.sh"));
    // Busybox's shell is nearest to this one.
    for (shell, files) in [(None, scripts), (Some("--shell=dash"), vec![root().join("boot/init")])] {
        let (success, said) = run(python_tool("shellcheck").args(shell).args(files));
        assert!(success, "{said}");
    }
}

#[test]
fn the_unit_is_locked_in_and_limited() {
    let unit = ami().join("rootfs/etc/systemd/system/stopgap.service");
    let (success, said) = run(Command::new("systemd-analyze").args(["security", "--offline=true"]).arg(&unit));
    let line = said.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| panic!("{said}"));
    let level: f64 = line.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    assert!(success && level <= EXPOSURE, "{said}");
    let text = fs::read_to_string(unit).unwrap();
    for needed in [
        "User=stopgap",
        "MemoryMax=",
        "TimeoutStartSec=",
        "TimeoutStopSec=",
        "ExecStopPost=+",
        "StandardError=journal+console",
    ] {
        assert!(text.lines().any(|line| line.starts_with(needed)), "the unit lacks {needed}");
    }
}

/// An upload as Packer leaves it, and the tree that it goes into.
struct Upload(ScratchDir);

impl Upload {
    fn new(sums: Sums) -> Self {
        let upload = Self(ScratchDir::new("image").unwrap());
        let folder = upload.folder();
        fs::create_dir_all(folder.join("rootfs/usr/local/lib/stopgap")).unwrap();
        fs::write(folder.join("rootfs/usr/local/lib/stopgap/power-off"), "#!/bin/sh\n").unwrap();
        fs::write(folder.join("sync-job-arm64"), "#!/bin/sh\necho sync-job 1.0\n").unwrap();
        let sums = sums(&folder);
        fs::write(folder.join("SHA256SUMS"), sums).unwrap();
        upload
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("upload")
    }

    fn install(&self) -> (bool, String) {
        let mut script = Command::new("bash");
        script
            .arg(ami().join("provisioners/20-stopgap.sh"))
            .envs([("UPLOAD", self.folder()), ("STOPGAP_ROOT", self.0.path().join("root"))])
            .env("BINARY", "sync-job-arm64");
        run(&mut script)
    }
}

/// What stands in SHA256SUMS.
type Sums = fn(&Path) -> String;

/// As `cargo xtask package` writes it.
fn sum(folder: &Path) -> String {
    run(Command::new("sha256sum").arg("sync-job-arm64").current_dir(folder)).1
}

#[test]
fn a_binary_that_nobody_checked_is_refused() {
    let good = Upload::new(sum);
    assert_eq!(good.install(), (true, "sync-job 1.0\n".to_owned()));
    assert!(good.0.path().join("root/usr/local/bin/sync-job").is_file() && !good.folder().exists());
    let cases: [(&str, Sums, &str); 4] = [
        ("another file's sum", |folder| sum(folder).replace(['0', '1', '2', '3'], "7"), "is not the file"),
        ("another name", |folder| sum(folder).replace("arm64", "x86_64"), "has no line for sync-job-arm64"),
        ("no sums", |_| String::new(), "has no line for sync-job-arm64"),
        ("two sums", |folder| sum(folder).repeat(2), "has no line for sync-job-arm64"),
    ];
    for (what, sums, expected) in cases {
        let upload = Upload::new(sums);
        let (success, said) = upload.install();
        assert!(!success && said.contains(expected), "{what}: {said}");
        assert!(!upload.0.path().join("root").exists(), "{what}: something was installed");
    }
}

/// What an image of ours has, and nothing else.
fn fit_tree() -> ScratchDir {
    let tree = ScratchDir::new("image").unwrap();
    let path = |name: &str| tree.path().join(name);
    for name in ["var/log/amazon", "var/lib/cloud", "var/cache/dnf", "root/.ssh", "home/ec2-user/.ssh", "etc/ssh"] {
        fs::create_dir_all(path(name)).unwrap();
    }
    plant(tree.path(), "etc/machine-id", "");
    plant(tree.path(), "etc/passwd", "stopgap:x:990:990::/home/stopgap:/usr/sbin/nologin\n");
    let units = path("etc/systemd/system");
    for (name, target) in [
        ("multi-user.target.wants/stopgap.service", "../stopgap.service"),
        ("timers.target.wants/stopgap-limit.timer", "../stopgap-limit.timer"),
        ("sshd.service", "/dev/null"),
        ("sshd.socket", "/dev/null"),
    ] {
        fs::create_dir_all(units.join(name).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, units.join(name)).unwrap();
    }
    for name in ["usr/local/bin/sync-job", "usr/local/lib/stopgap/power-off"] {
        plant(tree.path(), name, "#!/bin/sh\n");
        fs::set_permissions(path(name), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    tree
}

fn plant(tree: &Path, name: &str, content: &str) {
    let path = tree.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn provision(script: &str, tree: &Path) -> (bool, String) {
    run(Command::new("bash").arg(ami().join("provisioners").join(script)).env("STOPGAP_ROOT", tree))
}

#[test]
fn what_must_not_remain_fails_the_build_and_is_removed() {
    let fit = fit_tree();
    let (success, said) = provision("99-assert.sh", fit.path());
    assert!(success, "{said}");
    let remains = [
        ("SSH host key", "etc/ssh/ssh_host_ed25519_key"),
        ("SSH host key", "etc/ssh/ssh_host_rsa_key.pub"),
        ("authorized keys", "home/ec2-user/.ssh/authorized_keys"),
        ("authorized keys", "root/.ssh/authorized_keys"),
        ("shell history", "root/.bash_history"),
        ("shell history", "home/ec2-user/.python_history"),
        ("log", "var/log/cloud-init-output.log"),
        ("log", "var/log/journal/0123/system.journal"),
        ("cloud-init's state", "var/lib/cloud/instances/i-0123/user-data.txt"),
        ("package cache", "var/cache/dnf/amazonlinux/repodata/repomd.xml"),
        ("random seed", "var/lib/systemd/random-seed"),
        ("machine id", "etc/machine-id"),
    ];
    let all = fit_tree();
    for (what, name) in remains {
        let tree = fit_tree();
        plant(tree.path(), name, "remains\n");
        plant(all.path(), name, "remains\n");
        let (success, said) = provision("99-assert.sh", tree.path());
        let expected = format!("NOT FIT TO BE AN IMAGE: {what}: {}", tree.path().join(name).display());
        assert!(!success && said.contains(&expected), "{name}: {said}");
    }
    let (success, said) = provision("90-clean.sh", all.path());
    assert!(success, "{said}");
    let (success, said) = provision("99-assert.sh", all.path());
    assert!(success, "{said}");
}

#[test]
fn what_an_image_needs_is_missed() {
    for (name, expected) in [
        ("usr/local/bin/sync-job", "missing, or no program"),
        ("usr/local/lib/stopgap/power-off", "missing, or no program"),
        ("etc/systemd/system/multi-user.target.wants/stopgap.service", "not enabled"),
        ("etc/systemd/system/timers.target.wants/stopgap-limit.timer", "not enabled"),
        ("etc/systemd/system/sshd.service", "not masked: sshd.service"),
        ("etc/passwd", "no user stopgap"),
    ] {
        let tree = fit_tree();
        fs::remove_file(tree.path().join(name)).unwrap();
        let (success, said) = provision("99-assert.sh", tree.path());
        assert!(!success && said.contains(expected), "{name}: {said}");
    }
    let tree = fit_tree();
    let program = tree.path().join("usr/local/bin/sync-job");
    fs::set_permissions(program, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let (success, said) = provision("99-assert.sh", tree.path());
    assert!(!success && said.contains("others may write to"), "{said}");
}

#[test]
fn the_log_goes_to_the_group_of_the_environment() {
    type Variables = &'static [(&'static str, &'static str)];
    let cases: [(Variables, Result<&str, &str>); 5] = [
        (&[("STOPGAP_ENVIRONMENT", "prod")], Ok("/stopgap/prod/job")),
        (&[("STOPGAP_ENVIRONMENT", "prod"), ("STOPGAP_LOG_GROUP", "/other/group")], Ok("/other/group")),
        (&[], Err("the log stays on this machine")),
        (&[("STOPGAP_LOG_GROUP", "a\", \"b")], Err("is no name of a log group")),
        (&[("STOPGAP_LOG_GROUP", "a|b")], Err("is no name of a log group")),
    ];
    for (variables, expected) in cases {
        let tree = ScratchDir::new("image").unwrap();
        let template = "usr/local/share/stopgap/amazon-cloudwatch-agent.json";
        plant(tree.path(), template, &fs::read_to_string(ami().join("rootfs").join(template)).unwrap());
        let mut script = Command::new(ami().join("rootfs/usr/local/lib/stopgap/configure-logs"));
        script.env_remove("STOPGAP_ENVIRONMENT").env("STOPGAP_ROOT", tree.path()).envs(variables.iter().copied());
        let (success, said) = run(&mut script);
        let settings = tree.path().join("opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json");
        match expected {
            Ok(group) => {
                let settings: Value = serde_json::from_str(&fs::read_to_string(settings).unwrap()).unwrap();
                let file = &settings["logs"]["logs_collected"]["files"]["collect_list"][0];
                assert_eq!((file["log_group_name"].as_str(), success), (Some(group), true), "{said}");
            }
            Err(words) => assert!(!success && said.contains(words) && !settings.exists(), "{variables:?}: {said}"),
        }
    }
}
