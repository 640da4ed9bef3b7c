//! The statements that the job sends, errors that it must tell apart, and transactions.
#![allow(clippy::expect_used, reason = "a test that cannot be prepared has failed")]

mod support;

use support::{Collected, error, lines, login, run, server, session, show, value};
use tsql_engine::Session;
use tsql_engine::value::{EnvChange, Flow, Parameter, SqlType, Value};

/// The statements of the job's catalog, from its source, so that this test follows what the job asks.
fn catalog_statements() -> Vec<(String, String)> {
    let source = include_str!("../../../sync-job/src/sources/sqlserver/catalog/queries.rs");
    let found: Vec<_> = source
        .split("\npub const ")
        .skip(1)
        .filter_map(|part| {
            let (name, rest) = part.split_once(": &str = \"\\\n")?;
            Some((name.to_owned(), rest.split_once("\";")?.0.to_owned()))
        })
        .collect();
    assert!(found.len() >= 10, "the catalog's statements were not found in its source");
    found
}

fn shop() -> support::Server {
    let instance = server();
    let script = "CREATE SCHEMA sales
GO
CREATE TYPE dbo.Phone FROM nvarchar(20) NOT NULL
GO
CREATE TABLE sales.customer (
    id int IDENTITY(10, 5) NOT NULL CONSTRAINT pk_customer PRIMARY KEY CLUSTERED,
    name nvarchar(40) COLLATE Latin1_General_CS_AS NOT NULL,
    phone dbo.Phone NULL,
    mail varchar(50) MASKED WITH (FUNCTION = 'email()') NULL,
    created datetime2(3) NOT NULL CONSTRAINT df_created DEFAULT ('2024-01-01'),
    shout AS (UPPER(name)),
    CONSTRAINT uq_name UNIQUE NONCLUSTERED (name DESC)
);
CREATE TABLE sales.[order] (
    id bigint NOT NULL PRIMARY KEY,
    customer int NOT NULL CONSTRAINT fk_customer FOREIGN KEY REFERENCES sales.customer (id) ON DELETE CASCADE,
    total decimal(12,2) NOT NULL,
    place geography NULL, path hierarchyid NULL, any_value sql_variant NULL, tag xml NULL
);
CREATE INDEX ix_total ON sales.[order] (total DESC, id) INCLUDE (customer) WHERE total > 0
GO
CREATE VIEW sales.big AS SELECT id, total FROM sales.[order] WHERE total > 100
GO
INSERT INTO sales.customer (name, phone) VALUES (N'Ana', N'1'), (N'ana', NULL);
INSERT INTO sales.[order] VALUES
  (1, 10, 99.5, geography::STGeomFromText('POINT(1 2)', 4326), hierarchyid::Parse('/1/2/'), CAST('2024-01-01' AS date), N'<a/>'),
  (2, 15, 100.5, NULL, NULL, CAST(1.5 AS money), NULL)
GO
";
    instance.run_script("shop", script).expect("the script runs on SQL Server, too");
    instance
}

