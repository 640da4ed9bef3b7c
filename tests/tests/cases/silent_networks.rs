//! A network that drops every packet and closes nothing, on either side and at each stage: no answer, no acknowledgement, no reset. The job
//! gives the connection up by itself, finds out what became of its last statement, and goes on over a new one.

use std::{
    path::Path,
    time::{Duration, Instant},
};
use stopgap_servers::simulator::{self, Simulator};
use stopgap_tests::{
    job::Job,
    program,
    source::{Address, TestSource},
    target::{Engine, TestTarget},
    tripwire::{Encoding, Tripwire},
};
use tokio::time::sleep;

use super::outages::{TABLE, assert_exact, job, old_copy};

/// The job's `stall_timeout`, from which every bound on a connection follows, scaled down from a minute.
const STALL: &str = "stall_timeout = \"2s\"";
/// How long the network is silent: longer than it takes to notice it, which is twice the stall timeout at most.
const SILENCE: Duration = Duration::from_secs(4);
/// Longer than the job takes, and shorter than the system's own keep-alive by far.
const SOON: Duration = Duration::from_mins(1);
/// Longer than the pause between two heartbeats, half the stall timeout, and shorter than what counts as a stall.
const LONG_READ: Duration = Duration::from_millis(1_700);

/// A stage: what only its statements hold, and what the job says of it when the network was silent there. A lost COMMIT and a lost RENAME are
/// settled without a word of their own.
struct Stage {
    name: &'static str,
    text: &'static str,
    said: &'static str,
}

const fn stage(name: &'static str, text: &'static str, said: &'static str) -> Stage {
    Stage { name, text, said }
}

const HEARTBEAT: &str = "heartbeat";
/// What the heartbeat says.
const SILENT: &str = "the target does not answer";

const POSTGRES: [Stage; 9] = [
    stage("catalog", "FROM pg_attribute", "what=\"plan\""),
    stage("lease", "pg_try_advisory_lock", "what=\"lease\""),
    stage(HEARTBEAT, "AND pid = pg_backend_pid()", SILENT),
    stage("staging", "; CREATE TABLE ", "creating the staging table"),
    stage("load", "COPY ", "items 1/4"),
    stage("digest", "hash_record_extended", "items: digest"),
    stage("index", "PRIMARY KEY USING INDEX", "items: indexes"),
    stage("swap", " RENAME TO ", "the swap waits"),
    stage("commit", "COMMIT\0", SILENT),
];

const MYSQL: [Stage; 9] = [
    stage("catalog", "information_schema.columns", "what=\"plan\""),
    stage("lease", "GET_LOCK", "what=\"lease\""),
    stage(HEARTBEAT, " = CONNECTION_ID()", SILENT),
    stage("staging", "CREATE TABLE `target`.`stopgap_", "creating the staging table"),
    stage("load", "LOAD DATA ", "items 1/4"),
    stage("digest", "SELECT COUNT(*), CAST(COALESCE(SUM(", "items: digest"),
    stage("index", " ADD KEY ", "items: indexes"),
    stage("swap", "RENAME TABLE ", SILENT),
    stage("commit", "COMMIT", SILENT),
];

const ROWS: &str = "[name] FROM [dbo].[items]";
const AMID: &str = "in the middle of a chunk";

const SOURCE: [Stage; 7] = [
    stage("server's facts", "ProductVersion", "what=\"plan\""),
    stage("catalog", "sys.columns", "what=\"plan\""),
    stage("self-test", "[v0]", "what=\"plan\""),
    stage("chunk bounds", "SELECT MIN([id])", "dbo.items: finding chunk bounds"),
    stage("load", ROWS, "reading dbo.items: nothing came for 2 s"),
    stage(AMID, ROWS, "reading dbo.items: nothing came for 2 s"),
    stage("witness", "SELECT COUNT_BIG(*), ", "dbo.items: witness"),
];

