//! Rules of the target that a run would break each night: each is adapted to, named as left out, or refused by the plan.

use std::fmt::Write as _;

use serde_json::Value;
use stopgap_servers::simulator;
use stopgap_tests::{
    job::Job,
    logins::Login,
    program,
    source::{Address, TestSource},
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;
const PRECHECK_REFUSED: i32 = 3;

fn job(source: &TestSource, target: &TestTarget) -> Job {
    Job::new(source, target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]")
}

/// What refuses the plan, in words, without the breaks of lines.
fn refused(job: &Job) -> String {
    let said = job.command("check", &[]).unwrap().expect_code(PRECHECK_REFUSED).unwrap().stdout;
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The report's part about a table, by the name of its source.
fn of_table<'a>(report: &'a Value, source: &str) -> &'a Value {
    report["tables"].as_array().unwrap().iter().find(|table| table["source"] == source).unwrap()
}

/// MySQL does not even compare a name beyond U+FFFF with its own (error 3854).
async fn one_name_that_cannot_be_keeps_no_other_table_from_being_planned(engine: Engine) {
    let source = TestSource::with(
        "CREATE TABLE dbo.[lieferung🚚] (id int NOT NULL PRIMARY KEY); CREATE TABLE dbo.other (id int NOT NULL PRIMARY KEY); \
         INSERT INTO dbo.other VALUES (1)",
    )
    .await
    .unwrap();
    let target = TestTarget::on(engine).unwrap();
    if engine == Engine::Postgres {
        job(&source, &target).run().unwrap().expect_code(0).unwrap();
        assert_eq!(target.value("SELECT count(*) FROM \"lieferung🚚\"").unwrap(), "0");
        return;
    }
    let said = refused(&job(&source, &target));
    assert!(said.contains("dbo.lieferung🚚: the table name") && said.contains("beyond U+FFFF"), "{said}");
    let renamed = "[[table]]\nsource = \"dbo.lieferung🚚\"\ntarget = \"lieferung\"";
    job(&source, &target).sections(renamed).run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id FROM other").unwrap(), ["1"]);
}

/// A view that leaves the database in a way that the plan does not see: by a synonym, or where its definition is hidden.
async fn a_view_that_leaves_the_snapshot_says_what_to_set(engine: Engine) {
    // Faults are the server's, and other engines' tests have theirs.
    let view = format!("v_of_{}", format!("{engine:?}").to_lowercase());
    let source = TestSource::with(&format!(
        "CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY)\nGO\nINSERT INTO dbo.t VALUES (1)\nGO\n\
         CREATE VIEW dbo.{view} AS SELECT id FROM dbo.t\nGO\nALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON"
    ))
    .await
    .unwrap();
    source.run(&format!("EXEC simulator_fault 'error 3952', 'from [dbo].[{view}]', 0, 99, 0")).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = Job::new(&source, &target).unwrap();
    let job = job.source("consistency = \"snapshot\"").sections("[tables]\ninclude = [\"dbo.*\"]\nviews = true");
    let report = job.run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    let remedy = of_table(&report, &format!("dbo.{view}"))["failure"]["remedy"].as_str().unwrap().to_owned();
    assert!(remedy.contains("consistency = \"none\""), "{remedy}");
}

/// Cyrillic letters in an order that no compression shortens much.
fn letters(length: usize) -> String {
    let all: Vec<char> = ('А'..='я').collect();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        all[(state >> 32) as usize % all.len()]
    };
    (0..length).map(next).collect()
}

