//! PostgreSQL's swap under trouble: its connection, its waiting, and what readers wait for meanwhile.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::{Duration, Instant};

use stopgap_tests::{
    job::{Job, Running},
    logins::Login,
    postgres_proxy::{Loss, Proxy},
    source::TestSource,
    target::{Session, TestTarget},
};

const TABLES_FAILED: i32 = 1;

/// A table that is on the target already, whose rows differ.
async fn items() -> (TestSource, TestTarget) {
    let source = TestSource::with(
        "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (2)",
    )
    .await.unwrap();
    let target = TestTarget::new().unwrap();
    target
        .run(
            "CREATE TABLE items (id integer CONSTRAINT pk_items PRIMARY KEY); INSERT INTO items VALUES (1); \
             CREATE TABLE other (x int); INSERT INTO other VALUES (1)",
        )
        .unwrap();
    (source, target)
}

fn job(source: &TestSource, target: &TestTarget) -> Job {
    Job::new(source, target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]")
}

/// The run ends well, and readers find the new rows in a new table.
fn assert_renamed(running: Running, target: &TestTarget) {
    let report = running.wait().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "rename");
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);
}

/// A transaction whose snapshot is older than any new row; it holds no lock on the table.
async fn old_reader(target: &TestTarget) -> Session {
    let mut reader = target.session().await.unwrap();
    reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    reader.texts("SELECT CONCAT(x) FROM other").await.unwrap();
    reader
}

