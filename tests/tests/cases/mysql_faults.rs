//! Faults at every stage of the work on a server that speaks MySQL's protocol: the counterpart of `target_faults`. Triggers do
//! not see statements on tables here, so a wire between the two strikes.

use stopgap_tests::{
    job::{Job, Outcome},
    mysql_proxy::{Moment, Proxy},
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;
const DEADLOCK: Moment =
    Moment::Fails(1213, "40001", "Deadlock found when trying to get lock; try restarting transaction");
const LOCK_WAIT: Moment = Moment::Fails(1205, "HY000", "Lock wait timeout exceeded; try restarting transaction");
const DISK_FULL: Moment = Moment::Fails(1114, "HY000", "The table is full");

/// A stage, and how to know its statement.
type Stage = (&'static str, fn(&str) -> bool);

/// The primary key is part of the first: InnoDB's rows lie in its order.
const STAGES: [Stage; 6] = [
    ("staging", |sql| sql.starts_with("CREATE TABLE ")),
    ("load", |sql| sql.starts_with("LOAD DATA ")),
    ("commit", |sql| sql == "COMMIT"),
    ("index", |sql| sql.starts_with("ALTER TABLE ") && sql.contains(" ADD KEY ")),
    ("digest", |sql| sql.starts_with("SELECT COUNT(*), CAST(COALESCE(SUM(")),
    ("swap", |sql| sql.starts_with("RENAME TABLE ")),
];

fn drops_the_old_table(sql: &str) -> bool {
    sql.starts_with("DROP TABLE IF EXISTS ") && sql.ends_with("o`")
}

async fn source() -> TestSource {
    let source = TestSource::new().await.unwrap();
    let sql = "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, name nvarchar(20) NOT NULL); \
               CREATE INDEX ix_name ON dbo.items (name); \
               INSERT INTO dbo.items (id, name) VALUES (1, N'one'), (2, N'two'), (3, N'three')";
    source.run(sql).await.unwrap();
    source
}

fn target(engine: Engine) -> TestTarget {
    let target = TestTarget::on(engine).unwrap();
    target
        .run("CREATE TABLE items (id int PRIMARY KEY, name varchar(20) NOT NULL); INSERT INTO items VALUES (-1, 'old')")
        .unwrap();
    target
}

fn run(source: &TestSource, target: &TestTarget, proxy: &Proxy) -> Outcome {
    // Statements about the run itself come first, and are no stage of a table.
    let job =
        Job::new(source, target).unwrap().job("retries = 2\nresume_within = \"off\"").target("swap_wait = \"3s\"");
    job.sections("[tables]\ninclude = [\"dbo.*\"]").through(proxy.port).run().unwrap()
}

fn assert_new(target: &TestTarget, what: &str) {
    let rows = target.rows("SELECT id, name FROM items ORDER BY id").unwrap();
    assert_eq!(rows, ["1|one", "2|two", "3|three"], "{what}");
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new(), "{what}");
}

async fn what_passes_at_any_stage_heals(engine: Engine) {
    let source = source().await;
    for moment in [DEADLOCK, LOCK_WAIT, Moment::Broken, Moment::ReplyLost] {
        for (stage, watched) in STAGES {
            let target = target(engine);
            let proxy = Proxy::start(target.port(), watched, Some((0, moment))).await.unwrap();
            let what = format!("{stage} {moment:?}");
            let outcome = run(&source, &target, &proxy).expect_code(0);
            let outcome = outcome.unwrap_or_else(|error| panic!("{what}: {error:#}"));
            assert!(!proxy.statements().is_empty(), "{what}: never came");
            let said = ["again", "waits", "asking what became of it"];
            // A RENAME that was carried out without a reply is found to be done.
            let settled = stage == "swap" && moment == Moment::ReplyLost;
            assert!(
                settled || said.iter().any(|words| outcome.stderr.contains(words)),
                "{what}: nothing was tried again: {}",
                outcome.stderr
            );
            assert_new(&target, &what);
        }
    }
}

async fn what_does_not_pass_keeps_the_old_rows(engine: Engine) {
    let source = source().await;
    for (moment, words) in [(DISK_FULL, "1114"), (DEADLOCK, "1213"), (Moment::Broken, "")] {
        for (stage, watched) in STAGES {
            let target = target(engine);
            let proxy = Proxy::repeated(target.port(), watched, Some((0, moment)), 1_000).await.unwrap();
            let what = format!("{stage} {moment:?}");
            let outcome = run(&source, &target, &proxy).expect_code(TABLES_FAILED);
            let outcome = outcome.unwrap_or_else(|error| panic!("{what}: {error:#}"));
            let report = outcome.json().unwrap();
            let failure = &report["tables"][0]["failure"];
            let message = failure["message"].as_str().unwrap_or_default();
            assert!(message.contains(words), "{what}: {message}");
            assert!(!failure["remedy"].as_str().unwrap_or_default().is_empty(), "{what}");
            assert_eq!(target.rows("SELECT id, name FROM items").unwrap(), ["-1|old"], "{what}");
            assert_eq!(target.leftovers().unwrap(), Vec::<String>::new(), "{what}");
        }
    }
}

/// The readers have the new rows by then, so this is no failure.
async fn an_old_table_that_cannot_be_dropped_is_dropped_by_the_next_run(engine: Engine) {
    let source = source().await;
    for moment in [DEADLOCK, DISK_FULL, Moment::Broken] {
        let target = target(engine);
        let proxy = Proxy::start(target.port(), drops_the_old_table, Some((0, moment))).await.unwrap();
        let outcome =
            run(&source, &target, &proxy).expect_code(0).unwrap_or_else(|error| panic!("{moment:?}: {error:#}"));
        assert!(outcome.stderr.contains("the next run will drop it"), "{moment:?}: {}", outcome.stderr);
        assert!(!target.leftovers().unwrap().is_empty(), "{moment:?}: the fault did not strike");
        run(&source, &target, &proxy).expect_code(0).unwrap();
        assert_new(&target, &format!("{moment:?}"));
    }
}

/// A table that is tied is kept, and its rows are replaced in one transaction: each of its statements may fail.
async fn a_replacement_heals_or_keeps_the_old_rows(engine: Engine) {
    const STATEMENTS: [Stage; 3] = [
        ("delete", |sql| sql.starts_with("DELETE t FROM ")),
        ("insert", |sql| sql.starts_with("INSERT INTO ") && sql.contains(" LEFT JOIN ")),
        ("start", |sql| sql == "START TRANSACTION"),
    ];
    let source = source().await;
    for (statement, watched) in STATEMENTS {
        for (moment, times) in [(DEADLOCK, 1), (Moment::Broken, 1), (DISK_FULL, 1_000)] {
            let what = format!("{statement} {moment:?}");
            let target = target(engine);
            target.run("CREATE TRIGGER noted AFTER DELETE ON items FOR EACH ROW SET @gone = OLD.id").unwrap();
            let proxy = Proxy::repeated(target.port(), watched, Some((0, moment)), times).await.unwrap();
            let outcome = run(&source, &target, &proxy);
            assert!(!proxy.statements().is_empty(), "{what}: never came");
            if times == 1 {
                outcome.expect_code(0).unwrap_or_else(|error| panic!("{what}: {error:#}"));
                assert_new(&target, &what);
            } else {
                outcome.expect_code(TABLES_FAILED).unwrap_or_else(|error| panic!("{what}: {error:#}"));
                assert_eq!(target.rows("SELECT id, name FROM items").unwrap(), ["-1|old"], "{what}");
                assert_eq!(target.leftovers().unwrap(), Vec::<String>::new(), "{what}");
            }
        }
    }
}

on_each_mysql!(
    what_passes_at_any_stage_heals,
    what_does_not_pass_keeps_the_old_rows,
    an_old_table_that_cannot_be_dropped_is_dropped_by_the_next_run,
    a_replacement_heals_or_keeps_the_old_rows,
);