/// A key of a single-byte code page is two or three times as long in UTF-8, and compresses or not.
async fn an_index_that_a_row_is_too_long_for_is_left_out_and_named(engine: Engine) {
    let key = engine.pick(1700, 400);
    let declared = format!("varchar({key}) COLLATE Cyrillic_General_CI_AS NOT NULL");
    let source = TestSource::with(&format!(
        "CREATE TABLE dbo.plain_keys (id int NOT NULL CONSTRAINT pk_plain PRIMARY KEY, k {declared}, n int NOT NULL); \
         CREATE INDEX ix_k ON dbo.plain_keys (k); CREATE INDEX ix_n ON dbo.plain_keys (n); \
         CREATE TABLE dbo.short_keys (id int NOT NULL CONSTRAINT pk_short PRIMARY KEY, k {declared}); \
         CREATE INDEX ix_short ON dbo.short_keys (k); \
         CREATE TABLE dbo.unique_keys (id int NOT NULL CONSTRAINT pk_unique PRIMARY KEY, k {declared}); \
         CREATE UNIQUE INDEX ix_unique ON dbo.unique_keys (k)"
    ))
    .await
    .unwrap();
    let long = letters(key);
    let repeated = "ж".repeat(key);
    source
        .run(&format!(
            "INSERT INTO dbo.plain_keys VALUES (1, N'{long}', 7)\nGO\nINSERT INTO dbo.short_keys VALUES (1, N'{repeated}')\nGO\n\
             INSERT INTO dbo.unique_keys VALUES (1, N'{long}')"
        ))
        .await
        .unwrap();
    let target = match engine {
        Engine::Postgres => TestTarget::on(engine).unwrap(),
        // Keys of 768 bytes, whereas the plan reckons with pages of 16 KiB.
        _ => TestTarget::with_own(engine, None, &[("innodb-page-size", "4k")]).unwrap(),
    };
    if engine == Engine::MariaDb {
        // It indexes the beginning of a long key, and makes sure by a hash that it is unique.
        for _ in 0..2 {
            job(&source, &target).run().unwrap().expect_code(0).unwrap();
        }
        return;
    }
    for _ in 0..2 {
        let report = job(&source, &target).run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
        let plain = of_table(&report, "dbo.plain_keys");
        assert_eq!(plain["not_created_codes"][0]["why"], "refused_for_length", "{plain}");
        assert_eq!(plain["not_created_codes"][0]["name"], "ix_k", "{plain}");
        assert!(plain["warnings"].to_string().contains("not created: index ix_k"), "{plain}");
        let unique = of_table(&report, "dbo.unique_keys");
        assert_eq!(unique["failure"]["stage_code"], "index", "{unique}");
        assert!(unique["failure"]["remedy"].to_string().contains("indexes ="), "{unique}");
        assert_eq!(target.rows("SELECT id, n FROM plain_keys").unwrap(), ["1|7"]);
    }
    let names = engine.pick(
        "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT DISTINCT LOWER(CONCAT(table_name, '.', index_name)) FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name NOT LIKE 'stopgap%' \
         ORDER BY 1",
    );
    // What compresses is indexed; MySQL goes by what is declared.
    let expected: &[&str] = engine.pick(
        &["ix_n", "ix_short", "pk_plain", "pk_short"],
        &["plain_keys.ix_n", "plain_keys.primary", "short_keys.primary"],
    );
    assert_eq!(target.rows(names).unwrap(), expected);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// SQL Server takes the columns of a key in any order, and MySQL in the index's; types must be alike there, whatever the job file asks for.
async fn foreign_keys_follow_the_index_and_the_types(engine: Engine) {
    let source = TestSource::with(
        "CREATE TABLE dbo.parent (y int NOT NULL, x int NOT NULL, CONSTRAINT pk_parent PRIMARY KEY (y, x)); \
         CREATE TABLE dbo.child (id int NOT NULL PRIMARY KEY, a int NOT NULL, b int NOT NULL, \
         CONSTRAINT fk_child FOREIGN KEY (a, b) REFERENCES dbo.parent (x, y)); \
         CREATE TABLE dbo.other (id int NOT NULL PRIMARY KEY); \
         CREATE TABLE dbo.leaf (id int NOT NULL PRIMARY KEY, o int NOT NULL, CONSTRAINT fk_leaf FOREIGN KEY (o) REFERENCES dbo.other (id)); \
         INSERT INTO dbo.parent (y, x) VALUES (1, 2); INSERT INTO dbo.child VALUES (1, 2, 1); INSERT INTO dbo.other VALUES (7); \
         INSERT INTO dbo.leaf VALUES (1, 7)",
    )
    .await
    .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let sections = "[tables]\ninclude = [\"dbo.*\"]\nforeign_keys = \"create\"\n\n[[table]]\nsource = \"dbo.other\"\n\
                    [table.target_types]\nid = \"bigint\"";
    for _ in 0..2 {
        let outcome = Job::new(&source, &target).unwrap().sections(sections).run().unwrap().expect_code(0).unwrap();
        let report = outcome.json().unwrap();
        let leaf = of_table(&report, "dbo.leaf")["not_created"].to_string();
        assert_eq!(leaf.contains("foreign key fk_leaf: o is int"), engine != Engine::Postgres, "{leaf}");
    }
    let keys = engine.pick(
        "SELECT conname FROM pg_constraint WHERE contype = 'f' ORDER BY 1",
        "SELECT constraint_name FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE() ORDER BY 1",
    );
    let expected: &[&str] = engine.pick(&["fk_child", "fk_leaf"], &["fk_child"]);
    assert_eq!(target.rows(keys).unwrap(), expected);
}

/// Names of more than the target takes, alike in all that it takes.
async fn long_names_are_hashed_where_the_job_file_says_so(engine: Engine) {
    let long =
        |end: &str| format!("Deutsche Handelsgesellschaft mit beschraenkter Haftung Vertrieb$Sales Header {end}");
    let source = TestSource::with(&format!(
        "CREATE TABLE dbo.[{0}] (id int NOT NULL PRIMARY KEY, [{2}] int); CREATE TABLE dbo.[{1}] (id int NOT NULL PRIMARY KEY, [{2}] int); \
         INSERT INTO dbo.[{0}] VALUES (1, 10); INSERT INTO dbo.[{1}] VALUES (2, 20)",
        long("Archive"),
        long("Buffer"),
        long("Amount"),
    ))
    .await
    .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let said = refused(&job(&source, &target));
    assert!(said.contains("long_names = \"hash\"") && said.contains("name-too-long"), "{said}");
    let hashed = || {
        let job = Job::new(&source, &target).unwrap();
        job.sections("[tables]\ninclude = [\"dbo.*\"]\nlong_names = \"hash\"")
    };
    for _ in 0..2 {
        hashed().run().unwrap().expect_code(0).unwrap();
    }
    let tables = engine.pick(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name NOT LIKE 'stopgap%' ORDER BY 1",
    );
    let tables = target.rows(tables).unwrap();
    assert_eq!(tables.len(), 2, "{tables:?}");
    let mut found = Vec::new();
    for table in &tables {
        assert!(table.starts_with("deutsche handelsgesellschaft mit") && table.chars().count() <= 64, "{table}");
        found.push(
            target
                .value(&engine.pick(format!("SELECT id FROM \"{table}\""), format!("SELECT id FROM `{table}`")))
                .unwrap(),
        );
    }
    found.sort();
    assert_eq!(found, ["1", "2"]);
}

async fn schemas_of_the_server_itself_are_refused_in_the_plan(engine: Engine) {
    let source = TestSource::with("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY)").await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let names: &[&str] =
        engine.pick(&["pg_sales", "pg_catalog", "information_schema"], &["mysql", "SYS", "information_schema"]);
    for name in names {
        let into = format!("[target.schemas]\ndbo = {name:?}");
        let said = refused(&job(&source, &target).sections(&into));
        assert!(said.contains(&format!("the schema {name:?}")) && said.contains("name-not-taken"), "{said}");
    }
    if engine == Engine::Postgres {
        let made = format!("{:#}", target.run("CREATE SCHEMA pg_sales").unwrap_err());
        assert!(made.contains("unacceptable schema name"), "{made}");
    }
}

/// What `check` says of database snapshots on a server with this quirk.
async fn snapshots_refused(engine: Engine, quirk: &str) -> String {
    let source = TestSource::with("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY)").await.unwrap();
    source.run(&format!("EXEC simulator_quirk '{quirk}', 'on'")).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    refused(&job(&source, &target).source("consistency = \"database-snapshot\""))
}

async fn database_snapshots_are_refused_where_there_are_none(engine: Engine) {
    for edition in [5, 8] {
        let said = snapshots_refused(engine, &format!("engine edition {edition}")).await;
        assert!(said.contains("Azure SQL has no database snapshots") && said.contains("\"snapshot\""), "{said}");
    }
    let said = snapshots_refused(engine, "secondary replica").await;
    assert!(said.contains("listener") && said.contains("[database-snapshot]"), "{said}");

    let simulator = simulator::Simulator::start(
        &program("STOPGAP_SIMULATOR", "mssql-simulator").unwrap(),
        &simulator::Options::default(),
    )
    .unwrap();
    let address = Address {
        host: simulator.host().to_owned(),
        port: simulator.port(),
        user: simulator::USER.to_owned(),
        password: simulator::PASSWORD.to_owned(),
    };
    let source = TestSource::at(address).await.unwrap();
    source.run("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY)\nGO\nCREATE DATABASE rdsadmin").await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let said = refused(&job(&source, &target).source("consistency = \"database-snapshot\""));
    assert!(said.contains("Amazon RDS has no database snapshots"), "{said}");
}

on_each_engine!(
    database_snapshots_are_refused_where_there_are_none,
    one_name_that_cannot_be_keeps_no_other_table_from_being_planned,
    a_view_that_leaves_the_snapshot_says_what_to_set,
    an_index_that_a_row_is_too_long_for_is_left_out_and_named,
    foreign_keys_follow_the_index_and_the_types,
    long_names_are_hashed_where_the_job_file_says_so,
    schemas_of_the_server_itself_are_refused_in_the_plan,
);

/// Each table is a type, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_the_name_of_a_type_is_refused_in_the_plan() {
    let source = TestSource::with(
        "CREATE TABLE dbo.status (id int NOT NULL PRIMARY KEY); CREATE TABLE dbo._orders (id int NOT NULL PRIMARY KEY); \
         CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY)",
    )
    .await
    .unwrap();
    let target = TestTarget::new().unwrap();
    // The server renames the array type of orders, which is called _orders.
    target.run("CREATE TYPE status AS ENUM ('open', 'closed'); CREATE TABLE orders (id int PRIMARY KEY)").unwrap();
    let made = format!("{:#}", target.run("CREATE TABLE status (id int)").unwrap_err());
    assert!(made.contains("type \"status\" already exists"), "{made}");
    let said = refused(&job(&source, &target));
    assert!(said.contains("the target's public.status is a type") && said.contains("target-not-a-table"), "{said}");
    assert!(!said.contains("the target's public._orders"), "{said}");
    let renamed = "[[table]]\nsource = \"dbo.status\"\ntarget = \"states\"";
    for _ in 0..2 {
        job(&source, &target).sections(renamed).run().unwrap().expect_code(0).unwrap();
    }
}