#[expect(clippy::match_same_arms, reason = "arms are told apart by what they mean, not by what they give")]
#[test]
fn the_catalog_tells_what_the_script_made() {
    let instance = shop();
    let mut session = session(&instance);
    for (name, sql) in catalog_statements() {
        let mut out = Collected::default();
        if let Err(error) = session.batch(&sql, &[], &mut out) {
            panic!("{name}: {error}");
        }
        let rows: Vec<String> = out.rows.iter().map(|row| row.iter().map(show).collect::<Vec<_>>().join("|")).collect();
        let cells = |wanted: &str| -> Vec<String> { wanted.split(' ').map(str::to_owned).collect() };
        // Ids are the server's own affair.
        let named = |columns: &str| -> Vec<String> {
            let at: Vec<usize> = cells(columns)
                .iter()
                .map(|wanted| {
                    out.columns.iter().position(|column| column.name == *wanted).expect("a column of the query")
                })
                .collect();
            out.rows.iter().map(|row| at.iter().map(|at| show(&row[*at])).collect::<Vec<_>>().join("|")).collect()
        };
        match name.as_str() {
            "TABLES" => {
                let found = named("schema_name table_name object_type");
                assert_eq!(found, ["sales|big|V ", "sales|customer|U ", "sales|order|U "]);
            }
            "COLUMNS" => {
                let found = named("column_name type_name type_schema base_name is_user_defined max_length precision");
                assert_eq!(found.len(), 6 + 7 + 2);
                assert!(found.contains(&"phone|Phone|dbo|nvarchar|1|40|0".to_owned()), "{found:#?}");
                assert!(found.contains(&"total|decimal|sys|decimal|0|9|12".to_owned()), "{found:#?}");
            }
            "INDEXES" => {
                let found = named(
                    "index_name type_desc is_unique is_primary_key is_unique_constraint has_filter column_name key_ordinal is_descending_key",
                );
                assert!(found.contains(&"uq_name|NONCLUSTERED|1|0|1|0|name|1|1".to_owned()), "{found:#?}");
                assert!(found.iter().any(|row| row.starts_with("ix_total|NONCLUSTERED|0|0|0|1|")));
            }
            "FOREIGN_KEYS" => {
                let found = named("key_name column_name referenced_column delete_referential_action_desc is_disabled");
                assert_eq!(found, ["fk_customer|customer|id|CASCADE|0"]);
            }
            "LISTED_COLUMNS" => assert_eq!(rows.len(), 6 + 7 + 2),
            "LISTED_INDEXES" => assert_eq!(rows.len(), 2 + 2),
            "LISTED_FOREIGN_KEYS" => assert_eq!(named("part_name"), ["fk_customer"]),
            "LISTED_INDEX_COLUMNS" => assert_eq!(rows.len(), 2 + 2),
            "LISTED_FOREIGN_KEY_COLUMNS" => assert_eq!(named("number"), ["1"]),
            "IDENTITIES" => {
                let whole = |value: i128| Value::Decimal { value, scale: 0 };
                assert_eq!(out.rows[0][2..], [whole(10), whole(5)]);
            }
            "MASKED" => assert_eq!(named("of_column of_table of_database"), ["1|1|1"]),
            "SIZES" => assert_eq!(named("row_count"), ["2", "2"]),
            _ => {}
        }
    }
}

/// What a query of the job's catalog returns to the login `reader`.
fn seen_by_reader(instance: &support::Server, name: &str) -> Collected {
    let mut session = Session::open((*instance).clone(), &login("reader", "r", "shop")).expect("the login exists");
    let sql = catalog_statements().into_iter().find(|(found, _)| found == name).expect("the statement exists").1;
    run(&mut session, &sql)
}

/// A column of an answer.
fn column(out: &Collected, name: &str) -> Vec<String> {
    let at = out.columns.iter().position(|column| column.name == name).expect("a column of the query");
    out.rows.iter().map(|row| show(&row[at])).collect()
}

const READER: &str = "CREATE LOGIN reader WITH PASSWORD = 'r'; CREATE USER reader FOR LOGIN reader;";

/// What `email()` shows of any address: its first letter ("Dynamic data masking").
const EMAIL: &str = "aXXX@XXXX.com";

#[test]
fn masks_are_lifted_by_column_table_schema_and_database() {
    let instance = shop();
    run(&mut session(&instance), &format!("{READER} GRANT SELECT ON sales.customer TO reader"));
    let rights = |instance: &support::Server| {
        let out = seen_by_reader(instance, "MASKED");
        let cells = ["of_column", "of_table", "of_database"].map(|name| column(&out, name).concat());
        let mut reader = Session::open((*instance).clone(), &login("reader", "r", "shop")).expect("the login exists");
        (cells.join(""), lines(&mut reader, "SELECT DISTINCT mail FROM sales.customer").concat())
    };
    run(&mut session(&instance), "UPDATE sales.customer SET mail = 'a@b.c'");
    let cases = [
        ("GRANT SELECT ON sales.customer TO reader", ("000", EMAIL)),
        ("GRANT UNMASK ON sales.customer (mail) TO reader", ("100", "a@b.c")),
        (
            "REVOKE UNMASK ON sales.customer (mail) FROM reader; GRANT UNMASK ON sales.customer TO reader",
            ("110", "a@b.c"),
        ),
        ("REVOKE UNMASK ON sales.customer FROM reader; GRANT UNMASK ON SCHEMA::sales TO reader", ("110", "a@b.c")),
        ("REVOKE UNMASK ON SCHEMA::sales FROM reader; GRANT UNMASK TO reader", ("111", "a@b.c")),
        ("DENY UNMASK ON sales.customer (mail) TO reader", ("011", EMAIL)),
    ];
    for (change, (expected, mail)) in cases {
        run(&mut session(&instance), change);
        assert_eq!(rights(&instance), (expected.to_owned(), mail.to_owned()), "{change}");
    }
    // Older servers know UNMASK of the database alone, and answer NULL for the others.
    session(&instance).set_quirk("unmask of database only", true).expect("the quirk exists");
    run(&mut session(&instance), "REVOKE UNMASK ON sales.customer (mail) FROM reader");
    assert_eq!(rights(&instance), ("NULLNULL1".to_owned(), "a@b.c".to_owned()));
    run(&mut session(&instance), "REVOKE UNMASK FROM reader; GRANT UNMASK ON sales.customer TO reader");
    assert_eq!(rights(&instance), ("NULLNULL0".to_owned(), EMAIL.to_owned()));
}

