//! Tables of which only changes are copied, by Change Tracking: each change arrives once, nothing that the changes do not tell goes
//! unnoticed, and whatever is lost is copied anew.

use serde_json::Value;
use stopgap_tests::{
    job::Job,
    mysql_proxy, postgres_proxy,
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;
const INTERRUPTED: i32 = 5;

/// A tracked table of two key columns, a second unique key, and text.
const TABLE: &str = "\
CREATE TABLE dbo.orders (shop int NOT NULL, id bigint NOT NULL, code int NOT NULL, note nvarchar(40) NULL, \
 amount decimal(12,2) NOT NULL, CONSTRAINT pk_orders PRIMARY KEY (shop, id), CONSTRAINT uq_code UNIQUE (code))";

async fn tracked(script: &str) -> TestSource {
    let source = TestSource::new().await.unwrap();
    let database = source.database.clone();
    source
        .run(&format!(
            "ALTER DATABASE [{database}] SET ALLOW_SNAPSHOT_ISOLATION ON;\nGO\n\
             ALTER DATABASE [{database}] SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON);\nGO\n{script}"
        ))
        .await
        .unwrap();
    source
}

/// A database with [`TABLE`], tracked, and five rows.
async fn orders() -> TestSource {
    tracked(&format!(
        "{TABLE};\nGO\nALTER TABLE dbo.orders ENABLE CHANGE_TRACKING;\nGO\n\
         INSERT INTO dbo.orders VALUES (1, 1, 11, N'a', 1.5), (1, 2, 12, N'b', 2.5), (1, 3, 13, NULL, 3.5), \
         (2, 1, 21, N'd', 4.5), (2, 9000000000, 22, N'ü', 5.5)"
    ))
    .await
}

fn job(source: &TestSource, target: &TestTarget, more: &str) -> Job {
    let sections = format!("[[table]]\nsource = \"dbo.orders\"\nmode = \"change-tracking\"\n{more}");
    Job::new(source, target).unwrap().source("consistency = \"snapshot\"").sections(&sections)
}

/// Runs the job and returns what the report says of the one table.
fn run(job: &Job) -> Value {
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    report["tables"][0].clone()
}

const ALL: &str =
    "SELECT CONCAT(shop, ' ', id, ' ', code, ' ', COALESCE(note, '-'), ' ', amount) FROM orders ORDER BY shop, id";

async fn at_source(source: &TestSource) -> Vec<String> {
    let all = "SELECT CONCAT(shop, N' ', id, N' ', code, N' ', ISNULL(note, N'-'), N' ', amount) FROM dbo.orders ORDER BY shop, id";
    source.texts(all).await.unwrap().into_iter().flatten().collect()
}

/// The target holds what the source does, and nothing else was left but what is remembered.
async fn assert_alike(source: &TestSource, target: &TestTarget) {
    assert_eq!(target.rows(ALL).unwrap(), at_source(source).await);
    let left = target.leftovers().unwrap();
    assert!(left.iter().all(|name| name.starts_with("stopgap_tables")), "{left:?}");
}

async fn each_change_arrives_once(engine: Engine) {
    let source = orders().await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "");
    let first = run(&job);
    assert_eq!(first["changes"]["why_full"], "no_state", "{first}");
    assert_alike(&source, &target).await;

    // Inserted, changed, gone, a changed key, deleted and inserted again, inserted and gone, changed to what it was.
    source
        .run(
            "INSERT INTO dbo.orders VALUES (3, 1, 31, N'new', 6.5);\n\
             UPDATE dbo.orders SET amount = 99 WHERE shop = 1 AND id = 1;\n\
             DELETE FROM dbo.orders WHERE shop = 1 AND id = 2;\n\
             UPDATE dbo.orders SET id = 4 WHERE shop = 1 AND id = 3;\n\
             DELETE FROM dbo.orders WHERE shop = 2 AND id = 1;\n\
             INSERT INTO dbo.orders VALUES (2, 1, 21, N'again', 7);\n\
             INSERT INTO dbo.orders VALUES (4, 1, 41, N'x', 1);\n\
             DELETE FROM dbo.orders WHERE shop = 4;\n\
             UPDATE dbo.orders SET note = N'ü' WHERE id = 9000000000",
        )
        .await
        .unwrap();
    let second = run(&job);
    let changes = &second["changes"];
    assert_eq!(changes["why_full"], Value::Null, "{second}");
    assert_eq!((&changes["inserted"], &changes["present"]), (&2.into(), &3.into()), "{second}");
    // Two keys that the target had; the third, which came and went, it never had.
    assert_eq!(changes["deleted"], 2, "{second}");
    assert_alike(&source, &target).await;

    let third = run(&job);
    assert_eq!((&third["changes"]["why_full"], &third["rows"]), (&Value::Null, &0.into()), "{third}");
    assert_eq!(third["changes"]["from_version"], second["changes"]["to_version"]);
    assert_alike(&source, &target).await;
    let verified = job.command("verify", &[]).unwrap().expect_code(0);
    verified.unwrap();
}

