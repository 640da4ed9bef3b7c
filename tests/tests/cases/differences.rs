//! Rows that differ are found by their keys, whatever the key, and made good one by one.

use serde_json::Value;
use stopgap_tests::{
    job::Job,
    mysql_proxy, postgres_proxy,
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;

/// A kind of key: its columns and its key's columns in T-SQL, and the literals of four keys that both engines understand.
struct KeyKind {
    columns: &'static str,
    key: &'static str,
    values: [&'static str; 4],
    /// What the report shows of the second.
    shown: &'static str,
}

const KEYS: [KeyKind; 6] = [
    KeyKind { columns: "a bigint NOT NULL", key: "a", values: ["-5", "0", "9000000000", "7"], shown: "a = 0" },
    KeyKind {
        columns: "a nvarchar(20) NOT NULL",
        key: "a",
        values: ["'abc'", "'ü,~'", "''", "'x''y'"],
        shown: "a = 'ü,~'",
    },
    KeyKind {
        columns: "a date NOT NULL, b decimal(9,2) NOT NULL",
        key: "a, b",
        values: ["'2024-02-29', 1.50", "'2024-02-29', -1.50", "'1999-12-31', 0.00", "'9999-12-31', 1.50"],
        shown: "a = 2024-02-29, b = -1.50",
    },
    KeyKind {
        columns: "a uniqueidentifier NOT NULL",
        key: "a",
        values: [
            "'00000000-0000-0000-0000-000000000001'",
            "'ffffffff-0000-0000-0000-000000000000'",
            "'0fffffff-0000-0000-0000-000000000000'",
            "'0fffffff-0000-0000-0000-00000000000a'",
        ],
        shown: "a = ffffffff-0000-0000-0000-000000000000",
    },
    KeyKind {
        columns: "a datetime2(3) NOT NULL, b char(4) NOT NULL",
        key: "b, a",
        values: [
            "'2024-01-01 00:00:00.001', 'a'",
            "'2024-01-01 00:00:00.002', 'a'",
            "'2024-01-01 00:00:00.001', 'bcde'",
            "'2030-01-01 10:20:30.400', 'a'",
        ],
        shown: "a = 2024-01-01 00:00:00.0020000, b = 'a   '",
    },
    KeyKind {
        columns: "b int NULL, a smallint NOT NULL",
        key: "a",
        values: ["NULL, 1", "2, 2", "3, -3", "4, 4"],
        shown: "a = 2",
    },
];

async fn source_with(script: &str) -> TestSource {
    let source = TestSource::new().await.unwrap();
    let allow = format!("ALTER DATABASE [{}] SET ALLOW_SNAPSHOT_ISOLATION ON;\nGO\n", source.database);
    source.run(&format!("{allow}{script}")).await.unwrap();
    source
}

fn job(source: &TestSource, target: &TestTarget, keys: &str) -> Job {
    let sections = format!("[[table]]\nsource = \"dbo.items\"\n{keys}");
    Job::new(source, target).unwrap().source("consistency = \"snapshot\"").sections(&sections)
}

/// The one table of a report.
fn verify(job: &Job, more: &[&str], code: i32) -> Value {
    let more: Vec<&str> = ["--format", "json"].into_iter().chain(more.iter().copied()).collect();
    job.command("verify", &more).unwrap().expect_code(code).unwrap().json().unwrap()["tables"][0].clone()
}

fn counts(table: &Value) -> [u64; 3] {
    ["differing", "missing", "extra"].map(|name| table["differences"][name].as_u64().unwrap())
}

/// `what key`, in order.
fn named(table: &Value) -> Vec<String> {
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    let keys = table["differences"]["keys"].as_array().unwrap();
    let mut lines: Vec<String> = keys.iter().map(|key| format!("{} {}", text(key, "what"), text(key, "key"))).collect();
    lines.sort();
    lines
}

async fn rows_that_differ_are_named_and_repaired_by_any_key(engine: Engine) {
    for KeyKind { columns, key, values, shown } in KEYS {
        let rows = values.map(|value| format!("({value}, N'v', 1)"));
        let source = source_with(&format!(
            "CREATE TABLE dbo.items ({columns}, note nvarchar(20) NULL, amount decimal(9,3) NULL, CONSTRAINT pk_items PRIMARY KEY ({key}));\nGO\n\
             INSERT INTO dbo.items VALUES {}, {}, {}",
            rows[0], rows[1], rows[2]
        ))
        .await;
        let target = TestTarget::on(engine).unwrap();
        let job = job(&source, &target, "").job("show_values = true");
        job.run().unwrap().expect_code(0).unwrap();
        verify(&job, &[], 0);

        let names: Vec<&str> = key.split(", ").collect();
        let order = format!("ORDER BY {}", names.join(", "));
        let all = format!("SELECT CONCAT(COALESCE(note, '-'), ' ', amount) FROM items {order}");
        let before = target.rows(&all).unwrap();
        // One with another value, one that is missing, one that the source does not have.
        let of = |value: &str| match (columns.split(", ").count(), value.split(", ").collect::<Vec<_>>().as_slice()) {
            (1, [a]) => format!("a = {a}"),
            (2, [first, second]) if columns.starts_with('b') => {
                let _ = first;
                format!("a = {second}")
            }
            (2, [a, b]) => format!("a = {a} AND b = {b}"),
            (_, other) => panic!("{other:?}"),
        };
        target.run(&format!("UPDATE items SET note = 'V' WHERE {}", of(values[0]))).unwrap();
        target.run(&format!("DELETE FROM items WHERE {}", of(values[1]))).unwrap();
        target.run(&format!("INSERT INTO items VALUES ({}, NULL, 2)", values[3])).unwrap();

        let found = verify(&job, &[], TABLES_FAILED);
        assert_eq!(counts(&found), [1, 1, 1], "{columns}: {found}");
        let lines = named(&found);
        assert_eq!(lines.len(), 3, "{columns}: {lines:?}");
        assert_eq!(lines[2], format!("missing {shown}"), "{columns}");
        assert!(lines[0].starts_with("differs ") && lines[1].starts_with("extra "), "{columns}: {lines:?}");

        let repaired = verify(&job, &["--repair"], 0);
        assert_eq!((&repaired["outcome"], counts(&repaired)), (&"repaired".into(), [1, 1, 1]), "{columns}: {repaired}");
        assert_eq!(target.rows(&all).unwrap(), before, "{columns}");
        verify(&job, &[], 0);
        assert!(target.leftovers().unwrap().is_empty(), "{columns}");
    }
}

async fn keys_are_values_of_rows(engine: Engine) {
    let source = source_with(
        "CREATE TABLE dbo.items (code nvarchar(20) NOT NULL PRIMARY KEY, n int NULL);\nGO\nINSERT INTO dbo.items VALUES (N'geheim', 1)",
    )
    .await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "");
    job.run().unwrap().expect_code(0).unwrap();
    target.run("UPDATE items SET code = 'geheimer'").unwrap();
    let found = verify(&job, &[], TABLES_FAILED);
    assert_eq!(named(&found), ["extra code = [hidden]", "missing code = [hidden]"], "{found}");
    let text = job.command("verify", &[]).unwrap().expect_code(TABLES_FAILED).unwrap().stdout;
    assert!(!text.contains("geheim") && text.contains("code = [hidden]"), "{text}");
    let shown = job.in_terminal("verify", &[]).unwrap();
    assert!(shown.contains("missing code = 'geheim'") && shown.contains("extra code = geheimer"), "{shown}");
}

async fn many_rows_are_counted_and_some_are_named(engine: Engine) {
    let source = source_with(&format!(
        "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, n int NOT NULL);\nGO\nINSERT INTO dbo.items SELECT n, n FROM ({}) AS numbers WHERE n < 300",
        numbers(1)
    ))
    .await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "");
    job.run().unwrap().expect_code(0).unwrap();
    target.run("UPDATE items SET n = n + 1 WHERE id < 100; DELETE FROM items WHERE id >= 250").unwrap();
    let found = verify(&job, &["--limit", "7"], TABLES_FAILED);
    assert_eq!((counts(&found), named(&found).len()), ([100, 50, 0], 7), "{found}");
    assert_eq!(named(&verify(&job, &[], TABLES_FAILED)).len(), 20);
    assert_eq!(counts(&verify(&job, &["--limit", "0", "--repair"], 0)), [100, 50, 0]);
    verify(&job, &[], 0);
}

