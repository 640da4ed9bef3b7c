//! What the source's own engine says of a table, and when it is asked.

use serde_json::Value;
use stopgap_servers::simulator::{self, Simulator};
use stopgap_tests::{
    job::{Job, Outcome},
    program,
    source::{Address, TestSource},
    target::{Engine, TestTarget},
};

use super::interruption::stop_in_the_middle;

on_each_engine!(
    a_share_of_a_large_table_is_witnessed_by_each_kind_of_key,
    an_older_server_is_asked_for_what_it_knows,
    a_table_that_moves_is_said_to_move,
    a_transaction_bears_witness_of_its_own_state,
    what_is_changed_as_planned_is_counted_only,
    what_the_source_makes_up_keeps_no_table_back,
    nothing_is_asked_where_the_job_file_says_so,
    a_witness_that_cannot_be_had_keeps_no_table_back,
    a_witness_that_broke_off_is_heard_again,
);

const DIGITS: &str = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))";

fn witness(outcome: &Outcome, table: &str) -> Value {
    let report = outcome.json().unwrap();
    let tables = report["tables"].as_array().unwrap();
    tables.iter().find(|found| found["source"] == format!("dbo.{table}")).unwrap()["witness"].clone()
}

/// 51,000 numbers, as a table of its own.
fn numbers() -> String {
    format!(
        "SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.n AS n FROM {DIGITS} AS a(d) CROSS JOIN {DIGITS} AS b(d) \
         CROSS JOIN {DIGITS} AS c(d) CROSS JOIN (SELECT t.d + 10 * u.d AS n FROM {DIGITS} AS t(d) CROSS JOIN {DIGITS} AS u(d) \
         WHERE t.d + 10 * u.d < 51) AS d"
    )
}

async fn a_share_of_a_large_table_is_witnessed_by_each_kind_of_key(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    for (table, key, value) in [
        ("by_int", "int NOT NULL", "n - 30000"),
        ("by_decimal", "decimal(12,2) NULL", "CAST(n AS decimal(12,2)) / 4"),
        (
            "by_moment",
            "datetime2(7) NOT NULL",
            "DATEADD(minute, n, CAST('2020-01-01T00:00:30.1234567' AS datetime2(7)))",
        ),
        ("by_bytes", "binary(4) NOT NULL", "CAST(CAST(n AS bigint) * 84000 AS binary(4))"),
        ("by_nothing", "bit NULL", "n % 2"),
    ] {
        source
            .run(&format!(
                "CREATE TABLE dbo.{table} (k {key}, v int NOT NULL);
                 INSERT INTO dbo.{table} (k, v) SELECT {value}, n FROM ({}) AS numbers;
                 CREATE CLUSTERED INDEX ix ON dbo.{table} (k)",
                numbers()
            ))
            .await
            .unwrap();
    }
    let target = TestTarget::on(engine).unwrap();
    let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]\nindexes = \"none\"");
    let outcome = job.run().unwrap().expect_code(0).unwrap();
    for table in ["by_int", "by_decimal", "by_moment", "by_bytes"] {
        let witness = witness(&outcome, table);
        assert_eq!(
            (&witness["state"], &witness["ranges"]),
            (&"agrees".into(), &serde_json::json!([2, 422])),
            "{witness}"
        );
    }
    let other = witness(&outcome, "by_nothing");
    assert!(other["state"] == "not_witnessed" || other["state"] == "agrees" && other["ranges"].is_null(), "{other}");
    // Who compares by hand compares it all.
    let outcome =
        job.command("verify", &["--format", "json", "--table", "dbo.by_bytes"]).unwrap().expect_code(0).unwrap();
    let witness = witness(&outcome, "by_bytes");
    assert!(witness["state"] == "agrees" && witness["ranges"].is_null() && witness["columns"] == 2, "{witness}");
}

/// A snapshot holds rows, not the time of day, random numbers or what a mask shows.
async fn what_the_source_makes_up_keeps_no_table_back(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    source
        .run(
            "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;
             CREATE TABLE dbo.orders (id int NOT NULL PRIMARY KEY, placed datetime NOT NULL);
             INSERT INTO dbo.orders VALUES (1, '2024-01-01T23:59:29.187'), (2, '2024-01-01T00:00:00.003');
             CREATE TABLE dbo.filtered (id int NOT NULL PRIMARY KEY);
             INSERT INTO dbo.filtered VALUES (1), (2), (3);
             GO
             CREATE VIEW dbo.stamped AS SELECT id, NEWID() AS made FROM dbo.orders",
        )
        .await
        .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let sections =
        "[tables]\ninclude = [\"dbo.*\"]\nviews = true\n[[table]]\nsource = \"dbo.filtered\"\nfilter = \"id < 3\"";
    for consistency in ["snapshot", "none"] {
        let job = Job::new(&source, &target).unwrap().source(&format!("consistency = \"{consistency}\""));
        let outcome = job.sections(sections).run().unwrap().expect_code(0).unwrap();
        for (table, state) in [("orders", "agrees"), ("stamped", "moved"), ("filtered", "agrees")] {
            let witness = witness(&outcome, table);
            assert_eq!(witness["state"], state, "{consistency}, {table}: {witness}");
        }
    }
}

