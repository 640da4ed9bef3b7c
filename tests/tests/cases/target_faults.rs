//! Faults at every stage of the work on the target: what passes heals, what does not keeps the old rows, and in both cases
//! nothing of the run stays behind.

use stopgap_tests::{
    job::{Job, Outcome},
    source::TestSource,
    target::TestTarget,
};

const TABLES_FAILED: i32 = 1;

/// Where on the target the fault strikes.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Staging,
    Load,
    PrimaryKey,
    Index,
    Swap,
    DropOld,
}

const STAGES: [Stage; 6] = [Stage::Staging, Stage::Load, Stage::PrimaryKey, Stage::Index, Stage::Swap, Stage::DropOld];

async fn source() -> TestSource {
    let source = TestSource::new().await.unwrap();
    let sql = "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, name nvarchar(20) NOT NULL); \
               CREATE INDEX ix_name ON dbo.items (name); \
               INSERT INTO dbo.items (id, name) VALUES (1, N'one'), (2, N'two'), (3, N'three')";
    source.run(sql).await.unwrap();
    source
}

/// A target with an older copy, which strikes at a stage, `times` times. A sequence goes on whatever is rolled back, so it
/// counts the strikes.
fn target(stage: Stage, strike: &str, times: u32) -> TestTarget {
    let target = TestTarget::new().unwrap();
    let trigger = |event: &str, tags: &str, body: &str| {
        format!(
            "CREATE FUNCTION faults.notice() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE o record; BEGIN {body} END $$; \
             CREATE EVENT TRIGGER fault ON {event} WHEN TAG IN ({tags}) EXECUTE FUNCTION faults.notice()"
        )
    };
    let of = |condition: &str| {
        format!(
            "FOR o IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP IF {condition} THEN PERFORM faults.strike(); END IF; END LOOP;"
        )
    };
    let staging = "o.object_identity LIKE 'public.stopgap\\_%'";
    let fault = match stage {
        Stage::Staging => trigger("ddl_command_end", "'CREATE TABLE'", &of(staging)),
        // The staging table gets a trigger that strikes with the first row.
        Stage::Load => trigger(
            "ddl_command_end",
            "'CREATE TABLE'",
            "FOR o IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP \
             IF o.object_type = 'table' AND o.object_identity LIKE 'public.stopgap\\_%' THEN \
             EXECUTE 'CREATE TRIGGER fault BEFORE INSERT ON ' || o.object_identity || ' FOR EACH ROW EXECUTE FUNCTION faults.row()'; \
             END IF; END LOOP;",
        ),
        Stage::PrimaryKey => trigger(
            "ddl_command_end",
            "'ALTER TABLE'",
            &of(
                "(SELECT count(*) FROM pg_constraint WHERE conrelid = o.objid AND contype = 'p') > 0 AND o.object_identity LIKE 'public.stopgap\\_%'",
            ),
        ),
        Stage::Index => trigger("ddl_command_end", "'CREATE INDEX'", &of(staging)),
        Stage::Swap => trigger("ddl_command_end", "'ALTER TABLE'", &of("o.object_identity = 'public.items'")),
        Stage::DropOld => trigger(
            "sql_drop",
            "'DROP TABLE'",
            "PERFORM faults.strike() FROM pg_event_trigger_dropped_objects() WHERE object_identity = 'public.items';",
        ),
    };
    target
        .run(&format!(
            "CREATE TABLE items (id integer PRIMARY KEY, name varchar(20)); INSERT INTO items VALUES (-1, 'old'); \
             CREATE SCHEMA faults; CREATE SEQUENCE faults.strikes; \
             CREATE FUNCTION faults.strike() RETURNS void LANGUAGE plpgsql AS $$ BEGIN \
               IF nextval('faults.strikes') <= {times} THEN {strike} END IF; END $$; \
             CREATE FUNCTION faults.row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM faults.strike(); RETURN NEW; END $$; \
             {fault}"
        ))
        .unwrap();
    target
}

fn run(source: &TestSource, target: &TestTarget) -> Outcome {
    Job::new(source, target).unwrap().job("retries = 2").sections("[tables]\ninclude = [\"dbo.*\"]").run().unwrap()
}

fn raise(sqlstate: &str) -> String {
    format!("RAISE EXCEPTION 'a fault of the test' USING ERRCODE = '{sqlstate}';")
}

fn strikes(target: &TestTarget) -> u32 {
    target.value("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM faults.strikes").unwrap().parse().unwrap()
}

