//! Logical replication slots that need no publication: who reads them goes on hearing of each table under its own name.

use stopgap_tests::{job::Job, source::TestSource, target::TestTarget};

const SOURCE: &str = "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, name nvarchar(20) NOT NULL); \
     INSERT INTO dbo.items (id, name) VALUES (1, N'one'), (2, N'two')";

/// What the slot's reader gets, without the beginnings and ends of transactions.
fn read(target: &TestTarget, slot: &str) -> Vec<String> {
    let query = format!(
        "SELECT data FROM pg_logical_slot_get_changes('{slot}', NULL, NULL, 'include-xids', 'off', 'skip-empty-xacts', 'on')"
    );
    target.rows(&query).unwrap().into_iter().filter(|line| line != "BEGIN" && line != "COMMIT").collect()
}

fn make_slot(target: &TestTarget, slot: &str, plugin: &str) {
    target.run(&format!("SELECT pg_create_logical_replication_slot('{slot}', '{plugin}')")).unwrap();
}

async fn fixture() -> (TestSource, TestTarget, Job) {
    let source = TestSource::with(SOURCE).await.unwrap();
    // A slot keeps the log of a whole server.
    let target = TestTarget::with_own_server(None, &[]).unwrap();
    let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]");
    (source, target, job)
}

/// What the plan finds about a table, by id, with what it says.
fn findings(plan: &serde_json::Value, table: &str) -> Vec<(String, String)> {
    let of_table =
        plan["findings"].as_array().unwrap().iter().filter(|finding| finding["table"] == format!("dbo.{table}"));
    let of_slots = of_table.filter(|finding| finding["id"].as_str().unwrap().contains("decoded"));
    of_slots.map(|finding| (finding["id"].as_str().unwrap().to_owned(), finding.to_string())).collect()
}

fn plan(job: &Job) -> serde_json::Value {
    job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_slot_hear_of_the_table_by_its_own_name() {
    let (source, target, job) = fixture().await;
    job.run().unwrap().expect_code(0).unwrap();
    make_slot(&target, "feed", "test_decoding");
    for (change, expected) in [
        (
            "UPDATE dbo.items SET name = N'three' WHERE id = 2",
            vec!["table public.items: UPDATE: id[integer]:2 name[character varying]:'three'"],
        ),
        (
            "DELETE FROM dbo.items WHERE id = 1; INSERT INTO dbo.items (id, name) VALUES (4, N'four')",
            vec![
                "table public.items: DELETE: id[integer]:1",
                "table public.items: INSERT: id[integer]:4 name[character varying]:'four'",
            ],
        ),
        ("SELECT 1", vec![]),
    ] {
        source.run(change).await.unwrap();
        let plan = plan(&job);
        let reason = &plan["tables"][0]["swap"]["reason"];
        assert_eq!(reason, "because of logical replication slot feed (test_decoding)", "{plan}");
        let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
        assert_eq!(report["tables"][0]["swap"], "replace");
        assert_eq!(read(&target, "feed"), expected, "{change}");
    }
    target.run("SELECT pg_drop_replication_slot('feed')").unwrap();
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "rename");
}

/// Of a new table nobody is sent the staging table's rows.
#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_slot_are_warned_of_new_tables_and_of_those_without_a_key() {
    let (source, target, job) = fixture().await;
    make_slot(&target, "feed", "test_decoding");
    source.run("CREATE TABLE dbo.keyless (n int NULL); INSERT INTO dbo.keyless (n) VALUES (1)").await.unwrap();
    let first = plan(&job);
    for name in ["items", "keyless"] {
        let found = findings(&first, name);
        let [(id, said)] = &found[..] else { panic!("{name}: {found:?}") };
        assert!(id == "new-table-decoded" && said.contains("feed (test_decoding)"), "{name}: {said}");
        assert_eq!(said.contains("REPLICA IDENTITY FULL"), name == "keyless", "{said}");
    }
    job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(read(&target, "feed"), Vec::<String>::new());
    let unlogged = "SELECT relname FROM pg_class WHERE relpersistence = 'u' AND relnamespace <> 'stopgap_state'::regnamespace \
                    AND relname !~ '^pg_toast'";
    assert_eq!(target.rows(unlogged).unwrap(), Vec::<String>::new(), "a crash would empty them");
    let second = plan(&job);
    assert_eq!(findings(&second, "items"), []);
    assert_eq!(findings(&second, "keyless")[0].0, "decoded-without-identity");
    target.run("ALTER TABLE keyless REPLICA IDENTITY FULL").unwrap();
    source.run("UPDATE dbo.keyless SET n = 2").await.unwrap();
    job.run().unwrap().expect_code(0).unwrap();
    let changes = ["table public.keyless: DELETE: n[integer]:1", "table public.keyless: INSERT: n[integer]:2"];
    assert_eq!(read(&target, "feed"), changes);
}

/// A slot of another database reads none of this one's tables, and `pgoutput` sends what publications hold.
#[tokio::test(flavor = "multi_thread")]
async fn slots_that_read_no_table_of_the_job_keep_none() {
    let (_source, mut target, job) = fixture().await;
    job.run().unwrap().expect_code(0).unwrap();
    make_slot(&target, "published", "pgoutput");
    let server = target.own_server().unwrap();
    server.create_database("other").unwrap();
    server.psql("other", "SELECT pg_create_logical_replication_slot('elsewhere', 'test_decoding')", &[]).unwrap();
    server.psql("other", "SELECT pg_create_physical_replication_slot('standby')", &[]).unwrap();
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "rename");
}
