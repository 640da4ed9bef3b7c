//! Tables of which all rows are compared in each run, and only those written that differ.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};
use tokio::sync::watch;

const TABLES_FAILED: i32 = 1;
const REFUSED: i32 = 3;

async fn source_with(script: &str) -> TestSource {
    let source = TestSource::new().await.unwrap();
    let allow = format!("ALTER DATABASE [{}] SET ALLOW_SNAPSHOT_ISOLATION ON;\nGO\n", source.database);
    source.run(&format!("{allow}{script}")).await.unwrap();
    source
}

fn job(source: &TestSource, target: &TestTarget, mode: &str, keys: &str) -> Job {
    let sections = format!("[[table]]\nsource = \"dbo.items\"\nmode = \"{mode}\"\n{keys}");
    Job::new(source, target).unwrap().source("consistency = \"snapshot\"").sections(&sections)
}

/// Runs the job and returns what the report says of the one table.
fn run(job: &Job) -> Value {
    job.run().unwrap().expect_code(0).unwrap().json().unwrap()["tables"][0].clone()
}

fn numbers(table: &Value) -> [u64; 3] {
    ["inserted", "present", "deleted"].map(|name| table["changes"][name].as_u64().unwrap())
}

const ALL: &str = "SELECT CONCAT(code, ' ', n, ' ', COALESCE(note, '-')) FROM items";

async fn assert_alike(source: &TestSource, target: &TestTarget, filter: &str) {
    let all = format!("SELECT CONCAT(code, N' ', n, N' ', ISNULL(note, N'-')) FROM dbo.items WHERE {filter}");
    let mut at_source: Vec<String> = source.texts(&all).await.unwrap().into_iter().flatten().collect();
    let mut found = target.rows(ALL).unwrap();
    at_source.sort();
    found.sort();
    assert_eq!(found, at_source);
    assert!(target.leftovers().unwrap().is_empty(), "a comparison remembers nothing");
}

/// Counts each row that is written.
fn audit(target: &TestTarget) {
    let statements = target.engine.pick(
        "CREATE TABLE written (what text); \
         CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO written VALUES (TG_OP); RETURN NULL; END $$; \
         CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION audit()",
        "CREATE TABLE written (what varchar(10)); \
         CREATE TRIGGER audit_insert AFTER INSERT ON items FOR EACH ROW INSERT INTO written VALUES ('INSERT'); \
         CREATE TRIGGER audit_update AFTER UPDATE ON items FOR EACH ROW INSERT INTO written VALUES ('UPDATE'); \
         CREATE TRIGGER audit_delete AFTER DELETE ON items FOR EACH ROW INSERT INTO written VALUES ('DELETE')",
    );
    target.run(statements).unwrap();
}

fn written(target: &TestTarget) -> Vec<String> {
    let rows = target.rows("SELECT what FROM written ORDER BY 1").unwrap();
    target.run("DELETE FROM written").unwrap();
    rows
}

/// Under a key of text, whose values the source takes for equal that differ in case.
async fn only_rows_that_differ_are_written(engine: Engine) {
    let source = source_with(
        "CREATE TABLE dbo.items (code nvarchar(20) NOT NULL PRIMARY KEY, n int NOT NULL, note nvarchar(20) NULL);\nGO\n\
         INSERT INTO dbo.items VALUES (N'a', 1, N'x'), (N'b', 2, NULL), (N'c', 3, N'y'), (N'ü', 4, N'z'), (N'old', 5, N'0')",
    )
    .await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "compare", "filter = \"n < DATEPART(year, GETDATE())\"");
    assert_eq!(run(&job)["changes"]["why_full"], "target_differs");
    assert_alike(&source, &target, "1 = 1").await;
    audit(&target);

    let idle = run(&job);
    assert_eq!((numbers(&idle), &idle["changes"]["why_full"]), ([0; 3], &Value::Null), "{idle}");
    assert_eq!(
        (&idle["changes"]["compared"]["rows"], &idle["changes"]["compared"]["bytes_sent"]),
        (&5.into(), &0.into())
    );
    assert!(idle["changes"]["compared"]["bytes_read"].as_u64().unwrap() > 0, "{idle}");
    assert!(written(&target).is_empty());

    // Changed, gone, new, beyond the filter, and a key that changes only its case.
    source
        .run(
            "UPDATE dbo.items SET note = N'X' WHERE code = N'a';\nDELETE FROM dbo.items WHERE code = N'b';\n\
             INSERT INTO dbo.items VALUES (N'd', 6, NULL);\nUPDATE dbo.items SET n = 9999 WHERE code = N'c';\n\
             UPDATE dbo.items SET code = N'OLD' WHERE code = N'old'",
        )
        .await
        .unwrap();
    let found = run(&job);
    assert_eq!(numbers(&found), [2, 1, 3], "{found}");
    assert_alike(&source, &target, "n < 9999").await;
    assert_eq!(written(&target), ["DELETE", "DELETE", "DELETE", "INSERT", "INSERT", "UPDATE"]);

    // Somebody else writes to the target.
    target.run("UPDATE items SET note = 'meddled' WHERE code = 'd'; DELETE FROM items WHERE code = 'a'; INSERT INTO items VALUES ('zz', 1, NULL)").unwrap();
    written(&target);
    assert_eq!(numbers(&run(&job)), [1, 1, 1]);
    assert_eq!(written(&target), ["DELETE", "INSERT", "UPDATE"]);
    assert_alike(&source, &target, "n < 9999").await;
}