/// So many tens of thousands of numbers, from 0.
fn numbers(tens_of_thousands: usize) -> String {
    const DIGITS: &str = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))";
    let last: Vec<String> = (0..tens_of_thousands).map(|number| format!("({number})")).collect();
    format!(
        "SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d AS n FROM {DIGITS} AS a (d) CROSS JOIN {DIGITS} AS b (d) \
         CROSS JOIN {DIGITS} AS c (d) CROSS JOIN {DIGITS} AS d (d) CROSS JOIN (VALUES {}) AS e (d)",
        last.join(", ")
    )
}

/// Beyond 50,000 rows slices tell where rows differ: ranges of a key that can be cut, hashes of any other.
async fn rows_of_large_tables_are_found_in_slices(engine: Engine) {
    for (key, value) in [("int NOT NULL", "n * 3"), ("nvarchar(20) NOT NULL", "CONCAT(N'k', n)")] {
        let source = source_with(&format!(
            "CREATE TABLE dbo.items (k {key} PRIMARY KEY, n int NOT NULL);\nGO\nINSERT INTO dbo.items SELECT {value}, n FROM ({}) AS numbers",
            numbers(6)
        ))
        .await;
        let target = TestTarget::on(engine).unwrap();
        // With so little memory the rows of the slices that differ are compared in several passes.
        let job = job(&source, &target, "").job("memory = \"16MiB\"\ntables = 8");
        job.run().unwrap().expect_code(0).unwrap();
        for meddling in [
            "UPDATE items SET n = n - 1 WHERE n IN (0, 31000, 59999)",
            "DELETE FROM items WHERE n >= 40000 AND n < 40100",
            "UPDATE items SET n = -1 WHERE n >= 20000 AND n < 38000",
            // In every other range, so that they cannot be joined.
            "UPDATE items SET n = -2 WHERE n >= 42000 AND n < 59000 AND n % 2000 = 500",
        ] {
            target.run(meddling).unwrap();
        }
        let found = verify(&job, &[], TABLES_FAILED);
        // 31000 is of the 18,000.
        assert_eq!(counts(&found), [18_011, 100, 0], "{key}: {found}");
        let repaired = verify(&job, &["--repair"], 0);
        assert_eq!(counts(&repaired), [18_011, 100, 0], "{key}: {repaired}");
        verify(&job, &[], 0);
    }
}

