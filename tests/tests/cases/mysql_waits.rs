//! MySQL's servers time out, hang and keep their locks: the job waits where waiting is right, and ends where it is not.

use std::time::Duration;
use stopgap_tests::{
    job::{Job, Running},
    mysql_proxy::{Moment, Proxy},
    source::TestSource,
    target::{Engine, TestTarget},
    wire::Wire,
};
use tokio::time::{Instant, sleep};

use super::interruption::{ROWS, set_up, stop_in_the_middle};

const TABLES_FAILED: i32 = 1;
/// Part of what the source sends of its rows, and more than of anything else.
const BYTES_BEFORE_A_PAUSE: u64 = 4 << 20;

async fn until(what: &str, running: &Running, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !done() {
        assert!(Instant::now() < deadline, "{what} never came; {}", running.said());
        sleep(Duration::from_millis(20)).await;
    }
}

/// The source's next row may be long in coming, and so may the next swap: neither LOAD DATA nor the lease are given up for it. The job
/// itself goes on meanwhile: were it stopped, a connection could be lost before it has said how long it may be silent.
async fn a_server_with_short_timeouts_waits_for_the_source(engine: Engine) {
    let (source, _, _) = set_up(engine).await;
    let impatient = [("net-read-timeout", "2"), ("net-write-timeout", "2"), ("wait-timeout", "2")];
    let target = TestTarget::with_own(engine, None, &impatient).unwrap();
    let wire = Wire::holding(source.address.port, BYTES_BEFORE_A_PAUSE).await.unwrap();
    let job = Job::new(&source, &target).unwrap().job("retries = 0").sections("[tables]\ninclude = [\"dbo.events\"]");
    let job = job.source(&format!("host = \"127.0.0.1\"\nport = {}", wire.port));
    let running = job.spawn("run", &["--format", "json"]).unwrap();
    until("a row", &running, || wire.holds()).await;
    let load = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'LOAD DATA %'";
    until("the load", &running, || target.value(load).unwrap() != "0").await;
    sleep(Duration::from_secs(5)).await;
    wire.release();
    running.wait().unwrap().expect_code(0).unwrap();
    assert_eq!(target.value("SELECT count(*) FROM events").unwrap(), ROWS);
}

/// The digest, which may take long, and the indexes go side by side; here a test's session holds the lock that the digest has.
async fn an_index_waits_for_the_digest(engine: Engine) {
    let (source, target, _) = set_up(engine).await;
    source.run("CREATE INDEX ix_id ON dbo.events (id)").await.unwrap();
    let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.events\"]");
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    stop_in_the_middle(&target, &mut running);
    let tables = target.leftovers().unwrap();
    let staging = tables.iter().find(|name| name.ends_with("_0")).cloned();
    let staging = staging.unwrap_or_else(|| tables[0].trim_end_matches('c').to_owned());
    let mut session = target.session().await.unwrap();
    session.run("START TRANSACTION").await.unwrap();
    running.signal("CONT").unwrap();
    // The ledger is there before the staging table.
    let deadline = Instant::now() + Duration::from_secs(30);
    while session.texts(&format!("SELECT CONCAT(id) FROM {staging} LIMIT 1")).await.is_err() {
        assert!(Instant::now() < deadline, "no staging table: {}", running.said());
        sleep(Duration::from_millis(1)).await;
    }
    let waiting = format!(
        "SELECT count(*) FROM information_schema.processlist WHERE db = '{}' AND info LIKE 'ALTER TABLE%ADD KEY%' \
         AND state LIKE 'Waiting for table metadata lock%'",
        target.database
    );
    until("the index", &running, || target.value(&waiting).unwrap() == "1").await;
    // Other statements of the job wait for half a minute.
    sleep(Duration::from_secs(32)).await;
    session.run("COMMIT").await.unwrap();
    let report = running.wait().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["retries"], 0, "index or digest were given up");
    assert_eq!(target.value("SELECT count(*) FROM events").unwrap(), ROWS);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// Jobs of one name may write to several databases of a server at a time: neither takes the other's tables for leftovers.
async fn jobs_of_one_name_in_two_databases_leave_each_other_alone(engine: Engine) {
    let (_source, target, job) = set_up(engine).await;
    let elsewhere = TestTarget::on(engine).unwrap();
    let mut first = job.spawn("run", &[]).unwrap();
    stop_in_the_middle(&target, &mut first);
    let other = job.twin().unwrap().target(&format!("database = \"{}\"", elsewhere.database));
    let outcome = other.run().unwrap().expect_code(0).unwrap();
    assert!(!outcome.stdout.contains("an earlier run left behind"), "{}", outcome.stdout);
    first.signal("CONT").unwrap();
    first.wait().unwrap().expect_code(0).unwrap();
    for target in [&target, &elsewhere] {
        assert_eq!(target.value("SELECT count(*) FROM events").unwrap(), ROWS);
        assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
    }
}

