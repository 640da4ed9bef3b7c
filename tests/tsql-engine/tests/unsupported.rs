//! What is not implemented is refused by name: no statement runs with a part of it ignored.
#![allow(clippy::expect_used, reason = "a test that cannot be prepared has failed")]

mod support;

use support::{Collected, error, lines, run, server, session};
use tsql_engine::Session;
use tsql_engine::value::EnvChange;

/// The number of the "not supported" error.
const UNSUPPORTED: u32 = 40_000;

fn prepared() -> (support::Server, Session) {
    let server = server();
    let mut session = session(&server);
    run(
        &mut session,
        "CREATE TABLE t (a int NOT NULL PRIMARY KEY, b int NULL, s varchar(20) NULL);
         CREATE TABLE u (a int IDENTITY, b int NULL, c AS (b + 1), v rowversion);
         INSERT INTO t VALUES (1, 1, 'one'), (2, 1, 'two'), (3, 2, NULL)",
    );
    (server, session)
}

/// Each statement must fail with an error that has the words.
fn all_refused(cases: &[(&str, &str)]) {
    let (_server, mut session) = prepared();
    let mut wrong = Vec::new();
    for (sql, words) in cases {
        match session.batch(sql, &[], &mut Collected::default()) {
            Ok(_) => wrong.push(format!("{sql}: no error")),
            Err(error) if !error.message.to_lowercase().contains(&words.to_lowercase()) => {
                wrong.push(format!("{sql}: {error}"));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(lines(&mut session, "SELECT a FROM t ORDER BY a"), ["1", "2", "3"], "nothing was changed");
}

#[test]
fn clauses_of_queries() {
    all_refused(&[
        ("SELECT a FROM t FOR XML PATH('x')", "FOR XML"),
        ("SELECT a FROM t FOR JSON AUTO", "FOR JSON"),
        ("SELECT a FROM t FOR BROWSE", "FOR BROWSE"),
        ("SELECT b, COUNT(*) FROM t GROUP BY ROLLUP (b)", "rollup"),
        ("SELECT b, COUNT(*) FROM t GROUP BY CUBE (b)", "cube"),
        ("SELECT b, COUNT(*) FROM t GROUP BY GROUPING SETS ((b), ())", "GROUPING SETS"),
        ("SELECT b, COUNT(*) FROM t GROUP BY ALL b", "ALL"),
        ("SELECT b, COUNT(*) FROM t GROUP BY b WITH ROLLUP", "ROLLUP"),
        ("SELECT a FROM t TABLESAMPLE (10 PERCENT)", "TABLESAMPLE"),
        ("SELECT TOP 1 a FROM t ORDER BY a OFFSET 1 ROWS", "TOP can not be used"),
        ("SELECT TOP 1 WITH TIES a FROM t ORDER BY a", "WITH TIES"),
        ("SELECT TOP 50 PERCENT a FROM t", "PERCENT"),
        ("SELECT a INTO v FROM t", "INTO"),
        ("SELECT a FROM t OPTION (TABLE HINT (t, NOLOCK))", "OPTION (TABLE HINT"),
        ("SELECT a FROM t OPTION (MAXRECURSION 5)", "MAXRECURSION"),
        ("SELECT a FROM t WITH (READPAST)", "READPAST"),
        ("SELECT a FROM t WITH (XLOCK)", "XLOCK"),
        ("SELECT a FROM t FOR SYSTEM_TIME AS OF '2024-01-01'", "SYSTEM_TIME"),
        ("SELECT STRING_AGG(s, ',') WITHIN GROUP (ORDER BY a) FROM t", "WITHIN GROUP"),
        ("SELECT COUNT(s) OVER () FROM t", "COUNT(…) OVER"),
        ("SELECT COUNT(*) OVER (ORDER BY a ROWS UNBOUNDED PRECEDING) FROM t", "ROWS"),
        ("SELECT TRIM('x' FROM s) FROM t", "TRIM"),
        ("SELECT (SELECT a FROM t)", "more than 1 value"),
        ("SELECT (SELECT a, b FROM t WHERE a = 1)", "Only one expression"),
        ("SELECT a FROM t WHERE a IN (SELECT a, b FROM t)", "Only one expression"),
    ]);
}

#[test]
fn clauses_of_changes() {
    all_refused(&[
        ("UPDATE TOP (1) t SET b = 9", "UPDATE TOP"),
        ("DELETE TOP (1) FROM t", "DELETE TOP"),
        ("INSERT TOP (1) INTO t SELECT 7, 7, 'x'", "INSERT TOP"),
        ("UPDATE t SET b = 9 OUTPUT inserted.a WHERE a = 1", "OUTPUT"),
        ("DELETE FROM t OUTPUT deleted.a WHERE a = 1", "OUTPUT"),
        ("INSERT INTO t OUTPUT inserted.a VALUES (7, 7, 'x')", "OUTPUT"),
        ("UPDATE t SET b = u.b FROM t JOIN u ON u.a = t.a", "FROM"),
        ("DELETE t FROM t JOIN u ON u.a = t.a", "FROM"),
        ("DELETE FROM t FROM t JOIN u ON u.a = t.a", "FROM"),
        ("UPDATE t WITH (READPAST) SET b = 9", "READPAST"),
        ("INSERT INTO t DEFAULT VALUES", "DEFAULT VALUES"),
        ("MERGE t USING u ON t.a = u.a WHEN MATCHED THEN DELETE;", "MERGE"),
        ("UPDATE u SET a = 5", "Cannot update identity column 'a'"),
        ("UPDATE u SET c = 5", "cannot be modified"),
        ("UPDATE u SET v = 5", "timestamp"),
        ("INSERT INTO u (c) VALUES (5)", "cannot be modified"),
        ("INSERT INTO u (v) VALUES (5)", "timestamp"),
    ]);
}

#[test]
fn options_of_definitions() {
    all_refused(&[
        ("ALTER DATABASE shop SET RECOVERY SIMPLE", "RECOVERY"),
        ("ALTER DATABASE shop SET READ_ONLY", "READ_ONLY"),
        ("ALTER DATABASE shop SET CHANGE_TRACKING ON", "syntax"),
        ("ALTER DATABASE shop COLLATE Latin1_General_BIN", "COLLATE"),
        ("CREATE DATABASE x COLLATE Latin1_General_BIN", "Latin1_General_BIN"),
        ("CREATE TABLE x (a int) WITH (DATA_COMPRESSION = PAGE)", "DATA_COMPRESSION"),
        ("CREATE TABLE x (a int) WITH (LEDGER = ON)", "LEDGER"),
        ("CREATE TABLE x (a int) ON scheme(a)", "partition scheme"),
        ("CREATE TABLE x (a int) WITH (SYSTEM_VERSIONING = ON)", "SYSTEM_TIME period is not defined"),
        ("CREATE UNIQUE INDEX i ON t (s) WITH (IGNORE_DUP_KEY = ON)", "IGNORE_DUP_KEY"),
        ("CREATE INDEX i ON t (s) WITH (DROP_EXISTING = ON)", "DROP_EXISTING"),
        ("CREATE VIEW x WITH ENCRYPTION AS SELECT a FROM t", "ENCRYPTION"),
        ("ALTER TABLE t WITH NOCHECK ADD CHECK (a > 5)", "NOCHECK"),
        ("CREATE LOGIN x WITH PASSWORD = 'p', DEFAULT_DATABASE = shop", "DEFAULT_DATABASE"),
        ("CREATE SCHEMA x AUTHORIZATION someone", "AUTHORIZATION"),
    ]);
}

#[test]
fn settings_that_would_be_ignored() {
    all_refused(&[
        ("SET DATEFORMAT dmy", "SET DATEFORMAT dmy"),
        ("SET DATEFIRST 1", "SET DATEFIRST 1"),
        ("SET LANGUAGE Deutsch", "SET LANGUAGE Deutsch"),
        ("SET ANSI_NULLS OFF", "SET ANSI_NULLS OFF"),
        ("SET ANSI_DEFAULTS ON", "SET ANSI_DEFAULTS"),
        ("SET CONCAT_NULL_YIELDS_NULL OFF", "SET CONCAT_NULL_YIELDS_NULL OFF"),
        ("SET QUOTED_IDENTIFIER OFF", "SET QUOTED_IDENTIFIER OFF"),
        ("SET IMPLICIT_TRANSACTIONS ON", "SET IMPLICIT_TRANSACTIONS ON"),
        ("SET STATISTICS IO ON", "SET"),
        ("SET NOEXEC ON", "SET NOEXEC ON"),
        ("SET NOCOUNT MAYBE", "SET NOCOUNT MAYBE"),
    ]);
    let (_server, mut session) = prepared();
    run(&mut session, "SET DATEFORMAT mdy; SET DATEFIRST 7; SET ANSI_NULLS, QUOTED_IDENTIFIER ON; SET ARITHABORT OFF");
}

#[test]
fn hints_and_options_without_effect_are_taken() {
    let (_server, mut session) = prepared();
    let hinted =
        "SELECT a FROM t WITH (NOLOCK, INDEX(1)) WHERE a = 1 OPTION (MAXDOP 1, RECOMPILE, OPTIMIZE FOR UNKNOWN)";
    assert_eq!(lines(&mut session, hinted), ["1"]);
    run(
        &mut session,
        "CREATE TABLE x (a int, CONSTRAINT pk_x PRIMARY KEY CLUSTERED (a ASC) WITH (PAD_INDEX = OFF, IGNORE_DUP_KEY = OFF, \
         FILLFACTOR = 80) ON [PRIMARY]) ON [PRIMARY] WITH (DATA_COMPRESSION = NONE); \
         ALTER DATABASE shop SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE",
    );
}

#[test]
fn xact_abort_ends_the_transaction_with_the_statement() {
    let (_server, mut session) = prepared();
    let broken = "BEGIN TRANSACTION; DELETE FROM t; SELECT 1 / 0";
    assert_eq!(error(&mut session, &format!("SET XACT_ABORT OFF; {broken}")), 8134);
    assert_eq!(lines(&mut session, "SELECT @@TRANCOUNT"), ["1"]);
    run(&mut session, "ROLLBACK");
    let mut out = Collected::default();
    let failed = session.batch(&format!("SET XACT_ABORT ON; {broken}"), &[], &mut out);
    assert_eq!(failed.expect_err("a division by zero").number, 8134);
    assert!(matches!(out.changes.last(), Some(EnvChange::RollbackTransaction(_))), "{:?}", out.changes);
    assert_eq!(lines(&mut session, "SELECT @@TRANCOUNT, (SELECT COUNT(*) FROM t)"), ["0|3"]);
}

#[test]
fn unknown_statements_are_named() {
    let (_server, mut session) = prepared();
    for sql in ["BACKUP DATABASE shop TO DISK = 'x'", "KILL 52", "DBCC CHECKDB", "EXEC sp_who"] {
        assert_eq!(error(&mut session, sql), UNSUPPORTED, "{sql}");
    }
}

#[test]
fn characters_of_windows_own() {
    let (_server, mut session) = prepared();
    run(
        &mut session,
        "CREATE TABLE p (c varchar(2) COLLATE Chinese_Taiwan_Stroke_CI_AS); INSERT INTO p VALUES (0xFA40)",
    );
    for sql in ["SELECT CAST(c AS nvarchar(2)) FROM p", "INSERT INTO p VALUES (N'①')"] {
        assert_eq!(error(&mut session, sql), 40_002, "{sql}");
    }
    assert_eq!(lines(&mut session, "SELECT CAST(c AS varbinary(2)) FROM p"), ["[FA, 40]"]);
}
