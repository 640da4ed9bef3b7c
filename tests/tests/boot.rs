//! The machine image boots, runs its job and switches itself off, whatever becomes of the job; each launch has one message.
//!
//! `cargo xtask boot-test` makes the image. Where that is not possible, `cargo xtask test` says so at its end.

#![allow(clippy::unwrap_used, reason = "everything here is a test, and a failed step is a failed test")]

use std::{
    io::Write as _,
    path::PathBuf,
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use stopgap_servers::{
    cloud::{Cloud, Deployment, Message, Metadata},
    machine::{HOST, HOST_NAME, IMAGE, Machine, NO_IMAGE},
    simulator::{self, Simulator},
};
use stopgap_tests::{
    program,
    source::{Address, TestSource},
    target::{Engine, TestTarget},
};

/// From power-on to power-off, emulated, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_mins(5);
const ROWS: u32 = 2_000;

/// The image, unless there is a reason for its absence.
fn image() -> Option<PathBuf> {
    let image = std::env::var_os(IMAGE).map(PathBuf::from);
    assert!(
        image.is_some() || std::env::var_os(NO_IMAGE).is_some(),
        "{IMAGE} names the image: run `cargo xtask boot-test`"
    );
    image
}

fn cloud() -> &'static Cloud {
    static CLOUD: OnceLock<Cloud> = OnceLock::new();
    CLOUD.get_or_init(|| {
        let venv = std::env::var_os("STOPGAP_VENV");
        let venv =
            venv.unwrap_or_else(|| panic!("STOPGAP_VENV names the Python environment: run `cargo xtask boot-test`"));
        Cloud::start(&PathBuf::from(venv)).unwrap()
    })
}

/// A job, everything that it needs, and the machine that runs it.
struct Fixture {
    name: &'static str,
    machine: Machine,
    instance: String,
    deployment: Deployment<'static>,
    target: TestTarget,
    _metadata: Metadata,
    _source: TestSource,
    // Ends after the source's database was dropped.
    _simulator: Simulator,
}

/// What differs between the scenes.
#[derive(Default)]
struct Scenario {
    name: &'static str,
    /// Of the job file, in `[job]`.
    settings: &'static str,
    /// Nothing listens where the source is said to be.
    source_down: bool,
    /// The source sends nothing more after so many rows.
    stall_after: Option<u32>,
    /// Started beside the image's own.
    units: &'static [&'static str],
}

impl Fixture {
    async fn new(image: &std::path::Path, scenario: &Scenario) -> Self {
        let simulator = program("STOPGAP_SIMULATOR", "mssql-simulator").unwrap();
        let simulator = Simulator::start(&simulator, &simulator::Options::default()).unwrap();
        let address = Address {
            host: simulator.host().to_owned(),
            port: simulator.port(),
            user: simulator::USER.to_owned(),
            password: simulator::PASSWORD.to_owned(),
        };
        let source = TestSource::at(address).await.unwrap();
        fill(&source).await;
        if let Some(rows) = scenario.stall_after {
            source.run(&format!("EXEC simulator_fault 'stall', 'orders', 0, 1000, {rows}")).await.unwrap();
        }
        let target = TestTarget::on(Engine::Postgres).unwrap();
        let launcher = program("STOPGAP_LAUNCHER", "bootstrap").unwrap();
        let deployment = Deployment::new(cloud(), &launcher, scenario.name).unwrap();
        put_secrets(&deployment, &source, &target, scenario.source_down);
        deployment.put_job_file(&job_file(scenario)).unwrap();
        let instance = deployment.launch(&json!({"job": scenario.name})).unwrap();
        let user_data = "[stopgap]\nreason = \"the boot test\"\n";
        let metadata = deployment.metadata_with(&instance, Some(user_data.to_owned())).unwrap();
        // Region, credentials and tags come from the metadata service, as they do there.
        let endpoint = ("AWS_ENDPOINT_URL".to_owned(), format!("http://{HOST}:{}", cloud().port()));
        let machine = Machine::start(image, metadata.port(), &[endpoint], scenario.units).unwrap();
        Self {
            name: scenario.name,
            machine,
            instance,
            deployment,
            target,
            _metadata: metadata,
            _source: source,
            _simulator: simulator,
        }
    }