/// A database with rows that have a rowversion.
async fn versioned() -> TestSource {
    let source = orders().await;
    source.run("ALTER TABLE dbo.orders ADD row_version rowversion NOT NULL").await.unwrap();
    source
}

fn by_version(source: &TestSource, target: &TestTarget, more: &str) -> Job {
    let sections = format!(
        "[[table]]\nsource = \"dbo.orders\"\nmode = \"rowversion\"\nexclude_columns = [\"row_version\"]\n{more}"
    );
    Job::new(source, target).unwrap().source("consistency = \"snapshot\"").sections(&sections)
}

async fn changes_are_found_by_a_rowversion(engine: Engine) {
    let source = versioned().await;
    let target = TestTarget::on(engine).unwrap();
    let job = by_version(&source, &target, "prove = \"1/1\"");
    assert_eq!(run(&job)["changes"]["why_full"], "no_state");
    assert_alike(&source, &target).await;
    assert_eq!(run(&job)["rows"], 0, "nothing changed");

    // Inserted and changed alone: no key is read.
    source
        .run("INSERT INTO dbo.orders (shop, id, code, note, amount) VALUES (3, 1, 31, N'new', 6.5);\nUPDATE dbo.orders SET amount = 99 WHERE code = 11")
        .await
        .unwrap();
    let found = run(&job);
    assert_eq!((&found["changes"]["inserted"], &found["changes"]["deleted"]), (&1.into(), &0.into()), "{found}");
    assert_alike(&source, &target).await;

    // As many gone as new ones, a changed key, and rows that are gone alone.
    for sql in [
        "DELETE FROM dbo.orders WHERE code = 12;\nINSERT INTO dbo.orders (shop, id, code, note, amount) VALUES (4, 1, 41, NULL, 0)",
        "UPDATE dbo.orders SET id = 77 WHERE code = 13",
        "DELETE FROM dbo.orders WHERE shop = 2",
        "TRUNCATE TABLE dbo.orders",
    ] {
        source.run(sql).await.unwrap();
        let found = run(&job);
        assert_eq!(found["changes"]["why_full"], Value::Null, "{sql}: {found}");
        assert_alike(&source, &target).await;
    }
    job.command("verify", &[]).unwrap().expect_code(0).unwrap();
}

async fn a_version_that_was_given_before_the_last_run_and_committed_after_it_is_not_missed(engine: Engine) {
    let source = versioned().await;
    let target = TestTarget::on(engine).unwrap();
    let job = by_version(&source, &target, "");
    run(&job);
    let mut writer = source.address.connect(&source.database).await.unwrap();
    let mut write =
        async |sql: &'static str| writer.simple_query(sql).await.unwrap().into_results().await.map(drop).unwrap();
    write("BEGIN TRANSACTION; UPDATE dbo.orders SET note = N'early' WHERE code = 11").await;
    // Later versions are committed, and copied, while the earlier one is open.
    source.run("UPDATE dbo.orders SET note = N'late' WHERE code = 21").await.unwrap();
    assert_eq!(run(&job)["rows"], 1);
    assert_eq!(target.rows("SELECT note FROM orders WHERE code IN (11, 21) ORDER BY code").unwrap(), ["a", "late"]);
    write("COMMIT TRANSACTION").await;
    run(&job);
    assert_alike(&source, &target).await;
}

