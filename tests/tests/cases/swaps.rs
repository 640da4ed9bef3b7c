//! What a swap must respect: groups, foreign keys, drift, and readers whose snapshot is older than the new rows.

use sqlx::{Connection as _, Row as _};
use stopgap_tests::{job::Job, source::TestSource, target::TestTarget};

const TABLES_FAILED: i32 = 1;
const PRECHECK_REFUSED: i32 = 3;

const FAMILY: &str = "CREATE TABLE dbo.parents (id int NOT NULL CONSTRAINT pk_parents PRIMARY KEY, name nvarchar(20) NOT NULL); \
     CREATE TABLE dbo.children (id int NOT NULL CONSTRAINT pk_children PRIMARY KEY, parent int NOT NULL \
       CONSTRAINT fk_parent REFERENCES dbo.parents (id)); \
     INSERT INTO dbo.parents (id, name) VALUES (1, N'one'), (2, N'two'); \
     INSERT INTO dbo.children (id, parent) VALUES (10, 1), (20, 2);";

async fn source(script: &str) -> TestSource {
    let source = TestSource::new().await.unwrap();
    source.run(script).await.unwrap();
    source
}

fn job(source: &TestSource, target: &TestTarget, tables: &str) -> Job {
    Job::new(source, target).unwrap().sections(&format!("[tables]\ninclude = [\"dbo.*\"]\n{tables}"))
}

