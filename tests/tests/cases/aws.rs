//! From an event to a mail and an instance that is gone: whatever dies, each launch ends in exactly one notification.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use stopgap_servers::{
    ScratchDir,
    cloud::{Answer, Cloud, Deployment, Front, Message, Metadata},
    guard::Guarded,
};
use stopgap_tests::{
    program,
    source::TestSource,
    target::{Engine, TestTarget},
};

const LIMIT: Duration = Duration::from_mins(2);
/// Nothing that a run prints or writes may contain it.
const MARK: &str = "hunter2-and-more";

fn cloud() -> &'static Cloud {
    static CLOUD: OnceLock<Cloud> = OnceLock::new();
    CLOUD.get_or_init(|| {
        let venv = std::env::var_os("STOPGAP_VENV");
        let venv = venv.unwrap_or_else(|| panic!("STOPGAP_VENV names the Python environment: run `cargo xtask test`"));
        Cloud::start(&PathBuf::from(venv)).unwrap()
    })
}

/// A job on the cloud, with a source of `rows` rows and a target.
struct Scene {
    deployment: Deployment<'static>,
    source: TestSource,
    target: TestTarget,
    directory: ScratchDir,
    /// All that was printed.
    printed: String,
}

impl Scene {
    async fn new(name: &str, rows: u32) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let job = format!("{name}-{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        let source = TestSource::new().await.unwrap();
        let digits = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))";
        source
            .run(&format!(
                "CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, what nvarchar(100) NOT NULL);
                 INSERT INTO dbo.orders (id, what)
                 SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d, REPLICATE(N'é', 100)
                 FROM {digits} AS a(d) CROSS JOIN {digits} AS b(d) CROSS JOIN {digits} AS c(d) CROSS JOIN {digits} AS d(d)
                 CROSS JOIN {digits} AS e(d)
                 WHERE a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d < {rows}"
            ))
            .await
            .unwrap();
        let launcher = program("STOPGAP_LAUNCHER", "bootstrap").unwrap();
        let scene = Self {
            deployment: Deployment::new(cloud(), &launcher, &job).unwrap(),
            source,
            target: TestTarget::on(Engine::Postgres).unwrap(),
            directory: ScratchDir::new("instance").unwrap(),
            printed: String::new(),
        };
        scene.put_secrets(scene.target.password());
        scene.deployment.put_job_file(&scene.job_file("")).unwrap();
        scene
    }

    fn put_secrets(&self, target_password: &str) {
        let address = &self.source.address;
        let source = json!({"host": address.host, "port": address.port, "user": address.user,
            "password": address.password, "database": self.source.database});
        self.deployment.put_secret("source", &source).unwrap();
        // As RDS manages it.
        let target = json!({"engine": "postgres", "host": self.target.host(), "port": self.target.port(),
            "username": self.target.user(), "password": target_password, "dbname": self.target.database});
        self.deployment.put_secret("target", &target).unwrap();
    }

    fn job_file(&self, more: &str) -> String {
        let job = &self.deployment.job;
        format!(
            "[job]\nname = \"{job}\"\n{more}\n[source]\nsecret = \"{job}/source\"\ntls = \"require\"\nconsistency = \"none\"\n\
             [target]\nengine = \"postgres\"\nsecret = \"{job}/target\"\ntls = \"disable\"\n[tables]\ninclude = [\"dbo.*\"]\n"
        )
    }

    fn start(&self, metadata: &Metadata) -> Guarded {
        let program = program("STOPGAP_SYNC_JOB", "sync-job").unwrap();
        let mut command = self.deployment.boot(&program, metadata, self.directory.path());
        self.spawn(&mut command)
    }

    fn spawn(&self, command: &mut Command) -> Guarded {
        let file = |name: &str| {
            fs::OpenOptions::new().create(true).append(true).open(self.directory.path().join(name)).unwrap()
        };
        let command = command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        Guarded::spawn(command, "KILL").unwrap()
    }

    /// The instance boots, runs its job and switches itself off.
    fn live(&mut self, instance: &str) -> Option<i32> {
        let metadata = self.deployment.metadata(instance).unwrap();
        let mut process = self.start(&metadata);
        let status = self.end(&mut process);
        self.deployment.power_off(instance).unwrap();
        status
    }

    fn end(&mut self, process: &mut Guarded) -> Option<i32> {
        let status = process.wait_at_most(LIMIT).unwrap();
        self.printed = self.said();
        status.unwrap_or_else(|| panic!("sync-job did not end:\n{}", self.said())).code()
    }

    fn said(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        format!("{}\n{}", read("stdout"), read("stderr"))
    }

    /// Waits until the job has a staging table and stops it there.
    fn catch(&self, process: &mut Guarded) {
        let deadline = Instant::now() + LIMIT;
        while self.target.leftovers().unwrap().is_empty() {
            assert!(process.wait_at_most(Duration::ZERO).unwrap().is_none(), "it ended too early:\n{}", self.said());
            assert!(Instant::now() < deadline, "no staging table:\n{}", self.said());
        }
        process.signal("STOP").unwrap();
    }

    /// The one message of this launch.
    fn message(&self) -> Message {
        let mut messages = self.deployment.messages().unwrap();
        assert_eq!(messages.len(), 1, "{messages:#?}\n{}", self.printed);
        let message = messages.remove(0);
        assert!(message.subject.is_ascii() && message.subject.len() < 100, "{}", message.subject);
        message
    }

    fn by_hand(&self) -> Value {
        json!({"job": self.deployment.job})
    }
}

