//! Examples and rules of SQL Server's documentation: dates, text under collations, hashes, binary numbers.

mod support;

use support::{error, expect, lines, run, server, server_of, session, value};
use tsql_engine::Version;

#[test]
fn parts_of_moments() {
    let server = server();
    let mut session = session(&server);
    let documented = "'2007-10-30 12:15:32.1234567 +05:10'";
    for moment in [documented.to_owned(), format!("CAST({documented} AS datetimeoffset(7))")] {
        for (part, expected) in [
            ("year", "2007"),
            ("quarter", "4"),
            ("month", "10"),
            ("dayofyear", "303"),
            ("day", "30"),
            ("week", "44"),
            ("weekday", "3"),
            ("hour", "12"),
            ("minute", "15"),
            ("second", "32"),
            ("millisecond", "123"),
            ("microsecond", "123456"),
            ("nanosecond", "123456700"),
            ("tzoffset", "310"),
            ("iso_week", "44"),
        ] {
            expect(&mut session, &[(&format!("DATEPART({part}, {moment})"), expected)]);
        }
    }
    expect(
        &mut session,
        &[
            ("DATEPART(week, CAST('2007-04-21' AS date))", "16"),
            ("DATEPART(weekday, CAST('2007-04-21' AS date))", "7"),
            ("DATEPART(iso_week, CAST('2003-12-29' AS date))", "1"),
            ("DATEPART(iso_week, CAST('2005-01-01' AS date))", "53"),
            ("DATEPART(nanosecond, CAST('00:00:01.1234567' AS time(7)))", "123456700"),
            ("DATEPART(nanosecond, CAST('00:00:01.1234567' AS time(3)))", "123000000"),
            ("DATEPART(hour, CAST('23:59:59' AS time(0)))", "23"),
            ("DATEPART(microsecond, CAST('9999-12-31T23:59:59.999999' AS datetime2(6)))", "999999"),
            // A datetime is shown as .000, .003 and .007, and has 1/300 s, of which DATEPART takes whole milliseconds since 2016.
            ("DATEPART(millisecond, CAST('2024-01-01T00:00:00.004' AS datetime))", "3"),
            ("DATEPART(millisecond, CAST('2024-01-01T00:00:00.006' AS datetime))", "6"),
            ("DATEPART(millisecond, CAST(CAST('2024-01-01T00:00:00.006' AS datetime) AS datetime2(3)))", "7"),
            ("DATEPART(millisecond, CAST('2024-01-01T00:00:00.009' AS datetime))", "10"),
            ("DATEPART(second, CAST('2024-01-01T00:00:59.998' AS datetime))", "59"),
            // smalldatetime has no seconds.
            ("DATEPART(second, CAST('2024-01-01T12:34:31' AS smalldatetime))", "0"),
            ("DATEPART(minute, CAST('2024-01-01T12:34:31' AS smalldatetime))", "35"),
            ("DATEPART(year, 0)", "1900"),
            ("DATEPART(year, '12:10:30.123')", "1900"),
            ("DATEPART(year, CAST('12:10:30.123' AS time))", "Msg 9810"),
            ("DATEPART(hour, CAST('2024-01-01' AS date))", "Msg 9810"),
            ("DATEPART(tzoffset, CAST('2024-01-01' AS datetime))", "Msg 9810"),
            ("DATEPART(tzoffset, CAST('2024-01-01' AS datetime2))", "0"),
        ],
    );
}

#[test]
fn differences_of_dates() {
    let server = server();
    let mut session = session(&server);
    expect(
        &mut session,
        &[
            ("DATEDIFF(day, CAST('0001-01-01' AS date), CAST('9999-12-31' AS date))", "3652058"),
            ("DATEDIFF(day, CAST('9999-12-31' AS datetime2), CAST('0001-01-01' AS date))", "-3652058"),
            ("DATEDIFF(day, '1900-01-01', CAST('1753-01-01' AS datetime))", "-53690"),
            ("DATEDIFF(day, '1900-01-01', CAST('2079-06-06' AS smalldatetime))", "65535"),
            // "DATEDIFF": a boundary that is crossed counts, however near it was.
            ("DATEDIFF(year, '2005-12-31 23:59:59.9999999', '2006-01-01 00:00:00.0000000')", "1"),
            ("DATEDIFF(microsecond, '2005-12-31 23:59:59.9999999', '2006-01-01 00:00:00.0000000')", "1"),
            ("DATEDIFF(nanosecond, '2005-12-31 23:59:59.9999999', '2006-01-01 00:00:00.0000000')", "100"),
            ("DATEDIFF(second, '1900-01-01', '2024-01-01')", "Msg 535"),
            ("DATEDIFF_BIG(second, '1900-01-01', '2024-01-01')", "3913056000"),
            ("DATEDIFF_BIG(nanosecond, CAST('0001-01-01' AS date), CAST('9999-12-31' AS date))", "Msg 535"),
            ("DATEDIFF(tzoffset, '1900-01-01', '2024-01-01')", "Msg 9806"),
            // Both are 2024-01-01 in their own zone, and a day apart in UTC, in which they are stored.
            (
                "DATEDIFF(day, CAST('2024-01-01T01:00:00+02:00' AS datetimeoffset), CAST('2024-01-01T01:00:00+00:00' AS datetimeoffset))",
                "1",
            ),
        ],
    );
}

