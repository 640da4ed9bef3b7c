//! What a swap must respect: groups, foreign keys, drift, and readers whose snapshot is older than the new rows.

use stopgap_tests::{
    job::Job,
    logins::Login,
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;
const PRECHECK_REFUSED: i32 = 3;

const FAMILY: &str = "CREATE TABLE dbo.parents (id int NOT NULL CONSTRAINT pk_parents PRIMARY KEY, name nvarchar(20) NOT NULL); \
     CREATE TABLE dbo.children (id int NOT NULL CONSTRAINT pk_children PRIMARY KEY, parent int NOT NULL \
       CONSTRAINT fk_parent REFERENCES dbo.parents (id)); \
     INSERT INTO dbo.parents (id, name) VALUES (1, N'one'), (2, N'two'); \
     INSERT INTO dbo.children (id, parent) VALUES (10, 1), (20, 2);";

fn job(source: &TestSource, target: &TestTarget, tables: &str) -> Job {
    Job::new(source, target).unwrap().sections(&format!("[tables]\ninclude = [\"dbo.*\"]\n{tables}"))
}

fn assert_clean(target: &TestTarget) {
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

async fn a_reader_with_an_older_snapshot_goes_on_seeing_the_old_rows(engine: Engine) {
    let source =
        TestSource::with("CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (1)")
            .await
            .unwrap();
    let target = TestTarget::on(engine).unwrap();
    target.run("CREATE TABLE other (x int); INSERT INTO other VALUES (1)").unwrap();
    let login = Login::with_the_readmes_rights(&target).unwrap();
    let job = login.of(job(&source, &target, "")).target("swap_wait = \"1s\"");
    job.run().unwrap().expect_code(0).unwrap();
    source.run("UPDATE dbo.items SET id = 2").await.unwrap();

    // The snapshot is taken by reading another table, so that no lock on this one holds the swap back.
    let mut reader = target.session().await.unwrap();
    reader.run(engine.pick("BEGIN ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION")).await.unwrap();
    reader.texts("SELECT CONCAT(x) FROM other").await.unwrap();
    reader.is_listed().await.unwrap();
    let outcome = job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(reader.texts("SELECT CONCAT(id) FROM items").await.unwrap(), ["1"], "not the old rows");
    reader.run("ROLLBACK").await.unwrap();

    assert_eq!(outcome.json().unwrap()["tables"][0]["swap"], "replace");
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);
    assert_clean(&target);
    // With the reader gone the next swap renames again.
    let again = job.run().unwrap().expect_code(0).unwrap();
    assert_eq!(again.json().unwrap()["tables"][0]["swap"], "rename");
    login.drop_from(&target).unwrap();
}

async fn foreign_keys_are_created_and_survive_further_runs(engine: Engine) {
    let source = TestSource::with(FAMILY).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "foreign_keys = \"create\"");
    let keys = engine.pick(
        "SELECT conname, confrelid::regclass FROM pg_constraint WHERE contype = 'f' AND convalidated AND conrelid = 'children'::regclass",
        "SELECT constraint_name, referenced_table_name FROM information_schema.key_column_usage \
         WHERE table_schema = DATABASE() AND table_name = 'children' AND referenced_table_name IS NOT NULL",
    );
    for generation in ["first", "second", "third"] {
        source.run(&format!("UPDATE dbo.parents SET name = N'{generation}'")).await.unwrap();
        job.run().unwrap().expect_code(0).unwrap();
        assert_eq!(target.rows(keys).unwrap(), ["fk_parent|parents"], "{generation}");
        assert_eq!(target.rows("SELECT DISTINCT name FROM parents").unwrap(), [generation]);
        assert_clean(&target);
    }
}

