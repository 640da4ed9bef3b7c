//! MySQL's own ways: what it forbids, limits and changes, found in the plan or said plainly.

use stopgap_tests::{
    certificates::{self, Authority},
    job::{Job, TARGET_PASSWORD},
    mysql_proxy::{Moment, Proxy},
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;
const PRECHECK_REFUSED: i32 = 3;
const COULD_NOT_CONNECT: i32 = 4;

const ITEMS: &str = "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, name nvarchar(40) NULL, raw varbinary(20) NULL);\nGO\n\
     INSERT INTO dbo.items (id, name, raw) VALUES (1, N'a\\b', 0x00FF09), (2, N'\\N', NULL), (3, N'tab' + NCHAR(9) + NCHAR(10) + N'🦀', 0x5C4E)";

fn job(source: &TestSource, target: &TestTarget) -> Job {
    Job::new(source, target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]")
}

fn assert_items(target: &TestTarget) {
    let rows = target.rows("SELECT id, LOWER(HEX(name)), LOWER(HEX(raw)) FROM items ORDER BY id").unwrap();
    assert_eq!(rows, ["1|615c62|00ff09", "2|5c4e|∅", "3|746162090af09fa680|5c4e"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

async fn without_local_infile_rows_are_inserted(engine: Engine) {
    let source = TestSource::with(ITEMS).await.unwrap();
    let target = TestTarget::with_own(engine, None, &[("local-infile", "0")]).unwrap();
    let outcome = job(&source, &target).run().unwrap().expect_code(0).unwrap();
    assert!(outcome.stdout.contains("LOAD DATA LOCAL INFILE"), "nobody was told: {}", outcome.stdout);
    assert_items(&target);
}

async fn a_reader_endpoint_is_refused(engine: Engine) {
    let source = TestSource::with(ITEMS).await.unwrap();
    let target = TestTarget::with_own(engine, None, &[]).unwrap();
    target
        .run("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (9); SET GLOBAL read_only = 1")
        .unwrap();
    let outcome = job(&source, &target).run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert!(outcome.stdout.contains("writer endpoint"), "{}", outcome.stdout);
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["9"]);
}

async fn a_commit_whose_reply_is_lost_counts_once(engine: Engine) {
    let source = TestSource::with(ITEMS).await.unwrap();
    // A first run, and one whose old table has a comment that the new one gets before it takes the name.
    let old = "CREATE TABLE items (id int NOT NULL PRIMARY KEY, name varchar(40), raw varbinary(20)) COMMENT = 'kept'";
    for (number, before) in [(0, ""), (1, ""), (0, old), (1, old)] {
        let target = TestTarget::on(engine).unwrap();
        if !before.is_empty() {
            target.run(before).unwrap();
        }
        let watched = |sql: &str| sql == "COMMIT" || sql.starts_with("RENAME TABLE");
        let proxy = Proxy::start(target.port(), watched, Some((number, Moment::ReplyLost))).await.unwrap();
        let outcome = job(&source, &target).through(proxy.port).run().unwrap().expect_code(0).unwrap();
        assert!(proxy.statements().len() > number, "{:?}", proxy.statements());
        assert_eq!(outcome.json().unwrap()["tables"][0]["outcome"], "copied");
        assert_items(&target);
        if !before.is_empty() {
            let comment = "SELECT table_comment FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'items'";
            assert_eq!(target.value(comment).unwrap(), "kept");
        }
    }
}

/// Kana of both kinds are two words where they are minded (KS), and one to every collation here that ignores case.
async fn keys_that_are_equal_only_here_keep_the_old_rows(engine: Engine) {
    let source = TestSource::with(
        "CREATE TABLE dbo.words (word nvarchar(20) COLLATE Latin1_General_CI_AS_KS_WS NOT NULL CONSTRAINT pk_words PRIMARY KEY); \
         INSERT INTO dbo.words (word) VALUES (NCHAR(12354)), (NCHAR(12450))",
    )
    .await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    target.run("CREATE TABLE words (word varchar(20) NOT NULL PRIMARY KEY); INSERT INTO words VALUES ('old')").unwrap();
    let report = job(&source, &target).run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    let message = report["tables"][0]["failure"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("Duplicate") && message.contains("words"), "{message}");
    assert_eq!(target.rows("SELECT word FROM words").unwrap(), ["old"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

async fn rows_and_keys_that_are_too_wide_are_found_in_the_plan(engine: Engine) {
    let columns: Vec<String> = (0..12).map(|number| format!("c{number} nvarchar(2000) NULL")).collect();
    let source = TestSource::with(&format!(
        "CREATE TABLE dbo.wide (id int NOT NULL PRIMARY KEY, code nvarchar(800) NOT NULL, {});\nGO\n\
         CREATE INDEX ix_code ON dbo.wide (code);\nGO\n\
         INSERT INTO dbo.wide (id, code, c0, c11) VALUES (1, N'x', REPLICATE(N'ü', 2000), N'end')",
        columns.join(", ")
    ))
    .await
    .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let plan = job(&source, &target).command("plan", &[]).unwrap().expect_code(0).unwrap();
    assert!(plan.stdout.contains("3072 can be indexed") && plan.stdout.contains("becomes text"), "{}", plan.stdout);
    for _ in 0..2 {
        job(&source, &target).run().unwrap().expect_code(0).unwrap();
        let found = target.value("SELECT CONCAT(CHAR_LENGTH(c0), c11) FROM wide").unwrap();
        assert_eq!(found, "2000end");
    }
    let again = job(&source, &target).command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap();
    assert_eq!(again.json().unwrap()["tables"][0]["drift"], serde_json::json!([]), "a second run sees drift");
}

async fn what_is_wrong_with_the_connection_is_said(engine: Engine) {
    let source = TestSource::with(ITEMS).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let said = |job: Job, words: &str| {
        let outcome = job.run().unwrap().expect_code(COULD_NOT_CONNECT).unwrap();
        assert!(outcome.stdout.to_lowercase().contains(words), "{words}: {}", outcome.stdout);
        assert!(!outcome.stdout.contains(target.password()) && !outcome.stderr.contains("trying again"));
    };
    said(job(&source, &target).env(TARGET_PASSWORD, "not-it"), "access denied");
    said(job(&source, &target).target("database = \"nowhere\""), "nowhere");
    let stranger = Authority::new("A stranger").unwrap();
    let own = job(&source, &target);
    let file = certificates::write(own.directory(), "stranger.pem", &stranger.pem()).unwrap();
    said(own.target(&format!("ca_file = \"{}\"", file.display())), "certificate");
}

async fn a_missing_grant_is_named(engine: Engine) {
    let source = TestSource::with(ITEMS).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let database = &target.database;
    target
        .run(&format!("CREATE USER 'r_{database}'@'%' IDENTIFIED BY 'reader'; GRANT SELECT, INSERT ON {database}.* TO 'r_{database}'@'%'"))
        .unwrap();
    let job = job(&source, &target).target(&format!("user = \"r_{database}\"")).env(TARGET_PASSWORD, "reader");
    let outcome = job.run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert!(
        outcome.stdout.contains("lacks UPDATE, DELETE, CREATE") && outcome.stdout.contains("GRANT "),
        "{}",
        outcome.stdout
    );
    source
        .run("CREATE TABLE dbo.parts (id int NOT NULL PRIMARY KEY, item int NOT NULL REFERENCES dbo.items (id))")
        .await
        .unwrap();
    let but_one = "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, TRIGGER";
    target.run(&format!("{but_one} ON {database}.* TO 'r_{database}'@'%'")).unwrap();
    job.twin().unwrap().command("check", &[]).unwrap().expect_code(0).unwrap();
    let job = job.sections("foreign_keys = \"create\"");
    if engine == Engine::MySql {
        let outcome = job.run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
        assert!(outcome.stdout.contains("lacks REFERENCES"), "{}", outcome.stdout);
        target.run(&format!("GRANT REFERENCES ON {database}.* TO 'r_{database}'@'%'")).unwrap();
    }
    job.run().unwrap().expect_code(0).unwrap();
}

async fn a_value_beyond_the_servers_packet_goes_in_parts_or_is_refused(engine: Engine) {
    let source = TestSource::with(
        "CREATE TABLE dbo.large (id int NOT NULL PRIMARY KEY, v varbinary(max) NULL); \
         INSERT INTO dbo.large (id, v) VALUES (1, 0x01), (4711, CAST(REPLICATE(CAST('ab' AS varchar(max)), 2000000) AS varbinary(max)))",
    )
    .await.unwrap();
    let packet = ("max-allowed-packet", "1M");
    let bulk = TestTarget::with_own(engine, None, &[packet]).unwrap();
    job(&source, &bulk).run().unwrap().expect_code(0).unwrap();
    assert_eq!(bulk.rows("SELECT LENGTH(v) FROM large ORDER BY id").unwrap(), ["1", "4000000"]);

    let target = TestTarget::with_own(engine, None, &[packet, ("local-infile", "0")]).unwrap();
    target.run("CREATE TABLE large (id int PRIMARY KEY, v longblob); INSERT INTO large VALUES (9, 'old')").unwrap();
    let plan = job(&source, &target).command("plan", &[]).unwrap().expect_code(0).unwrap();
    assert!(plan.stdout.contains("max_allowed_packet"), "{}", plan.stdout);
    let report = job(&source, &target).run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    let failure = &report["tables"][0]["failure"];
    assert!(failure["message"].as_str().unwrap().contains("max_allowed_packet"), "{failure}");
    assert_eq!(report["tables"][0]["retries"], 0, "trying again does not help");
    assert_eq!(target.rows("SELECT v FROM large").unwrap(), ["old"]);
}

async fn an_invisible_primary_key_is_none_of_ours(engine: Engine) {
    if engine != Engine::MySql {
        // MariaDB makes none.
        return;
    }
    let source =
        TestSource::with("CREATE TABLE dbo.keyless (n int NULL); INSERT INTO dbo.keyless (n) VALUES (1), (2), (2)")
            .await
            .unwrap();
    let target = TestTarget::with_own(engine, None, &[("sql-generate-invisible-primary-key", "1")]).unwrap();
    for _ in 0..2 {
        let plan = job(&source, &target).command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap();
        assert_eq!(plan.json().unwrap()["tables"][0]["drift"], serde_json::json!([]), "{}", plan.stdout);
        job(&source, &target).run().unwrap().expect_code(0).unwrap();
        assert_eq!(target.rows("SELECT n FROM keyless ORDER BY n").unwrap(), ["1", "2", "2"]);
    }
}

/// What people added stays; what an earlier run made goes when the source drops it, and does not keep the table for ever.
async fn indexes_that_somebody_added_keep_the_table(engine: Engine) {
    let source = TestSource::with(
        "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, size int NULL, name nvarchar(40) NULL); \
         CREATE INDEX ix_size ON dbo.items (size); CREATE TABLE dbo.heap (id int NOT NULL); \
         INSERT INTO dbo.items (id, size) VALUES (1, 10); INSERT INTO dbo.heap (id) VALUES (1)",
    )
    .await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target);
    let methods = || {
        let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
        let tables = report["tables"].as_array().unwrap().iter();
        tables.map(|table| table["swap"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for method in ["create", "rename", "rename"] {
        assert_eq!(methods(), [method; 2]);
    }
    let mut additions = vec![
        ("ALTER TABLE items ADD KEY added (size, id)", "index added, which", "ALTER TABLE items DROP KEY added"),
        ("ALTER TABLE items ADD UNIQUE KEY added (size)", "index added, which", "ALTER TABLE items DROP KEY added"),
        (
            "ALTER TABLE items ADD FULLTEXT KEY added (name)",
            "the fulltext index added",
            "ALTER TABLE items DROP KEY added",
        ),
        ("ALTER TABLE heap ADD PRIMARY KEY (id)", "index PRIMARY, which", "ALTER TABLE heap DROP PRIMARY KEY"),
    ];
    if engine == Engine::MySql {
        let expression = "ALTER TABLE items ADD KEY added ((size + 1))";
        additions.push((expression, "the btree index added", "ALTER TABLE items DROP KEY added"));
    }
    for (add, words, remove) in additions {
        target.run(add).unwrap();
        let plan = job.command("plan", &[]).unwrap().expect_code(0).unwrap();
        let said = plan.stdout.replace("\n         ", " ");
        assert!(said.contains(&format!("because of {words}")), "{add}: {}", plan.stdout);
        assert!(methods().contains(&"replace".to_owned()), "{add}");
        target.run(remove).unwrap_or_else(|error| panic!("{add}: it vanished: {error:#}"));
        assert_eq!(methods(), ["rename"; 2], "after {remove}");
    }
    source.run("DROP INDEX ix_size ON dbo.items").await.unwrap();
    assert_eq!(methods(), ["rename"; 2]);
    let names = "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = DATABASE() \
                 AND table_name = 'items'";
    assert_eq!(target.rows(names).unwrap(), ["PRIMARY"]);
}

async fn identities_go_on_after_the_copied_rows(engine: Engine) {
    let source = TestSource::with(
        "CREATE TABLE dbo.counted (id int IDENTITY(1, 1) NOT NULL PRIMARY KEY, n int NULL); \
         INSERT INTO dbo.counted (n) VALUES (1), (2), (3)",
    )
    .await
    .unwrap();
    // 0: traditional, a lock for each statement; 2: interleaved, MySQL's default.
    for mode in ["0", "1", "2"] {
        let target = TestTarget::with_own(engine, None, &[("innodb-autoinc-lock-mode", mode)]).unwrap();
        job(&source, &target).run().unwrap().expect_code(0).unwrap();
        target.run("INSERT INTO counted (n) VALUES (4)").unwrap();
        assert_eq!(target.value("SELECT MAX(id) FROM counted").unwrap(), "4", "mode {mode}");
    }
}

/// A login without a right to triggers sees none, and would rename the table away from under them.
async fn a_trigger_that_the_login_may_not_see_is_not_lost(engine: Engine) {
    let source = TestSource::with(ITEMS).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let database = &target.database;
    let but_one = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX";
    target
        .run(&format!(
            "CREATE TABLE items (id int NOT NULL PRIMARY KEY, name varchar(40), raw varbinary(20)); \
             CREATE TRIGGER noted AFTER DELETE ON items FOR EACH ROW SET @gone = OLD.id; \
             CREATE USER 't_{database}'@'%' IDENTIFIED BY 'reader'; GRANT {but_one} ON {database}.* TO 't_{database}'@'%'"
        ))
        .unwrap();
    let job = job(&source, &target).target(&format!("user = \"t_{database}\"")).env(TARGET_PASSWORD, "reader");
    let outcome = job.run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert!(outcome.stdout.contains("lacks TRIGGER"), "{}", outcome.stdout);
    target.run(&format!("GRANT TRIGGER ON {database}.* TO 't_{database}'@'%'")).unwrap();
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "replace");
    assert_eq!(
        target.rows("SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()").unwrap(),
        ["noted"]
    );
    assert_items(&target);

    // What else it does not see is said where a table is renamed.
    let unseen = || {
        let plan = job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap();
        let findings = plan["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["id"] == "readers-not-seen").cloned()
    };
    assert_eq!(unseen(), None);
    target.run("DROP TRIGGER noted").unwrap();
    let grant = format!("GRANT PROCESS ON *.* TO 't_{database}'@'%';");
    let finding = unseen().unwrap();
    let message = finding["message"].as_str().unwrap();
    assert!(message.contains("lacks PROCESS") && !message.contains("  "), "{message}");
    assert_eq!(finding["remedy"], grant);
    target.run(&grant).unwrap();
    assert_eq!(unseen(), None);
}

/// What a role in effect gives is a right, and what it does not give is none.
async fn a_role_gives_what_was_granted_to_it(engine: Engine) {
    let source = TestSource::with(ITEMS).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let database = &target.database;
    let user = format!("'w_{database}'@'%'");
    let default = if engine == Engine::MySql { "TO" } else { "FOR" };
    target
        .run(&format!(
            "CREATE ROLE w_role_{database}; CREATE USER {user} IDENTIFIED BY 'reader'; GRANT w_role_{database} TO {user}; \
             SET DEFAULT ROLE w_role_{database} {default} {user}; \
             GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX ON {database}.* TO w_role_{database}"
        ))
        .unwrap();
    let job = job(&source, &target).target(&format!("user = \"w_{database}\"")).env(TARGET_PASSWORD, "reader");
    let outcome = job.run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert!(outcome.stdout.contains("lacks TRIGGER on"), "{}", outcome.stdout);
    target.run(&format!("GRANT TRIGGER ON {database}.* TO w_role_{database}")).unwrap();
    job.run().unwrap().expect_code(0).unwrap();
    assert_items(&target);
}

/// The server finds it in any spelling and answers by its own, so that a second run would not know its own tables.
async fn a_database_is_spelled_as_the_server_spells_it(engine: Engine) {
    let source = TestSource::with(ITEMS).await.unwrap();
    let target = TestTarget::with_own(engine, None, &[("lower-case-table-names", "1")]).unwrap();
    let shouted = job(&source, &target).target("database = \"TARGET\"");
    let outcome = shouted.command("check", &[]).unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert!(outcome.stdout.contains("calls the database TARGET target"), "{}", outcome.stdout);
    for _ in 0..2 {
        job(&source, &target).run().unwrap().expect_code(0).unwrap();
        assert_items(&target);
    }
}

/// The source has shapes that no geometry here can be: none of them becomes NULL.
async fn shapes_are_geometries_where_the_job_asks_for_them(engine: Engine) {
    let source = TestSource::with(
        "CREATE TABLE dbo.places (id int NOT NULL PRIMARY KEY, shape geography NULL); \
         INSERT INTO dbo.places (id, shape) VALUES (1, geography::STGeomFromText('POINT (13.25 52.5)', 4326)), (2, NULL)",
    )
    .await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let asked = "[[table]]\nsource = \"dbo.places\"\n[table.target_types]\nshape = \"geometry\"";
    let job = job(&source, &target).sections(asked);
    let plan = job.command("plan", &[]).unwrap().expect_code(0).unwrap();
    assert!(plan.stdout.contains("makes the table fail"), "{}", plan.stdout);
    let shown = "SELECT id, ST_X(shape), ST_Y(shape), ST_SRID(shape) FROM places ORDER BY id";
    // Of a geography MySQL's X is the latitude.
    let expected = if engine == Engine::MySql { "1|52.5|13.25|4326" } else { "1|13.25|52.5|4326" };
    let trigger = "CREATE TRIGGER noted AFTER DELETE ON places FOR EACH ROW SET @gone = OLD.id";
    for before in ["SELECT 1", "SELECT 1", trigger] {
        target.run(before).unwrap();
        job.run().unwrap().expect_code(0).unwrap();
        assert_eq!(target.rows(shown).unwrap(), [expected, "2|∅|∅|∅"], "{before}");
    }
    source
        .run("INSERT INTO dbo.places (id, shape) VALUES (3, geography::STGeomFromText('POINT (1 2 3 4)', 4326))")
        .await
        .unwrap();
    for before in ["SELECT 1", "DROP TRIGGER noted"] {
        target.run(before).unwrap();
        let report = job.run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
        let failure = &report["tables"][0]["failure"];
        assert_eq!((&failure["stage"], &failure["kind"]), (&"convert".into(), &"data".into()), "{failure}");
        assert_eq!(target.rows(shown).unwrap(), [expected, "2|∅|∅|∅"]);
        assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
    }
}

on_each_mysql!(
    shapes_are_geometries_where_the_job_asks_for_them,
    a_role_gives_what_was_granted_to_it,
    a_trigger_that_the_login_may_not_see_is_not_lost,
    a_database_is_spelled_as_the_server_spells_it,
    without_local_infile_rows_are_inserted,
    a_reader_endpoint_is_refused,
    a_commit_whose_reply_is_lost_counts_once,
    keys_that_are_equal_only_here_keep_the_old_rows,
    rows_and_keys_that_are_too_wide_are_found_in_the_plan,
    what_is_wrong_with_the_connection_is_said,
    a_missing_grant_is_named,
    a_value_beyond_the_servers_packet_goes_in_parts_or_is_refused,
    an_invisible_primary_key_is_none_of_ours,
    indexes_that_somebody_added_keep_the_table,
    identities_go_on_after_the_copied_rows,
);