async fn rows_that_exchange_unique_values_arrive(engine: Engine) {
    let source = source_with(
        "CREATE TABLE dbo.items (code varchar(20) NOT NULL PRIMARY KEY, n int NOT NULL UNIQUE, note nvarchar(20) NULL);\nGO\n\
         INSERT INTO dbo.items VALUES ('a', 1, NULL), ('b', 2, NULL), ('c', 3, NULL)",
    )
    .await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "compare", "");
    run(&job);
    source.run("UPDATE dbo.items SET n = 0 WHERE n = 1;\nUPDATE dbo.items SET n = 1 WHERE n = 2;\nUPDATE dbo.items SET n = 2 WHERE n = 0").await.unwrap();
    assert_eq!(numbers(&run(&job)), [0, 2, 0]);
    assert_alike(&source, &target, "1 = 1").await;
}

async fn what_cannot_be_compared_is_copied_whole_or_refused(engine: Engine) {
    let source = source_with(
        "CREATE TABLE dbo.items (code varchar(20) NOT NULL PRIMARY KEY, n int NOT NULL);\nGO\nINSERT INTO dbo.items VALUES ('a', 1)",
    )
    .await;
    let target = TestTarget::on(engine).unwrap();
    let compared = job(&source, &target, "compare", "");
    run(&compared);
    source
        .run("ALTER TABLE dbo.items ADD note nvarchar(20) NULL;\nGO\nUPDATE dbo.items SET note = N'new'")
        .await
        .unwrap();
    assert_eq!(run(&compared)["changes"]["why_full"], "target_differs");
    assert_alike(&source, &target, "1 = 1").await;
    assert_eq!(run(&compared)["changes"]["why_full"], Value::Null);
    for (keys, words) in [
        ("consistency = \"none\"", "must be as they were"),
        ("indexes = \"none\"", "gets no primary key"),
        ("columns = [\"n\"]", "is not copied"),
    ] {
        let refused = job(&source, &target, "compare", keys).run().unwrap().expect_code(REFUSED).unwrap();
        assert!(refused.stdout.contains(words), "{keys}: {}", refused.stdout);
    }
}

async fn a_table_that_would_shrink_too_much_keeps_its_rows(engine: Engine) {
    let source = source_with(
        "CREATE TABLE dbo.items (code varchar(20) NOT NULL PRIMARY KEY, n int NOT NULL, note int NULL);\nGO\n\
         INSERT INTO dbo.items VALUES ('a', 1, 0), ('b', 2, 0), ('c', 3, 0), ('d', 4, 0)",
    )
    .await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "compare", "max_shrink_percent = 25");
    run(&job);
    source.run("DELETE FROM dbo.items WHERE n > 2;\nUPDATE dbo.items SET note = 5").await.unwrap();
    let report = job.run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["failure"]["code"], "shrink_guard", "{report}");
    assert_eq!(target.value("SELECT CONCAT(COUNT(*), ' ', SUM(note)) FROM items").unwrap(), "4 0");
}

const DIGITS: &str = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))";

/// Rows that differ are read a second time. A workload that goes on meanwhile must not be seen by that: each transaction moves an amount from one
/// row to another, and their sum never changes.
async fn a_comparison_is_of_one_moment(engine: Engine) {
    let source = Arc::new(
        source_with(&format!(
            "CREATE TABLE dbo.items (code int NOT NULL PRIMARY KEY, n int NOT NULL);\nGO\n\
             INSERT INTO dbo.items SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d, 0 FROM {DIGITS} AS a (d) CROSS JOIN {DIGITS} AS b (d) \
             CROSS JOIN {DIGITS} AS c (d) CROSS JOIN {DIGITS} AS d (d) CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5)) AS e (d)"
        ))
        .await,
    );
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "compare", "");
    run(&job);
    let (stop, stopped) = watch::channel(false);
    let writer = tokio::spawn({
        let source = Arc::clone(&source);
        async move {
            let mut client = source.address.connect(&source.database).await.unwrap();
            let mut written = 0_i64;
            while !*stopped.borrow() {
                let (from, to) = (written * 7_919 % 60_000, (written * 104_729 + 1) % 60_000);
                let sql = format!(
                    "BEGIN TRANSACTION; UPDATE dbo.items SET n = n - 1 WHERE code = {from}; UPDATE dbo.items SET n = n + 1 WHERE code = {to}; \
                     COMMIT TRANSACTION"
                );
                client.simple_query(sql.as_str()).await.unwrap().into_results().await.unwrap();
                written += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            written
        }
    });
    let mut changed = 0;
    for _ in 0..3 {
        changed += numbers(&run(&job))[1];
        assert_eq!(target.value("SELECT SUM(n) FROM items").unwrap(), "0");
    }
    stop.send(true).unwrap();
    assert!(writer.await.unwrap() > 0 && changed > 0, "nothing was written meanwhile");
    assert!(numbers(&run(&job))[1] > 0);
    job.command("verify", &[]).unwrap().expect_code(0).unwrap();
}

