//! Values of rows that messages hold: in a terminal, and nowhere else unless the job file says so.

use std::fs;
use std::path::Path;
use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;
/// Of rows; no name of a table or a column has it.
const SECRET: &str = "geheim";

/// Each fails with a message that holds a value of a row.
struct Failing {
    what: &'static str,
    source: &'static str,
    target: Option<&'static str>,
    settings: &'static str,
    /// What everybody may read: names and places.
    says: &'static [&'static str],
}

fn failing(engine: Engine) -> Vec<Failing> {
    let mut all = vec![
        Failing {
            what: "a value that the job itself cannot carry",
            source: "CREATE TABLE dbo.items (code nvarchar(40) NOT NULL PRIMARY KEY, body nvarchar(40)); \
                     INSERT INTO dbo.items VALUES (N'geheim-1', N'a'), (N'geheim-2', NCHAR(55357))",
            target: None,
            settings: "",
            says: &["dbo.items, column body", "code = [hidden]", "of its chunk"],
        },
        Failing {
            what: "a key of the target that the rows violate",
            source: "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, code nvarchar(40)); \
                     INSERT INTO dbo.items VALUES (1, N'geheim-1'), (2, N'geheim-1')",
            target: Some(engine.pick(
                "CREATE TABLE items (id integer PRIMARY KEY, code varchar(40) CONSTRAINT own_key UNIQUE)",
                "CREATE TABLE items (id int PRIMARY KEY, code varchar(40), CONSTRAINT own_key UNIQUE (code))",
            )),
            settings: "[[table]]\nsource = \"dbo.items\"\nswap = \"replace\"\n",
            says: engine
                .pick(&["own_key", "SQLSTATE 23505", "(code)=([hidden])"], &["own_key", "error 1062", "[hidden]"]),
        },
        Failing {
            what: "a value that the source cannot convert",
            source: "CREATE TABLE dbo.texts (id int NOT NULL, code nvarchar(40)); \
                     INSERT INTO dbo.texts VALUES (1, N'geheim');\nGO\n\
                     CREATE VIEW dbo.items AS SELECT id, CAST(code AS int) AS code FROM dbo.texts",
            target: None,
            settings: "[tables]\ninclude = [\"dbo.items\"]\nviews = true\n",
            says: &["reading dbo.items failed", "Msg 245", "[hidden] to data type int"],
        },
    ];
    if engine == Engine::Postgres {
        all.push(Failing {
            what: "a value that the target cannot convert",
            source: "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, body nvarchar(40)); \
                     INSERT INTO dbo.items VALUES (1, N'{}'), (2, N'geheim')",
            target: None,
            settings: "[[table]]\nsource = \"dbo.items\"\n[table.target_types]\nbody = \"jsonb\"\n",
            says: &["SQLSTATE 22P02", "[hidden]"],
        });
    }
    all
}

/// libxml2 takes no text of more than 10,000,000 bytes (`XML_MAX_TEXT_LENGTH`); SQL Server does.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_copy_refuses_is_named_with_what_can_be_done() {
    let source = TestSource::with(
        "CREATE TABLE dbo.docs (code nvarchar(40) NOT NULL PRIMARY KEY, Body nvarchar(max) NULL); \
         INSERT INTO dbo.docs VALUES (N'geheim-1', N'<a>small</a>'); \
         INSERT INTO dbo.docs VALUES (N'geheim-2', REPLICATE(CAST(N'\u{fc}' AS nvarchar(max)), 2550000));\nGO\n\
         UPDATE dbo.docs SET Body = N'<file>geheim' + Body + Body + N'</file>' WHERE code = N'geheim-2'",
    )
    .await
    .unwrap();
    let target = TestTarget::new().unwrap();
    let as_type = |name: &str| {
        let settings = format!("[[table]]\nsource = \"dbo.docs\"\ntarget_types = {{ Body = \"{name}\" }}\n");
        Job::new(&source, &target).unwrap().sections(&settings)
    };
    let refused = as_type("xml").run().unwrap().expect_code(TABLES_FAILED).unwrap();
    let report = refused.json().unwrap();
    let failure = &report["tables"][0]["failure"];
    let (message, remedy) = (failure["message"].as_str().unwrap(), failure["remedy"].as_str().unwrap());
    for words in [
        "loading public.docs failed at the row code = [hidden]",
        "SQLSTATE 2200N",
        "huge text node",
        "column body, row 2 of its chunk",
    ] {
        assert!(message.contains(words), "{words} is not in {message}");
    }
    assert!(!message.contains(SECRET), "{message}");
    assert!(remedy.contains("target_types = { Body = \"text\" }"), "{remedy}");
    assert!(as_type("xml").in_terminal("run", &[]).unwrap().contains("code = 'geheim-2'"));
    as_type("text").run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.value("SELECT count(*) FROM docs").unwrap(), "2");
}

