//! What an aggregate over a column says: sums, extremes and counts, their types and their limits.

mod support;

use support::{Collected, error, lines, run, server, session};
use tsql_engine::Session;
use tsql_engine::value::SqlType;

/// One row of aggregates over table `t`, each as text.
fn row(session: &mut Session, aggregates: &[&str]) -> Vec<String> {
    let items: Vec<String> = aggregates.iter().map(|item| format!("CAST({item} AS varchar(60))")).collect();
    let found = lines(session, &format!("SELECT {} FROM t", items.join(", ")));
    found[0].split('|').map(str::to_owned).collect()
}

fn of_column(session: &mut Session, declaration: &str, values: &str, aggregates: &[&str]) -> Vec<String> {
    run(session, &format!("CREATE TABLE t (c {declaration} NULL); INSERT INTO t VALUES {values}"));
    let found = row(session, aggregates);
    run(session, "DROP TABLE t");
    found
}

#[test]
fn counts_leave_out_nulls() {
    let server = server();
    let mut session = session(&server);
    let counts = ["COUNT_BIG(*)", "COUNT_BIG(c)", "COUNT(c)", "COUNT_BIG(DISTINCT c)", "COUNT_BIG(1)"];
    assert_eq!(of_column(&mut session, "int", "(1), (NULL), (1), (2)", &counts), ["4", "3", "3", "2", "4"]);
    let empty = "CREATE TABLE t (c int NULL)";
    run(&mut session, empty);
    assert_eq!(row(&mut session, &["COUNT_BIG(*)", "SUM(c)", "MIN(c)", "MAX(c)"]), ["0", "NULL", "NULL", "NULL"]);
}

#[test]
fn sums_have_the_documented_types() {
    let server = server();
    let mut session = session(&server);
    run(
        &mut session,
        "CREATE TABLE t (a tinyint, b smallint, c int, d bigint, e decimal(9,3), f smallmoney, g money, h real, i float)",
    );
    let columns: Vec<String> = ('a'..='i').map(|name| format!("SUM({name})")).collect();
    let types: Vec<SqlType> = run(&mut session, &format!("SELECT {} FROM t", columns.join(", ")))
        .columns
        .into_iter()
        .map(|column| column.sql_type)
        .collect();
    let decimal = SqlType::Decimal { precision: 38, scale: 3 };
    assert_eq!(types[..3], [SqlType::Int, SqlType::Int, SqlType::Int]);
    assert_eq!(types[3..], [SqlType::BigInt, decimal, SqlType::Money, SqlType::Money, SqlType::Float, SqlType::Float]);
}

#[test]
fn sums_are_exact_up_to_38_digits_and_fail_beyond() {
    let server = server();
    let mut session = session(&server);
    let nines = "9".repeat(38);
    let most = format!("({nines}), (-{nines}), (-1)");
    assert_eq!(
        of_column(&mut session, "decimal(38,0)", &most, &["SUM(c)", "MIN(c)", "MAX(c)"]),
        ["-1".to_owned(), format!("-{nines}"), nines.clone()]
    );
    let scaled = "(0.0000000001), (9999999999999999999999999999.9999999998), (NULL)";
    assert_eq!(
        of_column(&mut session, "decimal(38,10)", scaled, &["SUM(c)"]),
        ["9999999999999999999999999999.9999999999"]
    );
    // More than a double holds, and more than a bigint.
    let large = "(9223372036854775807), (9223372036854775807), (1)";
    assert_eq!(of_column(&mut session, "bigint", large, &["SUM(CAST(c AS decimal(38,0)))"]), ["18446744073709551615"]);
    for (declaration, values, aggregate) in [
        ("decimal(38,0)", format!("({nines}), (1)"), "SUM(c)"),
        ("int", "(2147483647), (1)".to_owned(), "SUM(c)"),
        ("int", "(-2147483648), (-1)".to_owned(), "SUM(c)"),
        ("bigint", "(9223372036854775807), (1)".to_owned(), "SUM(c)"),
        ("money", "(922337203685477.5807), (0.0001)".to_owned(), "SUM(c)"),
        ("decimal(38,0)", format!("({nines})"), "SUM(CAST(c AS decimal(38,2)))"),
    ] {
        run(&mut session, &format!("CREATE TABLE t (c {declaration}); INSERT INTO t VALUES {values}"));
        assert_eq!(error(&mut session, &format!("SELECT {aggregate} FROM t")), 8115, "{declaration} {aggregate}");
        run(&mut session, "DROP TABLE t");
    }
}

