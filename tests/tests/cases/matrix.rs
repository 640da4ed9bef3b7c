//! Every type with its boundary values, from the source through the job into the target, cell by cell. The table of what was
//! proven is kept in `docs/type-map.md`; `BLESS=1` writes it.

use std::fs;

use stopgap_tests::{job::Job, matrix, matrix::Column, source::TestSource, target::TestTarget};

const BEGIN: &str = "<!-- begin: written by the type matrix test -->";
const END: &str = "<!-- end: written by the type matrix test -->";

#[tokio::test(flavor = "multi_thread")]
async fn every_type_arrives_as_planned_at_its_boundaries() {
    let columns = matrix::columns();
    let source = TestSource::new().await.unwrap();
    source.run(&matrix::script(&columns)).await.unwrap();
    let target = TestTarget::new().unwrap();
    let job = Job::new(&source, &target).unwrap().sections(&matrix::sections(&columns));
    let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
    let mut wrong = Vec::new();
    for (number, column) in columns.iter().enumerate() {
        let name = matrix::table(number);
        compare_cells(&target, column, &name, &mut wrong);
        compare_losses(&report, column, &name, &mut wrong);
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    println!("{}", matrix::document(&columns));
    keep(&matrix::document(&columns));
}

fn compare_cells(target: &TestTarget, column: &Column, name: &str, wrong: &mut Vec<String>) {
    let declared = target
        .value(&format!(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{name}'::regclass AND attname = 'v'"
        ))
        .unwrap();
    if spelt(&declared) != spelt(&column.target) {
        wrong.push(format!("{}: the column is {declared}, not {}", column.source, column.target));
    }
    // Hexadecimal digits survive the client whatever the value holds.
    let shown = if column.is_binary() { "encode(v, 'hex')" } else { "encode(convert_to(v::text, 'UTF8'), 'hex')" };
    // The cast to text drops the padding of character(n), `bpchar` sends it.
    let shown = if column.target.starts_with("character(") { "encode(bpcharsend(v), 'hex')" } else { shown };
    let found = target.rows(&format!("SET timezone = 'UTC'; SELECT id, {shown} FROM {name} ORDER BY id")).unwrap();
    let found: Vec<&String> = found.iter().filter(|line| line.as_str() != "SET").collect();
    let null = if column.source == "rowversion" { None } else { Some("0|∅".to_owned()) };
    let values = column.values.iter().enumerate().map(|(row, value)| {
        let digits = if column.is_binary() { value.target.clone() } else { hex(&value.target) };
        format!("{}|{digits}", row + 1)
    });
    let expected: Vec<String> = null.into_iter().chain(values).collect();
    if column.source == "rowversion" {
        let digits = found.first().and_then(|line| line.strip_prefix("0|")).unwrap_or_default();
        if digits.len() != 16 {
            wrong.push(format!("rowversion: {digits:?} is not eight bytes"));
        }
        return;
    }
    if found.len() != expected.len() {
        wrong.push(format!("{}: {} rows instead of {}", column.source, found.len(), expected.len()));
    }
    for (found, expected) in found.iter().zip(&expected) {
        if *found != expected {
            wrong.push(format!(
                "{} → {}: found {}, expected {}",
                column.source,
                column.target,
                start(found),
                start(expected)
            ));
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

/// PostgreSQL spells some types out.
fn spelt(name: &str) -> String {
    let name = name.replace(" without time zone", "");
    match name.strip_suffix(" with time zone") {
        Some(rest) => rest.replace("timestamp", "timestamptz"),
        None => name,
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
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
        assert!(message.contains(table) && message.contains("4711") && message.contains('v'), "{table}: {message}");
        assert_eq!(target.rows(&format!("SELECT to_regclass('{table}')")).unwrap(), ["∅"], "{table}");
        let report = job("nul = \"strip\"\nundecodable = \"replace\"").expect_code(0).unwrap().json().unwrap();
        assert_eq!(
            report["tables"][0]["losses"],
            serde_json::json!([{"column": "v", "what": loss, "rows": 1}]),
            "{table}"
        );
        assert_eq!(
            target.value(&format!("SELECT rtrim(v) FROM {table} WHERE id = 4711")).unwrap(),
            expected,
            "{table}"
        );
    }
}
