//! Swaps on a server that speaks MySQL's protocol: what is said to be done is done, and what does not pass is not half done.

use stopgap_tests::{
    job::{Job, Outcome},
    mysql_proxy::{Moment, Proxy},
    source::TestSource,
    target::{Engine, TestTarget},
};
use tokio::time::{Duration, Instant, sleep};

const TABLES_FAILED: i32 = 1;
const LOCK_WAIT: Moment = Moment::Fails(1205, "HY000", "Lock wait timeout exceeded; try restarting transaction");
const TOO_MANY: Moment = Moment::Fails(1040, "08004", "Too many connections");
const DISK_FULL: Moment = Moment::Fails(1114, "HY000", "The table is full");

const ITEMS: &str =
    "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (2)";
const OLD_ITEMS: &str = "CREATE TABLE items (id int NOT NULL PRIMARY KEY); INSERT INTO items VALUES (1)";

/// A stage, how to know its statement, and what the target has before.
type Stage = (&'static str, fn(&str) -> bool, &'static str);

fn looks_for_snapshots(sql: &str) -> bool {
    sql.contains("innodb_trx AS t")
}

fn is_rename(sql: &str) -> bool {
    sql.starts_with("RENAME TABLE ")
}

async fn set_up(engine: Engine, source: &str, before: &str) -> (TestSource, TestTarget, Job) {
    let at_source = TestSource::new().await.unwrap();
    at_source.run(source).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    target.run(before).unwrap();
    let job = Job::new(&at_source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]");
    (at_source, target, job)
}

fn ids(target: &TestTarget, table: &str) -> Vec<String> {
    target.rows(&format!("SELECT id FROM {table} ORDER BY id")).unwrap()
}

