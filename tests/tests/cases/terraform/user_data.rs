//! What a stock image runs when it boots: run here, in a directory that stands for its root.

use super::policies::resources;
use serde_json::Value;
use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// S3 is a directory, and what would change this machine is written down instead.
const STANDS_FOR_AWS: &str = "#!/bin/sh\nfor last; do :; done\nexec cp \"$ROOT/bucket/${6#s3://*/}\" \"$last\"\n";
const IS_WRITTEN_DOWN: &str = "#!/bin/sh\necho \"${0##*/} $*\" >> \"$ROOT/calls\"\n";

/// Runs the user data of a state's launch template, whose objects were uploaded from `binary` and `certificate`.
pub fn check(state: &Value, place: &Path, binary: &Path, certificate: &Path) {
    let root = place.join("machine");
    let script = script(state, &root);
    make(&root, state, binary, certificate);
    let (good, calls) = boot(&root, &script);
    assert!(good && calls.ends_with("systemctl start --no-block stopgap.service\n"), "{calls}");
    let installed = root.join("etc/stopgap/erp-ca.pem");
    assert_eq!(fs::read(&installed).unwrap(), fs::read(certificate).unwrap());
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(installed), mode(root.join("usr/local/bin/sync-job"))), (0o644, 0o755));
    let settings = fs::read_to_string(root.join("etc/stopgap/stopgap.env")).unwrap();
    assert!(settings.contains("STOPGAP_ENVIRONMENT=dev\n"), "{settings}");

    // Another file than the one that was uploaded ends the machine.
    fs::remove_dir_all(&root).unwrap();
    fs::write(certificate, "another").unwrap();
    make(&root, state, binary, certificate);
    let (good, calls) = boot(&root, &script);
    assert!(!good && calls.ends_with("systemctl poweroff\n"), "{calls}");
    assert!(!root.join("etc/stopgap/erp-ca.pem").exists());
}

fn script(state: &Value, root: &Path) -> String {
    let all = resources(state);
    let template = all.iter().find(|found| found["type"] == "aws_launch_template").unwrap();
    let encoded = template["values"]["user_data"].as_str().unwrap();
    let mut decode =
        Command::new("base64").arg("--decode").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    decode.stdin.take().unwrap().write_all(encoded.as_bytes()).unwrap();
    let mut text = String::from_utf8(decode.wait_with_output().unwrap().stdout).unwrap();
    for folder in ["/etc/", "/usr/local", "/dev/console"] {
        text = text.replace(folder, &format!("{}{folder}", root.display()));
    }
    text
}

fn make(root: &Path, state: &Value, binary: &Path, certificate: &Path) {
    for folder in ["bin", "bucket/bin", "bucket/ca", "etc/systemd/system", "usr/local/bin", "dev"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for (name, text) in [
        ("aws", STANDS_FOR_AWS),
        ("systemctl", IS_WRITTEN_DOWN),
        ("useradd", IS_WRITTEN_DOWN),
        ("sleep", IS_WRITTEN_DOWN),
    ] {
        let path = root.join("bin").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for object in resources(state).into_iter().filter(|found| found["type"] == "aws_s3_object") {
        let from = match object["name"].as_str() {
            Some("ca_file") => certificate,
            Some("job_binary") => binary,
            _ => continue,
        };
        fs::copy(from, root.join("bucket").join(object["values"]["key"].as_str().unwrap())).unwrap();
    }
}

/// Whether it went well, and what was called.
fn boot(root: &Path, script: &str) -> (bool, String) {
    let path = format!("{}:{}", root.join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    let output = command.args(["-c", script]).env("ROOT", root).env("PATH", path).output().unwrap();
    let calls = fs::read_to_string(root.join("calls")).unwrap_or_default();
    (output.status.success(), format!("{}{calls}", String::from_utf8_lossy(&output.stderr)))
}
