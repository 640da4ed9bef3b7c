//! Terraform: what it plans, what it grants, and the chain on what it applied.

mod account;
mod alarms;
mod policies;
mod user_data;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
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

/// What moto cannot do: it speaks no TLS here and heeds no conditions, so that the bucket's policy would forbid everything; and it
/// forgets what is said about a rule for another group.
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
resource "aws_vpc_security_group_ingress_rule" "database" {
  description = null
}
"#;

/// moto tells of a cluster's serverless v1 settings, which those of v2 lack.
const OVERRIDE_OF_CLUSTER: &str = r#"
resource "aws_rds_cluster" "target" {
  lifecycle {
    ignore_changes = [scaling_configuration]
  }
}
"#;

const PROVIDER: &str = "provider \"aws\" {\n  region = \"eu-central-1\"\n  s3_use_path_style = true\n}\n";

/// The root module, of which each environment is a deployment.
const STACK: &str = "stack";

/// A copy of `infra` and `ami`, and the environment for Terraform.
struct Copy {
    directory: ScratchDir,
    environment: Vec<(String, String)>,
    /// Which environment the stack is of.
    stack: &'static str,
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
        Self { directory, environment, stack: "dev" }
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

    /// A command of a document, which finds the same Terraform.
    fn shell(&self, folder: &str, line: &str) -> String {
        let own = self.path("bin");
        fs::create_dir_all(&own).unwrap();
        if !own.join("terraform").exists() {
            symlink(std::env::var_os("STOPGAP_TERRAFORM").unwrap(), own.join("terraform")).unwrap();
        }
        let path = format!("{}:{}", own.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("bash");
        command.args(["-o", "pipefail", "-c", line]).current_dir(self.path("infra").join(folder));
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).env("PATH", path);
        let output = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{line}:\n{said}");
        said
    }

    fn must(&self, folder: &str, arguments: &[&str]) -> String {
        let (status, said) = self.run(folder, arguments);
        assert_eq!(status, 0, "terraform {arguments:?} in {folder}:\n{said}");
        said
    }

    fn outputs(&self, folder: &str) -> Value {
        serde_json::from_str(&self.must(folder, &["output", "-json"])).unwrap()
    }

    /// A command that reads variables; those of the stack are in a file of its environment.
    fn with_variables(&self, folder: &str, arguments: &[&str]) -> String {
        let file = format!("-var-file={}.tfvars", self.stack);
        let file = (folder == STACK).then_some(file.as_str());
        self.must(folder, &arguments.iter().copied().chain(file).collect::<Vec<_>>())
    }

    fn apply(&self, folder: &str) {
        self.init(folder);
        self.with_variables(folder, &["apply", "-auto-approve", "-input=false", "-no-color"]);
        assert_eq!(self.planned(folder), BTreeMap::new(), "a second plan has changes");
    }

    /// What an apply would do now: address and actions.
    fn planned(&self, folder: &str) -> BTreeMap<String, String> {
        self.with_variables(folder, &["plan", "-out=planned", "-input=false", "-no-color"]);
        let plan: Value = serde_json::from_str(&self.must(folder, &["show", "-json", "planned"])).unwrap();
        let resources = plan["resource_changes"].as_array().into_iter().flatten();
        let resources = resources.map(|found| (found["address"].as_str().unwrap().to_owned(), &found["change"]));
        let outputs = plan["output_changes"].as_object().into_iter().flatten();
        let outputs = outputs.map(|(name, change)| (format!("output.{name}"), change));
        let actions = |change: &Value| serde_json::from_value::<Vec<String>>(change["actions"].clone()).unwrap();
        let changes = resources.chain(outputs).map(|(address, change)| (address, actions(change).join(", ")));
        changes.filter(|(_, actions)| !matches!(actions.as_str(), "no-op" | "read")).collect()
    }

