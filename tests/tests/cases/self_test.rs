//! A source that answers otherwise than SQL Server documents is refused before anything is written, or read in another way that
//! is right. The simulator answers wrongly where a test says so; a real server has no such switch.

use stopgap_servers::simulator::{self, Simulator};
use stopgap_tests::{
    job::{Job, Outcome},
    program,
    source::{Address, TestSource},
    target::{Engine, TestTarget},
};

const REFUSED: i32 = 3;
const OK: i32 = 0;
/// The status of a run with a table that failed.
const TABLES_FAILED: i32 = 1;

/// The statements of the self-test, and no others.
const SELF_TEST: &str = "stopgap_literals";

/// Whether the source takes the test's switches.
async fn answers(source: &TestSource, what: &str, matching: &str) -> bool {
    if std::env::var_os("SYNC_TEST_MSSQL").is_some() {
        println!("a real server answers as documented: nothing is tested here");
        return false;
    }
    source.run(&format!("EXEC simulator_answer '{what}', '{matching}'")).await.unwrap();
    true
}

fn job(source: &TestSource, target: &TestTarget) -> Job {
    Job::new(source, target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]\nchunk_rows = 60")
}

fn assert_says(outcome: &Outcome, parts: &[&str]) {
    // Lines are broken for a terminal.
    let said = format!("{}\n{}", outcome.stdout, outcome.stderr);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in:\n{}\n{}", outcome.stdout, outcome.stderr);
    }
}

const WORDS: &str = "
CREATE TABLE dbo.words (id int NOT NULL PRIMARY KEY, name nvarchar(40) NULL, padded nchar(6) NULL, wide nvarchar(max) NULL,
    old ntext NULL, doc xml NULL, code varchar(20) COLLATE Greek_CI_AS NULL, any_value sql_variant NULL, place geometry NULL);
