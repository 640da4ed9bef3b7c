//! Servers that are taken away at each stage and come back: the run waits, the copy is exact, and nothing stays behind. The processes are
//! real ones, and end as in a crash.

use std::{path::Path, time::Duration};
use stopgap_servers::{
    ScratchDir,
    simulator::{self, Simulator},
};
use stopgap_tests::{
    job::{Job, Outcome},
    program,
    source::{Address, TestSource},
    target::{Engine, TestTarget},
    tripwire::{Encoding, Tripwire},
};
use tokio::time::sleep;

const COULD_NOT_CONNECT: i32 = 4;
/// Longer than the five retries that a job had before it waited by the clock. An Aurora failover takes up to a minute.
const SHORT: Duration = Duration::from_secs(4);
const FULL_LENGTH: Duration = Duration::from_secs(30);

pub(super) const TABLE: &str =
    "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, name nvarchar(20) NOT NULL);
CREATE INDEX ix_name ON dbo.items (name);
GO
INSERT INTO dbo.items (id, name) SELECT a.d + 10 * b.d + 100 * c.d, CONCAT(N'item ', c.d, b.d, a.d)
FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS a (d)
CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS b (d)
CROSS JOIN (VALUES (0), (1)) AS c (d)";

const SECTIONS: &str = "[[table]]\nsource = \"dbo.items\"\nchunk_rows = 50\nwitness = \"full\"";

/// A stage, and what only its statements hold.
type Stage = (&'static str, &'static str);

const POSTGRES: [Stage; 8] = [
    ("catalog", "FROM pg_attribute"),
    ("lease", "pg_try_advisory_lock"),
    ("staging", "; CREATE TABLE "),
    ("load", "COPY "),
    ("digest", "hash_record_extended"),
    ("index", "PRIMARY KEY USING INDEX"),
    ("swap", " RENAME TO "),
    ("commit", "COMMIT\0"),
];

const MYSQL: [Stage; 8] = [
    ("catalog", "information_schema.columns"),
    ("lease", "GET_LOCK"),
    ("staging", "CREATE TABLE `target`.`stopgap_"),
    ("load", "LOAD DATA "),
    ("digest", "SELECT COUNT(*), CAST(COALESCE(SUM("),
    ("index", " ADD KEY "),
    ("swap", "RENAME TABLE "),
    ("commit", "COMMIT"),
];

const SOURCE: [Stage; 5] = [
    ("server's facts", "ProductVersion"),
    ("catalog", "sys.columns"),
    ("self-test", "[v0]"),
    ("load", "[name] FROM [dbo].[items]"),
    ("witness", "COUNT_BIG"),
];

pub(super) fn old_copy(target: &TestTarget) {
    target
        .run(
            "DROP TABLE IF EXISTS items; CREATE TABLE items (id int PRIMARY KEY, name varchar(20) NOT NULL); \
              INSERT INTO items VALUES (-1, 'old')",
        )
        .unwrap();
}

pub(super) fn job(source: &TestSource, target: &TestTarget) -> Job {
    // Statements about the run itself come first, and are no stage of a table.
    Job::new(source, target).unwrap().job("outage = \"3m\"\nresume_within = \"off\"").sections(SECTIONS)
}

pub(super) fn assert_exact(target: &TestTarget, outcome: &Outcome, what: &str) {
    let rows = target.rows("SELECT COUNT(*), COUNT(DISTINCT id), MIN(name), MAX(name) FROM items").unwrap();
    assert_eq!(rows, ["200|200|item 000|item 199"], "{what}");
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new(), "{what}");
    let report = outcome.json().unwrap();
    assert_eq!(report["tables"][0]["outcome"], "copied", "{what}: {report}");
    assert!(
        outcome.stderr.contains("is away") || outcome.stderr.contains("again") || outcome.stderr.contains("lost"),
        "{what}: {}",
        outcome.stderr
    );
    let sessions = target.engine.pick(
        "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'stopgap%'",
        "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
    );
    assert_eq!(target.rows(sessions).unwrap(), Vec::<String>::new(), "{what}: sessions stayed");
}

/// The target crashes while the job is at a stage, and is back after `length`.
async fn target_outage(target: &mut TestTarget, source: &TestSource, (stage, text): Stage, length: Duration) {
    let what = format!("{:?}, {stage}", target.engine);
    old_copy(target);
    let tripwire = Tripwire::start(target.port()).await.unwrap();
    // A swap is over before the server is: what it does with one that was sent, the stage of the commit shows.
    if stage == "swap" {
        tripwire.arm_before(text, Encoding::Utf8);
    } else {
        tripwire.arm(text, Encoding::Utf8);
    }
    let job = job(source, target).through(tripwire.port);
    let running = job.spawn("run", &["--format", "json"]).unwrap();
    if let Err(error) = tripwire.tripped().await {
        panic!("{what}: {error}; {}", running.said());
    }
    target.crash().unwrap();
    sleep(length).await;
    target.start_again().unwrap();
    tripwire.lead_to(target.port());
    let outcome = running.wait().unwrap().expect_code(0).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_exact(target, &outcome, &what);
}