#[test]
fn every_number_sums_as_a_decimal() {
    let server = server();
    let mut session = session(&server);
    for (declaration, values, scale, sum) in [
        ("bit", "(1), (0), (1), (NULL)", 0, "2"),
        ("tinyint", "(255), (255)", 0, "510"),
        ("int", "(2147483647), (2147483647)", 0, "4294967294"),
        ("money", "(922337203685477.5807), (922337203685477.5807)", 4, "1844674407370955.1614"),
        ("smallmoney", "(-214748.3648), (-0.0001)", 4, "-214748.3649"),
        ("decimal(5,2)", "(999.99), (0.01)", 2, "1000.00"),
    ] {
        let aggregate = format!("SUM(CAST(c AS decimal(38,{scale})))");
        assert_eq!(of_column(&mut session, declaration, values, &[&aggregate]), [sum], "{declaration}");
    }
}

#[test]
fn extremes_follow_the_type() {
    let server = server();
    let mut session = session(&server);
    for (declaration, values, min, max) in [
        ("date", "('0001-01-01'), ('9999-12-31'), (NULL)", "0001-01-01", "9999-12-31"),
        (
            "datetime2(7)",
            "('1899-12-31T23:59:59.9999999'), ('1900-01-01')",
            "1899-12-31 23:59:59.9999999",
            "1900-01-01 00:00:00.0000000",
        ),
        ("time(3)", "('00:00:00.001'), ('23:59:59.999')", "00:00:00.001", "23:59:59.999"),
        ("decimal(20,2)", "(-1), (1), (-999999999999999999.99)", "-999999999999999999.99", "1.00"),
        ("money", "(-0.0001), (900000000000.0001)", "0.00", "900000000000.00"),
        ("varchar(9) COLLATE Latin1_General_CI_AS", "('b'), ('A'), ('C')", "A", "C"),
        ("varchar(9) COLLATE Latin1_General_BIN2", "('b'), ('A'), ('C')", "A", "b"),
    ] {
        assert_eq!(of_column(&mut session, declaration, values, &["MIN(c)", "MAX(c)"]), [min, max], "{declaration}");
    }
}

#[test]
fn aggregates_refuse_what_they_do_not_take() {
    let server = server();
    let mut session = session(&server);
    run(&mut session, "CREATE TABLE t (b bit, t text, n ntext, i image, x xml, d date, s varchar(9))");
    for aggregate in [
        "SUM(b)",
        "MIN(b)",
        "MAX(b)",
        "SUM(d)",
        "SUM(s)",
        "MIN(t)",
        "MAX(n)",
        "MIN(i)",
        "MAX(x)",
        "COUNT(t)",
        "COUNT_BIG(n)",
        "COUNT_BIG(i)",
    ] {
        assert_eq!(error(&mut session, &format!("SELECT {aggregate} FROM t")), 8117, "{aggregate}");
    }
    assert_eq!(error(&mut session, "SELECT MIN(CAST(1 AS sql_variant)) FROM t"), 40_000);
}

#[test]
fn one_statement_has_many_aggregates_over_a_range() {
    let server = server();
    let mut session = session(&server);
    run(&mut session, "CREATE TABLE t (id int PRIMARY KEY, c int NULL, kind varchar(9) NOT NULL)");
    let rows: Vec<String> = (1..=100).map(|id| format!("({id}, {}, '{}')", id * 10, ["new", "old"][id % 2])).collect();
    run(&mut session, &format!("INSERT INTO t VALUES {}", rows.join(", ")));
    let items: Vec<String> = (0..300).map(|at| format!("SUM(CAST(c AS decimal(38,0))) + {at} AS s{at}")).collect();
    let sql = format!(
        "SELECT COUNT_BIG(*) AS n, {} FROM [dbo].[t] AS t WHERE (id >= 11 AND id < 21) AND (t.kind = N'new')",
        items.join(", ")
    );
    let mut out = Collected::default();
    assert!(session.batch(&sql, &[], &mut out).is_ok());
    assert_eq!((out.rows.len(), out.columns.len()), (1, 301));
    assert_eq!(support::show(&out.rows[0][0]), "5");
    // 12 + 14 + 16 + 18 + 20, each tenfold.
    assert_eq!(out.rows[0][300], tsql_engine::value::Value::Decimal { value: 800 + 299, scale: 0 });
}