async fn without_a_key_nothing_is_repaired(engine: Engine) {
    let source =
        source_with("CREATE TABLE dbo.items (id int NOT NULL);\nGO\nINSERT INTO dbo.items VALUES (1), (2)").await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "");
    job.run().unwrap().expect_code(0).unwrap();
    target.run("DELETE FROM items WHERE id = 1").unwrap();
    let found = verify(&job, &[], TABLES_FAILED);
    assert_eq!((&found["failure"]["code"], &found["differences"]), (&"mismatch".into(), &Value::Null), "{found}");
    let refused = verify(&job, &["--repair"], TABLES_FAILED);
    assert_eq!(refused["failure"]["code"], "not_comparable", "{refused}");
    assert!(refused["failure"]["remedy"].as_str().unwrap().contains("copies the table whole"), "{refused}");
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);
}

/// A trigger that spoils what is written: the table is as it was, and the report says that nothing was changed.
async fn a_repair_that_cannot_be_proven_changes_nothing(engine: Engine) {
    let source = source_with(
        "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, n int NULL);\nGO\nINSERT INTO dbo.items VALUES (1, 1), (2, 2)",
    )
    .await;
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "");
    job.run().unwrap().expect_code(0).unwrap();
    target.run("UPDATE items SET n = 5 WHERE id = 2; INSERT INTO items VALUES (3, 3)").unwrap();
    target
        .run(engine.pick(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := NEW.n + 1; RETURN NEW; END $$; \
             CREATE TRIGGER spoil BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION spoil()",
            "CREATE TRIGGER spoil BEFORE UPDATE ON items FOR EACH ROW SET NEW.n = NEW.n + 1",
        ))
        .unwrap();
    let failed = verify(&job, &["--repair"], TABLES_FAILED);
    assert_eq!(failed["failure"]["code"], "mismatch", "{failed}");
    assert!(failed["failure"]["remedy"].as_str().unwrap().starts_with("Nothing was changed."), "{failed}");
    assert_eq!(target.rows("SELECT CONCAT(id, ' ', n) FROM items ORDER BY id").unwrap(), ["1 1", "2 5", "3 3"]);
    target.run(engine.pick("DROP TRIGGER spoil ON items", "DROP TRIGGER spoil")).unwrap();
    assert_eq!(counts(&verify(&job, &["--repair"], 0)), [1, 0, 1]);
    verify(&job, &[], 0);
}