#[test]
fn tables_that_a_login_may_not_read_are_told() {
    let instance = shop();
    let script = "CREATE TABLE dbo.[odd.]]name] (id int NOT NULL); \
                  GRANT SELECT ON sales.customer TO reader; GRANT SELECT ON dbo.[odd.]]name] TO reader; \
                  GRANT SELECT ON sales.[order] TO reader; DENY SELECT ON sales.[order] TO public; \
                  GRANT VIEW DEFINITION TO reader";
    run(&mut session(&instance), &format!("{READER} {script}"));
    let unreadable = column(&seen_by_reader(&instance, "UNREADABLE"), "object_id");
    let names = |id: &String| lines(&mut session(&instance), &format!("SELECT OBJECT_NAME({id})")).concat();
    assert_eq!(unreadable.iter().map(names).collect::<Vec<_>>(), ["order", "big"]);
    let mut session = Session::open(instance.clone(), &login("reader", "r", "shop")).expect("the login exists");
    let sql = "SELECT HAS_PERMS_BY_NAME(n, 'OBJECT', 'SELECT') FROM (VALUES (N'sales.customer'), (N'[sales].[order]'), \
               (N'shop.sales.\"customer\"'), (N'no.such'), (N'elsewhere.sales.customer')) AS t (n)";
    assert_eq!(lines(&mut session, sql), ["1", "0", "1", "NULL", "NULL"]);
}

