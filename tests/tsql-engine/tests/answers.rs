//! Answers that are SQL Server's by default, and those of other servers where a test chooses them.
#![allow(clippy::expect_used, reason = "a test that cannot be prepared has failed")]

mod support;

use support::{server, session, text};
use tsql_engine::{Answers, UnicodeBytes};

const NVARCHAR: &str = "CAST(N'aü' AS varbinary(8000))";
const MONEY: &str = "CAST(CAST(922337203685477.5807 AS money) AS decimal(19,4))";

#[test]
fn casts_are_answered_as_documented_unless_a_test_says_otherwise() {
    let instance = server();
    instance
        .run_script(
            "shop",
            "CREATE TABLE t (n nvarchar(20), m money); INSERT INTO t VALUES (N'aü', 922337203685477.5807)",
        )
        .expect("the script runs on SQL Server, too");
    let mut session = session(&instance);
    let columns = |expression: &str, column: &str, literal: &str| expression.replace(literal, column);
    let stored = columns(NVARCHAR, "n", "N'aü'");
    let paid = columns(MONEY, "m", "CAST(922337203685477.5807 AS money)");
    let cases = [
        (Answers::default(), "6100FC00", "922337203685477.5807"),
        (Answers { unicode_bytes: UnicodeBytes::CodePage1252, ..Answers::default() }, "61FC", "922337203685477.5807"),
        (Answers { unicode_bytes: UnicodeBytes::Utf8, ..Answers::default() }, "61C3BC", "922337203685477.5807"),
        (Answers { money_as_double: true, ..Answers::default() }, "6100FC00", "922337203685477.6250"),
    ];
    for (answers, bytes, money) in cases {
        session.set_answers(answers);
        for expression in [NVARCHAR.to_owned(), format!("(SELECT {stored} FROM t)")] {
            let shown = text(&mut session, &format!("CONVERT(varchar(40), {expression}, 2)"));
            assert_eq!(shown, bytes, "{answers:?}: {expression}");
        }
        for expression in [MONEY.to_owned(), format!("(SELECT {paid} FROM t)")] {
            assert_eq!(text(&mut session, &expression), money, "{answers:?}: {expression}");
        }
    }
}

/// What the job asks for the stored bytes of CLR types.
#[test]
fn a_path_is_stored_as_the_documentation_shows() {
    let instance = server();
    let mut session = session(&instance);
    for (path, bytes) in [("/", ""), ("/1/", "58"), ("/1/1/", "5AC0"), ("/2/", "68")] {
        let expression = format!("CONVERT(varchar(40), CAST(CAST('{path}' AS hierarchyid) AS varbinary(max)), 2)");
        assert_eq!(text(&mut session, &expression), bytes);
    }
}
