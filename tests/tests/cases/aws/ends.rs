//! How a run ends when it does not end by itself, and who tells of it.

use super::*;

/// EventBridge tells of every instance of the account.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_of_another_environment_is_left_alone() {
    let mut dev = Fixture::new("dev", 1).await;
    let prod = Fixture::new("prod", 1).await;
    let instance = dev.deployment.launch(&dev.by_hand()).unwrap();
    assert_eq!(dev.live(&instance), Some(0));
    let Answer::Done(answer) = prod.deployment.tell_ended(&instance).unwrap() else { panic!("refused") };
    assert!(answer["reason"].as_str().unwrap().contains("another environment"), "{answer}");
    assert_eq!(prod.deployment.messages().unwrap(), []);
    assert!(dev.message().subject.starts_with("[OK]"));
}

/// How runs end is counted where also those are known that could say nothing.
#[tokio::test(flavor = "multi_thread")]
async fn every_end_is_counted() {
    let kinds =
        [("runs", 1), ("never boots", 0), ("runs, and loses its tags", 1), ("runs, and loses its run's tag", 1)];
    for (what, succeeded) in kinds {
        let mut fixture = Fixture::new("counted", 1).await;
        let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
        if what.starts_with("runs") {
            let metadata = fixture.deployment.metadata(&instance).unwrap();
            let mut process = fixture.start(&metadata);
            fixture.end(&mut process);
        }
        cloud().call("ec2", "terminate_instances", json!({"InstanceIds": [instance]})).unwrap();
        let lost = match what {
            "runs, and loses its tags" => Some(json!({"Resources": [instance]})),
            "runs, and loses its run's tag" => {
                Some(json!({"Resources": [instance], "Tags": [{"Key": "stopgap:run-id"}]}))
            }
            _ => None,
        };
        if let Some(lost) = lost {
            cloud().call("ec2", "delete_tags", lost).unwrap();
        }
        let printed = fixture.deployment.invocation("end", &Deployment::ended(&instance)).unwrap().printed;
        let line: Value = printed.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
        let expected = json!([succeeded, 1 - succeeded, fixture.deployment.job, fixture.deployment.stage]);
        assert_eq!(json!([line["Succeeded"], line["Failed"], line["Job"], line["Environment"]]), expected, "{what}");
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Stopgap");
        fixture.message();
    }
}

/// EC2 forgets an instance an hour after its end. If nobody told of it until then, the sweep does.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_instance_is_forgotten_is_reported_by_the_sweep() {
    let fixture = Fixture::new("forgotten", 1).await;
    let (job, stage) = (&fixture.deployment.job, &fixture.deployment.stage);
    let written = |run_id: &str, environment: &str, started: &str| {
        let record = json!({"job": job, "run_id": run_id, "state": "running", "environment": environment,
            "instance": "i-0123456789abcdef0", "started_by": "schedule", "started": started});
        let key = format!("runs/{job}/{run_id}/report.json");
        let object = json!({"Bucket": fixture.deployment.bucket, "Key": key, "Body": record.to_string()});
        cloud().call("s3", "put_object", object).unwrap();
    };
    let now = chrono::Utc::now();
    written("long-ago", stage, "2026-01-01T04:00:00Z");
    written("just-now", stage, &now.to_rfc3339());
    written("of-another", "elsewhere", "2026-01-01T04:00:00Z");
    for reported in [json!(["long-ago"]), json!([])] {
        let Answer::Done(swept) = fixture.deployment.invoke(&json!({"sweep": true})).unwrap() else {
            panic!("no sweep")
        };
        assert_eq!(swept["reported"], reported);
    }
    let message = fixture.message();
    assert!(message.subject.contains("ended before it reported"), "{}", message.subject);
    assert!(fixture.deployment.record("long-ago", "report.txt").unwrap().contains("does not know any more"));
}

/// What dies before the job can: the launcher speaks, once.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_never_reports_is_reported() {
    let fixture = Fixture::new("silent", 1).await;
    let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
    // It never boots; a person ends it; EventBridge tells twice, and the sweep looks, too.
    for _ in 0..2 {
        fixture.deployment.power_off(&instance).unwrap();
    }
    let Answer::Done(swept) = fixture.deployment.invoke(&json!({"sweep": true})).unwrap() else { panic!("no sweep") };
    assert_eq!(swept["reported"].as_array().unwrap().iter().filter(|id| **id == instance.as_str()).count(), 0);
    let message = fixture.message();
    assert!(message.subject.contains("ended before it reported"), "{}", message.subject);
    assert_eq!(message.attributes["status"], "lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_dies_is_reported_by_the_launcher() {
    for signal in ["KILL", "ABRT"] {
        let mut fixture = Fixture::new("dies", 50_000).await;
        let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
        let metadata = fixture.deployment.metadata(&instance).unwrap();
        let mut process = fixture.start(&metadata);
        fixture.catch(&mut process);
        process.signal(signal).unwrap();
        process.signal("CONT").unwrap();
        assert_eq!(fixture.end(&mut process), None);
        fixture.deployment.power_off(&instance).unwrap();
        assert!(fixture.message().subject.contains("ended before it reported"));
    }
}

