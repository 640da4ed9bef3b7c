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
        let mut scene = Scene::new("starts", 1).await;
        let job = scene.deployment.job.clone();
        match what {
            "no job file" => {
                let key = format!("jobs/{job}.toml");
                let object = json!({"Bucket": scene.deployment.bucket, "Key": key});
                cloud().call("s3", "delete_object", object).unwrap();
            }
            "bad job file" => scene.deployment.put_job_file(&scene.job_file("readrs = 3")).unwrap(),
            "no secret" | "empty secret" => {
                let secret = json!({"SecretId": format!("{job}/source"), "ForceDeleteWithoutRecovery": true});
                cloud().call("secretsmanager", "delete_secret", secret).unwrap();
                if what == "empty secret" {
                    let secret = json!({"Name": format!("{job}/source")});
                    cloud().call("secretsmanager", "create_secret", secret).unwrap();
                }
            }
            "another job's file" => {
                let file = scene.job_file("").replace(&format!("name = \"{job}\""), "name = \"another\"");
                scene.deployment.put_job_file(&file).unwrap();
            }
            "wrong secret" => scene.deployment.put_secret("source", &json!({"user": MARK})).unwrap(),
            _ => {
                let secret = json!({"host": "127.0.0.1", "port": 9, "user": "u", "password": MARK, "database": "d"});
                scene.deployment.put_secret("source", &secret).unwrap();
                scene.deployment.put_job_file(&scene.job_file("retries = 0")).unwrap();
            }
        }
        let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
        assert_ne!(scene.live(&instance), Some(0), "{what}");
        let message = scene.message();
        let text = format!("{}", message.body);
        assert!(
            message.subject.starts_with("[FAILED]") && text.contains(expected),
            "{what}: {}\n{text}",
            message.subject
        );
        assert!(
            !scene.printed.contains(MARK) && !text.contains(MARK),
            "{what}: a secret was shown:\n{}",
            scene.printed
        );
    }
}

/// Where a job file may be, and how an instance without tags is told of it.
#[tokio::test(flavor = "multi_thread")]
async fn job_files_are_found_in_every_place() {
    for place in ["parameter", "image"] {
        let mut scene = Scene::new("places", 10).await;
        let (job, text) = (scene.deployment.job.clone(), scene.job_file(""));
        let object = json!({"Bucket": scene.deployment.bucket, "Key": format!("jobs/{job}.toml")});
        cloud().call("s3", "delete_object", object).unwrap();
        if place == "parameter" {
            let parameter = json!({"Name": format!("/stopgap/jobs/{job}"), "Value": text, "Type": "SecureString"});
            cloud().call("ssm", "put_parameter", parameter).unwrap();
        } else {
            let jobs = scene.directory.path().join("no-jobs");
            fs::create_dir(&jobs).unwrap();
            fs::write(jobs.join(format!("{job}.toml")), &text).unwrap();
        }
        // The tags are the template's; a person who launches without it says the same in user data.
        let data = format!(
            "[stopgap]\njob = \"{job}\"\ntopic = \"{}\"\nbucket = \"{}\"\n",
            scene.deployment.topic, scene.deployment.bucket
        );
        let instance = scene.deployment.launch_by_hand().unwrap();
        let metadata = scene.deployment.metadata_of_data(&instance, Some(data)).unwrap();
        let mut process = scene.start(&metadata);
        assert_eq!(scene.end(&mut process), Some(0), "{place}: {}", scene.printed);
        scene.deployment.power_off(&instance).unwrap();
        assert!(scene.message().subject.starts_with("[OK]"), "{place}");
    }
}

/// For looking at what went wrong, also where it goes wrong early.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_kept_stays_up() {
    let mut scene = Scene::new("kept", 1).await;
    scene.deployment.put_job_file(&scene.job_file("keep_alive = true")).unwrap();
    scene.deployment.put_secret("source", &json!({"user": MARK})).unwrap();
    let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
    assert_eq!(scene.live(&instance), Some(2), "{}", scene.said());
    assert!(scene.directory.path().join("keep-alive").exists(), "{}", scene.printed);
    scene.message();
}

