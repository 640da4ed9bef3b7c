//! System-versioned tables, and changes after common table expressions.

mod support;

use support::{error, lines, run, server, session};

const STAFF: &str = "CREATE TABLE staff (id int IDENTITY PRIMARY KEY, pay money NOT NULL, v rowversion,
    s datetime2 GENERATED ALWAYS AS ROW START HIDDEN NOT NULL, e datetime2 GENERATED ALWAYS AS ROW END HIDDEN NOT NULL,
    PERIOD FOR SYSTEM_TIME (s, e))";

#[test]
fn a_change_leaves_the_old_row_in_the_history() {
    let server = server();
    let mut session = session(&server);
    run(&mut session, &format!("{STAFF} WITH (SYSTEM_VERSIONING = ON (HISTORY_TABLE = dbo.staff_was))"));
    run(&mut session, "INSERT INTO staff (pay) VALUES (1), (2), (3)");
    assert_eq!(lines(&mut session, "SELECT COUNT(*) FROM staff_was"), ["0"]);
    run(&mut session, "UPDATE staff SET pay = 20 WHERE id = 2; DELETE FROM staff WHERE id = 3");
    let was = "SELECT id, CAST(pay AS int) FROM staff_was ORDER BY id";
    assert_eq!(lines(&mut session, was), ["2|2", "3|3"]);
    let joined = "SELECT COUNT(*) FROM staff AS n JOIN staff_was AS o ON o.id = n.id AND o.e = n.s AND o.s < o.e";
    assert_eq!(lines(&mut session, joined), ["1"], "one version ends where the next begins");
    assert_eq!(lines(&mut session, "SELECT COUNT(*) FROM staff WHERE e < '9999-12-31'"), ["0"]);
    run(&mut session, "ALTER TABLE staff ADD note varchar(9) NOT NULL DEFAULT 'new'; DELETE FROM staff WHERE id = 1");
    assert_eq!(lines(&mut session, "SELECT id, note FROM staff_was ORDER BY id"), ["1|new", "2|new", "3|new"]);
    run(&mut session, "BEGIN TRANSACTION; DELETE FROM staff; ROLLBACK");
    assert_eq!(lines(&mut session, "SELECT COUNT(*) FROM staff_was"), ["3"], "nothing of a change that was undone");
}

#[test]
fn versioning_is_switched_on_and_off() {
    let server = server();
    let mut session = session(&server);
    run(&mut session, STAFF);
    let kinds = "SELECT temporal_type_desc FROM sys.tables ORDER BY temporal_type_desc";
    assert_eq!(lines(&mut session, kinds), ["NON_TEMPORAL_TABLE"]);
    run(&mut session, "ALTER TABLE dbo.staff SET (SYSTEM_VERSIONING = ON)");
    assert_eq!(lines(&mut session, kinds), ["HISTORY_TABLE", "SYSTEM_VERSIONED_TEMPORAL_TABLE"]);
    let linked = "SELECT h.name FROM sys.tables AS t JOIN sys.tables AS h ON h.object_id = t.history_table_id \
                  WHERE h.name = N'MSSQL_TemporalHistoryFor_' + CAST(t.object_id AS nvarchar(20))";
    assert_eq!(lines(&mut session, linked).len(), 1);
    for (sql, number) in [("DROP TABLE staff", 13552), ("TRUNCATE TABLE staff", 13545)] {
        assert_eq!(error(&mut session, sql), number, "{sql}");
    }
    run(&mut session, "ALTER TABLE staff SET (SYSTEM_VERSIONING = OFF)");
    assert_eq!(lines(&mut session, kinds), ["NON_TEMPORAL_TABLE", "NON_TEMPORAL_TABLE"]);
    run(&mut session, "ALTER TABLE staff DROP PERIOD FOR SYSTEM_TIME; DROP TABLE staff");
}

#[test]
fn what_a_temporal_table_forbids_is_an_error() {
    let server = server();
    let mut session = session(&server);
    run(&mut session, &format!("{STAFF} WITH (SYSTEM_VERSIONING = ON (HISTORY_TABLE = dbo.staff_was))"));
    for (sql, number) in [
        ("UPDATE staff SET s = '2020-01-01'", 13537),
        ("INSERT INTO staff (pay, s) VALUES (1, '2020-01-01')", 13536),
        ("INSERT INTO staff_was (id) VALUES (1)", 13559),
        ("DELETE FROM staff_was", 13560),
        ("UPDATE staff_was SET id = 1", 13561),
        ("SELECT * FROM staff FOR SYSTEM_TIME ALL", 40_000),
        ("CREATE TABLE x (a int PRIMARY KEY, s datetime2 GENERATED ALWAYS AS ROW START NOT NULL)", 13509),
        ("CREATE TABLE x (a int) WITH (SYSTEM_VERSIONING = ON)", 13510),
        (
            &STAFF.replace("PRIMARY KEY", "").replace("staff", "x").replace("e))", "e)) WITH (SYSTEM_VERSIONING = ON)"),
            13553,
        ),
    ] {
        assert_eq!(error(&mut session, sql), number, "{sql}");
    }
}

#[test]
fn changes_follow_common_table_expressions() {
    let server = server();
    let mut session = session(&server);
    run(&mut session, "CREATE TABLE t (a int PRIMARY KEY, b int NULL); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)");
    run(&mut session, "WITH high (n) AS (SELECT a FROM t WHERE a > 1) INSERT INTO t (a, b) SELECT n + 10, n FROM high");
    assert_eq!(lines(&mut session, "SELECT a, b FROM t WHERE a > 10 ORDER BY a"), ["12|2", "13|3"]);
    run(&mut session, "WITH high AS (SELECT a FROM t WHERE a > 10) UPDATE t SET b = 0 WHERE a IN (SELECT a FROM high)");
    assert_eq!(lines(&mut session, "SELECT a FROM t WHERE b = 0 ORDER BY a"), ["12", "13"]);
    run(&mut session, "WITH high AS (SELECT a FROM t WHERE a > 12) DELETE FROM t WHERE a IN (SELECT a FROM high)");
    assert_eq!(lines(&mut session, "SELECT MAX(a) FROM t"), ["12"]);
    assert_eq!(error(&mut session, "WITH t AS (SELECT a FROM t WHERE a = 1) DELETE FROM t"), 40_000);
    assert_eq!(lines(&mut session, "SELECT COUNT(*) FROM t"), ["4"]);
}
