//! Several sessions with changes at once: who waits, who loses, and what others see meanwhile.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot be prepared has failed")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::{Collected, error, lines, run, server, session};
use tsql_engine::{Instance, Session};

fn prepared() -> support::Server {
    let server = server();
    run(
        &mut session(&server),
        "ALTER DATABASE shop SET ALLOW_SNAPSHOT_ISOLATION ON; ALTER DATABASE shop SET CHANGE_TRACKING = ON;
         CREATE TABLE t (id int NOT NULL PRIMARY KEY, a int NOT NULL, rv rowversion); ALTER TABLE t ENABLE CHANGE_TRACKING;
         CREATE TABLE k (code varchar(9) NOT NULL PRIMARY KEY, n int IDENTITY NOT NULL);
         INSERT INTO t (id, a) VALUES (1, 1), (2, 2), (3, 3); INSERT INTO k (code) VALUES ('x'), ('y')",
    );
    server
}

/// Runs a batch in a session of its own; what it said, once it has ended.
fn apart(server: &Arc<Instance>, sql: &'static str) -> thread::JoinHandle<Result<(), u32>> {
    let mut own = session(server);
    thread::spawn(move || own.batch(sql, &[], &mut Collected::default()).map(drop).map_err(|failure| failure.number))
}

fn a_moment() {
    thread::sleep(Duration::from_millis(150));
}

#[test]
fn a_waiting_change_goes_on_with_what_was_committed() {
    let server = prepared();
    let mut first = session(&server);
    run(&mut first, "BEGIN TRANSACTION; UPDATE t SET a = 10 WHERE id = 1");
    let waiting = apart(&server, "UPDATE t SET a = a + 5 WHERE id = 1");
    a_moment();
    assert!(!waiting.is_finished(), "it does not wait");
    assert_eq!(lines(&mut session(&server), "SELECT a FROM t WHERE id = 1"), ["1"], "a reader sees what is committed");
    run(&mut first, "COMMIT");
    assert_eq!(waiting.join().expect("it ends"), Ok(()));
    assert_eq!(lines(&mut first, "SELECT a FROM t WHERE id = 1"), ["15"]);
}

#[test]
fn a_key_that_is_about_to_go_is_waited_for() {
    for (end, expected) in [("COMMIT", Ok(())), ("ROLLBACK", Err(2627))] {
        let server = prepared();
        let mut first = session(&server);
        run(&mut first, "BEGIN TRANSACTION; DELETE FROM k WHERE code = 'x'; DELETE FROM t WHERE id = 1");
        let waiting = [
            apart(&server, "INSERT INTO k (code) VALUES ('X')"),
            apart(&server, "INSERT INTO t (id, a) VALUES (1, 9)"),
        ];
        a_moment();
        assert!(waiting.iter().all(|other| !other.is_finished()), "they do not wait");
        run(&mut first, end);
        for other in waiting {
            assert_eq!(other.join().expect("it ends"), expected, "{end}");
        }
    }
}

#[test]
fn one_of_two_that_wait_for_each_other_is_the_victim() {
    let server = prepared();
    let mut first = session(&server);
    run(&mut first, "BEGIN TRANSACTION; UPDATE t SET a = 10 WHERE id = 1");
    let mut second = session(&server);
    run(&mut second, "BEGIN TRANSACTION; UPDATE t SET a = 20 WHERE id = 2");
    let waiting = thread::spawn(move || {
        run(&mut first, "UPDATE t SET a = 12 WHERE id = 2; COMMIT");
    });
    a_moment();
    assert_eq!(error(&mut second, "UPDATE t SET a = 21 WHERE id = 1"), 1205);
    assert_eq!(lines(&mut second, "SELECT @@TRANCOUNT"), ["0"], "its transaction is rolled back");
    waiting.join().expect("the other goes on");
    assert_eq!(lines(&mut second, "SELECT a FROM t ORDER BY id"), ["10", "12", "3"]);
}