#[test]
fn offsets_are_switched() {
    let server = server();
    let mut session = session(&server);
    expect(
        &mut session,
        &[
            // The example of "SWITCHOFFSET".
            (
                "SWITCHOFFSET(CAST('1998-09-20 7:45:50.71345 -5:00' AS datetimeoffset), '-08:00')",
                "1998-09-20 04:45:50.7134500 -08:00",
            ),
            ("SWITCHOFFSET(CAST('2024-01-01T00:30:00+01:00' AS datetimeoffset(0)), 0)", "2023-12-31 23:30:00 +00:00"),
            ("CONVERT(datetime2(0), CAST('2008-08-27 11:44:55 -07:00' AS datetimeoffset), 1)", "2008-08-27 18:44:55"),
            ("CONVERT(datetime2(0), CAST('2008-08-27 11:44:55 -07:00' AS datetimeoffset))", "2008-08-27 11:44:55"),
            (
                "CONVERT(varchar(30), CONVERT(datetime, CAST('2008-08-27 11:44:55 -07:00' AS datetimeoffset), 1), 121)",
                "2008-08-27 18:44:55.000",
            ),
            ("SWITCHOFFSET(CAST('2024-01-01' AS datetimeoffset), '14:30')", "Msg 9812"),
            ("SWITCHOFFSET(CAST('2024-01-01' AS datetimeoffset), 841)", "Msg 9812"),
            ("SWITCHOFFSET(CAST('0001-01-01' AS datetimeoffset), '-01:00')", "Msg 9813"),
            ("SWITCHOFFSET(CAST('9999-12-31T23:30:00' AS datetimeoffset), '+01:00')", "Msg 9813"),
        ],
    );
}

#[test]
fn a_datetime_keeps_its_thirds_from_2016_on() {
    let cast = "CAST(CAST('2016-10-23T10:10:10.123' AS datetime) AS datetime2(7))";
    for (version, text, nanoseconds) in [
        (Version::V2014, "2016-10-23 10:10:10.1230000", "123000000"),
        (Version::V2016, "2016-10-23 10:10:10.1233333", "123333300"),
    ] {
        let server = server_of(version);
        let mut session = session(&server);
        expect(
            &mut session,
            &[(cast, text), ("DATEPART(ns, CAST('2016-10-23T10:10:10.123' AS datetime))", nanoseconds)],
        );
        run(
            &mut session,
            "CREATE TABLE t (d datetime2(7)); INSERT INTO t SELECT CAST('2016-10-23T10:10:10.123' AS datetime)",
        );
        assert_eq!(lines(&mut session, "SELECT CAST(d AS varchar(40)) FROM t"), [text]);
    }
}

