//! The engine as the protocol server uses it.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::sync::Arc;

use tsql_engine::value::{Column, EnvChange, Flow, Output, SqlError, SqlType, Value};
use tsql_engine::{Instance, LoginRequest, Session};

#[derive(Default)]
struct Collected {
    columns: Vec<Column>,
    rows: Vec<Vec<Value<'static>>>,
    counts: Vec<Option<u64>>,
    infos: Vec<String>,
}

impl Output for Collected {
    fn columns(&mut self, columns: &[Column]) -> Flow {
        self.columns = columns.to_vec();
        self.rows.clear();
        Flow::Continue
    }
    fn row(&mut self, row: &[Value<'_>]) -> Flow {
        self.rows.push(row.iter().map(|value| value.clone().into_static()).collect());
        Flow::Continue
    }
    fn done(&mut self, rows: Option<u64>) -> Flow {
        self.counts.push(rows);
        Flow::Continue
    }
    fn info(&mut self, message: &SqlError) {
        self.infos.push(message.message.clone());
    }
    fn env_change(&mut self, _: &EnvChange) {}
}

struct Server {
    _directory: Directory,
    instance: Arc<Instance>,
}

struct Directory(std::path::PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn server(name: &str) -> Server {
    let path = std::env::temp_dir().join(format!("tsql-engine-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    let instance = Instance::new(&path).unwrap();
    instance.create_login("sa", "secret");
    instance.create_database("shop").unwrap();
    Server { _directory: Directory(path), instance }
}

fn open(server: &Server) -> Session {
    let login = LoginRequest {
        user: "sa".into(),
        password: "secret".into(),
        database: "shop".into(),
        ..LoginRequest::default()
    };
    Session::open(Arc::clone(&server.instance), &login).unwrap()
}

fn run(session: &mut Session, sql: &str) -> Collected {
    let mut out = Collected::default();
    session.batch(sql, &[], &mut out).unwrap_or_else(|failure| panic!("{failure}\n{sql}"));
    out
}

fn fail(session: &mut Session, sql: &str) -> u32 {
    session.batch(sql, &[], &mut Collected::default()).unwrap_err().number
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::VarChar(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::NVarChar(bytes) => String::from_utf16_lossy(
            &bytes.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect::<Vec<_>>(),
        ),
        Value::Int(v) => v.to_string(),
        Value::BigInt(v) => v.to_string(),
        other => format!("{other:?}"),
    }
}

fn table(out: &Collected) -> Vec<String> {
    out.rows.iter().map(|row| row.iter().map(shown).collect::<Vec<_>>().join("|")).collect()
}

const ORDERS: &str = "
CREATE SCHEMA sales;
GO
CREATE TABLE sales.customer (id int IDENTITY(1,1) NOT NULL CONSTRAINT pk_customer PRIMARY KEY CLUSTERED, name nvarchar(50) NOT NULL, city varchar(30) COLLATE Latin1_General_CS_AS NULL DEFAULT 'Oslo', balance decimal(19,4) NOT NULL, born date NULL, label AS (name + N'!') PERSISTED);
CREATE TABLE [sales].[order line] (a int NOT NULL, b bigint NOT NULL, customer int NULL REFERENCES sales.customer(id) ON DELETE CASCADE, amount money CHECK (amount >= 0), PRIMARY KEY (a ASC, b DESC));
CREATE UNIQUE NONCLUSTERED INDEX ux_name ON sales.customer (name) INCLUDE (born) WHERE city IS NOT NULL;
GO
INSERT INTO sales.customer (name, balance, born) VALUES (N'Ann', 12345678901234.5678, '2001-02-03'), (N'Bob', -1, NULL);
INSERT INTO sales.[order line] VALUES (1, 2, 1, 10.5), (1, 1, 2, 0);
";

#[test]
fn tables_hold_what_was_inserted() {
    let server = server("tables");
    server.instance.run_script("shop", ORDERS).unwrap();
    let mut session = open(&server);
    let out = run(&mut session, "SELECT id, name, city, balance, born, label FROM sales.customer ORDER BY id");
    assert_eq!(out.rows[0][3], Value::Decimal { value: 123_456_789_012_345_678, scale: 4 });
    assert_eq!(table(&out)[1].split('|').next(), Some("2"));
    assert_eq!(shown(&out.rows[0][5]), "Ann!");
    assert_eq!(out.columns[3].sql_type, SqlType::Decimal { precision: 19, scale: 4 });
    assert!(out.columns[0].identity && !out.columns[0].nullable && out.columns[4].nullable);
    let out = run(
        &mut session,
        "SELECT c.name, COUNT(*) n, SUM(o.amount) s FROM sales.customer c LEFT JOIN sales.[order line] o ON o.customer = c.id WHERE c.name LIKE 'a%' GROUP BY c.name HAVING COUNT(*) > 0",
    );
    assert_eq!(out.rows[0][1..], [Value::Int(1), Value::Money(105_000)]);
    let out = run(&mut session, "SELECT name FROM sales.customer WHERE name = N'ANN  '");
    assert_eq!(table(&out), ["Ann"]);
    assert_eq!(run(&mut session, "SELECT 1 FROM sales.customer WHERE city = 'oslo'").rows.len(), 0);
}

#[test]
fn errors_have_sql_servers_numbers() {
    let server = server("errors");
    server.instance.run_script("shop", ORDERS).unwrap();
    let mut session = open(&server);
    for (sql, number) in [
        ("SELECT * FROM missing", 208),
        ("SELECT missing FROM sales.customer", 207),
        ("SELECT FROM WHERE", 102),
        ("INSERT INTO sales.[order line] VALUES (1, 2, 1, 10.5)", 2627),
        ("INSERT INTO sales.customer (name, balance) VALUES (N'ANN', 1)", 2601),
        ("INSERT INTO sales.customer (name, balance) VALUES (NULL, 1)", 515),
        ("INSERT INTO sales.[order line] VALUES (9, 9, 99, 1)", 547),
        ("INSERT INTO sales.[order line] VALUES (9, 9, 1, -1)", 547),
        ("SELECT CAST('x' AS int)", 245),
        ("SELECT CAST('x' AS bigint)", 8114),
        ("SELECT CAST(300 AS tinyint)", 220),
        ("INSERT INTO sales.customer (name, balance) VALUES (REPLICATE(N'x', 60), 1)", 2628),
        ("USE nowhere", 911),
        ("SELECT 1/0", 8134),
        ("BACKUP LOG shop", 40_000),
    ] {
        assert_eq!(fail(&mut session, sql), number, "{sql}");
    }
    let login = |user: &str, password: &str, database: &str| {
        let login = LoginRequest {
            user: user.into(),
            password: password.into(),
            database: database.into(),
            ..LoginRequest::default()
        };
        Session::open(Arc::clone(&server.instance), &login).err().map(|failure| (failure.number, failure.state))
    };
    assert_eq!(login("sa", "wrong", "shop"), Some((18456, 1)));
    assert_eq!(login("nobody", "x", "shop"), Some((18456, 1)));
    assert_eq!(login("sa", "secret", "nowhere"), Some((4060, 1)));
}

#[test]
fn values_survive_exactly() {
    let server = server("values");
    let mut session = open(&server);
    let out = run(
        &mut session,
        "SELECT CAST(0x81 AS varchar(10)), CAST(0x00D8 AS nvarchar(1)), NCHAR(0xD800), CAST(N'é' AS varbinary(10)), CAST('0001-01-01' AS date), CAST('9999-12-31 23:59:59.9999999' AS datetime2(7)), CAST('2020-01-01 00:00:00.005' AS datetime), CAST(922337203685477.5807 AS money), CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier), CAST('ab' AS char(4)), CONVERT(varchar(30), CAST('2024-05-06 07:08:09.123' AS datetime), 121), CONVERT(varbinary(4), '0x0102', 1)",
    );
    let row = &out.rows[0];
    assert_eq!(row[0], Value::VarChar(vec![0x81].into()));
    assert_eq!(row[1], Value::NVarChar(vec![0x00, 0xD8].into()));
    assert_eq!(row[2], Value::NVarChar(vec![0x00, 0xD8].into()));
    assert_eq!(row[3], Value::Binary(vec![0xE9, 0].into()));
    assert_eq!(row[4], Value::Date(0));
    assert_eq!(row[5], Value::DateTime2 { days: 3_652_058, ticks: 863_999_999_999 });
    assert_eq!(row[6], Value::DateTime { days: 43_829, ticks: 2 });
    assert_eq!(row[7], Value::Money(i64::MAX));
    assert!(matches!(row[8], Value::Guid(wire) if wire[..4] == [0xFF, 0x19, 0x96, 0x6F]));
    assert_eq!(row[9], Value::VarChar(b"ab  ".to_vec().into()));
    assert_eq!(shown(&row[10]), "2024-05-06 07:08:09.123");
    assert_eq!(row[11], Value::Binary(vec![1, 2].into()));
}

#[test]
fn the_catalog_answers_joins() {
    let server = server("catalog");
    server.instance.run_script("shop", ORDERS).unwrap();
    let mut session = open(&server);
    let out = run(
        &mut session,
        "SELECT s.name, t.name, c.name, ty.name, c.max_length, c.is_identity FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id JOIN sys.columns c ON c.object_id = t.object_id JOIN sys.types ty ON ty.user_type_id = c.user_type_id WHERE t.name = N'customer' ORDER BY c.column_id",
    );
    assert_eq!(shown(&out.rows[1][3]), "nvarchar");
    assert_eq!(out.rows[1][4], Value::SmallInt(100));
    assert_eq!(out.rows.len(), 6);
    let out = run(
        &mut session,
        "SELECT i.name, i.type_desc, COL_NAME(ic.object_id, ic.column_id), ic.is_descending_key FROM sys.indexes i JOIN sys.index_columns ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id WHERE i.object_id = OBJECT_ID(N'sales.[order line]') ORDER BY ic.key_ordinal",
    );
    assert_eq!(out.rows[1][3], Value::Bit(true));
    let out = run(
        &mut session,
        "SELECT SUM(p.rows) FROM sys.partitions p WHERE p.index_id IN (0,1) AND p.object_id = OBJECT_ID('sales.customer')",
    );
    assert_eq!(out.rows[0][0], Value::BigInt(2));
    let out = run(
        &mut session,
        "SET LOCK_TIMEOUT 5000; SET DEADLOCK_PRIORITY LOW; SET TEXTSIZE 2147483647; SELECT @@LOCK_TIMEOUT, @@TEXTSIZE, SERVERPROPERTY('EngineEdition'), DB_NAME(), @@TRANCOUNT",
    );
    assert_eq!(out.rows[0][0], Value::Int(5000));
    let out =
        run(&mut session, "SELECT deadlock_priority, lock_timeout FROM sys.dm_exec_sessions WHERE session_id = @@SPID");
    assert_eq!(table(&out), ["-5|5000"]);
}

#[test]
fn a_snapshot_transaction_reads_no_memory_optimized_table() {
    let server = server("memory");
    let mut session = open(&server);
    run(
        &mut session,
        "ALTER DATABASE shop SET ALLOW_SNAPSHOT_ISOLATION ON; CREATE TABLE t (a int NOT NULL PRIMARY KEY NONCLUSTERED) WITH (MEMORY_OPTIMIZED = ON); \
         INSERT INTO t VALUES (1)",
    );
    assert_eq!(table(&run(&mut session, "SELECT a FROM t")), ["1"]);
    assert_eq!(fail(&mut session, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; SELECT a FROM t"), 41332);
}

#[test]
fn a_snapshot_transaction_sees_one_state() {
    let server = server("snapshot");
    server
        .instance
        .run_script("shop", "CREATE TABLE t (a int NOT NULL PRIMARY KEY, b int NOT NULL); INSERT INTO t VALUES (1, 1);")
        .unwrap();
    let (mut reader, mut writer) = (open(&server), open(&server));
    let begin = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION; SELECT COUNT(*) FROM t";
    assert_eq!(fail(&mut reader, begin), 3952);
    run(&mut reader, "ROLLBACK; ALTER DATABASE shop SET ALLOW_SNAPSHOT_ISOLATION ON");
    run(&mut reader, begin);
    run(
        &mut writer,
        "INSERT INTO t VALUES (2, 2); CREATE DATABASE shot ON (NAME = shop, FILENAME = 'x.ss') AS SNAPSHOT OF shop; DELETE FROM t",
    );
    assert_eq!(table(&run(&mut reader, "SELECT COUNT(*) FROM t")), ["1"]);
    assert_eq!(table(&run(&mut reader, "COMMIT; SELECT COUNT(*) FROM t")), ["0"]);
    assert_eq!(table(&run(&mut reader, "USE shot; SELECT COUNT(*) FROM t")), ["2"]);
    assert_eq!(fail(&mut reader, "DELETE FROM t"), 3906);
}

#[test]
fn tpch_chunks_cover_every_row_once() {
    let server = server("tpch");
    server.instance.attach_tpch("shop", 0.01).unwrap();
    let mut session = open(&server);
    let total = table(&run(
        &mut session,
        "SELECT SUM(rows) FROM sys.partitions WHERE object_id = OBJECT_ID('dbo.lineitem') AND index_id = 1",
    ));
    let all = run(&mut session, "SELECT l_orderkey, l_linenumber FROM dbo.lineitem");
    assert_eq!(total, [all.rows.len().to_string()]);
    let mut pieces = Vec::new();
    for (low, high) in
        [(None, Some(1000)), (Some(1000), Some(30_001)), (Some(30_001), Some(59_999)), (Some(59_999), None)]
    {
        let low = low.map_or("1 = 1".to_owned(), |key: i64| format!("[l_orderkey] >= {key}"));
        let filter = match high {
            Some(high) if low == "1 = 1" => format!("[l_orderkey] < {high} OR [l_orderkey] IS NULL"),
            Some(high) => format!("({low} AND [l_orderkey] < {high})"),
            None => low,
        };
        let sql = format!(
            "SELECT [l_orderkey], [l_linenumber], CAST([l_comment] AS varbinary(44)) AS c FROM [dbo].[lineitem] WHERE {filter}"
        );
        pieces.extend(run(&mut session, &sql).rows.into_iter().map(|row| row[..2].to_vec()));
    }
    assert_eq!(pieces, all.rows);
    let sampled = run(
        &mut session,
        "SELECT l_orderkey, l_linenumber FROM (SELECT l_orderkey, l_linenumber, ROW_NUMBER() OVER (ORDER BY l_orderkey, l_linenumber) AS rn FROM dbo.lineitem WHERE l_orderkey > 5) AS s WHERE rn % 1000 = 0 ORDER BY rn",
    );
    assert_eq!(
        sampled.rows.len(),
        all.rows.iter().filter(|row| matches!(row[0], Value::BigInt(key) if key > 5)).count() / 1000
    );
    assert_eq!(
        table(&run(&mut session, "SELECT COUNT_BIG(*), MIN(o_orderkey), MAX(o_orderkey) FROM dbo.orders")),
        ["15000|1|60000"]
    );
}

#[test]
fn special_types_read_as_the_job_reads_them() {
    let server = server("special");
    server.instance.run_script("shop", "CREATE TABLE t (h hierarchyid, g geography, v sql_variant, x xml, j json, d datetimeoffset(7), r rowversion, u uniqueidentifier);
INSERT INTO t (h, g, v, x, j, d, u) VALUES (hierarchyid::Parse('/1/2/'), geography::Point(1.5, 2.5, 4326), CAST('2020-02-03' AS datetime), N'<a/>', N'{}', '2020-01-01T00:00:00+02:00', NEWID());").unwrap();
    let mut session = open(&server);
    let out = run(
        &mut session,
        "SELECT CAST([h].ToString() AS nvarchar(4000)), 'SRID=' + CAST([g].STSrid AS varchar(11)) + ';' + [g].AsTextZM(), CASE CAST(SQL_VARIANT_PROPERTY([v],'BaseType') AS nvarchar(128)) WHEN N'datetime' THEN CONVERT(nvarchar(4000), CAST([v] AS datetime), 121) ELSE CAST(v AS nvarchar(4000)) END, CAST(CAST([x] AS nvarchar(max)) AS varbinary(max)), d, r FROM t",
    );
    assert_eq!(shown(&out.rows[0][0]), "/1/2/");
    assert_eq!(shown(&out.rows[0][1]), "SRID=4326;POINT (2.5 1.5)");
    assert_eq!(shown(&out.rows[0][2]), "2020-02-03 00:00:00.000");
    assert_eq!(
        out.rows[0][3],
        Value::Binary("<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>().into())
    );
    assert!(matches!(out.rows[0][4], Value::DateTimeOffset { offset: 120, .. }));
}

#[test]
fn scripts_have_variables_and_loops() {
    let server = server("control");
    let mut session = open(&server);
    let out = run(
        &mut session,
        "DECLARE @i int = 0, @s nvarchar(20) = N''; WHILE @i < 3 BEGIN SET @i = @i + 1; SET @s = @s + CAST(@i AS nvarchar(5)); END; IF @i = 3 PRINT @s ELSE PRINT 'no'; SELECT @s AS s, @i AS i; EXEC sp_executesql N'SELECT @a + 1', N'@a int', @a = 5",
    );
    assert_eq!(out.infos, ["123"]);
    assert_eq!(table(&out), ["6"]);
    let out = run(&mut session, "SET TEXTSIZE 10; SELECT CAST(REPLICATE('x', 100) AS varchar(max))");
    assert_eq!(shown(&out.rows[0][0]), "xxxxxxxxxx");
    let out = run(
        &mut session,
        "WITH n AS (SELECT 1 AS a UNION ALL SELECT 2) SELECT TOP (1) a FROM n ORDER BY a DESC OPTION (MAXDOP 1)",
    );
    assert_eq!(table(&out), ["2"]);
}

#[test]
fn definitions_change_and_logins_see_what_they_may() {
    let server = server("changes");
    server
        .instance
        .run_script(
            "shop",
            "CREATE TYPE dbo.phone FROM varchar(20) NOT NULL;
CREATE TABLE dbo.person (id bigint NOT NULL, phone dbo.phone, mail nvarchar(100) MASKED WITH (FUNCTION = 'default()') NULL, v vector(3) NULL,
  vf datetime2(7) GENERATED ALWAYS AS ROW START HIDDEN NOT NULL, vt datetime2(7) GENERATED ALWAYS AS ROW END HIDDEN NOT NULL,
  PERIOD FOR SYSTEM_TIME (vf, vt), CONSTRAINT pk_person PRIMARY KEY NONCLUSTERED (id)) WITH (SYSTEM_VERSIONING = ON (HISTORY_TABLE = dbo.person_history));
CREATE NONCLUSTERED COLUMNSTORE INDEX cs ON dbo.person (mail);
ALTER TABLE dbo.person ADD age int NOT NULL CONSTRAINT df_age DEFAULT (7);
INSERT INTO dbo.person (id, phone, mail) VALUES (1, '12', N'a@b.c');
ALTER TABLE dbo.person ALTER COLUMN age bigint NOT NULL;
CREATE VIEW dbo.people AS SELECT id, mail FROM dbo.person WHERE age > 5;
GO
CREATE LOGIN reader WITH PASSWORD = 'r';
CREATE USER reader FOR LOGIN reader;
GRANT SELECT ON dbo.person TO reader;
",
        )
        .unwrap();
    let mut session = open(&server);
    assert_eq!(table(&run(&mut session, "SELECT mail FROM dbo.people")), ["a@b.c"]);
    assert_eq!(run(&mut session, "SELECT * FROM dbo.person").columns.len(), 5);
    let out = run(
        &mut session,
        "SELECT t.temporal_type, c.name FROM sys.tables t JOIN sys.columns c ON c.object_id = t.object_id JOIN sys.types y ON y.user_type_id = c.user_type_id WHERE t.name = 'person' AND (y.name = 'vector' OR y.is_user_defined = 1) ORDER BY c.column_id",
    );
    assert_eq!(out.rows[0][0], Value::TinyInt(2));
    assert_eq!((shown(&out.rows[0][1]), shown(&out.rows[1][1])), ("phone".into(), "v".into()));
    run(&mut session, "UPDATE dbo.person SET age = age + 1 WHERE id = 1");
    assert_eq!(table(&run(&mut session, "SELECT age FROM dbo.person")), ["8"]);
    let login = LoginRequest {
        user: "reader".into(),
        password: "r".into(),
        database: "shop".into(),
        ..LoginRequest::default()
    };
    let mut reader = Session::open(Arc::clone(&server.instance), &login).unwrap();
    assert_eq!(table(&run(&mut reader, "SELECT mail FROM dbo.person")), ["xxxx"]);
    assert_eq!(fail(&mut reader, "SELECT id FROM dbo.people"), 229);
    let out = run(
        &mut session,
        "SELECT HAS_PERMS_BY_NAME('dbo.person','OBJECT','SELECT'), d.snapshot_isolation_state, d.source_database_id FROM sys.databases d WHERE d.database_id = DB_ID()",
    );
    assert_eq!(out.rows[0][..2], [Value::Int(1), Value::TinyInt(0)]);
}

#[test]
fn everyday_queries_run() {
    let server = server("everyday");
    server.instance.run_script("shop", ORDERS).unwrap();
    let mut session = open(&server);
    for (sql, rows) in [
        (
            "SET XACT_ABORT ON; SET ANSI_NULLS, QUOTED_IDENTIFIER ON; SELECT id FROM sales.customer WITH (NOLOCK) WHERE id IN (SELECT customer FROM sales.[order line])",
            2,
        ),
        ("SELECT DISTINCT city FROM sales.customer ORDER BY city", 1),
        ("SELECT id FROM sales.customer ORDER BY id OFFSET 1 ROWS FETCH NEXT 5 ROWS ONLY", 1),
        (
            "SELECT x.a FROM (VALUES (1, N'x'), (2, N'y')) AS x(a, b) WHERE EXISTS (SELECT 1 FROM sales.customer c WHERE c.id = x.a)",
            2,
        ),
        (
            "SELECT DATEADD(day, 1, GETDATE()), DATEDIFF(day, '2020-01-01', '2020-02-01'), ISNULL(NULL, 5), IIF(1 = 1, 'a', 'b'), NULLIF(1, 1), CONCAT('a', NULL, 1), STR(3.5, 5, 1), 7 % 3, 1.5 * 2, QUOTENAME('a]b')",
            1,
        ),
        (
            "SELECT CAST(name AS varbinary(max)), CAST(CAST(amount AS decimal(19,4)) AS varchar(30)) FROM sales.customer c INNER JOIN sales.[order line] o ON o.customer = c.id",
            2,
        ),
        (
            "SELECT fk.name, OBJECT_SCHEMA_NAME(fk.referenced_object_id), fk.delete_referential_action_desc FROM sys.foreign_keys AS fk JOIN sys.foreign_key_columns k ON k.constraint_object_id = fk.object_id",
            1,
        ),
        ("SELECT name, CAST(seed_value AS bigint), CAST(last_value AS bigint) FROM sys.identity_columns", 1),
        ("SELECT STRING_AGG(name, ',') FROM sales.customer UNION ALL SELECT N'x'", 2),
        ("SELECT MIN(name), MAX(name), COUNT(DISTINCT name), AVG(balance) FROM sales.customer", 1),
        ("BEGIN TRAN; DELETE FROM sales.customer WHERE id = 1; SELECT a FROM sales.[order line]; ROLLBACK", 1),
        (
            "SELECT DATABASEPROPERTYEX(DB_NAME(), 'Updateability'), COLLATIONPROPERTY('Japanese_CI_AS', 'CodePage'), SCHEMA_NAME(1), TYPE_NAME(56), IS_SRVROLEMEMBER('sysadmin'), @@VERSION",
            1,
        ),
    ] {
        assert_eq!(run(&mut session, sql).rows.len(), rows, "{sql}");
    }
}
