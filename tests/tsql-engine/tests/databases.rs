//! Names with their database: what they read and change is that database's, never the session's own.
#![allow(clippy::expect_used, reason = "a test that cannot be prepared has failed")]

mod support;

use support::{error, lines, run, server, session};

fn prepared() -> (support::Server, tsql_engine::Session) {
    let server = server();
    server.create_database("other").expect("a fresh name");
    let script = "CREATE TABLE t (id int IDENTITY CONSTRAINT pk_t PRIMARY KEY, s nvarchar(10) NOT NULL, v rowversion)
GO
CREATE VIEW w AS SELECT s FROM t
GO
INSERT INTO t (s) VALUES (N'other one'), (N'other two')
GO
CREATE TABLE only_there (a int)";
    server.run_script("other", script).expect("the script runs on SQL Server, too");
    let mut session = session(&server);
    run(
        &mut session,
        "CREATE TABLE t (id int IDENTITY CONSTRAINT pk_t PRIMARY KEY, s nvarchar(10) NOT NULL, v rowversion)",
    );
    run(&mut session, "INSERT INTO t (s) VALUES (N'own')");
    (server, session)
}

#[test]
fn a_table_of_another_database_is_read() {
    let (_server, mut session) = prepared();
    assert_eq!(lines(&mut session, "SELECT s FROM other.dbo.t ORDER BY id"), ["other one", "other two"]);
    assert_eq!(lines(&mut session, "SELECT s FROM other..t WHERE id = 2"), ["other two"]);
    assert_eq!(lines(&mut session, "SELECT s FROM SHOP.dbo.t"), ["own"]);
    assert_eq!(lines(&mut session, "SELECT s FROM other.dbo.w ORDER BY s"), ["other one", "other two"]);
    let joined = "SELECT a.s, b.s FROM t AS a JOIN other.dbo.t AS b ON a.id = b.id";
    assert_eq!(lines(&mut session, joined), ["own|other one"]);
    assert_eq!(lines(&mut session, "BEGIN TRAN; SELECT COUNT(*) FROM other.dbo.only_there; COMMIT"), ["0"]);
}

#[test]
fn a_table_of_another_database_is_changed() {
    let (server, mut session) = prepared();
    run(&mut session, "INSERT INTO other.dbo.t (s) VALUES (N'three'); UPDATE other.dbo.t SET s = N'TWO' WHERE id = 2");
    run(&mut session, "DELETE FROM other.dbo.t WHERE id = 1; INSERT INTO t (s) SELECT s FROM other.dbo.t");
    assert_eq!(lines(&mut session, "SELECT id, s FROM other.dbo.t ORDER BY id"), ["2|TWO", "3|three"]);
    assert_eq!(lines(&mut session, "SELECT id, s FROM t ORDER BY id"), ["1|own", "2|TWO", "3|three"]);
    run(&mut session, "BEGIN TRANSACTION; DELETE FROM t; DELETE FROM other.dbo.t; ROLLBACK");
    assert_eq!(lines(&mut session, "SELECT (SELECT COUNT(*) FROM t), (SELECT COUNT(*) FROM other.dbo.t)"), ["3|2"]);
    // The identity setting is about the own database's table of the same id.
    assert_eq!(error(&mut session, "SET IDENTITY_INSERT t ON; INSERT INTO other.dbo.t (id, s) VALUES (9, N'x')"), 544);
    assert_eq!(error(&mut session, "INSERT INTO other.dbo.t (s) VALUES (NULL)"), 515);
    run(&mut session, "CREATE DATABASE still ON (NAME = other, FILENAME = 'x.ss') AS SNAPSHOT OF other");
    assert_eq!(error(&mut session, "DELETE FROM still.dbo.t"), 3906);
    assert_eq!(lines(&mut session, "SELECT COUNT(*) FROM still.dbo.t"), ["2"]);
    drop(server);
}

#[test]
fn the_catalog_of_another_database_is_its_own() {
    let (_server, mut session) = prepared();
    assert_eq!(lines(&mut session, "SELECT name FROM other.sys.tables ORDER BY name"), ["only_there", "t"]);
    assert_eq!(lines(&mut session, "SELECT name FROM sys.tables"), ["t"]);
    let rows = "SELECT p.rows FROM other.sys.partitions AS p JOIN other.sys.tables AS t ON t.object_id = p.object_id \
                WHERE t.name = N't' AND p.index_id < 2";
    assert_eq!(lines(&mut session, rows), ["2"]);
    let ids = "SELECT CASE WHEN OBJECT_ID(N'other.dbo.only_there') IS NULL THEN 0 ELSE 1 END, \
               CASE WHEN OBJECT_ID(N'only_there') IS NULL THEN 0 ELSE 1 END";
    assert_eq!(lines(&mut session, ids), ["1|0"]);
}

#[test]
fn what_is_missing_or_not_done_is_an_error() {
    let (_server, mut session) = prepared();
    for (sql, number) in [
        ("SELECT * FROM nowhere.dbo.t", 911),
        ("SELECT * FROM other.dbo.missing", 208),
        ("DELETE FROM other.dbo.missing", 208),
        ("SELECT * FROM server.other.dbo.t", 40_000),
        ("CREATE TABLE other.dbo.x (a int)", 40_000),
        ("DROP TABLE other.dbo.t", 40_000),
        ("TRUNCATE TABLE other.dbo.t", 40_000),
        ("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION; SELECT * FROM other.dbo.t", 3952),
    ] {
        assert_eq!(error(&mut session, sql), number, "{sql}");
    }
}

#[test]
fn what_a_view_names_is_told_with_its_database() {
    let server = server();
    server.create_database("other").expect("a fresh name");
    server.run_script("other", "CREATE TABLE dbo.far (id int NOT NULL PRIMARY KEY)").expect("the script runs");
    let mut session = session(&server);
    run(&mut session, "CREATE TABLE dbo.near (id int NOT NULL PRIMARY KEY)");
    run(&mut session, "CREATE VIEW dbo.inside AS SELECT n.id FROM near AS n JOIN other.dbo.far AS f ON f.id = n.id");
    run(&mut session, "CREATE VIEW dbo.outside AS WITH own AS (SELECT id FROM dbo.inside) SELECT id FROM own");
    let mut named = |view: &str| {
        let sql = format!(
            "SELECT r.referenced_database_name, r.referenced_schema_name, r.referenced_entity_name, o.name \
             FROM sys.dm_sql_referenced_entities(N'{view}', N'OBJECT') AS r LEFT JOIN sys.objects AS o \
             ON o.object_id = r.referenced_id AND r.referenced_database_name IS NULL \
             WHERE r.referenced_minor_id = 0 ORDER BY r.referenced_entity_name"
        );
        lines(&mut session, &sql)
    };
    assert_eq!(named("[dbo].[inside]"), ["other|dbo|far|NULL", "NULL|NULL|near|near"]);
    assert_eq!(named("dbo.outside"), ["NULL|dbo|inside|inside"]);
    assert_eq!(named("dbo.near"), Vec::<String>::new());
    assert_eq!(named("dbo.missing"), Vec::<String>::new());
}