/// A table of so many columns beside nothing else.
async fn wide(count: usize, column: &str, values: &[&str]) -> TestSource {
    let join = |each: &dyn Fn(usize) -> String| (0..count).map(each).collect::<Vec<_>>().join(", ");
    let mut script = format!("CREATE TABLE dbo.wide ({})", join(&|number| format!("c{number} {column}")));
    for value in values {
        // Only the first column differs.
        let cells = join(&|number| if number == 0 { (*value).to_owned() } else { values[values.len() - 1].to_owned() });
        write!(script, "\nGO\nINSERT INTO dbo.wide VALUES ({cells})").unwrap();
    }
    TestSource::with(&script).await.unwrap()
}

/// PostgreSQL makes tables whose rows it cannot hold. At the edge the plan and the server say the same.
#[tokio::test(flavor = "multi_thread")]
async fn rows_wider_than_a_page_are_refused_in_the_plan() {
    let long = "REPLICATE(CAST(NEWID() AS nvarchar(36)), 120)";
    for (fits, column, values) in [
        (1_017, "bigint NOT NULL", &["1"][..]),
        // One NULL costs a bit for each column, and saves eight bytes.
        (1_002, "bigint NULL", &["NULL", "1"][..]),
        (452, "nvarchar(max) NOT NULL", &[long][..]),
    ] {
        let allowed = "[tables]\ninclude = [\"dbo.*\"]\nwide_rows = \"allow\"";
        let source = wide(fits, column, values).await;
        let target = TestTarget::new().unwrap();
        let run = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]").run().unwrap();
        run.expect_code(0).unwrap_or_else(|error| panic!("{fits} x {column}: {error:#}"));

        let source = wide(fits + 1, column, values).await;
        let target = TestTarget::new().unwrap();
        let said = refused(&job(&source, &target));
        assert!(said.contains("exclude_columns") && said.contains("8160"), "{column}: {said}");
        if column.ends_with("NOT NULL") && !column.contains("max") {
            assert!(said.contains("row-too-wide"), "{said}");
            continue;
        }
        assert!(said.contains("wide_rows") && said.contains("row-may-be-too-long"), "{said}");
        let report = Job::new(&source, &target).unwrap().sections(allowed).run().unwrap();
        let report = report.expect_code(TABLES_FAILED).unwrap().json().unwrap();
        assert!(report["tables"][0]["failure"]["message"].to_string().contains("row is too big"), "{report}");
    }
}

