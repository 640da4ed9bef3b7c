//! What an instance is told: its job, its secrets, whom to tell.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_job_from_starting_is_told_by_it() {
    for (what, expected) in [
        ("no job file", "no job file for"),
        ("bad job file", "job.readrs"),
        ("no secret", "ResourceNotFoundException"),
        ("empty secret", "one that was just made is empty"),
        ("wrong secret", "should be under the key"),
        ("another job's file", "give both the same name"),
        ("source down", "could not connect to SQL Server"),
    ] {
        let mut fixture = Fixture::new("starts", 1).await;
        let job = fixture.deployment.job.clone();
        match what {
            "no job file" => {
                let key = format!("jobs/{job}.toml");
                let object = json!({"Bucket": fixture.deployment.bucket, "Key": key});
                cloud().call("s3", "delete_object", object).unwrap();
            }
            "bad job file" => fixture.deployment.put_job_file(&fixture.job_file("readrs = 3")).unwrap(),
            "no secret" | "empty secret" => {
                let secret = json!({"SecretId": format!("{job}/source"), "ForceDeleteWithoutRecovery": true});
                cloud().call("secretsmanager", "delete_secret", secret).unwrap();
                if what == "empty secret" {
                    let secret = json!({"Name": format!("{job}/source")});
                    cloud().call("secretsmanager", "create_secret", secret).unwrap();
                }
            }
            "another job's file" => {
                let file = fixture.job_file("").replace(&format!("name = \"{job}\""), "name = \"another\"");
                fixture.deployment.put_job_file(&file).unwrap();
            }
            "wrong secret" => fixture.deployment.put_secret("source", &json!({"user": MARK})).unwrap(),
            _ => {
                let secret = json!({"host": "127.0.0.1", "port": 9, "user": "u", "password": MARK, "database": "d"});
                fixture.deployment.put_secret("source", &secret).unwrap();
                fixture.deployment.put_job_file(&fixture.job_file("retries = 0\noutage = \"2s\"")).unwrap();
            }
        }
        let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
        assert_ne!(fixture.live(&instance), Some(0), "{what}");
        let message = fixture.message();
        let text = format!("{}", message.body);
        assert!(
            message.subject.starts_with("[FAILED]") && text.contains(expected),
            "{what}: {}\n{text}",
            message.subject
        );
        assert!(
            !fixture.printed.contains(MARK) && !text.contains(MARK),
            "{what}: a secret was shown:\n{}",
            fixture.printed
        );
    }
}

/// Where a job file may be, and how an instance without tags is told of it.
#[tokio::test(flavor = "multi_thread")]
async fn job_files_are_found_in_every_place() {
    for place in ["parameter", "image"] {
        let mut fixture = Fixture::new("places", 10).await;
        let (job, text) = (fixture.deployment.job.clone(), fixture.job_file(""));
        let object = json!({"Bucket": fixture.deployment.bucket, "Key": format!("jobs/{job}.toml")});
        cloud().call("s3", "delete_object", object).unwrap();
        if place == "parameter" {
            let parameter = json!({"Name": format!("/stopgap/jobs/{job}"), "Value": text, "Type": "SecureString"});
            cloud().call("ssm", "put_parameter", parameter).unwrap();
        } else {
            let jobs = fixture.directory.path().join("no-jobs");
            fs::create_dir(&jobs).unwrap();
            fs::write(jobs.join(format!("{job}.toml")), &text).unwrap();
        }
        // The tags are the template's; a person who launches without it says the same in user data.
        let data = format!(
            "[stopgap]\njob = \"{job}\"\ntopic = \"{}\"\nbucket = \"{}\"\n",
            fixture.deployment.topic, fixture.deployment.bucket
        );
        let instance = fixture.deployment.launch_by_hand().unwrap();
        let metadata = fixture.deployment.metadata_of_data(&instance, Some(data)).unwrap();
        let mut process = fixture.start(&metadata);
        assert_eq!(fixture.end(&mut process), Some(0), "{place}: {}", fixture.printed);
        fixture.deployment.power_off(&instance).unwrap();
        assert!(fixture.message().subject.starts_with("[OK]"), "{place}");
    }
}

/// For looking at what went wrong, also where it goes wrong early.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_kept_stays_up() {
    let mut fixture = Fixture::new("kept", 1).await;
    fixture.deployment.put_job_file(&fixture.job_file("keep_alive = true")).unwrap();
    fixture.deployment.put_secret("source", &json!({"user": MARK})).unwrap();
    let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
    assert_eq!(fixture.live(&instance), Some(2), "{}", fixture.said());
    assert!(fixture.directory.path().join("keep-alive").exists(), "{}", fixture.printed);
    fixture.message();
}

