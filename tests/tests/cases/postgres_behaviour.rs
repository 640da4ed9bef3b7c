//! PostgreSQL's own ways: replies that are lost, names that schemas share, what a renamed table brings along.

use std::time::{Duration, Instant};

use stopgap_tests::{
    job::Job,
    postgres_proxy::{Loss, Proxy},
    source::TestSource,
    target::TestTarget,
};

const ITEMS: &str = "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, name nvarchar(20) NOT NULL); \
     CREATE INDEX ix_name ON dbo.items (name); INSERT INTO dbo.items (id, name) VALUES (1, N'one'), (2, N'two')";

fn job(source: &TestSource, target: &TestTarget) -> Job {
    Job::new(source, target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]")
}

fn assert_clean(target: &TestTarget) {
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_whose_reply_is_lost_counts_once() {
    let source = TestSource::with(ITEMS).await.unwrap();
    let commits = |sql: &str| sql == "COMMIT";
    for (what, watched, number, instead) in [
        ("the staging table's COMMIT", commits as fn(&str) -> bool, 0, None),
        ("the load's COMMIT", commits, 1, None),
        ("the load's COMMIT", commits, 1, Some("57P01")),
        ("the COMMIT of looking for an earlier try's indexes", commits, 2, None),
        ("the swap's COMMIT", commits, 3, None),
        ("the swap's COMMIT", commits, 3, Some("57P01")),
        ("the staging table", |sql: &str| sql.contains("CREATE TABLE"), 0, None),
        ("an index", |sql: &str| sql.contains("CREATE UNIQUE INDEX"), 0, None),
        ("the key", |sql: &str| sql.contains("PRIMARY KEY USING INDEX"), 0, None),
    ] {
        for old in [
            "",
            "CREATE TABLE items (id integer PRIMARY KEY, name varchar(20) NOT NULL); CREATE VIEW seen AS SELECT id FROM items",
        ] {
            let target = TestTarget::new().unwrap();
            target.run(old).unwrap();
            let proxy = Proxy::start(target.port(), Loss { watched, number, instead }).await.unwrap();
            // Those of the run itself are no COMMITs of a table.
            let job = job(&source, &target).job("resume_within = \"off\"").through(proxy.port);
            let outcome = job.run().unwrap().expect_code(0).unwrap();
            assert!(proxy.seen() > number, "{what} was not seen: {}", outcome.stderr);
            // Nothing is committed after the swap, or it was not the swap's reply that was lost.
            assert!(number < 3 || proxy.seen() == 4, "{} replies to COMMIT", proxy.seen());
            assert_eq!(target.rows("SELECT id, name FROM items ORDER BY id").unwrap(), ["1|one", "2|two"], "{what}");
            assert_clean(&target);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn index_names_are_free_whatever_is_copied_first() {
    let source = TestSource::with(
        "CREATE TABLE dbo.invoices (id int NOT NULL CONSTRAINT pk_invoices PRIMARY KEY, at int NULL); \
         CREATE INDEX ix_at ON dbo.invoices (at); CREATE INDEX total ON dbo.invoices (id); CREATE INDEX invoices ON dbo.invoices (at, id); \
         CREATE TABLE dbo.orders (id int NOT NULL CONSTRAINT pk_orders PRIMARY KEY, at int NULL); \
         CREATE INDEX ix_at ON dbo.orders (at); INSERT INTO dbo.orders (id, at) VALUES (1, 2)",
    )
    .await.unwrap();
    let names = "SELECT tablename, indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2";
    let expected = [
        "invoices|invoices_invoices",
        "invoices|invoices_total",
        "invoices|ix_at",
        "invoices|pk_invoices",
        "orders|orders_ix_at",
        "orders|pk_orders",
    ];
    let target = TestTarget::new().unwrap();
    target.run("CREATE VIEW total AS SELECT 1 AS one").unwrap();
    let job = job(&source, &target);
    job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows(names).unwrap(), expected);
    for tables in [&["--table", "dbo.orders"][..], &["--table", "dbo.invoices"], &[]] {
        job.command("run", &[&["--format", "json"], tables].concat()).unwrap().expect_code(0).unwrap();
        assert_eq!(target.rows(names).unwrap(), expected, "{tables:?}");
    }
    // A table that sorts before the others wants a name that one of them still has.
    source
        .run("CREATE TABLE dbo.accounts (id int NOT NULL PRIMARY KEY, at int NULL); CREATE INDEX ix_at ON dbo.accounts (at)")
        .await
        .unwrap();
    for _ in 0..2 {
        job.run().unwrap().expect_code(0).unwrap();
        let found = target.value("SELECT count(*) FROM pg_indexes WHERE indexname LIKE '%ix\\_at'").unwrap();
        assert_eq!(found, "3");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_table_has_the_old_ones_grants_and_no_others() {
    let source = TestSource::with(ITEMS).await.unwrap();
    let target = TestTarget::new().unwrap();
    let (clerk, analyst) = (format!("clerk_of_{}", target.database), format!("analyst_of_{}", target.database));
    target
        .run(&format!(
            "CREATE ROLE {clerk}; CREATE ROLE {analyst}; \
             ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT ON TABLES TO {analyst}, PUBLIC; \
             CREATE TABLE items (id integer PRIMARY KEY, name varchar(20) NOT NULL); \
             REVOKE ALL ON items FROM {analyst}, PUBLIC; GRANT SELECT ON items TO {clerk}; GRANT SELECT (id) ON items TO {analyst}"
        ))
        .unwrap();
    let grants = "SELECT relacl, (SELECT attacl FROM pg_attribute WHERE attrelid = c.oid AND attname = 'id') \
                  FROM pg_class AS c WHERE oid = 'items'::regclass";
    let before = target.rows(grants).unwrap();
    for _ in 0..2 {
        let outcome = job(&source, &target).run().unwrap().expect_code(0).unwrap();
        assert_eq!(outcome.json().unwrap()["tables"][0]["swap"], "rename");
        assert_eq!(target.rows(grants).unwrap(), before);
    }
    target.run(&format!("DROP OWNED BY {clerk}, {analyst}; DROP ROLE {clerk}, {analyst}")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_table_keeps_its_replica_identity() {
    let source = TestSource::with(
        "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, code int NOT NULL CONSTRAINT uq_code UNIQUE); \
         INSERT INTO dbo.items (id, code) VALUES (1, 10)",
    )
    .await.unwrap();
    let target = TestTarget::new().unwrap();
    job(&source, &target).run().unwrap().expect_code(0).unwrap();
    let found = "SELECT relreplident, (SELECT indexrelid::regclass FROM pg_index WHERE indrelid = c.oid AND indisreplident) \
                 FROM pg_class AS c WHERE oid = 'items'::regclass";
    for (identity, expected) in
        [("USING INDEX uq_code", "i|uq_code"), ("NOTHING", "n|∅"), ("FULL", "f|∅"), ("DEFAULT", "d|∅")]
    {
        target.run(&format!("ALTER TABLE items REPLICA IDENTITY {identity}")).unwrap();
        let report = job(&source, &target).run().unwrap().expect_code(0).unwrap().json().unwrap();
        assert_eq!(report["tables"][0]["swap"], "rename", "{identity}");
        assert_eq!(target.rows(found).unwrap(), [expected], "{identity}");
    }
    // The source drops the index by which changes are told: the table is kept with it.
    target.run("ALTER TABLE items REPLICA IDENTITY USING INDEX uq_code").unwrap();
    source.run("ALTER TABLE dbo.items DROP CONSTRAINT uq_code").await.unwrap();
    let report = job(&source, &target).run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "replace");
    assert_eq!(target.rows(found).unwrap(), ["i|uq_code"]);
}

/// Sessions of jobs on this database.
fn sessions(target: &TestTarget) -> Vec<String> {
    let query = "SELECT left(query, 60) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'stopgap/%'";
    target.rows(query).unwrap()
}

/// A target on which building an index takes a minute.
fn slow_target() -> TestTarget {
    let target = TestTarget::new().unwrap();
    target
        .run(
            "CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); END $$; \
             CREATE EVENT TRIGGER wait ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION wait()",
        )
        .unwrap();
    target
}

async fn until(what: &str, limit: Duration, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A reader stands for the digest, which takes long where the table is large.
#[tokio::test(flavor = "multi_thread")]
async fn indexes_and_keys_are_built_beside_the_digest() {
    let script = "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, n int NOT NULL CONSTRAINT uq_n UNIQUE); \
                  INSERT INTO dbo.items (id, n) VALUES (1, 2)";
    let (source, target) = (TestSource::with(script).await.unwrap(), TestTarget::new().unwrap());
    target
        .run(
            "CREATE FUNCTION gate() RETURNS event_trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_advisory_lock_shared(7); PERFORM pg_advisory_unlock_shared(7); END $$; \
             CREATE EVENT TRIGGER gate ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION gate()",
        )
        .unwrap();
    let mut gate = target.session().await.unwrap();
    gate.run("SELECT pg_advisory_lock(7)").await.unwrap();
    let job = job(&source, &target);
    let running = job.spawn("run", &[]).unwrap();
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let waits = || target.value(waiting).unwrap();
    until("the gate is reached", Duration::from_mins(1), || waits() != "0").await;
    let staging =
        target.value("SELECT relname FROM pg_class WHERE relname ~ '^stopgap_.*_0$' AND relkind = 'r'").unwrap();
    let mut reader = target.session().await.unwrap();
    reader.run(&format!("BEGIN; LOCK TABLE {staging} IN ACCESS SHARE MODE")).await.unwrap();
    gate.run("SELECT pg_advisory_unlock(7)").await.unwrap();
    let built = format!("SELECT count(*) FROM pg_index WHERE indrelid = '{staging}'::regclass");
    until("the indexes are built", Duration::from_mins(1), || target.value(&built).unwrap() == "2").await;
    reader.run("ROLLBACK").await.unwrap();
    running.wait().unwrap().expect_code(0).unwrap();
    let keys = "SELECT conname, contype FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype IN ('p', 'u') ORDER BY 1";
    assert_eq!(target.rows(keys).unwrap(), ["pk_items|p", "uq_n|u"]);
    assert_clean(&target);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statements_of_a_killed_job_end() {
    let (source, target) = (TestSource::with(ITEMS).await.unwrap(), slow_target());
    let job = job(&source, &target);
    let running = job.spawn("run", &[]).unwrap();
    let builds = || sessions(&target).iter().any(|query| query.contains("CREATE INDEX"));
    until("an index is built", Duration::from_mins(1), builds).await;
    running.signal("KILL").unwrap();
    running.wait().unwrap();
    until("no session is left", Duration::from_secs(20), || sessions(&target).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_staging_table_does_not_hold_the_end_of_a_run() {
    let (source, target) = (TestSource::with(ITEMS).await.unwrap(), slow_target());
    let job = job(&source, &target).target("lock_timeout = \"1s\"");
    let running = job.spawn("run", &[]).unwrap();
    let builds = || sessions(&target).iter().any(|query| query.contains("CREATE INDEX"));
    until("an index is built", Duration::from_mins(1), builds).await;
    let staging =
        target.value("SELECT relname FROM pg_class WHERE relname ~ '^stopgap_.*_0$' AND relkind = 'r'").unwrap();
    let mut holder = target.session().await.unwrap();
    holder.run(&format!("BEGIN; LOCK TABLE {staging} IN ACCESS SHARE MODE")).await.unwrap();
    let begun = Instant::now();
    running.signal("TERM").unwrap();
    running.wait().unwrap().expect_code(5).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    holder.run("ROLLBACK").await.unwrap();
    target.run("DROP EVENT TRIGGER wait").unwrap();
    job.run().unwrap().expect_code(0).unwrap();
    assert_clean(&target);
}

/// What only an extension has is missed by the plan, not after the load.
#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_the_target_lacks_is_refused_in_the_plan() {
    let source = TestSource::with(
        "CREATE TABLE dbo.places (id int NOT NULL PRIMARY KEY, shape geography NULL); INSERT INTO dbo.places (id) VALUES (1)",
    )
    .await.unwrap();
    let target = TestTarget::new().unwrap();
    let asked = "[[table]]\nsource = \"dbo.places\"\n[table.target_types]\nshape = \"geography(Point,4326)\"";
    let outcome = job(&source, &target).sections(asked).command("check", &[]).unwrap().expect_code(3).unwrap();
    let said = outcome.stdout;
    assert!(said.contains("no type geography") && said.contains("CREATE EXTENSION postgis"), "{said}");
}

/// Any length may be included in an index of SQL Server. On PostgreSQL one long value would make the whole table fail.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_made_without_included_columns_that_are_too_long_for_it() {
    let source = TestSource::new().await.unwrap();
    // Hexadecimal digits at random cannot be made much shorter.
    let long: String = (0..800).map(|_| format!("{:016x}", rand::random::<u64>())).collect();
    source
        .run(&format!(
            "CREATE TABLE dbo.notes (id int NOT NULL CONSTRAINT pk_notes PRIMARY KEY, day date NOT NULL, title nvarchar(200) NULL, \
               body nvarchar(max) NULL, raw varbinary(3000) NULL, code binary(8) NULL); \
             CREATE INDEX ix_day ON dbo.notes (day) INCLUDE (title, body, raw, code); \
             INSERT INTO dbo.notes (id, day, title, body) VALUES (1, '2026-11-21', N'one', N'{long}')"
        ))
        .await
        .unwrap();
    let target = TestTarget::new().unwrap();
    let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]");
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    let columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'ix_day'::regclass ORDER BY attnum";
    assert_eq!(target.rows(columns).unwrap(), ["day", "title", "code"]);
    let lines: Vec<&str> =
        report["tables"][0]["not_created"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    for (line, column) in lines.iter().zip(["body", "raw"]) {
        assert!(line.starts_with(&format!("included column {column} of index ix_day: ")), "{lines:?}");
    }
    assert_eq!(lines.len(), 2, "{lines:?}");
    // The index that is there is the planned one: nothing keeps the table.
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "rename");
}
