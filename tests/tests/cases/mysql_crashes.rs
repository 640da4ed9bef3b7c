//! MySQL's statements on tables are not transactional. The job is killed at each of them, before the server saw it and after:
//! readers have the old rows or the new ones whole, and the next run puts everything in order.

use stopgap_tests::{
    job::Job,
    mysql_proxy::{Moment, Proxy},
    source::TestSource,
    target::{Engine, TestTarget},
};
use tokio::time::{Duration, Instant, sleep};

/// Statements after which something is different.
fn changes_something(sql: &str) -> bool {
    [
        "CREATE TABLE",
        "ALTER TABLE",
        "RENAME TABLE",
        "DROP TABLE",
        "DELETE ",
        "INSERT ",
        "COMMIT",
        "LOAD DATA",
        "ANALYZE",
    ]
    .iter()
    .any(|word| sql.starts_with(word))
}

async fn source() -> TestSource {
    let source = TestSource::new().await.unwrap();
    let sql = "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, name nvarchar(20) NOT NULL); \
               CREATE INDEX ix_name ON dbo.items (name); INSERT INTO dbo.items (id, name) VALUES (1, N'new'), (2, N'new')";
    source.run(sql).await.unwrap();
    source
}

fn target(engine: Engine, before: &str) -> TestTarget {
    let target = TestTarget::on(engine).unwrap();
    if !before.is_empty() {
        target.run(before).unwrap();
    }
    target
}

fn job(source: &TestSource, target: &TestTarget) -> Job {
    Job::new(source, target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]")
}

fn names(target: &TestTarget) -> String {
    let there = target.rows("SHOW TABLES LIKE 'items'").unwrap();
    if there.is_empty() {
        return "no table".to_owned();
    }
    target.rows("SELECT name FROM items ORDER BY id").unwrap().join(" ")
}

async fn kill_at_every_statement(engine: Engine, before: &str, old: &str) {
    let source = source().await;
    let calm = target(engine, before);
    let proxy = Proxy::start(calm.port(), changes_something, None).await.unwrap();
    job(&source, &calm).through(proxy.port).run().unwrap().expect_code(0).unwrap();
    let statements = proxy.statements();
    assert!(statements.len() >= 6, "{statements:?}");

    for (number, statement) in statements.iter().enumerate() {
        for moment in [Moment::Before, Moment::After] {
            let what = format!("{engine:?}, killed {moment:?} {statement}");
            let target = target(engine, before);
            let proxy = Proxy::start(target.port(), changes_something, Some((number, moment))).await.unwrap();
            let job = job(&source, &target);
            let doomed = job.twin().unwrap().through(proxy.port);
            let running = doomed.spawn("run", &[]).unwrap();
            let deadline = Instant::now() + Duration::from_mins(1);
            while !proxy.has_stopped() {
                assert!(Instant::now() < deadline, "{what}: never came; {}", running.stderr());
                sleep(Duration::from_millis(5)).await;
            }
            if moment == Moment::After {
                // The server finishes what it was given.
                sleep(Duration::from_millis(100)).await;
            }
            running.signal("KILL").unwrap();
            running.wait().unwrap();
            drop(proxy);
            let found = names(&target);
            assert!(found == old || found == "new new", "{what}: readers see {found:?}");
            // The dead run's lease goes with its connections, which the server has to notice.
            let deadline = Instant::now() + Duration::from_secs(30);
            loop {
                let outcome = job.run().unwrap();
                if outcome.code() == Some(6) && Instant::now() < deadline {
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
                outcome.expect_code(0).unwrap_or_else(|error| panic!("{what}: {error:#}"));
                break;
            }
            assert_eq!(names(&target), "new new", "{what}");
            assert_eq!(target.leftovers().unwrap(), Vec::<String>::new(), "{what}");
        }
    }
}

/// The server whose statements on tables are atomic one by one, which is what the order of the steps relies on.
fn engine() -> Engine {
    *Engine::all().last().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_killed_at_any_statement_of_a_first_run() {
    kill_at_every_statement(engine(), "", "no table").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_killed_at_any_statement_of_a_rename() {
    let before = "CREATE TABLE items (id int NOT NULL PRIMARY KEY, name varchar(20)) COMMENT = 'kept'; INSERT INTO items VALUES (9, 'old')";
    kill_at_every_statement(engine(), before, "old").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_killed_at_any_statement_of_a_replacement() {
    // A trigger, which a rename would lose, keeps the table.
    let before = "CREATE TABLE items (id int NOT NULL PRIMARY KEY, name varchar(20) NOT NULL); INSERT INTO items VALUES (9, 'old'); \
                  CREATE TRIGGER noted AFTER DELETE ON items FOR EACH ROW SET @gone = OLD.id";
    kill_at_every_statement(engine(), before, "old").await;
}