/// All that is in the files of a directory.
fn contents(directory: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        all += &if path.is_dir() { contents(&path) } else { fs::read_to_string(&path).unwrap_or_default() };
    }
    all
}

async fn only_a_terminal_shows_values_of_rows(engine: Engine) {
    for Failing { what, source, target: before, settings, says } in failing(engine) {
        let source = TestSource::with(source).await.unwrap();
        let target = TestTarget::on(engine).unwrap();
        if let Some(before) = before {
            target.run(before).unwrap();
        }
        let settings = if settings.contains("include") {
            settings.to_owned()
        } else {
            format!("[tables]\ninclude = [\"dbo.*\"]\n{settings}")
        };
        let job = Job::new(&source, &target).unwrap().job("retries = 0");
        let records = job.directory().join("records");
        fs::create_dir(&records).unwrap();
        let report = job.directory().join("report.json");
        let job = job.sections(&format!("{settings}[history]\nat = \"{}\"\n", records.display()));
        let arguments = ["--report", report.to_str().unwrap(), "-v"];

        let outcome = job.command("run", &arguments).unwrap().expect_code(TABLES_FAILED).unwrap();
        let written = [&outcome.stdout, &outcome.stderr, &fs::read_to_string(&report).unwrap(), &contents(&records)];
        for text in written {
            assert!(!text.contains(SECRET), "{engine:?}, {what}: {text}");
        }
        let message = outcome.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in says {
            assert!(message.contains(words), "{engine:?}, {what}: {words} is not in {message}");
        }

        let seen = job.in_terminal("run", &[]).unwrap();
        assert!(seen.contains(SECRET), "{engine:?}, {what}, in a terminal: {seen}");

        fs::remove_dir_all(&records).unwrap();
        fs::create_dir(&records).unwrap();
        let job = job.job("show_values = true");
        let outcome = job.command("run", &arguments).unwrap().expect_code(TABLES_FAILED).unwrap();
        assert!(fs::read_to_string(&report).unwrap().contains(SECRET), "{engine:?}, {what}: show_values");
        for text in [outcome.stdout, outcome.stderr] {
            assert!(!text.contains(SECRET), "{engine:?}, {what}, with show_values: {text}");
        }
    }
}

/// Ranges of keys are cut at values of rows, and statements hold them. No log shows them, however much it shows.
async fn no_log_shows_the_bounds_of_ranges(engine: Engine) {
    const DIGITS: &str = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))";
    let source = TestSource::with(&format!(
        "CREATE TABLE dbo.items (id bigint NOT NULL PRIMARY KEY);\nGO\n\
         INSERT INTO dbo.items (id) SELECT CAST(471100000000 AS bigint) + (a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d) * 97 \
         FROM {DIGITS} AS a(d) CROSS JOIN {DIGITS} AS b(d) CROSS JOIN {DIGITS} AS c(d) CROSS JOIN {DIGITS} AS d(d) \
         CROSS JOIN (VALUES (0),(1),(2),(3),(4),(5)) AS e(d)"
    ))
    .await
    .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]\nchunk_rows = 20000");
    for (job, arguments) in [(job.twin().unwrap(), &["-vv"][..]), (job.env("RUST_LOG", "trace"), &[])] {
        let outcome = job.command("run", arguments).unwrap().expect_code(0).unwrap();
        assert!(outcome.stderr.contains("DEBUG"), "nothing was logged: {}", outcome.stderr);
        let is_key = |number: &str| number.len() == 12 && number.starts_with("4711");
        let has_key = |line: &&str| line.split(|c: char| !c.is_ascii_digit()).any(is_key);
        let line = outcome.stderr.lines().find(has_key);
        assert!(line.is_none(), "{engine:?}, {arguments:?}: {line:?}");
    }
}

on_each_engine!(only_a_terminal_shows_values_of_rows, no_log_shows_the_bounds_of_ranges);
