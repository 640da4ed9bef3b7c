//! Logical replication of the target: subscribers get the new rows, and are told of nothing else.

use std::time::{Duration, Instant};

use stopgap_servers::postgres::{PASSWORD, USER};
use stopgap_tests::{job::Job, source::TestSource, target::TestTarget};

const PRECHECK_REFUSED: i32 = 3;
const SUBSCRIBER: &str = "subscriber";
const ITEMS: &str = "CREATE TABLE items (id integer PRIMARY KEY, name varchar(20) NOT NULL)";

/// What the subscriber has, within reasonable time.
async fn until_subscriber_has(target: &mut TestTarget, query: &str, expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let server = target.own_server().unwrap();
        let found = server.psql(SUBSCRIBER, query, &["-At"]).unwrap();
        if found.trim() == expected {
            return;
        }
        assert!(Instant::now() < deadline, "the subscriber has {found:?}; the log ends with:\n{}", tail(&server.log()));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// A target with an older copy that is published, and a subscriber that has it, in another database of the same server.
async fn published(what: &str) -> TestTarget {
    let mut target = TestTarget::with_own_server(None, &[]).unwrap();
    target.run(&format!("{ITEMS}; INSERT INTO items VALUES (-1, 'old'); CREATE PUBLICATION pub FOR {what}")).unwrap();
    // On one and the same server a subscription cannot make its slot.
    target.run("SELECT pg_create_logical_replication_slot('sub', 'pgoutput')").unwrap();
    let (port, database) = (target.port(), target.database.clone());
    let password = PASSWORD.replace('\'', "\\'");
    let connection = format!("host=127.0.0.1 port={port} dbname={database} user={USER} password='{password}'");
    let server = target.own_server().unwrap();
    server.create_database(SUBSCRIBER).unwrap();
    server.psql(SUBSCRIBER, ITEMS, &[]).unwrap();
    let subscribe = format!(
        "CREATE SUBSCRIPTION sub CONNECTION '{}' PUBLICATION pub WITH (create_slot = false)",
        connection.replace('\'', "''")
    );
    server.psql(SUBSCRIBER, &subscribe, &[]).unwrap();
    until_subscriber_has(&mut target, "SELECT string_agg(name, ',' ORDER BY id) FROM items", "old").await;
    target
}

async fn subscribers_get_the_rows_of(what: &str, covers_new_tables: bool) {
    let source = TestSource::new().await.unwrap();
    source
        .run(
            "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, name nvarchar(20) NOT NULL); \
             INSERT INTO dbo.items (id, name) VALUES (1, N'one'), (2, N'two')",
        )
        .await
        .unwrap();
    let mut target = published(what).await;
    let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]");
    let plan = job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(plan["tables"][0]["swap"]["reason"], "because of publication pub", "{what}");
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "replace", "{what}");
    until_subscriber_has(&mut target, "SELECT string_agg(name, ',' ORDER BY id) FROM items", "one,two").await;

    source
        .run(
            "CREATE TABLE dbo.added (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.added (id) VALUES (7); \
             UPDATE dbo.items SET name = N'three' WHERE id = 2",
        )
        .await
        .unwrap();
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    let added = &report["tables"][0];
    assert_eq!((&added["source"], &added["swap"]), (&"dbo.added".into(), &"create".into()), "{what}");
    let is_warned = added["warnings"].to_string().contains("will belong to the publication pub");
    assert_eq!(is_warned, covers_new_tables, "{what}: {added}");
    until_subscriber_has(&mut target, "SELECT string_agg(name, ',' ORDER BY id) FROM items", "one,three").await;
    assert_eq!(target.rows("SELECT id FROM added").unwrap(), ["7"]);
    let unlogged = "SELECT relname FROM pg_class WHERE relpersistence = 'u' AND relnamespace <> 'stopgap_state'::regnamespace \
                    AND relname !~ '^pg_toast'";
    assert_eq!(target.rows(unlogged).unwrap(), Vec::<String>::new(), "{what}: a crash would empty them");

    if covers_new_tables {
        // As the warning has it.
        let server = target.own_server().unwrap();
        server.psql(SUBSCRIBER, "CREATE TABLE added (id integer PRIMARY KEY)", &[]).unwrap();
        server.psql(SUBSCRIBER, "ALTER SUBSCRIPTION sub REFRESH PUBLICATION", &[]).unwrap();
        until_subscriber_has(&mut target, "SELECT string_agg(id::text, ',' ORDER BY id) FROM added", "7").await;
    }
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_get_the_rows_of_a_published_table() {
    subscribers_get_the_rows_of("TABLE items", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_get_the_rows_of_a_published_schema() {
    subscribers_get_the_rows_of("TABLES IN SCHEMA public", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_get_the_rows_of_a_published_database() {
    subscribers_get_the_rows_of("ALL TABLES", true).await;
}

/// A job for a table of one row, and a target with a publication of that kind.
async fn job_below(publication: &str, columns: &str) -> (TestSource, TestTarget, Job) {
    let (source, target) = (TestSource::new().await.unwrap(), TestTarget::new().unwrap());
    source.run(&format!("CREATE TABLE dbo.items ({columns}); INSERT INTO dbo.items (id) VALUES (1)")).await.unwrap();
    target.run(&format!("CREATE PUBLICATION pub FOR {publication}")).unwrap();
    let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]");
    (source, target, job)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_table_without_a_key_needs_a_replica_identity() {
    const GIVE: &str = "ALTER TABLE \"public\".\"items\" REPLICA IDENTITY FULL;";
    for publication in ["ALL TABLES", "TABLES IN SCHEMA public"] {
        let (source, target, job) = job_below(publication, "id int NOT NULL").await;
        // It is told before the first night, on which nothing is changed yet.
        let first = job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().stdout;
        assert!(first.contains("It has no primary key: ALTER TABLE"), "{publication}: {first}");
        job.run().unwrap().expect_code(0).unwrap();
        source.run("UPDATE dbo.items SET id = 2").await.unwrap();
        assert!(target.run("DELETE FROM items WHERE false").is_err(), "{publication}: the server takes it");
        let refused = job.run().unwrap().expect_code(PRECHECK_REFUSED).unwrap().json().unwrap();
        let refusal = &refused["refusals"][0];
        assert_eq!(
            (&refusal["id"], &refusal["remedy"]),
            (&"no-replica-identity".into(), &GIVE.into()),
            "{publication}"
        );
        job.command("verify", &["--format", "json"]).unwrap().expect_code(1).unwrap();
        target.run(GIVE).unwrap();
        job.run().unwrap().expect_code(0).unwrap();
        assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"], "{publication}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_publication_does_not_tell_needs_no_replica_identity() {
    for (publication, columns, identity, code) in [
        ("ALL TABLES WITH (publish = 'insert, update')", "id int NOT NULL", "DEFAULT", 0),
        ("ALL TABLES", "id int NOT NULL PRIMARY KEY, n int NULL", "DEFAULT", 0),
        ("ALL TABLES", "id int NOT NULL PRIMARY KEY, n int NULL", "NOTHING", PRECHECK_REFUSED),
        (
            "ALL TABLES WITH (publish = 'insert, update')",
            "id int NOT NULL PRIMARY KEY, n int NULL",
            "NOTHING",
            PRECHECK_REFUSED,
        ),
        ("ALL TABLES WITH (publish = 'insert, update')", "id int NOT NULL PRIMARY KEY", "NOTHING", 0),
    ] {
        let (_source, target, job) = job_below(publication, columns).await;
        job.run().unwrap().expect_code(0).unwrap();
        target.run(&format!("ALTER TABLE items REPLICA IDENTITY {identity}")).unwrap();
        let outcome = job.run().unwrap();
        assert_eq!(outcome.code(), Some(code), "{publication}, {columns}, {identity}: {}", outcome.stdout);
    }
}

/// Somebody alters another published table, which is none of the job's business.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_on_another_published_table_holds_nothing_up() {
    for publication in ["TABLE other", "TABLES IN SCHEMA other", "ALL TABLES"] {
        let source = TestSource::new().await.unwrap();
        source
            .run(
                "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (1); \
                 CREATE TABLE dbo.added (id int NOT NULL PRIMARY KEY)",
            )
            .await
            .unwrap();
        let target = TestTarget::new().unwrap();
        target
            .run(&format!(
                "CREATE SCHEMA other; CREATE TABLE other.other (id integer PRIMARY KEY); CREATE TABLE other (id integer PRIMARY KEY); \
                 CREATE TABLE items (id integer PRIMARY KEY); CREATE PUBLICATION pub FOR {publication}"
            ))
            .unwrap();
        let mut holder = target.session().await.unwrap();
        holder.run("BEGIN; LOCK TABLE other, other.other IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let job =
            Job::new(&source, &target).unwrap().job("deadline = \"60s\"").sections("[tables]\ninclude = [\"dbo.*\"]");
        job.run().unwrap().expect_code(0).unwrap();
        holder.run("ROLLBACK").await.unwrap();
        assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["1"], "{publication}");
    }
}