fn assert_clean(target: &TestTarget) {
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

fn failure(outcome: &Outcome) -> (String, String) {
    let failure = outcome.json().unwrap()["tables"][0]["failure"].clone();
    let text = |key: &str| failure[key].as_str().unwrap_or_default().to_owned();
    (text("message"), text("remedy"))
}

/// A session whose snapshot is older than what the job will make.
async fn old_snapshot(target: &TestTarget) -> stopgap_tests::target::Session {
    target.run("CREATE TABLE other (x int); INSERT INTO other VALUES (1)").unwrap();
    let mut reader = target.session().await.unwrap();
    reader.run("START TRANSACTION").await.unwrap();
    reader.texts("SELECT CONCAT(x) FROM other").await.unwrap();
    reader.is_listed().await.unwrap();
    reader
}

/// Another run that took the lease meanwhile, or somebody's hand: there is nothing left to put before the readers.
async fn a_staging_table_that_vanished_is_no_success(engine: Engine) {
    for before in [OLD_ITEMS, ""] {
        let (_source, target, job) = set_up(engine, ITEMS, if before.is_empty() { "SELECT 1" } else { before }).await;
        let mut reader = old_snapshot(&target).await;
        // Where the table is new nobody is waited for: the job stops before its RENAME instead.
        let watched = if before.is_empty() { is_rename } else { looks_for_snapshots };
        let moment = before.is_empty().then_some((0, LOCK_WAIT));
        let proxy = Proxy::repeated(target.port(), watched, moment, 4).await.unwrap();
        let job = job.target("swap_wait = \"20s\"").through(proxy.port);
        let running = job.spawn("run", &["--format", "json"]).unwrap();
        let deadline = Instant::now() + Duration::from_mins(1);
        while proxy.statements().is_empty() {
            assert!(Instant::now() < deadline, "no swap: {}", running.said());
            sleep(Duration::from_millis(5)).await;
        }
        for name in target.leftovers().unwrap() {
            target.run(&format!("DROP TABLE {name}")).unwrap();
        }
        reader.run("ROLLBACK").await.unwrap();
        let outcome = running.wait().unwrap().expect_code(TABLES_FAILED).unwrap();
        let (message, _) = failure(&outcome);
        assert!(message.contains("swapping") && message.contains("gone"), "{message}");
        let found = target.rows("SHOW TABLES LIKE 'items'").unwrap();
        assert_eq!(found.len(), usize::from(!before.is_empty()));
        if !before.is_empty() {
            assert_eq!(ids(&target, "items"), ["1"]);
        }
        assert_clean(&target);
    }
}

/// With no time left for another try, what became of the RENAME is still found out.
async fn a_last_rename_without_a_reply_is_found_to_be_done(engine: Engine) {
    for before in [OLD_ITEMS, "SELECT 1"] {
        let (_source, target, job) = set_up(engine, ITEMS, before).await;
        let proxy = Proxy::start(target.port(), is_rename, Some((0, Moment::ReplyLost))).await.unwrap();
        job.target("swap_wait = \"1ms\"").through(proxy.port).run().unwrap().expect_code(0).unwrap();
        assert_eq!(ids(&target, "items"), ["2"]);
        assert_clean(&target);
    }
}

/// Another run may take the proof for a leftover. Nobody can tell then what became of a RENAME without a reply, and nothing is claimed.
async fn without_its_proof_a_rename_is_not_known(engine: Engine) {
    let (_source, target, job) =
        set_up(engine, ITEMS, &format!("{OLD_ITEMS}; ALTER TABLE items COMMENT = 'kept'")).await;
    let mut reader = old_snapshot(&target).await;
    let proxy = Proxy::start(target.port(), is_rename, Some((0, Moment::ReplyLost))).await.unwrap();
    let job = job.target("swap_wait = \"20s\"").through(proxy.port);
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut names = Vec::new();
    while names.len() < 2 {
        assert!(Instant::now() < deadline, "no staging table: {}", running.said());
        names = target.leftovers().unwrap();
    }
    let staging = names.iter().find(|name| name.ends_with("_0")).unwrap();
    let mut thief = target.session().await.unwrap();
    reader.run("ROLLBACK").await.unwrap();
    while !running.has_ended().unwrap() {
        thief.run(&format!("DROP TABLE IF EXISTS {staging}d")).await.unwrap();
    }
    let (message, remedy) = failure(&running.wait().unwrap().expect_code(TABLES_FAILED).unwrap());
    assert!(message.contains("swapping") && remedy.contains("old rows or the new ones"), "{message}: {remedy}");
    assert_eq!(ids(&target, "items"), ["2"]);
}

const WITH_NEW: &str = "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (2); \
     CREATE TABLE dbo.extra (id int NOT NULL CONSTRAINT pk_extra PRIMARY KEY); INSERT INTO dbo.extra (id) VALUES (7)";
const GROUP: &str =
    "[[table]]\nsource = \"dbo.items\"\ngroup = \"one\"\n[[table]]\nsource = \"dbo.extra\"\ngroup = \"one\"";

async fn a_new_table_waits_for_the_in_place_updates_of_its_group(engine: Engine) {
    let before = "CREATE TABLE items (id int NOT NULL PRIMARY KEY); INSERT INTO items VALUES (1); \
                  CREATE TABLE notes (item int NOT NULL, FOREIGN KEY (item) REFERENCES items (id)); INSERT INTO notes VALUES (1)";
    let (_source, target, job) = set_up(engine, WITH_NEW, before).await;
    let job = job.sections(GROUP);
    job.run().unwrap().expect_code(TABLES_FAILED).unwrap();
    assert_eq!(ids(&target, "items"), ["1"]);
    assert_eq!(target.rows("SHOW TABLES LIKE 'extra'").unwrap(), Vec::<String>::new(), "half of the group changed");
    assert_clean(&target);
    target.run("DELETE FROM notes").unwrap();

    // After the kept ones' COMMIT there is no way back, and it is said.
    let proxy = Proxy::repeated(target.port(), is_rename, Some((0, DISK_FULL)), 1_000).await.unwrap();
    let outcome = job.twin().unwrap().through(proxy.port).run().unwrap().expect_code(TABLES_FAILED).unwrap();
    let (message, remedy) = failure(&outcome);
    assert!(message.contains("have their new rows") && message.contains("extra"), "{message}");
    assert!(!remedy.contains("The old table was kept"), "{remedy}");
    assert_clean(&target);

    job.run().unwrap().expect_code(0).unwrap();
    assert_eq!((ids(&target, "items"), ids(&target, "extra")), (vec!["2".to_owned()], vec!["7".to_owned()]));
}

/// Whatever passes is tried again for as long as the swap may take, wherever it strikes.
async fn what_passes_before_the_rename_is_tried_again(engine: Engine) {
    const FAMILY: &str = "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (2); \
         CREATE TABLE dbo.parts (id int NOT NULL CONSTRAINT pk_parts PRIMARY KEY, item int NOT NULL CONSTRAINT fk_item REFERENCES dbo.items (id)); \
         INSERT INTO dbo.parts (id, item) VALUES (3, 2)";
    let stages: [Stage; 4] = [
        ("clock", |sql| sql.starts_with("SELECT CAST(NOW()"), OLD_ITEMS),
        ("snapshots", looks_for_snapshots, OLD_ITEMS),
        ("foreign key", |sql| sql.contains(" ADD CONSTRAINT "), "SELECT 1"),
        ("orphans", |sql| sql.contains(" AND NOT EXISTS (SELECT 1 FROM "), "SELECT 1"),
    ];
    for (stage, watched, before) in stages {
        for moment in [TOO_MANY, Moment::Broken, Moment::ReplyLost] {
            let script = if before == OLD_ITEMS { ITEMS } else { FAMILY };
            let (_source, target, job) = set_up(engine, script, before).await;
            let proxy = Proxy::start(target.port(), watched, Some((0, moment))).await.unwrap();
            let what = format!("{stage} {moment:?}");
            let outcome = job.sections("foreign_keys = \"create\"").through(proxy.port).run().unwrap();
            outcome.expect_code(0).unwrap_or_else(|error| panic!("{what}: {error:#}"));
            assert!(!proxy.statements().is_empty(), "{what}: never came");
            assert_eq!(ids(&target, "items"), ["2"], "{what}");
            assert_clean(&target);
        }
    }
}

/// Waiting for an old snapshot may use up the time; what the table is kept for gets a time of its own.
async fn a_replacement_under_an_old_snapshot_is_tried_more_than_once(engine: Engine) {
    let (_source, target, job) = set_up(engine, ITEMS, OLD_ITEMS).await;
    let mut reader = old_snapshot(&target).await;
    let is_delete = |sql: &str| sql.starts_with("DELETE t FROM ");
    let proxy = Proxy::start(target.port(), is_delete, Some((0, LOCK_WAIT))).await.unwrap();
    let outcome = job.target("swap_wait = \"2s\"").through(proxy.port).run().unwrap().expect_code(0).unwrap();
    assert_eq!(outcome.json().unwrap()["tables"][0]["swap"], "replace");
    assert_eq!(reader.texts("SELECT CONCAT(id) FROM items").await.unwrap(), ["1"]);
    assert_eq!(ids(&target, "items"), ["2"]);
    assert_clean(&target);
}

/// What happens to the connection after the COMMIT makes nothing undone.
async fn a_connection_that_breaks_after_the_replacement_is_no_failure(engine: Engine) {
    let before = "CREATE TABLE items (id int NOT NULL PRIMARY KEY); INSERT INTO items VALUES (1); \
                  CREATE TRIGGER noted AFTER DELETE ON items FOR EACH ROW SET @gone = OLD.id";
    let (_source, target, job) = set_up(engine, ITEMS, before).await;
    let restores = |sql: &str| sql.starts_with("SET SESSION foreign_key_checks = 1, ");
    let proxy = Proxy::start(target.port(), restores, Some((0, Moment::Broken))).await.unwrap();
    job.target("swap_wait = \"1ms\"").through(proxy.port).run().unwrap().expect_code(0).unwrap();
    assert_eq!(proxy.statements().len(), 1, "{:?}", proxy.statements());
    assert_eq!(ids(&target, "items"), ["2"]);
}

/// An index may come while a swap waits: the rename that would lose it does not happen, and the next run keeps the table.
async fn an_index_added_during_the_run_is_not_lost(engine: Engine) {
    let script = "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, n int NOT NULL); \
                  INSERT INTO dbo.items (id, n) VALUES (2, 20)";
    let before = "CREATE TABLE items (id int NOT NULL PRIMARY KEY, n int NOT NULL); INSERT INTO items VALUES (1, 10)";
    let (_source, target, job) = set_up(engine, script, before).await;
    let mut reader = old_snapshot(&target).await;
    let proxy = Proxy::start(target.port(), looks_for_snapshots, None).await.unwrap();
    let waiting = job.twin().unwrap().target("swap_wait = \"1m\"").through(proxy.port);
    let running = waiting.spawn("run", &["--format", "json"]).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while proxy.statements().is_empty() {
        assert!(Instant::now() < deadline, "no swap: {}", running.said());
        sleep(Duration::from_millis(5)).await;
    }
    target.run("CREATE INDEX added ON items (n)").unwrap();
    reader.run("ROLLBACK").await.unwrap();
    let (message, _) = failure(&running.wait().unwrap().expect_code(TABLES_FAILED).unwrap());
    assert!(message.contains("got new dependents") && message.contains("index added"), "{message}");
    assert_eq!(ids(&target, "items"), ["1"]);

    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "replace");
    assert_eq!(ids(&target, "items"), ["2"]);
    assert_eq!(target.rows("SHOW INDEX FROM items WHERE Key_name = 'added'").unwrap().len(), 1);
    assert_clean(&target);
}