async fn rows_that_are_gone_may_stay(engine: Engine) {
    let source = versioned().await;
    let target = TestTarget::on(engine).unwrap();
    let refused = by_version(&source, &target, "deletes = \"ignore\"").run().unwrap().expect_code(3).unwrap();
    assert!(refused.stdout.contains("unique index uq_code"), "{}", refused.stdout);
    let job = by_version(&source, &target, "deletes = \"ignore\"\nprove = \"1/1\"\nindexes = \"primary-key\"");
    run(&job);
    source
        .run("DELETE FROM dbo.orders WHERE shop = 2;\nUPDATE dbo.orders SET amount = 1 WHERE code = 11")
        .await
        .unwrap();
    let found = run(&job);
    assert_eq!((&found["changes"]["deleted"], &found["changes"]["present"]), (&0.into(), &1.into()), "{found}");
    assert_eq!(target.rows("SELECT code FROM orders ORDER BY code").unwrap(), ["11", "12", "13", "21", "22"]);
}

async fn rows_that_exchange_unique_values_arrive(engine: Engine) {
    let source = orders().await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "");
    run(&job);
    source
        .run(
            "UPDATE dbo.orders SET code = 0 WHERE code = 11;\nUPDATE dbo.orders SET code = 11 WHERE code = 12;\n\
             UPDATE dbo.orders SET code = 12 WHERE code = 0;\n\
             DELETE FROM dbo.orders WHERE code = 13;\n\
             UPDATE dbo.orders SET code = 13 WHERE code = 21",
        )
        .await
        .unwrap();
    assert_eq!(run(&job)["changes"]["why_full"], Value::Null);
    assert_alike(&source, &target).await;
}

async fn rows_that_leave_the_filter_leave_the_target(engine: Engine) {
    let source = orders().await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "filter = \"amount < 5 OR [note] = N'kept'\"");
    run(&job);
    let codes = || target.rows("SELECT code FROM orders ORDER BY code").unwrap();
    assert_eq!(codes(), ["11", "12", "13", "21"]);
    source
        .run(
            "UPDATE dbo.orders SET amount = 50 WHERE code = 11;\nUPDATE dbo.orders SET note = N'kept' WHERE code = 22;\n\
             UPDATE dbo.orders SET amount = 60, note = N'kept' WHERE code = 12;\n\
             INSERT INTO dbo.orders VALUES (7, 1, 71, NULL, 70), (7, 2, 72, NULL, 0)",
        )
        .await
        .unwrap();
    let second = run(&job);
    assert_eq!(second["changes"]["why_full"], Value::Null, "{second}");
    assert_eq!(codes(), ["12", "13", "21", "22", "72"]);
    assert_eq!(second["changes"]["deleted"], 1, "{second}");
}

/// As each engine has it.
const DROP_KEY: &str = "drop the primary key";

