//! A source that is no longer what its catalog said: out-of-date views are so for good, a table is for a moment between the plan
//! and the read. Nothing may be cut, become NULL or be read in another encoding without anybody being told.

use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;

/// Name, the type when the view was made, the type and value since, and what must be said.
const CHANGES: [(&str, &str, &str, &str, &str); 13] = [
    ("wider_national", "nvarchar(10)", "nvarchar(40)", "N'more than ten characters'", "the target type takes 10"),
    ("wider", "varchar(10)", "varchar(40)", "'more than ten characters'", "the target type takes 10"),
    ("wider_fixed", "char(10)", "char(40)", "'more than ten characters'", "the target type takes 10"),
    ("wider_fixed_national", "nchar(10)", "nchar(40)", "N'more than ten characters'", "the target type takes 10"),
    (
        "limitless_national",
        "nvarchar(4000)",
        "nvarchar(max)",
        "REPLICATE(CAST(N'x' AS nvarchar(max)), 5000)",
        "the target type takes 4000",
    ),
    (
        "limitless",
        "varchar(8000)",
        "varchar(max)",
        "REPLICATE(CAST('x' AS varchar(max)), 9000)",
        "the target type takes 8000",
    ),
    (
        "wider_by_spaces",
        "char(10)",
        "varchar(max)",
        "'abc' + REPLICATE(CAST(' ' AS varchar(max)), 9000) + 'xyz'",
        "planned as char(10)",
    ),
    ("number_became_text", "int", "nvarchar(10)", "N'12'", "planned as int"),
    ("text_became_number", "nvarchar(10)", "int", "12", "planned as nvarchar(10)"),
    ("national_became_plain", "nvarchar(10)", "varchar(10)", "'ab'", "planned as nvarchar(10)"),
    ("plain_became_national", "varchar(10)", "nvarchar(10)", "N'ab'", "planned as varchar(10)"),
    (
        "other_alphabet",
        "varchar(10) COLLATE Latin1_General_CI_AS",
        "varchar(10) COLLATE Cyrillic_General_CI_AS",
        "N'Привет'",
        "planned as varchar(10) with code page 1252",
    ),
    ("day_became_number", "date", "int", "12", "planned as date"),
];

async fn a_column_that_is_not_what_was_planned_is_said(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let mut sections = String::from("[tables]\ninclude = [\"dbo.v_*\"]\n");
    for (name, before, after, value, _) in CHANGES {
        let script = format!(
            "CREATE TABLE dbo.{name} (id int NOT NULL PRIMARY KEY, c {before} NULL);\nGO\n\
             CREATE VIEW dbo.v_{name} AS SELECT id, c FROM dbo.{name};\nGO\n\
             ALTER TABLE dbo.{name} ALTER COLUMN c {after} NULL;\nGO\n\
             INSERT INTO dbo.{name} (id, c) VALUES (1, NULL), (2, {value})"
        );
        source.run(&script).await.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        target
            .run(&format!("CREATE TABLE v_{name} (id int, c varchar(10)); INSERT INTO v_{name} VALUES (0, 'old')"))
            .unwrap();
        sections.push_str(&format!("[[table]]\nsource = \"dbo.v_{name}\"\n"));
    }
    let outcome = Job::new(&source, &target).unwrap().sections(&sections).run().unwrap();
    let report = outcome.expect_code(TABLES_FAILED).unwrap().json().unwrap();
    for (name, _, _, _, words) in CHANGES {
        let table =
            report["tables"].as_array().unwrap().iter().find(|table| table["source"] == format!("dbo.v_{name}"));
        let message = table.unwrap()["failure"]["message"].as_str().unwrap_or("no failure").to_owned();
        assert!(message.contains(words), "{name}: {message}");
        assert_eq!(target.rows(&format!("SELECT c FROM v_{name}")).unwrap(), ["old"], "{name}");
    }
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

async fn text_into_a_longer_type_arrives_whole(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let script = "CREATE TABLE dbo.notes (id int NOT NULL PRIMARY KEY, c nvarchar(50) NULL, raw varbinary(4) NULL);\nGO\n\
                  CREATE VIEW dbo.v_notes AS SELECT id, c FROM dbo.notes;\nGO\n\
                  ALTER TABLE dbo.notes ALTER COLUMN c nvarchar(max) NULL;\nGO\n\
                  INSERT INTO dbo.notes (id, c) VALUES (1, REPLICATE(CAST(N'ü' AS nvarchar(max)), 6000))";
    source.run(script).await.unwrap();
    let longest = engine.pick("text", "longtext");
    let sections = format!("[[table]]\nsource = \"dbo.v_notes\"\n[table.target_types]\nc = \"{longest}\"");
    Job::new(&source, &target).unwrap().sections(&sections).run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT CHAR_LENGTH(c) FROM v_notes").unwrap(), ["6000"]);
}

/// Name, type asked for, value, and its characters on the target: what comes after thousands of spaces or U+0000 counts, too.
const BEHIND: [(&str, &str, &str, Option<&str>); 4] = [
    ("spaces", "char(100)", "N'abc' + REPLICATE(CAST(N' ' AS nvarchar(max)), 5000) + N'xyz'", None),
    ("spaces_alone", "char(100)", "N'abc' + REPLICATE(CAST(N' ' AS nvarchar(max)), 5000)", Some("abc")),
    ("nuls", "varchar(1000)", "N'abc' + REPLICATE(CAST(NCHAR(0) AS nvarchar(max)), 5000) + N'xyz'", Some("abcxyz")),
    ("nuls_and_spaces", "char(20)", "N'abc' + REPLICATE(CAST(NCHAR(0) + N' ' AS nvarchar(max)), 3000) + N'xyz'", None),
];

async fn what_comes_behind_thousands_of_spaces_is_not_cut(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let mut sections = String::new();
    for (name, wanted, value, _) in BEHIND {
        let script = format!(
            "CREATE TABLE dbo.{name} (id int NOT NULL PRIMARY KEY, c nvarchar(max) NULL); \
             INSERT INTO dbo.{name} (id, c) VALUES (1, {value})"
        );
        source.run(&script).await.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        sections.push_str(&format!(
            "[[table]]\nsource = \"dbo.{name}\"\nnul = \"strip\"\n[table.target_types]\nc = \"{wanted}\"\n"
        ));
    }
    let outcome = Job::new(&source, &target).unwrap().sections(&sections).run().unwrap();
    let report = outcome.expect_code(TABLES_FAILED).unwrap().json().unwrap();
    for (name, _, _, arrives) in BEHIND {
        let tables = report["tables"].as_array().unwrap();
        let table = tables.iter().find(|table| table["source"] == format!("dbo.{name}")).unwrap();
        if let Some(text) = arrives {
            assert_eq!(target.rows(&format!("SELECT rtrim(c) FROM {name}")).unwrap(), [text], "{name}: {table}");
        } else {
            let message = table["failure"]["message"].as_str().unwrap_or("no failure");
            assert!(message.contains("the target type takes"), "{name}: {message}");
        }
    }
}

/// A view has no statistics: its keys are counted before they are sampled.
async fn a_view_is_cut_into_as_many_chunks_as_there_are_readers(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    let digits = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))";
    let script = format!(
        "CREATE TABLE dbo.words (word varchar(20) NOT NULL PRIMARY KEY);\nGO\n\
         INSERT INTO dbo.words (word) SELECT 'w' + CAST(a.d + 10 * b.d + 100 * c.d AS varchar(10)) \
         FROM {digits} AS a (d) CROSS JOIN {digits} AS b (d) CROSS JOIN {digits} AS c (d);\nGO\n\
         CREATE VIEW dbo.v_words AS SELECT word FROM dbo.words"
    );
    source.run(&script).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let sections = "[[table]]\nsource = \"dbo.v_words\"\nchunk_key = [\"word\"]";
    let job =
        Job::new(&source, &target).unwrap().job("readers = 5").sections(sections).env("RUST_LOG", "sync_job=debug");
    let outcome = job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.value("SELECT count(*) FROM v_words").unwrap(), "1000");
    let chunks = outcome.stderr.lines().filter(|line| line.contains("chunk done")).count();
    assert!((3..=6).contains(&chunks), "{chunks} chunks");
}