const TEXTS: &str = "CREATE TABLE dbo.texts (id int NOT NULL PRIMARY KEY, a varchar(40) COLLATE Greek_CI_AS NULL, b nvarchar(max) NULL,
       c char(9) NULL, d varbinary(max) NULL);
     INSERT INTO dbo.texts VALUES (1, N'Ελλάδα', N'🚚 注文  ', 'ab', CAST(REPLICATE(CAST('x' AS varchar(max)), 9000) AS varbinary(max)));
     INSERT INTO dbo.texts VALUES (2, '', N'', '', 0x), (3, NULL, NULL, NULL, NULL)";

/// Before 2019 no UTF-8, and before 2016 no hash of more than 8,000 bytes.
async fn an_older_server_is_asked_for_what_it_knows(engine: Engine) {
    for year in ["2014", "2017", "2019"] {
        let options = simulator::Options { server_version: Some(year), ..simulator::Options::default() };
        let simulator = Simulator::start(&program("STOPGAP_SIMULATOR", "mssql-simulator").unwrap(), &options).unwrap();
        let address = Address {
            host: simulator.host().to_owned(),
            port: simulator.port(),
            user: simulator::USER.to_owned(),
            password: simulator::PASSWORD.to_owned(),
        };
        let source = TestSource::at(address).await.unwrap();
        source.run(TEXTS).await.unwrap();
        let target = TestTarget::on(engine).unwrap();
        let job = Job::new(&source, &target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]");
        let outcome = job.run().unwrap().expect_code(0).unwrap();
        let witness = witness(&outcome, "texts");
        assert!(witness["state"] == "agrees" && witness["columns"] == 5, "SQL Server {year}: {witness}");
    }
}

async fn a_table_that_moves_is_said_to_move(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    source
        .run(&format!(
            "CREATE TABLE dbo.busy (id int NOT NULL PRIMARY KEY, v int NOT NULL, still int NOT NULL);
             INSERT INTO dbo.busy (id, v, still) SELECT n, n, n FROM ({}) AS numbers WHERE n < 45000",
            numbers()
        ))
        .await
        .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = Job::new(&source, &target).unwrap().job("readers = 1").sections("[tables]\ninclude = [\"dbo.*\"]");
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    stop_in_the_middle(&target, &mut running);
    source.run("UPDATE dbo.busy SET v = v + 1 WHERE id % 2 = 1").await.unwrap();
    running.signal("CONT").unwrap();
    let outcome = running.wait().unwrap().expect_code(0).unwrap();
    let witness = witness(&outcome, "busy");
    assert!(witness["state"] == "moved" && witness["columns"].as_u64() >= Some(2), "{witness}");
    let text = job.command("verify", &[]).unwrap().stdout;
    assert!(!text.contains("moved, not witnessed"), "nothing moves any more: {text}");
}

async fn a_transaction_bears_witness_of_its_own_state(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    source
        .run(&format!(
            "ALTER DATABASE [{}] SET ALLOW_SNAPSHOT_ISOLATION ON;
             CREATE TABLE dbo.busy (id int NOT NULL PRIMARY KEY, v int NOT NULL);
             INSERT INTO dbo.busy (id, v) SELECT n, n FROM ({}) AS numbers WHERE n < 45000",
            source.database,
            numbers()
        ))
        .await
        .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = Job::new(&source, &target)
        .unwrap()
        .source("consistency = \"snapshot\"")
        .sections("[tables]\ninclude = [\"dbo.*\"]");
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    stop_in_the_middle(&target, &mut running);
    source.run("UPDATE dbo.busy SET v = v + 1").await.unwrap();
    running.signal("CONT").unwrap();
    let outcome = running.wait().unwrap().expect_code(0).unwrap();
    let witness = witness(&outcome, "busy");
    assert!(witness["state"] == "agrees" && witness["columns"] == 2, "{witness}");
}

