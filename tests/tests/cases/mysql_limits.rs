//! What InnoDB takes into a row is known in the plan: what is refused there no server would take, and what is not arrives.

use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;
const PRECHECK_REFUSED: i32 = 3;

/// A table with so many columns beside its key, and one row with this in each of them.
async fn source(count: usize, column: &str, value: &str) -> TestSource {
    let source = TestSource::new().await.unwrap();
    let join = |each: &dyn Fn(usize) -> String| (0..count).map(each).collect::<Vec<_>>().join(", ");
    let script = format!(
        "CREATE TABLE dbo.wide (id int NOT NULL CONSTRAINT pk_wide PRIMARY KEY, {});\nGO\nINSERT INTO dbo.wide (id, {}) VALUES (1, {})",
        join(&|number| format!("c{number} {column}")),
        join(&|number| format!("c{number}")),
        join(&|_| value.to_owned()),
    );
    source.run(&script).await.unwrap();
    source
}

fn job(source: &TestSource, target: &TestTarget) -> Job {
    Job::new(source, target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]")
}

async fn a_row_that_no_page_takes_is_refused_in_the_plan(engine: Engine) {
    for (count, column, mapped) in [
        (300, "nvarchar(50) NULL", "varchar(50)"),
        (198, "nvarchar(100) NULL", "varchar(100)"),
        (198, "nvarchar(max) NULL", "longtext"),
        (998, "float NULL", "double"),
        (225, "uniqueidentifier NULL", "char(36) character set ascii"),
        (448, "decimal(38, 10) NULL", "decimal(38,10)"),
    ] {
        let source = source(count, column, "NULL").await;
        let target = TestTarget::on(engine).unwrap();
        let outcome = job(&source, &target).command("check", &[]).unwrap().expect_code(PRECHECK_REFUSED).unwrap();
        assert!(outcome.stdout.contains("dbo.wide") && outcome.stdout.contains("8125"), "{}", outcome.stdout);
        // MariaDB moves long values out of the page with twenty bytes less each; the plan follows MySQL.
        let is_text = mapped.starts_with("varchar") || mapped == "longtext";
        if engine == Engine::MySql || !is_text {
            let mapped = if is_text { "text" } else { mapped };
            let columns: Vec<String> = (0..count).map(|number| format!("c{number} {mapped} NULL")).collect();
            let table = format!(
                "CREATE TABLE wide (id int NOT NULL PRIMARY KEY, {}) DEFAULT CHARACTER SET utf8mb4",
                columns.join(", ")
            );
            let refused = format!("{:#}", target.run(&table).unwrap_err());
            assert!(refused.contains("1118"), "{column}: {refused}");
        }
    }
}

async fn the_widest_row_that_a_page_takes_arrives(engine: Engine) {
    let full = |length: usize| format!("REPLICATE(NCHAR(8364), {length})");
    for (count, column, value, becomes_text) in [
        (40, "nvarchar(50) NULL", full(50), false),
        (60, "nvarchar(63) NULL", full(63), true),
        (197, "nvarchar(100) NULL", full(100), true),
        (197, "nvarchar(max) NULL", full(100), false),
        (45, "binary(200) NULL", "0x01".to_owned(), true),
        (997, "float NULL", "1.5".to_owned(), false),
        (224, "uniqueidentifier NULL", "'6F9619FF-8B86-D011-B42D-00C04FC964FF'".to_owned(), false),
        (447, "decimal(38, 10) NULL", "1.5".to_owned(), false),
    ] {
        let source = source(count, column, &value).await;
        let target = TestTarget::on(engine).unwrap();
        let plan = job(&source, &target).command("plan", &[]).unwrap().expect_code(0).unwrap();
        assert_eq!(plan.stdout.contains("since a row takes"), becomes_text, "{count} x {column}: {}", plan.stdout);
        let outcome = job(&source, &target).run().unwrap().expect_code(0);
        outcome.unwrap_or_else(|error| panic!("{count} x {column}: {error:#}"));
        let last = format!("SELECT c{} IS NOT NULL FROM wide", count - 1);
        assert_eq!(target.value(&last).unwrap(), "1", "{count} x {column}");
    }
}

