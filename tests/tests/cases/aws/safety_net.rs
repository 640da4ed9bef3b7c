//! What the launcher does when AWS itself fails: no run is started twice, forgotten, or told of twice.

use super::*;

const NO_ROOM: &str = "<Response><Errors><Error><Code>InsufficientInstanceCapacity</Code><Message>no room</Message></Error></Errors></Response>";
const NO_TEMPLATE: &str = "<Response><Errors><Error><Code>InvalidLaunchTemplateId.NotFound</Code><Message>none</Message></Error></Errors></Response>";
const NOT_ALLOWED: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>not allowed</Message></Error></ErrorResponse>";

fn sweep(fixture: &Fixture) -> Value {
    match fixture.deployment.invoke(&json!({"sweep": true})).unwrap() {
        Answer::Done(swept) => swept,
        Answer::Failed(error) => panic!("{error}"),
    }
}

/// Makes a run look as if it had been so long ago.
fn age(fixture: &Fixture, run_id: &str, minutes: i64) {
    let job = &fixture.deployment.job;
    for key in [format!("heads/{job}/{run_id}.json"), format!("runs/{job}/{run_id}/report.json")] {
        let mut record: Value = serde_json::from_str(&fixture.deployment.object(&key).unwrap()).unwrap();
        for field in ["started", "ended"] {
            if let Some(time) = record[field].as_str() {
                let time = chrono::DateTime::parse_from_rfc3339(time).unwrap() - chrono::TimeDelta::minutes(minutes);
                record[field] = time.to_rfc3339().into();
            }
        }
        fixture.deployment.put_object(&key, &record.to_string()).unwrap();
    }
}

fn refusing(text: &'static str, action: &'static str) -> Front {
    let rule = move |body: &str| body.contains(action).then(|| (403, text.to_owned()));
    Front::start(cloud().port(), Box::new(rule)).unwrap()
}

/// Three days of reports do not fit into the function's memory; their heads do.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_reads_heads_and_no_reports() {
    let fixture = Fixture::new("heads", 1).await;
    let (job, stage) = (&fixture.deployment.job, &fixture.deployment.stage);
    let numbers = "0,".repeat(1_000_000);
    for number in 0..20 {
        let text = format!(
            "{{\n  \"job\": \"{job}\",\n  \"run_id\": \"r{number}\",\n  \"state\": \"running\",\n  \"environment\": \"{stage}\",\n  \
             \"instance\": \"i-0123456789abcdef0\",\n  \"started_by\": null,\n  \"started\": \"2026-01-01T04:00:00Z\",\n  \"ended\": null,\n  \
             \"status\": null,\n  \"headline\": null,\n  \"tables\": 1,\n  \"rows\": 1,\n  \"dry_run\": false,\n  \"report\": [{numbers}0]\n}}"
        );
        fixture.deployment.put_object(&format!("runs/{job}/r{number}/report.json"), &text).unwrap();
        if number > 0 {
            let told = json!({"state": "published", "by": "launcher", "at": "2026-01-01T04:00:00Z", "detail": null});
            fixture
                .deployment
                .put_object(&format!("runs/{job}/r{number}/notification.json"), &told.to_string())
                .unwrap();
        }
    }
    let done = fixture.deployment.invocation("sweep", &json!({"sweep": true})).unwrap();
    let Answer::Done(swept) = done.answer else { panic!("{:?}", done.answer) };
    assert_eq!(swept["reported"], json!(["r0"]));
    fixture.message();
    assert!(done.peak > 0 && done.peak < 100 * 1024, "the function had {} KiB", done.peak);
    assert_eq!(fixture.deployment.head("r0").unwrap()["notification"]["state"], "published");
}