fn scheduled(job: &str, id: &str) -> Value {
    json!({"job": job, "schedule": {"id": id, "time": "2026-11-20T04:00:00Z"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_becomes_tables_and_one_mail() {
    let mut scene = Scene::new("nightly", 2_000).await;
    let instance = scene.deployment.launch(&scheduled(&scene.deployment.job, "e1")).unwrap();
    assert_eq!(scene.live(&instance), Some(0), "{}", scene.said());
    let message = scene.message();
    assert!(
        message.subject.starts_with(&format!("[OK] {}: 1 table, 2,000 rows in ", scene.deployment.job)),
        "{message:?}"
    );
    assert_eq!(
        (message.attributes["status"].as_str(), message.attributes["environment"].as_str()),
        ("ok", scene.deployment.stage.as_str())
    );
    assert_eq!(message.body["rows"], 2000);
    assert_eq!(scene.target.value("SELECT count(*) FROM orders").unwrap(), "2000");
    // Metadata that moto and the mail agree on.
    let run_id = message.body["run_id"].as_str().unwrap().to_owned();
    assert!(run_id.starts_with("20261120T040000Z-"), "{run_id}");
    let record: Value = serde_json::from_str(&scene.deployment.record(&run_id, "report.json").unwrap()).unwrap();
    assert_eq!((record["state"].as_str(), record["instance"].as_str()), (Some("ended"), Some(instance.as_str())));
    assert_eq!(record["started_by"], "schedule");
    let text = scene.deployment.record(&run_id, "report.txt").unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let metrics = scene.printed.lines().find(|line| line.contains("CloudWatchMetrics")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(metrics).unwrap()["Rows"], 2000);
    let history = Command::new(program("STOPGAP_SYNC_JOB", "sync-job").unwrap())
        .args(["history", "--at", &format!("s3://{}", scene.deployment.bucket)])
        .envs(cloud().environment())
        .output()
        .unwrap();
    let history = String::from_utf8(history.stdout).unwrap();
    assert!(history.contains(&run_id) && history.contains("2,000"), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_launched_by_hand_runs_and_tells_once() {
    let mut scene = Scene::new("byhand", 10).await;
    let instance = scene.deployment.launch_by_hand().unwrap();
    assert_eq!(scene.live(&instance), Some(0), "{}", scene.said());
    assert_eq!(scene.message().body["run_id"], instance.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_chooses_tables_and_dry_runs() {
    let mut scene = Scene::new("chosen", 10).await;
    let job = scene.deployment.job.clone();
    let instance = scene
        .deployment
        .launch(&json!({"job": job, "tables": ["dbo.ord*"], "dry_run": true, "reason": "a look"}))
        .unwrap();
    assert_eq!(scene.live(&instance), Some(0), "{}", scene.said());
    assert!(scene.message().subject.starts_with(&format!("[PLAN] {job}: 1 tables planned")), "{}", scene.printed);
    assert_eq!(scene.target.rows("SELECT to_regclass('orders')").unwrap(), ["∅"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lambda_tries_again_and_schedules_meet() {
    let mut scene = Scene::new("twice", 10).await;
    let (job, deployment) = (scene.deployment.job.clone(), &scene.deployment);
    let Answer::Done(started) = deployment.invoke_as("r1", &scene.by_hand()).unwrap() else { panic!("not started") };
    let Answer::Done(again) = deployment.invoke_as("r1", &scene.by_hand()).unwrap() else { panic!("refused") };
    assert_eq!((again["outcome"].as_str(), &again["instance"]), (Some("skipped"), &started["instance"]));
    let Answer::Done(other) = deployment.invoke(&scheduled(&job, "e2")).unwrap() else { panic!("refused") };
    assert_eq!(other["outcome"], "skipped");
    assert!(other["reason"].as_str().unwrap().contains("still running"), "{other}");
    assert_eq!(deployment.instances().unwrap().len(), 1);
    let instance = started["instance"].as_str().unwrap().to_owned();
    assert_eq!(scene.live(&instance), Some(0));
    // Long afterwards, too.
    let Answer::Done(late) = scene.deployment.invoke_as("r1", &scene.by_hand()).unwrap() else { panic!("refused") };
    assert_eq!(late["outcome"], "skipped");
    assert!(scene.message().subject.starts_with("[OK]"));
}

/// What dies before the job can: the launcher speaks, once.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_never_reports_is_reported() {
    let scene = Scene::new("silent", 1).await;
    let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
    // It never boots; a person ends it; EventBridge tells twice, and the sweep looks, too.
    for _ in 0..2 {
        scene.deployment.power_off(&instance).unwrap();
    }
    let Answer::Done(swept) = scene.deployment.invoke(&json!({"sweep": true})).unwrap() else { panic!("no sweep") };
    assert_eq!(swept["reported"].as_array().unwrap().iter().filter(|id| **id == instance.as_str()).count(), 0);
    let message = scene.message();
    assert!(message.subject.contains("ended before it reported"), "{}", message.subject);
    assert_eq!(message.attributes["status"], "lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_dies_is_reported_by_the_launcher() {
    for signal in ["KILL", "ABRT"] {
        let mut scene = Scene::new("dies", 50_000).await;
        let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
        let metadata = scene.deployment.metadata(&instance).unwrap();
        let mut process = scene.start(&metadata);
        scene.catch(&mut process);
        process.signal(signal).unwrap();
        process.signal("CONT").unwrap();
        assert_eq!(scene.end(&mut process), None);
        scene.deployment.power_off(&instance).unwrap();
        assert!(scene.message().subject.contains("ended before it reported"));
    }
}

/// Too little address space: the program panics where it can say so, and is ended where it cannot.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_memory_is_reported() {
    for kibibytes in [45_000, 30_000] {
        let mut scene = Scene::new("memory", 1_000).await;
        let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
        let metadata = scene.deployment.metadata(&instance).unwrap();
        let program = program("STOPGAP_SYNC_JOB", "sync-job").unwrap();
        let boot = scene.deployment.boot(&program, &metadata, scene.directory.path());
        let mut limited = Command::new("/bin/sh");
        let script = format!("ulimit -v {kibibytes}; exec \"$0\" \"$@\"");
        limited.args(["-c", &script]).arg(boot.get_program()).args(boot.get_args());
        limited.envs(boot.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut process = scene.spawn(&mut limited);
        assert_ne!(scene.end(&mut process), Some(0));
        scene.deployment.power_off(&instance).unwrap();
        let message = scene.message();
        assert!(message.subject.starts_with("[FAILED]"), "{}\n{}", message.subject, scene.printed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_job_from_starting_is_told_by_it() {
    for (what, expected) in [
        ("no job file", "no job file for"),
        ("bad job file", "job.readrs"),
        ("no secret", "ResourceNotFoundException"),
        ("wrong secret", "should be under the key"),
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
            "no secret" => {
                let secret = json!({"SecretId": format!("{job}/source"), "ForceDeleteWithoutRecovery": true});
                cloud().call("secretsmanager", "delete_secret", secret).unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_and_a_spot_notice_stop_a_run_cleanly() {
    for what in ["deadline", "spot", "signal"] {
        let mut scene = Scene::new(what, 50_000).await;
        scene
            .target
            .run("CREATE TABLE orders (id integer PRIMARY KEY, what text); INSERT INTO orders VALUES (-1, 'old')")
            .unwrap();
        if what == "deadline" {
            scene.deployment.put_job_file(&scene.job_file("deadline = \"2s\"")).unwrap();
        }
        let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
        let metadata = scene.deployment.metadata(&instance).unwrap();
        let mut process = scene.start(&metadata);
        scene.catch(&mut process);
        let proc = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", process.id())).unwrap();
        let core = proc("limits").lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
        assert_eq!(
            core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(),
            ["0", "0"],
            "a core would hold passwords"
        );
        assert!(!proc("cmdline").contains(scene.target.password()), "a password stands in the arguments");
        match what {
            "deadline" => std::thread::sleep(Duration::from_secs(3)),
            "spot" => {
                metadata.spot.interrupt();
                std::thread::sleep(Duration::from_secs(6));
            }
            _ => process.signal("TERM").unwrap(),
        }
        process.signal("CONT").unwrap();
        let status = scene.end(&mut process);
        scene.deployment.power_off(&instance).unwrap();
        // Where the run was faster than what should have stopped it there is nothing to see.
        assert_eq!(status, Some(5), "{what}: {}", scene.printed);
        let message = scene.message();
        assert!(message.subject.starts_with("[INTERRUPTED]"), "{what}: {}", message.subject);
        assert_eq!(scene.target.rows("SELECT what FROM orders").unwrap(), ["old"], "{what}");
        assert_eq!(scene.target.leftovers().unwrap(), Vec::<String>::new(), "{what}");
        assert_eq!(scene.printed.contains("Spot interruption: EC2"), what == "spot", "{}", scene.printed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_sns_refuses_the_launcher_passes_the_summary_on() {
    let mut scene = Scene::new("refused", 10).await;
    let error = "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>not allowed</Message></Error></ErrorResponse>";
    let front = Front::start(cloud().port(), Box::new(move |_| Some((403, error.to_owned())))).unwrap();
    let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
    let metadata = scene.deployment.metadata(&instance).unwrap();
    let program = program("STOPGAP_SYNC_JOB", "sync-job").unwrap();
    let mut command = scene.deployment.boot(&program, &metadata, scene.directory.path());
    let mut process = scene.spawn(command.envs([front.environment("SNS")]));
    assert_eq!(scene.end(&mut process), Some(0), "{}", scene.said());
    assert!(scene.printed.contains("could not be published"), "{}", scene.printed);
    scene.deployment.power_off(&instance).unwrap();
    let message = scene.message();
    assert!(message.subject.starts_with("[OK]"), "{}", message.subject);
    assert_eq!(message.attributes["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_past_its_deadline_is_ended_and_reported() {
    let mut scene = Scene::new("overdue", 1).await;
    let job = scene.deployment.job.clone();
    scene.deployment.settings = json!({"deadline_minutes": 30});
    let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
    let sweep = |scene: &Scene| match scene.deployment.invoke(&json!({"sweep": true})).unwrap() {
        Answer::Done(answer) => answer["terminated"].as_array().unwrap().clone(),
        Answer::Failed(error) => panic!("{error}"),
    };
    assert!(!sweep(&scene).contains(&json!(instance)), "it is young");
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
    let front = Front::changing(port, Box::new(|_| None), Box::new(older)).unwrap();
    scene.deployment.environment = vec![front.environment("EC2")];
    let ended = sweep(&scene);
    assert!(ended.contains(&json!(instance)), "{ended:?}");
    scene.deployment.environment.clear();
    scene.deployment.tell_ended(&instance).unwrap();
    let message = scene.message();
    assert!(message.subject.starts_with(&format!("[FAILED] {job}: the instance ended before")), "{}", message.subject);
    let run_id = message.body["run_id"].as_str().unwrap();
    assert!(scene.deployment.record(run_id, "report.txt").unwrap().contains("past its deadline"));
}

#[tokio::test(flavor = "multi_thread")]
async fn capacity_is_looked_for_elsewhere_and_its_lack_is_told_once() {
    let mut scene = Scene::new("capacity", 1).await;
    let refusal = "<Response><Errors><Error><Code>InsufficientInstanceCapacity</Code><Message>no m7g here</Message></Error></Errors></Response>";
    scene.deployment.settings = json!({"instance_types": ["m7g.large", "m6g.large"], "spot": true});
    let few = Front::start(
        cloud().port(),
        Box::new(move |body| {
            let refused = body.contains("Action=RunInstances") && (body.contains("m7g.large") || body.contains("spot"));
            refused.then(|| (500, refusal.to_owned()))
        }),
    )
    .unwrap();
    scene.deployment.environment = vec![few.environment("EC2")];
    let Answer::Done(answer) = scene.deployment.invoke(&scene.by_hand()).unwrap() else { panic!("nothing started") };
    assert_eq!(answer["as"], "on-demand m6g.large in the template's");
    assert_eq!(answer["refused"].as_array().unwrap().len(), 3);
    scene.deployment.environment.clear();
    assert_eq!(scene.live(answer["instance"].as_str().unwrap()), Some(0));
    assert!(scene.message().subject.starts_with("[OK]"));

    let none = Front::start(
        cloud().port(),
        Box::new(move |body| body.contains("Action=RunInstances").then(|| (500, refusal.to_owned()))),
    )
    .unwrap();
    scene.deployment.environment = vec![none.environment("EC2")];
    for _ in 0..2 {
        let answer = scene.deployment.invoke_as("again", &scene.by_hand()).unwrap();
        match answer {
            Answer::Failed(error) => assert!(error.contains("no capacity anywhere"), "{error}"),
            Answer::Done(answer) => {
                assert!(answer["reason"].as_str().unwrap().contains("reported already"), "{answer}");
            }
        }
    }
    assert!(scene.message().subject.contains("no instance could be started"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_events_are_said() {
    let scene = Scene::new("bad", 1).await;
    for (event, expected) in [
        (json!({"jobs": "x"}), "not understood"),
        (json!({"detail-type": "Unheard"}), "Unheard"),
        (json!({"job": "another"}), "the job \"another\" is not known"),
    ] {
        let Answer::Failed(error) = scene.deployment.invoke(&event).unwrap() else { panic!("accepted: {event}") };
        assert!(error.contains(expected), "{event}: {error}");
    }
    // A job that somebody expects to run: told.
    assert!(scene.message().subject.contains("another: no instance could be started"));
    let mut lacking = Scene::new("lacking", 1).await;
    lacking.deployment.environment = vec![("STOPGAP_TOPIC_ARN".to_owned(), String::new())];
    let Answer::Failed(error) = lacking.deployment.invoke(&lacking.by_hand()).unwrap() else { panic!("accepted") };
    assert!(error.contains("STOPGAP_TOPIC_ARN"), "{error}");
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
    let file = format!("{}[notify]\non = \"change\"\n", scene.job_file("")).replace("dbo.*", "dbo.nothing");
    scene.deployment.put_job_file(&file).unwrap();
    let instance = scene.deployment.launch(&scene.by_hand()).unwrap();
    assert_eq!(scene.live(&instance), Some(3), "{}", scene.said());
    assert!(scene.message().subject.starts_with("[REFUSED]"));
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