#[test]
fn characters_count_as_the_collation_says() {
    let server = server();
    let mut session = session(&server);
    let pair = "(CAST(0x3DD800DE AS nvarchar(2)) + N'a ')";
    let (plain, aware) = ("COLLATE Latin1_General_100_CI_AS", "COLLATE Latin1_General_100_CI_AS_SC");
    let cases = [
        ("LEN('Test of 22 characters ')".to_owned(), "21"),
        ("DATALENGTH('Test of 22 characters ')".to_owned(), "22"),
        ("LEN(N'Test of 22 characters ')".to_owned(), "21"),
        ("DATALENGTH(N'Test of 22 characters ')".to_owned(), "44"),
        (format!("LEN({pair} {plain})"), "3"),
        (format!("LEN({pair} {aware})"), "2"),
        (format!("LEN({pair} {aware} + N'x') - 1"), "3"),
        (format!("DATALENGTH({pair} {aware})"), "8"),
        (format!("UNICODE({pair} {plain})"), "55357"),
        (format!("UNICODE({pair} {aware})"), "128512"),
        (format!("UNICODE(SUBSTRING({pair} {plain}, 2, 1))"), "56832"),
        (format!("UNICODE(SUBSTRING({pair} {aware}, 2, 1))"), "97"),
        (format!("DATALENGTH(LEFT({pair} {plain}, 1))"), "2"),
        (format!("DATALENGTH(LEFT({pair} {aware}, 1))"), "4"),
        (format!("DATALENGTH(RIGHT({pair} {aware}, 3))"), "8"),
        // A lone surrogate is a character of its own.
        (format!("LEN((NCHAR(55357) + N'a') {aware})"), "2"),
        // Version 140 needs no _SC.
        (format!("LEN({pair} COLLATE Japanese_XJIS_140_CI_AS)"), "2"),
        ("UNICODE(N'Åkergatan 24')".to_owned(), "197"),
        ("UNICODE(N'')".to_owned(), "NULL"),
        ("UNICODE(CAST(0x80 AS varchar(1)))".to_owned(), "8364"),
        ("UNICODE(CAST(0xC6 AS varchar(1)) COLLATE Latin1_General_BIN2)".to_owned(), "198"),
        ("ASCII(N'€')".to_owned(), "128"),
        ("SUBSTRING('abcdef', 2, 3)".to_owned(), "bcd"),
        ("SUBSTRING('abcdef', 0, 3)".to_owned(), "ab"),
        ("SUBSTRING('abcdef', 9, 3)".to_owned(), ""),
        ("SUBSTRING('abcdef', 2, -1)".to_owned(), "Msg 537"),
        ("LEFT('abc', -1)".to_owned(), "Msg 537"),
        ("RIGHT('abc', -1)".to_owned(), "Msg 536"),
        ("RTRIM('b   ') + '|'".to_owned(), "b|"),
        ("LEN(CAST('x' AS text))".to_owned(), "Msg 8116"),
    ];
    let cases: Vec<(&str, &str)> = cases.iter().map(|(sql, expected)| (sql.as_str(), *expected)).collect();
    expect(&mut session, &cases);
}

#[test]
fn a_character_may_have_several_bytes() {
    let server = server();
    let mut session = session(&server);
    run(
        &mut session,
        "CREATE TABLE t (j varchar(20) COLLATE Japanese_CI_AS, u varchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8);
         INSERT INTO t VALUES (N'日本a ', N'日é' + CAST(0x3DD800DE AS nvarchar(2)) + N' ')",
    );
    let items = "LEN(j), DATALENGTH(j), UNICODE(SUBSTRING(j, 2, 1)), LEN(u), DATALENGTH(u), UNICODE(SUBSTRING(u, 3, 1)), DATALENGTH(LEFT(u, 2)), CHARINDEX('a', j)";
    assert_eq!(lines(&mut session, &format!("SELECT {items} FROM t")), ["3|6|26412|3|10|128512|5|3"]);
    let reversed = value(&mut session, "SELECT CAST(REVERSE(j) AS varbinary(9)) FROM t");
    assert_eq!(
        reversed,
        value(&mut session, "SELECT CAST(CAST(N' a本日' COLLATE Japanese_CI_AS AS varchar(9)) AS varbinary(9))")
    );
    // What the documentation leaves open is refused.
    for text in ["u", "CAST(u AS nvarchar(20))"] {
        let sql = format!("SELECT LEN({text} COLLATE Latin1_General_100_BIN2_UTF8) FROM t");
        assert_eq!(error(&mut session, &sql), 40_000, "{text}");
    }
}

#[test]
fn text_becomes_utf8_under_a_utf8_collation() {
    let server = server();
    let mut session = session(&server);
    run(
        &mut session,
        "CREATE TABLE t (n nvarchar(9), v varchar(9) COLLATE Cyrillic_General_CI_AS, c char(4) COLLATE Latin1_General_CI_AS);
         INSERT INTO t VALUES (N'aé' + CAST(0x3DD800DE AS nvarchar(2)), N'Яя', N'€')",
    );
    for (expression, expected) in [
        ("n", "61C3A9F09F9880"),
        ("v", "D0AFD18F"),
        ("RTRIM(c)", "E282AC"),
        // A lone surrogate has no UTF-8.
        ("SUBSTRING(n, 3, 1)", "EFBFBD"),
    ] {
        for collation in ["Latin1_General_100_BIN2_UTF8", "Latin1_General_100_CI_AS_SC_UTF8"] {
            let sql = format!("CAST(CAST({expression} COLLATE {collation} AS varchar(max)) AS varbinary(max))");
            let found = lines(&mut session, &format!("SELECT CONVERT(varchar(40), {sql}, 2) FROM t"));
            assert_eq!(found, [expected], "{expression} {collation}");
        }
    }
    let hash = "HASHBYTES('SHA2_256', CAST(v COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(max)))";
    let same = format!("SELECT CASE WHEN {hash} = HASHBYTES('SHA2_256', 0xD0AFD18F) THEN 1 ELSE 0 END FROM t");
    assert_eq!(lines(&mut session, &same), ["1"]);
}

