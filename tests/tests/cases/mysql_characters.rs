//! Tables that people made with character sets and collations of their own.

use stopgap_tests::{
    job::Job,
    source::TestSource,
    target::{Engine, TestTarget},
};

const TABLES_FAILED: i32 = 1;

const SOURCE: &str = "CREATE TABLE dbo.words (word nvarchar(20) COLLATE Latin1_General_CI_AS NOT NULL CONSTRAINT pk_words PRIMARY KEY, n int NULL); \
     INSERT INTO dbo.words (word, n) VALUES (N'é', 1), (N'🦀', 2); \
     CREATE TABLE dbo.things (id uniqueidentifier NOT NULL CONSTRAINT pk_things PRIMARY KEY, n int NULL); \
     INSERT INTO dbo.things (id, n) VALUES ('6F9619FF-8B86-D011-B42D-00C04FC964FF', 1)";

async fn set_up(engine: Engine, words: &str) -> (TestSource, TestTarget) {
    let source = TestSource::new().await.unwrap();
    source.run(SOURCE).await.unwrap();
    let target = TestTarget::on(engine).unwrap();
    target
        .run(&format!(
            "CREATE TABLE words (word varchar(20) {words} NOT NULL PRIMARY KEY, n int NULL); INSERT INTO words VALUES ('old', 1), ('é', 9); \
             CREATE TABLE things (id char(36) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL PRIMARY KEY, n int NULL); \
             INSERT INTO things VALUES ('old', 1)"
        ))
        .unwrap();
    (source, target)
}

fn job(source: &TestSource, target: &TestTarget) -> Job {
    Job::new(source, target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]").target("swap_wait = \"1s\"")
}

fn assert_rows(target: &TestTarget) {
    assert_eq!(target.rows("SELECT word, n FROM words ORDER BY n").unwrap(), ["é|1", "🦀|2"]);
    assert_eq!(target.rows("SELECT id, n FROM things").unwrap(), ["6f9619ff-8b86-d011-b42d-00c04fc964ff|1"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

async fn a_table_of_another_collation_is_updated_in_place(engine: Engine) {
    for collation in ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin"] {
        let (source, target) = set_up(engine, &format!("COLLATE {collation}")).await;
        for table in ["words", "things"] {
            let trigger =
                format!("CREATE TRIGGER noted_{table} AFTER DELETE ON {table} FOR EACH ROW SET @gone = OLD.n");
            target.run(&trigger).unwrap();
        }
        for _ in 0..2 {
            let report = job(&source, &target).run().unwrap().expect_code(0).unwrap().json().unwrap();
            assert_eq!(report["tables"][0]["swap"], "replace");
            assert_rows(&target);
        }
    }
}

/// It was to be renamed, and its new rows already have the collation of the plan.
async fn a_table_of_another_collation_that_an_old_snapshot_keeps_gets_its_rows(engine: Engine) {
    let (source, target) = set_up(engine, "COLLATE utf8mb4_general_ci").await;
    let mut reader = target.session().await.unwrap();
    reader.run("START TRANSACTION").await.unwrap();
    reader.texts("SELECT CONCAT(n) FROM things").await.unwrap();
    reader.is_listed().await.unwrap();
    let report = job(&source, &target).run().unwrap().expect_code(0).unwrap().json().unwrap();
    assert_eq!(report["tables"][0]["swap"], "replace");
    reader.run("ROLLBACK").await.unwrap();
    assert_rows(&target);
}

/// Other bytes for the same letters, and no place for some of them.
async fn an_in_place_update_stores_what_another_character_set_can_hold(engine: Engine) {
    let (source, target) = set_up(engine, "CHARACTER SET latin1").await;
    target.run("CREATE TRIGGER noted AFTER DELETE ON words FOR EACH ROW SET @gone = OLD.n").unwrap();
    let report = job(&source, &target).run().unwrap().expect_code(TABLES_FAILED).unwrap().json().unwrap();
    let failure = &report["tables"][1]["failure"];
    assert_eq!((&failure["stage"], &failure["kind"]), (&"swap".into(), &"data".into()), "{failure}");
    assert!(failure["message"].as_str().unwrap().contains("Incorrect string value"), "{failure}");
    assert_eq!(target.rows("SELECT word, n FROM words ORDER BY n").unwrap(), ["old|1", "é|9"]);
    source.run("DELETE FROM dbo.words WHERE n = 2").await.unwrap();
    for _ in 0..2 {
        let report = job(&source, &target).run().unwrap().expect_code(0).unwrap().json().unwrap();
        assert_eq!(report["tables"][1]["swap"], "replace");
        assert_eq!(target.rows("SELECT word, n FROM words").unwrap(), ["é|1"]);
        job(&source, &target).command("verify", &[]).unwrap().expect_code(0).unwrap();
    }
}

on_each_mysql!(
    a_table_of_another_collation_is_updated_in_place,
    a_table_of_another_collation_that_an_old_snapshot_keeps_gets_its_rows,
    an_in_place_update_stores_what_another_character_set_can_hold,
);
