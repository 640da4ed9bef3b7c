//! What rows of one moment mean: the source changes while a run reads it.

use std::time::{Duration, Instant};

use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

use super::interruption::stop_in_the_middle;

const PRECHECK_REFUSED: i32 = 3;

const DIGITS: &str = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))";
const CHANGE: &str = "UPDATE dbo.orders SET state = N'new'; UPDATE dbo.order_lines SET state = N'new'";

/// Two tables whose rows all say "old".
async fn source() -> TestSource {
    let source = TestSource::new().await.unwrap();
    for (table, last) in [("orders", 10), ("order_lines", 3)] {
        source
            .run(&format!(
                "CREATE TABLE dbo.{table} (id int NOT NULL PRIMARY KEY, state nvarchar(10) NOT NULL, filler nvarchar(200) NOT NULL);
                 INSERT INTO dbo.{table} (id, state, filler)
                 SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d, N'old', REPLICATE(N'é', 200)
                 FROM {DIGITS} AS a(d) CROSS JOIN {DIGITS} AS b(d) CROSS JOIN {DIGITS} AS c(d) CROSS JOIN {DIGITS} AS d(d)
                 CROSS JOIN {DIGITS} AS e(d) WHERE e.d < {last}"
            ))
            .await
            .unwrap();
    }
    source
}

fn job(source: &TestSource, target: &TestTarget, consistency: &str) -> Job {
    Job::new(source, target)
        .unwrap()
        .job("readers = 1")
        .source(&format!("consistency = \"{consistency}\""))
        .sections("[tables]\ninclude = [\"dbo.*\"]")
}

fn states(target: &TestTarget, table: &str) -> Vec<String> {
    target.rows(&format!("SELECT state, count(*) FROM {table} GROUP BY state ORDER BY state")).unwrap()
}

async fn a_database_snapshot_holds_every_table_at_one_moment(engine: Engine) {
    let (source, target) = (source().await, TestTarget::on(engine).unwrap());
    let job = job(&source, &target, "database-snapshot");
    let left = crash(&source, &target, &job).await;
    // Of a job whose name only begins like this one's, and of one of the same name that writes elsewhere.
    let name = &source.database;
    let mut others = vec![left.replace(name, &format!("{name}_eu"))];
    let (start, run) = left.split_at(format!("stopgap_{name}_00000000").len());
    others.push(format!("{}00000000{run}", &start[..start.len() - 8]));
    for other in &others {
        snapshot(&source, other).await;
    }
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    stop_in_the_middle(&target, &mut running);
    source.run(CHANGE).await.unwrap();
    running.signal("CONT").unwrap();
    running.wait().unwrap().expect_code(0).unwrap();

    assert_eq!(states(&target, "orders"), ["old|100000"]);
    assert_eq!(states(&target, "order_lines"), ["old|30000"]);
    let mut found: Vec<String> = snapshots(&source).await.into_iter().flatten().collect();
    found.sort();
    others.sort();
    assert_eq!(found, others);
    for other in others {
        source.run(&format!("DROP DATABASE [{other}]")).await.unwrap();
    }
}

/// Ends a run in the middle and returns the name of the snapshot that it leaves behind.
async fn crash(source: &TestSource, target: &TestTarget, job: &Job) -> String {
    let mut running = job.spawn("run", &[]).unwrap();
    stop_in_the_middle(target, &mut running);
    running.signal("KILL").unwrap();
    running.wait().unwrap();
    // So that the next run can be caught by its own.
    for table in target.leftovers().unwrap() {
        target.run(&format!("DROP TABLE IF EXISTS {table}")).unwrap();
    }
    let left: Vec<String> = snapshots(source).await.into_iter().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    left[0].clone()
}

async fn snapshot(source: &TestSource, name: &str) {
    let database = &source.database;
    let files = format!("(NAME = [{database}], FILENAME = '/var/opt/mssql/data/{name}.ss')");
    source.run(&format!("CREATE DATABASE [{name}] ON {files} AS SNAPSHOT OF [{database}]")).await.unwrap();
}

async fn snapshots(source: &TestSource) -> Vec<Option<String>> {
    source.texts("SELECT name FROM sys.databases WHERE source_database_id = DB_ID()").await.unwrap()
}

