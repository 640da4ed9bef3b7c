//! Interrupted runs: what they leave, and what the next one finds.

use std::time::{Duration, Instant};
use stopgap_tests::{
    job::{Job, Running},
    source::TestSource,
    target::{Engine, TestTarget},
};

const INTERRUPTED: i32 = 5;
const LEASE_HELD: i32 = 6;
pub const ROWS: &str = "200000";

/// A table large enough to be caught in the middle, and an older copy of it.
pub async fn set_up(engine: Engine) -> (TestSource, TestTarget, Job) {
    let source = TestSource::new().await.unwrap();
    let digits = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))";
    let fill = format!(
        "CREATE TABLE dbo.events (id int NOT NULL PRIMARY KEY, what nvarchar(100) NOT NULL);\nGO\n\
         INSERT INTO dbo.events (id, what) \
         SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d + 100000 * f.d, REPLICATE(N'é', 100) \
         FROM {digits} AS a (d) CROSS JOIN {digits} AS b (d) CROSS JOIN {digits} AS c (d) CROSS JOIN {digits} AS d (d) \
         CROSS JOIN {digits} AS e (d) CROSS JOIN (VALUES (0), (1)) AS f (d)"
    );
    source.run(&fill).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    target
        .run("CREATE TABLE events (id integer PRIMARY KEY, what varchar(100)); INSERT INTO events VALUES (1, 'old')")
        .unwrap();
    let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.events\"]");
    (source, target, job)
}

/// Returns when the run has a staging table, and is stopped there: it can neither end nor go on by itself.
pub fn stop_in_the_middle(target: &TestTarget, running: &mut Running) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while target.leftovers().unwrap().is_empty() {
        assert!(!running.has_ended().unwrap(), "the run ended before it could be caught: {}", running.said());
        assert!(Instant::now() < deadline, "the run made no staging table: {}", running.said());
    }
    running.signal("STOP").unwrap();
}

async fn a_signal_leaves_the_old_rows_and_nothing_else(engine: Engine) {
    let (_source, target, job) = set_up(engine).await;
    for signal in ["TERM", "INT"] {
        let mut running = job.spawn("run", &[]).unwrap();
        stop_in_the_middle(&target, &mut running);
        running.signal(signal).unwrap();
        running.signal("CONT").unwrap();
        let outcome = running.wait().unwrap().expect_code(INTERRUPTED).unwrap();
        assert!(outcome.stdout.contains("INTERRUPTED"), "no report: {}", outcome.stdout);
        assert_eq!(target.rows("SELECT * FROM events").unwrap(), ["1|old"]);
        assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
    }
}

async fn the_run_after_a_crash_cleans_up(engine: Engine) {
    let (_source, target, job) = set_up(engine).await;
    let mut running = job.spawn("run", &[]).unwrap();
    stop_in_the_middle(&target, &mut running);
    running.signal("KILL").unwrap();
    assert_eq!(running.wait().unwrap().code(), None);
    assert_eq!(target.rows("SELECT * FROM events").unwrap(), ["1|old"]);

    job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.value("SELECT count(*) FROM events").unwrap(), ROWS);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

