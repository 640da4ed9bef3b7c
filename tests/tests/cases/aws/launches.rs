//! How a run is started: by schedules, by people, again, and where EC2 has no room.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_becomes_tables_and_one_mail() {
    let mut fixture = Fixture::new("nightly", 2_000).await;
    let instance = fixture.deployment.launch(&scheduled(&fixture.deployment.job, "e1")).unwrap();
    assert_eq!(fixture.live(&instance), Some(0), "{}", fixture.said());
    let message = fixture.message();
    assert!(
        message.subject.starts_with(&format!("[OK] {}: 1 table, 2,000 rows in ", fixture.deployment.job)),
        "{message:?}"
    );
    assert_eq!(
        (message.attributes["status"].as_str(), message.attributes["environment"].as_str()),
        ("ok", fixture.deployment.stage.as_str())
    );
    assert_eq!(message.body["rows"], 2000);
    assert_eq!(fixture.target.value("SELECT count(*) FROM orders").unwrap(), "2000");
    let run_id = message.body["run_id"].as_str().unwrap().to_owned();
    assert!(run_id.starts_with("20261120T040000Z-"), "{run_id}");
    let record: Value = serde_json::from_str(&fixture.deployment.record(&run_id, "report.json").unwrap()).unwrap();
    assert_eq!((record["state"].as_str(), record["instance"].as_str()), (Some("ended"), Some(instance.as_str())));
    assert_eq!(record["started_by"], "schedule");
    let text = fixture.deployment.record(&run_id, "report.txt").unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let metrics = fixture.printed.lines().find(|line| line.contains("CloudWatchMetrics")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(metrics).unwrap()["Rows"], 2000);
    let history = Command::new(program("STOPGAP_SYNC_JOB", "sync-job").unwrap())
        .args(["history", "--at", &format!("s3://{}", fixture.deployment.bucket)])
        .envs(cloud().environment())
        .output()
        .unwrap();
    let history = String::from_utf8(history.stdout).unwrap();
    assert!(history.contains(&run_id) && history.contains("2,000"), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_launched_by_hand_runs_and_tells_once() {
    let mut fixture = Fixture::new("byhand", 10).await;
    let instance = fixture.deployment.launch_by_hand().unwrap();
    assert_eq!(fixture.live(&instance), Some(0), "{}", fixture.said());
    assert_eq!(fixture.message().body["run_id"], instance.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_chooses_tables_and_dry_runs() {
    let mut fixture = Fixture::new("chosen", 10).await;
    let job = fixture.deployment.job.clone();
    let instance = fixture
        .deployment
        .launch(&json!({"job": job, "tables": ["dbo.ord*"], "dry_run": true, "reason": "a look"}))
        .unwrap();
    assert_eq!(fixture.live(&instance), Some(0), "{}", fixture.said());
    assert!(fixture.message().subject.starts_with(&format!("[PLAN] {job}: 1 table planned")), "{}", fixture.printed);
    assert_eq!(fixture.target.rows("SELECT to_regclass('orders')").unwrap(), ["∅"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lambda_tries_again_and_schedules_meet() {
    let mut fixture = Fixture::new("twice", 10).await;
    let (job, deployment) = (fixture.deployment.job.clone(), &fixture.deployment);
    let Answer::Done(started) = deployment.invoke_as("r1", &fixture.by_hand()).unwrap() else { panic!("not started") };
    let Answer::Done(again) = deployment.invoke_as("r1", &fixture.by_hand()).unwrap() else { panic!("refused") };
    assert_eq!((again["outcome"].as_str(), &again["instance"]), (Some("skipped"), &started["instance"]));
    let Answer::Done(other) = deployment.invoke(&scheduled(&job, "e2")).unwrap() else { panic!("refused") };
    assert_eq!(other["outcome"], "skipped");
    assert!(other["reason"].as_str().unwrap().contains("still running"), "{other}");
    assert_eq!(deployment.instances().unwrap().len(), 1);
    let instance = started["instance"].as_str().unwrap().to_owned();
    assert_eq!(fixture.live(&instance), Some(0));
    // Long afterwards, too.
    let Answer::Done(late) = fixture.deployment.invoke_as("r1", &fixture.by_hand()).unwrap() else { panic!("refused") };
    assert_eq!(late["outcome"], "skipped");
    assert!(fixture.message().subject.starts_with("[OK]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn capacity_is_looked_for_elsewhere_and_its_lack_is_told_once() {
    let mut fixture = Fixture::new("capacity", 1).await;
    let refusal = "<Response><Errors><Error><Code>InsufficientInstanceCapacity</Code><Message>no m7g here</Message></Error></Errors></Response>";
    fixture.deployment.settings = json!({"instance_types": ["m7g.large", "m6g.large"], "spot": true});
    let few = Front::start(
        cloud().port(),
        Box::new(move |body| {
            let refused = body.contains("Action=RunInstances") && (body.contains("m7g.large") || body.contains("spot"));
            refused.then(|| (500, refusal.to_owned()))
        }),
    )
    .unwrap();
    fixture.deployment.environment = vec![few.environment("EC2")];
    let Answer::Done(answer) = fixture.deployment.invoke(&fixture.by_hand()).unwrap() else {
        panic!("nothing started")
    };
    assert_eq!(answer["as"], "on-demand m6g.large in the template's");
    assert_eq!(answer["refused"].as_array().unwrap().len(), 3);
    fixture.deployment.environment.clear();
    assert_eq!(fixture.live(answer["instance"].as_str().unwrap()), Some(0));
    assert!(fixture.message().subject.starts_with("[OK]"));

    // No type of this processor will ever do: nothing is gained by waiting.
    let unfit = refusal.replace("InsufficientInstanceCapacity", "Unsupported");
    let none = Front::start(
        cloud().port(),
        Box::new(move |body| body.contains("Action=RunInstances").then(|| (400, unfit.clone()))),
    )
    .unwrap();
    fixture.deployment.environment = vec![none.environment("EC2")];
    for _ in 0..2 {
        let answer = fixture.deployment.invoke_as("again", &fixture.by_hand()).unwrap();
        match answer {
            Answer::Failed(error) => assert!(error.contains("no capacity anywhere"), "{error}"),
            Answer::Done(answer) => {
                assert!(answer["reason"].as_str().unwrap().contains("reported already"), "{answer}");
            }
        }
    }
    assert!(fixture.message().subject.contains("no instance could be started"));
}

/// Two events at the very same moment, as two instances of the function get them.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_schedules_at_once_one_starts_a_run() {
    let mut fixture = Fixture::new("atonce", 10).await;
    let (job, deployment) = (fixture.deployment.job.clone(), &fixture.deployment);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let invoke = |id: &str| deployment.invoke(&scheduled(&job, id)).unwrap();
        let both = ["e1", "e2", "e3"].map(|id| scope.spawn(move || invoke(id)));
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let mut started = Vec::new();
    for answer in answers {
        let Answer::Done(answer) = answer else { panic!("{answer:?}") };
        if answer["outcome"] == "started" {
            started.push(answer["instance"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!((started.len(), deployment.instances().unwrap().len()), (1, 1));
    assert_eq!(fixture.live(&started[0]), Some(0));
    assert!(fixture.message().subject.starts_with("[OK]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_asked_again() {
    let throttled = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow down</Message></Error></Errors></Response>";
    for (what, status, text) in [("throttled", 503, throttled), ("no answer", 500, "")] {
        let mut fixture = Fixture::new("passes", 1).await;
        let mut refusals = 2;
        let front = Front::start(
            cloud().port(),
            Box::new(move |body| {
                let refused = body.contains("Action=RunInstances") && refusals > 0;
                refusals -= i32::from(refused);
                refused.then(|| (status, text.to_owned()))
            }),
        );
        let front = front.unwrap();
        fixture.deployment.environment = vec![front.environment("EC2")];
        let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap_or_else(|error| panic!("{what}: {error}"));
        fixture.deployment.environment.clear();
        assert_eq!(fixture.live(&instance), Some(0), "{what}");
        assert!(fixture.message().subject.starts_with("[OK]"), "{what}");
    }
}

/// EC2 refuses a subnet beside a network interface, and the template has one.
#[tokio::test(flavor = "multi_thread")]
async fn an_interface_carries_the_subnet() {
    let mut fixture = Fixture::new("interface", 1).await;
    let found = cloud().call("ec2", "describe_subnets", json!({})).unwrap();
    let subnet = found["Subnets"][0]["SubnetId"].as_str().unwrap().to_owned();
    let vpc = &found["Subnets"][0]["VpcId"];
    let group = json!({"GroupName": fixture.deployment.job, "Description": "of a test", "VpcId": vpc});
    let group = cloud().call("ec2", "create_security_group", group).unwrap()["GroupId"].as_str().unwrap().to_owned();
    fixture.deployment.settings = json!({"subnets": [subnet], "security_groups": [group]});
    let own = format!("NetworkInterface.1.SecurityGroupId.1={group}");
    let refusal = "<Response><Errors><Error><Code>InvalidParameterCombination</Code><Message>Network interfaces and an instance-level subnet ID may not be specified on the same request</Message></Error></Errors></Response>";
    let front = Front::start(
        cloud().port(),
        Box::new(move |body| {
            let complete = body.contains(&own) && !body.contains("&SubnetId=");
            (body.contains("Action=RunInstances") && !complete).then(|| (400, refusal.to_owned()))
        }),
    );
    let front = front.unwrap();
    fixture.deployment.environment = vec![front.environment("EC2")];
    let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
    let own = cloud().call("ec2", "describe_instances", json!({"InstanceIds": [instance]})).unwrap();
    assert_eq!(own["Reservations"][0]["Instances"][0]["SubnetId"], subnet);
}

/// Without its records the launcher still starts runs, and still tells of those that it cannot start.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_reached_stops_no_launch_and_hides_no_failure() {
    let mut fixture = Fixture::new("nobucket", 1).await;
    fixture.deployment.environment = vec![("STOPGAP_RUNS_BUCKET".to_owned(), "there-is-none".to_owned())];
    let instance = fixture.deployment.launch(&fixture.by_hand()).unwrap();
    cloud().call("ec2", "terminate_instances", json!({"InstanceIds": [instance]})).unwrap();
    // moto has no answer to a template that does not exist.
    let refusal = "<Response><Errors><Error><Code>InvalidLaunchTemplateId.NotFound</Code><Message>none</Message></Error></Errors></Response>";
    let refuse = move |body: &str| body.contains("Action=RunInstances").then(|| (400, refusal.to_owned()));
    let front = Front::start(cloud().port(), Box::new(refuse)).unwrap();
    fixture.deployment.environment.push(front.environment("EC2"));
    let Answer::Failed(error) = fixture.deployment.invoke(&fixture.by_hand()).unwrap() else { panic!("started") };
    assert!(error.contains("RunInstances"), "{error}");
    assert!(fixture.message().subject.contains("no instance could be started"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_events_are_said() {
    let fixture = Fixture::new("bad", 1).await;
    for (event, expected) in [
        (json!({"jobs": "x"}), "not understood"),
        (json!({"detail-type": "Unheard"}), "Unheard"),
        (json!({"job": "another"}), "the job \"another\" is not known"),
    ] {
        let Answer::Failed(error) = fixture.deployment.invoke(&event).unwrap() else { panic!("accepted: {event}") };
        assert!(error.contains(expected), "{event}: {error}");
    }
    // A job that somebody expects to run: told.
    assert!(fixture.message().subject.contains("another: no instance could be started"));
    let mut lacking = Fixture::new("lacking", 1).await;
    lacking.deployment.environment = vec![("STOPGAP_TOPIC_ARN".to_owned(), String::new())];
    let Answer::Failed(error) = lacking.deployment.invoke(&lacking.by_hand()).unwrap() else { panic!("accepted") };
    assert!(error.contains("STOPGAP_TOPIC_ARN"), "{error}");
}