#[test]
fn a_session_that_leaves_lets_go() {
    let server = prepared();
    let mut first = session(&server);
    run(&mut first, "BEGIN TRANSACTION; UPDATE t SET a = 10 WHERE id = 1; DELETE FROM t WHERE id = 2");
    drop(first);
    let mut other = session(&server);
    run(&mut other, "SET LOCK_TIMEOUT 0; UPDATE t SET a = a + 1");
    assert_eq!(lines(&mut other, "SELECT a FROM t ORDER BY id"), ["2", "3", "4"]);
    assert_eq!(lines(&mut other, "SELECT CAST(MIN_ACTIVE_ROWVERSION() AS bigint) - CAST(@@DBTS AS bigint)"), ["1"]);
}

#[test]
fn definitions_wait_for_changes() {
    let server = prepared();
    let mut first = session(&server);
    run(&mut first, "BEGIN TRANSACTION; UPDATE t SET a = 10 WHERE id = 1");
    let mut other = session(&server);
    run(&mut other, "SET LOCK_TIMEOUT 50");
    for sql in ["TRUNCATE TABLE t", "ALTER TABLE t ADD b int", "DROP TABLE t", "ALTER TABLE t DISABLE CHANGE_TRACKING"]
    {
        assert_eq!(error(&mut other, sql), 1222, "{sql}");
    }
    run(&mut other, "ALTER TABLE k ADD b int");
    run(&mut first, "COMMIT");
    run(&mut other, "ALTER TABLE t ADD b int; TRUNCATE TABLE t");
}

#[test]
fn a_transaction_with_definitions_goes_back_as_a_whole() {
    let server = prepared();
    let mut first = session(&server);
    run(
        &mut first,
        "BEGIN TRANSACTION; UPDATE t SET a = 10 WHERE id = 1; TRUNCATE TABLE k; ALTER TABLE t ADD b int NULL;
         UPDATE t SET b = 7 WHERE id = 2",
    );
    assert_eq!(lines(&mut first, "SELECT CONCAT(id, a, b) FROM t ORDER BY id"), ["110", "227", "33"]);
    run(&mut first, "ROLLBACK");
    assert_eq!(
        lines(&mut first, "SELECT CONCAT(id, a, (SELECT COUNT(*) FROM k)) FROM t ORDER BY id"),
        ["112", "222", "332"]
    );
    assert_eq!(error(&mut first, "SELECT b FROM t"), 207);
}

#[test]
fn identities_are_given_out_once() {
    let server = prepared();
    let (mut first, mut second) = (session(&server), session(&server));
    run(&mut first, "BEGIN TRANSACTION; INSERT INTO k (code) VALUES ('a')");
    run(&mut second, "INSERT INTO k (code) VALUES ('b')");
    run(&mut first, "SET IDENTITY_INSERT k ON; INSERT INTO k (code, n) VALUES ('c', 20); SET IDENTITY_INSERT k OFF");
    run(&mut first, "COMMIT");
    run(&mut second, "INSERT INTO k (code) VALUES ('d')");
    assert_eq!(lines(&mut first, "SELECT CONCAT(code, n) FROM k ORDER BY n"), ["x1", "y2", "a3", "b4", "c20", "d21"]);
    assert_eq!(lines(&mut first, "SELECT CAST(last_value AS int) FROM sys.identity_columns"), ["21"]);
}

