//! Readers of PostgreSQL that a swap cannot wait for: they see the old rows all the same, or the plan warns.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use stopgap_servers::{ScratchDir, guard::Guarded, postgres::find_binaries};
use stopgap_tests::{job::Job, logins::Login, source::TestSource, target::TestTarget};

const PRECHECK_REFUSED: i32 = 3;

async fn source() -> TestSource {
    let source = TestSource::new().await.unwrap();
    source
        .run("CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (1)")
        .await
        .unwrap();
    source
}

fn job(source: &TestSource, target: &TestTarget) -> Job {
    Job::new(source, target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]")
}

fn plan(job: &Job) -> serde_json::Value {
    job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap()
}

/// The run's finding of this name: its message and its remedy.
fn finding(plan: &serde_json::Value, id: &str) -> Option<(String, String)> {
    let found = plan["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == id)?;
    let text = |key: &str| found[key].as_str().unwrap().to_owned();
    Some((text("message"), text("remedy")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_sees_no_other_sessions_keeps_the_tables() {
    let (source, target) = (source().await, TestTarget::new().unwrap());
    target.run("CREATE TABLE other (x int); INSERT INTO other VALUES (1)").unwrap();
    let login = Login::with_rights(&target, |grant| !grant.contains("pg_read_all_stats")).unwrap();
    let job = login.of(job(&source, &target));
    // Nobody reads a table that is not there.
    assert_eq!(finding(&plan(&job), "readers-not-seen"), None);
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "create");
    source.run("UPDATE dbo.items SET id = 2").await.unwrap();

    let grant = format!("GRANT pg_read_all_stats TO \"{}\";", login.name);
    let planned = plan(&job);
    assert_eq!(planned["tables"][0]["swap"]["reason"], "readers with older snapshots cannot be seen");
    let (message, remedy) = finding(&planned, "readers-not-seen").unwrap();
    assert!(message.contains("may not see the transactions of others"), "{message}");
    assert_eq!(remedy, grant);

    let mut reader = target.session().await.unwrap();
    reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    reader.texts("SELECT CONCAT(x) FROM other").await.unwrap();
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(reader.texts("SELECT CONCAT(id) FROM items").await.unwrap(), ["1"], "not the old rows");
    reader.run("ROLLBACK").await.unwrap();
    assert_eq!(report["tables"][0]["swap"], "replace");
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);

    // New columns need a rename, and that needs the right.
    source.run("ALTER TABLE dbo.items ADD note nvarchar(20) NULL").await.unwrap();
    let refused = job.run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert!(refused.stdout.contains("cannot be seen"), "{}", refused.stdout);
    let refusal = &refused.json().unwrap()["refusals"][0];
    assert_eq!(refusal["remedy"], format!("{grant} Or change the table by hand, and run again."), "{refusal}");
    target.run(&grant).unwrap();
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "rename");
    login.drop_from(&target).unwrap();
}

/// Waits until the query counts one.
async fn until(target: &TestTarget, query: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while target.value(query).unwrap() != "1" {
        assert!(Instant::now() < deadline, "never one: {query}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_replica_see_the_old_rows_of_a_table_that_is_kept() {
    let source = source().await;
    source.run("CREATE TABLE dbo.renamed (id int NOT NULL PRIMARY KEY)").await.unwrap();
    let mut target = TestTarget::with_own_server(None, &[]).unwrap();
    target.run("CREATE TABLE other (x int); INSERT INTO other VALUES (1)").unwrap();
    job(&source, &target).run().unwrap().expect_code(0).unwrap();
    assert_eq!(finding(&plan(&job(&source, &target)), "replica-readers"), None);

    let standby = target.standby().unwrap();
    until(
        &target,
        "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn IS NOT NULL AND backend_xmin IS NOT NULL",
    )
    .await;
    let (message, remedy) = finding(&plan(&job(&source, &target)), "replica-readers").unwrap();
    assert!(message.starts_with("the target has 1 replica(s)"), "{message}");
    assert!(remedy.contains("swap = \"in-place\""), "{remedy}");
    let all = job(&source, &target).target("swap = \"in-place\"");
    assert_eq!(finding(&plan(&all), "replica-readers"), None, "nothing is renamed");

    source.run("UPDATE dbo.items SET id = 2").await.unwrap();
    let mut reader = standby.session().await.unwrap();
    reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    reader.texts("SELECT CONCAT(x) FROM other").await.unwrap();
    let one = job(&source, &target).sections("[[table]]\nsource = \"dbo.items\"\nswap = \"replace\"");
    let report = one.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!((&report["tables"][0]["swap"], &report["tables"][1]["swap"]), (&"replace".into(), &"rename".into()));
    let deadline = Instant::now() + Duration::from_secs(30);
    while standby.rows("SELECT id FROM items").unwrap() != ["2"] {
        assert!(Instant::now() < deadline, "the new rows do not reach the replica");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(reader.texts("SELECT CONCAT(id) FROM items").await.unwrap(), ["1"], "not the old rows");
    reader.run("ROLLBACK").await.unwrap();
}

/// There is no Aurora to test with: a function of that name answers as its documentation says.
#[tokio::test(flavor = "multi_thread")]
async fn the_readers_of_an_aurora_cluster_are_counted() {
    let (source, target) = (source().await, TestTarget::new().unwrap());
    job(&source, &target).run().unwrap().expect_code(0).unwrap();
    target
        .run(
            "CREATE FUNCTION pg_catalog.aurora_replica_status(OUT server_id text, OUT session_id text) RETURNS SETOF record \
             LANGUAGE sql AS $$ VALUES ('one', 'MASTER_SESSION_ID'), ('two', '0bd36a6e'), ('three', '1f1c9d2a') $$",
        )
        .unwrap();
    let (message, _) = finding(&plan(&job(&source, &target)), "replica-readers").unwrap();
    assert!(message.starts_with("the target has 2 replica(s)"), "{message}");
}

/// It writes the log down and answers no queries, whatever it is called.
#[tokio::test(flavor = "multi_thread")]
async fn an_archiver_of_the_log_is_no_replica() {
    let (source, target) = (source().await, TestTarget::with_own_server(None, &[]).unwrap());
    job(&source, &target).run().unwrap().expect_code(0).unwrap();
    let directory = ScratchDir::new("archive").unwrap();
    let mut archiver = Command::new(find_binaries().unwrap().join("pg_receivewal"));
    archiver
        .args([
            "--no-loop",
            "--status-interval=1",
            "--username",
            target.user(),
            "--host",
            target.host(),
            "--port",
            &target.port().to_string(),
        ])
        .arg("--directory")
        .arg(directory.path())
        .env("PGPASSWORD", target.password())
        .env("PGAPPNAME", "archiver")
        .stdin(Stdio::null());
    let _archiver = Guarded::spawn(&mut archiver, "TERM").unwrap();
    let streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND write_lsn IS NOT NULL";
    until(&target, streams).await;
    assert_eq!(finding(&plan(&job(&source, &target)), "replica-readers"), None);
}

/// An older Aurora, or a login without the right, refuses to tell: that is no reason to copy nothing.
#[tokio::test(flavor = "multi_thread")]
async fn readers_that_the_server_does_not_tell_fail_no_run() {
    let (source, target) = (source().await, TestTarget::new().unwrap());
    job(&source, &target).run().unwrap().expect_code(0).unwrap();
    target
        .run(
            "CREATE FUNCTION pg_catalog.aurora_replica_status() RETURNS TABLE (session_id text) LANGUAGE plpgsql AS \
             $$ BEGIN RAISE 'Function aurora_replica_status() is currently not supported' USING ERRCODE = '0A000'; END $$",
        )
        .unwrap();
    let outcome = job(&source, &target).run().unwrap().expect_code(0).unwrap();
    assert_eq!(outcome.json().unwrap()["tables"][0]["swap"], "rename");
    // Whatever a function of PL/pgSQL raises may hold values of rows, and is hidden.
    assert!(
        outcome.stderr.contains("aurora_replica_status()") && outcome.stderr.contains("0A000"),
        "{}",
        outcome.stderr
    );
}
