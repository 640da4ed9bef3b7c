//! Settings of the server that the job did not choose: none of them cuts a run off, and what it cannot work with is in the plan.

use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
    wire::Wire,
};
use tokio::time::{Duration, Instant, sleep};

use super::interruption::{ROWS, set_up};

const PRECHECK_REFUSED: i32 = 3;
/// Part of what the source sends of its rows, and more than of anything else.
const BYTES_BEFORE_A_PAUSE: u64 = 4 << 20;
const DIGITS: &str = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))";

fn job(source: &TestSource, target: &TestTarget) -> Job {
    Job::new(source, target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]")
}

/// People limit statements so that nobody's mistake holds up the server. A digest takes as long as it takes.
async fn limits_of_statements_are_not_the_jobs(engine: Engine) {
    let (source, _, _) = set_up(engine).await;
    let target = TestTarget::with_own(engine, None, &[]).unwrap();
    let limits = match engine {
        Engine::MySql => "SET GLOBAL max_execution_time = 20",
        _ => "SET GLOBAL max_statement_time = 0.02",
    };
    target.run(&format!("{limits}; SET GLOBAL sql_select_limit = 1")).unwrap();
    for _ in 0..2 {
        let report = job(&source, &target).run().unwrap().expect_code(0).unwrap().json().unwrap();
        assert_eq!(report["tables"][0]["retries"], 0, "{report}");
    }
    target.run("SET GLOBAL sql_select_limit = DEFAULT").unwrap();
    let everything = match engine {
        Engine::MySql => "SET max_execution_time = 0",
        _ => "SET max_statement_time = 0",
    };
    assert_eq!(target.value(&format!("{everything}; SELECT count(*) FROM events")).unwrap(), ROWS);
}

/// Where each LOAD DATA into a table that counts up locks out the others until its end, they would wait for one another in vain.
async fn rows_that_count_up_are_loaded_one_chunk_at_a_time_where_they_must(engine: Engine) {
    let source = TestSource::with(
        &format!("CREATE TABLE dbo.counted (id int IDENTITY(1, 1) NOT NULL PRIMARY KEY, what nvarchar(100) NULL);\nGO\n\
         INSERT INTO dbo.counted (what) SELECT REPLICATE(N'é', 100) FROM {DIGITS} AS a (d) CROSS JOIN {DIGITS} AS b (d) \
         CROSS JOIN {DIGITS} AS c (d) CROSS JOIN {DIGITS} AS d (d) CROSS JOIN {DIGITS} AS e (d)"),
    )
    .await.unwrap();
    for mode in ["1", "2"] {
        let target = TestTarget::with_own(engine, None, &[("innodb-autoinc-lock-mode", mode)]).unwrap();
        let wire = Wire::holding(source.address.port, BYTES_BEFORE_A_PAUSE).await.unwrap();
        let job = job(&source, &target).job("readers = 4").sections("chunk_rows = 20000");
        let job = job.source(&format!("host = \"127.0.0.1\"\nport = {}", wire.port));
        let running = job.spawn("run", &["--format", "json"]).unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        let loads = || {
            let loads = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'LOAD DATA %'";
            target.value(loads).unwrap()
        };
        while !wire.holds() || loads() == "0" {
            assert!(Instant::now() < deadline, "no load: {}", running.said());
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(loads() == "1", mode == "1", "mode {mode}: {} at once", loads());
        wire.release();
        running.wait().unwrap().expect_code(0).unwrap();
        assert_eq!(target.value("SELECT MAX(id) FROM counted").unwrap(), "100000");
    }
}

async fn tables_without_a_key_are_refused_where_the_server_takes_none(engine: Engine) {
    if engine != Engine::MySql {
        // MariaDB has a switch of its own for it, by another name and for a whole server.
        return;
    }
    let source = TestSource::with(
        "CREATE TABLE dbo.keyless (n int NULL); INSERT INTO dbo.keyless (n) VALUES (1), (1); \
         CREATE TABLE dbo.keyed (n int NOT NULL PRIMARY KEY); INSERT INTO dbo.keyed (n) VALUES (1)",
    )
    .await
    .unwrap();
    let target = TestTarget::with_own(engine, None, &[("sql-require-primary-key", "1")]).unwrap();
    let outcome = job(&source, &target).command("check", &[]).unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    let said = outcome.stdout.replace("\n         ", " ");
    assert!(said.contains("sql_require_primary_key") && said.contains("dbo.keyless"), "{said}");
    assert!(!said.contains("dbo.keyed takes"), "{said}");
    target.run("SET GLOBAL sql_generate_invisible_primary_key = 1").unwrap();
    job(&source, &target).run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT n FROM keyless").unwrap(), ["1", "1"]);
    // The key that the server made is nobody's concern: the table is replaced as any other.
    source.run("INSERT INTO dbo.keyless (n) VALUES (2)").await.unwrap();
    let report = job(&source, &target).run().unwrap().expect_code(0).unwrap().json().unwrap();
    let tables = report["tables"].as_array().unwrap();
    assert!(tables.iter().all(|table| table["swap"] == "rename"), "{report}");
    assert_eq!(target.rows("SELECT n FROM keyless ORDER BY n").unwrap(), ["1", "1", "2"]);
}

on_each_mysql!(
    limits_of_statements_are_not_the_jobs,
    rows_that_count_up_are_loaded_one_chunk_at_a_time_where_they_must,
    tables_without_a_key_are_refused_where_the_server_takes_none,
);