/// What a view says of its columns is from the day on which it was made: a key of it may hold NULL all the same.
async fn rows_of_a_view_arrive_although_its_key_became_null(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    let mut sections = String::new();
    for (name, key) in [("one", "k"), ("several", "k\", \"l")] {
        let script = format!(
            "CREATE TABLE dbo.{name} (n int NOT NULL, k varchar(5) NOT NULL, l int NOT NULL);\nGO\n\
             CREATE VIEW dbo.v_{name} AS SELECT n, k, l FROM dbo.{name};\nGO\n\
             ALTER TABLE dbo.{name} ALTER COLUMN k varchar(5) NULL; ALTER TABLE dbo.{name} ALTER COLUMN l int NULL;\nGO\n\
             INSERT INTO dbo.{name} (n, k, l) VALUES (1, 'a', 1), (2, 'a', 2), (3, 'a', NULL), (4, 'b', NULL), (5, 'b', 3), \
             (6, 'c', 1), (7, NULL, 1), (8, NULL, NULL), (9, 'c', NULL), (10, 'd', 4)"
        );
        source.run(&script).await.unwrap();
        sections
            .push_str(&format!("[[table]]\nsource = \"dbo.v_{name}\"\ncolumns = [\"n\"]\nchunk_key = [\"{key}\"]\n"));
    }
    let target = TestTarget::on(engine).unwrap();
    let job = Job::new(&source, &target).unwrap().job("readers = 5").sections(&sections);
    let outcome = job.env("RUST_LOG", "sync_job=debug").run().unwrap().expect_code(0).unwrap();
    for name in ["one", "several"] {
        let found = target.rows(&format!("SELECT count(*), count(DISTINCT n) FROM v_{name}")).unwrap();
        assert_eq!(found, ["10|10"], "{name}");
        let done = |line: &&str| line.contains("chunk done") && line.contains(&format!("v_{name} "));
        assert!(outcome.stderr.lines().filter(done).count() > 2, "{name} is not cut: {}", outcome.stderr);
    }
}

on_each_engine!(
    rows_of_a_view_arrive_although_its_key_became_null,
    a_column_that_is_not_what_was_planned_is_said,
    text_into_a_longer_type_arrives_whole,
    what_comes_behind_thousands_of_spaces_is_not_cut,
    a_view_is_cut_into_as_many_chunks_as_there_are_readers,
);