/// Rows of a wide table that are NULL for the most part are copied where the job file says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_wide_table_of_nulls_is_copied_where_the_job_file_says_so() {
    let source = wide(1_023, "bigint NULL", &["1", "NULL"]).await;
    let target = TestTarget::new().unwrap();
    let job = Job::new(&source, &target).unwrap();
    job.sections("[tables]\ninclude = [\"dbo.*\"]\nwide_rows = \"allow\"").run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.value("SELECT count(*) FROM wide").unwrap(), "2");
}

/// The new table is given to the old one's owner at the swap, after the whole load.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_without_rights_on_the_schema_is_found_in_the_plan() {
    let source = TestSource::with("CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.t VALUES (1)")
        .await
        .unwrap();
    let target = TestTarget::new().unwrap();
    let login = Login::with_the_readmes_rights(&target).unwrap();
    let owner = format!("owner_{}", target.database);
    target
        .run(&format!(
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE {owner}; GRANT {owner} TO {}; CREATE TABLE t (id int PRIMARY KEY); \
             ALTER TABLE t OWNER TO {owner}; GRANT pg_read_all_stats TO {}",
            login.name, login.name
        ))
        .unwrap();
    let as_login = || login.of(job(&source, &target));
    let said = refused(&as_login());
    assert!(said.contains(&format!("GRANT CREATE ON SCHEMA \"public\" TO \"{owner}\"")), "{said}");
    target.run(&format!("GRANT CREATE ON SCHEMA public TO {owner}")).unwrap();
    for _ in 0..2 {
        as_login().run().unwrap().expect_code(0).unwrap();
    }
    assert_eq!(target.value("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 't'").unwrap(), owner);
    target.run(&format!("DROP OWNED BY {owner}; DROP ROLE {owner}")).unwrap();
    login.drop_from(&target).unwrap();
}

