//! Aggregates over TPC-H's generated tables, which no table of SQLite's holds.

mod support;

use support::{Collected, Server, error, lines, run, server, session};
use tsql_engine::Session;

const SCALE: f64 = 0.01;

fn prepared() -> (Server, Session) {
    let server = server();
    server.attach_tpch("shop", SCALE).map_err(|failure| failure.to_string()).unwrap_or_else(|text| panic!("{text}"));
    let session = session(&server);
    (server, session)
}

/// Sums that do without a type's own order, and every kind of expression that may stand in one.
fn aggregates(whole: &str, decimal: &str, date: &str, text: &str) -> Vec<String> {
    let aware = format!("CAST({text} AS nvarchar(max)) COLLATE Latin1_General_100_CI_AS_SC");
    let utf8 = format!("CAST(RTRIM({text}) COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(max))");
    let sum = |of: String| format!("SUM(CAST({of} AS decimal(38,0)))");
    vec![
        "COUNT_BIG(*)".to_owned(),
        "COUNT(*) + 1".to_owned(),
        format!("COUNT_BIG({text})"),
        format!("COUNT_BIG(NULLIF({whole}, {whole} / 2 * 2))"),
        sum(whole.to_owned()),
        format!("SUM(CAST({decimal} AS decimal(38,2)))"),
        format!("ISNULL(SUM({decimal}), 0) * 2"),
        format!("MIN({decimal})"),
        format!("MAX({whole})"),
        format!("MIN({date})"),
        format!("MAX({text})"),
        sum(format!("DATEDIFF(day, '1970-01-01', {date})")),
        sum(format!("DATEPART(year, {date}) % 7")),
        sum(format!("LEN({aware} + N'x') - 1")),
        sum(format!("UNICODE(SUBSTRING({aware}, 3, 1))")),
        sum(format!("DATALENGTH({text})")),
        sum(format!("CAST(SUBSTRING(HASHBYTES('SHA2_256', {utf8}), 1, 4) AS bigint)")),
        sum(format!("CASE WHEN {text} LIKE '%a%' AND NOT {whole} = 7 OR {whole} IS NULL THEN 1 ELSE 0 END")),
        sum(format!("CASE WHEN {whole} BETWEEN 5 AND 90 THEN 1 WHEN {whole} IN (100, 102) THEN 2 END")),
        sum(format!("COALESCE(NULLIF({whole}, 3), -1)")),
        format!("AVG({decimal})"),
    ]
}

#[test]
fn generated_rows_have_the_aggregates_of_stored_ones() {
    let (_server, mut session) = prepared();
    let orders = aggregates("o_custkey", "o_totalprice", "o_orderdate", "o_comment");
    let parts = aggregates("ps_availqty", "ps_supplycost", "CAST('2024-01-01' AS date)", "ps_comment");
    for (table, key, items) in [("orders", "o_orderkey", &orders), ("partsupp", "ps_partkey", &parts)] {
        let cells: Vec<String> = items.iter().map(|item| format!("CAST({item} AS varchar(90))")).collect();
        for range in [
            format!("WHERE {key} >= 100 AND {key} < 700"),
            format!("WHERE ({key} >= 10 AND {key} < 1500) AND ({} > 40)", items[8].trim_start_matches("MAX")),
            format!("WHERE {key} < 0"),
        ] {
            let direct = format!("SELECT {} FROM [dbo].[{table}] AS t {range}", cells.join(", "));
            let stored = format!("SELECT {} FROM (SELECT * FROM [dbo].[{table}]) AS t {range}", cells.join(", "));
            assert_eq!(lines(&mut session, &direct), lines(&mut session, &stored), "{table} {range}");
            let types = |sql: &str, session: &mut Session| {
                let found: Vec<_> = run(session, sql).columns.into_iter().map(|column| column.sql_type).collect();
                found
            };
            assert_eq!(types(&direct, &mut session), types(&stored, &mut session));
        }
    }
}

#[test]
fn a_range_is_all_that_is_generated() {
    let (_server, mut session) = prepared();
    // A client that is gone is noticed after 10,000 rows: this range has fewer, the whole table more.
    session.set_watch(std::sync::Arc::new(|| true)).unwrap_or_else(|failure| panic!("{failure}"));
    let range =
        "SELECT SUM(DATALENGTH(l_comment)), COUNT(*) FROM lineitem WHERE l_orderkey > 30000 AND l_orderkey <= 30032";
    assert_eq!(run(&mut session, range).rows.len(), 1);
    let mut out = Collected::default();
    let whole = session.batch("SELECT SUM(DATALENGTH(l_comment)) FROM lineitem", &[], &mut out);
    assert_eq!((whole, out.rows.len()), (Ok(tsql_engine::value::Flow::Stop), 0));
}