/// What happened, in T-SQL and on the target, a key of the job file, and the code of the reason.
const WHOLE: [(&str, &str, &str, &str, &str); 10] = [
    ("nothing", "", "", "full_every = \"1ms\"", "due"),
    ("filter", "", "", "filter = \"shop > 0\"", "plan_changed"),
    ("column", "ALTER TABLE dbo.orders ADD added int NOT NULL DEFAULT 7", "", "", "plan_changed"),
    (
        "column anew",
        "ALTER TABLE dbo.orders DROP COLUMN note;\nGO\nALTER TABLE dbo.orders ADD note nvarchar(40) NULL",
        "",
        "",
        "plan_changed",
    ),
    ("the target's key gone", "", DROP_KEY, "", "target_differs"),
    (
        "truncate",
        "TRUNCATE TABLE dbo.orders; INSERT INTO dbo.orders VALUES (9, 9, 9, NULL, 9)",
        "",
        "",
        "other_history",
    ),
    (
        "tracking anew",
        "ALTER TABLE dbo.orders DISABLE CHANGE_TRACKING; UPDATE dbo.orders SET amount = 0;\nGO\n\
         ALTER TABLE dbo.orders ENABLE CHANGE_TRACKING",
        "",
        "",
        "other_history",
    ),
    (
        "table anew",
        "DROP TABLE dbo.orders;\nGO\nCREATE TABLE dbo.orders (shop int NOT NULL, id bigint NOT NULL, code int NOT NULL, \
         note nvarchar(40) NULL, amount decimal(12,2) NOT NULL, CONSTRAINT pk_orders PRIMARY KEY (shop, id), \
         CONSTRAINT uq_code UNIQUE (code));\nGO\n\
         ALTER TABLE dbo.orders ENABLE CHANGE_TRACKING;\nGO\nINSERT INTO dbo.orders VALUES (8, 8, 8, NULL, 8)",
        "",
        "",
        "other_history",
    ),
    (
        "tracking off",
        "ALTER TABLE dbo.orders DISABLE CHANGE_TRACKING; DELETE FROM dbo.orders WHERE shop = 1",
        "",
        "",
        "untracked",
    ),
    ("target gone", "", "DROP TABLE orders", "", "target_differs"),
];

async fn what_changes_do_not_tell_is_copied_whole(engine: Engine) {
    for (what, sql, on_target, keys, code) in WHOLE {
        let source = orders().await;
        let target = TestTarget::on(engine).unwrap();
        run(&job(&source, &target, ""));
        if !sql.is_empty() {
            source.run(sql).await.unwrap_or_else(|error| panic!("{what}: {error:#}"));
        }
        if !on_target.is_empty() {
            let drop_key = match engine {
                Engine::Postgres => "ALTER TABLE orders DROP CONSTRAINT pk_orders",
                Engine::MySql | Engine::MariaDb => "ALTER TABLE orders DROP PRIMARY KEY",
            };
            target.run(if on_target == DROP_KEY { drop_key } else { on_target }).unwrap();
        }
        let found = run(&job(&source, &target, keys));
        assert_eq!(found["changes"]["why_full"], code, "{what}: {found}");
        assert_alike(&source, &target).await;
        if code != "untracked" {
            let next = run(&job(&source, &target, keys.trim_start_matches("full_every = \"1ms\"")));
            assert_eq!(next["changes"]["why_full"], Value::Null, "{what}, the run after: {next}");
        }
    }
}

/// TRUNCATE sets the version at which the table's tracking began to the current one, and where that is the same nothing tells of it.
async fn a_truncation_at_the_version_of_the_beginning_is_not_missed(engine: Engine) {
    let rows = "INSERT INTO dbo.orders VALUES (1, 1, 11, N'a', 1.5), (1, 2, 12, N'b', 2.5)";
    let script = format!("{TABLE};\nGO\n{rows};\nGO\nALTER TABLE dbo.orders ENABLE CHANGE_TRACKING");
    let (source, target) = (tracked(&script).await, TestTarget::on(engine).unwrap());
    let job = job(&source, &target, "");
    run(&job);
    source.run("TRUNCATE TABLE dbo.orders").await.unwrap();
    assert_eq!(run(&job)["changes"]["why_full"], "other_history");
    assert_alike(&source, &target).await;

    // With changes behind it the numbers do not fit once they are applied: the table fails, and is copied anew.
    let (source, target) = (tracked(&script).await, TestTarget::on(engine).unwrap());
    let job = self::job(&source, &target, "prove = \"off\"");
    run(&job);
    source.run("TRUNCATE TABLE dbo.orders; INSERT INTO dbo.orders VALUES (9, 9, 99, NULL, 9)").await.unwrap();
    let report = job.run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    let message = report["tables"][0]["failure"]["message"].to_string();
    assert!(message.contains("the source has 1 row, and the table 3"), "{message}");
    run(&job);
    assert_alike(&source, &target).await;
}