/// SNS refuses job and launcher until EC2 has forgotten the instance.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_which_nobody_could_be_told_is_told_of_later_and_once() {
    let mut fixture = Fixture::new("later", 10).await;
    let front = refusing(NOT_ALLOWED, "Action=Publish");
    let instance = fixture.deployment.launch(&scheduled(&fixture.deployment.job, "e1")).unwrap();
    fixture.deployment.environment = vec![front.environment("SNS")];
    let metadata = fixture.deployment.metadata(&instance).unwrap();
    let mut process = fixture.start(&metadata);
    assert_eq!(fixture.end(&mut process), Some(0), "{}", fixture.printed);
    let Answer::Failed(error) = fixture.deployment.power_off(&instance).unwrap() else { panic!("published") };
    assert!(error.contains("not allowed"), "{error}");
    let none = "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><reservationSet/></DescribeInstancesResponse>";
    let forgets = move |body: &str| body.contains("Action=DescribeInstances").then(|| (200, none.to_owned()));
    let front = Front::start(cloud().port(), Box::new(forgets)).unwrap();
    fixture.deployment.environment = vec![front.environment("EC2")];
    assert_eq!(sweep(&fixture)["reported"], json!([]), "somebody may still publish it");
    let found = fixture.deployment.run_ids().unwrap();
    age(&fixture, &found[0], 120);
    assert_eq!(sweep(&fixture)["reported"], json!(found));
    assert_eq!(sweep(&fixture)["reported"], json!([]));
    let message = fixture.message();
    assert!(message.subject.starts_with("[OK]"), "{}", message.subject);
}

/// A launch that failed for good is told of later, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_launch_that_failed_while_sns_was_away_is_told_of_later() {
    let mut fixture = Fixture::new("lost", 1).await;
    let (sns, ec2) = (refusing(NOT_ALLOWED, "Action=Publish"), refusing(NO_TEMPLATE, "Action=RunInstances"));
    fixture.deployment.environment = vec![sns.environment("SNS"), ec2.environment("EC2")];
    let answer = fixture.deployment.invoke(&fixture.by_hand()).unwrap();
    assert!(matches!(answer, Answer::Failed(_)), "{answer:?}");
    fixture.deployment.environment.clear();
    let found = fixture.deployment.run_ids().unwrap();
    age(&fixture, &found[0], 60);
    assert_eq!(sweep(&fixture)["reported"], json!(found));
    let message = fixture.message();
    assert!(message.subject.contains("no instance could be started"), "{}", message.subject);
}

/// EC2 starts the instance and none of its answers arrives.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_was_started_without_an_answer_is_found() {
    let mut fixture = Fixture::new("unanswered", 1).await;
    let mut asked = 0;
    // moto knows no client tokens: a second request would start a second instance.
    let first_alone = move |body: &str| {
        asked += i32::from(body.contains("Action=RunInstances"));
        (body.contains("Action=RunInstances") && asked > 1).then(|| (500, String::new()))
    };
    let silence = |text: String| if text.contains("<RunInstancesResponse") { String::new() } else { text };
    let front = Front::changing(cloud().port(), Box::new(first_alone), Box::new(silence)).unwrap();
    fixture.deployment.environment = vec![front.environment("EC2")];
    let answer = fixture.deployment.invoke(&fixture.by_hand()).unwrap();
    let Answer::Done(answer) = answer else { panic!("{answer:?}") };
    assert_eq!(answer["outcome"], "started", "{answer}");
    fixture.deployment.environment.clear();
    let instances = fixture.deployment.instances().unwrap();
    assert_eq!((instances.len(), &json!(instances[0].0)), (1, &answer["instance"]));
    assert_eq!(fixture.deployment.messages().unwrap(), [], "nothing has failed");
    assert_eq!(fixture.live(&instances[0].0), Some(0), "{}", fixture.printed);
    assert!(fixture.message().subject.starts_with("[OK]"));
}

/// The run keeps its name, and people hear of it once.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_is_away_at_boot_gives_the_run_no_other_name() {
    let mut fixture = Fixture::new("metadata", 1).await;
    let instance = fixture.deployment.launch(&scheduled(&fixture.deployment.job, "e1")).unwrap();
    let run_id = fixture.deployment.run_ids().unwrap().remove(0);
    // The unit's environment says enough to run without metadata.
    let own = [
        ("JOB", &fixture.deployment.job),
        ("BUCKET", &fixture.deployment.bucket),
        ("TOPIC", &fixture.deployment.topic),
    ];
    fixture.deployment.environment =
        own.iter().map(|(name, value)| (format!("STOPGAP_{name}"), (*value).clone())).collect();
    let metadata = fixture.deployment.metadata(&instance).unwrap();
    metadata.away.set(true);
    let mut process = fixture.start(&metadata);
    std::thread::sleep(Duration::from_secs(12));
    metadata.away.set(false);
    assert_eq!(fixture.end(&mut process), Some(0), "{}", fixture.printed);
    fixture.deployment.environment.clear();
    fixture.deployment.power_off(&instance).unwrap();
    let message = fixture.message();
    assert_eq!(message.body["run_id"], run_id.as_str());
}

