//! Every type with its boundary values, from the source through the job into the target, cell by cell. The table of what was
//! proven is kept in `docs/type-map.md`; `BLESS=1` writes it.

use std::fs;

use stopgap_tests::{
    job::Job,
    matrix,
    matrix::Column,
    source::TestSource,
    target::{Engine, TestTarget},
};

const BEGIN: &str = "<!-- begin: written by the type matrix test -->";
const END: &str = "<!-- end: written by the type matrix test -->";

async fn compare(engine: Engine) {
    let columns = matrix::columns(engine);
    let source = TestSource::new().await.unwrap();
    source.run(&matrix::script(&columns)).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = Job::new(&source, &target).unwrap().sections(&matrix::sections(&columns));
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    let mut wrong = Vec::new();
    for (number, column) in columns.iter().enumerate() {
        let name = matrix::table(number);
        compare_cells(&target, column, &name, &mut wrong);
        compare_losses(&report, column, &name, &mut wrong);
        compare_witness(&report, column, &name, &mut wrong);
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_arrives_as_planned_at_its_boundaries() {
    for engine in Engine::all() {
        compare(engine).await;
    }
    println!("{}", matrix::document());
    keep(&matrix::document());
}

fn declared(target: &TestTarget, name: &str) -> String {
    let found = target.value(&target.engine.pick(
        format!("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{name}'::regclass AND attname = 'v'"),
        format!("SELECT column_type FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = '{name}' AND column_name = 'v'"),
    ));
    found.unwrap()
}

/// The column's values in hexadecimal digits, which survive the client whatever they hold.
fn shown(engine: Engine, column: &Column) -> &'static str {
    match engine {
        Engine::Postgres if column.is_binary() => "encode(v, 'hex')",
        // The cast to text drops the padding of character(n), `bpchar` sends it.
        Engine::Postgres if column.target.starts_with("character(") => "encode(bpcharsend(v), 'hex')",
        Engine::Postgres => "encode(convert_to(v::text, 'UTF8'), 'hex')",
        // The bits of the double: MySQL's text of a float is not exact.
        _ if matches!(column.target.as_str(), "float" | "double") => "LOWER(HEX(SUBSTR(POINT(v, 0), 10, 8)))",
        _ if column.is_binary() => "LOWER(HEX(v))",
        // MariaDB has one order of axes.
        Engine::MariaDb if column.target == "geometry" => "LOWER(HEX(CONCAT('SRID=', ST_SRID(v), ';', ST_AsText(v))))",
        _ if column.target == "geometry" => {
            "LOWER(HEX(CONCAT('SRID=', ST_SRID(v), ';', ST_AsText(v, 'axis-order=long-lat'))))"
        }
        // HEX of a number is another number.
        _ => "LOWER(HEX(CAST(v AS CHAR CHARACTER SET utf8mb4)))",
    }
}

fn digits(engine: Engine, column: &Column, value: &str) -> String {
    let bits = |value: f64| hex_of(&value.to_le_bytes());
    match (engine, column.target.as_str()) {
        _ if column.is_binary() => value.to_owned(),
        (Engine::MariaDb | Engine::MySql, "double") => bits(value.parse().unwrap()),
        (Engine::MariaDb | Engine::MySql, "float") => bits(f64::from(value.parse::<f32>().unwrap())),
        _ => hex_of(value.as_bytes()),
    }
}

fn compare_cells(target: &TestTarget, column: &Column, name: &str, wrong: &mut Vec<String>) {
    let engine = target.engine;
    let declared = declared(target, name);
    if spelt(&declared) != spelt(&column.target) {
        wrong.push(format!("{}: the column is {declared}, not {}", column.source, column.target));
    }
    let shown = shown(engine, column);
    let zone = engine.pick("SET timezone = 'UTC'; ", "");
    let found = target.rows(&format!("{zone}SELECT id, {shown} FROM {name} ORDER BY id")).unwrap();
    let found: Vec<&String> = found.iter().filter(|line| line.as_str() != "SET").collect();
    if column.source == "rowversion" {
        let digits = found.first().and_then(|line| line.strip_prefix("0|")).unwrap_or_default();
        if digits.len() != 16 {
            wrong.push(format!("rowversion: {digits:?} is not eight bytes"));
        }
        return;
    }
    let values = column.values.iter().enumerate();
    let values = values.map(|(row, value)| format!("{}|{}", row + 1, digits(engine, column, &value.target)));
    let expected: Vec<String> = std::iter::once("0|∅".to_owned()).chain(values).collect();
    if found.len() != expected.len() {
        wrong.push(format!("{}: {} rows instead of {}", column.source, found.len(), expected.len()));
    }
    for (found, expected) in found.iter().zip(&expected) {
        if *found != expected {
            let (found, expected) = (start(found), start(expected));
            wrong.push(format!("{} → {}: found {found}, expected {expected}", column.source, column.target));
        }
    }
}

/// What the plan calls lossy is counted, and nothing else is.
fn compare_losses(report: &serde_json::Value, column: &Column, name: &str, wrong: &mut Vec<String>) {
    let tables = report["tables"].as_array().unwrap();
    let own = tables.iter().find(|table| table["source"] == format!("dbo.{name}")).unwrap();
    let mut counted: Vec<(String, u64)> = own["losses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|loss| (loss["what"].as_str().unwrap().to_owned(), loss["rows"].as_u64().unwrap()))
        .collect();
    counted.sort();
    let mut expected: Vec<(String, u64)> = ["fraction digits cut", "offset dropped, instant kept"]
        .into_iter()
        .map(|loss| (loss.to_owned(), column.count(loss)))
        .filter(|(_, rows)| *rows > 0)
        .collect();
    expected.sort();
    if counted != expected {
        wrong.push(format!("{} → {}: losses {counted:?}, expected {expected:?}", column.source, column.target));
    }
}

/// The source's own sums of every column are the target's, and only those are missing that both cannot compute alike.
fn compare_witness(report: &serde_json::Value, column: &Column, name: &str, wrong: &mut Vec<String>) {
    let tables = report["tables"].as_array().unwrap();
    let own = tables.iter().find(|table| table["source"] == format!("dbo.{name}")).unwrap();
    let witness = &own["witness"];
    let unwitnessed = witness["unwitnessed"].as_array().map_or(usize::MAX, Vec::len);
    let expected = usize::from(column.target == "real[]");
    if witness["state"] != "agrees" || unwitnessed != expected || !witness["ranges"].is_null() {
        wrong.push(format!("{} → {}: the witness says {witness}", column.source, column.target));
    }
}

/// PostgreSQL spells some types out, MariaDB shows widths of integers.
fn spelt(name: &str) -> String {
    let name = name.replace(" without time zone", "");
    if let Some(rest) = name.strip_suffix(" with time zone") {
        return rest.replace("timestamp", "timestamptz");
    }
    let width = name.split_once('(').filter(|(kind, _)| kind.ends_with("int") && name != "tinyint(1)");
    match (width, name.as_str()) {
        (Some((kind, rest)), _) => format!("{kind}{}", rest.split_once(')').map_or("", |(_, unsigned)| unsigned)),
        (None, "time(0)") => "time".to_owned(),
        (None, "datetime(0)") => "datetime".to_owned(),
        // MariaDB's json is a longtext with a check.
        (None, "json") => "longtext".to_owned(),
        _ => name,
    }
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn start(text: &str) -> String {
    text.chars().take(100).collect()
}

fn keep(table: &str) {
    let path = stopgap_tests::root().parent().unwrap().join("docs/type-map.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let new = format!("{before}{BEGIN}\n\n{table}\n{END}{after}");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, new).unwrap();
    } else {
        assert!(new == text, "docs/type-map.md is not what was proven; BLESS=1 writes it");
    }
}

/// Text that the target cannot hold: what the message names by default, and what is counted where the job file lets it be changed.
#[tokio::test(flavor = "multi_thread")]
async fn text_that_cannot_be_carried_is_named_or_counted() {
    let source = TestSource::new().await.unwrap();
    for (table, column, value, expected, loss) in [
        ("nul_wide", "nvarchar(20)", "N'a' + NCHAR(0) + N'b'", "ab", "U+0000 removed"),
        ("nul_narrow", "varchar(20)", "'a' + CHAR(0) + 'b'", "ab", "U+0000 removed"),
        (
            "lone_high",
            "nvarchar(20)",
            "N'a' + NCHAR(0xD800) + N'b'",
            "a\u{FFFD}b",
            "undecodable bytes replaced by U+FFFD",
        ),
        ("lone_low", "nvarchar(max)", "NCHAR(0xDC00)", "\u{FFFD}", "undecodable bytes replaced by U+FFFD"),
        ("greek", "varchar(20) COLLATE Greek_CI_AS", "0x61AA62", "a\u{FFFD}b", "undecodable bytes replaced by U+FFFD"),
        ("japanese", "char(4) COLLATE Japanese_CI_AS", "0x6181FF", "a\u{FFFD}", "undecodable bytes replaced by U+FFFD"),
    ] {
        source
            .run(&format!(
                "CREATE TABLE dbo.{table} (id int NOT NULL PRIMARY KEY, v {column} NULL);\nGO\n\
                 INSERT INTO dbo.{table} (id, v) VALUES (1, 'fine'); INSERT INTO dbo.{table} (id, v) VALUES (4711, {value})"
            ))
            .await
            .unwrap_or_else(|error| panic!("{table}: {error:#}"));
        let target = TestTarget::new().unwrap();
        let job = |keys: &str| {
            let sections = format!("[tables]\ninclude = [\"dbo.{table}\"]\n{keys}");
            Job::new(&source, &target).unwrap().sections(&sections).run().unwrap()
        };
        let refused = job("").expect_code(1).unwrap().json().unwrap();
        let message = refused["tables"][0]["failure"]["message"].as_str().unwrap();
        // The row's place is for everybody, its key for a terminal.
        let is_named =
            message.contains(table) && message.contains("column v") && message.contains("row 2 of its chunk");
        assert!(is_named && !message.contains("4711"), "{table}: {message}");
        assert_eq!(target.rows(&format!("SELECT to_regclass('{table}')")).unwrap(), ["∅"], "{table}");
        let code = if loss == "U+0000 removed" { "nul_stripped" } else { "undecodable" };
        let report = job("nul = \"strip\"\nundecodable = \"replace\"").expect_code(0).unwrap().json().unwrap();
        assert_eq!(
            report["tables"][0]["losses"],
            serde_json::json!([{"column": "v", "what": loss, "code": code, "rows": 1}]),
            "{table}"
        );
        assert_eq!(
            target.value(&format!("SELECT rtrim(v) FROM {table} WHERE id = 4711")).unwrap(),
            expected,
            "{table}"
        );
    }
}