#[test]
fn errors_are_those_of_stored_rows() {
    let (_server, mut session) = prepared();
    for (sql, number) in [
        ("SELECT SUM(l_comment) FROM lineitem", 8117),
        ("SELECT SUM(l_extendedprice / (l_linenumber - 1)) FROM lineitem", 8134),
        ("SELECT SUM(CAST(l_orderkey AS decimal(38,36))) FROM lineitem", 8115),
        ("SELECT SUM(missing) FROM lineitem", 207),
        ("SELECT SUM(LEN(l_comment COLLATE Nowhere_CI_AS)) FROM lineitem", 448),
    ] {
        assert_eq!(error(&mut session, sql), number, "{sql}");
    }
}

#[test]
fn changed_rows_stand_for_generated_ones_everywhere() {
    let (server, mut session) = prepared();
    run(
        &mut session,
        "ALTER DATABASE shop SET ALLOW_SNAPSHOT_ISOLATION ON; ALTER DATABASE shop SET CHANGE_TRACKING = ON;
         ALTER TABLE lineitem ENABLE CHANGE_TRACKING; ALTER TABLE orders ENABLE CHANGE_TRACKING",
    );
    let range = "SELECT l_orderkey, l_linenumber, l_comment FROM lineitem WHERE l_orderkey >= 1 AND l_orderkey < 200 ORDER BY l_orderkey, l_linenumber";
    let sums =
        "SELECT COUNT_BIG(*), SUM(l_quantity), SUM(CASE WHEN l_comment = 'changed' THEN 1 ELSE 0 END) FROM lineitem";
    let before = (lines(&mut session, range), lines(&mut session, sums));
    let mut other = support::session(&server);
    run(&mut other, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION; SELECT COUNT(*) FROM nation");

    let out = run(&mut session, "UPDATE lineitem SET l_comment = 'changed' WHERE l_orderkey % 100 = 7");
    let changed = out.counts[0].expect("a count");
    assert!((100..2000).contains(&changed), "{changed} rows");
    let after = lines(&mut session, range);
    for (new, old) in after.iter().zip(&before.0) {
        let key: i64 = new.split('|').next().and_then(|key| key.parse().ok()).expect("a key");
        let is_changed = key % 100 == 7;
        assert_eq!(new.ends_with("|changed"), is_changed, "{new}");
        assert_eq!(new == old, !is_changed, "{new}");
    }
    assert_eq!(after.len(), before.0.len());
    let count = |line: &str| line.rsplit('|').next().map(str::to_owned);
    let totals = lines(&mut session, sums);
    assert_eq!(totals[0].rsplit_once('|').map(|pair| pair.0), before.1[0].rsplit_once('|').map(|pair| pair.0));
    assert_eq!(count(&totals[0]), Some(changed.to_string()));
    // The same through a copy in SQLite, and from the changes.
    let copied = "SELECT COUNT(*) FROM (SELECT l_comment FROM lineitem) AS l WHERE l_comment = 'changed'";
    assert_eq!(lines(&mut session, copied), [changed.to_string()]);
    let changes =
        "SELECT COUNT(*), MIN(ct.SYS_CHANGE_OPERATION), MAX(t.l_comment) FROM CHANGETABLE(CHANGES lineitem, 0) AS ct
                   LEFT JOIN (SELECT l_orderkey, l_linenumber, l_comment FROM lineitem) AS t
                   ON t.l_orderkey = ct.l_orderkey AND t.l_linenumber = ct.l_linenumber";
    assert_eq!(lines(&mut session, changes), [format!("{changed}|U|changed")]);
    assert_eq!(lines(&mut other, range), before.0, "a snapshot from before sees none of it");
    run(&mut other, "COMMIT");

    run(&mut session, "UPDATE lineitem SET l_comment = 'again' WHERE l_comment = 'changed'");
    assert_eq!(count(&lines(&mut session, sums)[0]), Some("0".to_owned()));
    for sql in
        ["DELETE FROM lineitem", "INSERT INTO nation VALUES (99, 'x', 1, 'y')", "UPDATE nation SET n_nationkey = 99"]
    {
        assert_eq!(error(&mut session, sql), 40_000, "{sql}");
    }
    assert_eq!(error(&mut session, "BEGIN TRANSACTION; UPDATE nation SET n_comment = 'x'"), 40_000);
}