/// "Metadata visibility configuration": what a login holds no permission on is not there for it, nor is the definition of what it
/// may only read.
#[test]
fn a_login_sees_what_it_holds_a_permission_on() {
    let instance = shop();
    let script = "CREATE TYPE dbo.Point EXTERNAL NAME [shapes].[Point]
GO
CREATE TABLE dbo.placed (id int NOT NULL CONSTRAINT pk_placed PRIMARY KEY, phone dbo.Phone, p dbo.Point NULL, n varchar(5) DEFAULT 'x')";
    instance.run_script("shop", script).expect("the script runs");
    run(
        &mut session(&instance),
        &format!("{READER} GRANT SELECT ON dbo.placed TO reader; GRANT SELECT ON sales.[order] TO reader"),
    );
    let mut reader = Session::open(instance.clone(), &login("reader", "r", "shop")).expect("the login exists");
    let mut seen = |sql: &str| lines(&mut reader, sql);
    assert_eq!(seen("SELECT name FROM sys.tables ORDER BY name"), ["order", "placed"]);
    assert_eq!(seen("SELECT name FROM sys.views"), Vec::<String>::new());
    assert_eq!(seen("SELECT COUNT(*) FROM sys.columns"), ["11"]);
    assert_eq!(seen("SELECT name FROM sys.types WHERE is_user_defined = 1"), Vec::<String>::new());
    assert_eq!(seen("SELECT COUNT(*) FROM sys.types WHERE name IN ('int', 'sysname')"), ["2"]);
    assert_eq!(seen("SELECT TYPE_NAME(user_type_id) FROM sys.columns WHERE name = 'phone'"), ["NULL"]);
    assert_eq!(seen("SELECT OBJECT_ID(N'sales.customer')"), ["NULL"]);
    assert_eq!(seen("SELECT definition FROM sys.default_constraints"), ["NULL"]);
    assert_eq!(seen("SELECT COUNT(*) FROM sys.schemas WHERE name = 'sales'"), ["1"]);
    assert_eq!(error(&mut reader, "SELECT COUNT(*) FROM sys.dm_db_partition_stats"), 262);
    // The foreign key is a part of its own table, and stays when the other is not shown.
    let keys = seen_by_reader(&instance, "FOREIGN_KEYS");
    assert_eq!(
        (column(&keys, "key_name"), column(&keys, "referenced_column")),
        (vec!["fk_customer".to_owned()], vec!["NULL".to_owned()])
    );
    let columns = seen_by_reader(&instance, "COLUMNS");
    let facts = |name: &str| {
        let at = column(&columns, "column_name").iter().position(|found| found == name).expect("the column exists");
        ["type_name", "base_name"].map(|fact| column(&columns, fact)[at].clone())
    };
    assert_eq!(facts("phone"), ["NULL", "nvarchar"]);
    assert_eq!(facts("p"), ["NULL", "NULL"]);
    run(
        &mut session(&instance),
        "GRANT VIEW DEFINITION ON TYPE::dbo.Point TO reader; GRANT EXECUTE ON SCHEMA::dbo TO reader",
    );
    let mut seen = |sql: &str| lines(&mut reader, sql);
    assert_eq!(seen("SELECT name FROM sys.types WHERE is_user_defined = 1 ORDER BY name"), ["Phone", "Point"]);
    assert_eq!(seen("SELECT is_assembly_type, system_type_id FROM sys.types WHERE name = 'Point'"), ["1|240"]);
    run(&mut session(&instance), "GRANT VIEW DEFINITION TO reader; DENY SELECT ON dbo.placed TO reader");
    assert_eq!(seen("SELECT name FROM sys.tables ORDER BY name"), ["customer", "order", "placed"]);
    assert_eq!(
        seen("SELECT definition FROM sys.default_constraints WHERE parent_object_id = OBJECT_ID(N'dbo.placed')"),
        ["('x')"]
    );
    run(
        &mut session(&instance),
        "REVOKE VIEW DEFINITION FROM reader; REVOKE EXECUTE ON SCHEMA::dbo FROM reader; GRANT UNMASK TO reader",
    );
    assert_eq!(seen("SELECT name FROM sys.tables ORDER BY name"), ["order"]);
}

#[test]
fn a_database_is_asked_about_by_a_name_of_one_part() {
    let instance = shop();
    instance.create_database("Contoso.Sales").expect("a name like any other");
    let mut session = Session::open(instance.clone(), &login("sa", "secret", "Contoso.Sales")).expect("it exists");
    let asked = |name: &str| format!("SELECT HAS_PERMS_BY_NAME({name}, 'DATABASE', 'VIEW DEFINITION')");
    for (name, expected) in [
        ("DB_NAME()", "NULL"),
        ("QUOTENAME(DB_NAME())", "1"),
        ("NULL", "1"),
        ("N'[contoso.sales]'", "1"),
        ("N'shop'", "NULL"),
    ] {
        assert_eq!(lines(&mut session, &asked(name)), [expected], "{name}");
    }
    assert_eq!(lines(&mut session, "SELECT HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'NO SUCH')"), ["NULL"]);
    let sql = "SELECT CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(128))";
    assert_eq!(lines(&mut session, sql), ["READ_WRITE"]);
}

#[test]
fn seeds_are_of_their_columns_type() {
    let instance = shop();
    let mut session = session(&instance);
    let sql = "CREATE TABLE dbo.huge (id decimal(38, 0) IDENTITY(-10000000000000000000000, 1) NOT NULL, v int); \
               CREATE TABLE dbo.down (id smallint IDENTITY(-1, -1) NOT NULL)";
    run(&mut session, sql);
    let of = |table: &str| format!("FROM sys.identity_columns WHERE object_id = OBJECT_ID(N'dbo.{table}')");
    assert_eq!(error(&mut session, &format!("SELECT CAST(seed_value AS bigint) {}", of("huge"))), 8115);
    let seed = format!("SELECT TRY_CAST(seed_value AS decimal(38, 0)) {}", of("huge"));
    assert_eq!(value(&mut session, &seed), Value::Decimal { value: -10_000_000_000_000_000_000_000, scale: 0 });
    let base = "CAST(SQL_VARIANT_PROPERTY(seed_value, 'BaseType') AS nvarchar(128))";
    assert_eq!(
        lines(&mut session, &format!("SELECT {base}, CAST(increment_value AS bigint) {}", of("down"))),
        ["smallint|-1"]
    );
}