#[test]
fn collations_come_with_versions() {
    let utf8_name = "Latin1_General_100_BIN2_UTF8";
    for (version, utf8) in [(Version::V2012, Err(448)), (Version::V2017, Err(448)), (Version::V2019, Ok(()))] {
        let server = server_of(version);
        let mut session = session(&server);
        let page = format!("CAST(COLLATIONPROPERTY('{utf8_name}', 'CodePage') AS int)");
        expect(&mut session, &[(&page, if utf8.is_ok() { "65001" } else { "NULL" })]);
        let cast = "SELECT CAST(N'é' COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(max))";
        let create = "CREATE TABLE t (c varchar(9) COLLATE Latin1_General_100_CI_AS_SC_UTF8)";
        for sql in [cast, create] {
            let found = session.batch(sql, &[], &mut support::Collected::default());
            assert_eq!(found.map(drop).map_err(|failure| failure.number), utf8, "{sql} in {}", version.year());
        }
    }
    let server = server();
    let mut session = session(&server);
    for (sql, number) in [
        ("SELECT N'a' COLLATE Klingon_100_CI_AS", 448),
        ("SELECT N'a' COLLATE Latin1_General_CI_AS_SC", 448),
        ("SELECT 1 COLLATE Latin1_General_BIN2", 447),
    ] {
        assert_eq!(error(&mut session, sql), number, "{sql}");
    }
}