async fn a_target_that_crashes_at_any_stage_is_waited_for(engine: Engine) {
    let source = TestSource::with(TABLE).await.unwrap();
    let mut target = TestTarget::with_own(engine, None, &[]).unwrap();
    for stage in engine.pick(POSTGRES, MYSQL) {
        target_outage(&mut target, &source, stage, SHORT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_minute_without_the_target_is_waited_for() {
    let source = TestSource::with(TABLE).await.unwrap();
    let mut target = TestTarget::with_own(Engine::Postgres, None, &[]).unwrap();
    target_outage(&mut target, &source, POSTGRES[3], FULL_LENGTH).await;
}

/// A simulator that knows the table, whichever of its processes it is.
struct Restarted {
    directory: ScratchDir,
    simulator: Option<Simulator>,
}

impl Restarted {
    fn new() -> Self {
        let directory = ScratchDir::new("outage").unwrap();
        std::fs::write(directory.path().join("shop.sql"), TABLE).unwrap();
        let mut new = Self { directory, simulator: None };
        new.start();
        new
    }

    fn start(&mut self) {
        let script = Path::join(self.directory.path(), "shop.sql");
        let options =
            simulator::Options { scripts: vec![("shop".to_owned(), script)], ..simulator::Options::default() };
        let program = program("STOPGAP_SIMULATOR", "mssql-simulator").unwrap();
        self.simulator = Some(Simulator::start(&program, &options).unwrap());
    }

    fn port(&self) -> u16 {
        self.simulator.as_ref().map_or(9, Simulator::port)
    }

    fn source(&self) -> TestSource {
        let address = Address {
            host: "127.0.0.1".to_owned(),
            port: self.port(),
            user: simulator::USER.to_owned(),
            password: simulator::PASSWORD.to_owned(),
        };
        TestSource { address, database: "shop".to_owned() }
    }
}

async fn source_outage(target: &TestTarget, (stage, text): Stage, length: Duration) {
    let what = format!("source, {stage}");
    old_copy(target);
    let mut server = Restarted::new();
    let tripwire = Tripwire::start(server.port()).await.unwrap();
    tripwire.arm(text, Encoding::Utf16);
    let through = format!("port = {}\ntls = \"disable\"", tripwire.port);
    let source = server.source();
    let job = job(&source, target).source(&through);
    let running = job.spawn("run", &["--format", "json"]).unwrap();
    // Its database goes with its process.
    std::mem::forget(source);
    if let Err(error) = tripwire.tripped().await {
        panic!("{what}: {error}; {}", running.said());
    }
    server.simulator = None;
    sleep(length).await;
    server.start();
    tripwire.lead_to(server.port());
    let outcome = running.wait().unwrap().expect_code(0).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_exact(target, &outcome, &what);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_crashes_at_any_stage_is_waited_for() {
    let target = TestTarget::with_own(Engine::Postgres, None, &[]).unwrap();
    for stage in SOURCE {
        source_outage(&target, stage, SHORT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_minute_without_the_source_is_waited_for() {
    let target = TestTarget::with_own(Engine::MariaDb, None, &[]).unwrap();
    source_outage(&target, SOURCE[3], FULL_LENGTH).await;
}

/// Both are down when the run begins: it waits for one and then the other. Commands for people say it soon.
async fn servers_that_are_down_at_the_start_are_waited_for(engine: Engine) {
    let source = TestSource::with(TABLE).await.unwrap();
    let mut target = TestTarget::with_own(engine, None, &[]).unwrap();
    old_copy(&target);
    let tripwire = Tripwire::start(target.port()).await.unwrap();
    target.crash().unwrap();
    let job = job(&source, &target).through(tripwire.port);
    let checked = job.twin().unwrap().job("outage = \"2s\"").command("check", &[]).unwrap();
    checked.expect_code(COULD_NOT_CONNECT).unwrap();
    let running = job.spawn("run", &["--format", "json"]).unwrap();
    sleep(SHORT).await;
    target.start_again().unwrap();
    tripwire.lead_to(target.port());
    let outcome = running.wait().unwrap().expect_code(0).unwrap();
    assert_exact(&target, &outcome, "at the start");
}

on_each_engine!(a_target_that_crashes_at_any_stage_is_waited_for, servers_that_are_down_at_the_start_are_waited_for,);