/// What people wrote beside the columns, and how they want the table to be stored, is there after a rename.
async fn comments_of_columns_and_options_survive_a_rename(engine: Engine) {
    let script = "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, doc nvarchar(max) NULL); \
                  INSERT INTO dbo.items (id, doc) VALUES (2, N'{}')";
    let before = "CREATE TABLE items (id int NOT NULL PRIMARY KEY COMMENT 'it''s counted by hand', doc json NULL COMMENT 'a \\\\ b') \
                  ROW_FORMAT = COMPRESSED KEY_BLOCK_SIZE = 8 STATS_SAMPLE_PAGES = 30 COMMENT = 'all of them'";
    let (_source, target, job) = set_up(engine, script, before).await;
    let job = job.sections("[[table]]\nsource = \"dbo.items\"\ntarget_types = { doc = \"json\" }");
    for _ in 0..2 {
        rename_items(&job);
        assert_eq!(shown(&target, "HEX(column_comment)", "columns"), [hex("a \\ b"), hex("it's counted by hand")]);
        assert_eq!(shown(&target, "table_comment", "tables"), ["all of them"]);
        let options = shown(&target, "LOWER(create_options)", "tables").remove(0);
        for option in ["row_format=compressed", "key_block_size=8", "stats_sample_pages=30"] {
            assert!(options.contains(option), "{option}: {options}");
        }
        assert_eq!(ids(&target, "items"), ["2"]);
    }
}