#[test]
fn a_server_may_not_list_its_own_schema() {
    let instance = shop();
    let mut session = session(&instance);
    let sql = "SELECT COUNT(*) FROM sys.schemas WHERE name = 'sys'";
    assert_eq!(lines(&mut session, sql), ["1"]);
    session.set_quirk("no sys schema", true).expect("the quirk exists");
    assert_eq!(lines(&mut session, sql), ["0"]);
    assert!(session.set_quirk("none such", true).is_err());
}

#[test]
fn the_settings_of_the_job_are_seen_by_others() {
    let instance = shop();
    let mut session = session(&instance);
    let sql = "SET NOCOUNT ON; SET XACT_ABORT ON; SET ANSI_NULLS ON; SET TEXTSIZE 2147483647; SET LANGUAGE us_english; \
               SET DATEFORMAT ymd; SET ROWCOUNT 0; SET DEADLOCK_PRIORITY -10; SET LOCK_TIMEOUT 5000; \
               SET TRANSACTION ISOLATION LEVEL READ COMMITTED";
    run(&mut session, sql);
    let sql = "SELECT program_name, deadlock_priority, lock_timeout, text_size, transaction_isolation_level \
               FROM sys.dm_exec_sessions WHERE session_id = @@SPID";
    assert_eq!(lines(&mut session, sql), ["tests|-10|5000|2147483647|2"]);
    assert_eq!(instance.log().last().map(String::as_str), Some(sql));
}

#[test]
fn the_job_reads_every_kind_of_column() {
    let instance = shop();
    let mut session = session(&instance);
    let sql = "SELECT CAST(CAST([path].ToString() AS nvarchar(4000)) AS varbinary(8000)) FROM [sales].[order] WHERE [id] >= 1 AND [id] < 2";
    let bytes = |text: &str| Value::Binary(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>().into());
    assert_eq!(value(&mut session, sql), bytes("/1/2/"));
    let sql = "SELECT CAST(CAST('SRID=' + CAST([place].STSrid AS varchar(11)) + ';' + [place].AsTextZM() AS nvarchar(max)) \
               AS varbinary(max)) FROM [sales].[order] WHERE [id] = 1";
    assert_eq!(value(&mut session, sql), bytes("SRID=4326;POINT (1 2)"));
    let sql = "SELECT CAST(CAST([tag] AS nvarchar(max)) AS varbinary(max)) FROM [sales].[order] WHERE [id] = 1";
    assert_eq!(value(&mut session, sql), bytes("<a/>"));
    let sql = "SELECT CASE CAST(SQL_VARIANT_PROPERTY([any_value], 'BaseType') AS nvarchar(128)) \
               WHEN N'date' THEN CONVERT(nvarchar(4000), CAST([any_value] AS date), 121) \
               WHEN N'money' THEN CONVERT(nvarchar(4000), CAST([any_value] AS money), 2) \
               ELSE CAST([any_value] AS nvarchar(4000)) END FROM [sales].[order] WHERE ([total] > 0) ORDER BY id";
    assert_eq!(lines(&mut session, sql), ["2024-01-01", "1.5000"]);
    assert_eq!(lines(&mut session, "SELECT MIN([id]), MAX([id]), COUNT_BIG(*) FROM [sales].[order]"), ["1|2|2"]);
}