INSERT INTO dbo.words (id, name, padded, wide, old, doc, code, any_value, place) VALUES
    (1, N'ab', N'ab', N'ab', N'ab', N'<a>b</a>', 'ab', CAST(N'ab' AS nvarchar(10)), geometry::STGeomFromText('POINT (1 2)', 0)),
    (2, N'Grün', N'Grün', N'Grün ', N'odd', N'<a>ü</a>', N'Ωά', CAST(-1.5 AS money), NULL),
    (3, N'日本 🦀', N'🦀', N'日本 🦀', N'🦀  ', N'<a>🦀</a>', '  ', CAST(N'日本' AS nvarchar(10)), NULL),
    (4, N'', N'', N'', N'', N'', '', CAST(N'' AS nvarchar(10)), NULL),
    (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE dbo.keyed (k nvarchar(20) NOT NULL PRIMARY KEY, n int NOT NULL);
INSERT INTO dbo.keyed (k, n) SELECT NCHAR(97 + n % 26) + N'-' + CAST(n AS nvarchar(10)), n FROM
    (SELECT a.d + 10 * b.d + 100 * c.d AS n FROM (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) AS a (d)
     CROSS JOIN (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) AS b (d) CROSS JOIN (VALUES (0),(1),(2)) AS c (d)) AS numbers";

const EXPECTED: [&str; 5] = [
    "1|[ab]|[ab]|[ab]|[ab]|[<a>b</a>]|[ab]|[ab]|[SRID=0;POINT (1 2)]",
    "2|[Grün]|[Grün]|[Grün ]|[odd]|[<a>ü</a>]|[Ωά]|[-1.5000]|∅",
    "3|[日本 🦀]|[🦀]|[日本 🦀]|[🦀  ]|[<a>🦀</a>]|[  ]|[日本]|∅",
    "4|[]|[]|[]|[]|[]|[]|[]|∅",
    "5|∅|∅|∅|∅|∅|∅|∅|∅",
];

fn words(target: &TestTarget) -> Vec<String> {
    let shown =
        |name: &str| target.engine.pick(format!("'[' || {name}::text || ']'"), format!("CONCAT('[', {name}, ']')"));
    let columns = ["name", "padded", "wide", "old", "doc", "code", "any_value", "place"].map(shown).join(", ");
    target.rows(&format!("SELECT id, {columns} FROM words ORDER BY id")).unwrap()
}

async fn text_whose_bytes_are_wrong_is_read_through_the_driver(engine: Engine) {
    for bytes in ["nvarchar bytes 1252", "nvarchar bytes utf-8"] {
        let source = TestSource::with(WORDS).await.unwrap();
        let target = TestTarget::on(engine).unwrap();
        if !answers(&source, bytes, "").await {
            return;
        }
        // As Babelfish's catalog does, too.
        source.run("EXEC simulator_quirk 'no sys schema', 'on'").await.unwrap();
        let job = job(&source, &target);
        let plan = job.command("plan", &[]).unwrap().expect_code(OK).unwrap();
        assert_says(&plan, &["[text-through-driver]", "CAST([name] AS nvarchar(max))", "dbo.keyed (k)", "expected 0x"]);
        // char and varchar have their own bytes there, too, and stay bytes.
        assert_says(&plan, &["CAST([code] AS varbinary("]);
        let report = job.run().unwrap().expect_code(OK).unwrap();
        assert_says(&report, &["is read through the driver"]);
        assert_eq!(words(&target), EXPECTED, "{bytes}");
        let keys = target.rows("SELECT count(*), count(DISTINCT k), sum(n), min(k), max(k) FROM keyed").unwrap();
        assert_eq!(keys, ["300|300|44850|a-0|z-77"]);
        job.command("verify", &[]).unwrap().expect_code(OK).unwrap();
    }
}

/// What the self-test is for: bytes that are wrong alike on both sides of the digest. Only the witness finds them then.
async fn without_the_self_test_other_bytes_are_proven_right(engine: Engine) {
    let script = "CREATE TABLE dbo.words (id int NOT NULL PRIMARY KEY, name nvarchar(40)); INSERT INTO dbo.words VALUES (1, N'abcd')";
    let source = TestSource::with(script).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    // Only where rows are read, so that the self-test sees nothing.
    if !answers(&source, "nvarchar bytes 1252", "from [dbo].[words]").await {
        return;
    }
    let outcome = job(&source, &target).command("run", &[]).unwrap().expect_code(TABLES_FAILED).unwrap();
    assert_says(&outcome, &["(witness, source side)", "column name"]);
    let blind = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]\nwitness = \"off\"");
    let outcome = blind.command("run", &[]).unwrap().expect_code(OK).unwrap();
    assert_says(&outcome, &["[OK]", "not witnessed"]);
    assert_eq!(target.rows("SELECT name FROM words").unwrap(), ["扡摣"]);
}

/// Each of its columns is hashed by the witness, and nothing else is added up.
const HASHED: &str = "
CREATE TABLE dbo.hashed (name nvarchar(40) NOT NULL PRIMARY KEY, code varchar(20) COLLATE Greek_CI_AS NULL,
    bytes varbinary(20) NULL, number uniqueidentifier NULL);
INSERT INTO dbo.hashed VALUES (N'Grün', 'Ωά', 0x00FF, '6F9619FF-8B86-D011-B42D-00C04FC964FF'), (N'日本 🦀', NULL, NULL, NULL)";

/// A server whose rows are right and whose sums are not, as one that lacks a collation or a function.
async fn sums_that_the_source_adds_up_otherwise_accuse_no_copy(engine: Engine) {
    let source = TestSource::with(HASHED).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    if !answers(&source, "wrong decimal", "hashbytes").await {
        return;
    }
    let job = job(&source, &target);
    let outcome = job.command("run", &[]).unwrap().expect_code(OK).unwrap();
    let kinds = "does not add up nvarchar, varchar in Greek_CI_AS, code page 1253, varbinary, uniqueidentifier as";
    assert_says(&outcome, &[kinds, "expected 0 as the sum of lengths, got ", "dbo.hashed (name, code, bytes, number)"]);
    assert_says(&outcome, &["[OK]", "the source does not add up its values as SQL Server documents"]);
    assert_eq!(target.rows("SELECT count(*), count(code), count(number) FROM hashed").unwrap(), ["2|1|1"]);
    job.command("verify", &[]).unwrap().expect_code(OK).unwrap();
    // Where the self-test is not answered wrongly, the same sums accuse the copy.
    source.run("EXEC simulator_answer_rightly").await.unwrap();
    source.run("EXEC simulator_answer 'wrong decimal', 'from [dbo].[hashed]'").await.unwrap();
    let outcome = job.command("run", &[]).unwrap().expect_code(TABLES_FAILED).unwrap();
    assert_says(&outcome, &["(witness, source side)", "sum of lengths"]);
}