/// Transfers between rows, inserts, deletes and keys that move, each in a transaction of several batches.
fn write(mut own: Session, seed: u64) {
    let mut state = seed;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    run(&mut own, "SET LOCK_TIMEOUT 2000");
    let mut try_to = |sql: &str| match own.batch(sql, &[], &mut Collected::default()) {
        Ok(_) => true,
        Err(failure) if [1205, 1222, 2627].contains(&failure.number) => false,
        Err(failure) => panic!("{sql}: {failure}"),
    };
    for _ in 0..25 {
        try_to("BEGIN TRANSACTION");
        let amount = next(9);
        let (from, to) = (next(4), next(4));
        let moved = try_to(&format!(
            "UPDATE t SET a = a - {amount} WHERE id = {from} AND EXISTS (SELECT 1 FROM t WHERE id = {to}); \
             IF @@ROWCOUNT = 1 UPDATE t SET a = a + {amount} WHERE id = {to} ELSE SELECT 1"
        ));
        // Long enough for another to come in between.
        thread::sleep(Duration::from_millis(3));
        let other = match next(4) {
            0 => format!("INSERT INTO t (id, a) VALUES ({}, 0)", 100 + next(20)),
            1 => format!("DELETE FROM t WHERE id = {}", 100 + next(20)),
            2 => format!("UPDATE t SET id = {} WHERE id = {}", 100 + next(20), 100 + next(20)),
            _ => format!("INSERT INTO k (code) VALUES ('{seed}-{}'); DELETE FROM k WHERE n = {}", next(30), next(60)),
        };
        let done = moved && try_to(&other);
        try_to(&format!("IF @@TRANCOUNT > 0 {}", if done && next(5) > 0 { "COMMIT" } else { "ROLLBACK" }));
    }
}

/// Brings a copy of `t` up to date from its changes; the sum over the source at that moment.
fn follow(own: &mut Session, copy: &mut BTreeMap<String, String>, last: &mut String) -> String {
    run(own, "BEGIN TRANSACTION");
    let version = lines(own, "SELECT CHANGE_TRACKING_CURRENT_VERSION()").remove(0);
    let sql = format!("SELECT c.id, t.id, t.a FROM CHANGETABLE(CHANGES t, {last}) AS c LEFT JOIN t ON t.id = c.id");
    for line in lines(own, &sql) {
        let cells: Vec<&str> = line.split('|').collect();
        if cells[1] == "NULL" {
            copy.remove(cells[0]);
        } else {
            copy.insert(cells[0].to_owned(), cells[2].to_owned());
        }
    }
    let sum = lines(own, "SELECT SUM(a) FROM t").remove(0);
    run(own, "COMMIT");
    *last = version;
    sum
}

#[test]
fn a_copy_that_follows_the_changes_is_the_table() {
    let server = prepared();
    let mut own = session(&server);
    run(
        &mut own,
        "DELETE FROM t; INSERT INTO t (id, a) VALUES (0, 100), (1, 100), (2, 100), (3, 100); SET TRANSACTION ISOLATION LEVEL SNAPSHOT",
    );
    let writers: Vec<_> = (1..=4)
        .map(|seed| {
            let own = session(&server);
            thread::spawn(move || write(own, seed))
        })
        .collect();
    let ended = Arc::new(AtomicBool::new(false));
    let (mut copy, mut last) = (BTreeMap::new(), "0".to_owned());
    let watched = Arc::clone(&ended);
    let joined = thread::spawn(move || {
        let fine = writers.into_iter().all(|writer| writer.join().is_ok());
        watched.store(true, Ordering::Release);
        fine
    });
    loop {
        let over = ended.load(Ordering::Acquire);
        let sum = follow(&mut own, &mut copy, &mut last);
        assert_eq!(sum, "400", "an update was lost, or half of a transaction seen");
        if over {
            break;
        }
    }
    assert!(joined.join().expect("it only waits"), "a writer failed");
    let rows: BTreeMap<String, String> = lines(&mut own, "SELECT id, a FROM t")
        .iter()
        .filter_map(|line| line.split_once('|').map(|(id, a)| (id.to_owned(), a.to_owned())))
        .collect();
    assert_eq!(copy, rows);
    let twice = "SELECT COUNT(*) - COUNT(DISTINCT rv) FROM t UNION ALL SELECT COUNT(*) - COUNT(DISTINCT n) FROM k";
    assert_eq!(lines(&mut own, twice), ["0", "0"]);
}
