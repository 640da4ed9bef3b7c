//! Scripted faults at the source: what passes is tried again and leaves every row once, what does not keeps the old rows.

use std::time::{Duration, Instant};
use stopgap_tests::{
    job::{Job, Outcome, SOURCE_PASSWORD},
    source::TestSource,
    target::{Engine, TestTarget},
    wire::Wire,
};

const TABLES_FAILED: i32 = 1;
const PRECHECK_REFUSED: i32 = 3;
const COULD_NOT_CONNECT: i32 = 4;
const ROWS: i64 = 2_000;
const DIGITS: &str = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))";

/// The same test runs with each engine at the same time.
fn named(table: &str, engine: Engine) -> String {
    format!("{table}_{engine:?}").to_lowercase()
}

/// A table of numbers under a name that no other test's faults match, and one that always goes well.
async fn source(table: &str) -> TestSource {
    let source = TestSource::new().await.unwrap();
    source
        .run(&format!(
            "CREATE TABLE dbo.{table} (id int NOT NULL PRIMARY KEY, name nvarchar(40) NOT NULL);
             CREATE TABLE dbo.calm (id int NOT NULL PRIMARY KEY);
             INSERT INTO dbo.calm (id) VALUES (7);
             INSERT INTO dbo.{table} (id, name)
             SELECT a.d + 10 * b.d + 100 * c.d + 1000 * k.d, N'row of some length'
             FROM {DIGITS} AS a(d) CROSS JOIN {DIGITS} AS b(d) CROSS JOIN {DIGITS} AS c(d) CROSS JOIN {DIGITS} AS k(d) WHERE k.d < 2"
        ))
        .await
        .unwrap();
    source
}

fn target(engine: Engine, table: &str) -> TestTarget {
    let target = TestTarget::on(engine).unwrap();
    target
        .run(&format!(
            "CREATE TABLE {table} (id integer PRIMARY KEY, name text); INSERT INTO {table} VALUES (-1, 'old')"
        ))
        .unwrap();
    target
}

/// Scripts a fault of the statements that read the table's rows. A real server has no such faults.
async fn arm(source: &TestSource, action: &str, table: &str, times: u32, rows: u32) -> bool {
    if std::env::var_os("SYNC_TEST_MSSQL").is_some() {
        println!("a real server takes no scripted faults: nothing is tested here");
        return false;
    }
    // The column before it tells the rows from the sums of the witness.
    let reading = format!("varbinary(8000)) from [dbo].[{table}]");
    source.run(&format!("EXEC simulator_fault '{action}', '{reading}', 0, {times}, {rows}")).await.unwrap();
    true
}

fn job(source: &TestSource, target: &TestTarget) -> Job {
    Job::new(source, target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]")
}

fn retries(outcome: &Outcome, table: &str) -> u64 {
    let report = outcome.json().unwrap();
    let tables = report["tables"].as_array().unwrap();
    let own = tables.iter().find(|own| own["source"] == format!("dbo.{table}")).unwrap();
    own["retries"].as_u64().unwrap()
}