/// An answer that cannot be understood is not shown: it holds the secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_garbled_secret_is_not_shown() {
    let mut scene = Scene::new("garbled", 1).await;
    let garbled = format!("{{\"SecretString\": \"{MARK}");
    let front = Front::start(cloud().port(), Box::new(move |_| Some((200, garbled.clone())))).unwrap();
    let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
    let metadata = scene.deployment.metadata(&instance).unwrap();
    let program = program("STOPGAP_SYNC_JOB", "sync-job").unwrap();
    let mut command = scene.deployment.boot(&program, &metadata, scene.directory.path());
    let mut process = scene.spawn(command.envs([front.environment("SECRETS_MANAGER")]));
    assert_eq!(scene.end(&mut process), Some(2), "{}", scene.printed);
    scene.deployment.power_off(&instance).unwrap();
    let message = scene.message();
    let run_id = message.body["run_id"].as_str().unwrap();
    let report = scene.deployment.record(run_id, "report.json").unwrap();
    assert!(report.contains("source.secret"), "{report}");
    for text in [&report, &scene.printed, &message.body.to_string()] {
        assert!(!text.contains(MARK), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_rotated_in_mid_run_is_fetched_again() {
    let mut scene = Scene::new("rotated", 50_000).await;
    let user = format!("rotated_{}", std::process::id());
    let grant =
        format!("GRANT ALL ON DATABASE {0} TO {user}; GRANT ALL ON SCHEMA public TO {user}", scene.target.database);
    scene.target.run(&format!("CREATE ROLE {user} LOGIN PASSWORD 'first'; {grant}")).unwrap();
    let secret = |password: &str| {
        json!({"engine": "postgres", "host": scene.target.host(), "port": scene.target.port(), "username": user,
            "password": password, "dbname": scene.target.database})
    };
    let (first, second) = (secret("first"), secret("second"));
    scene.deployment.put_secret("target", &first).unwrap();
    let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
    let metadata = scene.deployment.metadata(&instance).unwrap();
    let mut process = scene.start(&metadata);
    scene.catch(&mut process);
    scene.target.run(&format!("ALTER ROLE {user} PASSWORD 'second'")).unwrap();
    scene.deployment.put_secret("target", &second).unwrap();
    process.signal("CONT").unwrap();
    let status = scene.end(&mut process);
    scene.deployment.power_off(&instance).unwrap();
    let message = scene.message();
    scene
        .target
        .run(&format!("REASSIGN OWNED BY {user} TO CURRENT_USER; DROP OWNED BY {user}; DROP ROLE {user}"))
        .unwrap();
    assert_eq!(status, Some(0), "{}\n{}", message.body, scene.printed);
    assert!(scene.printed.contains("trying with the password that is there now"), "{}", scene.printed);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_printed_or_written() {
    let mut scene = Scene::new("secrets", 10).await;
    let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
    let metadata = scene.deployment.metadata(&instance).unwrap();
    let program = program("STOPGAP_SYNC_JOB", "sync-job").unwrap();
    let mut command = scene.deployment.boot(&program, &metadata, scene.directory.path());
    // Every log line that there is.
    let mut process = scene.spawn(command.env("RUST_LOG", "trace"));
    assert_eq!(scene.end(&mut process), Some(0));
    scene.deployment.power_off(&instance).unwrap();
    let message = scene.message();
    let run_id = message.body["run_id"].as_str().unwrap();
    let written: String = ["report.json", "report.txt", "notification.json"]
        .map(|file| scene.deployment.record(run_id, file).unwrap())
        .concat();
    assert!(scene.printed.len() > 10_000, "trace was asked for");
    for secret in [scene.source.address.password.as_str(), scene.target.password(), "wJalrXUtnFEMI"] {
        let place = scene.printed.find(secret).map(|at| &scene.printed[at.saturating_sub(300)..at]);
        assert!(place.is_none(), "a secret was printed after: {place:?}");
        assert!(!written.contains(secret) && !message.body.to_string().contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_people_ask_for_is_published() {
    let mut scene = Scene::new("wanted", 10).await;
    for (on, expected) in [("failure", 0), ("change", 0), ("always", 1)] {
        let file = format!("{}[notify]\non = \"{on}\"\n", scene.job_file(""));
        scene.deployment.put_job_file(&file).unwrap();
        let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
        assert_eq!(scene.live(&instance), Some(0), "{}", scene.said());
        assert_eq!(scene.deployment.messages().unwrap().len(), expected, "{on}");
    }
    // A plan that somebody asks for is always sent, and is no run to compare with.
    let file = format!("{}[notify]\non = \"change\"\n", scene.job_file(""));
    scene.deployment.put_job_file(&file).unwrap();
    let instance = scene.deployment.launch(&json!({"job": scene.deployment.job, "dry_run": true})).unwrap();
    assert_eq!(scene.live(&instance), Some(0), "{}", scene.said());
    assert!(scene.message().subject.starts_with("[PLAN]"));
    scene.deployment.put_job_file(&file.replace("dbo.*", "dbo.nothing")).unwrap();
    let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
    assert_eq!(scene.live(&instance), Some(3), "{}", scene.said());
    assert!(scene.message().subject.starts_with("[REFUSED]"));
    // The plan in between is well, and the runs are not.
    let instance = scene.deployment.launch(&json!({"job": scene.deployment.job, "dry_run": true})).unwrap();
    scene.live(&instance);
    scene.message();
    let file = format!("{}[notify]\non = \"change\"\n", scene.job_file(""));
    scene.deployment.put_job_file(&file).unwrap();
    let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
    assert_eq!(scene.live(&instance), Some(0), "{}", scene.said());
    assert!(scene.message().subject.starts_with("[OK]"));
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