/// Whichever COMMIT of a repair gets no reply: each row is there once.
async fn a_lost_reply_to_a_repairs_commit_is_made_good(engine: Engine) {
    let source = source_with(
        "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, n int NULL);\nGO\nINSERT INTO dbo.items VALUES (1, 1), (2, 2), (3, 3)",
    )
    .await;
    let target = TestTarget::on(engine).unwrap();
    job(&source, &target, "").run().unwrap().expect_code(0).unwrap();
    for number in 0_u8.. {
        target
            .run("UPDATE items SET n = 5 WHERE id = 2; DELETE FROM items WHERE id = 1; INSERT INTO items VALUES (9, 9)")
            .unwrap();
        let is_commit = |statement: &str| statement == "COMMIT";
        let (found, was_lost) = match engine {
            Engine::Postgres => {
                let loss = postgres_proxy::Loss { watched: is_commit, number: number.into(), instead: None };
                let proxy = postgres_proxy::Proxy::start(target.port(), loss).await.unwrap();
                let job = job(&source, &target, "").through(proxy.port);
                (verify(&job, &["--repair"], 0), proxy.seen() > usize::from(number))
            }
            Engine::MariaDb | Engine::MySql => {
                let moment = Some((number.into(), mysql_proxy::Moment::ReplyLost));
                let proxy = mysql_proxy::Proxy::start(target.port(), is_commit, moment).await.unwrap();
                let job = job(&source, &target, "").through(proxy.port);
                (verify(&job, &["--repair"], 0), proxy.statements().len() > usize::from(number))
            }
        };
        assert_eq!(counts(&found), [1, 1, 1], "COMMIT {number}: {found}");
        assert_eq!(target.rows("SELECT CONCAT(id, ' ', n) FROM items ORDER BY id").unwrap(), ["1 1", "2 2", "3 3"]);
        if !was_lost {
            assert!(number >= 2, "only {number} COMMITs were seen");
            return;
        }
    }
}

/// Rows that the source changed after the last run are told from those that somebody else changed.
async fn rows_that_are_newer_at_the_source_are_told_apart(engine: Engine) {
    let source = source_with(
        "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, n int NULL);\nGO\nINSERT INTO dbo.items VALUES (1, 1), (2, 2), (3, 3), (4, 4)",
    )
    .await;
    let database = &source.database;
    source
        .run(&format!(
            "ALTER DATABASE [{database}] SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON);\nGO\n\
             ALTER TABLE dbo.items ENABLE CHANGE_TRACKING"
        ))
        .await
        .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "mode = \"change-tracking\"").job("show_values = true");
    job.run().unwrap().expect_code(0).unwrap();
    source
        .run("UPDATE dbo.items SET n = 20 WHERE id = 2;\nDELETE FROM dbo.items WHERE id = 3;\nINSERT INTO dbo.items VALUES (5, 5)")
        .await
        .unwrap();
    target.run("UPDATE items SET n = 40 WHERE id = 4").unwrap();
    let found = verify(&job, &[], TABLES_FAILED);
    assert_eq!((counts(&found), &found["differences"]["newer_at_source"]), ([2, 1, 1], &3.into()), "{found}");
    for key in found["differences"]["keys"].as_array().unwrap() {
        assert_eq!(key["newer_at_source"], key["key"] != "id = 4", "{key}");
    }
    assert_eq!(found["differences"]["keys"].as_array().unwrap().len(), 4, "{found}");

    verify(&job, &["--repair"], 0);
    verify(&job, &[], 0);
    // What is remembered is of the moment of the repair: nothing comes twice, and nothing is missed.
    source.run("UPDATE dbo.items SET n = 50 WHERE id = 5").await.unwrap();
    let next = job.run().unwrap().expect_code(0).unwrap().json().unwrap()["tables"][0].clone();
    assert_eq!((&next["changes"]["why_full"], &next["rows"]), (&Value::Null, &1.into()), "{next}");
    verify(&job, &[], 0);
}

on_each_engine!(
    rows_that_differ_are_named_and_repaired_by_any_key,
    keys_are_values_of_rows,
    many_rows_are_counted_and_some_are_named,
    rows_of_large_tables_are_found_in_slices,
    without_a_key_nothing_is_repaired,
    a_repair_that_cannot_be_proven_changes_nothing,
    a_lost_reply_to_a_repairs_commit_is_made_good,
    rows_that_are_newer_at_the_source_are_told_apart,
);