/// The plan reckons with pages of 16 KiB. Where they are smaller and the server makes such a table all the same, it is said at once.
async fn a_table_that_is_made_with_a_warning_is_refused(engine: Engine) {
    let source = source(120, "nvarchar(100) NULL", "N'x'").await;
    let small = [("innodb-page-size", "4k"), ("innodb-strict-mode", "0")];
    let target = TestTarget::with_own(engine, None, &small).unwrap();
    let report = job(&source, &target).run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    let message = report["tables"][0]["failure"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("not every row of it would fit"), "{message}");
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// What the server would only refuse at the statement is in the plan, or is given another name.
async fn names_that_the_server_does_not_take_are_refused_in_the_plan(engine: Engine) {
    let source = TestSource::new().await.unwrap();
    source
        .run(
            "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, n int NULL); CREATE INDEX [Primary] ON dbo.items (n); \
             INSERT INTO dbo.items (id, n) VALUES (1, 7)",
        )
        .await
        .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let renamed = |to: &str| {
        let rename = format!("[[table]]\nsource = \"dbo.items\"\n[table.rename]\nn = {to:?}");
        job(&source, &target).sections(&rename)
    };
    for name in ["DB_ROW_ID", "db_trx_id", "Db_Roll_Ptr", "FTS_DOC_ID"] {
        let made = target.run(&format!("CREATE TABLE odd (id int, `{name}` int) ENGINE = InnoDB"));
        assert!(made.is_err(), "the server takes {name}");
    }
    for (name, words) in [
        ("n ", "ends in a space"),
        ("n🦀", "beyond U+FFFF"),
        ("ID", "would both become"),
        ("db_row_id", "a column of its own"),
        ("DB_TRX_ID", "a column of its own"),
        ("FTS_DOC_ID", "a column of its own"),
    ] {
        let outcome = renamed(name).command("check", &[]).unwrap().expect_code(PRECHECK_REFUSED).unwrap();
        assert!(outcome.stdout.contains(words), "{name:?}: {}", outcome.stdout);
    }
    for _ in 0..2 {
        job(&source, &target).run().unwrap().expect_code(0).unwrap();
        assert_eq!(target.rows("SELECT id, n FROM items").unwrap(), ["1|7"]);
    }
    let names = "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'items' ORDER BY 1";
    assert_eq!(target.rows(names).unwrap(), ["items_primary", "PRIMARY"]);
}

async fn more_indexes_than_the_server_takes_are_left_out_by_the_plan(engine: Engine) {
    let columns: Vec<String> = (0..70).map(|number| format!("c{number} int NULL")).collect();
    let indexes: Vec<String> =
        (0..70).map(|number| format!("CREATE INDEX ix_{number:02} ON dbo.items (c{number})")).collect();
    let source = TestSource::new().await.unwrap();
    let script = format!(
        "CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, {}); {}; INSERT INTO dbo.items (id) VALUES (1)",
        columns.join(", "),
        indexes.join("; ")
    );
    source.run(&script).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let report = job(&source, &target).sections("[[table]]\nsource = \"dbo.items\"").run().unwrap();
    let report = report.expect_code(0).unwrap().json().unwrap();
    let left_out = report["tables"][0]["not_created_codes"].as_array().unwrap().clone();
    let surplus = left_out.iter().filter(|codes| codes["why"] == "too_many_indexes").count();
    assert_eq!(surplus, 7, "{left_out:?}");
    let names = "SELECT COUNT(DISTINCT index_name) FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'items'";
    assert_eq!(target.rows(names).unwrap(), ["64"]);
}

/// InnoDB makes an index for each foreign key that finds none, after all others: it would be the one too many.
async fn indexes_of_foreign_keys_count_among_those_that_the_server_takes(engine: Engine) {
    let columns: Vec<String> = (0..63).map(|number| format!("c{number} int NULL")).collect();
    let index = |unique: &str| {
        let each = |number| format!("CREATE {unique} INDEX ix_{number:02} ON dbo.items (c{number})");
        (0..63).map(each).collect::<Vec<_>>().join("; ")
    };
    // The first foreign key finds an index, the others find none; where all indexes are unique there is no room for them.
    for (unique, left_out, made) in [
        ("", vec!["index|ix_61", "index|ix_62"], vec!["fk_0", "fk_a", "fk_b"]),
        ("UNIQUE", vec!["foreign_key|fk_a", "foreign_key|fk_b"], vec!["fk_0"]),
    ] {
        let source = TestSource::new().await.unwrap();
        let script = format!(
            "CREATE TABLE dbo.parents (id int NOT NULL CONSTRAINT pk_parents PRIMARY KEY); \
             INSERT INTO dbo.parents (id) VALUES (7); \
             CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY, {}, a int NULL, b int NULL, \
               CONSTRAINT fk_0 FOREIGN KEY (c0) REFERENCES dbo.parents (id), \
               CONSTRAINT fk_a FOREIGN KEY (a) REFERENCES dbo.parents (id), \
               CONSTRAINT fk_b FOREIGN KEY (b) REFERENCES dbo.parents (id)); \
             {}; INSERT INTO dbo.items (id, c0, a, b) VALUES (1, 7, 7, 7)",
            columns.join(", "),
            index(unique)
        );
        source.run(&script).await.unwrap();
        let target = TestTarget::on(engine).unwrap();
        let job = job(&source, &target).sections("foreign_keys = \"create\"");
        let report = job.run().unwrap().expect_code(0).unwrap().json().unwrap();
        let tables = report["tables"].as_array().unwrap();
        let items = tables.iter().find(|table| table["source"] == "dbo.items").unwrap();
        let codes = items["not_created_codes"].as_array().unwrap();
        let surplus = codes.iter().filter(|codes| codes["why"] == "too_many_indexes");
        let mut surplus: Vec<String> = surplus
            .map(|codes| format!("{}|{}", codes["what"].as_str().unwrap(), codes["name"].as_str().unwrap()))
            .collect();
        surplus.sort();
        assert_eq!(surplus, left_out, "{unique}");
        let keys = "SELECT constraint_name FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE() ORDER BY 1";
        assert_eq!(target.rows(keys).unwrap(), made, "{unique}");
        let names = "SELECT COUNT(DISTINCT index_name) FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'items'";
        assert_eq!(target.rows(names).unwrap(), ["64"], "{unique}");
    }
}

async fn foreign_keys_that_the_server_does_not_take_are_left_out_by_the_plan(engine: Engine) {
    let wide: Vec<String> = (0..60).map(|number| format!("c{number} nvarchar(63) NULL")).collect();
    let source = TestSource::new().await.unwrap();
    source
        .run(&format!(
            "CREATE TABLE dbo.parents (code nvarchar(63) NOT NULL CONSTRAINT pk_parents PRIMARY KEY); \
             CREATE TABLE dbo.children (id int NOT NULL PRIMARY KEY, code nvarchar(63) NULL CONSTRAINT fk_default \
               REFERENCES dbo.parents (code) ON DELETE SET DEFAULT); \
             CREATE TABLE dbo.wide (id int NOT NULL PRIMARY KEY, {}, code nvarchar(63) NULL CONSTRAINT fk_wide \
               REFERENCES dbo.parents (code)); \
             INSERT INTO dbo.parents (code) VALUES (N'a'); INSERT INTO dbo.children (id, code) VALUES (1, N'a'); \
             INSERT INTO dbo.wide (id, code) VALUES (1, N'a')",
            wide.join(", ")
        ))
        .await
        .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target).sections("foreign_keys = \"create\"");
    let plan = job.command("plan", &[]).unwrap().expect_code(0).unwrap();
    assert!(plan.stdout.contains("fk_wide: text cannot be indexed"), "{}", plan.stdout);
    job.run().unwrap().expect_code(0).unwrap();
    for table in ["children", "wide"] {
        assert_eq!(target.rows(&format!("SELECT id, code FROM {table}")).unwrap(), ["1|a"]);
    }
    let rules = "SELECT constraint_name, delete_rule FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE()";
    assert_eq!(target.rows(rules).unwrap(), ["fk_default|NO ACTION"]);
}