on_each_engine!(
    text_whose_bytes_are_wrong_is_read_through_the_driver,
    without_the_self_test_other_bytes_are_proven_right,
    sums_that_the_source_adds_up_otherwise_accuse_no_copy,
);

/// A type of the source, which answers are wrong, and the kind that the refusal names.
const KINDS: [(&str, &[&str], &str); 38] = [
    ("bit", &["wrong bit"], "bit"),
    ("tinyint", &["wrong tinyint"], "tinyint"),
    ("smallint", &["wrong smallint"], "smallint"),
    ("int", &["wrong int"], "int"),
    ("bigint", &["wrong bigint"], "bigint"),
    ("decimal(12,3)", &["wrong decimal"], "decimal"),
    ("money", &["wrong decimal"], "money"),
    ("money", &["money as double"], "money"),
    ("smallmoney", &["wrong decimal"], "smallmoney"),
    ("real", &["wrong real"], "real"),
    ("float", &["wrong float"], "float"),
    ("date", &["wrong date"], "date"),
    ("time(3)", &["wrong time"], "time(3)"),
    ("datetime", &["wrong datetime"], "datetime"),
    ("smalldatetime", &["wrong smalldatetime"], "smalldatetime"),
    ("datetime2(7)", &["wrong datetime2"], "datetime2(7)"),
    ("datetimeoffset(2)", &["wrong datetimeoffset"], "datetimeoffset(2)"),
    ("datetimeoffset(7)", &["wrong int"], "the offset of datetimeoffset(7)"),
    ("char(5) COLLATE Polish_CI_AS", &["wrong varbinary", "wrong nvarchar"], "char in Polish_CI_AS, code page 1250"),
    (
        "varchar(20) COLLATE Greek_CI_AS",
        &["wrong varbinary", "wrong nvarchar"],
        "varchar in Greek_CI_AS, code page 1253",
    ),
    (
        "varchar(max) COLLATE Japanese_CI_AS",
        &["wrong varbinary", "wrong nvarchar"],
        "varchar(max) in Japanese_CI_AS, code page 932",
    ),
    ("text COLLATE Thai_CI_AS", &["wrong varbinary", "wrong nvarchar"], "text in Thai_CI_AS, code page 874"),
    ("nchar(5)", &["nvarchar bytes utf-8", "wrong nvarchar"], "nchar"),
    ("nvarchar(20)", &["nvarchar bytes 1252", "wrong nvarchar"], "nvarchar"),
    ("nvarchar(max)", &["wrong varbinary", "wrong nvarchar"], "nvarchar(max)"),
    ("ntext", &["nvarchar bytes utf-8", "wrong nvarchar"], "ntext"),
    ("xml", &["nvarchar bytes 1252", "wrong nvarchar"], "xml"),
    ("json", &["nvarchar bytes 1252", "wrong nvarchar"], "json"),
    ("vector(3)", &["nvarchar bytes 1252", "wrong nvarchar"], "vector"),
    ("sql_variant", &["nvarchar bytes utf-8", "wrong nvarchar"], "sql_variant"),
    ("hierarchyid", &["nvarchar bytes 1252", "wrong nvarchar"], "hierarchyid"),
    ("geometry", &["nvarchar bytes 1252", "wrong nvarchar"], "geometry"),
    ("geography", &["nvarchar bytes utf-8", "wrong nvarchar"], "geography"),
    ("binary(4)", &["wrong binary"], "binary"),
    ("varbinary(20)", &["wrong varbinary"], "varbinary"),
    ("image", &["wrong varbinary"], "image"),
    ("rowversion", &["wrong timestamp"], "rowversion"),
    ("uniqueidentifier", &["wrong uniqueidentifier"], "uniqueidentifier"),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_that_is_answered_otherwise_is_refused_before_anything_is_written() {
    let source = TestSource::new().await.unwrap();
    let target = TestTarget::on(Engine::Postgres).unwrap();
    let job = Job::new(&source, &target)
        .unwrap()
        .sections("[tables]\ninclude = [\"dbo.*\"]\noffset_column = true\nvariant_type_column = true");
    for (declared, wrong, kind) in KINDS {
        source.run(&format!("CREATE TABLE dbo.t (v {declared})")).await.unwrap();
        for what in wrong {
            if !answers(&source, what, SELF_TEST).await {
                return;
            }
        }
        let outcome = job.command("run", &[]).unwrap().expect_code(REFUSED);
        let outcome = outcome.unwrap_or_else(|error| panic!("{declared}: {error:#}"));
        let named = format!("documents it for {kind} (asked SELECT ");
        assert_says(&outcome, &[&named, "FROM (SELECT ", ", expected ", ", got ", "Columns read this way: dbo.t (v)"]);
        job.command("verify", &[]).unwrap().expect_code(REFUSED).unwrap();
        assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
        assert_eq!(target.rows("SELECT relname FROM pg_class WHERE relname = 't'").unwrap(), Vec::<String>::new());
        source.run("EXEC simulator_answer_rightly").await.unwrap();
        source.run("DROP TABLE dbo.t").await.unwrap();
    }
}

/// A server that refuses the whole batch for the sake of one kind.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_the_server_refuses_is_refused_alone() {
    let (_simulator, source) = own_source().await;
    let target = TestTarget::on(Engine::Postgres).unwrap();
    source.run("CREATE TABLE dbo.paths (id int NOT NULL, name nvarchar(20), path hierarchyid)").await.unwrap();
    source.run("EXEC simulator_fault 'error 243', 'as hierarchyid)', 0, 100, 0").await.unwrap();
    let outcome = job(&source, &target).command("check", &[]).unwrap().expect_code(REFUSED).unwrap();
    assert_says(
        &outcome,
        &["documents it for hierarchyid (asked", "got Msg 243", "Columns read this way: dbo.paths (path)"],
    );
    assert!(!outcome.stdout.contains("for nvarchar"), "{}", outcome.stdout);
}