/// Drops all packets of a tripwire that has been armed for a stage, lets new connections pass after a while, and holds the run to its end.
async fn fall_silent(what: &str, stage: &Stage, job: &Job, tripwire: &Tripwire, target: &TestTarget) {
    let running = job.spawn("run", &["--format", "json"]).unwrap();
    if let Err(error) = tripwire.tripped().await {
        panic!("{what}: {error}; {}", running.said());
    }
    if stage.name == AMID {
        sleep(Duration::from_millis(300)).await;
    }
    tripwire.drop_packets().unwrap();
    let silent = Instant::now();
    sleep(SILENCE).await;
    tripwire.let_pass().unwrap();
    let outcome = running.wait().unwrap().expect_code(0).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(silent.elapsed() < SOON, "{what}: it took {:?}; {}", silent.elapsed(), outcome.stderr);
    assert!(outcome.stderr.contains(stage.said), "{what}: it did not strike there: {}", outcome.stderr);
    assert_exact(target, &outcome, what);
    let report = outcome.json().unwrap();
    let witness = &report["tables"][0]["witness"];
    assert_eq!(witness["state"], "agrees", "{what}: {witness}; {}", outcome.stderr);
}

/// The server does what it was told; its answer is lost.
async fn a_target_that_falls_silent_at_any_stage_is_given_up_and_found_again(engine: Engine) {
    let source = TestSource::with(TABLE).await.unwrap();
    let target = TestTarget::with_own(engine, None, &[]).unwrap();
    for stage in engine.pick(POSTGRES, MYSQL) {
        let what = format!("{engine:?}, {}", stage.name);
        old_copy(&target);
        let tripwire = Tripwire::start(target.port()).await.unwrap();
        tripwire.arm_after(stage.text, Encoding::Utf8);
        // The lease is checked before a swap, too; its heartbeat is what comes while rows are read.
        let reading = Tripwire::start(source.address.port).await.unwrap();
        if stage.name == HEARTBEAT {
            reading.delay(ROWS, Encoding::Utf16, LONG_READ);
        }
        let job = job(&source, &target).job(STALL).through(tripwire.port);
        let job = job.source(&format!("port = {}\ntls = \"disable\"", reading.port));
        fall_silent(&what, &stage, &job, &tripwire, &target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_falls_silent_at_any_stage_is_given_up_and_found_again() {
    let program = program("STOPGAP_SIMULATOR", "mssql-simulator").unwrap();
    let simulator = Simulator::start(Path::new(&program), &simulator::Options::default()).unwrap();
    let address = Address {
        host: simulator.host().to_owned(),
        port: simulator.port(),
        user: simulator::USER.to_owned(),
        password: simulator::PASSWORD.to_owned(),
    };
    let source = TestSource::at(address).await.unwrap();
    source.run(&TABLE.replace("name nvarchar(20)", "body varchar(max) NULL, name nvarchar(20)")).await.unwrap();
    source.run("UPDATE dbo.items SET body = REPLICATE(CAST('x' AS varchar(max)), 30000)").await.unwrap();
    let target = TestTarget::with_own(Engine::Postgres, None, &[]).unwrap();
    for stage in SOURCE {
        let what = format!("source, {}", stage.name);
        old_copy(&target);
        let tripwire = Tripwire::start(source.address.port).await.unwrap();
        if stage.name == AMID {
            // 50 rows of 30 kB then take more than half a second.
            source.run(&format!("EXEC simulator_fault 'slow', '{ROWS}', 0, 1, 1")).await.unwrap();
            tripwire.arm(stage.text, Encoding::Utf16);
        } else {
            tripwire.arm_after(stage.text, Encoding::Utf16);
        }
        let job = job(&source, &target).job(STALL).source(&format!("port = {}\ntls = \"disable\"", tripwire.port));
        fall_silent(&what, &stage, &job, &tripwire, &target).await;
        let sessions = "SELECT program_name FROM sys.dm_exec_sessions WHERE program_name LIKE N'stopgap/%'";
        assert_eq!(source.texts(sessions).await.unwrap(), [], "{what}: sessions stayed");
    }
}

on_each_engine!(a_target_that_falls_silent_at_any_stage_is_given_up_and_found_again);