/// The query that `check` shows for a foreign key which the target would not take.
fn found_before(job: &Job) -> Option<String> {
    let checked = job.command("check", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap();
    let finding =
        checked["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == "foreign-key-differs")?;
    assert_eq!((&finding["table"], &finding["severity"]), (&"dbo.children".into(), &"warning".into()), "{finding}");
    let (_, query) = finding["remedy"].as_str().unwrap().split_once("finds one: ").unwrap();
    Some(query.to_owned())
}

/// Spaces at the end are none to any collation of the source; the rows that are not copied do not matter.
#[tokio::test(flavor = "multi_thread")]
async fn references_that_only_the_target_would_break_are_found_before_the_run() {
    let script = "CREATE TABLE dbo.parents (code nvarchar(10) COLLATE Cyrillic_General_CI_AS NOT NULL, kind char(4) NOT NULL, \
                    CONSTRAINT pk_parents PRIMARY KEY (code, kind)); \
                  CREATE TABLE dbo.children (id int NOT NULL CONSTRAINT pk_children PRIMARY KEY, \
                    code nvarchar(10) COLLATE Cyrillic_General_CI_AS NULL, kind char(4) NULL, \
                    CONSTRAINT fk_code FOREIGN KEY (code, kind) REFERENCES dbo.parents (code, kind)); \
                  INSERT INTO dbo.parents (code, kind) VALUES (N'Ж', 'a'), (N'Я', 'B'); \
                  INSERT INTO dbo.children (id, code, kind) VALUES (1, N'Ж', 'a'), (2, N'Я', 'B'), (3, NULL, 'x')";
    let source = TestSource::with(script).await.unwrap();
    let target = TestTarget::on(Engine::Postgres).unwrap();
    let job =
        job(&source, &target, "foreign_keys = \"create\"\n[[table]]\nsource = \"dbo.children\"\nfilter = \"id < 9\"");
    let cases = [
        ("id = 1", false),
        ("id = 4, code = N'Ж ', kind = 'a'", true),
        ("id = 4, code = N'ж', kind = 'a'", true),
        ("id = 4, code = N'Я', kind = 'b'", true),
        ("id = 9, code = N'ж', kind = 'a'", false),
    ];
    for (row, differs) in cases {
        let change = "DELETE FROM dbo.children WHERE id > 3; INSERT INTO dbo.children (id) VALUES (4)";
        source
            .run(&format!("{change}; UPDATE dbo.children SET {row} WHERE id = {}", if row == "id = 1" { 1 } else { 4 }))
            .await
            .unwrap();
        assert_eq!(found_before(&job).is_some(), differs, "{row}");
    }
    job.run().unwrap().expect_code(0).unwrap();
}

/// A key that could not be looked at keeps nothing from being copied; it is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_reference_that_cannot_be_looked_at_is_noted() {
    if std::env::var_os("SYNC_TEST_MSSQL").is_some() {
        println!("a real server takes no scripted faults: nothing is tested here");
        return;
    }
    let script = "CREATE TABLE dbo.held_parents (code nvarchar(10) NOT NULL PRIMARY KEY); \
                  CREATE TABLE dbo.held_children (code nvarchar(10) NOT NULL PRIMARY KEY REFERENCES dbo.held_parents (code))";
    let source = TestSource::with(script).await.unwrap();
    let fault = "EXEC simulator_fault 'error 1222', 'from (select [code] from [dbo].[held_children])', 0, 1, 0";
    source.run(fault).await.unwrap();
    let job = job(&source, &TestTarget::on(Engine::Postgres).unwrap(), "foreign_keys = \"create\"");
    let checked = job.command("check", &["--format", "json"]).unwrap().expect_code(0).unwrap().json().unwrap();
    assert!(checked["findings"].to_string().contains("foreign-key-not-checked"), "{checked}");
}

/// A parent in another spelling is one to a collation that ignores case, and none to PostgreSQL.
async fn a_parent_in_another_spelling_is_none_where_text_compares_exactly(engine: Engine) {
    let script = "CREATE TABLE dbo.parents (code varchar(10) COLLATE Latin1_General_CI_AS NOT NULL CONSTRAINT pk_parents PRIMARY KEY); \
                  CREATE TABLE dbo.children (id int NOT NULL CONSTRAINT pk_children PRIMARY KEY, code varchar(10) \
                    COLLATE Latin1_General_CI_AS NULL CONSTRAINT fk_code REFERENCES dbo.parents (code)); \
                  INSERT INTO dbo.parents (code) VALUES ('ABC'), ('DEF'); \
                  INSERT INTO dbo.children (id, code) VALUES (1, 'abc'), (2, 'DEF'), (3, NULL)";
    let source = TestSource::with(script).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "foreign_keys = \"create\"");
    let query = engine.pick(Some(()), None).map(|()| found_before(&job).unwrap());
    if let Some(query) = query {
        assert_eq!(source.texts(&query).await.unwrap(), [Some("abc".to_owned())]);
    } else {
        assert_eq!(found_before(&job), None);
    }
    let outcome = job.run().unwrap();
    if engine == Engine::Postgres {
        let report = outcome.expect_code(TABLES_FAILED).unwrap().json().unwrap();
        let message = report["tables"].to_string();
        assert!(message.contains("fk_code"), "{message}");
    } else {
        outcome.expect_code(0).unwrap();
        assert_eq!(target.rows("SELECT code FROM children WHERE id = 1").unwrap(), ["abc"]);
    }
    assert_clean(&target);
}