async fn a_lost_state_is_a_whole_copy(engine: Engine) {
    let source = orders().await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "");
    run(&job);
    target.run(engine.pick("DROP SCHEMA stopgap_state CASCADE", "DROP TABLE stopgap_tables")).unwrap();
    source.run("DELETE FROM dbo.orders WHERE shop = 2; UPDATE dbo.orders SET note = N'z' WHERE id = 2").await.unwrap();
    assert_eq!(run(&job)["changes"]["why_full"], "no_state");
    assert_alike(&source, &target).await;
}

async fn what_is_remembered_can_be_seen_and_reset(engine: Engine) {
    let source = orders().await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "");
    let state = |what: &str, table: &str| {
        let command = format!("state {what}");
        job.command(&command, &["--table", table]).unwrap().expect_code(0).unwrap().stdout
    };
    let shown = job.command("state show", &[]).unwrap().expect_code(0).unwrap().stdout;
    assert!(shown.contains("Nothing is remembered"), "{shown}");
    run(&job);
    let shown = state("show", "*.*");
    assert!(shown.contains("orders: 5 rows up to version") && shown.contains("tracked since"), "{shown}");
    let unknown = job.command("state reset", &["--table", "*.nothing"]).unwrap().expect_code(2).unwrap();
    assert!(unknown.stderr.contains("nothing is remembered of such a table"), "{}", unknown.stderr);
    assert!(state("reset", "*.orders").contains("copies it whole"));
    assert_eq!(run(&job)["changes"]["why_full"], "no_state");
}

async fn the_plan_says_what_a_table_goes_on_from(engine: Engine) {
    let source = orders().await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "");
    let plan = || {
        job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap()["tables"][0].clone()
    };
    assert_eq!((&plan()["mode"], &plan()["why_full"]), (&"change-tracking".into(), &"no_state".into()));
    let version = run(&job)["changes"]["to_version"].clone();
    assert_eq!((&plan()["from_version"], &plan()["why_full"]), (&version, &Value::Null));
    let text = job.command("plan", &[]).unwrap().expect_code(0).unwrap().stdout;
    assert!(text.contains(&format!("goes on from version {version}")), "{text}");
    source.run("ALTER TABLE dbo.orders DISABLE CHANGE_TRACKING").await.unwrap();
    let checked = job.command("check", &[]).unwrap().expect_code(0).unwrap().stdout;
    assert!(checked.contains("changes-untracked") && checked.contains("ENABLE CHANGE_TRACKING"), "{checked}");
}

async fn a_full_copy_between_makes_the_state_old(engine: Engine) {
    let source = orders().await;
    let target = TestTarget::on(engine).unwrap();
    run(&job(&source, &target, ""));
    source.run("DELETE FROM dbo.orders WHERE shop = 2").await.unwrap();
    let full = Job::new(&source, &target).unwrap().sections("[[table]]\nsource = \"dbo.orders\"");
    full.run().unwrap().expect_code(0).unwrap();
    assert_eq!(run(&job(&source, &target, ""))["changes"]["why_full"], "no_state");
    assert_alike(&source, &target).await;
}

async fn another_jobs_full_copy_makes_the_state_old(engine: Engine) {
    let source = orders().await;
    let target = TestTarget::on(engine).unwrap();
    run(&job(&source, &target, ""));
    let full = "[[table]]\nsource = \"dbo.orders\"";
    let another = Job::new(&source, &target).unwrap().job("name = \"another\"").sections(full);
    another.run().unwrap().expect_code(0).unwrap();
    assert_eq!(run(&job(&source, &target, ""))["changes"]["why_full"], "no_state");
    assert_alike(&source, &target).await;
}

