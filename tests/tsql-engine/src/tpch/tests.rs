#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use sqlparser::ast::{Query, Statement};
use sqlparser::dialect::MsSqlDialect;
use sqlparser::parser::Parser;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

use super::overlay::Overlay;
use super::schema::Table;
use super::{answer as answers, keys, parse as parser};
use crate::instance::Instance;
use crate::session::Session;
use crate::value::{Column, EnvChange, Flow, Len, Output, SqlError, SqlType, Value};

/// The smallest scale at which all keys are unique: 15,000 orders.
const SCALE: f64 = 0.01;

/// An answer as text, cells joined by `|` as in the benchmark's own files.
#[derive(Default)]
struct Answer {
    columns: Vec<Column>,
    rows: Vec<String>,
    done: Option<u64>,
    stop_after: Option<usize>,
}

impl Output for Answer {
    fn columns(&mut self, columns: &[Column]) -> Flow {
        assert!(self.columns.is_empty(), "columns come once");
        self.columns = columns.to_vec();
        Flow::Continue
    }

    fn row(&mut self, row: &[Value<'_>]) -> Flow {
        assert_eq!(row.len(), self.columns.len());
        let cells: Vec<String> = row.iter().zip(&self.columns).map(|(cell, column)| text(cell, column)).collect();
        self.rows.push(cells.join("|"));
        if Some(self.rows.len()) == self.stop_after { Flow::Stop } else { Flow::Continue }
    }

    fn done(&mut self, rows: Option<u64>) -> Flow {
        assert!(self.done.is_none(), "DONE comes once");
        self.done = rows;
        Flow::Continue
    }

    fn info(&mut self, message: &SqlError) {
        panic!("{message}");
    }

    fn env_change(&mut self, change: &EnvChange) {
        panic!("{change:?}");
    }
}

/// A cell as text; fails where its type is not its column's.
fn text(cell: &Value<'_>, column: &Column) -> String {
    match (cell, &column.sql_type) {
        (Value::Null, _) if column.nullable => "NULL".to_owned(),
        (Value::Int(value), SqlType::Int) => value.to_string(),
        (Value::BigInt(value), SqlType::BigInt) => value.to_string(),
        (Value::Decimal { value, scale }, SqlType::Decimal { scale: declared, .. }) => {
            assert_eq!(scale, declared);
            let unit = 10_i128.pow(u32::from(*scale));
            let sign = if *value < 0 { "-" } else { "" };
            format!("{sign}{}.{:0width$}", value.abs() / unit, value.abs() % unit, width = usize::from(*scale))
        }
        (Value::Date(days), SqlType::Date) => civil(*days),
        (Value::VarChar(bytes), SqlType::Char { len, .. }) => {
            assert_eq!(bytes.len(), usize::from(*len), "char is padded");
            String::from_utf8(bytes.to_vec()).unwrap()
        }
        (Value::VarChar(bytes), SqlType::VarChar { len: Len::N(len), .. }) => {
            assert!(bytes.len() <= usize::from(*len));
            String::from_utf8(bytes.to_vec()).unwrap()
        }
        (Value::Binary(bytes), SqlType::VarBinary { .. }) => {
            format!("0x{}", String::from_utf8(bytes.to_vec()).unwrap())
        }
        other => panic!("a cell of another type than its column: {other:?}"),
    }
}

/// Days since 0001-01-01 as a date, counted month by month.
fn civil(mut days: u32) -> String {
    let leap = |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1;
    while days >= 365 + u32::from(leap(year)) {
        days -= 365 + u32::from(leap(year));
        year += 1;
    }
    let months = [31, 28 + u32::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= months[month] {
        days -= months[month];
        month += 1;
    }
    format!("{year:04}-{:02}-{:02}", month + 1, days + 1)
}

fn parse(sql: &str) -> Query {
    match Parser::parse_sql(&MsSqlDialect {}, sql).unwrap().remove(0) {
        Statement::Query(query) => *query,
        other => panic!("{other}"),
    }
}

fn answer(sql: &str) -> Answer {
    let mut answer = Answer::default();
    let plan = parser::plan(&parse(sql)).unwrap_or_else(|| panic!("not answered: {sql}"));
    let sent = answers::answer(&plan, SCALE, &Overlay::default(), &mut answer).unwrap();
    assert_eq!(sent, Some(answer.rows.len() as u64));
    answer
}

fn rows(sql: &str) -> Vec<String> {
    answer(sql).rows
}

fn names(table: &str) -> String {
    let table = Table::find(table).unwrap();
    let names: Vec<String> = table.layout().iter().map(|(name, _)| format!("[{name}]")).collect();
    names.join(", ")
}

/// A row without the padding of its char cells, which the benchmark's own text lacks.
fn unpadded(row: &str, columns: &[Column]) -> String {
    let cells: Vec<&str> = row
        .split('|')
        .zip(columns)
        .map(|(cell, column)| if matches!(column.sql_type, SqlType::Char { .. }) { cell.trim_end() } else { cell })
        .collect();
    assert_eq!(cells.len(), columns.len());
    cells.join("|")
}

/// What the generator's own text output has. Sorted, for partsupp's rows come in key order here.
fn own_text(table: &str) -> Vec<String> {
    fn lines<R: std::fmt::Display>(rows: impl IntoIterator<Item = R>) -> Vec<String> {
        rows.into_iter().map(|row| row.to_string()).collect()
    }
    match table {
        "region" => lines(RegionGenerator::default()),
        "nation" => lines(NationGenerator::default()),
        "supplier" => lines(SupplierGenerator::new(SCALE, 1, 1)),
        "customer" => lines(CustomerGenerator::new(SCALE, 1, 1)),
        "part" => lines(PartGenerator::new(SCALE, 1, 1)),
        "partsupp" => lines(PartSuppGenerator::new(SCALE, 1, 1)),
        "orders" => lines(OrderGenerator::new(SCALE, 1, 1)),
        // Its text has whole quantities, where the column is decimal(15,2).
        _ => lines(LineItemGenerator::new(SCALE, 1, 1))
            .into_iter()
            .map(|line| {
                let mut cells: Vec<&str> = line.split('|').collect();
                let quantity = format!("{}.00", cells[4]);
                cells[4] = &quantity;
                cells.join("|")
            })
            .collect(),
    }
}

#[test]
fn every_table_is_what_the_generator_prints() {
    for table in Table::ALL {
        let name = table.name();
        let found = answer(&format!("SELECT {} FROM [dbo].[{name}]", names(name)));
        let mut found: Vec<String> = found.rows.iter().map(|row| unpadded(row, &found.columns)).collect();
        let mut expected = own_text(name);
        for row in &mut expected {
            assert_eq!(row.pop(), Some('|'), "each field ends in a bar");
        }
        if name == "partsupp" {
            found.sort();
            expected.sort();
        }
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{name}");
        }
    }
}

#[test]
fn the_declared_rows_are_those_that_come() {
    for table in Table::ALL {
        let (name, declared) = (table.name(), keys::count(table, SCALE));
        let counted = rows(&format!("SELECT COUNT_BIG(*), COUNT(*) FROM dbo.{name} WITH (NOLOCK)"));
        assert_eq!(counted, [format!("{declared}|{declared}")], "{name}");
        let key: Vec<&str> = table.key().iter().map(|at| table.layout()[*at].0).collect();
        let keys = rows(&format!("SELECT {} FROM {name}", key.join(", ")));
        assert_eq!(keys.len() as u64, declared);
    }
}

/// Reads a table as consecutive chunks, as the job writes them, and holds them to the whole.
fn chunks_make_the_whole(table: &str, keys: [&str; 2], bounds: &[[i64; 2]]) {
    let names = names(table);
    let at_least = |[first, second]: [i64; 2]| match keys {
        [k, ""] => format!("[{k}] >= {first}"),
        [k, l] => format!("[{k}] >= {first} AND (([{k}] > {first}) OR ([{k}] = {first} AND [{l}] >= {second}))"),
    };
    let below = |[first, second]: [i64; 2]| match keys {
        [k, ""] => format!("[{k}] < {first}"),
        [k, l] => format!("[{k}] <= {first} AND (([{k}] < {first}) OR ([{k}] = {first} AND [{l}] < {second}))"),
    };
    let mut conditions = vec![format!("(({}) OR [{}] IS NULL)", below(bounds[0]), keys[0])];
    conditions.extend(bounds.windows(2).map(|pair| format!("{} AND {}", at_least(pair[0]), below(pair[1]))));
    conditions.push(at_least(*bounds.last().unwrap()));

    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for condition in &conditions {
        for row in rows(&format!("SELECT {names} FROM [dbo].[{table}] WHERE {condition}")) {
            *seen.entry(row).or_default() += 1;
        }
    }
    let mut whole: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows(&format!("SELECT {names} FROM [dbo].[{table}]")) {
        *whole.entry(row).or_default() += 1;
    }
    assert!(whole.values().all(|times| *times == 1));
    assert!(seen == whole, "the chunks of {table} are not the table");
}

#[test]
fn chunks_by_the_leading_key_make_the_whole() {
    // Bounds at used keys, between them, and beyond either end.
    let bounds = [-5, 0, 1, 2, 7, 8, 20, 32, 33, 39, 40, 64, 8191, 8192, 30_000, 30_001, 59_999, 60_000, 70_000];
    let bounds = bounds.map(|key| [key, 0]);
    chunks_make_the_whole("orders", ["o_orderkey", ""], &bounds);
    chunks_make_the_whole("lineitem", ["l_orderkey", ""], &bounds);
    chunks_make_the_whole("partsupp", ["ps_partkey", ""], &[[0, 0], [1, 0], [511, 0], [512, 0], [1999, 0], [2000, 0]]);
}

#[test]
fn chunks_by_both_keys_make_the_whole() {
    chunks_make_the_whole(
        "lineitem",
        ["l_orderkey", "l_linenumber"],
        &[[1, 1], [1, 4], [1, 6], [2, 2], [20, 3], [32, 2], [8192, 3], [8192, 4], [30_000, 1], [60_000, 2]],
    );
    chunks_make_the_whole(
        "partsupp",
        ["ps_partkey", "ps_suppkey"],
        &[[1, 2], [1, 28], [1, 90], [513, 40], [513, 41], [2000, 50]],
    );
}

#[test]
fn far_ranges_of_one_query_all_come() {
    let sql = "SELECT o_orderkey, o_custkey FROM orders AS o \
               WHERE (o.o_orderkey < 4 OR o_orderkey = 30021 OR (o_orderkey >= 30000 AND o_orderkey < 30019)) OR o_orderkey > 59970";
    let keys: Vec<i64> = rows(sql).iter().map(|row| row.split('|').next().unwrap().parse().unwrap()).collect();
    // Keys in use are those whose rest by 32 is below 8.
    assert_eq!(keys, [1, 2, 3, 30_016, 30_017, 30_018, 30_021, 59_971, 59_972, 59_973, 59_974, 59_975, 60_000]);
}

#[test]
fn casts_are_the_servers() {
    let answer = answer(
        "SELECT TOP (1) CAST([l_shipmode] AS varbinary(10)) AS mode, CAST(l_shipinstruct AS varbinary(4)), \
         CAST(l_comment AS varbinary(max)), CAST(l_quantity AS decimal(20,4)) AS q, CAST(l_linenumber AS decimal(12,2)), \
         l.L_ORDERKEY FROM [dbo].[lineitem] AS l WITH (NOLOCK) ORDER BY l_orderkey, l_linenumber",
    );
    assert_eq!(answer.rows, ["0xTRUCK     |0xDELI|0xegular courts above the|17.0000|1.00|1"]);
    let columns: Vec<(&str, bool)> =
        answer.columns.iter().map(|column| (column.name.as_str(), column.nullable)).collect();
    assert_eq!(columns, [("mode", true), ("", true), ("", true), ("q", true), ("", true), ("l_orderkey", false)]);
    assert_eq!(answer.columns[2].sql_type, SqlType::VarBinary { len: Len::Max });
}

#[test]
fn types_are_told_without_a_row() {
    let none = answer("SELECT TOP (0) [l_comment], [l_shipmode] FROM [dbo].[lineitem]");
    assert_eq!((none.rows.len(), none.columns.len()), (0, 2));
}

#[test]
fn extremes_and_counts_of_ranges() {
    assert_eq!(rows("SELECT MIN([l_orderkey]), MAX([l_orderkey]) FROM [dbo].[lineitem]"), ["1|60000"]);
    assert_eq!(
        rows("SELECT MIN(o_orderkey), MAX(o_orderkey) FROM orders WHERE (o_orderkey > 8 AND o_orderkey < 60)"),
        ["32|39"]
    );
    assert_eq!(rows("SELECT MIN(n_nationkey), MAX(n_nationkey), COUNT(*) FROM nation"), ["0|24|25"]);
    assert_eq!(rows("SELECT MIN(l_linenumber) AS a, MAX(l_linenumber) AS b FROM lineitem"), ["1|7"]);
    assert_eq!(
        rows("SELECT MIN(ps_suppkey), MAX(ps_suppkey), COUNT(*) FROM partsupp WHERE ps_partkey = 1"),
        ["2|77|4"]
    );
    assert_eq!(rows("SELECT MIN(o_orderkey), COUNT(*) FROM orders WHERE o_orderkey = 9"), ["NULL|0"]);
    assert_eq!(rows("SELECT MAX(o_orderkey) FROM orders WHERE o_orderkey = 9"), ["NULL"]);
}

#[test]
fn every_nth_key_is_every_nth_row() {
    for (table, key) in
        [("lineitem", "l_orderkey, l_linenumber"), ("partsupp", "ps_partkey, ps_suppkey"), ("part", "p_partkey")]
    {
        let all = rows(&format!("SELECT {key} FROM {table} ORDER BY {key}"));
        for step in [1, 7, 1000] {
            let sample = rows(&format!(
                "SELECT {key} FROM (SELECT {key}, ROW_NUMBER() OVER (ORDER BY {key}) AS stopgap_row FROM [dbo].[{table}]) AS keys \
                 WHERE stopgap_row % {step} = 0 ORDER BY stopgap_row"
            ));
            let expected: Vec<&String> = all.iter().skip(step - 1).step_by(step).collect();
            assert_eq!(sample.iter().collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn a_star_stands_for_all_columns() {
    let named = answer(&format!("SELECT {} FROM nation", names("nation")));
    let star = answer("SELECT * FROM nation");
    assert_eq!((star.rows, star.columns), (named.rows, named.columns));
}

#[test]
fn top_and_stop_end_the_reading() {
    assert_eq!(rows("SELECT TOP 3 c_custkey FROM customer"), ["1", "2", "3"]);
    assert!(rows("SELECT TOP (0) c_custkey FROM customer").is_empty());
    for sql in [
        "SELECT o_orderkey, o_comment FROM orders",
        "SELECT o_orderkey FROM (SELECT o_orderkey, ROW_NUMBER() OVER (ORDER BY o_orderkey) AS n FROM orders) AS k WHERE n % 3 = 0 ORDER BY n",
    ] {
        let mut answer = Answer { stop_after: Some(2), ..Answer::default() };
        let sent =
            answers::answer(&parser::plan(&parse(sql)).unwrap(), SCALE, &Overlay::default(), &mut answer).unwrap();
        assert_eq!((sent, answer.rows.len()), (None, 2));
    }
}

#[test]
fn other_queries_are_left_alone() {
    for sql in [
        "SELECT *, 1 FROM lineitem",
        "SELECT o_orderkey + 1 FROM orders",
        "SELECT o_orderkey FROM orders WHERE o_custkey = 7",
        "SELECT o_orderkey FROM orders WHERE o_orderkey <> 7",
        "SELECT o_orderkey FROM orders WHERE o_orderkey = 7.5",
        "SELECT o_orderkey FROM orders WHERE NOT o_orderkey = 7",
        "SELECT o_orderkey FROM orders ORDER BY o_orderkey DESC",
        "SELECT o_orderkey FROM orders ORDER BY o_custkey",
        "SELECT DISTINCT o_orderkey FROM orders",
        "SELECT o_orderkey FROM orders GROUP BY o_orderkey",
        "SELECT TOP (5) PERCENT o_orderkey FROM orders",
        "SELECT MAX(o_custkey) FROM orders",
        "SELECT COUNT(DISTINCT o_orderkey) FROM orders",
        "SELECT COUNT(*) OVER () FROM orders",
        "SELECT o_orderkey, COUNT(*) FROM orders",
        "SELECT CAST(o_totalprice AS decimal(5,2)) FROM orders",
        "SELECT CAST(o_totalprice AS decimal(15,1)) FROM orders",
        "SELECT CAST(o_orderkey AS varbinary(8)) FROM orders",
        "SELECT x.o_orderkey FROM orders AS o",
        "SELECT o_orderkey FROM sales.orders",
        "SELECT o_orderkey FROM invoices",
        "SELECT o_orderkey FROM orders, nation",
        "SELECT o_orderkey FROM orders JOIN customer ON o_custkey = c_custkey",
        "SELECT k FROM (SELECT o_orderkey AS k, ROW_NUMBER() OVER (ORDER BY o_custkey) AS n FROM orders) AS t WHERE n % 3 = 0 ORDER BY n",
        "SELECT k FROM (SELECT o_orderkey AS k, ROW_NUMBER() OVER (ORDER BY o_orderkey) AS n FROM orders) AS t WHERE n % 3 = 1 ORDER BY n",
        "SELECT k FROM (SELECT o_orderkey AS k, ROW_NUMBER() OVER (ORDER BY o_orderkey) AS n FROM orders) AS t WHERE n % 0 = 0 ORDER BY n",
    ] {
        assert!(parser::plan(&parse(sql)).is_none(), "answered: {sql}");
    }
}

#[test]
fn aggregates_of_expressions_need_no_copy() {
    let directory = std::env::temp_dir().join(format!("tsql-engine-tpch-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let instance = Instance::new(&directory).unwrap();
    instance.create_database("shop").unwrap();
    instance.attach_tpch("shop", SCALE).unwrap();
    let session = Session::internal(instance, "shop").unwrap();
    let utf8 = "CAST(RTRIM(c_name) COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(max))";
    for (items, condition) in [
        ("COUNT_BIG(*), SUM(CAST(c_acctbal AS decimal(38,2)))", "c_custkey >= 3 AND c_custkey < 9"),
        ("SUM(LEN(CAST(c_comment AS nvarchar(max)) COLLATE Latin1_General_100_CI_AS_SC + N'x') - 1)", "c_custkey < 9"),
        (&format!("SUM(CAST(SUBSTRING(HASHBYTES('SHA2_256', {utf8}), 1, 4) AS bigint)) + 1"), "c_custkey = 2"),
        ("ISNULL(SUM(CASE WHEN c_phone IS NULL THEN 1 ELSE 0 END), 0)", "c_custkey < 9 AND c_acctbal > 0"),
        ("MIN(c_phone), MAX(c_acctbal), COUNT(NULLIF(c_nationkey, 0))", "c_mktsegment = 'BUILDING' AND c_custkey < 9"),
    ] {
        let sql = format!("SELECT {items} FROM [dbo].[customer] AS c WITH (NOLOCK) WHERE {condition}");
        let answered = super::aggregates::direct(&session, &parse(&sql), &mut Nothing).unwrap();
        assert_eq!(answered, Some(Flow::Continue), "{sql}");
    }
    for sql in ["SELECT SUM(c_acctbal) FROM customer GROUP BY c_nationkey", "SELECT c_name + 'x' FROM customer"] {
        assert_eq!(super::aggregates::direct(&session, &parse(sql), &mut Nothing).unwrap(), None, "{sql}");
    }
    drop(session);
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Takes any answer.
struct Nothing;

impl Output for Nothing {
    fn columns(&mut self, _: &[Column]) -> Flow {
        Flow::Continue
    }

    fn row(&mut self, _: &[Value<'_>]) -> Flow {
        Flow::Continue
    }

    fn done(&mut self, _: Option<u64>) -> Flow {
        Flow::Continue
    }

    fn info(&mut self, _: &SqlError) {}

    fn env_change(&mut self, _: &EnvChange) {}
}
