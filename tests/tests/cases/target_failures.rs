//! What is wrong at the target is said in one message, with its own exit status, and changes nothing there.

use stopgap_servers::postgres::PASSWORD;
use stopgap_tests::{
    certificates::{self, Authority, Flavour},
    job::{Job, Outcome, TARGET_PASSWORD},
    logins::Login,
    source::TestSource,
    target::{Engine, TestTarget},
};

const COULD_NOT_CONNECT: i32 = 4;
const PRECHECK_REFUSED: i32 = 3;

async fn source() -> TestSource {
    let source = TestSource::new().await.unwrap();
    source
        .run("CREATE TABLE dbo.items (id int NOT NULL PRIMARY KEY); INSERT INTO dbo.items (id) VALUES (2)")
        .await
        .unwrap();
    source
}

/// A target with an older copy of the table.
fn with_old_rows(target: TestTarget) -> TestTarget {
    target.run("CREATE TABLE items (id integer PRIMARY KEY); INSERT INTO items VALUES (1)").unwrap();
    target
}

fn job(source: &TestSource, target: &TestTarget) -> Job {
    Job::new(source, target).unwrap().sections("[tables]\ninclude = [\"dbo.*\"]")
}

fn assert_untouched(target: &TestTarget, outcome: &Outcome, words: &str) {
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.to_lowercase().contains(words), "{words:?} is not in: {said}");
    assert!(!said.contains(PASSWORD), "the password was printed");
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["1"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_target_gets_the_rows() {
    let (source, target) = (source().await, with_old_rows(TestTarget::new().unwrap()));
    job(&source, &target).run().unwrap().expect_code(0).unwrap();
    assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password() {
    let (source, target) = (source().await, with_old_rows(TestTarget::new().unwrap()));
    let outcome = job(&source, &target).env(TARGET_PASSWORD, "not-it").run().unwrap();
    let outcome = outcome.expect_code(COULD_NOT_CONNECT).unwrap();
    assert_untouched(&target, &outcome, "password authentication failed");
    assert!(!outcome.stderr.contains("not-it"));
}

/// The driver makes the error before anything is sent, and would show the character.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_saslprep_forbids() {
    let (source, target) = (source().await, with_old_rows(TestTarget::new().unwrap()));
    let outcome = job(&source, &target).env(TARGET_PASSWORD, "open\u{7}sesame").run().unwrap();
    let outcome = outcome.expect_code(COULD_NOT_CONNECT).unwrap();
    assert_untouched(&target, &outcome, "saslprep forbids");
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(!said.contains("certificate") && !said.contains("sesame"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_there() {
    let (source, target) = (source().await, with_old_rows(TestTarget::new().unwrap()));
    let outcome = job(&source, &target).target("database = \"nowhere\"").run().unwrap();
    assert_untouched(&target, &outcome.expect_code(COULD_NOT_CONNECT).unwrap(), "nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_did_not_sign() {
    let (source, target) = (source().await, with_old_rows(TestTarget::new().unwrap()));
    let job = job(&source, &target);
    let stranger = Authority::new("A stranger").unwrap();
    let file = certificates::write(job.directory(), "stranger.pem", &stranger.pem()).unwrap();
    let outcome = job.target(&format!("ca_file = \"{}\"", file.display())).run().unwrap();
    assert_untouched(&target, &outcome.expect_code(COULD_NOT_CONNECT).unwrap(), "certificate");
}

async fn a_certificate_that_expired_or_names_another_host(engine: Engine) {
    let source = source().await;
    for flavour in [Flavour::Expired, Flavour::WrongHost] {
        let target = with_old_rows(TestTarget::with_own(engine, Some(flavour), &[]).unwrap());
        let outcome = job(&source, &target).run().unwrap().expect_code(COULD_NOT_CONNECT).unwrap();
        assert_untouched(&target, &outcome, "certificate");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_not_create_tables() {
    let (source, target) = (source().await, with_old_rows(TestTarget::new().unwrap()));
    // Roles belong to the whole server, which other tests use: the database's name makes this one unique.
    let role = format!("reader_of_{}", target.database);
    target.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'reader'; GRANT SELECT ON items TO {role}")).unwrap();
    let job = job(&source, &target).target(&format!("user = \"{role}\"")).env(TARGET_PASSWORD, "reader");
    let outcome = job.run().unwrap().expect_code(PRECHECK_REFUSED).unwrap();
    assert_untouched(&target, &outcome, "grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_fails_for_a_passing_reason_is_built_again() {
    let (source, target) = (TestSource::new().await.unwrap(), TestTarget::new().unwrap());
    let sql = "CREATE TABLE dbo.items (id int NOT NULL CONSTRAINT pk_items PRIMARY KEY, size int, colour int); \
               CREATE INDEX ix_size ON dbo.items (size); CREATE INDEX ix_colour ON dbo.items (colour); \
               INSERT INTO dbo.items (id, size, colour) VALUES (1, 2, 3)";
    source.run(sql).await.unwrap();
    // A sequence goes on whatever is rolled back: the last index fails as if a serialization had, when the others are there already.
    target
        .run(
            "CREATE SEQUENCE tries; \
             CREATE FUNCTION fail_once() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
               IF nextval('public.tries') = 3 THEN RAISE EXCEPTION 'not now' USING ERRCODE = '40001'; END IF; END $$; \
             CREATE EVENT TRIGGER fail_once ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION fail_once()",
        )
        .unwrap();
    let outcome = job(&source, &target).run().unwrap().expect_code(0).unwrap();
    assert!(outcome.stderr.contains("(SQLSTATE 40001)"), "nothing was tried again: {}", outcome.stderr);
    let indexes = target.rows("SELECT indexname FROM pg_indexes WHERE tablename = 'items' ORDER BY 1").unwrap();
    assert_eq!(indexes, ["ix_colour", "ix_size", "pk_items"]);
    assert_eq!(target.leftovers().unwrap(), Vec::<String>::new());
}

/// Tables that are copied at the same time into a schema that is not there make it once.
#[tokio::test(flavor = "multi_thread")]
async fn many_tables_at_once_into_a_new_schema() {
    const TABLES: u32 = 16;
    let source = TestSource::new().await.unwrap();
    source.run("CREATE SCHEMA fresh").await.unwrap();
    for number in 0..TABLES {
        source.run(&format!("CREATE TABLE fresh.t{number} (id int NOT NULL PRIMARY KEY)")).await.unwrap();
    }
    for _ in 0..3 {
        let target = TestTarget::new().unwrap();
        let job = Job::new(&source, &target).unwrap().job("tables = 16\nreaders = 16");
        job.sections("[tables]\ninclude = [\"fresh.*\"]").run().unwrap().expect_code(0).unwrap();
    }
}

async fn the_rights_that_the_readme_lists_are_enough(engine: Engine) {
    let (source, target) = (source().await, TestTarget::on(engine).unwrap());
    let child = "CREATE TABLE dbo.parts (id int NOT NULL PRIMARY KEY, item int NOT NULL CONSTRAINT fk_item REFERENCES dbo.items (id)); \
                 INSERT INTO dbo.parts (id, item) VALUES (1, 2)";
    source.run(child).await.unwrap();
    let login = Login::with_the_readmes_rights(&target).unwrap();
    let job = || login.of(job(&source, &target)).sections("foreign_keys = \"create\"");
    job().command("check", &[]).unwrap().expect_code(0).unwrap();
    for _ in 0..2 {
        job().run().unwrap().expect_code(0).unwrap();
        assert_eq!(target.rows("SELECT id FROM items").unwrap(), ["2"]);
    }
    login.drop_from(&target).unwrap();
}

on_each_engine!(the_rights_that_the_readme_lists_are_enough, a_certificate_that_expired_or_names_another_host);