async fn a_table_that_would_shrink_too_much_keeps_its_rows(engine: Engine) {
    let source = orders().await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "max_shrink_percent = 50");
    run(&job);
    source.run("DELETE FROM dbo.orders WHERE code > 12").await.unwrap();
    let report = job.run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["failure"]["code"], "shrink_guard", "{report}");
    assert_eq!(target.rows("SELECT COUNT(*) FROM orders").unwrap(), ["5"]);
    source.run("INSERT INTO dbo.orders VALUES (5, 5, 55, NULL, 5)").await.unwrap();
    run(&job);
    assert_alike(&source, &target).await;
}

async fn an_interruption_ends_a_table_whose_changes_are_followed(engine: Engine) {
    // All tests share the source's server and its faults.
    let table = format!("stalled_{engine:?}").to_lowercase();
    let source = tracked(&format!(
        "CREATE TABLE dbo.{table} (id int NOT NULL PRIMARY KEY);\nGO\nALTER TABLE dbo.{table} ENABLE CHANGE_TRACKING"
    ))
    .await;
    let target = TestTarget::on(engine).unwrap();
    let sections = format!("[[table]]\nsource = \"dbo.{table}\"\nmode = \"change-tracking\"");
    let job =
        Job::new(&source, &target).unwrap().job("tables = 1").source("consistency = \"snapshot\"").sections(&sections);
    run(&job);
    // Not the look whether there are changes, but the changes themselves: by then there are staging tables.
    source
        .run(&format!(
            "INSERT INTO dbo.{table} VALUES (1);\nGO\nEXEC simulator_fault 'stall', 'CHANGES [dbo].[{table}]', 1, 1, 0"
        ))
        .await
        .unwrap();
    let running = job.spawn("run", &["--format", "json"]).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    running.signal("TERM").unwrap();
    running.wait().unwrap().expect_code(INTERRUPTED).unwrap();
    let left = target.leftovers().unwrap();
    assert!(left.iter().all(|name| name.starts_with("stopgap_tables")), "{left:?}");
    assert_eq!(run(&job)["changes"]["inserted"], 1);
}

/// What somebody else does to the target.
const MEDDLING: [&str; 3] = [
    "DELETE FROM orders WHERE code = 12",
    "UPDATE orders SET note = 'meddled' WHERE code = 12",
    "INSERT INTO orders VALUES (1, 77, 77, NULL, 0)",
];

async fn another_writer_on_the_target_is_found(engine: Engine) {
    for meddling in MEDDLING {
        let source = orders().await;
        let target = TestTarget::on(engine).unwrap();
        // Every row is read again in each run.
        let job = job(&source, &target, "prove = \"1/1\"");
        run(&job);
        target.run(meddling).unwrap();
        let verified = job.command("verify", &["--format", "json"]).unwrap().expect_code(TABLES_FAILED).unwrap();
        let message = verified.json().unwrap()["tables"][0]["failure"]["message"].to_string();
        assert!(message.contains("the runs that followed its changes left"), "{meddling}: {message}");
        source.run("UPDATE dbo.orders SET amount = 8 WHERE code = 11").await.unwrap();
        let report = job.run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
        let failure = &report["tables"][0]["failure"];
        assert_eq!(failure["code"], "mismatch", "{meddling}: {failure}");
        // Nothing was changed, and the next run puts it right.
        assert_eq!(target.rows("SELECT amount FROM orders WHERE code = 11").unwrap(), ["1.50"], "{meddling}");
        assert_eq!(run(&job)["changes"]["why_full"], "no_state", "{meddling}");
        assert_alike(&source, &target).await;
    }
}

