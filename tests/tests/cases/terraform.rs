//! Terraform: what it plans, and the chain on what it applied.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use stopgap_servers::{
    ScratchDir,
    cloud::{Cloud, Deployment},
};
use stopgap_tests::{
    program, root,
    source::TestSource,
    target::{Engine, TestTarget},
};

/// What moto cannot do: it speaks no TLS here and heeds no conditions, so that the bucket's policy would forbid everything.
const OVERRIDE: &str = r#"
data "aws_iam_policy_document" "bucket" {
  statement {
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.artifacts.arn, "${aws_s3_bucket.artifacts.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}
"#;

const PROVIDER: &str = "provider \"aws\" {\n  region = \"eu-central-1\"\n  s3_use_path_style = true\n}\n";

/// `*` as a resource, with the reason: everything else names what it means.
const STARS: [(&str, usize, &str); 2] = [
    ("modules/job/launcher.tf", 1, "DescribeInstances knows no resources"),
    ("modules/job/notify.tf", 3, "in a key's own policy, * is this key"),
];

/// A copy of `infra` and `ami`, and the environment for Terraform.
struct Copy {
    directory: ScratchDir,
    environment: Vec<(String, String)>,
}

impl Copy {
    fn new() -> Self {
        let directory = ScratchDir::new("terraform").unwrap();
        let repository = root().parent().unwrap();
        for name in ["infra", "ami"] {
            copy(&repository.join(name), &directory.path().join(name));
        }
        let mut environment = vec![("CHECKPOINT_DISABLE".to_owned(), "1".to_owned())];
        if let Some(mirror) = std::env::var_os("STOPGAP_TERRAFORM_MIRROR") {
            let file = directory.path().join("terraform.rc");
            let mirror = PathBuf::from(mirror);
            let text = format!(
                "provider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n}}\n",
                mirror.display()
            );
            fs::write(&file, text).unwrap();
            environment.push(("TF_CLI_CONFIG_FILE".to_owned(), file.display().to_string()));
        }
        Self { directory, environment }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, folder: &str, arguments: &[&str]) -> (i32, String) {
        let terraform = std::env::var_os("STOPGAP_TERRAFORM");
        let terraform =
            terraform.unwrap_or_else(|| panic!("STOPGAP_TERRAFORM names Terraform: run `cargo xtask test`"));
        let output = Command::new(terraform)
            .args(arguments)
            .current_dir(self.path("infra").join(folder))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap_or(-1), said)
    }

    fn must(&self, folder: &str, arguments: &[&str]) -> String {
        let (status, said) = self.run(folder, arguments);
        assert_eq!(status, 0, "terraform {arguments:?} in {folder}:\n{said}");
        said
    }

    fn init(&self, folder: &str) {
        self.must(folder, &["init", "-input=false", "-no-color", "-backend=false"]);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name());
        match path.is_dir() {
            true if name == OsStr::new(".terraform") => {}
            true => copy(&path, &to.join(name)),
            false => drop(fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}

#[test]
fn everything_is_formatted_and_valid_and_plans_what_it_promises() {
    let copy = Copy::new();
    copy.must(".", &["fmt", "-check", "-recursive", "-diff"]);
    for folder in ["environments/dev", "environments/prod", "examples/complete"] {
        copy.init(folder);
        copy.must(folder, &["validate", "-no-color"]);
    }
    for folder in ["modules/network", "modules/job"] {
        copy.init(folder);
        let said = copy.must(folder, &["test", "-no-color"]);
        assert!(said.contains("0 failed"), "{said}");
    }
}

#[test]
fn no_statement_allows_everything_without_a_reason() {
    let mut found = Vec::new();
    let mut folders = vec![root().parent().unwrap().join("infra")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension() == Some(OsStr::new("tf")) {
                let text = fs::read_to_string(&path).unwrap();
                let stars = text
                    .lines()
                    .filter(|line| line.split_whitespace().collect::<String>() == "resources=[\"*\"]")
                    .count();
                if stars > 0 {
                    found.push((path, stars));
                }
            }
        }
    }
    for (path, stars) in &found {
        let listed = STARS.iter().find(|(name, ..)| path.ends_with(name)).map(|(_, count, _)| *count);
        assert_eq!(listed, Some(*stars), "{}: \"*\" as a resource; name it, or say why not", path.display());
    }
    assert_eq!(found.len(), STARS.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_runs_and_is_destroyed() {
    let venv = std::env::var_os("STOPGAP_VENV").unwrap_or_else(|| panic!("run `cargo xtask test`"));
    let cloud = Cloud::start(Path::new(&venv)).unwrap();
    let (source, target) = (TestSource::new().await.unwrap(), TestTarget::on(Engine::Postgres).unwrap());
    source
        .run("CREATE TABLE dbo.applied (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.applied (id) VALUES (7)")
        .await
        .unwrap();
    let mut copy = Copy::new();
    copy.environment.extend(cloud.environment());
    let folder = "environments/dev";
    fs::write(copy.path("infra/modules/job/moto_override.tf"), OVERRIDE).unwrap();
    fs::write(copy.path("infra/environments/dev/moto_override.tf"), PROVIDER).unwrap();
    let job_file = copy.path("nightly.toml");
    fs::write(&job_file, job_file_text()).unwrap();
    fs::write(copy.path("launcher.zip"), "stands for the zip: the function is run by this test").unwrap();
    let binary = program("STOPGAP_SYNC_JOB", "sync-job").unwrap();
    let variables = json!({
        "jobs": {"nightly": {"file": job_file, "schedule": "cron(0 4 * * ? *)", "schedule_timezone": "Europe/Berlin"}},
        "job_binary": binary, "launcher_zip": copy.path("launcher.zip"), "source_outside_aws": false,
        "mail_addresses": ["data@example.com"],
    });
    fs::write(copy.path("infra/environments/dev/test.auto.tfvars.json"), variables.to_string()).unwrap();
    copy.init(folder);
    copy.must(folder, &["apply", "-auto-approve", "-input=false", "-no-color"]);
    let (status, said) = copy.run(folder, &["plan", "-detailed-exitcode", "-input=false", "-no-color"]);
    assert_eq!(status, 0, "a second plan has changes:\n{said}");

    // A changed job file is one change, and Terraform shows it.
    fs::write(&job_file, format!("{}\n# changed\n", job_file_text())).unwrap();
    let (status, said) = copy.run(folder, &["plan", "-detailed-exitcode", "-input=false", "-no-color"]);
    assert!(status == 2 && said.contains("aws_s3_object.job_file[\"nightly\"] will be updated"), "{said}");
    fs::write(&job_file, job_file_text()).unwrap();

    let outputs: Value = serde_json::from_str(&copy.must(folder, &["output", "-json"])).unwrap();
    let output = |name: &str| outputs[name]["value"].clone();
    let launcher = program("STOPGAP_LAUNCHER", "bootstrap").unwrap();
    let deployment = Deployment::applied(&cloud, &launcher, "nightly", &output("launcher_environment")).unwrap();
    let address = &source.address;
    let login = json!({"host": address.host, "port": address.port, "user": address.user, "password": address.password,
        "database": source.database});
    deployment.put_secret("source", &login).unwrap();
    let login = json!({"host": target.host(), "port": target.port(), "username": target.user(),
        "password": target.password(), "dbname": target.database});
    deployment.put_secret("target", &login).unwrap();
    let instance = deployment.launch(&json!({"job": "nightly"})).unwrap();
    let metadata = deployment.metadata(&instance).unwrap();
    let output = deployment.boot(&binary, &metadata, copy.directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    deployment.power_off(&instance).unwrap();
    let messages = deployment.messages().unwrap();
    assert!(messages.len() == 1 && messages[0].subject.starts_with("[OK] nightly: 1 table"), "{messages:?}");
    assert_eq!(target.rows("SELECT id FROM applied").unwrap(), ["7"]);

    let said = copy.must(folder, &["destroy", "-auto-approve", "-input=false", "-no-color"]);
    assert!(said.contains("Destroy complete!"), "{said}");
}

fn job_file_text() -> &'static str {
    "[job]\nname = \"nightly\"\n[source]\nsecret = \"nightly/source\"\ntls = \"require\"\nconsistency = \"none\"\n\
     [target]\nengine = \"postgres\"\nsecret = \"nightly/target\"\ntls = \"disable\"\n[tables]\ninclude = [\"dbo.*\"]\n"
}