    /// Waits for the first bytes in any table on the target, committed or not, and returns the time since power-on.
    async fn first_row(&mut self) -> Duration {
        let mut session = self.target.session().await.unwrap();
        let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' \
                      AND pg_relation_size(oid) > 0";
        while session.texts(tables).await.unwrap().is_empty() {
            self.machine.must_be_on().unwrap();
            assert!(self.machine.uptime() < LIMIT, "no row arrived:\n{}", self.machine.console());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.machine.uptime()
    }

    /// Waits until the machine is off, tells the launcher as EventBridge does, and returns the one message.
    fn end(&mut self) -> Message {
        let uptime = self.machine.wait_for_power_off(LIMIT).unwrap();
        say(&format!("{}: the machine switched itself off after {:.1} s", self.name, uptime.as_secs_f64()));
        self.deployment.power_off(&self.instance).unwrap();
        // The sweep finds nothing that has not been told.
        self.deployment.invoke(&json!({"sweep": true})).unwrap();
        let mut messages = self.deployment.messages().unwrap();
        assert_eq!(messages.len(), 1, "{messages:#?}\n{}", self.machine.console());
        messages.remove(0)
    }
}

/// To the terminal, although tests that pass are silent.
#[expect(clippy::explicit_write, reason = "what eprintln! writes is shown for tests that fail only")]
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").unwrap();
}

async fn fill(source: &TestSource) {
    let digits = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))";
    let number = "a.d + 10 * b.d + 100 * c.d + 1000 * d.d";
    source
        .run(&format!(
            "CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, what nvarchar(100) NOT NULL);
             CREATE TABLE dbo.places (id int NOT NULL PRIMARY KEY, name nvarchar(50) NULL);
             INSERT INTO dbo.places (id, name) VALUES (1, N'Ærøskøbing'), (2, NULL);
             INSERT INTO dbo.orders (id, what) SELECT {number}, REPLICATE(N'é', 100)
             FROM {digits} AS a(d) CROSS JOIN {digits} AS b(d) CROSS JOIN {digits} AS c(d) CROSS JOIN {digits} AS d(d)
             WHERE {number} < {ROWS}"
        ))
        .await
        .unwrap();
}

fn put_secrets(deployment: &Deployment<'_>, source: &TestSource, target: &TestTarget, source_down: bool) {
    let address = &source.address;
    let port = if source_down { 9 } else { address.port };
    let login = json!({"host": HOST_NAME, "port": port, "user": address.user, "password": address.password,
        "database": source.database});
    deployment.put_secret("source", &login).unwrap();
    let login = json!({"engine": "postgres", "host": HOST_NAME, "port": target.port(), "username": target.user(),
        "password": target.password(), "dbname": target.database});
    deployment.put_secret("target", &login).unwrap();
}