/// Whichever COMMIT of a run gets no reply: the changes are in the table once.
async fn a_lost_reply_to_any_commit_doubles_and_skips_nothing(engine: Engine) {
    let source = orders().await;
    let target = TestTarget::on(engine).unwrap();
    run(&job(&source, &target, ""));
    for number in 0_u8.. {
        let sql = format!(
            "INSERT INTO dbo.orders VALUES (50, {number}, 100 + {number}, NULL, 1);\n\
             UPDATE dbo.orders SET amount = amount + 1 WHERE shop = 1;\nDELETE FROM dbo.orders WHERE shop = 50 AND id = {number} - 2"
        );
        source.run(&sql).await.unwrap();
        let is_commit = |statement: &str| statement == "COMMIT";
        let (found, was_lost) = match engine {
            Engine::Postgres => {
                let loss = postgres_proxy::Loss { watched: is_commit, number: number.into(), instead: None };
                let proxy = postgres_proxy::Proxy::start(target.port(), loss).await.unwrap();
                (run(&job(&source, &target, "").through(proxy.port)), proxy.seen() > usize::from(number))
            }
            Engine::MariaDb | Engine::MySql => {
                let moment = Some((number.into(), mysql_proxy::Moment::ReplyLost));
                let proxy = mysql_proxy::Proxy::start(target.port(), is_commit, moment).await.unwrap();
                (run(&job(&source, &target, "").through(proxy.port)), proxy.statements().len() > usize::from(number))
            }
        };
        assert_eq!(found["changes"]["why_full"], Value::Null, "COMMIT {number}: {found}");
        assert_alike(&source, &target).await;
        if !was_lost {
            // Two loads and the changes themselves, at least.
            assert!(number >= 3, "only {number} COMMITs were seen");
            return;
        }
    }
}

/// What is wrong, T-SQL that makes the table, keys of its entry, and what the refusal says.
const UNFIT: [(&str, &str, &str, &str); 7] = [
    ("no key", "CREATE TABLE dbo.orders (id int NOT NULL)", "", "no primary key"),
    (
        "text key",
        "CREATE TABLE dbo.orders (id nvarchar(10) NOT NULL PRIMARY KEY)",
        "",
        "different values of the column id",
    ),
    (
        "key left out",
        "CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, c int NULL)",
        "columns = [\"c\"]",
        "is not copied",
    ),
    ("live", "CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY)", "consistency = \"none\"", "SNAPSHOT transaction"),
    (
        "filter",
        "CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY)",
        "filter = \"id < DATEPART(hour, GETDATE())\"",
        "the filter uses",
    ),
    (
        "computed filter",
        "CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, hot AS (id + 1))",
        "computed = \"skip\"\nfilter = \"[hot] = 1\"",
        "the computed column hot",
    ),
    ("computed", "CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, c AS (id + 1))", "", "is computed"),
];

async fn tables_whose_changes_would_mislead_are_refused(engine: Engine) {
    for (what, sql, keys, words) in UNFIT {
        let source = tracked(sql).await;
        let target = TestTarget::on(engine).unwrap();
        let report = job(&source, &target, keys).run().unwrap().expect_code(3).unwrap().json().unwrap();
        let refusals = report["refusals"].to_string();
        assert!(refusals.contains("changes-unfit") && refusals.contains(words), "{what}: {refusals}");
    }
}

on_each_engine!(
    each_change_arrives_once,
    changes_are_found_by_a_rowversion,
    a_version_that_was_given_before_the_last_run_and_committed_after_it_is_not_missed,
    rows_that_are_gone_may_stay,
    rows_that_exchange_unique_values_arrive,
    rows_that_leave_the_filter_leave_the_target,
    what_changes_do_not_tell_is_copied_whole,
    a_truncation_at_the_version_of_the_beginning_is_not_missed,
    a_lost_state_is_a_whole_copy,
    the_plan_says_what_a_table_goes_on_from,
    what_is_remembered_can_be_seen_and_reset,
    a_full_copy_between_makes_the_state_old,
    another_jobs_full_copy_makes_the_state_old,
    a_table_that_would_shrink_too_much_keeps_its_rows,
    an_interruption_ends_a_table_whose_changes_are_followed,
    another_writer_on_the_target_is_found,
    a_lost_reply_to_any_commit_doubles_and_skips_nothing,
    tables_whose_changes_would_mislead_are_refused,
);