/// An answer that cannot be understood is not shown: it holds the secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_garbled_secret_is_not_shown() {
    let mut fixture = Fixture::new("garbled", 1).await;
    let garbled = format!("{{\"SecretString\": \"{MARK}");
    let front = Front::start(cloud().port(), Box::new(move |_| Some((200, garbled.clone())))).unwrap();
    let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
    let metadata = fixture.deployment.metadata(&instance).unwrap();
    let program = program("STOPGAP_SYNC_JOB", "sync-job").unwrap();
    let mut command = fixture.deployment.boot(&program, &metadata, fixture.directory.path());
    let mut process = fixture.spawn(command.envs([front.environment("SECRETS_MANAGER")]));
    assert_eq!(fixture.end(&mut process), Some(2), "{}", fixture.printed);
    fixture.deployment.power_off(&instance).unwrap();
    let message = fixture.message();
    let run_id = message.body["run_id"].as_str().unwrap();
    let report = fixture.deployment.record(run_id, "report.json").unwrap();
    assert!(report.contains("source.secret"), "{report}");
    for text in [&report, &fixture.printed, &message.body.to_string()] {
        assert!(!text.contains(MARK), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_rotated_in_mid_run_is_fetched_again() {
    let mut fixture = Fixture::new("rotated", 50_000).await;
    let user = format!("rotated_{}", std::process::id());
    let grant =
        format!("GRANT ALL ON DATABASE {0} TO {user}; GRANT ALL ON SCHEMA public TO {user}", fixture.target.database);
    fixture.target.run(&format!("CREATE ROLE {user} LOGIN PASSWORD 'first'; {grant}")).unwrap();
    let secret = |password: &str| {
        json!({"engine": "postgres", "host": fixture.target.host(), "port": fixture.target.port(), "username": user,
            "password": password, "dbname": fixture.target.database})
    };
    let (first, second) = (secret("first"), secret("second"));
    fixture.deployment.put_secret("target", &first).unwrap();
    let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
    let metadata = fixture.deployment.metadata(&instance).unwrap();
    let mut process = fixture.start(&metadata);
    fixture.catch(&mut process);
    fixture.target.run(&format!("ALTER ROLE {user} PASSWORD 'second'")).unwrap();
    fixture.deployment.put_secret("target", &second).unwrap();
    process.signal("CONT").unwrap();
    let status = fixture.end(&mut process);
    fixture.deployment.power_off(&instance).unwrap();
    let message = fixture.message();
    fixture
        .target
        .run(&format!("REASSIGN OWNED BY {user} TO CURRENT_USER; DROP OWNED BY {user}; DROP ROLE {user}"))
        .unwrap();
    assert_eq!(status, Some(0), "{}\n{}", message.body, fixture.printed);
    assert!(fixture.printed.contains("trying with the password that is there now"), "{}", fixture.printed);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_printed_or_written() {
    let mut fixture = Fixture::new("secrets", 10).await;
    let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
    let metadata = fixture.deployment.metadata(&instance).unwrap();
    let program = program("STOPGAP_SYNC_JOB", "sync-job").unwrap();
    let mut command = fixture.deployment.boot(&program, &metadata, fixture.directory.path());
    // Every log line that there is.
    let mut process = fixture.spawn(command.env("RUST_LOG", "trace"));
    assert_eq!(fixture.end(&mut process), Some(0));
    fixture.deployment.power_off(&instance).unwrap();
    let message = fixture.message();
    let run_id = message.body["run_id"].as_str().unwrap();
    let written: String = ["report.json", "report.txt", "notification.json"]
        .map(|file| fixture.deployment.record(run_id, file).unwrap())
        .concat();
    assert!(fixture.printed.len() > 10_000, "trace was asked for");
    for secret in [fixture.source.address.password.as_str(), fixture.target.password(), "wJalrXUtnFEMI"] {
        let place = fixture.printed.find(secret).map(|at| &fixture.printed[at.saturating_sub(300)..at]);
        assert!(place.is_none(), "a secret was printed after: {place:?}");
        assert!(!written.contains(secret) && !message.body.to_string().contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_people_ask_for_is_published() {
    let mut fixture = Fixture::new("wanted", 10).await;
    for (on, expected) in [("failure", 0), ("change", 0), ("always", 1)] {
        let file = format!("{}[notify]\non = \"{on}\"\n", fixture.job_file(""));
        fixture.deployment.put_job_file(&file).unwrap();
        let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
        assert_eq!(fixture.live(&instance), Some(0), "{}", fixture.said());
        assert_eq!(fixture.deployment.messages().unwrap().len(), expected, "{on}");
    }
    // A plan that somebody asks for is always sent, and is no run to compare with.
    let file = format!("{}[notify]\non = \"change\"\n", fixture.job_file(""));
    fixture.deployment.put_job_file(&file).unwrap();
    let instance = fixture.deployment.launch(&json!({"job": fixture.deployment.job, "dry_run": true})).unwrap();
    assert_eq!(fixture.live(&instance), Some(0), "{}", fixture.said());
    assert!(fixture.message().subject.starts_with("[PLAN]"));
    fixture.deployment.put_job_file(&file.replace("dbo.*", "dbo.nothing")).unwrap();
    let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
    assert_eq!(fixture.live(&instance), Some(3), "{}", fixture.said());
    assert!(fixture.message().subject.starts_with("[REFUSED]"));
    // The plan in between is well, and the runs are not.
    let instance = fixture.deployment.launch(&json!({"job": fixture.deployment.job, "dry_run": true})).unwrap();
    fixture.live(&instance);
    fixture.message();
    let file = format!("{}[notify]\non = \"change\"\n", fixture.job_file(""));
    fixture.deployment.put_job_file(&file).unwrap();
    let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
    assert_eq!(fixture.live(&instance), Some(0), "{}", fixture.said());
    assert!(fixture.message().subject.starts_with("[OK]"));
}

/// Each `aws-sdk` costs minutes of compile time, this one most of all.
#[test]
fn the_job_does_not_depend_on_the_sdk_of_ec2() {
    let root = stopgap_tests::root().parent().unwrap();
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--package", "sync-job", "--edges", "normal", "--prefix", "none", "--offline"])
        .current_dir(root)
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("aws-sdk-sns") && !tree.contains("aws-sdk-ec2"), "{tree}");
}