async fn a_database_snapshot_is_compared_too(engine: Engine) {
    let source = source_with(
        "CREATE TABLE dbo.items (code varchar(20) NOT NULL PRIMARY KEY, n int NOT NULL, note nvarchar(20) NULL);\nGO\n\
         INSERT INTO dbo.items VALUES ('a', 1, NULL), ('b', 2, NULL)",
    )
    .await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "compare", "consistency = \"database-snapshot\"");
    run(&job);
    source.run("UPDATE dbo.items SET n = 3 WHERE code = 'b'").await.unwrap();
    assert_eq!(numbers(&run(&job)), [0, 1, 0]);
    assert_alike(&source, &target, "1 = 1").await;
}

/// A tracked table that somebody meddled with on the target, once a run has failed over it; what the report named.
async fn meddled(engine: Engine, keys: &str) -> (TestSource, TestTarget, Job, Value) {
    let source = source_with(
        "CREATE TABLE dbo.items (code int NOT NULL PRIMARY KEY, n int NOT NULL, note nvarchar(20) NULL);\nGO\n\
         INSERT INTO dbo.items VALUES (1, 1, NULL), (2, 2, NULL), (3, 3, NULL)",
    )
    .await;
    let database = &source.database;
    source
        .run(&format!(
            "ALTER DATABASE [{database}] SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON);\nGO\n\
             ALTER TABLE dbo.items ENABLE CHANGE_TRACKING"
        ))
        .await
        .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "change-tracking", &format!("prove = \"1/1\"\n{keys}")).job("show_values = true");
    run(&job);
    target.run("UPDATE items SET note = 'meddled' WHERE code = 2").unwrap();
    source.run("UPDATE dbo.items SET note = N'new' WHERE code = 3").await.unwrap();
    let report = job.run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    let failed = report["tables"][0].clone();
    assert_eq!(failed["failure"]["code"], "mismatch", "{failed}");
    (source, target, job, failed)
}

async fn a_failed_proof_names_rows_and_the_next_run_compares(engine: Engine) {
    let (source, target, job, failed) = meddled(engine, "on_mismatch = \"compare\"").await;
    let keys = failed["differences"]["keys"].as_array().unwrap();
    let old: Vec<&Value> = keys.iter().filter(|key| key["newer_at_source"] == false).collect();
    assert_eq!(old.len(), 1, "{failed}");
    assert_eq!((&old[0]["what"], &old[0]["key"]), (&"differs".into(), &"code = 2".into()), "{failed}");

    let healed = run(&job);
    assert_eq!((&healed["changes"]["why_full"], numbers(&healed)), (&Value::Null, [0, 2, 0]), "{healed}");
    assert_eq!(healed["changes"]["compared"]["rows"], 3, "{healed}");
    assert_eq!(
        target.rows("SELECT CONCAT(code, ' ', COALESCE(note, '-')) FROM items ORDER BY code").unwrap(),
        ["1 -", "2 -", "3 new"]
    );
    // From here on changes are followed again.
    source.run("DELETE FROM dbo.items WHERE code = 1").await.unwrap();
    let next = run(&job);
    assert_eq!((&next["changes"]["compared"], numbers(&next)), (&Value::Null, [0, 0, 1]), "{next}");
}

async fn a_failed_proof_fails_until_somebody_has_looked(engine: Engine) {
    let (_source, _target, job, _) = meddled(engine, "on_mismatch = \"fail\"").await;
    job.run().unwrap().expect_code(TABLES_FAILED).unwrap();
    job.command("verify", &["--repair"]).unwrap().expect_code(0).unwrap();
    let next = run(&job);
    assert_eq!((&next["changes"]["why_full"], &next["rows"]), (&Value::Null, &0.into()), "{next}");
}

on_each_engine!(
    only_rows_that_differ_are_written,
    rows_that_exchange_unique_values_arrive,
    what_cannot_be_compared_is_copied_whole_or_refused,
    a_table_that_would_shrink_too_much_keeps_its_rows,
    a_comparison_is_of_one_moment,
    a_database_snapshot_is_compared_too,
    a_failed_proof_names_rows_and_the_next_run_compares,
    a_failed_proof_fails_until_somebody_has_looked,
);
