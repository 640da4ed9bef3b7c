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

mod ends;
mod launches;
mod safety_net;
mod settings;

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
struct Fixture {
    deployment: Deployment<'static>,
    source: TestSource,
    target: TestTarget,
    directory: ScratchDir,
    /// All that was printed.
    printed: String,
}

impl Fixture {
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
        let fixture = Self {
            deployment: Deployment::new(cloud(), &launcher, &job).unwrap(),
            source,
            target: TestTarget::on(Engine::Postgres).unwrap(),
            directory: ScratchDir::new("instance").unwrap(),
            printed: String::new(),
        };
        fixture.put_secrets(fixture.target.password());
        fixture.deployment.put_job_file(&fixture.job_file("")).unwrap();
        fixture
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

/// What a schedule sends.
fn scheduled(job: &str, name: &str) -> Value {
    json!({"job": job, "schedule": {"arn": arn(name), "time": "2026-11-20T04:00:00Z"}})
}

fn arn(schedule: &str) -> String {
    format!("arn:aws:scheduler:eu-central-1:123456789012:schedule/stopgap-dev/{schedule}")
}
