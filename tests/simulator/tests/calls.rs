//! Procedure calls and resets, byte by byte.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panic")]

mod support;

use support::{Client, Simulator, utf16};

const RPC: u8 = 3;

fn call(client: &mut Client, number: u8, parameters: &[Vec<u8>]) -> Vec<u8> {
    let head = [4, 0, 0, 0, 0xFF, 0xFF, number, 0, 0, 0];
    client.send(RPC, &[&head[..], &parameters.concat()].concat());
    client.message()
}

fn nvarchar(text: &str) -> Vec<u8> {
    let bytes = utf16(text);
    let length = (bytes.len() as u16).to_le_bytes();
    [&[0, 0, 0xE7, 0x40, 0x1F, 9, 4, 0xD0, 0, 52, length[0], length[1]][..], &bytes].concat()
}

fn int(value: i32) -> Vec<u8> {
    [&[0, 0, 0x26, 4, 4][..], &value.to_le_bytes()].concat()
}

/// An output parameter without a value.
fn handle() -> Vec<u8> {
    vec![0, 1, 0x26, 4, 0]
}

/// The one row's int, from the last ROW token with one value.
fn answer(stream: &[u8]) -> i32 {
    let at = stream.windows(2).position(|pair| pair == [0xD1, 4]).expect("a row of one int");
    i32::from_le_bytes(stream[at + 2..at + 6].try_into().unwrap())
}

/// The handle in RETURNVALUE: no name, output, no user type or flags, INTN 4, a value of 4 bytes.
fn returned(stream: &[u8]) -> Option<i32> {
    let head = [0xAC, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x26, 4, 4];
    let at = stream.windows(head.len()).position(|window| window == head)? + head.len();
    Some(i32::from_le_bytes(stream[at..at + 4].try_into().unwrap()))
}

/// The number of the first ERROR.
fn error(stream: &[u8]) -> u32 {
    let at = stream.iter().position(|byte| *byte == 0xAA).expect("an error");
    u32::from_le_bytes(stream[at + 3..at + 7].try_into().unwrap())
}

#[test]
fn prepared_statements_run_until_they_are_forgotten() {
    let mut client = Simulator::start().client();
    let (declared, sql) = (nvarchar("@a int, @b tinyint"), nvarchar("SELECT @a + @b"));
    let prepared = returned(&call(&mut client, 11, &[handle(), declared.clone(), sql.clone(), int(1)])).unwrap();
    assert_eq!(answer(&call(&mut client, 12, &[int(prepared), int(40), int(2)])), 42);
    assert_eq!(answer(&call(&mut client, 12, &[int(prepared), int(1), int(2)])), 3);
    let stream = call(&mut client, 13, &[handle(), declared, sql, int(5), int(6)]);
    assert_eq!(answer(&stream), 11);
    let second = returned(&stream).unwrap();
    assert_ne!(second, prepared);
    call(&mut client, 15, &[int(prepared)]);
    assert_eq!(error(&call(&mut client, 12, &[int(prepared), int(1), int(2)])), 8179);
    assert_eq!(answer(&call(&mut client, 12, &[int(second), int(1), int(1)])), 2);
}

#[test]
fn parameters_are_what_they_are_declared_as() {
    let mut client = Simulator::start().client();
    let stream = call(&mut client, 10, &[nvarchar("SELECT DATALENGTH(@p)"), nvarchar("@p char(7)"), nvarchar("ab")]);
    assert_eq!(answer(&stream), 7, "nvarchar as char(7)");
    let missing = call(&mut client, 10, &[nvarchar("SELECT @p"), nvarchar("@p int")]);
    assert_eq!(error(&missing), 8178);
    let many = call(&mut client, 10, &[nvarchar("SELECT @p"), nvarchar("@p int"), int(1), int(2)]);
    assert_eq!(error(&many), 8144);
    assert_eq!(error(&call(&mut client, 11, &[handle(), nvarchar(""), nvarchar("SELECT FROM"), int(1)])), 102);
    assert_eq!(error(&call(&mut client, 2, &[handle(), nvarchar("SELECT 1")])), 40_000, "sp_cursoropen");
}

#[test]
fn a_reset_takes_the_session_back_to_its_login() {
    let simulator = Simulator::start();
    let mut client = simulator.client();
    client.batch("CREATE TABLE t (a int); USE master; SET LOCK_TIMEOUT 7; BEGIN TRANSACTION");
    client.message();
    let mut batch = 4_u32.to_le_bytes().to_vec();
    batch.extend(utf16("IF DB_NAME() = N'shop' SELECT @@LOCK_TIMEOUT + @@TRANCOUNT"));
    client.send_with(1, 1 | 8, &batch);
    let stream = client.message();
    assert_eq!(stream[..6], [0xE3, 3, 0, 18, 0, 0], "the reset is acknowledged first");
    assert_eq!(answer(&stream), -1);
}

#[test]
fn a_reset_may_keep_the_transaction() {
    let mut client = Simulator::start().client();
    client.batch("BEGIN TRANSACTION; SET LOCK_TIMEOUT 7");
    client.message();
    let mut batch = 4_u32.to_le_bytes().to_vec();
    batch.extend(utf16("SELECT @@LOCK_TIMEOUT + @@TRANCOUNT"));
    client.send_with(1, 1 | 0x10, &batch);
    assert_eq!(answer(&client.message()), 0);
}

#[test]
fn an_error_of_class_20_and_more_ends_the_connection() {
    let simulator = Simulator::start();
    let mut client = simulator.client();
    client.batch("EXEC simulator_fault 'error 823', 'select 1', 0, 1, 0");
    client.message();
    client.batch("SELECT 1");
    assert_eq!(error(&client.message()), 823);
    assert!(client.is_closed());
}

#[test]
fn a_database_goes_back_to_what_was_kept() {
    let simulator = Simulator::start();
    let mut client = simulator.client();
    let mut said = |sql: &str| {
        client.batch(sql);
        client.message()
    };
    said("ALTER DATABASE shop SET CHANGE_TRACKING = ON; CREATE TABLE t (a int NOT NULL PRIMARY KEY)");
    said("ALTER TABLE t ENABLE CHANGE_TRACKING; INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)");
    said("EXEC simulator_backup 'kept'");
    said("INSERT INTO t VALUES (3)");
    said("EXEC simulator_retention_passes");
    let versions = "SELECT CAST(CHANGE_TRACKING_CURRENT_VERSION() * 10 + CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('t')) AS int) FROM t WHERE a = 1";
    assert_eq!(answer(&said(versions)), 33);
    said("EXEC simulator_restore 'kept'");
    assert_eq!(answer(&said(versions)), 20);
    assert_eq!(error(&said("EXEC simulator_restore 'other'")), 3201);
}