/// The scheduler's attempts differ in their execution's id alone.
#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_of_a_schedule_is_the_same_run() {
    let fixture = Fixture::new("attempts", 1).await;
    let attempt = |id: &str| {
        let schedule = json!({"arn": arn("nightly"), "id": id, "time": "2026-11-20T04:00:00Z"});
        match fixture.deployment.invoke(&json!({"job": fixture.deployment.job, "schedule": schedule})).unwrap() {
            Answer::Done(answer) => answer,
            Answer::Failed(error) => panic!("{error}"),
        }
    };
    let (first, second) = (attempt("d32c5kddcf5bb8c3"), attempt("5bb8c3d32c5kddcf"));
    assert_eq!((first["outcome"].as_str(), second["outcome"].as_str()), (Some("started"), Some("skipped")));
    assert_eq!(first["run_id"], second["run_id"], "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_run_is_told_of_once_if_nothing_starts_for_long() {
    let fixture = Fixture::new("skipped", 1).await;
    let job = &fixture.deployment.job;
    fixture.deployment.launch(&scheduled(job, "e1")).unwrap();
    let running = fixture.deployment.run_ids().unwrap().remove(0);
    let Answer::Done(skipped) = fixture.deployment.invoke(&scheduled(job, "e2")).unwrap() else { panic!("refused") };
    assert_eq!(skipped["outcome"], "skipped");
    assert_eq!(sweep(&fixture)["reported"], json!([]), "it is not long");
    let missed = fixture.deployment.run_ids().unwrap().into_iter().find(|id| *id != running).unwrap();
    age(&fixture, &running, 300);
    age(&fixture, &missed, 180);
    assert_eq!(sweep(&fixture)["reported"], json!([missed]));
    assert_eq!(sweep(&fixture)["reported"], json!([]));
    let message = fixture.message();
    assert!(message.subject.starts_with("[SKIPPED]"), "{}", message.subject);
    assert_eq!((message.attributes["status"].as_str(), &message.body["run_id"]), ("skipped", &json!(missed)));
}

/// EC2 has no room for a while, or for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_lack_of_capacity_is_waited_out_before_anybody_is_woken() {
    let mut fixture = Fixture::new("room", 1).await;
    let front = refusing(NO_ROOM, "Action=RunInstances");
    let event = |fixture: &Fixture, name: &str| scheduled(&fixture.deployment.job, name);
    for (name, comes) in [("e1", true), ("e2", false)] {
        let earlier = fixture.deployment.run_ids().unwrap();
        fixture.deployment.environment = vec![front.environment("EC2")];
        let Answer::Done(answer) = fixture.deployment.invoke(&event(&fixture, name)).unwrap() else { panic!("failed") };
        assert_eq!(answer["outcome"], "waiting", "{answer}");
        let run_id = answer["run_id"].as_str().unwrap().to_owned();
        assert!(!earlier.contains(&run_id));
        assert_eq!(sweep(&fixture)["asked_again"][0]["outcome"], "waiting");
        assert_eq!(fixture.deployment.messages().unwrap(), [], "nobody is woken");
        if comes {
            fixture.deployment.environment.clear();
            let asked = sweep(&fixture)["asked_again"].clone();
            assert_eq!((&asked[0]["outcome"], &asked[0]["run_id"]), (&json!("started"), &json!(run_id)), "{asked}");
            let instance = asked[0]["instance"].as_str().unwrap();
            assert_eq!(fixture.live(instance), Some(0), "{}", fixture.printed);
            let message = fixture.message();
            assert!(message.subject.starts_with("[OK]") && message.body["run_id"] == run_id.as_str());
        } else {
            age(&fixture, &run_id, 121);
            assert_eq!(sweep(&fixture)["reported"], json!([run_id]));
            assert!(fixture.message().subject.contains("no instance could be started"));
            assert_eq!(sweep(&fixture)["asked_again"], json!([]), "people know");
        }
    }
}
