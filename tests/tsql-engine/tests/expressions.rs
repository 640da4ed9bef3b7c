//! What expressions return: values and types.

mod support;

use support::{lines, run, server, session, show, text, value};
use tsql_engine::value::{SqlType, Value};

#[test]
fn expressions_have_sql_servers_results() {
    let instance = server();
    let mut session = session(&instance);
    let cases = [
        ("7 / 2", "3"),
        ("-7 % 3", "-1"),
        ("1 + 2 * 3", "7"),
        ("CAST(10 AS decimal(10,2)) / 4", "2.5000000000000"),
        ("CAST('1.005' AS decimal(10,2))", "1.01"),
        ("CAST(-1.005 AS decimal(10,2))", "-1.01"),
        ("CAST(CAST('12.3456' AS money) AS varchar(20))", "12.35"),
        ("CONVERT(varchar(20), CAST('12.3456' AS money), 2)", "12.3456"),
        ("CONVERT(varchar(20), -$0.00015 + $1, 2)", "0.9998"),
        ("CONVERT(varchar(40), CAST('2024-02-29T23:59:59.998' AS datetime), 121)", "2024-02-29 23:59:59.997"),
        ("CONVERT(varchar(40), CAST('2024-02-29T23:59:59.999' AS datetime), 121)", "2024-03-01 00:00:00.000"),
        ("CAST(CAST('2024-02-29T12:34:56.7891239' AS datetime2(3)) AS varchar(40))", "2024-02-29 12:34:56.789"),
        ("CAST(CAST('2024-02-29 12:34:30' AS smalldatetime) AS datetime2(0))", "2024-02-29 12:35:00"),
        ("CAST('2024-01-01T00:00:00+05:30' AS datetimeoffset(0))", "2024-01-01 00:00:00 +05:30"),
        ("DATEPART(tzoffset, CAST('2024-01-01T00:00:00-03:30' AS datetimeoffset))", "-210"),
        ("DATEADD(month, 1, CAST('2024-01-31' AS date))", "2024-02-29"),
        ("DATEDIFF(day, CAST('2024-02-28' AS date), CAST('2024-03-01' AS date))", "2"),
        ("DATEFROMPARTS(2024, 2, 29)", "2024-02-29"),
        ("CONVERT(varchar(20), 0x00FF, 1)", "0x00FF"),
        ("CONVERT(varchar(20), 0x00FF, 2)", "00FF"),
        ("LEN('ab  ')", "2"),
        ("DATALENGTH(N'ab  ')", "8"),
        ("DATALENGTH(CAST('ab' AS char(5)))", "5"),
        ("SUBSTRING('abcdef', 2, 3)", "bcd"),
        ("LEFT('abc', 2) + RIGHT('abc', 1)", "abc"),
        ("REPLICATE('ab', 3)", "ababab"),
        ("REPLACE('aXbX', 'X', '-')", "a-b-"),
        ("UPPER('abc') + LOWER('DEF')", "ABCdef"),
        ("LTRIM('  a') + RTRIM('b  ') + 'c'", "abc"),
        ("CONCAT('a', NULL, 1)", "a1"),
        ("CHARINDEX('c', 'abcabc')", "3"),
        ("CHAR(65) + NCHAR(8364)", "A€"),
        ("COALESCE(NULL, NULL, 3)", "3"),
        ("ISNULL(NULL, 'x')", "x"),
        ("NULLIF(1, 1)", "NULL"),
        ("IIF(1 < 2, 'y', 'n')", "y"),
        ("CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END", "b"),
        ("CASE WHEN NULL = NULL THEN 1 ELSE 0 END", "0"),
        ("CASE WHEN 'a' = 'A  ' THEN 1 ELSE 0 END", "1"),
        ("CASE WHEN 'a' = 'A' COLLATE Latin1_General_BIN2 THEN 1 ELSE 0 END", "0"),
        ("CASE WHEN 'abc' LIKE 'a_[a-d]' THEN 1 ELSE 0 END", "1"),
        ("CASE WHEN 2 NOT IN (1, 3) AND 2 BETWEEN 1 AND 3 THEN 1 ELSE 0 END", "1"),
        ("ABS(-3)", "3"),
        ("FLOOR(-1.5)", "-2"),
        ("ROUND(1.25, 1)", "1.30"),
        ("CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier)", "6F9619FF-8B86-D011-B42D-00C04FC964FF"),
        ("CAST(CAST(1 AS bit) AS varchar(5))", "1"),
        ("CAST(9223372036854775807 AS bigint)", "9223372036854775807"),
    ];
    let mut wrong = Vec::new();
    for (expression, expected) in cases {
        let mut out = support::Collected::default();
        let found = match session.batch(&format!("SELECT CAST({expression} AS nvarchar(4000))"), &[], &mut out) {
            Ok(_) => show(&out.rows[0][0]),
            Err(error) => error.to_string(),
        };
        if found != expected {
            wrong.push(format!("{expression}: {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn text_becomes_the_bytes_of_its_encoding() {
    let instance = server();
    let mut session = session(&instance);
    assert_eq!(
        value(&mut session, "SELECT CAST(N'A€' AS varbinary(max))"),
        Value::Binary(vec![0x41, 0, 0xAC, 0x20].into())
    );
    assert_eq!(
        value(&mut session, "SELECT CAST(CAST(N'A€' AS varchar(9)) AS varbinary(9))"),
        Value::Binary(vec![0x41, 0x80].into())
    );
    assert_eq!(
        value(&mut session, "SELECT CAST(NCHAR(55296) AS varbinary(max))"),
        Value::Binary(vec![0x00, 0xD8].into())
    );
}

#[test]
fn result_columns_have_their_types() {
    let instance = server();
    let mut session = session(&instance);
    run(&mut session, "CREATE TABLE t (i int NOT NULL, d decimal(12,3) NULL, s nchar(4) NOT NULL, m money NULL)");
    let found = run(
        &mut session,
        "SELECT i, d, CAST(m AS decimal(19,4)) AS m, CAST(s AS varbinary(8)) AS s, COUNT_BIG(*) AS n FROM t GROUP BY i, d, m, s",
    );
    let types: Vec<_> =
        found.columns.iter().map(|column| (column.name.as_str(), column.nullable, &column.sql_type)).collect();
    assert_eq!(types[0], ("i", false, &SqlType::Int));
    assert_eq!(types[1], ("d", true, &SqlType::Decimal { precision: 12, scale: 3 }));
    assert_eq!(types[2].2, &SqlType::Decimal { precision: 19, scale: 4 });
    assert_eq!(types[3].2, &SqlType::VarBinary { len: tsql_engine::value::Len::N(8) });
    assert_eq!(types[4].2, &SqlType::BigInt);
}

#[test]
fn uniqueidentifiers_order_by_their_last_group_first() {
    let instance = server();
    let mut session = session(&instance);
    run(
        &mut session,
        "CREATE TABLE g (n int, u uniqueidentifier);
         INSERT INTO g VALUES (1, '00000000-0000-0000-0000-000000000002'), (2, 'FFFFFFFF-0000-0000-0000-000000000001'),
                              (3, '01000000-0000-0000-0000-000000000001')",
    );
    assert_eq!(lines(&mut session, "SELECT n FROM g ORDER BY u"), ["3", "2", "1"]);
    let filter =
        "SELECT n FROM g WHERE u >= CAST('FFFFFFFF-0000-0000-0000-000000000001' AS uniqueidentifier) ORDER BY n";
    assert_eq!(lines(&mut session, filter), ["1", "2"]);
}

#[test]
fn variants_tell_their_base_type() {
    let instance = server();
    let mut session = session(&instance);
    let base =
        |what: &str| format!("CAST(SQL_VARIANT_PROPERTY(CAST({what} AS sql_variant), 'BaseType') AS nvarchar(128))");
    assert_eq!(text(&mut session, &base("CAST('2024-01-01' AS datetime)")), "datetime");
    assert_eq!(text(&mut session, &base("CAST(1 AS smallint)")), "smallint");
    assert_eq!(text(&mut session, &base("N'x'")), "nvarchar");
}

#[test]
fn queries_join_group_sort_and_limit() {
    let instance = server();
    let mut session = session(&instance);
    run(
        &mut session,
        "CREATE TABLE a (id int PRIMARY KEY, grp varchar(5)); CREATE TABLE b (a int, v decimal(9,2));
         INSERT INTO a VALUES (1, 'x'), (2, 'x'), (3, 'y'); INSERT INTO b VALUES (1, 1.5), (1, 2), (3, 4)",
    );
    let cases: [(&str, &[&str]); 10] = [
        (
            "SELECT a.id, CAST(SUM(b.v) AS varchar(9)) FROM a LEFT JOIN b ON b.a = a.id GROUP BY a.id ORDER BY a.id",
            &["1|3.50", "2|NULL", "3|4.00"],
        ),
        ("SELECT grp, COUNT(*) FROM a GROUP BY grp HAVING COUNT(*) > 1", &["x|2"]),
        ("SELECT TOP (2) id FROM a ORDER BY id DESC", &["3", "2"]),
        ("SELECT id FROM a ORDER BY id OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY", &["2"]),
        ("SELECT DISTINCT grp FROM a ORDER BY grp", &["x", "y"]),
        ("SELECT id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.a = a.id) ORDER BY id", &["1", "3"]),
        ("SELECT id FROM a WHERE id IN (SELECT a FROM b) ORDER BY id", &["1", "3"]),
        ("SELECT id FROM a WHERE id = 1 UNION ALL SELECT id FROM a WHERE id = 3", &["1", "3"]),
        ("WITH c AS (SELECT id FROM a WHERE id > 1) SELECT MAX(id), MIN(id) FROM c", &["3|2"]),
        (
            "SELECT id FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS stopgap_row FROM a) AS keys WHERE stopgap_row % 2 = 0 ORDER BY stopgap_row",
            &["2"],
        ),
    ];
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        let mut out = support::Collected::default();
        let found = match session.batch(sql, &[], &mut out) {
            Ok(_) => out.rows.iter().map(|row| row.iter().map(show).collect::<Vec<_>>().join("|")).collect(),
            Err(error) => vec![error.to_string()],
        };
        if found != expected {
            wrong.push(format!("{sql}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn set_operations_compare_text_as_its_collation_does() {
    let server = server();
    let mut session = session(&server);
    let (a, b) =
        ("SELECT 'a' AS x UNION ALL SELECT 'b' UNION ALL SELECT NULL", "SELECT 'A ' AS x UNION ALL SELECT NULL");
    for (word, count) in [("UNION", "3"), ("UNION ALL", "5"), ("EXCEPT", "1"), ("INTERSECT", "2")] {
        let sql = format!("SELECT COUNT(*) FROM (SELECT x FROM ({a}) AS p {word} SELECT x FROM ({b}) AS q) AS r");
        assert_eq!(lines(&mut session, &sql), [count], "{word}");
    }
    let exact = "SELECT COUNT(*) FROM (SELECT 'a' COLLATE Latin1_General_BIN2 AS x UNION SELECT 'A' COLLATE Latin1_General_BIN2) AS r";
    assert_eq!(lines(&mut session, exact), ["2"]);
    // A collation that is named wins over the column's, on whichever side it stands.
    for equal in ["t.c = u.c COLLATE Latin1_General_BIN2", "t.c COLLATE Latin1_General_BIN2 = u.c"] {
        let sql = format!(
            "SELECT COUNT(*) FROM (VALUES ('a'), ('B')) AS t (c) JOIN (VALUES ('A'), ('B')) AS u (c) ON {equal}"
        );
        assert_eq!(lines(&mut session, &sql), ["1"], "{equal}");
    }
}