/// An interruption lets a swap come to its end, but not for ever: a server that hangs would keep the job with it.
async fn a_swap_that_hangs_ends_after_an_interruption(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    source
        .run("CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (2)")
        .await
        .unwrap();
    let target = TestTarget::on(engine).unwrap();
    target.run("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)").unwrap();
    let is_rename = |sql: &str| sql.starts_with("RENAME TABLE ");
    let proxy = Proxy::start(target.port(), is_rename, Some((0, Moment::Before))).await.unwrap();
    let job = Job::new(&source, &target).unwrap().job("stall_timeout = \"2s\"").target("connect_timeout = \"1s\"");
    let job = job.sections("[tables]\ninclude = [\"dbo.*\"]");
    let hung = job.twin().unwrap().through(proxy.port);
    let running = hung.spawn("run", &["--format", "json"]).unwrap();
    until("the swap", &running, || proxy.has_stopped()).await;
    until("the keep-alive timer", &running, || all_are_kept_alive(proxy.port)).await;
    let interrupted = Instant::now();
    running.signal("INT").unwrap();
    let outcome = running.wait().unwrap().expect_code(TABLES_FAILED).unwrap();
    assert!(interrupted.elapsed() < Duration::from_secs(40), "{:?}", interrupted.elapsed());
    let report = outcome.json().unwrap();
    let message = report["tables"][0]["failure"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("is not known") && message.contains("sync-job verify"), "{message}");
    drop(proxy);
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["1"]);
    job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// Whether each connection to the port waits with the kernel's keep-alive timer (proc(5), /proc/net/tcp: column `tr`, 2).
fn all_are_kept_alive(port: u16) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let remote = format!(":{port:04X}");
    let established: Vec<Vec<&str>> = sockets
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.len() > 5 && fields[2].ends_with(&remote) && fields[3] == "01")
        .collect();
    !established.is_empty() && established.iter().all(|fields| fields[5].starts_with("02:"))
}

/// What was converted after the proof has no digest of the source's; the rest of the row still has.
async fn an_in_place_update_with_conversions_is_proven_afterwards(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    let script = "CREATE TABLE dbo.settings (id int NOT NULL PRIMARY KEY, n int NOT NULL, body nvarchar(max) NULL);\nGO\n\
                  INSERT INTO dbo.settings (id, n, body) VALUES (1, 10, N'{\"b\": 1}'), (2, 20, NULL)";
    source.run(script).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let sections = "[[table]]\nsource = \"dbo.settings\"\n[table.target_types]\nbody = \"json\"";
    let job = Job::new(&source, &target).unwrap().sections(sections);
    job.run().unwrap().expect_code(0).unwrap();
    let rows = "SELECT CONCAT_WS(' ', id, n, body) FROM settings ORDER BY id";
    target.run("CREATE TRIGGER noted AFTER DELETE ON settings FOR EACH ROW SET @gone = OLD.id").unwrap();
    source.run("UPDATE dbo.settings SET n = 11, body = N'{\"b\": 2}' WHERE id = 1").await.unwrap();
    let outcome = job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(outcome.json().unwrap()["tables"][0]["swap"], "replace", "the trigger does not keep the table");
    assert_eq!(target.rows(rows).unwrap(), ["1 11 {\"b\": 2}", "2 20"]);

    target.run("CREATE TRIGGER meddles BEFORE INSERT ON settings FOR EACH ROW SET NEW.n = NEW.n + 1").unwrap();
    source.run("UPDATE dbo.settings SET n = 12 WHERE id = 1").await.unwrap();
    let report = job.run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    let message = report["tables"][0]["failure"].to_string();
    assert!(message.contains("does not hold what was read"), "{message}");
    assert_eq!(target.rows(rows).unwrap(), ["1 11 {\"b\": 2}", "2 20"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

on_each_mysql!(
    a_server_with_short_timeouts_waits_for_the_source,
    an_index_waits_for_the_digest,
    jobs_of_one_name_in_two_databases_leave_each_other_alone,
    a_swap_that_hangs_ends_after_an_interruption,
    an_in_place_update_with_conversions_is_proven_afterwards,
);