#[test]
fn errors_have_sql_servers_numbers() {
    let instance = shop();
    let refused = |user: &str, password: &str, database: &str| {
        Session::open(instance.clone(), &login(user, password, database)).err().map(|error| error.number)
    };
    assert_eq!(refused("sa", "wrong", "shop"), Some(18456));
    assert_eq!(refused("sa", "secret", "nowhere"), Some(4060));
    let mut session = session(&instance);
    run(&mut session, "CREATE TABLE narrow (n tinyint NOT NULL PRIMARY KEY, s varchar(2) NULL)");
    run(&mut session, "CREATE UNIQUE INDEX ux ON narrow (s)");
    run(&mut session, "INSERT INTO narrow VALUES (1, 'a')");
    let cases = [
        ("SELECT * FROM nothing", 208),
        ("SELECT nothing FROM narrow", 207),
        ("SELECT FROM", 102),
        ("INSERT INTO narrow VALUES (1, 'b')", 2627),
        ("INSERT INTO narrow VALUES (2, 'A')", 2601),
        ("INSERT INTO narrow VALUES (NULL, 'c')", 515),
        ("INSERT INTO narrow VALUES (256, 'c')", 220),
        ("INSERT INTO narrow VALUES (3, 'ccc')", 2628),
        ("INSERT INTO sales.[order] (id, customer, total) VALUES (9, 999, 1)", 547),
        ("SELECT CAST('x' AS int)", 245),
        ("SELECT CAST('x' AS decimal(9,2))", 8114),
        ("SELECT CAST(1000 AS decimal(3,1))", 8115),
        ("SELECT 1 / 0", 8134),
        ("USE nowhere", 911),
        ("COMMIT", 3902),
        ("DROP TABLE nothing", 3701),
        ("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION; SELECT * FROM narrow", 3952),
    ];
    let mut wrong = Vec::new();
    for (sql, number) in cases {
        let mut out = Collected::default();
        let found = session.batch(sql, &[], &mut out).err();
        if found.as_ref().map(|error| error.number) != Some(number) {
            wrong.push(format!("{sql}: {found:?}, not {number}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_snapshot_transaction_reads_one_state_of_all_tables() {
    let instance = shop();
    let (mut reader, mut writer) = (session(&instance), session(&instance));
    run(&mut writer, "ALTER DATABASE shop SET ALLOW_SNAPSHOT_ISOLATION ON");
    let begun = run(&mut reader, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION");
    assert!(matches!(begun.changes.as_slice(), [EnvChange::BeginTransaction(_)]));
    assert_eq!(lines(&mut reader, "SELECT COUNT(*) FROM sales.customer"), ["2"]);
    run(&mut writer, "DELETE FROM sales.[order]; DELETE FROM sales.customer");
    assert_eq!(lines(&mut reader, "SELECT COUNT(*) FROM sales.[order]"), ["2"]);
    let ended = run(&mut reader, "COMMIT TRANSACTION; SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
    assert!(matches!(ended.changes.as_slice(), [EnvChange::CommitTransaction(_)]));
    assert_eq!(lines(&mut reader, "SELECT COUNT(*) FROM sales.[order]"), ["0"]);
}

#[test]
fn a_reader_that_ends_within_its_transaction_undoes_nobodys_work() {
    let instance = shop();
    let (mut reader, mut writer) = (session(&instance), session(&instance));
    run(&mut reader, "BEGIN TRANSACTION");
    run(&mut writer, "INSERT INTO sales.customer (name) VALUES (N'Zoë')");
    drop(reader);
    assert_eq!(lines(&mut writer, "SELECT COUNT(*) FROM sales.customer"), ["3"]);
}

#[test]
fn a_rolled_back_transaction_leaves_no_trace() {
    let instance = shop();
    let mut session = session(&instance);
    run(&mut session, "BEGIN TRANSACTION; DELETE FROM sales.[order]; ROLLBACK TRANSACTION");
    assert_eq!(lines(&mut session, "SELECT COUNT(*) FROM sales.[order]"), ["2"]);
}

#[test]
fn a_database_snapshot_keeps_its_state_until_it_is_dropped() {
    let instance = shop();
    let mut session = session(&instance);
    let file = lines(&mut session, "SELECT name FROM sys.database_files WHERE type_desc = N'ROWS'").remove(0);
    run(
        &mut session,
        &format!("CREATE DATABASE [snap] ON (NAME = [{file}], FILENAME = N'/x.ss') AS SNAPSHOT OF [shop]"),
    );
    run(&mut session, "DELETE FROM sales.[order]");
    let mut old = Session::open(instance.clone(), &login("sa", "secret", "snap")).expect("the snapshot exists");
    assert_eq!(lines(&mut old, "SELECT COUNT(*) FROM sales.[order]"), ["2"]);
    assert_eq!(error(&mut old, "DELETE FROM sales.[order]"), 3906);
    drop(old);
    let names = "SELECT name FROM sys.databases WHERE source_database_id IS NOT NULL";
    assert_eq!(lines(&mut session, names), ["snap"]);
    run(
        &mut session,
        "IF EXISTS (SELECT name FROM sys.databases WHERE name = N'snap' AND source_database_id IS NOT NULL) DROP DATABASE [snap]",
    );
    assert!(lines(&mut session, names).is_empty());
}

#[test]
fn a_client_that_stops_gets_no_more_rows() {
    let instance = shop();
    let mut session = session(&instance);
    let mut out = Collected { stop_after: Some(1), ..Collected::default() };
    let flow = session.batch("SELECT id FROM sales.[order]; SELECT 1", &[], &mut out);
    assert_eq!(flow, Ok(Flow::Stop));
    assert_eq!(out.rows.len(), 1);
}

#[test]
fn parameters_and_variables_have_values() {
    let instance = shop();
    let mut session = session(&instance);
    let parameter = Parameter { name: "@P1".to_owned(), sql_type: SqlType::Int, value: Value::Int(2) };
    let mut out = Collected::default();
    session.batch("SELECT id FROM sales.[order] WHERE id = @P1", &[parameter], &mut out).expect("it runs");
    assert_eq!(out.rows, [[Value::BigInt(2)]]);
    let sql = "DECLARE @i int = 0; WHILE @i < 3 BEGIN SET @i = @i + 1 END; SELECT @i";
    assert_eq!(value(&mut session, sql), Value::Int(3));
}

#[test]
fn textsize_cuts_text() {
    let instance = shop();
    let mut session = session(&instance);
    run(&mut session, "SET TEXTSIZE 10");
    let found = value(&mut session, "SELECT CAST(REPLICATE('a', 100) AS varchar(max))");
    assert_eq!(show(&found), "a".repeat(10));
}

#[test]
fn the_server_tells_what_it_is() {
    let instance = shop();
    let mut session = session(&instance);
    let cases = [
        ("SELECT CAST(SERVERPROPERTY('ProductMajorVersion') AS nvarchar(128))", "16"),
        ("SELECT HAS_PERMS_BY_NAME(N'sales.customer', 'OBJECT', 'SELECT')", "1"),
        ("SELECT CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS nvarchar(128))", "READ_WRITE"),
        ("SELECT DB_NAME() + ' ' + SUSER_SNAME()", "shop sa"),
        (
            "SELECT COUNT(*) FROM sys.master_files AS f JOIN sys.databases AS d ON d.database_id = f.database_id WHERE d.name = N'shop' AND f.type_desc = N'ROWS'",
            "1",
        ),
        ("SELECT collation_name FROM sys.databases WHERE name = N'shop'", "SQL_Latin1_General_CP1_CI_AS"),
        ("SELECT CASE WHEN OBJECT_ID(N'sales.customer') IS NULL THEN 0 ELSE 1 END", "1"),
        ("EXEC sp_executesql N'SELECT @n + 1', N'@n int', @n = 41", "42"),
        (
            "CREATE TABLE j (s varchar(10) COLLATE Japanese_CI_AS); INSERT INTO j VALUES (CAST(0x81 AS varbinary(10))); SELECT CAST(s AS varbinary(10)) FROM j",
            "[81]",
        ),
    ];
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        let mut out = Collected::default();
        let found = match session.batch(sql, &[], &mut out) {
            Ok(_) => out.rows.first().and_then(|row| row.first()).map_or("no row".to_owned(), show),
            Err(error) => error.to_string(),
        };
        if found != expected {
            wrong.push(format!("{sql}: {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_first_result_set_is_described_without_being_read() {
    let instance = shop();
    let mut session = session(&instance);
    let describe = |sql: &str| {
        format!(
            "IF OBJECT_ID(N'sys.dm_exec_describe_first_result_set') IS NOT NULL \
             SELECT name, CAST(COLLATIONPROPERTY(collation_name, 'CodePage') AS int) \
             FROM sys.dm_exec_describe_first_result_set(N'{sql}', NULL, 0) ORDER BY column_ordinal"
        )
    };
    assert_eq!(
        lines(&mut session, &describe("SELECT name, id, mail FROM sales.customer")),
        ["name|1252", "id|NULL", "mail|1252"]
    );
    assert_eq!(error(&mut session, &describe("SELECT nothing FROM sales.customer")), 207);
    assert_eq!(
        error(&mut session, "SELECT name FROM sys.dm_exec_describe_first_result_set(N'SELECT 1', NULL, 1)"),
        40_000
    );
}