async fn two_runs_of_one_job_keep_apart(engine: Engine) {
    let (_source, target, job) = set_up(engine).await;
    let mut first = job.spawn("run", &[]).unwrap();
    stop_in_the_middle(&target, &mut first);
    job.twin().unwrap().command("run", &[]).unwrap().expect_code(LEASE_HELD).unwrap();
    job.twin().unwrap().command("verify", &["--repair"]).unwrap().expect_code(LEASE_HELD).unwrap();
    first.signal("CONT").unwrap();
    first.wait().unwrap().expect_code(0).unwrap();
    assert_eq!(target.value("SELECT count(*) FROM events").unwrap(), ROWS);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// Ends every connection of the job to the target, as a failover does.
pub async fn fail_over(target: &TestTarget) {
    let mut session = target.session().await.unwrap();
    let sessions = target.engine.pick(
        "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'stopgap/%'",
        "SELECT CONCAT(id) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
    );
    for id in session.texts(sessions).await.unwrap() {
        let end = target.engine.pick(format!("SELECT pg_terminate_backend({id})"), format!("KILL {id}"));
        // It may have ended by itself.
        let _ = session.run(&end).await;
    }
}

async fn a_run_outlives_a_failover_of_the_target(engine: Engine) {
    let (_source, target, job) = set_up(engine).await;
    let mut running = job.spawn("run", &["-v"]).unwrap();
    stop_in_the_middle(&target, &mut running);
    fail_over(&target).await;
    running.signal("CONT").unwrap();
    let outcome = running.wait().unwrap().expect_code(0).unwrap();
    assert!(outcome.stderr.contains("the lease was lost"), "the lease was not struck: {}", outcome.stderr);
    assert_eq!(target.value("SELECT count(*) FROM events").unwrap(), ROWS);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// Its staging tables are gone: what the other run put there stays, and nobody is told that this one's rows are there.
async fn a_run_whose_lease_another_had_meanwhile_fails(engine: Engine) {
    let (source, target, job) = set_up(engine).await;
    let mut first = job.spawn("run", &[]).unwrap();
    stop_in_the_middle(&target, &mut first);
    fail_over(&target).await;
    source.run("DELETE FROM dbo.events WHERE id > 9").await.unwrap();
    job.twin().unwrap().command("run", &[]).unwrap().expect_code(0).unwrap();
    first.signal("CONT").unwrap();
    let outcome = first.wait().unwrap();
    // Where it was stopped before its staging table was complete, that was made again, and filled with what there is now.
    let well = outcome.code() == Some(1) || (outcome.code() == Some(0) && outcome.stdout.contains("1 table, 10 rows"));
    assert!(well, "{}\n{}", outcome.stdout, outcome.stderr);
    assert_eq!(target.value("SELECT count(*) FROM events").unwrap(), "10");
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// Between the old rows and the new ones nothing is left half done: a swap that waits for a reader is waited for.
async fn a_swap_that_began_comes_to_its_end(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    source
        .run("CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (2)")
        .await
        .unwrap();
    let target = TestTarget::on(engine).unwrap();
    target.run("CREATE TABLE items (id integer PRIMARY KEY); INSERT INTO items VALUES (1)").unwrap();
    let mut reader = target.session().await.unwrap();
    reader.run(engine.pick("BEGIN", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")).await.unwrap();
    reader.run(engine.pick("SELECT 1", "START TRANSACTION")).await.unwrap();
    reader.texts("SELECT CONCAT(id) FROM items").await.unwrap();
    let job = Job::new(&source, &target).unwrap().job("stall_timeout = \"1s\"");
    let job = job.target("swap_wait = \"1m\"\nlock_timeout = \"1s\"").sections("[tables]\ninclude = [\"dbo.*\"]");
    let running = job.spawn("run", &["--format", "json"]).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !running.stderr().contains("the swap waits") {
        assert!(Instant::now() < deadline, "the swap never waited: {}", running.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.signal("INT").unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    reader.run("COMMIT").await.unwrap();
    let report = running.wait().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["outcome"], "copied");
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// What was never begun needs no cleaning up.
#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_takes_few_connections() {
    let source = TestSource::new().await.unwrap();
    for number in 0..80 {
        source.run(&format!("CREATE TABLE dbo.interrupted_{number} (id int NOT NULL PRIMARY KEY)")).await.unwrap();
    }
    source.run("EXEC simulator_fault 'stall', 'interrupted_', 0, 1000, 0").await.unwrap();
    let target = TestTarget::new().unwrap();
    let job = Job::new(&source, &target).unwrap().job("tables = 2").sections("[tables]\ninclude = [\"dbo.*\"]");
    let running = job.spawn("run", &[]).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while !running.stderr().contains("loading") {
        assert!(Instant::now() < deadline, "nothing was loaded: {}", running.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.signal("TERM").unwrap();
    running.wait().unwrap().expect_code(INTERRUPTED).unwrap();
    let sessions = target.value("SELECT sessions FROM pg_stat_database WHERE datname = current_database()").unwrap();
    assert!(sessions.parse::<u32>().unwrap() < 40, "{sessions} connections");
}

/// A table that waited for the other one of its group did not fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_interrupted_is_interrupted_as_a_whole() {
    let (source, target, _) = set_up(Engine::Postgres).await;
    let script = "CREATE TABLE dbo.notes (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.notes (id) VALUES (1)";
    source.run(script).await.unwrap();
    let group = ["events", "notes"].map(|table| format!("[[table]]\nsource = \"dbo.{table}\"\ngroup = \"both\"\n"));
    let job = Job::new(&source, &target).unwrap().sections(&group.concat());
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    let ready = "SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND conname LIKE 'stopgap\\_%'";
    while target.value(ready).unwrap() == "0" {
        assert!(!running.has_ended().unwrap(), "the run ended before a table was ready: {}", running.said());
    }
    running.signal("TERM").unwrap();
    let report = running.wait().unwrap().expect_code(INTERRUPTED).unwrap().json().unwrap();
    let outcomes = report["tables"].as_array().unwrap().iter().map(|table| &table["outcome"]);
    assert_eq!(outcomes.collect::<Vec<_>>(), ["interrupted", "interrupted"], "{report}");
    assert_eq!(target.rows("SELECT * FROM events").unwrap(), ["1|old"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

on_each_engine!(
    a_run_outlives_a_failover_of_the_target,
    a_run_whose_lease_another_had_meanwhile_fails,
    a_swap_that_began_comes_to_its_end,
    a_signal_leaves_the_old_rows_and_nothing_else,
    the_run_after_a_crash_cleans_up,
    two_runs_of_one_job_keep_apart
);
