//! Scripted faults at the source: what passes is tried again and leaves every row once, what does not keeps the old rows.

use stopgap_tests::{
    job::{Job, Outcome},
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;
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
    source.run(&format!("EXEC simulator_fault '{action}', 'from [dbo].[{table}]', 0, {times}, {rows}")).await.unwrap();
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

on_each_engine!(
    a_connection_dropped_among_the_rows_is_made_again,
    a_deadlock_victim_reads_again,
    a_stream_that_stalls_is_given_up_and_read_again,
    a_failover_that_never_ends_keeps_the_old_rows,
    an_error_that_will_not_pass_stops_its_table_alone,
    one_chunk_of_many_is_read_again_by_itself,
    a_source_database_that_is_not_there
);
