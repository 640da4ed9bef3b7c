//! Every character of the double-byte code pages, through the real job, against another implementation of them: Python's.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

/// Pairs of which Python knows nothing, or something else: the characters that Windows leaves to its users.
type Own = &'static [(u16, &'static str)];

/// Python's codec, a collation of the same code page, and its own pairs.
const PAGES: [(&str, &str, Own); 4] = [
    ("cp932", "Japanese_CI_AS", &[]),
    ("gbk", "Chinese_PRC_CI_AS", &[(0xAAA1, "\u{E000}"), (0xFE50, "\u{E815}"), (0xA2E3, "\u{E76C}")]),
    ("cp949", "Korean_Wansung_CI_AS", &[(0xC9A1, "\u{E000}"), (0xFEFE, "\u{E0BB}")]),
    (
        "cp950",
        "Chinese_Taiwan_Stroke_CI_AS",
        &[
            (0xFA40, "\u{E000}"),
            (0xFEFE, "\u{E310}"),
            (0x8E40, "\u{E311}"),
            (0xA0FE, "\u{EEB7}"),
            (0x8140, "\u{EEB8}"),
            (0x8DFE, "\u{F6B0}"),
            (0xC6A1, "\u{F6B1}"),
            (0xC8FE, "\u{F848}"),
        ],
    ),
];

/// Lists the pairs that are one character, but for those of 950 that are older than Microsoft's table.
const LIST: &str = r"
import sys
for first in range(0x81, 0xFF):
    for second in range(0x40, 0xFF):
        pair = bytes([first, second])
        if sys.argv[1] == 'cp950' and 0xC6A1 <= first << 8 | second <= 0xC8FE:
            continue
        try:
            text = pair.decode(sys.argv[1])
        except UnicodeDecodeError:
            continue
        if len(text) == 1:
            print(pair.hex(), text.encode().hex())
";

/// Each pair, and its character as UTF-8, both as hexadecimal digits.
fn pairs(codec: &str) -> Vec<(String, String)> {
    let venv = std::env::var_os("STOPGAP_VENV").unwrap_or_else(|| panic!("run `cargo xtask test`"));
    let output = Command::new(Path::new(&venv).join("bin/python")).args(["-c", LIST, codec]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.split_once(' ').map(|(pair, text)| (pair.to_owned(), text.to_owned())).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_of_bytes_is_the_character_that_windows_has() {
    let source = TestSource::new().await.unwrap();
    let target = TestTarget::on(Engine::Postgres).unwrap();
    let mut expected = Vec::new();
    for (codec, collation, own) in PAGES {
        let mut all = pairs(codec);
        assert!(all.len() > 7_000, "{codec}: {}", all.len());
        let hex = |text: &str| text.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        all.extend(own.iter().map(|(pair, text)| (format!("{pair:04x}"), hex(text))));
        let mut script = format!(
            "CREATE TABLE dbo.{codec} (pair char(4) NOT NULL PRIMARY KEY, c varchar(2) COLLATE {collation} NOT NULL)"
        );
        for some in all.chunks(500) {
            let rows: Vec<String> = some.iter().map(|(pair, _)| format!("('{pair}', 0x{pair})")).collect();
            write!(script, ";\nGO\nINSERT INTO dbo.{codec} (pair, c) VALUES {}", rows.join(", ")).unwrap();
        }
        source.run(&script).await.unwrap();
        all.sort();
        expected.push((codec, all));
    }
    Job::new(&source, &target)
        .unwrap()
        .sections("[tables]\ninclude = [\"dbo.*\"]")
        .run()
        .unwrap()
        .expect_code(0)
        .unwrap();
    for (codec, all) in expected {
        let found = target
            .rows(&format!(
                "SELECT pair, encode(convert_to(c, 'UTF8'), 'hex') FROM {codec} ORDER BY pair COLLATE \"C\""
            ))
            .unwrap();
        assert_eq!(found.len(), all.len(), "{codec}");
        let wrong: Vec<String> = found
            .iter()
            .zip(&all)
            .filter(|(found, (pair, text))| **found != format!("{pair}|{text}"))
            .map(|(found, (_, text))| format!("{found} instead of {text}"))
            .collect();
        assert!(wrong.is_empty(), "{codec}: {} differ: {:?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    }
}