#[test]
fn hashes_are_the_standards() {
    let server = server();
    let mut session = session(&server);
    // FIPS 180-4's examples, and UTF-16 for nvarchar.
    for (input, hash) in [
        ("'abc'", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"),
        ("0x616263", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"),
        ("N'abc'", "13E228567E8249FCE53337F25D7970DE3BD68AB2653424C7B8F9FD05E33CAEDF"),
        ("''", "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"),
    ] {
        let sql = format!("CONVERT(varchar(64), HASHBYTES('SHA2_256', {input}), 2)");
        expect(&mut session, &[(&sql, hash)]);
    }
    expect(
        &mut session,
        &[
            ("DATALENGTH(HASHBYTES('sha2_512', 'abc'))", "64"),
            ("HASHBYTES('SHA2_256', CAST(NULL AS varchar(9)))", "NULL"),
            ("HASHBYTES('SHA2_256', 1)", "Msg 8116"),
            ("HASHBYTES('SHA2_256', CAST('x' AS text))", "Msg 8116"),
            ("HASHBYTES('MD5', 'abc')", "Msg 40000"),
            ("CAST(SUBSTRING(HASHBYTES('SHA2_256', 'abc'), 1, 4) AS bigint)", "3128432319"),
            ("CAST(SUBSTRING(HASHBYTES('SHA2_256', 'abc'), 1, 1) AS int)", "186"),
        ],
    );
}

#[test]
fn hashes_of_more_than_8000_bytes_came_with_2016() {
    let input =
        |length: u32| format!("DATALENGTH(HASHBYTES('SHA2_256', REPLICATE(CAST('x' AS varchar(max)), {length})))");
    for (version, long) in [(Version::V2012, "Msg 8152"), (Version::V2014, "Msg 8152"), (Version::V2016, "32")] {
        let server = server_of(version);
        let mut session = session(&server);
        expect(&mut session, &[(&input(8000), "32"), (&input(8001), long)]);
    }
}

#[test]
fn functions_and_catalogs_come_with_versions() {
    for (sql, since, number) in [
        ("SELECT DATEDIFF_BIG(day, '2024-01-01', '2024-01-02')", Version::V2016, 195),
        ("SELECT STRING_AGG(name, ',') FROM sys.tables", Version::V2017, 195),
        ("SELECT TRIM(' a ')", Version::V2017, 195),
        ("SELECT is_masked FROM sys.columns", Version::V2016, 207),
        ("SELECT temporal_type FROM sys.tables", Version::V2016, 207),
        ("SELECT is_memory_optimized FROM sys.tables", Version::V2014, 207),
        ("SELECT name FROM sys.security_policies", Version::V2016, 208),
        ("SELECT CONCAT('a', 1), name FROM sys.columns", Version::V2012, 0),
    ] {
        for version in Version::ALL {
            let server = server_of(version);
            let mut session = session(&server);
            let found = session.batch(sql, &[], &mut support::Collected::default());
            let expected = if version >= since { Ok(()) } else { Err(number) };
            assert_eq!(found.map(drop).map_err(|failure| failure.number), expected, "{sql} in {}", version.year());
        }
    }
    for (version, major, level) in [(Version::V2012, "11", "110"), (Version::V2019, "15", "150")] {
        let server = server_of(version);
        let mut session = session(&server);
        expect(&mut session, &[("SERVERPROPERTY('ProductMajorVersion')", major)]);
        let compatibility = "SELECT CAST(compatibility_level AS varchar(9)) FROM sys.databases WHERE name = 'shop'";
        assert_eq!(lines(&mut session, compatibility), [level]);
        let banner = format!("%SQL Server {}%", version.year());
        let known = format!("CASE WHEN @@VERSION LIKE N'{banner}' THEN 1 ELSE 0 END");
        expect(&mut session, &[(&known, "1")]);
    }
}

#[test]
fn binary_becomes_whole_numbers() {
    let server = server();
    let mut session = session(&server);
    expect(
        &mut session,
        &[
            ("CAST(0xFF AS bigint)", "255"),
            ("CAST(0xFFFFFFFFFFFFFFFF AS bigint)", "-1"),
            ("CAST(CAST(0x00000001 AS binary(4)) AS bigint)", "1"),
            // "binary and varbinary": what is too long loses its left end.
            ("CAST(0x010000000000000002 AS bigint)", "2"),
            ("CAST(SUBSTRING(0x0102030405, 2, 2) AS int)", "515"),
            ("DATALENGTH(SUBSTRING(0x0102030405, 4, 9))", "2"),
            ("CAST(0x01 AS decimal(9,0))", "Msg 8114"),
        ],
    );
}

#[test]
fn numbers_divide_and_wrap_as_documented() {
    let server = server();
    let mut session = session(&server);
    expect(
        &mut session,
        &[
            ("-7 / 2", "-3"),
            ("38 % 5", "3"),
            ("-38 % 5", "-3"),
            ("CAST(-9223372036854775807 AS bigint) % 1000", "-807"),
            ("CAST(12345678901234567890123456789012345678 AS decimal(38,0)) % 97", "44"),
            ("CAST(99999999999999999999999999999999 AS decimal(38,0)) / 3", "33333333333333333333333333333333.000000"),
            ("1 / 0", "Msg 8134"),
            ("1 % 0", "Msg 8134"),
            ("CASE WHEN 1 = 0 THEN 1 / 0 ELSE 5 END", "5"),
            ("ISNULL(CAST(NULL AS varchar(2)), 'abc')", "ab"),
            ("COALESCE(CAST(NULL AS varchar(2)), 'abc')", "abc"),
            ("NULLIF(N'a', N'A')", "NULL"),
            ("NULLIF(N'a' COLLATE Latin1_General_BIN2, N'A')", "a"),
            ("CAST(CAST(1 AS bit) AS decimal(38,0))", "1"),
            ("CAST(CAST(-922337203685477.5808 AS money) AS decimal(38,4))", "-922337203685477.5808"),
            ("CAST(CAST(-5.25 AS decimal(9,2)) AS decimal(38,10))", "-5.2500000000"),
            ("CAST(CAST(-2147483648 AS int) AS decimal(38,37))", "Msg 8115"),
        ],
    );
}

#[test]
fn joined_strings_end_at_their_limit() {
    let server = server();
    let mut session = session(&server);
    expect(
        &mut session,
        &[
            ("LEN(REPLICATE(N'a', 4000) + N'x')", "4000"),
            ("LEN(CAST(REPLICATE(N'a', 4000) AS nvarchar(max)) + N'x')", "4001"),
            ("LEN(REPLICATE('a', 8000) + 'x')", "8000"),
            ("LEN(REPLICATE('a', 8000) + N'x')", "4000"),
        ],
    );
}