/// Names that the server does not take are refused in the plan, and no others.
async fn names_that_the_server_takes_are_planned(engine: Engine) {
    for end in [' ', '\t', '\n', '\r', '\u{B}', '\u{C}', '\u{A0}', '\u{2003}', '\u{3000}'] {
        let name = format!("a{end}");
        let source =
            TestSource::with(&format!("CREATE TABLE dbo.ended (id int NOT NULL PRIMARY KEY, [{name}] int NULL)"))
                .await
                .unwrap();
        let target = TestTarget::on(engine).unwrap();
        let taken = target.run(&format!("CREATE TABLE tried (`{name}` int)")).is_ok();
        let plan = Job::new(&source, &target)
            .unwrap()
            .sections("[tables]\ninclude = [\"dbo.*\"]")
            .command("plan", &[])
            .unwrap();
        assert_eq!(plan.code() == Some(0), taken, "{name:?}: {}", plan.stdout);
    }
}

on_each_mysql!(
    names_that_the_server_takes_are_planned,
    names_that_the_server_does_not_take_are_refused_in_the_plan,
    more_indexes_than_the_server_takes_are_left_out_by_the_plan,
    indexes_of_foreign_keys_count_among_those_that_the_server_takes,
    foreign_keys_that_the_server_does_not_take_are_left_out_by_the_plan,
    a_row_that_no_page_takes_is_refused_in_the_plan,
    the_widest_row_that_a_page_takes_arrives,
    a_table_that_is_made_with_a_warning_is_refused,
);