fn assert_every_row_once(target: &TestTarget, table: &str) {
    let found = target.rows(&format!("SELECT count(*), count(DISTINCT id), sum(id) FROM {table}")).unwrap();
    assert_eq!(found, [format!("{ROWS}|{ROWS}|{}", ROWS * (ROWS - 1) / 2)]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

fn assert_old_rows(target: &TestTarget, table: &str) {
    assert_eq!(target.rows(&format!("SELECT id FROM {table}")).unwrap(), ["-1"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

async fn passes(engine: Engine, action: &str, table: &str, more: &str) {
    let table = &named(table, engine);
    let (source, target) = (source(table).await, target(engine, table));
    if !arm(&source, action, table, 1, 500).await {
        return;
    }
    let outcome = job(&source, &target).job(more).run().unwrap().expect_code(0).unwrap();
    // On a busy machine a stream may seem to stall once more.
    assert!(retries(&outcome, table) >= 1, "the fault did not fire");
    assert_every_row_once(&target, table);
}

async fn a_connection_dropped_among_the_rows_is_made_again(engine: Engine) {
    passes(engine, "drop", "dropped_once", "").await;
}

async fn a_deadlock_victim_reads_again(engine: Engine) {
    passes(engine, "error 1205", "deadlocked_once", "").await;
}

async fn a_stream_that_stalls_is_given_up_and_read_again(engine: Engine) {
    passes(engine, "stall", "stalled_once", "stall_timeout = \"2s\"").await;
}

async fn a_failover_that_never_ends_keeps_the_old_rows(engine: Engine) {
    let table = &named("dropped_always", engine);
    let (source, target) = (source(table).await, target(engine, table));
    if !arm(&source, "drop", table, 1000, 500).await {
        return;
    }
    job(&source, &target).job("retries = 2").run().unwrap().expect_code(TABLES_FAILED).unwrap();
    assert_old_rows(&target, table);
}

async fn an_error_that_will_not_pass_stops_its_table_alone(engine: Engine) {
    let table = &named("broken", engine);
    let (source, target) = (source(table).await, target(engine, table));
    if !arm(&source, "error 823", table, 1000, 500).await {
        return;
    }
    let outcome = job(&source, &target).run().unwrap().expect_code(TABLES_FAILED).unwrap();
    assert_eq!(retries(&outcome, table), 0);
    assert!(outcome.stdout.contains("823"), "{}", outcome.stdout);
    assert_old_rows(&target, table);
    assert_eq!(target.rows("SELECT id FROM calm").unwrap(), ["7"]);
}

async fn one_chunk_of_many_is_read_again_by_itself(engine: Engine) {
    let table = &named("chunked", engine);
    let (source, target) = (source(table).await, target(engine, table));
    if !arm(&source, "drop", table, 2, 100).await {
        return;
    }
    let keys = "[tables]\ninclude = [\"dbo.*\"]\nchunk_rows = 300";
    let job = Job::new(&source, &target).unwrap().source("consistency = \"none\"").sections(keys);
    let outcome = job.run().unwrap().expect_code(0).unwrap();
    assert!(retries(&outcome, table) >= 1, "no fault fired");
    assert_every_row_once(&target, table);
}

async fn a_source_database_that_is_not_there(engine: Engine) {
    let table = &named("absent", engine);
    let (source, target) = (source(table).await, target(engine, table));
    let outcome = job(&source, &target).source("database = \"nowhere\"").run().unwrap();
    let outcome = outcome.expect_code(COULD_NOT_CONNECT).unwrap();
    assert!(outcome.stdout.contains("nowhere"), "{}", outcome.stdout);
    assert_old_rows(&target, table);
}

/// After a failover all connections are dead, those too that wait for the next table: they must not use up its tries.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_died_while_they_waited_cost_one_try() {
    let source = source("before_failover").await;
    source.run("CREATE INDEX ix_name ON dbo.before_failover (name)").await.unwrap();
    let target = TestTarget::on(Engine::Postgres).unwrap();
    // The first table's index waits for a lock of this test, and the second table for the first.
    target
        .run(
            "CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); END $$; \
             CREATE EVENT TRIGGER wait ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION wait()",
        )
        .unwrap();
    let mut session = target.session().await.unwrap();
    session.run("SELECT pg_advisory_lock(7)").await.unwrap();
    let wire = Wire::start(source.address.port).await.unwrap();
    let job = job(&source, &target).job("retries = 2\nreaders = 6\ntables = 1");
    let job = job.source(&format!("host = \"127.0.0.1\"\nport = {}", wire.port)).sections("chunk_rows = 100");
    let running = job.spawn("run", &["--format", "json"]).unwrap();
    let waiting = format!(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database \
         WHERE datname = '{}' AND locktype = 'advisory' AND NOT granted",
        target.database
    );
    let deadline = Instant::now() + Duration::from_mins(1);
    while target.value(&waiting).unwrap() == "0" {
        assert!(Instant::now() < deadline, "the index never came: {}", running.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let cut = wire.cut();
    assert!(cut >= 3, "only {cut} connections wait");
    session.run("SELECT pg_advisory_unlock(7)").await.unwrap();
    let outcome = running.wait().unwrap().expect_code(0).unwrap();
    assert_eq!(retries(&outcome, "calm"), 1, "{}", outcome.stderr);
    assert_every_row_once(&target, "before_failover");
    assert_eq!(target.rows("SELECT id FROM calm").unwrap(), ["7"]);
}

/// The report says whether the source or the target was waited for.
async fn a_slow_source_is_seen_in_the_time_of_reading(engine: Engine) {
    let table = &named("slow", engine);
    let (source, target) = (source(table).await, target(engine, table));
    let more = format!(
        "INSERT INTO dbo.{table} (id, name) SELECT a.id + {ROWS} * b.d, a.name FROM dbo.{table} AS a CROSS JOIN {DIGITS} AS b(d) WHERE b.d > 0"
    );
    source.run(&more).await.unwrap();
    if !arm(&source, "slow", table, 1, 0).await {
        return;
    }
    let outcome = job(&source, &target).run().unwrap().expect_code(0).unwrap();
    let report = outcome.json().unwrap();
    let own = report["tables"].as_array().unwrap().iter().find(|own| own["source"] == format!("dbo.{table}")).unwrap();
    let seconds = |stage: &str| own["stages"][stage].as_f64().unwrap();
    let (read, load) = (seconds("read"), seconds("load"));
    // A good third of a second is the source's; creating the staging table and the commit are in the load, too.
    assert!(read > 0.3 && read > load * 0.4 && read <= load, "{}", own["stages"]);
}

/// What a login may not read is said before anything is written, with the statement that grants it.
async fn a_table_that_may_not_be_read_is_refused(engine: Engine) {
    let source = source(&named("readable", engine)).await;
    let login = format!("reader_{}", source.database);
    source
        .run(&format!(
            "CREATE TABLE dbo.secrets (id int NOT NULL PRIMARY KEY); CREATE LOGIN {login} WITH PASSWORD = 'Reader-1234'; \
             CREATE USER {login} FOR LOGIN {login}; GRANT VIEW DEFINITION TO {login}; GRANT SELECT ON dbo.calm TO {login}; \
             GRANT SELECT ON dbo.{} TO {login}",
            named("readable", engine)
        ))
        .await
        .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let as_reader = |job: Job| job.source(&format!("user = \"{login}\"")).env(SOURCE_PASSWORD, "Reader-1234");
    for command in ["check", "run"] {
        let outcome = as_reader(job(&source, &target)).command(command, &[]).unwrap();
        let outcome = outcome.expect_code(PRECHECK_REFUSED).unwrap();
        let grant = format!("GRANT SELECT ON [dbo].[secrets] TO [{login}]");
        assert!(outcome.stdout.contains("dbo.secrets"), "{}", outcome.stdout);
        let words = outcome.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&grant), "{}", outcome.stdout);
        assert!(!words.contains("[calm]"), "{}", outcome.stdout);
    }
    let job =
        Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]\nexclude = [\"dbo.secrets\"]");
    as_reader(job).run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id FROM calm").unwrap(), ["7"]);
}

/// A policy that hides rows is itself hidden from a login that may not see definitions: that is said at least.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_would_go_unnoticed_is_warned_of() {
    let source = source("policed").await;
    if std::env::var_os("SYNC_TEST_MSSQL").is_some() {
        // The simulator has no functions, and applies no policies.
        let function =
            "CREATE FUNCTION dbo.visible (@id int) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS visible";
        source.run(function).await.unwrap();
    }
    let login = format!("blind_{}", source.database);
    source
        .run(&format!(
            "CREATE SECURITY POLICY dbo.hides ADD FILTER PREDICATE dbo.visible(id) ON dbo.policed WITH (STATE = ON);\nGO\n\
             CREATE LOGIN {login} WITH PASSWORD = 'Reader-1234'; CREATE USER {login} FOR LOGIN {login}; GRANT SELECT TO {login}"
        ))
        .await
        .unwrap();
    let target = TestTarget::on(Engine::Postgres).unwrap();
    let check = || {
        let job = job(&source, &target).source(&format!("user = \"{login}\"")).env(SOURCE_PASSWORD, "Reader-1234");
        let outcome = job.command("check", &["--format", "json"]).unwrap().expect_code(0).unwrap();
        let findings = outcome.json().unwrap()["findings"].as_array().unwrap().clone();
        let named = |id: &str| findings.iter().find(|finding| finding["id"] == id).map(ToString::to_string);
        (named("view-definition"), named("row-level-security"))
    };
    let (lacking, policy) = check();
    assert!(lacking.unwrap().contains(&format!("GRANT VIEW DEFINITION TO [{login}]")));
    assert_eq!(policy, None);
    source.run(&format!("GRANT VIEW DEFINITION TO {login}")).await.unwrap();
    let (lacking, policy) = check();
    assert_eq!(lacking, None);
    assert!(policy.unwrap().contains("dbo.policed"));
}

on_each_engine!(
    a_table_that_may_not_be_read_is_refused,
    a_slow_source_is_seen_in_the_time_of_reading,
    a_connection_dropped_among_the_rows_is_made_again,
    a_deadlock_victim_reads_again,
    a_stream_that_stalls_is_given_up_and_read_again,
    a_failover_that_never_ends_keeps_the_old_rows,
    an_error_that_will_not_pass_stops_its_table_alone,
    one_chunk_of_many_is_read_again_by_itself,
    a_source_database_that_is_not_there
);
