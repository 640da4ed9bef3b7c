//! A client that cancels: the stream stays whole to its last byte, and the session goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panic")]

mod support;

use std::time::{Duration, Instant};

use support::{ATTENTION, Simulator};

/// Counts rows of the one result set and returns the DONE that ends the stream.
fn rows_and_end(stream: &[u8]) -> (usize, Vec<u8>) {
    assert_eq!(stream[0], 0x81, "column metadata comes first");
    let mut at = 3;
    for _ in 0..u16::from_le_bytes([stream[1], stream[2]]) {
        assert_eq!(stream[at + 6], 0x26, "the query has integers only");
        at += 8;
        at += 1 + usize::from(stream[at]) * 2;
    }
    let columns = u16::from_le_bytes([stream[1], stream[2]]);
    let mut rows = 0;
    while stream[at] == 0xD1 {
        at += 1;
        for _ in 0..columns {
            at += 1 + usize::from(stream[at]);
        }
        rows += 1;
    }
    (rows, stream[at..].to_vec())
}

/// How the response of an interrupted statement ends (DONE with status 0x02).
const INTERRUPTED: [u8; 3] = [0xFD, 0x02, 0];
/// The acknowledgement of an attention (DONE with status 0x20), in a message of its own.
const ACKNOWLEDGED: [u8; 3] = [0xFD, 0x20, 0];

#[test]
fn a_cancelled_statement_ends_between_two_rows() {
    let simulator = Simulator::start();
    simulator.instance.attach_tpch("shop", 0.05).unwrap();
    let mut client = simulator.client();
    client.batch("SELECT l_orderkey, l_linenumber FROM dbo.lineitem");
    let (mut stream, last) = client.packet();
    assert!(!last);
    client.send(ATTENTION, &[]);
    stream.extend(client.message());
    let (rows, end) = rows_and_end(&stream);
    assert!((1..300_000).contains(&rows), "{rows} rows: the statement was not stopped");
    assert_eq!(end[..3], INTERRUPTED, "the end stands right after the last row: {end:02x?}");
    assert_eq!(end.len(), 13);
    let acknowledgement = client.message();
    assert_eq!((&acknowledgement[..3], acknowledgement.len()), (&ACKNOWLEDGED[..], 13));

    client.batch("SELECT 7");
    let (rows, _) = rows_and_end(&client.message());
    assert_eq!(rows, 1, "the session goes on");
}

/// Sends a statement and, a moment later, an attention; the statement's answer, and how long it and the acknowledgement took to come.
fn cancelled(client: &mut support::Client, sql: &str) -> (Vec<u8>, Duration) {
    client.batch(sql);
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    client.send(ATTENTION, &[]);
    let answer = client.message();
    let acknowledgement = client.message();
    // A transaction's end may precede it.
    assert_eq!(acknowledgement[acknowledgement.len() - 13..][..3], ACKNOWLEDGED);
    (answer, start.elapsed())
}

#[test]
fn waitfor_ends_at_once() {
    let mut client = Simulator::start().client();
    let (stream, took) = cancelled(&mut client, "WAITFOR DELAY '00:00:30'; SELECT 1");
    assert_eq!(stream[..3], INTERRUPTED);
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    client.batch("SELECT 7");
    assert_eq!(rows_and_end(&client.message()).0, 1, "the session goes on");
}

/// A table of the numbers to 300.
fn numbers(client: &mut support::Client) {
    client.batch(
        "CREATE TABLE n (a int NOT NULL PRIMARY KEY); DECLARE @i int = 0; \
         WHILE @i < 300 BEGIN SET @i = @i + 1; INSERT INTO n VALUES (@i) END",
    );
    client.message();
}

#[test]
fn a_statement_without_rows_and_a_loop_end_at_once() {
    let mut client = Simulator::start().client();
    numbers(&mut client);
    // 300 to the fourth power.
    let sql =
        "SELECT COUNT_BIG(*) FROM n a CROSS JOIN n b CROSS JOIN n c CROSS JOIN n d WHERE a.a + b.a + c.a + d.a = 0";
    let (stream, took) = cancelled(&mut client, sql);
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    let (rows, end) = rows_and_end(&stream);
    assert_eq!((rows, &end[..3]), (0, &INTERRUPTED[..]));
    let (stream, took) = cancelled(&mut client, "DECLARE @i int = 0; WHILE 1 = 1 SET @i = @i + 1 - 1");
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    assert_eq!(stream[..3], INTERRUPTED);
}

#[test]
fn rows_that_trickle_end_at_once() {
    let simulator = Simulator::start();
    let mut client = simulator.client();
    numbers(&mut client);
    // Each row takes some milliseconds, and all of them do not fill what is written at once.
    let sql = "SELECT a.a, (SELECT COUNT(*) FROM n b CROSS JOIN n c WHERE b.a + c.a + a.a = 0) FROM n a CROSS JOIN n d";
    let (stream, took) = cancelled(&mut client, sql);
    assert!(took < Duration::from_secs(15), "it took {took:?}");
    let (rows, end) = rows_and_end(&stream);
    assert!(rows < 90_000, "{rows} rows: the statement was not stopped");
    assert_eq!(end[..3], INTERRUPTED);
}

#[test]
fn a_cancelled_statement_ends_the_transaction_under_xact_abort() {
    let mut client = Simulator::start().client();
    client.batch("SET XACT_ABORT ON; BEGIN TRANSACTION");
    client.message();
    cancelled(&mut client, "WAITFOR DELAY '00:00:30'");
    client.batch("IF @@TRANCOUNT = 0 SELECT 1");
    assert_eq!(rows_and_end(&client.message()).0, 1);
}