/// Waits until the query returns a row, while the job runs.
async fn until_some(running: &mut Running, target: &TestTarget, query: &str) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while target.rows(query).unwrap().is_empty() {
        assert!(Instant::now() < deadline && !running.has_ended().unwrap(), "{query}: none; {}", running.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The job's sessions on this database of which something is so.
fn sessions(target: &TestTarget, condition: &str) -> String {
    format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND application_name LIKE 'stopgap/%' AND {condition}",
        target.database
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_while_the_swap_waits_for_readers_is_made_again() {
    let (source, target) = items().await;
    let mut reader = old_reader(&target).await;
    let job = job(&source, &target);
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    let polls = sessions(&target, "query LIKE '%a.backend_xmin%'");
    for _ in 0..2 {
        until_some(&mut running, &target, &polls).await;
        let pid = target.value(&polls).unwrap();
        target.run(&format!("SELECT pg_terminate_backend({pid})")).unwrap();
    }
    until_some(&mut running, &target, &polls).await;
    reader.run("ROLLBACK").await.unwrap();
    assert_renamed(running, &target);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// After a failover the name may lead to the old writer for a while, for which a standby stands here. It knows nothing of the
/// writer's readers.
#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_came_to_a_reader_looks_for_the_writer() {
    let source =
        TestSource::with("CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (2)")
            .await
            .unwrap();
    let mut target = TestTarget::with_own_server(None, &[]).unwrap();
    target
        .run("CREATE TABLE items (id integer PRIMARY KEY); CREATE TABLE other (x int); INSERT INTO other VALUES (1)")
        .unwrap();
    let standby = target.standby().unwrap();
    let loss = Loss { watched: |_| false, number: 0, instead: None };
    let proxy = Proxy::start(target.port(), loss).await.unwrap();
    let mut reader = old_reader(&target).await;
    let job = job(&source, &target).through(proxy.port);
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    let polls = sessions(&target, "query LIKE '%a.backend_xmin%'");
    until_some(&mut running, &target, &polls).await;
    proxy.lead_to(standby.port());
    target.run(&format!("SELECT pg_terminate_backend(pid) FROM ({polls}) AS p")).unwrap();
    while !running.stderr().contains("25006") {
        assert!(!running.has_ended().unwrap(), "no reader was met: {}", running.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    proxy.lead_to(target.port());
    until_some(&mut running, &target, &polls).await;
    reader.run("ROLLBACK").await.unwrap();
    assert_renamed(running, &target);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_gets_no_connection_waits_for_one() {
    let (source, target) = items().await;
    let login = Login::with_the_readmes_rights(&target).unwrap();
    target.run(&format!("ALTER TABLE items OWNER TO {}", login.name)).unwrap();
    let mut reader = old_reader(&target).await;
    let job = login.of(job(&source, &target));
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    let polls = sessions(&target, "query LIKE '%a.backend_xmin%'");
    until_some(&mut running, &target, &polls).await;
    // The lease has the one connection that is allowed.
    target.run(&format!("ALTER ROLE {} CONNECTION LIMIT 1", login.name)).unwrap();
    target.run(&format!("SELECT pg_terminate_backend(pid) FROM ({polls}) AS p")).unwrap();
    while !running.stderr().contains("too many connections") {
        assert!(!running.has_ended().unwrap(), "the run ended: {}", running.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    target.run(&format!("ALTER ROLE {} CONNECTION LIMIT -1", login.name)).unwrap();
    reader.run("ROLLBACK").await.unwrap();
    running.wait().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);
    login.drop_from(&target).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_replaced_after_long_waiting_have_more_than_one_try() {
    let (source, target) = items().await;
    let _reader = old_reader(&target).await;
    let job = job(&source, &target).target("swap_wait = \"2s\"\nlock_timeout = \"200ms\"");
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    until_some(&mut running, &target, &sessions(&target, "query LIKE '%a.backend_xmin%'")).await;
    let mut writer = target.session().await.unwrap();
    writer.run("BEGIN; LOCK TABLE items IN SHARE MODE").await.unwrap();
    while !running.stderr().contains("the swap waits") {
        assert!(!running.has_ended().unwrap(), "one try was all: {}", running.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    writer.run("ROLLBACK").await.unwrap();
    let report = running.wait().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "replace");
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);
}

/// An unlogged one does with a crash of the server, after its rows were proven.
#[tokio::test(flavor = "multi_thread")]
async fn a_staging_table_that_lost_its_rows_replaces_none() {
    let (source, target) = items().await;
    let job = job(&source, &target).target("swap = \"replace\"");
    let mut writer = target.session().await.unwrap();
    writer.run("BEGIN; LOCK TABLE items IN SHARE MODE").await.unwrap();
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    until_some(&mut running, &target, &sessions(&target, "wait_event_type = 'Lock' AND query LIKE '%SHARE ROW%'"))
        .await;
    let staging =
        target.value("SELECT relname FROM pg_class WHERE relname LIKE 'stopgap\\_%' AND relkind = 'r'").unwrap();
    target.run(&format!("TRUNCATE {staging}")).unwrap();
    writer.run("ROLLBACK").await.unwrap();
    let report = running.wait().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    let message = report["tables"][0]["failure"]["message"].as_str().unwrap();
    assert!(message.contains("does not hold what was read"), "{message}");
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["1"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// Finding the highest value of a column without an index takes a scan of the whole table.
#[tokio::test(flavor = "multi_thread")]
async fn sequences_are_set_before_readers_are_locked_out() {
    static IS_LOCKED: AtomicBool = AtomicBool::new(false);
    let source = TestSource::with(
        "CREATE TABLE dbo.items (code int NOT NULL PRIMARY KEY, id int IDENTITY(1, 1) NOT NULL); \
         INSERT INTO dbo.items (code) VALUES (7), (8), (9)",
    )
    .await
    .unwrap();
    let target = TestTarget::new().unwrap();
    let watched = |sql: &str| {
        if sql.contains("IN ACCESS EXCLUSIVE MODE") || sql == "COMMIT" {
            IS_LOCKED.store(sql != "COMMIT", Ordering::SeqCst);
        }
        sql.contains("setval") && IS_LOCKED.load(Ordering::SeqCst)
    };
    let proxy = Proxy::start(target.port(), Loss { watched, number: usize::MAX, instead: None }).await.unwrap();
    let job = job(&source, &target).through(proxy.port);
    for method in ["create", "rename"] {
        let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
        assert_eq!(report["tables"][0]["swap"], method);
        assert_eq!(target.value("INSERT INTO items (code) VALUES (1) RETURNING id").unwrap(), "4");
    }
    assert_eq!(proxy.seen(), 0, "readers wait while a sequence is set");
}

/// The first table's readers wait for the locks of all others.
#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_group_wait_for_its_locks_no_longer_than_for_one() {
    const SWAP_WAIT: Duration = Duration::from_secs(3);
    let tables = ["first", "second", "third"];
    let source = TestSource::new().await.unwrap();
    let target = TestTarget::new().unwrap();
    let mut sections = String::new();
    for table in tables {
        source.run(&format!("CREATE TABLE dbo.{table} (id int NOT NULL PRIMARY KEY)")).await.unwrap();
        target.run(&format!("CREATE TABLE {table} (id integer PRIMARY KEY)")).unwrap();
        sections.push_str(&format!("[[table]]\nsource = \"dbo.{table}\"\ngroup = \"all\"\n"));
    }
    let job =
        Job::new(&source, &target).unwrap().target("lock_timeout = \"3s\"\nswap_wait = \"1s\"").sections(&sections);
    let mut holders = Vec::new();
    for table in &tables[1..] {
        let mut holder = target.session().await.unwrap();
        holder.run(&format!("BEGIN; LOCK TABLE {table} IN ACCESS SHARE MODE")).await.unwrap();
        holders.push(holder);
    }
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    until_some(&mut running, &target, &sessions(&target, "wait_event_type = 'Lock' AND query LIKE '%second%'")).await;
    let mut reader = target.session().await.unwrap();
    let begun = Instant::now();
    let waiting = tokio::spawn(async move {
        reader.texts("SELECT CONCAT(count(*)) FROM first").await.unwrap();
        begun.elapsed()
    });
    // Most of the time of one lock passes before the second table is free; the third stays locked.
    tokio::time::sleep(Duration::from_secs(2)).await;
    holders[0].run("ROLLBACK").await.unwrap();
    let waited = waiting.await.unwrap();
    running.wait().unwrap().expect_code(TABLES_FAILED).unwrap();
    assert!(waited < SWAP_WAIT + Duration::from_secs(1), "a reader waited for {waited:?}");
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// Neither a DROP TABLE nor a new table with another sequence would leave them as they are.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_make_of_a_table_or_its_sequence_keeps_it() {
    let source = TestSource::with(
        "CREATE TABLE dbo.items (id int IDENTITY(1, 1) NOT NULL CONSTRAINT pk_items PRIMARY KEY, n int NOT NULL); \
         INSERT INTO dbo.items (n) VALUES (1)",
    )
    .await
    .unwrap();
    let target = TestTarget::new().unwrap();
    target.run("CREATE TABLE papers (id integer); ALTER TABLE papers ENABLE ROW LEVEL SECURITY").unwrap();
    let job = job(&source, &target);
    job.run().unwrap().expect_code(0).unwrap();
    for (number, (add, words, remove)) in [
        (
            "CREATE POLICY mine ON papers USING (EXISTS (SELECT FROM items AS i WHERE i.id = papers.id))",
            "policy mine on table public.papers",
            "DROP POLICY mine ON papers",
        ),
        (
            "ALTER TABLE papers ALTER COLUMN id SET DEFAULT nextval('items_id_seq')",
            "a use of its sequence by default value for column id of table public.papers",
            "ALTER TABLE papers ALTER COLUMN id DROP DEFAULT",
        ),
        (
            "CREATE VIEW latest AS SELECT last_value FROM items_id_seq",
            "a use of its sequence by rule _RETURN on view public.latest",
            "DROP VIEW latest",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        target.run(add).unwrap();
        source.run(&format!("UPDATE dbo.items SET n = {number} + 10")).await.unwrap();
        let plan = job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap();
        assert_eq!(plan["tables"][0]["swap"]["reason"], format!("because of {words}"));
        job.run().unwrap().expect_code(0).unwrap();
        assert_eq!(target.rows("SELECT id, n FROM items").unwrap(), [format!("1|{}", number + 10)]);
        target.run(remove).unwrap_or_else(|error| panic!("{add}: it vanished: {error:#}"));
    }
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "rename");
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_on_a_sequence_survive_a_rename() {
    let source = TestSource::with(
        "CREATE TABLE dbo.items (id int IDENTITY(1, 1) NOT NULL CONSTRAINT pk_items PRIMARY KEY, n int NOT NULL); \
         INSERT INTO dbo.items (n) VALUES (1)",
    )
    .await
    .unwrap();
    let target = TestTarget::new().unwrap();
    let job = job(&source, &target);
    job.run().unwrap().expect_code(0).unwrap();
    let role = format!("counter_of_{}", target.database);
    target.run(&format!("CREATE ROLE {role}; GRANT USAGE, SELECT ON SEQUENCE items_id_seq TO {role}")).unwrap();
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "rename");
    let may = format!("has_sequence_privilege('{role}', 'items_id_seq'");
    assert_eq!(target.rows(&format!("SELECT {may}, 'USAGE'), {may}, 'SELECT'), {may}, 'UPDATE')")).unwrap(), ["t|t|f"]);
    target.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).unwrap();
}

/// Where somebody's transaction writes for long, the snapshots of all who begin meanwhile look as old as it is.
#[tokio::test(flavor = "multi_thread")]
async fn readers_that_come_and_go_beside_a_long_writer_hold_no_rename_back() {
    let (source, target) = items().await;
    let mut writer = target.session().await.unwrap();
    writer.run("BEGIN; INSERT INTO other VALUES (2)").await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for _ in 0..3 {
        let (mut reader, over) = (target.session().await.unwrap(), Arc::clone(&over));
        readers.push(tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                reader.texts("SELECT CONCAT(x, pg_sleep(0.5)) FROM other").await.unwrap();
            }
        }));
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let report =
        job(&source, &target).target("swap_wait = \"10s\"").run().unwrap().expect_code(0).unwrap().json().unwrap();
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    writer.run("ROLLBACK").await.unwrap();
    assert_eq!(report["tables"][0]["swap"], "rename");
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);
}

/// The workers of a parallel `pg_dump` begin after it, with its snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_was_taken_over_is_waited_for() {
    let (source, target) = items().await;
    let mut leader = target.session().await.unwrap();
    leader.run("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    let snapshot = leader.texts("SELECT pg_export_snapshot()").await.unwrap().remove(0);
    let job = job(&source, &target);
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    until_some(&mut running, &target, &sessions(&target, "query LIKE '%a.backend_xmin%'")).await;
    let mut worker = target.session().await.unwrap();
    worker.run(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{snapshot}'")).await.unwrap();
    leader.run("COMMIT").await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(worker.texts("SELECT CONCAT(id) FROM items").await.unwrap(), ["1"], "not the old rows");
    worker.run("COMMIT").await.unwrap();
    assert_renamed(running, &target);
}

/// Who moves from a source that ignores case may let the copy ignore it, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_was_given_a_collation_keeps_it() {
    let source = TestSource::with(
        "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, name nvarchar(20) NOT NULL, code nchar(4) NOT NULL); \
         CREATE UNIQUE INDEX ix_name ON dbo.items (name); INSERT INTO dbo.items (id, name, code) VALUES (1, N'Ada', N'a'), (2, N'Bob', N'b')",
    )
    .await.unwrap();
    let target = TestTarget::new().unwrap();
    let job = job(&source, &target);
    job.run().unwrap().expect_code(0).unwrap();
    target
        .run(
            "CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
             ALTER TABLE items ALTER COLUMN name TYPE varchar(20) COLLATE no_case, ALTER COLUMN code TYPE char(4) COLLATE no_case",
        )
        .unwrap();
    for (change, rows) in [
        ("UPDATE dbo.items SET name = N'ADA' WHERE id = 1", ["1|ADA|a", "2|Bob|b"]),
        ("UPDATE dbo.items SET code = N'B' WHERE id = 2", ["1|ADA|a", "2|Bob|B"]),
    ] {
        source.run(change).await.unwrap();
        let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
        assert_eq!(report["tables"][0]["swap"], "replace");
        assert_eq!(target.rows("SELECT id, name, rtrim(code) FROM items ORDER BY id").unwrap(), rows);
        job.command("verify", &[]).unwrap().expect_code(0).unwrap();
    }
    assert_eq!(target.value("SELECT id FROM items WHERE name = 'ada'").unwrap(), "1");
    target.run("UPDATE items SET name = 'ada' WHERE id = 1").unwrap();
    job.command("verify", &[]).unwrap().expect_code(TABLES_FAILED).unwrap();
}