/// A size of blocks compresses a table by itself; beside another row format it says nothing, and a strict server refuses it.
async fn a_size_of_blocks_stays_where_it_means_something(engine: Engine) {
    let lax = "SET SESSION innodb_strict_mode = 0; CREATE TABLE items (id int NOT NULL PRIMARY KEY) ROW_FORMAT = DYNAMIC KEY_BLOCK_SIZE = 8";
    let alone = "CREATE TABLE items (id int NOT NULL PRIMARY KEY) KEY_BLOCK_SIZE = 8";
    for (before, format, keeps) in [(alone, "Compressed", true), (lax, "Dynamic", false)] {
        let (_source, target, job) = set_up(engine, ITEMS, before).await;
        for _ in 0..2 {
            rename_items(&job);
            assert_eq!(shown(&target, "row_format", "tables"), [format]);
            let options = shown(&target, "LOWER(create_options)", "tables").remove(0);
            assert_eq!(options.contains("key_block_size=8"), keeps, "{options}");
            assert_eq!(ids(&target, "items"), ["2"]);
        }
    }
}

fn rename_items(job: &Job) {
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "rename");
}

/// What a view of the catalog has of the table `items`.
fn shown(target: &TestTarget, what: &str, view: &str) -> Vec<String> {
    let place = "table_schema = DATABASE() AND table_name = 'items'";
    target.rows(&format!("SELECT {what} FROM information_schema.{view} WHERE {place} ORDER BY 1")).unwrap()
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

/// No key acts while rows are replaced, whatever it declares.
async fn a_child_with_a_cascade_of_its_own_keeps_the_old_rows(engine: Engine) {
    let before = "CREATE TABLE items (id int NOT NULL PRIMARY KEY); INSERT INTO items VALUES (1); \
                  CREATE TABLE notes (item int NOT NULL, FOREIGN KEY (item) REFERENCES items (id) ON DELETE CASCADE); \
                  INSERT INTO notes VALUES (1)";
    let (_source, target, job) = set_up(engine, ITEMS, before).await;
    let (message, remedy) = failure(&job.run().unwrap().expect_code(TABLES_FAILED).unwrap());
    assert!(message.contains("notes") && remedy.contains("on the target"), "{message}: {remedy}");
    assert_eq!(target.rows("SELECT item FROM notes").unwrap(), ["1"]);
    assert_eq!(ids(&target, "items"), ["1"]);
    target.run("DELETE FROM notes").unwrap();
    job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(ids(&target, "items"), ["2"]);
}

on_each_mysql!(
    without_its_proof_a_rename_is_not_known,
    a_connection_that_breaks_after_the_replacement_is_no_failure,
    an_index_added_during_the_run_is_not_lost,
    comments_of_columns_and_options_survive_a_rename,
    a_size_of_blocks_stays_where_it_means_something,
    a_child_with_a_cascade_of_its_own_keeps_the_old_rows,
    a_staging_table_that_vanished_is_no_success,
    a_last_rename_without_a_reply_is_found_to_be_done,
    a_new_table_waits_for_the_in_place_updates_of_its_group,
    what_passes_before_the_rename_is_tried_again,
    a_replacement_under_an_old_snapshot_is_tried_more_than_once,
);
