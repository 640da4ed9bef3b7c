//! What the simulator adds to Change Tracking for tests, and who may see changes.
#![allow(clippy::expect_used, reason = "a test that cannot be prepared has failed")]

mod support;

use support::{Collected, error, lines, login, run, server, session};
use tsql_engine::Session;

fn prepared() -> (support::Server, Session) {
    let server = server();
    let mut session = session(&server);
    run(
        &mut session,
        "ALTER DATABASE shop SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON);
         CREATE TABLE t (id int NOT NULL PRIMARY KEY, a int NULL, rv rowversion); ALTER TABLE t ENABLE CHANGE_TRACKING;
         INSERT INTO t (id, a) VALUES (1, 1); INSERT INTO t (id, a) VALUES (2, 2)",
    );
    (server, session)
}

const CHANGES: &str = "SELECT CONCAT(id, SYS_CHANGE_OPERATION) FROM CHANGETABLE(CHANGES t, 0) AS c ORDER BY id";
const VERSIONS: &str =
    "SELECT CONCAT(CHANGE_TRACKING_CURRENT_VERSION(), '|', CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('t')), '|',
                        (SELECT cleanup_version FROM sys.change_tracking_tables))";

#[test]
fn cleanup_removes_what_is_older_than_the_retention_period() {
    let (_server, mut session) = prepared();
    assert_eq!(lines(&mut session, VERSIONS), ["2|0|0"]);
    run(&mut session, "ALTER DATABASE shop SET CHANGE_TRACKING (AUTO_CLEANUP = OFF)");
    session.pass_retention().expect("the cleanup runs");
    assert_eq!(lines(&mut session, CHANGES), ["1I", "2I"], "it is off");
    run(&mut session, "ALTER DATABASE shop SET CHANGE_TRACKING (AUTO_CLEANUP = ON)");
    session.pass_retention().expect("the cleanup runs");
    run(&mut session, "DELETE FROM t WHERE id = 1");
    assert_eq!(lines(&mut session, CHANGES), ["1D"]);
    assert_eq!(lines(&mut session, VERSIONS), ["3|2|2"]);
    assert_eq!(lines(&mut session, "SELECT commit_ts FROM sys.dm_tran_commit_table"), ["3"]);
}

#[test]
fn a_restore_takes_versions_and_rowversions_back() {
    let (server, mut session) = prepared();
    let fork =
        "SELECT CAST(recovery_fork_guid AS varchar(36)) FROM sys.database_recovery_status WHERE database_id = DB_ID()";
    let before = lines(&mut session, fork);
    let state =
        "SELECT CONCAT(CHANGE_TRACKING_CURRENT_VERSION(), '|', CAST(@@DBTS AS bigint), '|', OBJECT_ID('t'), '|',
                 (SELECT COUNT(*) FROM t))";
    let kept = lines(&mut session, state);
    server.back_up("shop", "monday").expect("it is kept");
    run(&mut session, "INSERT INTO t (id, a) VALUES (3, 3); DELETE FROM t WHERE id = 1");
    let mut other = support::session(&server);
    run(&mut other, "BEGIN TRANSACTION");
    assert_eq!(server.restore("shop", "monday").expect_err("it is in use").number, 3101);
    run(&mut other, "ROLLBACK");
    server.restore("shop", "monday").expect("nobody uses it");
    assert_eq!(lines(&mut session, state), kept);
    assert_ne!(lines(&mut session, fork), before);
    run(&mut session, "INSERT INTO t (id, a) VALUES (9, 9)");
    assert_eq!(lines(&mut other, CHANGES), ["1I", "2I", "9I"], "every session goes on with what is there now");
}

#[test]
fn changes_are_for_those_who_may_see_them() {
    let (server, mut session) = prepared();
    run(
        &mut session,
        "CREATE LOGIN reader WITH PASSWORD = 'p', CHECK_POLICY = OFF; CREATE USER reader FOR LOGIN reader; GRANT SELECT ON t TO reader",
    );
    let mut reader = Session::open(server.clone(), &login("reader", "p", "shop")).expect("the login exists");
    let may = "SELECT CONCAT(CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('t')), '|', HAS_PERMS_BY_NAME('dbo.t', 'OBJECT', 'VIEW CHANGE TRACKING'))";
    assert_eq!(lines(&mut reader, may), ["|0"]);
    let failed = reader.batch(CHANGES, &[], &mut Collected::default()).expect_err("it may not");
    assert_eq!(
        (failed.number, failed.message.as_str()),
        (229, "The VIEW CHANGE TRACKING permission was denied on the object 't', database 'shop', schema 'dbo'.")
    );
    run(&mut session, "GRANT VIEW CHANGE TRACKING ON dbo.t TO reader");
    assert_eq!(lines(&mut reader, may), ["0|1"]);
    assert_eq!(lines(&mut reader, CHANGES), ["1I", "2I"]);
    run(&mut session, "REVOKE SELECT ON t FROM reader");
    assert_eq!(error(&mut reader, CHANGES), 229);
}

#[test]
fn a_secondary_has_no_changes() {
    let (_server, mut session) = prepared();
    session.set_quirk("secondary replica", true).expect("it is a quirk");
    assert_eq!(error(&mut session, CHANGES), 22117);
    let updateability = "SELECT CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS varchar(20))";
    assert_eq!(lines(&mut session, updateability), ["READ_ONLY"]);
}

#[test]
fn azure_has_no_recovery_status() {
    let (_server, mut session) = prepared();
    session.set_quirk("engine edition 5", true).expect("it is a quirk");
    assert_eq!(error(&mut session, "SELECT recovery_fork_guid FROM sys.database_recovery_status"), 208);
    let dates = "SELECT COUNT(*) FROM sys.databases d CROSS JOIN sys.tables t WHERE d.create_date <= t.create_date AND d.name = DB_NAME()";
    assert_eq!(lines(&mut session, dates), ["1"]);
}

#[test]
fn a_column_that_is_added_has_rowversions() {
    let (_server, mut session) = prepared();
    run(
        &mut session,
        "CREATE TABLE u (id int NOT NULL PRIMARY KEY); INSERT INTO u VALUES (1), (2); ALTER TABLE u ADD rv rowversion",
    );
    assert_eq!(lines(&mut session, "SELECT COUNT(DISTINCT rv) FROM u"), ["2"]);
}