async fn of_a_group_all_tables_change_or_none(engine: Engine) {
    let source = TestSource::with(FAMILY).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    let tables = "[[table]]\nsource = \"dbo.parents\"\ngroup = \"family\"\n\
                  [[table]]\nsource = \"dbo.children\"\ngroup = \"family\"\nmax_shrink_percent = 0";
    let job = job(&source, &target, tables);
    job.run().unwrap().expect_code(0).unwrap();
    source.run("DELETE FROM dbo.children WHERE id = 20; UPDATE dbo.parents SET name = N'new'").await.unwrap();
    let outcome = job.run().unwrap().expect_code(TABLES_FAILED).unwrap();
    assert_eq!(target.rows("SELECT name FROM parents ORDER BY id").unwrap(), ["one", "two"]);
    assert_eq!(target.rows("SELECT count(*) FROM children").unwrap(), ["2"]);
    assert_clean(&target);
    let report = outcome.json().unwrap();
    let parents = report["tables"].as_array().unwrap().iter().find(|table| table["source"] == "dbo.parents").unwrap();
    assert_eq!(parents["outcome"], "failed");
    assert!(parents["failure"]["message"].as_str().unwrap().contains("children"), "{parents}");
}

async fn drift_is_refused_where_the_job_file_says_so(engine: Engine) {
    let source = TestSource::with(FAMILY).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    target.run("CREATE TABLE parents (id integer NOT NULL PRIMARY KEY); INSERT INTO parents VALUES (9)").unwrap();
    let outcome = job(&source, &target, "").target("on_drift = \"fail\"").run().unwrap();
    let outcome = outcome.expect_code(PRECHECK_REFUSED).unwrap();
    assert!(
        outcome.stdout.contains(engine.pick("new column name character varying(20)", "new column name varchar(20)")),
        "{}",
        outcome.stdout
    );
    assert_eq!(target.rows("SELECT id FROM parents").unwrap(), ["9"]);
    assert!(target.run("SELECT * FROM children").is_err(), "the other table was made");
}

async fn a_lock_that_is_held_delays_the_swap_and_no_reader(engine: Engine) {
    let source =
        TestSource::with("CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (1)")
            .await
            .unwrap();
    let target = TestTarget::on(engine).unwrap();
    let job = job(&source, &target, "").target("lock_timeout = \"1s\"\nswap_wait = \"60s\"");
    job.run().unwrap().expect_code(0).unwrap();
    source.run("UPDATE dbo.items SET id = 2").await.unwrap();
    let mut holder = target.session().await.unwrap();
    // Without a snapshot between statements, so that the lock alone is in the way.
    if engine != Engine::Postgres {
        holder.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await.unwrap();
    }
    holder.run("BEGIN").await.unwrap();
    // The lock that reading takes is kept to the transaction's end.
    holder.texts("SELECT CONCAT(id) FROM items").await.unwrap();
    let mut running = job.spawn("run", &["--format", "json"]).unwrap();
    while !running.stderr().contains("the swap waits") {
        assert!(!running.has_ended().unwrap(), "the run ended without waiting: {}", running.stderr());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut reader = target.session().await.unwrap();
    assert_eq!(reader.texts("SELECT CONCAT(id) FROM items").await.unwrap(), ["1"]);
    holder.run("COMMIT").await.unwrap();
    running.wait().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);
    assert_clean(&target);
}

#[tokio::test(flavor = "multi_thread")]
async fn masked_columns_are_refused_unless_allowed() {
    let source = TestSource::with(
        "CREATE TABLE dbo.people (id int NOT NULL PRIMARY KEY, mail varchar(40) MASKED WITH (FUNCTION = 'email()') NOT NULL); \
         INSERT INTO dbo.people (id, mail) VALUES (1, 'ada@example.com')",
    )
    .await.unwrap();
    let login = format!("reader_of_{}", source.database);
    source
        .run(&format!(
            "CREATE LOGIN {login} WITH PASSWORD = 'Reader-1!'; CREATE USER {login} FOR LOGIN {login}; \
             GRANT SELECT ON dbo.people TO {login}"
        ))
        .await
        .unwrap();
    let target = TestTarget::new().unwrap();
    let keys = format!("user = \"{login}\"");
    let as_reader =
        |tables| job(&source, &target, tables).source(&keys).env(stopgap_tests::job::SOURCE_PASSWORD, "Reader-1!");
    let refused = as_reader("").run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert!(refused.stdout.contains("mail is masked") && refused.stdout.contains("GRANT UNMASK"), "{}", refused.stdout);
    as_reader("masked = \"allow\"").run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.value("SELECT mail FROM people").unwrap(), "aXXX@XXXX.com");
    job(&source, &target, "").run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.value("SELECT mail FROM people").unwrap(), "ada@example.com");
}

on_each_engine!(
    a_reader_with_an_older_snapshot_goes_on_seeing_the_old_rows,
    foreign_keys_are_created_and_survive_further_runs,
    a_parent_in_another_spelling_is_none_where_text_compares_exactly,
    of_a_group_all_tables_change_or_none,
    drift_is_refused_where_the_job_file_says_so,
    a_lock_that_is_held_delays_the_swap_and_no_reader
);