async fn what_is_changed_as_planned_is_counted_only(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    source
        .run(
            "CREATE TABLE dbo.notes (id int NOT NULL PRIMARY KEY, v nvarchar(20) NULL, t time(7) NOT NULL, o datetimeoffset(7) NOT NULL);
             INSERT INTO dbo.notes VALUES (1, N'a' + NCHAR(0xD800), '23:59:59.9999999', '2026-01-01T00:00:00.1234567-14:00'),
               (2, N'fine', '00:00:00', '0001-01-01T00:00:00+00:00')",
        )
        .await
        .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let sections = "[tables]\ninclude = [\"dbo.*\"]\nundecodable = \"replace\"";
    let outcome = Job::new(&source, &target).unwrap().sections(sections).run().unwrap().expect_code(0).unwrap();
    let witness = witness(&outcome, "notes");
    let why = "1 value was changed as planned: undecodable bytes replaced by U+FFFD";
    assert_eq!(witness["unwitnessed"], serde_json::json!([{"column": "v", "why": why}]), "{witness}");
    assert_eq!((&witness["state"], &witness["columns"]), (&"agrees".into(), &3.into()), "{witness}");
}

async fn nothing_is_asked_where_the_job_file_says_so(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    source.run("CREATE TABLE dbo.quiet (id int NOT NULL PRIMARY KEY)").await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let sections = "[tables]\ninclude = [\"dbo.*\"]\nwitness = \"off\"";
    let job = Job::new(&source, &target).unwrap().sections(sections);
    for command in ["run", "verify"] {
        let outcome = job.command(command, &["--format", "json"]).unwrap().expect_code(0).unwrap();
        let witness = witness(&outcome, "quiet");
        assert_eq!(witness["why"], "not witnessed: witness = \"off\"", "{command}: {witness}");
    }
}

/// A table read in a SNAPSHOT transaction, which an error ends, and one that is read as it lives.
async fn fixture(name: &str, consistency: &str, engine: Engine) -> (TestSource, TestTarget, Job) {
    let source = TestSource::new().await.unwrap();
    source
        .run(&format!(
            "ALTER DATABASE [{}] SET ALLOW_SNAPSHOT_ISOLATION ON;
             CREATE TABLE dbo.{name} (id int NOT NULL PRIMARY KEY, v money NULL);
             INSERT INTO dbo.{name} VALUES (1, 900719925474.0993), (2, NULL)",
            source.database
        ))
        .await
        .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = Job::new(&source, &target)
        .unwrap()
        .source(&format!("consistency = \"{consistency}\""))
        .sections("[tables]\ninclude = [\"dbo.*\"]");
    (source, target, job)
}

fn is_a_real_server() -> bool {
    let real = std::env::var_os("SYNC_TEST_MSSQL").is_some();
    if real {
        println!("a real server takes no scripted faults: nothing is tested here");
    }
    real
}

async fn a_witness_that_cannot_be_had_keeps_no_table_back(engine: Engine) {
    for consistency in ["snapshot", "none"] {
        let name = format!("mute_{consistency}_{engine:?}").to_lowercase();
        let (source, target, job) = fixture(&name, consistency, engine).await;
        if is_a_real_server() {
            return;
        }
        // In a transaction the rows come first.
        let skip = u32::from(consistency == "snapshot");
        let fault = format!("EXEC simulator_fault 'error 8115', 'from [dbo].[{name}]', {skip}, 1, 0");
        source.run(&fault).await.unwrap();
        let outcome = job.run().unwrap().expect_code(0).unwrap();
        let witness = witness(&outcome, &name);
        let why = witness["why"].as_str().unwrap_or_default();
        assert!(witness["state"] == "not_witnessed" && why.contains("8115"), "{consistency}: {witness}");
        assert_eq!(target.rows(&format!("SELECT id FROM {name} ORDER BY id")).unwrap(), ["1", "2"]);
    }
}

async fn a_witness_that_broke_off_is_heard_again(engine: Engine) {
    for consistency in ["snapshot", "none"] {
        let name = format!("broken_{consistency}_{engine:?}").to_lowercase();
        let (source, _target, job) = fixture(&name, consistency, engine).await;
        if is_a_real_server() {
            return;
        }
        let skip = u32::from(consistency == "snapshot");
        source.run(&format!("EXEC simulator_fault 'error 1205', 'from [dbo].[{name}]', {skip}, 1, 0")).await.unwrap();
        let outcome = job.run().unwrap().expect_code(0).unwrap();
        let retries = outcome.json().unwrap()["tables"][0]["retries"].as_u64().unwrap();
        let witness = witness(&outcome, &name);
        assert!(retries >= 1 && witness["state"] == "agrees" && witness["columns"] == 2, "{consistency}: {witness}");
    }
}