fn assert_clean(target: &TestTarget) {
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_with_an_older_snapshot_goes_on_seeing_the_old_rows() {
    let source =
        source("CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (1)").await;
    let target = TestTarget::new().unwrap();
    target.run("CREATE TABLE other (x int); INSERT INTO other VALUES (1)").unwrap();
    let job = job(&source, &target, "").target("swap_wait = \"1s\"");
    job.run().unwrap().expect_code(0).unwrap();
    source.run("UPDATE dbo.items SET id = 2").await.unwrap();

    // The snapshot is taken by reading another table, so that no lock on this one holds the swap back.
    let mut reader = target.connect().await.unwrap();
    let mut transaction = reader.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    sqlx::query("SELECT x FROM other").fetch_all(&mut *transaction).await.unwrap();
    let outcome = job.run().unwrap().expect_code(0).unwrap();
    let seen = sqlx::query("SELECT id FROM items").fetch_all(&mut *transaction).await.unwrap();
    assert_eq!(seen.iter().map(|row| row.get::<i32, _>(0)).collect::<Vec<_>>(), [1], "not the old rows");
    transaction.rollback().await.unwrap();

    assert_eq!(outcome.json().unwrap()["tables"][0]["swap"], "replace");
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);
    assert_clean(&target);
    // With the reader gone the next swap renames again.
    let again = job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(again.json().unwrap()["tables"][0]["swap"], "rename");
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_are_created_and_survive_further_runs() {
    let source = source(FAMILY).await;
    let target = TestTarget::new().unwrap();
    let job = job(&source, &target, "foreign_keys = \"create\"");
    let keys = "SELECT conname, confrelid::regclass, convalidated FROM pg_constraint WHERE contype = 'f' AND conrelid = 'children'::regclass";
    for generation in ["first", "second", "third"] {
        source.run(&format!("UPDATE dbo.parents SET name = N'{generation}'")).await.unwrap();
        job.run().unwrap().expect_code(0).unwrap();
        assert_eq!(target.rows(keys).unwrap(), ["fk_parent|parents|t"], "{generation}");
        assert_eq!(target.rows("SELECT DISTINCT name FROM parents").unwrap(), [generation]);
        assert_clean(&target);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_group_all_tables_change_or_none() {
    let source = source(FAMILY).await;
    let target = TestTarget::new().unwrap();
    let tables = "[[table]]\nsource = \"dbo.parents\"\ngroup = \"family\"\n\
                  [[table]]\nsource = \"dbo.children\"\ngroup = \"family\"\nmax_shrink_percent = 0";
    let job = job(&source, &target, tables);
    job.run().unwrap().expect_code(0).unwrap();
    source.run("DELETE FROM dbo.children WHERE id = 20; UPDATE dbo.parents SET name = N'new'").await.unwrap();
    let outcome = job.run().unwrap().expect_code(TABLES_FAILED).unwrap();
    assert_eq!(target.rows("SELECT name FROM parents ORDER BY id").unwrap(), ["one", "two"]);
    assert_eq!(target.rows("SELECT count(*) FROM children").unwrap(), ["2"]);
    assert_clean(&target);
    let report = outcome.json().unwrap();
    let parents = report["tables"].as_array().unwrap().iter().find(|table| table["source"] == "dbo.parents").unwrap();
    assert_eq!(parents["outcome"], "failed");
    assert!(parents["failure"]["message"].as_str().unwrap().contains("children"), "{parents}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_refused_where_the_job_file_says_so() {
    let source = source(FAMILY).await;
    let target = TestTarget::new().unwrap();
    target.run("CREATE TABLE parents (id integer NOT NULL PRIMARY KEY); INSERT INTO parents VALUES (9)").unwrap();
    let outcome = job(&source, &target, "").target("on_drift = \"fail\"").run().unwrap();
    let outcome = outcome.expect_code(PRECHECK_REFUSED).unwrap();
    assert!(outcome.stdout.contains("new column name character varying(20)"), "{}", outcome.stdout);
    assert_eq!(target.rows("SELECT id FROM parents").unwrap(), ["9"]);
    assert_eq!(target.rows("SELECT to_regclass('children')").unwrap(), ["∅"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_held_delays_the_swap_and_no_reader() {
    let source =
        source("CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (1)").await;
    let target = TestTarget::new().unwrap();
    let job = job(&source, &target, "").target("lock_timeout = \"200ms\"\nswap_wait = \"60s\"");
    job.run().unwrap().expect_code(0).unwrap();
    source.run("UPDATE dbo.items SET id = 2").await.unwrap();
    let mut holder = target.connect().await.unwrap();
    let mut transaction = holder.begin().await.unwrap();
    // READ COMMITTED keeps no snapshot between statements, but the lock.
    sqlx::query("SELECT id FROM items").fetch_all(&mut *transaction).await.unwrap();
    let running = job.spawn("run", &["--format", "json"]).unwrap();
    while !running.stderr().contains("the swap waits") {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut reader = target.connect().await.unwrap();
    let seen = sqlx::query("SELECT id FROM items").fetch_one(&mut reader).await.unwrap();
    assert_eq!(seen.get::<i32, _>(0), 1);
    transaction.commit().await.unwrap();
    running.wait().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);
    assert_clean(&target);
}

#[tokio::test(flavor = "multi_thread")]
async fn masked_columns_are_refused_unless_allowed() {
    let source = source(
        "CREATE TABLE dbo.people (id int NOT NULL PRIMARY KEY, mail varchar(40) MASKED WITH (FUNCTION = 'email()') NOT NULL); \
         INSERT INTO dbo.people (id, mail) VALUES (1, 'ada@example.com')",
    )
    .await;
    let login = format!("reader_of_{}", source.database);
    source
        .run(&format!(
            "CREATE LOGIN {login} WITH PASSWORD = 'Reader-1!'; CREATE USER {login} FOR LOGIN {login}; \
             GRANT SELECT ON dbo.people TO {login}"
        ))
        .await
        .unwrap();
    let target = TestTarget::new().unwrap();
    let keys = format!("user = \"{login}\"");
    let as_reader =
        |tables| job(&source, &target, tables).source(&keys).env(stopgap_tests::job::SOURCE_PASSWORD, "Reader-1!");
    let refused = as_reader("").run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert!(refused.stdout.contains("mail is masked") && refused.stdout.contains("GRANT UNMASK"), "{}", refused.stdout);
    as_reader("masked = \"allow\"").run().unwrap().expect_code(0).unwrap();
    assert_ne!(target.value("SELECT mail FROM people").unwrap(), "ada@example.com");
    job(&source, &target, "").run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.value("SELECT mail FROM people").unwrap(), "ada@example.com");
}
