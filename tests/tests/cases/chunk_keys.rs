//! A table cut by any kind of key: each row arrives once, whatever the key's order, and NULL keys with it.

use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

const DIGITS: &str = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))";
const ROWS: usize = 1_000;

/// The key's columns, the expression of each for row number `n`, and the columns of the chunk key.
const KEYS: [(&str, &str, &str, &str); 9] = [
    ("integers", "k int NOT NULL", "n * 37 - 20000", "k"),
    ("negative_and_large", "k bigint NOT NULL", "(n - 500) * 9000000000000000", "k"),
    ("decimals", "k decimal(12,3) NOT NULL", "n * 1.125 - 400", "k"),
    ("dates", "k date NULL", "CASE WHEN n % 10 = 3 THEN NULL ELSE DATEADD(day, n * 3, '1999-01-01') END", "k"),
    ("moments", "k datetime2(7) NOT NULL", "DATEADD(second, n * 61, CAST('2026-01-01' AS datetime2(7)))", "k"),
    (
        "guids",
        "k uniqueidentifier NOT NULL",
        "CAST(CAST(n * 7919 % 1009 AS binary(4)) + CAST(n * 104729 % 99991 AS binary(8)) + CAST(n AS binary(4)) AS uniqueidentifier)",
        "k",
    ),
    (
        "words",
        "k nvarchar(30) NULL",
        "CASE WHEN n % 100 = 7 THEN NULL ELSE NCHAR(65 + n % 60) + N'ß' + CAST(n AS nvarchar(10)) END",
        "k",
    ),
    (
        "codes",
        "k varchar(20) COLLATE Latin1_General_CS_AS NOT NULL",
        "CHAR(97 + n % 26) + CAST(n AS varchar(10)) + CHAR(65 + n % 26)",
        "k",
    ),
    ("pairs", "k int NOT NULL, l varchar(5) NOT NULL", "n / 100, CAST(n % 100 AS varchar(5))", "k\", \"l"),
];

async fn every_row_arrives_once_whatever_the_key(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let mut sections = String::from("[tables]\ninclude = [\"dbo.*\"]\nchunk_rows = 60\n");
    for (name, columns, expressions, key) in KEYS {
        let names: Vec<&str> = columns.split(", ").map(|column| column.split(' ').next().unwrap_or_default()).collect();
        let names = names.join(", ");
        let fill = format!(
            "CREATE TABLE dbo.{name} (n int NOT NULL, {columns});\nGO\n\
             INSERT INTO dbo.{name} (n, {names}) SELECT n, {expressions} FROM \
             (SELECT a.d + 10 * b.d + 100 * c.d AS n FROM {DIGITS} AS a (d) CROSS JOIN {DIGITS} AS b (d) CROSS JOIN {DIGITS} AS c (d)) AS numbers;\nGO\n\
             CREATE INDEX ix ON dbo.{name} ({names})"
        );
        source.run(&fill).await.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        sections.push_str(&format!("[[table]]\nsource = \"dbo.{name}\"\nchunk_key = [\"{key}\"]\n"));
    }
    let job = Job::new(&source, &target).unwrap().sections(&sections);
    let plan = job.command("plan", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap();
    for table in plan["tables"].as_array().unwrap() {
        assert!(table["chunks"].as_u64().unwrap() > 5, "{} is not cut", table["source"]);
    }
    job.run().unwrap().expect_code(0).unwrap();
    for (name, ..) in KEYS {
        let found = target.rows(&format!("SELECT count(*), count(DISTINCT n), sum(n) FROM {name}")).unwrap();
        assert_eq!(found, [format!("{ROWS}|{ROWS}|{}", ROWS * (ROWS - 1) / 2)], "{name}");
    }
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// Every setting that a session's answers depend on is stated by the job, whatever the server's or the login's defaults are.
#[tokio::test(flavor = "multi_thread")]
async fn the_source_sees_a_polite_session() {
    let source = TestSource::new().await.unwrap();
    source
        .run(
            "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (1);\nGO\n\
             CREATE VIEW dbo.session AS SELECT program_name, lock_timeout, deadlock_priority, text_size, \
             transaction_isolation_level \
             FROM sys.dm_exec_sessions WHERE session_id = @@SPID",
        )
        .await
        .unwrap();
    let target = TestTarget::new().unwrap();
    let job = Job::new(&source, &target).unwrap().source("lock_timeout = \"7s\"");
    job.sections("[[table]]\nsource = \"dbo.session\"").run().unwrap().expect_code(0).unwrap();
    let found = target
        .rows(
            "SELECT program_name, lock_timeout, deadlock_priority, text_size, transaction_isolation_level FROM session",
        )
        .unwrap();
    assert_eq!(found, [format!("stopgap/{}|7000|-10|2147483647|2", source.database)]);
}

on_each_engine!(every_row_arrives_once_whatever_the_key);