/// Whatever the role is set to, what the job writes and reads is the same, and others' code runs as it would without the job.
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_role_are_others_code_s_and_not_the_job_s() {
    let source = TestSource::with(
        "CREATE TABLE dbo.t (id int NOT NULL PRIMARY KEY, f float, r real, d datetime2(7), b varbinary(20), x xml, s nvarchar(50), \
         n decimal(38,10), i time(7)); CREATE TABLE dbo.kept (id int NOT NULL PRIMARY KEY)\nGO\nINSERT INTO dbo.t VALUES (1, 0.1, 0.1, \
         '0001-01-01', 0x5C00FF, N'text<b/>', N'a\\b''c', -0.0000000001, '23:59:59.9999999'); INSERT INTO dbo.kept VALUES (1)",
    )
    .await
    .unwrap();
    let target = TestTarget::new().unwrap();
    let role = format!("weird_{}", target.database);
    let settings = [
        "extra_float_digits = -15",
        "xmloption = document",
        "statement_timeout = '50ms'",
        "idle_in_transaction_session_timeout = '50ms'",
        "datestyle = 'SQL, DMY'",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_read_only = on",
        "bytea_output = 'escape'",
        "intervalstyle = 'iso_8601'",
        "timezone = 'Asia/Kolkata'",
        "search_path = 'theirs'",
        "lock_timeout = '10ms'",
        "quote_all_identifiers = on",
        "backslash_quote = off",
        "transform_null_equals = on",
        "synchronous_commit = off",
        "array_nulls = off",
        "default_transaction_deferrable = on",
        "client_encoding = 'LATIN1'",
    ];
    let settings = settings.map(|setting| format!("ALTER ROLE {role} SET {setting};")).concat();
    target
        .run(&format!(
            "CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'weird'; {settings} CREATE SCHEMA theirs; \
             CREATE TABLE theirs.seen (path text, zone text, style text, options text, digits text, day text); \
             CREATE TABLE kept (id int PRIMARY KEY); \
             CREATE FUNCTION theirs.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES \
             (current_setting('search_path'), current_setting('timezone'), current_setting('datestyle'), current_setting('xmloption'), \
              current_setting('extra_float_digits'), date '2024-02-01'::text); RETURN NULL; END $$; \
             CREATE TRIGGER see AFTER INSERT ON kept FOR EACH ROW EXECUTE FUNCTION theirs.see()"
        ))
        .unwrap();
    let weird = || {
        job(&source, &target).target(&format!("user = \"{role}\"")).env(stopgap_tests::job::TARGET_PASSWORD, "weird")
    };
    for _ in 0..2 {
        let outcome = weird().run().unwrap().expect_code(0).unwrap();
        assert!(!outcome.stdout.contains("changes from"), "{}", outcome.stdout);
    }
    weird().command("verify", &[]).unwrap().expect_code(0).unwrap();
    assert_eq!(
        target.rows("SELECT * FROM theirs.seen").unwrap(),
        ["theirs|Asia/Kolkata|SQL, DMY|document|-15|01/02/2024"]
    );
    target.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).unwrap();
}

/// A trigger writes down the server's time, not the job's.
async fn triggers_see_the_servers_time_zone(engine: Engine) {
    let source =
        TestSource::with("CREATE TABLE dbo.kept (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.kept VALUES (1)")
            .await
            .unwrap();
    let target = TestTarget::with_own(engine, None, &[("default-time-zone", "+05:30")]).unwrap();
    target
        .run(
            "CREATE TABLE kept (id int PRIMARY KEY); CREATE TABLE seen (zone varchar(20)); \
             CREATE TRIGGER see AFTER INSERT ON kept FOR EACH ROW INSERT INTO seen VALUES (@@session.time_zone)",
        )
        .unwrap();
    for _ in 0..2 {
        job(&source, &target).run().unwrap().expect_code(0).unwrap();
    }
    assert_eq!(target.rows("SELECT zone FROM seen").unwrap(), ["+05:30"]);
}

mod their_settings {
    use super::triggers_see_the_servers_time_zone;

    on_each_mysql!(triggers_see_the_servers_time_zone);
}
