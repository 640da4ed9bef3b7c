//! Terraform: what it plans, what it grants, and the chain on what it applied.

mod policies;
mod user_data;

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

    fn outputs(&self, folder: &str) -> Value {
        serde_json::from_str(&self.must(folder, &["output", "-json"])).unwrap()
    }

    fn adapt_to_moto(&self, folder: &str) {
        fs::write(self.path("infra/modules/job/moto_override.tf"), OVERRIDE).unwrap();
        fs::write(self.path("infra").join(folder).join("moto_override.tf"), PROVIDER).unwrap();
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
    for folder in ["environments/dev", "environments/prod"] {
        let of = |name: &str| copy.path("infra").join(folder).join(name);
        fs::copy(of("backend.tf.example"), of("backend.tf")).unwrap();
    }
    for folder in ["environments/dev", "environments/prod", "examples/complete"] {
        copy.init(folder);
        copy.must(folder, &["validate", "-no-color"]);
    }
    for folder in ["modules/network", "modules/job", "environments/dev", "environments/prod"] {
        copy.init(folder);
        let said = copy.must(folder, &["test", "-no-color"]);
        assert!(said.contains("0 failed"), "{said}");
    }
}

/// A check that is skipped says why beside the resource.
#[test]
fn checkov_finds_nothing_without_a_reason() {
    let checkov = std::env::var_os("STOPGAP_CHECKOV").unwrap_or_else(|| panic!("run `cargo xtask test`"));
    let infra = root().parent().unwrap().join("infra");
    let output = Command::new(checkov)
        .args(["--framework", "terraform", "--compact", "--quiet", "--skip-download", "--directory"])
        .arg(&infra)
        .env("LOG_LEVEL", "ERROR")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("Failed checks: 0"), "{said}");
    assert!(!said.contains("Passed checks: 0"), "nothing was checked: {said}");
    let mut folders = vec![infra];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension() == Some(OsStr::new("tf")) {
                let text = fs::read_to_string(&path).unwrap();
                let skips = text.lines().filter_map(|line| line.trim().strip_prefix("#checkov:skip="));
                for skip in skips {
                    let reason = skip.split_once(':').map_or("", |(_, reason)| reason);
                    assert!(!reason.trim().is_empty(), "{}: {skip} has no reason", path.display());
                }
            }
        }
    }
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
    copy.adapt_to_moto(folder);
    let job_file = copy.path("nightly.toml");
    fs::write(&job_file, job_file_text()).unwrap();
    fs::write(copy.path("launcher.zip"), "stands for the zip: the function is run by this test").unwrap();
    fs::write(copy.path("ca.pem"), "stands for a certificate").unwrap();
    let binary = program("STOPGAP_SYNC_JOB", "sync-job").unwrap();
    let variables = json!({
        "jobs": {
            "nightly": {"file": job_file, "schedule": "cron(0 4 * * ? *)", "schedule_timezone": "Europe/Berlin"},
            "other": {"content": "[job]\nname = \"other\"\n", "spot": true},
        },
        "job_binary": binary, "launcher_zip": copy.path("launcher.zip"), "source_outside_aws": false,
        "ca_files": {"erp-ca.pem": copy.path("ca.pem")},
        "mail_addresses": ["data@example.com"],
        // Everything that adds a statement.
        "extra_topic_arns": ["arn:aws:sns:eu-central-1:123456789012:more"],
        "topic_kms_key_arns": ["arn:aws:kms:eu-central-1:123456789012:key/topic"],
        "volume_kms_key_arn": "arn:aws:kms:eu-central-1:123456789012:key/volume",
        "secret_names": ["nightly/source", "nightly/target"],
        "secret_arns": ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:of-others-AbCdEf"],
        "secret_kms_key_arns": ["arn:aws:kms:eu-central-1:123456789012:key/secret"],
        "iam_database_users": ["arn:aws:rds-db:eu-central-1:123456789012:dbuser:cluster-A/stopgap"],
        "tags": {"owner": "data"},
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

    let state: Value = serde_json::from_str(&copy.must(folder, &["show", "-json"])).unwrap();
    policies::check(&state);
    user_data::check(&state, copy.directory.path(), &binary, &copy.path("ca.pem"));
    let outputs = copy.outputs(folder);
    let output = |name: &str| outputs[name]["value"].clone();
    let told: Value = serde_json::from_str(output("launcher_environment")["STOPGAP_JOBS"].as_str().unwrap()).unwrap();
    assert_eq!(told["nightly"]["security_groups"], json!([output("security_group_id")]));
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

/// What the job file cannot know beforehand, Terraform fills in.
#[test]
fn the_complete_example_is_one_apply() {
    let venv = std::env::var_os("STOPGAP_VENV").unwrap_or_else(|| panic!("run `cargo xtask test`"));
    let cloud = Cloud::start(Path::new(&venv)).unwrap();
    let mut copy = Copy::new();
    copy.environment.extend(cloud.environment());
    let folder = "examples/complete";
    copy.adapt_to_moto(folder);
    fs::create_dir(copy.path("dist")).unwrap();
    for name in ["dist/sync-job-arm64", "dist/launcher-arm64.zip", "infra/examples/complete/rds-global-bundle.pem"] {
        fs::write(copy.path(name), "stands for what is built or downloaded").unwrap();
    }
    let secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/erp-AbCdEf";
    let variables = json!({"source_secret_arn": secret, "mail_addresses": ["data@example.com"]});
    fs::write(copy.path("infra").join(folder).join("test.auto.tfvars.json"), variables.to_string()).unwrap();
    copy.init(folder);
    copy.must(folder, &["apply", "-auto-approve", "-input=false", "-no-color"]);
    let outputs = copy.outputs(folder);
    let object = json!({"Bucket": outputs["bucket"]["value"], "Key": "jobs/nightly-erp.toml"});
    let object = cloud.call("s3", "get_object", object).unwrap();
    let job: toml::Table = object["Body"].as_str().unwrap().parse().unwrap();
    let (source, target) = (&job["source"], &job["target"]);
    assert_eq!(source["secret"].as_str(), Some(secret));
    assert_eq!(target["host"].as_str(), outputs["cluster_endpoint"]["value"].as_str());
    assert_eq!(target["secret"].as_str(), outputs["cluster_secret_arn"]["value"].as_str());
    assert_eq!(target["ca_file"].as_str(), Some("/etc/stopgap/rds-global-bundle.pem"));
}

fn job_file_text() -> &'static str {
    "[job]\nname = \"nightly\"\n[source]\nsecret = \"nightly/source\"\ntls = \"require\"\nconsistency = \"none\"\n\
     [target]\nengine = \"postgres\"\nsecret = \"nightly/target\"\ntls = \"disable\"\n[tables]\ninclude = [\"dbo.*\"]\n"
}