fn job_file(scenario: &Scenario) -> String {
    let Scenario { name, settings, .. } = scenario;
    format!(
        "[job]\nname = \"{name}\"\n{settings}\n[source]\nsecret = \"{name}/source\"\ntls = \"require\"\n\
         consistency = \"none\"\n[target]\nengine = \"postgres\"\nsecret = \"{name}/target\"\ntls = \"disable\"\n\
         [tables]\ninclude = [\"dbo.*\"]\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_boot_copies_tells_once_and_switches_off() {
    let Some(image) = image() else { return };
    let mut fixture = Fixture::new(&image, &Scenario { name: "cold-boot", ..Scenario::default() }).await;
    let first_row = fixture.first_row().await;
    say(&format!("cold-boot: {:.1} s from power-on to the first row", first_row.as_secs_f64()));
    let message = fixture.end();
    assert!(message.subject.starts_with("[OK] cold-boot: 2 tables, 2,002 rows in "), "{message:?}");
    assert_eq!(
        fixture.target.rows("SELECT count(*), sum(id), min(what) = max(what) FROM orders").unwrap(),
        [format!("{ROWS}|{}|t", ROWS * (ROWS - 1) / 2)]
    );
    assert_eq!(fixture.target.rows("SELECT id, name FROM places ORDER BY id").unwrap(), ["1|Ærøskøbing", "2|∅"]);
    let run_id = message.body["run_id"].as_str().unwrap();
    let record: Value = serde_json::from_str(&fixture.deployment.record(run_id, "report.json").unwrap()).unwrap();
    assert_eq!(
        (record["state"].as_str(), record["instance"].as_str()),
        (Some("ended"), Some(fixture.instance.as_str()))
    );
    assert!(record["started_by"].as_str().unwrap().ends_with(": the boot test"), "user data is heard: {record}");
    let console = fixture.machine.console();
    assert!(console.contains("stopgap: the run is over (success, status 0); switching off"), "{console}");
    // What stands for CloudWatch's agent shows what it would send.
    let sent: Vec<&str> =
        console.lines().filter_map(|line| line.trim().strip_prefix("agent to /stopgap/dev/job: ")).collect();
    assert!(sent.iter().any(|line| line.starts_with("[OK] cold-boot: 2 tables")), "{sent:#?}\n{console}");
    // What the unit forbids, the job does not try.
    assert!(!console.contains("not permitted"), "{console}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_down_is_told_of_and_the_machine_is_off() {
    let Some(image) = image() else { return };
    let scenario =
        Scenario { name: "source-down", settings: "outage = \"1s\"", source_down: true, ..Scenario::default() };
    let mut fixture = Fixture::new(&image, &scenario).await;
    let message = fixture.end();
    assert!(message.subject.starts_with("[FAILED] source-down: "), "{message:?}");
    assert!(message.body.to_string().contains("could not connect to SQL Server"), "{message:?}");
    assert!(fixture.machine.console().contains("stopgap: the run is over (exit-code, status 4); switching off"));
}

/// Nothing of the job is left that could tell anybody: the launcher does, when the machine is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_killed_is_told_of_and_the_machine_is_off() {
    let Some(image) = image() else { return };
    let units = &["boot-test-kill.service"];
    let scenario = Scenario { name: "killed", stall_after: Some(500), units, ..Scenario::default() };
    let mut fixture = Fixture::new(&image, &scenario).await;
    wait_for_staging(&mut fixture);
    fixture.machine.tell("kill").unwrap();
    let message = fixture.end();
    assert!(message.subject.contains("the instance ended before it reported"), "{message:?}");
    assert!(fixture.machine.console().contains("stopgap: the run is over (signal, status KILL); switching off"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_past_its_deadline_is_told_of_and_the_machine_is_off() {
    let Some(image) = image() else { return };
    let scenario =
        Scenario { name: "too-late", settings: "deadline = \"15s\"", stall_after: Some(500), ..Scenario::default() };
    let mut fixture = Fixture::new(&image, &scenario).await;
    let message = fixture.end();
    assert!(message.subject.starts_with("[INTERRUPTED] too-late: 1 of 2 tables copied, after "), "{message:?}");
    assert!(fixture.machine.console().contains("stopgap: the run is over (exit-code, status 5); switching off"));
    assert_eq!(fixture.target.leftovers().unwrap(), Vec::<String>::new());
}

/// What hangs ends by the limit, with what is known of it, and leaves nothing running.
#[test]
fn a_machine_that_stays_on_is_shown_and_ended() {
    let Some(image) = image() else { return };
    let mut machine = Machine::start(&image, 9, &[], &[]).unwrap();
    let error = machine.wait_for_power_off(Duration::from_secs(3)).unwrap_err().to_string();
    assert!(error.starts_with("the machine is still on after 3 s; its console ends with:"), "{error}");
    let emulator = PathBuf::from(format!("/proc/{}", machine.process_id()));
    assert!(emulator.exists());
    drop(machine);
    assert!(!emulator.exists());
}

/// The job is in the middle of a table.
fn wait_for_staging(fixture: &mut Fixture) {
    let deadline = Instant::now() + LIMIT;
    while fixture.target.leftovers().unwrap().is_empty() {
        fixture.machine.must_be_on().unwrap();
        assert!(Instant::now() < deadline, "no staging table:\n{}", fixture.machine.console());
        std::thread::sleep(Duration::from_millis(200));
    }
}