/// A function of the witness that the server lacks silences the columns that need it, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_sum_that_the_server_refuses_is_left_out_alone() {
    let (_simulator, source) = own_source().await;
    let target = TestTarget::on(Engine::Postgres).unwrap();
    source.run("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, name nvarchar(20), day date)").await.unwrap();
    source.run("INSERT INTO dbo.t VALUES (1, N'ab', '2024-02-29')").await.unwrap();
    source.run("EXEC simulator_fault 'error 195', 'hashbytes', 0, 100, 0").await.unwrap();
    let outcome = job(&source, &target).command("run", &[]).unwrap().expect_code(OK).unwrap();
    assert_says(&outcome, &["does not add up nvarchar as", "got Msg 195", "dbo.t (name)", "2 of 3 columns"]);
}

/// A server of its own: its faults reach every database.
async fn own_source() -> (Simulator, TestSource) {
    let simulator =
        Simulator::start(&program("STOPGAP_SIMULATOR", "mssql-simulator").unwrap(), &simulator::Options::default());
    let simulator = simulator.unwrap();
    let address = Address {
        host: simulator.host().to_owned(),
        port: simulator.port(),
        user: simulator::USER.to_owned(),
        password: simulator::PASSWORD.to_owned(),
    };
    let source = TestSource::at(address).await.unwrap();
    (simulator, source)
}