    /// Destroys, and returns what is there now of that which was not before.
    fn destroy(&self, folder: &str, cloud: &Cloud, before: &BTreeSet<String>) -> Vec<String> {
        self.with_variables(folder, &["destroy", "-auto-approve", "-input=false", "-no-color"]);
        let state: Value = serde_json::from_str(&self.must(folder, &["show", "-json"])).unwrap();
        assert_eq!(policies::resources(&state), Vec::<&Value>::new());
        let now = account::everything(cloud);
        assert_eq!(before.difference(&now).collect::<Vec<_>>(), Vec::<&String>::new(), "somebody else's is gone");
        now.difference(before).cloned().collect()
    }

    fn adapt_to_moto(&self, folder: &str, more: &str) {
        fs::write(self.path("infra/modules/job/moto_override.tf"), OVERRIDE).unwrap();
        fs::write(self.path("infra").join(folder).join("moto_override.tf"), format!("{PROVIDER}{more}")).unwrap();
    }

    fn init(&self, folder: &str) {
        let backend = if folder == STACK {
            format!("-backend-config={}.tfbackend", self.stack)
        } else {
            "-backend=false".to_owned()
        };
        self.must(folder, &["init", "-input=false", "-no-color", "-reconfigure", &backend]);
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
    for folder in [STACK, "examples/complete"] {
        copy.init(folder);
        copy.must(folder, &["validate", "-no-color"]);
    }
    let tests = |folder: &str, more: &[&str]| {
        copy.init(folder);
        let said = copy.must(folder, &[&["test", "-no-color"], more].concat());
        assert!(said.contains("0 failed"), "{said}");
    };
    tests("modules/network", &[]);
    tests("modules/job", &[]);
    for environment in ["dev", "prod"] {
        tests(STACK, &[&format!("-var-file={environment}.tfvars")]);
    }
    s3_keeps_the_state_of_each_environment(&copy);
}

/// As `backend.tf` says: another word there, and the other half of the environments' files.
fn s3_keeps_the_state_of_each_environment(copy: &Copy) {
    let stack = copy.path("infra").join(STACK);
    let backend = fs::read_to_string(stack.join("backend.tf")).unwrap();
    fs::write(stack.join("backend.tf"), backend.replace("backend \"local\"", "backend \"s3\"")).unwrap();
    copy.must(STACK, &["init", "-input=false", "-no-color", "-backend=false"]);
    copy.must(STACK, &["validate", "-no-color"]);
    let settings = |environment: &str| {
        let file = fs::read_to_string(stack.join(format!("{environment}.tfbackend"))).unwrap();
        let lines = file.lines().filter_map(|line| line.strip_prefix("# ")).filter(|line| line.contains(" = "));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    for environment in ["dev", "prod"] {
        assert!(settings(environment).contains(&format!("key = \"stopgap/{environment}.tfstate\"")), "{environment}");
        assert_eq!(settings(environment).len(), 5);
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

fn cloud() -> Cloud {
    let venv = std::env::var_os("STOPGAP_VENV").unwrap_or_else(|| panic!("run `cargo xtask test`"));
    Cloud::start(Path::new(&venv)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_runs_and_is_destroyed() {
    let cloud = cloud();
    let (source, target) = (TestSource::new().await.unwrap(), TestTarget::on(Engine::Postgres).unwrap());
    source
        .run("CREATE TABLE dbo.applied (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.applied (id) VALUES (7)")
        .await
        .unwrap();
    let mut copy = Copy::new();
    copy.environment.extend(cloud.environment());
    let folder = STACK;
    copy.adapt_to_moto(folder, "");
    let binary = program("STOPGAP_SYNC_JOB", "sync-job").unwrap();
    fs::write(copy.path("nightly.toml"), job_file_text()).unwrap();
    fs::write(copy.path("launcher.zip"), "stands for the zip: the function is run by this test").unwrap();
    fs::write(copy.path("ca.pem"), "stands for a certificate").unwrap();
    symlink(&binary, copy.path("sync-job")).unwrap();
    let variables = everything_that_can_be_said(&copy, &account::network(&cloud)).to_string();
    fs::write(copy.path("infra/stack/test.auto.tfvars.json"), variables).unwrap();
    let before = account::everything(&cloud);
    copy.apply(folder);
    changed_files_are_shown(&copy, folder, &binary);
    let (status, said) = copy.run(folder, &["plan", "-input=false", "-no-color", "-var-file=prod.tfvars"]);
    assert!(status == 1 && said.contains("This state is of another environment"), "{said}");

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
    let launch = || deployment.launch(&json!({"job": "nightly"})).unwrap();
    let end = |instance: &str| {
        cloud.call("ec2", "terminate_instances", json!({"InstanceIds": [instance]})).unwrap();
        deployment.invocation(instance, &Deployment::ended(instance)).unwrap().printed
    };
    let instance = launch();
    let metadata = deployment.metadata(&instance).unwrap();
    let output = deployment.boot(&binary, &metadata, copy.directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(alarms::going_off(&state, "nightly", &end(&instance)), Vec::<String>::new());
    let messages = deployment.messages().unwrap();
    assert!(messages.len() == 1 && messages[0].subject.starts_with("[OK] nightly: 1 table"), "{messages:?}");
    assert_eq!(target.rows("SELECT id FROM applied").unwrap(), ["7"]);
    // The second never boots.
    assert_eq!(alarms::going_off(&state, "nightly", &end(&launch())), ["failed", "silence"]);

    let left = copy.destroy(folder, &cloud, &before);
    // This test's own, which heard the messages.
    assert!(left.len() == 1 && left[0].starts_with("QueueUrls ") && left[0].ends_with("/nightly"), "{left:?}");
}

fn everything_that_can_be_said(copy: &Copy, databases: &account::Network) -> Value {
    json!({
        "jobs": {
            "nightly": {"file": copy.path("nightly.toml"), "schedule": "cron(0 4 * * ? *)", "schedule_timezone": "Europe/Berlin"},
            "other": {"content": "[job]\nname = \"other\"\n", "spot": true},
        },
        "job_binary": copy.path("sync-job"), "launcher_zip": copy.path("launcher.zip"), "source_outside_aws": false,
        "ca_files": {"erp-ca.pem": copy.path("ca.pem")},
        "mail_addresses": ["data@example.com"],
        // Everything that adds a rule or a way.
        "database_networks": {"erp": {"vpc_id": databases.vpc, "cidrs": [databases.cidr],
            "route_table_ids": [databases.route_table]}},
        "database_security_groups": {"erp": {"id": databases.security_group, "port": 1433}},
        "dns_cidrs": ["172.31.0.53/32"],
        // Everything that adds a statement.
        "extra_topic_arns": ["arn:aws:sns:eu-central-1:123456789012:more"],
        "topic_kms_key_arns": ["arn:aws:kms:eu-central-1:123456789012:key/topic"],
        "volume_kms_key_arn": "arn:aws:kms:eu-central-1:123456789012:key/volume",
        "secret_names": ["nightly/source", "nightly/target"],
        "secret_arns": ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:of-others-AbCdEf"],
        "secret_kms_key_arns": ["arn:aws:kms:eu-central-1:123456789012:key/secret"],
        "iam_database_users": ["arn:aws:rds-db:eu-central-1:123456789012:dbuser:cluster-A/stopgap"],
        "tags": {"owner": "data"},
    })
}

/// A changed job file, binary or launcher is one apply, which shows it, and nothing else.
fn changed_files_are_shown(copy: &Copy, folder: &str, binary: &Path) {
    fs::write(copy.path("nightly.toml"), format!("{}\n# changed\n", job_file_text())).unwrap();
    fs::write(copy.path("launcher.zip"), "another").unwrap();
    fs::remove_file(copy.path("sync-job")).unwrap();
    fs::write(copy.path("sync-job"), "another").unwrap();
    let expected = [
        // Its name is its hash; the old one stays until nothing names it.
        ("module.job.aws_s3_object.job_binary", "create, delete"),
        ("module.job.aws_s3_object.job_file[\"nightly\"]", "update"),
        ("module.job.aws_lambda_function.launcher", "update"),
        ("module.job.aws_launch_template.job[\"nightly\"]", "update"),
        ("module.job.aws_launch_template.job[\"other\"]", "update"),
    ];
    let expected = expected.map(|(address, actions)| (address.to_owned(), actions.to_owned()));
    assert_eq!(copy.planned(folder), BTreeMap::from(expected));
    fs::write(copy.path("nightly.toml"), job_file_text()).unwrap();
    fs::write(copy.path("launcher.zip"), "stands for the zip: the function is run by this test").unwrap();
    fs::remove_file(copy.path("sync-job")).unwrap();
    symlink(binary, copy.path("sync-job")).unwrap();
}

const DEPLOY: &str = include_str!("../../../docs/deploy.md");

/// The document's own variables and commands, for somebody who has a network with databases.
#[test]
fn the_document_deploys_prod_and_its_records_stay() {
    let cloud = cloud();
    let mut copy = Copy::new();
    copy.environment.extend(cloud.environment());
    copy.stack = "prod";
    let folder = STACK;
    copy.adapt_to_moto(folder, "");
    fs::create_dir(copy.path("dist")).unwrap();
    let own = |name: &str| format!("infra/stack/{name}");
    for name in ["dist/sync-job-arm64", "dist/launcher-arm64.zip", &own("erp-ca.pem"), &own("rds-global-bundle.pem")] {
        fs::write(copy.path(name), "stands for what is built or downloaded").unwrap();
    }
    fs::copy(root().parent().unwrap().join("config/aws.toml"), copy.path(&own("nightly-erp.toml"))).unwrap();
    let variables = fs::read_to_string(copy.path(&own("prod.tfvars"))).unwrap();
    let variables = format!("{variables}{}", variables_of_the_document(&account::network(&cloud)));
    fs::write(copy.path(&own("prod.tfvars")), variables).unwrap();
    let before = account::everything(&cloud);
    copy.apply(folder);
    for secret in ["prod/erp", "prod/aurora"] {
        let login = json!({"SecretId": secret, "SecretString": "{}"});
        cloud.call("secretsmanager", "put_secret_value", login).unwrap();
    }
    let bucket = copy.outputs(folder)["bucket"]["value"].clone();
    let key = "runs/nightly-erp/i-0123456789abcdef0/report.json";
    cloud.call("s3", "put_object", json!({"Bucket": bucket, "Key": key, "Body": "{}"})).unwrap();

    let forget = DEPLOY.lines().map(str::trim).find(|line| line.starts_with("terraform state list |")).unwrap();
    let said = copy.shell(folder, forget);
    assert_eq!(said.matches("Removed module.job.aws_s3_bucket").count(), 6, "{said}");
    assert_eq!(copy.destroy(folder, &cloud, &before), [format!("Buckets {}", bucket.as_str().unwrap())]);
    let object = cloud.call("s3", "get_object", json!({"Bucket": bucket, "Key": key})).unwrap();
    assert_eq!(object["Body"], "{}");
    let closed = cloud.call("s3", "get_public_access_block", json!({"Bucket": bucket})).unwrap();
    assert_eq!(closed["PublicAccessBlockConfiguration"]["BlockPublicPolicy"], true);
    // What was filled by hand can be restored, and is Terraform's again.
    let restored = cloud.call("secretsmanager", "restore_secret", json!({"SecretId": "prod/erp"})).unwrap();
    let import = DEPLOY.lines().find(|line| line.starts_with("terraform import ")).unwrap();
    let said = copy.shell(folder, &import.replace("SECRET-ARN", restored["ARN"].as_str().unwrap()));
    assert!(said.contains("Import successful!"), "{said}");
    let planned = copy.planned(folder);
    let secret = |name: &str| planned[&format!("module.job.aws_secretsmanager_secret.login[\"prod/{name}\"]")].as_str();
    assert_eq!([secret("erp"), secret("aurora")], ["update", "create"]);
}

/// With the account's own ids.
fn variables_of_the_document(network: &account::Network) -> String {
    let (_, block) = DEPLOY.split_once("`infra/stack/prod.tfvars`:").unwrap();
    let mut text =
        block.split("```").nth(1).unwrap().replace("vpc-…", &network.vpc).replace("sg-…", &network.security_group);
    for subnet in &network.subnets {
        text = text.replacen("subnet-…", subnet, 1);
    }
    assert!(!text.contains('…'), "{text}");
    text
}

/// What the job file cannot know beforehand, Terraform fills in.
#[test]
fn the_complete_example_is_one_apply() {
    let cloud = cloud();
    let mut copy = Copy::new();
    copy.environment.extend(cloud.environment());
    let folder = "examples/complete";
    copy.adapt_to_moto(folder, OVERRIDE_OF_CLUSTER);
    fs::create_dir(copy.path("dist")).unwrap();
    for name in ["dist/sync-job-arm64", "dist/launcher-arm64.zip", "infra/examples/complete/rds-global-bundle.pem"] {
        fs::write(copy.path(name), "stands for what is built or downloaded").unwrap();
    }
    let secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/erp-AbCdEf";
    let variables = json!({"source_secret_arn": secret, "mail_addresses": ["data@example.com"]});
    fs::write(copy.path("infra").join(folder).join("test.auto.tfvars.json"), variables.to_string()).unwrap();
    let before = account::everything(&cloud);
    copy.apply(folder);
    let outputs = copy.outputs(folder);
    let object = json!({"Bucket": outputs["bucket"]["value"], "Key": "jobs/nightly-erp.toml"});
    let object = cloud.call("s3", "get_object", object).unwrap();
    let job: toml::Table = object["Body"].as_str().unwrap().parse().unwrap();
    let (source, target) = (&job["source"], &job["target"]);
    assert_eq!(source["secret"].as_str(), Some(secret));
    assert_eq!(target["host"].as_str(), outputs["cluster_endpoint"]["value"].as_str());
    assert_eq!(target["secret"].as_str(), outputs["cluster_secret_arn"]["value"].as_str());
    assert_eq!(target["ca_file"].as_str(), Some("/etc/stopgap/rds-global-bundle.pem"));
    logs_of_the_cluster_go_with_it(&serde_json::from_str(&copy.must(folder, &["show", "-json"])).unwrap());
    assert_eq!(copy.destroy(folder, &cloud, &before), Vec::<String>::new());
}

/// moto writes no logs; RDS would make a group that nobody owns where there is none yet.
fn logs_of_the_cluster_go_with_it(state: &Value) {
    let all = policies::resources(state);
    let cluster = all.iter().find(|found| found["type"] == "aws_rds_cluster").unwrap();
    let made_before = cluster["depends_on"].as_array().unwrap();
    assert!(made_before.contains(&json!("aws_cloudwatch_log_group.cluster")), "{made_before:?}");
    let name = cluster["values"]["cluster_identifier"].as_str().unwrap();
    for log in cluster["values"]["enabled_cloudwatch_logs_exports"].as_array().unwrap() {
        let group = format!("/aws/rds/cluster/{name}/{}", log.as_str().unwrap());
        let ours =
            all.iter().find(|found| found["type"] == "aws_cloudwatch_log_group" && found["values"]["name"] == group);
        let days = ours.and_then(|group| group["values"]["retention_in_days"].as_u64());
        assert!(days.is_some_and(|days| days > 0), "{group} is kept for ever, or is not there");
    }
}

fn job_file_text() -> &'static str {
    "[job]\nname = \"nightly\"\n[source]\nsecret = \"nightly/source\"\ntls = \"require\"\nconsistency = \"none\"\n\
     [target]\nengine = \"postgres\"\nsecret = \"nightly/target\"\ntls = \"disable\"\n[tables]\ninclude = [\"dbo.*\"]\n"
}