fn assert_clean(target: &TestTarget, what: &str) {
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new(), "{what}");
    let sessions = format!(
        "SELECT application_name FROM pg_stat_activity WHERE datname = '{}' AND application_name LIKE 'stopgap%'",
        target.database
    );
    assert_eq!(target.rows(&sessions).unwrap(), Vec::<String>::new(), "{what}: sessions stayed");
}

fn heals(source: &TestSource, stage: Stage, strike: &str) {
    let target = target(stage, strike, 1);
    let outcome = run(source, &target).expect_code(0).unwrap();
    let what = format!("{stage:?} {strike}");
    assert!(strikes(&target) >= 2, "{what}: the fault did not strike, or nothing was tried again");
    let rows = target.rows("SELECT id, name FROM items ORDER BY id").unwrap();
    assert_eq!(rows, ["1|one", "2|two", "3|three"], "{what}");
    assert!(outcome.stderr.contains("again") || outcome.stderr.contains("waits"), "{what}: {}", outcome.stderr);
    assert_clean(&target, &what);
}

fn keeps_the_old_rows(source: &TestSource, stage: Stage, strike: &str, words: &str) {
    let target = target(stage, strike, 1_000);
    let outcome = run(source, &target).expect_code(TABLES_FAILED).unwrap();
    let what = format!("{stage:?} {strike}");
    let report = outcome.json().unwrap();
    let failure = &report["tables"][0]["failure"];
    let message = failure["message"].as_str().unwrap_or_default();
    assert!(message.contains(words), "{what}: {message}");
    assert!(!failure["remedy"].as_str().unwrap_or_default().is_empty(), "{what}");
    assert_eq!(target.rows("SELECT id, name FROM items").unwrap(), ["-1|old"], "{what}");
    assert_clean(&target, &what);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serialization_failure_at_any_stage_heals() {
    let source = source().await;
    for stage in STAGES {
        heals(&source, stage, &raise("40001"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_ended_at_any_stage_heals() {
    let source = source().await;
    for stage in STAGES {
        // The session ends itself, as an administrator or a failover would.
        heals(&source, stage, "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(0.01);");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_any_stage_keeps_the_old_rows() {
    let source = source().await;
    for stage in STAGES {
        keeps_the_old_rows(&source, stage, &raise("53100"), "53100");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_recovers_keeps_the_old_rows() {
    let source = source().await;
    for stage in [Stage::Load, Stage::Index, Stage::Swap] {
        let target = target(stage, &raise("40001"), 1_000);
        let job = Job::new(&source, &target).unwrap().job("retries = 1").target("swap_wait = \"1s\"");
        let outcome = job.sections("[tables]\ninclude = [\"dbo.*\"]").run().unwrap();
        outcome.expect_code(TABLES_FAILED).unwrap();
        assert_eq!(target.rows("SELECT id, name FROM items").unwrap(), ["-1|old"], "{stage:?}");
        assert_clean(&target, &format!("{stage:?}"));
    }
}

/// The digest is a plain SELECT, which no trigger sees: a second session waits for it and ends its session.
#[tokio::test(flavor = "multi_thread")]
async fn a_digest_whose_session_is_ended_is_computed_again() {
    let source = TestSource::new().await.unwrap();
    // Large values keep the server busy with hashing for long enough to be noticed.
    let sql = "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, body varchar(max) NOT NULL);\nGO\n\
               INSERT INTO dbo.items (id, body) SELECT a.d + 10 * b.d, REPLICATE(CAST('stopgap ' AS varchar(max)), 250000) \
               FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS a (d) \
               CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5)) AS b (d)";
    source.run(sql).await.unwrap();
    let target = TestTarget::new().unwrap();
    let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]");
    let running = job.spawn("run", &["--format", "json"]).unwrap();
    let ended = target.value(
        "DO $$ BEGIN FOR tries IN 1..60000 LOOP PERFORM pg_stat_clear_snapshot(); \
         PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
           AND query LIKE 'SELECT count(*)::int8, coalesce(sum(hash_record_extended%'; \
         IF FOUND THEN RETURN; END IF; PERFORM pg_sleep(0.002); END LOOP; RAISE 'no digest was seen'; END $$; SELECT 'ended'",
    );
    let outcome = running.wait().unwrap().expect_code(0).unwrap();
    assert_eq!(ended.unwrap(), "ended");
    let report = outcome.json().unwrap();
    assert_eq!(report["tables"][0]["retries"], 1, "{}", outcome.stderr);
    assert_eq!(
        target.rows("SELECT count(*), min(length(body)), max(length(body)) FROM items").unwrap(),
        ["60|2000000|2000000"]
    );
    assert_clean(&target, "digest");
}