/// Too little address space: the program panics where it can say so, and is ended where it cannot.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_memory_is_reported() {
    for kibibytes in [45_000, 30_000] {
        let mut fixture = Fixture::new("memory", 1_000).await;
        let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
        let metadata = fixture.deployment.metadata(&instance).unwrap();
        let program = program("STOPGAP_SYNC_JOB", "sync-job").unwrap();
        let boot = fixture.deployment.boot(&program, &metadata, fixture.directory.path());
        let mut limited = Command::new("/bin/sh");
        let script = format!("ulimit -v {kibibytes}; exec \"$0\" \"$@\"");
        limited.args(["-c", &script]).arg(boot.get_program()).args(boot.get_args());
        limited.envs(boot.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut process = fixture.spawn(&mut limited);
        assert_ne!(fixture.end(&mut process), Some(0));
        fixture.deployment.power_off(&instance).unwrap();
        let message = fixture.message();
        assert!(message.subject.starts_with("[FAILED]"), "{}\n{}", message.subject, fixture.printed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_and_a_spot_notice_stop_a_run_cleanly() {
    for what in ["deadline", "spot", "signal"] {
        let mut fixture = Fixture::new(what, 50_000).await;
        fixture
            .target
            .run("CREATE TABLE orders (id integer PRIMARY KEY, what text); INSERT INTO orders VALUES (-1, 'old')")
            .unwrap();
        if what == "deadline" {
            fixture.deployment.put_job_file(&fixture.job_file("deadline = \"8s\"")).unwrap();
        }
        let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
        let metadata = fixture.deployment.metadata(&instance).unwrap();
        let mut process = fixture.start(&metadata);
        fixture.catch(&mut process);
        let proc = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", process.id())).unwrap();
        let core = proc("limits").lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
        assert_eq!(
            core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(),
            ["0", "0"],
            "a core would hold passwords"
        );
        assert!(!proc("cmdline").contains(fixture.target.password()), "a password stands in the arguments");
        match what {
            "deadline" => std::thread::sleep(Duration::from_secs(9)),
            "spot" => {
                metadata.spot.interrupt();
                std::thread::sleep(Duration::from_secs(6));
            }
            _ => process.signal("TERM").unwrap(),
        }
        process.signal("CONT").unwrap();
        let status = fixture.end(&mut process);
        fixture.deployment.power_off(&instance).unwrap();
        // Where the run was faster than what should have stopped it there is nothing to see.
        assert_eq!(status, Some(5), "{what}: {}", fixture.printed);
        let message = fixture.message();
        assert!(message.subject.starts_with("[INTERRUPTED]"), "{what}: {}", message.subject);
        assert_eq!(fixture.target.rows("SELECT what FROM orders").unwrap(), ["old"], "{what}");
        assert_eq!(fixture.target.leftovers().unwrap(), Vec::<String>::new(), "{what}");
        assert_eq!(fixture.printed.contains("Spot interruption: EC2"), what == "spot", "{}", fixture.printed);
        // What nobody wanted to end is continued by the next run.
        let open = "SELECT COUNT(*) FROM stopgap_state.stopgap_runs WHERE details IS NOT NULL";
        assert_eq!(fixture.target.value(open).unwrap() == "1", what == "spot", "{what}");
        assert_eq!(
            fixture.printed.contains("deadline, 8.0s after it began"),
            what == "deadline",
            "{}",
            fixture.printed
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_sns_refuses_the_launcher_passes_the_summary_on() {
    let mut fixture = Fixture::new("refused", 10).await;
    let error = "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>not allowed</Message></Error></ErrorResponse>";
    let front = Front::start(cloud().port(), Box::new(move |_| Some((403, error.to_owned())))).unwrap();
    let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
    let metadata = fixture.deployment.metadata(&instance).unwrap();
    let program = program("STOPGAP_SYNC_JOB", "sync-job").unwrap();
    let mut command = fixture.deployment.boot(&program, &metadata, fixture.directory.path());
    let mut process = fixture.spawn(command.envs([front.environment("SNS")]));
    assert_eq!(fixture.end(&mut process), Some(0), "{}", fixture.said());
    assert!(fixture.printed.contains("could not be published"), "{}", fixture.printed);
    fixture.deployment.power_off(&instance).unwrap();
    let message = fixture.message();
    assert!(message.subject.starts_with("[OK]"), "{}", message.subject);
    assert_eq!(message.attributes["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_past_its_deadline_is_ended_and_reported() {
    for may_tag in [true, false] {
        overdue(may_tag).await;
    }
}

/// `may_tag`: why it is ended can be written on it.
async fn overdue(may_tag: bool) {
    let mut fixture = Fixture::new("overdue", 1).await;
    let job = fixture.deployment.job.clone();
    fixture.deployment.settings = json!({"deadline_minutes": 30});
    let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
    let sweep = |fixture: &Fixture| match fixture.deployment.invoke(&json!({"sweep": true})).unwrap() {
        Answer::Done(answer) => answer["terminated"].as_array().unwrap().clone(),
        Answer::Failed(error) => panic!("{error}"),
    };
    assert!(!sweep(&fixture).contains(&json!(instance)), "it is young");
    let refusal = "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no tags</Message></Error></Errors></Response>";
    let refuse_tags =
        move |body: &str| (!may_tag && body.contains("Action=CreateTags")).then(|| (403, refusal.to_owned()));
    // moto cannot make it older.
    let old = "<launchTime>2020-01-01T00:00:00.000Z</launchTime>";
    let port = cloud().port();
    let own = instance.clone();
    let older = move |text: String| {
        // Instances of other tests stay as young as they are.
        let Some((before, rest)) = text.split_once(&format!("<instanceId>{own}</instanceId>")) else { return text };
        let Some((middle, rest)) = rest.split_once("<launchTime>") else { return text };
        let after = rest.split_once("</launchTime>").map_or("", |(_, after)| after);
        format!("{before}<instanceId>{own}</instanceId>{middle}{old}{after}")
    };
    let front = Front::changing(port, Box::new(refuse_tags), Box::new(older)).unwrap();
    fixture.deployment.environment = vec![front.environment("EC2")];
    let ended = sweep(&fixture);
    assert!(ended.contains(&json!(instance)), "{ended:?}");
    fixture.deployment.environment.clear();
    fixture.deployment.tell_ended(&instance).unwrap();
    let message = fixture.message();
    assert!(message.subject.starts_with(&format!("[FAILED] {job}: the instance ended before")), "{}", message.subject);
    let run_id = message.body["run_id"].as_str().unwrap();
    let says = fixture.deployment.record(run_id, "report.txt").unwrap().contains("past its deadline");
    assert_eq!(says, may_tag);
}

/// Cleaning up waits for somebody's lock: the machine must go off all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_does_not_stop_after_its_deadline_is_ended_by_the_watchdog() {
    let mut fixture = Fixture::new("watchdog", 50_000).await;
    fixture.deployment.put_job_file(&fixture.job_file("deadline = \"8s\"\ngrace = \"1s\"")).unwrap();
    let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
    let metadata = fixture.deployment.metadata(&instance).unwrap();
    let mut process = fixture.start(&metadata);
    fixture.catch(&mut process);
    let staging = fixture.target.leftovers().unwrap();
    let mut session = fixture.target.session().await.unwrap();
    session.run(&format!("BEGIN; LOCK TABLE {} IN ACCESS SHARE MODE", staging[0])).await.unwrap();
    process.signal("CONT").unwrap();
    assert_eq!(fixture.end(&mut process), Some(5), "{}", fixture.printed);
    assert!(fixture.printed.contains("did not stop after its deadline: giving up"), "{}", fixture.printed);
    fixture.deployment.power_off(&instance).unwrap();
    assert!(fixture.message().subject.contains("ended before it reported"));
}

/// The source takes connections and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_has_a_deadline_too() {
    let mut fixture = Fixture::new("dryhang", 1).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let secret = json!({"host": "127.0.0.1", "port": port, "user": "u", "password": MARK, "database": "d"});
    fixture.deployment.put_secret("source", &secret).unwrap();
    fixture.deployment.put_job_file(&fixture.job_file("deadline = \"2s\"")).unwrap();
    let event = json!({"job": fixture.deployment.job, "dry_run": true});
    let instance = fixture.deployment.launch(&event).unwrap();
    assert_eq!(fixture.live(&instance), Some(5), "{}", fixture.said());
    assert!(fixture.message().subject.starts_with("[INTERRUPTED]"));
    assert!(fixture.printed.contains("the job's deadline has passed"), "{}", fixture.printed);
}