/// The job file may have changed since the run that left it.
async fn what_a_crashed_run_left_goes_whatever_the_next_one_reads_from(engine: Engine) {
    let (source, target) = (source().await, TestTarget::on(engine).unwrap());
    let left = crash(&source, &target, &job(&source, &target, "database-snapshot")).await;
    // A job of the same name may copy another database of the server.
    let other = TestSource::new().await.unwrap();
    let others = format!("{left}0");
    snapshot(&other, &others).await;
    let outcome = job(&source, &target, "none").run().unwrap().expect_code(0).unwrap();
    assert_eq!(snapshots(&source).await, []);
    assert!(outcome.json().unwrap()["notes"].to_string().contains(&left), "{}", outcome.stdout);
    assert_eq!(snapshots(&other).await, [Some(others.clone())]);
    other.run(&format!("DROP DATABASE [{others}]")).await.unwrap();
}

/// Readers that are just leaving keep the snapshot in use for a moment.
async fn a_snapshot_that_cannot_be_dropped_at_once_is_dropped_later(engine: Engine) {
    let (source, target) = (TestSource::new().await.unwrap(), TestTarget::on(engine).unwrap());
    source.run("CREATE TABLE dbo.calm (id int NOT NULL PRIMARY KEY)").await.unwrap();
    if std::env::var_os("SYNC_TEST_MSSQL").is_some() {
        println!("a real server takes no scripted faults: nothing is tested here");
        return;
    }
    let own = format!("drop database [stopgap_{}_", source.database);
    source.run(&format!("EXEC simulator_fault 'error 3702', '{own}', 0, 2, 0")).await.unwrap();
    let outcome = job(&source, &target, "database-snapshot").run().unwrap().expect_code(0).unwrap();
    assert_eq!(snapshots(&source).await, []);
    assert!(!outcome.json().unwrap()["notes"].to_string().contains("could not be dropped"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("3702"), "no fault fired: {}", outcome.stderr);
}

async fn a_snapshot_transaction_holds_a_table_at_one_moment(engine: Engine) {
    let (source, target) = (source().await, TestTarget::on(engine).unwrap());
    source.run(&format!("ALTER DATABASE [{}] SET ALLOW_SNAPSHOT_ISOLATION ON", source.database)).await.unwrap();
    let job = job(&source, &target, "snapshot");
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    stop_in_the_middle(&target, &mut running);
    source.run(CHANGE).await.unwrap();
    running.signal("CONT").unwrap();
    running.wait().unwrap().expect_code(0).unwrap();

    // The transaction began before the change or after it; rows of both would be a mixture.
    for (table, rows) in [("orders", 100_000), ("order_lines", 30_000)] {
        let found = states(&target, table);
        assert!(found == [format!("old|{rows}")] || found == [format!("new|{rows}")], "{table}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_optimized_table_is_read_by_one_statement() {
    let (source, target) = (TestSource::new().await.unwrap(), TestTarget::new().unwrap());
    let database = &source.database;
    source.run(&format!("ALTER DATABASE [{database}] SET ALLOW_SNAPSHOT_ISOLATION ON")).await.unwrap();
    if std::env::var_os("SYNC_TEST_MSSQL").is_some() {
        // The simulator has no files.
        let group = format!(
            "ALTER DATABASE [{database}] ADD FILEGROUP memory CONTAINS MEMORY_OPTIMIZED_DATA;\nGO\n\
             ALTER DATABASE [{database}] ADD FILE (NAME = memory, FILENAME = '/var/opt/mssql/data/{database}_memory') TO FILEGROUP memory"
        );
        source.run(&group).await.unwrap();
    }
    let script = "CREATE TABLE dbo.sessions (id int NOT NULL PRIMARY KEY NONCLUSTERED, n int NOT NULL) \
                  WITH (MEMORY_OPTIMIZED = ON, DURABILITY = SCHEMA_AND_DATA);\nGO\n\
                  INSERT INTO dbo.sessions (id, n) VALUES (1, 10), (2, 20)";
    source.run(script).await.unwrap();
    let job = Job::new(&source, &target).unwrap().source("consistency = \"snapshot\"");
    let job = job.sections("[tables]\ninclude = [\"dbo.*\"]\nchunk_rows = 1");
    let plan = job.command("plan", &[]).unwrap().expect_code(0).unwrap();
    assert!(plan.stdout.contains("read   one statement, 1 chunk; one reader:"), "{}", plan.stdout);
    job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id, n FROM sessions ORDER BY id").unwrap(), ["1|10", "2|20"]);
}

/// Making one may take minutes, or for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_does_not_wait_for_a_snapshot_to_be_made() {
    let (source, target) = (TestSource::new().await.unwrap(), TestTarget::new().unwrap());
    source.run("CREATE TABLE dbo.calm (id int NOT NULL PRIMARY KEY)").await.unwrap();
    if std::env::var_os("SYNC_TEST_MSSQL").is_some() {
        println!("a real server takes no scripted faults: nothing is tested here");
        return;
    }
    let own = format!("create database [stopgap_{}_", source.database);
    source.run(&format!("EXEC simulator_fault 'stall', '{own}', 0, 1, 0")).await.unwrap();
    let job = job(&source, &target, "database-snapshot");
    let running = job.spawn("run", &[]).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while snapshots(&source).await.is_empty() {
        assert!(Instant::now() < deadline, "none was made: {}", running.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.signal("TERM").unwrap();
    let signalled = Instant::now();
    running.wait().unwrap().expect_code(5).unwrap();
    assert!(signalled.elapsed() < Duration::from_secs(30), "it took {:?}", signalled.elapsed());
    assert_eq!(snapshots(&source).await, []);
}

/// What a view reads is known before the run: another database that allows no snapshot isolation, a memory-optimized table.
async fn a_view_that_no_snapshot_transaction_can_read_is_refused(engine: Engine) {
    let (source, other) = (TestSource::new().await.unwrap(), TestSource::new().await.unwrap());
    let target = TestTarget::on(engine).unwrap();
    let (own, far) = (&source.database, &other.database);
    other.run("CREATE TABLE dbo.far (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.far VALUES (1), (2)").await.unwrap();
    source
        .run(&format!(
            "ALTER DATABASE [{own}] SET ALLOW_SNAPSHOT_ISOLATION ON\nGO\nCREATE TABLE dbo.near (id int NOT NULL PRIMARY KEY)\nGO\n\
             INSERT INTO dbo.near VALUES (2), (3)\nGO\nCREATE VIEW dbo.v_near AS SELECT id FROM [{own}].dbo.near\nGO\n\
             CREATE VIEW dbo.v_far AS SELECT n.id FROM dbo.near AS n JOIN [{far}].dbo.far AS f ON f.id = n.id\nGO\n\
             CREATE VIEW dbo.v_through AS SELECT id FROM dbo.v_far"
        ))
        .await
        .unwrap();
    let job = |more: &str| {
        let sections = format!("[tables]\ninclude = [\"dbo.*\"]\nviews = true\n{more}");
        Job::new(&source, &target).unwrap().source("consistency = \"snapshot\"").sections(&sections)
    };
    for command in ["plan", "check", "run"] {
        let said = job("").command(command, &[]).unwrap().expect_code(PRECHECK_REFUSED).unwrap();
        let said = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        for view in ["v_far", "v_through"] {
            let refused =
                format!("dbo.{view}: consistency = \"snapshot\", but the view reads the database {far}, which");
            assert!(said.contains(&refused), "{command}: {said}");
        }
        assert!(said.contains(&format!("ALTER DATABASE [{far}] SET ALLOW_SNAPSHOT_ISOLATION ON")), "{command}: {said}");
        assert!(!said.contains("dbo.v_near: consistency"), "{command}: {said}");
    }
    let none = |view: &str| format!("[[table]]\nsource = \"dbo.{view}\"\nconsistency = \"none\"\n");
    job(&(none("v_far") + &none("v_through"))).run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id FROM v_through").unwrap(), ["2"]);
    other.run(&format!("ALTER DATABASE [{far}] SET ALLOW_SNAPSHOT_ISOLATION ON")).await.unwrap();
    job("").run().unwrap().expect_code(0).unwrap();
    if std::env::var_os("SYNC_TEST_MSSQL").is_some() {
        // A memory-optimized table needs a filegroup of its own there.
        return;
    }
    source
        .run(
            "CREATE TABLE dbo.hot (id int NOT NULL PRIMARY KEY NONCLUSTERED) WITH (MEMORY_OPTIMIZED = ON, DURABILITY = SCHEMA_AND_DATA)\nGO\n\
             CREATE VIEW dbo.v_hot AS SELECT id FROM dbo.hot",
        )
        .await
        .unwrap();
    let said = job("").command("check", &[]).unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    let said = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("dbo.v_hot: consistency") && said.contains("memory-optimized table dbo.hot"), "{said}");
    job(&none("v_hot")).run().unwrap().expect_code(0).unwrap();
}

on_each_engine!(
    a_view_that_no_snapshot_transaction_can_read_is_refused,
    a_database_snapshot_holds_every_table_at_one_moment,
    what_a_crashed_run_left_goes_whatever_the_next_one_reads_from,
    a_snapshot_that_cannot_be_dropped_at_once_is_dropped_later,
    a_snapshot_transaction_holds_a_table_at_one_moment
);
